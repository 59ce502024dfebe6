//! Recomputes a report offline: from its own terms, and from the events that somebody exported.
//!
//! The events are told into a history in memory by the code that wrote the real one; the timeline,
//! the evaluation and every other figure follow from it as they did for the report, and are
//! compared one by one.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde_json::{Map, Value};

use super::changed::changed;
use super::issued::nothing_left_out;
use super::latency::{latency, latency_json};
use super::ruling::{read as read_terms, under_present_names};
use super::sla::{answer, instant as instant_text};
use super::terms::{SUPERSEDED, is_salt};
use super::{
    admitted, combine_of, combine_text, configs, endpoints, evaluated, excluded, extents, listed,
    refused, slots, terms, with_terms,
};
use crate::account::figures::{Part, components, maintenance};
use crate::account::recorded::{Service, timeline_json, told};
use crate::config::Plan;
use crate::history::chain::{GENESIS, canonical, hex, link};
use crate::history::checkpoint::{commitment, verify_signature};
use crate::history::definitions::{Told, told as told_definitions};
use crate::history::event::{ComponentMakeup, Event, EventRecord};
use crate::history::makeup::Makeup;
use crate::history::past::{Which, longest_blind, not_seen_below};
use crate::history::prune::Stub;
use crate::history::read::{Calendar, Extent};
use crate::history::retelling::Retelling;
use crate::history::trust::{Introduced, trusted};
use crate::history::upkeep::{Kind, Seals, Unit, column, tallies_digest};
use crate::judgement::sla::calendar::{current_and_previous, day_of};
use crate::judgement::sla::contract::{Contract, Contracts, Measure, PeriodKind};
use crate::judgement::sla::evaluate::{NotJudged, evaluate, evaluate_components};
use crate::judgement::timeline::Span;
use crate::words::{Name, Reason, parse_utc};

/// The first thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The figure's place in the report, such as `evaluation.results[0].down_ms`.
    pub place: String,
    pub why: String,
}

pub(super) fn differs(place: &str, why: impl Into<String>) -> Difference {
    Difference {
        place: place.to_owned(),
        why: why.into(),
    }
}

/// What was recomputed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recomputed {
    /// Slots and latency as well: the export came with tallies.
    pub tallies: bool,
    /// The terms are those that events committed to.
    pub terms: bool,
}

/// `journal`: lines of JSON as exported. `since`: a checkpoint that left the machine earlier.
pub fn check(
    report: &Value,
    journal: &str,
    since: Option<&Value>,
) -> Result<Recomputed, Difference> {
    if report["schema"] == "probity-report/1" {
        return Err(differs(
            "schema",
            "this report was made by an earlier version (probity-report/1): verify it with that \
                version, or issue it anew",
        ));
    }
    if report["schema"] != "probity-report/2" {
        return Err(differs("schema", "not a report of schema probity-report/2"));
    }
    verify_signature(report).map_err(|why| differs("signature", why))?;
    let (stub, journal, tallies) = parted(journal)?;
    let (events, later) = chain_of(&journal, stub.as_ref(), report, since)?;
    times_within_reach(report, stub.as_ref(), &events)?;
    let failed = |e: crate::history::HistoryError| differs("events", e.to_string());
    let connection = Retelling::of(stub.as_ref(), &events).map_err(failed)?;
    let issued = report["issued_at"]
        .as_str()
        .and_then(parse_utc)
        .ok_or_else(|| differs("issued_at", "this is not a valid time"))?;
    nothing_left_out(
        issued,
        &Calendar::read(&connection).map_err(failed)?,
        events.last(),
        &later,
    )?;
    let with_tallies = !tallies.is_empty();
    if with_tallies {
        put_tallies(&connection, &tallies, period_of(report)?)?;
    }
    if let Some(since) = since {
        same_hand("key", "the given checkpoint", report, since, &events)?;
    }
    if let Some(stub) = &stub {
        same_hand("stub", "the prune record", report, &stub.object, &events)?;
    }
    let contracts = contracts_of(report)?;
    if !with_tallies && contracts.list.iter().any(|c| c.measure != Measure::Time) {
        return Err(differs(
            "events",
            "the contract counts single results, and those are in the tallies: export the events \
                with --tallies",
        ));
    }
    let again = recomputed(report, &contracts, &connection, (stub.as_ref(), &events))?;
    if report["provisional"] != true && again["complete"] != true {
        return Err(differs(
            "provisional",
            "the period is not settled, and the report says that it is",
        ));
    }
    let told = [
        "later_terms",
        "settled_until",
        "complete",
        "timeline",
        "evaluation",
        "outages",
        "refused",
        "admitted",
        "excluded",
        "changed",
        "configs",
        "time_zone",
    ];
    let counted = if with_tallies {
        &["slots", "latency"][..]
    } else {
        &[]
    };
    for key in told.iter().chain(counted) {
        if let Some(difference) = first_difference(key, &again[*key], &report[*key]) {
            return Err(difference);
        }
    }
    slots_held(report, &again["slots"])?;
    if with_tallies {
        blind_held(report, &connection)?;
    }
    Ok(Recomputed {
        tallies: with_tallies,
        terms: report["terms_recorded_at"].is_string(),
    })
}

/// The evaluation of the same month, quarter or year by the zone data in use here, whatever release
/// the report was computed by; `None` where the events do not give it.
pub fn evaluation_by_zones_here(report: &Value, journal: &str) -> Option<Value> {
    let (stub, journal, tallies) = parted(journal).ok()?;
    let (events, _) = chain_of(&journal, stub.as_ref(), report, None).ok()?;
    times_within_reach(report, stub.as_ref(), &events).ok()?;
    let connection = Retelling::of(stub.as_ref(), &events).ok()?;
    let contracts = contracts_of(report).ok()?;
    let contract = contracts.list.first()?;
    let told = period_of(report).ok()?;
    let here = match contract.period {
        PeriodKind::Rolling(_) => told,
        // Its middle lies in it by every release.
        kind => current_and_previous(kind, &contract.zone, told.from.midpoint(told.to))[0].1,
    };
    if !tallies.is_empty() {
        put_tallies(&connection, &tallies, here).ok()?;
    }
    let mut moved = report.clone();
    moved["evaluation"]["period"] =
        serde_json::json!({"start": instant_text(here.from), "end": instant_text(here.to)});
    recomputed(&moved, &contracts, &connection, (stub.as_ref(), &events))
        .ok()
        .map(|mut again| again["evaluation"].take())
}

/// Times of more milliseconds are later than the year 9999: no record has them, and no sum of them
/// goes beyond what is computed with.
const FARTHEST_MS: u64 = 1 << 48;

/// All times of the report and of what it rests on can be added up, whoever wrote them.
fn times_within_reach(
    report: &Value,
    stub: Option<&Stub>,
    events: &[Map<String, Value>],
) -> Result<(), Difference> {
    let beyond = |key: &str, place: &str| {
        differs(
            place,
            format!("{key} is further away than any time of a record"),
        )
    };
    if let Some(key) = report.get("extents").and_then(beyond_reach) {
        return Err(beyond(&key, "extents"));
    }
    if let Some(key) = stub.and_then(|stub| beyond_reach(&stub.carried)) {
        return Err(beyond(&key, "stub"));
    }
    let seq = |event: &Map<String, Value>| event.get("seq").and_then(Value::as_u64).unwrap_or(0);
    let found = events.iter().find_map(|event| {
        event
            .iter()
            .find_map(|(key, value)| reach_of(key, value))
            .map(|key| (seq(event), key))
    });
    found.map_or(Ok(()), |(seq, key)| {
        Err(beyond(&key, &format!("event {seq}")))
    })
}

/// The first key within a value whose time is too far away.
fn beyond_reach(value: &Value) -> Option<String> {
    match value {
        Value::Object(map) => map.iter().find_map(|(key, value)| reach_of(key, value)),
        Value::Array(list) => list.iter().find_map(beyond_reach),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn reach_of(key: &str, value: &Value) -> Option<String> {
    let length = value
        .as_u64()
        .or_else(|| value.as_i64().map(i64::unsigned_abs));
    let is_beyond = key.ends_with("_ms") && length.is_some_and(|length| length > FARTHEST_MS);
    if is_beyond {
        Some(key.to_owned())
    } else {
        beyond_reach(value)
    }
}

/// The contract of terms as a report shows them.
fn contracts_of(shown: &Value) -> Result<Contracts, Difference> {
    read_terms(shown["terms"].as_str().unwrap_or_default()).map_err(|faults| {
        differs(
            "terms",
            faults.first().map(ToString::to_string).unwrap_or_default(),
        )
    })
}

type Parted<'j> = (Option<Stub>, Vec<&'j str>, Vec<Value>);

/// An export in its parts: the stub that stands for pruned events, the events, the tallies.
fn parted<'j>(journal: &'j str) -> Result<Parted<'j>, Difference> {
    let (mut stub, mut events, mut tallies) = (None, Vec::new(), Vec::new());
    for (k, line) in journal.lines().enumerate() {
        if k == 0 && line.starts_with(r#"{"carried":"#) {
            let mut value: Value =
                serde_json::from_str(line).map_err(|e| differs("stub", e.to_string()))?;
            let read = Stub::parse(value["stub"].take(), value["carried"].take())
                .map_err(|why| differs("stub", why))?;
            stub = Some(read);
        } else if line.starts_with(r#"{"tally":"#) {
            let mut value: Value =
                serde_json::from_str(line).map_err(|e| differs("tallies", e.to_string()))?;
            tallies.push(value["tally"].take());
        } else {
            events.push(line);
        }
    }
    Ok((stub, events, tallies))
}

/// Puts exported tallies into their places; each hour, day and month must be what its seal says.
fn put_tallies(connection: &Connection, tallies: &[Value], period: Span) -> Result<(), Difference> {
    let failed = |e: crate::history::HistoryError| differs("tallies", e.to_string());
    let mut units = BTreeSet::new();
    for tally in tallies {
        let text = |key: &str| tally[key].as_str();
        if !Retelling::put_tally(connection, tally).map_err(failed)? {
            let whose = text("endpoint").unwrap_or("-").to_owned();
            return Err(differs(
                "tallies",
                format!(
                    "a tally of {whose} belongs to no endpoint of the events, or says of no time \
                        that it is of"
                ),
            ));
        }
        units.extend(Unit::of_seal(|key| {
            text("kind")
                .filter(|kind| *kind == key)
                .and(text("of"))
                .map(str::to_owned)
        }));
    }
    for unit in &units {
        let unit = *unit;
        let sql = "SELECT tallies, sha256 FROM sealed WHERE kind = ?1 AND number = ?2";
        let told: Option<(i64, String)> = connection
            .query_row(
                sql,
                rusqlite::params![unit.kind.as_str(), unit.number],
                |r| Ok((r.get(0)?, r.get(1)?)),
            )
            .ok();
        let (digest, count) = tallies_digest(connection, unit, |_, _| {}).map_err(failed)?;
        // Later than the report's last event: no figure of it rests on them.
        let Some((tallies, sum)) = told else {
            let sql = format!(
                "DELETE FROM {} WHERE {} = ?1",
                unit.kind.table(),
                column(unit.kind)
            );
            connection
                .execute(&sql, [unit.number])
                .map_err(|e| failed(e.into()))?;
            continue;
        };
        if tallies as u64 != count || sum != hex(&digest) {
            return Err(differs(
                "tallies",
                format!(
                    "those of the {} {} differ from their seal",
                    unit.kind.as_str(),
                    unit.label()
                ),
            ));
        }
    }
    // What the events vouch for and nothing longer stands for is there.
    let seals = Seals::read(connection).map_err(failed)?;
    let mut statement = connection
        .prepare("SELECT kind, number, tallies FROM sealed WHERE tallies > 0")
        .map_err(|e| failed(e.into()))?;
    let rows = statement
        .query_map([], |r| {
            Ok((
                r.get::<_, String>(0)?,
                r.get::<_, i64>(1)?,
                r.get::<_, i64>(2)?,
            ))
        })
        .map_err(|e| failed(e.into()))?;
    for row in rows {
        let (kind, number, told) = row.map_err(|e| failed(e.into()))?;
        // What later seals stand for may have been rolled up since the report.
        let Some(unit) = Kind::ALL
            .into_iter()
            .find(|k| k.as_str() == kind)
            .map(|kind| Unit::new(kind, number))
        else {
            continue;
        };
        let (_, count) = tallies_digest(connection, unit, |_, _| {}).map_err(failed)?;
        let is_rolled_up =
            seals.may_be_gone(unit) || units.contains(&unit.day()) || units.contains(&unit.month());
        if unit.span().cut(period).is_some()
            && count != told as u64
            && !(count == 0 && is_rolled_up)
        {
            return Err(differs(
                "tallies",
                format!(
                    "those of the {} {} are not all there",
                    unit.kind.as_str(),
                    unit.label()
                ),
            ));
        }
    }
    Ok(())
}

/// The events that this version knows; [`Retelling`] has refused what cannot be read.
pub(super) fn recorded(events: &[Map<String, Value>]) -> impl Iterator<Item = EventRecord> + '_ {
    let read = events.iter().map(EventRecord::read);
    read.filter_map(|e| e.ok().flatten())
}

/// The report and something else are signed by one key, or by two of which one vouched for the
/// other.
fn same_hand(
    place: &str,
    what: &str,
    report: &Value,
    other: &Value,
    events: &[Map<String, Value>],
) -> Result<(), Difference> {
    let (own, given) = (
        report["key"].as_str().unwrap_or_default(),
        other["key"].as_str().unwrap_or_default(),
    );
    let introduced: Vec<Introduced> = recorded(events)
        .filter_map(|e| match &e.event {
            Event::CheckpointKeyChanged(key) => Some(Introduced::by_event(e.seq, key)),
            _ => None,
        })
        .collect();
    if trusted([given], &introduced).contains(own) || trusted([own], &introduced).contains(given) {
        return Ok(());
    }
    Err(differs(
        place,
        format!(
            "the report was signed by {own}, {what} by {given}, and neither key signed the other"
        ),
    ))
}

type Journal = Vec<Map<String, Value>>;

/// The events up to the report's last one, and those after it, with the chain recomputed.
fn chain_of(
    journal: &[&str],
    stub: Option<&Stub>,
    report: &Value,
    since: Option<&Value>,
) -> Result<(Journal, Journal), Difference> {
    let last = report["events"]["last"]
        .as_u64()
        .filter(|n| *n > 0)
        .ok_or_else(|| differs("events.last", "the report names no events"))?;
    if since.is_some_and(|s| s["seq"].as_u64().is_none()) {
        return Err(differs("--since", "the given checkpoint names no event"));
    }
    if let Some(why) = since.and_then(|s| verify_signature(s).err()) {
        return Err(differs("--since", why));
    }
    let (before, mut head) = stub.map_or((0, GENESIS), |s| (s.last, s.head));
    if let (Some(stub), Some(since)) = (stub, since)
        && since["seq"].as_u64().is_some_and(|seq| seq <= before)
        && !stub
            .checkpoints()
            .iter()
            .any(|c| c["seq"] == since["seq"] && c["head"] == since["head"])
    {
        return Err(differs(
            "--since",
            "the prune record does not have the given checkpoint",
        ));
    }
    let (mut events, mut later) = (Vec::new(), Vec::new());
    for (k, line) in journal.iter().enumerate() {
        let seq = before + k as u64 + 1;
        let place = format!("event {seq}");
        let parsed: Option<Map<String, Value>> = serde_json::from_str(line).ok();
        let mut event = parsed.ok_or_else(|| differs(&place, "this line is not a JSON object"))?;
        let told = event.remove("hash");
        if event.get("seq").and_then(Value::as_u64) != Some(seq) {
            return Err(differs(
                &place,
                "its number does not follow from the one before",
            ));
        }
        head = link(&head, &canonical(&event));
        if told.as_ref().and_then(Value::as_str) != Some(hex(&head).as_str()) {
            return Err(differs(
                &place,
                "its hash does not follow from its text and the event before it",
            ));
        }
        if since.is_some_and(|s| s["seq"] == seq && s["head"] != hex(&head)) {
            return Err(differs(
                &place,
                "the events up to here are not those that the given checkpoint signed",
            ));
        }
        if seq <= last { &mut events } else { &mut later }.push(event);
        let checkpoint = &report["events"]["checkpoint"];
        if checkpoint["seq"] == seq
            && (checkpoint["head"] != hex(&head)
                || checkpoint["key"] != report["key"]
                || verify_signature(checkpoint).is_err())
        {
            return Err(differs(
                "events.checkpoint",
                "it is not what the key of the report signed of the events up to here",
            ));
        }
        if seq == last && report["events"]["head"] != hex(&head) {
            return Err(differs(
                "events.head",
                "the events up to the report's last one have another head",
            ));
        }
    }
    if before + (events.len() as u64) < last {
        return Err(differs(
            "events.last",
            format!(
                "the report rests on {last} events, and {} are given",
                before + events.len() as u64
            ),
        ));
    }
    if since.is_some_and(|s| s["seq"].as_u64().unwrap_or(0) > before + journal.len() as u64) {
        return Err(differs(
            "--since",
            "the given checkpoint signed more events than are given",
        ));
    }
    Ok((events, later))
}

fn period_of(report: &Value) -> Result<Span, Difference> {
    span_of(&report["evaluation"]["period"], "evaluation.period")
}

fn span_of(period: &Value, place: &str) -> Result<Span, Difference> {
    let instant = |key: &str| {
        period[key]
            .as_str()
            .and_then(parse_utc)
            .ok_or_else(|| differs(&format!("{place}.{key}"), "this is not a valid time"))
    };
    Ok(Span::new(instant("start")?, instant("end")?))
}

type Events<'e> = (Option<&'e Stub>, &'e [Map<String, Value>]);

fn recomputed(
    report: &Value,
    contracts: &Contracts,
    connection: &Connection,
    (stub, events): Events,
) -> Result<Value, Difference> {
    let contract = contracts
        .list
        .first()
        .ok_or_else(|| differs("terms", "no contract in them"))?;
    let instant = |value: &Value, place: &str| {
        value
            .as_str()
            .and_then(parse_utc)
            .ok_or_else(|| differs(place, "this is not a valid time"))
    };
    let period = period_of(report)?;
    // Where the kind of period was changed, earlier terms judge a period of the later ones.
    let later = match &report["later_terms"] {
        Value::Null => None,
        shown => Some((
            contracts_of(shown)?,
            span_of(
                &shown["evaluation"]["period"],
                "later_terms.evaluation.period",
            )?,
        )),
    };
    let is_changed = later.as_ref().is_some_and(|(later, span)| {
        later
            .list
            .iter()
            .any(|l| l.period != contract.period && is_period(l, *span))
            && *span == period
    });
    if !is_period(contract, period) && !is_changed {
        return Err(differs("evaluation.period", "not a period of the contract"));
    }
    in_force(report, contract, period)?;
    let issued = instant(&report["issued_at"], "issued_at")?;
    let mut parts = parts(report)?;
    let failed = |e: crate::history::HistoryError| differs("events", e.to_string());
    let calendar = Calendar::read(connection).map_err(failed)?;
    let makeup = Makeup::read(connection, &calendar).map_err(failed)?;
    for (part, e) in report["extents"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|e| Some((e["component"].as_str()?, e)))
    {
        // Who belongs to another component now.
        let name = e["endpoint"].as_str().unwrap_or_default();
        let is_former = makeup
            .moves()
            .outside(name, part)
            .as_slice()
            .last()
            .is_some_and(|s| s.to >= i64::MAX / 4);
        if let Some(part) = parts
            .iter_mut()
            .find(|p| is_former && p.component.as_str() == part)
        {
            part.former.insert(name.to_owned());
        }
    }
    extents::held(report, stub, events, &calendar, (period, issued))?;
    let told_of = told_definitions(connection).map_err(failed)?;
    definitions_held(report, &told_of)?;
    if let Some(why) = terms::wrong(&told_of, period, report) {
        return Err(differs("terms", why));
    }
    if later.is_none() && terms::has_later(&told_of, report) {
        return Err(differs(
            "later_terms",
            "other terms of this contract are in force by now, and the report does not say what \
                they make of the period",
        ));
    }
    endpoints_held(report, &parts, connection, period)?;
    not_seen_held(report, &parts, connection, &calendar, period)?;
    let until = match contract.measure {
        Measure::Time => period.to.min(issued).max(period.from),
        // Single results reach as far as the hours that were sealed.
        Measure::Slices { .. } | Measure::MeanErrorRatio { .. } => {
            instant(&report["timeline"]["to"], "timeline.to")?
        }
    };
    let windows = maintenance(connection, &parts, period).map_err(failed)?;
    let (reached, recorded) = components(
        connection,
        &parts,
        Span::new(period.from, until),
        Which::Sealed,
    )
    .map_err(failed)?;
    let timeline = timeline_json(reached, &recorded, &windows);
    let record = told(reached, recorded, windows);
    let unfit = |e: NotJudged| differs("evaluation", e.to_string());
    let mut named = contract.components.clone();
    let (contract, tenants) = under_present_names(
        connection,
        &parts,
        (contract.clone(), contracts.tenants.clone()),
    )
    .map_err(failed)?;
    let contract = &contract;
    named.extend(contract.components.clone());
    let each = evaluate_components(contract, &tenants, &record, period).map_err(unfit)?;
    let judged = evaluate(contract, &tenants, &record, period).map_err(unfit)?;
    let only_tenants = report["tenant"].is_string();
    let judged: Vec<_> = judged
        .into_iter()
        .filter(|j| !only_tenants || j.tenant.is_some())
        .collect();
    let later = match later {
        None => Value::Null,
        Some((later, span)) => {
            let shown = &report["later_terms"];
            let contract = later
                .list
                .first()
                .ok_or_else(|| differs("later_terms.terms", "no contract in them"))?;
            named.extend(contract.components.clone());
            let until = match contract.measure {
                Measure::Time => span.to.min(issued).max(span.from),
                Measure::Slices { .. } | Measure::MeanErrorRatio { .. } => {
                    instant(&shown["until"], "later_terms.until")?
                }
            };
            let tenant = report["tenant"]
                .as_str()
                .and_then(|name| Name::new(name).ok());
            let mut again = shown.clone();
            again["until"] = instant_text(until).into();
            again["evaluation"] = evaluated(
                connection,
                &parts,
                (contract, &later.tenants, tenant.as_ref()),
                (span, until),
            )
            .map_err(failed)?;
            again
        }
    };
    let outages = listed(connection, &parts, period).map_err(failed)?;
    let latency = latency(connection, contract, &parts, period, Which::Sealed).map_err(failed)?;
    let only = only_tenants.then_some(&named[..]);
    let changed = changed(connection, &parts, period, reached.to, only)
        .map_err(failed)?
        .into();
    let changed = with_terms(
        changed,
        terms::rows(&told_of, period, report)
            .into_iter()
            .chain(terms::clock_rows(&calendar, period)),
    );
    Ok(serde_json::json!({
        "settled_until": instant_text(reached.to), "complete": reached.to >= period.to,
        "slots": slots(connection, &parts, vantage_of(report, events)?, period).map_err(failed)?, "configs": configs(&told_of, period), "time_zone": contract.zone.iana_name(), "latency": latency_json(contract, &latency),
        "timeline": timeline, "evaluation": answer(contract, period, &judged, &each), "outages": outages, "refused": refused(&judged), "admitted": admitted(&judged),
        "excluded": excluded(connection, &parts, period).map_err(failed)?, "changed": changed, "later_terms": later,
    }))
}

fn is_period(contract: &Contract, span: Span) -> bool {
    match contract.period {
        PeriodKind::Rolling(length) => span.length() == length,
        kind => current_and_previous(kind, &contract.zone, span.from)[0].1 == span,
    }
}

/// The terms are in force when the period begins.
fn in_force(report: &Value, contract: &Contract, period: Span) -> Result<(), Difference> {
    let day = day_of(period.from, &contract.zone);
    if contract.valid_from.is_some_and(|from| from > day) {
        return Err(differs(
            "terms",
            format!(
                "they are in force from {} on, and the period starts before",
                contract.valid_from.unwrap_or(day)
            ),
        ));
    }
    let later: Option<jiff::civil::Date> = report["terms"]
        .as_str()
        .into_iter()
        .flat_map(str::lines)
        .find_map(|line| line.strip_prefix(SUPERSEDED)?.parse().ok());
    match later {
        Some(from) if from <= day => Err(differs(
            "terms",
            format!("a later version is in force from {from} on, and the period starts after"),
        )),
        _ => Ok(()),
    }
}

/// The place that was measured from, as the events have it where they say.
fn vantage_of<'r>(report: &'r Value, events: &[Map<String, Value>]) -> Result<&'r str, Difference> {
    let said = report["vantages"][0].as_str().unwrap_or_default();
    if report["vantages"]
        .as_array()
        .is_none_or(|all| all.len() != 1)
    {
        return Err(differs("vantages", "a daemon measures from one place"));
    }
    let starts = recorded(events).filter_map(|e| match e.event {
        Event::DaemonStarted(start) => start.vantage,
        _ => None,
    });
    match starts.last() {
        Some(told) if told != said => Err(differs(
            "vantages",
            format!("the daemon of these events measured from {told}, the report says {said}"),
        )),
        _ => Ok(said),
    }
}

/// Terms and components are what the events committed to.
fn definitions_held(report: &Value, told: &Told) -> Result<(), Difference> {
    for (place, shown) in [("", report), ("later_terms.", &report["later_terms"])] {
        let text = |key: &str| shown[key].as_str().unwrap_or_default();
        let salt = text("terms_salt");
        let recorded = told
            .on_record(&commitment(salt, text("terms")))
            .filter(|_| is_salt(salt));
        if shown["terms_recorded_at"].as_str() != recorded.map(String::as_str) {
            let why = match recorded {
                Some(at) => format!("these terms are on record since {at}"),
                None => "no event commits to these terms".to_owned(),
            };
            return Err(differs(
                &format!("{place}terms_recorded_at"),
                format!("{why}, the report says {}", shown["terms_recorded_at"]),
            ));
        }
    }
    if told.configs.is_empty() {
        // Written by a version that told nothing of components.
        return Ok(());
    }
    for (k, e) in report["extents"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let known = told
            .components
            .get(e["component"].as_str().unwrap_or_default());
        let known = known.unwrap_or(&ComponentMakeup::UNDECLARED);
        let (combine, from) = (combine_text(known.combine), known.in_service_from.into());
        for (key, is) in [("combine", combine), ("in_service_from", from)] {
            if e[key] != is {
                return Err(differs(
                    &format!("extents[{k}].{key}"),
                    format!("{is} by the events, the report says {}", e[key]),
                ));
            }
        }
    }
    Ok(())
}

/// How endpoints were probed, and when, is what the events tell; none is left out.
fn endpoints_held(
    report: &Value,
    parts: &[Part],
    connection: &Connection,
    period: Span,
) -> Result<(), Difference> {
    let expected = endpoints(connection, &Plan::empty(), parts, period)
        .map_err(|e| differs("events", e.to_string()))?;
    same_list("endpoints", "name", &expected, &report["endpoints"])?;
    for (k, (own, said)) in expected
        .iter()
        .zip(report["endpoints"].as_array().into_iter().flatten())
        .enumerate()
    {
        // What kind of probe it is, and the cadence of a history that does not tell it, is in no
        // event.
        for (key, is) in own
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| *key != "kind")
        {
            if let Some(difference) =
                first_difference(&format!("endpoints[{k}].{key}"), is, &said[key])
            {
                return Err(difference);
            }
        }
    }
    Ok(())
}

/// The slots that were due follow from the events alone.
fn slots_held(report: &Value, again: &Value) -> Result<(), Difference> {
    let own = again.as_array().map_or(&[][..], Vec::as_slice);
    same_list("slots", "endpoint", own, &report["slots"])?;
    for (k, (own, said)) in own
        .iter()
        .zip(report["slots"].as_array().into_iter().flatten())
        .enumerate()
    {
        if own["expected"] != said["expected"] {
            return Err(differs(
                &format!("slots[{k}].expected"),
                format!(
                    "{} follows from the events, the report says {}",
                    own["expected"], said["expected"]
                ),
            ));
        }
    }
    Ok(())
}

/// Two lists about the same, in the same order.
fn same_list(place: &str, key: &str, own: &[Value], said: &Value) -> Result<(), Difference> {
    let names = |list: &[Value]| {
        list.iter()
            .map(|e| e[key].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    let (own, said) = (
        names(own),
        names(said.as_array().map_or(&[][..], Vec::as_slice)),
    );
    if own == said {
        return Ok(());
    }
    let missing = own.iter().find(|name| !said.contains(name));
    Err(differs(
        place,
        missing.map_or_else(
            || "it has what does not follow from the events".to_owned(),
            |name| format!("{name} is left out"),
        ),
    ))
}

fn parts(report: &Value) -> Result<Vec<Part>, Difference> {
    let mut parts: Vec<Part> = Vec::new();
    for (k, e) in report["extents"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let wrong = || differs(&format!("extents[{k}]"), "cannot be read");
        let component = e["component"]
            .as_str()
            .and_then(|n| Name::new(n).ok())
            .ok_or_else(wrong)?;
        let combine = combine_of(&e["combine"]);
        let unknown = &e["open_unknown"];
        let extent = Extent {
            first_start: e["first_start_ms"].as_u64(),
            watermark: e["watermark_ms"].as_u64().ok_or_else(wrong)?,
            open_unknown: unknown["from_ms"]
                .as_u64()
                .zip(unknown["reason"].as_str().and_then(Reason::parse)),
            open_run: e["open_run"][0].as_u64().zip(e["open_run"][1].as_u64()),
            is_gone: e["gone"] == true,
            longest_blind: 0,
            blind_lately: 0,
            not_seen_below: e["not_seen_below_ms"].as_u64().unwrap_or(0),
        };
        let endpoint = (e["endpoint"].as_str().ok_or_else(wrong)?.to_owned(), extent);
        match parts.iter_mut().find(|p| p.component == component) {
            Some(part) => part.endpoints.push(endpoint),
            None => {
                let service = Service {
                    from: e["in_service_from"].as_i64(),
                };
                parts.push(Part {
                    component,
                    combine,
                    service,
                    endpoints: vec![endpoint],
                    former: BTreeSet::new(),
                });
            }
        }
    }
    Ok(parts)
}

/// What is said not to be seen follows from the cadences that the events tell.
fn not_seen_held(
    report: &Value,
    parts: &[Part],
    connection: &Connection,
    calendar: &Calendar,
    period: Span,
) -> Result<(), Difference> {
    let failed = |e: crate::history::HistoryError| differs("events", e.to_string());
    for (k, e) in report["extents"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let name = e["endpoint"].as_str().unwrap_or_default();
        let Some((_, extent)) = parts
            .iter()
            .flat_map(|p| &p.endpoints)
            .find(|(endpoint, _)| endpoint == name)
        else {
            continue;
        };
        let follows = not_seen_below(connection, calendar, name, extent, period).map_err(failed)?;
        if e["not_seen_below_ms"] != follows {
            let why = format!(
                "{follows} follows from the events, the report says {}",
                e["not_seen_below_ms"]
            );
            return Err(differs(&format!("extents[{k}].not_seen_below_ms"), why));
        }
    }
    Ok(())
}

/// Nobody says that shorter outages were seen than the tallies allow.
fn blind_held(report: &Value, connection: &Connection) -> Result<(), Difference> {
    let failed = |e: crate::history::HistoryError| differs("tallies", e.to_string());
    let calendar = Calendar::read(connection).map_err(failed)?;
    for (k, e) in report["extents"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let name = e["endpoint"].as_str().unwrap_or_default();
        let least = longest_blind(
            connection,
            &calendar,
            name,
            &Extent::default(),
            period_of(report)?,
        )
        .map_err(failed)?;
        let said = e["longest_blind_ms"].as_u64().unwrap_or(0);
        if said < least {
            return Err(differs(
                &format!("extents[{k}].longest_blind_ms"),
                format!("{least} follows from the tallies, the report says {said}"),
            ));
        }
    }
    Ok(())
}

/// The first place where two values part, in reading order.
fn first_difference(place: &str, computed: &Value, told: &Value) -> Option<Difference> {
    match (computed, told) {
        (Value::Object(a), Value::Object(b)) => {
            let missing = b.keys().find(|k| !a.contains_key(*k)).map(|k| {
                differs(
                    &format!("{place}.{k}"),
                    "this does not follow from the events",
                )
            });
            a.iter()
                .find_map(|(k, v)| {
                    first_difference(&format!("{place}.{k}"), v, b.get(k).unwrap_or(&Value::Null))
                })
                .or(missing)
        }
        (Value::Array(a), Value::Array(b)) => {
            let inner = a
                .iter()
                .zip(b)
                .enumerate()
                .find_map(|(k, (x, y))| first_difference(&format!("{place}[{k}]"), x, y));
            inner.or_else(|| {
                (a.len() != b.len()).then(|| {
                    differs(
                        place,
                        format!(
                            "{} entries follow from the events, the report has {}",
                            a.len(),
                            b.len()
                        ),
                    )
                })
            })
        }
        _ => (computed != told).then(|| {
            differs(
                place,
                format!("{computed} follows from the events, the report says {told}"),
            )
        }),
    }
}
