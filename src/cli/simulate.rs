//! `probity simulate`: what this config would have shown for given outages.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::args::Simulate;
use super::{given, instants, print};
use crate::account::shown::ShownSums;
use crate::config::Plan;
use crate::config::document::source::show_faults;
use crate::daemon::exit::Exit;
use crate::daemon::start::read_without_secrets;
use crate::daemon::streams::say_error;
use crate::engine::simulation::{Outcomes, World, random_outages, simulate};
use crate::history::chain::hex;
use crate::judgement::timeline::{Span, Spans};
use crate::net::clock::Clock;
use crate::net::config_files::Unread;
use crate::words::{Ms, parse_utc, people};

const DAY_MS: u64 = 86_400_000;
const MOST_DAYS: u64 = 400;

pub fn run(args: &Simulate) -> Exit {
    let plan = match read_without_secrets(&args.config.path(), Unread::All) {
        Ok(plan) => Arc::new(plan),
        Err(faults) => {
            say_error(show_faults(&faults));
            return Exit::Config;
        }
    };
    let begin = instants::instant(&args.from, Clock::Real.read().utc_ms);
    let begin = begin.and_then(|at| u64::try_from(at).ok());
    let (Some(begin), 1..=MOST_DAYS, true) = (begin, args.days, (0.0..=1.0).contains(&args.loss))
    else {
        say_error(format_args!(
            "probity: invalid option. Allowed: --from a time such as 2026-11-01T00:00:00Z, \
                2026-11-01 or yesterday, --days 1 to {MOST_DAYS}, --loss 0 to 1"
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
    let shown = shown(&plan, &world, &outcomes);
    print(args.json, &json!(shown), || table(&shown));
    Exit::Fine
}

/// One entry of a file of outages.
#[derive(Default, Deserialize)]
#[serde(default)]
struct TrueOutage {
    endpoint: Value,
    from: Value,
    to: Value,
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
        let one = TrueOutage::deserialize(one).unwrap_or_default();
        let name = one.endpoint.as_str().unwrap_or_default();
        let place = plan
            .endpoints
            .iter()
            .position(|e| e.name.as_str() == name)
            .ok_or(format!("entry {k}: unknown endpoint `{name}`"))?;
        let instant = |value: &Value, key: &str| {
            value
                .as_str()
                .and_then(parse_utc)
                .ok_or(format!("entry {k}: invalid time in `{key}`"))
        };
        let (from, to) = (instant(&one.from, "from")?, instant(&one.to, "to")?);
        if to <= from {
            return Err(format!("entry {k}: it ends before it starts"));
        }
        down[place].push(Span::new(from, to));
    }
    Ok(down.into_iter().map(Spans::new).collect())
}

/// `probity-simulation/1`
#[derive(Serialize)]
struct ShownSimulation {
    schema: &'static str,
    probes: u64,
    events: u64,
    digest: String,
    endpoints: Vec<ShownEndpointRun>,
}

/// What was true of an endpoint, and what the config would have shown of it.
#[derive(Serialize)]
struct ShownEndpointRun {
    name: String,
    true_down_ms: Ms,
    true_outages: usize,
    true_outages_seen: usize,
    outages: usize,
    sums: ShownSums,
}

fn shown(plan: &Plan, world: &World, outcomes: &Outcomes) -> ShownSimulation {
    let period = Span::new(world.begin as i64, world.end as i64);
    let endpoints = plan
        .endpoints
        .iter()
        .zip(&outcomes.seen)
        .zip(&world.down)
        .map(|((e, seen), truth)| {
            let record = &seen.record;
            let is_seen = |s: &&Span| {
                record
                    .outages
                    .iter()
                    .any(|o| o.from_earliest < s.to && s.from < o.to_latest.unwrap_or(i64::MAX))
            };
            ShownEndpointRun {
                name: e.name.to_string(),
                true_down_ms: truth.cut(period).length(),
                true_outages: truth.as_slice().len(),
                true_outages_seen: truth.as_slice().iter().filter(is_seen).count(),
                outages: record.outages.len(),
                sums: ShownSums::of(&record.timeline(period).sums()),
            }
        })
        .collect();
    ShownSimulation {
        schema: "probity-simulation/1",
        probes: outcomes.probes,
        events: outcomes.events,
        digest: hex(&outcomes.digest),
        endpoints,
    }
}

fn table(simulation: &ShownSimulation) -> String {
    let mut out = format!(
        "{:<24} {:>14} {:>14} {:>26} {:>14} {:>14}\n",
        "endpoint", "truly down", "point", "between", "unknown", "outages seen"
    );
    for e in &simulation.endpoints {
        let ms = people::duration;
        let s = &e.sums;
        let worst = s.down_upper_ms + s.unknown_ms;
        out.push_str(&format!(
            "{:<24} {:>14} {:>14} {:>26} {:>14} {:>14}\n",
            e.name,
            ms(e.true_down_ms),
            ms(s.down_ms),
            format!("{} … {}", ms(s.down_lower_ms), ms(worst)),
            ms(s.unknown_ms),
            format!("{} of {}", e.true_outages_seen, e.true_outages)
        ));
    }
    out.push_str(&format!(
        "{} probes, {} events\n",
        simulation.probes, simulation.events
    ));
    out
}
