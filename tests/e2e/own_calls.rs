//! Servers of receivers and of the dead man's switch that do not answer as they should: each holds
//! its own calls, and nothing else of the daemon.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixDatagram;

use super::daemon::{Daemon, http, run};
use super::serve::*;

const QUICK: &str =
    "[defaults]\ninterval = \"500ms\"\ntimeout = \"300ms\"\nretry_interval = \"100ms\"\n";
/// Seconds.
const PATIENCE: u64 = 60;

fn secret(directory: &Path, name: &str, port: u16) -> String {
    let path = directory.join(format!("{name}.url"));
    std::fs::write(&path, format!("http://127.0.0.1:{port}/")).expect("written");
    format!("{{ file = {path:?} }}")
}

fn receiver(directory: &Path, name: &str, port: u16) -> String {
    let url = secret(directory, name, port);
    format!("[[notify]]\nname = \"{name}\"\nwebhook.url = {url}\n")
}

fn switch(directory: &Path, port: u16) -> String {
    let url = secret(directory, "switch", port);
    format!("[deadman]\nurl = {url}\nevery = \"1s\"\n")
}

/// Answers with these bytes, and counts what it answered.
async fn counting(bytes: Vec<u8>) -> (u16, Arc<AtomicUsize>) {
    let (count, bytes) = (Arc::new(AtomicUsize::new(0)), Arc::new(bytes));
    let counter = count.clone();
    let port = tcp(move |mut stream| {
        let (counter, bytes) = (counter.clone(), bytes.clone());
        async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(&bytes).await;
            counter.fetch_add(1, Ordering::SeqCst);
            until_the_client_ends(&mut stream).await;
        }
    })
    .await;
    (port, count)
}

/// A byte of a head each second, and no end of it.
async fn dripping() -> u16 {
    tcp(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 204 No Content\r\nX-Slow: ")
            .await;
        let bytes = std::iter::repeat::<&'static [u8]>(b"x");
        send_apart(&mut stream, Duration::from_secs(1), bytes).await;
    })
    .await
}

/// A service manager on this socket, which counts the watchdog's messages.
fn watchdogs(path: &Path) -> Arc<AtomicUsize> {
    let (socket, count) = (UnixDatagram::bind(path).expect("bound"), Arc::default());
    let counter: Arc<AtomicUsize> = Arc::clone(&count);
    tokio::spawn(async move {
        let mut message = [0; 4096];
        while let Ok(length) = socket.recv(&mut message).await {
            let is_watchdog = String::from_utf8_lossy(&message[..length]).contains("WATCHDOG=1");
            counter.fetch_add(usize::from(is_watchdog), Ordering::SeqCst);
        }
    });
    count
}

fn counted(count: &AtomicUsize) -> usize {
    count.load(Ordering::SeqCst)
}

/// How many calls have a thread now.
fn calls_under_way(daemon: &Daemon) -> usize {
    let threads = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("a process");
    let is_call = |thread: &std::fs::DirEntry| {
        let name = std::fs::read_to_string(thread.path().join("comm"));
        name.is_ok_and(|name| name.trim() == "own-call")
    };
    threads.flatten().filter(is_call).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interim_answers_are_passed_over_by_notifications_and_pings() {
    let directory = tempfile::tempdir().expect("a directory");
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n";
    let answer = format!("{}HTTP/1.1 204 No Content\r\n\r\n", interim.repeat(20));
    let ((hook, _), (pinged, pings)) = (
        counting(answer.clone().into_bytes()).await,
        counting(answer.into_bytes()).await,
    );
    let text = format!(
        "{QUICK}{}{}{}",
        http("shop", closed_port()),
        receiver(directory.path(), "ops", hook),
        switch(directory.path(), pinged)
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    let delivered = "probity_notifications_total{receiver=\"ops\",result=\"delivered\"}";
    daemon
        .until(|d| async move { d.metric(delivered).await >= 1.0 })
        .await;
    daemon.until(|_| async { counted(&pings) >= 2 }).await;
    assert!(
        !daemon.log().contains("dead man's switch"),
        "{}",
        daemon.log()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_never_finish_an_answer_hold_neither_watchdog_nor_others_nor_the_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let no_content = b"HTTP/1.1 204 No Content\r\n\r\n".to_vec();
    let ((good, messages), (pinged, pings)) = (
        counting(no_content.clone()).await,
        counting(no_content).await,
    );
    let endpoints: String = (0..20)
        .map(|n| http(&format!("e{n}"), closed_port()))
        .collect();
    let text = format!(
        "{QUICK}{endpoints}{}{}{}{}",
        receiver(directory.path(), "slow", dripping().await),
        receiver(directory.path(), "held", stalling(b"HTTP/1.1 2").await),
        receiver(directory.path(), "good", good),
        switch(directory.path(), pinged)
    );
    let manager = directory.path().join("manager");
    let watchdogs = watchdogs(&manager);
    let watched = move |config: &Path| {
        let mut command = run(config);
        command
            .env("NOTIFY_SOCKET", &manager)
            .env("WATCHDOG_USEC", "900000");
        command
    };
    let daemon = Daemon::start_with(directory.path(), &text, watched).await;
    // All that each of both may have at once, and each on a thread of its own.
    daemon
        .until_within(PATIENCE, |d| async move { calls_under_way(d) >= 32 })
        .await;
    let (heard, called) = (counted(&watchdogs), counted(&pings));
    daemon
        .until_within(PATIENCE, |_| async {
            counted(&watchdogs) >= heard + 10 && counted(&pings) >= called + 3
        })
        .await;
    daemon
        .until_within(PATIENCE, |_| async { counted(&messages) >= 20 })
        .await;
    let most = calls_under_way(&daemon);
    assert!(most <= 16 + 16 + 16 + 1, "{most} calls");
    daemon.reload().await.expect("reloaded");
    let failed = |receiver: &str| {
        format!("probity_notifications_total{{receiver=\"{receiver}\",result=\"failed\"}}")
    };
    for receiver in ["slow", "held"] {
        let failed = failed(receiver);
        let failed = failed.as_str();
        daemon
            .until_within(PATIENCE, |d| async move { d.metric(failed).await >= 1.0 })
            .await;
    }
    assert!(
        daemon.log().contains("no complete answer within 10 s"),
        "{}",
        daemon.log()
    );
    let (heard, called) = (counted(&watchdogs), counted(&pings));
    daemon
        .until_within(PATIENCE, |_| async {
            counted(&watchdogs) >= heard + 3 && counted(&pings) > called
        })
        .await;
    let (code, took) = daemon.end().await;
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(5), "{took:?}");
}
