//! promtool's unit tests of the rules that [`super::rules()`] writes: outages short and long, a
//! dead prober, gaps, budgets.

use std::fmt::Write;

use super::alerts::{
    Alert, BACKUP_OLD, BUDGET_CONSUMED, CERTIFICATE_ALERT, COVERAGE_ALERT, ENDPOINT_DOWN, GONE,
    NOT_RECORDING, backup_old_after, runbook_without_instance,
};
use super::burn::Burn;
use crate::config::Plan;
use crate::judgement::sla::exact::Exact;

/// An alert that is expected, with its labels in the order of the file.
fn expected(alert: &Alert, runbook: &str, labels: &[(&str, &str)]) -> String {
    let fill = |text: &str| {
        let text = labels.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{{ $labels.{name} }}}}"), value)
        });
        match text.split_once("{{ or $labels.instance `") {
            Some((before, rest)) => format!(
                "{before}a{}",
                rest.split_once("` }}").map_or("", |(_, after)| after)
            ),
            None => text,
        }
    };
    let list = labels
        .iter()
        .map(|(name, value)| format!("{name}: \"{value}\""))
        .collect::<Vec<_>>()
        .join(", ");
    format!(
        "[{{ exp_labels: {{ {list}, severity: {} }}, exp_annotations: {{ summary: \"{}\", \
            description: \"{}\", runbook_url: \"{}#{}\" }} }}]",
        alert.severity,
        fill(alert.summary),
        fill(alert.description),
        fill(runbook),
        alert.name.to_lowercase()
    )
}

/// (name, the live state, the counter of outages, when the alert fires, when it does not)
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const CASES: [Case; 6] = [
    (
        "an outage between two evaluations fires at the next and is over at the one after",
        "0x4 1x2 0x60",
        "0x4 1x62",
        &["2m"],
        &["1m", "3m", "4m"],
    ),
    (
        "so does one that no scrape saw",
        "0x60",
        "0x5 1x61",
        &["2m"],
        &["1m", "3m", "4m"],
    ),
    (
        "and each of several in a row",
        "0x60",
        "0x4 1x3 2x3 3x60",
        &["2m", "3m", "4m"],
        &["1m", "5m"],
    ),
    (
        "a longer outage fires while it lasts and is over at the first evaluation after it",
        "0x4 1x15 0x60",
        "0x4 1x76",
        &["2m", "3m", "5m"],
        &["1m", "6m"],
    ),
    (
        "outages of before the first scrape and a history that was restored fire nothing",
        "0x60",
        "7x20 0x40",
        &[],
        &["1m", "2m", "5m", "6m", "7m"],
    ),
    (
        "an outage in a restart of the prober fires once it is back",
        "0x3 _x8 0x60",
        "3x3 _x8 4x60",
        &["3m"],
        &["1m", "2m", "4m"],
    ),
];

/// Evaluated each minute and scraped each 15 seconds: most of what happens lies between two
/// evaluations.
pub(super) fn tests(plan: &Plan, burns: &[Burn], runbook: &str) -> String {
    let mut out = String::from(
        "# Written by `probity rules`: run with promtool test rules.\nrule_files: \
            [probity-rules.yml]\nevaluation_interval: 1m\ntests:\n",
    );
    of_outages(&mut out, runbook);
    of_the_prober(&mut out, plan, runbook);
    of_backups(&mut out, plan, runbook);
    of_certificates(&mut out);
    of_contracts(&mut out, plan, runbook);
    for (k, burn) in burns.iter().enumerate() {
        // One of each window.
        if burns[..k].iter().all(|before| before.alert != burn.alert) {
            of_burn(&mut out, burn);
        }
    }
    out
}

/// The series of one endpoint: that it is down, and how often it has become so.
const STATE: &str = "probity_endpoint_state{instance=\"a\",endpoint=\"shop\",state=\"down\"}";
const OUTAGES: &str =
    "probity_endpoint_transitions_total{instance=\"a\",endpoint=\"shop\",to=\"down\"}";

/// That the alert of an outage fires at an evaluation.
fn fires(at: &str, runbook: &str) -> String {
    let down = expected(
        &ENDPOINT_DOWN,
        runbook,
        &[("instance", "a"), ("endpoint", "shop"), ("state", "down")],
    );
    format!("  - eval_time: {at}\n    alertname: ProbityEndpointDown\n    exp_alerts: {down}\n")
}

fn of_outages(out: &mut String, runbook: &str) {
    let none = |at: &str| {
        format!("  - {{ eval_time: {at}, alertname: ProbityEndpointDown, exp_alerts: [] }}\n")
    };
    for (name, live, counted, firing, silent) in CASES {
        let _ = write!(
            out,
            "- name: {name}\n  interval: 15s\n  input_series:\n  - {{ series: '{STATE}', values: \
                '{live}' }}\n  - {{ series: '{OUTAGES}', values: '{counted}' }}\n  \
                alert_rule_test:\n"
        );
        out.push_str(
            &silent
                .iter()
                .map(|at| none(at))
                .chain(firing.iter().map(|at| fires(at, runbook)))
                .collect::<String>(),
        );
    }
}

/// A prober that dies or is restarted, and one that records nothing.
fn of_the_prober(out: &mut String, plan: &Plan, runbook: &str) {
    let gone = expected(
        &GONE,
        &runbook_without_instance(plan, runbook),
        &[("job", "probity"), ("instance", "a")],
    );
    let stopped = expected(&NOT_RECORDING, runbook, &[("instance", "a")]);
    let _ = write!(
        out,
        "- name: a prober that dies in an outage does not resolve it, and ProbityGone speaks
  interval: 15s
  input_series:
  - {{ series: '{STATE}', values: '1x18 stale' }}
  - {{ series: 'up{{job=\"probity\",instance=\"a\"}}', values: '1x18 0x120' }}
  alert_rule_test:
{}  - eval_time: 15m
    alertname: ProbityGone
    exp_alerts: {gone}
- name: a gap is neither up nor down, and a restart takes nothing back
  interval: 30s
  input_series:
  - {{ series: \
  'probity_endpoint_state_seconds_total{{instance=\"a\",endpoint=\"shop\",state=\"up\"}}', \
  values: '0+30x40 _x8 1200+30x40' }}
  - {{ series: \
  'probity_endpoint_state_seconds_total{{instance=\"a\",endpoint=\"shop\",state=\"down\"}}', \
  values: '0x40 _x8 0x40' }}
  - {{ series: \
  'probity_endpoint_state_seconds_total{{instance=\"a\",endpoint=\"shop\",state=\"unknown\"}}', \
  values: '0x40 _x8 240x40' }}
  promql_expr_test:
  - expr: probity:availability:ratio_1h
    eval_time: 40m
    exp_samples: [{{ labels: 'probity:availability:ratio_1h{{instance=\"a\",endpoint=\"shop\"}}', \
    value: 1 }}]
- name: a stopped history fires
  interval: 30s
  input_series:
  - {{ series: 'probity_history_writable{{instance=\"a\"}}', values: '1x4 0x20' }}
  alert_rule_test:
  - eval_time: 6m
    alertname: ProbityNotRecording
    exp_alerts: {stopped}
",
        fires("15m", runbook)
    );
}

/// A backup that is made when it is due, and one that is not made again.
fn of_backups(out: &mut String, plan: &Plan, runbook: &str) {
    let Some((_, seconds)) = backup_old_after(plan) else {
        return;
    };
    let old = expected(&BACKUP_OLD, runbook, &[("instance", "a")]);
    let _ = write!(
        out,
        "- name: a history without a new backup is reported, one that is backed up is not
  interval: 1m
  input_series:
  - {{ series: 'probity_backup_last_success_timestamp_seconds{{instance=\"a\"}}', \
  values: '-{seconds}x40' }}
  - {{ series: 'probity_backup_last_success_timestamp_seconds{{instance=\"b\"}}', \
  values: '0+60x40' }}
  alert_rule_test:
  - eval_time: 10m
    alertname: ProbityBackupOld
    exp_alerts: []
  - eval_time: 20m
    alertname: ProbityBackupOld
    exp_alerts: {old}
"
    );
}

const DAY: i64 = 86_400;

/// (endpoint, days since the leaf was issued, days of the leaf, of the path and of what was sent
/// that are left; whether it fires)
type Dates = (&'static str, i64, i64, Option<i64>, i64, Fires);

#[derive(PartialEq, Eq)]
enum Fires {
    Now,
    Not,
}

const CERTIFICATES: [Dates; 9] = [
    ("90-days-new", 0, 90, Some(90), 90, Fires::Not),
    ("90-days-at-15", 75, 15, Some(15), 15, Fires::Not),
    ("90-days-at-13", 77, 13, Some(13), 13, Fires::Now),
    ("6-days-new", 0, 6, Some(6), 6, Fires::Not),
    ("6-days-at-3", 3, 3, Some(3), 3, Fires::Not),
    ("6-days-at-1", 5, 1, Some(1), 1, Fires::Now),
    ("path-ends-first", 30, 60, Some(10), 10, Fires::Now),
    ("sent-ends-first", 30, 60, Some(60), 1, Fires::Not),
    ("not-verified", 355, 10, None, 10, Fires::Now),
];

fn of_certificates(out: &mut String) {
    let mut series = String::new();
    let mut firing = Vec::new();
    for (endpoint, age, leaf, chain, sent, fires) in CERTIFICATES {
        let mut put = |which: &str, certificate: &str, days: i64| {
            let _ = writeln!(
                series,
                "  - {{ series: 'probity_tls_certificate_{which}_timestamp_seconds{{\
                    instance=\"a\",endpoint=\"{endpoint}\",certificate=\"{certificate}\"}}', \
                    values: '{}x90' }}",
                days * DAY
            );
        };
        put("not_before", "leaf", -age);
        put("not_after", "leaf", leaf);
        put("not_after", "sent", sent);
        if let Some(days) = chain {
            put("not_after", "chain", days);
        }
        if fires == Fires::Now {
            firing.push(format!(
                "{{ labels: '{{endpoint=\"{endpoint}\"}}', value: 1 }}"
            ));
        }
    }
    let _ = write!(
        out,
        "- name: a certificate fires at 14 days, one of a short life at a third of it, and only \
            the verified path counts\n  interval: 1m\n  input_series:\n{series}  \
            promql_expr_test:\n  - expr: count by (endpoint) \
            (ALERTS{{alertname=\"{CERTIFICATE_ALERT}\",alertstate=\"firing\"}})\n    eval_time: \
            1h\n    exp_samples: [{}]\n",
        firing.join(", ")
    );
}

/// Where there is a contract, its budget and its coverage.
fn of_contracts(out: &mut String, plan: &Plan, runbook: &str) {
    if let Some(contract) = plan.contracts.list.first() {
        let name = contract.name.as_str();
        let spent = expected(
            &BUDGET_CONSUMED,
            runbook,
            &[
                ("instance", "a"),
                ("sla", name),
                ("component", "c"),
                ("period", "current"),
            ],
        );
        let _ = write!(
            out,
            "- name: a used budget fires\n  interval: 30s\n  input_series:\n  - {{ series: \
                'probity_sla_budget_remaining_seconds{{instance=\"a\",sla=\"{name}\",\
                component=\"c\",period=\"current\"}}', values: '10x4 -1x20' }}\n  \
                alert_rule_test:\n  - {{ eval_time: 1m, alertname: ProbityBudgetConsumed, \
                exp_alerts: [] }}\n  - eval_time: 5m\n    alertname: ProbityBudgetConsumed\n    \
                exp_alerts: {spent}\n"
        );
    }
    // Where every second counts, a new installation has lost some, too.
    let most = Exact::new(999.into(), 10.into());
    let covered = plan
        .contracts
        .list
        .iter()
        .find(|c| c.min_coverage.as_ref().is_none_or(|least| *least <= most));
    if let Some(contract) = covered {
        of_coverage(out, contract.name.as_str());
    }
}

/// A period of 30 days, seen from its begin.
fn of_coverage(out: &mut String, name: &str) {
    let mut series = String::new();
    for (component, state, values) in [
        ("new", "up", "0+30x60"),
        ("new", "down", "0x60"),
        ("new", "unknown", "20x60"),
        ("new", "future", "2591980-30x60"),
        // It was not measured for most of the period, and is measured again.
        ("low", "up", "0+30x60"),
        ("low", "down", "0x60"),
        ("low", "unknown", "2500000x60"),
        ("low", "future", "92000-30x60"),
    ] {
        let _ = writeln!(
            series,
            "  - {{ series: 'probity_sla_seconds{{instance=\"a\",sla=\"{name}\",\
                component=\"{component}\",period=\"current\",state=\"{state}\"}}', values: \
                '{values}' }}"
        );
    }
    let expr = format!(
        "count by (component) (ALERTS{{alertname=\"{COVERAGE_ALERT}\",sla=\"{name}\",\
            alertstate=\"firing\"}})"
    );
    let _ = write!(
        out,
        "- name: a new installation has its coverage before it, and one that lost most of the \
            period does not\n  interval: 30s\n  input_series:\n{series}  promql_expr_test:\n  - \
            expr: {expr}\n    eval_time: 3m\n    exp_samples: []\n  - expr: {expr}\n    \
            eval_time: 20m\n    exp_samples: [{{ labels: '{{component=\"low\"}}', value: 1 }}]\n"
    );
}

/// Half of the time down is more than any limit; the longest window is measured in full before.
fn of_burn(out: &mut String, b: &Burn) {
    // Samples as far apart as the short window of the alert bears, in seconds.
    let (step, samples, at) = match b.long {
        "1h" => (30, 600, "4h"),
        "6h" => (120, 300, "9h"),
        _ => (600, 450, "74h"),
    };
    let endpoint = &b.endpoint;
    let series: String = ["up", "down"]
        .iter()
        .map(|state| {
            format!(
                "  - {{ series: 'probity_endpoint_state_seconds_total{{instance=\"a\",\
                    endpoint=\"{endpoint}\",state=\"{state}\"}}', values: '0+{}x{samples}' }}\n",
                step / 2
            )
        })
        .collect();
    let expr = format!(
        "count(ALERTS{{alertname=\"{}\",sla=\"{}\",alertstate=\"firing\"}})",
        b.alert, b.contract
    );
    let _ = write!(
        out,
        "- name: a burn over {} fires, and not before its windows are measured\n  interval: \
            {step}s\n  input_series:\n{series}  promql_expr_test:\n  - expr: {expr}\n    \
            eval_time: {at}\n    exp_samples: [{{ labels: '{{}}', value: 1 }}]\n  - expr: {expr} # \
            new: its windows are not measured in full\n    eval_time: 20m\n    exp_samples: []\n",
        b.long
    );
}
