//! Figures over a period from board and history: the one place where page, API and command line get them from.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::engine::board::{Entry, Settled};
use crate::judgement::latency::{Ending, Series, hour_of, merge, quantile};
use crate::judgement::timeline::{Combine, Record, Span, Sums, Timeline, percent};
use crate::outward::history::HistoryError;
use crate::outward::history::read::{Calendar, Extent, latency_since, record};
use crate::outward::history::tally::tally_latency;
use crate::words::{Name, UtcMs, format_utc};

/// The quantiles that are shown, in parts per million.
pub const QUANTILES: [(&str, u64); 4] = [("p50", 500_000), ("p90", 900_000), ("p99", 990_000), ("p99.9", 999_000)];

pub fn extent(settled: &Settled) -> Extent {
    Extent { first_start: settled.first_start, watermark: settled.watermark, open_unknown: settled.open_unknown, open_run: settled.open_run }
}

/// Today so far, UTC.
pub fn today(now: UtcMs) -> Span {
    Span::new(now - now.rem_euclid(86_400_000), now)
}

pub fn last_30_days(now: UtcMs) -> Span {
    Span::new(now - 30 * 86_400_000, now)
}

/// One endpoint's recorded past, cut to the period.
pub fn of_entry(connection: &Connection, calendar: &Calendar, entry: &Entry, period: Span) -> Result<(Record, Settled), HistoryError> {
    let settled = entry.view().shown.settled;
    let name = entry.endpoint.load().name.clone();
    Ok((record(connection, calendar, name.as_str(), extent(&settled), period)?, settled))
}

/// Sums and availability as JSON: integers of milliseconds and percentages that are never rounded up.
pub fn sums_json(sums: &Sums) -> Value {
    let a = sums.availability();
    json!({
        "covered_ms": sums.covered, "up_ms": sums.up, "down_ms": sums.down, "unknown_ms": sums.unknown,
        "down_lower_ms": sums.down_lower, "down_upper_ms": sums.down_upper,
        "availability_percent": a.point.map(percent), "lower_percent": a.lower.map(percent), "upper_percent": a.upper.map(percent),
    })
}

/// A component with its endpoints.
#[derive(Debug, Clone)]
pub struct Part {
    pub component: Name,
    pub combine: Combine,
    pub endpoints: Vec<(String, Extent)>,
}

/// `probity-timeline/1` of components over a period; an endpoint without a component is one of its own.
pub fn timeline_json(connection: &Connection, parts: &[Part], period: Span) -> Result<Value, HistoryError> {
    let calendar = Calendar::read(connection)?;
    let mut recorded = Vec::new();
    let mut settled_until = period.to;
    for part in parts {
        let mut records = Vec::new();
        for (endpoint, extent) in &part.endpoints {
            let record = record(connection, &calendar, endpoint, *extent, period)?;
            if record.from.is_some() {
                settled_until = settled_until.min(record.settled);
            }
            records.push(record);
        }
        recorded.push((part, records));
    }
    // What is not settled of all of them is left out of all of them.
    let period = Span::new(period.from, settled_until);
    let components: Vec<Value> = recorded.iter().map(|(part, records)| component_json(&part.component, part.combine, records, period)).collect();
    Ok(json!({
        "schema": "probity-timeline/1",
        "from": format_utc(period.from),
        "to": format_utc(settled_until.max(period.from)),
        "components": components,
        "maintenance": [],
    }))
}

fn component_json(name: &Name, combine: Combine, records: &[Record], period: Span) -> Value {
    let instant = |at: i64| json!(format_utc(at));
    let timelines: Vec<Timeline> = records.iter().map(|r| r.timeline(period)).collect();
    let combined = Timeline::combined(&timelines, combine);
    let down: Vec<Value> = if let [record] = records {
        let touching = record.outages.iter().filter(|o| o.to_latest.is_none_or(|to| to > period.from) && o.from_earliest < period.to);
        touching
            .map(|o| {
                json!({"from": instant(o.from), "to": o.to.map(instant), "from_earliest": instant(o.from_earliest), "from_latest": instant(o.from_latest),
                       "to_earliest": o.to_earliest.map(instant), "to_latest": o.to_latest.map(instant)})
            })
            .collect()
    } else {
        combined.down.as_slice().iter().map(|s| json!({"from": instant(s.from), "to": instant(s.to)})).collect()
    };
    let unknown: Vec<Value> = if let [record] = records {
        let cut = record.unknown.iter().filter_map(|(span, reason)| span.cut(period).map(|s| (s, reason)));
        cut.map(|(s, reason)| json!({"from": instant(s.from), "to": instant(s.to), "reason": reason.as_str()})).collect()
    } else {
        combined.unknown.as_slice().iter().map(|s| json!({"from": instant(s.from), "to": instant(s.to)})).collect()
    };
    let from = records.iter().filter_map(|r| r.from).min();
    let sums = combined.sums();
    json!({
        "name": name.as_str(), "in_service": {"from": from.map(instant), "to": null}, "down": down, "unknown": unknown,
        "up_ms": sums.up, "down_ms": sums.down, "unknown_ms": sums.unknown, "down_lower_ms": sums.down_lower, "down_upper_ms": sums.down_upper,
    })
}

/// Latency of successes: the last hour from memory, the last day from the stored hours and memory.
pub fn latency_json(connection: &Connection, entry: &Entry, now: UtcMs) -> Result<Value, HistoryError> {
    let hour = entry.view().hour.since(now - 3_600_000, Series::Whole(Ending::Success));
    let day = day_of(connection, entry, now)?;
    Ok(json!({"hour": quantiles_json(&hour), "day": quantiles_json(&day)}))
}

fn day_of(connection: &Connection, entry: &Entry, now: UtcMs) -> Result<Vec<(u64, u64)>, HistoryError> {
    let this_hour = hour_of(now);
    let mut all = entry.view().hour.since(this_hour * 3_600_000, Series::Whole(Ending::Success));
    let name = entry.endpoint.load().name.clone();
    for (hour, body) in latency_since(connection, name.as_str(), this_hour - 24)? {
        if hour < this_hour {
            all.extend(tally_latency(&body).into_iter().filter(|(e, _)| *e == Series::Whole(Ending::Success)).flat_map(|(_, b)| b));
        }
    }
    merge(&mut all);
    Ok(all)
}

/// The median of each of the last 24 hours in microseconds, oldest first; `None` where nothing was measured.
pub fn hourly_medians(connection: &Connection, entry: &Entry, now: UtcMs) -> Result<Vec<Option<u64>>, HistoryError> {
    let this_hour = hour_of(now);
    let name = entry.endpoint.load().name.clone();
    let stored: BTreeMap<i64, Vec<u8>> = latency_since(connection, name.as_str(), this_hour - 23)?.into_iter().collect();
    let median = |pairs: &[(u64, u64)]| quantile(pairs, 500_000);
    Ok((this_hour - 23..=this_hour)
        .map(|hour| {
            if hour == this_hour {
                return median(&entry.view().hour.since(hour * 3_600_000, Series::Whole(Ending::Success)));
            }
            let list = tally_latency(stored.get(&hour)?);
            list.iter().find(|(e, _)| *e == Series::Whole(Ending::Success)).and_then(|(_, b)| median(b))
        })
        .collect())
}

fn quantiles_json(pairs: &[(u64, u64)]) -> Value {
    let mut object = json!({"count": pairs.iter().map(|p| p.1).sum::<u64>()});
    for (name, ppm) in QUANTILES {
        object[format!("{name}_us")] = json!(quantile(pairs, ppm));
    }
    object
}
