"""The parts of Grafana's dashboard model that the dashboards of this folder use (Grafana 10 and 11,
schema version 38). make.py has the dashboards themselves. Nothing here names a metric."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

Json = dict[str, Any]
SCHEMA_VERSION = 38
COLUMNS = 24
# Every query goes to what the variable names: no dashboard knows a data source of its own.
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

GREEN, RED, YELLOW, GREY = "green", "red", "yellow", "#8e8e8e"
STATES: Json = {
    "type": "value",
    "options": {
        "0": {"text": "down", "color": RED, "index": 0},
        "1": {"text": "unknown", "color": GREY, "index": 1},
        "2": {"text": "up", "color": GREEN, "index": 2},
    },
}
YES_OR_NO: Json = {
    "type": "value",
    "options": {
        "0": {"text": "no", "color": RED, "index": 0},
        "1": {"text": "yes", "color": GREEN, "index": 1},
    },
}
VERDICTS: Json = {
    "type": "value",
    "options": {
        "0": {"text": "missed", "color": RED, "index": 0},
        "1": {"text": "undetermined", "color": YELLOW, "index": 1},
        "2": {"text": "met", "color": GREEN, "index": 2},
    },
}


class Query(TypedDict):
    expr: str
    legend: str
    format: str
    instant: bool


def series(expr: str, legend: str) -> Query:
    """A line for each series, over the dashboard's time range."""
    return {"expr": expr, "legend": legend, "format": "time_series", "instant": False}


def now(expr: str, legend: str = "") -> Query:
    """One value for each series, at the end of the time range."""
    return {"expr": expr, "legend": legend, "format": "time_series", "instant": True}


def cells(expr: str) -> Query:
    """A row of a table for each series, with a column for each of its labels."""
    return {"expr": expr, "legend": "", "format": "table", "instant": True}


def buckets(expr: str) -> Query:
    """The buckets of a histogram, for a heatmap."""
    return {"expr": expr, "legend": "{{le}}", "format": "heatmap", "instant": False}


def steps(*values: tuple[float | None, str]) -> Json:
    """Colours from a value on; the first has none."""
    return {
        "mode": "absolute",
        "steps": [{"value": value, "color": color} for value, color in values],
    }


PLAIN = steps((None, "blue"))


def panel(
    kind: str,
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    unit: str,
    width: int,
    height: int = 8,
    defaults: Json | None = None,
    options: Json | None = None,
) -> Json:
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": SOURCE,
        "gridPos": {"w": width, "h": height},
        "fieldConfig": {
            "defaults": {"unit": unit, "thresholds": PLAIN, **(defaults or {})},
            "overrides": [],
        },
        "options": options or {},
        "targets": [
            {
                "refId": chr(ord("A") + n),
                "datasource": SOURCE,
                "editorMode": "code",
                "expr": query["expr"],
                "legendFormat": query["legend"],
                "format": query["format"],
                "instant": query["instant"],
                "range": not query["instant"],
            }
            for n, query in enumerate(queries)
        ],
    }


def stat(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    unit: str,
    width: int = 4,
    height: int = 4,
    thresholds: Json = PLAIN,
    mappings: Sequence[Json] = (),
    decimals: int | None = None,
) -> Json:
    """Figures in large type. Several queries, or several series, are several figures."""
    defaults: Json = {"thresholds": thresholds, "mappings": list(mappings), "noValue": "-"}
    if decimals is not None:
        defaults["decimals"] = decimals
    return panel(
        "stat",
        title,
        description,
        queries,
        unit=unit,
        width=width,
        height=height,
        defaults=defaults,
        options={
            "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
            "colorMode": "value",
            "graphMode": "none",
            "textMode": "auto",
            "justifyMode": "auto",
            "orientation": "auto",
        },
    )


def lines(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    unit: str,
    width: int = 12,
    stacked: str = "none",
    style: str = "line",
) -> Json:
    """Values over time. `stacked` is `none` or `normal`, `style` is `line` or `bars`."""
    return panel(
        "timeseries",
        title,
        description,
        queries,
        unit=unit,
        width=width,
        defaults={
            "custom": {
                "drawStyle": style,
                "lineWidth": 1,
                "fillOpacity": 10 if style == "line" else 60,
                "showPoints": "never",
                "spanNulls": False,
                "stacking": {"mode": stacked, "group": "A"},
            }
        },
        options={
            "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    )


def bars(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    unit: str,
    width: int = 12,
    thresholds: Json = PLAIN,
    decimals: int | None = None,
) -> Json:
    """A bar for each series, at the end of the time range."""
    defaults: Json = {"thresholds": thresholds}
    if decimals is not None:
        defaults["decimals"] = decimals
    return panel(
        "bargauge",
        title,
        description,
        queries,
        unit=unit,
        width=width,
        defaults=defaults,
        options={
            "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
            "orientation": "horizontal",
            "displayMode": "basic",
            "showUnfilled": True,
        },
    )


def timeline(title: str, description: str, queries: Sequence[Query], mapping: Json) -> Json:
    """What holds when, as a band for each series."""
    return panel(
        "state-timeline",
        title,
        description,
        queries,
        unit="none",
        width=COLUMNS,
        defaults={
            "mappings": [mapping],
            "color": {"mode": "thresholds"},
            "custom": {"fillOpacity": 80, "lineWidth": 0},
        },
        options={
            "mergeValues": True,
            "showValue": "auto",
            "rowHeight": 0.9,
            "alignValue": "center",
            "legend": {"showLegend": False},
            "tooltip": {"mode": "single"},
        },
    )


def heatmap(title: str, description: str, queries: Sequence[Query], *, unit: str) -> Json:
    return panel(
        "heatmap",
        title,
        description,
        queries,
        unit="short",
        width=12,
        options={
            "calculate": False,
            "yAxis": {"unit": unit, "axisPlacement": "left"},
            "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5},
            "cellGap": 1,
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "tooltip": {"show": True, "yHistogram": False},
        },
    )


def leading(label: str, uid: str) -> Json:
    """The column of a label leads to another dashboard, which shows what the cell says; the time
    range and the data source stay."""
    chosen = "var-%s=${__value.raw:percentencode}" % label
    address = "/d/%s?${datasource:queryparam}&%s&${__url_time_range}" % (uid, chosen)
    link = {"title": "Dashboard of this " + label, "url": address}
    return {
        "matcher": {"id": "byName", "options": label},
        "properties": [{"id": "links", "value": [link]}],
    }


class Column(TypedDict):
    name: str
    unit: str
    expr: str


def column(name: str, unit: str, expr: str) -> Column:
    """A figure of each row."""
    return {"name": name, "unit": unit, "expr": expr}


def table(
    title: str,
    description: str,
    labels: Sequence[str],
    columns: Sequence[Column],
    *,
    first: str,
    width: int = COLUMNS,
    mapping: Json | None = None,
    leads: Mapping[str, str] | None = None,
) -> Json:
    """A row for each set of labels, and a figure of it from each query. `first` is which value of
    the first figure is at the top: `least` or `most`. `leads`: the labels that lead to another
    dashboard, by its uid."""
    made = panel(
        "table",
        title,
        description,
        [cells(each["expr"]) for each in columns],
        unit="none",
        width=width,
        defaults={"custom": {"align": "auto", "filterable": True}, "noValue": "-"},
        options={
            "showHeader": True,
            "cellHeight": "sm",
            "footer": {"show": False},
            "sortBy": [{"displayName": columns[0]["name"], "desc": first == "most"}],
        },
    )
    # Grafana calls the figure of a single query `Value`, those of several by the query too.
    named = {
        ("Value" if len(columns) == 1 else "Value #" + chr(ord("A") + n)): each["name"]
        for n, each in enumerate(columns)
    }
    order = {label: n for n, label in enumerate([*labels, *named])}
    made["transformations"] = [
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {"Time": True},
                "indexByName": order,
                "renameByName": named,
            },
        },
    ]
    for each in columns:
        properties: list[Json] = [{"id": "unit", "value": each["unit"]}]
        if mapping:
            properties.append({"id": "mappings", "value": [mapping]})
        made["fieldConfig"]["overrides"].append(
            {"matcher": {"id": "byName", "options": each["name"]}, "properties": properties}
        )
    for label, uid in (leads or {}).items():
        made["fieldConfig"]["overrides"].append(leading(label, uid))
    return made


def row(title: str) -> Json:
    return {
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": {"w": COLUMNS, "h": 1},
        "panels": [],
    }


# ---- variables ----------------------------------------------------------------------------------


def datasource() -> Json:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "regex": "",
        "hide": 0,
        "refresh": 1,
        "multi": False,
        "includeAll": False,
    }


ALL = {"selected": True, "text": ["All"], "value": ["$__all"]}


def one_of(name: str, label: str, query: str) -> Json:
    """A variable with one of the values that the query finds."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "hide": 0,
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "multi": False,
        "includeAll": False,
    }


def any_of(name: str, label: str, query: str) -> Json:
    """A variable with some of the values, or all, which is then one short pattern."""
    return {
        **one_of(name, label, query),
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": ALL,
    }


def follows(name: str, query: str) -> Json:
    """A hidden variable with all values of a query, which itself uses what was chosen above."""
    # No `allValue`: all are those that the query finds, and no others.
    made = {**one_of(name, name, query), "hide": 2, "multi": True, "includeAll": True}
    return {**made, "current": ALL}


def choice(name: str, label: str, values: Sequence[str]) -> Json:
    options = [{"text": each, "value": each, "selected": each == values[0]} for each in values]
    return {
        "type": "custom",
        "name": name,
        "label": label,
        "query": ",".join(values),
        "options": options,
        "current": options[0],
        "hide": 0,
        "multi": False,
        "includeAll": False,
    }


# ---- a whole dashboard --------------------------------------------------------------------------


def placed(panels: Sequence[Json]) -> list[Json]:
    """The panels from left to right and from top to bottom, each with a number."""
    x = y = height = 0
    out = []
    for number, each in enumerate(panels, 1):
        size = each["gridPos"]
        if x + size["w"] > COLUMNS:
            x, y, height = 0, y + height, 0
        out.append({"id": number, **each, "gridPos": {"x": x, "y": y, **size}})
        x, height = x + size["w"], max(height, size["h"])
    return out


def dashboard(
    uid: str,
    title: str,
    description: str,
    since: str,
    variables: Sequence[Json],
    panels: Sequence[Json],
) -> Json:
    """`uid` is the dashboard's address for good: an import replaces what has the same."""
    return {
        "id": None,
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["probity"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": since, "to": "now"},
        "timezone": "browser",
        "refresh": "1m",
        "weekStart": "",
        "fiscalYearStartMonth": 0,
        "annotations": {"list": []},
        # All of them, by their tag.
        "links": [
            {
                "type": "dashboards",
                "title": "Probity",
                "tags": ["probity"],
                "asDropdown": False,
                # The endpoint of one dashboard is `All` of another, which not each of them has.
                "includeVars": False,
                "keepTime": True,
                "targetBlank": False,
                "icon": "external link",
                "tooltip": "",
                "url": "",
            }
        ],
        "templating": {"list": [datasource(), *variables]},
        "panels": placed(panels),
    }
