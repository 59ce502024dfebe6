//! Floor 5: what others ask of the daemon: metrics, API, the operator's page.
//!
//! Everything here reads the board and the history; nothing of it writes to either.

pub mod api;
pub mod asking;
pub mod by_component;
pub mod contracts;
pub mod exposition;
pub mod figures;
pub mod listener;
pub mod openmetrics;
pub mod page;
pub mod recorded;
pub mod report;
pub mod rules;
mod rules_tests;
mod runbook;
pub mod self_metrics;
pub mod server;
pub mod sla;
