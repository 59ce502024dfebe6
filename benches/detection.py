#!/usr/bin/env python3
"""Detection: real servers go down and up at known moments; what the daemon's record says of it.

    benches/detection.py [--servers 100] [--seconds 80] [--seed N] [--interval MS] [--timeout MS]
                         [--smoke]

Each server is down for 2 to 8 intervals at a time, by closing its listening socket (connections are
refused), by answering 503, or by accepting connections and answering nothing (the probe times out).
Endpoints: interval 1s, timeout 500ms, retry_interval 200ms, unless told otherwise. The bias is the
recorded length of an outage minus its true length, over faults of at least three intervals that
were recorded as one outage; `standard_error_ms` says how far chance goes. `probity check` says
which detection bound follows from that and below which length an outage may pass unseen; every
fault here is longer. A fault that is shorter than the bound may end before it is confirmed without
the bound being broken; such are counted apart.

The moments of a fault are pairs: the clock before and after the call that made it. Instants of the
record are milliseconds of a wall clock that the daemon lets drift by 10 ms before it corrects it,
so spans are counted twice: as they stand, and 10 ms wider.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import shutil
import socket
import sys
import tempfile
import time
from typing import Any

from bench import bench_table, daemon, fresh

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/system"))
from harness import (
    PROBITY,
    fetch,
    free_port,
    instant,
    percentile,
    say,
    sh,
    slots_by_result,
)

DRIFT_S = 0.010
KINDS = ["refuse", "503", "hang"]


class Server:
    """Answers 200, 503, nothing, or does not listen; keeps the moments of its faults."""

    def __init__(self, name, port):
        self.name, self.port, self.status = name, port, 200
        self.listening: Any = None
        self.faults: list[dict[str, Any]] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def open(self):
        self.listening = await asyncio.start_server(
            self.answer, "127.0.0.1", self.port, reuse_address=True, backlog=100
        )

    async def answer(self, reader, writer):
        try:
            await reader.readuntil(b"\r\n\r\n")
            if not self.answers.is_set():
                # The probe that waits here gives up by itself: it is not answered when the fault
                # ends.
                await reader.read()
                return
            writer.write(
                b"HTTP/1.1 %d X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % self.status
            )
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def fault(self, kind, length):
        t0 = time.time()
        if kind == "refuse":
            self.listening.close()
        elif kind == "hang":
            self.answers.clear()
        else:
            self.status = 503
        down = (t0, time.time())
        await asyncio.sleep(length)
        t0 = time.time()
        if kind == "refuse":
            await self.open()
        self.answers.set()
        self.status = 200
        self.faults.append({"kind": kind, "down": down, "up": (t0, time.time())})


def ports(count):
    """Free ports below those that connections take as their own, so that a closed one is still free
    when it opens again."""
    found: list[int] = []
    port = random.SystemRandom().randrange(12_000, 26_000)
    while len(found) < count:
        port += 1
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                s.bind(("127.0.0.1", port))
                found.append(port)
    return found


def config(work, port, servers, cadence):
    text = bench_table(work, port)
    text += '[defaults]\ninterval = "%dms"\ntimeout = "%dms"\nretry_interval = "200ms"\n' % cadence
    text += '[group.servers]\nprobe.http.method = "GET"\n[group.servers.targets]\n'
    text += "".join('%s = "http://127.0.0.1:%d/"\n' % (s.name, s.port) for s in servers)
    return fresh(work, text)


async def injected(servers, seconds, dice, interval_s):
    """Runs the faults; the last one ends before the time does."""
    end = time.monotonic() + seconds

    async def one(server):
        while True:
            wait, kind = dice.uniform(1.5, 8), dice.choice(KINDS)
            length = interval_s * dice.uniform(2, 8)
            if time.monotonic() + wait + length > end:
                return
            await asyncio.sleep(wait)
            await server.fault(kind, length)

    await asyncio.gather(*(one(s) for s in servers))


def outside_ms(outage, which, moment):
    """How far the outage's span of possible begins (or ends) is from having some instant of the
    moment's pair in it; 0 if it has."""
    earliest, latest = outage[which + "_earliest"], outage[which + "_latest"]
    if earliest is None:
        return float("inf")
    return round(1000 * max(0.0, instant(earliest) - moment[1], moment[0] - instant(latest)), 3)


def bias(differences, interval_s):
    """By kind of fault: how much longer (shorter, if negative) outages are recorded than they
    were."""
    found = {}
    for kind, list_ in sorted(differences.items()):
        mean = sum(list_) / len(list_)
        spread = (sum((d - mean) ** 2 for d in list_) / max(1, len(list_) - 1)) ** 0.5
        found[kind] = {
            "outages": len(list_),
            "mean_ms": round(1000 * mean, 1),
            "of_interval_percent": round(100 * mean / interval_s, 2),
            "standard_error_ms": round(1000 * spread / len(list_) ** 0.5, 1),
        }
    return found


FIGURES = [
    "faults",
    "longer_than_bound",
    "detected",
    "detected_within_bound",
    "ended_before_confirmed",
    "undetected",
    "begin_in_span",
    "end_in_span",
    "begin_in_span_10ms",
    "end_in_span_10ms",
    "outside_ms_worst",
    "split",
    "invented",
]


def touches(outage, fault):
    """Whether the time as recorded of an outage touches the fault."""
    if instant(outage["from_earliest"]) > fault["up"][1] + DRIFT_S:
        return False
    latest = outage["to_latest"]
    return latest is None or instant(latest) >= fault["down"][0] - DRIFT_S


def compared(servers, outages, bound_s, interval_s):
    left: dict[str, list[dict[str, Any]]] = {}
    for o in outages:
        left.setdefault(o["endpoint"], []).append(o)
    differences: dict[str, list[float]] = {}
    figures: dict[str, Any] = dict.fromkeys(FIGURES, 0)
    times, odd = [], []
    for server in servers:
        for fault in server.faults:
            figures["faults"] += 1
            length = fault["up"][0] - fault["down"][1]
            figures["longer_than_bound"] += length >= bound_s
            its = [o for o in left.get(server.name, []) if touches(o, fault)]
            if not its:
                figures["undetected" if length >= bound_s else "ended_before_confirmed"] += 1
                odd.append({"endpoint": server.name, "not_detected": fault})
                continue
            first = min(its, key=lambda o: instant(o["from"]))
            for o in its:
                left[server.name].remove(o)
            if len(its) > 1:
                figures["split"] += 1
                odd.append({"endpoint": server.name, "split": fault, "outages": its})
            elif length >= 3 * interval_s and first["to"] is not None:
                differences.setdefault(fault["kind"], []).append(
                    instant(first["to"]) - instant(first["from"]) - length
                )
            took = instant(first["confirmed_at"]) - fault["down"][0]
            times.append(took)
            figures["detected"] += 1
            figures["detected_within_bound"] += took <= bound_s
            if took > bound_s:
                odd.append(
                    {"endpoint": server.name, "late_s": took, "fault": fault, "outage": first}
                )
            for which, edge, of in (("from", "down", first), ("to", "up", its[0])):
                name = "begin" if which == "from" else "end"
                outside = outside_ms(of, which, fault[edge])
                figures[name + "_in_span"] += outside == 0
                figures[name + "_in_span_10ms"] += outside <= 1000 * DRIFT_S
                figures["outside_ms_worst"] = max(figures["outside_ms_worst"], outside)
                if outside > 1000 * DRIFT_S:
                    odd.append(
                        {"endpoint": server.name, "outside": name, "fault": fault, "outage": of}
                    )
    invented = [o for list_ in left.values() for o in list_]
    figures["invented"] = len(invented)
    odd += [{"invented": o} for o in invented]
    figures["bias"] = bias(differences, interval_s)
    return times, figures, odd


async def measure(a, work):
    dice = random.Random(a.seed)
    servers = [Server("s%03d" % n, port) for n, port in enumerate(ports(a.servers))]
    for s in servers:
        await s.open()
    port = free_port()
    path = config(work, port, servers, (a.interval, a.timeout))
    checked = json.loads(sh(PROBITY, "check", "--json", "--config", path).stdout)
    detection = checked["implied"]["detection"]
    bounds = {d["bound_ms"] for d in detection}
    unseen = max(d["unseen_below_ms"] for d in detection)
    bound_s = max(bounds) / 1000
    # Everything that blocks runs beside the loop, which answers probes meanwhile.
    beside = asyncio.to_thread
    p, _ = await beside(daemon, work, path, "0,1", port)
    try:
        await asyncio.sleep(3)
        await injected(servers, a.seconds, dice, a.interval / 1000)
        await asyncio.sleep(3 + 3 * a.interval / 1000)
        at = "http://127.0.0.1:%d" % port
        outages = json.loads(await beside(fetch, at + "/api/v1/outages?limit=10000"))["outages"]
        parts = "/metrics?collect[]=accounting&collect[]=daemon"
        page = (await beside(fetch, at + parts)).decode()
    finally:
        await beside(p.stop)
        for s in servers:
            s.listening.close()
    by_reason = r'^probity_probe_unmeasured_total\{reason="(\w+)"\} (\d+)$'
    reasons = {reason: int(n) for reason, n in re.findall(by_reason, page, re.M) if n != "0"}
    times, figures, odd = compared(servers, outages, bound_s, a.interval / 1000)
    times.sort()

    def within(q):
        return round(1000 * percentile(times, q)) if times else None

    say(
        bench="detection",
        servers=a.servers,
        seconds=a.seconds,
        seed=a.seed,
        bound_ms=max(bounds),
        unseen_below_ms=unseen,
        outages=len(outages),
        **figures,
        detection_ms_p50=within(0.5),
        detection_ms_p99=within(0.99),
        detection_ms_worst=within(1),
        slots=slots_by_result(page),
        unmeasured_by_reason=reasons,
    )
    for o in odd[:20]:
        say(bench="detection-odd", **o)


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--servers", type=int, default=100)
    ap.add_argument("--seconds", type=int, default=80)
    ap.add_argument("--seed", type=int, default=1, help="of waits, kinds and lengths")
    ap.add_argument("--interval", type=int, default=1000, help="milliseconds")
    ap.add_argument("--timeout", type=int, default=500, help="milliseconds")
    ap.add_argument("--smoke", action="store_true", help="a small run that shows that it works")
    a = ap.parse_args()
    if a.smoke:
        a.servers, a.seconds = 20, 8
    work = tempfile.mkdtemp(prefix="probity-bench-")
    try:
        asyncio.run(measure(a, work))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
