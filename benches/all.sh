#!/usr/bin/env bash
# Every figure of docs/benchmarks.md, one JSON object a line. --smoke: a small run that shows that the benches work.
set -euo pipefail
cd "$(dirname "$0")/.."
bench="python3 benches/bench.py"
if [ "${1:-}" = "--smoke" ]; then
  $bench fleet --endpoints 500 --interval 1 --seconds 3
  $bench scrape --endpoints 1000 --after 3
  PROBITY_BEFORE=${PROBITY_BEFORE:-${PROBITY:-target/release/probity}} python3 benches/beside.py --endpoints 100 --scraped 500 --rounds 3
  python3 benches/latency_truth.py --smoke
  python3 benches/curl_phases.py --smoke
  python3 benches/punctuality.py --smoke
  python3 benches/hostile.py --smoke
  python3 benches/doors.py --smoke
  python3 benches/detection.py --smoke
  python3 benches/bodies.py --smoke
  python3 benches/pages.py --smoke
  python3 benches/status_page.py --smoke
  python3 benches/referee.py --smoke
  exit 0
fi
$bench fleet --endpoints 10000 --interval 10 --seconds 20 --peer
$bench fleet --endpoints 10000 --interval 1 --seconds 20
$bench fleet --endpoints 100000 --interval 60 --https-share 0.1 --seconds 60
for kind in http https tcp icmp dns; do $bench fleet --kind $kind --endpoints 1000 --interval 1 --seconds 10; done
$bench saturate --kind http --endpoints 8000 --peer
$bench saturate --kind https --endpoints 1000 --peer
$bench saturate --kind tcp --endpoints 8000 --peer
$bench saturate --kind icmp --endpoints 8000 --peer
$bench saturate --kind dns --endpoints 8000 --peer
$bench lateness --endpoints 10000 --seconds 20
for n in 1000 10000 100000; do $bench scrape --endpoints $n; done
$bench start --endpoints 100000
$bench first --endpoints 10000 --interval 10
python3 benches/latency_truth.py
python3 benches/latency_truth.py --daemon-cpus 0,1
python3 benches/curl_phases.py
python3 benches/punctuality.py
python3 benches/hostile.py
python3 benches/detection.py
python3 benches/doors.py
python3 benches/bodies.py
python3 benches/pages.py
python3 benches/status_page.py
if command -v go >/dev/null; then
  python3 benches/referee.py --build
  python3 benches/referee.py
fi
if [ -n "${PROBITY_BEFORE:-}" ]; then
  python3 benches/beside.py
  python3 benches/beside.py --endpoints 4000 --scraped 0
fi
cargo bench --locked --bench judging
cargo bench --locked --bench handshake
