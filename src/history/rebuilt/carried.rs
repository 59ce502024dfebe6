//! What a prune record carries of the tables: later events rest on it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Transaction, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::{EventRow, RebuiltOutage, RebuiltTables, window_id};
use crate::history::HistoryError;
use crate::history::seals::Unit;

/// Everything but spans and outages that are over, as JSON has it.
#[derive(Serialize, Deserialize)]
struct Carried {
    ids: HashMap<String, i64>,
    names: BTreeMap<i64, BTreeSet<String>>,
    in_service: HashMap<i64, bool>,
    /// Prune records of earlier builds do not have it.
    #[serde(default, deserialize_with = "null_as_default")]
    added: BTreeMap<i64, i64>,
    components: HashMap<i64, String>,
    #[serde(default, deserialize_with = "readable")]
    definitions: BTreeMap<i64, String>,
    /// `basis` of the tables, under the name that stored records have.
    #[serde(default, deserialize_with = "readable")]
    told: Vec<Value>,
    #[serde(default, deserialize_with = "readable")]
    cadences: BTreeMap<i64, Value>,
    /// Open ones: the event, the endpoint, the cause, the begin.
    outages: Vec<(u64, i64, String, [i64; 4])>,
    /// The event, the kind of the unit, its label, how many tallies, their hash.
    seals: Vec<(u64, String, String, u64, String)>,
    clock: Vec<EventRow>,
    window: Vec<EventRow>,
    correction: Vec<EventRow>,
    recording: Vec<EventRow>,
}

fn null_as_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Nothing where it cannot be read.
fn readable<'de, T: DeserializeOwned + Default, D: Deserializer<'de>>(
    from: D,
) -> Result<T, D::Error> {
    let value = Value::deserialize(from)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

impl RebuiltTables {
    /// What later events rest on: everything but spans and outages that are over.
    pub fn carried(&self) -> Map<String, Value> {
        let rows = |table: &str| self.spans.get(table).cloned().unwrap_or_default();
        let open = self.outages.iter().filter(|(_, o)| o.end.is_none());
        let units = self.seals.iter().map(|(seq, unit, tallies, sum)| {
            let (kind, label) = (unit.kind.as_str().to_owned(), unit.label());
            (*seq, kind, label, *tallies, sum.clone())
        });
        let carried = Carried {
            ids: self.ids.clone(),
            names: self.names.clone(),
            in_service: self.in_service.clone(),
            added: self.added.clone(),
            components: self.components.clone(),
            definitions: self.definitions.clone(),
            told: self.basis.clone(),
            cadences: self.cadences.clone(),
            outages: open
                .map(|(seq, o)| (*seq, o.endpoint, o.cause.clone(), o.begin))
                .collect(),
            seals: units.collect(),
            clock: rows("clock"),
            window: rows("window"),
            correction: rows("correction"),
            recording: rows("recording"),
        };
        match serde_json::to_value(carried) {
            Ok(Value::Object(object)) => object,
            _ => Map::new(),
        }
    }

    /// Begins where a prune record ends. `None` where it cannot be read.
    pub fn resting_on(carried: &Value) -> Option<Self> {
        let carried = Carried::deserialize(carried.as_object()?).ok()?;
        let mut tables = Self {
            ids: carried.ids,
            names: carried.names,
            in_service: carried.in_service,
            added: carried.added,
            components: carried.components,
            definitions: carried.definitions,
            basis: carried.told,
            cadences: carried.cadences,
            ..Self::default()
        };
        for (seq, endpoint, cause, begin) in carried.outages {
            let outage = RebuiltOutage {
                endpoint,
                cause,
                begin,
                end: None,
            };
            tables.outages.insert(seq, outage);
            tables.open.insert(endpoint, seq);
        }
        for (seq, kind, label, tallies, sum) in carried.seals {
            let unit = Unit::of_seal(|key| (key == kind).then(|| label.clone()))?;
            tables.seals.push((seq, unit, tallies, sum));
        }
        tables.spans.insert("clock", carried.clock);
        tables.spans.insert("window", carried.window);
        tables.spans.insert("correction", carried.correction);
        tables.spans.insert("recording", carried.recording);
        Some(tables)
    }

    /// Writes what a prune record carries into the tables of a history in memory; endpoints by
    /// name.
    pub fn put(self, transaction: &Transaction) -> Result<HashMap<String, i64>, HistoryError> {
        for (name, id) in &self.ids {
            let component = self.components.get(id).unwrap_or(name);
            let serves = self.in_service.get(id).copied().unwrap_or(true);
            let sql = "INSERT INTO endpoint (id, name, component, kind, target, digest, \
                in_service) VALUES (?1, ?2, ?3, '', '', 0, ?4)";
            transaction.execute(sql, params![id, name, component, serves])?;
        }
        for (seq, o) in &self.outages {
            let [confirmed, from, earliest, latest] = o.begin;
            let sql = "INSERT INTO outage (opened, endpoint, cause, confirmed_at, from_at, \
                from_earliest, from_latest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            transaction.execute(
                sql,
                params![
                    *seq as i64,
                    o.endpoint,
                    o.cause,
                    confirmed,
                    from,
                    earliest,
                    latest
                ],
            )?;
        }
        for (_, unit, tallies, sum) in &self.seals {
            let sql = "INSERT INTO sealed (kind, number, tallies, sha256) VALUES (?1, ?2, ?3, ?4)";
            transaction.execute(
                sql,
                params![unit.kind.as_str(), unit.number, *tallies as i64, sum],
            )?;
        }
        let rows = |table: &str| self.spans.get(table).map_or(&[][..], Vec::as_slice).iter();
        let ended = |at: i64| (at != -1).then_some(at);
        for (_, row, _) in rows("clock") {
            transaction.execute(
                "INSERT OR REPLACE INTO clock (at, offset_ms) VALUES (?1, ?2)",
                [row[0], row[1]],
            )?;
        }
        for (seq, row, body) in rows("window") {
            let id = window_id(body).unwrap_or_default();
            let sql =
                "INSERT INTO window (seq, id, body, recorded, ended) VALUES (?1, ?2, ?3, ?4, ?5)";
            transaction.execute(sql, params![*seq as i64, id, body, row[0], ended(row[1])])?;
        }
        for (seq, _, body) in rows("correction") {
            transaction.execute(
                "INSERT INTO correction (seq, body) VALUES (?1, ?2)",
                params![*seq as i64, body],
            )?;
        }
        for (seq, row, _) in rows("recording") {
            let sql =
                "INSERT INTO recording (seq, endpoint, from_at, to_at) VALUES (?1, ?2, ?3, ?4)";
            transaction.execute(sql, params![*seq as i64, row[0], row[1], ended(row[2])])?;
        }
        Ok(self.ids)
    }
}
