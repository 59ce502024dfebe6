//! A history in memory, built from exported events: what `sla verify` recomputes a report from.

use std::collections::HashMap;

use rusqlite::{Transaction, params};
use serde_json::{Map, Value};

use super::append::project;
use super::chain::canonical;
use super::event::{Event, EventRecord};
use super::prune_record::PruneRecord;
use super::reader::HistoryReader;
use super::rebuilt::RebuiltTables;
use super::seals::{Unit, column};
use super::{HistoryError, schema};

/// Builds a history in memory from exported events: what readers ask of it follows from the events
/// alone.
pub struct InMemoryHistory;

impl InMemoryHistory {
    /// From each event as exported, without its hash, in order, and from the prune record that has
    /// what came before them.
    pub fn of(
        prune_record: Option<&PruneRecord>,
        events: &[Map<String, Value>],
    ) -> Result<HistoryReader, HistoryError> {
        let mut connection = schema::in_memory()?;
        let transaction = connection.transaction()?;
        let mut ids: HashMap<String, i64> = HashMap::new();
        if let Some(prune_record) = prune_record {
            ids = RebuiltTables::resting_on(&prune_record.carried)
                .map(|tables| tables.put(&transaction))
                .transpose()?
                .unwrap_or_default();
            let sql = "INSERT INTO stub (last, body, carried) VALUES (?1, ?2, ?3)";
            transaction.execute(
                sql,
                params![
                    prune_record.last as i64,
                    prune_record.object.to_string(),
                    prune_record.carried.to_string()
                ],
            )?;
        }
        for (k, text) in events.iter().enumerate() {
            let e = EventRecord::read(text).map_err(|why| HistoryError::Event {
                seq: text.get("seq").and_then(Value::as_u64).unwrap_or(0),
                why,
            })?;
            let Some(e) = e else { continue };
            let endpoint = endpoint_of(&transaction, &mut ids, &e)?;
            // The last one says how far the timeline is known.
            if is_read(&e.event) || k + 1 == events.len() {
                let body = canonical(text);
                let sql = "INSERT INTO event (seq, hash, body, endpoint, kind, at) VALUES (?1, \
                    x'', ?2, ?3, ?4, ?5)";
                transaction.execute(
                    sql,
                    params![e.seq as i64, body, endpoint, e.event.kind(), e.at as i64],
                )?;
            }
            if let Some(projection) = e.event.projection(e.at, e.recorded.unwrap_or(0)) {
                project(&transaction, projection, e.seq as i64, endpoint)?;
            }
        }
        transaction.commit()?;
        Ok(HistoryReader::of(connection))
    }

    /// Puts an exported tally into its place; whether it has one.
    pub fn put_tally(reader: &HistoryReader, tally: &Value) -> Result<bool, HistoryError> {
        let text = |key: &str| tally.get(key).and_then(Value::as_str);
        let unit = Unit::of_seal(|key| {
            text("kind")
                .filter(|kind| *kind == key)
                .and(text("of"))
                .map(str::to_owned)
        });
        let (Some(unit), Some(name), Some(body)) = (unit, text("endpoint"), text("body")) else {
            return Ok(false);
        };
        let Some(id) = reader.id_of(name)? else {
            return Ok(false);
        };
        let sql = format!(
            "INSERT OR REPLACE INTO {} (endpoint, {}, body) VALUES (?1, ?2, ?3)",
            unit.kind.table(),
            column(unit.kind)
        );
        reader.connection().prepare_cached(&sql)?.execute(params![
            id,
            unit.number,
            body.as_bytes()
        ])?;
        Ok(true)
    }

    /// Takes the tallies of a unit away again.
    pub fn take_tallies(reader: &HistoryReader, unit: Unit) -> Result<(), HistoryError> {
        let sql = format!(
            "DELETE FROM {} WHERE {} = ?1",
            unit.kind.table(),
            column(unit.kind)
        );
        reader.connection().execute(&sql, [unit.number])?;
        Ok(())
    }
}

/// The number of an event's endpoint, under the name that it has from this event on.
fn endpoint_of(
    transaction: &Transaction,
    ids: &mut HashMap<String, i64>,
    e: &EventRecord,
) -> Result<Option<i64>, HistoryError> {
    let Some(name) = &e.endpoint else {
        return Ok(None);
    };
    if let Event::EndpointRenamed(renamed) = &e.event
        && let Some(id) = ids.remove(&renamed.from)
    {
        ids.insert(name.clone(), id);
        let sql = "UPDATE endpoint SET name = ?2 WHERE id = ?1";
        transaction.execute(sql, params![id, name])?;
    }
    let component = match &e.event {
        Event::EndpointAdded(added) => Some(&added.component),
        Event::EndpointComponent(moved) => Some(&moved.component),
        _ => None,
    };
    let id = match ids.get(name) {
        Some(id) => *id,
        None => {
            let component = component.filter(|c| !c.is_empty()).unwrap_or(name);
            transaction.execute(
                "INSERT INTO endpoint (name, component, kind, target, digest, in_service) \
                    VALUES (?1, ?2, '', '', 0, 1)",
                params![name, component],
            )?;
            let id = transaction.last_insert_rowid();
            ids.insert(name.clone(), id);
            id
        }
    };
    if let Event::EndpointComponent(moved) = &e.event {
        let sql = "UPDATE endpoint SET component = ?2 WHERE id = ?1";
        transaction.execute(sql, params![id, moved.component])?;
    }
    Ok(Some(id))
}

/// Whether readers ask for the event itself, not only for the rows that follow from it.
fn is_read(event: &Event) -> bool {
    match event {
        Event::EndpointRenamed(_)
        | Event::EndpointChanged(_)
        | Event::EndpointAdded(_)
        | Event::EndpointCadence(_)
        | Event::EndpointComponent(_)
        | Event::EndpointRemoved(_)
        | Event::OutOfService(_)
        | Event::Exclusion(_)
        | Event::MaintenanceDeclared(_)
        | Event::Config(_)
        | Event::Terms(_)
        | Event::Component(_)
        | Event::Witnesses(_)
        | Event::Limits(_) => true,
        Event::Down(_)
        | Event::Up(_)
        | Event::OutageLeft(_)
        | Event::OutageLost(_)
        | Event::Proven(_)
        | Event::FirstUp(_)
        | Event::Unknown(_)
        | Event::Known(_)
        | Event::Doubt(_)
        | Event::Unconfirmed(_)
        | Event::DaemonStarted(_)
        | Event::DaemonStopped(_)
        | Event::Reloaded(_)
        | Event::ClockStep(_)
        | Event::RecordedLate(_)
        | Event::HistoryGap(_)
        | Event::WitnessesSilent(_)
        | Event::WitnessesAnswer(_)
        | Event::ResultsFrom(_)
        | Event::ResultsUntil(_)
        | Event::Tallies(_)
        | Event::MaintenanceEnded(_)
        | Event::Annotation(_)
        | Event::CheckpointKeyChanged(_)
        | Event::Restored(_)
        | Event::Pruned(_) => false,
    }
}
