#!/bin/sh
# Package:   github.com/TwiN/gatus/v5 v5.36.0 (Go module).
# Behaviour: the README says that "concurrency: 0" is unlimited and replaces the deprecated
#            "disable-monitoring-lock: true". In fact Gatus takes 0 for an absent key and uses the
#            default of 3. Here twelve endpoints hang and one answers. The interval is 2 s, the
#            timeout 1.5 s. With 0, Gatus asks the good endpoint as rarely as without the key. With
#            100 or with the deprecated key it asks at least twice as often. Its warning about the
#            deprecated key recommends the value 0.
# Why it matters: an operator who follows the warning gets fewer probes of every endpoint while
#            some hang, and later alarms. Issue 1755 of TwiN/gatus reports the value 0 and is open.
#            The README of this version does not mention it.
# Seen:      concurrency absent: at most half of the requests with 100
#            concurrency 0: at most half of the requests with 100
#            disable-monitoring-lock: as many requests as with 100
#            absent and 0: the same
#            its warning: Please set 'concurrency: 0' instead
#            (On standard error: 5, 5, 12 and 12 requests in 24 s; the last is that of 100.)
# Needs:     Go 1.26.3 or later, python3. It takes 30 s after the build.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
go mod init finding
go mod edit -require=github.com/TwiN/gatus/v5@v5.36.0
GOBIN="$work" go install -mod=mod github.com/TwiN/gatus/v5
cat > run.py <<'PY'
import http.server, json, os, re, socket, socketserver, subprocess, sys, threading, time

SECONDS = 24
SETTINGS = {
    "concurrency absent": {},
    "concurrency 0": {"concurrency": 0},
    "disable-monitoring-lock": {"disable-monitoring-lock": True},
    "concurrency 100": {"concurrency": 100},
}
names = list(SETTINGS)
asked = {name: [] for name in names}


class Good(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked[names[int(self.path[1:])]].append(time.monotonic())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Hanging(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            while self.request.recv(65536):
                pass
        except ConnectionError:
            pass


class Listener(socketserver.ThreadingTCPServer):
    daemon_threads, request_queue_size = True, 100


def serve(handler):
    server = Listener(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return "http://127.0.0.1:%d/" % server.server_address[1]


def start(number, setting):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    urls = {"hanging-%d" % n: hanging for n in range(12)} | {"good": good + str(number)}
    common = {"interval": "2s", "client": {"timeout": "1500ms"}, "conditions": ["[STATUS] == 204"]}
    endpoints = [{"name": name, "url": url, **common} for name, url in urls.items()]
    # JSON is YAML too.
    web = {"address": "127.0.0.1", "port": port}
    with open("%d.yaml" % number, "w") as file:
        json.dump({"web": web, "endpoints": endpoints, **setting}, file)
    environment = dict(os.environ, GATUS_CONFIG_PATH="%d.yaml" % number, GATUS_LOG_LEVEL="WARN")
    with open("%d.log" % number, "w") as log:
        return subprocess.Popen(["./gatus"], env=environment, stdout=log, stderr=log)


good, hanging = serve(Good), serve(Hanging)
started = [start(number, setting) for number, setting in enumerate(SETTINGS.values())]
try:
    end = time.monotonic() + 60
    while not all(asked.values()):
        if time.monotonic() > end:
            raise SystemExit("Gatus did not ask the good endpoint within 60 s")
        time.sleep(0.1)
    # The same number of seconds for each, from its first request on.
    last = max(times[0] for times in asked.values())
    time.sleep(max(0.0, last + SECONDS - time.monotonic()))
finally:
    for gatus in started:
        gatus.terminate()
        gatus.wait()
counts = {name: sum(at < times[0] + SECONDS for at in times) for name, times in asked.items()}
print("requests in %d s: %s" % (SECONDS, counts), file=sys.stderr)
most = counts["concurrency 100"]
for name in names[:3]:
    share = counts[name] / most
    if share <= 0.5:
        print("%s: at most half of the requests with 100" % name)
    elif 0.75 <= share <= 1.33:
        print("%s: as many requests as with 100" % name)
    else:
        print("%s: %d requests, %d with 100" % (name, counts[name], most))
few = [counts[name] for name in names[:2]]
print("absent and 0: %s" % ("the same" if abs(few[0] - few[1]) <= 1 else few))
with open("2.log") as log:
    print("its warning:", re.search("Please set .*", log.read())[0])
PY
python3 run.py | tee seen
cat > expected <<'END'
concurrency absent: at most half of the requests with 100
concurrency 0: at most half of the requests with 100
disable-monitoring-lock: as many requests as with 100
absent and 0: the same
its warning: Please set 'concurrency: 0' instead
END
diff expected seen
