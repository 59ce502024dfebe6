//! Outages as JSON, for reports, API and page alike, with the corrections that take them out of the
//! figures.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::history::HistoryError;
use crate::history::read::{Calendar, Exclusion, StoredOutage, exclusions};
use crate::judgement::timeline::{Span, Spans};
use crate::words::format_utc;

/// Corrections that take outages out of the figures, read once for each endpoint.
#[derive(Default)]
pub struct Marks(BTreeMap<String, Vec<Exclusion>>);

impl Marks {
    /// The events that exclude an outage, and whether they leave anything of it.
    pub fn of(
        &mut self,
        connection: &Connection,
        o: &StoredOutage,
        calendar: &Calendar,
    ) -> Result<(Vec<u64>, bool), HistoryError> {
        if !self.0.contains_key(&o.endpoint) {
            self.0.insert(
                o.endpoint.clone(),
                exclusions(connection, calendar, &o.endpoint, &o.component)?,
            );
        }
        let own = self.0.get(&o.endpoint).map_or(&[][..], Vec::as_slice);
        let from = calendar.utc(o.from);
        let span = Span::new(
            from,
            o.to.map_or(i64::MAX / 4, |to| calendar.utc(to))
                .max(from + 1),
        );
        let touching: Vec<&Exclusion> = own.iter().filter(|e| e.span.cut(span).is_some()).collect();
        let left =
            Spans::new(vec![span]).minus(&Spans::new(touching.iter().map(|e| e.span).collect()));
        Ok((
            touching.iter().map(|e| e.seq).collect(),
            !left.as_slice().is_empty(),
        ))
    }
}

/// `excluded by #138`, or nothing.
pub fn excluded_text(outage: &Value) -> Option<String> {
    let numbers: Vec<String> = outage["excluded_by"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|n| format!("#{n}"))
        .collect();
    let partly = if outage["excluded"] == "part" {
        "partly "
    } else {
        ""
    };
    (!numbers.is_empty()).then(|| format!("{partly}excluded by {}", numbers.join(", ")))
}

pub fn outage(
    connection: &Connection,
    o: &StoredOutage,
    calendar: &Calendar,
    marks: &mut Marks,
) -> Result<Value, HistoryError> {
    Ok(outage_json(
        o,
        calendar,
        &marks.of(connection, o, calendar)?,
    ))
}

pub fn outage_json(
    o: &StoredOutage,
    calendar: &Calendar,
    (excluded_by, is_left): &(Vec<u64>, bool),
) -> Value {
    let excluded = match (excluded_by.is_empty(), is_left) {
        (true, _) => Value::Null,
        (false, true) => json!("part"),
        (false, false) => json!("whole"),
    };
    let utc = |at: u64| json!(format_utc(calendar.utc(at)));
    let optional = |at: Option<u64>| at.map_or(Value::Null, utc);
    json!({
        "id": o.opened, "endpoint": o.endpoint, "component": o.component, "from": utc(o.from), "to": optional(o.to),
        "from_earliest": utc(o.from_earliest), "from_latest": utc(o.from_latest), "to_earliest": optional(o.to_earliest), "to_latest": optional(o.to_latest),
        "cause": o.cause, "confirmed_at": utc(o.confirmed_at), "seq": o.opened,
        "excluded": excluded, "excluded_by": excluded_by,
    })
}
