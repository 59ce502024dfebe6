//! What people are told: one message for each receiver, in a queue of its endpoint; and what takes messages back.
//!
//! Messages of one outage have its id in common. A message whose key names the same queue is sent after those before it.

use serde_json::{Value, json};

use super::Recorder;
use super::windows::windows_of;
use crate::config::plan::{Endpoint, Notify};
use crate::outward::history::{OutboxDraft, RELEASE};
use crate::words::{Cause, Ms, format_utc};

/// How far ahead a maintenance window is followed that holds messages back.
const WINDOWS_AHEAD_MS: Ms = 31 * 86_400_000;

pub(super) enum State<'d> {
    /// `held_until`: the end of the declared maintenance that the confirmation falls into.
    Down {
        from: Ms,
        confirmed_at: Ms,
        cause: Cause,
        detail: Option<&'d str>,
        held_until: Option<Ms>,
    },
    Up {
        from: Ms,
        to: Ms,
        down: Ms,
    },
    /// The endpoint left service with an outage open.
    Closed {
        from: Ms,
        at: Ms,
    },
}

/// An id that the messages of one outage share.
fn outage_id(endpoint: i64, from: Ms) -> String {
    format!("{endpoint}-{from}")
}

/// One message for each receiver. An end that comes before anybody was told of the begin takes that back and says nothing itself.
pub(super) fn notifications(receivers: &[Notify], endpoint: &Endpoint, id: i64, state: State, offset_ms: i64) -> Vec<OutboxDraft> {
    let about = About { name: endpoint.name.as_str(), component: endpoint.component.as_str(), labels: json!(&*endpoint.labels) };
    receivers.iter().filter_map(|receiver| message(receiver, &about, id, &state, offset_ms)).collect()
}

/// The same for an endpoint that the config no longer has.
pub(super) fn closings(receivers: &[Notify], name: &str, id: i64, (from, at): (Ms, Ms), offset_ms: i64) -> Vec<OutboxDraft> {
    let about = About { name, component: name, labels: json!({}) };
    receivers.iter().filter_map(|receiver| message(receiver, &about, id, &State::Closed { from, at }, offset_ms)).collect()
}

struct About<'e> {
    name: &'e str,
    component: &'e str,
    labels: Value,
}

fn message(receiver: &Notify, about: &About, id: i64, state: &State, offset_ms: i64) -> Option<OutboxDraft> {
    let utc = |at: Ms| at as i64 + offset_ms;
    let common = |state: &str, from: Ms, since: Ms| {
        json!({"schema": "probity-notification/2", "outage": outage_id(id, from), "endpoint": about.name, "component": about.component,
               "state": state, "labels": about.labels, "since": format_utc(utc(since))})
    };
    let draft = |key: String, body: String, not_before, cancels| OutboxDraft { receiver: receiver.name.clone(), key, body, not_before, cancels };
    match *state {
        State::Down { from, confirmed_at, cause, detail, held_until } => {
            let mut body = common("down", from, from);
            body["confirmed_at"] = json!(format_utc(utc(confirmed_at)));
            body["cause"] = json!(cause.as_str());
            body["detail"] = json!(detail.unwrap_or_default());
            let mut not_before = utc(confirmed_at) + receiver.after as i64;
            if let Some(until) = held_until {
                body["held_by_maintenance_until"] = json!(format_utc(utc(until)));
                not_before = not_before.max(utc(until));
            }
            receiver.on.down.then(|| draft(format!("down {id} {from}"), body.to_string(), not_before, None))
        }
        State::Up { from, to, down } => {
            let mut body = common("up", from, to);
            body["down_seconds"] = json!(format!("{}.{:03}", down / 1000, down % 1000));
            let text = if receiver.on.up { body.to_string() } else { String::new() };
            Some(draft(format!("up {id} {from}"), text, utc(to), Some(format!("down {id} {from}"))))
        }
        State::Closed { from, at } => {
            let mut body = common("closed", from, at);
            body["detail"] = json!("the endpoint left service while it was down; nothing more is known of it");
            let text = if receiver.on.down { body.to_string() } else { String::new() };
            Some(draft(format!("left {id} {from}"), text, utc(at), Some(format!("down {id} {from}"))))
        }
    }
}

impl Recorder {
    /// A window has ended before its time: what it held back of outages that are still open may go.
    pub(super) fn release_messages(&mut self, now: Ms) {
        let mut drafts = Vec::new();
        for course in self.courses.iter().filter(|course| course.in_service) {
            let Some(outage) = course.judge.outage() else { continue };
            let endpoint = course.entry.endpoint.load();
            if self.maintenance_until(&endpoint, now).is_some() {
                continue;
            }
            drafts.extend(self.notify.iter().map(|receiver| OutboxDraft {
                receiver: receiver.name.clone(),
                key: format!("{RELEASE}{} {}", course.id, outage.from),
                body: String::new(),
                not_before: (outage.confirmed_at + receiver.after).max(now) as i64 + self.offset_ms,
                cancels: None,
            }));
        }
        self.outbox.extend(drafts);
    }

    /// The end of the declared maintenance that an instant falls into, if it does.
    pub(super) fn maintenance_until(&self, endpoint: &Endpoint, at: Ms) -> Option<Ms> {
        let all = self.board.windows.load();
        let mut until = None;
        // Windows that touch each other hold as one.
        loop {
            let cursor = until.unwrap_or(at);
            let spans = windows_of(&all, endpoint.name.as_str(), endpoint.component.as_str(), cursor, cursor, self.offset_ms);
            let next = spans.iter().find(|span| span.from <= cursor as i64 && span.to > cursor as i64).map(|span| span.to.max(0) as Ms);
            if next.is_none() || cursor > at + WINDOWS_AHEAD_MS {
                return until;
            }
            until = next;
        }
    }
}
