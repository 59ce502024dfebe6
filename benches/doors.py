#!/usr/bin/env python3
"""Ten kinds of hostile clients at the daemon's own listener while it probes 500 endpoints each
second, beside blackbox_exporter.

    benches/doors.py [--each 1000] [--seconds 25] [--smoke | --apart]

PROBITY is the binary, PROBITY_BEFORE an older one to compare with (left out without it). Needs
nginx and, but for --smoke, prometheus and prometheus-blackbox-exporter. Each kind is a process of
this file with `--each` clients on loopback, scheduled behind all others, as real ones have machines
of their own; a client that is turned away comes again after two seconds. They come from two hundred
addresses, then all from one. A scraper of good manners, from an address of its own, reads /metrics
ten times a second. A program that holds more than 6 GiB is ended and reported as such.

--apart: the program has CPU 0 to itself, and clients, servers and scraper share CPU 1. It shows
what the load does to the program alone: hostile clients do not run on its host. The scraper waits
for the clients' CPU then, so its times say nothing.
"""

import argparse
import asyncio
import os
import random
import re
import resource
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from bench import (
    BLACKBOX,
    PORT,
    PROMETHEUS,
    config,
    daemon,
    peers,
    quantile,
    totals,
)
from targets import nginx

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/system"))
from harness import PROBITY, get, percentile, promql, say, spawn

MOST_MIB = 6 << 10
ENDPOINTS = 500
AGAIN_S = 2.0
GET_METRICS = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


# ---- the clients --------------------------------------------------------------------------------


async def until_closed(loop, s):
    while await loop.sock_recv(s, 65536):
        pass


async def unfinished(loop, s):
    await loop.sock_sendall(s, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n")
    await until_closed(loop, s)


async def silent(loop, s):
    await until_closed(loop, s)


async def slowly(loop, s, path):
    await loop.sock_sendall(s, b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
    while await loop.sock_recv(s, 1):
        await asyncio.sleep(1)


async def slow_api(loop, s):
    await slowly(loop, s, b"/api/v1/endpoints")


async def slow_metrics(loop, s):
    await slowly(loop, s, b"/metrics")


async def bytewise(loop, s):
    for n in range(16 << 10):
        await loop.sock_sendall(s, GET_METRICS[n : n + 1] if n < len(GET_METRICS) - 2 else b"x")
        await asyncio.sleep(0.5)


async def pipelined(loop, s):
    while True:
        await loop.sock_sendall(s, b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)
        await asyncio.sleep(1)
        if not await loop.sock_recv(s, 65536):
            return


async def tls(loop, s):
    await loop.sock_sendall(s, b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + b"\0" * 100)
    await until_closed(loop, s)


async def http2(loop, s):
    await loop.sock_sendall(
        s, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    )
    await until_closed(loop, s)


async def resets(loop, s):
    await loop.sock_sendall(s, GET_METRICS)
    await asyncio.sleep(0.01)


async def large_heads(loop, s):
    await loop.sock_sendall(
        s, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (17 << 10) + b"\r\n\r\n"
    )
    await until_closed(loop, s)


KINDS = {
    f.__name__: f
    for f in (
        unfinished,
        silent,
        slow_api,
        slow_metrics,
        bytewise,
        pipelined,
        tls,
        http2,
        resets,
        large_heads,
    )
}


async def client(kind, address, port):
    loop = asyncio.get_running_loop()
    await asyncio.sleep(random.random() * AGAIN_S)
    while True:
        s = socket.socket()
        try:
            s.setblocking(False)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            # What ends here ends with a reset, which leaves no local port behind.
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
            s.bind((address, 0))
            await loop.sock_connect(s, ("127.0.0.1", port))
            await KINDS[kind](loop, s)
        except OSError:
            pass
        finally:
            s.close()
        await asyncio.sleep(AGAIN_S)


async def clients(a):
    places = 200 if a.mode == "many" else 1
    addresses = ["127.0.1.%d" % (n % places + 1) for n in range(a.each)]
    running = [asyncio.create_task(client(a.client, at, a.port)) for at in addresses]
    await asyncio.to_thread(sys.stdin.read)
    for task in running:
        task.cancel()
    os._exit(0)


# ---- the scraper --------------------------------------------------------------------------------


class Scraper(threading.Thread):
    """Reads /metrics over one connection, and over a new one where that failed; the time of a try
    that failed is part of the next."""

    def __init__(self, port):
        super().__init__()
        self.port, self.failed, self.ended = port, 0, threading.Event()
        self.took: list[float] = []
        self.s, self.is_connected = socket.socket(), False

    def connect(self):
        self.s = socket.socket()
        self.s.settimeout(5)
        self.s.bind(("127.0.0.9", 0))
        self.s.connect(("127.0.0.1", self.port))
        self.is_connected = True

    def once(self):
        if not self.is_connected:
            self.connect()
        self.s.sendall(
            b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: Prometheus/2.42.0\r\n\r\n"
            % self.port
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.more()
        head, body = head.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 200"):
            raise OSError("refused")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        tail, size = body[-8:], len(body)
        while size < int(length.group(1)) if length else not tail.endswith(b"\r\n0\r\n\r\n"):
            piece = self.more()
            tail, size = (tail + piece)[-8:], size + len(piece)

    def more(self):
        piece = self.s.recv(1 << 20)
        if not piece:
            raise OSError("closed")
        return piece

    def run(self):
        while not self.ended.is_set():
            began = time.monotonic()
            while not self.ended.is_set():
                try:
                    self.once()
                    break
                except OSError:
                    self.failed += 1
                    self.s.close()
                    self.is_connected = False
                    time.sleep(0.01)
            self.took.append(time.monotonic() - began)
            self.ended.wait(max(0, 0.1 - (time.monotonic() - began)))

    def figures(self):
        self.ended.set()
        self.join()
        took = sorted(self.took)

        def at(q):
            return round(1000 * percentile(took, q), 1) if took else None

        return dict(
            scrapes=len(took),
            scrape_ms_p50=at(0.5),
            scrape_ms_p99=at(0.99),
            scrape_ms_most=at(1),
            scrapes_failed=self.failed,
        )


# ---- the programs -------------------------------------------------------------------------------


class Daemon:
    """Probity at 500 endpoints a second."""

    def __init__(self, work, ca, binary, name, cpus, keys=""):
        path = config(work, ca, ENDPOINTS, 1000, 1000, daemon_keys=keys)
        self.name, self.port = name, PORT
        self.p, _ = daemon(work, path, cpus=cpus, binary=binary)

    def page(self):
        url = "http://127.0.0.1:%d/metrics?collect[]=accounting&collect[]=daemon" % PORT
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                return get(url, timeout=5)
            except OSError:
                time.sleep(0.2)
        return None

    def seen(self):
        return None  # Its counters go on until they are read.

    def since(self, page, _):
        """Slots that were not done, and how late those that were done began."""
        later = self.page()
        if page is None or later is None:
            return dict(missed="no page")
        before, after = totals(page), totals(later)
        counts = {k: after[0].get(k, 0) - before[0].get(k, 0) for k in after[0]}
        return dict(
            slots=sum(counts.values()),
            missed=counts.get("missed", 0),
            unmeasured=counts.get("unmeasured", 0),
            failed=counts.get("failure", 0),
            late_us_p99=round(within(before, after, 0.99)),
            rejected=rejected(page, later),
        )

    def stop(self):
        self.p.stop()


class Blackbox:
    """blackbox_exporter, asked for the same probes by Prometheus."""

    def __init__(self, work, cpus):
        self.name, self.port = "blackbox_exporter", BLACKBOX
        self.p, self.prometheus = peers(work, ENDPOINTS, 1, 1, 1, (cpus, None))

    def page(self):
        return time.time()

    def seen(self):
        return time.time()

    def since(self, began, ended):
        """A slot that was not done is a scrape of a probe that failed, or was not there."""
        time.sleep(3)  # Until the last of them are stored.
        query = "sum(sum_over_time(probe_success[%dms]))" % ((ended - began) * 1000)
        result = promql(PROMETHEUS, query, ended)
        done = int(float(result[0]["value"][1])) if result else 0
        return dict(
            slots=round(ENDPOINTS * (ended - began)),
            missed=max(0, round(ENDPOINTS * (ended - began)) - done),
        )

    def stop(self):
        self.prometheus.stop()
        self.p.stop()


def within(before, after, q):
    """A quantile of the histogram in microseconds, linear within its bucket."""
    total, last, low = after[2] - before[2], 0, 0.0
    for (bound, n), (_, n0) in zip(after[1], before[1], strict=True):
        if n - n0 >= q * total:
            return 1e6 * (low + (bound - low) * (q * total - last) / max(n - n0 - last, 1))
        last, low = n - n0, bound
    return 1000 * quantile(before, after, q)


def rejected(before, after):
    series = r'^probity_http_rejected_total\{reason="(\w+)"\} (\d+)$'

    def counts(page):
        return {k: int(n) for k, n in re.findall(series, page, re.M)}

    first = counts(before)
    return {k: n - first.get(k, 0) for k, n in counts(after).items() if n > first.get(k, 0)}


def descriptors(p):
    return len(os.listdir("/proc/%d/fd" % p.pid))


def attacked(program, a, mode):
    """One program under all kinds at once."""
    time.sleep(3)
    page, scraper = program.page(), Scraper(program.port)
    scraper.start()
    time.sleep(a.seconds)
    quiet = dict(scraper.figures(), **program.since(page, program.seen()))
    idle, held = program.p.memory_mib(), descriptors(program.p)
    say(
        bench="doors",
        program=program.name,
        mode=mode,
        clients=0,
        idle_mib=round(idle, 1),
        descriptors=held,
        **quiet,
    )

    page, scraper = program.page(), Scraper(program.port)
    scraper.start()
    argv = [sys.executable, os.path.abspath(__file__), "--mode", mode, "--each", str(a.each)]
    argv += ["--port", str(program.port), "--client"]
    kinds = [kind for kind in KINDS if re.search(a.only, kind)]
    crowd = [spawn(*argv, kind, stdin=subprocess.PIPE) for kind in kinds]
    is_ended, most, most_held, end = False, idle, held, time.monotonic() + a.seconds
    while time.monotonic() < end and not is_ended:
        time.sleep(0.1)
        most, most_held = max(most, program.p.memory_mib()), max(most_held, descriptors(program.p))
        is_ended = most > MOST_MIB
    served, seen = scraper.figures(), program.seen()
    if is_ended:
        program.p.p.kill()
    for one in crowd:
        if one.stdin:
            one.stdin.close()
    for one in crowd:
        one.wait(30)
    row = dict(
        idle_mib=round(idle, 1),
        most_mib=round(most, 1),
        over_idle_mib=round(most - idle, 1),
        descriptors_most=most_held,
        **served,
    )
    if not is_ended:
        left = time.monotonic()
        while descriptors(program.p) > held + 10 and time.monotonic() - left < 20:
            time.sleep(0.02)
        back = time.monotonic() - left
        time.sleep(max(0, 1 - back))
        row.update(
            back_s=round(back, 2),
            after_1_s_mib=round(program.p.memory_mib(), 1),
            **program.since(page, seen),
        )
    say(
        bench="doors",
        program=program.name,
        mode=mode,
        clients=len(KINDS) * a.each,
        ended_by_us_at_6_gib=is_ended,
        **row,
    )
    return [program.name, mode, quiet, row, is_ended]


def table(rows):
    print(
        "| program | clients from | missed | late p99, quiet / under load | RSS over idle "
        "| /metrics p99, quiet / under load | failed scrapes | back after |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, mode, quiet, row, is_ended in rows:
        late = (
            "%s / %s µs" % (quiet["late_us_p99"], row.get("late_us_p99", "–"))
            if "late_us_p99" in quiet
            else "–"
        )
        of = "%s of %s" % (row.get("missed", "–"), row.get("slots", "–"))
        back = "ended at 6 GiB" if is_ended else "%s s" % row["back_s"]
        print(
            "| %s | %s | %s | %s | %s MiB | %s / %s ms | %s | %s |"
            % (
                name,
                "200 addresses" if mode == "many" else "one",
                of,
                late,
                row["over_idle_mib"],
                quiet["scrape_ms_p99"],
                row["scrape_ms_p99"],
                row["scrapes_failed"],
                back,
            )
        )


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--each", type=int, default=1000, help="clients of each kind")
    ap.add_argument("--seconds", type=int, default=25)
    ap.add_argument("--only", default="", help="kinds whose name matches this regular expression")
    ap.add_argument(
        "--smoke",
        action="store_true",
        help="a small run of this build alone: fails where a slot is missed or the memory grows",
    )
    ap.add_argument("--client", choices=KINDS, help=argparse.SUPPRESS)
    ap.add_argument("--mode", default="many", help=argparse.SUPPRESS)
    ap.add_argument("--port", type=int, help=argparse.SUPPRESS)
    ap.add_argument("--apart", action="store_true", help="the program on CPU 0, all else on CPU 1")
    a = ap.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if a.client:
        # Real clients have machines of their own: here they run only where nothing else wants to.
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        asyncio.run(clients(a))
        return
    if a.smoke:
        a.each, a.seconds = min(a.each, 50), 6
    cpus = None
    if a.apart:
        os.sched_setaffinity(0, {1})
        cpus = "0"
    work = tempfile.mkdtemp(prefix="probity-doors-")
    server, ca = nginx(work)
    rows = []
    try:
        programs: list[Callable[[], Any]] = [lambda: Daemon(work, ca, PROBITY, "this build", cpus)]
        if not a.smoke:
            before = os.environ.get("PROBITY_BEFORE")
            if before:
                programs.insert(0, lambda: Daemon(work, ca, before, "before", cpus))
            # As with deploy/systemd/probity.service.d/realtime.conf.
            real = 'real_time = "on"\n'
            programs.append(lambda: Daemon(work, ca, PROBITY, "this build, real time", cpus, real))
            programs.append(lambda: Blackbox(work, cpus))
        for start in programs:
            for mode in ["many"] if a.smoke else ["many", "one"]:
                program = start()
                try:
                    rows.append(attacked(program, a, mode))
                finally:
                    program.stop()
    finally:
        server.stop()
        shutil.rmtree(work, ignore_errors=True)
    table(rows)
    if a.smoke:
        row = rows[0][3]
        wrong = [
            what
            for what, holds in [
                ("a slot was missed", row["missed"] == 0),
                ("memory grew by more than 64 MiB", row["over_idle_mib"] <= 64),
                ("it took more than a second until all was back", row["back_s"] <= 1),
                ("a scrape took long", row["scrape_ms_p99"] <= 1000),
                ("nothing was refused", sum(row["rejected"].values()) > 0),
            ]
            if not holds
        ]
        if wrong:
            raise SystemExit("doors: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
