//! docs/events.md and docs/schemas/event.schema.json against the events of the code: each kind has
//! a section, a schema and an example, and what is written are the bytes of the example.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use probity::history::EventDraft;
use probity::history::chain::canonical;
use probity::history::event::{ComponentEvent, DownEvent, ENVELOPE, Event, EventRecord};
use probity::words::Name;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

#[path = "e2e/schema.rs"]
mod schema;

use schema::fits;

type Object = Map<String, Value>;

/// A section of docs/events.md: the fields of a kind, whether each is required, and an example.
struct Section {
    fields: BTreeMap<String, bool>,
    example: Object,
}

fn sections() -> BTreeMap<String, Section> {
    let text = std::fs::read_to_string("docs/events.md").expect("docs/events.md is there");
    let parts = text.split("\n### `").skip(1);
    parts
        .map(|part| {
            let (kind, rest) = part.split_once('`').expect("a kind");
            let (table, rest) = rest.split_once("```json\n").expect("an example");
            let (example, _) = rest.split_once("```").expect("its end");
            let fields = table.lines().filter(|line| line.starts_with("| `"));
            let fields = fields.map(|line| {
                let cells: Vec<&str> = line.split('|').map(str::trim).collect();
                (cells[1].trim_matches('`').to_owned(), cells[3] == "yes")
            });
            let section = Section {
                fields: fields.collect(),
                example: serde_json::from_str(example).expect("JSON"),
            };
            (kind.to_owned(), section)
        })
        .collect()
}

/// The schema of each kind.
fn schemas() -> BTreeMap<String, Value> {
    let path = "docs/schemas/event.schema.json";
    let text = std::fs::read_to_string(path).expect("the schema is there");
    let whole: Value = serde_json::from_str(&text).expect("JSON");
    let kinds = whole["anyOf"].as_array().expect("one for each kind");
    kinds
        .iter()
        .map(|s| (s["title"].as_str().expect("a kind").to_owned(), s.clone()))
        .collect()
}

/// The bytes that are written for an event that was read.
fn written(object: &Object) -> String {
    let e = EventRecord::read(object)
        .unwrap_or_else(|why| panic!("{why}: {object:?}"))
        .unwrap_or_else(|| panic!("an unknown kind: {object:?}"));
    let name = e.endpoint.map(|name| Name::new(&name).expect("a name"));
    let draft = EventDraft {
        endpoint: name.map(|name| (1, name)),
        at: e.at,
        utc: e.recorded.expect("a date"),
        event: e.event,
    };
    draft.canonical(e.seq)
}

fn own(names: impl Iterator<Item = String>) -> BTreeSet<String> {
    names.filter(|n| !ENVELOPE.contains(&n.as_str())).collect()
}

#[test]
fn each_kind_has_a_section_and_a_schema() {
    let kinds: Vec<&str> = Event::KINDS.to_vec();
    let known: BTreeSet<String> = kinds.iter().map(ToString::to_string).collect();
    assert_eq!(known.len(), kinds.len(), "a kind is there twice");
    assert_eq!(sections().into_keys().collect::<BTreeSet<_>>(), known);
    assert_eq!(schemas().into_keys().collect::<BTreeSet<_>>(), known);
}

#[test]
fn sections_and_schemas_have_the_same_fields() {
    let schemas = schemas();
    for (kind, section) in sections() {
        let schema = &schemas[&kind];
        let properties = schema["properties"].as_object().expect("properties");
        assert_eq!(
            own(properties.keys().cloned()),
            section.fields.keys().cloned().collect(),
            "{kind}"
        );
        let required = schema["required"].as_array().expect("a list").iter();
        let required = required.filter_map(Value::as_str).map(str::to_owned);
        let told = section
            .fields
            .iter()
            .filter(|(_, is_required)| **is_required);
        assert_eq!(
            own(required),
            told.map(|(name, _)| name.clone()).collect(),
            "{kind}"
        );
    }
}

#[test]
fn the_examples_are_what_is_written_and_fit_their_schemas() {
    let schemas = schemas();
    for (kind, section) in sections() {
        assert_eq!(section.example["kind"], kind.as_str());
        assert_eq!(written(&section.example), canonical(&section.example));
        let example = Value::Object(section.example);
        fits(&example, &schemas[&kind], "$").unwrap_or_else(|why| panic!("{kind}: {why}"));
    }
}

#[test]
fn reading_asks_for_the_required_fields_and_for_no_others() {
    for (kind, section) in sections() {
        for (field, is_required) in &section.fields {
            let mut without = section.example.clone();
            without.remove(field);
            let is_refused = EventRecord::read(&without).is_err();
            assert_eq!(is_refused, *is_required, "{kind} without {field}");
        }
    }
}

/// As builds of before wrote them, and forms that the examples do not show: the kind, and its own
/// fields.
const OTHER_FORMS: [(&str, &str); 12] = [
    (
        "daemon_started",
        r#"{"boot_id":"b","boot_ns":7,"version":"0.1.0"}"#,
    ),
    (
        "daemon_started",
        r#"{"boot_id":"b","boot_ns":7,"format":3,"version":"0.1.0"}"#,
    ),
    (
        "daemon_started",
        r#"{"boot_id":"b","boot_ns":7,"ended_by_itself":false,"last_mark_ms":4,"version":"0.1.0"}"#,
    ),
    (
        "endpoint_added",
        r#"{"component":"shop","endpoint":"e","probe":"tcp","target":"127.0.0.1:1"}"#,
    ),
    ("terms", r#"{"added":["a"],"gone":[]}"#),
    ("component", r#"{"component":"shop","gone":true}"#),
    (
        "component",
        r#"{"combine":{"at_least":2},"component":"shop","in_service_from_ms":9}"#,
    ),
    (
        "tallies",
        r#"{"day":"2026-11-15","sha256":"a","tallies":2}"#,
    ),
    ("history_gap", r#"{"dropped":3,"why":"x"}"#),
    ("checkpoint_key_changed", r#"{"key":"b","key_before":"a"}"#),
    (
        "checkpoint_key_changed",
        r#"{"key":"b","key_before":"a","vouch":null}"#,
    ),
    (
        "unknown",
        r#"{"endpoint":"e","from":"1970-01-01T00:00:00.005Z","from_ms":5}"#,
    ),
];

#[test]
fn forms_of_before_are_read_and_keep_their_bytes() {
    let schemas = schemas();
    for (kind, fields) in OTHER_FORMS {
        let mut object: Object = serde_json::from_str(fields).expect("JSON");
        let envelope = json!({"at_ms": 5, "kind": kind, "seq": 1, "v": 1,
            "recorded": "1970-01-01T00:00:00.005Z"});
        object.extend(envelope.as_object().expect("an object").clone());
        assert_eq!(written(&object), canonical(&object));
        fits(&Value::Object(object), &schemas[kind], "$").expect("it fits");
    }
}

#[test]
fn histories_of_before_are_read_and_keep_their_bytes() {
    let (schemas, mut kinds) = (schemas(), BTreeSet::new());
    for of in ["outages", "maintenance", "restored"] {
        let path = Path::new("tests/fixtures/histories").join(of);
        let text = std::fs::read_to_string(path.join("journal.jsonl")).expect("a journal");
        for line in text.lines() {
            let mut object: Object = serde_json::from_str(line).expect("JSON");
            let Some(kind) = object.get("kind").and_then(Value::as_str) else {
                continue;
            };
            let kind = kind.to_owned();
            object.remove("hash");
            assert_eq!(written(&object), canonical(&object), "{of}");
            fits(&Value::Object(object), &schemas[&kind], "$")
                .unwrap_or_else(|why| panic!("{of}: {why}"));
            kinds.insert(kind);
        }
    }
    assert!(kinds.len() >= 33, "they have {kinds:?}");
}

#[test]
fn an_unknown_kind_is_passed_over_and_an_invalid_event_is_refused() {
    let read = |text: &str| {
        let object: Object = serde_json::from_str(text).expect("JSON");
        EventRecord::read(&object).map_err(|why| why.to_string())
    };
    assert_eq!(read(r#"{"at_ms":5,"kind":"of_2030","seq":1}"#), Ok(None));
    assert_eq!(
        read(r#"{"at_ms":5,"kind":"proven","seq":1,"from_ms":-1,"to_ms":5}"#).expect_err("refused"),
        "it is not a valid `proven` event: invalid value: integer `-1`, expected u64"
    );
    assert_eq!(
        read(r#"{"kind":"daemon_stopped","boot_ns":1,"seq":1}"#).expect_err("refused"),
        "it has no field `at_ms`, or another value than an event has there"
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        (text, cause) in (".*", ".*"),
        at in proptest::array::uniform4(any::<u64>()),
        since in any::<Option<i64>>(),
    ) {
        let down = DownEvent {
            from: text.clone(),
            from_ms: at[0],
            from_earliest_ms: at[1],
            from_latest_ms: at[2],
            confirmed_at_ms: at[3],
            cause: cause.into(),
        };
        let component = ComponentEvent {
            component: text,
            gone: None,
            combine: None,
            in_service_from_ms: since.map(Some).or(Some(None)),
        };
        for event in [Event::from(down), Event::from(component)] {
            let draft = EventDraft::general(at[0], 5, event);
            let object: Object = serde_json::from_str(&draft.canonical(7)).expect("JSON");
            let read = EventRecord::read(&object).expect("valid").expect("known");
            prop_assert_eq!(read.event, draft.event);
            prop_assert_eq!((read.seq, read.at, read.recorded), (7, at[0], Some(5)));
        }
    }
}
