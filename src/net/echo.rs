//! ICMP echo: one socket for each family, requests and the replies that belong to them.
//!
//! A datagram ICMP socket is taken where the system allows it, else a raw one. Replies are matched
//! by a random token in the payload and by the address that was asked, so that neither a reused
//! sequence number nor another process or host can answer for an endpoint. The kernel stamps the
//! arrival.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::rc::Rc;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

use super::probe_error::{ProbeError, error_of_this_host};
use super::sys;
use super::trace::{Stage, Trace};
use crate::words::{Cause, Reason};

const HEADER: usize = 8;
const TOKEN: usize = 8;

/// The echo sockets of one thread, opened when first needed.
#[derive(Default)]
pub struct Echoes {
    v4: RefCell<Option<Rc<EchoSocket>>>,
    v6: RefCell<Option<Rc<EchoSocket>>>,
}

impl Echoes {
    /// One request to one address, and its reply.
    pub async fn ask(
        &self,
        trace: &Trace,
        to: SocketAddr,
        size: usize,
    ) -> Result<Reply, ProbeError> {
        let socket = self.socket(to.ip())?;
        let token = fastrand::u64(..);
        let (sender, receiver) = oneshot::channel();
        let _waiting = socket.wait(token, to.ip(), sender);
        let request = request(to.ip(), socket.next_sequence(), token, size);
        if trace.stage() == Stage::Idle {
            trace.enter(Stage::Reply(Cause::IcmpTimeout));
        }
        if let Err(error) = socket.send(&request, to).await {
            return Err(
                error_of_this_host(&error, "sending an echo request", to).unwrap_or_else(|| {
                    ProbeError::down(Cause::IcmpUnreachable, format!("echo request: {error}"))
                }),
            );
        }
        match receiver.await {
            Ok(EchoAnswer::Reply(reply)) => Ok(reply),
            Ok(EchoAnswer::Unreachable(what)) => {
                Err(ProbeError::down(Cause::IcmpUnreachable, what))
            }
            Err(_) => Err(ProbeError::unmeasured(
                Reason::Internal,
                "the echo socket was closed",
            )),
        }
    }

    fn socket(&self, address: IpAddr) -> Result<Rc<EchoSocket>, ProbeError> {
        let mut place = if address.is_ipv4() {
            &self.v4
        } else {
            &self.v6
        }
        .borrow_mut();
        if let Some(socket) = &*place {
            return Ok(socket.clone());
        }
        // A failure is not kept: what was lacking, a descriptor perhaps, may be there next time.
        let opened = EchoSocket::open(address).map_err(|e| {
            match error_of_this_host(
                &e,
                "opening an ICMP \
            socket",
                (address, 0).into(),
            ) {
                Some(
                    err @ ProbeError::Unmeasured(Reason::LocalResource | Reason::LocalNetwork, _),
                ) => err,
                _ => ProbeError::unmeasured(
                    Reason::Permission,
                    format!(
                        "no ICMP socket: {e}; allow it with \
                CAP_NET_RAW or net.ipv4.ping_group_range"
                    ),
                ),
            }
        })?;
        *place = Some(opened.clone());
        Ok(opened)
    }
}

/// Whether this process may send echo requests at all; the error says why not.
pub fn permitted() -> Result<(), String> {
    open_socket(IpAddr::from([127, 0, 0, 1]))
        .map(|_| ())
        .map_err(|e| e.to_string())
}

enum EchoAnswer {
    Reply(Reply),
    Unreachable(String),
}

pub struct Reply {
    pub arrived_ns: Option<u64>,
    pub hop_limit: Option<u8>,
}

/// By their tokens: who was asked, and who waits for the reply.
type WaitingEchoes = Rc<RefCell<HashMap<u64, (IpAddr, oneshot::Sender<EchoAnswer>)>>>;

struct EchoSocket {
    socket: Rc<AsyncFd<Socket>>,
    waiting: WaitingEchoes,
    sequence: Cell<u16>,
    reader: tokio::task::JoinHandle<()>,
}

impl Drop for EchoSocket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Forgets the token when the probe ends, however it ends.
struct Forget {
    waiting: WaitingEchoes,
    token: u64,
}

impl Drop for Forget {
    fn drop(&mut self) {
        self.waiting.borrow_mut().remove(&self.token);
    }
}

fn open_socket(address: IpAddr) -> io::Result<(Socket, Type)> {
    let (domain, protocol) = if address.is_ipv4() {
        (Domain::IPV4, Protocol::ICMPV4)
    } else {
        (Domain::IPV6, Protocol::ICMPV6)
    };
    match Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(protocol)) {
        Ok(socket) => Ok((socket, Type::DGRAM)),
        Err(_) => Socket::new(domain, Type::RAW.nonblocking().cloexec(), Some(protocol))
            .map(|s| (s, Type::RAW)),
    }
}

impl EchoSocket {
    fn open(address: IpAddr) -> io::Result<Rc<Self>> {
        let (socket, kind) = open_socket(address)?;
        let _ = socket.set_recv_buffer_size(4 << 20);
        let _ = socket.set_send_buffer_size(1 << 20);
        sys::stamp_arrivals(socket.as_fd());
        match address {
            IpAddr::V4(_) => sys::receive_ttl(socket.as_fd()),
            IpAddr::V6(_) => sys::receive_hop_limit(socket.as_fd()),
        }
        let socket = Rc::new(sys::watch(socket, Interest::READABLE | Interest::WRITABLE)?);
        let waiting = WaitingEchoes::default();
        let reader = tokio::task::spawn_local(read(socket.clone(), kind, waiting.clone(), address));
        Ok(Rc::new(Self {
            socket,
            waiting,
            sequence: Cell::new(fastrand::u16(..)),
            reader,
        }))
    }

    fn wait(&self, token: u64, asked: IpAddr, sender: oneshot::Sender<EchoAnswer>) -> Forget {
        self.waiting.borrow_mut().insert(token, (asked, sender));
        Forget {
            waiting: self.waiting.clone(),
            token,
        }
    }

    fn next_sequence(&self) -> u16 {
        self.sequence.set(self.sequence.get().wrapping_add(1));
        self.sequence.get()
    }

    async fn send(&self, request: &[u8], to: SocketAddr) -> io::Result<()> {
        let to = to.into();
        self.socket
            .async_io(Interest::WRITABLE, |socket| socket.send_to(request, &to))
            .await
            .map(|_| ())
    }
}

/// Reads all that comes and gives it to the probe that waits for it.
async fn read(socket: Rc<AsyncFd<Socket>>, kind: Type, waiting: WaitingEchoes, family: IpAddr) {
    let mut buffer = [0; 2048];
    loop {
        let received = socket
            .async_io(Interest::READABLE, |socket| {
                sys::receive(socket.as_fd(), &mut buffer)
            })
            .await;
        let Ok(received) = received else { continue };
        let mut packet = buffer.get(..received.length).unwrap_or_default();
        let mut hop_limit = received.hop_limit;
        // A raw socket gives the header of IPv4 as well.
        if kind == Type::RAW && family.is_ipv4() {
            hop_limit = packet.get(8).copied();
            packet = ip_payload(packet);
        }
        if let Some((token, heard)) = understood(packet, family, received.arrived_ns, hop_limit) {
            give(&waiting, token, heard, received.from.map(|from| from.ip()));
        }
    }
}

/// To the probe that waits for it. A reply counts from the address that was asked; of a group, from
/// each member. An IPv6 address may be anycast, whose members answer from addresses of their own
/// (RFC 4443 section 4.2): the token of 64 bits tells a reply then. Errors come from any router.
fn give(waiting: &WaitingEchoes, token: u64, heard: EchoAnswer, from: Option<IpAddr>) {
    let mut waiting = waiting.borrow_mut();
    let is_of = |asked: IpAddr| match heard {
        EchoAnswer::Reply(_) => {
            let asked = asked.to_canonical();
            asked.is_multicast() || asked.is_ipv6() || from == Some(asked)
        }
        EchoAnswer::Unreachable(_) => true,
    };
    if waiting.get(&token).is_some_and(|(asked, _)| is_of(*asked))
        && let Some((_, sender)) = waiting.remove(&token)
    {
        let _ = sender.send(heard);
    }
}

/// What stands behind an IPv4 header (RFC 791).
fn ip_payload(packet: &[u8]) -> &[u8] {
    let length = packet.first().map_or(0, |b| usize::from(b & 0x0F) * 4);
    packet.get(length..).unwrap_or_default()
}

/// The token and meaning of an ICMP message (RFC 792, RFC 4443), if it is one for us.
fn understood(
    packet: &[u8],
    family: IpAddr,
    arrived_ns: Option<u64>,
    hop_limit: Option<u8>,
) -> Option<(u64, EchoAnswer)> {
    let token_at = |bytes: &[u8], at: usize| {
        bytes
            .get(at..at + TOKEN)?
            .try_into()
            .ok()
            .map(u64::from_be_bytes)
    };
    match (*packet.first()?, family) {
        (0, IpAddr::V4(_)) | (129, IpAddr::V6(_)) => Some((
            token_at(packet, HEADER)?,
            EchoAnswer::Reply(Reply {
                arrived_ns,
                hop_limit,
            }),
        )),
        (kind @ (3 | 11), IpAddr::V4(_)) => {
            let inner = ip_payload(packet.get(HEADER..)?);
            let what = if kind == 3 {
                "unreachable"
            } else {
                "time exceeded"
            };
            Some((
                token_at(inner, HEADER)?,
                EchoAnswer::Unreachable(format!("{what}, code {}", packet.get(1)?)),
            ))
        }
        (kind @ (1 | 3), IpAddr::V6(_)) => {
            let what = if kind == 1 {
                "unreachable"
            } else {
                "time exceeded"
            };
            Some((
                token_at(packet, HEADER + 40 + HEADER)?,
                EchoAnswer::Unreachable(format!("{what}, code {}", packet.get(1)?)),
            ))
        }
        _ => None,
    }
}

fn request(address: IpAddr, sequence: u16, token: u64, size: usize) -> Vec<u8> {
    let mut packet = vec![0; HEADER + size.max(TOKEN)];
    packet[0] = if address.is_ipv4() { 8 } else { 128 };
    packet[4..6].copy_from_slice(&(std::process::id() as u16).to_be_bytes());
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    packet[HEADER..HEADER + TOKEN].copy_from_slice(&token.to_be_bytes());
    if address.is_ipv4() {
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|c| u32::from(c[0]) << 8 | u32::from(c.get(1).copied().unwrap_or(0)))
        .sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_a_checksum_that_adds_up_to_zero() {
        let packet = request(IpAddr::from([127, 0, 0, 1]), 7, 0x0102_0304_0506_0708, 56);
        assert_eq!(packet.len(), 64);
        assert_eq!(checksum(&packet), 0);
    }

    #[test]
    fn a_reply_is_known_by_its_token_and_an_error_by_that_of_the_request_inside() {
        let v4 = IpAddr::from([127, 0, 0, 1]);
        let mut reply = request(v4, 7, 42, 56);
        let unreachable = [&[3, 1, 0, 0, 0, 0, 0, 0][..], &[0x45; 20], &reply].concat();
        assert!(matches!(
            understood(&unreachable, v4, None, None),
            Some((42, EchoAnswer::Unreachable(_)))
        ));
        reply[0] = 0;
        assert!(matches!(
            understood(&reply, v4, None, Some(64)),
            Some((
                42,
                EchoAnswer::Reply(Reply {
                    hop_limit: Some(64),
                    ..
                })
            ))
        ));
        assert!(understood(&[0, 0, 0], v4, None, None).is_none());
        assert!(understood(&[], v4, None, None).is_none());
    }

    #[test]
    fn a_reply_counts_from_the_address_that_was_asked_and_an_error_from_any() {
        let reply = || {
            EchoAnswer::Reply(Reply {
                arrived_ns: None,
                hop_limit: None,
            })
        };
        let unreachable = || EchoAnswer::Unreachable("unreachable".into());
        let (asked, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let group = IpAddr::from([224, 0, 0, 1]);
        let anycast = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]);
        for (asked, heard, from, counts) in [
            (asked, reply(), Some(other), false),
            (asked, reply(), None, false),
            (asked, reply(), Some(asked), true),
            (asked, unreachable(), Some(other), true),
            (group, reply(), Some(other), true),
            (
                anycast,
                reply(),
                Some(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7])),
                true,
            ),
        ] {
            let waiting = WaitingEchoes::default();
            let (sender, mut receiver) = oneshot::channel();
            waiting.borrow_mut().insert(7, (asked, sender));
            give(&waiting, 7, heard, from);
            assert_eq!(receiver.try_recv().is_ok(), counts, "{asked} {from:?}");
            assert_eq!(waiting.borrow().is_empty(), counts, "it goes on waiting");
        }
    }
}
