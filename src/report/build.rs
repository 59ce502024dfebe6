//! Builds the report of a contract over a period.

use std::collections::BTreeMap;

use super::changed::changed;
use super::latency::{latency, latency_shown};
use super::listing::{Listing, configs};
use super::object::{
    AdmittedSpan, ContractReport, LaterEvaluation, LaterTerms, RefusedWindow, ReportedChange,
    ReportedZones, SCHEMA,
};
use super::prober;
use super::ruling::{is_in_force, under_present_names};
use super::sla::{answer, instant, period_shown};
use super::terms::{self, Of, Terms};
use crate::account::figures::{Part, components};
use crate::account::recorded::{ServiceStart, timeline};
use crate::account::shown::ShownTimeline;
use crate::account::timelines::maintenance;
use crate::config::Plan;
use crate::history::HistoryError;
use crate::history::calendar::Calendar;
use crate::history::checkpoint::TermsKey;
use crate::history::definitions::RecordedDefinitions;
use crate::history::read_tallies::WhichTallies;
use crate::history::reader::HistoryReader;
use crate::judgement::sla::contract::{Contract, Contracts, Measure, Tenant};
use crate::judgement::sla::evaluate::{evaluate, evaluate_components};
use crate::judgement::sla::evaluation::{Evaluation, NotEvaluated};
use crate::judgement::sla::record::Timeline;
use crate::judgement::timeline::{Combine, Span, Spans};
use crate::words::{Name, UtcMs, format_utc};

/// What a report is about.
pub struct Subject<'s> {
    pub contract: &'s Contract,
    pub contracts: &'s Contracts,
    pub period: Span,
    /// Only this tenant, and nothing of anybody else's.
    pub tenant: Option<&'s Name>,
    pub provisional: bool,
    /// The identity of the report that this one replaces.
    pub replaces: Option<String>,
    /// Of whoever signs: tells the salt that the terms were committed to with.
    pub terms_key: &'s TermsKey,
    /// Terms that came into force after those of the report, with their own period.
    pub later: Option<(&'s Contract, &'s Contracts, Span)>,
    /// The text of the terms before tenants were added, where that was on record first.
    pub before: Option<String>,
}

impl Subject<'_> {
    fn of(&self) -> Of<'_> {
        Of {
            contract: self.contract,
            contracts: self.contracts,
            tenant: self.tenant,
        }
    }

    fn later(&self) -> Option<(Of<'_>, Span)> {
        let (contract, contracts, period) = self.later?;
        Some((
            Of {
                contract,
                contracts,
                tenant: self.tenant,
            },
            period,
        ))
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum NoReport {
    #[error("{0}")]
    History(#[from] HistoryError),
    #[error("{0}")]
    NotEvaluated(#[from] NotEvaluated),
    #[error("the period is settled only until {0}; wait, or ask for a provisional report")]
    NotSettled(String),
    #[error("unknown tenant `{0}` of this contract")]
    NoTenant(String),
}

/// The components that a report speaks of, and its contract as they are called now.
struct Meant {
    contract: Contract,
    tenants: Vec<Tenant>,
    parts: Vec<Part>,
    /// Under their names of then and of now.
    names: Vec<Name>,
}

/// What is recorded of them.
struct Observed {
    reached: Span,
    timeline: ShownTimeline,
    record: Timeline,
}

/// The unsigned report.
pub fn build(
    reader: &HistoryReader,
    plan: &Plan,
    parts: &[Part],
    subject: &Subject,
    now: UtcMs,
) -> Result<ContractReport, NoReport> {
    let no_tenant = || NoReport::NoTenant(subject.tenant.map_or(String::new(), Name::to_string));
    let (period, key) = (subject.period, subject.terms_key);
    let own = subject.of().terms().ok_or_else(no_tenant)?;
    let terms = own.text.clone();
    let definitions = reader.definitions()?;
    let calendar = reader.calendar()?;
    let m = meant(reader, parts, subject, own)?;
    let parts = present(definitions, calendar, period, m.parts);
    let listing = Listing::new(reader, &parts, period)?;
    let seen = observed(reader, &parts, subject, now)?;
    let reached = seen.reached;
    let each = evaluate_components(&m.contract, &m.tenants, &seen.record, period)?;
    let judged = evaluate(&m.contract, &m.tenants, &seen.record, period)?;
    let judged = of_tenants(judged, subject.tenant);
    let latency = latency(reader, &m.contract, &parts, period, WhichTallies::Sealed)?;
    let vantage = reader
        .vantage()?
        .unwrap_or_else(|| plan.daemon.vantage.clone());
    let later = later_terms(reader, &parts, (subject, definitions), now)?;
    let later_at = later.as_ref().and_then(|l| l.terms_recorded_at.clone());
    let text = (terms, subject.before.as_deref());
    let shown = terms::shown(definitions, key, text, later_at);
    let only = subject.tenant.map(|_| &m.names[..]);
    let changed = with_terms(
        terms::rows(definitions, period, &shown),
        of_prober(definitions, calendar, period),
        changed(reader, &parts, period, reached.to, only)?,
    );
    Ok(ContractReport {
        schema: SCHEMA.to_owned(),
        issued_at: format_utc(now),
        replaces: subject.replaces.clone(),
        software: concat!("probity ", env!("CARGO_PKG_VERSION")).to_owned(),
        zone_data: Some(ReportedZones::in_use()),
        provisional: subject.provisional,
        complete: reached.to >= period.to,
        settled_until: instant(reached.to),
        tenant: subject.tenant.map(Name::to_string),
        time_zone: m.contract.zone.iana_name().map(str::to_owned),
        terms: shown.terms,
        terms_salt: shown.salt,
        terms_salt_earlier: shown.salt_earlier,
        terms_recorded_at: shown.recorded_at,
        terms_before: shown.before,
        later_terms: later,
        configs: configs(definitions, period),
        evaluation: answer(&m.contract, period, &judged, &each),
        latency: latency_shown(&m.contract, &latency),
        refused: refused(&judged),
        admitted: admitted(&judged),
        endpoints: listing.endpoints(plan)?,
        slots: listing.slots(&vantage)?,
        vantages: vec![vantage],
        extents: listing.extents()?,
        outages: listing.outages()?,
        excluded: listing.excluded()?,
        changed,
        timeline: seen.timeline,
        events: listing.events()?,
        key: None,
        signature: None,
    })
}

/// The terms under the names of now, with the components that they and later ones name.
fn meant(
    reader: &HistoryReader,
    parts: &[Part],
    subject: &Subject,
    own: Terms,
) -> Result<Meant, HistoryError> {
    let raw = own.contract.components.clone();
    let own = (own.contract, own.tenants);
    let (contract, tenants) = under_present_names(reader, parts, own)?;
    let mut names = contract.all_components(&tenants);
    let later = subject.later();
    names.extend(later.iter().filter_map(|(of, _)| of.components()).flatten());
    let parts = parts
        .iter()
        .filter(|p| names.contains(&p.component))
        .cloned()
        .collect();
    names.extend(raw);
    Ok(Meant {
        contract,
        tenants,
        parts,
        names,
    })
}

/// The components as the daemon has them, without who had left before the period.
fn present(
    definitions: &RecordedDefinitions,
    calendar: &Calendar,
    period: Span,
    mut parts: Vec<Part>,
) -> Vec<Part> {
    as_recorded(definitions, &mut parts);
    parts.iter_mut().for_each(|p| {
        p.endpoints
            .retain(|(_, e)| !e.is_gone || calendar.utc(e.watermark) > period.from)
    });
    parts
}

/// What is recorded of the period as far as it is settled: to its end, unless a provisional report
/// is asked for.
fn observed(
    reader: &HistoryReader,
    parts: &[Part],
    subject: &Subject,
    now: UtcMs,
) -> Result<Observed, NoReport> {
    let period = subject.period;
    let windows = maintenance(reader, parts, period)?;
    let until = settled(reader, subject.contract, period, now)?;
    let (reached, recorded) = components(
        reader,
        parts,
        Span::new(period.from, until),
        WhichTallies::Sealed,
    )?;
    if reached.to < period.to && !subject.provisional {
        return Err(NoReport::NotSettled(instant(reached.to)));
    }
    Ok(Observed {
        reached,
        timeline: ShownTimeline::of(reached, &recorded, &windows),
        record: timeline(reached, recorded, windows),
    })
}

/// How far a period is to be looked at: single results are proven by the seals of their hours.
fn settled(
    reader: &HistoryReader,
    contract: &Contract,
    period: Span,
    now: UtcMs,
) -> Result<UtcMs, HistoryError> {
    let until = period.to.min(now).max(period.from);
    Ok(if contract.measure == Measure::Time {
        until
    } else {
        until.min(reader.sealed_until(period)?)
    })
}

/// Of a tenant's report, what is about tenants.
pub(crate) fn of_tenants<N>(mut judged: Vec<Evaluation>, tenant: Option<N>) -> Vec<Evaluation> {
    judged.retain(|j| tenant.is_none() || j.tenant.is_some());
    judged
}

/// What is to be told of the clock, and of the prober's own witnesses and limits.
pub(crate) fn of_prober(
    definitions: &RecordedDefinitions,
    calendar: &Calendar,
    period: Span,
) -> impl Iterator<Item = ReportedChange> {
    let of_clock: Vec<_> = terms::clock_rows(calendar, period).collect();
    of_clock
        .into_iter()
        .chain(prober::rows(definitions, period))
}

/// What changed, with what is to be told of the terms and the prober at its head.
pub(crate) fn with_terms(
    of_terms: Vec<ReportedChange>,
    of_prober: impl Iterator<Item = ReportedChange>,
    changed: Vec<ReportedChange>,
) -> Vec<ReportedChange> {
    of_terms
        .into_iter()
        .chain(of_prober)
        .chain(changed)
        .collect()
}

/// Terms that came into force later, with what they would make of the period.
fn later_terms(
    reader: &HistoryReader,
    parts: &[Part],
    (subject, definitions): (&Subject, &RecordedDefinitions),
    now: UtcMs,
) -> Result<Option<LaterTerms>, NoReport> {
    let Some((of, period)) = subject.later() else {
        return Ok(None);
    };
    let Some(Terms {
        contract,
        tenants,
        text,
    }) = of.terms()
    else {
        return Ok(None);
    };
    let key = subject.terms_key;
    let until = settled(reader, &contract, period, now)?;
    let evaluation = evaluated(
        reader,
        parts,
        (&contract, &tenants, subject.tenant),
        (period, until),
    )?;
    Ok(Some(LaterTerms {
        terms_salt: key.salt(&text),
        terms_recorded_at: terms::recorded_at(definitions, key, &text),
        terms: text,
        until: instant(until),
        evaluation,
    }))
}

/// What terms make of a period, beside those that a report is about; why they give no answer, where
/// they give none.
pub(crate) fn evaluated(
    reader: &HistoryReader,
    parts: &[Part],
    (contract, tenants, tenant): (&Contract, &[Tenant], Option<&Name>),
    (period, until): (Span, UtcMs),
) -> Result<LaterEvaluation, HistoryError> {
    let windows = maintenance(reader, parts, period)?;
    let (reached, recorded) = components(
        reader,
        parts,
        Span::new(period.from, until),
        WhichTallies::Sealed,
    )?;
    let record = timeline(reached, recorded, windows);
    let judged = is_in_force(contract, period)
        .and_then(|()| evaluate(contract, tenants, &record, period))
        .and_then(|list| {
            Ok((
                list,
                evaluate_components(contract, tenants, &record, period)?,
            ))
        });
    Ok(match judged {
        Ok((list, each)) => {
            let list = of_tenants(list, tenant);
            LaterEvaluation::Answer(Box::new(answer(contract, period, &list, &each)))
        }
        Err(why) => LaterEvaluation::unjudged(period_shown(period), why.to_string()),
    })
}

pub(crate) fn refused(judged: &[Evaluation]) -> Vec<RefusedWindow> {
    let mut list: Vec<RefusedWindow> = judged
        .iter()
        .flat_map(|j| &j.windows.refused)
        .map(|r| RefusedWindow {
            id: r.id.clone(),
            from: instant(r.span.from),
            to: instant(r.span.to),
            refused_ms: r.refused_ms,
            why: r.why.to_owned(),
        })
        .collect();
    list.dedup();
    list
}

/// What is admitted of each component, whether it leaves a hole in what several are together or
/// not.
pub(crate) fn admitted(judged: &[Evaluation]) -> Vec<AdmittedSpan> {
    let mut all: BTreeMap<&str, Spans> = BTreeMap::new();
    for (component, spans) in judged.iter().flat_map(|j| &j.windows.by_component) {
        let known = all.entry(component).or_default();
        *known = known.union(spans);
    }
    let spans = all
        .iter()
        .flat_map(|(component, spans)| spans.as_slice().iter().map(move |s| (s, component)));
    let mut list: Vec<_> = spans.collect();
    list.sort_by_key(|(s, component)| (s.from, s.to, **component));
    list.iter()
        .map(|(s, component)| AdmittedSpan {
            component: (**component).to_owned(),
            from: instant(s.from),
            to: instant(s.to),
        })
        .collect()
}

/// Components as the daemon has them: a config that was edited since, or none at hand, is not what
/// was in force.
fn as_recorded(definitions: &RecordedDefinitions, parts: &mut [Part]) {
    if definitions.configs.is_empty() {
        return;
    }
    for part in parts {
        let known = definitions.components.get(part.component.as_str());
        part.combine = known.map_or(Combine::Series, |c| c.combine);
        part.service = ServiceStart {
            from: known.and_then(|c| c.in_service_from),
        };
    }
}
