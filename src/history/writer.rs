//! The writer's thread: sole user of the owning connection.
//!
//! Batches come first and are tried until they are committed; tallies go in slices of at most ten
//! milliseconds between them. What was committed, and whether the disk takes anything, is told
//! through a callback.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::time::Instant;

use super::opened::{History, reopen};
use super::outbox::AttemptResult;
use super::prune::{Cut, Pruned};
use super::registry::Registered;
use super::upkeep::Upkeep;
use super::*;
use crate::net::clock::Clock;

const SLICE: Duration = Duration::from_millis(10);
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// What the writer tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    Committed {
        batch: u64,
        events: u64,
    },
    /// The disk takes nothing; the batch is kept and tried again.
    Failing(String),
    /// Readers who always overlap keep the write-ahead log from ever beginning anew: no new ones
    /// may begin.
    LogIsLong,
    /// The log was taken into the database.
    LogIsShort,
}

enum WriterCommand {
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
        outcome: AttemptResult,
        again_at: UtcMs,
    },
    /// Ends once all before it is done, or has failed this long.
    End(Duration),
}

/// Talks to the writer's thread.
#[derive(Clone)]
pub struct Writer {
    commands: Sender<WriterCommand>,
}

impl History {
    /// Starts the thread. `on_progress` is called from it.
    pub fn start(
        self,
        on_progress: impl Fn(Progress) + Send + 'static,
    ) -> std::io::Result<(Writer, std::thread::JoinHandle<()>)> {
        let (commands, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("history".into())
            .spawn(move || {
                WriterThread {
                    history: self,
                    on_progress,
                    tallies: BTreeMap::new(),
                    upkeep: Upkeep::begun(),
                    looked_at_log: Instant::now(),
                    tallies_again_at: Instant::now(),
                    long_log: LONG_LOG,
                    log_is_long: false,
                }
                .run(&receiver)
            })?;
        Ok((Writer { commands }, thread))
    }
}

impl Writer {
    fn send(&self, command: WriterCommand) {
        // The thread ends only after the engine has; what comes later has nowhere to go.
        let _ = self.commands.send(command);
    }

    pub fn commit(&self, batch: Batch) {
        self.send(WriterCommand::Batch(Box::new(batch)));
    }

    pub fn tallies(&self, tallies: Vec<TallyDraft>) {
        self.send(WriterCommand::Tallies(tallies));
    }

    /// The tallies of all hours before this one are complete: they are sealed.
    pub fn hours_are_over(&self, hour: i64, at: Ms, utc: UtcMs) {
        self.send(WriterCommand::HoursAreOver { hour, at, utc });
    }

    /// The wall clock came back to an hour that was left already: what is counted now is added to
    /// what was.
    pub fn reopen(&self, hour: i64) {
        self.send(WriterCommand::Reopen(hour));
    }

    /// What became of a try of a message; `again_at`: when it is tried again, if it is.
    pub fn sent(&self, id: i64, outcome: AttemptResult, again_at: UtcMs) {
        self.send(WriterCommand::Sent {
            id,
            outcome,
            again_at,
        });
    }

    /// Registers endpoints while the daemon runs. Waits for the disk; not for the probing thread.
    pub fn register(&self, list: Vec<Registration>) -> Result<Vec<Registered>, String> {
        let (reply, answer) = channel();
        self.send(WriterCommand::Register(list, reply));
        answer
            .recv_timeout(Duration::from_secs(10))
            .map_err(|_| "the history does not answer".to_owned())?
    }

    /// Cuts the history where it was looked at. Waits for the disk.
    pub fn prune(&self, cut: Cut, by: String, utc: UtcMs) -> Result<Pruned, String> {
        let (reply, answer) = channel();
        self.send(WriterCommand::Prune(Box::new(cut), by, utc, reply));
        answer
            .recv_timeout(Duration::from_secs(10))
            .map_err(|_| "the history does not answer".to_owned())?
    }

    pub fn end(&self, patience: Duration) {
        self.send(WriterCommand::End(patience));
    }
}

const LOOK_AT_LOG: Duration = Duration::from_secs(1);
/// The same while the log is long: there may be a moment only in which none reads of it.
const LOOK_AT_LONG_LOG: Duration = Duration::from_millis(50);
/// From so many bytes of the log on, no new readers of the port begin until it is taken in.
const LONG_LOG: u64 = 32 << 20;

struct WriterThread<T> {
    history: History,
    on_progress: T,
    /// The newest of each hour and endpoint.
    tallies: BTreeMap<(i64, i64), TallyDraft>,
    upkeep: Upkeep,
    looked_at_log: Instant,
    /// After a failed write, none is tried before this.
    tallies_again_at: Instant,
    long_log: u64,
    /// As it was told last.
    log_is_long: bool,
}

impl<T: Fn(Progress)> WriterThread<T> {
    fn run(mut self, commands: &Receiver<WriterCommand>) {
        loop {
            let is_idle = self.tallies.is_empty() && self.upkeep.is_idle();
            self.bound_the_log();
            let until_tallies = self
                .tallies_again_at
                .saturating_duration_since(Instant::now());
            let wait = match (is_idle, self.log_is_long) {
                (false, _) if self.upkeep.is_idle() => until_tallies,
                (false, _) => Duration::ZERO,
                (true, true) => LOOK_AT_LONG_LOG,
                (true, false) => Duration::from_secs(3600),
            };
            match commands.recv_timeout(wait) {
                Ok(WriterCommand::End(_)) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(command) => {
                    if self.perform(command, commands) {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) if is_idle => {}
                Err(RecvTimeoutError::Timeout)
                    if self.tallies.is_empty() || until_tallies > Duration::ZERO =>
                {
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
        self.history.take_log_in();
    }

    /// Readers who always overlap keep the log from ever beginning anew: it would grow without end.
    /// Once it is long, new ones wait until those of now are done. The writer waits for none.
    fn bound_the_log(&mut self) {
        let after = match self.log_is_long {
            true => LOOK_AT_LONG_LOG,
            false => LOOK_AT_LOG,
        };
        if self.looked_at_log.elapsed() < after {
            return;
        }
        self.looked_at_log = Instant::now();
        if self.history.log_bytes() >= self.long_log {
            self.history.take_log_in();
        }
        let is_long = self.history.log_bytes() >= self.long_log;
        if is_long != self.log_is_long {
            self.log_is_long = is_long;
            (self.on_progress)(match is_long {
                true => Progress::LogIsLong,
                false => Progress::LogIsShort,
            });
        }
    }

    /// True when it is time to end.
    fn perform(&mut self, command: WriterCommand, commands: &Receiver<WriterCommand>) -> bool {
        match command {
            WriterCommand::Batch(batch) => {
                return self.commit(*batch, commands);
            }
            WriterCommand::Tallies(list) => self.keep(list),
            WriterCommand::HoursAreOver { hour, at, utc } => {
                self.upkeep.hours_are_over(hour, at, utc)
            }
            WriterCommand::Reopen(hour) => {
                // What was counted before it was left is complete before anything is added.
                self.write_tallies(Duration::from_secs(5));
                self.log_failure("entering an hour again", |h| {
                    let left = reopen(&h.connection, hour)?;
                    h.reopened.extend(left);
                    Ok(())
                });
            }
            WriterCommand::Prune(cut, by, utc, reply) => {
                let _ = reply.send(
                    self.history
                        .prune(&cut, &by, utc)
                        .map_err(|e| e.to_string()),
                );
                self.upkeep.taking = true;
            }
            WriterCommand::Register(list, reply) => {
                let _ = reply.send(self.history.register(&list).map_err(|e| e.to_string()));
            }
            WriterCommand::Sent {
                id,
                outcome,
                again_at,
            } => self.log_failure("updating the outbox", |h| {
                outbox::sent(&mut h.connection, id, outcome, again_at)
            }),
            WriterCommand::End(_) => return true,
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
    fn commit(&mut self, batch: Batch, commands: &Receiver<WriterCommand>) -> bool {
        let events = batch.events.len() as u64;
        let mut waiting = VecDeque::new();
        let mut give_up_at: Option<Instant> = None;
        loop {
            match self.history.commit(&batch) {
                Ok(()) => break,
                Err(error) => (self.on_progress)(Progress::Failing(error.to_string())),
            }
            let again_at = Instant::now() + RETRY_AFTER;
            loop {
                match commands.recv_timeout(again_at.saturating_duration_since(Instant::now())) {
                    Ok(WriterCommand::End(patience)) => {
                        give_up_at = Some(Instant::now() + patience)
                    }
                    Ok(WriterCommand::Tallies(list)) => self.keep(list),
                    Ok(WriterCommand::Prune(.., reply)) => {
                        drop(reply.send(Err("the history is not writable".into())))
                    }
                    Ok(WriterCommand::Register(_, reply)) => {
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
        (self.on_progress)(Progress::Committed {
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
                self.tallies_again_at = Instant::now() + RETRY_AFTER;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::history::schema;

    #[test]
    fn a_long_log_is_told_and_taken_in_once_none_reads_of_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let told = RefCell::new(Vec::new());
        let mut thread = WriterThread {
            history: History::open(directory.path(), None).expect("opened"),
            on_progress: |news| told.borrow_mut().push(news),
            tallies: BTreeMap::new(),
            upkeep: Upkeep::begun(),
            looked_at_log: Instant::now(),
            tallies_again_at: Instant::now(),
            long_log: 200_000,
            log_is_long: false,
        };
        let write = |history: &History| {
            let sql =
                "CREATE TABLE IF NOT EXISTS big (b); INSERT INTO big VALUES (zeroblob(300000))";
            history.connection.execute_batch(sql).expect("written");
        };
        let look = |thread: &mut WriterThread<_>| {
            thread.looked_at_log = Instant::now() - LOOK_AT_LOG;
            let began = Instant::now();
            thread.bound_the_log();
            assert!(began.elapsed() < schema::PATIENCE / 2, "it waits for none");
            told.take()
        };
        write(&thread.history);
        assert_eq!(
            look(&mut thread),
            [],
            "without readers there is nothing to tell"
        );
        assert_eq!(thread.history.log_bytes(), 0);

        let reader = schema::open_to_read(directory.path()).expect("a reader");
        reader.newest_checkpoint().expect("read");
        write(&thread.history);
        assert_eq!(look(&mut thread), [Progress::LogIsLong]);
        assert_eq!(look(&mut thread), [], "it is told once");
        assert!(thread.history.log_bytes() > 200_000, "a reader is at work");
        drop(reader);
        assert_eq!(look(&mut thread), [Progress::LogIsShort]);
        assert_eq!(thread.history.log_bytes(), 0);
    }
}
