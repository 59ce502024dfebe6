//! `[[maintenance]]`: windows that the config declares.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::contract::{DAYS, time_zone};
use super::parts::{calendar_instant, is_id};
use super::walk::{Item, Layers, Section};
use crate::judgement::maintenance::Window;
use crate::words::Name;

/// No window is longer than this.
const LONGEST_MS: u64 = 31 * 86_400_000;

/// All windows; `components` and `endpoints`: what they may name.
pub(super) fn windows(top: &Layers, components: &[&str], endpoints: &[&str]) -> Vec<Window> {
    let mut list: Vec<Window> = Vec::new();
    for section in top.0.iter().flat_map(|root| root.tables("maintenance")) {
        let Some(one) = window(&section, components, endpoints) else { continue };
        if list.iter().any(|w| w.id == one.id) {
            section.source.fault(&section.span, format!("the window `{}` stands twice", one.id), "Give each [[maintenance]] an id of its own.");
        }
        list.push(one);
    }
    list
}

fn window(section: &Section, components: &[&str], endpoints: &[&str]) -> Option<Window> {
    let missing = |key: &str, example: &str| section.source.fault(&section.span, format!("a [[maintenance]] without `{key}`"), format!("Add {example}."));
    let id = section.item("id");
    if id.is_none() {
        missing("id", "id = \"db-upgrade\"");
    }
    let id = id.and_then(|i| {
        let text = i.text()?;
        if !is_id(&text) {
            i.fault(format!("`{}` cannot be a window's id", text.escape_debug()), "Ids are made of a-z, 0-9, _ and -.");
        }
        Name::new(&text).ok()
    });
    let zone = section.item("time_zone").and_then(|i| time_zone(&i)).unwrap_or(TimeZone::UTC);
    let start = section.item("start");
    if start.is_none() {
        missing("start", "start = \"2026-12-06T02:00\", on the clock of time_zone");
    }
    let start = start.and_then(|i| begin(&i, &zone));
    let duration = section.item("duration");
    if duration.is_none() {
        missing("duration", "duration = \"2h\"");
    }
    let duration = duration.and_then(|i| i.duration(1000, LONGEST_MS));
    let every = section.item("every").map(|i| i.list().iter().filter_map(|one| one.word(&DAYS)).collect()).unwrap_or_default();
    for key in ["every", "components", "endpoints"] {
        if let Some(item) = section.item(key).filter(|i| i.list().is_empty()) {
            item.fault(format!("`{}` is an empty list", item.path), "Name one, or leave the key out.");
        }
    }
    let window = Window {
        id: id?,
        components: named(section.item("components"), components, "component"),
        endpoints: named(section.item("endpoints"), endpoints, "endpoint"),
        start: start?,
        zone,
        every,
        duration: duration?,
        announced_at: section.item("announced_at").and_then(|i| calendar_instant(&i)),
        reason: section.item("reason").and_then(|i| i.name()).map(|n| n.to_string()).unwrap_or_default(),
    };
    section.end();
    Some(window)
}

fn named(item: Option<Item>, known: &[&str], noun: &str) -> Vec<Name> {
    let mut list = Vec::new();
    for one in item.iter().flat_map(Item::list) {
        let Some(name) = one.name() else { continue };
        if !known.contains(&name.as_str()) {
            let advice = match super::walk::nearest(name.as_str(), known) {
                Some(near) => format!("Did you mean \"{near}\"?"),
                None => format!("Name a configured {noun}."),
            };
            one.fault(format!("there is no {noun} `{name}`"), advice);
        }
        list.push(name);
    }
    list
}

/// A time on the zone's clock, or an instant with its own offset.
fn begin(item: &Item, zone: &TimeZone) -> Option<DateTime> {
    let text = item.text()?;
    let found = civil(&text, zone);
    if found.is_none() {
        item.fault(
            format!("`{}` = \"{}\" is no time", item.path, text.escape_debug()),
            "Write \"2026-12-06T02:00\" on the clock of time_zone, or with Z or an offset.",
        );
    }
    found
}

/// Reads `2026-12-06T02:00`, or an instant with an offset.
pub fn civil(text: &str, zone: &TimeZone) -> Option<DateTime> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(Zoned::new(at, zone.clone()).datetime());
    }
    text.parse::<DateTime>().ok().filter(|_| text.len() >= 16)
}
