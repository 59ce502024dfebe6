//! What the history does for itself, in slices between batches: seals hours, rolls days and months
//! up, forgets what is rolled up.
//!
//! An hour's tallies are sealed by an event that holds their hash. Once a week of later hours is
//! sealed, a day's hours become one tally of the day, once thirteen months of later days are, a
//! month's days become one of the month: sealed in the same way, and kept for ever. What counts is
//! how many later ones are sealed, not what the wall clock says: one that runs ahead makes nothing
//! disappear. Hours of the first and the last day of a month stay as long as its days, so that
//! months of other time zones are whole hours.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::append::append;
use super::chain::hex;
use super::event::TalliesEvent;
use super::opened::History;
use super::prune::take_some;
use super::seals::{NAME_IN_BODY, Seals, Unit, UnitKind, add_to, column};
use super::tally::{merged, pack_results, with_results};
use super::{EventDraft, HistoryError};
use crate::words::{Ms, UtcMs};

/// Later hours that are sealed before a day's hours are rolled up: seven days.
const HOURS_KEPT: usize = 24 * 7;
/// Later days that are sealed before a month's days are rolled up: thirteen months.
const DAYS_KEPT: usize = 396;
/// Rows that are looked at before the time is.
const AT_ONCE: i64 = 32;
/// Endpoints whose hours or days are added up before the time is: each costs the reading of a day
/// or a month.
const ADDED_AT_ONCE: i64 = 8;
/// Delivered messages are remembered this long.
const DELIVERED_KEPT_MS: i64 = 30 * 86_400_000;

/// What is under way.
#[derive(Debug)]
enum Task {
    Close(Unit, SealingStage),
    Drop(Unit),
}

#[derive(Debug)]
enum SealingStage {
    /// Brings the tallies of endpoints after this one into their final form.
    Gather { after: i64 },
    /// Learns the order of the names.
    Order {
        after: i64,
        names: Vec<(String, i64)>,
    },
    /// Hashes the tallies in that order.
    Digest {
        names: Vec<(String, i64)>,
        next: usize,
        hash: Sha256,
    },
}

/// The history's own work; asked for a slice of it when nothing else is to be done.
#[derive(Debug, Default)]
pub struct Upkeep {
    /// Hours before this one are over, as the engine says, at a moment of both clocks.
    over: Option<(i64, Ms, UtcMs)>,
    /// When it said so.
    said_at: Option<Instant>,
    tasks: VecDeque<Task>,
    /// Rows that a prune record stands for are to be taken away.
    pub taking: bool,
}

impl Upkeep {
    /// After a start: rows that a prune record stands for may be left.
    pub fn begun() -> Self {
        Self {
            taking: true,
            ..Self::default()
        }
    }

    /// Hours before `hour` are complete.
    pub fn hours_are_over(&mut self, hour: i64, at: Ms, utc: UtcMs) {
        self.over = Some((hour, at, utc));
        self.said_at = Some(Instant::now());
    }

    pub fn is_idle(&self) -> bool {
        self.over.is_none() && !self.taking
    }

    /// Works until the time is over or nothing is left. After an error the rest waits for the next
    /// hour.
    pub fn work(&mut self, history: &mut History, limit: Duration) -> Result<(), HistoryError> {
        let began = Instant::now();
        while began.elapsed() < limit {
            if self.taking {
                self.taking = false;
                self.taking = take_some(&mut history.connection)?;
                continue;
            }
            let Some((hour, at, utc)) = self.over else {
                return Ok(());
            };
            // A seal is dated when it is written.
            let since = self
                .said_at
                .map_or(0, |said| said.elapsed().as_millis() as Ms);
            let (at, utc) = (at + since, utc + since as i64);
            if self.tasks.is_empty() {
                self.tasks = next_tasks(&history.connection, &history.seals, hour)?;
            }
            let Some(task) = self.tasks.pop_front() else {
                super::outbox::forget(&history.connection, utc - DELIVERED_KEPT_MS)?;
                self.over = None;
                return Ok(());
            };
            let done = match task {
                Task::Close(unit, stage) => close_some(history, unit, stage, (at, utc))
                    .map(|next| next.map(|stage| Task::Close(unit, stage))),
                Task::Drop(unit) => drop_some(&history.connection, unit)
                    .map(|more| more.then_some(Task::Drop(unit))),
            };
            match done {
                Ok(Some(rest)) => self.tasks.push_front(rest),
                Ok(None) => {}
                Err(error) => {
                    (self.over, self.tasks) = (None, VecDeque::new());
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// Units of a kind that have tallies, ascending.
fn present(connection: &Connection, kind: UnitKind) -> Result<Vec<Unit>, HistoryError> {
    let column = column(kind);
    let sql = format!(
        "SELECT min({column}) FROM {} WHERE {column} > ?1",
        kind.table()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut list = Vec::new();
    let mut last = i64::MIN;
    while let Some(number) = statement.query_row([last], |r| r.get::<_, Option<i64>>(0))? {
        list.push(Unit::new(kind, number));
        last = number;
    }
    Ok(list)
}

/// What is to be done next: hours are sealed first, then rolled up, and only then forgotten.
fn next_tasks(
    connection: &Connection,
    seals: &Seals,
    over: i64,
) -> Result<VecDeque<Task>, HistoryError> {
    let close = |units: BTreeSet<Unit>| {
        units
            .into_iter()
            .map(|unit| Task::Close(unit, SealingStage::Gather { after: i64::MIN }))
            .collect::<VecDeque<_>>()
    };
    let hours = present(connection, UnitKind::Hour)?;
    let unsealed: BTreeSet<Unit> = hours
        .iter()
        .filter(|h| h.number < over && !seals.has(**h))
        .copied()
        .collect();
    if !unsealed.is_empty() {
        return Ok(close(unsealed));
    }
    let old_days: BTreeSet<Unit> = hours.iter().map(|h| h.day()).collect();
    let ripe: BTreeSet<Unit> = old_days
        .into_iter()
        .filter(|d| !seals.has(*d) && seals.since(UnitKind::Hour, d.to()) >= HOURS_KEPT)
        .collect();
    if !ripe.is_empty() {
        return Ok(close(ripe));
    }
    let days = present(connection, UnitKind::Day)?;
    let old_months: BTreeSet<Unit> = days.iter().map(|d| d.month()).collect();
    let ripe: BTreeSet<Unit> = old_months
        .into_iter()
        .filter(|m| !seals.has(*m) && seals.since(UnitKind::Day, m.to()) >= DAYS_KEPT)
        .collect();
    if !ripe.is_empty() {
        return Ok(close(ripe));
    }
    Ok(hours
        .into_iter()
        .chain(days)
        .filter(|unit| seals.may_be_gone(*unit))
        .map(Task::Drop)
        .collect())
}

/// Some rows of a stage; the next stage, or nothing once the seal is committed.
fn close_some(
    history: &mut History,
    unit: Unit,
    stage: SealingStage,
    moment: (Ms, UtcMs),
) -> Result<Option<SealingStage>, HistoryError> {
    match stage {
        SealingStage::Gather { after } => {
            let transaction = history.connection.transaction()?;
            let last = gather(&transaction, unit, after)?;
            transaction.commit()?;
            Ok(Some(last.map_or(
                SealingStage::Order {
                    after: i64::MIN,
                    names: Vec::new(),
                },
                |after| SealingStage::Gather { after },
            )))
        }
        SealingStage::Order { after, names } => {
            order_some(&history.connection, unit, after, names).map(Some)
        }
        SealingStage::Digest {
            names,
            next,
            mut hash,
        } => {
            let next = digest_some(&history.connection, unit, &names, next, &mut hash)?;
            if next < names.len() {
                return Ok(Some(SealingStage::Digest { names, next, hash }));
            }
            let digest = hash.finalize().into();
            seal(history, unit, names.len() as u64, &digest, moment)?;
            Ok(None)
        }
    }
}

/// Learns the names of some more tallies; once all are known, they are in order.
fn order_some(
    connection: &Connection,
    unit: Unit,
    after: i64,
    mut names: Vec<(String, i64)>,
) -> Result<SealingStage, HistoryError> {
    let sql = format!(
        "SELECT endpoint, {NAME_IN_BODY} FROM {} WHERE {} = ?1 AND endpoint > ?2 ORDER BY \
            endpoint LIMIT ?3",
        unit.kind.table(),
        column(unit.kind)
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found: Vec<(String, i64)> = statement
        .query_map(params![unit.number, after, AT_ONCE * 4], |r| {
            Ok((r.get(1)?, r.get(0)?))
        })?
        .collect::<Result<_, _>>()?;
    Ok(match found.last() {
        Some((_, last)) => {
            let after = *last;
            names.extend(found);
            SealingStage::Order { after, names }
        }
        None => {
            names.sort_unstable();
            SealingStage::Digest {
                names,
                next: 0,
                hash: Sha256::new(),
            }
        }
    })
}

/// Adds some more tallies to the hash; the place of the next.
fn digest_some(
    connection: &Connection,
    unit: Unit,
    names: &[(String, i64)],
    mut next: usize,
    hash: &mut Sha256,
) -> Result<usize, HistoryError> {
    let sql = format!(
        "SELECT body FROM {} WHERE endpoint = ?1 AND {} = ?2",
        unit.kind.table(),
        column(unit.kind)
    );
    let mut statement = connection.prepare_cached(&sql)?;
    for (name, endpoint) in names.iter().skip(next).take(AT_ONCE as usize) {
        let body: Vec<u8> = statement.query_row([*endpoint, unit.number], |r| r.get(0))?;
        add_to(hash, name, &body);
        next += 1;
    }
    Ok(next)
}

/// Brings some tallies into their final form; the last endpoint that was looked at, or nothing when
/// all are.
fn gather(transaction: &Transaction, unit: Unit, after: i64) -> Result<Option<i64>, HistoryError> {
    let endpoints: Vec<i64> = match unit.kind {
        // Only results that were recorded one by one are yet to be put into an hour's tallies.
        UnitKind::Hour => transaction
            .prepare_cached(
                "SELECT DISTINCT endpoint FROM result WHERE endpoint > ?1 ORDER BY \
                endpoint LIMIT ?2",
            )?
            .query_map(params![after, AT_ONCE], |r| r.get(0))?
            .collect::<Result<_, _>>()?,
        UnitKind::Day | UnitKind::Month => transaction
            .prepare_cached("SELECT id FROM endpoint WHERE id > ?1 ORDER BY id LIMIT ?2")?
            .query_map(params![after, ADDED_AT_ONCE], |r| r.get(0))?
            .collect::<Result<_, _>>()?,
    };
    for endpoint in &endpoints {
        match unit.kind {
            UnitKind::Hour => gather_results(transaction, unit, *endpoint)?,
            UnitKind::Day => roll_up(transaction, UnitKind::Hour, unit, *endpoint)?,
            UnitKind::Month => roll_up(transaction, UnitKind::Day, unit, *endpoint)?,
        }
    }
    Ok(endpoints.last().copied())
}

/// The results of an hour go into its tally; their rows go once the hour is sealed.
fn gather_results(
    transaction: &Transaction,
    unit: Unit,
    endpoint: i64,
) -> Result<(), HistoryError> {
    let results: Vec<(UtcMs, bool)> = transaction
        .prepare_cached(
            "SELECT at, ok FROM result WHERE endpoint = ?1 AND at >= ?2 AND at < ?3 ORDER BY at",
        )?
        .query_map([endpoint, unit.from(), unit.to()], |r| {
            Ok((r.get(0)?, r.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    if results.is_empty() {
        return Ok(());
    }
    let sql = "SELECT body FROM tally WHERE endpoint = ?1 AND hour = ?2";
    let stored: Option<Vec<u8>> = transaction
        .prepare_cached(sql)?
        .query_row([endpoint, unit.number], |r| r.get(0))
        .optional()?;
    let name: String =
        transaction.query_row("SELECT name FROM endpoint WHERE id = ?1", [endpoint], |r| {
            r.get(0)
        })?;
    let body = with_results(stored.as_deref(), &name, &pack_results(&results));
    transaction
        .prepare_cached("INSERT OR REPLACE INTO tally (endpoint, hour, body) VALUES (?1, ?2, ?3)")?
        .execute(params![endpoint, unit.number, body])?;
    Ok(())
}

/// The tallies of a day's hours, or of a month's days, as one.
fn roll_up(
    transaction: &Transaction,
    from: UnitKind,
    unit: Unit,
    endpoint: i64,
) -> Result<(), HistoryError> {
    let column_from = column(from);
    let sql = format!(
        "SELECT body FROM {} WHERE endpoint = ?1 AND {column_from} >= ?2 AND {column_from} < ?3 \
            ORDER BY {column_from}",
        from.table()
    );
    let range = [
        Unit::of(from, unit.from()).number,
        Unit::of(from, unit.to()).number,
    ];
    let bodies: Vec<Vec<u8>> = transaction
        .prepare_cached(&sql)?
        .query_map([endpoint, range[0], range[1]], |r| r.get(0))?
        .collect::<Result<_, _>>()?;
    let Some(body) = merged(&bodies) else {
        return Ok(());
    };
    let sql = format!(
        "INSERT OR REPLACE INTO {} (endpoint, {}, body) VALUES (?1, ?2, ?3)",
        unit.kind.table(),
        column(unit.kind)
    );
    transaction
        .prepare_cached(&sql)?
        .execute(params![endpoint, unit.number, body])?;
    Ok(())
}

/// Commits the event that vouches for a unit's tallies.
fn seal(
    history: &mut History,
    unit: Unit,
    count: u64,
    digest: &[u8; 32],
    (at, utc): (Ms, UtcMs),
) -> Result<(), HistoryError> {
    let draft = EventDraft::general(at, utc, TalliesEvent::new(unit, count, hex(digest)));
    let transaction = history.connection.transaction()?;
    let head = append(&transaction, &draft, history.next_seq, &history.head)?;
    if unit.kind == UnitKind::Hour {
        transaction.execute(
            "DELETE FROM result WHERE at >= ?1 AND at < ?2",
            [unit.from(), unit.to()],
        )?;
    }
    transaction.commit()?;
    history.head = head;
    history.next_seq += 1;
    history.seals.add(unit);
    history
        .reopened
        .retain(|(hour, _), _| Unit::new(UnitKind::Hour, *hour) != unit);
    Ok(())
}

/// Forgets some tallies of a unit; whether more are left.
fn drop_some(connection: &Connection, unit: Unit) -> Result<bool, HistoryError> {
    let (table, column) = (unit.kind.table(), column(unit.kind));
    let sql = format!(
        "DELETE FROM {table} WHERE {column} = ?1 AND endpoint IN (SELECT endpoint FROM {table} \
            WHERE {column} = ?1 LIMIT ?2)"
    );
    let gone = connection
        .prepare_cached(&sql)?
        .execute(params![unit.number, AT_ONCE * 4])?;
    Ok(gone as i64 == AT_ONCE * 4)
}
