//! How a probe ends early: the endpoint is to blame (a cause) or the prober is (a reason). The
//! errno tables are here.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use rustls::AlertDescription;

use crate::words::{Cause, Reason};

/// Ends a probe before it is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeError {
    Down(Cause, String),
    Unmeasured(Reason, String),
}

impl ProbeError {
    pub fn down(cause: Cause, detail: impl Into<String>) -> Self {
        ProbeError::Down(cause, detail.into())
    }

    pub fn unmeasured(reason: Reason, detail: impl Into<String>) -> Self {
        ProbeError::Unmeasured(reason, detail.into())
    }
}

/// The reason behind an error that is certainly this host's own, wherever it comes from.
pub fn local_reason(error: &io::Error) -> Option<Reason> {
    match error.raw_os_error()? {
        // bind() says EADDRINUSE where no local port is free.
        libc::EMFILE
        | libc::ENFILE
        | libc::EADDRNOTAVAIL
        | libc::EADDRINUSE
        | libc::ENOBUFS
        | libc::ENOMEM
        | libc::EAGAIN
        | libc::ENOSPC => Some(Reason::LocalResource),
        _ => None,
    }
}

/// A link-local address that a name has: without a zone no host can use it, and the name is the
/// endpoint's. The config's own have their zone.
fn has_no_zone(to: SocketAddr) -> bool {
    matches!(to, SocketAddr::V6(to) if to.ip().is_unicast_link_local() && to.scope_id() == 0)
}

/// Whether the kernel leads it to all hosts of a network. It refuses that with an error that a
/// firewall or a route of this host may bring about for any address; but it does not refuse it to a
/// socket that asks for broadcasts. A UDP socket sends nothing when it connects.
pub fn is_broadcast(address: IpAddr) -> bool {
    let IpAddr::V4(v4) = address.to_canonical() else {
        return false;
    };
    let to = SocketAddr::from((v4, 9));
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
    socket.is_ok_and(|socket| {
        let is_refused = |e: io::Error| e.raw_os_error() == Some(libc::EACCES);
        socket.connect(to).is_err_and(is_refused)
            && socket.set_broadcast(true).is_ok()
            && socket.connect(to).is_ok()
    })
}

/// An error that socket(), bind(), connect() or send() itself returned for a peer. What the network
/// answered is left to the caller: on loopback, a call returns that as well.
pub fn error_of_this_host(error: &io::Error, what: &str, to: SocketAddr) -> Option<ProbeError> {
    if let Some(reason) = local_reason(error) {
        return Some(ProbeError::unmeasured(reason, format!("{what}: {error}")));
    }
    match error.raw_os_error()? {
        libc::EPERM | libc::EACCES => Some(ProbeError::unmeasured(
            Reason::Permission,
            format!("{what}: {error}"),
        )),
        libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN => Some(ProbeError::unmeasured(
            Reason::LocalNetwork,
            format!("{what}: {error}: this host has no way there"),
        )),
        libc::EAFNOSUPPORT
        | libc::EPFNOSUPPORT
        | libc::EPROTONOSUPPORT
        | libc::ESOCKTNOSUPPORT
        | libc::ENODEV
        | libc::ENXIO => Some(ProbeError::unmeasured(
            Reason::LocalNetwork,
            format!("{what}: {error}: this host does not support such an address"),
        )),
        // A blackhole route, or a source address from which no way leads there.
        libc::EINVAL if !has_no_zone(to) => Some(ProbeError::unmeasured(
            Reason::LocalNetwork,
            format!("{what}: {error}: a route or the source address of this host forbids it"),
        )),
        _ => None,
    }
}

/// What Linux makes of ICMP errors (net/ipv4/icmp.c, net/ipv6/icmp.c): "administratively
/// prohibited" of ICMPv6 is EACCES, "fragmentation needed" of a datagram is EMSGSIZE, and "protocol
/// unreachable" is ENOPROTOOPT.
fn is_unreachable(errno: Option<i32>) -> bool {
    matches!(
        errno,
        Some(
            libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::ENETDOWN
                | libc::EPROTO
                | libc::EACCES
                | libc::EPERM
                | libc::EMSGSIZE
                | libc::ENOPROTOOPT
        )
    )
}

/// An error that arrived from the network for a connection attempt.
pub fn connect_error(error: &io::Error) -> ProbeError {
    if let Some(reason) = local_reason(error) {
        return ProbeError::unmeasured(reason, format!("connect: {error}"));
    }
    let cause = match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => Cause::ConnectRefused,
        Some(libc::ETIMEDOUT) => Cause::ConnectTimeout,
        // A link-local address without a zone.
        Some(libc::EINVAL) => Cause::ConnectUnreachable,
        errno if is_unreachable(errno) => Cause::ConnectUnreachable,
        _ => Cause::ConnectReset,
    };
    ProbeError::down(cause, format!("connect: {error}"))
}

/// An error while reading from or writing to a connection that stood; `end` names what a clean end
/// of stream means.
pub fn stream_error(error: &io::Error, end: Cause) -> ProbeError {
    if let Some(reason) = local_reason(error) {
        return ProbeError::unmeasured(reason, format!("connection: {error}"));
    }
    if let Some(inner) = error
        .get_ref()
        .and_then(|e| e.downcast_ref::<rustls::Error>())
    {
        return of_tls(inner);
    }
    let cause = match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::WriteZero => end,
        io::ErrorKind::TimedOut => Cause::FirstByteTimeout,
        _ if is_unreachable(error.raw_os_error()) => Cause::ConnectUnreachable,
        _ => Cause::ConnectReset,
    };
    // The TLS layer's text ends with the address of its own manual.
    let text = error.to_string();
    let text = text.split(": https://").next().unwrap_or_default();
    ProbeError::down(cause, format!("connection: {text}"))
}

/// The cause behind an error of the TLS layer. What was wrong with a certificate stands in the
/// verifier's verdict.
fn of_tls(error: &rustls::Error) -> ProbeError {
    use rustls::Error as E;
    match error {
        E::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate,
        ) => ProbeError::down(Cause::TlsClientAuth, format!("tls: {error}")),
        E::AlertReceived(
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity,
        ) => ProbeError::down(
            Cause::TlsHandshake,
            format!(
                "tls: {error}: the server shares no cipher suite with this prober, which offers \
                    TLS 1.3 and, of TLS 1.2, ECDHE with AES-GCM or ChaCha20. \
                 A server that has only CBC suites or RSA key exchange is too old: browsers that \
                 refuse it say ERR_SSL_VERSION_OR_CIPHER_MISMATCH"
            ),
        ),
        E::AlertReceived(AlertDescription::ProtocolVersion) | E::PeerIncompatible(_) => {
            ProbeError::down(
                Cause::TlsHandshake,
                format!(
                    "tls: {error}: the server offers no version of TLS that this prober accepts \
                        (1.2 and 1.3, or min_version). A server that has only TLS 1.1 or older is \
                        too old: browsers say ERR_SSL_VERSION_OR_CIPHER_MISMATCH"
                ),
            )
        }
        // Ours: a bound of this prober.
        E::General(why) => ProbeError::down(Cause::TlsHandshake, format!("tls: {why}")),
        _ => ProbeError::down(Cause::TlsHandshake, format!("tls: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV6;

    use super::*;

    #[test]
    fn a_local_errno_is_never_the_endpoints_fault() {
        for errno in [
            libc::EMFILE,
            libc::ENFILE,
            libc::EADDRNOTAVAIL,
            libc::EADDRINUSE,
            libc::ENOBUFS,
            libc::ENOMEM,
            libc::ENOSPC,
        ] {
            let error = io::Error::from_raw_os_error(errno);
            assert!(
                matches!(
                    error_of_this_host(&error, "socket", peer()),
                    Some(ProbeError::Unmeasured(..))
                ),
                "{error}"
            );
            assert!(
                matches!(connect_error(&error), ProbeError::Unmeasured(..)),
                "{error}"
            );
        }
    }

    #[test]
    fn a_broadcast_address_is_one_of_a_network_of_this_host() {
        let is_one = |text: &str| is_broadcast(text.parse().expect("an address"));
        assert!(is_one("127.255.255.255") && is_one("::ffff:127.255.255.255"));
        assert!(!is_one("127.0.0.1") && !is_one("::1"));
    }

    fn peer() -> SocketAddr {
        ([203, 0, 113, 1], 80).into()
    }

    #[test]
    fn a_call_that_this_host_cannot_do_is_ours_but_for_a_link_local_address_without_a_zone() {
        for errno in [
            libc::EAFNOSUPPORT,
            libc::EPROTONOSUPPORT,
            libc::ENODEV,
            libc::EINVAL,
        ] {
            let error = io::Error::from_raw_os_error(errno);
            assert!(
                matches!(
                    error_of_this_host(&error, "connect", peer()),
                    Some(ProbeError::Unmeasured(Reason::LocalNetwork, _))
                ),
                "{error}"
            );
        }
        let invalid = io::Error::from_raw_os_error(libc::EINVAL);
        let link_local =
            |scope| SocketAddrV6::new("fe80::1".parse().expect("an address"), 80, 0, scope).into();
        assert_eq!(error_of_this_host(&invalid, "connect", link_local(0)), None);
        assert!(matches!(
            connect_error(&invalid),
            ProbeError::Down(Cause::ConnectUnreachable, _)
        ));
        assert!(error_of_this_host(&invalid, "connect", link_local(2)).is_some());
        assert_eq!(
            error_of_this_host(
                &io::Error::from_raw_os_error(libc::ECONNREFUSED),
                "connect",
                peer()
            ),
            None,
            "loopback answers at once"
        );
    }

    #[test]
    fn every_destination_unreachable_of_icmp_says_that_the_endpoint_cannot_be_reached() {
        for errno in [libc::EMSGSIZE, libc::ENOPROTOOPT] {
            let error = io::Error::from_raw_os_error(errno);
            assert!(matches!(
                connect_error(&error),
                ProbeError::Down(Cause::ConnectUnreachable, _)
            ));
        }
    }

    #[test]
    fn unreachable_is_ours_from_the_call_and_theirs_from_the_network() {
        for (errno, reason) in [
            (libc::ENETUNREACH, Reason::LocalNetwork),
            (libc::EHOSTUNREACH, Reason::LocalNetwork),
            (libc::EACCES, Reason::Permission),
            (libc::EPERM, Reason::Permission),
        ] {
            let error = io::Error::from_raw_os_error(errno);
            assert!(
                matches!(
                    error_of_this_host(&error, "connect", peer()),
                    Some(ProbeError::Unmeasured(found, _)) if found == reason
                ),
                "{error}"
            );
            assert!(
                matches!(
                    connect_error(&error),
                    ProbeError::Down(Cause::ConnectUnreachable, _)
                ),
                "{error}"
            );
            assert!(
                matches!(
                    stream_error(&error, Cause::ConnectReset),
                    ProbeError::Down(Cause::ConnectUnreachable, _)
                ),
                "{error}"
            );
        }
    }
}
