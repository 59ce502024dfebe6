//! `probity history`: outages and transitions by endpoint and time; whether the chain is whole.

use serde_json::{Value, json};

use super::args::History;
use super::{control, given, local, print, restore};
use crate::account::figures::not_seen_text;
use crate::daemon::exit::Exit;
use crate::daemon::streams::say_error;
use crate::engine::judged;
use crate::net::clock::Clock;
use crate::report::object::ListedOutage;
use crate::report::outages;
use crate::serve::api::{self, WantedOutages};

use crate::history::HistoryError;
use crate::history::event::{Event, EventRecord};
use crate::history::reader::HistoryReader;
use crate::history::verification::{Against, Verification};
use crate::words::parse_utc;

/// Endpoints that a refusal names.
const NAMED: usize = 20;

pub fn run(command: &History) -> Exit {
    match command {
        History::List {
            place,
            endpoint,
            since,
            limit,
            transitions,
            json,
        } => {
            let since = match since.as_deref().map(parse_utc) {
                Some(None) => {
                    say_error(format_args!(
                        "probity: invalid time in --since; write it as 2026-11-01T00:00:00Z"
                    ));
                    return Exit::Usage;
                }
                since => since.flatten().unwrap_or(0),
            };
            let reader = match local::open(place)
                .and_then(|reader| known(&reader, endpoint.as_deref()).map(|()| reader))
            {
                Ok(reader) => reader,
                Err(exit) => return exit,
            };
            let wanted = Wanted {
                endpoint: endpoint.as_deref(),
                since,
                limit: *limit,
            };
            let listed = if *transitions {
                list_transitions(&reader, &wanted, *json)
            } else {
                list_outages(&reader, &wanted, *json)
            };
            listed.map_or_else(local::complain, |()| Exit::Fine)
        }
        History::Annotate {
            place,
            seq,
            text,
            by,
            json,
        } => {
            let request = json!({"do": "annotate", "seq": seq, "text": text, "by": by});
            control::ask(place, &request, *json, |a| {
                format!(
                    "note on event {seq} recorded at {}\n",
                    a["recorded_at"].as_str().unwrap_or("-")
                )
            })
        }
        History::Exclude {
            place,
            component,
            endpoint,
            from,
            to,
            reason,
            by,
            json,
        } => {
            let request = json!({"do": "exclude", "components": component, "endpoints": endpoint, "from": from, "to": to, "reason": reason, "by": by});
            control::ask(place, &request, *json, |a| {
                let mut out = format!(
                    "excluded from reports, page and API, recorded at {}. Raw data is kept\n",
                    a["recorded_at"].as_str().unwrap_or("-")
                );
                out.push_str(&control::renamed(a));
                for (name, sums) in a["before"].as_object().into_iter().flatten() {
                    out.push_str(&format!(
                        "  {name}: {} ms down, {} ms unknown, {} ms up\n",
                        sums["down_ms"], sums["unknown_ms"], sums["up_ms"]
                    ));
                }
                out
            })
        }
        History::Prune {
            place,
            before,
            by,
            json,
        } => {
            let request = json!({"do": "prune", "before": before, "by": by});
            control::ask(place, &request, *json, |a| {
                let until = a["until"].as_str().unwrap_or("-");
                format!(
                    "deleted events 1 to {}; a signed summary replaces them. Time before {until} \
                        is unknown from now on\n",
                    a["last"]
                )
            })
        }
        History::Backup { place, to, json } => {
            match local::open(place).map(|reader| reader.backup(to)) {
                Ok(Ok(())) => {
                    let file = to.display().to_string();
                    print(
                        *json,
                        &json!({"schema": "probity-backup/1", "file": file}),
                        || format!("{file}\n"),
                    );
                    Exit::Fine
                }
                Ok(Err(error)) => local::complain(error),
                Err(exit) => exit,
            }
        }
        History::Restore {
            from,
            place,
            by,
            unverified,
            json,
        } => {
            let trust = if *unverified {
                restore::Trust::Blind
            } else {
                restore::Trust::Verified
            };
            restore::run(from, place, by.as_deref(), trust, *json)
        }
        History::Verify {
            place,
            since,
            key,
            json,
        } => {
            let since = match since.as_deref().map(given::json) {
                Some(Err(why)) => {
                    say_error(format_args!("probity: --since: {why}"));
                    return Exit::Usage;
                }
                since => since.and_then(Result::ok),
            };
            let own = || local::signer(place).map(|s| s.key());
            let against = Against {
                since,
                key: key.clone().or_else(own),
            };
            match local::open(place) {
                Ok(reader) => verify(&reader, &against, *json),
                Err(exit) => exit,
            }
        }
    }
}

/// That an endpoint of this name was ever recorded: no outages of one that was not would be no
/// answer.
fn known(reader: &HistoryReader, endpoint: Option<&str>) -> Result<(), Exit> {
    let Some(name) = endpoint else { return Ok(()) };
    let all = reader.restored().map_err(local::complain)?.endpoints;
    if all.keys().any(|known| known.as_str() == name) {
        return Ok(());
    }
    let mut names: Vec<&str> = all.keys().map(|known| known.as_str()).collect();
    names.sort_unstable();
    let more = if names.len() > NAMED { ", ..." } else { "" };
    names.truncate(NAMED);
    say_error(format_args!(
        "probity: no endpoint `{name}` in the history. It has {}{more}",
        names.join(", ")
    ));
    Err(Exit::Usage)
}

struct Wanted<'a> {
    endpoint: Option<&'a str>,
    since: i64,
    limit: usize,
}

fn list_outages(reader: &HistoryReader, wanted: &Wanted, json: bool) -> Result<(), HistoryError> {
    let extents = local::extents(reader)?;
    let asked = extents
        .iter()
        .filter(|(name, ..)| wanted.endpoint.is_none_or(|e| e == name.as_str()));
    let asked: Vec<_> = asked
        .map(|(name, _, extent)| (name.to_string(), *extent))
        .collect();
    let now = Clock::Real.read().utc_ms;
    let meant = WantedOutages {
        endpoint: wanted.endpoint,
        since: wanted.since,
        limit: wanted.limit,
        now,
    };
    let chosen = api::chosen_outages(reader, &asked, &meant)?;
    print(json, &chosen.json(), || {
        let outages: Vec<ListedOutage> = chosen.shown().collect();
        if outages.is_empty() {
            return "no outages recorded\n".into();
        }
        let mut out = format!(
            "{:<24} {:<27} {:<27} {:<20} {}\n",
            "endpoint", "from (between)", "to (between)", "cause", "event"
        );
        outages.iter().for_each(|o| out.push_str(&lines_of(o)));
        if outages.len() == wanted.limit {
            out.push_str(&format!(
                "showing the newest {}; --limit shows more\n",
                wanted.limit
            ));
        }
        let blind = Some(chosen.not_seen_below);
        out.push_str(&format!("{}\n", not_seen_text(blind)));
        out
    });
    Ok(())
}

/// An outage, and below it the bounds of its ends.
fn lines_of(o: &ListedOutage) -> String {
    let mark = outages::excluded_text(o.excluded, &o.excluded_by);
    let mark = mark.map_or(String::new(), |mark| format!("  {mark}"));
    let end = o.to.as_deref().unwrap_or("still down");
    let first = format!(
        "{:<24} {:<27} {end:<27} {:<20} {}{mark}",
        o.endpoint, o.from, o.cause, o.seq
    );
    let bounds = |a: Option<&str>, b: Option<&str>| format!("{} … {}", clock(a), clock(b));
    let from = bounds(Some(&o.from_earliest), Some(&o.from_latest));
    let to = match &o.to {
        Some(_) => bounds(o.to_earliest.as_deref(), o.to_latest.as_deref()),
        None => String::new(),
    };
    let second = format!("{:<24} {from:<27} {to}", "");
    format!("{first}\n{}\n", second.trim_end())
}

/// `12:00:00.000` of an instant.
fn clock(instant: Option<&str>) -> &str {
    instant.and_then(|t| t.get(11..23)).unwrap_or_default()
}

fn list_transitions(
    reader: &HistoryReader,
    wanted: &Wanted,
    json: bool,
) -> Result<(), HistoryError> {
    let calendar = reader.calendar()?;
    let mut events = Vec::new();
    reader.each_event(1, |event| {
        if let Some(e) = EventRecord::parse(&event.body) {
            let fits = became(&e.event).is_some()
                && wanted.endpoint.is_none_or(|name| e.name() == name)
                && calendar.utc(e.at) >= wanted.since;
            if fits {
                events.push((e, event.body));
            }
        }
        true
    })?;
    events.reverse();
    events.truncate(wanted.limit);
    let stored = events.iter().map(|(_, body)| serde_json::from_str(body));
    let stored: Vec<Value> = stored.filter_map(Result::ok).collect();
    let value = json!({"schema": "probity-transitions/1", "transitions": stored});
    print(json, &value, || {
        if events.is_empty() {
            return "no such transition is recorded\n".into();
        }
        let head = format!(
            "{:<25} {:<24} {:<9} {}\n",
            "at", "endpoint", "became", "why"
        );
        events.iter().fold(head, |out, (e, _)| out + &transition(e))
    });
    Ok(())
}

/// One line; what an unknown time was is known at its end.
fn transition(e: &EventRecord) -> String {
    let (when, state, why) = became(&e.event).unwrap_or_default();
    format!(
        "{}\n",
        format!("{when:<25} {:<24} {state:<9} {why}", e.name()).trim_end()
    )
}

/// When a state changed, to what and why; `None` of events that change none.
fn became(event: &Event) -> Option<(&str, &'static str, String)> {
    match event {
        Event::Down(e) => Some((&e.from, "down", e.cause.to_string())),
        Event::Unknown(e) => Some((&e.from, "unknown", String::new())),
        Event::Known(e) => Some((&e.to, "measured", format!("before: unknown ({})", e.reason))),
        Event::FirstUp(e) => Some((&e.at, "up", "for the first time".into())),
        Event::Up(e) => Some((&e.to, "up", String::new())),
        _ => None,
    }
}

/// The events and the tables that follow from them, then the judges.
pub fn verified(reader: &HistoryReader, against: &Against) -> Result<Verification, HistoryError> {
    let verdict = reader.verify(against)?;
    if !matches!(verdict, Verification::Whole { .. }) {
        return Ok(verdict);
    }
    let found = match judged::differ(reader) {
        Err(HistoryError::Damaged { why, .. }) => Some(why),
        found => found?,
    };
    Ok(found.map_or(verdict, |why| Verification::Altered { seq: 0, why }))
}

fn verify(reader: &HistoryReader, against: &Against, json: bool) -> Exit {
    let told = |verdict: &str,
                events: Option<u64>,
                head: Option<&str>,
                seq: Option<u64>,
                why: Option<&str>| json!({"schema": "probity-verify/1", "verdict": verdict, "events": events, "head": head, "seq": seq, "why": why});
    match verified(reader, against) {
        Ok(Verification::Whole {
            events,
            head,
            checkpoints,
            restores,
        }) => {
            let mut value = told("whole", Some(events), Some(&head), None, None);
            (value["checkpoints"], value["restores"]) = (json!(checkpoints), json!(restores));
            let forks = match restores {
                0 => String::new(),
                1 => ", restored from a backup once".to_owned(),
                more => format!(", restored from a backup {more} times"),
            };
            let since = if against.since.is_some() {
                "; nothing before the given checkpoint was rewritten"
            } else {
                ""
            };
            print(json, &value, || {
                format!(
                    "intact: {events} events, {checkpoints} signed checkpoints{forks}, head \
                        {head}{since}\n"
                )
            });
            Exit::Fine
        }
        Ok(Verification::Altered { seq, why }) => {
            print(
                json,
                &told("altered", None, None, Some(seq), Some(&why)),
                || format!("altered: event {seq}: {why}\n"),
            );
            Exit::Bad
        }
        Ok(Verification::Forked { seq, why }) => {
            print(
                json,
                &told("forked by restore", None, None, Some(seq), Some(&why)),
                || format!("{why} (event {seq})\n"),
            );
            Exit::Unknown
        }
        Ok(Verification::NotProvable { why }) => {
            print(
                json,
                &told("not provable", None, None, None, Some(&why)),
                || format!("not provable: {why}\n"),
            );
            Exit::Unknown
        }
        Err(error) => {
            let why = error.to_string();
            print(
                json,
                &told("not provable", None, None, None, Some(&why)),
                || format!("not provable: {why}\n"),
            );
            Exit::Unknown
        }
    }
}
