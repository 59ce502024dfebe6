//! The writer's thread: sole user of the owning connection.
//!
//! Batches come first and are tried until they are committed; tallies go in slices of at most ten
//! milliseconds between them. What was committed, and whether the disk takes anything, is told
//! through a callback.

use std::cell::OnceCell;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::time::Instant;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};

use super::append::append;
use super::chain::{GENESIS, hex};
use super::checkpoint::{Signer, TermsKey};
use super::dates::Dates;
use super::definitions::{Renames, Told};
use super::outbox::{Fate, ToldUnknown};
use super::prune::{Cut, Pruned};
use super::read::windows;
use super::reader::once;
use super::registry::{Registered, register, serve};
use super::restore::{Restored, restore};
use super::schema::{self, Owner};
use super::seals::{Kind, Seals, Unit};
use super::stub::Stub;
use super::tally::{continued, tally_body, with_longest_blind};
use super::trust::vouch;
use super::upkeep::{Reopened, Upkeep, reopen};
use super::*;
use crate::judgement::maintenance::Stored;
use crate::net::clock::Clock;
use crate::words::{format_utc, parse_utc};

const SLICE: Duration = Duration::from_millis(10);
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// A checkpoint follows new events within this long, and there is one at least in every hour.
const CHECKPOINT_AFTER_MS: i64 = 60_000;
const CHECKPOINT_AT_LEAST_MS: i64 = 3_600_000;

/// What the writer tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    Committed {
        batch: u64,
        events: u64,
    },
    /// The disk takes nothing; the batch is kept and tried again.
    Failing(String),
}

enum Command {
    Batch(Box<Batch>),
    Tallies(Vec<TallyDraft>),
    /// The tallies of all hours before this one are complete.
    HoursAreOver {
        hour: i64,
        at: Ms,
        utc: UtcMs,
    },
    /// The wall clock came back to an hour that was left already.
    Reopen(i64),
    Prune(Box<Cut>, String, UtcMs, Sender<Result<Pruned, String>>),
    Register(Vec<Registration>, Sender<Result<Vec<Registered>, String>>),
    Sent {
        id: i64,
        fate: Fate,
        again_at: UtcMs,
    },
    /// Ends once all before it is done, or has failed this long.
    End(Duration),
}

/// Talks to the writer's thread.
#[derive(Clone)]
pub struct Writer {
    commands: Sender<Command>,
}

/// The opened history before its thread runs.
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
    pub(super) notary: Notary,
    /// The key that signed before, where this start has another.
    pub key_before: Option<String>,
    /// Its signature that the new one follows it, where it is still in the directory.
    pub vouch: Option<Value>,
}

/// Signs the chain from time to time.
pub(super) struct Notary {
    pub(super) signer: Signer,
    pub(super) chain: String,
    /// (event, when) of the newest checkpoint.
    pub(super) checkpointed: (u64, UtcMs),
}

impl Notary {
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
    /// Takes the state directory for this process.
    ///
    /// `key`: what signs checkpoints, if it is not the directory's own.
    pub fn open(directory: &Path, key: Option<&str>) -> Result<Self, HistoryError> {
        let (owner, connection) = schema::own(directory)?;
        let last: Option<(i64, Vec<u8>)> = connection
            .query_row(
                "SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1",
                [],
                |r| Ok((r.get(0)?, r.get(1)?)),
            )
            .optional()?;
        let damaged = |why: &str| HistoryError::Damaged {
            path: owner.path.display().to_string(),
            why: why.into(),
        };
        let (head, next_seq) = match last {
            None => (GENESIS, 1),
            Some((seq, hash)) => (
                hash.try_into()
                    .map_err(|_| damaged("the hash of the last event is malformed"))?,
                seq as u64 + 1,
            ),
        };
        let seals = Seals::read(&connection)?;
        let signer = match key {
            Some(text) => Signer::from_hex(text).map_err(|why| HistoryError::Directory {
                path: "[history] key".into(),
                why,
            })?,
            None => Signer::of_directory(directory)?,
        };
        let chain: String =
            connection.query_row("SELECT value FROM meta WHERE key = 'chain'", [], |r| {
                r.get(0)
            })?;
        let newest: Option<String> = connection
            .query_row(
                "SELECT body FROM checkpoint ORDER BY seq DESC LIMIT 1",
                [],
                |r| r.get(0),
            )
            .optional()?;
        let newest: Option<Value> = newest.and_then(|body| serde_json::from_str(&body).ok());
        let key_before = newest
            .as_ref()
            .and_then(|c| c["key"].as_str())
            .filter(|key| *key != signer.key())
            .map(str::to_owned);
        let before = key_before
            .as_ref()
            .and_then(|key| Signer::kept(directory).filter(|s| s.key() == *key));
        let vouch = before.map(|before| vouch(&before, &chain, &signer.key()));
        // A new key signs at once.
        let newest = newest.filter(|_| key_before.is_none());
        let checkpointed = newest.map_or((0, 0), |c| {
            (
                c["seq"].as_u64().unwrap_or(0),
                c["time"].as_str().and_then(parse_utc).unwrap_or(0),
            )
        });
        Ok(Self {
            connection,
            _owner: owner,
            head,
            next_seq,
            seals,
            reopened: Reopened::new(),
            notary: Notary {
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
        self.notary.signer.key()
    }

    /// Every maintenance window that was ever declared.
    pub fn windows(&self) -> Result<Vec<Stored>, HistoryError> {
        let renames = OnceCell::new();
        windows(&self.connection, &Dates::read(&self.connection)?, || {
            let read = || Renames::read(&self.connection, Stub::read(&self.connection)?.as_ref());
            once(&renames, read)
        })
    }

    /// Commits to terms with this history's key.
    pub fn terms_key(&self) -> TermsKey {
        self.notary.signer.terms_key().clone()
    }

    /// Config, terms and components, as the events tell.
    pub fn told(&self) -> Result<Told, HistoryError> {
        let (stub, dates) = (
            Stub::read(&self.connection)?,
            Dates::read(&self.connection)?,
        );
        Told::read(&self.connection, stub.as_ref(), &dates)
    }

    /// Whom receivers were told of that was unknown, and not of their return.
    pub fn told_unknown(&self) -> Result<Vec<ToldUnknown>, HistoryError> {
        outbox::told_unknown_in(&self.connection)
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
                last.filter(|(hour, _)| !self.seals.has(Unit::new(Kind::Hour, *hour)))
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

    /// Starts the thread. `tell` is called from it.
    pub fn start(
        self,
        tell: impl Fn(Progress) + Send + 'static,
    ) -> std::io::Result<(Writer, std::thread::JoinHandle<()>)> {
        let (commands, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("history".into())
            .spawn(move || {
                Running {
                    history: self,
                    tell,
                    tallies: BTreeMap::new(),
                    upkeep: Upkeep::begun(),
                }
                .run(&receiver)
            })?;
        Ok((Writer { commands }, thread))
    }
}

impl Writer {
    fn send(&self, command: Command) {
        // The thread ends only after the engine has; what comes later has nowhere to go.
        let _ = self.commands.send(command);
    }

    pub fn commit(&self, batch: Batch) {
        self.send(Command::Batch(Box::new(batch)));
    }

    pub fn tallies(&self, tallies: Vec<TallyDraft>) {
        self.send(Command::Tallies(tallies));
    }

    /// The tallies of all hours before this one are complete: they are sealed.
    pub fn hours_are_over(&self, hour: i64, at: Ms, utc: UtcMs) {
        self.send(Command::HoursAreOver { hour, at, utc });
    }

    /// The wall clock came back to an hour that was left already: what is counted now is added to
    /// what was.
    pub fn reopen(&self, hour: i64) {
        self.send(Command::Reopen(hour));
    }

    /// What became of a try of a message; `again_at`: when it is tried again, if it is.
    pub fn sent(&self, id: i64, fate: Fate, again_at: UtcMs) {
        self.send(Command::Sent { id, fate, again_at });
    }

    /// Registers endpoints while the daemon runs. Waits for the disk; not for the probing thread.
    pub fn register(&self, list: Vec<Registration>) -> Result<Vec<Registered>, String> {
        let (reply, answer) = channel();
        self.send(Command::Register(list, reply));
        answer
            .recv_timeout(Duration::from_secs(10))
            .map_err(|_| "the history does not answer".to_owned())?
    }

    /// Cuts the history where it was looked at. Waits for the disk.
    pub fn prune(&self, cut: Cut, by: String, utc: UtcMs) -> Result<Pruned, String> {
        let (reply, answer) = channel();
        self.send(Command::Prune(Box::new(cut), by, utc, reply));
        answer
            .recv_timeout(Duration::from_secs(10))
            .map_err(|_| "the history does not answer".to_owned())?
    }

    pub fn end(&self, patience: Duration) {
        self.send(Command::End(patience));
    }
}

/// Whether the daemon is about to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    Yes,
    No,
}

struct Running<T> {
    history: History,
    tell: T,
    /// The newest of each hour and endpoint.
    tallies: BTreeMap<(i64, i64), TallyDraft>,
    upkeep: Upkeep,
}

impl<T: Fn(Progress)> Running<T> {
    fn run(mut self, commands: &Receiver<Command>) {
        loop {
            let is_idle = self.tallies.is_empty() && self.upkeep.is_idle();
            let wait = if is_idle {
                Duration::from_secs(3600)
            } else {
                Duration::ZERO
            };
            match commands.recv_timeout(wait) {
                Ok(Command::End(_)) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(command) => {
                    if self.perform(command, commands) {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) if self.tallies.is_empty() => {
                    let upkeep = &mut self.upkeep;
                    if let Err(error) = upkeep.work(&mut self.history, SLICE) {
                        tracing::warn!(%error, "hourly aggregates could not be sealed; will be \
                            retried with the next hour");
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.write_tallies(SLICE),
            }
        }
        self.write_tallies(Duration::from_millis(500));
        let now = Clock::Real.read().utc_ms;
        self.log_failure("signing the last checkpoint", |h| h.last_checkpoint(now));
        let _ = self
            .history
            .connection
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    /// True when it is time to end.
    fn perform(&mut self, command: Command, commands: &Receiver<Command>) -> bool {
        match command {
            Command::Batch(batch) => return self.commit(*batch, commands),
            Command::Tallies(list) => self.keep(list),
            Command::HoursAreOver { hour, at, utc } => self.upkeep.hours_are_over(hour, at, utc),
            Command::Reopen(hour) => {
                // What was counted before it was left is complete before anything is added.
                self.write_tallies(Duration::from_secs(5));
                self.log_failure("entering an hour again", |h| {
                    let left = reopen(&h.connection, hour)?;
                    h.reopened.extend(left);
                    Ok(())
                });
            }
            Command::Prune(cut, by, utc, reply) => {
                let _ = reply.send(
                    self.history
                        .prune(&cut, &by, utc)
                        .map_err(|e| e.to_string()),
                );
                self.upkeep.taking = true;
            }
            Command::Register(list, reply) => {
                let _ = reply.send(self.history.register(&list).map_err(|e| e.to_string()));
            }
            Command::Sent { id, fate, again_at } => self.log_failure("updating the outbox", |h| {
                outbox::sent(&mut h.connection, id, fate, again_at)
            }),
            Command::End(_) => return true,
        }
        false
    }

    fn keep(&mut self, list: Vec<TallyDraft>) {
        for tally in list {
            self.tallies.insert((tally.hour, tally.endpoint), tally);
        }
    }

    fn log_failure(
        &mut self,
        what: &str,
        work: impl FnOnce(&mut History) -> Result<(), HistoryError>,
    ) {
        if let Err(error) = work(&mut self.history) {
            tracing::error!(%error, "{what} failed");
        }
    }

    /// Tries until it is done. While the disk fails, later commands wait in the channel; an end is
    /// still heard.
    fn commit(&mut self, batch: Batch, commands: &Receiver<Command>) -> bool {
        let events = batch.events.len() as u64;
        let mut waiting = VecDeque::new();
        let mut give_up_at: Option<Instant> = None;
        loop {
            match self.history.commit(&batch) {
                Ok(()) => break,
                Err(error) => (self.tell)(Progress::Failing(error.to_string())),
            }
            let again_at = Instant::now() + RETRY_AFTER;
            loop {
                match commands.recv_timeout(again_at.saturating_duration_since(Instant::now())) {
                    Ok(Command::End(patience)) => give_up_at = Some(Instant::now() + patience),
                    Ok(Command::Tallies(list)) => self.keep(list),
                    Ok(Command::Prune(.., reply)) => {
                        drop(reply.send(Err("the history is not writable".into())))
                    }
                    Ok(Command::Register(_, reply)) => {
                        drop(reply.send(Err("the history is not writable".into())))
                    }
                    Ok(other) => waiting.push_back(other),
                    Err(_) => break,
                }
            }
            if give_up_at.is_some_and(|at| Instant::now() >= at) {
                tracing::error!(
                    events,
                    "history not writable until the end; unrecorded events are lost"
                );
                return true;
            }
        }
        (self.tell)(Progress::Committed {
            batch: batch.id,
            events: self.history.next_seq - 1,
        });
        let ended = waiting
            .into_iter()
            .any(|command| self.perform(command, commands));
        ended || give_up_at.is_some()
    }

    fn write_tallies(&mut self, limit: Duration) {
        let began = Instant::now();
        while began.elapsed() < limit && !self.tallies.is_empty() {
            let mut slice = Vec::new();
            while let Some((_, tally)) = self.tallies.pop_first() {
                slice.push(tally);
                if slice.len() == 64 {
                    break;
                }
            }
            if let Err(error) = self.history.write_tallies(&slice) {
                tracing::warn!(%error, "hourly aggregates could not be written; will be retried");
                for tally in slice {
                    self.tallies
                        .entry((tally.hour, tally.endpoint))
                        .or_insert(tally);
                }
                return;
            }
        }
    }
}

impl History {
    fn commit(&mut self, batch: &Batch) -> Result<(), HistoryError> {
        let (mut head, mut seq) = (self.head, self.next_seq);
        let transaction = self.connection.transaction()?;
        {
            let (s, events) = (&batch.stamp, (seq + batch.events.len() as u64) as i64 - 1);
            let inputs = sealed(
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
                    sealed(judge.clone(), &state_place(*endpoint, batch.id as i64))
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
            for posting in &batch.outbox {
                outbox::post(&transaction, posting, batch.stamp.utc_ms)?;
            }
        }
        let checkpoint = self.notary.due(seq, &head, batch.stamp.utc_ms, Closing::No);
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
            self.notary.checkpointed = (last, batch.stamp.utc_ms);
        }
        Ok(())
    }

    /// The last events are signed before the daemon ends.
    fn last_checkpoint(&mut self, now: UtcMs) -> Result<(), HistoryError> {
        if let Some((last, body)) = self
            .notary
            .due(self.next_seq, &self.head, now, Closing::Yes)
        {
            self.connection.execute(
                "INSERT OR REPLACE INTO checkpoint (seq, body) VALUES (?1, ?2)",
                params![last as i64, body],
            )?;
            self.notary.checkpointed = (last, now);
        }
        Ok(())
    }

    fn write_tallies(&mut self, slice: &[TallyDraft]) -> Result<(), HistoryError> {
        let transaction = self.connection.transaction()?;
        {
            let mut put = transaction.prepare_cached(
                "INSERT OR REPLACE INTO tally (endpoint, hour, body) VALUES (?1, ?2, ?3)",
            )?;
            for tally in slice
                .iter()
                .filter(|t| !self.seals.has(Unit::new(Kind::Hour, t.hour)))
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
