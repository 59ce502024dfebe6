//! What goes out: headers as the config writes them, lengths, and what of it follows a redirect.

use std::sync::{Arc, Mutex};

use probity::words::Cause;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::serve::*;

type Seen = Arc<Mutex<Vec<String>>>;

/// Notes each request with its body, and answers with the first line and headers that `answer`
/// gives.
async fn noting(
    seen: &Seen,
    answer: impl Fn(&str) -> String + Clone + Send + Sync + 'static,
) -> u16 {
    let seen = seen.clone();
    tcp(move |mut stream| {
        let (seen, answer) = (seen.clone(), answer.clone());
        async move {
            let mut request = read_head(&mut stream).await;
            let length = request
                .lines()
                .find_map(|l| l.strip_prefix("Content-Length: "))
                .and_then(|n| n.parse().ok())
                .unwrap_or(0);
            let mut body = vec![0; length];
            let _ = stream.read_exact(&mut body).await;
            request.push_str(&String::from_utf8_lossy(&body));
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            seen.lock().expect("no panic").push(request);
            let _ = stream
                .write_all(
                    format!("HTTP/1.1 {}Content-Length: 0\r\n\r\n", answer(&path)).as_bytes(),
                )
                .await;
        }
    })
    .await
}

fn taken(seen: &Seen) -> Vec<String> {
    std::mem::take(&mut *seen.lock().expect("no panic"))
}

const ALL: &str = "probe.http.headers = { X-Plain = \"yes\", User-Agent = \"mine/1\", accept \
    = \"text/html\", Host = \"shop.example\", Content-Type = \"application/json\", \
                   X-Key = { env = \"TEST_SECRET\" } }\nprobe.http.auth.bearer = { env \
                   = \"TEST_SECRET\" }\nprobe.http.query = { token = { env = \"TEST_SECRET\" } }";

#[tokio::test]
async fn names_go_out_as_the_config_writes_them_and_defaults_in_the_usual_way() {
    let seen = Seen::default();
    let port = noting(&seen, |_| "200 OK\r\n".into()).await;
    assert_up(
        &probe(&format!(
            "probe.http.url = \"http://127.0.0.1:{port}/\"\nprobe.http.headers = {{ \
            x-lower = \"a\", X-UPPER = \"b\", SOAPAction = \"c\" }}"
        ))
        .await,
    );
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: Probity/{version}\r\nAccept: \
            */*\r\nSOAPAction: c\r\nX-UPPER: b\r\nx-lower: a\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(taken(&seen), [expected]);
    assert_up(
        &probe(&format!(
            "probe.http.url = \"http://127.0.0.1:{port}/\"\n{ALL}"
        ))
        .await,
    );
    let request = taken(&seen).remove(0);
    assert!(
        request.contains("\r\nHost: shop.example\r\n")
            && request.contains("\r\nUser-Agent: mine/1\r\n")
            && request.contains("\r\naccept: text/html\r\n"),
        "{request}"
    );
    assert!(
        !request.contains("Probity") && !request.contains("*/*"),
        "{request}"
    );
}

#[tokio::test]
async fn a_method_that_wants_a_body_says_that_there_is_none() {
    let seen = Seen::default();
    let port = noting(&seen, |_| "200 OK\r\n".into()).await;
    for (method, body, length) in [
        ("POST", "", Some("Content-Length: 0\r\n")),
        ("PUT", "", Some("Content-Length: 0\r\n")),
        ("PATCH", "", Some("Content-Length: 0\r\n")),
        (
            "POST",
            "probe.http.body = \"abc\"",
            Some("Content-Length: 3\r\n"),
        ),
        ("GET", "", None),
        ("HEAD", "", None),
        ("DELETE", "", None),
        ("OPTIONS", "", None),
    ] {
        assert_up(
            &probe(&format!(
                "probe.http.url \
            = \"http://127.0.0.1:{port}/\"\nprobe.http.method = \"{method}\"\n{body}"
            ))
            .await,
        );
        let request = taken(&seen).remove(0);
        match length {
            Some(length) => assert!(request.contains(length), "{request}"),
            None => assert!(!request.contains("Content-Length"), "{request}"),
        }
    }
}

#[tokio::test]
async fn a_redirect_keeps_what_rfc_9110_says_and_secrets_stay_with_the_origin() {
    let seen = Seen::default();
    let other = noting(&seen, |_| "200 OK\r\n".into()).await;
    for (status, method, next, keeps) in [
        (301, "POST", "GET", false),
        (302, "POST", "GET", false),
        (303, "POST", "GET", false),
        (303, "HEAD", "HEAD", false),
        (307, "POST", "POST", true),
        (308, "PUT", "PUT", true),
        (302, "HEAD", "HEAD", true),
        (301, "PATCH", "PATCH", true),
    ] {
        for is_other in [false, true] {
            let to = if is_other {
                format!("http://127.0.0.1:{other}/there")
            } else {
                "/there".into()
            };
            let port = noting(&seen, move |path| {
                if path == "/there" {
                    "200 OK\r\n".into()
                } else {
                    format!("{status} Moved\r\nLocation: {to}\r\n")
                }
            })
            .await;
            let body = if method == "HEAD" {
                ""
            } else {
                "probe.http.body = \"{\\\"a\\\":1}\""
            };
            assert_up(
                &probe(&format!(
                    "probe.http.url \
                = \"http://127.0.0.1:{port}/\"\nprobe.http.method = \"{method}\"\n{body}\n{ALL}"
                ))
                .await,
            );
            let [first, second] = <[String; 2]>::try_from(taken(&seen)).expect("two requests");
            let case = format!("{status} {method} other={is_other}\n{second}");
            assert!(
                first.starts_with(&format!("{method} /?token=hunter2-planted HTTP/1.1\r\n")),
                "{first}"
            );
            assert!(
                second.starts_with(&format!("{next} /there HTTP/1.1\r\n")),
                "{case}"
            );
            for plain in [
                "X-Plain: yes\r\n",
                "User-Agent: mine/1\r\n",
                "accept: text/html\r\n",
            ] {
                assert!(second.contains(plain), "{case}");
            }
            assert_eq!(second.contains("hunter2-planted"), !is_other, "{case}");
            assert_eq!(second.contains("Host: shop.example"), !is_other, "{case}");
            let has_body = keeps && !is_other && method != "HEAD";
            assert_eq!(second.ends_with("{\"a\":1}"), has_body, "{case}");
            assert_eq!(
                second.contains("Content-Type: application/json"),
                has_body || method == "HEAD",
                "{case}"
            );
            assert_eq!(
                second.contains("Content-Length: 0"),
                keeps && is_other && method != "HEAD",
                "{case}"
            );
        }
    }
}

#[tokio::test]
async fn cookies_that_are_set_on_the_way_are_sent_on() {
    let seen = Seen::default();
    let answer = |path: &str| match path {
        "/" => "302 Found\r\nSet-Cookie: session=abc; Path=/; HttpOnly\r\nSet-Cookie: other=1; \
            Path=/elsewhere\r\nSet-Cookie: evil=1; Domain=com\r\nLocation: /consent\r\n"
            .into(),
        "/consent" => "303 See\r\nSet-Cookie: consent=yes; Path=/\r\nLocation: /home\r\n".into(),
        "/home" => {
            "302 Found\r\nSet-Cookie: session=; Path=/; Max-Age=0\r\nLocation: /last\r\n".into()
        }
        _ => "200 OK\r\n".to_owned(),
    };
    let port = noting(&seen, answer).await;
    assert_up(&probe(&format!("probe.http.url = \"http://127.0.0.1:{port}/\"")).await);
    let cookies = |requests: &[String]| {
        requests
            .iter()
            .map(|r| {
                r.lines()
                    .find_map(|l| l.strip_prefix("Cookie: "))
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        cookies(&taken(&seen)),
        ["", "session=abc", "session=abc; consent=yes", "consent=yes"]
    );
    // The next probe begins without them.
    let own = "probe.http.headers = { Cookie = { env = \"TEST_SECRET\" } }";
    assert_up(
        &probe(&format!(
            "probe.http.url = \"http://127.0.0.1:{port}/\"\n{own}"
        ))
        .await,
    );
    let expected = [
        "",
        "; session=abc",
        "; session=abc; consent=yes",
        "; consent=yes",
    ]
    .map(|set| format!("hunter2-planted{set}"));
    assert_eq!(cookies(&taken(&seen)), expected);
}

#[tokio::test]
async fn an_empty_location_leads_nowhere() {
    let port = answering("HTTP/1.1 302 Found\r\nLocation: \r\nContent-Length: 0\r\n\r\n").await;
    let report = probe(&format!("probe.http.url = \"http://127.0.0.1:{port}/\"")).await;
    assert_eq!(
        (cause(&report), report.outcome.facts().map(|f| f.redirects)),
        (Cause::Status, Some(0))
    );
}
