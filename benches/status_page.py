#!/usr/bin/env python3
"""What the public status page costs, and whether a crowd of readers shifts a probe.

    benches/status_page.py [--endpoints 500] [--readers 5000] [--smoke]

One daemon on the first processor, readers and target on the second. The endpoints are probed over
http each second, in 30 components. First each page is asked for, one answer after the other, over
one connection: `cpu_ms` is the daemon's CPU time for each answer, without what it spends on
probing, which is measured before and taken away. Then so many readers come at once, from 250
addresses, each with a connection of its own, and ask again a second after each answer. Beside a
quiet window of the same length: lateness of probes (upper bound of the bucket), slots by result,
answers and refusals. Every line is one of JSON."""

import argparse
import asyncio
import http.client
import os
import shutil
import sys
import tempfile
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/system"))
from bench import HTTP, PORT, bench_table, daemon, fresh, nginx, window
from harness import say

PAGE = 29849
COMPONENTS = 30
PAGES = {
    "front": "/",
    "one component": "/components/c7",
    "summary.json": "/api/v2/summary.json",
    "badge": "/badges/c7.svg",
}
REQUEST = b"GET / HTTP/1.1\r\nHost: status.example\r\nAccept-Encoding: gzip\r\n\r\n"


def config(work, endpoints):
    lines = [
        bench_table(work, PORT),
        '[status_page]\nlisten = "127.0.0.1:%d"\n' % PAGE,
        '[defaults]\ninterval = "1s"\ntimeout = "900ms"\n',
    ]
    for n in range(COMPONENTS):
        lines.append('[component.c%d]\ntitle = "Component %d"\n' % (n, n))
    for n in range(endpoints):
        lines.append(
            '[[endpoint]]\nname = "e%06d"\ncomponent = "c%d"\n' % (n, n % COMPONENTS)
            + 'probe.http = "http://127.0.0.1:%d/t/%d"\n' % (HTTP, n)
        )
    return fresh(work, "\n".join(lines))


def cost(p, path, times, probing, headers):
    connection = http.client.HTTPConnection("127.0.0.1", PAGE, timeout=10)
    began, before, size = time.monotonic(), p.cpu_s(), 0
    for _ in range(times):
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        assert response.status == 200, response.status
        size = len(response.read())
    spent = p.cpu_s() - before - probing * (time.monotonic() - began)
    connection.close()
    return {"cpu_ms": round(1000 * max(spent, 0) / times, 3), "bytes": size}


async def reader(n, until, seen):
    """Asks again and again; one that is refused comes again a second later."""
    while time.monotonic() < until:
        try:
            source = ("127.9.%d.%d" % (n % 250 // 100, n % 100 + 1), 0)
            opened = asyncio.open_connection("127.0.0.1", PAGE, local_addr=source)
            incoming, outgoing = await asyncio.wait_for(opened, 10)
            try:
                while time.monotonic() < until:
                    outgoing.write(REQUEST)
                    head = await asyncio.wait_for(incoming.readuntil(b"\r\n\r\n"), 10)
                    status = int(head.split()[1])
                    if status != 200:
                        seen["refused"] += 1
                        break
                    [length] = [
                        int(line.split(b":")[1])
                        for line in head.lower().split(b"\r\n")
                        if line.startswith(b"content-length")
                    ]
                    await asyncio.wait_for(incoming.readexactly(length), 10)
                    seen["answers"] += 1
                    await asyncio.sleep(1)
            finally:
                outgoing.close()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            seen["cut"] += 1
        await asyncio.sleep(1)


def crowd(readers, seconds):
    """In a process of its own, on the second processor; prints what it saw."""
    os.sched_setaffinity(0, {1})
    seen = {"answers": 0, "refused": 0, "cut": 0}

    async def all_of_them():
        until = time.monotonic() + seconds
        await asyncio.gather(*(reader(n, until, seen) for n in range(readers)))

    asyncio.run(all_of_them())
    say(bench="status_page", readers=readers, **seen)


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--endpoints", type=int, default=500)
    ap.add_argument("--readers", type=int, default=5000)
    ap.add_argument("--times", type=int, default=500)
    ap.add_argument("--seconds", type=int, default=20)
    ap.add_argument("--smoke", action="store_true")
    a = ap.parse_args()
    if a.smoke:
        a.endpoints, a.readers, a.times, a.seconds = 50, 50, 20, 3
    work = tempfile.mkdtemp(prefix="probity-bench-")
    servers = None
    try:
        servers, _ = nginx(work)
        p, _ = daemon(work, config(work, a.endpoints), cpus="0")
        time.sleep(3 if a.smoke else 15)
        quiet = window(p, a.seconds)
        say(bench="status_page", window="quiet", **quiet)
        for name, path in PAGES.items():
            for coding, headers in (("plain", {}), ("gzip", {"Accept-Encoding": "gzip"})):
                figures = cost(p, path, a.times, quiet["core"], headers)
                say(bench="status_page", page=name, coding=coding, **figures)
        child = os.fork()
        if child == 0:
            crowd(a.readers, a.seconds + 4)
            os._exit(0)
        time.sleep(2)
        say(bench="status_page", window="crowd", **window(p, a.seconds))
        os.waitpid(child, 0)
        say(bench="status_page", rss_mib=round(p.memory_mib(), 1))
        p.stop()
    finally:
        if servers:
            servers.stop()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
