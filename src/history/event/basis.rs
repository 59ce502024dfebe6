//! What figures rest on beside the probes: config, terms, components, single results, aggregates.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::present;
use crate::history::seals::{Unit, UnitKind};
use crate::judgement::timeline::Combine;
use crate::words::{Ms, UtcMs};

/// Another config is in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigEvent {
    /// Of the effective config without its contracts.
    pub sha256: String,
}

/// Other witnesses are in force, or another quorum of them: what they hold back is unknown time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessesEvent {
    pub witnesses: Vec<WitnessDefinition>,
    /// `null`: a majority of those that can be measured.
    #[serde(deserialize_with = "Option::deserialize")]
    pub quorum: Option<u64>,
}

/// A witness as it is from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessDefinition {
    pub name: String,
    /// The kind of its probe.
    pub probe: String,
    pub target: String,
    /// Of what is probed and expected.
    pub digest: String,
    pub timeout_ms: Ms,
}

/// The limits of probes that run at once are others: what waits for a place is unknown time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsEvent {
    /// As configured; `null`: by the limit of open files.
    #[serde(deserialize_with = "Option::deserialize")]
    pub max_in_flight: Option<u64>,
    /// As configured; `null`: three quarters of all.
    #[serde(deserialize_with = "Option::deserialize")]
    pub max_in_flight_per_host: Option<u64>,
}

/// Other terms of contracts are in force. A commitment gives nothing away of the terms.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TermsEvent {
    /// Commitments that are in force from now on.
    pub added: Vec<String>,
    /// Commitments that no longer are.
    pub gone: Vec<String>,
    /// Which report each commitment is about, by an identity that gives nothing away.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub of: BTreeMap<String, String>,
    /// The text of all contracts, encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
}

/// A declared component is another one from now on, or is no longer declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentEvent {
    pub component: String,
    /// It is no longer declared; the other fields are left out then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub combine: Option<Combined>,
    /// UTC; `null`: from its first endpoint's start on.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub in_service_from_ms: Option<Option<UtcMs>>,
}

impl ComponentEvent {
    pub fn declared(component: &str, definition: ComponentDefinition) -> Self {
        Self {
            component: component.to_owned(),
            gone: None,
            combine: Some(definition.combine.into()),
            in_service_from_ms: Some(definition.in_service_from),
        }
    }

    pub fn gone(component: &str) -> Self {
        Self {
            component: component.to_owned(),
            gone: Some(true),
            combine: None,
            in_service_from_ms: None,
        }
    }

    /// What the component is from now on.
    pub fn definition(&self) -> ComponentDefinition {
        ComponentDefinition {
            combine: self.combine.map_or(Combine::Series, Combine::from),
            in_service_from: self.in_service_from_ms.flatten(),
        }
    }
}

/// What a component is: how its endpoints make it up, and since when it is in service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComponentDefinition {
    pub combine: Combine,
    pub in_service_from: Option<UtcMs>,
}

impl ComponentDefinition {
    /// One that no config declares.
    pub const UNDECLARED: Self = Self {
        combine: Combine::Series,
        in_service_from: None,
    };
}

/// How a component's state follows from its endpoints'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combined {
    Series,
    Parallel,
    AtLeast(u64),
}

impl From<Combine> for Combined {
    fn from(combine: Combine) -> Self {
        match combine {
            Combine::Series => Combined::Series,
            Combine::Parallel => Combined::Parallel,
            Combine::AtLeast(n) => Combined::AtLeast(n as u64),
        }
    }
}

impl From<Combined> for Combine {
    fn from(combined: Combined) -> Self {
        match combined {
            Combined::Series => Combine::Series,
            Combined::Parallel => Combine::Parallel,
            Combined::AtLeast(n) => Combine::AtLeast(n as usize),
        }
    }
}

/// From here on the results of the endpoint's slots are recorded one by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultsFromEvent {
    pub from_ms: Ms,
}

/// From here on they no longer are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultsUntilEvent {
    pub to_ms: Ms,
}

/// The aggregates of an hour, a day or a month are sealed: they do not change any more.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TalliesEvent {
    /// RFC 3339; one of the three is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hour: Option<String>,
    /// `2026-11-15`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// `2026-11`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month: Option<String>,
    /// How many aggregates there are.
    pub tallies: u64,
    /// Over all of them, in the order of their names.
    pub sha256: String,
}

impl TalliesEvent {
    pub fn new(unit: Unit, tallies: u64, sha256: String) -> Self {
        let mut event = Self {
            tallies,
            sha256,
            ..Self::default()
        };
        let label = match unit.kind {
            UnitKind::Hour => &mut event.hour,
            UnitKind::Day => &mut event.day,
            UnitKind::Month => &mut event.month,
        };
        *label = Some(unit.label());
        event
    }

    /// What is sealed; `None` where it names no time.
    pub fn unit(&self) -> Option<Unit> {
        Unit::of_seal(|key| match key {
            "hour" => self.hour.clone(),
            "day" => self.day.clone(),
            "month" => self.month.clone(),
            _ => None,
        })
    }
}
