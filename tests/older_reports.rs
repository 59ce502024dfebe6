//! Reports of an earlier build, with the events that they rest on: they are read, follow from the
//! events and look as they did.

use std::path::{Path, PathBuf};

use probity::report::check::check;
use probity::report::csv::csv;
use probity::report::html::html;
use probity::report::text::markdown;
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
        let report = report(name);
        for (end, shown) in [
            ("json", format!("{report}\n")),
            ("en.md", markdown(&report, Language::En)),
            ("fi.md", markdown(&report, Language::Fi)),
            ("html", html(&report, Language::En)),
            ("csv", csv(&report)),
        ] {
            assert!(
                shown == text(&format!("{name}.{end}")),
                "{name}.{end}:\n{shown}"
            );
        }
    }
}
