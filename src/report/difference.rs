//! Where a report and what follows from the events part.

use serde_json::Value;

/// The first thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The figure's place in the report, such as `evaluation.results[0].down_ms`.
    pub place: String,
    pub why: String,
}

pub(crate) fn differs(place: &str, why: impl Into<String>) -> Difference {
    Difference {
        place: place.to_owned(),
        why: why.into(),
    }
}

/// The first place where two values part, in reading order.
pub(crate) fn first_difference(
    place: &str,
    computed: &Value,
    reported: &Value,
) -> Option<Difference> {
    match (computed, reported) {
        (Value::Object(a), Value::Object(b)) => {
            let missing = b.keys().find(|k| !a.contains_key(*k)).map(|k| {
                differs(
                    &format!("{place}.{k}"),
                    "this does not follow from the events",
                )
            });
            a.iter()
                .find_map(|(k, v)| {
                    first_difference(&format!("{place}.{k}"), v, b.get(k).unwrap_or(&Value::Null))
                })
                .or(missing)
        }
        (Value::Array(a), Value::Array(b)) => {
            let inner = a
                .iter()
                .zip(b)
                .enumerate()
                .find_map(|(k, (x, y))| first_difference(&format!("{place}[{k}]"), x, y));
            inner.or_else(|| {
                (a.len() != b.len()).then(|| {
                    differs(
                        place,
                        format!(
                            "{} entries follow from the events, the report has {}",
                            a.len(),
                            b.len()
                        ),
                    )
                })
            })
        }
        _ => (computed != reported).then(|| {
            differs(
                place,
                format!("{computed} follows from the events, the report says {reported}"),
            )
        }),
    }
}
