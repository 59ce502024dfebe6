#!/usr/bin/env python3
"""Latency as the daemon reports it, less the truth, next to a bare socket client at the same
moments.

    benches/latency_truth.py [--endpoints 12000] [--delay-us 5000] [--samples 15] [--client-cpu 1]
                             [--smoke]

Needs rustc. The truth of a request is the time between the server's read of it and its write of the
answer, as the server (benches/support/paced_server.rs) measures it. What the daemon or the client
(benches/support/bare_client.rs) reports beyond that is the way there and back and its own doing;
how much of it is the daemon's own doing is the difference between the two.

12,000 endpoints at 1 s are a little less than half of what the daemon probes on one CPU (27,000/s,
see docs/benchmarks.md). The server answers after 5 ms, so that 60 probes are always in flight: with
no delay they would come one after the other. The delay is constant in name only; it is the measured
one of each single request that is subtracted.

Daemon on CPU 0, server on CPU 1, and the client there as well, where the daemon does not slow it:
the harder comparison. It asks 150 times a second, since one thread that waits 5 ms for each answer
asks no more than 195. Figures of the daemon are `last.duration_ms` of all endpoints in
/api/v1/endpoints, read every 3 s: each sample is the second before the reading began, so that the
work of the reading is in none. The client's requests are those of the same seconds.
"""

import argparse
import collections
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from bench import bench_table, daemon, fresh

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/system"))
from harness import ROOT, busy_s, fetch, free_port, instant, percentile, say, sh, spawn, stop

# Probes whose outcome could come while the sample is being read are left out.
SAMPLE_S, GUARD_S = 1.0, 0.05
# Not a multiple of a second, so that what the daemon does once a second falls on all places of a
# sample.
APART_S = 3.07


def compiled(work, name):
    source = os.path.join(ROOT, "benches", "support", name + ".rs")
    program = os.path.join(work, name)
    sh("rustc", "-O", "--edition", "2024", "-o", program, source)
    return program


class PacedServer:
    """benches/support/paced_server.rs on CPU 1; what it answered is in `records` once it ended."""

    def __init__(self, work, delay_us):
        self.records = os.path.join(work, "records")
        argv = [compiled(work, "paced_server"), str(delay_us), self.records]
        self.p = spawn("taskset", "-c", "1", *argv, stdout=subprocess.PIPE, text=True)
        assert self.p.stdout
        self.port = int(self.p.stdout.readline())

    def end(self):
        # It ends without an answer.
        with contextlib.suppress(OSError):
            fetch("http://127.0.0.1:%d/end" % self.port)
        self.p.wait(30)

    def answered(self):
        """(number, Unix microseconds, nanoseconds that it took) of each answer to the daemon."""
        with open(self.records) as f:
            for line in f:
                kind, *figures = line.split()
                if kind == "t":
                    yield tuple(int(figure) for figure in figures)


def paced_group(endpoints, port, name="paced"):
    """A group of endpoints, by their numbers, on eight addresses of a port."""
    text = '[group.%s]\nprobe.http.method = "GET"\n[group.%s.targets]\n' % (name, name)
    line = 'e%06d = "http://127.0.0.%d:%d/t/%d"\n'
    return text + "".join(line % (n, n % 8 + 1, port, n) for n in endpoints)


def config(work, port, server_port, endpoints):
    text = bench_table(work, port) + '[defaults]\ninterval = "1s"\ntimeout = "900ms"\n'
    return fresh(work, text + paced_group(range(endpoints), server_port))


def quantiles(values):
    values = sorted(values)

    def at(q):
        return round(percentile(values, q), 3)

    return {"p50_ms": at(0.5), "p99_ms": at(0.99), "pairs": len(values)}


def pairs(samples, truth):
    """Reported minus true milliseconds of each probe of the samples whose request the server wrote
    down; and how many it did not."""
    results: collections.Counter[str] = collections.Counter()
    found, lost = [], 0
    for began, text in samples:
        for e in json.loads(text)["endpoints"]:
            last = e["last"]
            started = instant(last["started"])
            if not began - SAMPLE_S <= started <= began - GUARD_S:
                continue
            results[last["result"]] += 1
            # An endpoint is asked once a second: the request nearest to the start is the probe's.
            asked = truth.get(int(e["name"][1:]), ())
            near = min(asked, key=lambda t: abs(t[0] - started), default=None)
            if last["result"] != "success" or near is None or abs(near[0] - started) > 0.4:
                lost += 1
            else:
                found.append(last["duration_ms"] - near[1])
    return found, lost, results


def measure(a, work):
    ask = compiled(work, "bare_client")
    server = PacedServer(work, a.delay_us)
    p = client = None
    try:
        port = free_port()
        path = config(work, port, server.port, a.endpoints)
        p, _ = daemon(work, path, cpus=a.daemon_cpus, port=port)
        time.sleep(1 if a.smoke else 4)
        asked, seconds = os.path.join(work, "asked"), int(APART_S * a.samples) + 1
        argv = [ask, str(server.port), str(a.client_rate), str(seconds)]
        with open(asked, "w") as f:
            client = spawn("taskset", "-c", a.client_cpu, *argv, stdout=f)
        samples, cpu, busy, t = [], p.cpu_s(), busy_s(), time.monotonic()
        for n in range(a.samples):
            time.sleep(max(0, t + APART_S * (n + 1) - time.monotonic()))
            samples.append((time.time(), fetch("http://127.0.0.1:%d/api/v1/endpoints" % port)))
        client.wait()
        took, used, others = time.monotonic() - t, p.cpu_s() - cpu, busy_s() - busy
        p.stop()
        server.end()
    finally:
        stop(client, server.p, p.p if p else None)

    truth = collections.defaultdict(list)
    for number, unix_us, service_ns in server.answered():
        truth[number].append((unix_us / 1e6, service_ns / 1e6))
    reported, lost, results = pairs(samples, truth)
    bare = []
    with open(asked) as f:
        for line in f:
            unix_us, took_ns, service_ns = (int(x) for x in line.split())
            if any(began - SAMPLE_S <= unix_us / 1e6 <= began - GUARD_S for began, _ in samples):
                bare.append((took_ns - service_ns) / 1e6)
    of_daemon, of_client = quantiles(reported), quantiles(bare)
    service = quantiles([ms for list_ in truth.values() for _, ms in list_])
    say(
        bench="latency-truth",
        endpoints=a.endpoints,
        delay_us=a.delay_us,
        daemon_cpus=a.daemon_cpus,
        client_cpu=a.client_cpu,
        service_ms_p50=service["p50_ms"],
        service_ms_p99=service["p99_ms"],
        daemon=of_daemon,
        bare_client=of_client,
        p50_difference_ms=round(of_daemon["p50_ms"] - of_client["p50_ms"], 3),
        p99_difference_ms=round(of_daemon["p99_ms"] - of_client["p99_ms"], 3),
        to_reach_ms=0.2,
        not_paired=lost,
        results=dict(results),
        core=round(used / took, 3),
        other_cores=round((others - used) / took, 3),
    )


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--endpoints", type=int, default=12_000)
    ap.add_argument("--delay-us", type=int, default=5000)
    ap.add_argument("--samples", type=int, default=15)
    ap.add_argument(
        "--daemon-cpus",
        choices=["0", "0,1"],
        default="0",
        help="with 0,1 the daemon's other threads need not wait for its probing one, nor it for "
        "them",
    )
    ap.add_argument("--client-cpu", choices=["0", "1", "0,1"], default="1")
    ap.add_argument("--client-rate", type=int, default=150)
    ap.add_argument("--smoke", action="store_true", help="a small run that shows that it works")
    a = ap.parse_args()
    if a.smoke:
        a.endpoints, a.samples = 500, 1
    work = tempfile.mkdtemp(prefix="probity-bench-")
    try:
        measure(a, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
