//! To whom messages of an outage go and when: one for each receiver, in a queue of its endpoint,
//! after the maintenance that holds it back; and what takes messages back.

use super::message_text::{About, OutageMessage, SendTime, begin_key, message_of};
use super::windows::windows_of;
use super::{Kept, Recorder};
use crate::config::plan::{Endpoint, Notify};
use crate::history::{EventDraft, OutboxChange};
use crate::words::Ms;

/// How far ahead a maintenance window is followed that holds messages back.
const WINDOWS_AHEAD_MS: Ms = 31 * 86_400_000;

impl Recorder {
    /// One message for each receiver. An end that comes before anybody was told of the begin takes
    /// that back and says nothing itself.
    pub(super) fn notifications(
        &self,
        index: usize,
        message: OutageMessage,
        now: Ms,
    ) -> Vec<OutboxChange> {
        let tracked = &self.tracked[index];
        let endpoint = tracked.entry.endpoint.load();
        let about = About {
            name: endpoint.name.as_str(),
            component: endpoint.component.as_str(),
            labels: &endpoint.labels,
        };
        let draft = |receiver: &Notify| {
            let due = match message {
                OutageMessage::Down { confirmed_at, .. } => {
                    self.due(&endpoint, confirmed_at + receiver.after, now)
                }
                OutageMessage::Up { .. } | OutageMessage::Closed { .. } => SendTime {
                    at: now,
                    held_until: None,
                },
            };
            message_of(receiver, &about, tracked.id, &message, due, self.offset_ms)
        };
        self.receivers
            .list
            .iter()
            .filter_map(draft)
            .map(OutboxChange::Message)
            .collect()
    }

    /// First messages of open outages that wait for their time follow the windows as they are now.
    pub(super) fn hold_messages(&mut self, now: Ms) {
        // What was asked for before and is not committed yet is asked for again.
        self.next_batch
            .outbox
            .retain(|change| !matches!(change, OutboxChange::Hold { .. }));
        for index in 0..self.tracked.len() {
            self.hold_messages_of(index, now);
        }
    }

    pub(super) fn hold_messages_of(&mut self, index: usize, now: Ms) {
        let tracked = &self.tracked[index];
        let Some(outage) = tracked.judge.outage().filter(|_| tracked.in_service) else {
            return;
        };
        let endpoint = tracked.entry.endpoint.load();
        let hold = |receiver: &Notify| {
            let due = self.due(&endpoint, outage.confirmed_at + receiver.after, now);
            let (receiver, key) = (receiver.name.clone(), begin_key(tracked.id, outage.from));
            OutboxChange::Hold {
                receiver,
                key,
                not_before: self.utc(due.at),
                held_until: due.held_until.map(|until| self.utc(until)),
            }
        };
        let holds: Vec<OutboxChange> = self
            .receivers
            .list
            .iter()
            .filter(|receiver| receiver.on.down)
            .map(hold)
            .collect();
        self.next_batch.outbox.extend(holds);
    }

    /// The wall clock was set. If the history can be told of it, what waits in the outbox waits as
    /// long as before; else the next start finds the step again.
    pub fn clock_was_set(&mut self, event: EventDraft, offset_ms: i64, now: Ms) {
        let by = offset_ms - self.offset_ms;
        self.offset_ms = offset_ms;
        if self.push_event(event) == Kept::Yes {
            self.next_batch.outbox.push(OutboxChange::ClockStep(by));
        }
        self.update_windows(now);
    }

    /// A message that is due at an instant waits for the end of the maintenance that holds it
    /// there, or holds now.
    fn due(&self, endpoint: &Endpoint, at: Ms, now: Ms) -> SendTime {
        let first = self.maintenance_until(endpoint, at);
        let second = if first.unwrap_or(at) < now {
            self.maintenance_until(endpoint, now)
        } else {
            None
        };
        let held_until = second.or(first);
        SendTime {
            at: held_until.unwrap_or(at),
            held_until,
        }
    }

    /// The end of the declared maintenance that an instant falls into, if it does.
    pub(super) fn maintenance_until(&self, endpoint: &Endpoint, at: Ms) -> Option<Ms> {
        let all = self.board.windows.load();
        let mut until = None;
        // Windows that touch each other hold as one.
        loop {
            let cursor = until.unwrap_or(at);
            let spans = windows_of(
                &all,
                endpoint.name.as_str(),
                endpoint.component.as_str(),
                cursor,
                cursor,
                self.offset_ms,
            );
            let next = spans
                .iter()
                .find(|span| span.from <= cursor as i64 && span.to > cursor as i64)
                .map(|span| span.to.max(0) as Ms);
            if next.is_none() || cursor > at + WINDOWS_AHEAD_MS {
                return until;
            }
            until = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Kept, ops, recorder, window};
    use super::*;
    use crate::engine::inputs::Input;
    use crate::history::event::ClockStepEvent;
    use crate::history::outbox::{AttemptResult, QueuedMessage};
    use crate::judgement::maintenance::Origin;
    use crate::judgement::state::{ProbeResult, ResultKind};
    use crate::words::Cause;
    use crate::words::{Name, StateName};
    use serde_json::Value;

    const ALL: [StateName; 3] = [StateName::Down, StateName::Up, StateName::Unknown];
    const YEAR_MS: i64 = 365 * 86_400_000;

    /// Down since 2.5 s, confirmed at 4.001 s. `before`: what is declared at 1.5 s.
    fn down(
        receiver: Notify,
        before: &[crate::judgement::maintenance::Window],
        offset_ms: i64,
    ) -> (Recorder, Kept) {
        let (mut recorder, kept) = (recorder("1s"), Kept::new());
        let metrics = recorder.board.plan.load().metrics.clone();
        recorder.offset_ms = offset_ms;
        recorder.configure(vec![receiver], &metrics);
        observe(&mut recorder, 1000, ResultKind::Success);
        recorder.reconcile_windows(before, 1500);
        observe(&mut recorder, 2000, ResultKind::Success);
        observe(
            &mut recorder,
            3000,
            ResultKind::Failure(Cause::ConnectRefused),
        );
        observe(
            &mut recorder,
            4000,
            ResultKind::Failure(Cause::ConnectRefused),
        );
        assert_eq!(
            recorder.judge(0).outage().map(|o| (o.from, o.confirmed_at)),
            Some((2500, 4001))
        );
        kept.take(&mut recorder, 5000);
        (recorder, kept)
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

    /// The state and the end of the hold of what may be sent, where there is one message.
    fn said(due: &[QueuedMessage]) -> Option<(String, Option<String>)> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let [message] = due else { return None };
        let body: Value = serde_json::from_str(&message.body).expect("JSON");
        Some((
            text(&body["state"]).expect("a state"),
            text(&body["held_by_maintenance_until"]),
        ))
    }

    fn held(until: &str) -> Option<(String, Option<String>)> {
        Some(("down".to_owned(), Some(format!("1970-01-01T00:{until}Z"))))
    }

    fn plain() -> Option<(String, Option<String>)> {
        Some(("down".to_owned(), None))
    }

    #[test]
    fn a_window_holds_until_its_end_as_it_was_declared() {
        let (_, kept) = down(ops(&ALL, 0), &[window("w", 2, 20)], 0);
        assert_eq!(
            (said(&kept.due(19_999)), said(&kept.due(20_000))),
            (None, held("00:20.000"))
        );
    }

    #[test]
    fn a_window_that_is_prolonged_holds_longer_and_one_that_is_cut_short_less() {
        for (end, until) in [(40, "00:40.000"), (12, "00:12.000")] {
            let (mut recorder, kept) = down(ops(&ALL, 0), &[window("w", 2, 20)], 0);
            recorder.reconcile_windows(&[window("w", 2, end)], 10_000);
            kept.take(&mut recorder, 10_001);
            let end = end as i64 * 1000;
            assert_eq!(
                (said(&kept.due(end - 1)), said(&kept.due(end))),
                (None, held(until)),
                "until {end}"
            );
        }
    }

    #[test]
    fn a_window_that_is_cancelled_or_moved_on_releases_at_that_moment() {
        for after in [None, Some(window("w", 30, 50))] {
            let (mut recorder, kept) = down(ops(&ALL, 0), &[window("w", 2, 20)], 0);
            recorder.reconcile_windows(after.as_slice(), 10_000);
            kept.take(&mut recorder, 10_001);
            assert_eq!(
                (said(&kept.due(9_999)), said(&kept.due(10_001))),
                (None, held("00:10.000")),
                "{after:?}"
            );
        }
    }

    #[test]
    fn a_window_that_is_declared_after_the_confirmation_holds_what_waits_and_not_what_is_due() {
        let (mut recorder, kept) = down(ops(&ALL, 60_000), &[], 0);
        assert_eq!(
            recorder.declare(window("w", 30, 120), "anna", Origin::Person, 10_000),
            super::super::Kept::Yes
        );
        recorder.update_windows(10_000);
        kept.take(&mut recorder, 10_001);
        assert_eq!(
            (said(&kept.due(119_999)), said(&kept.due(120_000))),
            (None, held("02:00.000"))
        );
        // It ends before it has begun: it held nothing.
        assert_eq!(
            recorder.end_window(&Name::new("w").expect("a name"), "anna", 20_000),
            Ok(())
        );
        recorder.update_windows(20_000);
        kept.take(&mut recorder, 20_001);
        assert_eq!(
            (said(&kept.due(64_000)), said(&kept.due(64_001))),
            (None, plain())
        );

        let (mut recorder, kept) = down(ops(&ALL, 0), &[], 0);
        recorder.reconcile_windows(&[window("w", 2, 120)], 10_000);
        kept.take(&mut recorder, 10_001);
        assert_eq!(said(&kept.due(10_001)), plain(), "its time had come before");
    }

    #[test]
    fn an_outage_that_ends_before_its_window_is_told_to_nobody() {
        let (mut recorder, kept) = down(ops(&ALL, 0), &[window("w", 2, 20)], 0);
        observe(&mut recorder, 5500, ResultKind::Success);
        kept.take(&mut recorder, 6000);
        assert!(kept.due(i64::MAX / 4).is_empty());
    }

    fn set_clock(recorder: &mut Recorder, offset_ms: i64, now: Ms) {
        let step = ClockStepEvent {
            step_ms: offset_ms - recorder.offset_ms,
            offset_before_ms: recorder.offset_ms,
            offset_after_ms: offset_ms,
            boot_ns: 0,
        };
        let event = EventDraft::general(now, now as i64 + offset_ms, step);
        recorder.clock_was_set(event, offset_ms, now);
    }

    #[test]
    fn what_waits_for_its_time_follows_a_clock_that_was_set() {
        for offset_ms in [YEAR_MS, -YEAR_MS] {
            let (mut recorder, kept) = down(ops(&ALL, 60_000), &[], offset_ms);
            set_clock(&mut recorder, 0, 10_000);
            kept.take(&mut recorder, 10_001);
            assert_eq!(
                (said(&kept.due(64_000)), said(&kept.due(64_001))),
                (None, plain()),
                "the clock was off by {offset_ms}"
            );
        }
    }

    #[test]
    fn messages_of_an_outage_that_is_over_follow_a_clock_that_was_set_back() {
        let (mut recorder, kept) = down(ops(&ALL, 0), &[], YEAR_MS);
        observe(&mut recorder, 5500, ResultKind::Success);
        kept.take(&mut recorder, 6000);
        set_clock(&mut recorder, 0, 10_000);
        kept.take(&mut recorder, 10_001);
        let states = ["down", "up"].map(|_| {
            kept.try_one(10_001, AttemptResult::Delivered, 10_001)["state"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        });
        assert_eq!(states, ["down", "up"]);
    }

    #[test]
    fn a_window_is_held_against_the_calendar_after_a_clock_was_set() {
        let (mut recorder, kept) = down(ops(&ALL, 0), &[window("w", 2, 60)], 0);
        set_clock(&mut recorder, 20_000, 10_000);
        kept.take(&mut recorder, 10_001);
        assert_eq!(
            (said(&kept.due(59_999)), said(&kept.due(60_000))),
            (None, held("01:00.000"))
        );
    }

    #[test]
    fn a_receiver_that_asks_for_down_only_is_not_told_of_an_outage_that_is_over() {
        let (mut recorder, kept) = down(ops(&[StateName::Down], 0), &[], 0);
        assert_eq!(
            kept.try_one(5000, AttemptResult::Again, 6000)["state"],
            "down"
        );
        observe(&mut recorder, 5500, ResultKind::Success);
        kept.take(&mut recorder, 6000);
        assert!(kept.due(i64::MAX / 4).is_empty(), "the endpoint is up");
        observe(
            &mut recorder,
            6500,
            ResultKind::Failure(Cause::ConnectRefused),
        );
        observe(
            &mut recorder,
            7500,
            ResultKind::Failure(Cause::ConnectRefused),
        );
        kept.take(&mut recorder, 8000);
        assert_eq!(said(&kept.due(8000)), plain(), "the next one is another");
    }
}
