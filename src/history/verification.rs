//! What a history is verified against, and what a verification can find.

use serde_json::Value;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    Whole {
        events: u64,
        head: String,
        /// Signed checkpoints that fit.
        checkpoints: u64,
        /// The history was restored from a backup so often.
        restores: u64,
    },
    /// The first event that is not what was written, and why.
    Altered { seq: u64, why: String },
    /// The checkpoint is of a chain that ended when a backup was restored; what it signed beyond
    /// the backup is gone.
    Forked { seq: u64, why: String },
    /// What was given proves nothing either way.
    NotProvable { why: String },
}

/// What to hold the history against.
#[derive(Debug, Clone, Default)]
pub struct Against {
    /// A checkpoint that left the machine earlier.
    pub since: Option<Value>,
    /// The key that must have signed, in hexadecimal; left out: any one key.
    pub key: Option<String>,
}
