//! The history: one SQLite database in the state directory, owned by one process.
//!
//! The engine hands batches to the writer's thread ([`writer`]) and hears when they are committed;
//! readers open the database on their own ([`read`]). Events are append-only and chained by hashes
//! ([`chain`]).

pub mod append;
pub mod backup;
pub mod calendar;
pub mod chain;
pub mod checkpoint;
pub mod component_history;
pub mod component_lineage;
pub mod copy;
pub mod dates;
pub mod definitions;
pub mod encrypted_terms;
pub mod event;
pub mod in_memory;
pub mod opened;
pub mod outbox;
pub mod partial_indexes;
mod proof;
pub mod prune;
pub mod prune_record;
pub mod read;
pub mod read_tallies;
pub mod reader;
pub mod rebuilt;
pub mod registry;
pub mod replacement;
pub mod restore;
pub mod schema;
pub mod seals;
pub mod tally;
pub mod trust;
pub mod upkeep;
pub mod verification;
pub mod verify;
pub mod walk;
pub mod writer;

use serde_json::json;

use self::event::{Event, EventError};
use crate::judgement::counts::Slots;
use crate::judgement::latency::Series;
use crate::words::{Digest, Ms, Name, UtcMs, format_utc};

/// Why the history cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("the state directory {path} cannot be used: {why}")]
    Directory { path: String, why: String },
    #[error("the backup {path} cannot be made: {why}")]
    Backup { path: String, why: String },
    #[error("the state directory {path} is owned by another running daemon")]
    Owned { path: String },
    #[error(
        "the history {path} was written by a newer version of Probity (format {found}, this one \
            knows {known}); it was not touched"
    )]
    Newer {
        path: String,
        found: i64,
        known: i64,
    },
    #[error("the history {path} is damaged: {why}")]
    Damaged { path: String, why: String },
    #[error("event {seq} cannot be read: {why}")]
    Event {
        seq: u64,
        #[source]
        why: EventError,
    },
    #[error("the history cannot be read or written: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// A moment on all clocks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stamp {
    pub boot_id: String,
    pub boot_ns: u64,
    pub timeline_ms: Ms,
    pub utc_ms: UtcMs,
}

/// What is committed together: all that the judges were told since the last, and what became final
/// by it.
#[derive(Debug, Default)]
pub struct Batch {
    /// Ascending by one.
    pub id: u64,
    pub stamp: Stamp,
    pub inputs: Vec<u8>,
    pub events: Vec<EventDraft>,
    /// Endpoint and judge, as of the end of this batch.
    pub states: Vec<(i64, Vec<u8>)>,
    /// Marks before this one are in every stored judge.
    pub prune_before: u64,
    /// Changes of the outbox, in order.
    pub outbox: Vec<OutboxChange>,
    /// Coming and going of endpoints, in order.
    pub service: Vec<Service>,
    /// Slots that a contract counts one by one: endpoint, start in UTC, whether it succeeded.
    pub results: Vec<(i64, UtcMs, bool)>,
}

/// How an endpoint stands in the history from now on.
#[derive(Debug, Clone)]
pub enum Service {
    /// In service under this name and definition.
    In(i64, Registration),
    Left(i64),
}

/// An event before it has its number and hash.
#[derive(Debug, Clone)]
pub struct EventDraft {
    pub endpoint: Option<(i64, Name)>,
    /// On the daemon's timeline.
    pub at: Ms,
    pub utc: UtcMs,
    pub event: Event,
}

impl EventDraft {
    /// An event that is not about one endpoint.
    pub fn general(at: Ms, utc: UtcMs, event: impl Into<Event>) -> Self {
        Self {
            endpoint: None,
            at,
            utc,
            event: event.into(),
        }
    }

    pub fn of_endpoint(endpoint: (i64, Name), at: Ms, utc: UtcMs, event: impl Into<Event>) -> Self {
        Self {
            endpoint: Some(endpoint),
            ..Self::general(at, utc, event)
        }
    }

    /// Its JSON once it has its number: the bytes that the chain covers, in canonical form.
    pub fn canonical(&self, seq: u64) -> String {
        let mut object = self.event.fields();
        object.insert("v".into(), json!(1));
        object.insert("seq".into(), json!(seq));
        object.insert("kind".into(), json!(self.event.kind()));
        object.insert("at_ms".into(), json!(self.at));
        object.insert("recorded".into(), json!(format_utc(self.utc)));
        if let Some((_, name)) = &self.endpoint {
            object.insert("endpoint".into(), json!(name.as_str()));
        }
        chain::canonical(&object)
    }
}

/// A change of the outbox.
#[derive(Debug, Clone)]
pub enum OutboxChange {
    Message(OutboxDraft),
    /// A message that still waits for its time waits for this one; `held_until`: the end of the
    /// declared maintenance that holds it back.
    Hold {
        receiver: Name,
        key: String,
        not_before: UtcMs,
        held_until: Option<UtcMs>,
    },
    /// The wall clock was set by so many milliseconds: what was put off before lasts as long as it
    /// would have.
    ClockStep(i64),
    /// Receivers were notified that these endpoints are unknown.
    NotifiedUnknown(Vec<outbox::NotifiedUnknown>),
    /// The receiver was notified that all of its unknown endpoints are measured again.
    NotifiedKnown(Name),
}

/// A message for a receiver, kept until it is delivered.
#[derive(Debug, Clone)]
pub struct OutboxDraft {
    pub receiver: Name,
    /// The same key is never queued twice.
    pub key: String,
    pub body: String,
    /// Not to be sent before this.
    pub not_before: UtcMs,
    /// Cancels what is still waiting for its time under this key; an empty body does only that.
    pub cancels: Option<String>,
}

/// Slots and latency of one endpoint in one hour.
#[derive(Debug, Clone)]
pub struct TallyDraft {
    pub endpoint: i64,
    pub name: Name,
    /// UTC hour since 1970.
    pub hour: i64,
    pub slots: Slots,
    /// The endpoint's slots when the hour began: after a kill the judge's own count tells the
    /// hour's from it.
    pub slots_before: Slots,
    pub reprobes: u64,
    /// The longest time from the start of a success or failure to the end of the next; at the
    /// hour's end what was open is cut.
    pub longest_blind: Ms,
    /// (highest value of the bucket in us, count) by series.
    pub latency: Vec<(Series, Vec<(u64, u64)>)>,
}

/// An endpoint as the history knows it.
#[derive(Debug, Clone)]
pub struct StoredEndpoint {
    pub id: i64,
    pub component: Name,
    pub digest: Digest,
    pub in_service: bool,
    /// Cadence and judge, encoded.
    pub judge: Option<Vec<u8>>,
    /// The batch whose inputs the judge has seen last.
    pub judged_through: u64,
}

/// What an endpoint is registered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub name: Name,
    pub renamed_from: Option<Name>,
    pub component: Name,
    pub kind: &'static str,
    pub target: String,
    pub digest: Digest,
}

/// Bytes with eight bytes of a SHA-256 behind them, over themselves and the place they belong to,
/// so that damage and exchange are seen.
pub fn with_checksum(mut bytes: Vec<u8>, place: &str) -> Vec<u8> {
    let checksum = checksum_of(&bytes, place);
    bytes.extend_from_slice(&checksum);
    bytes
}

/// The bytes before the checksum, if it is of them and of this place.
pub fn without_checksum<'b>(bytes: &'b [u8], place: &str) -> Option<&'b [u8]> {
    let at = bytes.len().checked_sub(8)?;
    let (content, checksum) = bytes.split_at(at);
    (checksum_of(content, place) == *checksum).then_some(content)
}

fn checksum_of(content: &[u8], place: &str) -> [u8; 8] {
    let hash = chain::sha256(&[place.as_bytes(), &[0], content].concat());
    hash[..8].try_into().unwrap_or_default()
}

/// The place of a judge: its endpoint, and the mark that it has seen last.
pub fn state_place(endpoint: i64, mark: i64) -> String {
    format!("state {endpoint} {mark}")
}

/// The place of a mark's inputs: the mark with all its clocks, and the last event that was
/// committed with it.
pub fn mark_place(id: i64, stamp: &Stamp, events: i64) -> String {
    format!(
        "mark {id} {} {} {} {} {events}",
        stamp.boot_id, stamp.boot_ns, stamp.timeline_ms, stamp.utc_ms
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_breaks_a_seal() {
        let whole = with_checksum(b"some state".to_vec(), "state 1 2");
        assert_eq!(
            without_checksum(&whole, "state 1 2"),
            Some(&b"some state"[..])
        );
        assert_eq!(
            without_checksum(&whole, "state 2 2"),
            None,
            "it is another endpoint's"
        );
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(without_checksum(&flipped, "state 1 2"), None);
        }
        assert_eq!(without_checksum(b"short", ""), None);
    }
}
