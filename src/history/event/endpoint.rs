//! Endpoints that come, change and leave.

use serde::{Deserialize, Serialize};

use crate::judgement::rules::Cadence;
use crate::words::Ms;

/// An endpoint is in service for the first time. Histories of early versions do not have its
/// digest and its cadence.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EndpointAddedEvent {
    pub component: String,
    /// The kind of its probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<String>,
    /// What is probed, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// SHA-256 of its definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<Ms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_ppm: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_after_ms: Option<Ms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<Ms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_interval_ms: Option<Ms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down_after: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_after: Option<u32>,
}

impl EndpointAddedEvent {
    /// The same with a cadence.
    pub fn every(self, c: &Cadence) -> Self {
        Self {
            interval_ms: Some(c.interval),
            jitter_ppm: Some(c.jitter_ppm),
            late_after_ms: Some(c.late_after),
            timeout_ms: Some(c.timeout),
            retry_interval_ms: Some(c.retry_interval),
            down_after: Some(c.down_after),
            up_after: Some(c.up_after),
            ..self
        }
    }

    /// Its cadence; `None` where it does not say, or no config could have it.
    pub fn cadence(&self) -> Option<Cadence> {
        let cadence = Cadence {
            interval: self.interval_ms?,
            jitter_ppm: self.jitter_ppm?,
            late_after: self.late_after_ms?,
            timeout: self.timeout_ms?,
            retry_interval: self.retry_interval_ms?,
            down_after: self.down_after?,
            up_after: self.up_after?,
        };
        cadence.is_possible().then_some(cadence)
    }
}

/// An endpoint continues under another name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointRenamedEvent {
    /// The name before; the event's own endpoint is the new one.
    pub from: String,
}

/// An endpoint belongs to another component from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointComponentEvent {
    pub component: String,
    pub before: String,
}

/// An endpoint is probed at another rhythm from now on. The number of slots that were due follows
/// from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointCadenceEvent {
    pub interval_ms: Ms,
    pub jitter_ppm: u64,
    pub late_after_ms: Ms,
    pub timeout_ms: Ms,
    pub retry_interval_ms: Ms,
    pub down_after: u32,
    pub up_after: u32,
}

impl From<&Cadence> for EndpointCadenceEvent {
    fn from(c: &Cadence) -> Self {
        Self {
            interval_ms: c.interval,
            jitter_ppm: c.jitter_ppm,
            late_after_ms: c.late_after,
            timeout_ms: c.timeout,
            retry_interval_ms: c.retry_interval,
            down_after: c.down_after,
            up_after: c.up_after,
        }
    }
}

impl EndpointCadenceEvent {
    /// The cadence; `None` where no config could have it.
    pub fn cadence(&self) -> Option<Cadence> {
        let cadence = Cadence {
            interval: self.interval_ms,
            jitter_ppm: self.jitter_ppm,
            late_after: self.late_after_ms,
            timeout: self.timeout_ms,
            retry_interval: self.retry_interval_ms,
            down_after: self.down_after,
            up_after: self.up_after,
        };
        cadence.is_possible().then_some(cadence)
    }
}

/// Another target or other expectations under the same name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointChangedEvent {
    pub digest_before: String,
    pub digest_after: String,
}

/// An endpoint left service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointRemovedEvent {}
