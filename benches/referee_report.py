"""Figures and tables of benches/referee.py, from its rows."""

from collections.abc import Callable
from statistics import median
from typing import Any

from harness import percentile

Rows = list[dict[str, Any]]
GROUPS = ["http", "content", "dns", "tls", "tcp", "ping"]
# The clock of a record may be off by so much before it is corrected (benches/detection.py).
DRIFT_S = 0.02
OWN = ["resolver-dies", "network-lost", "stopped"]


def summary(rows: Rows) -> dict[str, dict[str, Any]]:
    """What is said of each prober."""
    tools = list(dict.fromkeys(row["tool"] for row in rows))
    return {tool: of_one([row for row in rows if row["tool"] == tool]) for tool in tools}


def of_one(rows: Rows) -> dict[str, Any]:
    faults = [row for row in rows if row["what"] == "fault"]
    able = [row for row in faults if row["expressible"]]
    detected = [row for row in able if row["alarms_after_s"]]
    times = sorted(row["alarms_after_s"][0] for row in detected)
    errors = [row["down_s"] - row["true_s"] for row in detected if "true_s" in row]
    bounds = [(row["bounds_s"], row["true_s"]) for row in detected if row.get("bounds_s")]
    traps: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        if row["what"] == "trap" and row["expressible"]:
            traps.setdefault((row["name"], row["round"]), []).append(row)
    own = {name: [row for row in rows if row["name"] == name] for name in OWN}
    killed = [row for row in rows if row["what"] == "kill"]
    return {
        "faults": len(faults),
        "detected": len(detected),
        "missed": len(able) - len(detected),
        "not_expressible": len(faults) - len(able),
        "by_group": {
            group: "%d of %d" % (counted(detected, group), counted(able, group)) for group in GROUPS
        },
        "traps": len(traps),
        "traps_with_an_alarm": sum(any(row["alarms_after_s"] for row in t) for t in traps.values()),
        "false_alarms": sum(len(row["alarms_after_s"]) for t in traps.values() for row in t),
        "down_in_traps_s": added(row for t in traps.values() for row in t),
        "stray_alarms": sum(row["what"] == "stray" for row in rows),
        "detected_after_s_median": round(median(times), 2) if times else None,
        "detected_after_s_p90": round(percentile(times, 0.9), 2) if times else None,
        "downtimes": len(errors),
        "downtime_error_s_median": round(median(map(abs, errors)), 2) if errors else None,
        "downtime_error_s_mean": round(sum(errors) / len(errors), 2) if errors else None,
        "downtime_error_s_sum": round(sum(map(abs, errors)), 1),
        "bounds": len(bounds),
        "within_bounds": sum(b[0] - DRIFT_S <= true <= b[1] + DRIFT_S for b, true in bounds),
        "own_down_s": {name: added(its) for name, its in own.items()},
        "own_alarms": {
            name: sum(len(row["alarms_after_s"]) for row in its) for name, its in own.items()
        },
        "killed_alarms": [len(row["alarms_after_s"]) for row in killed],
        "killed_error_s": [round(row["down_s"] - row["true_s"], 2) for row in killed],
    }


def counted(rows: Rows, group: str) -> int:
    return sum(row["group"] == group for row in rows)


def added(rows: Any) -> float:
    return round(sum(row["down_s"] for row in rows), 1)


def wrongs(figures: dict[str, Any]) -> list[str]:
    """What a small run of Probity must not show."""
    return [
        what
        for what, holds in [
            ("a fault was missed", figures["missed"] == 0 and figures["not_expressible"] == 0),
            ("a false alarm", figures["false_alarms"] + figures["stray_alarms"] == 0),
            ("downtime in a trap", figures["down_in_traps_s"] == 0),
            ("downtime of the prober's own", not any(figures["own_down_s"].values())),
        ]
        if not holds
    ]


def headlines(figures: dict[str, dict[str, Any]], titles: dict[str, str]) -> str:
    """The figures of all probers, as Markdown."""

    def seconds_and_alarms(name: str) -> Callable[[dict[str, Any]], str]:
        return lambda f: "%s s, %d alarms" % (f["own_down_s"][name], f["own_alarms"][name])

    rows: list[tuple[str, Callable[[dict[str, Any]], str]]] = [
        ("faults detected", lambda f: "%(detected)d of %(faults)d" % f),
        ("missed", lambda f: "%(missed)d" % f),
        ("not expressible", lambda f: "%(not_expressible)d" % f),
        ("traps with a false alarm", lambda f: "%(traps_with_an_alarm)d of %(traps)d" % f),
        ("downtime in traps", lambda f: "%(down_in_traps_s)s s" % f),
        (
            "fault to alarm: median, p90",
            lambda f: "%(detected_after_s_median)s s, %(detected_after_s_p90)s s" % f,
        ),
        (
            "error of a downtime: median, mean",
            lambda f: "%(downtime_error_s_median)s s, %(downtime_error_s_mean)s s" % f,
        ),
        ("the sum of these errors", lambda f: "%(downtime_error_s_sum)s s of %(downtimes)d" % f),
        (
            "true length within its bounds",
            lambda f: "%(within_bounds)d of %(bounds)d" % f if f["bounds"] else "no bounds",
        ),
        ("its resolver dies", seconds_and_alarms("resolver-dies")),
        ("its network drops all packets", seconds_and_alarms("network-lost")),
        ("it is stopped", seconds_and_alarms("stopped")),
        ("killed in an outage: alarms", lambda f: str(sum(f["killed_alarms"]))),
        ("killed in an outage: error", lambda f: "%.1f s" % sum(f["killed_error_s"])),
    ]
    lines = heading("figure", titles, list(figures))
    for name, of in rows:
        lines.append("| %s | %s |" % (name, " | ".join(of(figures[tool]) for tool in figures)))
    return "\n".join(lines)


def heading(first: str, titles: dict[str, str], tools: list[str]) -> list[str]:
    names = " | ".join(titles[tool] for tool in tools)
    return ["| %s | %s |" % (first, names), "|---" * (len(tools) + 1) + "|"]


def tables(rows: Rows, titles: dict[str, str]) -> str:
    """Each row by prober, as Markdown."""
    tools = list(dict.fromkeys(row["tool"] for row in rows))
    lines = heading("row", titles, tools)
    for what, name in dict.fromkeys((row["what"], row["name"]) for row in rows):
        if what == "stray":
            continue
        cells = []
        for tool in tools:
            its = [row for row in rows if (row["tool"], row["name"]) == (tool, name)]
            cells.append(cell(what, its))
        lines.append("| %s | %s |" % (name, " | ".join(cells)))
    return "\n".join(lines)


def cell(what: str, its: Rows) -> str:
    if not its or not its[0]["expressible"]:
        return "not expressible"
    alarms = [row["alarms_after_s"] for row in its]
    if what == "fault":
        first = sorted(a[0] for a in alarms if a)
        errors = [row["down_s"] - row["true_s"] for row in its if "true_s" in row]
        after = "%d of %d, %.1f s" % (len(first), len(its), median(first)) if first else "missed"
        return after + ("; %+.1f s" % (sum(errors) / len(errors)) if errors and first else "")
    text = "%d alarms, %.1f s" % (sum(map(len, alarms)), sum(row["down_s"] for row in its))
    if what == "kill":
        text += " of %.1f s" % sum(row["true_s"] for row in its)
    return text
