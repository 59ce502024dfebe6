//! The udp kind: one datagram, and the one that answers it.

mod print;
mod read;
pub mod run;
pub mod spec;

use std::sync::Arc;

use self::spec::{SentPart, Udp};
use super::target::{Note, ProbeTarget, toml};
use crate::config::document::address::host_port;
use crate::config::document::problem::problem;
use crate::config::document::secret::mask::Mask;
use crate::config::document::source::ConfigInputs;
use crate::config::document::tree::{Item, Layers};
use crate::config::document::zone;
use crate::config::plan::probe::HostPort;

/// An address with what is sent to it.
#[derive(Debug, Clone)]
pub struct UdpTarget {
    pub address: HostPort,
    pub spec: Arc<Udp>,
}

impl ProbeTarget for UdpTarget {
    type Spec = Udp;

    const ADDRESS_KEY: &'static str = "address";
    const SCHEMES: &'static [&'static str] = &["udp"];
    const USAGE: &'static str = "udp://";

    fn lines(_: &str, rest: &str) -> String {
        format!("probe.udp.address = {}", toml(rest))
    }

    fn read(layers: &Layers, inputs: &dyn ConfigInputs) -> Udp {
        read::spec(layers, inputs)
    }

    fn aimed(spec: Arc<Udp>, text: &str, at: &Item) -> Option<Self> {
        let address = host_port(text, at, None)?;
        if is_of_many(&address.host) {
            at.fault(
                problem!(
                    "`{address}` is a multicast or broadcast address: each host answers from its \
                        own address"
                ),
                "Write the address of one host. A probe accepts an answer from no other.",
            );
            return None;
        }
        Some(Self { address, spec })
    }

    fn print(&self, out: &mut String) {
        print::print(out, &self.address, &self.spec);
    }

    fn host(&self) -> &str {
        &self.address.host
    }

    fn shown(&self) -> String {
        self.address.to_string()
    }

    fn digested(&self) -> String {
        let Self { address, spec } = self;
        format!("Udp {{ address: {address:?}, spec: {spec:?} }}")
    }

    fn mask(&self) -> Option<&Mask> {
        Some(&self.spec.mask)
    }

    fn without_secrets(&self) -> Self {
        let is_secret = |part: &SentPart| matches!(part, SentPart::Secret(_));
        if !self.spec.send.iter().any(is_secret) {
            return self.clone();
        }
        let spec = Udp {
            expect: self.spec.expect.clone(),
            ..Udp::default()
        };
        Self {
            spec: Arc::new(spec),
            ..self.clone()
        }
    }

    fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        if self.spec.send.is_empty() {
            notes.push(Note::new("empty datagram", ["sends", "send"], |verb| {
                format!(
                    "{verb} an empty datagram ({}), which most servers do not answer: set \
                        probe.udp.send",
                    self.address
                )
            }));
        }
        if self.spec.expect.takes_any() {
            notes.push(Note::new("any datagram", ["is", "are"], |verb| {
                format!(
                    "{verb} up with any answer ({}), also with one that reports an error: set \
                        probe.udp.expect.contains, matches or equals",
                    self.address
                )
            }));
        }
        notes
    }
}

/// A group of hosts, or all of a network.
fn is_of_many(host: &str) -> bool {
    zone::address(host).is_some_and(|(address, _)| match address.to_canonical() {
        std::net::IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        std::net::IpAddr::V6(v6) => v6.is_multicast(),
    })
}
