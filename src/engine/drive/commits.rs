//! What the driver and the history send each other: batches, commits, and what people ask to be
//! recorded.

use std::sync::atomic::Ordering;

use super::commands::{RecordReply, RecordRequest};
use super::{COMMIT_APART_NS, Driver, SECOND_NS};
use crate::engine::recorder::Kept;
use crate::engine::recorder::windows::NO_ROOM;
use crate::history::event::RecordedLateEvent;
use crate::history::writer::Progress;
use crate::judgement::maintenance::Origin;

/// A batch that takes longer, from its first event until it is on disk, was late: `sla verify`
/// takes events of five seconds for written.
const LATE_NS: u64 = 4 * SECOND_NS;

impl Driver {
    pub(super) fn commit_if_due(&mut self) {
        let now_ns = self.clock.boot_ns();
        let since_ns = now_ns - self.last_commit_ns.min(now_ns);
        if self.recorder.has_events() && self.events_from_ns == 0 {
            // They came since the last turn.
            self.events_from_ns = self.before_turn_ns.max(self.last_commit_ns);
        }
        let is_due = since_ns >= self.commit_within_ns
            || (self.recorder.has_events() && since_ns >= COMMIT_APART_NS)
            || (self.recorder.has_more_to_tell() && since_ns >= SECOND_NS);
        if self.outstanding.is_some() || !is_due {
            return;
        }
        self.gathered_from_ns = match std::mem::take(&mut self.events_from_ns) {
            0 => now_ns,
            from => from,
        };
        self.last_commit_ns = now_ns;
        let reading = self.clock.read();
        let batch = self.recorder.close_batch(self.stamp(&reading));
        self.outstanding = Some(batch.id);
        self.writer.commit(batch);
    }

    pub(super) fn take_news(&mut self, news: Progress) {
        let health = &self.board.health;
        match news {
            Progress::Committed { batch, events } => {
                if !health.history_writable.swap(true, Ordering::Relaxed) {
                    tracing::info!("the history is writable again");
                }
                health.events_recorded.store(events, Ordering::Relaxed);
                self.record_if_late();
                self.recorder.committed(batch);
                for (_, recorded, reply) in self.promised.extract_if(.., |(id, ..)| *id <= batch) {
                    let _ = reply.send(Ok(recorded));
                }
                if self.outstanding.is_some_and(|id| id <= batch) {
                    self.outstanding = None;
                }
            }
            Progress::Failing(why) => {
                if health.history_writable.swap(false, Ordering::Relaxed) {
                    tracing::error!(
                        %why,
                        "the history is not writable; settled counters are frozen until it \
                        recovers, no data is lost"
                    );
                }
            }
            Progress::LogIsLong => {
                health.log_is_long.store(true, Ordering::Relaxed);
                tracing::warn!(
                    "the write-ahead log of the history grows while others read it; new requests \
                    to page and API wait until the running ones are answered"
                );
            }
            Progress::LogIsShort => {
                health.log_is_long.store(false, Ordering::Relaxed);
                tracing::info!("the write-ahead log of the history is short again");
            }
        }
    }

    /// What waited for the disk was on record later than its events say. An event says so: the
    /// reader of a report of that time has to know.
    fn record_if_late(&mut self) {
        let now_ns = self.clock.boot_ns();
        if self.outstanding.is_none()
            || self.gathered_from_ns == 0
            || now_ns.saturating_sub(self.gathered_from_ns) < LATE_NS
        {
            return;
        }
        let (now, from) = (
            self.timeline.ms(now_ns),
            self.timeline.ms(self.gathered_from_ns),
        );
        let late = RecordedLateEvent { from_ms: from };
        let _ = self.recorder.event(now, late);
    }

    /// Records what somebody asked for; the answer follows with the commit.
    pub(super) fn record(&mut self, request: RecordRequest, reply: RecordReply) {
        let now = self.now_ms();
        let recorded = now as i64 + self.recorder.offset_ms;
        match request {
            RecordRequest::DeclareWindow { window, by } => {
                if self
                    .board
                    .windows
                    .load()
                    .iter()
                    .any(|s| s.window.id == window.id && s.ended.is_none())
                {
                    let _ = reply.send(Err(format!(
                        "a window `{}` is in force already; cancel it first, or use another id",
                        window.id
                    )));
                    return;
                }
                if self.recorder.declare(window, &by, Origin::Person, now) == Kept::No {
                    let _ = reply.send(Err(NO_ROOM.to_owned()));
                    return;
                }
                self.recorder.update_windows(now);
            }
            RecordRequest::EndWindow { id, by } => {
                if let Err(why) = self.recorder.end_window(&id, &by, now) {
                    let _ = reply.send(Err(why));
                    return;
                }
                self.recorder.update_windows(now);
            }
            RecordRequest::Correct(event) => {
                if self.recorder.event(now, *event) == Kept::No {
                    let _ = reply.send(Err(NO_ROOM.to_owned()));
                    return;
                }
            }
        }
        self.promised
            .push((self.recorder.next_batch_number(), recorded, reply));
    }
}
