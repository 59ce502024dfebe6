//! Records what is not as it was recorded last: config, terms, components, witnesses, limits,
//! cadences.

use super::definitions::Definitions;
use super::{Kept, Recorder};
use crate::history::EventDraft;
use crate::history::event::{ComponentEvent, ConfigEvent, EndpointCadenceEvent, TermsEvent};
use crate::judgement::rules::Cadence;
use crate::words::Ms;

impl Recorder {
    /// What the history holds, at the start.
    pub fn restore_definitions(&mut self, recorded: Definitions) {
        self.definitions.recorded = recorded;
    }

    /// Records what is not as it was recorded last. What finds no room is recorded with the next
    /// reload.
    pub fn record_definitions(&mut self, present: &Definitions, now: Ms) {
        self.record_prober(present, now);
        if self.definitions.recorded.config != present.config
            && self.event(
                now,
                ConfigEvent {
                    sha256: present.config.clone(),
                },
            ) == Kept::Yes
        {
            self.definitions.recorded.config.clone_from(&present.config);
        }
        if self.definitions.recorded.terms != present.terms
            || self.definitions.recorded.encrypted_terms != present.encrypted_terms
        {
            let identities = present.identities.iter();
            let terms = TermsEvent {
                added: present
                    .terms
                    .difference(&self.definitions.recorded.terms)
                    .cloned()
                    .collect(),
                gone: self
                    .definitions
                    .recorded
                    .terms
                    .difference(&present.terms)
                    .cloned()
                    .collect(),
                of: identities
                    .filter(|(c, _)| !self.definitions.recorded.identities.contains_key(*c))
                    .map(|(c, identity)| (c.clone(), identity.clone()))
                    .collect(),
                sealed: present.encrypted_terms.clone(),
            };
            if self.event(now, terms) == Kept::Yes {
                self.definitions.recorded.terms.clone_from(&present.terms);
                self.definitions
                    .recorded
                    .encrypted_terms
                    .clone_from(&present.encrypted_terms);
                self.definitions
                    .recorded
                    .identities
                    .extend(present.identities.clone());
            }
        }
        self.record_components(present, now);
    }

    /// Records components that are gone, new, or combined otherwise.
    fn record_components(&mut self, present: &Definitions, now: Ms) {
        let gone: Vec<String> = self
            .definitions
            .recorded
            .components
            .keys()
            .filter(|id| !present.components.contains_key(*id))
            .cloned()
            .collect();
        for id in gone {
            if self.event(now, ComponentEvent::gone(&id)) == Kept::Yes {
                self.definitions.recorded.components.remove(&id);
            }
        }
        for (id, definition) in &present.components {
            if self.definitions.recorded.components.get(id) == Some(definition) {
                continue;
            }
            if self.event(now, ComponentEvent::declared(id, *definition)) == Kept::Yes {
                self.definitions
                    .recorded
                    .components
                    .insert(id.clone(), *definition);
            }
        }
    }

    /// Records witnesses and limits: what may turn a failure into unknown time.
    fn record_prober(&mut self, present: &Definitions, now: Ms) {
        if let Some(witnesses) = &present.witnesses
            && self.definitions.recorded.witnesses != present.witnesses
            && self.event(now, witnesses.clone()) == Kept::Yes
        {
            self.definitions.recorded.witnesses = Some(witnesses.clone());
        }
        if let Some(limits) = &present.limits
            && self.definitions.recorded.limits != present.limits
            && self.event(now, limits.clone()) == Kept::Yes
        {
            self.definitions.recorded.limits = Some(limits.clone());
        }
    }

    /// Records the cadence of an endpoint; what finds no room is recorded with the next batch.
    pub fn record_cadence(&mut self, index: usize, cadence: &Cadence, now: Ms) {
        let cadence = EndpointCadenceEvent::from(cadence);
        let event = EventDraft::of_endpoint(self.who(index), now, self.utc(now), cadence);
        if self.push_event(event.clone()) == Kept::No {
            self.definitions.cadences_unrecorded.push(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::recorder;
    use super::*;
    use crate::history::Stamp;
    use crate::history::event::{ComponentDefinition, LimitsEvent, WitnessesEvent};

    #[test]
    fn only_what_is_not_as_it_was_recorded_is_recorded() {
        let mut recorder = recorder("1s");
        let recorded = |recorder: &mut Recorder, present: &Definitions| {
            recorder.record_definitions(present, 5);
            let events = recorder.close_batch(Stamp::default()).events;
            events
                .into_iter()
                .filter(|e| ["config", "terms", "component"].contains(&e.event.kind()))
                .map(|e| Value::Object(e.event.fields()))
                .collect::<Vec<_>>()
        };
        let series = ComponentDefinition::UNDECLARED;
        let mut present = Definitions {
            config: "c1".into(),
            terms: ["t1".to_owned(), "t2".to_owned()].into(),
            components: [("shop".to_owned(), series)].into(),
            ..Definitions::default()
        };
        let first = recorded(&mut recorder, &present);
        assert_eq!(
            first,
            [
                json!({"sha256": "c1"}),
                json!({"added": ["t1", "t2"], "gone": []}),
                json!({"component": "shop", "combine": "series", "in_service_from_ms": null})
            ]
        );
        assert!(recorded(&mut recorder, &present).is_empty());
        present.terms = ["t2".to_owned(), "t3".to_owned()].into();
        present.components = [("db".to_owned(), series)].into();
        let second = recorded(&mut recorder, &present);
        assert_eq!(second[0], json!({"added": ["t3"], "gone": ["t1"]}));
        assert_eq!(second[1], json!({"component": "shop", "gone": true}));
        assert_eq!(second.len(), 3);
        // A build that carries the text records it once of terms that are on record already.
        present.encrypted_terms = Some("s1".into());
        present.identities = [
            ("t2".to_owned(), "i".to_owned()),
            ("t3".to_owned(), "j".to_owned()),
        ]
        .into();
        assert_eq!(
            recorded(&mut recorder, &present),
            [json!({"added": [], "gone": [], "of": {"t2": "i", "t3": "j"}, "sealed": "s1"})]
        );
        assert!(recorded(&mut recorder, &present).is_empty());
    }

    #[test]
    fn witnesses_and_limits_are_recorded_when_they_are_not_as_recorded_last() {
        let mut recorder = recorder("1s");
        let recorded = |recorder: &mut Recorder, present: &Definitions| {
            recorder.record_definitions(present, 5);
            let events = recorder.close_batch(Stamp::default()).events;
            let kinds = events.iter().map(|e| e.event.kind());
            kinds
                .filter(|kind| ["witnesses", "limits"].contains(kind))
                .collect::<Vec<_>>()
        };
        let mut present = Definitions {
            witnesses: Some(WitnessesEvent::default()),
            limits: Some(LimitsEvent::default()),
            ..Definitions::default()
        };
        assert_eq!(recorded(&mut recorder, &present), ["witnesses", "limits"]);
        assert!(recorded(&mut recorder, &present).is_empty());
        present.limits = Some(LimitsEvent {
            max_in_flight: Some(1),
            ..LimitsEvent::default()
        });
        assert_eq!(recorded(&mut recorder, &present), ["limits"]);
        present.witnesses = Some(WitnessesEvent {
            quorum: Some(2),
            ..WitnessesEvent::default()
        });
        assert_eq!(recorded(&mut recorder, &present), ["witnesses"]);
        // A start goes on from what the history holds.
        recorder.restore_definitions(present.clone());
        assert!(recorded(&mut recorder, &present).is_empty());
    }
}
