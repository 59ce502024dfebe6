//! Reads a timeline from the text that another daemon answered, component by component.
//!
//! A text of some megabytes can become gigabytes of JSON values. Here only one component has values
//! at a time, and what they may take is bounded. `sla evaluate --url` uses it.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::timeline_file::{At, NoTimeline, Schema, component, head};
use crate::judgement::sla::record::Timeline;
use crate::words::people::size;

/// For the values of one component, and of all that is beside the components.
const MOST_BYTES: usize = 256 << 20;
/// What the values of a list and an object take at least, and an entry of each, about.
const LIST_BYTES: usize = 128;
const OBJECT_BYTES: usize = 640;
const ELEMENT_BYTES: usize = 64;
const ENTRY_BYTES: usize = 96;

/// Reads a timeline from its text.
pub fn timeline_of(text: &str) -> Result<Timeline, NoTimeline> {
    within(text, MOST_BYTES)
}

fn within(text: &str, most: usize) -> Result<Timeline, NoTimeline> {
    let beside = parsed(text, Beside(most)).map_err(invalid)?;
    let (timeline, schema) = head(&beside)?;
    let mut reading = PartTimeline {
        timeline,
        schema,
        most,
        names: BTreeSet::new(),
        wrong: None,
    };
    match (parsed(text, Root(&mut reading)), reading.wrong) {
        (_, Some(wrong)) => Err(wrong),
        (Err(error), None) => Err(invalid(error)),
        (Ok(()), None) => Ok(reading.timeline),
    }
}

fn parsed<'t, S: DeserializeSeed<'t>>(text: &'t str, seed: S) -> serde_json::Result<S::Value> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut json)?;
    json.end().map(|()| value)
}

fn invalid(error: serde_json::Error) -> NoTimeline {
    NoTimeline {
        place: "the timeline".into(),
        problem: error.to_string(),
    }
}

const EXPECTED: &str = "a JSON object with `schema` \"probity-timeline/2\"";

/// All but the components.
struct Beside(usize);

impl<'t> DeserializeSeed<'t> for Beside {
    type Value = Value;
    fn deserialize<D: Deserializer<'t>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'t> Visitor<'t> for Beside {
    type Value = Value;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(EXPECTED)
    }
    fn visit_map<A: MapAccess<'t>>(mut self, mut map: A) -> Result<Value, A::Error> {
        let mut beside = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "components" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            charge(&mut self.0, ENTRY_BYTES + key.len())?;
            let value = map.next_value_seed(BoundedValue(&mut self.0))?;
            beside.insert(key, value);
        }
        Ok(Value::Object(beside))
    }
}

/// What was read so far.
struct PartTimeline {
    timeline: Timeline,
    schema: Schema,
    most: usize,
    names: BTreeSet<String>,
    wrong: Option<NoTimeline>,
}

impl PartTimeline {
    fn add(&mut self, value: &Value) -> Result<(), NoTimeline> {
        let path = format!("components[{}]", self.timeline.components.len());
        let one = component(&At::new(value, path.clone()), self.timeline.to, self.schema)?;
        if !self.names.insert(one.name.clone()) {
            return Err(NoTimeline {
                place: path,
                problem: format!("duplicate component `{}`", one.name),
            });
        }
        self.timeline.components.push(one);
        Ok(())
    }
}

/// The components; all that is beside them is skipped.
struct Root<'r>(&'r mut PartTimeline);

impl<'t> DeserializeSeed<'t> for Root<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'t>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'t> Visitor<'t> for Root<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(EXPECTED)
    }
    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "components" => map.next_value_seed(Components(self.0))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

struct Components<'r>(&'r mut PartTimeline);

impl<'t> DeserializeSeed<'t> for Components<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'t>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for Components<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of components")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'t>>(self, mut list: A) -> Result<(), A::Error> {
        loop {
            let mut left = self.0.most;
            let Some(value) = list.next_element_seed(BoundedValue(&mut left))? else {
                return Ok(());
            };
            self.0.add(&value).map_err(|wrong| {
                let text = A::Error::custom(&wrong);
                self.0.wrong = Some(wrong);
                text
            })?;
        }
    }
}

/// A value that takes no more memory than is left.
struct BoundedValue<'l>(&'l mut usize);

fn charge<E: Error>(left: &mut usize, bytes: usize) -> Result<(), E> {
    *left = left.checked_sub(bytes).ok_or_else(|| {
        let most = size(MOST_BYTES as u64);
        E::custom(format_args!(
            "one component needs more than {most} of memory"
        ))
    })?;
    Ok(())
}

impl<'t> DeserializeSeed<'t> for BoundedValue<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'t>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for BoundedValue<'_> {
    type Value = Value;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        charge(self.0, value.len())?;
        Ok(value.into())
    }
    fn visit_seq<A: SeqAccess<'t>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        charge(self.0, LIST_BYTES)?;
        while let Some(value) = list.next_element_seed(BoundedValue(self.0))? {
            charge(self.0, ELEMENT_BYTES)?;
            values.push(value);
        }
        Ok(Value::Array(values))
    }
    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        charge(self.0, OBJECT_BYTES)?;
        while let Some(key) = map.next_key::<String>()? {
            charge(self.0, ENTRY_BYTES + key.len())?;
            let value = map.next_value_seed(BoundedValue(self.0))?;
            values.insert(key, value);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::super::timeline_file::timeline;
    use super::*;
    use serde_json::json;

    #[test]
    fn a_text_is_read_as_its_values_are() {
        let down = json!([{"from": 1, "to": 2.0e3, "x_why": null}]);
        for value in [
            json!({"components": [{"name": "a", "down": [{"from": "1970-01-01T00:00:01Z",
                "to": 2000, "outage": 7, "cause": "ü\n"}]}, {"name": "b", "probes":
                [{"at": -5, "ok": true}]}], "to": 9000, "from": 0, "x_note": [1.5, {"a": []}],
                "maintenance": [{"from": 1, "reason": "r"}], "schema": "probity-timeline/2"}),
            json!({"components": null}),
            json!({"components": []}),
            json!({"schema": "other/1", "components": [{"name": "a"}]}),
            json!({"components": [{"name": "a"}, {"name": "b"}, {"name": "a"}]}),
            json!({"components": [{"name": "a", "down": down}]}),
            json!({"components": [{"name": "a"}, {"name": "b", "unknwon": []}]}),
            json!({"maintenance": [{"to": 4}]}),
        ] {
            let read = [timeline_of(&value.to_string()), timeline(&value)];
            let [of_text, of_values] = read.map(|read| format!("{read:?}"));
            assert_eq!(of_text, of_values);
        }
        for text in [
            "",
            "[]",
            "{\"components\": 5}",
            "{} {}",
            "{\"components\": [{\"na",
        ] {
            let wrong = timeline_of(text).expect_err(text);
            assert_eq!(wrong.place, "the timeline", "{wrong}");
        }
    }

    #[test]
    fn what_a_component_takes_is_bounded_and_each_has_the_whole_bound() {
        let (list, objects) = ("0,".repeat(1000), "{\"from\":1},".repeat(1000));
        for text in [
            format!("{{\"x_note\":[{list}0]}}"),
            format!("{{\"components\":[{{\"name\":\"a\",\"down\":[{objects}0]}}]}}"),
            format!("{{\"components\":[{{\"name\":\"a\",\"x_note\":[{list}0]}}]}}"),
            format!("{{\"components\":[{{\"name\":\"a\",\"x_note\":\"{list}\"}}]}}"),
        ] {
            let wrong = within(&text, 2000).expect_err("too much").to_string();
            assert!(wrong.contains("needs more than 256 MiB"), "{wrong}");
        }
        let many: Vec<_> = (0..100).map(|n| json!({"name": n.to_string()})).collect();
        let read = within(&json!({"components": many}).to_string(), 2000);
        assert_eq!(
            read.map(|timeline| timeline.components.len()).ok(),
            Some(100)
        );
    }
}
