//! Redirects and trust: what of the config belongs to each hop of a chain, and to which addresses
//! one may lead.
//!
//! What a server says in a Location is the word of a stranger. Identity and secrets stay with the
//! origin of the config, the trust that the config lends stays with its host, and no hop leads into
//! a network that the chain was not let into: docs/decisions/036-redirects.md.

use std::net::IpAddr;

use super::spec::RedirectsTo;
use crate::net::networks::{Network, is_of_this_host, network_of};
use crate::net::origin::HopOrigin;
use crate::net::probe_error::ProbeError;
use crate::words::{Cause, Reason};

impl HopOrigin {
    /// An error without the words of a stranger: they stand in quotes. The causes are those that
    /// quote an answer.
    pub fn without_words(self, err: ProbeError) -> ProbeError {
        match (self, err) {
            (
                HopOrigin::Foreign,
                ProbeError::Down(
                    cause @ (Cause::HttpMalformed
                    | Cause::HttpTruncated
                    | Cause::ProtocolError
                    | Cause::DecodeError
                    | Cause::ConnectReset
                    | Cause::TlsHandshake
                    | Cause::TlsClientAuth),
                    detail,
                ),
            ) => ProbeError::Down(cause, unquoted(detail)),
            (_, err) => err,
        }
    }

    /// The same of where a stranger leads.
    pub fn without_location(self, err: ProbeError) -> ProbeError {
        match (self, err) {
            (HopOrigin::Foreign, ProbeError::Down(cause, detail)) => {
                ProbeError::Down(cause, unquoted(detail))
            }
            (_, err) => err,
        }
    }

    /// The same of a note about an answer.
    pub fn note_without_words(self, note: String) -> String {
        match self {
            HopOrigin::Foreign => unquoted(note),
            HopOrigin::Own | HopOrigin::Upgraded => note,
        }
    }
}

/// Where a redirect leads is the target's word: that this host has no way there, or may not go
/// there, is no fault of the prober's. The hop before it was answered.
pub fn led_nowhere(err: ProbeError) -> ProbeError {
    match err {
        ProbeError::Unmeasured(Reason::LocalNetwork | Reason::Permission, why) => ProbeError::down(
            Cause::ConnectUnreachable,
            format!("the redirect leads to an address that this host cannot reach: {why}"),
        ),
        // What cannot be asked for at all is what the target wrote.
        ProbeError::Unmeasured(Reason::Internal, why) => ProbeError::down(
            Cause::RedirectPolicy,
            format!("the redirect cannot be followed: {why}"),
        ),
        err => err,
    }
}

fn unquoted(text: String) -> String {
    match text.find(['"', '`']) {
        Some(at) => format!("{}(text of another origin, not shown)", &text[..at]),
        None => text,
    }
}

/// The addresses that a chain of redirects has visited.
#[derive(Debug)]
pub struct VisitedAddresses {
    first: Option<Network>,
    been: Vec<IpAddr>,
    was_public: bool,
    is_of_this_host: fn(IpAddr) -> bool,
}

impl Default for VisitedAddresses {
    fn default() -> Self {
        Self {
            first: None,
            been: Vec::new(),
            was_public: false,
            is_of_this_host,
        }
    }
}

impl VisitedAddresses {
    /// A request of the chain went to this address.
    pub fn arrived(&mut self, address: IpAddr) {
        let address = address.to_canonical();
        let network = network_of(address);
        self.first.get_or_insert(network);
        self.was_public |= network == Network::Public;
        if !self.been.contains(&address) {
            self.been.push(address);
        }
    }

    fn is_hidden_loopback(&self, address: IpAddr) -> bool {
        (self.is_of_this_host)(address) && !self.been.iter().any(|at| (self.is_of_this_host)(*at))
    }

    /// Whether the next request may go there. The first may go wherever the config says.
    pub fn allows(&self, to: RedirectsTo, address: IpAddr) -> Result<(), ProbeError> {
        let Some(first) = self.first else {
            return Ok(());
        };
        let network = network_of(address);
        // Once a public server has had a say, only places where the chain was before it are still
        // those of the target.
        let is_own =
            network == first && (!self.was_public || self.been.contains(&address.to_canonical()));
        let (is_allowed, key, why) = match to {
            RedirectsTo::Any => return Ok(()),
            RedirectsTo::Public => (
                network == Network::Public,
                "public",
                "only public addresses are allowed".to_owned(),
            ),
            RedirectsTo::SameNetwork => {
                let why = match (network == first, first) {
                    (true, _) => "a public server led there".to_owned(),
                    (false, first) => {
                        format!("the address of the config's URL is {}", first.as_str())
                    }
                };
                (network == Network::Public || is_own, "same_network", why)
            }
        };
        // A public address of this host's own is its loopback in all but the number, unless the
        // chain was at this host before.
        let leads_here = is_allowed
            && self.was_public
            && network == Network::Public
            && self.is_hidden_loopback(address);
        let (what, why) = match (is_allowed, leads_here) {
            (true, false) => return Ok(()),
            (_, true) => (
                Network::Loopback.as_str(),
                "it is an address of this host, and a public server led there".to_owned(),
            ),
            (false, false) => (network.as_str(), why),
        };
        Err(ProbeError::down(
            Cause::RedirectPolicy,
            format!(
                "the redirect leads to {address}, a {what} address: {why} \
                    (probe.http.redirects.to = \"{key}\"; \"any\" would follow it)"
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses that requests went to, where the next would go, and whether it may under `public`
    /// and `same_network`.
    const JOURNEYS: [(&[&str], &str, bool, bool); 30] = [
        (&["198.51.100.1"], "203.0.113.1", true, true),
        (&["198.51.100.1"], "127.0.0.1", false, false),
        (&["198.51.100.1"], "10.0.0.1", false, false),
        (&["198.51.100.1"], "169.254.169.254", false, false),
        (&["198.51.100.1"], "168.63.129.16", false, false),
        (&["198.51.100.1"], "::ffff:168.63.129.16", false, false),
        (&["198.51.100.1"], "::ffff:127.0.0.1", false, false),
        (&["198.51.100.1"], "64:ff9b::a00:1", false, false),
        (&["198.51.100.1"], "fd00::1", false, false),
        (&["198.51.100.1"], "0.0.0.0", false, false),
        (&["198.51.100.1", "203.0.113.1"], "100.64.0.1", false, false),
        (&["10.0.0.1"], "10.0.0.2", false, true),
        (&["10.0.0.1"], "fd00::1", false, true),
        (&["10.0.0.1"], "198.51.100.1", true, true),
        (&["10.0.0.1"], "127.0.0.1", false, false),
        (&["10.0.0.1"], "169.254.169.254", false, false),
        (&["127.0.0.1"], "127.0.0.1", false, true),
        (&["127.0.0.1"], "::1", false, true),
        (&["127.0.0.1"], "10.0.0.1", false, false),
        // To a login in public, and back: to where the chain was, and nowhere else.
        (&["10.0.0.1", "198.51.100.1"], "10.0.0.1", false, true),
        (&["10.0.0.1", "198.51.100.1"], "10.0.0.2", false, false),
        // Public addresses of this host.
        (&["198.51.100.1"], "203.0.113.80", false, false),
        (&["198.51.100.1"], "2001:db8::80", false, false),
        (&["198.51.100.1"], "203.0.113.81", true, true),
        (
            &["198.51.100.1", "203.0.113.1"],
            "203.0.113.80",
            false,
            false,
        ),
        (&["10.0.0.1", "198.51.100.1"], "203.0.113.80", false, false),
        // The config's own target, and the other family of the same host.
        (&["203.0.113.80"], "203.0.113.80", true, true),
        (
            &["203.0.113.80", "198.51.100.1"],
            "2001:db8::80",
            true,
            true,
        ),
        (&["203.0.113.80"], "127.0.0.1", false, false),
        (&["10.0.0.1"], "203.0.113.80", true, true),
    ];

    fn of_this_host(address: IpAddr) -> bool {
        ["203.0.113.80", "2001:db8::80"]
            .iter()
            .any(|own| address.to_string() == *own)
    }

    #[test]
    fn a_chain_stays_in_the_networks_it_was_let_into() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        for (been, next, public, same) in JOURNEYS {
            let mut visited = VisitedAddresses {
                is_of_this_host: of_this_host,
                ..VisitedAddresses::default()
            };
            assert_eq!(
                visited.allows(RedirectsTo::Public, address(next)),
                Ok(()),
                "the config's own address is free"
            );
            been.iter().for_each(|at| visited.arrived(address(at)));
            for (to, is_allowed) in [
                (RedirectsTo::Public, public),
                (RedirectsTo::SameNetwork, same),
                (RedirectsTo::Any, true),
            ] {
                let found = visited.allows(to, address(next));
                assert_eq!(
                    found.is_ok(),
                    is_allowed,
                    "{been:?} -> {next}, {to:?}: {found:?}"
                );
                let Err(ProbeError::Down(cause, detail)) = found else {
                    continue;
                };
                assert_eq!(cause, Cause::RedirectPolicy);
                assert!(
                    detail.contains(next) && detail.contains("probe.http.redirects.to"),
                    "{detail}"
                );
            }
        }
    }

    #[test]
    fn what_a_stranger_said_is_left_out_of_a_halt() {
        let err = || {
            ProbeError::down(
                Cause::HttpMalformed,
                "the peer speaks SSH, not HTTP/1: it sent \"SSH-2.0 \\\"secret\\\"\"",
            )
        };
        assert_eq!(HopOrigin::Own.without_words(err()), err());
        let left = ProbeError::down(
            Cause::HttpMalformed,
            "the peer speaks SSH, not HTTP/1: it sent (text of another origin, not shown)",
        );
        assert_eq!(HopOrigin::Foreign.without_words(err()), left);
        let ours = ProbeError::down(Cause::TlsCertName, "valid for \"x\"");
        assert_eq!(HopOrigin::Foreign.without_words(ours.clone()), ours);
    }
}
