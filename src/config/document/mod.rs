//! The document: TOML as a tree that knows where each key and value is, and the values that any
//! kind of probe may have.
//!
//! It knows no probe kind and no plan.

pub mod address;
pub mod common;
pub mod expression;
pub mod problem;
pub mod search;
pub mod secret;
pub mod source;
pub mod tree;
pub mod value;
pub mod zone;
