//! What config, page and lints ask of a target with its spec, whatever its kind.

use std::fmt::Debug;
use std::sync::Arc;

use crate::config::document::secret::mask::Mask;
use crate::config::document::source::ConfigInputs;
use crate::config::document::tree::{Item, Layers};
use crate::config::plan::probe::Tls;

/// A target of one kind, with everything about the probe.
pub trait ProbeTarget: Sized + Debug + Clone {
    /// Everything but the target.
    type Spec;

    /// The key of the kind's table that holds the address.
    const ADDRESS_KEY: &'static str;
    /// The schemes that mean this kind on the command line of `probity probe`.
    const SCHEMES: &'static [&'static str];
    /// How an address is written there.
    const USAGE: &'static str;
    /// Whether it probes from the endpoint's `source_address`.
    const USES_SOURCE_ADDRESS: bool = true;
    /// Options of `probity probe` that this kind has and some other kind has not.
    const OPTIONS: &'static [&'static str] = &[];
    /// Whether it sends echo requests: a process may have no permission for their sockets.
    const NEEDS_ECHO_SOCKET: bool = false;
    /// Whether an answer can lead the probe to another host, whose name is then resolved.
    const LEADS_ELSEWHERE: bool = false;

    /// The lines of config that such an address stands for.
    fn lines(scheme: &str, rest: &str) -> String;

    /// Reads the kind's table; each fault is noted where it is.
    fn read(layers: &Layers, inputs: &dyn ConfigInputs) -> Self::Spec;

    /// The probe of an address, or nothing after a fault.
    fn aimed(spec: Arc<Self::Spec>, text: &str, at: &Item) -> Option<Self>;

    /// As config, every default filled in, every secret masked.
    fn print(&self, out: &mut String);

    fn host(&self) -> &str;

    /// The target as it may be shown.
    fn shown(&self) -> String;

    /// What the digest of the definition is made over. Histories record it: it never changes for
    /// a definition that means the same.
    fn digested(&self) -> String;

    /// Hides what is secret in what an endpoint gives back.
    fn mask(&self) -> Option<&Mask> {
        None
    }

    /// The same without its secrets.
    fn without_secrets(&self) -> Self {
        self.clone()
    }

    /// The zone of a link-local address that the host cannot hold.
    fn zone(&self) -> Option<&Arc<str>> {
        None
    }

    /// How TLS is spoken where it is.
    fn tls(&self) -> Option<&Tls> {
        None
    }

    /// True where a certificate is looked at.
    fn is_secured(&self) -> bool {
        false
    }

    /// What `probity check` notes of it.
    fn notes(&self) -> Vec<Note> {
        Vec::new()
    }
}

/// What a person should know of a target before it is probed. `probity check` says it once for all
/// endpoints with a note about the same.
#[derive(Debug)]
pub struct Note {
    pub about: &'static str,
    /// What follows the name of the endpoint, where there is one.
    pub one: String,
    /// What follows the number of the endpoints, where there are several.
    pub many: String,
}

impl Note {
    /// `text` is given the verb as it is of one endpoint, and as it is of several.
    pub fn new(about: &'static str, verb: [&str; 2], text: impl Fn(&str) -> String) -> Self {
        let [one, many] = verb.map(text);
        Self { about, one, many }
    }
}

/// A TOML string; JSON's escapes are among TOML's.
pub fn toml(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
