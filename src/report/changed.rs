//! What changed in a period: definitions, cadences, members and service, with the figure of the
//! component before and after each.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::sla::instant;
use crate::account::figures::{Part, components, members, sums_json};
use crate::account::recorded::Service;
use crate::config::document::value::show_duration;
use crate::history::HistoryError;
use crate::history::definitions::{cadences, changes};
use crate::history::event::{Combined, ComponentMakeup};
use crate::history::lineage::Lineage;
use crate::history::makeup::Makeup;
use crate::history::past::Which;
use crate::history::read::{Calendar, absent};
use crate::judgement::timeline::{Combine, Span, Spans};
use crate::words::{Name, UtcMs};

/// Changes of one answer whose figures are computed; the rest are listed without.
const WITH_FIGURES: usize = 100;
/// Endpoints that come together at a start.
const AT_ONCE_MS: i64 = 5000;

struct Change {
    at: UtcMs,
    event: Option<u64>,
    endpoint: Option<String>,
    what: &'static str,
    before: Value,
    after: Value,
    /// The component that the endpoint came from, where the past of this one is not known: what is
    /// recorded there is shown instead.
    left: Option<Name>,
}

/// Every change that concerns the given components in a period, in order; `reached`: how far
/// figures go. A reader of some components is told of no other: `only` these are named.
pub fn changed(
    connection: &Connection,
    parts: &[Part],
    period: Span,
    reached: UtcMs,
    only: Option<&[Name]>,
) -> Result<Vec<Value>, HistoryError> {
    Ok(listed(connection, parts, (period, reached), usize::MAX, only)?.0)
}

/// The last so many of them, and how many there are.
pub fn changed_last(
    connection: &Connection,
    parts: &[Part],
    period: Span,
    reached: UtcMs,
    count: usize,
) -> Result<(Vec<Value>, usize), HistoryError> {
    listed(connection, parts, (period, reached), count, None)
}

fn listed(
    connection: &Connection,
    parts: &[Part],
    (period, reached): (Span, UtcMs),
    count: usize,
    only: Option<&[Name]>,
) -> Result<(Vec<Value>, usize), HistoryError> {
    let calendar = Calendar::read(connection)?;
    let makeup = Makeup::read(connection, &calendar)?;
    let mut all: Vec<(Change, &Part)> = Vec::new();
    for part in parts {
        for change in of_component(connection, &makeup, &calendar, part)?
            .into_iter()
            .chain(of_endpoints(connection, &calendar, &makeup, part)?)
        {
            if (period.from..period.to).contains(&change.at) {
                all.push((change, part));
            }
        }
    }
    all.sort_by(|(a, p), (b, q)| {
        (a.at, &p.component, &a.endpoint, a.what).cmp(&(b.at, &q.component, &b.endpoint, b.what))
    });
    let (whole, first) = (all.len(), all.len().saturating_sub(count));
    let mut list = Vec::new();
    for (k, (change, part)) in all.drain(first..).enumerate() {
        let figure = |part: &Part, span: Span| -> Result<Value, HistoryError> {
            if k >= WITH_FIGURES || span.length() == 0 {
                return Ok(Value::Null);
            }
            let (_, found) =
                components(connection, std::slice::from_ref(part), span, Which::Sealed)?;
            Ok(found.first().map_or(Value::Null, |c| sums_json(&c.sums)))
        };
        let is_told =
            |name: &str| only.is_none_or(|only| only.iter().any(|own| own.as_str() == name));
        let moves = matches!(change.what, "joined" | "left");
        let named = |value: &Value| {
            if moves && !value.as_str().is_none_or(is_told) {
                Value::Null
            } else {
                value.clone()
            }
        };
        // What is recorded of it elsewhere is another reader's.
        let is_hidden = change
            .left
            .as_ref()
            .is_some_and(|component| !is_told(component.as_str()));
        let (own, until) = (change.endpoint.as_ref(), Span::new(period.from, change.at));
        let there = change.left.clone().map(|component| {
            let endpoints = part
                .endpoints
                .iter()
                .filter(|(name, _)| Some(name) == own)
                .cloned()
                .collect();
            Part {
                component,
                endpoints,
                former: BTreeSet::new(),
                combine: Combine::Series,
                service: Service::default(),
            }
        });
        list.push(json!({
            "at": instant(change.at), "event": change.event, "component": part.component.as_str(), "endpoint": change.endpoint, "what": change.what,
            "before": named(&change.before), "after": named(&change.after),
            "figure_before": if is_hidden { Value::Null } else { figure(there.as_ref().unwrap_or(part), until)? },
            "figure_after": figure(part, Span::new(change.at, reached))?,
        }));
    }
    Ok((list, whole))
}

fn began(calendar: &Calendar, part: &Part) -> UtcMs {
    part.endpoints
        .iter()
        .filter_map(|(_, e)| e.first_start)
        .map(|at| calendar.utc(at))
        .min()
        .unwrap_or(i64::MAX / 4)
}

/// Another way to combine, or another begin of service.
fn of_component(
    connection: &Connection,
    makeup: &Makeup,
    calendar: &Calendar,
    part: &Part,
) -> Result<Vec<Change>, HistoryError> {
    let (component, members) = (part.component.as_str(), members(calendar, part));
    let versions = Lineage::of(connection, makeup, component, &members)?
        .versions(makeup, component, &members)
        .unwrap_or_default();
    let mut list = Vec::new();
    for pair in versions.windows(2) {
        let ((_, before), (at, after)) = (&pair[0], &pair[1]);
        let one = |what, before: Value, after: Value| Change {
            at: *at,
            event: None,
            endpoint: None,
            what,
            before,
            after,
            left: None,
        };
        if before.combine != after.combine {
            list.push(one(
                "combine",
                json!(Combined::from(before.combine)),
                json!(Combined::from(after.combine)),
            ));
        }
        let from = |v: &ComponentMakeup| {
            v.in_service_from
                .map_or(Value::Null, |at| json!(instant(at)))
        };
        if from(before) != from(after) {
            list.push(one("in_service_from", from(before), from(after)));
        }
    }
    Ok(list)
}

fn of_endpoints(
    connection: &Connection,
    calendar: &Calendar,
    makeup: &Makeup,
    part: &Part,
) -> Result<Vec<Change>, HistoryError> {
    let began = began(calendar, part);
    let mut list = Vec::new();
    let definitions = changes(connection)?;
    let members = members(calendar, part);
    let lineage = Lineage::of(connection, makeup, part.component.as_str(), &members)?;
    for (name, extent) in &part.endpoints {
        let first = list.len();
        let mut put = |at, event, what, before, after| {
            list.push(Change {
                at,
                event,
                endpoint: Some(name.clone()),
                what,
                before,
                after,
                left: None,
            })
        };
        for c in definitions.iter().filter(|c| c.endpoint == *name) {
            put(
                calendar.utc(c.at_ms),
                Some(c.seq),
                "definition",
                json!(c.before),
                json!(c.after),
            );
        }
        let told = cadences(connection, name)?;
        for pair in told.windows(2).filter(|pair| pair[0].2 != pair[1].2) {
            let text = |k: usize| {
                let c = &pair[k].2;
                json!(format!(
                    "every {}, timeout {}, {} to confirm",
                    show_duration(c.interval),
                    show_duration(c.timeout),
                    c.down_after
                ))
            };
            put(calendar.utc(pair[1].0), None, "cadence", text(0), text(1));
        }
        if let Some(first) = extent
            .first_start
            .map(|at| calendar.utc(at))
            .filter(|at| *at > began + AT_ONCE_MS)
        {
            put(first, None, "added", Value::Null, Value::Null);
        }
        for outside in makeup
            .moves()
            .outside(name, part.component.as_str())
            .as_slice()
        {
            // From where it came, and where it went.
            let other = |at| {
                makeup
                    .moves()
                    .component_at(name, at)
                    .map_or(Value::Null, |c| json!(c))
            };
            put(
                outside.from,
                None,
                "left",
                json!(part.component.as_str()),
                other(outside.from),
            );
            put(
                outside.to,
                None,
                "joined",
                other(outside.to - 1),
                json!(part.component.as_str()),
            );
        }
        for span in absent(connection, name)? {
            put(
                calendar.utc(span.from as u64),
                None,
                "out_of_service",
                Value::Null,
                Value::Null,
            );
            put(
                calendar.utc(span.to as u64),
                None,
                "back_in_service",
                Value::Null,
                Value::Null,
            );
        }
        if extent.is_gone {
            put(
                calendar.utc(extent.watermark),
                None,
                "out_of_service",
                Value::Null,
                Value::Null,
            );
        }
        // What it was while it belonged to another is told there.
        let outside = members
            .iter()
            .find(|m| m.0 == *name)
            .map_or_else(Spans::default, |m| {
                lineage.outside(makeup, m, part.component.as_str())
            });
        let own: Vec<Change> = list.drain(first..).collect();
        let is_elsewhere = |c: &Change| {
            !matches!(c.what, "joined" | "left")
                && outside.cut(Span::new(c.at, c.at + 1)).length() > 0
        };
        list.extend(own.into_iter().filter(|c| !is_elsewhere(c)));
    }
    let apart = lineage.apart;
    for joined in list
        .iter_mut()
        .filter(|c| c.what == "joined" && apart.as_slice().iter().any(|a| a.to == c.at))
    {
        joined.left = joined.before.as_str().and_then(|c| Name::new(c).ok());
    }
    Ok(list)
}
