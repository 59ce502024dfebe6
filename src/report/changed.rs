//! What changed in a period: definitions, cadences, members and service, with the figure of the
//! component before and after each.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::object::{ChangeOf, ReportedChange};
use super::sla::instant;
use crate::account::figures::{Part, components, members};
use crate::account::recorded::ServiceStart;
use crate::account::shown::ShownSums;
use crate::config::document::value::show_duration;
use crate::history::HistoryError;
use crate::history::calendar::Calendar;
use crate::history::component_history::Moves;
use crate::history::component_lineage::ComponentLineage;
use crate::history::definitions::Changed;
use crate::history::event::{Combined, ComponentDefinition};
use crate::history::read::Extent;
use crate::history::read_tallies::WhichTallies;
use crate::history::reader::HistoryReader;
use crate::judgement::timeline::{Combine, Span, Spans};
use crate::words::{Name, UtcMs};

/// Changes of one answer whose figures are computed; the rest are listed without.
const WITH_FIGURES: usize = 100;
/// Endpoints that come together at a start.
const AT_ONCE_MS: i64 = 5000;

struct RecordedChange {
    at: UtcMs,
    event: Option<u64>,
    endpoint: Option<String>,
    what: ChangeOf,
    before: Value,
    after: Value,
    /// The component that the endpoint came from, where the past of this one is not known: what is
    /// recorded there is shown instead.
    left: Option<Name>,
}

/// Every change that concerns the given components in a period, in order; `reached`: how far
/// figures go. A reader of some components is told of no other: `only` these are named.
pub fn changed(
    reader: &HistoryReader,
    parts: &[Part],
    period: Span,
    reached: UtcMs,
    only: Option<&[Name]>,
) -> Result<Vec<ReportedChange>, HistoryError> {
    Ok(listed(reader, parts, (period, reached), usize::MAX, only)?.0)
}

/// The last so many of them, and how many there are.
pub fn changed_last(
    reader: &HistoryReader,
    parts: &[Part],
    period: Span,
    reached: UtcMs,
    count: usize,
) -> Result<(Vec<ReportedChange>, usize), HistoryError> {
    listed(reader, parts, (period, reached), count, None)
}

fn listed(
    reader: &HistoryReader,
    parts: &[Part],
    (period, reached): (Span, UtcMs),
    count: usize,
    only: Option<&[Name]>,
) -> Result<(Vec<ReportedChange>, usize), HistoryError> {
    let mut all: Vec<(RecordedChange, &Part)> = Vec::new();
    for part in parts {
        for change in of_component(reader, part)?
            .into_iter()
            .chain(of_endpoints(reader, part)?)
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
        let mut one = change.shown(part, only);
        if k < WITH_FIGURES {
            let until = Span::new(period.from, change.at);
            if !change.is_hidden(only) {
                let there = change.there(part);
                one.figure_before = figure(reader, there.as_ref().unwrap_or(part), until)?;
            }
            one.figure_after = figure(reader, part, Span::new(change.at, reached))?;
        }
        list.push(one);
    }
    Ok((list, whole))
}

/// The figure of a component over a time; nothing over no time.
fn figure(
    reader: &HistoryReader,
    part: &Part,
    span: Span,
) -> Result<Option<ShownSums>, HistoryError> {
    if span.length() == 0 {
        return Ok(None);
    }
    let (_, found) = components(
        reader,
        std::slice::from_ref(part),
        span,
        WhichTallies::Sealed,
    )?;
    Ok(found.first().map(|c| ShownSums::of(&c.sums)))
}

fn is_listed(only: Option<&[Name]>, name: &str) -> bool {
    only.is_none_or(|only| only.iter().any(|own| own.as_str() == name))
}

impl RecordedChange {
    /// Without its figures.
    fn shown(&self, part: &Part, only: Option<&[Name]>) -> ReportedChange {
        let moves = self.what.is_move();
        let named = |value: &Value| {
            let is_named = value.as_str().is_none_or(|name| is_listed(only, name));
            if moves && !is_named {
                Value::Null
            } else {
                value.clone()
            }
        };
        ReportedChange {
            at: instant(self.at),
            event: self.event,
            component: Some(part.component.to_string()),
            endpoint: self.endpoint.clone(),
            what: self.what,
            before: named(&self.before),
            after: named(&self.after),
            figure_before: None,
            figure_after: None,
        }
    }

    /// What is recorded of it elsewhere is another reader's.
    fn is_hidden(&self, only: Option<&[Name]>) -> bool {
        self.left
            .as_ref()
            .is_some_and(|component| !is_listed(only, component.as_str()))
    }

    /// The endpoint in the component that it came from.
    fn there(&self, part: &Part) -> Option<Part> {
        let own = self.endpoint.as_ref();
        let endpoints = part
            .endpoints
            .iter()
            .filter(|(name, _)| Some(name) == own)
            .cloned()
            .collect();
        Some(Part {
            component: self.left.clone()?,
            endpoints,
            former: BTreeSet::new(),
            combine: Combine::Series,
            service: ServiceStart::default(),
        })
    }
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
fn of_component(reader: &HistoryReader, part: &Part) -> Result<Vec<RecordedChange>, HistoryError> {
    let members = members(reader.calendar()?, part);
    let versions = ComponentLineage::of(reader, part.component.as_str(), &members)?
        .versions()
        .unwrap_or_default();
    let mut list = Vec::new();
    for pair in versions.windows(2) {
        let ((_, before), (at, after)) = (&pair[0], &pair[1]);
        let one = |what, before: Value, after: Value| RecordedChange {
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
                ChangeOf::Combine,
                json!(Combined::from(before.combine)),
                json!(Combined::from(after.combine)),
            ));
        }
        let from = |v: &ComponentDefinition| {
            v.in_service_from
                .map_or(Value::Null, |at| json!(instant(at)))
        };
        if from(before) != from(after) {
            list.push(one(ChangeOf::InServiceFrom, from(before), from(after)));
        }
    }
    Ok(list)
}

/// What changed of the endpoints of a component.
struct Endpoints<'c> {
    reader: &'c HistoryReader,
    calendar: &'c Calendar,
    moves: &'c Moves,
    part: &'c Part,
    /// Of the component: its first start.
    began: UtcMs,
}

/// A change of an endpoint that is no step from one thing to another.
fn one(endpoint: &str, at: UtcMs, what: ChangeOf) -> RecordedChange {
    step(endpoint, at, what, (Value::Null, Value::Null))
}

fn step(
    endpoint: &str,
    at: UtcMs,
    what: ChangeOf,
    (before, after): (Value, Value),
) -> RecordedChange {
    RecordedChange {
        at,
        event: None,
        endpoint: Some(endpoint.to_owned()),
        what,
        before,
        after,
        left: None,
    }
}

fn of_endpoints(reader: &HistoryReader, part: &Part) -> Result<Vec<RecordedChange>, HistoryError> {
    let calendar = reader.calendar()?;
    let of = Endpoints {
        reader,
        calendar,
        moves: reader.moves()?,
        part,
        began: began(calendar, part),
    };
    let definitions = reader.changes()?;
    let members = members(calendar, part);
    let lineage = ComponentLineage::of(reader, part.component.as_str(), &members)?;
    let mut list = Vec::new();
    for (name, extent) in &part.endpoints {
        let mut own = of.definitions(name, &definitions)?;
        own.extend(of.service(name, extent)?);
        own.extend(of.moves(name));
        // What it was while it belonged to another is told there.
        let outside = members
            .iter()
            .find(|m| m.0 == *name)
            .map_or_else(Spans::default, |m| lineage.outside(m));
        let is_elsewhere = |c: &RecordedChange| {
            !c.what.is_move() && outside.cut(Span::new(c.at, c.at + 1)).length() > 0
        };
        list.extend(own.into_iter().filter(|c| !is_elsewhere(c)));
    }
    let apart = lineage.apart;
    for joined in list
        .iter_mut()
        .filter(|c| c.what == ChangeOf::Joined && apart.as_slice().iter().any(|a| a.to == c.at))
    {
        joined.left = joined.before.as_str().and_then(|c| Name::new(c).ok());
    }
    Ok(list)
}

impl Endpoints<'_> {
    /// Another definition, another cadence.
    fn definitions(
        &self,
        name: &str,
        definitions: &[Changed],
    ) -> Result<Vec<RecordedChange>, HistoryError> {
        let own = definitions.iter().filter(|c| c.endpoint == *name);
        let mut list: Vec<RecordedChange> = own
            .map(|c| RecordedChange {
                event: Some(c.seq),
                ..step(
                    name,
                    self.calendar.utc(c.at_ms),
                    ChangeOf::Definition,
                    (json!(c.before), json!(c.after)),
                )
            })
            .collect();
        let cadences = self.reader.cadences(name)?;
        for pair in cadences.windows(2).filter(|pair| pair[0].2 != pair[1].2) {
            let text = |k: usize| {
                let c = &pair[k].2;
                json!(format!(
                    "every {}, timeout {}, {} to confirm",
                    show_duration(c.interval),
                    show_duration(c.timeout),
                    c.down_after
                ))
            };
            let at = self.calendar.utc(pair[1].0);
            list.push(step(name, at, ChangeOf::Cadence, (text(0), text(1))));
        }
        Ok(list)
    }

    /// When it came, and when it was out of service.
    fn service(&self, name: &str, extent: &Extent) -> Result<Vec<RecordedChange>, HistoryError> {
        let utc = |at| self.calendar.utc(at);
        let mut list = Vec::new();
        if let Some(first) = extent
            .first_start
            .map(utc)
            .filter(|at| *at > self.began + AT_ONCE_MS)
        {
            list.push(one(name, first, ChangeOf::Added));
        }
        for span in self.reader.absent(name)? {
            list.push(one(name, utc(span.from as u64), ChangeOf::OutOfService));
            list.push(one(name, utc(span.to as u64), ChangeOf::BackInService));
        }
        if extent.is_gone {
            list.push(one(name, utc(extent.watermark), ChangeOf::OutOfService));
        }
        Ok(list)
    }

    /// When it left the component and came back, from where and to where.
    fn moves(&self, name: &str) -> Vec<RecordedChange> {
        let (own, moves) = (self.part.component.as_str(), self.moves);
        let other = |at| {
            moves
                .component_at(name, at)
                .map_or(Value::Null, |c| json!(c))
        };
        let mut list = Vec::new();
        for outside in moves.outside(name, own).as_slice() {
            let there = other(outside.from);
            list.push(step(
                name,
                outside.from,
                ChangeOf::Left,
                (json!(own), there),
            ));
            let there = other(outside.to - 1);
            list.push(step(
                name,
                outside.to,
                ChangeOf::Joined,
                (there, json!(own)),
            ));
        }
        list
    }
}
