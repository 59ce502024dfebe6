#!/usr/bin/env python3
"""Probity, Gatus, blackbox_exporter with Prometheus, and Cloudprober before the same faults and
traps.

    benches/referee.py --build                       # the peers, from the Go module proxy
    benches/referee.py [--rounds 3] [--json FILE]
    benches/referee.py --smoke                       # a few rows, Probity alone

Needs root, iproute2, openssl and, but for --smoke, Debian's prometheus, and Go for --build. It
takes eight minutes. Three network namespaces: the probers', a router, and the servers'. All
probers run at the same time, each against servers of its own, and each fault happens to all of them
at the same moment. referee_rows.py has the rows, referee_tools.py how each prober is configured and
why, and referee_servers.py what servers do.

Detected: an alarm about the endpoint arrives during the fault, or up to an interval and a timeout
after. False alarm: one in a trap. Downtime: what the prober has of the endpoint, from two seconds
before the fault to six seconds after. Faults of the prober: its resolver dies, its network drops
everything, it is stopped for ten seconds (SIGSTOP); nothing is wrong with the endpoints, so all
downtime is wrong. Last, the prober is killed while an endpoint is down, and has to read its config
again.
"""

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/system"))
from harness import (
    SPAWNED,
    answer_datagrams,
    certificate,
    say,
    sh,
    spawn,
    stop,
    until,
    write,
)
from networks import Namespace, namespaces
from referee_report import headlines, summary, tables, wrongs
from referee_rows import (
    ALL,
    INTERVAL_S,
    KILLED,
    NAME_SERVERS,
    PLACE,
    PROBER_NET,
    PROBER_NET6,
    SERVER_NET,
    SERVER_NET6,
    SMOKE,
    TIMEOUT_S,
    WITNESS_PORT,
    WITNESSES,
    Row,
    Target,
    hosts,
)
from referee_tools import TOOLS, Probity, Tool, build, built
from resolver import reply

HERE = os.path.dirname(os.path.abspath(__file__))
BINARIES = os.path.join(os.path.expanduser("~"), ".cache", "probity-peers")
# Around a fault, in seconds: what belongs to it.
BEFORE_S, AFTER_S = 2.0, 6.0
LATEST_ALARM_S = INTERVAL_S + TIMEOUT_S
SETTLE_S = 7.5
Moment = tuple[float, float]


# ---- the place ----------------------------------------------------------------------------------


def network(p: Namespace, r: Namespace, s: Namespace) -> None:
    """Prober, router, servers, each with IPv4 and IPv6."""
    p.link("pr", r, "rp")
    r.link("rs", s, "sr")
    servers = [SERVER_NET % (n + more) for n in PLACE.values() for more in (0, 1)] + WITNESSES
    p.address("pr", PROBER_NET % 2 + "/24")
    r.address("rp", PROBER_NET % 1 + "/24")
    r.address("rs", SERVER_NET % 1 + "/24")
    s.address("sr", *(address + "/24" for address in servers))
    for side, device, address in (
        (p, "pr", PROBER_NET6 % 2),
        (r, "rp", PROBER_NET6 % 1),
        (r, "rs", SERVER_NET6 % 1),
        *((s, "sr", SERVER_NET6 % n) for n in PLACE.values()),
    ):
        side("ip -6 addr add %s/64 dev %s nodad" % (address, device))
    r("sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    p("sysctl -q -w", "net.ipv4.ping_group_range=0 0")
    p("ip route add default via " + PROBER_NET % 1)
    p("ip -6 route add default via " + PROBER_NET6 % 1)
    s("ip route add default via " + SERVER_NET % 1)
    s("ip -6 route add default via " + SERVER_NET6 % 1)


def pki(folder: str) -> dict[str, Any]:
    """An authority, and the certificates that servers show."""
    os.makedirs(folder)
    root = certificate(folder, "root", -400, 4000)
    other = certificate(folder, "other", -400, 4000)
    names = ",".join("DNS:secure.%s.test" % tool for tool in PLACE)
    pairs = {
        "fine": certificate(folder, "fine", -30, 300, root, names),
        "rotated": certificate(folder, "rotated", -1, 90, root, names),
        "expired": certificate(folder, "expired", -90, -1, root, names),
        "wrong_name": certificate(folder, "wrong", -30, 300, root, "DNS:other.test"),
        "untrusted": certificate(folder, "untrusted", -30, 300, other, names),
        "expiring": certificate(folder, "expiring", -88, 2, root, names),
    }
    return {"authority": root[0], "pairs": pairs}


def mounted(work: str) -> None:
    """Resolver files of the probers, in a mount namespace of this process alone."""
    conf = "".join("nameserver %s\n" % at for at in NAME_SERVERS) + "options timeout:1 attempts:2\n"
    for path, text in (("/etc/resolv.conf", conf), ("/etc/hosts", hosts())):
        file = write(os.path.join(work, os.path.basename(path)), text)
        sh("mount", "--bind", file, os.path.realpath(path))


class NameServers:
    """Both name servers of the probers; `silent` has the places of those that do not answer."""

    def __init__(self) -> None:
        self.silent: set[int] = set()
        for place, address in enumerate(NAME_SERVERS):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((address, 53))
            answer_datagrams(s, self.one(place))

    def one(self, place: int) -> Callable[[bytes], bytes | None]:
        def answered(query: bytes) -> bytes | None:
            tool = next((t for t in PLACE if t.encode() in query), None)
            does: Any = [SERVER_NET % PLACE[tool]] if tool else "nxdomain"
            answer: bytes | None = reply(query, does)
            return None if place in self.silent else answer

        return answered


class Servers:
    """The process with the servers, in their namespace."""

    def __init__(self, work: str, namespace: str, tools: list[Tool], pairs: dict[str, Any]):
        plan: list[dict[str, Any]] = [
            {"row": "witness", "kind": "accepts", "address": at, "port": WITNESS_PORT}
            for at in WITNESSES
        ]
        for tool in tools:
            for row in ALL:
                to = Target(row, tool.name)
                if row.kind == "ping":
                    continue
                kind = row.kind if row.kind in ("https", "dns", "tcp") else "http"
                one = {"row": row.name, "kind": kind, "port": to.port}
                plan += [{**one, "address": to.address}]
                if row.kind == "dual":
                    plan += [{**one, "address": to.address6}]
        path = write(os.path.join(work, "plan.json"), json.dumps({"servers": plan, "pairs": pairs}))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        argv = [sys.executable, os.path.join(HERE, "referee_servers.py"), path]
        self.p = spawn("ip", "netns", "exec", namespace, *argv, **pipes)
        assert self.p.stdin and self.p.stdout
        self.stdin, self.stdout = self.p.stdin, self.p.stdout
        assert self.stdout.readline() == "ready\n"

    def order(self, does: str, *rows: str) -> Moment:
        print(json.dumps({"rows": rows, "does": does}), file=self.stdin, flush=True)
        began, ended = json.loads(self.stdout.readline())
        return began, ended


# ---- the run ------------------------------------------------------------------------------------


class Referee:
    """Faults and their moments, and what each prober made of them."""

    def __init__(self, a: argparse.Namespace, work: str, tools: list[Tool], rows: list[Row]):
        self.a, self.tools, self.rows = a, tools, rows
        self.resolvers = NameServers()
        self.dice = random.Random(a.seed)
        self.rows_out: list[dict[str, Any]] = []
        # From when to when alarms are expected, or counted: about one endpoint, or about any.
        self.watched: list[tuple[str, float, float]] = []

    def begin(self, servers: Servers) -> None:
        self.servers = servers
        servers.order("leisurely", *(row.name for row in self.rows if row.does == "leisurely"))
        for tool in self.tools:
            tool.begin()
        for tool in self.tools:
            wanted = set(tool.settings)
            try:
                until(lambda: tool.well() >= wanted, 90, "all up", every=0.5)
            except AssertionError:
                raise SystemExit(
                    "%s does not see as up: %s" % (tool.title, sorted(wanted - tool.well()))
                ) from None

    def router(self, family: str, word: str, net: str) -> None:
        """The router drops what goes to that network, without a word, or does so no more."""
        sh("ip", "-n", self.a.names[1], family, "route", word, "blackhole", net)

    def order(self, does: str, row: Row) -> Moment:
        """What is done to the row, or, with "fine", ended."""
        if not row.does.startswith("@"):
            return self.servers.order(does, row.name)
        began = time.monotonic()
        word = "del" if does == "fine" else "add"
        if row.does == "@aaaa":
            self.router("-6", word, SERVER_NET6 % 0 + "/65")
        elif row.does == "@echo":
            for tool in self.tools:
                self.router("-4", word, Target(row, tool.name).address + "/32")
        else:
            self.resolvers.silent = set() if does == "fine" else {0}
        return began, time.monotonic()

    def round(self, number: int) -> None:
        """Every fault and trap once, each at a moment of its own."""
        plan: list[tuple[float, str, Row]] = []
        for row in self.rows:
            if not row.is_plain:
                start = self.dice.uniform(0, 2 * INTERVAL_S)
                length = self.a.seconds + self.dice.uniform(0, INTERVAL_S)
                plan += [(start, row.does, row), (start + length, "fine", row)]
        began, moments = time.monotonic(), dict[str, list[Moment]]()
        for at, does, row in sorted(plan, key=lambda step: step[0]):
            time.sleep(max(0.0, began + at - time.monotonic()))
            moments.setdefault(row.name, []).append(self.order(does, row))
        time.sleep(SETTLE_S)
        for row in self.rows:
            if row.name in moments:
                down, up = moments[row.name]
                kind = "trap" if row.is_trap else "fault"
                self.judge(kind, row.name, [row], number, down, up)

    def judge(
        self, what: str, name: str, rows: list[Row], number: int, down: Moment, up: Moment
    ) -> None:
        """Notes for each prober what it has of these rows in the time of the fault."""
        time_s = (up[0] + up[1] - down[0] - down[1]) / 2
        about = [row.name for row in rows] if len(rows) == 1 else [""]
        self.watched += [(endpoint, down[0], up[1] + AFTER_S) for endpoint in about]
        for tool in self.tools:
            alarms = tool.alarms()
            for row in rows:
                note: dict[str, Any] = {"tool": tool.name, "what": what, "name": name}
                note.update(endpoint=row.name, group=row.group, round=number)
                if row.name not in tool.settings:
                    self.rows_out.append({**note, "expressible": False})
                    continue
                its = [
                    round(alarm.at - down[0], 3)
                    for alarm in alarms
                    if alarm.endpoint == row.name
                    and down[0] <= alarm.at <= up[1] + AFTER_S
                    and (what != "fault" or alarm.at <= up[1] + LATEST_ALARM_S)
                ]
                its_time = row.name, down[0] - BEFORE_S, up[1] + AFTER_S
                booked = tool.down_s(*its_time)
                note.update(expressible=True, alarms_after_s=its, down_s=round(booked, 3))
                if row.is_timed and what in ("fault", "kill"):
                    note.update(true_s=round(time_s, 3), bounds_s=tool.bounds_s(*its_time))
                self.rows_out.append(note)

    def strays(self) -> None:
        """Alarms at a time when nothing happened."""
        for tool in self.tools:
            for alarm in tool.alarms():
                if not any(
                    name in ("", alarm.endpoint) and begin <= alarm.at <= end
                    for name, begin, end in self.watched
                ):
                    note = {"tool": tool.name, "what": "stray", "name": "at-no-fault"}
                    note.update(endpoint=alarm.endpoint)
                    self.rows_out.append({**note, "expressible": True, "alarms_after_s": [0]})

    def own_fault(
        self, name: str, number: int, begin: Callable[[], None], end: Callable[[], None]
    ) -> None:
        time.sleep(self.dice.uniform(0, INTERVAL_S))
        down = time.monotonic()
        begin()
        time.sleep(self.a.seconds)
        end()
        up = time.monotonic()
        time.sleep(SETTLE_S)
        rows = [row for row in self.rows if row.is_plain and row is not KILLED]
        self.judge("own", name, rows, number, (down, down), (up, up))

    def own_faults(self, number: int) -> None:
        def silence(*places: int) -> None:
            self.resolvers.silent = set(places)

        def route(word: str) -> None:
            self.router("-4", word, SERVER_NET % 0 + "/25")
            self.router("-6", word, SERVER_NET6 % 0 + "/65")

        def each(number: signal.Signals) -> None:
            for tool in self.tools:
                tool.signal(number)

        if not self.a.smoke:
            self.own_fault("resolver-dies", number, lambda: silence(0, 1), silence)
        self.own_fault("network-lost", number, lambda: route("add"), lambda: route("del"))
        self.own_fault(
            "stopped", number, lambda: each(signal.SIGSTOP), lambda: each(signal.SIGCONT)
        )

    def kill(self, number: int) -> None:
        """Each prober is killed in the middle of an outage, and started three seconds later."""
        down = self.servers.order(KILLED.does, KILLED.name)
        time.sleep(8)
        for tool in self.tools:
            tool.kill()
        time.sleep(3)
        for tool in self.tools:
            tool.begin()
        time.sleep(9)
        up = self.servers.order("fine", KILLED.name)
        time.sleep(SETTLE_S)
        self.judge("kill", "killed-in-an-outage", [KILLED], number, down, up)

    def reload(self, number: int) -> None:
        tools = [tool for tool in self.tools if tool.can_reload]
        down = time.monotonic()
        for tool in tools:
            tool.reload()
        time.sleep(max((tool.reload_takes_s for tool in tools), default=0))
        up, rows = time.monotonic(), [row for row in self.rows if row.is_plain]
        everyone, self.tools = self.tools, tools
        self.judge("trap", "config-read-again", rows, number, (down, down), (up, up))
        self.tools = everyone


def referee(a: argparse.Namespace, work: str) -> list[dict[str, Any]]:
    """All rows of a run, inside the namespace of the probers."""
    mounted(work)
    rows = [row for row in ALL if not a.smoke or row.name in SMOKE]
    keys = pki(os.path.join(work, "pki"))
    kinds = [Probity] if a.smoke else [tool for tool in TOOLS if a.only in tool.name]
    tools = [kind(os.path.join(work, kind.name), rows, keys, a.peers) for kind in kinds]
    it = Referee(a, work, tools, rows)
    it.begin(Servers(work, a.names[2], tools, keys["pairs"]))
    say(bench="referee", probers=[tool.versions() for tool in tools], endpoints=len(rows))
    for number in range(a.rounds):
        it.round(number)
        it.own_faults(number)
        if not a.smoke:
            it.kill(number)
            it.reload(number)
        print("round %d of %d" % (number + 1, a.rounds), file=sys.stderr, flush=True)
    it.strays()
    return it.rows_out


def run_inside(a: argparse.Namespace) -> None:
    work = tempfile.mkdtemp(prefix="probity-referee-")
    try:
        found = referee(a, work)
    finally:
        stop(*SPAWNED)
        if not a.keep:
            shutil.rmtree(work, ignore_errors=True)
    if a.json:
        write(a.json, json.dumps(found, indent=1))
    titles = {tool.name: tool.title for tool in TOOLS}
    figures = summary(found)
    for tool in figures:
        say(bench="referee", prober=titles[tool], **figures[tool])
    print(headlines(figures, titles), tables(found, titles), sep="\n\n")
    if a.smoke and (wrong := wrongs(figures["probity"])):
        raise SystemExit("referee: " + "; ".join(wrong))


def main() -> None:
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--seconds", type=float, default=10, help="the shortest fault")
    ap.add_argument("--seed", type=int, default=1, help="of moments and lengths")
    ap.add_argument("--json", help="a file for every row of the run")
    ap.add_argument("--only", default="", help="probers whose name has this text")
    ap.add_argument("--peers", default=BINARIES, help="the folder of the peers' binaries")
    ap.add_argument("--build", action="store_true", help="build the peers and end")
    ap.add_argument("--smoke", action="store_true", help="a few rows, Probity alone, once")
    ap.add_argument("--keep", action="store_true", help="keep configs, logs and data")
    ap.add_argument("--names", nargs=3, help=argparse.SUPPRESS)
    a = ap.parse_args()
    if a.build:
        build(a.peers)
        return
    if a.smoke:
        a.rounds, a.seconds = 1, 5.0
    if a.names:
        run_inside(a)
        return
    kinds = [] if a.smoke else [kind for kind in TOOLS if a.only in kind.name]
    if missing := [peer for kind in kinds for peer in kind.needs if not built(a.peers, peer)]:
        raise SystemExit("referee: %s not built: run --build" % ", ".join(missing))
    names = ["probity-referee-%s-%d" % (what, os.getpid()) for what in ("p", "r", "s")]
    with namespaces(*names) as (p, r, s):
        network(p, r, s)
        argv = [sys.executable, os.path.abspath(__file__), *sys.argv[1:], "--names", *names]
        ended = subprocess.run([*p.prefix, *argv], check=False)
    sys.exit(ended.returncode)


if __name__ == "__main__":
    main()
