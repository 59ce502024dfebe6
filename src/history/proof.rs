//! Signed checkpoints, our own and those from outside, held against the events.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde_json::Value;

use super::HistoryError;
use super::chain::{hex, sha256};
use super::checkpoint::{Checkpoint, verify_signature};
use super::prune_record::PruneRecord;
use super::trust::trusted;
use super::verification::{Against, Verification};
use super::walk::Walked;

/// A signed checkpoint as stored or given.
pub(super) struct Signed {
    pub seq: u64,
    pub head: String,
    pub chain: String,
    pub time: String,
    pub key: String,
}

pub(super) fn signed(value: &Value) -> Result<Signed, String> {
    verify_signature(value)?;
    let said = Checkpoint::read(value);
    Ok(Signed {
        seq: said.seq.ok_or("it has no seq")?,
        head: said.head.ok_or("it has no head")?,
        chain: said.chain.ok_or("it has no chain")?,
        time: said.time.ok_or("it has no time")?,
        key: said.key.ok_or("it has no key")?,
    })
}

/// What the history is held against.
pub(super) struct Proof {
    chain: String,
    /// Keys that somebody outside trusts, with those that they vouched for; else the one that
    /// signed last.
    trusted: BTreeSet<String>,
    /// The last event that a checkpoint of one of them covers: up to here nothing was rewritten.
    covered: u64,
}

impl Proof {
    pub fn of(
        stored: &[Signed],
        given: Option<&Signed>,
        walked: &Walked,
        chain: String,
        against: &Against,
    ) -> Self {
        let outside = against.key.iter().chain(given.map(|g| &g.key));
        let own = stored
            .last()
            .map(|c| &c.key)
            .filter(|_| against.key.is_none() && given.is_none());
        let trusted = trusted(outside.chain(own).map(String::as_str), &walked.keys);
        let fits =
            |c: &&Signed| trusted.contains(&c.key) && walked.heads.get(&c.seq) == Some(&c.head);
        let covered = stored
            .iter()
            .chain(given)
            .filter(fits)
            .map(|c| c.seq)
            .max()
            .unwrap_or(0);
        Self {
            chain,
            trusted,
            covered,
        }
    }
}

/// Why the prune record of pruned events is not what the daemon made.
pub(super) fn prune_record_differs(
    connection: &Connection,
    prune_record: &PruneRecord,
    walked: &Walked,
    proof: &Proof,
) -> Result<Option<String>, HistoryError> {
    let body: String = connection.query_row(
        "SELECT body FROM stub ORDER BY last DESC LIMIT 1",
        [],
        |r| r.get(0),
    )?;
    let told = walked.prunings.last().filter(|(_, last, hash)| {
        *last == prune_record.last && *hash == hex(&sha256(body.as_bytes()))
    });
    let Some((pruned, ..)) = told else {
        return Ok(Some(
            "no event mentions the prune record of earlier events".into(),
        ));
    };
    let key = prune_record.key().unwrap_or_default();
    if !(proof.trusted.contains(key) || proof.covered >= *pruned || proof.trusted.is_empty()) {
        return Ok(Some(format!(
            "the prune record of earlier events was signed by another key, {key}"
        )));
    }
    Ok(None)
}

/// What a key signed that nobody trusts, and no trusted one covers.
pub(super) fn signed_by_others(
    stored: &[Signed],
    walked: &Walked,
    proof: &Proof,
) -> Option<Verification> {
    let other = stored
        .iter()
        .find(|c| c.seq > proof.covered && !proof.trusted.contains(&c.key))?;
    if proof.covered == 0 {
        return Some(Verification::Altered {
            seq: other.seq,
            why: format!(
                "the checkpoint at this event was signed by another key, {}",
                other.key
            ),
        });
    }
    let since = walked
        .keys
        .iter()
        .find(|k| k.key == other.key)
        .map_or(other.seq, |k| k.seq);
    let why = format!(
        "up to event {} nothing was rewritten; from event {since} on another key signs, {}, which \
            the key before it did not sign",
        proof.covered, other.key
    );
    Some(Verification::NotProvable { why })
}

/// Whether a checkpoint from outside is among those that the prune record keeps.
pub(super) fn pruned_differs(
    given: &Signed,
    prune_record: &PruneRecord,
    walked: &Walked,
    proof: &Proof,
) -> Option<Verification> {
    if let Some((last, restored)) = walked
        .restores
        .get(&given.chain)
        .filter(|(last, _)| given.chain != proof.chain && given.seq > *last)
    {
        let why = format!(
            "forked by restore: a backup that ended with event {last} was restored; later events \
                up to {} are missing",
            given.seq
        );
        return Some(Verification::Forked {
            seq: *restored,
            why,
        });
    }
    let kept = prune_record
        .checkpoints()
        .iter()
        .map(Checkpoint::read)
        .find(|c| c.seq == Some(given.seq) && c.chain.as_ref() == Some(&given.chain));
    match kept {
        Some(kept) if kept.head.as_ref() == Some(&given.head) => None,
        Some(_) => Some(Verification::Altered {
            seq: given.seq,
            why: "the prune record of earlier events has another head for the given checkpoint"
                .into(),
        }),
        None => Some(Verification::Altered {
            seq: given.seq,
            why: "the prune record of earlier events does not have the given checkpoint".into(),
        }),
    }
}

/// The first of our own checkpoints that the events do not fit.
pub(super) fn stored_differ(
    stored: &[Signed],
    walked: &Walked,
    proof: &Proof,
) -> Option<Verification> {
    let mut good = 0;
    let first_key = stored.first().map(|c| c.key.as_str());
    for one in stored {
        let is_introduced = walked
            .keys
            .iter()
            .any(|k| k.key == one.key && k.seq <= one.seq);
        if Some(one.key.as_str()) != first_key && !is_introduced {
            let why = format!(
                "the checkpoint at this event was signed by another key, {}",
                one.key
            );
            return Some(Verification::Altered { seq: one.seq, why });
        }
        if one.chain != proof.chain && !walked.restores.contains_key(&one.chain) {
            return Some(Verification::Altered {
                seq: one.seq,
                why: format!(
                    "the checkpoint at this event is of another chain, {}",
                    one.chain
                ),
            });
        }
        if let Some(why) = differs(one, good, walked) {
            return Some(Verification::Altered {
                seq: (good + 1).min(one.seq),
                why,
            });
        }
        good = one.seq;
    }
    None
}

fn differs(one: &Signed, good: u64, walked: &Walked) -> Option<String> {
    if one.seq > walked.events {
        return Some(format!(
            "{} events were signed at {}, and only {} are left: the end is cut off",
            one.seq, one.time, walked.events
        ));
    }
    (walked.heads.get(&one.seq) != Some(&one.head)).then(|| {
        format!(
            "the events {} to {} are not those that were signed at {}",
            good + 1,
            one.seq,
            one.time
        )
    })
}

/// Whether a checkpoint from outside fits.
pub(super) fn given_differs(
    given: &Signed,
    walked: &Walked,
    stored: &[Signed],
    proof: &Proof,
) -> Option<Verification> {
    let is_here = stored
        .iter()
        .any(|c| c.key == given.key || proof.trusted.contains(&c.key))
        || stored.is_empty();
    if !is_here && walked.heads.get(&given.seq) != Some(&given.head) {
        if given.chain == proof.chain {
            return Some(Verification::Altered {
                seq: 1,
                why: format!(
                    "this chain was signed by the key {} and is signed by another now",
                    given.key
                ),
            });
        }
        return Some(Verification::NotProvable {
            why: format!(
                "the given checkpoint was signed by another key, {}: it is not of this history",
                given.key
            ),
        });
    }
    if given.chain != proof.chain {
        return match walked.restores.get(&given.chain) {
            Some((_, restored)) if proof.covered < *restored => Some(Verification::NotProvable {
                why: format!(
                    "event {restored} records a restore, and no trusted checkpoint covers it"
                ),
            }),
            Some((last, restored)) if given.seq > *last => Some(Verification::Forked {
                seq: *restored,
                why: format!(
                    "forked by restore: a backup that ended with event {last} was restored; later \
                        events up to {} are missing",
                    given.seq
                ),
            }),
            Some(_) => differs(given, 0, walked).map(|why| Verification::Altered {
                seq: given.seq,
                why,
            }),
            None => Some(Verification::NotProvable {
                why: format!(
                    "the given checkpoint is of another chain, {}, that this history does not name",
                    given.chain
                ),
            }),
        };
    }
    let good = stored
        .iter()
        .map(|c| c.seq)
        .filter(|seq| *seq < given.seq && given.seq <= walked.events)
        .max()
        .unwrap_or(0);
    let good = if walked.heads.get(&given.seq) == Some(&given.head) {
        given.seq
    } else {
        good.min(given.seq.saturating_sub(1))
    };
    differs(given, good.min(given.seq.saturating_sub(1)), walked)
        .map(|why| Verification::Altered { seq: good + 1, why })
}
