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
    pub steps: Vec<Step>,
}

/// One line of the arithmetic: what, and its exact value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
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

/// What is due for a basis. Nothing is due where there was no service to judge.
pub fn due(credit: &Credit, objective: &Exact, basis: &Basis) -> Due {
    let nothing = Due {
        percent: Exact::zero(),
        capped: false,
        steps: Vec::new(),
    };
    let Some(availability) = basis.availability.as_ref().map(|a| a * whole(100)) else {
        return nothing;
    };
    let mut steps = vec![Step {
        what: "availability",
        value: availability.clone(),
        unit: "%",
    }];
    let mut step = |what, value: &Exact, unit| {
        steps.push(Step {
            what,
            value: value.clone(),
            unit,
        })
    };
    let percent = match &credit.model {
        Model::Linear {
            step: size,
            per_step,
            rounding,
            measured_from,
        } => {
            if availability >= *objective {
                Exact::zero()
            } else {
                let from = match measured_from {
                    MeasuredFrom::Target => objective.clone(),
                    MeasuredFrom::Hundred => whole(100),
                };
                let missing = from - &availability;
                step("missing", &missing, "percentage points");
                let units = counted(&(missing / size), *rounding);
                step("steps counted", &units, "");
                units * per_step
            }
        }
        Model::Tiers(tiers) => {
            // The lowest tier that lies strictly above the availability.
            tiers
                .iter()
                .filter(|(below, _)| availability < *below)
                .min_by(|a, b| a.0.cmp(&b.0))
                .map_or_else(Exact::zero, |(below, percent)| {
                    step("below", below, "%");
                    percent.clone()
                })
        }
        Model::PerDowntime {
            unit,
            per_unit,
            rounding,
            aggregate,
        } => {
            let units = |ms: Ms| {
                counted(
                    &Exact::new(BigInt::from(ms), BigInt::from(*unit)),
                    *rounding,
                )
            };
            let total = match aggregate {
                Aggregate::PerOutage => basis
                    .outages_ms
                    .iter()
                    .map(|ms| units(*ms))
                    .fold(Exact::zero(), |sum, u| sum + u),
                Aggregate::Period => units(basis.outages_ms.iter().sum()),
            };
            step("units counted", &total, "");
            total * per_unit
        }
        Model::Multiple(factor) => {
            let down: Ms = basis.outages_ms.iter().sum();
            let fee_share = share(down, basis.service_ms).unwrap_or_else(Exact::zero) * whole(100);
            step("fee of the downtime", &fee_share, "% of the fee");
            fee_share * factor
        }
    };
    step("credit before the cap", &percent, "% of the fee");
    let capped = percent > credit.cap;
    let percent = if capped { credit.cap.clone() } else { percent };
    step("credit", &percent, "% of the fee");
    Due {
        percent,
        capped,
        steps,
    }
}
