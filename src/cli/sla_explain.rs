//! `probity sla explain`: what an objective allows, and what probing can prove of it.

use std::fmt::Write;

use serde::Serialize;

use super::args::place::StateArgs;
use super::args::sla::SlaExplain;
use super::contracts::{contracts, refuse, wanted};
use super::{given, local};
use crate::account::figures::not_seen_text;
use crate::config::plan::{DEFAULT_LATE_AFTER, DEFAULT_RETRY_INTERVAL, DEFAULT_TIMEOUT};
use crate::config::{Endpoint, Plan};
use crate::daemon::exit::Exit;
use crate::judgement::rules::{Cadence, Rules};
use crate::judgement::sla::calendar::{PeriodKind, current_and_previous};
use crate::judgement::sla::contract::{Contract, MeasuredFrom, Model, Rounding};
use crate::judgement::sla::credit::Due;
use crate::judgement::sla::exact::{
    Exact, currency_digits, decimal, fraction, money, plain, truncated, whole,
};
use crate::judgement::sla::explain::{
    CreditReading, MONTH_MS, Reach, budget, reach, readings, three_readings,
};
use crate::judgement::timeline::Span;
use crate::net::clock::Clock;
use crate::words::{Ms, Name, UtcMs, people};

/// Months that are looked ahead.
const MONTHS_AHEAD: usize = 12;

/// `probity-sla-explain/1`.
#[derive(Serialize)]
pub struct Explanation {
    schema: &'static str,
    sla: Option<String>,
    objective_percent: String,
    interval_ms: Ms,
    /// Whose interval that is, where the config has endpoints of the contract.
    slowest_endpoint: Option<String>,
    budgets: Vec<PeriodBudget>,
    detection_bound_ms: Ms,
    shortest_outage_surely_seen_ms: Ms,
    probes_in_30_days: u64,
    /// `None` where no number of probes proves it.
    probes_needed_with_zero_failures: Option<u64>,
    days_needed: Option<String>,
    /// -1 where even no failure proves it.
    max_failures_that_still_prove_target: i64,
    month_can_prove: bool,
    linear_readings: LinearReadings,
}

/// What a coming period allows.
#[derive(Serialize)]
struct PeriodBudget {
    period: String,
    length_ms: Ms,
    budget_ms: String,
    budget_seconds: String,
}

/// "For each missing percent", read in three ways.
#[derive(Serialize)]
struct LinearReadings {
    /// Neither credit nor fee are those of a contract.
    is_example: bool,
    /// The rounding of the contract.
    own_rounding: Option<&'static str>,
    currency: Option<String>,
    step_points: String,
    per_step_percent: String,
    fee: String,
    of: Vec<DowntimeReading>,
}

#[derive(Serialize)]
struct DowntimeReading {
    down_ms: Ms,
    credit: ThreeCredits,
}

/// One that is not read so is left out.
#[derive(Default, Serialize)]
struct ThreeCredits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pro_rata: Option<ReadCredit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<ReadCredit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    full: Option<ReadCredit>,
}

#[derive(Serialize)]
struct ReadCredit {
    percent: String,
    percent_decimal: String,
    amount: String,
}

/// Of an objective by itself, or of each contract of a file or of the config.
pub fn explanations(args: &SlaExplain) -> Result<Vec<Explanation>, Exit> {
    let usual = Cadence {
        interval: 30_000,
        jitter_ppm: 0,
        late_after: DEFAULT_LATE_AFTER,
        timeout: DEFAULT_TIMEOUT,
        retry_interval: DEFAULT_RETRY_INTERVAL,
        down_after: 2,
        up_after: 1,
    };
    let interval = args.interval.as_deref();
    let interval = interval.map(|text| given::duration("interval", text, 100));
    let interval = interval.transpose()?;
    let probed = |cadence: Cadence| {
        Rules::new(Cadence {
            interval: interval.unwrap_or(cadence.interval),
            ..cadence
        })
    };
    let now = Clock::Real.read().utc_ms;
    if let Some(text) = &args.objective {
        if args.contract.is_some() {
            return Err(refuse(
                Exit::Usage,
                "--objective is without a contract: leave out --contract",
            ));
        }
        return Ok(vec![of_objective(text, &probed(usual), now)?]);
    }
    let has_config = !args.config.is_missing();
    if args.contract.is_none() && !has_config {
        return Err(refuse(
            Exit::Usage,
            "missing option: use --config FILE, --contract FILE, or --objective 99.999",
        ));
    }
    let place = StateArgs {
        state_dir: None,
        config: args.config.clone(),
    };
    let contracts = contracts(args.contract.as_deref(), &place)?;
    let is_of_config = args.contract.is_none() || args.config.config.is_some();
    let plan = if is_of_config {
        local::plan(&place)?
    } else {
        Plan::empty()
    };
    let mut list = Vec::new();
    for name in wanted(&contracts, args.sla.as_deref())? {
        let present = contracts.present(&name, now);
        let in_force = present.first().map(|(contract, ..)| *contract);
        let any = || contracts.list.iter().find(|c| c.name == name);
        let Some(contract) = in_force.or_else(any) else {
            continue;
        };
        let components = contract.all_components(&contracts.tenants);
        let slowest = slowest(&plan, &components);
        let rules = probed(slowest.map_or(usual, |endpoint| endpoint.rules.cadence));
        let mut explained = of_contract(contract, &rules, now);
        // The interval of --interval is nobody's.
        explained.slowest_endpoint = slowest
            .filter(|_| interval.is_none())
            .map(|endpoint| endpoint.name.to_string());
        list.push(explained);
    }
    Ok(list)
}

/// The endpoint of these components whose outages are detected last.
fn slowest<'p>(plan: &'p Plan, components: &[Name]) -> Option<&'p Endpoint> {
    let of_contract = plan
        .endpoints
        .iter()
        .filter(|endpoint| components.contains(&endpoint.component));
    let slowest = of_contract.max_by_key(|endpoint| endpoint.rules.detection_bound());
    slowest.map(|endpoint| &**endpoint)
}

fn of_objective(text: &str, rules: &Rules, now: UtcMs) -> Result<Explanation, Exit> {
    let advice = "--objective is not a valid percentage; write it as 99.999";
    let objective = decimal(text)
        .filter(|o| *o <= whole(100))
        .ok_or_else(|| refuse(Exit::Usage, advice))?;
    let months = months(
        PeriodKind::CalendarMonth,
        &jiff::tz::TimeZone::UTC,
        now,
        &objective,
    );
    let linear = three_readings(
        &objective,
        &whole(1),
        &whole(10),
        MeasuredFrom::Target,
        &whole(100),
        Span::new(0, MONTH_MS as i64),
    );
    Ok(explained(None, &objective, rules, months, &linear))
}

fn of_contract(contract: &Contract, rules: &Rules, now: UtcMs) -> Explanation {
    let (kind, zone, objective) = (contract.period, &contract.zone, &contract.objective);
    let months = months(kind, zone, now, objective);
    let span = current_and_previous(kind, zone, now)[0].1;
    let linear = readings(contract, span);
    explained(Some(contract), objective, rules, months, &linear)
}

/// The coming periods with their length and budget.
fn months(
    kind: PeriodKind,
    zone: &jiff::tz::TimeZone,
    now: UtcMs,
    objective: &Exact,
) -> Vec<PeriodBudget> {
    let mut at = now;
    let mut list = Vec::new();
    for _ in 0..MONTHS_AHEAD {
        let [(period, span), _] = current_and_previous(kind, zone, at);
        let allowed = budget(objective, span.length());
        list.push(PeriodBudget {
            period,
            length_ms: span.length(),
            budget_ms: fraction(&allowed),
            budget_seconds: truncated(&(allowed / whole(1000)), 3),
        });
        if matches!(kind, PeriodKind::Rolling(_)) {
            break;
        }
        at = span.to;
    }
    list
}

fn explained(
    contract: Option<&Contract>,
    objective: &Exact,
    rules: &Rules,
    budgets: Vec<PeriodBudget>,
    linear: &[CreditReading],
) -> Explanation {
    let reach: Reach = reach(objective, rules);
    let needed = Some(reach.probes_needed).filter(|needed| *needed < u64::MAX);
    Explanation {
        schema: "probity-sla-explain/1",
        sla: contract.map(|c| c.name.to_string()),
        objective_percent: plain(objective),
        interval_ms: rules.cadence.interval,
        slowest_endpoint: None,
        budgets,
        detection_bound_ms: reach.detection_bound_ms,
        shortest_outage_surely_seen_ms: reach.shortest_surely_seen_ms,
        probes_in_30_days: reach.probes_in_month,
        probes_needed_with_zero_failures: needed,
        days_needed: needed.map(|_| truncated(&reach.days_needed, 2)),
        max_failures_that_still_prove_target: reach.max_failures.map_or(-1, |n| n as i64),
        month_can_prove: reach.month_can_prove,
        linear_readings: in_three_ways(contract, linear),
    }
}

fn in_three_ways(contract: Option<&Contract>, linear: &[CreditReading]) -> LinearReadings {
    let fee = contract.and_then(|c| c.fee.clone().zip(c.currency.clone()));
    let is_example = contract.is_none();
    let (step, per_step, own) = match contract.and_then(|c| c.credit.as_ref()).map(|c| &c.model) {
        Some(Model::Linear {
            step,
            per_step,
            rounding,
            ..
        }) => (step.clone(), per_step.clone(), Some(*rounding)),
        _ => (whole(1), whole(10), None),
    };
    let word = |own| {
        Rounding::WORDS
            .iter()
            .find(|(_, rounding)| *rounding == own)
    };
    let own_rounding = own.and_then(word).map(|(word, _)| *word);
    let shown_fee = fee
        .as_ref()
        .map_or("1000.00".to_owned(), |(fee, _)| plain(fee));
    let has_fee = fee.is_some();
    let (fee, currency) = fee.unwrap_or((whole(1000), String::new()));
    let digits = currency_digits(&currency);
    let credit = |due: &Due| {
        let amount = money(&(&fee * &due.percent / whole(100)), digits);
        Some(ReadCredit {
            percent: fraction(&due.percent),
            percent_decimal: truncated(&due.percent, 8),
            amount,
        })
    };
    let of = |reading: &CreditReading| {
        let mut three = ThreeCredits::default();
        for (rounding, due) in &reading.readings {
            match rounding {
                Rounding::ProRata => three.pro_rata = credit(due),
                Rounding::Started => three.started = credit(due),
                Rounding::Full => three.full = credit(due),
            }
        }
        DowntimeReading {
            down_ms: reading.down_ms,
            credit: three,
        }
    };
    LinearReadings {
        is_example,
        own_rounding,
        currency: has_fee.then_some(currency),
        step_points: plain(&step),
        per_step_percent: plain(&per_step),
        fee: shown_fee,
        of: linear.iter().map(of).collect(),
    }
}

/// A text that is written into cannot fail.
macro_rules! line {
    ($out:expr, $($text:tt)*) => {{ let _ = writeln!($out, $($text)*); }};
}

impl Explanation {
    /// For people.
    pub fn shown(&self) -> String {
        let mut out = String::new();
        let name = self
            .sla
            .as_ref()
            .map_or(String::new(), |s| format!("{s}: "));
        line!(out, "{name}objective {} %", self.objective_percent);
        line!(out, "\nAllowed downtime (error budget):");
        for month in &self.budgets {
            line!(
                out,
                "  {:<24} {:>12} s of {}",
                month.period,
                month.budget_seconds,
                people::duration(month.length_ms)
            );
        }
        self.show_proof(&mut out);
        self.linear_readings.show(&mut out);
        out
    }

    /// What probing can prove of the objective.
    fn show_proof(&self, out: &mut String) {
        let interval = people::duration(self.interval_ms);
        let of = self
            .slowest_endpoint
            .as_ref()
            .map_or(String::new(), |name| {
                format!(", as the slowest endpoint {name} is")
            });
        line!(out, "\nProbed every {interval}{of}:");
        line!(
            out,
            "  detection time (worst case) {}",
            people::duration(self.detection_bound_ms)
        );
        let shortest = Some(self.shortest_outage_surely_seen_ms);
        line!(out, "  {}", not_seen_text(shortest));
        let can = match self.month_can_prove {
            true => "can",
            false => "cannot",
        };
        match (self.probes_needed_with_zero_failures, &self.days_needed) {
            (Some(needed), Some(days)) => line!(
                out,
                "  {needed} probes without a failure prove the objective with 95 % confidence \
                    ({days} days)\n  30 days have {} probes: a month {can} prove it by counting \
                    probes",
                self.probes_in_30_days
            ),
            _ => line!(
                out,
                "  no number of probes proves the objective: it allows no failure at all"
            ),
        }
        let most = self.max_failures_that_still_prove_target;
        if most >= 0 {
            line!(
                out,
                "  with up to {most} failed probes in 30 days, the objective is still proven"
            );
        }
    }
}

impl LinearReadings {
    fn show(&self, out: &mut String) {
        if self.of.is_empty() {
            return;
        }
        let (step, per_step) = (&self.step_points, &self.per_step_percent);
        let each = if step == "1" {
            "For each missing percent".to_owned()
        } else {
            format!("For each {step} missing points")
        };
        let head = if self.is_example { "Example" } else { "Credit" };
        let fee = match &self.currency {
            Some(currency) => format!("{} {currency}", self.fee),
            None if self.is_example => self.fee.clone(),
            None => format!("{} (an example: the contract has no fee)", self.fee),
        };
        let own = self.own_rounding.map_or(String::new(), |own| {
            format!(", of which \"{own}\" is the contract's")
        });
        line!(
            out,
            "\n{head}: \"{each}\" {per_step} % of a fee of {fee}, in three roundings{own}:"
        );
        let row = |cells: [&str; 4]| {
            let [first, a, b, c] = cells;
            format!("  {first:<12} {a:>14} {b:>14} {c:>14}")
        };
        line!(out, "{}", row(["downtime", "pro rata", "started", "full"]));
        for r in &self.of {
            let amount = |credit: &Option<ReadCredit>| {
                let amount = credit.as_ref().map(|c| c.amount.clone());
                amount.unwrap_or("-".to_owned())
            };
            let credit = &r.credit;
            let [a, b, c] = [&credit.pro_rata, &credit.started, &credit.full].map(amount);
            line!(out, "{}", row([&people::duration(r.down_ms), &a, &b, &c]));
        }
    }
}
