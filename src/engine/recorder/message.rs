//! The messages of an outage to one receiver.
//!
//! Messages of one outage have its id in common. A message whose key names the same queue is sent
//! after those before it.

use serde_json::{Value, json};

use crate::config::plan::Notify;
use crate::history::{OutboxDraft, Posting};
use crate::words::{Cause, Ms, format_utc};

pub(super) enum State<'d> {
    Down {
        from: Ms,
        confirmed_at: Ms,
        cause: Cause,
        detail: Option<&'d str>,
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

/// When the first message of an outage may be sent, and until when declared maintenance holds it
/// back, if it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub at: Ms,
    pub held_until: Option<Ms>,
}

/// An id that the messages of one outage share.
fn outage_id(endpoint: i64, from: Ms) -> String {
    format!("{endpoint}-{from}")
}

/// The key of an outage's first message to a receiver.
pub(super) fn begin_key(endpoint: i64, from: Ms) -> String {
    format!("down {endpoint} {from}")
}

/// An end of an outage for an endpoint that the config no longer has.
pub(super) fn closings(
    receivers: &[Notify],
    name: &str,
    id: i64,
    (from, at): (Ms, Ms),
    offset_ms: i64,
) -> Vec<Posting> {
    let about = About {
        name,
        component: name,
        labels: json!({}),
    };
    let due = Due {
        at,
        held_until: None,
    };
    receivers
        .iter()
        .filter_map(|receiver| {
            message(
                receiver,
                &about,
                id,
                &State::Closed { from, at },
                due,
                offset_ms,
            )
        })
        .map(Posting::Message)
        .collect()
}

pub(super) struct About<'e> {
    pub name: &'e str,
    pub component: &'e str,
    pub labels: Value,
}

/// `due`: of an outage's first message.
pub(super) fn message(
    receiver: &Notify,
    about: &About,
    id: i64,
    state: &State,
    due: Due,
    offset_ms: i64,
) -> Option<OutboxDraft> {
    let utc = |at: Ms| at as i64 + offset_ms;
    let common = |state: &str, from: Ms, since: Ms| {
        json!({
            "schema": "probity-notification/2",
            "outage": outage_id(id, from),
            "endpoint": about.name,
            "component": about.component,
            "state": state,
            "labels": about.labels,
            "since": format_utc(utc(since)),
        })
    };
    let draft = |key: String, body: String, not_before, cancels| OutboxDraft {
        receiver: receiver.name.clone(),
        key,
        body,
        not_before,
        cancels,
    };
    // It takes the outage's first message back; without a text that is all it does.
    let end = |key: String, body: Option<Value>, at: Ms, from: Ms| {
        let body = body.map_or_else(String::new, |body| body.to_string());
        draft(key, body, utc(at), Some(begin_key(id, from)))
    };
    match *state {
        State::Down {
            from,
            confirmed_at,
            cause,
            detail,
        } => {
            let mut body = common("down", from, from);
            body["confirmed_at"] = json!(format_utc(utc(confirmed_at)));
            body["cause"] = json!(cause.as_str());
            body["detail"] = json!(detail.unwrap_or_default());
            if let Some(until) = due.held_until {
                body["held_by_maintenance_until"] = json!(format_utc(utc(until)));
            }
            receiver
                .on
                .down
                .then(|| draft(begin_key(id, from), body.to_string(), utc(due.at), None))
        }
        State::Up { from, to, down } => {
            let mut body = common("up", from, to);
            body["down_seconds"] = json!(format!("{}.{:03}", down / 1000, down % 1000));
            let body = receiver.on.up.then_some(body);
            Some(end(format!("up {id} {from}"), body, to, from))
        }
        State::Closed { from, at } => {
            let mut body = common("closed", from, at);
            body["detail"] =
                json!("the endpoint left service while it was down; nothing more is known of it");
            let body = receiver.on.down.then_some(body);
            Some(end(format!("left {id} {from}"), body, at, from))
        }
    }
}
