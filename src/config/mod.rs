//! Floor 2: from TOML text to a checked [`plan::Plan`], or to all faults of the text at once.
//!
//! The text is read as a tree that knows where each key and value stands ([`source`], [`walk`]); [`build`] turns it into
//! a plan that cannot be wrong afterwards. This floor opens no file: texts and secrets come through
//! [`source::Surroundings`].

mod address;
pub mod build;
mod build_beside;
mod build_endpoint;
pub mod build_maintenance;
pub mod build_probe;
mod build_tls;
pub mod contract;
pub mod dns_question;
mod encoded;
mod expression;
pub mod expression_cost;
mod expression_names;
pub mod expression_needs;
pub mod expression_numbers;
mod expression_walks;
pub mod expression_words;
mod fillers;
pub mod leaf;
pub mod lint;
pub mod listen;
mod manners;
pub mod mask;
mod parts;
pub mod plan;
pub mod plan_probe;
pub mod print;
pub mod print_contract;
pub mod secret;
pub mod source;
pub mod spelling;
pub mod timeline_file;
pub mod usual_ports;
pub mod walk;
pub mod zone;

pub use build::load;
pub use build_tls::iana_name;
pub use contract::load_contracts;
pub use plan::{Endpoint, Plan};
pub use source::{Fault, OneText, Surroundings};
