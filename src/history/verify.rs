//! Whether the history is what was written: hashes, signed checkpoints, and the tables that readers
//! ask.
//!
//! A chain alone proves only that it fits itself; checkpoints signed by the daemon, and above all
//! one that left the machine earlier, prove that nothing before them was rewritten, removed or cut
//! off.

use rusqlite::{Connection, OptionalExtension};

use super::chain::hex;
use super::proof::{
    Proof, Signed, given_differs, prune_record_differs, pruned_differs, signed, signed_by_others,
    stored_differ,
};
use super::prune_record::PruneRecord;
use super::reader::HistoryReader;
use super::seals::{Seals, UnitKind, tallies_digest};
use super::verification::{Against, Verification};
use super::walk::{Walked, walk};
use super::{HistoryError, partial_indexes, schema};

impl HistoryReader {
    /// Recomputes every hash, checks every signature, and the tables that follow from the events.
    pub fn verify(&self, against: &Against) -> Result<Verification, HistoryError> {
        verify(self.connection(), against)
    }
}

/// As [`HistoryReader::verify`], of whatever holds a history.
pub fn verify(connection: &Connection, against: &Against) -> Result<Verification, HistoryError> {
    match looked_through(connection, against) {
        Err(HistoryError::Sqlite(rusqlite::Error::InvalidColumnType(_, column, found))) => {
            Ok(Verification::Altered {
                seq: 0,
                why: format!(
                    "a column `{column}` holds a value of type {found}, which was never written \
                        there"
                ),
            })
        }
        found => found,
    }
}

fn looked_through(
    connection: &Connection,
    against: &Against,
) -> Result<Verification, HistoryError> {
    if let Some(why) = file_differs(connection)? {
        return Ok(Verification::Altered { seq: 0, why });
    }
    let mut stored = match stored_checkpoints(connection)? {
        Ok(stored) => stored,
        Err(altered) => return Ok(altered),
    };
    let given = match against.since.as_ref().map(signed).transpose() {
        Ok(given) => given,
        Err(why) => {
            return Ok(Verification::NotProvable {
                why: format!("the given checkpoint is none: {why}"),
            });
        }
    };
    let mut wanted: Vec<u64> = stored.iter().chain(&given).map(|c| c.seq).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let prune_record = match PruneRecord::read(connection) {
        Ok(prune_record) => prune_record,
        Err(HistoryError::Damaged { why, .. }) => {
            return Ok(Verification::Altered { seq: 1, why });
        }
        Err(error) => return Err(error),
    };
    let before = prune_record.as_ref().map_or(0, |s| s.last);
    // What a prune record tells of may not be taken away yet.
    stored.retain(|c| c.seq > before);
    let walked = match walk(connection, prune_record.as_ref(), &wanted, u64::MAX)? {
        Ok(walked) => walked,
        Err(altered) => return Ok(altered),
    };
    let held = Held {
        stored: &stored,
        given: given.as_ref(),
        prune_record: prune_record.as_ref(),
        walked: &walked,
    };
    if let Some(found) = held.differs(connection, against)? {
        return Ok(found);
    }
    if let Some((seq, why)) = walked.tables.differs(connection, prune_record.as_ref())? {
        return Ok(Verification::Altered { seq, why });
    }
    if let Some((seq, why)) = tallies_differ(connection, &walked)? {
        return Ok(Verification::Altered { seq, why });
    }
    Ok(Verification::Whole {
        events: walked.events,
        head: hex(&walked.head),
        checkpoints: stored.len() as u64,
        restores: walked.restores.len() as u64,
    })
}

/// What is wrong with the database itself.
fn file_differs(connection: &Connection) -> Result<Option<String>, HistoryError> {
    let sound: String = connection.query_row("PRAGMA integrity_check(1)", [], |r| r.get(0))?;
    if sound != "ok" {
        return Ok(Some(format!("the database file is damaged: {sound}")));
    }
    if let Some(what) = schema::foreign_object(connection)? {
        return Ok(Some(format!("the database was changed: {what}")));
    }
    let misleading = partial_indexes::that_misleads(connection, None)?;
    Ok(misleading.map(|index| {
        format!(
            "the database file is damaged: the index {index} finds other rows than its table holds"
        )
    }))
}

/// The checkpoints of the history, each with a signature that is its own.
fn stored_checkpoints(
    connection: &Connection,
) -> Result<Result<Vec<Signed>, Verification>, HistoryError> {
    let mut stored = Vec::new();
    let mut statement = connection.prepare("SELECT seq, body FROM checkpoint ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(r) = rows.next()? {
        let (seq, body): (i64, String) = (r.get(0)?, r.get(1)?);
        let checked = serde_json::from_str(&body)
            .map_err(|e| e.to_string())
            .and_then(|value| signed(&value));
        let why = match checked {
            Ok(one) if one.seq == seq as u64 => {
                stored.push(one);
                continue;
            }
            Ok(_) => "the checkpoint at this event was signed for another".to_owned(),
            Err(why) => format!("the checkpoint at this event is not what was signed: {why}"),
        };
        return Ok(Err(Verification::Altered {
            seq: seq as u64,
            why,
        }));
    }
    Ok(Ok(stored))
}

/// The events, and the signatures that they are held against.
struct Held<'h> {
    stored: &'h [Signed],
    given: Option<&'h Signed>,
    prune_record: Option<&'h PruneRecord>,
    walked: &'h Walked,
}

impl Held<'_> {
    /// The first signature that the events do not fit, or that nobody trusted made.
    fn differs(
        &self,
        connection: &Connection,
        against: &Against,
    ) -> Result<Option<Verification>, HistoryError> {
        let (stored, walked) = (self.stored, self.walked);
        let chain: Option<String> = connection
            .query_row("SELECT value FROM meta WHERE key = 'chain'", [], |r| {
                r.get(0)
            })
            .optional()?;
        let chain = chain.unwrap_or_default();
        let proof = Proof::of(stored, self.given, walked, chain, against);
        if let Some(found) = stored_differ(stored, walked, &proof) {
            return Ok(Some(found));
        }
        if let Some(prune_record) = self.prune_record
            && let Some(why) = prune_record_differs(connection, prune_record, walked, &proof)?
        {
            let seq = prune_record.last;
            return Ok(Some(Verification::Altered { seq, why }));
        }
        if let Some(given) = self.given {
            let found = match self.prune_record.filter(|s| given.seq <= s.last) {
                Some(prune_record) => pruned_differs(given, prune_record, walked, &proof),
                None => given_differs(given, walked, stored, &proof),
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        if let Some(found) = signed_by_others(stored, walked, &proof) {
            return Ok(Some(found));
        }
        if against.key.is_some() && stored.is_empty() && walked.events > 0 {
            return Ok(Some(Verification::NotProvable {
                why: "there are events and no signed checkpoint of them".into(),
            }));
        }
        Ok(None)
    }
}

/// The first seal whose tallies are not what they were, or are gone before their time.
fn tallies_differ(
    connection: &Connection,
    walked: &Walked,
) -> Result<Option<(u64, String)>, HistoryError> {
    let mut seals = Seals::default();
    walked
        .tables
        .seals()
        .iter()
        .for_each(|(_, unit, ..)| seals.add(*unit));
    for (seq, unit, sealed, sum) in walked.tables.seals().iter().rev() {
        if seals.may_be_gone(*unit) {
            continue;
        }
        let mut is_misfiled = false;
        let (digest, count) = tallies_digest(connection, *unit, |endpoint, name| {
            is_misfiled |= !walked.tables.stood_for(endpoint, name)
        })?;
        // Versions before kept an hour's tallies for seven days and had nothing longer.
        let is_forgotten = count == 0
            && unit.kind == UnitKind::Hour
            && walked.keeps_from.is_none_or(|first| *seq < first);
        if !is_forgotten && (count != *sealed || hex(&digest) != *sum || is_misfiled) {
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
