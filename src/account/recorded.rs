//! From endpoints' records to the timeline of components that contracts, exports and the API speak
//! of.

use std::collections::BTreeSet;

use crate::judgement::sla::record::Timeline;
use crate::judgement::sla::record::{Declared, OPEN, Outage, Recorded};
use crate::judgement::timeline::{
    Combine, EndpointRecord, OutageSpan, Span, Spans, StateSpans, Sums,
};
use crate::words::{Reason, UtcMs};

/// One component over a period, as contracts read it, with its sums.
pub struct RecordedComponent {
    pub recorded: Recorded,
    pub sums: Sums,
}

/// What is always outside a component's service.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServiceStart {
    pub from: Option<UtcMs>,
}

/// How a component was made, from when on.
#[derive(Debug, Clone, Copy)]
pub struct Version {
    pub from: UtcMs,
    pub combine: Combine,
    pub service: ServiceStart,
}

impl Version {
    /// The only one.
    pub fn ever(combine: Combine, service: ServiceStart) -> [Self; 1] {
        [Self {
            from: -OPEN,
            combine,
            service,
        }]
    }
}

/// Each version over the time for which it counts.
fn in_force(versions: &[Version]) -> impl Iterator<Item = (&Version, Span)> {
    let until = |k: usize| versions.get(k + 1).map_or(OPEN, |next| next.from);
    versions
        .iter()
        .enumerate()
        .map(move |(k, version)| (version, Span::new(version.from, until(k))))
}

/// Combines the records of a component's endpoints, at each time as it was made then. `period` ends
/// where all of them are settled. `apart`: when it had none, and they were a part of something
/// else.
pub fn component(
    name: &str,
    versions: &[Version],
    (records, apart): (&[EndpointRecord], &Spans),
    period: Span,
) -> RecordedComponent {
    let absent = away(records);
    let (combined, left) = as_made(versions, records, &absent, period);
    let began = records.iter().filter_map(|r| r.from).min().unwrap_or(OPEN);
    let ((down, possible_down), mut unknown) = match records {
        [record] if apart.as_slice().is_empty() => of_one(record, &combined, period),
        _ => {
            let combine = versions.last().map_or(Combine::Series, |last| last.combine);
            (
                of_several(&combined, (records, combine), period),
                why_unknown(&combined.unknown, records),
            )
        }
    };
    let apart = apart.cut(period);
    unknown.extend(unknown_for(&apart, Reason::Reconfigured));
    unknown.sort_by_key(|(s, _)| s.from);
    let sums = with_apart(&combined, &apart).sums();
    let served = service_time(versions, began);
    let unmeasured = served.cut(Span::new(
        period.from,
        began.min(period.to).max(period.from),
    ));
    unknown.splice(0..0, unknown_for(&unmeasured, Reason::NotRunning));
    let mut in_service = served.minus(&absent).union(&apart).as_slice().to_vec();
    // What goes on from before the period is what the component is by then.
    let left_while_down = left
        .as_slice()
        .iter()
        .filter(|s| s.from >= period.from && s.from < period.to)
        .copied()
        .collect();
    if in_service.is_empty() {
        // An empty list would say: always.
        in_service.push(Span::new(0, 0));
    }
    RecordedComponent {
        recorded: Recorded {
            name: name.to_owned(),
            in_service,
            left_while_down,
            down,
            possible_down,
            unknown,
            ..Recorded::default()
        },
        sums,
    }
}

/// The states of a component over a period, without what contracts need beside them.
pub fn states(
    versions: &[Version],
    (records, apart): (&[EndpointRecord], &Spans),
    period: Span,
) -> StateSpans {
    let (combined, _) = as_made(versions, records, &away(records), period);
    with_apart(&combined, &apart.cut(period))
}

/// When none of them was in service.
fn away(records: &[EndpointRecord]) -> Spans {
    let each = records.iter().map(EndpointRecord::away);
    each.reduce(|a, b| a.both(&b)).unwrap_or_default()
}

/// The time in which its endpoints were a part of something else is unknown.
fn with_apart(combined: &StateSpans, apart: &Spans) -> StateSpans {
    combined.and(&StateSpans {
        covered: apart.clone(),
        unknown: apart.clone(),
        ..StateSpans::default()
    })
}

/// The records combined, at each time by the version that was in force, and the time for which the
/// component was out of service while down. `absent`: when none of its endpoints was in service.
fn as_made(
    versions: &[Version],
    records: &[EndpointRecord],
    absent: &Spans,
    period: Span,
) -> (StateSpans, Spans) {
    let gone_down = records
        .iter()
        .fold(Spans::default(), |sum, r| sum.union(&r.left_while_down()));
    let (mut combined, mut left) = (StateSpans::default(), Spans::default());
    for (version, span) in in_force(versions) {
        let Some(span) = span.cut(period) else {
            continue;
        };
        let timelines: Vec<StateSpans> = records.iter().map(|r| r.timeline(span)).collect();
        combined = combined.and(&StateSpans::combined(&timelines, version.combine));
        // Elsewhere than in a series the others decide, as long as there are any.
        left = left.union(&if version.combine == Combine::Series {
            gone_down.clone()
        } else {
            gone_down.both(absent)
        });
    }
    (combined, left)
}

/// In service from its first start, unless the config says since when: then time before the first
/// start was not measured.
fn service_time(versions: &[Version], first_start: UtcMs) -> Spans {
    let since = |v: &Version| v.service.from.unwrap_or(first_start);
    Spans::new(
        in_force(versions)
            .filter_map(|(version, span)| span.cut(Span::new(since(version), OPEN)))
            .collect(),
    )
}

/// Time that is unknown for one reason.
fn unknown_for(spans: &Spans, reason: Reason) -> impl Iterator<Item = (Span, Option<String>)> {
    spans
        .as_slice()
        .iter()
        .map(move |s| (*s, Some(reason.as_str().to_owned())))
}

/// Stretches of outages, and the time that may hold others.
type Down = (Vec<Outage>, Vec<Span>);
type Unknown = Vec<(Span, Option<String>)>;

/// One endpoint keeps its outages' own numbers and bounds; unknown time cuts an outage into
/// stretches.
fn of_one(record: &EndpointRecord, timeline: &StateSpans, period: Span) -> (Down, Unknown) {
    let proven = Spans::new(record.proven.clone());
    let mut down: Vec<Outage> = record
        .outages
        .iter()
        .flat_map(|o| stretches_of(o, record, &proven, period))
        .collect();
    let possible_down = record
        .doubtful
        .iter()
        .filter_map(|s| s.cut(period))
        .collect();
    let known = |span: &Span| timeline.unknown.cut(*span).length() > 0;
    let unknown = record
        .unknown
        .iter()
        .filter(|(s, _)| known(s))
        .filter_map(|(s, why)| s.cut(period).map(|s| (s, Some(why.as_str().to_owned()))))
        .collect();
    down.sort_by_key(|o| (o.from, o.to));
    ((down, possible_down), unknown)
}

/// The stretches of one outage that touch a period. One that has just begun, or of which nothing is
/// known to be down, has one of no length.
fn stretches_of(
    o: &OutageSpan,
    record: &EndpointRecord,
    proven: &Spans,
    period: Span,
) -> Vec<Outage> {
    let end = o.to.unwrap_or(record.settled).max(o.from);
    let is_at_end = o.to.is_none() && record.settled <= period.to;
    let mut pieces = record.down.cut(Span::new(o.from, end)).as_slice().to_vec();
    if pieces.is_empty() {
        pieces.push(Span::new(o.from, o.from));
    }
    let last = pieces.len() - 1;
    let mut list = Vec::new();
    for (k, piece) in pieces.iter().enumerate() {
        let (begins, ends) = (k == 0, k == last);
        let wide = Span::new(
            if begins { o.from_earliest } else { piece.from },
            if ends {
                o.to_latest.unwrap_or(piece.to)
            } else {
                piece.to
            },
        );
        // The end of the first failure and the start of the last one are bounds of the outage also
        // where no run of failures begins or ends there.
        let mut runs = proven.cut(*piece).as_slice().to_vec();
        let within = |at: i64| piece.from <= at && at <= piece.to;
        if begins
            && runs
                .first()
                .is_none_or(|r| within(o.from_latest) && o.from_latest < r.from)
        {
            runs.insert(0, Span::new(o.from_latest, o.from_latest));
        }
        let closed_by = o
            .to_earliest
            .filter(|at| ends && within(*at) && runs.last().is_some_and(|r| r.to < *at));
        runs.extend(closed_by.map(|at| Span::new(at, at)));
        let mut own = in_pieces(*piece, wide, &runs);
        if let (true, Some(first)) = (begins, own.first_mut()) {
            first.from_latest = o.from_latest;
        }
        if let (true, Some(at), Some(end)) = (ends, o.to_earliest, own.last_mut()) {
            end.to_earliest = at;
        }
        let touches = wide.from < period.to && wide.to > period.from || is_at_end && ends;
        if touches {
            list.extend(own);
        }
    }
    if is_at_end {
        leave_open(&mut list, record.settled);
    }
    list.iter_mut()
        .for_each(|stretch| stretch.outage = Some(o.id));
    list
}

/// The last stretch of an outage that is open at the end of the record.
fn leave_open(list: &mut Vec<Outage>, edge: i64) {
    match list.last_mut() {
        // Down now, as far as it is settled.
        Some(open) if open.to == edge => open.is_open = true,
        Some(before) => {
            let open = open_at_edge(before, edge);
            list.push(open);
        }
        None => {}
    }
}

/// Open, and the time since is unknown: a stretch of no length says that nothing has come up.
fn open_at_edge(before: &Outage, edge: i64) -> Outage {
    Outage {
        is_open: true,
        from: edge,
        to: edge,
        from_earliest: edge,
        from_latest: edge,
        to_earliest: edge,
        to_latest: edge,
        ..*before
    }
}

/// Outages of several endpoints together: numbered after the endpoint's outage with which each
/// began. `combine`: as they are combined at the end of the record.
fn of_several(
    combined: &StateSpans,
    (records, combine): (&[EndpointRecord], Combine),
    period: Span,
) -> Down {
    let up = combined
        .covered
        .minus(&combined.down)
        .minus(&combined.unknown);
    let began_with = |at: i64| {
        let all = records
            .iter()
            .flat_map(|r| r.outages.iter().map(move |o| (o, r)));
        let touching = all.filter(|(o, r)| o.from <= at && at <= o.to.unwrap_or(r.settled));
        touching
            .max_by_key(|(o, _)| (o.from, o.id))
            .map(|(o, _)| o.id)
    };
    let (mut down, mut possible) = of_sets(
        &combined.down,
        &combined.down_lower,
        &combined.down_upper,
        &up,
        began_with,
    );
    let settled = records
        .iter()
        .filter(|r| r.from.is_some())
        .map(|r| r.settled)
        .min()
        .unwrap_or(period.to);
    let is_open = records
        .iter()
        .any(|r| r.outages.iter().any(|o| o.to.is_none()));
    let edge = combined.end();
    let is_open = is_open && settled <= period.to;
    match down.last_mut().filter(|_| is_open) {
        Some(last) if last.to == edge => last.is_open = true,
        // As of one endpoint.
        Some(last) if up.cut(Span::new(last.to, edge)).length() == 0 => {
            let open = open_at_edge(last, edge);
            down.push(open);
        }
        _ if settled <= period.to => {
            if let Some(mut begun) = just_begun(records, combine, settled) {
                // Until it is longer, what possibly was down before it is its own doubt.
                begun.from_earliest = possible
                    .iter()
                    .filter(|s| s.to == settled)
                    .map(|s| s.from)
                    .fold(begun.from_earliest, i64::min);
                possible.retain(|s| s.to != settled);
                down.push(begun);
            }
        }
        _ => {}
    }
    (down, possible)
}

/// The outage of several endpoints that begins as their record ends: a stretch of no length with an
/// open end.
fn just_begun(records: &[EndpointRecord], combine: Combine, at: i64) -> Option<Outage> {
    let begins = |o: &&OutageSpan| o.to.is_none() && o.from == at;
    let newest = records
        .iter()
        .flat_map(|r| &r.outages)
        .filter(begins)
        .max_by_key(|o| o.id)?;
    let after: Vec<StateSpans> = records.iter().map(|r| just_after(r, at)).collect();
    let is_down = StateSpans::combined(&after, combine).down.length() > 0;
    is_down.then_some(Outage {
        outage: Some(newest.id),
        is_open: true,
        excluded_by: None,
        from: at,
        to: at,
        from_earliest: newest.from_earliest,
        from_latest: newest.from_latest,
        to_earliest: at,
        to_latest: at,
    })
}

/// The first millisecond after the end of a record, as far as it is known: an outage that is open
/// there goes on.
fn just_after(record: &EndpointRecord, at: i64) -> StateSpans {
    let span = Span::new(at, at + 1);
    if record.settled > at || record.from.is_none_or(|from| from > at) {
        return record.timeline(span);
    }
    let absent = record.away().cut(span);
    let covered = Spans::new(vec![span]).minus(&absent);
    let is_unknown = record
        .unknown
        .iter()
        .any(|(u, _)| u.from < at && at <= u.to);
    let is_down = record
        .outages
        .iter()
        .any(|o| o.to.is_none() && (o.from == at || o.from < at && !is_unknown));
    let only = |holds: bool| {
        if holds {
            covered.clone()
        } else {
            Spans::default()
        }
    };
    StateSpans {
        down: only(is_down),
        unknown: only(is_unknown && !is_down),
        absent,
        covered,
        ..StateSpans::default()
    }
}

/// Unknown time of several endpoints together, with the reason of one that was unknown then; where
/// they differ, the first in the order of the reasons.
fn why_unknown(unknown: &Spans, records: &[EndpointRecord]) -> Vec<(Span, Option<String>)> {
    let mut rest = unknown.clone();
    let mut list = Vec::new();
    for reason in Reason::ALL {
        let own = records
            .iter()
            .flat_map(|r| &r.unknown)
            .filter(|(_, why)| why == reason)
            .map(|(s, _)| *s);
        let told = Spans::new(own.collect()).both(&rest);
        rest = rest.minus(&told);
        list.extend(
            told.as_slice()
                .iter()
                .map(|s| (*s, Some(reason.as_str().to_owned()))),
        );
    }
    list.extend(rest.as_slice().iter().map(|s| (*s, None)));
    list.sort_by_key(|(s, _)| s.from);
    list
}

/// Outages of merged sets: each stretch that is down, with what surely and what possibly was around
/// it, and beside them what possibly was down alone. What is not known to have been up between is
/// one outage. `number`: of the outage that begins at an instant, where it has one.
pub fn of_sets(
    down: &Spans,
    lower: &Spans,
    upper: &Spans,
    up: &Spans,
    number: impl Fn(i64) -> Option<u64>,
) -> Down {
    let stretches = down.as_slice();
    let mut list: Vec<Outage> = Vec::new();
    let (mut used, mut current) = (BTreeSet::new(), 0);
    for (k, s) in stretches.iter().enumerate() {
        let (before, after) = (k.checked_sub(1).map(|k| stretches[k]), stretches.get(k + 1));
        let whole = upper
            .as_slice()
            .iter()
            .find(|u| u.from <= s.from && s.to <= u.to)
            .copied()
            .unwrap_or(*s);
        // Where the widest ends of two stretches meet, each has its own side.
        let wide = Span::new(
            before.map_or(whole.from, |b| whole.from.max(b.to)),
            after.map_or(whole.to, |a| whole.to.min(a.from)),
        );
        if before.is_none_or(|b| up.cut(Span::new(b.to, s.from)).length() > 0) {
            current = number(s.from).unwrap_or(k as u64 + 1);
            while !used.insert(current) {
                current += 1;
            }
        }
        let mut own = in_pieces(*s, wide, lower.cut(*s).as_slice());
        own.iter_mut()
            .for_each(|stretch| stretch.outage = Some(current));
        list.extend(own);
    }
    let possible = upper
        .as_slice()
        .iter()
        .filter(|u| down.cut(**u).length() == 0)
        .copied()
        .collect();
    (list, possible)
}

/// A stretch that is down, cut where more than one run of failures proves it: what lies between two
/// runs is not proven. The pieces touch, so that whoever unites them has the stretch again.
fn in_pieces(stretch: Span, wide: Span, runs: &[Span]) -> Vec<Outage> {
    let last = runs.len().saturating_sub(1);
    (0..runs.len().max(1))
        .map(|k| {
            let from = if k == 0 { stretch.from } else { runs[k].from };
            let to = if k == last {
                stretch.to
            } else {
                runs[k + 1].from
            };
            Outage {
                outage: None,
                is_open: false,
                excluded_by: None,
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

pub fn timeline(
    period: Span,
    components: Vec<RecordedComponent>,
    maintenance: Vec<Declared>,
) -> Timeline {
    Timeline {
        from: Some(period.from),
        to: Some(period.to),
        components: components.into_iter().map(|c| c.recorded).collect(),
        maintenance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgement::timeline::known_down;

    /// In service from 0, settled until 1000, down from 100 on if it is, and unknown from a while
    /// after.
    fn record(is_down: Option<OutageSpan>, unknown_from: i64) -> EndpointRecord {
        let unknown = Span::new(unknown_from, 1000);
        let outages: Vec<OutageSpan> = is_down.into_iter().collect();
        let down = known_down(&outages, &[unknown], 1000);
        EndpointRecord {
            from: Some(0),
            settled: 1000,
            down,
            outages,
            unknown: vec![(unknown, Reason::NotRunning)],
            ..EndpointRecord::default()
        }
    }

    #[test]
    fn an_outage_of_several_that_is_open_while_the_time_since_is_unknown_has_an_open_end() {
        let open = OutageSpan {
            id: 7,
            from: 100,
            from_earliest: 90,
            from_latest: 110,
            to: None,
            to_earliest: None,
            to_latest: None,
        };
        let ends = |records: &[EndpointRecord]| {
            let one = component(
                "c",
                &Version::ever(Combine::Series, ServiceStart::default()),
                (records, &Spans::default()),
                Span::new(0, 1000),
            );
            one.recorded
                .down
                .iter()
                .map(|o| (o.outage, o.from, o.to, o.is_open))
                .collect::<Vec<_>>()
        };
        let alone = ends(&[record(Some(open), 400)]);
        assert_eq!(
            alone,
            [(Some(7), 100, 400, false), (Some(7), 1000, 1000, true)]
        );
        assert_eq!(
            ends(&[record(Some(open), 400), record(None, 400)]),
            alone,
            "as of one endpoint"
        );
        assert_eq!(
            ends(&[record(Some(open), 1000), record(None, 400)]),
            [(Some(7), 100, 1000, true)]
        );
    }

    #[test]
    fn an_outage_of_several_that_has_just_begun_is_listed_with_length_0_and_an_open_end() {
        let open = |from: i64| OutageSpan {
            id: 7,
            from,
            from_earliest: from - 10,
            from_latest: from + 1,
            to: None,
            to_earliest: None,
            to_latest: None,
        };
        // Nothing of them is unknown.
        let up = || EndpointRecord {
            unknown: Vec::new(),
            ..record(None, 1000)
        };
        let down = |from: i64| EndpointRecord {
            unknown: Vec::new(),
            ..record(Some(open(from)), 1000)
        };
        let of = |records: &[EndpointRecord], combine: Combine| {
            let one = component(
                "c",
                &Version::ever(combine, ServiceStart::default()),
                (records, &Spans::default()),
                Span::new(0, 1000),
            );
            assert_eq!(
                one.sums.down,
                one.recorded
                    .down
                    .iter()
                    .map(|o| (o.to - o.from) as u64)
                    .sum::<u64>()
            );
            let is_its_doubt_apart =
                !one.recorded.down.is_empty() && !one.recorded.possible_down.is_empty();
            assert!(!is_its_doubt_apart, "{:?}", one.recorded);
            one.recorded
                .down
                .iter()
                .map(|o| (o.outage, o.from_earliest, o.from, o.to, o.is_open))
                .collect::<Vec<_>>()
        };
        let begun = [(Some(7), 990, 1000, 1000, true)];
        assert_eq!(of(&[down(1000)], Combine::Series), begun, "of one endpoint");
        assert_eq!(of(&[down(1000), up()], Combine::Series), begun);
        assert_eq!(
            of(&[down(1000), up()], Combine::Parallel),
            [],
            "the other keeps it up"
        );
        assert_eq!(of(&[down(1000), down(1000)], Combine::Parallel), begun);
        let since: Vec<_> = of(&[down(1000), down(400)], Combine::Parallel)
            .iter()
            .map(|o| (o.2, o.3, o.4))
            .collect();
        assert_eq!(
            since,
            [(1000, 1000, true)],
            "the first is down since before, the second only now"
        );
        assert_eq!(of(&[down(1000), up()], Combine::AtLeast(2)), begun);
        assert_eq!(of(&[down(1000), up()], Combine::AtLeast(1)), []);
        let lost = record(None, 900);
        assert_eq!(
            of(&[down(1000), lost], Combine::Parallel).len(),
            0,
            "of the other nothing is known"
        );
    }
}
