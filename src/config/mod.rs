//! Floor 2: from TOML text to a checked [`plan::Plan`], or to all faults of the text at once.
//!
//! The text is read as a tree that knows where each key and value stands in [`document`];
//! [`build`] turns it into a plan that cannot be wrong afterwards. This floor opens no file: texts
//! and secrets come through [`document::source::ConfigInputs`].

pub mod build;
pub mod contract;
pub mod dns_question;
pub mod document;
pub mod lint;
pub mod listen;
mod manners;
pub mod plan;
pub mod print;
pub mod status_page;
pub mod timeline_file;
pub mod timeline_text;
pub mod usual_ports;

#[cfg(test)]
#[path = "../../tests/support/config_inputs.rs"]
mod in_memory;

pub use build::tls::iana_name;
pub use build::{listen_in, load, state_dir_in};
pub use contract::load_contracts;
pub use document::source::{ConfigInputs, Fault, OneText};
pub use plan::{Endpoint, Plan};
