//! The dns kind, and name resolution with its causes and its one reason.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, TXT};
use hickory_proto::rr::{RData, Record, RecordType};
use probity::config::Endpoint;
use probity::outward::net::Net;
use probity::outward::probe::run;
use probity::words::{Cause, Reason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::Instant;

use super::serve::*;

/// What a name server does with one question; `None` is silence.
type Answer = Arc<dyn Fn(&Message) -> Option<Vec<u8>> + Send + Sync>;

/// A name server on UDP and TCP; over TCP it always gives the whole answer of `whole`.
async fn server(udp: Answer, whole: Answer) -> SocketAddr {
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
            let Ok(question) = Message::from_vec(&buffer[..length]) else { continue };
            if let Some(answer) = udp(&question) {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let Ok(length) = stream.read_u16().await else { continue };
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

fn reply(question: &Message, code: ResponseCode, records: Vec<RData>) -> Message {
    let mut message = Message::query();
    message.metadata = question.metadata;
    message.metadata.message_type = MessageType::Response;
    message.metadata.response_code = code;
    message.add_queries(question.queries.clone());
    let name = question.queries[0].name().clone();
    message.add_answers(records.into_iter().map(|data| Record::from_rdata(name.clone(), 60, data)));
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

fn ask(server: SocketAddr, more: &str) -> String {
    format!("timeout = \"800ms\"\nprobe.dns.server = \"{server}\"\nprobe.dns.query = \"shop.example\"\n{more}")
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
    let to = server(cut, answering_with(ResponseCode::NoError, (0..200).map(a).collect())).await;
    assert_up(&probe(&ask(to, "probe.dns.expect.at_least = 200")).await);
}

#[tokio::test]
async fn nonsense_silence_and_closed_ports_have_their_causes() {
    let nonsense: Answer = Arc::new(|q| Some([&q.metadata.id.to_be_bytes()[..], &[0xff; 40]].concat()));
    let to = server(nonsense.clone(), nonsense).await;
    assert_eq!(cause(&probe(&ask(to, "")).await), Cause::DnsInvalid);
    let silent: Answer = Arc::new(|_| None);
    let to = server(silent.clone(), silent).await;
    let began = Instant::now();
    assert_eq!(cause(&probe(&ask(to, "")).await), Cause::DnsTimeout);
    assert!(began.elapsed() < Duration::from_millis(850));
    let closed: SocketAddr = ([127, 0, 0, 1], closed_port()).into();
    assert_eq!(cause(&probe(&ask(closed, "")).await), Cause::ConnectRefused);
}

#[tokio::test]
async fn text_records_with_control_bytes_and_markup_are_kept_as_text() {
    let to = plain(ResponseCode::NoError, vec![RData::TXT(TXT::new(vec!["<script>\u{1b}[31m\"".into()]))]).await;
    let report = probe(&ask(to, "probe.dns.type = \"TXT\"")).await;
    assert_up(&report);
    let answers = report.outcome.facts().expect("up").dns_answers.clone();
    assert!(answers[0].contains("<script>"), "{answers:?}");
}

fn resolving(resolver: SocketAddr, port: u16) -> String {
    format!("timeout = \"1500ms\"\nresolver = \"{resolver}\"\nprobe.tcp.address = \"shop.example:{port}\"")
}

#[tokio::test]
async fn names_resolve_through_the_named_server() {
    let port = tcp(|stream| async move { drop(stream) }).await;
    let loopback: Answer = Arc::new(|q| {
        let records = if q.queries[0].query_type() == RecordType::A { vec![RData::A(A::new(127, 0, 0, 1))] } else { Vec::new() };
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
        let to = plain(code, Vec::new()).await;
        assert_eq!(cause(&probe(&resolving(to, 1)).await), wanted);
    }
}

#[tokio::test]
async fn a_silent_resolver_is_ours_and_a_silent_zone_is_theirs() {
    let silent: Answer = Arc::new(|_| None);
    let to = server(silent.clone(), silent).await;
    assert_eq!(reason(&probe(&resolving(to, 1)).await), Reason::Resolver);
    // This one answers the control question about the root, but nothing about the zone.
    let zone: Answer = Arc::new(|q| if q.queries[0].name().is_root() { reply(q, ResponseCode::NoError, Vec::new()).to_vec().ok() } else { None });
    let to = server(zone.clone(), zone).await;
    assert_eq!(cause(&probe(&resolving(to, 1).replace("1500ms", "600ms")).await), Cause::DnsTimeout, "also within a short timeout");
    let began = Instant::now();
    assert_eq!(cause(&probe(&resolving(to, 1)).await), Cause::DnsTimeout);
    assert!(began.elapsed() < Duration::from_millis(1550), "{:?}", began.elapsed());
    let closed: SocketAddr = ([127, 0, 0, 1], closed_port()).into();
    assert_eq!(reason(&probe(&resolving(closed, 1)).await), Reason::Resolver);
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
        let records = if q.queries[0].query_type() == RecordType::A { vec![RData::A(A::new(127, 0, 0, 1))] } else { Vec::new() };
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
            assert_eq!(cause(&once(shop.clone()).await), Cause::DnsTimeout, "the name that resolved last is the silent one");
            let other = endpoint(&resolving(to, port).replace("shop.example", "other.test"));
            assert_up(&once(other).await);
            assert_eq!(cause(&once(shop).await), Cause::DnsTimeout, "and a name of another zone resolved since");
        })
        .await;
}
