#!/usr/bin/env python3
"""When probes arrive at their servers, against their slots: half of all endpoints hang, the other
half is asked at this rate.

    benches/punctuality.py [--endpoints 10000] [--seconds 20] [--smoke]

Needs rustc. The server (benches/support/paced_server.rs) writes down when it read each request. A
slot is that of the earliest arrival of its endpoint, moved by whole intervals: the way there is in
every arrival alike, so what is left is how much later than its earliest each probe came. Drift is
the median of that in the last quarter of the time less that in the first.
"""

import argparse
import os
import shutil
import socket
import sys
import tempfile
import time

from bench import bench_table, daemon, fresh
from latency_truth import PacedServer, paced_group

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/system"))
from harness import free_port, percentile, say, stop

INTERVAL_US = 1_000_000


def config(work, port, server_port, hang_port, endpoints):
    text = bench_table(work, port) + '[defaults]\ninterval = "1s"\ntimeout = "1s"\n'
    text += paced_group(range(endpoints // 2), server_port)
    return fresh(work, text + paced_group(range(endpoints // 2, endpoints), hang_port, "hang"))


def deviations(server, from_us, to_us):
    """(arrival, how much later than the endpoint's slot) in microseconds, in the order of
    arrival."""
    by_endpoint: dict[int, list[int]] = {}
    for n, at, _ in server.answered():
        if from_us <= at < to_us:
            by_endpoint.setdefault(n, []).append(at)
    late = []
    for times in by_endpoint.values():
        first = min(times)
        offsets = [(at - first + INTERVAL_US // 2) % INTERVAL_US - INTERVAL_US // 2 for at in times]
        slot = min(offsets)
        late += [(at, offset - slot) for at, offset in zip(times, offsets, strict=True)]
    return sorted(late), len(by_endpoint)


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--endpoints", type=int, default=10_000)
    ap.add_argument("--seconds", type=int, default=20)
    ap.add_argument("--smoke", action="store_true")
    a = ap.parse_args()
    if a.smoke:
        a.endpoints, a.seconds = 400, 4
    work = tempfile.mkdtemp(prefix="probity-punctuality-")
    hangs: list[socket.socket] = []
    server = p = None
    try:
        hang_port = free_port()
        for n in range(8):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.%d" % (n + 1), hang_port))
            s.listen(65535)
            hangs.append(s)
        server, port = PacedServer(work, 0), free_port()
        path = config(work, port, server.port, hang_port, a.endpoints)
        p, _ = daemon(work, path, cpus="0", port=port)
        time.sleep(3 if a.smoke else 8)
        began, cpu = time.time_ns() // 1000, p.cpu_s()
        time.sleep(a.seconds)
        ended, used = time.time_ns() // 1000, p.cpu_s() - cpu
        rss = p.memory_mib()
        p.stop()
        server.end()
        late, seen = deviations(server, began, ended)
        ranked = sorted(us for _, us in late)

        def at(q):
            return round(percentile(ranked, q) / 1000, 3)

        quarter = len(late) // 4

        def median(part):
            return percentile(sorted(us for _, us in part), 0.5) / 1000

        say(
            bench="punctuality",
            endpoints=a.endpoints,
            hanging=a.endpoints - a.endpoints // 2,
            healthy_seen=seen,
            arrivals=len(late),
            expected=seen * a.seconds,
            late_ms_p50=at(0.5),
            late_ms_p99=at(0.99),
            late_ms_p999=at(0.999),
            drift_ms=round(median(late[-quarter:]) - median(late[:quarter]), 3),
            core=round(used / a.seconds, 4),
            rss_mib=round(rss, 1),
        )
    finally:
        stop(server.p if server else None, p.p if p else None)
        for s in hangs:
            s.close()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
