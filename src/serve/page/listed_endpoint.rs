//! What the list of endpoints and the list of problems need to know of each one, read in one look.

use std::sync::Arc;

use crate::engine::board::Entry;
use crate::words::{CertificateFacts, Ms, StateName, UtcMs};

/// A certificate that ends within this is a problem, as it is for the alerts.
const SOON_MS: i64 = 14 * 86_400_000;

/// When the first certificate of the chain ends.
pub fn ends_of(certificate: &CertificateFacts) -> UtcMs {
    let leaf = certificate.not_after;
    leaf.min(certificate.chain_not_after.unwrap_or(leaf))
}

/// Within 14 days, or a third of the lifetime where that is less.
pub fn ends_soon(certificate: &CertificateFacts, now: UtcMs) -> bool {
    let lifetime = certificate.not_after - certificate.not_before;
    ends_of(certificate) - now < SOON_MS.min(lifetime / 3)
}

/// What choosing and sorting need to know of an endpoint.
pub struct ListedEndpoint<'e> {
    pub entry: &'e Arc<Entry>,
    pub state: StateName,
    pub since: UtcMs,
    /// When the first certificate of its chain ends, and whether that is soon.
    pub certificate_ends: Option<UtcMs>,
    pub ends_soon: bool,
    pub last_us: Option<u64>,
    /// How long its record is; nothing before its first start.
    pub recorded: Option<Ms>,
}

impl<'e> ListedEndpoint<'e> {
    pub fn of(entry: &'e Arc<Entry>, now: UtcMs) -> Self {
        let view = entry.view();
        let shown = &view.shown;
        Self {
            entry,
            state: shown.state,
            since: shown.since_utc,
            certificate_ends: shown.certificate.as_deref().map(ends_of),
            ends_soon: shown
                .certificate
                .as_deref()
                .is_some_and(|c| ends_soon(c, now)),
            last_us: view.last.as_ref().map(|last| last.duration_us),
            recorded: (shown.settled.first_start)
                .map(|first| shown.settled.watermark.saturating_sub(first)),
        }
    }
}
