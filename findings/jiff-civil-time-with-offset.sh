#!/bin/sh
# Package:   crate jiff =1.0.2 (features: std).
# Behaviour: civil::DateTime is a time without a zone. Its parser refuses a text that ends in Z,
#            as the meaning would be lost. It accepts every other offset and drops it: +02:00,
#            -11:00 and also +00:00, which is the same instant as Z.
# Why it matters: a config that means a civil time silently shifts an instant by its offset.
# Seen:      2026-12-06T02:00Z: error
#            2026-12-06T02:00+00:00: 2026-12-06T02:00:00
#            2026-12-06T02:00+02:00: 2026-12-06T02:00:00
#            2026-12-06T02:00-11:00: 2026-12-06T02:00:00
# Needs:     cargo.
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
jiff = { version = "=1.0.2", default-features = false, features = ["std"] }
END
cat > src/main.rs <<'END'
fn main() {
    for offset in ["Z", "+00:00", "+02:00", "-11:00"] {
        let text = format!("2026-12-06T02:00{offset}");
        match text.parse::<jiff::civil::DateTime>() {
            Ok(time) => println!("{text}: {time}"),
            Err(_) => println!("{text}: error"),
        }
    }
}
END
CARGO_TARGET_DIR=$work/target cargo run -q | tee seen
cat > expected <<'END'
2026-12-06T02:00Z: error
2026-12-06T02:00+00:00: 2026-12-06T02:00:00
2026-12-06T02:00+02:00: 2026-12-06T02:00:00
2026-12-06T02:00-11:00: 2026-12-06T02:00:00
END
diff expected seen
