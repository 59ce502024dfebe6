//! The stub resolver: hosts file, then DNS over UDP (TCP when truncated) to the configured servers.
//!
//! It is our own for two reasons: every way in which a name service fails has its own cause, and
//! silence is held against the endpoint only when the same servers answer a control question asked
//! meanwhile. There is no cache: a probe measures what a new client would meet.

mod inquiry;
mod order;
mod side_by_side;

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use self::inquiry::{Answer, Inquiry, MARGIN};
use self::order::chosen;
use self::side_by_side::{Open, first_of};
use super::control_names::ControlNames;
pub use super::control_names::Sought;
use super::probe_error::ProbeError;
pub use super::resolver_files::Paths;
use super::resolver_files::{ResolverFiles, System};
use crate::config::plan::{Addresses, ResolverChoice as Choice};
use crate::words::{Cause, Reason};

/// How long the other family may take once one has addresses.
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// Shared by all probes of one thread.
pub struct Resolver {
    system: System,
    /// Names that are asked about when a server is silent about another.
    resolved: RefCell<ControlNames>,
}

/// Why a name has no addresses.
struct Without {
    err: ProbeError,
    /// Whether glibc leaves out the rest of the search list, the name as it is included.
    ends_search: bool,
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
    pub async fn refresh(&self, choice: &Choice, deadline: Instant) -> Result<(), ProbeError> {
        if let Choice::Server(_) = choice {
            return Ok(());
        }
        let refreshed = self.system.refresh(deadline - MARGIN).await;
        refreshed.map_err(|why| {
            ProbeError::unmeasured(
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
    ) -> Result<Vec<IpAddr>, ProbeError> {
        let Sought { host, led_from } = sought;
        let (servers, names) = match self.look_up(host, choice)? {
            Lookup::Known(addresses) => return chosen(addresses, wanted, host),
            Lookup::Ask(servers, names) => (servers, names),
        };
        let patience = (deadline - Instant::now()) / 2;
        let mut waiting: VecDeque<&Name> = names.iter().collect();
        let mut open: Open<'_, Result<Vec<IpAddr>, Without>> = Vec::new();
        let mut order: Vec<&Name> = Vec::new();
        let mut failures = Vec::new();
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
                Err(Without { err, ends_search }) => {
                    if ends_search {
                        waiting.clear();
                    } else if !leads_on(&err) && !is_as_asked(name, host) {
                        waiting.retain(|name| is_as_asked(name, host));
                    }
                    failures.push((is_as_asked(&names[0], host) && *name == names[0], err));
                }
            }
        }
        Err(worst(failures).unwrap_or_else(|| {
            ProbeError::down(Cause::DnsNxdomain, format!("{host} does not exist"))
        }))
    }

    fn look_up(&self, host: &str, choice: &Choice) -> Result<Lookup, ProbeError> {
        let lower = host.trim_end_matches('.').to_ascii_lowercase();
        let name = Name::from_ascii(host).map_err(|e| {
            ProbeError::unmeasured(Reason::Internal, format!("invalid domain name {host}: {e}"))
        })?;
        if let Choice::Server(server) = choice {
            return Ok(Lookup::Ask(vec![*server], vec![absolute(name)]));
        }
        let found = self
            .system
            .with(|files| by_files(files, host, &lower, &name));
        found.ok_or_else(|| {
            ProbeError::unmeasured(Reason::Resolver, "the resolver's files were not read yet")
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
            resolved: &self.resolved,
            control_answered: OnceCell::new(),
        };
        let ask = |kind| Box::pin(inquiry.ask(kind, deadline));
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
        let (v4, v6) = both_within_resolution_delay(v4, v6).await;
        let mut addresses = Vec::new();
        let mut worst: Option<ProbeError> = None;
        let mut ends_search = false;
        for answer in [v6, v4] {
            match answer {
                Answer::Addresses(list) => addresses.extend(list),
                Answer::Nothing => {}
                Answer::NoneOfName => ends_search = true,
                Answer::Nxdomain => {
                    worst = worst.or_else(|| {
                        Some(ProbeError::down(
                            Cause::DnsNxdomain,
                            format!("{name} does not exist"),
                        ))
                    })
                }
                Answer::Failed(cause, detail) => worst = Some(ProbeError::down(cause, detail)),
                Answer::Silent(detail) => worst = Some(ProbeError::down(Cause::DnsTimeout, detail)),
                Answer::Ours(err) => worst = Some(err),
            }
        }
        if !addresses.is_empty() {
            return Ok(addresses);
        }
        let err = worst.unwrap_or_else(|| {
            ProbeError::down(
                Cause::DnsNoAddress,
                format!("{name} exists but has no address"),
            )
        });
        Err(Without { err, ends_search })
    }
}

/// Whether a name is the host itself, not what a search list made of it.
fn is_as_asked(name: &Name, host: &str) -> bool {
    name.to_ascii()
        .trim_end_matches('.')
        .eq_ignore_ascii_case(host.trim_end_matches('.'))
}

/// Whether the next name of a search list is looked for after this failure.
fn leads_on(err: &ProbeError) -> bool {
    use Cause::{DnsNoAddress, DnsNxdomain, DnsServfail};
    matches!(
        err,
        ProbeError::Down(DnsNxdomain | DnsNoAddress | DnsServfail, _)
    )
}

/// Which of the failures of a search list counts: our own before all, as it leaves open whether
/// the name exists; then that of the name as it was asked for first, then a name without addresses,
/// then a server that failed, then that there is no such name.
fn worst(failures: Vec<(bool, ProbeError)>) -> Option<ProbeError> {
    let rank = |(is_first, err): &(bool, ProbeError)| match err {
        ProbeError::Unmeasured(..) => 0,
        ProbeError::Down(..) if *is_first => 1,
        ProbeError::Down(Cause::DnsNoAddress, _) => 2,
        ProbeError::Down(Cause::DnsNxdomain, _) => 4,
        ProbeError::Down(..) => 3,
    };
    failures.into_iter().min_by_key(rank).map(|(_, err)| err)
}

fn by_files(files: &ResolverFiles, host: &str, lower: &str, name: &Name) -> Lookup {
    if let Some(addresses) = files.hosts.get(lower) {
        return Lookup::Known(addresses.clone());
    }
    if lower == "localhost" || lower.ends_with(".localhost") {
        return Lookup::Known(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
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
    Lookup::Ask(files.servers.clone(), names)
}

/// What the system's files say of a name: its addresses, or whom to ask about which names.
enum Lookup {
    Known(Vec<IpAddr>),
    Ask(Vec<SocketAddr>, Vec<Name>),
}

/// Both answers; once one family has addresses, the other gets a little longer only (RFC 8305
/// section 3).
async fn both_within_resolution_delay(
    v4: impl Future<Output = Answer>,
    v6: impl Future<Output = Answer>,
) -> (Answer, Answer) {
    tokio::pin!(v4);
    tokio::pin!(v6);
    tokio::select! {
        first = &mut v4 => match first {
            Answer::Addresses(_) => (first, within_resolution_delay(v6).await),
            other => (other, v6.await),
        },
        first = &mut v6 => match first {
            Answer::Addresses(_) => (within_resolution_delay(v4).await, first),
            other => (v4.await, other),
        },
    }
}

/// An answer that comes too late is as good as none.
async fn within_resolution_delay(answer: impl Future<Output = Answer>) -> Answer {
    let answered = tokio::time::timeout(RESOLUTION_DELAY, answer).await;
    answered.unwrap_or(Answer::Nothing)
}

fn absolute(mut name: Name) -> Name {
    name.set_fqdn(true);
    name
}
