//! Gathers what happened into batches for the history, and shows figures once theirs is committed.
//!
//! A batch holds the judges' inputs since the last one, the events, and a few stored judges in
//! rotation, so that a restart has at most [`STATE_ROUNDS`] batches to replay.

use super::{Course, Recorder};
use crate::engine::board::Settled;
use crate::engine::inputs::InputLog;
use crate::history::{Batch, Stamp};
use crate::judgement::state::{Judge, Transitions};
use crate::judgement::state_codec::encode_with;

/// Rounds of batches in which every judge is stored once.
const STATE_ROUNDS: usize = 300;

impl Recorder {
    pub fn endpoints(&self) -> usize {
        self.courses.len()
    }

    /// The judge of an endpoint, as it stands.
    pub fn judge(&self, index: usize) -> &Judge {
        &self.courses[index].judge
    }

    pub fn has_events(&self) -> bool {
        !self.events.is_empty() || !self.outbox.is_empty()
    }

    /// The number of the batch that is being gathered.
    pub fn next_batch(&self) -> u64 {
        self.batch + 1
    }

    pub fn events_waiting(&self) -> usize {
        self.events.len()
    }

    /// Closes the batch that was gathered, for the history to commit.
    pub fn close_batch(&mut self, stamp: Stamp) -> Batch {
        self.batch += 1;
        let now = stamp.timeline_ms;
        let results = std::mem::take(&mut self.results);
        self.record_again(now);
        self.tell_of_gaps(now, stamp.utc_ms);
        self.tell_cadences_again();
        let log = std::mem::replace(&mut self.log, InputLog::new(now));
        let mut states = std::mem::take(&mut self.foreign);
        states.extend(
            std::mem::take(&mut self.to_store)
                .into_iter()
                .map(|index| stored(&self.courses[index])),
        );
        if std::mem::take(&mut self.dropped_inputs) {
            states.extend(self.courses.iter().filter(|c| !c.is_taken_over).map(stored));
        } else {
            let count = self.courses.len();
            if count == 0 {
                self.prune_before = self.batch;
            }
            for _ in 0..count.div_ceil(STATE_ROUNDS) {
                let course = &self.courses[self.next_state];
                if !course.is_taken_over {
                    states.push(stored(course));
                }
                self.next_state += 1;
                if self.next_state >= count {
                    // All judges are stored as of the begin of this round or later.
                    self.next_state = 0;
                    self.prune_before = self.round_began;
                    self.round_began = self.batch + 1;
                    break;
                }
            }
        }
        self.settle_some(usize::MAX);
        self.settling = std::mem::take(&mut self.touched);
        for index in &self.settling {
            self.courses[*index].touched = false;
            self.courses[*index].is_settling = true;
        }
        self.uncommitted
            .push((self.batch, Vec::with_capacity(self.settling.len())));
        Batch {
            id: self.batch,
            stamp,
            inputs: if log.is_empty() {
                Vec::new()
            } else {
                log.into_bytes()
            },
            events: std::mem::take(&mut self.events),
            states,
            prune_before: self.prune_before,
            outbox: std::mem::take(&mut self.outbox),
            service: std::mem::take(&mut self.service),
            results,
        }
    }

    /// Every judge goes into the next batch, as at a clean end.
    pub fn store_all(&mut self) {
        self.dropped_inputs = true;
    }

    /// Takes the figures of the last batch down, a few endpoints at a time, so that no probe waits
    /// for all of them.
    pub fn settle_some(&mut self, limit: usize) {
        for _ in 0..limit {
            let Some(index) = self.settling.pop() else {
                return;
            };
            self.settle(index);
        }
    }

    /// The figures of an endpoint as of the last batch; called before anything changes them.
    pub(super) fn settle(&mut self, index: usize) {
        if std::mem::take(&mut self.courses[index].is_settling) {
            let figures = self.settled(index);
            if let Some((_, last)) = self.uncommitted.last_mut() {
                last.push((index, figures));
            }
        }
    }

    /// The history has committed all batches up to this one: their figures are settled, and will be
    /// shown.
    pub fn committed(&mut self, batch: u64) {
        if self.uncommitted.last().is_some_and(|(id, _)| *id <= batch) {
            self.settle_some(usize::MAX);
        }
        let later = self.uncommitted.partition_point(|(id, _)| *id <= batch);
        let done = self
            .uncommitted
            .drain(..later)
            .flat_map(|(_, figures)| figures);
        self.to_show.extend(done);
    }

    /// Shows some of the figures that are committed; a scrape that has just begun need not keep the
    /// old ones as well.
    pub fn show_some(&mut self, limit: usize) {
        if self.board.is_pictured() {
            return;
        }
        for _ in 0..limit.min(self.to_show.len()) {
            let Some((index, settled)) = self.to_show.pop_front() else {
                return;
            };
            let shown = self.board.change(&self.courses[index].entry, |view| {
                // An older figure that a reader had held up must not replace a newer one.
                if settled.watermark >= view.shown.settled.watermark {
                    view.shown.settled = settled;
                }
            });
            if !shown {
                self.to_show.push_back((index, settled));
            }
        }
    }

    pub(super) fn settled(&self, index: usize) -> Settled {
        let course = &self.courses[index];
        let (ledger, base, t) = (
            course.judge.ledger(),
            course.judge.base(),
            *course.judge.transitions(),
        );
        let first_start = course.judge.first_start();
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
            down_lower: course.judge.down_lower() - base.down_lower,
            down_upper: ledger.down_upper - base.down_upper,
            maintenance: [up - base_up, down - base_down, unknown - base_unknown],
            transitions: Transitions {
                up: t.up - base.transitions.up,
                down: t.down - base.transitions.down,
                unknown: t.unknown - base.transitions.unknown,
            },
            last_transition_utc: course.last_transition_utc,
            open_unknown: course.judge.open_unknown(),
            open_run: course.judge.open_run(),
            out_of_service: ledger.out_of_service,
            longest_blind: course.judge.longest_blind(),
            blind_lately: course.judge.blind_lately(),
        }
    }
}

fn stored(course: &Course) -> (i64, Vec<u8>) {
    (course.id, encode_with(&course.rules.cadence, &course.judge))
}
