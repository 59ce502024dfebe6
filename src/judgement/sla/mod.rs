//! Contracts: from recorded time to met, missed or undetermined, and the credit that is due.
//!
//! Everything is exact: milliseconds are integers, ratios and money are fractions ([`exact`]);
//! nothing is rounded before the one place where a contract says so. Pure: the same contract and
//! the same record give the same answer anywhere.

pub mod calendar;
pub mod contract;
pub mod credit;
pub mod evaluate;
pub mod evaluation;
pub mod exact;
pub mod explain;
mod figures;
pub mod measure;
pub mod merge;
mod outages;
pub mod record;
pub mod shortest;
pub mod slices;
pub mod statistics;
