#!/bin/sh
# Package:   prometheus-blackbox-exporter 0.23.0-4+b4 (Go's net/http) and curl with libcurl4
#            7.88.1-10+deb12u15 (Debian 12, amd64).
# Behaviour: RFC 9110 section 15.2 allows any number of interim answers (1xx) before the final
#            one. With five 103 Early Hints before a 200 the http prober reports probe_success 1.
#            With six it reports probe_success 0 and the status code 0, as if nothing had
#            answered. curl gets the page.
# Why it matters: a page that sends hints one by one turns red when the sixth is added, and the
#            metrics show no cause.
# Seen:      5 interim answers: curl 0, probe_success 1, status 200
#            6 interim answers: curl 0, probe_success 0, status 0
# Needs:     Debian's apt-get, python3.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for package in curl=7.88.1-10+deb12u15 libcurl4=7.88.1-10+deb12u15 prometheus-blackbox-exporter=0.23.0-4+b4; do
    apt-get -qq -o APT::Sandbox::User=root download "$package"
done
for package in *.deb; do dpkg -x "$package" root; done
echo 'modules: {plain: {prober: http, timeout: 4s}}' > blackbox.yml
cat > run.py <<'PY'
import os, re, socket, subprocess, threading, time, urllib.request

state = {"hints": 5}


def serve(listener):
    while True:
        peer, _ = listener.accept()
        with peer:
            while b"\r\n\r\n" not in peer.recv(65536):
                pass
            hints = b"".join(b"HTTP/1.1 103 Early Hints\r\nLink: </%d.css>; rel=preload\r\n\r\n" % n for n in range(state["hints"]))
            peer.sendall(hints + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
threading.Thread(target=serve, args=(listener,), daemon=True).start()
target = "http://127.0.0.1:%d/" % listener.getsockname()[1]
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    address = "127.0.0.1:%d" % s.getsockname()[1]
environment = dict(os.environ, LD_LIBRARY_PATH=os.path.abspath("root/usr/lib/x86_64-linux-gnu"))
exporter = subprocess.Popen(
    ["root/usr/bin/prometheus-blackbox-exporter", "--config.file=blackbox.yml", "--web.listen-address=" + address],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def metrics():
    end = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen("http://%s/probe?module=plain&target=%s" % (address, target), timeout=10) as reply:
                return reply.read().decode()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


try:
    for hints in (5, 6):
        state["hints"] = hints
        curl = subprocess.run(["root/usr/bin/curl", "-q", "-s", "--noproxy", "*", "-m", "10", "-o", "page", target], env=environment)
        text = metrics()
        value = lambda name: re.search("^%s (.*)$" % name, text, re.M)[1]
        print("%d interim answers: curl %d, probe_success %s, status %s" % (
            hints, curl.returncode, value("probe_success"), value("probe_http_status_code")))
finally:
    exporter.terminate()
    exporter.wait()
PY
python3 run.py | tee seen
cat > expected <<'END'
5 interim answers: curl 0, probe_success 1, status 200
6 interim answers: curl 0, probe_success 0, status 0
END
diff expected seen
