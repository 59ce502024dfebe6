//! The table of metrics: each family that /metrics has is one row of it.
//!
//! A row holds name, type, unit, labels, help text, a query that uses it, and the function that
//! writes its samples. /metrics is written from the table, docs/metrics.md is generated from it
//! ([`mod@reference`]), and `probity check` counts from it how many series a config will have
//! ([`estimate`]).

pub mod component;
pub mod contract;
pub mod daemon;
pub mod endpoint;
pub mod estimate;
pub mod metric;
pub mod reference;
pub mod samples;

use metric::Metric;

/// The whole table, in the order of /metrics.
pub const TABLE: [&[Metric]; 7] = [
    endpoint::live::METRICS,
    endpoint::accounting::METRICS,
    endpoint::latency::METRICS,
    daemon::METRICS,
    daemon::PROCESS,
    component::METRICS,
    contract::METRICS,
];

pub fn all() -> impl Iterator<Item = &'static Metric> {
    TABLE.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::metric::{MetricUnit, Type};
    use super::*;

    #[test]
    fn a_name_is_there_once_and_says_type_and_unit() {
        let mut names = BTreeSet::new();
        for metric in all() {
            let name = metric.name;
            assert!(names.insert(name), "{name} is there twice");
            assert_eq!(
                name.ends_with("_total"),
                metric.kind == Type::Counter,
                "{name}"
            );
            let bare = name.trim_end_matches("_total");
            match metric.unit {
                MetricUnit::Seconds => assert!(bare.ends_with("_seconds"), "{name}"),
                MetricUnit::Timestamp => assert!(
                    bare.ends_with("_timestamp_seconds") || bare == "process_start_time_seconds",
                    "{name}"
                ),
                MetricUnit::Ratio => assert!(bare.ends_with("_ratio"), "{name}"),
                MetricUnit::Bytes => assert!(bare.ends_with("_bytes"), "{name}"),
                MetricUnit::None => assert!(
                    !["_seconds", "_ratio", "_bytes"]
                        .iter()
                        .any(|u| bare.ends_with(u)),
                    "{name}"
                ),
            }
        }
        assert!(names.len() > 70, "{}", names.len());
    }

    #[test]
    fn a_help_text_is_a_sentence_and_the_query_uses_the_metric() {
        for metric in all() {
            let (name, help) = (metric.name, metric.help);
            assert!(help.len() > 30 && help.ends_with('.'), "{name}: {help}");
            assert!(metric.query.contains(name), "{name}: {}", metric.query);
        }
    }
}
