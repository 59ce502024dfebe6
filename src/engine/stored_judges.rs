//! Whether the stored judges are those that the events tell of.
//!
//! Events, marks and judges are committed together, but only events are chained and signed. What a
//! judge says of the past must follow from them; `history verify`, a restore and a start ask here.
//! How long an endpoint has been up since the last event stands in the judge alone: no longer than
//! an hour after the newest signature, as there is one in every hour.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::replay::judges;
use crate::history::HistoryError;
use crate::history::reader::HistoryReader;
use crate::judgement::state::Judge;
use crate::judgement::timeline::{Span, Spans, known_down};
use crate::words::{Ms, parse_utc};

/// A signature follows within an hour, and with the next commit.
const SIGNED_WITHIN_MS: i64 = 3_600_000 + 60_000;

/// Why a judge contradicts itself; no judge of ours does.
pub fn contradicts(judge: &Judge) -> Option<String> {
    let ledger = judge.ledger();
    let first = judge.first_start()?;
    let all = ledger.up + ledger.down + ledger.unknown + ledger.out_of_service;
    if all != ledger.watermark.saturating_sub(first) {
        return Some(format!(
            "its time adds up to {all} ms, and {} ms have passed",
            ledger.watermark.saturating_sub(first)
        ));
    }
    let (lower, upper) = (judge.down_lower(), ledger.down_upper);
    (lower > ledger.down || ledger.down > upper || upper > ledger.up + ledger.down).then(|| {
        format!(
            "its downtime of {} ms is not between its bounds, {lower} and {upper}",
            ledger.down
        )
    })
}

/// The first judge that does not follow from the events.
pub fn differ(reader: &HistoryReader) -> Result<Option<String>, HistoryError> {
    let restored = reader.restored()?;
    let judges = judges(&restored, &reader.windows()?)?;
    if let (Some(last), Some(signed)) = (&restored.last, reader.newest_checkpoint()?) {
        let time = serde_json::from_str(&signed)
            .ok()
            .and_then(|SignatureTime { time }| parse_utc(&time))
            .unwrap_or(i64::MIN / 4);
        if last.utc_ms - time > SIGNED_WITHIN_MS {
            return Ok(Some(format!(
                "the last mark is {} s after the newest signature, and there is one in every hour",
                (last.utc_ms - time) / 1000
            )));
        }
    }
    let from_events = FromEvents::read(reader)?;
    let mut names: Vec<_> = restored.endpoints.iter().collect();
    names.sort_by_key(|(name, _)| name.as_str());
    for (name, endpoint) in names {
        let Some((_, judge)) = judges.get(&endpoint.id) else {
            continue;
        };
        let why = contradicts(judge).map_or_else(
            || from_events.parts_from(reader, endpoint.id, judge),
            |why| Ok(Some(why)),
        )?;
        let ahead = restored
            .last
            .as_ref()
            .is_some_and(|last| judge.ledger().watermark > last.timeline_ms);
        let why = why.or_else(|| ahead.then(|| "it is settled beyond the last mark".to_owned()));
        if let Some(why) = why {
            return Ok(Some(format!(
                "the state of {name} does not follow from the events: {why}"
            )));
        }
    }
    Ok(None)
}

/// Of a signature: when it was made.
#[derive(Deserialize)]
struct SignatureTime {
    time: String,
}

/// Of a prune record: when endpoints were taken into service whose events are gone.
#[derive(Default, Deserialize)]
struct CarriedFirstStarts {
    added: BTreeMap<i64, Ms>,
}

/// What the events say of all endpoints.
struct FromEvents {
    /// When each was taken into service for the first time.
    added: HashMap<i64, Ms>,
    /// Nothing is missing among the events: neither pruned, nor dropped by a version whose judges
    /// did not hear of it.
    is_whole: bool,
}

impl FromEvents {
    fn read(reader: &HistoryReader) -> Result<Self, HistoryError> {
        let prune_record = reader.prune_record()?;
        let mut added = HashMap::new();
        if let Some(prune_record) = prune_record {
            let carried =
                CarriedFirstStarts::deserialize(&prune_record.carried).unwrap_or_default();
            added.extend(carried.added);
        }
        for (endpoint, at) in reader.added()? {
            added.entry(endpoint).or_insert(at);
        }
        Ok(Self {
            added,
            is_whole: !reader.has_hole()? && prune_record.is_none(),
        })
    }

    /// Where a judge's sums part from those of the events.
    fn parts_from(
        &self,
        reader: &HistoryReader,
        id: i64,
        judge: &Judge,
    ) -> Result<Option<String>, HistoryError> {
        let Some(first) = judge.first_start() else {
            return Ok(None);
        };
        if let Some(added) = self.added.get(&id).filter(|added| **added != first) {
            return Ok(Some(format!(
                "it was taken into service at {added} ms, and counts from {first} ms"
            )));
        }
        if !self.is_whole {
            return Ok(None);
        }
        let (ledger, settled) = (judge.ledger(), judge.ledger().watermark as i64);
        let mut unknown = reader.unknown_of(id)?;
        unknown.extend(
            judge
                .open_unknown()
                .map(|(from, _)| Span::new(from as i64, settled)),
        );
        let down = known_down(&reader.outages_of(id, i64::MIN)?, &unknown, settled);
        // What is told of the time before the first start is in no ledger.
        let counted = Span::new(first as i64, settled);
        let sums = [
            (
                "unknown",
                Spans::new(unknown).cut(counted).length(),
                ledger.unknown,
            ),
            ("down", down.cut(counted).length(), ledger.down),
            (
                "out of service",
                Spans::new(reader.absent_of(id)?).cut(counted).length(),
                ledger.out_of_service,
            ),
        ];
        let differs = sums
            .iter()
            .find(|(_, by_events, counted)| by_events != counted);
        Ok(differs.map(|(what, by_events, counted)| {
            format!("{what} are {by_events} ms by the events, and {counted} by its ledger")
        }))
    }
}
