//! Forgets events of long ago, and leaves a signed stub that tells of them.
//!
//! The stub holds the head of the chain where it was cut, every checkpoint that was published
//! before, and (by its hash) what the events after the cut rest on: numbers of endpoints, outages
//! that were open, steps of the clock, windows, corrections, seals. Time before the cut is unknown
//! from then on, with the reason `history`: it is never taken for up.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};

use super::append::append;
use super::chain::{canonical, hex, sha256};
use super::checkpoint::verify_signature;
use super::event::{EventRecord, PrunedEvent};
use super::read::Calendar;
use super::verify::{Against, Verdict, verify, walk};
use super::writer::{Closing, History};
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
    carried: Value,
}

/// What became of a request to prune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    pub last: u64,
    pub until: UtcMs,
}

/// A stub as stored: its signed object, and what it carries.
#[derive(Debug, Clone)]
pub struct Stub {
    pub last: u64,
    pub head: [u8; 32],
    pub until_ms: Ms,
    pub object: Value,
    pub carried: Value,
}

impl Stub {
    /// The newest one.
    pub fn read(connection: &Connection) -> Result<Option<Self>, HistoryError> {
        let row: Option<(String, String)> = connection
            .query_row(
                "SELECT body, carried FROM stub ORDER BY last DESC LIMIT 1",
                [],
                |r| Ok((r.get(0)?, r.get(1)?)),
            )
            .optional()?;
        let Some((body, carried)) = row else {
            return Ok(None);
        };
        let parsed = serde_json::from_str(&body)
            .ok()
            .zip(serde_json::from_str(&carried).ok());
        let stub = parsed.and_then(|(object, carried)| Self::parse(object, carried).ok());
        let why = || HistoryError::Damaged {
            path: connection.path().unwrap_or_default().to_owned(),
            why: "the prune record cannot be read".into(),
        };
        stub.ok_or_else(why).map(Some)
    }

    /// Of its two parts, the signature and the hash of what it carries checked.
    pub fn parse(object: Value, carried: Value) -> Result<Self, String> {
        verify_signature(&object)?;
        let map = carried.as_object().ok_or("it carries nothing")?;
        if object["carried_sha256"] != hex(&sha256(canonical(map).as_bytes())) {
            return Err("what it carries is not what was signed".into());
        }
        let n = |key: &str| object[key].as_u64().ok_or(format!("it has no {key}"));
        let head = object["head"]
            .as_str()
            .and_then(unhex)
            .ok_or("it has no head")?;
        Ok(Self {
            last: n("last")?,
            head,
            until_ms: n("until_ms")?,
            object,
            carried,
        })
    }

    /// The events of config, terms, components, witnesses and limits before the cut, which later
    /// figures rest on.
    pub fn told(&self) -> impl Iterator<Item = EventRecord> + '_ {
        let told = self.carried.get("told").and_then(Value::as_array);
        let events = told.into_iter().flatten().filter_map(Value::as_object);
        events.filter_map(|event| EventRecord::read(event).ok().flatten())
    }

    /// The event that told the last cadence of an endpoint before the cut.
    pub fn cadence_of(&self, endpoint: i64) -> Option<EventRecord> {
        let cadences = self.carried.get("cadences")?;
        let event = cadences.get(endpoint.to_string())?.as_object()?;
        EventRecord::read(event).ok().flatten()
    }

    /// Checkpoints that were published before the cut.
    pub fn checkpoints(&self) -> &[Value] {
        self.object["checkpoints"]
            .as_array()
            .map_or(&[], Vec::as_slice)
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let bytes: Option<Vec<u8>> = (0..text.len())
        .step_by(2)
        .map(|at| {
            text.get(at..at + 2)
                .and_then(|b| u8::from_str_radix(b, 16).ok())
        })
        .collect();
    bytes?.try_into().ok()
}

/// Until when the record was pruned, on the timeline.
pub fn pruned_until(connection: &Connection) -> Result<Option<Ms>, HistoryError> {
    let sql = "SELECT json_extract(body, '$.until_ms') FROM stub ORDER BY last DESC LIMIT 1";
    Ok(connection
        .prepare_cached(sql)?
        .query_row([], |r| r.get::<_, i64>(0))
        .optional()?
        .map(|at| at as Ms))
}

/// Looks at what a cut before `before` would take; nothing where there is nothing to take. A
/// history that does not verify is not cut.
pub fn prepare(connection: &Connection, before: UtcMs) -> Result<Option<Cut>, HistoryError> {
    let unfit = |why: String| HistoryError::Damaged {
        path: connection.path().unwrap_or_default().to_owned(),
        why,
    };
    let calendar = Calendar::read(connection)?;
    let at = calendar.surely_before(before);
    let sql = "SELECT seq, at FROM event WHERE at <= ?1 AND seq < (SELECT max(seq) FROM event) \
        ORDER BY seq DESC LIMIT 1";
    let found: Option<(i64, i64)> = connection
        .query_row(sql, [at], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    let earlier = Stub::read(connection)?;
    let Some((last, until_ms)) = found
        .map(|(last, at)| (last as u64, at as Ms))
        .filter(|(last, _)| earlier.as_ref().is_none_or(|e| e.last < *last))
    else {
        return Ok(None);
    };
    match verify(connection, &Against::default())? {
        Verdict::Whole { .. } => {}
        Verdict::Altered { seq, why } => {
            return Err(unfit(format!(
                "it is not pruned, as it does not verify: event {seq}: {why}"
            )));
        }
        Verdict::Forked { why, .. } | Verdict::NotProvable { why } => {
            return Err(unfit(format!(
                "it is not pruned, as it does not verify: {why}"
            )));
        }
    }
    let walked = match walk(connection, earlier.as_ref(), &[last], last)? {
        Ok(walked) => walked,
        Err(_) => return Err(unfit("its events cannot be walked".into())),
    };
    let mut checkpoints: Vec<Value> = earlier
        .iter()
        .flat_map(|e| e.checkpoints())
        .cloned()
        .collect();
    let mut statement =
        connection.prepare("SELECT body FROM checkpoint WHERE seq <= ?1 ORDER BY seq")?;
    for body in statement.query_map([last as i64], |r| r.get::<_, String>(0))? {
        checkpoints.extend(serde_json::from_str::<Value>(&body?));
    }
    let cut_of = |table: &str| -> Result<i64, HistoryError> {
        let rows = walked.told.rows_of(table);
        let sql = format!("SELECT id FROM {table} ORDER BY id LIMIT 1 OFFSET ?1");
        Ok(match rows.checked_sub(1) {
            None => 0,
            Some(before_last) => connection.query_row(&sql, [before_last as i64], |r| r.get(0))?,
        })
    };
    let mut carried = walked.carried();
    carried["cut"] = json!({"doubtful": cut_of("doubtful")?, "proven": cut_of("proven")?, "absent": cut_of("absent")?});
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

impl History {
    /// Signs the stub, and tells of it in the chain; the rows go later, in slices.
    pub(super) fn prune(
        &mut self,
        cut: &Cut,
        by: &str,
        utc: UtcMs,
    ) -> Result<Pruned, HistoryError> {
        let carried = cut.carried.as_object().map(canonical).unwrap_or_default();
        let Value::Object(object) = json!({
            "schema": "probity-stub/1", "chain": self.notary.chain, "first": 1, "last": cut.last, "head": cut.head, "until": format_utc(cut.until),
            "until_ms": cut.until_ms, "checkpoints": cut.checkpoints, "carried_sha256": hex(&sha256(carried.as_bytes())), "time": format_utc(utc),
        }) else {
            return Ok(Pruned {
                last: cut.last,
                until: cut.until,
            });
        };
        let signed = self.notary.signer.signed(object).to_string();
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
        let checkpoint = self.notary.due(self.next_seq + 1, &head, utc, Closing::Yes);
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
            self.notary.checkpointed = (last, utc);
        }
        Ok(Pruned {
            last: cut.last,
            until: cut.until,
        })
    }
}

/// Takes some rows away that the newest stub tells of; whether more are left.
pub fn take_some(connection: &mut Connection) -> Result<bool, HistoryError> {
    let row: Option<(i64, String)> = connection
        .query_row(
            "SELECT last, json_extract(carried, '$.cut') FROM stub ORDER BY last DESC LIMIT 1",
            [],
            |r| Ok((r.get(0)?, r.get(1)?)),
        )
        .optional()?;
    let Some((last, cut)) = row else {
        return Ok(false);
    };
    let cut: Value = serde_json::from_str(&cut).unwrap_or_default();
    let until = |table: &str| cut[table].as_i64().unwrap_or(0);
    let steps = [
        ("event", "seq", last, ""),
        ("checkpoint", "seq", last, ""),
        ("unknown", "seq", last, ""),
        ("doubtful", "id", until("doubtful"), ""),
        ("proven", "id", until("proven"), ""),
        ("absent", "id", until("absent"), ""),
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
