"""Networks that are lost, in network namespaces: a part of the system suite (run.py)."""

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import time

from harness import PROBITY, QUICK, QUIET, Daemon, probe, sh, spawn, until, write


class Namespace:
    """A network namespace; called with a command line, it runs that in it."""

    def __init__(self, name):
        self.name, self.prefix = name, ["ip", "netns", "exec", name]
        self.remove()
        sh("ip", "netns", "add", name)
        self("ip link set lo up")

    def __call__(self, line, *more, ok=True):
        return sh(*self.prefix, *shlex.split(line), *more, ok=ok)

    def remove(self):
        sh("ip", "netns", "del", self.name, ok=False)

    def link(self, device, other, others_device):
        """A cable to another namespace."""
        peer = "peer name %s netns %s" % (others_device, other.name)
        sh(*("ip link add %s netns %s type veth %s" % (device, self.name, peer)).split())

    def address(self, device, *addresses):
        for address in addresses:
            self("ip addr add %s dev %s" % (address, device))
        self("ip link set %s up" % device)

    def serve(self, address):
        """Python's web server, in here."""
        argv = [sys.executable, "-m", "http.server", "8099", "--bind", address]
        return spawn(*self.prefix, *argv, **QUIET)


@contextlib.contextmanager
def namespaces(*names):
    made = []
    try:
        for name in names:
            made.append(Namespace(name))
        yield made
    finally:
        for namespace in made:
            namespace.remove()


def test_unreachable_is_the_endpoints_from_a_router_and_ours_from_the_kernel(d):
    """Three namespaces: prober - router - target. The router loses its route; then the prober loses
    its own."""
    with namespaces("probity-a", "probity-r", "probity-b") as (a, r, b):
        a.link("pa", r, "ra")
        r.link("rb", b, "pb")
        a.address("pa", "10.77.1.2/24")
        r.address("ra", "10.77.1.1/24")
        r.address("rb", "10.77.2.1/24")
        b.address("pb", "10.77.2.2/24")
        r("sysctl -q -w net.ipv4.ip_forward=1")
        a("ip route add default via 10.77.1.1")
        b("ip route add default via 10.77.2.1")
        server = b.serve("10.77.2.2")

        def probed(target):
            return probe(target, "--timeout", "1s", prefix=a.prefix)

        until(lambda: probed("http://10.77.2.2:8099/")["result"] == "success", 10, "the path")
        assert probed("icmp://10.77.2.2")["result"] == "success"
        # A target that is there and says nothing.
        b("sysctl -q -w net.ipv4.icmp_echo_ignore_all=1")
        assert probed("icmp://10.77.2.2")["cause"] == "icmp_timeout"
        # A router on the way that knows no way.
        r("ip route replace unreachable 10.77.2.2/32")
        assert probed("tcp://10.77.2.2:8099")["cause"] == "connect_unreachable"
        assert probed("icmp://10.77.2.2")["cause"] == "icmp_unreachable"
        # Linux tells a datagram socket of "administratively prohibited" only.
        r("sysctl -q -w net.ipv4.icmp_ratelimit=0")
        r("ip route replace prohibit 10.77.2.2/32")
        question = '{ server = "10.77.2.2:53", query = "a.test", type = "A", transport = "%s" }'
        config = os.path.join(d, "dns.toml")
        write(
            config,
            "".join(
                '[[endpoint]]\nname = "%s"\ntimeout = "1s"\nprobe.dns = %s\n' % (t, question % t)
                for t in ("udp", "tcp")
            ),
        )

        # A router says so once a second at most; what is lost is a timeout, never our own fault.
        def unreachable_within(seconds, ask):
            seen = []

            def once():
                seen.append(ask())
                assert seen[-1]["result"] == "failure", seen[-1]
                return seen[-1]["cause"] == "connect_unreachable"

            until(once, seconds, "word from the router")

        def named(name):
            return probe(name, "--config", config, prefix=a.prefix)

        for transport in ("udp", "tcp"):
            unreachable_within(15, lambda: named(transport))
        # This host itself knows no way.
        a("ip route del default")
        for target in ("tcp://10.77.2.2:8099", "icmp://10.77.2.2", "http://10.77.2.2:8099/"):
            found = probed(target)
            assert (found["result"], found["cause"]) == ("unmeasured", "local_network"), found
        # A route of this host that swallows everything, as a tunnel's kill switch has it, for every
        # kind.
        for route in ("blackhole", "unreachable", "prohibit", "throw"):
            a("ip route replace %s default" % route)
            for ask in (
                lambda: probed("tcp://10.77.2.2:8099"),
                lambda: probed("icmp://10.77.2.2"),
                lambda: probed("http://10.77.2.2:8099/"),
                lambda: named("udp"),
                lambda: named("tcp"),
            ):
                found = ask()
                assert found["result"] == "unmeasured" and found["cause"] in (
                    "local_network",
                    "permission",
                ), (route, found)
            a("ip route del %s default" % route)
        # Nobody may open an ICMP socket here.
        a("sysctl -q -w", "net.ipv4.ping_group_range=1 0")
        nobody = ["setpriv", "--reuid", "65534", "--clear-groups", "--bounding-set=-net_raw"]
        found = probe("icmp://127.0.0.1", prefix=[*a.prefix, *nobody])
        assert (found["result"], found["cause"]) == ("unmeasured", "permission"), found
        server.terminate()


HELD = """
import socket, sys
held = []
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    for port in range(40000, 40004):
        for family, any_address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            s = socket.socket(family, kind)
            if family == socket.AF_INET6:
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            s.bind((any_address, port))
            held.append(s)
print("held", flush=True)
sys.stdin.read()
"""
FOUR_KINDS = """[defaults]
timeout = "1s"
[[endpoint]]
name = "tcp"
probe.tcp = "127.0.0.1:22"
[[endpoint]]
name = "source"
source_address = "127.0.0.1"
probe.tcp = "127.0.0.1:22"
[[endpoint]]
name = "http"
source_address = "127.0.0.1"
probe.http = "http://127.0.0.1:22/"
[[endpoint]]
name = "dns"
probe.dns = { server = "127.0.0.1:53", query = "a.test", type = "A" }
"""


def test_without_a_free_local_port_every_kind_is_unmeasured(d):
    """Four ports in a namespace, all of them held by somebody else."""
    config = write(os.path.join(d, "ports.toml"), FOUR_KINDS)
    with namespaces("probity-p") as [p]:
        p("sysctl -q -w", "net.ipv4.ip_local_port_range=40000 40003")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        holder = spawn(*p.prefix, sys.executable, "-c", HELD, **pipes)
        assert holder.stdin and holder.stdout and holder.stdout.readline() == "held\n"
        for name in ("tcp", "source", "http", "dns"):
            found = probe(name, "--config", config, prefix=p.prefix)
            assert (found["result"], found["cause"]) == ("unmeasured", "local_resource"), (
                name,
                found,
            )
        holder.stdin.close()
        holder.wait(10)


def test_icmp_asks_the_next_address_when_the_first_is_silent(d):
    """The first address of the name has a neighbour entry and nobody behind it: echoes go out and
    nothing comes back."""
    hosts = write(
        os.path.join(d, "hosts"),
        "10.79.1.3 gateway.example\n10.79.1.2 gateway.example\n10.79.1.3 silent.example\n",
    )
    with namespaces("probity-ia", "probity-ib") as (a, b):
        a.link("ia", b, "ib")
        a.address("ia", "10.79.1.1/24")
        b.address("ib", "10.79.1.2/24")
        a("ip neigh add 10.79.1.3 lladdr 02:00:00:00:00:03 dev ia nud permanent")
        # `ip netns exec` has a mount namespace of its own.
        mounted = ["sh", "-c", 'mount --bind "$1" /etc/hosts && shift && exec "$@"', "sh", hosts]

        def asked(name):
            return probe("icmp://" + name, "--timeout", "2s", prefix=[*a.prefix, *mounted])

        until(lambda: asked("10.79.1.2")["result"] == "success", 10, "the path")
        found = asked("gateway.example")
        assert found["result"] == "success", found
        # The first is still waited for when the second answers, so it has not failed.
        attempts = [(attempt["address"], attempt["error"]) for attempt in found["attempts"]]
        assert attempts == [("10.79.1.2", None)], found
        assert 200 < found["duration_ms"] < 1500, found
        # Alone, it has the whole timeout.
        found = asked("silent.example")
        assert found["cause"] == "icmp_timeout" and found["duration_ms"] >= 1990, found


def test_without_a_quorum_of_witnesses_failures_are_unknown_and_with_one_a_third_down_is_down(d):
    """Prober - router - targets and witnesses. The router's far link goes: nothing is down. Then a
    third of the targets goes: they are."""
    targets, witnesses = (2, 3, 4), (10, 11)
    with namespaces("probity-wa", "probity-wr", "probity-wb") as (a, r, b):
        a.link("pa", r, "ra")
        r.link("rb", b, "pb")
        a.address("pa", "10.78.1.2/24")
        r.address("ra", "10.78.1.1/24")
        r.address("rb", "10.78.2.1/24")
        b.address("pb", *("10.78.2.%d/24" % k for k in targets + witnesses))
        r("sysctl -q -w net.ipv4.ip_forward=1")
        a("ip route add default via 10.78.1.1")
        b("ip route add default via 10.78.2.1")
        servers = [b.serve("10.78.2.%d" % k) for k in targets + witnesses]
        text = QUICK + "".join(
            '[[endpoint]]\nname = "t%d"\nprobe.http = "http://10.78.2.%d:8099/"\n' % (k, k)
            for k in targets
        )
        text += "".join(
            '[[witness.endpoint]]\nname = "w%d"\ntimeout = "500ms"\nprobe.tcp = "10.78.2.%d:8099"\n'
            % (k, k)
            for k in witnesses
        )
        for k in targets + witnesses:
            line = "curl -sf -o /dev/null http://10.78.2.%d:8099/" % k
            until(lambda: b(line, ok=False).returncode == 0, 20, "server %d" % k)
        daemon = Daemon(d, text, prefix=a.prefix).begin()

        def fetched(path):
            return a("curl -sf", daemon.url(path)).stdout

        def states():
            if a("curl -sf", daemon.url("/-/ready"), ok=False).returncode != 0:
                return {}
            answer = json.loads(fetched("/api/v1/endpoints") or '{"endpoints": []}')
            return {e["name"]: e["state"] for e in answer["endpoints"]}

        def without_a_network():
            series = r'probity_unknown_seconds_total{reason="local_network"} (\S+)'
            found = re.search(series, fetched("/metrics"))
            assert found
            return float(found[1])

        until(lambda: states() == {"t2": "up", "t3": "up", "t4": "up"}, 20, "all up")
        assert "probity_witness_quorum_met 1" in fetched("/metrics")
        r("ip link set rb down")
        until(lambda: set(states().values()) == {"unknown"}, 20, "all unknown")
        page = fetched("/metrics")
        assert (
            "probity_witness_quorum_met 0" in page and 'probity_witness_up{witness="w10"} 0' in page
        ), page
        assert "witness quorum lost" in fetched("/")
        time.sleep(2)
        r("ip link set rb up")
        until(lambda: set(states().values()) == {"up"}, 20, "all up again")
        until(lambda: without_a_network() > 3, 10, "the reason in the metrics")
        assert json.loads(fetched("/api/v1/outages"))["outages"] == []
        servers[0].terminate()
        until(lambda: states() == {"t2": "down", "t3": "up", "t4": "up"}, 20, "a third down")
        outages = json.loads(fetched("/api/v1/outages"))["outages"]
        assert [o["endpoint"] for o in outages] == ["t2"]
        daemon.end()
        kinds = [event["kind"] for event in daemon.journal()]
        assert "witnesses_silent" in kinds and "witnesses_answer" in kinds, kinds
        assert sh(PROBITY, "history", "verify", "--state-dir", daemon.state).returncode == 0
