//! What it may take at most to hold an answer against its expectations, known before that begins:
//! what may take longer than the probing thread can give to one endpoint is done apart from it.
//!
//! A regular expression is linear in the text, but the factor is that of its program: 15 bytes of
//! pattern can take half a microsecond for each byte, the largest that a config may have 40.
//! `benches/judging.rs` measures the factors.

use std::time::Duration;

use super::charset;
use crate::config::plan::probe::Pattern;
use crate::kind::http::spec::{HeaderTest, HttpExpect, TextRule};
use crate::net::apart::{NotDone, run_if_wanted};
use crate::net::clock::thread_cpu_ns;
use crate::net::http_response::Response;
use crate::net::judging_threads::JudgingThread;
use crate::net::probe_error::ProbeError;
use crate::net::trace::Trace;
use crate::words::Reason;

/// What one judgement may take on the probing thread, in nanoseconds. A machine of half the speed
/// stays below 5 ms.
const INLINE_NS: u64 = 2_000_000;
/// A finding: its words, and the text that it shows.
const FINDING_NS: u64 = 3_000;
/// A pattern for each byte: a new state of its automaton.
const STATE_NS: u64 = 2_000;
/// And for each KiB of its program: all places that it may be at.
const PLACES_NS: u64 = 300;
/// A text that is looked for, for each byte of the body and of the text.
const TEXT_NS: u64 = 3;
const WORDS_NS: u64 = 20;
/// Another charset becomes UTF-8 of up to three times its length, and both are looked at.
const RECODING_NS: u64 = 25;
const RECODED: u64 = 4;

/// Whether so much may be done on the probing thread.
pub fn is_small(cost_ns: u64) -> bool {
    cost_ns <= INLINE_NS
}

/// A pattern that looks at so many bytes.
pub fn pattern(pattern: &Pattern, bytes: usize) -> u64 {
    let for_each = if is_literal(&pattern.text) {
        TEXT_NS
    } else {
        STATE_NS + PLACES_NS * u64::from(pattern.size_kib)
    };
    FINDING_NS + WORDS_NS * pattern.text.len() as u64 + for_each.saturating_mul(bytes as u64)
}

/// A text that is looked for in so many bytes.
pub fn text(text: &[u8], bytes: usize) -> u64 {
    FINDING_NS + WORDS_NS * text.len() as u64 + TEXT_NS.saturating_mul(bytes as u64)
}

/// Without any sign that means more than itself.
fn is_literal(text: &str) -> bool {
    !text.contains(|c: char| r"\.+*?()|[]{}^$".contains(c))
}

/// Headers and the final URL.
pub fn head(expect: &HttpExpect, response: &Response, final_url: &str) -> u64 {
    let of_rule = |name: &str, test: &HeaderTest| match test {
        HeaderTest::Present | HeaderTest::Absent => FINDING_NS,
        HeaderTest::Equals(text) => FINDING_NS + WORDS_NS * text.len() as u64,
        HeaderTest::Matches(p) | HeaderTest::NotMatches(p) => {
            pattern(p, response.values(name).map(<[u8]>::len).sum())
        }
    };
    let each_name = response.headers.len() as u64 * WORDS_NS;
    let headers = sum(expect
        .headers
        .iter()
        .map(|rule| each_name + of_rule(&rule.name, &rule.rule)));
    headers.saturating_add(
        expect
            .final_url
            .as_ref()
            .map_or(0, |p| pattern(p, final_url.len())),
    )
}

/// Texts, patterns and an expression over a body without codings.
pub fn body(expect: &HttpExpect, response: &Response) -> u64 {
    let of_json = expect
        .json
        .as_ref()
        .map_or(0, |expression| expression.cost.ns(response.body.len()));
    of_json.saturating_add(texts(expect, response))
}

fn texts(expect: &HttpExpect, response: &Response) -> u64 {
    if expect.body.is_empty() {
        return 0;
    }
    let bytes = response.body.len();
    let (recoding, looked_at) = match charset::is_recoded(response, &response.body) {
        true => (RECODING_NS * bytes as u64, bytes * RECODED as usize),
        false => (0, bytes),
    };
    let of_rule = |rule: &TextRule| match rule {
        TextRule::Contains(wanted) | TextRule::NotContains(wanted) => {
            text(wanted.as_bytes(), looked_at)
        }
        TextRule::Matches(p) | TextRule::NotMatches(p) => pattern(p, looked_at),
    };
    recoding.saturating_add(sum(expect.body.iter().map(of_rule)))
}

pub fn sum(costs: impl Iterator<Item = u64>) -> u64 {
    costs.fold(0, u64::saturating_add)
}

/// Work that must not hold the probing thread. What nobody waits for any more is not begun: a queue
/// of it is never longer than the probes in flight.
pub async fn apart<T: Send + 'static>(
    thread: &JudgingThread,
    trace: &Trace,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ProbeError> {
    let thread = thread.clone();
    let work = move || {
        let began_ns = thread_cpu_ns();
        let done = work();
        drop(thread);
        (done, thread_cpu_ns().saturating_sub(began_ns))
    };
    let done = run_if_wanted(work).await;
    let done = done.map(|(done, took_ns)| {
        trace.has_checked(Duration::from_nanos(took_ns));
        done
    });
    done.map_err(|error| match error {
        NotDone::NoThread => ProbeError::unmeasured(
            Reason::LocalResource,
            format!("the answer could not be checked: {error}"),
        ),
        NotDone::Ended(_) => ProbeError::unmeasured(Reason::Internal, error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use crate::kind::run::cost::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::net::judging_threads::{JudgingThreads, THREADS};

    fn one(text: &str, size_kib: u32) -> Pattern {
        Pattern {
            text: text.into(),
            regex: regex::bytes::Regex::new(text).expect("a pattern"),
            size_kib,
        }
    }

    fn expecting(body: Vec<TextRule>) -> HttpExpect {
        HttpExpect {
            body,
            ..HttpExpect::default()
        }
    }

    fn answer(content_type: &str, bytes: usize) -> Response {
        Response {
            headers: vec![("content-type".into(), content_type.into())],
            body: vec![b'a'; bytes],
            ..Response::default()
        }
    }

    #[test]
    fn a_text_in_a_page_is_small_and_what_a_pattern_costs_depends_on_its_program() {
        let text = || expecting(vec![TextRule::Contains("status: ok".into())]);
        assert!(is_small(body(&text(), &answer("text/html", 64 << 10))));
        assert!(
            is_small(body(
                &expecting(vec![TextRule::Matches(one("healthy", 4))]),
                &answer("text/html", 64 << 10)
            )),
            "a pattern that is a text"
        );
        let dense = |size_kib| expecting(vec![TextRule::Matches(one("[ab]*a[ab]{20}c", size_kib))]);
        assert!(is_small(body(&dense(4), &answer("text/html", 500))));
        assert!(!is_small(body(&dense(4), &answer("text/html", 1000))));
        assert!(!is_small(body(&dense(1024), &answer("text/html", 100))));
    }

    #[test]
    fn many_rules_add_up_and_another_charset_counts_for_more() {
        let rules = |count| {
            expecting(
                (0..count)
                    .map(|_| TextRule::NotContains("down".into()))
                    .collect(),
            )
        };
        assert!(is_small(body(&rules(9), &answer("text/html", 64 << 10))));
        assert!(!is_small(body(&rules(20), &answer("text/html", 64 << 10))));
        assert!(!is_small(body(
            &rules(9),
            &answer("text/html; charset=gbk", 64 << 10)
        )));
        assert_eq!(
            body(&rules(0), &answer("text/html; charset=gbk", 64 << 10)),
            0
        );
    }

    #[test]
    fn json_counts_by_its_expression() {
        let json = |text: &str| {
            let line = format!(
                "[[endpoint]]\nname = 'e'\nprobe.http.url = \
                    'http://shop.example/'\nprobe.http.expect.json = \"{text}\"\n"
            );
            let plan =
                crate::config::load(std::path::Path::new("one"), &crate::config::OneText(&line))
                    .expect("valid");
            match &plan.endpoints[0].probe {
                crate::kind::Probe::Http(target) => target.spec.expect.clone(),
                other => panic!("no http probe: {other:?}"),
            }
        };
        let whole = answer("application/json", 4 << 10);
        assert!(is_small(body(&json("body.status == 'ok'"), &whole)));
        // 4 KiB of elements without that field took 5 ms.
        let of_each = json("body.items.all(i, i.ok)");
        assert!(!is_small(body(&of_each, &whole)));
        let quarter = answer("application/json", 1 << 10);
        assert!(is_small(body(&of_each, &quarter)));
        let many = (0..25)
            .map(|n| format!("i.n != {n}"))
            .collect::<Vec<_>>()
            .join(" && ");
        assert!(!is_small(body(
            &json(&format!("body.items.all(i, {many})")),
            &whole
        )));
        assert!(!is_small(body(
            &json("body.name.matches('^ok$')"),
            &answer("application/json", 100)
        )));
    }

    #[test]
    fn a_long_header_and_a_long_url_count_by_their_patterns() {
        let response = Response {
            headers: vec![("x-a".into(), vec![b'a'; 60_000])],
            ..Response::default()
        };
        let rule = |name: &str| crate::kind::http::spec::HeaderRule {
            name: name.into(),
            rule: HeaderTest::Matches(one("a+b", 4)),
        };
        let with = |name| HttpExpect {
            headers: vec![rule(name)],
            ..HttpExpect::default()
        };
        assert!(is_small(head(&with("x-b"), &response, "")));
        assert!(!is_small(head(&with("x-a"), &response, "")));
        let url = HttpExpect {
            final_url: Some(one("a+b", 4)),
            ..HttpExpect::default()
        };
        assert!(is_small(head(&url, &response, "http://shop.example/")));
        assert!(!is_small(head(&url, &response, &"a".repeat(8000))));
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_not_begun() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .build()
            .expect("a runtime");
        let (done, begun) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(std::sync::Barrier::new(2)),
        );
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let (threads, trace) = (JudgingThreads::default(), Trace::begin());
            let [one, two, three] = [
                threads.one_for(1).await,
                threads.one_for(1).await,
                threads.one_for(1).await,
            ];
            let (first, gate) = (done.clone(), begun.clone());
            let busy = tokio::task::spawn_local(async move {
                apart(&one, &Trace::begin(), move || {
                    gate.wait();
                    gate.wait();
                    first.fetch_add(1, Ordering::SeqCst);
                })
                .await
            });
            tokio::task::yield_now().await;
            begun.wait();
            let second = done.clone();
            let mut given_up = Box::pin(apart(&two, &trace, move || {
                second.fetch_add(10, Ordering::SeqCst)
            }));
            assert!(
                std::future::poll_fn(|cx| std::task::Poll::Ready(
                    given_up.as_mut().poll(cx).is_pending()
                ))
                .await
            );
            drop(given_up);
            begun.wait();
            busy.await.expect("joined").expect("run");
            let third = done.clone();
            apart(&three, &trace, move || {
                third.fetch_add(100, Ordering::SeqCst)
            })
            .await
            .expect("run");
        });
        assert_eq!(done.load(Ordering::SeqCst), 101);
    }

    fn is_pending<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        future.poll(&mut context).is_pending()
    }

    #[test]
    fn a_host_has_its_turn_until_the_work_is_done_though_the_probe_has_gone() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(4)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let (threads, trace) = (JudgingThreads::default(), Trace::begin());
            let gates: Vec<_> = (0..THREADS)
                .map(|_| Arc::new(std::sync::Barrier::new(2)))
                .collect();
            for gate in &gates {
                let (thread, gate, begun) = (threads.one_for(1).await, gate.clone(), gate.clone());
                let mut given_up = Box::pin(apart(&thread, &trace, move || {
                    gate.wait();
                    gate.wait();
                }));
                assert!(is_pending(given_up.as_mut()));
                // It is at work; then nobody waits for it any more.
                begun.wait();
            }
            let mut next = Box::pin(threads.one_for(2));
            assert!(is_pending(next.as_mut()));
            gates[0].wait();
            next.await;
            for gate in &gates[1..] {
                gate.wait();
            }
        });
    }
}
