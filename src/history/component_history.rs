//! What components were made of, and when: how they combine, since when they are in service, and
//! which endpoints belonged to them.
//!
//! A line of the config counts from the moment it is recorded, for the time after it. So a
//! component is judged by the versions that were in force, and an endpoint that moved keeps its
//! past where it was.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use super::HistoryError;
use super::calendar::Calendar;
use super::dates::Dates;
use super::definitions::RecordedDefinitions;
use super::event::{ComponentDefinition, Event, EventRecord};
use super::prune_record::PruneRecord;
use crate::judgement::timeline::{Span, Spans};
use crate::words::UtcMs;

/// Earlier and later than anything.
pub(super) const EVER: UtcMs = i64::MAX / 4;
/// A component and its endpoints are recorded within this of each other at a start.
pub(super) const AT_ONCE_MS: i64 = 5000;

/// What the events tell of it. UTC.
#[derive(Debug, Clone, Default)]
pub struct ComponentHistory {
    /// When a config was recorded for the first time; nothing is told of components without.
    first_config: Option<UtcMs>,
    /// Definitions of a component, with when each was recorded.
    versions: BTreeMap<String, Vec<(UtcMs, ComponentDefinition)>>,
}

impl ComponentHistory {
    pub(super) fn read(
        connection: &Connection,
        (definitions, prune_record): (&RecordedDefinitions, Option<&PruneRecord>),
        (calendar, dates): (&Calendar, &Dates),
    ) -> Result<Self, HistoryError> {
        let mut history = Self {
            first_config: definitions.configs.first().map(|(at, _)| *at),
            ..Self::default()
        };
        for event in prune_record
            .iter()
            .flat_map(|prune_record| prune_record.basis())
        {
            history.apply(&event, (calendar, dates));
        }
        let mut statement = connection
            .prepare_cached("SELECT body FROM event WHERE kind = 'component' ORDER BY seq")?;
        for body in statement.query_map([], |r| r.get::<_, String>(0))? {
            if let Some(event) = EventRecord::parse(&body?) {
                history.apply(&event, (calendar, dates));
            }
        }
        Ok(history)
    }

    /// A damaged index finds other events, too.
    fn apply(&mut self, e: &EventRecord, (calendar, dates): (&Calendar, &Dates)) {
        let Event::Component(c) = &e.event else {
            return;
        };
        let at = dates.counts_from(e.at, calendar.utc(e.at));
        let definition = if c.gone == Some(true) {
            ComponentDefinition::UNDECLARED
        } else {
            c.definition()
        };
        let versions = self.versions.entry(c.component.clone()).or_default();
        versions.push((at, definition));
    }

    /// The definitions of a component, each from when it counts on; nothing where the events do not
    /// tell. `began`: its first start.
    ///
    /// The first counts for the time before it as well, unless the component was there before it
    /// was declared.
    pub fn versions(
        &self,
        component: &str,
        began: UtcMs,
    ) -> Option<Vec<(UtcMs, ComponentDefinition)>> {
        let first_config = self.first_config?;
        let Some(own) = self.versions.get(component).filter(|own| !own.is_empty()) else {
            return Some(vec![(-EVER, ComponentDefinition::UNDECLARED)]);
        };
        let mut list = own.clone();
        let first = list[0].0;
        if first > first_config && began + AT_ONCE_MS < first {
            list.insert(0, (-EVER, ComponentDefinition::UNDECLARED));
        } else {
            list[0].0 = -EVER;
        }
        Some(list)
    }
}

/// The components that endpoints belonged to, with when each was recorded; endpoints that never
/// moved are left out. UTC.
#[derive(Debug, Clone, Default)]
pub struct Moves(BTreeMap<String, Vec<(UtcMs, String)>>);

impl Moves {
    pub(super) fn read(
        connection: &Connection,
        (calendar, dates): (&Calendar, &Dates),
    ) -> Result<Self, HistoryError> {
        let mut moves: BTreeMap<String, Vec<(UtcMs, String)>> = BTreeMap::new();
        let sql = "SELECT e.name, v.body FROM event v JOIN endpoint e ON e.id = v.endpoint WHERE \
            v.kind = 'endpoint_component' ORDER BY v.seq";
        let mut statement = connection.prepare_cached(sql)?;
        for row in
            statement.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?)))?
        {
            let (endpoint, body) = row?;
            let Some(e) = EventRecord::parse(&body) else {
                continue;
            };
            let Event::EndpointComponent(moved) = e.event else {
                continue;
            };
            let own = moves.entry(endpoint).or_default();
            if own.is_empty() {
                own.push((-EVER, moved.before));
            }
            let at = dates.counts_from(e.at, calendar.utc(e.at));
            own.push((at, moved.component));
        }
        Ok(Self(moves))
    }

    /// Every endpoint that moved.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    pub(super) fn has(&self, endpoint: &str) -> bool {
        self.0.contains_key(endpoint)
    }

    /// When an endpoint belonged to a component, if it belongs to it at any time that is asked
    /// about.
    pub(super) fn inside(&self, endpoint: &str, component: &str) -> Spans {
        Spans::new(vec![Span::new(-EVER, EVER)]).minus(&self.outside(endpoint, component))
    }

    /// When an endpoint went from one component to another.
    pub(super) fn times(&self, endpoint: &str) -> impl Iterator<Item = UtcMs> + '_ {
        self.0
            .get(endpoint)
            .into_iter()
            .flatten()
            .map(|(at, _)| *at)
    }

    /// The component of an endpoint that moved.
    pub fn component_at(&self, endpoint: &str, at: UtcMs) -> Option<&str> {
        self.0
            .get(endpoint)?
            .iter()
            .rev()
            .find(|(from, _)| *from <= at)
            .map(|(_, component)| component.as_str())
            .filter(|c| !c.is_empty())
    }

    /// When an endpoint did not belong to a component.
    pub fn outside(&self, endpoint: &str, component: &str) -> Spans {
        let Some(moves) = self.0.get(endpoint) else {
            return Spans::default();
        };
        let until = |k: usize| moves.get(k + 1).map_or(EVER, |(at, _)| *at);
        Spans::new(
            moves
                .iter()
                .enumerate()
                .filter(|(_, (_, of))| of != component)
                .map(|(k, (from, _))| Span::new(*from, until(k)))
                .collect(),
        )
    }

    /// The components that an endpoint belonged to before the present one.
    pub fn earlier(&self, endpoint: &str, present: &str) -> BTreeSet<&str> {
        let moves = self.0.get(endpoint).map_or(&[][..], Vec::as_slice);
        moves
            .iter()
            .map(|(_, component)| component.as_str())
            .filter(|component| *component != present && !component.is_empty())
            .collect()
    }

    /// Of a span, what a correction that names a component takes out of the accounting of an
    /// endpoint. Recorded at `at`, while the endpoint belonged to that component, all of it; else
    /// the time in which it did. `present`: its component now. Of a correction whose event is
    /// pruned only this is known: it is older than every move.
    pub(super) fn excluded(
        &self,
        (endpoint, present): (&str, &str),
        component: &str,
        span: Span,
        at: Option<UtcMs>,
    ) -> Spans {
        let then = self
            .component_at(endpoint, at.unwrap_or(-EVER))
            .unwrap_or(present);
        if then == component {
            return Spans::new(vec![span]);
        }
        if self.has(endpoint) {
            self.inside(endpoint, component).cut(span)
        } else {
            Spans::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgement::timeline::Combine;

    fn history(first_config: UtcMs, shop: &[(UtcMs, Combine)]) -> ComponentHistory {
        let made = |combine| ComponentDefinition {
            combine,
            in_service_from: None,
        };
        let list = shop.iter().map(|(at, combine)| (*at, made(*combine)));
        let list = list.collect();
        ComponentHistory {
            first_config: Some(first_config),
            versions: [("shop".to_owned(), list)].into(),
        }
    }

    fn combines(history: &ComponentHistory, began: UtcMs) -> Vec<(UtcMs, Combine)> {
        let list = history.versions("shop", began).expect("told");
        list.into_iter().map(|(at, v)| (at, v.combine)).collect()
    }

    #[test]
    fn a_definition_counts_from_when_it_was_recorded() {
        let [parallel, series] = [Combine::Parallel, Combine::Series];
        let two = history(1000, &[(1000, parallel), (90_000, series)]);
        assert_eq!(
            combines(&two, 1000),
            [(-EVER, parallel), (90_000, series)],
            "the first for the time before it as well"
        );
        let declared_later = history(1000, &[(90_000, parallel)]);
        assert_eq!(
            combines(&declared_later, 1000),
            [(-EVER, series), (90_000, parallel)],
            "it was there before it was declared"
        );
        assert_eq!(
            combines(&declared_later, 90_000),
            [(-EVER, parallel)],
            "it came with its declaration"
        );
        assert_eq!(
            combines(
                &ComponentHistory {
                    first_config: Some(1),
                    ..ComponentHistory::default()
                },
                0
            ),
            [(-EVER, series)]
        );
        assert!(
            ComponentHistory::default().versions("shop", 0).is_none(),
            "histories of before tell nothing"
        );
    }

    #[test]
    fn an_endpoint_that_moves_is_outside_where_it_does_not_belong() {
        let moves = vec![
            (-EVER, "shop".to_owned()),
            (5000, "attic".to_owned()),
            (9000, "shop".to_owned()),
        ];
        let moves = Moves([("web".to_owned(), moves)].into());
        assert_eq!(
            moves.outside("web", "shop").as_slice(),
            [Span::new(5000, 9000)]
        );
        assert_eq!(
            moves.outside("web", "attic").as_slice(),
            [Span::new(-EVER, 5000), Span::new(9000, EVER)]
        );
        assert_eq!(moves.outside("db", "shop").as_slice(), []);
        assert_eq!(moves.earlier("web", "shop"), ["attic"].into());
    }

    #[test]
    fn a_correction_concerns_who_belonged_to_its_component() {
        let moves = Moves(
            [(
                "web".to_owned(),
                vec![(-EVER, "shop".to_owned()), (5000, "store".to_owned())],
            )]
            .into(),
        );
        let of = |component: &str, at: UtcMs| {
            moves
                .excluded(("web", "store"), component, Span::new(1000, 8000), Some(at))
                .as_slice()
                .to_vec()
        };
        assert_eq!(
            of("shop", 4000),
            [Span::new(1000, 8000)],
            "recorded while it belonged to it"
        );
        assert_eq!(
            of("shop", 9000),
            [Span::new(1000, 5000)],
            "recorded under the name of then"
        );
        assert_eq!(
            of("store", 9000),
            [Span::new(1000, 8000)],
            "under the name of now, it concerns what it was before as well"
        );
        assert_eq!(
            of("store", 4000),
            [Span::new(5000, 8000)],
            "another component was called so then"
        );
        assert_eq!(of("attic", 9000), []);
        let never = |component: &str| {
            moves
                .excluded(("db", "shop"), component, Span::new(1000, 8000), None)
                .length()
        };
        assert_eq!([never("shop"), never("store")], [7000, 0]);
    }
}
