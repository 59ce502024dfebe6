//! What the history knows of every endpoint: the stored judges brought up to date by the marks
//! after them.
//!
//! A start goes on from it; the command line reads figures from it while no daemon runs.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use super::reader::HistoryReader;
use super::{HistoryError, Stamp, StoredEndpoint, mark_place, state_place, without_checksum};
use crate::words::{Digest, Name};

/// Everything but the endpoints' figures themselves, which [`Restored::marks`] are replayed for.
pub struct Restored {
    pub last: Option<Stamp>,
    pub last_batch: u64,
    /// Batch and inputs, ascending.
    pub marks: Vec<(u64, Vec<u8>)>,
    pub endpoints: HashMap<Name, StoredEndpoint>,
    /// UTC minus timeline, in milliseconds, now in force.
    pub offset_ms: i64,
    /// Whether the last event says that the daemon ended on its own.
    pub was_stopped: bool,
}

impl HistoryReader {
    /// Everything that a start needs of the past.
    pub fn restored(&self) -> Result<Restored, HistoryError> {
        restore(self.connection())
    }
}

fn damaged(c: &Connection, why: String) -> HistoryError {
    HistoryError::Damaged {
        path: c.path().unwrap_or_default().to_owned(),
        why,
    }
}

pub(super) fn restore(c: &Connection) -> Result<Restored, HistoryError> {
    let marks = marks(c)?;
    marks_fit(c, &marks)?;
    each_has_its_state(c)?;
    let last_batch = marks.list.last().map_or(0, |(batch, _)| *batch);
    let offset_ms = c
        .query_row(
            "SELECT offset_ms FROM clock ORDER BY at DESC LIMIT 1",
            [],
            |r| r.get(0),
        )
        .optional()?
        .unwrap_or(0);
    let kind: Option<String> = c
        .query_row(
            "SELECT kind FROM event ORDER BY seq DESC LIMIT 1",
            [],
            |r| r.get(0),
        )
        .optional()?;
    Ok(Restored {
        last: marks.last,
        last_batch,
        marks: marks.list,
        endpoints: endpoints(c)?,
        offset_ms,
        was_stopped: kind.as_deref() == Some("daemon_stopped"),
    })
}

/// What the table of marks holds.
#[derive(Default)]
struct StoredMarks {
    /// Batch and inputs, ascending.
    list: Vec<(u64, Vec<u8>)>,
    last: Option<Stamp>,
    /// How many events there were at the last mark.
    events: i64,
}

fn marks(c: &Connection) -> Result<StoredMarks, HistoryError> {
    let mut read = StoredMarks::default();
    let mut statement = c.prepare(
        "SELECT id, boot_id, boot_ns, timeline_ms, utc_ms, inputs, events FROM mark ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = row.get::<_, i64>(0)? as u64;
        let inputs: Vec<u8> = row.get(5)?;
        let stamp = Stamp {
            boot_id: row.get(1)?,
            boot_ns: row.get::<_, i64>(2)? as u64,
            timeline_ms: row.get::<_, i64>(3)? as u64,
            utc_ms: row.get(4)?,
        };
        read.events = row.get(6)?;
        let place = mark_place(id as i64, &stamp, read.events);
        let content = without_checksum(&inputs, &place)
            .ok_or_else(|| damaged(c, format!("mark {id} does not hold what was written")))?;
        read.list.push((id, content.to_vec()));
        read.last = Some(stamp);
    }
    Ok(read)
}

/// Whether the events are those that the last mark knows.
fn marks_fit(c: &Connection, marks: &StoredMarks) -> Result<(), HistoryError> {
    let events: i64 = c.query_row(
        "SELECT count(*) FROM (SELECT 1 FROM event LIMIT 1)",
        [],
        |r| r.get(0),
    )?;
    if marks.last.is_none() && events > 0 {
        return Err(damaged(
            c,
            "it has events but no mark: the last state of the endpoints is gone".into(),
        ));
    }
    // What stands after the last mark was committed on its own: seals of hours, and a restore.
    let after: Option<i64> = c
        .query_row(
            "SELECT seq FROM event WHERE seq > ?1 AND kind NOT IN ('tallies', 'restored', \
            'pruned') LIMIT 1",
            [marks.events],
            |r| r.get(0),
        )
        .optional()?;
    let newest: i64 = c.query_row("SELECT ifnull(max(seq), 0) FROM event", [], |r| r.get(0))?;
    if let Some(seq) = after.or((newest < marks.events).then_some(newest + 1)) {
        return Err(damaged(
            c,
            format!("event {seq} and the last mark do not belong together"),
        ));
    }
    Ok(())
}

/// Whether each endpoint with events has a state.
fn each_has_its_state(c: &Connection) -> Result<(), HistoryError> {
    let stateless: Option<String> = c
        .query_row(
            "SELECT name FROM endpoint e WHERE NOT EXISTS (SELECT 1 FROM state s WHERE s.endpoint \
                = e.id) AND EXISTS (SELECT 1 FROM event v WHERE v.endpoint = e.id) LIMIT 1",
            [],
            |r| r.get(0),
        )
        .optional()?;
    if let Some(name) = stateless {
        return Err(damaged(
            c,
            format!("there are events of {name}, but its last state is gone"),
        ));
    }
    Ok(())
}

fn endpoints(c: &Connection) -> Result<HashMap<Name, StoredEndpoint>, HistoryError> {
    let mut endpoints = HashMap::new();
    let mut statement = c.prepare(
        "SELECT e.id, e.name, e.component, e.digest, e.in_service, s.mark, s.judge FROM \
            endpoint e LEFT JOIN state s ON s.endpoint = e.id",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(1)?;
        let judge: Option<Vec<u8>> = row.get(6)?;
        let judge = match judge {
            None => None,
            Some(bytes) => Some(
                without_checksum(&bytes, &state_place(row.get(0)?, row.get(5)?))
                    .ok_or_else(|| {
                        damaged(
                            c,
                            format!("the state of {name} does not hold what was written"),
                        )
                    })?
                    .to_vec(),
            ),
        };
        let as_name = |text: &str| {
            Name::new(text).map_err(|e| damaged(c, format!("a stored name cannot be one: {e}")))
        };
        let component: String = row.get(2)?;
        let stored = StoredEndpoint {
            id: row.get(0)?,
            component: as_name(&component)?,
            digest: Digest::from_short(row.get::<_, i64>(3)? as u64),
            in_service: row.get(4)?,
            judge,
            judged_through: row.get::<_, Option<i64>>(5)?.unwrap_or(0) as u64,
        };
        endpoints.insert(as_name(&name)?, stored);
    }
    Ok(endpoints)
}
