//! Events that found no room while the disk took nothing: what they were about becomes unknown
//! time.
//!
//! The judges went on, and what is live was true. When there is room again the record says where
//! the hole lies for each endpoint, and the outage that is open after it; the judge's sums become
//! what the record says.

use super::{EVENTS_WAITING_LIMIT, Kept, Recorder};
use crate::engine::events;
use crate::history::EventDraft;
use crate::history::event::{HistoryGapEvent, OutageLostEvent};
use crate::judgement::state::Change;
use crate::words::{Ms, Reason, UtcMs, format_utc};

/// As many more for each endpoint.
const EVENTS_OF_ARRIVAL: usize = 6;
/// More than one input of a judge can give.
const EVENTS_OF_AN_INPUT: usize = 1024;
/// As many more for what is not an endpoint's state: steps of the clock, windows, corrections, who
/// came and left.
const EVENTS_WAITING_BESIDE: usize = 20_000;

impl Recorder {
    /// A fleet that is taken into service has some events for each endpoint before the first batch
    /// can close.
    fn events_limit(&self) -> usize {
        EVENTS_WAITING_LIMIT + EVENTS_OF_ARRIVAL * self.tracked.len()
    }

    pub fn push_event(&mut self, event: EventDraft) -> Kept {
        let beside = if events::is_of_state(&event.event) {
            0
        } else {
            EVENTS_WAITING_BESIDE
        };
        if self.next_batch.events.len() >= self.events_limit() + beside {
            self.next_batch.overflow.dropped += 1;
            return Kept::No;
        }
        self.next_batch.events.push(event);
        Kept::Yes
    }

    /// Where the judge stands before an input whose events may find no room.
    pub(super) fn keep_standing(&mut self, index: usize) {
        if self.next_batch.events.len() + EVENTS_OF_AN_INPUT >= self.events_limit() {
            self.next_batch.overflow.snapshot = Some(self.tracked[index].judge.snapshot());
        }
    }

    /// Takes the events of a change, or notes where the judge stood before the endpoint's record
    /// lacks something.
    pub(super) fn keep_events(&mut self, index: usize, change: &Change, drafts: Vec<EventDraft>) {
        let kept = drafts
            .into_iter()
            .all(|draft| self.push_event(draft) == Kept::Yes);
        if !kept {
            if let Some(before) = self.next_batch.overflow.snapshot.take() {
                self.next_batch.overflow.lost.entry(index).or_insert(before);
            }
            return;
        }
        match *change {
            Change::UnknownUntil {
                from, to, reason, ..
            } => self.publisher.counts.unknown_ms[reason as usize] += to - from,
            Change::Down { from, .. } => self.tracked[index].recorded_outage = Some(from),
            Change::Up { .. } | Change::OutageLeft { .. } => {
                self.tracked[index].recorded_outage = None
            }
            _ => {}
        }
    }

    /// Records the holes that the record has got, in the batch that has room again.
    pub(super) fn record_gaps(&mut self, now: Ms, utc: UtcMs) {
        if self.next_batch.overflow.dropped == 0 {
            return;
        }
        let gap = HistoryGapEvent {
            dropped: self.next_batch.overflow.dropped,
            endpoints: Some(self.next_batch.overflow.lost.len() as u64),
            unknown_in_counters: Some(true),
            why: "more events waited for the disk than memory may hold".into(),
        };
        self.next_batch
            .events
            .push(EventDraft::general(now, utc, gap));
        self.next_batch.overflow.dropped = 0;
        for (index, before) in std::mem::take(&mut self.next_batch.overflow.lost) {
            // What was shown stays shown until the batch that says otherwise is committed.
            self.settle(index);
            let from = before.recorded_until();
            let (recorded, outage) = (
                self.tracked[index].recorded_outage,
                self.tracked[index].judge.outage().copied(),
            );
            let is_recorded = outage.map(|o| o.from) == recorded;
            if recorded.is_some() && !is_recorded {
                let lost = OutageLostEvent {
                    to: format_utc(self.utc(from)),
                    to_ms: from,
                    why: "its end was not recorded".into(),
                };
                let who = self.who(index);
                self.next_batch
                    .events
                    .push(EventDraft::of_endpoint(who, now, utc, lost));
            }
            let mut changes = Vec::new();
            self.tracked[index].judge.lose_since(&before, &mut changes);
            let since = changes
                .iter()
                .position(|c| matches!(c, Change::UnknownFrom { .. }))
                .unwrap_or(changes.len());
            if let (Some(o), false) = (outage, is_recorded) {
                // Before unknown time that is open: after it nothing would be.
                let down = Change::Down {
                    from: o.from,
                    from_earliest: o.from_earliest,
                    from_latest: o.from_latest,
                    confirmed_at: o.confirmed_at,
                    cause: o.cause,
                };
                changes.insert(since, down);
            }
            for change in &changes {
                if let Change::UnknownUntil { from, to, .. } = change {
                    self.publisher.counts.unknown_ms[Reason::History as usize] += to - from;
                }
                let who = self.who(index);
                self.next_batch
                    .events
                    .extend(events::draft(who, change, now, self.offset_ms, utc));
            }
            self.next_batch.touch(index, &mut self.tracked[index]);
            self.next_batch.to_store.push(index);
            self.tracked[index].recorded_outage = outage.map(|o| o.from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::recorder;
    use super::*;
    use crate::engine::inputs::Input;
    use crate::history::Stamp;
    use crate::history::event::{Event, ProvenEvent, exported};
    use crate::history::in_memory::InMemoryHistory;
    use crate::history::read::Extent;
    use crate::judgement::state::{ProbeResult, ResultKind};
    use crate::judgement::timeline::Span;
    use crate::words::Cause;

    fn proven() -> EventDraft {
        let (from_ms, to_ms) = (1, 1);
        EventDraft::general(1, 1, ProvenEvent { from_ms, to_ms })
    }

    fn observe(recorder: &mut Recorder, at: Ms, verdict: ResultKind) {
        recorder.apply_input(
            0,
            Input::Observe(ProbeResult {
                start: at,
                end: at + 1,
                kind: verdict,
                slot: true,
            }),
            at + 1,
        );
    }

    #[test]
    fn what_overflows_while_the_disk_fails_is_unknown_time_of_the_record() {
        let mut recorder = recorder("1s");
        let mut at = 1000;
        let failed = ResultKind::Failure(Cause::ConnectRefused);
        observe(&mut recorder, at, ResultKind::Success);
        while recorder.next_batch.overflow.dropped == 0 {
            for verdict in [failed, failed, failed, ResultKind::Success] {
                at += 500;
                observe(&mut recorder, at, verdict);
            }
        }
        // Down when there is room again, of which no event could tell.
        let hole_from = recorder
            .next_batch
            .overflow
            .lost
            .get(&0)
            .expect("its record has a hole")
            .recorded_until();
        for _ in 0..3 {
            at += 500;
            observe(&mut recorder, at, failed);
        }
        let outage = *recorder.tracked[0].judge.outage().expect("an open outage");
        let batch = recorder.close_batch(Stamp {
            timeline_ms: at + 10,
            ..Stamp::default()
        });
        let recorded = &batch.events[recorder.events_limit()..];
        assert_eq!(
            recorded.iter().map(|e| e.event.kind()).collect::<Vec<_>>(),
            ["history_gap", "known", "down"]
        );
        assert_eq!(
            recorder.judge(0).ledger().unknown,
            999 + recorder.judge(0).ledger().watermark - hole_from,
            "in the ledger as in the record"
        );
        let Event::Known(known) = &recorded[1].event else {
            panic!("no unknown time")
        };
        assert_eq!(
            (known.from_ms, known.to_ms, known.reason.as_ref()),
            (
                hole_from,
                recorder.tracked[0].judge.ledger().watermark,
                "history"
            )
        );
        let Event::Down(down) = &recorded[2].event else {
            panic!("no outage")
        };
        assert_eq!(down.from_ms, outage.from);
        at += 500;
        observe(&mut recorder, at, ResultKind::Success);
        let batch = recorder.close_batch(Stamp {
            timeline_ms: at + 10,
            ..Stamp::default()
        });
        assert!(
            batch.events.iter().any(|e| e.event.kind() == "up")
                && !batch.events.iter().any(|e| e.event.kind() == "history_gap")
        );
    }

    #[test]
    fn an_outage_whose_end_found_no_room_ends_where_the_hole_begins() {
        let mut recorder = recorder("1s");
        observe(&mut recorder, 1000, ResultKind::Success);
        for at in [1500, 2000, 2500] {
            observe(
                &mut recorder,
                at,
                ResultKind::Failure(Cause::ConnectRefused),
            );
        }
        while recorder.push_event(proven()) == Kept::Yes {}
        observe(&mut recorder, 3000, ResultKind::Success);
        observe(&mut recorder, 3500, ResultKind::Success);
        let batch = recorder.close_batch(Stamp {
            timeline_ms: 4000,
            ..Stamp::default()
        });
        let recorded: Vec<_> = batch.events[recorder.events_limit()..]
            .iter()
            .map(|e| e.event.kind())
            .collect();
        assert_eq!(
            recorded,
            ["history_gap", "outage_lost", "proven", "known", "doubt"]
        );
        assert_eq!(recorder.tracked[0].recorded_outage, None);
    }

    #[test]
    fn an_outage_that_goes_on_into_unknown_time_is_recorded_before_it() {
        let mut recorder = recorder("1s");
        observe(&mut recorder, 1000, ResultKind::Success);
        while recorder.push_event(proven()) == Kept::Yes {}
        for at in [1500, 2000, 2500] {
            observe(
                &mut recorder,
                at,
                ResultKind::Failure(Cause::ConnectRefused),
            );
        }
        recorder.apply_input(0, Input::Tick(60_000), 60_000);
        let batch = recorder.close_batch(Stamp {
            timeline_ms: 60_000,
            ..Stamp::default()
        });
        let recorded: Vec<_> = batch.events[recorder.events_limit()..]
            .iter()
            .map(|e| e.event.kind())
            .collect();
        assert_eq!(
            recorded,
            ["history_gap", "known", "down", "unknown"],
            "what is unknown at the end is recorded last"
        );
    }

    /// The events of a batch but for what filled it.
    fn of_endpoints(events: Vec<EventDraft>) -> impl Iterator<Item = EventDraft> {
        events.into_iter().filter(|e| e.endpoint.is_some())
    }

    #[test]
    fn the_ledger_is_what_the_record_says_wherever_the_hole_lies() {
        let mut holes = 0;
        for seed in 0..400_u64 {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            let mut random = |n: u64| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state % n
            };
            let mut recorder = recorder("1s");
            let (mut at, mut mood) = (1000, 0);
            let mut some = |recorder: &mut Recorder, count: u64| {
                for _ in 0..count {
                    at += if random(12) == 0 {
                        5000
                    } else {
                        300 + random(700)
                    };
                    mood = if random(4) == 0 { random(3) } else { mood };
                    observe(
                        recorder,
                        at,
                        [
                            ResultKind::Success,
                            ResultKind::Failure(Cause::ConnectRefused),
                            ResultKind::Unmeasured(Reason::Resolver),
                        ][mood as usize],
                    );
                    if random(10) == 0 {
                        recorder.apply_input(0, Input::Start(at + 2), at + 2);
                    }
                }
                random(25)
            };
            let stamp = |at: Ms| Stamp {
                timeline_ms: at,
                ..Stamp::default()
            };
            let lost = some(&mut recorder, 30);
            let shown = recorder.settled(0);
            while recorder.push_event(proven()) == Kept::Yes {}
            let later = some(&mut recorder, lost) + 1;
            holes += usize::from(!recorder.next_batch.overflow.lost.is_empty());
            let mut recorded: Vec<_> =
                of_endpoints(recorder.close_batch(stamp(1 << 40)).events).collect();
            some(&mut recorder, later);
            recorded.extend(of_endpoints(recorder.close_batch(stamp(1 << 41)).events));
            let (judge, now) = (recorder.judge(0), recorder.settled(0));
            let extent = Extent {
                first_start: judge.first_start(),
                watermark: judge.ledger().watermark,
                open_unknown: judge.open_unknown(),
                open_run: judge.open_run(),
                ..Extent::default()
            };
            let period = Span::new(1, extent.watermark as i64);
            let again = InMemoryHistory::of(None, &exported(recorded.clone())).expect("readable");
            let record = again.record("e", extent, period).expect("a record");
            let sums = record.timeline(period).sums();
            let ledger = judge.ledger();
            assert_eq!(
                (sums.up, sums.down, sums.unknown),
                (ledger.up, ledger.down, ledger.unknown),
                "seed {seed}: {recorded:#?}"
            );
            assert_eq!(
                (sums.down_lower, sums.down_upper),
                (judge.down_lower(), ledger.down_upper),
                "seed {seed}: the bounds; {recorded:#?}"
            );
            assert_eq!(
                crate::engine::stored_judges::contradicts(judge),
                None,
                "seed {seed}"
            );
            for (before, after) in [
                (shown.up, now.up),
                (shown.down, now.down),
                (shown.unknown, now.unknown),
                (shown.down_lower, now.down_lower),
                (shown.down_upper, now.down_upper),
                (shown.transitions.down, now.transitions.down),
            ] {
                assert!(
                    before <= after,
                    "seed {seed}: a counter that was shown went back"
                );
            }
        }
        assert!(holes > 300, "{holes} of 400 records had a hole");
    }
}
