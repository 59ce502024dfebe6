//! Recomputes a report offline: from its own terms, and from the events that somebody exported.
//!
//! The events are told into a history in memory by the code that wrote the real one; the timeline,
//! the evaluation and every other figure follow from it as they did for the report, and are
//! compared one by one. The signature covers the whole object as it was sent; what this version
//! does not know of it is refused.

mod extents;
mod held;
mod issued;
mod journal;
mod reach;
mod replayed;
mod settled;
mod tallies;

use serde_json::{Value, json};

use self::held::{
    blind_held, definitions_held, endpoints_held, in_force, is_period, latency_held, not_seen_held,
    parts, slots_held, vantage_of,
};
use self::issued::nothing_left_out;
use self::journal::{chain_of, first_held, parted, same_hand};
use self::reach::times_within_reach;
use self::replayed::{Replayed, failed};
use self::settled::{later_agrees, within_life};
use self::tallies::put_tallies;
use super::answer::{AnswerPeriod, ContractAnswer};
use super::build::{admitted, evaluated, of_prober, of_tenants, refused, with_terms};
use super::changed::changed;
use super::difference::{Difference, differs, first_difference};
use super::earlier;
use super::latency::{latency, latency_shown};
use super::listing::{Listing, configs};
use super::object::{
    AdmittedSpan, ContractReport, ExcludedSpan, LaterTerms, ListedOutage, RefusedWindow,
    ReportedChange, ReportedConfig, ReportedLatency, ReportedSlots, SCHEMA,
};
use super::ruling::{read as read_terms, under_present_names};
use super::sla::{answer, instant as instant_text, period_shown};
use super::terms::{self, ShownTerms};
use crate::account::figures::{Part, components};
use crate::account::recorded;
use crate::account::shown::ShownTimeline;
use crate::account::timelines::maintenance;
use crate::config::Plan;
use crate::history::checkpoint::verify_signature;
use crate::history::read_tallies::WhichTallies;
use crate::judgement::sla::calendar::{PeriodKind, current_and_previous};
use crate::judgement::sla::contract::{Contract, Contracts, Measure, Tenant};
use crate::judgement::sla::evaluate::{evaluate, evaluate_components};
use crate::judgement::sla::evaluation::NotEvaluated;
use crate::judgement::timeline::Span;
use crate::words::{Name, UtcMs, parse_utc};

/// What was recomputed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recomputed {
    /// Slots and latency as well: the export came with tallies.
    pub tallies: bool,
    /// The terms are those that events committed to.
    pub terms: bool,
    /// Events tell where the failures in a row began that were open at the end of the record.
    pub open_runs: bool,
}

/// `journal`: lines of JSON as exported. `since`: a checkpoint that left the machine earlier.
pub fn check(
    report: &Value,
    journal: &str,
    since: Option<&Value>,
) -> Result<Recomputed, Difference> {
    let report = &signed(report)?;
    let (prune_record, journal, tallies) = parted(journal)?;
    let (events, later) = chain_of(&journal, prune_record.as_ref(), report, since)?;
    times_within_reach(report, prune_record.as_ref(), &events)?;
    times_within_reach(report, None, &later)?;
    first_held(report, prune_record.as_ref())?;
    let replayed = Replayed::of(prune_record.as_ref(), (&events, &later))?;
    let issued = time(&report.issued_at, "issued_at")?;
    let calendar = replayed.reader.calendar().map_err(failed)?;
    nothing_left_out(issued, calendar, events.last(), &later)?;
    let with_tallies = !tallies.is_empty();
    if with_tallies {
        put_tallies(&replayed, &tallies, period_of(report)?)?;
    }
    if let Some(since) = since {
        same_hand("key", "the given checkpoint", report, since, &events)?;
    }
    if let Some(prune_record) = &prune_record {
        let what = "the prune record";
        same_hand("stub", what, report, &prune_record.object, &events)?;
    }
    let contracts = contracts_of(&report.terms)?;
    if !with_tallies && contracts.list.iter().any(|c| c.measure != Measure::Time) {
        return Err(differs(
            "events",
            "the contract counts single results, and those are in the tallies: export the events \
                with --tallies",
        ));
    }
    let again = recomputed(report, &contracts, &replayed)?;
    if !report.provisional && !again.complete {
        return Err(differs(
            "provisional",
            "the period is not settled, and the report says that it is",
        ));
    }
    again.is_told_by(report)?;
    latency_held(report, again.latency.as_deref())?;
    if with_tallies {
        again.is_counted_by(report)?;
    }
    slots_held(report, &again.slots)?;
    if with_tallies {
        blind_held(report, &replayed, period_of(report)?)?;
    }
    Ok(Recomputed {
        tallies: with_tallies,
        terms: report.terms_recorded_at.is_some(),
        open_runs: extents::runs_are_told(report, &replayed),
    })
}

/// The report as it was sent: of this schema, with a signature of all its content, and with no key
/// that is not known.
fn signed(report: &Value) -> Result<ContractReport, Difference> {
    match report.get("schema").and_then(Value::as_str) {
        Some(SCHEMA | earlier::SCHEMA) => {}
        Some("probity-report/1") => {
            return Err(differs(
                "schema",
                "this report was made by an earlier version (probity-report/1): verify it with \
                    that version, or issue it anew",
            ));
        }
        _ => {
            return Err(differs(
                "schema",
                "not a report of schema probity-report/3 or probity-report/2",
            ));
        }
    }
    verify_signature(report).map_err(|why| differs("signature", why))?;
    ContractReport::read(report)
        .map_err(|why| differs("report", format!("it cannot be read: {why}")))
}

/// The evaluation of the same month, quarter or year by the zone data in use here, whatever release
/// the report was computed by; `None` where the events do not give it.
pub fn evaluation_by_zones_here(report: &ContractReport, journal: &str) -> Option<ContractAnswer> {
    let (prune_record, journal, tallies) = parted(journal).ok()?;
    let (events, later) = chain_of(&journal, prune_record.as_ref(), report, None).ok()?;
    times_within_reach(report, prune_record.as_ref(), &events).ok()?;
    let replayed = Replayed::of(prune_record.as_ref(), (&events, &later)).ok()?;
    let contracts = contracts_of(&report.terms).ok()?;
    let contract = contracts.list.first()?;
    let told = period_of(report).ok()?;
    let here = match contract.period {
        PeriodKind::Rolling(_) => told,
        // Its middle lies in it by every release.
        kind => current_and_previous(kind, &contract.zone, told.from.midpoint(told.to))[0].1,
    };
    if !tallies.is_empty() {
        put_tallies(&replayed, &tallies, here).ok()?;
    }
    let mut moved = report.clone();
    moved.evaluation.period = period_shown(here);
    recomputed(&moved, &contracts, &replayed)
        .ok()
        .map(|again| again.evaluation)
}

/// The contract of terms as a report shows them.
fn contracts_of(terms: &str) -> Result<Contracts, Difference> {
    read_terms(terms).map_err(|faults| {
        differs(
            "terms",
            faults.first().map(ToString::to_string).unwrap_or_default(),
        )
    })
}

fn period_of(report: &ContractReport) -> Result<Span, Difference> {
    span_of(&report.evaluation.period, "evaluation.period")
}

fn span_of(period: &AnswerPeriod, place: &str) -> Result<Span, Difference> {
    let at = |key: &str, text: &str| time(text, &format!("{place}.{key}"));
    Ok(Span::new(
        at("start", &period.start)?,
        at("end", &period.end)?,
    ))
}

fn time(text: &str, place: &str) -> Result<UtcMs, Difference> {
    parse_utc(text).ok_or_else(|| differs(place, "this is not a valid time"))
}

/// What follows from the events of a report's figures.
struct Again {
    later_terms: Option<LaterTerms>,
    settled_until: String,
    complete: bool,
    timeline: ShownTimeline,
    evaluation: ContractAnswer,
    outages: Vec<ListedOutage>,
    refused: Vec<RefusedWindow>,
    admitted: Vec<AdmittedSpan>,
    excluded: Vec<ExcludedSpan>,
    changed: Vec<ReportedChange>,
    configs: Vec<ReportedConfig>,
    time_zone: Option<String>,
    slots: Vec<ReportedSlots>,
    latency: Option<Vec<ReportedLatency>>,
}

/// The first difference of some figures, in this order, each named as the report names it.
macro_rules! same {
    ($again:ident, $report:ident: $($key:ident),+) => {{
        $(
            let key = stringify!($key);
            let [own, said] = [json!({key: $again.$key}), json!({key: $report.$key})]
                .map(|figure| $report.in_its_names(figure));
            if let Some(difference) = first_difference(key, &own[key], &said[key]) {
                return Err(difference);
            }
        )+
        Ok(())
    }};
}

impl Again {
    fn is_told_by(&self, report: &ContractReport) -> Result<(), Difference> {
        same!(self, report: later_terms, settled_until, complete, timeline, evaluation, outages,
            refused, admitted, excluded, changed, configs, time_zone)
    }

    /// What is in the tallies.
    fn is_counted_by(&self, report: &ContractReport) -> Result<(), Difference> {
        same!(self, report: slots, latency)
    }
}

/// The later terms of a report, as their contract and the period that they judge.
type LaterPeriod = (Contracts, Span);

/// That the period is one of the contract, and that every other thing that the report says of
/// itself is what the events say.
fn consistent(
    report: &ContractReport,
    (contract, later): (&Contract, Option<&LaterPeriod>),
    replayed: &Replayed,
    parts: &[Part],
) -> Result<(), Difference> {
    let period = period_of(report)?;
    let is_changed = later.is_some_and(|(later, span)| {
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
    let issued = time(&report.issued_at, "issued_at")?;
    extents::held(report, replayed, (period, issued))?;
    within_life(report, replayed)?;
    later_agrees(report, replayed.later)?;
    let definitions = replayed.reader.definitions().map_err(failed)?;
    definitions_held(report, definitions)?;
    let shown = ShownTerms::of(report);
    if let Some(why) = terms::wrong(definitions, period, &shown) {
        return Err(differs("terms", why));
    }
    if let Some(why) = terms::salt_of_none(&shown) {
        return Err(differs("terms_salt_earlier", why));
    }
    if later.is_none() && terms::has_later(definitions, &shown) {
        return Err(differs(
            "later_terms",
            "other terms of this contract are in force by now, and the report does not say what \
                they make of the period",
        ));
    }
    let listing = Listing::new(&replayed.reader, parts, period).map_err(failed)?;
    let endpoints = listing.endpoints(&Plan::empty()).map_err(failed)?;
    endpoints_held(report, &endpoints)?;
    not_seen_held(report, parts, replayed, period)
}

fn recomputed(
    report: &ContractReport,
    contracts: &Contracts,
    replayed: &Replayed,
) -> Result<Again, Difference> {
    let reader = &replayed.reader;
    let contract = contracts
        .list
        .first()
        .ok_or_else(|| differs("terms", "no contract in them"))?;
    let period = period_of(report)?;
    let later = later_of(report)?;
    let parts = parts(report, reader.moves().map_err(failed)?)?;
    let about = (contract, later.as_ref());
    consistent(report, about, replayed, &parts)?;
    let until = match contract.measure {
        Measure::Time => up_to(report, period)?,
        // Single results reach as far as the hours that were sealed.
        Measure::Slices { .. } | Measure::MeanErrorRatio { .. } => {
            time(&report.timeline.to, "timeline.to")?
        }
    };
    let mut named = contract.components.clone();
    let own = (contract.clone(), contracts.tenants.clone());
    let (contract, tenants) = under_present_names(reader, &parts, own).map_err(failed)?;
    named.extend(contract.components.clone());
    named.extend(
        later
            .iter()
            .filter_map(|(later, _)| later.list.first())
            .flat_map(|c| c.components.clone()),
    );
    let about = (&contract, &tenants[..], &parts[..]);
    let figures = figures(report, about, replayed, (period, until))?;
    let later_terms = match &later {
        None => None,
        Some((later, span)) => later_again(report, later, *span, replayed, &parts)?,
    };
    let only = report.tenant.as_ref().map(|_| &named[..]);
    let changed = changed(reader, &parts, period, figures.reached, only).map_err(failed)?;
    let listing = Listing::new(reader, &parts, period).map_err(failed)?;
    let definitions = reader.definitions().map_err(failed)?;
    let vantage = vantage_of(report, replayed.events)?;
    let latency =
        latency(reader, &contract, &parts, period, WhichTallies::Sealed).map_err(failed)?;
    Ok(Again {
        later_terms,
        settled_until: instant_text(figures.reached),
        complete: figures.reached >= period.to,
        timeline: figures.timeline,
        evaluation: figures.evaluation,
        outages: listing.outages().map_err(failed)?,
        refused: figures.refused,
        admitted: figures.admitted,
        excluded: listing.excluded().map_err(failed)?,
        changed: with_terms(
            terms::rows(definitions, period, &ShownTerms::of(report)),
            of_prober(definitions, listing.calendar, period),
            changed,
        ),
        configs: configs(definitions, period),
        time_zone: contract.zone.iana_name().map(str::to_owned),
        slots: listing.slots(vantage).map_err(failed)?,
        latency: latency_shown(&contract, &latency),
    })
}

/// Where the kind of period was changed, earlier terms judge a period of the later ones.
fn later_of(report: &ContractReport) -> Result<Option<LaterPeriod>, Difference> {
    let Some(later) = &report.later_terms else {
        return Ok(None);
    };
    let place = "later_terms.evaluation.period";
    Ok(Some((
        contracts_of(&later.terms)?,
        span_of(later.evaluation.period(), place)?,
    )))
}

/// Of a period, what was over when the report was issued.
fn up_to(report: &ContractReport, period: Span) -> Result<UtcMs, Difference> {
    let issued = time(&report.issued_at, "issued_at")?;
    Ok(period.to.min(issued).max(period.from))
}

/// What the terms of a report make of its period.
struct ByTerms {
    reached: UtcMs,
    timeline: ShownTimeline,
    evaluation: ContractAnswer,
    refused: Vec<RefusedWindow>,
    admitted: Vec<AdmittedSpan>,
}

fn figures(
    report: &ContractReport,
    (contract, tenants, parts): (&Contract, &[Tenant], &[Part]),
    replayed: &Replayed,
    (period, until): (Span, UtcMs),
) -> Result<ByTerms, Difference> {
    let reader = &replayed.reader;
    let windows = maintenance(reader, parts, period).map_err(failed)?;
    let span = Span::new(period.from, until);
    let (reached, recorded) =
        components(reader, parts, span, WhichTallies::Sealed).map_err(failed)?;
    let timeline = ShownTimeline::of(reached, &recorded, &windows);
    let record = recorded::timeline(reached, recorded, windows);
    let unfit = |e: NotEvaluated| differs("evaluation", e.to_string());
    let each = evaluate_components(contract, tenants, &record, period).map_err(unfit)?;
    let judged = evaluate(contract, tenants, &record, period).map_err(unfit)?;
    let judged = of_tenants(judged, report.tenant.as_ref());
    Ok(ByTerms {
        reached: reached.to,
        timeline,
        evaluation: answer(contract, period, &judged, &each),
        refused: refused(&judged),
        admitted: admitted(&judged),
    })
}

fn tenant_of(report: &ContractReport) -> Option<Name> {
    report.tenant.as_deref().and_then(|n| Name::new(n).ok())
}

/// What later terms make of their period.
fn later_again(
    report: &ContractReport,
    later: &Contracts,
    span: Span,
    replayed: &Replayed,
    parts: &[Part],
) -> Result<Option<LaterTerms>, Difference> {
    let Some(shown) = &report.later_terms else {
        return Ok(None);
    };
    let contract = later
        .list
        .first()
        .ok_or_else(|| differs("later_terms.terms", "no contract in them"))?;
    let until = match contract.measure {
        Measure::Time => up_to(report, span)?,
        Measure::Slices { .. } | Measure::MeanErrorRatio { .. } => {
            time(&shown.until, "later_terms.until")?
        }
    };
    let tenant = tenant_of(report);
    let about = (contract, &later.tenants[..], tenant.as_ref());
    Ok(Some(LaterTerms {
        until: instant_text(until),
        evaluation: evaluated(&replayed.reader, parts, about, (span, until)).map_err(failed)?,
        ..shown.clone()
    }))
}
