#!/usr/bin/env python3
"""When probes arrive at their servers, against their slots: half of all endpoints hang, the other half is asked at this rate.

    benches/punctuality.py [--endpoints 10000] [--seconds 20] [--smoke]

Needs rustc. The server (benches/support/paced_server.rs) writes down when it read each request. A slot is that of the earliest
arrival of its endpoint, moved by whole intervals: the way there is in every arrival alike, so what is left is how much later than its
earliest each probe came. Drift is the median of that in the last quarter of the time less that in the first.
"""

import argparse
import os
import shutil
import socket
import subprocess
import tempfile
import time

from bench import daemon, get, say
from detection import free_port
from latency_truth import compiled

INTERVAL_US = 1_000_000


def config(work, port, server_port, hang_port, endpoints):
    path = os.path.join(work, "probity.toml")
    with open(path, "w") as f:
        f.write(
            '[daemon]\nvantage = "bench"\nlisten = "127.0.0.1:%d"\nstate_dir = "%s/state"\n[defaults]\ninterval = "1s"\ntimeout = "1s"\n'
            % (port, work)
        )
        for group, from_, to, target in (
            ("paced", 0, endpoints // 2, server_port),
            ("hang", endpoints // 2, endpoints, hang_port),
        ):
            f.write('[group.%s]\nprobe.http.method = "GET"\n[group.%s.targets]\n' % (group, group))
            for n in range(from_, to):
                f.write('e%06d = "http://127.0.0.%d:%d/t/%d"\n' % (n, n % 8 + 1, target, n))
    return path


def deviations(records, from_us, to_us):
    """(arrival, how much later than the endpoint's slot) in microseconds, in the order of arrival."""
    by_endpoint = {}
    with open(records) as f:
        for line in f:
            kind, n, at, _ = line.split()
            if kind == "t" and from_us <= int(at) < to_us:
                by_endpoint.setdefault(int(n), []).append(int(at))
    late = []
    for times in by_endpoint.values():
        first = min(times)
        offsets = [(at - first + INTERVAL_US // 2) % INTERVAL_US - INTERVAL_US // 2 for at in times]
        slot = min(offsets)
        late += [(at, offset - slot) for at, offset in zip(times, offsets)]
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
    hangs, server, p = [], None, None
    try:
        hang_port = free_port()
        for n in range(8):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.%d" % (n + 1), hang_port))
            s.listen(65535)
            hangs.append(s)
        records, port = os.path.join(work, "records"), free_port()
        server = subprocess.Popen(
            ["taskset", "-c", "1", compiled(work, "paced_server"), "0", records],
            stdout=subprocess.PIPE,
            text=True,
        )
        server_port = int(server.stdout.readline())
        p, _ = daemon(
            work, config(work, port, server_port, hang_port, a.endpoints), cpus="0", port=port
        )
        time.sleep(3 if a.smoke else 8)
        began, cpu = time.time_ns() // 1000, p.cpu_s()
        time.sleep(a.seconds)
        ended, used = time.time_ns() // 1000, p.cpu_s() - cpu
        rss = p.memory_mib()
        p.stop()
        try:
            get("http://127.0.0.1:%d/end" % server_port)
        except OSError:
            pass  # It ends without an answer.
        server.wait(30)
        late, seen = deviations(records, began, ended)
        ranked = sorted(us for _, us in late)
        at = lambda q: round(ranked[min(len(ranked) - 1, int(q * len(ranked)))] / 1000, 3)
        quarter = len(late) // 4
        median = lambda part: sorted(us for _, us in part)[len(part) // 2] / 1000
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
        for left in (server, p and p.p):
            if left and left.poll() is None:
                left.kill()
                left.wait()
        for s in hangs:
            s.close()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
