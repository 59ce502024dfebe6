"""The dashboard of contracts: verdicts, bounds and error budgets."""

from model import (
    GREEN,
    RED,
    VERDICTS,
    YELLOW,
    Json,
    any_of,
    choice,
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
from selection import AT, BAD_ABOVE_ZERO, CONTRACT, INSTANCE, VANTAGE, from_where

TERMS = 'sla=~"$sla", component=~"$component", ' + AT


def of_contract(metric: str, labels: str = "") -> str:
    return 'probity_sla_%s{%s, period="$period"%s}' % (metric, TERMS, labels)


def contract_verdicts() -> list[Json]:
    def each(metric: str) -> str:
        return "max by (vantage, sla, component) (%s)" % from_where(of_contract(metric))

    verdict = "sum by (instance, sla, component) (%s)" % "\nor ".join(
        "%d * %s" % (number, of_contract("verdict", ', verdict="%s"' % name))
        for number, name in enumerate(["missed", "undetermined", "met"])
    )
    missed = "count(%s == 1) or vector(0)" % of_contract("verdict", ', verdict="missed"')
    figures = [
        ("availability", "percentunit", "availability_ratio"),
        ("at least", "percentunit", "availability_lower_ratio"),
        ("at most", "percentunit", "availability_upper_ratio"),
        ("objective", "percentunit", "objective_ratio"),
        ("budget", "s", "budget_seconds"),
        ("budget left", "s", "budget_remaining_seconds"),
        ("outages", "none", "outages"),
        ("longest outage", "s", "longest_outage_seconds"),
        ("mean time to recover", "s", "mean_time_to_recover_seconds"),
        ("mean time between failures", "s", "mean_time_between_failures_seconds"),
    ]
    colors = steps((None, RED), (1, YELLOW), (2, GREEN))
    return [
        row("Verdicts"),
        stat(
            "Missed",
            "Contracts and components whose period is missed.",
            [now(missed)],
            unit="none",
            thresholds=BAD_ABOVE_ZERO,
        ),
        stat(
            "Period began",
            "Start of the period, in the time zone of the contract.",
            [
                now(
                    "1000 * max by (sla) (%s)" % of_contract("period_start_timestamp_seconds"),
                    "{{sla}}",
                )
            ],
            unit="dateTimeAsLocal",
            width=6,
        ),
        stat(
            "Verdict",
            "Undetermined: the bounds are on both sides of the objective, or too little was "
            "measured. docs/contracts.md has the rules.",
            [now(from_where(verdict), "{{vantage}} {{sla}} {{component}}")],
            unit="none",
            width=14,
            mappings=[VERDICTS],
            thresholds=colors,
        ),
        table(
            "Contracts",
            "All figures of the period. The lower bound counts unknown and future time as down, "
            "the upper one as up.",
            ["vantage", "sla", "component"],
            [column(name, unit, each(metric)) for name, unit, metric in figures],
            first="least",
        ),
    ]


def contract_over_time() -> list[Json]:
    name = "{{vantage}} {{sla}} {{component}}"
    left = "%s\n/ %s" % (of_contract("budget_remaining_seconds"), of_contract("budget_seconds"))
    return [
        row("Over time"),
        lines(
            "Availability and objective",
            "Point estimate and bounds of the period so far, beside the objective (SLO). The lower "
            "bound counts all time to come as down, so it starts at 0.",
            [
                series(from_where(of_contract("availability_ratio")), name),
                series(from_where(of_contract("availability_lower_ratio")), name + " at least"),
                series(from_where(of_contract("availability_upper_ratio")), name + " at most"),
                series(from_where(of_contract("objective_ratio")), name + " objective"),
            ],
            unit="percentunit",
        ),
        lines(
            "Error budget left",
            "Share of the downtime that the objective allows. Negative when it is exhausted.",
            [series(from_where(left), name)],
            unit="percentunit",
        ),
        lines(
            "Budget used in the last hour",
            "Downtime that was counted against the budget. Begins anew with each period.",
            [
                series(
                    from_where(
                        "clamp_min(-delta(%s[1h]), 0)" % of_contract("budget_remaining_seconds")
                    ),
                    name,
                )
            ],
            unit="s",
            width=8,
        ),
        lines(
            "Service time by state",
            "Up, down, unknown and future time of the period, with excluded maintenance beside it.",
            [series("sum by (state) (%s)" % of_contract("seconds"), "{{state}}")],
            unit="s",
            width=8,
            stacked="normal",
        ),
        lines(
            "Outages",
            "Outages of the period, as the contract counts them.",
            [series(from_where(of_contract("outages")), name)],
            unit="none",
            width=8,
        ),
        stat(
            "Probes within the latency bound",
            "Share of the probes of the period that succeeded within the bound of the contract, "
            "where it has one.",
            [now(from_where(of_contract("latency_ratio")), name)],
            unit="percentunit",
            width=24,
            decimals=3,
        ),
    ]


def contract() -> Json:
    known = "probity_sla_objective_ratio{%s%s}"
    return dashboard(
        CONTRACT,
        "Probity: contracts",
        "Contracts (SLA): objective, availability with its bounds, error budget, verdict and "
        "outages.",
        "now-30d",
        [
            VANTAGE,
            INSTANCE,
            any_of("sla", "Contract", "label_values(%s, sla)" % (known % (AT, ""))),
            any_of(
                "component",
                "Component",
                "label_values(%s, component)" % (known % (AT, ', sla=~"$sla"')),
            ),
            choice("period", "Period", ["current", "previous"]),
        ],
        [*contract_verdicts(), *contract_over_time()],
    )
