//! Messages about unknown time: one for all endpoints that became unknown together, one when all of
//! them are measured again.

use std::collections::BTreeMap;

use super::Recorder;
use super::message_text::{Notification, NotificationDetails};
use super::receivers::{LISTED, NotifiedReceiver, TOGETHER_MS, UnknownStretch};
use crate::history::outbox::NotifiedUnknown;
use crate::history::{OutboxChange, OutboxDraft};
use crate::words::{Ms, Name, format_utc};

impl Recorder {
    /// What receivers were notified of before this process, as the history has it.
    pub fn restore_notified_unknown(&mut self, list: Vec<NotifiedUnknown>) {
        for NotifiedUnknown {
            receiver,
            endpoint,
            since,
            begun,
        } in list
        {
            let notified = self
                .receivers
                .unknown
                .notified
                .entry(receiver)
                .or_insert_with(|| NotifiedReceiver {
                    begun,
                    endpoints: BTreeMap::new(),
                });
            notified.endpoints.insert(endpoint, since);
        }
    }

    /// Messages that the passing of time asks for; called ten times a second.
    pub(super) fn notify_of_unknown(&mut self, now: Ms) {
        if self.receivers.unknown.since.is_empty() && self.receivers.unknown.notified.is_empty() {
            return;
        }
        for receiver in self
            .receivers
            .list
            .clone()
            .iter()
            .filter(|receiver| receiver.on.unknown)
        {
            self.notify_receiver(&receiver.name, receiver.after.max(TOGETHER_MS), now);
        }
        let since = &self.receivers.unknown.since;
        for notified in self.receivers.unknown.notified.values_mut() {
            notified
                .endpoints
                .retain(|id, from| since.get(id).is_some_and(|stretch| stretch.from == *from));
        }
        let is_over = |notified: &NotifiedReceiver| notified.endpoints.is_empty();
        let over: Vec<(Name, Ms)> = self
            .receivers
            .unknown
            .notified
            .iter()
            .filter(|(_, notified)| is_over(notified))
            .map(|(name, notified)| (name.clone(), notified.begun))
            .collect();
        for (receiver, begun) in over {
            self.receivers.unknown.notified.remove(&receiver);
            let body = self.unknown_body("known", begun, now, NotificationDetails::default());
            self.post_of_unknown(&receiver, ("known", begun, now), body);
            self.next_batch
                .outbox
                .push(OutboxChange::NotifiedKnown(receiver));
        }
    }

    /// Notifies one receiver of unknown endpoints that are new to it, once the first of them is due
    /// and no maintenance holds it back.
    fn notify_receiver(&mut self, receiver: &Name, wait: Ms, now: Ms) {
        let Some(candidates) = self.receivers.unknown.not_notified(receiver, wait, now) else {
            return;
        };
        self.follow_maintenance(candidates, now);
        let Some(not_notified) = self.receivers.unknown.not_notified(receiver, wait, now) else {
            return;
        };
        let endpoint = |stretch: &UnknownStretch| self.tracked[stretch.index].entry.endpoint.load();
        let from = not_notified
            .iter()
            .map(|(_, stretch)| stretch.from)
            .min()
            .unwrap_or(now);
        let begun = self
            .receivers
            .unknown
            .notified
            .get(receiver)
            .map_or(from, |notified| notified.begun);
        let names: Vec<String> = not_notified
            .iter()
            .take(LISTED)
            .map(|(_, stretch)| endpoint(stretch).name.to_string())
            .collect();
        let held_until = not_notified
            .iter()
            .filter_map(|(_, stretch)| {
                self.maintenance_until(&endpoint(stretch), stretch.from + wait)
            })
            .filter(|until| *until <= now)
            .max();
        let more = NotificationDetails {
            count: Some(not_notified.len()),
            endpoints: Some(names),
            detail: Some(
                "the prober could not measure these endpoints; this is not downtime of the \
                endpoints",
            ),
            held_by_maintenance_until: held_until.map(|until| format_utc(self.utc(until))),
            ..NotificationDetails::default()
        };
        let body = self.unknown_body("unknown", begun, from, more);
        self.post_of_unknown(receiver, ("unknown", begun, from), body);
        let notified = self
            .receivers
            .unknown
            .notified
            .entry(receiver.clone())
            .or_insert_with(|| NotifiedReceiver {
                begun,
                endpoints: BTreeMap::new(),
            });
        notified
            .endpoints
            .extend(not_notified.iter().map(|(id, stretch)| (*id, stretch.from)));
        let row = |(id, stretch): &(i64, UnknownStretch)| NotifiedUnknown {
            receiver: receiver.clone(),
            endpoint: *id,
            since: stretch.from,
            begun,
        };
        self.next_batch.outbox.push(OutboxChange::NotifiedUnknown(
            not_notified.iter().map(row).collect(),
        ));
    }

    /// Notes until when declared maintenance holds messages about these back.
    fn follow_maintenance(&mut self, candidates: Vec<(i64, UnknownStretch)>, now: Ms) {
        for (id, stretch) in candidates {
            let until = self
                .maintenance_until(&self.tracked[stretch.index].entry.endpoint.load(), now)
                .unwrap_or(0);
            self.receivers
                .unknown
                .since
                .entry(id)
                .and_modify(|stretch| stretch.held_until = until);
        }
    }

    fn unknown_body(&self, state: &str, begun: Ms, since: Ms, more: NotificationDetails) -> String {
        Notification {
            schema: Notification::SCHEMA,
            outage: format!("unknown-{begun}"),
            endpoint: None,
            component: None,
            state,
            labels: &BTreeMap::new(),
            since: format_utc(self.utc(since)),
            more,
        }
        .body()
    }

    /// Keys name the batch: another process never uses one again.
    fn post_of_unknown(
        &mut self,
        receiver: &Name,
        (state, begun, since): (&str, Ms, Ms),
        body: String,
    ) {
        self.receivers.unknown.messages += 1;
        let key = format!(
            "{state} - {begun}-{since}-{}.{}",
            self.next_batch_number(),
            self.receivers.unknown.messages
        );
        let not_before = self.utc(since);
        self.next_batch
            .outbox
            .push(OutboxChange::Message(OutboxDraft {
                receiver: receiver.clone(),
                key,
                body,
                not_before,
                cancels: None,
            }));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::super::tests::{Kept, ops, recorder, recorder_of, window};
    use super::*;
    use crate::engine::inputs::Input;
    use crate::history::outbox::AttemptResult;
    use crate::judgement::state::{ProbeResult, ResultKind};
    use crate::words::StateName;

    const ALL: [StateName; 3] = [StateName::Down, StateName::Up, StateName::Unknown];
    const NEVER: i64 = i64::MAX / 4;

    fn success(recorder: &mut Recorder, at: Ms) {
        success_of(recorder, 0, at);
    }

    fn success_of(recorder: &mut Recorder, index: usize, at: Ms) {
        recorder.apply_input(
            index,
            Input::Observe(ProbeResult {
                start: at,
                end: at + 1,
                kind: ResultKind::Success,
                slot: true,
            }),
            at + 1,
        );
    }

    fn configure(recorder: &mut Recorder, receivers: Vec<crate::config::plan::Notify>) {
        let metrics = recorder.board.plan.load().metrics.clone();
        recorder.configure(receivers, &metrics);
    }

    /// Unknown since 2 s, as is noticed at 9 s.
    fn one_unknown() -> (Recorder, Kept) {
        let mut recorder = recorder("1s");
        configure(&mut recorder, vec![ops(&ALL, 0)]);
        success(&mut recorder, 1000);
        recorder.notify_of_unknown(1002);
        recorder.apply_input(0, Input::Tick(9000), 9000);
        assert_eq!(
            recorder.judge(0).open_unknown().map(|(from, _)| from),
            Some(2000)
        );
        (recorder, Kept::new())
    }

    /// What is posted by then, once.
    fn posted(recorder: &mut Recorder, kept: &Kept, now: Ms) -> Option<Value> {
        recorder.notify_of_unknown(now);
        kept.take(recorder, now);
        let waiting = kept.due(NEVER).len();
        (waiting > 0).then(|| kept.try_one(NEVER, AttemptResult::Delivered, now as i64))
    }

    /// Another process that begins with what the last one has left behind.
    fn restarted(before: &Recorder, kept: &Kept, now: Ms) -> Recorder {
        let board = Arc::new(crate::engine::board::Board::new(
            before.board.plan.load_full(),
        ));
        let mut recorder = Recorder::new(board, 0, before.next_batch_number() - 1, now);
        configure(&mut recorder, vec![ops(&ALL, 0)]);
        recorder.restore_notified_unknown(kept.notified_unknown());
        let tracked = &before.tracked[0];
        recorder.add(
            7,
            tracked.entry.clone(),
            tracked.judge.clone(),
            tracked.definition,
            Some(tracked.rules.cadence),
            now,
        );
        recorder.apply_input(0, Input::Start(now), now);
        recorder
    }

    #[test]
    fn those_that_become_unknown_together_are_one_message_and_their_return_is_another() {
        let (mut recorder, kept) = one_unknown();
        assert_eq!(
            posted(&mut recorder, &kept, 9000),
            None,
            "others may follow"
        );
        assert_eq!(posted(&mut recorder, &kept, 11_999), None);
        let first = posted(&mut recorder, &kept, 12_000).expect("a message");
        assert_eq!(
            (&first["state"], &first["count"], &first["endpoints"]),
            (&json!("unknown"), &json!(1), &json!(["e"]))
        );
        assert_eq!(posted(&mut recorder, &kept, 20_000), None, "once");
        success(&mut recorder, 30_000);
        let last = posted(&mut recorder, &kept, 30_100).expect("a message");
        assert_eq!(
            (&last["state"], &last["outage"]),
            (&json!("known"), &first["outage"])
        );
        assert_eq!(
            (
                posted(&mut recorder, &kept, 40_000),
                kept.notified_unknown()
            ),
            (None, Vec::new())
        );
    }

    #[test]
    fn several_that_become_unknown_within_after_are_one_message_with_their_count_and_return_as_one()
    {
        let names = ["a", "b", "c", "d"];
        let mut recorder = recorder_of(&names, "1s", "probe.tcp = \"127.0.0.1:1\"");
        configure(&mut recorder, vec![ops(&ALL, 30_000)]);
        let kept = Kept::new();
        for (index, last) in [1000, 1000, 4000, 60_000].into_iter().enumerate() {
            success_of(&mut recorder, index, 1000);
            success_of(&mut recorder, index, last);
        }
        for index in 0..3 {
            recorder.apply_input(index, Input::Tick(20_000), 20_000);
        }
        let begins = |index: usize| recorder.judge(index).open_unknown().map(|(from, _)| from);
        assert_eq!(
            [0, 1, 2, 3].map(begins),
            [Some(2000), Some(2000), Some(5000), None]
        );
        assert_eq!(posted(&mut recorder, &kept, 31_999), None);
        let first = posted(&mut recorder, &kept, 32_000).expect("a message");
        assert_eq!(
            (&first["state"], &first["count"], &first["endpoints"]),
            (&json!("unknown"), &json!(3), &json!(["a", "b", "c"])),
            "the third, too, which has not been unknown for that long"
        );
        assert_eq!(posted(&mut recorder, &kept, 36_000), None, "once");
        success_of(&mut recorder, 0, 40_000);
        success_of(&mut recorder, 1, 41_000);
        assert_eq!(posted(&mut recorder, &kept, 41_100), None, "one is unknown");
        success_of(&mut recorder, 2, 42_000);
        let last = posted(&mut recorder, &kept, 42_100).expect("a message");
        assert_eq!(
            (&last["state"], &last["outage"]),
            (&json!("known"), &first["outage"])
        );
        assert_eq!(posted(&mut recorder, &kept, 50_000), None);
    }

    #[test]
    fn who_did_not_ask_for_unknown_is_not_notified_of_it() {
        let (mut recorder, kept) = one_unknown();
        configure(&mut recorder, vec![ops(&ALL[..2], 0)]);
        assert_eq!(posted(&mut recorder, &kept, 60_000), None);
    }

    #[test]
    fn what_was_posted_before_a_restart_is_taken_back_after_it() {
        let (mut recorder, kept) = one_unknown();
        let first = posted(&mut recorder, &kept, 12_000).expect("a message");
        let mut recorder = restarted(&recorder, &kept, 20_000);
        assert_eq!(
            posted(&mut recorder, &kept, 120_000),
            None,
            "it is unknown as it was"
        );
        success(&mut recorder, 121_000);
        let last = posted(&mut recorder, &kept, 121_002).expect("a message");
        assert_eq!(
            (&last["state"], &last["outage"]),
            (&json!("known"), &first["outage"])
        );
        let mut recorder = restarted(&recorder, &kept, 121_500);
        assert_eq!(posted(&mut recorder, &kept, 122_000), None, "once");
    }

    #[test]
    fn an_endpoint_that_left_while_nobody_was_there_is_taken_back_too() {
        let (mut recorder, kept) = one_unknown();
        let first = posted(&mut recorder, &kept, 12_000).expect("a message");
        let mut recorder = restarted(&recorder, &kept, 20_000);
        recorder.remove(0, 20_001);
        let last = posted(&mut recorder, &kept, 20_002).expect("a message");
        assert_eq!(
            (&last["state"], &last["outage"]),
            (&json!("known"), &first["outage"])
        );
    }

    #[test]
    fn keys_are_used_once_over_all_processes() {
        let (mut recorder, kept) = one_unknown();
        assert_eq!(
            posted(&mut recorder, &kept, 12_000).expect("a message")["state"],
            "unknown"
        );
        // As if the receiver had been forgotten: it is notified of the same stretch again.
        let mut recorder = restarted(&recorder, &kept, 20_000);
        recorder.receivers.unknown.notified.clear();
        assert_eq!(
            posted(&mut recorder, &kept, 120_000).expect("another message")["state"],
            "unknown"
        );
    }

    #[test]
    fn a_start_posts_nothing_of_the_time_before_it_unless_it_stays_unknown() {
        let mut recorder = recorder("1s");
        success(&mut recorder, 1000);
        let kept = Kept::new();
        let mut recorder = restarted(&recorder, &kept, 3_600_000);
        recorder.apply_input(0, Input::Tick(3_600_100), 3_600_100);
        assert_eq!(
            recorder.judge(0).open_unknown().map(|(from, _)| from),
            Some(2000)
        );
        assert_eq!(posted(&mut recorder, &kept, 3_600_100 + 60_000), None);
        assert_eq!(
            posted(&mut recorder, &kept, 3_600_100 + 70_000).expect("a message")["state"],
            "unknown"
        );
    }

    #[test]
    fn maintenance_holds_it_back_follows_what_is_declared_and_says_so() {
        let (mut recorder, kept) = one_unknown();
        recorder.reconcile_windows(&[window("w", 5, 60)], 9000);
        assert_eq!(posted(&mut recorder, &kept, 30_000), None);
        recorder.reconcile_windows(&[window("w", 5, 120)], 40_000);
        assert_eq!(posted(&mut recorder, &kept, 119_900), None, "prolonged");
        let message = posted(&mut recorder, &kept, 120_000).expect("a message");
        assert_eq!(
            (&message["state"], &message["held_by_maintenance_until"]),
            (&json!("unknown"), &json!("1970-01-01T00:02:00.000Z"))
        );
    }

    #[test]
    fn maintenance_that_is_cancelled_releases_what_is_still_unknown() {
        let (mut recorder, kept) = one_unknown();
        recorder.reconcile_windows(&[window("w", 5, 600)], 9000);
        assert_eq!(posted(&mut recorder, &kept, 30_000), None);
        recorder.reconcile_windows(&[], 40_000);
        let message = posted(&mut recorder, &kept, 40_100).expect("a message");
        assert_eq!(
            (&message["state"], &message["held_by_maintenance_until"]),
            (&json!("unknown"), &json!("1970-01-01T00:00:40.000Z"))
        );
    }

    #[test]
    fn what_is_known_again_before_its_maintenance_ends_is_not_posted() {
        let (mut recorder, kept) = one_unknown();
        recorder.reconcile_windows(&[window("w", 5, 60)], 9000);
        assert_eq!(posted(&mut recorder, &kept, 30_000), None);
        success(&mut recorder, 50_000);
        assert_eq!(posted(&mut recorder, &kept, 61_000), None);
    }
}
