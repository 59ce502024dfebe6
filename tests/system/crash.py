#!/usr/bin/env python3
"""Crash-safety suite: kills, failing disks, damaged files and a long history, with the real binary on loopback.
Usage: tests/system/crash.py [NAME ...]; without names, every test. PROBITY names the binary, else the release one.
CYCLES, DIRECTORIES (kills), FAULTS=all, FLIPS, SEED and EVENTS make it longer or shorter. Needs Python and cc."""

import bisect
import hashlib
import heapq
import itertools
import json
import os
import random
import re
import selectors
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.request
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from run import PROBITY, endpoint, get, until

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = int(os.environ.get("SEED", "1"))
PARALLEL = int(os.environ.get("PARALLEL", "8"))
CADENCE = '[defaults]\ninterval = "500ms"\ntimeout = "2s"\nretry_interval = "100ms"\n'
# What the servers' notes and the daemon's clock readings may lie apart.
SLACK = 0.05
STARTED = []


# ---- servers that flap, and remember when -------------------------------------------------------------------------


class Servers:
    """HTTP servers in a process of their own, which no look at an answer keeps from answering. Each answers 500 now and then and
    keeps note of when: `down[n]` is a list of [from, to] in UTC seconds that covers every answer of 500 and begins and ends next
    to the first and last of them. Notes come here through a pipe, which says as well how far they reach."""

    def __init__(self, count, up=(0.5, 4.0), down=(0.3, 3.0), seed=SEED):
        self.down = [[] for _ in range(count)]
        # When the servers themselves were kept from answering for longer than half a second: nobody was up then.
        self.stalls, self.noted_until = [], 0
        self.ports, self.flapping = [], True
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
            key.fileobj.close()
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
                    self.close(key.fileobj)
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
            s, _ = key.fileobj.accept()
            s.setblocking(False)
            self.selector.register(s, selectors.EVENT_READ, [key.data, b""])
            return
        n, heard = key.data
        more = key.fileobj.recv(4096)
        key.data[1] = heard + more
        if not more:
            self.close(key.fileobj)
        elif key.data[1].endswith(b"\r\n\r\n"):
            key.fileobj.send(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % self.status[n])
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
        # Spans come in order and lie apart: the last that begins before the end is the one that reaches furthest.
        k = bisect.bisect_right(self.down[n], high + SLACK, key=lambda span: span[0])
        return k > 0 and (self.down[n][k - 1][1] or time.time()) >= low - SLACK

    def stood_still(self, low, high):
        """Whether the servers themselves had no turn for two seconds, the timeout of their clients, between two instants."""
        return sum(b - a for a, b in self.stalls if a <= high and b >= low) > 2 - SLACK


# ---- the daemon, and what it has told -----------------------------------------------------------------------------

ADDRESSES = itertools.count((os.getpid() % 4096) << 9)


def own_address():
    """An address of the loopback network that nobody else has, so that a port is free again after a kill, whatever connections others have."""
    n = next(ADDRESSES)
    return "127.%d.%d.%d" % (64 + (n >> 16) % 64, (n >> 8) % 256, 1 + n % 254)


class Prober:
    """A daemon on a state directory, killed and begun again."""

    def __init__(self, directory, text):
        self.directory, self.listen = directory, own_address() + ":9115"
        self.state, self.log = os.path.join(directory, "state"), os.path.join(directory, "log")
        self.config = os.path.join(directory, "probity.toml")
        with open(self.config, "w") as f:
            f.write(
                '[daemon]\nvantage = "crash"\nlisten = "%s"\nstate_dir = "%s"\n%s'
                % (self.listen, self.state, text)
            )

    def begin(self, env=None):
        with open(self.log, "a") as log:
            self.p = subprocess.Popen(
                [PROBITY, "run", "--config", self.config],
                stderr=log,
                env=dict(os.environ, **(env or {})),
            )
        STARTED.append(self.p)
        return self

    def url(self, path):
        return "http://%s%s" % (self.listen, path)

    def is_ready(self):
        try:
            return get(self.url("/-/ready")).startswith("Ready")
        except (OSError, ValueError):
            return False

    def readiness(self):
        try:
            return get(self.url("/-/ready"))
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def ready(self, seconds=30):
        """Waits until it is ready; the exit code when it ends before."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.p.poll() is not None:
                return self.p.returncode
            if self.is_ready():
                return None
            time.sleep(0.01)
        raise AssertionError(
            "the daemon was not ready within %d s\n%s" % (seconds, self.last_words())
        )

    def must_be_ready(self):
        code = self.ready()
        assert code is None, "the daemon ended with %s\n%s" % (code, self.last_words())
        return self

    def kill(self):
        self.p.kill()
        self.p.wait()

    def end(self):
        self.p.terminate()
        return self.p.wait(10)

    def last_words(self):
        with open(self.log) as f:
            return "".join(f.readlines()[-5:])

    def figures(self):
        return {k: float(v) for k, v in SETTLED.findall(get(self.url("/metrics")))}

    def json(self, path):
        return json.loads(get(self.url(path)))

    def outages(self):
        return self.json("/api/v1/outages?limit=%d" % PAGE)["outages"]

    def all_outages(self):
        """Every outage, as the stopped history has it."""
        code, said = command(
            "history", "list", "--json", "--limit", "100000000", "--state-dir", self.state
        )
        assert code == 0, code
        return json.loads(said)["outages"]


SETTLED = re.compile(
    r"^(probity_endpoint_(?:transitions|state_seconds|down_lower_seconds|down_upper_seconds)_total\{[^}]*\}) (\S+)$",
    re.M,
)
# As many outages as an answer may list.
PAGE = 10000
OPEN_ENDS = ("to", "to_earliest", "to_latest")


class Told:
    """What scrapes and answers have shown so far: nothing of it may be taken back."""

    def __init__(self):
        self.figures, self.outages, self.looks, self.unanswered = {}, {}, 0, 0

    def look(self, prober):
        """One scrape and one list of outages, held against all before. What is not answered tells nothing."""
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
        # A full page has the newest ones only; those before it are held against the whole list at the end.
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


def instant(text):
    return datetime.fromisoformat(text).timestamp() if text else time.time()


def outages_are_true(outages, servers):
    """None stands twice or over another, and each holds a moment at which its server was down."""
    by_endpoint, unanswered = {}, 0
    for o in sorted(outages, key=lambda o: o["seq"]):
        n = int(o["endpoint"][1:])
        span = instant(o["from_earliest"]), instant(o["to_latest"])
        if not servers.was_down(n, *span):
            # A machine that is too busy for its servers: nobody answered, and only a timeout can say so.
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
    """Up, down and unknown add up to the time since the first start, to the millisecond, for every endpoint."""
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
    r = subprocess.run([PROBITY, *argv], capture_output=True, text=True)
    assert "panicked" not in r.stderr and r.returncode >= 0, "%s: %d\n%s" % (
        argv,
        r.returncode,
        r.stderr,
    )
    return r.returncode, r.stdout


def is_whole(state):
    code, said = command("history", "verify", "--state-dir", state)
    assert code == 0 and said.startswith("intact"), "verify: %d %s" % (code, said)


def in_parallel(work, items):
    """Runs the work on every item, some at a time; the failures come back as text."""

    def one(item):
        try:
            return work(item), None
        except Exception as error:
            return None, "%s: %s: %s" % (item, type(error).__name__, str(error)[:700])

    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(one, items))


def held(failures):
    assert not failures, "%d do not hold; the first ones:\n%s" % (
        len(failures),
        "\n".join(failures[:12]),
    )


# ---- kills --------------------------------------------------------------------------------------------------------


def test_kill_9_takes_back_doubles_and_invents_nothing(d):
    cycles, directories = (
        int(os.environ.get("CYCLES", "40")),
        int(os.environ.get("DIRECTORIES", "2")),
    )
    servers = Servers(100)

    def one_directory(k):
        chance, told, kills = random.Random(SEED * 1000 + k), Told(), Counter()
        os.makedirs(os.path.join(d, str(k)))
        prober = Prober(os.path.join(d, str(k)), servers.config()).begin().must_be_ready()
        for cycle in range(cycles):
            if cycle % 4 == 3:
                time.sleep(chance.uniform(0, 0.4))
                kills["during the start"] += 1
            else:
                prober.must_be_ready()
                time.sleep(chance.uniform(0.1, 2.5))
                told.look(prober)
                time.sleep(chance.choice((0, chance.uniform(0, 0.05))))
                kills["under way"] += 1
            prober.kill()
            if cycle % 2:
                code, said = command("history", "verify", "--state-dir", prober.state)
                assert code == 0 or (cycle < 4 and code in (3, 73)), (cycle, code, said)
            prober.begin()
            if cycle % 4 != 2:
                prober.must_be_ready()
                told.look(prober)
        prober.must_be_ready()
        time.sleep(1.5)
        told.look(prober)
        assert told.unanswered == 0, "%d questions were not answered" % told.unanswered
        sums_are_whole(prober)
        code = prober.end()
        assert code == 0, code
        outages = prober.all_outages()
        told.hear_all_outages(outages)
        unanswered = outages_are_true(outages, servers)
        is_whole(prober.state)
        return kills + Counter(
            {"outages": len(outages), "looks": told.looks, "unanswered": unanswered}
        )

    results = in_parallel(one_directory, range(directories))
    held([why for _, why in results if why])
    total = sum((r for r, _ in results), Counter())
    return (
        "%d directories with 100 flapping endpoints: %d kills under way, %d during a start; %d outages (%d while the servers themselves stood still), %d looks: nothing lost, doubled, invented or taken back"
        % (
            directories,
            total["under way"],
            total["during the start"],
            total["outages"],
            total["unanswered"],
            total["looks"],
        )
    )


# ---- a disk that fails --------------------------------------------------------------------------------------------

FUNCTIONS = ("open", "write", "pwrite", "writev", "fsync", "ftruncate", "rename", "unlink")
ERRORS = {"ENOSPC": 28, "EIO": 5}
FAULT_RUN = 3.0


def shim(d):
    path = os.path.join(d, "faults.so")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O2", "-o", path, os.path.join(HERE, "faults.c"), "-ldl"],
        check=True,
    )
    return path


def used_state(d, servers):
    """A state directory as a kill leaves it, and what was told of it."""
    os.makedirs(os.path.join(d, "used"))
    prober, told = Prober(os.path.join(d, "used"), servers.config()).begin().must_be_ready(), Told()
    time.sleep(2.5)
    assert prober.end() == 0
    prober.begin().must_be_ready()
    time.sleep(2.5)
    told.look(prober)
    prober.kill()
    return prober.state, told


class FaultRun:
    """One run with one fault, and one after it without."""

    def __init__(self, d, library, servers, used):
        self.d, self.library, self.servers, self.used = d, library, servers, used

    def __call__(self, case):
        function, n, error, lasts, is_used, is_killed = case
        directory = tempfile.mkdtemp(dir=self.d)
        prober, told = Prober(directory, self.servers.config()), Told()
        if is_used:
            shutil.copytree(
                self.used[0], prober.state, ignore=shutil.ignore_patterns("control.sock")
            )
            told.figures, told.outages = dict(self.used[1].figures), dict(self.used[1].outages)
        counts = os.path.join(directory, "counts")
        fault = "%s %d %d %s" % (function, n, ERRORS[error], lasts) if n else ""
        refusal = self.run_with(
            prober,
            told,
            {
                "LD_PRELOAD": self.library,
                "FAULT": fault,
                "FAULT_DIRECTORY": prober.state,
                "FAULT_COUNTS": counts,
            },
            is_killed,
        )
        with open(counts, "rb") as f:
            calls = struct.unpack("%dQ" % (len(FUNCTIONS) + 1), f.read())
        # The fault is gone: everything told is there.
        prober.begin().must_be_ready()
        told.look(prober)
        time.sleep(0.7)
        told.look(prober)
        assert told.unanswered == 0 or calls[-1], "%d questions were not answered" % told.unanswered
        outages_are_true(prober.outages(), self.servers)
        sums_are_whole(prober)
        assert prober.end() == 0, "exit code without a fault"
        is_whole(prober.state)
        shutil.rmtree(directory)
        return refusal, calls

    def run_with(self, prober, told, env, is_killed):
        """What it said when it refused to start, or nothing when it went on."""
        prober.begin(env)
        began = time.monotonic()
        while time.monotonic() < began + FAULT_RUN:
            if prober.p.poll() is not None:
                words = prober.last_words()
                assert prober.p.returncode == 73 and words.splitlines()[-1].startswith(
                    "probity: the "
                ), "it ended with %d: %s" % (prober.p.returncode, words)
                return words.splitlines()[-1].replace(prober.state, "DIRECTORY")
            told.look(prober)
            time.sleep(0.2)
        if env["FAULT"].endswith("once"):
            until(prober.is_ready, 5, "readiness after one fault")
            told.look(prober)
        if is_killed:
            prober.kill()
        else:
            code = prober.end()
            assert code == 0, "it ended with %d on SIGTERM: %s" % (code, prober.last_words())
        with open(prober.log) as f:
            text = f.read()
        assert "panicked" not in text, text
        return None


def numbers(count, most):
    """From 1 to count: all, or the first ones and then with growing steps, no more than about `most`."""
    if count <= most:
        return list(range(1, count + 1))
    close = most // 2
    steps = {
        int(close * (count / close) ** (k / (most - close))) for k in range(1, most - close + 1)
    }
    return sorted(set(range(1, close + 1)) | steps | {count})


def test_a_failing_disk_stops_the_record_and_never_bends_it(d):
    servers = Servers(3, up=(0.4, 1.5), down=(0.4, 1.5))
    used = used_state(d, servers)
    run = FaultRun(d, shim(d), servers, used)
    thorough = os.environ.get("FAULTS") == "all"
    # How often each function is called: in a first run and in one on a used directory, ended by a kill and by a signal.
    calls = {}
    for is_used in (False, True):
        for is_killed in (False, True):
            calls[is_used, is_killed] = run(("open", 0, "EIO", "once", is_used, is_killed))[1]
    cases, plan = [], []
    for k, function in enumerate(FUNCTIONS):
        count = max(c[k] for c in calls.values())
        list_ = numbers(count, 400 if thorough else 26)
        plan.append("%s %d of %d" % (function, len(list_), count))
        for n in list_:
            kinds = [
                (error, lasts, is_used)
                for error in ERRORS
                for lasts in ("once", "on")
                for is_used in (False, True)
            ]
            if function == "pwrite":
                kinds += [("ENOSPC", "torn", is_used) for is_used in (False, True)]
            for error, lasts, is_used in (
                kinds if thorough else {kinds[(3 * n + k + 3 * j) % len(kinds)] for j in range(3)}
            ):
                # A call that only an orderly end makes needs one.
                is_killed = n <= calls[is_used, True][k] and (n + (lasts == "on")) % 2 == 0
                if n <= calls[is_used, is_killed][k]:
                    cases.append((function, n, error, lasts, is_used, is_killed))
    results = in_parallel(run, cases)
    by_function, refusals, failures = {f: Counter() for f in FUNCTIONS}, Counter(), []
    for case, (result, why) in zip(cases, results):
        if why:
            failures.append(why)
            by_function[case[0]]["does not hold"] += 1
        else:
            ended = "refused to start" if result[0] else "went on"
            by_function[case[0]][ended if result[1][-1] else "was not reached"] += 1
            refusals.update([result[0]] if result[0] else [])
    print("      calls tried: " + ", ".join(plan))
    for f in FUNCTIONS:
        print(
            "      %-10s %s"
            % (
                f,
                ", ".join("%d %s" % (n, what) for what, n in sorted(by_function[f].items()))
                or "never called",
            )
        )
    for words, n in refusals.most_common():
        print("      %4d x %s" % (n, words))
    held(failures)
    return "%d runs with a fault: every start after it had all that was told, whole and true" % len(
        cases
    )


# ---- power that fails ---------------------------------------------------------------------------------------------

WRITTEN, SYNCED, CUT, REMOVED = 1, 2, 3, 4


class Disk:
    """Files as they may lie on a disk when the power goes: what was synced is there, what came after it perhaps, by sectors."""

    SECTOR = 512

    def __init__(self, state):
        self.files, self.waiting = {}, {}
        for name in os.listdir(state) if os.path.isdir(state) else ():
            with open(os.path.join(state, name), "rb") as f:
                self.files[name] = bytearray(f.read())

    def play(self, journal):
        """Takes the shim's journal; the last entry may be cut off by the kill."""
        at, syncs = 0, 0
        while at + 24 <= len(journal):
            kind, path, offset, length = struct.unpack_from("<IIQQ", journal, at)
            at += 24 + path + length
            if at > len(journal):
                break
            name = os.path.basename(journal[at - length - path : at - length].decode())
            if kind in (WRITTEN, CUT):
                self.waiting.setdefault(name, []).append((kind, offset, journal[at - length : at]))
            elif kind == REMOVED:
                self.files.pop(name, None), self.waiting.pop(name, None)
            else:
                syncs += 1
                for change in self.waiting.pop(name, ()):
                    self.apply(name, *change)
        return syncs

    def apply(self, name, kind, offset, content):
        f = self.files.setdefault(name, bytearray())
        if kind == CUT:
            del f[offset:]
            f.extend(bytes(offset - len(f)))
        else:
            f.extend(bytes(max(0, offset + len(content) - len(f))))
            f[offset : offset + len(content)] = content

    def lose_power(self, state, chance):
        """Writes the files to an empty directory; how many changes were lost, at least in part."""
        share, lost = chance.choice((0, 0.3, 0.7, 0.95)), 0
        for name, changes in self.waiting.items():
            for kind, offset, content in changes:
                if kind == CUT:
                    if chance.random() < share:
                        self.apply(name, kind, offset, content)
                    continue
                sectors = range(0, len(content), self.SECTOR)
                there = [k for k in sectors if chance.random() < share]
                lost += len(there) < len(sectors)
                for k in there:
                    self.apply(name, kind, offset + k, content[k : k + self.SECTOR])
        shutil.rmtree(state, ignore_errors=True)
        os.makedirs(state, 0o700)
        for name, content in self.files.items():
            # The index of the log is no file to the daemon but shared memory.
            if not name.endswith("-shm"):
                with open(os.path.join(state, name), "wb") as f:
                    f.write(content)
        return lost


def test_a_disk_that_is_read_only_for_a_while_stops_the_figures_and_loses_nothing(d):
    """It goes on, says so, and catches up with the original times; killed meanwhile, what was not recorded is unknown."""
    servers, library = Servers(3, up=(0.4, 1.5), down=(0.4, 1.5)), shim(d)
    held_up = []
    for ending in ("mended", "killed"):
        directory = os.path.join(d, ending)
        os.makedirs(directory)
        prober, told, mark = (
            Prober(directory, servers.config()),
            Told(),
            os.path.join(directory, "read-only"),
        )
        prober.begin(
            {"LD_PRELOAD": library, "FAULT_DIRECTORY": prober.state, "FAULT_READ_ONLY": mark}
        ).must_be_ready()
        time.sleep(2)
        told.look(prober)
        open(mark, "w").close()
        until(
            lambda: get(prober.url("/metrics")).count("probity_history_writable 0") == 1,
            what="the read-only disk being noticed",
        )
        told.look(prober)
        settled, began = prober.figures(), time.time()
        live = set()
        while time.time() < began + 4:
            live.update(e["state"] for e in prober.json("/api/v1/endpoints")["endpoints"])
            time.sleep(0.05)
        assert prober.figures() == settled, "settled figures moved"
        assert live >= {"up", "down"}, "the live plane stood still: %s" % live
        assert not prober.json("/api/v1/endpoints")["recorded"] and prober.readiness().startswith(
            "Not ready"
        ), prober.readiness()
        assert "is not writable" in open(prober.log).read(), prober.last_words()
        if ending == "killed":
            prober.kill()
            os.remove(mark)
            prober.begin().must_be_ready()
        else:
            os.remove(mark)
            until(prober.is_ready, what="readiness after the disk takes writes again")
        ended = time.time()
        time.sleep(2.5)
        told.look(prober)
        outages = prober.outages()
        outages_are_true(outages, servers)
        within = [o for o in outages if began < instant(o["from"]) < ended - 1]
        unknown = sum(v for k, v in prober.figures().items() if 'state="unknown"' in k) - sum(
            v for k, v in settled.items() if 'state="unknown"' in k
        )
        if ending == "killed":
            assert not within and unknown > 3 * 3, (
                "what nobody recorded is neither up nor down: %s, unknown %s" % (within, unknown)
            )
        else:
            assert len(within) >= 3 and unknown < 3, (
                "what happened meanwhile is recorded with its times: %s, unknown %s"
                % (within, unknown)
            )
        assert prober.end() == 0
        is_whole(prober.state)
        held_up.append("%s: %d outages meanwhile, %.1f s unknown" % (ending, len(within), unknown))
    return "; ".join(held_up)


def test_a_loss_of_power_takes_nothing_back_that_was_told(d):
    runs, library = int(os.environ.get("POWER", "24")), shim(d)
    servers = Servers(5, up=(0.4, 1.5), down=(0.4, 1.5))

    def one(run):
        chance, told, sums = random.Random(SEED * 1000 + run), Told(), Counter()
        directory = os.path.join(d, str(run))
        os.makedirs(directory)
        prober, journal = Prober(directory, servers.config()), os.path.join(directory, "journal")
        for _ in range(4):
            disk = Disk(prober.state)
            prober.begin(
                {"LD_PRELOAD": library, "FAULT_DIRECTORY": prober.state, "FAULT_JOURNAL": journal}
            )
            end = time.monotonic() + chance.choice((chance.uniform(0, 0.3), chance.uniform(0.5, 3)))
            while time.monotonic() < end:
                assert prober.p.poll() is None, prober.last_words()
                told.look(prober)
                time.sleep(0.05)
            if chance.random() < 0.4:
                # Under way to an orderly end, where the log goes into the database.
                prober.p.terminate()
                time.sleep(chance.uniform(0, 0.15))
            prober.kill()
            if os.path.exists(journal):
                with open(journal, "rb") as f:
                    sums["syncs"] += disk.play(f.read())
                os.remove(journal)
                sums["writes lost"] += disk.lose_power(prober.state, chance)
                sums["losses of power"] += 1
        prober.begin().must_be_ready()
        told.look(prober)
        outages_are_true(prober.outages(), servers)
        sums_are_whole(prober)
        assert told.unanswered == 0 and prober.end() == 0
        is_whole(prober.state)
        sums["looks"] += told.looks
        return sums

    results = in_parallel(one, range(runs))
    held([why for _, why in results if why])
    return (
        ", ".join(
            "%d %s" % (n, what)
            for what, n in sorted(sum((r for r, _ in results), Counter()).items())
        )
        + ": nothing told was taken back"
    )


# ---- damaged files ------------------------------------------------------------------------------------------------


def commits(path):
    """Ends of the commits in a write-ahead log, as lengths of the file."""
    with open(path, "rb") as f:
        log = f.read()
    page, salts, at, ends = struct.unpack(">I", log[8:12])[0], log[16:24], 32, []
    while at + 24 + page <= len(log) and log[at + 8 : at + 16] == salts:
        is_commit = log[at + 4 : at + 8] != b"\0\0\0\0"
        at += 24 + page
        if is_commit:
            ends.append(at)
    return page, ends


REFUSED, TOOK_NOTHING, RAN = "refused", "ran, but not ready: the history is not writable", "ran"


class Damage:
    """A state directory, its states after each commit, and copies with faults."""

    def __init__(self, d, state, text):
        self.d, self.base, self.text = d, state, text
        self.page, self.ends = commits(os.path.join(self.base, "history.sqlite-wal"))
        now = int(time.time())
        stamp = lambda at: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
        self.period = ["--from", stamp(now - 3600), "--to", stamp(now + 3600)]
        self.whole = self.figures(self.copy())[1]
        self.earlier = {}
        for end in [0] + self.ends:
            code, figures = self.figures(
                self.copy(lambda files: files.cut("history.sqlite-wal", end))
            )
            assert code == "read", (end, code, figures)
            self.earlier[figures] = end
        assert self.whole in self.earlier

    def trees(self, harm):
        """The tables and indexes of the database that a block or bit belongs to, where SQLite can tell."""
        if harm.args[0] != "history.sqlite":
            return ""
        if not hasattr(self, "pages"):
            c = sqlite3.connect(os.path.join(self.copy(), "history.sqlite"))
            try:
                self.pages = dict(c.execute("SELECT pageno, name FROM dbstat"))
            except sqlite3.Error:
                self.pages = {}
            c.close()
        places = {"flip": [harm.args[1] // 8], "swap": harm.args[1:3], "zero": harm.args[1:2]}.get(
            harm.how, ()
        )
        return " and ".join(self.pages.get(at // self.page + 1, "?") for at in places)

    def index_roots(self):
        c = sqlite3.connect(os.path.join(self.copy(), "history.sqlite"))
        roots = [r for (r,) in c.execute("SELECT rootpage FROM sqlite_master WHERE type = 'index'")]
        c.close()
        return roots

    def copy(self, harm=None):
        state = os.path.join(tempfile.mkdtemp(dir=self.d), "state")
        shutil.copytree(self.base, state, ignore=shutil.ignore_patterns("control.sock"))
        if harm:
            harm(Files(state))
        return state

    def figures(self, state):
        """ "read" and all that the reading commands say, or what was seen to be wrong and by which command."""
        place, said = ["--state-dir", state], []
        for argv in (
            ["history", "verify"],
            ["history", "list", "--json", "--limit", "10000"],
            ["history", "list", "--transitions", "--json", "--limit", "10000"],
            ["export", "timeline"] + self.period,
        ):
            code, text = command(*argv, *place)
            if code != 0:
                allowed = (1, 3, 73) if argv[1] == "verify" else (73,)
                assert code in allowed, "%s: exit code %d" % (argv, code)
                return "seen by %s" % argv[1], "exit code %d: %s" % (code, text.strip())
            said.append(text)
        return "read", "\n".join(said)

    def __call__(self, case):
        kind, harm, is_begun = case
        state = self.copy(harm)
        code, figures = self.figures(state)
        if code != "read":
            found = code
        elif figures == self.whole:
            found = "harmless"
        elif figures in self.earlier:
            found = "as of an earlier commit"
        else:
            found = "WRONG"
        start, is_seen = None, found.startswith("seen")
        if is_begun or found == "WRONG":
            start = self.start(state, not is_seen and found != "WRONG")
            if not is_seen and start != RAN:
                found = "seen by run"
        if found == "WRONG":
            found = self.wrong(figures)
        shutil.rmtree(os.path.dirname(state))
        return kind, found, start

    def wrong(self, figures):
        """How the figures differ from those of the nearest state that was written."""
        names = ("verify", "outages", "transitions", "timeline")
        near = min(
            self.earlier,
            key=lambda e: sum(a != b for a, b in zip(e.split("\n"), figures.split("\n"))),
        )
        parts = [
            n
            for n, a, b in zip(
                names, [x for x in near.split("\n") if x], [x for x in figures.split("\n") if x]
            )
            if a != b
        ]
        return "WRONG figures, said to be whole: " + " and ".join(parts)

    def start(self, state, is_sound):
        """How a start went. A daemon that runs must go on, and on a sound record with the figures that the record has."""
        directory = os.path.dirname(state)
        record = (
            json.loads(command("export", "timeline", "--state-dir", state, *self.period)[1])
            if is_sound
            else None
        )
        prober = Prober(directory, self.text).begin()
        try:
            code = prober.ready(8)
        except AssertionError:
            assert "the history is not writable" in prober.readiness(), prober.readiness()
            assert prober.end() == 0
            return TOOK_NOTHING
        if code is not None:
            assert code == 73, "exit code %d: %s" % (code, prober.last_words())
            return REFUSED
        if is_sound:
            figures = prober.figures()
            for c in record["components"]:
                for state_name in ("up", "down"):
                    value = figures[
                        'probity_endpoint_state_seconds_total{endpoint="%s",state="%s"}'
                        % (c["name"], state_name)
                    ]
                    # The reader cuts at the earliest watermark; a first success may settle the time up to it.
                    assert -0.01 <= value - c[state_name + "_ms"] / 1000 < 2.5, (
                        c["name"],
                        state_name,
                        value,
                        c,
                    )
            sums_are_whole(prober)
        time.sleep(0.2)
        assert prober.p.poll() is None, "it ended by itself: %s" % prober.last_words()
        assert prober.end() == 0
        with open(prober.log) as f:
            assert "panicked" not in f.read()
        if is_sound:
            is_whole(state)
        return RAN


class Files:
    """Harms one file of a state directory."""

    def __init__(self, state):
        self.state = state

    def change(self, name, work):
        path = os.path.join(self.state, name)
        with open(path, "rb") as f:
            content = bytearray(f.read())
        content = work(content)
        with open(path, "wb") as f:
            f.write(content)

    def cut(self, name, length):
        self.change(name, lambda c: c[:length])

    def flip(self, name, bit):
        def work(c):
            c[bit // 8] ^= 1 << bit % 8
            return c

        self.change(name, work)

    def zero(self, name, at, length):
        self.change(name, lambda c: c[:at] + bytes(len(c[at : at + length])) + c[at + length :])

    def swap(self, name, a, b, length):
        def work(c):
            c[a : a + length], c[b : b + length] = c[b : b + length], c[a : a + length]
            return c

        self.change(name, work)

    def alter(self, statement):
        c = sqlite3.connect(os.path.join(self.state, "history.sqlite"))
        c.execute(statement)
        c.commit()
        c.close()


# What damage inside a row of each table comes to.
ALTERATIONS = (
    "UPDATE outage SET from_at = from_at + 1",
    "UPDATE outage SET to_earliest = to_earliest - 10 WHERE closed IS NOT NULL",
    "UPDATE outage SET to_latest = to_latest + 10 WHERE closed IS NOT NULL",
    "UPDATE outage SET cause = 'timeout'",
    "UPDATE outage SET confirmed_at = confirmed_at + 1",
    "UPDATE outage SET endpoint = endpoint % 5 + 1",
    "DELETE FROM outage WHERE opened = (SELECT min(opened) FROM outage)",
    "UPDATE unknown SET to_at = to_at - 10",
    "DELETE FROM unknown",
    "UPDATE doubtful SET to_at = to_at + 100",
    "DELETE FROM doubtful",
    "DELETE FROM proven",
    "UPDATE clock SET offset_ms = offset_ms + 5000",
    "UPDATE endpoint SET name = 'x' || name",
    "UPDATE endpoint SET component = 'x'",
    "UPDATE endpoint SET in_service = 0 WHERE id = 1",
    "UPDATE event SET kind = 'up', at = at + 1",
    "UPDATE event SET body = replace(body, '1', '2')",
    "DELETE FROM event WHERE seq = 5",
    "UPDATE mark SET timeline_ms = timeline_ms + 60000",
    "UPDATE mark SET boot_ns = boot_ns - 60000000000",
    "DELETE FROM mark WHERE id = (SELECT max(id) FROM mark)",
    "DELETE FROM state WHERE endpoint = 1",
    "UPDATE state SET mark = mark + 1",
    "UPDATE state SET judge = (SELECT judge FROM state WHERE endpoint = 2) WHERE endpoint = 1",
    "UPDATE tally SET body = replace(CAST(body AS TEXT), '1', '2')",
)


class Harm:
    """A named fault, so that a report can say how to make it again."""

    def __init__(self, how, *args):
        self.how, self.args = how, args

    def __call__(self, files):
        getattr(files, self.how)(*self.args)

    def __repr__(self):
        return "%s%r" % (self.how, self.args)


def harms(damage, name, chance, flips):
    """(kind, harm) of every case for one file."""
    size = os.path.getsize(os.path.join(damage.base, name))
    if name.endswith("-shm"):
        return [
            ("index bit flipped", Harm("flip", name, chance.randrange(size * 8))) for _ in range(10)
        ] + [("index cut", Harm("cut", name, chance.randrange(size))) for _ in range(5)]
    is_log = name.endswith("-wal")
    what, first, step = ("log", 32, 24 + damage.page) if is_log else ("database", 0, damage.page)
    blocks = list(range(first, size, step))
    cuts = {e + k for e in [0] + blocks for k in (-1, 0, 1) if 0 <= e + k < size} | {
        chance.randrange(size) for _ in range(20)
    }
    swaps = [chance.sample(blocks, 2) for _ in range(max(10, flips // 5))]
    if not is_log:
        # Trees of the same form are what a swap may hide behind.
        swaps += itertools.combinations(
            [(root - 1) * damage.page for root in damage.index_roots()], 2
        )
    return (
        [(what + " cut", Harm("cut", name, c)) for c in sorted(cuts)]
        + [(what + " block zeroed", Harm("zero", name, b, step)) for b in blocks]
        + [(what + " blocks swapped", Harm("swap", name, *two, step)) for two in swaps]
        + [
            (what + " bit flipped", Harm("flip", name, chance.randrange(size * 8)))
            for _ in range(flips // 2)
        ]
    )


def origins(d, servers):
    """Two directories as a kill leaves them: one with the record in the log, one with nearly all of it in the database."""
    os.makedirs(os.path.join(d, "origin"))
    prober = Prober(os.path.join(d, "origin"), servers.config()).begin().must_be_ready()
    time.sleep(6)
    assert prober.end() == 0
    kept = {}
    for origin, seconds in (("log", 6), ("database", 0.3)):
        prober.begin().must_be_ready()
        time.sleep(seconds)
        prober.kill()
        kept[origin] = shutil.copytree(
            prober.state,
            os.path.join(d, "origin-" + origin),
            ignore=shutil.ignore_patterns("control.sock"),
        )
        # An orderly end moves the log into the database.
        prober.begin().must_be_ready()
        assert prober.end() == 0
    servers.rest()
    return kept


def every_one_is_seen_or_harmless(cases):
    """Cases of (damage, kind, harm); prints what became of them by kind."""

    def one(case):
        damage, kind, harm = case
        # A start takes long: on every damaged database, and on some damaged logs.
        return damage(
            (kind, harm, kind.startswith("database") or zlib.crc32(repr(harm).encode()) % 5 == 0)
        )

    table, failures, starts, wrong = {}, [], Counter(), {}
    for (damage, kind, harm), (result, why) in zip(cases, in_parallel(one, cases)):
        found = "does not hold" if why else result[1]
        table.setdefault(kind, Counter())[found] += 1
        if why:
            failures.append("%s, %s: %s" % (kind, harm, why.split(": ", 1)[1]))
        elif found.startswith("WRONG"):
            wrong.setdefault((kind, found), []).append("%s %s" % (harm, damage.trees(harm)))
        if result and result[2]:
            starts[result[2], "seen" if found.startswith("seen") else found.split(" ")[0]] += 1
    for kind, outcomes in table.items():
        print(
            "      %-24s %s"
            % (kind, ", ".join("%d %s" % (n, what) for what, n in sorted(outcomes.items())))
        )
    print(
        "      starts: "
        + "; ".join("%d %s (%s)" % (n, what, found) for (what, found), n in sorted(starts.items()))
    )
    held(
        [
            "%s: %s: %d times: %s" % (kind, found, len(list_), list_[:12])
            for (kind, found), list_ in wrong.items()
        ]
        + failures
    )
    return "%d damaged copies: each was seen, or its figures are those of a commit" % len(cases)


def test_damage_is_seen_or_does_no_harm(d):
    flips, chance = int(os.environ.get("FLIPS", "200")), random.Random(SEED)
    servers = Servers(5, up=(0.3, 1.2), down=(0.3, 1.2))
    cases = []
    for origin, state in origins(d, servers).items():
        damage = Damage(d, state, servers.config())
        print(
            "      with the record in the %s: %d commits in the log, each a state that was read"
            % (origin, len(damage.ends))
        )
        for name in (
            ("history.sqlite-wal", "history.sqlite-shm") if origin == "log" else ("history.sqlite",)
        ):
            cases += [(damage, kind, harm) for kind, harm in harms(damage, name, chance, flips)]
    return every_one_is_seen_or_harmless(cases)


def test_an_altered_row_is_seen_or_changes_no_figure(d):
    servers = Servers(5, up=(0.3, 1.2), down=(0.3, 1.2))
    damage = Damage(d, origins(d, servers)["database"], servers.config())
    return every_one_is_seen_or_harmless(
        [(damage, "database row altered", Harm("alter", a)) for a in ALTERATIONS]
    )


# ---- a million events ---------------------------------------------------------------------------------------------


class Chain:
    """Appends events as the writer does, with what they mean for the reading tables."""

    def __init__(self, path):
        self.c = sqlite3.connect(path, isolation_level=None)
        self.c.execute("PRAGMA journal_mode = WAL")
        self.c.execute("PRAGMA synchronous = OFF")
        self.seq, self.head = self.c.execute(
            "SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1"
        ).fetchone()

    def put(self, endpoint, kind, at, **body):
        number, name = endpoint
        self.seq += 1
        body.update(v=1, seq=self.seq, kind=kind, at_ms=at, recorded=utc(at), endpoint=name)
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        self.head = hashlib.sha256(self.head + text.encode()).digest()
        self.c.execute(
            "INSERT INTO event (seq, hash, body, endpoint, kind, at) VALUES (?, ?, ?, ?, ?, ?)",
            (self.seq, self.head, text, number, kind, at),
        )
        return self.seq

    def outage(self, endpoint, at):
        """An unconfirmed failure, an outage and its end, and unknown time: five events of ten seconds."""
        n = endpoint[0]
        self.put(
            endpoint, "unconfirmed", at + 500, **{"from": utc(at), "from_ms": at, "to_ms": at + 500}
        )
        self.c.execute(
            "INSERT INTO doubtful (endpoint, from_at, to_at) VALUES (?, ?, ?)", (n, at, at + 500)
        )
        began, confirmed, ended = at + 1250, at + 1600, at + 4250
        opened = self.put(
            endpoint,
            "down",
            confirmed,
            **{
                "from": utc(began),
                "from_ms": began,
                "from_earliest_ms": at + 1000,
                "from_latest_ms": at + 1500,
                "confirmed_at_ms": confirmed,
                "cause": "status",
            },
        )
        closed = self.put(
            endpoint,
            "up",
            at + 4500,
            from_ms=began,
            to=utc(ended),
            to_ms=ended,
            to_earliest_ms=at + 4000,
            to_latest_ms=at + 4500,
            lower_ms=2500,
            down_ms=3000,
        )
        self.c.execute(
            "INSERT INTO outage (opened, closed, endpoint, cause, confirmed_at, from_at, from_earliest, from_latest, to_at, to_earliest, to_latest) VALUES (?, ?, ?, 'status', ?, ?, ?, ?, ?, ?, ?)",
            (
                opened,
                closed,
                n,
                confirmed,
                began,
                at + 1000,
                at + 1500,
                ended,
                at + 4000,
                at + 4500,
            ),
        )
        self.put(endpoint, "unknown", at + 6000, **{"from": utc(at + 6000), "from_ms": at + 6000})
        known = self.put(
            endpoint,
            "known",
            at + 7000,
            **{
                "from": utc(at + 6000),
                "from_ms": at + 6000,
                "to": utc(at + 7000),
                "to_ms": at + 7000,
                "reason": "starved",
            },
        )
        self.c.execute(
            "INSERT INTO unknown (seq, endpoint, from_at, to_at, reason) VALUES (?, ?, ?, ?, 'starved')",
            (known, n, at + 6000, at + 7000),
        )


def utc(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + ".%03dZ" % (ms % 1000)


def test_a_million_events_are_ready_within_a_second(d):
    """From exec to ready, and the time of a verification. The record's own outages lie before the first start."""
    wanted = int(os.environ.get("EVENTS", "1000000"))
    servers = Servers(100)
    prober = Prober(d, servers.config()).begin().must_be_ready()
    time.sleep(3)
    # No outage is open where the chain goes on.
    servers.rest()
    time.sleep(2)
    assert prober.end() == 0
    path = os.path.join(prober.state, "history.sqlite")
    chain = Chain(path)
    endpoints = chain.c.execute("SELECT id, name FROM endpoint").fetchall()
    first = chain.c.execute("SELECT min(at) FROM event").fetchone()[0]
    at = first - 10_000 * (wanted // 5 // len(endpoints) + 2)
    chain.c.execute("BEGIN")
    while chain.seq < wanted:
        for e in endpoints:
            chain.outage(e, at)
        at += 10_000
    # The last mark is sealed with the last event that was committed with it.
    mark = chain.c.execute(
        "SELECT id, boot_id, boot_ns, timeline_ms, utc_ms, inputs FROM mark ORDER BY id DESC LIMIT 1"
    ).fetchone()
    inputs, place = mark[5][:-8], "mark %d %s %d %d %d %d" % (*mark[:5], chain.seq)
    seal = hashlib.sha256(place.encode() + bytes(1) + inputs).digest()[:8]
    chain.c.execute(
        "UPDATE mark SET events = ?, inputs = ? WHERE id = ?", (chain.seq, inputs + seal, mark[0])
    )
    chain.c.execute("COMMIT")
    chain.c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    chain.c.close()
    times = {"stop": [], "kill": []}
    for how in times:
        for _ in range(5):
            began = time.monotonic()
            prober.begin().must_be_ready()
            times[how].append(time.monotonic() - began)
            time.sleep(0.5)
            if how == "stop":
                assert prober.end() == 0
            else:
                prober.kill()
    prober.begin().must_be_ready()
    answers = {}
    for page in ("/api/v1/outages", "/api/v1/timeline", "/", "/metrics"):
        began = time.monotonic()
        with urllib.request.urlopen(prober.url(page), timeout=300) as answer:
            answer.read()
        answers[page] = time.monotonic() - began
    assert prober.end() == 0
    print("      answered: " + ", ".join("%s in %.2f s" % a for a in answers.items()))
    began = time.monotonic()
    is_whole(prober.state)
    verified = time.monotonic() - began
    median = {how: sorted(list_)[2] for how, list_ in times.items()}
    assert max(median.values()) < 1, times
    return (
        "%d events, %d MiB: ready within %.2f s after a stop, %.2f s after a kill (medians of 5); verified in %.1f s"
        % (chain.seq, os.path.getsize(path) >> 20, median["stop"], median["kill"], verified)
    )


# ---- runner -------------------------------------------------------------------------------------------------------


def main():
    wanted = sys.argv[1:]
    tests = [
        (n, f)
        for n, f in globals().items()
        if n.startswith("test_") and (not wanted or any(w in n for w in wanted))
    ]
    failed = 0
    for name, test in tests:
        directory, began = tempfile.mkdtemp(prefix="probity-crash-"), time.monotonic()
        try:
            said = test(directory)
            print(
                "ok    %-65s %6.1f s\n      %s" % (name[5:], time.monotonic() - began, said),
                flush=True,
            )
        except Exception:
            failed += 1
            print("FAIL  %s\n%s" % (name[5:], traceback.format_exc()), flush=True)
        for p in STARTED:
            if p.poll() is None:
                p.send_signal(signal.SIGKILL)
                p.wait()
        STARTED.clear()
        shutil.rmtree(directory, ignore_errors=True)
    print("%d passed, %d failed" % (len(tests) - failed, failed))
    sys.exit(1 if failed or not tests else 0)


if __name__ == "__main__":
    main()
