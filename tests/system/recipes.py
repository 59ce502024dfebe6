#!/usr/bin/env python3
"""What deploy/ and the pages of recipes offer works: dashboards, PromQL, configs to paste.

    tests/system/recipes.py [NAME ...]

A daemon over loopback is scraped by Debian's Prometheus, which is asked every query of
deploy/grafana and of docs/promql.md. Each names metrics and labels of docs/metrics.md alone, and
has a result. Every config of docs/recipes.md passes `probity check`; those of servers that Debian
has in a small package are tried against that server (recipes_tried.py).
"""

import json
import os
import re
import shutil
import ssl
import struct
import sys
import urllib.error
import urllib.parse
from collections.abc import Iterator

import recipes_tried
from harness import (
    PROBITY,
    ROOT,
    Daemon,
    Server,
    answer_datagrams,
    free_port,
    get,
    prometheus,
    promql,
    read,
    run_tests,
    sh,
    spawn,
    until,
    write,
)
from recipes_tried import blocks, certificate, udp_socket

GRAFANA = os.path.join(ROOT, "deploy", "grafana")
DEPLOYED = os.path.join(ROOT, "deploy", "prometheus")

# ---- the metrics that exist ---------------------------------------------------------------------

# Labels that Prometheus adds, and `up`, which it makes of each scrape.
OF_PROMETHEUS = {"instance", "job"}
NOT_OURS = {"up": OF_PROMETHEUS}
SUFFIXES = {"histogram": ["_bucket", "_sum", "_count"], "summary": ["", "_sum", "_count"]}


def exported() -> dict[str, set[str]]:
    """The series of docs/metrics.md, each with its labels."""
    found: dict[str, set[str]] = dict(NOT_OURS)
    for section in re.split(r"(?m)^### ", read(os.path.join(ROOT, "docs", "metrics.md")))[1:]:
        name = re.match(r"`(\w+)`", section)
        facts = re.search(r"Type: (\w+)\. Unit: [^.]*\. (?:Labels: ([^.]*)|No labels)", section)
        assert name and facts, section
        labels = set(re.findall(r"`(\w+)`", facts[2] or "")) | OF_PROMETHEUS
        for suffix in SUFFIXES.get(facts[1], [""]):
            found[name[1] + suffix] = labels
    assert len(found) > 60, found
    return found


def unknown_names(query: str, series: dict[str, set[str]]) -> list[str]:
    """What a query names that no series has: metrics, labels of matchers, labels of clauses."""
    query = re.sub(r"(?m)#.*$", "", query)
    query = re.sub(r'"(?:[^"\\]|\\.)*"', '""', query)
    wrong = []
    for name, matchers in re.findall(r"\b((?:probity|process)_\w+|up)\b(?:\{([^}]*)\})?", query):
        if name not in series:
            wrong.append(name)
            continue
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
            if label not in series[name]:
                wrong.append("%s of %s" % (label, name))
    every = set().union(*series.values())
    clause = r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)"
    for labels in re.findall(clause, query):
        for label in re.findall(r"\w+", labels):
            if label not in every:
                wrong.append("%s in %s" % (label, labels))
    if not re.search(r"\b(?:probity_|process_|up\b)", query):
        wrong.append("no metric at all")
    return wrong


def test_what_no_series_has_is_found_in_a_query(_: str) -> None:
    series = exported()
    for right in (
        'sum by (reason) (probity_unknown_seconds_total{reason!="state"}) # probity_no comment',
        'rate(probity_probe_duration_seconds_bucket{le="0.1", instance=~"a{1}"}[5m])',
        'probity_endpoint_state * on (instance) group_left (vantage) probity_vantage_info{job="x"}',
    ):
        assert unknown_names(right, series) == [], right
    for query, wrong in (
        ("probity_endpoint_states", "probity_endpoint_states"),
        ("probity_probe_duration_seconds", "probity_probe_duration_seconds"),
        ('probity_endpoint_state{status="up"}', "status of probity_endpoint_state"),
        ("sum by (reasons) (probity_stalls_total)", "reasons in reasons"),
        ("vector(1)", "no metric at all"),
    ):
        assert unknown_names(query, series) == [wrong], (query, unknown_names(query, series))


# ---- the queries --------------------------------------------------------------------------------

CHOSEN = {
    "component": ".*",
    "sla": ".*",
    "vantage": ".*",
    "period": "current",
    "__range": "10m",
    "__rate_interval": "20s",
}


def of_dashboards(instances: list[str]) -> Iterator[tuple[str, str]]:
    """Each query with where it is, its variables filled in as Grafana does."""
    for name in ("fleet", "endpoint", "contract"):
        dashboard = json.loads(read(os.path.join(GRAFANA, name + ".json")))
        values = {**CHOSEN, "instance": "|".join(instances).replace(".", r"\\.")}
        values["endpoint"] = "shop" if name == "endpoint" else ".*"
        declared = {each["name"] for each in dashboard["templating"]["list"]}
        assert {"datasource", "vantage", "component"} <= declared, declared

        def filled(query: str, values: dict[str, str] = values, known: set[str] = declared) -> str:
            for variable in re.findall(r"\$(\w+)", query):
                assert variable in known or variable.startswith("__"), (variable, query)
                query = query.replace("$" + variable, values[variable])
            return query

        for panel in dashboard["panels"]:
            if panel["type"] == "row":
                continue
            where = "%s: %s" % (name, panel["title"])
            assert panel["description"] and panel["fieldConfig"]["defaults"]["unit"], where
            for target in panel["targets"]:
                yield "%s, %s" % (where, target["refId"]), filled(target["expr"])
        for variable in dashboard["templating"]["list"]:
            found = re.match(r"label_values\((.*), \w+\)$", variable.get("definition", ""))
            if found:
                yield "%s: $%s" % (name, variable["name"]), filled(found[1])


def of_page() -> Iterator[tuple[str, str]]:
    """Each query of docs/promql.md with its heading."""
    for heading, text in blocks(os.path.join(ROOT, "docs", "promql.md"), "promql"):
        yield "promql.md: " + heading, text


def error_of(port: int, query: str) -> str:
    """Why Prometheus refuses a query; empty if it does not."""
    fields = urllib.parse.urlencode({"query": query})
    try:
        get("http://127.0.0.1:%d/api/v1/query?%s" % (port, fields))
    except urllib.error.HTTPError as error:
        return error.read().decode()
    return ""


# ---- what is asked ------------------------------------------------------------------------------


class Names:
    """A name server with one address, which can fall silent."""

    def __init__(self) -> None:
        self.silent = False
        s = udp_socket()
        self.port = int(s.getsockname()[1])
        answer_datagrams(s, self.reply)

    def reply(self, query: bytes) -> bytes | None:
        if self.silent:
            return None
        kind = struct.unpack(">H", query[12:].split(b"\0", 1)[1][:2])[0]
        question = query[12 : 12 + query[12:].index(b"\0") + 5]
        record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x7f\x00\x00\x01"
        answers = record if kind == 1 else b""
        head = query[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, 1 if answers else 0, 0, 0)
        return head + question + answers


class Other(Daemon):
    """A daemon that probes from elsewhere."""

    vantage = "elsewhere"


def elsewhere(d: str, dead: int) -> Daemon:
    """A daemon with two endpoints of the same names: one is another server, which stays up."""
    folder = os.path.join(d, "elsewhere")
    os.mkdir(folder)
    text = '[component.checkout]\n[[endpoint]]\nname = "shop"\ncomponent = "checkout"\n'
    text += 'interval = "300ms"\ntimeout = "250ms"\nprobe.http = "http://127.0.0.1:%d/"\n'
    text += '[[endpoint]]\nname = "dead"\nprobe.tcp = "127.0.0.1:%d"\n'
    text += '[sla.gold]\nobjective = "99.9"\ncomponents = ["checkout"]\n'
    return Other(folder, text % (Server().port, dead)).begin().must_be_ready()


def scenario(d: str) -> tuple[list[str], Server, Names]:
    """A daemon with an endpoint over TLS in a contract, one behind a name, one that is always down,
    and all else that makes series; and another daemon. Their addresses."""
    shop, names = Server(), Names()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(d, "shop"))
    shop.httpd.socket = context.wrap_socket(shop.httpd.socket, server_side=True)
    hook, dead = Server(), free_port()
    url = write(os.path.join(d, "hook.url"), "http://127.0.0.1:%d/" % hook.port)
    os.chmod(url, 0o600)
    text = """
[metrics]
phases = true
[defaults]
interval = "300ms"
timeout = "250ms"
retry_interval = "100ms"
[component.checkout]
title = "Checkout"
[[endpoint]]
name = "shop"
component = "checkout"
labels = { team = "shop" }
probe.http.url = "https://127.0.0.1:%d/"
probe.http.tls.ca_file = "%s/shop.pem"
[[endpoint]]
name = "named"
resolver = "127.0.0.1:%d"
probe.http = "http://named.test:%d/"
[[endpoint]]
name = "plain"
probe.tcp = "127.0.0.1:%d"
[[endpoint]]
name = "dead"
probe.tcp = "127.0.0.1:%d"
[sla.gold]
objective = "99.9"
components = ["checkout", "plain"]
latency = { share = "99", within = "250ms" }
[[witness.endpoint]]
name = "far"
probe.tcp = "127.0.0.1:%d"
[[notify]]
name = "ops"
webhook.url = { file = "%s" }
""" % (shop.port, d, names.port, hook.port, hook.port, dead, hook.port, url)
    daemon = Daemon(d, text).begin().must_be_ready()
    return [daemon.listen, elsewhere(d, dead).listen], shop, names


def after_outages(d: str) -> tuple[int, list[str]]:
    """A Prometheus that has seen outages, unknown time and their ends, and has both now: its port,
    and the names of the daemons there."""
    instances, shop, names = scenario(d)
    port = free_port()
    targets = '", "'.join(instances)
    text = read(os.path.join(DEPLOYED, "prometheus.yml")).replace("127.0.0.1:9847", targets)
    text = re.sub(r"(scrape|evaluation)_interval: \w+", r"\1_interval: 1s", text)
    config = write(os.path.join(d, "prometheus.yml"), text)
    with open(os.path.join(d, "prometheus.log"), "w") as log:
        argv = prometheus(config, os.path.join(d, "data"), port)
        p = spawn(*argv, stdout=log, stderr=log)

    def seen(query: str) -> None:
        until(lambda: promql(port, query), 20, query, process=p)

    state = 'probity_endpoint_state{endpoint="%s", state="%s"} == 1'
    seen("count(%s) == 4" % 'probity_endpoint_state{state="up"} == 1')
    seen("count(%s) == 2" % (state % ("dead", "down")))
    seen('count_over_time(probity_endpoint_state{endpoint="shop", state="up"}[1m]) > 2')
    for status, silent, shop_is, named_is in (
        (503, True, "down", "unknown"),
        (200, False, "up", "up"),
        (503, True, "down", "unknown"),
    ):
        shop.status, names.silent = status, silent
        seen(state % ("shop", shop_is))
        seen(state % ("named", named_is))
    # What is settled, evaluated or counted at an end follows.
    seen('probity_endpoint_transitions_total{endpoint="shop", to="down"} == 2')
    seen('probity_endpoint_transitions_total{endpoint="named", to="unknown"} == 2')
    seen("sum(probity_unknown_seconds_total) > 0")
    seen('probity_component_outages{component="checkout", period="current"} == 2')
    seen("delta(probity_sla_budget_remaining_seconds[1h]) < 0")
    return port, instances


# Asked of these daemons, these have nothing to show: nothing is wrong with them, and they are
# younger than an hour.
MAY_BE_EMPTY = {
    "fleet: Components this month, D",
    "contract: Probes within the latency bound, A",
    "promql.md: Contracts: the period so far, 4",
    "promql.md: Latency, 5",
    "promql.md: Certificates, 2",
    "promql.md: Flapping, 1",
    "promql.md: The probers, 1",
    "promql.md: The probers, 2",
}


def test_every_query_of_dashboards_and_page_is_answered(d: str) -> str:
    port, instances = after_outages(d)
    series, places, wrong = exported(), [], []
    for where, query in [*of_dashboards(instances), *of_page()]:
        names = unknown_names(query, series)
        error = error_of(port, query)
        if names or error:
            wrong.append("%s: %s %s\n%s" % (where, names, error, query))
        elif where not in MAY_BE_EMPTY and not promql(port, query):
            wrong.append("%s: no result\n%s" % (where, query))
        places.append(where)
    assert not wrong, "\n\n".join(wrong)
    assert set(places) > MAY_BE_EMPTY, MAY_BE_EMPTY - set(places)
    assert len(places) > 100, places
    return "%d queries" % len(places)


# ---- files of deploy/ ---------------------------------------------------------------------------


def test_the_dashboards_are_those_that_their_program_makes(d: str) -> None:
    copy = os.path.join(d, "grafana")
    shutil.copytree(GRAFANA, copy)
    for folder in (GRAFANA, copy):
        sh(sys.executable, os.path.join(folder, "make.py"), "--check")
    fleet = os.path.join(copy, "fleet.json")
    write(fleet, read(fleet).replace('"now-24h"', '"now-25h"'))
    changed = sh(sys.executable, os.path.join(copy, "make.py"), "--check", ok=False)
    assert changed.returncode == 1 and "fleet.json" in changed.stderr, changed


def test_the_dashboards_have_addresses_and_no_data_source_of_their_own(_: str) -> None:
    led: set[str] = set()
    for name in ("fleet", "endpoint", "contract"):
        text = read(os.path.join(GRAFANA, name + ".json"))
        assert set(re.findall(r'"uid": "(.*?)"', text)) == {"probity-" + name, "${datasource}"}, (
            name
        )
        dashboard = json.loads(text)
        assert dashboard["uid"] == "probity-" + name
        # Each leads to one of them, by a variable that is there.
        for uid, variable in re.findall(r'"url": "/d/([\w-]+)\?.*?&var-(\w+)=', text):
            to = json.loads(read(os.path.join(GRAFANA, uid.removeprefix("probity-") + ".json")))
            assert variable in [v["name"] for v in to["templating"]["list"]], (uid, variable)
            assert '"name": "datasource"' in text, name
            led.add(uid)
        panels = [p for p in dashboard["panels"] if p["type"] != "row"]
        places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels]
        assert len(set(places)) == len(panels) > 8, name
        titles = [p["title"] for p in panels]
        assert len(set(titles)) == len(titles), titles
    assert led == {"probity-endpoint", "probity-contract"}, led


def test_the_files_for_prometheus_and_alertmanager_are_valid(d: str) -> None:
    for name in ("prometheus.yml", "alertmanager.yml"):
        shutil.copy(os.path.join(DEPLOYED, name), d)
    text = '[[endpoint]]\nname = "shop"\nprobe.tcp = "127.0.0.1:1"\n'
    config = write(os.path.join(d, "probity.toml"), text)
    sh(PROBITY, "rules", "--config", config, "--output", os.path.join(d, "rules"))
    checked = sh("promtool", "check", "config", os.path.join(d, "prometheus.yml")).stdout
    # The rules, and not the tests beside them.
    assert "probity-rules.yml" in checked and "probity-rules-test.yml" not in checked, checked
    checked = sh("amtool", "check-config", os.path.join(d, "alertmanager.yml")).stdout
    assert "2 receivers" in checked, checked


if __name__ == "__main__":
    run_tests([recipes_tried, sys.modules[__name__]], "probity-recipes-")
