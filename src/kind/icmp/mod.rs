//! The icmp kind: an echo request and its reply.

mod read;
pub mod run;
pub mod spec;

use std::sync::Arc;

use self::spec::Icmp;
use super::target::{ProbeTarget, toml};
use crate::config::document::address::host;
use crate::config::document::source::ConfigInputs;
use crate::config::document::tree::{Item, Layers};
use crate::config::print::probe::print_within;

/// A host with the size of its requests.
#[derive(Debug, Clone)]
pub struct IcmpTarget {
    pub host: Arc<str>,
    pub spec: Arc<Icmp>,
}

impl ProbeTarget for IcmpTarget {
    type Spec = Icmp;

    const ADDRESS_KEY: &'static str = "host";
    const SCHEMES: &'static [&'static str] = &["icmp"];
    const USAGE: &'static str = "icmp://";
    const USES_SOURCE_ADDRESS: bool = false;
    const NEEDS_ECHO_SOCKET: bool = true;

    fn lines(_: &str, rest: &str) -> String {
        format!("probe.icmp.host = {}", toml(rest))
    }

    fn read(layers: &Layers, _: &dyn ConfigInputs) -> Icmp {
        read::spec(layers)
    }

    fn aimed(spec: Arc<Icmp>, text: &str, at: &Item) -> Option<Self> {
        host(text, at).map(|host| Self { host, spec })
    }

    fn print(&self, out: &mut String) {
        let Self { host, spec } = self;
        let size = spec.size;
        out.push_str(&format!(
            "probe.icmp.host = \"{host}\"\nprobe.icmp.size = {size}\n"
        ));
        print_within(out, "icmp", spec.within);
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn shown(&self) -> String {
        self.host.to_string()
    }

    fn digested(&self) -> String {
        let Self { host, spec } = self;
        format!("Icmp {{ host: {host:?}, spec: {spec:?} }}")
    }
}
