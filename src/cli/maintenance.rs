//! `probity maintenance`: windows at run time.

use serde_json::{Value, json};

use super::args::{Maintenance, MaintenanceAdd};
use super::{control, given, local, print};
use crate::daemon::control::listed;
use crate::daemon::exit::Exit;
use crate::net::clock::Clock;
use crate::words::people;

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
                    print(*json, &value, || table(&value));
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
            let request = json!({"do": "maintenance cancel", "id": id, "by": by});
            control::ask(place, &request, *json, |a| {
                format!("window {id} ended at {}\n", text(&a["recorded_at"]))
            })
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

fn add(args: &MaintenanceAdd) -> Exit {
    let duration_ms = match given::duration("duration", &args.duration, 1) {
        Ok(ms) => ms,
        Err(exit) => return exit,
    };
    let request = json!({
        "do": "maintenance add", "id": args.id, "components": args.component, "endpoints": args.endpoint, "start": args.start, "duration_ms": duration_ms,
        "time_zone": args.time_zone, "every": args.every, "announced_at": args.announced_at, "reason": args.reason, "by": args.by,
    });
    control::ask(&args.place, &request, args.json, |answer| {
        let next = &answer["next"];
        let mut out = format!(
            "window {} recorded at {}; starts {}, ends {}\n",
            text(&answer["id"]),
            text(&answer["recorded_at"]),
            text(&next["from"]),
            text(&next["to"])
        );
        out.push_str(&control::renamed(answer));
        if let Some(note) = answer["note"].as_str() {
            out.push_str(&format!("note: {note}\n"));
        }
        for c in answer["contracts"].as_array().into_iter().flatten() {
            let verdict = if c["admitted"] == true {
                "excludes it"
            } else {
                "does not exclude it"
            };
            let why = c["why"]
                .as_str()
                .map_or(String::new(), |w| format!(": {w}"));
            out.push_str(&format!(
                "the contract {} {verdict}{why}\n",
                text(&c["sla"])
            ));
        }
        out
    })
}

fn table(value: &Value) -> String {
    let windows = value["windows"].as_array().map_or(&[][..], Vec::as_slice);
    if windows.is_empty() {
        return "no maintenance windows declared\n".into();
    }
    let mut out = format!(
        "{:<20} {:<25} {:<25} {:<25} {}\n",
        "id", "next from", "next to", "recorded", "concerns; when; why; by"
    );
    for w in windows {
        let names = |key: &str| {
            w[key]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let concerns = [names("components"), names("endpoints")]
            .into_iter()
            .filter(|n| !n.is_empty())
            .collect::<Vec<_>>()
            .join(", ");
        let concerns = if concerns.is_empty() {
            "everything".to_owned()
        } else {
            concerns
        };
        let next = |key: &str| match (w["ended_at"].is_null(), w["next"].is_null()) {
            (false, _) => "ended".into(),
            (true, true) => "over".into(),
            (true, false) => text(&w["next"][key]),
        };
        let days = w["every"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        let often = if days.is_empty() {
            "once".to_owned()
        } else {
            format!("every {days}")
        };
        let times = format!(
            "{often} at {} {} for {}",
            text(&w["start"]),
            text(&w["time_zone"]),
            people::duration(w["duration_ms"].as_u64().unwrap_or(0))
        );
        out.push_str(&format!(
            "{:<20} {:<25} {:<25} {:<25} {concerns}; {times}; {}; {}\n",
            text(&w["id"]),
            next("from"),
            next("to"),
            text(&w["recorded_at"]),
            text(&w["reason"]),
            text(&w["by"])
        ));
    }
    out
}
