//! What the figures rest on beside the probes: which config is in force, the terms of contracts (as
//! commitments that give nothing away), how components combine, and what may turn a failure into
//! unknown time (witnesses and limits). Recorded whenever something of it is not what was recorded
//! last, so that the reader of a report can compare it with the events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::plan::{Endpoint, Witness};
use crate::history::EventDraft;
use crate::history::definitions::RecordedDefinitions;
use crate::history::event::{ComponentDefinition, LimitsEvent, WitnessDefinition, WitnessesEvent};

/// As recorded last, or as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definitions {
    /// SHA-256 of the effective config, in hexadecimal.
    pub config: String,
    /// A commitment to the terms of each report that could be asked for.
    pub terms: BTreeSet<String>,
    /// Which report each commitment is about, in a form that gives nothing away.
    pub identities: BTreeMap<String, String>,
    /// The text of all contracts, encrypted; none without contracts.
    pub encrypted_terms: Option<String>,
    /// How each declared component combines, and from when on it is in service.
    pub components: BTreeMap<String, ComponentDefinition>,
    /// The witnesses and their quorum; none where they were never recorded.
    pub witnesses: Option<WitnessesEvent>,
    /// The limits of probes at once; none where they were never recorded.
    pub limits: Option<LimitsEvent>,
}

/// A config's witnesses, as the history records them.
pub fn witnesses_of(witness: &Witness) -> WitnessesEvent {
    let recorded = |e: &Arc<Endpoint>| WitnessDefinition {
        name: e.name.to_string(),
        probe: e.probe.kind().as_str().to_owned(),
        target: e.target(),
        digest: e.digest.to_string(),
        timeout_ms: e.rules.cadence.timeout,
    };
    WitnessesEvent {
        witnesses: witness.endpoints.iter().map(recorded).collect(),
        quorum: witness.quorum.map(|quorum| quorum as u64),
    }
}

impl From<RecordedDefinitions> for Definitions {
    fn from(recorded: RecordedDefinitions) -> Self {
        let config = recorded
            .configs
            .last()
            .map_or_else(String::new, |(_, sum)| sum.clone());
        let encrypted_terms = recorded
            .encrypted_terms
            .into_iter()
            .next_back()
            .map(|(_, encrypted)| encrypted)
            .filter(|encrypted| !encrypted.is_empty());
        Self {
            config,
            terms: recorded.terms.into_keys().collect(),
            identities: recorded.identities,
            encrypted_terms,
            components: recorded.components,
            witnesses: recorded.witnesses.into_iter().next_back().map(|t| t.what),
            limits: recorded.limits.into_iter().next_back().map(|t| t.what),
        }
    }
}

/// The definitions as they were recorded last.
#[derive(Default)]
pub(super) struct LastRecorded {
    pub recorded: Definitions,
    /// Cadences that found no room; they go with the next batch.
    pub cadences_unrecorded: Vec<EventDraft>,
}
