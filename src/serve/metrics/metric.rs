//! What a row of the table of metrics is.

use std::io;

use super::samples::{Format, Line, Samples};
use crate::config::plan::{Endpoint, Plan};
use crate::engine::board::{Board, Entry, Health, ScrapeView};
use crate::engine::drive::Gauges;
use crate::judgement::maintenance::Window;
use crate::judgement::sla::evaluation::Evaluation;
use crate::notify::Deliveries;
use crate::serve::contracts::ContractStatus;
use crate::serve::listener::refusal::Refusals;
use crate::words::UtcMs;

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
pub enum MetricUnit {
    None,
    Seconds,
    /// Seconds since 1970-01-01 00:00 UTC.
    Timestamp,
    /// 0 to 1.
    Ratio,
    Bytes,
}

/// What is measured, and how its samples are written.
pub enum MetricWriter {
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
    pub unit: MetricUnit,
    pub part: Collect,
    /// Names of its labels. [`STATE_LABELS`] and [`OWN_LABELS`] stand for those that a config
    /// chooses.
    pub labels: &'static [&'static str],
    pub help: &'static str,
    /// PromQL that uses it.
    pub query: &'static str,
    pub writer: MetricWriter,
}

/// The labels that `[metrics] state_labels` names.
pub const STATE_LABELS: &str = "[metrics] state_labels";
/// All labels of the endpoint.
pub const OWN_LABELS: &str = "[endpoint] labels";

/// A metric of each endpoint.
pub struct OfEndpoint {
    /// Whether the config asks for it.
    pub is_on: fn(&Plan) -> bool,
    /// Series of one endpoint while nothing fails.
    pub series: fn(&Endpoint, &Plan) -> u64,
    pub write: fn(&mut Line<'_>, &Context<'_>, &Entry, &ScrapeView<'_>) -> io::Result<()>,
}

pub struct Context<'c> {
    pub plan: &'c Plan,
    /// Maintenance windows that are in force now.
    pub windows: &'c [Window],
    pub now: UtcMs,
    /// Of the buckets of histograms as labels, with the end of them: `,le="0.005"} `; the last is
    /// that of everything above.
    pub bounds: Vec<String>,
}

/// A metric of the daemon.
pub struct OfDaemon {
    /// Series under a config.
    pub series: fn(&Plan) -> u64,
    pub write: fn(&mut Samples<'_>, &DaemonView<'_>) -> io::Result<()>,
}

/// All of it at a scrape.
pub struct DaemonView<'d> {
    pub board: &'d Board,
    pub gauges: &'d Gauges,
    pub deliveries: &'d Deliveries,
    pub refusals: &'d Refusals,
    pub vantage: &'d str,
}

impl DaemonView<'_> {
    pub fn health(&self) -> &Health {
        &self.board.health
    }
}

/// A metric of a component: one value for a month, where there is one.
pub struct OfComponent {
    pub value: fn(&Evaluation) -> Option<f64>,
}

/// A metric of a contract.
pub enum OfContract {
    /// One value for each answer (a component or all together, and a period), where there is one.
    One(fn(&ContractStatus, &Evaluation) -> Option<f64>),
    /// `each` samples for each answer.
    Several {
        each: u64,
        write: fn(&mut Samples<'_>, &ContractStatus, &Evaluation) -> io::Result<()>,
    },
    /// The shares of the latency objective.
    Latency,
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
    pub fn samples<'w>(&self, out: &'w mut dyn io::Write, format: Format) -> Samples<'w> {
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

impl MetricUnit {
    /// As docs/metrics.md has it.
    pub fn as_str(self) -> &'static str {
        match self {
            MetricUnit::None => "none",
            MetricUnit::Seconds => "seconds",
            MetricUnit::Timestamp => "seconds since 1970",
            MetricUnit::Ratio => "ratio, 0 to 1",
            MetricUnit::Bytes => "bytes",
        }
    }
}
