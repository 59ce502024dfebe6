//! The walk over all events: every hash is computed again, and what the events say is learnt.

use std::collections::{BTreeMap, HashMap};

use rusqlite::Connection;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::HistoryError;
use super::chain::{GENESIS, canonical, hex, link};
use super::event::{Event, EventRecord};
use super::prune_record::PruneRecord;
use super::read::{StoredEvent, each_event};
use super::rebuilt::RebuiltTables;
use super::trust::Introduced;
use super::verification::Verification;

/// What the events say of the chain as a whole.
#[derive(Default)]
pub struct Walked {
    /// The last event.
    pub events: u64,
    pub head: [u8; 32],
    /// Heads after the events that checkpoints name.
    pub heads: BTreeMap<u64, String>,
    /// The first event by a version that keeps an hour's tallies until those of its day are sealed.
    pub keeps_from: Option<u64>,
    /// Old chain to (its last event that is still here, the event that tells of the restore).
    pub restores: HashMap<String, (u64, u64)>,
    /// Keys that an event introduced, in order.
    pub keys: Vec<Introduced>,
    /// Events that tell of a prune record: (the event, the prune record's last event, its hash).
    pub prunings: Vec<(u64, u64, String)>,
    pub tables: RebuiltTables,
}

impl Walked {
    /// What events after a cut rest on.
    pub fn carried(&self) -> Map<String, Value> {
        let mut carried = self.tables.carried();
        let chain = CarriedChain {
            keeps_from: self.keeps_from,
            restores: self.restores.clone(),
            keys: self.keys.clone(),
        };
        if let Ok(Value::Object(chain)) = serde_json::to_value(chain) {
            carried.extend(chain);
        }
        carried
    }

    /// Where a walk begins: at the first event, or behind those that a prune record stands for.
    /// `None` where the prune record cannot be read.
    fn begin(prune_record: Option<&PruneRecord>) -> Option<Self> {
        match prune_record {
            Some(prune_record) => Self::resting_on(prune_record),
            None => Some(Self {
                head: GENESIS,
                ..Self::default()
            }),
        }
    }

    /// Takes the next event; why it is not what was written.
    fn take(&mut self, event: &StoredEvent) -> Result<(), String> {
        let parsed: Option<Map<String, Value>> = serde_json::from_str(&event.body).ok();
        let Some(parsed) = parsed else {
            return Err("its text is not a JSON object".into());
        };
        let text = |key: &str| parsed.get(key).and_then(Value::as_str).unwrap_or_default();
        if event.kind != text("kind")
            || parsed.get("at_ms").and_then(Value::as_i64) != Some(event.at)
        {
            return Err("it is filed under another kind or time than its text says".into());
        }
        let before = self.head;
        if canonical(&parsed) != event.body
            || parsed.get("seq").and_then(Value::as_u64) != Some(event.seq)
        {
            return Err("its text is not in canonical form or carries another number".into());
        }
        self.head = link(&self.head, &event.body);
        if self.head.as_slice() != event.hash {
            return Err("its hash does not follow from its text and the event before it".into());
        }
        let record = EventRecord::read(&parsed).map_err(|why| why.to_string())?;
        // What a later version records beside means nothing to the tables of this one.
        if let Some(record) = &record {
            self.apply(record, &before)?;
            self.tables.apply(record, &parsed, event.endpoint);
        }
        self.events += 1;
        Ok(())
    }

    /// What an event says of the chain; `before` is the hash of the one before it.
    fn apply(&mut self, e: &EventRecord, before: &[u8; 32]) -> Result<(), &'static str> {
        match &e.event {
            Event::DaemonStarted(start) if start.format.is_some() => {
                self.keeps_from = self.keeps_from.or(Some(e.seq));
            }
            Event::CheckpointKeyChanged(key) => {
                self.keys.push(Introduced::by_event(e.seq, key));
            }
            Event::Pruned(pruned) => {
                self.prunings
                    .push((e.seq, pruned.last, pruned.stub_sha256.clone()));
            }
            Event::Restored(restored) => {
                let last = restored.old_seq;
                if last.checked_add(1) != Some(e.seq) || restored.old_head != hex(before) {
                    return Err("the restore that it records does not follow the event before it");
                }
                self.restores
                    .insert(restored.old_chain.clone(), (last, e.seq));
            }
            // These are about what is recorded, not about the chain.
            Event::DaemonStarted(_)
            | Event::Down(_)
            | Event::Up(_)
            | Event::OutageLeft(_)
            | Event::OutageLost(_)
            | Event::Proven(_)
            | Event::OutOfService(_)
            | Event::FirstUp(_)
            | Event::Unknown(_)
            | Event::Known(_)
            | Event::Doubt(_)
            | Event::Unconfirmed(_)
            | Event::EndpointAdded(_)
            | Event::EndpointRenamed(_)
            | Event::EndpointComponent(_)
            | Event::EndpointCadence(_)
            | Event::EndpointChanged(_)
            | Event::EndpointRemoved(_)
            | Event::DaemonStopped(_)
            | Event::Reloaded(_)
            | Event::ClockStep(_)
            | Event::RecordedLate(_)
            | Event::HistoryGap(_)
            | Event::WitnessesSilent(_)
            | Event::WitnessesAnswer(_)
            | Event::Config(_)
            | Event::Terms(_)
            | Event::Component(_)
            | Event::Witnesses(_)
            | Event::Limits(_)
            | Event::ResultsFrom(_)
            | Event::ResultsUntil(_)
            | Event::Tallies(_)
            | Event::MaintenanceDeclared(_)
            | Event::MaintenanceEnded(_)
            | Event::Exclusion(_)
            | Event::Annotation(_) => {}
        }
        Ok(())
    }

    fn resting_on(prune_record: &PruneRecord) -> Option<Self> {
        let chain = CarriedChain::deserialize(&prune_record.carried).ok()?;
        Some(Self {
            events: prune_record.last,
            head: prune_record.head,
            keeps_from: chain.keeps_from,
            restores: chain.restores,
            keys: chain.keys,
            tables: RebuiltTables::resting_on(&prune_record.carried)?,
            ..Self::default()
        })
    }
}

/// What a prune record carries of the chain.
#[derive(Serialize, Deserialize)]
struct CarriedChain {
    #[serde(default, deserialize_with = "number")]
    keeps_from: Option<u64>,
    restores: HashMap<String, (u64, u64)>,
    keys: Vec<Introduced>,
}

/// Nothing where it is no number.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Value::deserialize(from).map(|value| value.as_u64())
}

/// Recomputes every hash in order up to the event `until`; the first event that does not fit, else
/// what was learnt.
pub fn walk(
    connection: &Connection,
    prune_record: Option<&PruneRecord>,
    wanted: &[u64],
    until: u64,
) -> Result<Result<Walked, Verification>, HistoryError> {
    let Some(mut walked) = Walked::begin(prune_record) else {
        return Ok(Err(Verification::Altered {
            seq: prune_record.map_or(0, |prune_record| prune_record.last),
            why: "the prune record of earlier events cannot be read".into(),
        }));
    };
    let mut altered = None;
    each_event(connection, walked.events + 1, |event| {
        if event.seq > until {
            return false;
        }
        if event.seq != walked.events + 1 {
            altered = Some(Verification::Altered {
                seq: walked.events + 1,
                why: format!("the event is missing; the next is {}", event.seq),
            });
            return false;
        }
        if let Err(why) = walked.take(&event) {
            altered = Some(Verification::Altered {
                seq: event.seq,
                why,
            });
            return false;
        }
        if wanted.contains(&event.seq) {
            walked.heads.insert(event.seq, hex(&walked.head));
        }
        true
    })?;
    Ok(altered.map_or(Ok(walked), Err))
}
