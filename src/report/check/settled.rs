//! How far a report says that records are settled, held against the life of the daemon and against
//! what was recorded later.
//!
//! A judge settles time for good: what is recorded after a report is about time after its
//! watermarks. Only bounds and doubt reach back before them. The end of unknown time that was open
//! names its start, and what is proven of an open run of failures the start of that run. A history
//! that a backup replaced goes on from an earlier instant, and so does one of an early build that
//! lost events.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::replayed::Replayed;
use crate::history::event::{Event, EventRecord, recorded};
use crate::history::prune_record::PruneRecord;
use crate::report::difference::{Difference, differs};
use crate::report::object::{ContractReport, ReportedExtent};

const HOUR_MS: i64 = 3_600_000;
/// An hour is sealed some minutes after its end, or with the next one.
const SILENT_AT_MOST_MS: i64 = 3 * HOUR_MS;
/// The longest interval between probes; what is not seen is no bound where no event tells it.
const NOT_SEEN_AT_MOST_MS: i64 = 24 * HOUR_MS;

/// The latest instant up to which anything can be settled, and how the events tell it.
struct LatestSettled {
    until: i64,
    told_by: String,
}

/// No record is settled beyond the time in which the daemon recorded.
pub(crate) fn within_life(report: &ContractReport, replayed: &Replayed) -> Result<(), Difference> {
    let (stopped, next) = (stopped(replayed.events), next_start(replayed.later));
    let ends: Vec<LatestSettled> = stopped.into_iter().chain(next).collect();
    let silence = silence(replayed.prune_record, replayed.events);
    for (k, e) in report.extents.iter().enumerate() {
        let silent = silence.as_ref().map(|s| LatestSettled {
            until: s
                .until
                .saturating_add((e.not_seen_below_ms as i64).min(NOT_SEEN_AT_MOST_MS)),
            told_by: s.told_by.clone(),
        });
        let beyond = |latest: &&LatestSettled| e.watermark_ms as i64 > latest.until;
        if let Some(latest) = ends.iter().chain(&silent).find(beyond) {
            let why = format!(
                "{}, and the report has the record of {} settled up to {}",
                latest.told_by, e.endpoint, e.watermark_ms
            );
            return Err(differs(&format!("extents[{k}].watermark_ms"), why));
        }
    }
    Ok(())
}

/// The daemon was stopped, and had not started again.
fn stopped(events: &[Map<String, Value>]) -> Option<LatestSettled> {
    let of_daemon =
        |e: &EventRecord| matches!(e.event, Event::DaemonStarted(_) | Event::DaemonStopped(_));
    let last = recorded(events).filter(of_daemon).last()?;
    matches!(last.event, Event::DaemonStopped(_)).then(|| LatestSettled {
        until: last.at as i64,
        told_by: format!(
            "event {} says that the daemon stopped at {}",
            last.seq, last.at
        ),
    })
}

/// The next start of the daemon says what it had recorded last.
fn next_start(later: &[Map<String, Value>]) -> Option<LatestSettled> {
    let next = recorded(later)
        .find(|e| matches!(e.event, Event::DaemonStarted(_) | Event::Restored(_)))?;
    let Event::DaemonStarted(start) = &next.event else {
        return None;
    };
    start.last_mark_ms.map(|mark| LatestSettled {
        until: mark as i64,
        told_by: format!(
            "event {} says that nothing was recorded after {mark} until the daemon started again",
            next.seq
        ),
    })
}

/// A daemon that seals hours is never silent for long; where its clock was set back, until the
/// hours that it shows again are over.
fn silence(
    prune_record: Option<&PruneRecord>,
    events: &[Map<String, Value>],
) -> Option<LatestSettled> {
    let mut is_sealing = prune_record.is_some_and(was_sealing);
    let mut last = prune_record.map_or(0, |p| p.until_ms as i64);
    let mut shown = ShownHours::default();
    for (at, offset) in prune_record.into_iter().flat_map(offsets) {
        shown.step(at, shown.ahead, offset);
    }
    for e in recorded(events) {
        last = last.max(e.at as i64);
        match &e.event {
            Event::DaemonStarted(start) => is_sealing |= start.format.is_some(),
            Event::Tallies(_) => is_sealing = true,
            Event::ClockStep(step) => {
                shown.step(e.at as i64, step.offset_before_ms, step.offset_after_ms);
            }
            _ => {}
        }
    }
    is_sealing.then(|| LatestSettled {
        until: last.max(shown.again()).saturating_add(SILENT_AT_MOST_MS),
        told_by: format!(
            "a daemon that runs records something every hour, the events of the report end at \
                {last}"
        ),
    })
}

/// What the wall clock has shown, as far as its steps say it.
#[derive(Default)]
struct ShownHours {
    /// The latest of it, where it was ever set.
    latest: Option<i64>,
    /// How far it is ahead of the timeline since the last step.
    ahead: i64,
}

impl ShownHours {
    fn step(&mut self, at: i64, before: i64, after: i64) {
        let shown = at.saturating_add(before.max(after));
        self.latest = Some(self.latest.map_or(shown, |latest| latest.max(shown)));
        self.ahead = after;
    }

    /// When, on the timeline, the clock shows again what it had shown at most.
    fn again(&self) -> i64 {
        self.latest
            .map_or(i64::MIN, |latest| latest.saturating_sub(self.ahead))
    }
}

/// Hours were sealed before the cut.
fn was_sealing(prune_record: &PruneRecord) -> bool {
    let seals = prune_record.carried.get("seals").and_then(Value::as_array);
    seals.is_some_and(|seals| !seals.is_empty())
}

/// Each step of the clock before the cut: when, and what it shows minus the timeline since.
fn offsets(prune_record: &PruneRecord) -> impl Iterator<Item = (i64, i64)> {
    let steps = prune_record.carried.get("clock").and_then(Value::as_array);
    let of = |step: &Value| {
        let row = step.get(1)?;
        Some((row.get(0)?.as_i64()?, row.get(1)?.as_i64()?))
    };
    steps.into_iter().flatten().filter_map(of)
}

/// What a report says of an endpoint, while later events are heard.
struct Claimed<'r> {
    place: usize,
    extent: &'r ReportedExtent,
    /// The run of failures that was open, until an event proves it.
    run: Option<(i64, i64)>,
}

/// No event that is later than the report tells of time that its extents have as settled.
pub(crate) fn later_agrees(
    report: &ContractReport,
    later: &[Map<String, Value>],
) -> Result<(), Difference> {
    let mut by_name: HashMap<String, Vec<Claimed>> = HashMap::new();
    for (place, extent) in report.extents.iter().enumerate() {
        let run = extent.open_run.map(|(a, b)| (a as i64, b as i64));
        let claimed = Claimed { place, extent, run };
        let own = by_name.entry(extent.endpoint.clone()).or_default();
        own.push(claimed);
    }
    for (name, e) in later_of_endpoints(report, later) {
        for claimed in by_name.get_mut(&name).into_iter().flatten() {
            claimed
                .hear(&e)
                .map_err(|(key, why)| differs(&format!("extents[{}].{key}", claimed.place), why))?;
        }
    }
    Ok(())
}

/// Later events that a report is held against, each with the name that its endpoint has there.
pub(crate) fn later_of_endpoints(
    report: &ContractReport,
    later: &[Map<String, Value>],
) -> Vec<(String, EventRecord)> {
    let names = report.extents.iter().map(|e| e.endpoint.clone());
    let mut by_name: HashMap<String, String> = names.map(|name| (name.clone(), name)).collect();
    let mut heard = Vec::new();
    for e in recorded(later) {
        match &e.event {
            Event::Restored(_) => break,
            Event::HistoryGap(gap) if gap.unknown_in_counters.is_none() => break,
            Event::EndpointRenamed(renamed) => {
                if let (Some(now), Some(own)) = (&e.endpoint, by_name.remove(&renamed.from)) {
                    by_name.insert(now.clone(), own);
                }
            }
            _ => {}
        }
        if let Some(own) = e.endpoint.as_ref().and_then(|name| by_name.get(name)) {
            heard.push((own.clone(), e));
        }
    }
    heard
}

impl Claimed<'_> {
    /// The key of the extent that an event contradicts, and why.
    fn hear(&mut self, e: &EventRecord) -> Result<(), (&'static str, String)> {
        self.hear_of_time(e)?;
        self.hear_of_run(e)
    }

    fn hear_of_time(&self, e: &EventRecord) -> Result<(), (&'static str, String)> {
        let watermark = self.extent.watermark_ms as i64;
        let unknown = self.extent.open_unknown.as_ref().map(|u| u.from_ms as i64);
        let was_settled = |at: &&i64| **at < watermark && Some(**at) != unknown;
        let instants = match &e.event {
            Event::Unknown(unknown) => vec![unknown.from_ms as i64],
            // The end of unknown time that was open lies after what was settled of it.
            Event::Known(known) if Some(known.from_ms as i64) == unknown => {
                return match known.to_ms as i64 {
                    to if to < watermark => Err(self.told_before(e, to)),
                    _ => Ok(()),
                };
            }
            Event::Known(known) => vec![known.from_ms as i64, known.to_ms as i64],
            Event::Down(down) => vec![down.from_ms as i64],
            Event::Up(up) => vec![up.to_ms as i64],
            Event::OutageLeft(left) => vec![left.to_ms as i64],
            Event::OutageLost(lost) => vec![lost.to_ms as i64],
            Event::OutOfService(out) => vec![out.from_ms as i64],
            _ => Vec::new(),
        };
        match instants.iter().find(was_settled) {
            Some(at) => Err(self.told_before(e, *at)),
            None => Ok(()),
        }
    }

    fn told_before(&self, e: &EventRecord, at: i64) -> (&'static str, String) {
        let why = format!(
            "event {} ({}) has a change of {} at {at}, and the report has its record settled up \
                to {}",
            e.seq,
            e.event.kind(),
            self.extent.endpoint,
            self.extent.watermark_ms
        );
        ("watermark_ms", why)
    }

    /// A run that was open is proven when it ends, from where it began.
    fn hear_of_run(&mut self, e: &EventRecord) -> Result<(), (&'static str, String)> {
        let (name, open) = (&self.extent.endpoint, self.extent.open_run);
        let (watermark, seq) = (self.extent.watermark_ms, e.seq);
        match (&e.event, open) {
            (Event::Proven(proven), Some((from, to)))
                if proven.from_ms == from && proven.to_ms >= to =>
            {
                self.run = None;
            }
            (Event::Proven(proven), _) if proven.from_ms < watermark || self.run.is_some() => {
                let why = format!(
                    "by event {seq} {name} is down for certain from {} to {}, the report says {}",
                    proven.from_ms,
                    proven.to_ms,
                    json!(open)
                );
                return Err(("open_run", why));
            }
            (Event::Unknown(_) | Event::Up(_) | Event::OutageLeft(_), _) => {
                if let Some((from, _)) = self.run {
                    let why = format!(
                        "event {seq} ({}) ends the failures of {name} in a row, and no event has \
                            them proven from {from} on, as the report says",
                        e.event.kind()
                    );
                    return Err(("open_run", why));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
