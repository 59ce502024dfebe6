//! `probity history`: outages and transitions by endpoint and time, corrections, pruning, backups.

use std::path::Path;

use serde_json::{Value, json};

use super::args::history::{
    HistoryAnnotate, HistoryCommand, HistoryExclude, HistoryList, HistoryPrune,
};
use super::args::place::StateArgs;
use super::{control, instants, local, print, restore, verify};
use crate::account::figures::not_seen_text;
use crate::daemon::control::messages::{ControlCommand, Correction, HistoryPruned, NewExclusion};
use crate::daemon::exit::Exit;
use crate::daemon::streams::say_error;
use crate::history::HistoryError;
use crate::history::event::{Event, EventRecord};
use crate::history::reader::HistoryReader;
use crate::net::clock::Clock;
use crate::report::object::ListedOutage;
use crate::report::outages;
use crate::serve::api::{self, WantedOutages};

/// Endpoints that a refusal names.
const NAMED: usize = 20;

pub fn run(command: &HistoryCommand) -> Exit {
    match command {
        HistoryCommand::List(args) => list(args),
        HistoryCommand::Annotate(args) => annotate(args),
        HistoryCommand::Exclude(args) => exclude(args),
        HistoryCommand::Prune(args) => prune(args),
        HistoryCommand::Backup { place, to, json } => backup(place, to, *json),
        HistoryCommand::Restore(args) => restore::run(args),
        HistoryCommand::Verify(args) => verify::run(args),
    }
}

fn list(args: &HistoryList) -> Exit {
    let since = match &args.since {
        None => 0,
        Some(text) => match instants::given("since", text, Clock::Real.read().utc_ms) {
            Ok(since) => since,
            Err(exit) => return exit,
        },
    };
    let endpoint = args.endpoint.as_deref();
    let reader = match local::open(&args.place)
        .and_then(|reader| known(&reader, endpoint).map(|()| reader))
    {
        Ok(reader) => reader,
        Err(exit) => return exit,
    };
    let wanted = Wanted {
        endpoint,
        since,
        limit: args.limit,
    };
    let listed = if args.transitions {
        list_transitions(&reader, &wanted, args.json)
    } else {
        list_outages(&reader, &wanted, args.json)
    };
    listed.map_or_else(local::complain, |()| Exit::Fine)
}

fn annotate(args: &HistoryAnnotate) -> Exit {
    let seq = args.seq;
    let command = ControlCommand::Annotate {
        seq: Some(seq),
        text: Some(args.text.clone()),
    };
    let text = |a: &Correction| format!("note on event {seq} recorded at {}\n", a.recorded_at);
    control::ask(&args.place, (command, args.by.as_ref()), args.json, text)
}

fn exclude(args: &HistoryExclude) -> Exit {
    let now = Clock::Real.read().utc_ms;
    let instant = |option, text| instants::passed_on(option, text, now);
    let period = instant("from", &args.from).and_then(|from| Ok((from, instant("to", &args.to)?)));
    let (from, to) = match period {
        Ok(period) => period,
        Err(exit) => return exit,
    };
    let command = ControlCommand::Exclude(NewExclusion {
        components: args.component.clone(),
        endpoints: args.endpoint.clone(),
        from: Some(from),
        to: Some(to),
        reason: Some(args.reason.clone()),
    });
    let text = |a: &Correction| {
        let mut out = format!(
            "excluded from reports, page and API, recorded at {}. Raw data is kept\n",
            a.recorded_at
        );
        out.push_str(&control::renamed_lines(&a.renamed));
        for (name, sums) in a.before.iter().flatten() {
            out.push_str(&format!(
                "  {name}: {} ms down, {} ms unknown, {} ms up\n",
                sums.down_ms, sums.unknown_ms, sums.up_ms
            ));
        }
        out
    };
    control::ask(&args.place, (command, args.by.as_ref()), args.json, text)
}

fn prune(args: &HistoryPrune) -> Exit {
    let before = instants::passed_on("before", &args.before, Clock::Real.read().utc_ms);
    let before = match before {
        Ok(before) => Some(before),
        Err(exit) => return exit,
    };
    let command = ControlCommand::Prune { before };
    let text = |a: &HistoryPruned| {
        format!(
            "deleted events 1 to {}; a signed summary replaces them. Time before {} is unknown \
                from now on\n",
            a.last, a.until
        )
    };
    control::ask(&args.place, (command, args.by.as_ref()), args.json, text)
}

fn backup(place: &StateArgs, to: &Path, json: bool) -> Exit {
    match local::open(place).map(|reader| reader.backup(to)) {
        Ok(Ok(())) => {
            let file = to.display().to_string();
            let value = json!({"schema": "probity-backup/1", "file": file});
            print(json, &value, || format!("{file}\n"));
            Exit::Fine
        }
        Ok(Err(error)) => local::complain(error),
        Err(exit) => exit,
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
        let of_whom = match wanted.endpoint {
            Some(_) => "",
            None => " (of the endpoint that is probed least often; --endpoint shows another)",
        };
        out.push_str(&format!("{}{of_whom}\n", not_seen_text(blind)));
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
