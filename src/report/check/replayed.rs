//! The history that the events of an export tell, in memory.

use super::journal::Event;
use crate::history::HistoryError;
use crate::history::reader::HistoryReader;
use crate::history::retelling::Retelling;
use crate::history::stub::Stub;
use crate::report::difference::{Difference, differs};

pub(crate) struct Replayed<'e> {
    pub reader: HistoryReader,
    /// What it was told of.
    pub stub: Option<&'e Stub>,
    pub events: &'e [Event],
    /// Those that were recorded after it, which it was not told of.
    pub later: &'e [Event],
}

impl<'e> Replayed<'e> {
    pub(crate) fn of(
        stub: Option<&'e Stub>,
        (events, later): (&'e [Event], &'e [Event]),
    ) -> Result<Self, Difference> {
        let reader = Retelling::of(stub, events).map_err(failed)?;
        Ok(Self {
            reader,
            stub,
            events,
            later,
        })
    }
}

/// A history that cannot be read is one of events that no daemon wrote.
pub(crate) fn failed(e: HistoryError) -> Difference {
    differs("events", e.to_string())
}
