//! What a judge has not settled yet: results that are not decided, the run of failures, the outage.

use crate::words::{Cause, Ms, Reason};

/// The outage that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOutage {
    pub from: Ms,
    pub from_earliest: Ms,
    pub from_latest: Ms,
    pub confirmed_at: Ms,
    pub cause: Cause,
    /// `ledger.down` and the closed lower bound when it began, to tell its own share.
    pub(super) down_before: Ms,
    pub(super) lower_before: Ms,
}

/// A judged success or failure that vouches for the time after its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vouch {
    pub start: Ms,
    pub end: Ms,
    /// The start, or the latest busy slot that counts like it.
    pub until_from: Ms,
}

/// What is known of the time between two measured results, for naming the reason should it become
/// unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Notes {
    /// The latest start of the daemon in that time.
    pub started_at: Option<Ms>,
    pub reason: Option<Reason>,
    /// A probe was unmeasured: busy slots no longer count.
    pub unmeasured: bool,
    /// A failure was dropped before it was confirmed: the last measured result was no success.
    pub failed: bool,
    /// A new definition dropped such a failure: what a success before it says of the time until the
    /// next one is open.
    pub dropped: bool,
}

impl Notes {
    pub(super) fn and(self, later: Notes) -> Notes {
        Notes {
            started_at: later.started_at.or(self.started_at),
            reason: self.reason.or(later.reason),
            unmeasured: self.unmeasured || later.unmeasured,
            failed: self.failed || later.failed,
            dropped: self.dropped || later.dropped,
        }
    }
}

/// A result whose meaning is still open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pending {
    pub vouch: Vouch,
    pub slot: bool,
    /// The cause of a failure; `None` for a success.
    pub cause: Option<Cause>,
    /// The notes of the time before it.
    pub before: Notes,
}

/// A run of failures without a success or unknown time between, for the lower bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub first_end: Ms,
    pub last_start: Ms,
}

impl Run {
    pub(super) fn lower(self) -> Ms {
        self.last_start.saturating_sub(self.first_end)
    }
}

/// Whether two measured results are within the gap.
#[derive(PartialEq, Eq)]
pub(super) enum Link {
    Whole,
    Broken,
}
