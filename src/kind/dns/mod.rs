//! The dns kind: one question to one name server.

mod print;
mod read;
pub mod run;
pub mod spec;

use std::sync::Arc;

use self::spec::Dns;
use super::target::{ProbeTarget, toml};
use crate::config::dns_question::type_word;
use crate::config::document::address::host_port;
use crate::config::document::source::ConfigInputs;
use crate::config::document::tree::{Item, Layers};
use crate::config::plan::probe::HostPort;

/// A name server with the question.
#[derive(Debug, Clone)]
pub struct DnsTarget {
    pub server: HostPort,
    pub spec: Arc<Dns>,
}

impl ProbeTarget for DnsTarget {
    type Spec = Dns;

    const ADDRESS_KEY: &'static str = "server";
    const SCHEMES: &'static [&'static str] = &["dns"];
    const USAGE: &'static str = "dns://SERVER/NAME/TYPE";
    const USES_SOURCE_ADDRESS: bool = false;

    fn lines(_: &str, rest: &str) -> String {
        let mut parts = rest.splitn(3, '/');
        let server = parts.next().unwrap_or_default();
        let name = parts.next().filter(|n| !n.is_empty()).unwrap_or(".");
        let usual = if name == "." { "NS" } else { "A" };
        let record = parts.next().filter(|k| !k.is_empty()).unwrap_or(usual);
        let [server, name, record] = [server, name, record].map(toml);
        format!("probe.dns.server = {server}\nprobe.dns.query = {name}\nprobe.dns.type = {record}")
    }

    fn read(layers: &Layers, _: &dyn ConfigInputs) -> Dns {
        read::spec(layers)
    }

    fn aimed(spec: Arc<Dns>, text: &str, at: &Item) -> Option<Self> {
        host_port(text, at, Some(53)).map(|server| Self { server, spec })
    }

    fn print(&self, out: &mut String) {
        print::print(out, &self.server, &self.spec);
    }

    fn host(&self) -> &str {
        &self.server.host
    }

    fn shown(&self) -> String {
        format!(
            "{} {} {}",
            self.server,
            self.spec.query,
            type_word(self.spec.record)
        )
    }

    fn digested(&self) -> String {
        let Self { server, spec } = self;
        format!("Dns {{ server: {server:?}, spec: {spec:?} }}")
    }
}
