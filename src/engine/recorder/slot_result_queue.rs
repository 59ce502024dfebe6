//! Single results of slots on their way to the history.

use std::collections::HashSet;

use crate::words::{Ms, UtcMs};

/// Single results on their way to the history.
#[derive(Default)]
pub(super) struct SlotResultQueue {
    /// Of the batch that is being gathered: endpoint, start of the slot, success.
    pub results: Vec<(i64, UtcMs, bool)>,
    /// Endpoints whose single results are recorded, as the events say.
    pub recording: HashSet<i64>,
    /// Some found no room: their record ended, and begins again with the next batch.
    pub overflowed: bool,
    /// Ends of records whose events found no room either.
    pub unrecorded: Vec<(usize, Ms)>,
}

impl SlotResultQueue {
    /// Whether something becomes an event with the next batch.
    pub fn has_more_to_tell(&self) -> bool {
        self.overflowed || !self.unrecorded.is_empty()
    }
}
