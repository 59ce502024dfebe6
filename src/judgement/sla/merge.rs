//! Several timelines of the same components, from several vantages, merged by quorum into one.

use std::collections::BTreeSet;

use super::record::{Declared, OPEN, Outage, Recorded, Timeline};
use crate::judgement::timeline::{Span, Spans};

/// One vantage's sets of one component.
struct Vote {
    /// Where the vantage has a record at all.
    present: Spans,
    down: Spans,
    unknown: Spans,
    lower: Spans,
    upper: Spans,
}

/// Sets of the merged component.
pub struct Merged {
    /// Known not to be down.
    pub up: Spans,
    pub down: Spans,
    pub unknown: Spans,
    pub lower: Spans,
    pub upper: Spans,
}

/// Merges sets of vantages: down where at least `quorum` say so; left out, more than half of those
/// present, at least two. An absent vantage is an unknown vote.
fn merged(votes: &[Vote], whole: &Spans, quorum: Option<usize>) -> Merged {
    let present: Vec<&Spans> = votes.iter().map(|v| &v.present).collect();
    let mut all = Merged {
        up: Spans::default(),
        down: Spans::default(),
        unknown: Spans::default(),
        lower: Spans::default(),
        upper: Spans::default(),
    };
    for here in 0..=votes.len() {
        let at_least = if here == 0 {
            whole.clone()
        } else {
            Spans::in_at_least(&present, here)
        };
        let exactly = at_least
            .minus(&Spans::in_at_least(&present, here + 1))
            .both(whole);
        if exactly.as_slice().is_empty() {
            continue;
        }
        let majority = if votes.len() > 1 {
            (here / 2 + 1).max(2)
        } else {
            1
        };
        let needed = quorum.unwrap_or(majority);
        let count = |pick: &dyn Fn(&Vote) -> Spans| {
            let sets: Vec<Spans> = votes.iter().map(pick).collect();
            Spans::in_at_least(&sets.iter().collect::<Vec<_>>(), needed).both(&exactly)
        };
        let open = |v: &Vote| v.unknown.union(&whole.minus(&v.present));
        let down = count(&|v| v.down.clone());
        let unknown = count(&|v| v.down.union(&open(v))).minus(&down);
        all.upper = all
            .upper
            .union(&count(&|v| v.upper.union(&open(v))).minus(&unknown));
        all.lower = all.lower.union(&count(&|v| v.lower.clone()));
        all.down = all.down.union(&down);
        all.unknown = all.unknown.union(&unknown);
    }
    all.up = whole.minus(&all.down).minus(&all.unknown);
    all
}

/// The merged timeline. `told`: how the sets of a component are told as outages, and as time that
/// may hold one.
pub fn merge(
    timelines: &[Timeline],
    quorum: Option<usize>,
    told: impl Fn(&Merged) -> (Vec<Outage>, Vec<Span>),
) -> Timeline {
    if let [only] = timelines {
        return only.clone();
    }
    let from = timelines.iter().filter_map(|t| t.from).min();
    let to = timelines.iter().filter_map(|t| t.to).max();
    let whole = Spans::new(vec![Span::new(from.unwrap_or(-OPEN), to.unwrap_or(OPEN))]);
    let names: BTreeSet<&str> = timelines
        .iter()
        .flat_map(|t| t.components.iter().map(|c| c.name.as_str()))
        .collect();
    let component = |name: &str| {
        let votes: Vec<Vote> = timelines.iter().map(|t| vote(t, name, &whole)).collect();
        let merged = merged(&votes, &whole, quorum);
        let (down, possible_down) = told(&merged);
        let parts: Vec<&Recorded> = timelines.iter().filter_map(|t| t.component(name)).collect();
        Recorded {
            name: name.to_owned(),
            in_service: in_service_anywhere(&parts),
            left_while_down: parts
                .iter()
                .flat_map(|c| c.left_while_down.clone())
                .collect(),
            down,
            possible_down,
            unknown: merged
                .unknown
                .as_slice()
                .iter()
                .map(|s| (*s, None))
                .collect(),
            probes: None,
            not_seen_below: parts
                .iter()
                .map(|c| c.not_seen_below)
                .reduce(|a, b| Some(a?.max(b?)))
                .flatten(),
            probes_missing: Some(
                "slices of several timelines cannot be merged; evaluate each by itself".to_owned(),
            ),
        }
    };
    Timeline {
        from,
        to,
        components: names.into_iter().map(component).collect(),
        maintenance: windows(timelines.iter().flat_map(|t| &t.maintenance)),
    }
}

/// In service where any vantage has it so; one that says nothing of it says always.
fn in_service_anywhere(parts: &[&Recorded]) -> Vec<Span> {
    if parts.iter().any(|part| part.in_service.is_empty()) {
        return Vec::new();
    }
    let all = parts.iter().flat_map(|part| &part.in_service).copied();
    Spans::new(all.collect()).as_slice().to_vec()
}

/// Each window once, whatever the order of the files: of several records of one the latest, as
/// notice counts from it.
fn windows<'d>(all: impl Iterator<Item = &'d Declared>) -> Vec<Declared> {
    let mut list: Vec<Declared> = all.cloned().collect();
    list.sort_by(|a, b| {
        let key = |w: &Declared| {
            (
                w.from,
                w.to,
                w.components.clone(),
                w.announced_at,
                std::cmp::Reverse(w.recorded_at),
                w.id.clone(),
                w.reason.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    list.dedup_by(|later, first| {
        (later.from, later.to, &later.components, later.announced_at)
            == (first.from, first.to, &first.components, first.announced_at)
    });
    list
}

fn vote(timeline: &Timeline, name: &str, whole: &Spans) -> Vote {
    let Some(part) = timeline.component(name) else {
        return Vote {
            present: Spans::default(),
            down: Spans::default(),
            unknown: Spans::default(),
            lower: Spans::default(),
            upper: Spans::default(),
        };
    };
    let present = whole.cut(Span::new(
        timeline.from.unwrap_or(-OPEN),
        timeline.to.unwrap_or(OPEN),
    ));
    let set = |spans: Vec<Span>| Spans::new(spans).both(&present);
    let down = set(part.down.iter().map(|o| Span::new(o.from, o.to)).collect());
    let unknown = set(part.unknown.iter().map(|u| u.0).collect()).minus(&down);
    let lower = set(part.down.iter().map(Outage::surest).collect());
    let upper = set(part
        .down
        .iter()
        .map(Outage::widest)
        .chain(part.possible_down.iter().copied())
        .collect())
    .minus(&unknown);
    Vote {
        present,
        down,
        unknown,
        lower,
        upper,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(from: i64, to: i64, down: &[(i64, i64)], unknown: &[(i64, i64)]) -> Timeline {
        let exact = |(from, to): &(i64, i64)| Outage {
            from: *from,
            to: *to,
            from_earliest: *from,
            from_latest: *from,
            to_earliest: *to,
            to_latest: *to,
            ..Outage::default()
        };
        let part = Recorded {
            name: "c".into(),
            down: down.iter().map(exact).collect(),
            unknown: unknown
                .iter()
                .map(|(a, b)| (Span::new(*a, *b), None))
                .collect(),
            ..Recorded::default()
        };
        Timeline {
            from: Some(from),
            to: Some(to),
            components: vec![part],
            maintenance: Vec::new(),
        }
    }

    type Pairs = Vec<(i64, i64)>;

    fn spans(timelines: &[Timeline], quorum: Option<usize>) -> (Pairs, Pairs) {
        let whole = Spans::new(vec![Span::new(0, 100)]);
        let votes: Vec<Vote> = timelines.iter().map(|t| vote(t, "c", &whole)).collect();
        let found = merged(&votes, &whole, quorum);
        let pairs = |s: &Spans| s.as_slice().iter().map(|s| (s.from, s.to)).collect();
        (pairs(&found.down), pairs(&found.unknown))
    }

    #[test]
    fn a_vantage_that_says_nothing_of_service_says_always() {
        let mut late = one(0, 100, &[(10, 40)], &[]);
        late.components[0].in_service = vec![Span::new(50, 100)];
        let always = one(0, 100, &[(10, 40)], &[]);
        for pair in [[late.clone(), always.clone()], [always, late.clone()]] {
            assert!(
                merge(&pair, None, |_| Default::default()).components[0]
                    .in_service
                    .is_empty()
            );
        }
        assert_eq!(
            merge(&[late.clone(), late], None, |_| Default::default()).components[0].in_service,
            [Span::new(50, 100)]
        );
    }

    #[test]
    fn the_latest_record_of_a_window_counts_in_whatever_order_it_comes() {
        let with = |recorded: i64| Timeline {
            maintenance: vec![Declared {
                from: 10,
                to: 20,
                recorded_at: Some(recorded),
                ..Declared::default()
            }],
            ..one(0, 100, &[], &[])
        };
        for pair in [[with(1), with(5)], [with(5), with(1)]] {
            let merged = merge(&pair, None, |_| Default::default());
            assert_eq!(
                merged
                    .maintenance
                    .iter()
                    .map(|w| w.recorded_at)
                    .collect::<Vec<_>>(),
                [Some(5)]
            );
        }
    }

    #[test]
    fn two_of_three_vantages_decide() {
        let all = [
            one(0, 100, &[(10, 40)], &[]),
            one(0, 100, &[(20, 50)], &[]),
            one(0, 100, &[], &[]),
        ];
        assert_eq!(spans(&all, None), (vec![(20, 40)], vec![]));
        assert_eq!(spans(&all, Some(1)), (vec![(10, 50)], vec![]));
        assert_eq!(spans(&all, Some(3)), (vec![], vec![]));
    }

    #[test]
    fn an_absent_or_unknowing_vantage_may_have_been_the_one_that_decides() {
        let all = [
            one(0, 100, &[(10, 40)], &[]),
            one(0, 100, &[], &[(0, 20)]),
            one(0, 100, &[], &[]),
        ];
        assert_eq!(spans(&all, None), (vec![], vec![(10, 20)]));
        let alone = [one(0, 100, &[(10, 40)], &[]), one(0, 30, &[], &[])];
        assert_eq!(
            spans(&alone, None),
            (vec![], vec![(30, 40)]),
            "one vantage alone does not decide where two were expected"
        );
    }
}
