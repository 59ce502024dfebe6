//! The reading tables once more, told by the events alone: whatever stands in them and does not
//! follow from an event was written by somebody else.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Connection, Row, Transaction, params};
use serde_json::{Map, Value, json};

use super::HistoryError;
use super::event::{Event, EventRecord, Projection};
use super::seals::Unit;
use super::stub::Stub;
use crate::words::{Digest, Ms, Reason, is_same_digest, parse_utc};

/// A change becomes final some moments after the time that it is about, and never before.
const COMMITTED_WITHIN_MS: i64 = 1000;

/// One row of a reading table, with the event it follows from.
type Row1 = (u64, Vec<i64>, String);

/// The tables that follow from the events, as rows in the order of their events.
#[derive(Default)]
pub struct Retold {
    /// Names of endpoints, with their numbers.
    ids: HashMap<String, i64>,
    /// Every name that a number ever stood for.
    names: BTreeMap<i64, BTreeSet<String>>,
    in_service: HashMap<i64, bool>,
    /// When each was taken into service for the first time, on the timeline.
    added: BTreeMap<i64, i64>,
    components: HashMap<i64, String>,
    /// The digest of each definition, as far as events tell it: histories of earlier builds do so
    /// from the first change on.
    definitions: BTreeMap<i64, String>,
    outages: BTreeMap<u64, Outage>,
    open: HashMap<i64, u64>,
    spans: HashMap<&'static str, Vec<Row1>>,
    /// Events of config, terms and components, and the last cadence of each endpoint.
    told: Vec<Value>,
    cadences: BTreeMap<i64, Value>,
    /// What is sealed: the event, the unit, how many tallies, their hash.
    seals: Vec<(u64, Unit, u64, String)>,
    /// The first event whose endpoint's number is not that of its name.
    misplaced: Option<u64>,
    /// The first change of a definition that does not follow from the one before.
    redefined: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Outage {
    endpoint: i64,
    cause: String,
    /// confirmed, from, earliest, latest.
    begin: [i64; 4],
    /// to, earliest, latest, and the event that closed it.
    end: Option<[i64; 4]>,
}

impl Retold {
    /// Hears one event; `endpoint` is the number that stands beside it in the table, `text` what is
    /// stored, with every field that it has.
    pub fn hear(&mut self, e: &EventRecord, text: &Map<String, Value>, endpoint: Option<i64>) {
        self.hear_name(e, endpoint);
        let id = endpoint.unwrap_or(-1);
        if let Some(row) = e.event.projection(e.at, e.recorded.unwrap_or(-1)) {
            self.hear_row(e, row, text, id);
        }
        self.hear_definition(id, e, text);
    }

    /// What an event changes in the tables.
    fn hear_row(&mut self, e: &EventRecord, row: Projection, text: &Map<String, Value>, id: i64) {
        let seq = e.seq;
        let span = |from: Ms, to: Ms| vec![id, from as i64, to as i64];
        match row {
            Projection::OutageOpened {
                from,
                from_earliest,
                from_latest,
                confirmed_at,
                cause,
            } => {
                let begin = [confirmed_at, from, from_earliest, from_latest];
                let outage = Outage {
                    endpoint: id,
                    cause: cause.into_owned(),
                    begin: begin.map(|at| at as i64),
                    end: None,
                };
                self.outages.insert(seq, outage);
                self.open.insert(id, seq);
            }
            Projection::OutageClosed {
                to,
                to_earliest,
                to_latest,
            } => self.close(id, seq, [to, to_earliest, to_latest]),
            Projection::Unknown { from, to, reason } => {
                self.row("unknown", seq, span(from, to), &reason);
            }
            Projection::Doubtful { from, to } => self.row("doubtful", seq, span(from, to), ""),
            Projection::Proven { from, to } => self.row("proven", seq, span(from, to), ""),
            Projection::Absent { from, to } => self.row("absent", seq, span(from, to), ""),
            Projection::ClockStep { at, offset_ms } => {
                self.row("clock", seq, vec![at as i64, offset_ms], "");
            }
            Projection::WindowDeclared { recorded, .. } => {
                self.row("window", seq, vec![recorded, -1], &content(text));
            }
            Projection::WindowEnded { id, at } => self.end_window(&id, at),
            Projection::Corrected { .. } => {
                let end = |key| text.get(key).and_then(Value::as_str).and_then(parse_utc);
                let ends = ["from", "to"].map(|key| end(key).unwrap_or(-1));
                self.row("correction", seq, ends.to_vec(), &content(text));
            }
            Projection::Sealed {
                unit,
                tallies,
                sha256,
            } => self.seals.push((seq, unit, tallies, sha256)),
            Projection::ResultsFrom { at } => {
                self.row("recording", seq, vec![id, at as i64, -1], "");
            }
            Projection::ResultsUntil { at } => self.end_recording(id, at),
        }
    }

    /// Who is called what.
    fn hear_name(&mut self, e: &EventRecord, endpoint: Option<i64>) {
        if let Event::EndpointRenamed(renamed) = &e.event
            && let Some(id) = self.ids.remove(&renamed.from)
        {
            self.ids.insert(e.name().to_owned(), id);
        }
        if let Some(id) = endpoint {
            let name = e.name().to_owned();
            self.names.entry(id).or_default().insert(name.clone());
            let known = *self.ids.entry(name).or_insert(id);
            if known != id && self.misplaced.is_none() {
                self.misplaced = Some(e.seq);
            }
        }
    }

    /// What an endpoint is, whether it is in service, and what figures rest on beside.
    fn hear_definition(&mut self, id: i64, e: &EventRecord, text: &Map<String, Value>) {
        match &e.event {
            Event::EndpointAdded(added) => {
                if added.interval_ms.is_some() {
                    self.cadences.insert(id, Value::Object(text.clone()));
                }
                self.added.entry(id).or_insert(e.at as i64);
                self.in_service.insert(id, true);
                self.components.insert(id, added.component.clone());
                if let Some(digest) = &added.digest {
                    self.definitions.insert(id, digest.clone());
                }
            }
            Event::EndpointCadence(_) => {
                self.cadences.insert(id, Value::Object(text.clone()));
            }
            Event::EndpointChanged(changed) => {
                let before = self.definitions.insert(id, changed.digest_after.clone());
                if before.is_some_and(|before| !is_same_digest(&before, &changed.digest_before))
                    && self.redefined.is_none()
                {
                    self.redefined = Some(e.seq);
                }
            }
            Event::EndpointComponent(moved) => {
                self.components.insert(id, moved.component.clone());
            }
            Event::EndpointRemoved(_) => {
                self.in_service.insert(id, false);
            }
            Event::OutOfService(_) => {
                self.in_service.insert(id, true);
            }
            Event::Config(_)
            | Event::Terms(_)
            | Event::Component(_)
            | Event::Witnesses(_)
            | Event::Limits(_) => {
                self.told.push(Value::Object(text.clone()));
            }
            // Rows are all that these leave, if anything.
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
            | Event::EndpointRenamed(_)
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
            | Event::MaintenanceDeclared(_)
            | Event::MaintenanceEnded(_)
            | Event::Exclusion(_)
            | Event::Annotation(_)
            | Event::CheckpointKeyChanged(_)
            | Event::Restored(_)
            | Event::Pruned(_) => {}
        }
    }

    fn row(&mut self, table: &'static str, seq: u64, row: Vec<i64>, what: &str) {
        let rows = self.spans.entry(table).or_default();
        rows.push((seq, row, what.to_owned()));
    }

    fn end_window(&mut self, id: &str, at: i64) {
        let is_it = |body: &str| {
            serde_json::from_str::<Value>(body)
                .is_ok_and(|b| b.get("id").and_then(Value::as_str) == Some(id))
        };
        let windows = self.spans.entry("window").or_default();
        windows
            .iter_mut()
            .filter(|(_, row, body)| row[1] == -1 && is_it(body))
            .for_each(|(_, row, _)| row[1] = at);
    }

    fn end_recording(&mut self, id: i64, to: Ms) {
        let recordings = self.spans.entry("recording").or_default();
        recordings
            .iter_mut()
            .filter(|(_, row, _)| row[0] == id && row[2] == -1)
            .for_each(|(_, row, _)| row[2] = to as i64);
    }

    /// How many rows of a table the events tell of.
    pub fn rows_of(&self, table: &str) -> usize {
        self.spans.get(table).map_or(0, Vec::len)
    }

    /// Whether a number ever stood for this name.
    pub fn stood_for(&self, endpoint: i64, name: &str) -> bool {
        self.names
            .get(&endpoint)
            .is_some_and(|names| names.contains(name))
    }

    /// What later events rest on: everything but spans and outages that are over.
    pub fn carried(&self) -> Value {
        let rows = |table: &str| self.spans.get(table).cloned().unwrap_or_default();
        let open = self
            .outages
            .iter()
            .filter(|(_, o)| o.end.is_none())
            .map(|(seq, o)| json!([seq, o.endpoint, o.cause, o.begin]));
        let units = self.seals.iter().map(|(seq, unit, tallies, sum)| {
            json!([seq, unit.kind.as_str(), unit.label(), tallies, sum])
        });
        json!({
            "added": self.added, "ids": self.ids.iter().collect::<BTreeMap<_, _>>(), "names": self.names, "in_service": self.in_service.iter().collect::<BTreeMap<_, _>>(),
            "components": self.components.iter().collect::<BTreeMap<_, _>>(), "outages": open.collect::<Vec<_>>(), "seals": units.collect::<Vec<_>>(),
            "definitions": self.definitions, "told": self.told, "cadences": self.cadences, "clock": rows("clock"), "window": rows("window"), "correction": rows("correction"), "recording": rows("recording"),
        })
    }

    /// Begins where a stub ends. `None` where it cannot be read.
    pub fn resting_on(carried: &Value) -> Option<Self> {
        fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Option<T> {
            serde_json::from_value(value.clone()).ok()
        }
        let mut told = Self {
            ids: read(&carried["ids"])?,
            names: read(&carried["names"])?,
            ..Self::default()
        };
        told.in_service = read(&carried["in_service"])?;
        told.added = if carried["added"].is_null() {
            BTreeMap::new()
        } else {
            read(&carried["added"])?
        };
        told.components = read(&carried["components"])?;
        told.definitions = read(&carried["definitions"]).unwrap_or_default();
        told.told = read(&carried["told"]).unwrap_or_default();
        told.cadences = read(&carried["cadences"]).unwrap_or_default();
        for (seq, endpoint, cause, begin) in
            read::<Vec<(u64, i64, String, [i64; 4])>>(&carried["outages"])?
        {
            told.outages.insert(
                seq,
                Outage {
                    endpoint,
                    cause,
                    begin,
                    end: None,
                },
            );
            told.open.insert(endpoint, seq);
        }
        for (seq, kind, label, tallies, sum) in
            read::<Vec<(u64, String, String, u64, String)>>(&carried["seals"])?
        {
            told.seals.push((
                seq,
                Unit::of_seal(|key| (key == kind).then(|| label.clone()))?,
                tallies,
                sum,
            ));
        }
        for table in ["clock", "window", "correction", "recording"] {
            told.spans.insert(table, read(&carried[table])?);
        }
        Some(told)
    }

    /// Writes what a stub carries into the tables of a history in memory; endpoints by name.
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
            let id = serde_json::from_str::<Value>(body)
                .ok()
                .and_then(|b| b["id"].as_str().map(str::to_owned))
                .unwrap_or_default();
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

    /// When each endpoint was taken into service for the first time, by its number.
    pub fn added(&self) -> &BTreeMap<i64, i64> {
        &self.added
    }

    /// What is sealed, in the order of the events: the event, the unit, how many tallies, their
    /// hash.
    pub fn seals(&self) -> &[(u64, Unit, u64, String)] {
        &self.seals
    }

    /// The table of seals against the events.
    fn seals_differ(&self, connection: &Connection) -> Result<Option<(u64, String)>, HistoryError> {
        let mut stored: HashMap<(String, i64), (u64, String)> = connection
            .prepare("SELECT kind, number, tallies, sha256 FROM sealed")?
            .query_map([], |r| {
                Ok((
                    (r.get(0)?, r.get(1)?),
                    (r.get::<_, i64>(2)? as u64, r.get(3)?),
                ))
            })?
            .collect::<Result<_, _>>()?;
        let wrong = |seq: u64| {
            Some((
                seq,
                "the table of seals does not say what this and the other events say".to_owned(),
            ))
        };
        for (seq, unit, tallies, sum) in &self.seals {
            if stored.remove(&(unit.kind.as_str().to_owned(), unit.number))
                != Some((*tallies, sum.clone()))
            {
                return Ok(wrong(*seq));
            }
        }
        Ok(if stored.is_empty() {
            None
        } else {
            wrong(self.seals.last().map_or(0, |s| s.0))
        })
    }

    fn close(&mut self, endpoint: i64, seq: u64, [to, earliest, latest]: [Ms; 3]) {
        let end = [to as i64, earliest as i64, latest as i64, seq as i64];
        if let Some(outage) = self
            .open
            .remove(&endpoint)
            .and_then(|seq| self.outages.get_mut(&seq))
        {
            outage.end = Some(end);
        }
    }

    /// The first difference between the tables and what the events tell. Rows that a stub stands
    /// for may be there yet.
    pub fn differs(
        &self,
        connection: &Connection,
        stub: Option<&Stub>,
    ) -> Result<Option<(u64, String)>, HistoryError> {
        // Only what lies before the cut as well: a row that speaks of later time is nobody's.
        let (last, cut) = stub.map_or((0, Value::Null), |s| {
            (s.last as i64, s.carried["cut"].clone())
        });
        let until = stub.map_or(0, |s| s.until_ms as i64 + COMMITTED_WITHIN_MS);
        if let Some(seq) = self.misplaced {
            return Ok(Some((
                seq,
                "the endpoint that it is filed under is not the one that it names".into(),
            )));
        }
        if let Some(seq) = self.redefined {
            return Ok(Some((
                seq,
                "it changes another definition than the one that earlier events recorded".into(),
            )));
        }
        if let Some(found) = self.endpoints_differ(connection)? {
            return Ok(Some(found));
        }
        if let Some(found) = self.outages_differ(connection, [last, until])? {
            return Ok(Some(found));
        }
        if let Some(found) = self.seals_differ(connection)? {
            return Ok(Some(found));
        }
        let span = |r: &Row| Ok((vec![r.get(0)?, r.get(1)?, r.get(2)?], String::new()));
        let with_reason = |r: &Row| {
            let reason: String = r.get(3)?;
            Ok((
                vec![r.get(0)?, r.get(1)?, r.get(2)?],
                Reason::parse(&reason).map_or(reason.clone(), |known| known.as_str().to_owned()),
            ))
        };
        let clock = |r: &Row| Ok((vec![r.get(0)?, r.get(1)?], String::new()));
        let window = |r: &Row| {
            let (id, body): (String, String) = (r.get(2)?, r.get(3)?);
            let value: Value = serde_json::from_str(&body).unwrap_or_default();
            let body = if value["id"] == id {
                canonical_text(&value)
            } else {
                id
            };
            Ok((
                vec![r.get(0)?, r.get::<_, Option<i64>>(1)?.unwrap_or(-1)],
                body,
            ))
        };
        let correction = |r: &Row| {
            let body: String = r.get(0)?;
            let value: Value = serde_json::from_str(&body).unwrap_or_default();
            Ok((
                ["from", "to"]
                    .map(|k| value[k].as_str().and_then(parse_utc).unwrap_or(-1))
                    .to_vec(),
                canonical_text(&value),
            ))
        };
        type Read = dyn Fn(&Row) -> rusqlite::Result<(Vec<i64>, String)>;
        let recording = |r: &Row| {
            Ok((
                vec![
                    r.get(0)?,
                    r.get(1)?,
                    r.get::<_, Option<i64>>(2)?.unwrap_or(-1),
                ],
                String::new(),
            ))
        };
        let tables: [(&'static str, &str, &Read); 8] = [
            (
                "recording",
                "SELECT endpoint, from_at, to_at FROM recording",
                &recording,
            ),
            (
                "unknown",
                "SELECT endpoint, from_at, to_at, reason FROM unknown",
                &with_reason,
            ),
            (
                "doubtful",
                "SELECT endpoint, from_at, to_at FROM doubtful",
                &span,
            ),
            (
                "proven",
                "SELECT endpoint, from_at, to_at FROM proven",
                &span,
            ),
            (
                "absent",
                "SELECT endpoint, from_at, to_at FROM absent",
                &span,
            ),
            ("clock", "SELECT at, offset_ms FROM clock", &clock),
            (
                "window",
                "SELECT recorded, ended, id, body FROM window",
                &window,
            ),
            ("correction", "SELECT body FROM correction", &correction),
        ];
        for (table, sql, read) in tables {
            let left = match table {
                "unknown" => format!(" WHERE NOT (seq <= {last} AND to_at <= {until})"),
                "doubtful" | "proven" | "absent" => format!(
                    " WHERE NOT (id <= {} AND to_at <= {until})",
                    cut[table].as_i64().unwrap_or(0)
                ),
                _ => String::new(),
            };
            let mut stored: Vec<(Vec<i64>, String)> = connection
                .prepare(&format!("{sql}{left}"))?
                .query_map([], |r| read(r))?
                .collect::<Result<_, _>>()?;
            let told = self.spans.get(table).map_or(&[][..], Vec::as_slice);
            let mut expected: Vec<(Vec<i64>, String, u64)> = told
                .iter()
                .map(|(seq, row, what)| (row.clone(), what.clone(), *seq))
                .collect();
            stored.sort_unstable();
            expected.sort_unstable();
            let first = stored
                .iter()
                .zip(&expected)
                .find(|(s, e)| (&s.0, &s.1) != (&e.0, &e.1));
            let odd = match first {
                Some((_, e)) => Some(e.2),
                None if stored.len() < expected.len() => expected.get(stored.len()).map(|e| e.2),
                None if stored.len() > expected.len() => Some(expected.last().map_or(0, |e| e.2)),
                None => None,
            };
            if let Some(seq) = odd {
                return Ok(Some((
                    seq,
                    format!("the table {table} does not say what this and the other events say"),
                )));
            }
        }
        Ok(None)
    }

    fn endpoints_differ(
        &self,
        connection: &Connection,
    ) -> Result<Option<(u64, String)>, HistoryError> {
        for (name, id) in &self.ids {
            let sql = "SELECT e.name, e.in_service, e.component, e.digest, d.sha256 FROM endpoint \
                e LEFT JOIN definition d ON d.endpoint = e.id WHERE e.id = ?1";
            let row = connection.prepare_cached(sql)?.query_row(params![id], |r| {
                let short = r.get::<_, i64>(3)? as u64;
                let whole = r
                    .get::<_, Option<[u8; 32]>>(4)?
                    .map(Digest::new)
                    .filter(|whole| whole.short() == short);
                let digest =
                    whole.map_or_else(|| format!("{short:016x}"), |whole| whole.to_string());
                Ok((
                    r.get::<_, String>(0)?,
                    r.get::<_, bool>(1)?,
                    r.get::<_, String>(2)?,
                    digest,
                ))
            });
            let fits = row.is_ok_and(|(stored, serves, component, digest)| {
                stored == *name
                    && self.in_service.get(id).is_none_or(|told| *told == serves)
                    && self
                        .components
                        .get(id)
                        .is_none_or(|told| *told == component)
                    && self.definitions.get(id).is_none_or(|told| {
                        told.len() <= digest.len() && is_same_digest(told, &digest)
                    })
            });
            if !fits {
                return Ok(Some((
                    0,
                    format!("the table of endpoints does not say of {name} what its events say"),
                )));
            }
        }
        let mut statement = connection
            .prepare("SELECT e.id, e.name FROM endpoint e JOIN state s ON s.endpoint = e.id")?;
        let mut rows = statement.query([])?;
        while let Some(r) = rows.next()? {
            if !self.names.contains_key(&r.get(0)?) {
                return Ok(Some((
                    0,
                    format!(
                        "there is a state of {} that no event explains",
                        r.get::<_, String>(1)?
                    ),
                )));
            }
        }
        Ok(None)
    }

    fn outages_differ(
        &self,
        connection: &Connection,
        cut: [i64; 2],
    ) -> Result<Option<(u64, String)>, HistoryError> {
        let sql = "SELECT opened, endpoint, cause, confirmed_at, from_at, from_earliest, \
            from_latest, to_at, to_earliest, to_latest, closed FROM outage WHERE closed IS NULL \
            OR to_latest IS NULL OR closed <= 0 OR NOT (closed <= ?1 AND to_latest <= ?2) ORDER \
            BY opened";
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query(cut)?;
        let mut seen = 0;
        while let Some(r) = rows.next()? {
            let opened = r.get::<_, i64>(0)? as u64;
            let end = match r.get::<_, Option<i64>>(7)? {
                Some(to) => Some([
                    to,
                    r.get::<_, Option<i64>>(8)?.unwrap_or(-1),
                    r.get::<_, Option<i64>>(9)?.unwrap_or(-1),
                    r.get::<_, Option<i64>>(10)?.unwrap_or(-1),
                ]),
                None => None,
            };
            let stored = Outage {
                endpoint: r.get(1)?,
                cause: r.get(2)?,
                begin: [r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?],
                end,
            };
            if self.outages.get(&opened) != Some(&stored) {
                return Ok(Some((
                    opened,
                    "the table of outages does not say what this event says".into(),
                )));
            }
            seen += 1;
        }
        if seen == self.outages.len() {
            return Ok(None);
        }
        Ok(Some((
            self.outages.keys().next().copied().unwrap_or(0),
            "an outage of the events is missing from the table of outages".into(),
        )))
    }
}

/// An event without what every event has: what its row in a reading table says.
fn content(event: &Map<String, Value>) -> String {
    let own = event
        .iter()
        .filter(|(key, _)| !["v", "seq", "kind", "at_ms", "recorded"].contains(&key.as_str()));
    canonical_text(&Value::Object(
        own.map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    ))
}

fn canonical_text(value: &Value) -> String {
    value
        .as_object()
        .map(super::chain::canonical)
        .unwrap_or_default()
}
