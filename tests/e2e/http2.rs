//! HTTP/2 peers that send more than an answer: interim responses and control frames are limited,
//! what comes after a whole answer does not take it back, and nobody holds the thread.

use std::iter::repeat;
use std::time::Duration;

use probity::kind::run::ProbeReport;
use probity::words::{Cause, Outcome};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::authority::{Authority, acceptor};
use super::hold::{HOLD_LIMIT, longest_hold};
use super::serve::*;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200` and a literal `:status: 103`, as HPACK writes them (RFC 7541).
const OK: &[u8] = &[0x88];
const EARLY: &[u8] = &[0x08, 3, b'1', b'0', b'3'];
const PROTOCOL_ERROR: u8 = 1;
const INTERNAL_ERROR: u8 = 2;
const HTTP_1_1_REQUIRED: u8 = 0xd;

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    [
        &[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream],
        payload,
    ]
    .concat()
}

fn answer(body: &[u8]) -> Vec<u8> {
    [
        frame(HEADERS, END_HEADERS, 1, OK),
        frame(DATA, END_STREAM, 1, body),
    ]
    .concat()
}

/// `last` is the last stream that the peer still cares for.
fn goaway(last: u8, code: u8, said: &[u8]) -> Vec<u8> {
    frame(
        GOAWAY,
        0,
        0,
        &[&[0, 0, 0, last, 0, 0, 0, code], said].concat(),
    )
}

fn reset(code: u8) -> Vec<u8> {
    frame(RST_STREAM, 0, 1, &[0, 0, 0, code])
}

/// Reads preface and request, sends SETTINGS and these bytes, and waits for the client's end.
async fn play(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: &[u8]) {
    let mut request = Vec::new();
    // The request's HEADERS are there when a frame of type 1 follows the preface and the client's
    // SETTINGS.
    while !request
        .windows(6)
        .any(|w| w[0] == HEADERS && w[2..] == [0, 0, 0, 1])
    {
        if !matches!(stream.read_buf(&mut request).await, Ok(n) if n > 0) {
            return;
        }
    }
    let _ = stream
        .write_all(&[frame(SETTINGS, 0, 0, &[]), bytes.to_vec()].concat())
        .await;
    let _ = stream.flush().await;
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest).await, Ok(n) if n > 0) {}
}

async fn playing(bytes: Vec<u8>) -> u16 {
    tcp(move |mut stream| {
        let bytes = bytes.clone();
        async move { play(&mut stream, &bytes).await }
    })
    .await
}

async fn asked(bytes: Vec<u8>, more: &str) -> ProbeReport {
    probe(&lines(playing(bytes).await, more)).await
}

fn lines(port: u16, more: &str) -> String {
    format!("probe.http.url = \"http://127.0.0.1:{port}/\"\nprobe.http.version = \"2\"\n{more}")
}

fn down(report: &ProbeReport) -> (Cause, String) {
    match &report.outcome {
        Outcome::Failure { cause, detail, .. } => (*cause, detail.clone()),
        other => panic!("not down: {other:?}"),
    }
}

#[tokio::test]
async fn sixteen_interim_responses_are_passed_over_and_the_seventeenth_is_not() {
    let early = frame(HEADERS, END_HEADERS, 1, EARLY);
    let expect = "probe.http.expect.body.contains = \"hello\"";
    assert_up(&asked([early.repeat(16), answer(b"hello")].concat(), expect).await);
    let (cause, detail) = down(&asked([early.repeat(17), answer(b"hello")].concat(), expect).await);
    assert_eq!(cause, Cause::ProtocolError);
    assert!(
        detail.contains("more than 16 interim responses"),
        "{detail}"
    );
}

#[tokio::test]
async fn control_frames_are_limited_in_number_and_do_not_stretch_the_timeout() {
    let empty = frame(DATA, 0, 1, &[]);
    for (name, control) in [
        ("PING", frame(PING, 0, 0, &[0; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("unknown", frame(0x42, 0, 0, b"x")),
    ] {
        assert_up(&asked([control.repeat(500), answer(b"")].concat(), "").await);
        let (cause, detail) = down(&asked([control.repeat(1001), answer(b"")].concat(), "").await);
        assert_eq!(cause, Cause::ProtocolError, "{name}");
        assert!(
            detail.contains("1000") || detail.contains("ENHANCE_YOUR_CALM"),
            "{name}: {detail}"
        );
    }
    let (cause, _) = down(
        &asked(
            [frame(HEADERS, END_HEADERS, 1, OK), empty.repeat(1001)].concat(),
            "",
        )
        .await,
    );
    assert_eq!(cause, Cause::ProtocolError);
    let pinging = tcp(|mut stream| async move {
        let _ = stream.write_all(&frame(SETTINGS, 0, 0, &[])).await;
        let ping = frame(PING, 0, 0, &[0; 8]);
        send_apart(&mut stream, Duration::from_millis(10), repeat(&ping[..])).await;
    })
    .await;
    let report = probe_within(
        Duration::from_millis(400),
        &lines(pinging, "timeout = \"300ms\""),
    )
    .await;
    assert_eq!(down(&report).0, Cause::FirstByteTimeout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_endpoint_holds_the_thread_for_more_than_5_ms() {
    let pings = playing(frame(PING, 0, 0, &[0; 8]).repeat(1001)).await;
    let small_data = playing(
        [
            frame(HEADERS, END_HEADERS, 1, OK),
            frame(DATA, 0, 1, b"x").repeat(6000),
        ]
        .concat(),
    )
    .await;
    let early = playing(frame(HEADERS, END_HEADERS, 1, EARLY).repeat(1001)).await;
    for (name, port) in [("PING", pings), ("DATA", small_data), ("interim", early)] {
        let held = longest_hold(&lines(port, "timeout = \"500ms\"")).await;
        assert!(held < HOLD_LIMIT, "{name}: {held:?}");
    }
    let chunks = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        "1\r\nx\r\n".repeat(20_000)
    );
    let chunks = answering(chunks).await;
    let held = longest_hold(&format!("probe.http.url = \"http://127.0.0.1:{chunks}/\"")).await;
    assert!(held < HOLD_LIMIT, "chunks: {held:?}");
}

#[tokio::test]
async fn a_whole_answer_counts_whatever_comes_after_it() {
    for (name, after) in [
        ("GOAWAY NO_ERROR", goaway(1, 0, b"")),
        ("GOAWAY PROTOCOL_ERROR", goaway(0, PROTOCOL_ERROR, b"")),
        ("RST_STREAM NO_ERROR", reset(0)),
        ("RST_STREAM INTERNAL_ERROR", reset(INTERNAL_ERROR)),
        (
            "rubbish",
            b"not a frame at all, whatever one thinks of it".to_vec(),
        ),
        ("frames", frame(PING, 0, 0, &[0; 8]).repeat(1001)),
    ] {
        for more in [
            "",
            "probe.http.method = \"POST\"\nprobe.http.body = \"abc\"",
        ] {
            let report = asked(
                [answer(b"hello"), after.clone()].concat(),
                &format!("{more}\nprobe.http.expect.body.contains = \"hello\""),
            )
            .await;
            assert!(
                matches!(report.outcome, Outcome::Success(_)),
                "{name}: {:?}",
                report.outcome
            );
        }
    }
    let half = [
        frame(HEADERS, END_HEADERS, 1, OK),
        frame(DATA, 0, 1, b"hel"),
        goaway(0, PROTOCOL_ERROR, b""),
    ]
    .concat();
    assert_eq!(down(&asked(half, "").await).0, Cause::ProtocolError);
}

#[tokio::test]
async fn texts_name_what_the_peer_did() {
    let closing = tcp(|mut stream| async move {
        let mut request = [0; 64];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(&frame(SETTINGS, 0, 0, &[])).await;
        let _ = stream.shutdown().await;
        while matches!(stream.read(&mut request).await, Ok(n) if n > 0) {}
    })
    .await;
    let (cause, detail) = down(&probe(&lines(closing, "")).await);
    assert_eq!(cause, Cause::HttpTruncated);
    assert!(
        detail.contains("the peer closed the HTTP/2 connection"),
        "{detail}"
    );
    for (bytes, cause, words) in [
        (
            goaway(0, INTERNAL_ERROR, b"overloaded"),
            Cause::ProtocolError,
            "the peer ended the HTTP/2 connection: GOAWAY INTERNAL_ERROR, \"overloaded\"",
        ),
        (
            reset(INTERNAL_ERROR),
            Cause::ProtocolError,
            "the peer reset the HTTP/2 stream of the request: RST_STREAM INTERNAL_ERROR",
        ),
        (
            frame(PING, 0, 0, b"short"),
            Cause::ProtocolError,
            "the peer broke the rules of HTTP/2: PROTOCOL_ERROR",
        ),
        (
            frame(DATA, 0, 1, b"before the head"),
            Cause::ProtocolError,
            "the peer broke the rules of HTTP/2: PROTOCOL_ERROR",
        ),
    ] {
        let (found, detail) = down(&asked(bytes, "").await);
        assert_eq!(found, cause, "{detail}");
        assert!(detail.contains(words), "{detail}");
    }
}

/// Offers HTTP/2 and then wants HTTP/1.1, in the way that `refusal` says.
async fn wanting_http_1(authority: &Authority, refusal: Vec<u8>) -> u16 {
    let acceptor = acceptor(authority.leaf(|_| {}), &[b"h2", b"http/1.1"]);
    tcp(move |stream| {
        let (acceptor, refusal) = (acceptor.clone(), refusal.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                play(&mut stream, &refusal).await;
            } else {
                read_head(&mut stream).await;
                let _ = stream.write_all(&ok("", b"hello")).await;
                let _ = stream.shutdown().await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_peer_that_requires_http_1_gets_it_where_the_version_is_left_to_us() {
    let authority = Authority::new();
    for refusal in [reset(HTTP_1_1_REQUIRED), goaway(0, HTTP_1_1_REQUIRED, b"")] {
        let port = wanting_http_1(&authority, refusal).await;
        let at = format!(
            "probe.http.url = \"https://127.0.0.1:{port}/\"\nprobe.http.tls.ca_file = {:?}\n",
            authority.ca_file()
        );
        let report = probe(&format!("{at}probe.http.expect.body.contains = \"hello\"")).await;
        assert_up(&report);
        let facts = report.outcome.facts().expect("up");
        assert_eq!(facts.http_version, Some("1.1"));
        assert!(
            facts
                .findings
                .iter()
                .any(|f| f.is_odd() && f.found.contains("HTTP_1_1_REQUIRED"))
        );
        let (cause, detail) = down(&probe(&format!("{at}probe.http.version = \"2\"")).await);
        assert_eq!(cause, Cause::ProtocolError);
        assert!(detail.contains("the peer requires HTTP/1.1"), "{detail}");
    }
}
