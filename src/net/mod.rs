//! What touches the network and the operating system: clocks, sockets, names, TLS, HTTP, files,
//! system calls.
//!
//! It knows no probe kind, no history and no state; what fails here is said as a
//! [`probe_error::ProbeError`].

mod above;
pub mod apart;
pub mod authorities;
pub mod body_memory;
pub mod bounded;
pub mod certificate;
pub mod clock;
pub mod clock_trust;
pub mod config_files;
pub mod confine;
mod control_names;
pub mod datagram;
pub mod dial;
pub mod dialogue;
pub mod dns_exchange;
pub mod dns_message;
pub mod dns_text;
pub mod echo;
mod file_modes;
pub mod files;
mod first_bytes;
pub mod guarded;
pub mod http1;
pub mod http2;
pub mod http_response;
pub mod judging_threads;
pub mod log_lines;
pub mod masks_in_force;
pub mod networks;
pub mod origin;
pub mod own_calls;
pub mod own_names;
pub mod own_thread;
pub mod peer;
pub mod pins;
pub mod probe_error;
pub mod public_suffix;
pub mod resolve;
pub mod resolver_files;
pub mod shared;
pub mod stream;
pub mod sys;
mod tcp;
pub mod tls;
mod tls_spec;
pub mod trace;
pub mod verifier;
pub mod zone_data;
