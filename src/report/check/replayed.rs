//! The history in memory that follows from the events of an export.

use super::journal::Event;
use crate::history::HistoryError;
use crate::history::in_memory::InMemoryHistory;
use crate::history::prune_record::PruneRecord;
use crate::history::reader::HistoryReader;
use crate::report::difference::{Difference, differs};

pub(crate) struct Replayed<'e> {
    pub reader: HistoryReader,
    /// What it was told of.
    pub prune_record: Option<&'e PruneRecord>,
    pub events: &'e [Event],
    /// Those that were recorded after it, which it was not told of.
    pub later: &'e [Event],
}

impl<'e> Replayed<'e> {
    pub(crate) fn of(
        prune_record: Option<&'e PruneRecord>,
        (events, later): (&'e [Event], &'e [Event]),
    ) -> Result<Self, Difference> {
        let reader = InMemoryHistory::of(prune_record, events).map_err(failed)?;
        Ok(Self {
            reader,
            prune_record,
            events,
            later,
        })
    }
}

/// A history that cannot be read is one of events that no daemon wrote.
pub(crate) fn failed(e: HistoryError) -> Difference {
    differs("events", e.to_string())
}
