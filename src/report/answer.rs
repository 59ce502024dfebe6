//! `probity-sla/2`: the answer of a contract as one struct, which reports, API and command line
//! show. [`super::sla`] computes it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::judgement::sla::contract::DecideBy;
use crate::judgement::sla::evaluation::ContractVerdict;
use crate::words::Ms;

pub const SCHEMA: &str = "probity-sla/2";

/// The whole answer for one contract and period. Shares are exact fractions, beside them truncated
/// percentages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractAnswer {
    pub schema: String,
    pub sla: String,
    pub valid_from: Option<String>,
    pub objective_percent: String,
    pub decide_by: DecideBy,
    pub min_coverage_percent: Option<String>,
    pub period: AnswerPeriod,
    pub results: Vec<AnswerResult>,
    /// The components by themselves, where the answer is about several together.
    pub components: Vec<AnswerResult>,
}

impl ContractAnswer {
    pub fn to_json(&self) -> Value {
        serde_json::json!(self)
    }
}

/// RFC 3339 in UTC; the end is the first instant after it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerPeriod {
    pub start: String,
    pub end: String,
}

/// What is found of a component, of a tenant, or of all together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerResult {
    pub component: Option<String>,
    pub tenant: Option<String>,
    pub period_ms: Ms,
    pub maintenance_ms: Ms,
    pub service_ms: Ms,
    pub outside_ms: Ms,
    pub down_ms: Ms,
    pub unknown_ms: Ms,
    pub up_ms: Ms,
    pub future_ms: Ms,
    pub down_lower_ms: Ms,
    pub down_upper_ms: Ms,
    pub left_while_down_ms: Ms,
    /// `None` without measured time.
    pub availability: Option<String>,
    pub availability_percent: Option<String>,
    pub lower_bound: Option<String>,
    pub lower_bound_percent: Option<String>,
    pub upper_bound: Option<String>,
    pub upper_bound_percent: Option<String>,
    pub coverage_percent: Option<String>,
    /// Exact fractions of milliseconds.
    pub budget_ms: String,
    pub budget_remaining_ms: String,
    pub verdict: ContractVerdict,
    pub point_meets_target: bool,
    pub open_because: Vec<String>,
    pub measured_less_than_half: bool,
    /// `None` where the contract has none.
    pub credit: Option<AnswerCredit>,
    pub complete: bool,
    pub outages: Vec<AnswerOutage>,
    pub outage_summary: AnswerOutageSummary,
    /// Where single results are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistics: Option<AnswerStatistics>,
}

/// A stretch of an outage as the contract counts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerOutage {
    pub outage: Option<u64>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub from_earliest: Option<String>,
    pub from_latest: Option<String>,
    pub to_earliest: Option<String>,
    pub to_latest: Option<String>,
    pub down_ms: Ms,
}

/// How many outages, the longest, and the means; `None` without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerOutageSummary {
    pub count: u64,
    pub longest_ms: Ms,
    pub mean_time_to_recover_ms: Option<Ms>,
    pub mean_time_between_failures_ms: Option<Ms>,
}

/// The credit by the figure that decides, and how it is computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerCredit {
    pub percent: String,
    pub percent_decimal: String,
    pub capped: bool,
    /// `None` without a fee.
    pub amount: Option<String>,
    pub currency: Option<String>,
    pub decided_by: DecideBy,
    pub at: CreditBounds,
    pub steps: Vec<CreditStep>,
    pub sentence: String,
}

/// What the credit would be by each of the three figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditBounds {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point: Option<CreditShare>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower: Option<CreditShare>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper: Option<CreditShare>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditShare {
    pub percent: String,
    pub amount: Option<String>,
}

/// One line of the arithmetic: its exact value and a decimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditStep {
    pub what: String,
    pub value: String,
    pub decimal: String,
    pub unit: String,
}

/// What the count of probes says by itself. Intervals are (from, to).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerStatistics {
    pub probes: u64,
    pub failures: u64,
    pub wilson_95_percent: (String, String),
    pub clopper_pearson_95_percent: (String, String),
    pub one_sided_95_lower_percent: String,
}

/// The keys of two objects in one, such as those of an answer and what is said beside it.
pub fn in_one(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(mut all), Value::Object(more)) => {
            all.extend(more);
            Value::Object(all)
        }
        (first, _) => first,
    }
}
