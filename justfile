# Recipes for people and CI; `just --list` shows them.

default: test

# What CI runs, all of it: needs root and Debian 12, whose packages it installs. Half an hour and more on two cores.
ci:
    .ci/run

# What needs no packages of Debian but for ruff, mypy and cargo-deny.
quick: fmt clippy python test doc deny

fmt:
    cargo fmt --check

clippy:
    cargo clippy --all-targets --locked -- -D warnings

# Needs ruff and mypy, of the versions in tests/system/requirements.txt.
python:
    ruff check
    ruff format --check
    mypy

# The README's second command: needs Rust and a C compiler only.
test:
    cargo test --locked

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked

# Needs cargo-deny.
deny:
    cargo deny check bans licenses sources

# Every fuzz target for five seconds, without a sanitizer; needs a C++ compiler. docs/reliability.md has the long runs.
fuzz-smoke:
    fuzz/smoke

# The pictures of the README, from the demo; needs chromium.
pictures: release
    tests/system/pictures.py

# Needs prometheus, promtool, prometheus-blackbox-exporter, chromium, sqlite3, systemd-analyze; for the recipes also amtool (prometheus-alertmanager),
# redis-server, mosquitto, sshd, slapd and nginx.
system: release
    tests/system/run.py
    tests/system/resolver.py
    tests/system/recipes.py

release:
    cargo build --release --locked

# The documents as a site with a search, in target/site/html. Needs mdbook 0.5.
site:
    deploy/site/build.py
    tests/system/site.py

# Every file of a release: docs/installation.md.
dist:
    deploy/package/build.sh

# Needs what `dist` made, root, mmdebstrap, systemd-container, lintian, rpm, podman, curl; and cyclonedx-python-lib, as
# tests/system/requirements.txt has it.
packages: dist
    tests/system/packages.py
    tests/system/sbom_schema.py target/packages/*.cdx.json

# Every file of a release twice, from two clones: the same bytes. About ten minutes on two quiet cores.
reproducible:
    deploy/package/reproducible.sh

# Needs the toolchain of Cargo.toml's `rust-version`, by rustup.
oldest:
    CARGO_TARGET_DIR=target/oldest cargo +$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) check --locked

# Figures of docs/benchmarks.md, next to peers. Takes about twenty-five minutes on two quiet cores.
bench: release
    benches/all.sh

bench-smoke: release
    benches/all.sh --smoke

# Crash safety: kills, failing and slow disks, loss of power, damaged files and rows, a million events. About five minutes.
crash: release
    tests/system/crash.py

# Long runs: thousands of kills, every call of the disk failing, thousands of flipped bits, a simulated month, reloads at scale. Hours.
soak: release
    CYCLES=1250 DIRECTORIES=8 tests/system/crash.py kill_9
    FAULTS=all PARALLEL=14 tests/system/crash.py failing
    FLIPS=2000 SEED=7 tests/system/crash.py damage_is
    SIMULATE=month cargo test --release --test simulation
    TRUNCATE=every cargo test --release --test truncation
    SIMULATE=1500 cargo test --release --test simulation what_is
    RELOAD_ENDPOINTS=100000 RELOADS=60 tests/system/run.py a_reload_each
