//! The figures of a judged set of time: sums, availability with its bounds, budget, and the
//! summary of outages.

use num_traits::One;

use super::contract::{Contract, Treat, Unknown};
use super::evaluation::{ContractVerdict, OutageSummary, Times};
use super::exact::{Exact, share, whole};
use super::measure::Measured;
use super::record::{Outage, Recorded};
use crate::judgement::timeline::{Span, Spans};
use crate::words::Ms;

pub(super) fn times(span: Span, sets: &Measured, treat: Treat) -> Times {
    let (service, down, unknown, future) = (
        sets.service.length(),
        sets.down.length(),
        sets.unknown.length(),
        sets.future.length(),
    );
    // Elsewhere maintenance lies inside the service time.
    let excluded = if treat == Treat::Exclude {
        sets.maintenance.length()
    } else {
        0
    };
    Times {
        period: span.length(),
        outside: span.length().saturating_sub(service + excluded),
        maintenance: sets.maintenance.length(),
        service,
        up: service - down - unknown - future,
        down,
        unknown,
        future,
        down_lower: sets.lower.length(),
        down_upper: sets.upper.length() + sets.upper_beyond,
        left: sets.left.length(),
        left_in_service: sets.left.both(&sets.service).length(),
        left_inside: sets
            .left
            .both(&sets.service.minus(&sets.unknown).minus(&sets.future))
            .length(),
    }
}

/// Availability with its bounds, and the budget.
#[derive(Clone)]
pub(super) struct Figures {
    pub availability: Option<Exact>,
    pub lower: Option<Exact>,
    pub upper: Option<Exact>,
    pub budget: Exact,
    pub spent: Exact,
    pub coverage: Option<Exact>,
}

impl Figures {
    pub(super) fn of(contract: &Contract, t: &Times) -> Self {
        let past = t.service - t.future;
        let (up, all, owed) = match contract.unknown {
            Unknown::Exclude => (t.up, past - t.unknown, t.service - t.unknown),
            Unknown::Up => (t.up + t.unknown, past, t.service),
            Unknown::Down => (t.up, past, t.service),
        };
        let lost = Exact::one() - &contract.objective / whole(100);
        Self {
            availability: share(up, all),
            lower: share(
                t.service
                    .saturating_sub(t.down_upper + t.unknown + t.future),
                t.service,
            ),
            upper: share(t.service - t.down_lower, t.service),
            budget: lost * whole(owed),
            spent: whole(if contract.unknown == Unknown::Down {
                t.down + t.unknown
            } else {
                t.down
            }),
            coverage: share(
                past - t.unknown - t.left_inside,
                t.service + t.left - t.left_in_service,
            ),
        }
    }

    /// Whether the point estimate, with nothing said of its bounds, reaches the objective.
    pub(super) fn point_meets_target(&self, contract: &Contract) -> bool {
        self.availability
            .as_ref()
            .is_some_and(|a| a * whole(100) >= contract.objective)
    }

    pub(super) fn verdict(&self, contract: &Contract) -> ContractVerdict {
        let reaches = |a: &Option<Exact>| a.as_ref().map(|a| a * whole(100) >= contract.objective);
        let is_covered = contract.min_coverage.as_ref().is_none_or(|least| {
            self.coverage
                .as_ref()
                .is_some_and(|c| c * whole(100) >= *least)
        });
        match (reaches(&self.lower), reaches(&self.upper)) {
            _ if !is_covered => ContractVerdict::Undetermined,
            (Some(true), _) => ContractVerdict::Met,
            (_, Some(false)) => ContractVerdict::Missed,
            _ => ContractVerdict::Undetermined,
        }
    }
}

/// Of each outage what of it lies in a set.
pub(super) fn lengths(outages: &[Outage], within: &Spans) -> Vec<Ms> {
    outages
        .iter()
        .map(|o| within.cut(Span::new(o.from, o.to)).length())
        .collect()
}

pub(super) fn outage_summary(outages: &[Outage], sets: &Measured, times: &Times) -> OutageSummary {
    let count = outages.len() as u64;
    OutageSummary {
        count,
        longest: lengths(outages, &sets.down).into_iter().max().unwrap_or(0),
        mean_to_recover: times.down.checked_div(count),
        mean_between_failures: times.up.checked_div(count),
    }
}

pub(super) fn probe_counts(parts: &[&Recorded], service: &Spans) -> Option<(u64, u64)> {
    let [part] = parts else { return None };
    let probes = part.probes.as_ref()?;
    let inside = |at: i64| service.cut(Span::new(at, at + 1)).length() > 0;
    let counted: Vec<bool> = probes
        .iter()
        .filter(|(at, _)| inside(*at))
        .map(|(_, ok)| *ok)
        .collect();
    Some((
        counted.len() as u64,
        counted.iter().filter(|ok| !**ok).count() as u64,
    ))
}
