"""Wall clocks that are set and hosts that stand still: a part of the system suite (run.py)."""

import ctypes
import json
import os
import signal
import socket
import ssl
import threading
import time

from harness import (
    PROBITY,
    QUICK,
    Daemon,
    Server,
    certificate,
    endpoint,
    get,
    read,
    replace,
    sh,
    shim,
    until,
    utc,
    write,
)


def stand_still(pid, seconds):
    """Holds every thread of a process without a signal that it could hear, as a host without CPU
    does."""
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
    daemon = Daemon(d, QUICK + endpoint("e", server.port)).begin().must_be_ready()
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
        replace(clock, text)

    shift("+0s")
    places = ("/usr/lib/%s-linux-gnu/faketime/libfaketime.so.1" % m for m in ("x86_64", "aarch64"))
    preload = next(place for place in places if os.path.exists(place))
    server = Server()
    prefix = [
        "env",
        "LD_PRELOAD=" + preload,
        "FAKETIME_TIMESTAMP_FILE=" + clock,
        "FAKETIME_NO_CACHE=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        "DONT_FAKE_MONOTONIC=1",
    ]
    daemon = Daemon(d, QUICK + endpoint("e", server.port), prefix=prefix).begin()
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
    successes = "json_extract(CAST(body AS TEXT), '$.slots.success')"
    query = "SELECT hour, %s AS n FROM tally ORDER BY hour" % successes
    rows = sh("sqlite3", "-json", os.path.join(daemon.state, "history.sqlite"), query).stdout
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
    steps = [e["step_ms"] for e in daemon.journal() if e["kind"] == "clock_step"]
    assert len(steps) == 2 and abs(steps[0] - 3600000) < 200 and abs(steps[1] + 1800000) < 200, (
        steps
    )
    now = time.time()
    period = ["--from", utc(now - 600), "--to", utc(now + 7200)]
    timeline = sh(PROBITY, "export", "timeline", "--state-dir", daemon.state, *period).stdout
    [component] = json.loads(timeline)["components"]
    skipped = [u for u in component["unknown"] if u["reason"] == "clock"]
    assert len(skipped) == 1, component
    # Half of the skipped hour lies before the clock's present; what was lived through in it again
    # stays unknown.
    assert 1800000 < component["unknown_ms"] < 1812000, component
    assert component["down_ms"] == 0


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
            stream = self.listener.accept()[0]
            threading.Thread(target=self.answer, args=(stream,), daemon=True).start()

    def answer(self, stream):
        try:
            with self.context.wrap_socket(stream, server_side=True) as tls:
                tls.recv(4096)
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        except (OSError, ssl.SSLError):
            stream.close()


def test_a_wrong_clock_takes_no_endpoint_down_and_notifies_nobody(d):
    """At 1970, 2020 and 400 days ahead, from the start and under way; afterwards things go on. curl
    is the second opinion on the right date."""
    root = certificate(d, "root", -400, 4000)
    servers = [
        TlsServer(certificate(d, name, a, b, root))
        for name, a, b in (("young", -5, 85), ("old", -80, 10), ("long", -300, 90))
    ]
    curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", root[0]]
    for server in servers:
        assert sh(*curl, "https://localhost:%d/" % server.port).stdout == "200"
    hook = Server()
    now = time.time()
    steps = {"1970": -now + 1000, "2020": 1577836800 - now, "400 days ahead": 400 * 86400}
    prefix, shift = with_a_wall_clock_of_its_own(d)
    text = QUICK + "".join(
        '[[endpoint]]\nname = "e%d"\nprobe.http.url = "https://localhost:%d/"\n'
        'probe.http.tls.ca_file = "%s"\n' % (n, s.port, root[0])
        for n, s in enumerate(servers)
    )
    text += '[[notify]]\nname = "n"\nwebhook.url = { file = "%s/url" }\n' % d
    write(os.path.join(d, "url"), "http://127.0.0.1:%d/hook" % hook.port)

    def states(daemon):
        return list(daemon.states().values())

    def unmeasured():
        return daemon.metric('probity_probe_unmeasured_total{reason="clock"}')

    for name, seconds in steps.items():
        begun_wrong = os.path.join(d, "from the start " + name)
        os.makedirs(begun_wrong)
        shift(seconds)
        daemon = Daemon(begun_wrong, text, prefix=prefix).begin()
        until(lambda: unmeasured() >= 9, 30, "probes unmeasured for the clock at " + name)
        assert states(daemon) == ["unknown"] * 3, (name, states(daemon))
        shift(0)
        set_right = "up after the clock was set right from " + name
        until(lambda: states(daemon) == ["up"] * 3, 30, set_right)
        shift(seconds)
        before = unmeasured()
        until(lambda: unmeasured() >= before + 9, 30, "unmeasured again at " + name)
        assert "down" not in states(daemon), (name, states(daemon))
        shift(0)
        until(lambda: states(daemon) == ["up"] * 3, 30, "up again from " + name)
        assert daemon.json("/api/v1/outages")["outages"] == [], name
        assert not any(
            line.startswith("probity_probe_failures_total{")
            for line in get(daemon.url("/metrics")).splitlines()
        ), name
        daemon.end()
    messages = [json.loads(body) for _, body in hook.posted]
    assert [m for m in messages if m["state"] == "down"] == [], hook.posted


def with_a_wall_clock_of_its_own(d):
    """What puts a program under a wall clock that can be set, and what sets it, by seconds."""
    clock = os.path.join(d, "clock")

    def shift(seconds):
        replace(clock, "%d" % seconds)

    shift(0)
    return ["env", "LD_PRELOAD=" + shim(d, "wallclock"), "WALLCLOCK_FILE=" + clock], shift


def test_a_day_forward_and_back_doubles_and_loses_no_message(d):
    """The clock is set while an outage is open, one message waits for its time, and maintenance
    holds another back."""
    prefix, shift = with_a_wall_clock_of_its_own(d)
    for name, day in (("forward", 86400), ("back", -86400)):
        place = os.path.join(d, name)
        os.makedirs(place)
        shift(0)
        server, hook = Server(), Server()
        posted = hook.posted
        write(os.path.join(place, "url"), "http://127.0.0.1:%d/hook" % hook.port)
        receiver = '[[notify]]\nname = "%%s"\n%%swebhook.url = { file = "%s/url" }\n' % place
        text = (
            QUICK
            + endpoint("shop", server.port)
            + endpoint("held", server.port)
            + receiver % ("late", 'after = "8s"\n')
        )
        daemon = Daemon(place, text, prefix=prefix).begin()
        until(lambda: set(daemon.states().values()) == {"up"}, 20)
        window = ["--start", utc(time.time() + 2), "--duration", "240h", "--reason", "works"]
        what = ["--id", "works", "--endpoint", "held", "--state-dir", daemon.state]
        sh(PROBITY, "maintenance", "add", *window, *what)
        until(lambda: daemon.metric('probity_endpoint_maintenance{endpoint="held"}') == 1, 20)
        server.status = 500
        until(lambda: set(daemon.states().values()) == {"down"}, 20)
        began = time.monotonic()
        # There and back again, while the first message waits for its eight seconds.
        time.sleep(1)
        shift(day)
        time.sleep(2)
        if day > 0:
            # Still in the window, which is ten days long.
            assert posted == [], (name, posted)
        shift(0)

        def of(endpoint):
            told = [(at - began, json.loads(body)) for at, body in posted]
            return [(m["state"], m["outage"], at) for at, m in told if m["endpoint"] == endpoint]

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
    """Root sets the clock back after an outage, reloads with lower terms, a window over it and
    another way to combine, and sets it right."""
    prefix, shift = with_a_wall_clock_of_its_own(d)
    server, steady = Server(), Server()

    def of(name, port):
        return endpoint(name, port) + 'component = "shop"\n'

    def text(objective, combine, more=""):
        return (
            QUICK
            + '[component.shop]\ncombine = "%s"\n' % combine
            + of("web", server.port)
            + of("spare", steady.port)
            + '[sla.s]\nobjective = "%s"\ncomponents = ["shop"]\n' % objective
            + '[sla.s.maintenance]\ntreat = "exclude"\n'
            + more
        )

    daemon = Daemon(d, text("99.999", "series"), prefix=prefix).begin()
    until(lambda: daemon.endpoint("web")["state"] == "up", 20)
    time.sleep(8)
    start = utc(time.time())
    server.status = 500
    until(lambda: daemon.endpoint("web")["state"] == "down", 20)
    time.sleep(1)
    server.status = 200
    until(lambda: daemon.endpoint("web")["state"] == "up", 20)
    time.sleep(1)

    def figures():
        return [c for c in daemon.json("/api/v1/sla")["contracts"] if c["which"] == "current"][0]

    down = figures()["results"][0]["down_ms"]
    assert down > 1000, figures()
    shift(-40 * 86400)
    time.sleep(1)
    window = (
        '[[maintenance]]\nid = "works"\nstart = "%s"\nduration = "1h"\nreason = "works"\n'
        'announced_at = "2026-01-01T00:00:00Z"\n' % start
    )
    daemon.configure(text("1", "parallel", window))
    os.kill(daemon.p.pid, signal.SIGHUP)
    until(lambda: "reloaded" in read(daemon.log), 10)
    time.sleep(2)
    shift(0)
    time.sleep(2)
    which = ["--sla", "s", "--period", time.strftime("%Y-%m"), "--provisional"]
    of_daemon = ["--state-dir", daemon.state, "--config", daemon.config]
    report = [PROBITY, "sla", "report", *which, *of_daemon]
    found = until(lambda: sh(*report, ok=False).stdout, 10)
    told = json.loads(found)
    assert told["evaluation"]["results"][0]["down_ms"] >= down, told["evaluation"]
    assert told["evaluation"]["results"][0]["verdict"] != "met", told["evaluation"]
    what = [c["what"] for c in told["changed"]]
    assert what.count("clock_set") == 2 and "terms_changed" in what and "combine" in what, told[
        "changed"
    ]
    tallies = sh(PROBITY, "export", "journal", "--tallies", "--state-dir", daemon.state).stdout
    journal = write(os.path.join(d, "journal.jsonl"), tallies)
    file = write(os.path.join(d, "report.json"), found)
    assert sh(PROBITY, "sla", "verify", file, "--events", journal)
    page = get(daemon.url("/contracts"))
    assert "clock set" in page and figures()["results"][0]["down_ms"] >= down
    daemon.end()
