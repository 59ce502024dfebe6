//! From endpoints' records to the timeline of components that contracts, exports and the API speak of.

use serde_json::{Value, json};

use crate::judgement::sla::record::Timeline as Told;
use crate::judgement::sla::record::{Declared, OPEN, Outage, Recorded};
use crate::judgement::timeline::{Combine, Record, Span, Spans, Sums, Timeline};
use crate::words::{Reason, UtcMs, format_utc};

/// One component over a period, as contracts read it, with its sums.
pub struct Component {
    pub recorded: Recorded,
    /// The last outage is still open.
    pub open: bool,
    pub sums: Sums,
}

/// What is always outside a component's service.
#[derive(Debug, Clone, Copy, Default)]
pub struct Service {
    pub from: Option<UtcMs>,
}

/// Combines the records of a component's endpoints. `period` ends where all of them are settled.
pub fn component(name: &str, combine: Combine, service: Service, records: &[Record], period: Span) -> Component {
    let timelines: Vec<Timeline> = records.iter().map(|r| r.timeline(period)).collect();
    let combined = Timeline::combined(&timelines, combine);
    let sums = combined.sums();
    let began = records.iter().filter_map(|r| r.from).min().unwrap_or(OPEN);
    let (down, mut unknown, open) = match records {
        [record] => of_one(record, &combined, period),
        _ => (of_sets(&combined.down, &combined.down_lower, &combined.down_upper), why_unknown(&combined.unknown, records), false),
    };
    if began > period.from {
        unknown.insert(0, (Span::new(period.from, began.min(period.to)), Some(Reason::NotRunning.as_str().to_owned())));
    }
    let absent = records.iter().map(|r| Spans::new(r.absent.clone())).reduce(|a, b| a.both(&b)).unwrap_or_default();
    let mut in_service = Vec::new();
    if !absent.as_slice().is_empty() || service.from.is_some() {
        in_service = Spans::new(vec![Span::new(service.from.unwrap_or(-OPEN), OPEN)]).minus(&absent).as_slice().to_vec();
    }
    Component { recorded: Recorded { name: name.to_owned(), in_service, down, unknown, ..Recorded::default() }, open, sums }
}

type Parts = (Vec<Outage>, Vec<(Span, Option<String>)>, bool);

/// One endpoint keeps its outages' own bounds; unknown time splits an outage, and doubt without an outage is one of no length.
fn of_one(record: &Record, timeline: &Timeline, period: Span) -> Parts {
    let mut down = Vec::new();
    let mut open = false;
    let proven = Spans::new(record.proven.clone());
    for o in &record.outages {
        let end = o.to.unwrap_or(record.settled).max(o.from);
        let pieces = record.down.cut(Span::new(o.from, end));
        let last = pieces.as_slice().len().saturating_sub(1);
        for (k, piece) in pieces.as_slice().iter().enumerate() {
            let sure = proven.cut(*piece);
            let (begins, ends) = (k == 0 && piece.from == o.from, k == last);
            let wide = Span::new(if begins { o.from_earliest } else { piece.from }, if ends { o.to_latest.unwrap_or(piece.to) } else { piece.to });
            let mut own = in_pieces(*piece, wide, &sure);
            if let (true, Some(first)) = (begins && sure.as_slice().len() < 2, own.first_mut()) {
                first.from_latest = o.from_latest;
            }
            if let (true, Some(end)) = (ends && sure.as_slice().len() < 2, own.last_mut()) {
                end.to_earliest = o.to_earliest.unwrap_or(piece.to);
            }
            if wide.to > period.from && wide.from < period.to {
                open = ends && o.to.is_none();
                down.extend(own);
            }
        }
    }
    let doubt = record.doubtful.iter().filter_map(|s| s.cut(period));
    down.extend(doubt.map(|s| Outage { from: s.from, to: s.from, from_earliest: s.from, from_latest: s.to, to_earliest: s.from, to_latest: s.to }));
    let known = |span: &Span| timeline.unknown.cut(*span).length() > 0;
    let unknown = record.unknown.iter().filter(|(s, _)| known(s)).filter_map(|(s, why)| s.cut(period).map(|s| (s, Some(why.as_str().to_owned())))).collect();
    down.sort_by_key(|o| (o.from, o.to));
    (down, unknown, open)
}

/// Unknown time of several endpoints together, with the reason of one that was unknown then; where they differ, the first in the
/// order of the reasons.
fn why_unknown(unknown: &Spans, records: &[Record]) -> Vec<(Span, Option<String>)> {
    let mut rest = unknown.clone();
    let mut list = Vec::new();
    for reason in Reason::ALL {
        let own = records.iter().flat_map(|r| &r.unknown).filter(|(_, why)| why == reason).map(|(s, _)| *s);
        let told = Spans::new(own.collect()).both(&rest);
        rest = rest.minus(&told);
        list.extend(told.as_slice().iter().map(|s| (*s, Some(reason.as_str().to_owned()))));
    }
    list.extend(rest.as_slice().iter().map(|s| (*s, None)));
    list.sort_by_key(|(s, _)| s.from);
    list
}

/// Outages of merged sets: each stretch that is down, with what surely and what possibly was around it.
pub fn of_sets(down: &Spans, lower: &Spans, upper: &Spans) -> Vec<Outage> {
    let mut list: Vec<Outage> = down
        .as_slice()
        .iter()
        .flat_map(|s| {
            let wide = upper.as_slice().iter().find(|u| u.from <= s.from && s.to <= u.to).copied().unwrap_or(*s);
            in_pieces(*s, wide, &lower.cut(*s))
        })
        .collect();
    let alone = upper.as_slice().iter().filter(|u| down.cut(**u).length() == 0);
    list.extend(alone.map(|s| Outage { from: s.from, to: s.from, from_earliest: s.from, from_latest: s.to, to_earliest: s.from, to_latest: s.to }));
    list.sort_by_key(|o| o.from);
    list
}

/// A stretch that is down, cut where more than one run of failures proves it: what lies between two runs is not proven. The pieces
/// touch, so that whoever unites them has the stretch again.
fn in_pieces(stretch: Span, wide: Span, proven: &Spans) -> Vec<Outage> {
    let runs = proven.as_slice();
    let last = runs.len().saturating_sub(1);
    (0..runs.len().max(1))
        .map(|k| {
            let from = if k == 0 { stretch.from } else { runs[k].from };
            let to = if k == last { stretch.to } else { runs[k + 1].from };
            Outage {
                from,
                to,
                from_earliest: if k == 0 { wide.from } else { from },
                from_latest: runs.get(k).map_or(to, |r| r.from),
                to_earliest: runs.get(k).map_or(from, |r| r.to),
                to_latest: if k == last { wide.to } else { to },
            }
        })
        .collect()
}

/// `probity-timeline/1`.
pub fn timeline_json(period: Span, components: &[Component], maintenance: &[Declared]) -> Value {
    json!({
        "schema": "probity-timeline/1",
        "from": format_utc(period.from),
        "to": format_utc(period.to),
        "components": components.iter().map(component_json).collect::<Vec<_>>(),
        "maintenance": maintenance.iter().map(declared_json).collect::<Vec<_>>(),
    })
}

pub fn told(period: Span, components: Vec<Component>, maintenance: Vec<Declared>) -> Told {
    Told { from: Some(period.from), to: Some(period.to), components: components.into_iter().map(|c| c.recorded).collect(), maintenance }
}

fn instant(at: UtcMs) -> Value {
    if at.abs() >= OPEN { Value::Null } else { json!(format_utc(at)) }
}

pub fn component_json(component: &Component) -> Value {
    let r = &component.recorded;
    let last = r.down.iter().filter(|o| o.to > o.from).map(|o| o.from).max();
    let down: Vec<Value> = r
        .down
        .iter()
        .map(|o| {
            let is_open = component.open && Some(o.from) == last;
            let end = |at: UtcMs| if is_open { Value::Null } else { instant(at) };
            json!({"from": instant(o.from), "to": end(o.to), "from_earliest": instant(o.from_earliest), "from_latest": instant(o.from_latest),
                   "to_earliest": end(o.to_earliest), "to_latest": end(o.to_latest)})
        })
        .collect();
    let unknown: Vec<Value> = r
        .unknown
        .iter()
        .map(|(s, why)| match why {
            Some(why) => json!({"from": instant(s.from), "to": instant(s.to), "reason": why}),
            None => json!({"from": instant(s.from), "to": instant(s.to)}),
        })
        .collect();
    let sums = &component.sums;
    let mut value = json!({
        "name": r.name, "down": down, "unknown": unknown,
        "up_ms": sums.up, "down_ms": sums.down, "unknown_ms": sums.unknown, "down_lower_ms": sums.down_lower, "down_upper_ms": sums.down_upper,
    });
    if !r.in_service.is_empty() {
        value["in_service"] = r.in_service.iter().map(|s| json!({"from": instant(s.from), "to": instant(s.to)})).collect();
    }
    if let Some(ms) = r.not_seen_below {
        value["not_seen_below_ms"] = json!(ms);
    }
    if let Some(probes) = &r.probes {
        value["probes"] = probes.iter().map(|(at, ok)| json!({"at": instant(*at), "ok": ok})).collect();
    }
    value
}

fn declared_json(window: &Declared) -> Value {
    let optional = |at: Option<UtcMs>| at.map_or(Value::Null, instant);
    json!({
        "id": window.id, "from": instant(window.from), "to": instant(window.to), "announced_at": optional(window.announced_at),
        "recorded_at": optional(window.recorded_at), "components": window.components, "reason": window.reason,
    })
}
