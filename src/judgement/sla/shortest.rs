//! `min_outage`: which stretches of downtime a contract counts, after all its cuts and after
//! components were put together.
//!
//! What unknown time interrupts is one stretch. A short one falls out; where only whole minutes
//! count, each loses at its end what is over.

use super::contract::{Contract, MinOutage, Unknown};
use super::measure::Measured;
use crate::judgement::timeline::{Span, Spans};
use crate::words::Ms;

const MINUTE_MS: Ms = 60_000;

/// The sets of one component or of several together as the contract counts them.
pub fn counted(contract: &Contract, sets: Measured) -> Measured {
    let rule = contract.min_outage;
    if rule == MinOutage::default() {
        return sets;
    }
    let nothing = Spans::default();
    let beside = if contract.unknown == Unknown::Down {
        sets.unknown.clone()
    } else {
        nothing.clone()
    };
    let down = Spans::new(
        stretches(&sets.down, &sets.unknown)
            .iter()
            .flat_map(|s| s.kept(rule, s.touched(&beside)).0)
            .collect(),
    );
    // In unknown time the endpoint may have been up: what proves downtime on either side of it
    // proves two outages.
    let lower = Spans::new(
        stretches(&sets.lower, &nothing)
            .iter()
            .flat_map(|s| s.kept(rule, 0).0)
            .collect(),
    );
    // In the worst case it was down in all of it, and in what is not over yet.
    let open = sets.unknown.union(&sets.future);
    let (mut upper, mut upper_beyond) = (Vec::new(), 0);
    for stretch in stretches(&sets.upper, &open) {
        let (spans, beyond) = stretch.kept(rule, stretch.touched(&open));
        upper.extend(spans);
        upper_beyond += beyond;
    }
    Measured {
        down,
        lower,
        upper: Spans::new(upper),
        upper_beyond,
        ..sets
    }
}

/// Pieces with nothing but `bridge` between them.
struct Stretch(Vec<Span>);

fn stretches(set: &Spans, bridge: &Spans) -> Vec<Stretch> {
    let mut list: Vec<Stretch> = Vec::new();
    for piece in set.as_slice() {
        let last = list.last_mut().filter(|s| {
            let gap = Span::new(s.end(), piece.from);
            bridge.cut(gap).length() == gap.length()
        });
        match last {
            Some(stretch) => stretch.0.push(*piece),
            None => list.push(Stretch(vec![*piece])),
        }
    }
    list
}

impl Stretch {
    fn end(&self) -> i64 {
        self.0.last().map_or(i64::MIN / 4, |s| s.to)
    }

    fn length(&self) -> Ms {
        self.0.iter().map(|s| s.length()).sum()
    }

    /// How much of a set touches it or lies between its pieces.
    fn touched(&self, set: &Spans) -> Ms {
        let Some(first) = self.0.first() else {
            return 0;
        };
        let touching = set
            .as_slice()
            .iter()
            .filter(|s| s.to >= first.from && s.from <= self.end());
        touching.map(|s| s.length()).sum()
    }

    /// The pieces that count, and how much more counts than they hold; `beside` is counted anyway,
    /// and makes the outage that much longer.
    fn kept(&self, rule: MinOutage, beside: Ms) -> (Vec<Span>, Ms) {
        let (own, all) = (self.length(), self.length() + beside);
        if all < rule.length {
            return (Vec::new(), 0);
        }
        if !rule.whole_minutes {
            return (self.0.clone(), 0);
        }
        // Whole minutes that are, with what is counted beside them, at least the whole minutes of
        // the outage.
        let count = (all / MINUTE_MS * MINUTE_MS)
            .saturating_sub(beside)
            .div_ceil(MINUTE_MS)
            * MINUTE_MS;
        let mut left = count.min(own) as i64;
        let mut kept = Vec::new();
        for piece in &self.0 {
            let to = piece.to.min(piece.from + left);
            kept.push(Span::new(piece.from, to));
            left -= to - piece.from;
        }
        (kept, count - count.min(own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(pieces: &[(i64, i64)], beside: Ms, length: Ms, whole_minutes: bool) -> (Ms, Ms) {
        let stretch = Stretch(pieces.iter().map(|(a, b)| Span::new(*a, *b)).collect());
        let (spans, beyond) = stretch.kept(
            MinOutage {
                length,
                whole_minutes,
            },
            beside,
        );
        (spans.iter().map(|s| s.length()).sum(), beyond)
    }

    #[test]
    fn a_stretch_counts_whole_or_in_whole_minutes() {
        assert_eq!(kept(&[(0, 59_999)], 0, 60_000, false), (0, 0));
        assert_eq!(kept(&[(0, 60_000)], 0, 60_000, false), (60_000, 0));
        assert_eq!(kept(&[(0, 119_999)], 0, 60_000, true), (60_000, 0));
        assert_eq!(
            kept(&[(0, 40_000), (50_000, 90_000)], 0, 60_000, true),
            (60_000, 0),
            "40 s and 40 s with unknown time between"
        );
    }

    #[test]
    fn the_worst_case_beside_unknown_time_is_whole_minutes_and_no_less_than_the_outage() {
        // 40 s down and 30 s unknown may be an outage of 70 s, a minute of which counts; 30 s are
        // counted as unknown.
        assert_eq!(kept(&[(0, 40_000)], 30_000, 60_000, true), (40_000, 20_000));
        assert_eq!(kept(&[(0, 40_000)], 10_000, 60_000, true), (0, 0));
        assert_eq!(kept(&[(0, 40_000)], 90_000, 60_000, false), (40_000, 0));
        for (own, beside) in [(1, 59_999), (61_000, 1), (59_000, 61_000), (130_000, 7)] {
            let (count, beyond) = kept(&[(0, own as i64)], beside, 0, true);
            assert_eq!((count + beyond) % MINUTE_MS, 0);
            assert!(
                count + beyond + beside >= (own + beside) / MINUTE_MS * MINUTE_MS,
                "{own} {beside}"
            );
        }
    }
}
