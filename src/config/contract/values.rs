//! Values of a contract: decimals, percentages, dates, times, time zones, names of components.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use num_traits::Zero;
use toml::de::DeValue;

use crate::config::document::problem::problem;
use crate::config::document::tree::{Item, Section, nearest};
use crate::judgement::sla::exact::{Exact, decimal, whole};
use crate::judgement::zones;
use crate::words::{Ms, Name};

pub(super) const DAY_MS: Ms = 86_400_000;
pub(super) const YEAR_MS: Ms = 366 * DAY_MS;

pub(super) fn required<'a>(
    section: &Section<'a>,
    key: &'static str,
    example: &str,
) -> Option<Item<'a>> {
    let item = section.item(key);
    if item.is_none() {
        section.source.fault(
            &section.span,
            problem!("`{}` has no `{key}`", section.path),
            format!("Add {example}."),
        );
    }
    item
}

pub(super) fn word<T: Copy>(
    section: &Section,
    key: &'static str,
    words: &[(&'static str, T)],
    default: T,
) -> T {
    section
        .item(key)
        .and_then(|i| i.word(words))
        .unwrap_or(default)
}

/// A decimal in quotes: floats would not be exact.
pub(super) fn number(item: &Item) -> Option<Exact> {
    if matches!(item.value, DeValue::Float(_) | DeValue::Integer(_)) {
        item.fault(
            problem!("`{}` is a number without quotes", item.path),
            "Write decimals in quotes, so that they are exact: \"99.999\".",
        );
        return None;
    }
    let text = item.text()?;
    let value = decimal(&text);
    if value.is_none() {
        item.fault(
            problem!(
                "`{}` = \"{}\" is not a valid decimal",
                item.path,
                text.escape_debug()
            ),
            "Write digits with at most one point: \"99.999\".",
        );
    }
    value
}

pub(super) fn percentage(item: &Item) -> Option<Exact> {
    let value = number(item)?;
    if value > whole(100) {
        item.fault(
            problem!("`{}` is over 100 percent", item.path),
            "Write a percentage from 0 to 100: \"99.9\".",
        );
        return None;
    }
    Some(value)
}

pub(super) fn positive(item: &Item) -> Option<Exact> {
    let value = number(item)?;
    if value.is_zero() {
        item.fault(
            problem!("`{}` is zero", item.path),
            "Write a number above zero.",
        );
        return None;
    }
    Some(value)
}

pub(super) fn currency(item: &Item) -> Option<String> {
    let text = item.text()?;
    let is_code = text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase());
    if !is_code {
        item.fault(
            problem!("`{}` is not a valid currency", text.escape_debug()),
            "Write its three letters (ISO 4217): \"EUR\".",
        );
    }
    is_code.then_some(text)
}

pub(in crate::config) fn time_zone(item: &Item) -> Option<TimeZone> {
    let text = item.text()?;
    let zone = zones::zone(&text);
    if zone.is_none() {
        item.fault(
            problem!("unknown time zone `{}`", text.escape_debug()),
            "Write a name of the IANA database: \"Europe/Helsinki\", \"UTC\".",
        );
    }
    zone
}

pub(super) fn day(item: &Item) -> Option<Date> {
    let text = item.text()?;
    let day = text.parse::<Date>().ok().filter(|_| text.len() == 10);
    if day.is_none() {
        item.fault(
            problem!(
                "`{}` = \"{}\" is not a valid date",
                item.path,
                text.escape_debug()
            ),
            "Write it as \"2026-12-24\".",
        );
    }
    day
}

pub(super) fn time_of_day(item: &Item) -> Option<Time> {
    let text = item.text()?;
    if text == "24:00" {
        return Some(Time::midnight());
    }
    let time = text.parse::<Time>().ok().filter(|_| text.len() == 5);
    if time.is_none() {
        item.fault(
            problem!(
                "`{}` = \"{}\" is not a valid time of day",
                item.path,
                text.escape_debug()
            ),
            "Write it as \"08:00\".",
        );
    }
    time
}

pub(super) fn names(item: &Item, declared: Option<&[&str]>) -> Vec<Name> {
    let mut list: Vec<Name> = Vec::new();
    for one in item.list() {
        let Some(name) = one.name() else { continue };
        if let Some(known) = declared.filter(|known| !known.contains(&name.as_str())) {
            let advice = match nearest(name.as_str(), known) {
                Some(near) => format!("Did you mean \"{near}\"?"),
                None => format!(
                    "Declare it: [component.{name}], or name an endpoint that is a component of \
                        its own."
                ),
            };
            one.fault(problem!("unknown component `{name}`"), advice);
        }
        if list.contains(&name) {
            one.fault(
                problem!("`{name}` appears twice"),
                "Name each component once.",
            );
            continue;
        }
        list.push(name);
    }
    if list.is_empty() {
        item.fault(
            problem!("`{}` names nothing", item.path),
            "Name at least one component.",
        );
    }
    list
}
