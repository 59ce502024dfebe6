#!/usr/bin/env python3
"""Latency as the daemon reports it, less the truth, next to a bare socket client at the same moments.

    benches/latency_truth.py [--endpoints 12000] [--delay-us 5000] [--samples 15] [--client-cpu 1] [--smoke]

Needs rustc. The truth of a request is the time between the server's read of it and its write of the answer, as the server
(benches/support/paced_server.rs) measures it. What the daemon or the client (benches/support/bare_client.rs) reports beyond that
is the way there and back and its own doing; how much of it is the daemon's own doing is the difference between the two.

12,000 endpoints at 1 s are a little less than half of what the daemon probes on one CPU (27,000/s, see docs/benchmarks.md). The
server answers after 5 ms, so that 60 probes are always in flight: with no delay they would come one after the other. The delay
is constant in name only; it is the measured one of each single request that is subtracted.

Daemon on CPU 0, server on CPU 1, and the client there as well, where the daemon does not slow it: the harder comparison. It
asks 150 times a second, since one thread that waits 5 ms for each answer asks no more than 195. Figures of the daemon are
`last.duration_ms` of all endpoints in /api/v1/endpoints, read every 3 s: each sample is the second before the reading began, so
that the work of the reading is in none. The client's requests are those of the same seconds.
"""

import argparse
import collections
import datetime
import json
import os
import shutil
import subprocess
import tempfile
import time

from bench import Process, busy_s, daemon, get, say
from detection import free_port

HERE = os.path.dirname(os.path.abspath(__file__))
# Probes whose outcome could come while the sample is being read are left out.
SAMPLE_S, GUARD_S = 1.0, 0.05
# Not a multiple of a second, so that what the daemon does once a second falls on all places of a sample.
APART_S = 3.07


def compiled(work, name):
    program = os.path.join(work, name)
    subprocess.run(
        [
            "rustc",
            "-O",
            "--edition",
            "2024",
            "-o",
            program,
            os.path.join(HERE, "support", name + ".rs"),
        ],
        check=True,
    )
    return program


def config(work, port, server_port, endpoints):
    path = os.path.join(work, "probity.toml")
    with open(path, "w") as f:
        f.write(
            '[daemon]\nvantage = "bench"\nlisten = "127.0.0.1:%d"\nstate_dir = "%s/state"\n[defaults]\ninterval = "1s"\ntimeout = "900ms"\n'
            % (port, work)
        )
        f.write('[group.paced]\nprobe.http.method = "GET"\n[group.paced.targets]\n')
        for n in range(endpoints):
            f.write('e%06d = "http://127.0.0.%d:%d/t/%d"\n' % (n, n % 8 + 1, server_port, n))
    return path


def quantiles(values):
    values = sorted(values)
    at = lambda q: round(values[min(len(values) - 1, int(q * len(values)))], 3)
    return {"p50_ms": at(0.5), "p99_ms": at(0.99), "pairs": len(values)}


def pairs(samples, truth):
    """Reported minus true milliseconds of each probe of the samples whose request the server wrote down; and how many it did not."""
    found, lost, results = [], 0, collections.Counter()
    for began, text in samples:
        for e in json.loads(text)["endpoints"]:
            last = e["last"]
            started = datetime.datetime.fromisoformat(last["started"]).timestamp()
            if not began - SAMPLE_S <= started <= began - GUARD_S:
                continue
            results[last["result"]] += 1
            # An endpoint is asked once a second: the request nearest to the start is the probe's.
            near = min(
                truth.get(int(e["name"][1:]), ()), key=lambda t: abs(t[0] - started), default=None
            )
            if last["result"] != "success" or near is None or abs(near[0] - started) > 0.4:
                lost += 1
            else:
                found.append(last["duration_ms"] - near[1])
    return found, lost, results


def measure(a, work):
    records = os.path.join(work, "records")
    serve, ask = compiled(work, "paced_server"), compiled(work, "bare_client")
    server = subprocess.Popen(
        ["taskset", "-c", "1", serve, str(a.delay_us), records], stdout=subprocess.PIPE, text=True
    )
    p = client = None
    try:
        server_port, port = int(server.stdout.readline()), free_port()
        p, _ = daemon(
            work, config(work, port, server_port, a.endpoints), cpus=a.daemon_cpus, port=port
        )
        time.sleep(1 if a.smoke else 4)
        asked = os.path.join(work, "asked")
        with open(asked, "w") as f:
            client = subprocess.Popen(
                [
                    "taskset",
                    "-c",
                    a.client_cpu,
                    ask,
                    str(server_port),
                    str(a.client_rate),
                    str(int(APART_S * a.samples) + 1),
                ],
                stdout=f,
            )
        samples, cpu, busy, t = [], p.cpu_s(), busy_s(), time.monotonic()
        for n in range(a.samples):
            time.sleep(max(0, t + APART_S * (n + 1) - time.monotonic()))
            samples.append((time.time(), get("http://127.0.0.1:%d/api/v1/endpoints" % port)))
        client.wait()
        took, used, others = time.monotonic() - t, p.cpu_s() - cpu, busy_s() - busy
        p.stop()
        try:
            get("http://127.0.0.1:%d/end" % server_port)
        except OSError:
            pass  # It ends without an answer.
        server.wait(30)
    finally:
        for left in (client, server, p and p.p):
            if left and left.poll() is None:
                left.kill()
                left.wait()

    truth = collections.defaultdict(list)
    with open(records) as f:
        for line in f:
            kind, number, unix_us, service_ns = line.split()
            if kind == "t":
                truth[int(number)].append((int(unix_us) / 1e6, int(service_ns) / 1e6))
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
        help="with 0,1 the daemon's other threads need not wait for its probing one, nor it for them",
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
