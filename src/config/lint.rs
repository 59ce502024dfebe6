//! What a config implies, said before it costs anything: the lints and figures of `probity check`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::document::value::show_duration;
use super::plan::{Endpoint, Plan};
use crate::judgement::sla::contract::Contract;
use crate::judgement::timeline::Combine;
use crate::kind::Kind;
use crate::words::{Ms, people};

/// Bytes of one line of /metrics, on average: 2,264,315 for 30,367 series of 1,000 endpoints
/// (`benches/bench.py scrape`).
const BYTES_PER_SERIES: u64 = 75;
/// Bytes of help texts and types on /metrics.
const HELP_BYTES: u64 = 15_000;
/// Estimate of the bytes that one result adds to the history's marks before they are thinned out.
const BYTES_PER_MARKED_RESULT: u64 = 6;
/// SQLite's log grows to this before it is taken into the database (4,000 pages), and stays.
const LOG_BYTES: u64 = 16 << 20;
/// A database without anything in it.
const EMPTY_BYTES: u64 = 200 << 10;
/// Estimate of the bytes of an hour's tally of one endpoint.
const BYTES_PER_TALLY: u64 = 300;
const MONTH_MS: Ms = 30 * 86_400_000;

/// Figures that follow from a config.
#[derive(Debug, Clone, Serialize)]
pub struct Implied {
    pub endpoints: usize,
    pub probes_per_second: f64,
    pub series: u64,
    pub scrape_bytes: u64,
    pub disk_bytes_per_month: u64,
    pub detection: Vec<Detection>,
    pub warnings: Vec<String>,
}

/// What one endpoint's cadence can show.
#[derive(Debug, Clone, Serialize)]
pub struct Detection {
    pub endpoint: String,
    /// The longest time from the begin of a lasting fault to its confirmation.
    pub bound_ms: Ms,
    /// Outages shorter than this between probes are not surely seen.
    pub unseen_below_ms: Ms,
    /// Downtime that 99.999 % allows in 30 days.
    pub budget_99_999_ms: Ms,
}

/// `series`: that /metrics will have.
pub fn implied(plan: &Plan, series: u64) -> Implied {
    let per_second: f64 = plan
        .endpoints
        .iter()
        .map(|e| 1000.0 / e.rules.cadence.interval as f64)
        .sum::<f64>()
        + 0.0;
    let detection: Vec<Detection> = plan
        .endpoints
        .iter()
        .map(|e| Detection {
            endpoint: e.name.to_string(),
            bound_ms: e.rules.detection_bound(),
            unseen_below_ms: e.rules.not_seen_below(),
            budget_99_999_ms: MONTH_MS / 100_000,
        })
        .collect();
    // Hours of a week and days of a month.
    let tallies = plan.endpoints.len() as u64 * (24 * 7 + 31) * BYTES_PER_TALLY;
    let marks = (per_second * 600.0) as u64 * BYTES_PER_MARKED_RESULT;
    Implied {
        endpoints: plan.endpoints.len(),
        probes_per_second: (per_second * 100.0).round() / 100.0,
        series,
        scrape_bytes: HELP_BYTES + series * BYTES_PER_SERIES,
        disk_bytes_per_month: LOG_BYTES + EMPTY_BYTES + tallies + marks,
        warnings: warnings(plan),
        detection,
    }
}

pub fn warnings(plan: &Plan) -> Vec<String> {
    let mut list = Vec::new();
    list.extend(nothing_beside(plan));
    list.extend(plan.listen.exposure());
    list.extend(of_the_status_page(plan));
    list.extend(slow_probes(plan));
    for contract in &plan.contracts.list {
        list.extend(loose_terms(contract, plan));
    }
    list.extend(missing_parts(plan));
    list.extend(unknown_labels(plan));
    list.extend(plan.maintenance.iter().filter_map(|w| {
        w.clock_note()
            .map(|note| format!("the window {}: {note}", w.id))
    }));
    if let [only] = plan.witness.endpoints.as_slice() {
        list.push(format!(
            "one witness only: while {} itself is gone, every outage will be unknown; use two or \
                three unrelated ones",
            only.name
        ));
    }
    list.extend(long_timeouts(plan));
    list.extend(overlapping_probes(plan));
    list.extend(unused_source_addresses(plan));
    list.extend(few_places(plan));
    list.extend(large_secrets(plan));
    list.extend(super::manners::notes(plan));
    list
}

/// No endpoint, or endpoints without a witness beside them.
fn nothing_beside(plan: &Plan) -> Option<String> {
    if plan.endpoints.is_empty() {
        return Some("no endpoint configured: there is nothing to probe".into());
    }
    plan.witness.endpoints.is_empty().then(|| {
        "no witnesses configured: if this host loses its uplink, every unreachable endpoint is \
            recorded as down"
            .into()
    })
}

/// Who can read the public page, and that it has nothing to show.
fn of_the_status_page(plan: &Plan) -> Vec<String> {
    let Some(page) = &plan.status_page else {
        return Vec::new();
    };
    let is_local = page.listen.ip().is_loopback();
    let mut list: Vec<String> = (!is_local).then(|| page.exposure()).into_iter().collect();
    if plan.components.is_empty() {
        list.push(
            "the status page shows no component: declare one, such as [component.checkout], and \
                name it in its endpoints"
                .into(),
        );
    }
    list
}

/// Intervals that are longer than the error budget of 99.999 %.
fn slow_probes(plan: &Plan) -> Option<String> {
    let slow: Vec<&str> = plan
        .endpoints
        .iter()
        .filter(|e| e.rules.gap > MONTH_MS / 100_000)
        .map(|e| e.name.as_str())
        .collect();
    let first = slow.first()?;
    Some(format!(
        "{} of {} endpoints (such as {first}) cannot prove an availability of 99.999 % in a \
            month: the error budget is {}, and an outage of that length can fall between two \
            probes. Use an interval of 10s or less",
        slow.len(),
        plan.endpoints.len(),
        people::duration(MONTH_MS / 100_000),
    ))
}

/// What a contract leaves open, and what its probes cannot show.
fn loose_terms(contract: &Contract, plan: &Plan) -> Vec<String> {
    let mut list = Vec::new();
    if contract.min_coverage.is_none() {
        list.push(format!(
            "the contract {} has no min_coverage: stopping the prober during an outage would \
                improve the result",
            contract.name
        ));
    }
    let budget = crate::judgement::sla::explain::budget(&contract.objective, MONTH_MS);
    let blind = plan.endpoints.iter().find(|e| {
        let touches = contract.components.contains(&e.component);
        touches && crate::judgement::sla::exact::whole(e.rules.not_seen_below()) > budget
    });
    list.extend(blind.map(|e| {
        format!(
            "the contract {} allows {} ms of downtime in 30 days, and an outage of that length \
                can fall between two probes of {}: the bounds of its verdict are that wide",
            contract.name,
            budget.to_integer(),
            e.name
        )
    }));
    list
}

/// Components that want more endpoints up than they have.
fn missing_parts(plan: &Plan) -> Vec<String> {
    let missing = plan.components.iter().filter_map(|(id, component)| {
        let parts = plan.endpoints.iter().filter(|e| e.component == *id).count();
        match component.combine {
            Combine::AtLeast(least) if least > parts => Some(format!(
                "the component {id} wants {least} endpoints up and has {parts}: it can never be up"
            )),
            Combine::AtLeast(_) | Combine::Series | Combine::Parallel => None,
        }
    });
    missing.collect()
}

fn unknown_labels(plan: &Plan) -> Vec<String> {
    let is_unknown = |label: &&String| {
        !plan.endpoints.is_empty() && !plan.endpoints.iter().any(|e| e.labels.contains_key(*label))
    };
    let unknown = plan.metrics.state_labels.iter().filter(is_unknown);
    unknown
        .map(|label| format!("metrics.state_labels names {label}, a label that no endpoint has"))
        .collect()
}

fn long_timeouts(plan: &Plan) -> Vec<String> {
    let long = plan
        .endpoints
        .iter()
        .filter(|e| e.rules.cadence.timeout > 7 * e.rules.cadence.interval);
    let told = long.take(5).map(|e| {
        format!(
            "{}: a timeout of {} is more than seven intervals of {}: slots are missed while the \
                endpoint hangs",
            e.name,
            show_duration(e.rules.cadence.timeout),
            show_duration(e.rules.cadence.interval)
        )
    });
    told.collect()
}

/// Timeouts beyond the interval; those of more than seven intervals have a note of their own.
fn overlapping_probes(plan: &Plan) -> Option<String> {
    let overlaps = |e: &&Arc<Endpoint>| {
        let cadence = &e.rules.cadence;
        (cadence.interval + 1..=7 * cadence.interval).contains(&cadence.timeout)
    };
    let found: Vec<&Arc<Endpoint>> = plan.endpoints.iter().filter(overlaps).collect();
    let first = found.first()?;
    Some(format!(
        "{} has a timeout ({}) that is longer than its interval ({}), as {} in all: while it \
            hangs, several probes of it run at once",
        first.name,
        people::duration(first.rules.cadence.timeout),
        people::duration(first.rules.cadence.interval),
        people::count(found.len() as u64, "endpoint")
    ))
}

fn unused_source_addresses(plan: &Plan) -> Option<String> {
    let unused =
        |e: &&Arc<Endpoint>| e.dial.source.is_some() && !e.probe.kind().uses_source_address();
    let without_source: Vec<&str> = plan
        .endpoints
        .iter()
        .filter(unused)
        .map(|e| e.name.as_str())
        .collect();
    let first = without_source.first()?;
    let count = people::count(without_source.len() as u64, "endpoint");
    let kinds = Kind::ALL.iter().filter(|kind| !kind.uses_source_address());
    let kinds: Vec<&str> = kinds.map(|kind| kind.as_str()).collect();
    Some(format!(
        "source_address is not used by {} probes ({count}, such as {first}): the kernel chooses \
            their address",
        people::listed(&kinds, "and")
    ))
}

/// Limits below what the endpoints occupy while all of them run into their timeouts.
fn few_places(plan: &Plan) -> Vec<String> {
    let mut by_host: BTreeMap<&str, u64> = BTreeMap::new();
    let (daemon, mut thousandths) = (&plan.daemon, 0);
    for e in &plan.endpoints {
        let cadence = &e.rules.cadence;
        let share = (cadence.timeout * 1000 / cadence.interval.max(1))
            .min(u64::from(e.rules.overlap) * 1000);
        thousandths += share;
        *by_host.entry(e.host()).or_default() += share;
    }
    let of_all = Some(("", thousandths));
    let of_a_host = by_host.into_iter().max_by_key(|(_, share)| *share);
    let each = [
        ("max_in_flight", daemon.max_in_flight, of_all),
        (
            "max_in_flight_per_host",
            daemon.max_in_flight_per_host,
            of_a_host,
        ),
    ];
    let few = each.into_iter().filter_map(|(key, limit, need)| {
        let (limit, (host, thousandths)) = (limit? as u64, need?);
        let needed = thousandths.div_ceil(1000);
        let at = if host.is_empty() {
            String::new()
        } else {
            format!(" at {host}")
        };
        (limit < needed).then(|| {
            format!(
                "{key} is {limit}, and the endpoints{at} need {needed} places while all of them \
                    time out: what finds no place is unknown time (local_resource)"
            )
        })
    });
    few.collect()
}

/// Secrets that the daemon does not look for in every spelling.
fn large_secrets(plan: &Plan) -> Option<String> {
    let all = plan.endpoints.iter().chain(&plan.witness.endpoints);
    let large: Vec<&Arc<Endpoint>> = all.filter(|e| e.mask.has_more()).collect();
    let first = large.first()?;
    let count = people::count(large.len() as u64, "endpoint");
    Some(format!(
        "the secrets of {count} (such as {}) are too large or too many to be masked in every \
            spelling: the secrets themselves and the first values in them are masked \
            (docs/security.md)",
        first.name
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{OneText, load};

    #[test]
    fn limits_below_what_the_endpoints_need_are_noted() {
        let notes = |daemon: &str| {
            let text = format!(
                "[daemon]\n{daemon}\n[[endpoint]]\nname = \"shop\"\ninterval = \"1s\"\n\
                timeout = \"900ms\"\nprobe.tcp = \"192.0.2.1:1\"\n[[endpoint]]\nname = \"slow\"\n\
                interval = \"1s\"\ntimeout = \"3s\"\nprobe.tcp = \"192.0.2.2:1\"\n"
            );
            let plan = load(Path::new("probity.toml"), &OneText(&text)).expect("a plan");
            few_places(&plan)
        };
        for enough in ["", "max_in_flight = 4", "max_in_flight_per_host = 3"] {
            assert_eq!(notes(enough), [""; 0], "{enough}");
        }
        let few = notes("max_in_flight = 3\nmax_in_flight_per_host = 2");
        assert_eq!(few.len(), 2);
        let all = "max_in_flight is 3, and the endpoints need 4 places while all of them time out";
        let host = "max_in_flight_per_host is 2, and the endpoints at 192.0.2.2 need 3 places";
        assert!(
            few[0].starts_with(all) && few[1].starts_with(host),
            "{few:?}"
        );
    }
}
