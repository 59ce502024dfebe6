//! The page of contracts and components: what is promised, what is left of it, and what was changed
//! in the period.

use std::io::Write;

use askama::Template;
use num_traits::ToPrimitive;

use super::burndown::{Burndown, burndown, until_words};
use super::changes::{ChangeRow, change_rows};
use super::shown::{Cell, clock, component_cell, evaluated_cell};
use super::{PageContext, PageFrame, written};
use crate::judgement::sla::evaluation::{ContractVerdict, Evaluation};
use crate::judgement::sla::exact::{Exact, plain, share, truncated, whole};
use crate::report::object::ChangeOf;
use crate::serve::contracts::{ContractStatus, ContractStatuses};
use crate::serve::listener::making::Unmade;
use crate::words::{UtcMs, parse_utc, people};

/// Contracts of which the use of the budget is drawn.
const CHARTS: usize = 50;

#[derive(Template)]
#[template(path = "page/contracts.html")]
struct ContractsPage {
    frame: PageFrame,
    contracts: Vec<ContractRow>,
    components: Vec<ComponentRow>,
    changes: Vec<ChangeRow>,
    /// What of them is only in report and API; empty where all are here.
    more_changes: String,
}

/// The page as HTML.
pub fn html(
    context: &PageContext,
) -> Result<impl FnOnce(&mut dyn Write) -> Result<(), Unmade> + use<>, Unmade> {
    let contract_statuses = context.contract_statuses;
    let (changes, more_changes) = change_rows(
        context.reader,
        context.board,
        contract_statuses,
        context.now,
    )?;
    Ok(written(ContractsPage {
        frame: PageFrame::of(context, "contracts")?,
        contracts: contract_rows(contract_statuses, context.now),
        components: component_rows(contract_statuses),
        changes,
        more_changes,
    }))
}

/// One component in the present month.
struct ComponentRow {
    pub title: String,
    pub id: String,
    pub month: String,
    pub availability: Cell,
    pub outages: String,
    pub longest_and_means: String,
}

/// One contract in its present period.
struct ContractRow {
    pub name: String,
    pub who: String,
    pub period: String,
    pub verdict: &'static str,
    pub class: &'static str,
    pub availability: Cell,
    /// That of the whole period, and what is left of it.
    pub budget: String,
    pub budget_left: String,
    /// Said before any figure where it is so.
    pub little: &'static str,
    /// That the terms came late, or were changed, and the verdict by the later ones.
    pub terms: String,
    /// How many outages, the longest, and the means of and between them.
    pub outages: String,
    pub longest_and_means: String,
    /// Share of probes within the bound of the contract; empty without one.
    pub latency: String,
    /// How the budget was used; nothing without one.
    pub burndown: Option<Burndown>,
}

fn component_rows(contract_statuses: &ContractStatuses) -> Vec<ComponentRow> {
    let current = contract_statuses
        .components
        .iter()
        .filter(|f| f.which == "current");
    current
        .map(|f| ComponentRow {
            title: f.title.clone(),
            id: f
                .judged
                .component
                .as_ref()
                .map_or(String::new(), ToString::to_string),
            month: f.month.clone(),
            availability: component_cell(Some(&f.judged)),
            outages: f.judged.outage_summary.count.to_string(),
            longest_and_means: longest_and_means(&f.judged),
        })
        .collect()
}

fn contract_rows(contract_statuses: &ContractStatuses, now: UtcMs) -> Vec<ContractRow> {
    let current = contract_statuses
        .list
        .iter()
        .filter(|s| s.which == "current");
    current
        .flat_map(|s| {
            s.judged
                .iter()
                .flatten()
                .filter(|j| j.tenant.is_none() && j.was_in_service())
                .map(move |j| (s, j))
        })
        .enumerate()
        .map(|(k, (s, j))| {
            let mut row = contract_row(s, j);
            if k < CHARTS {
                row.burndown = burndown(&s.contract, j, now);
            }
            row
        })
        .collect()
}

fn contract_row(s: &ContractStatus, j: &Evaluation) -> ContractRow {
    ContractRow {
        terms: terms_note(s, j),
        name: s.contract.name.to_string(),
        who: j
            .component
            .as_ref()
            .map_or("all together".to_owned(), ToString::to_string),
        period: s.name.clone(),
        verdict: j.verdict.as_str(),
        class: match j.verdict {
            ContractVerdict::Met => "up",
            ContractVerdict::Missed => "down",
            ContractVerdict::Undetermined => "unknown",
        },
        availability: evaluated_cell(&s.contract, j),
        budget: length(&j.budget),
        budget_left: budget_left(&j.budget - &j.spent, &until_words(&s.contract, j.span)),
        little: if j.is_little_measured() {
            "less than half of the service time was measured"
        } else {
            ""
        },
        outages: j.outage_summary.count.to_string(),
        longest_and_means: longest_and_means(j),
        latency: latency(s, j),
        burndown: None,
    }
}

fn longest_and_means(j: &Evaluation) -> String {
    match (
        j.outage_summary.mean_to_recover,
        j.outage_summary.mean_between_failures,
    ) {
        (Some(recover), Some(between)) => {
            let [longest, recover, between] =
                [j.outage_summary.longest, recover, between].map(people::duration);
            format!("longest {longest}, mean time to recover {recover}, between failures {between}")
        }
        _ => String::new(),
    }
}

/// The share of probes that a contract for latency asks for, of one component or of each.
fn latency(s: &ContractStatus, j: &Evaluation) -> String {
    let Some(objective) = &s.contract.latency else {
        return String::new();
    };
    let concerned = s.latency.iter().filter(|l| {
        j.component
            .as_ref()
            .is_none_or(|c| c.as_str() == l.component)
    });
    let shares = concerned.filter_map(|l| {
        share(l.within, l.probes)
            .map(|share| format!("{} {} %", l.component, truncated(&(share * whole(100)), 3)))
    });
    format!(
        "{} of {} % within {} ms",
        shares.collect::<Vec<_>>().join(", "),
        plain(&objective.share),
        objective.within_us / 1000
    )
}

/// What stands beside the verdict of a contract.
fn terms_note(s: &ContractStatus, j: &Evaluation) -> String {
    let at = |what: ChangeOf| {
        let last = s.of_terms.iter().rfind(|c| c.what == what);
        last.and_then(|c| parse_utc(&c.at)).map(clock)
    };
    let mut notes: Vec<String> = at(ChangeOf::Terms)
        .map(|at| format!("by terms recorded {at}, after the period started"))
        .into_iter()
        .collect();
    if let Some(later) = &s.later {
        let same = later
            .judged
            .iter()
            .flatten()
            .find(|l| (&l.component, &l.tenant) == (&j.component, &j.tenant));
        let when =
            at(ChangeOf::TermsChanged).map_or("not recorded".to_owned(), |at| format!("of {at}"));
        let verdict = same.map_or("no verdict on it", |l| l.verdict.as_str());
        notes.push(format!(
            "by the terms before a change; by the later terms ({when}): {verdict}"
        ));
    }
    notes.join("; ")
}

/// Fractions of a millisecond are dropped.
fn length(ms: &Exact) -> String {
    people::duration(ms.to_integer().to_u64().unwrap_or(u64::MAX))
}

/// `12 m 30 s left until December`, or by how much more than the budget is used up.
fn budget_left(left: Exact, until: &str) -> String {
    if left < whole(0) {
        format!("exceeded by {}", length(&-left))
    } else {
        format!("{} left{until}", length(&left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_budget_is_told_from_what_exceeds_it() {
        let of = |ms: i64| budget_left(whole(ms), " until December");
        assert_eq!(of(750_000), "12 m 30 s left until December");
        assert_eq!(of(0), "0 s left until December");
        assert_eq!(of(-1500), "exceeded by 1.5 s");
    }
}
