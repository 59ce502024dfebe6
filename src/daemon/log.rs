//! Logs to standard error: text for people, JSON for machines, plain lines for the journal.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::{self, MakeWriter};

use super::streams::wants_no_color;
use crate::net::log_lines;
use crate::words::{escaped_but_colors, escaped_json, escaped_lines};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Starts logging. `level` is a filter such as `info` or `probity=debug`.
pub fn begin(format: LogFormat, level: &str) {
    let filter =
        EnvFilter::try_new(with_quiet_libraries(level)).unwrap_or_else(|_| EnvFilter::new("info"));
    let to_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let color = io::stderr().is_terminal() && !wants_no_color();
    // When nobody reads the log any more, the daemon goes on: a complaint about it would itself
    // have no reader, and end the thread.
    let builder = fmt::fmt()
        .with_env_filter(filter)
        .with_writer(EscapingWriter {
            format,
            has_colors: color,
        })
        .with_ansi(color)
        .with_target(false)
        .log_internal_errors(false);
    // A second call, as in tests, leaves the first in force.
    let _ = match (format, to_journal) {
        (LogFormat::Json, _) => builder.json().flatten_event(true).try_init(),
        (LogFormat::Text, true) => builder.without_time().try_init(),
        (LogFormat::Text, false) => builder.try_init(),
    };
}

/// Libraries that log what a peer sent, secrets that it gives back among it: whoever wants to see
/// that names them.
const TALKATIVE: [&str; 4] = ["h2", "hyper", "reqwest", "rustls"];

fn with_quiet_libraries(level: &str) -> String {
    let is_named = |library: &str| {
        level
            .split(',')
            .any(|part| part.trim_start().starts_with(library))
    };
    let quiet = TALKATIVE
        .iter()
        .filter(|library| !is_named(library))
        .map(|library| format!(",{library}=warn"));
    format!("{level}{}", quiet.collect::<String>())
}

/// Standard error. What others wrote into a log line is shown there, and not done.
#[derive(Clone, Copy)]
struct EscapingWriter {
    format: LogFormat,
    /// The colours are those of the subscriber, which escapes escape sequences in what it is given.
    has_colors: bool,
}

impl EscapingWriter {
    fn safe(self, line: &str) -> String {
        match self.format {
            LogFormat::Json => escaped_json(line),
            LogFormat::Text if self.has_colors => escaped_but_colors(line),
            LogFormat::Text => escaped_lines(line),
        }
    }
}

impl io::Write for EscapingWriter {
    /// A whole line: the subscriber writes each event at once.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        log_lines::write(self.safe(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for EscapingWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_that_show_what_a_peer_sent_are_quiet_until_they_are_named() {
        assert_eq!(
            with_quiet_libraries("debug"),
            "debug,h2=warn,hyper=warn,reqwest=warn,rustls=warn"
        );
        assert_eq!(
            with_quiet_libraries("info, h2=trace"),
            "info, h2=trace,hyper=warn,reqwest=warn,rustls=warn"
        );
        for level in [
            "debug",
            "info",
            "probity=debug",
            "warn,probity::engine=trace",
        ] {
            EnvFilter::try_new(with_quiet_libraries(level)).expect(level);
        }
    }

    #[test]
    fn what_others_wrote_into_a_line_is_shown_in_every_format() {
        let line = "WARN down detail=\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\r\n";
        let safe = |format, has_colors| EscapingWriter { format, has_colors }.safe(line);
        assert_eq!(
            safe(LogFormat::Text, false),
            "WARN down detail=\\u{1b}]0;owned\\u{7}\\u{9b}2J\\u{202e}\\r\n"
        );
        assert_eq!(
            safe(LogFormat::Text, true),
            "WARN down detail=\u{1b}]0;owned\\u{7}\\u{9b}2J\\u{202e}\\r\n",
            "the subscriber has escaped the first"
        );
        assert_eq!(
            safe(LogFormat::Json, true),
            "WARN down detail=\\u001b]0;owned\\u0007\\u009b2J\\u202e\\u000d\n"
        );
    }
}
