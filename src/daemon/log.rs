//! Logs to standard error: text for people, JSON for machines, plain lines for the journal.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use super::streams::wants_no_color;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Starts logging. `level` is a filter such as `info` or `probity=debug`.
pub fn begin(format: LogFormat, level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let to_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let color = std::io::stderr().is_terminal() && !wants_no_color();
    // When nobody reads the log any more, the daemon goes on: a complaint about it would itself have no reader, and end the thread.
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(color).with_target(false).log_internal_errors(false);
    // A second call, as in tests, leaves the first in force.
    let _ = match (format, to_journal) {
        (LogFormat::Json, _) => builder.json().flatten_event(true).try_init(),
        (LogFormat::Text, true) => builder.without_time().try_init(),
        (LogFormat::Text, false) => builder.try_init(),
    };
}
