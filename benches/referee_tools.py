"""The probers that benches/referee.py compares: how each is configured, started, stopped and read.

All have the same interval, the same timeout, and alarm after two failures in a row. Each sends its
alarms by HTTP, in its own form, to a receiver of its own. The downtime is the figure that the
prober itself offers: the record of Probity, and the failed share of probes for the others, whose
documentation computes availability so. What else a prober's documentation recommends for a case is
in its class. A row that a prober has no setting for is left out of its config.
"""

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness import (
    PROBITY,
    Daemon,
    Server,
    blackbox_exporter,
    fetch,
    free_port,
    get,
    instant,
    prometheus,
    promql,
    replace,
    sh,
    spawn,
    stop,
    write,
)
from referee_rows import ALL, INTERVAL_S, TIMEOUT_S, WITNESS_PORT, WITNESSES, Row, Target

# What CLOCK_REALTIME is ahead of CLOCK_MONOTONIC.
AHEAD_S = time.time() - time.monotonic()
INTERVAL, TIMEOUT = "%ds" % INTERVAL_S, "%dms" % (1000 * TIMEOUT_S)
DAYS = 14
GREETED = "^220 "
# What `go build` makes of each peer: its module, its version, its package.
BUILT = {
    "gatus": ("github.com/TwiN/gatus/v5", "v5.36.0", ""),
    "blackbox_exporter": ("github.com/prometheus/blackbox_exporter", "v0.28.0", ""),
    "cloudprober": ("github.com/cloudprober/cloudprober", "v0.14.4", "/cmd/cloudprober"),
}


@dataclass(frozen=True)
class Alarm:
    at: float
    endpoint: str


def path_of(folder: str, name: str) -> str:
    return os.path.join(folder, "%s-%s" % (name, BUILT[name][1]))


def built(folder: str, name: str) -> bool:
    return os.path.exists(path_of(folder, name))


def build(folder: str) -> None:
    """Builds the peers from the Go module proxy; those that are there are left as they are."""
    os.makedirs(folder, exist_ok=True)
    for name, (module, version, package) in BUILT.items():
        if not built(folder, name):
            path = path_of(folder, name)
            work = os.path.join(folder, "build-" + name)
            os.makedirs(work, exist_ok=True)
            write(os.path.join(work, "go.mod"), "module peer\n")
            sh("go", "mod", "edit", "-require=%s@%s" % (module, version), cwd=work)
            sh("go", "build", "-mod=mod", "-o", path, module + package, cwd=work)


class Tool:
    """A prober with its endpoints. `folder` is its own; `binaries` has those that were built."""

    name = ""
    title = ""
    needs: tuple[str, ...] = ()
    can_reload = True
    reload_takes_s = 3.0

    def __init__(self, folder: str, rows: Sequence[Row], pki: dict[str, Any], binaries: str):
        os.makedirs(folder)
        self.folder, self.pki, self.binaries = folder, pki, binaries
        self.receiver = Server()
        self.settings: dict[str, Any] = {}
        for row in rows:
            settings = self.endpoint(Target(row, self.name))
            if settings is not None:
                self.settings[row.name] = settings
        self.processes: list[subprocess.Popen[Any]] = []
        self.configure()

    def start(self, *argv: str, env: dict[str, str] | None = None) -> None:
        with open(os.path.join(self.folder, "log"), "a") as log:
            env = {**os.environ, "SSL_CERT_FILE": self.pki["authority"], **(env or {})}
            p = spawn(*argv, stdout=log, stderr=log, env=env, cwd=self.folder)
        self.processes.append(p)

    def at(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def endpoint(self, to: Target) -> Any:
        """How the row is written in its config; None where that cannot be said."""
        raise NotImplementedError

    def configure(self) -> None:
        raise NotImplementedError

    def begin(self) -> None:
        raise NotImplementedError

    def versions(self) -> str:
        raise NotImplementedError

    def well(self) -> set[str]:
        """The endpoints that are up."""
        raise NotImplementedError

    def alarms(self) -> list[Alarm]:
        """The first message about each failure of an endpoint, in their order."""
        raise NotImplementedError

    def down_s(self, endpoint: str, since: float, until: float) -> float:
        """The downtime that it has of the endpoint in that time."""
        raise NotImplementedError

    def bounds_s(self, endpoint: str, since: float, until: float) -> tuple[float, float] | None:
        """The shortest and the longest length of the one outage in that time; None without."""
        return None

    def signal(self, number: signal.Signals) -> None:
        for p in self.processes:
            p.send_signal(number)

    def kill(self) -> None:
        stop(*self.processes)
        self.processes.clear()

    def reload(self) -> None:
        raise NotImplementedError


class Probity(Tool):
    """Two failures in a row and one success are its defaults. Three witnesses, as its
    documentation recommends."""

    name, title = "probity", "Probity"

    def endpoint(self, to: Target) -> Any:
        wants = {
            "text": 'probe.http.expect.body.contains = "open"',
            "json": "probe.http.expect.json = \"body.status == 'ok'\"",
            "header": "probe.http.expect.headers.x-release = true",
            "stay": "probe.http.redirects = 0",
            "days": 'probe.http.tls.expiring_within = "%dd"' % DAYS,
            "address": 'probe.dns.expect.any = "^192\\\\.0\\\\.2\\\\.7$"',
            "greeting": 'probe.tcp.dialogue = [{ expect = "%s" }, { send = "QUIT\\r\\n" }]'
            % GREETED,
        }
        lines = ['[[endpoint]]\nname = "%s"' % to.row.name]
        if to.is_http:
            lines += ['probe.http.url = "%s"' % to.url]
        elif to.row.kind == "dns":
            lines += ['probe.dns.server = "%s:%d"' % (to.address, to.port)]
            lines += ['probe.dns.query = "shop.test"']
        elif to.row.kind == "tcp":
            lines += ['probe.tcp.address = "%s:%d"' % (to.address, to.port)]
        else:
            lines += ['probe.icmp = "%s"' % to.address]
        if to.row.kind == "https":
            lines += ['probe.http.tls.ca_file = "%s"' % self.pki["authority"]]
        return "\n".join([*lines, wants.get(to.row.wants, "")])

    def configure(self) -> None:
        hook = write(self.at("hook"), "http://127.0.0.1:%d/" % self.receiver.port)
        os.chmod(hook, 0o600)
        text = '[defaults]\ninterval = "%s"\ntimeout = "%s"\n' % (INTERVAL, TIMEOUT)
        text += '[[notify]]\nname = "referee"\nwebhook.url = { file = "%s" }\n' % hook
        for n, witness in enumerate(WITNESSES):
            text += '[[witness.endpoint]]\nname = "w%d"\n' % n
            text += 'timeout = "1s"\nprobe.tcp = "%s:%d"\n' % (witness, WITNESS_PORT)
        self.daemon = Daemon(self.folder, text + "\n".join(self.settings.values()))

    def begin(self) -> None:
        self.daemon.begin().must_be_ready()
        self.processes = [self.daemon.p]

    def versions(self) -> str:
        return sh(PROBITY, "--version").stdout.split("\n")[0]

    def well(self) -> set[str]:
        return {name for name, state in self.daemon.states().items() if state == "up"}

    def alarms(self) -> list[Alarm]:
        found, known = [], set()
        for at, body in list(self.receiver.posted):
            message = json.loads(body)
            if message["state"] == "down" and message["outage"] not in known:
                known.add(message["outage"])
                found += [Alarm(at, message["endpoint"])]
        return found

    def down_s(self, endpoint: str, since: float, until: float) -> float:
        """The point estimate: outages without the unknown time within them."""
        component = self.timeline(endpoint)

        def cut(piece: dict[str, Any], a: float, b: float) -> tuple[float, float]:
            end = instant(piece["to"]) - AHEAD_S if piece["to"] else b
            return max(a, instant(piece["from"]) - AHEAD_S), min(b, end)

        total = 0.0
        for outage in component["down"]:
            a, b = cut(outage, since, until)
            gaps = [cut(unknown, a, b) for unknown in component["unknown"]]
            total += max(0.0, b - a) - sum(max(0.0, to - at) for at, to in gaps)
        return total

    def timeline(self, endpoint: str) -> dict[str, Any]:
        components = self.daemon.json("/api/v1/timeline")["components"]
        found: dict[str, Any] = next(c for c in components if c["name"] == endpoint)
        return found

    def bounds_s(self, endpoint: str, since: float, until: float) -> tuple[float, float] | None:
        its = [
            {edge: instant(outage[edge]) for edge in outage if outage[edge] and edge != "outage"}
            for outage in self.timeline(endpoint)["down"]
            if since <= instant(outage["from"]) - AHEAD_S < until
        ]
        if len(its) != 1 or "to_latest" not in its[0]:
            return None
        [it] = its
        return it["to_earliest"] - it["from_latest"], it["to_latest"] - it["from_earliest"]

    def reload(self) -> None:
        self.daemon.reload()


class Gatus(Tool):
    """Its default is three failures and two successes. More concurrency than endpoints is what its
    README says for intervals below 5 s; `concurrency: 0`, which the README calls unlimited, is 3 in
    this version. SQLite for data that survive a restart, and the connectivity checker for the loss
    of its own network, at the shortest interval that it takes. It has no setting for an authority:
    SSL_CERT_FILE has it. Its timeout of DNS probes is always 2 s."""

    name, title, needs = "gatus", "Gatus", ("gatus",)
    # It looks at its file every 30 s, and starts its endpoints 222 ms apart.
    reload_takes_s = 45.0

    def endpoint(self, to: Target) -> Any:
        conditions = {
            "text": ["[STATUS] == 200", "[BODY] == pat(*open*)"],
            "json": ["[STATUS] == 200", "[BODY].status == ok"],
            "days": ["[STATUS] == 200", "[CERTIFICATE_EXPIRATION] > %dh" % (24 * DAYS)],
            "address": ["[DNS_RCODE] == NOERROR", "[BODY] == 192.0.2.7"],
            "greeting": ["[CONNECTED] == true", "[BODY] == pat(220 *)"],
            "open": ["[CONNECTED] == true"],
            "echo": ["[CONNECTED] == true"],
        }
        if to.row.wants == "header":
            return None
        alert = {"type": "custom", "failure-threshold": 2, "success-threshold": 1}
        at: dict[str, Any] = {
            "name": to.row.name,
            "url": to.url,
            "interval": INTERVAL,
            "conditions": conditions.get(to.row.wants, ["[STATUS] == 200"]),
            "alerts": [{**alert, "send-on-resolved": True}],
            "client": {"timeout": TIMEOUT},
        }
        if to.row.kind == "dns":
            at["url"] = "%s:%d" % (to.address, to.port)
            at["dns"] = {"query-name": "shop.test", "query-type": "A"}
        elif to.row.kind == "tcp":
            at["url"] = "tcp://%s:%d" % (to.address, to.port)
            # It reads what a server says only after it has sent something.
            at["body"] = "QUIT\r\n" if to.row.wants == "greeting" else ""
        elif to.row.kind == "ping":
            at["url"] = "icmp://" + to.address
        if to.row.wants == "stay":
            at["client"]["ignore-redirect"] = True
        return at

    def configure(self) -> None:
        self.port = free_port()
        witness = "%s:%d" % (WITNESSES[0], WITNESS_PORT)
        self.config = {
            "web": {"address": "127.0.0.1", "port": self.port},
            "concurrency": 2 * len(ALL),
            "storage": {
                "type": "sqlite",
                "path": self.at("gatus.db"),
                "maximum-number-of-results": 5000,
                "maximum-number-of-events": 5000,
            },
            "connectivity": {"checker": {"target": witness, "interval": "5s"}},
            "alerting": {
                "custom": {
                    "url": "http://127.0.0.1:%d/" % self.receiver.port,
                    "method": "POST",
                    "body": "[ALERT_TRIGGERED_OR_RESOLVED] [ENDPOINT_NAME]",
                }
            },
            "endpoints": list(self.settings.values()),
        }
        write(self.at("gatus.yaml"), json.dumps(self.config, indent=1))

    def begin(self) -> None:
        env = {"GATUS_CONFIG_PATH": self.at("gatus.yaml"), "GATUS_LOG_LEVEL": "WARN"}
        self.start(path_of(self.binaries, "gatus"), env=env)

    def versions(self) -> str:
        return "Gatus " + BUILT["gatus"][1]

    def results(self, endpoint: str) -> list[dict[str, Any]]:
        """All results of an endpoint, the newest last."""
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            path = "/api/v1/endpoints/_%s/statuses?page=%d&pageSize=100" % (endpoint, page)
            got = json.loads(fetch("http://127.0.0.1:%d%s" % (self.port, path)))["results"]
            if not got:
                return found
            found = got + found
            page += 1

    def well(self) -> set[str]:
        path = "/api/v1/endpoints/statuses?page=1&pageSize=1"
        statuses = json.loads(fetch("http://127.0.0.1:%d%s" % (self.port, path)))
        return {s["name"] for s in statuses if s["results"] and s["results"][-1]["success"]}

    def alarms(self) -> list[Alarm]:
        found = []
        for at, body in list(self.receiver.posted):
            word, _, endpoint = body.decode().partition(" ")
            if word == "TRIGGERED":
                found.append(Alarm(at, endpoint))
        return found

    def down_s(self, endpoint: str, since: float, until: float) -> float:
        failed = 0
        for result in self.results(endpoint):
            failed += (
                since <= instant(stamp(result["timestamp"])) - AHEAD_S < until
                and not result["success"]
            )
        return failed * INTERVAL_S

    def reload(self) -> None:
        self.config["ui"] = {"title": "Reloaded %.0f" % time.monotonic()}
        replace(self.at("gatus.yaml"), json.dumps(self.config, indent=1))


def stamp(text: str) -> str:
    """A time of Go as Python reads it: six digits of the second at most."""
    return re.sub(r"(\.\d{6})\d+", r"\1", text)


class Blackbox(Tool):
    """Prometheus asks and judges. `for` is one interval, the shortest that takes two failed probes.
    The rule is silent without a majority of three witnesses, as an inhibition in Alertmanager is.
    ip4, because its documentation says to test each family by itself. The receiver takes the place
    of Alertmanager, which would wait 30 s by default (group_wait)."""

    name, title, needs = "blackbox", "blackbox_exporter + Prometheus", ("blackbox_exporter",)

    def endpoint(self, to: Target) -> Any:
        http: dict[str, Any] = {"preferred_ip_protocol": "ip4"}
        if to.row.kind == "https":
            http["tls_config"] = {"ca_file": self.pki["authority"]}
        if to.row.wants == "text":
            http["fail_if_body_not_matches_regexp"] = ["open"]
        elif to.row.wants == "json":
            http["fail_if_body_json_not_matches_cel"] = "body.status == 'ok'"
        elif to.row.wants == "header":
            http["fail_if_header_not_matches"] = [{"header": "X-Release", "regexp": ".+"}]
        elif to.row.wants == "stay":
            http["follow_redirects"] = False
        if to.is_http:
            return to.url, {"prober": "http", "timeout": TIMEOUT, "http": http}
        at = "%s:%d" % (to.address, to.port)
        common: dict[str, Any] = {"preferred_ip_protocol": "ip4"}
        if to.row.kind == "dns":
            answer = {"fail_if_not_matches_regexp": ["\\s192\\.0\\.2\\.7$"]}
            dns: dict[str, Any] = {**common, "query_name": "shop.test", "query_type": "A"}
            dns = {**dns, "validate_answer_rrs": answer}
            return at, {"prober": "dns", "timeout": TIMEOUT, "dns": dns}
        if to.row.kind == "tcp":
            talk = {**common, "query_response": [{"expect": GREETED}, {"send": "QUIT"}]}
            talk = talk if to.row.wants == "greeting" else common
            return at, {"prober": "tcp", "timeout": TIMEOUT, "tcp": talk}
        return to.address, {"prober": "icmp", "timeout": TIMEOUT, "icmp": common}

    def configure(self) -> None:
        self.ports = free_port(), free_port()
        modules = {name: module for name, (_, module) in self.settings.items()}
        modules["connects"] = {"prober": "tcp", "timeout": "1s"}
        write(self.at("blackbox.yml"), json.dumps({"modules": modules}, indent=1))
        failed = 'probe_success{job="targets"} == 0'
        heard = 'on() (sum(min_over_time(probe_success{job="witness"}[%ds])) >= 2)'
        heard %= 2 * INTERVAL_S
        left = 'probe_ssl_earliest_cert_expiry{job="targets"} - time() < %d' % (86400 * DAYS)
        rules = [
            {"alert": "EndpointDown", "expr": "%s and %s" % (failed, heard), "for": INTERVAL},
            {"alert": "CertificateExpires", "expr": left},
        ]
        write(self.at("rules.yml"), json.dumps({"groups": [{"name": "r", "rules": rules}]}))
        ask = "__param_target", "__param_module"
        jobs = {
            "targets": [
                {"targets": [at], "labels": {"endpoint": name, ask[1]: name}}
                for name, (at, _) in self.settings.items()
            ],
            "witness": [
                {"targets": ["%s:%d" % (w, WITNESS_PORT)], "labels": {ask[1]: "connects"}}
                for w in WITNESSES
            ],
        }
        relabel = [
            {"source_labels": ["__address__"], "target_label": ask[0]},
            {"source_labels": [ask[0]], "target_label": "instance"},
            {"target_label": "__address__", "replacement": "127.0.0.1:%d" % self.ports[0]},
        ]
        common = {"metrics_path": "/probe", "relabel_configs": relabel}
        settings = {
            "global": {
                "scrape_interval": INTERVAL,
                # The exporter subtracts half a second from it.
                "scrape_timeout": INTERVAL,
                "evaluation_interval": "1s",
            },
            "rule_files": ["rules.yml"],
            "alerting": {
                "alertmanagers": [
                    {"static_configs": [{"targets": ["127.0.0.1:%d" % self.receiver.port]}]}
                ]
            },
            "scrape_configs": [
                {"job_name": job, "static_configs": targets, **common}
                for job, targets in jobs.items()
            ],
        }
        write(self.at("prometheus.yml"), json.dumps(settings, indent=1))

    def begin(self) -> None:
        _, *options = blackbox_exporter(self.at("blackbox.yml"), self.ports[0])
        self.start(path_of(self.binaries, "blackbox_exporter"), *options)
        self.start(*prometheus(self.at("prometheus.yml"), self.at("data"), self.ports[1]))

    def versions(self) -> str:
        found = re.search(r"version (\S+)", sh("prometheus", "--version").stdout)
        of_both = BUILT["blackbox_exporter"][1], found[1] if found else ""
        return "blackbox_exporter %s, Prometheus %s" % of_both

    def well(self) -> set[str]:
        up = promql(self.ports[1], 'probe_success{job="targets"} == 1')
        return {series["metric"]["endpoint"] for series in up}

    def alarms(self) -> list[Alarm]:
        """As Alertmanager takes them: what still fires by the last message is the same alert."""
        found, fires_until = [], dict[str, float]()
        for at, body in list(self.receiver.posted):
            for alert in json.loads(body):
                name, ends = alert["labels"]["endpoint"], instant(stamp(alert["endsAt"])) - AHEAD_S
                if ends > at + 1 and at > fires_until.get(name, 0.0):
                    found.append(Alarm(at, name))
                fires_until[name] = ends if ends > at + 1 else at
        return found

    def down_s(self, endpoint: str, since: float, until: float) -> float:
        series = 'probe_success{endpoint="%s"}[%dms]' % (endpoint, 1000 * (until - since))
        query = "count_over_time(%s) - sum_over_time(%s)" % (series, series)
        result = promql(self.ports[1], query, until + AHEAD_S)
        return INTERVAL_S * float(result[0]["value"][1]) if result else 0.0

    def reload(self) -> None:
        self.signal(signal.SIGHUP)


class Cloudprober(Tool):
    """Its default alarm is at the first failure, and its default export is every 10 s: alarms are
    judged at an export, so that is set to the interval. One packet a ping, as the others send. It
    cannot read its config again. It exports a certificate's expiry, but its own alarms judge
    failures of probes only."""

    name, title, needs = "cloudprober", "Cloudprober", ("cloudprober",)
    can_reload = False

    def endpoint(self, to: Target) -> Any:
        if to.row.wants in ("days", "greeting"):
            return None
        status: dict[str, Any] = {"success_status_codes": "200-299"}
        validators: list[dict[str, Any]] = [{"name": "status", "http_validator": status}]
        if to.row.wants == "text":
            validators += [{"name": "text", "regex": "open"}]
        elif to.row.wants == "json":
            validators += [{"name": "json", "json_validator": {"jq_filter": '.status == "ok"'}}]
        elif to.row.wants == "header":
            status["success_header"] = {"name": "X-Release"}
        probe: dict[str, Any] = {"name": to.row.name, "interval": INTERVAL, "timeout": TIMEOUT}
        probe["stats_export_interval_msec"] = int(1000 * INTERVAL_S)
        notify = {"url": "http://127.0.0.1:%d/" % self.receiver.port, "method": "POST"}
        alert = {"condition": {"failures": 2, "total": 2}}
        probe["alert"] = [{**alert, "notify": {"http_notify": {**notify, "data": ["@probe@"]}}}]
        if to.is_http:
            http: dict[str, Any] = {}
            if to.row.kind == "https":
                http["tls_config"] = {"ca_cert_file": self.pki["authority"]}
            if to.row.wants == "stay":
                http["max_redirects"] = 0
            at: dict[str, Any] = {"name": to.row.name, "url": to.url}
            probe.update(type="HTTP", http_probe=http, validator=validators)
        elif to.row.kind == "dns":
            at = {"name": to.address, "port": to.port}
            dns = {"resolved_domain": "shop.test.", "query_type": "A"}
            probe.update(type="DNS", dns_probe=dns)
            probe["validator"] = [{"name": "address", "regex": "192\\.0\\.2\\.7$"}]
        elif to.row.kind == "tcp":
            at = {"name": to.address}
            probe.update(type="TCP", tcp_probe={"port": to.port})
        else:
            at = {"name": to.address}
            probe.update(type="PING", ping_probe={"packets_per_probe": 1})
        return {**probe, "targets": {"endpoint": [at]}}

    def configure(self) -> None:
        self.port = free_port()
        config = {"host": "127.0.0.1", "port": self.port, "probe": list(self.settings.values())}
        write(self.at("cloudprober.yaml"), json.dumps(config, indent=1))
        self.failed: list[tuple[float, str, int]] = []
        self.succeeded: set[str] = set()
        threading.Thread(target=self.watch, daemon=True).start()

    def begin(self) -> None:
        self.start(
            path_of(self.binaries, "cloudprober"), "--config_file=" + self.at("cloudprober.yaml")
        )

    def versions(self) -> str:
        return "Cloudprober " + BUILT["cloudprober"][1]

    def watch(self) -> None:
        """Reads its counters as Prometheus does: they begin again at each start."""
        before: dict[tuple[str, str], float] = {}
        series = re.compile(r'^(total|success)\{[^}]*\bprobe="([^"]+)"[^}]*\} (\S+)', re.M)
        while True:
            time.sleep(0.5)
            try:
                page = get("http://127.0.0.1:%d/metrics" % self.port, timeout=20)
            except (OSError, ValueError):
                continue
            at, grew = time.monotonic(), {}
            for what, name, value in series.findall(page):
                was = before.get((what, name), 0.0)
                grew[what, name] = float(value) - (was if float(value) >= was else 0.0)
                before[what, name] = float(value)
            for (what, name), n in grew.items():
                if what == "success" and n > 0:
                    self.succeeded.add(name)
                failed = round(n - grew.get(("success", name), 0.0)) if what == "total" else 0
                if failed > 0:
                    self.failed.append((at, name, failed))

    def well(self) -> set[str]:
        return set(self.succeeded)

    def alarms(self) -> list[Alarm]:
        return [Alarm(at, body.decode().strip()) for at, body in list(self.receiver.posted)]

    def down_s(self, endpoint: str, since: float, until: float) -> float:
        failed = (n for at, name, n in self.failed if name == endpoint and since <= at < until)
        return INTERVAL_S * sum(failed)


TOOLS: list[type[Tool]] = [Probity, Gatus, Blackbox, Cloudprober]
assert len({row.name for row in ALL}) == len(ALL)
