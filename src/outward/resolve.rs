//! The stub resolver: hosts file, then DNS over UDP (TCP when truncated) to the configured servers.
//!
//! It is our own for two reasons: every way in which a name service fails has its own cause, and silence is held against
//! the endpoint only when the same servers answer a control question asked meanwhile. There is no cache: a probe
//! measures what a new client would meet.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::time::{Instant, timeout_at};

use super::dns_exchange::{Exchange, exchange};
use super::halt::Halt;
use crate::config::plan::{Addresses, Resolver as Choice};
use crate::words::{Cause, Reason};

/// How long one server may take before the next is asked.
const TRY_FOR: Duration = Duration::from_millis(1000);
/// How often resolv.conf and hosts are looked at for changes.
const REREAD_AFTER: Duration = Duration::from_secs(5);
/// How long the other family may take once one has addresses.
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
const ANSWER_LIMIT: usize = 64;
const NAMES_REMEMBERED: usize = 4;

/// Shared by all probes of one thread.
pub struct Resolver {
    system: RefCell<System>,
    /// Names that resolved lately, the newest last, of which one is asked about when a server is silent about another.
    resolved: RefCell<VecDeque<Name>>,
}

struct System {
    read_at: Cell<Option<Instant>>,
    servers: Vec<SocketAddr>,
    search: Vec<Name>,
    ndots: usize,
    hosts: HashMap<String, Vec<IpAddr>>,
    paths: Paths,
}

/// Where the system's resolver files are; tests have their own.
#[derive(Debug, Clone)]
pub struct Paths {
    pub resolv_conf: std::path::PathBuf,
    pub hosts: std::path::PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self { resolv_conf: "/etc/resolv.conf".into(), hosts: "/etc/hosts".into() }
    }
}

/// What one question brought.
enum Answer {
    Addresses(Vec<IpAddr>),
    Nothing,
    Nxdomain,
    Failed(Cause, String),
    Silent(String),
}

impl Resolver {
    pub fn new(paths: Paths) -> Self {
        let system = System { read_at: Cell::new(None), servers: Vec::new(), search: Vec::new(), ndots: 1, hosts: HashMap::new(), paths };
        Self { system: RefCell::new(system), resolved: RefCell::default() }
    }

    /// The addresses of a host, in the order in which they are to be tried. Ends before `deadline`.
    pub async fn addresses(&self, host: &str, choice: &Choice, wanted: Addresses, deadline: Instant) -> Result<Vec<IpAddr>, Halt> {
        let (servers, names) = match self.prepare(host, choice)? {
            Prepared::Known(addresses) => return chosen(addresses, wanted, host),
            Prepared::Ask(servers, names) => (servers, names),
        };
        let mut last = Halt::down(Cause::DnsNxdomain, format!("{host} does not exist"));
        for name in names {
            match self.both_families(&servers, &name, wanted, deadline).await {
                Ok(addresses) => {
                    self.remember(name);
                    return chosen(addresses, wanted, host);
                }
                Err(halt @ Halt::Down(Cause::DnsNxdomain, _)) => last = halt,
                Err(halt) => return Err(halt),
            }
        }
        Err(last)
    }

    fn remember(&self, name: Name) {
        let mut resolved = self.resolved.borrow_mut();
        if resolved.back() != Some(&name) {
            resolved.retain(|known| zone(known) != zone(&name));
            resolved.push_back(name);
            if resolved.len() > NAMES_REMEMBERED {
                resolved.pop_front();
            }
        }
    }

    fn prepare(&self, host: &str, choice: &Choice) -> Result<Prepared, Halt> {
        let lower = host.trim_end_matches('.').to_ascii_lowercase();
        let name = Name::from_ascii(host).map_err(|e| Halt::unmeasured(Reason::Internal, format!("{host} is no domain name: {e}")))?;
        if let Choice::Server(server) = choice {
            return Ok(Prepared::Ask(vec![*server], vec![absolute(name)]));
        }
        let mut system = self.system.borrow_mut();
        system.refresh();
        if let Some(addresses) = system.hosts.get(&lower) {
            return Ok(Prepared::Known(addresses.clone()));
        }
        if lower == "localhost" || lower.ends_with(".localhost") {
            return Ok(Prepared::Known(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]));
        }
        let mut names = Vec::new();
        let searched: Vec<Name> =
            if host.ends_with('.') { Vec::new() } else { system.search.iter().filter_map(|s| name.clone().append_domain(s).ok()).collect() };
        let dots = lower.matches('.').count();
        if dots >= system.ndots || host.ends_with('.') {
            names.push(absolute(name));
            names.extend(searched);
        } else {
            names.extend(searched);
            names.push(absolute(name));
        }
        Ok(Prepared::Ask(system.servers.clone(), names))
    }

    async fn both_families(&self, servers: &[SocketAddr], name: &Name, wanted: Addresses, deadline: Instant) -> Result<Vec<IpAddr>, Halt> {
        let v4 = async { if wanted == Addresses::Ipv6 { Answer::Nothing } else { Box::pin(self.ask(servers, name, RecordType::A, deadline)).await } };
        let v6 = async { if wanted == Addresses::Ipv4 { Answer::Nothing } else { Box::pin(self.ask(servers, name, RecordType::AAAA, deadline)).await } };
        let (v4, v6) = both_or_patience(v4, v6).await;
        let mut addresses = Vec::new();
        let mut worst: Option<Halt> = None;
        for answer in [v6, v4] {
            match answer {
                Answer::Addresses(list) => addresses.extend(list),
                Answer::Nothing => {}
                Answer::Nxdomain => worst = worst.or_else(|| Some(Halt::down(Cause::DnsNxdomain, format!("{name} does not exist")))),
                Answer::Failed(cause, detail) => worst = Some(Halt::down(cause, detail)),
                Answer::Silent(detail) => worst = Some(self.blame(servers, detail).await),
            }
        }
        if !addresses.is_empty() {
            return Ok(addresses);
        }
        Err(worst.unwrap_or_else(|| Halt::down(Cause::DnsNoAddress, format!("{name} exists but has no address"))))
    }

    /// Whose fault a silence is: the control question was asked beside the last try and has been answered or not.
    async fn blame(&self, servers: &[SocketAddr], detail: String) -> Halt {
        match detail.strip_prefix(CONTROL_ANSWERED) {
            Some(rest) => Halt::down(Cause::DnsTimeout, rest.to_owned()),
            None => Halt::unmeasured(
                Reason::Resolver,
                format!("{detail}; {} also silent to a control question", servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
            ),
        }
    }

    /// One question to the servers in turn, until one answers or the time is over.
    async fn ask(&self, servers: &[SocketAddr], name: &Name, kind: RecordType, deadline: Instant) -> Answer {
        let mut failed: Option<Answer> = None;
        let mut silent = 0;
        let started = Instant::now();
        // The last part of the time belongs to the control question.
        let tries_until = started + (deadline - started).mul_f64(0.9);
        let try_for = TRY_FOR.min((deadline - started) / 3);
        let control = self.control_answers(servers, name, deadline - Duration::from_millis(5), try_for);
        tokio::pin!(control);
        let mut answered = None;
        let mut round = 0;
        while round < servers.len().max(1) * 3 && Instant::now() < tries_until {
            let Some(server) = servers.get(round % servers.len().max(1)) else { break };
            round += 1;
            let until = tries_until.min(Instant::now() + try_for);
            let question = timeout_at(until, Box::pin(one_question(*server, name, kind)));
            // From the second try on, the control question is asked at the same time.
            let result = if round == 1 {
                question.await
            } else {
                tokio::pin!(question);
                loop {
                    tokio::select! {
                        result = &mut question => break result,
                        heard = &mut control, if answered.is_none() => answered = Some(heard),
                    }
                }
            };
            match result {
                Ok(Ok(answer @ (Answer::Addresses(_) | Answer::Nothing | Answer::Nxdomain))) => return answer,
                Ok(Ok(answer)) => failed = Some(answer),
                Ok(Err(refused)) => {
                    silent += 1;
                    if refused && silent >= servers.len() && failed.is_none() && answered.is_none() && round > servers.len() {
                        break;
                    }
                }
                Err(_) => silent += 1,
            }
            if failed.is_some() && round >= servers.len() {
                break;
            }
        }
        if let Some(failed) = failed {
            return failed;
        }
        if answered.is_none() {
            answered = Some(timeout_at(deadline - Duration::from_millis(5), control).await.unwrap_or(false));
        }
        let detail = format!("no answer about {name} {kind} within {} ms", started.elapsed().as_millis());
        Answer::Silent(if answered == Some(true) { format!("{CONTROL_ANSWERED}{detail}") } else { detail })
    }

    /// True when any server answers a question that it should be able to answer: about a name that resolved lately, never of the
    /// zone that is silent, else about the root.
    async fn control_answers(&self, servers: &[SocketAddr], silent: &Name, until: Instant, try_for: Duration) -> bool {
        let known = self.resolved.borrow().iter().rev().find(|known| zone(known) != zone(silent)).cloned();
        let (name, kind) = known.map_or((Name::root(), RecordType::NS), |name| (name, RecordType::A));
        for _ in 0..2 {
            for server in servers {
                let bound = until.min(Instant::now() + try_for);
                if let Ok(Ok(_)) = timeout_at(bound, Box::pin(one_question(*server, &name, kind))).await {
                    return true;
                }
            }
        }
        false
    }
}

const CONTROL_ANSWERED: &str = "\u{1}";

enum Prepared {
    Known(Vec<IpAddr>),
    Ask(Vec<SocketAddr>, Vec<Name>),
}

/// Both answers; once one family has addresses, the other gets a little longer only (RFC 8305 section 3).
async fn both_or_patience(v4: impl Future<Output = Answer>, v6: impl Future<Output = Answer>) -> (Answer, Answer) {
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

/// `Err(true)`: the server's port is closed. `Err(false)`: nothing came that is an answer.
async fn one_question(server: SocketAddr, name: &Name, kind: RecordType) -> Result<Answer, bool> {
    let mut query = Message::query();
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(name.clone(), kind));
    let reply = match exchange(server, &query, None).await {
        Exchange::Answer(reply) => reply.message,
        Exchange::Invalid(why) => return Ok(Answer::Failed(Cause::DnsInvalid, format!("{server} sent no valid answer about {name}: {why}"))),
        Exchange::Refused => return Err(true),
        Exchange::Local(_) => return Err(false),
    };
    Ok(match reply.metadata.response_code {
        ResponseCode::NoError => {
            let list: Vec<IpAddr> = reply
                .answers
                .iter()
                .take(ANSWER_LIMIT)
                .filter_map(|r| match &r.data {
                    RData::A(a) => Some(IpAddr::V4(a.0)),
                    RData::AAAA(a) => Some(IpAddr::V6(a.0)),
                    _ => None,
                })
                .collect();
            if list.is_empty() { Answer::Nothing } else { Answer::Addresses(list) }
        }
        ResponseCode::NXDomain => Answer::Nxdomain,
        ResponseCode::Refused => Answer::Failed(Cause::DnsRefused, format!("{server} refuses to answer about {name}")),
        ResponseCode::ServFail => Answer::Failed(Cause::DnsServfail, format!("{server} cannot resolve {name} (SERVFAIL)")),
        other => Answer::Failed(Cause::DnsInvalid, format!("{server} answered {other} about {name}")),
    })
}

/// The last two labels: names that differ in them have other servers as a rule.
fn zone(name: &Name) -> Name {
    name.to_lowercase().trim_to(2)
}

fn absolute(mut name: Name) -> Name {
    name.set_fqdn(true);
    name
}

/// The addresses of the wanted family. Both families are ordered as RFC 6724 does for a host with both kinds of
/// address: IPv6 before IPv4 where this host has a way to it, interleaved as in RFC 8305.
fn chosen(addresses: Vec<IpAddr>, wanted: Addresses, host: &str) -> Result<Vec<IpAddr>, Halt> {
    let fits = |a: &IpAddr| match wanted {
        Addresses::Any | Addresses::First => true,
        Addresses::Ipv4 => a.is_ipv4(),
        Addresses::Ipv6 => a.is_ipv6(),
    };
    let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = addresses.into_iter().filter(fits).partition(IpAddr::is_ipv6);
    let (first, second) = if v6.first().is_some_and(has_route) || v4.is_empty() { (v6, v4) } else { (v4, v6) };
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
        return Err(Halt::down(Cause::DnsNoAddress, format!("{host} has no address of the wanted family")));
    }
    Ok(ordered)
}

/// Whether this host has a source address for it: connecting a datagram socket sends nothing.
fn has_route(address: &IpAddr) -> bool {
    let any: SocketAddr = if address.is_ipv6() { (Ipv6Addr::UNSPECIFIED, 0).into() } else { (Ipv4Addr::UNSPECIFIED, 0).into() };
    std::net::UdpSocket::bind(any).and_then(|s| s.connect((*address, 53))).is_ok()
}

impl System {
    fn refresh(&mut self) {
        if self.read_at.get().is_some_and(|at| at.elapsed() < REREAD_AFTER) {
            return;
        }
        self.read_at.set(Some(Instant::now()));
        let text = std::fs::read(&self.paths.resolv_conf).unwrap_or_default();
        let config = resolv_conf::Config::parse(text).unwrap_or_default();
        self.servers = config.nameservers.iter().map(|ip| SocketAddr::new(ip.into(), 53)).collect();
        if self.servers.is_empty() {
            self.servers = vec![(Ipv4Addr::LOCALHOST, 53).into()];
        }
        self.ndots = config.ndots as usize;
        self.search = config.get_last_search_or_domain().filter_map(|d| Name::from_ascii(d).ok()).map(absolute).collect();
        self.hosts.clear();
        for line in std::fs::read_to_string(&self.paths.hosts).unwrap_or_default().lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(address) = words.next().and_then(|w| w.parse::<IpAddr>().ok()) else { continue };
            for name in words {
                self.hosts.entry(name.to_ascii_lowercase()).or_default().push(address);
            }
        }
    }
}
