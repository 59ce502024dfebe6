//! A simulated probe under way.

/// A probe under way; ordered by its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flight {
    pub end_ns: u64,
    pub endpoint: usize,
    pub seq: u64,
    pub start_ns: u64,
    pub fails: bool,
    /// It fails by itself: the endpoint is up.
    pub is_lost: bool,
    pub slot: bool,
}
