//! Datagram sockets: each asks one peer from a port of its own, and receives what comes from that
//! peer alone, with the kernel's stamp.
//!
//! Used by the exchange with a name server and by kinds of probe that speak over UDP. The caller
//! bounds the time, enters the stages, and says what an error from the network means.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::probe_error::{ProbeError, connect_error, error_of_this_host};
use super::{sys, tcp};
use crate::words::Reason;

/// A socket that is connected to its peer: the kernel drops what others send to its port, and gives
/// it the ICMP errors about what it has sent. What was sent to the port before the socket was
/// connected is queued all the same: it is dropped here.
pub struct DatagramSocket {
    socket: UdpSocket,
    peer: SocketAddr,
}

impl DatagramSocket {
    /// From this address of the host, else from one that the kernel chooses. `what` is what the
    /// socket is for, in the words of an error.
    pub fn connected(
        peer: SocketAddr,
        source: Option<IpAddr>,
        what: &str,
    ) -> Result<Self, ProbeError> {
        let ours = |error: io::Error, what: &str| {
            error_of_this_host(&error, what, peer).unwrap_or_else(|| connect_error(&error))
        };
        let (from, bind): (IpAddr, _) = match (source, peer) {
            (Some(source), _) => (source, "bind to the source address"),
            (None, SocketAddr::V4(_)) => (Ipv4Addr::UNSPECIFIED.into(), what),
            (None, SocketAddr::V6(_)) => (Ipv6Addr::UNSPECIFIED.into(), what),
        };
        let socket = std::net::UdpSocket::bind((from, 0)).map_err(|e| ours(e, bind))?;
        Self::of(socket, peer, what)
    }

    /// Connects a socket that has its port already.
    fn of(socket: std::net::UdpSocket, peer: SocketAddr, what: &str) -> Result<Self, ProbeError> {
        let ours = |error: io::Error| {
            error_of_this_host(&error, what, peer).unwrap_or_else(|| connect_error(&error))
        };
        sys::stamp_arrivals(socket.as_fd());
        socket
            .connect(peer)
            .map_err(|e| no_address(&e, what).unwrap_or_else(|| ours(e)))?;
        // As the kernel has it: 0.0.0.0 leads to this host.
        let peer = if peer.ip().is_unspecified() {
            socket.peer_addr().map_err(ours)?
        } else {
            peer
        };
        if tcp::is_same(socket.local_addr().map_err(ours)?, peer) {
            return Err(tcp::own_end(peer));
        }
        drop_queued(socket.as_fd());
        let socket = socket
            .set_nonblocking(true)
            .and_then(|()| UdpSocket::from_std(socket))
            .map_err(ours)?;
        Ok(Self { socket, peer })
    }

    pub async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send(datagram).await.map(|_| ())
    }

    /// The next datagram, or the next error that the network brings. `most` bytes are kept of it:
    /// no memory is taken for them before it is there.
    pub async fn receive(&self, most: usize) -> io::Result<Datagram> {
        let here = || {
            let mut bytes = vec![0; most];
            let received = sys::receive(self.socket.as_fd(), &mut bytes)?;
            bytes.truncate(received.length);
            let datagram = Datagram {
                bytes,
                arrived_ns: received.arrived_ns,
            };
            Ok((received.from, datagram))
        };
        let either = Interest::READABLE | Interest::ERROR;
        loop {
            let (from, datagram) = self.socket.async_io(either, here).await?;
            if from.is_some_and(|from| tcp::is_same(from, self.peer)) {
                return Ok(datagram);
            }
        }
    }
}

/// What came before anything was asked answers nothing, and would leave no room for the answer. No
/// more than a queue can hold is looked at.
fn drop_queued(socket: BorrowedFd) {
    const MOST: usize = 4096;
    for _ in 0..MOST {
        if sys::receive(socket, &mut []).is_err() {
            return;
        }
    }
}

/// What came, and when (CLOCK_REALTIME, ns).
pub struct Datagram {
    pub bytes: Vec<u8>,
    pub arrived_ns: Option<u64>,
}

/// The socket has its port already when it connects: what is missing then is an address of this
/// host from which a way leads to the peer.
fn no_address(error: &io::Error, what: &str) -> Option<ProbeError> {
    (error.raw_os_error() == Some(libc::EADDRNOTAVAIL)).then(|| {
        ProbeError::unmeasured(
            Reason::LocalNetwork,
            format!("{what}: {error}: this host has no address to go there from"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Cause;

    async fn server() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
        let address = socket.local_addr().expect("bound");
        (socket, address)
    }

    #[tokio::test]
    async fn what_others_send_is_not_received_and_what_the_peer_sends_is_stamped() {
        let ((peer, at), (other, _)) = (server().await, server().await);
        let socket = DatagramSocket::connected(at, None, "test").expect("connected");
        socket.send(b"?").await.expect("sent");
        let (_, from) = peer.recv_from(&mut [0; 8]).await.expect("received");
        other.send_to(b"forged", from).await.expect("sent");
        peer.send_to(b"true", from).await.expect("sent");
        let received = socket.receive(3).await.expect("received");
        assert_eq!(received.bytes, b"tru");
        assert!(received.arrived_ns.is_some());
    }

    #[tokio::test]
    async fn what_came_before_the_peer_was_known_is_no_answer() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A host may have no IPv6.
            let Ok(peer) = UdpSocket::bind(address).await else {
                continue;
            };
            let at = peer.local_addr().expect("bound");
            let other = UdpSocket::bind(address).await.expect("bound");
            let early = std::net::UdpSocket::bind(address).expect("bound");
            let port = early.local_addr().expect("bound");
            // More than the queue holds, so that the answer finds no place in it.
            for _ in 0..2000 {
                other.send_to(&[7; 512], port).await.expect("sent");
            }
            other.send_to(b"", port).await.expect("sent");
            peer.send_to(b"unasked", port).await.expect("sent");
            let socket = DatagramSocket::of(early, at, "test").expect("connected");
            socket.send(b"?").await.expect("sent");
            let (_, from) = peer.recv_from(&mut [0; 8]).await.expect("received");
            other.send_to(b"forged", from).await.expect("sent");
            peer.send_to(b"true", from).await.expect("sent");
            let received = socket.receive(8).await.expect("received");
            assert_eq!(received.bytes, b"true", "{address}");
        }
    }

    #[tokio::test]
    async fn a_datagram_from_another_address_is_no_answer_though_the_kernel_lets_it_through() {
        let ((peer, at), (other, _)) = (server().await, server().await);
        // Not connected: as what is queued while the socket is being connected.
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
        let port = socket.local_addr().expect("bound");
        let socket = DatagramSocket { socket, peer: at };
        other.send_to(b"forged", port).await.expect("sent");
        other.send_to(b"", port).await.expect("sent");
        peer.send_to(b"true", port).await.expect("sent");
        let received = socket.receive(8).await.expect("received");
        assert_eq!(received.bytes, b"true");
    }

    #[tokio::test]
    async fn a_socket_that_is_its_own_peer_says_that_nobody_listens() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        let at = socket.local_addr().expect("bound");
        let halt = DatagramSocket::of(socket, at, "test").err();
        assert!(
            matches!(halt, Some(ProbeError::Down(Cause::ConnectRefused, _))),
            "{halt:?}"
        );
    }

    #[tokio::test]
    async fn it_asks_from_the_source_address_or_says_that_this_host_cannot() {
        let (peer, at) = server().await;
        let source = Some([127, 0, 0, 9].into());
        let socket = DatagramSocket::connected(at, source, "test").expect("connected");
        socket.send(b"?").await.expect("sent");
        let (_, from) = peer.recv_from(&mut [0; 8]).await.expect("received");
        assert_eq!(from.ip(), IpAddr::from([127, 0, 0, 9]));
        let not_ours = Some([192, 0, 2, 77].into());
        assert!(matches!(
            DatagramSocket::connected(at, not_ours, "test").err(),
            Some(ProbeError::Unmeasured(Reason::LocalResource, why))
                if why.starts_with("bind to the source address: ")
        ));
        let of_the_other_family = Some(Ipv6Addr::LOCALHOST.into());
        assert!(matches!(
            DatagramSocket::connected(at, of_the_other_family, "test").err(),
            Some(ProbeError::Unmeasured(Reason::LocalNetwork, _))
        ));
    }

    #[tokio::test]
    async fn what_the_network_says_of_a_datagram_arrives_as_an_error() {
        let (peer, at) = server().await;
        drop(peer);
        let socket = DatagramSocket::connected(at, None, "test").expect("connected");
        socket.send(b"?").await.expect("sent");
        let error = socket.receive(8).await.err().expect("closed");
        assert!(matches!(
            connect_error(&error),
            ProbeError::Down(Cause::ConnectRefused, _)
        ));
    }
}
