#!/bin/sh
# Package:   libc6 and libc-bin 2.36-9+deb12u14 (glibc 2.36, Debian 12, amd64).
# Behaviour: resolv.conf has "search one.test two.test" and "options ndots:5". The name server
#            answers web.one.test with an alias whose target has no address, or with an address
#            record of another name. getaddrinfo("web") then asks neither for web.two.test nor for
#            "web" itself. After an answer without any record (NODATA) it does go on.
# Why it matters: one stale CNAME in the first search domain hides the later domains, although the
#            name has no address there in either case.
# Seen:      nodata   found  asked web.one.test web.two.test
#            alias    absent asked web.one.test
#            other    absent asked web.one.test
# Needs:     Debian's apt-get, python3, iproute2, unshare (as root, or with user namespaces).
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for package in libc6 libc-bin; do
    apt-get -qq -o APT::Sandbox::User=root download "$package=2.36-9+deb12u14"
    dpkg -x "$package"_*.deb root
done
cat > run.py <<'PY'
import os, socket, struct, subprocess, sys, threading

work = sys.argv[1]
lib = work + "/root/lib/x86_64-linux-gnu"
RCODE = {"nxdomain": 3, "nodata": 0}
state = {"first": "nxdomain", "asked": []}


def answer(query):
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    name, question = ".".join(labels), query[12:at + 5]
    if name not in state["asked"]:
        state["asked"].append(name)
    if name == "web.two.test":
        record = struct.pack(">HHHIH4B", 0xC00C, 1, 1, 60, 4, 127, 9, 0, 3)
        return query[:2] + struct.pack(">5H", 0x8180, 1, 1, 0, 0) + question + record
    kind = state["first"] if name == "web.one.test" else "nxdomain"
    if kind == "alias":
        target = b"\x04gone\x04test\x00"
        record = struct.pack(">HHHIH", 0xC00C, 5, 1, 60, len(target)) + target
        return query[:2] + struct.pack(">5H", 0x8180, 1, 1, 0, 0) + question + record
    if kind == "other":
        record = b"\x05other\x04test\x00" + struct.pack(">HHIH4B", 1, 1, 60, 4, 127, 9, 0, 4)
        return query[:2] + struct.pack(">5H", 0x8180, 1, 1, 0, 0) + question + record
    return query[:2] + struct.pack(">5H", 0x8180 | RCODE[kind], 1, 0, 0, 0) + question


def serve(s):
    while True:
        query, peer = s.recvfrom(4096)
        reply = answer(query)
        if reply:
            s.sendto(reply, peer)


subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
# getaddrinfo asks for IPv4 addresses only if the host has one beside 127.0.0.1.
subprocess.run(["ip", "addr", "add", "10.99.0.1/24", "dev", "lo"], check=True)
conf = "nameserver 127.0.0.1\nsearch one.test two.test\noptions ndots:5 timeout:1 attempts:1\n"
for name, text in (("resolv.conf", conf), ("nsswitch.conf", "hosts: dns\n")):
    with open(os.path.join(work, name), "w") as f:
        f.write(text)
    target = os.path.realpath("/etc/" + name)
    subprocess.run(["mount", "--bind", os.path.join(work, name), target], check=True)
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
threading.Thread(target=serve, args=(server,), daemon=True).start()
getent = [lib + "/ld-linux-x86-64.so.2", "--library-path", lib, work + "/root/usr/bin/getent"]
for first in ("nodata", "alias", "other"):
    state["first"], state["asked"] = first, []
    done = subprocess.run(getent + ["ahostsv4", "web"], capture_output=True, text=True, timeout=30)
    found = "found " if "127.9.0.3" in done.stdout else "absent"
    print("%-8s %s asked %s" % (first, found, " ".join(state["asked"])))
PY
cat > expected <<'END'
nodata   found  asked web.one.test web.two.test
alias    absent asked web.one.test
other    absent asked web.one.test
END
unshare --net --mount --map-root-user python3 run.py "$work" | tee seen
diff expected seen
