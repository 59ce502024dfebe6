#!/usr/bin/env python3
"""How long the operator's pages take, and what the daemon spends on them.

    benches/pages.py [--endpoints 100000] [--times 20] [--smoke]

One daemon with so many endpoints over tcp, in `--components` components with a contract, each
probed every 60 s. An eighth of them are down. Every page is asked for `--times` times, one after
the other. `wall_ms`: from the first byte of the request to the last of the answer, p50 and the
longest. `cpu_ms`: CPU time of the daemon for each answer, without what it spends on probing, which
is measured before and taken away. Every line is one of JSON."""

import argparse
import gzip
import os
import shutil
import sys
import tempfile
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/system"))
from bench import HTTP, PORT, bench_table, daemon, fresh, nginx
from harness import fetch, percentile, say

CLOSED = 29099
PAGES = {
    "overview": "/",
    "last page of it": "/?page=999999",
    "bars of a year": "/?span=year",
    "by name": "/?sort=name&page=500",
    "by component": "/?sort=component",
    "by latency": "/?sort=latency",
    "search, one found": "/?q=e00077",
    "search, none found": "/?q=nothing-of-the-kind",
    "label": "/?label=team%3Dred",
    "down": "/?state=down",
    "one component": "/?component=c7",
    "one endpoint": "/endpoints/e000077",
    "contracts": "/contracts",
    "prober": "/prober",
}


def config(work, endpoints, components):
    lines = [bench_table(work, PORT), '[defaults]\ninterval = "60s"\ntimeout = "1s"\n']
    for n in range(components):
        lines.append('[component.c%d]\ntitle = "Component %d"\n' % (n, n))
    if components:
        names = ", ".join('"c%d"' % n for n in range(components))
        lines.append('[sla.gold]\nobjective = "99.9"\ncomponents = [%s]\n' % names)
    for n in range(endpoints):
        port = CLOSED if n % 8 == 7 else HTTP
        own = 'component = "c%d"\n' % (n % components) if n < components * 10 else ""
        team = "red" if n % 2 else "blue"
        lines.append(
            '[[endpoint]]\nname = "e%06d"\n%slabels = { team = "%s" }\n' % (n, own, team)
            + 'probe.tcp = "127.0.0.%d:%d"\n' % (n % 8 + 1, port)
        )
    return fresh(work, "\n".join(lines))


def cpu_per_s(p, seconds):
    before, began = p.cpu_s(), time.monotonic()
    time.sleep(seconds)
    return (p.cpu_s() - before) / (time.monotonic() - began)


def measured(p, path, times, probing, headers):
    took, size = [], 0
    began, before = time.monotonic(), p.cpu_s()
    for _ in range(times):
        start = time.monotonic()
        body = fetch("http://127.0.0.1:%d%s" % (PORT, path), headers)
        took.append((time.monotonic() - start) * 1000)
        size = len(body)
    spent = p.cpu_s() - before - probing * (time.monotonic() - began)
    took.sort()
    return {
        "wall_ms_p50": round(percentile(took, 0.5), 1),
        "wall_ms_max": round(took[-1], 1),
        "cpu_ms": round(max(spent, 0) * 1000 / times, 1),
        "bytes": size,
        "bytes_gzip": len(gzip.compress(body, 1)),
    }


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--endpoints", type=int, default=100_000)
    ap.add_argument("--components", type=int, default=50)
    ap.add_argument("--times", type=int, default=20)
    ap.add_argument("--after", type=int, default=65, help="seconds from ready to the first page")
    ap.add_argument("--smoke", action="store_true")
    a = ap.parse_args()
    if a.smoke:
        a.endpoints, a.components, a.times, a.after = 1000, 5, 3, 3
    work = tempfile.mkdtemp(prefix="probity-bench-")
    servers = None
    try:
        servers, _ = nginx(work)
        p, ready_s = daemon(work, config(work, a.endpoints, a.components))
        say(bench="pages", endpoints=a.endpoints, ready_s=round(ready_s, 2))
        time.sleep(a.after)
        probing = cpu_per_s(p, 5)
        for name, path in PAGES.items():
            say(bench="pages", page=name, **measured(p, path, a.times, probing, {}))
        say(bench="pages", probing_core=round(probing, 3), rss_mib=round(p.memory_mib(), 1))
        p.stop()
    finally:
        if servers:
            servers.stop()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
