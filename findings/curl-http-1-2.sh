#!/bin/sh
# Package:   curl and libcurl4 7.88.1-10+deb12u15 (Debian 12, amd64), beside Python's http.client
#            and prometheus-blackbox-exporter 0.23.0-4+b4 (Go's net/http).
# Behaviour: curl ends with code 1 ("Unsupported protocol") when the status line says HTTP/1.2.
#            RFC 9110 section 2.5 wants a recipient to read a higher minor version as the
#            highest one that it knows. Python and Go read the answer as HTTP/1.1.
# Why it matters: the exit code blames the URL's scheme. It is the same as for "foo://host".
# Seen:      HTTP/1.1: curl 0, Python 200, blackbox_exporter 1
#            HTTP/1.2: curl 1, Python 200, blackbox_exporter 1
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
import http.client, os, re, socket, subprocess, threading, time, urllib.request

state = {"version": b"1.1"}


def serve(listener):
    while True:
        peer, _ = listener.accept()
        with peer:
            while b"\r\n\r\n" not in peer.recv(65536):
                pass
            peer.sendall(b"HTTP/%s 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello" % state["version"])


def free_address():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % s.getsockname()[1]


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
threading.Thread(target=serve, args=(listener,), daemon=True).start()
target = "127.0.0.1:%d" % listener.getsockname()[1]
address = free_address()
environment = dict(os.environ, LD_LIBRARY_PATH=os.path.abspath("root/usr/lib/x86_64-linux-gnu"))
exporter = subprocess.Popen(
    ["root/usr/bin/prometheus-blackbox-exporter", "--config.file=blackbox.yml", "--web.listen-address=" + address],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def success():
    end = time.monotonic() + 20
    while True:
        try:
            url = "http://%s/probe?module=plain&target=http://%s/" % (address, target)
            with urllib.request.urlopen(url, timeout=10) as reply:
                return re.search("^probe_success (.*)$", reply.read().decode(), re.M)[1]
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


try:
    for version in ("1.1", "1.2"):
        state["version"] = version.encode()
        curl = subprocess.run(["root/usr/bin/curl", "-q", "-s", "--noproxy", "*", "-m", "10", "-o", "page", "http://%s/" % target], env=environment)
        connection = http.client.HTTPConnection(target, timeout=10)
        connection.request("GET", "/")
        status = connection.getresponse().status
        print("HTTP/%s: curl %d, Python %d, blackbox_exporter %s" % (version, curl.returncode, status, success()))
finally:
    exporter.terminate()
    exporter.wait()
PY
python3 run.py | tee seen
cat > expected <<'END'
HTTP/1.1: curl 0, Python 200, blackbox_exporter 1
HTTP/1.2: curl 1, Python 200, blackbox_exporter 1
END
diff expected seen
