//! The tcp kind: a connection, and a dialogue over it.

mod notes;
mod print;
mod read;
pub mod run;
pub mod spec;

use std::sync::Arc;

use self::spec::{DialogueStep, Tcp};
use super::target::{Note, ProbeTarget, toml};
use crate::config::document::address::host_port;
use crate::config::document::secret::MaybeSecret;
use crate::config::document::secret::mask::Mask;
use crate::config::document::source::ConfigInputs;
use crate::config::document::tree::{Item, Layers};
use crate::config::plan::probe::{HostPort, Sent};

/// An address with its dialogue.
#[derive(Debug, Clone)]
pub struct TcpTarget {
    pub address: HostPort,
    pub spec: Arc<Tcp>,
}

impl ProbeTarget for TcpTarget {
    type Spec = Tcp;

    const ADDRESS_KEY: &'static str = "address";
    const SCHEMES: &'static [&'static str] = &["tcp"];
    const USAGE: &'static str = "tcp://";

    fn lines(_: &str, rest: &str) -> String {
        format!("probe.tcp.address = {}", toml(rest))
    }

    fn read(layers: &Layers, inputs: &dyn ConfigInputs) -> Tcp {
        read::spec(layers, inputs)
    }

    fn aimed(spec: Arc<Tcp>, text: &str, at: &Item) -> Option<Self> {
        host_port(text, at, None).map(|address| Self { address, spec })
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
        format!("Tcp {{ address: {address:?}, spec: {spec:?} }}")
    }

    fn mask(&self) -> Option<&Mask> {
        Some(&self.spec.mask)
    }

    fn without_secrets(&self) -> Self {
        let is_secret =
            |step: &DialogueStep| matches!(step, DialogueStep::Send(Sent(MaybeSecret::Secret(_))));
        if !self.spec.dialogue.iter().any(is_secret) {
            return self.clone();
        }
        let spec = Tcp {
            within: self.spec.within,
            ..Tcp::default()
        };
        Self {
            spec: Arc::new(spec),
            ..self.clone()
        }
    }

    fn notes(&self) -> Vec<Note> {
        notes::notes(&self.address, &self.spec)
    }
}
