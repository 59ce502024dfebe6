#!/usr/bin/env python3
"""All hostile targets at once: is every outcome the expected one, in time, and within how much
memory?

    benches/hostile.py [--each 5] [--seconds 60] [--smoke]

One more process of this file serves the targets, one port for each kind. First the daemon probes as
many endpoints of the same config on a healthy server, for the memory that counts as idle; then the
hostile ones. /api/v1/endpoints is read ten times a second; an outcome is an endpoint's `last` with
a new `started`. Counts of /metrics show how many outcomes were missed so.
"""

import argparse
import asyncio
import collections
import functools
import gzip
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zlib
from typing import Any

from bench import bench_table, daemon, fresh

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/system"))
from harness import fetch, free_port, say, slots_by_result, spawn, stop

try:
    import brotli
except ImportError:
    brotli = None  # Then there is no brotli bomb.

TIMEOUT_MS = 1000
SLACK_MS = 50  # What docs/benchmarks.md lets an outcome lag behind its timeout.
MEMORY_MIB = 64
OK = b"HTTP/1.1 200 OK\r\n"
PIECE = b"x" * 65536


# ---- what the targets do with a connection ------------------------------------------------------


async def asked(reader):
    await reader.readuntil(b"\r\n\r\n")


async def send(writer, data):
    writer.write(data)
    await writer.drain()


async def hang(reader, writer):
    await reader.read(-1)


async def endless(writer, piece, pause=0.0):
    while True:
        await send(writer, piece)
        if pause:
            await asyncio.sleep(pause)


def says(head, piece=None, pause=0.0):
    """Takes the request, sends `head`, then `piece` again and again if there is one; closes
    otherwise."""

    async def target(reader, writer):
        await asked(reader)
        await send(writer, head)
        if piece:
            await endless(writer, piece, pause)

    return target


async def large_header(reader, writer):
    await asked(reader)
    await send(writer, OK + b"X-Large: ")
    for _ in range(160):
        await send(writer, PIECE)
    await send(writer, b"\r\nContent-Length: 0\r\n\r\n")


async def redirect_loop(reader, writer):
    await asked(reader)
    await send(writer, b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")


async def read_and_reset(reader, writer):
    await asked(reader)
    reset(writer)


async def reset_at_once(reader, writer):
    reset(writer)


def reset(writer):
    writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
    )


async def close_at_once(reader, writer):
    pass


async def tls_drip(reader, writer):
    """A handshake record is announced and comes a byte at a time."""
    await send(writer, b"\x16\x03\x03\x40\x00\x02")
    await endless(writer, b"\0", 0.05)


async def tls_garbage(reader, writer):
    await reader.read(1)
    await send(writer, b"SSH-2.0-OpenSSH_9.2\r\n" * 20)
    await hang(reader, writer)


def body(coding, data):
    return OK + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (coding, len(data)) + data


def tcp_kinds():
    """name: (probe, what the target does, expected causes). Where a race on the wire decides,
    either cause is right."""
    zeros = bytes(64 << 20)
    http, bomb, tls = "http", "http-compressed", "https"
    kinds = {
        "drip-headers": (http, says(OK + b"X-A: ", b"b", 0.05), "body_timeout"),
        "drip-body": (http, says(OK + b"\r\n", b"b", 0.05), "body_timeout"),
        "endless-body": (http, says(OK + b"\r\n", PIECE), "success"),
        "endless-chunks": (
            http,
            says(
                OK + b"Transfer-Encoding: chunked\r\n\r\n",
                (b"400\r\n" + PIECE[:1024] + b"\r\n") * 64,
            ),
            "success",
        ),
        "endless-chunk-extensions": (
            http,
            says(
                OK + b"Transfer-Encoding: chunked\r\n\r\n",
                (b"1;" + b"e" * 200 + b"\r\nx\r\n") * 300,
            ),
            "body_limit",
        ),
        "endless-trailers": (
            http,
            says(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-T: y\r\n" * 8000),
            "header_limit",
        ),
        "header-of-10-mb": (http, large_header, "header_limit"),
        "100000-headers": (
            http,
            says(OK + b"X-H: y\r\n" * 100_000 + b"Content-Length: 0\r\n\r\n"),
            "header_limit",
        ),
        "10000-empty-headers": (
            http,
            says(OK + b"a:\r\n" * 10_000 + b"Content-Length: 0\r\n\r\n"),
            "header_limit",
        ),
        "endless-header-line": (http, says(OK + b"X-A: ", PIECE), "header_limit"),
        "gzip-bomb": (bomb, says(body(b"gzip", gzip.compress(zeros, 9))), "decode_limit"),
        "gzip-bomb-in-gzip": (
            bomb,
            says(body(b"gzip, gzip", gzip.compress(gzip.compress(zeros, 9), 9))),
            "decode_limit",
        ),
        "deflate-bomb": (bomb, says(body(b"deflate", zlib.compress(zeros, 9))), "decode_limit"),
        "redirect-loop": (http, redirect_loop, "redirect_limit"),
        "accept-and-hang": (http, hang, "first_byte_timeout"),
        "accept-and-close": (http, close_at_once, "http_truncated connect_reset"),
        "read-and-close": (http, says(b""), "http_truncated"),
        "accept-and-reset": (http, reset_at_once, "connect_reset"),
        "read-and-reset": (http, read_and_reset, "connect_reset"),
        "tls-hang": (tls, hang, "tls_timeout"),
        "tls-drip": (tls, tls_drip, "tls_timeout"),
        "tls-garbage": (tls, tls_garbage, "tls_handshake"),
        "http-09": (http, says(b"<html>hello</html>\n"), "http_malformed"),
        "doubled-content-length": (
            http,
            says(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc"),
            "http_malformed",
        ),
        "negative-content-length": (
            http,
            says(OK + b"Content-Length: -1\r\n\r\nabc"),
            "http_malformed",
        ),
        "chunk-size-no-number": (
            http,
            says(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n"),
            "http_malformed",
        ),
        "chunk-size-overflow": (
            http,
            says(OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
            "http_malformed",
        ),
        "chunk-longer-than-size": (
            http,
            says(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabcdef\r\n0\r\n\r\n"),
            "http_malformed",
        ),
        "short-body": (http, says(OK + b"Content-Length: 1000\r\n\r\nabc"), "http_truncated"),
        "103-flood": (
            http,
            says(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" * 1000),
            "protocol_error",
        ),
        "endless-line": ("tcp", lambda reader, writer: endless(writer, PIECE), "expect_mismatch"),
    }
    if brotli:
        kinds["brotli-bomb"] = (bomb, says(body(b"br", brotli.compress(zeros))), "decode_limit")
    return kinds


class Names(asyncio.DatagramProtocol):
    """A name server whose answers are made of the question by `reply`."""

    def __init__(self, reply):
        self.reply = reply

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        for answer in self.reply(data):
            self.transport.sendto(answer, peer)


DNS_KINDS = {
    "dns-silent": (lambda q: [], "dns_timeout"),
    # The right id and flags, then a name that points at itself.
    "dns-malformed": (
        lambda q: [q[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + b"\xc0\x0c\0\1\0\1" * 2],
        "dns_invalid",
    ),
    "dns-garbage": (lambda q: [q[:2] + b"\xff" * 400], "dns_invalid"),
    "dns-short": (lambda q: [q[:2]], "dns_invalid"),
    "dns-echo": (lambda q: [q], "dns_invalid"),
    "dns-other-ids": (lambda q: [bytes([q[0] ^ 1, q[1]]) + q[2:]] * 50, "dns_invalid"),
}
HEALTHY = says(OK + b"Content-Length: 3\r\nConnection: close\r\n\r\nok\n")


def connection(target):
    async def run(reader, writer):
        try:
            await target(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return run


async def serve():
    """Opens every target, prints a JSON object of their ports, and serves until standard input
    ends."""
    loop, ports = asyncio.get_running_loop(), {}
    held: list[Any] = []
    targets = {name: target for name, (_, target, _) in tcp_kinds().items()}
    for name, target in dict(targets, healthy=HEALTHY).items():
        server = await asyncio.start_server(connection(target), "127.0.0.1", 0, backlog=1000)
        ports[name] = server.sockets[0].getsockname()[1]
        held.append(server)
    for name, (reply, _) in DNS_KINDS.items():
        transport, _ = await loop.create_datagram_endpoint(
            functools.partial(Names, reply), local_addr=("127.0.0.1", 0)
        )
        ports[name] = transport.get_extra_info("sockname")[1]
        held.append(transport)
    refusing = socket.socket()  # Bound and not listening: nobody else takes the port.
    refusing.bind(("127.0.0.1", 0))
    ports["refuse"] = refusing.getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)  # Connections that drip for ever are not waited for.


# ---- the measurement ----------------------------------------------------------------------------

SHAPES = {
    "http": ('probe.http.method = "GET"\n', "http://127.0.0.1:%d/"),
    "http-compressed": ("probe.http.compression = true\n", "http://127.0.0.1:%d/"),
    "https": ('probe.http.method = "GET"\n', "https://127.0.0.1:%d/"),
    "tcp": ('probe.tcp.dialogue = [{ expect = "^220 " }]\n', "127.0.0.1:%d"),
    "dns": ('probe.dns.query = "www.bench"\nprobe.dns.type = "A"\n', "127.0.0.1:%d"),
}


def expectations(only):
    """name: (shape, set of causes) of every kind of target whose name has `only` in it."""
    table = {name: (shape, set(causes.split())) for name, (shape, _, causes) in tcp_kinds().items()}
    table.update({name: ("dns", {cause}) for name, (_, cause) in DNS_KINDS.items()})
    table["refuse"] = ("http", {"connect_refused"})
    return {name: row for name, row in table.items() if re.search(only, name)}


def config(work, port, ports, table, each, healthy):
    text = bench_table(work, port)
    text += '[defaults]\ninterval = "2s"\ntimeout = "%dms"\n' % TIMEOUT_MS
    for name, (shape, _) in table.items():
        lines, address = SHAPES["http" if healthy else shape]
        target = address % ports["healthy" if healthy else name]
        text += "[group.%s]\n%s[group.%s.targets]\n" % (name, lines, name)
        text += "".join('%s-%d = "%s"\n' % (name, n, target) for n in range(each))
    return fresh(work, text)


def observed(p, port, seconds):
    """Every outcome as (endpoint, started): last; and the most resident memory."""
    outcomes, peak, end = {}, 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        for e in json.loads(fetch("http://127.0.0.1:%d/api/v1/endpoints" % port))["endpoints"]:
            if e["last"]:
                outcomes[e["name"], e["last"]["started"]] = e["last"]
        peak = max(peak, p.memory_mib())
        time.sleep(0.1)
    return outcomes, max(peak, p.memory_mib("VmHWM"))


def measured(port):
    """Probes that ended, as the daemon counts them: all, and those that say nothing of the
    endpoint."""
    url = "http://127.0.0.1:%d/metrics?collect[]=accounting&collect[]=daemon" % port
    return slots_by_result(fetch(url).decode())


def measure(a, work):
    argv, pipe = [sys.executable, os.path.abspath(__file__), "--serve"], subprocess.PIPE
    server = spawn(*argv, stdin=pipe, stdout=pipe, text=True)
    assert server.stdin and server.stdout
    p = None
    try:
        ports, table, port = json.loads(server.stdout.readline()), expectations(a.only), free_port()
        p, _ = daemon(work, config(work, port, ports, table, a.each, True), port=port)
        before, _ = observed(p, port, 3 if a.smoke else 10)
        idle = p.memory_mib()
        unhealthy = [k for k, last in before.items() if last["result"] != "success"]
        p.stop()
        p, _ = daemon(work, config(work, port, ports, table, a.each, False), port=port)
        outcomes, peak = observed(p, port, a.seconds)
        slots = measured(port)
        end, final = time.monotonic(), p.memory_mib()
        code = p.stop()
        end = time.monotonic() - end
    finally:
        stop(p.p if p else None)
        server.stdin.close()
        server.wait(10)

    wrong: collections.Counter[str] = collections.Counter()
    seen: collections.Counter[str] = collections.Counter()
    worst, late = (float("-inf"), ""), 0
    for (name, _), last in outcomes.items():
        kind = name.rsplit("-", 1)[0]
        seen[kind] += 1
        found = last["cause"] or last["result"]
        if last["result"] == "unmeasured" or found not in table[kind][1]:
            wrong["%s: %s %s" % (kind, found, last["detail"])] += 1
        over = last["duration_ms"] - TIMEOUT_MS
        worst = max(worst, (round(over, 1), kind))
        late += over > SLACK_MS
    say(
        bench="hostile",
        kinds=len(table),
        endpoints=len(table) * a.each,
        seconds=a.seconds,
        outcomes=len(outcomes),
        wrong=sum(wrong.values()),
        wrong_which=dict(wrong),
        kinds_unseen=[k for k in table if not seen[k]],
        worst_overrun_ms=worst[0],
        worst_overrun_of=worst[1] or None,
        over_timeout_and_50_ms=late,
        slots=slots,
        idle_mib=round(idle, 1),
        peak_mib=round(peak, 1),
        above_idle_mib=round(peak - idle, 1),
        at_end_mib=round(final, 1),
        to_reach_mib=MEMORY_MIB,
        healthy_outcomes=len(before),
        healthy_not_up=len(unhealthy),
        exit=code,
        exit_s=round(end, 2),
        brotli=bool(brotli),
    )


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--each", type=int, default=5, help="endpoints of each kind")
    ap.add_argument("--seconds", type=int, default=60)
    ap.add_argument("--only", default="", help="kinds whose name matches this regular expression")
    ap.add_argument("--smoke", action="store_true", help="a small run that shows that it works")
    ap.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    a = ap.parse_args()
    if a.serve:
        asyncio.run(serve())
        return
    if a.smoke:
        a.seconds = min(a.seconds, 10)
    work = tempfile.mkdtemp(prefix="probity-bench-")
    try:
        measure(a, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
