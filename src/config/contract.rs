//! Contracts from their tables: `[sla.NAME]`, `[[sla.NAME]]` and `[[tenant]]`, in the daemon's
//! config or in a file of their own.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use num_traits::{One, Zero};
use toml::de::{DeTable, DeValue};

use super::document::source::{Fault, Source, Surroundings};
use super::document::tree::{Item, Layers, Section};
use crate::judgement::sla::calendar::{PeriodKind, ServiceHours};
use crate::judgement::sla::contract::*;
use crate::judgement::sla::exact::{Exact, decimal, plain, whole};
use crate::judgement::zones;
use crate::words::{Ms, Name};

/// Tables of a daemon's config that a reader of its contracts passes over.
const DAEMON_TABLES: [&str; 15] = [
    "daemon",
    "listen",
    "metrics",
    "defaults",
    "component",
    "endpoint",
    "group",
    "witness",
    "maintenance",
    "notify",
    "deadman",
    "proxy",
    "history",
    "include",
    "status_page",
];
const DAY_MS: Ms = 86_400_000;
const YEAR_MS: Ms = 366 * DAY_MS;
/// Days of the week as contracts and maintenance windows write them.
pub(super) const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

/// Reads contracts from a file of their own; other tables of a daemon's config are passed over.
pub fn load_contracts(
    path: &Path,
    surroundings: &dyn Surroundings,
) -> Result<Contracts, Vec<Fault>> {
    let text = surroundings.read(path).map_err(|why| {
        let advice = "Name a file with [sla.NAME] tables.".to_owned();
        vec![Fault {
            file: path.display().to_string(),
            line: 0,
            column: 0,
            problem: format!("the contract cannot be read: {why}"),
            advice,
        }]
    })?;
    let source = Source::new(path, text);
    let (tree, errors) = DeTable::parse_recoverable(&source.text);
    for error in errors {
        source.fault(
            &error.span().unwrap_or(0..0),
            format!("this is not TOML: {}", error.message()),
            "Quote strings and put each key on its own line.",
        );
    }
    let mut faults = source.take_faults();
    if faults.is_empty() {
        let root = Section::new(&source, String::new(), tree.get_ref(), tree.span());
        let contracts = contracts(&Layers(vec![root.clone()]), None);
        DAEMON_TABLES.iter().for_each(|key| drop(root.item(key)));
        root.end();
        faults = source.take_faults();
        if contracts.list.is_empty() && faults.is_empty() {
            source.fault(
                &(0..0),
                "no contract in this file",
                "Add [sla.NAME] with objective and components.",
            );
        }
        faults.extend(source.take_faults());
        if faults.is_empty() {
            return Ok(contracts);
        }
    }
    faults.sort();
    Err(faults)
}

/// All contracts and tenants of a config. `declared`: the components that they may name; `None`:
/// any.
pub(super) fn contracts(top: &Layers, declared: Option<&[&str]>) -> Contracts {
    let mut by_name: BTreeMap<Name, Vec<Contract>> = BTreeMap::new();
    for table in top.layers("sla").0 {
        for (id, span, item) in table.entries() {
            let name = Name::new(id)
                .ok()
                .filter(|_| super::document::common::is_id(id));
            if name.is_none() {
                table.source.fault(
                    &span,
                    format!("`{}` cannot be a contract's id", id.escape_debug()),
                    "Ids are made of a-z, 0-9, _ and -.",
                );
            }
            let sections: Vec<Section> = match item.value {
                DeValue::Array(_) => item.list().iter().filter_map(Item::section).collect(),
                _ => item.section().into_iter().collect(),
            };
            for section in sections {
                let contract = contract(&section, name.clone(), declared);
                section.end();
                if let Some(contract) = contract {
                    let versions = by_name.entry(contract.name.clone()).or_default();
                    if versions.iter().any(|c| c.valid_from == contract.valid_from) {
                        section.source.fault(
                            &section.span,
                            format!(
                                "two versions of the contract `{}` start on the same day",
                                contract.name
                            ),
                            "Give each a valid_from of its own; the first may go without.",
                        );
                    }
                    versions.push(contract);
                }
            }
        }
    }
    for versions in by_name.values_mut() {
        versions.sort_by_key(|c| c.valid_from);
    }
    let list: Vec<Contract> = by_name.into_values().flatten().collect();
    let tenants = top
        .0
        .iter()
        .flat_map(|root| root.tables("tenant"))
        .filter_map(|section| tenant(&section, &list, declared))
        .collect();
    Contracts { list, tenants }
}

fn contract(section: &Section, name: Option<Name>, declared: Option<&[&str]>) -> Option<Contract> {
    let objective =
        required(section, "objective", "objective = \"99.999\"").and_then(|i| percentage(&i));
    let zone = section
        .item("time_zone")
        .and_then(|i| time_zone(&i))
        .unwrap_or(TimeZone::UTC);
    let components = required(section, "components", "components = [\"backend\"]")
        .map(|i| names(&i, declared))
        .unwrap_or_default();
    let together = together(section, &components);
    let fee = section.item("fee").and_then(|i| amount(&i));
    let currency = section.item("currency").and_then(|i| currency(&i));
    if fee.is_some() && currency.is_none() && !section.table.contains_key("currency") {
        section.source.fault(
            &section.span,
            "a fee without a currency",
            "Add currency = \"EUR\".",
        );
    }
    let measure = section
        .item("measure")
        .and_then(|i| measure(&i))
        .unwrap_or(Measure::Time);
    let credit = section.section("credit").and_then(|s| credit(&s));
    let by_time = matches!(
        credit.as_ref().map(|c| &c.model),
        Some(Model::PerDowntime { .. } | Model::Multiple(_))
    );
    if by_time && matches!(measure, Measure::MeanErrorRatio { .. }) {
        let advice = "Use model = \"linear\" or \"tiers\": a mean of error ratios has no downtime.";
        section.source.fault(
            &section.span,
            "a credit by downtime for a contract that measures a mean of error ratios",
            advice,
        );
    }
    let contract = Contract {
        name: name.unwrap_or_else(|| Name::new("unnamed").expect("a constant name")),
        objective: objective.clone().unwrap_or_else(Exact::one),
        period: section
            .item("period")
            .and_then(|i| period_kind(&i))
            .unwrap_or(PeriodKind::CalendarMonth),
        together: together.unwrap_or(Together::Each),
        measure,
        unknown: word(
            section,
            "unknown",
            &[
                ("exclude", Unknown::Exclude),
                ("up", Unknown::Up),
                ("down", Unknown::Down),
            ],
            Unknown::Exclude,
        ),
        decide_by: word(
            section,
            "decide_by",
            &DecideBy::ALL.map(|d| (d.as_str(), d)),
            DecideBy::Point,
        ),
        min_coverage: section.item("min_coverage").and_then(|i| percentage(&i)),
        valid_from: section.item("valid_from").and_then(|i| day(&i)),
        before_in_service: word(
            section,
            "before_in_service",
            &[
                ("exclude", BeforeInService::Exclude),
                ("as_up", BeforeInService::AsUp),
            ],
            BeforeInService::Exclude,
        ),
        min_outage: section
            .item("min_outage")
            .map(|i| min_outage(&i))
            .unwrap_or_default(),
        service_hours: section
            .section("service_hours")
            .and_then(|s| service_hours(&s, &zone)),
        maintenance: maintenance(section.section("maintenance").as_ref()),
        credit,
        latency: section.section("latency").and_then(|s| latency(&s)),
        zone,
        components,
        fee,
        currency,
    };
    objective.is_some().then_some(contract)
}

fn tenant(section: &Section, contracts: &[Contract], declared: Option<&[&str]>) -> Option<Tenant> {
    let name = required(section, "name", "name = \"B\"").and_then(|i| i.name());
    let sla = required(section, "sla", "sla = \"standard\", the id of a contract").and_then(|i| {
        let name = i.name()?;
        if !contracts.iter().any(|c| c.name == name) {
            i.fault(
                format!("unknown contract `{name}`"),
                format!("Declare it: [sla.{name}]."),
            );
        }
        Some(name)
    });
    let fee = required(section, "fee", "fee = \"1000.00\"").and_then(|i| amount(&i));
    let components = section
        .item("components")
        .map(|i| names(&i, declared))
        .unwrap_or_default();
    let (from, to) = (
        section.item("from").and_then(|i| day(&i)),
        section.item("to").and_then(|i| day(&i)),
    );
    if from.zip(to).is_some_and(|(from, to)| to <= from) {
        section.source.fault(
            &section.span,
            "the tenant ends before it starts",
            "Write from before to.",
        );
    }
    if let Some(contract) = sla
        .as_ref()
        .and_then(|s| contracts.iter().find(|c| c.name == *s))
        && contract.currency.is_none()
    {
        section.source.fault(
            &section.span,
            format!(
                "the contract `{}` names no currency for the tenant's fee",
                contract.name
            ),
            "Add currency = \"EUR\" to the contract.",
        );
    }
    section.end();
    Some(Tenant {
        name: name?,
        sla: sla?,
        components,
        fee: fee?,
        from,
        to,
    })
}

fn required<'a>(section: &Section<'a>, key: &'static str, example: &str) -> Option<Item<'a>> {
    let item = section.item(key);
    if item.is_none() {
        section.source.fault(
            &section.span,
            format!("`{}` has no `{key}`", section.path),
            format!("Add {example}."),
        );
    }
    item
}

fn word<T: Copy>(
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
fn number(item: &Item) -> Option<Exact> {
    if matches!(item.value, DeValue::Float(_) | DeValue::Integer(_)) {
        item.fault(
            format!("`{}` is a number without quotes", item.path),
            "Write decimals in quotes, so that they are exact: \"99.999\".",
        );
        return None;
    }
    let text = item.text()?;
    let value = decimal(&text);
    if value.is_none() {
        item.fault(
            format!(
                "`{}` = \"{}\" is not a valid decimal",
                item.path,
                text.escape_debug()
            ),
            "Write digits with at most one point: \"99.999\".",
        );
    }
    value
}

fn percentage(item: &Item) -> Option<Exact> {
    let value = number(item)?;
    if value > whole(100) {
        item.fault(
            format!("`{}` is over 100 percent", item.path),
            "Write a percentage from 0 to 100: \"99.9\".",
        );
        return None;
    }
    Some(value)
}

fn positive(item: &Item) -> Option<Exact> {
    let value = number(item)?;
    if value.is_zero() {
        item.fault(
            format!("`{}` is zero", item.path),
            "Write a number above zero.",
        );
        return None;
    }
    Some(value)
}

fn amount(item: &Item) -> Option<Exact> {
    number(item)
}

fn currency(item: &Item) -> Option<String> {
    let text = item.text()?;
    let is_code = text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase());
    if !is_code {
        item.fault(
            format!("`{}` is not a valid currency", text.escape_debug()),
            "Write its three letters (ISO 4217): \"EUR\".",
        );
    }
    is_code.then_some(text)
}

pub(super) fn time_zone(item: &Item) -> Option<TimeZone> {
    let text = item.text()?;
    let zone = zones::zone(&text);
    if zone.is_none() {
        item.fault(
            format!("unknown time zone `{}`", text.escape_debug()),
            "Write a name of the IANA database: \"Europe/Helsinki\", \"UTC\".",
        );
    }
    zone
}

fn day(item: &Item) -> Option<Date> {
    let text = item.text()?;
    let day = text.parse::<Date>().ok().filter(|_| text.len() == 10);
    if day.is_none() {
        item.fault(
            format!(
                "`{}` = \"{}\" is not a valid date",
                item.path,
                text.escape_debug()
            ),
            "Write it as \"2026-12-24\".",
        );
    }
    day
}

fn time_of_day(item: &Item) -> Option<Time> {
    let text = item.text()?;
    if text == "24:00" {
        return Some(Time::midnight());
    }
    let time = text.parse::<Time>().ok().filter(|_| text.len() == 5);
    if time.is_none() {
        item.fault(
            format!(
                "`{}` = \"{}\" is not a valid time of day",
                item.path,
                text.escape_debug()
            ),
            "Write it as \"08:00\".",
        );
    }
    time
}

fn names(item: &Item, declared: Option<&[&str]>) -> Vec<Name> {
    let mut list: Vec<Name> = Vec::new();
    for one in item.list() {
        let Some(name) = one.name() else { continue };
        if let Some(known) = declared.filter(|known| !known.contains(&name.as_str())) {
            let advice = match super::document::tree::nearest(name.as_str(), known) {
                Some(near) => format!("Did you mean \"{near}\"?"),
                None => format!(
                    "Declare it: [component.{name}], or name an endpoint that is a component of \
                        its own."
                ),
            };
            one.fault(format!("unknown component `{name}`"), advice);
        }
        if list.contains(&name) {
            one.fault(
                format!("`{name}` appears twice"),
                "Name each component once.",
            );
            continue;
        }
        list.push(name);
    }
    if list.is_empty() {
        item.fault(
            format!("`{}` names nothing", item.path),
            "Name at least one component.",
        );
    }
    list
}

fn together(section: &Section, components: &[Name]) -> Option<Together> {
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
            let table = item.section()?;
            let mut given: BTreeMap<&str, Exact> = BTreeMap::new();
            for (name, span, one) in table.entries() {
                if !components.iter().any(|c| c.as_str() == name) {
                    table.source.fault(
                        &span,
                        format!("`{name}` has a weight but is not a component of the contract"),
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
                    format!("the weights sum to {}, not to 1", plain(&sum)),
                    "Make them sum to exactly 1.",
                );
            }
            Some(Together::Weighted(list))
        }
    }
}

fn period_kind(item: &Item) -> Option<PeriodKind> {
    let text = item.text()?;
    match text.as_str() {
        "calendar_month" => Some(PeriodKind::CalendarMonth),
        "calendar_quarter" => Some(PeriodKind::CalendarQuarter),
        "calendar_year" => Some(PeriodKind::CalendarYear),
        _ => {
            let length = text
                .strip_prefix("rolling ")
                .and_then(super::document::value::parse_duration)
                .filter(|ms| (3_600_000..=YEAR_MS).contains(ms));
            if length.is_none() {
                item.fault(
                    format!("`{}` is not a valid period", text.escape_debug()),
                    "Write calendar_month, calendar_quarter, calendar_year, or \"rolling 30d\" \
                        (an hour to 366 days).",
                );
            }
            length.map(PeriodKind::Rolling)
        }
    }
}

fn measure(item: &Item) -> Option<Measure> {
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
                format!("`{}` is not a valid rule for slices", other.escape_debug()),
                "Write \"all_fail\", \"any_fail\" or { error_ratio_above = \"0.05\" }.",
            );
            None
        }
    }
}

fn min_outage(item: &Item) -> MinOutage {
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
            .and_then(|i| i.word(&[("whole", false), ("whole_minutes", true)]))
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

fn service_hours(section: &Section, zone: &TimeZone) -> Option<ServiceHours> {
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

fn maintenance(section: Option<&Section>) -> MaintenanceRules {
    let Some(section) = section else {
        return MaintenanceRules {
            treat: Treat::Exclude,
            notice: None,
            allowance: None,
            announcement: Announcement::Recorded,
        };
    };
    let rules = MaintenanceRules {
        treat: word(
            section,
            "treat",
            &[
                ("exclude", Treat::Exclude),
                ("as_up", Treat::AsUp),
                ("count", Treat::Count),
            ],
            Treat::Exclude,
        ),
        notice: section.item("notice").and_then(|i| i.duration(0, YEAR_MS)),
        allowance: section
            .item("allowance")
            .and_then(|i| i.duration(0, YEAR_MS)),
        announcement: word(
            section,
            "announcement",
            &[
                ("recorded", Announcement::Recorded),
                ("claimed", Announcement::Claimed),
            ],
            Announcement::Recorded,
        ),
    };
    section.end();
    rules
}

fn credit(section: &Section) -> Option<Credit> {
    let model = required(
        section,
        "model",
        "model = \"linear\" (tiers, per_downtime, multiple)",
    )?
    .text()?;
    let positive = |key: &'static str, example: &str| {
        required(section, key, example).and_then(|i| positive(&i))
    };
    let rounding = |example: &str| {
        required(section, "rounding", example).and_then(|i| i.word(&Rounding::WORDS))
    };
    let model = match model.as_str() {
        "linear" => {
            let (step, per_step) = (
                positive("step", "step = \"1\", in percentage points"),
                positive("per_step", "per_step = \"10\", percent of the fee"),
            );
            let rounding = rounding(
                "rounding = \"pro_rata\", \"started\" or \"full\": the same minute of downtime is \
                    0.13, 100.00 or 0 of a fee of 1000.00",
            );
            let measured_from = word(
                section,
                "measured_from",
                &[
                    ("target", MeasuredFrom::Target),
                    ("100", MeasuredFrom::Hundred),
                ],
                MeasuredFrom::Target,
            );
            step.zip(per_step)
                .zip(rounding)
                .map(|((step, per_step), rounding)| Model::Linear {
                    step,
                    per_step,
                    rounding,
                    measured_from,
                })
        }
        "tiers" => required(
            section,
            "below",
            "below = [[\"99.99\", \"10\"], [\"99.0\", \"30\"]]",
        )
        .and_then(|i| tiers(&i))
        .map(Model::Tiers),
        "per_downtime" => {
            let unit =
                required(section, "unit", "unit = \"30m\"").and_then(|i| i.duration(1000, YEAR_MS));
            let per_unit = positive("per_unit", "per_unit = \"5\", percent of the fee");
            let rounding = rounding("rounding = \"started\", \"full\" or \"pro_rata\"");
            let aggregate = word(
                section,
                "aggregate",
                &[
                    ("per_outage", Aggregate::PerOutage),
                    ("period", Aggregate::Period),
                ],
                Aggregate::Period,
            );
            unit.zip(per_unit)
                .zip(rounding)
                .map(|((unit, per_unit), rounding)| Model::PerDowntime {
                    unit,
                    per_unit,
                    rounding,
                    aggregate,
                })
        }
        "multiple" => {
            let of = required(section, "of", "of = \"fee_of_downtime\"")
                .and_then(|i| i.word(&[("fee_of_downtime", ())]));
            of.and(positive("factor", "factor = \"10\""))
                .map(Model::Multiple)
        }
        other => {
            section.source.fault(
                &section.span,
                format!("unknown credit model `{}`", other.escape_debug()),
                "The models are linear, tiers, per_downtime and multiple.",
            );
            None
        }
    };
    let cap = section
        .item("cap")
        .and_then(|i| number(&i))
        .unwrap_or_else(|| whole(100));
    section.end();
    Some(Credit { model: model?, cap })
}

fn tiers(item: &Item) -> Option<Vec<(Exact, Exact)>> {
    let mut list: Vec<(Exact, Exact)> = Vec::new();
    for one in item.list() {
        let pair = one.list();
        let [below, percent] = pair.as_slice() else {
            one.fault(
                "a tier is a pair",
                "Write [\"99.99\", \"10\"]: below this percentage, this credit.",
            );
            continue;
        };
        let (Some(below), Some(percent)) = (percentage(below), number(percent)) else {
            continue;
        };
        if list.last().is_some_and(|(last, _)| below >= *last) {
            one.fault(
                "the tiers do not descend",
                "Write them from the highest percentage to the lowest.",
            );
        }
        list.push((below, percent));
    }
    if list.is_empty() {
        item.fault(
            "the list of tiers is empty",
            "Write [[\"99.99\", \"10\"], [\"99.0\", \"30\"]].",
        );
        return None;
    }
    Some(list)
}

fn latency(section: &Section) -> Option<LatencyObjective> {
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
