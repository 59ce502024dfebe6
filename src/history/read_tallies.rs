//! An endpoint's counts, latency and single results over a period, from its tallies by hour, day
//! and month; and who is gone.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, params};

use super::read::Extent;
use super::reader::HistoryReader;
use super::seals::{Unit, UnitKind, column, tallies_digest};
use super::tally::{tally_longest_blind, tally_results};
use super::{HistoryError, state_place, without_checksum};
use crate::judgement::rules::Rules;
use crate::judgement::state_codec::decode_with;
use crate::judgement::timeline::{Span, Spans};
use crate::words::{Ms, Name, UtcMs};

/// One stored tally.
#[derive(Debug, Clone)]
pub struct Tally {
    pub unit: Unit,
    pub body: Vec<u8>,
}

/// Which tallies are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichTallies {
    /// Those that an event vouches for: they do not change any more.
    Sealed,
    /// Those of hours that are not over as well.
    All,
}

impl HistoryReader {
    /// The tallies that make up a period, each moment in one of them: months and days that lie
    /// inside it, else hours that touch it.
    pub fn tallies(
        &self,
        endpoint: &str,
        period: Span,
        which: WhichTallies,
    ) -> Result<Vec<Tally>, HistoryError> {
        let Some(id) = self.id_of(endpoint)? else {
            return Ok(Vec::new());
        };
        if period.from >= period.to {
            return Ok(Vec::new());
        }
        let seals = match which {
            WhichTallies::Sealed => Some(self.seals()?),
            WhichTallies::All => None,
        };
        let mut stored: HashMap<Unit, Vec<u8>> = HashMap::new();
        for kind in UnitKind::ALL {
            let sql = format!(
                "SELECT {0}, body FROM {1} WHERE endpoint = ?1 AND {0} BETWEEN ?2 AND ?3",
                column(kind),
                kind.table()
            );
            let range = [
                Unit::of(kind, period.from).number,
                Unit::of(kind, period.to - 1).number,
            ];
            let mut statement = self.connection().prepare_cached(&sql)?;
            let mut rows = statement.query([id, range[0], range[1]])?;
            while let Some(r) = rows.next()? {
                let unit = Unit::new(kind, r.get(0)?);
                if seals.is_none_or(|s| s.has(unit)) {
                    stored.insert(unit, r.get(1)?);
                }
            }
        }
        // The longest that lies inside stands for what it was made of. Only what is stored is
        // walked: a period may be all of time.
        let whole_hours = Span::new(
            Unit::of(UnitKind::Hour, period.from).from(),
            Unit::of(UnitKind::Hour, period.to - 1).to(),
        );
        let mut inside: Vec<(Unit, Vec<u8>)> = stored
            .into_iter()
            .filter(|(u, _)| u.from() >= whole_hours.from && u.to() <= whole_hours.to)
            .collect();
        inside.sort_by_key(|(u, _)| (u.from(), std::cmp::Reverse(u.to())));
        let mut at = i64::MIN;
        let mut list = Vec::new();
        for (unit, body) in inside {
            if unit.from() >= at {
                at = unit.to();
                list.push(Tally { unit, body });
            }
        }
        Ok(list)
    }

    /// Outages shorter than this are not seen: by the cadences that were in force in a period,
    /// where events tell them, else by the last.
    pub fn not_seen_below(
        &self,
        endpoint: &str,
        extent: &Extent,
        period: Span,
    ) -> Result<Ms, HistoryError> {
        let calendar = self.calendar()?;
        let cadences = self.cadences(endpoint)?;
        let until = |k: usize| {
            cadences
                .get(k + 1)
                .map_or(i64::MAX / 4, |(at, ..)| calendar.utc(*at))
        };
        let in_force = cadences
            .iter()
            .enumerate()
            .filter(|(k, (from, ..))| calendar.utc(*from) < period.to && until(*k) > period.from);
        Ok(in_force
            .map(|(_, (.., cadence))| Rules::new(*cadence).not_seen_below())
            .max()
            .unwrap_or(extent.not_seen_below))
    }

    /// The longest time between two probes that was measured in a period, over the hours that touch
    /// it. Where a tally does not say, that since the endpoint's first start.
    pub fn longest_blind(
        &self,
        endpoint: &str,
        extent: &Extent,
        period: Span,
    ) -> Result<Ms, HistoryError> {
        let calendar = self.calendar()?;
        let stored = self.tallies(endpoint, period, WhichTallies::All)?;
        let measured = stored
            .iter()
            .map(|t| tally_longest_blind(&t.body))
            .try_fold(0, |longest: Ms, one| one.map(|one| longest.max(one)));
        let lately = Unit::of(UnitKind::Hour, calendar.utc(extent.watermark))
            .span()
            .cut(period)
            .map_or(0, |_| extent.blind_lately);
        Ok(measured
            .filter(|_| !stored.is_empty() || lately > 0)
            .map_or(extent.longest_blind, |measured| measured.max(lately)))
    }

    /// The results of single slots that start inside a period, by their start.
    pub fn results(
        &self,
        endpoint: &str,
        period: Span,
        which: WhichTallies,
    ) -> Result<Vec<(UtcMs, bool)>, HistoryError> {
        let Some(id) = self.id_of(endpoint)? else {
            return Ok(Vec::new());
        };
        let mut list: Vec<(UtcMs, bool)> = self
            .tallies(endpoint, period, which)?
            .iter()
            .flat_map(|t| tally_results(&t.body))
            .collect();
        if which == WhichTallies::All {
            let mut statement = self.connection().prepare_cached(
                "SELECT at, ok FROM result WHERE endpoint = ?1 AND at >= ?2 AND at < ?3",
            )?;
            let rows = statement.query_map(params![id, period.from, period.to], |r| {
                Ok((r.get(0)?, r.get(1)?))
            })?;
            list.extend(rows.collect::<Result<Vec<_>, _>>()?);
        }
        list.retain(|(at, _)| (period.from..period.to).contains(at));
        list.sort_unstable();
        list.dedup();
        Ok(list)
    }

    /// When the results of an endpoint's slots were recorded one by one. UTC.
    pub fn results_recorded(&self, endpoint: &str) -> Result<Spans, HistoryError> {
        let calendar = self.calendar()?;
        let Some(id) = self.id_of(endpoint)? else {
            return Ok(Spans::default());
        };
        let mut statement = self
            .connection()
            .prepare_cached("SELECT from_at, to_at FROM recording WHERE endpoint = ?1")?;
        let rows = statement.query_map([id], |r| {
            let (from, to): (i64, Option<i64>) = (r.get(0)?, r.get(1)?);
            Ok(Span::new(
                calendar.utc(from as u64),
                to.map_or(i64::MAX / 4, |to| calendar.utc(to as u64)),
            ))
        })?;
        Ok(Spans::new(rows.collect::<Result<_, _>>()?))
    }

    /// The end of the last hour up to which every hour of a period is sealed.
    pub fn sealed_until(&self, period: Span) -> Result<UtcMs, HistoryError> {
        let seals = self.seals()?;
        let mut at = Unit::of(UnitKind::Hour, period.from).from();
        let is_sealed = |at: UtcMs| {
            [UnitKind::Hour, UnitKind::Day, UnitKind::Month]
                .into_iter()
                .any(|kind| seals.has(Unit::of(kind, at)))
        };
        // Hours without any tally have no seal: nothing of them can change once a later one is
        // sealed.
        let newest = seals.newest_hour();
        while at < period.to && (is_sealed(at) || newest.is_some_and(|hour| at < hour.from())) {
            at += 3_600_000;
        }
        Ok(at.min(period.to))
    }

    /// Endpoints that were taken out of service, with their components and the extents of their
    /// records.
    pub fn gone(&self) -> Result<Vec<(Name, Name, Extent)>, HistoryError> {
        let sql = "SELECT e.id, e.name, e.component, s.mark, s.judge FROM endpoint e JOIN state s \
            ON s.endpoint = e.id WHERE e.in_service = 0 ORDER BY e.name";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        let mut list = Vec::new();
        while let Some(r) = rows.next()? {
            let (name, component, bytes): (String, String, Vec<u8>) =
                (r.get(1)?, r.get(2)?, r.get(4)?);
            let judge = without_checksum(&bytes, &state_place(r.get(0)?, r.get(3)?))
                .and_then(|bytes| decode_with(bytes).ok());
            let (Some((cadence, judge)), Ok(name), Ok(component)) =
                (judge, Name::new(&name), Name::new(&component))
            else {
                continue;
            };
            let extent = Extent {
                first_start: judge.first_start(),
                watermark: judge.ledger().watermark,
                longest_blind: judge.longest_blind(),
                blind_lately: judge.blind_lately(),
                not_seen_below: Rules::new(cadence).not_seen_below(),
                is_gone: true,
                ..Extent::default()
            };
            if extent.first_start.is_some() {
                list.push((name, component, extent));
            }
        }
        Ok(list)
    }

    /// Walks every sealed tally with the present name of its endpoint.
    pub fn each_sealed(
        &self,
        mut visit: impl FnMut(&str, Unit, Vec<u8>) -> bool,
    ) -> Result<(), HistoryError> {
        let seals = self.seals()?;
        for kind in UnitKind::ALL {
            let (table, column) = (kind.table(), column(kind));
            let sql = format!(
                "SELECT e.name, t.{column}, t.body FROM {table} t JOIN endpoint e ON e.id = \
                    t.endpoint ORDER BY t.{column}, e.name"
            );
            let mut statement = self.connection().prepare(&sql)?;
            let mut rows = statement.query([])?;
            while let Some(r) = rows.next()? {
                let (name, unit): (String, Unit) = (r.get(0)?, Unit::new(kind, r.get(1)?));
                // What is being taken away is not whole any more.
                if seals.has(unit) && !seals.may_be_gone(unit) && !visit(&name, unit, r.get(2)?) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// What the seal of a unit says: how many tallies it is of, and their hash.
    pub fn seal_of(&self, unit: Unit) -> Result<Option<(u64, String)>, HistoryError> {
        let sql = "SELECT tallies, sha256 FROM sealed WHERE kind = ?1 AND number = ?2";
        Ok(self
            .connection()
            .query_row(sql, (unit.kind.as_str(), unit.number), |r| {
                Ok((r.get::<_, i64>(0)? as u64, r.get(1)?))
            })
            .optional()?)
    }

    /// Every unit whose seal is of some tallies, with how many.
    pub fn sealed_with_tallies(&self) -> Result<Vec<(Unit, u64)>, HistoryError> {
        let mut statement = self
            .connection()
            .prepare("SELECT kind, number, tallies FROM sealed WHERE tallies > 0")?;
        let mut rows = statement.query([])?;
        let mut list = Vec::new();
        while let Some(r) = rows.next()? {
            let (kind, number, count): (String, i64, i64) = (r.get(0)?, r.get(1)?, r.get(2)?);
            let known = UnitKind::ALL.into_iter().find(|k| k.as_str() == kind);
            list.extend(known.map(|kind| (Unit::new(kind, number), count as u64)));
        }
        Ok(list)
    }

    /// The hash over the tallies of a unit that are there, and how many these are.
    pub fn tallies_digest(&self, unit: Unit) -> Result<([u8; 32], u64), HistoryError> {
        tallies_digest(self.connection(), unit, |_, _| {})
    }
}
