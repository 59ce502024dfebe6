//! Puts a backup in the place of a history: what was there is moved aside, and the chain tells of
//! the fork.

use std::path::Path;

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::append::append;
use super::chain::hex;
use super::checkpoint::Signer;
use super::event::RestoredEvent;
use super::read::newest_checkpoint;
use super::reader::HistoryReader;
use super::schema;
use super::{EventDraft, HistoryError, Stamp, sealed, state_place};
use crate::words::{UtcMs, format_utc};

/// A backup that takes the place of a history.
pub struct Replacement {
    /// The reader through which it was verified. All that is copied comes from here, also what
    /// lies in a log beside the file.
    pub from: HistoryReader,
    /// Every judge, brought up to date, with its counters set back.
    pub states: Vec<(i64, Vec<u8>)>,
    pub last_batch: u64,
    pub last: Option<Stamp>,
    pub by: String,
    /// The key that signs here, as far as it is known.
    pub signer: Option<Signer>,
}

impl Replacement {
    /// Number of events, and where the history before is kept.
    pub fn put(self, directory: &Path, now: UtcMs) -> Result<(u64, String), HistoryError> {
        // What lies there may be damaged or gone: it is moved aside unopened, with its log.
        let mut owner = schema::lock_only(directory)?;
        let unusable = |why: std::io::Error| HistoryError::Directory {
            path: directory.display().to_string(),
            why: why.to_string(),
        };
        let aside = owner.path.with_extension(format!("before-{now}.sqlite"));
        let fresh = owner.path.with_extension("restoring");
        // An earlier try that was interrupted may have left a journal, which SQLite would play back
        // into the copy.
        let forget = || {
            ["", "-journal", "-wal", "-shm"]
                .iter()
                .for_each(|end| drop(std::fs::remove_file(format!("{}{end}", fresh.display()))))
        };
        forget();
        let restored = self
            .from
            .backup(&fresh)
            .and_then(|()| self.append_to(&fresh, now))
            .inspect_err(|_| forget())?;
        for end in ["-wal", "-shm", ""] {
            match std::fs::rename(
                format!("{}{end}", owner.path.display()),
                format!("{}{end}", aside.display()),
            ) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(unusable(error));
                }
                _ => {}
            }
        }
        std::fs::rename(&fresh, &owner.path).map_err(unusable)?;
        std::fs::File::open(directory)
            .and_then(|d| d.sync_all())
            .map_err(unusable)?;
        owner.mark_used().map_err(unusable)?;
        Ok((restored, aside.display().to_string()))
    }

    /// Writes the event, the new chain and the judges into the copy.
    fn append_to(&self, path: &Path, now: UtcMs) -> Result<u64, HistoryError> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = connection.transaction()?;
        let damaged = |why: &str| HistoryError::Damaged {
            path: path.display().to_string(),
            why: why.into(),
        };
        let (seq, hash): (i64, Vec<u8>) = transaction.query_row(
            "SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1",
            [],
            |r| Ok((r.get(0)?, r.get(1)?)),
        )?;
        let head: [u8; 32] = hash
            .try_into()
            .map_err(|_| damaged("the hash of the last event is malformed"))?;
        let old_chain: String =
            transaction.query_row("SELECT value FROM meta WHERE key = 'chain'", [], |r| {
                r.get(0)
            })?;
        transaction.execute(
            "UPDATE meta SET value = lower(hex(randomblob(16))) WHERE key = 'chain'",
            [],
        )?;
        let new_chain: String =
            transaction.query_row("SELECT value FROM meta WHERE key = 'chain'", [], |r| {
                r.get(0)
            })?;
        let at = self.last.as_ref().map_or(0, |s| s.timeline_ms);
        let event = RestoredEvent {
            old_chain,
            old_seq: seq as u64,
            old_head: hex(&head),
            new_chain: new_chain.clone(),
            by: self.by.clone(),
            backup_until: self.last.as_ref().map(|s| format_utc(s.utc_ms)),
        };
        let draft = EventDraft::general(at, now, event);
        let head = append(&transaction, &draft, seq as u64 + 1, &head)?;
        // A restore that nobody signed proves nothing; another key signs at the next start, which
        // tells of it.
        let newest = newest_checkpoint(&transaction)?
            .and_then(|body| serde_json::from_str::<Value>(&body).ok());
        let signer = self
            .signer
            .as_ref()
            .filter(|s| newest.is_none_or(|c| c["key"] == s.key()));
        if let (Some(signer), Value::Object(object)) = (
            signer,
            json!({"chain": new_chain, "seq": seq + 1, "head": hex(&head), "time": format_utc(now)}),
        ) {
            let body = signer.signed(object).to_string();
            transaction.execute(
                "INSERT OR REPLACE INTO checkpoint (seq, body) VALUES (?1, ?2)",
                params![seq + 1, body],
            )?;
        }
        for (id, judge) in &self.states {
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO state (endpoint, mark, judge) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![
                    id,
                    self.last_batch as i64,
                    sealed(judge.clone(), &state_place(*id, self.last_batch as i64))
                ])?;
        }
        transaction.commit()?;
        Ok(seq as u64 + 1)
    }
}
