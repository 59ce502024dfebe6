//! Credits: from an availability or from downtime to a percentage of the fee, exactly.

use num_bigint::BigInt;
use num_traits::Zero;

use super::contract::{Aggregate, Credit, MeasuredFrom, Model, Rounding};
use super::exact::{Exact, share, whole};
use crate::words::Ms;

/// What a credit is computed from, at the point or at a bound.
#[derive(Debug, Clone, Default)]
pub struct Basis {
    /// As a share of one; nothing when there was no service time to judge.
    pub availability: Option<Exact>,
    /// Downtime of each outage inside the service time.
    pub outages_ms: Vec<Ms>,
    /// The denominator that the downtime is a share of.
    pub service_ms: Ms,
}

/// The credit as a percentage of the fee, with the steps that led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub percent: Exact,
    pub capped: bool,
    pub steps: Vec<ArithmeticStep>,
}

/// One line of the arithmetic: what, and its exact value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArithmeticStep {
    pub what: &'static str,
    pub value: Exact,
    pub unit: &'static str,
}

fn counted(units: &Exact, rounding: Rounding) -> Exact {
    match rounding {
        Rounding::ProRata => units.clone(),
        Rounding::Started => units.ceil(),
        Rounding::Full => units.floor(),
    }
}

/// The steps of one computation, as they are taken.
struct Steps(Vec<ArithmeticStep>);

impl Steps {
    fn note(&mut self, what: &'static str, value: &Exact, unit: &'static str) {
        self.0.push(ArithmeticStep {
            what,
            value: value.clone(),
            unit,
        });
    }
}

/// What is due for a basis. Nothing is due where there was no service to judge.
pub fn due(credit: &Credit, objective: &Exact, basis: &Basis) -> Due {
    let Some(availability) = basis.availability.as_ref().map(|a| a * whole(100)) else {
        return Due {
            percent: Exact::zero(),
            capped: false,
            steps: Vec::new(),
        };
    };
    let mut steps = Steps(Vec::new());
    steps.note("availability", &availability, "%");
    let percent = before_the_cap(&credit.model, objective, &availability, basis, &mut steps);
    steps.note("credit before the cap", &percent, "% of the fee");
    let capped = percent > credit.cap;
    let percent = if capped { credit.cap.clone() } else { percent };
    steps.note("credit", &percent, "% of the fee");
    Due {
        percent,
        capped,
        steps: steps.0,
    }
}

/// `availability` and `objective` are percentages.
fn before_the_cap(
    model: &Model,
    objective: &Exact,
    availability: &Exact,
    basis: &Basis,
    steps: &mut Steps,
) -> Exact {
    match model {
        Model::Linear {
            step: size,
            per_step,
            rounding,
            measured_from,
        } => {
            if availability >= objective {
                return Exact::zero();
            }
            let from = match measured_from {
                MeasuredFrom::Target => objective.clone(),
                MeasuredFrom::Hundred => whole(100),
            };
            let missing = from - availability;
            steps.note("missing", &missing, "percentage points");
            let units = counted(&(missing / size), *rounding);
            steps.note("steps counted", &units, "");
            units * per_step
        }
        Model::Tiers(tiers) => {
            // The lowest tier that lies strictly above the availability.
            tiers
                .iter()
                .filter(|(below, _)| availability < below)
                .min_by(|a, b| a.0.cmp(&b.0))
                .map_or_else(Exact::zero, |(below, percent)| {
                    steps.note("below", below, "%");
                    percent.clone()
                })
        }
        Model::PerDowntime {
            unit,
            per_unit,
            rounding,
            aggregate,
        } => {
            let total = units_of_downtime(&basis.outages_ms, *unit, *rounding, *aggregate);
            steps.note("units counted", &total, "");
            total * per_unit
        }
        Model::Multiple(factor) => {
            let down: Ms = basis.outages_ms.iter().sum();
            let fee_share = share(down, basis.service_ms).unwrap_or_else(Exact::zero) * whole(100);
            steps.note("fee of the downtime", &fee_share, "% of the fee");
            fee_share * factor
        }
    }
}

fn units_of_downtime(
    outages_ms: &[Ms],
    unit: Ms,
    rounding: Rounding,
    aggregate: Aggregate,
) -> Exact {
    let units = |ms: Ms| counted(&Exact::new(BigInt::from(ms), BigInt::from(unit)), rounding);
    match aggregate {
        Aggregate::PerOutage => outages_ms
            .iter()
            .map(|ms| units(*ms))
            .fold(Exact::zero(), |sum, u| sum + u),
        Aggregate::Period => units(outages_ms.iter().sum()),
    }
}
