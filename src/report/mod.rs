//! The report of a contract over a period: one signed object, and what is rendered from it.
//!
//! [`build`] makes the object, an [`object::ContractReport`]; a [`mod@format`] shows its figures
//! and computes none. [`check`] recomputes all of it from the events.

pub mod answer;
pub mod blocks;
pub mod build;
pub mod change_words;
pub mod changed;
pub mod check;
pub mod csv;
pub mod difference;
mod earlier;
mod expected;
pub mod format;
pub mod html;
pub mod latency;
mod listing;
pub mod markdown;
pub mod object;
pub mod outages;
pub mod prober;
pub mod ruling;
pub mod sla;
pub mod terms;
pub mod words;
