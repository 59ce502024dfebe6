//! The events of the history: one variant for each kind, with its fields.
//!
//! The engine and the upkeep make them, [`super::append`] writes them, and every reader matches on
//! them; docs/events.md describes them for people. An event is only ever written once: the hash
//! chain covers the canonical JSON that was stored, so what is verified are the stored bytes, never
//! an event that was read and written again.
//!
//! **Adding a kind**: a struct in the file of its theme, a line in the list below, the arms that
//! the compiler then asks for, a section in docs/events.md and a branch in
//! docs/schemas/event.schema.json (tests/events.rs compares both with the list). **Adding a field
//! to a kind**: an `Option`, as earlier histories do not have it.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::words::{Ms, UtcMs, parse_utc};

/// The events of an export that this version knows; whoever must refuse the others has read each.
pub fn recorded(events: &[Map<String, Value>]) -> impl Iterator<Item = EventRecord> + '_ {
    let read = events.iter().map(EventRecord::read);
    read.filter_map(|e| e.ok().flatten())
}

mod basis;
mod custody;
mod daemon;
mod endpoint;
mod people;
mod rows;
mod state;

pub use basis::*;
pub use custody::*;
pub use daemon::*;
pub use endpoint::*;
pub use people::*;
pub use rows::*;
pub use state::*;

/// A word or a sentence that the program itself writes. Reading keeps whatever stands there: a
/// cause that a later version knows is none of ours, and yet what was recorded.
pub type Word = Cow<'static, str>;

/// The fields that every event has beside those of its kind.
pub const ENVELOPE: [&str; 6] = ["v", "seq", "kind", "at_ms", "recorded", "endpoint"];

macro_rules! events {
    ($($kind:literal $name:ident($fields:ident),)*) => {
        /// What was recorded.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event { $($name($fields),)* }

        impl Event {
            /// Every kind, as events name it.
            pub const KINDS: &[&str] = &[$($kind),*];

            /// The word under `kind`.
            pub fn kind(&self) -> &'static str {
                match self { $(Event::$name(_) => $kind,)* }
            }

            /// The fields of the kind, without those of [`ENVELOPE`].
            pub fn fields(&self) -> Map<String, Value> {
                let fields = match self {
                    $(Event::$name(fields) => serde_json::to_value(fields),)*
                };
                match fields {
                    Ok(Value::Object(map)) => map,
                    _ => Map::new(),
                }
            }

            /// Reads the fields of a kind; `None` where this version does not know the kind.
            pub fn of(
                kind: &str,
                fields: &Map<String, Value>,
            ) -> Result<Option<Self>, serde_json::Error> {
                match kind {
                    $($kind => <$fields>::deserialize(fields).map(Event::$name).map(Some),)*
                    _ => Ok(None),
                }
            }
        }

        $(impl From<$fields> for Event {
            fn from(fields: $fields) -> Self {
                Event::$name(fields)
            }
        })*
    };
}

events! {
    // What became final of an endpoint's time.
    "down" Down(DownEvent),
    "up" Up(UpEvent),
    "outage_left" OutageLeft(OutageLeftEvent),
    "outage_lost" OutageLost(OutageLostEvent),
    "proven" Proven(ProvenEvent),
    "out_of_service" OutOfService(OutOfServiceEvent),
    "first_up" FirstUp(FirstUpEvent),
    "unknown" Unknown(UnknownEvent),
    "known" Known(KnownEvent),
    "doubt" Doubt(DoubtEvent),
    "unconfirmed" Unconfirmed(UnconfirmedEvent),
    // Endpoints that come, change and leave.
    "endpoint_added" EndpointAdded(EndpointAddedEvent),
    "endpoint_renamed" EndpointRenamed(EndpointRenamedEvent),
    "endpoint_component" EndpointComponent(EndpointComponentEvent),
    "endpoint_cadence" EndpointCadence(EndpointCadenceEvent),
    "endpoint_changed" EndpointChanged(EndpointChangedEvent),
    "endpoint_removed" EndpointRemoved(EndpointRemovedEvent),
    // The daemon, its clock, its disk, its network.
    "daemon_started" DaemonStarted(DaemonStartedEvent),
    "daemon_stopped" DaemonStopped(DaemonStoppedEvent),
    "reloaded" Reloaded(ReloadedEvent),
    "clock_step" ClockStep(ClockStepEvent),
    "recorded_late" RecordedLate(RecordedLateEvent),
    "history_gap" HistoryGap(HistoryGapEvent),
    "witnesses_silent" WitnessesSilent(WitnessesSilentEvent),
    "witnesses_answer" WitnessesAnswer(WitnessesAnswerEvent),
    // What figures rest on beside the probes.
    "config" Config(ConfigEvent),
    "terms" Terms(TermsEvent),
    "component" Component(ComponentEvent),
    "witnesses" Witnesses(WitnessesEvent),
    "limits" Limits(LimitsEvent),
    "results_from" ResultsFrom(ResultsFromEvent),
    "results_until" ResultsUntil(ResultsUntilEvent),
    "tallies" Tallies(TalliesEvent),
    // What people record.
    "maintenance_declared" MaintenanceDeclared(MaintenanceDeclaredEvent),
    "maintenance_ended" MaintenanceEnded(MaintenanceEndedEvent),
    "exclusion" Exclusion(ExclusionEvent),
    "annotation" Annotation(AnnotationEvent),
    // The chain itself.
    "checkpoint_key_changed" CheckpointKeyChanged(CheckpointKeyChangedEvent),
    "restored" Restored(RestoredEvent),
    "pruned" Pruned(PrunedEvent),
}

/// Why a recorded event cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    #[error("it has no field `{field}`, or another value than an event has there")]
    Envelope { field: &'static str },
    #[error("it is not a valid `{kind}` event: {source}")]
    Fields {
        kind: String,
        #[source]
        source: serde_json::Error,
    },
}

/// An event as it was recorded: with its number, its time and its endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRecord {
    pub seq: u64,
    /// On the daemon's timeline.
    pub at: Ms,
    /// What the clock showed when it was recorded.
    pub recorded: Option<UtcMs>,
    /// The name that its endpoint had then.
    pub endpoint: Option<String>,
    pub event: Event,
}

impl EventRecord {
    /// Reads the JSON of an event; `None` where this version does not know its kind.
    pub fn read(object: &Map<String, Value>) -> Result<Option<Self>, EventError> {
        let text = |key: &str| object.get(key).and_then(Value::as_str);
        let whole = |field: &'static str| {
            let number = object.get(field).and_then(Value::as_u64);
            number.ok_or(EventError::Envelope { field })
        };
        let kind = text("kind").ok_or(EventError::Envelope { field: "kind" })?;
        let event = Event::of(kind, object).map_err(|source| EventError::Fields {
            kind: kind.to_owned(),
            source,
        })?;
        let Some(event) = event else { return Ok(None) };
        Ok(Some(Self {
            seq: whole("seq")?,
            at: whole("at_ms")?,
            recorded: text("recorded").and_then(parse_utc),
            endpoint: text("endpoint").map(str::to_owned),
            event,
        }))
    }

    /// The same from stored text; `None` as well where it cannot be read. For readers that answer
    /// from a history which [`super::verify`] judges.
    pub fn parse(body: &str) -> Option<Self> {
        let object = serde_json::from_str(body).ok()?;
        Self::read(&object).ok().flatten()
    }

    /// The name of its endpoint; empty without one.
    pub fn name(&self) -> &str {
        self.endpoint.as_deref().unwrap_or_default()
    }
}

/// Events as they are exported, numbered from one.
#[cfg(test)]
pub(crate) fn exported(
    events: impl IntoIterator<Item = super::EventDraft>,
) -> Vec<Map<String, Value>> {
    let texts = events.into_iter().zip(1..).map(|(e, seq)| e.canonical(seq));
    texts
        .map(|text| serde_json::from_str(&text).expect("an object"))
        .collect()
}

/// Keeps apart what is there as `null` from what is not there at all.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}
