//! The chain itself: another key, a restored backup, pruned events.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::present;

/// Another key signs checkpoints from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointKeyChangedEvent {
    pub key_before: String,
    pub key: String,
    /// The sentence of the key before that this one follows it, signed; `null` where that key was
    /// no longer there, left out by early versions.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub vouch: Option<Value>,
}

/// A backup took the place of the history. Events after it were in the old chain only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestoredEvent {
    pub old_chain: String,
    /// The last event of the backup, and its hash.
    pub old_seq: u64,
    pub old_head: String,
    pub new_chain: String,
    pub by: String,
    /// RFC 3339: the last commit of the backup.
    pub backup_until: Option<String>,
}

/// Old events were deleted; a signed record stands for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrunedEvent {
    /// The last deleted event, and its hash.
    pub last: u64,
    pub head: String,
    /// RFC 3339: figures before are unknown.
    pub until: String,
    /// Of the signed record.
    pub stub_sha256: String,
    pub by: String,
}
