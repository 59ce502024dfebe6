//! Single results of slots, for contracts that count slices of the clock by the probes inside them.
//!
//! Re-probes are left out: they come close together while something fails, and would weigh failures
//! more than successes.

use super::{EVENTS_WAITING_LIMIT, Kept, Recorder};
use crate::history::event::{ResultsFromEvent, ResultsUntilEvent};
use crate::judgement::sla::contract::Contracts;
use crate::judgement::state::{ProbeResult, ResultKind};
use crate::words::Ms;

impl Recorder {
    /// Endpoints whose single results were recorded when the daemon ended.
    pub fn restore_recording(&mut self, endpoints: impl IntoIterator<Item = i64>) {
        self.slot_results.recording = endpoints.into_iter().collect();
    }

    /// Begins and ends the record of single results as the contracts ask for it; events tell of
    /// both.
    pub fn record_results_of(&mut self, contracts: &Contracts, now: Ms) {
        if !contracts.count_slices() && self.slot_results.recording.is_empty() {
            return;
        }
        for index in 0..self.tracked.len() {
            let tracked = &self.tracked[index];
            if !tracked.in_service {
                continue;
            }
            let is_wanted = contracts.count_slices_of(&tracked.entry.endpoint.load().component);
            self.tracked[index].is_counted_singly = is_wanted;
            if is_wanted {
                self.record_from(index, now);
            } else {
                self.record_no_more(index, now);
            }
        }
    }

    /// Records again what found no room in the batches before.
    pub(super) fn record_again(&mut self, now: Ms) {
        for (index, at) in std::mem::take(&mut self.slot_results.unrecorded) {
            self.record_no_more(index, at);
        }
        if std::mem::take(&mut self.slot_results.overflowed) {
            let plan = self.board.plan.load_full();
            self.record_results_of(&plan.contracts, now);
        }
    }

    fn record_from(&mut self, index: usize, now: Ms) {
        let tracked = &self.tracked[index];
        if self.slot_results.recording.contains(&tracked.id) {
            return;
        }
        // An endpoint that has no slot yet has missed none.
        let from = tracked
            .judge
            .first_start()
            .filter(|_| tracked.judge.slots().all() == 0)
            .unwrap_or(now);
        if self.event_of(index, now, ResultsFromEvent { from_ms: from }) == Kept::Yes {
            self.slot_results.recording.insert(self.tracked[index].id);
        }
    }

    pub(super) fn record_no_more(&mut self, index: usize, now: Ms) {
        let id = self.tracked[index].id;
        if self.slot_results.recording.contains(&id)
            && self.event_of(index, now, ResultsUntilEvent { to_ms: now }) == Kept::Yes
        {
            self.slot_results.recording.remove(&id);
        }
    }

    /// Keeps what a slot found, if it was measured.
    pub(super) fn keep_result(&mut self, index: usize, result: &ProbeResult) {
        if !self.tracked[index].is_counted_singly || !result.slot {
            return;
        }
        let ok = match result.kind {
            ResultKind::Success => true,
            ResultKind::Failure(_) => false,
            ResultKind::Unmeasured(_) => return,
        };
        let at = self.utc(result.start);
        if self.slot_results.results.len() >= EVENTS_WAITING_LIMIT {
            // The record says that it has a hole from here on, until there is room again.
            self.tracked[index].is_counted_singly = false;
            self.slot_results.overflowed = true;
            self.record_no_more(index, result.start);
            if self
                .slot_results
                .recording
                .contains(&self.tracked[index].id)
            {
                self.slot_results.unrecorded.push((index, result.start));
            }
            return;
        }
        self.slot_results
            .results
            .push((self.tracked[index].id, at, ok));
    }
}
