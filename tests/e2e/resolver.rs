//! The system's resolver: slow servers, search lists, answers of filters, servers that cannot be
//! asked. tests/system/resolver.py holds it against glibc.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use probity::kind::run::{ProbeReport, run};
use probity::net::authorities::Authorities;
use probity::net::clock_trust::ClockTrust;
use probity::net::resolve::Paths;
use probity::net::shared::Net;
use probity::words::{Cause, Outcome, Reason};
use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::hold::{HOLD_LIMIT, longest_hold_of};
use super::serve::*;

/// What a name server does when it is asked about a name.
#[derive(Clone)]
enum Does {
    Addresses(Vec<std::net::IpAddr>),
    /// Records of these owners, whatever the name in the question is.
    Records(Vec<(&'static str, RData)>),
    Code(ResponseCode),
    Silence,
    /// Answers after so many milliseconds.
    Late(u64),
}

fn loopback() -> Does {
    Does::Addresses(vec![std::net::Ipv4Addr::LOCALHOST.into()])
}

/// A name server on loopback; names it does not know do not exist. Each question is answered by
/// itself.
async fn name_server(zone: &[(&str, Does)]) -> SocketAddr {
    let zone: HashMap<String, Does> = zone
        .iter()
        .map(|(name, does)| (format!("{name}."), does.clone()))
        .collect();
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("bound"));
    let address = socket.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            let question = Message::from_vec(&buffer[..length]).expect("a question");
            let does = zone
                .get(&question.queries[0].name().to_string())
                .cloned()
                .unwrap_or(Does::Code(ResponseCode::NXDomain));
            let socket = socket.clone();
            tokio::spawn(async move {
                let (delay, does) = match does {
                    Does::Silence => return,
                    Does::Late(ms) => (Some(Duration::from_millis(ms)), loopback()),
                    other => (None, other),
                };
                let answer = answer(&question, &does);
                let sent = socket.send_to(&answer, peer);
                let _ = match delay {
                    Some(delay) => after(delay, sent).await,
                    None => sent.await,
                };
            });
        }
    });
    address
}

fn answer(question: &Message, does: &Does) -> Vec<u8> {
    let mut reply = question.clone();
    reply.metadata.message_type = MessageType::Response;
    let query = &question.queries[0];
    if let Does::Code(code) = does {
        reply.metadata.response_code = *code;
    }
    if let Does::Addresses(list) = does {
        for address in list {
            let data = match address {
                std::net::IpAddr::V4(v4) if query.query_type() == RecordType::A => RData::A(A(*v4)),
                std::net::IpAddr::V6(v6) if query.query_type() == RecordType::AAAA => {
                    RData::AAAA(AAAA(*v6))
                }
                _ => continue,
            };
            reply.add_answer(Record::from_rdata(query.name().clone(), 60, data));
        }
    }
    if let Does::Records(list) = does {
        reply.add_answers(
            list.iter()
                .map(|(owner, data)| Record::from_rdata(name(owner), 60, data.clone())),
        );
    }
    reply.to_vec().expect("bytes")
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

/// One probe with this resolv.conf and hosts. `{}` in the first stands for nothing: its servers
/// listen at the port given.
async fn probe_by(conf: &str, hosts: &str, port: u16, lines: &str) -> ProbeReport {
    let directory = tempfile::tempdir().expect("a directory");
    let paths = Paths {
        resolv_conf: directory.path().join("resolv.conf"),
        hosts: directory.path().join("hosts"),
        port,
    };
    std::fs::write(&paths.resolv_conf, conf).expect("written");
    std::fs::write(&paths.hosts, hosts).expect("written");
    let endpoint = endpoint(lines);
    let net = Net::new(
        paths,
        Authorities::of_the_system(),
        Arc::new(ClockTrust::default()),
    );
    tokio::task::LocalSet::new()
        .run_until(async move { run(&net, &endpoint).await })
        .await
}

fn detail(report: &ProbeReport) -> &str {
    match &report.outcome {
        Outcome::Failure { detail, .. } | Outcome::Unmeasured { detail, .. } => detail,
        Outcome::Success(_) => "",
    }
}

#[tokio::test]
async fn a_resolver_that_answers_after_more_than_a_second_is_slow_and_no_outage() {
    let port = tcp(|stream| async move { drop(stream) }).await;
    let server = name_server(&[("shop.example", Does::Late(1200))]).await;
    let began = Instant::now();
    let report = probe(&format!(
        "timeout = \"3s\"\nresolver = \"{server}\"\nprobe.tcp = \"shop.example:{port}\""
    ))
    .await;
    assert_up(&report);
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(1190) && took < Duration::from_millis(1900),
        "the first answer counts: {took:?}"
    );
    // The whole timeout is used, not three tries of a third of it.
    let server = name_server(&[("shop.example", Does::Late(700))]).await;
    assert_up(
        &probe(&format!(
            "timeout = \"900ms\"\nresolver = \"{server}\"\nprobe.tcp = \"shop.example:{port}\""
        ))
        .await,
    );
}

#[tokio::test]
async fn the_search_list_goes_on_as_glibcs_does() {
    let port = tcp(|stream| async move { drop(stream) }).await;
    let nodata = || Does::Addresses(Vec::new());
    type Case<'z> = (&'z str, Vec<(&'z str, Does)>, bool);
    let cases: Vec<Case> = vec![
        ("no such name", vec![], true),
        ("no address", vec![("web.one.test", nodata())], true),
        (
            "SERVFAIL",
            vec![("web.one.test", Does::Code(ResponseCode::ServFail))],
            true,
        ),
        // glibc leaves the rest of the list out after these, and asks for the name as it is.
        (
            "REFUSED",
            vec![
                ("web.one.test", Does::Code(ResponseCode::Refused)),
                ("web", loopback()),
            ],
            false,
        ),
        (
            "NOTIMP",
            vec![
                ("web.one.test", Does::Code(ResponseCode::NotImp)),
                ("web", loopback()),
            ],
            false,
        ),
        (
            "silence",
            vec![("web.one.test", Does::Silence), ("web", loopback())],
            false,
        ),
    ];
    for (what, mut zone, by_list) in cases {
        if by_list {
            zone.push(("web.two.test", loopback()));
        }
        let server = name_server(&zone).await;
        let conf = "search one.test two.test\noptions ndots:5\nnameserver 127.0.0.1\n";
        let report = probe_by(
            conf,
            "",
            server.port(),
            &format!("timeout = \"1s\"\nprobe.tcp = \"web:{port}\""),
        )
        .await;
        assert!(
            matches!(report.outcome, Outcome::Success(_)),
            "{what}: {:?}",
            report.outcome
        );
    }
    // glibc counts the records of an answer here, and does not look at their names.
    let other = Does::Records(vec![("other.test.", RData::A(A::new(127, 0, 0, 1)))]);
    let server = name_server(&[
        ("web.one.test", other),
        ("web.two.test", loopback()),
        ("web", loopback()),
    ])
    .await;
    let report = probe_by(
        "search one.test two.test\nnameserver 127.0.0.1\n",
        "",
        server.port(),
        &format!("probe.tcp = \"web:{port}\""),
    )
    .await;
    assert_eq!(cause(&report), Cause::DnsNoAddress, "{:?}", report.outcome);
    // Nothing is left: what is told is what decides, not the last answer.
    let server = name_server(&[("web.one.test", nodata())]).await;
    let report = probe_by(
        "search one.test two.test\nnameserver 127.0.0.1\n",
        "",
        server.port(),
        "probe.tcp = \"web:1\"",
    )
    .await;
    assert_eq!(cause(&report), Cause::DnsNoAddress);
}

#[tokio::test]
async fn the_unspecified_address_is_a_filters_answer_and_never_leads_to_this_host() {
    // Something listens on this host, at the port that is asked for.
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0")
        .await
        .expect("bound");
    let port = listener.local_addr().expect("bound").port();
    let zero: std::net::IpAddr = std::net::Ipv4Addr::UNSPECIFIED.into();
    let six: std::net::IpAddr = std::net::Ipv6Addr::UNSPECIFIED.into();
    let mapped: std::net::IpAddr = std::net::Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().into();
    for list in [vec![zero], vec![six], vec![zero, six], vec![mapped]] {
        let server = name_server(&[("shop.example", Does::Addresses(list))]).await;
        let report = probe(&format!(
            "resolver = \"{server}\"\nprobe.tcp = \"shop.example:{port}\""
        ))
        .await;
        assert_eq!(cause(&report), Cause::DnsNoAddress);
        assert!(detail(&report).contains("filter"), "{}", detail(&report));
    }
    let mixed = Does::Addresses(vec![zero, std::net::Ipv4Addr::LOCALHOST.into()]);
    let server = name_server(&[("shop.example", mixed)]).await;
    let report = probe(&format!(
        "resolver = \"{server}\"\nprobe.tcp = \"shop.example:{port}\""
    ))
    .await;
    assert_up(&report);
    assert_eq!(
        report.outcome.facts().map(|f| f.attempts.len()),
        Some(1),
        "the other one was not tried"
    );
    let report = probe_by(
        "",
        "0.0.0.0 ads.example\n",
        1,
        &format!("probe.tcp = \"ads.example:{port}\""),
    )
    .await;
    assert_eq!(cause(&report), Cause::DnsNoAddress, "a line of hosts");
}

#[tokio::test]
async fn a_server_that_cannot_be_asked_is_said_to_be_that() {
    let closed = closed_port();
    let report = probe_by(
        "nameserver 127.0.0.1\n",
        "",
        closed,
        "timeout = \"500ms\"\nprobe.tcp = \"shop.example:1\"",
    )
    .await;
    assert_eq!(reason(&report), Reason::Resolver);
    assert_eq!(
        detail(&report),
        format!("the name server 127.0.0.1:{closed} could not be asked: its port is closed")
    );
    // No such interface, no way there: this host's own network.
    let report = probe_by(
        "nameserver fe80::1%none0\n",
        "",
        closed,
        "timeout = \"500ms\"\nprobe.tcp = \"shop.example:1\"",
    )
    .await;
    assert!(
        matches!(reason(&report), Reason::LocalNetwork | Reason::Resolver),
        "{:?}",
        report.outcome
    );
    assert!(
        detail(&report).contains("could not be asked") && !detail(&report).contains("within 0 ms"),
        "{}",
        detail(&report)
    );
}

#[tokio::test]
async fn an_address_counts_only_where_the_name_or_its_aliases_lead_to_it() {
    let port = tcp(|stream| async move { drop(stream) }).await;
    let a = || RData::A(A::new(127, 0, 0, 1));
    let alias = |to: &str| RData::CNAME(CNAME(name(to)));
    for (what, records, is_found) in [
        ("its own", vec![("shop.example.", a())], true),
        ("in capitals", vec![("SHOP.example.", a())], true),
        (
            "over aliases",
            vec![
                ("shop.example.", alias("b.example.")),
                ("b.example.", alias("C.example.")),
                ("c.example.", a()),
            ],
            true,
        ),
        ("another name's", vec![("other.example.", a())], false),
        ("a name above it", vec![("example.", a())], false),
        (
            "beside its alias",
            vec![
                ("shop.example.", alias("b.example.")),
                ("other.example.", a()),
            ],
            false,
        ),
        (
            "over another name's alias",
            vec![("other.example.", alias("b.example.")), ("b.example.", a())],
            false,
        ),
        (
            "in a circle",
            vec![
                ("shop.example.", alias("b.example.")),
                ("b.example.", alias("shop.example.")),
            ],
            false,
        ),
    ] {
        let server = name_server(&[("shop.example", Does::Records(records))]).await;
        let report = probe(&format!(
            "resolver = \"{server}\"\nprobe.tcp = \"shop.example:{port}\""
        ))
        .await;
        if is_found {
            assert_up(&report);
        } else {
            assert!(!matches!(report.outcome, Outcome::Success(_)), "{what}");
            assert_eq!(
                (cause(&report), detail(&report)),
                (
                    Cause::DnsNoAddress,
                    "shop.example. exists but has no address"
                ),
                "{what}"
            );
        }
    }
}

#[tokio::test]
async fn a_name_with_very_many_addresses_resolves() {
    let port = tcp(|stream| async move { drop(stream) }).await;
    let server = name_server(&[(
        "shop.example",
        Does::Addresses(vec![std::net::Ipv4Addr::LOCALHOST.into(); 120]),
    )])
    .await;
    assert_up(
        &probe(&format!(
            "resolver = \"{server}\"\nprobe.tcp = \"shop.example:{port}\""
        ))
        .await,
    );
}

#[test]
fn hosts_that_can_never_be_asked_for_are_faults_of_the_config() {
    use probity::config::load;
    let (hyphen, unspecified, zone) = (
        "no label of a host name starts with a hyphen",
        "the address of the host to probe",
        "the network interface behind the address",
    );
    for (line, wanted) in [
        ("probe.tcp = \"-a.test:1\"", hyphen),
        ("probe.http = \"http://-a.test/\"", hyphen),
        ("probe.icmp = \"-a.test\"", hyphen),
        ("probe.tcp = \"0.0.0.0:80\"", unspecified),
        ("probe.tcp = \"[::]:80\"", unspecified),
        ("probe.tls = \"[::ffff:0.0.0.0]:443\"", unspecified),
        ("probe.http = \"http://0.0.0.0/\"", unspecified),
        ("probe.http = \"http://[::]:8080/\"", unspecified),
        ("probe.http = \"http://0/\"", unspecified),
        ("probe.icmp = \"0.0.0.0\"", unspecified),
        ("probe.dns = \"0.0.0.0\"", unspecified),
        ("probe.http = \"http://[fe80::1]/\"", zone),
        ("probe.tcp = \"[fe80::1]:80\"", zone),
        ("probe.icmp = \"fe80::1\"", zone),
        ("probe.dns = \"fe80::1\"", zone),
    ] {
        let text = format!("[[endpoint]]\nname = \"e\"\n{line}\n");
        let faults = load(Path::new("test.toml"), &in_memory(&text)).expect_err(line);
        assert!(
            faults
                .iter()
                .all(|f| f.advice.contains(wanted) && f.line == 3),
            "{line}: {faults:?}"
        );
    }
}

#[tokio::test]
async fn a_redirect_to_the_unspecified_address_leads_nowhere() {
    let there = answering(ok("", b"ok")).await;
    let port = answering(format!(
        "HTTP/1.1 302 Found\r\nLocation: \
        http://0.0.0.0:{there}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ))
    .await;
    assert_eq!(
        cause(&probe(&format!("probe.http = \"http://127.0.0.1:{port}/\"")).await),
        Cause::DnsNoAddress
    );
}

#[tokio::test]
async fn files_that_cannot_be_read_now_are_no_verdict_about_a_name() {
    let server = name_server(&[]).await;
    let directory = tempfile::tempdir().expect("a directory");
    // A directory in its place: reading fails, and not because nothing is there.
    let paths = Paths {
        resolv_conf: directory.path().join("resolv.conf"),
        hosts: directory.path().join("hosts"),
        port: server.port(),
    };
    std::fs::write(&paths.resolv_conf, "nameserver 127.0.0.1\n").expect("written");
    std::fs::create_dir(&paths.hosts).expect("made");
    let net = Net::new(
        paths.clone(),
        Authorities::of_the_system(),
        Arc::new(ClockTrust::default()),
    );
    let endpoint = endpoint("probe.tcp = \"mine:1\"");
    let local = tokio::task::LocalSet::new();
    let report = local.run_until(run(&net, &endpoint)).await;
    assert_eq!(reason(&report), Reason::Resolver);
    assert!(detail(&report).contains("hosts"), "{}", detail(&report));
    // Once it can be read, the next probe has it.
    std::fs::remove_dir(&paths.hosts).expect("removed");
    std::fs::write(&paths.hosts, "127.0.0.1 mine\n").expect("written");
    assert_eq!(
        cause(&local.run_until(run(&net, &endpoint)).await),
        Cause::ConnectRefused
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hosts_file_of_two_megabytes_holds_no_probing_thread() {
    let server = name_server(&[]).await;
    let directory = tempfile::tempdir().expect("a directory");
    let paths = Paths {
        resolv_conf: directory.path().join("resolv.conf"),
        hosts: directory.path().join("hosts"),
        port: server.port(),
    };
    let blocked: String = (0..70_000)
        .map(|n| format!("0.0.0.0 tracker-{n}.ads.example\n"))
        .collect();
    assert!(blocked.len() > 2 << 20);
    std::fs::write(&paths.resolv_conf, "nameserver 127.0.0.1\n").expect("written");
    std::fs::write(&paths.hosts, format!("{blocked}127.0.0.1 mine\n")).expect("written");
    let net = || {
        Net::new(
            paths.clone(),
            Authorities::of_the_system(),
            Arc::new(ClockTrust::default()),
        )
    };
    let lines = format!("timeout = \"10s\"\nprobe.tcp = \"mine:{}\"", closed_port());
    let (first, known) = (net(), endpoint(&lines));
    let report = tokio::task::LocalSet::new()
        .run_until(async move { run(&first, &known).await })
        .await;
    assert_eq!(
        cause(&report),
        Cause::ConnectRefused,
        "its last line counts for the first probe"
    );
    assert_eq!(
        report
            .phases
            .us(probity::words::Phase::Resolve)
            .map(|us| us < 20_000),
        Some(true),
        "reading it is not the endpoint's time"
    );
    let held = longest_hold_of(&lines, net).await;
    assert!(held < HOLD_LIMIT, "{held:?}");
}
