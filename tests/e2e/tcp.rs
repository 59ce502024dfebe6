//! The tcp kind: connections and dialogues.

use std::time::Duration;

use probity::words::{Cause, Outcome, Reason};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::serve::*;

fn at(port: u16, more: &str) -> String {
    format!("probe.tcp.address = \"127.0.0.1:{port}\"\n{more}")
}

#[tokio::test]
async fn a_port_that_takes_connections_is_up_even_if_it_closes_them() {
    let port = tcp(|stream| async move { drop(stream) }).await;
    assert_up(&probe(&at(port, "")).await);
    assert_eq!(
        cause(&probe(&at(closed_port(), "")).await),
        Cause::ConnectRefused
    );
}

#[tokio::test]
async fn a_dialogue_is_held_line_by_line() {
    let smtp = || {
        tcp(|mut stream| async move {
            let _ = stream
                .write_all(b"220-first line\r\n220 mail.example ESMTP\r\n")
                .await;
            read_head(&mut stream).await;
            let _ = stream.write_all(b"221 bye\r\n").await;
        })
    };
    let dialogue = "probe.tcp.dialogue = [{ expect = \"^220 \" }, { send = \"QUIT\\r\\n\\r\\n\" \
        }, { expect = \"^221\" }]";
    let report = probe(&at(smtp().await, dialogue)).await;
    assert_up(&report);
    assert_eq!(report.outcome.facts().map(|f| f.findings.len()), Some(2));
    let wrong = "probe.tcp.dialogue = [{ expect = \"^220 \" }, { send = \"QUIT\\r\\n\\r\\n\" }, { \
        expect = \"^250\" }]";
    assert_eq!(
        cause(&probe(&at(smtp().await, wrong)).await),
        Cause::ExpectMismatch
    );
}

#[tokio::test]
async fn a_banner_that_never_comes_or_never_ends_is_down() {
    let silent = tcp(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let expect = "timeout = \"200ms\"\nprobe.tcp.dialogue = [{ expect = \"ready\" }]";
    assert_eq!(
        cause(&probe(&at(silent, expect)).await),
        Cause::ExpectTimeout
    );
    let endless =
        tcp(|mut stream| async move { while stream.write_all(&[0xff; 1024]).await.is_ok() {} })
            .await;
    assert_eq!(
        cause(
            &probe(&at(
                endless,
                "probe.tcp.dialogue = [{ expect = \"ready\" }]"
            ))
            .await
        ),
        Cause::ExpectMismatch
    );
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_fails() {
    // localhost has two addresses here; the server listens on one of them only.
    let port = tcp(|stream| async move { drop(stream) }).await;
    let report = probe(&format!("probe.tcp.address = \"localhost:{port}\"")).await;
    assert_up(&report);
    let report = probe(&format!(
        "addresses = \"ipv4\"\nprobe.tcp.address = \"localhost:{port}\""
    ))
    .await;
    assert_up(&report);
    assert_eq!(report.outcome.facts().map(|f| f.attempts.len()), Some(1));
}

#[tokio::test]
async fn a_source_address_that_is_not_ours_is_our_own_fault() {
    let port = tcp(|stream| async move { drop(stream) }).await;
    let report = probe(&at(port, "source_address = \"192.0.2.77\"")).await;
    assert_eq!(reason(&report), probity::words::Reason::LocalResource);
    assert_up(&probe(&at(port, "source_address = \"127.0.0.9\"")).await);
}

/// A server that says these bytes at once, and holds the connection.
async fn greeting(bytes: &'static [u8]) -> u16 {
    tcp(move |mut stream| async move {
        let _ = stream.write_all(bytes).await;
        std::future::pending::<()>().await;
    })
    .await
}

fn detail(report: &probity::kind::run::ProbeReport) -> &str {
    match &report.outcome {
        Outcome::Failure { detail, .. } => detail,
        other => panic!("not down: {other:?}"),
    }
}

#[tokio::test]
async fn a_greeting_without_a_line_feed_is_matched_as_it_arrives() {
    let mariadb = greeting(b"\x6e\0\0\0\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\0\x1f\0\0\0").await;
    for pattern in ["MariaDB", "^5\\.5\\.5-10"] {
        let report = probe(&at(
            mariadb,
            &format!("probe.tcp.dialogue = [{{ expect = '{pattern}' }}]"),
        ))
        .await;
        assert_up(&report);
    }
    // In pieces, the pattern across them.
    let slow = tcp(|mut stream| async move {
        let pieces = [&b"log"[..], b"in", b": "];
        send_apart(&mut stream, Duration::from_millis(20), pieces).await;
        std::future::pending::<()>().await;
    })
    .await;
    assert_up(
        &probe(&at(
            slow,
            "probe.tcp.dialogue = [{ expect = \"^login: $\" }]",
        ))
        .await,
    );
}

#[tokio::test]
async fn a_complete_line_that_can_no_longer_match_is_a_mismatch_at_once() {
    for (greets, pattern) in [
        (&b"554 5.7.1 rejected\r\n"[..], "^220"),
        (b"554-no\r\n554 really not\r\n", "^220"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "^220"),
        (b"* BYE too many\r\n", "^\\* OK"),
        (b"-ERR later\r\n", "^\\+OK"),
    ] {
        let began = Instant::now();
        let port = greeting(greets).await;
        let report = probe(&at(
            port,
            &format!("timeout = \"5s\"\nprobe.tcp.dialogue = [{{ expect = '{pattern}' }}]"),
        ))
        .await;
        assert_eq!(cause(&report), Cause::ExpectMismatch, "{pattern}");
        assert!(began.elapsed() < Duration::from_secs(2), "{pattern}");
        assert!(
            detail(&report).contains("received `"),
            "{}",
            detail(&report)
        );
    }
}

#[tokio::test]
async fn what_was_heard_is_reported_with_every_failure() {
    let smtp = tcp(|mut stream| async move {
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n").await;
        let mut byte = [0; 32];
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut byte).await;
        let _ = stream
            .write_all(b"502 5.5.1 Error: command not implemented\r\n")
            .await;
        std::future::pending::<()>().await;
    })
    .await;
    let dialogue = "timeout = \"5s\"\nprobe.tcp.dialogue = [{ expect = \"^220 \" }, { send \
        = \"FOO\\r\\n\" }, { expect = \"^250 \" }]";
    let report = probe(&at(smtp, dialogue)).await;
    assert_eq!(cause(&report), Cause::ExpectMismatch);
    assert_eq!(
        detail(&report),
        "expected a line that matches /^250 /, received `502 5.5.1 Error: command not implemented`"
    );

    let telling = greeting(b"Welcome\r\nto a line that does not e").await;
    let report = probe(&at(
        telling,
        "timeout = \"200ms\"\nprobe.tcp.dialogue = [{ expect = \"^ready\" }]",
    ))
    .await;
    assert_eq!(cause(&report), Cause::ExpectTimeout);
    assert_eq!(
        detail(&report),
        "expected a line that matches /^ready/, received `Welcome\\r\\nto a line that does not e` \
            until the timeout"
    );
    assert_eq!(
        report.outcome.facts().map(|f| f.findings.len()),
        Some(1),
        "the finding is there, too"
    );

    let silent = greeting(b"").await;
    let report = probe(&at(
        silent,
        "timeout = \"200ms\"\nprobe.tcp.dialogue = [{ expect = \"^ready\" }]",
    ))
    .await;
    let silence = "expected a line that matches /^ready/, received nothing until the timeout: the \
        peer accepted the connection and said nothing in ";
    assert!(detail(&report).starts_with(silence), "{}", detail(&report));
    assert!(
        detail(&report).ends_with(
            "; a server that waits for the client to speak first needs \
        a dialogue that begins with a send"
        ),
        "{}",
        detail(&report)
    );
    let asked = "timeout = \"200ms\"\nprobe.tcp.dialogue = [{ send = \"PING\\r\\n\" }, { expect \
        = \"^ready\" }]";
    let report = probe(&at(silent, asked)).await;
    assert!(
        detail(&report).ends_with(" ms, nor to what was sent"),
        "{}",
        detail(&report)
    );
    let only_greeting = "timeout = \"200ms\"\nprobe.tcp.dialogue = [{ expect = \"^hello\" }, { \
        send = \"x\\r\\n\" }, { expect = \"^ready\" }]";
    let report = probe(&at(greeting(b"hello\r\n").await, only_greeting)).await;
    assert_eq!(
        detail(&report),
        "expected a line that matches /^ready/, received nothing until the timeout",
        "it has spoken"
    );

    let leaving = tcp(|mut stream| async move {
        let _ = stream.write_all(b"Host '127.0.0.1' is blocked").await;
    })
    .await;
    let report = probe(&at(
        leaving,
        "probe.tcp.dialogue = [{ expect = \"^ready\" }]",
    ))
    .await;
    assert_eq!(cause(&report), Cause::ExpectMismatch);
    assert!(
        detail(&report).contains(
            "received `Host '127.0.0.1' is blocked` before the peer closed the connection"
        ),
        "{}",
        detail(&report)
    );
}

#[tokio::test]
async fn a_peer_of_another_protocol_is_named_in_a_dialogue() {
    for (greets, name) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "TLS"),
        (b"\x4a\0\0\0\x0a8.0.36\0\x0b\0\0\0", "MySQL"),
        (b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64", "HTTP/2"),
    ] {
        let port = greeting(greets).await;
        let report = probe(&at(
            port,
            "timeout = \"300ms\"\nprobe.tcp.dialogue = [{ expect = \"^220 \" }]",
        ))
        .await;
        assert!(
            detail(&report).ends_with(&format!("; the peer speaks {name}")),
            "{}",
            detail(&report)
        );
    }
}

#[tokio::test]
async fn several_commands_at_once_are_answered_one_by_one() {
    let smtp = tcp(|mut stream| async move {
        let mut bytes = [0; 64];
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await;
        let lines = [
            &b"220 mail\r\n"[..],
            b"250-mail\r\n250 HELP\r\n",
            b"221 bye\r\n",
        ];
        send_apart(&mut stream, Duration::from_millis(30), lines).await;
        std::future::pending::<()>().await;
    })
    .await;
    assert_up(
        &probe(&at(
            smtp,
            "probe.tcp.dialogue = [{ send = \"EHLO x\\r\\nQUIT\\r\\n\" }, { expect = \"^221\" }]",
        ))
        .await,
    );
}

/// Says much of a line, and goes on with it byte by byte; after so long it says the end.
async fn dribbling(begin: Vec<u8>, until: Duration, end: &'static [u8]) -> u16 {
    tcp(move |mut stream| {
        let begin = begin.clone();
        async move {
            let _ = stream.set_nodelay(true);
            let _ = stream.write_all(&begin).await;
            let last = Instant::now() + until;
            let mut each = tokio::time::interval(Duration::from_millis(1));
            while Instant::now() < last && stream.write_all(b"w").await.is_ok() {
                each.tick().await;
            }
            let _ = stream.write_all(end).await;
            std::future::pending::<()>().await;
        }
    })
    .await
}

fn long_line() -> Vec<u8> {
    [b"220 ".to_vec(), b"mx ready for you ".repeat(1500)].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_goes_on_byte_by_byte_until_the_timeout_is_down() {
    let port = dribbling(long_line(), Duration::from_secs(60), b"").await;
    for pattern in ["^220.*ESMTP", "(?i)welcome.{0,20}ready"] {
        let lines =
            format!("timeout = \"1s\"\nprobe.tcp.dialogue = [{{ expect = \"{pattern}\" }}]");
        let report = probe(&at(port, &lines)).await;
        assert_eq!(cause(&report), Cause::ExpectTimeout, "{pattern}");
        let took_ms = (report.stood_ns - report.started_ns) / 1_000_000;
        assert!(took_ms < 1800, "{pattern}: {took_ms} ms");
        assert!(detail(&report).contains("220 mx ready"), "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_whose_end_comes_late_took_as_long_as_its_end_needed() {
    let after = Duration::from_millis(700);
    let port = dribbling(long_line(), after, b" ESMTP\r\n").await;
    let lines = |within: &str| {
        format!(
            "timeout = \"5s\"\nprobe.tcp.dialogue = [{{ expect = \"^220.*ESMTP\" }}]\n\
                probe.tcp.expect.within = \"{within}\""
        )
    };
    let report = probe(&at(port, &lines("5s"))).await;
    assert_up(&report);
    assert!(report.duration_us >= 695_000, "{} us", report.duration_us);
    let report = probe(&at(port, &lines("650ms"))).await;
    assert_eq!(cause(&report), Cause::TooSlow);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_takes_long_to_check_and_comes_at_the_end_is_no_delay_of_ours() {
    // Many beginnings of a match are open at each byte.
    let pieces = ["220", "2", "22", "x", "0", "2202"];
    let mut seed = 7_u32;
    let mut text = String::new();
    while text.len() < 60_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push_str(pieces[(seed >> 16) as usize % pieces.len()]);
    }
    let port = tcp(move |mut stream| {
        let text = text.clone();
        async move {
            let sent = stream.write_all(text.as_bytes());
            let _ = after(Duration::from_millis(460), sent).await;
            std::future::pending::<()>().await;
        }
    })
    .await;
    let lines = "timeout = \"500ms\"\nprobe.tcp.dialogue = [{ expect = '220.{0,200}ESMTP' }]";
    // On a machine that is busy with other work, a check may not end in time: a delay of ours.
    let mut tries = 0;
    let report = loop {
        let report = probe(&at(port, lines)).await;
        tries += 1;
        let is_late = matches!(
            &report.outcome,
            Outcome::Unmeasured {
                reason: Reason::Late,
                ..
            }
        );
        if !is_late || tries == 10 {
            break report;
        }
    };
    let found = cause(&report);
    assert!(
        matches!(found, Cause::ExpectTimeout | Cause::JudgeLimit),
        "{found:?}"
    );
    // What it took beyond its timeout is given to it, but for what others took of the processor.
    let took_ms = (report.stood_ns - report.started_ns) / 1_000_000;
    assert!(
        report.given_ms >= 60 && report.given_ms <= took_ms - 500,
        "{took_ms} ms, given {}",
        report.given_ms
    );
}
