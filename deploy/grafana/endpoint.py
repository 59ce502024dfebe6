"""The dashboard of one endpoint, perhaps from several vantages."""

from model import (
    GREEN,
    GREY,
    RED,
    STATES,
    YELLOW,
    Json,
    any_of,
    buckets,
    column,
    dashboard,
    heatmap,
    lines,
    now,
    one_of,
    row,
    series,
    stat,
    steps,
    table,
    timeline,
)
from selection import AT, COMPONENTS, ENDPOINT, ENDPOINTS, INSTANCE, VANTAGE, from_where

# One endpoint, perhaps from several vantages.
IT = 'endpoint="$endpoint", ' + AT


def of_it(metric: str, labels: str = "") -> str:
    return "%s{%s%s}" % (metric, IT, labels)


def over_range(metric: str, labels: str = "") -> str:
    return "sum by (instance) (increase(%s[$__range]))" % of_it(metric, labels)


def down_over_range() -> dict[str, str]:
    """The downtime of the time range: its lower bound, the point estimate, its upper bound."""
    unknown = over_range("probity_endpoint_state_seconds_total", ', state="unknown"')
    return {
        "at least": over_range("probity_endpoint_down_lower_seconds_total"),
        "estimate": over_range("probity_endpoint_state_seconds_total", ', state="down"'),
        "at most": "%s\n+ %s" % (over_range("probity_endpoint_down_upper_seconds_total"), unknown),
    }


def endpoint_state() -> list[Json]:
    numbered = "sum by (instance) (%s)" % "\nor ".join(
        "%d * %s" % (number, of_it("probity_endpoint_state", ', state="%s"' % name))
        for number, name in enumerate(["down", "unknown", "up"])
    )
    here = "{{vantage}}"
    seconds = "probity_endpoint_state_seconds_total"
    time_known = over_range(seconds, ', state=~"up|down"')
    up = "%s\n/ %s" % (over_range(seconds, ', state="up"'), time_known)
    down = down_over_range()
    everything = over_range(seconds)
    colors = steps((None, RED), (1, GREY), (2, GREEN))
    band = timeline(
        "State",
        "Up, unknown or down, from each vantage. Follows each result at once; settled time can "
        "place the start of an outage earlier.",
        [series(from_where(numbered), here)],
        STATES,
    )
    band["fieldConfig"]["defaults"]["thresholds"] = colors
    return [
        row("State"),
        stat(
            "State now",
            "The present state from each vantage.",
            [now(from_where(numbered), here)],
            unit="none",
            mappings=[STATES],
            thresholds=colors,
        ),
        stat(
            "Last change of state",
            "When the state changed last, by the point estimate. In 1970: never.",
            [
                now(
                    from_where(
                        "1000 * " + of_it("probity_endpoint_last_transition_timestamp_seconds")
                    ),
                    here,
                )
            ],
            unit="dateTimeFromNow",
        ),
        stat(
            "Open outage",
            "Cause and length of the outage that is open.",
            [
                now(
                    from_where(
                        "time() - " + of_it("probity_endpoint_outage_start_timestamp_seconds")
                    ),
                    "{{vantage}} {{cause}}",
                )
            ],
            unit="s",
            thresholds=steps((None, RED)),
        ),
        stat(
            "Last status code",
            "Of an http probe, if the last one had an answer.",
            [now(from_where(of_it("probity_probe_http_status_code")), here)],
            unit="none",
        ),
        stat(
            "Last duration",
            "Of the last measured probe, success or failure.",
            [now(from_where(of_it("probity_probe_last_duration_seconds")), here)],
            unit="s",
        ),
        stat(
            "Interval",
            "Time between two scheduled probes. Shorter outages can go unseen.",
            [now(from_where(of_it("probity_endpoint_interval_seconds")), here)],
            unit="s",
        ),
        band,
        stat(
            "Availability, time range",
            "Up / (up + down) of the settled time in the time range above. The bounds count all "
            "unknown time as down, and as up.",
            [
                now(
                    from_where("1 - (%s)\n/ %s" % (down["at most"], everything)),
                    here + " at least",
                ),
                now(from_where(up), here + " estimate"),
                now(
                    from_where("1 - %s\n/ %s" % (down["at least"], everything)),
                    here + " at most",
                ),
            ],
            unit="percentunit",
            width=8,
            decimals=4,
        ),
        stat(
            "Downtime, time range",
            "Settled downtime in the time range above. At least: between failures. At most: with "
            "unconfirmed failures and all unknown time.",
            [now(from_where(expr), here + " " + name) for name, expr in down.items()],
            unit="s",
            width=8,
        ),
        stat(
            "Unknown and maintenance, time range",
            "Unknown time, and downtime within declared maintenance, in the time range above.",
            [
                now(
                    from_where(over_range(seconds, ', state="unknown"')),
                    here + " unknown",
                ),
                now(
                    from_where(
                        over_range("probity_endpoint_maintenance_seconds_total", ', state="down"')
                    ),
                    here + " down in maintenance",
                ),
            ],
            unit="s",
            width=8,
        ),
    ]


def endpoint_latency() -> list[Json]:
    seconds = "rate(probity_probe_phase_seconds_%s{%s}[$__rate_interval])"
    phases = "sum by (phase) (%s)\n/ (sum by (phase) (%s) > 0)" % (
        seconds % ("sum", IT),
        seconds % ("count", IT),
    )
    return [
        row("Latency"),
        lines(
            "Quantiles of the last hour",
            "Of successful probes, exact to one percent.",
            [
                series(
                    from_where(of_it("probity_probe_latency_seconds")),
                    "{{vantage}} p{{quantile}}",
                )
            ],
            unit="s",
        ),
        heatmap(
            "Successful probes by duration",
            "How many probes ended within which bucket. `[metrics] buckets` chooses the buckets.",
            [
                buckets(
                    "sum by (le) (increase(%s[$__rate_interval]))"
                    % of_it("probity_probe_duration_seconds_bucket", ', outcome="success"')
                )
            ],
            unit="s",
        ),
        lines(
            "Mean of each phase",
            "Where the time of a probe goes. Needs `[metrics] phases = true`.",
            [series(phases, "{{phase}}")],
            unit="s",
            stacked="normal",
        ),
        lines(
            "Scheduled probes by result",
            "A failure is part of an outage. Unconfirmed: a failure without an outage. Unmeasured: "
            "the prober itself failed. Missed: not started.",
            [
                series(
                    "sum by (result) (increase(%s[$__rate_interval]))"
                    % of_it("probity_probes_total"),
                    "{{result}}",
                )
            ],
            unit="none",
            stacked="normal",
            style="bars",
        ),
    ]


def endpoint_failures() -> list[Json]:
    return [
        row("Failures"),
        lines(
            "Failed probes by cause",
            "Re-probes included, counted at once. docs/causes.md explains each cause.",
            [
                series(
                    "sum by (cause) (increase(%s[$__rate_interval]))"
                    % of_it("probity_probe_failures_total"),
                    "{{cause}}",
                )
            ],
            unit="none",
            stacked="normal",
            style="bars",
        ),
        lines(
            "Last changes of state",
            "How often the state changed, by the new state.",
            [
                series(
                    "sum by (to) (increase(%s[$__rate_interval]))"
                    % of_it("probity_endpoint_transitions_total"),
                    "to {{to}}",
                )
            ],
            unit="none",
            style="bars",
        ),
        table(
            "Changes of state, time range",
            "How often the state changed in the time range above, and when it did last.",
            ["vantage", "to"],
            [
                column(
                    "times",
                    "none",
                    "sum by (vantage, to) (%s)"
                    % from_where(
                        "round(increase(%s[$__range]))"
                        % of_it("probity_endpoint_transitions_total")
                    ),
                )
            ],
            first="most",
            width=12,
        ),
        table(
            "What is probed",
            "The target from each vantage.",
            ["vantage", "component", "kind", "target", "connection"],
            [
                column(
                    "probes",
                    "none",
                    "max by (vantage, component, kind, target, connection) (%s)"
                    % from_where(of_it("probity_endpoint_info")),
                )
            ],
            first="most",
            width=12,
        ),
    ]


def endpoint_certificate() -> list[Json]:
    ends = of_it("probity_tls_certificate_not_after_timestamp_seconds") + " - time()"
    return [
        row("Certificate (https and tls)"),
        stat(
            "Ends in",
            "The leaf, the first certificate of the verified path to end (chain), and the first of "
            "all that were sent. Negative when it has ended.",
            [now(from_where(ends), "{{vantage}} {{certificate}}")],
            unit="s",
            width=10,
            thresholds=steps((None, RED), (7 * 86400, YELLOW), (14 * 86400, GREEN)),
        ),
        stat(
            "Lifetime left",
            "Share of the leaf's lifetime that is left.",
            [
                now(
                    from_where(of_it("probity_tls_certificate_lifetime_remaining_ratio")),
                    "{{vantage}}",
                )
            ],
            unit="percentunit",
            width=4,
            thresholds=steps((None, RED), (0.1, YELLOW), (0.33, GREEN)),
        ),
        table(
            "Last handshake",
            "Version, cipher suite and key exchange group.",
            ["vantage", "version", "cipher", "group"],
            [
                column(
                    "handshakes",
                    "none",
                    "max by (vantage, version, cipher, group) (%s)"
                    % from_where(of_it("probity_tls_handshake_info")),
                )
            ],
            first="most",
            width=10,
        ),
    ]


def endpoint() -> Json:
    return dashboard(
        ENDPOINT,
        "Probity: endpoint",
        "One endpoint: states, bounds of its downtime, latency, failures and certificate.",
        "now-24h",
        [
            VANTAGE,
            INSTANCE,
            any_of("component", "Component", COMPONENTS),
            one_of("endpoint", "Endpoint", ENDPOINTS),
        ],
        [
            *endpoint_state(),
            *endpoint_latency(),
            *endpoint_failures(),
            *endpoint_certificate(),
        ],
    )
