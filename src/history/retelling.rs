//! Exported events told into a history in memory, for whoever recomputes a report.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value};

use super::append::project;
use super::definitions::TOLD;
use super::prune::Stub;
use super::retold::Retold;
use super::upkeep::{Unit, column};
use super::{HistoryError, schema};

/// A history in memory, told again by exported events: what readers ask of it follows from the
/// events alone.
pub struct Retelling;

impl Retelling {
    /// Each event as exported, without its hash, in order; what came before them as a stub tells
    /// it.
    pub fn of(
        stub: Option<&Stub>,
        events: &[Map<String, Value>],
    ) -> Result<Connection, HistoryError> {
        let mut connection = schema::in_memory()?;
        let transaction = connection.transaction()?;
        let mut ids: HashMap<String, i64> = HashMap::new();
        if let Some(stub) = stub {
            ids = Retold::resting_on(&stub.carried)
                .map(|told| told.put(&transaction))
                .transpose()?
                .unwrap_or_default();
            let sql = "INSERT INTO stub (last, body, carried) VALUES (?1, ?2, ?3)";
            transaction.execute(
                sql,
                params![
                    stub.last as i64,
                    stub.object.to_string(),
                    stub.carried.to_string()
                ],
            )?;
        }
        for (k, event) in events.iter().enumerate() {
            let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
            let seq = event.get("seq").and_then(Value::as_i64).unwrap_or(0);
            if text("kind") == "endpoint_renamed"
                && let Some(id) = ids.remove(text("from"))
            {
                ids.insert(text("endpoint").to_owned(), id);
                transaction.execute(
                    "UPDATE endpoint SET name = ?2 WHERE id = ?1",
                    params![id, text("endpoint")],
                )?;
            }
            let endpoint = match event.get("endpoint").and_then(Value::as_str) {
                None => None,
                Some(name) => Some(match ids.get(name) {
                    Some(id) => *id,
                    None => {
                        let component = if text("component").is_empty() {
                            name
                        } else {
                            text("component")
                        };
                        transaction.execute(
                            "INSERT INTO endpoint (name, component, kind, target, digest, \
                                in_service) VALUES (?1, ?2, '', '', 0, 1)",
                            params![name, component],
                        )?;
                        let id = transaction.last_insert_rowid();
                        ids.insert(name.to_owned(), id);
                        id
                    }
                }),
            };
            if let (Some(id), "endpoint_component") = (endpoint, text("kind")) {
                transaction.execute(
                    "UPDATE endpoint SET component = ?2 WHERE id = ?1",
                    params![id, text("component")],
                )?;
            }
            let is_read = matches!(
                text("kind"),
                "endpoint_renamed"
                    | "endpoint_changed"
                    | "endpoint_added"
                    | "endpoint_cadence"
                    | "endpoint_component"
                    | "endpoint_removed"
                    | "out_of_service"
                    | "exclusion"
                    | "maintenance_declared"
            );
            // The last one says how far the timeline is known.
            let is_read = is_read || k + 1 == events.len();
            if is_read || TOLD.contains(&text("kind")) {
                let body = Value::Object(event.clone()).to_string();
                let at = event.get("at_ms").and_then(Value::as_i64).unwrap_or(0);
                let sql = "INSERT INTO event (seq, hash, body, endpoint, kind, at) VALUES (?1, \
                    x'', ?2, ?3, ?4, ?5)";
                transaction.execute(sql, params![seq, body, endpoint, text("kind"), at])?;
            }
            for projection in super::retold::projections(event) {
                project(&transaction, &projection, seq, endpoint)?;
            }
        }
        transaction.commit()?;
        Ok(connection)
    }

    /// Puts an exported tally into its place; whether it has one.
    pub fn put_tally(connection: &Connection, tally: &Value) -> Result<bool, HistoryError> {
        let text = |key: &str| tally[key].as_str();
        let unit = Unit::of_seal(|key| {
            text("kind")
                .filter(|kind| *kind == key)
                .and(text("of"))
                .map(str::to_owned)
        });
        let (Some(unit), Some(name), Some(body)) = (unit, text("endpoint"), text("body")) else {
            return Ok(false);
        };
        let id: Option<i64> = connection
            .prepare_cached("SELECT id FROM endpoint WHERE name = ?1")?
            .query_row([name], |r| r.get(0))
            .optional()?;
        let Some(id) = id else { return Ok(false) };
        let sql = format!(
            "INSERT OR REPLACE INTO {} (endpoint, {}, body) VALUES (?1, ?2, ?3)",
            unit.kind.table(),
            column(unit.kind)
        );
        connection
            .prepare_cached(&sql)?
            .execute(params![id, unit.number, body.as_bytes()])?;
        Ok(true)
    }
}
