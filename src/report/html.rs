//! A report as one HTML file that needs nothing else, for screen and paper.

use askama::Template;
use jiff::tz::TimeZone;

use super::blocks::{Block, LocalizedReport};
use super::object::ContractReport;
use super::words::{Language, Word};
use crate::account::shown::ShownComponent;
use crate::judgement::sla::calendar::days;
use crate::judgement::timeline::Span;
use crate::judgement::zones;
use crate::words::{UtcMs, parse_utc};

/// Days of the strip; a year has no more, and a rolling one touches one more.
const DAYS: usize = 367;
/// Of one day, with the gap after it.
const DAY_WIDTH: i64 = 10;

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage<'p> {
    lang: &'static str,
    title: String,
    verdict: &'static str,
    blocks: &'p [Block],
    strips: Vec<Strip>,
    day_by_day: String,
}

/// The days of one component.
struct Strip {
    name: String,
    width: i64,
    days: Vec<Day>,
}

struct Day {
    x: i64,
    class: &'static str,
    /// For who hovers or listens.
    says: String,
}

/// The HTML of a report.
pub fn html(report: &ContractReport, language: Language) -> String {
    let shown = LocalizedReport { report, language };
    let blocks = shown.blocks();
    let page = ReportPage {
        lang: language.tag(),
        title: shown.title(),
        verdict: shown.worst().as_str(),
        blocks: &blocks,
        strips: strips(&shown),
        day_by_day: Word::DayByDay.say(language).into(),
    };
    page.render()
        .unwrap_or_else(|e| format!("the report cannot be rendered: {e}"))
}

fn strips(shown: &LocalizedReport) -> Vec<Strip> {
    let report = shown.report;
    let period = &report.evaluation.period;
    let (Some(from), Some(to), Some(until)) = (
        parse_utc(&period.start),
        parse_utc(&period.end),
        parse_utc(&report.settled_until),
    ) else {
        return Vec::new();
    };
    let zone = report
        .time_zone
        .as_deref()
        .and_then(zones::zone)
        .unwrap_or(TimeZone::UTC);
    let of = |c: &ShownComponent| {
        let known = DayByDay {
            down: spans(c.down.iter().map(|s| (&s.from, &s.to)), until),
            unknown: spans(c.unknown.iter().map(|s| (&s.from, &s.to)), until),
            until,
        };
        let days: Vec<Day> = days(Span::new(from, to), &zone)
            .take(DAYS)
            .zip(0..)
            .map(|((date, day), k)| known.day(shown.language, &date.to_string(), (day, k)))
            .collect();
        Strip {
            name: c.name.clone(),
            width: days.len() as i64 * DAY_WIDTH,
            days,
        }
    };
    report.timeline.components.iter().map(of).collect()
}

/// What is written of stretches, as spans; an open one ends where the record does.
fn spans<'s>(
    list: impl Iterator<Item = (&'s Option<String>, &'s Option<String>)>,
    until: UtcMs,
) -> Vec<Span> {
    let at = |instant: &Option<String>| instant.as_deref().and_then(parse_utc);
    list.filter_map(|(from, to)| Some(Span::new(at(from)?, at(to).unwrap_or(until))))
        .collect()
}

/// What is known of a component.
struct DayByDay {
    down: Vec<Span>,
    unknown: Vec<Span>,
    until: UtcMs,
}

impl DayByDay {
    fn day(&self, language: Language, date: &str, (day, k): (Span, i64)) -> Day {
        let sum = |list: &[Span]| {
            list.iter()
                .filter_map(|s| s.cut(day))
                .map(Span::length)
                .sum::<u64>()
        };
        let (d, u) = (sum(&self.down), sum(&self.unknown));
        let class = match (d, u) {
            _ if day.from >= self.until => "future",
            (1.., _) => "down",
            (0, u) if u * 2 > day.length() => "unknown",
            (0, 1..) => "partly",
            (0, 0) => "up",
        };
        let says = format!(
            "{}: {} {}.{:03} s, {} {}.{:03} s",
            language.date(date),
            Word::Down.say(language),
            d / 1000,
            d % 1000,
            Word::Unknown.say(language),
            u / 1000,
            u % 1000
        );
        Day {
            x: k * DAY_WIDTH,
            class,
            says,
        }
    }
}
