//! The recorder: sole owner of every endpoint's state. Results go in, effects come out.
//!
//! Synchronous: it knows no runtime and reads no clock. It puts results into the order of their
//! starts, lets the judges judge, gathers what is to be committed into batches, and shows on the
//! board what is live at once and what is settled once it is committed.

mod committing;
mod definition_events;
pub mod definitions;
mod finality;
mod lost_events;
mod message_schedule;
mod message_text;
mod next_batch;
mod publisher;
mod receivers;
mod showing;
mod slot_result_queue;
mod slot_results;
mod tallies;
mod tracked;
mod unknown_messages;
pub mod windows;
mod witness_check;
mod witness_rounds;

use std::sync::Arc;

use self::definitions::LastRecorded;
use self::message_text::closings;
use self::next_batch::NextBatch;
use self::publisher::Publisher;
use self::receivers::Receivers;
use self::slot_result_queue::SlotResultQueue;
pub use self::tracked::{Confirming, Kept, Probed, Reprobe, SlotOutcome};
use self::tracked::{Counts, HourCount, TrackedEndpoint};
use self::witness_check::WitnessCheck;
use super::board::{Board, Entry, Settled};
use super::events;
use super::inputs::Input;
use crate::config::document::secret::mask::Mask;
use crate::config::plan::{Endpoint, Metrics, Notify};
use crate::history::event::{EndpointChangedEvent, EndpointRemovedEvent, Event};
use crate::history::{EventDraft, Registration, Service};
use crate::judgement::counts::Slots;
use crate::judgement::fault::attribute;
use crate::judgement::latency::LastHour;
use crate::judgement::rules::{Cadence, Rules};
use crate::judgement::state::{Change, Judge, ProbeResult, ResultKind};
use crate::judgement::state_codec::encode_with;
use crate::words::{Digest, Ms, Name, Outcome, ProbeTrigger, Reason, StateName, UtcMs};

/// Events that may wait in memory while the disk takes nothing.
pub const EVENTS_WAITING_LIMIT: usize = 100_000;
/// Re-probes go on this long after an outage was confirmed.
const QUICK_WHILE_DOWN_MS: Ms = 60_000;
/// Re-probes per second, over all endpoints, of what is down or was unmeasured; those that confirm
/// are not bounded.
pub const REPROBES_PER_SECOND: f64 = 500.0;
pub struct Recorder {
    /// One for each endpoint that this process has had, by its place on the board. One that
    /// has left stays, so that its judge can be taken over.
    tracked: Vec<TrackedEndpoint>,
    /// What everybody else reads.
    board: Arc<Board>,
    /// UTC minus timeline, since the wall clock was set last.
    pub offset_ms: i64,
    next_batch: NextBatch,
    slot_results: SlotResultQueue,
    definitions: LastRecorded,
    publisher: Publisher,
    witness_check: WitnessCheck,
    receivers: Receivers,
    /// Re-probes that decide nothing may still use; refilled ten times a second.
    reprobe_tokens: f64,
}

impl Recorder {
    pub fn new(board: Arc<Board>, offset_ms: i64, last_batch: u64, now: Ms) -> Self {
        Self {
            tracked: Vec::new(),
            board,
            offset_ms,
            next_batch: NextBatch::after(last_batch, now),
            slot_results: SlotResultQueue::default(),
            definitions: LastRecorded::default(),
            publisher: Publisher::default(),
            witness_check: WitnessCheck::default(),
            receivers: Receivers::begun(now),
            reprobe_tokens: REPROBES_PER_SECOND,
        }
    }

    /// Takes what a config says of receivers and histograms.
    pub fn configure(&mut self, notify: Vec<Notify>, metrics: &Metrics) {
        self.receivers.list = notify;
        self.publisher.configure(metrics);
    }

    pub fn counts(&self) -> &Counts {
        &self.publisher.counts
    }

    fn utc(&self, at: Ms) -> UtcMs {
        at as i64 + self.offset_ms
    }

    // ---- endpoints come and go

    /// Adds an endpoint with the judge that the history restored, or a new one. Its index is its
    /// place on the board.
    pub fn add(
        &mut self,
        id: i64,
        entry: Arc<Entry>,
        judge: Judge,
        definition: Digest,
        stored_cadence: Option<Cadence>,
        now: Ms,
    ) {
        let rules = entry.endpoint.load().rules;
        let mut judge = judge;
        if stored_cadence != Some(rules.cadence) {
            if let Some(before) = stored_cadence {
                judge.extend(&Rules::new(before), now);
            }
            self.next_batch.to_store.push(self.tracked.len());
        }
        let hour = self.utc(now).div_euclid(3_600_000);
        let now_utc = self.utc(now);
        let recorded_outage = judge.outage().map(|o| o.from);
        if let Some((from, _)) = judge
            .open_unknown()
            .filter(|(_, reason)| *reason != Reason::Starting && judge.transitions().unknown > 0)
        {
            self.receivers.unknown.begins(id, self.tracked.len(), from);
        }
        let since_utc = judge
            .outage()
            .map(|o| o.from)
            .or(judge.since())
            .map_or(now_utc, |at| self.utc(at));
        let last_transition_utc = judge.changed_at().map_or(0, |at| self.utc(at));
        self.tracked.push(TrackedEndpoint {
            id,
            entry,
            rules,
            slots_before: *judge.slots(),
            hour: HourCount {
                number: hour,
                slots_before: *judge.slots(),
                ..HourCount::default()
            },
            judge,
            expected: 1,
            early: Vec::new(),
            reprobes: 0,
            in_service: true,
            is_counted_singly: false,
            is_taken_over: false,
            touched: false,
            is_settling: false,
            last_transition_utc,
            since_utc,
            recorded_outage,
            definition,
            void_before: 0,
        });
    }

    /// Applies an input that is no result to the judge, such as the daemon's own start.
    pub fn apply_input(&mut self, index: usize, input: Input, now: Ms) {
        self.apply(index, input, None, now);
        self.publish_live(index);
    }

    /// Publishes figures that the history already holds: those of a restored judge, or those that
    /// were shown before.
    pub fn publish_restored(&mut self, index: usize, shown: Option<Settled>) {
        let settled = shown.unwrap_or_else(|| self.settled(index));
        let entry = self.tracked[index].entry.clone();
        let _ = self
            .board
            .change(&entry, |view| view.shown.settled = settled);
        self.publish_live(index);
    }

    /// The judge of an endpoint that left, with what it has counted in this hour, for when the
    /// endpoint is back.
    pub fn take_over(&mut self, index: usize) -> (Judge, Slots, u64, LastHour) {
        self.settle(index);
        let tracked = &mut self.tracked[index];
        tracked.is_taken_over = true;
        let hour = std::mem::take(&mut tracked.entry.view().hour);
        let reprobes =
            tracked.reprobes - tracked.hour.reprobes_before + tracked.hour.reprobes_carried;
        (
            std::mem::take(&mut tracked.judge),
            tracked.hour.slots_before,
            reprobes,
            hour,
        )
    }

    /// Failures or successes wait for a decision.
    pub fn is_undecided(&self, index: usize) -> bool {
        self.tracked[index].judge.undecided()
    }

    /// Nothing vouches for the endpoint until `next_slot`, when it will be probed anyway.
    pub fn needs_first_probe(&self, index: usize, next_slot: Ms) -> bool {
        let tracked = &self.tracked[index];
        tracked.judge.needs_first_probe(&tracked.rules, next_slot)
    }

    /// The endpoint has another definition from now on. `next_seq` is the first start of the new
    /// one.
    pub fn change_definition(
        &mut self,
        index: usize,
        endpoint: Arc<Endpoint>,
        next_seq: u64,
        now: Ms,
    ) {
        let (before, after) = (self.tracked[index].definition, endpoint.digest);
        if self.tracked[index].rules.cadence != endpoint.rules.cadence {
            self.record_cadence(index, &endpoint.rules.cadence, now);
        }
        if self.tracked[index].rules != endpoint.rules {
            self.apply(index, Input::Extend(now), None, now);
            self.next_batch.to_store.push(index);
        }
        self.tracked[index].rules = endpoint.rules;
        self.tracked[index].entry.endpoint.store(endpoint);
        if before != after {
            self.tracked[index].definition = after;
            self.tracked[index].void_before = next_seq;
            self.apply_input(index, Input::Reconfigure(now), now);
            let changed = EndpointChangedEvent {
                digest_before: before.to_string(),
                digest_after: after.to_string(),
            };
            let _ = self.event_of(index, now, changed);
        }
    }

    pub fn remove(&mut self, index: usize, now: Ms) {
        self.apply_input(index, Input::LeaveService(now), now);
        self.record_no_more(index, now);
        self.next_batch.to_store.push(index);
        self.retire(index);
        self.next_batch
            .service
            .push(Service::Left(self.tracked[index].id));
        self.publisher.short_lives.remove(&self.tracked[index].id);
        let _ = self.event_of(index, now, EndpointRemovedEvent {});
    }

    /// Takes an endpoint out of service that the config no longer has when the daemon starts.
    pub fn leave_foreign(
        &mut self,
        id: i64,
        name: Name,
        cadence: &Cadence,
        mut judge: Judge,
        now: Ms,
    ) -> Judge {
        let mut changes = Vec::new();
        judge.leave_service_at(&Rules::new(*cadence), now, &mut changes);
        let utc = self.utc(now);
        for change in &changes {
            for event in events::draft((id, name.clone()), change, now, self.offset_ms, utc) {
                let _ = self.push_event(event);
            }
        }
        let removed = name.clone();
        let left = EventDraft::of_endpoint((id, name), now, utc, EndpointRemovedEvent {});
        let _ = self.push_event(left);
        for change in &changes {
            if let Change::OutageLeft { from, .. } = change {
                self.next_batch.outbox.extend(closings(
                    &self.receivers.list,
                    removed.as_str(),
                    id,
                    (*from, now),
                    self.offset_ms,
                ));
            }
        }
        self.next_batch.service.push(Service::Left(id));
        self.next_batch
            .foreign
            .push((id, encode_with(cadence, &judge)));
        judge
    }

    /// A judge of an endpoint out of service that was brought up to date by a replay: it is stored,
    /// as its marks will go.
    pub fn store_foreign(&mut self, id: i64, cadence: &Cadence, judge: &Judge) {
        self.next_batch
            .foreign
            .push((id, encode_with(cadence, judge)));
    }

    /// Hears no more results; its judge stays to be taken over, its secrets do not.
    pub fn retire(&mut self, index: usize) {
        self.receivers.unknown.ends(self.tracked[index].id);
        self.tracked[index].in_service = false;
        self.tracked[index].early = Vec::new();
        let entry = &self.tracked[index].entry;
        let endpoint = entry.endpoint.load_full();
        entry.endpoint.store(Arc::new(Endpoint {
            probe: endpoint.probe.without_secrets(),
            mask: Mask::default(),
            ..Endpoint::clone(&endpoint)
        }));
    }

    /// The history is to know the endpoint by this from the next batch on.
    pub fn serve(&mut self, id: i64, registration: Registration) {
        self.next_batch.service.push(Service::In(id, registration));
    }

    pub fn event_of(&mut self, index: usize, now: Ms, event: impl Into<Event>) -> Kept {
        let draft = EventDraft::of_endpoint(self.who(index), now, self.utc(now), event);
        self.push_event(draft)
    }

    /// An event that is not about one endpoint.
    pub fn event(&mut self, now: Ms, event: impl Into<Event>) -> Kept {
        let utc = self.utc(now);
        self.push_event(EventDraft::general(now, utc, event))
    }

    /// The number of an endpoint in the history, and its name.
    pub(super) fn who(&self, index: usize) -> (i64, Name) {
        let tracked = &self.tracked[index];
        (tracked.id, tracked.entry.endpoint.load().name.clone())
    }

    // ---- results

    /// Takes what happened to start number `seq` of an endpoint; judges it when its turn has come.
    pub fn step(
        &mut self,
        index: usize,
        seq: u64,
        slot_outcome: SlotOutcome,
        now: Ms,
        wanted: &mut Vec<Reprobe>,
    ) {
        if let SlotOutcome::Probe(probed) = &slot_outcome {
            self.count_raw(index, probed, now);
        }
        if !self.tracked[index].in_service {
            return;
        }
        let mut slot_outcome = slot_outcome;
        self.ask_witnesses(index, seq, &mut slot_outcome, now, wanted);
        let tracked = &mut self.tracked[index];
        let at = tracked.early.partition_point(|(s, _)| *s < seq);
        tracked.early.insert(at, (seq, slot_outcome));
        self.advance(index, now, wanted);
    }

    /// Judges what has come to its turn, up to a failure whose witnesses are not heard yet.
    fn advance(&mut self, index: usize, now: Ms, wanted: &mut Vec<Reprobe>) {
        loop {
            let tracked = &mut self.tracked[index];
            if tracked.early.first().map(|(seq, _)| *seq) != Some(tracked.expected) {
                break;
            }
            let (seq, slot_outcome) = tracked.early.remove(0);
            match slot_outcome {
                SlotOutcome::Busy { at } => self.apply(index, Input::Busy(at), None, now),
                SlotOutcome::Missed { at, reason, count } => {
                    self.judge_missed(index, (at, reason, count), now, wanted);
                }
                SlotOutcome::Probe(probed) => {
                    let own = self
                        .witness_check
                        .own_faults(&self.tracked[index], seq, &probed);
                    let Some(verdict) = attribute(&probed.report.outcome, &own) else {
                        let waiting = (seq, SlotOutcome::Probe(probed));
                        self.tracked[index].early.insert(0, waiting);
                        self.witness_check.held.insert(index);
                        break;
                    };
                    self.judge_probed(index, &probed, verdict, now, wanted);
                }
            }
            self.tracked[index].expected = seq + 1;
        }
        self.publish_live(index);
    }

    fn judge_missed(
        &mut self,
        index: usize,
        (at, reason, count): (Ms, Reason, u64),
        now: Ms,
        wanted: &mut Vec<Reprobe>,
    ) {
        self.publisher.counts.unmeasured[reason as usize] += count;
        self.apply(index, Input::Missed(at, reason, count), None, now);
        // It may still vouch, if it is probed within the gap. Where places are lacking, another
        // probe would take a slot's.
        if reason != Reason::LocalResource || self.tracked[index].judge.undecided() {
            self.want_reprobe(index, &ResultKind::Unmeasured(reason), now, wanted);
        }
    }

    fn judge_probed(
        &mut self,
        index: usize,
        probed: &Probed,
        verdict: ResultKind,
        now: Ms,
        wanted: &mut Vec<Reprobe>,
    ) {
        let outcome = &probed.report.outcome;
        if let (ResultKind::Unmeasured(reason), Outcome::Success(_) | Outcome::Failure { .. }) =
            (&verdict, outcome)
        {
            self.publisher.counts.unmeasured[*reason as usize] += 1;
            self.show_what_became(index, probed, *reason, now);
        }
        let result = ProbeResult {
            start: probed.start,
            end: probed.end,
            kind: verdict,
            slot: probed.trigger == ProbeTrigger::Slot,
        };
        self.keep_result(index, &result);
        let detail = match outcome {
            Outcome::Success(_) => None,
            Outcome::Failure { detail, .. } | Outcome::Unmeasured { detail, .. } => {
                Some(detail.as_str())
            }
        };
        self.apply(index, Input::Observe(result), detail, now);
        if probed.confirming == Confirming::NotYet {
            self.want_reprobe(index, &verdict, probed.end, wanted);
        }
    }

    /// What follows from a result: confirmation, repetition, or narrowing the end of an outage.
    fn want_reprobe(
        &mut self,
        index: usize,
        verdict: &ResultKind,
        end: Ms,
        wanted: &mut Vec<Reprobe>,
    ) {
        let tracked = &self.tracked[index];
        let at = end + tracked.rules.cadence.retry_interval;
        if tracked.judge.undecided() {
            wanted.push(Reprobe {
                endpoint: index,
                at,
            });
            return;
        }
        let is_quick = tracked
            .judge
            .outage()
            .is_some_and(|o| end < o.confirmed_at + QUICK_WHILE_DOWN_MS);
        let is_worth_it = is_quick || matches!(verdict, ResultKind::Unmeasured(_));
        if is_worth_it && self.reprobe_tokens >= 1.0 {
            self.reprobe_tokens -= 1.0;
            wanted.push(Reprobe {
                endpoint: index,
                at,
            });
        }
    }

    fn apply(&mut self, index: usize, input: Input, detail: Option<&str>, now: Ms) {
        self.settle(index);
        let tracked = &mut self.tracked[index];
        self.next_batch.note(tracked.id, input);
        self.next_batch.touch(index, tracked);
        self.keep_standing(index);
        let tracked = &mut self.tracked[index];
        let mut changes = Vec::new();
        input.apply(&mut tracked.judge, &tracked.rules, &mut changes);
        for change in &changes {
            self.became_final(index, change, detail, now);
        }
        self.next_batch.overflow.snapshot = None;
    }

    /// Ten times a second: views that were held are shown, the tokens of re-probes are refilled,
    /// overdue judges hear the time.
    pub fn tick(
        &mut self,
        now: Ms,
        in_flight_since: impl Fn(usize) -> Option<Ms>,
        range: std::ops::Range<usize>,
    ) {
        self.reprobe_tokens =
            (self.reprobe_tokens + REPROBES_PER_SECOND / 10.0).min(REPROBES_PER_SECOND);
        self.notify_of_unknown(now);
        for index in std::mem::take(&mut self.publisher.unpublished) {
            self.publish_live(index);
        }
        for (index, raw) in std::mem::take(&mut self.publisher.unseen) {
            if let Err(raw) = self.show_raw(index, raw) {
                self.publisher.unseen.push((index, raw));
            }
        }
        for index in range {
            let tracked = &self.tracked[index];
            if !tracked.in_service || !tracked.early.is_empty() {
                continue;
            }
            // Every probe that started before is judged: time passes up to the oldest one in flight
            // only.
            let until = in_flight_since(index).map_or(now, |since| since.min(now));
            let overdue = tracked.judge.undecided()
                || tracked.judge.state() == StateName::Unknown
                || until > tracked.judge.ledger().watermark + tracked.rules.window;
            if overdue && until > tracked.judge.ledger().watermark {
                self.apply(index, Input::Tick(until), None, now);
                self.publish_live(index);
            }
        }
    }

    /// The endpoint's number in the history.
    pub fn id(&self, index: usize) -> i64 {
        self.tracked[index].id
    }

    /// How an endpoint is probed.
    pub fn cadence(&self, index: usize) -> Cadence {
        self.tracked[index].entry.endpoint.load().rules.cadence
    }

    pub fn entry(&self, index: usize) -> &Arc<Entry> {
        &self.tracked[index].entry
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::document::secret::Secret;
    use crate::config::plan::NotifyOn;
    use crate::history::Stamp;
    use crate::history::opened::History;
    use crate::history::outbox::{self, AttemptResult};
    use crate::history::schema::open_to_read;
    use crate::history::writer::Writer;
    use crate::judgement::maintenance::Window;

    /// Of one endpoint, in service since 1 ms.
    pub(super) fn recorder(interval: &str) -> Recorder {
        recorder_of(&["e"], interval, "probe.tcp = \"127.0.0.1:1\"")
    }

    /// Of several, each with this probe.
    pub(super) fn recorder_of(names: &[&str], interval: &str, probe: &str) -> Recorder {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("c.toml");
        let endpoint = |name: &&str| {
            format!("[[endpoint]]\nname = \"{name}\"\ninterval = \"{interval}\"\n{probe}\n")
        };
        let text: String = names.iter().map(endpoint).collect();
        std::fs::write(&path, text).expect("written");
        let plan =
            Arc::new(crate::config::load(&path, &crate::net::config_files::Files).expect("a plan"));
        let mut recorder = Recorder::new(Arc::new(Board::new(plan.clone())), 0, 0, 1);
        for (index, endpoint) in plan.endpoints.iter().cloned().enumerate() {
            let (id, digest) = (7 + index as i64, endpoint.digest);
            let entry = Arc::new(Entry::new(index, endpoint, 1));
            recorder.add(id, entry, Judge::default(), digest, None, 1);
            recorder.apply_input(index, Input::Start(1), 1);
        }
        recorder
    }

    /// A history that takes a recorder's batches, as a daemon's does.
    pub(super) struct Kept {
        directory: tempfile::TempDir,
        writer: Writer,
    }

    impl Kept {
        pub fn new() -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            let history = History::open(directory.path(), None).expect("a history");
            let (writer, _) = history.start(drop).expect("a thread");
            Self { directory, writer }
        }

        pub fn take(&self, recorder: &mut Recorder, now: Ms) {
            let stamp = Stamp {
                timeline_ms: now,
                utc_ms: recorder.utc(now),
                ..Stamp::default()
            };
            self.writer.commit(recorder.close_batch(stamp));
            self.is_done();
        }

        /// The writer has done all that it was told.
        fn is_done(&self) {
            self.writer.register(Vec::new()).expect("an answer");
        }

        /// Messages to `ops` that may be sent then; they are not.
        pub fn due(&self, utc: UtcMs) -> Vec<outbox::QueuedMessage> {
            outbox::due(
                &open_to_read(self.directory.path()).expect("opened"),
                "ops",
                (utc, 3_600_000),
                100,
                |_| false,
            )
            .expect("read")
        }

        /// Tells that the first of those was tried.
        pub fn try_one(
            &self,
            utc: UtcMs,
            outcome: AttemptResult,
            again_at: UtcMs,
        ) -> serde_json::Value {
            let due = self.due(utc);
            self.writer.sent(due[0].id, outcome, again_at);
            self.is_done();
            serde_json::from_str(&due[0].body).expect("JSON")
        }

        pub fn notified_unknown(&self) -> Vec<outbox::NotifiedUnknown> {
            outbox::notified_unknown(&open_to_read(self.directory.path()).expect("opened"))
                .expect("read")
        }
    }

    /// A receiver named `ops`.
    pub(super) fn ops(on: &[StateName], after: Ms) -> Notify {
        Notify {
            name: Name::new("ops").expect("a name"),
            url: Secret::new("http://127.0.0.1/"),
            after,
            on: NotifyOn::of(on),
            headers: Vec::new(),
        }
    }

    /// Maintenance of everything, from a second of 1970 to another.
    pub(super) fn window(id: &str, from: u64, to: u64) -> Window {
        let start = format!("1970-01-01T00:{:02}:{:02}", from / 60, from % 60);
        Window::from_json(&json!({
            "id": id, "components": [], "endpoints": [], "start": start,
            "time_zone": "UTC", "every": [], "duration_ms": (to - from) * 1000,
            "announced_at": null, "reason": "works",
        }))
        .expect("a window")
    }

    #[test]
    fn a_slot_that_came_too_late_is_repeated_and_costs_nothing_within_the_gap() {
        let mut recorder = recorder("1h");
        let hour = 3_600_000;
        let success = |at: Ms| {
            Input::Observe(ProbeResult {
                start: at,
                end: at + 1,
                kind: ResultKind::Success,
                slot: true,
            })
        };
        recorder.apply_input(0, success(1000), 1001);
        let mut wanted = Vec::new();
        let late = SlotOutcome::Missed {
            at: 1000 + hour,
            reason: Reason::Late,
            count: 1,
        };
        recorder.step(0, 1, late, 2000 + hour, &mut wanted);
        assert_eq!(
            wanted,
            [Reprobe {
                endpoint: 0,
                at: 3000 + hour
            }],
            "after the retry interval"
        );
        recorder.apply_input(0, success(3000 + hour), 3001 + hour);
        assert_eq!(
            recorder.judge(0).ledger().unknown,
            999,
            "only what was before the first success"
        );
    }
}
