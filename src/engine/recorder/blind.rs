//! Who is told of unknown time: one message for all endpoints that went blind together, one when all of them are measured again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::Recorder;
use crate::outward::history::OutboxDraft;
use crate::words::{Ms, Name, format_utc};

/// Those that go blind within this time are told of together, whatever `after` says.
const TOGETHER_MS: Ms = 10_000;
/// Names in one message.
const LISTED: usize = 100;

/// Endpoints whose time is unknown now, and what receivers were told of that.
#[derive(Default)]
pub(super) struct Blind {
    /// By place: since when.
    since: BTreeMap<usize, Ms>,
    /// By receiver: the begin of what it was told of, and the places in it that are still blind.
    told: BTreeMap<Name, (Ms, BTreeSet<usize>)>,
    /// Messages so far: no two have the same key.
    messages: u64,
}

impl Blind {
    pub fn begins(&mut self, index: usize, at: Ms) {
        self.since.insert(index, at);
    }

    pub fn ends(&mut self, index: usize) {
        self.since.remove(&index);
    }
}

impl Recorder {
    /// Messages that the passing of time asks for; called ten times a second.
    pub(super) fn tell_of_the_blind(&mut self, now: Ms) {
        if self.blind.since.is_empty() && self.blind.told.is_empty() {
            return;
        }
        let mut messages = Vec::new();
        for receiver in self.notify.clone().iter().filter(|receiver| receiver.on.unknown) {
            let wait = receiver.after.max(TOGETHER_MS);
            let known = self.blind.told.get(&receiver.name).map(|(_, places)| places);
            let is_new = |index: &usize| known.is_none_or(|places| !places.contains(index));
            let is_due = self.blind.since.iter().any(|(index, at)| is_new(index) && *at + wait <= now);
            if is_due {
                let places: Vec<(usize, Ms)> = self.blind.since.iter().filter(|(index, _)| is_new(index)).map(|(index, at)| (*index, *at)).collect();
                let from = places.iter().map(|(_, at)| *at).min().unwrap_or(now);
                let begun = self.blind.told.get(&receiver.name).map_or(from, |(begun, _)| *begun);
                let names = places.iter().take(LISTED).map(|(index, _)| self.courses[*index].entry.endpoint.load().name.to_string()).collect();
                messages.push(self.blind_message(&receiver.name, "unknown", begun, from, (places.len(), names)));
                let told = self.blind.told.entry(receiver.name.clone()).or_insert_with(|| (begun, BTreeSet::new()));
                told.1.extend(places.iter().map(|(index, _)| *index));
            }
        }
        let since = &self.blind.since;
        for (_, places) in self.blind.told.values_mut() {
            places.retain(|index| since.contains_key(index));
        }
        let over: Vec<(Name, Ms)> =
            self.blind.told.iter().filter(|(_, (_, places))| places.is_empty()).map(|(name, (from, _))| (name.clone(), *from)).collect();
        for (receiver, begun) in over {
            self.blind.told.remove(&receiver);
            messages.push(self.blind_message(&receiver, "known", begun, now, (0, Vec::new())));
        }
        self.outbox.extend(messages);
    }

    fn blind_message(&mut self, receiver: &Name, state: &str, begun: Ms, since: Ms, (count, names): (usize, Vec<String>)) -> OutboxDraft {
        self.blind.messages += 1;
        let (number, offset_ms) = (self.blind.messages, self.offset_ms);
        let utc = |at: Ms| at as i64 + offset_ms;
        let mut body = json!({
            "schema": "probity-notification/2", "outage": format!("unknown-{begun}"), "endpoint": null, "component": null, "state": state,
            "labels": {}, "since": format_utc(utc(since)),
        });
        if count > 0 {
            body["count"] = json!(count);
            body["endpoints"] = json!(names);
            body["detail"] = json!("the prober could not measure these endpoints; this is no downtime of theirs");
        }
        OutboxDraft {
            receiver: receiver.clone(),
            key: format!("{state} - {begun}-{since}-{number}"),
            body: body.to_string(),
            not_before: utc(since),
            cancels: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::recorder;
    use super::*;
    use crate::config::plan::{Notify, NotifyOn};
    use crate::config::secret::Secret;
    use crate::engine::inputs::Input;
    use crate::judgement::state::{ProbeResult, Verdict};
    use crate::words::StateName;

    fn receiver(name: &str, on: &[StateName]) -> Notify {
        Notify { name: Name::new(name).expect("a name"), url: Secret::new("http://127.0.0.1/"), after: 0, on: NotifyOn::of(on), headers: Vec::new() }
    }

    fn told(recorder: &mut Recorder) -> Vec<(String, String, serde_json::Value)> {
        let read = |draft: OutboxDraft| (draft.receiver.to_string(), draft.key, serde_json::from_str(&draft.body).expect("JSON"));
        std::mem::take(&mut recorder.outbox).into_iter().map(read).collect()
    }

    #[test]
    fn those_that_go_blind_together_are_one_message_and_their_return_is_another() {
        let mut recorder = recorder("1s");
        let all = [StateName::Down, StateName::Up, StateName::Unknown];
        let metrics = recorder.board.plan.load().metrics.clone();
        recorder.configure(vec![receiver("ops", &all), receiver("calm", &all[..2])], &metrics);
        let success = |at: Ms| Input::Observe(ProbeResult { start: at, end: at + 1, verdict: Verdict::Success, slot: true });
        recorder.tell(0, success(1000), 1001);
        assert!(told(&mut recorder).is_empty(), "not known yet is not blind");
        recorder.tell(0, Input::Tick(9000), 9000);
        recorder.tell_of_the_blind(9000);
        assert!(told(&mut recorder).is_empty(), "others may follow");
        recorder.tell_of_the_blind(13_000);
        let first = told(&mut recorder);
        assert_eq!(first.len(), 1, "only who asked for it: {first:?}");
        assert_eq!((first[0].0.as_str(), first[0].2["state"].as_str(), first[0].2["endpoints"].as_array().map(Vec::len)), ("ops", Some("unknown"), Some(1)));
        recorder.tell_of_the_blind(20_000);
        assert!(told(&mut recorder).is_empty(), "once");
        recorder.tell(0, success(30_000), 30_001);
        recorder.tell_of_the_blind(30_100);
        let last = told(&mut recorder);
        assert_eq!((last.len(), last[0].2["state"].as_str(), &last[0].2["outage"]), (1, Some("known"), &first[0].2["outage"]));
    }
}
