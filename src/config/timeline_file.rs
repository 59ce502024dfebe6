//! Reads `probity-timeline/2` and `/1`: what our own exports write, and what anybody else may.
//!
//! Keys that are not known are refused: what somebody wrote as `unknwon` must not count as up.
//! Those that begin with `x_` are for notes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::document::tree::nearest;
use crate::judgement::sla::record::{Declared, OPEN, Outage, Recorded, Timeline};
use crate::judgement::timeline::Span;
use crate::words::time::is_writable;
use crate::words::{UtcMs, parse_utc};

/// Where a timeline is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct NoTimeline {
    /// Such as `components[0].down[2].from`.
    pub place: String,
    pub problem: String,
}

fn wrong<T>(place: &str, problem: impl Into<String>) -> Result<T, NoTimeline> {
    Err(NoTimeline {
        place: place.to_owned(),
        problem: problem.into(),
    })
}

/// A value with the path to it.
pub struct At<'v> {
    value: &'v Value,
    path: String,
}

impl<'v> At<'v> {
    pub fn new(value: &'v Value, path: String) -> Self {
        Self { value, path }
    }

    fn field(&self, key: &str) -> Option<At<'v>> {
        let value = self.value.get(key).filter(|v| !v.is_null())?;
        let path = if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        };
        Some(At { value, path })
    }

    /// No keys but these, and notes.
    fn only(&self, known: &[&str]) -> Result<(), NoTimeline> {
        let Some(object) = self.value.as_object() else {
            return wrong(&self.path, "this should be a JSON object");
        };
        let Some(key) = object
            .keys()
            .find(|key| !known.contains(&key.as_str()) && !key.starts_with("x_"))
        else {
            return Ok(());
        };
        let path = if self.path.is_empty() {
            "the timeline"
        } else {
            &self.path
        };
        let advice = nearest(key, known).map_or_else(
            || format!("known are {}", known.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        wrong(
            path,
            format!("there is no key `{key}`; {advice} (additional keys must start with x_)"),
        )
    }

    fn required(&self, key: &str) -> Result<At<'v>, NoTimeline> {
        match self.field(key) {
            Some(at) => Ok(at),
            None => wrong(&self.path, format!("`{key}` is missing")),
        }
    }

    /// The elements of a list; none when the field is missing.
    fn list(&self, key: &str) -> Result<Vec<At<'v>>, NoTimeline> {
        let Some(at) = self.field(key) else {
            return Ok(Vec::new());
        };
        let Some(array) = at.value.as_array() else {
            return wrong(&at.path, "this should be a list");
        };
        Ok(array
            .iter()
            .enumerate()
            .map(|(k, value)| At {
                value,
                path: format!("{}[{k}]", at.path),
            })
            .collect())
    }

    fn text(&self) -> Result<&'v str, NoTimeline> {
        self.value
            .as_str()
            .map_or_else(|| wrong(&self.path, "this should be a text"), Ok)
    }

    fn instant(&self) -> Result<UtcMs, NoTimeline> {
        match self.value {
            Value::String(text) => parse_utc(text).map_or_else(
                || {
                    wrong(
                        &self.path,
                        format!("invalid time `{text}`; write 2026-11-01T00:00:00Z"),
                    )
                },
                Ok,
            ),
            Value::Number(n) => n.as_i64().filter(|at| is_writable(*at)).map_or_else(
                || {
                    wrong(
                        &self.path,
                        format!(
                            "invalid time {n}; write whole \
                    milliseconds since 1970, in the years 0000 to 9999"
                        ),
                    )
                },
                Ok,
            ),
            _ => wrong(
                &self.path,
                "this should be an instant such as \"2026-11-01T00:00:00Z\"",
            ),
        }
    }

    fn optional_instant(&self, key: &str) -> Result<Option<UtcMs>, NoTimeline> {
        self.field(key).map(|at| at.instant()).transpose()
    }
}

/// Reads a timeline from its JSON.
pub fn timeline(value: &Value) -> Result<Timeline, NoTimeline> {
    let (mut timeline, schema) = head(value)?;
    let root = At::new(value, String::new());
    let mut names = BTreeSet::new();
    for at in root.list("components")? {
        let one = component(&at, timeline.to, schema)?;
        if !names.insert(one.name.clone()) {
            return wrong(&at.path, format!("duplicate component `{}`", one.name));
        }
        timeline.components.push(one);
    }
    Ok(timeline)
}

/// All but its components.
pub fn head(value: &Value) -> Result<(Timeline, Schema), NoTimeline> {
    let root = At::new(value, String::new());
    if !value.is_object() {
        return wrong(
            "the timeline",
            "this should be a JSON object with `schema` \"probity-timeline/2\"",
        );
    }
    root.only(&["schema", "from", "to", "components", "maintenance"])?;
    let schema = match root.field("schema") {
        Some(s) if s.value == "probity-timeline/2" => Schema::Second,
        Some(s) if s.value != "probity-timeline/1" => {
            return wrong(
                "schema",
                format!(
                    "{} is not \"probity-timeline/2\" or \"probity-timeline/1\"",
                    s.value
                ),
            );
        }
        _ => Schema::First,
    };
    let (from, to) = (root.optional_instant("from")?, root.optional_instant("to")?);
    if from.zip(to).is_some_and(|(from, to)| to < from) {
        return wrong("to", "it lies before `from`");
    }
    let maintenance = root
        .list("maintenance")?
        .iter()
        .map(declared)
        .collect::<Result<_, _>>()?;
    let timeline = Timeline {
        from,
        to,
        components: Vec::new(),
        maintenance,
    };
    Ok((timeline, schema))
}

/// What a component may say; sums are for readers, and are computed anew.
const COMPONENT: [&str; 15] = [
    "name",
    "in_service",
    "down",
    "possible_down",
    "unknown",
    "left_while_down",
    "probes",
    "not_seen_below_ms",
    "up_ms",
    "down_ms",
    "unknown_ms",
    "down_lower_ms",
    "down_upper_ms",
    "first_start",
    "watermark",
];

/// How doubt without an outage is written: among `down` with a `to` equal to `from` in the first,
/// which files without a schema follow as well; in `possible_down` in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    First,
    Second,
}

pub fn component(at: &At, end: Option<UtcMs>, schema: Schema) -> Result<Recorded, NoTimeline> {
    at.only(&COMPONENT)?;
    let name = at.required("name")?.text()?.to_owned();
    let in_service = in_service(at)?;
    let left_while_down = at
        .list("left_while_down")?
        .iter()
        .map(service)
        .collect::<Result<Vec<_>, _>>()?;
    let mut possible_down = Vec::new();
    for p in at.list("possible_down")? {
        p.only(&["from", "to"])?;
        possible_down.push(span(&p, end.unwrap_or(OPEN))?);
    }
    let all = at
        .list("down")?
        .iter()
        .map(|o| outage(o, end))
        .collect::<Result<Vec<_>, _>>()?;
    let is_doubt =
        |o: &Outage| schema == Schema::First && o.from == o.to && !o.is_open && o.outage.is_none();
    let (doubt, down): (Vec<Outage>, Vec<Outage>) = all.into_iter().partition(is_doubt);
    possible_down.extend(doubt.iter().map(Outage::widest));
    let unknown = at
        .list("unknown")?
        .iter()
        .map(|u| unknown(u, end))
        .collect::<Result<_, _>>()?;
    let probes = probes(at)?;
    let not_seen_below = at
        .field("not_seen_below_ms")
        .map(|at| {
            at.value.as_u64().map_or_else(
                || wrong(&at.path, "this should be a whole number of milliseconds"),
                Ok,
            )
        })
        .transpose()?;
    Ok(Recorded {
        name,
        in_service,
        left_while_down,
        down,
        possible_down,
        unknown,
        probes,
        probes_missing: None,
        not_seen_below,
    })
}

/// When the component was in service; empty: always.
fn in_service(at: &At) -> Result<Vec<Span>, NoTimeline> {
    match at.field("in_service") {
        None => Ok(Vec::new()),
        Some(one) if one.value.is_object() => Ok(vec![service(&one)?]),
        // A list without a span says: never. An empty one in memory would say: always.
        Some(_) => match at
            .list("in_service")?
            .iter()
            .map(service)
            .collect::<Result<Vec<_>, _>>()?
        {
            none if none.is_empty() => Ok(vec![Span::new(0, 0)]),
            some => Ok(some),
        },
    }
}

/// Unknown time, and why it is unknown.
fn unknown(at: &At, end: Option<UtcMs>) -> Result<(Span, Option<String>), NoTimeline> {
    at.only(&["from", "to", "reason"])?;
    let reason = at
        .field("reason")
        .map(|r| r.text().map(str::to_owned))
        .transpose()?;
    Ok((span(at, end.unwrap_or(OPEN))?, reason))
}

/// Single probes, and whether they succeeded; `None` where the timeline has none.
fn probes(at: &At) -> Result<Option<Vec<(UtcMs, bool)>>, NoTimeline> {
    if at.field("probes").is_none() {
        return Ok(None);
    }
    let mut probes = Vec::new();
    for p in at.list("probes")? {
        p.only(&["at", "ok"])?;
        let ok = p.required("ok")?;
        let Some(flag) = ok.value.as_bool() else {
            return wrong(&ok.path, "this should be true or false");
        };
        probes.push((p.required("at")?.instant()?, flag));
    }
    Ok(Some(probes))
}

fn service(at: &At) -> Result<Span, NoTimeline> {
    at.only(&["from", "to"])?;
    let (from, to) = (
        at.optional_instant("from")?.unwrap_or(-OPEN),
        at.optional_instant("to")?.unwrap_or(OPEN),
    );
    if to < from {
        return wrong(&at.path, "it ends before it starts");
    }
    Ok(Span::new(from, to))
}

fn span(at: &At, open: UtcMs) -> Result<Span, NoTimeline> {
    let (from, to) = (
        at.required("from")?.instant()?,
        at.optional_instant("to")?.unwrap_or(open),
    );
    if to < from {
        return wrong(&at.path, "it ends before it starts");
    }
    Ok(Span::new(from, to))
}

fn outage(at: &At, end: Option<UtcMs>) -> Result<Outage, NoTimeline> {
    at.only(&[
        "outage",
        "excluded_by",
        "from",
        "to",
        "from_earliest",
        "from_latest",
        "to_earliest",
        "to_latest",
        "cause",
        "reason",
    ])?;
    let is_open = at.field("to").is_none();
    let point = span(at, end.unwrap_or(OPEN).max(at.required("from")?.instant()?))?;
    let end_of =
        |key: &str, exact: UtcMs| Ok::<_, NoTimeline>(at.optional_instant(key)?.unwrap_or(exact));
    let number = at
        .field("outage")
        .map(|n| {
            n.value
                .as_u64()
                .map_or_else(|| wrong(&n.path, "this should be a whole number"), Ok)
        })
        .transpose()?;
    let one = Outage {
        outage: number,
        is_open,
        excluded_by: at.field("excluded_by").and_then(|n| n.value.as_u64()),
        from: point.from,
        to: point.to,
        from_earliest: end_of("from_earliest", point.from)?,
        from_latest: end_of("from_latest", point.from)?,
        to_earliest: end_of("to_earliest", point.to)?,
        to_latest: end_of("to_latest", point.to)?,
    };
    if one.from_earliest > one.from || !is_open && one.to_latest < one.to {
        return wrong(&at.path, "its widest ends do not enclose it");
    }
    Ok(one)
}

fn declared(at: &At) -> Result<Declared, NoTimeline> {
    at.only(&[
        "id",
        "from",
        "to",
        "announced_at",
        "recorded_at",
        "components",
        "reason",
    ])?;
    let span = span(at, OPEN)?;
    let components = match at.field("components") {
        None => None,
        Some(_) => Some(
            at.list("components")?
                .iter()
                .map(|c| c.text().map(str::to_owned))
                .collect::<Result<Vec<_>, _>>()?,
        ),
    };
    let text = |key: &str| {
        at.field(key)
            .map(|t| t.text().map(str::to_owned))
            .transpose()
    };
    Ok(Declared {
        id: text("id")?,
        from: span.from,
        to: span.to,
        announced_at: at.optional_instant("announced_at")?,
        recorded_at: at.optional_instant("recorded_at")?,
        components,
        reason: text("reason")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_may_be_missing_may_be_missing() {
        let down = json!([{"from": "1970-01-01T00:00:01Z", "to": 2000}]);
        let value = json!({"components": [{"name": "a", "down": down}]});
        let read = timeline(&value).expect("a timeline");
        let outage = read.components[0].down[0];
        assert_eq!(
            (
                outage.from,
                outage.to,
                outage.from_latest,
                outage.to_earliest
            ),
            (1000, 2000, 1000, 2000)
        );
        assert_eq!((read.from, read.to), (None, None));
    }

    #[test]
    fn a_fault_names_its_place() {
        let place = |value: Value| timeline(&value).expect_err("a fault").place;
        assert_eq!(place(json!([])), "the timeline");
        assert_eq!(place(json!({"schema": "other/1"})), "schema");
        assert_eq!(place(json!({"components": [{}]})), "components[0]");
        assert_eq!(
            place(json!({"components": [{"name": "a", "down": [{"from": "yesterday"}]}]})),
            "components[0].down[0].from"
        );
        assert_eq!(
            place(json!({"components": [{"name": "a", "unknown": [{"from": 5, "to": 4}]}]})),
            "components[0].unknown[0]"
        );
        assert_eq!(
            place(json!({"components": [{"name": "a"}, {"name": "a"}]})),
            "components[1]"
        );
        assert_eq!(place(json!({"maintenance": [{"to": 4}]})), "maintenance[0]");
        assert_eq!(
            place(json!({"components": [{"name": "a", "not_seen_below_ms": "1s"}]})),
            "components[0].not_seen_below_ms"
        );
    }

    #[test]
    fn a_misspelled_key_is_no_missing_one() {
        let said = |value: Value| timeline(&value).expect_err("a fault").to_string();
        let told = said(json!({"components": [{"name": "a", "unknwon": []}]}));
        assert_eq!(
            told,
            "components[0]: there is no key `unknwon`; did you mean `unknown`? (additional keys \
                must start with x_)"
        );
        assert!(
            said(json!({"components": [{"name": "a", "outages": []}]}))
                .contains("known are name, in_service, down")
        );
        assert!(
            said(json!({"form": 5}))
                .starts_with("the timeline: there is no key `form`; did you mean `from`?")
        );
        for (key, list) in [
            ("down", json!([{"from": 1, "too": 2}])),
            ("unknown", json!([{"from": 1, "untill": 2}])),
            ("probes", json!([{"at": 1, "okay": true}])),
        ] {
            let mut value = json!({"components": [{"name": "a"}]});
            value["components"][0][key] = list;
            assert!(
                said(value).starts_with(&format!("components[0].{key}[0]: there is no key")),
                "{key}"
            );
        }
        assert!(
            timeline(
                &json!({"x_made_by": "hand", "components": [{"name": "a", "x_why": "a note"}]})
            )
            .is_ok()
        );
    }
}
