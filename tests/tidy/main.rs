//! The house rules that a machine can hold: walls between rooms, sizes, names, and that every probe
//! kind and metric is shown.
//!
//! Each check is a function of sources. It is held against the project, and against a planted fault
//! that it must find.

mod commands;
mod glossary;
mod language;
mod planted;
mod quoted;
mod shown;
mod tree;
mod walls;

use tree::{Source, read, sources};
use walls::*;

fn none(found: &[String]) {
    assert!(
        found.is_empty(),
        "{} faults:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn no_file_uses_a_floor_above_its_own() {
    none(&upward(&sources()));
}

#[test]
fn no_files_use_one_another_in_a_circle() {
    let circles = circles(&sources());
    let lines: Vec<String> = circles.iter().map(|c| c.join(", ")).collect();
    none(&lines);
}

#[test]
fn only_the_history_names_the_database() {
    none(&outside(&sources(), "src/history", "rusqlite"));
}

#[test]
fn only_own_calls_name_the_client_whose_calls_need_a_thread_of_their_own() {
    none(&outside(&sources(), "src/net/own_calls.rs", "reqwest"));
}

#[test]
fn values_are_not_indexed_by_text() {
    none(&indexed_by_text(&sources()));
}

#[test]
fn types_have_names_of_their_own() {
    none(&types_named_twice(&sources()));
}

#[test]
fn functions_are_short() {
    none(&long_functions(&sources(), 70));
}

#[test]
fn files_are_short() {
    none(&long_files(&sources(), 600));
}

#[test]
fn files_of_python_are_short() {
    let mut found = Vec::new();
    let mut files = 0;
    for place in ["benches", "tests/system", "deploy/grafana", "fuzz"] {
        for entry in std::fs::read_dir(place).expect("readable") {
            let path = entry.expect("readable").path();
            if path.extension().is_some_and(|e| e == "py") {
                let lines = std::fs::read_to_string(&path)
                    .expect("UTF-8")
                    .lines()
                    .count();
                files += 1;
                if lines > 600 {
                    found.push(format!("{}: {lines} lines", path.display()));
                }
            }
        }
    }
    assert!(files > 20, "{files} files of Python were found");
    none(&found);
}

#[test]
fn lines_fit_a_page() {
    let all = ["src", "tests", "benches", "fuzz/targets"]
        .iter()
        .flat_map(|place| read(place));
    none(&long_lines(&all.collect::<Vec<_>>(), 100));
}

#[test]
fn functions_take_no_bool_where_two_functions_or_an_enum_would_say_more() {
    // Flags that are data: a signal delivered or not, printing as JSON, what serde gives a visitor.
    let data = [
        "sent",
        "count",
        "print",
        "count_raw",
        "visit_bool",
        "slot",
        "met",
        "json",
    ];
    let list: Vec<Source> = sources()
        .into_iter()
        .filter(|s| !s.path.starts_with("src/cli"))
        .collect();
    none(&bool_parameters(&list, &data));
}

#[test]
fn unsafe_code_is_in_one_file() {
    none(&unsafe_code(&sources(), "net/sys.rs"));
}

#[test]
fn nothing_public_is_dead() {
    let users: Vec<Source> = ["tests", "benches", "fuzz/targets"]
        .iter()
        .flat_map(|place| read(place))
        .collect();
    none(&dead_public(&sources(), &users));
}

#[test]
fn tests_wait_for_what_they_need_and_not_for_a_fixed_time() {
    none(&calls(&read("tests"), &["time", "sleep"]));
    // A peer of a test may be slow: its timer is in the file of peers, and nowhere else.
    let others: Vec<Source> = read("tests")
        .into_iter()
        .filter(|s| !s.path.ends_with("tests/e2e/serve.rs"))
        .collect();
    none(&calls(&others, &["time", "sleep_until"]));
}
