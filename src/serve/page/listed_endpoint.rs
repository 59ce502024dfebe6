//! What the list of endpoints and the list of problems need to know of each one, read in one look.

use std::sync::Arc;

use crate::engine::board::Entry;
use crate::words::{StateName, UtcMs};

/// A certificate that ends within this is a problem.
pub const EXPIRES_SOON_MS: i64 = 14 * 86_400_000;

/// What choosing and sorting need to know of an endpoint.
pub struct ListedEndpoint<'e> {
    pub entry: &'e Arc<Entry>,
    pub state: StateName,
    pub since: UtcMs,
    /// When the first certificate of its chain ends.
    pub certificate_ends: Option<UtcMs>,
    pub last_us: Option<u64>,
}

impl<'e> ListedEndpoint<'e> {
    pub fn of(entry: &'e Arc<Entry>) -> Self {
        let view = entry.view();
        let shown = &view.shown;
        Self {
            entry,
            state: shown.state,
            since: shown.since_utc,
            certificate_ends: shown
                .certificate
                .as_ref()
                .map(|c| c.not_after.min(c.chain_not_after.unwrap_or(c.not_after))),
            last_us: view.last.as_ref().map(|last| last.duration_us),
        }
    }
}
