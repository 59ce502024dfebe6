"""Damaged files and rows, and a long history: a part of the crash-safety suite (crash.py)."""

import hashlib
import itertools
import json
import os
import random
import shutil
import sqlite3
import struct
import tempfile
import time
import zlib
from collections import Counter

from flapping import SEED, Prober, Servers, command, held, in_parallel, sums_are_whole
from harness import fetch, is_whole, percentile, read, utc, utc_ms, write

# ---- damaged files ------------------------------------------------------------------------------


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
        self.period = ["--from", utc(now - 3600), "--to", utc(now + 3600)]
        self.pages: dict[int, str] | None = None
        self.whole = self.figures(self.copy())[1]
        self.earlier = {}
        for end in [0, *self.ends]:
            code, figures = self.figures(self.copy(Harm("cut", "history.sqlite-wal", end)))
            assert code == "read", (end, code, figures)
            self.earlier[figures] = end
        assert self.whole in self.earlier

    def trees(self, harm):
        """The tables and indexes of the database that a block or bit belongs to, where SQLite can
        tell."""
        if harm.args[0] != "history.sqlite":
            return ""
        if self.pages is None:
            c = sqlite3.connect(os.path.join(self.copy(), "history.sqlite"))
            try:
                self.pages = dict(c.execute("SELECT pageno, name FROM dbstat"))
            except sqlite3.Error:
                self.pages = {}
            c.close()
        places = {"flip": [harm.args[1] // 8], "swap": harm.args[1:3], "zero": harm.args[1:2]}.get(
            harm.how, ()
        )
        pages = self.pages
        return " and ".join(pages.get(at // self.page + 1, "?") for at in places)

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
        """What the reading commands say, all in one text, and "read" before it; or what was seen to
        be wrong and by which command."""
        place, said = ["--state-dir", state], []
        for argv in (
            ["history", "verify"],
            ["history", "list", "--json", "--limit", "10000"],
            ["history", "list", "--transitions", "--json", "--limit", "10000"],
            ["export", "timeline", *self.period],
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
        ours = figures.split("\n")

        def differing(earlier):
            return sum(a != b for a, b in zip(earlier.split("\n"), ours, strict=False))

        near = [x for x in min(self.earlier, key=differing).split("\n") if x]
        pairs = zip(names, near, [x for x in ours if x], strict=False)
        return "WRONG figures, said to be whole: " + " and ".join(n for n, a, b in pairs if a != b)

    def start(self, state, is_sound):
        """How a start went. A daemon that runs must go on, and on a sound record with the figures
        that the record has."""
        directory = os.path.dirname(state)
        components = []
        if is_sound:
            _, said = command("export", "timeline", "--state-dir", state, *self.period)
            components = json.loads(said)["components"]
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
            series = 'probity_endpoint_state_seconds_total{endpoint="%s",state="%s"}'
            for c in components:
                for up_or_down in ("up", "down"):
                    value = figures[series % (c["name"], up_or_down)]
                    # The reader cuts at the earliest watermark; a first success may settle the time
                    # up to it.
                    beyond = value - c[up_or_down + "_ms"] / 1000
                    assert -0.01 <= beyond < 2.5, (c["name"], up_or_down, value, c)
            sums_are_whole(prober)
        time.sleep(0.2)
        assert prober.p.poll() is None, "it ended by itself: %s" % prober.last_words()
        assert prober.end() == 0
        assert "panicked" not in read(prober.log)
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
        write(path, bytes(work(content)))

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
    cuts = {e + k for e in [0, *blocks] for k in (-1, 0, 1) if 0 <= e + k < size} | {
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
    """Two directories as a kill leaves them: one with the record in the log, one with nearly all of
    it in the database."""
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
        is_begun = kind.startswith("database") or zlib.crc32(repr(harm).encode()) % 5 == 0
        return damage((kind, harm, is_begun))

    table: dict[str, Counter[str]] = {}
    starts: Counter[tuple[str, str]] = Counter()
    wrong: dict[tuple[str, str], list[str]] = {}
    failures = []
    for (damage, kind, harm), (result, why) in zip(cases, in_parallel(one, cases), strict=True):
        found = result[1] if result else "does not hold"
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


# ---- a million events ---------------------------------------------------------------------------


class Chain:
    """Appends events as the writer does, with what they mean for the reading tables."""

    def __init__(self, path):
        self.c = sqlite3.connect(path, isolation_level=None)
        self.c.execute("PRAGMA journal_mode = WAL")
        self.c.execute("PRAGMA synchronous = OFF")
        newest = "SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1"
        self.seq, self.head = self.c.execute(newest).fetchone()

    def put(self, endpoint, kind, at, **body):
        number, name = endpoint
        self.seq += 1
        body.update(v=1, seq=self.seq, kind=kind, at_ms=at, recorded=utc_ms(at), endpoint=name)
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        self.head = hashlib.sha256(self.head + text.encode()).digest()
        self.c.execute(
            "INSERT INTO event (seq, hash, body, endpoint, kind, at) VALUES (?, ?, ?, ?, ?, ?)",
            (self.seq, self.head, text, number, kind, at),
        )
        return self.seq

    def outage(self, endpoint, at):
        """An unconfirmed failure, an outage and its end, and unknown time: five events of ten
        seconds."""
        n = endpoint[0]
        doubtful = {"from": utc_ms(at), "from_ms": at, "to_ms": at + 500}
        self.put(endpoint, "unconfirmed", at + 500, **doubtful)
        self.c.execute(
            "INSERT INTO doubtful (endpoint, from_at, to_at) VALUES (?, ?, ?)", (n, at, at + 500)
        )
        began, confirmed, ended = at + 1250, at + 1600, at + 4250
        opened = self.put(
            endpoint,
            "down",
            confirmed,
            **{
                "from": utc_ms(began),
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
            to=utc_ms(ended),
            to_ms=ended,
            to_earliest_ms=at + 4000,
            to_latest_ms=at + 4500,
            lower_ms=2500,
            down_ms=3000,
        )
        self.c.execute(
            "INSERT INTO outage (opened, closed, endpoint, cause, confirmed_at, from_at, "
            "from_earliest, from_latest, to_at, to_earliest, to_latest) "
            "VALUES (?, ?, ?, 'status', ?, ?, ?, ?, ?, ?, ?)",
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
        unknown = {"from": utc_ms(at + 6000), "from_ms": at + 6000}
        self.put(endpoint, "unknown", at + 6000, **unknown)
        known = self.put(
            endpoint,
            "known",
            at + 7000,
            **unknown,
            to=utc_ms(at + 7000),
            to_ms=at + 7000,
            reason="starved",
        )
        self.c.execute(
            "INSERT INTO unknown (seq, endpoint, from_at, to_at, reason) "
            "VALUES (?, ?, ?, ?, 'starved')",
            (known, n, at + 6000, at + 7000),
        )


def test_a_million_events_are_ready_within_a_second(d):
    """From exec to ready, and the time of a verification. The record's own outages lie before the
    first start."""
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
        "SELECT id, boot_id, boot_ns, timeline_ms, utc_ms, inputs FROM mark "
        "ORDER BY id DESC LIMIT 1"
    ).fetchone()
    inputs, place = mark[5][:-8], "mark %d %s %d %d %d %d" % (*mark[:5], chain.seq)
    seal = hashlib.sha256(place.encode() + bytes(1) + inputs).digest()[:8]
    chain.c.execute(
        "UPDATE mark SET events = ?, inputs = ? WHERE id = ?", (chain.seq, inputs + seal, mark[0])
    )
    chain.c.execute("COMMIT")
    chain.c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    chain.c.close()
    times: dict[str, list[float]] = {"stop": [], "kill": []}
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
        fetch(prober.url(page), timeout=300)
        answers[page] = time.monotonic() - began
    assert prober.end() == 0
    print("      answered: " + ", ".join("%s in %.2f s" % a for a in answers.items()))
    began = time.monotonic()
    is_whole(prober.state)
    verified = time.monotonic() - began
    median = {how: percentile(sorted(list_), 0.5) for how, list_ in times.items()}
    assert max(median.values()) < 1, times
    return (
        "%d events, %d MiB: ready within %.2f s after a stop, %.2f s after a kill (medians of 5); "
        "verified in %.1f s"
        % (chain.seq, os.path.getsize(path) >> 20, median["stop"], median["kill"], verified)
    )
