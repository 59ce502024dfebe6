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
            "Always 1. The label is the version of this daemon.",
            "version",
            env!("CARGO_PKG_VERSION"),
        )?;
        labelled(
            "probity_vantage_info",
            "Always 1. The label is the place from which this daemon probes.",
            "vantage",
            vantage,
        )?;
        let process = prometheus::process_collector::ProcessCollector::for_self();
        registry.register(Box::new(process))?;
        Ok(Self {
            refusals: Arc::default(),
            reload_ok: gauge(
                "probity_config_last_reload_successful",
                "1 if the last reload succeeded. 0 if the config was refused: the one before is \
                    still in force.",
            )?,
            reload_at: gauge(
                "probity_config_last_reload_success_timestamp_seconds",
                "When the present config was read.",
            )?,
            history_writable: gauge(
                "probity_history_writable",
                "1 while the history is writable. At 0, settled counters are frozen and live \
                    states continue.",
            )?,
            events_waiting: gauge(
                "probity_history_events_waiting",
                "Events in memory that are not committed yet. If more than a few wait for longer \
                    than a second, the disk is slow or full.",
            )?,
            events_recorded: gauge(
                "probity_history_events",
                "Events in the history. This is the number of the newest event.",
            )?,
            in_flight: gauge(
                "probity_probes_in_flight",
                "Probes that are running now, of all endpoints.",
            )?,
            endpoints: gauge(
                "probity_endpoints",
                "Endpoints in service, as in the present config.",
            )?,
            clock_synchronised: gauge(
                "probity_clock_synchronised",
                "1 if the kernel reports its clock as synchronised (adjtimex), else 0. At 0, \
                    certificate dates count only if another certificate confirms the clock.",
            )?,
            authorities: gauge(
                "probity_trust_store_authorities",
                "Certificate authorities in the system's trust store. At 0, https and tls \
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
        let help = "Stalls of the engine longer than 0.5 s (CPU starvation or suspend). Probes \
            affected by a stall are unmeasured.";
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
            "Notifications by receiver and result: delivered, failed (will be retried), given_up \
                (the receiver refuses the message, see the log) or left_out (too many of one \
                endpoint were waiting).",
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
    let help = "Open connections to this listener, including that of this scrape.";
    header(out, format, "probity_http_connections", "gauge", help)?;
    writeln!(
        out,
        "probity_http_connections {}",
        refusals.open.load(Ordering::Relaxed)
    )?;
    let help = "Connections and requests that this listener refused or closed early, by reason. \
        docs/troubleshooting.md explains each reason.";
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
        "Probes that the prober itself could not make or judge, by reason. That time is unknown, \
            never downtime. docs/causes.md explains each reason.",
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
        "Unknown time of all endpoints, by reason. Counted when it has ended.",
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
        "Probes outside the schedule (to confirm a failure, to repeat an unmeasured probe, to find \
            a recovery), by result.",
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
        "1 if the witness answered in the last round, else 0. Absent before its first round and if \
            it cannot be measured on this host.",
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
    let help = "1 if a quorum of the witnesses answered in the last round, else 0. At 0, failures \
        count as unknown (local_network). Absent without witnesses: a lost uplink of this host \
        then counts as downtime.";
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
        "Delay between the scheduled and the actual start of a probe. A delay above late_after and \
            above a tenth of the interval leaves unknown time.",
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
