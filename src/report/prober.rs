//! What "Changed in this period" has of the prober itself: other witnesses, other limits of probes
//! at once. Both may turn failures into unknown time.

use serde_json::json;

use super::object::{ChangeOf, ReportedChange};
use super::terms::row;
use crate::config::document::value::show_duration;
use crate::history::definitions::{RecordedDefinitions, RecordedSince};
use crate::history::event::{LimitsEvent, WitnessDefinition, WitnessesEvent};
use crate::judgement::timeline::Span;
use crate::words::shortened;

/// Each change within a period, in order. What was told first is no change.
pub fn rows(definitions: &RecordedDefinitions, period: Span) -> Vec<ReportedChange> {
    let of_witnesses = steps(
        &definitions.witnesses,
        period,
        ChangeOf::Witnesses,
        witnesses,
    );
    let of_limits = steps(&definitions.limits, period, ChangeOf::Limits, |of, _| {
        limits(of)
    });
    let mut all: Vec<ReportedChange> = of_limits.chain(of_witnesses).collect();
    all.sort_by(|a, b| (&a.at, a.event).cmp(&(&b.at, b.event)));
    all
}

fn steps<W: PartialEq>(
    definitions: &[RecordedSince<W>],
    period: Span,
    what: ChangeOf,
    text: fn(&W, &W) -> String,
) -> impl Iterator<Item = ReportedChange> + '_ {
    let pairs = definitions.windows(2).filter_map(|pair| match pair {
        [before, after] => Some((before, after)),
        _ => None,
    });
    pairs
        .filter(move |(before, after)| {
            (period.from..period.to).contains(&after.at) && before.what != after.what
        })
        .map(move |(before, after)| ReportedChange {
            event: Some(after.event),
            before: json!(text(&before.what, &after.what)),
            after: json!(text(&after.what, &before.what)),
            ..row(what, after.at)
        })
}

/// A set of witnesses beside the one before or after it: those of the same name that are not the
/// same have the beginning of their digest.
fn witnesses(of: &WitnessesEvent, other: &WitnessesEvent) -> String {
    let name = |w: &WitnessDefinition| {
        let is_another = |o: &WitnessDefinition| o.name == w.name && o != w;
        if other.witnesses.iter().any(is_another) {
            let (digest, timeout) = (shortened(&w.digest), show_duration(w.timeout_ms));
            format!("{} ({digest}, timeout {timeout})", w.name)
        } else {
            w.name.clone()
        }
    };
    if of.witnesses.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<String> = of.witnesses.iter().map(name).collect();
    let quorum = of.quorum.map_or("majority".to_owned(), |n| n.to_string());
    format!("{}; quorum {quorum}", names.join(", "))
}

fn limits(of: &LimitsEvent) -> String {
    let shown = |n: Option<u64>| n.map_or("default".to_owned(), |n| n.to_string());
    format!(
        "max_in_flight {}, max_in_flight_per_host {}",
        shown(of.max_in_flight),
        shown(of.max_in_flight_per_host)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[(&str, &str)], quorum: Option<u64>) -> WitnessesEvent {
        let witness = |(name, digest): &(&str, &str)| WitnessDefinition {
            name: (*name).to_owned(),
            probe: "tcp".to_owned(),
            target: "192.0.2.1:443".to_owned(),
            digest: (*digest).to_owned(),
            timeout_ms: 2000,
        };
        WitnessesEvent {
            witnesses: names.iter().map(witness).collect(),
            quorum,
        }
    }

    fn telling<W>(at: i64, event: u64, what: W) -> RecordedSince<W> {
        RecordedSince { at, event, what }
    }

    fn limited(max_in_flight: Option<u64>) -> LimitsEvent {
        LimitsEvent {
            max_in_flight,
            max_in_flight_per_host: None,
        }
    }

    #[test]
    fn each_change_of_witnesses_and_limits_is_a_row_but_the_first_telling_is_none() {
        let far = set(&[("far", "a")], None);
        let definitions = RecordedDefinitions {
            witnesses: vec![
                telling(5, 1, set(&[], None)),
                telling(20, 4, far.clone()),
                telling(30, 6, set(&[("far", "b"), ("near", "c")], Some(2))),
                telling(99, 9, far),
            ],
            limits: vec![
                telling(5, 2, limited(None)),
                telling(20, 5, limited(Some(1))),
                telling(25, 7, limited(Some(1))),
            ],
            ..RecordedDefinitions::default()
        };
        let rows: Vec<_> = rows(&definitions, Span::new(0, 50))
            .into_iter()
            .map(|r| (r.event, r.what.as_str(), r.before, r.after))
            .collect();
        let default = "max_in_flight default, max_in_flight_per_host default";
        let one = "max_in_flight 1, max_in_flight_per_host default";
        let (a, b) = (
            "far (a, timeout 2s); quorum majority",
            "far (b, timeout 2s), near; quorum 2",
        );
        assert_eq!(
            rows,
            [
                (
                    Some(4),
                    "witnesses",
                    json!("none"),
                    json!("far; quorum majority")
                ),
                (Some(5), "limits", json!(default), json!(one)),
                (Some(6), "witnesses", json!(a), json!(b)),
            ]
        );
        assert_eq!(super::rows(&definitions, Span::new(6, 21)).len(), 2);
    }
}
