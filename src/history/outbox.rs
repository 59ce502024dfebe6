//! The outbox: messages wait here, in the order of their queues, until their receivers have taken
//! them.
//!
//! The recorder posts with each batch and the notifier tells what became of a try; only the
//! writer's thread changes anything. Tables that came after the fifth format stand beside it: a
//! history without them gets them, an older build does not look at them.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::reader::HistoryReader;
use super::{HistoryError, OutboxChange, OutboxDraft};
use crate::net::clock::NS_PER_MS;
use crate::words::{Ms, Name, UtcMs, format_utc};

/// `refused`: how often a message was refused for what it says. `told_unknown`: the endpoints whose
/// unknown time a receiver was notified of, since when, and the start that its messages have as
/// their id; until it is notified that they are measured again.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS refused (message INTEGER PRIMARY KEY, count INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS told_unknown (
    receiver TEXT NOT NULL, endpoint INTEGER NOT NULL, since INTEGER NOT NULL, begun INTEGER NOT \
    NULL, PRIMARY KEY (receiver, endpoint)) WITHOUT ROWID;
";
/// Keys of messages that may wait for their time before the first try begin with this.
const BEGINS: &str = "down ";
/// The first message of each queue of a receiver. "down 7 1793491200000": the second word of a key
/// is the endpoint's number.
const FIRSTS: &str = "
SELECT o.id, o.key, o.body, o.tries, o.not_before, ifnull(r.count, 0)
FROM (SELECT min(id) AS first FROM outbox WHERE done = 0 AND receiver = ?1
      GROUP BY substr(key, instr(key, ' ') + 1, instr(substr(key, instr(key, ' ') + 1), ' ') - 1))
JOIN outbox o ON o.id = first LEFT JOIN refused r ON r.message = o.id ORDER BY o.id";

/// Messages of one endpoint that may wait for one receiver: ten outages that it has not accepted.
pub const MOST_OF_A_QUEUE: usize = 20;
/// Queues of a receiver that are longer.
const LONG_QUEUES: &str = "
SELECT substr(key, instr(key, ' ') + 1, instr(substr(key, instr(key, ' ') + 1), ' ') - 1) AS queue
FROM outbox WHERE done = 0 AND receiver = ?1 GROUP BY queue HAVING count(*) > ?2";
const OF_A_QUEUE: &str = "
SELECT id, key, tries FROM outbox WHERE done = 0 AND receiver = ?1
AND substr(key, instr(key, ' ') + 1, instr(substr(key, instr(key, ' ') + 1), ' ') - 1) = ?2 ORDER \
BY id";

/// What became of an attempt to deliver a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptResult {
    Delivered,
    /// It will not be sent again: the receiver refuses it whenever it is sent, has left the config,
    /// or has too many others that wait for it.
    GivenUp,
    Again,
    /// Again, after the receiver has refused what the message says.
    Refused,
}

impl AttemptResult {
    pub fn is_over(self) -> bool {
        matches!(self, AttemptResult::Delivered | AttemptResult::GivenUp)
    }

    /// As the column `done` has it; 0 waits, 3 was taken back. Earlier versions had 1 for all that
    /// is over.
    fn done(self) -> i64 {
        match self {
            AttemptResult::Delivered => 4,
            AttemptResult::GivenUp => 2,
            AttemptResult::Again | AttemptResult::Refused => 0,
        }
    }
}

/// A message that waits to be delivered.
#[derive(Debug, Clone)]
pub struct QueuedMessage {
    pub id: i64,
    pub receiver: String,
    pub body: String,
    pub tries: u32,
    /// How often it was refused for what it says.
    pub refusals: u32,
}

/// An endpoint whose unknown time a receiver was notified of. Instants of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifiedUnknown {
    pub receiver: Name,
    pub endpoint: i64,
    pub since: Ms,
    pub begun: Ms,
}

/// Makes one change. `now`: the wall clock of the batch.
pub(super) fn apply(
    transaction: &Transaction,
    change: &OutboxChange,
    now: UtcMs,
) -> Result<(), HistoryError> {
    match change {
        OutboxChange::Message(message) => post_message(transaction, message, now)?,
        OutboxChange::Hold {
            receiver,
            key,
            not_before,
            held_until,
        } => {
            let text = "CASE WHEN ?4 IS NULL THEN json_remove(body, \
                '$.held_by_maintenance_until') ELSE json_set(body, '$.held_by_maintenance_until', \
                ?4) END";
            let waits = "receiver = ?1 AND key = ?2 AND done = 0 AND tries = 0 AND not_before > ?5";
            let sql = format!("UPDATE outbox SET not_before = ?3, body = {text} WHERE {waits}");
            transaction.prepare_cached(&sql)?.execute(params![
                receiver.as_str(),
                key,
                not_before,
                held_until.map(format_utc),
                now
            ])?;
        }
        OutboxChange::ClockStep(by) => {
            transaction.execute("UPDATE outbox SET not_before = not_before + ?1", [by])?;
        }
        OutboxChange::NotifiedUnknown(list) => {
            let sql = "INSERT OR REPLACE INTO told_unknown (receiver, endpoint, since, begun) \
                VALUES (?1, ?2, ?3, ?4)";
            let mut put = transaction.prepare_cached(sql)?;
            for one in list {
                put.execute(params![
                    one.receiver.as_str(),
                    one.endpoint,
                    one.since as i64,
                    one.begun as i64
                ])?;
            }
        }
        OutboxChange::NotifiedKnown(receiver) => {
            transaction.execute(
                "DELETE FROM told_unknown WHERE receiver = ?1",
                [receiver.as_str()],
            )?;
        }
    }
    Ok(())
}

/// Queues a message. One that cancels another whose time has not come takes that one away and is
/// not sent itself. What is taken away keeps its number, as a try of it may be under way.
fn post_message(
    transaction: &Transaction,
    message: &OutboxDraft,
    now: UtcMs,
) -> Result<(), HistoryError> {
    let receiver = message.receiver.as_str();
    if let Some(cancelled) = &message.cancels {
        let sql = "UPDATE outbox SET done = 3, body = '' WHERE receiver = ?1 AND key = ?2 AND \
            done = 0 AND tries = 0 AND not_before > ?3";
        if transaction.execute(sql, params![receiver, cancelled, now])? > 0 {
            return Ok(());
        }
        if message.body.is_empty() {
            // Nothing will follow that takes it back: what was not delivered yet is not true any
            // more.
            transaction.execute(
                "UPDATE outbox SET done = 3, body = '' WHERE receiver = ?1 AND \
                key = ?2 AND done = 0",
                params![receiver, cancelled],
            )?;
        }
    }
    if !message.body.is_empty() {
        transaction.execute(
            "INSERT OR IGNORE INTO outbox (receiver, key, body, not_before) VALUES (?1, ?2, ?3, \
                ?4)",
            params![receiver, message.key, message.body, message.not_before],
        )?;
    }
    Ok(())
}

/// Notes what became of a try. Of a message that is over only the key is kept, so that it is not
/// sent again.
pub(super) fn sent(
    connection: &mut Connection,
    id: i64,
    outcome: AttemptResult,
    again_at: UtcMs,
) -> Result<(), HistoryError> {
    let transaction = connection.transaction()?;
    // What was taken back while it was on its way is delivered, if it was.
    let sql = "UPDATE outbox SET tries = tries + 1, done = MAX(done, ?2), \
        not_before = ?3, body = iif(MAX(done, ?2), '', body) WHERE id = ?1";
    transaction.execute(sql, params![id, outcome.done(), again_at])?;
    match outcome {
        AttemptResult::Again => {}
        AttemptResult::Delivered | AttemptResult::GivenUp => {
            transaction.execute("DELETE FROM refused WHERE message = ?1", [id])?;
        }
        AttemptResult::Refused => {
            let sql = "INSERT INTO refused (message, count) VALUES (?1, 1) ON CONFLICT (message) \
                DO UPDATE SET count = count + 1";
            transaction.execute(sql, [id])?;
        }
    }
    Ok(transaction.commit()?)
}

/// Forgets messages that were over before this; their keys are free again.
pub(super) fn forget(connection: &Connection, before: UtcMs) -> Result<(), HistoryError> {
    connection.execute(
        "DELETE FROM outbox WHERE done > 0 AND not_before < ?1",
        [before],
    )?;
    connection.execute(
        "DELETE FROM refused WHERE message NOT IN (SELECT id FROM outbox WHERE done = 0)",
        [],
    )?;
    Ok(())
}

/// Messages of one receiver that are due at `now`, oldest first. Those of one endpoint are a queue:
/// only its first is sent, so that the last one that was accepted tells how things stand. `held`:
/// numbers of messages under way or put off. A repetition that is due later than `patience` from
/// now was put off by a clock that was ahead then; and only the begin of an outage waits for its
/// first try.
pub fn due(
    reader: &HistoryReader,
    receiver: &str,
    (now, patience): (UtcMs, i64),
    limit: usize,
    held: impl Fn(i64) -> bool,
) -> Result<Vec<QueuedMessage>, HistoryError> {
    let mut statement = reader.connection().prepare_cached(FIRSTS)?;
    let mut rows = statement.query([receiver])?;
    let mut due = Vec::new();
    while due.len() < limit {
        let Some(row) = rows.next()? else { break };
        let (id, key, tries, not_before): (i64, String, u32, i64) =
            (row.get(0)?, row.get(1)?, row.get(3)?, row.get(4)?);
        let waits = if tries > 0 {
            not_before <= now + patience
        } else {
            key.starts_with(BEGINS)
        };
        if (not_before <= now || !waits) && !held(id) {
            due.push(QueuedMessage {
                id,
                receiver: receiver.to_owned(),
                body: row.get(2)?,
                tries,
                refusals: row.get(5)?,
            });
        }
    }
    Ok(due)
}

/// A message about one outage, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutageNotice {
    pub receiver: String,
    pub about: &'static str,
    pub status: NoticeStatus,
    pub tries: u32,
    /// Of the last try where it is over, else of the next one.
    pub at: UtcMs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeStatus {
    Waiting,
    Delivered,
    GivenUp,
    /// Delivered or given up: an earlier version did not write down which.
    Over,
    /// The outage was over before its time came.
    TakenBack,
}

/// The messages about an outage that began at `from`, as long as the outbox has them.
pub fn notices(
    reader: &HistoryReader,
    (endpoint, from): (&str, Ms),
    receivers: &[Name],
) -> Result<Vec<OutageNotice>, HistoryError> {
    let mut list = Vec::new();
    let Some(id) = reader.id_of(endpoint)? else {
        return Ok(list);
    };
    let sql = "SELECT done, tries, not_before FROM outbox WHERE receiver = ?1 AND key = ?2";
    let mut statement = reader.connection().prepare_cached(sql)?;
    for receiver in receivers {
        for (word, about) in [("down", "start"), ("up", "end"), ("left", "removal")] {
            let key = format!("{word} {id} {from}");
            let mut rows = statement.query(params![receiver.as_str(), key])?;
            let Some(row) = rows.next()? else { continue };
            let (done, tries): (i64, u32) = (row.get(0)?, row.get(1)?);
            list.push(OutageNotice {
                receiver: receiver.to_string(),
                about,
                status: match (done, tries) {
                    (0, _) => NoticeStatus::Waiting,
                    (1, 0) | (3, _) => NoticeStatus::TakenBack,
                    (1, _) => NoticeStatus::Over,
                    (2, _) => NoticeStatus::GivenUp,
                    _ => NoticeStatus::Delivered,
                },
                tries,
                at: row.get(2)?,
            });
        }
    }
    Ok(list)
}

/// The numbers of messages that a receiver will not be sent, as more than [`MOST_OF_A_QUEUE`] of
/// one endpoint wait for it: first those of outages of which it heard nothing and which are over,
/// then the oldest. What was tried is kept before what was not, and the newest state always.
/// `is_sent`: messages under way.
pub fn excess(
    reader: &HistoryReader,
    receiver: &str,
    is_sent: impl Fn(i64) -> bool,
) -> Result<Vec<i64>, HistoryError> {
    let mut long = reader.connection().prepare_cached(LONG_QUEUES)?;
    let queues: Vec<String> = long
        .query_map(params![receiver, MOST_OF_A_QUEUE as i64], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut excess = Vec::new();
    for queue in queues {
        let mut statement = reader.connection().prepare_cached(OF_A_QUEUE)?;
        let rows = statement.query_map(params![receiver, queue], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?))
        })?;
        excess.extend(beyond(&rows.collect::<Result<Vec<_>, _>>()?, &is_sent));
    }
    Ok(excess)
}

/// Of a queue: number, key and tries of each message, oldest first.
fn beyond(queue: &[(i64, String, u32)], is_sent: impl Fn(i64) -> bool) -> Vec<i64> {
    let too_many = queue.len() - MOST_OF_A_QUEUE;
    let is_new = |(id, _, tries): &&(i64, String, u32)| *tries == 0 && !is_sent(*id);
    let is_begin = |key: &str| key.starts_with(BEGINS) || key.starts_with("unknown ");
    // "down 7 1793491200000", "unknown - 1793491200000-...": the third word begins with what all
    // messages of one outage share.
    let outage = |key: &str| {
        key.rsplit(' ')
            .next()
            .and_then(|word| word.split('-').next())
            .map(str::to_owned)
    };
    let mut over: Vec<i64> = Vec::new();
    for whole in queue.chunk_by(|a, b| outage(&a.1) == outage(&b.1)) {
        let (Some(first), Some(last)) = (whole.first(), whole.last()) else {
            continue;
        };
        if over.len() < too_many
            && is_begin(&first.1)
            && !is_begin(&last.1)
            && whole.iter().all(|message| is_new(&message))
        {
            over.extend(whole.iter().map(|(id, ..)| id));
        }
    }
    let rest = too_many.saturating_sub(over.len());
    let oldest: Vec<i64> = queue[..queue.len() - 1]
        .iter()
        .filter(is_new)
        .map(|(id, ..)| *id)
        .filter(|id| !over.contains(id))
        .take(rest)
        .collect();
    over.extend(oldest);
    over
}

/// The wall clock as the history knows it, at an instant of the boot clock: times of messages are
/// told by it. It follows a clock that was set in the moment in which the messages do. Nothing
/// where nothing was recorded since this boot.
pub fn calendar(
    reader: &HistoryReader,
    boot_id: &str,
    boot_ns: u64,
) -> Result<Option<UtcMs>, HistoryError> {
    let newest = "SELECT boot_ns, timeline_ms FROM mark WHERE boot_id = ?1 AND id = (SELECT \
        max(id) FROM mark)";
    let mark: Option<(i64, i64)> = reader
        .connection()
        .prepare_cached(newest)?
        .query_row([boot_id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let offset = reader
        .connection()
        .prepare_cached("SELECT offset_ms FROM clock ORDER BY at DESC LIMIT 1")?
        .query_row([], |row| row.get::<_, i64>(0))
        .optional()?;
    let at = |(mark_ns, timeline_ms): (i64, i64)| {
        timeline_ms + (boot_ns as i64 - mark_ns) / NS_PER_MS as i64
    };
    Ok(mark.zip(offset).map(|(mark, offset)| at(mark) + offset))
}

/// Whether a message is not over yet.
pub fn is_waiting(reader: &HistoryReader, id: i64) -> Result<bool, HistoryError> {
    let found = reader
        .connection()
        .prepare_cached("SELECT 1 FROM outbox WHERE id = ?1 AND done = 0")?
        .query_row([id], |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}

/// Receivers that messages wait for.
pub fn receivers(reader: &HistoryReader) -> Result<Vec<String>, HistoryError> {
    let mut statement = reader
        .connection()
        .prepare_cached("SELECT DISTINCT receiver FROM outbox WHERE done = 0")?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// How many messages wait, for all receivers together.
#[cfg(test)]
pub fn count_waiting(reader: &HistoryReader) -> Result<i64, HistoryError> {
    let sql = "SELECT count(*) FROM outbox WHERE done = 0";
    Ok(reader.connection().query_row(sql, [], |row| row.get(0))?)
}

/// Endpoints whose unknown time receivers were notified of, and not yet of its end.
pub fn notified_unknown(reader: &HistoryReader) -> Result<Vec<NotifiedUnknown>, HistoryError> {
    notified_unknown_in(reader.connection())
}

pub(super) fn notified_unknown_in(
    connection: &Connection,
) -> Result<Vec<NotifiedUnknown>, HistoryError> {
    let mut statement =
        connection.prepare("SELECT receiver, endpoint, since, begun FROM told_unknown")?;
    let rows = statement.query_map([], |r| {
        Ok((
            r.get::<_, String>(0)?,
            r.get(1)?,
            r.get::<_, i64>(2)?,
            r.get::<_, i64>(3)?,
        ))
    })?;
    let mut list = Vec::new();
    for row in rows {
        let (receiver, endpoint, since, begun) = row?;
        if let Ok(receiver) = Name::new(&receiver) {
            list.push(NotifiedUnknown {
                receiver,
                endpoint,
                since: since as Ms,
                begun: begun as Ms,
            });
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::schema::in_memory;

    #[test]
    fn of_a_long_queue_goes_what_is_over_and_was_never_heard_of() {
        let key = |n: usize| {
            format!(
                "{} 7 {}",
                if n.is_multiple_of(2) { "down" } else { "up" },
                n / 2
            )
        };
        let queue = |count: usize| {
            (0..count)
                .map(|n| (n as i64, key(n), u32::from(n == 0)))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            beyond(&queue(21), |_| false),
            [2, 3],
            "the first outage was tried"
        );
        assert_eq!(beyond(&queue(25), |id| id == 3), [4, 5, 6, 7, 8, 9]);
        // The receiver knows of the outage whose end waits first.
        assert_eq!(beyond(&queue(24)[1..], |_| false), [2, 3, 4, 5]);
        let ends: Vec<_> = (0..23).map(|n| (n, format!("up 7 {n}"), 0)).collect();
        assert_eq!(
            beyond(&ends, |id| id == 1),
            [0, 2, 3],
            "of ends alone the oldest"
        );
        let unknown: Vec<_> = (0..24)
            .map(|n| {
                (
                    n,
                    format!(
                        "{} - {}-{n}-1.{n}",
                        ["unknown", "unknown", "known"][n as usize % 3],
                        n / 3
                    ),
                    0,
                )
            })
            .collect();
        assert_eq!(beyond(&unknown, |_| false), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn of_a_message_that_is_over_only_its_key_is_kept() {
        let mut connection = in_memory().expect("a database");
        connection.execute_batch(TABLES).expect("tables");
        connection
            .execute(
                "INSERT INTO outbox (id, receiver, key, body, not_before) VALUES (1, \
            'ops', 'down 7 1', 'words', 0)",
                [],
            )
            .expect("a message");
        let kept = |connection: &Connection| {
            connection
                .query_row("SELECT key, body, done FROM outbox", [], |r| {
                    Ok((
                        r.get::<_, String>(0)?,
                        r.get::<_, String>(1)?,
                        r.get::<_, bool>(2)?,
                    ))
                })
                .expect("read")
        };
        sent(&mut connection, 1, AttemptResult::Again, 5).expect("noted");
        assert_eq!(
            kept(&connection),
            ("down 7 1".into(), "words".into(), false)
        );
        sent(&mut connection, 1, AttemptResult::Delivered, 5).expect("noted");
        assert_eq!(kept(&connection), ("down 7 1".into(), String::new(), true));
    }

    #[test]
    fn what_became_of_the_messages_about_an_outage_is_known_by_its_start() {
        let mut connection = in_memory().expect("a database");
        connection.execute_batch(TABLES).expect("tables");
        connection
            .execute_batch(
                "INSERT INTO endpoint VALUES (7, 'shop', 'shop', 'tcp', '', 0, 1);
                 INSERT INTO outbox (id, receiver, key, body, not_before) VALUES
                 (1, 'ops', 'down 7 500', 'x', 0), (2, 'ops', 'up 7 500', 'x', 0),
                 (3, 'calm', 'down 7 500', 'x', 0), (4, 'calm', 'up 7 500', 'x', 60000),
                 (5, 'ops', 'down 7 900', 'x', 0), (6, 'ops', 'down 77 500', 'x', 0),
                 (7, 'ops', 'down 7 901', 'x', 0), (8, 'ops', 'down 7 902', 'x', 0),
                 (9, 'ops', 'down 7 903', '', 8), (10, 'ops', 'up 7 903', '', 9);
                 UPDATE outbox SET done = 3 WHERE id IN (5, 7, 8);
                 UPDATE outbox SET done = 1 WHERE id IN (9, 10);
                 UPDATE outbox SET tries = 2 WHERE id = 9",
            )
            .expect("messages");
        sent(&mut connection, 1, AttemptResult::Again, 3).expect("noted");
        sent(&mut connection, 1, AttemptResult::Delivered, 4).expect("noted");
        sent(&mut connection, 2, AttemptResult::GivenUp, 5).expect("noted");
        sent(&mut connection, 3, AttemptResult::Refused, 9).expect("noted");
        sent(&mut connection, 7, AttemptResult::Again, 6).expect("noted");
        sent(&mut connection, 8, AttemptResult::Delivered, 7).expect("noted");
        let receivers = ["ops", "calm"].map(|name| Name::new(name).expect("a name"));
        let reader = HistoryReader::of(connection);
        let of = |from: Ms| {
            let list = notices(&reader, ("shop", from), &receivers).expect("read");
            let short = |n: OutageNotice| (n.receiver, n.about, n.status, n.tries, n.at);
            list.into_iter().map(short).collect::<Vec<_>>()
        };
        use NoticeStatus::{Delivered, GivenUp, Over, TakenBack, Waiting};
        assert_eq!(
            of(500),
            [
                ("ops".to_owned(), "start", Delivered, 2, 4),
                ("ops".to_owned(), "end", GivenUp, 1, 5),
                ("calm".to_owned(), "start", Waiting, 1, 9),
                ("calm".to_owned(), "end", Waiting, 0, 60_000),
            ]
        );
        assert_eq!(of(900), [("ops".to_owned(), "start", TakenBack, 0, 0)]);
        // A try that was under way when a message was taken back fails, or comes through.
        assert_eq!(of(901), [("ops".to_owned(), "start", TakenBack, 1, 6)]);
        assert_eq!(of(902), [("ops".to_owned(), "start", Delivered, 1, 7)]);
        // Of an earlier version.
        assert_eq!(
            of(903),
            [
                ("ops".to_owned(), "start", Over, 2, 8),
                ("ops".to_owned(), "end", TakenBack, 0, 9),
            ]
        );
        assert_eq!(of(1), []);
        // What is over is forgotten, however it ended.
        forget(reader.connection(), 100).expect("forgotten");
        let left = notices(&reader, ("shop", 500), &receivers).expect("read");
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn a_long_queue_of_one_endpoint_hides_nobody_elses() {
        let connection = in_memory().expect("a database");
        connection.execute_batch(TABLES).expect("tables");
        connection
            .execute_batch(
                "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 50000)
                 INSERT INTO outbox (receiver, key, body, not_before) SELECT 'ops', 'up 7 ' || n, \
                 'x', 0 FROM n;
                 INSERT INTO outbox (receiver, key, body, not_before)
                 VALUES ('ops', 'down 77 1', 'x', 0), ('ops', 'up 77 1', 'x', 0), ('ops', \
                 'unknown - 1-1-1.1', 'x', 0), ('calm', 'down 8 1', 'x', 0);",
            )
            .expect("messages");
        let reader = HistoryReader::of(connection);
        let ids = |limit: usize| {
            due(&reader, "ops", (1, 0), limit, |_| false)
                .expect("read")
                .iter()
                .map(|w| w.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (ids(16), ids(2)),
            (vec![1, 50_001, 50_003], vec![1, 50_001]),
            "the first of each endpoint, oldest first"
        );
    }
}
