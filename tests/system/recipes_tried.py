"""The configs of docs/recipes.md: `probity check` accepts each, and those of servers that Debian
has in a small package do what they say against that server. A part of recipes.py."""

import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from harness import PROBITY, ROOT, free_port, probe, read, sh, spawn, until, write

PAGE = os.path.join(ROOT, "docs", "recipes.md")
# So often each is probed: what a server counts or limits by address shows in its log.
PROBES = 10


def blocks(page: str, language: str) -> Iterator[tuple[str, str]]:
    """Each block of a page in that language, named by its heading and its number there."""
    for section in re.split(r"(?m)^## ", read(page))[1:]:
        heading = section.split("\n")[0]
        found = re.findall(r"(?ms)^```%s\n(.*?)^```" % language, section)
        for number, text in enumerate(found, 1):
            yield "%s, %d" % (heading, number), text


def udp_socket() -> socket.socket:
    """A socket for datagrams on a port of loopback."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    return s


def certificate(d: str, name: str) -> tuple[str, str]:
    """A certificate for 127.0.0.1 that is its own authority, for both sides: its files."""
    pem, key = os.path.join(d, name + ".pem"), os.path.join(d, name + ".key")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    more = ["-addext", "subjectAltName=IP:127.0.0.1", "-days", "30", "-subj", "/CN=" + name]
    sh("openssl", "req", "-x509", *curve, *more, "-keyout", key, "-out", pem)
    return pem, key


def configs(d: str) -> Iterator[tuple[str, str]]:
    """The configs of the page by their headings, their secrets in the directory."""
    for heading, text in blocks(PAGE, "toml"):
        yield heading, text.replace("/etc/probity/secrets", os.path.join(d, "secrets"))


def make_secrets(d: str) -> None:
    """The files that the configs of the page name."""
    folder = os.path.join(d, "secrets")
    os.mkdir(folder)
    pem, key = certificate(d, "recipes")
    for name in sorted(set(re.findall(r'"/etc/probity/secrets/([\w.-]+)"', read(PAGE)))):
        path = os.path.join(folder, name)
        if name.endswith((".pem", ".key")):
            shutil.copy(pem if name.endswith(".pem") else key, path)
        else:
            write(path, "word-of-the-recipes\n")
        os.chmod(path, 0o600)


def test_check_accepts_every_config_of_the_recipes(d: str) -> str:
    make_secrets(d)
    count = 0
    for heading, text in configs(d):
        config = write(os.path.join(d, "probity.toml"), text)
        checked = sh(PROBITY, "check", "--config", config, ok=False)
        assert checked.returncode == 0, "%s\n%s%s" % (heading, checked.stdout, checked.stderr)
        count += 1
        # A name that is spelt wrongly is found: the check above can fail.
        wrong = write(os.path.join(d, "wrong.toml"), text.replace("probe.", "prove."))
        assert sh(PROBITY, "check", "--config", wrong, ok=False).returncode == 78, heading
    assert count > 15, count
    return "%d configs" % count


# ---- real servers -------------------------------------------------------------------------------


class Tried(NamedTuple):
    """A server of a recipe: the address on the page, how it is started, what its log has for each
    probe, and what it does not have."""

    address: str
    start: Callable[[str, int], list[str]]
    logs: str
    never: str


def redis(d: str, port: int) -> list[str]:
    text = 'port %d\nbind 127.0.0.1\nsave ""\nloglevel verbose\n' % port
    text += "user probe on >word-of-the-recipes +ping\n"
    return ["redis-server", write(os.path.join(d, "redis.conf"), text)]


def mosquitto(d: str, port: int) -> list[str]:
    text = "listener %d 127.0.0.1\nallow_anonymous true\nlog_dest stderr\n" % port
    return ["mosquitto", "-c", write(os.path.join(d, "mosquitto.conf"), text)]


def sshd(d: str, port: int) -> list[str]:
    key = os.path.join(d, "host-key")
    sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    os.makedirs("/run/sshd", exist_ok=True)
    options = ["Port=%d" % port, "ListenAddress=127.0.0.1", "HostKey=" + key, "PidFile=none"]
    given = [part for option in options for part in ("-o", option)]
    return ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", *given]


def slapd(d: str, port: int) -> list[str]:
    text = "include /etc/ldap/schema/core.schema\npidfile %s/slapd.pid\n" % d
    config = write(os.path.join(d, "slapd.conf"), text)
    return ["/usr/sbin/slapd", "-f", config, "-h", "ldap://127.0.0.1:%d" % port, "-d", "256"]


def nginx(d: str, port: int) -> list[str]:
    pem, key = os.path.join(d, "recipes.pem"), os.path.join(d, "recipes.key")
    text = "daemon off;\nmaster_process off;\nerror_log stderr;\n"
    text += "pid %s/nginx.pid;\nevents {}\nhttp {\n" % d
    text += "access_log /dev/stderr;\nserver {\nlisten 127.0.0.1:%d ssl;\n" % port
    text += "ssl_certificate %s;\nssl_certificate_key %s;\n" % (pem, key)
    text += "ssl_client_certificate %s;\nssl_verify_client on;\n" % pem
    text += 'location / { return 200 "ok\\n"; }\n}\n}\n'
    return ["/usr/sbin/nginx", "-c", write(os.path.join(d, "nginx.conf"), text)]


TRIED = {
    "Redis and Valkey": Tried("redis.example:6379", redis, "Accepted", "(?i:attack|error)"),
    "MQTT": Tried("mqtt.example:1883", mosquitto, "as probity", "(?i:error)|not authorised"),
    "SSH": Tried(
        "ssh.example:22", sshd, r"(?:closed|reset) by .*\[preauth\]", "kex_exchange|(?i:error)"
    ),
    "LDAP": Tried("ldap.example:389", slapd, 'CMP dn="" attr="objectClass"', "connection lost"),
    "mTLS": Tried("partner.example:8443", nginx, '"GET /health HTTP/1.1" (?:200|400)', r"\[error"),
}


def listens(port: int) -> bool:
    """Whether a server does, without a connection that its log would have, too."""
    return "0100007F:%04X 00000000:0000 0A" % port in read("/proc/net/tcp")


def attempt(d: str, heading: str, tried: Tried) -> int:
    """How many endpoints of the recipe were up, each so often, against its server."""
    port, log = free_port(), os.path.join(d, re.sub(r"\W", "-", heading) + ".log")
    with open(log, "w") as out:
        server = spawn(*tried.start(d, port), stdout=out, stderr=out)
    until(partial(listens, port), 20, heading + " on its port", process=server)
    ours = [text for where, text in configs(d) if where.startswith(heading + ", ")]
    size, endpoints = os.path.getsize(log), 0
    for text in ours:
        # Those of other addresses, such as the port for TLS, have no server here.
        tables = re.split(r"(?m)^(?=\[\[endpoint\]\])", text)
        tables = [table for table in tables if tried.address in table]
        here = "".join(tables).replace(tried.address, "127.0.0.1:%d" % port)
        config = write(os.path.join(d, "probity.toml"), here)
        for name in re.findall(r'(?m)^name = "(.*)"', here):
            endpoints += 1
            for _ in range(PROBES):
                report = probe(name, "--config", config)
                assert report["result"] == "success", (heading, name, report)
    expected = PROBES * endpoints

    def logged() -> str:
        with open(log, errors="replace") as f:
            f.seek(size)
            return f.read()

    def counted() -> bool:
        return len(re.findall(tried.logs, logged())) >= expected

    until(counted, 10, "%d lines %r of %s" % (expected, tried.logs, heading))
    bad = re.search(".*(?:%s).*" % tried.never, logged())
    assert not bad, (heading, bad)
    return endpoints


def test_recipes_are_up_against_real_servers_which_do_not_mind(d: str) -> str:
    make_secrets(d)
    done = {heading: attempt(d, heading, tried) for heading, tried in TRIED.items()}
    assert all(done.values()), done
    return ", ".join("%s: %d" % each for each in done.items())
