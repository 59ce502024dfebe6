#!/bin/sh
# Package:   prometheus-blackbox-exporter 0.23.0-4+b4 (Debian 12, amd64).
# Behaviour: the module asks for A and has fail_if_not_matches_regexp for the address. The answer
#            is an alias (CNAME) and the right A record behind it. The prober holds the CNAME
#            record against the pattern, too, and reports probe_success 0. query_type does not
#            limit which records the pattern is for. A name without an alias is a success.
# Why it matters: a site that moves behind an alias turns red although its address is the same.
# Seen:      direct.example: probe_success 1, answer records 1
#            alias.example: probe_success 0, answer records 2
#            alias.example, fail_if_none_matches_regexp: probe_success 1, answer records 2
# Needs:     Debian's apt-get, python3.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq -o APT::Sandbox::User=root download prometheus-blackbox-exporter=0.23.0-4+b4
dpkg -x prometheus-blackbox-exporter_*.deb root
cat > blackbox.yml <<'END'
modules:
  direct:
    prober: dns
    timeout: 3s
    dns:
      query_name: direct.example
      query_type: A
      validate_answer_rrs: {fail_if_not_matches_regexp: ["\tA\t127[.]9[.]0[.]1"]}
  alias:
    prober: dns
    timeout: 3s
    dns:
      query_name: alias.example
      query_type: A
      validate_answer_rrs: {fail_if_not_matches_regexp: ["\tA\t127[.]9[.]0[.]1"]}
  none:
    prober: dns
    timeout: 3s
    dns:
      query_name: alias.example
      query_type: A
      validate_answer_rrs: {fail_if_none_matches_regexp: ["\tA\t127[.]9[.]0[.]1"]}
END
cat > run.py <<'PY'
import re, socket, struct, subprocess, threading, time, urllib.request

REAL = b"\x06direct\x07example\x00"
A = struct.pack(">HHIH4B", 1, 1, 60, 4, 127, 9, 0, 1)


def udp(s):
    while True:
        query, peer = s.recvfrom(4096)
        question = query[12:query.index(b"\0", 12) + 5]
        if question.startswith(b"\x05alias"):
            records = [b"\xc0\x0c" + struct.pack(">HHIH", 5, 1, 60, len(REAL)) + REAL, REAL + A]
        else:
            records = [b"\xc0\x0c" + A]
        s.sendto(query[:2] + struct.pack(">5H", 0x8180, 1, len(records), 0, 0) + question + b"".join(records), peer)


packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
packets.bind(("127.0.0.1", 0))
port = packets.getsockname()[1]
threading.Thread(target=udp, args=(packets,), daemon=True).start()
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
    for module, label in (("direct", "direct.example"), ("alias", "alias.example"),
                          ("none", "alias.example, fail_if_none_matches_regexp")):
        text = metrics(module)
        value = lambda name: re.search("^%s (.*)$" % name, text, re.M)[1]
        print("%s: probe_success %s, answer records %s" % (label, value("probe_success"), value("probe_dns_answer_rrs")))
finally:
    exporter.terminate()
    exporter.wait()
PY
python3 run.py | tee seen
cat > expected <<'END'
direct.example: probe_success 1, answer records 1
alias.example: probe_success 0, answer records 2
alias.example, fail_if_none_matches_regexp: probe_success 1, answer records 2
END
diff expected seen
