//! The dns kind, and name resolution with its causes and its one reason.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, TXT};
use hickory_proto::rr::{RData, Record, RecordType};
use probity::config::Endpoint;
use probity::kind::run::run;
use probity::net::shared::Net;
use probity::words::{Cause, Reason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::Instant;

use super::hold::{HOLD_LIMIT, longest_hold};
use super::icmp::is_permitted;
use super::serve::*;

/// What a name server does with one question; `None` is silence.
pub type Answer = Arc<dyn Fn(&Message) -> Option<Vec<u8>> + Send + Sync>;

/// A name server on UDP and TCP; over TCP it always gives the whole answer of `whole`.
pub async fn server(udp: Answer, whole: Answer) -> SocketAddr {
    // The same port over both; another test may hold the one that was found.
    let (socket, listener) = loop {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
        if let Ok(listener) = TcpListener::bind(socket.local_addr().expect("bound")).await {
            break (socket, listener);
        }
    };
    let address = socket.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let Ok(question) = Message::from_vec(&buffer[..length]) else {
                continue;
            };
            if let Some(answer) = udp(&question) {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let Ok(length) = stream.read_u16().await else {
                continue;
            };
            let mut bytes = vec![0; usize::from(length)];
            if stream.read_exact(&mut bytes).await.is_err() {
                continue;
            }
            if let Some(answer) = Message::from_vec(&bytes).ok().and_then(|q| whole(&q)) {
                let _ = stream.write_u16(answer.len() as u16).await;
                let _ = stream.write_all(&answer).await;
            }
        }
    });
    address
}

pub fn reply(question: &Message, code: ResponseCode, records: Vec<RData>) -> Message {
    let mut message = Message::query();
    message.metadata = question.metadata;
    message.metadata.message_type = MessageType::Response;
    message.metadata.response_code = code;
    message.add_queries(question.queries.clone());
    let name = question.queries[0].name().clone();
    message.add_answers(
        records
            .into_iter()
            .map(|data| Record::from_rdata(name.clone(), 60, data)),
    );
    message
}

fn answering_with(code: ResponseCode, records: Vec<RData>) -> Answer {
    Arc::new(move |q| reply(q, code, records.clone()).to_vec().ok())
}

fn a(last: u8) -> RData {
    RData::A(A::new(192, 0, 2, last))
}

async fn plain(code: ResponseCode, records: Vec<RData>) -> SocketAddr {
    let answer = answering_with(code, records);
    server(answer.clone(), answer).await
}

pub fn ask(server: SocketAddr, more: &str) -> String {
    format!(
        "timeout = \"800ms\"\nprobe.dns.server = \"{server}\"\nprobe.dns.query \
            = \"shop.example\"\n{more}"
    )
}

#[tokio::test]
async fn answers_are_held_against_rules() {
    let to = plain(ResponseCode::NoError, vec![a(1), a(2)]).await;
    for (expect, up) in [
        ("any = \"\\\\.2$\"", true),
        ("any = \"\\\\.9$\"", false),
        ("all = \"^192\"", true),
        ("all = \"1$\"", false),
        ("none = \"^10\"", true),
        ("none = \"^192\"", false),
        ("at_least = 2", true),
        ("at_least = 3", false),
        ("authoritative = false", true),
        ("authoritative = true", false),
    ] {
        let report = probe(&ask(to, &format!("probe.dns.expect.{expect}"))).await;
        if up {
            assert_up(&report);
        } else {
            assert_eq!(cause(&report), Cause::DnsMismatch, "{expect}");
        }
    }
    assert_up(&probe(&ask(to, "probe.dns.transport = \"tcp\"")).await);
}

#[tokio::test]
async fn every_rcode_is_down_unless_it_is_expected() {
    for (code, word) in [
        (ResponseCode::ServFail, "SERVFAIL"),
        (ResponseCode::NXDomain, "NXDOMAIN"),
        (ResponseCode::Refused, "REFUSED"),
        (ResponseCode::NotImp, "NOTIMP"),
        (ResponseCode::FormErr, "FORMERR"),
    ] {
        let to = plain(code, Vec::new()).await;
        assert_eq!(cause(&probe(&ask(to, "")).await), Cause::DnsRcode);
        assert_up(&probe(&ask(to, &format!("probe.dns.expect.rcode = \"{word}\""))).await);
    }
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let cut: Answer = Arc::new(|q| {
        let mut message = reply(q, ResponseCode::NoError, Vec::new());
        message.metadata.truncation = true;
        message.to_vec().ok()
    });
    let to = server(
        cut,
        answering_with(ResponseCode::NoError, (0..200).map(a).collect()),
    )
    .await;
    assert_up(&probe(&ask(to, "probe.dns.expect.at_least = 200")).await);
}

/// What comes after 500 records counts as the others do, and what is not whole is no answer.
#[tokio::test]
async fn an_answer_is_looked_at_to_its_end() {
    let many = |last: u8| {
        let records: Vec<RData> = (0..600).map(|_| a(7)).chain([a(last)]).collect();
        answering_with(ResponseCode::NoError, records)
    };
    let to = server(many(9), many(9)).await;
    for (expect, up) in [
        ("none = \"\\\\.9$\"", false),
        ("all = \"\\\\.7$\"", false),
        ("any = \"\\\\.9$\"", true),
        ("at_least = 601", true),
        ("at_least = 602", false),
    ] {
        let keys = format!("probe.dns.transport = \"tcp\"\nprobe.dns.expect.{expect}");
        let report = probe(&ask(to, &keys)).await;
        if up {
            assert_up(&report);
        } else {
            assert_eq!(cause(&report), Cause::DnsMismatch, "{expect}");
        }
    }
    let cut: Answer = Arc::new(|q| {
        let mut message = reply(q, ResponseCode::NoError, vec![a(1)]);
        message.metadata.truncation = true;
        message.to_vec().ok()
    });
    let to = server(cut.clone(), cut).await;
    let report = probe(&ask(to, "probe.dns.expect.none = \"\\\\.9$\"")).await;
    assert_eq!(cause(&report), Cause::DnsInvalid);
}

#[tokio::test]
async fn nonsense_silence_and_closed_ports_have_their_causes() {
    let nonsense: Answer =
        Arc::new(|q| Some([&q.metadata.id.to_be_bytes()[..], &[0xff; 40]].concat()));
    let to = server(nonsense.clone(), nonsense).await;
    assert_eq!(cause(&probe(&ask(to, "")).await), Cause::DnsInvalid);
    let silent: Answer = Arc::new(|_| None);
    let to = server(silent.clone(), silent).await;
    let report = probe_within(Duration::from_millis(850), &ask(to, "")).await;
    assert_eq!(cause(&report), Cause::DnsTimeout);
    let closed: SocketAddr = ([127, 0, 0, 1], closed_port()).into();
    assert_eq!(cause(&probe(&ask(closed, "")).await), Cause::ConnectRefused);
}

#[tokio::test]
async fn text_records_with_control_bytes_and_markup_are_kept_as_text() {
    let to = plain(
        ResponseCode::NoError,
        vec![RData::TXT(TXT::new(vec!["<script>\u{1b}[31m\"".into()]))],
    )
    .await;
    let report = probe(&ask(to, "probe.dns.type = \"TXT\"")).await;
    assert_up(&report);
    let answers = report.outcome.facts().expect("up").dns_answers.clone();
    assert!(answers[0].contains("<script>"), "{answers:?}");
}

fn resolving(resolver: SocketAddr, port: u16) -> String {
    format!(
        "timeout = \"1500ms\"\nresolver = \"{resolver}\"\nprobe.tcp.address \
            = \"shop.example:{port}\""
    )
}

#[tokio::test]
async fn names_resolve_through_the_named_server() {
    let port = tcp(|stream| async move { drop(stream) }).await;
    let loopback: Answer = Arc::new(|q| {
        let records = if q.queries[0].query_type() == RecordType::A {
            vec![RData::A(A::new(127, 0, 0, 1))]
        } else {
            Vec::new()
        };
        reply(q, ResponseCode::NoError, records).to_vec().ok()
    });
    let to = server(loopback.clone(), loopback).await;
    let report = probe(&resolving(to, port)).await;
    assert_up(&report);
    assert!(report.phases.us(probity::words::Phase::Resolve).is_some());
}

#[tokio::test]
async fn every_failure_of_a_name_service_has_its_cause() {
    for (code, wanted) in [
        (ResponseCode::NXDomain, Cause::DnsNxdomain),
        (ResponseCode::NoError, Cause::DnsNoAddress),
        (ResponseCode::ServFail, Cause::DnsServfail),
        (ResponseCode::Refused, Cause::DnsRefused),
        (ResponseCode::NotImp, Cause::DnsInvalid),
    ] {
        // It fails for this name and answers the control question about the root.
        let answer: Answer = Arc::new(move |q| {
            let code = if q.queries[0].name().is_root() {
                ResponseCode::NoError
            } else {
                code
            };
            reply(q, code, Vec::new()).to_vec().ok()
        });
        let to = server(answer.clone(), answer).await;
        assert_eq!(cause(&probe(&resolving(to, 1)).await), wanted);
    }
}

#[tokio::test]
async fn a_resolver_that_fails_for_everything_is_ours() {
    for code in [
        ResponseCode::ServFail,
        ResponseCode::Refused,
        ResponseCode::NotImp,
    ] {
        let to = plain(code, Vec::new()).await;
        assert_eq!(
            reason(&probe(&resolving(to, 1)).await),
            Reason::Resolver,
            "{code}"
        );
    }
}

#[tokio::test]
async fn a_silent_resolver_is_ours_and_a_silent_zone_is_theirs() {
    let silent: Answer = Arc::new(|_| None);
    let to = server(silent.clone(), silent).await;
    assert_eq!(reason(&probe(&resolving(to, 1)).await), Reason::Resolver);
    // This one answers the control question about the root, but nothing about the zone.
    let zone: Answer = Arc::new(|q| {
        if q.queries[0].name().is_root() {
            reply(q, ResponseCode::NoError, Vec::new()).to_vec().ok()
        } else {
            None
        }
    });
    let to = server(zone.clone(), zone).await;
    assert_eq!(
        cause(&probe(&resolving(to, 1).replace("1500ms", "900ms")).await),
        Cause::DnsTimeout,
        "also within a short timeout"
    );
    let report = probe_within(Duration::from_millis(1550), &resolving(to, 1)).await;
    assert_eq!(cause(&report), Cause::DnsTimeout);
    let closed: SocketAddr = ([127, 0, 0, 1], closed_port()).into();
    assert_eq!(
        reason(&probe(&resolving(closed, 1)).await),
        Reason::Resolver
    );
}

#[tokio::test]
async fn the_control_question_is_not_about_the_zone_that_is_silent() {
    let port = tcp(|stream| async move { drop(stream) }).await;
    let is_silent = Arc::new(AtomicBool::new(false));
    let heard = is_silent.clone();
    let zone: Answer = Arc::new(move |q| {
        let asked = q.queries[0].name().to_string();
        if asked.starts_with("shop.") && heard.load(Ordering::Relaxed) {
            return None;
        }
        let records = if q.queries[0].query_type() == RecordType::A {
            vec![RData::A(A::new(127, 0, 0, 1))]
        } else {
            Vec::new()
        };
        reply(q, ResponseCode::NoError, records).to_vec().ok()
    });
    let to = server(zone.clone(), zone).await;
    let net = Net::default();
    let shop = endpoint(&resolving(to, port));
    let once = |e: Arc<Endpoint>| {
        let net = &net;
        async move { run(net, &e).await }
    };
    tokio::task::LocalSet::new()
        .run_until(async {
            assert_up(&once(shop.clone()).await);
            is_silent.store(true, Ordering::Relaxed);
            assert_eq!(
                cause(&once(shop.clone()).await),
                Cause::DnsTimeout,
                "the name that resolved last is the silent one"
            );
            let other = endpoint(&resolving(to, port).replace("shop.example", "other.test"));
            assert_up(&once(other).await);
            assert_eq!(
                cause(&once(shop).await),
                Cause::DnsTimeout,
                "and a name of another zone resolved since"
            );
        })
        .await;
}

/// Owner, type, class, data.
type Raw = (&'static str, u16, u16, Vec<u8>);

/// An answer of these records as they are.
fn raw(question: &Message, records: &[Raw]) -> Option<Vec<u8>> {
    let mut bytes = reply(question, ResponseCode::NoError, Vec::new())
        .to_vec()
        .ok()?;
    bytes[7] = records.len() as u8;
    for (owner, kind, class, data) in records {
        bytes.extend(wire(owner));
        bytes.extend(
            [
                &kind.to_be_bytes()[..],
                &class.to_be_bytes(),
                &60_u32.to_be_bytes(),
                &(data.len() as u16).to_be_bytes(),
            ]
            .concat(),
        );
        bytes.extend(data);
    }
    Some(bytes)
}

fn wire(name: &str) -> Vec<u8> {
    probity::config::dns_question::name_to_wire(name).expect("a name")
}

async fn zone(records: Vec<Raw>) -> SocketAddr {
    let answer: Answer = Arc::new(move |q| raw(q, &records));
    server(answer.clone(), answer).await
}

#[tokio::test]
async fn only_records_that_the_question_leads_to_meet_an_expectation() {
    let a = |last: u8| vec![192, 0, 2, last];
    let cases: Vec<(&str, Vec<Raw>, bool)> = vec![
        (
            "the record itself",
            vec![("shop.example", 1, 1, a(1))],
            true,
        ),
        (
            "the record in capitals",
            vec![("SHOP.example", 1, 1, a(1))],
            true,
        ),
        (
            "over an alias",
            vec![
                ("shop.example", 5, 1, wire("cdn.example")),
                ("cdn.example", 1, 1, a(1)),
            ],
            true,
        ),
        (
            "over aliases in another order",
            vec![
                ("e.example", 1, 1, a(1)),
                ("d.example", 5, 1, wire("e.example")),
                ("shop.example", 5, 1, wire("d.example")),
            ],
            true,
        ),
        (
            "over a DNAME",
            vec![("example", 39, 1, wire("test")), ("shop.test", 1, 1, a(1))],
            true,
        ),
        (
            "an alias that dangles",
            vec![("shop.example", 5, 1, wire("gone.example"))],
            false,
        ),
        (
            "an alias in a circle",
            vec![
                ("shop.example", 5, 1, wire("b.example")),
                ("b.example", 5, 1, wire("shop.example")),
            ],
            false,
        ),
        (
            "another name's record",
            vec![("other.example", 1, 1, a(1))],
            false,
        ),
        (
            "a TXT",
            vec![("shop.example", 16, 1, b"\x09192.0.2.1".to_vec())],
            false,
        ),
        ("an AAAA", vec![("shop.example", 28, 1, vec![0; 16])], false),
        ("another class", vec![("shop.example", 1, 3, a(1))], false),
        ("nothing", vec![], false),
    ];
    for (what, records, is_met) in cases {
        let to = zone(records).await;
        for expect in [
            "at_least = 1",
            "any = \"192\"",
            "all = \"192\"",
            "none = \"^10\"",
        ] {
            let report = probe(&ask(to, &format!("probe.dns.expect.{expect}"))).await;
            if is_met {
                assert_up(&report);
            } else {
                assert_eq!(cause(&report), Cause::DnsMismatch, "{what}: {expect}");
            }
        }
    }
}

#[tokio::test]
async fn other_records_beside_those_asked_for_neither_help_nor_harm() {
    let to = zone(vec![
        ("shop.example", 5, 1, wire("cdn.example")),
        ("cdn.example", 1, 1, vec![192, 0, 2, 1]),
        ("cdn.example", 16, 1, b"\x0310.".to_vec()),
        ("other.example", 1, 1, vec![10, 0, 0, 1]),
        ("cdn.example", 1, 3, vec![10, 0, 0, 2]),
    ])
    .await;
    assert_up(
        &probe(&ask(
            to,
            "probe.dns.expect.all = \"^192\"\nprobe.dns.expect.none = \"^10\"",
        ))
        .await,
    );
    assert_eq!(
        cause(&probe(&ask(to, "probe.dns.expect.at_least = 2")).await),
        Cause::DnsMismatch
    );
    let report = probe(&ask(
        to,
        "probe.dns.type = \"CNAME\"\nprobe.dns.expect.all = \"^cdn\\\\.example\\\\.$\"",
    ))
    .await;
    assert_up(&report);
}

#[tokio::test]
async fn the_chain_of_aliases_has_its_own_expectation() {
    let to = zone(vec![
        ("shop.example", 5, 1, wire("cdn.example")),
        ("cdn.example", 5, 1, wire("Edge.cdn.example")),
        ("edge.cdn.example", 1, 1, vec![127, 0, 0, 1]),
    ])
    .await;
    for (pattern, is_met) in [
        ("^cdn\\.example\\. Edge\\.cdn\\.example\\.$", true),
        ("(?i)edge", true),
        ("^cdn\\.example\\.$", false),
        ("^shop", false),
    ] {
        let report = probe(&ask(to, &format!("probe.dns.expect.chain = '{pattern}'"))).await;
        if is_met {
            assert_up(&report);
        } else {
            assert_eq!(cause(&report), Cause::DnsMismatch, "{pattern}");
        }
    }
    let direct = plain(ResponseCode::NoError, vec![a(1)]).await;
    assert_eq!(
        cause(&probe(&ask(direct, "probe.dns.expect.chain = 'cdn'")).await),
        Cause::DnsMismatch
    );
    assert_up(&probe(&ask(direct, "probe.dns.expect.chain = '^$'")).await);
}

#[tokio::test]
async fn nodata_is_down_unless_it_is_asked_for() {
    let to = plain(ResponseCode::NoError, Vec::new()).await;
    let report = probe(&ask(to, "")).await;
    assert_eq!(cause(&report), Cause::DnsMismatch);
    assert!(
        format!("{:?}", report.outcome).contains("expected at least 1 record, found no A record"),
        "{:?}",
        report.outcome
    );
    assert_up(&probe(&ask(to, "probe.dns.expect.at_least = 0")).await);
    assert_up(
        &probe(&ask(
            to,
            "probe.dns.expect.at_least = 0\nprobe.dns.expect.all \
        = \"^192\"\nprobe.dns.expect.none = \".\"",
        ))
        .await,
    );
    let gone = plain(ResponseCode::NXDomain, Vec::new()).await;
    assert_up(&probe(&ask(gone, "probe.dns.expect.rcode = \"NXDOMAIN\"")).await);
    assert_eq!(
        cause(
            &probe(&ask(
                gone,
                "probe.dns.expect.rcode = \"NXDOMAIN\"\nprobe.dns.expect.at_least = 1"
            ))
            .await
        ),
        Cause::DnsMismatch
    );
}

/// As dig 9.18 shows them; unit tests hold every type against its output.
#[tokio::test]
async fn records_are_presented_as_dig_presents_them() {
    let digest = [&[0x4f, 0x66, 8, 2][..], &[0xab; 32]].concat();
    let cases: Vec<(&str, u16, Vec<u8>, String)> = vec![
        (
            "PTR",
            12,
            wire("Web\\032Server._ipp._tcp.example"),
            "Web\\032Server._ipp._tcp.example.".into(),
        ),
        (
            "TXT",
            16,
            b"\x03a\x01\xff\x04c\"\\d".to_vec(),
            "\"a\\001\\255\" \"c\\\"\\\\d\"".into(),
        ),
        (
            "DS",
            43,
            digest,
            format!("20326 8 2 {} {}", "AB".repeat(28), "AB".repeat(4)),
        ),
        (
            "HTTPS",
            65,
            b"\0\x01\0\0\x01\0\x06\x02h3\x02h2\0\x04\0\x04\x7f\0\0\x01".to_vec(),
            "1 . alpn=\"h3,h2\" ipv4hint=127.0.0.1".into(),
        ),
        (
            "URI",
            256,
            b"\0\x0a\0\x01ftp://a/\"b".to_vec(),
            "10 1 \"ftp://a/\\\"b\"".into(),
        ),
        (
            "LOC",
            29,
            [
                &[0, 0x12, 0x16, 0x13][..],
                &[
                    0x8b, 0x0d, 0xcb, 0xc8, 0x7f, 0xf8, 0xfc, 0xa5, 0, 0x98, 0x96, 0x80,
                ],
            ]
            .concat(),
            "51 30 53.512 N 0 7 39.611 W 0.00m 1m 10000m 10m".into(),
        ),
        ("TYPE65280", 65280, vec![1, 2, 0xab], "\\# 3 0102AB".into()),
        (
            "CAA",
            257,
            b"\0\x05issueca.example".to_vec(),
            "0 issue \"ca.example\"".into(),
        ),
    ];
    for (word, kind, data, text) in cases {
        let to = zone(vec![("shop.example", kind, 1, data)]).await;
        let report = probe(&ask(to, &format!("probe.dns.type = \"{word}\""))).await;
        assert_up(&report);
        assert_eq!(report.outcome.facts().expect("up").dns_answers, [text]);
    }
}

#[tokio::test]
async fn a_digest_is_found_with_and_without_the_blank_of_dig() {
    let digest = [&[0x4f, 0x66, 8, 2][..], &[0xab; 32]].concat();
    let to = zone(vec![("shop.example", 43, 1, digest)]).await;
    for pattern in [
        format!("^20326 8 2 {}$", "AB".repeat(32)),
        format!("^20326 8 2 {} {}$", "AB".repeat(28), "AB".repeat(4)),
    ] {
        assert_up(
            &probe(&ask(
                to,
                &format!("probe.dns.type = \"DS\"\nprobe.dns.expect.all = \"{pattern}\""),
            ))
            .await,
        );
    }
}

#[tokio::test]
async fn names_are_sent_with_decimal_escapes_and_addresses_as_their_names() {
    for (query, name) in [
        (
            "Web\\032Server._ipp._tcp.example",
            &b"\x0aWeb Server\x04_ipp\x04_tcp\x07example\0"[..],
        ),
        ("192.0.2.1", b"\x011\x012\x010\x03192\x07in-addr\x04arpa\0"),
        (
            "1.2.0.192.in-addr.arpa",
            b"\x011\x012\x010\x03192\x07in-addr\x04arpa\0",
        ),
        (".", b"\0"),
    ] {
        let expected = [name, &[0, 12, 0, 1]].concat();
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
        let to = socket.local_addr().expect("bound");
        let answering = tokio::spawn(async move {
            let mut buffer = [0; 512];
            let (length, from) = socket.recv_from(&mut buffer).await.expect("a question");
            let asked = buffer[12..length].to_vec();
            buffer[2] |= 0x80;
            let _ = socket.send_to(&buffer[..length], from).await;
            asked
        });
        let lines = format!(
            "probe.dns.server = \"{to}\"\nprobe.dns.query = '{query}'\nprobe.dns.type \
                = \"PTR\"\nprobe.dns.expect.at_least = 0"
        );
        assert_up(&probe(&lines).await);
        assert_eq!(answering.await.expect("asked"), expected, "{query}");
    }
}

#[tokio::test]
async fn a_record_that_no_library_can_read_makes_no_answer_invalid() {
    // An A of three bytes, an HTTPS whose parameters run over: beside the record that is asked for.
    let to = zone(vec![
        ("x.example", 1, 1, vec![1, 2, 3]),
        ("x.example", 65, 1, vec![0, 1, 0, 0, 1, 0, 99]),
        ("shop.example", 1, 1, vec![192, 0, 2, 1]),
    ])
    .await;
    assert_up(&probe(&ask(to, "probe.dns.expect.all = \"^192\"")).await);
    let odd = zone(vec![("shop.example", 1, 1, vec![1, 2, 3])]).await;
    assert_eq!(
        cause(&probe(&ask(odd, "probe.dns.expect.all = \"^192\"")).await),
        Cause::DnsMismatch
    );
    let cut: Answer = Arc::new(|q| {
        let mut bytes = raw(q, &[("shop.example", 1, 1, vec![192, 0, 2, 1])])?;
        bytes.truncate(bytes.len() - 2);
        Some(bytes)
    });
    let to = server(cut.clone(), cut).await;
    assert_eq!(cause(&probe(&ask(to, "")).await), Cause::DnsInvalid);
}

/// A resolver that gives these addresses for every name.
pub async fn naming(v4: &'static [[u8; 4]]) -> SocketAddr {
    let answer: Answer = Arc::new(move |q| {
        let is_a = q.queries[0].query_type() == RecordType::A;
        let records = if is_a {
            v4.iter()
                .map(|[a, b, c, d]| RData::A(A::new(*a, *b, *c, *d)))
                .collect()
        } else {
            Vec::new()
        };
        reply(q, ResponseCode::NoError, records).to_vec().ok()
    });
    server(answer.clone(), answer).await
}

pub fn attempts(report: &probity::kind::run::ProbeReport) -> Vec<(String, bool)> {
    let facts = report.outcome.facts().expect("facts");
    facts
        .attempts
        .iter()
        .map(|a| (a.address.to_string(), a.error.is_none()))
        .collect()
}

#[tokio::test]
async fn the_next_address_of_a_name_server_is_asked_when_one_fails_or_is_silent() {
    let to = plain(ResponseCode::NoError, vec![a(1)]).await;
    let resolver = naming(&[[127, 0, 0, 2], [127, 0, 0, 1]]).await;
    for transport in ["udp", "tcp"] {
        let lines = format!(
            "resolver = \"{resolver}\"\nprobe.dns.server = \"ns.example:{}\"\nprobe.dns.query \
                = \"shop.example\"\nprobe.dns.transport = \"{transport}\"",
            to.port()
        );
        // Nobody listens on the first.
        let report = probe(&lines).await;
        assert_up(&report);
        assert_eq!(
            attempts(&report),
            [
                ("127.0.0.2".to_owned(), false),
                ("127.0.0.1".to_owned(), true)
            ],
            "{transport}"
        );
        assert_eq!(
            report
                .outcome
                .facts()
                .and_then(|f| f.address)
                .map(|a| a.to_string())
                .as_deref(),
            Some("127.0.0.1")
        );
        assert_eq!(
            cause(&probe(&format!("addresses = \"first\"\n{lines}")).await),
            Cause::ConnectRefused
        );
    }
    // The first is silent.
    let _silent = UdpSocket::bind(("127.0.0.2", to.port()))
        .await
        .expect("bound");
    let lines = format!(
        "resolver = \"{resolver}\"\nprobe.dns.server = \"ns.example:{}\"\nprobe.dns.query \
            = \"shop.example\"\ntimeout = \"3s\"",
        to.port()
    );
    let began = Instant::now();
    assert_up(&probe(&lines).await);
    assert!(
        (Duration::from_millis(240)..Duration::from_secs(2)).contains(&began.elapsed()),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn the_next_address_is_asked_for_an_echo_when_one_fails() {
    // An echo to a broadcast address is refused by the system at once.
    let resolver = naming(&[[127, 255, 255, 255], [127, 0, 0, 1]]).await;
    let report = probe(&format!(
        "resolver = \"{resolver}\"\nprobe.icmp = \"gateway.example\""
    ))
    .await;
    if is_permitted() {
        assert_up(&report);
        assert_eq!(
            attempts(&report),
            [
                ("127.255.255.255".to_owned(), false),
                ("127.0.0.1".to_owned(), true)
            ]
        );
        let address = report.outcome.facts().and_then(|f| f.address);
        assert_eq!(address.map(|a| a.to_string()).as_deref(), Some("127.0.0.1"));
    } else {
        assert_eq!(reason(&report), Reason::Permission);
    }
}

#[tokio::test]
async fn every_kind_takes_an_address_with_a_zone() {
    let listener = TcpListener::bind("[::1]:0").await.expect("bound");
    let port = listener.local_addr().expect("bound").port();
    let heads = Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = heads.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let heard = heard.clone();
            tokio::spawn(async move {
                let head = read_head(&mut stream).await;
                heard.lock().expect("whole").push(head);
                let _ = stream.write_all(&ok("", b"")).await;
            });
        }
    });
    let socket = UdpSocket::bind("[::1]:0").await.expect("bound");
    let server = socket.local_addr().expect("bound").port();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let Ok(question) = Message::from_vec(&buffer[..length]) else {
                continue;
            };
            let answer = reply(&question, ResponseCode::NoError, vec![a(1)])
                .to_vec()
                .expect("an answer");
            let _ = socket.send_to(&answer, from).await;
        }
    });
    for zone in ["lo", "1"] {
        for url in [
            format!("http://[::1%25{zone}]:{port}/"),
            format!("http://[::1%{zone}]:{port}/"),
        ] {
            assert_up(&probe(&format!("probe.http.url = \"{url}\"")).await);
        }
        assert_up(&probe(&format!("probe.tcp.address = \"[::1%{zone}]:{port}\"")).await);
        assert_up(
            &probe(&format!(
                "probe.dns.server = \"[::1%{zone}]:{server}\"\nprobe.dns.query = \"shop.example\""
            ))
            .await,
        );
        assert_eq!(
            cause(
                &probe(&format!(
                    "probe.tls.address = \"[::1%{zone}]:{}\"",
                    closed_port()
                ))
                .await
            ),
            Cause::ConnectRefused
        );
        let echoed = probe(&format!("probe.icmp = \"::1%{zone}\"")).await;
        if is_permitted() {
            assert_up(&echoed);
        } else {
            assert_eq!(reason(&echoed), Reason::Permission);
        }
    }
    let heads = heads.lock().expect("whole");
    let hosts: Vec<&str> = heads
        .iter()
        .flat_map(|h| h.lines())
        .filter(|l| l.to_ascii_lowercase().starts_with("host:"))
        .collect();
    assert!(
        hosts.len() == 4 && hosts.iter().all(|h| h.ends_with(&format!(" [::1]:{port}"))),
        "the zone is not sent: {hosts:?}"
    );
}

#[tokio::test]
async fn a_zone_that_this_host_does_not_have_is_our_own_lack() {
    for lines in [
        "probe.http.url = \"http://[fe80::1%25no-such]/\"",
        "probe.tcp.address = \"[fe80::1%no-such]:1\"",
        "probe.tls.address = \"fe80::1%no-such\"",
        "probe.icmp.host = \"fe80::1%no-such\"",
        "probe.dns.server = \"fe80::1%no-such\"\nprobe.dns.query = \"shop.example\"",
    ] {
        assert_eq!(reason(&probe(lines).await), Reason::LocalNetwork, "{lines}");
    }
    for lines in [
        "probe.http.url = \"http://[fe80::1]/\"",
        "probe.tcp.address = \"[fe80::1]:1\"",
        "probe.tls.address = \"fe80::1\"",
        "probe.icmp.host = \"fe80::1\"",
        "probe.dns.server = \"fe80::1\"\nprobe.dns.query = \"shop.example\"",
    ] {
        let text = format!("[[endpoint]]\nname = \"e\"\n{lines}\n");
        let faults = probity::config::load(std::path::Path::new("test.toml"), &in_memory(&text))
            .expect_err("no zone");
        assert!(
            faults.len() == 1
                && faults[0]
                    .problem
                    .contains("is a link-local address without its zone"),
            "{faults:?}"
        );
    }
    let shown = endpoint("probe.http.url = \"http://[fe80::1%eth0]:8080/a\"")
        .probe
        .target();
    assert_eq!(shown, "http://[fe80::1%25eth0]:8080/a");
    assert_eq!(
        endpoint("probe.dns.server = \"fe80::1%eth0\"\nprobe.dns.query = \"x.example\"")
            .probe
            .target(),
        "[fe80::1%eth0]:53 x.example A"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dear_pattern_over_long_records_is_held_against_them_apart() {
    let mut state = 7_u32;
    let mut text = || {
        let mut next = || {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            if state >> 16 & 1 == 0 { 'a' } else { 'b' }
        };
        (0..250).map(|_| next()).collect::<String>()
    };
    let records: Vec<RData> = (0..40)
        .map(|_| RData::TXT(TXT::new(vec![text()])))
        .collect();
    let server = plain(ResponseCode::NoError, records).await;
    let lines = format!(
        "timeout = \"60s\"\nprobe.dns.server = \"{server}\"\nprobe.dns.query \
            = \"shop.example\"\nprobe.dns.type = \"TXT\"\nprobe.dns.transport = \"tcp\"\n\
         probe.dns.expect.any = \"[ab]*a[ab]{{20}}c\""
    );
    assert_eq!(cause(&probe(&lines).await), Cause::DnsMismatch);
    let held = longest_hold(&lines).await;
    assert!(held < HOLD_LIMIT, "{held:?}");
}
