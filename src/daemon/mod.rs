//! The daemon: start, run, reload, control socket, and the files and the clock that probes rest on.

mod backups;
mod config_on_disk;
pub mod control;
mod definitions;
mod descriptors;
pub mod exit;
pub mod host_trust;
pub mod log;
mod pruning;
pub mod reload;
pub mod run;
mod service;
pub mod sighup;
pub mod start;
mod status_page;
pub mod streams;
