//! Where a command finds config and state.

use std::path::PathBuf;

use clap::Args;

/// Where the daemon's config is unless another is named.
const DEFAULT_CONFIG: &str = "/etc/probity/probity.toml";

#[derive(Debug, Args, Clone)]
pub struct ConfigArg {
    /// Config file [default: /etc/probity/probity.toml].
    #[arg(long, short = 'c')]
    pub config: Option<PathBuf>,
}

impl ConfigArg {
    /// No config is named, and none is installed. One that may not be looked at is there.
    pub fn is_missing(&self) -> bool {
        self.config.is_none() && matches!(self.path().try_exists(), Ok(false))
    }

    pub fn path(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| DEFAULT_CONFIG.into())
    }
}

#[derive(Debug, Args, Clone)]
pub struct StateArgs {
    /// State directory [default: as in the config].
    #[arg(long)]
    pub state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub config: ConfigArg,
}
