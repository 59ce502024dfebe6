#!/usr/bin/env python3
"""System suite: the release binary with Debian's prometheus, promtool, chromium, sqlite3,
systemd-analyze and network namespaces. Needs root.

Usage: tests/system/run.py [NAME ...]; without names, every test. Each test is a function that
raises when it does not hold."""

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import browser
import calls
import clocks
import networks
import odd_http
import scraped
from clocks import certificate
from harness import (
    PROBITY,
    QUICK,
    QUIET,
    ROOT,
    Daemon,
    Server,
    answer_datagrams,
    endpoint,
    free_port,
    get,
    is_whole,
    probe,
    read,
    run_tests,
    sh,
    spawn,
    stop,
    until,
    write,
)


class Accepting:
    """A TCP server that takes every connection and closes it."""

    def __init__(self):
        self.listener = socket.create_server(("0.0.0.0", 0), backlog=4096)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            self.listener.accept()[0].close()


def test_kill_9_loses_doubles_and_invents_nothing(d):
    """Random kills under flapping endpoints: what a scrape showed before is there after."""
    cycles = int(os.environ.get("KILL_CYCLES", "25"))
    servers = [Server() for _ in range(10)]
    text = QUICK + "".join(endpoint("e%d" % n, s.port) for n, s in enumerate(servers))
    daemon = Daemon(d, text).begin().must_be_ready()
    is_over = threading.Event()

    def flap():
        n = 0
        while not is_over.wait(0.05):
            servers[n % 10].status = 200 if servers[n % 10].status == 500 else 500
            n += 7

    threading.Thread(target=flap, daemon=True).start()
    for cycle in range(cycles):
        time.sleep(0.3 + (cycle * 37 % 100) / 100)
        before = daemon.figures()
        daemon.kill()
        after = daemon.begin().must_be_ready().figures()
        for key, value in before.items():
            assert after.get(key, -1) >= value, (cycle, key, value, after.get(key))
    is_over.set()
    time.sleep(1.5)
    transitions, began = daemon.figures(), time.monotonic()
    code, took = daemon.end(), time.monotonic() - began
    assert code == 0 and took < 2, (code, took)
    is_whole(daemon.state)
    # Every confirmed outage is one event and one counted transition.
    for n in range(10):
        query = (
            "SELECT count(*) FROM event e JOIN endpoint p ON p.id = e.endpoint "
            "WHERE p.name = 'e%d' AND e.kind = 'down'" % n
        )
        rows = sh("sqlite3", os.path.join(daemon.state, "history.sqlite"), query).stdout.strip()
        counted = transitions['probity_endpoint_transitions_total{endpoint="e%d",to="down"}' % n]
        assert abs(float(rows) - counted) <= 1, (n, rows, counted)


def test_a_full_disk_stops_the_figures_and_not_the_probing(d):
    state = os.path.join(d, "small")
    os.makedirs(state)
    sh("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", state)
    try:
        s, up_to_now = Server(), 'probity_endpoint_state_seconds_total{endpoint="shop",state="%s"}'
        text, place = QUICK + endpoint("shop", s.port), os.path.join(state, "probity")
        daemon = Daemon(d, text, state=place).begin().must_be_ready()
        until(lambda: daemon.endpoint("shop")["state"] == "up")
        filler = os.path.join(state, "filler")
        with open(filler, "wb", buffering=0) as f, contextlib.suppress(OSError):
            while True:
                f.write(b"x" * 4096)
        until(
            lambda: daemon.metric("probity_history_writable") == 0,
            what="the full disk being noticed",
        )
        settled = daemon.metric(up_to_now % "up")
        s.status = 500
        until(lambda: daemon.endpoint("shop")["state"] == "down", what="the live state going on")
        time.sleep(1)
        assert daemon.metric(up_to_now % "up") == settled
        assert "Not ready" in sh("curl", "-s", daemon.url("/-/ready")).stdout
        assert daemon.json("/api/v1/endpoints")["recorded"] is False
        os.remove(filler)
        until(lambda: daemon.metric("probity_history_writable") == 1, what="recovery")
        until(lambda: daemon.metric(up_to_now % "down") > 0.5, what="catching up")
        assert len(daemon.json("/api/v1/outages")["outages"]) == 1
        assert daemon.end() == 0
        is_whole(daemon.state)
    finally:
        sh("umount", "-l", state)


def test_black_holes_do_not_delay_the_rest(d):
    """4,500 of 5,000 endpoints take connections and never answer: they are down, the others keep
    their schedule."""
    s = Server()
    hole = socket.socket()
    hole.bind(("127.0.0.1", 0))
    hole.listen(4096)
    text = '[defaults]\ninterval = "2s"\ntimeout = "2s"\ndown_after = 1\n'
    text += '[group.hole]\nprobe.tcp.dialogue = [{ expect = "never" }]\n[group.hole.targets]\n'
    text += "".join('h%d = "127.0.0.1:%d"\n' % (n, hole.getsockname()[1]) for n in range(4500))
    text += "[group.fine]\nprobe.tcp.expect = {}\n[group.fine.targets]\n"
    text += "".join('f%d = "127.0.0.1:%d"\n' % (n, s.port) for n in range(500))
    daemon = Daemon(d, text).begin().must_be_ready()
    time.sleep(10)
    fine = [v for k, v in daemon.states().items() if k.startswith("f")]
    assert fine.count("up") == 500, fine.count("up")
    page = get(daemon.url("/metrics?collect[]=accounting"))
    series = r'^probity_probes_total\{endpoint="f\d+",result="missed"\} (\d+)$'
    missed = sum(int(n) for n in re.findall(series, page, re.M))
    assert missed == 0, missed
    daemon.kill()


def test_reload_under_load_makes_no_false_down(d):
    s = Server()
    names = ["e%d" % n for n in range(300)]

    def text(list_):
        return QUICK + "".join(endpoint(n, s.port) for n in list_)

    daemon = Daemon(d, text(names)).begin().must_be_ready()
    until(lambda: all(state == "up" for state in daemon.states().values()))
    for k in range(10):
        daemon.configure(text(names[: 290 + k]))
        assert daemon.reload().startswith("reloaded: ")
        time.sleep(0.2)
    assert daemon.json("/api/v1/outages")["outages"] == []
    assert daemon.metric('probity_probes_total{endpoint="e0",result="missed"}') == 0
    daemon.end()


def accepts(port):
    socket.create_connection(("127.0.0.1", port), 1).close()
    return True


def test_a_server_of_yesterdays_tls_is_told_as_too_old(d):
    """Only CBC suites, only RSA key exchange, only TLS 1.1, as openssl s_server has them; openssl
    s_client is the second opinion."""
    root = certificate(d, "root", -10, 100)
    rsa = (os.path.join(d, "rsa.pem"), os.path.join(d, "rsa.key"))
    make = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 9"
    name = ["-addext", "subjectAltName=DNS:localhost"]
    sh(*make.split(), *name, "-out", rsa[0], "-keyout", rsa[1])
    leaf = certificate(d, "leaf", -1, 50, root)
    cases = [
        ("CBC suites", leaf, ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"], "too old"),
        ("RSA key exchange", rsa, ["-tls1_2", "-cipher", "AES128-GCM-SHA256"], "too old"),
        ("TLS 1.1", rsa, ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], "TLS 1.1 or older"),
    ]
    for what, (pem, key), options, said in cases:
        port = free_port()
        at, pair = "127.0.0.1:%d" % port, ["-cert", pem, "-key", key]
        serve = ["openssl", "s_server", "-quiet", "-accept", at, *pair, *options]
        server = spawn(*serve, stdin=subprocess.PIPE, **QUIET)
        try:
            until(lambda: accepts(port), 10, "the server")
            ask = ["openssl", "s_client", "-connect", at, *options]
            client = sh(*ask, ok=False, input="Q\n")
            assert "Cipher    : " in client.stdout + client.stderr, (what, client.stdout[-500:])
            found = probe("tls://localhost:%d" % port)
            assert (
                found["cause"] == "tls_handshake"
                and said in found["detail"]
                and "ERR_SSL_VERSION_OR_CIPHER_MISMATCH" in found["detail"]
            ), (what, found)
        finally:
            stop(server)


def test_a_reload_each_second_costs_unchanged_endpoints_no_slot(d):
    """One endpoint added, removed and changed with every reload; RELOAD_ENDPOINTS and RELOADS make
    it larger (soak)."""
    count = int(os.environ.get("RELOAD_ENDPOINTS", "20000"))
    reloads = int(os.environ.get("RELOADS", "12"))
    server = Accepting()

    def targets(k):
        lines = ['e%d = "127.0.0.1:%d"' % (n, server.port) for n in range(count) if n != 5 + k]
        lines.append('new%d = "127.0.0.1:%d"' % (k, server.port))
        return [*lines, 'changing = "127.0.0.%d:%d"' % (1 + k % 8, server.port)]

    def text(k):
        head = '[group.all]\ninterval = "60s"\ntimeout = "2s"\nprobe.tcp.expect.within = "2s"\n'
        return head + "[group.all.targets]\n" + "\n".join(targets(k)) + "\n"

    daemon = Daemon(d, text(0)).begin().must_be_ready()
    began = time.monotonic()
    for k in range(1, reloads + 1):
        daemon.configure(text(k))
        answer = daemon.reload()
        # The next in the row leaves, the one before it comes back, one is new, one has gone, one
        # has changed.
        expected = "2 endpoints added, 2 removed, 1 changed, %d unchanged" % (count - 2)
        assert expected in answer, answer
        time.sleep(max(0, began + k - time.monotonic()))
    page = get(daemon.url("/metrics")).splitlines()

    def total(name, label=""):
        lines = [line for line in page if line.startswith(name + "{") and label in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    # A slot that finds the endpoint's first look still under way is covered by it; one that the
    # daemon could not do is lost.
    unmeasured = "probity_probe_unmeasured_total"
    lost, covered = total(unmeasured), total("probity_probes_total", 'result="missed"')
    log = read(daemon.log).splitlines(keepends=True)
    print("".join(line for line in log if "stood still" in line), end="")
    which = [line for line in page if line.startswith(unmeasured) and not line.endswith(" 0")]
    assert lost == 0, "%d slots were lost: %s" % (lost, which)
    assert covered < count / 1000, covered
    took = time.monotonic() - began
    daemon.end()
    return "%d endpoints, %d reloads in %.1f s, no slot lost, %d found a first look under way" % (
        count,
        reloads,
        took,
        covered,
    )


def unit_of(d, name):
    """A unit of the package that starts the binary under test."""
    text = read(os.path.join(ROOT, "deploy", "systemd", name))
    return write(os.path.join(d, name), text.replace("/usr/bin/probity", PROBITY))


def exposure_of(unit):
    said = sh("systemd-analyze", "security", "--offline=true", unit).stdout
    name = os.path.basename(unit)
    found = re.search(r"exposure level for %s: ([\d.]+)" % re.escape(name), said)
    assert found, said
    return float(found[1])


def test_the_unit_is_valid_and_hardened(d):
    unit = unit_of(d, "probity.service")
    r = sh("systemd-analyze", "verify", unit)
    assert not r.stdout and not r.stderr, r.stdout + r.stderr
    assert exposure_of(unit) <= 1.2, exposure_of(unit)
    os.makedirs(unit + ".d")
    shutil.copy(os.path.join(ROOT, "deploy/systemd/probity.service.d/icmp.conf"), unit + ".d")
    assert exposure_of(unit) <= 1.7, exposure_of(unit)
    os.remove(unit + ".d/icmp.conf")
    shutil.copy(os.path.join(ROOT, "deploy/systemd/probity.service.d/clock.conf"), unit + ".d")
    assert exposure_of(unit) <= 1.7, exposure_of(unit)
    os.remove(unit + ".d/clock.conf")
    shutil.copy(os.path.join(ROOT, "deploy/systemd/probity.service.d/realtime.conf"), unit + ".d")
    r = sh("systemd-analyze", "verify", unit)
    assert not r.stdout and not r.stderr, r.stdout + r.stderr
    assert exposure_of(unit) <= 1.7, exposure_of(unit)
    report = unit_of(d, "probity-report.service")
    r = sh("systemd-analyze", "verify", report)
    assert not r.stdout and not r.stderr, r.stdout + r.stderr
    assert exposure_of(report) <= 2, exposure_of(report)


def policies(daemon):
    """How the threads are scheduled, by their names, once probes ran."""
    success = 'probity_probes_total{endpoint="web",result="success"}'
    until(lambda: daemon.metric(success) >= 3)
    found: dict[str, set[int]] = {}
    for thread in os.listdir("/proc/%d/task" % daemon.p.pid):
        with contextlib.suppress(OSError):  # It has ended.
            name = read("/proc/%d/task/%s/comm" % (daemon.p.pid, thread)).strip()
            policy = os.sched_getscheduler(int(thread)) & ~os.SCHED_RESET_ON_FORK
            found.setdefault(name, set()).add(policy)
    return found


def test_the_probing_thread_alone_has_real_time_priority_where_it_is_permitted(d):
    """Root is permitted where the kernel lets it be; without CAP_SYS_NICE the daemon runs as others
    do, and says so."""
    chrt = sh("chrt", "--rr", "1", "true", ok=False)
    permitted = os.SCHED_OTHER if chrt.returncode else os.SCHED_RR
    text = QUICK + endpoint("web", Server().port)
    without = ("setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice")
    cases = [
        ("auto", ("prlimit", "--rtprio=0"), os.SCHED_OTHER),
        ("on", (), permitted),
        ("off", (), os.SCHED_OTHER),
        ("on", without, os.SCHED_OTHER),
    ]
    # As the drop-in does it, where this host may raise the limit.
    limited = ("prlimit", "--rtprio=1")
    if not sh(*limited, "true", ok=False).returncode:
        cases.append(("auto", limited, permitted))
    for key, prefix, expected in cases:
        daemon = Daemon(d, 'real_time = "%s"\n' % key + text, prefix=prefix).begin()
        daemon.must_be_ready()
        found = policies(daemon)
        daemon.end()
        assert found.pop("engine") == {expected}, found
        is_refused = key == "on" and expected == os.SCHED_OTHER
        assert ("has no real-time priority" in read(daemon.log)) == is_refused, read(daemon.log)
        assert len(found) > 3 and all(of == {os.SCHED_OTHER} for of in found.values()), found


def test_folders_above_are_held_by_root_or_the_daemons_user(d):
    """A config, a secret and the state directory, each below a folder of root, of the daemon's
    user, and of a third user."""
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
                secret = write(os.path.join(places["secret"], "token"), "a token")
                text = '[daemon]\nlisten = "127.0.0.1:%d"\nstate_dir = "%s/state"\n' % (
                    free_port(),
                    places["state"],
                )
                text += '[[endpoint]]\nname = "a"\nprobe.http.url = "http://127.0.0.1:1/"\n'
                text += 'probe.http.auth.bearer = { file = "%s" }\n' % secret
                config = write(os.path.join(places["config"], "c.toml"), text)
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
                argv, pipe = [program, "run", "--config", config], subprocess.PIPE
                who = {"user": user, "group": user, "extra_groups": ()}
                p = spawn(*argv, stderr=pipe, text=True, cwd="/", **who)
                try:
                    said = p.communicate(timeout=1.5)[1]
                except subprocess.TimeoutExpired:
                    p.kill()
                    said = p.communicate()[1]
                    assert fine, "%s: it started\n%s" % (case, said)
                    continue
                assert not fine, "%s: it did not start\n%s" % (case, said)
                ended = "%s: exit %d\n%s" % (case, p.returncode, said)
                assert p.returncode == (73 if what == "state" else 78), ended
                assert folder in said and "run: ch" in said, "%s\n%s" % (case, said)
    # Whoever owns the file may own the folders above it.
    sh("chown", "-R", str(stranger), os.path.join(top, "config"))
    os.chmod(os.path.join(top, "state"), 0o755)
    assert sh(program, "check", "--config", config, ok=False, user=65534, cwd="/").returncode == 0


def in_memory(pid, texts):
    """How often each text is in the memory that a process can write to. Needs root, as the daemon
    cannot be dumped."""
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
    """Sent in every place of a request over HTTP/1.1 and in a dialogue; after a reload without
    them, none is left."""
    server, listener = Server(), Accepting()
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
        path = write(os.path.join(d, name), secrets[name])
        target = (
            'probe.tcp.address = "127.0.0.1:%d"' % listener.port
            if name == "dialogue"
            else 'probe.http.url = "http://127.0.0.1:%d/"' % server.port
        )
        text += '[[endpoint]]\nname = "%s"\n%s\n%s\n' % (name, target, line % json.dumps(path))
    daemon = Daemon(d, text).begin().must_be_ready()
    until(lambda: all(state == "up" for state in daemon.states().values()), 20)
    pair = base64.b64encode(("user:" + secrets["basic"]).encode()).decode()
    wanted = [*secrets.values(), pair[8:-4]]
    before = in_memory(daemon.p.pid, wanted)
    assert all(before[secret] > 0 for secret in secrets.values()), before
    daemon.configure(QUICK + endpoint("other", server.port))
    daemon.reload()
    # Probes that were under way end, and what is given back later is given back.
    left: dict[str, int] = {}

    def is_gone():
        left.update(in_memory(daemon.p.pid, wanted))
        return not any(left.values())

    try:
        until(is_gone, 20)
    except AssertionError:
        raise AssertionError("left in memory: %r" % left) from None
    daemon.end()


def test_the_service_manager_is_told(d):
    """READY once the first round is scheduled, WATCHDOG while turns are taken, RELOADING,
    STOPPING."""
    path = os.path.join(d, "notify")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(path)
    listener.settimeout(10)
    s = Server()
    heard: list[str] = []

    def hear():
        for _ in range(1000):
            heard.append(listener.recv(4096).decode())

    def was_told(*words, since=0):
        return any(all(word in h for word in words) for h in heard[since:])

    threading.Thread(target=hear, daemon=True).start()
    manager = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "900000"}
    daemon = Daemon(d, QUICK + endpoint("shop", s.port)).begin(manager).must_be_ready()
    until(lambda: was_told("READY=1"), what="READY")
    until(lambda: was_told("WATCHDOG=1", "STATUS=1 endpoints"), what="WATCHDOG and STATUS")
    daemon.p.send_signal(signal.SIGHUP)
    until(lambda: was_told("RELOADING=1"), what="RELOADING")
    reloading = [n for n, h in enumerate(heard) if "RELOADING=1" in h][0]
    until(lambda: was_told("READY=1", since=reloading), what="READY after it")
    heard.clear()
    daemon.reload()
    until(
        lambda: was_told("RELOADING=1") and was_told("READY=1"),
        what="RELOADING and READY by the control socket",
    )
    daemon.p.send_signal(signal.SIGSTOP)
    time.sleep(0.2)
    heard.clear()
    time.sleep(1.5)
    assert not heard, "a stopped daemon feeds no watchdog"
    daemon.p.send_signal(signal.SIGCONT)
    assert daemon.end() == 0
    assert was_told("STOPPING=1"), heard


def test_every_example_config_is_valid(d):
    secrets = os.path.join(d, "secrets")
    os.makedirs(secrets)
    pem, key = os.path.join(secrets, "client.pem"), os.path.join(secrets, "client.key")
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=x"
    sh(*make.split(), "-days", "2", "-keyout", key, "-out", pem)
    shutil.copy(pem, os.path.join(secrets, "ca.pem"))
    for name, text in (
        ("api-key", "k3y"),
        ("hook.url", "https://hooks.example/x"),
        ("login-token", "t0ken"),
        ("reload-token", "r3load-t0ken-of-16"),
        ("deadman", "https://alive.example/x"),
        ("checkpoint-key", "0b" * 32),
    ):
        write(os.path.join(secrets, name), text)
    env = dict(os.environ, ORDERS_PASSWORD="p4ss", HOOK_TOKEN="h00k", CREDENTIALS_DIRECTORY=secrets)

    def check(example, *more):
        # Secrets with a relative path are beside the config.
        config = shutil.copy(os.path.join(ROOT, "config", example), d)
        return sh(PROBITY, "check", *more, config, cwd="/", env=env).stdout

    for example in ("example.toml", "quickstart.toml"):
        assert "is valid" in check(example), check(example)
    printed = check("example.toml", "--print")
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


def zone(rows):
    """The port of a name server on UDP: the name n0000007.test has the data of row 7; such a label
    is the hash that an NSEC3 wants, too."""

    def reply(question):
        label = question[13 : 13 + question[12]]
        end = 12 + question[12:].index(0) + 5
        data = rows[int(label[1:])][1]
        head = question[:2] + b"\x85\x80\0\1\0\1\0\0\0\0" + question[12:end]
        record = b"\xc0\x0c" + question[end - 4 : end] + b"\0\0\0\x3c"
        return head + record + len(data).to_bytes(2, "big") + data

    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    answer_datagrams(s, reply)
    return s.getsockname()[1]


def test_records_of_every_type_are_presented_as_dig_presents_them(d):
    table = read(os.path.join(ROOT, "tests", "fixtures", "dns-presentation.txt"))
    lines = [line.split("\t") for line in table.split("\n") if line and line[0] != "#"]
    rows = [(number, bytes.fromhex(data), word) for number, data, word, _ in lines]
    port, text, asked = zone(rows), "", ""
    for n, (number, _, word) in enumerate(rows):
        text += '[[endpoint]]\nname = "n%d"\nprobe.dns.server = "127.0.0.1:%d"\n' % (n, port)
        text += 'probe.dns.query = "n%07d.test"\nprobe.dns.type = "%s"\n' % (n, word)
        asked += "n%07d.test TYPE%s +noall +answer +bufsize=4096\n" % (n, number)
    config = write(os.path.join(d, "probity.toml"), text)
    questions = write(os.path.join(d, "questions"), asked)
    shown = {}
    for line in sh("dig", "@127.0.0.1", "-p", str(port), "-f", questions).stdout.split("\n"):
        match = re.match(r"n(\d+)\.test\.\s+60\s+IN\s+\S+(?:\s(.*))?$", line)
        if match:
            shown[int(match[1])] = match[2] or ""
    assert len(shown) == len(rows), "dig showed nothing of %s" % [
        n for n in range(len(rows)) if n not in shown
    ]
    for n, (_, _, word) in enumerate(rows):
        answers = probe("n%d" % n, "--config", config, ok=True)["dns"]["answers"]
        assert answers == [shown[n]], "%s: dig %r, probity %r" % (word, shown[n], answers)


if __name__ == "__main__":
    run_tests(
        [odd_http, scraped, networks, clocks, browser, calls, sys.modules[__name__]],
        "probity-system-",
    )
