//! Compares the stored reading tables with those rebuilt from the events.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params};
use serde_json::Value;

use super::{RebuiltOutage, RebuiltTables, canonical_text};
use crate::history::HistoryError;
use crate::history::prune_record::{COMMITTED_WITHIN_MS, PruneRecord};
use crate::words::{Digest, Reason, is_same_digest, parse_utc};

/// The numbers of a row, and what it says in words.
type Said = (Vec<i64>, String);

/// A table of rows that follow from events, and how a row is read.
struct ReadingTable {
    name: &'static str,
    columns: &'static str,
    read: fn(&Row) -> rusqlite::Result<Said>,
}

const TABLES: [ReadingTable; 8] = [
    ReadingTable {
        name: "recording",
        columns: "endpoint, from_at, to_at",
        read: recording,
    },
    ReadingTable {
        name: "unknown",
        columns: "endpoint, from_at, to_at, reason",
        read: unknown,
    },
    ReadingTable {
        name: "doubtful",
        columns: "endpoint, from_at, to_at",
        read: span,
    },
    ReadingTable {
        name: "proven",
        columns: "endpoint, from_at, to_at",
        read: span,
    },
    ReadingTable {
        name: "absent",
        columns: "endpoint, from_at, to_at",
        read: span,
    },
    ReadingTable {
        name: "clock",
        columns: "at, offset_ms",
        read: clock,
    },
    ReadingTable {
        name: "window",
        columns: "recorded, ended, id, body, seq",
        read: window,
    },
    ReadingTable {
        name: "correction",
        columns: "body, seq",
        read: correction,
    },
];

fn span(r: &Row) -> rusqlite::Result<Said> {
    Ok((vec![r.get(0)?, r.get(1)?, r.get(2)?], String::new()))
}

fn recording(r: &Row) -> rusqlite::Result<Said> {
    let to = r.get::<_, Option<i64>>(2)?.unwrap_or(-1);
    Ok((vec![r.get(0)?, r.get(1)?, to], String::new()))
}

fn unknown(r: &Row) -> rusqlite::Result<Said> {
    let reason: String = r.get(3)?;
    let reason = Reason::parse(&reason).map_or(reason.clone(), |known| known.as_str().to_owned());
    Ok((vec![r.get(0)?, r.get(1)?, r.get(2)?], reason))
}

fn clock(r: &Row) -> rusqlite::Result<Said> {
    Ok((vec![r.get(0)?, r.get(1)?], String::new()))
}

fn window(r: &Row) -> rusqlite::Result<Said> {
    let (id, body): (String, String) = (r.get(2)?, r.get(3)?);
    let value: Value = serde_json::from_str(&body).unwrap_or_default();
    let is_it = value.get("id").and_then(Value::as_str) == Some(&id);
    let body = if is_it { canonical_text(&value) } else { id };
    let ended = r.get::<_, Option<i64>>(1)?.unwrap_or(-1);
    Ok((vec![r.get(0)?, ended, r.get(4)?], body))
}

fn correction(r: &Row) -> rusqlite::Result<Said> {
    let body: String = r.get(0)?;
    let value: Value = serde_json::from_str(&body).unwrap_or_default();
    let end = |key| value.get(key).and_then(Value::as_str).and_then(parse_utc);
    let [from, to] = ["from", "to"].map(|key| end(key).unwrap_or(-1));
    Ok((vec![from, to, r.get(1)?], canonical_text(&value)))
}

impl RebuiltTables {
    /// The first difference between the stored tables and the rebuilt ones. Rows that a prune
    /// record stands for may be there yet.
    pub fn differs(
        &self,
        connection: &Connection,
        prune_record: Option<&PruneRecord>,
    ) -> Result<Option<(u64, String)>, HistoryError> {
        // Only what lies before the cut as well: a row that speaks of later time is nobody's.
        let last = prune_record.map_or(0, |s| s.last as i64);
        let until = prune_record.map_or(0, |s| s.until_ms as i64 + COMMITTED_WITHIN_MS);
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
        for table in &TABLES {
            let left = match table.name {
                "unknown" => format!(" WHERE NOT (seq <= {last} AND to_at <= {until})"),
                "doubtful" | "proven" | "absent" => {
                    let last = prune_record.map_or(0, |s| s.last_row(table.name));
                    format!(" WHERE NOT (id <= {last} AND to_at <= {until})")
                }
                _ => String::new(),
            };
            if let Some(seq) = self.rows_differ(connection, table, &left)? {
                let name = table.name;
                return Ok(Some((
                    seq,
                    format!("the table {name} does not say what this and the other events say"),
                )));
            }
        }
        Ok(None)
    }

    /// The first event whose row is another than the table has. `left`: which rows are not a
    /// prune record's.
    fn rows_differ(
        &self,
        connection: &Connection,
        table: &ReadingTable,
        left: &str,
    ) -> Result<Option<u64>, HistoryError> {
        let sql = format!("SELECT {} FROM {}{left}", table.columns, table.name);
        let mut stored: Vec<Said> = connection
            .prepare(&sql)?
            .query_map([], |r| (table.read)(r))?
            .collect::<Result<_, _>>()?;
        let rebuilt = self.spans.get(table.name).map_or(&[][..], Vec::as_slice);
        let mut expected: Vec<(Vec<i64>, String, u64)> = rebuilt
            .iter()
            .map(|(seq, row, what)| {
                let mut row = row.clone();
                // The number says which endpoint a name meant, and from when the row counts.
                if matches!(table.name, "window" | "correction") {
                    row.push(*seq as i64);
                }
                (row, what.clone(), *seq)
            })
            .collect();
        stored.sort_unstable();
        expected.sort_unstable();
        let first = stored
            .iter()
            .zip(&expected)
            .find(|(s, e)| (&s.0, &s.1) != (&e.0, &e.1));
        Ok(match first {
            Some((_, e)) => Some(e.2),
            None if stored.len() < expected.len() => expected.get(stored.len()).map(|e| e.2),
            None if stored.len() > expected.len() => Some(expected.last().map_or(0, |e| e.2)),
            None => None,
        })
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
                    && self
                        .in_service
                        .get(id)
                        .is_none_or(|rebuilt| *rebuilt == serves)
                    && self
                        .components
                        .get(id)
                        .is_none_or(|rebuilt| *rebuilt == component)
                    && self.definitions.get(id).is_none_or(|rebuilt| {
                        rebuilt.len() <= digest.len() && is_same_digest(rebuilt, &digest)
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
            let stored = RebuiltOutage {
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
