//! The writer's thread: sole user of the owning connection.
//!
//! Batches come first and are tried until they are committed; tallies go in slices of at most ten milliseconds between
//! them. What was committed, and whether the disk takes anything, is told through a callback.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::time::Instant;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde_json::{Map, Value, json};

use super::chain::{GENESIS, canonical, hex, link};
use super::checkpoint::Signer;
use super::restore::{Restored, restore};
use super::schema::{self, Owner};
use super::tally::tally_body;
use super::*;
use crate::judgement::maintenance::Stored;
use crate::outward::clock::Clock;
use crate::words::{format_utc, parse_utc};

const SLICE: Duration = Duration::from_millis(10);
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// A checkpoint follows new events within this long, and there is one at least in every hour.
const CHECKPOINT_AFTER_MS: i64 = 60_000;
const CHECKPOINT_AT_LEAST_MS: i64 = 3_600_000;
/// Hours of tallies kept.
const TALLY_HOURS_KEPT: i64 = 24 * 7;
/// Delivered messages are remembered this long.
const DELIVERED_KEPT_MS: i64 = 30 * 86_400_000;

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
    /// The tallies of an hour are complete.
    SealHour {
        hour: i64,
        at: Ms,
        utc: UtcMs,
    },
    Register(Vec<Registration>, Sender<Result<Vec<Registered>, String>>),
    Sent {
        id: i64,
        delivered: bool,
        again_at: UtcMs,
    },
    /// Ends once all before it is done, or has failed this long.
    End(Duration),
}

/// What registration found of an endpoint.
#[derive(Debug, Clone)]
pub struct Registered {
    pub id: i64,
    /// The digest it had before, if it was known.
    pub digest_before: Option<u64>,
    pub was_in_service: bool,
    pub renamed: bool,
    /// The component it had before, if it is another now.
    pub component_before: Option<String>,
    /// What the history must yet be told of it, together with the event that says so.
    pub news: Option<Registration>,
}

/// Talks to the writer's thread.
#[derive(Clone)]
pub struct Writer {
    commands: Sender<Command>,
}

/// The opened history before its thread runs.
pub struct History {
    connection: Connection,
    /// Held as long as the connection is.
    _owner: Owner,
    head: [u8; 32],
    next_seq: u64,
    /// Tallies of this hour and those before do not change any more.
    sealed_hour: i64,
    notary: Notary,
    /// The key that signed before, where this start has another.
    pub key_before: Option<String>,
}

/// Signs the chain from time to time.
struct Notary {
    signer: Signer,
    chain: String,
    /// (event, when) of the newest checkpoint.
    checkpointed: (u64, UtcMs),
}

impl Notary {
    /// The number of the last event and the signed checkpoint over it, if one is due.
    fn due(&self, next_seq: u64, head: &[u8; 32], now: UtcMs, closing: Closing) -> Option<(u64, String)> {
        let (seq, at) = self.checkpointed;
        let (last, age) = (next_seq - 1, (now - at).abs());
        let is_news = last > seq && (age >= CHECKPOINT_AFTER_MS || closing == Closing::Yes);
        if last == 0 || !is_news && age < CHECKPOINT_AT_LEAST_MS {
            return None;
        }
        let Value::Object(object) = json!({"chain": self.chain, "seq": last, "head": hex(head), "time": format_utc(now)}) else { return None };
        Some((last, self.signer.signed(object).to_string()))
    }
}

impl History {
    /// Takes the state directory for this process.
    ///
    /// `key`: what signs checkpoints, if it is not the directory's own.
    pub fn open(directory: &Path, key: Option<&str>) -> Result<Self, HistoryError> {
        let (owner, connection) = schema::own(directory)?;
        let last: Option<(i64, Vec<u8>)> =
            connection.query_row("SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1", [], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
        let damaged = |why: &str| HistoryError::Damaged { path: owner.path.display().to_string(), why: why.into() };
        let (head, next_seq) = match last {
            None => (GENESIS, 1),
            Some((seq, hash)) => (hash.try_into().map_err(|_| damaged("the last event's hash is no hash"))?, seq as u64 + 1),
        };
        let sealed: Option<String> = connection.query_row("SELECT value FROM meta WHERE key = 'sealed_hour'", [], |r| r.get(0)).optional()?;
        let sealed_hour = sealed.and_then(|h| h.parse().ok()).unwrap_or(i64::MIN);
        let signer = match key {
            Some(text) => Signer::from_hex(text).map_err(|why| HistoryError::Directory { path: "[history] key".into(), why })?,
            None => Signer::of_directory(directory)?,
        };
        let chain: String = connection.query_row("SELECT value FROM meta WHERE key = 'chain'", [], |r| r.get(0))?;
        let newest: Option<String> = connection.query_row("SELECT body FROM checkpoint ORDER BY seq DESC LIMIT 1", [], |r| r.get(0)).optional()?;
        let newest: Option<Value> = newest.and_then(|body| serde_json::from_str(&body).ok());
        let key_before = newest.as_ref().and_then(|c| c["key"].as_str()).filter(|key| *key != signer.key()).map(str::to_owned);
        let checkpointed = newest.map_or((0, 0), |c| (c["seq"].as_u64().unwrap_or(0), c["time"].as_str().and_then(parse_utc).unwrap_or(0)));
        Ok(Self { connection, _owner: owner, head, next_seq, sealed_hour, notary: Notary { signer, chain, checkpointed }, key_before })
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
        super::read::windows(&self.connection)
    }

    /// Latency of the last hours, to fill the histograms of pages after a start: (endpoint, hour, body).
    pub fn tallies_since(&self, hour: i64) -> Result<Vec<(i64, i64, Vec<u8>)>, HistoryError> {
        let mut statement = self.connection.prepare("SELECT endpoint, hour, body FROM tally WHERE hour >= ?1")?;
        let rows = statement.query_map([hour], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub fn register(&mut self, list: &[Registration]) -> Result<Vec<Registered>, HistoryError> {
        let transaction = self.connection.transaction()?;
        let registered = register(&transaction, list)?;
        transaction.commit()?;
        Ok(registered)
    }

    /// Starts the thread. `tell` is called from it.
    pub fn start(self, tell: impl Fn(Progress) + Send + 'static) -> std::io::Result<(Writer, std::thread::JoinHandle<()>)> {
        let (commands, receiver) = channel();
        let thread =
            std::thread::Builder::new().name("history".into()).spawn(move || Running { history: self, tell, tallies: BTreeMap::new() }.run(&receiver))?;
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

    pub fn seal_hour(&self, hour: i64, at: Ms, utc: UtcMs) {
        self.send(Command::SealHour { hour, at, utc });
    }

    /// A message was delivered, or is to be tried again at `again_at`.
    pub fn sent(&self, id: i64, delivered: bool, again_at: UtcMs) {
        self.send(Command::Sent { id, delivered, again_at });
    }

    /// Registers endpoints while the daemon runs. Waits for the disk; not for the probing thread.
    pub fn register(&self, list: Vec<Registration>) -> Result<Vec<Registered>, String> {
        let (reply, answer) = channel();
        self.send(Command::Register(list, reply));
        answer.recv_timeout(Duration::from_secs(10)).map_err(|_| "the history does not answer".to_owned())?
    }

    pub fn end(&self, patience: Duration) {
        self.send(Command::End(patience));
    }
}

/// Whether the daemon is about to end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    Yes,
    No,
}

struct Running<T> {
    history: History,
    tell: T,
    /// The newest of each hour and endpoint.
    tallies: BTreeMap<(i64, i64), TallyDraft>,
}

impl<T: Fn(Progress)> Running<T> {
    fn run(mut self, commands: &Receiver<Command>) {
        loop {
            let wait = if self.tallies.is_empty() { Duration::from_secs(3600) } else { Duration::ZERO };
            match commands.recv_timeout(wait) {
                Ok(Command::End(_)) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(command) => {
                    if self.perform(command, commands) {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.write_tallies(SLICE),
            }
        }
        self.write_tallies(Duration::from_millis(500));
        let now = Clock::Real.read().utc_ms;
        self.log_failure("signing the last checkpoint", |h| h.last_checkpoint(now));
        let _ = self.history.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    /// True when it is time to end.
    fn perform(&mut self, command: Command, commands: &Receiver<Command>) -> bool {
        match command {
            Command::Batch(batch) => return self.commit(*batch, commands),
            Command::Tallies(list) => self.keep(list),
            Command::SealHour { hour, at, utc } => {
                self.write_tallies(Duration::from_secs(5));
                self.log_failure("sealing an hour", |h| h.seal_hours(hour, at, utc));
            }
            Command::Register(list, reply) => {
                let _ = reply.send(self.history.register(&list).map_err(|e| e.to_string()));
            }
            Command::Sent { id, delivered, again_at } => self.log_failure("updating the outbox", |h| {
                h.connection.execute("UPDATE outbox SET tries = tries + 1, done = ?2, not_before = ?3 WHERE id = ?1", params![id, delivered, again_at])?;
                Ok(())
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

    fn log_failure(&mut self, what: &str, work: impl FnOnce(&mut History) -> Result<(), HistoryError>) {
        if let Err(error) = work(&mut self.history) {
            tracing::error!(%error, "{what} failed");
        }
    }

    /// Tries until it is done. While the disk fails, later commands wait in the channel; an end is still heard.
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
                    Ok(Command::Register(_, reply)) => drop(reply.send(Err("the history takes no writes".into()))),
                    Ok(other) => waiting.push_back(other),
                    Err(_) => break,
                }
            }
            if give_up_at.is_some_and(|at| Instant::now() >= at) {
                tracing::error!(events, "the history took nothing until the end; what was not recorded is lost");
                return true;
            }
        }
        (self.tell)(Progress::Committed { batch: batch.id, events: self.history.next_seq - 1 });
        let ended = waiting.into_iter().any(|command| self.perform(command, commands));
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
                tracing::warn!(%error, "tallies could not be written; they are tried again");
                for tally in slice {
                    self.tallies.entry((tally.hour, tally.endpoint)).or_insert(tally);
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
            let inputs = sealed(batch.inputs.clone(), &mark_place(batch.id as i64, s, events));
            transaction
                .prepare_cached("INSERT OR REPLACE INTO mark (id, boot_id, boot_ns, timeline_ms, utc_ms, events, inputs) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
                .execute(params![batch.id as i64, s.boot_id, s.boot_ns as i64, s.timeline_ms as i64, s.utc_ms, events, inputs])?;
            for draft in &batch.events {
                head = append(&transaction, draft, seq, &head)?;
                seq += 1;
            }
            let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO state (endpoint, mark, judge) VALUES (?1, ?2, ?3)")?;
            for (endpoint, judge) in &batch.states {
                put.execute(params![endpoint, batch.id as i64, sealed(judge.clone(), &state_place(*endpoint, batch.id as i64))])?;
            }
            transaction.prepare_cached("DELETE FROM mark WHERE id < ?1")?.execute([batch.prune_before as i64])?;
            for service in &batch.service {
                serve(&transaction, service)?;
            }
            for message in &batch.outbox {
                post(&transaction, message, batch.stamp.utc_ms)?;
            }
        }
        let checkpoint = self.notary.due(seq, &head, batch.stamp.utc_ms, Closing::No);
        if let Some((last, body)) = &checkpoint {
            transaction.execute("INSERT OR REPLACE INTO checkpoint (seq, body) VALUES (?1, ?2)", params![*last as i64, body])?;
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
        if let Some((last, body)) = self.notary.due(self.next_seq, &self.head, now, Closing::Yes) {
            self.connection.execute("INSERT OR REPLACE INTO checkpoint (seq, body) VALUES (?1, ?2)", params![last as i64, body])?;
            self.notary.checkpointed = (last, now);
        }
        Ok(())
    }

    fn write_tallies(&mut self, slice: &[TallyDraft]) -> Result<(), HistoryError> {
        let transaction = self.connection.transaction()?;
        {
            let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO tally (endpoint, hour, body) VALUES (?1, ?2, ?3)")?;
            for tally in slice.iter().filter(|t| t.hour > self.sealed_hour) {
                put.execute(params![tally.endpoint, tally.hour, tally_body(tally)])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Seals the hour, and before it those that nobody was there to seal.
    fn seal_hours(&mut self, last: i64, at: Ms, utc: UtcMs) -> Result<(), HistoryError> {
        let hours: Vec<i64> = {
            let mut statement = self.connection.prepare("SELECT DISTINCT hour FROM tally WHERE hour > ?1 AND hour < ?2 ORDER BY hour")?;
            statement.query_map([self.sealed_hour, last], |r| r.get(0))?.collect::<Result<_, _>>()?
        };
        hours.into_iter().chain([last]).try_for_each(|hour| self.seal_hour(hour, at, utc))
    }

    /// Writes the hash over an hour's tallies in name order as an event, and forgets hours that are too old.
    fn seal_hour(&mut self, hour: i64, at: Ms, utc: UtcMs) -> Result<(), HistoryError> {
        if hour <= self.sealed_hour {
            return Ok(());
        }
        let (mut head, mut seq) = (self.head, self.next_seq);
        let transaction = self.connection.transaction()?;
        let (digest, count) = tallies_digest(&transaction, hour)?;
        if count == 0 {
            transaction.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('sealed_hour', ?1)", [hour.to_string()])?;
            transaction.commit()?;
            self.sealed_hour = hour;
            return Ok(());
        }
        let Value::Object(body) = json!({"hour": format_utc(hour * 3_600_000), "tallies": count, "sha256": hex(&digest)}) else { return Ok(()) };
        let draft = EventDraft { endpoint: None, kind: "tallies", at, utc, body, projection: None };
        head = append(&transaction, &draft, seq, &head)?;
        seq += 1;
        transaction.execute("DELETE FROM tally WHERE hour < ?1", [hour - TALLY_HOURS_KEPT])?;
        transaction.execute("DELETE FROM outbox WHERE done = 1 AND not_before < ?1", [utc - DELIVERED_KEPT_MS])?;
        transaction.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('sealed_hour', ?1)", [hour.to_string()])?;
        transaction.commit()?;
        self.head = head;
        self.next_seq = seq;
        self.sealed_hour = hour;
        Ok(())
    }
}

/// Queues a message. One that cancels another whose time has not come takes that one away and is not sent itself.
fn post(transaction: &Transaction, message: &OutboxDraft, now: UtcMs) -> Result<(), HistoryError> {
    if let Some(cancelled) = &message.cancels {
        let sql = "DELETE FROM outbox WHERE receiver = ?1 AND key = ?2 AND done = 0 AND tries = 0 AND not_before > ?3";
        if transaction.execute(sql, params![message.receiver.as_str(), cancelled, now])? > 0 {
            return Ok(());
        }
    }
    if !message.body.is_empty() {
        transaction.execute(
            "INSERT OR IGNORE INTO outbox (receiver, key, body, not_before) VALUES (?1, ?2, ?3, ?4)",
            params![message.receiver.as_str(), message.key, message.body, message.not_before],
        )?;
    }
    Ok(())
}

/// SHA-256 over an hour's tallies: name, a zero byte, the body's length and the body, in name order.
pub fn tallies_digest(connection: &Connection, hour: i64) -> Result<([u8; 32], u64), HistoryError> {
    use sha2::Digest;
    let mut hash = sha2::Sha256::new();
    let mut count = 0;
    let mut statement =
        connection.prepare("SELECT json_extract(CAST(t.body AS TEXT), '$.endpoint') AS name, t.body FROM tally t WHERE t.hour = ?1 ORDER BY name")?;
    let mut rows = statement.query([hour])?;
    while let Some(row) = rows.next()? {
        let (name, body): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update((body.len() as u64).to_be_bytes());
        hash.update(&body);
        count += 1;
    }
    Ok((hash.finalize().into(), count))
}

/// Appends one event with its number and hash, and what it means for the reading tables.
fn append(transaction: &Transaction, draft: &EventDraft, seq: u64, previous: &[u8; 32]) -> Result<[u8; 32], HistoryError> {
    let mut event: Map<String, Value> = draft.body.clone();
    event.insert("v".into(), json!(1));
    event.insert("seq".into(), json!(seq));
    event.insert("kind".into(), json!(draft.kind));
    event.insert("at_ms".into(), json!(draft.at));
    event.insert("recorded".into(), json!(format_utc(draft.utc)));
    if let Some((_, name)) = &draft.endpoint {
        event.insert("endpoint".into(), json!(name.as_str()));
    }
    let body = canonical(&event);
    let hash = link(previous, &body);
    let endpoint = draft.endpoint.as_ref().map(|(id, _)| *id);
    transaction.prepare_cached("INSERT INTO event (seq, hash, body, endpoint, kind, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
        seq as i64,
        hash.as_slice(),
        body,
        endpoint,
        draft.kind,
        draft.at as i64
    ])?;
    if let Some(projection) = &draft.projection {
        project(transaction, projection, seq as i64, endpoint)?;
    }
    Ok(hash)
}

fn project(transaction: &Transaction, projection: &Projection, seq: i64, endpoint: Option<i64>) -> Result<(), HistoryError> {
    match projection.clone() {
        Projection::OutageOpened { from, from_earliest, from_latest, confirmed_at, cause } => {
            transaction
                .prepare_cached(
                    "INSERT INTO outage (opened, endpoint, cause, confirmed_at, from_at, from_earliest, from_latest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![seq, endpoint, cause, confirmed_at as i64, from as i64, from_earliest as i64, from_latest as i64])?;
        }
        Projection::OutageClosed { to, to_earliest, to_latest } => {
            transaction
                .prepare_cached("UPDATE outage SET closed = ?1, to_at = ?2, to_earliest = ?3, to_latest = ?4 WHERE endpoint = ?5 AND closed IS NULL")?
                .execute(params![seq, to as i64, to_earliest as i64, to_latest as i64, endpoint])?;
        }
        Projection::Unknown { from, to, reason } => {
            transaction.prepare_cached("INSERT INTO unknown (seq, endpoint, from_at, to_at, reason) VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
                seq,
                endpoint,
                from as i64,
                to as i64,
                reason
            ])?;
        }
        Projection::Doubtful { from, to } => put_span(transaction, "doubtful", endpoint, from, to)?,
        Projection::Proven { from, to } => put_span(transaction, "proven", endpoint, from, to)?,
        Projection::Absent { from, to } => put_span(transaction, "absent", endpoint, from, to)?,
        Projection::WindowDeclared { id, body, recorded } => {
            transaction.execute("INSERT INTO window (seq, id, body, recorded) VALUES (?1, ?2, ?3, ?4)", params![seq, id, body, recorded])?;
        }
        Projection::WindowEnded { id, at } => {
            transaction.execute("UPDATE window SET ended = ?2 WHERE id = ?1 AND ended IS NULL", params![id, at])?;
        }
        Projection::Corrected { body } => {
            transaction.execute("INSERT INTO correction (seq, body) VALUES (?1, ?2)", params![seq, body])?;
        }
        Projection::ClockStep { at, offset_ms } => {
            transaction.execute("INSERT OR REPLACE INTO clock (at, offset_ms) VALUES (?1, ?2)", params![at as i64, offset_ms])?;
        }
    }
    Ok(())
}

fn put_span(transaction: &Transaction, table: &'static str, endpoint: Option<i64>, from: Ms, to: Ms) -> Result<(), HistoryError> {
    let sql = format!("INSERT INTO {table} (endpoint, from_at, to_at) VALUES (?1, ?2, ?3)");
    transaction.prepare_cached(&sql)?.execute(params![endpoint, from as i64, to as i64])?;
    Ok(())
}

/// Finds each endpoint's number. One that is new gets its row here; what has changed of a known one goes into the batch
/// whose events tell of it, so that no kill can part the two.
fn register(transaction: &Transaction, list: &[Registration]) -> Result<Vec<Registered>, HistoryError> {
    let mut registered = Vec::with_capacity(list.len());
    let mut taken = std::collections::HashSet::new();
    let mut find = transaction.prepare("SELECT id, digest, in_service, component, kind, target FROM endpoint WHERE name = ?1")?;
    let mut put = transaction.prepare("INSERT INTO endpoint (name, component, kind, target, digest, in_service) VALUES (?1, ?2, ?3, ?4, ?5, 1)")?;
    for r in list {
        let known = |row: &rusqlite::Row| {
            let (digest, component, kind, target): (i64, String, String, String) = (row.get(1)?, row.get(3)?, row.get(4)?, row.get(5)?);
            let is_same = component == r.component.as_str() && kind == r.kind && target == r.target && digest as u64 == r.digest;
            let component_before = (component != r.component.as_str()).then_some(component);
            Ok((row.get::<_, i64>(0)?, digest as u64, row.get::<_, bool>(2)?, is_same, component_before))
        };
        let mut found = find.query_row([r.name.as_str()], known).optional()?;
        let mut renamed = false;
        if let (None, Some(old)) = (&found, &r.renamed_from) {
            found = find.query_row([old.as_str()], known).optional()?.filter(|(id, ..)| !taken.contains(id));
            renamed = found.is_some();
        }
        let one = match found {
            Some((id, digest, was_in_service, is_same, component_before)) => {
                let news = (renamed || !was_in_service || !is_same).then(|| r.clone());
                Registered { id, digest_before: Some(digest), was_in_service, renamed, component_before, news }
            }
            None => {
                put.execute(params![r.name.as_str(), r.component.as_str(), r.kind, r.target.as_str(), r.digest as i64])?;
                Registered {
                    id: transaction.last_insert_rowid(),
                    digest_before: None,
                    was_in_service: false,
                    renamed: false,
                    component_before: None,
                    news: None,
                }
            }
        };
        taken.insert(one.id);
        registered.push(one);
    }
    Ok(registered)
}

fn serve(transaction: &Transaction, service: &Service) -> Result<(), HistoryError> {
    match service {
        Service::Left(id) => transaction.prepare_cached("UPDATE endpoint SET in_service = 0 WHERE id = ?1")?.execute([id])?,
        Service::In(id, r) => transaction
            .prepare_cached("UPDATE endpoint SET name = ?2, component = ?3, kind = ?4, target = ?5, digest = ?6, in_service = 1 WHERE id = ?1")?
            .execute(params![id, r.name.as_str(), r.component.as_str(), r.kind, r.target.as_str(), r.digest as i64])?,
    };
    Ok(())
}

/// A backup that takes the place of a history.
pub struct Replacement {
    pub from: std::path::PathBuf,
    /// Every judge, brought up to date, with its counters set back.
    pub states: Vec<(i64, Vec<u8>)>,
    pub last_batch: u64,
    pub last: Option<Stamp>,
    pub by: String,
}

impl Replacement {
    /// Number of events, and where the history before is kept.
    pub fn put(self, directory: &Path, now: UtcMs) -> Result<(u64, String), HistoryError> {
        // What lies there may be damaged or gone: it is moved aside unopened, with its log.
        let owner = schema::lock_only(directory)?;
        let unusable = |why: std::io::Error| HistoryError::Directory { path: directory.display().to_string(), why: why.to_string() };
        let aside = owner.path.with_extension(format!("before-{now}.sqlite"));
        let fresh = owner.path.with_extension("restoring");
        let _ = std::fs::remove_file(&fresh);
        std::fs::copy(&self.from, &fresh).map_err(unusable)?;
        let restored = self.append_to(&fresh, now)?;
        for end in ["-wal", "-shm", ""] {
            match std::fs::rename(format!("{}{end}", owner.path.display()), format!("{}{end}", aside.display())) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unusable(error)),
                _ => {}
            }
        }
        std::fs::rename(&fresh, &owner.path).map_err(unusable)?;
        std::fs::File::open(directory).and_then(|d| d.sync_all()).map_err(unusable)?;
        Ok((restored, aside.display().to_string()))
    }

    /// Writes the event, the new chain and the judges into the copy.
    fn append_to(&self, path: &Path, now: UtcMs) -> Result<u64, HistoryError> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = connection.transaction()?;
        let damaged = |why: &str| HistoryError::Damaged { path: path.display().to_string(), why: why.into() };
        let (seq, hash): (i64, Vec<u8>) = transaction.query_row("SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1", [], |r| Ok((r.get(0)?, r.get(1)?)))?;
        let head: [u8; 32] = hash.try_into().map_err(|_| damaged("the last event's hash is no hash"))?;
        let old_chain: String = transaction.query_row("SELECT value FROM meta WHERE key = 'chain'", [], |r| r.get(0))?;
        transaction.execute("UPDATE meta SET value = lower(hex(randomblob(16))) WHERE key = 'chain'", [])?;
        let new_chain: String = transaction.query_row("SELECT value FROM meta WHERE key = 'chain'", [], |r| r.get(0))?;
        let at = self.last.as_ref().map_or(0, |s| s.timeline_ms);
        let body = json!({
            "old_chain": old_chain, "old_seq": seq, "old_head": hex(&head), "new_chain": new_chain, "by": self.by,
            "backup_until": self.last.as_ref().map(|s| format_utc(s.utc_ms)),
        });
        let Value::Object(body) = body else { return Err(damaged("no event can be made")) };
        let draft = EventDraft { endpoint: None, kind: "restored", at, utc: now, body, projection: None };
        append(&transaction, &draft, seq as u64 + 1, &head)?;
        for (id, judge) in &self.states {
            transaction.prepare_cached("INSERT OR REPLACE INTO state (endpoint, mark, judge) VALUES (?1, ?2, ?3)")?.execute(params![
                id,
                self.last_batch as i64,
                sealed(judge.clone(), &state_place(*id, self.last_batch as i64))
            ])?;
        }
        transaction.commit()?;
        Ok(seq as u64 + 1)
    }
}

/// A history in memory, told again by exported events: what readers ask of it follows from the events alone.
pub struct Retelling;

impl Retelling {
    /// Each event as exported, without its hash, in order.
    pub fn of(events: &[Map<String, Value>]) -> Result<Connection, HistoryError> {
        let mut connection = schema::in_memory()?;
        let transaction = connection.transaction()?;
        let mut ids: std::collections::HashMap<String, i64> = std::collections::HashMap::new();
        for (k, event) in events.iter().enumerate() {
            let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
            let seq = k as i64 + 1;
            if text("kind") == "endpoint_renamed"
                && let Some(id) = ids.remove(text("from"))
            {
                ids.insert(text("endpoint").to_owned(), id);
                transaction.execute("UPDATE endpoint SET name = ?2 WHERE id = ?1", params![id, text("endpoint")])?;
            }
            let endpoint = match event.get("endpoint").and_then(Value::as_str) {
                None => None,
                Some(name) => Some(match ids.get(name) {
                    Some(id) => *id,
                    None => {
                        let component = if text("component").is_empty() { name } else { text("component") };
                        transaction.execute(
                            "INSERT INTO endpoint (name, component, kind, target, digest, in_service) VALUES (?1, ?2, '', '', 0, 1)",
                            params![name, component],
                        )?;
                        let id = transaction.last_insert_rowid();
                        ids.insert(name.to_owned(), id);
                        id
                    }
                }),
            };
            if let (Some(id), "endpoint_component") = (endpoint, text("kind")) {
                transaction.execute("UPDATE endpoint SET component = ?2 WHERE id = ?1", params![id, text("component")])?;
            }
            for projection in super::retold::projections(event) {
                project(&transaction, &projection, seq, endpoint)?;
            }
        }
        transaction.commit()?;
        Ok(connection)
    }
}
