#!/usr/bin/env python3
"""Figures of the real daemon under load, next to blackbox_exporter + Prometheus where they do the
same work.

    benches/bench.py fleet --endpoints 10000 --interval 10 [--https-share 0.1] [--peer]
    benches/bench.py saturate --kind http|https|tcp|icmp|dns [--peer]
    benches/bench.py lateness --endpoints 10000
    benches/bench.py scrape --endpoints 100000
    benches/bench.py start --endpoints 100000

Needs root, nginx, knot (dns) and, for peers, prometheus, prometheus-blackbox-exporter and wrk.
Every measurement prints one line of JSON. Servers and load generators run on CPU 1, a saturated
prober on CPU 0, a fleet's prober on both. Counts come from the servers (nginx stub_status) where
they can; every line says how much CPU other processes took.
"""

import argparse
import contextlib
import gzip
import json
import os
import re
import shutil
import socket
import sys
import tempfile
import threading
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/system"))
from harness import (
    PROBITY,
    Process,
    blackbox_exporter,
    busy_s,
    daemon_table,
    fetch,
    percentile,
    prometheus,
    say,
    sh,
    slots_by_result,
    until,
    write,
)
from targets import DNS, HTTP, HTTPS, knot, nginx, ready, requests

PORT, HANG, BLACKBOX, PROMETHEUS = 29847, 29081, 29115, 29090


# ---- the daemon ---------------------------------------------------------------------------------


def config(
    work,
    ca,
    endpoints,
    interval_ms,
    timeout_ms,
    https_share=0.0,
    hanging=0,
    kind="http",
    latency="classic",
    daemon_keys="",
):
    lines = [
        bench_table(work, PORT) + daemon_keys + '[metrics]\nlatency = "%s"\n' % latency,
        '[defaults]\ninterval = "%dms"\ntimeout = "%dms"\n' % (interval_ms, timeout_ms),
        '[defaults.probe.http.tls]\nca_file = "%s"\n' % ca,
    ]
    secure = int(endpoints * https_share)
    groups: dict[str, list[str]] = {
        name: [] for name in ("http", "https", "hang", "tcp", "icmp", "dns")
    }
    for n in range(endpoints):
        if n < hanging:
            groups["hang"].append('e%06d = "http://127.0.0.1:%d/t/%d"' % (n, HANG, n))
        elif n < hanging + secure or kind == "https":
            groups["https"].append('e%06d = "https://127.0.0.1:%d/t/%d"' % (n, HTTPS, n))
        elif kind == "tcp":
            # Local ports are bounded for each destination: eight of them, as a fleet has.
            groups["tcp"].append('e%06d = "127.0.0.%d:%d"' % (n, n % 8 + 1, HTTP))
        elif kind == "icmp":
            groups["icmp"].append('e%06d = "127.0.0.1"' % n)
        elif kind == "dns":
            groups["dns"].append('e%06d = "127.0.0.1:%d"' % (n, DNS))
        else:
            groups["http"].append('e%06d = "http://127.0.0.1:%d/t/%d"' % (n, HTTP, n))
    shape = {
        "tcp": "probe.tcp.expect = {}",
        "icmp": "probe.icmp.size = 56",
        "dns": 'probe.dns.query = "www.bench"\nprobe.dns.type = "A"',
    }
    for name, targets in groups.items():
        if targets:
            lines.append(
                "[group.%s]\n%s\n[group.%s.targets]\n%s\n"
                % (name, shape.get(name, 'probe.http.method = "GET"'), name, "\n".join(targets))
            )
    return fresh(work, "\n".join(lines))


def bench_table(work, port):
    """How the config of a bench begins."""
    return daemon_table("bench", "127.0.0.1:%d" % port, os.path.join(work, "state"))


def fresh(work, text):
    """The config of a daemon that has recorded nothing yet."""
    shutil.rmtree(os.path.join(work, "state"), ignore_errors=True)
    return write(os.path.join(work, "probity.toml"), text)


def daemon(work, path, cpus="0,1", port=PORT, binary=PROBITY):
    """The daemon and how long it took until it was ready."""
    began = time.monotonic()
    argv = [binary, "run", "--config", path, "--log", "error"]
    p = Process(argv, cpus=cpus, log=os.path.join(work, "probity.log"))
    ready("http://127.0.0.1:%d/-/ready" % port)
    return p, time.monotonic() - began


def scrape(query="", headers=None):
    return fetch("http://127.0.0.1:%d/metrics%s" % (PORT, query), headers)


def totals(text):
    """(slots by result, lateness histogram) of a page."""
    buckets = r'^probity_probe_lateness_seconds_bucket\{le="([\d.]+)"\} (\d+)$'
    late = [(float(le), int(n)) for le, n in re.findall(buckets, text, re.M)]
    [count] = re.findall(r"^probity_probe_lateness_seconds_count (\d+)$", text, re.M)
    return slots_by_result(text), late, int(count)


def quantile(before, after, q):
    """Upper bound of the bucket that the quantile lies in, in ms, of what came between two
    pages."""
    total = after[2] - before[2]
    for (bound, n), (_, n0) in zip(after[1], before[1], strict=True):
        if n - n0 >= q * total:
            return bound * 1000
    return float("inf")


def window(p, seconds):
    """What happens between two scrapes; times, CPU and counts are taken at the same moments, pages
    are read after."""
    query = "?collect[]=accounting&collect[]=daemon"
    page, t, cpu, busy, seen = scrape(query), time.monotonic(), p.cpu_s(), busy_s(), requests()[2]
    time.sleep(seconds)
    later, took, used, others, served = (
        scrape(query),
        time.monotonic() - t,
        p.cpu_s() - cpu,
        busy_s() - busy,
        requests()[2] - seen,
    )
    before, after = totals(page.decode()), totals(later.decode())
    slots = {k: after[0][k] - before[0].get(k, 0) for k in after[0]}
    return dict(
        seconds=round(took, 2),
        core=round(used / took, 4),
        other_cores=round((others - used) / took, 3),
        slots=slots,
        served_per_s=round(served / took),
        late_ms_p50=quantile(before, after, 0.5),
        late_ms_p99=quantile(before, after, 0.99),
        late_ms_p999=quantile(before, after, 0.999),
    )


# ---- measurements -------------------------------------------------------------------------------


def fleet(a, work):
    ng, ca = nginx(work)
    kn = knot(work) if a.kind == "dns" else None
    try:
        path = config(
            work,
            ca,
            a.endpoints,
            a.interval * 1000,
            min(5000, a.interval * 1000),
            a.https_share,
            kind=a.kind,
        )
        p, ready = daemon(work, path)
        time.sleep(min(a.interval, 60) + 3)
        w = window(p, max(a.seconds, a.interval))
        done = sum(w["slots"].values())
        expected = a.endpoints / a.interval * w["seconds"]
        say(
            bench="fleet",
            prober="probity",
            kind=a.kind,
            endpoints=a.endpoints,
            interval_s=a.interval,
            https_share=a.https_share,
            rss_mib=round(p.memory_mib(), 1),
            peak_mib=round(p.memory_mib("VmHWM"), 1),
            ready_s=round(ready, 2),
            cpu_us_per_probe=round(w["core"] * w["seconds"] / max(done, 1) * 1e6, 1),
            slots_done_pct=round(100 * done / expected, 2),
            **w,
        )
        p.stop()
        if a.peer:
            peer_fleet(a, work)
    finally:
        ng.stop()
        if kn:
            kn.stop()


def peers(work, endpoints, interval_s, timeout_s, module_s, cpus):
    """blackbox_exporter and the Prometheus that asks it for the same probes, each on its CPUs."""
    d = os.path.join(work, "prometheus")
    shutil.rmtree(d, ignore_errors=True)
    os.makedirs(d)
    module = "modules: {http: {prober: http, timeout: %ds}}\n" % module_s
    targets = ["http://127.0.0.1:%d/t/%d" % (HTTP, n) for n in range(endpoints)]
    write(os.path.join(d, "targets.json"), json.dumps([{"targets": targets}]))
    settings = write(
        os.path.join(d, "prometheus.yml"),
        """global: {scrape_interval: %ds, scrape_timeout: %ds}
scrape_configs:
- job_name: bb
  metrics_path: /probe
  params: {module: [http]}
  file_sd_configs: [{files: [targets.json]}]
  relabel_configs:
  - {source_labels: [__address__], target_label: __param_target}
  - {source_labels: [__param_target], target_label: instance}
  - {target_label: __address__, replacement: "127.0.0.1:%d"}
"""
        % (interval_s, timeout_s, BLACKBOX),
    )
    exporter = blackbox_exporter(write(os.path.join(d, "blackbox.yml"), module), BLACKBOX)
    asking = prometheus(settings, os.path.join(d, "data"), PROMETHEUS)
    both = Process(exporter, cpus=cpus[0]), Process(asking, cpus=cpus[1])
    ready("http://127.0.0.1:%d/-/ready" % PROMETHEUS)
    return both


def peer_fleet(a, work):
    bb, pr = peers(work, a.endpoints, a.interval, min(5, a.interval), 5, ("0,1", "0,1"))
    try:
        time.sleep(a.interval * 1.5 + 3)
        cpu, busy, t, seen = bb.cpu_s() + pr.cpu_s(), busy_s(), time.monotonic(), requests()[2]
        time.sleep(max(a.seconds, a.interval))
        took = time.monotonic() - t
        used = bb.cpu_s() + pr.cpu_s() - cpu
        served = requests()[2] - seen
        say(
            bench="fleet",
            prober="blackbox_exporter + Prometheus",
            endpoints=a.endpoints,
            interval_s=a.interval,
            seconds=round(took, 2),
            core=round(used / took, 4),
            other_cores=round((busy_s() - busy - used) / took, 3),
            served_per_s=round(served / took),
            rss_mib=round(bb.memory_mib() + pr.memory_mib(), 1),
            cpu_us_per_probe=round(used / max(served, 1) * 1e6, 1),
        )
    finally:
        pr.stop()
        bb.stop()


def saturate(a, work):
    """The largest fleet at 1 s with at least 99.5 % of its slots done, on one CPU."""
    ng, ca = nginx(work)
    kn = knot(work) if a.kind == "dns" else None
    best = None
    try:
        size, step = a.endpoints, a.endpoints
        low, high = 0, None
        for _ in range(a.steps):
            path = config(work, ca, size, 1000, 900, kind=a.kind, latency="off")
            p, _ = daemon(work, path, cpus="0")
            time.sleep(4)
            w = window(p, a.seconds)
            done = w["slots"].get("success", 0)
            pct = 100 * done / (size * w["seconds"])
            say(
                bench="saturate-step",
                kind=a.kind,
                endpoints=size,
                done_pct=round(pct, 2),
                rss_mib=round(p.memory_mib(), 1),
                **w,
            )
            p.stop()
            if pct >= 99.5:
                low, best = size, (size, w, p)
                size = (size + high) // 2 if high else size + step
            else:
                high = size
                size = (low + size) // 2
            if high and high - low <= a.endpoints // 16:
                break
        if best:
            size, w, _ = best
            say(
                bench="saturate",
                prober="probity",
                kind=a.kind,
                per_second=size,
                core=w["core"],
                cpu_us_per_probe=round(w["core"] * 1e6 / size, 1),
                late_ms_p99=w["late_ms_p99"],
                other_cores=w["other_cores"],
            )
        if a.peer:
            peer_rate(a, work, ca)
    finally:
        ng.stop()
        if kn:
            kn.stop()


def peer_rate(a, work, ca):
    modules = {
        "http": "{prober: http, timeout: 5s}",
        "https": "{prober: http, timeout: 5s, http: {tls_config: {ca_file: %s}}}" % ca,
        "tcp": "{prober: tcp, timeout: 5s}",
        "icmp": "{prober: icmp, timeout: 5s}",
        "dns": "{prober: dns, timeout: 5s, dns: {query_name: www.bench, query_type: A}}",
    }
    target = {
        "http": "http://127.0.0.1:%d/" % HTTP,
        "https": "https://127.0.0.1:%d/" % HTTPS,
        "tcp": "127.0.0.1:%d" % HTTP,
        "icmp": "127.0.0.1",
        "dns": "127.0.0.1:%d" % DNS,
    }[a.kind]
    conf = write(os.path.join(work, "blackbox.yml"), "modules: {m: %s}\n" % modules[a.kind])
    bb = Process(blackbox_exporter(conf, BLACKBOX), cpus="0")
    url = "http://127.0.0.1:%d/probe?module=m&target=%s" % (BLACKBOX, target)
    try:
        until(lambda: b"probe_success 1" in fetch(url), 60, "a probe", every=0.02)
        cpu, t = bb.cpu_s(), time.monotonic()
        wrk = ["taskset", "-c", "1", "wrk", "-t1", "-c32", "-d%ds" % a.seconds, url]
        out = sh(*wrk, ok=False).stdout
        took, used = time.monotonic() - t, bb.cpu_s() - cpu
        n = int(re.findall(r"(\d+) requests in", out)[0])
        say(
            bench="saturate",
            prober="blackbox_exporter",
            kind=a.kind,
            per_second=round(n / took),
            core=round(used / took, 3),
            cpu_us_per_probe=round(used / n * 1e6, 1),
        )
    finally:
        bb.stop()


def lateness(a, work):
    """Half of the endpoints take connections and never answer."""
    ng, ca = nginx(work)
    hang = socket.socket()
    hang.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    hang.bind(("127.0.0.1", HANG))
    hang.listen(65535)
    try:
        path = config(work, ca, a.endpoints, 1000, 1000, hanging=a.endpoints // 2, latency="off")
        p, _ = daemon(work, path)
        time.sleep(8)
        w = window(p, a.seconds)
        missed = w["slots"].get("missed", 0)
        say(
            bench="lateness",
            endpoints=a.endpoints,
            hanging=a.endpoints // 2,
            rss_mib=round(p.memory_mib(), 1),
            peak_mib=round(p.memory_mib("VmHWM"), 1),
            missed=missed,
            done_pct=round(100 * sum(w["slots"].values()) / (a.endpoints * w["seconds"]), 2),
            **w,
        )
        p.stop()
    finally:
        hang.close()
        ng.stop()


@contextlib.contextmanager
def most_memory(process):
    """A list whose one element is the most resident memory meanwhile, in MiB."""
    most, ended = [process.memory_mib()], threading.Event()

    def watch():
        while not ended.wait(0.01):
            most[0] = max(most[0], process.memory_mib())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()
        most[0] = max(most[0], process.memory_mib())


def scraping(a, work):
    ng, ca = nginx(work)
    try:
        path = config(work, ca, a.endpoints, 60_000, 5000)
        p, _ = daemon(work, path)
        # Until the first round is over, endpoints that were not probed yet are unknown for a second
        # more each second: that is memory too.
        time.sleep(a.after)
        for name, headers in (("plain", {}), ("gzip", {"Accept-Encoding": "gzip"})):
            rows, used = [], p.cpu_s()
            for _ in range(5):
                before, t = p.memory_mib(), time.monotonic()
                with most_memory(p) as most:
                    body = scrape(headers=headers)
                took = time.monotonic() - t
                rows.append((took, len(body), most[0] - before))
            used = (p.cpu_s() - used) / len(rows)
            text = gzip.decompress(body) if headers else body
            took = percentile(sorted(r[0] for r in rows), 0.5)
            say(
                bench="scrape",
                encoding=name,
                endpoints=a.endpoints,
                series=sum(1 for line in text.splitlines() if not line.startswith(b"#")),
                seconds=round(took, 3),
                # With what probing took meanwhile.
                cpu_s=round(used, 3),
                bytes=rows[-1][1],
                extra_mib=[round(r[2], 1) for r in rows],
                rss_mib=round(p.memory_mib(), 1),
            )
        p.stop()
    finally:
        ng.stop()


def starting(a, work):
    ng, ca = nginx(work)
    try:
        path = config(work, ca, a.endpoints, 60_000, 5000)
        state = os.path.join(work, "state")
        for what in ("first", "second"):
            p, ready = daemon(work, path)
            say(
                bench="start",
                start=what,
                endpoints=a.endpoints,
                ready_s=round(ready, 2),
                rss_mib=round(p.memory_mib(), 1),
            )
            time.sleep(20)
            t = time.monotonic()
            p.stop()
            took = time.monotonic() - t
            size = sum(os.path.getsize(os.path.join(state, f)) for f in os.listdir(state))
            say(
                bench="stop",
                endpoints=a.endpoints,
                seconds=round(took, 2),
                state_mib=round(size / 2**20, 1),
            )
    finally:
        ng.stop()


def first_probes(a, work):
    """When after the start the first look at each endpoint was taken: within min(interval, 60 s),
    evenly spread."""
    ng, ca = nginx(work)
    try:
        path = config(work, ca, a.endpoints, a.interval * 1000, 900)
        p, ready_s = daemon(work, path)
        began = time.monotonic()
        known: list[tuple[float, int]] = []
        while time.monotonic() - began < 2 * a.interval + 5 and (
            not known or known[-1][1] < a.endpoints
        ):
            page = scrape("?collect[]=state").decode()
            known.append(
                (
                    time.monotonic() - began,
                    page.count('state="up"} 1') + page.count('state="down"} 1'),
                )
            )
            time.sleep(0.2)

        def after(share):
            return next((round(t, 2) for t, n in known if n >= share * a.endpoints), None)

        say(
            bench="first-probes",
            endpoints=a.endpoints,
            interval_s=a.interval,
            ready_s=round(ready_s, 2),
            known_after_s={
                "25%": after(0.25),
                "50%": after(0.5),
                "75%": after(0.75),
                "100%": after(1),
            },
        )
        p.stop()
    finally:
        ng.stop()


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("what", choices=["fleet", "saturate", "lateness", "scrape", "start", "first"])
    ap.add_argument("--endpoints", type=int, default=10_000)
    ap.add_argument("--interval", type=int, default=10)
    ap.add_argument("--https-share", type=float, default=0.0)
    ap.add_argument("--kind", choices=["http", "https", "tcp", "icmp", "dns"], default="http")
    ap.add_argument("--seconds", type=int, default=10)
    ap.add_argument("--after", type=int, default=65, help="seconds from ready to the first scrape")
    ap.add_argument("--steps", type=int, default=7)
    ap.add_argument(
        "--peer",
        action="store_true",
        help="put blackbox_exporter (and Prometheus) through the same work in the same run",
    )
    a = ap.parse_args()
    work = tempfile.mkdtemp(prefix="probity-bench-")
    try:
        {
            "fleet": fleet,
            "saturate": saturate,
            "lateness": lateness,
            "scrape": scraping,
            "start": starting,
            "first": first_probes,
        }[a.what](a, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
