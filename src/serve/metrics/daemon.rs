//! Metrics of the daemon itself and of its process.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus::core::Collector as _;
use prometheus::process_collector::ProcessCollector;

use super::metric::{Collect, DaemonView, Metric, MetricUnit, MetricWriter, OfDaemon, Type};
use super::samples::{Format, Millis, Samples};
use crate::engine::board::Board;
use crate::engine::drive::Gauges;
use crate::engine::witness::WitnessState;
use crate::net::log_lines;
use crate::notify::Deliveries;
use crate::serve::listener::refusal::{Refusal, Refusals};
use crate::words::Reason;

/// Where the daemon's metrics come from.
pub struct SelfMetrics {
    /// The listener counts here.
    pub refusals: Arc<Refusals>,
    process: ProcessCollector,
    vantage: String,
}

pub const METRICS: &[Metric] = &[
    Metric {
        name: "probity_backup_last_success_timestamp_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Timestamp,
        part: Collect::Daemon,
        labels: &[],
        help: "When the newest backup was made, 0 if there is none. Only with [history.backup].",
        query: "time() - probity_backup_last_success_timestamp_seconds",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |plan| u64::from(plan.history.backup.is_some()),
            write: |s, d| match d.board.plan.load().history.backup {
                Some(_) => s.sample(
                    &[],
                    Millis(d.health().backup_utc_ms.load(Ordering::Relaxed)),
                ),
                None => Ok(()),
            },
        }),
    },
    Metric {
        name: "probity_build_info",
        kind: Type::Info,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &["version"],
        help: "Always 1. The label is the version of this daemon.",
        query: "count by (version) (probity_build_info)",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| 1,
            write: |s, _| s.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1),
        }),
    },
    Metric {
        name: "probity_clock_synchronised",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &[],
        help: "1 if the kernel reports its clock as synchronised (adjtimex), else 0. At 0, \
            certificate dates count only if another certificate confirms the clock.",
        query: "probity_clock_synchronised == 0",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| 1,
            write: |s, d| {
                s.sample(
                    &[],
                    u8::from(d.health().clock_synchronised.load(Ordering::Relaxed)),
                )
            },
        }),
    },
    Metric {
        name: "probity_config_last_reload_success_timestamp_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Timestamp,
        part: Collect::Daemon,
        labels: &[],
        help: "When the present config was read.",
        query: "time() - probity_config_last_reload_success_timestamp_seconds",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| 1,
            write: |s, d| {
                let at = d.health().reload_utc_ms.load(Ordering::Relaxed);
                s.sample(&[], Millis(at))
            },
        }),
    },
    Metric {
        name: "probity_config_last_reload_successful",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &[],
        help: "1 if the last reload succeeded. 0 if the config was refused: the one before is \
            still in force.",
        query: "probity_config_last_reload_successful == 0",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| 1,
            write: |s, d| s.sample(&[], u8::from(d.health().reload_ok.load(Ordering::Relaxed))),
        }),
    },
    Metric {
        name: "probity_endpoints",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &[],
        help: "Endpoints in service, as in the present config.",
        query: "sum(probity_endpoints)",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| 1,
            write: |s, d| s.sample(&[], d.board.entries().len()),
        }),
    },
    Metric {
        name: "probity_history_events",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &[],
        help: "Events in the history. This is the number of the newest event.",
        query: "deriv(probity_history_events[1h])",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| 1,
            write: |s, d| s.sample(&[], d.health().events_recorded.load(Ordering::Relaxed)),
        }),
    },
    Metric {
        name: "probity_history_events_waiting",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &[],
        help: "Events in memory that are not committed yet. If more than a few wait for longer \
            than a second, the disk is slow or full.",
        query: "min_over_time(probity_history_events_waiting[1m]) > 10",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| 1,
            write: |s, d| s.sample(&[], d.health().events_waiting.load(Ordering::Relaxed)),
        }),
    },
    Metric {
        name: "probity_history_writable",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &[],
        help: "1 while the history is writable. At 0, settled counters are frozen and live \
            states continue.",
        query: "probity_history_writable == 0",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| 1,
            write: |s, d| {
                s.sample(
                    &[],
                    u8::from(d.health().history_writable.load(Ordering::Relaxed)),
                )
            },
        }),
    },
    Metric {
        name: "probity_probes_in_flight",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &[],
        help: "Probes that are running now, of all endpoints.",
        query: "max_over_time(probity_probes_in_flight[1h])",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| 1,
            write: |s, d| s.sample(&[], d.health().in_flight.load(Ordering::Relaxed)),
        }),
    },
    Metric {
        name: "probity_trust_store_authorities",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &[],
        help: "Certificate authorities in the system's trust store. At 0, https and tls \
            endpoints without a ca_file are unknown (trust_store).",
        query: "probity_trust_store_authorities == 0",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| 1,
            write: |s, d| s.sample(&[], d.health().authorities.load(Ordering::Relaxed)),
        }),
    },
    Metric {
        name: "probity_vantage_info",
        kind: Type::Info,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &["vantage"],
        help: "Always 1. The label is the place from which this daemon probes.",
        query: "probity_endpoint_state * on (instance) group_left (vantage) probity_vantage_info",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| 1,
            write: |s, d| s.sample(&[("vantage", d.vantage)], 1),
        }),
    },
    Metric {
        name: "probity_stalls_total",
        kind: Type::Counter,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &[],
        help: "Stalls of the engine longer than 0.5 s (CPU starvation or suspend). A probe that \
            failed during one is unmeasured, unless no delay can cause such a failure.",
        query: "increase(probity_stalls_total[1h]) > 0",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| 1,
            write: |s, d| s.sample(&[], d.health().stalls.load(Ordering::Relaxed)),
        }),
    },
    Metric {
        name: "probity_probe_unmeasured_total",
        kind: Type::Counter,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &["reason"],
        help: "Probes that the prober itself could not make or judge, by reason. That time is \
            unknown, never downtime. docs/causes.md explains each reason.",
        query: "sum by (reason) (increase(probity_probe_unmeasured_total[1h])) > 0",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| Reason::ALL.len() as u64,
            write: unmeasured,
        }),
    },
    Metric {
        name: "probity_unknown_seconds_total",
        kind: Type::Counter,
        unit: MetricUnit::Seconds,
        part: Collect::Daemon,
        labels: &["reason"],
        help: "Unknown time of all endpoints, by reason. Counted when it has ended, from 0 at the \
            daemon's start.",
        query: "sum by (reason) (increase(probity_unknown_seconds_total[1d]))",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| Reason::ALL.len() as u64,
            write: unknown,
        }),
    },
    Metric {
        name: "probity_reprobes_total",
        kind: Type::Counter,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &["result"],
        help: "Probes outside the schedule (to confirm a failure, to repeat an unmeasured \
            probe, to find a recovery), by result.",
        query: "sum by (result) (rate(probity_reprobes_total[5m]))",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| 3,
            write: reprobes,
        }),
    },
    Metric {
        name: "probity_witness_up",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &["witness"],
        help: "1 if the witness answered in the last round, else 0. Absent before its first \
            round and if it cannot be measured on this host.",
        query: "probity_witness_up == 0",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |plan| plan.witness.endpoints.len() as u64,
            write: witnesses,
        }),
    },
    Metric {
        name: "probity_witness_quorum_met",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &[],
        help: "1 if a quorum of the witnesses answered in the last round, else 0. At 0, \
            failures count as unknown (local_network). Absent without witnesses: a lost \
            uplink of this host then counts as downtime.",
        query: "probity_witness_quorum_met == 0",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |plan| u64::from(!plan.witness.endpoints.is_empty()),
            write: quorum,
        }),
    },
    Metric {
        name: "probity_probe_lateness_seconds",
        kind: Type::Histogram,
        unit: MetricUnit::Seconds,
        part: Collect::Daemon,
        labels: &["le"],
        help: "Delay between the scheduled and the actual start of a probe. A delay above \
            late_after and above a tenth of the interval leaves unknown time.",
        query: concat!(
            "histogram_quantile(0.99,\n",
            "sum by (le) (rate(probity_probe_lateness_seconds_bucket[5m])))",
        ),
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| Gauges::LATENESS_BOUNDS_US.len() as u64 + 3,
            write: lateness,
        }),
    },
    Metric {
        name: "probity_notifications_total",
        kind: Type::Counter,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &["receiver", "result"],
        help: "Notifications by receiver and result: delivered, failed (will be retried), \
            given_up (the receiver refuses the message, see the log) or left_out (too many \
            of one endpoint were waiting).",
        query: "increase(probity_notifications_total{result=~\"given_up|left_out\"}[1h]) > 0",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |plan| 4 * plan.notify.len() as u64,
            write: notifications,
        }),
    },
    Metric {
        name: "probity_http_connections",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &[],
        help: "Open connections to this listener, including that of this scrape.",
        query: "max_over_time(probity_http_connections[1h])",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| 1,
            write: |s, d| s.sample(&[], d.refusals.open.load(Ordering::Relaxed)),
        }),
    },
    Metric {
        name: "probity_http_rejected_total",
        kind: Type::Counter,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &["reason"],
        help: "Connections and requests that this listener refused or closed early, by reason. \
            docs/troubleshooting.md explains each reason.",
        query: "sum by (reason) (rate(probity_http_rejected_total[5m])) > 0",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| Refusal::ALL.len() as u64,
            write: rejected,
        }),
    },
    Metric {
        name: "probity_log_lines_lost_total",
        kind: Type::Counter,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &[],
        help: "Log lines that were lost because standard error was not read. Probing goes on.",
        query: "increase(probity_log_lines_lost_total[1h]) > 0",
        writer: MetricWriter::Daemon(OfDaemon {
            series: |_| 1,
            write: |s, _| s.sample(&[], log_lines::lost()),
        }),
    },
];

/// Series of the process that the `prometheus` crate collects.
pub const PROCESS: &[Metric] = &[
    Metric {
        name: "process_cpu_seconds_total",
        kind: Type::Counter,
        unit: MetricUnit::Seconds,
        part: Collect::Daemon,
        labels: &[],
        help: "User and system CPU time that the daemon has used.",
        query: "rate(process_cpu_seconds_total{job=\"probity\"}[5m])",
        writer: MetricWriter::Process,
    },
    Metric {
        name: "process_resident_memory_bytes",
        kind: Type::Gauge,
        unit: MetricUnit::Bytes,
        part: Collect::Daemon,
        labels: &[],
        help: "Memory of the daemon that is resident (RSS).",
        query: "process_resident_memory_bytes{job=\"probity\"}",
        writer: MetricWriter::Process,
    },
    Metric {
        name: "process_virtual_memory_bytes",
        kind: Type::Gauge,
        unit: MetricUnit::Bytes,
        part: Collect::Daemon,
        labels: &[],
        help: "Address space that the daemon has reserved (virtual memory).",
        query: "process_virtual_memory_bytes{job=\"probity\"}",
        writer: MetricWriter::Process,
    },
    Metric {
        name: "process_open_fds",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &[],
        help: "File descriptors that the daemon has open.",
        query: "process_open_fds{job=\"probity\"} / process_max_fds",
        writer: MetricWriter::Process,
    },
    Metric {
        name: "process_max_fds",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &[],
        help: "The most file descriptors that the daemon may have open.",
        query: "process_max_fds{job=\"probity\"} < 1024",
        writer: MetricWriter::Process,
    },
    Metric {
        name: "process_threads",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &[],
        help: "Threads that the daemon has now.",
        query: "process_threads{job=\"probity\"}",
        writer: MetricWriter::Process,
    },
    Metric {
        name: "process_start_time_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Timestamp,
        part: Collect::Daemon,
        labels: &[],
        help: "When the process of the daemon was started.",
        query: "time() - process_start_time_seconds{job=\"probity\"} < 600",
        writer: MetricWriter::Process,
    },
];

impl SelfMetrics {
    pub fn new(vantage: &str) -> Self {
        Self {
            refusals: Arc::default(),
            process: ProcessCollector::for_self(),
            vantage: vantage.to_owned(),
        }
    }

    pub fn write(
        &self,
        out: &mut dyn Write,
        format: Format,
        board: &Board,
        gauges: &Gauges,
        deliveries: &Deliveries,
    ) -> io::Result<()> {
        let daemon = DaemonView {
            board,
            gauges,
            deliveries,
            refusals: &self.refusals,
            vantage: &self.vantage,
        };
        for metric in METRICS {
            if let MetricWriter::Daemon(of) = &metric.writer {
                metric.header(out, format)?;
                (of.write)(&mut metric.samples(out, format), &daemon)?;
            }
        }
        self.write_process(out, format)
    }

    fn write_process(&self, out: &mut dyn Write, format: Format) -> io::Result<()> {
        let families = self.process.collect();
        for metric in PROCESS {
            let Some(family) = families.iter().find(|f| f.name() == metric.name) else {
                continue;
            };
            metric.header(out, format)?;
            for sample in family.get_metric() {
                let value = match metric.kind {
                    Type::Counter => sample.get_counter().get_value(),
                    _ => sample.get_gauge().get_value(),
                };
                metric.samples(out, format).sample(&[], value)?;
            }
        }
        Ok(())
    }
}

fn unmeasured(samples: &mut Samples, daemon: &DaemonView) -> io::Result<()> {
    for reason in Reason::ALL {
        let count = daemon.gauges.unmeasured[*reason as usize].load(Ordering::Relaxed);
        samples.sample(&[("reason", reason.as_str())], count)?;
    }
    Ok(())
}

fn unknown(samples: &mut Samples, daemon: &DaemonView) -> io::Result<()> {
    for reason in Reason::ALL {
        let ms = daemon.gauges.unknown_ms[*reason as usize].load(Ordering::Relaxed);
        samples.sample(&[("reason", reason.as_str())], Millis(ms))?;
    }
    Ok(())
}

fn reprobes(samples: &mut Samples, daemon: &DaemonView) -> io::Result<()> {
    let results = ["success", "failure", "unmeasured"];
    for (result, count) in results.iter().zip(&daemon.gauges.reprobes) {
        samples.sample(&[("result", result)], count.load(Ordering::Relaxed))?;
    }
    Ok(())
}

fn witnesses(samples: &mut Samples, daemon: &DaemonView) -> io::Result<()> {
    let view = daemon.board.witnesses.load();
    for (name, state) in view.names.iter().zip(&view.states) {
        let value = match state {
            Some(WitnessState::Answers) => 1,
            Some(WitnessState::Silent) => 0,
            Some(WitnessState::LeftOut) | None => continue,
        };
        samples.sample(&[("witness", name.as_str())], value)?;
    }
    Ok(())
}

fn quorum(samples: &mut Samples, daemon: &DaemonView) -> io::Result<()> {
    match daemon.board.witnesses.load().quorum_met {
        Some(met) => samples.sample(&[], u8::from(met)),
        None => Ok(()),
    }
}

fn lateness(samples: &mut Samples, daemon: &DaemonView) -> io::Result<()> {
    let (gauges, mut total) = (daemon.gauges, 0);
    for (k, bound) in Gauges::LATENESS_BOUNDS_US.iter().enumerate() {
        total += gauges.lateness[k].load(Ordering::Relaxed);
        let bound = samples.format.bound(*bound);
        samples.suffixed("_bucket", &[("le", &bound)], total)?;
    }
    total += gauges.lateness[Gauges::LATENESS_BOUNDS_US.len()].load(Ordering::Relaxed);
    samples.suffixed("_bucket", &[("le", "+Inf")], total)?;
    let sum = gauges.lateness_sum_us.load(Ordering::Relaxed);
    let sum = format!("{}.{:06}", sum / 1_000_000, sum % 1_000_000);
    samples.suffixed("_sum", &[], sum)?;
    samples.suffixed("_count", &[], total)
}

fn notifications(samples: &mut Samples, daemon: &DaemonView) -> io::Result<()> {
    for (receiver, counts) in daemon.deliveries.snapshot() {
        for (result, count) in [
            ("delivered", counts.delivered),
            ("failed", counts.failed),
            ("given_up", counts.given_up),
            ("left_out", counts.left_out),
        ] {
            samples.sample(&[("receiver", &receiver), ("result", result)], count)?;
        }
    }
    Ok(())
}

fn rejected(samples: &mut Samples, daemon: &DaemonView) -> io::Result<()> {
    for refusal in Refusal::ALL {
        let count = daemon.refusals.count(refusal);
        samples.sample(&[("reason", refusal.as_str())], count)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_series_that_the_crate_collects_of_a_process_is_in_the_table() {
        let collected: Vec<_> = ProcessCollector::for_self().collect();
        let collected: BTreeSet<&str> = collected.iter().map(|family| family.name()).collect();
        let listed: BTreeSet<&str> = PROCESS.iter().map(|metric| metric.name).collect();
        assert_eq!(listed, collected);
    }
}
