//! Several probes of one endpoint: a row for each, and p50 and p95 of its phases by address.

use std::collections::VecDeque;
use std::fmt::Write;
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::shown;
use crate::config::Endpoint;
use crate::daemon::exit::Exit;
use crate::kind::run::ProbeReport;
use crate::words::people::count;
use crate::words::{Outcome, Phase, escaped};

/// One probe, and the address that it went to.
pub struct ProbeOfSeries {
    pub address: Option<IpAddr>,
    pub report: ProbeReport,
}

impl ProbeOfSeries {
    /// `given`: the address that it was sent to, where one was chosen.
    pub fn new(given: Option<IpAddr>, report: ProbeReport) -> Self {
        let of_facts = || report.outcome.facts()?.address;
        Self {
            address: given.or_else(of_facts),
            report,
        }
    }
}

/// The last probes, oldest first, and how many there were.
pub struct ProbeSeries {
    kept: VecDeque<ProbeOfSeries>,
    limit: usize,
    probes: u64,
    is_any_down: bool,
    is_any_unmeasured: bool,
}

impl ProbeSeries {
    pub fn keeping(limit: usize) -> Self {
        Self {
            kept: VecDeque::new(),
            limit,
            probes: 0,
            is_any_down: false,
            is_any_unmeasured: false,
        }
    }

    pub fn add(&mut self, probed: ProbeOfSeries) {
        match &probed.report.outcome {
            Outcome::Success(_) => {}
            Outcome::Failure { .. } => self.is_any_down = true,
            Outcome::Unmeasured { .. } => self.is_any_unmeasured = true,
        }
        if self.kept.len() == self.limit {
            self.kept.pop_front();
        }
        self.kept.push_back(probed);
        self.probes += 1;
    }

    pub fn kept(&mut self) -> &[ProbeOfSeries] {
        self.kept.make_contiguous()
    }

    /// Without a probe, nothing is known.
    pub fn worst(&self) -> Exit {
        match (self.is_any_down, self.is_any_unmeasured) {
            (true, _) => Exit::Bad,
            (false, true) => Exit::Unknown,
            (false, false) if self.probes == 0 => Exit::Unknown,
            (false, false) => Exit::Fine,
        }
    }

    /// The row of a probe that is added next.
    pub fn row(&self, probed: &ProbeOfSeries) -> String {
        let report = &probed.report;
        let (word, why) = match &report.outcome {
            Outcome::Success(_) => ("up", String::new()),
            Outcome::Failure { cause, detail, .. } => {
                ("down", format!("  {}: {}", cause.as_str(), escaped(detail)))
            }
            Outcome::Unmeasured { reason, detail } => (
                "unmeasured",
                format!("  {}: {}", reason.as_str(), escaped(detail)),
            ),
        };
        format!(
            "{:>5}  {word:<10}  {:<15}  {:>12}{why}\n",
            self.probes + 1,
            shown_address(probed.address),
            millis(report.duration_us)
        )
    }

    pub fn summary(&self) -> String {
        let mut out = String::new();
        for of in self.by_address() {
            let _ = writeln!(
                out,
                "\n{}: {}, {} up, {} down, {} unmeasured",
                shown_address(of.address),
                count(of.probes() as u64, "probe"),
                of.up,
                of.down,
                of.unmeasured
            );
            if of.took.is_empty() {
                continue;
            }
            let _ = writeln!(out, "  {:<10} {:>12} {:>12}", "phase", "p50", "p95");
            let whole = ("whole", of.took.as_slice());
            let phases = of
                .phases
                .iter()
                .map(|(p, all)| (p.as_str(), all.as_slice()));
            for (name, all) in phases.chain([whole]) {
                let [p50, p95] = [50, 95].map(|p| millis(percentile(all, p)));
                let _ = writeln!(out, "  {name:<10} {p50:>12} {p95:>12}");
            }
        }
        out
    }

    pub fn as_json(&self, endpoint: &Endpoint) -> Value {
        let quantiles = |all: &[u64]| {
            let ms = |p| percentile(all, p) as f64 / 1000.0;
            json!({ "p50": ms(50), "p95": ms(95) })
        };
        let addresses = self.by_address().into_iter().map(|of| {
            let phases = of.phases.iter();
            let phases: Map<String, Value> = phases
                .map(|(phase, all)| (phase.as_str().to_owned(), quantiles(all)))
                .collect();
            json!({
                "address": of.address, "successes": of.up, "failures": of.down,
                "unmeasured": of.unmeasured, "phases_ms": phases,
                "duration_ms": (!of.took.is_empty()).then(|| quantiles(&of.took)),
            })
        });
        let probes = self.kept.iter();
        json!({
            "schema": "probity-probe-series/1", "endpoint": endpoint.name.as_str(),
            "kind": endpoint.probe.kind().as_str(), "target": endpoint.target(),
            "addresses": addresses.collect::<Vec<Value>>(),
            "probes": probes
                .map(|probed| shown::as_json(endpoint, &probed.report))
                .collect::<Vec<Value>>(),
        })
    }

    /// In the order in which the addresses were first probed.
    fn by_address(&self) -> Vec<OfAddress> {
        let mut list: Vec<OfAddress> = Vec::new();
        for ProbeOfSeries { address, report } in &self.kept {
            let at = list.iter().position(|of| of.address == *address);
            let at = at.unwrap_or_else(|| {
                list.push(OfAddress::new(*address));
                list.len() - 1
            });
            list[at].add(report);
        }
        for of in &mut list {
            of.took.sort_unstable();
            of.phases
                .iter_mut()
                .for_each(|(_, all)| all.sort_unstable());
        }
        list
    }
}

/// What became of the probes of one address. Times are those of the successes, in microseconds.
struct OfAddress {
    address: Option<IpAddr>,
    up: usize,
    down: usize,
    unmeasured: usize,
    took: Vec<u64>,
    phases: Vec<(Phase, Vec<u64>)>,
}

impl OfAddress {
    fn new(address: Option<IpAddr>) -> Self {
        Self {
            address,
            up: 0,
            down: 0,
            unmeasured: 0,
            took: Vec::new(),
            phases: Vec::new(),
        }
    }

    fn probes(&self) -> usize {
        self.up + self.down + self.unmeasured
    }

    fn add(&mut self, report: &ProbeReport) {
        match report.outcome {
            Outcome::Success(_) => self.up += 1,
            Outcome::Failure { .. } => {
                self.down += 1;
                return;
            }
            Outcome::Unmeasured { .. } => {
                self.unmeasured += 1;
                return;
            }
        }
        self.took.push(report.duration_us);
        for phase in Phase::ALL {
            let Some(us) = report.phases.us(phase) else {
                continue;
            };
            match self.phases.iter_mut().find(|(of, _)| *of == phase) {
                Some((_, all)) => all.push(us.into()),
                None => self.phases.push((phase, vec![us.into()])),
            }
        }
    }
}

/// By the nearest rank: a value that was measured. 0 of an empty list.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

fn shown_address(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "no address".to_owned(), |address| address.to_string())
}

fn millis(us: u64) -> String {
    format!("{}.{:03} ms", us / 1000, us % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{Facts, PhaseTimes};

    fn probed(last: u8, is_up: bool, connect_us: u64) -> ProbeOfSeries {
        let mut phases = PhaseTimes::default();
        phases.add(Phase::Connect, connect_us);
        let facts = Box::new(Facts::default());
        let outcome = if is_up {
            Outcome::Success(facts)
        } else {
            Outcome::Failure {
                cause: crate::words::Cause::Status,
                detail: "found \u{1b}[2J".to_owned(),
                facts,
            }
        };
        let report = ProbeReport {
            outcome,
            phases,
            duration_us: connect_us + 1,
            started_ns: 0,
            given_ms: 0,
            stood_ns: 0,
        };
        ProbeOfSeries::new(Some([192, 0, 2, last].into()), report)
    }

    #[test]
    fn without_a_probe_nothing_is_known() {
        assert_eq!(ProbeSeries::keeping(2).worst(), Exit::Unknown);
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        assert_eq!((percentile(&[], 50), percentile(&[7], 95)), (0, 7));
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(
            (percentile(&hundred, 50), percentile(&hundred, 95)),
            (50, 95)
        );
        assert_eq!((percentile(&[1, 2], 50), percentile(&[1, 2], 95)), (1, 2));
    }

    #[test]
    fn a_summary_has_each_address_and_the_times_of_its_successes() {
        let mut series = ProbeSeries::keeping(100);
        for us in [3000, 1000, 2000] {
            series.add(probed(1, true, us));
        }
        series.add(probed(2, false, 9000));
        assert_eq!(series.worst(), Exit::Bad);
        assert_eq!(
            series.summary(),
            "\n192.0.2.1: 3 probes, 3 up, 0 down, 0 unmeasured\n  phase               p50          \
                p95\n  connect        2.000 ms     3.000 ms\n  whole          2.001 ms     \
                3.001 ms\n\n192.0.2.2: 1 probe, 0 up, 1 down, 0 unmeasured\n"
        );
        assert_eq!(
            series.row(&probed(2, false, 9000)),
            "    5  down        192.0.2.2            9.001 ms  status: found \\u{1b}[2J\n"
        );
    }

    #[test]
    fn only_the_last_probes_are_kept_and_a_failure_is_not_forgotten() {
        let mut series = ProbeSeries::keeping(2);
        series.add(probed(1, false, 1));
        for us in 2..5 {
            series.add(probed(1, true, us));
        }
        assert_eq!(series.kept().len(), 2);
        assert!(series.summary().contains("2 probes, 2 up"));
        assert_eq!(series.worst(), Exit::Bad);
    }
}
