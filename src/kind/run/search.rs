//! A pattern looked for in a text that a peer has made, for no more processor time than may be.

use super::cost;
use super::work::Work;
pub use crate::config::document::search::{End, Spent};
use crate::config::document::search::{found_in_time, looks_ahead};
use crate::config::plan::probe::Pattern;

/// Whether the pattern matches somewhere.
pub fn is_in(pattern: &Pattern, text: &[u8], end: End, work: &Work) -> Result<bool, Spent> {
    // Of small texts there may be many.
    if !work.goes_on_now() {
        return Err(Spent);
    }
    // The crate's own search is several times as fast, and cannot be stopped: where its worst case
    // is within what this answer may take, it need not be.
    let at_worst_ns = cost::pattern(pattern, text.len());
    if cost::is_small(at_worst_ns) || at_worst_ns <= work.left_ns() {
        return Ok(match end {
            End::Cut if looks_ahead(&pattern.text) => pattern
                .regex
                .find(text)
                .is_some_and(|found| found.end() < text.len()),
            End::Cut | End::Whole => pattern.regex.is_match(text),
        });
    }
    // What the config's own compiler took is refused by no other; if it is, it has no limit.
    found_in_time(&pattern.text, text, end, &|| work.goes_on_now())
        .unwrap_or_else(|| Ok(pattern.regex.is_match(text)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern {
            text: text.into(),
            regex: regex::bytes::Regex::new(text).expect("a pattern"),
            size_kib: 4,
        }
    }

    fn work(limit_ms: u64) -> Work {
        Work::of(Duration::from_millis(limit_ms), Arc::default())
    }

    #[test]
    fn many_small_texts_end_when_their_time_is_spent() {
        let (one, work) = (pattern("a+b"), work(5));
        let text = vec![b'a'; 400];
        let found = (0..10_000_000).map(|_| is_in(&one, &text, End::Whole, &work));
        assert!(found.take_while(Result::is_ok).count() < 10_000_000);
    }

    #[test]
    fn a_search_ends_when_its_time_is_spent() {
        let mut state = 1u64;
        let mut letter = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            if state >> 40 & 1 == 0 { b'a' } else { b'b' }
        };
        let text: Vec<u8> = (0..16 << 20).map(|_| letter()).collect();
        for expensive in ["[ab]*a[ab]{20}c", r"\b[ab]*a[ab]{20}c\b"] {
            let (one, work) = (pattern(expensive), work(30));
            let began_ns = crate::net::clock::thread_cpu_ns();
            assert_eq!(
                is_in(&one, &text, End::Whole, &work),
                Err(Spent),
                "{expensive}"
            );
            let took_ms = (crate::net::clock::thread_cpu_ns() - began_ns) / 1_000_000;
            assert!((30..300).contains(&took_ms), "{expensive}: {took_ms} ms");
        }
    }
}
