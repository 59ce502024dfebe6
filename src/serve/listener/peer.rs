//! Who asks the listener, and what it may expect.

use std::fmt;
use std::net::IpAddr;

use crate::words::Ms;

/// An address, or the /64 of one, which is what one subscriber of IPv6 has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer(IpAddr);

impl Peer {
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => Self(IpAddr::V6((v6.to_bits() & (u128::MAX << 64)).into())),
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

/// What a peer may expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerStanding {
    Unknown,
    /// Took an answer lately.
    Good,
    /// Took one lately that was made for it (metrics, API or page), and has kept none waiting for
    /// longer than a moment since.
    Prompt,
    /// Named by the config.
    Trusted,
}

/// Who asks; routes get it as an extension of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    pub peer: Peer,
    pub standing: PeerStanding,
    /// Since when it has been prompt without a break; 0 for any other standing. Among equals the
    /// one that has shown for longest that it takes its answers comes first.
    pub since_ms: Ms,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_64_are_one_peer() {
        let peer = |text: &str| Peer::of(text.parse().expect("an address"));
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:0:0:1"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
        assert_eq!(peer("2001:db8::1").to_string(), "2001:db8::/64");
        assert_eq!(peer("192.0.2.1").to_string(), "192.0.2.1");
    }
}
