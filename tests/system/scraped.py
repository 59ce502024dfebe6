"""What Prometheus and promtool make of the daemon: a part of the system suite (run.py)."""

import json
import os
import re
import signal
import time

from harness import (
    PROBITY,
    QUICK,
    QUIET,
    ROOT,
    Daemon,
    Server,
    endpoint,
    free_port,
    get,
    prometheus,
    promql,
    read,
    sh,
    spawn,
    until,
    utc_ms,
    write,
)


def scraper(d, target, every="1s", head=""):
    """A Prometheus that scrapes the target: the process and its port."""
    config, port = os.path.join(d, "prometheus.yml"), free_port()
    job = "- job_name: probity\n  scrape_interval: %s\n  static_configs: [{targets: ['%s']}]\n"
    write(config, head + "scrape_configs:\n" + job % (every, target))
    return spawn(*prometheus(config, os.path.join(d, "data"), port)), port


def test_prometheus_scrapes_and_promql_returns_the_figures(d):
    """State, seconds per state that add up, a p99 and a certificate's expiry, from the demo with
    servers going up and down."""
    at = "127.0.0.1:%d" % free_port()
    demo = spawn(PROBITY, "demo", "--listen", at, "--seconds", "75", **QUIET)
    p, prom = scraper(d, at)

    def query(q):
        return [float(x["value"][1]) for x in promql(prom, q)]

    try:
        state = 'probity_endpoint_state{endpoint="checkout",state="%s"} == 1'
        turns = 'probity_endpoint_transitions_total{endpoint="checkout",to="down"} == 1'
        until(lambda: query(state % "down"), 60, "down in Prometheus")
        until(lambda: query(state % "up"), 60, "up in Prometheus")
        until(lambda: query(turns), 10, "one transition")
        down = query('probity_endpoint_state_seconds_total{endpoint="checkout",state="down"}')[0]
        assert 18 < down < 22, down
        endpoints = json.loads(get("http://%s/api/v1/endpoints" % at))["endpoints"]
        first = {e["name"]: e["ledger"]["first_start_ms"] / 1000 for e in endpoints}
        for name, start in first.items():
            total = query(
                'sum(probity_endpoint_state_seconds_total{endpoint="%s"}) - on() group_left() '
                'probity_endpoint_settled_timestamp_seconds{endpoint="%s"}' % (name, name)
            )[0]
            assert abs(total + start) < 0.002, (name, total, start)
        p99 = query(
            "histogram_quantile(0.99, sum by (le) (rate(probity_probe_duration_seconds_bucket"
            '{endpoint="frontend",outcome="success"}[30s])))'
        )[0]
        assert 0.0005 < p99 < 0.2, p99
        days = query(
            "(probity_tls_certificate_not_after_timestamp_seconds"
            '{endpoint="frontend",certificate="leaf"} - time()) / 86400'
        )[0]
        assert 28 < days < 31, days
    finally:
        demo.send_signal(signal.SIGINT)
        p.terminate()
        assert demo.wait(10) == 0
        p.wait(20)


def test_promtool_has_nothing_to_say(d):
    s = Server()
    text = QUICK + endpoint("shop", s.port) + endpoint("dead", free_port())
    daemon = Daemon(d, text).begin().must_be_ready()
    until(lambda: daemon.endpoint("dead")["state"] == "down")
    for accept in ("text/plain", "application/openmetrics-text"):
        page = get(daemon.url("/metrics"), {"Accept": accept})
        if accept == "text/plain":
            r = sh("promtool", "check", "metrics", input=page)
            assert not r.stdout and not r.stderr, r.stdout + r.stderr
        else:
            assert page.endswith("# EOF\n")
    daemon.end()


def test_rules_of_a_config_pass_promtool_with_their_own_tests(d):
    text = "".join(
        '[[endpoint]]\nname = "%s"\ninterval = "%s"\ntimeout = "500ms"\nprobe.tcp = "127.0.0.1:1"\n'
        % e
        for e in (("slow", "30s"), ("quick (1)", "1s"), ("quick", "1s"))
    )
    text += '[sla.five]\nobjective = "99.999"\ncomponents = ["slow"]\n'
    text += '[sla.two]\nobjective = "99"\ncomponents = ["quick (1)"]\n'
    text += '[sla.plain]\nobjective = "99"\ncomponents = ["quick"]\nmin_coverage = "95"\n'
    config, out = write(os.path.join(d, "c.toml"), text), os.path.join(d, "rules")
    sh(PROBITY, "rules", "--config", config, "--output", out)
    rules_file = os.path.join(out, "probity-rules.yml")
    tests_file = os.path.join(out, "probity-rules-test.yml")
    checked = sh("promtool", "check", "rules", rules_file)
    assert "SUCCESS" in checked.stdout and "duplicate" not in checked.stdout + checked.stderr, (
        checked
    )
    cases = read(tests_file)
    for case in (
        "a burn over 1h",
        "a burn over 6h",
        "a burn over 3d",
        "has its coverage before it",
        "a third of it",
        "a used budget",
    ):
        assert cases.count("- name: ") > 10 and case in cases, (case, cases)
    tested = sh("promtool", "test", "rules", tests_file)
    assert "SUCCESS" in tested.stdout and "FAILED" not in tested.stdout + tested.stderr, tested
    rules = read(rules_file)
    assert (
        "one failed probe alone would trip it" in rules
        and "> 0.144" in rules
        and "ProbityBudgetBurn1H" in rules
    )
    # A rule that is broken is found by the case that is about it.
    head, *blocks = re.split(r"(?m)^(?=- name: )", cases)
    for case, whole, broken in (
        ("an outage between two", "seen[1h] offset 1s", "seen[1h] offset 3m"),
        ("a third of it", '"leaf|chain"', '"leaf|sent"'),
        ("a third of it", "      ) / 3\n", "      ) / 1\n"),
        ("a burn over 1h", "> 0.144", "> 0.744"),
        ("a burn over 6h", "> 0.06", "> 0.66"),
        ("a burn over 3d", "> 0.01\n", "> 0.61\n"),
        ("has its coverage", "up|down|future", "up|down"),
        ("has its coverage", "< 0.999", "< 0.01"),
    ):
        assert whole in rules, whole
        only = [block for block in blocks if case in block.split("\n")[0]]
        assert len(only) == 1, (case, only)
        write(tests_file, head + only[0])
        for text, found in ((rules, 0), (rules.replace(whole, broken), 1)):
            write(rules_file, text)
            tested = sh("promtool", "test", "rules", tests_file, ok=False)
            assert tested.returncode == found, (case, broken, tested)


def test_the_queries_of_the_documents_are_ones_that_promtool_accepts(d):
    rules: list[str] = []
    count = 0
    for name in ("metrics.md", "latency.md"):
        page = read(os.path.join(ROOT, "docs", name))
        blocks = re.findall(r"```promql\n(.*?)\n```", page, re.S)
        # Several queries of one block have a comment above each.
        queries = [q for b in blocks for q in re.split(r"\n\n|^#.*$", b, flags=re.M) if q.strip()]
        count += len(queries)
        rules += [
            "  - record: documented:%s%d\n    expr: %s\n" % (name[:3], n, json.dumps(q))
            for n, q in enumerate(queries)
        ]
    path = os.path.join(d, "documented.yml")
    write(path, "groups:\n- name: documented\n  rules:\n" + "".join(rules))
    checked = sh("promtool", "check", "rules", path)
    assert "SUCCESS: %d rules found" % count in checked.stdout and count > 60, checked


def test_an_outage_between_two_evaluations_fires_and_is_over_at_the_next(d):
    """Prometheus evaluates each minute. An outage of some seconds lies between two evaluations; the
    alert fires at the first one after it, and only there."""
    server = Server()
    daemon = Daemon(d, QUICK + endpoint("e", server.port)).begin().must_be_ready()
    until(lambda: daemon.endpoint("e")["state"] == "up")
    out = os.path.join(d, "rules")
    sh(PROBITY, "rules", "--config", daemon.config, "--output", out)
    head = "global: {evaluation_interval: 1m}\nrule_files: ['%s/probity-rules.yml']\n" % out
    p, prom = scraper(d, daemon.listen, "15s", head)

    def samples(q):
        """[(time, value)] of the raw samples of the last minutes."""
        found = promql(prom, q + "[15m]")
        return [(float(t), float(v)) for series in found for t, v in series["values"]]

    def evaluations():
        return [t for t, _ in samples("probity:endpoint_outages:seen")]

    try:
        # Prometheus writes no ALERTS in the first two evaluations after its start.
        until(lambda: len(evaluations()) >= 2, 210, "two evaluations")
        seen = evaluations()[-1]
        server.status = 500
        until(lambda: daemon.endpoint("e")["state"] == "down", 15, "down")
        server.status = 200
        until(lambda: daemon.endpoint("e")["state"] == "up", 15, "up")
        recovered = time.time()
        assert recovered < seen + 40, "the outage was meant to lie between two evaluations"

        def since():
            return [t for t in evaluations() if t > recovered]

        until(lambda: len(since()) >= 3, 240, "three evaluations after it")
        after = since()
        firing = 'ALERTS{alertname="ProbityEndpointDown",alertstate="firing"}'
        fired = [t for t, _ in samples(firing)]
        assert fired == [after[0]], (fired, after)
        groups = json.loads(get("http://127.0.0.1:%d/api/v1/rules" % prom))["data"]["groups"]
        rules = [r for g in groups for r in g["rules"]]
        rule = [r for r in rules if r["name"] == "ProbityEndpointDown"][0]
        assert rule["state"] == "inactive" and rule["health"] == "ok", rule
        assert '<h2 id="probityendpointdown">' in get(daemon.url("/runbook"))
    finally:
        p.terminate()
        p.wait(20)
    daemon.end()


def test_availability_in_promql_is_the_daemons_own_and_history_can_be_backfilled(d):
    """A server goes away for a known time under Debian's Prometheus; then the same history is given
    to promtool as OpenMetrics."""
    server = Server()
    daemon = Daemon(d, QUICK + endpoint("e", server.port)).begin().must_be_ready()
    p, prom = scraper(d, daemon.listen)

    def query(q, at):
        return float(promql(prom, q, at)[0]["value"][1])

    def iso(t):
        return utc_ms(round(t * 1000))

    try:
        until(lambda: daemon.endpoint("e")["state"] == "up")
        until(lambda: query('up{job="probity"}', time.time()) == 1, 30, "a first scrape")
        time.sleep(3)
        began = time.time()
        time.sleep(5)
        server.status = 500
        time.sleep(6)
        server.status = 200
        time.sleep(8)
        ended = time.time()

        def series(state):
            return 'probity_endpoint_state_seconds_total{endpoint="e",state="%s"}' % state

        up, down = (query(series(s), ended) - query(series(s), began) for s in ("up", "down"))

        def settled(at):
            return query('probity_endpoint_settled_timestamp_seconds{endpoint="e"}', at)

        period = "from=%s&to=%s" % (iso(settled(began)), iso(settled(ended)))
        own = daemon.json("/api/v1/timeline?" + period)["components"][0]
        assert abs(up - own["up_ms"] / 1000) < 0.01 and abs(down - own["down_ms"] / 1000) < 0.01, (
            up,
            down,
            own,
        )
        assert 5 < down < 8, down
    finally:
        p.terminate()
        p.wait()
    daemon.end()
    steps = ["--step", "1s", "--from", iso(began - 5), "--to", iso(ended)]
    exported = sh(PROBITY, "export", "openmetrics", "--state-dir", daemon.state, *steps).stdout
    past = write(os.path.join(d, "past.om"), exported)
    blocks = os.path.join(d, "blocks")
    sh("promtool", "tsdb", "create-blocks-from", "openmetrics", past, blocks)
    keep = "--storage.tsdb.retention.time=10y"
    p = spawn(*prometheus("/dev/null", blocks, prom, keep))
    try:
        until(lambda: query("vector(1)", time.time()) == 1, 30, "Prometheus")
        filled = query(series("down"), ended - 2) - query(series("down"), began)
        assert abs(filled - own["down_ms"] / 1000) < 1.1, (filled, own)
    finally:
        p.terminate()
        p.wait()
