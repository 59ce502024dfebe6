//! The outages of a report as CSV (RFC 4180), instants in UTC.

use serde_json::Value;

const COLUMNS: [&str; 13] = [
    "seq",
    "endpoint",
    "component",
    "from",
    "to",
    "from_earliest",
    "from_latest",
    "to_earliest",
    "to_latest",
    "cause",
    "first_failure_ended",
    "last_failure_started",
    "excluded_by",
];

/// One line for each outage, a header above.
pub fn csv(report: &Value) -> String {
    let mut out = COLUMNS.join(",") + "\r\n";
    for outage in report["outages"].as_array().into_iter().flatten() {
        let cells: Vec<String> = COLUMNS
            .iter()
            .map(|column| match &outage[*column] {
                Value::String(text) => quoted(text),
                Value::Null => String::new(),
                Value::Array(list) => list
                    .iter()
                    .map(|n| format!("#{n}"))
                    .collect::<Vec<_>>()
                    .join(" "),
                other => other.to_string(),
            })
            .collect();
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    out
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
