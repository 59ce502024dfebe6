//! Questions to the history, for CLI, API and page: outages, records for timelines, events, and
//! whether the chain is whole.

use rusqlite::{Connection, OptionalExtension, params};

use super::HistoryError;
use super::dates::{Dates, STEP_MS};
use super::definitions::{Renames, renames};
use super::event::{ExclusionEvent, MaintenanceDeclaredEvent};
use super::makeup::Moves;
use crate::judgement::maintenance::Stored;
use crate::judgement::timeline::{OutageSpan, Record, Span, Spans, known_down};
use crate::words::{Ms, Reason, UtcMs, parse_utc};

/// Maps the daemon's timeline to UTC through every step of the wall clock.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    /// (timeline from here on, UTC minus timeline), ascending.
    steps: Vec<(i64, i64)>,
    /// What endpoints are called now that corrections know by an earlier name.
    renames: Renames,
    /// The components that endpoints belonged to, which corrections name.
    moves: Moves,
}

impl Calendar {
    pub fn read(connection: &Connection) -> Result<Self, HistoryError> {
        let mut statement =
            connection.prepare_cached("SELECT at, offset_ms FROM clock ORDER BY at")?;
        let steps = statement
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let has_corrections: bool =
            connection.query_row("SELECT EXISTS (SELECT 1 FROM correction)", [], |r| r.get(0))?;
        let calendar = Self {
            steps,
            ..Self::default()
        };
        if !has_corrections {
            return Ok(calendar);
        }
        let moves = Moves::read(connection, &calendar)?;
        Ok(Self {
            renames: renames(connection)?,
            moves,
            ..calendar
        })
    }

    pub fn utc(&self, at: Ms) -> UtcMs {
        let k = self.steps.partition_point(|(from, _)| *from <= at as i64);
        at as i64 + k.checked_sub(1).map_or(0, |k| self.steps[k].1)
    }

    /// The calendar's time of a stretch of the timeline. A step inside it belongs to it: what was
    /// repeated counts once, what was skipped is there.
    pub fn span(&self, from: i64, to: i64) -> Span {
        let (mut low, mut high) = (self.utc(from as Ms), self.utc(to as Ms));
        let first = self.steps.partition_point(|(at, _)| *at <= from);
        for (k, (at, offset)) in self
            .steps
            .iter()
            .enumerate()
            .skip(first)
            .take_while(|(_, (at, _))| *at < to)
        {
            let before = k.checked_sub(1).map_or(0, |k| self.steps[k].1);
            low = low.min(at + offset);
            high = high.max(at + before);
        }
        Span::new(low, high)
    }

    /// The time of the timeline that the calendar calls by these times; what was repeated is there
    /// twice.
    pub fn timeline(&self, span: Span) -> Spans {
        let each = self.steps.iter().enumerate().map(|(k, (at, offset))| {
            let until = self
                .steps
                .get(k + 1)
                .map_or(i64::MAX / 4, |(next, _)| *next);
            Span::new((span.from - offset).max(*at), (span.to - offset).min(until))
        });
        Spans::new(each.filter(|s| s.from < s.to).collect())
    }

    /// With steps that came later.
    pub fn and_steps(&self, later: impl IntoIterator<Item = (i64, i64)>) -> Self {
        let mut calendar = self.clone();
        calendar.steps.extend(later);
        calendar.steps.sort_unstable_by_key(|(at, _)| *at);
        calendar
    }

    /// The first instant of the timeline, not before `from`, at which the wall clock showed this;
    /// where it never did, at which it showed more.
    pub fn first_at(&self, utc: UtcMs, from: i64) -> i64 {
        let until = |k: usize| {
            self.steps
                .get(k + 1)
                .map_or(i64::MAX / 4, |(next, _)| *next)
        };
        let each = || {
            self.steps
                .iter()
                .enumerate()
                .map(|(k, (at, offset))| (utc - offset, Span::new((*at).max(from), until(k))))
        };
        let shown = each()
            .find(|(exact, span)| span.from <= *exact && *exact < span.to)
            .map(|(exact, _)| exact);
        let passed = || {
            each()
                .map(|(exact, span)| (exact.max(span.from), span))
                .find(|(at, span)| *at < span.to)
                .map(|(at, _)| at)
        };
        shown.or_else(passed).unwrap_or(utc.max(from))
    }

    /// An instant of the timeline that is surely not after this one of the calendar.
    pub fn surely_before(&self, utc: UtcMs) -> i64 {
        utc - self
            .steps
            .iter()
            .map(|(_, offset)| *offset)
            .max()
            .unwrap_or(0)
    }

    /// How the clock was set, by more than a correction: what it showed, and what it was set to.
    pub fn sets(&self) -> impl Iterator<Item = (UtcMs, UtcMs)> + '_ {
        let each = self
            .steps
            .windows(2)
            .map(|w| (w[1].0 + w[0].1, w[1].0 + w[1].1));
        each.filter(|(before, after)| (after - before).abs() > STEP_MS)
    }

    /// Calendar time that a forward step has skipped, and that the clock had not shown before.
    fn skipped(&self) -> Spans {
        let mut skipped = Vec::new();
        for (k, w) in self.steps.windows(2).enumerate() {
            let ((_, before), (at, after)) = (w[0], w[1]);
            if after - before > 500 {
                let shown = self.steps[..=k]
                    .iter()
                    .zip(&self.steps[1..])
                    .map(|((from, offset), (to, _))| Span::new(from + offset, to + offset));
                skipped.extend_from_slice(
                    Spans::new(vec![Span::new(at + before, at + after)])
                        .minus(&Spans::new(shown.collect()))
                        .as_slice(),
                );
            }
        }
        Spans::new(skipped)
    }
}

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

/// Outages, newest first, that ended after `since` or are open; of one endpoint if named.
pub fn outages(
    connection: &Connection,
    calendar: &Calendar,
    endpoint: Option<&str>,
    since: UtcMs,
    limit: usize,
) -> Result<Vec<StoredOutage>, HistoryError> {
    let mut statement = connection.prepare_cached(
        "SELECT o.opened, e.name, e.component, o.cause, o.confirmed_at, o.from_at, \
            o.from_earliest, o.from_latest, o.to_at, o.to_earliest, o.to_latest
         FROM outage o JOIN endpoint e ON e.id = o.endpoint
         WHERE (?1 IS NULL OR e.name = ?1) AND (o.to_at IS NULL OR o.to_at >= ?2) ORDER BY \
         o.opened DESC LIMIT ?3",
    )?;
    let ms = |n: i64| n as Ms;
    let rows = statement.query_map(
        params![endpoint, calendar.surely_before(since), limit as i64],
        |r| {
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
        },
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
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

/// What is recorded of one endpoint, in UTC, cut to what touches `period`.
pub fn record(
    connection: &Connection,
    calendar: &Calendar,
    endpoint: &str,
    extent: Extent,
    period: Span,
) -> Result<Record, HistoryError> {
    let found = connection
        .prepare_cached("SELECT id, component FROM endpoint WHERE name = ?1")?
        .query_row([endpoint], |r| Ok((r.get(0)?, r.get(1)?)))
        .ok();
    let Some((id, component)): Option<(i64, String)> = found else {
        return Ok(Record::default());
    };
    // Steps of the clock move both axes by little; a day of margin never cuts what belongs to the
    // period.
    let from = calendar.surely_before(period.from) - 86_400_000;
    let outages = outages_of(connection, id, from)?;
    let mut unknown = Vec::new();
    let mut statement = connection.prepare_cached(
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
    if let (Some(until), Some(first)) =
        (super::prune::pruned_until(connection)?, extent.first_start)
    {
        // What was recorded before is gone: nothing of it is taken for up.
        unknown.push((
            Span::new(first as i64, until.min(extent.watermark) as i64),
            Reason::History,
        ));
    }
    if let Some((since, reason)) = extent.open_unknown {
        unknown.push((Span::new(since as i64, extent.watermark as i64), reason));
    }
    let spans = |table: &str| -> Result<Vec<Span>, HistoryError> {
        let mut statement = connection.prepare_cached(&format!(
            "SELECT from_at, to_at FROM {table} WHERE endpoint = ?1 AND to_at >= ?2"
        ))?;
        let rows = statement.query_map(params![id, from], |r| {
            Ok(calendar.span(r.get(0)?, r.get(1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    let mut proven = spans("proven")?;
    proven.extend(
        extent
            .open_run
            .map(|(a, b)| calendar.span(a as i64, b as i64)),
    );
    let unknown_spans: Vec<Span> = unknown.iter().map(|u| u.0).collect();
    let down = known_down(&outages, &unknown_spans, extent.watermark as i64);
    let skipped = calendar
        .skipped()
        .as_slice()
        .iter()
        .map(|s| (*s, Reason::Clock))
        .collect::<Vec<_>>();
    let mut absent = [
        spans("absent")?,
        exclusions(connection, calendar, endpoint, &component)?
            .into_iter()
            .map(|e| e.span)
            .collect(),
    ]
    .concat();
    let settled = calendar.utc(extent.watermark);
    if extent.is_gone {
        absent.push(Span::new(settled, NEVER));
    }
    Ok(Record {
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

/// When an endpoint was out of service, on the timeline.
pub fn absent(connection: &Connection, endpoint: &str) -> Result<Vec<Span>, HistoryError> {
    let sql = "SELECT a.from_at, a.to_at FROM absent a JOIN endpoint e ON e.id = a.endpoint WHERE \
        e.name = ?1 ORDER BY a.from_at";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement
        .query_map([endpoint], |r| Ok(Span::new(r.get(0)?, r.get(1)?)))?
        .collect::<Result<_, _>>()?)
}

/// Outages of an endpoint on the timeline that may touch the time after `from`.
pub fn outages_of(
    connection: &Connection,
    id: i64,
    from: i64,
) -> Result<Vec<OutageSpan>, HistoryError> {
    let mut statement = connection.prepare_cached(
        "SELECT opened, from_at, from_earliest, from_latest, to_at, to_earliest, to_latest FROM \
            outage WHERE endpoint = ?1 AND (to_latest IS NULL OR to_latest >= ?2) ORDER BY from_at",
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

/// Walks all events from `seq` on in order.
pub fn each_event(
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

/// Every window that was ever declared, in the order of its declaration.
pub fn windows(connection: &Connection) -> Result<Vec<Stored>, HistoryError> {
    let dates = Dates::read(connection)?;
    let sql = "SELECT w.body, w.recorded, w.ended, w.seq, e.at FROM window w LEFT JOIN event e ON \
        e.seq = w.seq ORDER BY w.seq";
    let mut statement = connection.prepare_cached(sql)?;
    type Row = (String, i64, Option<i64>, i64, Option<i64>);
    let rows = statement.query_map([], |r| {
        Ok::<Row, _>((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?))
    })?;
    let mut list = Vec::new();
    let mut renamed = None;
    for row in rows {
        let (body, shown, ended, seq, at) = row?;
        let recorded = at.map_or(shown, |at| dates.counts_from(at as Ms, shown));
        let Ok(mut declared) = serde_json::from_str::<MaintenanceDeclaredEvent>(&body) else {
            continue;
        };
        for name in &mut declared.endpoints {
            let renames = match &renamed {
                Some(renames) => renames,
                None => renamed.insert(renames(connection)?),
            };
            *name = renames.now(seq as u64, name);
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

/// A correction: what it takes out, its event, who says so and why.
#[derive(Debug, Clone)]
pub struct Exclusion {
    pub span: Span,
    pub seq: u64,
    pub by: String,
    pub reason: String,
}

/// Time that corrections take out of the accounting of an endpoint, under whatever name they knew
/// it, or of a component that it belonged to. `component`: its present one. UTC.
pub fn exclusions(
    connection: &Connection,
    calendar: &Calendar,
    endpoint: &str,
    component: &str,
) -> Result<Vec<Exclusion>, HistoryError> {
    let dates = Dates::read(connection)?;
    let mut statement = connection.prepare_cached(
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
        let (span, at) = (
            Span::new(from, to),
            at.map(|at| dates.counts_from(at as Ms, calendar.utc(at as Ms))),
        );
        let mut names = correction.endpoints.iter();
        let is_named = names.any(|name| calendar.renames.now(seq, name) == endpoint);
        let of_components = correction.components.iter().map(|name| {
            calendar
                .moves
                .excluded((endpoint, component), name, span, at)
        });
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
pub fn last_event(connection: &Connection) -> Result<(u64, Vec<u8>), HistoryError> {
    Ok(connection.query_row(
        "SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1",
        [],
        |r| Ok((r.get::<_, i64>(0)?.unsigned_abs(), r.get(1)?)),
    )?)
}

/// The place that the daemon measured from, as it said at its last start.
pub fn vantage(connection: &Connection) -> Result<Option<String>, HistoryError> {
    let sql = "SELECT json_extract(body, '$.vantage') FROM event WHERE kind = 'daemon_started' \
        ORDER BY seq DESC LIMIT 1";
    Ok(connection
        .query_row(sql, [], |r| r.get(0))
        .optional()?
        .flatten())
}

/// The newest signed checkpoint, as JSON text.
pub fn newest_checkpoint(connection: &Connection) -> Result<Option<String>, HistoryError> {
    Ok(connection
        .query_row(
            "SELECT body FROM checkpoint ORDER BY seq DESC LIMIT 1",
            [],
            |r| r.get(0),
        )
        .optional()?)
}

/// Latency of one endpoint over the stored hours from `hour` on.
pub fn latency_since(
    connection: &Connection,
    endpoint: &str,
    hour: i64,
) -> Result<Vec<(i64, Vec<u8>)>, HistoryError> {
    let mut statement = connection.prepare_cached(
        "SELECT t.hour, t.body FROM tally t JOIN endpoint e ON e.id = t.endpoint \
            WHERE e.name = ?1 AND t.hour >= ?2 ORDER BY t.hour",
    )?;
    let rows = statement.query_map(params![endpoint, hour], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_repeats_time_that_counts_once() {
        let calendar = Calendar {
            steps: vec![(0, 0), (1000, -300)],
            ..Calendar::default()
        };
        assert_eq!(calendar.utc(999), 999);
        assert_eq!(calendar.utc(1000), 700);
        assert_eq!(
            calendar.span(900, 1100),
            Span::new(700, 1000),
            "up to the step, and again from 700 to 800"
        );
        assert_eq!(calendar.span(900, 1500), Span::new(700, 1200));
        assert_eq!(calendar.span(1000, 1500), Span::new(700, 1200));
        assert_eq!(calendar.skipped().as_slice(), []);
        assert_eq!(
            calendar.timeline(Span::new(600, 900)).as_slice(),
            [Span::new(600, 900), Span::new(1000, 1200)],
            "from 700 on it was called so twice"
        );
    }

    #[test]
    fn what_the_clock_had_shown_before_it_was_set_back_is_not_skipped_when_it_is_set_right() {
        let calendar = |steps: &[(i64, i64)]| Calendar {
            steps: steps.to_vec(),
            ..Calendar::default()
        };
        let back = calendar(&[(0, 0), (5000, -4000), (6000, 0)]);
        assert_eq!(
            back.skipped().as_slice(),
            [Span::new(5000, 6000)],
            "from where it was set back to where it was set right"
        );
        let ahead = calendar(&[(0, 0), (5000, 4000), (6000, 0), (20_000, 1000)]);
        assert_eq!(
            ahead.skipped().as_slice(),
            [Span::new(5000, 9000), Span::new(20_000, 21_000)]
        );
    }

    #[test]
    fn a_forward_step_over_half_a_second_is_unknown_time() {
        let calendar = Calendar {
            steps: vec![(0, 0), (1000, 400), (2000, 5000)],
            ..Calendar::default()
        };
        assert_eq!(calendar.skipped().as_slice(), [Span::new(2400, 7000)]);
        assert_eq!(
            calendar.span(900, 1100),
            Span::new(900, 1500),
            "a small step belongs to what it interrupts"
        );
    }
}
