//! Probity: a synthetic uptime probe daemon whose availability figures survive a dispute.
//!
//! The library consists of rooms on floors. A file uses its own floor and those below, never one
//! above; tests/tidy proves it.
//!
//! | floor | room | what it holds |
//! |---|---|---|
//! | 0 | [`words`] | endpoint, outcome, cause, reason, time, units for people |
//! | 1 | [`judgement`] | schedule, state, ledger, timeline, contracts: pure, time is an argument |
//! | 2 | [`config`] | TOML text to a checked plan, or all errors with line and column |
//! | 3 | [`net`] | clocks, system calls, resolver, dialing, TLS, HTTP, files |
//! | 4 | [`kind`] | the probe kinds, and what a probe of any kind shares |
//! | 5 | [`history`] | the database: signed events, tallies, backups, verification |
//! | 6 | [`notify`] | delivery of notifications, and the dead man's switch |
//! | 7 | [`engine`] | scheduler, recorder (sole owner of state), published state, simulation |
//! | 8 | [`account`] | figures over periods, without HTTP |
//! | 9 | [`report`] | the signed report of a contract, its formats, its verification |
//! | 10 | [`serve`] | listener, metrics, API, the operator's page, alert rules |
//! | 11 | [`daemon`] | start, run, reload, control socket |
//! | 12 | [`cli`] | the command line, one file for each command |
//!
//! Start reading at [`judgement::state`], the heart; then [`engine::recorder`] and
//! [`engine::drive`]. ARCHITECTURE.md follows one observation, one reload and one figure through
//! all floors, and says where to look for what. CONTRIBUTING.md has the steps for a new probe kind,
//! metric, config key, event or report format. docs/glossary.md defines the words; its last part
//! those of the code.

pub mod account;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod engine;
pub mod history;
pub mod judgement;
pub mod kind;
pub mod net;
pub mod notify;
pub mod report;
pub mod serve;
pub mod words;
