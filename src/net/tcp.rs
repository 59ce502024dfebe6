//! One TCP connection to an address that is known: what this host could not do is told apart from
//! what the network answered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;

use super::probe_error::{ProbeError, connect_error, error_of_this_host};
use super::sys::{self, KernelClock, TcpFacts};
use crate::words::{Cause, Reason};

/// A connection, and when it came to be.
pub struct TcpConnection {
    pub stream: TcpStream,
    /// When the endpoint was asked, and when its answer came.
    pub asked_ns: u64,
    pub at_ns: u64,
    pub rtt_us: Option<u32>,
}

/// One connection to an address that is known.
pub async fn open_stream(to: SocketAddr) -> Result<TcpStream, ProbeError> {
    open(to, None).await.map(|opened| opened.stream)
}

/// The same error also says that no local port is free. A UDP socket sends nothing when it
/// connects, and needs an address, too.
fn has_no_address_for(to: SocketAddr) -> bool {
    let any: IpAddr = if to.is_ipv6() {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0));
    socket.is_ok_and(|socket| {
        socket
            .connect(to)
            .is_err_and(|error| error.raw_os_error() == Some(libc::EADDRNOTAVAIL))
    })
}

/// What has come in when a connection to another socket is made: its SYN-ACK. One that has met
/// itself has received its own SYN before.
const FROM_ANOTHER: u32 = 1;

/// Opens one connection; what connect() itself returns is told apart from what the network answers
/// later.
pub async fn open(to: SocketAddr, source: Option<IpAddr>) -> Result<TcpConnection, ProbeError> {
    open_from(to, source.map(|source| SocketAddr::new(source, 0))).await
}

/// Whether these are the same address and port: as its own peer, a socket has found nobody.
pub fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    let plain = |at: SocketAddr| (at.ip().to_canonical(), at.port());
    plain(one) == plain(other)
}

/// The kernel gave a socket the port that it asks, as nobody listens there: it has met itself.
pub fn own_end(at: SocketAddr) -> ProbeError {
    ProbeError::down(
        Cause::ConnectRefused,
        format!("the port is closed: this host chose {at} as its own end"),
    )
}

async fn open_from(
    to: SocketAddr,
    source: Option<SocketAddr>,
) -> Result<TcpConnection, ProbeError> {
    let domain = if to.is_ipv6() {
        Domain::IPV6
    } else {
        Domain::IPV4
    };
    let ours = |error: std::io::Error, what: &str| {
        error_of_this_host(&error, what, to).unwrap_or_else(|| connect_error(&error))
    };
    let socket = Socket::new(
        domain,
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )
    .map_err(|e| ours(e, "socket"))?;
    let _ = socket.set_tcp_nodelay(true);
    if let Some(source) = source {
        socket
            .bind(&source.into())
            .map_err(|e| ours(e, "bind to the source address"))?;
    }
    let asked_ns = KernelClock::Boottime.now_ns();
    let pending = match socket.connect(&to.into()) {
        Ok(()) => false,
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => true,
        Err(error)
            if error.raw_os_error() == Some(libc::EADDRNOTAVAIL)
                && source.is_none()
                && has_no_address_for(to) =>
        {
            return Err(ProbeError::unmeasured(
                Reason::LocalNetwork,
                format!("connect: {error}: this host has no address to go there from"),
            ));
        }
        Err(error) => return Err(ours(error, "connect")),
    };
    let stream = TcpStream::from_std(socket.into()).map_err(|e| ours(e, "register the socket"))?;
    if pending {
        stream.writable().await.map_err(|e| connect_error(&e))?;
    }
    // Where nothing was sent again, the kernel's own round trip is when the answer came, not when
    // we woke.
    let now_ns = KernelClock::Boottime.now_ns();
    let known = sys::tcp_facts(stream.as_fd());
    met_another(&stream, known.as_ref())?;
    let kernel_ns = match known {
        Some(facts) if pending && facts.retransmits == 0 && facts.rtt_us > 0 => {
            asked_ns + u64::from(facts.rtt_us) * 1000
        }
        _ => now_ns,
    };
    Ok(TcpConnection {
        stream,
        asked_ns,
        at_ns: kernel_ns.min(now_ns),
        rtt_us: known.map(|facts| facts.rtt_us),
    })
}

/// Whether the connection is there, and to another socket than itself. The kernel is asked only
/// what the facts leave open.
fn met_another(stream: &TcpStream, known: Option<&TcpFacts>) -> Result<(), ProbeError> {
    // An open connection has no error. The one that could be asked for is of a datagram on the way
    // that did no harm (`sk_err_soft` of the kernel).
    if !known.is_some_and(|facts| facts.is_open)
        && let Some(error) = stream.take_error().map_err(|e| connect_error(&e))?
    {
        return Err(connect_error(&error));
    }
    let may_be_own = known.is_none_or(|facts| facts.segments_in != FROM_ANOTHER);
    if may_be_own
        && let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr())
        && is_same(local, peer)
    {
        return Err(own_end(peer));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_to_another_socket_is_known_by_what_came_in() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let at = listener.local_addr().expect("bound");
        let Ok(connection) = open_from(at, None).await else {
            panic!("it listens there");
        };
        let facts = sys::tcp_facts(connection.stream.as_fd()).expect("facts");
        assert_eq!((facts.segments_in, facts.is_open), (FROM_ANOTHER, true));
    }

    #[tokio::test]
    async fn a_refused_connection_has_an_error_and_is_not_open() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let at = free.local_addr().expect("bound");
        drop(free);
        let refused = open_from(at, None).await.err();
        assert!(
            matches!(refused, Some(ProbeError::Down(Cause::ConnectRefused, _))),
            "{refused:?}"
        );
    }

    #[tokio::test]
    async fn a_connection_to_itself_says_that_nobody_listens() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let at = free.local_addr().expect("bound");
        drop(free);
        let halt = open_from(at, Some(at)).await.err();
        let Some(ProbeError::Down(Cause::ConnectRefused, why)) = halt else {
            panic!("{halt:?}");
        };
        assert!(why.contains("own end"), "{why}");
    }
}
