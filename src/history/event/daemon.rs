//! The daemon itself: its starts and ends, its clock, its disk, its network.

use serde::{Deserialize, Serialize};

use super::Word;
use crate::words::Ms;

/// The daemon started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DaemonStartedEvent {
    pub version: String,
    /// Of the kernel.
    pub boot_id: String,
    /// Nanoseconds since the host booted.
    pub boot_ns: u64,
    /// The format of the history, since hours are kept until their day is sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vantage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone_data: Option<ZoneRelease>,
    /// The last commit before; left out at the first start of a history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_mark_ms: Option<Ms>,
    /// It had been stopped in order; left out at the first start of a history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by_itself: Option<bool>,
}

/// The copy of the time zones that a daemon uses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ZoneRelease {
    pub source: Word,
    pub release: String,
}

/// The daemon ended in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DaemonStoppedEvent {
    pub boot_ns: u64,
}

/// Another config is in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReloadedEvent {
    /// How many endpoints were added.
    pub added: u64,
    pub removed: u64,
    pub changed: u64,
}

/// The wall clock was set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClockStepEvent {
    pub step_ms: i64,
    /// What the clock showed minus the timeline, before.
    pub offset_before_ms: i64,
    /// The same from `at_ms` on.
    pub offset_after_ms: i64,
    pub boot_ns: u64,
}

/// The disk took nothing for a while: events since `from_ms` were recorded only now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedLateEvent {
    pub from_ms: Ms,
}

/// Events found no room in memory while the disk took nothing. What they were about is unknown
/// time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryGapEvent {
    /// How many events are missing.
    pub dropped: u64,
    /// How many endpoints they were about; early versions did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<u64>,
    /// Whether the endpoints' counters have the missing time as unknown; early versions counted it
    /// as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_in_counters: Option<bool>,
    pub why: Word,
}

/// No quorum of witnesses answers: failures count as the prober's own network's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WitnessesSilentEvent {
    /// Those that answer.
    pub answering: Vec<String>,
    /// How many there are.
    pub witnesses: u64,
}

/// A quorum of witnesses answers again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WitnessesAnswerEvent {
    pub answering: Vec<String>,
    pub witnesses: u64,
}
