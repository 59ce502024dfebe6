//! Answers of name servers that are expensive to read or to write out: none of them holds the
//! probing thread.

use std::net::SocketAddr;
use std::sync::Arc;

use hickory_proto::op::{Message, ResponseCode};
use probity::words::Cause;

use super::dns::{Answer, ask, reply, server};
use super::hold::{HOLD_LIMIT, longest_hold};
use super::serve::*;

/// Where a record's data is when it is the first record, and its owner is the name of the question.
const FIRST_DATA: u16 = 12 + 14 + 4 + 12;
const OF_QUESTION: [u8; 2] = [0xc0, 12];

fn record(owner: [u8; 2], kind: u16, data: &[u8]) -> Vec<u8> {
    [
        &owner[..],
        &kind.to_be_bytes(),
        &[0, 1, 0, 0, 0, 60],
        &(data.len() as u16).to_be_bytes(),
        data,
    ]
    .concat()
}

fn pointer(at: u16) -> [u8; 2] {
    (0xc000 | at).to_be_bytes()
}

/// 255 bytes, each of which is written with four characters.
fn long_name() -> Vec<u8> {
    let label = |length: u8| [&[length][..], &vec![1; usize::from(length)]].concat();
    [label(63), label(63), label(63), label(61), vec![0]].concat()
}

/// 127 labels.
fn deep_name() -> Vec<u8> {
    [[1, b'a'].repeat(127), vec![0]].concat()
}

/// Pointers that each lead to the one before.
fn pointers(count: u16) -> Vec<u8> {
    [
        vec![0, 0],
        (0..count)
            .flat_map(|n| pointer(FIRST_DATA + 2 * n))
            .collect(),
    ]
    .concat()
}

/// A name server that gives this answer over TCP, and a truncated one over UDP.
async fn giving(questions: u16, records: Vec<Vec<u8>>) -> SocketAddr {
    let cut: Answer = Arc::new(|q: &Message| {
        let mut bytes = reply(q, ResponseCode::NoError, Vec::new()).to_vec().ok()?;
        bytes[2] |= 2;
        Some(bytes)
    });
    let whole: Answer = Arc::new(move |q: &Message| {
        let mut bytes = reply(q, ResponseCode::NoError, Vec::new()).to_vec().ok()?;
        if q.queries[0].name().is_root() {
            return Some(bytes);
        }
        let more = [&OF_QUESTION[..], &[0, 1, 0, 1]].concat();
        bytes.extend(more.repeat(usize::from(questions) - 1));
        bytes[4..6].copy_from_slice(&questions.to_be_bytes());
        bytes[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        bytes.extend(records.concat());
        Some(bytes)
    });
    server(cut, whole).await
}

fn first_and(first: Vec<u8>, count: usize, more: Vec<u8>) -> Vec<Vec<u8>> {
    [vec![first], vec![more; count]].concat()
}

/// As many records of one deep name as there is room for.
fn of_another_name() -> Vec<Vec<u8>> {
    first_and(
        record(OF_QUESTION, 16, &deep_name()),
        4000,
        record(pointer(FIRST_DATA), 1, &[127, 0, 0, 1]),
    )
}

/// As many records as there is room for, whose owner is found at the end of thousands of pointers.
fn behind_pointers() -> Vec<Vec<u8>> {
    first_and(
        record(OF_QUESTION, 16, &pointers(8000)),
        3000,
        record(pointer(FIRST_DATA + 16_000), 1, &[127, 0, 0, 1]),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expensive_answer_to_a_dns_probe_holds_the_thread_for_no_more_than_5_ms() {
    let numbers = [0; 20];
    let soa = |names: &[u8]| record(OF_QUESTION, 6, &[names, &numbers].concat());
    let twice = [pointer(FIRST_DATA), pointer(FIRST_DATA)].concat();
    let all_types: Vec<u8> = (0..=255_u8)
        .flat_map(|window| [vec![window, 32], vec![255; 32]].concat())
        .collect();
    let nsec = record(OF_QUESTION, 47, &[vec![0], all_types].concat());
    let hip = [
        vec![0, 2, 0, 0],
        long_name(),
        pointer(FIRST_DATA + 4).repeat(32_000),
    ]
    .concat();
    let many = |count: usize| {
        vec![
            record(
                OF_QUESTION,
                55,
                &[&[0, 2, 0, 0][..], &pointer(FIRST_DATA + 4).repeat(50)].concat()
            );
            count
        ]
    };
    let hips = [
        vec![record(
            OF_QUESTION,
            55,
            &[vec![0, 2, 0, 0], long_name()].concat(),
        )],
        many(400),
    ]
    .concat();
    for (what, kind, questions, records, wanted) in [
        (
            "names",
            "SOA",
            1,
            first_and(
                soa(&[long_name(), pointer(FIRST_DATA).to_vec()].concat()),
                499,
                soa(&twice),
            ),
            None,
        ),
        ("bitmaps", "NSEC", 1, vec![nsec.clone(); 7], None),
        ("bitmaps of any type", "ANY", 1, vec![nsec; 7], None),
        (
            "a record of names",
            "HIP",
            1,
            vec![record(OF_QUESTION, 55, &hip)],
            None,
        ),
        ("records of names", "HIP", 1, hips, Some(Cause::DnsInvalid)),
        (
            "text",
            "TXT",
            1,
            vec![record(OF_QUESTION, 16, &[&[250][..], &[1; 250]].concat()); 230],
            None,
        ),
        (
            "owners",
            "A",
            1,
            of_another_name(),
            Some(Cause::DnsMismatch),
        ),
        (
            "pointers",
            "A",
            1,
            behind_pointers(),
            Some(Cause::DnsInvalid),
        ),
        (
            "questions",
            "A",
            10_000,
            vec![record(OF_QUESTION, 1, &[127, 0, 0, 1])],
            None,
        ),
    ] {
        let to = giving(questions, records).await;
        let lines = ask(
            to,
            &format!("probe.dns.transport = \"tcp\"\nprobe.dns.type = \"{kind}\""),
        )
        .replace("800ms", "20s");
        let held = longest_hold(&lines).await;
        assert!(held < HOLD_LIMIT, "{what}: {held:?}");
        let report = probe(&lines).await;
        match wanted {
            None => assert_up(&report),
            Some(wanted) => assert_eq!(cause(&report), wanted, "{what}: {report:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expensive_answer_of_the_resolver_holds_the_thread_for_no_more_than_5_ms() {
    for (what, questions, records, wanted) in [
        ("owners", 1, of_another_name(), Cause::DnsNoAddress),
        ("pointers", 1, behind_pointers(), Cause::DnsInvalid),
        (
            "questions",
            10_000,
            vec![record(OF_QUESTION, 1, &[127, 0, 0, 1])],
            Cause::DnsInvalid,
        ),
    ] {
        // The control question about the root has a short answer.
        let to = giving(questions, records).await;
        let lines = format!(
            "timeout = \"20s\"\nresolver = \"{to}\"\nprobe.tcp.address = \"shop.example:1\""
        );
        let held = longest_hold(&lines).await;
        assert!(held < HOLD_LIMIT, "{what}: {held:?}");
        assert_eq!(cause(&probe(&lines).await), wanted, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_take_too_long_to_check_are_down() {
    // Letters in an order that repeats late: each is a new state of the pattern's automaton.
    let mut state = 7_u64;
    let mut letter = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        b'a' + (state >> 40 & 1) as u8
    };
    let mut text = || {
        let letters: Vec<u8> = (0..250).map(|_| letter()).collect();
        [&[250][..], &letters].concat()
    };
    let records = (0..230).map(|_| record(OF_QUESTION, 16, &text())).collect();
    let to = giving(1, records).await;
    let patterns: Vec<String> = (20..40).map(|n| format!("'[ab]*a[ab]{{{n}}}c'")).collect();
    let lines = ask(
        to,
        &format!(
            "probe.dns.transport = \"tcp\"\nprobe.dns.type = \"TXT\"\n\
                probe.dns.expect.none = [{}]",
            patterns.join(", ")
        ),
    )
    .replace("800ms", "9s");
    let report = probe(&lines).await;
    assert_eq!(cause(&report), Cause::JudgeLimit, "{report:?}");
}
