//! Histograms and quantiles of endpoints.

use std::io;

use super::super::metric::{Collect, Context, Metric, MetricUnit, MetricWriter, OfEndpoint, Type};
use super::super::samples::{Line, SampleValue};
use crate::config::plan::{Endpoint, LatencyMetrics, Plan};
use crate::judgement::latency::{Classic, Ending, HOUR_MS, Series, quantile};
use crate::words::Phase;

pub const METRICS: &[Metric] = &[
    Metric {
        name: "probity_probe_duration_seconds",
        kind: Type::Histogram,
        unit: MetricUnit::Seconds,
        part: Collect::Latency,
        labels: &["outcome", "le"],
        help: "Duration of probes, re-probes included, by outcome: success, failure or timeout. \
            Starts at 0 with the daemon. For exact quantiles of one endpoint use \
            probity_probe_latency_seconds.",
        query: concat!(
            "histogram_quantile(\n",
            "  0.99,\n",
            "  sum by (endpoint, le) (\n",
            "    rate(probity_probe_duration_seconds_bucket{outcome=\"success\"}[1h])\n",
            "  )\n",
            ")",
        ),
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: has_latency,
            series: |_, plan| of_histogram(plan),
            write: |line, context, _, shown| {
                for ending in Ending::ALL {
                    let classic = &shown.latency[ending as usize];
                    // Success is there from 0; the others appear on first use.
                    if ending == Ending::Success || !classic.counts.is_empty() {
                        let outcome = match ending {
                            Ending::Success => ",outcome=\"success\"",
                            Ending::Failure => ",outcome=\"failure\"",
                            Ending::Timeout => ",outcome=\"timeout\"",
                        };
                        histogram(line, context, outcome, classic)?;
                    }
                }
                Ok(())
            },
        }),
    },
    Metric {
        name: "probity_probe_latency_seconds",
        kind: Type::Summary,
        unit: MetricUnit::Seconds,
        part: Collect::Latency,
        labels: &["quantile"],
        help: "Quantiles of the duration of successful probes in the last hour, exact to one \
            percent. Survives restarts. Absent without a success in that hour. For several \
            endpoints together use the histogram.",
        query: "probity_probe_latency_seconds{quantile=\"0.99\"} > 0.5",
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: has_latency,
            series: |_, _| LATENCY_QUANTILES.len() as u64,
            write: |line, context, _, seen| {
                let pairs = seen
                    .hour
                    .since(context.now - HOUR_MS, Series::Whole(Ending::Success));
                for (label, ppm) in LATENCY_QUANTILES {
                    if let Some(us) = quantile(&pairs, ppm) {
                        line.sample(&[label], SampleValue::Micros(us))?;
                    }
                }
                Ok(())
            },
        }),
    },
    Metric {
        name: "probity_probe_phase_seconds",
        kind: Type::Histogram,
        unit: MetricUnit::Seconds,
        part: Collect::Latency,
        labels: &["phase", "le"],
        help: "Duration of each phase of measured probes, of every outcome. A phase that did \
            not happen has no sample. Starts at 0 with the daemon.",
        query: concat!(
            "sum by (phase) (rate(probity_probe_phase_seconds_sum[5m]))\n",
            "/ sum by (phase) (rate(probity_probe_phase_seconds_count[5m]))",
        ),
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |plan| plan.metrics.phases,
            series: |e, plan| phases_of(e) * of_histogram(plan),
            write: |line, context, _, shown| {
                let Some(phases) = &shown.phases else {
                    return Ok(());
                };
                for phase in Phase::ALL {
                    let classic = &phases[phase as usize];
                    if !classic.counts.is_empty() {
                        histogram(
                            line,
                            context,
                            &format!(",phase=\"{}\"", phase.as_str()),
                            classic,
                        )?;
                    }
                }
                Ok(())
            },
        }),
    },
];

/// Of `probity_probe_latency_seconds`, with their share in parts per million.
const LATENCY_QUANTILES: [(&str, u64); 3] = [
    (",quantile=\"0.5\"", 500_000),
    (",quantile=\"0.9\"", 900_000),
    (",quantile=\"0.99\"", 990_000),
];

fn has_latency(plan: &Plan) -> bool {
    plan.metrics.latency != LatencyMetrics::Off
}

/// Buckets, that of everything above them, sum and count. Failures and timeouts have a histogram of
/// their own on first use.
fn of_histogram(plan: &Plan) -> u64 {
    plan.metrics.buckets_us.len() as u64 + 3
}

/// Phases of an exchange: six over TLS, four without.
fn phases_of(endpoint: &Endpoint) -> u64 {
    if endpoint.probe.is_secured() { 6 } else { 4 }
}

fn histogram(line: &mut Line, context: &Context, label: &str, classic: &Classic) -> io::Result<()> {
    let last = context.bounds.len().saturating_sub(1);
    let mut total = 0;
    let each = context.bounds.iter().enumerate().map(|(k, bound)| {
        // Those above every bound come last.
        let count = if k == last {
            classic.counts.last()
        } else {
            classic.counts.get(k)
        };
        total += u64::from(count.copied().unwrap_or(0));
        (bound.as_str(), total)
    });
    line.buckets(label, each)?;
    line.suffixed("_sum", &[label], SampleValue::Micros(classic.sum_us))?;
    line.suffixed("_count", &[label], SampleValue::Count(total))
}
