//! The tls kind: a handshake, and the peer's certificate.

mod notes;
mod read;
pub mod run;
pub mod spec;

use std::sync::Arc;

use self::spec::TlsProbe;
use super::target::{Note, ProbeTarget, toml};
use crate::config::document::address::host_port;
use crate::config::document::source::ConfigInputs;
use crate::config::document::tree::{Item, Layers};
use crate::config::plan::probe::{HostPort, Tls};
use crate::config::print::probe::{print_tls, print_within};

/// An address with what is expected of its handshake.
#[derive(Debug, Clone)]
pub struct TlsTarget {
    pub address: HostPort,
    pub spec: Arc<TlsProbe>,
}

impl ProbeTarget for TlsTarget {
    type Spec = TlsProbe;

    const ADDRESS_KEY: &'static str = "address";
    const SCHEMES: &'static [&'static str] = &["tls"];
    const USAGE: &'static str = "tls://";
    const OPTIONS: &'static [&'static str] = &["--ca-file", "--insecure"];

    fn lines(_: &str, rest: &str) -> String {
        format!("probe.tls.address = {}", toml(rest))
    }

    fn read(layers: &Layers, inputs: &dyn ConfigInputs) -> TlsProbe {
        read::spec(layers, inputs)
    }

    fn aimed(spec: Arc<TlsProbe>, text: &str, at: &Item) -> Option<Self> {
        host_port(text, at, Some(443)).map(|address| Self { address, spec })
    }

    fn print(&self, out: &mut String) {
        out.push_str(&format!("probe.tls.address = \"{}\"\n", self.address));
        print_tls(out, "tls", &self.spec.tls);
        print_within(out, "tls", self.spec.within);
    }

    fn host(&self) -> &str {
        &self.address.host
    }

    fn shown(&self) -> String {
        self.address.to_string()
    }

    fn digested(&self) -> String {
        let Self { address, spec } = self;
        format!("Tls {{ address: {address:?}, spec: {spec:?} }}")
    }

    fn without_secrets(&self) -> Self {
        if self.spec.tls.client.is_none() {
            return self.clone();
        }
        let tls = self.spec.tls.without_identity();
        let spec = TlsProbe {
            tls,
            ..TlsProbe::clone(&self.spec)
        };
        Self {
            spec: Arc::new(spec),
            ..self.clone()
        }
    }

    fn tls(&self) -> Option<&Tls> {
        Some(&self.spec.tls)
    }

    fn is_secured(&self) -> bool {
        true
    }

    fn notes(&self) -> Vec<Note> {
        notes::notes(&self.address)
    }
}
