//! Turns what became final for an endpoint into events of the history.

use crate::history::EventDraft;
use crate::history::event::{
    DoubtEvent, DownEvent, Event, FirstUpEvent, KnownEvent, OutOfServiceEvent, OutageLeftEvent,
    ProvenEvent, UnconfirmedEvent, UnknownEvent, UpEvent,
};
use crate::judgement::state::Change;
use crate::words::{Ms, Name, UtcMs, format_utc};

/// The events of a change, if it is one that the history keeps.
pub fn draft(
    endpoint: (i64, Name),
    change: &Change,
    at: Ms,
    offset_ms: i64,
    recorded: UtcMs,
) -> Vec<EventDraft> {
    of_change(change, |at| format_utc(at as i64 + offset_ms))
        .into_iter()
        .map(|event| EventDraft::of_endpoint(endpoint.clone(), at, recorded, event))
        .collect()
}

fn of_change(change: &Change, utc: impl Fn(Ms) -> String) -> Vec<Event> {
    let event: Event = match *change {
        Change::Down { .. } | Change::Up { .. } | Change::OutageLeft { .. } => {
            return of_outage(change, utc).into_iter().collect();
        }
        Change::Proven { from, to } => ProvenEvent {
            from_ms: from,
            to_ms: to,
        }
        .into(),
        Change::OutOfService { from, to } => OutOfServiceEvent {
            from: utc(from),
            from_ms: from,
            to: utc(to),
            to_ms: to,
        }
        .into(),
        Change::FirstUp { at } => FirstUpEvent { at: utc(at) }.into(),
        Change::UnknownFrom { from, doubt_from } => UnknownEvent {
            from: utc(from),
            from_ms: from,
            doubt_from_ms: doubt_from,
        }
        .into(),
        Change::UnknownUntil { .. } => return of_unknown(change, utc),
        Change::Unconfirmed { from, to } => UnconfirmedEvent {
            from: utc(from),
            from_ms: from,
            to_ms: to,
        }
        .into(),
    };
    vec![event]
}

/// The start or the end of an outage.
fn of_outage(change: &Change, utc: impl Fn(Ms) -> String) -> Option<Event> {
    Some(match *change {
        Change::Down {
            from,
            from_earliest,
            from_latest,
            confirmed_at,
            cause,
        } => DownEvent {
            from: utc(from),
            from_ms: from,
            from_earliest_ms: from_earliest,
            from_latest_ms: from_latest,
            confirmed_at_ms: confirmed_at,
            cause: cause.as_str().into(),
        }
        .into(),
        Change::Up {
            from,
            to,
            to_earliest,
            to_latest,
            lower,
            down,
        } => UpEvent {
            from_ms: from,
            to: utc(to),
            to_ms: to,
            to_earliest_ms: to_earliest,
            to_latest_ms: to_latest,
            lower_ms: lower,
            down_ms: down,
        }
        .into(),
        Change::OutageLeft {
            from,
            to,
            lower,
            down,
        } => OutageLeftEvent {
            from_ms: from,
            to: utc(to),
            to_ms: to,
            lower_ms: lower,
            down_ms: down,
            why: "the endpoint left service".into(),
        }
        .into(),
        _ => return None,
    })
}

/// The end of unknown time, and the doubt that reaches beyond it.
fn of_unknown(change: &Change, utc: impl Fn(Ms) -> String) -> Vec<Event> {
    let Change::UnknownUntil {
        from,
        to,
        reason,
        doubt_until,
    } = *change
    else {
        return Vec::new();
    };
    let known = KnownEvent {
        from: utc(from),
        from_ms: from,
        to: utc(to),
        to_ms: to,
        reason: reason.as_str().into(),
        doubt_until_ms: doubt_until,
    };
    let doubt = doubt_until
        .filter(|until| *until > to)
        .map(|until| DoubtEvent {
            from_ms: to,
            to_ms: until,
            why: "a success ended unknown time".into(),
        });
    let known = (to > from).then(|| known.into());
    known.into_iter().chain(doubt.map(Event::from)).collect()
}

/// Whether an event tells what became final of an endpoint's time: when one of these finds no room,
/// the time is unknown.
pub fn is_of_state(event: &Event) -> bool {
    match event {
        Event::Down(_)
        | Event::Up(_)
        | Event::OutageLeft(_)
        | Event::Proven(_)
        | Event::OutOfService(_)
        | Event::FirstUp(_)
        | Event::Unknown(_)
        | Event::Known(_)
        | Event::Doubt(_)
        | Event::Unconfirmed(_) => true,
        Event::OutageLost(_)
        | Event::EndpointAdded(_)
        | Event::EndpointRenamed(_)
        | Event::EndpointComponent(_)
        | Event::EndpointCadence(_)
        | Event::EndpointChanged(_)
        | Event::EndpointRemoved(_)
        | Event::DaemonStarted(_)
        | Event::DaemonStopped(_)
        | Event::Reloaded(_)
        | Event::ClockStep(_)
        | Event::RecordedLate(_)
        | Event::HistoryGap(_)
        | Event::WitnessesSilent(_)
        | Event::WitnessesAnswer(_)
        | Event::Config(_)
        | Event::Terms(_)
        | Event::Component(_)
        | Event::Witnesses(_)
        | Event::Limits(_)
        | Event::ResultsFrom(_)
        | Event::ResultsUntil(_)
        | Event::Tallies(_)
        | Event::MaintenanceDeclared(_)
        | Event::MaintenanceEnded(_)
        | Event::Exclusion(_)
        | Event::Annotation(_)
        | Event::CheckpointKeyChanged(_)
        | Event::Restored(_)
        | Event::Pruned(_) => false,
    }
}
