#!/usr/bin/env python3
"""The stub resolver beside glibc's: the same resolv.conf and hosts, the same answers.

    tests/system/resolver.py

Runs itself again in network and mount namespaces of its own, with name servers on addresses of
loopback. For each pair of files, `getent ahosts NAME` and the addresses that `probity probe` tries
are compared. Needs root, or a kernel that lets users make namespaces.
"""

import os
import socket
import struct
import sys
import tempfile
from typing import Any

from harness import answer_datagrams, probe, sh, write

A, AAAA = 1, 28
CODES = {"servfail": 2, "nxdomain": 3, "notimp": 4, "refused": 5}

# What the server at 127.0.0.1 (and ::1, and 127.0.0.6) knows. A word in place of addresses is what
# it does.
ZONE: dict[str, Any] = {
    "good.example": ["127.9.0.1"],
    "two.example": ["127.9.0.1", "127.9.0.2"],
    "both.example": ["127.9.0.1", "fd00::9"],
    "six.example": ["fd00::9"],
    "web.corp.example": ["127.9.0.3"],
    "web.lab.example": ["127.9.0.4"],
    "a.b.corp.example": ["127.9.0.5"],
    "web": ["127.9.0.6"],
    "a.b": ["127.9.0.7"],
    "nodata.example": "nodata",
    "web.nodata.test": "nodata",
    "web.servfail.test": "servfail",
    "web.refused.test": "refused",
    "web.notimp.test": "notimp",
    "web.silent.test": "silent",
    "servfail.example": "servfail",
    "refused.example": "refused",
    "silent.example": "silent",
    "alias.example": [("alias.example", "=end.example"), ("end.example", "127.9.0.11")],
    "aliases.example": [
        ("aliases.example", "=b.example"),
        ("b.example", "=END.example"),
        ("end.example", "127.9.0.11"),
    ],
    "dangling.example": [("dangling.example", "=gone.example")],
    "beside.example": [("beside.example", "=gone.example"), ("end.example", "127.9.0.11")],
    "stranger.example": [("other.example", "127.9.0.12")],
    "both.stranger.example": [
        ("other.example", "127.9.0.12"),
        ("both.stranger.example", "127.9.0.11"),
    ],
    "web.dangling.test": [("web.dangling.test", "=gone.example")],
    "web.stranger.test": [("other.example", "127.9.0.12")],
    "x.y.z.corp.example": ["127.9.0.8"],
    "x.y.z": "nodata",
    "x.y": "servfail",
    "x.y.corp.example": ["127.9.0.9"],
    "up.example": ["127.9.0.10"],
}
# Servers that do one thing whatever they are asked.
ALWAYS = {
    "127.0.0.2": "servfail",
    "127.0.0.3": "silent",
    "127.0.0.4": "refused",
    "127.0.0.5": "notimp",
}


def reply(query, does):
    ident, _, count = struct.unpack(">HHH", query[:6])
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("latin-1").lower())
        at += 1 + query[at]
    (kind,) = struct.unpack(">H", query[at + 1 : at + 3])
    question = query[12 : at + 5]
    known = does or ZONE.get(".".join(labels), "nxdomain")
    if known == "silent":
        return None
    answers = b""
    n = 0

    def wire(name):
        return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"

    for record in known if isinstance(known, list) else []:
        owner, address = b"\xc0\x0c", record
        if isinstance(record, tuple):
            owner, address = wire(record[0]), record[1]
        if address.startswith("="):
            data = wire(address[1:])
            answers += owner + struct.pack(">HHIH", 5, 1, 60, len(data)) + data
            n += 1
            continue
        family, of = (socket.AF_INET6, AAAA) if ":" in address else (socket.AF_INET, A)
        if of == kind:
            data = socket.inet_pton(family, address)
            answers += owner + struct.pack(">HHIH", of, 1, 60, len(data)) + data
            n += 1
    code = CODES.get(known if isinstance(known, str) else "", 0)
    return struct.pack(">HHHHHH", ident, 0x8180 | code, 1, n, 0, 0) + question + answers


def serve(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind((address, 53))
    answer_datagrams(s, lambda query: reply(query, ALWAYS.get(address)))


QUICK = "options timeout:1 attempts:1\n"
ONE = "nameserver 127.0.0.1\n"
HOSTS = "127.0.0.1 localhost\n::1 localhost\n"


def cases():
    """(what, resolv.conf, hosts, name)"""

    def conf(what, text, name="good.example", hosts=HOSTS):
        return (
            what,
            text if isinstance(text, bytes) else text.encode(),
            hosts if isinstance(hosts, bytes) else hosts.encode(),
            name,
        )

    yield conf("plain", ONE)
    yield conf("no such name", ONE, "gone.example")
    yield conf("two addresses", ONE, "two.example")
    yield conf("both families", ONE, "both.example")
    yield conf("IPv6 only", ONE, "six.example")
    yield conf("no data", ONE, "nodata.example")
    yield conf("an alias", ONE, "alias.example")
    yield conf("aliases of aliases", ONE, "aliases.example")
    yield conf("an alias that leads nowhere", ONE, "dangling.example")
    yield conf("an address beside the alias", ONE, "beside.example")
    yield conf("another name's address", ONE, "stranger.example")
    yield conf("another name's address beside its own", ONE, "both.stranger.example")
    yield conf(
        "an alias that leads nowhere: no further",
        "search dangling.test corp.example\noptions ndots:5\n" + ONE,
        "web",
    )
    yield conf(
        "another name's address: no further",
        "search stranger.test corp.example\noptions ndots:5\n" + ONE,
        "web",
    )
    yield conf("servfail", ONE + QUICK, "servfail.example")
    yield conf("refused", ONE + QUICK, "refused.example")
    yield conf("silence", ONE + QUICK, "silent.example")
    yield conf("capitals", ONE, "GOOD.Example")
    yield conf("a dot at the end", ONE, "good.example.")
    yield conf("an empty file: 127.0.0.1", "")
    yield conf("comments only", "# nameserver 127.0.0.2\n; nameserver 127.0.0.2\n")
    yield conf("an unknown keyword", "nonsense 5\nnameservers 127.0.0.2\n" + ONE)
    yield conf("an unknown option", "options nonsense:7 nonsense edns9\n" + ONE)
    yield conf("a known and an unknown option", "options rotate nonsense ndots:1\n" + ONE)
    yield conf("malformed ndots", "options ndots:x\n" + ONE)
    yield conf("empty ndots", "options ndots:\n" + ONE)
    yield conf("huge ndots", "options ndots:999\nsearch corp.example\n" + ONE, "web")
    yield conf("malformed timeout", "options timeout:x\n" + ONE)
    yield conf("a bad address", "nameserver 300.0.0.1\n" + ONE)
    yield conf("a word for an address", "nameserver dns.example\n" + ONE)
    yield conf("no address", "nameserver\n" + ONE)
    yield conf("blanks for an address", "nameserver   \t \n" + ONE)
    yield conf("only bad addresses: 127.0.0.1", "nameserver 300.0.0.1\nnameserver x\n")
    yield conf("a BOM costs its line", b"\xef\xbb\xbfnameserver 127.0.0.2\n" + ONE.encode())
    yield conf("a BOM before the only line", b"\xef\xbb\xbfnameserver 127.0.0.4\n")
    yield conf("bytes beyond UTF-8", b"# caf\xe9 \xff\nsearch \xff\xfe\n" + ONE.encode())
    yield conf("bytes beyond UTF-8 in an address", b"nameserver 127.0.0.\xff\n" + ONE.encode())
    yield conf("a tab", "nameserver\t127.0.0.1\n")
    yield conf("several blanks", "nameserver    127.0.0.1   \n")
    yield conf("something behind the address", "nameserver 127.0.0.1 # the first\n")
    yield conf("a blank before the keyword", " nameserver 127.0.0.2\n" + ONE)
    yield conf("capitals in the keyword", "NAMESERVER 127.0.0.4\n" + ONE)
    yield conf("carriage returns", "nameserver 127.0.0.2\r\n" + ONE)
    yield conf("no line feed at the end", "nameserver 127.0.0.1")
    yield conf("two parts", "nameserver 127.1\n")
    yield conf("hexadecimal", "nameserver 0x7f000001\n")
    yield conf("octal", "nameserver 0177.0.0.1\n")
    yield conf("a whole number", "nameserver 2130706433\n")
    yield conf("IPv6 server", "nameserver ::1\n")
    yield conf("IPv6 server in brackets", "nameserver [::1]\n" + ONE)
    yield conf("a server with a port", "nameserver 127.0.0.4:53\n" + ONE)
    yield conf("a link-local server with a zone", "nameserver fe80::53%v0\n")
    yield conf("the zone as a number", "nameserver fe80::53%{v0}\n")
    yield conf(
        "the fourth server is not asked",
        QUICK + "nameserver 127.0.0.2\nnameserver 127.0.0.4\nnameserver 127.0.0.5\n" + ONE,
    )
    yield conf("the third is", QUICK + "nameserver 127.0.0.2\nnameserver 127.0.0.4\n" + ONE)
    yield conf("the first fails", QUICK + "nameserver 127.0.0.2\n" + ONE)
    yield conf("the first refuses", QUICK + "nameserver 127.0.0.4\n" + ONE)
    yield conf("the first does not implement", QUICK + "nameserver 127.0.0.5\n" + ONE)
    yield conf("the first is silent", QUICK + "nameserver 127.0.0.3\n" + ONE)
    yield conf("the first is not there", QUICK + "nameserver 127.0.0.77\n" + ONE)
    yield conf("search", "search corp.example\n" + ONE, "web")
    yield conf("domain", "domain corp.example\n" + ONE, "web")
    yield conf(
        "the last of domain and search", "search lab.example\ndomain corp.example\n" + ONE, "web"
    )
    yield conf("the last search", "search corp.example\nsearch lab.example\n" + ONE, "web")
    yield conf(
        "an empty search changes nothing", "search corp.example\nsearch\nsearch  \n" + ONE, "web"
    )
    yield conf("search with tabs", "search\tnone.example\tcorp.example\n" + ONE, "web")
    yield conf("a name that is only what it is", "search none.example\n" + ONE, "web")
    yield conf("search with the root", "search . corp.example\n" + ONE, "web")
    yield conf(
        "dots reach ndots: as it is first", "search corp.example\noptions ndots:1\n" + ONE, "a.b"
    )
    yield conf("fewer dots: search first", "search corp.example\noptions ndots:5\n" + ONE, "a.b")
    yield conf("ndots:0", "search corp.example\noptions ndots:0\n" + ONE, "web")
    yield conf("a dot at the end: no search", "search corp.example\n" + ONE, "web.")
    yield conf("as it is has no data: on", "search corp.example\n" + ONE, "x.y.z")
    yield conf("as it is fails: on", QUICK + "search corp.example\n" + ONE, "x.y")
    # After the last three glibc leaves the rest of the list out, and asks for the name as it is.
    for word in ("nodata", "servfail", "refused", "notimp", "silent"):
        yield conf(
            "ndots:5, after " + word,
            QUICK + "search %s.test corp.example\noptions ndots:5\n" % word + ONE,
            "web",
        )
    yield conf(
        "ndots:5, after all of them",
        QUICK
        + "search nodata.test servfail.test refused.test lab.example\noptions ndots:5\n"
        + ONE,
        "web",
    )
    yield conf(
        "ndots:5, in the end as it is",
        QUICK + "search nodata.test servfail.test\noptions ndots:5\n" + ONE,
        "up.example",
    )
    yield conf("hosts", ONE, "mine", HOSTS + "127.9.1.1 mine\n")
    yield conf("hosts before the server", ONE, "good.example", HOSTS + "127.9.1.2 good.example\n")
    yield conf("hosts, an alias", ONE, "alias", HOSTS + "127.9.1.1 mine alias other\n")
    yield conf("hosts, capitals", ONE, "MINE", HOSTS + "127.9.1.1 Mine\n")
    yield conf("hosts, several lines", ONE, "mine", HOSTS + "127.9.1.1 mine\n127.9.1.2 mine\n")
    yield conf("hosts, both families", ONE, "mine", HOSTS + "127.9.1.1 mine\nfd00::9 mine\n")
    yield conf("hosts, a comment behind", ONE, "mine", HOSTS + "127.9.1.1 mine # not.this\n")
    yield conf("hosts, only in the comment", ONE, "not.this", HOSTS + "127.9.1.1 mine # not.this\n")
    yield conf("hosts, a bad address", ONE, "mine", HOSTS + "300.1.1.1 mine\n127.9.1.1 mine\n")
    yield conf(
        "hosts, two parts are no address", ONE, "mine", HOSTS + "127.1 mine\n127.9.1.1 mine\n"
    )
    yield conf("hosts, an address and no name", ONE, "mine", HOSTS + "127.9.1.9\n127.9.1.1 mine\n")
    yield conf(
        "hosts, bytes beyond UTF-8 on another line",
        ONE,
        "mine",
        HOSTS.encode() + b"127.9.1.8 caf\xe9\n127.9.1.1 mine\n",
    )
    yield conf(
        "hosts, bytes beyond UTF-8 on the same line",
        ONE,
        "mine",
        HOSTS.encode() + b"127.9.1.1 caf\xe9 mine\n",
    )
    yield conf(
        "hosts, tabs, blanks and carriage returns", ONE, "mine", HOSTS + "  127.9.1.1\t mine \r\n"
    )
    yield conf("hosts, empty", ONE, "good.example", "")


def glibc(name):
    r = sh("getent", "ahosts", name, ok=False, errors="replace", timeout=60)
    return sorted({line.split()[0] for line in r.stdout.splitlines()})


def ours(name):
    found = probe("tcp://%s:9" % name, "--timeout", "9s", errors="replace", timeout=60)
    why = "%s: %s" % (found["cause"], found["detail"])
    return sorted({a["address"] for a in found.get("attempts", [])}), why


def inside():
    for line in (
        "ip link set lo up",
        "ip link add v0 type veth peer name v1",
        "ip addr add fe80::53/64 dev v1 nodad",
        "ip addr add fd00::9/64 dev v0 nodad",
        "ip addr add 10.99.0.1/24 dev v0",
        "ip link set v0 up",
        "ip link set v1 up",
    ):
        sh(*line.split())
    v0 = str(socket.if_nametoindex("v0"))
    work = tempfile.mkdtemp()
    files = {}
    for path, text in (
        ("/etc/resolv.conf", ""),
        ("/etc/hosts", HOSTS),
        ("/etc/nsswitch.conf", "hosts: files dns\n"),
    ):
        files[path] = write(os.path.join(work, os.path.basename(path)), text)
        sh("mount", "--bind", files[path], os.path.realpath(path))
    for address in ["127.0.0.1", "::1", *ALWAYS]:
        serve(address)
    linked = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    linked.bind(("fe80::53", 53, 0, socket.if_nametoindex("v1")))
    answer_datagrams(linked, lambda query: reply(query, None))
    count, wrong = 0, []
    for what, conf, hosts, name in cases():
        for path, text in (
            ("/etc/resolv.conf", conf.replace(b"{v0}", v0.encode())),
            ("/etc/hosts", hosts),
        ):
            write(files[path], text)
        theirs = glibc(name)
        found, why = ours(name)
        count += 1
        if theirs != found:
            wrong.append("%s: glibc %s, probity %s (%s)" % (what, theirs, found, why))
    print("%d files, %d differ" % (count, len(wrong)))
    print("\n".join(wrong))
    sys.exit(1 if wrong or count < 60 else 0)


if __name__ == "__main__":
    if os.environ.get("PROBITY_INSIDE"):
        inside()
    os.execvpe(
        "unshare",
        ["unshare", "--net", "--mount", sys.executable, os.path.abspath(__file__)],
        dict(os.environ, PROBITY_INSIDE="1"),
    )
