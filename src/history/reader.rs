//! One history as it is read: its snapshot, and what nearly every question needs, read once.
//!
//! [`super::schema`] opens it; [`super::read`], [`super::read_tallies`] and what is beside add the
//! questions. A reader sees one state, whatever the daemon commits meanwhile, so what it keeps
//! stays true. Whoever wants a later state opens another.

use std::cell::OnceCell;

use rusqlite::{Connection, OptionalExtension};

use super::HistoryError;
use super::calendar::Calendar;
use super::component_history::{ComponentHistory, Moves};
use super::dates::Dates;
use super::definitions::{self, Changed, RecordedDefinitions, Renames};
use super::prune_record::{self, PruneRecord};
use super::seals::Seals;
use crate::judgement::rules::Cadence;
use crate::words::Ms;

/// Answers what is asked of a history. What it keeps is read when it is first needed.
pub struct HistoryReader {
    /// In a transaction that ends with it, so that all answers are of one state.
    connection: Connection,
    /// The timeline in UTC.
    calendar: OnceCell<Calendar>,
    /// From when lines of the config count, where the clock was set.
    dates: OnceCell<Dates>,
    /// What stands for pruned events, its signature checked.
    prune_record: OnceCell<Option<PruneRecord>>,
    /// Until when events are pruned: records need no more of the prune record than that.
    pruned_until: OnceCell<Option<Ms>>,
    /// What endpoints were called.
    renames: OnceCell<Renames>,
    /// Config, terms and declared components.
    definitions: OnceCell<RecordedDefinitions>,
    /// Which components endpoints belonged to.
    moves: OnceCell<Moves>,
    /// How components were defined.
    component_history: OnceCell<ComponentHistory>,
    /// Which tallies do not change any more.
    seals: OnceCell<Seals>,
}

/// What a cell holds; it is read if nobody asked before.
pub(super) fn once<T>(
    cell: &OnceCell<T>,
    read: impl FnOnce() -> Result<T, HistoryError>,
) -> Result<&T, HistoryError> {
    if let Some(known) = cell.get() {
        return Ok(known);
    }
    let found = read()?;
    Ok(cell.get_or_init(|| found))
}

impl HistoryReader {
    /// `connection`: inside a transaction, or of a history in memory that is told to its end.
    pub(super) fn of(connection: Connection) -> Self {
        Self {
            connection,
            calendar: OnceCell::new(),
            dates: OnceCell::new(),
            prune_record: OnceCell::new(),
            pruned_until: OnceCell::new(),
            renames: OnceCell::new(),
            definitions: OnceCell::new(),
            moves: OnceCell::new(),
            component_history: OnceCell::new(),
            seals: OnceCell::new(),
        }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The timeline in UTC.
    pub fn calendar(&self) -> Result<&Calendar, HistoryError> {
        once(&self.calendar, || Calendar::read(&self.connection))
    }

    pub(super) fn dates(&self) -> Result<&Dates, HistoryError> {
        once(&self.dates, || Dates::read(&self.connection))
    }

    /// The newest prune record; nothing where no event was pruned.
    pub fn prune_record(&self) -> Result<Option<&PruneRecord>, HistoryError> {
        Ok(once(&self.prune_record, || PruneRecord::read(&self.connection))?.as_ref())
    }

    /// Until when the record was pruned, on the timeline.
    pub(super) fn pruned_until(&self) -> Result<Option<Ms>, HistoryError> {
        once(&self.pruned_until, || {
            prune_record::pruned_until(&self.connection)
        })
        .copied()
    }

    pub(super) fn renames(&self) -> Result<&Renames, HistoryError> {
        once(&self.renames, || {
            Renames::read(&self.connection, self.prune_record()?)
        })
    }

    /// Config, terms, components, witnesses and limits as recorded.
    pub fn definitions(&self) -> Result<&RecordedDefinitions, HistoryError> {
        once(&self.definitions, || {
            RecordedDefinitions::read(&self.connection, self.prune_record()?, self.dates()?)
        })
    }

    /// The components that endpoints belonged to.
    pub fn moves(&self) -> Result<&Moves, HistoryError> {
        once(&self.moves, || {
            Moves::read(&self.connection, (self.calendar()?, self.dates()?))
        })
    }

    /// What components were made of.
    pub(super) fn component_history(&self) -> Result<&ComponentHistory, HistoryError> {
        once(&self.component_history, || {
            ComponentHistory::read(
                &self.connection,
                (self.definitions()?, self.prune_record()?),
                (self.calendar()?, self.dates()?),
            )
        })
    }

    /// Which hours, days and months are sealed.
    pub fn seals(&self) -> Result<&Seals, HistoryError> {
        once(&self.seals, || Seals::read(&self.connection))
    }

    /// The number of the endpoint that has this name now.
    pub(super) fn id_of(&self, endpoint: &str) -> Result<Option<i64>, HistoryError> {
        Ok(self
            .connection
            .prepare_cached("SELECT id FROM endpoint WHERE name = ?1")?
            .query_row([endpoint], |r| r.get(0))
            .optional()?)
    }

    /// The cadences that an endpoint had, with the name that it had then and from when on
    /// (timeline), as far as events tell.
    pub fn cadences(&self, endpoint: &str) -> Result<Vec<(Ms, String, Cadence)>, HistoryError> {
        let Some(id) = self.id_of(endpoint)? else {
            return Ok(Vec::new());
        };
        definitions::cadences(&self.connection, self.prune_record()?, (id, endpoint))
    }

    /// Every change of a definition, oldest first.
    pub fn changes(&self) -> Result<Vec<Changed>, HistoryError> {
        definitions::changes(&self.connection, self.renames()?)
    }
}

#[cfg(test)]
mod tests {
    use crate::history::schema::{open_to_read, own};

    #[test]
    fn a_reader_answers_of_one_state_whatever_is_committed_meanwhile() {
        let directory = tempfile::tempdir().expect("a directory");
        let (_owner, writer) = own(directory.path()).expect("a history");
        let commit = |sql: &str| writer.execute_batch(sql).expect("committed");
        commit("INSERT INTO clock VALUES (0, 5)");
        let open = || open_to_read(directory.path()).expect("opened");
        let first = open();
        commit("INSERT INTO clock VALUES (100, 50); INSERT INTO sealed VALUES ('hour', 7, 0, '')");
        let second = open();
        let known = || {
            [&first, &second].map(|reader| {
                let calendar = reader.calendar().expect("read");
                let newest = reader.seals().expect("read").newest_hour();
                (calendar.utc(200), newest.map(|unit| unit.number))
            })
        };
        assert_eq!(known(), [(205, None), (250, Some(7))]);
        commit("INSERT INTO clock VALUES (150, 500); INSERT INTO sealed VALUES ('hour', 8, 0, '')");
        assert_eq!(known(), [(205, None), (250, Some(7))]);
    }
}
