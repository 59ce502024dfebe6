//! The reading tables rebuilt from the events alone: a stored row that does not follow from an
//! event was not written by the daemon.

mod carried;
mod differences;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::event::{EndpointAddedEvent, Event, EventRecord, Projection};
use super::seals::Unit;
use crate::words::{Ms, is_same_digest, parse_utc};

/// One row of a reading table, with the event it follows from.
type EventRow = (u64, Vec<i64>, String);

/// The tables that follow from the events, as rows in the order of their events.
#[derive(Default)]
pub struct RebuiltTables {
    /// Names of endpoints, with their numbers.
    ids: HashMap<String, i64>,
    /// Every name that a number ever stood for.
    names: BTreeMap<i64, BTreeSet<String>>,
    in_service: HashMap<i64, bool>,
    /// When each was taken into service for the first time, on the timeline.
    added: BTreeMap<i64, i64>,
    components: HashMap<i64, String>,
    /// The digest of each definition, as far as events have it: histories of earlier builds have it
    /// from the first change on.
    definitions: BTreeMap<i64, String>,
    outages: BTreeMap<u64, RebuiltOutage>,
    open: HashMap<i64, u64>,
    spans: HashMap<&'static str, Vec<EventRow>>,
    /// Events of config, terms and components, and the last cadence of each endpoint.
    basis: Vec<Value>,
    cadences: BTreeMap<i64, Value>,
    /// What is sealed: the event, the unit, how many tallies, their hash.
    seals: Vec<(u64, Unit, u64, String)>,
    /// The first event whose endpoint's number is not that of its name.
    misplaced: Option<u64>,
    /// The first change of a definition that does not follow from the one before.
    redefined: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct RebuiltOutage {
    endpoint: i64,
    cause: String,
    /// confirmed, from, earliest, latest.
    begin: [i64; 4],
    /// to, earliest, latest, and the event that closed it.
    end: Option<[i64; 4]>,
}

impl RebuiltTables {
    /// Takes in one event. `endpoint` is the number in the event's row; `text` is the event as it
    /// is stored, with every field that it has.
    pub fn apply(&mut self, e: &EventRecord, text: &Map<String, Value>, endpoint: Option<i64>) {
        self.apply_name(e, endpoint);
        let id = endpoint.unwrap_or(-1);
        if let Some(row) = e.event.projection(e.at, e.recorded.unwrap_or(-1)) {
            self.apply_row(e, row, text, id);
        }
        self.apply_definition(id, e, text);
    }

    /// What an event changes in the tables.
    fn apply_row(&mut self, e: &EventRecord, row: Projection, text: &Map<String, Value>, id: i64) {
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
                let outage = RebuiltOutage {
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
    fn apply_name(&mut self, e: &EventRecord, endpoint: Option<i64>) {
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
    fn apply_definition(&mut self, id: i64, e: &EventRecord, text: &Map<String, Value>) {
        match &e.event {
            Event::EndpointAdded(added) => self.apply_added(id, e.at, added, text),
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
                self.basis.push(Value::Object(text.clone()));
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

    fn apply_added(
        &mut self,
        id: i64,
        at: Ms,
        added: &EndpointAddedEvent,
        text: &Map<String, Value>,
    ) {
        if added.interval_ms.is_some() {
            self.cadences.insert(id, Value::Object(text.clone()));
        }
        self.added.entry(id).or_insert(at as i64);
        self.in_service.insert(id, true);
        self.components.insert(id, added.component.clone());
        if let Some(digest) = &added.digest {
            self.definitions.insert(id, digest.clone());
        }
    }

    fn row(&mut self, table: &'static str, seq: u64, row: Vec<i64>, what: &str) {
        let rows = self.spans.entry(table).or_default();
        rows.push((seq, row, what.to_owned()));
    }

    fn end_window(&mut self, id: &str, at: i64) {
        let windows = self.spans.entry("window").or_default();
        windows
            .iter_mut()
            .filter(|(_, row, body)| row[1] == -1 && window_id(body).as_deref() == Some(id))
            .for_each(|(_, row, _)| row[1] = at);
    }

    fn end_recording(&mut self, id: i64, to: Ms) {
        let recordings = self.spans.entry("recording").or_default();
        recordings
            .iter_mut()
            .filter(|(_, row, _)| row[0] == id && row[2] == -1)
            .for_each(|(_, row, _)| row[2] = to as i64);
    }

    /// How many rows of a table follow from the events.
    pub fn rows_of(&self, table: &str) -> usize {
        self.spans.get(table).map_or(0, Vec::len)
    }

    /// Whether a number ever stood for this name.
    pub fn stood_for(&self, endpoint: i64, name: &str) -> bool {
        self.names
            .get(&endpoint)
            .is_some_and(|names| names.contains(name))
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

/// The id of a window, from its definition.
fn window_id(body: &str) -> Option<String> {
    let value: Value = serde_json::from_str(body).ok()?;
    value.get("id")?.as_str().map(str::to_owned)
}

fn canonical_text(value: &Value) -> String {
    value
        .as_object()
        .map(super::chain::canonical)
        .unwrap_or_default()
}
