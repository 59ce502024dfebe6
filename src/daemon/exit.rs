//! Exit codes, as documented for each command.

use std::process::ExitCode;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, up, whole, met.
    Fine,
    /// Down, altered, failed.
    Bad,
    /// Unmeasured, unknown, not provable.
    Unknown,
    /// The command line was not understood.
    Usage,
    /// The port is in use, or no daemon answers.
    Unavailable,
    /// The state directory cannot be used.
    StateDirectory,
    /// Another daemon owns the state directory.
    Owned,
    /// What was asked for cannot be written out.
    Output,
    /// The config is refused.
    Config,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Fine => 0,
            Exit::Bad => 1,
            Exit::Unknown => 3,
            Exit::Usage => 64,
            Exit::Unavailable => 69,
            Exit::StateDirectory => 73,
            Exit::Output => 74,
            Exit::Owned => 75,
            Exit::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}
