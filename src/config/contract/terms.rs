//! The terms of a contract: which components it judges together, over which period, what it counts
//! as downtime, when the service is owed, and what maintenance is.

use std::collections::BTreeMap;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use num_traits::{One, Zero};
use toml::de::DeValue;

use super::values::*;
use super::words::{ANNOUNCEMENT, DAYS, OUTAGE_COUNT, TREAT};
use crate::config::document::problem::problem;
use crate::config::document::tree::{Item, Section};
use crate::config::document::value::parse_duration;
use crate::judgement::sla::calendar::{PeriodKind, ServiceHours};
use crate::judgement::sla::contract::*;
use crate::judgement::sla::exact::{Exact, plain};
use crate::words::Name;

/// How the contract's components are judged.
pub(super) fn together(section: &Section, components: &[Name]) -> Option<Together> {
    #[derive(Clone, Copy, PartialEq)]
    enum Word {
        Each,
        Series,
        Parallel,
        Weighted,
    }
    let words = [
        ("each", Word::Each),
        ("series", Word::Series),
        ("parallel", Word::Parallel),
        ("weighted", Word::Weighted),
    ];
    let combine = section.item("combine");
    let weights = section.item("weights");
    let word = combine
        .as_ref()
        .map_or(Some(Word::Each), |i| i.word(&words))?;
    if let (Some(item), true) = (&weights, word != Word::Weighted) {
        item.fault(
            "weights without combine = \"weighted\"",
            "Remove them, or write combine = \"weighted\".",
        );
    }
    match word {
        Word::Each => Some(Together::Each),
        Word::Series => Some(Together::Series),
        Word::Parallel => Some(Together::Parallel),
        Word::Weighted => {
            let Some(item) = weights else {
                section.source.fault(
                    &section.span,
                    "a weighted contract without weights",
                    "Add weights = { backend = \"0.5\", frontend = \"0.5\" }.",
                );
                return None;
            };
            weights_of(&item, components).map(Together::Weighted)
        }
    }
}

/// The weight of each component, in their order.
fn weights_of(item: &Item, components: &[Name]) -> Option<Vec<Exact>> {
    let table = item.section()?;
    let mut given: BTreeMap<&str, Exact> = BTreeMap::new();
    for (name, span, one) in table.entries() {
        if !components.iter().any(|c| c.as_str() == name) {
            table.source.fault(
                &span,
                problem!("`{name}` has a weight but is not a component of the contract"),
                "Add it to components, or remove it.",
            );
        }
        if let Some(weight) = number(&one) {
            given.insert(name, weight);
        }
    }
    let list: Vec<Exact> = components
        .iter()
        .filter_map(|c| given.get(c.as_str()).cloned())
        .collect();
    if list.len() < components.len() {
        item.fault(
            "a component of the contract has no weight",
            "Give each a weight.",
        );
        return None;
    }
    let sum = list.iter().fold(Exact::zero(), |sum, w| sum + w);
    if !sum.is_one() {
        item.fault(
            problem!("the weights sum to {}, not to 1", plain(&sum)),
            "Make them sum to exactly 1.",
        );
    }
    Some(list)
}

pub(super) fn period_kind(item: &Item) -> Option<PeriodKind> {
    let text = item.text()?;
    match text.as_str() {
        "calendar_month" => Some(PeriodKind::CalendarMonth),
        "calendar_quarter" => Some(PeriodKind::CalendarQuarter),
        "calendar_year" => Some(PeriodKind::CalendarYear),
        _ => {
            let length = text
                .strip_prefix("rolling ")
                .and_then(parse_duration)
                .filter(|ms| (3_600_000..=YEAR_MS).contains(ms));
            if length.is_none() {
                item.fault(
                    problem!("`{}` is not a valid period", text.escape_debug()),
                    "Write calendar_month, calendar_quarter, calendar_year, or \"rolling 30d\" \
                        (an hour to 366 days).",
                );
            }
            length.map(PeriodKind::Rolling)
        }
    }
}

pub(super) fn measure(item: &Item) -> Option<Measure> {
    if matches!(item.value, DeValue::String(_)) {
        return item.word(&[("time", ())]).map(|()| Measure::Time);
    }
    let section = item.section()?;
    let length =
        required(&section, "slices", "slices = \"1m\"").and_then(|i| i.duration(1000, DAY_MS));
    let (down_if, value, no_probe) = (
        section.item("down_if"),
        section.item("value"),
        section.item("no_probe"),
    );
    section.end();
    match (down_if, value) {
        (Some(rule), None) => {
            if let Some(item) = no_probe {
                item.fault(
                    "no_probe belongs to value = \"mean_error_ratio\"",
                    "Remove it: a slice without a probe is unknown.",
                );
            }
            Some(Measure::Slices {
                length: length?,
                down_if: down_rule(&rule)?,
            })
        }
        (None, Some(value)) => {
            value.word(&[("mean_error_ratio", ())])?;
            let no_probe = match no_probe {
                Some(item) => number(&item).filter(|n| {
                    let fits = *n <= Exact::one();
                    if !fits {
                        item.fault(
                            "no_probe is over 1",
                            "Write the share of errors that a slice \
                            without a probe counts as: \"0\".",
                        );
                    }
                    fits
                })?,
                None => Exact::zero(),
            };
            Some(Measure::MeanErrorRatio {
                length: length?,
                no_probe,
            })
        }
        _ => {
            item.fault(
                "slices need one rule",
                "Add down_if = \"all_fail\" (any_fail, { \
                error_ratio_above = \"0.05\" }), or value = \"mean_error_ratio\".",
            );
            None
        }
    }
}

fn down_rule(item: &Item) -> Option<DownIf> {
    if matches!(item.value, DeValue::Table(_)) {
        let section = item.section()?;
        let limit = required(
            &section,
            "error_ratio_above",
            "error_ratio_above = \"0.05\"",
        )
        .and_then(|i| number(&i));
        section.end();
        return limit.map(DownIf::ErrorRatioAbove);
    }
    match item.text()?.as_str() {
        "all_fail" => Some(DownIf::AllFail),
        "any_fail" => Some(DownIf::AnyFail),
        other => {
            item.fault(
                problem!("`{}` is not a valid rule for slices", other.escape_debug()),
                "Write \"all_fail\", \"any_fail\" or { error_ratio_above = \"0.05\" }.",
            );
            None
        }
    }
}

pub(super) fn min_outage(item: &Item) -> MinOutage {
    if matches!(item.value, DeValue::Table(_)) {
        let Some(section) = item.section() else {
            return MinOutage::default();
        };
        let length = section
            .item("length")
            .and_then(|i| i.duration(0, DAY_MS))
            .unwrap_or(0);
        let whole_minutes = section
            .item("count")
            .and_then(|i| i.word(&OUTAGE_COUNT))
            .unwrap_or(false);
        section.end();
        return MinOutage {
            length,
            whole_minutes,
        };
    }
    MinOutage {
        length: item.duration(0, DAY_MS).unwrap_or(0),
        whole_minutes: false,
    }
}

pub(super) fn service_hours(section: &Section, zone: &TimeZone) -> Option<ServiceHours> {
    let days: Vec<Weekday> = section.item("days").map_or_else(
        || DAYS.iter().map(|(_, d)| *d).collect(),
        |i| i.list().iter().filter_map(|one| one.word(&DAYS)).collect(),
    );
    let from = required(section, "from", "from = \"08:00\"").and_then(|i| time_of_day(&i));
    let to = required(section, "to", "to = \"18:00\"").and_then(|i| time_of_day(&i));
    let own = section.item("time_zone").and_then(|i| time_zone(&i));
    let holidays = section
        .item("holidays")
        .iter()
        .flat_map(Item::list)
        .filter_map(|i| day(&i))
        .collect();
    section.end();
    Some(ServiceHours {
        days,
        from: from?,
        to: to?,
        zone: own.unwrap_or_else(|| zone.clone()),
        holidays,
    })
}

pub(super) fn maintenance(section: Option<&Section>) -> MaintenanceRules {
    let Some(section) = section else {
        return MaintenanceRules {
            treat: Treat::Exclude,
            notice: None,
            allowance: None,
            announcement: Announcement::Recorded,
        };
    };
    let rules = MaintenanceRules {
        treat: word(section, "treat", &TREAT, Treat::Exclude),
        notice: section.item("notice").and_then(|i| i.duration(0, YEAR_MS)),
        allowance: section
            .item("allowance")
            .and_then(|i| i.duration(0, YEAR_MS)),
        announcement: word(
            section,
            "announcement",
            &ANNOUNCEMENT,
            Announcement::Recorded,
        ),
    };
    section.end();
    rules
}

pub(super) fn latency(section: &Section) -> Option<LatencyObjective> {
    let share = required(section, "share", "share = \"99\", percent of the probes")
        .and_then(|i| percentage(&i));
    let within =
        required(section, "within", "within = \"300ms\"").and_then(|i| i.duration(1, 60_000));
    section.end();
    Some(LatencyObjective {
        share: share?,
        within_us: within? * 1000,
    })
}
