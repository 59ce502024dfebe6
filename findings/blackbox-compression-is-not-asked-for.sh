#!/bin/sh
# Package:   prometheus-blackbox-exporter 0.23.0-4+b4 (Debian 12, amd64).
# Behaviour: a module with "compression: gzip" does not ask for gzip: the request has no
#            Accept-Encoding. The answer is nevertheless put through gzip, also without
#            Content-Encoding. A server that compresses on request then answers plainly, and the
#            probe is probe_success 0 with status 200. Only with a header that the operator adds
#            to the module does the probe succeed.
# Why it matters: the option alone makes every server red that negotiates as RFC 9110 says. With
#            the header it still does so for a short page, which servers leave uncompressed.
# Seen:      compression alone: Accept-Encoding None, probe_success 0, status 200
#            compression and header: Accept-Encoding gzip, probe_success 1, status 200
#            compression and header, short page: Accept-Encoding gzip, probe_success 0, status 200
# Needs:     Debian's apt-get, python3.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq -o APT::Sandbox::User=root download prometheus-blackbox-exporter=0.23.0-4+b4
dpkg -x prometheus-blackbox-exporter_*.deb root
cat > blackbox.yml <<'END'
modules:
  alone:
    prober: http
    timeout: 4s
    http: {compression: gzip}
  header:
    prober: http
    timeout: 4s
    http: {compression: gzip, headers: {Accept-Encoding: gzip}}
END
cat > run.py <<'PY'
import gzip, http.server, re, socket, subprocess, threading, time, urllib.request

asked = []


class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(self.headers["Accept-Encoding"])
        packed = asked[-1] == "gzip" and self.path == "/long"
        page = gzip.compress(b"all is well " * 100) if packed else b"ok"
        self.send_response(200)
        self.send_header("Vary", "Accept-Encoding")
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
threading.Thread(target=server.serve_forever, daemon=True).start()
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    address = "127.0.0.1:%d" % s.getsockname()[1]
exporter = subprocess.Popen(
    ["root/usr/bin/prometheus-blackbox-exporter", "--config.file=blackbox.yml", "--web.listen-address=" + address],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def metrics(module, path):
    url = "http://%s/probe?module=%s&target=http://127.0.0.1:%d%s" % (address, module, server.server_address[1], path)
    end = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                return reply.read().decode()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


try:
    cases = (("alone", "/long", "compression alone"), ("header", "/long", "compression and header"),
             ("header", "/short", "compression and header, short page"))
    for module, path, label in cases:
        text = metrics(module, path)
        value = lambda name: re.search("^%s (.*)$" % name, text, re.M)[1]
        print("%s: Accept-Encoding %s, probe_success %s, status %s" % (
            label, asked[-1], value("probe_success"), value("probe_http_status_code")))
finally:
    exporter.terminate()
    exporter.wait()
PY
python3 run.py | tee seen
cat > expected <<'END'
compression alone: Accept-Encoding None, probe_success 0, status 200
compression and header: Accept-Encoding gzip, probe_success 1, status 200
compression and header, short page: Accept-Encoding gzip, probe_success 0, status 200
END
diff expected seen
