//! Servers that behave as a test wants, and one probe of an endpoint given as TOML.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use probity::config::{ConfigInputs, Endpoint, Plan, load};
use probity::kind::run::{ProbeReport, run};
use probity::net::authorities::Authorities;
use probity::net::clock_trust::ClockTrust;
use probity::net::resolve::Paths;
use probity::net::shared::Net;
use probity::net::sys::KernelSync;
use probity::words::{Cause, Outcome, Reason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, MissedTickBehavior, interval};

#[path = "../support/config_inputs.rs"]
mod config_inputs;

use config_inputs::InMemory;

/// A config in memory; files are read from disk.
pub fn in_memory(text: &str) -> InMemory<'static> {
    InMemory::new("test.toml", text)
        .beside(|path| std::fs::read_to_string(path).map_err(|e| e.to_string()))
        .variables(|name| (name == "TEST_SECRET").then(|| "hunter2-planted".to_owned()))
        .host_name("test-host")
}

pub fn plan(text: &str) -> Plan {
    match load(Path::new("test.toml"), &in_memory(text)) {
        Ok(plan) => plan,
        Err(faults) => panic!("{faults:#?}\n{text}"),
    }
}

/// One endpoint; `lines` are its keys.
pub fn endpoint(lines: &str) -> Arc<Endpoint> {
    let timeout = if lines.contains("timeout") {
        ""
    } else {
        "timeout = \"2s\"\n"
    };
    plan(&format!("[[endpoint]]\nname = \"e\"\n{timeout}{lines}\n")).endpoints[0].clone()
}

/// Whatever the clock of the machine that runs the tests.
fn net() -> Net {
    Net::new(
        Paths::default(),
        Authorities::of_the_system(),
        Arc::new(ClockTrust::by(|| KernelSync::Synchronised)),
    )
}

/// Probes once, on a task set of its own, as the engine does.
pub async fn probe(lines: &str) -> ProbeReport {
    let endpoint = endpoint(lines);
    let once = async move { run(&net(), &endpoint).await };
    tokio::task::LocalSet::new().run_until(once).await
}

/// The same for a probe that ends before a timer that begins with it. On a busy machine both end
/// late, in this order still.
pub async fn probe_within(limit: Duration, lines: &str) -> ProbeReport {
    let endpoint = endpoint(lines);
    let once = async move {
        let net = net();
        let timer = async {
            tokio::time::sleep_until(Instant::now() + limit).await;
            // What was due before has its turn before.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            report = run(&net, &endpoint) => report,
            () = timer => panic!("no report within {limit:?}"),
        }
    };
    tokio::task::LocalSet::new().run_until(once).await
}

pub fn cause(report: &ProbeReport) -> Cause {
    match &report.outcome {
        Outcome::Failure { cause, .. } => *cause,
        other => panic!("not down: {other:?}"),
    }
}

pub fn reason(report: &ProbeReport) -> Reason {
    match &report.outcome {
        Outcome::Unmeasured { reason, .. } => *reason,
        other => panic!("not unmeasured: {other:?}"),
    }
}

pub fn assert_up(report: &ProbeReport) {
    assert!(
        matches!(report.outcome, Outcome::Success(_)),
        "{:?}",
        report.outcome
    );
}

/// A server whose connections are handled one by one by `handle`; returns its port.
pub async fn tcp<F, H>(handle: H) -> u16
where
    F: Future<Output = ()> + Send + 'static,
    H: Fn(TcpStream) -> F + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    port
}

/// A client of a test, without any proxy.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()
        .expect("a client")
}

/// Reads one request head, whatever it is.
pub async fn read_head(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Answers each request with these bytes and closes.
pub async fn answering(bytes: impl Into<Vec<u8>>) -> u16 {
    let bytes: Arc<Vec<u8>> = Arc::new(bytes.into());
    tcp(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            // So that no reset overtakes the bytes.
            until_the_client_ends(&mut stream).await;
        }
    })
    .await
}

/// Answers each request with these bytes, so long after it came, and closes.
pub async fn answering_after(delay: Duration, bytes: impl Into<Vec<u8>>) -> u16 {
    let bytes: Arc<Vec<u8>> = Arc::new(bytes.into());
    tcp(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            read_head(&mut stream).await;
            let _ = after(delay, stream.write_all(&bytes)).await;
        }
    })
    .await
}

/// What a slow peer does next, so long after what it did before.
pub async fn after<F: Future>(delay: Duration, step: F) -> F::Output {
    tokio::time::sleep_until(Instant::now() + delay).await;
    step.await
}

/// What a peer sends piece by piece, so long apart, until nobody takes it.
pub async fn send_apart<'p>(
    stream: &mut (impl AsyncWriteExt + Unpin),
    apart: Duration,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) {
    let mut each = interval(apart);
    each.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for piece in pieces {
        each.tick().await;
        if stream.write_all(piece).await.is_err() {
            return;
        }
    }
}

/// Reads and forgets until the client ends the connection.
pub async fn until_the_client_ends(stream: &mut (impl AsyncReadExt + Unpin)) {
    let mut rest = [0; 64];
    while matches!(stream.read(&mut rest).await, Ok(n) if n > 0) {}
}

/// Answers with these bytes and then keeps the connection open in silence.
pub async fn stalling(bytes: &'static [u8]) -> u16 {
    tcp(move |mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(bytes).await;
        std::future::pending::<()>().await;
    })
    .await
}

/// `200 OK` with headers and a body.
pub fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut response = format!(
        "HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    response.extend_from_slice(body);
    response
}

/// A port that nobody listens on.
pub fn closed_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("bound")
        .port()
}
