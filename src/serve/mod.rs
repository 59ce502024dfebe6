//! What others ask of the daemon: the listener, metrics, API, the operator's page, alert rules.
//!
//! Everything here reads the board and the history; nothing of it writes to either.

pub mod answers;
pub mod api;
pub mod asking;
pub mod by_component;
mod component_members;
pub mod contracts;
pub mod listener;
pub mod metrics;
pub mod openmetrics;
pub mod page;
pub mod pages;
pub mod reloading;
pub mod rules;
mod runbook;
pub mod server;
pub mod status_page;
