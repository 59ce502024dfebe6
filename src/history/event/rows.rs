//! What an event means for the tables that readers ask: the one place where rows follow from
//! events, for those that are written, for those that are told again, and for verification.

use super::{DownEvent, Event, KnownEvent, UpEvent, Word};
use crate::history::chain::canonical;
use crate::history::seals::Unit;
use crate::words::{Ms, UtcMs, parse_utc};

/// What an event changes in the reading tables.
#[derive(Debug, Clone, PartialEq)]
pub enum Projection {
    OutageOpened {
        from: Ms,
        from_earliest: Ms,
        from_latest: Ms,
        confirmed_at: Ms,
        cause: Word,
    },
    OutageClosed {
        to: Ms,
        to_earliest: Ms,
        to_latest: Ms,
    },
    Unknown {
        from: Ms,
        to: Ms,
        reason: Word,
    },
    Doubtful {
        from: Ms,
        to: Ms,
    },
    Proven {
        from: Ms,
        to: Ms,
    },
    Absent {
        from: Ms,
        to: Ms,
    },
    ClockStep {
        at: Ms,
        offset_ms: i64,
    },
    /// A maintenance window was declared: its definition as JSON.
    WindowDeclared {
        id: String,
        body: String,
        recorded: UtcMs,
    },
    /// A window was cancelled or taken out of the config.
    WindowEnded {
        id: String,
        at: UtcMs,
    },
    /// A correction: its content as JSON.
    Corrected {
        body: String,
    },
    /// The tallies of an hour, a day or a month do not change any more.
    Sealed {
        unit: Unit,
        tallies: u64,
        sha256: String,
    },
    /// From here on the results of the endpoint's slots are recorded one by one.
    ResultsFrom {
        at: Ms,
    },
    ResultsUntil {
        at: Ms,
    },
}

impl Event {
    /// What it changes; `at` and `recorded` are the event's own.
    pub fn projection(&self, at: Ms, recorded: UtcMs) -> Option<Projection> {
        let closed = |to| Projection::OutageClosed {
            to,
            to_earliest: to,
            to_latest: to,
        };
        let doubtful = |from, to| Projection::Doubtful { from, to };
        let proven = |from, to| Projection::Proven { from, to };
        let clock = |at, offset_ms| Projection::ClockStep { at, offset_ms };
        let absent = |from, to| Projection::Absent { from, to };
        Some(match self {
            Event::Down(e) => e.opened(),
            Event::Up(e) => e.closed(),
            Event::OutageLeft(e) => closed(e.to_ms),
            Event::OutageLost(e) => closed(e.to_ms),
            Event::Known(e) => e.unknown(),
            Event::Unknown(e) => doubtful(e.doubt_from_ms?, e.from_ms),
            Event::Doubt(e) => doubtful(e.from_ms, e.to_ms),
            Event::Unconfirmed(e) => doubtful(e.from_ms, e.to_ms),
            Event::Proven(e) => proven(e.from_ms, e.to_ms),
            Event::OutOfService(e) => absent(e.from_ms, e.to_ms),
            Event::ClockStep(e) => clock(at, e.offset_after_ms),
            // The first event of a history says how its timeline and the calendar lie to each
            // other.
            Event::DaemonStarted(e) if e.last_mark_ms.is_none() => clock(0, 0),
            Event::MaintenanceDeclared(e) => Projection::WindowDeclared {
                id: e.id.clone(),
                body: canonical(&self.fields()),
                recorded,
            },
            Event::MaintenanceEnded(e) => Projection::WindowEnded {
                id: e.id.clone(),
                at: parse_utc(&e.from)?,
            },
            Event::Exclusion(_) => Projection::Corrected {
                body: canonical(&self.fields()),
            },
            Event::Tallies(e) => Projection::Sealed {
                unit: e.unit()?,
                tallies: e.tallies,
                sha256: e.sha256.clone(),
            },
            Event::ResultsFrom(e) => Projection::ResultsFrom { at: e.from_ms },
            Event::ResultsUntil(e) => Projection::ResultsUntil { at: e.to_ms },
            Event::DaemonStarted(_)
            | Event::FirstUp(_)
            | Event::EndpointAdded(_)
            | Event::EndpointRenamed(_)
            | Event::EndpointComponent(_)
            | Event::EndpointCadence(_)
            | Event::EndpointChanged(_)
            | Event::EndpointRemoved(_)
            | Event::DaemonStopped(_)
            | Event::Reloaded(_)
            | Event::RecordedLate(_)
            | Event::HistoryGap(_)
            | Event::WitnessesSilent(_)
            | Event::WitnessesAnswer(_)
            | Event::Config(_)
            | Event::Terms(_)
            | Event::Component(_)
            | Event::Witnesses(_)
            | Event::Limits(_)
            | Event::Annotation(_)
            | Event::CheckpointKeyChanged(_)
            | Event::Restored(_)
            | Event::Pruned(_) => return None,
        })
    }
}

impl DownEvent {
    fn opened(&self) -> Projection {
        Projection::OutageOpened {
            from: self.from_ms,
            from_earliest: self.from_earliest_ms,
            from_latest: self.from_latest_ms,
            confirmed_at: self.confirmed_at_ms,
            cause: self.cause.clone(),
        }
    }
}

impl UpEvent {
    fn closed(&self) -> Projection {
        Projection::OutageClosed {
            to: self.to_ms,
            to_earliest: self.to_earliest_ms,
            to_latest: self.to_latest_ms,
        }
    }
}

impl KnownEvent {
    fn unknown(&self) -> Projection {
        Projection::Unknown {
            from: self.from_ms,
            to: self.to_ms,
            reason: self.reason.clone(),
        }
    }
}
