#!/bin/sh
# Package:   crate aws-lc-rs =1.19.0 (aws-lc-sys =0.47.0), the default provider of rustls.
# Behaviour: the first random byte of a process takes thousands of times as long as the second. The
#            library then gathers noise from the timing of memory (jitter entropy) on one core, which
#            is CPU time and no waiting. The rest of the process pays nothing.
# Why it matters: who times the first TLS handshake of a process, as a probe from a command line or
#            after a restart does, times this too.
# Seen:      the first takes more than 1 ms: true
#            the second takes more than 1 ms: false
#            the first takes 100 times as long as the second: true
#            (30 to 110 ms, and some microseconds)
# Needs:     cargo, a C compiler.
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
aws-lc-rs = { version = "=1.19.0", default-features = false, features = ["aws-lc-sys"] }
aws-lc-sys = "=0.47.0"
END
cat > src/main.rs <<'END'
use std::time::Instant;

fn main() {
    let timed = || {
        let began = Instant::now();
        aws_lc_rs::rand::fill(&mut [0]).expect("random numbers");
        began.elapsed().as_micros()
    };
    let (first, second) = (timed(), timed());
    eprintln!("{first} us, {second} us");
    println!("the first takes more than 1 ms: {}", first > 1000);
    println!("the second takes more than 1 ms: {}", second > 1000);
    println!(
        "the first takes 100 times as long as the second: {}",
        first > 100 * second.max(1)
    );
}
END
CARGO_TARGET_DIR=$work/target cargo run -q --release | tee seen
cat > expected <<'END'
the first takes more than 1 ms: true
the second takes more than 1 ms: false
the first takes 100 times as long as the second: true
END
diff expected seen
