//! Contracts on a running daemon: judged now and then on its own history, and shown by API, metrics and page alike.

use std::io::{self, Write};

use num_traits::ToPrimitive;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::api::parts_of;
use super::by_component::{self, Figures};
use super::exposition::{Format, header};
use super::figures::{NotSeen, components, maintenance, say_not_seen};
use super::listener::making::{Unmade, write_list};
use super::recorded::told;
use super::sla::answer;
use crate::engine::board::{Board, escaped};
use crate::judgement::latency::{Ending, Series};
use crate::judgement::sla::contract::Contract;
use crate::judgement::sla::evaluate::{Judged, Verdict, evaluate, evaluate_components};
use crate::judgement::sla::exact::{Exact, plain, truncated, whole};
use crate::judgement::timeline::Span;
use crate::outward::history::HistoryError;
use crate::outward::history::past::{Which, tallies};
use crate::outward::history::tally::{tally_hours, tally_latency, tally_slots};
use crate::words::{Ms, UtcMs};

/// One contract over one period.
pub struct Standing {
    pub contract: Contract,
    /// `current` or `previous`.
    pub which: &'static str,
    pub name: String,
    pub period: Span,
    /// The answer, or why there is none.
    pub judged: Result<Vec<Judged>, String>,
    /// The components by themselves, where the answer is about several together.
    pub each: Vec<Judged>,
    /// By component, where the contract has an objective for latency.
    pub latency: Vec<Latency>,
    /// Outages shorter than this, between two probes, are not seen.
    pub not_seen_below: Option<Ms>,
}

/// How many probes answered within the bound of a contract. Failed slots did not.
pub struct Latency {
    pub component: String,
    pub within: u64,
    pub probes: u64,
    /// Hours of the period of which there are tallies.
    pub hours: u64,
}

/// All contracts of the plan, over the present period and the one before.
#[derive(Default)]
pub struct Standings {
    pub list: Vec<Standing>,
    /// Every component that the config names, contract or not.
    pub components: Vec<Figures>,
}

/// Judges every contract in force.
pub fn standings(connection: &Connection, board: &Board, now: UtcMs, not_seen: NotSeen) -> Result<Standings, HistoryError> {
    let plan = board.plan.load_full();
    let parts = parts_of(connection, board)?;
    let mut list = Vec::new();
    for name in plan.contracts.names() {
        for (contract, text, period, which) in plan.contracts.present(&name, now) {
            let until = Span::new(period.from, period.to.min(now).max(period.from));
            let windows = maintenance(connection, &parts, period)?;
            let named = contract.all_components(&plan.contracts.tenants);
            let (reached, mut recorded) = components(connection, &parts, until, Which::All)?;
            if not_seen == NotSeen::Told {
                say_not_seen(connection, &parts, &mut recorded, reached, Some(&named))?;
            }
            let record = told(reached, recorded, windows);
            let judged = evaluate(contract, &plan.contracts.tenants, &record, period).map_err(|e| e.to_string());
            let each = evaluate_components(contract, &plan.contracts.tenants, &record, period).unwrap_or_default();
            let latency = latency(connection, contract, &parts, period, Which::All)?;
            let not_seen_below = record.not_seen_below(&named);
            list.push(Standing { contract: contract.clone(), which, name: text, period, judged, each, latency, not_seen_below });
        }
    }
    let components = by_component::figures(connection, board, &by_component::named(&plan), now, NotSeen::Untold)?;
    Ok(Standings { list, components })
}

/// Counts from the stored histograms of each component's endpoints, to their resolution of one percent.
pub fn latency(connection: &Connection, contract: &Contract, parts: &[super::figures::Part], period: Span, which: Which) -> Result<Vec<Latency>, HistoryError> {
    let Some(objective) = &contract.latency else { return Ok(Vec::new()) };
    let mut list = Vec::new();
    for part in parts.iter().filter(|p| contract.components.contains(&p.component)) {
        // Failures count once a slot: their repetitions come close together and would weigh them more.
        let (mut within, mut probes) = (0, 0);
        let mut hours = 0;
        for (endpoint, _) in &part.endpoints {
            let mut own = 0;
            for tally in tallies(connection, endpoint, period, which)? {
                own += tally_hours(&tally.body);
                probes += tally_slots(&tally.body).map_or(0, |s| s.failure + s.unconfirmed);
                for (series, buckets) in tally_latency(&tally.body) {
                    if series == Series::Whole(Ending::Success) {
                        probes += buckets.iter().map(|(_, count)| count).sum::<u64>();
                        within += buckets.iter().filter(|(value, _)| *value <= objective.within_us).map(|(_, count)| count).sum::<u64>();
                    }
                }
            }
            hours = hours.max(own);
        }
        list.push(Latency { component: part.component.to_string(), within, probes, hours });
    }
    Ok(list)
}

/// A contract's latency as JSON.
pub fn latency_json(contract: &Contract, list: &[Latency]) -> Value {
    let Some(objective) = &contract.latency else { return Value::Null };
    let one = |l: &Latency| {
        let share = crate::judgement::sla::exact::share(l.within, l.probes).map(|s| s * whole(100));
        json!({
            "component": l.component, "within_ms": objective.within_us / 1000, "objective_percent": plain(&objective.share), "probes": l.probes, "within": l.within,
            "share_percent": share.as_ref().map(|s| truncated(s, 5)), "met": share.map(|s| s >= objective.share), "hours": l.hours, "resolution_percent": 1,
        })
    };
    list.iter().map(one).collect()
}

impl Standing {
    fn json(&self) -> Value {
        match &self.judged {
            Ok(list) => {
                let mut value = answer(&self.contract, self.period, list, &self.each);
                (value["which"], value["name"], value["why"]) = (json!(self.which), json!(self.name), Value::Null);
                value["not_seen_below_ms"] = json!(self.not_seen_below);
                value["latency"] = latency_json(&self.contract, &self.latency);
                value
            }
            Err(why) => {
                let sla = self.contract.name.as_str();
                json!({"schema": "probity-sla/1", "sla": sla, "which": self.which, "name": self.name, "why": why, "results": [], "components": []})
            }
        }
    }
}

impl Standings {
    /// `/api/v1/sla`.
    pub fn json(&self, out: &mut dyn Write) -> Result<(), Unmade> {
        let frame = json!({"schema": "probity-sla-list/1", "zone_data": crate::judgement::zones::in_use().to_json(), "contracts": []});
        write_list(out, &frame, "contracts", self.list.iter().map(Standing::json))
    }

    /// Each answer that is about a component or all of them together; tenants stay out of metrics.
    fn shown(&self) -> impl Iterator<Item = (&Standing, &Judged)> {
        self.list.iter().flat_map(|s| s.judged.iter().flatten().filter(|j| j.tenant.is_none() && j.was_in_service()).map(move |j| (s, j)))
    }

    /// `probity_sla_*`.
    pub fn write(&self, out: &mut dyn Write, format: Format) -> io::Result<()> {
        let number = |e: &Exact| e.to_f64().unwrap_or(f64::NAN);
        type Pick<'p> = &'p dyn Fn(&Standing, &Judged) -> Option<f64>;
        let seconds = |ms: Option<u64>| ms.map(|ms| ms as f64 / 1000.0);
        let families: [(&str, &str, Pick); 11] = [
            ("probity_sla_objective_ratio", "Availability that the contract promises.", &|s, _| Some(number(&(&s.contract.objective / whole(100))))),
            ("probity_sla_availability_ratio", "Availability by the point estimate, as the contract counts it; absent without measured time.", &|_, j| {
                j.availability.as_ref().map(number)
            }),
            ("probity_sla_availability_lower_ratio", "Lower bound: unknown time and what is not over yet taken as down.", &|_, j| j.lower.as_ref().map(number)),
            ("probity_sla_availability_upper_ratio", "Upper bound: unknown time taken as up.", &|_, j| j.upper.as_ref().map(number)),
            ("probity_sla_budget_seconds", "Downtime that the objective allows in the whole period.", &|_, j| Some(number(&(&j.budget / whole(1000))))),
            ("probity_sla_budget_remaining_seconds", "What is left of the budget by the point estimate; negative once it is used up.", &|_, j| {
                Some(number(&((&j.budget - &j.spent) / whole(1000))))
            }),
            ("probity_sla_period_start_timestamp_seconds", "When the period of the contract began, in its time zone.", &|s, _| {
                Some(s.period.from as f64 / 1000.0)
            }),
            ("probity_sla_outages", "Outages in the period, as the contract counts them.", &|_, j| Some(j.spells.count as f64)),
            ("probity_sla_longest_outage_seconds", "The longest outage in the period, by the point estimate; 0 without one.", &|_, j| {
                seconds(Some(j.spells.longest))
            }),
            ("probity_sla_mean_time_to_recover_seconds", "Downtime of the period divided by its outages; absent without one.", &|_, j| {
                seconds(j.spells.mean_to_recover)
            }),
            ("probity_sla_mean_time_between_failures_seconds", "Time up of the period divided by its outages; absent without one.", &|_, j| {
                seconds(j.spells.mean_between_failures)
            }),
        ];
        for (name, help, pick) in families {
            header(out, format, name, "gauge", help)?;
            for (s, j) in self.shown() {
                if let Some(value) = pick(s, j) {
                    writeln!(out, "{name}{{{}}} {value}", labels(s, j))?;
                }
            }
        }
        let help = "Share of the period's probes that answered within the contract's bound; failed ones did not. From hourly histograms, to one percent.";
        header(out, format, "probity_sla_latency_ratio", "gauge", help)?;
        for s in &self.list {
            for l in s.latency.iter().filter(|l| l.probes > 0) {
                let labels = format!("sla=\"{}\",component=\"{}\",period=\"{}\"", escaped(s.contract.name.as_str()), escaped(&l.component), s.which);
                writeln!(out, "probity_sla_latency_ratio{{{labels}}} {}", l.within as f64 / l.probes as f64)?;
            }
        }
        header(
            out,
            format,
            "probity_sla_seconds",
            "gauge",
            "Service time of the period by state: up, down, unknown, future (not over yet), and admitted maintenance beside it.",
        )?;
        for (s, j) in self.shown() {
            let t = &j.times;
            for (state, ms) in [("up", t.up), ("down", t.down), ("unknown", t.unknown), ("future", t.future), ("maintenance", t.maintenance)] {
                writeln!(out, "probity_sla_seconds{{{},state=\"{state}\"}} {}.{:03}", labels(s, j), ms / 1000, ms % 1000)?;
            }
        }
        header(out, format, "probity_sla_verdict", "gauge", "1 for the verdict of the period so far (met, missed or undetermined), 0 for the others.")?;
        for (s, j) in self.shown() {
            for verdict in [Verdict::Met, Verdict::Missed, Verdict::Undetermined] {
                writeln!(out, "probity_sla_verdict{{{},verdict=\"{}\"}} {}", labels(s, j), verdict.as_str(), u8::from(j.verdict == verdict))?;
            }
        }
        Ok(())
    }
}

fn labels(s: &Standing, j: &Judged) -> String {
    let component = j.component.as_ref().map_or(String::new(), |c| escaped(c.as_str()));
    format!("sla=\"{}\",component=\"{component}\",period=\"{}\"", escaped(s.contract.name.as_str()), s.which)
}
