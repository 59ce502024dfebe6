//! What the figures rest on beside the probes: which config is in force, the terms of contracts (as
//! commitments that give nothing away), and how components combine. Told whenever something of it
//! is not what was told last, so that a report's reader can hold it against the events.

use std::collections::{BTreeMap, BTreeSet};

use super::{Kept, Recorder};
use crate::history::EventDraft;
use crate::history::definitions::Told;
use crate::history::event::{
    ComponentEvent, ComponentMakeup, ConfigEvent, EndpointCadenceEvent, TermsEvent,
};
use crate::judgement::rules::Cadence;
use crate::words::Ms;

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
    pub components: BTreeMap<String, ComponentMakeup>,
}

impl From<Told> for Definitions {
    fn from(told: Told) -> Self {
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
        }
    }
}

impl Recorder {
    /// What the history holds, at the start.
    pub fn restore_definitions(&mut self, told: Definitions) {
        self.told = told;
    }

    /// Tells what is not as it was told last. What finds no room is told with the next reload.
    pub fn tell_definitions(&mut self, present: &Definitions, now: Ms) {
        if self.told.config != present.config
            && self.event(
                now,
                ConfigEvent {
                    sha256: present.config.clone(),
                },
            ) == Kept::Yes
        {
            self.told.config.clone_from(&present.config);
        }
        if self.told.terms != present.terms || self.told.sealed != present.sealed {
            let identities = present.identities.iter();
            let terms = TermsEvent {
                added: present
                    .terms
                    .difference(&self.told.terms)
                    .cloned()
                    .collect(),
                gone: self
                    .told
                    .terms
                    .difference(&present.terms)
                    .cloned()
                    .collect(),
                of: identities
                    .filter(|(c, _)| !self.told.identities.contains_key(*c))
                    .map(|(c, identity)| (c.clone(), identity.clone()))
                    .collect(),
                sealed: present.sealed.clone(),
            };
            if self.event(now, terms) == Kept::Yes {
                self.told.terms.clone_from(&present.terms);
                self.told.sealed.clone_from(&present.sealed);
                self.told.identities.extend(present.identities.clone());
            }
        }
        let gone: Vec<String> = self
            .told
            .components
            .keys()
            .filter(|id| !present.components.contains_key(*id))
            .cloned()
            .collect();
        for id in gone {
            if self.event(now, ComponentEvent::gone(&id)) == Kept::Yes {
                self.told.components.remove(&id);
            }
        }
        for (id, definition) in &present.components {
            if self.told.components.get(id) == Some(definition) {
                continue;
            }
            if self.event(now, ComponentEvent::declared(id, *definition)) == Kept::Yes {
                self.told.components.insert(id.clone(), *definition);
            }
        }
    }

    /// Tells the cadence of an endpoint; what finds no room is told with the next batch.
    pub fn tell_cadence(&mut self, index: usize, cadence: &Cadence, now: Ms) {
        let cadence = EndpointCadenceEvent::from(cadence);
        let event = EventDraft::of_endpoint(self.who(index), now, self.utc(now), cadence);
        if self.push_event(event.clone()) == Kept::No {
            self.cadences_untold.push(event);
        }
    }

    /// The same again, for what found no room.
    pub(super) fn tell_cadences_again(&mut self) {
        self.events.append(&mut self.cadences_untold);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::recorder;
    use super::*;
    use crate::history::Stamp;

    #[test]
    fn only_what_is_not_as_it_was_told_is_told() {
        let mut recorder = recorder("1s");
        let told = |recorder: &mut Recorder, present: &Definitions| {
            recorder.tell_definitions(present, 5);
            let events = recorder.close_batch(Stamp::default()).events;
            events
                .into_iter()
                .filter(|e| ["config", "terms", "component"].contains(&e.event.kind()))
                .map(|e| Value::Object(e.event.fields()))
                .collect::<Vec<_>>()
        };
        let series = ComponentMakeup::UNDECLARED;
        let mut present = Definitions {
            config: "c1".into(),
            terms: ["t1".to_owned(), "t2".to_owned()].into(),
            components: [("shop".to_owned(), series)].into(),
            ..Definitions::default()
        };
        let first = told(&mut recorder, &present);
        assert_eq!(
            first,
            [
                json!({"sha256": "c1"}),
                json!({"added": ["t1", "t2"], "gone": []}),
                json!({"component": "shop", "combine": "series", "in_service_from_ms": null})
            ]
        );
        assert!(told(&mut recorder, &present).is_empty());
        present.terms = ["t2".to_owned(), "t3".to_owned()].into();
        present.components = [("db".to_owned(), series)].into();
        let second = told(&mut recorder, &present);
        assert_eq!(second[0], json!({"added": ["t3"], "gone": ["t1"]}));
        assert_eq!(second[1], json!({"component": "shop", "gone": true}));
        assert_eq!(second.len(), 3);
        // A build that carries the text tells it once of terms that are on record already.
        present.sealed = Some("s1".into());
        present.identities = [
            ("t2".to_owned(), "i".to_owned()),
            ("t3".to_owned(), "j".to_owned()),
        ]
        .into();
        assert_eq!(
            told(&mut recorder, &present),
            [json!({"added": [], "gone": [], "of": {"t2": "i", "t3": "j"}, "sealed": "s1"})]
        );
        assert!(told(&mut recorder, &present).is_empty());
    }
}
