//! The one dial of all kinds: name to addresses, addresses to a connected TCP stream, an echo, an
//! answer.
//!
//! Addresses are tried in order, the next after 250 ms or a failure, all within the probe's one
//! timeout (RFC 8305); each attempt's address, error and time is a fact.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::probe_error::{ProbeError, is_broadcast};
use super::resolve::Sought;
use super::shared::Net;
use super::stream::StampedTcp;
use super::sys::{self, KernelClock};
use super::tcp::{self, TcpConnection};
use super::trace::{Stage, Trace};
use crate::config::document::zone;
use crate::config::plan::{Addresses, Dial};
use crate::words::{Attempt, Cause, Reason};

/// How long the next address waits for the one before it.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);
/// Addresses tried at most.
const ATTEMPT_LIMIT: usize = 16;
/// Addresses that are tried side by side: each holds a descriptor. Where more are silent, the
/// oldest is given up, after 1.5 s at least.
const OPEN_LIMIT: usize = 6;

/// The addresses of a host, with a port. An address is its own; a name is resolved, as a phase of
/// the probe.
pub async fn resolve(
    net: &Net,
    trace: &Trace,
    dial: &Dial,
    sought: Sought<'_>,
    port: u16,
    deadline: Instant,
) -> Result<Vec<SocketAddr>, ProbeError> {
    let host = sought.host;
    let literal = zone::address(host);
    trace.is_named.set(literal.is_none());
    if let Some((address, zone)) = literal {
        // A redirect may lead here; the config may not.
        if address.to_canonical().is_unspecified() {
            return Err(ProbeError::down(
                Cause::DnsNoAddress,
                format!("{host} is not the address of a host"),
            ));
        }
        let zone = zone.or_else(|| {
            dial.zone
                .as_deref()
                .filter(|_| zone::is_link_local(address))
        });
        return Ok(vec![in_zone(address, port, zone)?]);
    }
    if let Some(given) = net.pins.of(host, port) {
        return Ok(given.into_iter().map(|ip| (ip, port).into()).collect());
    }
    Box::pin(net.resolver.refresh(&dial.resolver, deadline)).await?;
    trace.enter(Stage::Resolve);
    // Boxed, as only names need it: a probe of an address stays small.
    let addresses =
        Box::pin(
            net.resolver
                .addresses(sought, &dial.resolver, dial.addresses, deadline),
        )
        .await;
    trace.enter(Stage::Idle);
    let addresses: Vec<SocketAddr> = addresses?
        .into_iter()
        .map(|ip| SocketAddr::new(ip, port))
        .collect();
    if addresses.is_empty() {
        Err(ProbeError::down(
            Cause::DnsNoAddress,
            format!("{host} has no address"),
        ))
    } else {
        Ok(addresses)
    }
}

/// The same for a connection from the source address: the addresses of its family.
pub async fn resolve_for_source(
    net: &Net,
    trace: &Trace,
    dial: &Dial,
    (sought, port): (Sought<'_>, u16),
    deadline: Instant,
) -> Result<Vec<SocketAddr>, ProbeError> {
    let of_source = dial.of_its_source();
    let by = of_source.as_ref().unwrap_or(dial);
    let mut addresses = resolve(net, trace, by, sought, port, deadline).await?;
    if dial.addresses == Addresses::First {
        addresses.truncate(1);
    }
    Ok(addresses)
}

/// An interface that this host does not have (any more) is its own lack, not the endpoint's.
fn in_zone(address: IpAddr, port: u16, zone: Option<&str>) -> Result<SocketAddr, ProbeError> {
    let (IpAddr::V6(v6), Some(zone)) = (address, zone) else {
        return Ok(SocketAddr::new(address, port));
    };
    let index = zone.parse().ok().or_else(|| sys::interface_index(zone));
    let index = index.ok_or_else(|| {
        ProbeError::unmeasured(
            Reason::LocalNetwork,
            format!("this host has no interface {zone} (the zone of {v6}%{zone})"),
        )
    })?;
    Ok(SocketAddrV6::new(v6, port, 0, index).into())
}

/// What became of one address.
pub struct Tried<R> {
    pub address: IpAddr,
    pub result: Result<R, ProbeError>,
    began_ns: u64,
    ended_ns: u64,
}

/// Tries one address, and notes when that began and ended.
pub async fn timed<R>(
    to: SocketAddr,
    attempt: impl Future<Output = Result<R, ProbeError>>,
) -> Tried<R> {
    let began_ns = KernelClock::Boottime.now_ns();
    let result = attempt.await;
    Tried {
        address: to.ip(),
        result,
        began_ns,
        ended_ns: KernelClock::Boottime.now_ns(),
    }
}

/// Tries addresses in order, the next 250 ms after the one before or when that fails, until one
/// succeeds; each is a fact. `took` sees each that has ended, and may refuse it.
pub async fn race<R, S, F>(
    trace: &Trace,
    addresses: &[SocketAddr],
    begin: impl Fn(SocketAddr) -> F,
    took: impl Fn(Tried<R>) -> Result<S, ProbeError>,
) -> Result<S, ProbeError>
where
    F: Future<Output = Tried<R>>,
{
    let mut attempts: Vec<Pin<Box<F>>> = Vec::new();
    let mut waiting = addresses.iter().take(ATTEMPT_LIMIT);
    let mut last = None;
    loop {
        if let Some(address) = waiting.next() {
            if attempts.len() == OPEN_LIMIT {
                drop(attempts.remove(0));
            }
            attempts.push(Box::pin(begin(*address)));
        } else if attempts.is_empty() {
            break;
        }
        let tried = tokio::select! {
            tried = first_of(&mut attempts) => tried,
            () = tokio::time::sleep(NEXT_ADDRESS_AFTER), if waiting.len() > 0 => continue,
        };
        let address = tried.address;
        let tried = Tried {
            result: tried.result.map_err(|err| of_name(trace, address, err)),
            ..tried
        };
        note(trace, &tried);
        match took(tried) {
            Ok(success) => return Ok(success),
            // A cause at the endpoint tells more than this host's lack of a way to one of its
            // addresses. An address that was not tried for want of a descriptor or a permission
            // might have answered: that is ours.
            Err(err) => {
                last = match (last, err) {
                    (
                        Some(before @ ProbeError::Down(..)),
                        ProbeError::Unmeasured(Reason::LocalNetwork, _),
                    ) => Some(before),
                    (Some(before @ ProbeError::Unmeasured(reason, _)), ProbeError::Down(..))
                        if reason != Reason::LocalNetwork =>
                    {
                        Some(before)
                    }
                    (_, err) => Some(err),
                }
            }
        }
    }
    Err(last.unwrap_or_else(|| ProbeError::down(Cause::DnsNoAddress, "the host has no address")))
}

/// What became of an address of a name. If the kernel leads it to all hosts of a network, and
/// refuses to for that, the name has no host there: that is the endpoint's. Such an address in the
/// config is the config's.
pub fn of_name(trace: &Trace, address: IpAddr, err: ProbeError) -> ProbeError {
    match err {
        ProbeError::Unmeasured(Reason::LocalNetwork | Reason::Permission, _)
            if trace.is_named.get() && is_broadcast(address) =>
        {
            ProbeError::down(
                Cause::DnsNoAddress,
                format!(
                    "{address} is a broadcast address of a network of this host, and not the \
                        address of a host"
                ),
            )
        }
        err => err,
    }
}

/// The first of some futures to end; it is taken out.
async fn first_of<F: Future>(futures: &mut Vec<Pin<Box<F>>>) -> F::Output {
    std::future::poll_fn(|cx| {
        for at in 0..futures.len() {
            if let Poll::Ready(output) = futures[at].as_mut().poll(cx) {
                drop(futures.remove(at));
                return Poll::Ready(output);
            }
        }
        Poll::Pending
    })
    .await
}

fn note<R>(trace: &Trace, tried: &Tried<R>) {
    let error = match &tried.result {
        Ok(_) => None,
        Err(ProbeError::Down(_, detail) | ProbeError::Unmeasured(_, detail)) => {
            Some(detail.clone())
        }
    };
    let duration_us = (tried.ended_ns - tried.began_ns) / 1000;
    trace.facts.borrow_mut().attempts.push(Attempt {
        address: tried.address,
        error,
        duration_us,
    });
}

/// A TCP connection to the first address that takes it.
pub async fn connect<'t>(
    net: &Net,
    trace: &'t Trace,
    dial: &Dial,
    host: &str,
    port: u16,
    deadline: Instant,
) -> Result<StampedTcp<'t>, ProbeError> {
    connect_where(net, trace, dial, (host.into(), port), &|_| Ok(()), deadline).await
}

/// The same with the addresses that `may` allows: those that a name was resolved to are looked at,
/// and no other is connected to.
pub async fn connect_where<'t>(
    net: &Net,
    trace: &'t Trace,
    dial: &Dial,
    (sought, port): (Sought<'_>, u16),
    may: &dyn Fn(IpAddr) -> Result<(), ProbeError>,
    deadline: Instant,
) -> Result<StampedTcp<'t>, ProbeError> {
    let mut addresses = resolve_for_source(net, trace, dial, (sought, port), deadline).await?;
    let mut refused = None;
    addresses.retain(|to| may(to.ip()).map_err(|why| refused = Some(why)).is_ok());
    if let Some(why) = refused.filter(|_| addresses.is_empty()) {
        return Err(why);
    }
    trace.port.set(port);
    trace.enter(Stage::Connect);
    if let [address] = addresses.as_slice() {
        let mut tried = attempt(*address, dial.source).await;
        tried.result = tried
            .result
            .map_err(|err| of_name(trace, address.ip(), err));
        note(trace, &tried);
        return finish(trace, tried);
    }
    Box::pin(race(
        trace,
        &addresses,
        |to| attempt(to, dial.source),
        |tried| finish(trace, tried),
    ))
    .await
}

async fn attempt(to: SocketAddr, source: Option<IpAddr>) -> Tried<TcpConnection> {
    let mut tried = timed(to, tcp::open(to, source)).await;
    if let Ok(opened) = &tried.result {
        tried.ended_ns = opened.at_ns;
    }
    tried
}

fn finish(trace: &Trace, tried: Tried<TcpConnection>) -> Result<StampedTcp<'_>, ProbeError> {
    let opened = tried.result?;
    let mut facts = trace.facts.borrow_mut();
    facts.address = Some(tried.address);
    facts.tcp_rtt_us = opened.rtt_us;
    // What was before the first attempt's question is our own.
    if facts.attempts.len() == 1 {
        trace.began_at(opened.asked_ns);
    }
    trace.enter_at(Stage::Idle, opened.at_ns);
    Ok(StampedTcp::new(opened.stream, trace))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn address(last: u8, port: u16) -> SocketAddr {
        ([127, 0, 0, last], port).into()
    }

    /// Port `n` answers after `n` ms; port 0 fails at once, and port 1 fails for a lack of our own.
    async fn raced(ports: &[u16]) -> (Result<u16, ProbeError>, u128, Vec<Attempt>) {
        let trace = Trace::begin();
        let addresses: Vec<SocketAddr> = ports
            .iter()
            .zip(1..)
            .map(|(port, last)| address(last, *port))
            .collect();
        let began = Instant::now();
        let attempt = |to: SocketAddr| {
            timed(to, async move {
                match to.port() {
                    0 => Err(ProbeError::down(Cause::ConnectRefused, "refused")),
                    1 => Err(ProbeError::unmeasured(Reason::LocalNetwork, "no way")),
                    2 => Err(ProbeError::unmeasured(
                        Reason::LocalResource,
                        "no descriptor",
                    )),
                    ms => {
                        tokio::time::sleep(Duration::from_millis(ms.into())).await;
                        Ok(ms)
                    }
                }
            })
        };
        let result = race(&trace, &addresses, attempt, |tried| tried.result).await;
        (
            result,
            began.elapsed().as_millis(),
            trace.facts.take().attempts,
        )
    }

    #[tokio::test]
    async fn the_next_address_is_tried_after_a_failure_or_a_quarter_of_a_second() {
        let (result, took, attempts) = raced(&[0, 10]).await;
        assert_eq!((result, attempts.len()), (Ok(10), 2));
        assert!(took < 240, "{took} ms");
        let (result, took, attempts) = raced(&[60_000, 10]).await;
        assert_eq!(
            (result, attempts.len()),
            (Ok(10), 1),
            "only what has ended is a fact"
        );
        assert!((255..20_000).contains(&took), "{took} ms");
        assert_eq!(
            raced(&[500, 30_000]).await.0,
            Ok(500),
            "the one before is still waited for"
        );
        let (result, took, _) = raced(&[60_000, 60_000, 0, 10]).await;
        assert_eq!(result, Ok(10));
        assert!((505..20_000).contains(&took), "{took} ms");
    }

    #[tokio::test]
    async fn when_all_fail_the_endpoints_fault_is_told_before_our_own() {
        for ports in [[0, 1], [1, 0]] {
            let (result, _, attempts) = raced(&ports).await;
            assert!(
                matches!(result, Err(ProbeError::Down(Cause::ConnectRefused, _))),
                "{ports:?}"
            );
            assert!(attempts.iter().all(|a| a.error.is_some()) && attempts.len() == 2);
        }
        assert!(matches!(
            raced(&[1, 1]).await.0,
            Err(ProbeError::Unmeasured(Reason::LocalNetwork, _))
        ));
        // An address that was never tried might have answered.
        for ports in [[0, 2], [2, 0]] {
            assert!(
                matches!(
                    raced(&ports).await.0,
                    Err(ProbeError::Unmeasured(Reason::LocalResource, _))
                ),
                "{ports:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_bounded_number_of_addresses_is_open_at_once_and_each_is_tried() {
        struct Open<'o>(&'o Cell<usize>);
        impl Drop for Open<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() - 1);
            }
        }
        let (open, most, begun) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let addresses: Vec<SocketAddr> = (1..=10).map(|last| address(last, 1)).collect();
        let attempt = |to: SocketAddr| {
            open.set(open.get() + 1);
            most.set(most.get().max(open.get()));
            begun.set(begun.get() + 1);
            let held = Open(&open);
            let is_last = begun.get() == addresses.len();
            timed(to, async move {
                let _held = held;
                if !is_last {
                    std::future::pending::<()>().await;
                }
                Ok(())
            })
        };
        assert_eq!(
            race(&Trace::begin(), &addresses, attempt, |tried| tried.result).await,
            Ok(())
        );
        assert_eq!(
            (begun.get(), most.get(), open.get()),
            (addresses.len(), OPEN_LIMIT, 0)
        );
    }

    #[tokio::test]
    async fn a_bounded_number_of_addresses_is_tried() {
        assert_eq!(raced(&[0; ATTEMPT_LIMIT + 4]).await.2.len(), ATTEMPT_LIMIT);
    }

    #[test]
    fn a_zone_is_an_interface_of_this_host_or_its_number() {
        let local: IpAddr = "fe80::1".parse().expect("an address");
        let scope = |zone| match in_zone(local, 53, zone) {
            Ok(SocketAddr::V6(v6)) => Some(v6.scope_id()),
            Ok(SocketAddr::V4(_)) | Err(_) => None,
        };
        assert_eq!(
            (scope(Some("lo")), scope(Some("7")), scope(None)),
            (sys::interface_index("lo"), Some(7), Some(0))
        );
        assert!(matches!(
            in_zone(local, 53, Some("no-such-if")),
            Err(ProbeError::Unmeasured(Reason::LocalNetwork, _))
        ));
    }

    #[tokio::test]
    async fn an_address_of_all_hosts_of_a_network_is_no_host_of_a_name() {
        let to = SocketAddr::from(([127, 255, 255, 255], 80));
        let err = tcp::open(to, None).await.map(drop).expect_err("no host");
        assert!(
            matches!(err, ProbeError::Unmeasured(Reason::LocalNetwork, _)),
            "{err:?}"
        );
        let trace = Trace::begin();
        assert_eq!(of_name(&trace, to.ip(), err.clone()), err, "of the config");
        trace.is_named.set(true);
        let named = of_name(&trace, to.ip(), err.clone());
        assert!(
            matches!(named, ProbeError::Down(Cause::DnsNoAddress, _)),
            "{named:?}"
        );
        assert_eq!(of_name(&trace, [127, 0, 0, 1].into(), err.clone()), err);
    }
}
