//! The udp kind: one datagram is sent, and the first that comes back decides.
//!
//! Nothing is sent again: a datagram that is lost fails one probe, and re-probes confirm or do not.
//! Each probe has a socket of its own, connected to the peer, so that neither an answer to an
//! earlier probe nor one from another address is taken for this one's.

use std::io;
use std::net::SocketAddr;

use tokio::time::{Instant, timeout_at};

use super::UdpTarget;
use super::spec::{Octets, Udp, UdpExpect};
use crate::config::plan::Dial;
use crate::kind::run::cost::{self, apart};
use crate::kind::run::expect::{CheckedExpectations, shown, within};
use crate::kind::run::search::{self, End, Spent};
use crate::kind::run::work::{Awaited, Work};
use crate::net::datagram::{Datagram, DatagramSocket};
use crate::net::probe_error::{ProbeError, connect_error, error_of_this_host};
use crate::net::shared::Net;
use crate::net::trace::{Stage, Trace};
use crate::net::{dial, peer};
use crate::words::{Cause, Finding, people};

/// Bytes of the largest datagram that there is: its length is a number of 16 bits.
const LARGEST: usize = 65_535;
const SENDING: &str = "sending a datagram";
const ANSWER: &str = "an answer";
/// Bytes that are shown of those that are no text.
const SHOWN: usize = 120;

pub async fn probe(
    net: &Net,
    trace: &Trace,
    dial: &Dial,
    target: &UdpTarget,
    deadline: Instant,
) -> Result<(), ProbeError> {
    // Few probes are of this kind: the future of all others stays small.
    Box::pin(asked(net, trace, dial, target, deadline)).await
}

async fn asked(
    net: &Net,
    trace: &Trace,
    dial: &Dial,
    UdpTarget { address, spec }: &UdpTarget,
    deadline: Instant,
) -> Result<(), ProbeError> {
    let sought = (&*address.host).into();
    let sought = (sought, address.port);
    let addresses = dial::resolve_for_source(net, trace, dial, sought, deadline).await?;
    // Bounded here, too, so that what was waited for is told.
    let until = trace.moved(deadline);
    let answer = match timeout_at(until, answer(trace, dial, &addresses, spec)).await {
        Ok(answer) => answer?,
        Err(_) => return Err(silence(trace, spec)),
    };
    trace.arrived(answer.arrived_ns);
    trace.enter(Stage::Idle);
    let verdicts = judged((net, trace), spec, answer.bytes).await?;
    trace.facts.borrow_mut().findings.extend(verdicts.findings);
    match verdicts.first_unmet {
        Some(err) => Err(err),
        None => within(trace, spec.expect.within),
    }
}

/// The first datagram that one of the addresses answers.
async fn answer(
    trace: &Trace,
    dial: &Dial,
    addresses: &[SocketAddr],
    spec: &Udp,
) -> Result<Datagram, ProbeError> {
    if let [address] = addresses {
        trace.facts.borrow_mut().address = Some(address.ip());
        let answer = exchange(trace, dial, *address, spec).await;
        return answer.map_err(|err| dial::of_name(trace, address.ip(), err));
    }
    trace.enter(Stage::Reply(Cause::ExpectTimeout));
    let answered = |tried: dial::Tried<Datagram>| {
        trace.facts.borrow_mut().address = Some(tried.address);
        tried.result
    };
    Box::pin(dial::race(
        trace,
        addresses,
        |to| dial::timed(to, exchange(trace, dial, to, spec)),
        answered,
    ))
    .await
}

async fn exchange(
    trace: &Trace,
    dial: &Dial,
    to: SocketAddr,
    spec: &Udp,
) -> Result<Datagram, ProbeError> {
    let socket = DatagramSocket::connected(to, dial.source, SENDING)?;
    // What its socket costs before that is our own.
    if trace.stage() == Stage::Idle {
        trace.enter(Stage::Reply(Cause::ExpectTimeout));
    }
    socket.send(&spec.datagram()).await.map_err(|error| {
        error_of_this_host(&error, SENDING, to).unwrap_or_else(|| arrived(&error))
    })?;
    socket.receive(LARGEST).await.map_err(|e| arrived(&e))
}

/// The network brought it: an ICMP message about the datagram.
fn arrived(error: &io::Error) -> ProbeError {
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => ProbeError::down(
            Cause::ConnectRefused,
            "the port is closed: the host answered with ICMP port unreachable",
        ),
        _ => connect_error(error),
    }
}

/// No answer came in time.
fn silence(trace: &Trace, spec: &Udp) -> ProbeError {
    let hint = if spec.send.is_empty() {
        "; the datagram that was sent is empty, and most servers do not answer one: set \
            probe.udp.send"
    } else {
        ""
    };
    let found = "nothing until the timeout";
    trace.facts.borrow_mut().findings.push(Finding {
        expectation: ANSWER.to_owned(),
        found: found.to_owned(),
        met: false,
    });
    ProbeError::down(
        Cause::ExpectTimeout,
        format!("expected {ANSWER}, received {found}{hint}"),
    )
}

/// Holds the answer against what is expected; apart from the probing thread where that takes long.
async fn judged(
    (net, trace): (&Net, &Trace),
    spec: &Udp,
    answer: Vec<u8>,
) -> Result<CheckedExpectations, ProbeError> {
    let awaited = Awaited::default();
    let work = awaited.usual();
    if cost::is_small(cost_of(&spec.expect, answer.len())) {
        return Ok(held_against(&spec.expect, &answer, &work));
    }
    trace.is_answered.set(true);
    trace.enter(Stage::Judging);
    let thread = net.judging_threads.one_for(trace.whose.get()).await;
    let expect = spec.expect.clone();
    let judged = apart(&thread, trace, move || {
        held_against(&expect, &answer, &work)
    })
    .await;
    trace.enter(Stage::Idle);
    judged
}

fn cost_of(expect: &UdpExpect, bytes: usize) -> u64 {
    let texts = expect.contains.iter();
    let texts = texts.map(|text| cost::text(text.as_bytes(), bytes));
    let patterns = expect.matches.iter().map(|p| cost::pattern(p, bytes));
    cost::sum(texts.chain(patterns))
}

/// Where its time is spent, what is left is not looked at: the verdict says so.
fn held_against(expect: &UdpExpect, answer: &[u8], work: &Work) -> CheckedExpectations {
    let mut verdicts = CheckedExpectations::default();
    let mut add = |expectation: String, met: bool| {
        verdicts.add(Cause::ExpectMismatch, expectation, found(answer, met), met);
    };
    if expect.takes_any() {
        add(ANSWER.to_owned(), true);
    }
    if let Some(Octets(bytes)) = &expect.equals {
        add(
            format!("an answer that equals {}", shown_bytes(bytes)),
            bytes == answer,
        );
    }
    for text in &expect.contains {
        let is_there = memchr::memmem::find(answer, text.as_bytes()).is_some();
        add(
            format!("an answer that contains \"{}\"", text.escape_debug()),
            is_there,
        );
    }
    for pattern in &expect.matches {
        let expectation = format!("an answer that matches /{}/", pattern.text);
        match search::is_in(pattern, answer, End::Whole, work) {
            Ok(met) => {
                let found = found(answer, met);
                verdicts.add(Cause::ExpectMismatch, expectation, found, met);
            }
            Err(Spent) => {
                verdicts.spent(expectation, work);
                break;
            }
        }
    }
    verdicts
}

/// What came, for a person. Where it was not expected, the protocol says more than the bytes.
fn found(answer: &[u8], met: bool) -> String {
    let protocol = peer::named(answer)
        .filter(|_| !met)
        .map(|name| format!("; the peer speaks {name}"))
        .unwrap_or_default();
    let length = people::count(answer.len() as u64, "byte");
    format!("{length}: {}{protocol}", shown_bytes(answer))
}

/// A text as it is shown of any kind; other bytes with those that are not ASCII as `\xff`, cut.
fn shown_bytes(bytes: &[u8]) -> String {
    if std::str::from_utf8(bytes).is_ok() {
        return shown(bytes);
    }
    let begin = bytes.get(..SHOWN).unwrap_or(bytes);
    let rest = if begin.len() < bytes.len() { "…" } else { "" };
    format!("\"{}{rest}\"", begin.escape_ascii())
}
