//! Certificates of every kind, each with its own cause, and its facts also when refused.

use std::sync::Arc;

use probity::words::{Cause, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::authority::{Authority, Leaf, acceptor, https, weak_leaf};
use super::serve::*;

async fn judged(authority: &Authority, leaf: Leaf, host: &str) -> probity::kind::run::ProbeReport {
    let port = https(acceptor(leaf, &[])).await;
    probe(&format!(
        "probe.tls.address = \"{host}:{port}\"\nprobe.tls.tls.ca_file = {:?}",
        authority.ca_file()
    ))
    .await
}

#[tokio::test]
async fn each_fault_of_a_certificate_has_its_cause_and_its_dates_are_known() {
    let authority = Authority::new();
    let other = Authority::new();
    let cases: Vec<(Leaf, Cause)> = vec![
        (
            authority.leaf(|p| p.not_after = rcgen::date_time_ymd(2021, 1, 1)),
            Cause::TlsCertExpired,
        ),
        (
            authority.leaf(|p| p.not_before = rcgen::date_time_ymd(2090, 1, 1)),
            Cause::TlsCertNotYetValid,
        ),
        (
            authority.leaf(|p| {
                p.subject_alt_names = vec![rcgen::SanType::DnsName(
                    "other.example".try_into().expect("a name"),
                )]
            }),
            Cause::TlsCertName,
        ),
        (
            authority.leaf(|p| p.subject_alt_names.clear()),
            Cause::TlsCertName,
        ),
        (other.leaf(|_| {}), Cause::TlsCertUntrusted),
        (authority.client_leaf(), Cause::TlsCertPurpose),
        (weak_leaf(), Cause::TlsCertWeak),
    ];
    for (leaf, wanted) in cases {
        let report = judged(&authority, leaf, "127.0.0.1").await;
        assert_eq!(cause(&report), wanted);
        let certificate = report.outcome.facts().and_then(|f| f.certificate.clone());
        assert!(
            certificate.is_some_and(|c| c.not_after > 0),
            "{wanted:?} has its dates"
        );
    }
}

/// The TLS layer copies the certificates of a connection for each ticket that it is sent.
#[tokio::test]
async fn a_server_that_sends_too_many_certificates_or_tickets_is_down() {
    let authority = Authority::new();
    let asked = |port: u16, more: &str| {
        format!(
            "probe.http.url = \"https://127.0.0.1:{port}/\"\nprobe.http.tls.ca_file = {:?}\n{more}",
            authority.ca_file()
        )
    };
    let sending = async |certificates: usize, tickets: usize| {
        let mut leaf = authority.leaf(|_| {});
        let own = leaf.chain[0].clone();
        leaf.chain.resize(certificates, own);
        let mut config = rustls::ServerConfig::clone(acceptor(leaf, &[]).config());
        config.send_tls13_tickets = tickets;
        https(tokio_rustls::TlsAcceptor::from(Arc::new(config))).await
    };
    assert_up(&probe(&asked(sending(64, 64).await, "")).await);
    let unverified = "probe.http.tls.verify = false";
    for (port, more, said) in [
        (sending(65, 1).await, "", "sent 65 certificates; at most 64"),
        (
            sending(65, 1).await,
            unverified,
            "sent 65 certificates; at most 64",
        ),
        (sending(1, 65).await, "", "more than 64 session tickets"),
    ] {
        let report = probe(&asked(port, more)).await;
        let Outcome::Failure { cause, detail, .. } = &report.outcome else {
            panic!("{said}: {report:?}");
        };
        assert_eq!(*cause, Cause::TlsHandshake, "{detail}");
        assert!(detail.contains(said), "{detail}");
    }
}

#[tokio::test]
async fn a_good_certificate_is_up_with_its_facts() {
    let authority = Authority::new();
    let report = judged(&authority, authority.leaf(|_| {}), "localhost").await;
    assert_up(&report);
    let facts = report.outcome.facts().expect("up");
    assert_eq!(facts.tls_version, Some("TLSv1_3"));
    let certificate = facts.certificate.clone().expect("seen");
    assert_eq!(certificate.names, vec!["localhost", "127.0.0.1"]);
    assert_eq!(certificate.not_after, 4_070_908_800_000);
}

#[tokio::test]
async fn a_certificate_with_two_days_left_is_expiring_when_that_is_asked_for() {
    let authority = Authority::new();
    let port = https(acceptor(authority.leaf(|_| {}), &[])).await;
    let lines = |within: &str| {
        format!(
            "probe.tls.address = \"127.0.0.1:{port}\"\nprobe.tls.tls = {{ ca_file = {:?}, \
                expiring_within = \"{within}\" }}",
            authority.ca_file()
        )
    };
    assert_up(&probe(&lines("399d")).await);
    // Nothing is valid for longer than the certificate: trust it until 2099, and ask at its end.
    let short = authority.leaf(|p| p.not_after = rcgen::date_time_ymd(2099, 1, 1));
    assert_up(&judged(&authority, short, "127.0.0.1").await);
    let soon = {
        let now = probity::net::clock::Clock::Real.read().utc_ms;
        let text = probity::words::format_utc(now + 2 * 86_400_000);
        let part = |a: usize, b: usize| text[a..b].parse::<i32>().expect("digits");
        authority.leaf(|p| {
            p.not_after = rcgen::date_time_ymd(part(0, 4), part(5, 7) as u8, part(8, 10) as u8)
        })
    };
    let port = https(acceptor(soon, &[])).await;
    let lines = format!(
        "probe.tls.address = \"127.0.0.1:{port}\"\nprobe.tls.tls = {{ ca_file = {:?}, \
            expiring_within = \"14d\" }}",
        authority.ca_file()
    );
    assert_eq!(cause(&probe(&lines).await), Cause::TlsCertExpiring);
}

#[tokio::test]
async fn verification_can_be_left_out_and_the_facts_stay() {
    let stranger = Authority::new();
    let port = https(acceptor(stranger.leaf(|_| {}), &[])).await;
    let report = probe(&format!(
        "probe.http.url = \"https://127.0.0.1:{port}/\"\nprobe.http.tls.verify = false"
    ))
    .await;
    assert_up(&report);
    assert!(
        report
            .outcome
            .facts()
            .is_some_and(|f| f.certificate.is_some())
    );
    let report = probe(&format!("probe.http.url = \"https://127.0.0.1:{port}/\"")).await;
    assert_eq!(cause(&report), Cause::TlsCertUntrusted);
}

#[tokio::test]
async fn a_server_that_asks_for_a_client_certificate_gets_it_or_is_down() {
    let authority = Authority::new();
    let port = https(authority.demanding(authority.leaf(|_| {}))).await;
    let client = authority.client_leaf();
    let (chain, key) = (
        authority.file("client.pem", &client.pem),
        authority.file("client.key", &client.key_pem),
    );
    let with = format!(
        "probe.http.url = \"https://127.0.0.1:{port}/\"\nprobe.http.tls = {{ ca_file = {:?}, \
            client_certificate = {chain:?}, client_key = {{ file = {key:?} }} }}",
        authority.ca_file()
    );
    assert_up(&probe(&with).await);
    let without = format!(
        "probe.http.url = \"https://127.0.0.1:{port}/\"\nprobe.http.tls.ca_file = {:?}",
        authority.ca_file()
    );
    assert_eq!(cause(&probe(&without).await), Cause::TlsClientAuth);
    let handshake = |more: &str| {
        format!(
            "probe.tls.address = \"127.0.0.1:{port}\"\nprobe.tls.tls = {{ ca_file = {:?}{more} }}",
            authority.ca_file()
        )
    };
    assert_eq!(cause(&probe(&handshake("")).await), Cause::TlsClientAuth);
    assert_up(
        &probe(&handshake(&format!(
            ", client_certificate = {chain:?}, client_key = {{ file = {key:?} }}"
        )))
        .await,
    );
}

#[tokio::test]
async fn a_peer_that_hangs_or_talks_nonsense_is_down() {
    let silent = tcp(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let accepted = "the peer accepted the connection and";
    for (lines, cause, words) in [
        (
            "probe.tls.address = \"127.0.0.1:PORT\"",
            Cause::TlsTimeout,
            "said nothing in 200 ms, nor to the TLS handshake; a server without TLS may take",
        ),
        (
            "probe.http.url = \"https://127.0.0.1:PORT/\"",
            Cause::TlsTimeout,
            "said nothing in 200 ms, nor to the TLS handshake; a server without TLS may take",
        ),
        (
            "probe.http.url = \"http://127.0.0.1:PORT/\"",
            Cause::FirstByteTimeout,
            "the request, and sent nothing of an answer in 200 ms",
        ),
    ] {
        let report = probe(&format!(
            "timeout = \"200ms\"\n{}",
            lines.replace("PORT", &silent.to_string())
        ))
        .await;
        match report.outcome {
            Outcome::Failure {
                cause: found,
                detail,
                ..
            } => {
                assert_eq!(found, cause, "{detail}");
                assert!(
                    detail.starts_with(&format!("{accepted} {words}")),
                    "{detail}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    let garbage = tcp(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        until_the_client_ends(&mut stream).await;
    })
    .await;
    assert_eq!(
        cause(&probe(&format!("probe.tls.address = \"127.0.0.1:{garbage}\"")).await),
        Cause::TlsHandshake
    );
    let closing = tcp(|stream| async move { drop(stream) }).await;
    let got = cause(&probe(&format!("probe.tls.address = \"127.0.0.1:{closing}\"")).await);
    assert!(
        matches!(got, Cause::TlsHandshake | Cause::ConnectReset),
        "{got:?}"
    );
}

#[tokio::test]
async fn http_2_is_chosen_by_alpn() {
    let authority = Authority::new();
    let accept = acceptor(authority.leaf(|_| {}), &[b"h2"]);
    let port = tcp(move |stream| {
        let accept = accept.clone();
        async move {
            let Ok(stream) = accept.accept(stream).await else {
                return;
            };
            let Ok(mut connection) = h2::server::handshake(stream).await else {
                return;
            };
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                let _ = respond.send_response(http::Response::new(()), true);
            }
        }
    })
    .await;
    let lines = format!(
        "probe.http.url = \"https://localhost:{port}/\"\nprobe.http.tls.ca_file = \
            {:?}\nprobe.http.expect.version = \"2\"",
        authority.ca_file()
    );
    assert_up(&probe(&lines).await);
}

/// A server that says these bytes once it has heard something, and closes.
async fn answering_once(bytes: &'static [u8]) -> u16 {
    tcp(move |mut stream| async move {
        let mut hello = [0; 4096];
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut hello).await;
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        while matches!(tokio::io::AsyncReadExt::read(&mut stream, &mut hello).await, Ok(n) if n > 0)
        {
        }
    })
    .await
}

fn detail(report: &probity::kind::run::ProbeReport) -> &str {
    match &report.outcome {
        probity::words::Outcome::Failure { detail, .. } => detail,
        other => panic!("not down: {other:?}"),
    }
}

#[tokio::test]
async fn a_peer_that_speaks_another_protocol_than_tls_is_named() {
    for (answer, wanted) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\nThe plain HTTP request"[..],
            "the peer speaks HTTP, not TLS: received `HTTP/1.1 400 Bad Request\\r\\nServer: x",
        ),
        (
            b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64",
            "the peer speaks HTTP/2, not TLS",
        ),
        (
            b"SSH-2.0-OpenSSH_9.2\r\n",
            "the peer speaks SSH, not TLS: received `SSH-2.0-OpenSSH_9.2`",
        ),
        (
            b"220 mail.example ESMTP\r\n",
            "the peer speaks SMTP, not TLS: received `220 mail.example ESMTP`",
        ),
        (
            b"-ERR unknown command\r\n",
            "the peer speaks Redis, not TLS",
        ),
        (
            b"\x30\x0c\x02\x01\0\x78\x07\x0a\x01\x02\x04\0\x04\0",
            "the peer speaks LDAP, not TLS",
        ),
        (
            b"\x4a\0\0\0\x0a8.0.36\0\x0b\0\0\0",
            "the peer speaks MySQL, not TLS",
        ),
        (
            b"E\0\0\0\x20SFATAL\0VFATAL\0C0A000\0",
            "the peer speaks PostgreSQL, not TLS",
        ),
        (
            b"what?\r\n",
            "the peer does not speak TLS: received `what?`",
        ),
        (
            b"",
            "the peer closed the connection within the TLS handshake and said nothing",
        ),
    ] {
        let port = answering_once(answer).await;
        for lines in [
            format!("probe.tls.address = \"127.0.0.1:{port}\""),
            format!("probe.http.url = \"https://127.0.0.1:{port}/\""),
        ] {
            let report = probe(&lines).await;
            assert_eq!(cause(&report), Cause::TlsHandshake);
            assert!(
                detail(&report).starts_with(wanted),
                "{wanted}: {}",
                detail(&report)
            );
        }
    }
}

/// A server that asks for a client certificate, does not look at it, and closes after the
/// handshake: with a closing alert or without.
async fn asking_and_leaving(authority: &Authority, politely: fn() -> bool) -> u16 {
    let accept = authority.asking(authority.leaf(|_| {}));
    tcp(move |stream| {
        let accept = accept.clone();
        async move {
            let Ok(mut stream) = accept.accept(stream).await else {
                return;
            };
            if politely() {
                let _ = stream.shutdown().await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_and_closes_is_tls_client_auth_in_http_too() {
    let authority = Authority::new();
    for politely in [(|| true) as fn() -> bool, || false] {
        let port = asking_and_leaving(&authority, politely).await;
        for lines in [
            format!(
                "probe.tls.address = \"127.0.0.1:{port}\"\nprobe.tls.tls.ca_file = {:?}",
                authority.ca_file()
            ),
            format!(
                "probe.http.url = \"https://127.0.0.1:{port}/\"\nprobe.http.tls.ca_file = {:?}",
                authority.ca_file()
            ),
        ] {
            let report = probe(&lines).await;
            assert_eq!(cause(&report), Cause::TlsClientAuth, "{:?}", report.outcome);
        }
    }
    // One that does not ask and closes has not answered, and no more.
    let accept = acceptor(authority.leaf(|_| {}), &[]);
    let port = tcp(move |stream| {
        let accept = accept.clone();
        async move {
            let _ = accept.accept(stream).await;
        }
    })
    .await;
    let report = probe(&format!(
        "probe.http.url = \"https://127.0.0.1:{port}/\"\nprobe.http.tls.ca_file = {:?}",
        authority.ca_file()
    ))
    .await;
    assert!(
        matches!(
            cause(&report),
            Cause::HttpTruncated | Cause::HttpMalformed | Cause::ConnectReset
        ),
        "{:?}",
        report.outcome
    );
}

/// A server that asks for a client certificate, reads what comes, and closes without an alert.
async fn asking_and_closing(config: Arc<rustls::ServerConfig>) -> u16 {
    tcp(move |mut stream| {
        let config = config.clone();
        async move {
            let mut connection = rustls::ServerConnection::new(config).expect("made");
            let (mut bytes, mut flight) = ([0; 8192], Vec::new());
            while flight.is_empty() {
                let Ok(length @ 1..) = stream.read(&mut bytes).await else {
                    return;
                };
                let _ = connection.read_tls(&mut &bytes[..length]);
                let _ = connection.process_new_packets();
                while connection.wants_write() {
                    let _ = connection.write_tls(&mut flight);
                }
            }
            let _ = stream.write_all(&flight).await;
            let _ = stream.read(&mut bytes).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_server_that_asks_for_a_client_certificate_and_closes_within_the_handshake_is_named() {
    let authority = Authority::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = authority.demanding_over(&[version], authority.leaf(|_| {}));
        let port = asking_and_closing(config).await;
        let ca = authority.ca_file();
        for lines in [
            format!("probe.tls.address = \"localhost:{port}\"\nprobe.tls.tls.ca_file = {ca:?}"),
            format!(
                "probe.http.url = \"https://localhost:{port}/\"\nprobe.http.tls.ca_file = {ca:?}"
            ),
        ] {
            let report = probe(&lines).await;
            assert_eq!(cause(&report), Cause::TlsClientAuth, "{:?}", report.outcome);
            let Outcome::Failure { detail, .. } = &report.outcome else {
                panic!("{:?}", report.outcome)
            };
            assert!(
                detail.starts_with("the server asked for a client certificate and ")
                    && !detail.contains("docs.rs"),
                "{detail}"
            );
        }
    }
}
