//! The evaluation of a contract over a period: one line for each component, combination
//! and tenant, or why there is none.

use super::contract::{Contract, DecideBy, Measure, Together};
use super::credit::Due;
use super::exact::{Exact, share};
use super::measure::{Measured, Windows};
use super::record::Outage;
use crate::judgement::timeline::Span;
use crate::words::{Ms, Name};

/// Whether a contract was kept in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContractVerdict {
    Met,
    Missed,
    Undetermined,
}

impl ContractVerdict {
    pub fn as_str(self) -> &'static str {
        match self {
            ContractVerdict::Met => "met",
            ContractVerdict::Missed => "missed",
            ContractVerdict::Undetermined => "undetermined",
        }
    }
}

/// Why a contract cannot be evaluated at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotEvaluated {
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
pub struct OutageSummary {
    pub count: u64,
    pub longest: Ms,
    pub mean_to_recover: Option<Ms>,
    pub mean_between_failures: Option<Ms>,
}

/// The result of one component, combination or tenant.
#[derive(Debug, Clone)]
pub struct Evaluation {
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
    pub verdict: ContractVerdict,
    pub point_meets_target: bool,
    pub complete: bool,
    /// What is due at each of the three; empty without a credit in the contract.
    pub due: Vec<(DecideBy, Due)>,
    pub fee: Option<Exact>,
    pub outages: Vec<Outage>,
    pub outage_summary: OutageSummary,
    pub windows: Windows,
    pub unknown: Vec<(Span, Option<String>)>,
    /// (probes, failures), where raw results are known.
    pub probes: Option<(u64, u64)>,
    pub sets: Measured,
}

impl Evaluation {
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
