//! The daemon's own series, from the `prometheus` crate's registry, written in the format of the
//! scrape.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus::proto::MetricType;
use prometheus::{Gauge, GaugeVec, Opts, Registry};

use super::exposition::{Format, bound_text, header};
use super::listener::refusal::{Refusal, Refusals};
use crate::engine::board::{Board, escaped};
use crate::engine::drive::Gauges;
use crate::engine::witness::Standing;
use crate::net::log_lines;
use crate::notify::Deliveries;
use crate::words::Reason;

/// Gathers everything that is not about one endpoint.
pub struct SelfMetrics {
    /// The listener counts here.
    pub refusals: Arc<Refusals>,
    registry: Registry,
    reload_ok: Gauge,
    reload_at: Gauge,
    history_writable: Gauge,
    events_waiting: Gauge,
    events_recorded: Gauge,
    in_flight: Gauge,
    endpoints: Gauge,
    authorities: Gauge,
    clock_synchronised: Gauge,
}

impl SelfMetrics {
    pub fn new(vantage: &str) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let gauge = |name: &str, help: &str| {
            let gauge = Gauge::with_opts(Opts::new(name, help))?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let labelled = |name: &str, help: &str, label: &str, value: &str| {
            let gauge = GaugeVec::new(Opts::new(name, help), &[label])?;
            gauge.with_label_values(&[value]).set(1.0);
            registry.register(Box::new(gauge))
        };
        labelled(
            "probity_build_info",
            "Always 1; the label is the version of this daemon.",
            "version",
            env!("CARGO_PKG_VERSION"),
        )?;
        labelled(
            "probity_vantage_info",
            "Always 1; the label is the place that this daemon measures from.",
            "vantage",
            vantage,
        )?;
        let process = prometheus::process_collector::ProcessCollector::for_self();
        registry.register(Box::new(process))?;
        Ok(Self {
            refusals: Arc::default(),
            reload_ok: gauge(
                "probity_config_last_reload_successful",
                "1 when the last reading of the config succeeded; 0 when it was refused and the \
                    one before is still in force.",
            )?,
            reload_at: gauge(
                "probity_config_last_reload_success_timestamp_seconds",
                "When the config that is in force was read.",
            )?,
            history_writable: gauge(
                "probity_history_writable",
                "1 while the history is writable. While 0, settled counters are frozen and live \
                    states go on.",
            )?,
            events_waiting: gauge(
                "probity_history_events_waiting",
                "Events that wait in memory to be committed; more than a few for longer than a \
                    second: the disk is slow or full.",
            )?,
            events_recorded: gauge(
                "probity_history_events",
                "Events in the history, which is the number of the newest one.",
            )?,
            in_flight: gauge(
                "probity_probes_in_flight",
                "Probes that run now, of all endpoints.",
            )?,
            endpoints: gauge(
                "probity_endpoints",
                "Endpoints in service, as the config in force has them.",
            )?,
            clock_synchronised: gauge(
                "probity_clock_synchronised",
                "1 when the kernel reports its clock as synchronised (adjtimex), 0 when not: \
                    certificate dates then count only where another certificate vouches for the \
                    clock.",
            )?,
            authorities: gauge(
                "probity_trust_store_authorities",
                "Certificate authorities that the system's trust store holds. 0: https and tls \
                    endpoints without a ca_file are unknown (trust_store).",
            )?,

            registry,
        })
    }

    pub fn write(
        &self,
        out: &mut dyn Write,
        format: Format,
        board: &Board,
        gauges: &Gauges,
        deliveries: &Deliveries,
    ) -> io::Result<()> {
        let h = &board.health;
        let flag = |set: bool| if set { 1.0 } else { 0.0 };
        self.reload_ok
            .set(flag(h.reload_ok.load(Ordering::Relaxed)));
        self.reload_at
            .set(h.reload_utc_ms.load(Ordering::Relaxed) as f64 / 1000.0);
        self.history_writable
            .set(flag(h.history_writable.load(Ordering::Relaxed)));
        self.events_waiting
            .set(h.events_waiting.load(Ordering::Relaxed) as f64);
        self.events_recorded
            .set(h.events_recorded.load(Ordering::Relaxed) as f64);
        self.in_flight
            .set(h.in_flight.load(Ordering::Relaxed) as f64);
        self.endpoints.set(board.entries().len() as f64);
        self.clock_synchronised
            .set(flag(h.clock_synchronised.load(Ordering::Relaxed)));
        self.authorities
            .set(h.authorities.load(Ordering::Relaxed) as f64);
        self.registered(out, format)?;
        let help = "Times that the prober itself stood still for longer than half a second: it \
            was starved or suspended, and probes of that time are unmeasured.";
        header(out, format, "probity_stalls_total", "counter", help)?;
        writeln!(
            out,
            "probity_stalls_total {}",
            h.stalls.load(Ordering::Relaxed)
        )?;
        reasons(out, format, gauges)?;
        witnesses(out, format, board)?;
        lateness(out, format, gauges)?;
        header(
            out,
            format,
            "probity_notifications_total",
            "counter",
            "Notifications by receiver and result: delivered, failed (tried again), given_up (the \
                receiver refuses the message itself; see the log), or left_out (too many of one \
                endpoint waited).",
        )?;
        for (receiver, counts) in deliveries.snapshot() {
            let receiver = escaped(&receiver);
            for (result, count) in [
                ("delivered", counts.delivered),
                ("failed", counts.failed),
                ("given_up", counts.given_up),
                ("left_out", counts.left_out),
            ] {
                writeln!(
                    out,
                    "probity_notifications_total{{receiver=\"{receiver}\",result=\"{result}\"}} \
                        {count}"
                )?;
            }
        }
        rejected(out, format, &self.refusals)?;
        log_lines_lost(out, format)
    }

    fn registered(&self, out: &mut dyn Write, format: Format) -> io::Result<()> {
        for family in self.registry.gather() {
            let is_counter = family.get_field_type() == MetricType::COUNTER;
            header(
                out,
                format,
                family.name(),
                if is_counter { "counter" } else { "gauge" },
                family.help(),
            )?;
            for metric in family.get_metric() {
                let value = if is_counter {
                    metric.get_counter().get_value()
                } else {
                    metric.get_gauge().get_value()
                };
                let labels: Vec<String> = metric
                    .get_label()
                    .iter()
                    .map(|l| format!("{}=\"{}\"", l.name(), escaped(l.value())))
                    .collect();
                let labels = if labels.is_empty() {
                    String::new()
                } else {
                    format!("{{{}}}", labels.join(","))
                };
                writeln!(out, "{}{labels} {value}", family.name())?;
            }
        }
        Ok(())
    }
}

fn log_lines_lost(out: &mut dyn Write, format: Format) -> io::Result<()> {
    let help = "Log lines that were lost because standard error was not read. Probing goes on.";
    header(out, format, "probity_log_lines_lost_total", "counter", help)?;
    writeln!(out, "probity_log_lines_lost_total {}", log_lines::lost())
}

fn rejected(out: &mut dyn Write, format: Format, refusals: &Refusals) -> io::Result<()> {
    let help = "Connections to this listener that are open, /metrics itself among them.";
    header(out, format, "probity_http_connections", "gauge", help)?;
    writeln!(
        out,
        "probity_http_connections {}",
        refusals.open.load(Ordering::Relaxed)
    )?;
    let help = "Connections and requests that this listener refused or cut off, by reason; \
        docs/troubleshooting.md says what to do about each.";
    header(out, format, "probity_http_rejected_total", "counter", help)?;
    for refusal in Refusal::ALL {
        writeln!(
            out,
            "probity_http_rejected_total{{reason=\"{}\"}} {}",
            refusal.as_str(),
            refusals.count(refusal)
        )?;
    }
    Ok(())
}

fn reasons(out: &mut dyn Write, format: Format, gauges: &Gauges) -> io::Result<()> {
    header(
        out,
        format,
        "probity_probe_unmeasured_total",
        "counter",
        "Probes and slots that the prober itself could not do, by reason: time without them is \
            unknown, never downtime. docs/causes.md says what to do about each.",
    )?;
    for reason in Reason::ALL {
        let count = gauges.unmeasured[*reason as usize].load(Ordering::Relaxed);
        writeln!(
            out,
            "probity_probe_unmeasured_total{{reason=\"{}\"}} {count}",
            reason.as_str()
        )?;
    }
    header(
        out,
        format,
        "probity_unknown_seconds_total",
        "counter",
        "Unknown time that has ended, over all endpoints, by its reason.",
    )?;
    for reason in Reason::ALL {
        let ms = gauges.unknown_ms[*reason as usize].load(Ordering::Relaxed);
        writeln!(
            out,
            "probity_unknown_seconds_total{{reason=\"{}\"}} {}.{:03}",
            reason.as_str(),
            ms / 1000,
            ms % 1000
        )?;
    }
    header(
        out,
        format,
        "probity_reprobes_total",
        "counter",
        "Probes outside the slots (confirmation, repetition, recovery), by result.",
    )?;
    for (result, count) in ["success", "failure", "unmeasured"]
        .iter()
        .zip(&gauges.reprobes)
    {
        writeln!(
            out,
            "probity_reprobes_total{{result=\"{result}\"}} {}",
            count.load(Ordering::Relaxed)
        )?;
    }
    Ok(())
}

fn witnesses(out: &mut dyn Write, format: Format, board: &Board) -> io::Result<()> {
    let view = board.witnesses.load();
    header(
        out,
        format,
        "probity_witness_up",
        "gauge",
        "1 when the witness answered in its last round, 0 when it did not; absent while it has \
            not been heard or cannot be measured here.",
    )?;
    for (name, standing) in view.names.iter().zip(&view.standings) {
        let value = match standing {
            Some(Standing::Answers) => 1,
            Some(Standing::Silent) => 0,
            Some(Standing::LeftOut) | None => continue,
        };
        writeln!(
            out,
            "probity_witness_up{{witness=\"{}\"}} {value}",
            escaped(name.as_str())
        )?;
    }
    let help = "1 when a quorum of the witnesses answered in the last round, 0 when not: failures \
        are then our own network's. Absent without witnesses: loss of this host's uplink is then \
        booked as downtime.";
    header(out, format, "probity_witness_quorum_met", "gauge", help)?;
    match view.quorum_met {
        Some(met) => writeln!(out, "probity_witness_quorum_met {}", u8::from(met)),
        None => Ok(()),
    }
}

fn lateness(out: &mut dyn Write, format: Format, gauges: &Gauges) -> io::Result<()> {
    let name = "probity_probe_lateness_seconds";
    header(
        out,
        format,
        name,
        "histogram",
        "How much later than its slot a probe began; later than a tenth of its interval, and than \
            late_after, leaves unknown time.",
    )?;
    let mut total = 0;
    for (k, bound) in Gauges::LATENESS_BOUNDS_US.iter().enumerate() {
        total += gauges.lateness[k].load(Ordering::Relaxed);
        writeln!(
            out,
            "{name}_bucket{{le=\"{}\"}} {total}",
            bound_text(*bound, format)
        )?;
    }
    total += gauges.lateness[Gauges::LATENESS_BOUNDS_US.len()].load(Ordering::Relaxed);
    let sum = gauges.lateness_sum_us.load(Ordering::Relaxed);
    writeln!(
        out,
        "{name}_bucket{{le=\"+Inf\"}} {total}\n{name}_sum {}.{:06}\n{name}_count {total}",
        sum / 1_000_000,
        sum % 1_000_000
    )
}
