//! docs/configuration.md against the parser: it has a row for each key that the parser looks up,
//! with the type and range that the parser accepts, a default that changes nothing, and an example
//! that is valid.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::load;
use super::tests::{example, with_the_examples_files};
use crate::config::contract::load_contracts;
use crate::config::document::tree::LOOKED_UP;
use crate::config::print::effective;
use crate::kind::Kind;

const PAGE: &str = include_str!("../../../docs/configuration.md");

/// A row of the page, with the whole path of its key.
struct KeyRow {
    path: String,
    accepts: String,
    default: String,
    example: String,
}

fn rows() -> Vec<KeyRow> {
    let mut prefix = String::new();
    let mut list = Vec::new();
    for line in PAGE.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            let name = title.trim_matches(['`', '[', ']']);
            prefix = match name {
                "Main file" => String::new(),
                kind if kind.starts_with("probe.") => format!("endpoint.{kind}."),
                table => format!("{table}."),
            };
        }
        let cells = line.replace("\\|", "\u{1}");
        let cells: Vec<String> = cells
            .split('|')
            .map(|cell| cell.trim().replace('\u{1}', "|"))
            .collect();
        let [_, key, accepts, default, example, meaning, since, _] = cells.as_slice() else {
            continue;
        };
        if !key.starts_with('`') {
            continue;
        }
        let key = key.trim_matches('`');
        assert!(!meaning.is_empty(), "{key}");
        assert!(["0.1.0", "next"].contains(&since.as_str()), "{key}");
        list.push(KeyRow {
            path: format!("{prefix}{key}"),
            accepts: accepts.clone(),
            default: default.clone(),
            example: example.trim_matches('`').to_owned(),
        });
    }
    list
}

/// The path of a key as the page has it; `None` for names that the operator chooses.
fn documented(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('.').collect();
    match parts.as_slice() {
        ["defaults"] => return None,
        ["sla", _, ..] => parts[1] = "NAME",
        ["component", _, ..] => parts[1] = "ID",
        ["group", _, "targets", rest @ ..] => {
            return rest.is_empty().then(|| "group.NAME.targets".to_owned());
        }
        ["group", _, _, ..] => drop(parts.splice(..2, ["endpoint"])),
        ["defaults", _, ..] => parts[0] = "endpoint",
        ["witness", "endpoint", key, ..] if !matches!(*key, "name" | "timeout") => {
            parts.remove(0);
        }
        _ => {}
    }
    match parts.as_slice() {
        [.., "weights" | "labels", _] => return None,
        [.., "file" | "env" | "credential"] => return None,
        [_, "probe", _, "tls", ..] => drop(parts.drain(..3)),
        [_, "probe", _, "expect", "tls", ..] => drop(parts.drain(..3)),
        [.., "expect", "headers", _, _] => {
            let at = parts.len() - 2;
            parts[at] = "HEADER";
        }
        [.., "probe", _, "headers" | "query", _] => return None,
        _ => {}
    }
    Some(parts.join("."))
}

/// What the parser looks up in the example, with what it accepts there, as the page says it.
fn keys() -> BTreeMap<String, String> {
    // The example shows one of the two forms of `combine`.
    let other = "[component.any-two]\ncombine = { at_least = 2 }\n";
    for (path, inputs) in [
        ("example.toml", example()),
        (
            "written.toml",
            with_the_examples_files("written.toml", other),
        ),
    ] {
        load(Path::new(path), &inputs).unwrap_or_else(|faults| panic!("{faults:#?}"));
    }
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    for (path, note) in LOOKED_UP.with_borrow(|all| all.clone()) {
        let Some(path) = documented(&path) else {
            continue;
        };
        let words = |list: &str| {
            let each: Vec<String> = list.split(", ").map(|w| format!("`{w}`")).collect();
            each.join(", ")
        };
        let accepts = match note.split_once(": ") {
            Some(("word", list)) => words(list),
            Some((kind @ ("duration" | "size"), range)) => {
                format!("{kind}, `{}`", range.replace(" to ", "` to `"))
            }
            Some((kind, range)) => format!("{kind}, {range}"),
            None if note == "true or false" => note,
            None => String::new(),
        };
        let noted = keys.entry(path).or_default();
        if noted.is_empty() {
            *noted = accepts;
        }
    }
    keys
}

#[test]
fn every_key_has_a_row_with_the_type_and_range_that_the_parser_accepts() {
    let (keys, rows) = (keys(), rows());
    let paths: BTreeSet<&str> = rows.iter().map(|row| row.path.as_str()).collect();
    assert_eq!(paths.len(), rows.len(), "a key has two rows");
    let mut wrong = Vec::new();
    for (path, accepts) in &keys {
        let is_table = keys.keys().any(|k| k.starts_with(&format!("{path}.")));
        match rows.iter().find(|row| row.path == *path) {
            None if is_table => {}
            None => wrong.push(format!("no row for {path}")),
            Some(row) if row.accepts.contains(accepts) => {}
            Some(_) => wrong.push(format!("{path} accepts {accepts}")),
        }
    }
    for path in paths.iter().filter(|path| !keys.contains_key(**path)) {
        wrong.push(format!("the parser looks up no {path}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(keys.len() > 150, "{} keys", keys.len());
}

/// Tables that a key needs around it, and the keys that these tables cannot do without.
const BESIDE: &[(&str, &str, &str)] = &[
    (
        "endpoint.probe.http.auth.basic.username",
        "[[endpoint]]",
        "name = \"e\"\nprobe.http.url = \"http://192.0.2.1/\"\n\
            probe.http.auth.basic.password = { env = \"A\" }",
    ),
    (
        "tls.client_certificate",
        "[[endpoint]]",
        "name = \"e\"\nprobe.tls.address = \"192.0.2.1:1\"\n\
            probe.tls.tls.client_key = { file = \"a.key\" }",
    ),
    (
        "tls.client_key",
        "[[endpoint]]",
        "name = \"e\"\nprobe.tls.address = \"192.0.2.1:1\"\n\
            probe.tls.tls.client_certificate = \"a.pem\"",
    ),
    (
        "tls.",
        "[[endpoint]]",
        "name = \"e\"\nprobe.tls.address = \"192.0.2.1:1\"",
    ),
    (
        "expect.tls.",
        "[[endpoint]]",
        "name = \"e\"\nprobe.tls.address = \"192.0.2.1:1\"",
    ),
    (
        "endpoint.",
        "[[endpoint]]",
        "name = \"e\"\nprobe.tcp = \"192.0.2.1:1\"",
    ),
    ("component.ID.", "[component.of_its_own]", ""),
    (
        "group.NAME.",
        "[group.api]",
        "probe.http.expect.status = 200\ntargets = {}",
    ),
    (
        "history.backup.",
        "[history.backup]",
        "dir = \"/var/backups/probity\"",
    ),
    (
        "witness.endpoint.",
        "[[witness.endpoint]]",
        "name = \"w\"\nprobe.tcp = \"192.0.2.1:1\"",
    ),
    (
        "witness.",
        "[witness]",
        "endpoint = [{ name = \"w\", probe.tcp = \"192.0.2.1:1\" }]",
    ),
    (
        "maintenance.",
        "[[maintenance]]",
        "id = \"w\"\nstart = \"2026-12-06T02:00\"\nduration = \"2h\"",
    ),
    (
        "notify.",
        "[[notify]]",
        "name = \"n\"\nwebhook.url = { file = \"hook.url\" }",
    ),
    ("deadman.", "[deadman]", "url = { file = \"hook.url\" }"),
    (
        "sla.NAME.service_hours.",
        "[sla.s]",
        "service_hours.from = \"08:00\"\nservice_hours.to = \"18:00\"",
    ),
    (
        "sla.NAME.latency.",
        "[sla.s]",
        "latency.share = \"99\"\nlatency.within = \"1s\"",
    ),
    (
        "sla.NAME.credit.below",
        "[sla.s]",
        "credit.model = \"tiers\"",
    ),
    (
        "sla.NAME.credit.unit",
        "[sla.s]",
        "credit.model = \"per_downtime\"\ncredit.per_unit = \"5\"\ncredit.rounding = \"full\"",
    ),
    (
        "sla.NAME.credit.per_unit",
        "[sla.s]",
        "credit.model = \"per_downtime\"\ncredit.unit = \"1m\"\ncredit.rounding = \"full\"",
    ),
    (
        "sla.NAME.credit.aggregate",
        "[sla.s]",
        "credit.model = \"per_downtime\"\ncredit.unit = \"1m\"\ncredit.per_unit = \"5\"\n\
            credit.rounding = \"full\"",
    ),
    (
        "sla.NAME.credit.of",
        "[sla.s]",
        "credit.model = \"multiple\"\ncredit.factor = \"10\"",
    ),
    (
        "sla.NAME.credit.factor",
        "[sla.s]",
        "credit.model = \"multiple\"\ncredit.of = \"fee_of_downtime\"",
    ),
    (
        "sla.NAME.credit.",
        "[sla.s]",
        "credit.model = \"linear\"\ncredit.step = \"1\"\ncredit.per_step = \"10\"\n\
            credit.rounding = \"full\"",
    ),
    (
        "sla.NAME.measure.value",
        "[sla.s]",
        "measure.slices = \"1m\"",
    ),
    (
        "sla.NAME.measure.down_if",
        "[sla.s]",
        "measure.slices = \"1m\"",
    ),
    (
        "sla.NAME.measure.no_probe",
        "[sla.s]",
        "measure.slices = \"1m\"\nmeasure.value = \"mean_error_ratio\"",
    ),
    (
        "sla.NAME.measure.",
        "[sla.s]",
        "measure.down_if = \"all_fail\"",
    ),
    ("sla.NAME.weights", "[sla.s]", "combine = \"weighted\""),
    ("sla.NAME.", "[sla.s]", ""),
    (
        "tenant.",
        "[[tenant]]",
        "name = \"t\"\nsla = \"standard\"\nfee = \"1\"",
    ),
];

/// What examples name.
const NAMED: &str = "[component.checkout]\n[sla.standard]\nobjective = \"99\"\ncurrency = \"EUR\"\n\
    components = [\"checkout\"]\n[[endpoint]]\nname = \"gateway\"\nprobe.icmp = \"192.0.2.1\"\n";

/// What a key of a kind of probe needs around it: the address that the page has for the kind.
fn of_kind(path: &str) -> Option<(String, String)> {
    let (kind, prefix) = Kind::ALL.iter().find_map(|kind| {
        let prefix = format!("endpoint.probe.{}.", kind.as_str());
        path.starts_with(&prefix).then_some((kind, prefix))
    })?;
    let address = format!("{prefix}{}", kind.address_key());
    let row = rows().into_iter().find(|row| row.path == address);
    let example = row
        .unwrap_or_else(|| panic!("no row for {address}"))
        .example;
    let key = address.trim_start_matches("endpoint.");
    Some((prefix, format!("name = \"e\"\n{key} = {example}")))
}

/// A config with that key and what it needs; without the key where there is no value.
fn config(path: &str, value: Option<&str>) -> String {
    let of_kind = of_kind(path);
    let of_kind = of_kind
        .as_ref()
        .map(|(prefix, beside)| (prefix.as_str(), "[[endpoint]]", beside.as_str()));
    // The longest prefix says most of what is needed.
    let found = BESIDE
        .iter()
        .copied()
        .chain(of_kind)
        .filter(|(prefix, ..)| path.starts_with(prefix))
        .max_by_key(|(prefix, ..)| prefix.len());
    let (header, beside, key) = match found {
        Some((prefix, header, beside)) => {
            let of_table = match prefix {
                "tls." | "tls.client_certificate" | "tls.client_key" => "probe.tls.tls.",
                "expect.tls." => "probe.tls.expect.",
                _ => "",
            };
            let table = prefix
                .split_inclusive('.')
                .take(match prefix.split('.').next() {
                    Some("sla" | "component" | "group" | "history") => 2,
                    Some("witness") => prefix.matches('.').count(),
                    _ => 1,
                });
            let table: String = match prefix {
                _ if prefix.starts_with("tls.client_") => "tls.".to_owned(),
                _ => table.collect(),
            };
            let key = path.strip_prefix(&table).unwrap_or(path);
            (
                header.to_owned(),
                beside.to_owned(),
                format!("{of_table}{key}"),
            )
        }
        None => match path.rsplit_once('.') {
            Some((table, key)) => (format!("[{table}]"), String::new(), key.to_owned()),
            None => (String::new(), String::new(), path.to_owned()),
        },
    };
    let key = key.replace("HEADER", "etag");
    let key = key
        .strip_suffix("dialogue.send")
        .or(key.strip_suffix("dialogue.expect"))
        .map_or(key.clone(), |before| format!("{before}dialogue"));
    let contract = if header == "[sla.s]" {
        "objective = \"99\"\ncomponents = [\"checkout\"]\ncurrency = \"EUR\"\n"
    } else {
        ""
    };
    let kept: String = contract
        .lines()
        .chain(beside.lines())
        .filter(|line| !line.starts_with(&format!("{key} =")))
        .map(|line| format!("{line}\n"))
        .collect();
    let set = value.map_or(String::new(), |value| format!("{key} = {value}\n"));
    format!("{header}\n{kept}{set}{NAMED}")
}

fn printed(path: &str, value: Option<&str>) -> Result<String, String> {
    let text = config(path, value);
    match load(
        Path::new("written.toml"),
        &with_the_examples_files("written.toml", &text),
    ) {
        Ok(plan) => Ok(effective(&plan)),
        Err(faults) => Err(format!("{path}: {faults:#?}\n{text}")),
    }
}

#[test]
fn every_example_is_valid_and_every_default_changes_nothing() {
    let (mut defaults, mut wrong) = (0, Vec::new());
    for row in rows() {
        wrong.extend(printed(&row.path, Some(&row.example)).err());
        let literal = row
            .default
            .strip_prefix('`')
            .and_then(|d| d.strip_suffix('`'));
        let Some(literal) = literal.filter(|d| !d.contains('`')) else {
            continue;
        };
        match (printed(&row.path, Some(literal)), printed(&row.path, None)) {
            (Ok(with), Ok(without)) if with == without => defaults += 1,
            (Ok(_), Ok(_)) => wrong.push(format!("{}: {literal} is not the default", row.path)),
            (with, without) => wrong.extend([with, without].into_iter().filter_map(Result::err)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(defaults > 50, "{defaults} defaults");
}

#[test]
fn a_reader_of_contracts_passes_over_every_other_table_of_a_config() {
    let contracts = load_contracts(Path::new("example.toml"), &example())
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert!(contracts.list.len() > 3 && !contracts.tenants.is_empty());
}
