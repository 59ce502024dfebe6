//! A report as one HTML file that needs nothing else, for screen and paper.

use askama::Template;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::text::{Block, Shown};
use super::words::{Language, Word};
use crate::judgement::sla::calendar::days;
use crate::judgement::timeline::Span;
use crate::judgement::zones;
use crate::words::{UtcMs, parse_utc};

/// Days of the strip; a year has no more, and a rolling one touches one more.
const DAYS: usize = 367;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'p> {
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
pub fn html(report: &Value, language: Language) -> String {
    let shown = Shown { report, language };
    let blocks = shown.blocks();
    let all: Vec<&str> = shown
        .results()
        .filter_map(|r| r["verdict"].as_str())
        .collect();
    let verdict = if all.contains(&"missed") {
        "missed"
    } else if all.contains(&"undetermined") {
        "undetermined"
    } else {
        "met"
    };
    let page = Page {
        lang: language.tag(),
        title: shown.title(),
        verdict,
        blocks: &blocks,
        strips: strips(&shown),
        day_by_day: Word::DayByDay.say(language).into(),
    };
    page.render()
        .unwrap_or_else(|e| format!("the report cannot be rendered: {e}"))
}

fn at(value: &Value) -> Option<UtcMs> {
    value.as_str().and_then(parse_utc)
}

fn strips(shown: &Shown) -> Vec<Strip> {
    let report = shown.report;
    let e = &report["evaluation"]["period"];
    let (Some(from), Some(to), Some(until)) =
        (at(&e["start"]), at(&e["end"]), at(&report["settled_until"]))
    else {
        return Vec::new();
    };
    let zone = report["time_zone"]
        .as_str()
        .and_then(zones::zone)
        .unwrap_or(TimeZone::UTC);
    let components = report["timeline"]["components"]
        .as_array()
        .into_iter()
        .flatten();
    components
        .map(|c| {
            let spans = |key: &str| -> Vec<Span> {
                let list = c[key].as_array().into_iter().flatten();
                list.filter_map(|s| Some(Span::new(at(&s["from"])?, at(&s["to"]).unwrap_or(until))))
                    .collect()
            };
            let (down, unknown) = (spans("down"), spans("unknown"));
            let days: Vec<Day> = days(Span::new(from, to), &zone)
                .take(DAYS)
                .zip(0..)
                .map(|((date, day), k)| {
                    let sum = |list: &[Span]| {
                        list.iter()
                            .filter_map(|s| s.cut(day))
                            .map(Span::length)
                            .sum::<u64>()
                    };
                    let (d, u) = (sum(&down), sum(&unknown));
                    let class = match (d, u) {
                        _ if day.from >= until => "future",
                        (1.., _) => "down",
                        (0, u) if u * 2 > day.length() => "unknown",
                        (0, 1..) => "partly",
                        (0, 0) => "up",
                    };
                    let says = format!(
                        "{}: {} {}.{:03} s, {} {}.{:03} s",
                        shown.language.date(&date.to_string()),
                        Word::Down.say(shown.language),
                        d / 1000,
                        d % 1000,
                        Word::Unknown.say(shown.language),
                        u / 1000,
                        u % 1000
                    );
                    Day {
                        x: k * 10,
                        class,
                        says,
                    }
                })
                .collect();
            Strip {
                name: c["name"].as_str().unwrap_or_default().to_owned(),
                width: days.len() as i64 * 10,
                days,
            }
        })
        .collect()
}
