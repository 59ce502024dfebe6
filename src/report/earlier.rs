//! Reports of schema `probity-report/2`, which earlier builds wrote and signed.
//!
//! Each evaluation in them has two other names than in those of this build: the schema of the
//! answer, and the key of the summary of outages in each result. [`with_present_names`] lets the
//! one struct of a report read them. [`with_earlier_names`] is its inverse: an earlier report is
//! written, and differences are named, as its issuer wrote it.

use serde_json::Value;

use super::answer::SCHEMA as ANSWER;

pub(crate) const SCHEMA: &str = "probity-report/2";

struct SchemaNames {
    answer: &'static str,
    summary: &'static str,
}

const EARLIER: SchemaNames = SchemaNames {
    answer: "probity-sla/1",
    summary: "spells",
};

const PRESENT: SchemaNames = SchemaNames {
    answer: ANSWER,
    summary: "outage_summary",
};

/// An earlier report, and why its names are not those of its schema.
pub(crate) fn with_present_names(mut report: Value) -> Result<Value, String> {
    for evaluation in evaluations(&mut report) {
        let other = evaluation.get("schema").filter(|s| **s != EARLIER.answer);
        if let Some(other) = other.and_then(Value::as_str) {
            return Err(format!(
                "unknown schema `{other}` of an evaluation: in a report of {SCHEMA} it is {}",
                EARLIER.answer
            ));
        }
        if results(evaluation).any(|r| r.get(PRESENT.summary).is_some()) {
            return Err(format!(
                "unknown field `{}`: in a report of {SCHEMA} it is `{}`",
                PRESENT.summary, EARLIER.summary
            ));
        }
        if results(evaluation).any(|r| r.is_object() && r.get(EARLIER.summary).is_none()) {
            return Err(format!("missing field `{}`", EARLIER.summary));
        }
        rename(evaluation, &EARLIER, &PRESENT);
    }
    Ok(report)
}

/// A report, or a part of one, in the names of [`SCHEMA`].
pub(crate) fn with_earlier_names(mut report: Value) -> Value {
    for evaluation in evaluations(&mut report) {
        rename(evaluation, &PRESENT, &EARLIER);
    }
    report
}

/// By the terms of a report, and by later ones.
fn evaluations(report: &mut Value) -> Vec<&mut Value> {
    let Some(report) = report.as_object_mut() else {
        return Vec::new();
    };
    report
        .iter_mut()
        .filter_map(|(key, value)| match &key[..] {
            "evaluation" => Some(value),
            "later_terms" => value.get_mut("evaluation"),
            _ => None,
        })
        .collect()
}

fn results(evaluation: &mut Value) -> impl Iterator<Item = &mut Value> {
    let lists = evaluation.as_object_mut().into_iter().flatten();
    lists
        .filter(|(key, _)| ["results", "components"].contains(&&key[..]))
        .filter_map(|(_, list)| list.as_array_mut())
        .flatten()
}

fn rename(evaluation: &mut Value, from: &SchemaNames, to: &SchemaNames) {
    if let Some(schema) = evaluation.get_mut("schema")
        && *schema == from.answer
    {
        *schema = to.answer.into();
    }
    for result in results(evaluation).filter_map(Value::as_object_mut) {
        if let Some(summary) = result.remove(from.summary) {
            result.insert(to.summary.to_owned(), summary);
        }
    }
}
