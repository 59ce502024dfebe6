//! The judgement of a contract over one period: figures, verdict and credit for each component,
//! combination and tenant.

use std::collections::BTreeMap;

use jiff::civil::{Date, Time};
use num_traits::{One, Zero};

use super::calendar::{day_of, instant};
use super::contract::{
    BeforeInService, Contract, Contracts, DecideBy, Measure, Tenant, Together, Treat, Unknown,
};
use super::credit::{Basis, Due, due};
use super::evaluation::{Evaluation, NotEvaluated, Times};
use super::exact::{Exact, whole};
use super::figures::{Figures, lengths, outage_summary, probe_counts, times};
use super::measure::{Measured, Windows, component, end_of, parallel, series};
use super::outages::{Case, Joined};
use super::record::{OPEN, Outage, Recorded, Timeline};
use super::shortest::counted;
use super::slices::{down_and_unknown, mean_availability, slices, worst_of};
use crate::judgement::timeline::{Span, Spans};
use crate::words::{Name, format_utc};

/// Judges one version of a contract over a period, with its tenants.
pub fn evaluate(
    contract: &Contract,
    tenants: &[Tenant],
    timeline: &Timeline,
    period: Span,
) -> Result<Vec<Evaluation>, NotEvaluated> {
    let own: Vec<&Tenant> = tenants.iter().filter(|t| t.sla == contract.name).collect();
    let parts = named_parts(contract, &own, timeline)?;
    anything_in_service(contract, &parts, period)?;
    let case = Case {
        contract,
        timeline,
        period,
    };
    let mut list = case.own_lines(&parts);
    list.extend(own.into_iter().map(|tenant| case.of_tenant(tenant, &parts)));
    Ok(list)
}

/// Records of the components that a contract and its tenants name.
type Parts<'t> = BTreeMap<Name, &'t Recorded>;

fn pick<'t>(parts: &Parts<'t>, names: &[Name]) -> Vec<&'t Recorded> {
    names.iter().filter_map(|n| parts.get(n).copied()).collect()
}

/// Finds every component that is named, with its probes where the contract counts by them.
fn named_parts<'t>(
    contract: &Contract,
    tenants: &[&Tenant],
    timeline: &'t Timeline,
) -> Result<Parts<'t>, NotEvaluated> {
    let mut parts = BTreeMap::new();
    let of_tenants = tenants.iter().flat_map(|t| &t.components);
    for name in contract.components.iter().chain(of_tenants) {
        let part = timeline
            .component(name.as_str())
            .ok_or_else(|| NotEvaluated::NoComponent(name.to_string()))?;
        if contract.measure != Measure::Time && part.probes.is_none() {
            let usual =
                "the timeline has none; they are recorded from when such a contract is loaded"
                    .to_owned();
            return Err(NotEvaluated::NoProbes(
                name.to_string(),
                part.probes_missing.clone().unwrap_or(usual),
            ));
        }
        parts.insert(name.clone(), part);
    }
    Ok(parts)
}

/// Where nothing was in service in the period there is no verdict, unless that time counts as up.
fn anything_in_service(
    contract: &Contract,
    parts: &Parts,
    period: Span,
) -> Result<(), NotEvaluated> {
    let was_in_service = |part: &Recorded| {
        part.in_service.is_empty() || part.in_service.iter().any(|s| s.cut(period).is_some())
    };
    if parts.is_empty()
        || contract.before_in_service == BeforeInService::AsUp
        || parts.values().any(|p| was_in_service(p))
    {
        return Ok(());
    }
    let begins_after = |part: &Recorded| {
        let begins = part.in_service.iter().map(|s| s.from);
        begins.filter(|from| *from >= period.to).min()
    };
    let later = parts
        .iter()
        .filter_map(|(name, part)| Some((begins_after(part)?, name)))
        .min();
    let since = later
        .filter(|(from, _)| *from < OPEN)
        .map_or(String::new(), |(from, name)| {
            format!("; `{name}` is in service from {} on", format_utc(from))
        });
    Err(NotEvaluated::NotInService(contract.name.to_string(), since))
}

/// The version in force at the begin of the period, judged.
pub fn evaluate_named<'c>(
    contracts: &'c Contracts,
    name: &Name,
    timeline: &Timeline,
    period: Span,
) -> Result<(&'c Contract, Vec<Evaluation>), NotEvaluated> {
    let zone = contracts
        .list
        .iter()
        .find(|c| c.name == *name)
        .map(|c| c.zone.clone());
    let not_in_force = || NotEvaluated::NotInForce(name.to_string());
    let day = day_of(period.from, &zone.ok_or_else(not_in_force)?);
    let contract = contracts.in_force(name, day).ok_or_else(not_in_force)?;
    Ok((
        contract,
        evaluate(contract, &contracts.tenants, timeline, period)?,
    ))
}

/// Each component that a contract or a tenant of it names, by itself, unless the answer has it
/// already.
pub fn evaluate_components(
    contract: &Contract,
    tenants: &[Tenant],
    timeline: &Timeline,
    period: Span,
) -> Result<Vec<Evaluation>, NotEvaluated> {
    let mut names = contract.all_components(tenants);
    names.retain(|name| contract.together != Together::Each || !contract.components.contains(name));
    evaluate(&contract.by_component(names), &[], timeline, period)
}

impl Case<'_> {
    /// The sets of one component as the contract counts them.
    fn measured(&self, part: &Recorded, span: Span) -> (Measured, Windows) {
        let (mut measured, windows) = component(self.contract, part, self.timeline, span);
        if let (Measure::Slices { length, down_if }, Some(probes)) =
            (&self.contract.measure, &part.probes)
        {
            let judged = measured.service.minus(&measured.future);
            let spared = if self.contract.maintenance.treat == Treat::AsUp {
                measured.maintenance.clone()
            } else {
                Spans::default()
            };
            let (down, unknown) = down_and_unknown(&slices(probes, self.period, *length), down_if);
            measured.down = down.both(&judged).minus(&spared);
            measured.unknown = unknown.both(&judged).minus(&spared);
            measured.lower = measured.down.clone();
            measured.upper = measured.down.clone();
        }
        (measured, windows)
    }

    /// The lines of the contract itself: one for each component, or one of all together.
    fn own_lines(&self, parts: &Parts) -> Vec<Evaluation> {
        let contract = self.contract;
        let all = pick(parts, &contract.components);
        let together = |joined| vec![self.judge(&all, self.period, joined, contract.fee.clone())];
        match &contract.together {
            Together::Each => {
                let alone = |name: &Name| Evaluation {
                    component: Some(name.clone()),
                    ..self.judge(
                        &pick(parts, std::slice::from_ref(name)),
                        self.period,
                        Joined::Series,
                        contract.fee.clone(),
                    )
                };
                contract.components.iter().map(alone).collect()
            }
            Together::Series => together(Joined::Series),
            Together::Parallel => together(Joined::Parallel),
            Together::Weighted(weights) => vec![self.weighted(&all, weights)],
        }
    }

    /// The line of a tenant: its components in series, on its own fee, within its own dates.
    fn of_tenant(&self, tenant: &Tenant, parts: &Parts) -> Evaluation {
        let (contract, period) = (self.contract, self.period);
        let names = if tenant.components.is_empty() {
            &contract.components
        } else {
            &tenant.components
        };
        let day = |d: Date| instant(d.to_datetime(Time::midnight()), &contract.zone);
        let from = tenant.from.map_or(period.from, day).max(period.from);
        let to = tenant.to.map_or(period.to, day).min(period.to);
        let judged = self.judge(
            &pick(parts, names),
            Span::new(from.min(period.to), to),
            Joined::Series,
            Some(tenant.fee.clone()),
        );
        Evaluation {
            tenant: Some(tenant.name.clone()),
            ..judged
        }
    }

    fn judge(
        &self,
        parts: &[&Recorded],
        span: Span,
        joined: Joined,
        fee: Option<Exact>,
    ) -> Evaluation {
        let contract = self.contract;
        let (sets, windows) = self.measured_together(parts, span, joined);
        let times = times(span, &sets, contract.maintenance.treat);
        let figures = self.figures(parts, &sets, &times);
        let outages = self.outages(parts, &sets, joined);
        let complete = self
            .timeline
            .to
            .is_none_or(|_| end_of(self.timeline) >= span.to);
        let unknown = parts
            .iter()
            .flat_map(|p| &p.unknown)
            .filter_map(|(s, why)| s.cut(span).map(|s| (s, why.clone())))
            .collect();
        Evaluation {
            component: None,
            tenant: None,
            span,
            times,
            outage_summary: outage_summary(&outages, &sets, &times),
            verdict: figures.verdict(contract),
            point_meets_target: figures.point_meets_target(contract),
            due: self.due(&figures, &sets, &times, &outages),
            availability: figures.availability,
            lower: figures.lower,
            upper: figures.upper,
            budget: figures.budget,
            spent: figures.spent,
            coverage: figures.coverage,
            complete,
            fee,
            outages,
            windows,
            unknown,
            probes: probe_counts(parts, &sets.service),
            sets,
        }
    }

    /// The sets of one component or of several together, and what became of their windows.
    fn measured_together(
        &self,
        parts: &[&Recorded],
        span: Span,
        joined: Joined,
    ) -> (Measured, Windows) {
        let mut windows = Windows::default();
        let mut all = Vec::new();
        for part in parts {
            let (measured, own) = self.measured(part, span);
            windows.refused.extend(
                own.refused
                    .into_iter()
                    .filter(|r| !windows.refused.contains(r))
                    .collect::<Vec<_>>(),
            );
            windows.by_component.push((part.name.clone(), own.admitted));
            all.push(measured);
        }
        let sets = match (joined, all.len()) {
            (_, 1) => all.remove(0),
            (Joined::Series, _) => series(&all),
            (Joined::Parallel, _) => parallel(&all),
        };
        let sets = if self.contract.measure == Measure::Time {
            counted(self.contract, sets)
        } else {
            sets
        };
        windows.admitted = sets.maintenance.clone();
        (sets, windows)
    }

    fn figures(&self, parts: &[&Recorded], sets: &Measured, times: &Times) -> Figures {
        let figures = Figures::of(self.contract, times);
        let Some([point, lower, upper]) = self.mean_figures(parts, sets) else {
            return figures;
        };
        // What was lost is a share of the time that has passed.
        let lost = point.as_ref().map_or_else(Exact::zero, |a| {
            (Exact::one() - a) * whole(times.service - times.future)
        });
        Figures {
            availability: point,
            lower,
            upper,
            spent: lost,
            ..figures
        }
    }

    /// Point, lower and upper of a contract that averages error ratios; several components answer
    /// for the worst of them in each slice.
    fn mean_figures(&self, parts: &[&Recorded], sets: &Measured) -> Option<[Option<Exact>; 3]> {
        let Measure::MeanErrorRatio { length, no_probe } = &self.contract.measure else {
            return None;
        };
        let lists: Vec<_> = parts
            .iter()
            .filter_map(|p| p.probes.as_ref())
            .map(|p| slices(p, self.period, *length))
            .collect();
        let list = worst_of(&lists);
        let past = sets.service.minus(&sets.future);
        // What was not probed, and what is not over, counts whole in the worst case and not at all
        // in the best.
        Some([
            mean_availability(&list, &past, no_probe),
            mean_availability(&list, &sets.service, &Exact::one()),
            mean_availability(&list, &sets.service, &Exact::zero()),
        ])
    }

    /// The weighted sum of the components' own availabilities; times are those of the components in
    /// series.
    fn weighted(&self, parts: &[&Recorded], weights: &[Exact]) -> Evaluation {
        let contract = self.contract;
        let whole_case = self.judge(parts, self.period, Joined::Series, contract.fee.clone());
        let each: Vec<Evaluation> = parts
            .iter()
            .map(|p| self.judge(&[*p], self.period, Joined::Series, None))
            .collect();
        let sum = |pick: fn(&Evaluation) -> &Option<Exact>| {
            each.iter()
                .zip(weights)
                .try_fold(Exact::zero(), |sum, (j, w)| {
                    pick(j).as_ref().map(|a| sum + a * w)
                })
        };
        let figures = Figures {
            availability: sum(|j| &j.availability),
            lower: sum(|j| &j.lower),
            upper: sum(|j| &j.upper),
            coverage: sum(|j| &j.coverage),
            budget: each
                .iter()
                .zip(weights)
                .fold(Exact::zero(), |sum, (j, w)| sum + &j.budget * w),
            spent: each
                .iter()
                .zip(weights)
                .fold(Exact::zero(), |sum, (j, w)| sum + &j.spent * w),
        };
        let due = self.due(
            &figures,
            &whole_case.sets,
            &whole_case.times,
            &whole_case.outages,
        );
        Evaluation {
            verdict: figures.verdict(contract),
            point_meets_target: figures.point_meets_target(contract),
            availability: figures.availability,
            lower: figures.lower,
            upper: figures.upper,
            coverage: figures.coverage,
            budget: figures.budget,
            spent: figures.spent,
            due,
            ..whole_case
        }
    }

    /// What is due at the point and at both bounds; where the lower bound decides, downtime is the
    /// worst case.
    fn due(
        &self,
        figures: &Figures,
        sets: &Measured,
        times: &Times,
        outages: &[Outage],
    ) -> Vec<(DecideBy, Due)> {
        let Some(credit) = &self.contract.credit else {
            return Vec::new();
        };
        let mut point = lengths(outages, &sets.down);
        if self.contract.unknown == Unknown::Down {
            // Down and the unknown time that touches it are one stretch.
            point = sets
                .down
                .union(&sets.unknown)
                .as_slice()
                .iter()
                .map(|s| s.length())
                .collect();
        }
        let worst = sets.upper.union(&sets.unknown).union(&sets.future);
        let least = lengths(outages, &sets.lower);
        let counted = if self.contract.unknown == Unknown::Exclude {
            times.service - times.future - times.unknown
        } else {
            times.service - times.future
        };
        DecideBy::ALL
            .into_iter()
            .map(|by| {
                let basis = match by {
                    DecideBy::Point => Basis {
                        availability: figures.availability.clone(),
                        outages_ms: point.clone(),
                        service_ms: counted,
                    },
                    DecideBy::Lower => Basis {
                        availability: figures.lower.clone(),
                        outages_ms: worst.as_slice().iter().map(|s| s.length()).collect(),
                        service_ms: times.service,
                    },
                    DecideBy::Upper => Basis {
                        availability: figures.upper.clone(),
                        outages_ms: least.clone(),
                        service_ms: times.service,
                    },
                };
                (by, due(credit, &self.contract.objective, &basis))
            })
            .collect()
    }
}
