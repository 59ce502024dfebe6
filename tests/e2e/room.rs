//! Large bodies wait for room in the memory that all probes share. That wait is the prober's own
//! time: no verdict about a peer changes by it.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use probity::kind::run::{ProbeReport, run};
use probity::net::judging_threads::THREADS;
use probity::net::shared::Net;
use probity::words::{Cause, Outcome};
use tokio::io::AsyncWriteExt;
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use super::daemon::Daemon;
use super::serve::*;
use super::waiting::until;

/// The room for all bodies as they come.
const ALL: usize = 16 << 20;
const LARGE: usize = 4 << 20;

/// Sends the start of a body that announces the most that there is room for, and then nothing more.
/// Counts the bodies that have begun.
async fn stalling() -> (u16, Arc<AtomicUsize>) {
    let begun = Arc::new(AtomicUsize::new(0));
    let count = begun.clone();
    let port = tcp(move |mut stream| {
        let count = count.clone();
        async move {
            read_head(&mut stream).await;
            let _ = stream
                .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {ALL}\r\n\r\n").as_bytes())
                .await;
            let _ = stream.write_all(&vec![b'a'; 256 << 10]).await;
            count.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
    })
    .await;
    (port, begun)
}

/// Waits until so many bodies have begun and this thread has read what came of them: a probe that
/// is made after that has its answer.
async fn until_stalled(net: &Rc<Net>, begun: &AtomicUsize, count: usize) {
    let missing = || format!("{count} bodies never began");
    until(Duration::from_secs(20), missing, || {
        std::future::ready(begun.load(Ordering::SeqCst) >= count)
    })
    .await;
    let later = endpoint(&lines(answering(ok("", b"")).await, 10_000));
    assert_up(&run(net, &later).await);
}

/// Sends a large body; the last part of it after `pause`.
async fn healthy(pause: Duration) -> u16 {
    tcp(move |mut stream| async move {
        read_head(&mut stream).await;
        let body = vec![b'b'; LARGE];
        let _ = stream
            .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").as_bytes())
            .await;
        let _ = stream.write_all(&body[..LARGE - 9]).await;
        let _ = after(pause, stream.write_all(&body[LARGE - 9..])).await;
        let _ = stream.shutdown().await;
        std::future::pending::<()>().await;
    })
    .await
}

fn lines(port: u16, timeout_ms: u64) -> String {
    format!(
        "timeout = \"{timeout_ms}ms\"\nprobe.http.url \
            = \"http://127.0.0.1:{port}/\"\nprobe.http.limits.body \
            = \"16MiB\"\nprobe.http.expect.body.not_contains = \"x\"\n"
    )
}

fn start(net: &Rc<Net>, port: u16, timeout_ms: u64) -> JoinHandle<ProbeReport> {
    let (net, endpoint) = (net.clone(), endpoint(&lines(port, timeout_ms)));
    spawn_local(async move { run(&net, &endpoint).await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_stall_within_a_large_body_are_down_and_others_up_however_many_stall() {
    let ((stalling, begun), healthy) = (stalling().await, healthy(Duration::ZERO).await);
    let net = Rc::new(Net::default());
    let all = async {
        let stalled: Vec<_> = (0..4).map(|_| start(&net, stalling, 800)).collect();
        // Behind all of them.
        until_stalled(&net, &begun, 4).await;
        let late = start(&net, healthy, 300);
        let report = late.await.expect("no panic");
        assert!(matches!(report.outcome, Outcome::Success(_)), "{report:?}");
        assert!(report.duration_us < 300_000, "{report:?}");
        for stalled in stalled {
            let report = stalled.await.expect("no panic");
            assert_eq!(cause(&report), Cause::BodyTimeout, "{report:?}");
        }
    };
    LocalSet::new().run_until(all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_slower_than_its_timeout_is_down_although_it_waited_for_room() {
    let ((stalling, begun), slow) = (stalling().await, healthy(Duration::from_millis(900)).await);
    let net = Rc::new(Net::default());
    let all = async {
        let first = start(&net, stalling, 1000);
        until_stalled(&net, &begun, 1).await;
        // It had its whole timeout apart from the wait, and no more.
        assert_eq!(
            cause(&start(&net, slow, 600).await.expect("no panic")),
            Cause::BodyTimeout
        );
        assert_eq!(cause(&first.await.expect("no panic")), Cause::BodyTimeout);
    };
    LocalSet::new().run_until(all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_stall_with_large_bodies_make_nothing_unknown() {
    let ((stalling, _), healthy) = (stalling().await, healthy(Duration::ZERO).await);
    let directory = tempfile::tempdir().expect("a directory");
    let mut text = "[defaults]\ninterval = \"1s\"\nretry_interval = \"100ms\"\n".to_owned();
    let names: Vec<String> = (0..6)
        .map(|n| format!("stalls{n}"))
        .chain(["up".to_owned()])
        .collect();
    for name in &names {
        text += &format!(
            "[[endpoint]]\nname = \"{name}\"\n{}",
            lines(if name == "up" { healthy } else { stalling }, 600)
        );
    }
    let daemon = Daemon::start(directory.path(), &text).await;
    for name in &names {
        daemon
            .until_state(name, if name == "up" { "up" } else { "down" })
            .await;
    }
    // Some rounds of slots, of which several find others that stall.
    daemon
        .until(|d| async move {
            d.metric("probity_probes_total{endpoint=\"up\",result=\"success\"}")
                .await
                >= 6.0
        })
        .await;
    let mut unmeasured = 0.0;
    for name in &names {
        unmeasured += daemon
            .metric(&format!(
                "probity_probes_total{{endpoint=\"{name}\",result=\"unmeasured\"}}"
            ))
            .await;
    }
    // In one of sixteen runs one probe was late, and why is not known.
    assert!(unmeasured <= 2.0, "{unmeasured}\n{}", daemon.log());
}

/// A pattern to which each byte of [`made_for_it`] is a new state of its automaton.
const EXPENSIVE: &str = "[ab]*a[ab]{20}c";

/// Seconds of work for the pattern.
fn made_for_it() -> Vec<u8> {
    let mut state = 7_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        if state >> 40 & 1 == 0 { b'a' } else { b'b' }
    };
    (0..1 << 20).map(|_| next()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).expect("written");
    encoder.finish().expect("compressed")
}

/// Answers with a body whose last byte comes after `pause`.
async fn ending_after(pause: Duration, headers: &'static str, body: Vec<u8>) -> u16 {
    tcp(move |mut stream| {
        let answer = ok(headers, &body);
        async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(&answer[..answer.len() - 1]).await;
            let _ = after(pause, stream.write_all(&answer[answer.len() - 1..])).await;
            std::future::pending::<()>().await;
        }
    })
    .await
}

fn held_against(pattern: &str, port: u16) -> String {
    format!(
        "timeout = \"2s\"\nprobe.http.url = \"http://127.0.0.1:{port}/\"\n\
            probe.http.compression = true\nprobe.http.expect.body.not_matches = \"{pattern}\"\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_takes_too_long_to_check_is_down_however_late_it_came() {
    let body = made_for_it();
    for pause in [Duration::ZERO, Duration::from_millis(1900)] {
        let plain = ending_after(pause, "", body.clone()).await;
        let coded = ending_after(pause, "Content-Encoding: gzip\r\n", gzip(&body)).await;
        for port in [plain, coded] {
            let mut report = probe(&held_against(EXPENSIVE, port)).await;
            // On a busy machine a quarter of a second of work may take more than a second.
            for _ in 0..4 {
                if matches!(report.outcome, Outcome::Unmeasured { .. }) {
                    report = probe(&held_against(EXPENSIVE, port)).await;
                }
            }
            assert_eq!(cause(&report), Cause::JudgeLimit, "{report:?}");
            let Outcome::Failure { detail, .. } = &report.outcome else {
                unreachable!("it has a cause");
            };
            let said = "it takes more than 250 ms of processor time to check";
            assert!(detail.contains(said), "{detail}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expression_over_what_an_endpoint_makes_long_is_down() {
    let body = format!("{{\"items\":[{}1]}}", "1,".repeat(400_000));
    let port = ending_after(Duration::ZERO, "", body.into_bytes()).await;
    let many: Vec<String> = (2..20).map(|n| format!("i != {n}")).collect();
    let report = probe(&format!(
        "timeout = \"9s\"\nprobe.http.url = \"http://127.0.0.1:{port}/\"\n\
            probe.http.expect.json = \"body.items.all(i, {})\"\n",
        many.join(" && ")
    ))
    .await;
    assert_eq!(cause(&report), Cause::JudgeLimit, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_an_expression_matches_for_too_long_is_down() {
    let text = String::from_utf8(made_for_it()).expect("letters");
    let body = format!("{{\"text\":\"{}\"}}", &text[..900_000]);
    let port = ending_after(Duration::ZERO, "", body.into_bytes()).await;
    let began = tokio::time::Instant::now();
    let report = probe(&format!(
        "timeout = \"9s\"\nprobe.http.url = \"http://127.0.0.1:{port}/\"\n\
            probe.http.expect.json = \"!body.text.matches('{EXPENSIVE}')\"\n"
    ))
    .await;
    assert_eq!(cause(&report), Cause::JudgeLimit, "{report:?}");
    assert!(
        began.elapsed() < Duration::from_secs(9),
        "before its timeout"
    );
}

/// Each has a text that takes long to look through for its secret, after it was given up.
#[tokio::test]
async fn probes_that_were_given_up_while_they_waited_for_their_turn_keep_no_turn() {
    let body = made_for_it();
    let port = tcp(move |mut stream| {
        let body = body.clone();
        async move {
            let head = read_head(&mut stream).await;
            let answer = if head.starts_with("GET / ") {
                let to = format!("/{}", "%25".repeat(330));
                let status = "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\n";
                format!("{status}Location: {to}\r\n\r\n").into_bytes()
            } else {
                ok("", &body)
            };
            let _ = stream.write_all(&answer).await;
        }
    })
    .await;
    let lines = format!(
        "timeout = \"300ms\"\nprobe.http.url = \"http://127.0.0.1:{port}/\"\n\
            probe.http.redirects = 2\nprobe.http.auth.bearer = {{ env = \"TEST_SECRET\" }}\n\
            probe.http.expect.body.not_matches = \"{EXPENSIVE}\"\n"
    );
    let all = async {
        let net = Rc::new(Net::default());
        let mut held = Vec::new();
        for _ in 0..THREADS {
            held.push(net.judging_threads.one_for(7).await);
        }
        let probes: Vec<_> = (0..THREADS)
            .map(|_| {
                let (net, endpoint) = (net.clone(), endpoint(&lines));
                spawn_local(async move { run(&net, &endpoint).await })
            })
            .collect();
        // Past the timeout and the time in which an answer may be judged.
        while probes.iter().any(|probe| !probe.is_finished()) {
            let other = net.clone();
            let waits = other.judging_threads.one_for(8);
            if tokio::time::timeout(Duration::from_secs(3), waits)
                .await
                .is_err()
            {
                held.clear();
            }
            tokio::task::yield_now().await;
        }
        for probe in probes {
            let report = probe.await.expect("joined");
            assert!(
                matches!(report.outcome, Outcome::Unmeasured { .. }),
                "{report:?}"
            );
        }
    };
    let limit = Duration::from_secs(30);
    let ended = tokio::time::timeout(limit, LocalSet::new().run_until(all)).await;
    assert!(ended.is_ok(), "they wait for one another");
}

/// Before, each of them held memory for decoded bodies and a thread as long as it liked.
#[tokio::test]
async fn answers_of_one_host_that_take_long_to_check_make_nothing_of_others_unknown() {
    let expensive = ending_after(
        Duration::ZERO,
        "Content-Encoding: gzip\r\n",
        gzip(&made_for_it()),
    )
    .await;
    let page = gzip(&b"status: fine\n".repeat(2000));
    let other = ending_after(Duration::ZERO, "Content-Encoding: gzip\r\n", page).await;
    let all = async {
        let net = Rc::new(Net::default());
        let start = |lines: &str, host: &str| {
            let (net, endpoint) = (net.clone(), endpoint(&lines.replace("127.0.0.1", host)));
            spawn_local(async move { run(&net, &endpoint).await })
        };
        let mut of_one: Vec<_> = (0..12)
            .map(|_| start(&held_against(EXPENSIVE, expensive), "127.0.0.1"))
            .collect();
        let first = of_one.remove(0).await.expect("joined");
        assert_eq!(cause(&first), Cause::JudgeLimit, "{first:?}");
        let right = start(&held_against("status: down", other), "localhost");
        let wrong = start(&held_against("status: (fine|ok)", other), "localhost");
        let (right, wrong) = (right.await.expect("joined"), wrong.await.expect("joined"));
        assert_up(&right);
        assert_eq!(cause(&wrong), Cause::BodyMismatch, "{wrong:?}");
        of_one.into_iter().for_each(|probe| probe.abort());
    };
    LocalSet::new().run_until(all).await;
}
