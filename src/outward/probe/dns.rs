//! The dns kind: one question to one name server, and rules for its answer.

use std::net::SocketAddr;

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::time::Instant;

use super::super::dial;
use super::super::dns_exchange::{Exchange, exchange, over_tcp};
use super::super::halt::Halt;
use super::super::net::Net;
use super::super::trace::{Stage, Trace};
use super::expect::{Verdicts, shown};
use crate::config::plan::Dial;
use crate::config::plan_probe::{Dns, HostPort, Recursion, Transport};
use crate::words::{Cause, Reason};

/// Answers that are kept as facts and looked at.
const ANSWER_LIMIT: usize = 500;

pub async fn probe(net: &Net, trace: &Trace, dial: &Dial, server: &HostPort, spec: &Dns, deadline: Instant) -> Result<(), Halt> {
    let addresses = dial::resolve(net, trace, dial, &server.host, deadline).await?;
    let to = addresses
        .first()
        .map(|ip| SocketAddr::new(*ip, server.port))
        .ok_or_else(|| Halt::down(Cause::DnsNoAddress, format!("{} has no address", server.host)))?;
    trace.facts.borrow_mut().address = Some(to.ip());
    let query = question(spec)?;
    trace.enter(Stage::Reply(Cause::DnsTimeout));
    let answer = match spec.transport {
        Transport::Udp => exchange(to, &query, Some(trace)).await,
        Transport::Tcp => over_tcp(to, &query, Some(trace)).await,
    };
    let reply = match answer {
        Exchange::Answer(reply) => reply,
        Exchange::Invalid(why) => return Err(Halt::down(Cause::DnsInvalid, format!("no valid answer: {why}"))),
        Exchange::Refused => return Err(Halt::down(Cause::ConnectRefused, "nobody listens on the name server's port")),
        Exchange::Local(halt) => return Err(halt),
    };
    super::within(trace, spec.expect.within)?;
    judge(trace, spec, &reply.message)
}

/// The question of a spec.
pub fn question(spec: &Dns) -> Result<Message, Halt> {
    let unbuildable = |e: String| Halt::unmeasured(Reason::Internal, format!("the question cannot be built: {e}"));
    let mut name = Name::from_ascii(&spec.query).map_err(|e| unbuildable(e.to_string()))?;
    name.set_fqdn(true);
    let kind: RecordType = spec.record.parse().map_err(|_| unbuildable(format!("record type {}", spec.record)))?;
    let mut query = Message::query();
    query.metadata.recursion_desired = spec.recursion == Recursion::Desired;
    query.add_query(Query::query(name, kind));
    Ok(query)
}

/// Holds an answer against what is expected of it.
pub fn judge(trace: &Trace, spec: &Dns, message: &Message) -> Result<(), Halt> {
    let rcode = rcode_word(message);
    let answers: Vec<String> = message.answers.iter().take(ANSWER_LIMIT).map(|r| r.data.to_string()).collect();
    let expect = &spec.expect;
    let mut verdicts = Verdicts::default();
    let rcodes: Vec<&str> = if expect.rcodes.is_empty() { vec!["NOERROR"] } else { expect.rcodes.iter().map(String::as_str).collect() };
    verdicts.add(Cause::DnsRcode, format!("rcode {}", rcodes.join(" or ")), rcode.clone(), rcodes.contains(&rcode.as_str()));
    if let Some(wanted) = expect.authoritative {
        let found = message.metadata.authoritative;
        verdicts.add(Cause::DnsMismatch, format!("authoritative {wanted}"), found.to_string(), found == wanted);
    }
    let found = || shown(answers.join(", ").as_bytes());
    if expect.at_least > 0 {
        verdicts.add(Cause::DnsMismatch, format!("at least {} answers", expect.at_least), answers.len().to_string(), answers.len() as u64 >= expect.at_least);
    }
    for p in &expect.any {
        verdicts.add(Cause::DnsMismatch, format!("some answer matches /{}/", p.text), found(), answers.iter().any(|a| p.regex.is_match(a.as_bytes())));
    }
    for p in &expect.all {
        verdicts.add(
            Cause::DnsMismatch,
            format!("every answer matches /{}/", p.text),
            found(),
            !answers.is_empty() && answers.iter().all(|a| p.regex.is_match(a.as_bytes())),
        );
    }
    for p in &expect.none {
        verdicts.add(Cause::DnsMismatch, format!("no answer matches /{}/", p.text), found(), !answers.iter().any(|a| p.regex.is_match(a.as_bytes())));
    }
    let mut facts = trace.facts.borrow_mut();
    facts.dns_rcode = Some(rcode);
    facts.dns_answers = answers;
    facts.findings.append(&mut verdicts.findings);
    match verdicts.first_unmet {
        Some(halt) => Err(halt),
        None => Ok(()),
    }
}

/// The mnemonic of RFC 6895, or the number.
fn rcode_word(message: &Message) -> String {
    use hickory_proto::op::ResponseCode as R;
    match message.metadata.response_code {
        R::NoError => "NOERROR",
        R::FormErr => "FORMERR",
        R::ServFail => "SERVFAIL",
        R::NXDomain => "NXDOMAIN",
        R::NotImp => "NOTIMP",
        R::Refused => "REFUSED",
        R::YXDomain => "YXDOMAIN",
        R::YXRRSet => "YXRRSET",
        R::NXRRSet => "NXRRSET",
        R::NotAuth => "NOTAUTH",
        R::NotZone => "NOTZONE",
        other => return format!("RCODE{}", u16::from(other)),
    }
    .to_owned()
}
