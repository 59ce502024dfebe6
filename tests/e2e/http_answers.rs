//! Answers that are odd, coded, in another charset or longer than is read: what browsers and curl
//! show is up, with a finding.

use std::io::Write;
use std::iter::repeat;

use probity::kind::run::ProbeReport;
use probity::words::Cause;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::serve::*;

fn at(port: u16, more: &str) -> String {
    format!("probe.http.url = \"http://127.0.0.1:{port}/\"\n{more}")
}

fn odd(report: &ProbeReport) -> Vec<&str> {
    report
        .outcome
        .facts()
        .expect("facts")
        .findings
        .iter()
        .filter(|f| f.is_odd())
        .map(|f| f.found.as_str())
        .collect()
}

fn detail(report: &ProbeReport) -> &str {
    match &report.outcome {
        probity::words::Outcome::Failure { detail, .. } => detail,
        other => panic!("not down: {other:?}"),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// A response with this head's end and one chunk.
fn chunked(headers: &str, body: &[u8]) -> Vec<u8> {
    [
        format!("HTTP/1.1 200 OK\r\n{headers}\r\n{:x}\r\n", body.len()).as_bytes(),
        body,
        b"\r\n0\r\n\r\n",
    ]
    .concat()
}

#[tokio::test]
async fn odd_answers_are_up_with_a_finding_and_down_where_the_config_is_strict() {
    for (answer, finding) in [
        (
            &b"HTTP/1.1 200 OK\r\nX-A: one\r\n two\r\nContent-Length: 5\r\n\r\nhello"[..],
            "folded",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            "2 times",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: \
            chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "beside Transfer-Encoding",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
            "blanks",
        ),
        (
            b"HTTP/1.1 200 OK\r\nX-A: a\rb\r\nContent-Length: 5\r\n\r\nhello",
            "carriage return",
        ),
        (
            b"http/1.1  200  OK\r\nContent-Length: 5\r\n\r\nhello",
            "small letters",
        ),
    ] {
        let port = answering(answer).await;
        let report = probe(&at(port, "probe.http.expect.body.contains = \"hello\"")).await;
        assert_up(&report);
        assert!(
            odd(&report).iter().any(|f| f.contains(finding)),
            "{finding}: {:?}",
            odd(&report)
        );
        assert_eq!(
            cause(&probe(&at(port, "probe.http.strict = true")).await),
            Cause::HttpMalformed,
            "{finding}"
        );
    }
    let plain = answering(ok("X-A: b\r\n", b"hello")).await;
    for strict in ["true", "false"] {
        let report = probe(&at(plain, &format!("probe.http.strict = {strict}"))).await;
        assert_up(&report);
        assert!(odd(&report).is_empty());
    }
}

#[tokio::test]
async fn a_transfer_coding_before_chunked_is_undone() {
    let port = answering(chunked(
        "Transfer-Encoding: gzip, chunked\r\n",
        &gzip(b"a needle"),
    ))
    .await;
    assert_up(&probe(&at(port, "probe.http.expect.body.contains = \"a needle\"")).await);
    assert_up(&probe(&at(port, "")).await);
    assert_eq!(
        cause(&probe(&at(port, "probe.http.strict = true")).await),
        Cause::HttpMalformed
    );
    let twice = answering(chunked(
        "Content-Encoding: gzip\r\nTransfer-Encoding: gzip, chunked\r\n",
        &gzip(&gzip(b"a needle")),
    ))
    .await;
    assert_up(&probe(&at(twice, "probe.http.expect.body.contains = \"a needle\"")).await);
    let broken = answering(chunked("Transfer-Encoding: gzip, chunked\r\n", b"no gzip")).await;
    assert_eq!(
        cause(&probe(&at(broken, "probe.http.expect.body.contains = \"x\"")).await),
        Cause::DecodeError
    );
}

#[tokio::test]
async fn a_chunk_size_with_leading_zeros_is_read() {
    let port = answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: \
        chunked\r\n\r\n00000000000000000005\r\nhello\r\n0000\r\n\r\n",
    )
    .await;
    for strict in ["true", "false"] {
        assert_up(
            &probe(&at(
                port,
                &format!(
                    "probe.http.strict = {strict}\nprobe.http.expect.body.contains = \"hello\""
                ),
            ))
            .await,
        );
    }
}

#[tokio::test]
async fn an_unknown_content_encoding_is_looked_at_as_it_is_with_a_finding() {
    for coding in ["UTF-8", "none", "binary", "aws-chunked"] {
        let port = answering(ok(&format!("Content-Encoding: {coding}\r\n"), b"a needle")).await;
        for more in [
            "probe.http.expect.body.contains = \"needle\"",
            "probe.http.compression = true",
        ] {
            let report = probe(&at(port, more)).await;
            assert_up(&report);
            assert!(
                odd(&report)
                    .iter()
                    .any(|f| f.contains(&coding.to_lowercase())),
                "{coding}: {:?}",
                odd(&report)
            );
            assert_eq!(
                cause(&probe(&at(port, &format!("probe.http.strict = true\n{more}"))).await),
                Cause::DecodeError,
                "{coding}"
            );
        }
    }
}

#[tokio::test]
async fn a_strict_config_has_the_severity_of_odd_codings_and_long_bodies_whatever_is_expected() {
    let coded = answering(ok("Content-Encoding: aws-chunked\r\n", b"a needle")).await;
    assert_up(&probe(&at(coded, "")).await);
    let report = probe(&at(coded, "probe.http.strict = true")).await;
    assert_eq!(
        (cause(&report), detail(&report)),
        (Cause::DecodeError, "unknown content coding \"aws-chunked\"")
    );
    // Without a body there is nothing to undo.
    let empty =
        answering("HTTP/1.1 204 No Content\r\nContent-Encoding: none\r\nConnection: close\r\n\r\n")
            .await;
    assert_up(&probe(&at(empty, "probe.http.strict = true")).await);
    let known = answering(ok("Content-Encoding: gzip\r\n", &gzip(b"a needle"))).await;
    assert_up(&probe(&at(known, "probe.http.strict = true")).await);

    let long = answering(ok("", &b"needle ".repeat(1000))).await;
    for expected in [
        "",
        "\nprobe.http.expect.body.contains = \"needle\"",
        "\nprobe.http.expect.body.not_contains = \"hay\"",
    ] {
        let limit = format!("probe.http.limits.body = 2000\nprobe.http.strict = true{expected}");
        let report = probe(&at(long, &limit)).await;
        assert_eq!(cause(&report), Cause::BodyLimit, "{expected}");
        assert_eq!(
            detail(&report),
            "the body is longer than 2000 bytes, the limit of probe.http.limits.body"
        );
    }
    assert_up(&probe(&at(long, "probe.http.limits.body = 2000")).await);
    assert_up(
        &probe(&at(
            long,
            "probe.http.limits.body = 7000\nprobe.http.strict = true",
        ))
        .await,
    );
    let status = probe(&at(
        long,
        "probe.http.limits.body = 2000\nprobe.http.strict = true\nprobe.http.expect.status = 204",
    ))
    .await;
    assert_eq!(
        cause(&status),
        Cause::Status,
        "what the answer says of itself comes first"
    );
    let away = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{known}/\r\nContent-Length: \
            3000\r\nConnection: close\r\n\r\n{}",
        "x".repeat(3000)
    );
    let away = answering(away).await;
    assert_eq!(
        cause(
            &probe(&at(
                away,
                "probe.http.limits.body = 2000\nprobe.http.strict = true"
            ))
            .await
        ),
        Cause::BodyLimit
    );
    assert_up(&probe(&at(away, "probe.http.limits.body = 2000")).await);
}

#[tokio::test]
async fn zstd_is_asked_for_and_undone() {
    let zstd = ruzstd::encoding::compress_to_vec(
        &b"a needle"[..],
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    let port = tcp(move |mut stream| {
        let zstd = zstd.clone();
        async move {
            let asked = read_head(&mut stream)
                .await
                .contains("Accept-Encoding: gzip, deflate, br, zstd\r\n");
            let _ = stream
                .write_all(&if asked {
                    ok("Content-Encoding: zstd\r\n", &zstd)
                } else {
                    ok("", b"nothing")
                })
                .await;
        }
    })
    .await;
    assert_up(
        &probe(&at(
            port,
            "probe.http.compression = true\nprobe.http.expect.body.contains = \"a needle\"",
        ))
        .await,
    );
}

/// A frame of zstd of blocks that each have a table of 2048 entries, and one byte.
fn many_tables(blocks: usize) -> Vec<u8> {
    let block = |is_last: u8| [0x3C | is_last, 0, 0, 0x12, 0xC0, 0, 0x80, 0xB0, 2, 0];
    let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0, 0x68];
    (1..blocks).for_each(|_| frame.extend(block(0)));
    frame.extend(block(1));
    frame
}

#[tokio::test]
async fn a_short_answer_that_takes_long_to_decode_is_down_and_holds_up_nobody() {
    let few = answering(ok(
        "Content-Encoding: zstd, gzip\r\n",
        &gzip(&many_tables(100)),
    ))
    .await;
    let many = answering(ok(
        "Content-Encoding: zstd, gzip\r\n",
        &gzip(&many_tables(200_000)),
    ))
    .await;
    let page = answering(ok("Content-Encoding: gzip\r\n", &gzip(b"a needle"))).await;
    let expected = "timeout = \"1s\"\nprobe.http.expect.body.contains = \"a needle\"";
    assert_eq!(cause(&probe(&at(few, expected)).await), Cause::BodyMismatch);
    for expected in [expected, "timeout = \"1s\"\nprobe.http.compression = true"] {
        let report = probe(&at(many, expected)).await;
        assert_eq!(cause(&report), Cause::DecodeLimit);
        assert_eq!(
            detail(&report),
            "decoding the body takes more than 250 ms of processor time: Probity stopped there"
        );
    }
    assert_up(&probe(&at(page, expected)).await);
}

#[tokio::test]
async fn keywords_are_found_in_the_charset_of_the_page() {
    let utf_16 = |mark: u16, text: &str, write: fn(u16) -> [u8; 2]| {
        std::iter::once(mark)
            .chain(text.encode_utf16())
            .flat_map(write)
            .collect::<Vec<u8>>()
    };
    for (content_type, body, keyword) in [
        (
            "text/html; charset=ISO-8859-1",
            b"Gr\xfc\xdfe".to_vec(),
            "Gr\u{fc}\u{df}e",
        ),
        (
            "text/html; charset=windows-1252",
            b"5 \x80".to_vec(),
            "5 \u{20ac}",
        ),
        (
            "text/html; charset=GBK",
            b"\xc4\xe3\xba\xc3".to_vec(),
            "\u{4f60}\u{597d}",
        ),
        (
            "text/html; charset=Shift_JIS",
            b"\x93\xfa\x96{".to_vec(),
            "\u{65e5}\u{672c}",
        ),
        (
            "text/html",
            b"<meta charset=\"gbk\"><p>\xc4\xe3\xba\xc3".to_vec(),
            "\u{4f60}\u{597d}",
        ),
        (
            "text/plain",
            utf_16(0xFEFF, "Gr\u{fc}n", u16::to_le_bytes),
            "Gr\u{fc}n",
        ),
        (
            "text/plain",
            utf_16(0xFEFF, "Gr\u{fc}n", u16::to_be_bytes),
            "Gr\u{fc}n",
        ),
        ("text/html; charset=utf-8", "Gr\u{fc}n".into(), "Gr\u{fc}n"),
        // The page's own word for its charset is wrong: browsers show other letters, and the bytes
        // are there all the same.
        (
            "text/html; charset=iso-8859-1",
            "Gr\u{fc}n".into(),
            "Gr\u{fc}n",
        ),
    ] {
        let port = answering(ok(&format!("Content-Type: {content_type}\r\n"), &body)).await;
        assert_up(
            &probe(&at(
                port,
                &format!("probe.http.expect.body.contains = \"{keyword}\""),
            ))
            .await,
        );
        assert_up(
            &probe(&at(
                port,
                &format!("probe.http.expect.body.matches = \"{keyword}$\""),
            ))
            .await,
        );
        for more in [
            format!("not_contains = \"{keyword}\""),
            format!("not_matches = \"{keyword}\""),
            "contains = \"\u{2603}\"".into(),
        ] {
            assert_eq!(
                cause(&probe(&at(port, &format!("probe.http.expect.body.{more}"))).await),
                Cause::BodyMismatch,
                "{content_type} {more}"
            );
        }
    }
}

#[tokio::test]
async fn json_with_a_byte_order_mark_or_in_another_charset_is_json() {
    let utf_16: Vec<u8> = "\u{feff}{\"a\":\"\u{fc}\"}"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    for (content_type, body) in [
        (
            "application/json",
            "\u{feff}{\"a\":\"\u{fc}\"}".as_bytes().to_vec(),
        ),
        ("application/json", utf_16),
        (
            "application/json; charset=iso-8859-1",
            b"{\"a\":\"\xfc\"}".to_vec(),
        ),
        // JSON is UTF-8, whatever its header says.
        (
            "application/json; charset=iso-8859-1",
            "{\"a\":\"\u{fc}\"}".as_bytes().to_vec(),
        ),
    ] {
        let port = answering(ok(&format!("Content-Type: {content_type}\r\n"), &body)).await;
        assert_up(&probe(&at(port, "probe.http.expect.json = \"body.a == '\u{fc}'\"")).await);
    }
}

#[tokio::test]
async fn a_body_beyond_its_limit_is_a_fault_only_where_an_expectation_needs_the_rest() {
    let page = format!("<html>early{}late</html>", "x".repeat(3 << 20));
    let json = format!("{{\"a\":\"{}\"}}", "x".repeat(3 << 20));
    let (page, json) = (
        answering(ok("", page.as_bytes())).await,
        answering(ok("", json.as_bytes())).await,
    );
    for more in [
        "",
        "body.contains = \"early\"",
        "body.matches = \"^<html>\"",
        "body.matches = \"(?s)^<html>.*\"",
        "status = 200",
    ] {
        let lines = if more.is_empty() {
            String::new()
        } else {
            format!("probe.http.expect.{more}")
        };
        let report = probe(&at(page, &lines)).await;
        assert_up(&report);
        assert_eq!(
            report.outcome.facts().and_then(|f| f.body_bytes),
            Some(1 << 20),
            "{more}"
        );
        assert!(
            odd(&report).iter().any(|f| f.contains("limits.body")),
            "{more}: {:?}",
            odd(&report)
        );
    }
    for (more, wanted) in [
        ("body.contains = \"late\"", Cause::BodyLimit),
        ("body.not_contains = \"gone\"", Cause::BodyLimit),
        ("body.matches = \"x$\"", Cause::BodyLimit),
        ("body.not_matches = \"gone\"", Cause::BodyLimit),
        ("body.not_contains = \"early\"", Cause::BodyMismatch),
        ("body.not_matches = \"early\"", Cause::BodyMismatch),
        ("status = 204", Cause::Status),
    ] {
        let report = probe(&at(page, &format!("probe.http.expect.{more}"))).await;
        assert_eq!(cause(&report), wanted, "{more}");
        assert_eq!(
            wanted == Cause::BodyLimit,
            detail(&report).contains("raise probe.http.limits.body"),
            "{}",
            detail(&report)
        );
    }
    assert_eq!(
        cause(&probe(&at(json, "probe.http.expect.json = \"has(body.a)\"")).await),
        Cause::BodyLimit
    );
    let raised = "probe.http.limits.body = \"4MiB\"\nprobe.http.expect";
    assert_up(&probe(&at(page, &format!("{raised}.body.contains = \"late\""))).await);
    assert_up(&probe(&at(json, &format!("{raised}.json = \"has(body.a)\""))).await);
}

#[tokio::test]
async fn a_coded_body_beyond_its_limit_is_looked_at_as_far_as_it_was_read() {
    let noise: Vec<u8> = (0..200_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let port = answering(ok(
        "Content-Encoding: gzip\r\n",
        &gzip(&[b"early", &noise[..], b"late"].concat()),
    ))
    .await;
    let limit = "probe.http.limits.body = \"100KiB\"\nprobe.http.compression = true";
    assert_up(&probe(&at(port, limit)).await);
    assert_up(
        &probe(&at(
            port,
            &format!("{limit}\nprobe.http.expect.body.contains = \"early\""),
        ))
        .await,
    );
    assert_eq!(
        cause(
            &probe(&at(
                port,
                &format!("{limit}\nprobe.http.expect.body.contains = \"late\"")
            ))
            .await
        ),
        Cause::BodyLimit
    );
}

#[tokio::test]
async fn an_error_shows_its_text() {
    let error = |line: &str, headers: &str, body: &[u8]| {
        [format!("HTTP/1.1 {line}\r\n{headers}\r\n").as_bytes(), body].concat()
    };
    for (answer, shown) in [
        (
            error(
                "400 Bad Request",
                "",
                b"Client sent an HTTP request to an HTTPS server.\n",
            ),
            "\"Client sent an HTTP request to an HTTPS server.\"",
        ),
        (
            error(
                "400 Bad Request",
                "",
                b"<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title>",
            ),
            "The plain HTTP request was sent to HTTPS port",
        ),
        (error("503 No", "", &b"busy ".repeat(100_000)), "busy busy"),
        (
            error("500 No", "Content-Encoding: gzip\r\n", &gzip(b"hidden")),
            "found 500",
        ),
    ] {
        let report = probe(&at(answering(answer).await, "")).await;
        assert_eq!(cause(&report), Cause::Status);
        assert!(
            detail(&report).contains(shown) && detail(&report).len() < 250,
            "{}",
            detail(&report)
        );
    }
    let fine = answering(error("404 Fine", "", b"as expected")).await;
    let report = probe(&at(fine, "probe.http.expect.status = 404")).await;
    assert_up(&report);
    assert!(!format!("{:?}", report.outcome).contains("as expected"));
}

#[tokio::test]
async fn a_peer_of_another_protocol_is_named() {
    for (answer, name) in [
        (&b"\x15\x03\x01\x00\x02\x02\x46"[..], "the peer speaks TLS"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "the peer speaks SSH"),
        (
            b"220 mail.example ESMTP Postfix\r\n",
            "the peer speaks SMTP",
        ),
        (
            b"-ERR unknown command 'GET', with args beginning with: '/' \r\n",
            "the peer speaks Redis",
        ),
        (
            b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64\
            \x00\x04\x00\x10\x00\x00\x00\x06\x00\x00\x40\x00",
            "the peer speaks HTTP/2",
        ),
    ] {
        let report = probe(&at(answering(answer).await, "")).await;
        assert_eq!(cause(&report), Cause::HttpMalformed);
        assert!(
            detail(&report).contains(name),
            "{name}: {}",
            detail(&report)
        );
    }
    let report = probe(&at(
        answering(ok("", b"")).await,
        "probe.http.version = \"2\"",
    ))
    .await;
    assert!(
        detail(&report).contains("the peer speaks HTTP, not HTTP/2"),
        "{}",
        detail(&report)
    );
}

#[tokio::test]
async fn a_body_that_drips_until_the_timeout_took_the_whole_timeout() {
    for (head, piece) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", "x"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "1\r\nx\r\n",
        ),
    ] {
        for every in [1, 20, 250] {
            let port = tcp(move |mut stream| async move {
                read_head(&mut stream).await;
                let _ = stream.write_all(head.as_bytes()).await;
                let apart = std::time::Duration::from_millis(every);
                send_apart(&mut stream, apart, repeat(piece.as_bytes())).await;
            })
            .await;
            let report = probe(&at(port, "timeout = \"400ms\"")).await;
            assert_eq!(cause(&report), Cause::BodyTimeout);
            assert!(
                (400_000..450_000).contains(&report.duration_us),
                "every {every} ms: {} us",
                report.duration_us
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_wait_for_memory_in_the_probers_own_time() {
    let item = "{\"name\":\"a\",\"ok\":true,\"n\":[1,2,3]},";
    let json = format!("{{\"items\":[{}{{}}]}}", item.repeat(600_000 / item.len()));
    let plain = answering(ok("", json.as_bytes())).await;
    let coded = answering(ok("Content-Encoding: gzip\r\n", &gzip(json.as_bytes()))).await;
    let expect = "timeout = \"60s\"\nprobe.http.expect.json = \"size(body.items) > 1000\"";
    let began = tokio::time::Instant::now();
    let reports = tokio::task::LocalSet::new()
        .run_until(async move {
            let net = std::rc::Rc::new(probity::net::shared::Net::default());
            let probe = |k: usize| {
                let (net, endpoint) = (
                    net.clone(),
                    endpoint(&at(if k.is_multiple_of(2) { plain } else { coded }, expect)),
                );
                tokio::task::spawn_local(
                    async move { probity::kind::run::run(&net, &endpoint).await },
                )
            };
            let mut reports = Vec::new();
            for running in (0..12).map(probe).collect::<Vec<_>>() {
                reports.push(running.await.expect("no panic"));
            }
            reports
        })
        .await;
    reports.iter().for_each(assert_up);
    let (wall, longest) = (
        began.elapsed(),
        reports
            .iter()
            .map(|r| std::time::Duration::from_micros(r.duration_us))
            .max(),
    );
    assert!(
        longest.is_some_and(|longest| longest < wall / 2),
        "{longest:?} of {wall:?}: judging and waiting are not the endpoint's"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_stop_within_a_large_body_keep_no_other_waiting() {
    let stuck = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let told = stuck.clone();
    let stalling = tcp(move |mut stream| {
        let told = told.clone();
        async move {
            read_head(&mut stream).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                .await;
            let _ = stream.write_all(&[b'x'; 200_000]).await;
            told.add_permits(1);
            let _ = stream.read_u8().await;
        }
    })
    .await;
    let healthy = answering(ok("", &[b'x'; 900_000])).await;
    tokio::task::LocalSet::new()
        .run_until(async move {
            let net = std::rc::Rc::new(probity::net::shared::Net::default());
            let probe = |port, lines: &str| {
                let (net, endpoint) = (
                    net.clone(),
                    endpoint(&at(
                        port,
                        &format!("{lines}\nprobe.http.expect.body.contains = \"x\""),
                    )),
                );
                tokio::task::spawn_local(
                    async move { probity::kind::run::run(&net, &endpoint).await },
                )
            };
            // More than there is room for.
            let stalled: Vec<_> = (0..20)
                .map(|_| probe(stalling, "timeout = \"20s\""))
                .collect();
            let _ = stuck.acquire_many(16).await.expect("open");
            assert_up(&probe(healthy, "timeout = \"4s\"").await.expect("no panic"));
            assert!(stalled.iter().all(|probe| !probe.is_finished()));
            stalled.iter().for_each(tokio::task::JoinHandle::abort);
        })
        .await;
}

/// It came in time: it is up, or more work than an answer may be, or the prober had no thread for
/// it in time. It is no timeout of the endpoint.
#[tokio::test]
async fn what_came_in_time_and_is_not_judged_by_then_is_no_timeout() {
    let items = "{\"a\":[1,2,3]},".repeat(60_000);
    let port = answering(ok("", format!("{{\"items\":[{items}{{}}]}}").as_bytes())).await;
    let expect = "timeout = \"100ms\"\nprobe.http.limits.body = \"16MiB\"\nprobe.http.expect.json \
        = \"body.items.all(i, size(string(size(i))) < 9)\"";
    let report = probe(&at(port, expect)).await;
    // A debug build needs longer than it may; a quick one ends in time.
    match &report.outcome {
        probity::words::Outcome::Failure {
            cause: Cause::JudgeLimit,
            ..
        } => {}
        probity::words::Outcome::Success(_) => assert!(report.duration_us < 100_000),
        probity::words::Outcome::Unmeasured { reason, .. } => {
            assert_eq!(*reason, probity::words::Reason::Late)
        }
        down => panic!("{down:?}"),
    }
}
