#!/usr/bin/env python3
"""The phases of one https request as `probity probe` and as `curl -w` report them, of a server with
known delays.

    benches/curl_phases.py [--rounds 20] [--delay-ms 50] [--smoke]

Needs curl and openssl. The server of this file waits that long before it answers the handshake,
before the first byte of its answer, and between the two halves of the body. Both clients ask it in
turns, from a process of their own each time, for the same name over IPv4. curl counts from the
start of the request to the end of each phase; what is compared are the differences. Its
`time_pretransfer` is no boundary of Probity's, so that request and first byte are one row.
"""

import argparse
import os
import shutil
import socket
import ssl
import statistics
import sys
import tempfile
import threading
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/system"))
from harness import certificate, probe, say, sh

HALF = b"x" * 4096
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (2 * len(HALF))
# What --smoke accepts: a random source that is filled within a handshake takes 30 and more.
MOST_APART_MS = 10
PHASES = ["resolve", "connect", "tls", "request and first byte", "transfer", "whole"]
# Whose length the server decides.
DELAYED = ["tls", "request and first byte", "transfer"]
HELLO = "until hello"
OF_CURL = ["namelookup", "connect", "appconnect", "starttransfer", "total"]


class SlowServer:
    """Answers one connection after the other, with a wait in each of three phases."""

    def __init__(self, identity: tuple[str, str], delay_s: float):
        self.delay_s = delay_s
        # Milliseconds from each connection to the first byte that came over it.
        self.until_hello_ms: list[float] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*identity)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            plain, _ = self.listener.accept()
            accepted = time.monotonic()
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # The client is in the phase of the handshake from here on.
            plain.recv(1, socket.MSG_PEEK)
            self.until_hello_ms.append(1000 * (time.monotonic() - accepted))
            time.sleep(self.delay_s)
            try:
                with self.context.wrap_socket(plain, server_side=True) as secured:
                    self.answer(secured)
            except OSError as e:
                print("the server of the bench: %s" % e, file=sys.stderr)

    def answer(self, secured: ssl.SSLSocket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = secured.recv(4096)
            if not piece:
                return
            head += piece
        time.sleep(self.delay_s)
        secured.sendall(HEAD + HALF)
        time.sleep(self.delay_s)
        secured.sendall(HALF)


def of_probity(url: str, authority: str) -> dict[str, float]:
    """Milliseconds of each phase."""
    told = probe(url, "-4", "--ca-file", authority)
    assert told["result"] == "success", told
    phases = told["phases_ms"]
    alone = {name: phases[name] for name in ("resolve", "connect", "tls", "transfer")}
    asked = phases["request"] + phases["first_byte"]
    return alone | {"request and first byte": asked, "whole": told["duration_ms"]}


def of_curl(url: str, authority: str) -> dict[str, float]:
    """The same of the second of two requests, each over a connection of its own: in the first one
    curl sets up its library, which is some milliseconds of its handshake."""
    form = " ".join("%%{time_%s}" % name for name in OF_CURL) + "\n"
    argv = ["--silent", "--show-error", "--ipv4", "--http1.1", "--output", "/dev/null"]
    argv += ["--no-sessionid", "--cacert", authority, "--write-out", form, url]
    said = sh("curl", *argv, "--next", *argv).stdout.splitlines()
    ends = [1000 * float(part) for part in said[-1].split()]
    lengths = [b - a for a, b in zip([0.0, *ends], ends, strict=False)]
    return dict(zip(PHASES, [*lengths, ends[-1]], strict=True))


def measure(work: str, rounds: int, delay_ms: float) -> dict[str, list[dict[str, float]]]:
    authority = certificate(work, "authority", -1, 300)
    leaf = certificate(work, "leaf", -1, 200, issuer=authority)
    server = SlowServer(leaf, delay_ms / 1000)
    url = "https://localhost:%d/" % server.port
    clients = {"probity": of_probity, "curl": of_curl}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in clients}
    for _ in range(rounds):
        for name, ask in clients.items():
            row = ask(url, authority[0])
            row[HELLO] = server.until_hello_ms[-1]
            short = {p: row[p] for p in DELAYED if row[p] < delay_ms / 2}
            assert not short, "%s says far less than the server waited: %s" % (name, short)
            found[name].append(row)
    middle = {
        name: {p: statistics.median(row[p] for row in all_rows) for p in [*PHASES, HELLO]}
        for name, all_rows in found.items()
    }
    apart = {p: round(middle["probity"][p] - middle["curl"][p], 3) for p in PHASES}
    say(
        bench="curl-phases",
        rounds=rounds,
        delay_ms=delay_ms,
        probity_ms_p50={p: round(ms, 3) for p, ms in middle["probity"].items()},
        curl_ms_p50={p: round(ms, 3) for p, ms in middle["curl"].items()},
        difference_ms=apart,
        most_ms=max(abs(apart[p]) for p in PHASES),
        to_reach_ms=0.3,
    )
    # What a client does of its own within its phase of the handshake, before it says anything.
    say(until_hello_ms_p50={name: round(rows[HELLO], 3) for name, rows in middle.items()})
    print("| phase | `probity probe`, p50 | `curl -w`, p50 | difference |")
    print("|---|---|---|---|")
    for p in PHASES:
        of = (p, middle["probity"][p], middle["curl"][p], apart[p])
        print("| %s | %.3f ms | %.3f ms | %+.3f ms |" % of)
    return found


def compared(rows: dict[str, list[dict[str, float]]]) -> None:
    """That nothing of the prober's own is in a phase: a start of a process that takes tens of
    milliseconds has been. Of all rounds the shortest, as the machine may be busy."""
    for phase in PHASES:
        least = {name: min(row[phase] for row in all_rows) for name, all_rows in rows.items()}
        apart = least["probity"] - least["curl"]
        assert apart < MOST_APART_MS, "%s: %.1f ms more than curl" % (phase, apart)


def main() -> None:
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--rounds", type=int, default=20)
    ap.add_argument("--delay-ms", type=float, default=50)
    ap.add_argument("--smoke", action="store_true", help="a small run that shows that it works")
    a = ap.parse_args()
    if a.smoke:
        a.rounds = 6
    work = tempfile.mkdtemp(prefix="probity-bench-")
    try:
        rows = measure(work, a.rounds, a.delay_ms)
        if a.smoke:
            compared(rows)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
