//! Options of `probity status`.

use clap::{Args, ValueEnum};

use super::place::ConfigArg;

#[derive(Debug, Args)]
pub struct Status {
    /// Only endpoints with these names; * is any text, ? one character.
    pub names: Vec<String>,
    /// URL of the daemon [default: as in the config, else http://127.0.0.1:9847].
    #[arg(long)]
    pub url: Option<String>,
    #[command(flatten)]
    pub config: ConfigArg,
    /// Only endpoints in these states, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATE")]
    pub state: Vec<StatusState>,
    /// Only endpoints with this label, as KEY=VALUE. Can be repeated: all of them must match.
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// Order of the rows [default: as in the config].
    #[arg(long, value_enum)]
    pub sort: Option<StatusOrder>,
    /// Only whether the daemon is ready: 0 if it is, else 69. For health checks.
    #[arg(long, conflicts_with_all = ["names", "state", "label", "sort", "watch", "json"])]
    pub ready: bool,
    /// Refresh every two seconds until interrupted.
    #[arg(long)]
    pub watch: bool,
    #[arg(long, help = "Print JSON (schema probity-endpoints/1)")]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusState {
    Up,
    Down,
    Unknown,
}

impl StatusState {
    /// As the API has it.
    pub fn as_str(self) -> &'static str {
        match self {
            StatusState::Up => "up",
            StatusState::Down => "down",
            StatusState::Unknown => "unknown",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusOrder {
    Name,
    /// Down, unknown, up.
    State,
    /// The newest change first.
    Since,
    /// The slowest last probe first.
    Latency,
}
