//! What asks for a reload of the config, and why one can fail.

use axum::http::StatusCode;
use tokio::sync::oneshot;

use crate::config::document::source::{Fault, show_faults_only};
use crate::engine::drive::ReloadSummary;
use crate::net::apart::NotDone;

/// A request to read the config again: who asks waits at the other end.
pub type ReloadRequest = oneshot::Sender<Result<ReloadSummary, ReloadError>>;

/// Why the config before stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("{}", show_faults_only(.0))]
    Config(Vec<Fault>),
    #[error("the state directory {directory} cannot be used: {why}")]
    StateDirectory { directory: String, why: String },
    /// New endpoints could not be registered.
    #[error("{0}")]
    History(String),
    #[error(transparent)]
    NotDone(#[from] NotDone),
    #[error("the daemon is shutting down")]
    Ending,
}

impl ReloadError {
    /// One line for page, status and the service manager: nothing of it quotes the config.
    pub fn brief(&self) -> String {
        match self {
            Self::Config(faults) => {
                let first = faults.first().map(Fault::without_quotes);
                let more = match faults.len() {
                    0 | 1 => String::new(),
                    n => format!(" (and {} more)", n - 1),
                };
                first.unwrap_or_default() + &more
            }
            Self::StateDirectory { .. } => "the state directory cannot be used".to_owned(),
            Self::History(_) => "the history cannot be written".to_owned(),
            Self::NotDone(_) => "this host had no thread for it".to_owned(),
            Self::Ending => self.to_string(),
        }
    }

    /// What a client of the listener is told. Faults quote the config, which it may not be able to
    /// read: they are in the log.
    pub fn answer(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Config(_) => (
                StatusCode::BAD_REQUEST,
                "the config was refused: see the daemon's log\n",
            ),
            Self::Ending => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the daemon is shutting down\n",
            ),
            Self::StateDirectory { .. } | Self::History(_) | Self::NotDone(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the config could not be reloaded: see the daemon's log\n",
            ),
        }
    }
}
