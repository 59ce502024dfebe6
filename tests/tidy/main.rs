//! The house rules that a machine can hold: walls between rooms, sizes, names, and that every probe
//! kind and metric is shown.
//!
//! Each check is a function of sources. It is held against the project, and against a planted fault
//! that it must find.

mod language;
mod planted;
mod quoted;
mod shown;
mod tree;
mod walls;

use tree::{Source, read, sources};
use walls::*;

// What there is today of each debt.
const CIRCLES: usize = 0;
const IN_CIRCLES: usize = 0;
const INDEXED_BY_TEXT: usize = 0;
const TYPES_TWICE: usize = 3;
const LONG_FUNCTIONS: usize = 1;
const LONG_FILES: usize = 1;
const LONG_LINES: usize = 3;
const FIXED_WAITS: usize = 0;

fn none(found: &[String]) {
    assert!(
        found.is_empty(),
        "{} faults:\n{}",
        found.len(),
        found.join("\n")
    );
}

/// A debt that may only get smaller: whoever makes it smaller writes the new figure here.
fn no_more_than(most: usize, found: &[String]) {
    assert!(
        found.len() <= most,
        "{} in place of {most}:\n{}",
        found.len(),
        found.join("\n")
    );
    assert!(
        found.len() == most,
        "only {} are left: write this figure in place of {most}",
        found.len()
    );
}

#[test]
fn no_file_uses_a_floor_above_its_own() {
    none(&upward(&sources()));
}

#[test]
fn circles_of_files_get_fewer() {
    let circles = circles(&sources());
    let lines: Vec<String> = circles.iter().map(|c| c.join(", ")).collect();
    no_more_than(CIRCLES, &lines);
    no_more_than(IN_CIRCLES, &circles.concat());
}

#[test]
fn only_the_history_names_the_database() {
    none(&outside(&sources(), "src/history", "rusqlite"));
}

#[test]
fn values_are_indexed_by_text_in_fewer_places() {
    no_more_than(INDEXED_BY_TEXT, &indexed_by_text(&sources()));
}

#[test]
fn types_have_names_of_their_own() {
    no_more_than(TYPES_TWICE, &types_named_twice(&sources()));
}

#[test]
fn functions_are_short() {
    no_more_than(LONG_FUNCTIONS, &long_functions(&sources(), 70));
}

#[test]
fn files_are_short() {
    no_more_than(LONG_FILES, &long_files(&sources(), 600));
}

#[test]
fn lines_fit_a_page() {
    let all = ["src", "tests", "benches", "fuzz/targets"]
        .iter()
        .flat_map(|place| read(place));
    no_more_than(LONG_LINES, &long_lines(&all.collect::<Vec<_>>(), 100));
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
    no_more_than(FIXED_WAITS, &calls(&read("tests"), &["time", "sleep"]));
}
