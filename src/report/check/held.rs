//! What a report says of itself, held against the events: its terms, how endpoints were probed, how
//! many slots were due, and what its probes could not see.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::replayed::{Replayed, failed};
use crate::account::figures::Part;
use crate::account::recorded::ServiceStart;
use crate::history::HistoryError;
use crate::history::checkpoint::commitment;
use crate::history::component_history::Moves;
use crate::history::definitions::RecordedDefinitions;
use crate::history::event::{Combined, ComponentDefinition, Event, recorded};
use crate::history::read::Extent;
use crate::judgement::sla::calendar::{PeriodKind, current_and_previous, day_of};
use crate::judgement::sla::contract::Contract;
use crate::judgement::timeline::Span;
use crate::report::difference::{Difference, differs, first_difference};
use crate::report::object::{
    ContractReport, ReportedEndpoint, ReportedExtent, ReportedLatency, ReportedSlots,
};
use crate::report::terms::{SUPERSEDED, is_salt};
use crate::words::{Name, Reason};

pub(crate) fn is_period(contract: &Contract, span: Span) -> bool {
    match contract.period {
        PeriodKind::Rolling(length) => span.length() == length,
        kind => current_and_previous(kind, &contract.zone, span.from)[0].1 == span,
    }
}

/// The terms are in force when the period begins.
pub(crate) fn in_force(
    report: &ContractReport,
    contract: &Contract,
    period: Span,
) -> Result<(), Difference> {
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
    let later: Option<jiff::civil::Date> = report
        .terms
        .lines()
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
pub(crate) fn vantage_of<'r>(
    report: &'r ContractReport,
    events: &[Map<String, Value>],
) -> Result<&'r str, Difference> {
    let [said] = &report.vantages[..] else {
        return Err(differs("vantages", "a daemon measures from one place"));
    };
    let starts = recorded(events).filter_map(|e| match e.event {
        Event::DaemonStarted(start) => start.vantage,
        _ => None,
    });
    match starts.last() {
        Some(recorded) if recorded != *said => Err(differs(
            "vantages",
            format!("the daemon of these events measured from {recorded}, the report says {said}"),
        )),
        _ => Ok(said),
    }
}

/// Terms and components are what the events committed to.
pub(crate) fn definitions_held(
    report: &ContractReport,
    definitions: &RecordedDefinitions,
) -> Result<(), Difference> {
    let own = (&report.terms, &report.terms_salt, &report.terms_recorded_at);
    terms_held("", own, definitions)?;
    if let Some(l) = &report.later_terms {
        let later = (&l.terms, &l.terms_salt, &l.terms_recorded_at);
        terms_held("later_terms.", later, definitions)?;
    }
    if definitions.configs.is_empty() {
        // Written by a version that told nothing of components.
        return Ok(());
    }
    report
        .extents
        .iter()
        .enumerate()
        .try_for_each(|(k, e)| component_held(k, e, definitions))
}

fn terms_held(
    place: &str,
    (terms, salt, said): (&String, &String, &Option<String>),
    definitions: &RecordedDefinitions,
) -> Result<(), Difference> {
    let recorded = definitions
        .on_record(&commitment(salt, terms))
        .filter(|_| is_salt(salt));
    if said.as_ref() == recorded {
        return Ok(());
    }
    let why = match recorded {
        Some(at) => format!("these terms are on record since {at}"),
        None => "no event commits to these terms".to_owned(),
    };
    Err(differs(
        &format!("{place}terms_recorded_at"),
        format!("{why}, the report says {}", json!(said)),
    ))
}

/// An extent says of its component what the events say.
fn component_held(
    k: usize,
    e: &ReportedExtent,
    definitions: &RecordedDefinitions,
) -> Result<(), Difference> {
    let known = definitions.components.get(&e.component);
    let known = known.unwrap_or(&ComponentDefinition::UNDECLARED);
    for (key, is, said) in [
        (
            "combine",
            json!(Combined::from(known.combine)),
            json!(e.combine),
        ),
        (
            "in_service_from",
            json!(known.in_service_from),
            json!(e.in_service_from),
        ),
    ] {
        if said != is {
            return Err(differs(
                &format!("extents[{k}].{key}"),
                format!("{is} by the events, the report says {said}"),
            ));
        }
    }
    Ok(())
}

/// How endpoints were probed, and when, is what the events tell; none is left out.
pub(crate) fn endpoints_held(
    report: &ContractReport,
    expected: &[ReportedEndpoint],
) -> Result<(), Difference> {
    let names = |list: &[ReportedEndpoint]| list.iter().map(|e| e.name.clone()).collect::<Vec<_>>();
    same_list("endpoints", &names(expected), &names(&report.endpoints))?;
    for (k, (own, said)) in expected.iter().zip(&report.endpoints).enumerate() {
        // What kind of probe it is, and the cadence of a history that does not tell it, is in no
        // event.
        let (own, said) = (json!(own), json!(said));
        for (key, is) in own
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| *key != "kind")
        {
            let said = said.get(key).unwrap_or(&Value::Null);
            let place = format!("endpoints[{k}].{key}");
            if let Some(difference) = first_difference(&place, is, said) {
                return Err(difference);
            }
        }
    }
    Ok(())
}

/// The slots that were due follow from the events alone.
pub(crate) fn slots_held(
    report: &ContractReport,
    again: &[ReportedSlots],
) -> Result<(), Difference> {
    let names =
        |list: &[ReportedSlots]| list.iter().map(|s| s.endpoint.clone()).collect::<Vec<_>>();
    same_list("slots", &names(again), &names(&report.slots))?;
    for (k, (own, said)) in again.iter().zip(&report.slots).enumerate() {
        if own.expected != said.expected {
            return Err(differs(
                &format!("slots[{k}].expected"),
                format!(
                    "{} follows from the events, the report says {}",
                    json!(own.expected),
                    json!(said.expected)
                ),
            ));
        }
    }
    Ok(())
}

/// What latency is held against follows from the terms; how many probes there were is in the
/// tallies.
pub(crate) fn latency_held(
    report: &ContractReport,
    again: Option<&[ReportedLatency]>,
) -> Result<(), Difference> {
    let by_terms = |row: &ReportedLatency| {
        json!({"component": row.component, "within_ms": row.within_ms,
            "objective_percent": row.objective_percent,
            "resolution_percent": row.resolution_percent})
    };
    let of = |rows: Option<&[ReportedLatency]>| {
        json!(rows.map(|rows| rows.iter().map(by_terms).collect::<Vec<_>>()))
    };
    first_difference("latency", &of(again), &of(report.latency.as_deref())).map_or(Ok(()), Err)
}

/// Two lists about the same, in the same order.
fn same_list(place: &str, own: &[String], said: &[String]) -> Result<(), Difference> {
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

/// The components of a report with their endpoints, as its extents have them.
pub(crate) fn parts(report: &ContractReport, moves: &Moves) -> Result<Vec<Part>, Difference> {
    let mut parts: Vec<Part> = Vec::new();
    for (k, e) in report.extents.iter().enumerate() {
        let component = Name::new(&e.component)
            .map_err(|_| differs(&format!("extents[{k}]"), "cannot be read"))?;
        let open = e.open_unknown.as_ref();
        let extent = Extent {
            first_start: e.first_start_ms,
            watermark: e.watermark_ms,
            open_unknown: open.and_then(|u| Some((u.from_ms, Reason::parse(&u.reason)?))),
            open_run: e.open_run,
            is_gone: e.gone,
            longest_blind: 0,
            blind_lately: 0,
            not_seen_below: e.not_seen_below_ms,
        };
        let endpoint = (e.endpoint.clone(), extent);
        match parts.iter_mut().find(|p| p.component == component) {
            Some(part) => part.endpoints.push(endpoint),
            None => parts.push(Part {
                component,
                combine: e.combine.into(),
                service: ServiceStart {
                    from: e.in_service_from,
                },
                endpoints: vec![endpoint],
                former: BTreeSet::new(),
            }),
        }
    }
    for part in &mut parts {
        // Who belongs to another component now.
        let is_former = |name: &String| {
            moves
                .outside(name, part.component.as_str())
                .as_slice()
                .last()
                .is_some_and(|s| s.to >= i64::MAX / 4)
        };
        let names = part.endpoints.iter().map(|(name, _)| name);
        part.former = names.filter(|name| is_former(name)).cloned().collect();
    }
    Ok(parts)
}

/// What is said not to be seen follows from the cadences that the events tell.
pub(crate) fn not_seen_held(
    report: &ContractReport,
    parts: &[Part],
    replayed: &Replayed,
    period: Span,
) -> Result<(), Difference> {
    for (k, e) in report.extents.iter().enumerate() {
        let Some((_, extent)) = parts
            .iter()
            .flat_map(|p| &p.endpoints)
            .find(|(endpoint, _)| *endpoint == e.endpoint)
        else {
            continue;
        };
        let follows = replayed.reader.not_seen_below(&e.endpoint, extent, period);
        let follows = follows.map_err(failed)?;
        if e.not_seen_below_ms != follows {
            let why = format!(
                "{follows} follows from the events, the report says {}",
                e.not_seen_below_ms
            );
            return Err(differs(&format!("extents[{k}].not_seen_below_ms"), why));
        }
    }
    Ok(())
}

/// Nobody says that shorter outages were seen than the tallies allow.
pub(crate) fn blind_held(
    report: &ContractReport,
    replayed: &Replayed,
    period: Span,
) -> Result<(), Difference> {
    let failed = |e: HistoryError| differs("tallies", e.to_string());
    for (k, e) in report.extents.iter().enumerate() {
        let none = Extent::default();
        let least = replayed.reader.longest_blind(&e.endpoint, &none, period);
        let least = least.map_err(failed)?;
        let said = e.longest_blind_ms;
        if said < least {
            return Err(differs(
                &format!("extents[{k}].longest_blind_ms"),
                format!("{least} follows from the tallies, the report says {said}"),
            ));
        }
    }
    Ok(())
}
