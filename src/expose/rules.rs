//! Prometheus rules of a config, and promtool's unit tests of exactly these rules.
//!
//! Multi-window burn-rate alerts (Site Reliability Workbook, chapter 5: 14.4 over 1 h and 5 min, 6 over 6 h and 30 min,
//! 1 over 3 d and 6 h) are emitted only where one failed probe cannot trip them; where it can, the file says so and the
//! alerts rest on confirmed downtime, the budget of the calendar period, and coverage.

use std::fmt::Write;

use crate::config::Plan;
use crate::config::leaf::show_duration;
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
const BURNS: [(u64, &str, &str, Ms, &str); 3] =
    [(144, "1h", "5m", 300_000, "page"), (60, "6h", "30m", 1_800_000, "page"), (10, "3d", "6h", 21_600_000, "ticket")];
/// A rate needs at least so many intervals in its window.
const INTERVALS_IN_WINDOW: Ms = 4;

/// Everything for a plan; of each contract the version that is in force at `now`.
pub fn rules(plan: &Plan, now: UtcMs) -> Rules {
    let mut out = String::from(HEAD);
    out.push_str("- name: probity-availability\n  rules:\n");
    out.push_str(&recording());
    out.push_str(&alerts());
    let mut burnt = Vec::new();
    let in_force: Vec<&Contract> = plan
        .contracts
        .names()
        .iter()
        .filter_map(|name| {
            let zone = plan.contracts.list.iter().find(|c| c.name == *name).map(|c| &c.zone)?;
            plan.contracts.in_force(name, day_of(now, zone))
        })
        .collect();
    if !in_force.is_empty() {
        out.push_str("\n- name: probity-contracts\n  rules:\n");
        out.push_str(&budgets());
    }
    for contract in in_force {
        burnt.extend(of_contract(&mut out, contract, plan));
    }
    Rules { rules: out, tests: tests(plan, burnt.first()) }
}

/// A name inside a PromQL regular expression: what could mean something there stands for any character.
fn in_regex(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '.' }).collect()
}

/// The share of time that an objective allows to be lost, as a plain decimal.
fn lost(contract: &Contract) -> Exact {
    (whole(100) - &contract.objective) / whole(100)
}

/// Alerts on the budgets of all contracts, which the daemon itself computes over their own periods.
fn budgets() -> String {
    one(
        "ProbityBudgetConsumed",
        "probity_sla_budget_remaining_seconds{period=\"current\"} <= 0",
        "",
        "page",
        "the error budget of {{ $labels.sla }} for its period is used up ({{ $labels.component }})",
    ) + &one(
        "ProbityBudgetHalfConsumed",
        "probity_sla_budget_remaining_seconds{period=\"current\"} < 0.5 * probity_sla_budget_seconds{period=\"current\"}",
        "",
        "ticket",
        "more than half of the error budget of {{ $labels.sla }} for its period is used ({{ $labels.component }})",
    )
}

/// One alerting rule.
fn one(name: &str, expr: &str, wait: &str, severity: &str, summary: &str) -> String {
    let wait = if wait.is_empty() { String::new() } else { format!("    for: {wait}\n") };
    format!(
        "  - alert: {name}\n    expr: {expr}\n{wait}    keep_firing_for: 15m\n    labels: {{ severity: {severity} }}\n    annotations:\n      summary: \"{summary}\"\n"
    )
}

/// A burn-rate alert that was emitted.
struct Burn {
    alert: String,
    contract: String,
    endpoint: String,
}

fn of_contract(out: &mut String, contract: &Contract, plan: &Plan) -> Vec<Burn> {
    let name = contract.name.as_str();
    let endpoints: Vec<_> = plan.endpoints.iter().filter(|e| contract.components.contains(&e.component)).collect();
    let slowest = endpoints.iter().map(|e| e.rules.cadence.interval).max().unwrap_or(0);
    let allowed = lost(contract);
    let mut burnt = Vec::new();
    for (tenths, long, short, short_ms, severity) in BURNS {
        let limit = &allowed * Exact::new(tenths.into(), 10.into());
        // One failed probe can stand for at most an interval of downtime in the short window.
        let tripped = whole(slowest) > &limit * whole(short_ms) || slowest * INTERVALS_IN_WINDOW > short_ms;
        let burn = format!("{}.{}", tenths / 10, tenths % 10);
        if tripped || endpoints.is_empty() || limit >= whole(1) {
            let _ = writeln!(
                out,
                "  # {name}: no burn-rate alert of {burn} over {long} and {short}: at an interval of {} one failed probe alone would trip it.",
                show_duration(slowest)
            );
            continue;
        }
        let alert = format!("ProbityBudgetBurn{}", long.to_uppercase());
        let list = endpoints.iter().map(|e| in_regex(e.name.as_str())).collect::<Vec<_>>().join("|");
        let limit = plain(&limit);
        let _ = write!(
            out,
            "  - alert: {alert}\n    expr: |\n      1 - probity:availability:ratio_{long}{{endpoint=~\"{list}\"}} > {limit}\n      and on (instance, endpoint)\n      1 - probity:availability:ratio_{short}{{endpoint=~\"{list}\"}} > {limit}\n    keep_firing_for: 10m\n    labels: {{ severity: {severity}, sla: \"{name}\" }}\n    annotations:\n      summary: \"{{{{ $labels.endpoint }}}} burns the error budget of {name} {burn} times as fast as it lasts\"\n"
        );
        if let Some(e) = endpoints.iter().find(|e| in_regex(e.name.as_str()) == e.name.as_str()) {
            burnt.push(Burn { alert, contract: name.to_owned(), endpoint: e.name.to_string() });
        }
    }
    let least = contract.min_coverage.as_ref().map_or_else(|| "0.999".to_owned(), |c| plain(&(c / whole(100))));
    let _ = write!(
        out,
        "  - alert: ProbityCoverageLow\n    expr: |\n      sum by (instance, sla, component) (probity_sla_seconds{{sla=\"{name}\", period=\"current\", state=~\"up|down\"}})\n      / sum by (instance, sla, component) (probity_sla_seconds{{sla=\"{name}\", period=\"current\", state=~\"up|down|unknown\"}}) < {least}\n    for: 5m\n    keep_firing_for: 15m\n    labels: {{ severity: ticket, sla: \"{name}\" }}\n    annotations:\n      summary: \"less than {least} of the time of {name} was measured ({{{{ $labels.component }}}}): its verdict may stay undetermined\"\n"
    );
    burnt
}

const HEAD: &str = "# Written by `probity rules`. Joins are on (instance, endpoint); every rate is between states, never against wall time.\ngroups:\n";

const WINDOWS: [&str; 6] = ["5m", "30m", "1h", "6h", "1d", "3d"];

fn recording() -> String {
    let mut out = String::new();
    for window in WINDOWS {
        let _ = write!(
            out,
            "  - record: probity:availability:ratio_{window}\n    expr: |\n      sum by (instance, endpoint) (increase(probity_endpoint_state_seconds_total{{state=\"up\"}}[{window}]))\n      / (sum by (instance, endpoint) (increase(probity_endpoint_state_seconds_total{{state=~\"up|down\"}}[{window}])) > 0)\n"
        );
    }
    out
}

fn alerts() -> String {
    let mut out = String::from("\n- name: probity-endpoints\n  rules:\n");
    out += &one("ProbityEndpointDown", "probity_endpoint_state{state=\"down\"} == 1", "", "page", "{{ $labels.endpoint }} is down (confirmed)");
    out += &one(
        "ProbityEndpointUnknown",
        "probity_endpoint_state{state=\"unknown\"} == 1",
        "5m",
        "ticket",
        "{{ $labels.endpoint }} has not been measured for five minutes",
    );
    out += &one(
        "ProbityCertificateExpiring",
        "(probity_tls_certificate_not_after_timestamp_seconds{certificate=\"leaf\"} - time()) < 14 * 86400",
        "",
        "ticket",
        "the certificate of {{ $labels.endpoint }} ends within 14 days",
    );
    out += "\n- name: probity-itself\n  rules:\n";
    out += "  # A prober that is gone resolves nothing: alerts keep firing, and this one speaks. Inhibit others by it where that helps:\n  # inhibit_rules: [{ source_matchers: [alertname=ProbityGone], target_matchers: [alertname=~\"ProbityEndpoint.*\"], equal: [instance] }]\n";
    out += &one("ProbityGone", "up{job=\"probity\"} == 0 or absent(up{job=\"probity\"})", "1m", "page", "no prober answers: nothing is being measured");
    out += &one("ProbityNotRecording", "probity_history_writable == 0", "1m", "page", "the history takes no writes; figures stand still");
    out += &one(
        "ProbityConfigRefused",
        "probity_config_last_reload_successful == 0",
        "5m",
        "ticket",
        "the last reload was refused; the config before is in force",
    );
    out += &one("ProbityWitnessesSilent", "probity_witness_quorum_met == 0", "1m", "page", "the prober's own network seems lost");
    out
}

/// promtool's unit tests: an outage, a gap, a restart, a dead prober, and a burn where there is an alert for one.
fn tests(plan: &Plan, burn: Option<&Burn>) -> String {
    let mut out =
        String::from("# Written by `probity rules`: run with promtool test rules.\nrule_files: [probity-rules.yml]\nevaluation_interval: 30s\ntests:\n");
    out += r#"- name: an outage fires and resolves after keep_firing_for
  interval: 30s
  input_series:
  - { series: 'probity_endpoint_state{instance="a",endpoint="shop",state="down"}', values: '0x9 1x9 0x60' }
  alert_rule_test:
  - { eval_time: 4m, alertname: ProbityEndpointDown, exp_alerts: [] }
  - eval_time: 6m
    alertname: ProbityEndpointDown
    exp_alerts: [{ exp_labels: { instance: a, endpoint: shop, state: down, severity: page }, exp_annotations: { summary: "shop is down (confirmed)" } }]
  - { eval_time: 38m, alertname: ProbityEndpointDown, exp_alerts: [] }
- name: a prober that dies in an outage does not resolve it, and ProbityGone speaks
  interval: 30s
  input_series:
  - { series: 'probity_endpoint_state{instance="a",endpoint="shop",state="down"}', values: '1x9 _x60' }
  - { series: 'up{job="probity",instance="a"}', values: '1x9 0x60' }
  alert_rule_test:
  - eval_time: 15m
    alertname: ProbityEndpointDown
    exp_alerts: [{ exp_labels: { instance: a, endpoint: shop, state: down, severity: page }, exp_annotations: { summary: "shop is down (confirmed)" } }]
  - eval_time: 15m
    alertname: ProbityGone
    exp_alerts: [{ exp_labels: { job: probity, instance: a, severity: page }, exp_annotations: { summary: "no prober answers: nothing is being measured" } }]
- name: a gap is neither up nor down, and a restart takes nothing back
  interval: 30s
  input_series:
  - { series: 'probity_endpoint_state_seconds_total{instance="a",endpoint="shop",state="up"}', values: '0+30x40 _x8 1200+30x40' }
  - { series: 'probity_endpoint_state_seconds_total{instance="a",endpoint="shop",state="down"}', values: '0x40 _x8 0x40' }
  - { series: 'probity_endpoint_state_seconds_total{instance="a",endpoint="shop",state="unknown"}', values: '0x40 _x8 240x40' }
  promql_expr_test:
  - expr: probity:availability:ratio_1h
    eval_time: 40m
    exp_samples: [{ labels: 'probity:availability:ratio_1h{instance="a",endpoint="shop"}', value: 1 }]
- name: a stopped history is told
  interval: 30s
  input_series:
  - { series: 'probity_history_writable{instance="a"}', values: '1x4 0x20' }
  alert_rule_test:
  - eval_time: 6m
    alertname: ProbityNotRecording
    exp_alerts: [{ exp_labels: { instance: a, severity: page }, exp_annotations: { summary: "the history takes no writes; figures stand still" } }]
"#;
    if let Some(contract) = plan.contracts.list.first() {
        let name = contract.name.as_str();
        let _ = write!(
            out,
            "- name: a used budget is told\n  interval: 30s\n  input_series:\n  - {{ series: 'probity_sla_budget_remaining_seconds{{instance=\"a\",sla=\"{name}\",component=\"c\",period=\"current\"}}', values: '10x4 -1x20' }}\n  alert_rule_test:\n  - {{ eval_time: 1m, alertname: ProbityBudgetConsumed, exp_alerts: [] }}\n  - eval_time: 5m\n    alertname: ProbityBudgetConsumed\n    exp_alerts: [{{ exp_labels: {{ instance: a, sla: \"{name}\", component: c, period: current, severity: page }}, exp_annotations: {{ summary: \"the error budget of {name} for its period is used up (c)\" }} }}]\n"
        );
    }
    if let Some(b) = burn {
        // Half of the time down is more than any limit.
        let _ = write!(
            out,
            "- name: a burn is told, a single failed probe is not\n  interval: 30s\n  input_series:\n  - {{ series: 'probity_endpoint_state_seconds_total{{instance=\"a\",endpoint=\"{0}\",state=\"up\"}}', values: '0+15x600' }}\n  - {{ series: 'probity_endpoint_state_seconds_total{{instance=\"a\",endpoint=\"{0}\",state=\"down\"}}', values: '0+15x600' }}\n  promql_expr_test:\n  - expr: count(ALERTS{{alertname=\"{1}\",sla=\"{2}\",alertstate=\"firing\"}})\n    eval_time: 4h\n    exp_samples: [{{ labels: '{{}}', value: 1 }}]\n",
            b.endpoint, b.alert, b.contract
        );
    }
    out
}
