//! Hours, days and months that have tallies, which of them are sealed, and what a seal hashes.
//!
//! [`super::upkeep`] seals them; whoever reads or verifies tallies asks here what is sealed.

use std::collections::BTreeSet;

use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::HistoryError;
use crate::judgement::timeline::Span;
use crate::words::{UtcMs, format_utc, parse_utc};

/// The name in a tally's body; nothing in one that is no tally any more.
pub(super) const NAME_IN_BODY: &str = "CASE WHEN json_valid(CAST(body AS TEXT)) THEN \
    CAST(ifnull(json_extract(CAST(body AS TEXT), '$.endpoint'), '') AS TEXT) ELSE '' END";

/// Lengths of time that have tallies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnitKind {
    Hour,
    Day,
    Month,
}

impl UnitKind {
    pub const ALL: [UnitKind; 3] = [UnitKind::Hour, UnitKind::Day, UnitKind::Month];

    /// Its key in the event that seals, and its name in the table of seals.
    pub fn as_str(self) -> &'static str {
        match self {
            UnitKind::Hour => "hour",
            UnitKind::Day => "day",
            UnitKind::Month => "month",
        }
    }

    pub fn table(self) -> &'static str {
        match self {
            UnitKind::Hour => "tally",
            UnitKind::Day => "tally_day",
            UnitKind::Month => "tally_month",
        }
    }
}

/// One hour, day or month of UTC. Hours and days count from 1970, months from the year 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit {
    pub kind: UnitKind,
    pub number: i64,
}

impl Unit {
    pub fn new(kind: UnitKind, number: i64) -> Self {
        Self { kind, number }
    }

    /// The one that an instant lies in.
    pub fn of(kind: UnitKind, utc: UtcMs) -> Self {
        let number = match kind {
            UnitKind::Hour => utc.div_euclid(3_600_000),
            UnitKind::Day => utc.div_euclid(86_400_000),
            UnitKind::Month => month_of(utc),
        };
        Self { kind, number }
    }

    pub fn from(self) -> UtcMs {
        match self.kind {
            UnitKind::Hour => self.number * 3_600_000,
            UnitKind::Day => self.number * 86_400_000,
            UnitKind::Month => parse_utc(&format!(
                "{:04}-{:02}-01T00:00:00Z",
                self.number.div_euclid(12),
                self.number.rem_euclid(12) + 1
            ))
            .unwrap_or(UtcMs::MAX),
        }
    }

    pub fn to(self) -> UtcMs {
        Unit {
            number: self.number + 1,
            ..self
        }
        .from()
    }

    /// As its seal writes it: `2026-11-22T05:00:00.000Z`, `2026-11-22`, `2026-11`.
    pub fn label(self) -> String {
        let mut text = format_utc(self.from());
        text.truncate(match self.kind {
            UnitKind::Hour => text.len(),
            UnitKind::Day => 10,
            UnitKind::Month => 7,
        });
        text
    }

    /// Reads what a seal says it is of.
    pub fn of_seal(text: impl Fn(&str) -> Option<String>) -> Option<Self> {
        UnitKind::ALL.into_iter().find_map(|kind| {
            let label = text(kind.as_str())?;
            let whole = match kind {
                UnitKind::Hour => label,
                UnitKind::Day => format!("{label}T00:00:00Z"),
                UnitKind::Month => format!("{label}-01T00:00:00Z"),
            };
            parse_utc(&whole).map(|utc| Unit::of(kind, utc))
        })
    }

    /// The time that it is of. UTC.
    pub fn span(self) -> Span {
        Span::new(self.from(), self.to())
    }

    pub fn day(self) -> Unit {
        Unit::of(UnitKind::Day, self.from())
    }

    pub fn month(self) -> Unit {
        Unit::of(UnitKind::Month, self.from())
    }

    /// Whether an hour lies on the first or the last day of a month.
    fn is_at_the_edge(self) -> bool {
        let (day, month) = (self.day(), self.month());
        day.from() == month.from() || day.to() == month.to()
    }
}

fn month_of(utc: UtcMs) -> i64 {
    let text = format_utc(utc);
    let number = |range: std::ops::Range<usize>| {
        text.get(range)
            .and_then(|t| t.parse::<i64>().ok())
            .unwrap_or(0)
    };
    number(0..4) * 12 + number(5..7) - 1
}

/// Which hours, days and months are sealed.
#[derive(Debug, Clone, Default)]
pub struct Seals(BTreeSet<Unit>);

impl Seals {
    pub(super) fn read(connection: &Connection) -> Result<Self, HistoryError> {
        let mut seals = BTreeSet::new();
        let mut statement = connection.prepare("SELECT kind, number FROM sealed")?;
        let mut rows = statement.query([])?;
        while let Some(r) = rows.next()? {
            let (kind, number): (String, i64) = (r.get(0)?, r.get(1)?);
            seals.extend(
                UnitKind::ALL
                    .into_iter()
                    .filter(|k| k.as_str() == kind)
                    .map(|k| Unit::new(k, number)),
            );
        }
        Ok(Self(seals))
    }

    pub fn has(&self, unit: Unit) -> bool {
        self.0.contains(&unit)
    }

    pub fn add(&mut self, unit: Unit) {
        self.0.insert(unit);
    }

    pub fn newest_hour(&self) -> Option<Unit> {
        self.0
            .range(..Unit::new(UnitKind::Day, i64::MIN))
            .next_back()
            .copied()
    }

    /// How many of a kind are sealed that begin at or after an instant.
    pub(super) fn since(&self, kind: UnitKind, utc: UtcMs) -> usize {
        self.0
            .range(Unit::new(kind, i64::MIN)..=Unit::new(kind, i64::MAX))
            .filter(|u| u.from() >= utc)
            .count()
    }

    /// Whether its tallies may be gone: what they were rolled up into is sealed.
    pub fn may_be_gone(&self, unit: Unit) -> bool {
        match unit.kind {
            UnitKind::Hour if unit.is_at_the_edge() => self.has(unit.month()),
            UnitKind::Hour => self.has(unit.day()),
            UnitKind::Day => self.has(unit.month()),
            UnitKind::Month => false,
        }
    }
}

pub fn column(kind: UnitKind) -> &'static str {
    match kind {
        UnitKind::Hour => "hour",
        UnitKind::Day => "day",
        UnitKind::Month => "month",
    }
}

/// One name and tally of a seal's hash: the name, a zero byte, the body's length in eight bytes and
/// the body.
pub(super) fn add_to(hash: &mut Sha256, name: &str, body: &[u8]) {
    hash.update(name.as_bytes());
    hash.update([0]);
    hash.update((body.len() as u64).to_be_bytes());
    hash.update(body);
}

/// SHA-256 over the tallies of a unit in the order of their names, and how many there are.
/// `see` is shown each with the number it is filed under.
pub(super) fn tallies_digest(
    connection: &Connection,
    unit: Unit,
    mut see: impl FnMut(i64, &str),
) -> Result<([u8; 32], u64), HistoryError> {
    let sql = format!(
        "SELECT endpoint, {NAME_IN_BODY} AS name, CAST(body AS BLOB) FROM {} WHERE {} = ?1 ORDER \
            BY name, endpoint",
        unit.kind.table(),
        column(unit.kind)
    );
    let mut hash = Sha256::new();
    let mut count = 0;
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([unit.number])?;
    while let Some(row) = rows.next()? {
        let (endpoint, name, body): (i64, String, Vec<u8>) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        see(endpoint, &name);
        add_to(&mut hash, &name, &body);
        count += 1;
    }
    Ok((hash.finalize().into(), count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(text: &str) -> Unit {
        Unit::of(UnitKind::Hour, parse_utc(text).expect("an instant"))
    }

    #[test]
    fn units_know_their_ends_and_labels() {
        let one = hour("2026-12-31T23:30:00Z");
        assert_eq!(
            (
                one.label().as_str(),
                one.day().label().as_str(),
                one.month().label().as_str()
            ),
            ("2026-12-31T23:00:00.000Z", "2026-12-31", "2026-12")
        );
        assert_eq!(format_utc(one.month().to()), "2027-01-01T00:00:00.000Z");
        for unit in [one, one.day(), one.month()] {
            assert_eq!(
                Unit::of_seal(|key| (key == unit.kind.as_str()).then(|| unit.label())),
                Some(unit)
            );
        }
    }

    #[test]
    fn hours_go_with_their_day_but_at_the_edge_of_a_month_with_the_month() {
        let mut seals = Seals::default();
        let (inner, edge) = (hour("2026-11-15T03:00:00Z"), hour("2026-11-30T22:00:00Z"));
        seals.add(inner.day());
        seals.add(edge.day());
        assert!(
            seals.may_be_gone(inner) && !seals.may_be_gone(edge) && !seals.may_be_gone(inner.day())
        );
        seals.add(edge.month());
        assert!(
            seals.may_be_gone(edge)
                && seals.may_be_gone(inner.day())
                && !seals.may_be_gone(inner.month())
        );
    }
}
