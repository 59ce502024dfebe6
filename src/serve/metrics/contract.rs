//! Metrics of each contract over its present period and the one before.

use std::io::{self, Write};

use num_traits::ToPrimitive;

use super::metric::{Collect, Metric, MetricUnit, MetricWriter, OfContract, Type};
use super::samples::{Format, Millis, Samples};
use crate::judgement::sla::evaluation::{ContractVerdict, Evaluation};
use crate::judgement::sla::exact::{Exact, whole};
use crate::serve::contracts::{ContractStatus, ContractStatuses};

/// Periods that are shown: the present one and the one before.
pub const PERIODS: u64 = 2;

pub const METRICS: &[Metric] = &[
    Metric {
        name: "probity_sla_objective_ratio",
        kind: Type::Gauge,
        unit: MetricUnit::Ratio,
        part: Collect::Daemon,
        labels: &["sla", "component", "period"],
        help: "Objective (SLO) of the contract: the availability that it promises.",
        query: "probity_sla_availability_ratio < probity_sla_objective_ratio",
        writer: MetricWriter::Contract(OfContract::One(|s, _| {
            Some(number(&(&s.contract.objective / whole(100))))
        })),
    },
    Metric {
        name: "probity_sla_availability_ratio",
        kind: Type::Gauge,
        unit: MetricUnit::Ratio,
        part: Collect::Daemon,
        labels: &["sla", "component", "period"],
        help: "Availability of the period by the point estimate, as the contract counts it. \
            Absent without measured time.",
        query: "probity_sla_availability_ratio{period=\"previous\"}",
        writer: MetricWriter::Contract(OfContract::One(|_, j| j.availability.as_ref().map(number))),
    },
    Metric {
        name: "probity_sla_availability_lower_ratio",
        kind: Type::Gauge,
        unit: MetricUnit::Ratio,
        part: Collect::Daemon,
        labels: &["sla", "component", "period"],
        help: "Lower bound of the availability: unknown and future time count as down.",
        query: concat!(
            "probity_sla_availability_upper_ratio\n",
            "- probity_sla_availability_lower_ratio > 0.001",
        ),
        writer: MetricWriter::Contract(OfContract::One(|_, j| j.lower.as_ref().map(number))),
    },
    Metric {
        name: "probity_sla_availability_upper_ratio",
        kind: Type::Gauge,
        unit: MetricUnit::Ratio,
        part: Collect::Daemon,
        labels: &["sla", "component", "period"],
        help: "Upper bound of the availability: unknown and future time count as up.",
        query: "probity_sla_availability_upper_ratio < probity_sla_objective_ratio",
        writer: MetricWriter::Contract(OfContract::One(|_, j| j.upper.as_ref().map(number))),
    },
    Metric {
        name: "probity_sla_budget_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Seconds,
        part: Collect::Daemon,
        labels: &["sla", "component", "period"],
        help: "Error budget: the downtime that the objective allows in the whole period.",
        query: "1 - probity_sla_budget_remaining_seconds / probity_sla_budget_seconds",
        writer: MetricWriter::Contract(OfContract::One(|_, j| {
            Some(number(&(&j.budget / whole(1000))))
        })),
    },
    Metric {
        name: "probity_sla_budget_remaining_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Seconds,
        part: Collect::Daemon,
        labels: &["sla", "component", "period"],
        help: "Remaining error budget, by the point estimate. Negative when it is exhausted.",
        query: "probity_sla_budget_remaining_seconds{period=\"current\"} < 0",
        writer: MetricWriter::Contract(OfContract::One(|_, j| {
            Some(number(&((&j.budget - &j.spent) / whole(1000))))
        })),
    },
    Metric {
        name: "probity_sla_period_start_timestamp_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Timestamp,
        part: Collect::Daemon,
        labels: &["sla", "component", "period"],
        help: "Start of the contract's period, in its time zone.",
        query: "time() - probity_sla_period_start_timestamp_seconds{period=\"current\"}",
        writer: MetricWriter::Contract(OfContract::One(|s, _| Some(s.period.from as f64 / 1000.0))),
    },
    Metric {
        name: "probity_sla_outages",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &["sla", "component", "period"],
        help: "Outages in the period, as the contract counts them.",
        query: "sum by (sla, component) (probity_sla_outages)",
        writer: MetricWriter::Contract(OfContract::One(|_, j| Some(j.outage_summary.count as f64))),
    },
    Metric {
        name: "probity_sla_longest_outage_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Seconds,
        part: Collect::Daemon,
        labels: &["sla", "component", "period"],
        help: "Longest outage of the period, by the point estimate. 0 if there was none.",
        query: "probity_sla_longest_outage_seconds > 600",
        writer: MetricWriter::Contract(OfContract::One(|_, j| {
            seconds(Some(j.outage_summary.longest))
        })),
    },
    Metric {
        name: "probity_sla_mean_time_to_recover_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Seconds,
        part: Collect::Daemon,
        labels: &["sla", "component", "period"],
        help: "Downtime of the period divided by the number of outages. Absent without an outage.",
        query: "probity_sla_mean_time_to_recover_seconds{period=\"previous\"}",
        writer: MetricWriter::Contract(OfContract::One(|_, j| {
            seconds(j.outage_summary.mean_to_recover)
        })),
    },
    Metric {
        name: "probity_sla_mean_time_between_failures_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Seconds,
        part: Collect::Daemon,
        labels: &["sla", "component", "period"],
        help: "Uptime of the period divided by the number of outages. Absent without an outage.",
        query: "probity_sla_mean_time_between_failures_seconds / 86400",
        writer: MetricWriter::Contract(OfContract::One(|_, j| {
            seconds(j.outage_summary.mean_between_failures)
        })),
    },
    Metric {
        name: "probity_sla_latency_ratio",
        kind: Type::Gauge,
        unit: MetricUnit::Ratio,
        part: Collect::Daemon,
        labels: &["sla", "component", "period"],
        help: "Share of the period's probes that succeeded within the contract's latency bound. \
            From hourly histograms, exact to one percent.",
        query: "probity_sla_latency_ratio{period=\"current\"} < 0.99",
        writer: MetricWriter::Contract(OfContract::Latency),
    },
    Metric {
        name: "probity_sla_seconds",
        kind: Type::Gauge,
        unit: MetricUnit::Seconds,
        part: Collect::Daemon,
        labels: &["sla", "component", "period", "state"],
        help: "Service time of the period by state: up, down, unknown and future (not over \
            yet). Excluded maintenance is shown beside it.",
        query: "sum without (state) (probity_sla_seconds{state=~\"up|down|unknown\"})",
        writer: MetricWriter::Contract(OfContract::Several {
            each: 5,
            write: seconds_by_state,
        }),
    },
    Metric {
        name: "probity_sla_verdict",
        kind: Type::Gauge,
        unit: MetricUnit::None,
        part: Collect::Daemon,
        labels: &["sla", "component", "period", "verdict"],
        help: "1 for the present verdict on the period (met, missed or undetermined), 0 for the \
            others.",
        query: "probity_sla_verdict{verdict=\"missed\"} == 1",
        writer: MetricWriter::Contract(OfContract::Several {
            each: 3,
            write: verdicts,
        }),
    },
];

fn number(e: &Exact) -> f64 {
    e.to_f64().unwrap_or(f64::NAN)
}

fn seconds(ms: Option<u64>) -> Option<f64> {
    ms.map(|ms| ms as f64 / 1000.0)
}

impl ContractStatuses {
    /// Each answer that is about a component or all of them together; tenants stay out of metrics.
    fn shown(&self) -> impl Iterator<Item = (&ContractStatus, &Evaluation)> {
        self.list.iter().flat_map(|s| {
            s.judged
                .iter()
                .flatten()
                .filter(|j| j.tenant.is_none() && j.was_in_service())
                .map(move |j| (s, j))
        })
    }

    /// `probity_sla_*`.
    pub fn write(&self, out: &mut dyn Write, format: Format) -> io::Result<()> {
        for metric in METRICS {
            let MetricWriter::Contract(of) = &metric.writer else {
                continue;
            };
            metric.header(out, format)?;
            let mut samples = metric.samples(out, format);
            match of {
                OfContract::One(value) => {
                    for (s, j) in self.shown() {
                        if let Some(value) = value(s, j) {
                            samples.sample(&labels(s, j), value)?;
                        }
                    }
                }
                OfContract::Several { write, .. } => {
                    for (s, j) in self.shown() {
                        write(&mut samples, s, j)?;
                    }
                }
                OfContract::Latency => self.write_latency(&mut samples)?,
            }
        }
        Ok(())
    }

    fn write_latency(&self, samples: &mut Samples) -> io::Result<()> {
        for s in &self.list {
            for l in s.latency.iter().filter(|l| l.probes > 0) {
                let labels = [
                    ("sla", s.contract.name.as_str()),
                    ("component", &l.component),
                    ("period", s.which),
                ];
                samples.sample(&labels, l.within as f64 / l.probes as f64)?;
            }
        }
        Ok(())
    }
}

fn seconds_by_state(samples: &mut Samples, s: &ContractStatus, j: &Evaluation) -> io::Result<()> {
    let t = &j.times;
    for (state, ms) in [
        ("up", t.up),
        ("down", t.down),
        ("unknown", t.unknown),
        ("future", t.future),
        ("maintenance", t.maintenance),
    ] {
        let [sla, component, period] = labels(s, j);
        samples.sample(&[sla, component, period, ("state", state)], Millis(ms))?;
    }
    Ok(())
}

fn verdicts(samples: &mut Samples, s: &ContractStatus, j: &Evaluation) -> io::Result<()> {
    for verdict in [
        ContractVerdict::Met,
        ContractVerdict::Missed,
        ContractVerdict::Undetermined,
    ] {
        let [sla, component, period] = labels(s, j);
        let labels = [sla, component, period, ("verdict", verdict.as_str())];
        samples.sample(&labels, u8::from(j.verdict == verdict))?;
    }
    Ok(())
}

fn labels<'l>(s: &'l ContractStatus, j: &'l Evaluation) -> [(&'static str, &'l str); 3] {
    [
        ("sla", s.contract.name.as_str()),
        ("component", j.component.as_ref().map_or("", |c| c.as_str())),
        ("period", s.which),
    ]
}
