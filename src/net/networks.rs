//! Which kind of network an address belongs to, for the redirects of the http kind: a table of
//! ranges, and one question to the kernel about addresses of this host.
//!
//! An IPv6 address that carries an IPv4 one (mapped, translated, NAT64, 6to4, Teredo) is what that
//! one is: whoever connects to it ends up there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Where an address leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The internet.
    Public,
    /// This host itself.
    Loopback,
    /// The wire that this host is on; services of clouds that answer each machine for itself are
    /// there, too.
    LinkLocal,
    /// RFC 1918, unique local IPv6, shared (100.64.0.0/10) and benchmarking addresses.
    Private,
    /// Unspecified, multicast and reserved ones: no single host's.
    Reserved,
}

impl Network {
    pub fn as_str(self) -> &'static str {
        match self {
            Network::Public => "public",
            Network::Loopback => "loopback",
            Network::LinkLocal => "link-local",
            Network::Private => "private",
            Network::Reserved => "reserved",
        }
    }
}

pub fn network_of(address: IpAddr) -> Network {
    match address {
        IpAddr::V4(v4) => of_v4(v4),
        IpAddr::V6(v6) => embedded(v6).map_or_else(|| of_v6(v6), of_v4),
    }
}

/// Whether connections to an address end up at this host: it is one of an interface. Sends nothing.
///
/// A socket can be bound only to such an address. Where the kernel allows every address
/// (`ip_nonlocal_bind`), it is known by the source address that the kernel chooses for it.
pub fn is_of_this_host(address: IpAddr) -> bool {
    let carried = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => embedded(v6).map(IpAddr::V4),
    };
    [Some(address), carried]
        .into_iter()
        .flatten()
        .any(|address| {
            let (unspecified, nobodys): (IpAddr, IpAddr) = match address {
                IpAddr::V4(_) => (
                    Ipv4Addr::UNSPECIFIED.into(),
                    Ipv4Addr::new(240, 0, 0, 1).into(),
                ),
                IpAddr::V6(_) => (
                    Ipv6Addr::UNSPECIFIED.into(),
                    Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1).into(),
                ),
            };
            // An address whose ports are all in use is this host's, too.
            let can_bind = |address: IpAddr| match UdpSocket::bind((address, 0)) {
                Ok(_) => true,
                Err(error) => error.kind() == std::io::ErrorKind::AddrInUse,
            };
            let source = || {
                UdpSocket::bind((unspecified, 0))
                    .and_then(|s| s.connect((address, 9)).and_then(|()| s.local_addr()))
            };
            can_bind(address)
                && (!can_bind(nobodys) || source().is_ok_and(|source| source.ip() == address))
        })
}

fn of_v4(v4: Ipv4Addr) -> Network {
    match v4.octets() {
        [127, ..] => Network::Loopback,
        // The second is what Azure answers each of its machines at.
        [169, 254, ..] | [168, 63, 129, 16] => Network::LinkLocal,
        [10, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [100, 64..=127, ..]
        | [198, 18 | 19, ..]
        | [192, 0, 0, _] => Network::Private,
        [0 | 224..=255, ..] => Network::Reserved,
        _ => Network::Public,
    }
}

fn of_v6(v6: Ipv6Addr) -> Network {
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Network::Loopback,
        // Prefixes of a translator of this network (RFC 8215), and what was site-local.
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] => Network::Private,
        [0xfe80..=0xfebf, ..] => Network::LinkLocal,
        [0, ..] | [0x100, 0, 0, 0, ..] | [0xff00..=0xffff, ..] => Network::Reserved,
        _ => Network::Public,
    }
}

/// The IPv4 address that an IPv6 one stands for.
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // Mapped, translated (SIIT), and the compatible form of old.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0, 0, 0, 0, 0, 0, high, low] => of(high, low),
        // NAT64 (RFC 6052) and 6to4 (RFC 3056).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => of(high, low),
        // Teredo: the client's address, inverted (RFC 4380).
        [0x2001, 0, _, _, _, _, high, low] => of(!high, !low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_belongs_to_its_network_in_every_form() {
        use Network::*;
        for (text, network) in [
            ("8.8.8.8", Public),
            ("11.0.0.1", Public),
            ("9.255.255.255", Public),
            ("172.15.255.255", Public),
            ("172.32.0.0", Public),
            ("192.167.255.255", Public),
            ("192.169.0.0", Public),
            ("100.63.255.255", Public),
            ("100.128.0.0", Public),
            ("169.253.255.255", Public),
            ("203.0.113.7", Public),
            ("126.255.255.255", Public),
            ("128.0.0.1", Public),
            ("2606:4700::1111", Public),
            ("2001:db8::1", Public),
            ("127.0.0.1", Loopback),
            ("127.255.255.254", Loopback),
            ("::1", Loopback),
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:0:127.0.0.1", Loopback),
            ("::127.0.0.1", Loopback),
            ("64:ff9b::7f00:1", Loopback),
            ("2002:7f00:1::", Loopback),
            ("2001:0:53aa:64c::80ff:fffe", Loopback),
            ("169.254.169.254", LinkLocal),
            ("168.63.129.16", LinkLocal),
            ("168.63.129.15", Public),
            ("168.63.129.17", Public),
            ("64:ff9b::a83f:8110", LinkLocal),
            ("::ffff:169.254.169.254", LinkLocal),
            ("64:ff9b::169.254.169.254", LinkLocal),
            ("2002:a9fe:a9fe::1", LinkLocal),
            ("fe80::1", LinkLocal),
            ("febf::1", LinkLocal),
            ("10.0.0.0", Private),
            ("10.255.255.255", Private),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("192.168.0.1", Private),
            ("100.64.0.1", Private),
            ("100.127.255.255", Private),
            ("198.18.0.1", Private),
            ("198.19.255.255", Private),
            ("192.0.0.8", Private),
            ("fc00::1", Private),
            ("fdff:ffff::1", Private),
            ("fec0::1", Private),
            ("64:ff9b:1::1", Private),
            ("::ffff:10.0.0.1", Private),
            ("64:ff9b::a00:1", Private),
            ("2002:c0a8:1::1", Private),
            ("::ffff:100.64.0.1", Private),
            ("0.0.0.0", Reserved),
            ("0.1.2.3", Reserved),
            ("224.0.0.1", Reserved),
            ("255.255.255.255", Reserved),
            ("240.0.0.1", Reserved),
            ("::", Reserved),
            ("::ffff:0.0.0.0", Reserved),
            ("ff02::1", Reserved),
            ("100::1", Reserved),
            ("::ffff:8.8.8.8", Public),
            ("64:ff9b::808:808", Public),
            ("2002:808:808::1", Public),
        ] {
            assert_eq!(
                network_of(text.parse().expect("an address")),
                network,
                "{text}"
            );
        }
    }
    #[test]
    fn an_address_of_an_interface_is_of_this_host_and_no_other() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        for own in [
            "127.0.0.1",
            "127.0.0.2",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ] {
            assert!(is_of_this_host(address(own)), "{own}");
        }
        // The source address towards others, where there is a way to them.
        let source = UdpSocket::bind("0.0.0.0:0")
            .and_then(|s| s.connect("192.0.2.1:9").and_then(|()| s.local_addr()));
        if let Ok(own) = source {
            assert!(is_of_this_host(own.ip()), "{own}");
        }
        for other in [
            "192.0.2.1",
            "198.51.100.7",
            "2001:db8::7",
            "64:ff9b::c000:201",
            "::ffff:192.0.2.1",
        ] {
            assert!(!is_of_this_host(address(other)), "{other}");
        }
    }
}
