#!/usr/bin/env python3
"""This build beside the one before, both running at once: what disturbs one disturbs the other.

    PROBITY_BEFORE=before/target/release/probity benches/beside.py [--endpoints 1000] [--rounds 20]

Needs root and nginx. Both daemons probe as many endpoints each second; CPU is read over windows of
three seconds. Then both probe 10,000 endpoints a minute and are scraped in turns. Prints a line of
JSON for each figure: medians of both builds and the median of the ratios of all rounds.
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time

from bench import PORT, config, daemon
from harness import PROBITY, fetch, read, say, write
from targets import nginx

PORTS = {"before": 29861, "now": 29862}
WINDOW_S = 3
FIRST_ROUND_S = 70


def builds():
    before = os.environ.get("PROBITY_BEFORE")
    if not before:
        sys.exit("PROBITY_BEFORE is not set: the binary of the build before")
    return {"before": before, "now": PROBITY}


@contextlib.contextmanager
def both(endpoints, interval_ms):
    """Both builds with the same config, each with a history and a port of its own."""
    with tempfile.TemporaryDirectory() as work:
        ng, ca = nginx(work)
        running = {}
        try:
            for name, binary in builds().items():
                own = os.path.join(work, name)
                os.mkdir(own)
                text = read(config(own, ca, endpoints, interval_ms, 5000))
                path = write(own + "/probity.toml", text.replace(str(PORT), str(PORTS[name])))
                running[name], _ = daemon(own, path, port=PORTS[name], binary=binary)
            yield running
        finally:
            for process in running.values():
                process.stop()
            ng.stop()


def cpu_ms(process):
    """To the nanosecond, of the threads that run now."""
    tasks, total = "/proc/%d/task" % process.pid, 0
    for task in os.listdir(tasks):
        # A thread may end meanwhile.
        with contextlib.suppress(OSError):
            total += int(read("%s/%s/schedstat" % (tasks, task)).split()[0])
    return total / 1e6


def told(figure, unit, rounds):
    """`rounds`: the figure of both builds, a pair a round."""
    say(
        bench="beside",
        figure=figure,
        unit=unit,
        rounds=len(rounds),
        before=round(statistics.median(before for before, _ in rounds), 2),
        now=round(statistics.median(now for _, now in rounds), 2),
        ratio=round(statistics.median(now / before for before, now in rounds), 3),
    )


def probing(a):
    with both(a.endpoints, 1000) as running:
        time.sleep(10)
        rounds = []
        for _ in range(a.rounds):
            used = {name: cpu_ms(process) for name, process in running.items()}
            time.sleep(WINDOW_S)
            spent = {name: cpu_ms(process) - used[name] for name, process in running.items()}
            probes = a.endpoints * WINDOW_S
            rounds.append(tuple(1000 * spent[name] / probes for name in PORTS))
        told("CPU a probe, %d endpoints a second" % a.endpoints, "us", rounds)
        memory = [tuple(running[name].memory_mib() for name in PORTS)]
        told("resident, %d endpoints a second" % a.endpoints, "MiB", memory)


def scraping(a):
    with both(a.scraped, 60_000) as running:
        # Until each endpoint was probed, pages grow.
        time.sleep(FIRST_ROUND_S if a.scraped > 1000 else 5)
        for encoding, headers in (("plain", {}), ("gzip", {"Accept-Encoding": "gzip"})):
            cpu, clock = [], []
            for n in range(a.rounds):
                spent, took = {}, {}
                for name in list(PORTS)[:: 1 if n % 2 else -1]:
                    used, began = cpu_ms(running[name]), time.monotonic()
                    fetch("http://127.0.0.1:%d/metrics" % PORTS[name], headers)
                    took[name] = 1000 * (time.monotonic() - began)
                    spent[name] = cpu_ms(running[name]) - used
                cpu.append((spent["before"], spent["now"]))
                clock.append((took["before"], took["now"]))
            told("CPU of a scrape of %d, %s" % (a.scraped, encoding), "ms", cpu)
            told("time of a scrape of %d, %s" % (a.scraped, encoding), "ms", clock)
        memory = [tuple(running[name].memory_mib() for name in PORTS)]
        told("resident, %d endpoints, scraped" % a.scraped, "MiB", memory)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--endpoints", type=int, default=1000)
    parser.add_argument("--scraped", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    a = parser.parse_args()
    probing(a)
    if a.scraped:
        scraping(a)


if __name__ == "__main__":
    main()
