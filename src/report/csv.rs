//! The outages of a report as CSV (RFC 4180), instants in UTC.

use super::object::{ContractReport, ListedOutage};

/// A column and its cell of an outage; what has no value is empty.
type Column = (&'static str, fn(&ListedOutage) -> String);

const COLUMNS: [Column; 13] = [
    ("seq", |o| o.seq.to_string()),
    ("endpoint", |o| quoted(&o.endpoint)),
    ("component", |o| quoted(&o.component)),
    ("from", |o| quoted(&o.from)),
    ("to", |o| at(&o.to)),
    ("from_earliest", |o| quoted(&o.from_earliest)),
    ("from_latest", |o| quoted(&o.from_latest)),
    ("to_earliest", |o| at(&o.to_earliest)),
    ("to_latest", |o| at(&o.to_latest)),
    ("cause", |o| quoted(&o.cause)),
    ("first_failure_ended", |o| at(&o.first_failure_ended)),
    ("last_failure_started", |o| {
        at(o.last_failure_started.as_ref().unwrap_or(&None))
    }),
    ("excluded_by", |o| {
        let numbers: Vec<String> = o.excluded_by.iter().map(|n| format!("#{n}")).collect();
        numbers.join(" ")
    }),
];

/// One line for each outage, a header above.
pub fn csv(report: &ContractReport) -> String {
    let mut out = COLUMNS.map(|(name, _)| name).join(",") + "\r\n";
    for outage in &report.outages {
        let cells = COLUMNS.map(|(_, cell)| cell(outage));
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    out
}

fn at(instant: &Option<String>) -> String {
    instant.as_deref().map_or(String::new(), quoted)
}

/// Quotes where needed; a cell that a spreadsheet would take for a formula begins with an
/// apostrophe.
fn quoted(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@']) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}
