//! `probity-sla/2`: the answer of a contract, the one object that reports, API and metrics render.

use super::answer::{
    AnswerCredit, AnswerOutage, AnswerOutageSummary, AnswerPeriod, AnswerResult, AnswerStatistics,
    ContractAnswer, CreditBounds, CreditShare, CreditStep, SCHEMA,
};
use crate::config::document::value::show_duration;
use crate::judgement::sla::contract::{Contract, DecideBy};
use crate::judgement::sla::credit::Due;
use crate::judgement::sla::evaluation::{ContractVerdict, Evaluation, OutageSummary};
use crate::judgement::sla::exact::{
    Exact, currency_digits, decimal, fraction, money, plain, truncated, whole,
};
use crate::judgement::sla::record::{OPEN, Outage};
use crate::judgement::sla::statistics::{clopper_pearson_95, one_sided_95_lower, wilson_95};
use crate::judgement::timeline::Span;
use crate::words::{Name, format_utc};

/// Decimals of a printed percentage; the same everywhere, so that a miss never reads as the
/// objective.
const PERCENT_DIGITS: usize = 10;
const CREDIT_DIGITS: usize = 8;

/// `2026-11-01T00:00:00Z`: without milliseconds where there are none.
pub fn instant(at: i64) -> String {
    let text = format_utc(at);
    text.strip_suffix(".000Z")
        .map_or(text.clone(), |seconds| format!("{seconds}Z"))
}

/// First and last instant of a period as an answer has them.
pub fn period_shown(period: Span) -> AnswerPeriod {
    AnswerPeriod {
        start: instant(period.from),
        end: instant(period.to),
    }
}

/// The whole answer for one contract and period; `each`: its components by themselves, where the
/// answer is about several together.
pub fn answer(
    contract: &Contract,
    period: Span,
    list: &[Evaluation],
    each: &[Evaluation],
) -> ContractAnswer {
    let alone = contract.by_component(Vec::new());
    ContractAnswer {
        schema: SCHEMA.to_owned(),
        sla: contract.name.to_string(),
        valid_from: contract.valid_from.map(|d| d.to_string()),
        objective_percent: plain(&contract.objective),
        decide_by: contract.decide_by,
        min_coverage_percent: contract.min_coverage.as_ref().map(plain),
        period: period_shown(period),
        results: list.iter().map(|j| judged(contract, j)).collect(),
        components: each.iter().map(|j| judged(&alone, j)).collect(),
    }
}

fn percent(share: &Option<Exact>) -> Option<String> {
    share
        .as_ref()
        .map(|s| truncated(&(s * whole(100)), PERCENT_DIGITS))
}

fn judged(contract: &Contract, j: &Evaluation) -> AnswerResult {
    let t = &j.times;
    let exact = |share: &Option<Exact>| share.as_ref().map(fraction);
    AnswerResult {
        component: j.component.as_ref().map(Name::to_string),
        tenant: j.tenant.as_ref().map(Name::to_string),
        period_ms: t.period,
        maintenance_ms: t.maintenance,
        service_ms: t.service,
        outside_ms: t.outside,
        down_ms: t.down,
        unknown_ms: t.unknown,
        up_ms: t.up,
        future_ms: t.future,
        down_lower_ms: t.down_lower,
        down_upper_ms: t.down_upper,
        left_while_down_ms: t.left,
        availability: exact(&j.availability),
        availability_percent: percent(&j.availability),
        lower_bound: exact(&j.lower),
        lower_bound_percent: percent(&j.lower),
        upper_bound: exact(&j.upper),
        upper_bound_percent: percent(&j.upper),
        coverage_percent: percent(&j.coverage),
        budget_ms: fraction(&j.budget),
        budget_remaining_ms: fraction(&(&j.budget - &j.spent)),
        verdict: j.verdict,
        point_meets_target: j.point_meets_target,
        open_because: why_open(contract, j),
        measured_less_than_half: j.is_little_measured(),
        credit: credit(contract, j),
        complete: j.complete,
        outages: j.outages.iter().map(|o| outage(o, j)).collect(),
        outage_summary: outage_summary(&j.outage_summary),
        statistics: j
            .probes
            .filter(|(probes, _)| *probes > 0)
            .map(|(probes, failures)| statistics(probes, failures)),
    }
}

fn statistics(probes: u64, failures: u64) -> AnswerStatistics {
    let pair = |(a, b): (f64, f64)| (format!("{a:.8}"), format!("{b:.8}"));
    AnswerStatistics {
        probes,
        failures,
        wilson_95_percent: pair(wilson_95(failures, probes)),
        clopper_pearson_95_percent: pair(clopper_pearson_95(failures, probes)),
        one_sided_95_lower_percent: format!("{:.8}", one_sided_95_lower(failures, probes)),
    }
}

fn outage_summary(s: &OutageSummary) -> AnswerOutageSummary {
    AnswerOutageSummary {
        count: s.count,
        longest_ms: s.longest,
        mean_time_to_recover_ms: s.mean_to_recover,
        mean_time_between_failures_ms: s.mean_between_failures,
    }
}

fn outage(o: &Outage, j: &Evaluation) -> AnswerOutage {
    let at = |at: i64| (at < OPEN).then(|| instant(at));
    let end = |end: i64| at(end).filter(|_| !o.is_open);
    AnswerOutage {
        outage: o.outage,
        from: at(o.from),
        to: end(o.to),
        from_earliest: at(o.from_earliest),
        from_latest: at(o.from_latest),
        to_earliest: end(o.to_earliest),
        to_latest: end(o.to_latest),
        down_ms: j.sets.down.cut(Span::new(o.from, o.to)).length(),
    }
}

/// The credit by the figure that decides, and what it would be at the other two.
fn credit(contract: &Contract, j: &Evaluation) -> Option<AnswerCredit> {
    let by = |which| j.due.iter().find(|(by, _)| *by == which);
    let (_, decided) = by(contract.decide_by)?;
    let share = |which| {
        by(which).map(|(_, due)| CreditShare {
            percent: fraction(&due.percent),
            amount: amount_of(contract, j, due),
        })
    };
    Some(AnswerCredit {
        percent: fraction(&decided.percent),
        percent_decimal: truncated(&decided.percent, CREDIT_DIGITS),
        capped: decided.capped,
        amount: amount_of(contract, j, decided),
        currency: contract.currency.clone(),
        decided_by: contract.decide_by,
        at: CreditBounds {
            point: share(DecideBy::Point),
            lower: share(DecideBy::Lower),
            upper: share(DecideBy::Upper),
        },
        steps: steps(contract, j, decided),
        sentence: sentence(contract, j, decided),
    })
}

/// The arithmetic of a credit to its end: where there is a fee, an amount that is rounded once.
fn steps(contract: &Contract, j: &Evaluation, decided: &Due) -> Vec<CreditStep> {
    let step = |what: &str, value: &Exact, decimal: String, unit: &str| CreditStep {
        what: what.to_owned(),
        value: fraction(value),
        decimal,
        unit: unit.to_owned(),
    };
    let short = |value: &Exact| truncated(value, CREDIT_DIGITS);
    let mut steps: Vec<CreditStep> = decided
        .steps
        .iter()
        .map(|s| step(s.what, &s.value, short(&s.value), s.unit))
        .collect();
    let amount = amount_of(contract, j, decided);
    if let (Some(fee), Some(currency), Some(rounded)) = (&j.fee, &contract.currency, amount) {
        let exact = fee * &decided.percent / whole(100);
        let rounded_exact: Exact = decimal(&rounded).unwrap_or_default();
        steps.push(step("fee", fee, plain(fee), currency));
        steps.push(step("credit of the fee", &exact, short(&exact), currency));
        steps.push(step("rounded half up", &rounded_exact, rounded, currency));
    }
    steps
}

fn amount_of(contract: &Contract, j: &Evaluation, due: &Due) -> Option<String> {
    let (fee, currency) = (j.fee.as_ref()?, contract.currency.as_deref()?);
    Some(money(
        &(fee * &due.percent / whole(100)),
        currency_digits(currency),
    ))
}

/// "Credit due: 0.13 EUR, decided by the point estimate; between 0.00 and 0.31 at the bounds."
/// While the verdict is open: what it would be at each bound, and why it is open.
pub fn sentence(contract: &Contract, j: &Evaluation, decided: &Due) -> String {
    let by = |which| {
        j.due
            .iter()
            .find(|(by, _)| *by == which)
            .map(|(_, due)| due)
    };
    let figure = match contract.decide_by {
        DecideBy::Point => "the point estimate",
        DecideBy::Lower => "the lower bound",
        DecideBy::Upper => "the upper bound",
    };
    let (Some(least), Some(most)) = (by(DecideBy::Upper), by(DecideBy::Lower)) else {
        return String::new();
    };
    let share = |due: &Due| format!("{} %", truncated(&due.percent, CREDIT_DIGITS));
    let amount = |due: &Due| amount_of(contract, j, due).unwrap_or_else(|| share(due));
    let unit = contract
        .currency
        .as_ref()
        .filter(|_| j.fee.is_some())
        .map_or_else(|| "of the fee".to_owned(), Clone::clone);
    if j.verdict == ContractVerdict::Undetermined {
        let point = by(DecideBy::Point).map_or(String::new(), |due| {
            format!(", {} {unit} by the point estimate", amount(due))
        });
        let why = why_open(contract, j).join("; ");
        return format!(
            "No credit is decided yet: it would be {} {unit} at the upper bound, {} {unit} at the \
                lower bound{point}. Open: {why}.",
            amount(least),
            amount(most)
        );
    }
    format!(
        "Credit due: {} {unit}, decided by {figure}; between {} and {} at the bounds.",
        amount(decided),
        amount(least),
        amount(most)
    )
}

/// Why a verdict is open: what is missing.
pub fn why_open(contract: &Contract, j: &Evaluation) -> Vec<String> {
    if j.verdict != ContractVerdict::Undetermined {
        return Vec::new();
    }
    let t = &j.times;
    let mut list = Vec::new();
    if t.future > 0 {
        list.push(format!(
            "{} of the service time are still to come or not settled",
            show_duration(t.future)
        ));
    }
    if t.unknown > 0 {
        list.push(format!("{} are unknown", show_duration(t.unknown)));
    }
    if let (Some(least), Some(measured)) = (&contract.min_coverage, &j.coverage)
        && measured * whole(100) < *least
    {
        list.push(format!(
            "{} % of the service time are measured, and the contract asks for {} %",
            truncated(&(measured * whole(100)), 3),
            plain(least)
        ));
    }
    if list.is_empty() {
        list.push(match t.service {
            0 => "there is no service time".to_owned(),
            _ => format!(
                "downtime is between {} and {}",
                show_duration(t.down_lower),
                show_duration(t.down_upper)
            ),
        });
    }
    list
}
