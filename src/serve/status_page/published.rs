//! What is published: states, figures, outages and maintenance of components, as data.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use crate::account::figures::last_days;
use crate::config::Plan;
use crate::config::status_page::StatusPage;
use crate::engine::board::Board;
use crate::judgement::maintenance::Stored;
use crate::judgement::sla::calendar::{PeriodKind, current_and_previous};
use crate::judgement::sla::record::Declared;
use crate::judgement::timeline::{Span, Spans, StateSpans};
use crate::serve::component_members::Members;
use crate::serve::contracts::ContractStatuses;
use crate::serve::page::shown::{Cell, cell, component_cell};
use crate::words::{Ms, Name, StateName, UtcMs};

const DAY_MS: i64 = 86_400_000;
/// How far ahead planned maintenance is shown.
const AHEAD_DAYS: i64 = 60;
/// Occurrences of one window that are shown, and of all of them.
const MOST_OF_A_WINDOW: usize = 5;
const MOST_WINDOWS: usize = 50;
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
    /// Its record was read since the start.
    pub is_judged: bool,
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
    pub end: OutageEnd,
    /// What of it was measured as down.
    pub down: Ms,
}

/// How far an outage has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutageEnd {
    /// It goes on.
    Open,
    /// It is over, and the record does not reach that far yet.
    Unsettled,
    At(UtcMs),
}

impl PublicOutage {
    pub fn is_resolved(&self) -> bool {
        matches!(self.end, OutageEnd::At(_))
    }
}

/// One occurrence of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicMaintenance {
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
        let component = entry.endpoint.load().component.clone();
        members
            .entry(component)
            .or_default()
            .add(&entry.view().shown);
    }
    let shown = shown_components(&plan, page);
    let mut maintenance = maintenance(&board.windows.load(), &plan, &shown, now);
    let components = shown
        .iter()
        .filter_map(|id| {
            let known = plan.components.get(id)?;
            let in_maintenance = maintenance.iter().any(|m| m.concerns(id) && m.from <= now);
            let of = members.get(id);
            let kept = statuses.states.by_name.get(id);
            let states = kept.cloned().unwrap_or_default();
            Some(PublicComponent {
                id: id.clone(),
                title: known.title.clone(),
                // A component without endpoints is not measured.
                state: of.map_or(StateName::Unknown, |m| m.state(known.combine)),
                in_maintenance,
                is_judged: kept.is_some() || of.is_none(),
                figures: figures(statuses, (id, &states), now),
                outages: outages(&states, of.map(|m| m.down_since(known.combine)), now),
                states,
            })
        })
        .collect();
    maintenance.truncate(MOST_WINDOWS);
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

/// From the stretches that were down. `live`: since when the component is down now, if it is;
/// `None`: it has no endpoint.
fn outages(states: &StateSpans, live: Option<Option<UtcMs>>, now: UtcMs) -> Vec<PublicOutage> {
    let mut list: Vec<PublicOutage> = Vec::new();
    for span in states.down.as_slice() {
        let (end, down) = (OutageEnd::At(span.to), (span.to - span.from).max(0) as Ms);
        if let Some(last) = list.last_mut()
            && let OutageEnd::At(to) = last.end
            && !was_up(states, Span::new(to, span.from))
        {
            last.end = end;
            last.down += down;
            continue;
        }
        let from = span.from;
        list.push(PublicOutage { from, end, down });
    }
    let newest = list.last_mut().and_then(|last| match last.end {
        OutageEnd::At(to) => Some((last, to)),
        OutageEnd::Open | OutageEnd::Unsettled => None,
    });
    match (live, newest) {
        (Some(Some(since)), Some((last, to))) if since <= to => last.end = OutageEnd::Open,
        // The record does not reach it yet.
        (Some(Some(since)), _) => list.push(PublicOutage {
            from: since,
            end: OutageEnd::Open,
            down: (now - since).max(0) as Ms,
        }),
        (Some(None), Some((last, to))) if !was_up(states, Span::new(to, states.end().max(to))) => {
            last.end = OutageEnd::Unsettled;
        }
        // What left service was not seen to recover, and nothing more will be known of it.
        (Some(None) | None, _) => {}
    }
    list.reverse();
    list
}

/// Whether some of a span was measured as up.
fn was_up(states: &StateSpans, within: Span) -> bool {
    let length = |spans: &Spans| spans.cut(within).length();
    length(&states.covered) > length(&states.unknown) + length(&states.down)
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
        // A window that was cancelled has ended then.
        let is_ahead = |d: &Declared| Span::new(d.from, d.to).cut(ahead).is_some();
        let mut occurrences = stored.declared(ahead, None);
        occurrences.retain(is_ahead);
        occurrences.truncate(MOST_OF_A_WINDOW);
        if occurrences.is_empty() {
            continue;
        }
        let window = &stored.window;
        let of_all = window.components.is_empty() && window.endpoints.is_empty();
        // As contracts read it: one endpoint of several is not the component.
        let concerned = |id: &&Name| {
            let mut of_it = plan
                .endpoints
                .iter()
                .filter(|e| e.component == **id)
                .peekable();
            window.components.contains(id)
                || of_it.peek().is_some() && of_it.all(|e| window.endpoints.contains(&e.name))
        };
        let components: Vec<Name> = shown.iter().filter(concerned).cloned().collect();
        if !of_all && components.is_empty() {
            continue;
        }
        list.extend(occurrences.into_iter().map(|span| PublicMaintenance {
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
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{OneText, load};
    use crate::judgement::maintenance::{Origin, Window};

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

    fn listed(states: &StateSpans, live: Option<Option<UtcMs>>) -> Vec<(UtcMs, OutageEnd, Ms)> {
        let list = outages(states, live, 1000);
        list.iter().map(|o| (o.from, o.end, o.down)).collect()
    }

    use OutageEnd::{At, Open, Unsettled};

    #[test]
    fn an_outage_ends_where_time_was_measured_as_up() {
        let down = [(100, 200), (250, 300), (400, 500)];
        let of = states((0, 900), &down, &[(200, 250), (320, 400)]);
        assert_eq!(
            listed(&of, Some(None)),
            [(400, At(500), 100), (100, At(300), 150)],
            "unknown time interrupts an outage and does not end it"
        );
        // What a correction takes out was not measured as up either.
        let mut excluded = states((0, 900), &[(100, 200), (250, 300)], &[]);
        excluded.covered = spans(&[(0, 200), (250, 900)]);
        assert_eq!(listed(&excluded, Some(None)), [(100, At(300), 150)]);
    }

    #[test]
    fn an_outage_goes_on_if_the_one_that_is_open_now_began_within_it() {
        let of = states((0, 900), &[(100, 200), (800, 900)], &[]);
        let newest = |live| listed(&of, live)[0];
        assert_eq!(newest(Some(Some(800))), (800, Open, 100));
        assert_eq!(newest(Some(None)), (800, Unsettled, 100));
        assert_eq!(newest(None), (800, At(900), 100), "the endpoint has left");
        // The record ends before the component was up and down again.
        assert_eq!(
            listed(&of, Some(Some(950)))[..2],
            [(950, Open, 50), (800, At(900), 100)]
        );
        let unsure = states((0, 900), &[(800, 850)], &[(850, 900)]);
        assert_eq!(listed(&unsure, Some(Some(800))), [(800, Open, 50)]);
        assert_eq!(listed(&unsure, Some(None)), [(800, Unsettled, 50)]);
        let over = states((0, 900), &[(700, 800)], &[(850, 900)]);
        assert_eq!(listed(&over, Some(None)), [(700, At(800), 100)]);
    }

    #[test]
    fn maintenance_is_shown_as_contracts_read_it_and_not_after_it_was_cancelled() {
        let text = "[component.a]\n[component.b]\n[[endpoint]]\nname = \"one\"\ncomponent = \"a\"\n\
            probe.tcp = \"h:1\"\n[[endpoint]]\nname = \"two\"\ncomponent = \"a\"\nprobe.tcp = \
            \"h:1\"\n[[endpoint]]\nname = \"three\"\ncomponent = \"b\"\nprobe.tcp = \"h:1\"\n";
        let plan = load(std::path::Path::new("probity.toml"), &OneText(text)).expect("a plan");
        let name = |text: &str| Name::new(text).expect("a name");
        let shown = [name("a"), name("b")];
        let window = |endpoints: &[&str], ended| Stored {
            window: Window {
                id: name("w"),
                components: Vec::new(),
                endpoints: endpoints.iter().map(|e| name(e)).collect(),
                start: "2026-11-01T10:00".parse().expect("a time"),
                zone: TimeZone::UTC,
                start_instant: None,
                every: Vec::new(),
                duration: 7_200_000,
                announced_at: None,
                reason: String::new(),
            },
            recorded: 0,
            ended,
            by: String::new(),
            origin: Origin::Config,
        };
        let at = |text: &str| crate::words::parse_utc(text).expect("a time");
        let now = at("2026-11-01T11:00:00Z");
        let concerned = |window: Stored| {
            let list = maintenance(&[window], &plan, &shown, now);
            list.first().map(|m| (m.to, m.components.clone()))
        };
        let until = at("2026-11-01T12:00:00Z");
        assert_eq!(
            concerned(window(&["three"], None)),
            Some((until, vec![name("b")]))
        );
        assert_eq!(
            concerned(window(&["one", "two"], None)),
            Some((until, vec![name("a")]))
        );
        assert_eq!(
            concerned(window(&["one"], None)),
            None,
            "not all of its endpoints"
        );
        assert_eq!(concerned(window(&[], None)), Some((until, Vec::new())));
        let cancelled = Some(at("2026-11-01T10:30:00Z"));
        assert_eq!(concerned(window(&[], cancelled)), None);
    }

    fn status(states: &[StateName]) -> PublicStatus {
        let component = |(n, state): (usize, &StateName)| PublicComponent {
            id: Name::new(&format!("c{n}")).expect("a name"),
            title: format!("C {n}"),
            state: *state,
            in_maintenance: false,
            is_judged: true,
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
