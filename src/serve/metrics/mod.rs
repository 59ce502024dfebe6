//! The table of metrics: each family that /metrics has is one row of it.
//!
//! A row holds name, type, unit, labels, help text, a query that uses it, and the function that
//! writes its samples. /metrics is written from the table, docs/metrics.md is generated from it
//! ([`page`]), and `probity check` counts from it how many series a config will have
//! ([`estimate`]).

pub mod component;
pub mod contract;
pub mod daemon;
pub mod endpoint;
pub mod estimate;
pub mod page;
pub mod samples;

use std::io;

use component::OfComponent;
use contract::OfContract;
use daemon::OfDaemon;
use endpoint::OfEndpoint;
use samples::{Format, Samples};

/// Parts of /metrics that `collect[]` chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collect {
    /// What follows each result of an endpoint at once.
    State,
    /// Counters and certificates of endpoints.
    Accounting,
    /// Histograms and quantiles of endpoints.
    Latency,
    /// The daemon, components and contracts.
    Daemon,
}

impl Collect {
    pub const WORDS: [(&'static str, Collect); 4] = [
        ("state", Collect::State),
        ("accounting", Collect::Accounting),
        ("latency", Collect::Latency),
        ("daemon", Collect::Daemon),
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Gauge,
    Counter,
    Histogram,
    /// A gauge that is always 1: OpenMetrics has a type of its own for it.
    Info,
    /// Quantiles alone: without a sum and a count, which the histogram beside it has.
    Summary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    None,
    Seconds,
    /// Seconds since 1970-01-01 00:00 UTC.
    Timestamp,
    /// 0 to 1.
    Ratio,
    Bytes,
}

/// What is measured, and how its samples are written.
pub enum Writer {
    Endpoint(OfEndpoint),
    Daemon(OfDaemon),
    /// A series of the process, as the `prometheus` crate collects it.
    Process,
    Component(OfComponent),
    Contract(OfContract),
}

/// One family of series.
pub struct Metric {
    pub name: &'static str,
    pub kind: Type,
    pub unit: Unit,
    pub part: Collect,
    /// Names of its labels. [`STATE_LABELS`] and [`OWN_LABELS`] stand for those that a config
    /// chooses.
    pub labels: &'static [&'static str],
    pub help: &'static str,
    /// PromQL that uses it.
    pub query: &'static str,
    pub writer: Writer,
}

/// The labels that `[metrics] state_labels` names.
pub const STATE_LABELS: &str = "[metrics] state_labels";
/// All labels of the endpoint.
pub const OWN_LABELS: &str = "[endpoint] labels";

/// The whole table, in the order of /metrics.
pub const TABLE: [&[Metric]; 5] = [
    endpoint::METRICS,
    daemon::METRICS,
    daemon::PROCESS,
    component::METRICS,
    contract::METRICS,
];

pub fn all() -> impl Iterator<Item = &'static Metric> {
    TABLE.into_iter().flatten()
}

impl Metric {
    /// Its `# HELP` and `# TYPE`.
    pub fn header(&self, out: &mut dyn io::Write, format: Format) -> io::Result<()> {
        let family = match (format, self.kind) {
            (Format::OpenMetrics, Type::Counter) => {
                self.name.strip_suffix("_total").unwrap_or(self.name)
            }
            (Format::OpenMetrics, Type::Info) => {
                self.name.strip_suffix("_info").unwrap_or(self.name)
            }
            _ => self.name,
        };
        let help = self.help.replace('\\', "\\\\").replace('\n', "\\n");
        let kind = self.kind.as_str(format);
        writeln!(out, "# HELP {family} {help}\n# TYPE {family} {kind}")
    }

    /// A writer of its samples.
    fn samples<'w>(&self, out: &'w mut dyn io::Write, format: Format) -> Samples<'w> {
        Samples::new(out, format, self.name)
    }
}

impl Type {
    /// As `# TYPE` has it.
    pub fn as_str(self, format: Format) -> &'static str {
        match self {
            Type::Gauge => "gauge",
            Type::Counter => "counter",
            Type::Histogram => "histogram",
            Type::Summary => "summary",
            Type::Info => match format {
                Format::Text => "gauge",
                Format::OpenMetrics => "info",
            },
        }
    }
}

impl Unit {
    /// As docs/metrics.md has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Unit::None => "none",
            Unit::Seconds => "seconds",
            Unit::Timestamp => "seconds since 1970",
            Unit::Ratio => "ratio, 0 to 1",
            Unit::Bytes => "bytes",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
                Unit::Seconds => assert!(bare.ends_with("_seconds"), "{name}"),
                Unit::Timestamp => assert!(
                    bare.ends_with("_timestamp_seconds") || bare == "process_start_time_seconds",
                    "{name}"
                ),
                Unit::Ratio => assert!(bare.ends_with("_ratio"), "{name}"),
                Unit::Bytes => assert!(bare.ends_with("_bytes"), "{name}"),
                Unit::None => assert!(
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
