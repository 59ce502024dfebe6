//! The alerting rules that are the same for every config.

use crate::config::Plan;

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
    pub(super) fn written(&self, runbook: &str) -> String {
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

pub(super) fn annotations(name: &str, summary: &str, description: &str, runbook: &str) -> String {
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
pub(super) const ENDPOINT_UNKNOWN: Alert = Alert {
    name: "ProbityEndpointUnknown",
    expr: &["probity_endpoint_state{state=\"unknown\"} == 1"],
    wait: "5m",
    severity: "ticket",
    summary: "{{ $labels.endpoint }} has not been measured for five minutes",
    description: "The prober itself cannot measure {{ $labels.endpoint }}: this time is unknown, \
        not downtime. probity_probe_unmeasured_total has the reason.",
};
pub(super) const CERTIFICATE_EXPIRING: Alert = Alert {
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
pub(super) const CONFIG_REFUSED: Alert = Alert {
    name: "ProbityConfigRefused",
    expr: &["probity_config_last_reload_successful == 0"],
    wait: "5m",
    severity: "ticket",
    summary: "the last reload was refused; the config before is in force",
    description: "The config of {{ $labels.instance }} has faults. `probity check` lists each with \
        its line; the daemon continues with its present config.",
};
pub(super) const BACKUP_OLD: Alert = Alert {
    name: "ProbityBackupOld",
    expr: &["time() - probity_backup_last_success_timestamp_seconds > OLD_AFTER"],
    wait: "15m",
    severity: "ticket",
    summary: "the newest backup of the history is too old",
    description: "{{ $labels.instance }} has made no backup of its history for more than twice \
        the time that [history.backup] every allows. Its log says why.",
};
/// The age of a backup at which the alert fires, in seconds; its place in the alert's text.
pub(super) fn backup_old_after(plan: &Plan) -> Option<(&'static str, u64)> {
    let backup = plan.history.backup.as_ref()?;
    Some(("OLD_AFTER", (backup.every * 2).div_ceil(1000)))
}
pub(super) const WITNESSES_SILENT: Alert = Alert {
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
pub(super) const BUDGET_HALF_CONSUMED: Alert = Alert {
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
