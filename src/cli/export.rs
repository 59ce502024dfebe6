//! `probity export`: the timeline of components, and the journal of events.

use std::io::Write;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::args::export::Export;
use super::args::place::StateArgs;
use super::{given, instants, local, print, raw};
use crate::account::figures::grouped;
use crate::account::timelines::timeline_json;
use crate::config::document::value::show_duration;
use crate::daemon::exit::Exit;
use crate::daemon::streams::{say_error, written};
use crate::history::HistoryError;
use crate::history::chain::hex;
use crate::history::read::Extent;
use crate::history::reader::HistoryReader;
use crate::judgement::timeline::Span;
use crate::net::clock::Clock;
use crate::serve::openmetrics::{Past, write};
use crate::words::{Name, escaped_json};

/// Samples of one series in an export: three years at a second.
const MOST_SAMPLES: u64 = 100_000_000;

pub fn run(command: &Export) -> Exit {
    match command {
        Export::Timeline { raw, .. } if raw.probes.is_some() => raw::run(raw),
        Export::Timeline {
            place, from, to, ..
        } => timeline(place, from.as_deref(), to.as_deref()),
        Export::Openmetrics {
            place,
            from,
            to,
            step,
        } => openmetrics(place, from.as_deref(), to.as_deref(), step),
        Export::Journal {
            place,
            seq,
            tallies,
        } => journal(
            place,
            *seq,
            if *tallies {
                Tallies::Sealed
            } else {
                Tallies::Left
            },
        ),
    }
}

fn timeline(place: &StateArgs, from: Option<&str>, to: Option<&str>) -> Exit {
    let Span { from, to } = match period(from, to) {
        Ok(period) => period,
        Err(exit) => return exit,
    };
    let reader = match local::open(place) {
        Ok(reader) => reader,
        Err(exit) => return exit,
    };
    // How endpoints combine stands in the config; without one every component is a series.
    let plan = if place.state_dir.is_some() && place.config.config.is_none() {
        None
    } else {
        local::plan(place).ok()
    };
    let value = local::extents(&reader).and_then(|extents| {
        let parts = match &plan {
            Some(plan) => grouped(&reader, plan, &extents),
            None => grouped(&reader, &crate::config::plan::Plan::empty(), &extents),
        }?;
        let now = Clock::Real.read().utc_ms;
        timeline_json(&reader, &parts, Span::new(from, to), now)
    });
    match value {
        Ok(value) => {
            print(true, &value, String::new);
            Exit::Fine
        }
        Err(error) => local::complain(error),
    }
}

fn openmetrics(place: &StateArgs, from: Option<&str>, to: Option<&str>, step: &str) -> Exit {
    let Span { from, to } = match period(from, to) {
        Ok(period) => period,
        Err(exit) => return exit,
    };
    let step = match given::duration("step", step, 1000) {
        Ok(step) => step,
        Err(exit) => return exit,
    };
    let samples = (to - from).unsigned_abs() / step;
    if samples > MOST_SAMPLES {
        return given::out_of_range(
            "step",
            show_duration(step),
            format_args!(
                "a longer one, or a shorter period: these are {samples} samples of each series"
            ),
        );
    }
    let reader = match local::open(place) {
        Ok(reader) => reader,
        Err(exit) => return exit,
    };
    let period = Span::new(from, to);
    let past = local::extents(&reader).and_then(|extents| {
        let one = |(name, _, extent): (Name, Name, Extent)| {
            Ok(Past {
                record: reader.record(name.as_str(), extent, period)?,
                name: name.to_string(),
            })
        };
        extents
            .into_iter()
            .map(one)
            .collect::<Result<Vec<_>, HistoryError>>()
    });
    match past {
        Ok(past) => {
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            written(write(&mut out, &past, period, step as i64).and_then(|()| out.flush()));
            Exit::Fine
        }
        Err(error) => local::complain(error),
    }
}

/// The period of the options: 30 days until now, where they say nothing else.
fn period(from: Option<&str>, to: Option<&str>) -> Result<Span, Exit> {
    let now = Clock::Real.read().utc_ms;
    let given = |option, text: Option<&str>, default| {
        text.map_or(Ok(default), |text| instants::given(option, text, now))
    };
    let to = given("to", to, now)?;
    let from = given("from", from, to - 30 * 86_400_000)?;
    if to <= from {
        say_error("probity: --to is not after --from");
        return Err(Exit::Usage);
    }
    Ok(Span::new(from, to))
}

/// Whether tallies follow the events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tallies {
    Sealed,
    Left,
}

fn journal(place: &StateArgs, seq: u64, tallies: Tallies) -> Exit {
    let reader = match local::open(place) {
        Ok(reader) => reader,
        Err(exit) => return exit,
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut wrote = Ok(());
    let result = write_journal(&reader, seq, tallies, |line| {
        if wrote.is_ok() {
            // Each control character becomes an escape of JSON: the value stays the same.
            wrote = writeln!(out, "{}", escaped_json(&line.to_string()));
        }
        wrote.is_ok()
    });
    written(wrote.and_then(|()| out.flush()));
    result.map_or_else(local::complain, |()| Exit::Fine)
}

/// An event with its hash.
#[derive(Serialize)]
struct JournalLine {
    #[serde(flatten)]
    event: Map<String, Value>,
    hash: String,
}

/// Each line goes to `put`, which says whether more is wanted.
fn write_journal(
    reader: &HistoryReader,
    seq: u64,
    tallies: Tallies,
    mut put: impl FnMut(Value) -> bool,
) -> Result<(), HistoryError> {
    if let Some(prune_record) = reader
        .prune_record()?
        .filter(|prune_record| seq <= prune_record.last)
        && !put(json!({"stub": prune_record.object, "carried": prune_record.carried}))
    {
        return Ok(());
    }
    reader.each_event(seq, |event| {
        let Ok(stored) = serde_json::from_str(&event.body) else {
            return false;
        };
        put(json!(JournalLine {
            event: stored,
            hash: hex(&event.hash),
        }))
    })?;
    if tallies == Tallies::Sealed {
        reader.each_sealed(|name, unit, body| {
            put(json!({"tally": {
                "endpoint": name, "kind": unit.kind.as_str(), "of": unit.label(),
                "body": String::from_utf8_lossy(&body),
            }}))
        })?;
    }
    Ok(())
}
