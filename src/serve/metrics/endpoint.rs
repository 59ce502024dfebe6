//! Metrics of each endpoint, written straight from the board.

use std::io::{self, Write};

use super::samples::{Format, Line, SampleValue};
use super::{Collect, Metric, OWN_LABELS, STATE_LABELS, Type, Unit, Writer};
use crate::config::plan::{Endpoint, LatencyMetrics, Plan};
use crate::engine::board::{Entry, Picture, ScrapeView, escaped};
use crate::judgement::latency::{Classic, Ending, HOUR_MS, Series, quantile};
use crate::judgement::maintenance::Window;
use crate::kind::Kind;
use crate::net::clock::Clock;
use crate::words::{Phase, StateName, UtcMs};

/// A metric of each endpoint.
pub struct OfEndpoint {
    /// Whether the config asks for it.
    pub is_on: fn(&Plan) -> bool,
    /// Series of one endpoint while nothing fails.
    pub series: fn(&Endpoint, &Plan) -> u64,
    write: fn(&mut Line<'_>, &Context<'_>, &Entry, &ScrapeView<'_>) -> io::Result<()>,
}

struct Context<'c> {
    plan: &'c Plan,
    /// Maintenance windows that are in force now.
    windows: &'c [Window],
    now: UtcMs,
    format: Format,
}

/// In the order of the page.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "probity_endpoint_state",
        kind: Type::Gauge,
        unit: Unit::None,
        part: Collect::State,
        labels: &["state", STATE_LABELS],
        help: "1 for the present state of the endpoint (up, down or unknown), 0 for the others. \
            Follows each result at once, also while the history cannot be written.",
        query: "sum(probity_endpoint_state{state=\"down\"})",
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
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
        unit: Unit::Timestamp,
        part: Collect::State,
        labels: &["cause", STATE_LABELS],
        help: "Start of the outage that is open, by the point estimate. Only present while the \
            endpoint is down.",
        query: "time() - probity_endpoint_outage_start_timestamp_seconds",
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
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
        unit: Unit::None,
        part: Collect::State,
        labels: &["component", "kind", "target", "connection", OWN_LABELS],
        help: "Always 1. The labels are component, kind of probe, target, connection (fresh: a \
            new one for each probe), and the endpoint's own labels.",
        query: concat!(
            "probity_endpoint_state{state=\"down\"}\n",
            "* on (instance, endpoint) group_left (target) probity_endpoint_info == 1",
        ),
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
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
        unit: Unit::Seconds,
        part: Collect::State,
        labels: &[],
        help: "Time between two slots of the endpoint's schedule.",
        query: "count by (instance) (probity_endpoint_interval_seconds <= 5)",
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
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
        unit: Unit::Seconds,
        part: Collect::State,
        labels: &[],
        help: "Duration of the last measured probe, success or failure.",
        query: "topk(10, probity_probe_last_duration_seconds)",
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
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
        unit: Unit::None,
        part: Collect::State,
        labels: &[],
        help: "Status code of the last response. Absent if the last probe received none.",
        query: "probity_probe_http_status_code >= 500",
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
            series: |e, _| u64::from(e.probe.kind() == Kind::Http),
            write: |line, _, _, shown| {
                shown.http_status.map_or(Ok(()), |status| {
                    line.sample(&[], SampleValue::Count(u64::from(status)))
                })
            },
        }),
    },
    Metric {
        name: "probity_endpoint_state_seconds_total",
        kind: Type::Counter,
        unit: Unit::Seconds,
        part: Collect::Accounting,
        labels: &["state"],
        help: "Settled time in each state. The counters survive restarts and lag by up to the \
            detection time. Compute availability as up / (up + down), never against wall \
            time.",
        query: concat!(
            "sum by (endpoint) (\n",
            "  increase(probity_endpoint_state_seconds_total{state=\"up\"}[30d])\n",
            ")\n",
            "/ sum by (endpoint) (\n",
            "  increase(probity_endpoint_state_seconds_total{state=~\"up|down\"}[30d])\n",
            ")",
        ),
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
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
        name: "probity_endpoint_maintenance",
        kind: Type::Gauge,
        unit: Unit::None,
        part: Collect::State,
        labels: &[],
        help: "1 during a declared maintenance window of the endpoint, else 0. Probes and \
            states continue as usual.",
        query: concat!(
            "probity_endpoint_state{state=\"down\"} == 1\n",
            "unless on (instance, endpoint) probity_endpoint_maintenance == 1",
        ),
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
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
    Metric {
        name: "probity_endpoint_maintenance_seconds_total",
        kind: Type::Counter,
        unit: Unit::Seconds,
        part: Collect::Accounting,
        labels: &["state"],
        help: "Settled time in each state within declared maintenance, whether or not a \
            contract excludes it. It is part of the state seconds.",
        query: concat!(
            "sum by (endpoint) (\n",
            "  increase(probity_endpoint_maintenance_seconds_total{state=\"down\"}[30d])\n",
            ")",
        ),
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
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
        unit: Unit::Timestamp,
        part: Collect::Accounting,
        labels: &[],
        help: "Time up to which the endpoint's state is final. The settled counters contain \
            nothing after it.",
        query: "time() - probity_endpoint_settled_timestamp_seconds > 300",
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
            series: |_, _| 1,
            write: |line, _, _, shown| {
                line.sample(&[], SampleValue::utc(shown.settled.watermark_utc))
            },
        }),
    },
    Metric {
        name: "probity_endpoint_down_lower_seconds_total",
        kind: Type::Counter,
        unit: Unit::Seconds,
        part: Collect::Accounting,
        labels: &[],
        help: "Lower bound of the downtime: time between failures with neither a success nor \
            unknown time between them.",
        query: "increase(probity_endpoint_down_lower_seconds_total[30d])",
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
            series: |_, _| 1,
            write: |line, _, _, shown| line.sample(&[], SampleValue::ms(shown.settled.down_lower)),
        }),
    },
    Metric {
        name: "probity_endpoint_down_upper_seconds_total",
        kind: Type::Counter,
        unit: Unit::Seconds,
        part: Collect::Accounting,
        labels: &[],
        help: "Upper bound of the downtime in measured time, unconfirmed failures included. Add \
            the unknown seconds for the worst case. Outages between two probes are not seen.",
        query: concat!(
            "increase(probity_endpoint_down_upper_seconds_total[30d])\n",
            "+ on (instance, endpoint)\n",
            "  increase(probity_endpoint_state_seconds_total{state=\"unknown\"}[30d])",
        ),
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
            series: |_, _| 1,
            write: |line, _, _, shown| line.sample(&[], SampleValue::ms(shown.settled.down_upper)),
        }),
    },
    Metric {
        name: "probity_endpoint_transitions_total",
        kind: Type::Counter,
        unit: Unit::None,
        part: Collect::Accounting,
        labels: &["to"],
        help: "Changes of state, by the new state. Survives restarts.",
        query: "increase(probity_endpoint_transitions_total{to=\"down\"}[1d]) > 3",
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
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
        unit: Unit::Timestamp,
        part: Collect::Accounting,
        labels: &[],
        help: "Time of the last change of state, by the point estimate. 0 if there was none.",
        query: "time() - probity_endpoint_last_transition_timestamp_seconds < 3600",
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
            series: |_, _| 1,
            write: |line, _, _, shown| {
                line.sample(&[], SampleValue::utc(shown.settled.last_transition_utc))
            },
        }),
    },
    Metric {
        name: "probity_probes_total",
        kind: Type::Counter,
        unit: Unit::None,
        part: Collect::Accounting,
        labels: &["result"],
        help: "Scheduled probes by their final result: success, failure (part of an outage), \
            unconfirmed (a failure without an outage), unmeasured (the prober itself failed) \
            or missed (not started).",
        query: concat!(
            "sum by (endpoint) (rate(probity_probes_total{result=~\"unmeasured|missed\"}[1h]))\n",
            "/ sum by (endpoint) (rate(probity_probes_total[1h]))",
        ),
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
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
        unit: Unit::None,
        part: Collect::Accounting,
        labels: &["cause"],
        help: "Failed probes, re-probes included, by cause. Counted at once and never revised.",
        query: "topk(5, sum by (endpoint, cause) (increase(probity_probe_failures_total[1d])))",
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
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
        unit: Unit::Timestamp,
        part: Collect::Accounting,
        labels: &["certificate"],
        help: "End of validity of the leaf certificate, of the verified path (chain, absent if \
            nothing was verified), and the earliest of all certificates that were sent. \
            Present also if verification failed.",
        query: concat!(
            "probity_tls_certificate_not_after_timestamp_seconds{certificate=\"chain\"}\n",
            "- time() < 14 * 86400",
        ),
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
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
        unit: Unit::Timestamp,
        part: Collect::Accounting,
        labels: &["certificate"],
        help: "Start of validity of the leaf certificate, of the verified path (chain), and the \
            latest of all certificates that were sent.",
        query: concat!(
            "time()\n",
            "- probity_tls_certificate_not_before_timestamp_seconds{certificate=\"leaf\"} < 86400",
        ),
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
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
        unit: Unit::Ratio,
        part: Collect::Accounting,
        labels: &[],
        help: "Remaining share of the leaf certificate's lifetime, from 1 (issued) to 0 \
            (expired). Alerts on it fit certificates of any lifetime.",
        query: "probity_tls_certificate_lifetime_remaining_ratio < 0.1",
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
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
        unit: Unit::None,
        part: Collect::Accounting,
        labels: &["version", "cipher", "group"],
        help: "Always 1. The labels are version, cipher suite and key exchange group of the \
            last TLS handshake.",
        query: "count by (version, group) (probity_tls_handshake_info)",
        writer: Writer::Endpoint(OfEndpoint {
            is_on: always,
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
    Metric {
        name: "probity_probe_duration_seconds",
        kind: Type::Histogram,
        unit: Unit::Seconds,
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
        writer: Writer::Endpoint(OfEndpoint {
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
        unit: Unit::Seconds,
        part: Collect::Latency,
        labels: &["quantile"],
        help: "Quantiles of the duration of successful probes in the last hour, exact to one \
            percent. Survives restarts. Absent without a success in that hour. For several \
            endpoints together use the histogram.",
        query: "probity_probe_latency_seconds{quantile=\"0.99\"} > 0.5",
        writer: Writer::Endpoint(OfEndpoint {
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
        unit: Unit::Seconds,
        part: Collect::Latency,
        labels: &["phase", "le"],
        help: "Duration of each phase of measured probes, of every outcome. A phase that did \
            not happen has no sample. Starts at 0 with the daemon.",
        query: concat!(
            "sum by (phase) (rate(probity_probe_phase_seconds_sum[5m]))\n",
            "/ sum by (phase) (rate(probity_probe_phase_seconds_count[5m]))",
        ),
        writer: Writer::Endpoint(OfEndpoint {
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

fn always(_: &Plan) -> bool {
    true
}

fn has_latency(plan: &Plan) -> bool {
    plan.metrics.latency != LatencyMetrics::Off
}

fn if_secured(endpoint: &Endpoint, series: u64) -> u64 {
    if endpoint.probe.is_secured() {
        series
    } else {
        0
    }
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

/// One date of the leaf, the verified path, and what was sent.
fn dates(line: &mut Line, leaf: UtcMs, chain: Option<UtcMs>, sent: UtcMs) -> io::Result<()> {
    line.sample(&[",certificate=\"leaf\""], SampleValue::utc(leaf))?;
    if let Some(chain) = chain {
        line.sample(&[",certificate=\"chain\""], SampleValue::utc(chain))?;
    }
    line.sample(&[",certificate=\"sent\""], SampleValue::utc(sent))
}

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

fn histogram(line: &mut Line, context: &Context, label: &str, classic: &Classic) -> io::Result<()> {
    let mut total = 0;
    line.suffix = "_bucket";
    for (k, bound) in context.plan.metrics.buckets_us.iter().enumerate() {
        total += u64::from(classic.counts.get(k).copied().unwrap_or(0));
        line.sample(
            &[label, ",le=\"", &context.format.bound(*bound), "\""],
            SampleValue::Count(total),
        )?;
    }
    total += u64::from(classic.counts.last().copied().unwrap_or(0));
    line.sample(&[label, ",le=\"+Inf\""], SampleValue::Count(total))?;
    line.suffix = "_sum";
    line.sample(&[label], SampleValue::Micros(classic.sum_us))?;
    line.suffix = "_count";
    line.sample(&[label], SampleValue::Count(total))?;
    line.suffix = "";
    Ok(())
}

/// Writes the chosen families of all endpoints, with the windows that are in force now.
pub fn write(
    out: &mut dyn Write,
    format: Format,
    parts: &[Collect],
    picture: &Picture,
    plan: &Plan,
    (windows, now): (&[Window], UtcMs),
) -> io::Result<()> {
    let context = Context {
        plan,
        windows,
        now,
        format,
    };
    for metric in METRICS.iter().filter(|m| parts.contains(&m.part)) {
        let Writer::Endpoint(of) = &metric.writer else {
            continue;
        };
        if !(of.is_on)(plan) {
            continue;
        }
        metric.header(out, format)?;
        // Samples go into a small buffer while the view is held, and out of it after.
        let mut buffer = Vec::with_capacity(2048);
        for entry in picture.entries.iter() {
            picture.look(entry, |shown| {
                let mut line = Line {
                    out: &mut buffer,
                    name: metric.name,
                    suffix: "",
                    label: &entry.label,
                    numbers: itoa::Buffer::new(),
                };
                (of.write)(&mut line, &context, entry, shown)
            })?;
            out.write_all(&buffer)?;
            buffer.clear();
        }
    }
    Ok(())
}
