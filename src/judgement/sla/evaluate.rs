//! The judgement of a contract over one period: figures, verdict and credit for each component,
//! combination and tenant.

use std::collections::BTreeMap;

use num_traits::{One, Zero};

use super::calendar::instant;
use super::contract::{
    BeforeInService, Contract, Contracts, DecideBy, Measure, Tenant, Together, Treat, Unknown,
};
use super::credit::{Basis, Due, due};
use super::exact::{Exact, share, whole};
use super::measure::{Measured, Windows, component, end_of, parallel, series, uncut};
use super::record::{OPEN, Outage, Recorded, Timeline, whole_outages};
use super::shortest::counted;
use super::slices::{down_and_unknown, mean_availability, slices, worst_of};
use crate::judgement::timeline::{Span, Spans};
use crate::words::{Ms, Name, format_utc};

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Met,
    Missed,
    Undetermined,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Met => "met",
            Verdict::Missed => "missed",
            Verdict::Undetermined => "undetermined",
        }
    }
}

/// Why a contract cannot be judged at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotJudged {
    #[error("the timeline has no component `{0}`, which the contract names")]
    NoComponent(String),
    #[error(
        "the contract counts slices by their probes, and the results of `{0}`'s probes are not \
            all there: {1}"
    )]
    NoProbes(String, String),
    #[error("no verdict: nothing of the contract `{0}` was in service in this period{1}")]
    NotInService(String, String),
    #[error("no version of the contract `{0}` is in force when the period begins")]
    NotInForce(String),
}

/// Sums in milliseconds. `up + down + unknown + future = service`; with `outside`, and with
/// maintenance where it is excluded, the period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    pub period: Ms,
    pub maintenance: Ms,
    pub service: Ms,
    /// Of the period, what is neither service time nor excluded maintenance: outside the service
    /// hours, or not in service.
    pub outside: Ms,
    pub up: Ms,
    pub down: Ms,
    pub unknown: Ms,
    pub future: Ms,
    pub down_lower: Ms,
    pub down_upper: Ms,
    /// Time out of service that began while it was down: counts as unknown for the coverage.
    pub left: Ms,
    /// Of it, what is known otherwise, where several are judged together.
    pub left_inside: Ms,
    /// Of it, what is service time.
    pub left_in_service: Ms,
}

/// Number of outages, the longest, and the means between and of them. Milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spells {
    pub count: u64,
    pub longest: Ms,
    pub mean_to_recover: Option<Ms>,
    pub mean_between_failures: Option<Ms>,
}

/// One line of the answer.
#[derive(Debug, Clone)]
pub struct Judged {
    /// `None` for a combination.
    pub component: Option<Name>,
    pub tenant: Option<Name>,
    pub span: Span,
    pub times: Times,
    pub availability: Option<Exact>,
    pub lower: Option<Exact>,
    pub upper: Option<Exact>,
    /// In milliseconds.
    pub budget: Exact,
    /// What of it is used by the point estimate, in milliseconds.
    pub spent: Exact,
    /// Measured share of the service time; what is not over yet is not measured.
    pub coverage: Option<Exact>,
    pub verdict: Verdict,
    pub point_meets_target: bool,
    pub complete: bool,
    /// What is due at each of the three; empty without a credit in the contract.
    pub due: Vec<(DecideBy, Due)>,
    pub fee: Option<Exact>,
    pub outages: Vec<Outage>,
    pub spells: Spells,
    pub windows: Windows,
    pub unknown: Vec<(Span, Option<String>)>,
    /// (probes, failures), where raw results are known.
    pub probes: Option<(u64, u64)>,
    pub sets: Measured,
}

impl Judged {
    /// Of the service time so far less than half was measured: figures rest on a small part of it.
    pub fn is_little_measured(&self) -> bool {
        let past = self.times.service - self.times.future;
        2 * (past - self.times.unknown) < past
    }

    /// The bounds over the service time so far, while the period is not over: what is still to come
    /// is neither up nor down.
    pub fn so_far(&self, contract: &Contract) -> Option<[Exact; 2]> {
        let t = &self.times;
        let past = t.service - t.future;
        if t.future == 0
            || contract.measure != Measure::Time
            || matches!(contract.together, Together::Weighted(_))
        {
            return None;
        }
        Some([
            share(past.saturating_sub(t.down_upper + t.unknown), past)?,
            share(past.saturating_sub(t.down_lower), past)?,
        ])
    }

    /// Whether there is anything to judge.
    pub fn was_in_service(&self) -> bool {
        self.times.service > 0
    }
}

/// Judges one version of a contract over a period, with its tenants.
pub fn evaluate(
    contract: &Contract,
    tenants: &[Tenant],
    timeline: &Timeline,
    period: Span,
) -> Result<Vec<Judged>, NotJudged> {
    let mut parts = BTreeMap::new();
    let own = tenants.iter().filter(|t| t.sla == contract.name);
    for name in contract
        .components
        .iter()
        .chain(own.clone().flat_map(|t| &t.components))
    {
        let part = timeline
            .component(name.as_str())
            .ok_or_else(|| NotJudged::NoComponent(name.to_string()))?;
        if contract.measure != Measure::Time && part.probes.is_none() {
            let usual =
                "the timeline has none; they are recorded from when such a contract is loaded"
                    .to_owned();
            return Err(NotJudged::NoProbes(
                name.to_string(),
                part.probes_missing.clone().unwrap_or(usual),
            ));
        }
        parts.insert(name.clone(), part);
    }
    let case = Case {
        contract,
        timeline,
        period,
    };
    let pick = |names: &[Name]| -> Vec<&Recorded> {
        names.iter().filter_map(|n| parts.get(n).copied()).collect()
    };
    let mut list = Vec::new();
    match &contract.together {
        Together::Each => {
            for name in &contract.components {
                let judged = case.judge(
                    &pick(std::slice::from_ref(name)),
                    period,
                    Joined::Series,
                    contract.fee.clone(),
                );
                list.push(Judged {
                    component: Some(name.clone()),
                    ..judged
                });
            }
        }
        Together::Series => list.push(case.judge(
            &pick(&contract.components),
            period,
            Joined::Series,
            contract.fee.clone(),
        )),
        Together::Parallel => list.push(case.judge(
            &pick(&contract.components),
            period,
            Joined::Parallel,
            contract.fee.clone(),
        )),
        Together::Weighted(weights) => {
            list.push(case.weighted(&pick(&contract.components), weights))
        }
    }
    for tenant in own {
        let names = if tenant.components.is_empty() {
            &contract.components
        } else {
            &tenant.components
        };
        let day = |d: jiff::civil::Date| {
            instant(d.to_datetime(jiff::civil::Time::midnight()), &contract.zone)
        };
        let from = tenant.from.map_or(period.from, day).max(period.from);
        let to = tenant.to.map_or(period.to, day).min(period.to);
        let judged = case.judge(
            &pick(names),
            Span::new(from.min(period.to), to),
            Joined::Series,
            Some(tenant.fee.clone()),
        );
        list.push(Judged {
            tenant: Some(tenant.name.clone()),
            ..judged
        });
    }
    let was_in_service = |part: &Recorded| {
        part.in_service.is_empty() || part.in_service.iter().any(|s| s.cut(period).is_some())
    };
    if !parts.is_empty()
        && contract.before_in_service == BeforeInService::Exclude
        && !parts.values().any(|p| was_in_service(p))
    {
        let later = parts
            .iter()
            .filter_map(|(name, p)| {
                Some((
                    p.in_service
                        .iter()
                        .map(|s| s.from)
                        .filter(|from| *from >= period.to)
                        .min()?,
                    name,
                ))
            })
            .min();
        let since = later
            .filter(|(from, _)| *from < OPEN)
            .map_or(String::new(), |(from, name)| {
                format!("; `{name}` is in service from {} on", format_utc(from))
            });
        return Err(NotJudged::NotInService(contract.name.to_string(), since));
    }
    Ok(list)
}

/// The version in force at the begin of the period, judged.
pub fn evaluate_named<'c>(
    contracts: &'c Contracts,
    name: &Name,
    timeline: &Timeline,
    period: Span,
) -> Result<(&'c Contract, Vec<Judged>), NotJudged> {
    let zone = contracts
        .list
        .iter()
        .find(|c| c.name == *name)
        .map(|c| c.zone.clone());
    let not_in_force = || NotJudged::NotInForce(name.to_string());
    let day = super::calendar::day_of(period.from, &zone.ok_or_else(not_in_force)?);
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
) -> Result<Vec<Judged>, NotJudged> {
    let mut names = contract.all_components(tenants);
    names.retain(|name| contract.together != Together::Each || !contract.components.contains(name));
    evaluate(&contract.by_component(names), &[], timeline, period)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Joined {
    Series,
    Parallel,
}

struct Case<'c> {
    contract: &'c Contract,
    timeline: &'c Timeline,
    period: Span,
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

    fn judge(&self, parts: &[&Recorded], span: Span, joined: Joined, fee: Option<Exact>) -> Judged {
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
        let contract = self.contract;
        let sets = if contract.measure == Measure::Time {
            counted(contract, sets)
        } else {
            sets
        };
        windows.admitted = sets.maintenance.clone();
        let times = times(span, &sets, contract.maintenance.treat);
        let figures = Figures::of(contract, &times);
        let figures =
            self.mean_figures(parts, &sets)
                .map_or(figures.clone(), |[point, lower, upper]| {
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
                });
        let outages = self.outages(parts, &sets, joined);
        let complete = self
            .timeline
            .to
            .is_none_or(|_| end_of(self.timeline) >= span.to);
        let verdict = figures.verdict(contract);
        let due = self.due(&figures, &sets, &times, &outages);
        let point_meets_target = figures
            .availability
            .as_ref()
            .is_some_and(|a| a * whole(100) >= contract.objective);
        let unknown = parts
            .iter()
            .flat_map(|p| &p.unknown)
            .filter_map(|(s, why)| s.cut(span).map(|s| (s, why.clone())))
            .collect();
        Judged {
            component: None,
            tenant: None,
            span,
            times,
            spells: spells(&outages, &sets, &times),
            availability: figures.availability,
            lower: figures.lower,
            upper: figures.upper,
            budget: figures.budget,
            spent: figures.spent,
            coverage: figures.coverage,
            verdict,
            point_meets_target,
            complete,
            due,
            fee,
            outages,
            windows,
            unknown,
            probes: probe_counts(parts, &sets.service),
            sets,
        }
    }

    /// The outages of which something counts as down, each once; of several components together,
    /// until all that decide are known to be up.
    fn outages(&self, parts: &[&Recorded], sets: &Measured, joined: Joined) -> Vec<Outage> {
        let by_time = self.contract.measure == Measure::Time;
        let touches = |o: &Outage| {
            sets.down.cut(Span::new(o.from, o.to)).length() > 0
                || o.from == o.to && self.counts_at(sets, o.from)
        };
        if let ([part], true) = (parts, by_time) {
            return whole_outages(&part.down)
                .into_iter()
                .filter(touches)
                .collect();
        }
        let raw: Vec<Measured> = parts.iter().map(|p| uncut(p)).collect();
        let raw = if joined == Joined::Series {
            series(&raw)
        } else {
            parallel(&raw)
        };
        let known = if by_time { &raw } else { sets };
        let up = known
            .service
            .minus(&known.down)
            .minus(&known.unknown)
            .minus(&known.future);
        let mut pieces: Vec<Outage> = sets
            .down
            .as_slice()
            .iter()
            .map(|s| stretch(s, sets))
            .collect();
        if by_time && joined == Joined::Series {
            // Those that have just begun.
            let apart = |o: &Outage| {
                o.from == o.to
                    && touches(o)
                    && !sets
                        .down
                        .as_slice()
                        .iter()
                        .any(|s| s.from <= o.from && o.from <= s.to)
            };
            pieces.extend(
                parts
                    .iter()
                    .flat_map(|p| whole_outages(&p.down))
                    .filter(apart),
            );
            pieces.sort_by_key(|o| (o.from, o.to));
        } else if by_time {
            pieces.extend(self.just_begun(parts, sets));
        }
        let mut number = 0;
        for k in 0..pieces.len() {
            let before = k.checked_sub(1).map(|k| pieces[k].to);
            number += u64::from(
                before.is_none_or(|to| up.cut(Span::new(to, pieces[k].from)).length() > 0),
            );
            pieces[k].outage = Some(number);
        }
        // A number tells outages of one component apart; those of several together have none.
        whole_outages(&pieces)
            .into_iter()
            .map(|o| Outage { outage: None, ..o })
            .collect()
    }

    /// The outage that begins as the record ends, where all that take part are down from then on.
    fn just_begun(&self, parts: &[&Recorded], sets: &Measured) -> Option<Outage> {
        let at = self.timeline.to?;
        let takes_part = |p: &&&Recorded| {
            p.in_service.is_empty() || p.in_service.iter().any(|s| s.from <= at && at < s.to)
        };
        let is_down = |o: &Outage| o.is_open && o.to == at && o.from < at;
        // What unknown time interrupts has an end of no length as well, and began before.
        let begun = |p: &Recorded| {
            whole_outages(&p.down)
                .into_iter()
                .rfind(|o| o.is_open && o.from == at && o.to == at)
        };
        let mut newest: Option<Outage> = None;
        for part in parts.iter().filter(takes_part) {
            match begun(part) {
                Some(outage) => newest = Some(outage),
                None if part.down.iter().any(is_down) => {}
                None => return None,
            }
        }
        newest.filter(|_| {
            self.counts_at(sets, at) && !sets.down.as_slice().iter().any(|s| s.to == at)
        })
    }

    /// Whether an outage that begins at an instant, and has no length yet, is one of the
    /// contract's.
    fn counts_at(&self, sets: &Measured, at: i64) -> bool {
        let spared = if self.contract.maintenance.treat == Treat::AsUp {
            &sets.maintenance
        } else {
            &Spans::default()
        };
        self.contract.min_outage.length == 0
            && sets
                .service
                .minus(spared)
                .cut(Span::new(at, at + 1))
                .length()
                > 0
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
    fn weighted(&self, parts: &[&Recorded], weights: &[Exact]) -> Judged {
        let contract = self.contract;
        let whole_case = self.judge(parts, self.period, Joined::Series, contract.fee.clone());
        let each: Vec<Judged> = parts
            .iter()
            .map(|p| self.judge(&[*p], self.period, Joined::Series, None))
            .collect();
        let sum = |pick: fn(&Judged) -> &Option<Exact>| {
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
        let point_meets_target = figures
            .availability
            .as_ref()
            .is_some_and(|a| a * whole(100) >= contract.objective);
        Judged {
            verdict: figures.verdict(contract),
            availability: figures.availability,
            lower: figures.lower,
            upper: figures.upper,
            coverage: figures.coverage,
            budget: figures.budget,
            spent: figures.spent,
            point_meets_target,
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

fn times(span: Span, sets: &Measured, treat: Treat) -> Times {
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
struct Figures {
    availability: Option<Exact>,
    lower: Option<Exact>,
    upper: Option<Exact>,
    budget: Exact,
    spent: Exact,
    coverage: Option<Exact>,
}

impl Figures {
    fn of(contract: &Contract, t: &Times) -> Self {
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

    fn verdict(&self, contract: &Contract) -> Verdict {
        let reaches = |a: &Option<Exact>| a.as_ref().map(|a| a * whole(100) >= contract.objective);
        let is_covered = contract.min_coverage.as_ref().is_none_or(|least| {
            self.coverage
                .as_ref()
                .is_some_and(|c| c * whole(100) >= *least)
        });
        match (reaches(&self.lower), reaches(&self.upper)) {
            _ if !is_covered => Verdict::Undetermined,
            (Some(true), _) => Verdict::Met,
            (_, Some(false)) => Verdict::Missed,
            _ => Verdict::Undetermined,
        }
    }
}

/// Of each outage what of it lies in a set.
fn lengths(outages: &[Outage], within: &Spans) -> Vec<Ms> {
    outages
        .iter()
        .map(|o| within.cut(Span::new(o.from, o.to)).length())
        .collect()
}

/// A merged stretch that is down, with its widest and its surest ends.
fn stretch(s: &Span, sets: &Measured) -> Outage {
    let wide = sets
        .upper
        .as_slice()
        .iter()
        .find(|u| u.from <= s.from && s.to <= u.to)
        .copied()
        .unwrap_or(*s);
    let sure = sets.lower.cut(*s);
    let (first, last) = (sure.as_slice().first(), sure.as_slice().last());
    Outage {
        from: s.from,
        to: s.to,
        from_earliest: wide.from,
        from_latest: first.map_or(s.to, |f| f.from),
        to_earliest: last.map_or(s.from, |l| l.to),
        to_latest: wide.to,
        ..Outage::default()
    }
}

fn spells(outages: &[Outage], sets: &Measured, times: &Times) -> Spells {
    let count = outages.len() as u64;
    Spells {
        count,
        longest: lengths(outages, &sets.down).into_iter().max().unwrap_or(0),
        mean_to_recover: times.down.checked_div(count),
        mean_between_failures: times.up.checked_div(count),
    }
}

fn probe_counts(parts: &[&Recorded], service: &Spans) -> Option<(u64, u64)> {
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
