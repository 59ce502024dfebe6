//! An endpoint as the recorder tracks it, from a start or reload until it leaves, and what becomes
//! of its starts and slots.

use std::sync::Arc;

use crate::engine::board::Entry;
use crate::judgement::counts::Slots;
use crate::judgement::fault::HeldUp;
use crate::judgement::rules::Rules;
use crate::judgement::state::Judge;
use crate::kind::run::ProbeReport;
use crate::words::{Digest, Ms, ProbeTrigger, Reason, UtcMs};

/// Whether a failed probe's repetition was asked for before its witnesses were heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Confirming {
    #[default]
    NotYet,
    Asked,
}

/// A probe that has ended.
#[derive(Debug)]
pub struct Probed {
    pub trigger: ProbeTrigger,
    /// When the slot was, of a probe that is one's.
    pub due: Option<Ms>,
    pub start: Ms,
    pub end: Ms,
    pub report: Box<ProbeReport>,
    /// Why the prober itself held it up, if it did.
    pub held_up: Option<HeldUp>,
    pub confirming: Confirming,
}

/// What became of one start or slot.
#[derive(Debug)]
pub enum SlotOutcome {
    Probe(Probed),
    Busy { at: Ms },
    Missed { at: Ms, reason: Reason, count: u64 },
}

/// Whether an event found room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Kept {
    Yes,
    No,
}

/// What the recorder wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reprobe {
    pub endpoint: usize,
    /// On the timeline.
    pub at: Ms,
}

/// An endpoint in one stretch of being configured.
pub struct TrackedEndpoint {
    pub id: i64,
    pub entry: Arc<Entry>,
    pub rules: Rules,
    pub judge: Judge,
    /// The next start to be judged.
    pub expected: u64,
    /// Results whose turn has not come.
    pub early: Vec<(u64, SlotOutcome)>,
    pub reprobes: u64,
    pub hour: HourCount,
    /// The judge's slots when this process took it over: /metrics counts from there.
    pub slots_before: Slots,
    pub in_service: bool,
    /// A contract counts the results of its slots one by one.
    pub is_counted_singly: bool,
    /// The endpoint is back, and its later entry goes on with this judge.
    pub is_taken_over: bool,
    /// In the batch that is being gathered.
    pub touched: bool,
    /// Its figures as of the last batch are not taken down yet.
    pub is_settling: bool,
    pub last_transition_utc: UtcMs,
    pub since_utc: UtcMs,
    /// Start of the open outage as the events have it.
    pub recorded_outage: Option<Ms>,
    pub definition: Digest,
    /// Starts of an older definition are not the endpoint's any more.
    pub void_before: u64,
}

/// Counts for the self metrics.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub unmeasured: [u64; Reason::ALL.len()],
    pub unknown_ms: [u64; Reason::ALL.len()],
    pub reprobes: [u64; 3],
}

/// Slots and re-probes by the hour of the calendar.
#[derive(Debug, Clone, Copy, Default)]
pub struct HourCount {
    pub number: i64,
    /// The judge's slots and the re-probes when the hour began.
    pub slots_before: Slots,
    pub reprobes_before: u64,
    /// Re-probes that the hour had before a restart.
    pub reprobes_carried: u64,
    /// The hour that was left last, complete.
    pub last: Complete,
}

/// An hour that is over.
#[derive(Debug, Clone, Copy, Default)]
pub struct Complete {
    pub number: i64,
    pub slots: Slots,
    pub slots_before: Slots,
    pub reprobes: u64,
    pub longest_blind: Ms,
}

pub fn difference(now: &Slots, base: &Slots) -> Slots {
    Slots {
        success: now.success.saturating_sub(base.success),
        failure: now.failure.saturating_sub(base.failure),
        unconfirmed: now.unconfirmed.saturating_sub(base.unconfirmed),
        unmeasured: now.unmeasured.saturating_sub(base.unmeasured),
        missed: now.missed.saturating_sub(base.missed),
    }
}
