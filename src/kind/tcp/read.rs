//! Reads the table of a tcp probe.

use super::spec::*;
use crate::config::build::probe::{expect_within, pattern};
use crate::config::document::secret::mask::Mask;
use crate::config::document::secret::{MaybeSecret, maybe_secret};
use crate::config::document::source::ConfigInputs;
use crate::config::document::tree::{Item, Layers};
use crate::config::plan::probe::Sent;

pub fn spec(layers: &Layers, inputs: &dyn ConfigInputs) -> Tcp {
    let mut dialogue = Vec::new();
    for step in layers.item("dialogue").iter().flat_map(Item::list) {
        let Some(section) = step.section() else {
            continue;
        };
        let send = section
            .item("send")
            .and_then(|i| maybe_secret(&i, inputs))
            .map(Sent);
        let expect = section.item("expect").and_then(|i| pattern(&i));
        section.end();
        match (send, expect) {
            (Some(text), None) => dialogue.push(DialogueStep::Send(text)),
            (None, Some(pattern)) => dialogue.push(DialogueStep::Expect(pattern)),
            (Some(_), Some(_)) => step.fault(
                "a step of a dialogue does one thing",
                "Write { expect = \"...\" } and { send = \"...\" } one after the other.",
            ),
            (None, None) if section.table.is_empty() => step.fault(
                "this step of the dialogue does nothing",
                "Write { expect = \"...\" } or { send = \"...\" }.",
            ),
            (None, None) => {}
        }
    }
    let secrets = dialogue.iter().filter_map(|step| match step {
        DialogueStep::Send(Sent(MaybeSecret::Secret(secret))) => Some(secret.clone()),
        DialogueStep::Send(Sent(MaybeSecret::Plain(_))) | DialogueStep::Expect(_) => None,
    });
    Tcp {
        mask: Mask::of(secrets.collect()),
        dialogue,
        within: expect_within(layers),
    }
}
