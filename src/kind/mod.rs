//! Probe kinds: one folder for each, and one list of them.
//!
//! A folder holds `spec` (checked types), `read` (from the config's table), `print` (back as
//! config) and `run` (the probing; what kinds share of it is in [`run`]). Its `mod.rs` says by
//! [`target::ProbeTarget`] what config, page and lints ask of a target. `spec`, `read`, `print` and
//! `mod.rs` belong to the floor of the config: they open no socket. CONTRIBUTING.md lists the steps
//! for a new kind.

/// The list: the name of the kind's variants, its folder, and the type of its targets. Everything
/// that is done for each kind is made from it.
macro_rules! kinds {
    ($made:ident) => {
        $made! {
            Http http HttpTarget,
            Tcp tcp TcpTarget,
            Tls tls TlsTarget,
            Icmp icmp IcmpTarget,
            Dns dns DnsTarget,
            Udp udp UdpTarget,
        }
    };
}

pub mod dns;
pub mod http;
pub mod icmp;
pub mod run;
pub mod target;
pub mod tcp;
pub mod tls;
pub mod udp;

use std::sync::Arc;

use self::target::{Note, ProbeTarget};
use crate::config::document::secret::mask::Mask;
use crate::config::document::source::ConfigInputs;
use crate::config::document::tree::{Item, Layers};
use crate::config::plan::probe::Tls as TlsSettings;
use crate::words::people;

macro_rules! types {
    ($($kind:ident $folder:ident $target:ident,)*) => {
        /// The kind of a probe: one protocol each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($kind,)*
        }

        impl Kind {
            pub const ALL: &[Kind] = &[$(Kind::$kind,)*];

            /// A word of each kind for people: `a, b or c`.
            pub fn listed(word: fn(Kind) -> &'static str, last: &str) -> String {
                let words: Vec<&str> = Self::ALL.iter().map(|kind| word(*kind)).collect();
                people::listed(&words, last)
            }

            /// Its key under `probe`, and its label in metrics.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Kind::$kind => stringify!($folder),)*
                }
            }

            /// The key of its table that holds the address.
            pub fn address_key(self) -> &'static str {
                match self {
                    $(Kind::$kind => <$folder::$target as ProbeTarget>::ADDRESS_KEY,)*
                }
            }

            /// The schemes that mean this kind on the command line.
            pub fn schemes(self) -> &'static [&'static str] {
                match self {
                    $(Kind::$kind => <$folder::$target as ProbeTarget>::SCHEMES,)*
                }
            }

            /// How an address is written on the command line, for people.
            pub fn usage(self) -> &'static str {
                match self {
                    $(Kind::$kind => <$folder::$target as ProbeTarget>::USAGE,)*
                }
            }

            /// Whether it probes from the endpoint's `source_address`.
            pub fn uses_source_address(self) -> bool {
                match self {
                    $(Kind::$kind => <$folder::$target as ProbeTarget>::USES_SOURCE_ADDRESS,)*
                }
            }

            /// Options of `probity probe` that not every kind has, as far as this one has them.
            pub fn options(self) -> &'static [&'static str] {
                match self {
                    $(Kind::$kind => <$folder::$target as ProbeTarget>::OPTIONS,)*
                }
            }

            /// Whether it sends echo requests, for whose sockets a process may have no permission.
            pub fn needs_echo_socket(self) -> bool {
                match self {
                    $(Kind::$kind => <$folder::$target as ProbeTarget>::NEEDS_ECHO_SOCKET,)*
                }
            }

            /// Whether an answer can lead the probe to another host.
            pub fn leads_elsewhere(self) -> bool {
                match self {
                    $(Kind::$kind => <$folder::$target as ProbeTarget>::LEADS_ELSEWHERE,)*
                }
            }

            /// The lines of config that an address on the command line stands for.
            pub fn lines(self, scheme: &str, rest: &str) -> String {
                match self {
                    $(Kind::$kind => <$folder::$target as ProbeTarget>::lines(scheme, rest),)*
                }
            }

            /// Reads the table of this kind.
            pub fn spec(self, layers: &Layers, inputs: &dyn ConfigInputs) -> Spec {
                match self {
                    $(Kind::$kind => {
                        let spec = <$folder::$target as ProbeTarget>::read(layers, inputs);
                        Spec::$kind(Arc::new(spec))
                    })*
                }
            }
        }

        /// Everything about a probe but its target; many endpoints may share one.
        #[derive(Clone)]
        pub enum Spec {
            $($kind(Arc<<$folder::$target as ProbeTarget>::Spec>),)*
        }

        impl Spec {
            /// The probe of this address, or nothing after a fault.
            pub fn aimed(self, text: &str, at: &Item) -> Option<Probe> {
                match self {
                    $(Spec::$kind(spec) => {
                        <$folder::$target as ProbeTarget>::aimed(spec, text, at).map(Probe::$kind)
                    })*
                }
            }
        }

        /// What to send to where, by kind. What endpoints of one group share is behind an `Arc`.
        #[derive(Debug, Clone)]
        pub enum Probe {
            $($kind($folder::$target),)*
        }

        impl Probe {
            pub fn kind(&self) -> Kind {
                match self {
                    $(Probe::$kind(_) => Kind::$kind,)*
                }
            }

            /// Hides what is secret in what an endpoint gives back.
            pub fn mask(&self) -> Option<&Mask> {
                match self {
                    $(Probe::$kind(target) => target.mask(),)*
                }
            }

            /// The same without what nobody needs any more once the config has left; where there
            /// is no secret, the very same.
            pub fn without_secrets(&self) -> Self {
                match self {
                    $(Probe::$kind(target) => Probe::$kind(target.without_secrets()),)*
                }
            }

            pub fn host(&self) -> &str {
                match self {
                    $(Probe::$kind(target) => target.host(),)*
                }
            }

            /// The target as it may be shown: secrets were never part of it.
            pub fn target(&self) -> String {
                match self {
                    $(Probe::$kind(target) => target.shown(),)*
                }
            }

            /// The zone of a link-local address that the host cannot hold.
            pub fn zone(&self) -> Option<&Arc<str>> {
                match self {
                    $(Probe::$kind(target) => target.zone(),)*
                }
            }

            /// How TLS is spoken where it is: a redirect may lead to it, too.
            pub fn tls(&self) -> Option<&TlsSettings> {
                match self {
                    $(Probe::$kind(target) => target.tls(),)*
                }
            }

            /// True where a certificate is looked at.
            pub fn is_secured(&self) -> bool {
                match self {
                    $(Probe::$kind(target) => target.is_secured(),)*
                }
            }

            /// What `probity check` notes of it.
            pub fn notes(&self) -> Vec<Note> {
                match self {
                    $(Probe::$kind(target) => target.notes(),)*
                }
            }

            /// What its definition's digest is made over: secrets are masked in it.
            pub fn digested(&self) -> String {
                match self {
                    $(Probe::$kind(target) => target.digested(),)*
                }
            }

            /// As config, every default filled in.
            pub fn print(&self, out: &mut String) {
                match self {
                    $(Probe::$kind(target) => target.print(out),)*
                }
            }
        }
    };
}

kinds!(types);
