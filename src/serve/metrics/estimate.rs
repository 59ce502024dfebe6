//! How many series a config will have on /metrics.

use super::component::MONTHS;
use super::contract::PERIODS;
use super::metric::{Metric, MetricWriter, OfContract};
use super::{all, endpoint};
use crate::config::plan::{Endpoint, Plan};
use crate::judgement::sla::contract::{Contract, Together};
use crate::serve::by_component::named;

/// Series of one endpoint while nothing fails.
pub fn series_of(endpoint: &Endpoint, plan: &Plan) -> u64 {
    endpoint::METRICS
        .into_iter()
        .flatten()
        .map(|metric| match &metric.writer {
            MetricWriter::Endpoint(of) if (of.is_on)(plan) => (of.series)(endpoint, plan),
            _ => 0,
        })
        .sum()
}

/// Series of the whole page while nothing fails and all is recorded for two periods.
pub fn series(plan: &Plan) -> u64 {
    let endpoints: u64 = plan.endpoints.iter().map(|e| series_of(e, plan)).sum();
    let components = named(plan).len() as u64 * MONTHS;
    let answers: u64 = plan.contracts.list.iter().map(answers_of).sum();
    let latency: u64 = plan
        .contracts
        .list
        .iter()
        .filter(|c| c.latency.is_some())
        .map(|c| c.components.len() as u64)
        .sum();
    let each = |metric: &Metric| match &metric.writer {
        MetricWriter::Endpoint(_) => 0,
        MetricWriter::Daemon(of) => (of.series)(plan),
        MetricWriter::Process => 1,
        MetricWriter::Component(_) => components,
        MetricWriter::Contract(OfContract::One(_)) => answers * PERIODS,
        MetricWriter::Contract(OfContract::Several { each, .. }) => answers * PERIODS * each,
        MetricWriter::Contract(OfContract::Latency) => latency * PERIODS,
    };
    endpoints + all().map(each).sum::<u64>()
}

/// A contract has an answer for each component, or one for all of them together.
fn answers_of(contract: &Contract) -> u64 {
    match contract.together {
        Together::Each => contract.components.len() as u64,
        Together::Series | Together::Parallel | Together::Weighted(_) => 1,
    }
}
