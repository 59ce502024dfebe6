"""What the suites of this folder and the benches share: files, commands, waiting, time, servers,
the daemon, readings of CPU and memory, and the runner of tests. What one of them alone needs is
there."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any, NoReturn, Self, TypeVar

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PROBITY = os.environ.get("PROBITY", os.path.join(ROOT, "target", "release", "probity"))
# What takes a library of a test (LD_PRELOAD): a binary that is linked statically takes none.
DYNAMIC = os.environ.get("PROBITY_DYNAMIC", PROBITY)
TICK = os.sysconf("SC_CLK_TCK")
QUICK = '[defaults]\ninterval = "500ms"\ntimeout = "400ms"\nretry_interval = "100ms"\n'
# What a test or bench started and nobody has ended yet; the runner of tests ends it.
SPAWNED: list[subprocess.Popen[Any]] = []
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
T = TypeVar("T")


# ---- files and commands -------------------------------------------------------------------------


def read(path: str) -> str:
    with open(path) as f:
        return f.read()


def write(path: str, text: str | bytes) -> str:
    """The path of the file, which has that content now."""
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    return path


def replace(path: str, text: str) -> None:
    """Changes a file that others read: they see it as it was or as it is."""
    os.rename(write(path + ".new", text), path)


def sh(*argv: str, ok: bool = True, **kw: Any) -> subprocess.CompletedProcess[str]:
    """A command with its output as text; unless `ok` is false, it has to succeed."""
    r = subprocess.run(argv, capture_output=True, text=True, check=False, **kw)
    if ok and r.returncode != 0:
        raise AssertionError(
            "%s: exit %d\n%s%s" % (" ".join(argv), r.returncode, r.stdout, r.stderr)
        )
    return r


def spawn(*argv: str, **kw: Any) -> subprocess.Popen[Any]:
    """A process beside the test, ended by the runner where the test does not end it."""
    p = subprocess.Popen(argv, **kw)
    SPAWNED.append(p)
    return p


def stop(*processes: subprocess.Popen[Any] | None) -> None:
    """Ends what is still there of them, at once."""
    for p in processes:
        if p and p.poll() is None:
            p.kill()
            p.wait()


def shim(directory: str, name: str) -> str:
    """The library of a C file of this folder, to be preloaded."""
    path = os.path.join(directory, name + ".so")
    source = os.path.join(HERE, name + ".c")
    sh("cc", "-shared", "-fPIC", "-O2", "-o", path, source, "-ldl")
    return path


def probe(*argv: str, prefix: Sequence[str] = (), ok: bool = False, **kw: Any) -> dict[str, Any]:
    """What `probity probe` says of a target or an endpoint of a config, whatever it comes to."""
    r = sh(*prefix, PROBITY, "probe", *argv, "--json", ok=ok, **kw)
    try:
        report: dict[str, Any] = json.loads(r.stdout)
    except ValueError:
        raise AssertionError("no JSON of %s: %s%s" % (argv, r.stdout, r.stderr)) from None
    return report


# ---- asking and waiting -------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def fetch(url: str, headers: Mapping[str, str] | None = None, timeout: float = 120) -> bytes:
    """An answer as it came, which may be a large one."""
    request = urllib.request.Request(url, headers=dict(headers or {}))
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        content: bytes = answer.read()
    return content


def get(url: str, headers: Mapping[str, str] | None = None, timeout: float = 10) -> str:
    return fetch(url, headers, timeout).decode()


def until(
    check: Callable[[], T],
    seconds: float = 30,
    what: str = "it",
    *,
    every: float = 0.05,
    process: subprocess.Popen[Any] | None = None,
) -> T:
    """What the check comes to once it is true. With a process it has to stay alive meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError, KeyError, IndexError):
            value = check()
            if value:
                return value
        if process and process.poll() is not None:
            raise AssertionError("%s never became true: exit %d" % (what, process.returncode))
        time.sleep(every)
    raise AssertionError("%s never became true" % what)


# ---- instants and figures -----------------------------------------------------------------------


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def utc(at: float) -> str:
    """An instant as commands and API take it, by whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def utc_ms(at_ms: int) -> str:
    return utc(at_ms // 1000)[:-1] + ".%03dZ" % (at_ms % 1000)


def percentile(values: Sequence[float], q: float) -> float:
    """Of values in their order."""
    return values[min(len(values) - 1, int(q * len(values)))]


def slots_by_result(page: str) -> Counter[str]:
    """The slots of all endpoints on a page of /metrics."""
    counts: Counter[str] = Counter()
    series = r'^probity_probes_total\{[^}]*result="(\w+)"\} (\d+)$'
    for result, n in re.findall(series, page, re.M):
        counts[result] += int(n)
    return counts


def say(**fields: Any) -> None:
    """One measurement of a bench."""
    print(json.dumps(fields), flush=True)


# ---- servers ------------------------------------------------------------------------------------


class Patient(ThreadingHTTPServer):
    # A full queue of connections would be the server's fault, not what is tested.
    request_queue_size = 1024


class Server:
    """An HTTP server whose status can be changed; it keeps what is posted, with the time."""

    def __init__(self) -> None:
        outer = self
        self.status = 200
        self.posted: list[tuple[float, bytes]] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self) -> None:
                at, length = time.monotonic(), int(self.headers["Content-Length"])
                outer.posted.append((at, self.rfile.read(length)))
                self.do_GET()

            def log_message(self, *_: Any) -> None:
                pass

        self.httpd = Patient(("127.0.0.1", 0), Handler)
        self.port = int(self.httpd.server_address[1])
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()


def answer_datagrams(s: socket.socket, reply: Callable[[bytes], bytes | None]) -> None:
    """Answers each datagram by what `reply` makes of it, in a thread of its own."""

    def run() -> None:
        while True:
            query, asker = s.recvfrom(4096)
            answer = reply(query)
            if answer:
                s.sendto(answer, asker)

    threading.Thread(target=run, daemon=True).start()


def certificate(
    d: str,
    name: str,
    days_from: float,
    days_to: float,
    issuer: tuple[str, str] | None = None,
    names: str = "DNS:localhost,IP:127.0.0.1",
) -> tuple[str, str]:
    """A certificate for these names from and to so many days from now; without an issuer, an
    authority. Paths of certificate and key."""
    base, work = os.path.join(d, name), os.path.join(d, name + ".ca")
    key, request, pem, settings = base + ".key", base + ".csr", base + ".pem", work + "/c.cnf"

    def at(days: float) -> str:
        return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400))

    sh("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    sh("openssl", "req", "-new", "-key", key, "-subj", "/CN=" + name, "-out", request)
    os.makedirs(work)
    for file in ("index.txt", "index.txt.attr"):
        write(os.path.join(work, file), "")
    write(
        settings,
        "[ca]\ndefault_ca = d\n"
        "[d]\ndatabase = %s/index.txt\nnew_certs_dir = %s\nrand_serial = yes\n"
        "default_md = sha256\npolicy = p\n"
        "[p]\ncommonName = supplied\n"
        "[authority]\nbasicConstraints = critical,CA:TRUE\n"
        "[leaf]\nsubjectAltName = %s\n" % (work, work, names),
    )
    signer = (
        ["-selfsign", "-keyfile", key, "-extensions", "authority"]
        if issuer is None
        else ["-cert", issuer[0], "-keyfile", issuer[1], "-extensions", "leaf"]
    )
    dates = ["-startdate", at(days_from), "-enddate", at(days_to)]
    files = ["-config", settings, "-in", request, "-out", pem]
    sh("openssl", "ca", "-batch", "-notext", *files, *dates, *signer)
    return pem, key


def prometheus(config: str, data: str, port: int, *more: str) -> list[str]:
    """How Prometheus is started."""
    return [
        "prometheus",
        "--config.file=" + config,
        "--storage.tsdb.path=" + data,
        "--web.listen-address=127.0.0.1:%d" % port,
        "--log.level=error",
        *more,
    ]


def blackbox_exporter(config: str, port: int) -> list[str]:
    """How blackbox_exporter is started."""
    return [
        "prometheus-blackbox-exporter",
        "--config.file=" + config,
        "--web.listen-address=127.0.0.1:%d" % port,
        "--log.level=error",
    ]


def promql(port: int, query: str, at: float | None = None) -> list[dict[str, Any]]:
    """The series that Prometheus answers a query with."""
    fields = {"query": query, **({} if at is None else {"time": "%.3f" % at})}
    url = "http://127.0.0.1:%d/api/v1/query?%s" % (port, urllib.parse.urlencode(fields))
    result: list[dict[str, Any]] = json.loads(get(url))["data"]["result"]
    return result


# ---- CPU and memory -----------------------------------------------------------------------------


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in read("/proc/%d/task/%d/children" % (pid, pid)).split()]
    except OSError:
        return []


def busy_s() -> float:
    """CPU time that the host has spent on all processes."""
    fields = [int(x) for x in read("/proc/stat").split("\n")[0].split()[1:]]
    return sum(fields[:3] + fields[5:8]) / TICK


class Process:
    """A program of a bench, on the given CPUs, and what it uses."""

    def __init__(self, argv: Sequence[str], cpus: str | None = None, log: str | None = None):
        argv = (["taskset", "-c", cpus] if cpus else []) + list(argv)
        with open(log or os.devnull, "w") as out:
            self.p = spawn(*argv, stdout=out, stderr=out)
        self.pid = self.p.pid

    def cpu_s(self) -> float:
        total = 0.0
        for pid in [self.pid, *children(self.pid)]:
            with contextlib.suppress(OSError):
                fields = read("/proc/%d/stat" % pid).rsplit(") ", 1)[1].split()
                total += (int(fields[11]) + int(fields[12])) / TICK
        return total

    def memory_mib(self, key: str = "VmRSS") -> float:
        found = re.search(key + r":\s+(\d+)", read("/proc/%d/status" % self.pid))
        assert found, "no %s of process %d" % (key, self.pid)
        return int(found[1]) / 1024

    def stop(self) -> int:
        self.p.send_signal(signal.SIGTERM)
        try:
            return int(self.p.wait(15))
        except subprocess.TimeoutExpired:
            self.p.kill()
            return int(self.p.wait())


# ---- the daemon ---------------------------------------------------------------------------------


def daemon_table(vantage: str, listen: str, state: str) -> str:
    """The table that begins every config."""
    return '[daemon]\nvantage = "%s"\nlisten = "%s"\nstate_dir = "%s"\n' % (vantage, listen, state)


def endpoint(name: str, port: int) -> str:
    return '[[endpoint]]\nname = "%s"\nprobe.http = "http://127.0.0.1:%d/"\n' % (name, port)


# Figures of endpoints that do not change any more but by growing.
SETTLED = re.compile(
    r"^(probity_endpoint_"
    r"(?:transitions|state_seconds|down_lower_seconds|down_upper_seconds)_total\{[^}]*\}) (\S+)$",
    re.M,
)


def is_whole(state: str) -> None:
    r = sh(PROBITY, "history", "verify", "--state-dir", state, ok=False)
    assert r.returncode == 0 and r.stdout.startswith("intact"), "verify: %d %s%s" % (
        r.returncode,
        r.stdout,
        r.stderr,
    )


class Daemon:
    """A daemon on a state directory, which can be ended, killed and begun again. `prefix` is what
    it is started by, such as another network namespace."""

    vantage = "system"
    p: subprocess.Popen[Any]

    def __init__(
        self,
        directory: str,
        text: str,
        *,
        prefix: Sequence[str] = (),
        listen: str | None = None,
        state: str | None = None,
    ):
        self.directory, self.prefix = directory, prefix
        self.listen = listen or "127.0.0.1:%d" % free_port()
        self.state = state or os.path.join(directory, "state")
        self.log = os.path.join(directory, "log")
        self.config = os.path.join(directory, "probity.toml")
        self.configure(text)

    def configure(self, text: str) -> None:
        """Writes the config, which a running daemon reads when it is told to."""
        replace(self.config, daemon_table(self.vantage, self.listen, self.state) + text)

    def begin(self, env: Mapping[str, str] | None = None) -> Self:
        with open(self.log, "a") as log:
            is_preloaded = any(
                word.startswith("LD_PRELOAD") for word in [*self.prefix, *(env or {})]
            )
            binary = DYNAMIC if is_preloaded else PROBITY
            argv = [*self.prefix, binary, "run", "--config", self.config]
            self.p = spawn(*argv, stderr=log, env={**os.environ, **(env or {})})
        return self

    def url(self, path: str) -> str:
        return "http://%s%s" % (self.listen, path)

    def json(self, path: str) -> Any:
        return json.loads(get(self.url(path)))

    def metric(self, series: str) -> float:
        for line in get(self.url("/metrics")).splitlines():
            if line.startswith(series + " "):
                return float(line.rsplit(" ", 1)[1])
        raise KeyError(series)

    def figures(self) -> dict[str, float]:
        """Its settled figures by their series."""
        return {k: float(v) for k, v in SETTLED.findall(get(self.url("/metrics")))}

    def endpoint(self, name: str) -> dict[str, Any]:
        """What the API says of it."""
        endpoints: list[dict[str, Any]] = self.json("/api/v1/endpoints")["endpoints"]
        return [e for e in endpoints if e["name"] == name][0]

    def states(self) -> dict[str, str]:
        return {e["name"]: e["state"] for e in self.json("/api/v1/endpoints")["endpoints"]}

    def journal(self) -> list[dict[str, Any]]:
        """Every event of its history."""
        lines = sh(PROBITY, "export", "journal", "--state-dir", self.state).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def readiness(self) -> str:
        """What it answers, also where it is not ready."""
        try:
            return get(self.url("/-/ready"))
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def is_ready(self) -> bool:
        try:
            return get(self.url("/-/ready")).startswith("Ready")
        except (OSError, ValueError):
            return False

    def ready(self, seconds: float = 30) -> int | None:
        """Waits until it is ready; the exit code when it ends before."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.p.poll() is not None:
                return int(self.p.returncode)
            if self.is_ready():
                return None
            time.sleep(0.01)
        raise AssertionError(
            "the daemon was not ready within %d s\n%s" % (seconds, self.last_words())
        )

    def must_be_ready(self) -> Self:
        code = self.ready()
        assert code is None, "the daemon ended with %s\n%s" % (code, self.last_words())
        return self

    def reload(self) -> str:
        return sh(PROBITY, "reload", "--state-dir", self.state).stdout

    def kill(self) -> None:
        self.p.kill()
        self.p.wait()

    def end(self, seconds: float = 10) -> int:
        """The exit code after SIGTERM."""
        self.p.terminate()
        return int(self.p.wait(seconds))

    def last_words(self) -> str:
        with open(self.log) as f:
            return "".join(f.readlines()[-5:])


# ---- the runner of tests ------------------------------------------------------------------------

# A test raises when it does not hold; it gets a directory, and may say what it measured.
Test = Callable[[str], str | None]


def end_all(directory: str) -> None:
    """Ends what a test left running, by what it started and by the directory that it was given."""
    stop(*SPAWNED)
    SPAWNED.clear()
    sh("pkill", "-f", directory, ok=False)


def run_tests(modules: Sequence[ModuleType], prefix: str) -> NoReturn:
    """Runs the tests of the modules: those that have an argument in their names, or all, but for
    those that have one that begins with a dash."""
    wanted = [word for word in sys.argv[1:] if not word.startswith("-")]
    left_out = [word[1:] for word in sys.argv[1:] if word.startswith("-")]
    tests: list[tuple[str, Test]] = [t for m in modules for t in vars(m).items()]
    tests = [t for t in tests if t[0].startswith("test_")]
    chosen = [t for t in tests if not wanted or any(w in t[0] for w in wanted)]
    chosen = [t for t in chosen if not any(w in t[0] for w in left_out)]
    failed = 0
    for name, test in chosen:
        directory, began = tempfile.mkdtemp(prefix=prefix), time.monotonic()
        try:
            said = test(directory)
            print("ok    %-75s %6.1f s" % (name[5:], time.monotonic() - began), flush=True)
            if said:
                print("      " + said, flush=True)
        except Exception:
            failed += 1
            print("FAIL  %s\n%s" % (name[5:], traceback.format_exc()), flush=True)
            log = os.path.join(directory, "log")
            if os.path.exists(log):
                print("".join(read(log).splitlines(keepends=True)[-20:]))
        end_all(directory)
        shutil.rmtree(directory, ignore_errors=True)
    print("%d passed, %d failed" % (len(chosen) - failed, failed))
    sys.exit(1 if failed or not chosen else 0)
