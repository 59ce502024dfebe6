//! Turns what became final for an endpoint into events of the history, with their meaning for its
//! reading tables.

use serde_json::{Map, Value, json};

use crate::history::{EventDraft, Projection};
use crate::judgement::rules::Cadence;
use crate::judgement::state::Change;
use crate::words::{Ms, Name, UtcMs, format_utc};

/// The event of a change, if it is one that the history keeps.
pub fn draft(
    endpoint: (i64, Name),
    change: &Change,
    at: Ms,
    offset_ms: i64,
    recorded: UtcMs,
) -> Vec<EventDraft> {
    let utc = |at: Ms| format_utc(at as i64 + offset_ms);
    let one = |kind: &'static str, body: Value, projection: Option<Projection>| {
        let body = if let Value::Object(map) = body {
            map
        } else {
            Map::new()
        };
        vec![EventDraft {
            endpoint: Some(endpoint.clone()),
            kind,
            at,
            utc: recorded,
            body,
            projection,
        }]
    };
    match *change {
        Change::Down {
            from,
            from_earliest,
            from_latest,
            confirmed_at,
            cause,
        } => one(
            "down",
            json!({"from": utc(from), "from_ms": from, "from_earliest_ms": from_earliest, "from_latest_ms": from_latest,
                   "confirmed_at_ms": confirmed_at, "cause": cause.as_str()}),
            Some(Projection::OutageOpened {
                from,
                from_earliest,
                from_latest,
                confirmed_at,
                cause: cause.as_str(),
            }),
        ),
        Change::Up {
            from,
            to,
            to_earliest,
            to_latest,
            lower,
            down,
        } => one(
            "up",
            json!({"from_ms": from, "to": utc(to), "to_ms": to, "to_earliest_ms": to_earliest, "to_latest_ms": to_latest, "lower_ms": lower, "down_ms": down}),
            Some(Projection::OutageClosed {
                to,
                to_earliest,
                to_latest,
            }),
        ),
        Change::OutageLeft {
            from,
            to,
            lower,
            down,
        } => one(
            "outage_left",
            json!({"from_ms": from, "to": utc(to), "to_ms": to, "lower_ms": lower, "down_ms": down, "why": "the endpoint left service"}),
            Some(Projection::OutageClosed {
                to,
                to_earliest: to,
                to_latest: to,
            }),
        ),
        Change::Proven { from, to } => one(
            "proven",
            json!({"from_ms": from, "to_ms": to}),
            Some(Projection::Proven { from, to }),
        ),
        Change::OutOfService { from, to } => one(
            "out_of_service",
            json!({"from": utc(from), "from_ms": from, "to": utc(to), "to_ms": to}),
            Some(Projection::Absent { from, to }),
        ),
        Change::FirstUp { at: first } => one("first_up", json!({"at": utc(first)}), None),
        Change::UnknownFrom { from, doubt_from } => {
            let mut body = json!({"from": utc(from), "from_ms": from});
            if let Some(success) = doubt_from {
                body["doubt_from_ms"] = json!(success);
            }
            one(
                "unknown",
                body,
                doubt_from.map(|success| Projection::Doubtful {
                    from: success,
                    to: from,
                }),
            )
        }
        Change::UnknownUntil {
            from,
            to,
            reason,
            doubt_until,
        } => {
            let mut events = Vec::new();
            if to > from {
                let mut body = json!({"from": utc(from), "from_ms": from, "to": utc(to), "to_ms": to, "reason": reason.as_str()});
                if let Some(until) = doubt_until {
                    body["doubt_until_ms"] = json!(until);
                }
                events.extend(one(
                    "known",
                    body,
                    Some(Projection::Unknown {
                        from,
                        to,
                        reason: reason.as_str(),
                    }),
                ));
            }
            if let Some(until) = doubt_until.filter(|until| *until > to) {
                let span = Projection::Doubtful {
                    from: to,
                    to: until,
                };
                events.extend(one(
                    "doubt",
                    json!({"from_ms": to, "to_ms": until, "why": "a success ended unknown time"}),
                    Some(span),
                ));
            }
            events
        }
        Change::Unconfirmed { from, to } => one(
            "unconfirmed",
            json!({"from": utc(from), "from_ms": from, "to_ms": to}),
            Some(Projection::Doubtful { from, to }),
        ),
    }
}

/// Whether an event tells what became final of an endpoint's time: when one of these finds no room,
/// the time is unknown.
pub fn is_of_state(kind: &str) -> bool {
    matches!(
        kind,
        "down"
            | "up"
            | "outage_left"
            | "proven"
            | "out_of_service"
            | "first_up"
            | "unknown"
            | "known"
            | "doubt"
            | "unconfirmed"
    )
}

/// A cadence as events tell it: who knows it can count the slots that were due.
pub fn cadence(c: &Cadence) -> Value {
    json!({
        "interval_ms": c.interval, "jitter_ppm": c.jitter_ppm, "late_after_ms": c.late_after, "timeout_ms": c.timeout,
        "retry_interval_ms": c.retry_interval, "down_after": c.down_after, "up_after": c.up_after,
    })
}

/// An event that is not about one endpoint.
pub fn general(kind: &'static str, at: Ms, recorded: UtcMs, body: Value) -> EventDraft {
    let body = if let Value::Object(map) = body {
        map
    } else {
        Map::new()
    };
    EventDraft {
        endpoint: None,
        kind,
        at,
        utc: recorded,
        body,
        projection: None,
    }
}

/// An event about one endpoint that no reading table shows.
pub fn of_endpoint(
    endpoint: (i64, Name),
    kind: &'static str,
    at: Ms,
    recorded: UtcMs,
    body: Value,
) -> EventDraft {
    EventDraft {
        endpoint: Some(endpoint),
        ..general(kind, at, recorded, body)
    }
}
