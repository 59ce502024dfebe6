#!/bin/sh
# Package:   github.com/TwiN/gatus/v5 v5.36.0 (Go module).
# Behaviour: the server announces "Content-Length: 1000", sends 32 bytes and closes. Gatus writes
#            "unexpected EOF" into the errors of the result. It then holds its conditions against
#            the 32 bytes. They are met, so the result is a success, also in its metrics. Python's
#            http.client raises an error.
# Why it matters: RFC 9112 section 8 calls such a message incomplete. A server that breaks off
#            every page stays green, and Gatus sends no alert. The README says that an endpoint is
#            unhealthy if a condition fails. It does not say what an error without one means.
# Seen:      whole body: success True, errors none
#            truncated body: success True, errors error reading response body:unexpected EOF
#            its metric: gatus_results_total with success="true"
#            http.client: IncompleteRead(32 bytes read, 968 more expected)
# Needs:     Go 1.26.3 or later, python3.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
go mod init finding
go mod edit -require=github.com/TwiN/gatus/v5@v5.36.0
GOBIN="$work" go install -mod=mod github.com/TwiN/gatus/v5
cat > run.py <<'PY'
import http.client, json, os, re, socket, socketserver, subprocess, threading, time, urllib.request

WHOLE = b"The shop is open. Welcome to it!"
assert len(WHOLE) == 32


class Site(socketserver.StreamRequestHandler):
    def handle(self):
        path = self.rfile.readline().split()[1]
        while self.rfile.readline().strip():
            pass
        length = 1000 if path == b"/truncated" else len(WHOLE)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % length
        self.wfile.write(head + WHOLE)


server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Site)
threading.Thread(target=server.serve_forever, daemon=True).start()
site = "127.0.0.1:%d" % server.server_address[1]
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
address = "http://127.0.0.1:%d" % port
conditions = ["[STATUS] == 200", "[BODY] == pat(*open*)"]
endpoints = [
    {"name": name, "url": "http://%s/%s" % (site, name), "interval": "1s", "conditions": conditions}
    for name in ("whole", "truncated")
]
# JSON is YAML too.
with open("gatus.yaml", "w") as file:
    web = {"address": "127.0.0.1", "port": port}
    json.dump({"web": web, "metrics": True, "endpoints": endpoints}, file)
environment = dict(os.environ, GATUS_CONFIG_PATH="gatus.yaml")
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
gatus = subprocess.Popen(["./gatus"], env=environment, **quiet)


def get(path):
    with urllib.request.urlopen(address + path, timeout=10) as reply:
        return reply.read().decode()


def result(name):
    end = time.monotonic() + 30
    while True:
        try:
            results = json.loads(get("/api/v1/endpoints/_%s/statuses" % name))["results"]
            if results:
                return results[-1]
        except OSError:
            pass
        if time.monotonic() > end:
            raise SystemExit("no result of Gatus within 30 s")
        time.sleep(0.2)


try:
    for name in ("whole", "truncated"):
        last = result(name)
        errors = ", ".join(last.get("errors") or ["none"])
        print("%s body: success %s, errors %s" % (name, last["success"], errors))
    series = re.findall(r'^gatus_results_total\{.*key="_truncated".*\}', get("/metrics"), re.M)
    seen = [re.search(r'success="\w+"', one)[0] for one in series]
    print("its metric: gatus_results_total with", *seen)
finally:
    gatus.terminate()
    gatus.wait()
connection = http.client.HTTPConnection(site, timeout=10)
connection.request("GET", "/truncated")
try:
    connection.getresponse().read()
    print("http.client: no error")
except http.client.IncompleteRead as error:
    print("http.client:", error)
PY
python3 run.py | tee seen
cat > expected <<'END'
whole body: success True, errors none
truncated body: success True, errors error reading response body:unexpected EOF
its metric: gatus_results_total with success="true"
http.client: IncompleteRead(32 bytes read, 968 more expected)
END
diff expected seen
