//! Floor 6: the wiring of the daemon, and the command line.

pub mod cli;
pub mod control;
mod definitions;
pub mod demo;
mod descriptors;
pub mod early;
pub mod exit;
pub mod log;
mod pruning;
pub mod reload;
pub mod run;
pub mod start;
pub mod streams;
pub mod surroundings;
