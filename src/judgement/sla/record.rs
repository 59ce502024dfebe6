//! What was recorded, as a contract reads it: outages with their bounds, unknown time, maintenance, raw probes. UTC.

use crate::judgement::timeline::Span;
use crate::words::{Ms, Name, UtcMs};

/// Later than any period.
pub const OPEN: UtcMs = i64::MAX / 4;

/// An outage, or a stretch that may hold one: then `from == to`, and only its widest ends lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
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
        Span::new(self.from_earliest.min(self.from), self.to_latest.max(self.to))
    }

    /// What was surely down: never more than the outage itself.
    pub fn surest(&self) -> Span {
        Span::new(self.from_latest.max(self.from), self.to_earliest.min(self.to))
    }
}

/// One component's record.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    pub name: String,
    /// Empty: always.
    pub in_service: Vec<Span>,
    pub down: Vec<Outage>,
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

/// A timeline: `probity-timeline/1` in memory.
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
    /// Outages of these components that are shorter, between two probes, are not seen; `None` where it is not said of each.
    pub fn not_seen_below(&self, components: &[Name]) -> Option<Ms> {
        let each = components.iter().filter_map(|name| self.component(name.as_str())).map(|c| c.not_seen_below);
        each.reduce(|a, b| Some(a?.max(b?))).flatten()
    }

    pub fn component(&self, name: &str) -> Option<&Recorded> {
        self.components.iter().find(|c| c.name == name)
    }
}
