//! What became of endpoints' names and definitions: who was renamed, and when another probe or
//! expectation took the place of one.
//!
//! Windows and corrections name endpoints as they were called then. Who reads them asks here what
//! each is called now, so that a history that goes on under another name keeps its maintenance and
//! its exclusions.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};
use serde_json::{Value, json};

use super::HistoryError;
use super::dates::Dates;
use super::prune::Stub;
use crate::judgement::rules::Cadence;
use crate::words::{Ms, UtcMs, format_utc, parse_utc};

/// The events that this file reads, by an index of their own: they are few among many.
pub const INDEX: &str = "DROP INDEX IF EXISTS event_of_definition;
CREATE INDEX IF NOT EXISTS event_of_definitions ON event (seq) WHERE kind IN ('endpoint_renamed', \
'endpoint_changed', 'config', 'terms', 'component');
CREATE INDEX IF NOT EXISTS event_of_component ON event (seq) WHERE kind = 'component';
CREATE TABLE IF NOT EXISTS definition (endpoint INTEGER PRIMARY KEY, sha256 BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS event_of_move ON event (seq) WHERE kind = 'endpoint_component';";

/// Kinds that say what figures rest on beside the probes.
pub const TOLD: [&str; 3] = ["config", "terms", "component"];

/// What the events tell of config, terms and components.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Each config that came into force: from when on, and its SHA-256. UTC.
    pub configs: Vec<(UtcMs, String)>,
    /// Commitments in force, with when each was recorded (RFC 3339).
    pub terms: BTreeMap<String, String>,
    /// Every commitment that there was, with when it was recorded first.
    pub ever: BTreeMap<String, String>,
    /// When each commitment was in force: from when, and until when if it is not any more. UTC.
    pub stays: BTreeMap<String, Vec<(UtcMs, Option<UtcMs>)>>,
    /// Which commitments are to terms of the same report: each with an identity. Those of earlier
    /// versions have none.
    pub identities: BTreeMap<String, String>,
    /// The text of all contracts, encrypted, with when it came into force; empty where it is not
    /// carried, or where there is no contract. UTC.
    pub sealed: Vec<(UtcMs, String)>,
    /// Declared components.
    pub components: BTreeMap<String, Value>,
}

impl Told {
    fn hear(&mut self, event: &Value, dates: &Dates) {
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let list = |key: &str| {
            event[key]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let at = dates.counts_from(
            event["at_ms"].as_u64().unwrap_or(0),
            parse_utc(&text("recorded")).unwrap_or(0),
        );
        match event["kind"].as_str().unwrap_or_default() {
            "config" => self.configs.push((at, text("sha256"))),
            "terms" => {
                for gone in list("gone") {
                    self.terms.remove(&gone);
                    self.stays.entry(gone).or_default().iter_mut().filter(|(_, until)| until.is_none()).for_each(|(_, until)| *until = Some(at));
                }
                for (commitment, identity) in event["of"].as_object().into_iter().flatten() {
                    self.identities.insert(commitment.clone(), identity.as_str().unwrap_or_default().to_owned());
                }
                let carried = event["sealed"].as_str().map(str::to_owned);
                self.sealed.extend(carried.or_else(|| (!self.sealed.is_empty()).then(String::new)).map(|sealed| (at, sealed)));
                for added in list("added") {
                    self.stays.entry(added.clone()).or_default().push((at, None));
                    self.ever.entry(added.clone()).or_insert_with(|| format_utc(at));
                    self.terms.insert(added, format_utc(at));
                }
            }
            "component" if event["gone"] == true => drop(self.components.remove(&text("component"))),
            "component" => {
                drop(self.components.insert(text("component"), json!({"combine": event["combine"], "in_service_from_ms": event["in_service_from_ms"]})))
            }
            _ => {}
        }
    }
}

impl Told {
    /// Since when terms are on record, by their commitment: those that are not in force any more
    /// since they were first.
    pub fn on_record(&self, commitment: &str) -> Option<&String> {
        self.terms
            .get(commitment)
            .or_else(|| self.ever.get(commitment))
    }
}

/// Config, terms and components as told, those that a stub stands for among them.
pub fn told(connection: &Connection) -> Result<Told, HistoryError> {
    let (mut told, dates) = (Told::default(), Dates::read(connection)?);
    if let Some(stub) = Stub::read(connection)? {
        stub.carried["told"]
            .as_array()
            .into_iter()
            .flatten()
            .for_each(|event| told.hear(event, &dates));
    }
    events(connection)?
        .iter()
        .for_each(|(_, event)| told.hear(event, &dates));
    Ok(told)
}

/// The cadences that an endpoint had, with the name that it had then and from when on (timeline),
/// as far as events tell.
pub fn cadences(
    connection: &Connection,
    endpoint: &str,
) -> Result<Vec<(Ms, String, Cadence)>, HistoryError> {
    let id: Option<i64> = connection
        .prepare_cached("SELECT id FROM endpoint WHERE name = ?1")?
        .query_row([endpoint], |r| r.get(0))
        .optional()?;
    let Some(id) = id else { return Ok(Vec::new()) };
    let mut list: Vec<(Ms, String, Cadence)> = Vec::new();
    if let Some(stub) = Stub::read(connection)? {
        let carried = &stub.carried["cadences"][id.to_string()];
        list.extend(cadence_of(carried).map(|c| {
            (
                carried["at_ms"].as_u64().unwrap_or(0),
                carried["endpoint"].as_str().unwrap_or(endpoint).to_owned(),
                c,
            )
        }));
    }
    let sql = "SELECT body FROM event WHERE endpoint = ?1 AND kind IN ('endpoint_added', \
        'endpoint_cadence', 'endpoint_renamed') ORDER BY seq";
    let mut statement = connection.prepare_cached(sql)?;
    for body in statement.query_map([id], |r| r.get::<_, String>(0))? {
        let event: Value = serde_json::from_str(&body?).unwrap_or_default();
        let (at, name) = (
            event["at_ms"].as_u64().unwrap_or(0),
            event["endpoint"].as_str().unwrap_or(endpoint).to_owned(),
        );
        let last = list.last().map(|(.., c)| *c);
        list.extend(cadence_of(&event).or(last).map(|c| (at, name, c)));
    }
    Ok(list)
}

/// A cadence as an event tells it; nothing where no config could have it.
fn cadence_of(event: &Value) -> Option<Cadence> {
    let n = |key: &str| event[key].as_u64();
    let cadence = Cadence {
        interval: n("interval_ms")?,
        jitter_ppm: n("jitter_ppm")?,
        late_after: n("late_after_ms")?,
        timeout: n("timeout_ms")?,
        retry_interval: n("retry_interval_ms")?,
        down_after: u32::try_from(n("down_after")?).ok()?,
        up_after: u32::try_from(n("up_after")?).ok()?,
    };
    cadence.is_possible().then_some(cadence)
}

/// Another definition under the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    pub seq: u64,
    /// As it is called now.
    pub endpoint: String,
    pub at_ms: u64,
    pub before: String,
    pub after: String,
}

/// (event, from, to), in order.
#[derive(Debug, Clone, Default)]
pub struct Renames(Vec<(u64, String, String)>);

impl Renames {
    /// What an endpoint is called now that was called so when event `seq` was recorded.
    pub fn now(&self, seq: u64, name: &str) -> String {
        let later = self.0.iter().filter(|(at, ..)| *at > seq);
        later.fold(name.to_owned(), |name, (_, from, to)| {
            if name == *from { to.clone() } else { name }
        })
    }
}

fn events(connection: &Connection) -> Result<Vec<(u64, Value)>, HistoryError> {
    let sql = "SELECT seq, body FROM event WHERE kind IN ('endpoint_renamed', 'endpoint_changed', \
        'config', 'terms', 'component') ORDER BY seq";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |r| {
        Ok((r.get::<_, i64>(0)? as u64, r.get::<_, String>(1)?))
    })?;
    let mut list = Vec::new();
    for row in rows {
        let (seq, body) = row?;
        list.push((seq, serde_json::from_str(&body).unwrap_or_default()));
    }
    Ok(list)
}

/// Every rename, those that a stub stands for among them.
pub fn renames(connection: &Connection) -> Result<Renames, HistoryError> {
    let mut list = Vec::new();
    if let Some(stub) = Stub::read(connection)? {
        let ids = stub.carried["ids"].as_object();
        for (now, id) in ids.into_iter().flatten() {
            let names = stub.carried["names"][id.to_string()].as_array();
            let earlier = names
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .filter(|name| ids.is_some_and(|ids| !ids.contains_key(*name)));
            list.extend(earlier.map(|name| (stub.last, name.to_owned(), now.clone())));
        }
    }
    for (seq, event) in events(connection)? {
        if let ("endpoint_renamed", Some(from), Some(to)) = (
            event["kind"].as_str().unwrap_or_default(),
            event["from"].as_str(),
            event["endpoint"].as_str(),
        ) {
            list.push((seq, from.to_owned(), to.to_owned()));
        }
    }
    Ok(Renames(list))
}

/// Every change of a definition, oldest first.
pub fn changes(connection: &Connection) -> Result<Vec<Changed>, HistoryError> {
    let renames = renames(connection)?;
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let changed = events(connection)?
        .into_iter()
        .filter(|(_, event)| event["kind"] == "endpoint_changed");
    Ok(changed
        .map(|(seq, event)| Changed {
            seq,
            endpoint: renames.now(seq, &text(&event, "endpoint")),
            at_ms: event["at_ms"].as_u64().unwrap_or(0),
            before: text(&event, "digest_before"),
            after: text(&event, "digest_after"),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_then_is_followed_to_that_of_now() {
        let rename = |seq: u64, from: &str, to: &str| (seq, from.to_owned(), to.to_owned());
        let renames = Renames(vec![
            rename(10, "a", "b"),
            rename(20, "b", "c"),
            rename(30, "x", "a"),
        ]);
        assert_eq!(
            [
                renames.now(5, "a"),
                renames.now(15, "a"),
                renames.now(15, "b"),
                renames.now(40, "a")
            ],
            ["c", "a", "c", "a"].map(str::to_owned)
        );
        assert_eq!(renames.now(25, "x"), "a");
    }
}
