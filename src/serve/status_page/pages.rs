//! The pages as HTML. They are complete without a script and ask nobody else for anything.

use std::hash::{Hash, Hasher};

use askama::Template;

use super::published::{OutageEnd, PublicComponent, PublicFigure, PublicOutage, PublicStatus};
use crate::judgement::timeline::{Span, StateSpans};
use crate::serve::page::bar::{Bar, BarSpan, bar};
use crate::serve::page::shown::clock;
use crate::words::{UtcMs, format_utc, people};

/// The style of both pages.
pub const STYLE: &str = include_str!("status.css");
/// What they do in a browser that runs scripts.
pub const SCRIPT: &str = include_str!("status.js");

const DAY_MS: i64 = 86_400_000;
/// Outages that began within so many days are on the first page.
const RECENT_DAYS: i64 = 14;
/// And so many of them at most; a component's own page has its others.
const RECENT: usize = 50;
/// Outages on a component's page.
const OUTAGES: usize = 200;

#[derive(Template)]
#[template(path = "status_page/front.html")]
struct Front<'s> {
    status: &'s PublicStatus,
    headline: String,
    worst: &'static str,
    now: String,
    at: String,
    files: String,
    maintenance: Vec<WindowRow>,
    rows: Vec<Row<'s>>,
    days: Vec<OutageDay<'s>>,
    is_judged: bool,
}

#[derive(Template)]
#[template(path = "status_page/component.html")]
struct ComponentPage<'s> {
    status: &'s PublicStatus,
    headline: String,
    now: String,
    at: String,
    files: String,
    row: Row<'s>,
    days: Vec<DayRow>,
    outages: Vec<OutageLine<'s>>,
    more: usize,
}

/// One component.
struct Row<'s> {
    title: &'s str,
    address: String,
    state: &'static str,
    word: &'static str,
    bar: Bar,
    figures: &'s [PublicFigure],
}

/// The outages that began on one day.
struct OutageDay<'s> {
    date: String,
    outages: Vec<OutageLine<'s>>,
}

struct OutageLine<'s> {
    title: &'s str,
    /// "was down from 12:00:00 to 12:05:03, 5 min 3 s".
    text: String,
}

struct WindowRow {
    when: String,
    whom: String,
}

/// A day that was not wholly up.
struct DayRow {
    date: String,
    up: String,
    down: String,
    unknown: String,
}

/// The first page.
pub fn front(status: &PublicStatus) -> String {
    let page = Front {
        status,
        headline: status.headline(),
        worst: status.worst().as_str(),
        now: clock(status.now),
        at: format_utc(status.now),
        files: files(),
        maintenance: windows(status),
        rows: status
            .components
            .iter()
            .map(|c| row(c, status.now))
            .collect(),
        days: recent(status),
        is_judged: status.components.iter().all(|c| c.is_judged),
    };
    page.render().unwrap_or_default()
}

/// The page of a component.
pub fn component(status: &PublicStatus, c: &PublicComponent) -> String {
    let listed = c.outages.iter().take(OUTAGES);
    let page = ComponentPage {
        status,
        headline: format!("{} is {}", c.title, c.word()),
        now: clock(status.now),
        at: format_utc(status.now),
        files: files(),
        row: row(c, status.now),
        days: days(&c.states, status.now),
        outages: listed.map(|o| line(c, o)).collect(),
        more: c.outages.len().saturating_sub(OUTAGES),
    };
    page.render().unwrap_or_default()
}

/// Changes with style and script, which browsers keep.
fn files() -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    (STYLE, SCRIPT).hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

fn row(c: &PublicComponent, now: UtcMs) -> Row<'_> {
    let drawn = BarSpan::Quarter.period(now);
    Row {
        title: &c.title,
        address: format!("/components/{}", c.id),
        state: c.state.as_str(),
        word: c.word(),
        bar: bar(&c.states.cut(drawn), drawn),
        figures: &c.figures,
    }
}

/// The newest first, by the day on which they began.
fn recent(status: &PublicStatus) -> Vec<OutageDay<'_>> {
    let since = status.now - RECENT_DAYS * DAY_MS;
    let each = status.components.iter();
    let mut list: Vec<_> = each
        .flat_map(|c| c.outages.iter().map(move |o| (c, o)))
        .filter(|(_, o)| match o.end {
            OutageEnd::At(to) => to >= since,
            OutageEnd::Open | OutageEnd::Unsettled => true,
        })
        .collect();
    list.sort_by_key(|(_, o)| std::cmp::Reverse(o.from));
    let mut days: Vec<OutageDay> = Vec::new();
    for (c, outage) in list.into_iter().take(RECENT) {
        let date = day_of(outage.from);
        if days.last().is_none_or(|day| day.date != date) {
            let outages = Vec::new();
            days.push(OutageDay { date, outages });
        }
        if let Some(day) = days.last_mut() {
            day.outages.push(line(c, outage));
        }
    }
    days
}

/// `2026-11-01`.
fn day_of(at: UtcMs) -> String {
    format_utc(at)[..10].to_owned()
}

/// Seconds are shown: what a contract counts is in its report, to the millisecond.
fn line<'s>(c: &'s PublicComponent, outage: &PublicOutage) -> OutageLine<'s> {
    let from = clock(outage.from);
    let text = match outage.end {
        OutageEnd::Unsettled => format!("was down from {from}; the end is not settled yet"),
        OutageEnd::Open => format!(
            "has been down since {from}, so far {}",
            people::duration(outage.down)
        ),
        OutageEnd::At(to) if day_of(to) == day_of(outage.from) => {
            let to = &clock(to)[11..];
            format!(
                "was down from {from} to {to}, {}",
                people::duration(outage.down)
            )
        }
        OutageEnd::At(to) => {
            let to = clock(to);
            format!(
                "was down from {from} to {to}, {}",
                people::duration(outage.down)
            )
        }
    };
    OutageLine {
        title: &c.title,
        text,
    }
}

fn windows(status: &PublicStatus) -> Vec<WindowRow> {
    let minute = |at: UtcMs| clock(at)[..16].to_owned();
    let of = |m: &super::published::PublicMaintenance| {
        let (from, to) = (minute(m.from), minute(m.to));
        let names: Vec<&str> = status
            .components
            .iter()
            .filter(|c| m.components.contains(&c.id))
            .map(|c| c.title.as_str())
            .collect();
        WindowRow {
            when: if m.from <= status.now {
                format!("Under way, until {to} UTC:")
            } else {
                format!("{from} to {to} UTC:")
            },
            whom: if m.components.is_empty() {
                "all components".to_owned()
            } else {
                names.join(", ")
            },
        }
    };
    status.maintenance.iter().map(of).collect()
}

/// The newest first.
fn days(states: &StateSpans, now: UtcMs) -> Vec<DayRow> {
    let drawn = BarSpan::Quarter.period(now);
    let mut list = Vec::new();
    let mut to = drawn.to;
    while to > drawn.from {
        let day = Span::new(to - DAY_MS, to);
        let sums = states.cut(day).sums();
        if sums.down + sums.unknown > 0 {
            list.push(DayRow {
                date: day_of(day.from),
                up: people::duration(sums.up),
                down: people::duration(sums.down),
                unknown: people::duration(sums.unknown),
            });
        }
        to = day.from;
    }
    list
}
