//! What people are told of an outage: one message for each receiver, and its withdrawal.

use serde_json::json;

use crate::config::plan::{Endpoint, Notify};
use crate::outward::history::OutboxDraft;
use crate::words::{Cause, Ms, format_utc};

pub(super) enum State<'d> {
    Down { from: Ms, confirmed_at: Ms, cause: Cause, detail: Option<&'d str> },
    Up { from: Ms, to: Ms, down: Ms },
}

/// One message for each receiver. An end that comes before anybody was told of the begin cancels both.
pub(super) fn notifications(receivers: &[Notify], endpoint: &Endpoint, id: i64, state: State, offset_ms: i64) -> Vec<OutboxDraft> {
    let utc = |at: Ms| at as i64 + offset_ms;
    receivers
        .iter()
        .map(|receiver| {
            let name = endpoint.name.as_str();
            let common = |state: &str| {
                json!({"schema": "probity-notification/1", "endpoint": name, "component": endpoint.component.as_str(), "state": state, "labels": &*endpoint.labels})
            };
            match &state {
                State::Down { from, confirmed_at, cause, detail } => {
                    let mut body = common("down");
                    body["since"] = json!(format_utc(utc(*from)));
                    body["confirmed_at"] = json!(format_utc(utc(*confirmed_at)));
                    body["cause"] = json!(cause.as_str());
                    body["detail"] = json!(detail.unwrap_or_default());
                    OutboxDraft {
                        receiver: receiver.name.clone(),
                        key: format!("down {id} {from}"),
                        body: body.to_string(),
                        not_before: utc(*confirmed_at) + receiver.after as i64,
                        cancels: None,
                    }
                }
                State::Up { from, to, down } => {
                    let mut body = common("up");
                    body["since"] = json!(format_utc(utc(*to)));
                    body["down_seconds"] = json!(format!("{}.{:03}", down / 1000, down % 1000));
                    OutboxDraft { receiver: receiver.name.clone(), key: format!("up {id} {from}"), body: body.to_string(), not_before: utc(*to), cancels: Some(format!("down {id} {from}")) }
                }
            }
        })
        .collect()
}

/// Takes away the begin of an outage that nobody was told of yet; says nothing itself.
pub(super) fn withdrawals(receivers: &[Notify], id: i64, from: Ms) -> Vec<OutboxDraft> {
    let one = |r: &Notify| OutboxDraft {
        receiver: r.name.clone(),
        key: format!("left {id} {from}"),
        body: String::new(),
        not_before: 0,
        cancels: Some(format!("down {id} {from}")),
    };
    receivers.iter().map(one).collect()
}
