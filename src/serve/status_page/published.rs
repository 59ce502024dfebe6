//! What is published: states, figures, outages and maintenance of components, as data.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use crate::account::figures::last_days;
use crate::config::Plan;
use crate::config::status_page::StatusPage;
use crate::engine::board::Board;
use crate::judgement::maintenance::Stored;
use crate::judgement::sla::calendar::{PeriodKind, current_and_previous};
use crate::judgement::timeline::{Span, Spans, StateSpans};
use crate::serve::component_members::Members;
use crate::serve::contracts::ContractStatuses;
use crate::serve::page::shown::{Cell, cell, component_cell};
use crate::words::{Ms, Name, StateName, UtcMs};

const DAY_MS: i64 = 86_400_000;
/// How far ahead planned maintenance is shown.
const AHEAD_DAYS: i64 = 60;
/// Occurrences of maintenance that are shown; a daily window has more.
const MOST_WINDOWS: usize = 20;
/// How long ago an outage began that is listed, as far as the states of components are kept.
pub const LISTED_DAYS: i64 = 360;

/// Everything that the status page shows, at one instant.
#[derive(Debug, PartialEq, Eq)]
pub struct PublicStatus {
    pub title: String,
    pub url: Option<String>,
    pub now: UtcMs,
    pub components: Vec<PublicComponent>,
    /// By begin; those that are under way come first.
    pub maintenance: Vec<PublicMaintenance>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct PublicComponent {
    pub id: Name,
    pub title: String,
    pub state: StateName,
    pub in_maintenance: bool,
    pub states: StateSpans,
    /// This month, the one before, the last 90 days and the last 360.
    pub figures: [PublicFigure; 4],
    /// The newest first.
    pub outages: Vec<PublicOutage>,
}

/// An availability over a period, and its bounds, as texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicFigure {
    pub period: String,
    pub point: String,
    pub bounds: String,
}

/// Unknown time interrupts an outage and does not end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicOutage {
    pub from: UtcMs,
    /// `None`: it goes on.
    pub to: Option<UtcMs>,
    /// What of it was measured as down.
    pub down: Ms,
}

/// One occurrence of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicMaintenance {
    pub window: Name,
    pub from: UtcMs,
    pub to: UtcMs,
    /// Of those that are shown; empty where it concerns all of them.
    pub components: Vec<Name>,
}

impl PublicStatus {
    /// Down before unknown before up; without components nothing is known.
    pub fn worst(&self) -> StateName {
        let is_any = |state| self.components.iter().any(|c| c.state == state);
        if is_any(StateName::Down) {
            StateName::Down
        } else if is_any(StateName::Unknown) || self.components.is_empty() {
            StateName::Unknown
        } else {
            StateName::Up
        }
    }

    /// How all of it is, in a sentence.
    pub fn headline(&self) -> String {
        let count = |state| self.components.iter().filter(|c| c.state == state).count();
        let (down, unknown) = (count(StateName::Down), count(StateName::Unknown));
        let are = |n: usize| if n == 1 { "is" } else { "are" };
        match (self.components.as_slice(), down, unknown) {
            ([], ..) => "No component is shown".to_owned(),
            ([one], ..) => format!("{} is {}", one.title, one.state.as_str()),
            (all, 0, 0) => format!("All {} components are up", all.len()),
            (all, 0, n) => format!("The state of {n} of {} components is unknown", all.len()),
            (all, n, 0) => format!("{n} of {} components {} down", all.len(), are(n)),
            (all, n, u) => format!(
                "{n} of {} components {} down, {u} unknown",
                all.len(),
                are(n)
            ),
        }
    }
}

impl PublicComponent {
    pub fn word(&self) -> &'static str {
        match (self.state, self.in_maintenance) {
            (state, false) => state.as_str(),
            (StateName::Up, true) => "up, under maintenance",
            (StateName::Down, true) => "down, under maintenance",
            (StateName::Unknown, true) => "unknown, under maintenance",
        }
    }
}

/// As the config asks for it, from what is in memory.
pub fn published(
    board: &Board,
    statuses: &ContractStatuses,
    page: &StatusPage,
    now: UtcMs,
) -> PublicStatus {
    let plan = board.plan.load_full();
    let mut members: BTreeMap<Name, Members> = BTreeMap::new();
    for entry in board.entries().iter() {
        let state = entry.view().shown.state;
        let component = entry.endpoint.load().component.clone();
        members.entry(component).or_default().count(state);
    }
    let shown = shown_components(&plan, page);
    let maintenance = maintenance(&board.windows.load(), &plan, &shown, now);
    let components = shown
        .iter()
        .filter_map(|id| {
            let known = plan.components.get(id)?;
            let in_maintenance = maintenance.iter().any(|m| m.concerns(id) && m.from <= now);
            // A component without endpoints is not measured.
            let state = (members.get(id)).map_or(StateName::Unknown, |m| m.state(known.combine));
            let states = statuses.states.by_name.get(id).cloned().unwrap_or_default();
            Some(PublicComponent {
                id: id.clone(),
                title: known.title.clone(),
                state,
                in_maintenance,
                figures: figures(statuses, (id, &states), now),
                outages: outages(&states, state, now),
                states,
            })
        })
        .collect();
    PublicStatus {
        title: page.title.clone(),
        url: page.url.clone(),
        now,
        components,
        maintenance,
    }
}

/// In the order of the config, or by title.
fn shown_components(plan: &Plan, page: &StatusPage) -> Vec<Name> {
    if !page.components.is_empty() {
        return page.components.clone();
    }
    let mut list: Vec<_> = plan.components.iter().collect();
    list.sort_by(|(_, a), (_, b)| a.title.cmp(&b.title));
    list.into_iter().map(|(id, _)| id.clone()).collect()
}

fn figures(
    statuses: &ContractStatuses,
    (id, states): (&Name, &StateSpans),
    now: UtcMs,
) -> [PublicFigure; 4] {
    let figure = |period: String, cell: Cell| PublicFigure {
        period,
        point: cell.point,
        bounds: cell.bounds,
    };
    let months = current_and_previous(PeriodKind::CalendarMonth, &TimeZone::UTC, now);
    let month = |which: &str, (name, _): &(String, Span)| {
        let mut all = statuses.components.iter();
        let found = all.find(|f| f.which == which && f.judged.component.as_ref() == Some(id));
        match found {
            Some(f) => figure(f.month.clone(), component_cell(Some(&f.judged))),
            None => PublicFigure {
                period: name.clone(),
                point: "–".to_owned(),
                bounds: "no record".to_owned(),
            },
        }
    };
    let days = |days: i64| {
        let sums = states.cut(last_days(now, days)).sums();
        figure(format!("{days} days"), cell(&sums))
    };
    [
        month("current", &months[0]),
        month("previous", &months[1]),
        days(90),
        days(LISTED_DAYS),
    ]
}

/// From the stretches that were down.
fn outages(states: &StateSpans, state: StateName, now: UtcMs) -> Vec<PublicOutage> {
    let mut list: Vec<PublicOutage> = Vec::new();
    for span in states.cut(last_days(now, LISTED_DAYS)).down.as_slice() {
        let length = (span.to - span.from).max(0) as Ms;
        if let Some(last) = list.last_mut()
            && let Some(to) = last.to
            && is_all(&states.unknown, Span::new(to, span.from))
        {
            last.to = Some(span.to);
            last.down += length;
            continue;
        }
        list.push(PublicOutage {
            from: span.from,
            to: Some(span.to),
            down: length,
        });
    }
    // What is settled ends with the outage that is still open, or with unknown time within it.
    if let Some(last) = list.last_mut()
        && let Some(to) = last.to
        && state != StateName::Up
        && is_all(&states.unknown, Span::new(to, states.end().max(to)))
    {
        last.to = None;
    }
    list.reverse();
    list
}

/// Whether a span is empty or lies in the given ones.
fn is_all(spans: &Spans, within: Span) -> bool {
    spans.cut(within).length() as i64 == within.to - within.from
}

impl PublicMaintenance {
    pub fn concerns(&self, id: &Name) -> bool {
        self.components.is_empty() || self.components.contains(id)
    }
}

/// Under way or planned, for what is shown.
fn maintenance(
    windows: &[Stored],
    plan: &Plan,
    shown: &[Name],
    now: UtcMs,
) -> Vec<PublicMaintenance> {
    let ahead = Span::new(now, now + AHEAD_DAYS * DAY_MS);
    let mut list = Vec::new();
    for stored in windows {
        let occurrences = stored.declared(ahead, None);
        if occurrences.is_empty() {
            continue;
        }
        let window = &stored.window;
        let of_all = window.components.is_empty() && window.endpoints.is_empty();
        let concerned = |id: &&Name| {
            window.components.contains(id)
                || (plan.endpoints.iter())
                    .any(|e| e.component == **id && window.endpoints.contains(&e.name))
        };
        let components: Vec<Name> = shown.iter().filter(concerned).cloned().collect();
        if !of_all && components.is_empty() {
            continue;
        }
        list.extend(occurrences.into_iter().map(|span| PublicMaintenance {
            window: window.id.clone(),
            from: span.from,
            to: span.to,
            components: if of_all {
                Vec::new()
            } else {
                components.clone()
            },
        }));
    }
    list.sort_by_key(|m| (m.from, m.to));
    list.truncate(MOST_WINDOWS);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(list: &[(i64, i64)]) -> Spans {
        Spans::new(
            list.iter()
                .map(|(from, to)| Span::new(*from, *to))
                .collect(),
        )
    }

    fn states(covered: (i64, i64), down: &[(i64, i64)], unknown: &[(i64, i64)]) -> StateSpans {
        StateSpans {
            covered: spans(&[covered]),
            down: spans(down),
            unknown: spans(unknown),
            ..StateSpans::default()
        }
    }

    fn listed(states: &StateSpans, state: StateName) -> Vec<(i64, Option<i64>, Ms)> {
        let list = outages(states, state, 1000);
        list.iter().map(|o| (o.from, o.to, o.down)).collect()
    }

    #[test]
    fn unknown_time_interrupts_an_outage_and_does_not_end_it() {
        let down = [(100, 200), (250, 300), (400, 500)];
        let of = states((0, 900), &down, &[(200, 250), (320, 400)]);
        assert_eq!(
            listed(&of, StateName::Up),
            [(400, Some(500), 100), (100, Some(300), 150)],
            "the second gap was up for a while"
        );
    }

    #[test]
    fn an_outage_goes_on_if_nothing_says_that_it_ended() {
        let open = states((0, 900), &[(100, 200), (800, 900)], &[]);
        let newest = |state| listed(&open, state)[0];
        assert_eq!(newest(StateName::Down), (800, None, 100));
        assert_eq!(newest(StateName::Unknown), (800, None, 100));
        assert_eq!(newest(StateName::Up), (800, Some(900), 100));
        let unsure = states((0, 900), &[(800, 850)], &[(850, 900)]);
        assert_eq!(listed(&unsure, StateName::Unknown), [(800, None, 50)]);
        let over = states((0, 900), &[(700, 800)], &[(850, 900)]);
        assert_eq!(
            listed(&over, StateName::Unknown),
            [(700, Some(800), 100)],
            "it was up in between"
        );
    }

    fn status(states: &[StateName]) -> PublicStatus {
        let component = |(n, state): (usize, &StateName)| PublicComponent {
            id: Name::new(&format!("c{n}")).expect("a name"),
            title: format!("C {n}"),
            state: *state,
            in_maintenance: false,
            states: StateSpans::default(),
            figures: std::array::from_fn(|_| PublicFigure {
                period: String::new(),
                point: String::new(),
                bounds: String::new(),
            }),
            outages: Vec::new(),
        };
        PublicStatus {
            title: "T".to_owned(),
            url: None,
            now: 0,
            components: states.iter().enumerate().map(component).collect(),
            maintenance: Vec::new(),
        }
    }

    #[test]
    fn a_sentence_says_how_all_of_it_is_and_unknown_is_never_up() {
        use StateName::{Down, Unknown, Up};
        for (states, worst, sentence) in [
            (&[][..], Unknown, "No component is shown"),
            (&[Up], Up, "C 0 is up"),
            (&[Unknown], Unknown, "C 0 is unknown"),
            (&[Up, Up], Up, "All 2 components are up"),
            (
                &[Up, Unknown],
                Unknown,
                "The state of 1 of 2 components is unknown",
            ),
            (&[Up, Down], Down, "1 of 2 components is down"),
            (&[Down, Down], Down, "2 of 2 components are down"),
            (
                &[Down, Unknown],
                Down,
                "1 of 2 components is down, 1 unknown",
            ),
        ] {
            let status = status(states);
            assert_eq!(
                (status.worst(), status.headline().as_str()),
                (worst, sentence)
            );
        }
    }
}
