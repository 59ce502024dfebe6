//! What people record: maintenance, corrections, notes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::judgement::maintenance::{Origin, Window};
use crate::words::{Ms, format_utc};

/// A maintenance window was declared. It is in force from the event on, never for time past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaintenanceDeclaredEvent {
    pub id: String,
    /// Components and endpoints that it concerns; both empty: everything.
    pub components: Vec<String>,
    pub endpoints: Vec<String>,
    /// Its first start, on the clock of `time_zone`.
    pub start: String,
    /// The same as an instant (RFC 3339), where the clock shows `start` twice and the second time
    /// is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_instant: Option<String>,
    /// An IANA name.
    pub time_zone: String,
    /// `Mon` to `Sun`; empty: once.
    pub every: Vec<String>,
    pub duration_ms: Ms,
    /// RFC 3339: when it was announced, as claimed.
    pub announced_at: Option<String>,
    pub reason: String,
    pub by: String,
    /// It stands in the config; else somebody declared it at run time.
    pub from_config: bool,
}

impl MaintenanceDeclaredEvent {
    pub fn new(window: &Window, by: &str, origin: Origin) -> Self {
        let names = |list: &[crate::words::Name]| list.iter().map(ToString::to_string).collect();
        Self {
            id: window.id.to_string(),
            components: names(&window.components),
            endpoints: names(&window.endpoints),
            start: window.start.to_string(),
            start_instant: window.start_instant.map(format_utc),
            time_zone: window.zone.iana_name().unwrap_or("UTC").to_owned(),
            every: window.days().map(str::to_owned).collect(),
            duration_ms: window.duration,
            announced_at: window.announced_at.map(format_utc),
            reason: window.reason.clone(),
            by: by.to_owned(),
            from_config: origin == Origin::Config,
        }
    }

    /// The window; `None` where it names what cannot be.
    pub fn window(&self) -> Option<Window> {
        Window::from_json(&serde_json::to_value(self).ok()?)
    }

    pub fn origin(&self) -> Origin {
        if self.from_config {
            Origin::Config
        } else {
            Origin::Person
        }
    }
}

/// A window was cancelled or taken out of the config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaintenanceEndedEvent {
    pub id: String,
    pub by: String,
    /// RFC 3339: it is not in force from here on.
    pub from: String,
}

/// A correction: a stretch of time is left out of reports, page and API. What was measured stays
/// recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExclusionEvent {
    pub components: Vec<String>,
    pub endpoints: Vec<String>,
    /// RFC 3339.
    pub from: String,
    /// RFC 3339.
    pub to: String,
    pub reason: String,
    pub by: String,
    /// The figures of each component in that time, for people.
    pub before: BTreeMap<String, Value>,
    pub after: BTreeMap<String, Value>,
}

/// A note on an event. No figure changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnnotationEvent {
    /// The number of the event.
    pub of: u64,
    pub text: String,
    pub by: String,
}
