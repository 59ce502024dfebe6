//! What the figures rest on beside the probes: which config is in force, the terms of contracts (as
//! commitments that give nothing away), how components combine, and what may turn a failure into
//! unknown time (witnesses and limits). Told whenever something of it is not what was told last, so
//! that a report's reader can hold it against the events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::plan::{Endpoint, Witness};
use crate::history::EventDraft;
use crate::history::definitions::RecordedDefinitions;
use crate::history::event::{ComponentDefinition, LimitsEvent, WitnessTold, WitnessesEvent};

/// As told last, or as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definitions {
    /// SHA-256 of the effective config, in hexadecimal.
    pub config: String,
    /// A commitment to the terms of each report that could be asked for.
    pub terms: BTreeSet<String>,
    /// Which report each commitment is about, in a form that gives nothing away.
    pub identities: BTreeMap<String, String>,
    /// The text of all contracts, encrypted; none without contracts.
    pub sealed: Option<String>,
    /// How each declared component combines, and from when on it is in service.
    pub components: BTreeMap<String, ComponentDefinition>,
    /// The witnesses and their quorum; none where they were never told.
    pub witnesses: Option<WitnessesEvent>,
    /// The limits of probes at once; none where they were never told.
    pub limits: Option<LimitsEvent>,
}

/// A config's witnesses, as the history is told of them.
pub fn witnesses_of(witness: &Witness) -> WitnessesEvent {
    let told = |e: &Arc<Endpoint>| WitnessTold {
        name: e.name.to_string(),
        probe: e.probe.kind().as_str().to_owned(),
        target: e.target(),
        digest: e.digest.to_string(),
        timeout_ms: e.rules.cadence.timeout,
    };
    WitnessesEvent {
        witnesses: witness.endpoints.iter().map(told).collect(),
        quorum: witness.quorum.map(|quorum| quorum as u64),
    }
}

impl From<RecordedDefinitions> for Definitions {
    fn from(told: RecordedDefinitions) -> Self {
        let config = told
            .configs
            .last()
            .map_or_else(String::new, |(_, sum)| sum.clone());
        let sealed = told
            .sealed
            .into_iter()
            .next_back()
            .map(|(_, sealed)| sealed)
            .filter(|sealed| !sealed.is_empty());
        Self {
            config,
            terms: told.terms.into_keys().collect(),
            identities: told.identities,
            sealed,
            components: told.components,
            witnesses: told.witnesses.into_iter().next_back().map(|t| t.what),
            limits: told.limits.into_iter().next_back().map(|t| t.what),
        }
    }
}

/// The definitions as they were recorded last.
#[derive(Default)]
pub(super) struct LastRecorded {
    /// As it was told last.
    pub told: Definitions,
    /// Cadences that found no room; they go with the next batch.
    pub cadences_untold: Vec<EventDraft>,
}
