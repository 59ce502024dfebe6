//! What others ask of the daemon: the listener, metrics, API, the operator's page, alert rules.
//!
//! Everything here reads the board and the history; nothing of it writes to either.

pub mod api;
pub mod asking;
pub mod by_component;
mod contract_metrics;
pub mod contracts;
pub mod exposition;
pub mod listener;
pub mod openmetrics;
pub mod page;
pub mod reloading;
pub mod rules;
mod runbook;
pub mod self_metrics;
pub mod server;
