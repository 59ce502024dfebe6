//! `[[maintenance]]`: windows that the config declares.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::config::contract::values::time_zone;
use crate::config::contract::words::DAYS;
use crate::config::document::common::{calendar_instant, is_id};
use crate::config::document::problem::problem;
use crate::config::document::tree::{Item, Layers, Section};
use crate::judgement::maintenance::Window;
use crate::judgement::sla::calendar::instant;
use crate::words::{Name, UtcMs, parse_utc};

/// No window is longer than this.
const LONGEST_MS: u64 = 31 * 86_400_000;

/// All windows; `components` and `endpoints`: what they may name.
pub(in crate::config) fn windows(
    top: &Layers,
    components: &[&str],
    endpoints: &[&str],
) -> Vec<Window> {
    let mut list: Vec<Window> = Vec::new();
    for section in top.0.iter().flat_map(|root| root.tables("maintenance")) {
        let Some(one) = window(&section, components, endpoints) else {
            continue;
        };
        if list.iter().any(|w| w.id == one.id) {
            section.source.fault(
                &section.span,
                problem!("duplicate maintenance window `{}`", one.id),
                "Give each [[maintenance]] an id of its own.",
            );
        }
        list.push(one);
    }
    list
}

fn window(section: &Section, components: &[&str], endpoints: &[&str]) -> Option<Window> {
    let id = required(section, "id", "id = \"db-upgrade\"").and_then(|i| window_id(&i));
    let zone = section
        .item("time_zone")
        .and_then(|i| time_zone(&i))
        .unwrap_or(TimeZone::UTC);
    let start = required(
        section,
        "start",
        "start = \"2026-12-06T02:00\", on the clock of time_zone",
    )
    .and_then(|i| begin(&i, &zone));
    let duration = required(section, "duration", "duration = \"2h\"")
        .and_then(|i| i.duration(1000, LONGEST_MS));
    let every = section
        .item("every")
        .map(|i| i.list().iter().filter_map(|one| one.word(&DAYS)).collect())
        .unwrap_or_default();
    for key in ["every", "components", "endpoints"] {
        if let Some(item) = section.item(key).filter(|i| i.list().is_empty()) {
            item.fault(
                problem!("`{}` is an empty list", item.path),
                "Name one, or leave the key out.",
            );
        }
    }
    let start = start?;
    let window = Window {
        id: id?,
        components: named(section.item("components"), components, "component"),
        endpoints: named(section.item("endpoints"), endpoints, "endpoint"),
        start: start.start,
        start_instant: start.instant,
        zone,
        every,
        duration: duration?,
        announced_at: section
            .item("announced_at")
            .and_then(|i| calendar_instant(&i)),
        reason: section
            .item("reason")
            .and_then(|i| i.name())
            .map(|n| n.to_string())
            .unwrap_or_default(),
    };
    section.end();
    Some(window)
}

fn required<'a>(section: &Section<'a>, key: &'static str, example: &str) -> Option<Item<'a>> {
    let item = section.item(key);
    if item.is_none() {
        section.source.fault(
            &section.span,
            problem!("a [[maintenance]] without `{key}`"),
            format!("Add {example}."),
        );
    }
    item
}

fn window_id(item: &Item) -> Option<Name> {
    let text = item.text()?;
    if !is_id(&text) {
        item.fault(
            problem!("`{}` cannot be a window's id", text.escape_debug()),
            "Ids are made of a-z, 0-9, _ and -.",
        );
    }
    Name::new(&text).ok()
}

fn named(item: Option<Item>, known: &[&str], noun: &str) -> Vec<Name> {
    let mut list = Vec::new();
    for one in item.iter().flat_map(Item::list) {
        let Some(name) = one.name() else { continue };
        if !known.contains(&name.as_str()) {
            let advice = match crate::config::document::tree::nearest(name.as_str(), known) {
                Some(near) => format!("Did you mean \"{near}\"?"),
                None => format!("Name a configured {noun}."),
            };
            one.fault(problem!("there is no {noun} `{name}`"), advice);
        }
        list.push(name);
    }
    list
}

/// A time on the zone's clock, or an instant with its own offset.
fn begin(item: &Item, zone: &TimeZone) -> Option<Begin> {
    let text = item.text()?;
    let found = civil(&text, zone);
    if found.is_none() {
        item.fault(
            problem!(
                "`{}` = \"{}\" is not a valid time",
                item.path,
                text.escape_debug()
            ),
            "Write \"2026-12-06T02:00\" on the clock of time_zone, or with Z or an offset of at \
                most 23:59.",
        );
    }
    found
}

/// When a window begins first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// On the clock of the window's zone.
    pub start: DateTime,
    /// The instant that was given, where the clock shows `start` at another one, too, and before.
    pub instant: Option<UtcMs>,
}

/// Reads `2026-12-06T02:00`, or an instant with `Z` or an offset: that instant, whatever zone
/// stands beside it.
pub fn civil(text: &str, zone: &TimeZone) -> Option<Begin> {
    let is_digit = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    if !text.is_ascii() || text.len() < 16 || !is_digit(14) || !is_digit(15) {
        return None;
    }
    let (minutes, rest) = text.split_at(16);
    let (seconds, offset) = rest.split_at(rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len()));
    let seconds = if seconds.is_empty() { ":00" } else { seconds };
    // Whatever is wrong with the digits is found where instants are read; a time without an offset
    // is read as one of UTC.
    let at = parse_utc(&format!(
        "{minutes}{seconds}{}",
        if offset.is_empty() { "Z" } else { offset }
    ))?;
    let read = |zone: &TimeZone| Some(zone.to_datetime(Timestamp::from_millisecond(at).ok()?));
    if offset.is_empty() {
        return Some(Begin {
            start: read(&TimeZone::UTC)?,
            instant: None,
        });
    }
    let start = read(zone)?;
    Some(Begin {
        start,
        instant: Some(at).filter(|at| instant(start, zone) != *at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgement::zones;
    use crate::words::format_utc;

    #[test]
    fn an_instant_is_that_instant_whatever_zone_stands_beside_it() {
        for zone in [
            "UTC",
            "Europe/Berlin",
            "Europe/Helsinki",
            "Australia/Lord_Howe",
            "America/Havana",
            "Pacific/Chatham",
        ] {
            let zone = zones::zone(zone).expect("a zone");
            // Each hour around both changes of a year, in three writings.
            for text in [
                "2027-03-28",
                "2027-10-31",
                "2027-04-04",
                "2027-11-07",
                "2027-03-14",
            ] {
                let day = parse_utc(&format!("{text}T00:00:00Z")).expect("an instant");
                for at in (-24..48).map(|quarter| day + quarter * 1_800_000) {
                    let utc = format_utc(at);
                    for written in [
                        utc.clone(),
                        utc.replace(".000Z", "+00:00"),
                        format!("{}Z", &utc[..16]),
                    ] {
                        let begin = civil(&written, &zone).expect("an instant");
                        let from = begin.instant.unwrap_or_else(|| instant(begin.start, &zone));
                        assert_eq!(format_utc(from), utc, "{written} in {zone:?}");
                    }
                }
            }
        }
        let berlin = zones::zone("Europe/Berlin").expect("a zone");
        assert!(
            civil("2027-10-31T01:30:00Z", &berlin).is_some_and(|b| b.instant.is_some()),
            "the second half past two"
        );
        assert!(
            civil("2027-10-31T00:30:00Z", &berlin).is_some_and(|b| b.instant.is_none()),
            "the first is what its civil time says"
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let berlin = zones::zone("Europe/Berlin").expect("a zone");
        for text in [
            "2027-10-31T01:30:00+24:00",
            "2027-10-31T01:30+25:00",
            "2027-10-31T01:30:60Z",
            "2027-10-31T01:30:60",
            "2027-10-31T24:00",
            "2027-10-31",
            "2027-02-29T00:00",
            "2027-10-31T01:30+02:00[Europe/Berlin]",
            "2027-10-31T01:30[Europe/Berlin]",
            "2027-10-31T01:30:00+0200",
            "2027-10-31T01:30:00 Z",
            "2027-10-31T01:3",
            "",
            "yesterday",
            "2027-10-31T01:30Z0",
            "2027-10-31T01:60",
        ] {
            assert_eq!(civil(text, &berlin), None, "{text}");
        }
        for text in [
            "2027-10-31T01:30",
            "2027-10-31 01:30",
            "2027-10-31T01:30:15",
            "2027-10-31T01:30:15.5",
            "2027-10-31T01:30:15.500-23:59",
            "2027-10-31t01:30z",
        ] {
            assert!(civil(text, &berlin).is_some(), "{text}");
        }
    }
}
