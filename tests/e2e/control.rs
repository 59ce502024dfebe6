//! Control questions of the resolver: which names they are about, what a target can do to them, and
//! what a silent name server costs.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, RecordType};
use probity::config::Endpoint;
use probity::kind::run::{ProbeReport, run};
use probity::net::shared::Net;
use probity::words::{Cause, Reason};
use tokio::io::AsyncWriteExt;
use tokio::net::UdpSocket;

use super::dns::{Answer, reply, server};
use super::serve::*;

/// A name server over which `code_of` decides: each name with NOERROR has the address of loopback.
async fn deciding(code_of: impl Fn(&str) -> ResponseCode + Send + Sync + 'static) -> SocketAddr {
    let answer: Answer = Arc::new(move |q: &Message| {
        let code = code_of(&q.queries[0].name().to_string());
        let has_address =
            code == ResponseCode::NoError && q.queries[0].query_type() == RecordType::A;
        reply(
            q,
            code,
            if has_address {
                vec![RData::A(A::new(127, 0, 0, 1))]
            } else {
                Vec::new()
            },
        )
        .to_vec()
        .ok()
    });
    server(answer.clone(), answer).await
}

/// A web server that leads from `own.shop.test` over eight zones of strangers to `dead.evil0.test`,
/// from `direct` there at once, and is fine under every other name.
async fn leading() -> u16 {
    tcp(|mut stream| async move {
        let head = read_head(&mut stream).await.to_ascii_lowercase();
        let host = head
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .unwrap_or_default();
        let (name, port) = host.split_once(':').unwrap_or((host, "80"));
        let evil = name
            .strip_prefix("z.evil")
            .and_then(|rest| rest.strip_suffix(".test"))
            .and_then(|n| n.parse::<u32>().ok());
        let next = match (name, evil) {
            ("own.shop.test", _) => Some("z.evil1.test".to_owned()),
            ("direct.shop.test", _) | (_, Some(8)) => Some("dead.evil0.test".to_owned()),
            (_, Some(n)) => Some(format!("z.evil{}.test", n + 1)),
            (_, None) => None,
        };
        let answer = match next {
            Some(next) => format!(
                "HTTP/1.1 302 Found\r\nLocation: \
                http://{next}:{port}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            ),
            None => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
        };
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await
}

async fn one_after_another(net: &Net, endpoints: &[Arc<Endpoint>]) -> Vec<ProbeReport> {
    tokio::task::LocalSet::new()
        .run_until(async {
            let mut reports = Vec::new();
            for endpoint in endpoints {
                reports.push(run(net, endpoint).await);
            }
            reports
        })
        .await
}

/// The zones of the target answer until its chain has come to its end.
async fn of_a_target_that_fails_at_the_end() -> SocketAddr {
    let is_over = AtomicBool::new(false);
    deciding(move |name| {
        if name.starts_with("own.") || name.starts_with("direct.") {
            is_over.store(false, Ordering::SeqCst);
        }
        if name.starts_with("dead.") {
            is_over.store(true, Ordering::SeqCst);
        }
        let is_honest = name == "." || name.starts_with("good.");
        if is_over.load(Ordering::SeqCst) && !is_honest {
            ResponseCode::ServFail
        } else {
            ResponseCode::NoError
        }
    })
    .await
}

#[tokio::test]
async fn a_chain_of_redirects_takes_no_zone_of_the_config_out_of_the_control_questions() {
    let (port, resolver) = (leading().await, of_a_target_that_fails_at_the_end().await);
    let at = |host: &str| {
        endpoint(&format!(
            "timeout = \"1500ms\"\nresolver = \"{resolver}\"\nprobe.http \
                = \"http://{host}:{port}/\""
        ))
    };
    let reports = one_after_another(
        &Net::default(),
        &[
            at("good.other.test"),
            at("own.shop.test"),
            at("direct.shop.test"),
        ],
    )
    .await;
    assert_up(&reports[0]);
    assert_eq!(
        (cause(&reports[1]), cause(&reports[2])),
        (Cause::DnsServfail, Cause::DnsServfail)
    );
}

#[tokio::test]
async fn a_target_that_is_alone_is_not_asked_about_itself() {
    let (port, resolver) = (leading().await, of_a_target_that_fails_at_the_end().await);
    let at = |host: &str| {
        endpoint(&format!(
            "timeout = \"1500ms\"\nresolver = \"{resolver}\"\nprobe.http \
                = \"http://{host}:{port}/\""
        ))
    };
    let reports = one_after_another(
        &Net::default(),
        &[at("own.shop.test"), at("direct.shop.test")],
    )
    .await;
    assert_eq!(
        (cause(&reports[0]), cause(&reports[1])),
        (Cause::DnsServfail, Cause::DnsServfail)
    );
}

#[tokio::test]
async fn a_resolver_that_lost_its_way_out_is_ours_also_where_all_names_are_under_one_public_suffix()
{
    let port = tcp(|stream| async move { drop(stream) }).await;
    for (first, second) in [
        ("www.shop-a.co.uk", "www.shop-b.co.uk"),
        ("shop-a.com.au", "shop-b.com.au"),
        ("a.github.io", "b.github.io"),
    ] {
        let is_lost = Arc::new(AtomicBool::new(false));
        let lost = is_lost.clone();
        // Its cache still has the root.
        let code = move |name: &str| {
            if name != "." && lost.load(Ordering::SeqCst) {
                ResponseCode::ServFail
            } else {
                ResponseCode::NoError
            }
        };
        let resolver = deciding(code).await;
        let at = |host: &str| {
            endpoint(&format!(
                "timeout = \"1500ms\"\nresolver = \"{resolver}\"\nprobe.tcp = \"{host}:{port}\""
            ))
        };
        let (net, both) = (Net::default(), [at(first), at(second)]);
        one_after_another(&net, &both)
            .await
            .iter()
            .for_each(assert_up);
        is_lost.store(true, Ordering::SeqCst);
        let reasons: Vec<Reason> = one_after_another(&net, &both)
            .await
            .iter()
            .map(reason)
            .collect();
        assert_eq!(reasons, [Reason::Resolver, Reason::Resolver], "{first}");
    }
}

#[tokio::test]
async fn a_silent_name_server_costs_a_probe_few_sockets() {
    let port = tcp(|stream| async move { drop(stream) }).await;
    let others = deciding(|_| ResponseCode::NoError).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let silent = socket.local_addr().expect("bound");
    let counting = tokio::spawn(async move {
        let (mut peers, mut questions, mut buffer) = (HashSet::new(), 0, [0; 1500]);
        loop {
            let (_, from) = socket.recv_from(&mut buffer).await.expect("received");
            questions += 1;
            peers.insert(from);
            if buffer[12] == 3 && buffer[13..16] == *b"end" {
                return (peers.len(), questions);
            }
        }
    });
    let net = Net::default();
    let known: Vec<Arc<Endpoint>> = (0..7)
        .map(|n| {
            endpoint(&format!(
                "resolver = \"{others}\"\nprobe.tcp = \"www.zone{n}.test:{port}\""
            ))
        })
        .collect();
    one_after_another(&net, &known)
        .await
        .iter()
        .for_each(assert_up);
    let slow = endpoint(&format!(
        "timeout = \"4s\"\nresolver = \"{silent}\"\nprobe.tcp = \"shop.example:{port}\""
    ));
    assert_eq!(
        reason(&one_after_another(&net, &[slow]).await[0]),
        Reason::Resolver
    );
    let last = endpoint(&format!(
        "timeout = \"100ms\"\nresolver = \"{silent}\"\nprobe.dns.server \
            = \"{silent}\"\nprobe.dns.query = \"end.example\""
    ));
    one_after_another(&net, &[last]).await;
    let (sockets, questions) = counting.await.expect("counted");
    assert!(
        sockets <= 4,
        "one for each family, one for control questions, and the last: {sockets}"
    );
    assert!(questions >= 12, "each question is asked again: {questions}");
}
