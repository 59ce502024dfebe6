//! The report of a contract as one struct: `probity-report/3`.
//!
//! [`super::build`] fills it, the formats show it, [`super::check`] recomputes it. Keys that are
//! not known are refused: the signature covers them, and nothing recomputes them. Keys that reports
//! of earlier builds do not have are optional; what they call otherwise is in `super::earlier`.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::answer::{AnswerPeriod, AnswerResult, ContractAnswer};
use super::earlier;
use crate::account::shown::{ShownSums, ShownTimeline};
use crate::history::checkpoint::Signer;
use crate::history::event::Combined;
use crate::judgement::zones;
use crate::words::Ms;

pub const SCHEMA: &str = "probity-report/3";

/// Instants are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractReport {
    /// [`SCHEMA`], or that of an earlier report.
    pub schema: String,
    pub issued_at: String,
    /// The signature of the report that this one replaces.
    pub replaces: Option<String>,
    pub software: String,
    /// Reports of earlier builds do not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone_data: Option<ReportedZones>,
    /// The places that were measured from: one.
    pub vantages: Vec<String>,
    pub provisional: bool,
    pub complete: bool,
    pub settled_until: String,
    pub tenant: Option<String>,
    pub time_zone: Option<String>,
    pub terms: String,
    pub terms_salt: String,
    pub terms_salt_earlier: Option<String>,
    pub terms_recorded_at: Option<String>,
    pub terms_before: Option<TermsBefore>,
    pub later_terms: Option<LaterTerms>,
    pub configs: Vec<ReportedConfig>,
    pub evaluation: ContractAnswer,
    /// `None` without an objective for latency.
    pub latency: Option<Vec<ReportedLatency>>,
    pub refused: Vec<RefusedWindow>,
    pub admitted: Vec<AdmittedSpan>,
    pub endpoints: Vec<ReportedEndpoint>,
    pub slots: Vec<ReportedSlots>,
    pub extents: Vec<ReportedExtent>,
    pub outages: Vec<ListedOutage>,
    pub excluded: Vec<ExcludedSpan>,
    pub changed: Vec<ReportedChange>,
    pub timeline: ShownTimeline,
    pub events: ReportedEvents,
    /// The public key and the signature: of one that is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

impl ContractReport {
    /// A report as somebody sent it. Whether it is signed is another question.
    pub fn read(value: &Value) -> Result<Self, String> {
        let is_earlier = value.get("schema").is_some_and(|s| s == earlier::SCHEMA);
        let read = if is_earlier {
            Self::deserialize(earlier::with_present_names(value.clone())?)
        } else {
            Self::deserialize(value)
        };
        read.map_err(|e| e.to_string())
    }

    pub fn to_json(&self) -> Value {
        self.in_its_names(serde_json::json!(self))
    }

    /// Some keys of a report in the names of this one's schema.
    pub(crate) fn in_its_names(&self, keys: Value) -> Value {
        if self.schema == earlier::SCHEMA {
            earlier::with_earlier_names(keys)
        } else {
            keys
        }
    }

    /// With the key and the signature of who issues it.
    pub fn signed(mut self, signer: &Signer) -> Self {
        (self.key, self.signature) = (None, None);
        let object = match self.to_json() {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        let signed = signer.signed(object);
        let text = |key: &str| signed.get(key).and_then(Value::as_str).map(str::to_owned);
        (self.key, self.signature) = (text("key"), text("signature"));
        self
    }
}

/// The copy of the zone data that a report was computed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportedZones {
    pub source: String,
    pub release: String,
}

impl ReportedZones {
    pub fn in_use() -> Self {
        let zones = zones::in_use();
        Self {
            source: zones.source.as_str().to_owned(),
            release: zones.release.clone(),
        }
    }
}

/// The terms before tenants were added to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TermsBefore {
    pub terms: String,
    pub terms_salt: String,
}

/// Terms that came into force later, and what they make of the period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaterTerms {
    pub terms: String,
    pub terms_salt: String,
    pub terms_recorded_at: Option<String>,
    pub until: String,
    pub evaluation: LaterEvaluation,
}

/// What later terms make of a period: an answer, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum LaterEvaluation {
    Answer(Box<ContractAnswer>),
    Unjudged(Unjudged),
}

/// Why terms give no answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unjudged {
    pub period: AnswerPeriod,
    pub why: String,
    /// None.
    pub results: Vec<AnswerResult>,
}

impl LaterEvaluation {
    pub fn unjudged(period: AnswerPeriod, why: String) -> Self {
        Self::Unjudged(Unjudged {
            period,
            why,
            results: Vec::new(),
        })
    }

    pub fn period(&self) -> &AnswerPeriod {
        match self {
            Self::Answer(answer) => &answer.period,
            Self::Unjudged(unjudged) => &unjudged.period,
        }
    }

    pub fn results(&self) -> &[AnswerResult] {
        match self {
            Self::Answer(answer) => &answer.results,
            Self::Unjudged(unjudged) => &unjudged.results,
        }
    }
}

impl Serialize for LaterEvaluation {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Answer(answer) => answer.serialize(out),
            Self::Unjudged(unjudged) => unjudged.serialize(out),
        }
    }
}

/// The key `why` tells the two apart.
impl<'de> Deserialize<'de> for LaterEvaluation {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        let read = if value.get("why").is_some() {
            Unjudged::deserialize(value).map(Self::Unjudged)
        } else {
            ContractAnswer::deserialize(value).map(|answer| Self::Answer(Box::new(answer)))
        };
        read.map_err(serde::de::Error::custom)
    }
}

/// A config that was in force in the period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportedConfig {
    pub from: String,
    pub sha256: String,
}

/// How many probes of a component answered within the bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportedLatency {
    pub component: String,
    pub within_ms: u64,
    pub objective_percent: String,
    pub probes: u64,
    pub within: u64,
    /// `None` without a probe.
    pub share_percent: Option<String>,
    pub met: Option<bool>,
    pub hours: u64,
    pub resolution_percent: u64,
}

/// Maintenance that the contract refuses, or the part of it that it refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusedWindow {
    pub id: Option<String>,
    pub from: String,
    pub to: String,
    pub refused_ms: Ms,
    pub why: String,
}

/// Maintenance of a component that the contract admits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmittedSpan {
    pub component: String,
    pub from: String,
    pub to: String,
}

/// How an endpoint was probed: at the end of the period, and in each part of it. Without a cadence
/// where neither the events nor the config tell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportedEndpoint {
    pub name: String,
    pub component: String,
    /// As the config has it: no event tells it.
    pub kind: Option<String>,
    pub cadences: Vec<ReportedCadence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<Ms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<Ms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_interval_ms: Option<Ms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detection_bound_ms: Option<Ms>,
}

/// A cadence that was in force in the period, from when on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportedCadence {
    pub from: String,
    pub interval_ms: Ms,
    pub timeout_ms: Ms,
    pub retry_interval_ms: Ms,
    pub down_after: u64,
    pub up_after: u64,
    pub detection_bound_ms: Ms,
}

/// The slots of an endpoint in the sealed hours that touch the period, by result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportedSlots {
    pub endpoint: String,
    pub hours: u64,
    /// By the schedule; `None` where the cadence of then is not told.
    pub expected: Option<u64>,
    pub counted: u64,
    pub not_run: Option<u64>,
    pub probed: u64,
    pub success: u64,
    pub failure: u64,
    pub unconfirmed: u64,
    pub unmeasured: u64,
    pub missed: u64,
}

/// How far an endpoint's record reaches. `_ms` without a length are instants of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportedExtent {
    pub endpoint: String,
    pub component: String,
    /// `"series"`, `"parallel"` or `{"at_least": 2}`.
    pub combine: Combined,
    pub in_service_from: Option<i64>,
    pub first_start_ms: Option<Ms>,
    pub watermark_ms: Ms,
    pub open_unknown: Option<OpenUnknown>,
    pub open_run: Option<(Ms, Ms)>,
    pub gone: bool,
    pub longest_blind_ms: Ms,
    pub not_seen_below_ms: Ms,
}

/// Unknown time that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenUnknown {
    pub from_ms: Ms,
    pub reason: String,
}

/// Whether a correction takes all of an outage out of the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExcludedShare {
    Part,
    Whole,
}

/// An outage of an endpoint. An open one has no end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedOutage {
    pub id: u64,
    pub endpoint: String,
    pub component: String,
    pub from: String,
    pub to: Option<String>,
    pub from_earliest: String,
    pub from_latest: String,
    pub to_earliest: Option<String>,
    pub to_latest: Option<String>,
    pub cause: String,
    pub confirmed_at: String,
    pub seq: u64,
    pub excluded: Option<ExcludedShare>,
    pub excluded_by: Vec<u64>,
    /// The ends that are surely inside the outage; only reports have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_failure_ended: Option<String>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_failure_started: Option<Option<String>>,
}

/// A key that is there, whatever its value.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// Time that a correction takes out of the figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExcludedSpan {
    pub endpoint: String,
    pub from: String,
    pub to: String,
    /// The event of the correction.
    pub event: u64,
    pub by: String,
    pub reason: String,
}

/// What it is that changed; in the order of their words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeOf {
    Added,
    BackInService,
    Cadence,
    ClockSet,
    Combine,
    Definition,
    InServiceFrom,
    Joined,
    Left,
    /// Of probes at once.
    Limits,
    OutOfService,
    /// They came on record after the period began.
    Terms,
    TermsChanged,
    /// Others, or another quorum of them.
    Witnesses,
}

impl ChangeOf {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::BackInService => "back_in_service",
            Self::Cadence => "cadence",
            Self::ClockSet => "clock_set",
            Self::Combine => "combine",
            Self::Definition => "definition",
            Self::InServiceFrom => "in_service_from",
            Self::Joined => "joined",
            Self::Left => "left",
            Self::Limits => "limits",
            Self::OutOfService => "out_of_service",
            Self::Terms => "terms",
            Self::TermsChanged => "terms_changed",
            Self::Witnesses => "witnesses",
        }
    }

    /// An endpoint leaves a component or comes to it.
    pub fn is_move(self) -> bool {
        matches!(self, Self::Joined | Self::Left)
    }
}

/// What changed in the period: a definition, a cadence, members, service, terms, the clock,
/// witnesses, or limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportedChange {
    pub at: String,
    pub event: Option<u64>,
    pub component: Option<String>,
    pub endpoint: Option<String>,
    pub what: ChangeOf,
    /// A text, or how a component is made; null where it is no step.
    pub before: Value,
    pub after: Value,
    pub figure_before: Option<ShownSums>,
    pub figure_after: Option<ShownSums>,
}

/// The events that a report rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportedEvents {
    pub first: u64,
    pub last: u64,
    pub head: String,
    /// Signed by itself: what it holds is the history's.
    pub checkpoint: Option<Value>,
}
