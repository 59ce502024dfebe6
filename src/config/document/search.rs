//! A pattern looked for in a text that a peer has made, for no more processor time than may be.
//!
//! [`regex`] has no way to stop a search that takes long. Here the text goes through a lazy
//! automaton byte by byte, with the clock read between; where that one has no answer (a word
//! boundary beside a letter that is not ASCII), through all its places at once.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{self, NFA, State, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};

/// Bytes between two looks at the clock. The most expensive pattern takes some hundred microseconds
/// for each.
const PIECE: usize = 512;
/// Places between two looks at it.
const STEPS: usize = 4096;
/// Automata that a thread keeps, and bytes that the states of one may take.
const KEPT: usize = 8;
const STATES_BYTES: usize = 1 << 20;

/// Where the text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Whole,
    /// It goes on, unknown how: what may ask for that is not decided at its end.
    Cut,
}

/// Processor time ran out before it was known.
#[derive(Debug, PartialEq, Eq)]
pub struct Spent;

/// Whether a pattern matches somewhere, as [`regex`] would say. `goes_on` is asked again and again.
/// Nothing where the pattern is none that this search takes.
pub fn found_in_time(
    pattern: &str,
    text: &[u8],
    end: End,
    goes_on: &dyn Fn() -> bool,
) -> Option<Result<bool, Spent>> {
    let kept = automaton(pattern)?;
    let (automaton, cache) = &mut *kept.borrow_mut();
    let end = match end {
        End::Cut if looks_ahead(pattern) => End::Cut,
        End::Cut | End::Whole => End::Whole,
    };
    Some(match stepped((automaton, cache), text, end, goes_on) {
        Ok(Some(found)) => Ok(found),
        Ok(None) => ProgramPlaces::of(automaton.get_nfa()).are_met(text, end, goes_on),
        Err(spent) => Err(spent),
    })
}

/// Whether a pattern may ask what follows its match.
pub fn looks_ahead(pattern: &str) -> bool {
    ["$", "\\z", "\\b", "\\B"]
        .iter()
        .any(|anchor| pattern.contains(anchor))
}

type KeptAutomaton = Rc<RefCell<(DFA, Cache)>>;

/// The automaton of a pattern, made once for each thread while it is in use.
fn automaton(pattern: &str) -> Option<KeptAutomaton> {
    thread_local! {
        static LAST: RefCell<VecDeque<(String, KeptAutomaton)>> =
            const { RefCell::new(VecDeque::new()) };
    }
    LAST.with_borrow_mut(|last| {
        if let Some(at) = last.iter().position(|(text, _)| text == pattern) {
            let known = last.remove(at)?;
            let kept = known.1.clone();
            last.push_front(known);
            return Some(kept);
        }
        let made = automaton_of(pattern)?;
        let cache = made.create_cache();
        let kept: KeptAutomaton = Rc::new(RefCell::new((made, cache)));
        last.push_front((pattern.to_owned(), kept.clone()));
        last.truncate(KEPT);
        Some(kept)
    })
}

/// An automaton without states: they are made while it is used.
pub fn automaton_of(pattern: &str) -> Option<DFA> {
    DFA::builder()
        .configure(
            DFA::config()
                .unicode_word_boundary(true)
                .cache_capacity(STATES_BYTES)
                .skip_cache_capacity_check(true),
        )
        .syntax(syntax::Config::new().utf8(false))
        .thompson(
            thompson::Config::new()
                .utf8(false)
                .which_captures(WhichCaptures::None),
        )
        .build(pattern)
        .ok()
}

/// Nothing where the automaton has no answer.
fn stepped(
    (automaton, cache): (&DFA, &mut Cache),
    text: &[u8],
    end: End,
    goes_on: &dyn Fn() -> bool,
) -> Result<Option<bool>, Spent> {
    let Ok(mut state) = automaton.start_state(cache, &start::Config::new()) else {
        return Ok(None);
    };
    let decided = |state: LazyStateID| match state {
        _ if state.is_match() => Some(Some(true)),
        _ if state.is_dead() => Some(Some(false)),
        _ if state.is_quit() => Some(None),
        _ => None,
    };
    for piece in text.chunks(PIECE) {
        for byte in piece {
            let Ok(next) = automaton.next_state(cache, state, *byte) else {
                return Ok(None);
            };
            state = next;
            if state.is_tagged()
                && let Some(decided) = decided(state)
            {
                return Ok(decided);
            }
        }
        if !goes_on() {
            return Err(Spent);
        }
    }
    if end == End::Cut {
        return Ok(Some(false));
    }
    match automaton.next_eoi_state(cache, state) {
        Ok(last) => Ok(decided(last).unwrap_or(Some(false))),
        Err(_) => Ok(None),
    }
}

/// All places of a program that a text may have led to.
struct ProgramPlaces<'n> {
    program: &'n NFA,
    /// Those that wait for the next byte, and those that it leads to.
    here: Vec<StateID>,
    next: Vec<StateID>,
    /// At which byte each was come to last, counted from 1.
    seen: Vec<usize>,
}

impl<'n> ProgramPlaces<'n> {
    fn of(program: &'n NFA) -> Self {
        Self {
            program,
            here: Vec::new(),
            next: Vec::new(),
            seen: vec![0; program.states().len()],
        }
    }

    fn are_met(mut self, text: &[u8], end: End, goes_on: &dyn Fn() -> bool) -> Result<bool, Spent> {
        let mut steps = 0;
        for at in 0..=text.len() {
            let is_end = at == text.len();
            self.next.push(self.program.start_anchored());
            self.here.clear();
            while let Some(place) = self.next.pop() {
                steps += 1;
                if std::mem::replace(&mut self.seen[place.as_usize()], at + 1) == at + 1 {
                    continue;
                }
                match self.program.state(place) {
                    State::Match { .. } if !(is_end && end == End::Cut) => return Ok(true),
                    State::Match { .. } | State::Fail => {}
                    State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) => {
                        self.here.push(place)
                    }
                    State::Look { look, next } => {
                        if self.program.look_matcher().matches(*look, text, at) {
                            self.next.push(*next);
                        }
                    }
                    State::Union { alternates } => self.next.extend(alternates.iter().copied()),
                    State::BinaryUnion { alt1, alt2 } => self.next.extend([*alt1, *alt2]),
                    State::Capture { next, .. } => self.next.push(*next),
                }
            }
            if is_end {
                break;
            }
            for place in &self.here {
                let led_to = match self.program.state(*place) {
                    State::ByteRange { trans } if trans.matches(text, at) => Some(trans.next),
                    State::Sparse(several) => several.matches(text, at),
                    State::Dense(all) => all.matches(text, at),
                    _ => None,
                };
                self.next.extend(led_to);
            }
            steps += 1;
            if steps >= STEPS {
                steps = 0;
                if !goes_on() {
                    return Err(Spent);
                }
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each way says that has an answer.
    fn ways(text: &str, haystack: &[u8], end: End) -> Vec<bool> {
        let (kept, goes_on) = (automaton(text).expect("an automaton"), || true);
        let (automaton, cache) = &mut *kept.borrow_mut();
        let by_states = stepped((automaton, cache), haystack, end, &goes_on).expect("time");
        let by_places = ProgramPlaces::of(automaton.get_nfa()).are_met(haystack, end, &goes_on);
        by_states
            .into_iter()
            .chain([by_places.expect("time")])
            .collect()
    }

    #[test]
    fn each_way_says_what_the_regex_says() {
        let patterns = [
            "a",
            "",
            "^$",
            "$",
            "^a",
            "a$",
            "(?m)^b$",
            r"\bab\b",
            r"\Bb",
            r"(?-u)\bab\b",
            "a.{0,3}b",
            "(?i)error.{0,20}timeout",
            "(?s).*b.*a",
            "[^a]$",
            r"\w+\s\d",
            "(?-u)\\xff",
            "a|bc|",
            "ä.ö",
            r"\A\z",
            "(a|ab)(c|bcd)(d*)",
            r"\b",
            r"(?i)straße\b",
            "(?R)b$",
        ];
        let texts: [&[u8]; 16] = [
            b"",
            b"a",
            b"b",
            b"ab",
            b" ab ",
            b"xabx",
            b"a\nb\n",
            b"a\r\nb\r\n",
            b"ERROR and a TimeOut",
            "ä ö".as_bytes(),
            "äab".as_bytes(),
            "ab STRASSE straße".as_bytes(),
            b"\xff ab\xff",
            b"abcd",
            b"word 5",
            b"ab\xc3",
        ];
        for text in patterns {
            let regex = regex::bytes::Regex::new(text).expect("a pattern");
            for haystack in texts {
                for found in ways(text, haystack, End::Whole) {
                    assert_eq!(found, regex.is_match(haystack), "/{text}/ in {haystack:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_decided_at_a_cut_by_what_may_follow() {
        for (text, haystack, found) in [
            ("end$", "the end", false),
            (r"end\b", "the end", false),
            (r"end\b", "the end of", true),
            (r"ä\b", "the ä", false),
            (r"\berror.*", "error ääää", true),
        ] {
            for way in ways(text, haystack.as_bytes(), End::Cut) {
                assert_eq!(way, found, "/{text}/ in {haystack}");
            }
        }
    }
}
