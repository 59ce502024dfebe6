//! What follows a redirect, and where one may lead: trust and identity stay with the origin of the
//! config.

use std::sync::{Arc, Mutex};

use probity::kind::run::{ProbeReport, run};
use probity::net::authorities::{Authorities, Places};
use probity::net::clock_trust::ClockTrust;
use probity::net::resolve::Paths;
use probity::net::shared::Net;
use probity::net::sys::KernelSync;
use probity::words::{Cause, Outcome, Reason};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use super::authority::{Authority, acceptor, https};
use super::serve::*;

fn found(location: &str) -> String {
    format!(
        "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: \
            close\r\n\r\n"
    )
}

/// An https server with one answer.
async fn https_answering(acceptor: TlsAcceptor, answer: String) -> u16 {
    tcp(move |stream| {
        let (acceptor, answer) = (acceptor.clone(), answer.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            read_head(&mut stream).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

fn synchronised() -> Arc<ClockTrust> {
    Arc::new(ClockTrust::by(|| KernelSync::Synchronised))
}

/// One probe where the system trusts this authority.
async fn probe_trusting(system: &Authority, lines: &str) -> ProbeReport {
    let endpoint = endpoint(lines);
    let authorities = Authorities::at(Places {
        file: Some(system.ca_file()),
        directories: Vec::new(),
    });
    let net = Net::new(Paths::default(), Arc::new(authorities), synchronised());
    tokio::task::LocalSet::new()
        .run_until(run(&net, &endpoint))
        .await
}

/// One probe with names of this hosts file.
async fn probe_with_hosts(hosts: &str, lines: &str) -> ProbeReport {
    let directory = tempfile::tempdir().expect("a directory");
    let paths = Paths {
        resolv_conf: directory.path().join("resolv.conf"),
        hosts: directory.path().join("hosts"),
        port: closed_port(),
    };
    std::fs::write(&paths.hosts, hosts).expect("written");
    std::fs::write(&paths.resolv_conf, "nameserver 127.0.0.1\n").expect("written");
    let net = Net::new(paths, Authorities::of_the_system(), synchronised());
    let endpoint = endpoint(lines);
    tokio::task::LocalSet::new()
        .run_until(run(&net, &endpoint))
        .await
}

fn detail(report: &ProbeReport) -> &str {
    match &report.outcome {
        Outcome::Failure { detail, .. } | Outcome::Unmeasured { detail, .. } => detail,
        Outcome::Success(_) => panic!("up"),
    }
}

#[tokio::test]
async fn a_target_cannot_make_its_own_failure_unknown_by_where_it_leads() {
    let long = "a".repeat(64);
    for (location, wanted) in [
        (format!("http://{long}.example/"), Cause::RedirectPolicy),
        ("http://a\"b.localhost/".to_owned(), Cause::RedirectPolicy),
        // Broadcast: this host may not connect there. 240.0.0.1: there is no way.
        (
            "http://255.255.255.255/".to_owned(),
            Cause::ConnectUnreachable,
        ),
    ] {
        let here = answering(found(&location)).await;
        let report = probe(&format!(
            "probe.http.url = \"http://127.0.0.1:{here}/\"\nprobe.http.redirects.to = \"any\""
        ))
        .await;
        assert_eq!(cause(&report), wanted, "{location}: {}", detail(&report));
        assert!(detail(&report).len() < 400, "{}", detail(&report));
    }
    // Where the config itself leads there, it is this host that cannot measure.
    let report = probe("probe.http.url = \"http://255.255.255.255/\"").await;
    assert!(
        matches!(reason(&report), Reason::LocalNetwork | Reason::Permission),
        "{report:?}"
    );
}

#[tokio::test]
async fn a_name_of_no_host_is_the_zones_fault() {
    for address in [
        "255.255.255.255",
        "224.0.0.1",
        "ff02::1",
        "::ffff:224.0.0.1",
        "0.0.0.0",
    ] {
        let report = probe_with_hosts(
            &format!("{address} shop.example\n"),
            "probe.http.url = \"http://shop.example/\"",
        )
        .await;
        assert_eq!(
            cause(&report),
            Cause::DnsNoAddress,
            "{address}: {}",
            detail(&report)
        );
    }
}

#[tokio::test]
async fn a_long_location_is_shown_in_part() {
    let here = answering(found(&format!("http://[{}", "\\".repeat(8000)))).await;
    let report = probe(&format!("probe.http.url = \"http://127.0.0.1:{here}/\"")).await;
    assert_eq!(cause(&report), Cause::RedirectPolicy);
    assert!(
        detail(&report).contains('…') && detail(&report).len() < 600,
        "{}",
        detail(&report).len()
    );
}

#[tokio::test]
async fn authorities_name_and_certificate_of_the_config_are_for_its_origin_alone() {
    let (own, system) = (Authority::new(), Authority::new());
    let client = own.client_leaf();
    let (chain, key) = (
        own.file("client.pem", &client.pem),
        own.file("client.key", &client.key_pem),
    );
    let tls = format!(
        "probe.http.tls = {{ ca_file = {:?}, server_name = \"localhost\", client_certificate = \
            {chain:?}, client_key = {{ file = {key:?} }} }}",
        own.ca_file()
    );
    let dns_only = |p: &mut rcgen::CertificateParams| {
        p.subject_alt_names = vec![rcgen::SanType::DnsName(
            "localhost".try_into().expect("a name"),
        )]
    };
    for (there, wanted) in [
        // The system trusts it, for the host of the hop.
        (acceptor(system.leaf(|_| {}), &[]), None),
        // The ca_file of the config is for the config's origin.
        (
            acceptor(own.leaf(|_| {}), &[]),
            Some(Cause::TlsCertUntrusted),
        ),
        // So is its server_name.
        (
            acceptor(system.leaf(dns_only), &[]),
            Some(Cause::TlsCertName),
        ),
        // And its certificate: this one asks for one of the config's own authority.
        (
            own.demanding(system.leaf(|_| {})),
            Some(Cause::TlsClientAuth),
        ),
    ] {
        let there = https(there).await;
        let here = https_answering(
            own.demanding(own.leaf(dns_only)),
            found(&format!("https://127.0.0.1:{there}/")),
        )
        .await;
        let report = probe_trusting(
            &system,
            &format!("probe.http.url = \"https://127.0.0.1:{here}/\"\n{tls}"),
        )
        .await;
        match wanted {
            None => assert_up(&report),
            Some(wanted) => assert_eq!(cause(&report), wanted, "{}", detail(&report)),
        }
    }
    // The origin itself has them also after a redirect within it.
    let answer = |head: &str| {
        if head.starts_with("GET /last") {
            String::from_utf8(ok("", b"ok")).expect("text")
        } else {
            found("/last")
        }
    };
    let acceptor = own.demanding(own.leaf(dns_only));
    let port = tcp(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let head = read_head(&mut stream).await;
            let _ = stream.write_all(answer(&head).as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await;
    let report = probe_trusting(
        &system,
        &format!("probe.http.url = \"https://127.0.0.1:{port}/\"\n{tls}"),
    )
    .await;
    assert_up(&report);
    assert_eq!(report.outcome.facts().map(|f| f.redirects), Some(1));
}

#[tokio::test]
async fn who_is_not_verified_is_the_origin_of_the_config_and_nobody_else() {
    let (stranger, system) = (Authority::new(), Authority::new());
    let there = https(acceptor(stranger.leaf(|_| {}), &[])).await;
    let here = https_answering(
        acceptor(stranger.leaf(|_| {}), &[]),
        found(&format!("https://127.0.0.1:{there}/")),
    )
    .await;
    let lines = |port: u16| {
        format!("probe.http.url = \"https://127.0.0.1:{port}/\"\nprobe.http.tls.verify = false")
    };
    assert_up(&probe_trusting(&system, &lines(there)).await);
    assert_eq!(
        cause(&probe_trusting(&system, &lines(here)).await),
        Cause::TlsCertUntrusted
    );
}

#[tokio::test]
async fn a_downgrade_and_a_stranger_get_no_secret_and_the_way_back_has_them_again() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let noting = |answer: Arc<dyn Fn(&str) -> String + Send + Sync>| {
        let seen = seen.clone();
        tcp(move |mut stream| {
            let (seen, answer) = (seen.clone(), answer.clone());
            async move {
                let head = read_head(&mut stream).await;
                let _ = stream.write_all(answer(&head).as_bytes()).await;
                seen.lock().expect("no panic").push(head);
            }
        })
    };
    let home: Arc<Mutex<String>> = Arc::default();
    let back = home.clone();
    let away = noting(Arc::new(move |_| {
        found(&format!("{}back", back.lock().expect("no panic")))
    }))
    .await;
    let ends = String::from_utf8(ok("", b"")).expect("text");
    let here = noting(Arc::new(move |head| {
        if head.starts_with("GET /back") {
            ends.clone()
        } else {
            found(&format!("http://localhost:{away}/"))
        }
    }))
    .await;
    *home.lock().expect("no panic") = format!("http://127.0.0.1:{here}/");
    let secrets = "probe.http.auth.basic = { username = \"u\", password = { env = \"TEST_SECRET\" \
        } }\nprobe.http.headers = { X-Key = { env = \"TEST_SECRET\" } }\nprobe.http.query = { \
        token = { env = \"TEST_SECRET\" } }";
    assert_up(
        &probe(&format!(
            "probe.http.url = \"http://127.0.0.1:{here}/\"\n{secrets}"
        ))
        .await,
    );
    let heads = seen.lock().expect("no panic").clone();
    let of = |n: usize| {
        (
            heads[n].contains("Authorization: Basic"),
            heads[n].contains("X-Key: hunter2-planted"),
            heads[n].contains("token=hunter2-planted"),
        )
    };
    assert_eq!(
        (heads.len(), of(0), of(1), of(2)),
        (
            3,
            (true, true, true),
            (false, false, false),
            (true, true, false)
        ),
        "{heads:?}"
    );
    assert!(
        !heads[1].contains("hunter2") && !heads[1].contains("Authorization"),
        "{}",
        heads[1]
    );
    // From https to http of the same host.
    let authority = Authority::new();
    seen.lock().expect("no panic").clear();
    let plain = noting(Arc::new(|_| String::from_utf8(ok("", b"")).expect("text"))).await;
    let tls = https_answering(
        acceptor(authority.leaf(|_| {}), &[]),
        found(&format!("http://127.0.0.1:{plain}/")),
    )
    .await;
    let lines = format!(
        "probe.http.url = \"https://127.0.0.1:{tls}/\"\nprobe.http.tls.ca_file = {:?}\n{secrets}",
        authority.ca_file()
    );
    assert_up(&probe(&lines).await);
    let heads = seen.lock().expect("no panic").clone();
    assert!(
        heads.len() == 1 && !heads[0].contains("hunter2") && !heads[0].contains("Authorization"),
        "{heads:?}"
    );
}

#[tokio::test]
async fn a_redirect_leads_to_no_network_that_the_config_does_not_allow() {
    let last = answering(ok("", b"ok")).await;
    let first = answering(found(&format!("http://localhost:{last}/"))).await;
    let lines = |to: &str| format!("probe.http.url = \"http://127.0.0.1:{first}/\"\n{to}");
    // Loopback to loopback is the same network.
    for to in [
        "",
        "probe.http.redirects = { to = \"same_network\" }",
        "probe.http.redirects = { to = \"any\" }",
    ] {
        assert_up(&probe(&lines(to)).await);
    }
    let report = probe(&lines("probe.http.redirects = { to = \"public\" }")).await;
    assert_eq!(cause(&report), Cause::RedirectPolicy);
    let shown = detail(&report);
    assert!(
        shown.contains("a loopback address")
            && shown.contains("probe.http.redirects.to = \"public\""),
        "{shown}"
    );
    assert!(
        shown.contains("127.0.0.1") || shown.contains("::1"),
        "{shown}"
    );
    // The first request goes where the config says.
    assert_up(
        &probe(&format!(
            "probe.http.url \
        = \"http://127.0.0.1:{last}/\"\nprobe.http.redirects = {{ to = \"public\" }}"
        ))
        .await,
    );
}

/// Each one is relative, and its escapes are three times as long as what was written.
#[tokio::test]
async fn a_redirect_to_an_ever_longer_url_is_the_targets_fault() {
    let longer = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "é".repeat(1500)
    );
    let first = answering(longer).await;
    let report = probe(&format!("probe.http.url = \"http://127.0.0.1:{first}/\"")).await;
    assert_eq!(cause(&report), Cause::RedirectPolicy, "{report:?}");
    assert!(
        detail(&report).contains("a URL of more than 8192 bytes"),
        "{}",
        detail(&report)
    );
}

#[tokio::test]
async fn what_a_name_is_resolved_to_counts_and_nothing_else_is_connected_to() {
    let last = answering(ok("", b"ok")).await;
    let lines = |port: u16| format!("probe.http.url = \"http://127.0.0.1:{port}/\"");
    let first = answering(found(&format!("http://inner.test:{last}/"))).await;
    for hosts in [
        "10.9.8.7 inner.test\n",
        "169.254.169.254 inner.test\n",
        "fd00::7 inner.test\n",
        "100.64.0.7 inner.test\n",
    ] {
        let report = probe_with_hosts(hosts, &lines(first)).await;
        assert_eq!(cause(&report), Cause::RedirectPolicy, "{hosts}");
        let address = hosts.split(' ').next().unwrap_or_default();
        assert!(
            detail(&report).contains(address) && detail(&report).contains("same_network"),
            "{}",
            detail(&report)
        );
        let attempts = report.outcome.facts().map(|f| {
            f.attempts
                .iter()
                .map(|a| a.address.to_string())
                .collect::<Vec<_>>()
        });
        assert_eq!(
            attempts,
            Some(vec!["127.0.0.1".to_owned()]),
            "no packet went there"
        );
    }
    // Of several addresses those that are allowed are tried.
    let report =
        probe_with_hosts("10.9.8.7 inner.test\n127.0.0.1 inner.test\n", &lines(first)).await;
    assert_up(&report);
    assert!(
        report
            .outcome
            .facts()
            .is_some_and(|f| f.attempts.iter().all(|a| a.address.is_loopback()))
    );
    // Written in another way it is the same address.
    for host in [
        "0x0a.9.8.7",
        "168364039",
        "[::ffff:10.9.8.7]",
        "[64:ff9b::a09:807]",
        "[2002:a09:807::1]",
    ] {
        let first = answering(found(&format!("http://{host}:{last}/"))).await;
        assert_eq!(
            cause(&probe(&lines(first)).await),
            Cause::RedirectPolicy,
            "{host}"
        );
    }
}

#[tokio::test]
async fn nothing_of_a_strangers_body_is_in_what_a_probe_tells() {
    let page = |status: &str, kind: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: \
                close\r\n\r\n{body}",
            body.len()
        )
    };
    let planted = "planted-internals";
    let titled = format!("<html><title>{planted}</title></html>");
    let value = format!("{{\"status\": \"{planted}\"}}");
    for (answer, expect, wanted, length) in [
        (
            page("503 X", "text/planted-internals", planted),
            "",
            Cause::Status,
            "17 bytes of an unknown type",
        ),
        (
            page("403 Forbidden", "text/html; charset=utf-8", &titled),
            "",
            Cause::Status,
            "45 bytes of text/html",
        ),
        (
            page("503 X", "text/planted-internals more", planted),
            "",
            Cause::Status,
            "17 bytes of an unknown type",
        ),
        (
            page("503 X", "Text/HTML", planted),
            "",
            Cause::Status,
            "17 bytes of text/html",
        ),
        (
            page("200 OK", "text/plain", planted),
            "probe.http.expect.body.contains = \"fine\"",
            Cause::BodyMismatch,
            "17 bytes of text/plain",
        ),
        (
            page("200 OK", "application/json", &value),
            "probe.http.expect.json = \"body.status == 'ok'\"",
            Cause::JsonMismatch,
            "31 bytes of application/json",
        ),
        (
            format!("SSH-2.0-{planted}\r\n"),
            "",
            Cause::HttpMalformed,
            "not shown",
        ),
        (
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{planted}\r\n"),
            "",
            Cause::HttpMalformed,
            "not shown",
        ),
    ] {
        let there = answering(answer).await;
        let lines = |port: u16| format!("probe.http.url = \"http://127.0.0.1:{port}/\"\n{expect}");
        // The origin's own body is shown.
        let own = probe(&lines(there)).await;
        assert_eq!(cause(&own), wanted);
        assert!(
            format!("{:?}", own.outcome).contains(planted),
            "{:?}",
            own.outcome
        );
        let first = answering(found(&format!("http://localhost:{there}/"))).await;
        let report = probe(&lines(first)).await;
        assert_eq!(cause(&report), wanted);
        let told = format!("{:?}", report.outcome);
        assert!(!told.contains(planted), "{told}");
        assert!(detail(&report).contains(length), "{}", detail(&report));
    }
    // Nor of where it leads, nor of what is odd in its head.
    for answer in [
        found(&format!("http://[{planted}")),
        found(&format!("http://{planted}\"x.localhost/")),
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: {planted}\r\nContent-Length: 2\r\n\r\nok"),
        format!(
            "HTTP/1.1 200 OK\r\n{planted} : x\r\n{planted}: y\r\n z\r\nContent-Length: 2\r\n\r\nok"
        ),
    ] {
        let there = answering(answer.clone()).await;
        let lines = |port: u16| {
            format!(
                "probe.http.url = \"http://127.0.0.1:{port}/\"\nprobe.http.expect.body.contains \
                    = \"ok\""
            )
        };
        assert!(
            format!("{:?}", probe(&lines(there)).await.outcome).contains(planted),
            "{answer}"
        );
        let first = answering(found(&format!("http://localhost:{there}/"))).await;
        let told = format!("{:?}", probe(&lines(first)).await.outcome);
        assert!(!told.contains(planted), "{answer}: {told}");
    }
    // Nor where it says something else than TLS, and then nothing until the timeout.
    let there = tcp(move |mut stream| async move {
        let _ = stream
            .write_all(format!("220 {planted} ESMTP\r\n").as_bytes())
            .await;
        std::future::pending::<()>().await;
    })
    .await;
    let own = probe(&format!(
        "timeout = \"300ms\"\nprobe.http.url = \"https://127.0.0.1:{there}/\""
    ))
    .await;
    assert!(detail(&own).contains(planted), "{}", detail(&own));
    let first = answering(found(&format!("https://localhost:{there}/"))).await;
    let report = probe(&format!(
        "timeout = \"300ms\"\nprobe.http.url = \"http://127.0.0.1:{first}/\""
    ))
    .await;
    assert!(
        !format!("{:?}", report.outcome).contains(planted),
        "{:?}",
        report.outcome
    );
}
