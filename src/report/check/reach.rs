//! All times of a report and of what it rests on can be added up, whoever wrote them.

use serde_json::{Map, Value, json};

use crate::history::prune_record::PruneRecord;
use crate::report::difference::{Difference, differs};
use crate::report::object::ContractReport;

/// Times of more milliseconds are later than the year 9999: no record has them, and no sum of them
/// goes beyond what is computed with.
const FARTHEST_MS: u64 = 1 << 48;

/// All times of the report and of what it rests on can be added up, whoever wrote them.
pub(crate) fn times_within_reach(
    report: &ContractReport,
    prune_record: Option<&PruneRecord>,
    events: &[Map<String, Value>],
) -> Result<(), Difference> {
    let beyond = |key: &str, place: &str| {
        differs(
            place,
            format!("{key} is further away than any time of a record"),
        )
    };
    if let Some(key) = beyond_reach(&json!(report.extents)) {
        return Err(beyond(&key, "extents"));
    }
    if let Some(key) = prune_record.and_then(|prune_record| beyond_reach(&prune_record.carried)) {
        return Err(beyond(&key, "stub"));
    }
    let seq = |event: &Map<String, Value>| event.get("seq").and_then(Value::as_u64).unwrap_or(0);
    let found = events.iter().find_map(|event| {
        event
            .iter()
            .find_map(|(key, value)| reach_of(key, value))
            .map(|key| (seq(event), key))
    });
    found.map_or(Ok(()), |(seq, key)| {
        Err(beyond(&key, &format!("event {seq}")))
    })
}

/// The first key within a value whose time is too far away.
fn beyond_reach(value: &Value) -> Option<String> {
    match value {
        Value::Object(map) => map.iter().find_map(|(key, value)| reach_of(key, value)),
        Value::Array(list) => list.iter().find_map(beyond_reach),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn reach_of(key: &str, value: &Value) -> Option<String> {
    let length = value
        .as_u64()
        .or_else(|| value.as_i64().map(i64::unsigned_abs));
    let is_beyond = key.ends_with("_ms") && length.is_some_and(|length| length > FARTHEST_MS);
    if is_beyond {
        Some(key.to_owned())
    } else {
        beyond_reach(value)
    }
}
