//! The one dial of all kinds: name to addresses, addresses to a connected TCP stream.
//!
//! Addresses are tried in order, the next after 250 ms or a failure, all within the probe's one timeout (RFC 8305); each
//! attempt's address, error and time is a fact.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::halt::{Halt, connect_error, own_call};
use super::net::Net;
use super::stream::StampedTcp;
use super::sys::{self, KernelClock};
use super::trace::{Stage, Trace};
use crate::config::plan::Dial;
use crate::words::{Attempt, Cause};

/// How long the next address waits for the one before it.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);
/// Addresses tried at most.
const ATTEMPT_LIMIT: usize = 16;

/// The addresses of a host. An address is its own; a name is resolved, as a phase of the probe.
pub async fn resolve(net: &Net, trace: &Trace, dial: &Dial, host: &str, deadline: Instant) -> Result<Vec<IpAddr>, Halt> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        // A redirect may lead here; the config may not.
        if address.to_canonical().is_unspecified() {
            return Err(Halt::down(Cause::DnsNoAddress, format!("{bare} is no address of a host")));
        }
        return Ok(vec![address]);
    }
    trace.enter(Stage::Resolve);
    // Boxed, as only names need it: a probe of an address stays small.
    let addresses = Box::pin(net.resolver.addresses(bare, &dial.resolver, dial.addresses, deadline)).await;
    trace.enter(Stage::Idle);
    addresses
}

/// A TCP connection to the first address that takes it.
pub async fn connect<'t>(net: &Net, trace: &'t Trace, dial: &Dial, host: &str, port: u16, deadline: Instant) -> Result<StampedTcp<'t>, Halt> {
    let addresses = resolve(net, trace, dial, host, deadline).await?;
    trace.enter(Stage::Connect);
    if let [address] = addresses.as_slice() {
        return finish(trace, attempt(*address, port, dial.source).await);
    }
    let mut attempts = JoinSet::new();
    let mut waiting = addresses.into_iter().take(ATTEMPT_LIMIT);
    let mut last = None;
    loop {
        if let Some(address) = waiting.next() {
            let source = dial.source;
            attempts.spawn_local(attempt(address, port, source));
        } else if attempts.is_empty() {
            break;
        }
        let finished = tokio::select! {
            finished = attempts.join_next() => finished,
            () = tokio::time::sleep(NEXT_ADDRESS_AFTER), if waiting.len() > 0 => continue,
        };
        let Some(Ok(tried)) = finished else { continue };
        match finish(trace, tried) {
            Ok(stream) => return Ok(stream),
            // A cause at the endpoint tells more than this host's lack of a way to one of its addresses.
            Err(halt) => {
                last = match (last, halt) {
                    (Some(before @ Halt::Down(..)), Halt::Unmeasured(..)) => Some(before),
                    (_, halt) => Some(halt),
                }
            }
        }
    }
    Err(last.unwrap_or_else(|| Halt::down(Cause::DnsNoAddress, format!("{host} has no address"))))
}

struct Tried {
    address: IpAddr,
    result: Result<Opened, Halt>,
    began_ns: u64,
    ended_ns: u64,
}

struct Opened {
    stream: TcpStream,
    /// When the endpoint was asked, and when its answer came.
    asked_ns: u64,
    at_ns: u64,
    rtt_us: Option<u32>,
}

async fn attempt(address: IpAddr, port: u16, source: Option<IpAddr>) -> Tried {
    let began_ns = KernelClock::Boottime.now_ns();
    let result = open(SocketAddr::new(address, port), source).await;
    let ended_ns = result.as_ref().map_or_else(|_| KernelClock::Boottime.now_ns(), |opened| opened.at_ns);
    Tried { address, result, began_ns, ended_ns }
}

/// One connection to an address that is known.
pub async fn open_stream(to: SocketAddr) -> Result<TcpStream, Halt> {
    open(to, None).await.map(|opened| opened.stream)
}

/// Opens one connection; what connect() itself returns is told apart from what the network answers later.
async fn open(to: SocketAddr, source: Option<IpAddr>) -> Result<Opened, Halt> {
    let domain = if to.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    let ours = |error: std::io::Error, what: &str| own_call(&error, what).unwrap_or_else(|| connect_error(&error));
    let socket = Socket::new(domain, Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP)).map_err(|e| ours(e, "socket"))?;
    let _ = socket.set_tcp_nodelay(true);
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into()).map_err(|e| ours(e, "bind to the source address"))?;
    }
    let asked_ns = KernelClock::Boottime.now_ns();
    let pending = match socket.connect(&to.into()) {
        Ok(()) => false,
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => true,
        Err(error) => return Err(ours(error, "connect")),
    };
    let stream = TcpStream::from_std(socket.into()).map_err(|e| ours(e, "register the socket"))?;
    if pending {
        stream.writable().await.map_err(|e| connect_error(&e))?;
        if let Some(error) = stream.take_error().map_err(|e| connect_error(&e))? {
            return Err(connect_error(&error));
        }
    }
    // Where nothing was sent again, the kernel's own round trip is when the answer came, not when we woke.
    let now_ns = KernelClock::Boottime.now_ns();
    let known = sys::tcp_facts(stream.as_raw_fd());
    let kernel_ns = match known {
        Some(facts) if pending && facts.retransmits == 0 && facts.rtt_us > 0 => asked_ns + u64::from(facts.rtt_us) * 1000,
        _ => now_ns,
    };
    Ok(Opened { stream, asked_ns, at_ns: kernel_ns.min(now_ns), rtt_us: known.map(|facts| facts.rtt_us) })
}

fn finish(trace: &Trace, tried: Tried) -> Result<StampedTcp<'_>, Halt> {
    let error = match &tried.result {
        Ok(_) => None,
        Err(Halt::Down(_, detail) | Halt::Unmeasured(_, detail)) => Some(detail.clone()),
    };
    let mut facts = trace.facts.borrow_mut();
    let is_first = facts.attempts.is_empty();
    facts.attempts.push(Attempt { address: tried.address, error, duration_us: (tried.ended_ns - tried.began_ns) / 1000 });
    let opened = tried.result?;
    facts.address = Some(tried.address);
    facts.tcp_rtt_us = opened.rtt_us;
    if is_first {
        trace.began_at(opened.asked_ns);
    }
    trace.enter_at(Stage::Idle, opened.at_ns);
    Ok(StampedTcp::new(opened.stream, trace))
}
