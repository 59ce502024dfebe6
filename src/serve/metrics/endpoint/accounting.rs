//! Counters and certificates of endpoints.

use std::io;

use super::super::metric::{Collect, Metric, MetricUnit, MetricWriter, OfEndpoint, Type};
use super::super::samples::{Line, SampleValue};
use crate::config::plan::Endpoint;
use crate::net::clock::Clock;
use crate::words::UtcMs;

pub const METRICS: &[Metric] = &[
    Metric {
        name: "probity_endpoint_state_seconds_total",
        kind: Type::Counter,
        unit: MetricUnit::Seconds,
        part: Collect::Accounting,
        labels: &["state"],
        help: "Settled time in each state. The counters survive restarts and lag by up to the \
            detection time and the time between two commits. Compute availability as up / (up + \
            down), never against wall time.",
        query: concat!(
            "sum by (endpoint) (\n",
            "  increase(probity_endpoint_state_seconds_total{state=\"up\"}[30d])\n",
            ")\n",
            "/ sum by (endpoint) (\n",
            "  increase(probity_endpoint_state_seconds_total{state=~\"up|down\"}[30d])\n",
            ")",
        ),
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |_, _| 3,
            write: |line, _, _, shown| {
                line.sample(&[",state=\"up\""], SampleValue::ms(shown.settled.up))?;
                line.sample(&[",state=\"down\""], SampleValue::ms(shown.settled.down))?;
                line.sample(
                    &[",state=\"unknown\""],
                    SampleValue::ms(shown.settled.unknown),
                )
            },
        }),
    },
    Metric {
        name: "probity_endpoint_maintenance_seconds_total",
        kind: Type::Counter,
        unit: MetricUnit::Seconds,
        part: Collect::Accounting,
        labels: &["state"],
        help: "Settled time in each state within declared maintenance, whether or not a \
            contract excludes it. It is part of the state seconds.",
        query: concat!(
            "sum by (endpoint) (\n",
            "  increase(probity_endpoint_maintenance_seconds_total{state=\"down\"}[30d])\n",
            ")",
        ),
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |_, _| 3,
            write: |line, _, _, shown| {
                let [up, down, unknown] = shown.settled.maintenance;
                line.sample(&[",state=\"up\""], SampleValue::ms(up))?;
                line.sample(&[",state=\"down\""], SampleValue::ms(down))?;
                line.sample(&[",state=\"unknown\""], SampleValue::ms(unknown))
            },
        }),
    },
    Metric {
        name: "probity_endpoint_settled_timestamp_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Timestamp,
        part: Collect::Accounting,
        labels: &[],
        help: "Time up to which the endpoint's state is final. The settled counters contain \
            nothing after it.",
        query: "time() - probity_endpoint_settled_timestamp_seconds > 300",
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |_, _| 1,
            write: |line, _, _, shown| {
                line.sample(&[], SampleValue::utc(shown.settled.watermark_utc))
            },
        }),
    },
    Metric {
        name: "probity_endpoint_down_lower_seconds_total",
        kind: Type::Counter,
        unit: MetricUnit::Seconds,
        part: Collect::Accounting,
        labels: &[],
        help: "Lower bound of the downtime: time between failures with neither a success nor \
            unknown time between them.",
        query: "increase(probity_endpoint_down_lower_seconds_total[30d])",
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |_, _| 1,
            write: |line, _, _, shown| line.sample(&[], SampleValue::ms(shown.settled.down_lower)),
        }),
    },
    Metric {
        name: "probity_endpoint_down_upper_seconds_total",
        kind: Type::Counter,
        unit: MetricUnit::Seconds,
        part: Collect::Accounting,
        labels: &[],
        help: "Upper bound of the downtime in measured time, unconfirmed failures included. Add \
            the unknown seconds for the worst case. Outages between two probes are not seen.",
        query: concat!(
            "increase(probity_endpoint_down_upper_seconds_total[30d])\n",
            "+ on (instance, endpoint)\n",
            "  increase(probity_endpoint_state_seconds_total{state=\"unknown\"}[30d])",
        ),
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |_, _| 1,
            write: |line, _, _, shown| line.sample(&[], SampleValue::ms(shown.settled.down_upper)),
        }),
    },
    Metric {
        name: "probity_endpoint_transitions_total",
        kind: Type::Counter,
        unit: MetricUnit::None,
        part: Collect::Accounting,
        labels: &["to"],
        help: "Changes of state, by the new state. A return from unknown to the state before it \
            is not counted. Survives restarts.",
        query: "increase(probity_endpoint_transitions_total{to=\"down\"}[1d]) > 3",
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |_, _| 3,
            write: |line, _, _, shown| {
                let t = &shown.settled.transitions;
                line.sample(&[",to=\"up\""], SampleValue::Count(t.up))?;
                line.sample(&[",to=\"down\""], SampleValue::Count(t.down))?;
                line.sample(&[",to=\"unknown\""], SampleValue::Count(t.unknown))
            },
        }),
    },
    Metric {
        name: "probity_endpoint_last_transition_timestamp_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Timestamp,
        part: Collect::Accounting,
        labels: &[],
        help: "Time of the last change of state, by the point estimate. 0 if there was none.",
        query: "time() - probity_endpoint_last_transition_timestamp_seconds < 3600",
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |_, _| 1,
            write: |line, _, _, shown| {
                line.sample(&[], SampleValue::utc(shown.settled.last_transition_utc))
            },
        }),
    },
    Metric {
        name: "probity_probes_total",
        kind: Type::Counter,
        unit: MetricUnit::None,
        part: Collect::Accounting,
        labels: &["result"],
        help: "Scheduled probes by their final result: success, failure (part of an outage), \
            unconfirmed (a failure without an outage), unmeasured (the prober itself failed) \
            or missed (not started).",
        query: concat!(
            "sum by (endpoint) (rate(probity_probes_total{result=~\"unmeasured|missed\"}[1h]))\n",
            "/ sum by (endpoint) (rate(probity_probes_total[1h]))",
        ),
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |_, _| 5,
            write: |line, _, _, shown| {
                let s = &shown.slots;
                line.sample(&[",result=\"success\""], SampleValue::Count(s.success))?;
                line.sample(&[",result=\"failure\""], SampleValue::Count(s.failure))?;
                line.sample(
                    &[",result=\"unconfirmed\""],
                    SampleValue::Count(s.unconfirmed),
                )?;
                line.sample(
                    &[",result=\"unmeasured\""],
                    SampleValue::Count(s.unmeasured),
                )?;
                line.sample(&[",result=\"missed\""], SampleValue::Count(s.missed))
            },
        }),
    },
    Metric {
        name: "probity_probe_failures_total",
        kind: Type::Counter,
        unit: MetricUnit::None,
        part: Collect::Accounting,
        labels: &["cause"],
        help: "Failed probes, re-probes included, by cause. Counted at once and never revised, \
            also if a failure turns out to be the prober's own: alert on probity_endpoint_state.",
        query: "topk(5, sum by (endpoint, cause) (increase(probity_probe_failures_total[1d])))",
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |_, _| 0,
            write: |line, _, _, shown| {
                shown.failures.iter().try_for_each(|(cause, n)| {
                    line.sample(&[",cause=\"", cause.as_str(), "\""], SampleValue::Count(*n))
                })
            },
        }),
    },
    Metric {
        name: "probity_tls_certificate_not_after_timestamp_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Timestamp,
        part: Collect::Accounting,
        labels: &["certificate"],
        help: "End of validity of the leaf certificate, of the verified path (chain, absent if \
            nothing was verified), and the earliest of all certificates that were sent. \
            Present also if verification failed.",
        query: concat!(
            "probity_tls_certificate_not_after_timestamp_seconds{certificate=\"chain\"}\n",
            "- time() < 14 * 86400",
        ),
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |e, _| if_secured(e, 3),
            write: |line, _, _, shown| {
                let Some(c) = &shown.certificate else {
                    return Ok(());
                };
                dates(line, c.not_after, c.chain_not_after, c.sent_not_after)
            },
        }),
    },
    Metric {
        name: "probity_tls_certificate_not_before_timestamp_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Timestamp,
        part: Collect::Accounting,
        labels: &["certificate"],
        help: "Start of validity of the leaf certificate, of the verified path (chain), and the \
            latest of all certificates that were sent.",
        query: concat!(
            "time()\n",
            "- probity_tls_certificate_not_before_timestamp_seconds{certificate=\"leaf\"} < 86400",
        ),
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |e, _| if_secured(e, 3),
            write: |line, _, _, shown| {
                let Some(c) = &shown.certificate else {
                    return Ok(());
                };
                dates(line, c.not_before, c.chain_not_before, c.sent_not_before)
            },
        }),
    },
    Metric {
        name: "probity_tls_certificate_lifetime_remaining_ratio",
        kind: Type::Gauge,
        unit: MetricUnit::Ratio,
        part: Collect::Accounting,
        labels: &[],
        help: "Remaining share of the leaf certificate's lifetime, from 1 (issued) to 0 \
            (expired). Alerts on it fit certificates of any lifetime.",
        query: "probity_tls_certificate_lifetime_remaining_ratio < 0.1",
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |e, _| if_secured(e, 1),
            write: |line, _, _, shown| {
                let Some(c) = &shown.certificate else {
                    return Ok(());
                };
                let (whole, left) = (
                    c.not_after - c.not_before,
                    c.not_after - Clock::Real.read().utc_ms,
                );
                line.sample(
                    &[],
                    SampleValue::Micros(
                        (left.clamp(0, whole.max(0)) as u128 * 1_000_000 / whole.max(1) as u128)
                            as u64,
                    ),
                )
            },
        }),
    },
    Metric {
        name: "probity_tls_handshake_info",
        kind: Type::Info,
        unit: MetricUnit::None,
        part: Collect::Accounting,
        labels: &["version", "cipher", "group"],
        help: "Always 1. The labels are version, cipher suite and key exchange group of the \
            last TLS handshake.",
        query: "count by (version, group) (probity_tls_handshake_info)",
        writer: MetricWriter::Endpoint(OfEndpoint {
            is_on: |_| true,
            series: |e, _| if_secured(e, 1),
            write: |line, _, _, shown| match shown.handshake {
                Some(h) => line.sample(
                    &[
                        ",version=\"",
                        h.version,
                        "\",cipher=\"",
                        h.cipher,
                        "\",group=\"",
                        h.group.unwrap_or_default(),
                        "\"",
                    ],
                    SampleValue::Count(1),
                ),
                None => Ok(()),
            },
        }),
    },
];

fn if_secured(endpoint: &Endpoint, series: u64) -> u64 {
    if endpoint.probe.is_secured() {
        series
    } else {
        0
    }
}

/// One date of the leaf, the verified path, and what was sent.
fn dates(line: &mut Line, leaf: UtcMs, chain: Option<UtcMs>, sent: UtcMs) -> io::Result<()> {
    line.sample(&[",certificate=\"leaf\""], SampleValue::utc(leaf))?;
    if let Some(chain) = chain {
        line.sample(&[",certificate=\"chain\""], SampleValue::utc(chain))?;
    }
    line.sample(&[",certificate=\"sent\""], SampleValue::utc(sent))
}
