//! Forgets events of long ago, and leaves a signed prune record that tells of them.
//!
//! The prune record holds the head of the chain where it was cut, every checkpoint that was
//! published before, and (by its hash) what the events after the cut rest on: numbers of endpoints,
//! outages that were open, steps of the clock, windows, corrections, seals. Time before the cut is
//! unknown from then on, with the reason `history`: it is never taken for up.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value, json};

use super::append::append;
use super::chain::{canonical, hex, sha256};
use super::event::PrunedEvent;
use super::opened::{Closing, History};
use super::prune_record::{COMMITTED_WITHIN_MS, PruneRecord};
use super::reader::HistoryReader;
use super::verification::{Against, Verification};
use super::verify::verify;
use super::walk::{Walked, walk};
use super::{EventDraft, HistoryError};
use crate::words::{Ms, UtcMs, format_utc};

/// Rows that go in one slice.
const AT_ONCE: i64 = 64;

/// What a cut takes away and leaves, learnt by walking all that goes.
#[derive(Debug, Clone)]
pub struct Cut {
    /// The last event that goes.
    last: u64,
    head: String,
    until_ms: Ms,
    until: UtcMs,
    /// The newest moment that is recorded.
    at: Ms,
    checkpoints: Vec<Value>,
    carried: Map<String, Value>,
}

/// What became of a request to prune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    pub last: u64,
    pub until: UtcMs,
}

/// Looks at what a cut before `before` would take; nothing where there is nothing to take. A
/// history that does not verify is not cut.
pub fn prepare(reader: &HistoryReader, before: UtcMs) -> Result<Option<Cut>, HistoryError> {
    let connection = reader.connection();
    let unfit = |why: String| HistoryError::Damaged {
        path: connection.path().unwrap_or_default().to_owned(),
        why,
    };
    let calendar = reader.calendar()?;
    let earlier = reader.prune_record()?;
    let found = last_before(connection, calendar.surely_before(before))?;
    let Some((last, until_ms)) = found.filter(|(last, _)| earlier.is_none_or(|e| e.last < *last))
    else {
        return Ok(None);
    };
    if let Some(why) = unverified(&verify(connection, &Against::default())?) {
        let why = format!("it is not pruned, as it does not verify: {why}");
        return Err(unfit(why));
    }
    let walked = match walk(connection, earlier, &[last], last)? {
        Ok(walked) => walked,
        Err(_) => return Err(unfit("its events cannot be walked".into())),
    };
    let mut checkpoints: Vec<Value> = earlier
        .iter()
        .flat_map(|e| e.checkpoints())
        .cloned()
        .collect();
    checkpoints.extend(checkpoints_until(connection, last)?);
    let mut carried = walked.carried();
    carried.insert("cut".into(), last_rows(connection, &walked, earlier)?);
    let head = walked
        .heads
        .get(&last)
        .cloned()
        .ok_or_else(|| unfit("its head cannot be found".into()))?;
    let at: i64 = connection.query_row("SELECT max(at) FROM event", [], |r| r.get(0))?;
    Ok(Some(Cut {
        last,
        head,
        until_ms,
        at: at as Ms,
        until: calendar.utc(until_ms),
        checkpoints,
        carried,
    }))
}

/// The last event up to a moment of the timeline, and its own. The newest of all stays.
fn last_before(connection: &Connection, at: i64) -> Result<Option<(u64, Ms)>, HistoryError> {
    let sql = "SELECT seq, at FROM event WHERE at <= ?1 AND seq < (SELECT max(seq) FROM event) \
        ORDER BY seq DESC LIMIT 1";
    let found: Option<(i64, i64)> = connection
        .query_row(sql, [at], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    Ok(found.map(|(last, at)| (last as u64, at as Ms)))
}

/// Why a history does not verify.
fn unverified(found: &Verification) -> Option<String> {
    match found {
        Verification::Whole { .. } => None,
        Verification::Altered { seq, why } => Some(format!("event {seq}: {why}")),
        Verification::Forked { why, .. } | Verification::NotProvable { why } => Some(why.clone()),
    }
}

fn checkpoints_until(connection: &Connection, last: u64) -> Result<Vec<Value>, HistoryError> {
    let mut statement =
        connection.prepare("SELECT body FROM checkpoint WHERE seq <= ?1 ORDER BY seq")?;
    let mut list = Vec::new();
    for body in statement.query_map([last as i64], |r| r.get::<_, String>(0))? {
        list.extend(serde_json::from_str::<Value>(&body?));
    }
    Ok(list)
}

/// The last row that goes of each table whose rows do not name their event.
fn last_rows(
    connection: &Connection,
    walked: &Walked,
    earlier: Option<&PruneRecord>,
) -> Result<Value, HistoryError> {
    let last_of = |table: &str| -> Result<i64, HistoryError> {
        let rows = walked.tables.rows_of(table);
        // Rows that an earlier prune record stands for may not be taken away yet.
        let gone = earlier.map_or_else(String::new, |prune_record| {
            let until = prune_record.until_ms as i64 + COMMITTED_WITHIN_MS;
            format!(
                "WHERE NOT (id <= {} AND to_at <= {until})",
                prune_record.last_row(table)
            )
        });
        let sql = format!("SELECT id FROM {table} {gone} ORDER BY id LIMIT 1 OFFSET ?1");
        Ok(match rows.checked_sub(1) {
            None => 0,
            Some(before_last) => connection.query_row(&sql, [before_last as i64], |r| r.get(0))?,
        })
    };
    Ok(json!({
        "doubtful": last_of("doubtful")?, "proven": last_of("proven")?,
        "absent": last_of("absent")?,
    }))
}

impl History {
    /// Signs the prune record, and tells of it in the chain; the rows go later, in slices.
    pub(super) fn prune(
        &mut self,
        cut: &Cut,
        by: &str,
        utc: UtcMs,
    ) -> Result<Pruned, HistoryError> {
        let carried = canonical(&cut.carried);
        let Value::Object(object) = json!({
            "schema": "probity-stub/1", "chain": self.chain_signer.chain, "first": 1,
            "last": cut.last, "head": cut.head, "until": format_utc(cut.until),
            "until_ms": cut.until_ms, "checkpoints": cut.checkpoints,
            "carried_sha256": hex(&sha256(carried.as_bytes())), "time": format_utc(utc),
        }) else {
            return Ok(Pruned {
                last: cut.last,
                until: cut.until,
            });
        };
        let signed = self.chain_signer.signer.signed(object).to_string();
        let event = PrunedEvent {
            last: cut.last,
            head: cut.head.clone(),
            until: format_utc(cut.until),
            stub_sha256: hex(&sha256(signed.as_bytes())),
            by: by.to_owned(),
        };
        let draft = EventDraft::general(cut.at, utc, event);
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM stub", [])?;
        transaction.execute(
            "INSERT INTO stub (last, body, carried) VALUES (?1, ?2, ?3)",
            params![cut.last as i64, signed, carried],
        )?;
        let head = append(&transaction, &draft, self.next_seq, &self.head)?;
        // The events after the cut are signed with it, as their older checkpoints go.
        let checkpoint = self
            .chain_signer
            .due(self.next_seq + 1, &head, utc, Closing::Yes);
        if let Some((last, body)) = &checkpoint {
            transaction.execute(
                "INSERT OR REPLACE INTO checkpoint (seq, body) VALUES (?1, ?2)",
                params![*last as i64, body],
            )?;
        }
        transaction.commit()?;
        self.head = head;
        self.next_seq += 1;
        if let Some((last, _)) = checkpoint {
            self.chain_signer.checkpointed = (last, utc);
        }
        Ok(Pruned {
            last: cut.last,
            until: cut.until,
        })
    }
}

/// Takes some rows away that the newest prune record tells of; whether more are left.
pub fn take_some(connection: &mut Connection) -> Result<bool, HistoryError> {
    let sql = "SELECT last, json_extract(carried, '$.cut'), json_extract(body, '$.until_ms') FROM \
        stub ORDER BY last DESC LIMIT 1";
    let row: Option<(i64, String, i64)> = connection
        .query_row(sql, [], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        .optional()?;
    let Some((last, cut, until_ms)) = row else {
        return Ok(false);
    };
    let cut: Value = serde_json::from_str(&cut).unwrap_or_default();
    let until = |table: &str| cut.get(table).and_then(Value::as_i64).unwrap_or(0);
    // Earlier builds could give a later row the number of one that was pruned.
    let pruned = format!("AND to_at <= {}", until_ms + COMMITTED_WITHIN_MS);
    let steps = [
        ("event", "seq", last, ""),
        ("checkpoint", "seq", last, ""),
        ("unknown", "seq", last, ""),
        ("doubtful", "id", until("doubtful"), &pruned),
        ("proven", "id", until("proven"), &pruned),
        ("absent", "id", until("absent"), &pruned),
        ("outage", "opened", last, "AND closed <= ?1"),
    ];
    let transaction = connection.transaction()?;
    let mut is_more = false;
    for (table, key, last, more) in steps {
        let sql = format!(
            "DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {key} <= ?1 \
                {more} ORDER BY {key} LIMIT ?2)"
        );
        is_more |= transaction
            .prepare_cached(&sql)?
            .execute(params![last, AT_ONCE])? as i64
            == AT_ONCE;
    }
    transaction.commit()?;
    Ok(is_more)
}
