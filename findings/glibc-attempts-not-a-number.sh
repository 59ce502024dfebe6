#!/bin/sh
# Package:   libc6 and libc-bin 2.36-9+deb12u14 (glibc 2.36, Debian 12, amd64).
# Behaviour: "options attempts:x", "attempts:" and "attempts:0" in resolv.conf make getaddrinfo
#            fail at once without sending one packet. glibc reads the number with atoi and then
#            runs zero rounds. "options timeout:x" and "ndots:x" have no such effect.
# Why it matters: an operator expects a malformed option to be ignored, as an unknown
#            option is. Here one typing error stops all name resolution on the host.
# Seen:      attempts:1 found  1 name asked
#            attempts:x absent 0 names asked
#            attempts:  absent 0 names asked
#            attempts:0 absent 0 names asked
#            timeout:x  found  1 name asked
#            ndots:x    found  1 name asked
#            nonsense:x found  1 name asked
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
asked = set()


def serve(s):
    while True:
        query, peer = s.recvfrom(4096)
        end = query.index(b"\0", 12) + 5
        asked.add(query[12:end])
        record = struct.pack(">HHHIH4B", 0xC00C, 1, 1, 60, 4, 127, 9, 0, 1)
        s.sendto(query[:2] + struct.pack(">5H", 0x8180, 1, 1, 0, 0) + query[12:end] + record, peer)


subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
# getaddrinfo asks for IPv4 addresses only if the host has one beside 127.0.0.1.
subprocess.run(["ip", "addr", "add", "10.99.0.1/24", "dev", "lo"], check=True)
for name in ("resolv.conf", "nsswitch.conf"):
    with open(os.path.join(work, name), "w") as f:
        f.write("hosts: dns\n")
    target = os.path.realpath("/etc/" + name)
    subprocess.run(["mount", "--bind", os.path.join(work, name), target], check=True)
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
threading.Thread(target=serve, args=(server,), daemon=True).start()
getent = [lib + "/ld-linux-x86-64.so.2", "--library-path", lib, work + "/root/usr/bin/getent"]
options = ("attempts:1", "attempts:x", "attempts:", "attempts:0", "timeout:x", "ndots:x", "nonsense:x")
for option in options:
    with open(os.path.join(work, "resolv.conf"), "w") as f:
        f.write("nameserver 127.0.0.1\noptions %s\n" % option)
    asked.clear()
    done = subprocess.run(getent + ["ahostsv4", "good.test"], capture_output=True, text=True, timeout=30)
    found = "found " if "127.9.0.1" in done.stdout else "absent"
    print("%-10s %s %d name%s asked" % (option, found, len(asked), "" if len(asked) == 1 else "s"))
PY
cat > expected <<'END'
attempts:1 found  1 name asked
attempts:x absent 0 names asked
attempts:  absent 0 names asked
attempts:0 absent 0 names asked
timeout:x  found  1 name asked
ndots:x    found  1 name asked
nonsense:x found  1 name asked
END
unshare --net --mount --map-root-user python3 run.py "$work" | tee seen
diff expected seen
