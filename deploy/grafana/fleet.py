"""The dashboard of all endpoints: what is down, how available they are, what was not measured."""

from model import (
    GREEN,
    RED,
    YELLOW,
    YES_OR_NO,
    Json,
    any_of,
    bars,
    column,
    dashboard,
    lines,
    now,
    row,
    series,
    stat,
    steps,
    table,
)
from selection import (
    AT,
    BAD_ABOVE_ZERO,
    COMPONENTS,
    CONTRACT,
    ENDPOINT,
    ENDPOINTS,
    FLEET,
    INSTANCE,
    ODD_ABOVE_ZERO,
    RATIO,
    VANTAGE,
    from_where,
)


def chosen(expr: str) -> str:
    """Series of the chosen endpoints, with their component."""
    return (
        "(%s)\n* on (instance, endpoint) group_left (component)\n"
        'probity_endpoint_info{%s, component=~"$component", endpoint=~"$endpoint"}' % (expr, AT)
    )


def state(which: str) -> str:
    return "sum(%s)" % chosen('probity_endpoint_state{%s, state="%s"}' % (AT, which))


def time_in(states: str) -> str:
    return chosen(
        'increase(probity_endpoint_state_seconds_total{%s, state=~"%s"}[$__range])' % (AT, states)
    )


def availability(by: str) -> str:
    return "sum by (%s) (%s)\n/ sum by (%s) (%s)" % (by, time_in("up"), by, time_in("up|down"))


def of_month(metric: str, period: str) -> str:
    """A figure of the components over a calendar month."""
    return "max by (vantage, component) (%s)" % from_where(
        'probity_component_%s{%s, component=~"$component", period="%s"}' % (metric, AT, period)
    )


def latency_of_components(quantile: str) -> str:
    rate = "rate(probity_probe_duration_seconds_bucket"
    rate += '{%s, outcome="success"}[$__rate_interval])' % AT
    return "histogram_quantile(%s, sum by (component, le) (%s))" % (quantile, chosen(rate))


def fleet_now() -> list[Json]:
    down_for = "time() - probity_endpoint_outage_start_timestamp_seconds{%s}" % AT
    unknown = 'probity_endpoint_state{%s, state="unknown"} == 1' % AT
    since = "time() - probity_endpoint_last_transition_timestamp_seconds{%s} > 0" % AT
    unknown_for = "%s\nand on (instance, endpoint) (%s)" % (since, unknown)
    return [
        row("Now"),
        stat(
            "Down",
            "Endpoints with a confirmed outage, of the chosen vantages and components.",
            [now(state("down"))],
            unit="none",
            thresholds=BAD_ABOVE_ZERO,
        ),
        stat(
            "Unknown",
            "Endpoints that the prober itself cannot measure. This is not downtime; the panels "
            "under Measurement have the reasons.",
            [now(state("unknown"))],
            unit="none",
            thresholds=ODD_ABOVE_ZERO,
        ),
        stat("Up", "Endpoints that are up.", [now(state("up"))], unit="none"),
        stat(
            "In maintenance",
            "Endpoints within a declared maintenance window. They are probed all the same.",
            [now("sum(%s)" % chosen("probity_endpoint_maintenance{%s}" % AT))],
            unit="none",
        ),
        stat(
            "Endpoints",
            "Endpoints in service on the chosen vantages, whatever the component.",
            [now("sum(probity_endpoints{%s})" % AT)],
            unit="none",
        ),
        stat(
            "Probers that answer",
            "Share of the chosen probers that Prometheus could scrape at its last attempt.",
            [now("avg(up{%s})" % AT)],
            unit="percentunit",
            thresholds=steps((None, RED), (1, GREEN)),
        ),
        table(
            "Down now",
            "Open outages, with the cause and their length by the point estimate.",
            ["vantage", "component", "endpoint", "cause"],
            [
                column(
                    "down for",
                    "s",
                    "max by (vantage, component, endpoint, cause) (%s)"
                    % from_where(chosen(down_for)),
                )
            ],
            width=12,
            first="most",
            leads={"endpoint": ENDPOINT},
        ),
        table(
            "Unknown now",
            "Endpoints whose state is unknown at present, and since when. Those that were unknown "
            "from their first start on are counted above, and not listed here.",
            ["vantage", "component", "endpoint"],
            [
                column(
                    "unknown for",
                    "s",
                    "max by (vantage, component, endpoint) (%s)" % from_where(chosen(unknown_for)),
                )
            ],
            width=12,
            first="most",
            leads={"endpoint": ENDPOINT},
        ),
    ]


def fleet_availability() -> list[Json]:
    figures = [
        ("this month", "percentunit", "availability_ratio", "current"),
        ("at least", "percentunit", "availability_lower_ratio", "current"),
        ("at most", "percentunit", "availability_upper_ratio", "current"),
        ("last month", "percentunit", "availability_ratio", "previous"),
        ("outages", "none", "outages", "current"),
        ("longest outage", "s", "longest_outage_seconds", "current"),
        ("mean time to recover", "s", "mean_time_to_recover_seconds", "current"),
        ("mean time between failures", "s", "mean_time_between_failures_seconds", "current"),
    ]
    return [
        row("Availability"),
        table(
            "Components this month",
            "Availability of the calendar month (UTC) with its bounds: unknown and future time as "
            "down, and as up. Components that the config declares or a contract names. Outages "
            "shorter than the time between two probes are not seen.",
            ["vantage", "component"],
            [column(n, unit, of_month(metric, when)) for n, unit, metric, when in figures],
            first="least",
            leads={"component": CONTRACT},
        ),
        bars(
            "Availability by component, time range",
            "Up / (up + down) of the settled time of all endpoints of a component, over the time "
            "range above. Endpoints weigh by their measured time: a component that combines them "
            "otherwise has other figures in the table above.",
            [now("sort(%s)" % availability("component"), "{{component}}")],
            unit="percentunit",
            thresholds=RATIO,
            decimals=3,
        ),
        bars(
            "Worst endpoints, time range",
            "The ten endpoints with the lowest availability over the time range above.",
            [now("bottomk(10, %s)" % availability("component, endpoint"), "{{endpoint}}")],
            unit="percentunit",
            thresholds=RATIO,
            decimals=3,
        ),
    ]


def fleet_latency() -> list[Json]:
    slowest = chosen('probity_probe_latency_seconds{%s, quantile="0.99"}' % AT)
    return [
        row("Latency of successful probes"),
        lines(
            "Median and p99 by component",
            "From the buckets of all endpoints of a component: as coarse as the buckets.",
            [
                series(latency_of_components("0.5"), "{{component}} p50"),
                series(latency_of_components("0.99"), "{{component}} p99"),
            ],
            unit="s",
        ),
        bars(
            "Slowest endpoints: p99 of the last hour",
            "The ten endpoints with the highest p99, exact to one percent.",
            [now("topk(10, %s)" % from_where(slowest), "{{endpoint}} from {{vantage}}")],
            unit="s",
        ),
    ]


def fleet_measurement() -> list[Json]:
    def late(quantile: str) -> str:
        rate = "rate(probity_probe_lateness_seconds_bucket{%s}[$__rate_interval])" % AT
        return "histogram_quantile(%s, sum by (instance, le) (%s))" % (quantile, rate)

    def probes(which: str) -> str:
        return "sum(%s)" % chosen("rate(probity_probes_total{%s}[$__rate_interval])" % (AT + which))

    return [
        row("Measurement: what the probers could not measure"),
        lines(
            "Lateness of probes",
            "Delay between the scheduled and the actual start. Beyond late_after (0.5 s by "
            "default) and a tenth of the interval, it leaves unknown time.",
            [
                series(from_where(late("0.5")), "{{vantage}} p50"),
                series(from_where(late("0.99")), "{{vantage}} p99"),
            ],
            unit="s",
            width=8,
        ),
        lines(
            "Unknown time by reason",
            "Unknown seconds of all endpoints of the chosen vantages, counted when they have "
            "ended. docs/causes.md says what to do about each reason.",
            [
                series(
                    "sum by (reason) (increase("
                    "probity_unknown_seconds_total{%s}[$__rate_interval])) > 0" % AT,
                    "{{reason}}",
                )
            ],
            unit="s",
            width=8,
            stacked="normal",
            style="bars",
        ),
        lines(
            "Unmeasured probes by reason",
            "Probes of the chosen vantages that the prober could not make or judge.",
            [
                series(
                    "sum by (reason) (increase("
                    "probity_probe_unmeasured_total{%s}[$__rate_interval])) > 0" % AT,
                    "{{reason}}",
                )
            ],
            unit="none",
            width=8,
            stacked="normal",
            style="bars",
        ),
        stat(
            "Unmeasured and missed probes",
            "Share of the scheduled probes that were unmeasured, or not started at all.",
            [
                now(
                    "%s\n/ %s" % (probes(', result=~"unmeasured|missed"'), probes("")),
                )
            ],
            unit="percentunit",
            width=8,
            thresholds=steps((None, GREEN), (0.001, YELLOW), (0.01, RED)),
        ),
        stat(
            "Time that was measured, time range",
            "Share of the settled time that was up or down, and not unknown.",
            [now("sum(%s)\n/ sum(%s)" % (time_in("up|down"), time_in("up|down|unknown")))],
            unit="percentunit",
            width=8,
            decimals=3,
            thresholds=RATIO,
        ),
        stat(
            "Stalls, time range",
            "How often an engine stalled for longer than 0.5 s: a starved CPU, or a suspended "
            "host.",
            [now("sum(increase(probity_stalls_total{%s}[$__range]))" % AT)],
            unit="none",
            width=8,
            decimals=0,
            thresholds=ODD_ABOVE_ZERO,
        ),
    ]


def fleet_certificates() -> list[Json]:
    def ends(which: str) -> str:
        return "min by (vantage, component, endpoint) (%s) - time()" % from_where(
            chosen(
                "probity_tls_certificate_not_after_timestamp_seconds"
                '{%s, certificate=~"%s"}' % (AT, which)
            )
        )

    ratio = "probity_tls_certificate_lifetime_remaining_ratio{%s}" % AT
    return [
        row("Certificates"),
        table(
            "Certificates by their end",
            "Time until the end of the leaf, and of the first certificate of the verified path to "
            "end; negative when it has ended. The share is what is left of the leaf's lifetime.",
            ["vantage", "component", "endpoint"],
            [
                column("verified path", "s", ends("leaf|chain")),
                column("leaf", "s", ends("leaf")),
                column(
                    "lifetime left",
                    "percentunit",
                    "min by (vantage, component, endpoint) (%s)" % from_where(chosen(ratio)),
                ),
            ],
            first="least",
            leads={"endpoint": ENDPOINT},
        ),
    ]


def fleet_probers() -> list[Json]:
    def each(title: str, description: str, metric: str) -> Json:
        return stat(
            title,
            description,
            [now(from_where("%s{%s}" % (metric, AT)), "{{vantage}}")],
            unit="none",
            mappings=[YES_OR_NO],
            thresholds=steps((None, RED), (1, GREEN)),
        )

    return [
        row("Probers"),
        each(
            "History writable",
            "At no, settled counters are frozen; live states continue.",
            "probity_history_writable",
        ),
        each(
            "Config accepted",
            "At no, the last reload was refused and the config before is in force.",
            "probity_config_last_reload_successful",
        ),
        each(
            "Clock synchronised",
            "At no, certificate dates count only if another certificate confirms the clock.",
            "probity_clock_synchronised",
        ),
        each(
            "Witnesses answer",
            "At no, failures are unknown time (local_network). Absent without witnesses.",
            "probity_witness_quorum_met",
        ),
        stat(
            "Config read",
            "When the config that is in force was read.",
            [
                now(
                    from_where(
                        "1000 * probity_config_last_reload_success_timestamp_seconds{%s}" % AT
                    ),
                    "{{vantage}}",
                )
            ],
            unit="dateTimeFromNow",
        ),
        stat(
            "Events waiting",
            "Events in memory that are not committed yet. More than a few: the disk is slow or "
            "full.",
            [now(from_where("probity_history_events_waiting{%s}" % AT), "{{vantage}}")],
            unit="none",
            thresholds=steps((None, GREEN), (10, YELLOW), (1000, RED)),
        ),
        lines(
            "Notifications by result",
            "Messages to receivers. given_up: the receiver refuses them, see the log.",
            [
                series(
                    "sum by (receiver, result) (increase("
                    "probity_notifications_total{%s}[$__rate_interval]))" % AT,
                    "{{receiver}} {{result}}",
                )
            ],
            unit="none",
            width=8,
            style="bars",
        ),
        lines(
            "CPU of the daemons",
            "Cores that each daemon uses.",
            [
                series(
                    from_where("rate(process_cpu_seconds_total{%s}[$__rate_interval])" % AT),
                    "{{vantage}}",
                )
            ],
            unit="none",
            width=8,
        ),
        lines(
            "Memory of the daemons",
            "Resident memory of each daemon.",
            [series(from_where("process_resident_memory_bytes{%s}" % AT), "{{vantage}}")],
            unit="bytes",
            width=8,
        ),
    ]


def fleet() -> Json:
    return dashboard(
        FLEET,
        "Probity: fleet",
        "What is down or unknown, how available the components are, and what the probers could "
        "not measure.",
        "now-24h",
        [
            VANTAGE,
            INSTANCE,
            any_of("component", "Component", COMPONENTS),
            any_of("endpoint", "Endpoint", ENDPOINTS),
        ],
        [
            *fleet_now(),
            *fleet_availability(),
            *fleet_latency(),
            *fleet_measurement(),
            *fleet_certificates(),
            *fleet_probers(),
        ],
    )
