//! `[listen]`: where the daemon's own HTTP listener is, whom it trusts, and its bounds.
//!
//! `[daemon] listen = "127.0.0.1:9847"` is the short form of `[listen] address`.

use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr};

use super::document::secret::{MASK, Secret};
use super::document::value::show_duration;
use crate::words::Ms;

/// Default of `[listen] address`.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:9847";
/// Default of `[listen] max_connections`.
pub const DEFAULT_MAX_CONNECTIONS: usize = 512;
/// Default of `[listen] head_timeout`.
pub const DEFAULT_HEAD_TIMEOUT: Ms = 5000;
/// Default of `[listen] idle_timeout`.
pub const DEFAULT_IDLE_TIMEOUT: Ms = 60_000;
/// Default of `[listen] answer_timeout`.
pub const DEFAULT_ANSWER_TIMEOUT: Ms = 60_000;

/// In `allowed_hosts`: any name.
pub const ANY_HOST: &str = "*";

/// The listener and its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    pub address: SocketAddr,
    /// Names that requests may give in `Host`, beside the listener's own; in lower case.
    pub allowed_hosts: Vec<String>,
    /// What a request must show to change state.
    pub token: Option<Secret>,
    /// Networks whose peers find a place at any time, however many connections they have.
    pub trusted: Vec<AddressPrefix>,
    pub max_connections: usize,
    /// Of one peer address; `None`: a quarter of the above.
    pub max_connections_per_peer: Option<usize>,
    /// From the accept, or from the first byte of a later request, to the end of its head.
    pub head_timeout: Ms,
    /// How long a connection may stay open between two requests.
    pub idle_timeout: Ms,
    /// How long the daemon waits, in sum, for a client to take one answer.
    pub answer_timeout: Ms,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: DEFAULT_LISTEN.parse().expect("a constant address"),
            allowed_hosts: Vec::new(),
            token: None,
            trusted: Vec::new(),
            max_connections: DEFAULT_MAX_CONNECTIONS,
            max_connections_per_peer: None,
            head_timeout: DEFAULT_HEAD_TIMEOUT,
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
            answer_timeout: DEFAULT_ANSWER_TIMEOUT,
        }
    }
}

impl Listen {
    pub fn per_peer(&self) -> usize {
        self.max_connections_per_peer
            .unwrap_or((self.max_connections / 4).max(1))
    }

    /// Who can read what, where that is more than this host.
    pub fn exposure(&self) -> Option<String> {
        if self.address.ip().is_loopback() {
            return None;
        }
        let changes = if self.token.is_some() {
            "a reload over HTTP needs the token"
        } else {
            "nothing can be changed over HTTP, as there is no `[listen] token`"
        };
        let address = self.address;
        Some(format!(
            "every client that reaches {address} can read metrics, endpoint names, targets, \
                outages and contracts, without TLS and without a password; {changes}"
        ))
    }

    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(peer))
    }
}

/// Addresses that share their first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressPrefix {
    address: IpAddr,
    bits: u8,
}

impl AddressPrefix {
    /// `10.0.0.0/8`, `fd00::/8`, or one address.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address.parse::<IpAddr>().ok()?, bits.parse().ok()?),
            None => {
                let address = text.parse::<IpAddr>().ok()?;
                (address, width(address))
            }
        };
        // Bits behind the prefix are a slip: `10.1.0.0/8` may be meant as /16.
        let is_clean =
            bits <= width(address) && number(address) == number(address) & mask(address, bits);
        is_clean.then_some(Self { address, bits })
    }

    pub fn contains(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        peer.is_ipv4() == self.address.is_ipv4()
            && number(peer) & mask(peer, self.bits) == number(self.address)
    }
}

impl fmt::Display for AddressPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn mask(address: IpAddr, bits: u8) -> u128 {
    let free = u32::from(width(address) - bits.min(width(address)));
    u128::MAX.checked_shl(free).unwrap_or(0)
}

pub(super) fn print(out: &mut String, listen: &Listen) {
    let _ = writeln!(out, "\n[listen]\naddress = \"{}\"", listen.address);
    if !listen.allowed_hosts.is_empty() {
        let list: Vec<String> = listen
            .allowed_hosts
            .iter()
            .map(|n| format!("\"{n}\""))
            .collect();
        let _ = writeln!(out, "allowed_hosts = [{}]", list.join(", "));
    }
    if listen.token.is_some() {
        let _ = writeln!(out, "token = \"{MASK}\"");
    }
    if !listen.trusted.is_empty() {
        let list: Vec<String> = listen.trusted.iter().map(|n| format!("\"{n}\"")).collect();
        let _ = writeln!(out, "trusted = [{}]", list.join(", "));
    }
    let _ = writeln!(
        out,
        "max_connections = {}\nmax_connections_per_peer = {}",
        listen.max_connections,
        listen.per_peer()
    );
    for (key, ms) in [
        ("head_timeout", listen.head_timeout),
        ("idle_timeout", listen.idle_timeout),
        ("answer_timeout", listen.answer_timeout),
    ] {
        let _ = writeln!(out, "{key} = \"{}\"", show_duration(ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(network: &str, peer: &str) -> bool {
        AddressPrefix::parse(network)
            .expect("a network")
            .contains(peer.parse().expect("an address"))
    }

    #[test]
    fn a_network_holds_the_addresses_that_begin_as_it_does() {
        for (network, peer, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe80::1", false),
        ] {
            assert_eq!(is_in(network, peer), expected, "{network} {peer}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "shop.example",
            "10.0.0.0/33",
            "10.1.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "::/129",
            "10.0.0.0/8/8",
        ] {
            assert_eq!(AddressPrefix::parse(text), None, "{text}");
        }
    }
}
