//! The history that the events of an export tell, in memory.

use rusqlite::Connection;
use serde_json::{Map, Value};

use crate::history::HistoryError;
use crate::history::definitions::{Told, told};
use crate::history::makeup::Makeup;
use crate::history::prune::Stub;
use crate::history::read::Calendar;
use crate::history::retelling::Retelling;
use crate::report::difference::{Difference, differs};

pub(crate) struct Replayed<'e> {
    pub connection: Connection,
    pub calendar: Calendar,
    pub makeup: Makeup,
    pub definitions: Told,
    /// What it was told of.
    pub stub: Option<&'e Stub>,
    pub events: &'e [Map<String, Value>],
}

impl<'e> Replayed<'e> {
    pub(crate) fn of(
        stub: Option<&'e Stub>,
        events: &'e [Map<String, Value>],
    ) -> Result<Self, Difference> {
        let connection = Retelling::of(stub, events).map_err(failed)?;
        let calendar = Calendar::read(&connection).map_err(failed)?;
        Ok(Self {
            makeup: Makeup::read(&connection, &calendar).map_err(failed)?,
            definitions: told(&connection).map_err(failed)?,
            calendar,
            connection,
            stub,
            events,
        })
    }
}

/// A history that cannot be read is one of events that no daemon wrote.
pub(crate) fn failed(e: HistoryError) -> Difference {
    differs("events", e.to_string())
}
