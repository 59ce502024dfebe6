//! How many probes answered within the bound of a contract, from the stored histograms.

use super::object::ReportedLatency;
use crate::account::figures::Part;
use crate::history::HistoryError;
use crate::history::read_tallies::WhichTallies;
use crate::history::reader::HistoryReader;
use crate::history::tally::{tally_hours, tally_latency, tally_slots};
use crate::judgement::latency::{Ending, Series};
use crate::judgement::sla::contract::Contract;
use crate::judgement::sla::exact::{plain, share as exact_share, truncated, whole};
use crate::judgement::timeline::Span;

/// How many probes answered within the bound of a contract. Failed slots did not.
pub struct Latency {
    pub component: String,
    pub within: u64,
    pub probes: u64,
    /// Hours of the period of which there are tallies.
    pub hours: u64,
}

/// Counts from the stored histograms of each component's endpoints, to their resolution of one
/// percent.
pub fn latency(
    reader: &HistoryReader,
    contract: &Contract,
    parts: &[Part],
    period: Span,
    which: WhichTallies,
) -> Result<Vec<Latency>, HistoryError> {
    let Some(objective) = &contract.latency else {
        return Ok(Vec::new());
    };
    let mut list = Vec::new();
    for part in parts
        .iter()
        .filter(|p| contract.components.contains(&p.component))
    {
        // Failures count once a slot: their repetitions come close together and would weigh them
        // more.
        let (mut within, mut probes) = (0, 0);
        let mut hours = 0;
        for (endpoint, _) in &part.endpoints {
            let mut own = 0;
            for tally in reader.tallies(endpoint, period, which)? {
                own += tally_hours(&tally.body);
                probes += tally_slots(&tally.body).map_or(0, |s| s.failure + s.unconfirmed);
                for (series, buckets) in tally_latency(&tally.body) {
                    if series == Series::Whole(Ending::Success) {
                        probes += buckets.iter().map(|(_, count)| count).sum::<u64>();
                        within += buckets
                            .iter()
                            .filter(|(value, _)| *value <= objective.within_us)
                            .map(|(_, count)| count)
                            .sum::<u64>();
                    }
                }
            }
            hours = hours.max(own);
        }
        list.push(Latency {
            component: part.component.to_string(),
            within,
            probes,
            hours,
        });
    }
    Ok(list)
}

/// A contract's latency as it is shown; nothing without an objective.
pub fn latency_shown(contract: &Contract, list: &[Latency]) -> Option<Vec<ReportedLatency>> {
    let objective = contract.latency.as_ref()?;
    let one = |l: &Latency| {
        let share = exact_share(l.within, l.probes).map(|s| s * whole(100));
        ReportedLatency {
            component: l.component.clone(),
            within_ms: objective.within_us / 1000,
            objective_percent: plain(&objective.share),
            probes: l.probes,
            within: l.within,
            share_percent: share.as_ref().map(|s| truncated(s, 5)),
            met: share.map(|s| s >= objective.share),
            hours: l.hours,
            resolution_percent: 1,
        }
    };
    Some(list.iter().map(one).collect())
}
