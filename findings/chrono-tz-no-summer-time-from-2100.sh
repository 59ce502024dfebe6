#!/bin/sh
# Package:   crate chrono-tz =0.10.4 with chrono =0.4.42, beside PyPI tzdata ==2025.2.
# Behaviour: chrono-tz is generated from the IANA source as a table that ends with the year 2099.
#            From 2100 on no zone has summer time. TZif files carry the last rule as a footer
#            (RFC 8536), and Python's zoneinfo applies it to all later years. Both copies are
#            IANA 2025b.
# Why it matters: the two libraries disagree by an hour about the same instant and the same data.
# Seen:      1 July 2099, Europe/Berlin: chrono-tz +02:00, zoneinfo +02:00
#            1 July 2100, Europe/Berlin: chrono-tz +01:00, zoneinfo +02:00
#            1 July 2099, America/New_York: chrono-tz -04:00, zoneinfo -04:00
#            1 July 2100, America/New_York: chrono-tz -05:00, zoneinfo -04:00
# Needs:     cargo, python3 with pip.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat > Cargo.toml <<'END'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
chrono = { version = "=0.4.42", default-features = false, features = ["std"] }
chrono-tz = "=0.10.4"
END
cat > src/main.rs <<'END'
use chrono::{Offset, TimeZone, Utc};

fn main() {
    assert_eq!(chrono_tz::IANA_TZDB_VERSION, "2025b");
    for zone in [chrono_tz::Europe::Berlin, chrono_tz::America::New_York] {
        for year in [2099, 2100] {
            let noon = Utc.with_ymd_and_hms(year, 7, 1, 12, 0, 0).single().expect("an instant");
            println!("{year} {zone} {}", noon.with_timezone(&zone).offset().fix());
        }
    }
}
END
CARGO_TARGET_DIR=$work/target cargo run -q > rust
python3 -m pip install -q --target py tzdata==2025.2 2>/dev/null
cat > run.py <<'PY'
import datetime, zoneinfo

for line in open("rust"):
    year, zone, offset = line.split()
    noon = datetime.datetime(int(year), 7, 1, 12, tzinfo=datetime.timezone.utc)
    there = noon.astimezone(zoneinfo.ZoneInfo(zone)).isoformat()[-6:]
    print("1 July %s, %s: chrono-tz %s, zoneinfo %s" % (year, zone, offset, there))
PY
PYTHONTZPATH='' PYTHONPATH=py python3 run.py | tee seen
cat > expected <<'END'
1 July 2099, Europe/Berlin: chrono-tz +02:00, zoneinfo +02:00
1 July 2100, Europe/Berlin: chrono-tz +01:00, zoneinfo +02:00
1 July 2099, America/New_York: chrono-tz -04:00, zoneinfo -04:00
1 July 2100, America/New_York: chrono-tz -05:00, zoneinfo -04:00
END
diff expected seen
