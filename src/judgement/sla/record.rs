//! What was recorded, as a contract reads it: outages with their bounds, unknown time, maintenance,
//! raw probes. UTC.

use std::collections::BTreeMap;

use crate::judgement::timeline::Span;
use crate::words::{Ms, Name, UtcMs};

/// Later than any period.
pub const OPEN: UtcMs = i64::MAX / 4;

/// A stretch of an outage that is known to be down. What unknown time interrupts has several, with
/// the same number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outage {
    /// The outage that it belongs to; stretches without a number belong together where they touch.
    pub outage: Option<u64>,
    /// The outage had not ended when the record did.
    pub is_open: bool,
    /// The event of the correction that takes it, or a part of it, out of the figures.
    pub excluded_by: Option<u64>,
    pub from: UtcMs,
    pub to: UtcMs,
    pub from_earliest: UtcMs,
    pub from_latest: UtcMs,
    pub to_earliest: UtcMs,
    pub to_latest: UtcMs,
}

impl Outage {
    /// The worst case: never less than the outage itself, whatever ends a foreign timeline gives.
    pub fn widest(&self) -> Span {
        Span::new(
            self.from_earliest.min(self.from),
            self.to_latest.max(self.to),
        )
    }

    /// What was surely down: never more than the outage itself.
    pub fn surest(&self) -> Span {
        Span::new(
            self.from_latest.max(self.from),
            self.to_earliest.min(self.to),
        )
    }

    fn and(self, later: Outage) -> Outage {
        let is_last = later.to >= self.to;
        Outage {
            outage: self.outage,
            is_open: self.is_open || later.is_open,
            excluded_by: self.excluded_by.or(later.excluded_by),
            from: self.from.min(later.from),
            to: self.to.max(later.to),
            from_earliest: self.from_earliest.min(later.from_earliest),
            from_latest: self.from_latest,
            to_earliest: if is_last {
                later.to_earliest
            } else {
                self.to_earliest
            },
            to_latest: self.to_latest.max(later.to_latest),
        }
    }
}

/// Each outage once, from its first stretch to its last, in order: stretches of one number, and
/// those without that touch.
pub fn whole_outages(stretches: &[Outage]) -> Vec<Outage> {
    let mut sorted = stretches.to_vec();
    sorted.sort_by_key(|o| (o.from, o.to));
    let mut list: Vec<Outage> = Vec::new();
    // Where in the list each number is, and the last one without a number: it reaches furthest, as
    // one that reached further would have taken it in.
    let (mut numbered, mut unnumbered) = (BTreeMap::new(), None);
    for one in sorted {
        let same: Option<usize> = match one.outage {
            Some(number) => numbered.get(&number).copied(),
            None => unnumbered.filter(|at: &usize| one.from <= list[*at].to),
        };
        match same {
            Some(at) => list[at] = list[at].and(one),
            None => {
                match one.outage {
                    Some(number) => drop(numbered.insert(number, list.len())),
                    None => unnumbered = Some(list.len()),
                }
                list.push(one);
            }
        }
    }
    list
}

/// One component's record.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    pub name: String,
    /// Empty: always.
    pub in_service: Vec<Span>,
    /// Time out of service that began while it was down.
    pub left_while_down: Vec<Span>,
    pub down: Vec<Outage>,
    /// Time that may hold an outage that was not confirmed, or lies between a success and unknown
    /// time.
    pub possible_down: Vec<Span>,
    pub unknown: Vec<(Span, Option<String>)>,
    /// (when, whether it succeeded), where raw results are known.
    pub probes: Option<Vec<(UtcMs, bool)>>,
    /// Why they are not, where that is known.
    pub probes_missing: Option<String>,
    /// Outages shorter than this, between two probes, are not seen; `None` where nobody says.
    pub not_seen_below: Option<Ms>,
}

/// A declared window.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    pub id: Option<String>,
    pub from: UtcMs,
    pub to: UtcMs,
    /// What is claimed; `None`: always admitted.
    pub announced_at: Option<UtcMs>,
    /// When the declaration itself was recorded, if that is known.
    pub recorded_at: Option<UtcMs>,
    /// `None`: all.
    pub components: Option<Vec<String>>,
    pub reason: Option<String>,
}

/// A timeline: `probity-timeline/2` in memory.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    /// Before it nothing was recorded.
    pub from: Option<UtcMs>,
    /// How far the record reaches.
    pub to: Option<UtcMs>,
    pub components: Vec<Recorded>,
    pub maintenance: Vec<Declared>,
}

impl Timeline {
    /// Outages of these components that are shorter, between two probes, are not seen; `None` where
    /// it is not said of each.
    pub fn not_seen_below(&self, components: &[Name]) -> Option<Ms> {
        let each = components
            .iter()
            .filter_map(|name| self.component(name.as_str()))
            .map(|c| c.not_seen_below);
        each.reduce(|a, b| Some(a?.max(b?))).flatten()
    }

    pub fn component(&self, name: &str) -> Option<&Recorded> {
        self.components.iter().find(|c| c.name == name)
    }
}
