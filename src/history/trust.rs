//! Whose signatures count when a history is verified: the keys that are trusted from outside, and
//! those that they have vouched for.
//!
//! Whoever owns the file can write any event, also one that tells of another key, of a restore or
//! of pruned events. So what an event says counts against a checkpoint from outside only where a
//! checkpoint by a trusted key covers it.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::checkpoint::{Signer, verify_signature};
use super::event::CheckpointKeyChangedEvent;

/// A key that an event introduced.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Introduced {
    pub seq: u64,
    pub key: String,
    /// The key that signed that this one follows it; none where it was not at hand any more.
    #[serde(default)]
    pub by: Option<String>,
}

/// What the sentence of a key says that another one follows it.
#[derive(Deserialize)]
struct VouchingSentence {
    /// The new key.
    follows: String,
    /// The key that signed.
    key: String,
}

/// The signed sentence of a key that another one follows it.
pub fn vouch(before: &Signer, chain: &str, key: &str) -> Value {
    let sentence: Map<String, Value> = [
        ("chain".to_owned(), json!(chain)),
        ("follows".to_owned(), json!(key)),
    ]
    .into_iter()
    .collect();
    before.signed(sentence)
}

impl Introduced {
    pub fn by_event(seq: u64, event: &CheckpointKeyChangedEvent) -> Self {
        let key = event.key.clone();
        let signed = event.vouch.as_ref().filter(|v| verify_signature(v).is_ok());
        let sentence = signed.and_then(|v| VouchingSentence::deserialize(v).ok());
        let sentence = sentence.filter(|sentence| sentence.follows == key);
        Self {
            seq,
            by: sentence.map(|sentence| sentence.key),
            key,
        }
    }
}

/// The given keys, and all that follow from them by their own signatures.
pub fn trusted<'k>(
    given: impl IntoIterator<Item = &'k str>,
    introduced: &[Introduced],
) -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = given.into_iter().map(str::to_owned).collect();
    for one in introduced {
        if one.by.as_ref().is_some_and(|by| keys.contains(by)) {
            keys.insert(one.key.clone());
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_follows_another_only_by_its_signature() {
        let [first, second, third] =
            ["01", "02", "03"].map(|seed| Signer::from_hex(&seed.repeat(32)).expect("a key"));
        let event = |key: &Signer, vouch: Value| CheckpointKeyChangedEvent {
            key: key.key(),
            key_before: "claimed".into(),
            vouch: Some(vouch),
        };
        let signed = Introduced::by_event(5, &event(&second, vouch(&first, "c", &second.key())));
        assert_eq!(signed.by, Some(first.key()));
        for other in [
            Value::Null,
            vouch(&first, "c", &third.key()),
            json!({"follows": second.key(), "key": first.key(), "signature": "00"}),
        ] {
            assert_eq!(Introduced::by_event(5, &event(&second, other)).by, None);
        }
        let claimed = Introduced {
            seq: 9,
            key: third.key(),
            by: None,
        };
        let keys = trusted([first.key().as_str()], &[signed.clone(), claimed]);
        assert_eq!(keys, [first.key(), second.key()].into_iter().collect());
        assert_eq!(
            trusted([third.key().as_str()], &[signed]).len(),
            1,
            "never backwards"
        );
    }
}
