//! Prometheus rules of a config, and promtool's unit tests of exactly these rules.
//!
//! Multi-window burn-rate alerts (Site Reliability Workbook, chapter 5: 14.4 over 1 h and 5 min, 6
//! over 6 h and 30 min, 1 over 3 d and 6 h) are emitted only where one failed probe cannot trip
//! them; where it can, the file says so and the alerts rest on confirmed downtime, the budget of
//! the calendar period, and coverage. An outage that fits between two evaluations is found by a
//! counter that is held against what the evaluation before saw of it.

use std::fmt::Write;

use self::alerts::{
    BACKUP_OLD, BUDGET_CONSUMED, BUDGET_HALF_CONSUMED, CERTIFICATE_EXPIRING, CONFIG_REFUSED,
    ENDPOINT_DOWN, ENDPOINT_UNKNOWN, GONE, NOT_RECORDING, WITNESSES_SILENT, backup_old_after,
    runbook_without_instance,
};
use self::burn::of_contract;
use self::unit_tests::tests;
use crate::config::Plan;
use crate::judgement::sla::calendar::day_of;
use crate::judgement::sla::contract::Contract;
use crate::words::UtcMs;

mod alerts;
mod burn;
mod unit_tests;

/// The files that are written.
pub struct RuleFiles {
    pub rules: String,
    pub tests: String,
}

/// Where the daemon that an alert is about serves its runbook.
pub const OWN_RUNBOOK: &str = "http://{{ $labels.instance }}/runbook";

/// Everything for a plan; of each contract the version that is in force at `now`. `runbook`: the
/// URL that alerts link to.
pub fn rules(plan: &Plan, now: UtcMs, runbook: &str) -> RuleFiles {
    let mut out = String::from(HEAD);
    out.push_str("- name: probity-availability\n  rules:\n");
    out.push_str(&recording());
    out.push_str(&alerts(plan, runbook));
    let mut burnt = Vec::new();
    let in_force: Vec<&Contract> = plan
        .contracts
        .names()
        .iter()
        .filter_map(|name| {
            let zone = plan
                .contracts
                .list
                .iter()
                .find(|c| c.name == *name)
                .map(|c| &c.zone)?;
            plan.contracts.in_force(name, day_of(now, zone))
        })
        .collect();
    if !in_force.is_empty() {
        out.push_str("\n- name: probity-contracts\n  rules:\n");
        out.push_str(
            &[BUDGET_CONSUMED, BUDGET_HALF_CONSUMED]
                .map(|a| a.written(runbook))
                .concat(),
        );
    }
    for contract in in_force {
        burnt.extend(of_contract(&mut out, contract, plan, runbook));
    }
    RuleFiles {
        rules: out,
        tests: tests(plan, &burnt, runbook),
    }
}

const HEAD: &str = "# Written by `probity rules`. Joins are on (instance, endpoint); every rate \
    is between states, never against wall time.\ngroups:\n";

const WINDOWS: [&str; 6] = ["5m", "30m", "1h", "6h", "1d", "3d"];

fn recording() -> String {
    let mut out = String::new();
    for window in WINDOWS {
        let _ = write!(
            out,
            "  - record: probity:availability:ratio_{window}\n    expr: |\n      sum by \
                (instance, endpoint) \
                (increase(probity_endpoint_state_seconds_total{{state=\"up\"}}[{window}]))\n      \
                / (sum by (instance, endpoint) \
                (increase(probity_endpoint_state_seconds_total{{state=~\"up|down\"}}[{window}])) \
                > 0)\n"
        );
        // Of the window, not of what is there: a prober that is new or was stopped has measured a
        // part of it.
        let _ = write!(
            out,
            "  - record: probity:measured:ratio_{window}\n    expr: sum by (instance, endpoint) \
                (increase(probity_endpoint_state_seconds_total{{state=~\"up|down\"}}[{window}])) \
                / {}\n",
            seconds_of(window)
        );
    }
    out
}

/// A window's length in seconds.
fn seconds_of(window: &str) -> u64 {
    let (number, unit) = window.split_at(window.len() - 1);
    let unit = match unit {
        "m" => 60,
        "h" => 3600,
        _ => 86_400,
    };
    number.parse::<u64>().unwrap_or(1) * unit
}

fn alerts(plan: &Plan, runbook: &str) -> String {
    let mut out = String::from("\n- name: probity-endpoints\n  rules:\n");
    out.push_str(
        &[ENDPOINT_DOWN, ENDPOINT_UNKNOWN, CERTIFICATE_EXPIRING]
            .map(|a| a.written(runbook))
            .concat(),
    );
    out.push_str(
        "  # Behind the alert that looks at it: what this evaluation saw, for the next one.\n",
    );
    out.push_str(
        "  - record: probity:endpoint_outages:seen\n    expr: \
        probity_endpoint_transitions_total{to=\"down\"}\n",
    );
    out.push_str("\n- name: probity-itself\n  rules:\n");
    out.push_str(
        "  # A prober that is gone resolves nothing: alerts keep firing, and this one \
        speaks. Inhibit others by it where that helps:\n  # inhibit_rules: [{ source_matchers: \
        [alertname=ProbityGone], target_matchers: [alertname=~\"ProbityEndpoint.*\"], equal: \
        [instance] }]\n",
    );
    out.push_str(&GONE.written(&runbook_without_instance(plan, runbook)));
    out.push_str(
        &[NOT_RECORDING, CONFIG_REFUSED, WITNESSES_SILENT]
            .map(|a| a.written(runbook))
            .concat(),
    );
    if let Some((place, seconds)) = backup_old_after(plan) {
        out.push_str(
            &BACKUP_OLD
                .written(runbook)
                .replace(place, &seconds.to_string()),
        );
    }
    out
}
