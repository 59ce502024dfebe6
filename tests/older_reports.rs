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

/// The same report in the names of today, with another change, signed again; without a checkpoint,
/// which the key of then signed.
fn of_schema_3(name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let renamed = text(&format!("{name}.json"))
        .replace("\"probity-report/2\"", "\"probity-report/3\"")
        .replace("\"probity-sla/1\"", "\"probity-sla/2\"")
        .replace("\"spells\":", "\"outage_summary\":");
    let mut third: Value = serde_json::from_str(&renamed).expect("JSON");
    third["events"]["checkpoint"] = Value::Null;
    change(&mut third);
    signed_again(third)
}

fn signed_again(report: Value) -> Value {
    let signer = Signer::from_hex(&"5a".repeat(32)).expect("a key");
    signer.signed(report.as_object().expect("an object").clone())
}

fn checked(report: &Value, journal: &str) -> Result<(), String> {
    let found = check(report, journal, None);
    found
        .map(|_| ())
        .map_err(|d| format!("{}: {}", d.place, d.why))
}

#[test]
fn each_schema_of_reports_has_its_own_names_and_no_others() {
    // Answers of each place that has them: components of a combination, and later terms.
    for name in REPORTS {
        let (second, third) = (report(name), of_schema_3(name, |_| {}));
        for report in [&second, &third] {
            let found = checked(report, &text(&format!("{name}.jsonl")));
            assert_eq!(found, Ok(()), "{name}");
            let read = ContractReport::read(report).expect("a report");
            assert_eq!(read.to_json(), *report, "{name}: written as it was read");
        }
        let [read, again] = [&second, &third].map(|report| {
            let read = ContractReport::read(report).expect("a report");
            ReportFormat::Csv.render(&read, Language::En)
        });
        assert_eq!(read, again, "{name}: both show the same");
    }
}

#[test]
fn a_report_with_the_names_of_another_schema_is_refused() {
    let moved = |report: &mut Value, from: &str, to: &str| {
        let result = report["evaluation"]["results"][0].as_object_mut();
        let result = result.expect("a result");
        let summary = result.remove(from).expect("a summary");
        result.insert(to.to_owned(), summary);
    };
    let journal = text("night.jsonl");
    let of_2 = |change: &dyn Fn(&mut Value)| {
        let mut report = report("night");
        change(&mut report);
        checked(&signed_again(report), &journal)
    };
    let of_3 = |change: &dyn Fn(&mut Value)| checked(&of_schema_3("night", change), &journal);
    assert_eq!((of_2(&|_| {}), of_3(&|_| {})), (Ok(()), Ok(())));
    let unread = "report: it cannot be read: ";
    for (found, begin) in [
        (
            of_2(&|r| moved(r, "spells", "outage_summary")),
            "unknown field `outage_summary`",
        ),
        (
            of_2(&|r| {
                r["evaluation"]["results"][0]["outage_summary"] =
                    r["evaluation"]["results"][0]["spells"].clone();
            }),
            "unknown field `outage_summary`",
        ),
        (
            of_2(&|r| {
                let result = r["evaluation"]["results"][0].as_object_mut();
                result.expect("a result").remove("spells");
            }),
            "missing field `spells`",
        ),
        (
            of_2(&|r| r["evaluation"]["schema"] = "probity-sla/2".into()),
            "unknown schema `probity-sla/2` of an evaluation: in a report of probity-report/2 it \
                is probity-sla/1",
        ),
        (
            of_3(&|r| moved(r, "outage_summary", "spells")),
            "unknown field `spells`",
        ),
    ] {
        let why = found.expect_err("refused");
        assert!(why.starts_with(&format!("{unread}{begin}")), "{why}");
    }
    let why = of_3(&|r| r["evaluation"]["schema"] = "probity-sla/1".into());
    assert_eq!(
        why.expect_err("refused"),
        "evaluation.schema: \"probity-sla/2\" follows from the events, the report says \
            \"probity-sla/1\""
    );
}

#[test]
fn a_false_summary_of_an_earlier_report_is_named_by_its_own_key() {
    let mut false_one = report("night");
    false_one["evaluation"]["results"][1]["spells"]["count"] = 77.into();
    let why = checked(&signed_again(false_one), &text("night.jsonl")).expect_err("refused");
    let place = "evaluation.results[1].spells.count: ";
    assert!(why.starts_with(place), "{why}");
    // Without a new signature, the old one is what does not fit.
    let mut edited = report("night");
    edited["evaluation"]["results"][1]["spells"]["count"] = 77.into();
    let why = checked(&edited, &text("night.jsonl")).expect_err("refused");
    assert!(why.starts_with("signature: "), "{why}");
}

#[test]
fn a_report_may_replace_one_of_an_earlier_schema() {
    let replaced = report("night")["signature"].clone();
    let third = of_schema_3("night", |r| r["replaces"] = replaced.clone());
    assert_eq!(checked(&third, &text("night.jsonl")), Ok(()));
    let shown = ReportFormat::Md.render(
        &ContractReport::read(&third).expect("a report"),
        Language::En,
    );
    assert!(
        shown.contains(replaced.as_str().expect("a text")),
        "{shown}"
    );
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
