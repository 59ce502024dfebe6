#!/usr/bin/env python3
"""Crash-safety suite: kills, failing disks, damaged files and a long history, with the real binary
on loopback.

Usage: tests/system/crash.py [NAME ...]; without names, every test. PROBITY names the binary, else
the release one. CYCLES, DIRECTORIES (kills), FAULTS=all, FLIPS, SEED and EVENTS make it longer or
shorter. Needs Python and cc."""

import os
import random
import shutil
import struct
import sys
import tempfile
import time
from collections import Counter

import damage
from flapping import (
    SEED,
    SLACK,
    Prober,
    Servers,
    Told,
    command,
    held,
    in_parallel,
    outages_are_true,
    sum_of,
    sums_are_whole,
)
from harness import get, instant, is_whole, read, run_tests, shim, until, utc, write

# ---- kills --------------------------------------------------------------------------------------


def test_kill_9_takes_back_doubles_and_invents_nothing(d):
    cycles = int(os.environ.get("CYCLES", "40"))
    directories = int(os.environ.get("DIRECTORIES", "2"))
    servers = Servers(100)

    def one_directory(k):
        chance, told, sums = random.Random(SEED * 1000 + k), Told(), Counter[str]()
        os.makedirs(os.path.join(d, str(k)))
        prober = Prober(os.path.join(d, str(k)), servers.config()).begin().must_be_ready()
        for cycle in range(cycles):
            if cycle % 4 == 3:
                time.sleep(chance.uniform(0, 0.4))
                sums["during the start"] += 1
            else:
                prober.must_be_ready()
                time.sleep(chance.uniform(0.1, 2.5))
                told.look(prober)
                time.sleep(chance.choice((0, chance.uniform(0, 0.05))))
                sums["under way"] += 1
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
        sums.update(outages=len(outages), looks=told.looks, unanswered=unanswered)
        return sums

    total = sum_of(in_parallel(one_directory, range(directories)))
    return (
        "%d directories with 100 flapping endpoints: %d kills under way, %d during a start; "
        "%d outages (%d while the servers themselves stood still), %d looks: "
        "nothing lost, doubled, invented or taken back"
        % (
            directories,
            total["under way"],
            total["during the start"],
            total["outages"],
            total["unanswered"],
            total["looks"],
        )
    )


# ---- a disk that fails --------------------------------------------------------------------------

FUNCTIONS = ("open", "write", "pwrite", "writev", "fsync", "ftruncate", "rename", "unlink")
ERRORS = {"ENOSPC": 28, "EIO": 5}
FAULT_RUN = 3.0


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


def calls_in(counts):
    """How often each function was called so far, and last how often one failed."""
    with open(counts, "rb") as f:
        return struct.unpack("%dQ" % (len(FUNCTIONS) + 1), f.read())


def syncs_in(counts):
    return calls_in(counts)[FUNCTIONS.index("fsync")]


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
        calls = calls_in(counts)
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
        text = read(prober.log)
        assert "panicked" not in text, text
        return None


def numbers(count, most):
    """From 1 to count: all, or the first ones and then with growing steps, no more than about
    `most`."""
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
    run = FaultRun(d, shim(d, "faults"), servers, used)
    thorough = os.environ.get("FAULTS") == "all"
    # How often each function is called: in a first run and in one on a used directory, ended by a
    # kill and by a signal.
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
    by_function: dict[str, Counter[str]] = {f: Counter() for f in FUNCTIONS}
    refusals: Counter[str] = Counter()
    failures = []
    for case, (result, why) in zip(cases, results, strict=True):
        if result is None:
            failures.append(why)
            by_function[case[0]]["does not hold"] += 1
        else:
            ended = "refused to start" if result[0] else "went on"
            by_function[case[0]][ended if result[1][-1] else "was not reached"] += 1
            refusals.update([result[0]] if result[0] else [])
    print("      calls tried: " + ", ".join(plan))
    for f in FUNCTIONS:
        counts = ", ".join("%d %s" % (n, what) for what, n in sorted(by_function[f].items()))
        print("      %-10s %s" % (f, counts or "never called"))
    for words, n in refusals.most_common():
        print("      %4d x %s" % (n, words))
    held(failures)
    said = "%d runs with a fault: every start after it had all that was told, whole and true"
    return said % len(cases)


# ---- power that fails ---------------------------------------------------------------------------

WRITTEN, SYNCED, CUT, REMOVED = 1, 2, 3, 4


class Disk:
    """Files as they may lie on a disk when the power goes: what was synced is there, what came
    after it perhaps, by sectors."""

    SECTOR = 512

    def __init__(self, state):
        self.files: dict[str, bytearray] = {}
        self.waiting: dict[str, list[tuple[int, int, bytes]]] = {}
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
                self.files.pop(name, None)
                self.waiting.pop(name, None)
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
        for name, whole in self.files.items():
            # The index of the log is no file to the daemon but shared memory.
            if not name.endswith("-shm"):
                write(os.path.join(state, name), bytes(whole))
        return lost


def unknown_seconds(figures):
    return sum(v for k, v in figures.items() if 'state="unknown"' in k)


def test_a_disk_that_is_read_only_for_a_while_stops_the_figures_and_loses_nothing(d):
    """It goes on, says so, and catches up with the original times; killed meanwhile, what was not
    recorded is unknown."""
    servers, library = Servers(3, up=(0.4, 1.5), down=(0.4, 1.5)), shim(d, "faults")
    held_up = []
    for ending in ("mended", "killed"):
        directory = os.path.join(d, ending)
        os.makedirs(directory)
        prober, told = Prober(directory, servers.config()), Told()
        mark = os.path.join(directory, "read-only")
        prober.begin(
            {"LD_PRELOAD": library, "FAULT_DIRECTORY": prober.state, "FAULT_READ_ONLY": mark}
        ).must_be_ready()
        time.sleep(2)
        told.look(prober)
        write(mark, "")
        until(
            lambda: get(prober.url("/metrics")).count("probity_history_writable 0") == 1,
            what="the read-only disk being noticed",
        )
        told.look(prober)
        settled, began = prober.figures(), time.time()
        live: set[str] = set()
        while time.time() < began + 4:
            live.update(prober.states().values())
            time.sleep(0.05)
        assert prober.figures() == settled, "settled figures moved"
        assert live >= {"up", "down"}, "the live plane stood still: %s" % live
        assert not prober.json("/api/v1/endpoints")["recorded"]
        assert prober.readiness().startswith("Not ready"), prober.readiness()
        assert "is not writable" in read(prober.log), prober.last_words()
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
        unknown = unknown_seconds(prober.figures()) - unknown_seconds(settled)
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


# Longer than a daemon waits for its threads at an end that nobody asked for.
SLOW_S = 5.0


def test_a_slow_disk_at_a_normal_end_is_waited_for(d):
    """Each sync takes five seconds when SIGTERM comes. The daemon ends when everything is written:
    nothing that was told is lost, and no time before the signal is unknown."""
    servers, told = Servers(3, up=(0.4, 1.5), down=(0.4, 1.5)), Told()
    prober = Prober(d, servers.config())
    mark, counts = os.path.join(d, "slow"), os.path.join(d, "counts")
    slow = {"FAULT_SLOW": mark, "FAULT_SLOW_MS": "%d" % (1000 * SLOW_S)}
    where = {"LD_PRELOAD": shim(d, "faults"), "FAULT_DIRECTORY": prober.state}
    prober.begin({**where, **slow, "FAULT_COUNTS": counts}).must_be_ready()
    time.sleep(2.5)
    told.look(prober)
    before = syncs_in(counts)
    write(mark, "")
    until(lambda: syncs_in(counts) > before, what="a slow sync")
    # What happens meanwhile waits for the sync.
    began = time.time()
    time.sleep(1.5)
    servers.rest()
    told.look(prober)
    asked = time.time()
    code = prober.end(60)
    ended = time.time()
    assert code == 0, "it ended with %d: %s" % (code, prober.last_words())
    assert ended - asked > SLOW_S, "ended after %.1f s: no sync was waited for" % (ended - asked)
    os.remove(mark)
    prober.begin().must_be_ready()
    time.sleep(1.5)
    told.look(prober)
    outages = prober.outages()
    outages_are_true(outages, servers)
    within = [o for o in outages if began < instant(o["from"]) < asked]
    assert within, "no outage of while the disk was slow: %s" % outages
    sums_are_whole(prober)
    period = "from=%s&to=%s" % (utc(asked - 60), utc(ended + 60))
    for component in prober.json("/api/v1/timeline?" + period)["components"]:
        # A busy host may have been late with a probe: that is known of it, and recorded.
        [lost] = [u for u in component["unknown"] if u["reason"] == "not_running"]
        assert asked - SLACK < instant(lost["from"]) < asked + 1, (asked, component)
        assert ended < instant(lost["to"]), (ended, component)
    assert told.unanswered == 0, "%d questions were not answered" % told.unanswered
    assert prober.end() == 0
    is_whole(prober.state)
    syncs = syncs_in(counts) - before
    return "%d slow syncs, %d outages meanwhile, ended %.1f s after the signal" % (
        syncs,
        len(within),
        ended - asked,
    )


def test_a_loss_of_power_takes_nothing_back_that_was_told(d):
    runs, library = int(os.environ.get("POWER", "24")), shim(d, "faults")
    servers = Servers(5, up=(0.4, 1.5), down=(0.4, 1.5))

    def one(run):
        chance, told, sums = random.Random(SEED * 1000 + run), Told(), Counter[str]()
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
                code = prober.p.poll()
                assert code is None, "it ended with %d: %s" % (code, prober.last_words())
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
        assert told.unanswered == 0, "%d questions were not answered" % told.unanswered
        code = prober.end()
        assert code == 0, "it ended with %d: %s" % (code, prober.last_words())
        is_whole(prober.state)
        sums["looks"] += told.looks
        return sums

    total = sorted(sum_of(in_parallel(one, range(runs))).items())
    return ", ".join("%d %s" % (n, what) for what, n in total) + ": nothing told was taken back"


if __name__ == "__main__":
    run_tests([sys.modules[__name__], damage], "probity-crash-")
