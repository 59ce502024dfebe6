//! The rules of one contract: burn-rate alerts, where one failed probe cannot trip them, and the
//! coverage of its period.

use std::fmt::Write;

use super::alerts::{COVERAGE_ALERT, annotations};
use crate::config::document::value::show_duration;
use crate::config::{Endpoint, Plan};
use crate::judgement::sla::contract::Contract;
use crate::judgement::sla::exact::{Exact, plain, whole};
use crate::words::Ms;

/// A burn rate that pages or files a ticket.
struct BurnRate {
    tenths: u64,
    long: &'static str,
    short: &'static str,
    short_ms: Ms,
    severity: &'static str,
}

const BURN_RATES: [BurnRate; 3] = [
    BurnRate {
        tenths: 144,
        long: "1h",
        short: "5m",
        short_ms: 300_000,
        severity: "page",
    },
    BurnRate {
        tenths: 60,
        long: "6h",
        short: "30m",
        short_ms: 1_800_000,
        severity: "page",
    },
    BurnRate {
        tenths: 10,
        long: "3d",
        short: "6h",
        short_ms: 21_600_000,
        severity: "ticket",
    },
];
/// A rate needs at least so many intervals in its window.
const INTERVALS_IN_WINDOW: Ms = 4;

/// Shares of its windows that must be measured before a burn is told: all but what counters lag
/// behind by.
const IN_FULL_LONG: &str = "0.9";
const IN_FULL_SHORT: &str = "0.6";

/// A burn-rate alert that was emitted.
pub(super) struct Burn {
    pub alert: String,
    pub contract: String,
    pub endpoint: String,
    pub long: &'static str,
}

/// Writes the rules of a contract. Returns its burn-rate alerts.
pub(super) fn of_contract(
    out: &mut String,
    contract: &Contract,
    plan: &Plan,
    runbook: &str,
) -> Vec<Burn> {
    let endpoints: Vec<&Endpoint> = plan
        .endpoints
        .iter()
        .filter(|e| contract.components.contains(&e.component))
        .map(|e| &**e)
        .collect();
    let slowest = endpoints
        .iter()
        .map(|e| e.rules.cadence.interval)
        .max()
        .unwrap_or(0);
    let mut burnt = Vec::new();
    for rate in &BURN_RATES {
        let limit = rate.limit(contract);
        if endpoints.is_empty() || limit >= whole(1) || rate.trips_on_one_probe(&limit, slowest) {
            let _ = writeln!(
                out,
                "  # {}: no burn-rate alert of {} over {} and {}: at an interval of {} one failed \
                    probe alone would trip it.",
                contract.name,
                rate.factor(),
                rate.long,
                rate.short,
                show_duration(slowest)
            );
            continue;
        }
        rate.write(out, contract, (&endpoints, &limit), runbook);
        // A name that needs no escape inside the quotes of the tests.
        if let Some(e) = endpoints
            .iter()
            .find(|e| !e.name.as_str().contains(['\'', '"', '\\']))
        {
            burnt.push(Burn {
                alert: rate.alert(),
                contract: contract.name.to_string(),
                endpoint: e.name.to_string(),
                long: rate.long,
            });
        }
    }
    write_coverage(out, contract, runbook);
    burnt
}

impl BurnRate {
    /// `14.4`
    fn factor(&self) -> String {
        format!("{}.{}", self.tenths / 10, self.tenths % 10)
    }

    fn alert(&self) -> String {
        format!("ProbityBudgetBurn{}", self.long.to_uppercase())
    }

    /// The share of time that is lost at this rate.
    fn limit(&self, contract: &Contract) -> Exact {
        lost(contract) * Exact::new(self.tenths.into(), 10.into())
    }

    /// One failed probe can stand for at most an interval of downtime in the short window.
    fn trips_on_one_probe(&self, limit: &Exact, interval: Ms) -> bool {
        whole(interval) > limit * whole(self.short_ms)
            || interval * INTERVALS_IN_WINDOW > self.short_ms
    }

    fn write(
        &self,
        out: &mut String,
        contract: &Contract,
        (endpoints, limit): (&[&Endpoint], &Exact),
        runbook: &str,
    ) {
        let Self {
            long,
            short,
            severity,
            ..
        } = self;
        let (alert, burn, name) = (self.alert(), self.factor(), contract.name.as_str());
        let list = endpoints
            .iter()
            .map(|e| in_regex(e.name.as_str()))
            .collect::<Vec<_>>()
            .join("|");
        let limit = plain(limit);
        let _ = write!(
            out,
            "  - alert: {alert}\n    expr: |\n      1 - \
                probity:availability:ratio_{long}{{endpoint=~\"{list}\"}} > {limit}\n      and on \
                (instance, endpoint)\n      1 - \
                probity:availability:ratio_{short}{{endpoint=~\"{list}\"}} > {limit}\n      and \
                on (instance, endpoint) probity:measured:ratio_{long} > {IN_FULL_LONG} and on \
                (instance, endpoint) probity:measured:ratio_{short} > {IN_FULL_SHORT}\n    \
                keep_firing_for: 10m\n    labels: {{ severity: {severity}, sla: \"{name}\" }}\n"
        );
        out.push_str(&annotations(
            &alert,
            &format!(
                "{{{{ $labels.endpoint }}}} burns the error budget of {name} {burn} times as \
                fast as it lasts"
            ),
            &format!(
                "At this rate over {long} and {short}, {{{{ $labels.endpoint }}}} uses up \
                the error budget of {name} before its period ends."
            ),
            runbook,
        ));
    }
}

/// How much of the period of a contract can still be measured.
fn write_coverage(out: &mut String, contract: &Contract, runbook: &str) {
    let name = contract.name.as_str();
    let least = contract
        .min_coverage
        .as_ref()
        .map_or_else(|| "0.999".to_owned(), |c| plain(&(c / whole(100))));
    let _ = write!(
        out,
        "  - alert: {COVERAGE_ALERT}\n    expr: |\n      sum by (instance, sla, component) \
            (probity_sla_seconds{{sla=\"{name}\", period=\"current\", \
            state=~\"up|down|future\"}})\n      / sum by (instance, sla, component) \
            (probity_sla_seconds{{sla=\"{name}\", period=\"current\", \
            state=~\"up|down|unknown|future\"}}) < {least}\n    for: 5m\n    labels: {{ severity: \
            ticket, sla: \"{name}\" }}\n"
    );
    out.push_str(&annotations(
        COVERAGE_ALERT,
        &format!(
            "less than {least} of the period of {name} can still be measured ({{{{ \
            $labels.component }}}}): its verdict may stay undetermined"
        ),
        "The prober did not measure enough of this period. probity_unknown_seconds_total has the \
            reasons; time that is lost cannot be measured later.",
        runbook,
    ));
}

/// The share of time that an objective allows to be lost, as a plain decimal.
fn lost(contract: &Contract) -> Exact {
    (whole(100) - &contract.objective) / whole(100)
}

/// A name inside a PromQL regular expression: what could mean something there stands for any
/// character.
fn in_regex(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_alphanumeric() || c == '-' || c == '_' {
                c
            } else {
                '.'
            }
        })
        .collect()
}
