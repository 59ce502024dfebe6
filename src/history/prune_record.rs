//! The signed prune record that stands for pruned events: what they told, as far as later ones rest
//! on it.
//!
//! [`super::prune`] makes it; readers, and whoever verifies, ask it for what went.

use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

use super::HistoryError;
use super::chain::{canonical, hex, sha256};
use super::checkpoint::verify_signature;
use super::event::EventRecord;
use crate::words::Ms;

/// A change becomes final some moments after the time that it is about, and never before.
pub const COMMITTED_WITHIN_MS: i64 = 1000;

/// A prune record as stored: its signed object, and what it carries.
#[derive(Debug, Clone)]
pub struct PruneRecord {
    pub last: u64,
    pub head: [u8; 32],
    pub until_ms: Ms,
    pub object: Value,
    pub carried: Value,
}

impl PruneRecord {
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
        let prune_record = parsed.and_then(|(object, carried)| Self::parse(object, carried).ok());
        let why = || HistoryError::Damaged {
            path: connection.path().unwrap_or_default().to_owned(),
            why: "the prune record cannot be read".into(),
        };
        prune_record.ok_or_else(why).map(Some)
    }

    /// Of its two parts, the signature and the hash of what it carries checked.
    pub fn parse(object: Value, carried: Value) -> Result<Self, String> {
        verify_signature(&object)?;
        let map = carried.as_object().ok_or("it carries nothing")?;
        let text = |key: &str| object.get(key).and_then(Value::as_str);
        if text("carried_sha256") != Some(&hex(&sha256(canonical(map).as_bytes()))) {
            return Err("what it carries is not what was signed".into());
        }
        let number = |key: &str| {
            let number = object.get(key).and_then(Value::as_u64);
            number.ok_or(format!("it has no {key}"))
        };
        let head = text("head").and_then(unhex).ok_or("it has no head")?;
        Ok(Self {
            last: number("last")?,
            head,
            until_ms: number("until_ms")?,
            object,
            carried,
        })
    }

    /// The events of config, terms, components, witnesses and limits before the cut, which later
    /// figures rest on.
    pub fn basis(&self) -> impl Iterator<Item = EventRecord> + '_ {
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
        let list = self.object.get("checkpoints").and_then(Value::as_array);
        list.map_or(&[], Vec::as_slice)
    }

    /// The key that signed.
    pub fn key(&self) -> Option<&str> {
        self.object.get("key").and_then(Value::as_str)
    }

    /// The last row that went of a table whose rows do not name their event.
    pub fn last_row(&self, table: &str) -> i64 {
        let cut = self.carried.get("cut").and_then(|cut| cut.get(table));
        cut.and_then(Value::as_i64).unwrap_or(0)
    }

    /// Names that nobody has any more, each with the name at the cut.
    pub fn earlier_names(&self) -> Vec<(String, String)> {
        let ids = self.carried.get("ids").and_then(Value::as_object);
        let names = self.carried.get("names");
        let of = |now: &String, id: &Value| {
            let names = names.and_then(|names| names.get(id.to_string()));
            let all = names.and_then(Value::as_array).into_iter().flatten();
            let earlier = all
                .filter_map(Value::as_str)
                .filter(|name| ids.is_some_and(|ids| !ids.contains_key(*name)));
            earlier
                .map(|name| (name.to_owned(), now.clone()))
                .collect::<Vec<_>>()
        };
        let each = ids.into_iter().flatten();
        each.flat_map(|(now, id)| of(now, id)).collect()
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
