//! Patterns for which a body can be made that takes longer to search than may be (`judge_limit`).
//!
//! An automaton whose states fit into its memory makes each of them once, whatever the body. Where
//! they do not fit, a body can ask for another state with each byte.

use std::collections::{HashMap, HashSet};

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::DFA;
use regex_automata::util::start;

use super::{cost, work};
use crate::config::Plan;
use crate::config::document::search;
use crate::config::plan::probe::Pattern;
use crate::kind::Probe;
use crate::kind::http::spec::{Http, TextRule};
use crate::words::people;

/// Different patterns of a config that are looked at: one may take some hundredths of a second.
const MOST_PATTERNS: usize = 50;

/// What `probity check` says of a plan's patterns: each expensive one once.
pub fn notes(plan: &Plan) -> Vec<String> {
    let mut are_expensive: HashMap<&str, bool> = HashMap::new();
    let mut found: Vec<(&Pattern, &Http, &str, u64)> = Vec::new();
    let mut unseen = 0;
    for endpoint in &plan.endpoints {
        let Probe::Http(target) = &endpoint.probe else {
            continue;
        };
        let (http, name) = (&*target.spec, endpoint.name.as_str());
        for pattern in patterns(http).filter(|p| may_be_expensive(p, http)) {
            if let Some(same) = found.iter_mut().find(|(p, ..)| p.text == pattern.text) {
                same.3 += 1;
                continue;
            }
            if are_expensive.len() >= MOST_PATTERNS && !are_expensive.contains_key(&*pattern.text) {
                unseen += 1;
                continue;
            }
            let is_expensive = are_expensive
                .entry(&pattern.text)
                .or_insert_with(|| has_too_many_states(&pattern.text));
            if *is_expensive {
                found.push((pattern, http, name, 1));
            }
        }
    }
    let said = |(pattern, http, first, count): &(&Pattern, &Http, &str, u64)| {
        format!(
            "{} (such as {first}): the pattern {:?} can take more than {} of processor time on a \
                body of {}, if its text is made for it, and the endpoint is down then \
                (judge_limit). Write a simpler pattern, without parts such as .{{0,200}}, or lower \
                probe.http.limits.body",
            people::count(*count, "endpoint"),
            pattern.text,
            people::duration(work::longest(&http.limits).as_millis() as u64),
            people::size(http.limits.body)
        )
    };
    let others = (unseen > 0).then(|| {
        format!(
            "{} were not looked at: whether a body can be made that takes too long to search is \
                known of the first {MOST_PATTERNS} only",
            people::count(unseen, "more pattern")
        )
    });
    found.iter().map(said).chain(others).collect()
}

fn patterns(http: &Http) -> impl Iterator<Item = &Pattern> {
    http.expect.body.iter().filter_map(|rule| match rule {
        TextRule::Matches(pattern) | TextRule::NotMatches(pattern) => Some(pattern),
        TextRule::Contains(_) | TextRule::NotContains(_) => None,
    })
}

/// Whether a new state for each byte of the longest body would take too long.
fn may_be_expensive(pattern: &Pattern, http: &Http) -> bool {
    let bytes = usize::try_from(http.limits.body).unwrap_or(usize::MAX);
    u128::from(cost::pattern(pattern, bytes)) > work::longest(&http.limits).as_nanos()
}

/// Whether the automaton of a pattern has more states than fit into its memory.
fn has_too_many_states(pattern: &str) -> bool {
    let automaton = search::automaton_of(pattern);
    automaton.is_some_and(|automaton| all_states_fit(&automaton) == Some(false))
}

/// Nothing where the automaton has no answer.
fn all_states_fit(automaton: &DFA) -> Option<bool> {
    let mut cache = automaton.create_cache();
    // One byte of each class that the pattern tells apart.
    let classes = automaton.byte_classes();
    let bytes: Vec<u8> = classes
        .representatives(0..=255)
        .filter_map(|unit| unit.as_u8())
        .collect();
    let start = automaton
        .start_state(&mut cache, &start::Config::new())
        .ok()?;
    let ends = |state: LazyStateID| state.is_match() || state.is_dead() || state.is_quit();
    let (mut known, mut next) = (HashSet::from([start]), vec![start]);
    while let Some(state) = next.pop() {
        for byte in &bytes {
            let led_to = automaton.next_state(&mut cache, state, *byte).ok()?;
            if cache.clear_count() > 0 {
                return Some(false);
            }
            if !ends(led_to) && known.insert(led_to) {
                next.push(led_to);
            }
        }
    }
    Some(true)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{OneText, load};

    #[test]
    fn a_pattern_is_expensive_whose_states_do_not_fit_into_memory() {
        for cheap in [
            "Shop",
            r"version \d+\.\d+",
            r#""status"\s*:\s*"(ok|green)""#,
            "(?i)welcome",
            "Order #[0-9]{6,10} (shipped|paid)",
            ".*foo.*bar.*baz",
            r"\bwelcome\b",
            r"^\s*\{.*\}\s*$",
        ] {
            assert!(!has_too_many_states(cheap), "{cheap}");
        }
        for expensive in [
            "<title>.{0,200}Shop</title>",
            "(?i)error.{0,20}timeout",
            "[ab]*a[ab]{20}c",
            "[^<]{1,1000}</html>",
        ] {
            assert!(has_too_many_states(expensive), "{expensive}");
        }
    }

    #[test]
    fn an_expensive_pattern_is_noted_once_unless_the_bodies_are_short() {
        let notes = |limits: &str| {
            let one = |name: &str, pattern: &str| {
                format!(
                    "[[endpoint]]\nname = \"{name}\"\nprobe.http.url = \"http://192.0.2.1/\"\n\
                    probe.http.limits.body = \"{limits}\"\n\
                    probe.http.expect.body.matches = \"{pattern}\"\n"
                )
            };
            let text = [
                one("shop", "[ab]*a[ab]{20}c"),
                one("again", "[ab]*a[ab]{20}c"),
                one("fine", "welcome .*"),
            ]
            .concat();
            let plan = load(Path::new("probity.toml"), &OneText(&text)).expect("a plan");
            super::notes(&plan)
        };
        let found = notes("1MiB");
        assert_eq!(found.len(), 1, "{found:?}");
        let start = "2 endpoints (such as shop): the pattern \"[ab]*a[ab]{20}c\" can take more \
            than 250 ms of processor time on a body of 1 MiB";
        assert!(found[0].starts_with(start), "{found:?}");
        assert_eq!(notes("4KiB"), [""; 0]);
    }
}
