//! The report of a contract over a period: one signed object, and what is rendered from it.
//!
//! [`build`] makes the object; [`text`], [`html`] and [`csv`] show its figures and compute none.
//! [`check`] recomputes all of it from the events.

pub mod changed;
pub mod check;
pub mod csv;
mod expected;
mod extents;
pub mod html;
mod issued;
pub mod latency;
pub mod outages;
pub mod ruling;
pub mod sla;
pub mod terms;
pub mod text;
pub mod words;

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};
use serde_json::{Value, json};

use self::changed::changed;
use self::expected::expected;
use self::latency::{latency, latency_json};
use self::outages::{Marks, outage};
use self::ruling::{is_in_force, under_present_names};
use self::sla::{answer, instant};
use self::terms::{Of, Terms, earlier_salt};
use crate::account::figures::{Part, combine_of, components, maintenance, members};
use crate::account::recorded::{Service, timeline_json, told as told_record};
use crate::config::Plan;
use crate::history::HistoryError;
use crate::history::checkpoint::TermsKey;
use crate::history::definitions::{Told, cadences, told as told_definitions};
use crate::history::lineage::Lineage;
use crate::history::makeup::Makeup;
use crate::history::past::{Which, longest_blind, not_seen_below, sealed_until, tallies};
use crate::history::prune::Stub;
use crate::history::read::{Calendar, StoredOutage, exclusions, outages};
use crate::history::tally::{tally_hours, tally_slots};
use crate::judgement::rules::Rules;
use crate::judgement::sla::contract::{Contract, Contracts, Measure, Tenant};
use crate::judgement::sla::evaluate::{Judged, NotJudged, evaluate, evaluate_components};
use crate::judgement::timeline::{Combine, Span, Spans};
use crate::judgement::zones;
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
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum NoReport {
    #[error("{0}")]
    History(#[from] HistoryError),
    #[error("{0}")]
    NotJudged(#[from] NotJudged),
    #[error("the period is settled only until {0}; wait, or ask for a provisional report")]
    NotSettled(String),
    #[error("unknown tenant `{0}` of this contract")]
    NoTenant(String),
}

/// The config in force when the period began, and those that came into force in it.
fn configs(told: &Told, period: Span) -> Vec<Value> {
    let all = &told.configs;
    let before = all
        .iter()
        .rposition(|(at, _)| *at <= period.from)
        .unwrap_or(0);
    all.iter()
        .skip(before)
        .filter(|(at, _)| *at < period.to)
        .map(|(at, sum)| json!({"from": instant(*at), "sha256": sum}))
        .collect()
}

/// The unsigned object.
pub fn build(
    connection: &Connection,
    plan: &Plan,
    parts: &[Part],
    subject: &Subject,
    now: UtcMs,
) -> Result<Value, NoReport> {
    let no_tenant = || NoReport::NoTenant(subject.tenant.map_or(String::new(), Name::to_string));
    let of = subject.of();
    let later = subject.later.map(|(contract, contracts, period)| {
        (
            Of {
                contract,
                contracts,
                tenant: subject.tenant,
            },
            period,
        )
    });
    let Terms {
        contract,
        tenants,
        text: terms,
    } = of.terms().ok_or_else(no_tenant)?;
    let raw = contract.components.clone();
    let (contract, tenants) = under_present_names(connection, parts, (contract, tenants))?;
    let mut names = contract.all_components(&tenants);
    names.extend(later.iter().filter_map(|(of, _)| of.components()).flatten());
    let mut parts: Vec<Part> = parts
        .iter()
        .filter(|p| names.contains(&p.component))
        .cloned()
        .collect();
    names.extend(raw);
    let period = subject.period;
    let told = told_definitions(connection)?;
    as_told(&told, &mut parts);
    let calendar = Calendar::read(connection)?;
    // Who had left before the period has no part in it.
    parts.iter_mut().for_each(|p| {
        p.endpoints
            .retain(|(_, e)| !e.is_gone || calendar.utc(e.watermark) > period.from)
    });
    let windows = maintenance(connection, &parts, period)?;
    let mut until = period.to.min(now).max(period.from);
    if subject.contract.measure != Measure::Time {
        // Single results are proven by the seals of their hours.
        until = until.min(sealed_until(connection, period)?);
    }
    let (reached, recorded) = components(
        connection,
        &parts,
        Span::new(period.from, until),
        Which::Sealed,
    )?;
    if reached.to < period.to && !subject.provisional {
        return Err(NoReport::NotSettled(instant(reached.to)));
    }
    let timeline = timeline_json(reached, &recorded, &windows);
    let record = told_record(reached, recorded, windows);
    let each = evaluate_components(&contract, &tenants, &record, period)?;
    let judged = evaluate(&contract, &tenants, &record, period)?;
    let judged: Vec<Judged> = judged
        .into_iter()
        .filter(|j| subject.tenant.is_none() || j.tenant.is_some())
        .collect();
    let vantage = vantage(connection)?.unwrap_or_else(|| plan.daemon.vantage.clone());
    let (salt, commitment) = (
        subject.terms_key.salt(&terms),
        subject.terms_key.commitment(&terms),
    );
    let mut report = json!({
        "schema": "probity-report/2",
        "issued_at": format_utc(now),
        "replaces": subject.replaces,
        "software": concat!("probity ", env!("CARGO_PKG_VERSION")),
        "zone_data": zones::in_use().to_json(),
        "vantages": [vantage],
        "provisional": subject.provisional,
        "complete": reached.to >= period.to,
        "settled_until": instant(reached.to),
        "tenant": subject.tenant.map(Name::as_str),
        "time_zone": contract.zone.iana_name(),
        "terms": terms,
        "terms_salt": salt,
        "terms_salt_earlier": earlier_salt(subject.terms_key, &terms),
        "terms_recorded_at": told.on_record(&commitment),
        "terms_before": terms::before_tenants(subject.terms_key, subject.before.as_deref()),
        "later_terms": later.map(|(of, period)| later_terms(connection, &parts, (subject, &told), &of, (period, now))).transpose()?,
        "configs": configs(&told, period),
        "evaluation": answer(&contract, period, &judged, &each),
        "latency": latency_json(&contract, &latency(connection, &contract, &parts, period, Which::Sealed)?),
        "refused": refused(&judged),
        "admitted": admitted(&judged),
        "endpoints": endpoints(connection, plan, &parts, period)?,
        "slots": slots(connection, &parts, &vantage, period)?,
        "extents": extents_of(connection, &parts, period)?,
        "outages": listed(connection, &parts, period)?,
        "excluded": excluded(connection, &parts, period)?,
        "changed": changed(connection, &parts, period, reached.to, subject.tenant.map(|_| &names[..]))?,
        "timeline": timeline,
        "events": events(connection)?,
    });
    report["changed"] = with_terms(
        report["changed"].take(),
        terms::rows(&told, period, &report)
            .into_iter()
            .chain(terms::clock_rows(&calendar, period)),
    );
    Ok(report)
}

/// What changed, with what is to be told of the terms and the clock at its head.
fn with_terms(changed: Value, terms: impl Iterator<Item = Value>) -> Value {
    terms
        .chain(changed.as_array().into_iter().flatten().cloned())
        .collect()
}

/// Terms that came into force later, with what they would make of the period.
fn later_terms(
    connection: &Connection,
    parts: &[Part],
    (subject, told): (&Subject, &Told),
    of: &Of,
    (period, now): (Span, UtcMs),
) -> Result<Value, NoReport> {
    let Some(Terms {
        contract,
        tenants,
        text,
    }) = of.terms()
    else {
        return Ok(Value::Null);
    };
    let (salt, commitment) = (
        subject.terms_key.salt(&text),
        subject.terms_key.commitment(&text),
    );
    let mut until = period.to.min(now).max(period.from);
    if contract.measure != Measure::Time {
        until = until.min(sealed_until(connection, period)?);
    }
    let evaluation = evaluated(
        connection,
        parts,
        (&contract, &tenants, subject.tenant),
        (period, until),
    )?;
    Ok(json!({
        "terms": text, "terms_salt": salt, "terms_recorded_at": told.on_record(&commitment), "until": instant(until), "evaluation": evaluation,
    }))
}

/// What terms make of a period, beside those that a report is about; why they give no answer, where
/// they give none.
fn evaluated(
    connection: &Connection,
    parts: &[Part],
    (contract, tenants, tenant): (&Contract, &[Tenant], Option<&Name>),
    (period, until): (Span, UtcMs),
) -> Result<Value, HistoryError> {
    let windows = maintenance(connection, parts, period)?;
    let (reached, recorded) = components(
        connection,
        parts,
        Span::new(period.from, until),
        Which::Sealed,
    )?;
    let record = told_record(reached, recorded, windows);
    let judged = is_in_force(contract, period)
        .and_then(|()| evaluate(contract, tenants, &record, period))
        .and_then(|list| {
            Ok((
                list,
                evaluate_components(contract, tenants, &record, period)?,
            ))
        });
    Ok(match judged {
        Ok((mut list, each)) => {
            list.retain(|j| tenant.is_none() || j.tenant.is_some());
            answer(contract, period, &list, &each)
        }
        Err(why) => {
            json!({"period": {"start": instant(period.from), "end": instant(period.to)}, "why": why.to_string(), "results": []})
        }
    })
}

fn refused(judged: &[Judged]) -> Vec<Value> {
    let mut list: Vec<Value> = judged
        .iter()
        .flat_map(|j| &j.windows.refused)
        .map(|r| json!({"id": r.id, "from": instant(r.span.from), "to": instant(r.span.to), "refused_ms": r.refused_ms, "why": r.why}))
        .collect();
    list.dedup();
    list
}

/// What is admitted of each component, whether it leaves a hole in what several are together or
/// not.
fn admitted(judged: &[Judged]) -> Vec<Value> {
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
    list.iter().map(|(s, component)| json!({"component": component, "from": instant(s.from), "to": instant(s.to)})).collect()
}

/// Components as the daemon has them: a config that was edited since, or none at hand, is not what
/// was in force.
fn as_told(told: &Told, parts: &mut [Part]) {
    if told.configs.is_empty() {
        return;
    }
    for part in parts {
        let known = told.components.get(part.component.as_str());
        part.combine = known.map_or(Combine::Series, |c| c.combine);
        part.service = Service {
            from: known.and_then(|c| c.in_service_from),
        };
    }
}

/// The place that the daemon measured from, as it said at its last start.
fn vantage(connection: &Connection) -> Result<Option<String>, HistoryError> {
    let sql = "SELECT json_extract(body, '$.vantage') FROM event WHERE kind = 'daemon_started' \
        ORDER BY seq DESC LIMIT 1";
    Ok(connection
        .query_row(sql, [], |r| r.get(0))
        .optional()?
        .flatten())
}

/// How each endpoint was probed, as the events tell it, with every cadence that was in force in the
/// period; where they do not tell, as the config has it.
fn endpoints(
    connection: &Connection,
    plan: &Plan,
    parts: &[Part],
    period: Span,
) -> Result<Vec<Value>, HistoryError> {
    let calendar = Calendar::read(connection)?;
    let mut list = Vec::new();
    for (part, name) in parts
        .iter()
        .flat_map(|p| p.endpoints.iter().map(move |(name, _)| (p, name)))
        .filter(|(p, name)| !p.former.contains(*name))
    {
        let configured = plan.endpoints.iter().find(|e| e.name.as_str() == name);
        // Another name is no other cadence.
        let mut told = cadences(connection, name)?;
        told.dedup_by(|later, first| later.2 == first.2);
        let until = |k: usize| {
            told.get(k + 1)
                .map_or(i64::MAX / 4, |(at, ..)| calendar.utc(*at))
        };
        let in_force = told
            .iter()
            .enumerate()
            .filter(|(k, (from, ..))| calendar.utc(*from) < period.to && until(*k) > period.from);
        let each: Vec<Value> = in_force
            .map(|(_, (from, _, cadence))| {
                let mut value = cadence_json(&Rules::new(*cadence));
                value["from"] = json!(instant(calendar.utc(*from)));
                value
            })
            .collect();
        let rules = told
            .last()
            .map(|(.., cadence)| Rules::new(*cadence))
            .or(configured.map(|e| e.rules));
        let mut value = rules.as_ref().map_or_else(|| json!({}), cadence_json);
        (value["name"], value["component"], value["cadences"]) =
            (json!(name), json!(part.component.as_str()), json!(each));
        value["kind"] = json!(configured.map(|e| e.probe.kind().as_str()));
        list.push(value);
    }
    Ok(list)
}

fn cadence_json(rules: &Rules) -> Value {
    let c = &rules.cadence;
    json!({
        "interval_ms": c.interval, "timeout_ms": c.timeout, "retry_interval_ms": c.retry_interval, "down_after": c.down_after, "up_after": c.up_after,
        "detection_bound_ms": rules.detection_bound(),
    })
}

/// The schedule's slots in the sealed hours that touch the period, by endpoint and result.
fn slots(
    connection: &Connection,
    parts: &[Part],
    vantage: &str,
    period: Span,
) -> Result<Vec<Value>, HistoryError> {
    let calendar = Calendar::read(connection)?;
    let mut list = Vec::new();
    for (name, extent) in parts.iter().flat_map(|p| &p.endpoints) {
        let mut sum = [0_u64; 5];
        let mut hours = 0_u64;
        for tally in tallies(connection, name, period, Which::Sealed)? {
            let Some(slots) = tally_slots(&tally.body) else {
                continue;
            };
            let own = [
                slots.success,
                slots.failure,
                slots.unconfirmed,
                slots.unmeasured,
                slots.missed,
            ];
            sum.iter_mut()
                .zip(own)
                .for_each(|(all, n)| *all = n.saturating_add(*all));
            hours = tally_hours(&tally.body).saturating_add(hours);
        }
        let [success, failure, unconfirmed, unmeasured, missed] = sum;
        let of = |counts: &[u64]| counts.iter().fold(0, |all: u64, n| all.saturating_add(*n));
        let counted = of(&sum);
        // What is decided just after an hour's end is counted in the next one.
        let due = expected(connection, &calendar, vantage, (name, extent), period)?;
        list.push(json!({
            "endpoint": name, "hours": hours, "expected": due, "counted": counted, "not_run": due.map(|due| due.saturating_sub(counted)), "probed": of(&[success, failure, unconfirmed]), "success": success, "failure": failure,
            "unconfirmed": unconfirmed, "unmeasured": unmeasured, "missed": missed,
        }));
    }
    Ok(list)
}

/// How far each endpoint's record reaches: what the events alone do not say of the present.
fn extents_of(
    connection: &Connection,
    parts: &[Part],
    period: Span,
) -> Result<Vec<Value>, HistoryError> {
    let calendar = Calendar::read(connection)?;
    parts
        .iter()
        .flat_map(|p| p.endpoints.iter().map(move |(name, e)| (p, name, e)))
        .map(|(p, name, e)| {
            Ok(json!({
                "endpoint": name, "component": p.component.as_str(), "combine": combine_text(p.combine), "in_service_from": p.service.from,
                "first_start_ms": e.first_start, "watermark_ms": e.watermark,
                "open_unknown": e.open_unknown.map(|(from, why)| json!({"from_ms": from, "reason": why.as_str()})),
                "open_run": e.open_run.map(|(a, b)| json!([a, b])), "gone": e.is_gone,
                "longest_blind_ms": longest_blind(connection, &calendar, name, e, period)?,
                "not_seen_below_ms": not_seen_below(connection, &calendar, name, e, period)?,
            }))
        })
        .collect()
}

pub fn combine_text(combine: Combine) -> Value {
    match combine {
        Combine::Series => json!("series"),
        Combine::Parallel => json!("parallel"),
        Combine::AtLeast(n) => json!({"at_least": n}),
    }
}

/// Every outage of the endpoints that touches the period, with its bounds and its cause; of an
/// endpoint that moved, those of the time in which it belonged to the component.
fn listed(
    connection: &Connection,
    parts: &[Part],
    period: Span,
) -> Result<Vec<Value>, HistoryError> {
    let calendar = Calendar::read(connection)?;
    let makeup = Makeup::read(connection, &calendar)?;
    let (mut list, mut marks) = (Vec::new(), Marks::default());
    for part in parts {
        let (component, members) = (part.component.as_str(), members(&calendar, part));
        let lineage = Lineage::of(connection, &makeup, component, &members)?;
        for member in &members {
            let outside = lineage.outside(&makeup, member, component);
            let utc = |at: u64| calendar.utc(at);
            let is_of_it = |o: &StoredOutage| {
                let whole = Span::new(
                    utc(o.from),
                    o.to.map_or(i64::MAX / 4, utc).max(utc(o.from) + 1),
                );
                utc(o.from_earliest) < period.to
                    && Spans::new(vec![whole]).minus(&outside).length() > 0
            };
            for o in outages(connection, &calendar, Some(&member.0), period.from, 100_000)?
                .iter()
                .filter(|o| is_of_it(o))
            {
                let mut value = outage(connection, o, &calendar, &mut marks)?;
                value["component"] = json!(component);
                // The ends that are surely inside the outage are those of its first and of its last
                // failing probe.
                value["first_failure_ended"] = value["from_latest"].clone();
                value["last_failure_started"] = value["to_earliest"].clone();
                list.push(value);
            }
        }
    }
    list.sort_by_key(|o| o["seq"].as_u64());
    Ok(list)
}

fn excluded(
    connection: &Connection,
    parts: &[Part],
    period: Span,
) -> Result<Vec<Value>, HistoryError> {
    let calendar = Calendar::read(connection)?;
    let mut list = Vec::new();
    for part in parts {
        for (name, _) in &part.endpoints {
            let own = exclusions(connection, &calendar, name, part.component.as_str())?;
            for e in own {
                let Some(span) = e.span.cut(period) else {
                    continue;
                };
                list.push(json!({"endpoint": name, "from": instant(span.from), "to": instant(span.to), "event": e.seq, "by": e.by, "reason": e.reason}));
            }
        }
    }
    Ok(list)
}

/// The events that the report rests on, and the newest checkpoint over them.
fn events(connection: &Connection) -> Result<Value, HistoryError> {
    let (seq, hash): (i64, Vec<u8>) = connection.query_row(
        "SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1",
        [],
        |r| Ok((r.get(0)?, r.get(1)?)),
    )?;
    let checkpoint = crate::history::read::newest_checkpoint(connection)?
        .and_then(|body| serde_json::from_str::<Value>(&body).ok());
    let first = Stub::read(connection)?.map_or(1, |stub| stub.last + 1);
    Ok(
        json!({"first": first, "last": seq, "head": crate::history::chain::hex(&hash), "checkpoint": checkpoint}),
    )
}
