#!/bin/sh
# Package:   prometheus-blackbox-exporter 0.23.0-4+b4 (Debian 12, amd64).
# Behaviour: the name server answers over UDP with the TC bit and an empty answer section, which
#            tells a client to ask again over TCP. The dns prober does not ask again. It reports
#            probe_success 1 with 0 answer records. With a pattern for the answer it reports
#            probe_success 0, although the record is there over TCP.
# Why it matters: a zone whose answers outgrow 512 bytes is judged by an empty message. RFC 7766
#            asks resolvers to fall back to TCP, and dig does.
# Seen:      without a pattern: probe_success 1, answer records 0, questions over TCP 0
#            with a pattern: probe_success 0, answer records 0, questions over TCP 0
#            transport_protocol tcp: probe_success 1, answer records 1, questions over TCP 1
# Needs:     Debian's apt-get, python3.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq -o APT::Sandbox::User=root download prometheus-blackbox-exporter=0.23.0-4+b4
dpkg -x prometheus-blackbox-exporter_*.deb root
cat > blackbox.yml <<'END'
modules:
  plain:
    prober: dns
    timeout: 3s
    dns: {query_name: big.example, query_type: A}
  pattern:
    prober: dns
    timeout: 3s
    dns:
      query_name: big.example
      query_type: A
      validate_answer_rrs: {fail_if_not_matches_regexp: ["127[.]9[.]0[.]1"]}
  tcp:
    prober: dns
    timeout: 3s
    dns:
      query_name: big.example
      query_type: A
      transport_protocol: tcp
      validate_answer_rrs: {fail_if_not_matches_regexp: ["127[.]9[.]0[.]1"]}
END
cat > run.py <<'PY'
import re, socket, struct, subprocess, threading, time, urllib.request

over_tcp = [0]


def head(query, flags, count):
    return query[:2] + struct.pack(">5H", flags, 1, count, 0, 0) + query[12:query.index(b"\0", 12) + 5]


def udp(s):
    while True:
        query, peer = s.recvfrom(4096)
        s.sendto(head(query, 0x8380, 0), peer)


def tcp(s):
    while True:
        peer, _ = s.accept()
        with peer:
            query = peer.recv(4096)[2:]
            over_tcp[0] += 1
            reply = head(query, 0x8180, 1) + struct.pack(">HHHIH4B", 0xC00C, 1, 1, 60, 4, 127, 9, 0, 1)
            peer.sendall(struct.pack(">H", len(reply)) + reply)


stream = socket.socket()
stream.bind(("127.0.0.1", 0))
stream.listen()
port = stream.getsockname()[1]
packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
packets.bind(("127.0.0.1", port))
for run, s in ((udp, packets), (tcp, stream)):
    threading.Thread(target=run, args=(s,), daemon=True).start()
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    address = "127.0.0.1:%d" % s.getsockname()[1]
exporter = subprocess.Popen(
    ["root/usr/bin/prometheus-blackbox-exporter", "--config.file=blackbox.yml", "--web.listen-address=" + address],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def metrics(module):
    url = "http://%s/probe?module=%s&target=127.0.0.1:%d" % (address, module, port)
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
    for module, label in (("plain", "without a pattern"), ("pattern", "with a pattern"), ("tcp", "transport_protocol tcp")):
        text = metrics(module)
        value = lambda name: re.search("^%s (.*)$" % name, text, re.M)[1]
        print("%s: probe_success %s, answer records %s, questions over TCP %d" % (
            label, value("probe_success"), value("probe_dns_answer_rrs"), over_tcp[0]))
finally:
    exporter.terminate()
    exporter.wait()
PY
python3 run.py | tee seen
cat > expected <<'END'
without a pattern: probe_success 1, answer records 0, questions over TCP 0
with a pattern: probe_success 0, answer records 0, questions over TCP 0
transport_protocol tcp: probe_success 1, answer records 1, questions over TCP 1
END
diff expected seen
