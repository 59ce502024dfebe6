//! The stub resolver: hosts file, then DNS over UDP (TCP when truncated) to the configured servers.
//!
//! It is our own for two reasons: every way in which a name service fails has its own cause, and
//! silence is held against the endpoint only when the same servers answer a control question asked
//! meanwhile. There is no cache: a probe measures what a new client would meet.

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use super::control_names::ControlNames;
pub use super::control_names::Sought;
use super::dns_exchange::{Exchange, any_answer, ask};
use super::dns_message::{self, Answered};
use super::halt::Halt;
pub use super::resolver_files::Paths;
use super::resolver_files::{Files, System};
use crate::config::plan::probe::Transport;
use crate::config::plan::{Addresses, ResolverChoice as Choice};
use crate::words::{Cause, Reason};

/// How long one server may take before the next is asked, too.
const NEXT_AFTER: Duration = Duration::from_millis(1000);
/// How long the other family may take once one has addresses.
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
const ANSWER_LIMIT: usize = 64;
/// Records of an answer that are read: reading them takes well below a millisecond, whatever they
/// are.
const READ_LIMIT: u16 = 100;
/// What is left to end in before the probe's own timeout ends it.
const MARGIN: Duration = Duration::from_millis(5);

/// Shared by all probes of one thread.
pub struct Resolver {
    system: System,
    /// Names that are asked about when a server is silent about another.
    resolved: RefCell<ControlNames>,
}

/// Futures that run side by side.
type Open<'f, T> = Vec<Pin<Box<dyn Future<Output = T> + 'f>>>;

/// What is asked about one name, of both families.
struct Inquiry<'q> {
    servers: &'q [SocketAddr],
    name: &'q Name,
    led_from: Option<&'q str>,
    /// Asked once for both.
    control_answered: OnceCell<bool>,
}

/// What one question brought.
enum Answer {
    Addresses(Vec<IpAddr>),
    Nothing,
    /// Records, none of which leads from the name to an address.
    NoneOfName,
    Nxdomain,
    Failed(Cause, String),
    /// Nobody answered in time, although a control question was answered.
    Silent(String),
    /// Nobody answered anything, or could be asked.
    Ours(Halt),
}

/// Why a name has no addresses.
struct Without {
    halt: Halt,
    /// Whether glibc leaves out the rest of the search list, the name as it is included.
    ends_search: bool,
}

/// One question to one server: what came, and whether another server may know better.
enum Heard {
    Final(Answer),
    /// A server that cannot say (SERVFAIL, REFUSED, NOTIMP, nonsense): the next one is asked.
    Failed(Cause, String),
    /// Its port is closed, or this host could not ask it.
    Unasked(String, Option<Halt>),
}

impl Resolver {
    pub fn new(paths: Paths) -> Self {
        Self {
            system: System::new(paths),
            resolved: RefCell::default(),
        }
    }

    /// Has what the system's files say now, or said lately. Time that this takes is the prober's
    /// own.
    pub async fn refresh(&self, choice: &Choice, deadline: Instant) -> Result<(), Halt> {
        if let Choice::Server(_) = choice {
            return Ok(());
        }
        let refreshed = self.system.refresh(deadline - MARGIN).await;
        refreshed.map_err(|why| {
            Halt::unmeasured(
                Reason::Resolver,
                format!("the resolver's files cannot be read: {why}"),
            )
        })
    }

    /// The addresses of a host, in the order in which they are to be tried, after
    /// [`Resolver::refresh`]. Ends before `deadline`.
    ///
    /// The search list is walked as glibc does (res_search): on after a name that does not exist,
    /// has no address or cannot be resolved (SERVFAIL); after any other failure, silence included,
    /// only the name as it is is left. Records that lead to no address end the list. A name that is
    /// slow stays open while the next is asked; the first that has addresses counts.
    pub async fn addresses(
        &self,
        sought: Sought<'_>,
        choice: &Choice,
        wanted: Addresses,
        deadline: Instant,
    ) -> Result<Vec<IpAddr>, Halt> {
        let Sought { host, led_from } = sought;
        let (servers, names) = match self.prepare(host, choice)? {
            Prepared::Known(addresses) => return chosen(addresses, wanted, host),
            Prepared::Ask(servers, names) => (servers, names),
        };
        let patience = (deadline - Instant::now()) / 2;
        let mut waiting: VecDeque<&Name> = names.iter().collect();
        let mut open: Open<'_, Result<Vec<IpAddr>, Without>> = Vec::new();
        let (mut order, mut failures): (Vec<&Name>, Vec<(bool, Halt)>) = (Vec::new(), Vec::new());
        loop {
            if let Some(name) = waiting.pop_front() {
                open.push(Box::pin(self.both_families(
                    &servers,
                    (name, led_from),
                    wanted,
                    deadline,
                )));
                order.push(name);
            }
            if open.is_empty() {
                break;
            }
            let next_at = if waiting.is_empty() {
                deadline
            } else {
                (Instant::now() + patience).min(deadline)
            };
            let Ok((at, result)) = timeout_at(next_at, first_of(&mut open)).await else {
                if waiting.is_empty() {
                    break;
                }
                waiting.retain(|name| is_as_asked(name, host));
                continue;
            };
            drop(open.swap_remove(at));
            let name = order.swap_remove(at);
            match result {
                Ok(addresses) => {
                    if led_from.is_none() {
                        self.resolved.borrow_mut().remember(name);
                    }
                    return chosen(addresses, wanted, host);
                }
                Err(Without { halt, ends_search }) => {
                    if ends_search {
                        waiting.clear();
                    } else if !matches!(
                        halt,
                        Halt::Down(
                            Cause::DnsNxdomain | Cause::DnsNoAddress | Cause::DnsServfail,
                            _
                        )
                    ) && !is_as_asked(name, host)
                    {
                        waiting.retain(|name| is_as_asked(name, host));
                    }
                    failures.push((is_as_asked(&names[0], host) && *name == names[0], halt));
                }
            }
        }
        Err(worst(failures)
            .unwrap_or_else(|| Halt::down(Cause::DnsNxdomain, format!("{host} does not exist"))))
    }

    fn prepare(&self, host: &str, choice: &Choice) -> Result<Prepared, Halt> {
        let lower = host.trim_end_matches('.').to_ascii_lowercase();
        let name = Name::from_ascii(host).map_err(|e| {
            Halt::unmeasured(Reason::Internal, format!("invalid domain name {host}: {e}"))
        })?;
        if let Choice::Server(server) = choice {
            return Ok(Prepared::Ask(vec![*server], vec![absolute(name)]));
        }
        let prepared = self
            .system
            .with(|files| by_files(files, host, &lower, &name));
        prepared.ok_or_else(|| {
            Halt::unmeasured(Reason::Resolver, "the resolver's files were not read yet")
        })
    }

    async fn both_families(
        &self,
        servers: &[SocketAddr],
        (name, led_from): (&Name, Option<&str>),
        wanted: Addresses,
        deadline: Instant,
    ) -> Result<Vec<IpAddr>, Without> {
        let inquiry = Inquiry {
            servers,
            name,
            led_from,
            control_answered: OnceCell::new(),
        };
        let ask = |kind| Box::pin(self.ask(&inquiry, kind, deadline));
        let v4 = async {
            if wanted == Addresses::Ipv6 {
                Answer::Nothing
            } else {
                ask(RecordType::A).await
            }
        };
        let v6 = async {
            if wanted == Addresses::Ipv4 {
                Answer::Nothing
            } else {
                ask(RecordType::AAAA).await
            }
        };
        let (v4, v6) = both_or_patience(v4, v6).await;
        let mut addresses = Vec::new();
        let mut worst: Option<Halt> = None;
        let mut ends_search = false;
        for answer in [v6, v4] {
            match answer {
                Answer::Addresses(list) => addresses.extend(list),
                Answer::Nothing => {}
                Answer::NoneOfName => ends_search = true,
                Answer::Nxdomain => {
                    worst = worst.or_else(|| {
                        Some(Halt::down(
                            Cause::DnsNxdomain,
                            format!("{name} does not exist"),
                        ))
                    })
                }
                Answer::Failed(cause, detail) => worst = Some(Halt::down(cause, detail)),
                Answer::Silent(detail) => worst = Some(Halt::down(Cause::DnsTimeout, detail)),
                Answer::Ours(halt) => worst = Some(halt),
            }
        }
        if !addresses.is_empty() {
            return Ok(addresses);
        }
        let halt = worst.unwrap_or_else(|| {
            Halt::down(
                Cause::DnsNoAddress,
                format!("{name} exists but has no address"),
            )
        });
        Err(Without { halt, ends_search })
    }

    /// One question to the servers in turn. Earlier questions stay open while the next server is
    /// asked, and the first answer counts: a server that takes longer than a second is slow, not
    /// silent. At most one is open for each server, which is sent again meanwhile: a silent one
    /// costs one socket.
    async fn ask(&self, inquiry: &Inquiry<'_>, kind: RecordType, deadline: Instant) -> Answer {
        let Inquiry { servers, name, .. } = *inquiry;
        let started = Instant::now();
        let until = deadline - MARGIN;
        let next_after = NEXT_AFTER.min((deadline - started) / 3);
        let again_after = next_after * servers.len() as u32;
        let control = inquiry
            .control_answered
            .get_or_init(|| self.control_answers(inquiry, until, next_after));
        tokio::pin!(control);
        let mut control_answered = None;
        let mut open: Open<'_, Heard> = Vec::new();
        let mut failed: Option<(Cause, String)> = None;
        let (mut unasked, mut refusal) = (Vec::new(), None);
        let (mut asked, mut ended, mut is_slow) = (0, 0, false);
        let mut next_at = started;
        while Instant::now() < until {
            if Instant::now() >= next_at {
                is_slow |= asked > 0;
                if open.len() < servers.len() {
                    open.push(Box::pin(one_question(
                        servers[asked % servers.len()],
                        name,
                        kind,
                        again_after,
                    )));
                    asked += 1;
                }
                next_at = Instant::now() + next_after;
            }
            let heard = tokio::select! {
                heard = first_of(&mut open), if !open.is_empty() => heard,
                // As soon as the first question should have been answered, the control question is
                // asked at the same time.
                answered = &mut control, if control_answered.is_none() && is_slow => { control_answered = Some(*answered); continue; }
                () = tokio::time::sleep_until(next_at.min(until)) => continue,
            };
            drop(open.swap_remove(heard.0));
            ended += 1;
            match heard.1 {
                Heard::Final(answer) => return answer,
                Heard::Failed(cause, detail) => failed = Some((cause, detail)),
                Heard::Unasked(detail, halt) => {
                    if !unasked.contains(&detail) {
                        unasked.push(detail);
                    }
                    refusal = refusal.or(halt);
                }
            }
            // Whoever cannot say is not waited for: the next is asked at once, as long as there is
            // one that was not.
            if asked < servers.len() {
                next_at = Instant::now();
            }
            if ended >= servers.len() && open.is_empty() {
                if failed.is_some() {
                    break;
                }
                // Closed ports and networks that are away do not come back within a probe; once
                // more, in case of a restart.
                if asked >= 2 * servers.len() {
                    break;
                }
                next_at = next_at.max(Instant::now() + next_after.min(Duration::from_millis(100)));
            }
        }
        if control_answered.is_none() {
            control_answered = Some(
                timeout_at(until, control)
                    .await
                    .is_ok_and(|answered| *answered),
            );
        }
        if let Some((cause, detail)) = failed {
            // A server that has lost its own way out refuses everything: that is this host's
            // resolver, not the endpoint's name.
            return match control_answered {
                Some(true) => Answer::Failed(cause, detail),
                Some(false) | None => Answer::Ours(Halt::unmeasured(
                    Reason::Resolver,
                    format!("{detail}; it answers no control question either"),
                )),
            };
        }
        let list = servers
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        let silence = format!(
            "no answer about {name} {kind} from {list} within {} ms",
            started.elapsed().as_millis()
        );
        match (control_answered, unasked.is_empty()) {
            (Some(true), true) => Answer::Silent(silence),
            (Some(true), false) => Answer::Silent(format!("{silence}; {}", unasked.join("; "))),
            // No server could be asked at all: that is what to say, not how long it took.
            (_, false) if ended == asked => Answer::Ours(match refusal {
                Some(Halt::Unmeasured(reason, _)) => Halt::unmeasured(reason, unasked.join("; ")),
                Some(Halt::Down(..)) | None => {
                    Halt::unmeasured(Reason::Resolver, unasked.join("; "))
                }
            }),
            _ => Answer::Ours(Halt::unmeasured(
                Reason::Resolver,
                format!("{silence}; also silent to a control question"),
            )),
        }
    }

    /// True when any server answers, and not with a failure, a question that it should be able to
    /// answer: about names that resolved lately, never of the zone that is silent, else about the
    /// root. Several zones are asked about, as two may be silent at once.
    async fn control_answers(
        &self,
        inquiry: &Inquiry<'_>,
        until: Instant,
        next_after: Duration,
    ) -> bool {
        let known = self
            .resolved
            .borrow()
            .beside(inquiry.name, inquiry.led_from);
        let (names, kind) = if known.is_empty() {
            (vec![Name::root()], RecordType::NS)
        } else {
            (known, RecordType::A)
        };
        let queries: Vec<Vec<u8>> = names
            .iter()
            .filter_map(|name| query(name, kind).ok())
            .collect();
        let again_after = next_after * inquiry.servers.len() as u32;
        let mut open: Open<'_, bool> = Vec::new();
        let mut waiting = inquiry.servers.iter();
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

/// Unspecified, multicast or limited broadcast: no host has such an address.
fn is_of_no_host(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    address.is_unspecified() || address.is_multicast() || is_broadcast
}

/// Whether a name is the host itself, not what a search list made of it.
fn is_as_asked(name: &Name, host: &str) -> bool {
    name.to_ascii()
        .trim_end_matches('.')
        .eq_ignore_ascii_case(host.trim_end_matches('.'))
}

/// Which of the failures of a search list is told: our own before all, as it leaves open whether
/// the name exists; then that of the name as it was asked for first, then a name without addresses,
/// then a server that failed, then that there is no such name.
fn worst(failures: Vec<(bool, Halt)>) -> Option<Halt> {
    let rank = |(is_first, halt): &(bool, Halt)| match halt {
        Halt::Unmeasured(..) => 0,
        Halt::Down(..) if *is_first => 1,
        Halt::Down(Cause::DnsNoAddress, _) => 2,
        Halt::Down(Cause::DnsNxdomain, _) => 4,
        Halt::Down(..) => 3,
    };
    failures.into_iter().min_by_key(rank).map(|(_, halt)| halt)
}

/// The first of several futures that is ready, and its place.
async fn first_of<T>(open: &mut [Pin<Box<dyn Future<Output = T> + '_>>]) -> (usize, T) {
    std::future::poll_fn(|cx| {
        for (at, future) in open.iter_mut().enumerate() {
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready((at, value));
            }
        }
        Poll::Pending
    })
    .await
}

/// What the system's files say of a name: its addresses, or whom to ask about which names.
fn by_files(files: &Files, host: &str, lower: &str, name: &Name) -> Prepared {
    if let Some(addresses) = files.hosts.get(lower) {
        return Prepared::Known(addresses.clone());
    }
    if lower == "localhost" || lower.ends_with(".localhost") {
        return Prepared::Known(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let mut names = Vec::new();
    let is_absolute = host.ends_with('.');
    let searched = files
        .search
        .iter()
        .filter(|_| !is_absolute)
        .filter_map(|s| name.clone().append_domain(s).ok())
        .map(absolute);
    if lower.matches('.').count() >= files.ndots || is_absolute {
        names.push(absolute(name.clone()));
        names.extend(searched);
    } else {
        names.extend(searched);
        names.push(absolute(name.clone()));
    }
    // A search list with the root in it asks for the name as it is, too.
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Prepared::Ask(files.servers.clone(), names)
}

enum Prepared {
    Known(Vec<IpAddr>),
    Ask(Vec<SocketAddr>, Vec<Name>),
}

/// Both answers; once one family has addresses, the other gets a little longer only (RFC 8305
/// section 3).
async fn both_or_patience(
    v4: impl Future<Output = Answer>,
    v6: impl Future<Output = Answer>,
) -> (Answer, Answer) {
    tokio::pin!(v4);
    tokio::pin!(v6);
    let late = || Answer::Nothing;
    tokio::select! {
        first = &mut v4 => match first {
            Answer::Addresses(_) => (first, tokio::time::timeout(RESOLUTION_DELAY, v6).await.unwrap_or_else(|_| late())),
            other => (other, v6.await),
        },
        first = &mut v6 => match first {
            Answer::Addresses(_) => (tokio::time::timeout(RESOLUTION_DELAY, v4).await.unwrap_or_else(|_| late()), first),
            other => (v4.await, other),
        },
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
) -> Heard {
    let invalid = |why: &str| {
        Heard::Failed(
            Cause::DnsInvalid,
            format!("{server} sent no valid answer about {name}: {why}"),
        )
    };
    let query = match query(name, kind) {
        Ok(query) => query,
        Err(why) => return Heard::Unasked(why, None),
    };
    let reply = match ask(server, &query, Transport::Udp, Some(again_after), None).await {
        Exchange::Answer(reply) => reply,
        Exchange::Invalid(why) => return invalid(&why),
        Exchange::Refused => {
            return Heard::Unasked(
                format!("the name server {server} could not be asked: its port is closed"),
                None,
            );
        }
        Exchange::Local(halt) => {
            let (Halt::Down(_, why) | Halt::Unmeasured(_, why)) = &halt;
            return Heard::Unasked(
                format!("the name server {server} could not be asked: {why}"),
                Some(halt),
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
            Heard::Final(match (list.is_empty(), answered.records.is_empty()) {
                (false, _) => Answer::Addresses(list),
                (true, true) => Answer::Nothing,
                (true, false) => Answer::NoneOfName,
            })
        }
        ResponseCode::NXDomain => Heard::Final(Answer::Nxdomain),
        ResponseCode::Refused => Heard::Failed(
            Cause::DnsRefused,
            format!("{server} refuses to answer about {name}"),
        ),
        ResponseCode::ServFail => Heard::Failed(
            Cause::DnsServfail,
            format!("{server} cannot resolve {name} (SERVFAIL)"),
        ),
        other => Heard::Failed(
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

fn absolute(mut name: Name) -> Name {
    name.set_fqdn(true);
    name
}

/// The addresses of the wanted family. Both families are ordered as RFC 6724 does for a host with
/// both kinds of address: IPv6 before IPv4 where this host has a way to it, interleaved as in RFC
/// 8305.
fn chosen(addresses: Vec<IpAddr>, wanted: Addresses, host: &str) -> Result<Vec<IpAddr>, Halt> {
    let fits = |a: &IpAddr| match wanted {
        Addresses::Any | Addresses::First => true,
        Addresses::Ipv4 => a.is_ipv4(),
        Addresses::Ipv6 => a.is_ipv6(),
    };
    // What filters answer for names that they block; the kernel would lead it to this host. And
    // what leads to no host at all: that this host cannot connect there is no fault of its own.
    let (of_hosts, others): (Vec<IpAddr>, Vec<IpAddr>) = addresses
        .into_iter()
        .partition(|a| !is_of_no_host(a.to_canonical()));
    if let (true, Some(other)) = (of_hosts.is_empty(), others.first()) {
        let why = match other.to_canonical().is_unspecified() {
            true => "the answer is 0.0.0.0 or ::, which is not the address of a host: a filter in \
                the name server or a line in /etc/hosts blocks this name"
                .to_owned(),
            false => format!(
                "the answer is {other}, which is a broadcast or multicast address \
                and not the address of a host"
            ),
        };
        return Err(Halt::down(
            Cause::DnsNoAddress,
            format!("{host} has no address: {why}"),
        ));
    }
    let addresses = of_hosts;
    let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = addresses
        .into_iter()
        .filter(fits)
        .partition(IpAddr::is_ipv6);
    let (first, second) = if v6.first().is_some_and(has_route) || v4.is_empty() {
        (v6, v4)
    } else {
        (v4, v6)
    };
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::new();
    loop {
        match (first.next(), second.next()) {
            (None, None) => break,
            (a, b) => ordered.extend(a.into_iter().chain(b)),
        }
    }
    if wanted == Addresses::First {
        ordered.truncate(1);
    }
    if ordered.is_empty() {
        return Err(Halt::down(
            Cause::DnsNoAddress,
            format!("{host} has no address of the wanted family"),
        ));
    }
    Ok(ordered)
}

/// Whether this host has a source address for it: connecting a datagram socket sends nothing.
fn has_route(address: &IpAddr) -> bool {
    let any: SocketAddr = if address.is_ipv6() {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    };
    std::net::UdpSocket::bind(any)
        .and_then(|s| s.connect((*address, 53)))
        .is_ok()
}
