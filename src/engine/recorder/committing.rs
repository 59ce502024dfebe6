//! Gathers what happened into batches for the history, and shows figures once theirs is committed.
//!
//! A batch holds the judges' inputs since the last one, the events, and a few stored judges in
//! rotation, so that a restart has at most the batches of some minutes to replay.

use super::Recorder;
use crate::engine::board::Settled;
use crate::history::{Batch, Stamp};
use crate::judgement::counts::Transitions;
use crate::judgement::state::Judge;

impl Recorder {
    pub fn endpoints(&self) -> usize {
        self.tracked.len()
    }

    /// The judge of an endpoint, as it stands.
    pub fn judge(&self, index: usize) -> &Judge {
        &self.tracked[index].judge
    }

    pub fn has_events(&self) -> bool {
        !self.next_batch.events.is_empty() || !self.next_batch.outbox.is_empty()
    }

    /// Whether something waits to become an event when the batch is closed.
    pub fn has_more_to_tell(&self) -> bool {
        self.next_batch.overflow.dropped > 0
            || !self.next_batch.service.is_empty()
            || !self.definitions.cadences_unrecorded.is_empty()
            || self.slot_results.has_more_to_tell()
    }

    /// The number of the batch that is being gathered.
    pub fn next_batch_number(&self) -> u64 {
        self.next_batch.last + 1
    }

    pub fn events_waiting(&self) -> usize {
        self.next_batch.events.len()
    }

    /// Closes the batch that was gathered, for the history to commit.
    pub fn close_batch(&mut self, stamp: Stamp) -> Batch {
        let now = stamp.timeline_ms;
        let results = std::mem::take(&mut self.slot_results.results);
        self.record_again(now);
        self.record_gaps(now, stamp.utc_ms);
        self.next_batch
            .events
            .append(&mut self.definitions.cadences_unrecorded);
        self.settle_some(usize::MAX);
        for index in &self.next_batch.touched {
            self.tracked[*index].touched = false;
            self.tracked[*index].is_settling = true;
        }
        let (batch, touched) = self.next_batch.close(stamp, results, &self.tracked);
        self.publisher.settle_later(batch.id, touched);
        batch
    }

    /// Every judge goes into the next batch, as at a clean end.
    pub fn store_all(&mut self) {
        self.next_batch.dropped_inputs = true;
    }

    /// Takes the figures of the last batch down, a few endpoints at a time, so that no probe waits
    /// for all of them.
    pub fn settle_some(&mut self, limit: usize) {
        for _ in 0..limit {
            let Some(index) = self.publisher.settling.pop() else {
                return;
            };
            self.settle(index);
        }
    }

    /// The figures of an endpoint as of the last batch; called before anything changes them.
    pub(super) fn settle(&mut self, index: usize) {
        if std::mem::take(&mut self.tracked[index].is_settling) {
            let figures = self.settled(index);
            self.publisher.take_down(index, figures);
        }
    }

    /// The history has committed these batches: what their figures were is shown from now on.
    pub fn committed(&mut self, batch: u64) {
        if self.publisher.is_last(batch) {
            self.settle_some(usize::MAX);
        }
        self.publisher.committed(batch);
    }

    /// Shows some of the figures that are committed; a scrape that has just begun need not keep the
    /// old ones as well.
    pub fn show_some(&mut self, limit: usize) {
        if self.board.should_defer_figures() {
            return;
        }
        for _ in 0..limit.min(self.publisher.to_show.len()) {
            let Some((index, settled)) = self.publisher.to_show.pop_front() else {
                return;
            };
            let shown = self.board.change(&self.tracked[index].entry, |view| {
                // An older figure that a reader had held up must not replace a newer one.
                if settled.watermark >= view.shown.settled.watermark {
                    view.shown.settled = settled;
                }
            });
            if !shown {
                self.publisher.to_show.push_back((index, settled));
            }
        }
    }

    pub(super) fn settled(&self, index: usize) -> Settled {
        let tracked = &self.tracked[index];
        let (ledger, base, t) = (
            tracked.judge.ledger(),
            tracked.judge.base(),
            *tracked.judge.transitions(),
        );
        let first_start = tracked.judge.first_start();
        let [up, down, unknown] = ledger.maintenance;
        let [base_up, base_down, base_unknown] = base.maintenance;
        Settled {
            first_start,
            counted_from: if base.at > 0 {
                Some(base.at)
            } else {
                first_start
            },
            watermark: ledger.watermark,
            watermark_utc: self.utc(ledger.watermark),
            up: ledger.up - base.up,
            down: ledger.down - base.down,
            unknown: ledger.unknown - base.unknown,
            down_lower: tracked.judge.down_lower() - base.down_lower,
            down_upper: ledger.down_upper - base.down_upper,
            maintenance: [up - base_up, down - base_down, unknown - base_unknown],
            transitions: Transitions {
                up: t.up - base.transitions.up,
                down: t.down - base.transitions.down,
                unknown: t.unknown - base.transitions.unknown,
            },
            last_transition_utc: tracked.last_transition_utc,
            open_unknown: tracked.judge.open_unknown(),
            open_run: tracked.judge.open_run(),
            out_of_service: ledger.out_of_service,
            longest_blind: tracked.judge.longest_blind(),
            blind_lately: tracked.judge.blind_lately(),
        }
    }
}
