//! What a report says of how far its record reaches, held against the events: when each endpoint
//! began and left, what is open, and that none is left out.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::replayed::{Replayed, failed};
use super::settled::later_of_endpoints;
use crate::history::calendar::Calendar;
use crate::history::event::{Event, EventRecord, recorded};
use crate::history::prune_record::PruneRecord;
use crate::judgement::timeline::Span;
use crate::report::difference::{Difference, differs};
use crate::report::object::{ContractReport, ListedOutage, ReportedExtent};
use crate::words::{Ms, Reason, UtcMs};

/// What the events tell of one endpoint. Instants of the timeline.
#[derive(Debug, Clone, Default)]
struct EndpointEvents {
    component: Option<String>,
    /// The components that it belonged to, the present one among them.
    was_of: BTreeSet<String>,
    /// When it was taken into service for the first time.
    added: Option<i64>,
    /// When it left, if it is gone.
    gone_at: Option<i64>,
    /// When it left, if an event says so.
    left_at: Option<i64>,
    /// Where unknown time began that is not over; nothing where events of before are pruned.
    open_unknown: Option<Option<i64>>,
    /// The latest instant that is settled for certain.
    settled: i64,
    /// The run of failures that is open.
    run: FailureRun,
    /// Nothing where events are missing that may say.
    is_down: Option<bool>,
    /// The most successes that an outage ever took to end; nothing where no event tells it.
    up_after: Option<u32>,
    /// When a hole in the record was told of, and where the hole ends.
    hole: Option<(i64, i64)>,
}

/// What the events tell of the failures in a row that are open at their end.
#[derive(Debug, Clone, Copy, Default)]
enum FailureRun {
    #[default]
    None,
    /// Nothing, where events are missing.
    Untold,
    /// The first of them ended between these instants. Without the later one, successes that were
    /// too few to end the outage may have ended a run unseen.
    Since(i64, Option<i64>),
}

fn apply(events: &mut EndpointEvents, e: &EventRecord) {
    let at = Some(e.at as i64);
    events.apply_to_run(e);
    match &e.event {
        Event::EndpointAdded(added) => {
            events.component = Some(added.component.clone());
            events.was_of.insert(added.component.clone());
            events.added = events.added.or(at);
            events.open_unknown = Some(at);
            (events.gone_at, events.left_at) = (None, None);
        }
        Event::EndpointComponent(moved) => {
            events.component = Some(moved.component.clone());
            events
                .was_of
                .extend([moved.component.clone(), moved.before.clone()]);
        }
        Event::EndpointRemoved(_) => {
            (events.gone_at, events.left_at, events.open_unknown) = (at, at, Some(None));
        }
        Event::OutOfService(out) => {
            (events.gone_at, events.left_at) = (None, None);
            events.open_unknown = Some(Some(out.to_ms as i64));
        }
        Event::Unknown(unknown) => {
            events.open_unknown = Some(Some(unknown.from_ms as i64));
            events.settle(unknown.from_ms);
        }
        Event::Known(known) => {
            // A record with a hole says nothing of what is open.
            let is_hole = known.reason == Reason::History.as_str();
            events.open_unknown = (!is_hole).then_some(None);
            events.settle(known.from_ms.max(known.to_ms));
        }
        Event::FirstUp(_) | Event::Doubt(_) => events.open_unknown = Some(None),
        Event::Down(down) => events.measured(down.from_ms),
        Event::Up(up) => events.measured(up.from_ms.max(up.to_ms)),
        Event::OutageLeft(left) => events.measured(left.from_ms.max(left.to_ms)),
        Event::Proven(proven) => events.settle(proven.from_ms.max(proven.to_ms)),
        // These say nothing of how far a record reaches.
        Event::OutageLost(_)
        | Event::Unconfirmed(_)
        | Event::EndpointRenamed(_)
        | Event::EndpointCadence(_)
        | Event::EndpointChanged(_)
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
        | Event::Pruned(_) => {}
    }
}

impl EndpointEvents {
    /// A run of failures begins with an outage, or with the failure that ends unknown time in it;
    /// the event of that is not recorded before the failure ends.
    fn apply_to_run(&mut self, e: &EventRecord) {
        let at = e.at as i64;
        let or_later = |until: i64, told: &Self| Some(until).filter(|_| told.up_after == Some(1));
        match &e.event {
            Event::EndpointAdded(added) => {
                self.up_after = match self.added {
                    None => added.up_after,
                    Some(_) => self.up_after.max(added.up_after),
                };
            }
            Event::EndpointCadence(cadence) => {
                self.up_after = self.up_after.map(|most| most.max(cadence.up_after));
                if let FailureRun::Since(first, Some(_)) = self.run
                    && cadence.up_after > 1
                {
                    self.run = FailureRun::Since(first, None);
                }
            }
            Event::Down(down) => {
                let first = down.from_latest_ms as i64;
                let (from, until) = match self.hole {
                    Some((told_at, to)) if told_at == at => (to, at),
                    _ => (first, first),
                };
                self.is_down = Some(true);
                self.run = FailureRun::Since(from, or_later(until, self));
            }
            Event::Known(known) => {
                let to = known.to_ms as i64;
                if known.reason == Reason::History.as_str() {
                    self.hole = Some((at, to));
                }
                self.run = match self.is_down {
                    Some(true) => FailureRun::Since(to, or_later(at, self)),
                    Some(false) => self.run,
                    None => FailureRun::Untold,
                };
            }
            Event::Proven(proven) if self.is_down == Some(true) => {
                self.run = FailureRun::Since(proven.to_ms as i64, or_later(at, self));
            }
            Event::Unknown(_) => self.run = FailureRun::None,
            Event::Up(_)
            | Event::OutageLeft(_)
            | Event::OutageLost(_)
            | Event::EndpointRemoved(_)
            | Event::OutOfService(_) => self.not_down(),
            _ => {}
        }
    }

    fn not_down(&mut self) {
        (self.is_down, self.run) = (Some(false), FailureRun::None);
    }

    /// An outage may have begun or ended in events that are missing.
    fn may_be_down(&mut self) {
        (self.is_down, self.run) = (None, FailureRun::Untold);
    }

    /// Nothing is unknown at this instant.
    fn measured(&mut self, at: Ms) {
        self.open_unknown = Some(None);
        self.settle(at);
    }

    fn settle(&mut self, at: Ms) {
        self.settled = self.settled.max(at as i64);
    }
}

/// By the name that each endpoint has at the end.
fn events_by_endpoint(
    prune_record: Option<&PruneRecord>,
    events: &[Map<String, Value>],
) -> HashMap<String, EndpointEvents> {
    let mut all: HashMap<String, EndpointEvents> = HashMap::new();
    if let Some(prune_record) = prune_record {
        let carried = |key: &str| prune_record.carried.get(key);
        for (name, id) in carried("ids")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let is_down = carried("outages").and_then(Value::as_array).map(|open| {
                let of_it = |o: &Value| o.get(1) == Some(id);
                open.iter().any(of_it)
            });
            let id = id.to_string();
            let of_it = |key: &str| carried(key).and_then(|all| all.get(&id));
            let gone = of_it("in_service") == Some(&Value::Bool(false));
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let component = of_it("components").and_then(text);
            let carried = EndpointEvents {
                was_of: component.clone().into_iter().collect(),
                component,
                added: of_it("added").and_then(Value::as_i64),
                gone_at: gone.then_some(prune_record.until_ms as i64),
                run: match is_down {
                    Some(false) => FailureRun::None,
                    Some(true) | None => FailureRun::Untold,
                },
                is_down,
                ..EndpointEvents::default()
            };
            all.insert(name.clone(), carried);
        }
    }
    for e in recorded(events) {
        let Some(name) = &e.endpoint else {
            // An early build lost events, and its judges did not hear of it.
            if matches!(&e.event, Event::HistoryGap(gap) if gap.unknown_in_counters.is_none()) {
                all.values_mut().for_each(EndpointEvents::may_be_down);
            }
            continue;
        };
        if let Event::EndpointRenamed(renamed) = &e.event
            && let Some(before) = all.remove(&renamed.from)
        {
            all.insert(name.clone(), before);
        }
        let new = || EndpointEvents {
            is_down: Some(false),
            ..EndpointEvents::default()
        };
        apply(all.entry(name.clone()).or_insert_with(new), &e);
    }
    all
}

/// The first extent that does not follow from the events.
pub(crate) fn held(
    report: &ContractReport,
    replayed: &Replayed,
    (period, issued): (Span, UtcMs),
) -> Result<(), Difference> {
    let all = events_by_endpoint(replayed.prune_record, replayed.events);
    let calendar = replayed.reader.calendar().map_err(failed)?;
    for (k, e) in report.extents.iter().enumerate() {
        let Some(events) = all.get(&e.endpoint) else {
            return Err(differs(
                &format!("extents[{k}].endpoint"),
                format!("no event mentions {}", e.endpoint),
            ));
        };
        follows(e, events, calendar, issued)
            .map_err(|(key, why)| differs(&format!("extents[{k}].{key}"), why))?;
    }
    let is_in = |component: &str| report.extents.iter().any(|e| e.component == component);
    let is_seen = |name: &str, component: &str| {
        let is_it = |e: &ReportedExtent| e.endpoint == name && e.component == component;
        report.extents.iter().any(is_it)
    };
    let left_out = |name: &str, events: &EndpointEvents| {
        let concerned = events.was_of.iter().any(|c| is_in(c) && !is_seen(name, c));
        concerned
            && (events.gone_at.is_none() || calendar.utc(events.settled.max(0) as Ms) > period.from)
    };
    let mut missing: Vec<&String> = all
        .iter()
        .filter(|(name, events)| left_out(name, events))
        .map(|(name, _)| name)
        .collect();
    missing.sort();
    missing.first().map_or(Ok(()), |name| {
        Err(differs(
            "extents",
            format!("{name} belongs to a component of the report and is left out"),
        ))
    })
}

/// Whether events tell where the failures in a row of each open outage began, or how they ended
/// later. Else it is what the signer says.
pub(crate) fn runs_are_told(report: &ContractReport, replayed: &Replayed) -> bool {
    let all = events_by_endpoint(replayed.prune_record, replayed.events);
    let ends = |e: &EventRecord| {
        matches!(
            e.event,
            Event::Proven(_) | Event::Up(_) | Event::Unknown(_) | Event::OutageLeft(_)
        )
    };
    let is_open = |extent: &&ReportedExtent| {
        let of_it = |o: &ListedOutage| o.to.is_none() && o.endpoint == extent.endpoint;
        report.outages.iter().any(of_it)
    };
    let later = later_of_endpoints(report, replayed.later);
    report.extents.iter().filter(is_open).all(|extent| {
        match all.get(&extent.endpoint).map(|told| told.run) {
            Some(FailureRun::Untold | FailureRun::Since(_, None)) => later
                .iter()
                .any(|(name, e)| *name == extent.endpoint && ends(e)),
            Some(FailureRun::None | FailureRun::Since(_, Some(_))) | None => true,
        }
    })
}

/// The key of an extent that is not what the events tell of its endpoint, and why.
fn follows(
    e: &ReportedExtent,
    events: &EndpointEvents,
    calendar: &Calendar,
    issued: UtcMs,
) -> Result<(), (&'static str, String)> {
    let (name, watermark) = (&e.endpoint, e.watermark_ms);
    if (watermark as i64) < events.settled {
        let why = format!(
            "the events settle {name} up to {}, the report says {watermark}",
            events.settled
        );
        return Err(("watermark_ms", why));
    }
    if calendar.utc(watermark) > issued {
        return Err(("watermark_ms", "it is later than the report".to_owned()));
    }
    if let Some(gone) = events.left_at.filter(|gone| watermark as i64 > *gone) {
        let why =
            format!("by the events {name} left service at {gone}, the report says {watermark}");
        return Err(("watermark_ms", why));
    }
    run_follows(e, events.run)?;
    let Some(added) = events.added else {
        return Ok(());
    };
    if !events.was_of.contains(&e.component) {
        let own = events.component.clone().unwrap_or_default();
        return Err((
            "component",
            format!("by the events {name} belongs to {own}"),
        ));
    }
    if e.first_start_ms.map(|at| at as i64) != Some(added) {
        let why = format!(
            "{added} follows from the events, the report says {}",
            json!(e.first_start_ms)
        );
        return Err(("first_start_ms", why));
    }
    if e.gone != events.gone_at.is_some() {
        let is = match events.gone_at {
            Some(_) => "gone",
            None => "in service",
        };
        return Err(("gone", format!("by the events {name} is {is}")));
    }
    let open = e.open_unknown.as_ref().map(|u| u.from_ms as i64);
    if events.open_unknown.is_some_and(|since| since != open) {
        let why = format!(
            "what is unknown of {name} at the end of the record is not what the events say"
        );
        return Err(("open_unknown", why));
    }
    Ok(())
}

/// The failures in a row that are open reach to the end of what is settled.
fn run_follows(e: &ReportedExtent, told: FailureRun) -> Result<(), (&'static str, String)> {
    let (name, watermark) = (&e.endpoint, e.watermark_ms as i64);
    let open = e.open_run.map(|(from, to)| (from as i64, to as i64));
    let (why, follows) = match told {
        FailureRun::Untold => (
            format!(
                "failures in a row of {name} that are open reach to the end of its record at \
                    {watermark}"
            ),
            open.is_none_or(|(from, to)| from < to && to == watermark),
        ),
        FailureRun::None => (
            format!("by the events {name} is not down at the end of its record"),
            open.is_none(),
        ),
        FailureRun::Since(first, until) => {
            let begins = match until {
                Some(until) if until == first => first.to_string(),
                Some(until) => format!("an instant between {first} and {until}"),
                None => format!("an instant after {first}"),
            };
            let is_begin = |from: i64| from >= first && until.is_none_or(|until| from <= until);
            // Where the first failure is the last as well, nothing is certain yet.
            let follows = match open {
                Some((from, to)) => is_begin(from) && from < to && to == watermark,
                None => until.is_none_or(|until| until >= watermark),
            };
            let why = format!(
                "by the events the failures of {name} in a row go from {begins} to the end of its \
                    record at {watermark}"
            );
            (why, follows)
        }
    };
    if follows {
        return Ok(());
    }
    Err((
        "open_run",
        format!("{why}, the report says {}", json!(e.open_run)),
    ))
}
