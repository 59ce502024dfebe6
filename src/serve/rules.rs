//! Prometheus rules of a config, and promtool's unit tests of exactly these rules.
//!
//! Multi-window burn-rate alerts (Site Reliability Workbook, chapter 5: 14.4 over 1 h and 5 min, 6
//! over 6 h and 30 min, 1 over 3 d and 6 h) are emitted only where one failed probe cannot trip
//! them; where it can, the file says so and the alerts rest on confirmed downtime, the budget of
//! the calendar period, and coverage. An outage that fits between two evaluations is found by a
//! counter that is held against what the evaluation before saw of it.

use std::fmt::Write;

use super::rules_tests::{Burn, tests};
use crate::config::Plan;
use crate::config::document::value::show_duration;
use crate::judgement::sla::calendar::day_of;
use crate::judgement::sla::contract::Contract;
use crate::judgement::sla::exact::{Exact, plain, whole};
use crate::words::{Ms, UtcMs};

/// The files that are written.
pub struct Rules {
    pub rules: String,
    pub tests: String,
}

/// (burn rate in tenths, long window, short window, severity).
const BURNS: [(u64, &str, &str, Ms, &str); 3] = [
    (144, "1h", "5m", 300_000, "page"),
    (60, "6h", "30m", 1_800_000, "page"),
    (10, "3d", "6h", 21_600_000, "ticket"),
];
/// A rate needs at least so many intervals in its window.
const INTERVALS_IN_WINDOW: Ms = 4;

/// Where the daemon that an alert is about serves its runbook.
pub const OWN_RUNBOOK: &str = "http://{{ $labels.instance }}/runbook";

/// Everything for a plan; of each contract the version that is in force at `now`. `runbook`: the
/// URL that alerts link to.
pub fn rules(plan: &Plan, now: UtcMs, runbook: &str) -> Rules {
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
    Rules {
        rules: out,
        tests: tests(plan, &burnt, runbook),
    }
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

/// The share of time that an objective allows to be lost, as a plain decimal.
fn lost(contract: &Contract) -> Exact {
    (whole(100) - &contract.objective) / whole(100)
}

/// One alerting rule.
pub(super) struct Alert {
    pub name: &'static str,
    /// A line each.
    pub expr: &'static [&'static str],
    /// How long the expression must hold; empty: not at all.
    pub wait: &'static str,
    pub severity: &'static str,
    pub summary: &'static str,
    pub description: &'static str,
}

impl Alert {
    fn written(&self, runbook: &str) -> String {
        let expr = match self.expr {
            [one] => format!(" {one}"),
            lines => format!(" |\n      {}", lines.join("\n      ")),
        };
        let wait = if self.wait.is_empty() {
            String::new()
        } else {
            format!("    for: {}\n", self.wait)
        };
        let annotations = annotations(self.name, self.summary, self.description, runbook);
        format!(
            "  - alert: {}\n    expr:{expr}\n{wait}    labels: {{ severity: {} }}\n{annotations}",
            self.name, self.severity
        )
    }
}

fn annotations(name: &str, summary: &str, description: &str, runbook: &str) -> String {
    format!(
        "    annotations:\n      summary: \"{summary}\"\n      \
            description: \"{description}\"\n      runbook_url: \"{runbook}#{}\"\n",
        name.to_lowercase()
    )
}

/// A target that was never found has no instance; the runbook is linked on the address in the
/// config then.
pub(super) fn runbook_without_instance(plan: &Plan, runbook: &str) -> String {
    runbook.replace(
        "{{ $labels.instance }}",
        &format!("{{{{ or $labels.instance `{}` }}}}", plan.listen.address),
    )
}

pub(super) const CERTIFICATE_ALERT: &str = "ProbityCertificateExpiring";
pub(super) const COVERAGE_ALERT: &str = "ProbityCoverageLow";

pub(super) const ENDPOINT_DOWN: Alert = Alert {
    name: "ProbityEndpointDown",
    expr: &[
        "probity_endpoint_state{state=\"down\"} == 1",
        "# An outage that began and ended since the evaluation before.",
        "or probity_endpoint_state{state=\"down\"} == 0 and on (instance, endpoint) (",
        "  probity_endpoint_transitions_total{to=\"down\"} > on (instance, endpoint) \
            last_over_time(probity:endpoint_outages:seen[1h] offset 1s)",
        ")",
        "# A prober that is gone resolves nothing.",
        "or last_over_time(probity_endpoint_state{state=\"down\"}[1h]) == 1 and on (instance) up \
            == 0",
    ],
    wait: "",
    severity: "page",
    summary: "{{ $labels.endpoint }} is down, or was since the last evaluation (confirmed)",
    description: "Probity confirmed an outage of {{ $labels.endpoint }}. The prober's page shows \
        its cause and whether it is over. An outage that was shorter than the time between two \
        evaluations fires for one evaluation.",
};
const ENDPOINT_UNKNOWN: Alert = Alert {
    name: "ProbityEndpointUnknown",
    expr: &["probity_endpoint_state{state=\"unknown\"} == 1"],
    wait: "5m",
    severity: "ticket",
    summary: "{{ $labels.endpoint }} has not been measured for five minutes",
    description: "The prober itself cannot measure {{ $labels.endpoint }}: this time is unknown, \
        not downtime. probity_probe_unmeasured_total has the reason.",
};
const CERTIFICATE_EXPIRING: Alert = Alert {
    name: CERTIFICATE_ALERT,
    expr: &[
        "# The leaf, or a certificate of the verified path that ends before it. A certificate of \
            42 days or more",
        "# fires at 14 days, one of a shorter life at a third of it.",
        "(min without (certificate) \
            (probity_tls_certificate_not_after_timestamp_seconds{certificate=~\"leaf|chain\"}) - \
            time() < 14 * 86400)",
        "< ignoring (certificate) (",
        "  probity_tls_certificate_not_after_timestamp_seconds{certificate=\"leaf\"} -",
        "  probity_tls_certificate_not_before_timestamp_seconds{certificate=\"leaf\"}",
        ") / 3",
    ],
    wait: "",
    severity: "ticket",
    summary: "a certificate of {{ $labels.endpoint }} ends soon",
    description: "A certificate that {{ $labels.endpoint }} is verified by has {{ $value | \
        humanizeDuration }} left. Clients refuse it afterwards.",
};
pub(super) const GONE: Alert = Alert {
    name: "ProbityGone",
    expr: &["up{job=\"probity\"} == 0 or absent(up{job=\"probity\"})"],
    wait: "1m",
    severity: "page",
    summary: "no prober answers: nothing is being measured",
    description: "Prometheus cannot scrape the prober. Look at the service on its host (systemctl \
        status probity, journalctl -u probity). Time without a prober is unknown in every report.",
};
pub(super) const NOT_RECORDING: Alert = Alert {
    name: "ProbityNotRecording",
    expr: &["probity_history_writable == 0"],
    wait: "1m",
    severity: "page",
    summary: "the history is not writable; figures are frozen",
    description: "The disk of {{ $labels.instance }} is full, read-only or failing. Probes \
        continue, and up to 100,000 events wait in memory; what is lost beyond that is unknown \
        time.",
};
const CONFIG_REFUSED: Alert = Alert {
    name: "ProbityConfigRefused",
    expr: &["probity_config_last_reload_successful == 0"],
    wait: "5m",
    severity: "ticket",
    summary: "the last reload was refused; the config before is in force",
    description: "The config of {{ $labels.instance }} has faults. `probity check` lists each with \
        its line; the daemon continues with its present config.",
};
const WITNESSES_SILENT: Alert = Alert {
    name: "ProbityWitnessesSilent",
    expr: &["probity_witness_quorum_met == 0"],
    wait: "1m",
    severity: "page",
    summary: "the prober's own network seems lost",
    description: "No quorum of the witnesses of {{ $labels.instance }} answers. Failures of \
        endpoints are unknown time until they do.",
};
pub(super) const BUDGET_CONSUMED: Alert = Alert {
    name: "ProbityBudgetConsumed",
    expr: &["probity_sla_budget_remaining_seconds{period=\"current\"} <= 0"],
    wait: "",
    severity: "page",
    summary: "the error budget of {{ $labels.sla }} for its period is used up ({{ \
        $labels.component }})",
    description: "{{ $labels.component }} has had more downtime in this period than the objective \
        of {{ $labels.sla }} allows. `probity sla evaluate` shows the outages, the bounds and the \
        verdict.",
};
const BUDGET_HALF_CONSUMED: Alert = Alert {
    name: "ProbityBudgetHalfConsumed",
    expr: &[
        "probity_sla_budget_remaining_seconds{period=\"current\"} < 0.5 * \
            probity_sla_budget_seconds{period=\"current\"}",
    ],
    wait: "",
    severity: "ticket",
    summary: "more than half of the error budget of {{ $labels.sla }} for its period is used ({{ \
        $labels.component }})",
    description: "{{ $labels.component }} has {{ $value | humanizeDuration }} of downtime left in \
        this period before {{ $labels.sla }} is missed.",
};

fn of_contract(out: &mut String, contract: &Contract, plan: &Plan, runbook: &str) -> Vec<Burn> {
    let name = contract.name.as_str();
    let endpoints: Vec<_> = plan
        .endpoints
        .iter()
        .filter(|e| contract.components.contains(&e.component))
        .collect();
    let slowest = endpoints
        .iter()
        .map(|e| e.rules.cadence.interval)
        .max()
        .unwrap_or(0);
    let allowed = lost(contract);
    let mut burnt = Vec::new();
    for (tenths, long, short, short_ms, severity) in BURNS {
        let limit = &allowed * Exact::new(tenths.into(), 10.into());
        // One failed probe can stand for at most an interval of downtime in the short window.
        let tripped =
            whole(slowest) > &limit * whole(short_ms) || slowest * INTERVALS_IN_WINDOW > short_ms;
        let burn = format!("{}.{}", tenths / 10, tenths % 10);
        if tripped || endpoints.is_empty() || limit >= whole(1) {
            let _ = writeln!(
                out,
                "  # {name}: no burn-rate alert of {burn} over {long} and {short}: at an interval \
                    of {} one failed probe alone would trip it.",
                show_duration(slowest)
            );
            continue;
        }
        let alert = format!("ProbityBudgetBurn{}", long.to_uppercase());
        let list = endpoints
            .iter()
            .map(|e| in_regex(e.name.as_str()))
            .collect::<Vec<_>>()
            .join("|");
        let limit = plain(&limit);
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
        // A name that needs no escape inside the quotes of the tests.
        if let Some(e) = endpoints
            .iter()
            .find(|e| !e.name.as_str().contains(['\'', '"', '\\']))
        {
            burnt.push(Burn {
                alert,
                contract: name.to_owned(),
                endpoint: e.name.to_string(),
                long,
            });
        }
    }
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
    burnt
}

const HEAD: &str = "# Written by `probity rules`. Joins are on (instance, endpoint); every rate \
    is between states, never against wall time.\ngroups:\n";

/// Shares of its windows that must be measured before a burn is told: all but what counters lag
/// behind by.
const IN_FULL_LONG: &str = "0.9";
const IN_FULL_SHORT: &str = "0.6";

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
    out
}
