//! What pages are made of.

use std::sync::Arc;

use crate::engine::board::Board;
use crate::engine::drive::Gauges;
use crate::history::reader::HistoryReader;
use crate::notify::Deliveries;
use crate::serve::contracts::ContractStatuses;
use crate::words::UtcMs;

/// Of one answer: all of a page is of one state of the history.
pub struct PageContext<'s> {
    pub reader: &'s HistoryReader,
    pub board: &'s Arc<Board>,
    pub contract_statuses: &'s ContractStatuses,
    pub gauges: &'s Gauges,
    pub deliveries: &'s Deliveries,
    pub now: UtcMs,
}
