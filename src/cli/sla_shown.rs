//! `probity sla evaluate` for people.

use std::fmt::Write;

use num_traits::ToPrimitive;
use serde_json::{Value, json};

use crate::account::figures::not_seen_text;
use crate::judgement::sla::contract::Contract;
use crate::judgement::sla::evaluation::{ContractVerdict, Evaluation};
use crate::judgement::sla::exact::{Exact, decimal, plain, truncated, whole};
use crate::report::answer::{AnswerOutageSummary, AnswerResult, ContractAnswer, in_one};
use crate::words::{Ms, people};

/// What a contract comes to.
pub struct Evaluated {
    pub contract: Contract,
    pub answer: ContractAnswer,
    /// What the answer shows.
    pub list: Vec<Evaluation>,
    /// Outages shorter than this, between two probes, are not seen.
    pub not_seen_below: Option<Ms>,
    /// By terms that came into force later.
    pub later: Option<ContractAnswer>,
}

impl Evaluated {
    /// The answer, with what is said beside it.
    pub fn to_json(&self) -> Value {
        let mut beside = json!({"not_seen_below_ms": self.not_seen_below});
        if let Some(later) = &self.later {
            let later = json!({"later_terms": {"evaluation": later}});
            beside = in_one(beside, later);
        }
        in_one(self.answer.to_json(), beside)
    }
}

/// A text that is written into cannot fail.
macro_rules! line {
    ($out:expr, $($text:tt)*) => {{ let _ = writeln!($out, $($text)*); }};
}

pub fn shown(e: &Evaluated) -> String {
    let mut out = String::new();
    // Before any figure.
    for j in e.list.iter().filter(|j| j.is_little_measured()) {
        line!(
            out,
            "{LITTLE} ({}): the figures below rest on what was",
            whom(j)
        );
    }
    let later = e.later.iter().flat_map(|later| &later.results);
    let later: Vec<String> = later.map(verdict_by_later).collect();
    if !later.is_empty() {
        line!(
            out,
            "judged by the terms that were in force before they were changed; by the later terms: \
                {}",
            later.join(", ")
        );
    }
    let period = &e.answer.period;
    line!(
        out,
        "{}: objective {} %, {} to {}",
        e.contract.name,
        plain(&e.contract.objective),
        period.start,
        period.end
    );
    for (j, result) in e.list.iter().zip(&e.answer.results) {
        of_result(&mut out, &e.contract, j, result);
    }
    for result in &e.answer.components {
        let [percent, lower, upper] = shares(result);
        let component = result.component.as_deref().unwrap_or("-");
        line!(
            out,
            "\n  {component} by itself: availability {percent}, between {lower} and {upper}"
        );
        line!(out, "    {}", outages_in_words(&result.outage_summary));
    }
    line!(out, "\n{}", not_seen_text(e.not_seen_below));
    out
}

fn verdict_by_later(r: &AnswerResult) -> String {
    let who = r.tenant.as_deref().or(r.component.as_deref());
    format!(
        "{} {}",
        who.unwrap_or("all together"),
        r.verdict.as_str().to_uppercase()
    )
}

fn of_result(out: &mut String, contract: &Contract, j: &Evaluation, result: &AnswerResult) {
    let who = whom(j);
    if !j.was_in_service() {
        line!(
            out,
            "\n  {who}: no verdict, it was not in service in this period"
        );
        return;
    }
    let so_far = match j.complete {
        true => "",
        false => " (the period is not over, or not all recorded)",
    };
    let verdict = j.verdict.as_str().to_uppercase();
    line!(out, "\n  {who}: {verdict}{so_far}");
    of_availability(out, contract, j, result);
    let (least, measured) = (contract.min_coverage.as_ref(), &result.coverage_percent);
    if let (Some(least), Some(percent), ContractVerdict::Undetermined) =
        (least, measured, j.verdict)
        && decimal(percent).is_none_or(|share| share < *least)
    {
        line!(
            out,
            "    measured for {percent} % of the service time: the contract asks for {} %, and \
                gives no verdict on less",
            plain(least)
        );
    }
    let t = &j.times;
    line!(
        out,
        "    up {}, down {} (between {} and {}), unknown {}, maintenance {}, of a service time of \
            {}",
        people::duration(t.up),
        people::duration(t.down),
        people::duration(t.down_lower),
        people::duration(t.down_upper),
        people::duration(t.unknown),
        people::duration(t.maintenance),
        people::duration(t.service)
    );
    line!(out, "    {}", spent(&j.budget, &j.spent));
    line!(out, "    {}", outages_in_words(&result.outage_summary));
    if let Some(credit) = &result.credit {
        line!(out, "    {}", credit.sentence);
    }
}

fn of_availability(out: &mut String, contract: &Contract, j: &Evaluation, result: &AnswerResult) {
    let [availability, lower, upper] = shares(result);
    let Some(bounds) = j.so_far(contract) else {
        line!(
            out,
            "    availability {availability}, between {lower} (all unknown time down) and {upper} \
                (all of it up)"
        );
        return;
    };
    let [low, high] = bounds
        .map(|share| people::percent(&truncated(&(share * whole(100)), 10), measured(result)));
    line!(
        out,
        "    availability {availability}, so far between {low} (all unknown time down) and {high} \
            (all of it up)"
    );
    line!(
        out,
        "    over the whole period between {lower} and {upper}: {} of it are still to come or not \
            settled",
        people::duration(j.times.future)
    );
}

/// What was measured of a result.
fn measured(result: &AnswerResult) -> Ms {
    result.up_ms + result.down_ms
}

/// The availability of a result and its bounds.
fn shares(result: &AnswerResult) -> [String; 3] {
    [
        &result.availability_percent,
        &result.lower_bound_percent,
        &result.upper_bound_percent,
    ]
    .map(|share| {
        share.as_ref().map_or("unknown".to_owned(), |text| {
            people::percent(text, measured(result))
        })
    })
}

/// What the first line says where it is so.
const LITTLE: &str = "less than half of the service time was measured";

fn whom(j: &Evaluation) -> String {
    match (&j.component, &j.tenant) {
        (_, Some(tenant)) => format!("tenant {tenant}"),
        (Some(component), None) => component.to_string(),
        (None, None) => "all together".to_owned(),
    }
}

/// How many outages, the longest, and the means.
fn outages_in_words(summary: &AnswerOutageSummary) -> String {
    let (Some(recover), Some(between)) = (
        summary.mean_time_to_recover_ms,
        summary.mean_time_between_failures_ms,
    ) else {
        return "no outage".to_owned();
    };
    let outages = match summary.count {
        1 => "1 outage".to_owned(),
        count => format!("{count} outages"),
    };
    format!(
        "{outages}, the longest {}; mean time to recover {}, between failures {}",
        people::duration(summary.longest_ms),
        people::duration(recover),
        people::duration(between)
    )
}

/// What became of an error budget, in lengths like those beside it; fractions of a millisecond are
/// dropped.
fn spent(budget: &Exact, down: &Exact) -> String {
    let millis = |exact: &Exact| people::duration(exact.to_integer().to_u64().unwrap_or(u64::MAX));
    if budget >= down {
        return format!(
            "error budget {}, of which {} is left",
            millis(budget),
            millis(&(budget - down))
        );
    }
    format!(
        "error budget {}, exceeded by {}",
        millis(budget),
        millis(&(down - budget))
    )
}
