//! The http kind against servers that behave and misbehave.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use probity::words::{Cause, Phase};
use tokio::io::AsyncWriteExt;

use super::serve::*;

fn at(port: u16, more: &str) -> String {
    format!("probe.http.url = \"http://127.0.0.1:{port}/path?q=1\"\n{more}")
}

#[tokio::test]
async fn a_healthy_answer_is_up_with_its_facts_and_phases() {
    let report = probe(&at(answering(ok("X-A: b\r\n", b"hello")).await, "")).await;
    assert_up(&report);
    let facts = report.outcome.facts().expect("up");
    assert_eq!(
        (facts.http_status, facts.http_version, facts.body_bytes),
        (Some(200), Some("1.1"), Some(5))
    );
    for phase in [
        Phase::Connect,
        Phase::Request,
        Phase::FirstByte,
        Phase::Transfer,
    ] {
        assert!(report.phases.us(phase).is_some(), "{}", phase.as_str());
    }
    assert!(report.phases.us(Phase::Resolve).is_none() && report.phases.us(Phase::Tls).is_none());
}

#[tokio::test]
async fn status_codes_are_held_against_the_expected_set() {
    for (line, expect, up) in [
        ("200 OK", "", true),
        ("204 No Content", "", true),
        ("301 Moved", "", false),
        ("404 Not Found", "", false),
        ("503 Gone", "", false),
        (
            "404 Not Found",
            "probe.http.expect.status = [200, \"4xx\"]",
            true,
        ),
        ("299 Fine", "probe.http.expect.status = \"200-298\"", false),
    ] {
        let port = answering(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n")).await;
        let report = probe(&at(port, expect)).await;
        if up {
            assert_up(&report);
        } else {
            assert_eq!(cause(&report), Cause::Status, "{line} {expect}");
        }
    }
}

#[tokio::test]
async fn each_expectation_has_its_cause_and_finding() {
    let response = || {
        ok(
            "Content-Type: application/json\r\n",
            b"{\"status\":\"ok\",\"n\":3}",
        )
    };
    for (expect, wanted) in [
        ("body.contains = \"ok\"", None),
        ("body.contains = \"gone\"", Some(Cause::BodyMismatch)),
        (
            "body.not_contains = [\"gone\", \"ok\"]",
            Some(Cause::BodyMismatch),
        ),
        ("body.matches = \"^\\\\{.*\\\\}$\"", None),
        ("body.matches = \"^x\"", Some(Cause::BodyMismatch)),
        ("body.not_matches = \"status\"", Some(Cause::BodyMismatch)),
        ("json = \"body.status == 'ok' && body.n > 2\"", None),
        ("json = \"body.n > 5\"", Some(Cause::JsonMismatch)),
        ("json = \"body.missing.key\"", Some(Cause::JsonMismatch)),
        ("json = \"body.n\"", Some(Cause::JsonMismatch)),
        (
            "headers = { content-type = { matches = \"json\" }, x-none = false }",
            None,
        ),
        (
            "headers = { content-type = \"text/html\" }",
            Some(Cause::HeaderMismatch),
        ),
        ("headers = { x-none = true }", Some(Cause::HeaderMismatch)),
        ("version = \"1.1\"", None),
        ("version = \"2\"", Some(Cause::VersionMismatch)),
        ("final_url = \"/elsewhere\"", Some(Cause::UrlMismatch)),
    ] {
        let report = probe(&at(
            answering(response()).await,
            &format!("probe.http.expect.{expect}"),
        ))
        .await;
        match wanted {
            None => assert_up(&report),
            Some(wanted) => {
                assert_eq!(cause(&report), wanted, "{expect}");
                let facts = report.outcome.facts().expect("facts");
                assert!(facts.findings.iter().any(|f| !f.met), "{expect}");
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_is_no_text_or_nests_too_deep_is_a_mismatch_and_no_crash() {
    let port = answering(ok("", &[0xff, 0xfe, 0x00, b'o', b'k'])).await;
    assert_up(&probe(&at(port, "probe.http.expect.body.contains = \"ok\"")).await);
    let deep = "[".repeat(100_000);
    let port = answering(ok("", deep.as_bytes())).await;
    assert_eq!(
        cause(&probe(&at(port, "probe.http.expect.json = \"true\"")).await),
        Cause::JsonMismatch
    );
}

#[tokio::test]
async fn an_answer_shortly_before_the_timeout_is_up_and_after_it_down() {
    let (before, after) = (
        answering_after(Duration::from_millis(1800), ok("", b"")).await,
        answering_after(Duration::from_millis(2200), ok("", b"")).await,
    );
    assert_up(&probe(&at(before, "timeout = \"2s\"")).await);
    let report = probe_within(Duration::from_millis(2050), &at(after, "timeout = \"2s\"")).await;
    assert_eq!(cause(&report), Cause::FirstByteTimeout);
}

#[tokio::test]
async fn the_stage_in_which_time_ran_out_names_the_cause() {
    let silent = tcp(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(
        cause(&probe(&at(silent, "timeout = \"200ms\"")).await),
        Cause::FirstByteTimeout
    );
    let body = stalling(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal").await;
    assert_eq!(
        cause(&probe(&at(body, "timeout = \"200ms\"")).await),
        Cause::BodyTimeout
    );
    let tls = format!("timeout = \"200ms\"\nprobe.http.url = \"https://127.0.0.1:{silent}/\"");
    assert_eq!(cause(&probe(&tls).await), Cause::TlsTimeout);
    assert_eq!(
        cause(
            &probe(&at(
                body,
                "timeout = \"200ms\"\nprobe.http.limits.body = \"1KiB\""
            ))
            .await
        ),
        Cause::BodyTimeout
    );
}

#[tokio::test]
async fn an_endpoint_that_is_too_slow_is_down_before_its_timeout() {
    let port = answering_after(Duration::from_millis(120), ok("", b"")).await;
    assert_eq!(
        cause(&probe(&at(port, "probe.http.expect.within = \"50ms\"")).await),
        Cause::TooSlow
    );
    assert_up(&probe(&at(port, "probe.http.expect.within = \"1500ms\"")).await);
}

#[tokio::test]
async fn a_server_that_refuses_resets_or_breaks_off_is_down() {
    assert_eq!(
        cause(&probe(&at(closed_port(), "")).await),
        Cause::ConnectRefused
    );
    let resetting = tcp(|mut stream| async move {
        read_head(&mut stream).await;
        let socket = socket2::Socket::from(stream.into_std().expect("registered"));
        let _ = socket.set_linger(Some(Duration::ZERO));
    })
    .await;
    assert_eq!(cause(&probe(&at(resetting, "")).await), Cause::ConnectReset);
    assert_eq!(
        cause(&probe(&at(answering("").await, "")).await),
        Cause::HttpTruncated
    );
    assert_eq!(
        cause(
            &probe(&at(
                answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal").await,
                ""
            ))
            .await
        ),
        Cause::HttpTruncated
    );
    assert_eq!(
        cause(&probe(&at(answering("SSH-2.0-OpenSSH\r\n").await, "")).await),
        Cause::HttpMalformed
    );
}

#[tokio::test]
async fn a_port_that_takes_no_connection_is_a_connect_timeout() {
    // A full backlog: the kernel drops further SYNs.
    let socket =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket
        .bind(
            &"127.0.0.1:0"
                .parse::<std::net::SocketAddr>()
                .expect("an address")
                .into(),
        )
        .expect("bound");
    socket.listen(0).expect("listening");
    let to = socket
        .local_addr()
        .expect("bound")
        .as_socket()
        .expect("inet");
    let _first: Vec<_> = (0..3)
        .map(|_| {
            let s = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
                .expect("a socket");
            s.set_nonblocking(true).expect("set");
            let _ = s.connect(&to.into());
            s
        })
        .collect();
    assert_eq!(
        cause(&probe(&at(to.port(), "timeout = \"300ms\"")).await),
        Cause::ConnectTimeout
    );
}

#[tokio::test]
async fn bodies_and_headers_are_bounded() {
    let endless = tcp(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    assert_up(&probe(&at(endless, "probe.http.limits.body = \"64KiB\"")).await);
    let needle = "probe.http.limits.body = \"64KiB\"\nprobe.http.expect.body.contains = \"needle\"";
    assert_eq!(cause(&probe(&at(endless, needle)).await), Cause::BodyLimit);
    let many = format!(
        "HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n",
        "X-H: y\r\n".repeat(100_000)
    );
    assert_eq!(
        cause(&probe(&at(answering(many).await, "")).await),
        Cause::HeaderLimit
    );
    let fine = format!(
        "HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n",
        "X-H: y\r\n".repeat(256)
    );
    assert_up(&probe(&at(answering(fine).await, "")).await);
}

#[tokio::test]
async fn compressed_bodies_are_undone_and_bombs_are_not() {
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    };
    let expect = "probe.http.compression = true\nprobe.http.expect.body.contains = \"needle\"";
    let port = answering(ok("Content-Encoding: gzip\r\n", &gzip(b"a needle"))).await;
    assert_up(&probe(&at(port, expect)).await);
    let twice = gzip(&gzip(b"a needle"));
    assert_up(
        &probe(&at(
            answering(ok("Content-Encoding: gzip, gzip\r\n", &twice)).await,
            expect,
        ))
        .await,
    );
    let bomb = gzip(&vec![0; 100 << 20]);
    assert_eq!(
        cause(
            &probe(&at(
                answering(ok("Content-Encoding: gzip\r\n", &bomb)).await,
                expect
            ))
            .await
        ),
        Cause::DecodeLimit
    );
    assert_eq!(
        cause(
            &probe(&at(
                answering(ok("Content-Encoding: gzip\r\n", b"no gzip")).await,
                expect
            ))
            .await
        ),
        Cause::DecodeError
    );
    assert_eq!(
        cause(
            &probe(&at(
                answering(ok("Content-Encoding: gzip,gzip,gzip,gzip\r\n", b"x")).await,
                expect
            ))
            .await
        ),
        Cause::DecodeLimit
    );
}

/// A server that redirects `/0` to `/1` and so on, `/last` being fine.
async fn chain(last: usize) -> u16 {
    tcp(move |mut stream| async move {
        let head = read_head(&mut stream).await;
        let n: usize = head
            .split(['/', ' '])
            .nth(2)
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        let answer = if n < last {
            format!(
                "HTTP/1.1 302 Found\r\nLocation: /{}\r\nContent-Length: 0\r\n\r\n",
                n + 1
            )
        } else {
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into()
        };
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await
}

#[tokio::test]
async fn ten_redirects_are_followed_and_the_eleventh_is_not() {
    for (last, up) in [(9, true), (10, true), (11, false)] {
        let report = probe(&format!(
            "probe.http.url = \"http://127.0.0.1:{}/0\"",
            chain(last).await
        ))
        .await;
        if up {
            assert_up(&report);
            assert_eq!(report.outcome.facts().expect("up").redirects as usize, last);
        } else {
            assert_eq!(cause(&report), Cause::RedirectLimit);
        }
    }
    let taken = format!(
        "probe.http.url = \"http://127.0.0.1:{}/0\"\nprobe.http.redirects = \
            0\nprobe.http.expect.status = 302",
        chain(3).await
    );
    assert_up(&probe(&taken).await);
}

#[tokio::test]
async fn a_redirect_may_not_leave_http_nor_grow_without_end() {
    for location in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "http://[bad",
        &format!("/{}", "x".repeat(10_000)),
    ] {
        let port = answering(format!(
            "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        ))
        .await;
        assert_eq!(
            cause(&probe(&at(port, "")).await),
            Cause::RedirectPolicy,
            "{location}"
        );
    }
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_origin() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let record = |seen: &Arc<Mutex<Vec<String>>>, answer: String| {
        let seen = seen.clone();
        tcp(move |mut stream| {
            let (seen, answer) = (seen.clone(), answer.clone());
            async move {
                let head = read_head(&mut stream).await;
                seen.lock()
                    .expect("no panic")
                    .push(head.to_ascii_lowercase());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        })
    };
    let other = record(&seen, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into()).await;
    let first = record(
        &seen,
        format!(
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{other}/\r\nContent-Length: 0\r\n\r\n"
        ),
    )
    .await;
    let lines = "probe.http.auth.bearer = { env = \"TEST_SECRET\" }\nprobe.http.headers = { x-key \
        = { env = \"TEST_SECRET\" }, x-plain = \"yes\" }";
    assert_up(&probe(&at(first, lines)).await);
    let seen = seen.lock().expect("no panic").clone();
    assert!(
        seen[0].contains("authorization: bearer hunter2-planted")
            && seen[0].contains("x-key: hunter2-planted"),
        "{seen:?}"
    );
    assert!(
        !seen[1].contains("hunter2") && seen[1].contains("x-plain: yes"),
        "{seen:?}"
    );
    let refused = format!("{lines}\nprobe.http.redirects = {{ max = 10, cross_origin = false }}");
    assert_eq!(
        cause(&probe(&at(first, &refused)).await),
        Cause::RedirectPolicy
    );
}

#[tokio::test]
async fn method_body_headers_and_basic_auth_arrive() {
    let seen: Arc<Mutex<String>> = Arc::default();
    let to = seen.clone();
    let port = tcp(move |mut stream| {
        let to = to.clone();
        async move {
            *to.lock().expect("no panic") = read_head(&mut stream).await;
            let _ = stream.write_all(&ok("", b"")).await;
        }
    })
    .await;
    let lines = "probe.http.method = \"POST\"\nprobe.http.body = \"{}\"\nprobe.http.headers = { \
        host = \"other.example\", user-agent = \"mine\" }\nprobe.http.auth.basic = { username \
        = \"u\", password = { env = \"TEST_SECRET\" } }";
    assert_up(&probe(&at(port, lines)).await);
    let head = seen.lock().expect("no panic").clone();
    for part in [
        "POST /path?q=1 HTTP/1.1",
        "host: other.example",
        "user-agent: mine",
        "Content-Length: 2",
        "Authorization: Basic dTpodW50ZXIyLXBsYW50ZWQ=",
    ] {
        assert!(head.contains(part), "{part}\n{head}");
    }
    assert!(!head.contains("Probity"));
}

/// An HTTP/2 server without TLS.
async fn h2c(status: u16, body: &'static [u8]) -> u16 {
    tcp(move |stream| async move {
        let Ok(mut connection) = h2::server::handshake(stream).await else {
            return;
        };
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let response = http::Response::builder()
                .status(status)
                .body(())
                .expect("a response");
            if let Ok(mut send) = respond.send_response(response, false) {
                let _ = send.send_data(bytes::Bytes::from_static(body), true);
            }
        }
    })
    .await
}

#[tokio::test]
async fn http_2_is_spoken_with_prior_knowledge() {
    let lines = "probe.http.version = \"2\"\nprobe.http.expect.version \
        = \"2\"\nprobe.http.expect.body.contains = \"hello\"";
    let report = probe(&at(h2c(200, b"hello").await, lines)).await;
    assert_up(&report);
    assert_eq!(
        report.outcome.facts().and_then(|f| f.http_version),
        Some("2")
    );
    assert_eq!(
        cause(&probe(&at(h2c(500, b"hello").await, lines)).await),
        Cause::Status
    );
    assert_eq!(
        cause(&probe(&at(answering(ok("", b"hello")).await, lines)).await),
        Cause::ProtocolError
    );
    let long = h2c(200, &[b'x'; 5000]).await;
    let limit = "probe.http.version = \"2\"\nprobe.http.limits.body = 1000";
    let report = probe(&at(long, limit)).await;
    assert_up(&report);
    assert_eq!(
        report.outcome.facts().and_then(|f| f.body_bytes),
        Some(1000)
    );
    assert_eq!(
        cause(
            &probe(&at(
                long,
                &format!("{limit}\nprobe.http.expect.body.contains = \"y\"")
            ))
            .await
        ),
        Cause::BodyLimit
    );
}

/// RFC 9113, section 8.2.2: the fields of a connection; and 8.2.1: no blanks around a value.
#[tokio::test]
async fn headers_that_http_2_forbids_stay_out_of_its_requests() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = seen.clone();
    let port = tcp(move |stream| {
        let noted = noted.clone();
        async move {
            let Ok(mut connection) = h2::server::handshake(stream).await else {
                return;
            };
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let headers = request
                    .headers()
                    .iter()
                    .map(|(n, v)| format!("{n}: {}", String::from_utf8_lossy(v.as_bytes())));
                noted.lock().expect("no panic").extend(headers);
                let _ = respond.send_response(http::Response::new(()), true);
            }
        }
    })
    .await;
    let headers = "probe.http.version = \"2\"\nprobe.http.headers = { keep-alive = \"timeout=5\", \
        Upgrade = \"h2c\", Proxy-Connection = \"x\", te = \"gzip\", x-a = \" b \" }";
    assert_up(&probe(&at(port, headers)).await);
    let sent = std::mem::take(&mut *seen.lock().expect("no panic"));
    assert!(sent.contains(&"x-a: b".to_owned()), "{sent:?}");
    for name in ["keep-alive", "upgrade", "proxy-connection", "te"] {
        assert!(
            !sent
                .iter()
                .any(|line| line.starts_with(&format!("{name}:"))),
            "{name}: {sent:?}"
        );
    }
    assert_up(
        &probe(&at(
            port,
            "probe.http.version = \"2\"\nprobe.http.headers = { TE = \"trailers\" }",
        ))
        .await,
    );
    let sent = std::mem::take(&mut *seen.lock().expect("no panic"));
    assert!(sent.contains(&"te: trailers".to_owned()), "{sent:?}");
}

#[tokio::test]
async fn secret_query_values_are_sent_and_an_endpoint_that_reflects_secrets_does_not_show_them() {
    let port = tcp(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let _ = stream.write_all(&ok("", head.as_bytes())).await;
    })
    .await;
    let lines = "probe.http.query = { token = { env = \"TEST_SECRET\" } }\nprobe.http.auth.bearer \
        = { env = \"TEST_SECRET\" }\nprobe.http.expect.body";
    assert_up(
        &probe(&at(
            port,
            &format!("{lines}.contains = \"/path?q=1&token=hunter2-planted HTTP/1.1\""),
        ))
        .await,
    );
    let report = probe(&at(port, &format!("{lines}.contains = \"not there\""))).await;
    assert!(
        !format!("{:?}", report.outcome).contains("hunter2"),
        "{:?}",
        report.outcome
    );
}

#[tokio::test]
async fn an_answer_without_a_body_has_nothing_to_decode_and_numbers_can_be_reckoned_with() {
    let port =
        answering("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 50\r\n\r\n").await;
    assert_up(
        &probe(&at(
            port,
            "probe.http.method = \"HEAD\"\nprobe.http.compression = true",
        ))
        .await,
    );
    let port = answering(ok("", b"{\"n\":5,\"list\":[1,2]}")).await;
    assert_up(
        &probe(&at(
            port,
            "probe.http.expect.json = \"body.n + 1 == 6 && body.list.all(x, x < 3)\"",
        ))
        .await,
    );
}

/// A figure that a server writes as `1` now and as `1.0` then must not make an endpoint flap.
#[tokio::test]
async fn a_number_of_json_reckons_alike_whether_it_is_written_whole_or_with_a_point() {
    for written in ["1", "1.0", "1e0", "10e-1"] {
        let port = answering(ok(
            "",
            format!("{{\"f\":{written},\"list\":[{written},2]}}").as_bytes(),
        ))
        .await;
        for text in [
            "body.f * 2 == 2",
            "body.f / 2 == 0.5",
            "body.f + 1 <= 2",
            "2 - body.f == 1.0",
            "body.f % 2 == 1",
            "body.list.all(x, x * 2 <= 4)",
            "body.list[body.f] == 2",
        ] {
            assert_up(&probe(&at(port, &format!("probe.http.expect.json = \"{text}\""))).await);
        }
    }
}

#[tokio::test]
async fn an_expression_that_does_not_hold_shows_the_values_and_types_that_it_saw() {
    let port = answering(ok(
        "",
        b"{\"status\":\"degraded\",\"queue\":\"17\",\"items\":[{\"live\":true},{\"live\":false}]}",
    ))
    .await;
    for (text, parts) in [
        (
            "body.status == 'ok'",
            &["found false; body.status = \"degraded\""][..],
        ),
        (
            "body.queue * 2 < 40",
            &[
                "`body.queue * 2`",
                "body.queue = \"17\" (string)",
                "2 (number)",
            ],
        ),
        (
            "body.items.all(i, i.live)",
            &["the first i that fails = {\"live\": false}"],
        ),
        ("body.stauts == 'ok'", &["no member `stauts`"]),
    ] {
        let report = probe(&at(port, &format!("probe.http.expect.json = \"{text}\""))).await;
        assert_eq!(cause(&report), Cause::JsonMismatch, "{text}");
        let shown = format!("{:?}", report.outcome).replace("\\\"", "\"");
        assert!(
            parts.iter().all(|part| shown.contains(part)),
            "{text}: {shown}"
        );
    }
}
