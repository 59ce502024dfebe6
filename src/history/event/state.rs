//! What became final of an endpoint's time: outages with their bounds, unknown time, doubt.

use serde::{Deserialize, Serialize};

use super::Word;
use crate::words::Ms;

/// An outage was confirmed. It began between the last success and the first failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DownEvent {
    /// RFC 3339, of `from_ms`.
    pub from: String,
    /// The point estimate of its begin.
    pub from_ms: Ms,
    pub from_earliest_ms: Ms,
    pub from_latest_ms: Ms,
    pub confirmed_at_ms: Ms,
    /// A word of docs/causes.md.
    pub cause: Word,
}

/// An outage ended, between the last failure and the first success.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpEvent {
    /// Where the outage began.
    pub from_ms: Ms,
    /// RFC 3339, of `to_ms`.
    pub to: String,
    /// The point estimate of its end.
    pub to_ms: Ms,
    pub to_earliest_ms: Ms,
    pub to_latest_ms: Ms,
    /// The lower bound of its downtime.
    pub lower_ms: Ms,
    /// Its downtime without the unknown time inside it.
    pub down_ms: Ms,
}

/// The endpoint left service while it was down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutageLeftEvent {
    pub from_ms: Ms,
    /// RFC 3339, of `to_ms`.
    pub to: String,
    pub to_ms: Ms,
    pub lower_ms: Ms,
    pub down_ms: Ms,
    pub why: Word,
}

/// An outage whose end found no room in the record (see `history_gap`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutageLostEvent {
    /// RFC 3339, of `to_ms`.
    pub to: String,
    pub to_ms: Ms,
    pub why: Word,
}

/// Time that is surely down: from the end of the first failed probe of a run to the start of the
/// last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProvenEvent {
    pub from_ms: Ms,
    pub to_ms: Ms,
}

/// An endpoint is back that had left: it was out of service in between.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutOfServiceEvent {
    /// RFC 3339, of `from_ms`.
    pub from: String,
    pub from_ms: Ms,
    /// RFC 3339, of `to_ms`.
    pub to: String,
    pub to_ms: Ms,
}

/// The first success of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FirstUpEvent {
    /// RFC 3339.
    pub at: String,
}

/// Unknown time began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnknownEvent {
    /// RFC 3339, of `from_ms`.
    pub from: String,
    pub from_ms: Ms,
    /// The last success before; an outage may have begun since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt_from_ms: Option<Ms>,
}

/// Unknown time ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownEvent {
    /// RFC 3339, of `from_ms`.
    pub from: String,
    pub from_ms: Ms,
    /// RFC 3339, of `to_ms`.
    pub to: String,
    pub to_ms: Ms,
    /// A word of docs/causes.md.
    pub reason: Word,
    /// The first success after it; an outage may have lasted until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt_until_ms: Option<Ms>,
}

/// Time that counts as up, and in which an outage may have been.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DoubtEvent {
    pub from_ms: Ms,
    pub to_ms: Ms,
    pub why: Word,
}

/// A failure that its retries did not confirm; the time around it counts as up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnconfirmedEvent {
    /// RFC 3339, of `from_ms`.
    pub from: String,
    pub from_ms: Ms,
    pub to_ms: Ms,
}
