//! Histories that an earlier build wrote: they open, verify, and give the same figures to the
//! millisecond and the same bytes of events.
//!
//! tests/fixtures/histories holds them, with what that build said of them; README.md there tells
//! what is in them and how they were made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

#[path = "e2e/program.rs"]
#[expect(dead_code, reason = "what the end-to-end tests need beside")]
mod program;

use probity::history::opened::History;
use program::program;

const FOLDER: &str = "tests/fixtures/histories";
const NAMES: [&str; 3] = ["outages", "maintenance", "restored"];

/// A copy of a history in a state directory of its own, with its config.
struct Copied {
    directory: tempfile::TempDir,
    folder: PathBuf,
}

impl Copied {
    fn of(name: &str) -> Self {
        let copied = Self {
            directory: tempfile::tempdir().expect("a directory"),
            folder: Path::new(FOLDER).join(name),
        };
        std::fs::create_dir(copied.state()).expect("made");
        std::fs::copy(
            copied.folder.join("history.sqlite"),
            copied.state().join("history.sqlite"),
        )
        .expect("copied");
        let text = copied.expected("probity.toml");
        let state = copied.state();
        let text = text.replace("STATE", state.to_str().expect("UTF-8"));
        std::fs::write(copied.config(), text).expect("written");
        // As a start does: it keeps the file of the older format beside the new one.
        drop(History::open(&copied.state(), None).expect("brought up to date"));
        // The fixtures have no key of their own, and what that makes of them is not to be seen.
        for file in std::fs::read_dir(copied.state()).expect("a folder") {
            let path = file.expect("an entry").path();
            if !path.to_string_lossy().contains("history.") {
                std::fs::remove_file(path).expect("removed");
            }
        }
        copied
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("probity.toml")
    }

    fn expected(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).expect("a file of the fixture")
    }

    /// What this build says, in the form of the file `name`.
    fn says(&self, name: &str, args: &[String]) -> String {
        let place = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let args = args.iter().map(|a| {
            a.replace("STATE", &place(&self.state()))
                .replace("CONFIG", &place(&self.config()))
                .replace("FOLDER", &place(&self.folder))
        });
        let output = program()
            .args(args)
            .env("TZDIR", "/not/there")
            .output()
            .expect("runs");
        if name.ends_with(".exit") {
            return format!("{}\n", output.status.code().expect("a code"));
        }
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(!text.is_empty(), "{name}: {errors}");
        text
    }
}

fn commands() -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(Path::new(FOLDER).join("commands.json")).expect("there");
    serde_json::from_str(&text).expect("JSON")
}

/// `probity-sla/2` has one key of `probity-sla/1` by another name, and nothing else.
fn with_the_names_of_today(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if let Some(summary) = object.remove("spells") {
                object.insert("outage_summary".into(), summary);
            }
            if let Some(schema) = object.get_mut("schema").filter(|s| *s == "probity-sla/1") {
                *schema = "probity-sla/2".into();
            }
            object.values_mut().for_each(with_the_names_of_today);
        }
        Value::Array(list) => list.iter_mut().for_each(with_the_names_of_today),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// JSON by its content (of contracts one value each), everything else by its bytes: the events of a
/// journal are bytes.
fn compare(of: &str, name: &str, before: &str, now: &str) {
    if name.ends_with(".json") {
        let values = |text| {
            let values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
            values.map(|value| value.expect("JSON")).collect::<Vec<_>>()
        };
        let shown = |values: Vec<Value>| {
            let texts = values.iter().map(serde_json::to_string_pretty);
            texts.map(|text| text.expect("JSON")).collect::<Vec<_>>()
        };
        let (mut before, now) = (values(before), values(now));
        if name == "sla.json" {
            before.iter_mut().for_each(with_the_names_of_today);
        }
        assert_eq!(
            shown(before).join("\n"),
            shown(now).join("\n"),
            "{of}: {name}"
        );
    } else {
        // What a metric means may be said in better words.
        let but_help = |text: &str| {
            let lines = text.lines().filter(|line| !line.starts_with("# HELP "));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(but_help(before), but_help(now), "{of}: {name}");
    }
}

#[test]
fn histories_of_the_build_before_give_the_same_figures_and_the_same_bytes() {
    for of in NAMES {
        let copied = Copied::of(of);
        for (name, args) in commands() {
            let now = copied.says(&name, &args);
            compare(of, &name, &copied.expected(&name), &now);
        }
        let verified: Value = serde_json::from_str(&copied.expected("verify.json")).expect("JSON");
        assert_eq!(verified["verdict"], "whole", "{of}");
        assert_eq!(copied.expected("report-verified.exit"), "0\n", "{of}");
    }
}

/// The number of a row says which endpoint its name meant then, and from when it counts.
#[test]
fn a_correction_and_a_window_have_the_numbers_of_their_events() {
    for manipulation in [
        "UPDATE correction SET seq = seq - 1",
        "UPDATE window SET seq = seq + 1 WHERE seq = (SELECT max(seq) FROM window)",
    ] {
        let copied = Copied::of("maintenance");
        let verify = ["history", "verify", "--state-dir", "STATE"].map(str::to_owned);
        let before = copied.says("verify", &verify);
        assert!(before.starts_with("intact"), "{before}");
        rusqlite::Connection::open(copied.state().join("history.sqlite"))
            .expect("opened")
            .execute_batch(manipulation)
            .expect("done");
        let after = copied.says("verify", &verify);
        assert!(after.starts_with("altered"), "{manipulation}: {after}");
    }
}
