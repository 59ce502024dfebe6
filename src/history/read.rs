//! Questions to the history, for CLI, API and page: outages, records for timelines, events, windows
//! and corrections.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::HistoryError;
use super::calendar::Calendar;
use super::dates::Dates;
use super::definitions::Renames;
use super::event::{ExclusionEvent, MaintenanceDeclaredEvent};
use super::reader::HistoryReader;
use crate::judgement::maintenance::Stored;
use crate::judgement::timeline::{EndpointRecord, OutageSpan, Span, Spans, known_down};
use crate::words::{Ms, Reason, UtcMs, parse_utc};

/// One outage as it was recorded; instants of the timeline.
#[derive(Debug, Clone)]
pub struct StoredOutage {
    pub opened: u64,
    pub endpoint: String,
    pub component: String,
    pub cause: String,
    pub confirmed_at: Ms,
    pub from: Ms,
    pub from_earliest: Ms,
    pub from_latest: Ms,
    pub to: Option<Ms>,
    pub to_earliest: Option<Ms>,
    pub to_latest: Option<Ms>,
}

/// Later than anything.
const NEVER: UtcMs = i64::MAX / 4;

/// Where an endpoint's settled time begins and ends, and the unknown stretch that is open.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extent {
    pub first_start: Option<Ms>,
    pub watermark: Ms,
    pub open_unknown: Option<(Ms, Reason)>,
    /// The run of failures that is open.
    pub open_run: Option<(Ms, Ms)>,
    /// Taken out of service, and not back: nothing follows its settled time.
    pub is_gone: bool,
    /// The longest time between two probes since the first start, from the start of the one to the
    /// end of the next: shorter outages can pass in it.
    pub longest_blind: Ms,
    /// The same in the hour of the watermark.
    pub blind_lately: Ms,
    /// Outages shorter than this are not seen, by the cadence at the end of the record.
    pub not_seen_below: Ms,
}

/// One event as stored.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    pub seq: u64,
    pub hash: Vec<u8>,
    pub body: String,
    /// The number of the endpoint that it is filed under.
    pub endpoint: Option<i64>,
    /// As it is filed, beside its text.
    pub kind: String,
    pub at: i64,
}

/// A correction: what it takes out, its event, who says so and why.
#[derive(Debug, Clone)]
pub struct Exclusion {
    pub span: Span,
    pub seq: u64,
    pub by: String,
    pub reason: String,
}

impl HistoryReader {
    /// Outages, newest first, that ended after `since` or are open; of one endpoint if named.
    pub fn outages(
        &self,
        endpoint: Option<&str>,
        since: UtcMs,
        limit: usize,
    ) -> Result<Vec<StoredOutage>, HistoryError> {
        let mut statement = self.connection().prepare_cached(
            "SELECT o.opened, e.name, e.component, o.cause, o.confirmed_at, o.from_at, \
                o.from_earliest, o.from_latest, o.to_at, o.to_earliest, o.to_latest
             FROM outage o JOIN endpoint e ON e.id = o.endpoint
             WHERE (?1 IS NULL OR e.name = ?1) AND (o.to_at IS NULL OR o.to_at >= ?2) ORDER BY \
             o.opened DESC LIMIT ?3",
        )?;
        let ms = |n: i64| n as Ms;
        let since = self.calendar()?.surely_before(since);
        let rows = statement.query_map(params![endpoint, since, limit as i64], |r| {
            Ok(StoredOutage {
                opened: ms(r.get(0)?),
                endpoint: r.get(1)?,
                component: r.get(2)?,
                cause: r.get(3)?,
                confirmed_at: ms(r.get(4)?),
                from: ms(r.get(5)?),
                from_earliest: ms(r.get(6)?),
                from_latest: ms(r.get(7)?),
                to: r.get::<_, Option<i64>>(8)?.map(ms),
                to_earliest: r.get::<_, Option<i64>>(9)?.map(ms),
                to_latest: r.get::<_, Option<i64>>(10)?.map(ms),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What is recorded of one endpoint, in UTC, cut to what touches `period`.
    pub fn record(
        &self,
        endpoint: &str,
        extent: Extent,
        period: Span,
    ) -> Result<EndpointRecord, HistoryError> {
        let calendar = self.calendar()?;
        let found = self
            .connection()
            .prepare_cached("SELECT id, component FROM endpoint WHERE name = ?1")?
            .query_row([endpoint], |r| Ok((r.get(0)?, r.get(1)?)))
            .ok();
        let Some((id, component)): Option<(i64, String)> = found else {
            return Ok(EndpointRecord::default());
        };
        // Steps of the clock move both axes by little; a day of margin never cuts what belongs to
        // the period.
        let from = calendar.surely_before(period.from) - 86_400_000;
        let outages = self.outages_of(id, from)?;
        let unknown = self.unknown(id, &extent, from)?;
        let spans = |table: &str| self.spans(table, id, from);
        let mut proven = spans("proven")?;
        proven.extend(
            extent
                .open_run
                .map(|(a, b)| calendar.span(a as i64, b as i64)),
        );
        let unknown_spans: Vec<Span> = unknown.iter().map(|u| u.0).collect();
        let down = known_down(&outages, &unknown_spans, extent.watermark as i64);
        let skipped = calendar.skipped();
        let skipped = skipped.as_slice().iter().map(|s| (*s, Reason::Clock));
        let mut absent = spans("absent")?;
        let excluded = self.exclusions(endpoint, &component)?;
        absent.extend(excluded.into_iter().map(|e| e.span));
        let settled = calendar.utc(extent.watermark);
        if extent.is_gone {
            absent.push(Span::new(settled, NEVER));
        }
        Ok(EndpointRecord {
            from: extent.first_start.map(|at| calendar.utc(at)),
            settled: if extent.is_gone { NEVER } else { settled },
            outages: outages
                .into_iter()
                .map(|o| in_calendar(o, calendar))
                .collect(),
            down: Spans::new(
                down.as_slice()
                    .iter()
                    .map(|s| calendar.span(s.from, s.to))
                    .collect(),
            ),
            unknown: unknown
                .into_iter()
                .map(|(s, reason)| (calendar.span(s.from, s.to), reason))
                .chain(skipped)
                .collect(),
            doubtful: spans("doubtful")?,
            proven,
            absent,
            outside: Vec::new(),
        })
    }

    /// What is unknown of an endpoint after an instant, that is pruned or open among it. All on the
    /// timeline.
    fn unknown(
        &self,
        id: i64,
        extent: &Extent,
        from: i64,
    ) -> Result<Vec<(Span, Reason)>, HistoryError> {
        let mut unknown = Vec::new();
        let mut statement = self.connection().prepare_cached(
            "SELECT from_at, to_at, reason FROM unknown \
            WHERE endpoint = ?1 AND to_at >= ?2 ORDER BY from_at",
        )?;
        let mut rows = statement.query(params![id, from])?;
        while let Some(r) = rows.next()? {
            let reason: String = r.get(2)?;
            unknown.push((
                Span::new(r.get(0)?, r.get(1)?),
                Reason::parse(&reason).unwrap_or(Reason::Internal),
            ));
        }
        if let (Some(until), Some(first)) = (self.pruned_until()?, extent.first_start) {
            // What was recorded before is gone: nothing of it is taken for up.
            unknown.push((
                Span::new(first as i64, until.min(extent.watermark) as i64),
                Reason::History,
            ));
        }
        if let Some((since, reason)) = extent.open_unknown {
            unknown.push((Span::new(since as i64, extent.watermark as i64), reason));
        }
        Ok(unknown)
    }

    /// Stretches of an endpoint in one of the tables of such after an instant of the timeline, in
    /// the calendar.
    fn spans(&self, table: &str, id: i64, from: i64) -> Result<Vec<Span>, HistoryError> {
        let calendar = self.calendar()?;
        let mut statement = self.connection().prepare_cached(&format!(
            "SELECT from_at, to_at FROM {table} WHERE endpoint = ?1 AND to_at >= ?2"
        ))?;
        let rows = statement.query_map(params![id, from], |r| {
            Ok(calendar.span(r.get(0)?, r.get(1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// When an endpoint was out of service, on the timeline.
    pub fn absent(&self, endpoint: &str) -> Result<Vec<Span>, HistoryError> {
        let sql = "SELECT a.from_at, a.to_at FROM absent a JOIN endpoint e ON e.id = a.endpoint \
            WHERE e.name = ?1 ORDER BY a.from_at";
        let mut statement = self.connection().prepare_cached(sql)?;
        Ok(statement
            .query_map([endpoint], |r| Ok(Span::new(r.get(0)?, r.get(1)?)))?
            .collect::<Result<_, _>>()?)
    }

    /// Outages of an endpoint on the timeline that may touch the time after `from`.
    pub fn outages_of(&self, id: i64, from: i64) -> Result<Vec<OutageSpan>, HistoryError> {
        let mut statement = self.connection().prepare_cached(
            "SELECT opened, from_at, from_earliest, from_latest, to_at, to_earliest, to_latest \
                FROM outage WHERE endpoint = ?1 AND (to_latest IS NULL OR to_latest >= ?2) ORDER \
                BY from_at",
        )?;
        let rows = statement.query_map(params![id, from], |r| {
            Ok(OutageSpan {
                id: r.get::<_, i64>(0)? as u64,
                from: r.get(1)?,
                from_earliest: r.get(2)?,
                from_latest: r.get(3)?,
                to: r.get(4)?,
                to_earliest: r.get(5)?,
                to_latest: r.get(6)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// All time of an endpoint that is recorded as unknown, on the timeline.
    pub fn unknown_of(&self, id: i64) -> Result<Vec<Span>, HistoryError> {
        self.whole_spans("unknown", id)
    }

    /// All time that an endpoint is recorded as out of service, on the timeline.
    pub fn absent_of(&self, id: i64) -> Result<Vec<Span>, HistoryError> {
        self.whole_spans("absent", id)
    }

    fn whole_spans(&self, table: &str, id: i64) -> Result<Vec<Span>, HistoryError> {
        let mut statement = self.connection().prepare_cached(&format!(
            "SELECT from_at, to_at FROM {table} WHERE endpoint = ?1"
        ))?;
        Ok(statement
            .query_map([id], |r| Ok(Span::new(r.get(0)?, r.get(1)?)))?
            .collect::<Result<_, _>>()?)
    }

    /// When each endpoint was taken into service for the first time, as far as events are left.
    pub fn added(&self) -> Result<HashMap<i64, Ms>, HistoryError> {
        let mut statement = self.connection().prepare(
            "SELECT endpoint, min(at) FROM event WHERE kind = 'endpoint_added' GROUP BY endpoint",
        )?;
        let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get::<_, i64>(1)? as Ms)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether a version dropped events of which its judges did not hear.
    pub fn has_hole(&self) -> Result<bool, HistoryError> {
        let sql = "SELECT seq FROM event WHERE kind = 'history_gap' AND json_extract(body, \
            '$.unknown_in_counters') IS NULL LIMIT 1";
        let gap: Option<i64> = self
            .connection()
            .query_row(sql, [], |r| r.get(0))
            .optional()?;
        Ok(gap.is_some())
    }

    /// Walks all events from `seq` on in order.
    pub fn each_event(
        &self,
        seq: u64,
        visit: impl FnMut(StoredEvent) -> bool,
    ) -> Result<(), HistoryError> {
        each_event(self.connection(), seq, visit)
    }

    /// Every window that was ever declared, in the order of its declaration.
    pub fn windows(&self) -> Result<Vec<Stored>, HistoryError> {
        windows(self.connection(), self.dates()?, || self.renames())
    }

    /// Time that corrections take out of the accounting of an endpoint, under whatever name they
    /// knew it, or of a component that it belonged to. `component`: its present one. UTC.
    pub fn exclusions(
        &self,
        endpoint: &str,
        component: &str,
    ) -> Result<Vec<Exclusion>, HistoryError> {
        let mut statement = self.connection().prepare_cached(
            "SELECT c.body, c.seq, e.at FROM correction c \
            LEFT JOIN event e ON e.seq = c.seq ORDER BY c.seq",
        )?;
        let rows = statement.query_map([], |r| {
            Ok((
                r.get::<_, String>(0)?,
                r.get::<_, i64>(1)? as u64,
                r.get::<_, Option<i64>>(2)?,
            ))
        })?;
        let mut list = Vec::new();
        for row in rows {
            let (body, seq, at) = row?;
            let Ok(correction) = serde_json::from_str::<ExclusionEvent>(&body) else {
                continue;
            };
            let (Some(from), Some(to)) = (parse_utc(&correction.from), parse_utc(&correction.to))
            else {
                continue;
            };
            let (dates, calendar) = (self.dates()?, self.calendar()?);
            let (span, at) = (
                Span::new(from, to),
                at.map(|at| dates.counts_from(at as Ms, calendar.utc(at as Ms))),
            );
            let (renames, moves) = (self.renames()?, self.moves()?);
            let mut names = correction.endpoints.iter();
            let is_named = names.any(|name| renames.now(seq, name) == endpoint);
            let of_components = correction
                .components
                .iter()
                .map(|name| moves.excluded((endpoint, component), name, span, at));
            let spans = if is_named {
                Spans::new(vec![span])
            } else {
                of_components.fold(Spans::default(), |all, spans| all.union(&spans))
            };
            list.extend(spans.as_slice().iter().map(|span| Exclusion {
                span: *span,
                seq,
                by: correction.by.clone(),
                reason: correction.reason.clone(),
            }));
        }
        Ok(list)
    }

    /// The number and the hash of the last event.
    pub fn last_event(&self) -> Result<(u64, Vec<u8>), HistoryError> {
        Ok(self.connection().query_row(
            "SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1",
            [],
            |r| Ok((r.get::<_, i64>(0)?.unsigned_abs(), r.get(1)?)),
        )?)
    }

    /// The place that the daemon measured from, as it said at its last start.
    pub fn vantage(&self) -> Result<Option<String>, HistoryError> {
        let sql = "SELECT json_extract(body, '$.vantage') FROM event WHERE kind = \
            'daemon_started' ORDER BY seq DESC LIMIT 1";
        Ok(self
            .connection()
            .query_row(sql, [], |r| r.get(0))
            .optional()?
            .flatten())
    }

    /// The newest signed checkpoint, as JSON text.
    pub fn newest_checkpoint(&self) -> Result<Option<String>, HistoryError> {
        newest_checkpoint(self.connection())
    }

    /// Latency of one endpoint over the stored hours from `hour` on.
    pub fn latency_since(
        &self,
        endpoint: &str,
        hour: i64,
    ) -> Result<Vec<(i64, Vec<u8>)>, HistoryError> {
        let mut statement = self.connection().prepare_cached(
            "SELECT t.hour, t.body FROM tally t JOIN endpoint e ON e.id = t.endpoint \
                WHERE e.name = ?1 AND t.hour >= ?2 ORDER BY t.hour",
        )?;
        let rows = statement.query_map(params![endpoint, hour], |r| Ok((r.get(0)?, r.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Walks all events from `seq` on in order.
pub(super) fn each_event(
    connection: &Connection,
    seq: u64,
    mut visit: impl FnMut(StoredEvent) -> bool,
) -> Result<(), HistoryError> {
    let mut statement = connection.prepare(
        "SELECT seq, hash, body, endpoint, kind, at FROM event WHERE seq >= ?1 ORDER BY seq",
    )?;
    let mut rows = statement.query([seq as i64])?;
    while let Some(r) = rows.next()? {
        if !visit(StoredEvent {
            seq: r.get::<_, i64>(0)? as u64,
            hash: r.get(1)?,
            body: r.get(2)?,
            endpoint: r.get(3)?,
            kind: r.get(4)?,
            at: r.get(5)?,
        }) {
            break;
        }
    }
    Ok(())
}

/// As [`HistoryReader::windows`]. `renames`: asked for where a window names endpoints.
pub(super) fn windows<'r>(
    connection: &Connection,
    dates: &Dates,
    renames: impl Fn() -> Result<&'r Renames, HistoryError>,
) -> Result<Vec<Stored>, HistoryError> {
    let sql = "SELECT w.body, w.recorded, w.ended, w.seq, e.at FROM window w LEFT JOIN event e ON \
        e.seq = w.seq ORDER BY w.seq";
    let mut statement = connection.prepare_cached(sql)?;
    type Row = (String, i64, Option<i64>, i64, Option<i64>);
    let rows = statement.query_map([], |r| {
        Ok::<Row, _>((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?))
    })?;
    let mut list = Vec::new();
    for row in rows {
        let (body, shown, ended, seq, at) = row?;
        let recorded = at.map_or(shown, |at| dates.counts_from(at as Ms, shown));
        let Ok(mut declared) = serde_json::from_str::<MaintenanceDeclaredEvent>(&body) else {
            continue;
        };
        for name in &mut declared.endpoints {
            *name = renames()?.now(seq as u64, name);
        }
        let Some(window) = declared.window() else {
            continue;
        };
        list.push(Stored {
            window,
            recorded,
            ended,
            origin: declared.origin(),
            by: declared.by,
        });
    }
    Ok(list)
}

/// The newest signed checkpoint, as JSON text.
pub(super) fn newest_checkpoint(connection: &Connection) -> Result<Option<String>, HistoryError> {
    Ok(connection
        .query_row(
            "SELECT body FROM checkpoint ORDER BY seq DESC LIMIT 1",
            [],
            |r| r.get(0),
        )
        .optional()?)
}

/// The number and the hash of the last event. `path`: of the database, for whoever must look at it.
pub(super) fn last_event(
    connection: &Connection,
    path: &Path,
) -> Result<Option<(u64, [u8; 32])>, HistoryError> {
    let last: Option<(i64, Vec<u8>)> = connection
        .query_row(
            "SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1",
            [],
            |r| Ok((r.get(0)?, r.get(1)?)),
        )
        .optional()?;
    let Some((seq, hash)) = last else {
        return Ok(None);
    };
    let hash = hash.try_into().map_err(|_| HistoryError::Damaged {
        path: path.display().to_string(),
        why: "the hash of the last event is malformed".into(),
    })?;
    Ok(Some((seq as u64, hash)))
}

/// The identity of the chain.
pub(super) fn chain_of(connection: &Connection) -> Result<String, HistoryError> {
    let sql = "SELECT value FROM meta WHERE key = 'chain'";
    Ok(connection.query_row(sql, [], |r| r.get(0))?)
}

/// An outage's ends in the calendar; a step inside the outage belongs to it.
fn in_calendar(o: OutageSpan, calendar: &Calendar) -> OutageSpan {
    let utc = |at: i64| calendar.utc(at as Ms);
    let whole = o.to.map(|to| calendar.span(o.from, to));
    let widest = o.to_latest.map(|to| calendar.span(o.from_earliest, to));
    OutageSpan {
        id: o.id,
        from: whole.map_or_else(|| utc(o.from), |s| s.from),
        from_earliest: widest.map_or_else(|| utc(o.from_earliest), |s| s.from),
        from_latest: utc(o.from_latest),
        to: whole.map(|s| s.to),
        to_earliest: o.to_earliest.map(utc),
        to_latest: widest.map(|s| s.to),
    }
}
