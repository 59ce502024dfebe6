//! The longest stretch for which a probe holds its thread: patterns that are dear are held against texts apart from it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use probity::outward::net::Net;
use probity::outward::probe::run;
use probity::outward::sys::KernelClock;
use probity::words::Cause;
use tokio::io::AsyncWriteExt;

use super::serve::*;

pub const HOLD_LIMIT: Duration = Duration::from_millis(5);

/// The most that a probe used of its thread while others waited for their turn. One good run of some counts: a page may be missing.
pub async fn longest_hold(endpoint_lines: &str) -> Duration {
    longest_hold_of(endpoint_lines, Net::default).await
}

pub async fn longest_hold_of(endpoint_lines: &str, net: impl Fn() -> Net) -> Duration {
    let used = || Duration::from_nanos(KernelClock::ThreadCpu.now_ns());
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let endpoint = endpoint(endpoint_lines);
        let longest = Rc::new(Cell::new(Duration::ZERO));
        let (noted, net) = (longest.clone(), Rc::new(net()));
        // What it holds is given back after the probe.
        let kept = net.clone();
        tokio::task::LocalSet::new()
            .run_until(async move {
                let other = tokio::task::spawn_local(async move {
                    let mut last = used();
                    loop {
                        tokio::task::yield_now().await;
                        noted.set(noted.get().max(used() - last));
                        last = used();
                    }
                });
                let _ = tokio::task::spawn_local(async move { run(&net, &endpoint).await }).await;
                other.abort();
            })
            .await;
        drop(kept);
        best = best.min(longest.get());
        if best < HOLD_LIMIT {
            break;
        }
    }
    best
}

/// Each byte of `random` makes a new state of its automaton.
const DEAR: &str = "[ab]*a[ab]{20}c";

fn random(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if state >> 40 & 1 == 0 { b'a' } else { b'b' }
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dear_pattern_holds_the_thread_for_no_more_than_5_ms() {
    let body = answering(ok("", &random(60_000))).await;
    let coded = answering(ok("Content-Type: text/html; charset=gbk\r\n", &random(60_000))).await;
    let header = answering(ok(&format!("X-A: {}\r\n", String::from_utf8_lossy(&random(60_000))), b"")).await;
    let many = answering(ok("", &b"ok ".repeat(20_000))).await;
    let talking = tcp(|mut stream| async move {
        let _ = stream.write_all(&random(60_000)).await;
    })
    .await;
    let texts = format!("[{}]", "\"not there\",".repeat(400));
    for (name, lines, expected) in [
        ("body", format!("probe.http.url = \"http://127.0.0.1:{body}/\"\nprobe.http.expect.body.matches = \"{DEAR}\""), Cause::BodyMismatch),
        ("charset", format!("probe.http.url = \"http://127.0.0.1:{coded}/\"\nprobe.http.expect.body.matches = \"{DEAR}\""), Cause::BodyMismatch),
        (
            "header",
            format!("probe.http.url = \"http://127.0.0.1:{header}/\"\nprobe.http.expect.headers.x-a = {{ matches = \"{DEAR}\" }}"),
            Cause::HeaderMismatch,
        ),
        ("texts", format!("probe.http.url = \"http://127.0.0.1:{many}/\"\nprobe.http.expect.body.contains = {texts}"), Cause::BodyMismatch),
        ("dialogue", format!("probe.tcp.address = \"127.0.0.1:{talking}\"\nprobe.tcp.dialogue = [{{ expect = \"{DEAR}\" }}]"), Cause::ExpectMismatch),
    ] {
        let lines = format!("timeout = \"60s\"\n{lines}");
        assert_eq!(cause(&probe(&lines).await), expected, "{name}");
        let held = longest_hold(&lines).await;
        assert!(held < HOLD_LIMIT, "{name}: {held:?}");
    }
}
