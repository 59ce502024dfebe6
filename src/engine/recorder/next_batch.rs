//! Gathers what the next batch will hold.

use std::collections::BTreeMap;

use super::tracked::TrackedEndpoint;
use crate::engine::inputs::{Input, InputLog};
use crate::history::{Batch, EventDraft, OutboxChange, Service, Stamp};
use crate::judgement::loss::JudgeSnapshot;
use crate::judgement::state_codec::encode_with;
use crate::words::{Ms, UtcMs};

/// Within so long every judge is stored once.
const STATE_ROUND_MS: u64 = 300_000;
/// A batch stores the judges of no longer: after a suspend they would hold the probing thread.
const STATE_MOST_MS: u64 = 30_000;

/// While the disk fails, inputs beyond this are dropped and all judges stored instead.
const INPUT_BYTES_LIMIT: usize = 32 << 20;

/// What the next batch will hold.
pub(super) struct NextBatch {
    /// Inputs of the judges since the last batch, as a replay needs them.
    pub log: InputLog,
    pub events: Vec<EventDraft>,
    /// Messages, and what became of earlier ones.
    pub outbox: Vec<OutboxChange>,
    /// Coming and going of endpoints.
    pub service: Vec<Service>,
    /// Tracked endpoints whose judges received something.
    pub touched: Vec<usize>,
    /// Judges that must be stored: new, or with another cadence.
    pub to_store: Vec<usize>,
    /// Judges of endpoints that are no longer configured, encoded.
    pub foreign: Vec<(i64, Vec<u8>)>,
    /// Some inputs found no room: all judges are stored in their place.
    pub dropped_inputs: bool,
    pub overflow: Overflow,
    /// The number of the batch that was closed last.
    pub last: u64,
    /// The next judge of the rotation.
    next_state: usize,
    /// The first batch of the rotation that is under way.
    round_began: u64,
    /// When the last batch was closed.
    closed_at: Ms,
    /// Batches before this one are not needed for a restart any more.
    prune_before: u64,
}

impl NextBatch {
    /// Goes on after the last batch that the history holds.
    pub fn after(last: u64, now: Ms) -> Self {
        Self {
            log: InputLog::new(now),
            events: Vec::new(),
            outbox: Vec::new(),
            service: Vec::new(),
            touched: Vec::new(),
            to_store: Vec::new(),
            foreign: Vec::new(),
            dropped_inputs: false,
            overflow: Overflow::default(),
            last,
            next_state: 0,
            round_began: last + 1,
            closed_at: now,
            prune_before: 0,
        }
    }

    /// Notes an input of a judge for a replay.
    pub fn note(&mut self, id: i64, input: Input) {
        if self.log.bytes() < INPUT_BYTES_LIMIT {
            self.log.push(id as u64, input);
        } else {
            self.dropped_inputs = true;
        }
    }

    /// The figures of this endpoint are to be taken down with the batch.
    pub fn touch(&mut self, index: usize, tracked: &mut TrackedEndpoint) {
        if !std::mem::replace(&mut tracked.touched, true) {
            self.touched.push(index);
        }
    }

    /// The batch, and the tracked endpoints whose figures belong to it.
    pub fn close(
        &mut self,
        stamp: Stamp,
        results: Vec<(i64, UtcMs, bool)>,
        tracked: &[TrackedEndpoint],
    ) -> (Batch, Vec<usize>) {
        self.last += 1;
        let log = std::mem::replace(&mut self.log, InputLog::new(stamp.timeline_ms));
        let states = self.states(stamp.timeline_ms, tracked);
        let batch = Batch {
            id: self.last,
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
        };
        (batch, std::mem::take(&mut self.touched))
    }

    /// Judges that go with this batch: those that must, and the next few of the rotation.
    fn states(&mut self, now: Ms, all: &[TrackedEndpoint]) -> Vec<(i64, Vec<u8>)> {
        let since = now.saturating_sub(std::mem::replace(&mut self.closed_at, now));
        let mut states = std::mem::take(&mut self.foreign);
        let to_store = std::mem::take(&mut self.to_store);
        states.extend(to_store.into_iter().map(|index| stored(&all[index])));
        if std::mem::take(&mut self.dropped_inputs) {
            states.extend(all.iter().filter(|c| !c.is_taken_over).map(stored));
            return states;
        }
        if all.is_empty() {
            self.prune_before = self.last;
        }
        let share = (all.len() as u64 * since.min(STATE_MOST_MS)).div_ceil(STATE_ROUND_MS);
        for _ in 0..share.max(1).min(all.len() as u64) {
            let tracked = &all[self.next_state];
            if !tracked.is_taken_over {
                states.push(stored(tracked));
            }
            self.next_state += 1;
            if self.next_state >= all.len() {
                // All judges are stored as of the begin of this round or later.
                self.next_state = 0;
                self.prune_before = self.round_began;
                self.round_began = self.last + 1;
                break;
            }
        }
        states
    }
}

/// What found no room while the disk took nothing.
#[derive(Default)]
pub(super) struct Overflow {
    /// By endpoint: where its judge stood before events that found no room.
    pub lost: BTreeMap<usize, JudgeSnapshot>,
    /// Events that found no room since the last batch.
    pub dropped: u64,
    /// Of the judge whose input is applied now, while events may find no room.
    pub snapshot: Option<JudgeSnapshot>,
}

fn stored(tracked: &TrackedEndpoint) -> (i64, Vec<u8>) {
    (
        tracked.id,
        encode_with(&tracked.rules.cadence, &tracked.judge),
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::recorder_of;
    use super::*;

    #[test]
    fn a_restart_needs_no_batch_from_before_the_last_whole_round_of_judges() {
        let names: Vec<String> = (0..450).map(|n| format!("e{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let recorder = recorder_of(&names, "1h", "probe.tcp = \"127.0.0.1:1\"");
        let mut next_batch = NextBatch::after(9, 1);
        // A second after the other.
        let mut close = |second: u64| {
            let timeline_ms = 1 + second * 1000;
            let stamp = Stamp {
                timeline_ms,
                ..Stamp::default()
            };
            next_batch.close(stamp, Vec::new(), &recorder.tracked).0
        };
        let batches: Vec<Batch> = (1..=500).map(&mut close).collect();
        assert_eq!(batches[0].id, 10);
        assert!(
            batches.iter().all(|b| b.states.len() <= 2),
            "two of 450 in 300 batches"
        );
        for batch in &batches {
            let needed = batches.iter().filter(|b| b.id >= batch.prune_before);
            let upto = needed.filter(|b| b.id <= batch.id).flat_map(|b| &b.states);
            let stored: std::collections::BTreeSet<i64> = upto.map(|(id, _)| *id).collect();
            assert!(
                batch.prune_before <= 10 || stored.len() == 450,
                "batch {}",
                batch.id
            );
        }
        assert_eq!(
            batches[499].prune_before, 235,
            "the round of 225 batches before this one"
        );
        assert_eq!(close(510).states.len(), 15, "of ten seconds");
        assert_eq!(close(510).states.len(), 1);
        assert_eq!(close(9_000).states.len(), 45, "of thirty, after a suspend");
    }

    #[test]
    fn inputs_beyond_the_limit_store_every_judge_in_their_place() {
        let recorder = recorder_of(&["a", "b", "c"], "1h", "probe.tcp = \"127.0.0.1:1\"");
        let mut next_batch = NextBatch::after(0, 1);
        let stored = |next_batch: &mut NextBatch| {
            let (batch, _) = next_batch.close(Stamp::default(), Vec::new(), &recorder.tracked);
            batch.states.iter().map(|(id, _)| *id).collect::<Vec<i64>>()
        };
        assert_eq!(stored(&mut next_batch), [7], "one of the rotation");
        next_batch.dropped_inputs = true;
        assert_eq!(stored(&mut next_batch), [7, 8, 9]);
        assert_eq!(stored(&mut next_batch), [8], "the rotation goes on");
    }
}
