"""The servers of benches/referee.py: one for each row and tool, which do what they are told.

Runs in a network namespace of its own. The argument is a JSON file with the list of servers. Each
line of standard input is an order, `{"rows": [...], "does": WORD}`; the answer is a line with the
clock (CLOCK_MONOTONIC) before and after it was carried out. What a server does between orders:

    http, https   200 with a text and JSON, and the connection stays open
    dns           one A record
    tcp           a greeting of a mail server
    accepts       nothing: it takes connections (a witness)

The kernel answers pings, and orders about networks and name servers are carried out elsewhere.
"""

import contextlib
import json
import os
import selectors
import socket
import ssl
import struct
import sys
import threading
import time
from typing import Any

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/system"))
from harness import read
from resolver import reply

BODY = b'{"status": "ok", "shop": "open"}'
GREETING = b"220 mail.test ESMTP\r\n"
# What is answered late, and what slowly: more and less than the timeout of 1.5 s.
LATE_S, SLOW_S, LEISURELY_S = 3.0, 1.0, 0.5
# Each turn of a redirect loop: a prober that follows it until its timeout takes no CPU from others.
TURN_S = 0.05
RECORDS = ["192.0.2.7"]
# A change of one of these ends the connections that are open, as a restart of the server does.
RESTARTS = {"refuse", "expired", "wrong_name", "untrusted", "expiring", "plain", "mute", "rotated"}


class Gone(Exception):
    """The connection is to be closed."""


def served(status: bytes, body: bytes = BODY, *more: bytes) -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Type: application/json"]
    lines += [b"Content-Length: %d" % len(body), *more]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Server:
    """One listener, or one socket for datagrams."""

    def __init__(self, row: str, kind: str, address: str, port: int, pairs: dict[str, Any]):
        self.row, self.kind, self.address, self.port = row, kind, address, port
        self.does, self.asked, self.is_due = "fine", 0, False
        self.listener: socket.socket | None = None
        self.open: set[socket.socket] = set()
        self.contexts: dict[str, ssl.SSLContext] = {}
        for name, pair in pairs.items() if kind == "https" else ():
            self.contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.contexts[name].load_cert_chain(*pair)
        if kind == "dns":
            self.answer_queries()
        else:
            self.listen()

    # ---- orders -----------------------------------------------------------------------------

    def order(self, does: str) -> None:
        before, self.does = self.does, does
        self.asked, self.is_due = 0, does == "once"
        if self.kind == "dns":
            return
        if does == "refuse" and self.listener:
            DOOR.close(self)
        if RESTARTS & {before, does}:
            for s in list(self.open):
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)
        if does != "refuse" and not self.listener:
            self.listen()

    def is_next_to_fail(self) -> bool:
        """Whether this request is the one that an order singled out."""
        was, self.is_due = self.is_due, False
        return was

    # ---- TCP --------------------------------------------------------------------------------

    def listen(self) -> None:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        at = self.address, self.port
        self.listener = socket.create_server(at, family=family, backlog=128)
        DOOR.open(self)

    def connected(self, s: socket.socket) -> None:
        self.open.add(s)
        threading.Thread(target=self.converse, args=(s,), daemon=True).start()

    def converse(self, s: socket.socket) -> None:
        raw = s
        try:
            s.settimeout(60)
            if self.kind == "tcp":
                self.greet(s)
            elif self.kind != "accepts":
                self.answer_requests(self.secured(s) if self.contexts else s)
        except (OSError, Gone):
            pass
        finally:
            self.open.discard(raw)
            s.close()

    def secured(self, s: socket.socket) -> socket.socket:
        if self.does == "mute":
            self.until_closed(s)
        if self.does == "plain":
            s.recv(4096)
            s.sendall(served(b"400 Bad Request", b"This is HTTP.\n"))
            raise Gone
        pair = self.does if self.does in self.contexts else "fine"
        return self.contexts[pair].wrap_socket(s, server_side=True)

    def until_closed(self, s: socket.socket) -> None:
        while s.recv(4096):
            pass
        raise Gone

    def greet(self, s: socket.socket) -> None:
        if self.does == "mute":
            self.until_closed(s)
        s.sendall(b"554 no service here\r\n" if self.does == "554" else GREETING)
        if b"QUIT" in s.recv(4096):
            s.sendall(b"221 bye\r\n")

    def answer_requests(self, s: socket.socket) -> None:
        buffered, count = b"", 0
        while True:
            while b"\r\n\r\n" not in buffered:
                piece = s.recv(4096)
                if not piece:
                    return
                buffered += piece
            head, _, buffered = buffered.partition(b"\r\n\r\n")
            method, path = head.split(b" ", 2)[:2]
            count += 1
            if self.does == "closing" and count > 1:
                return
            self.asked += 1
            answer = self.answer(s, method, path)
            s.sendall(answer)
            if b"Content-Length: 1000" in answer:
                return

    def answer(self, s: socket.socket, method: bytes, path: bytes) -> bytes:
        does, release = self.does, b"X-Release: 7"
        if path == b"/login":
            return served(b"200 OK", b"<h1>Please log in</h1>", release)
        if does == "hang":
            self.until_closed(s)
        if does == "empty":
            raise Gone
        waits = {"late": LATE_S, "slow": SLOW_S, "leisurely": LEISURELY_S, "loop": TURN_S}
        time.sleep(waits.get(does, 0))
        if does == "head" and method == b"HEAD":
            return served(b"405 Method Not Allowed", b"", release)
        if does == "500":
            return served(b"500 Internal Server Error", BODY, release)
        if does == "503" or (does == "share" and self.asked % 3 != 0) or self.is_next_to_fail():
            return served(b"503 Service Unavailable", BODY, release)
        if does in ("loop", "elsewhere"):
            to = b"/login" if does == "elsewhere" else path
            return served(b"302 Found", b"", b"Location: " + to)
        if does == "text":
            return served(b"200 OK", b'{"status": "ok"}', release)
        if does == "json":
            return served(b"200 OK", BODY.replace(b'"ok"', b'"degraded"'), release)
        if does == "header":
            return served(b"200 OK")
        if does == "truncated":
            return served(b"200 OK", BODY, release).replace(b"Length: 32", b"Length: 1000")
        return served(b"200 OK", BODY, release)

    # ---- datagrams --------------------------------------------------------------------------

    def answer_queries(self) -> None:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((self.address, self.port))

        def run() -> None:
            while True:
                query, asker = s.recvfrom(4096)
                does: Any = RECORDS
                if self.does == "silent" or self.is_next_to_fail():
                    does = "silent"
                elif self.does == "address":
                    does = ["192.0.2.99"]
                elif self.does not in ("fine", "once"):
                    does = self.does
                with contextlib.suppress(OSError, struct.error, IndexError):
                    answer = reply(query, does)
                    if answer:
                        s.sendto(answer, asker)

        threading.Thread(target=run, daemon=True).start()


class Door:
    """Accepts what comes to all listeners."""

    def __init__(self) -> None:
        self.selector, self.lock = selectors.DefaultSelector(), threading.Lock()
        threading.Thread(target=self.run, daemon=True).start()

    def open(self, server: Server) -> None:
        assert server.listener
        server.listener.setblocking(False)
        self.selector.register(server.listener, selectors.EVENT_READ, server)

    def close(self, server: Server) -> None:
        with self.lock:
            assert server.listener
            self.selector.unregister(server.listener)
            server.listener.close()
            server.listener = None

    def run(self) -> None:
        while True:
            ready = self.selector.select(0.2)
            with self.lock:
                for key, _ in ready:
                    listener = key.data.listener
                    with contextlib.suppress(OSError):
                        if listener:
                            key.data.connected(listener.accept()[0])


DOOR = Door()


def main() -> None:
    plan = json.loads(read(sys.argv[1]))
    servers = [Server(**one, pairs=plan["pairs"]) for one in plan["servers"]]
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        began = time.monotonic()
        for server in servers:
            if server.row in order["rows"]:
                server.order(order["does"])
        print(json.dumps([began, time.monotonic()]), flush=True)


if __name__ == "__main__":
    main()
