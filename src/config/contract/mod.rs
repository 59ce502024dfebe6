//! Contracts from their tables: `[sla.NAME]`, `[[sla.NAME]]` and `[[tenant]]`, in the daemon's
//! config or in a file of their own.

mod credit;
mod terms;
pub(in crate::config) mod values;
pub(in crate::config) mod words;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::tz::TimeZone;
use num_traits::One;
use toml::de::{DeTable, DeValue};

use self::credit::credit;
use self::terms::*;
use self::values::{currency, day, names, number, percentage, required, time_zone, word};
use self::words::{BEFORE_IN_SERVICE, UNKNOWN};
use super::document::common::is_id;
use super::document::source::{ConfigInputs, Fault, Source};
use super::document::tree::{Item, Layers, Section};
use crate::config::document::problem::problem;
use crate::judgement::sla::calendar::PeriodKind;
use crate::judgement::sla::contract::*;
use crate::judgement::sla::exact::Exact;
use crate::words::Name;

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
/// Reads contracts from a file of their own; other tables of a daemon's config are passed over.
pub fn load_contracts(path: &Path, inputs: &dyn ConfigInputs) -> Result<Contracts, Vec<Fault>> {
    let text = inputs.read(path).map_err(|why| {
        let advice = "Name a file with [sla.NAME] tables.".to_owned();
        let problem = problem!("the contract cannot be read: {why}");
        vec![Fault::of_file(path, problem, advice)]
    })?;
    let source = Source::new(path, text);
    let (tree, errors) = DeTable::parse_recoverable(&source.text);
    for error in errors {
        source.fault(
            &error.span().unwrap_or(0..0),
            problem!("this is not TOML: {}", error.message()),
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
            let name = Name::new(id).ok().filter(|_| is_id(id));
            if name.is_none() {
                table.source.fault(
                    &span,
                    problem!("`{}` cannot be a contract's id", id.escape_debug()),
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
                            problem!(
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
    let (fee, currency) = fee(section);
    let measure = section
        .item("measure")
        .and_then(|i| measure(&i))
        .unwrap_or(Measure::Time);
    let credit = section.section("credit").and_then(|s| credit(&s));
    look_at_model(section, credit.as_ref(), &measure);
    let contract = Contract {
        name: name.unwrap_or_else(|| Name::new("unnamed").expect("a constant name")),
        objective: objective.clone().unwrap_or_else(Exact::one),
        period: section
            .item("period")
            .and_then(|i| period_kind(&i))
            .unwrap_or(PeriodKind::CalendarMonth),
        together: together.unwrap_or(Together::Each),
        measure,
        unknown: word(section, "unknown", &UNKNOWN, Unknown::Exclude),
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
            &BEFORE_IN_SERVICE,
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

/// The fee and its currency.
fn fee(section: &Section) -> (Option<Exact>, Option<String>) {
    let fee = section.item("fee").and_then(|i| number(&i));
    let currency = section.item("currency").and_then(|i| currency(&i));
    if fee.is_some() && currency.is_none() && !section.table.contains_key("currency") {
        section.source.fault(
            &section.span,
            "a fee without a currency",
            "Add currency = \"EUR\".",
        );
    }
    (fee, currency)
}

/// Whether the credit's model has what it is computed from.
fn look_at_model(section: &Section, credit: Option<&Credit>, measure: &Measure) {
    let by_time = matches!(
        credit.map(|c| &c.model),
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
}

fn tenant(section: &Section, contracts: &[Contract], declared: Option<&[&str]>) -> Option<Tenant> {
    let name = required(section, "name", "name = \"B\"").and_then(|i| i.name());
    let sla = required(section, "sla", "sla = \"standard\", the id of a contract").and_then(|i| {
        let name = i.name()?;
        if !contracts.iter().any(|c| c.name == name) {
            i.fault(
                problem!("unknown contract `{name}`"),
                format!("Declare it: [sla.{name}]."),
            );
        }
        Some(name)
    });
    let fee = required(section, "fee", "fee = \"1000.00\"").and_then(|i| number(&i));
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
            problem!(
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
