//! Rules that texts hold: clocks, sizes, and that every probe kind, cause and metric is shown.

use std::fs;

use probity::serve::metrics;

use super::tree::{Source, sources};
use super::walls::floor;

#[test]
fn the_floors_that_decide_touch_no_clock_and_no_world() {
    for source in &sources() {
        let Source { path, text, .. } = source;
        if floor(&source.module()).is_some_and(|f| f <= 2) {
            for word in [
                "std::fs",
                "std::net::Tcp",
                "std::net::Udp",
                "std::time",
                "tokio",
                "SystemTime",
                "Instant::now",
                "std::env",
                "std::process",
                "println!",
            ] {
                assert!(
                    !source.before_tests().contains(word),
                    "{}: {word} has no place on this floor",
                    path.display()
                );
            }
        }
        if !path.ends_with("clock.rs") && !path.ends_with("sys.rs") {
            for word in ["SystemTime::now", "std::time::Instant", "UNIX_EPOCH"] {
                assert!(
                    !text.contains(word),
                    "{}: time comes from net::clock",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for Source { path, text, .. } in &sources() {
        assert!(
            text.starts_with("//! "),
            "{}: begins without a module doc",
            path.display()
        );
    }
}

#[test]
fn nothing_is_left_for_later_and_nothing_is_skipped() {
    for source in &sources() {
        let Source { path, text, .. } = source;
        for word in ["TODO", "FIXME", "XXX", "unimplemented!", "todo!"] {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
        assert!(
            !source.before_tests().contains(".unwrap()"),
            "{}: unwrap outside tests",
            path.display()
        );
        assert!(
            !text.contains("#[allow("),
            "{}: use expect with a reason",
            path.display()
        );
    }
    for entry in fs::read_dir("tests/e2e").expect("readable") {
        let text = fs::read_to_string(entry.expect("readable").path()).expect("UTF-8");
        assert!(!text.contains("#[ignore"));
    }
}

#[test]
fn every_probe_kind_has_an_example_a_test_and_a_row_in_the_readme() {
    let (example, readme) = (
        fs::read_to_string("config/example.toml").expect("there"),
        fs::read_to_string("README.md").expect("there"),
    );
    for kind in probity::kind::Kind::ALL {
        let kind = kind.as_str();
        assert!(
            example.contains(&format!("probe.{kind}.")),
            "config/example.toml shows no {kind}"
        );
        assert!(
            readme.contains(&format!("| `{kind}` |")),
            "README.md has no row for {kind}"
        );
        let tests: String = fs::read_dir("tests/e2e")
            .expect("readable")
            .map(|e| fs::read_to_string(e.expect("readable").path()).expect("UTF-8"))
            .collect();
        assert!(
            tests.contains(&format!("probe.{kind}")),
            "no end-to-end test of {kind}"
        );
    }
}

#[test]
fn every_cause_is_documented_and_provoked_and_every_reason_documented() {
    let docs = fs::read_to_string("docs/causes.md").expect("docs/causes.md is there");
    let mut tests = String::new();
    for directory in ["tests/e2e", "tests/system", "src/engine", "src/judgement"] {
        for entry in fs::read_dir(directory).expect("readable") {
            tests
                .push_str(&fs::read_to_string(entry.expect("readable").path()).unwrap_or_default());
        }
    }
    for cause in probity::words::Cause::ALL {
        assert!(
            docs.contains(&format!("`{}`", cause.as_str())),
            "docs/causes.md lacks {}",
            cause.as_str()
        );
        // As a whole word: many are words of other meaning as well.
        let provoked = tests.contains(&format!("Cause::{cause:?}"))
            || ["\"{}\"", "\"{}\\\""]
                .iter()
                .any(|form| tests.contains(&form.replace("{}", cause.as_str())));
        assert!(provoked, "no test provokes {}", cause.as_str());
    }
    for reason in probity::words::Reason::ALL {
        assert!(
            docs.contains(&format!("`{}`", reason.as_str())),
            "docs/causes.md lacks {}",
            reason.as_str()
        );
    }
}

#[test]
fn the_page_of_metrics_is_what_the_table_of_metrics_says() {
    let (path, page) = ("docs/metrics.md", metrics::reference::markdown());
    if std::env::var_os("WRITE_DOCS").is_some() {
        fs::write(path, &page).expect("written");
    }
    let there = fs::read_to_string(path).expect("docs/metrics.md is there");
    for (k, (is, is_to_be)) in there.lines().zip(page.lines()).enumerate() {
        assert_eq!(is, is_to_be, "{path}, line {}: write it anew", k + 1);
    }
    assert_eq!(there.len(), page.len(), "{path}: write it anew");
}

#[test]
fn whatever_the_sources_name_as_a_series_is_in_the_table_of_metrics() {
    let table: Vec<&str> = metrics::all().map(|metric| metric.name).collect();
    let mut named = 0;
    for source in &sources() {
        let Source { path, .. } = source;
        if !(path.starts_with("src/serve") || path.starts_with("src/account"))
            || path.ends_with("rules.rs")
            || path.starts_with("src/serve/rules")
        {
            continue;
        }
        for name in source.before_tests().split('"').filter(|part| {
            part.strip_prefix("probity_")
                .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        }) {
            let family = name
                .trim_end_matches("_bucket")
                .trim_end_matches("_sum")
                .trim_end_matches("_count");
            assert!(
                table.contains(&name) || table.contains(&family),
                "{}: {name} is in no row of the table",
                path.display()
            );
            named += 1;
        }
    }
    assert!(named > 40, "{named} series were found in the sources");
}
