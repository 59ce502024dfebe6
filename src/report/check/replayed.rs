//! The history in memory that follows from the events of an export.

use serde_json::{Map, Value};

use crate::history::HistoryError;
use crate::history::in_memory::InMemoryHistory;
use crate::history::prune_record::PruneRecord;
use crate::history::reader::HistoryReader;
use crate::report::difference::{Difference, differs};

pub(crate) struct Replayed<'e> {
    pub reader: HistoryReader,
    /// What came before its events.
    pub prune_record: Option<&'e PruneRecord>,
    pub events: &'e [Map<String, Value>],
}

impl<'e> Replayed<'e> {
    pub(crate) fn of(
        prune_record: Option<&'e PruneRecord>,
        events: &'e [Map<String, Value>],
    ) -> Result<Self, Difference> {
        let reader = InMemoryHistory::of(prune_record, events).map_err(failed)?;
        Ok(Self {
            reader,
            prune_record,
            events,
        })
    }
}

/// A history that cannot be read is one of events that no daemon wrote.
pub(crate) fn failed(e: HistoryError) -> Difference {
    differs("events", e.to_string())
}
