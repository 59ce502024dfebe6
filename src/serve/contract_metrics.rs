//! `probity_sla_*`: what contracts come to, as metrics.

use std::io::{self, Write};

use num_traits::ToPrimitive;

use super::contracts::{ContractStanding as Standing, Standings};
use super::exposition::{Format, header};
use crate::engine::board::escaped;
use crate::judgement::sla::evaluate::{Judged, Verdict};
use crate::judgement::sla::exact::{Exact, whole};

/// The value of a family for one answer, where it has one.
type Pick = fn(&Standing, &Judged) -> Option<f64>;

/// Name, help and value of those that have one value for each answer.
const FAMILIES: [(&str, &str, Pick); 11] = [
    (
        "probity_sla_objective_ratio",
        "Objective (SLO) of the contract: the availability that it promises.",
        |s, _| Some(number(&(&s.contract.objective / whole(100)))),
    ),
    (
        "probity_sla_availability_ratio",
        "Availability of the period by the point estimate, as the contract counts it. Absent without measured time.",
        |_, j| j.availability.as_ref().map(number),
    ),
    (
        "probity_sla_availability_lower_ratio",
        "Lower bound of the availability: unknown and future time count as down.",
        |_, j| j.lower.as_ref().map(number),
    ),
    (
        "probity_sla_availability_upper_ratio",
        "Upper bound of the availability: unknown time counts as up.",
        |_, j| j.upper.as_ref().map(number),
    ),
    (
        "probity_sla_budget_seconds",
        "Error budget: the downtime that the objective allows in the whole period.",
        |_, j| Some(number(&(&j.budget / whole(1000)))),
    ),
    (
        "probity_sla_budget_remaining_seconds",
        "Remaining error budget, by the point estimate. Negative when it is exhausted.",
        |_, j| Some(number(&((&j.budget - &j.spent) / whole(1000)))),
    ),
    (
        "probity_sla_period_start_timestamp_seconds",
        "Start of the contract's period, in its time zone.",
        |s, _| Some(s.period.from as f64 / 1000.0),
    ),
    (
        "probity_sla_outages",
        "Outages in the period, as the contract counts them.",
        |_, j| Some(j.spells.count as f64),
    ),
    (
        "probity_sla_longest_outage_seconds",
        "Longest outage of the period, by the point estimate. 0 if there was none.",
        |_, j| seconds(Some(j.spells.longest)),
    ),
    (
        "probity_sla_mean_time_to_recover_seconds",
        "Downtime of the period divided by its outages. Absent if there was none.",
        |_, j| seconds(j.spells.mean_to_recover),
    ),
    (
        "probity_sla_mean_time_between_failures_seconds",
        "Uptime of the period divided by its outages. Absent if there was none.",
        |_, j| seconds(j.spells.mean_between_failures),
    ),
];

fn number(e: &Exact) -> f64 {
    e.to_f64().unwrap_or(f64::NAN)
}

fn seconds(ms: Option<u64>) -> Option<f64> {
    ms.map(|ms| ms as f64 / 1000.0)
}

impl Standings {
    /// Each answer that is about a component or all of them together; tenants stay out of metrics.
    fn shown(&self) -> impl Iterator<Item = (&Standing, &Judged)> {
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
        for (name, help, pick) in FAMILIES {
            header(out, format, name, "gauge", help)?;
            for (s, j) in self.shown() {
                if let Some(value) = pick(s, j) {
                    writeln!(out, "{name}{{{}}} {value}", labels(s, j))?;
                }
            }
        }
        self.write_latency(out, format)?;
        self.write_seconds(out, format)?;
        self.write_verdicts(out, format)
    }

    fn write_latency(&self, out: &mut dyn Write, format: Format) -> io::Result<()> {
        let help = "Share of the period's probes that succeeded within the contract's latency bound. From hourly histograms, exact to one percent.";
        header(out, format, "probity_sla_latency_ratio", "gauge", help)?;
        for s in &self.list {
            for l in s.latency.iter().filter(|l| l.probes > 0) {
                let labels = format!(
                    "sla=\"{}\",component=\"{}\",period=\"{}\"",
                    escaped(s.contract.name.as_str()),
                    escaped(&l.component),
                    s.which
                );
                writeln!(
                    out,
                    "probity_sla_latency_ratio{{{labels}}} {}",
                    l.within as f64 / l.probes as f64
                )?;
            }
        }
        Ok(())
    }

    fn write_seconds(&self, out: &mut dyn Write, format: Format) -> io::Result<()> {
        header(
            out,
            format,
            "probity_sla_seconds",
            "gauge",
            "Service time of the period by state: up, down, unknown and future (not over yet). Excluded maintenance is shown beside it.",
        )?;
        for (s, j) in self.shown() {
            let t = &j.times;
            for (state, ms) in [
                ("up", t.up),
                ("down", t.down),
                ("unknown", t.unknown),
                ("future", t.future),
                ("maintenance", t.maintenance),
            ] {
                writeln!(
                    out,
                    "probity_sla_seconds{{{},state=\"{state}\"}} {}.{:03}",
                    labels(s, j),
                    ms / 1000,
                    ms % 1000
                )?;
            }
        }
        Ok(())
    }

    fn write_verdicts(&self, out: &mut dyn Write, format: Format) -> io::Result<()> {
        header(
            out,
            format,
            "probity_sla_verdict",
            "gauge",
            "1 for the present verdict on the period (met, missed or undetermined), 0 for the others.",
        )?;
        for (s, j) in self.shown() {
            for verdict in [Verdict::Met, Verdict::Missed, Verdict::Undetermined] {
                writeln!(
                    out,
                    "probity_sla_verdict{{{},verdict=\"{}\"}} {}",
                    labels(s, j),
                    verdict.as_str(),
                    u8::from(j.verdict == verdict)
                )?;
            }
        }
        Ok(())
    }
}

fn labels(s: &Standing, j: &Judged) -> String {
    let component = j
        .component
        .as_ref()
        .map_or(String::new(), |c| escaped(c.as_str()));
    format!(
        "sla=\"{}\",component=\"{component}\",period=\"{}\"",
        escaped(s.contract.name.as_str()),
        s.which
    )
}
