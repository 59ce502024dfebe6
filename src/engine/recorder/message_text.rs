//! What a message to a receiver says, and its key.
//!
//! Messages of one outage have its id in common. A message whose key names the same queue is sent
//! after those before it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use crate::config::plan::Notify;
use crate::history::{OutboxChange, OutboxDraft};
use crate::words::{Cause, Ms, format_utc};

/// The fields of a message, as docs/schemas/probity-notification-2.json has them.
#[derive(Serialize)]
pub(super) struct Notification<'m> {
    pub schema: &'static str,
    /// What messages of one outage have in common.
    pub outage: String,
    pub endpoint: Option<&'m str>,
    pub component: Option<&'m str>,
    pub state: &'m str,
    pub labels: &'m BTreeMap<String, String>,
    pub since: String,
    #[serde(flatten)]
    pub more: NotificationDetails<'m>,
}

/// Fields that only some messages have.
#[derive(Default, Serialize)]
pub(super) struct NotificationDetails<'m> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down_seconds: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by_maintenance_until: Option<String>,
}

impl Notification<'_> {
    pub const SCHEMA: &'static str = "probity-notification/2";

    /// JSON with its keys in order.
    pub fn body(&self) -> String {
        json!(self).to_string()
    }
}

pub(super) enum OutageMessage<'d> {
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
pub(super) struct SendTime {
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
) -> Vec<OutboxChange> {
    let about = About {
        name,
        component: name,
        labels: &BTreeMap::new(),
    };
    let due = SendTime {
        at,
        held_until: None,
    };
    receivers
        .iter()
        .filter_map(|receiver| {
            message_of(
                receiver,
                &about,
                id,
                &OutageMessage::Closed { from, at },
                due,
                offset_ms,
            )
        })
        .map(OutboxChange::Message)
        .collect()
}

pub(super) struct About<'e> {
    pub name: &'e str,
    pub component: &'e str,
    pub labels: &'e BTreeMap<String, String>,
}

impl OutageMessage<'_> {
    fn body(&self, about: &About, id: i64, held_until: Option<Ms>, offset_ms: i64) -> String {
        let utc = |at: Ms| format_utc(at as i64 + offset_ms);
        let (state, from, since, more) = match *self {
            OutageMessage::Down {
                from,
                confirmed_at,
                cause,
                detail,
            } => {
                let more = NotificationDetails {
                    confirmed_at: Some(utc(confirmed_at)),
                    cause: Some(cause.as_str()),
                    detail: Some(detail.unwrap_or_default()),
                    held_by_maintenance_until: held_until.map(utc),
                    ..NotificationDetails::default()
                };
                ("down", from, from, more)
            }
            OutageMessage::Up { from, to, down } => {
                let more = NotificationDetails {
                    down_seconds: Some(format!("{}.{:03}", down / 1000, down % 1000)),
                    ..NotificationDetails::default()
                };
                ("up", from, to, more)
            }
            OutageMessage::Closed { from, at } => {
                let more = NotificationDetails {
                    detail: Some(
                        "the endpoint left service while it was down; nothing more is known of it",
                    ),
                    ..NotificationDetails::default()
                };
                ("closed", from, at, more)
            }
        };
        Notification {
            schema: Notification::SCHEMA,
            outage: outage_id(id, from),
            endpoint: Some(about.name),
            component: Some(about.component),
            state,
            labels: about.labels,
            since: utc(since),
            more,
        }
        .body()
    }
}

/// `due`: of an outage's first message.
pub(super) fn message_of(
    receiver: &Notify,
    about: &About,
    id: i64,
    message: &OutageMessage,
    due: SendTime,
    offset_ms: i64,
) -> Option<OutboxDraft> {
    let utc = |at: Ms| at as i64 + offset_ms;
    let body = || message.body(about, id, due.held_until, offset_ms);
    let draft = |key: String, body: String, not_before, cancels| OutboxDraft {
        receiver: receiver.name.clone(),
        key,
        body,
        not_before,
        cancels,
    };
    // It takes the outage's first message back; without a text that is all it does.
    let end = |key: String, body: Option<String>, at: Ms, from: Ms| {
        draft(
            key,
            body.unwrap_or_default(),
            utc(at),
            Some(begin_key(id, from)),
        )
    };
    let on = receiver.on;
    match *message {
        OutageMessage::Down { from, .. } => on
            .down
            .then(|| draft(begin_key(id, from), body(), utc(due.at), None)),
        OutageMessage::Up { from, to, .. } => {
            Some(end(format!("up {id} {from}"), on.up.then(body), to, from))
        }
        OutageMessage::Closed { from, at } => Some(end(
            format!("left {id} {from}"),
            on.down.then(body),
            at,
            from,
        )),
    }
}
