//! Events that found no room while the disk took nothing: what they were about becomes unknown time of the record.
//!
//! The judges went on and their counters are whole; only the record has a hole. When there is room again it is told where
//! the hole lies for each endpoint, and the outage that is open after it.

use serde_json::json;

use super::{Kept, Recorder};
use crate::engine::events;
use crate::judgement::state::Change;
use crate::outward::history::{EventDraft, Projection};
use crate::words::{Ms, Reason, UtcMs, format_utc};

impl Recorder {
    /// Takes the events of a change, or notes from when on the endpoint's record lacks something.
    pub(super) fn keep_events(&mut self, index: usize, change: &Change, drafts: Vec<EventDraft>) {
        let kept = drafts.into_iter().all(|draft| self.push_event(draft) == Kept::Yes);
        if !kept {
            let from = begin_of(change);
            self.lost.entry(index).and_modify(|earlier| *earlier = from.min(*earlier)).or_insert(from);
            return;
        }
        match *change {
            Change::Down { from, .. } => self.courses[index].told_outage = Some(from),
            Change::Up { .. } | Change::OutageLeft { .. } => self.courses[index].told_outage = None,
            _ => {}
        }
    }

    /// Tells of the holes that the record has got, in the batch that has room again.
    pub(super) fn tell_of_gaps(&mut self, now: Ms, utc: UtcMs) {
        if self.dropped_events == 0 {
            return;
        }
        let body = json!({"dropped": self.dropped_events, "endpoints": self.lost.len(), "why": "more events waited for the disk than memory may hold"});
        self.events.push(events::general("history_gap", now, utc, body));
        self.dropped_events = 0;
        for (index, from) in std::mem::take(&mut self.lost) {
            let (told, outage) = (self.courses[index].told_outage, self.courses[index].judge.outage().copied());
            let is_told = outage.map(|o| o.from) == told;
            if told.is_some() && !is_told {
                let body = json!({"to": format_utc(self.utc(from)), "to_ms": from, "why": "its end was not recorded"});
                let closed = Projection::OutageClosed { to: from, to_earliest: from, to_latest: from };
                self.tell_gap(index, "outage_lost", now, utc, body, closed);
            }
            let to = self.courses[index].judge.ledger().watermark.max(from);
            self.counts.unknown_ms[Reason::History as usize] += to - from;
            let reason = Reason::History.as_str();
            let body = json!({"from": format_utc(self.utc(from)), "from_ms": from, "to": format_utc(self.utc(to)), "to_ms": to, "reason": reason});
            self.tell_gap(index, "known", now, utc, body, Projection::Unknown { from, to, reason });
            if let (Some(o), false) = (outage, is_told) {
                let change =
                    Change::Down { from: o.from, from_earliest: o.from_earliest, from_latest: o.from_latest, confirmed_at: o.confirmed_at, cause: o.cause };
                let who = (self.courses[index].id, self.courses[index].entry.endpoint.load().name.clone());
                self.events.extend(events::draft(who, &change, now, self.offset_ms, utc));
            }
            self.courses[index].told_outage = outage.map(|o| o.from);
        }
    }

    fn tell_gap(&mut self, index: usize, kind: &'static str, now: Ms, utc: UtcMs, body: serde_json::Value, projection: Projection) {
        let who = (self.courses[index].id, self.courses[index].entry.endpoint.load().name.clone());
        self.events.push(EventDraft { projection: Some(projection), ..events::of_endpoint(who, kind, now, utc, body) });
    }
}

/// The first instant whose record depends on the change.
fn begin_of(change: &Change) -> Ms {
    match *change {
        Change::Down { from, .. } | Change::UnknownFrom { from, .. } | Change::UnknownUntil { from, .. } => from,
        Change::Up { to, .. } | Change::OutageLeft { to, .. } => to,
        Change::Proven { from, .. } | Change::OutOfService { from, .. } | Change::Unconfirmed { from, .. } => from,
        Change::FirstUp { at } => at,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::recorder;
    use super::*;
    use crate::engine::inputs::Input;
    use crate::judgement::state::{ProbeResult, Verdict};
    use crate::outward::history::Stamp;
    use crate::words::Cause;

    fn observe(recorder: &mut Recorder, at: Ms, verdict: Verdict) {
        recorder.tell(0, Input::Observe(ProbeResult { start: at, end: at + 1, verdict, slot: true }), at + 1);
    }

    #[test]
    fn what_overflows_while_the_disk_fails_is_unknown_time_of_the_record() {
        let mut recorder = recorder("1s");
        let mut at = 1000;
        let failed = Verdict::Failure(Cause::ConnectRefused);
        observe(&mut recorder, at, Verdict::Success);
        while recorder.dropped_events == 0 {
            for verdict in [failed, failed, failed, Verdict::Success] {
                at += 500;
                observe(&mut recorder, at, verdict);
            }
        }
        // Down when there is room again, of which no event could tell.
        let hole_from = *recorder.lost.get(&0).expect("its record has a hole");
        for _ in 0..3 {
            at += 500;
            observe(&mut recorder, at, failed);
        }
        let outage = *recorder.courses[0].judge.outage().expect("an open outage");
        let batch = recorder.close_batch(Stamp { timeline_ms: at + 10, ..Stamp::default() });
        let told = &batch.events[recorder.events_limit()..];
        assert_eq!(told.iter().map(|e| e.kind).collect::<Vec<_>>(), ["history_gap", "known", "down"]);
        let Some(Projection::Unknown { from, to, reason }) = told[1].projection else { panic!("no unknown time") };
        assert_eq!((from, to, reason), (hole_from, recorder.courses[0].judge.ledger().watermark, "history"));
        let Some(Projection::OutageOpened { from, .. }) = told[2].projection else { panic!("no outage") };
        assert_eq!(from, outage.from);
        at += 500;
        observe(&mut recorder, at, Verdict::Success);
        let batch = recorder.close_batch(Stamp { timeline_ms: at + 10, ..Stamp::default() });
        assert!(batch.events.iter().any(|e| e.kind == "up") && !batch.events.iter().any(|e| e.kind == "history_gap"));
    }

    #[test]
    fn an_outage_whose_end_found_no_room_ends_where_the_hole_begins() {
        let mut recorder = recorder("1s");
        observe(&mut recorder, 1000, Verdict::Success);
        for at in [1500, 2000, 2500] {
            observe(&mut recorder, at, Verdict::Failure(Cause::ConnectRefused));
        }
        while recorder.push_event(events::general("proven", 1, 1, json!({}))) == Kept::Yes {}
        observe(&mut recorder, 3000, Verdict::Success);
        observe(&mut recorder, 3500, Verdict::Success);
        let batch = recorder.close_batch(Stamp { timeline_ms: 4000, ..Stamp::default() });
        let told: Vec<_> = batch.events[recorder.events_limit()..].iter().map(|e| e.kind).collect();
        assert_eq!(told, ["history_gap", "outage_lost", "known"]);
        assert_eq!(recorder.courses[0].told_outage, None);
    }
}
