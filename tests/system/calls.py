"""What a probe asks of the kernel: its system calls, counted by strace."""

import os
import re
import signal
import time

from harness import QUICK, Daemon, Server, endpoint, get, read, slots_by_result, spawn, until

# A socket is made, connected and closed, sends once and receives once; it is registered with epoll
# and taken out again; two options are set, and one question is asked of the connection.
OF_A_PROBE = {
    "socket": 1,
    "connect": 1,
    "close": 1,
    "sendto": 1,
    "recvmsg": 1,
    "epoll_ctl": 2,
    "setsockopt": 2,
    "getsockopt": 1,
}
# What a probe could ask, and does not: its share is told apart from that of the daemon's ticks.
NOT_OF_A_PROBE = ("getsockname", "getpeername", "clock_gettime", "fcntl", "ioctl", "bind")


def counted(path):
    """Calls by name, of a summary of strace."""
    row = r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$"
    return {name: int(n) for n, name in re.findall(row, read(path), re.M)}


def test_a_probe_asks_of_the_kernel_what_it_has_to(d):
    server = Server()
    text = QUICK + "".join(endpoint("e%d" % n, server.port) for n in range(50))
    daemon = Daemon(d, text).begin().must_be_ready()

    def probes():
        page = get(daemon.url("/metrics?collect[]=accounting"))
        return sum(slots_by_result(page).values())

    until(lambda: probes() >= 100, 30, "two rounds of probes")
    summary = os.path.join(d, "calls")
    before = probes()
    tracer = spawn("strace", "-c", "-f", "-p", str(daemon.p.pid), "-o", summary)
    time.sleep(6)
    tracer.send_signal(signal.SIGINT)
    tracer.wait(10)
    made, calls = probes() - before, counted(summary)
    assert made > 150, made
    shares = {name: calls.get(name, 0) / made for name in (*OF_A_PROBE, *NOT_OF_A_PROBE)}
    assert shares["connect"] >= 0.8, "strace saw too little of them: %r" % calls
    # The two questions for probes() have calls of their own, and some are made while strace begins.
    for name, share in shares.items():
        most = OF_A_PROBE.get(name, 0) + 0.3
        assert share <= most, "%s: %.2f a probe, at most %.1f (%r)" % (name, share, most, shares)
    return "%.2f calls a probe of its socket" % sum(shares.values())


def test_the_daemon_declines_huge_pages(d):
    daemon = Daemon(d, QUICK + endpoint("web", Server().port)).begin().must_be_ready()
    status = read("/proc/%d/status" % daemon.p.pid)
    assert "THP_enabled:\t0\n" in status, status
