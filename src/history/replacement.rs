//! Puts a backup in the place of a history: what was there is moved aside, and the chain tells of
//! the fork.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rusqlite::{Connection, Transaction, params};
use serde_json::{Value, json};

use super::append::append;
use super::chain::hex;
use super::checkpoint::{Checkpoint, Signer};
use super::event::RestoredEvent;
use super::read::{chain_of, last_event, newest_checkpoint};
use super::reader::HistoryReader;
use super::schema;
use super::{EventDraft, HistoryError, Stamp, state_place, with_checksum};
use crate::net::sys;
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
        // Root would leave files that the daemon cannot open, and in a folder of another user it
        // could be led to write elsewhere.
        let mode_before = act_as_owner(directory)?;
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
        if let Some(mode) = mode_before {
            std::fs::set_permissions(&fresh, mode).map_err(unusable)?;
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
        let (seq, head) = last_event(&transaction, path)?
            .ok_or(HistoryError::Sqlite(rusqlite::Error::QueryReturnedNoRows))?;
        let old_chain = chain_of(&transaction)?;
        transaction.execute(
            "UPDATE meta SET value = lower(hex(randomblob(16))) WHERE key = 'chain'",
            [],
        )?;
        let new_chain = chain_of(&transaction)?;
        let at = self.last.as_ref().map_or(0, |s| s.timeline_ms);
        let event = RestoredEvent {
            old_chain,
            old_seq: seq,
            old_head: hex(&head),
            new_chain: new_chain.clone(),
            by: self.by.clone(),
            backup_until: self.last.as_ref().map(|s| format_utc(s.utc_ms)),
        };
        let draft = EventDraft::general(at, now, event);
        let head = append(&transaction, &draft, seq + 1, &head)?;
        self.sign(&transaction, &new_chain, (seq + 1, &head), now)?;
        for (id, judge) in &self.states {
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO state (endpoint, mark, judge) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![
                    id,
                    self.last_batch as i64,
                    with_checksum(judge.clone(), &state_place(*id, self.last_batch as i64))
                ])?;
        }
        transaction.commit()?;
        Ok(seq + 1)
    }

    /// Signs the chain up to the event of the restore. A restore that nobody signed proves nothing;
    /// another key signs at the next start, which tells of it.
    fn sign(
        &self,
        transaction: &Transaction,
        chain: &str,
        (seq, head): (u64, &[u8; 32]),
        now: UtcMs,
    ) -> Result<(), HistoryError> {
        let newest = newest_checkpoint(transaction)?
            .and_then(|body| serde_json::from_str::<Value>(&body).ok());
        let key = newest.map(|newest| Checkpoint::read(&newest).key);
        let is_own = |s: &&Signer| key.as_ref().is_none_or(|key| *key == Some(s.key()));
        let Some(signer) = self.signer.as_ref().filter(is_own) else {
            return Ok(());
        };
        let Value::Object(object) =
            json!({"chain": chain, "seq": seq, "head": hex(head), "time": format_utc(now)})
        else {
            return Ok(());
        };
        transaction.execute(
            "INSERT OR REPLACE INTO checkpoint (seq, body) VALUES (?1, ?2)",
            params![seq as i64, signer.signed(object).to_string()],
        )?;
        Ok(())
    }
}

/// Has root act as the user and the group of the state directory, so that every file becomes
/// theirs; returns the mode of the history that is there. A directory that is not there is made.
fn act_as_owner(directory: &Path) -> Result<Option<Permissions>, HistoryError> {
    let before = std::fs::symlink_metadata(directory.join(schema::FILE))
        .ok()
        .filter(std::fs::Metadata::is_file)
        .map(|found| Permissions::from_mode(found.mode() & 0o755 | 0o600));
    if let Ok(found) = std::fs::metadata(directory)
        && sys::effective_user() == 0
        && found.uid() != 0
    {
        let (user, group) = (found.uid(), found.gid());
        sys::act_as(user, group).map_err(|why| HistoryError::Directory {
            path: directory.display().to_string(),
            why: format!(
                "it belongs to user {user}, and root cannot act as that user here: {why}; run \
                    this command as that user"
            ),
        })?;
        // The state of a unit with DynamicUser= lies in /var/lib/private, which is root's alone.
        std::fs::metadata(directory).map_err(|why| HistoryError::Directory {
            path: directory.display().to_string(),
            why: format!(
                "it belongs to user {user}, who cannot reach it: {why}; copy the backup into it, \
                    give the copy to that user, and run this command as the service does: \
                    systemd-run --pipe --wait -p DynamicUser=yes -p User=probity -p \
                    StateDirectory=probity -p StateDirectoryMode=0700 -p UMask=0077 \
                    probity history restore FILE"
            ),
        })?;
    }
    Ok(before)
}
