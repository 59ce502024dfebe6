//! Probity: a synthetic uptime probe daemon whose availability figures survive a dispute.
//!
//! The library is laid in floors; a file uses its own floor and those below, never above (`tests/tidy.rs` proves it):
//!
//! | floor | module | what it is |
//! |---|---|---|
//! | 0 | [`words`] | the words of the field: endpoint, outcome, cause, reason, time |
//! | 1 | [`judgement`] | schedule, state, ledger, latency, timeline: pure, time is an argument |
//! | 2 | [`config`] | spanned TOML to a checked plan, or every fault with line and column |
//! | 3 | [`outward`] | clocks, sockets, one file per probe kind, the history, notifications |
//! | 4 | [`engine`] | scheduler, recorder (sole owner of state), board, and the driver around them |
//! | 5 | [`expose`] | metrics, API, the operator's page |
//! | 6 | [`daemon`] | wiring, signals, reload, command line |
//!
//! Start reading at [`judgement::state`], the heart; then [`engine::recorder`] and [`engine::drive`]. ARCHITECTURE.md
//! follows one observation through all floors.

pub mod config;
pub mod daemon;
pub mod engine;
pub mod expose;
pub mod judgement;
pub mod outward;
pub mod words;
