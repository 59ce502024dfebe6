//! The daemon's own listener against clients that it must bound: each cap by real sockets.

use std::iter::{repeat, repeat_n};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use super::daemon::{Daemon, http, write_config};
use super::program::program_after;
use super::serve::{closed_port, send_apart};
use super::waiting::until;

/// Longer than any wait of these tests should be.
const PATIENCE: Duration = Duration::from_secs(10);

async fn daemon(directory: &std::path::Path, listen: &str) -> Daemon {
    Daemon::start(
        directory,
        &format!(
            "[listen]\nallowed_hosts = [\"a\"]\n{listen}\n{}",
            http("a", closed_port())
        ),
    )
    .await
}

/// A daemon whose /metrics fills every buffer on the way to a client that does not read.
async fn large(directory: &std::path::Path, listen: &str) -> Daemon {
    Daemon::start(directory, &with_endpoints(1500, listen)).await
}

fn with_endpoints(count: usize, listen: &str) -> String {
    let targets: String = (0..count)
        .map(|n| format!("e{n} = \"127.0.0.1:1\"\n"))
        .collect();
    format!(
        "[listen]\nallowed_hosts = [\"a\"]\n{listen}\n[defaults]\ninterval \
            = \"1h\"\n[group.all]\nprobe.tcp.expect.within = \"2s\"\n[group.all.targets]\n{targets}"
    )
}

/// A connection from 127.0.0.`from`, with a small buffer.
async fn connect(daemon: &Daemon, from: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("set");
    socket
        .bind(SocketAddr::from(([127, 0, 0, from], 0)))
        .expect("bound");
    socket
        .connect(SocketAddr::from(([127, 0, 0, 1], daemon.port)))
        .await
        .expect("connected")
}

/// All that comes until the end; a reset is an end as well.
async fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let read = async {
        let mut piece = [0; 65536];
        while let Ok(count) = stream.read(&mut piece).await
            && count > 0
        {
            all.extend_from_slice(&piece[..count]);
        }
    };
    timeout(PATIENCE, read)
        .await
        .expect("the listener ends the connection");
    String::from_utf8_lossy(&all).into_owned()
}

/// What comes back for these bytes from 127.0.0.`from`, until the end.
async fn asked(daemon: &Daemon, from: u8, bytes: &[u8]) -> String {
    let mut stream = connect(daemon, from).await;
    let _ = stream.write_all(bytes).await;
    rest(&mut stream).await
}

const HEALTHY: &[u8] = b"GET /-/healthy HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

const GET_OWN: &[u8] =
    b"GET /metrics?collect[]=daemon HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

async fn rejected(daemon: &Daemon, reason: &str) -> f64 {
    daemon
        .metric(&format!(
            "probity_http_rejected_total{{reason=\"{reason}\"}}"
        ))
        .await
}

/// Asks for /metrics and reads no more than the first bytes of the answer: it is on its way then.
async fn slow_reader(daemon: &Daemon, from: u8) -> TcpStream {
    slow_reader_of(daemon, from, "/metrics").await
}

async fn slow_reader_of(daemon: &Daemon, from: u8, path: &str) -> TcpStream {
    let mut stream = connect(daemon, from).await;
    stream
        .write_all(
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .await
        .expect("sent");
    let mut first = [0; 12];
    timeout(PATIENCE, stream.read_exact(&mut first))
        .await
        .expect("in time")
        .expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_of_17_kib_is_answered_431_and_a_target_of_9_kib_414() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = daemon(directory.path(), "").await;
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "x".repeat(17 << 10)
    );
    assert!(
        asked(&daemon, 1, head.as_bytes())
            .await
            .starts_with("HTTP/1.1 431 ")
    );
    assert_eq!(rejected(&daemon, "head_size").await, 1.0);
    for target in [9 << 10, 20 << 10] {
        let head = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(target));
        assert!(
            asked(&daemon, 1, head.as_bytes())
                .await
                .starts_with("HTTP/1.1 414 ")
        );
    }
    assert_eq!(rejected(&daemon, "target_size").await, 2.0);
    let head = format!(
        "GET /-/healthy HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: {}\r\n\r\n",
        "x".repeat(15 << 10)
    );
    assert!(
        asked(&daemon, 1, head.as_bytes())
            .await
            .starts_with("HTTP/1.1 200 "),
        "15 KiB are few enough"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unfinished_head_is_given_up_after_its_time_however_its_bytes_drip() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = daemon(directory.path(), "head_timeout = \"500ms\"").await;
    let began = Instant::now();
    assert!(
        asked(&daemon, 1, b"GET / HTTP/1.1\r\nHost: a\r\n")
            .await
            .starts_with("HTTP/1.1 408 ")
    );
    assert!(
        asked(&daemon, 1, b"").await.starts_with("HTTP/1.1 408 "),
        "nor is one waited for that sends nothing"
    );
    assert!(
        (Duration::from_millis(1000)..Duration::from_millis(4000)).contains(&began.elapsed()),
        "{:?}",
        began.elapsed()
    );
    let (began, (mut reader, mut writer)) =
        (Instant::now(), connect(&daemon, 1).await.into_split());
    // Written for as long as anybody takes it.
    let drip = send_apart(&mut writer, Duration::from_millis(50), repeat(&b"G"[..]));
    let mut first = [0; 12];
    tokio::select! {
        () = drip => panic!("closed without an answer"),
        read = timeout(PATIENCE, reader.read_exact(&mut first)) => {
            assert!(read.expect("in time").is_ok());
        }
    }
    assert_eq!(&first, b"HTTP/1.1 408");
    assert!(
        began.elapsed() < Duration::from_millis(2500),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(rejected(&daemon, "head_timeout").await, 3.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_closed_after_its_time_which_is_no_refusal() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = daemon(
        directory.path(),
        "head_timeout = \"600ms\"\nidle_timeout = \"2s\"",
    )
    .await;
    let mut stream = connect(&daemon, 1).await;
    let began = Instant::now();
    for _ in 0..2 {
        stream
            .write_all(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect("sent");
        let mut answer = vec![0; 4096];
        let count = stream.read(&mut answer).await.expect("an answer");
        assert!(
            answer[..count].ends_with(b"Healthy\n"),
            "{:?}",
            String::from_utf8_lossy(&answer[..count])
        );
        // Longer than a head may take: an idle connection is another thing.
        assert!(asked(&daemon, 2, b"").await.starts_with("HTTP/1.1 408 "));
    }
    assert_eq!(rest(&mut stream).await, "", "closed without a word");
    assert!(
        (Duration::from_millis(2600)..Duration::from_millis(6000)).contains(&began.elapsed()),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(
        rejected(&daemon, "head_timeout").await,
        2.0,
        "the two beside it only"
    );
    daemon
        .until(|d| async move { d.metric("probity_http_connections").await == 1.0 })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_has_so_many_connections_and_a_new_one_costs_it_its_own() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = large(
        directory.path(),
        "max_connections = 40\nmax_connections_per_peer = 2",
    )
    .await;
    let (mut first, mut second) = (connect(&daemon, 2).await, connect(&daemon, 2).await);
    assert!(asked(&daemon, 2, HEALTHY).await.ends_with("Healthy\n"));
    assert_eq!(
        rest(&mut first).await,
        "",
        "the one that waited longest made room"
    );
    assert_eq!(rejected(&daemon, "displaced").await, 1.0);
    second.write_all(HEALTHY).await.expect("sent");
    assert!(rest(&mut second).await.ends_with("Healthy\n"));
    // What is being answered makes no room.
    let _readers = (slow_reader(&daemon, 2).await, slow_reader(&daemon, 2).await);
    let refused = asked(&daemon, 2, b"").await;
    assert!(
        refused.starts_with("HTTP/1.1 503 ") && refused.contains("from this address"),
        "{refused}"
    );
    assert_eq!(rejected(&daemon, "peer_connections").await, 1.0);
    assert!(
        asked(&daemon, 3, HEALTHY).await.ends_with("Healthy\n"),
        "others are let in"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_peer_finds_a_place_when_all_others_are_taken() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = daemon(
        directory.path(),
        "max_connections = 8\nmax_connections_per_peer = 8\ntrusted = [\"127.0.0.9\"]",
    )
    .await;
    let mut silent = Vec::new();
    for _ in 0..30 {
        silent.push(connect(&daemon, 2).await);
    }
    let began = Instant::now();
    assert!(asked(&daemon, 9, HEALTHY).await.ends_with("Healthy\n"));
    assert!(
        asked(&daemon, 3, HEALTHY).await.ends_with("Healthy\n"),
        "one that is not trusted takes the place of a silent one"
    );
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    let shown = asked(&daemon, 9, b"GET /metrics HTTP/1.0\r\n\r\n").await;
    let open = shown
        .lines()
        .find_map(|l| l.strip_prefix("probity_http_connections "))
        .expect("a gauge");
    assert!(open.parse::<u32>().expect("a number") <= 8, "{open}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_is_kept_for_a_peer_that_took_an_answer_lately() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = daemon(
        directory.path(),
        "max_connections = 8\nmax_connections_per_peer = 8\nhead_timeout = \"300ms\"",
    )
    .await;
    assert!(asked(&daemon, 5, HEALTHY).await.ends_with("Healthy\n"));
    // An answer that is no success earns no place.
    assert!(
        asked(
            &daemon,
            6,
            b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        .await
        .starts_with("HTTP/1.1 404 ")
    );
    // Bad manners are remembered: the answers that it takes now earn it no better place.
    assert!(
        asked(&daemon, 2, b"no request\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 400 ")
    );
    // More than the buffers on the way hold, and never taken: all places but the kept one.
    let mut readers = Vec::new();
    while readers.len() < 7 {
        let mut stream = connect(&daemon, 2).await;
        stream
            .write_all(&b"GET /runbook HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200))
            .await
            .expect("sent");
        let mut first = [0; 12];
        // The connection before it may not be over yet.
        match timeout(PATIENCE, stream.read_exact(&mut first))
            .await
            .expect("in time")
        {
            Ok(_) if &first == b"HTTP/1.1 200" => readers.push(stream),
            Ok(_) | Err(_) => {}
        }
    }
    for _ in 0..30 {
        assert!(asked(&daemon, 3, b"").await.starts_with("HTTP/1.1 503 "));
    }
    assert!(
        asked(&daemon, 6, HEALTHY)
            .await
            .starts_with("HTTP/1.1 503 "),
        "it has taken nothing"
    );
    assert!(asked(&daemon, 5, HEALTHY).await.ends_with("Healthy\n"));
    assert!(
        asked(&daemon, 5, GET_OWN)
            .await
            .contains("probity_http_rejected_total{reason=\"connections\"} 31\n")
    );
    // Whoever was refused has left no place taken.
    drop(readers);
    daemon
        .until(|d| async move { d.metric("probity_http_connections").await == 1.0 })
        .await;
    let silent: Vec<_> = std::iter::repeat_with(|| connect(&daemon, 7))
        .take(6)
        .collect();
    let mut open = Vec::new();
    for one in silent {
        open.push(one.await);
    }
    assert!(asked(&daemon, 3, HEALTHY).await.ends_with("Healthy\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_no_view_of_the_history_open() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = Daemon::start(directory.path(), &with_endpoints(4000, "")).await;
    let database =
        rusqlite::Connection::open(directory.path().join("state/history.sqlite")).expect("opened");
    let busy = || {
        database
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, i64>(0)
            })
            .expect("asked")
    };
    let mut reader = slow_reader_of(&daemon, 2, "/api/v1/timeline").await;
    // Whoever reads an older view keeps SQLite's log from being taken in; the daemon's own writes
    // do so for moments.
    daemon.until(|_| std::future::ready(busy() == 0)).await;
    let all = rest(&mut reader).await;
    assert!(
        all.ends_with("\r\n0\r\n\r\n"),
        "the answer was on its way all the time"
    );
    assert!(
        all.len() > 300_000,
        "{} bytes are not more than the buffers on the way hold",
        all.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_gets_fewer_connections_than_configured_is_warned_of() {
    let directory = tempfile::tempdir().expect("a directory");
    let limited = |config: &std::path::Path| {
        let mut command = program_after("ulimit -n 128");
        command.args(["run", "--config"]).arg(config);
        command
    };
    let daemon = Daemon::start_with(
        directory.path(),
        &with_endpoints(30, "max_connections = 64"),
        limited,
    )
    .await;
    // 128 files, of which the daemon itself has 40 and 30 probes have two each.
    let said = "the listener accepts fewer connections than configured, because probes need the \
        file descriptors; raise the limit of open files (LimitNOFILE)";
    let warned = |count: usize, figures: &str| {
        let log = daemon.log();
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("WARN") && line.contains(said))
            .collect();
        assert_eq!(lines.len(), count, "{log}");
        assert!(
            lines.last().is_none_or(|line| line.contains(figures)),
            "{figures}: {lines:?}"
        );
    };
    warned(1, "open_files=128 max_connections=64 connections=28");
    write_config(
        directory.path(),
        daemon.port,
        &with_endpoints(30, "max_connections = 28"),
    );
    assert!(daemon.reload().await.is_ok());
    warned(1, "");
    write_config(
        directory.path(),
        daemon.port,
        &with_endpoints(35, "max_connections = 28"),
    );
    assert!(daemon.reload().await.is_ok());
    warned(2, "open_files=128 max_connections=28 connections=18");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_take_its_answer_is_cut_off() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = large(directory.path(), "answer_timeout = \"500ms\"").await;
    let mut reader = slow_reader(&daemon, 2).await;
    daemon
        .until(|d| async move { rejected(d, "answer_timeout").await == 1.0 })
        .await;
    assert!(
        !rest(&mut reader).await.ends_with("0\r\n\r\n"),
        "what was cut off does not look whole"
    );
    daemon
        .until(|d| async move { d.metric("probity_http_connections").await == 1.0 })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_answered_in_their_order() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = daemon(directory.path(), "").await;
    let mut all = Vec::new();
    for n in 0..200 {
        let path = if n % 3 == 0 { "/-/healthy" } else { "/nothing" };
        all.extend_from_slice(
            format!(
                "GET {path} HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
                "x".repeat(300)
            )
            .as_bytes(),
        );
    }
    all.extend_from_slice(HEALTHY);
    let (mut reader, mut writer) = connect(&daemon, 1).await.into_split();
    let sent = tokio::spawn(async move { writer.write_all(&all).await.map(|()| writer) });
    let mut answers = String::new();
    timeout(PATIENCE, reader.read_to_string(&mut answers))
        .await
        .expect("in time")
        .expect("answered");
    let status: Vec<&str> = answers
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|a| &a[..3])
        .collect();
    let expected: Vec<&str> = (0..200)
        .map(|n| if n % 3 == 0 { "200" } else { "404" })
        .chain(["200"])
        .collect();
    assert_eq!(status, expected);
    assert!(sent.await.expect("joined").is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_protocols_are_told_what_this_port_speaks_and_a_warning_names_the_peer() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = daemon(directory.path(), "").await;
    // The beginning of a ClientHello; HTTP/2 with prior knowledge.
    let answer = asked(&daemon, 7, b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03").await;
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("not TLS: use http://"),
        "{answer}"
    );
    let answer = asked(
        &daemon,
        7,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("not HTTP/2"),
        "{answer}"
    );
    let answer = asked(&daemon, 7, b"HELO mail.example\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let answer = asked(
        &daemon,
        7,
        b"POST /-/reload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    for (reason, count) in [
        ("tls", 1.0),
        ("http2", 1.0),
        ("malformed", 1.0),
        ("body", 1.0),
    ] {
        assert_eq!(rejected(&daemon, reason).await, count, "{reason}");
    }
    daemon
        .until(|d| async move { d.log().contains("clients of the listener were refused") })
        .await;
    let log = daemon.log();
    let line = log
        .lines()
        .find(|l| l.contains("clients of the listener were refused"))
        .expect("a line");
    assert!(
        line.contains("WARN") && line.contains("peer=127.0.0.7"),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_framed_as_each_version_and_method_wants_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = large(directory.path(), "").await;
    let answer = asked(&daemon, 1, b"GET /metrics?collect[]=state HTTP/1.0\r\n\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(
        head.to_lowercase().contains("connection: close")
            && !head.to_lowercase().contains("chunked"),
        "{head}"
    );
    assert!(head.to_lowercase().contains("\r\ndate: "), "{head}");
    assert!(
        body.ends_with('\n')
            && body
                .lines()
                .filter(|l| l.starts_with("probity_endpoint_info{"))
                .count()
                == 1500
    );
    let answer = asked(
        &daemon,
        1,
        b"HEAD /-/healthy HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ")
            && answer.to_lowercase().contains("content-length: 8\r\n")
            && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
    let chunked = daemon
        .get("/metrics?collect[]=state")
        .await
        .expect("an answer");
    assert_eq!(
        chunked
            .lines()
            .filter(|l| l.starts_with("probity_endpoint_info{"))
            .count(),
        1500
    );
    // A small body of a request is thrown away, and the next request is read behind it.
    let two = b"POST /-/healthy HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /GET \
        /-/healthy HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = asked(&daemon, 1, two).await;
    assert!(
        answer.starts_with("HTTP/1.1 405 ") && answer.ends_with("Healthy\n"),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_shut_out_no_scraper_and_leave_nothing_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = large(directory.path(), "max_connections_per_peer = 512").await;
    daemon.metric("probity_http_connections").await;
    let idle = daemon.resident_kib();
    let mut readers = Vec::new();
    for n in 0..100 {
        let mut stream = connect(&daemon, 2 + n % 50).await;
        let path = if n % 2 == 0 {
            "/metrics"
        } else {
            "/api/v1/endpoints"
        };
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
            .await
            .expect("sent");
        readers.push(stream);
    }
    assert!(daemon.metric("probity_http_connections").await > 50.0);
    for _ in 0..5 {
        let began = Instant::now();
        assert!(
            daemon
                .get("/metrics")
                .await
                .is_some_and(|text| text.contains("endpoint=\"e1499\""))
        );
        assert_eq!(
            daemon.json("/api/v1/endpoints").await["endpoints"]
                .as_array()
                .map(Vec::len),
            Some(1500)
        );
        assert!(
            began.elapsed() < Duration::from_secs(8),
            "fifty scrapes wait before it: {:?}",
            began.elapsed()
        );
    }
    let grown = daemon.resident_kib().saturating_sub(idle);
    assert!(grown < 64 << 10, "{grown} KiB over {idle} KiB");
    drop(readers);
    let left = Instant::now();
    daemon
        .until(|d| async move { d.metric("probity_http_connections").await == 1.0 })
        .await;
    assert!(
        left.elapsed() < Duration::from_secs(3),
        "{:?}",
        left.elapsed()
    );
}

/// Peers that took something small have good manners, and each keeps a maker waiting all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_of_good_manners_do_not_delay_who_took_a_scrape_promptly() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = large(directory.path(), "").await;
    assert!(
        asked(&daemon, 200, GET_OWN)
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    let mut readers = Vec::new();
    for from in 2..62 {
        assert!(asked(&daemon, from, HEALTHY).await.ends_with("Healthy\n"));
        let mut stream = connect(&daemon, from).await;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect("sent");
        readers.push(stream);
    }
    for _ in 0..5 {
        let began = Instant::now();
        assert!(
            asked(&daemon, 200, GET_OWN)
                .await
                .starts_with("HTTP/1.1 200 ")
        );
        // Half a second is how long those of good manners wait for each other, and there are sixty.
        assert!(
            began.elapsed() < Duration::from_millis(450),
            "{:?}",
            began.elapsed()
        );
    }
    drop(readers);
}

/// Peers that were prompt once are equals of the scraper, until they keep a maker waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_that_were_prompt_before_do_not_delay_who_takes_a_scrape_promptly() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = large(directory.path(), "").await;
    let scraped = || async {
        asked(&daemon, 200, GET_OWN)
            .await
            .starts_with("HTTP/1.1 200 ")
    };
    assert!(scraped().await);
    for from in 2..62 {
        let answer = asked(&daemon, from, GET_OWN).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let mut readers = Vec::new();
    for from in 2..62 {
        let mut stream = connect(&daemon, from).await;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect("sent");
        readers.push(stream);
    }
    for _ in 0..5 {
        let began = Instant::now();
        assert!(scraped().await);
        assert!(
            began.elapsed() < Duration::from_millis(450),
            "{:?}",
            began.elapsed()
        );
    }
    drop(readers);
}

/// Each has an address of its own and was prompt once; now it reads nothing of what it asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_that_were_prompt_before_take_no_place_from_a_scraper() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = daemon(directory.path(), "max_connections = 16").await;
    for from in [200].into_iter().chain(2..26) {
        let answer = asked(&daemon, from, GET_OWN).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let mut readers = Vec::new();
    for from in 2..26 {
        let mut stream = connect(&daemon, from).await;
        let asked = b"GET /runbook HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200);
        // One that finds no place is reset while it still writes.
        let _ = stream.write_all(&asked).await;
        readers.push(stream);
    }
    let began = Instant::now();
    while !asked(&daemon, 200, GET_OWN)
        .await
        .starts_with("HTTP/1.1 200 ")
    {
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "no place for {:?}",
            began.elapsed()
        );
    }
    let answer = asked(&daemon, 200, GET_OWN).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(readers);
}

/// Asks ahead without a pause, takes each answer, and comes back when its connection is ended. It
/// counts itself when it has been answered for the first time.
async fn asks_ahead(from: u8, port: u16, answered: Arc<AtomicUsize>) {
    let mut is_new = true;
    let batch = b"HEAD /runbook HTTP/1.1\r\nHost: a\r\n\r\n".repeat(300);
    loop {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .bind(SocketAddr::from(([127, 0, 0, from], 0)))
            .expect("bound");
        let Ok(mut stream) = socket.connect(([127, 0, 0, 1], port).into()).await else {
            continue;
        };
        let (mut read, mut write) = stream.split();
        let asking = async { while write.write_all(&batch).await.is_ok() {} };
        let taking = async {
            let mut piece = [0; 65536];
            while read.read(&mut piece).await.is_ok_and(|count| count > 0) {
                answered.fetch_add(usize::from(std::mem::take(&mut is_new)), Ordering::Relaxed);
            }
        };
        tokio::select! {
            () = asking => {}
            () = taking => {}
        }
    }
}

/// Thirteen addresses held all 512 places so: no connection was ever between two requests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_sent_ahead_shut_out_no_trusted_peer_and_no_scraper() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = daemon(
        directory.path(),
        "max_connections = 32\nmax_connections_per_peer = 8\ntrusted = [\"127.0.0.9\"]",
    )
    .await;
    for from in [200, 20] {
        let answer = asked(&daemon, from, GET_OWN).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    // Strangers take what is not kept, and one of good standing what is.
    let answered = Arc::new(AtomicUsize::new(0));
    let mut busy = Vec::new();
    for (peers, each, all) in [(2..6, 7, 28), (20..21, 4, 32)] {
        for from in peers.flat_map(|from| repeat_n(from, each)) {
            busy.push(tokio::spawn(asks_ahead(
                from,
                daemon.port,
                answered.clone(),
            )));
        }
        until(
            PATIENCE,
            || "not each has a place".into(),
            || async { answered.load(Ordering::Relaxed) == all },
        )
        .await;
    }
    for (from, who) in [(9, "a trusted peer"), (200, "a scraper")] {
        for n in 0..10 {
            let answer = asked(&daemon, from, GET_OWN).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{who}, {n}: {answer}");
        }
    }
    busy.iter().for_each(|one| one.abort());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_takes_its_answer_slowly_makes_room_for_who_waits_and_too_many_are_told_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = large(directory.path(), "").await;
    let count = |answer: &str, cut: u8| {
        answer.contains(&format!(
            "probity_http_rejected_total{{reason=\"slow_reader\"}} {cut}\n"
        ))
    };
    // Who asks for the count has the kept place from here on, and cuts nobody off itself.
    assert!(count(&asked(&daemon, 6, GET_OWN).await, 0));
    // Three may be in the making for peers that are not known; the fourth waits until one of them
    // is cut off.
    let readers = [
        slow_reader(&daemon, 2).await,
        slow_reader(&daemon, 3).await,
        slow_reader(&daemon, 4).await,
    ];
    let fourth = slow_reader(&daemon, 5).await;
    let first = asked(&daemon, 6, GET_OWN).await;
    assert!(
        first.starts_with("HTTP/1.1 200 ") && count(&first, 1),
        "{first}"
    );
    drop((readers, fourth));
}
