//! Whether the history is what was written: hashes, signed checkpoints, and the tables that readers
//! ask.
//!
//! A chain alone proves only that it fits itself; checkpoints signed by the daemon, and above all
//! one that left the machine earlier, prove that nothing before them was rewritten, removed or cut
//! off.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension};
use serde_json::{Map, Value, json};

use super::chain::{GENESIS, canonical, hex, link, sha256};
use super::checkpoint::verify_signature;
use super::event::{Event, EventRecord};
use super::read::each_event;
use super::reader::HistoryReader;
use super::retold::Retold;
use super::seals::{Kind, Seals, tallies_digest};
use super::stub::Stub;
use super::trust::{Introduced, trusted};
use super::{HistoryError, partial_indexes, schema};

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
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

/// A signed checkpoint as stored or given.
struct Signed {
    seq: u64,
    head: String,
    chain: String,
    time: String,
    key: String,
}

fn signed(value: &Value) -> Result<Signed, String> {
    verify_signature(value)?;
    let text = |key: &str| {
        value[key]
            .as_str()
            .map(str::to_owned)
            .ok_or(format!("it has no {key}"))
    };
    Ok(Signed {
        seq: value["seq"].as_u64().ok_or("it has no seq")?,
        head: text("head")?,
        chain: text("chain")?,
        time: text("time")?,
        key: text("key")?,
    })
}

/// What the events say of the chain as a whole.
#[derive(Default)]
pub struct Walked {
    /// The last event.
    events: u64,
    head: [u8; 32],
    /// Heads after the events that checkpoints name.
    pub heads: BTreeMap<u64, String>,
    /// The first event by a version that keeps an hour's tallies until those of its day are sealed.
    keeps_from: Option<u64>,
    /// Old chain to (its last event that is still here, the event that tells of the restore).
    restores: HashMap<String, (u64, u64)>,
    /// Keys that an event introduced, in order.
    keys: Vec<Introduced>,
    /// Events that tell of a stub: (the event, the stub's last event, its hash).
    prunings: Vec<(u64, u64, String)>,
    pub told: Retold,
}

impl Walked {
    /// What events after a cut rest on.
    pub fn carried(&self) -> Value {
        let mut carried = self.told.carried();
        carried["keeps_from"] = json!(self.keeps_from);
        carried["restores"] = json!(self.restores.iter().collect::<BTreeMap<_, _>>());
        carried["keys"] = json!(self.keys);
        carried
    }

    /// What an event says of the chain; `before` is the hash of the one before it.
    fn hear(&mut self, e: &EventRecord, before: &[u8; 32]) -> Result<(), &'static str> {
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

    fn resting_on(stub: &Stub) -> Option<Self> {
        let carried = &stub.carried;
        Some(Self {
            events: stub.last,
            head: stub.head,
            keeps_from: carried["keeps_from"].as_u64(),
            restores: serde_json::from_value(carried["restores"].clone()).ok()?,
            keys: serde_json::from_value(carried["keys"].clone()).ok()?,
            told: Retold::resting_on(carried)?,
            ..Self::default()
        })
    }
}

/// Recomputes every hash in order up to the event `until`; the first event that does not fit, else
/// what was learnt.
pub fn walk(
    connection: &Connection,
    stub: Option<&Stub>,
    wanted: &[u64],
    until: u64,
) -> Result<Result<Walked, Verdict>, HistoryError> {
    let mut walked = match stub {
        None => Walked {
            head: GENESIS,
            ..Walked::default()
        },
        Some(stub) => match Walked::resting_on(stub) {
            Some(walked) => walked,
            None => {
                return Ok(Err(Verdict::Altered {
                    seq: stub.last,
                    why: "the prune record of earlier events cannot be read".into(),
                }));
            }
        },
    };
    let mut altered = None;
    each_event(connection, walked.events + 1, |event| {
        if event.seq > until {
            return false;
        }
        let wrong = |why: &str| {
            Some(Verdict::Altered {
                seq: event.seq,
                why: why.to_owned(),
            })
        };
        if event.seq != walked.events + 1 {
            altered = Some(Verdict::Altered {
                seq: walked.events + 1,
                why: format!("the event is missing; the next is {}", event.seq),
            });
            return false;
        }
        let parsed: Option<Map<String, Value>> = serde_json::from_str(&event.body).ok();
        let Some(parsed) = parsed else {
            altered = wrong("its text is not a JSON object");
            return false;
        };
        let text = |key: &str| parsed.get(key).and_then(Value::as_str).unwrap_or_default();
        if event.kind != text("kind")
            || parsed.get("at_ms").and_then(Value::as_i64) != Some(event.at)
        {
            altered = wrong("it is filed under another kind or time than its text says");
            return false;
        }
        let before = walked.head;
        if canonical(&parsed) != event.body
            || parsed.get("seq").and_then(Value::as_u64) != Some(event.seq)
        {
            altered = wrong("its text is not in canonical form or carries another number");
            return false;
        }
        walked.head = link(&walked.head, &event.body);
        if walked.head.as_slice() != event.hash {
            altered = wrong("its hash does not follow from its text and the event before it");
            return false;
        }
        let record = match EventRecord::read(&parsed) {
            Ok(record) => record,
            Err(why) => {
                altered = wrong(&why.to_string());
                return false;
            }
        };
        // What a later version records beside means nothing to the tables of this one.
        if let Some(record) = &record {
            if let Err(why) = walked.hear(record, &before) {
                altered = wrong(why);
                return false;
            }
            walked.told.hear(record, &parsed, event.endpoint);
        }
        if wanted.contains(&event.seq) {
            walked.heads.insert(event.seq, hex(&walked.head));
        }
        walked.events += 1;
        true
    })?;
    Ok(altered.map_or(Ok(walked), Err))
}

impl HistoryReader {
    /// Recomputes every hash, checks every signature, and the tables that follow from the events.
    pub fn verify(&self, against: &Against) -> Result<Verdict, HistoryError> {
        verify(self.connection(), against)
    }
}

/// As [`HistoryReader::verify`], of whatever holds a history.
pub fn verify(connection: &Connection, against: &Against) -> Result<Verdict, HistoryError> {
    match looked_through(connection, against) {
        Err(HistoryError::Sqlite(rusqlite::Error::InvalidColumnType(_, column, found))) => {
            Ok(Verdict::Altered {
                seq: 0,
                why: format!(
                    "a column `{column}` holds a value of type {found}, which was never written \
                        there"
                ),
            })
        }
        verdict => verdict,
    }
}

fn looked_through(connection: &Connection, against: &Against) -> Result<Verdict, HistoryError> {
    let sound: String = connection.query_row("PRAGMA integrity_check(1)", [], |r| r.get(0))?;
    if sound != "ok" {
        return Ok(Verdict::Altered {
            seq: 0,
            why: format!("the database file is damaged: {sound}"),
        });
    }
    if let Some(what) = schema::foreign_object(connection)? {
        return Ok(Verdict::Altered {
            seq: 0,
            why: format!("the database was changed: {what}"),
        });
    }
    if let Some(index) = partial_indexes::that_misleads(connection, None)? {
        return Ok(Verdict::Altered {
            seq: 0,
            why: format!(
                "the database file is damaged: the index {index} finds other rows than its table \
                    holds"
            ),
        });
    }
    let mut stored = Vec::new();
    let mut statement = connection.prepare("SELECT seq, body FROM checkpoint ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(r) = rows.next()? {
        let (seq, body): (i64, String) = (r.get(0)?, r.get(1)?);
        let checked = serde_json::from_str(&body)
            .map_err(|e| e.to_string())
            .and_then(|value| signed(&value));
        match checked {
            Ok(one) if one.seq == seq as u64 => stored.push(one),
            Ok(_) => {
                return Ok(Verdict::Altered {
                    seq: seq as u64,
                    why: "the checkpoint at this event was signed for another".into(),
                });
            }
            Err(why) => {
                return Ok(Verdict::Altered {
                    seq: seq as u64,
                    why: format!("the checkpoint at this event is not what was signed: {why}"),
                });
            }
        }
    }
    let given = match against.since.as_ref().map(signed) {
        None => None,
        Some(Ok(one)) => Some(one),
        Some(Err(why)) => {
            return Ok(Verdict::NotProvable {
                why: format!("the given checkpoint is none: {why}"),
            });
        }
    };
    let mut wanted: Vec<u64> = stored.iter().chain(&given).map(|c| c.seq).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let stub = match Stub::read(connection) {
        Ok(stub) => stub,
        Err(HistoryError::Damaged { why, .. }) => return Ok(Verdict::Altered { seq: 1, why }),
        Err(error) => return Err(error),
    };
    let before = stub.as_ref().map_or(0, |s| s.last);
    // What a stub tells of may not be taken away yet.
    stored.retain(|c| c.seq > before);
    let walked = match walk(connection, stub.as_ref(), &wanted, u64::MAX)? {
        Ok(walked) => walked,
        Err(altered) => return Ok(altered),
    };
    let chain: Option<String> = connection
        .query_row("SELECT value FROM meta WHERE key = 'chain'", [], |r| {
            r.get(0)
        })
        .optional()?;
    let proof = Proof::of(
        &stored,
        given.as_ref(),
        &walked,
        chain.unwrap_or_default(),
        against,
    );
    if let Some(verdict) = stored_differ(&stored, &walked, &proof) {
        return Ok(verdict);
    }
    if let Some(stub) = &stub
        && let Some(why) = stub_differs(connection, stub, &walked, &proof)?
    {
        return Ok(Verdict::Altered {
            seq: stub.last,
            why,
        });
    }
    if let Some(given) = &given {
        let verdict = match stub.as_ref().filter(|s| given.seq <= s.last) {
            Some(stub) => pruned_differs(given, stub, &walked, &proof),
            None => given_differs(given, &walked, &stored, &proof),
        };
        if let Some(verdict) = verdict {
            return Ok(verdict);
        }
    }
    if let Some(verdict) = signed_by_others(&stored, &walked, &proof) {
        return Ok(verdict);
    }
    if against.key.is_some() && stored.is_empty() && walked.events > 0 {
        return Ok(Verdict::NotProvable {
            why: "there are events and no signed checkpoint of them".into(),
        });
    }
    if let Some((seq, why)) = walked.told.differs(connection, stub.as_ref())? {
        return Ok(Verdict::Altered { seq, why });
    }
    if let Some((seq, why)) = tallies_differ(connection, &walked)? {
        return Ok(Verdict::Altered { seq, why });
    }
    Ok(Verdict::Whole {
        events: walked.events,
        head: hex(&walked.head),
        checkpoints: stored.len() as u64,
        restores: walked.restores.len() as u64,
    })
}

/// What the history is held against.
struct Proof {
    chain: String,
    /// Keys that somebody outside trusts, with those that they vouched for; else the one that
    /// signed last.
    trusted: BTreeSet<String>,
    /// The last event that a checkpoint of one of them covers: up to here nothing was rewritten.
    covered: u64,
}

impl Proof {
    fn of(
        stored: &[Signed],
        given: Option<&Signed>,
        walked: &Walked,
        chain: String,
        against: &Against,
    ) -> Self {
        let outside = against.key.iter().chain(given.map(|g| &g.key));
        let own = stored
            .last()
            .map(|c| &c.key)
            .filter(|_| against.key.is_none() && given.is_none());
        let trusted = trusted(outside.chain(own).map(String::as_str), &walked.keys);
        let fits =
            |c: &&Signed| trusted.contains(&c.key) && walked.heads.get(&c.seq) == Some(&c.head);
        let covered = stored
            .iter()
            .chain(given)
            .filter(fits)
            .map(|c| c.seq)
            .max()
            .unwrap_or(0);
        Self {
            chain,
            trusted,
            covered,
        }
    }
}

/// Why the stub of pruned events is not what the daemon made.
fn stub_differs(
    connection: &Connection,
    stub: &Stub,
    walked: &Walked,
    proof: &Proof,
) -> Result<Option<String>, HistoryError> {
    let body: String = connection.query_row(
        "SELECT body FROM stub ORDER BY last DESC LIMIT 1",
        [],
        |r| r.get(0),
    )?;
    let told = walked
        .prunings
        .last()
        .filter(|(_, last, hash)| *last == stub.last && *hash == hex(&sha256(body.as_bytes())));
    let Some((pruned, ..)) = told else {
        return Ok(Some(
            "no event mentions the prune record of earlier events".into(),
        ));
    };
    let key = stub.object["key"].as_str().unwrap_or_default();
    if !(proof.trusted.contains(key) || proof.covered >= *pruned || proof.trusted.is_empty()) {
        return Ok(Some(format!(
            "the prune record of earlier events was signed by another key, {key}"
        )));
    }
    Ok(None)
}

/// What a key signed that nobody trusts, and no trusted one covers.
fn signed_by_others(stored: &[Signed], walked: &Walked, proof: &Proof) -> Option<Verdict> {
    let other = stored
        .iter()
        .find(|c| c.seq > proof.covered && !proof.trusted.contains(&c.key))?;
    if proof.covered == 0 {
        return Some(Verdict::Altered {
            seq: other.seq,
            why: format!(
                "the checkpoint at this event was signed by another key, {}",
                other.key
            ),
        });
    }
    let since = walked
        .keys
        .iter()
        .find(|k| k.key == other.key)
        .map_or(other.seq, |k| k.seq);
    let why = format!(
        "up to event {} nothing was rewritten; from event {since} on another key signs, {}, which \
            the key before it did not sign",
        proof.covered, other.key
    );
    Some(Verdict::NotProvable { why })
}

/// Whether a checkpoint from outside is among those that the stub keeps.
fn pruned_differs(given: &Signed, stub: &Stub, walked: &Walked, proof: &Proof) -> Option<Verdict> {
    if let Some((last, restored)) = walked
        .restores
        .get(&given.chain)
        .filter(|(last, _)| given.chain != proof.chain && given.seq > *last)
    {
        let why = format!(
            "forked by restore: a backup that ended with event {last} was restored; later events \
                up to {} are missing",
            given.seq
        );
        return Some(Verdict::Forked {
            seq: *restored,
            why,
        });
    }
    let kept = stub
        .checkpoints()
        .iter()
        .find(|c| c["seq"].as_u64() == Some(given.seq) && c["chain"] == given.chain);
    match kept {
        Some(kept) if kept["head"] == given.head => None,
        Some(_) => Some(Verdict::Altered {
            seq: given.seq,
            why: "the prune record of earlier events has another head for the given checkpoint"
                .into(),
        }),
        None => Some(Verdict::Altered {
            seq: given.seq,
            why: "the prune record of earlier events does not have the given checkpoint".into(),
        }),
    }
}

/// The first seal whose tallies are not what they were, or are gone before their time.
fn tallies_differ(
    connection: &Connection,
    walked: &Walked,
) -> Result<Option<(u64, String)>, HistoryError> {
    let mut seals = Seals::default();
    walked
        .told
        .seals()
        .iter()
        .for_each(|(_, unit, ..)| seals.add(*unit));
    for (seq, unit, told, sum) in walked.told.seals().iter().rev() {
        if seals.may_be_gone(*unit) {
            continue;
        }
        let mut is_misfiled = false;
        let (digest, count) = tallies_digest(connection, *unit, |endpoint, name| {
            is_misfiled |= !walked.told.stood_for(endpoint, name)
        })?;
        // Versions before kept an hour's tallies for seven days and had nothing longer.
        let is_forgotten = count == 0
            && unit.kind == Kind::Hour
            && walked.keeps_from.is_none_or(|first| *seq < first);
        if !is_forgotten && (count != *told || hex(&digest) != *sum || is_misfiled) {
            let kind = unit.kind.as_str();
            return Ok(Some((
                *seq,
                format!(
                    "the hourly aggregates of the {kind} {} differ from their seal",
                    unit.label()
                ),
            )));
        }
    }
    Ok(None)
}

/// The first of our own checkpoints that the events do not fit.
fn stored_differ(stored: &[Signed], walked: &Walked, proof: &Proof) -> Option<Verdict> {
    let mut good = 0;
    let first_key = stored.first().map(|c| c.key.as_str());
    for one in stored {
        let is_introduced = walked
            .keys
            .iter()
            .any(|k| k.key == one.key && k.seq <= one.seq);
        if Some(one.key.as_str()) != first_key && !is_introduced {
            let why = format!(
                "the checkpoint at this event was signed by another key, {}",
                one.key
            );
            return Some(Verdict::Altered { seq: one.seq, why });
        }
        if one.chain != proof.chain && !walked.restores.contains_key(&one.chain) {
            return Some(Verdict::Altered {
                seq: one.seq,
                why: format!(
                    "the checkpoint at this event is of another chain, {}",
                    one.chain
                ),
            });
        }
        if let Some(why) = differs(one, good, walked) {
            return Some(Verdict::Altered {
                seq: (good + 1).min(one.seq),
                why,
            });
        }
        good = one.seq;
    }
    None
}

fn differs(one: &Signed, good: u64, walked: &Walked) -> Option<String> {
    if one.seq > walked.events {
        return Some(format!(
            "{} events were signed at {}, and only {} are left: the end is cut off",
            one.seq, one.time, walked.events
        ));
    }
    (walked.heads.get(&one.seq) != Some(&one.head)).then(|| {
        format!(
            "the events {} to {} are not those that were signed at {}",
            good + 1,
            one.seq,
            one.time
        )
    })
}

/// Whether a checkpoint from outside fits.
fn given_differs(
    given: &Signed,
    walked: &Walked,
    stored: &[Signed],
    proof: &Proof,
) -> Option<Verdict> {
    let is_here = stored
        .iter()
        .any(|c| c.key == given.key || proof.trusted.contains(&c.key))
        || stored.is_empty();
    if !is_here && walked.heads.get(&given.seq) != Some(&given.head) {
        if given.chain == proof.chain {
            return Some(Verdict::Altered {
                seq: 1,
                why: format!(
                    "this chain was signed by the key {} and is signed by another now",
                    given.key
                ),
            });
        }
        return Some(Verdict::NotProvable {
            why: format!(
                "the given checkpoint was signed by another key, {}: it is not of this history",
                given.key
            ),
        });
    }
    if given.chain != proof.chain {
        return match walked.restores.get(&given.chain) {
            Some((_, restored)) if proof.covered < *restored => Some(Verdict::NotProvable {
                why: format!(
                    "event {restored} records a restore, and no trusted checkpoint covers it"
                ),
            }),
            Some((last, restored)) if given.seq > *last => Some(Verdict::Forked {
                seq: *restored,
                why: format!(
                    "forked by restore: a backup that ended with event {last} was restored; later \
                        events up to {} are missing",
                    given.seq
                ),
            }),
            Some(_) => differs(given, 0, walked).map(|why| Verdict::Altered {
                seq: given.seq,
                why,
            }),
            None => Some(Verdict::NotProvable {
                why: format!(
                    "the given checkpoint is of another chain, {}, that this history does not name",
                    given.chain
                ),
            }),
        };
    }
    let good = stored
        .iter()
        .map(|c| c.seq)
        .filter(|seq| *seq < given.seq && given.seq <= walked.events)
        .max()
        .unwrap_or(0);
    let good = if walked.heads.get(&given.seq) == Some(&given.head) {
        given.seq
    } else {
        good.min(given.seq.saturating_sub(1))
    };
    differs(given, good.min(given.seq.saturating_sub(1)), walked)
        .map(|why| Verdict::Altered { seq: good + 1, why })
}
