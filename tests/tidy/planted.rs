//! Each wall with a fault planted beside something innocent that looks like it.

use super::tree::Source;
use super::walls::*;

fn source(path: &str, text: &str) -> Source {
    Source::new(path, text)
}

/// What a check finds in a file of the given text, by line.
fn lines(check: impl Fn(&[Source]) -> Vec<String>, path: &str, text: &str) -> Vec<usize> {
    let line = |found: String| {
        found
            .split(':')
            .nth(1)
            .and_then(|n| n.parse().ok())
            .expect("file and line")
    };
    check(&[source(path, text)]).into_iter().map(line).collect()
}

#[test]
fn uses_of_a_higher_floor_are_found_in_every_form() {
    let text = "use crate::words::Ms;\nuse crate::{judgement::state::Judge, \
        engine::{board::Board, events}};\nuse super::super::super::serve::page as p;\n\
        fn f() { crate::daemon::run::go(); }\n// crate::daemon::x\nconst S: &str \
        = \"crate::daemon::x\";\n#[cfg(test)]\nmod tests { use crate::daemon::run; }\n";
    assert_eq!(
        lines(upward, "src/config/document/value.rs", text),
        [2, 2, 3, 4]
    );
    assert_eq!(lines(upward, "src/daemon/leaf.rs", text), [0; 0]);
}

#[test]
fn what_a_kind_is_belongs_to_the_config_and_its_probing_does_not() {
    let text = "use crate::kind::{Kind, http::spec::Http, http::HttpTarget, http::run::probe};\n\
        use crate::kind::run::cost;\n";
    assert_eq!(lines(upward, "src/config/lint.rs", text), [1, 2]);
    assert_eq!(lines(upward, "src/kind/tcp/read.rs", text), [1, 2]);
    assert_eq!(lines(upward, "src/kind/tcp/run.rs", text), [0; 0]);
}

#[test]
fn a_circle_of_files_is_found() {
    let file = |name: &str, uses: &str| {
        source(
            &format!("src/config/{name}.rs"),
            &format!("use super::{uses}::X;\n"),
        )
    };
    let circle = [
        file("a", "b"),
        file("b", "c"),
        file("c", "a"),
        file("d", "a"),
    ];
    assert_eq!(
        circles(&circle),
        [["src/config/a.rs", "src/config/b.rs", "src/config/c.rs"]
            .map(str::to_owned)
            .to_vec()]
    );
    assert_eq!(
        circles(&circle[1..]),
        [[""; 0]; 0].map(|c: [&str; 0]| c.map(str::to_owned).to_vec())
    );
}

#[test]
fn who_may_see_a_thing_is_no_use_of_a_file() {
    let file = |name: &str, text: &str| source(&format!("src/config/{name}.rs"), text);
    let parent = file("a", "use self::b::X;\n");
    let seen = file("a/b", "pub(super) struct X;\n");
    let used = file("a/b", "pub(super) struct X(super::Y);\n");
    assert!(circles(&[parent, seen]).is_empty());
    let parent = file("a", "use self::b::X;\n");
    assert_eq!(circles(&[parent, used]).len(), 1);
}

#[test]
fn a_crate_outside_its_folder_is_found() {
    let [by_use, by_path, not] = [
        "use rusqlite::Connection;\n",
        "fn f(c: &rusqlite::Connection) {}\n",
        "// rusqlite\nfn rusqlite_like() {}\n",
    ];
    let all = [
        source("src/serve/a.rs", by_use),
        source("src/serve/b.rs", by_path),
        source("src/serve/c.rs", not),
        source("src/history/d.rs", by_use),
    ];
    assert_eq!(
        outside(&all, "src/history", "rusqlite"),
        ["src/serve/a.rs", "src/serve/b.rs"]
    );
}

#[test]
fn calls_are_found_by_the_end_of_their_path() {
    let text = "async fn f() {\n    tokio::time::sleep(d).await;\n    time::sleep(d).await;\n    \
        sleep(d);\n    tokio::time::sleep_until(i).await;\n}\n";
    assert_eq!(
        lines(|s| calls(s, &["time", "sleep"]), "tests/a.rs", text),
        [2, 3]
    );
}

#[test]
fn an_index_by_text_is_found() {
    assert_eq!(
        lines(
            indexed_by_text,
            "src/a.rs",
            "fn f() {\n    let a = v[\"key\"].x[\"other\"];\n    let b = v[0];\n    let c = \
                &s[\"a\".len()..];\n}\n"
        ),
        [2, 2]
    );
}

#[test]
fn a_type_that_is_defined_twice_is_found() {
    let twice = [
        source("src/a.rs", "struct Told;\nenum Own {}\n"),
        source("src/b.rs", "mod inner { pub enum Told { A } }\n"),
        source("src/c.rs", "fn f() { struct Own; }\n"),
    ];
    assert_eq!(types_named_twice(&twice), ["Told"]);
}

#[test]
fn a_long_function_is_found() {
    let of = |lines: usize| {
        format!(
            "impl X {{\n    fn long() {{\n{}    }}\n}}\n",
            "        go();\n".repeat(lines - 2)
        )
    };
    assert_eq!(lines(|s| long_functions(s, 70), "src/a.rs", &of(71)), [2]);
    assert_eq!(
        lines(|s| long_functions(s, 70), "src/a.rs", &of(70)),
        [0; 0]
    );
}

#[test]
fn a_bool_parameter_is_found_over_several_lines() {
    let text = "pub fn f(\n    a: u8,\n    is_open: bool,\n) {}\ntrait T {\n    fn g(&self, flag: \
        bool);\n    fn h(&self) -> bool;\n}\nfn data(slot: bool) {}\n";
    assert_eq!(
        lines(|s| bool_parameters(s, &["slot"]), "src/a.rs", text),
        [1, 6]
    );
}

#[test]
fn unsafe_code_is_found_in_every_form() {
    let text = "fn f() {\n    unsafe { g() }\n}\nunsafe fn h() {}\nunsafe impl Send for X {}\n// \
        unsafe {\nconst S: &str = \"unsafe { }\";\n";
    assert_eq!(
        lines(|s| unsafe_code(s, "sys.rs"), "src/a.rs", text),
        [2, 4, 5]
    );
    assert_eq!(
        lines(|s| unsafe_code(s, "sys.rs"), "src/sys.rs", text),
        [0; 0]
    );
}

#[test]
fn what_is_public_and_named_nowhere_is_found() {
    let own = source(
        "src/a.rs",
        "pub fn dead() {}\npub fn alive() {}\npub const TOLD: u8 = 1;\nfn private() {}\n",
    );
    let user = source("tests/b.rs", "fn f() { alive(); let _ = TOLD; }\n");
    assert_eq!(dead_public(&[own], &[user]), ["src/a.rs:1: dead"]);
}

#[test]
fn a_long_file_and_a_long_line_are_found() {
    let tests = "#[cfg(test)]\nmod tests {}\n";
    let of = |lines: usize| source("src/a.rs", &format!("{}{tests}", "//! x\n".repeat(lines)));
    assert_eq!(long_files(&[of(600)], 600), [""; 0]);
    assert_eq!(long_files(&[of(601)], 600), ["src/a.rs: 601 lines"]);
    let text = format!("//! {}\n// {}\n", "ä".repeat(96), "ä".repeat(98));
    assert_eq!(lines(|s| long_lines(s, 100), "src/a.rs", &text), [2]);
}
