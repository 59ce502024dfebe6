#!/bin/sh
# Package:   prometheus 2.42.0+ds-5+deb12u1 (Prometheus 2.42.0, Debian 12, amd64).
# Behaviour: after a start, an alerting rule without "for" whose expression is true from the
#            first evaluation on gets no ALERTS and no ALERTS_FOR_STATE sample in the first two
#            evaluations. A recording rule of the same group has its sample in each of them.
# Why it matters: with the usual interval of one minute, an outage in the first two minutes
#            after a restart is missing from every graph and report that reads ALERTS.
# Seen:      recording rule: samples from evaluation 1 on
#            ALERTS: samples from evaluation 3 on
#            ALERTS_FOR_STATE: samples from evaluation 3 on
# Needs:     Debian's apt-get, python3. Runs for about 10 seconds.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq -o APT::Sandbox::User=root download prometheus=2.42.0+ds-5+deb12u1
dpkg -x prometheus_*.deb root
cat > prometheus.yml <<'END'
global: {evaluation_interval: 1s}
rule_files: [rules.yml]
END
cat > rules.yml <<'END'
groups:
  - name: one
    rules:
      - {record: recorded, expr: vector(1)}
      - {alert: Always, expr: vector(1)}
END
cat > run.py <<'PY'
import json, socket, subprocess, time, urllib.request

with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    address = "127.0.0.1:%d" % s.getsockname()[1]
server = subprocess.Popen(
    ["root/usr/bin/prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=" + address],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def samples(name):
    url = "http://%s/api/v1/query?query=%s[5m]" % (address, name)
    with urllib.request.urlopen(url, timeout=5) as reply:
        found = json.load(reply)["data"]["result"]
    return [at for at, _ in found[0]["values"]] if found else []


try:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.5)
        try:
            if len(samples("recorded")) >= 6 and samples("ALERTS"):
                break
        except OSError:
            pass
    evaluations = samples("recorded")
    for name in ("recorded", "ALERTS", "ALERTS_FOR_STATE"):
        first = samples(name)[0]
        number = 1 + min(range(len(evaluations)), key=lambda n: abs(evaluations[n] - first))
        label = "recording rule" if name == "recorded" else name
        print("%s: samples from evaluation %d on" % (label, number))
finally:
    server.terminate()
    server.wait()
PY
python3 run.py | tee seen
cat > expected <<'END'
recording rule: samples from evaluation 1 on
ALERTS: samples from evaluation 3 on
ALERTS_FOR_STATE: samples from evaluation 3 on
END
diff expected seen
