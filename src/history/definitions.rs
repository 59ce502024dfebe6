//! What became of endpoints' names and definitions: who was renamed, and when another probe or
//! expectation took the place of one.
//!
//! Windows and corrections name endpoints as they were called then. Who reads them asks here what
//! each is called now, so that a history that goes on under another name keeps its maintenance and
//! its exclusions.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::HistoryError;
use super::dates::Dates;
use super::event::{
    ComponentDefinition, Event, EventRecord, LimitsEvent, TermsEvent, WitnessesEvent,
};
use super::prune_record::PruneRecord;
use crate::judgement::rules::Cadence;
use crate::words::{Ms, UtcMs, format_utc};

/// The events that this file reads, by an index of their own: they are few among many.
pub const INDEX: &str = "DROP INDEX IF EXISTS event_of_definition;
DROP INDEX IF EXISTS event_of_definitions;
CREATE INDEX IF NOT EXISTS event_of_basis ON event (seq) WHERE kind IN ('endpoint_renamed', \
'endpoint_changed', 'config', 'terms', 'component', 'witnesses', 'limits');
CREATE INDEX IF NOT EXISTS event_of_component ON event (seq) WHERE kind = 'component';
CREATE TABLE IF NOT EXISTS definition (endpoint INTEGER PRIMARY KEY, sha256 BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS event_of_move ON event (seq) WHERE kind = 'endpoint_component';";

/// What the events tell of config, terms, components, witnesses and limits.
#[derive(Debug, Clone, Default)]
pub struct RecordedDefinitions {
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
    pub encrypted_terms: Vec<(UtcMs, String)>,
    /// Declared components.
    pub components: BTreeMap<String, ComponentDefinition>,
    /// The witnesses, each time that they were recorded, oldest first.
    pub witnesses: Vec<RecordedSince<WitnessesEvent>>,
    /// The limits of probes at once, each time that they were recorded, oldest first.
    pub limits: Vec<RecordedSince<LimitsEvent>>,
}

/// What an event told, and from when on it counts (UTC).
#[derive(Debug, Clone)]
pub struct RecordedSince<W> {
    pub at: UtcMs,
    pub event: u64,
    pub what: W,
}

impl RecordedDefinitions {
    /// Those that a prune record stands for are among them.
    pub(super) fn read(
        connection: &Connection,
        prune_record: Option<&PruneRecord>,
        dates: &Dates,
    ) -> Result<Self, HistoryError> {
        let mut definitions = Self::default();
        for event in prune_record
            .iter()
            .flat_map(|prune_record| prune_record.basis())
        {
            definitions.apply(&event, dates);
        }
        events(connection)?
            .iter()
            .for_each(|event| definitions.apply(event, dates));
        Ok(definitions)
    }

    fn apply(&mut self, e: &EventRecord, dates: &Dates) {
        let at = dates.counts_from(e.at, e.recorded.unwrap_or(0));
        match &e.event {
            Event::Config(config) => self.configs.push((at, config.sha256.clone())),
            Event::Terms(terms) => self.hear_terms(terms, at),
            Event::Component(c) if c.gone == Some(true) => {
                self.components.remove(&c.component);
            }
            Event::Component(c) => {
                self.components.insert(c.component.clone(), c.definition());
            }
            Event::Witnesses(what) => self.witnesses.push(RecordedSince {
                at,
                event: e.seq,
                what: what.clone(),
            }),
            Event::Limits(what) => self.limits.push(RecordedSince {
                at,
                event: e.seq,
                what: what.clone(),
            }),
            _ => {}
        }
    }

    fn hear_terms(&mut self, terms: &TermsEvent, at: UtcMs) {
        for gone in &terms.gone {
            self.terms.remove(gone);
            let stays = self.stays.entry(gone.clone()).or_default();
            stays
                .iter_mut()
                .filter(|(_, until)| until.is_none())
                .for_each(|(_, until)| *until = Some(at));
        }
        self.identities.extend(terms.of.clone());
        let none_any_more = || (!self.encrypted_terms.is_empty()).then(String::new);
        let encrypted = terms.sealed.clone().or_else(none_any_more);
        self.encrypted_terms
            .extend(encrypted.map(|encrypted| (at, encrypted)));
        for added in &terms.added {
            let stays = self.stays.entry(added.clone()).or_default();
            stays.push((at, None));
            let since = self.ever.entry(added.clone());
            since.or_insert_with(|| format_utc(at));
            self.terms.insert(added.clone(), format_utc(at));
        }
    }
}

impl RecordedDefinitions {
    /// Since when terms are on record, by their commitment: those that are not in force any more
    /// since they were first.
    pub fn on_record(&self, commitment: &str) -> Option<&String> {
        self.terms
            .get(commitment)
            .or_else(|| self.ever.get(commitment))
    }
}

/// The cadences that an endpoint had, with the name that it had then and from when on (timeline),
/// as far as events tell.
pub(super) fn cadences(
    connection: &Connection,
    prune_record: Option<&PruneRecord>,
    (id, endpoint): (i64, &str),
) -> Result<Vec<(Ms, String, Cadence)>, HistoryError> {
    let mut list: Vec<(Ms, String, Cadence)> = Vec::new();
    list.extend(
        prune_record
            .and_then(|prune_record| prune_record.cadence_of(id))
            .and_then(|e| {
                let cadence = cadence_of(&e.event)?;
                let name = e.endpoint.unwrap_or_else(|| endpoint.to_owned());
                Some((e.at, name, cadence))
            }),
    );
    let sql = "SELECT body FROM event WHERE endpoint = ?1 AND kind IN ('endpoint_added', \
        'endpoint_cadence', 'endpoint_renamed') ORDER BY seq";
    let mut statement = connection.prepare_cached(sql)?;
    for body in statement.query_map([id], |r| r.get::<_, String>(0))? {
        let Some(e) = EventRecord::parse(&body?) else {
            continue;
        };
        let last = list.last().map(|(.., c)| *c);
        let cadence = cadence_of(&e.event).or(last);
        let name = e.endpoint.unwrap_or_else(|| endpoint.to_owned());
        list.extend(cadence.map(|c| (e.at, name, c)));
    }
    Ok(list)
}

fn cadence_of(event: &Event) -> Option<Cadence> {
    match event {
        Event::EndpointAdded(added) => added.cadence(),
        Event::EndpointCadence(cadence) => cadence.cadence(),
        _ => None,
    }
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
    /// Those that a prune record stands for are among them.
    pub(super) fn read(
        connection: &Connection,
        prune_record: Option<&PruneRecord>,
    ) -> Result<Self, HistoryError> {
        let mut list = Vec::new();
        if let Some(prune_record) = prune_record {
            let earlier = prune_record.earlier_names().into_iter();
            list.extend(earlier.map(|(name, now)| (prune_record.last, name, now)));
        }
        for e in events(connection)? {
            if let (Event::EndpointRenamed(renamed), Some(to)) = (e.event, e.endpoint) {
                list.push((e.seq, renamed.from, to));
            }
        }
        Ok(Self(list))
    }

    /// What an endpoint is called now that was called so when event `seq` was recorded.
    pub fn now(&self, seq: u64, name: &str) -> String {
        let later = self.0.iter().filter(|(at, ..)| *at > seq);
        later.fold(name.to_owned(), |name, (_, from, to)| {
            if name == *from { to.clone() } else { name }
        })
    }
}

fn events(connection: &Connection) -> Result<Vec<EventRecord>, HistoryError> {
    let sql = "SELECT body FROM event WHERE kind IN ('endpoint_renamed', 'endpoint_changed', \
        'config', 'terms', 'component', 'witnesses', 'limits') ORDER BY seq";
    let mut statement = connection.prepare_cached(sql)?;
    let mut list = Vec::new();
    for body in statement.query_map([], |r| r.get::<_, String>(0))? {
        list.extend(EventRecord::parse(&body?));
    }
    Ok(list)
}

/// Every change of a definition, oldest first.
pub(super) fn changes(
    connection: &Connection,
    renames: &Renames,
) -> Result<Vec<Changed>, HistoryError> {
    let changed = events(connection)?.into_iter().filter_map(|e| {
        let endpoint = renames.now(e.seq, e.name());
        let Event::EndpointChanged(changed) = e.event else {
            return None;
        };
        Some(Changed {
            seq: e.seq,
            endpoint,
            at_ms: e.at,
            before: changed.digest_before,
            after: changed.digest_after,
        })
    });
    Ok(changed.collect())
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
