//! /metrics: the text format of Prometheus (0.0.4) and OpenMetrics 1.0, streamed.
//!
//! Series of endpoints are written family by family straight from the board, in pieces that a slow
//! reader holds back; no copy of them is ever made. One [`Picture`] makes all families of one
//! scrape agree.

use std::io::{self, Write};

use crate::config::plan::{LatencyMetrics, Plan};
use crate::engine::board::{Entry, Picture, ScrapeView, escaped};
use crate::judgement::latency::{Classic, Ending, HOUR_MS, Series, quantile};
use crate::judgement::maintenance::Window;
use crate::net::clock::Clock;
use crate::words::{Phase, StateName, UtcMs};

/// Which text format is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    OpenMetrics,
}

impl Format {
    /// OpenMetrics where the client lists it, as Prometheus does.
    pub fn accepted(accept: &str) -> Self {
        if takes(accept, "application/openmetrics-text") {
            Format::OpenMetrics
        } else {
            Format::Text
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Whether a list as in RFC 9110, section 12.5 names something with a weight above 0.
pub fn takes(list: &str, what: &str) -> bool {
    list.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_it = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(what));
        let weight = parts
            .find_map(|p| p.strip_prefix("q=").or(p.strip_prefix("Q=")))
            .and_then(|q| q.parse::<f32>().ok());
        is_it && weight.is_none_or(|q| q > 0.0)
    })
}

/// Parts of the page that `collect[]` chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The live series.
    State,
    /// The settled counters.
    Accounting,
    Latency,
    /// The daemon's own series.
    Daemon,
}

impl Part {
    pub const WORDS: [(&'static str, Part); 4] = [
        ("state", Part::State),
        ("accounting", Part::Accounting),
        ("latency", Part::Latency),
        ("daemon", Part::Daemon),
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Gauge,
    Counter,
    Histogram,
    Info,
    /// Quantiles alone: without a sum and a count, which the histogram beside it has.
    Summary,
}

/// A family of series with `endpoint` as first label.
pub struct Family {
    pub name: &'static str,
    kind: Type,
    part: Part,
    pub help: &'static str,
    /// Writes the samples of one endpoint.
    write: fn(&mut Line<'_>, &Context<'_>, &Entry, &ScrapeView<'_>) -> io::Result<()>,
}

struct Context<'c> {
    plan: &'c Plan,
    /// Maintenance windows that are in force now.
    windows: &'c [Window],
    now: UtcMs,
    format: Format,
}

/// Writes samples of one family.
struct Line<'w> {
    out: &'w mut dyn Write,
    name: &'static str,
    /// Between name and `{`.
    suffix: &'static str,
    label: &'w str,
    numbers: itoa::Buffer,
}

impl Line<'_> {
    /// `name{endpoint="..."<labels>} value`; labels begin with a comma.
    fn sample(&mut self, labels: &[&str], value: Value) -> io::Result<()> {
        let out = &mut *self.out;
        out.write_all(self.name.as_bytes())?;
        out.write_all(self.suffix.as_bytes())?;
        out.write_all(b"{")?;
        out.write_all(self.label.as_bytes())?;
        for label in labels {
            out.write_all(label.as_bytes())?;
        }
        out.write_all(b"} ")?;
        match value {
            Value::Count(n) => out.write_all(self.numbers.format(n).as_bytes())?,
            Value::Millis(ms) => {
                let (whole, part) = (ms.div_euclid(1000), ms.rem_euclid(1000));
                out.write_all(self.numbers.format(whole).as_bytes())?;
                if part != 0 {
                    out.write_all(&[b'.', digit(part / 100), digit(part / 10), digit(part)])?;
                }
            }
            Value::Micros(us) => {
                let (whole, part) = ((us / 1_000_000), (us % 1_000_000) as i64);
                out.write_all(self.numbers.format(whole).as_bytes())?;
                if part != 0 {
                    out.write_all(&[
                        b'.',
                        digit(part / 100_000),
                        digit(part / 10_000),
                        digit(part / 1000),
                        digit(part / 100),
                        digit(part / 10),
                        digit(part),
                    ])?;
                }
            }
        }
        out.write_all(b"\n")
    }
}

fn digit(n: i64) -> u8 {
    b'0' + (n % 10) as u8
}

enum Value {
    Count(u64),
    /// Printed in seconds.
    Millis(i64),
    Micros(u64),
}

fn ms(n: u64) -> Value {
    Value::Millis(n as i64)
}

fn utc(at: UtcMs) -> Value {
    Value::Millis(at)
}

/// One date of the leaf, the verified path, and what was sent.
fn dates(line: &mut Line, leaf: UtcMs, chain: Option<UtcMs>, sent: UtcMs) -> io::Result<()> {
    line.sample(&[",certificate=\"leaf\""], utc(leaf))?;
    if let Some(chain) = chain {
        line.sample(&[",certificate=\"chain\""], utc(chain))?;
    }
    line.sample(&[",certificate=\"sent\""], utc(sent))
}

/// Every family of endpoints, in the order of the page.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "probity_endpoint_state",
        kind: Type::Gauge,
        part: Part::State,
        help: "1 for the present state of the endpoint (up, down or unknown), 0 for the others. \
            Follows each result at once, also while the history cannot be written.",
        write: |line, context, entry, shown| {
            let state = shown.state;
            let labels = state_labels(context, entry);
            let mut each = |is: StateName, label: &str| {
                line.sample(&[label, &labels], Value::Count(u64::from(state == is)))
            };
            each(StateName::Up, ",state=\"up\"")?;
            each(StateName::Down, ",state=\"down\"")?;
            each(StateName::Unknown, ",state=\"unknown\"")
        },
    },
    Family {
        name: "probity_endpoint_outage_start_timestamp_seconds",
        kind: Type::Gauge,
        part: Part::State,
        help: "Start of the outage that is open, by the point estimate. Only present while the \
            endpoint is down.",
        write: |line, context, entry, shown| match shown.outage {
            Some((from, cause)) => line.sample(
                &[
                    ",cause=\"",
                    cause.as_str(),
                    "\"",
                    &state_labels(context, entry),
                ],
                utc(from),
            ),
            None => Ok(()),
        },
    },
    Family {
        name: "probity_endpoint_info",
        kind: Type::Info,
        part: Part::State,
        help: "Always 1. The labels are component, kind of probe, target, connection (fresh: a new \
            one for each probe), and the endpoint's own labels.",
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
                Value::Count(1),
            )
        },
    },
    Family {
        name: "probity_endpoint_interval_seconds",
        kind: Type::Gauge,
        part: Part::State,
        help: "Time between two slots of the endpoint's schedule.",
        write: |line, _, entry, _| {
            line.sample(&[], ms(entry.endpoint.load().rules.cadence.interval))
        },
    },
    Family {
        name: "probity_probe_last_duration_seconds",
        kind: Type::Gauge,
        part: Part::State,
        help: "Duration of the last measured probe, success or failure.",
        write: |line, _, _, shown| {
            shown
                .last_duration_us
                .map_or(Ok(()), |us| line.sample(&[], Value::Micros(us)))
        },
    },
    Family {
        name: "probity_probe_http_status_code",
        kind: Type::Gauge,
        part: Part::State,
        help: "Status code of the last response. Absent if the last probe received none.",
        write: |line, _, _, shown| {
            shown.http_status.map_or(Ok(()), |status| {
                line.sample(&[], Value::Count(u64::from(status)))
            })
        },
    },
    Family {
        name: "probity_endpoint_state_seconds_total",
        kind: Type::Counter,
        part: Part::Accounting,
        help: "Settled time in each state. The counters survive restarts and lag by up to the \
            detection time. Compute availability as up / (up + down), never against wall time.",
        write: |line, _, _, shown| {
            line.sample(&[",state=\"up\""], ms(shown.settled.up))?;
            line.sample(&[",state=\"down\""], ms(shown.settled.down))?;
            line.sample(&[",state=\"unknown\""], ms(shown.settled.unknown))
        },
    },
    Family {
        name: "probity_endpoint_maintenance",
        kind: Type::Gauge,
        part: Part::State,
        help: "1 during a declared maintenance window of the endpoint, else 0. Probes and states \
            continue as usual.",
        write: |line, context, entry, _| {
            let e = entry.endpoint.load();
            let is_in = context
                .windows
                .iter()
                .any(|w| w.concerns(e.name.as_str(), e.component.as_str()));
            line.sample(&[], Value::Count(u64::from(is_in)))
        },
    },
    Family {
        name: "probity_endpoint_maintenance_seconds_total",
        kind: Type::Counter,
        part: Part::Accounting,
        help: "Settled time in each state within declared maintenance, whether or not a contract \
            excludes it. It is part of the state seconds.",
        write: |line, _, _, shown| {
            let [up, down, unknown] = shown.settled.maintenance;
            line.sample(&[",state=\"up\""], ms(up))?;
            line.sample(&[",state=\"down\""], ms(down))?;
            line.sample(&[",state=\"unknown\""], ms(unknown))
        },
    },
    Family {
        name: "probity_endpoint_settled_timestamp_seconds",
        kind: Type::Gauge,
        part: Part::Accounting,
        help: "Time up to which the endpoint's state is final. The settled counters contain \
            nothing after it.",
        write: |line, _, _, shown| line.sample(&[], utc(shown.settled.watermark_utc)),
    },
    Family {
        name: "probity_endpoint_down_lower_seconds_total",
        kind: Type::Counter,
        part: Part::Accounting,
        help: "Lower bound of the downtime: time between failures with neither a success nor \
            unknown time between them.",
        write: |line, _, _, shown| line.sample(&[], ms(shown.settled.down_lower)),
    },
    Family {
        name: "probity_endpoint_down_upper_seconds_total",
        kind: Type::Counter,
        part: Part::Accounting,
        help: "Upper bound of the downtime in measured time, unconfirmed failures included. Add \
            the unknown seconds for the worst case. Outages between two probes are not seen.",
        write: |line, _, _, shown| line.sample(&[], ms(shown.settled.down_upper)),
    },
    Family {
        name: "probity_endpoint_transitions_total",
        kind: Type::Counter,
        part: Part::Accounting,
        help: "Changes of state, by the new state. Survives restarts.",
        write: |line, _, _, shown| {
            let t = &shown.settled.transitions;
            line.sample(&[",to=\"up\""], Value::Count(t.up))?;
            line.sample(&[",to=\"down\""], Value::Count(t.down))?;
            line.sample(&[",to=\"unknown\""], Value::Count(t.unknown))
        },
    },
    Family {
        name: "probity_endpoint_last_transition_timestamp_seconds",
        kind: Type::Gauge,
        part: Part::Accounting,
        help: "Time of the last change of state, by the point estimate. 0 if there was none.",
        write: |line, _, _, shown| line.sample(&[], utc(shown.settled.last_transition_utc)),
    },
    Family {
        name: "probity_probes_total",
        kind: Type::Counter,
        part: Part::Accounting,
        help: "Scheduled probes by their final result: success, failure (part of an outage), \
            unconfirmed (a failure without an outage), unmeasured (the prober itself failed) or \
            missed (not started).",
        write: |line, _, _, shown| {
            let s = &shown.slots;
            line.sample(&[",result=\"success\""], Value::Count(s.success))?;
            line.sample(&[",result=\"failure\""], Value::Count(s.failure))?;
            line.sample(&[",result=\"unconfirmed\""], Value::Count(s.unconfirmed))?;
            line.sample(&[",result=\"unmeasured\""], Value::Count(s.unmeasured))?;
            line.sample(&[",result=\"missed\""], Value::Count(s.missed))
        },
    },
    Family {
        name: "probity_probe_failures_total",
        kind: Type::Counter,
        part: Part::Accounting,
        help: "Failed probes, re-probes included, by cause. Counted at once and never revised.",
        write: |line, _, _, shown| {
            shown.failures.iter().try_for_each(|(cause, n)| {
                line.sample(&[",cause=\"", cause.as_str(), "\""], Value::Count(*n))
            })
        },
    },
    Family {
        name: "probity_tls_certificate_not_after_timestamp_seconds",
        kind: Type::Gauge,
        part: Part::Accounting,
        help: "End of validity of the leaf certificate, of the verified path (chain, absent if \
            nothing was verified), and the earliest of all certificates that were sent. Present \
            also if verification failed.",
        write: |line, _, _, shown| {
            let Some(c) = &shown.certificate else {
                return Ok(());
            };
            dates(line, c.not_after, c.chain_not_after, c.sent_not_after)
        },
    },
    Family {
        name: "probity_tls_certificate_not_before_timestamp_seconds",
        kind: Type::Gauge,
        part: Part::Accounting,
        help: "Start of validity of the leaf certificate, of the verified path (chain), and the \
            latest of all certificates that were sent.",
        write: |line, _, _, shown| {
            let Some(c) = &shown.certificate else {
                return Ok(());
            };
            dates(line, c.not_before, c.chain_not_before, c.sent_not_before)
        },
    },
    Family {
        name: "probity_tls_certificate_lifetime_remaining_ratio",
        kind: Type::Gauge,
        part: Part::Accounting,
        help: "Remaining share of the leaf certificate's lifetime, from 1 (issued) to 0 (expired). \
            Alerts on it fit certificates of any lifetime.",
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
                Value::Micros(
                    (left.clamp(0, whole.max(0)) as u128 * 1_000_000 / whole.max(1) as u128) as u64,
                ),
            )
        },
    },
    Family {
        name: "probity_tls_handshake_info",
        kind: Type::Info,
        part: Part::Accounting,
        help: "Always 1. The labels are version, cipher suite and key exchange group of the last \
            TLS handshake.",
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
                Value::Count(1),
            ),
            None => Ok(()),
        },
    },
    Family {
        name: "probity_probe_duration_seconds",
        kind: Type::Histogram,
        part: Part::Latency,
        help: "Duration of probes, re-probes included, by outcome: success, failure or timeout. \
            Starts at 0 with the daemon. For exact quantiles of one endpoint use \
            probity_probe_latency_seconds.",
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
    },
    Family {
        name: "probity_probe_latency_seconds",
        kind: Type::Summary,
        part: Part::Latency,
        help: "Quantiles of the duration of successful probes in the last hour, exact to one \
            percent. Survives restarts. Absent without a success in that hour. For several \
            endpoints together use the histogram.",
        write: |line, context, _, seen| {
            let pairs = seen
                .hour
                .since(context.now - HOUR_MS, Series::Whole(Ending::Success));
            for (label, ppm) in LATENCY_QUANTILES {
                if let Some(us) = quantile(&pairs, ppm) {
                    line.sample(&[label], Value::Micros(us))?;
                }
            }
            Ok(())
        },
    },
    Family {
        name: "probity_probe_phase_seconds",
        kind: Type::Histogram,
        part: Part::Latency,
        help: "Duration of each phase of measured probes, of every outcome. A phase that did not \
            happen has no sample. Starts at 0 with the daemon.",
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
    },
];

/// Of `probity_probe_latency_seconds`, with their share in parts per million.
const LATENCY_QUANTILES: [(&str, u64); 3] = [
    (",quantile=\"0.5\"", 500_000),
    (",quantile=\"0.9\"", 900_000),
    (",quantile=\"0.99\"", 990_000),
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

fn histogram(line: &mut Line, context: &Context, label: &str, classic: &Classic) -> io::Result<()> {
    let mut total = 0;
    line.suffix = "_bucket";
    for (k, bound) in context.plan.metrics.buckets_us.iter().enumerate() {
        total += u64::from(classic.counts.get(k).copied().unwrap_or(0));
        line.sample(
            &[label, ",le=\"", &bound_text(*bound, context.format), "\""],
            Value::Count(total),
        )?;
    }
    total += u64::from(classic.counts.last().copied().unwrap_or(0));
    line.sample(&[label, ",le=\"+Inf\""], Value::Count(total))?;
    line.suffix = "_sum";
    line.sample(&[label], Value::Micros(classic.sum_us))?;
    line.suffix = "_count";
    line.sample(&[label], Value::Count(total))?;
    line.suffix = "";
    Ok(())
}

/// OpenMetrics wants `1.0` where the older format has `1`.
pub fn bound_text(us: u64, format: Format) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    let text = text.trim_end_matches('0');
    match (text.strip_suffix('.'), format) {
        (Some(whole), Format::Text) => whole.to_owned(),
        (Some(whole), Format::OpenMetrics) => format!("{whole}.0"),
        (None, _) => text.to_owned(),
    }
}

/// Histograms are a choice of `[metrics]`.
fn is_configured(family: &Family, plan: &Plan) -> bool {
    match family.name {
        "probity_probe_duration_seconds" | "probity_probe_latency_seconds" => {
            plan.metrics.latency != LatencyMetrics::Off
        }
        "probity_probe_phase_seconds" => plan.metrics.phases,
        _ => true,
    }
}

/// `# HELP` and `# TYPE`.
pub fn header(
    out: &mut dyn Write,
    format: Format,
    name: &str,
    kind: &str,
    help: &str,
) -> io::Result<()> {
    let family = match (format, kind) {
        (Format::OpenMetrics, "counter") => name.strip_suffix("_total").unwrap_or(name),
        (Format::OpenMetrics, "info") => name.strip_suffix("_info").unwrap_or(name),
        _ => name,
    };
    let kind = if format == Format::Text && kind == "info" {
        "gauge"
    } else {
        kind
    };
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    writeln!(out, "# HELP {family} {help}\n# TYPE {family} {kind}")
}

/// Writes the chosen families of all endpoints, with the windows that are in force now.
pub fn endpoints(
    out: &mut dyn Write,
    format: Format,
    parts: &[Part],
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
    for family in FAMILIES
        .iter()
        .filter(|f| parts.contains(&f.part) && is_configured(f, plan))
    {
        let kind = match family.kind {
            Type::Gauge => "gauge",
            Type::Counter => "counter",
            Type::Histogram => "histogram",
            Type::Info => "info",
            Type::Summary => "summary",
        };
        header(out, format, family.name, kind, family.help)?;
        // Samples go into a small buffer while the view is held, and out of it after.
        let mut buffer = Vec::with_capacity(2048);
        for entry in picture.entries.iter() {
            picture.look(entry, |shown| {
                let mut line = Line {
                    out: &mut buffer,
                    name: family.name,
                    suffix: "",
                    label: &entry.label,
                    numbers: itoa::Buffer::new(),
                };
                (family.write)(&mut line, &context, entry, shown)
            })?;
            out.write_all(&buffer)?;
            buffer.clear();
        }
    }
    Ok(())
}
