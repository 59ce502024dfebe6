//! What is on its way to the board: figures wait for the commit of their batch, views for a reader
//! who holds them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::tracked::Counts;
use crate::config::plan::Metrics;
use crate::engine::board::{LastProbe, Settled};
use crate::judgement::latency::Ending;
use crate::words::{Cause, CertificateFacts, Handshake, UtcMs};

/// What the endpoint answered, of what /metrics shows.
pub(super) struct AnswerFacts {
    pub http_status: Option<u16>,
    pub certificate: Option<Arc<CertificateFacts>>,
    pub handshake: Option<Handshake>,
}

/// What one probe adds to the view of its endpoint.
pub(super) struct Raw {
    pub utc: UtcMs,
    pub sample: Option<(Ending, u64)>,
    pub cause: Option<Cause>,
    pub answer: Option<AnswerFacts>,
    pub last: LastProbe,
}

/// What is on its way to the board.
#[derive(Default)]
pub(super) struct Publisher {
    /// Upper bounds of the histogram of /metrics, of the config.
    pub buckets_us: Vec<u64>,
    /// Whether phases have histograms, too.
    pub phases: bool,
    /// Settled figures of batches that are not committed yet, by the number of the batch.
    uncommitted: Vec<(u64, Vec<(usize, Settled)>)>,
    /// Endpoints of the last batch whose figures are not taken down yet.
    pub settling: Vec<usize>,
    /// Committed figures that are not on the board yet.
    pub to_show: VecDeque<(usize, Settled)>,
    /// Live views that a reader held when they should have changed.
    pub unpublished: Vec<usize>,
    /// The same, and what they have yet to show of single probes.
    pub unseen: Vec<(usize, Box<Raw>)>,
    /// What was said of certificates that live too short for what the config asks, by endpoint.
    pub short_lives: BTreeMap<i64, String>,
    /// For the self metrics.
    pub counts: Counts,
}

impl Publisher {
    pub fn configure(&mut self, metrics: &Metrics) {
        self.buckets_us.clone_from(&metrics.buckets_us);
        self.phases = metrics.phases;
    }

    /// The figures of these endpoints are taken down before anything changes them.
    pub fn settle_later(&mut self, batch: u64, touched: Vec<usize>) {
        self.uncommitted
            .push((batch, Vec::with_capacity(touched.len())));
        self.settling = touched;
    }

    /// The figures of an endpoint as of the last batch.
    pub fn take_down(&mut self, index: usize, figures: Settled) {
        if let Some((_, last)) = self.uncommitted.last_mut() {
            last.push((index, figures));
        }
    }

    /// No later batch than this one was closed.
    pub fn is_last(&self, batch: u64) -> bool {
        self.uncommitted.last().is_some_and(|(id, _)| *id <= batch)
    }

    /// The figures of these batches may be shown from now on.
    pub fn committed(&mut self, batch: u64) {
        let later = self.uncommitted.partition_point(|(id, _)| *id <= batch);
        let done = self.uncommitted.drain(..later);
        self.to_show.extend(done.flat_map(|(_, figures)| figures));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_once_their_batch_is_committed() {
        let mut publisher = Publisher::default();
        let figures = |watermark| Settled {
            watermark,
            ..Settled::default()
        };
        publisher.take_down(0, figures(1));
        publisher.settle_later(5, vec![0, 1]);
        publisher.take_down(0, figures(5));
        publisher.settle_later(6, vec![1]);
        publisher.take_down(1, figures(6));
        let mut shown = |batch| {
            publisher.committed(batch);
            let shown = std::mem::take(&mut publisher.to_show).into_iter();
            shown
                .map(|(index, s)| (index, s.watermark))
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(4), [], "and what belongs to no batch never is");
        assert_eq!(shown(5), [(0, 5)]);
        assert_eq!(shown(6), [(1, 6)]);
        assert_eq!(shown(6), []);
    }
}
