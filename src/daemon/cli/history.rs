//! `probity history`: outages and transitions by endpoint and time; whether the chain is whole.

use serde_json::{Value, json};

use super::args::History;
use super::{local, print};
use crate::daemon::exit::Exit;
use crate::expose::api;
use crate::outward::history::HistoryError;
use crate::outward::history::read::{self, Calendar, Verdict};
use crate::words::parse_utc;

pub fn run(command: &History) -> Exit {
    match command {
        History::List { place, endpoint, since, limit, transitions, json } => {
            let since = match since.as_deref().map(parse_utc) {
                Some(None) => {
                    eprintln!("probity: --since is no instant; write it as 2026-11-01T00:00:00Z");
                    return Exit::Usage;
                }
                since => since.flatten().unwrap_or(0),
            };
            let connection = match local::open(place) {
                Ok(connection) => connection,
                Err(exit) => return exit,
            };
            let wanted = Wanted { endpoint: endpoint.as_deref(), since, limit: *limit };
            let listed = if *transitions { list_transitions(&connection, &wanted, *json) } else { list_outages(&connection, &wanted, *json) };
            listed.map_or_else(local::complain, |()| Exit::Fine)
        }
        History::Verify { place, json } => match local::open(place) {
            Ok(connection) => verify(&connection, *json),
            Err(exit) => exit,
        },
    }
}

struct Wanted<'a> {
    endpoint: Option<&'a str>,
    since: i64,
    limit: usize,
}

fn list_outages(connection: &rusqlite::Connection, wanted: &Wanted, json: bool) -> Result<(), HistoryError> {
    let value = api::outage_list(connection, wanted.endpoint, wanted.since, wanted.limit)?;
    print(json, &value, || {
        let outages = value["outages"].as_array().map_or(&[][..], Vec::as_slice);
        if outages.is_empty() {
            return "no outage is recorded\n".into();
        }
        let mut out = format!("{:<24} {:<25} {:<25} {:<20} {}\n", "endpoint", "from (between)", "to (between)", "cause", "event");
        for o in outages {
            let text = |key: &str| o[key].as_str().unwrap_or("still down").to_owned();
            out.push_str(&format!("{:<24} {:<25} {:<25} {:<20} {}\n", text("endpoint"), text("from"), text("to"), text("cause"), o["seq"]));
            let bounds = |a: &str, b: &str| format!("{} … {}", clock(&o[a]), clock(&o[b]));
            let to = if o["to"].is_null() { String::new() } else { bounds("to_earliest", "to_latest") };
            out.push_str(&format!("{:<24} {:<25} {:<25}\n", "", bounds("from_earliest", "from_latest"), to));
        }
        out
    });
    Ok(())
}

/// `12:00:00.000` of an instant.
fn clock(value: &Value) -> String {
    value.as_str().and_then(|t| t.get(11..19)).unwrap_or_default().to_owned()
}

fn list_transitions(connection: &rusqlite::Connection, wanted: &Wanted, json: bool) -> Result<(), HistoryError> {
    let calendar = Calendar::read(connection)?;
    let mut events = Vec::new();
    read::each_event(connection, 1, |event| {
        let parsed: Option<Value> = serde_json::from_str(&event.body).ok();
        if let Some(parsed) = parsed {
            let kind = parsed["kind"].as_str().unwrap_or_default();
            let fits = matches!(kind, "down" | "up" | "unknown" | "known" | "first_up")
                && wanted.endpoint.is_none_or(|e| parsed["endpoint"] == e)
                && parsed["at_ms"].as_u64().is_some_and(|at| calendar.utc(at) >= wanted.since);
            if fits {
                events.push(parsed);
            }
        }
        true
    })?;
    events.reverse();
    events.truncate(wanted.limit);
    let value = json!({"schema": "probity-transitions/1", "transitions": events});
    print(json, &value, || {
        events
            .iter()
            .map(|e| {
                let text = |key: &str| e[key].as_str().unwrap_or_default().to_owned();
                let when = ["to", "from", "at"].into_iter().map(text).find(|t| !t.is_empty()).unwrap_or_default();
                let when = if e["kind"] == "down" || e["kind"] == "unknown" { text("from") } else { when };
                let why = if e["cause"].is_null() { text("reason") } else { text("cause") };
                format!("{when:<25} {:<24} {:<9} {why}\n", text("endpoint"), text("kind"))
            })
            .collect()
    });
    Ok(())
}

fn verify(connection: &rusqlite::Connection, json: bool) -> Exit {
    match read::verify(connection) {
        Ok(Verdict::Whole { events, head }) => {
            let value = json!({"schema": "probity-verify/1", "verdict": "whole", "events": events, "head": head, "seq": null, "why": null});
            print(json, &value, || format!("whole: {events} events, head {head}\n"));
            Exit::Fine
        }
        Ok(Verdict::Altered { seq, why }) => {
            let value = json!({"schema": "probity-verify/1", "verdict": "altered", "events": null, "head": null, "seq": seq, "why": why});
            print(json, &value, || format!("altered: event {seq}: {why}\n"));
            Exit::Bad
        }
        Err(error) => {
            let value = json!({"schema": "probity-verify/1", "verdict": "not provable", "events": null, "head": null, "seq": null, "why": error.to_string()});
            print(json, &value, || format!("not provable: {error}\n"));
            Exit::Unknown
        }
    }
}
