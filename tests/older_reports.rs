//! Reports of an earlier build, with the events that they rest on: they are read, follow from the
//! events and look as they did.

use std::path::{Path, PathBuf};

use probity::history::checkpoint::Signer;
use probity::report::check::check;
use probity::report::format::ReportFormat;
use probity::report::object::ContractReport;
use probity::report::words::Language;
use serde_json::Value;

/// A night with credits and maintenance, the same for a tenant; a component that was renamed, with
/// a correction; later terms that give no answer; a tenant that was added; a combination.
const REPORTS: [&str; 6] = [
    "night",
    "tenant",
    "renamed",
    "no-answer",
    "tenant-added",
    "parallel",
];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/reports")
        .join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn report(name: &str) -> Value {
    serde_json::from_str(&text(&format!("{name}.json"))).expect("JSON")
}

#[test]
fn reports_of_an_earlier_build_follow_from_their_events() {
    for name in REPORTS {
        let found = check(&report(name), &text(&format!("{name}.jsonl")), None);
        assert!(found.is_ok(), "{name}: {found:?}");
    }
}

#[test]
fn reports_of_an_earlier_build_look_as_they_did() {
    for name in REPORTS {
        let report = ContractReport::read(&report(name)).expect("a report");
        for (end, format, language) in [
            ("json", ReportFormat::Json, Language::En),
            ("en.md", ReportFormat::Md, Language::En),
            ("fi.md", ReportFormat::Md, Language::Fi),
            ("html", ReportFormat::Html, Language::En),
            ("csv", ReportFormat::Csv, Language::En),
        ] {
            let shown = format.render(&report, language);
            if std::env::var_os("UPDATE_RENDERED").is_some() && end != "json" {
                std::fs::write(path(&format!("{name}.{end}")), &shown).expect("written");
            }
            assert!(
                shown == text(&format!("{name}.{end}")),
                "{name}.{end}:\n{shown}"
            );
        }
    }
}

/// The signature covers it, and nothing recomputes it.
#[test]
fn a_key_that_is_not_known_does_not_verify() {
    let signer = Signer::from_hex(&"5a".repeat(32)).expect("a key");
    let journal = text("night.jsonl");
    let verified = |change: &dyn Fn(&mut Value)| {
        let mut report = report("night");
        change(&mut report);
        let signed = signer.signed(report.as_object().expect("an object").clone());
        check(&signed, &journal, None).map_err(|d| format!("{}: {}", d.place, d.why))
    };
    assert!(verified(&|_| {}).is_ok(), "signed by the same key");
    let added: [&dyn Fn(&mut Value); 5] = [
        &|r| r["more"] = "good".into(),
        &|r| r["evaluation"]["more"] = 1.into(),
        &|r| r["evaluation"]["results"][0]["credit"]["more"] = Value::Null,
        &|r| r["extents"][0]["more"] = true.into(),
        &|r| r["timeline"]["components"][0]["down"][0]["more"] = "good".into(),
    ];
    for change in added {
        let said = verified(change).expect_err("refused");
        assert!(
            said.starts_with("report: it cannot be read: unknown field `more`"),
            "{said}"
        );
    }
    let said = verified(&|r| r["evaluation"]["results"][0]["down_ms"] = "none".into());
    let said = said.expect_err("refused");
    assert!(said.starts_with("report: it cannot be read: "), "{said}");
}

/// Zone data, later terms and terms of before came later than the schema.
#[test]
fn keys_that_earlier_builds_did_not_write_may_be_missing() {
    let mut report = report("night");
    let object = report.as_object_mut().expect("an object");
    for key in [
        "zone_data",
        "later_terms",
        "terms_before",
        "terms_salt_earlier",
    ] {
        assert!(object.remove(key).is_some(), "{key}");
    }
    let signer = Signer::from_hex(&"5a".repeat(32)).expect("a key");
    let signed = signer.signed(object.clone());
    let found = check(&signed, &text("night.jsonl"), None);
    assert!(found.is_ok(), "{found:?}");
    let read = ContractReport::read(&signed).expect("read");
    assert!(!read.to_json()["signature"].is_null());
}
