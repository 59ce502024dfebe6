//! The addresses of a name in the order in which they are tried.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::plan::Addresses;
use crate::net::probe_error::ProbeError;
use crate::words::Cause;

/// The addresses of the wanted family. Both families are ordered as RFC 6724 does for a host with
/// both kinds of address: IPv6 before IPv4 where this host has a way to it, interleaved as in RFC
/// 8305.
pub fn chosen(
    addresses: Vec<IpAddr>,
    wanted: Addresses,
    host: &str,
) -> Result<Vec<IpAddr>, ProbeError> {
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
        return Err(ProbeError::down(
            Cause::DnsNoAddress,
            format!("{host} has no address: {why}"),
        ));
    }
    let addresses = of_hosts;
    let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = addresses
        .into_iter()
        // An IPv4 address within IPv6 is one of no host.
        .map(|a| a.to_canonical())
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
        return Err(ProbeError::down(
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

/// Unspecified, multicast or limited broadcast: no host has such an address.
fn is_of_no_host(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    address.is_unspecified() || address.is_multicast() || is_broadcast
}
