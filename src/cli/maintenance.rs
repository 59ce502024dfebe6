//! `probity maintenance`: windows at run time.

use serde::Serialize;
use serde_json::{Value, json};

use super::args::maintenance::{Maintenance, MaintenanceAdd};
use super::{control, given, instants, local, print};
use crate::account::shown::ShownSpan;
use crate::daemon::control::messages::{ControlCommand, NewWindow, WindowAdded, WindowCancelled};
use crate::daemon::exit::Exit;
use crate::judgement::maintenance::{AHEAD_MS, Stored};
use crate::judgement::timeline::Span;
use crate::net::clock::Clock;
use crate::words::{Name, UtcMs, format_utc, people};

pub fn run(command: &Maintenance) -> Exit {
    match command {
        Maintenance::Add(args) => add(args),
        Maintenance::List { place, json } => {
            let reader = match local::open(place) {
                Ok(reader) => reader,
                Err(exit) => return exit,
            };
            match reader.windows() {
                Ok(all) => {
                    let windows = listed(&all, Clock::Real.read().utc_ms);
                    let value = json!({"schema": "probity-maintenance/1", "windows": windows});
                    print(*json, &value, || table(&windows));
                    Exit::Fine
                }
                Err(error) => local::complain(error),
            }
        }
        Maintenance::Cancel {
            id,
            place,
            by,
            json,
        } => {
            let command = ControlCommand::CancelWindow {
                id: Some(id.clone()),
            };
            let text = |a: &WindowCancelled| format!("window {id} ended at {}\n", a.recorded_at);
            control::ask(place, (command, by.as_ref()), *json, text)
        }
    }
}

fn add(args: &MaintenanceAdd) -> Exit {
    let duration_ms = match given::duration("duration", &args.duration, 1) {
        Ok(ms) => ms,
        Err(exit) => return exit,
    };
    let now = Clock::Real.read().utc_ms;
    let announced_at = args.announced_at.as_deref();
    let announced_at = announced_at.map(|text| instants::passed_on("announced-at", text, now));
    let announced_at = match announced_at.transpose() {
        Ok(announced_at) => announced_at,
        Err(exit) => return exit,
    };
    let window = NewWindow {
        id: args.id.clone(),
        components: args.component.clone(),
        endpoints: args.endpoint.clone(),
        start: Some(start(&args.start, args.time_zone.is_some(), now)),
        duration_ms: Some(duration_ms),
        time_zone: args.time_zone.clone(),
        every: args.every.clone(),
        announced_at,
        reason: Some(args.reason.clone()),
    };
    let command = ControlCommand::AddWindow(window);
    control::ask(&args.place, (command, args.by.as_ref()), args.json, added)
}

/// The start as the daemon reads it: a time on the clock of the zone, or an instant. A window
/// never starts in the past, so `now` is in a moment.
fn start(text: &str, has_zone: bool, now: UtcMs) -> String {
    let is_local = text.len() >= 16 && text.as_bytes()[10] == b'T';
    let is_date = text.len() == 10 && text.as_bytes()[4] == b'-';
    if is_date && has_zone {
        return format!("{text}T00:00");
    }
    let now = match text.eq_ignore_ascii_case("now") {
        true => now + 2000,
        false => now,
    };
    let at = instants::instant(text, now).filter(|_| !is_local);
    at.map_or_else(
        || text.to_owned(),
        |at| format_utc(at - at.rem_euclid(1000)),
    )
}

fn added(answer: &WindowAdded) -> String {
    let instant = |at: &Option<String>| at.clone().unwrap_or_else(|| "-".to_owned());
    let mut out = format!(
        "window {} recorded at {}; starts {}, ends {}\n",
        answer.id,
        answer.recorded_at,
        instant(&answer.next.from),
        instant(&answer.next.to)
    );
    out.push_str(&control::renamed_lines(&answer.renamed));
    if let Some(note) = &answer.note {
        out.push_str(&format!("note: {note}\n"));
    }
    for c in &answer.contracts {
        let verdict = if c.admitted {
            "excludes it"
        } else {
            "does not exclude it"
        };
        let why = c.why.as_ref().map_or(String::new(), |w| format!(": {w}"));
        out.push_str(&format!("the contract {} {verdict}{why}\n", c.sla));
    }
    out
}

/// A window of a history, with the next time for which it is in force.
#[derive(Serialize)]
struct ListedWindow<'s> {
    #[serde(skip)]
    stored: &'s Stored,
    #[serde(flatten)]
    definition: Value,
    recorded_at: String,
    ended_at: Option<String>,
    by: &'s str,
    next: Option<ShownSpan>,
}

fn listed(all: &[Stored], now: UtcMs) -> Vec<ListedWindow<'_>> {
    let ahead = Span::new(now, now + AHEAD_MS);
    let one = |stored| ListedWindow {
        stored,
        definition: stored.window.to_json(),
        recorded_at: format_utc(stored.recorded),
        ended_at: stored.ended.map(format_utc),
        by: &stored.by,
        next: stored.in_force(ahead).first().map(ShownSpan::of),
    };
    all.iter().map(one).collect()
}

fn table(windows: &[ListedWindow]) -> String {
    if windows.is_empty() {
        return "no maintenance windows declared\n".into();
    }
    let head = format!(
        "{:<20} {:<25} {:<25} {:<25} {}\n",
        "id", "next from", "next to", "recorded", "concerns; when; why; by"
    );
    windows.iter().fold(head, |out, w| out + &row(w))
}

fn row(w: &ListedWindow) -> String {
    let window = &w.stored.window;
    let names = |list: &[Name]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let concerned = [names(&window.components), names(&window.endpoints)].concat();
    let concerns = if concerned.is_empty() {
        "everything".to_owned()
    } else {
        concerned.join(", ")
    };
    let next = |end: fn(&ShownSpan) -> &Option<String>| match (&w.ended_at, &w.next) {
        (Some(_), _) => "ended".to_owned(),
        (None, None) => "over".to_owned(),
        (None, Some(next)) => end(next).clone().unwrap_or_else(|| "-".to_owned()),
    };
    let days: Vec<&str> = window.days().collect();
    let often = if days.is_empty() {
        "once".to_owned()
    } else {
        format!("every {}", days.join(", "))
    };
    let times = format!(
        "{often} at {} {} for {}",
        window.start,
        window.zone.iana_name().unwrap_or("UTC"),
        people::duration(window.duration)
    );
    format!(
        "{:<20} {:<25} {:<25} {:<25} {concerns}; {times}; {}; {}\n",
        window.id.as_str(),
        next(|span| &span.from),
        next(|span| &span.to),
        w.recorded_at,
        window.reason,
        w.by
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::parse_utc;

    #[test]
    fn a_window_starts_on_the_clock_of_its_zone_or_at_an_instant() {
        let now = parse_utc("2026-11-28T10:30:00.250Z").expect("an instant");
        for (text, has_zone, sent) in [
            ("2026-12-06T02:00", true, "2026-12-06T02:00"),
            ("2026-12-06T02:00+02:00", true, "2026-12-06T02:00+02:00"),
            ("2026-12-06", true, "2026-12-06T00:00"),
            ("2026-12-06", false, "2026-12-06T00:00:00.000Z"),
            ("now", false, "2026-11-28T10:30:02.000Z"),
            ("+2h", true, "2026-11-28T12:30:00.000Z"),
            ("tomorrow", false, "2026-11-29T00:00:00.000Z"),
            ("someday", false, "someday"),
        ] {
            assert_eq!(start(text, has_zone, now), sent, "{text}");
        }
    }
}
