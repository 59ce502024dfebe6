//! The tallies of an export, held against the seals that events vouch for them with.

use std::collections::BTreeSet;

use serde_json::Value;

use super::replayed::Replayed;
use crate::history::HistoryError;
use crate::history::chain::hex;
use crate::history::retelling::Retelling;
use crate::history::seals::{Kind, Seals, Unit, column, tallies_digest};
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

fn failed(e: impl Into<HistoryError>) -> Difference {
    differs("tallies", e.into().to_string())
}

/// Puts one into its place, and says of which hour, day or month it is.
fn put(replayed: &Replayed, tally: &Value) -> Result<Option<Unit>, Difference> {
    let text = |key: &str| tally.get(key).and_then(Value::as_str);
    if !Retelling::put_tally(&replayed.connection, tally).map_err(failed)? {
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
    let sql = "SELECT tallies, sha256 FROM sealed WHERE kind = ?1 AND number = ?2";
    let told: Option<(i64, String)> = replayed
        .connection
        .query_row(sql, (unit.kind.as_str(), unit.number), |r| {
            Ok((r.get(0)?, r.get(1)?))
        })
        .ok();
    let (digest, count) = tallies_digest(&replayed.connection, unit, |_, _| {}).map_err(failed)?;
    // Later than the report's last event: no figure of it rests on them.
    let Some((tallies, sum)) = told else {
        let sql = format!(
            "DELETE FROM {} WHERE {} = ?1",
            unit.kind.table(),
            column(unit.kind)
        );
        let removed = replayed.connection.execute(&sql, [unit.number]);
        removed.map_err(failed)?;
        return Ok(());
    };
    if tallies as u64 == count && sum == hex(&digest) {
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
    let seals = Seals::read(&replayed.connection).map_err(failed)?;
    let mut statement = replayed
        .connection
        .prepare("SELECT kind, number, tallies FROM sealed WHERE tallies > 0")
        .map_err(failed)?;
    let rows = statement
        .query_map([], |r| {
            Ok((
                r.get::<_, String>(0)?,
                r.get::<_, i64>(1)?,
                r.get::<_, i64>(2)?,
            ))
        })
        .map_err(failed)?;
    for row in rows {
        let (kind, number, told) = row.map_err(failed)?;
        // What later seals stand for may have been rolled up since the report.
        let Some(unit) = Kind::ALL
            .into_iter()
            .find(|k| k.as_str() == kind)
            .map(|kind| Unit::new(kind, number))
        else {
            continue;
        };
        let (_, count) = tallies_digest(&replayed.connection, unit, |_, _| {}).map_err(failed)?;
        let is_rolled_up =
            seals.may_be_gone(unit) || units.contains(&unit.day()) || units.contains(&unit.month());
        if unit.span().cut(period).is_some()
            && count != told as u64
            && !(count == 0 && is_rolled_up)
        {
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
