#!/usr/bin/env python3
"""Memory and CPU of large answers: 60 endpoints that each get 1 MiB of JSON a second.

    benches/bodies.py [--endpoints 60] [--seconds 20] [--smoke]

Prints one JSON object for each expectation and build; PROBITY_BEFORE names an earlier binary that
runs beside in the same run. `over_idle_mib` is the peak of resident memory (VmHWM) beside that of
the same endpoints when they ask with HEAD. `results` counts slots by result. nginx serves the file;
it and the daemon share the cores.

Fails where a promise is broken: "size" and "all" stay within 64 MiB over idle, no answer counts as
a failure, and of the slots all but 5 % (in a small run half: those under way at the end, and what
the machine itself delayed) are successes. "whole" is more than two cores can do: see
docs/security.md, "What is not promised".
"""

import argparse
import gzip
import json
import os
import shutil
import sys
import tempfile
import time

from bench import PORT, bench_table, daemon, fresh
from targets import nginx_of, ready

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/system"))
from harness import PROBITY, fetch, say, slots_by_result, write

SERVER = 29180
PROMISED, PROMISED_MIB, PROMISED_SHARE = ("size", "all"), 64, 0.95
ITEM = {"id": 123456, "name": "some product name", "price": 12.5, "tags": ["a", "b"], "ok": True}
KINDS = {
    "size": ("/plain.json", 'probe.http.expect.json = "size(body.items) > 10"'),
    "all": ("/plain.json", 'probe.http.expect.json = "body.items.all(i, i.ok)"'),
    "whole": ("/plain.json", 'probe.http.expect.json = "body.items != []"'),
    "size, gzip": ("/coded.json", 'probe.http.expect.json = "size(body.items) > 10"'),
    "text": ("/plain.json", 'probe.http.expect.body.contains = ["the end"]'),
}


def server(work):
    line = json.dumps(ITEM)
    items = [ITEM] * (((1 << 20) - 40) // (len(line) + 2))
    body = json.dumps({"items": items, "last": "the end"}).encode()
    for name, content in (("plain.json", body), ("coded.json", gzip.compress(body))):
        write(os.path.join(work, name), content)
    coded = "location /coded.json { add_header Content-Encoding gzip; }"
    listen = "listen 127.0.0.1:%d backlog=1000" % SERVER
    process = nginx_of(work, "server { %s; root %s; %s }" % (listen, work, coded))
    os.chmod(work, 0o755)
    ready("http://127.0.0.1:%d/plain.json" % SERVER)
    return process


def run(work, binary, path, lines, a):
    text = bench_table(work, PORT) + '[defaults]\ninterval = "1s"\ntimeout = "900ms"\n'
    for n in range(a.endpoints):
        text += '[[endpoint]]\nname = "e%d"\n' % n
        text += 'probe.http.url = "http://127.0.0.1:%d%s"\n%s\n' % (SERVER, path, lines)
    p, _ = daemon(work, fresh(work, text), cpus=None, binary=binary)
    began, cpu = time.monotonic(), p.cpu_s()
    time.sleep(a.seconds)
    used, took = p.cpu_s() - cpu, time.monotonic() - began
    page = fetch("http://127.0.0.1:%d/metrics" % PORT).decode()
    peak = p.memory_mib("VmHWM")
    p.stop()
    results = slots_by_result(page)
    return peak, round(used / took, 3), {k: n for k, n in results.items() if n}


def hold(kind, over_idle, results, share):
    """Ends the bench where a promise is broken."""
    if "failure" in results:
        raise SystemExit("bench: %s: a failure that no server made: %r" % (kind, results))
    if kind not in PROMISED:
        return
    if over_idle > PROMISED_MIB:
        raise SystemExit("bench: %s: %.1f MiB over idle" % (kind, over_idle))
    if results.get("success", 0) < share * sum(results.values()):
        raise SystemExit("bench: %s: answers were not judged: %r" % (kind, results))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoints", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--smoke", action="store_true")
    a = parser.parse_args()
    builds = {"this": PROBITY, "before": os.environ.get("PROBITY_BEFORE")}
    kinds = dict(KINDS)
    if a.smoke:
        a.seconds, kinds = 4, {"size": KINDS["size"], "all": KINDS["all"]}
    work = tempfile.mkdtemp(prefix="probity-bench-")
    nginx = server(work)
    try:
        for build, binary in builds.items():
            if not binary:
                continue
            idle, core, results = run(work, binary, "/plain.json", 'probe.http.method = "HEAD"', a)
            say(
                bench="bodies",
                build=build,
                expect="nothing, HEAD",
                endpoints=a.endpoints,
                peak_mib=round(idle, 1),
                core=core,
                results=results,
            )
            for kind, (path, lines) in kinds.items():
                peak, core, results = run(work, binary, path, lines, a)
                say(
                    bench="bodies",
                    build=build,
                    expect=kind,
                    endpoints=a.endpoints,
                    over_idle_mib=round(peak - idle, 1),
                    core=core,
                    results=results,
                )
                if build == "this":
                    hold(kind, peak - idle, results, 0.5 if a.smoke else PROMISED_SHARE)
    finally:
        nginx.stop()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
