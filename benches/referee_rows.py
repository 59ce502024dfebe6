"""What benches/referee.py puts probers through: faults, traps, and faults of the prober itself.

A row is one endpoint. Its server does something wrong (a fault), or something that looks wrong and
is not (a trap). `wants` is what each prober is to expect of the endpoint: a status of 2xx, a text
or a JSON value in the body, a header, no redirect (stay), 14 days of validity, a DNS address, an
open port, a greeting that begins with 220, an echo. A prober that has no setting for it cannot
express the row. `does` is the order that its server gets (referee_servers.py). An order that begins
with @ is carried out elsewhere (referee.py).
"""

from dataclasses import dataclass

INTERVAL_S, TIMEOUT_S = 2.0, 1.5


@dataclass(frozen=True)
class Row:
    group: str
    name: str
    kind: str
    wants: str
    does: str
    # The true downtime is that of the fault, unless only a share of requests fails, or the fault is
    # a warning.
    is_timed: bool = True

    @property
    def is_trap(self) -> bool:
        return self.group == "traps"

    @property
    def is_plain(self) -> bool:
        """Its server does nothing wrong: it is there for faults of the prober."""
        return self.group == "own"


FAULTS = [
    Row("http", "http-refuse", "http", "status", "refuse"),
    Row("http", "http-hang", "http", "status", "hang"),
    Row("http", "http-500", "http", "status", "500"),
    Row("http", "http-503-two-of-three", "http", "status", "share", is_timed=False),
    Row("http", "http-beyond-timeout", "http", "status", "late"),
    Row("http", "http-truncated-body", "http", "text", "truncated"),
    Row("http", "http-empty-reply", "http", "status", "empty"),
    Row("http", "http-redirect-loop", "http", "status", "loop"),
    Row("http", "http-redirect-elsewhere", "http", "stay", "elsewhere"),
    Row("content", "content-text", "http", "text", "text"),
    Row("content", "content-json", "http", "json", "json"),
    Row("content", "content-header", "http", "header", "header"),
    Row("dns", "dns-nxdomain", "dns", "address", "nxdomain"),
    Row("dns", "dns-servfail", "dns", "address", "servfail"),
    Row("dns", "dns-silent", "dns", "address", "silent"),
    Row("dns", "dns-wrong-address", "dns", "address", "address"),
    Row("tls", "tls-expired", "https", "status", "expired"),
    Row("tls", "tls-wrong-name", "https", "status", "wrong_name"),
    Row("tls", "tls-untrusted", "https", "status", "untrusted"),
    Row("tls", "tls-about-to-expire", "https", "days", "expiring", is_timed=False),
    Row("tls", "tls-none", "https", "status", "plain"),
    Row("tls", "tls-handshake-hangs", "https", "status", "mute"),
    Row("tcp", "tcp-refuse", "tcp", "open", "refuse"),
    Row("tcp", "tcp-mute", "tcp", "greeting", "mute"),
    Row("tcp", "tcp-wrong-greeting", "tcp", "greeting", "554"),
    Row("ping", "ping-silent", "ping", "echo", "@echo"),
]
TRAPS = [
    Row("traps", "one-name-server-of-two-silent", "name", "status", "@one-name-server"),
    Row("traps", "slow-below-timeout", "http", "status", "slow"),
    Row("traps", "head-not-allowed", "http", "status", "head"),
    Row("traps", "certificate-rotated", "https", "status", "rotated"),
    Row("traps", "aaaa-dead", "dual", "status", "@aaaa"),
    Row("traps", "connection-closed-between-requests", "http", "status", "closing"),
    Row("traps", "one-request-fails", "http", "status", "once"),
    Row("traps", "one-query-lost", "dns", "address", "once"),
]
# Endpoints that are well all the time, and what each is for when the prober is at fault.
OWN = [
    Row("own", "own-http", "http", "status", "fine"),
    Row("own", "own-http-by-name", "name", "status", "fine"),
    Row("own", "own-http-half-a-second", "http", "status", "leisurely"),
    Row("own", "own-https", "https", "status", "fine"),
    Row("own", "own-tcp", "tcp", "open", "fine"),
    Row("own", "own-dns", "dns", "address", "fine"),
    Row("own", "own-ping", "ping", "echo", "fine"),
]
# First, so that a prober that starts endpoints one after the other has it soon.
KILLED = Row("own", "killed", "http", "status", "500")
ALL = [KILLED, *FAULTS, *TRAPS, *OWN]
SMOKE = [
    "http-refuse",
    "http-500",
    "content-text",
    "dns-nxdomain",
    "tls-expired",
    "tcp-wrong-greeting",
    "one-name-server-of-two-silent",
    "slow-below-timeout",
    "one-request-fails",
    "own-http",
    "own-http-by-name",
]

# ---- where servers are --------------------------------------------------------------------------

PROBER_NET, SERVER_NET = "10.78.1.%d", "10.78.2.%d"
PROBER_NET6, SERVER_NET6 = "fd00:78:1::%d", "fd00:78:2::%d"
# The last number of the addresses that one prober asks.
PLACE = {"probity": 10, "gatus": 20, "blackbox": 30, "cloudprober": 40}
WITNESSES = [SERVER_NET % n for n in (101, 102, 103)]
WITNESS_PORT = 53
NAME_SERVERS = ["127.0.0.11", "127.0.0.12"]
FIRST_PORT = 8001


@dataclass(frozen=True)
class Target:
    """Where one prober finds the server of one row."""

    row: Row
    tool: str

    @property
    def address(self) -> str:
        """An address of its own for what a router drops."""
        return SERVER_NET % (PLACE[self.tool] + (self.row.does == "@echo"))

    @property
    def address6(self) -> str:
        return SERVER_NET6 % PLACE[self.tool]

    @property
    def port(self) -> int:
        return FIRST_PORT + ALL.index(self.row)

    @property
    def host(self) -> str:
        """A name where one is needed: in a certificate, for two addresses, for a name server."""
        name = {"https": "secure", "dual": "dual", "name": "www"}.get(self.row.kind)
        return "%s.%s.test" % (name, self.tool) if name else self.address

    @property
    def url(self) -> str:
        scheme = "https" if self.row.kind == "https" else "http"
        return "%s://%s:%d/" % (scheme, self.host, self.port)

    @property
    def is_http(self) -> bool:
        return self.row.kind in ("http", "https", "dual", "name")


def hosts() -> str:
    """/etc/hosts of the probers."""
    lines = ["127.0.0.1 localhost"]
    for tool in PLACE:
        at = Target(ALL[0], tool)
        lines += ["%s secure.%s.test" % (at.address, tool), "%s dual.%s.test" % (at.address, tool)]
        lines += ["%s dual.%s.test" % (at.address6, tool)]
    return "\n".join(lines) + "\n"
