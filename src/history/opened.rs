//! The history that this process owns: opening it, what a start asks of it, and what a batch
//! commits.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};

use super::append::append;
use super::chain::{GENESIS, hex};
use super::checkpoint::{Checkpoint, Signer, TermsKey};
use super::dates::Dates;
use super::definitions::{RecordedDefinitions, Renames};
use super::outbox::NotifiedUnknown;
use super::prune_record::PruneRecord;
use super::read::{chain_of, last_event, newest_checkpoint, windows};
use super::reader::once;
use super::registry::{Registered, register, serve};
use super::restore::{Restored, restore};
use super::schema::{self, Owner};
use super::seals::{Seals, Unit, UnitKind};
use super::tally::{continued, tally_body, with_longest_blind};
use super::trust::vouch;
use super::*;
use crate::judgement::maintenance::Stored;
use crate::words::{format_utc, parse_utc};

/// A checkpoint follows new events within this long, and there is one at least in every hour.
const CHECKPOINT_AFTER_MS: i64 = 60_000;
const CHECKPOINT_AT_LEAST_MS: i64 = 3_600_000;

/// Tallies of hours that the clock came back to: what is counted from then on is added to them.
pub type Reopened = BTreeMap<(i64, i64), Vec<u8>>;

/// What an hour that is entered again held when it was left.
pub fn reopen(connection: &Connection, hour: i64) -> Result<Reopened, HistoryError> {
    let mut statement = connection.prepare("SELECT endpoint, body FROM tally WHERE hour = ?1")?;
    let rows = statement.query_map([hour], |r| Ok(((hour, r.get::<_, i64>(0)?), r.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The history that this process owns: nobody else writes to it.
pub struct History {
    pub(super) connection: Connection,
    /// Held as long as the connection is.
    _owner: Owner,
    pub(super) head: [u8; 32],
    pub(super) next_seq: u64,
    /// Hours whose tallies do not change any more, and what they were rolled up into.
    pub(super) seals: Seals,
    /// Hours that were left and entered again, as they were left.
    pub(super) reopened: Reopened,
    pub(super) chain_signer: ChainSigner,
    /// The key that signed before, where this start has another.
    pub key_before: Option<String>,
    /// Its signature that the new one follows it, where it is still in the directory.
    pub vouch: Option<Value>,
}

/// Signs the chain from time to time.
pub(super) struct ChainSigner {
    pub(super) signer: Signer,
    pub(super) chain: String,
    /// (event, when) of the newest checkpoint.
    pub(super) checkpointed: (u64, UtcMs),
}

impl ChainSigner {
    /// The number of the last event and the signed checkpoint over it, if one is due.
    pub(super) fn due(
        &self,
        next_seq: u64,
        head: &[u8; 32],
        now: UtcMs,
        closing: Closing,
    ) -> Option<(u64, String)> {
        let (seq, at) = self.checkpointed;
        let (last, age) = (next_seq - 1, (now - at).abs());
        let is_news = last > seq && (age >= CHECKPOINT_AFTER_MS || closing == Closing::Yes);
        if last == 0 || !is_news && age < CHECKPOINT_AT_LEAST_MS {
            return None;
        }
        let Value::Object(object) =
            json!({"chain": self.chain, "seq": last, "head": hex(head), "time": format_utc(now)})
        else {
            return None;
        };
        Some((last, self.signer.signed(object).to_string()))
    }
}

impl History {
    /// Bytes of the write-ahead log.
    pub(super) fn log_bytes(&self) -> u64 {
        let path = self.connection.path().unwrap_or_default();
        std::fs::metadata(format!("{path}-wal")).map_or(0, |log| log.len())
    }

    /// Takes the log into the database and empties it, if none reads of it at this moment.
    pub(super) fn take_log_in(&self) {
        let connection = &self.connection;
        let _ = connection.busy_timeout(std::time::Duration::ZERO);
        let _ = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        let _ = connection.busy_timeout(schema::PATIENCE);
    }

    /// Takes the state directory for this process.
    ///
    /// `key`: what signs checkpoints, if it is not the directory's own.
    pub fn open(directory: &Path, key: Option<&str>) -> Result<Self, HistoryError> {
        let (owner, connection) = schema::own(directory)?;
        let (head, next_seq) = match last_event(&connection, &owner.path)? {
            None => (GENESIS, 1),
            Some((seq, hash)) => (hash, seq + 1),
        };
        let seals = Seals::read(&connection)?;
        let signer = match key {
            Some(text) => Signer::from_hex(text).map_err(|why| HistoryError::Directory {
                path: "[history] key".into(),
                why,
            })?,
            None => Signer::of_directory(directory)?,
        };
        let chain = chain_of(&connection)?;
        let newest: Option<Value> =
            newest_checkpoint(&connection)?.and_then(|body| serde_json::from_str(&body).ok());
        let newest = newest.as_ref().map(Checkpoint::read);
        let key_before = newest
            .as_ref()
            .and_then(|c| c.key.clone())
            .filter(|key| *key != signer.key());
        let before = key_before
            .as_ref()
            .and_then(|key| Signer::kept(directory).filter(|s| s.key() == *key));
        let vouch = before.map(|before| vouch(&before, &chain, &signer.key()));
        // A new key signs at once.
        let newest = newest.filter(|_| key_before.is_none());
        let checkpointed = newest.map_or((0, 0), |c| {
            let time = c.time.as_deref().and_then(parse_utc);
            (c.seq.unwrap_or(0), time.unwrap_or(0))
        });
        Ok(Self {
            connection,
            _owner: owner,
            head,
            next_seq,
            seals,
            reopened: Reopened::new(),
            chain_signer: ChainSigner {
                signer,
                chain,
                checkpointed,
            },
            key_before,
            vouch,
        })
    }

    /// Everything that a start needs of the past.
    pub fn restore(&self) -> Result<Restored, HistoryError> {
        restore(&self.connection)
    }

    /// The public key that signs from now on.
    pub fn key(&self) -> String {
        self.chain_signer.signer.key()
    }

    /// Every maintenance window that was ever declared.
    pub fn windows(&self) -> Result<Vec<Stored>, HistoryError> {
        let renames = OnceCell::new();
        windows(&self.connection, &Dates::read(&self.connection)?, || {
            let read = || {
                Renames::read(
                    &self.connection,
                    PruneRecord::read(&self.connection)?.as_ref(),
                )
            };
            once(&renames, read)
        })
    }

    /// Commits to terms with this history's key.
    pub fn terms_key(&self) -> TermsKey {
        self.chain_signer.signer.terms_key().clone()
    }

    /// Config, terms and components, as the events tell.
    pub fn definitions(&self) -> Result<RecordedDefinitions, HistoryError> {
        let (prune_record, dates) = (
            PruneRecord::read(&self.connection)?,
            Dates::read(&self.connection)?,
        );
        RecordedDefinitions::read(&self.connection, prune_record.as_ref(), &dates)
    }

    /// Endpoints whose unknown time receivers were notified of, and not yet of its end.
    pub fn notified_unknown(&self) -> Result<Vec<NotifiedUnknown>, HistoryError> {
        outbox::notified_unknown_in(&self.connection)
    }

    /// Endpoints whose single results are recorded.
    pub fn recording(&self) -> Result<Vec<i64>, HistoryError> {
        let mut statement = self
            .connection
            .prepare("SELECT endpoint FROM recording WHERE to_at IS NULL")?;
        let rows = statement.query_map([], |r| r.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Latency of the last hours, to fill the histograms of pages after a start: (endpoint, hour,
    /// body).
    pub fn tallies_since(&self, hour: i64) -> Result<Vec<(i64, i64, Vec<u8>)>, HistoryError> {
        let mut statement = self
            .connection
            .prepare("SELECT endpoint, hour, body FROM tally WHERE hour >= ?1")?;
        let rows = statement.query_map([hour], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What endpoints' last tallies are to say at least of the longest time between two probes: a
    /// kill may have kept it from them.
    pub fn amend_last_tallies(&mut self, longest_blind: &[(i64, Ms)]) -> Result<(), HistoryError> {
        let transaction = self.connection.transaction()?;
        for (endpoint, longest) in longest_blind {
            let sql = "SELECT hour, body FROM tally WHERE endpoint = ?1 ORDER BY hour DESC LIMIT 1";
            let last: Option<(i64, Vec<u8>)> = transaction
                .prepare_cached(sql)?
                .query_row([endpoint], |r| Ok((r.get(0)?, r.get(1)?)))
                .optional()?;
            let Some((hour, body)) =
                last.filter(|(hour, _)| !self.seals.has(Unit::new(UnitKind::Hour, *hour)))
            else {
                continue;
            };
            if let Some(more) = with_longest_blind(&body, *longest) {
                let sql = "UPDATE tally SET body = ?3 WHERE endpoint = ?1 AND hour = ?2";
                transaction
                    .prepare_cached(sql)?
                    .execute(params![endpoint, hour, more])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    pub fn register(&mut self, list: &[Registration]) -> Result<Vec<Registered>, HistoryError> {
        let transaction = self.connection.transaction()?;
        let registered = register(&transaction, list)?;
        transaction.commit()?;
        Ok(registered)
    }
}

/// Whether the daemon is about to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    Yes,
    No,
}

impl History {
    pub(super) fn commit(&mut self, batch: &Batch) -> Result<(), HistoryError> {
        let (mut head, mut seq) = (self.head, self.next_seq);
        let transaction = self.connection.transaction()?;
        {
            let (s, events) = (&batch.stamp, (seq + batch.events.len() as u64) as i64 - 1);
            let inputs = with_checksum(
                batch.inputs.clone(),
                &mark_place(batch.id as i64, s, events),
            );
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO mark (id, boot_id, boot_ns, timeline_ms, \
                    utc_ms, events, inputs) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    batch.id as i64,
                    s.boot_id,
                    s.boot_ns as i64,
                    s.timeline_ms as i64,
                    s.utc_ms,
                    events,
                    inputs
                ])?;
            for draft in &batch.events {
                head = append(&transaction, draft, seq, &head)?;
                seq += 1;
            }
            let mut put = transaction.prepare_cached(
                "INSERT OR REPLACE INTO state (endpoint, mark, judge) VALUES (?1, ?2, ?3)",
            )?;
            for (endpoint, judge) in &batch.states {
                put.execute(params![
                    endpoint,
                    batch.id as i64,
                    with_checksum(judge.clone(), &state_place(*endpoint, batch.id as i64))
                ])?;
            }
            transaction
                .prepare_cached("DELETE FROM mark WHERE id < ?1")?
                .execute([batch.prune_before as i64])?;
            for service in &batch.service {
                serve(&transaction, service)?;
            }
            for (endpoint, at, ok) in &batch.results {
                let sql = "INSERT OR IGNORE INTO result (endpoint, at, ok) VALUES (?1, ?2, ?3)";
                transaction
                    .prepare_cached(sql)?
                    .execute(params![endpoint, at, ok])?;
            }
            for change in &batch.outbox {
                outbox::apply(&transaction, change, batch.stamp.utc_ms)?;
            }
        }
        let checkpoint = self
            .chain_signer
            .due(seq, &head, batch.stamp.utc_ms, Closing::No);
        if let Some((last, body)) = &checkpoint {
            transaction.execute(
                "INSERT OR REPLACE INTO checkpoint (seq, body) VALUES (?1, ?2)",
                params![*last as i64, body],
            )?;
        }
        transaction.commit()?;
        self.head = head;
        self.next_seq = seq;
        if let Some((last, _)) = checkpoint {
            self.chain_signer.checkpointed = (last, batch.stamp.utc_ms);
        }
        Ok(())
    }

    /// The last events are signed before the daemon ends.
    pub(super) fn last_checkpoint(&mut self, now: UtcMs) -> Result<(), HistoryError> {
        if let Some((last, body)) =
            self.chain_signer
                .due(self.next_seq, &self.head, now, Closing::Yes)
        {
            self.connection.execute(
                "INSERT OR REPLACE INTO checkpoint (seq, body) VALUES (?1, ?2)",
                params![last as i64, body],
            )?;
            self.chain_signer.checkpointed = (last, now);
        }
        Ok(())
    }

    pub(super) fn write_tallies(&mut self, slice: &[TallyDraft]) -> Result<(), HistoryError> {
        let transaction = self.connection.transaction()?;
        {
            let mut put = transaction.prepare_cached(
                "INSERT OR REPLACE INTO tally (endpoint, hour, body) VALUES (?1, ?2, ?3)",
            )?;
            for tally in slice
                .iter()
                .filter(|t| !self.seals.has(Unit::new(UnitKind::Hour, t.hour)))
            {
                let own = tally_body(tally);
                let body = self
                    .reopened
                    .get(&(tally.hour, tally.endpoint))
                    .and_then(|before| continued(before, &own))
                    .unwrap_or(own);
                put.execute(params![tally.endpoint, tally.hour, body])?;
            }
        }
        Ok(transaction.commit()?)
    }
}
