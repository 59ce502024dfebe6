//! Tests that documents name in a command exist: a filter that fits none passes without a word.

use std::fs;
use std::path::Path;

use super::tree::{Source, read};

/// A command of a document: which tests, and the filter.
#[derive(Debug, PartialEq)]
struct Named {
    line: usize,
    /// `lib`, or the name of a file or folder of tests.
    target: String,
    /// Empty for all of them.
    filter: String,
}

/// Every `cargo test --lib FILTER` and `cargo test --test TARGET FILTER` of a page.
fn named(page: &str) -> Vec<Named> {
    let of_line = |(k, line): (usize, &str)| {
        let of_command = move |command: &str| {
            let command = command.split(['`', '#', '|', '&', ';']).next()?;
            let mut words = command.split_whitespace().peekable();
            let target = loop {
                match words.next()? {
                    "--lib" => break "lib",
                    "--test" => break words.next()?,
                    option if option.starts_with("--") => {}
                    _ => return None,
                }
            };
            let filter = words.find(|word| !word.starts_with("--") || *word == "--");
            Some(Named {
                line: k + 1,
                target: target.to_owned(),
                filter: filter.filter(|f| *f != "--").unwrap_or_default().to_owned(),
            })
        };
        line.split("cargo test ")
            .skip(1)
            .filter_map(of_command)
            .collect::<Vec<_>>()
    };
    page.lines().enumerate().flat_map(of_line).collect()
}

/// The tests of a file, each with the path that the test runner knows it by.
fn tests_of(source: &Source, target: &str) -> Vec<String> {
    let mut path = source.module();
    if target != "lib" {
        path.retain(|part| part != target);
    }
    let mut tests = Vec::new();
    let mut is_test = false;
    for line in source.text.lines().map(str::trim_start) {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else if line.starts_with("mod tests {") {
            path.push("tests".to_owned());
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
            let name = rest.split('(').next().unwrap_or_default();
            tests.push([&path[..], &[name.to_owned()]].concat().join("::"));
            is_test = false;
        }
    }
    tests
}

/// Commands that run no test.
fn without_tests(page: &str, sources: &[Source]) -> Vec<String> {
    let fits = |named: &Named| {
        let root = match named.target.as_str() {
            "lib" => Path::new("src").to_owned(),
            target => Path::new("tests").join(target),
        };
        sources
            .iter()
            .filter(|s| s.path.starts_with(&root) || s.path == root.with_extension("rs"))
            .flat_map(|s| tests_of(s, &named.target))
            .any(|test| test.contains(&named.filter))
    };
    let missing = named(page).into_iter().filter(|named| !fits(named));
    missing
        .map(|n| format!("{}: no test of {} fits `{}`", n.line, n.target, n.filter))
        .collect()
}

/// Stands in CONTRIBUTING.md for the name of any test.
const ANY: &str = "NAME";

#[test]
fn tests_that_documents_name_exist() {
    let all: Vec<Source> = ["src", "tests"].iter().flat_map(|p| read(p)).collect();
    let roots = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"].map(Into::into);
    let docs = fs::read_dir("docs").expect("readable");
    let pages = docs.map(|entry| entry.expect("readable").path());
    let mut found = Vec::new();
    let mut commands = 0;
    for path in roots.into_iter().chain(pages) {
        if path.extension().is_some_and(|e| e == "md") {
            let page = fs::read_to_string(&path).expect("UTF-8").replace(ANY, "");
            commands += named(&page).len();
            let faults = without_tests(&page, &all);
            found.extend(faults.iter().map(|f| format!("{}:{f}", path.display())));
        }
    }
    assert!(commands > 50, "{commands} commands were found in the pages");
    super::none(&found);
}

#[test]
fn a_filter_that_fits_no_test_is_found() {
    let sources = [
        Source::new(
            "src/net/a.rs",
            "//! A.\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn it_holds() {}\n}\n",
        ),
        Source::new(
            "tests/e2e/doors.rs",
            "//! D.\n#[tokio::test(flavor = \"multi_thread\")]\nasync fn none_enters() {}\n\
             fn helper() {}\n",
        ),
        Source::new("tests/tallies.rs", "//! T.\n#[test]\nfn sums() {}\n"),
    ];
    for there in [
        "| `cargo test --lib net::a` | `cargo test --lib it_holds` |",
        "`cargo test --release --test e2e doors::none -- --nocapture`",
        "cargo test --test tallies",
        "cargo test --locked",
    ] {
        assert_eq!(without_tests(there, &sources), [""; 0], "{there}");
    }
    for gone in [
        "text\n`cargo test --lib net::b`",
        "\n`cargo test --test e2e helper`, `cargo test --test tallies`",
        "\n| `cargo test --test tallies` | `cargo test --test tally` |",
    ] {
        let found = without_tests(gone, &sources);
        assert_eq!(found.len(), 1, "{gone}: {found:?}");
        assert!(found[0].starts_with("2: "), "{found:?}");
    }
}
