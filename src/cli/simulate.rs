//! `probity simulate`: what this config would have shown for given outages.

use std::sync::Arc;

use serde_json::{Value, json};

use super::args::Simulate;
use super::{given, print};
use crate::account::figures::sums_json;
use crate::config::Plan;
use crate::config::document::source::show_faults;
use crate::daemon::exit::Exit;
use crate::daemon::start::read_config;
use crate::daemon::streams::say_error;
use crate::engine::simulation::{Outcomes, World, random_outages, simulate};
use crate::history::chain::hex;
use crate::judgement::timeline::{Span, Spans};
use crate::words::{parse_utc, people};

const DAY_MS: u64 = 86_400_000;
const MOST_DAYS: u64 = 400;

pub fn run(args: &Simulate) -> Exit {
    let plan = match read_config(&args.config.path()) {
        Ok(plan) => Arc::new(plan),
        Err(faults) => {
            say_error(show_faults(&faults));
            return Exit::Config;
        }
    };
    let begin = parse_utc(&args.from).and_then(|at| u64::try_from(at).ok());
    let (Some(begin), 1..=MOST_DAYS, true) = (begin, args.days, (0.0..=1.0).contains(&args.loss))
    else {
        say_error(format_args!(
            "probity: invalid option. Allowed: --from a time such as 2026-11-01T00:00:00Z, --days \
                1 to {MOST_DAYS}, --loss 0 to 1"
        ));
        return Exit::Usage;
    };
    let end = begin + args.days * DAY_MS;
    let down = match &args.outages {
        None => random_outages(plan.endpoints.len(), begin, end, args.seed),
        Some(path) => match given::json(path).and_then(|value| {
            outages(&value, &plan).map_err(|why| format!("{}: {why}", path.display()))
        }) {
            Ok(down) => down,
            Err(why) => {
                say_error(format_args!("probity: {why}"));
                return Exit::Usage;
            }
        },
    };
    let world = World {
        begin,
        end,
        down,
        loss_ppm: (args.loss * 1e6) as u64,
        incidents: Vec::new(),
        seed: args.seed,
    };
    // A month of transitions is no news of this machine.
    let outcomes =
        tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), || {
            simulate(&plan, &world)
        });
    let value = told(&plan, &world, &outcomes);
    print(args.json, &value, || table(&value));
    Exit::Fine
}

/// True outages by endpoint, in the order of the plan.
fn outages(value: &Value, plan: &Plan) -> Result<Vec<Spans>, String> {
    let mut down: Vec<Vec<Span>> = vec![Vec::new(); plan.endpoints.len()];
    for (k, one) in value
        .as_array()
        .ok_or("this should be a list of outages")?
        .iter()
        .enumerate()
    {
        let name = one["endpoint"].as_str().unwrap_or_default();
        let place = plan
            .endpoints
            .iter()
            .position(|e| e.name.as_str() == name)
            .ok_or(format!("entry {k}: unknown endpoint `{name}`"))?;
        let instant = |key: &str| {
            one[key]
                .as_str()
                .and_then(parse_utc)
                .ok_or(format!("entry {k}: invalid time in `{key}`"))
        };
        let (from, to) = (instant("from")?, instant("to")?);
        if to <= from {
            return Err(format!("entry {k}: it ends before it starts"));
        }
        down[place].push(Span::new(from, to));
    }
    Ok(down.into_iter().map(Spans::new).collect())
}

fn told(plan: &Plan, world: &World, outcomes: &Outcomes) -> Value {
    let period = Span::new(world.begin as i64, world.end as i64);
    let endpoints: Vec<Value> = plan
        .endpoints
        .iter()
        .zip(&outcomes.seen)
        .zip(&world.down)
        .map(|((e, seen), truth)| {
            let touched = |s: &Span| seen.record.outages.iter().any(|o| o.from_earliest < s.to && s.from < o.to_latest.unwrap_or(i64::MAX));
            let found = truth.as_slice().iter().filter(|s| touched(s)).count();
            json!({
                "name": e.name.as_str(), "true_down_ms": truth.cut(period).length(), "true_outages": truth.as_slice().len(), "true_outages_seen": found,
                "outages": seen.record.outages.len(), "sums": sums_json(&seen.record.timeline(period).sums()),
            })
        })
        .collect();
    json!({"schema": "probity-simulation/1", "probes": outcomes.probes, "events": outcomes.events, "digest": hex(&outcomes.digest), "endpoints": endpoints})
}

fn table(value: &Value) -> String {
    let ms = |v: &Value| people::duration(v.as_u64().unwrap_or(0));
    let mut out = format!(
        "{:<24} {:>14} {:>14} {:>26} {:>14} {:>14}\n",
        "endpoint", "truly down", "point", "between", "unknown", "outages seen"
    );
    for e in value["endpoints"].as_array().into_iter().flatten() {
        let s = &e["sums"];
        let worst =
            s["down_upper_ms"].as_u64().unwrap_or(0) + s["unknown_ms"].as_u64().unwrap_or(0);
        out.push_str(&format!(
            "{:<24} {:>14} {:>14} {:>26} {:>14} {:>14}\n",
            e["name"].as_str().unwrap_or_default(),
            ms(&e["true_down_ms"]),
            ms(&s["down_ms"]),
            format!("{} … {}", ms(&s["down_lower_ms"]), people::duration(worst)),
            ms(&s["unknown_ms"]),
            format!("{} of {}", e["true_outages_seen"], e["true_outages"])
        ));
    }
    out.push_str(&format!(
        "{} probes, {} events\n",
        value["probes"], value["events"]
    ));
    out
}
