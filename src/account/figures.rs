//! Figures over a period from board and history: the one place where page, API and command line get
//! them from.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::recorded::{RecordedComponent, ServiceStart, Version, component, states};
use crate::config::Plan;
use crate::engine::board::{Board, Entry, Settled};
use crate::history::HistoryError;
use crate::history::calendar::Calendar;
use crate::history::component_lineage::{ComponentLineage, Member};
use crate::history::event::ComponentDefinition;
use crate::history::read::{Exclusion, Extent};
use crate::history::read_tallies::WhichTallies;
use crate::history::reader::HistoryReader;
use crate::history::tally::tally_latency;
use crate::judgement::latency::{Ending, Series, hour_of, merge, quantile};
use crate::judgement::rules::Rules;
use crate::judgement::sla::record::OPEN;
use crate::judgement::timeline::{Combine, EndpointRecord, Span, Spans, StateSpans};
use crate::words::{Ms, Name, UtcMs, format_utc, people};

/// The quantiles that are shown, in parts per million.
pub const QUANTILES: [(&str, u64); 4] = [
    ("p50", 500_000),
    ("p90", 900_000),
    ("p99", 990_000),
    ("p99.9", 999_000),
];

pub fn extent(settled: &Settled, rules: &Rules) -> Extent {
    Extent {
        first_start: settled.first_start,
        watermark: settled.watermark,
        open_unknown: settled.open_unknown,
        open_run: settled.open_run,
        longest_blind: settled.longest_blind,
        blind_lately: settled.blind_lately,
        not_seen_below: rules.not_seen_below(),
        is_gone: false,
    }
}

/// Today so far, UTC.
pub fn today(now: UtcMs) -> Span {
    Span::new(now - now.rem_euclid(86_400_000), now)
}

pub fn last_30_days(now: UtcMs) -> Span {
    last_days(now, 30)
}

/// So many days of 24 hours until now.
pub fn last_days(now: UtcMs, days: i64) -> Span {
    Span::new(now - days * 86_400_000, now)
}

/// One endpoint's recorded past, cut to the period.
pub fn of_entry(
    reader: &HistoryReader,
    entry: &Entry,
    period: Span,
) -> Result<(EndpointRecord, Settled), HistoryError> {
    let settled = entry.view().shown.settled;
    let endpoint = entry.endpoint.load_full();
    Ok((
        reader.record(
            endpoint.name.as_str(),
            extent(&settled, &endpoint.rules),
            period,
        )?,
        settled,
    ))
}

/// A component with its endpoints.
#[derive(Debug, Clone)]
pub struct Part {
    pub component: Name,
    pub combine: Combine,
    pub service: ServiceStart,
    /// Those that belonged to it once are among them.
    pub endpoints: Vec<(String, Extent)>,
    /// Of those, who belongs to another now.
    pub former: BTreeSet<String>,
}

/// The endpoints of a part that ever were in service, with their first start.
pub fn members(calendar: &Calendar, part: &Part) -> Vec<Member> {
    part.endpoints
        .iter()
        .filter_map(|(name, extent)| Some((name.clone(), calendar.utc(extent.first_start?))))
        .collect()
}

/// How a component was made, as the events tell it; where they do not, as the part says.
fn versions_of(lineage: &ComponentLineage, part: &Part) -> Vec<Version> {
    let read = |(from, v): (UtcMs, ComponentDefinition)| Version {
        from,
        combine: v.combine,
        service: ServiceStart {
            from: v.in_service_from,
        },
    };
    lineage.versions().map_or_else(
        || Version::ever(part.combine, part.service).to_vec(),
        |list| list.into_iter().map(read).collect(),
    )
}

/// What is recorded of the endpoints of a part, and how it was made of them.
struct Gathered<'p> {
    part: &'p Part,
    versions: Vec<Version>,
    records: Vec<EndpointRecord>,
    apart: Spans,
}

impl Gathered<'_> {
    fn combined(&self, period: Span) -> RecordedComponent {
        let records = (self.records.as_slice(), &self.apart);
        component(
            self.part.component.as_str(),
            &self.versions,
            records,
            period,
        )
    }

    fn states(&self, period: Span) -> StateSpans {
        states(&self.versions, (&self.records, &self.apart), period)
    }
}

/// Components over a period, cut to what is settled of all of them; an endpoint without a component
/// is one of its own. `which`: the single results that come with them.
pub fn components(
    reader: &HistoryReader,
    parts: &[Part],
    period: Span,
    which: WhichTallies,
) -> Result<(Span, Vec<RecordedComponent>), HistoryError> {
    let (period, gathered) = gathered(reader, parts, period)?;
    let mut list = Vec::new();
    for of in &gathered {
        let mut one = of.combined(period);
        mark_excluded(reader, of.part, &mut one)?;
        (one.recorded.probes, one.recorded.probes_missing) =
            single_results(reader, of.part, &of.records, period, which)?;
        list.push(one);
    }
    Ok((period, list))
}

/// The states of components over a period, without what contracts need beside them.
pub fn states_of_components(
    reader: &HistoryReader,
    parts: &[Part],
    period: Span,
) -> Result<Vec<StateSpans>, HistoryError> {
    let mut list = Vec::with_capacity(parts.len());
    // Each as far as it is settled itself: a component that is probed once an hour holds no other
    // back.
    for part in parts {
        let (settled, gathered) = gathered(reader, std::slice::from_ref(part), period)?;
        list.extend(gathered.iter().map(|of| of.states(settled)));
    }
    Ok(list)
}

/// The records of components, and what of the period is settled of all of them: the rest is left
/// out of all of them.
fn gathered<'p>(
    reader: &HistoryReader,
    parts: &'p [Part],
    period: Span,
) -> Result<(Span, Vec<Gathered<'p>>), HistoryError> {
    let calendar = reader.calendar()?;
    let mut list = Vec::new();
    let mut settled_until = period.to;
    for part in parts {
        let members = members(calendar, part);
        let lineage = ComponentLineage::of(reader, part.component.as_str(), &members)?;
        let by_name: HashMap<&str, &Member> = members.iter().map(|m| (&*m.0, m)).collect();
        let mut records = Vec::new();
        for (endpoint, extent) in &part.endpoints {
            let mut record = reader.record(endpoint, *extent, period)?;
            if record.from.is_some() {
                settled_until = settled_until.min(record.settled);
            }
            let member = by_name.get(endpoint.as_str());
            record.outside = member
                .map_or_else(Spans::default, |m| lineage.outside(m))
                .as_slice()
                .to_vec();
            records.push(record);
        }
        let began = records.iter().filter_map(|r| r.from).min().unwrap_or(OPEN);
        for record in &mut records {
            // Before an endpoint was there, those that were made up the component.
            record.outside.extend(
                record
                    .from
                    .filter(|from| *from > began)
                    .map(|from| Span::new(-OPEN, from)),
            );
        }
        list.push(Gathered {
            part,
            versions: versions_of(&lineage, part),
            records,
            apart: lineage.apart,
        });
    }
    Ok((Span::new(period.from, settled_until), list))
}

/// Says which stretches a correction takes out of the figures: of a component of several endpoints,
/// one that concerns all of them.
fn mark_excluded(
    reader: &HistoryReader,
    part: &Part,
    one: &mut RecordedComponent,
) -> Result<(), HistoryError> {
    if one.recorded.down.is_empty() {
        return Ok(());
    }
    let mut all: Option<Vec<Exclusion>> = None;
    for (endpoint, _) in &part.endpoints {
        let own = reader.exclusions(endpoint, part.component.as_str())?;
        all = Some(match all {
            None => own,
            Some(all) => all
                .into_iter()
                .filter(|e| own.iter().any(|o| o.seq == e.seq))
                .collect(),
        });
    }
    for stretch in &mut one.recorded.down {
        let span = Span::new(stretch.from, stretch.to.max(stretch.from + 1));
        stretch.excluded_by = all
            .iter()
            .flatten()
            .find(|e| e.span.cut(span).is_some())
            .map(|e| e.seq);
    }
    Ok(())
}

/// Endpoints whose cadences of then are read for one answer.
const COMPUTED_FROM_EVENTS: usize = 1000;

/// Outages shorter than this are not seen: by the cadences in force in a period; of many endpoints,
/// by those of now. `check` says the same of a config, and every surface says it by
/// [`not_seen_text`].
pub fn not_seen_below(
    reader: &HistoryReader,
    endpoints: &[(String, Extent)],
    period: Span,
) -> Result<Ms, HistoryError> {
    if endpoints.len() > COMPUTED_FROM_EVENTS {
        return Ok(endpoints
            .iter()
            .map(|(_, extent)| extent.not_seen_below)
            .max()
            .unwrap_or(0));
    }
    endpoints.iter().try_fold(0, |longest, (endpoint, extent)| {
        Ok(longest.max(reader.not_seen_below(endpoint, extent, period)?))
    })
}

/// The same of endpoints in service.
pub fn not_seen_on_board(
    reader: &HistoryReader,
    entries: &[Arc<Entry>],
    period: Span,
) -> Result<Ms, HistoryError> {
    let rules = |e: &Arc<Entry>| e.endpoint.load().rules.not_seen_below();
    if entries.len() > COMPUTED_FROM_EVENTS {
        return Ok(entries.iter().map(rules).max().unwrap_or(0));
    }
    let named = |e: &Arc<Entry>| {
        let endpoint = e.endpoint.load();
        let extent = extent(&e.view().shown.settled, &endpoint.rules);
        (endpoint.name.to_string(), extent)
    };
    not_seen_below(
        reader,
        &entries.iter().map(named).collect::<Vec<_>>(),
        period,
    )
}

/// What every surface says of it.
pub fn not_seen_text(ms: Option<Ms>) -> String {
    match ms.filter(|ms| *ms > 0) {
        Some(ms) => format!(
            "outages shorter than {} can fall between two probes and go unseen",
            people::duration(ms)
        ),
        None => "short outages can fall between two probes and go unseen".to_owned(),
    }
}

/// With a capital and a full stop.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| {
        format!("{}{}.", first.to_uppercase(), letters.as_str())
    })
}

/// Whether it is wanted how short an outage has to be not to be seen: it costs a look at the
/// cadences of every endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSeen {
    Included,
    LeftOut,
}

/// Says of components how short an outage has to be not to be seen; of those that are named, else
/// of all.
pub fn say_not_seen(
    reader: &HistoryReader,
    parts: &[Part],
    list: &mut [RecordedComponent],
    period: Span,
    named: Option<&[Name]>,
) -> Result<(), HistoryError> {
    let is_meant = |part: &Part| named.is_none_or(|names| names.contains(&part.component));
    let count: usize = parts
        .iter()
        .filter(|p| is_meant(p))
        .map(|p| p.endpoints.len())
        .sum();
    for (one, part) in list
        .iter_mut()
        .zip(parts)
        .filter(|(_, part)| is_meant(part))
    {
        let present = part
            .endpoints
            .iter()
            .map(|(_, extent)| extent.not_seen_below)
            .max()
            .unwrap_or(0);
        let shortest = if count > COMPUTED_FROM_EVENTS {
            present
        } else {
            not_seen_below(reader, &part.endpoints, period)?
        };
        one.recorded.not_seen_below = Some(shortest);
    }
    Ok(())
}

type SingleResults = (Option<Vec<(UtcMs, bool)>>, Option<String>);

/// The results of a component's slots, or why they are not all there.
fn single_results(
    reader: &HistoryReader,
    part: &Part,
    records: &[EndpointRecord],
    period: Span,
    which: WhichTallies,
) -> Result<SingleResults, HistoryError> {
    let mut spans = Vec::new();
    for (endpoint, _) in &part.endpoints {
        spans.push(reader.results_recorded(endpoint)?);
    }
    if spans.iter().all(|s| s.as_slice().is_empty()) {
        return Ok((None, None));
    }
    let ([(endpoint, _)], [spans], [record]) =
        (part.endpoints.as_slice(), spans.as_slice(), records)
    else {
        let why = "it has several endpoints; give each a component of its own, and let the \
            contract combine them";
        return Ok((None, Some(why.to_owned())));
    };
    // Time in which it belonged to another component is not served here, and its results of then
    // are not this component's.
    let served = Spans::new(vec![Span::new(record.from.unwrap_or(period.to), period.to)])
        .minus(&record.away())
        .cut(period);
    if let Some(hole) = served.minus(spans).as_slice().first() {
        let why = format!(
            "those from {} to {} were not recorded, as no contract that counts slices was loaded \
                then; a period that starts later can be judged",
            format_utc(hole.from),
            format_utc(hole.to)
        );
        return Ok((None, Some(why)));
    }
    let mut results = reader.results(endpoint, period, which)?;
    let elsewhere = Spans::new(record.outside.clone());
    if !elsewhere.as_slice().is_empty() {
        results.retain(|(at, _)| elsewhere.cut(Span::new(*at, at + 1)).length() == 0);
    }
    Ok((Some(results), None))
}

/// Latency of successes: the last hour from memory, the last day from the stored hours and memory.
pub fn latency_json(
    reader: &HistoryReader,
    entry: &Entry,
    now: UtcMs,
) -> Result<Value, HistoryError> {
    let hour = entry
        .view()
        .hour
        .since(now - 3_600_000, Series::Whole(Ending::Success));
    let day = day_of(reader, entry, now)?;
    Ok(json!({"hour": quantiles_json(&hour), "day": quantiles_json(&day)}))
}

/// Latency of successes of the last day.
pub fn day_of(
    reader: &HistoryReader,
    entry: &Entry,
    now: UtcMs,
) -> Result<Vec<(u64, u64)>, HistoryError> {
    let this_hour = hour_of(now);
    let mut all = entry
        .view()
        .hour
        .since(this_hour * 3_600_000, Series::Whole(Ending::Success));
    let name = entry.endpoint.load().name.clone();
    for (hour, body) in reader.latency_since(name.as_str(), this_hour - 24)? {
        if hour < this_hour {
            all.extend(
                tally_latency(&body)
                    .into_iter()
                    .filter(|(e, _)| *e == Series::Whole(Ending::Success))
                    .flat_map(|(_, b)| b),
            );
        }
    }
    merge(&mut all);
    Ok(all)
}

fn quantiles_json(pairs: &[(u64, u64)]) -> Value {
    let mut object = json!({"count": pairs.iter().map(|p| p.1).sum::<u64>()});
    for (name, ppm) in QUANTILES {
        object[format!("{name}_us")] = json!(quantile(pairs, ppm));
    }
    object
}

/// The components of a running daemon with their endpoints, those that have left among them.
pub fn parts_of(reader: &HistoryReader, board: &Board) -> Result<Vec<Part>, HistoryError> {
    let entries = board.entries();
    let mut extents: Vec<_> = entries
        .iter()
        .map(|e| {
            let endpoint = e.endpoint.load();
            (
                endpoint.name.clone(),
                endpoint.component.clone(),
                extent(&e.view().shown.settled, &e.endpoint.load().rules),
            )
        })
        .collect();
    // One that left a moment ago may still be on the board.
    let known: HashSet<Name> = extents.iter().map(|(name, ..)| name.clone()).collect();
    let left: Vec<_> = reader
        .gone()?
        .into_iter()
        .filter(|(name, ..)| !known.contains(name))
        .collect();
    extents.extend(left);
    grouped(reader, &board.plan.load(), &extents)
}

/// Components with their endpoints, those that belonged to them once among them; (endpoint,
/// component, extent) in.
pub fn grouped(
    reader: &HistoryReader,
    plan: &Plan,
    extents: &[(Name, Name, Extent)],
) -> Result<Vec<Part>, HistoryError> {
    let moves = reader.moves()?;
    let mut parts: BTreeMap<Name, Part> = BTreeMap::new();
    let mut join = |component: Name, endpoint: &Name, extent: &Extent, is_former: bool| {
        let known = plan.components.get(&component);
        let part = parts.entry(component.clone()).or_insert_with(|| Part {
            component,
            combine: known.map_or(Combine::Series, |c| c.combine),
            service: ServiceStart {
                from: known.and_then(|c| c.in_service_from),
            },
            endpoints: Vec::new(),
            former: BTreeSet::new(),
        });
        part.endpoints.push((endpoint.to_string(), *extent));
        if is_former {
            part.former.insert(endpoint.to_string());
        }
    };
    for (endpoint, component, extent) in extents {
        join(component.clone(), endpoint, extent, false);
        for earlier in moves
            .earlier(endpoint.as_str(), component.as_str())
            .into_iter()
            .filter_map(|c| Name::new(c).ok())
        {
            join(earlier, endpoint, extent, true);
        }
    }
    Ok(parts.into_values().collect())
}
