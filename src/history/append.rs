//! Appends events to the chain, and to the reading tables what they mean.

use rusqlite::{ToSql, Transaction, params};

use super::chain::link;
use super::event::Projection;
use super::{EventDraft, HistoryError};
use crate::words::Ms;

/// Appends one event with its number and hash, and what it means for the reading tables.
pub fn append(
    transaction: &Transaction,
    draft: &EventDraft,
    seq: u64,
    previous: &[u8; 32],
) -> Result<[u8; 32], HistoryError> {
    let body = draft.canonical(seq);
    let hash = link(previous, &body);
    let endpoint = draft.endpoint.as_ref().map(|(id, _)| *id);
    transaction
        .prepare_cached(
            "INSERT INTO event (seq, hash, body, endpoint, kind, at) VALUES \
        (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            seq as i64,
            hash.as_slice(),
            body,
            endpoint,
            draft.event.kind(),
            draft.at as i64
        ])?;
    if let Some(projection) = draft.event.projection(draft.at, draft.utc) {
        project(transaction, projection, seq as i64, endpoint)?;
    }
    Ok(hash)
}

/// Changes the reading tables as the event `seq` says.
pub fn project(
    transaction: &Transaction,
    projection: Projection,
    seq: i64,
    endpoint: Option<i64>,
) -> Result<(), HistoryError> {
    let execute = |sql: &str, values: &[&dyn ToSql]| -> Result<(), HistoryError> {
        transaction.prepare_cached(sql)?.execute(values)?;
        Ok(())
    };
    let span = |table, from, to| put_span(transaction, table, (seq, endpoint), from, to);
    match projection {
        Projection::OutageOpened {
            from,
            from_earliest,
            from_latest,
            confirmed_at,
            cause,
        } => {
            let begin = [confirmed_at, from, from_earliest, from_latest];
            open_outage(transaction, seq, endpoint, &cause, begin)
        }
        Projection::OutageClosed {
            to,
            to_earliest,
            to_latest,
        } => close_outage(transaction, seq, endpoint, [to, to_earliest, to_latest]),
        Projection::Unknown { from, to, reason } => execute(
            "INSERT INTO unknown (seq, endpoint, from_at, to_at, reason) VALUES (?1, ?2, ?3, ?4, \
                ?5)",
            params![seq, endpoint, from as i64, to as i64, reason],
        ),
        Projection::Doubtful { from, to } => span("doubtful", from, to),
        Projection::Proven { from, to } => span("proven", from, to),
        Projection::Absent { from, to } => span("absent", from, to),
        Projection::WindowDeclared { id, body, recorded } => execute(
            "INSERT INTO window (seq, id, body, recorded) VALUES (?1, ?2, ?3, ?4)",
            params![seq, id, body, recorded],
        ),
        Projection::WindowEnded { id, at } => execute(
            "UPDATE window SET ended = ?2 WHERE id = ?1 AND ended IS NULL",
            params![id, at],
        ),
        Projection::Corrected { body } => execute(
            "INSERT INTO correction (seq, body) VALUES (?1, ?2)",
            params![seq, body],
        ),
        Projection::Sealed {
            unit,
            tallies,
            sha256,
        } => execute(
            "INSERT OR REPLACE INTO sealed (kind, number, tallies, sha256) VALUES (?1, ?2, ?3, ?4)",
            params![unit.kind.as_str(), unit.number, tallies as i64, sha256],
        ),
        Projection::ResultsFrom { at } => execute(
            "INSERT INTO recording (seq, endpoint, from_at) VALUES (?1, ?2, ?3)",
            params![seq, endpoint, at as i64],
        ),
        Projection::ResultsUntil { at } => execute(
            "UPDATE recording SET to_at = ?2 WHERE endpoint = ?1 AND to_at IS NULL",
            params![endpoint, at as i64],
        ),
        Projection::ClockStep { at, offset_ms } => execute(
            "INSERT OR REPLACE INTO clock (at, offset_ms) VALUES (?1, ?2)",
            params![at as i64, offset_ms],
        ),
    }
}

/// `begin`: when it was confirmed, and its begin with the earliest and the latest.
fn open_outage(
    transaction: &Transaction,
    seq: i64,
    endpoint: Option<i64>,
    cause: &str,
    begin: [Ms; 4],
) -> Result<(), HistoryError> {
    let [confirmed_at, from, earliest, latest] = begin.map(|at| at as i64);
    transaction
        .prepare_cached(
            "INSERT INTO outage (opened, endpoint, cause, confirmed_at, from_at, \
                from_earliest, from_latest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            seq,
            endpoint,
            cause,
            confirmed_at,
            from,
            earliest,
            latest
        ])?;
    Ok(())
}

/// `end`: its end with the earliest and the latest.
fn close_outage(
    transaction: &Transaction,
    seq: i64,
    endpoint: Option<i64>,
    end: [Ms; 3],
) -> Result<(), HistoryError> {
    let [to, earliest, latest] = end.map(|at| at as i64);
    transaction
        .prepare_cached(
            "UPDATE outage SET closed = ?1, to_at = ?2, to_earliest = ?3, to_latest = ?4 WHERE \
                endpoint = ?5 AND closed IS NULL",
        )?
        .execute(params![seq, to, earliest, latest, endpoint])?;
    Ok(())
}

/// A row has the number of its event: one that the database chose could be that of a row that was
/// pruned, and go with it. Rows of older builds have smaller numbers than their events.
fn put_span(
    transaction: &Transaction,
    table: &'static str,
    (seq, endpoint): (i64, Option<i64>),
    from: Ms,
    to: Ms,
) -> Result<(), HistoryError> {
    let sql = format!("INSERT INTO {table} (id, endpoint, from_at, to_at) VALUES (?1, ?2, ?3, ?4)");
    transaction
        .prepare_cached(&sql)?
        .execute(params![seq, endpoint, from as i64, to as i64])?;
    Ok(())
}
