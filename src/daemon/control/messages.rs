//! What is asked over the control socket, and what it answers: one line of JSON each. The command
//! line writes and reads the same types as the daemon.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::account::shown::{ShownSpan, ShownSums};

/// One request, and what the user calls themselves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ControlRequest {
    pub by: Option<String>,
    #[serde(flatten)]
    pub command: ControlCommand,
}

/// What is asked. What is left out of it is refused by the daemon, which says the option to give.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do")]
pub enum ControlCommand {
    #[serde(rename = "maintenance add")]
    AddWindow(NewWindow),
    #[serde(rename = "maintenance cancel")]
    CancelWindow { id: Option<String> },
    #[serde(rename = "annotate")]
    Annotate {
        seq: Option<u64>,
        text: Option<String>,
    },
    #[serde(rename = "exclude")]
    Exclude(NewExclusion),
    #[serde(rename = "prune")]
    Prune { before: Option<String> },
    #[serde(rename = "reload")]
    Reload,
}

/// The values of `do`.
const COMMANDS: [&str; 6] = [
    "maintenance add",
    "maintenance cancel",
    "annotate",
    "exclude",
    "prune",
    "reload",
];

/// A maintenance window to declare.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewWindow {
    pub id: Option<String>,
    #[serde(default)]
    pub components: Vec<String>,
    #[serde(default)]
    pub endpoints: Vec<String>,
    pub start: Option<String>,
    pub duration_ms: Option<u64>,
    pub time_zone: Option<String>,
    #[serde(default)]
    pub every: Vec<String>,
    pub announced_at: Option<String>,
    pub reason: Option<String>,
}

/// Time to take out of the figures.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewExclusion {
    #[serde(default)]
    pub components: Vec<String>,
    #[serde(default)]
    pub endpoints: Vec<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub reason: Option<String>,
}

impl ControlRequest {
    /// Reads one line, or says why it is not a request.
    pub fn parse(line: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Named {
            #[serde(rename = "do", default)]
            command: String,
        }
        let invalid = |error| format!("invalid JSON in the request: {error}");
        let named: Named = serde_json::from_str(line).map_err(invalid)?;
        if !COMMANDS.contains(&named.command.as_str()) {
            return Err(format!("unknown request `{}`", named.command));
        }
        serde_json::from_str(line).map_err(invalid)
    }
}

/// A component that a request named by an earlier name: that name, and the one it has now.
pub type Renamed = BTreeMap<String, String>;

/// `probity-maintenance-added/1`
#[derive(Debug, Serialize, Deserialize)]
pub struct WindowAdded {
    pub schema: String,
    pub id: String,
    pub recorded_at: String,
    /// The first time for which it is in force.
    pub next: ShownSpan,
    pub contracts: Vec<Admission>,
    /// What a clock that changes makes of its start.
    pub note: Option<String>,
    #[serde(default)]
    pub renamed: Renamed,
}

/// Whether a contract takes a window out of its service time.
#[derive(Debug, Serialize, Deserialize)]
pub struct Admission {
    pub sla: String,
    pub admitted: bool,
    /// Why not, or why only a part of it.
    pub why: Option<String>,
}

/// `probity-maintenance-cancelled/1`
#[derive(Debug, Serialize, Deserialize)]
pub struct WindowCancelled {
    pub schema: String,
    pub id: String,
    pub recorded_at: String,
}

/// `probity-correction/1`
#[derive(Debug, Serialize, Deserialize)]
pub struct Correction {
    pub schema: String,
    /// `annotation` or `exclusion`.
    pub kind: String,
    pub recorded_at: String,
    /// Figures by endpoint; a note changes none.
    pub before: Option<BTreeMap<String, ShownSums>>,
    pub after: Option<BTreeMap<String, ShownSums>>,
    #[serde(default)]
    pub renamed: Renamed,
}

/// `probity-pruned/1`
#[derive(Debug, Serialize, Deserialize)]
pub struct HistoryPruned {
    pub schema: String,
    /// The newest event that was deleted.
    pub last: u64,
    pub until: String,
}

/// `probity-reloaded/1`
#[derive(Debug, Serialize, Deserialize)]
pub struct ConfigReloaded {
    pub schema: String,
    pub summary: String,
}

/// Why a request was refused.
#[derive(Debug, Serialize, Deserialize)]
pub struct RequestRefused {
    pub error: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_read_as_it_is_written() {
        let window = NewWindow {
            id: None,
            components: vec!["shop".to_owned()],
            endpoints: Vec::new(),
            start: Some("2026-12-06T02:00".to_owned()),
            duration_ms: Some(1000),
            time_zone: None,
            every: Vec::new(),
            announced_at: None,
            reason: None,
        };
        let exclusion = NewExclusion {
            components: Vec::new(),
            endpoints: Vec::new(),
            from: None,
            to: None,
            reason: None,
        };
        let commands = [
            ControlCommand::AddWindow(window),
            ControlCommand::CancelWindow { id: None },
            ControlCommand::Annotate {
                seq: Some(1),
                text: None,
            },
            ControlCommand::Exclude(exclusion),
            ControlCommand::Prune { before: None },
            ControlCommand::Reload,
        ];
        assert_eq!(commands.len(), COMMANDS.len());
        for (command, name) in commands.into_iter().zip(COMMANDS) {
            let request = ControlRequest {
                by: Some("anna".to_owned()),
                command,
            };
            let line = serde_json::to_string(&request).expect("JSON");
            assert!(line.contains(&format!("\"do\":\"{name}\"")), "{line}");
            let read = ControlRequest::parse(&line).expect(name);
            assert_eq!(format!("{read:?}"), format!("{request:?}"));
        }
    }

    #[test]
    fn a_request_that_cannot_be_answered_is_refused_with_the_reason() {
        let refused = |line: &str| ControlRequest::parse(line).expect_err(line);
        assert_eq!(refused("{\"do\": \"dance\"}"), "unknown request `dance`");
        assert_eq!(refused("{}"), "unknown request ``");
        assert!(refused("reload").starts_with("invalid JSON in the request: "));
        let number = refused("{\"do\": \"annotate\", \"seq\": \"1\"}");
        assert!(
            number.starts_with("invalid JSON in the request: "),
            "{number}"
        );
    }
}
