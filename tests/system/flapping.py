"""Servers that flap and remember when, a daemon that probes them, and what it told: what the tests
of crash.py hold a record against."""

import bisect
import heapq
import itertools
import json
import os
import random
import selectors
import socket
import threading
import time
import urllib.error
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from harness import PROBITY, Daemon, endpoint, instant, sh, until

T = TypeVar("T")
R = TypeVar("R")
SEED = int(os.environ.get("SEED", "1"))
PARALLEL = int(os.environ.get("PARALLEL", "8"))
CADENCE = '[defaults]\ninterval = "500ms"\ntimeout = "2s"\nretry_interval = "100ms"\n'
# What the servers' notes and the daemon's clock readings may lie apart.
SLACK = 0.05


def stream_of(key):
    """The socket of a selected key; only the pipe of wishes has none."""
    assert isinstance(key.fileobj, socket.socket)
    return key.fileobj


class Servers:
    """HTTP servers in a process of their own, which no look at an answer keeps from answering. Each
    answers 500 now and then and keeps note of when: `down[n]` is a list of [from, to] in UTC
    seconds that covers every answer of 500 and begins and ends next to the first and last of them.
    Notes come here through a pipe, which says as well how far they reach."""

    def __init__(self, count, up=(0.5, 4.0), down=(0.3, 3.0), seed=SEED):
        self.down: list[list[Any]] = [[] for _ in range(count)]
        # When the servers themselves were kept from answering for longer than half a second: nobody
        # was up then.
        self.stalls: list[list[float]] = []
        self.noted_until = 0.0
        self.ports: list[int] = []
        self.flapping = True
        self.lengths = {200: up, 500: down}
        self.status = [200] * count
        self.random = random.Random(seed)
        self.selector = selectors.DefaultSelector()
        for n in range(count):
            s = socket.socket()
            s.bind(("127.0.0.1", 0))
            s.listen(256)
            s.setblocking(False)
            self.selector.register(s, selectors.EVENT_READ, n)
            self.ports.append(s.getsockname()[1])
        now = time.monotonic()
        self.turns = [(now + self.random.uniform(*up), n) for n in range(count)]
        heapq.heapify(self.turns)
        notes, self.notes = os.pipe()
        self.wishes, wishes = os.pipe()
        if os.fork() == 0:
            # Ends with whoever began it: then the pipe of wishes does.
            os.close(wishes)
            os.close(notes)
            self.selector.register(self.wishes, selectors.EVENT_READ, None)
            try:
                self.serve()
            finally:
                os._exit(0)
        os.close(self.notes)
        os.close(self.wishes)
        for key in list(self.selector.get_map().values()):
            stream_of(key).close()
        self.wishes = wishes
        threading.Thread(target=self.hear, args=(os.fdopen(notes),), daemon=True).start()

    def hear(self, notes):
        for line in notes:
            kind, *values = json.loads(line)
            if kind == "stall":
                self.stalls.append(values)
            elif kind == "reach":
                self.noted_until = values[0]
            else:
                self.noted(kind, *values)

    def noted(self, kind, n, at):
        if kind == "down":
            self.down[n].append([at, None])
        else:
            self.down[n][-1][1] = at
        self.status[n] = 500 if kind == "down" else 200

    def note(self, *what):
        os.write(self.notes, (json.dumps(what) + "\n").encode())

    def config(self):
        return CADENCE + "".join(endpoint("e%d" % n, port) for n, port in enumerate(self.ports))

    def serve(self):
        served = reach = time.time()
        while True:
            wait = min(0.1, max(0, self.turns[0][0] - time.monotonic()))
            heard = self.selector.select(wait)
            now = time.time()
            if now - served > 0.5 + wait:
                self.note("stall", served, now)
            if now - reach > 0.1:
                self.note("reach", now)
                reach = now
            served = now
            for key, _ in heard:
                if key.data is None:
                    if not os.read(self.wishes, 1):
                        return
                    self.flapping = False
                    continue
                try:
                    self.answer(key)
                except OSError:
                    self.close(stream_of(key))
            while self.turns[0][0] <= time.monotonic():
                _, n = heapq.heappop(self.turns)
                if self.flapping or self.status[n] == 500:
                    self.turn(n)
                heapq.heappush(
                    self.turns,
                    (time.monotonic() + self.random.uniform(*self.lengths[self.status[n]]), n),
                )

    def turn(self, n):
        # Down before it answers so, up only after the last such answer.
        kind = "down" if self.status[n] == 200 else "up"
        at = time.time()
        self.noted(kind, n, at)
        self.note(kind, n, at)

    def answer(self, key):
        if isinstance(key.data, int):
            s, _ = stream_of(key).accept()
            s.setblocking(False)
            self.selector.register(s, selectors.EVENT_READ, [key.data, b""])
            return
        n, heard = key.data
        stream = stream_of(key)
        more = stream.recv(4096)
        key.data[1] = heard + more
        if not more:
            self.close(stream)
        elif key.data[1].endswith(b"\r\n\r\n"):
            stream.send(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % self.status[n])
            key.data[1] = b""

    def close(self, s):
        self.selector.unregister(s)
        s.close()

    def rest(self):
        """All up, and they stay so."""
        os.write(self.wishes, b"r")
        asked = time.time()
        until(
            lambda: self.noted_until > asked + 0.2 and all(s == 200 for s in self.status),
            what="rest",
        )

    def was_down(self, n, low, high):
        """Whether there was a moment of 500 between two instants."""
        until(lambda: self.noted_until > high + SLACK, what="the servers' notes")
        # Spans come in order and lie apart: the last that begins before the end is the one that
        # reaches furthest.
        k = bisect.bisect_right(self.down[n], high + SLACK, key=lambda span: span[0])
        return k > 0 and (self.down[n][k - 1][1] or time.time()) >= low - SLACK

    def stood_still(self, low, high):
        """Whether the servers themselves had no turn for two seconds, the timeout of their clients,
        between two instants."""
        return sum(b - a for a, b in self.stalls if a <= high and b >= low) > 2 - SLACK


# ---- the daemon, and what it has told -----------------------------------------------------------

ADDRESSES = itertools.count((os.getpid() % 4096) << 9)


def own_address():
    """An address of the loopback network that nobody else has, so that a port is free again after a
    kill, whatever connections others have."""
    n = next(ADDRESSES)
    return "127.%d.%d.%d" % (64 + (n >> 16) % 64, (n >> 8) % 256, 1 + n % 254)


class Prober(Daemon):
    """A daemon that is killed and begun again, and its outages."""

    vantage = "crash"

    def __init__(self, directory, text):
        super().__init__(directory, text, listen=own_address() + ":9115")

    def outages(self):
        return self.json("/api/v1/outages?limit=%d" % PAGE)["outages"]

    def all_outages(self):
        """Every outage, as the stopped history has it."""
        code, said = command(
            "history", "list", "--json", "--limit", "100000000", "--state-dir", self.state
        )
        assert code == 0, code
        return json.loads(said)["outages"]


# As many outages as an answer may list.
PAGE = 10000
OPEN_ENDS = ("to", "to_earliest", "to_latest")


class Told:
    """What scrapes and answers have shown so far: nothing of it may be taken back."""

    def __init__(self):
        self.figures: dict[str, float] = {}
        self.outages: dict[int, dict[str, Any]] = {}
        self.looks, self.unanswered = 0, 0

    def look(self, prober):
        """One scrape and one list of outages, held against all before. What is not answered tells
        nothing."""
        try:
            figures = prober.figures()
            self.hear_figures(figures)
            outages = prober.outages()
        except urllib.error.HTTPError as error:
            # Until the endpoints are in service it says so: that takes nothing back.
            if error.code != 503:
                self.unanswered += 1
            return
        except TimeoutError:
            self.unanswered += 1
            return
        except (urllib.error.URLError, ConnectionError):
            # It does not listen yet; whoever asks sees to it that it runs.
            return
        self.hear_outages(outages)
        self.looks += 1

    def hear_figures(self, figures):
        for key, value in self.figures.items():
            assert figures.get(key, -1) >= value, "taken back: %s was %s, is %s" % (
                key,
                value,
                figures.get(key),
            )
        self.figures = figures

    def hear_outages(self, list_):
        # A full page has the newest ones only; those before it are held against the whole list at
        # the end.
        oldest = min(o["seq"] for o in list_) if len(list_) >= PAGE else 0
        before_page = {seq: o for seq, o in self.outages.items() if seq < oldest}
        self.outages = {
            **before_page,
            **self.held({seq: o for seq, o in self.outages.items() if seq >= oldest}, list_),
        }

    def hear_all_outages(self, list_):
        self.outages = self.held(self.outages, list_)

    def held(self, told, list_):
        """The listed outages, once all that were told are among them as they were told."""
        now = {o["seq"]: o for o in list_}
        assert len(now) == len(list_), "an outage is listed twice"
        for seq, before in told.items():
            assert seq in now, "lost: %s" % before
            free = OPEN_ENDS if before["to"] is None else ()
            changed = [k for k in before if k not in free and before[k] != now[seq][k]]
            assert not changed, "changed: %s is %s" % (before, now[seq])
        return now


def outages_are_true(outages, servers):
    """None stands twice or over another, and each holds a moment at which its server was down."""
    by_endpoint: dict[int, dict[str, Any]] = {}
    unanswered = 0
    for o in sorted(outages, key=lambda o: o["seq"]):
        n = int(o["endpoint"][1:])
        ended = instant(o["to_latest"]) if o["to_latest"] else time.time()
        span = instant(o["from_earliest"]), ended
        if not servers.was_down(n, *span):
            # A machine that is too busy for its servers: nobody answered, and only a timeout can
            # say so.
            assert o["cause"].endswith("_timeout") and servers.stood_still(*span), (
                "invented: %s; down was %s" % (o, servers.down[n][-5:])
            )
            unanswered += 1
        before = by_endpoint.get(n)
        assert before is None or (before["to"] is not None and before["to"] <= o["from"]), (
            "two at once: %s and %s" % (before, o)
        )
        by_endpoint[n] = o
    return unanswered


def sums_are_whole(prober):
    """Up, down and unknown add up to the time since the first start, to the millisecond, for every
    endpoint."""
    for e in prober.json("/api/v1/endpoints")["endpoints"]:
        sums = e["ledger"]
        if sums["first_start_ms"] is not None:
            whole = sums["watermark_ms"] - sums["first_start_ms"]
            parts = sums["up_ms"] + sums["down_ms"] + sums["unknown_ms"] + sums["out_of_service_ms"]
            assert whole == parts, (e["name"], sums)
            assert sums["down_lower_ms"] <= sums["down_ms"] <= sums["down_upper_ms"] <= whole, (
                e["name"],
                sums,
            )
            assert sums["watermark_ms"] / 1000 <= time.time() + SLACK, (
                "settled time that is not over: %s %s" % (e["name"], sums)
            )


def command(*argv):
    """Exit code and standard output of a reading command."""
    r = sh(PROBITY, *argv, ok=False)
    assert "panicked" not in r.stderr and r.returncode >= 0, "%s: %d\n%s" % (
        argv,
        r.returncode,
        r.stderr,
    )
    return r.returncode, r.stdout


def in_parallel(work: Callable[[T], R], items: Iterable[T]) -> list[tuple[R | None, str]]:
    """Runs the work on every item, some at a time; the failures come back as text."""

    def one(item: T) -> tuple[R | None, str]:
        try:
            return work(item), ""
        except Exception as error:
            return None, "%s: %s: %s" % (item, type(error).__name__, str(error)[:700])

    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(one, items))


def held(failures):
    assert not failures, "%d do not hold; the first ones:\n%s" % (
        len(failures),
        "\n".join(failures[:12]),
    )


def sum_of(results: list[tuple[Counter[str] | None, str]]) -> Counter[str]:
    """What every one counted, once all of them hold."""
    held([why for _, why in results if why])
    total: Counter[str] = Counter()
    for counts, _ in results:
        total.update(counts)
    return total
