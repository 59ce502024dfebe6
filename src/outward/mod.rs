//! Floor 3: what touches the world: clocks, sockets, names, the history's database, notifications.
//!
//! A prober returns an outcome: it knows no metrics and no state, and it never fails.

mod above;
pub mod apart;
pub mod authorities;
pub mod budget;
pub mod certificate;
pub mod clock;
pub mod clock_trust;
pub mod config_files;
pub mod confine;
mod control_names;
pub mod deadman;
pub mod dial;
pub mod dialogue;
pub mod dns_exchange;
pub mod dns_message;
mod dns_svcb;
pub mod dns_text;
pub mod files;
pub mod guarded;
pub mod halt;
pub mod history;
pub mod http1;
pub mod http2;
pub mod net;
pub mod networks;
pub mod notify;
pub mod own_calls;
pub mod own_names;
pub mod peer;
pub mod probe;
pub mod resolve;
pub mod resolver_files;
pub mod stream;
pub mod sys;
pub mod tls;
pub mod trace;
pub mod verifier;
pub mod zone_data;
