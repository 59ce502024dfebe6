//! The tallies of an export, held against the seals that events vouch for them with.

use std::collections::BTreeSet;

use serde_json::Value;

use super::replayed::Replayed;
use crate::history::HistoryError;
use crate::history::chain::hex;
use crate::history::in_memory::InMemoryHistory;
use crate::history::seals::Unit;
use crate::judgement::timeline::Span;
use crate::report::difference::{Difference, differs};

/// Puts exported tallies into their places; each hour, day and month must be what its seal says.
pub(crate) fn put_tallies(
    replayed: &Replayed,
    tallies: &[Value],
    period: Span,
) -> Result<(), Difference> {
    let mut units = BTreeSet::new();
    for tally in tallies {
        units.extend(put(replayed, tally)?);
    }
    for unit in &units {
        is_as_sealed(replayed, *unit)?;
    }
    are_all_there(replayed, &units, period)
}

fn failed(e: HistoryError) -> Difference {
    differs("tallies", e.to_string())
}

/// Puts one into its place, and says of which hour, day or month it is.
fn put(replayed: &Replayed, tally: &Value) -> Result<Option<Unit>, Difference> {
    let text = |key: &str| tally.get(key).and_then(Value::as_str);
    if !InMemoryHistory::put_tally(&replayed.reader, tally).map_err(failed)? {
        let whose = text("endpoint").unwrap_or("-").to_owned();
        return Err(differs(
            "tallies",
            format!(
                "a tally of {whose} belongs to no endpoint of the events, or says of no time that \
                    it is of"
            ),
        ));
    }
    Ok(Unit::of_seal(|key| {
        text("kind")
            .filter(|kind| *kind == key)
            .and(text("of"))
            .map(str::to_owned)
    }))
}

fn is_as_sealed(replayed: &Replayed, unit: Unit) -> Result<(), Difference> {
    let sealed = replayed.reader.seal_of(unit).map_err(failed)?;
    let (digest, count) = replayed.reader.tallies_digest(unit).map_err(failed)?;
    // Later than the report's last event: no figure of it rests on them.
    let Some((tallies, sum)) = sealed else {
        return InMemoryHistory::take_tallies(&replayed.reader, unit).map_err(failed);
    };
    if tallies == count && sum == hex(&digest) {
        return Ok(());
    }
    Err(differs(
        "tallies",
        format!(
            "those of the {} {} differ from their seal",
            unit.kind.as_str(),
            unit.label()
        ),
    ))
}

/// What the events vouch for and nothing longer stands for is there.
fn are_all_there(
    replayed: &Replayed,
    units: &BTreeSet<Unit>,
    period: Span,
) -> Result<(), Difference> {
    let seals = replayed.reader.seals().map_err(failed)?;
    for (unit, sealed) in replayed.reader.sealed_with_tallies().map_err(failed)? {
        let (_, count) = replayed.reader.tallies_digest(unit).map_err(failed)?;
        // What later seals stand for may have been rolled up since the report.
        let is_rolled_up =
            seals.may_be_gone(unit) || units.contains(&unit.day()) || units.contains(&unit.month());
        if unit.span().cut(period).is_some() && count != sealed && !(count == 0 && is_rolled_up) {
            return Err(differs(
                "tallies",
                format!(
                    "those of the {} {} are not all there",
                    unit.kind.as_str(),
                    unit.label()
                ),
            ));
        }
    }
    Ok(())
}
