//! What follows each result of an endpoint at once.

use super::super::metric::{
    Collect, Context, Metric, MetricUnit, MetricWriter, OWN_LABELS, OfEndpoint, STATE_LABELS, Type,
};
use super::super::samples::SampleValue;
use crate::engine::board::{Entry, escaped};
use crate::kind::Kind;
use crate::words::StateName;

pub const METRICS: &[Metric] = &[
    Metric {
        name: "probity_endpoint_state",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::State,
        labels: &["state", STATE_LABELS],
        help: "1 for the present state of the endpoint (up, down or unknown), 0 for the others. \
            Follows each result at once, also while the history cannot be written.",
        query: "sum(probity_endpoint_state{state=\"down\"})",
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |_, _| 3,
            write: |line, context, entry, shown| {
                let state = shown.state;
                let labels = state_labels(context, entry);
                let mut each = |is: StateName, label: &str| {
                    line.sample(
                        &[label, &labels],
                        SampleValue::Count(u64::from(state == is)),
                    )
                };
                each(StateName::Up, ",state=\"up\"")?;
                each(StateName::Down, ",state=\"down\"")?;
                each(StateName::Unknown, ",state=\"unknown\"")
            },
        }),
    },
    Metric {
        name: "probity_endpoint_outage_start_timestamp_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Timestamp,
        part: Collect::State,
        labels: &["cause", STATE_LABELS],
        help: "Start of the outage that is open, by the point estimate. Only present while the \
            endpoint is down.",
        query: "time() - probity_endpoint_outage_start_timestamp_seconds",
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |_, _| 0,
            write: |line, context, entry, shown| match shown.outage {
                Some((from, cause)) => line.sample(
                    &[
                        ",cause=\"",
                        cause.as_str(),
                        "\"",
                        &state_labels(context, entry),
                    ],
                    SampleValue::utc(from),
                ),
                None => Ok(()),
            },
        }),
    },
    Metric {
        name: "probity_endpoint_info",
        kind: Type::Info,
        unit: MetricUnit::None,
        part: Collect::State,
        labels: &["component", "kind", "target", "connection", OWN_LABELS],
        help: "Always 1. The labels are component, kind of probe, target, connection (fresh: a \
            new one for each probe), and the endpoint's own labels.",
        query: concat!(
            "probity_endpoint_state{state=\"down\"}\n",
            "* on (instance, endpoint) group_left (target) probity_endpoint_info == 1",
        ),
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |_, _| 1,
            write: |line, _, entry, _| {
                let e = entry.endpoint.load();
                let own: String = e
                    .labels
                    .iter()
                    .map(|(k, v)| format!(",{k}=\"{}\"", escaped(v)))
                    .collect();
                let (component, target) = (escaped(e.component.as_str()), escaped(&e.target()));
                line.sample(
                    &[
                        ",component=\"",
                        &component,
                        "\",kind=\"",
                        e.probe.kind().as_str(),
                        "\",target=\"",
                        &target,
                        "\",connection=\"fresh\"",
                        &own,
                    ],
                    SampleValue::Count(1),
                )
            },
        }),
    },
    Metric {
        name: "probity_endpoint_interval_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Seconds,
        part: Collect::State,
        labels: &[],
        help: "Time between two slots of the endpoint's schedule.",
        query: "count by (instance) (probity_endpoint_interval_seconds <= 5)",
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |_, _| 1,
            write: |line, _, entry, _| {
                line.sample(
                    &[],
                    SampleValue::ms(entry.endpoint.load().rules.cadence.interval),
                )
            },
        }),
    },
    Metric {
        name: "probity_probe_last_duration_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Seconds,
        part: Collect::State,
        labels: &[],
        help: "Duration of the last measured probe, success or failure.",
        query: "topk(10, probity_probe_last_duration_seconds)",
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |_, _| 1,
            write: |line, _, _, shown| {
                shown
                    .last_duration_us
                    .map_or(Ok(()), |us| line.sample(&[], SampleValue::Micros(us)))
            },
        }),
    },
    Metric {
        name: "probity_probe_http_status_code",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::State,
        labels: &[],
        help: "Status code of the last response. Absent if the last probe received none.",
        query: "probity_probe_http_status_code >= 500",
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |e, _| u64::from(e.probe.kind() == Kind::Http),
            write: |line, _, _, shown| {
                shown.http_status.map_or(Ok(()), |status| {
                    line.sample(&[], SampleValue::Count(u64::from(status)))
                })
            },
        }),
    },
    Metric {
        name: "probity_endpoint_maintenance",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::State,
        labels: &[],
        help: "1 during a declared maintenance window of the endpoint, else 0. Probes and \
            states continue as usual.",
        query: concat!(
            "probity_endpoint_state{state=\"down\"} == 1\n",
            "unless on (instance, endpoint) probity_endpoint_maintenance == 1",
        ),
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |_, _| 1,
            write: |line, context, entry, _| {
                let e = entry.endpoint.load();
                let is_in = context
                    .windows
                    .iter()
                    .any(|w| w.concerns(e.name.as_str(), e.component.as_str()));
                line.sample(&[], SampleValue::Count(u64::from(is_in)))
            },
        }),
    },
];

fn state_labels(context: &Context, entry: &Entry) -> String {
    if context.plan.metrics.state_labels.is_empty() {
        return String::new();
    }
    let e = entry.endpoint.load();
    context
        .plan
        .metrics
        .state_labels
        .iter()
        .filter_map(|l| e.labels.get(l).map(|v| format!(",{l}=\"{}\"", escaped(v))))
        .collect()
}
