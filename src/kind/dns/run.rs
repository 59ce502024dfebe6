//! The dns kind: one question to one name server, and rules for its answer.
//!
//! What is expected is held against records of the asked type that the name, or the chain of its
//! aliases, leads to: a TXT beside them, another name's record, or an alias that leads nowhere
//! meets nothing.

use std::net::SocketAddr;

use tokio::time::Instant;

use super::DnsTarget;
use super::spec::{Dns, DnsExpect};
use crate::config::dns_question::type_word;
use crate::config::plan::Dial;
use crate::config::plan::probe::Pattern;
use crate::kind::run::cost::{self, apart};
use crate::kind::run::expect::CheckedExpectations;
use crate::kind::run::search::{self, End};
use crate::kind::run::work::{Awaited, Work};
use crate::net::dial;
use crate::net::dns_exchange::{Exchange, ask};
use crate::net::dns_message::{self, Answered, Record};
use crate::net::dns_text::notation::name_text;
use crate::net::dns_text::{self, presented, ungrouped};
use crate::net::probe_error::ProbeError;
use crate::net::shared::Net;
use crate::net::trace::{Stage, Trace};
use crate::words::Cause;

/// Records that are kept as facts and looked at.
const ANSWER_LIMIT: usize = 500;
/// Characters of all records together. A message of 64 KB has more only where its names or bitmaps
/// were made for that.
const TEXT_LIMIT: usize = 1 << 20;
/// A question or a record: its name is read, held against the aliases, and two names of its data
/// are written out.
const ENTRY_NS: u64 = 25_000;
/// Characters of a found value.
const SHOWN: usize = 240;

pub async fn probe(
    net: &Net,
    trace: &Trace,
    dial: &Dial,
    target: &DnsTarget,
    deadline: Instant,
) -> Result<(), ProbeError> {
    // Few probes are of this kind: the future of all others stays small.
    Box::pin(asked(net, trace, dial, target, deadline)).await
}

async fn asked(
    net: &Net,
    trace: &Trace,
    dial: &Dial,
    DnsTarget { server, spec }: &DnsTarget,
    deadline: Instant,
) -> Result<(), ProbeError> {
    let addresses = dial::resolve(
        net,
        trace,
        dial,
        (&*server.host).into(),
        server.port,
        deadline,
    )
    .await?;
    let mut query = dns_message::question(&spec.name, spec.record, spec.recursion);
    query[..2].copy_from_slice(&fastrand::u16(..).to_be_bytes());
    trace.enter(Stage::Reply(Cause::DnsTimeout));
    let reply = if let [address] = addresses.as_slice() {
        trace.facts.borrow_mut().address = Some(address.ip());
        answer(trace, *address, &query, spec)
            .await
            .map_err(|err| dial::of_name(trace, address.ip(), err))?
    } else {
        let answered = |tried: dial::Tried<Vec<u8>>| {
            trace.facts.borrow_mut().address = Some(tried.address);
            tried.result
        };
        Box::pin(dial::race(
            trace,
            &addresses,
            |to| dial::timed(to, answer(trace, to, &query, spec)),
            answered,
        ))
        .await?
    };
    trace.enter(Stage::Idle);
    crate::kind::run::expect::within(trace, spec.expect.within)?;
    let seen = if cost::is_small(cost_of_reading(spec.record, &reply)) {
        Some(DnsAnswer::read(spec, &reply)?)
    } else {
        None
    };
    let awaited = Awaited::default();
    let work = awaited.usual();
    let seen = match seen {
        Some(seen) if cost::is_small(seen.cost(&spec.expect)) => {
            let verdicts = seen.held_against(&spec.expect, &work);
            return noted(trace, seen, verdicts);
        }
        seen => seen,
    };
    trace.is_answered.set(true);
    trace.enter(Stage::Judging);
    let thread = net.judging_threads.one_for(trace.whose.get()).await;
    let spec = spec.clone();
    let judged = apart(&thread, trace, move || {
        let seen = seen.map_or_else(|| DnsAnswer::read(&spec, &reply), Ok)?;
        let verdicts = seen.held_against(&spec.expect, &work);
        Ok((seen, verdicts))
    })
    .await;
    trace.enter(Stage::Idle);
    let (seen, verdicts) = judged??;
    noted(trace, seen, verdicts)
}

/// What it may take at most to read an answer and to write out its records, in nanoseconds, known
/// before either.
fn cost_of_reading(kind: u16, reply: &[u8]) -> u64 {
    ENTRY_NS * dns_message::most_entries(reply) as u64
        + dns_text::ns_per_byte(kind) * reply.len() as u64
}

/// What one address of the server answers.
async fn answer(
    trace: &Trace,
    server: SocketAddr,
    query: &[u8],
    spec: &Dns,
) -> Result<Vec<u8>, ProbeError> {
    match ask(server, query, spec.transport, None, Some(trace)).await {
        Exchange::Answer(reply) => Ok(reply),
        Exchange::Invalid(why) => Err(invalid(&why)),
        Exchange::Refused => Err(ProbeError::down(
            Cause::ConnectRefused,
            "the port of the name server is closed",
        )),
        Exchange::Local(err) => Err(err),
    }
}

fn invalid(why: &str) -> ProbeError {
    ProbeError::down(Cause::DnsInvalid, format!("no valid answer: {why}"))
}

/// The data of one record as dig shows it, and once more without the blanks inside hexadecimal and
/// base64: a pattern may be written for either.
struct RecordText {
    text: String,
    ungrouped: Option<String>,
}

impl RecordText {
    fn new(answered: &Answered<'_>, record: &Record) -> Self {
        let text = presented(answered.bytes, record.kind, record.from, record.to);
        Self {
            ungrouped: ungrouped(answered.bytes, record.kind, record.from, record.to, &text),
            text,
        }
    }

    /// Where no time is left, it does not: [`DnsAnswer::held_against`] says so.
    fn matches(&self, pattern: &Pattern, work: &Work) -> bool {
        let holds = |text: &str| is_in(pattern, text, work);
        holds(&self.text) || self.ungrouped.as_deref().is_some_and(holds)
    }
}

fn is_in(pattern: &Pattern, text: &str, work: &Work) -> bool {
    search::is_in(pattern, text.as_bytes(), End::Whole, work).unwrap_or_default()
}

/// Holds an answer against what is expected of it.
pub fn judge(trace: &Trace, spec: &Dns, answered: &Answered<'_>) -> Result<(), ProbeError> {
    let seen = DnsAnswer::new(spec, answered)?;
    let awaited = Awaited::default();
    let work = awaited.usual();
    let verdicts = seen.held_against(&spec.expect, &work);
    noted(trace, seen, verdicts)
}

/// What is looked at of an answer.
struct DnsAnswer {
    rcode: u8,
    is_authoritative: bool,
    answers: Vec<RecordText>,
    /// The aliases that lead there.
    chain: String,
    /// The same for a person.
    found: String,
}

impl DnsAnswer {
    fn read(spec: &Dns, reply: &[u8]) -> Result<Self, ProbeError> {
        Self::new(spec, &dns_message::read(reply).map_err(invalid)?)
    }

    fn new(spec: &Dns, answered: &Answered<'_>) -> Result<Self, ProbeError> {
        if answered.is_truncated {
            return Err(invalid("it was cut short, also over TCP"));
        }
        let led = answered.led(&spec.name, spec.record);
        let (mut answers, mut length) = (Vec::new(), 0);
        for record in &led.records {
            let shown = RecordText::new(answered, record);
            length += shown.text.len();
            if length > TEXT_LIMIT {
                return Err(invalid("its records are longer than 1 MiB of text"));
            }
            answers.push(shown);
        }
        let chain = names(&led.aliases);
        let found = found(spec, answered, &answers, &chain);
        Ok(Self {
            rcode: answered.rcode,
            is_authoritative: answered.is_authoritative,
            answers,
            chain,
            found,
        })
    }

    /// What its patterns may take.
    fn cost(&self, expect: &DnsExpect) -> u64 {
        let bytes = self
            .answers
            .iter()
            .map(|a| a.text.len() + a.ungrouped.as_ref().map_or(0, String::len))
            .sum();
        let of_records = expect
            .any
            .iter()
            .chain(&expect.all)
            .chain(&expect.none)
            .map(|p| cost::pattern(p, bytes));
        cost::sum(
            of_records.chain(
                expect
                    .chain
                    .iter()
                    .map(|p| cost::pattern(p, self.chain.len())),
            ),
        )
    }

    fn held_against(&self, expect: &DnsExpect, work: &Work) -> CheckedExpectations {
        let mut verdicts = CheckedExpectations::default();
        let rcode = rcode_word(self.rcode);
        let rcodes: Vec<&str> = if expect.rcodes.is_empty() {
            vec!["NOERROR"]
        } else {
            expect.rcodes.iter().map(String::as_str).collect()
        };
        verdicts.add(
            Cause::DnsRcode,
            format!("rcode {}", rcodes.join(" or ")),
            rcode.clone(),
            rcodes.contains(&rcode.as_str()),
        );
        if let Some(wanted) = expect.authoritative {
            let found = self.is_authoritative;
            verdicts.add(
                Cause::DnsMismatch,
                format!("authoritative {wanted}"),
                found.to_string(),
                found == wanted,
            );
        }
        for p in &expect.chain {
            let found = if self.chain.is_empty() {
                "no alias".to_owned()
            } else {
                cut(&self.chain)
            };
            verdicts.add(
                Cause::DnsMismatch,
                format!("the chain of aliases matches /{}/", p.text),
                found,
                is_in(p, &self.chain, work),
            );
        }
        // NODATA, an answer without a record of the type, is no success unless it is asked for.
        let least = expect.at_least.unwrap_or(u64::from(self.rcode == 0));
        let answers = (&*self.answers, &*self.found);
        records(expect, least, answers, work, &mut verdicts);
        if work.ended().is_some() {
            verdicts.first_unmet = None;
            verdicts.spent("an answer that can be checked".to_owned(), work);
        }
        verdicts
    }
}

fn noted(
    trace: &Trace,
    seen: DnsAnswer,
    mut verdicts: CheckedExpectations,
) -> Result<(), ProbeError> {
    let mut facts = trace.facts.borrow_mut();
    facts.dns_rcode = Some(rcode_word(seen.rcode));
    let shown = seen.answers.into_iter().take(ANSWER_LIMIT);
    facts.dns_answers = shown.map(|a| a.text).collect();
    facts.findings.append(&mut verdicts.findings);
    match verdicts.first_unmet {
        Some(err) => Err(err),
        None => Ok(()),
    }
}

fn records(
    expect: &DnsExpect,
    least: u64,
    (answers, found): (&[RecordText], &str),
    work: &Work,
    verdicts: &mut CheckedExpectations,
) {
    let mut add = |expectation: String, met: bool| {
        verdicts.add(Cause::DnsMismatch, expectation, found.to_owned(), met)
    };
    if least > 0 {
        add(
            format!(
                "at least {least} {}",
                if least == 1 { "record" } else { "records" }
            ),
            answers.len() as u64 >= least,
        );
    }
    for p in &expect.any {
        add(
            format!("some record matches /{}/", p.text),
            answers.iter().any(|a| a.matches(p, work)),
        );
    }
    for p in &expect.all {
        let may_be_none = expect.at_least == Some(0);
        add(
            format!("every record matches /{}/", p.text),
            (may_be_none || !answers.is_empty()) && answers.iter().all(|a| a.matches(p, work)),
        );
    }
    for p in &expect.none {
        add(
            format!("no record matches /{}/", p.text),
            !answers.iter().any(|a| a.matches(p, work)),
        );
    }
}

/// The records of the asked type, or what there is in their place.
fn found(spec: &Dns, answered: &Answered<'_>, answers: &[RecordText], chain: &str) -> String {
    if !answers.is_empty() {
        return cut(&answers
            .iter()
            .take(SHOWN)
            .map(|a| a.text.as_str())
            .collect::<Vec<_>>()
            .join(", "));
    }
    let mut text = format!("no {} record", type_word(spec.record));
    if !chain.is_empty() {
        text.push_str(&format!(" at the end of the aliases {}", cut(chain)));
    }
    let other = answered.records.len();
    if other > 0 && chain.is_empty() {
        text.push_str(&format!(
            " of the name, but {other} of other types, names or classes"
        ));
    }
    text
}

/// Names in presentation form, with a blank between them.
fn names(wire: &[Vec<u8>]) -> String {
    let mut text = String::new();
    for name in wire {
        if !text.is_empty() {
            text.push(' ');
        }
        name_text(&mut text, name);
    }
    text
}

/// Presentation forms are printable ASCII; only their length needs a bound.
fn cut(text: &str) -> String {
    if text.len() > SHOWN {
        format!("{}…", text.get(..SHOWN).unwrap_or_default())
    } else {
        text.to_owned()
    }
}

/// The mnemonic of RFC 6895, or the number.
fn rcode_word(rcode: u8) -> String {
    const WORDS: [&str; 11] = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
        "NXRRSET", "NOTAUTH", "NOTZONE",
    ];
    WORDS
        .get(usize::from(rcode))
        .map_or_else(|| format!("RCODE{rcode}"), |word| (*word).to_owned())
}
