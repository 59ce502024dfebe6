#!/bin/sh
# Package:   monitoring-plugins-basic 2.3.3-5+deb12u2 (Debian 12, amd64).
# Behaviour: check_http takes the first status line for the answer. A server that sends an interim
#            answer (103 Early Hints) and then 503 is "HTTP OK" with exit code 0. Without the
#            interim answer the same 503 is critical. RFC 9110 section 15.2 wants a client to
#            read on to the final answer.
# Why it matters: a CDN that adds early hints hides every error of the site behind it.
# Seen:      503: exit 2, HTTP CRITICAL: HTTP/1.1 503 Service Unavailable
#            103, 503: exit 0, HTTP OK: HTTP/1.1 103 Early Hints
# Needs:     Debian's apt-get, OpenSSL 3, python3.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq -o APT::Sandbox::User=root download monitoring-plugins-basic=2.3.3-5+deb12u2
dpkg -x monitoring-plugins-basic_*.deb root
cat > run.py <<'PY'
import socket, subprocess, threading

HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
DOWN = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndown"
state = {}


def serve(listener):
    while True:
        peer, _ = listener.accept()
        with peer:
            # An interim answer is allowed to a client of HTTP/1.1 only.
            assert b" HTTP/1.1\r\n" in peer.recv(65536)
            peer.sendall(state["answer"])


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
threading.Thread(target=serve, args=(listener,), daemon=True).start()
command = ["root/usr/lib/nagios/plugins/check_http", "-I", "127.0.0.1", "-H", "site.test", "-p",
           str(listener.getsockname()[1]), "-t", "5"]
for label, state["answer"] in (("503", DOWN), ("103, 503", HINT + DOWN)):
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    print("%s: exit %d, %s" % (label, done.returncode, done.stdout.split(" - ")[0]))
PY
python3 run.py | tee seen
cat > expected <<'END'
503: exit 2, HTTP CRITICAL: HTTP/1.1 503 Service Unavailable
103, 503: exit 0, HTTP OK: HTTP/1.1 103 Early Hints
END
diff expected seen
