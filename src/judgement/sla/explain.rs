//! What an objective means in time, and what an interval can and cannot show of it.

use num_bigint::BigInt;
use num_traits::{One, ToPrimitive};

use super::contract::{Contract, Credit, MeasuredFrom, Model, Rounding};
use super::credit::{Basis, Due, due};
use super::exact::{Exact, share, whole};
use super::statistics::{most_failures, probes_needed};
use crate::judgement::rules::Rules;
use crate::judgement::timeline::Span;
use crate::words::Ms;

/// Thirty days, for what is said of a month in general.
pub const MONTH_MS: Ms = 30 * 86_400_000;

/// The downtime that an objective (percent) allows in a span, in milliseconds.
pub fn budget(objective: &Exact, span_ms: Ms) -> Exact {
    (Exact::one() - objective / whole(100)) * whole(span_ms)
}

/// What probes at an interval say of an objective.
#[derive(Debug, Clone)]
pub struct Reach {
    pub detection_bound_ms: Ms,
    /// Outages of this length and longer are surely seen; shorter ones can pass between two probes.
    pub shortest_surely_seen_ms: Ms,
    pub probes_needed: u64,
    pub probes_in_month: u64,
    /// In 30 days; nothing when even no failure proves it.
    pub max_failures: Option<u64>,
    /// The budget of 30 days is at least the shortest outage that is surely seen.
    pub month_can_prove: bool,
    pub days_needed: Exact,
}

pub fn reach(objective: &Exact, rules: &Rules) -> Reach {
    let allowed = (Exact::one() - objective / whole(100))
        .to_f64()
        .unwrap_or(0.0);
    let needed = probes_needed(allowed);
    let in_month = MONTH_MS / rules.cadence.interval.max(1);
    Reach {
        detection_bound_ms: rules.detection_bound(),
        shortest_surely_seen_ms: rules.not_seen_below(),
        probes_needed: needed,
        probes_in_month: in_month,
        max_failures: most_failures(allowed, in_month),
        month_can_prove: in_month >= needed,
        days_needed: Exact::new(
            BigInt::from(needed) * BigInt::from(rules.cadence.interval),
            BigInt::from(86_400_000),
        ),
    }
}

/// One downtime read in the three ways that "for each missing percent" can be read.
#[derive(Debug, Clone)]
pub struct CreditReading {
    pub down_ms: Ms,
    pub readings: Vec<(Rounding, Due)>,
}

/// A minute, an hour and a day of downtime in a period under a linear credit.
pub fn readings(contract: &Contract, period: Span) -> Vec<CreditReading> {
    let (step, per_step, measured_from, cap) = match &contract.credit {
        Some(Credit {
            model:
                Model::Linear {
                    step,
                    per_step,
                    measured_from,
                    ..
                },
            cap,
        }) => (step.clone(), per_step.clone(), *measured_from, cap.clone()),
        _ => return Vec::new(),
    };
    three_readings(
        &contract.objective,
        &step,
        &per_step,
        measured_from,
        &cap,
        period,
    )
}

/// The same for the terms alone.
pub fn three_readings(
    objective: &Exact,
    step: &Exact,
    per_step: &Exact,
    measured_from: MeasuredFrom,
    cap: &Exact,
    period: Span,
) -> Vec<CreditReading> {
    [60_000, 3_600_000, 86_400_000]
        .into_iter()
        .map(|down_ms: Ms| {
            let basis = Basis {
                availability: share(period.length().saturating_sub(down_ms), period.length()),
                outages_ms: vec![down_ms],
                service_ms: period.length(),
            };
            let readings = Rounding::WORDS.iter().map(|(_, rounding)| {
                let model = Model::Linear {
                    step: step.clone(),
                    per_step: per_step.clone(),
                    rounding: *rounding,
                    measured_from,
                };
                (
                    *rounding,
                    due(
                        &Credit {
                            model,
                            cap: cap.clone(),
                        },
                        objective,
                        &basis,
                    ),
                )
            });
            CreditReading {
                down_ms,
                readings: readings.collect(),
            }
        })
        .collect()
}
