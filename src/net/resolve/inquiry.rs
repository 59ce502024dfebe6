//! One question about a name to the servers that may answer it, and the control question that tells
//! silence about the name from silence about everything.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use super::side_by_side::{Open, first_of};
use crate::config::plan::probe::Transport;
use crate::net::control_names::ControlNames;
use crate::net::dns_exchange::{Exchange, any_answer, ask};
use crate::net::dns_message::{self, Answered};
use crate::net::probe_error::ProbeError;
use crate::words::{Cause, Reason};

/// How long one server may take before the next is asked, too.
const NEXT_AFTER: Duration = Duration::from_millis(1000);
const ANSWER_LIMIT: usize = 64;
/// Records of an answer that are read: reading them takes well below a millisecond, whatever they
/// are.
const READ_LIMIT: u16 = 100;
/// What is left to end in before the probe's own timeout ends it.
pub const MARGIN: Duration = Duration::from_millis(5);

/// What is asked about one name, of both families.
pub struct Inquiry<'q> {
    pub servers: &'q [SocketAddr],
    pub name: &'q Name,
    pub led_from: Option<&'q str>,
    /// Names that the control question may be about.
    pub resolved: &'q RefCell<ControlNames>,
    /// Asked once for both.
    pub control_answered: OnceCell<bool>,
}

/// What one question brought.
pub enum Answer {
    Addresses(Vec<IpAddr>),
    Nothing,
    /// Records, none of which leads from the name to an address.
    NoneOfName,
    Nxdomain,
    Failed(Cause, String),
    /// Nobody answered in time, although a control question was answered.
    Silent(String),
    /// Nobody answered anything, or could be asked.
    Ours(ProbeError),
}

/// One question to one server: what came, and whether another server may know better.
enum ServerReply {
    Final(Answer),
    /// A server that cannot say (SERVFAIL, REFUSED, NOTIMP, nonsense): the next one is asked.
    Failed(Cause, String),
    /// Its port is closed, or this host could not ask it.
    Unasked(String, Option<ProbeError>),
}

/// What came of one question to the servers, before any of them answered it.
#[derive(Default)]
struct ServerReplies {
    asked: usize,
    ended: usize,
    /// A server that could not say.
    failed: Option<(Cause, String)>,
    /// Why servers could not be asked.
    unasked: Vec<String>,
    /// The first reason of this host's own among those.
    refusal: Option<ProbeError>,
}

impl ServerReplies {
    /// Counts what came from one server; the first answer ends the question.
    fn take(&mut self, reply: ServerReply) -> Option<Answer> {
        self.ended += 1;
        match reply {
            ServerReply::Final(answer) => return Some(answer),
            ServerReply::Failed(cause, detail) => self.failed = Some((cause, detail)),
            ServerReply::Unasked(detail, err) => {
                if !self.unasked.contains(&detail) {
                    self.unasked.push(detail);
                }
                self.refusal = self.refusal.take().or(err);
            }
        }
        None
    }

    /// Whether asking all servers once more is of no use. Closed ports and networks that are away
    /// do not come back within a probe; they are asked twice, in case of a restart.
    fn is_over(&self, servers: usize) -> bool {
        self.failed.is_some() || self.asked >= 2 * servers
    }

    /// What it means that no server answered, by what became of the control question.
    fn without_answer(self, control: ControlQuestion, silence: String) -> Answer {
        if let Some((cause, detail)) = self.failed {
            // A server that has lost its own way out refuses everything: that is this host's
            // resolver, not the endpoint's name.
            return match control {
                ControlQuestion::Answered => Answer::Failed(cause, detail),
                ControlQuestion::Unanswered => Answer::Ours(ProbeError::unmeasured(
                    Reason::Resolver,
                    format!("{detail}; it answers no control question either"),
                )),
            };
        }
        let why = self.unasked.join("; ");
        match (control, self.unasked.is_empty()) {
            (ControlQuestion::Answered, true) => Answer::Silent(silence),
            (ControlQuestion::Answered, false) => Answer::Silent(format!("{silence}; {why}")),
            // No server could be asked at all: that is what to say, not how long it took.
            (ControlQuestion::Unanswered, false) if self.ended == self.asked => {
                let reason = match self.refusal {
                    Some(ProbeError::Unmeasured(reason, _)) => reason,
                    Some(ProbeError::Down(..)) | None => Reason::Resolver,
                };
                Answer::Ours(ProbeError::unmeasured(reason, why))
            }
            (ControlQuestion::Unanswered, _) => Answer::Ours(ProbeError::unmeasured(
                Reason::Resolver,
                format!("{silence}; also silent to a control question"),
            )),
        }
    }
}

/// What became of the control question.
#[derive(Clone, Copy)]
enum ControlQuestion {
    Answered,
    Unanswered,
}

impl Inquiry<'_> {
    /// One question to the servers in turn. Earlier questions stay open while the next server is
    /// asked, and the first answer counts: a server that takes longer than a second is slow, not
    /// silent. At most one is open for each server, which is sent again meanwhile: a silent one
    /// costs one socket.
    pub async fn ask(&self, kind: RecordType, deadline: Instant) -> Answer {
        let Self { servers, name, .. } = *self;
        let started = Instant::now();
        let until = deadline - MARGIN;
        let next_after = NEXT_AFTER.min((deadline - started) / 3);
        let again_after = next_after * servers.len() as u32;
        let control = self
            .control_answered
            .get_or_init(|| self.control_answers(until, next_after));
        tokio::pin!(control);
        let mut control_answered = None;
        let mut open: Open<'_, ServerReply> = Vec::new();
        let mut replies = ServerReplies::default();
        let mut is_slow = false;
        let mut next_at = started;
        while Instant::now() < until {
            if Instant::now() >= next_at {
                is_slow |= replies.asked > 0;
                if open.len() < servers.len() {
                    let server = servers[replies.asked % servers.len()];
                    open.push(Box::pin(one_question(server, name, kind, again_after)));
                    replies.asked += 1;
                }
                next_at = Instant::now() + next_after;
            }
            let (at, reply) = tokio::select! {
                reply = first_of(&mut open), if !open.is_empty() => reply,
                // As soon as the first question should have been answered, the control question is
                // asked at the same time.
                answered = &mut control, if control_answered.is_none() && is_slow => {
                    control_answered = Some(*answered);
                    continue;
                }
                () = tokio::time::sleep_until(next_at.min(until)) => continue,
            };
            drop(open.swap_remove(at));
            if let Some(answer) = replies.take(reply) {
                return answer;
            }
            // Whoever cannot say is not waited for: the next is asked at once, as long as there is
            // one that was not.
            if replies.asked < servers.len() {
                next_at = Instant::now();
            }
            if replies.ended >= servers.len() && open.is_empty() {
                if replies.is_over(servers.len()) {
                    break;
                }
                next_at = next_at.max(Instant::now() + next_after.min(Duration::from_millis(100)));
            }
        }
        let is_answered = match control_answered {
            Some(answered) => answered,
            None => timeout_at(until, control)
                .await
                .is_ok_and(|answered| *answered),
        };
        let control = if is_answered {
            ControlQuestion::Answered
        } else {
            ControlQuestion::Unanswered
        };
        let silence = format!(
            "no answer about {name} {kind} from {} within {} ms",
            self.server_list(),
            started.elapsed().as_millis()
        );
        replies.without_answer(control, silence)
    }

    fn server_list(&self) -> String {
        let servers: Vec<String> = self.servers.iter().map(ToString::to_string).collect();
        servers.join(", ")
    }

    /// True when any server answers, and not with a failure, a question that it should be able to
    /// answer: about names that resolved lately, never of the zone that is silent, else about the
    /// root. Several zones are asked about, as two may be silent at once.
    async fn control_answers(&self, until: Instant, next_after: Duration) -> bool {
        let known = self.resolved.borrow().beside(self.name, self.led_from);
        let (names, kind) = if known.is_empty() {
            (vec![Name::root()], RecordType::NS)
        } else {
            (known, RecordType::A)
        };
        let queries: Vec<Vec<u8>> = names
            .iter()
            .filter_map(|name| query(name, kind).ok())
            .collect();
        let again_after = next_after * self.servers.len() as u32;
        let mut open: Open<'_, bool> = Vec::new();
        let mut waiting = self.servers.iter();
        loop {
            match waiting.next() {
                Some(server) => open.push(Box::pin(any_answer(
                    *server,
                    &queries,
                    again_after,
                    is_final,
                ))),
                None if open.is_empty() => return false,
                None => {}
            }
            let next_at = if waiting.len() > 0 {
                until.min(Instant::now() + next_after)
            } else {
                until
            };
            match timeout_at(next_at, first_of(&mut open)).await {
                Ok((_, true)) => return true,
                Ok((at, false)) => drop(open.swap_remove(at)),
                Err(_) if waiting.len() == 0 => return false,
                Err(_) => {}
            }
        }
    }
}

fn query(name: &Name, kind: RecordType) -> Result<Vec<u8>, String> {
    let mut query = Message::query();
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(name.clone(), kind));
    query
        .to_vec()
        .map_err(|error| format!("{name} cannot be asked about: {error}"))
}

/// Whether a server says something, other than that it cannot say.
fn is_final(reply: &[u8]) -> bool {
    let rcode = dns_message::read_some(reply, READ_LIMIT)
        .map(|answered| ResponseCode::from(0, answered.rcode));
    matches!(rcode, Ok(ResponseCode::NoError | ResponseCode::NXDomain))
}

async fn one_question(
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
    again_after: Duration,
) -> ServerReply {
    let invalid = |why: &str| {
        ServerReply::Failed(
            Cause::DnsInvalid,
            format!("{server} sent no valid answer about {name}: {why}"),
        )
    };
    let query = match query(name, kind) {
        Ok(query) => query,
        Err(why) => return ServerReply::Unasked(why, None),
    };
    let reply = match ask(server, &query, Transport::Udp, Some(again_after), None).await {
        Exchange::Answer(reply) => reply,
        Exchange::Invalid(why) => return invalid(&why),
        Exchange::Refused => {
            return ServerReply::Unasked(
                format!("the name server {server} could not be asked: its port is closed"),
                None,
            );
        }
        Exchange::Local(err) => {
            let (ProbeError::Down(_, why) | ProbeError::Unmeasured(_, why)) = &err;
            return ServerReply::Unasked(
                format!("the name server {server} could not be asked: {why}"),
                Some(err),
            );
        }
    };
    let answered = match dns_message::read_some(&reply, READ_LIMIT) {
        Ok(answered) => answered,
        Err(why) => return invalid(why),
    };
    match ResponseCode::from(0, answered.rcode) {
        ResponseCode::NoError => {
            let list = addresses_in(&answered, dns_message::asked(&query), kind);
            ServerReply::Final(match (list.is_empty(), answered.records.is_empty()) {
                (false, _) => Answer::Addresses(list),
                (true, true) => Answer::Nothing,
                (true, false) => Answer::NoneOfName,
            })
        }
        ResponseCode::NXDomain => ServerReply::Final(Answer::Nxdomain),
        ResponseCode::Refused => ServerReply::Failed(
            Cause::DnsRefused,
            format!("{server} refuses to answer about {name}"),
        ),
        ResponseCode::ServFail => ServerReply::Failed(
            Cause::DnsServfail,
            format!("{server} cannot resolve {name} (SERVFAIL)"),
        ),
        other => ServerReply::Failed(
            Cause::DnsInvalid,
            format!("{server} answered {other} about {name}"),
        ),
    }
}

/// The addresses that the name or its aliases lead to. What an answer says of other names is no
/// answer, as for glibc.
fn addresses_in(answered: &Answered<'_>, name: &[u8], kind: RecordType) -> Vec<IpAddr> {
    let led = answered.led(name, kind.into());
    let addresses = led.records.iter().filter_map(|record| {
        let data = answered.bytes.get(record.from..record.to)?;
        match kind {
            RecordType::A => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
            RecordType::AAAA => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
            _ => None,
        }
    });
    addresses.take(ANSWER_LIMIT).collect()
}
