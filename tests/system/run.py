#!/usr/bin/env python3
"""System suite: the release binary with Debian's prometheus, promtool, chromium, sqlite3, systemd-analyze and network
namespaces. Needs root. Usage: tests/system/run.py [NAME ...]; without names, every test. Each test is a function that
raises when it does not hold."""

import base64
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HERE = os.path.dirname(os.path.abspath(__file__))
from odd_http import (
    test_odd_http_is_read_as_curl_reads_it,
    test_the_table_of_odd_http_in_the_docs_is_that_of_this_suite,
)

ROOT = os.path.dirname(os.path.dirname(HERE))
PROBITY = os.environ.get("PROBITY", os.path.join(ROOT, "target", "release", "probity"))


def sh(*argv, ok=True, **kw):
    r = subprocess.run(argv, capture_output=True, text=True, **kw)
    if ok and r.returncode != 0:
        raise AssertionError(
            "%s: exit %d\n%s%s" % (" ".join(argv), r.returncode, r.stdout, r.stderr)
        )
    return r


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url, headers=None):
    return (
        urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=10)
        .read()
        .decode()
    )


def until(check, seconds=30, what="it"):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            value = check()
            if value:
                return value
        except (OSError, KeyError, IndexError):
            pass
        time.sleep(0.05)
    raise AssertionError("%s never became true" % what)


class Server:
    """An HTTP server whose status can be changed."""

    def __init__(self):
        outer = self
        self.status = 200

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *a):
                pass

        class Patient(ThreadingHTTPServer):
            # A full queue of connections would be the server's fault, not what is tested.
            request_queue_size = 1024

        self.httpd = Patient(("127.0.0.1", 0), Handler)
        self.port = self.httpd.server_address[1]
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()


class Accepting:
    """A TCP server that takes every connection and closes it."""

    def __init__(self):
        self.listener = socket.create_server(("0.0.0.0", 0), backlog=4096)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            self.listener.accept()[0].close()


class Daemon:
    def __init__(self, directory, text, prefix=(), listen="127.0.0.1", state=None):
        self.directory, self.port = directory, free_port()
        self.state = state or os.path.join(directory, "state")
        self.config = os.path.join(directory, "probity.toml")
        with open(self.config, "w") as f:
            f.write(
                '[daemon]\nvantage = "system"\nlisten = "%s:%d"\nstate_dir = "%s"\n%s'
                % (listen, self.port, self.state, text)
            )
        self.prefix = list(prefix)
        self.begin()

    def begin(self):
        self.log = open(os.path.join(self.directory, "log"), "a")
        self.p = subprocess.Popen(
            self.prefix + [PROBITY, "run", "--config", self.config], stderr=self.log
        )
        if not self.prefix:
            until(
                lambda: get(self.url("/-/ready")).startswith("Ready"), what="the daemon's readiness"
            )

    def url(self, path):
        return "http://127.0.0.1:%d%s" % (self.port, path)

    def json(self, path):
        return json.loads(get(self.url(path)))

    def reload(self):
        return sh(PROBITY, "reload", "--state-dir", self.state).stdout

    def endpoint(self, name):
        return [e for e in self.json("/api/v1/endpoints")["endpoints"] if e["name"] == name][0]

    def metric(self, series):
        for line in get(self.url("/metrics")).splitlines():
            if line.startswith(series + " "):
                return float(line.rsplit(" ", 1)[1])
        raise KeyError(series)

    def kill(self):
        self.p.kill()
        self.p.wait()

    def end(self):
        began = time.monotonic()
        self.p.terminate()
        code = self.p.wait(10)
        return code, time.monotonic() - began


QUICK = '[defaults]\ninterval = "500ms"\ntimeout = "400ms"\nretry_interval = "100ms"\n'


def endpoint(name, port):
    return '[[endpoint]]\nname = "%s"\nprobe.http = "http://127.0.0.1:%d/"\n' % (name, port)


# ---- tests ------------------------------------------------------------------------------------------------------


def test_prometheus_scrapes_and_promql_returns_the_figures(d):
    """State, seconds per state that add up, a p99 and a certificate's expiry, from the demo with servers going up and down."""
    port, prom = free_port(), free_port()
    demo = subprocess.Popen(
        [PROBITY, "demo", "--listen", "127.0.0.1:%d" % port, "--seconds", "75"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with open(os.path.join(d, "prometheus.yml"), "w") as f:
        f.write(
            "scrape_configs:\n- job_name: probity\n  scrape_interval: 1s\n  static_configs: [{targets: ['127.0.0.1:%d']}]\n"
            % port
        )
    p = subprocess.Popen(
        [
            "prometheus",
            "--config.file=" + os.path.join(d, "prometheus.yml"),
            "--storage.tsdb.path=" + os.path.join(d, "data"),
            "--web.listen-address=127.0.0.1:%d" % prom,
            "--log.level=error",
        ]
    )

    def query(q):
        r = json.loads(
            get("http://127.0.0.1:%d/api/v1/query?query=%s" % (prom, urllib.parse.quote(q)))
        )
        return [float(x["value"][1]) for x in r["data"]["result"]]

    try:
        until(
            lambda: query('probity_endpoint_state{endpoint="checkout",state="down"} == 1'),
            60,
            "down in Prometheus",
        )
        until(
            lambda: query('probity_endpoint_state{endpoint="checkout",state="up"} == 1'),
            60,
            "up in Prometheus",
        )
        until(
            lambda: query('probity_endpoint_transitions_total{endpoint="checkout",to="down"} == 1'),
            10,
            "one transition",
        )
        down = query('probity_endpoint_state_seconds_total{endpoint="checkout",state="down"}')[0]
        assert 18 < down < 22, down
        endpoints = json.loads(get("http://127.0.0.1:%d/api/v1/endpoints" % port))["endpoints"]
        first = {e["name"]: e["ledger"]["first_start_ms"] / 1000 for e in endpoints}
        for name, start in first.items():
            total = query(
                'sum(probity_endpoint_state_seconds_total{endpoint="%s"}) - on() group_left() probity_endpoint_settled_timestamp_seconds{endpoint="%s"}'
                % (name, name)
            )[0]
            assert abs(total + start) < 0.002, (name, total, start)
        p99 = query(
            'histogram_quantile(0.99, sum by (le) (rate(probity_probe_duration_seconds_bucket{endpoint="frontend",outcome="success"}[30s])))'
        )[0]
        assert 0.0005 < p99 < 0.2, p99
        days = query(
            '(probity_tls_certificate_not_after_timestamp_seconds{endpoint="frontend",certificate="leaf"} - time()) / 86400'
        )[0]
        assert 28 < days < 31, days
    finally:
        demo.send_signal(signal.SIGINT)
        p.terminate()
        assert demo.wait(10) == 0
        p.wait(20)


def test_promtool_has_nothing_to_say(d):
    s = Server()
    daemon = Daemon(d, QUICK + endpoint("shop", s.port) + endpoint("dead", free_port()))
    until(lambda: daemon.endpoint("dead")["state"] == "down")
    for accept in ("text/plain", "application/openmetrics-text"):
        page = get(daemon.url("/metrics"), {"Accept": accept})
        if accept == "text/plain":
            r = sh("promtool", "check", "metrics", input=page)
            assert not r.stdout and not r.stderr, r.stdout + r.stderr
        else:
            assert page.endswith("# EOF\n")
    daemon.end()


def test_the_page_renders_in_a_browser(d):
    s = Server()
    daemon = Daemon(d, QUICK + endpoint("shop", s.port))
    until(lambda: daemon.endpoint("shop")["state"] == "up")
    picture = os.path.join(d, "page.png")
    sh(
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--user-data-dir=" + os.path.join(d, "profile"),
        "--screenshot=" + picture,
        "--dump-dom",
        daemon.url("/"),
    )
    dom = sh(
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--user-data-dir=" + os.path.join(d, "profile"),
        "--dump-dom",
        daemon.url("/"),
    ).stdout
    assert "All 1 endpoints up" in dom and "shop" in dom, dom
    daemon.end()


def test_kill_9_loses_doubles_and_invents_nothing(d):
    """Random kills under flapping endpoints: what a scrape showed before is there after."""
    cycles = int(os.environ.get("KILL_CYCLES", "25"))
    servers = [Server() for _ in range(10)]
    daemon = Daemon(d, QUICK + "".join(endpoint("e%d" % n, s.port) for n, s in enumerate(servers)))
    stop = threading.Event()

    def flap():
        n = 0
        while not stop.wait(0.05):
            servers[n % 10].status = 200 if servers[n % 10].status == 500 else 500
            n += 7

    threading.Thread(target=flap, daemon=True).start()
    pattern = re.compile(
        r"^(probity_endpoint_(?:transitions|state_seconds|down_lower_seconds|down_upper_seconds)_total\{[^}]*\}) (\S+)$",
        re.M,
    )
    for cycle in range(cycles):
        time.sleep(0.3 + (cycle * 37 % 100) / 100)
        before = {k: float(v) for k, v in pattern.findall(get(daemon.url("/metrics")))}
        daemon.kill()
        daemon.begin()
        after = {k: float(v) for k, v in pattern.findall(get(daemon.url("/metrics")))}
        for key, value in before.items():
            assert after.get(key, -1) >= value, (cycle, key, value, after.get(key))
    stop.set()
    time.sleep(1.5)
    transitions = {k: v for k, v in pattern.findall(get(daemon.url("/metrics")))}
    code, took = daemon.end()
    assert code == 0 and took < 2, (code, took)
    assert sh(PROBITY, "history", "verify", "--state-dir", daemon.state).stdout.startswith("intact")
    # Every confirmed outage is one event and one counted transition.
    for n in range(10):
        rows = sh(
            "sqlite3",
            os.path.join(daemon.state, "history.sqlite"),
            "SELECT count(*) FROM event e JOIN endpoint p ON p.id = e.endpoint WHERE p.name = 'e%d' AND e.kind = 'down'"
            % n,
        ).stdout.strip()
        counted = float(
            transitions['probity_endpoint_transitions_total{endpoint="e%d",to="down"}' % n]
        )
        assert abs(float(rows) - counted) <= 1, (n, rows, counted)


def test_a_full_disk_stops_the_figures_and_not_the_probing(d):
    state = os.path.join(d, "small")
    os.makedirs(state)
    sh("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", state)
    try:
        s = Server()
        daemon = Daemon(d, QUICK + endpoint("shop", s.port), state=os.path.join(state, "probity"))
        until(lambda: daemon.endpoint("shop")["state"] == "up")
        with open(os.path.join(state, "filler"), "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass
        until(
            lambda: daemon.metric("probity_history_writable") == 0,
            what="the full disk being noticed",
        )
        settled = daemon.metric('probity_endpoint_state_seconds_total{endpoint="shop",state="up"}')
        s.status = 500
        until(lambda: daemon.endpoint("shop")["state"] == "down", what="the live state going on")
        time.sleep(1)
        assert (
            daemon.metric('probity_endpoint_state_seconds_total{endpoint="shop",state="up"}')
            == settled
        )
        assert "Not ready" in sh("curl", "-s", daemon.url("/-/ready")).stdout
        assert daemon.json("/api/v1/endpoints")["recorded"] is False
        os.remove(os.path.join(state, "filler"))
        until(lambda: daemon.metric("probity_history_writable") == 1, what="recovery")
        until(
            lambda: (
                daemon.metric('probity_endpoint_state_seconds_total{endpoint="shop",state="down"}')
                > 0.5
            ),
            what="catching up",
        )
        assert len(daemon.json("/api/v1/outages")["outages"]) == 1
        assert daemon.end()[0] == 0
        assert sh(PROBITY, "history", "verify", "--state-dir", daemon.state).stdout.startswith(
            "intact"
        )
    finally:
        sh("umount", "-l", state)


def test_black_holes_do_not_delay_the_rest(d):
    """4,500 of 5,000 endpoints take connections and never answer: they are down, the others keep their schedule."""
    s = Server()
    hole = socket.socket()
    hole.bind(("127.0.0.1", 0))
    hole.listen(4096)
    text = '[defaults]\ninterval = "2s"\ntimeout = "2s"\ndown_after = 1\n[group.hole]\nprobe.tcp.dialogue = [{ expect = "never" }]\n[group.hole.targets]\n'
    text += "".join('h%d = "127.0.0.1:%d"\n' % (n, hole.getsockname()[1]) for n in range(4500))
    text += "[group.fine.targets]\n".replace(
        "[group.fine.targets]", "[group.fine]\nprobe.tcp.expect = {}\n[group.fine.targets]"
    )
    text += "".join('f%d = "127.0.0.1:%d"\n' % (n, s.port) for n in range(500))
    daemon = Daemon(d, text)
    time.sleep(10)
    states = {e["name"]: e["state"] for e in daemon.json("/api/v1/endpoints")["endpoints"]}
    fine = [v for k, v in states.items() if k.startswith("f")]
    assert fine.count("up") == 500, fine.count("up")
    page = get(daemon.url("/metrics?collect[]=accounting"))
    missed = sum(
        int(n)
        for n in re.findall(
            r'^probity_probes_total\{endpoint="f\d+",result="missed"\} (\d+)$', page, re.M
        )
    )
    assert missed == 0, missed
    daemon.kill()


def test_reload_under_load_makes_no_false_down(d):
    s = Server()
    names = ["e%d" % n for n in range(300)]
    write = lambda daemon, list_: open(daemon.config, "w").write(
        '[daemon]\nvantage = "system"\nlisten = "127.0.0.1:%d"\nstate_dir = "%s"\n%s%s'
        % (daemon.port, daemon.state, QUICK, "".join(endpoint(n, s.port) for n in list_))
    )
    daemon = Daemon(d, QUICK + "".join(endpoint(n, s.port) for n in names))
    until(lambda: all(e["state"] == "up" for e in daemon.json("/api/v1/endpoints")["endpoints"]))
    for k in range(10):
        write(daemon, names[: 290 + k])
        assert daemon.reload().startswith("reloaded: ")
        time.sleep(0.2)
    assert daemon.json("/api/v1/outages")["outages"] == []
    assert daemon.metric('probity_probes_total{endpoint="e0",result="missed"}') == 0
    daemon.end()


def test_unreachable_is_the_endpoints_from_a_router_and_ours_from_the_kernel(d):
    """Three namespaces: prober - router - target. The router loses its route; then the prober loses its own."""
    names = ["probity-a", "probity-r", "probity-b"]
    for n in names:
        sh("ip", "netns", "del", n, ok=False)
        sh("ip", "netns", "add", n)
    try:
        ns = lambda n, *a, ok=True: sh("ip", "netns", "exec", n, *a, ok=ok)
        sh(
            "ip",
            "link",
            "add",
            "pa",
            "netns",
            "probity-a",
            "type",
            "veth",
            "peer",
            "name",
            "ra",
            "netns",
            "probity-r",
        )
        sh(
            "ip",
            "link",
            "add",
            "rb",
            "netns",
            "probity-r",
            "type",
            "veth",
            "peer",
            "name",
            "pb",
            "netns",
            "probity-b",
        )
        for n, dev, addr in (
            ("probity-a", "pa", "10.77.1.2/24"),
            ("probity-r", "ra", "10.77.1.1/24"),
            ("probity-r", "rb", "10.77.2.1/24"),
            ("probity-b", "pb", "10.77.2.2/24"),
        ):
            ns(n, "ip", "addr", "add", addr, "dev", dev)
            ns(n, "ip", "link", "set", dev, "up")
            ns(n, "ip", "link", "set", "lo", "up")
        ns("probity-r", "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
        ns("probity-a", "ip", "route", "add", "default", "via", "10.77.1.1")
        ns("probity-b", "ip", "route", "add", "default", "via", "10.77.2.1")
        server = subprocess.Popen(
            [
                "ip",
                "netns",
                "exec",
                "probity-b",
                sys.executable,
                "-m",
                "http.server",
                "8099",
                "--bind",
                "10.77.2.2",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        probe = lambda target: json.loads(
            ns("probity-a", PROBITY, "probe", target, "--json", "--timeout", "1s", ok=False).stdout
        )
        until(lambda: probe("http://10.77.2.2:8099/")["result"] == "success", 10, "the path")
        assert probe("icmp://10.77.2.2")["result"] == "success"
        # A target that is there and says nothing.
        ns("probity-b", "sysctl", "-q", "-w", "net.ipv4.icmp_echo_ignore_all=1")
        assert probe("icmp://10.77.2.2")["cause"] == "icmp_timeout"
        # A router on the way that knows no way.
        ns("probity-r", "ip", "route", "replace", "unreachable", "10.77.2.2/32")
        assert probe("tcp://10.77.2.2:8099")["cause"] == "connect_unreachable"
        assert probe("icmp://10.77.2.2")["cause"] == "icmp_unreachable"
        # Linux tells a datagram socket of "administratively prohibited" only.
        ns("probity-r", "sysctl", "-q", "-w", "net.ipv4.icmp_ratelimit=0")
        ns("probity-r", "ip", "route", "replace", "prohibit", "10.77.2.2/32")
        config = os.path.join(d, "dns.toml")
        with open(config, "w") as f:
            f.write(
                "".join(
                    '[[endpoint]]\nname = "%s"\ntimeout = "1s"\nprobe.dns = { server = "10.77.2.2:53", query = "a.test", type = "A", transport = "%s" }\n'
                    % (t, t)
                    for t in ("udp", "tcp")
                )
            )

        # A router says so once a second at most; what is lost is a timeout, never our own fault.
        def unreachable_within(seconds, ask):
            seen = []

            def once():
                seen.append(ask())
                assert seen[-1]["result"] == "failure", seen[-1]
                return seen[-1]["cause"] == "connect_unreachable"

            until(once, seconds, "word from the router")

        named = lambda name: json.loads(
            ns("probity-a", PROBITY, "probe", name, "--config", config, "--json", ok=False).stdout
        )
        for transport in ("udp", "tcp"):
            unreachable_within(15, lambda: named(transport))
        # This host itself knows no way.
        ns("probity-a", "ip", "route", "del", "default")
        for target in ("tcp://10.77.2.2:8099", "icmp://10.77.2.2", "http://10.77.2.2:8099/"):
            found = probe(target)
            assert (found["result"], found["cause"]) == ("unmeasured", "local_network"), found
        # A route of this host that swallows everything, as a tunnel's kill switch has it, for every kind.
        for route in ("blackhole", "unreachable", "prohibit", "throw"):
            ns("probity-a", "ip", "route", "replace", route, "default")
            for ask in (
                lambda: probe("tcp://10.77.2.2:8099"),
                lambda: probe("icmp://10.77.2.2"),
                lambda: probe("http://10.77.2.2:8099/"),
                lambda: named("udp"),
                lambda: named("tcp"),
            ):
                found = ask()
                assert found["result"] == "unmeasured" and found["cause"] in (
                    "local_network",
                    "permission",
                ), (route, found)
            ns("probity-a", "ip", "route", "del", route, "default")
        # Nobody may open an ICMP socket here.
        ns("probity-a", "sysctl", "-q", "-w", "net.ipv4.ping_group_range=1 0")
        found = json.loads(
            ns(
                "probity-a",
                "setpriv",
                "--reuid",
                "65534",
                "--clear-groups",
                "--bounding-set=-net_raw",
                PROBITY,
                "probe",
                "icmp://127.0.0.1",
                "--json",
                ok=False,
            ).stdout
        )
        assert (found["result"], found["cause"]) == ("unmeasured", "permission"), found
        server.terminate()
    finally:
        for n in names:
            sh("ip", "netns", "del", n, ok=False)


def test_without_a_free_local_port_every_kind_is_unmeasured(d):
    """Four ports in a namespace, all of them held by somebody else."""
    held = """
import socket, sys
held = []
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    for port in range(40000, 40004):
        for family, any_address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            s = socket.socket(family, kind)
            if family == socket.AF_INET6:
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            s.bind((any_address, port))
            held.append(s)
print("held", flush=True)
sys.stdin.read()
"""
    config = os.path.join(d, "ports.toml")
    with open(config, "w") as f:
        f.write('[defaults]\ntimeout = "1s"\n')
        f.write('[[endpoint]]\nname = "tcp"\nprobe.tcp = "127.0.0.1:22"\n')
        f.write(
            '[[endpoint]]\nname = "source"\nsource_address = "127.0.0.1"\nprobe.tcp = "127.0.0.1:22"\n'
        )
        f.write(
            '[[endpoint]]\nname = "http"\nsource_address = "127.0.0.1"\nprobe.http = "http://127.0.0.1:22/"\n'
        )
        f.write(
            '[[endpoint]]\nname = "dns"\nprobe.dns = { server = "127.0.0.1:53", query = "a.test", type = "A" }\n'
        )
    sh("ip", "netns", "del", "probity-p", ok=False)
    sh("ip", "netns", "add", "probity-p")
    try:
        ns = ["ip", "netns", "exec", "probity-p"]
        sh(*ns, "ip", "link", "set", "lo", "up")
        sh(*ns, "sysctl", "-q", "-w", "net.ipv4.ip_local_port_range=40000 40003")
        holder = subprocess.Popen(
            ns + [sys.executable, "-c", held],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert holder.stdout.readline() == "held\n"
        for name in ("tcp", "source", "http", "dns"):
            found = json.loads(
                sh(*ns, PROBITY, "probe", name, "--config", config, "--json", ok=False).stdout
            )
            assert (found["result"], found["cause"]) == ("unmeasured", "local_resource"), (
                name,
                found,
            )
        holder.stdin.close()
        holder.wait(10)
    finally:
        sh("ip", "netns", "del", "probity-p", ok=False)


def test_icmp_asks_the_next_address_when_the_first_is_silent(d):
    """The first address of the name has a neighbour entry and nobody behind it: echoes go out and nothing comes back."""
    with open(os.path.join(d, "hosts"), "w") as f:
        f.write("10.79.1.3 gateway.example\n10.79.1.2 gateway.example\n10.79.1.3 silent.example\n")
    names = ["probity-ia", "probity-ib"]
    for n in names:
        sh("ip", "netns", "del", n, ok=False)
        sh("ip", "netns", "add", n)
    try:
        ns = lambda n, *a, ok=True: sh("ip", "netns", "exec", n, *a, ok=ok)
        sh(
            "ip",
            "link",
            "add",
            "ia",
            "netns",
            "probity-ia",
            "type",
            "veth",
            "peer",
            "name",
            "ib",
            "netns",
            "probity-ib",
        )
        for n, dev, addr in (
            ("probity-ia", "ia", "10.79.1.1/24"),
            ("probity-ib", "ib", "10.79.1.2/24"),
        ):
            ns(n, "ip", "addr", "add", addr, "dev", dev)
            ns(n, "ip", "link", "set", dev, "up")
            ns(n, "ip", "link", "set", "lo", "up")
        ns(
            "probity-ia",
            "ip",
            "neigh",
            "add",
            "10.79.1.3",
            "lladdr",
            "02:00:00:00:00:03",
            "dev",
            "ia",
            "nud",
            "permanent",
        )
        # `ip netns exec` has a mount namespace of its own.
        asked = lambda name: json.loads(
            ns(
                "probity-ia",
                "sh",
                "-c",
                'mount --bind "$1" /etc/hosts && shift && exec "$@"',
                "sh",
                os.path.join(d, "hosts"),
                PROBITY,
                "probe",
                "icmp://" + name,
                "--json",
                "--timeout",
                "2s",
                ok=False,
            ).stdout
        )
        until(lambda: asked("10.79.1.2")["result"] == "success", 10, "the path")
        found = asked("gateway.example")
        assert found["result"] == "success", found
        # The first is still waited for when the second answers, so it has not failed.
        assert [(a["address"], a["error"]) for a in found["attempts"]] == [("10.79.1.2", None)], (
            found
        )
        assert 200 < found["duration_ms"] < 1500, found
        # Alone, it has the whole timeout.
        found = asked("silent.example")
        assert found["cause"] == "icmp_timeout" and found["duration_ms"] >= 1990, found
    finally:
        for n in names:
            sh("ip", "netns", "del", n, ok=False)


def test_without_a_quorum_of_witnesses_failures_are_unknown_and_with_one_a_third_down_is_down(d):
    """Prober - router - targets and witnesses. The router's far link goes: nothing is down. Then a third of the targets goes: they are."""
    names = ["probity-wa", "probity-wr", "probity-wb"]
    for n in names:
        sh("ip", "netns", "del", n, ok=False)
        sh("ip", "netns", "add", n)
    ns = lambda n, *a, ok=True: sh("ip", "netns", "exec", n, *a, ok=ok)
    servers = []
    try:
        sh(
            "ip",
            "link",
            "add",
            "pa",
            "netns",
            "probity-wa",
            "type",
            "veth",
            "peer",
            "name",
            "ra",
            "netns",
            "probity-wr",
        )
        sh(
            "ip",
            "link",
            "add",
            "rb",
            "netns",
            "probity-wr",
            "type",
            "veth",
            "peer",
            "name",
            "pb",
            "netns",
            "probity-wb",
        )
        addresses = [
            ("probity-wa", "pa", "10.78.1.2/24"),
            ("probity-wr", "ra", "10.78.1.1/24"),
            ("probity-wr", "rb", "10.78.2.1/24"),
        ]
        addresses += [("probity-wb", "pb", "10.78.2.%d/24" % k) for k in (2, 3, 4, 10, 11)]
        for n, dev, addr in addresses:
            ns(n, "ip", "addr", "add", addr, "dev", dev)
            ns(n, "ip", "link", "set", dev, "up")
            ns(n, "ip", "link", "set", "lo", "up")
        ns("probity-wr", "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
        ns("probity-wa", "ip", "route", "add", "default", "via", "10.78.1.1")
        ns("probity-wb", "ip", "route", "add", "default", "via", "10.78.2.1")
        for k in (2, 3, 4, 10, 11):
            servers.append(
                subprocess.Popen(
                    [
                        "ip",
                        "netns",
                        "exec",
                        "probity-wb",
                        sys.executable,
                        "-m",
                        "http.server",
                        "8099",
                        "--bind",
                        "10.78.2.%d" % k,
                    ],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
        text = QUICK + "".join(
            '[[endpoint]]\nname = "t%d"\nprobe.http = "http://10.78.2.%d:8099/"\n' % (k, k)
            for k in (2, 3, 4)
        )
        text += "".join(
            '[[witness.endpoint]]\nname = "w%d"\ntimeout = "500ms"\nprobe.tcp = "10.78.2.%d:8099"\n'
            % (k, k)
            for k in (10, 11)
        )
        for k in (2, 3, 4, 10, 11):
            until(
                lambda: (
                    ns(
                        "probity-wb",
                        "curl",
                        "-sf",
                        "-o",
                        "/dev/null",
                        "http://10.78.2.%d:8099/" % k,
                        ok=False,
                    ).returncode
                    == 0
                ),
                20,
                "server %d" % k,
            )
        daemon = Daemon(d, text, prefix=["ip", "netns", "exec", "probity-wa"])
        fetch = lambda path: ns("probity-wa", "curl", "-sf", daemon.url(path)).stdout
        states = lambda: (
            {
                e["name"]: e["state"]
                for e in json.loads(fetch("/api/v1/endpoints") or '{"endpoints": []}')["endpoints"]
            }
            if ns("probity-wa", "curl", "-sf", daemon.url("/-/ready"), ok=False).returncode == 0
            else {}
        )
        until(lambda: states() == {"t2": "up", "t3": "up", "t4": "up"}, 20, "all up")
        assert "probity_witness_quorum_met 1" in fetch("/metrics")
        ns("probity-wr", "ip", "link", "set", "rb", "down")
        until(lambda: set(states().values()) == {"unknown"}, 20, "all unknown")
        page = fetch("/metrics")
        assert (
            "probity_witness_quorum_met 0" in page and 'probity_witness_up{witness="w10"} 0' in page
        ), page
        assert "witness quorum lost" in fetch("/")
        time.sleep(2)
        ns("probity-wr", "ip", "link", "set", "rb", "up")
        until(lambda: set(states().values()) == {"up"}, 20, "all up again")
        until(
            lambda: (
                float(
                    re.search(
                        r'probity_unknown_seconds_total{reason="local_network"} (\S+)',
                        fetch("/metrics"),
                    ).group(1)
                )
                > 3
            ),
            10,
            "the reason in the metrics",
        )
        assert json.loads(fetch("/api/v1/outages"))["outages"] == []
        servers[0].terminate()
        until(lambda: states() == {"t2": "down", "t3": "up", "t4": "up"}, 20, "a third down")
        assert [o["endpoint"] for o in json.loads(fetch("/api/v1/outages"))["outages"]] == ["t2"]
        daemon.end()
        kinds = [
            json.loads(line)["kind"]
            for line in sh(
                PROBITY, "export", "journal", "--state-dir", daemon.state
            ).stdout.splitlines()
        ]
        assert "witnesses_silent" in kinds and "witnesses_answer" in kinds, kinds
        assert sh(PROBITY, "history", "verify", "--state-dir", daemon.state).returncode == 0
    finally:
        for server in servers:
            server.terminate()
        for n in names:
            sh("ip", "netns", "del", n, ok=False)


def stand_still(pid, seconds):
    """Holds every thread of a process without a signal that it could hear, as a host without CPU does."""
    libc = ctypes.CDLL(None, use_errno=True)
    seize, interrupt, detach, wall = 0x4206, 0x4207, 17, 0x40000000
    threads = [int(t) for t in os.listdir("/proc/%d/task" % pid)]
    for tid in threads:
        assert libc.ptrace(seize, tid, None, None) == 0, os.strerror(ctypes.get_errno())
        assert libc.ptrace(interrupt, tid, None, None) == 0
        os.waitpid(tid, wall)
    time.sleep(seconds)
    for tid in threads:
        libc.ptrace(detach, tid, None, None)


def test_a_prober_without_cpu_is_unknown_time_for_being_late(d):
    server = Server()
    daemon = Daemon(d, QUICK + endpoint("e", server.port))
    until(lambda: daemon.endpoint("e")["state"] == "up")
    stand_still(daemon.p.pid, 3)
    until(
        lambda: daemon.metric('probity_unknown_seconds_total{reason="late"}') > 1.5,
        10,
        "time unknown for being late",
    )
    assert daemon.json("/api/v1/outages")["outages"] == []
    assert daemon.metric('probity_endpoint_state_seconds_total{endpoint="e",state="down"}') == 0
    daemon.end()


def with_a_clock_of_its_own(d):
    """A daemon whose wall clock can be set, and what sets it."""
    clock = os.path.join(d, "clock")

    def shift(text):
        with open(clock + ".new", "w") as f:
            f.write(text)
        os.rename(clock + ".new", clock)

    shift("+0s")
    preload = next(
        p
        for p in (
            "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
            "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
        )
        if os.path.exists(p)
    )
    server = Server()
    prefix = [
        "env",
        "LD_PRELOAD=" + preload,
        "FAKETIME_TIMESTAMP_FILE=" + clock,
        "FAKETIME_NO_CACHE=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        "DONT_FAKE_MONOTONIC=1",
    ]
    daemon = Daemon(d, QUICK + endpoint("e", server.port), prefix=prefix)
    until(lambda: daemon.endpoint("e")["state"] == "up", 20)
    return daemon, shift


def test_a_clock_a_month_ahead_for_a_while_takes_no_count_away(d):
    daemon, shift = with_a_clock_of_its_own(d)
    time.sleep(2)
    shift("+2678400s")
    time.sleep(3)
    shift("+0s")
    time.sleep(3)
    counted = daemon.metric('probity_probes_total{endpoint="e",result="success"}')
    daemon.end()
    rows = sh(
        "sqlite3",
        "-json",
        os.path.join(daemon.state, "history.sqlite"),
        "SELECT hour, json_extract(CAST(body AS TEXT), '$.slots.success') AS n FROM tally ORDER BY hour",
    ).stdout
    tallies = [(row["hour"], row["n"]) for row in json.loads(rows)]
    # Half a minute of luck: the test may run over the end of an hour.
    ahead = [n for hour, n in tallies if hour > time.time() / 3600 + 24]
    assert len(ahead) == 1 and ahead[0] >= 1, (tallies, counted)
    assert abs(sum(n for _, n in tallies) - counted) <= 1, (tallies, counted)


def test_steps_of_the_wall_clock_move_the_calendar_and_nothing_else(d):
    """The clock jumps an hour ahead, then half an hour back, under a daemon that probes on."""
    daemon, shift = with_a_clock_of_its_own(d)
    time.sleep(1)
    shift("+3600s")
    time.sleep(4)
    shift("+1800s")
    time.sleep(4)
    e = daemon.endpoint("e")["ledger"]
    assert e["up_ms"] + e["down_ms"] + e["unknown_ms"] == e["watermark_ms"] - e["first_start_ms"]
    assert e["unknown_ms"] < 1500 and e["down_ms"] == 0, e
    assert daemon.metric('probity_probes_total{endpoint="e",result="missed"}') == 0
    assert daemon.json("/api/v1/outages")["outages"] == []
    daemon.end()
    steps = [
        json.loads(line)["step_ms"]
        for line in sh(
            PROBITY, "export", "journal", "--state-dir", daemon.state
        ).stdout.splitlines()
        if json.loads(line)["kind"] == "clock_step"
    ]
    assert len(steps) == 2 and abs(steps[0] - 3600000) < 200 and abs(steps[1] + 1800000) < 200, (
        steps
    )
    now = time.time()
    at = lambda t: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))
    timeline = json.loads(
        sh(
            PROBITY,
            "export",
            "timeline",
            "--state-dir",
            daemon.state,
            "--from",
            at(now - 600),
            "--to",
            at(now + 7200),
        ).stdout
    )
    [component] = timeline["components"]
    skipped = [u for u in component["unknown"] if u["reason"] == "clock"]
    assert len(skipped) == 1, component
    # Half of the skipped hour lies before the clock's present; what was lived through in it again stays unknown.
    assert 1800000 < component["unknown_ms"] < 1812000, component
    assert component["down_ms"] == 0


def certificate(d, name, days_from, days_to, issuer=None):
    """A certificate for localhost from and to so many days from now; without an issuer, an authority. Paths of certificate and key."""
    base = os.path.join(d, name)
    at = lambda days: time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400))
    sh("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", base + ".key")
    sh(
        "openssl",
        "req",
        "-new",
        "-key",
        base + ".key",
        "-subj",
        "/CN=" + name,
        "-out",
        base + ".csr",
    )
    work = os.path.join(d, name + ".ca")
    os.makedirs(work)
    for file in ("index.txt", "index.txt.attr"):
        open(os.path.join(work, file), "w").close()
    with open(os.path.join(work, "c.cnf"), "w") as f:
        f.write(
            "[ca]\ndefault_ca = d\n[d]\ndatabase = %s/index.txt\nnew_certs_dir = %s\nrand_serial = yes\ndefault_md = sha256\npolicy = p\n[p]\ncommonName = supplied\n"
            "[authority]\nbasicConstraints = critical,CA:TRUE\n[leaf]\nsubjectAltName = DNS:localhost,IP:127.0.0.1\n"
            % (work, work)
        )
    signer = (
        ["-selfsign", "-keyfile", base + ".key", "-extensions", "authority"]
        if issuer is None
        else ["-cert", issuer[0], "-keyfile", issuer[1], "-extensions", "leaf"]
    )
    sh(
        "openssl",
        "ca",
        "-batch",
        "-notext",
        "-config",
        os.path.join(work, "c.cnf"),
        "-startdate",
        at(days_from),
        "-enddate",
        at(days_to),
        "-in",
        base + ".csr",
        "-out",
        base + ".pem",
        *signer,
    )
    return base + ".pem", base + ".key"


class TlsServer:
    """Shakes hands, answers 200 to whatever is asked, and closes."""

    def __init__(self, pair):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*pair)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            threading.Thread(
                target=self.answer, args=(self.listener.accept()[0],), daemon=True
            ).start()

    def answer(self, stream):
        try:
            with self.context.wrap_socket(stream, server_side=True) as tls:
                tls.recv(4096)
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        except (OSError, ssl.SSLError):
            stream.close()


def test_a_wrong_clock_takes_no_endpoint_down_and_notifies_nobody(d):
    """At 1970, 2020 and 400 days ahead, from the start and under way; afterwards things go on. curl is the second opinion on the right date."""
    root = certificate(d, "root", -400, 4000)
    servers = [
        TlsServer(certificate(d, name, a, b, root))
        for name, a, b in (("young", -5, 85), ("old", -80, 10), ("long", -300, 90))
    ]
    for server in servers:
        assert (
            sh(
                "curl",
                "-s",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                "--cacert",
                root[0],
                "https://localhost:%d/" % server.port,
            ).stdout
            == "200"
        )
    hook = Server()
    now = time.time()
    steps = {"1970": -now + 1000, "2020": 1577836800 - now, "400 days ahead": 400 * 86400}
    prefix, shift = with_a_wall_clock_of_its_own(d)
    text = QUICK + "".join(
        '[[endpoint]]\nname = "e%d"\nprobe.http.url = "https://localhost:%d/"\nprobe.http.tls.ca_file = "%s"\n'
        % (n, s.port, root[0])
        for n, s in enumerate(servers)
    )
    text += '[[notify]]\nname = "n"\nwebhook.url = { file = "%s/url" }\n' % d
    with open(os.path.join(d, "url"), "w") as f:
        f.write("http://127.0.0.1:%d/hook" % hook.port)
    posted = []
    hook.httpd.RequestHandlerClass.do_POST = lambda self: (
        posted.append(self.rfile.read(int(self.headers["Content-Length"]))),
        self.send_response(200),
        self.send_header("Content-Length", "0"),
        self.end_headers(),
    )
    states = lambda daemon: [e["state"] for e in daemon.json("/api/v1/endpoints")["endpoints"]]
    downs = lambda text: [json.loads(p) for p in text if json.loads(p)["state"] == "down"]
    for name, seconds in steps.items():
        begun_wrong = os.path.join(d, "from the start " + name)
        os.makedirs(begun_wrong)
        shift(seconds)
        daemon = Daemon(begun_wrong, text, prefix=prefix)
        until(
            lambda: daemon.metric('probity_probe_unmeasured_total{reason="clock"}') >= 9,
            30,
            "probes unmeasured for the clock at " + name,
        )
        assert states(daemon) == ["unknown"] * 3, (name, states(daemon))
        shift(0)
        until(
            lambda: states(daemon) == ["up"] * 3,
            30,
            "up after the clock was set right from " + name,
        )
        shift(seconds)
        before = daemon.metric('probity_probe_unmeasured_total{reason="clock"}')
        until(
            lambda: daemon.metric('probity_probe_unmeasured_total{reason="clock"}') >= before + 9,
            30,
            "unmeasured again at " + name,
        )
        assert "down" not in states(daemon), (name, states(daemon))
        shift(0)
        until(lambda: states(daemon) == ["up"] * 3, 30, "up again from " + name)
        assert daemon.json("/api/v1/outages")["outages"] == [], name
        assert not any(
            line.startswith("probity_probe_failures_total{")
            for line in get(daemon.url("/metrics")).splitlines()
        ), name
        daemon.end()
    assert downs(posted) == [], posted


def with_a_wall_clock_of_its_own(d):
    """What puts a program under a wall clock that can be set, and what sets it, by seconds."""
    clock, shim = os.path.join(d, "clock"), os.path.join(d, "wallclock.so")

    def shift(seconds):
        with open(clock + ".new", "w") as f:
            f.write("%d" % seconds)
        os.rename(clock + ".new", clock)

    shift(0)
    sh("cc", "-shared", "-fPIC", "-O1", "-o", shim, os.path.join(HERE, "wallclock.c"), "-ldl")
    return ["env", "LD_PRELOAD=" + shim, "WALLCLOCK_FILE=" + clock], shift


def test_a_day_forward_and_back_doubles_and_loses_no_message(d):
    """The clock is set while an outage is open, one message waits for its time, and maintenance holds another back."""
    prefix, shift = with_a_wall_clock_of_its_own(d)
    for name, day in (("forward", 86400), ("back", -86400)):
        place = os.path.join(d, name)
        os.makedirs(place)
        shift(0)
        server, hook, posted = Server(), Server(), []

        def post(self):
            posted.append(
                (time.monotonic(), json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            )
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        hook.httpd.RequestHandlerClass.do_POST = post
        with open(os.path.join(place, "url"), "w") as f:
            f.write("http://127.0.0.1:%d/hook" % hook.port)
        receiver = '[[notify]]\nname = "%%s"\n%%swebhook.url = { file = "%s/url" }\n' % place
        text = (
            QUICK
            + endpoint("shop", server.port)
            + endpoint("held", server.port)
            + receiver % ("late", 'after = "8s"\n')
        )
        daemon = Daemon(place, text, prefix=prefix)
        states = lambda: {
            e["name"]: e["state"] for e in daemon.json("/api/v1/endpoints")["endpoints"]
        }
        until(lambda: set(states().values()) == {"up"}, 20)
        start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
        sh(
            PROBITY,
            "maintenance",
            "add",
            "--id",
            "works",
            "--endpoint",
            "held",
            "--start",
            start,
            "--duration",
            "240h",
            "--reason",
            "works",
            "--state-dir",
            daemon.state,
        )
        until(lambda: daemon.metric('probity_endpoint_maintenance{endpoint="held"}') == 1, 20)
        server.status = 500
        until(lambda: set(states().values()) == {"down"}, 20)
        began = time.monotonic()
        # There and back again, while the first message waits for its eight seconds.
        time.sleep(1)
        shift(day)
        time.sleep(2)
        if day > 0:
            # Still in the window, which is ten days long.
            assert posted == [], (name, posted)
        shift(0)
        of = lambda endpoint: [
            (m["state"], m["outage"], at - began) for at, m in posted if m["endpoint"] == endpoint
        ]
        until(lambda: of("shop"), 20, "the message that waited")
        [(state, outage, after)] = of("shop")
        assert state == "down" and 6.5 < after < 12, (name, of("shop"))
        # It is open, and has been told: neither step tells of it again. The clock ends a day off.
        for shifted in (day, 0, day):
            shift(shifted)
            time.sleep(3)
        assert len(of("shop")) == 1, (name, of("shop"))
        if day > 0:
            assert of("held") == [], (name, of("held"))
            sh(PROBITY, "maintenance", "cancel", "works", "--state-dir", daemon.state)
        # A day back, the window is to come, and holds nothing.
        until(lambda: of("held"), 20, "the message that was held back")
        server.status = 200
        until(lambda: len(of("shop")) == 2 and len(of("held")) == 2, 20, "the ends")
        time.sleep(3)
        for endpoint_of in ("shop", "held"):
            told = of(endpoint_of)
            assert [state for state, _, _ in told] == ["down", "up"], (name, told)
            assert told[0][1] == told[1][1], (name, told)
        assert len(posted) == 4, (name, posted)
        assert daemon.metric('probity_notifications_total{receiver="late",result="delivered"}') == 4
        daemon.end()


def test_what_is_recorded_while_the_clock_is_set_back_counts_from_when_it_was(d):
    """Root sets the clock back after an outage, reloads with lower terms, a window over it and another way to combine, and sets it right."""
    prefix, shift = with_a_wall_clock_of_its_own(d)
    server, steady = Server(), Server()
    of = lambda name, port: endpoint(name, port) + 'component = "shop"\n'
    text = lambda objective, combine, more="": (
        QUICK
        + '[component.shop]\ncombine = "%s"\n' % combine
        + of("web", server.port)
        + of("spare", steady.port)
        + '[sla.s]\nobjective = "%s"\ncomponents = ["shop"]\n[sla.s.maintenance]\ntreat = "exclude"\n'
        % objective
        + more
    )
    daemon = Daemon(d, text("99.999", "series"), prefix=prefix)
    until(lambda: daemon.endpoint("web")["state"] == "up", 20)
    time.sleep(8)
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    server.status = 500
    until(lambda: daemon.endpoint("web")["state"] == "down", 20)
    time.sleep(1)
    server.status = 200
    until(lambda: daemon.endpoint("web")["state"] == "up", 20)
    time.sleep(1)
    figures = lambda: [
        c for c in daemon.json("/api/v1/sla")["contracts"] if c["which"] == "current"
    ][0]
    down = figures()["results"][0]["down_ms"]
    assert down > 1000, figures()
    shift(-40 * 86400)
    time.sleep(1)
    window = (
        '[[maintenance]]\nid = "works"\nstart = "%s"\nduration = "1h"\nreason = "works"\nannounced_at = "2026-01-01T00:00:00Z"\n'
        % start
    )
    write = open(daemon.config).read().split("[defaults]")[0] + text("1", "parallel", window)
    with open(daemon.config, "w") as f:
        f.write(write)
    os.kill(daemon.p.pid, signal.SIGHUP)
    until(lambda: "reloaded" in open(os.path.join(d, "log")).read(), 10)
    time.sleep(2)
    shift(0)
    time.sleep(2)
    report, journal = os.path.join(d, "report.json"), os.path.join(d, "journal.jsonl")
    found = until(
        lambda: (
            sh(
                PROBITY,
                "sla",
                "report",
                "--sla",
                "s",
                "--period",
                time.strftime("%Y-%m"),
                "--provisional",
                "--state-dir",
                daemon.state,
                "--config",
                daemon.config,
                ok=False,
            ).stdout
        ),
        10,
    )
    told = json.loads(found)
    assert told["evaluation"]["results"][0]["down_ms"] >= down, told["evaluation"]
    assert told["evaluation"]["results"][0]["verdict"] != "met", told["evaluation"]
    what = [c["what"] for c in told["changed"]]
    assert what.count("clock_set") == 2 and "terms_changed" in what and "combine" in what, told[
        "changed"
    ]
    with open(report, "w") as f:
        f.write(found)
    with open(journal, "w") as f:
        f.write(sh(PROBITY, "export", "journal", "--tallies", "--state-dir", daemon.state).stdout)
    assert sh(PROBITY, "sla", "verify", report, "--events", journal)
    page = get(daemon.url("/"))
    assert "clock set" in page and figures()["results"][0]["down_ms"] >= down
    daemon.end()


def test_a_server_of_yesterdays_tls_is_told_as_too_old(d):
    """Only CBC suites, only RSA key exchange, only TLS 1.1, as openssl s_server has them; openssl s_client is the second opinion."""
    root = certificate(d, "root", -10, 100)
    sh(
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        os.path.join(d, "rsa.key"),
        "-out",
        os.path.join(d, "rsa.pem"),
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-days",
        "9",
    )
    leaf = certificate(d, "leaf", -1, 50, root)
    rsa = (os.path.join(d, "rsa.pem"), os.path.join(d, "rsa.key"))
    cases = [
        ("CBC suites", leaf, ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"], "too old"),
        ("RSA key exchange", rsa, ["-tls1_2", "-cipher", "AES128-GCM-SHA256"], "too old"),
        ("TLS 1.1", rsa, ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], "TLS 1.1 or older"),
    ]
    for what, (pem, key), options, said in cases:
        port = free_port()
        server = subprocess.Popen(
            [
                "openssl",
                "s_server",
                "-quiet",
                "-accept",
                "127.0.0.1:%d" % port,
                "-cert",
                pem,
                "-key",
                key,
            ]
            + options,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(
                lambda: socket.create_connection(("127.0.0.1", port), 1).close() is None,
                10,
                "the server",
            )
            client = sh(
                "openssl",
                "s_client",
                "-connect",
                "127.0.0.1:%d" % port,
                *options,
                ok=False,
                input="Q\n",
            )
            assert "Cipher    : " in client.stdout + client.stderr, (what, client.stdout[-500:])
            found = json.loads(
                sh(PROBITY, "probe", "tls://localhost:%d" % port, "--json", ok=False).stdout
            )
            assert (
                found["cause"] == "tls_handshake"
                and said in found["detail"]
                and "ERR_SSL_VERSION_OR_CIPHER_MISMATCH" in found["detail"]
            ), (what, found)
        finally:
            server.kill()
            server.wait()


def test_rules_of_a_config_pass_promtool_with_their_own_tests(d):
    config = os.path.join(d, "c.toml")
    with open(config, "w") as f:
        f.write(
            "".join(
                '[[endpoint]]\nname = "%s"\ninterval = "%s"\ntimeout = "500ms"\nprobe.tcp = "127.0.0.1:1"\n'
                % e
                for e in (("slow", "30s"), ("quick (1)", "1s"), ("quick", "1s"))
            )
        )
        f.write(
            '[sla.five]\nobjective = "99.999"\ncomponents = ["slow"]\n[sla.two]\nobjective = "99"\ncomponents = ["quick (1)"]\n'
        )
        f.write('[sla.plain]\nobjective = "99"\ncomponents = ["quick"]\nmin_coverage = "95"\n')
    out = os.path.join(d, "rules")
    sh(PROBITY, "rules", "--config", config, "--output", out)
    checked = sh("promtool", "check", "rules", os.path.join(out, "probity-rules.yml"))
    assert "SUCCESS" in checked.stdout and "duplicate" not in checked.stdout + checked.stderr, (
        checked
    )
    with open(os.path.join(out, "probity-rules-test.yml")) as f:
        cases = f.read()
    for case in (
        "a burn over 1h",
        "a burn over 6h",
        "a burn over 3d",
        "has its coverage before it",
        "a third of it",
        "a used budget",
    ):
        assert cases.count("- name: ") > 10 and case in cases, (case, cases)
    tested = sh("promtool", "test", "rules", os.path.join(out, "probity-rules-test.yml"))
    assert "SUCCESS" in tested.stdout and "FAILED" not in tested.stdout + tested.stderr, tested
    with open(os.path.join(out, "probity-rules.yml")) as f:
        rules = f.read()
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
        with open(os.path.join(out, "probity-rules-test.yml"), "w") as f:
            f.write(head + only[0])
        for text, found in ((rules, 0), (rules.replace(whole, broken), 1)):
            with open(os.path.join(out, "probity-rules.yml"), "w") as f:
                f.write(text)
            tested = sh(
                "promtool", "test", "rules", os.path.join(out, "probity-rules-test.yml"), ok=False
            )
            assert tested.returncode == found, (case, broken, tested)


def test_the_queries_of_the_documents_are_ones_that_promtool_accepts(d):
    rules, count = [], 0
    for name in ("metrics.md", "latency.md"):
        with open(os.path.join(ROOT, "docs", name)) as f:
            blocks = re.findall(r"```promql\n(.*?)\n```", f.read(), re.S)
        # Several queries of one block have a comment above each.
        queries = [q for b in blocks for q in re.split(r"\n\n|^#.*$", b, flags=re.M) if q.strip()]
        count += len(queries)
        rules += [
            "  - record: documented:%s%d\n    expr: %s\n" % (name[:3], n, json.dumps(q))
            for n, q in enumerate(queries)
        ]
    path = os.path.join(d, "documented.yml")
    with open(path, "w") as f:
        f.write("groups:\n- name: documented\n  rules:\n" + "".join(rules))
    checked = sh("promtool", "check", "rules", path)
    assert "SUCCESS: %d rules found" % count in checked.stdout and count > 60, checked


def test_an_outage_between_two_evaluations_fires_and_is_over_at_the_next(d):
    """Prometheus evaluates each minute. An outage of some seconds lies between two evaluations; the alert fires at the first one after it, and only there."""
    server = Server()
    daemon = Daemon(d, QUICK + endpoint("e", server.port))
    until(lambda: daemon.endpoint("e")["state"] == "up")
    out, prom = os.path.join(d, "rules"), free_port()
    sh(PROBITY, "rules", "--config", daemon.config, "--output", out)
    with open(os.path.join(d, "prometheus.yml"), "w") as f:
        f.write(
            "global: {evaluation_interval: 1m}\nrule_files: ['%s']\nscrape_configs:\n- job_name: probity\n  scrape_interval: 15s\n  static_configs: [{targets: ['127.0.0.1:%d']}]\n"
            % (os.path.join(out, "probity-rules.yml"), daemon.port)
        )
    p = subprocess.Popen(
        [
            "prometheus",
            "--config.file=" + os.path.join(d, "prometheus.yml"),
            "--storage.tsdb.path=" + os.path.join(d, "data"),
            "--web.listen-address=127.0.0.1:%d" % prom,
            "--log.level=error",
        ]
    )

    def samples(q):
        """[(time, value)] of the raw samples of the last minutes."""
        r = json.loads(
            get(
                "http://127.0.0.1:%d/api/v1/query?query=%s"
                % (prom, urllib.parse.quote(q + "[15m]"))
            )
        )
        return [(float(t), float(v)) for series in r["data"]["result"] for t, v in series["values"]]

    evaluations = lambda: [t for t, _ in samples("probity:endpoint_outages:seen")]
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
        until(
            lambda: len([t for t in evaluations() if t > recovered]) >= 3,
            240,
            "three evaluations after it",
        )
        after = [t for t in evaluations() if t > recovered]
        fired = [
            t for t, _ in samples('ALERTS{alertname="ProbityEndpointDown",alertstate="firing"}')
        ]
        assert fired == [after[0]], (fired, after)
        rule = [
            r
            for g in json.loads(get("http://127.0.0.1:%d/api/v1/rules" % prom))["data"]["groups"]
            for r in g["rules"]
            if r["name"] == "ProbityEndpointDown"
        ][0]
        assert rule["state"] == "inactive" and rule["health"] == "ok", rule
        assert '<h2 id="probityendpointdown">' in get(daemon.url("/runbook"))
    finally:
        p.terminate()
        p.wait(20)
    daemon.end()


def test_availability_in_promql_is_the_daemons_own_and_history_can_be_backfilled(d):
    """A server goes away for a known time under Debian's Prometheus; then the same history is given to promtool as OpenMetrics."""
    server = Server()
    daemon = Daemon(d, QUICK + endpoint("e", server.port))
    prom, data = free_port(), os.path.join(d, "data")
    with open(os.path.join(d, "prometheus.yml"), "w") as f:
        f.write(
            "scrape_configs:\n- job_name: probity\n  scrape_interval: 1s\n  static_configs: [{targets: ['127.0.0.1:%d']}]\n"
            % daemon.port
        )
    p = subprocess.Popen(
        [
            "prometheus",
            "--config.file=" + os.path.join(d, "prometheus.yml"),
            "--storage.tsdb.path=" + data,
            "--web.listen-address=127.0.0.1:%d" % prom,
            "--log.level=error",
        ]
    )

    def query(q, at):
        r = json.loads(
            get(
                "http://127.0.0.1:%d/api/v1/query?query=%s&time=%.3f"
                % (prom, urllib.parse.quote(q), at)
            )
        )
        return float(r["data"]["result"][0]["value"][1])

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
        series = lambda state: (
            'probity_endpoint_state_seconds_total{endpoint="e",state="%s"}' % state
        )
        up, down = (query(series(s), ended) - query(series(s), began) for s in ("up", "down"))
        settled = lambda at: query('probity_endpoint_settled_timestamp_seconds{endpoint="e"}', at)
        iso = lambda t: (
            time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t))
            + ".%03dZ" % round(t % 1 * 1000 % 1000)
        )
        own = daemon.json(
            "/api/v1/timeline?from=%s&to=%s" % (iso(settled(began)), iso(settled(ended)))
        )["components"][0]
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
    past = os.path.join(d, "past.om")
    with open(past, "w") as f:
        f.write(
            sh(
                PROBITY,
                "export",
                "openmetrics",
                "--state-dir",
                daemon.state,
                "--step",
                "1s",
                "--from",
                iso(began - 5),
                "--to",
                iso(ended),
            ).stdout
        )
    blocks = os.path.join(d, "blocks")
    sh("promtool", "tsdb", "create-blocks-from", "openmetrics", past, blocks)
    p = subprocess.Popen(
        [
            "prometheus",
            "--config.file=/dev/null",
            "--storage.tsdb.path=" + blocks,
            "--web.listen-address=127.0.0.1:%d" % prom,
            "--log.level=error",
            "--storage.tsdb.retention.time=10y",
        ]
    )
    try:
        until(lambda: query("vector(1)", time.time()) == 1, 30, "Prometheus")
        filled = query(series("down"), ended - 2) - query(series("down"), began)
        assert abs(filled - own["down_ms"] / 1000) < 1.1, (filled, own)
    finally:
        p.terminate()
        p.wait()


def test_a_reload_each_second_costs_unchanged_endpoints_no_slot(d):
    """One endpoint added, removed and changed with every reload; RELOAD_ENDPOINTS and RELOADS make it larger (soak)."""
    count, reloads = (
        int(os.environ.get("RELOAD_ENDPOINTS", "20000")),
        int(os.environ.get("RELOADS", "12")),
    )
    server = Accepting()

    def targets(k):
        lines = ['e%d = "127.0.0.1:%d"' % (n, server.port) for n in range(count) if n != 5 + k]
        return lines + [
            'new%d = "127.0.0.1:%d"' % (k, server.port),
            'changing = "127.0.0.%d:%d"' % (1 + k % 8, server.port),
        ]

    def text(k):
        return (
            '[group.all]\ninterval = "60s"\ntimeout = "2s"\nprobe.tcp.expect.within = "2s"\n[group.all.targets]\n'
            + "\n".join(targets(k))
            + "\n"
        )

    daemon = Daemon(d, text(0))
    head = open(daemon.config).read().split("[group.all]")[0]
    began = time.monotonic()
    for k in range(1, reloads + 1):
        with open(daemon.config + ".new", "w") as f:
            f.write(head + text(k))
        os.rename(daemon.config + ".new", daemon.config)
        answer = daemon.reload()
        # The next in the row leaves, the one before it comes back, one is new, one has gone, one has changed.
        assert "2 endpoints added, 2 removed, 1 changed, %d unchanged" % (count - 2) in answer, (
            answer
        )
        time.sleep(max(0, began + k - time.monotonic()))
    page = get(daemon.url("/metrics")).splitlines()
    total = lambda name, label="": sum(
        float(l.rsplit(" ", 1)[1]) for l in page if l.startswith(name + "{") and label in l
    )
    # A slot that finds the endpoint's first look still under way is covered by it; one that the daemon could not do is lost.
    lost, covered = (
        total("probity_probe_unmeasured_total"),
        total("probity_probes_total", 'result="missed"'),
    )
    print("".join(l for l in open(os.path.join(d, "log")) if "stood still" in l), end="")
    assert lost == 0, "%d slots were lost: %s" % (
        lost,
        [
            l
            for l in page
            if l.startswith("probity_probe_unmeasured_total") and not l.endswith(" 0")
        ],
    )
    assert covered < count / 1000, covered
    took = time.monotonic() - began
    daemon.end()
    print(
        "      %d endpoints, %d reloads in %.1f s, no slot lost, %d found a first look under way"
        % (count, reloads, took, covered)
    )


def test_the_unit_is_valid_and_hardened(d):
    unit = os.path.join(d, "probity.service")
    with open(os.path.join(ROOT, "deploy/systemd/probity.service")) as f:
        text = f.read().replace("/usr/bin/probity", PROBITY)
    with open(unit, "w") as f:
        f.write(text)
    r = sh("systemd-analyze", "verify", unit)
    assert not r.stdout and not r.stderr, r.stdout + r.stderr
    exposure = lambda: float(
        re.search(
            r"exposure level for probity.service: ([\d.]+)",
            sh("systemd-analyze", "security", "--offline=true", unit).stdout,
        ).group(1)
    )
    assert exposure() <= 1.2, exposure()
    os.makedirs(unit + ".d")
    shutil.copy(os.path.join(ROOT, "deploy/systemd/probity.service.d/icmp.conf"), unit + ".d")
    assert exposure() <= 1.7, exposure()
    os.remove(unit + ".d/icmp.conf")
    shutil.copy(os.path.join(ROOT, "deploy/systemd/probity.service.d/clock.conf"), unit + ".d")
    assert exposure() <= 1.7, exposure()
    report = os.path.join(d, "probity-report.service")
    with open(os.path.join(ROOT, "deploy/systemd/probity-report.service")) as f:
        text = f.read().replace("/usr/bin/probity", PROBITY)
    with open(report, "w") as f:
        f.write(text)
    r = sh("systemd-analyze", "verify", report)
    assert not r.stdout and not r.stderr, r.stdout + r.stderr
    said = sh("systemd-analyze", "security", "--offline=true", report).stdout
    assert (
        float(re.search(r"exposure level for probity-report.service: ([\d.]+)", said).group(1)) <= 2
    ), said


def test_folders_above_are_held_by_root_or_the_daemons_user(d):
    """A config, a secret and the state directory, each below a folder of root, of the daemon's user, and of a third user."""
    os.chmod(d, 0o755)
    program = os.path.join(d, "probity")
    shutil.copy(PROBITY, program)
    stranger = 65533
    for user in (0, 65534):
        for owner, above in (
            (0, 0o755),
            (65534, 0o755),
            (stranger, 0o755),
            (0, 0o777),
            (0, 0o1777),
        ):
            for what in ("config", "secret", "state"):
                top = os.path.join(d, "top")
                shutil.rmtree(top, ignore_errors=True)
                places = {}
                for name in ("config", "secret", "state"):
                    places[name] = os.path.join(top, name, "own")
                    os.makedirs(places[name])
                    os.chmod(os.path.join(top, name), 0o755)
                os.chmod(top, 0o755)
                config, secret = (
                    os.path.join(places["config"], "c.toml"),
                    os.path.join(places["secret"], "token"),
                )
                with open(secret, "w") as f:
                    f.write("a token")
                with open(config, "w") as f:
                    f.write(
                        '[daemon]\nlisten = "127.0.0.1:%d"\nstate_dir = "%s/state"\n'
                        % (free_port(), places["state"])
                    )
                    f.write(
                        '[[endpoint]]\nname = "a"\nprobe.http.url = "http://127.0.0.1:1/"\nprobe.http.auth.bearer = { file = "%s" }\n'
                        % secret
                    )
                # What is below belongs to the daemon's user, as an installation leaves it.
                sh("chown", "-R", str(user), top)
                os.chown(top, 0, 0)
                for name in places:
                    os.chown(os.path.join(top, name), 0, 0)
                folder = os.path.join(top, what)
                os.chown(folder, owner, owner)
                os.chmod(folder, above)
                fine = above != 0o777 and owner in (0, user)
                case = "user %d, %s below a folder of %d with mode %o" % (user, what, owner, above)
                p = subprocess.Popen(
                    [program, "run", "--config", config],
                    stderr=subprocess.PIPE,
                    text=True,
                    user=user,
                    group=user,
                    extra_groups=[],
                    cwd="/",
                )
                try:
                    said = p.communicate(timeout=1.5)[1]
                except subprocess.TimeoutExpired:
                    p.kill()
                    said = p.communicate()[1]
                    assert fine, "%s: it started\n%s" % (case, said)
                    continue
                assert not fine, "%s: it did not start\n%s" % (case, said)
                assert p.returncode == (73 if what == "state" else 78), "%s: exit %d\n%s" % (
                    case,
                    p.returncode,
                    said,
                )
                assert folder in said and "run: ch" in said, "%s\n%s" % (case, said)
    # Whoever owns the file may own the folders above it.
    sh("chown", "-R", str(stranger), os.path.join(top, "config"))
    os.chmod(os.path.join(top, "state"), 0o755)
    assert (
        subprocess.run(
            [program, "check", "--config", config], user=65534, cwd="/", capture_output=True
        ).returncode
        == 0
    )


def in_memory(pid, texts):
    """How often each text is in the memory that a process can write to. Needs root, as the daemon cannot be dumped."""
    counts = dict.fromkeys(texts, 0)
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as memory:
        for line in maps:
            span, mode = line.split()[:2]
            if not mode.startswith("rw"):
                continue
            start, end = (int(n, 16) for n in span.split("-"))
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except OSError:
                continue
            for text in texts:
                counts[text] += content.count(text.encode())
    return counts


def test_secrets_leave_the_memory_with_their_config(d):
    """Sent in every place of a request over HTTP/1.1 and in a dialogue; after a reload without them, none is left."""
    server, listener = Server(), Accepting()
    server.httpd.RequestHandlerClass.do_POST = server.httpd.RequestHandlerClass.do_GET
    lines = {
        "bearer": "probe.http.auth.bearer = { file = %s }",
        "basic": 'probe.http.auth.basic = { username = "user", password = { file = %s } }',
        "header": "probe.http.headers.X-Api-Key = { file = %s }",
        "query": "probe.http.query.token = { file = %s }",
        "body": 'probe.http.method = "POST"\nprobe.http.body = { file = %s }',
        "dialogue": "probe.tcp.dialogue = [{ send = { file = %s } }]",
    }
    secrets, text = {}, QUICK
    for name, line in lines.items():
        secrets[name] = "zebra-%s-%s" % (name, os.urandom(9).hex())
        path = os.path.join(d, name)
        with open(path, "w") as f:
            f.write(secrets[name])
        target = (
            'probe.tcp.address = "127.0.0.1:%d"' % listener.port
            if name == "dialogue"
            else 'probe.http.url = "http://127.0.0.1:%d/"' % server.port
        )
        text += '[[endpoint]]\nname = "%s"\n%s\n%s\n' % (name, target, line % json.dumps(path))
    daemon = Daemon(d, text)
    until(
        lambda: all(e["state"] == "up" for e in daemon.json("/api/v1/endpoints")["endpoints"]), 20
    )
    pair = base64.b64encode(("user:" + secrets["basic"]).encode()).decode()
    wanted = list(secrets.values()) + [pair[8:-4]]
    before = in_memory(daemon.p.pid, wanted)
    assert all(before[secret] > 0 for secret in secrets.values()), before
    with open(daemon.config) as f:
        rest = f.read().split("[[endpoint]]")[0]
    with open(daemon.config, "w") as f:
        f.write(rest + endpoint("other", server.port))
    daemon.reload()
    # Probes that were under way end, and what is given back later is given back.
    left = {}

    def is_gone():
        left.update(in_memory(daemon.p.pid, wanted))
        return not any(left.values())

    try:
        until(is_gone, 20)
    except AssertionError:
        raise AssertionError("left in memory: %r" % left)
    daemon.end()


def test_the_service_manager_is_told(d):
    """READY once the first round is scheduled, WATCHDOG while turns are taken, RELOADING, STOPPING."""
    path = os.path.join(d, "notify")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(path)
    listener.settimeout(10)
    s = Server()
    heard = []
    threading.Thread(
        target=lambda: [heard.append(listener.recv(4096).decode()) for _ in range(1000)],
        daemon=True,
    ).start()
    env = dict(os.environ, NOTIFY_SOCKET=path, WATCHDOG_USEC="900000")
    os.environ.update(env)
    try:
        daemon = Daemon(d, QUICK + endpoint("shop", s.port))
        until(lambda: any("READY=1" in h for h in heard), what="READY")
        until(
            lambda: any("WATCHDOG=1" in h and "STATUS=1 endpoints" in h for h in heard),
            what="WATCHDOG and STATUS",
        )
        daemon.p.send_signal(signal.SIGHUP)
        until(lambda: any("RELOADING=1" in h for h in heard), what="RELOADING")
        until(
            lambda: any(
                "READY=1" in h
                for h in heard[[n for n, h in enumerate(heard) if "RELOADING=1" in h][0] :]
            ),
            what="READY after it",
        )
        heard.clear()
        daemon.reload()
        until(
            lambda: any("RELOADING=1" in h for h in heard) and any("READY=1" in h for h in heard),
            what="RELOADING and READY by the control socket",
        )
        daemon.p.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        heard.clear()
        time.sleep(1.5)
        assert not heard, "a stopped daemon feeds no watchdog"
        daemon.p.send_signal(signal.SIGCONT)
        assert daemon.end()[0] == 0
        assert any("STOPPING=1" in h for h in heard), heard
    finally:
        for key in ("NOTIFY_SOCKET", "WATCHDOG_USEC"):
            os.environ.pop(key, None)


def test_every_example_config_is_valid(d):
    secrets = os.path.join(d, "secrets")
    os.makedirs(secrets)
    sh(
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-keyout",
        os.path.join(secrets, "client.key"),
        "-out",
        os.path.join(secrets, "client.pem"),
        "-subj",
        "/CN=x",
        "-days",
        "2",
    )
    shutil.copy(os.path.join(secrets, "client.pem"), os.path.join(secrets, "ca.pem"))
    for name, text in (
        ("api-key", "k3y"),
        ("hook.url", "https://hooks.example/x"),
        ("login-token", "t0ken"),
        ("reload-token", "r3load-t0ken-of-16"),
        ("deadman", "https://alive.example/x"),
        ("checkpoint-key", "0b" * 32),
    ):
        with open(os.path.join(secrets, name), "w") as f:
            f.write(text)
    env = dict(os.environ, ORDERS_PASSWORD="p4ss", HOOK_TOKEN="h00k", CREDENTIALS_DIRECTORY=secrets)
    for example in ("example.toml", "quickstart.toml"):
        r = sh(PROBITY, "check", "--config", os.path.join(ROOT, "config", example), cwd=d, env=env)
        assert "is valid" in r.stdout, r.stdout
    printed = sh(
        PROBITY,
        "check",
        "--print",
        "--config",
        os.path.join(ROOT, "config", "example.toml"),
        cwd=d,
        env=env,
    ).stdout
    for secret in (
        "k3y",
        "p4ss",
        "h00k",
        "t0ken",
        "r3load",
        "alive.example",
        "hooks.example",
        "0b0b0b",
    ):
        assert secret not in printed, secret


class Zone(threading.Thread):
    """A name server on UDP: the name n0000007.test has the data of row 7; such a label is the hash that an NSEC3 wants, too."""

    def __init__(self, rows):
        super().__init__(daemon=True)
        self.rows = rows
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            question, asker = self.socket.recvfrom(4096)
            label = question[13 : 13 + question[12]]
            end = 12 + question[12:].index(0) + 5
            data = self.rows[int(label[1:])][1]
            head = question[:2] + b"\x85\x80\0\1\0\1\0\0\0\0" + question[12:end]
            self.socket.sendto(
                head
                + b"\xc0\x0c"
                + question[end - 4 : end]
                + b"\0\0\0\x3c"
                + len(data).to_bytes(2, "big")
                + data,
                asker,
            )


def test_records_of_every_type_are_presented_as_dig_presents_them(d):
    with open(os.path.join(ROOT, "tests", "fixtures", "dns-presentation.txt")) as f:
        lines = [line.rstrip("\n").split("\t") for line in f if not line.startswith("#")]
    rows = [(number, bytes.fromhex(data), word) for number, data, word, _ in lines]
    zone = Zone(rows)
    config = os.path.join(d, "probity.toml")
    with open(config, "w") as f:
        for n, (_, _, word) in enumerate(rows):
            f.write(
                '[[endpoint]]\nname = "n%d"\nprobe.dns.server = "127.0.0.1:%d"\nprobe.dns.query = "n%07d.test"\nprobe.dns.type = "%s"\n'
                % (n, zone.port, n, word)
            )
    questions = os.path.join(d, "questions")
    with open(questions, "w") as f:
        f.writelines(
            "n%07d.test TYPE%s +noall +answer +bufsize=4096\n" % (n, number)
            for n, (number, _, _) in enumerate(rows)
        )
    shown = {}
    for line in sh("dig", "@127.0.0.1", "-p", str(zone.port), "-f", questions).stdout.split("\n"):
        match = re.match(r"n(\d+)\.test\.\s+60\s+IN\s+\S+(?:\s(.*))?$", line)
        if match:
            shown[int(match[1])] = match[2] or ""
    assert len(shown) == len(rows), "dig showed nothing of %s" % [
        n for n in range(len(rows)) if n not in shown
    ]
    for n, (_, _, word) in enumerate(rows):
        found = json.loads(sh(PROBITY, "probe", "n%d" % n, "--json", "--config", config).stdout)
        assert found["dns"]["answers"] == [shown[n]], "%s: dig %r, probity %r" % (
            word,
            shown[n],
            found["dns"]["answers"],
        )


def main():
    wanted = sys.argv[1:]
    tests = [
        (n, f)
        for n, f in globals().items()
        if n.startswith("test_") and (not wanted or any(w in n for w in wanted))
    ]
    failed = 0
    for name, test in tests:
        directory = tempfile.mkdtemp(prefix="probity-system-")
        began = time.monotonic()
        try:
            test(directory)
            print("ok    %-75s %5.1f s" % (name[5:], time.monotonic() - began), flush=True)
        except Exception:
            failed += 1
            print("FAIL  %s\n%s" % (name[5:], traceback.format_exc()), flush=True)
            log = os.path.join(directory, "log")
            if os.path.exists(log):
                print("".join(open(log).readlines()[-20:]))
        subprocess.run(["pkill", "-f", directory], capture_output=True)
        shutil.rmtree(directory, ignore_errors=True)
    print("%d passed, %d failed" % (len(tests) - failed, failed))
    sys.exit(1 if failed or not tests else 0)


if __name__ == "__main__":
    main()
