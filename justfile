# Recipes for people and CI; `just --list` shows them.

default: test

# What CI calls after it has installed what the suites need.
ci: fmt clippy test doc system bench-smoke

fmt:
    cargo fmt --check

clippy:
    cargo clippy --all-targets --locked -- -D warnings

# The README's second command: needs Rust and a C compiler only.
test:
    cargo test --locked

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked

deny:
    cargo deny check bans licenses sources

# Needs prometheus, promtool, prometheus-blackbox-exporter, chromium, sqlite3, systemd-analyze.
system: release
    tests/system/run.py

release:
    cargo build --release --locked

# Figures of docs/benchmarks.md, next to peers. Takes about twenty-five minutes on two quiet cores.
bench: release
    benches/all.sh

bench-smoke: release
    benches/all.sh --smoke

# Long runs: many kills.
soak: release
    KILL_CYCLES=2000 tests/system/run.py kill_9
