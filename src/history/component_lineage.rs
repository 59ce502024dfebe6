//! What a component was while none of its endpoints belonged to it: a component that was renamed
//! goes on with its past.
//!
//! An endpoint that moves brings no past where others made up the component. Where nobody did, its
//! past is that of the component which it came from, if all of that came along; else it is time of
//! which nothing is known, and it stays in service.

use std::collections::{BTreeMap, BTreeSet};

use super::HistoryError;
use super::component_history::{AT_ONCE_MS, ComponentHistory, EVER, Moves};
use super::event::ComponentDefinition;
use super::reader::HistoryReader;
use crate::judgement::timeline::{Span, Spans};
use crate::words::UtcMs;

/// An endpoint of a component, with its first start. UTC.
pub type Member = (String, UtcMs);

/// A component with what it was called before.
#[derive(Debug, Clone)]
pub struct ComponentLineage<'r> {
    history: &'r ComponentHistory,
    moves: &'r Moves,
    component: &'r str,
    members: &'r [Member],
    /// When its members made up another component, which went on as this one.
    pub earlier: Vec<(Span, String)>,
    /// When its members were a part of something else, and it had none.
    pub apart: Spans,
}

impl<'r> ComponentLineage<'r> {
    /// What became of the time in which a component had no member, as far as its members were in
    /// service then.
    pub fn of(
        reader: &'r HistoryReader,
        component: &'r str,
        members: &'r [Member],
    ) -> Result<Self, HistoryError> {
        let moves = reader.moves()?;
        let mut lineage = Self {
            history: reader.component_history()?,
            moves,
            component,
            members,
            earlier: Vec::new(),
            apart: Spans::default(),
        };
        if !members.iter().any(|m| moves.times(&m.0).next().is_some()) {
            return Ok(lineage);
        }
        let own: Vec<(&Member, Spans)> = members
            .iter()
            .map(|m| {
                let spans = moves.inside(&m.0, component);
                (m, spans.cut(Span::new(m.1, EVER)))
            })
            .collect();
        let Some(first) = members.iter().map(|m| m.1).min() else {
            return Ok(lineage);
        };
        let has_some = own
            .iter()
            .fold(Spans::default(), |sum, (_, spans)| sum.union(spans));
        let gaps = Spans::new(vec![Span::new(first, EVER)]).minus(&has_some);
        let mut apart = Vec::new();
        for gap in gaps.as_slice().iter().filter(|gap| gap.to < EVER) {
            let joins = |spans: &Spans| {
                spans
                    .as_slice()
                    .iter()
                    .any(|s| s.from >= gap.to && s.from <= gap.to + AT_ONCE_MS)
            };
            let joiners: Vec<&Member> = own
                .iter()
                .filter(|(m, spans)| m.1 < gap.to && joins(spans))
                .map(|(m, _)| *m)
                .collect();
            for span in pieces(moves, &joiners, *gap) {
                match only_source(reader, &joiners, span)? {
                    Some(source) => lineage.earlier.push((span, source)),
                    None => apart.push(span),
                }
            }
        }
        lineage.apart = Spans::new(apart);
        Ok(lineage)
    }

    /// When an endpoint belonged neither to the component nor to what the component was before.
    pub fn outside(&self, (endpoint, first): &Member) -> Spans {
        let before = self
            .earlier
            .iter()
            .map(|(span, source)| self.moves.inside(endpoint, source).cut(*span));
        let mut inside = before.fold(self.moves.inside(endpoint, self.component), |sum, spans| {
            sum.union(&spans)
        });
        if inside.cut(Span::new(*first, first + 1)).length() > 0 {
            // Before its first start it was of nothing else.
            inside = inside.union(&Spans::new(vec![Span::new(-EVER, *first)]));
        }
        Spans::new(vec![Span::new(-EVER, EVER)]).minus(&inside)
    }

    /// The definitions of a component, each from when it counts on: those of what it was before
    /// among them.
    pub fn versions(&self) -> Option<Vec<(UtcMs, ComponentDefinition)>> {
        let members = self.members;
        let began = |name: &str| {
            let starts = members.iter().filter_map(|(endpoint, first)| {
                self.moves
                    .inside(endpoint, name)
                    .cut(Span::new(*first, EVER))
                    .as_slice()
                    .first()
                    .copied()
            });
            starts.map(|span| span.from).min().unwrap_or(EVER)
        };
        let own = self
            .history
            .versions(self.component, began(self.component))?;
        let in_force = |list: &[(UtcMs, ComponentDefinition)], at: UtcMs| {
            list.iter()
                .rev()
                .find(|(from, _)| *from <= at)
                .map(|(_, v)| *v)
        };
        let mut all: BTreeMap<UtcMs, ComponentDefinition> = own.iter().cloned().collect();
        let first = members.iter().map(|m| m.1).min().unwrap_or(EVER);
        for (span, source) in &self.earlier {
            let before = self.history.versions(source, began(source))?;
            let after = in_force(&own, span.to);
            // Before the first start nothing was made up of anything.
            all.retain(|at, _| *at < span.from && span.from > first || *at >= span.to);
            all.extend(
                before
                    .iter()
                    .filter(|(at, _)| (span.from..span.to).contains(at))
                    .cloned(),
            );
            all.extend(in_force(&before, span.from).map(|v| (span.from, v)));
            if !all.contains_key(&span.to) {
                all.extend(after.map(|v| (span.to, v)));
            }
        }
        // The first counts for the time before it as well.
        let mut list: Vec<(UtcMs, ComponentDefinition)> = all.into_iter().collect();
        list.first_mut()?.0 = -EVER;
        Some(list)
    }
}

/// A gap cut where one of the joiners came into service or moved; before the first start of any
/// there is none.
fn pieces(moves: &Moves, joiners: &[&Member], gap: Span) -> Vec<Span> {
    let Some(first) = joiners.iter().map(|m| m.1).min() else {
        return Vec::new();
    };
    let mut cuts: BTreeSet<i64> = joiners
        .iter()
        .flat_map(|(endpoint, first)| moves.times(endpoint).chain([*first]))
        .collect();
    cuts.extend([gap.from.max(first), gap.to]);
    let inside: Vec<i64> = cuts
        .into_iter()
        .filter(|at| (gap.from.max(first)..=gap.to).contains(at))
        .collect();
    inside
        .windows(2)
        .map(|pair| Span::new(pair[0], pair[1]))
        .collect()
}

/// The component that all of the joiners made up in a span, with nobody else.
fn only_source(
    reader: &HistoryReader,
    joiners: &[&Member],
    span: Span,
) -> Result<Option<String>, HistoryError> {
    let moves = reader.moves()?;
    let there = joiners.iter().filter(|(_, first)| *first < span.to);
    let sources: BTreeSet<Option<&str>> = there
        .map(|(endpoint, _)| moves.component_at(endpoint, span.from))
        .collect();
    let [Some(source)] = sources.into_iter().collect::<Vec<_>>()[..] else {
        return Ok(None);
    };
    let names: BTreeSet<&str> = joiners.iter().map(|m| m.0.as_str()).collect();
    let is_alone = all_members(reader, source, span)?
        .iter()
        .all(|name| names.contains(name.as_str()));
    Ok(is_alone.then(|| source.to_owned()))
}

/// Every endpoint that belonged to a component in a span; those that were taken out of service
/// among them.
fn all_members(
    reader: &HistoryReader,
    component: &str,
    span: Span,
) -> Result<BTreeSet<String>, HistoryError> {
    let (moves, calendar) = (reader.moves()?, reader.calendar()?);
    let has_been = |endpoint: &&String| moves.inside(endpoint, component).cut(span).length() > 0;
    let mut all: BTreeSet<String> = moves.endpoints().filter(has_been).cloned().collect();
    let sql = "SELECT e.name, (SELECT min(v.at) FROM event v WHERE v.endpoint = e.id AND \
        v.kind = 'endpoint_added') FROM endpoint e WHERE e.component = ?1";
    let mut statement = reader.connection().prepare_cached(sql)?;
    for row in statement.query_map([component], |r| {
        Ok((r.get::<_, String>(0)?, r.get::<_, Option<i64>>(1)?))
    })? {
        let (name, added) = row?;
        // Who came later was not there; of whom the events are pruned was.
        if !moves.has(&name) && added.is_none_or(|at| calendar.utc(at as u64) < span.to) {
            all.insert(name);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::EventDraft;
    use crate::history::event::{
        ComponentEvent, ConfigEvent, DaemonStartedEvent, EndpointAddedEvent,
        EndpointComponentEvent, exported,
    };
    use crate::history::in_memory::InMemoryHistory;
    use crate::judgement::timeline::Combine;
    use crate::words::Name;

    const FIRST: UtcMs = 1_000_000;

    /// `list`: (when, kind, endpoint, component or what it was before -> component).
    fn history(list: &[(UtcMs, &str, &str, &str)]) -> HistoryReader {
        let sha256 = "x".to_owned();
        let mut events = vec![
            EventDraft::general(1, 0, DaemonStartedEvent::default()),
            EventDraft::general(1, 0, ConfigEvent { sha256 }),
        ];
        for (at, kind, name, more) in list {
            let at = *at as u64;
            let component = (*more).to_owned();
            let who = (1, Name::new(name).expect("a name"));
            events.push(match *kind {
                "component" => {
                    let combine = match *more {
                        "parallel" => Combine::Parallel,
                        _ => Combine::Series,
                    };
                    let definition = ComponentDefinition {
                        combine,
                        in_service_from: None,
                    };
                    EventDraft::general(at, 0, ComponentEvent::declared(name, definition))
                }
                "endpoint_component" => {
                    let (before, after) = more.split_once(" -> ").expect("two");
                    let moved = EndpointComponentEvent {
                        component: after.to_owned(),
                        before: before.to_owned(),
                    };
                    EventDraft::of_endpoint(who, at, 0, moved)
                }
                _ => {
                    let added = EndpointAddedEvent {
                        component,
                        ..EndpointAddedEvent::default()
                    };
                    EventDraft::of_endpoint(who, at, 0, added)
                }
            });
        }
        InMemoryHistory::of(None, &exported(events)).expect("readable")
    }

    fn named(list: &[(&str, UtcMs)]) -> Vec<Member> {
        list.iter()
            .map(|(name, first)| ((*name).to_owned(), *first))
            .collect()
    }

    fn of<'r>(
        reader: &'r HistoryReader,
        component: &'r str,
        members: &'r [Member],
    ) -> ComponentLineage<'r> {
        ComponentLineage::of(reader, component, members).expect("read")
    }

    #[test]
    fn a_component_that_was_renamed_goes_on_with_its_past_and_its_combination() {
        let moved = FIRST + 900_000;
        let reader = history(&[
            (FIRST, "component", "shop", "parallel"),
            (FIRST, "endpoint_added", "a", "shop"),
            (FIRST, "endpoint_added", "b", "shop"),
            (moved, "component", "store", "series"),
            (moved, "endpoint_component", "a", "shop -> store"),
            (moved, "endpoint_component", "b", "shop -> store"),
            (moved + 60_000, "endpoint_added", "later", "shop"),
        ]);
        let members = named(&[("a", FIRST), ("b", FIRST)]);
        let lineage = of(&reader, "store", &members);
        assert_eq!(lineage.apart.as_slice(), []);
        assert_eq!(
            lineage.outside(&members[0]).as_slice(),
            [],
            "what is later called shop is another"
        );
        let versions = lineage.versions().expect("readable");
        let combines: Vec<_> = versions.iter().map(|(at, v)| (*at, v.combine)).collect();
        assert_eq!(
            combines,
            [(-EVER, Combine::Parallel), (moved, Combine::Series)]
        );
    }

    #[test]
    fn there_and_back_again_is_no_hole() {
        let (there, back) = (FIRST + 300_000, FIRST + 600_000);
        let reader = history(&[
            (FIRST, "endpoint_added", "a", "shop"),
            (there, "endpoint_component", "a", "shop -> store"),
            (back, "endpoint_component", "a", "store -> shop"),
        ]);
        let members = named(&[("a", FIRST)]);
        let lineage = of(&reader, "shop", &members);
        assert_eq!(lineage.outside(&members[0]).as_slice(), []);
        let members = named(&[("a", FIRST)]);
        let lineage = of(&reader, "store", &members);
        assert_eq!(
            lineage.outside(&members[0]).as_slice(),
            [Span::new(back, EVER)],
            "it was, until it left"
        );
    }

    #[test]
    fn where_somebody_stays_behind_or_comes_from_elsewhere_the_past_is_not_known() {
        let moved = FIRST + 900_000;
        for (why, more) in [
            ("one stays", (FIRST, "endpoint_added", "b", "shop")),
            (
                "one was there once",
                (FIRST, "endpoint_removed", "b", "shop"),
            ),
            (
                "another came from the attic",
                (moved, "endpoint_component", "b", "attic -> store"),
            ),
        ] {
            let mut list = vec![
                (FIRST, "endpoint_added", "a", "shop"),
                (
                    FIRST,
                    "endpoint_added",
                    "b",
                    if why.contains("attic") {
                        "attic"
                    } else {
                        "shop"
                    },
                ),
            ];
            list.push((moved, "endpoint_component", "a", "shop -> store"));
            list.extend([more].into_iter().filter(|m| m.1 != "endpoint_added"));
            let reader = history(&list);
            let members: &[(&str, UtcMs)] = if why.contains("attic") {
                &[("a", FIRST), ("b", FIRST)]
            } else {
                &[("a", FIRST)]
            };
            let members = named(members);
            let lineage = of(&reader, "store", &members);
            assert_eq!(lineage.apart.as_slice(), [Span::new(FIRST, moved)], "{why}");
            assert_eq!(
                lineage.outside(&members[0]).as_slice(),
                [Span::new(-EVER, moved)],
                "{why}"
            );
        }
    }

    #[test]
    fn who_joins_others_brings_no_past_and_a_component_that_is_new_has_none() {
        let moved = FIRST + 900_000;
        let reader = history(&[
            (FIRST, "endpoint_added", "a", "shop"),
            (FIRST + 10, "endpoint_added", "b", "attic"),
            (moved, "endpoint_component", "a", "shop -> attic"),
        ]);
        let members = named(&[("a", FIRST), ("b", FIRST + 10)]);
        let lineage = of(&reader, "attic", &members);
        assert_eq!(
            lineage.outside(&members[0]).as_slice(),
            [Span::new(-EVER, moved)]
        );
        assert_eq!(lineage.apart.as_slice(), [], "others made it up");
        let members = named(&[("a", FIRST)]);
        let lineage = of(&reader, "shop", &members);
        assert_eq!(
            (lineage.earlier.len(), lineage.apart.as_slice()),
            (0, &[][..]),
            "a gap that nobody ends is the end"
        );
    }
}
