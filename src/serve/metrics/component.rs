//! Metrics of each component over the present calendar month (UTC) and the one before.

use std::io::{self, Write};

use num_traits::ToPrimitive;

use super::metric::{Collect, Metric, MetricUnit, MetricWriter, OfComponent, Type};
use super::samples::Format;
use crate::serve::by_component::ComponentFigures;

/// Months that are shown: the present one and the one before.
pub const MONTHS: u64 = 2;

pub const METRICS: &[Metric] = &[
    Metric {
        name: "probity_component_availability_ratio",
        kind: Type::Gauge,
        unit: MetricUnit::Ratio,
        part: Collect::Daemon,
        labels: &["component", "period"],
        help: "Share of the month's measured time in which the component was up, by the point \
            estimate.",
        query: "probity_component_availability_ratio{period=\"previous\"}",
        writer: MetricWriter::Component(OfComponent {
            value: |j| j.availability.as_ref().and_then(ToPrimitive::to_f64),
        }),
    },
    Metric {
        name: "probity_component_availability_lower_ratio",
        kind: Type::Gauge,
        unit: MetricUnit::Ratio,
        part: Collect::Daemon,
        labels: &["component", "period"],
        help: "Lower bound of the availability: unknown and future time count as down.",
        query: concat!(
            "probity_component_availability_upper_ratio\n",
            "- probity_component_availability_lower_ratio > 0.001",
        ),
        writer: MetricWriter::Component(OfComponent {
            value: |j| j.lower.as_ref().and_then(ToPrimitive::to_f64),
        }),
    },
    Metric {
        name: "probity_component_availability_upper_ratio",
        kind: Type::Gauge,
        unit: MetricUnit::Ratio,
        part: Collect::Daemon,
        labels: &["component", "period"],
        help: "Upper bound of the availability: unknown and future time count as up. Outages \
            between two probes are not seen.",
        query: "probity_component_availability_upper_ratio{period=\"current\"} < 0.999",
        writer: MetricWriter::Component(OfComponent {
            value: |j| j.upper.as_ref().and_then(ToPrimitive::to_f64),
        }),
    },
    Metric {
        name: "probity_component_outages",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &["component", "period"],
        help: "Outages of the component in the month.",
        query: "sum by (component) (probity_component_outages)",
        writer: MetricWriter::Component(OfComponent {
            value: |j| Some(j.outage_summary.count as f64),
        }),
    },
    Metric {
        name: "probity_component_longest_outage_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Seconds,
        part: Collect::Daemon,
        labels: &["component", "period"],
        help: "Longest outage of the month, by the point estimate. 0 if there was none.",
        query: "probity_component_longest_outage_seconds > 600",
        writer: MetricWriter::Component(OfComponent {
            value: |j| Some(j.outage_summary.longest as f64 / 1000.0),
        }),
    },
    Metric {
        name: "probity_component_mean_time_to_recover_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Seconds,
        part: Collect::Daemon,
        labels: &["component", "period"],
        help: "Downtime of the month divided by the number of outages. Absent without an outage.",
        query: "probity_component_mean_time_to_recover_seconds{period=\"previous\"}",
        writer: MetricWriter::Component(OfComponent {
            value: |j| {
                j.outage_summary
                    .mean_to_recover
                    .map(|ms| ms as f64 / 1000.0)
            },
        }),
    },
    Metric {
        name: "probity_component_mean_time_between_failures_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Seconds,
        part: Collect::Daemon,
        labels: &["component", "period"],
        help: "Uptime of the month divided by the number of outages. Absent without an outage.",
        query: "probity_component_mean_time_between_failures_seconds / 86400",
        writer: MetricWriter::Component(OfComponent {
            value: |j| {
                j.outage_summary
                    .mean_between_failures
                    .map(|ms| ms as f64 / 1000.0)
            },
        }),
    },
];

pub fn write(list: &[ComponentFigures], out: &mut dyn Write, format: Format) -> io::Result<()> {
    for metric in METRICS {
        let MetricWriter::Component(of) = &metric.writer else {
            continue;
        };
        metric.header(out, format)?;
        let mut samples = metric.samples(out, format);
        for figures in list {
            let component = figures.judged.component.as_ref().map_or("", |c| c.as_str());
            if let Some(value) = (of.value)(&figures.judged) {
                samples.sample(
                    &[("component", component), ("period", figures.which)],
                    value,
                )?;
            }
        }
    }
    Ok(())
}
