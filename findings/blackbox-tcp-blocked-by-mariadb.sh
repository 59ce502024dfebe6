#!/bin/sh
# Package:   prometheus-blackbox-exporter 0.23.0-4+b4 and mariadb-server-core 1:10.11.19-0+deb12u1
#            (Debian 12, amd64).
# Behaviour: a tcp module without a dialogue connects and leaves. MariaDB counts each such
#            connection as a connection error of the client's host, and after max_connect_errors of
#            them (5 here, 100 by default) blocks that host. The server goes on accepting its
#            connections and answers each with error 1129, so probe_success stays 1. Another host
#            is served. A module that expects the greeting does not help: query_response reads
#            lines, the greeting has no line end, and probe_success is 0 from the first probe on.
# Why it matters: the probe shuts out every client on the prober's host, and reports success.
# Seen:      no dialogue: probe_success 1 1 1 1 1 1 1 1
#            the prober's host: 1129 Host '127.0.0.3' is blocked because of many connection errors
#            another host: greeting
#            expecting the greeting: probe_success 0
# Needs:     Debian's apt-get, python3. May run as root or as another user.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq -o APT::Sandbox::User=root download prometheus-blackbox-exporter=0.23.0-4+b4 \
  mariadb-server-core=1:10.11.19-0+deb12u1 liburing2=2.3-3 libaio1=0.3.113-4 libnuma1=2.0.16-1
for deb in *.deb; do dpkg -x "$deb" root; done
mkdir data
cat > blackbox.yml <<'END'
modules:
  silent:
    prober: tcp
    timeout: 3s
    tcp: {source_ip_address: 127.0.0.3, preferred_ip_protocol: ip4}
  greeting:
    prober: tcp
    timeout: 3s
    tcp: {source_ip_address: 127.0.0.4, preferred_ip_protocol: ip4, query_response: [{expect: MariaDB}]}
END
cat > run.py <<'PY'
import os, re, socket, subprocess, time, urllib.request


def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def greeted(host):
    with socket.create_connection(("127.0.0.1", database), 5, (host, 0)) as s:
        packet = s.recv(500)[4:]
    if packet[0] != 0xFF:
        return "greeting"
    text = packet[3:].decode().split("; ")[0]
    return "%d %s" % (packet[1] + 256 * packet[2], text)


def probe(module):
    url = "http://127.0.0.1:%d/probe?target=127.0.0.1:%d&module=%s" % (exporter, database, module)
    page = urllib.request.urlopen(url, timeout=10).read().decode()
    return re.search(r"^probe_success (\d)", page, re.M)[1]


def until(what):
    for _ in range(300):
        try:
            return what()
        except OSError:
            time.sleep(0.1)
    raise SystemExit("nothing listens")


database, exporter, here = port(), port(), os.getcwd()
libraries = {"LD_LIBRARY_PATH": here + "/root/usr/lib/x86_64-linux-gnu"}
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
started = [
    subprocess.Popen(
        ["root/usr/sbin/mariadbd", "--no-defaults", "--datadir=%s/data" % here, "--skip-grant-tables", "--max-connect-errors=5"]
        + ["--bind-address=127.0.0.1", "--port=%d" % database, "--socket=%s/socket" % here, "--pid-file=%s/pid" % here]
        + ["--lc-messages-dir=%s/root/usr/share/mysql" % here]
        + (["--user=root"] if os.getuid() == 0 else []),
        env={**os.environ, **libraries},
        **quiet,
    ),
    subprocess.Popen(
        ["root/usr/bin/prometheus-blackbox-exporter", "--config.file=blackbox.yml"]
        + ["--web.listen-address=127.0.0.1:%d" % exporter],
        **quiet,
    ),
]
try:
    until(lambda: greeted("127.0.0.9"))
    until(lambda: urllib.request.urlopen("http://127.0.0.1:%d/-/healthy" % exporter))
    print("no dialogue: probe_success", *[probe("silent") for _ in range(8)])
    print("the prober's host:", greeted("127.0.0.3"))
    print("another host:", greeted("127.0.0.5"))
    print("expecting the greeting: probe_success", probe("greeting"))
finally:
    for program in started:
        program.terminate()
        program.wait(30)
PY
python3 run.py > output
diff - output <<'END'
no dialogue: probe_success 1 1 1 1 1 1 1 1
the prober's host: 1129 Host '127.0.0.3' is blocked because of many connection errors
another host: greeting
expecting the greeting: probe_success 0
END
