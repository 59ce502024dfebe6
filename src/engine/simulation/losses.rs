//! What lost probes make of an endpoint that is up.

use super::flight::Flight;
use crate::judgement::timeline::{Span, Spans};
use crate::net::clock::NS_PER_MS;

/// Runs of failures of one endpoint in which probes were lost.
#[derive(Debug, Clone, Default)]
pub(super) struct Losses {
    /// The run that is open: from the start of its first failure to the end of its last, how many,
    /// and whether one was lost.
    run: Option<(Span, u32, bool)>,
    spans: Vec<Span>,
    /// Starts before this one belong to a definition that is gone.
    pub void_before: u64,
}

impl Losses {
    /// A single failure that nothing confirms is no outage; two are, to any observer.
    pub fn end_run(&mut self) {
        if let Some((span, 2.., true)) = self.run.take() {
            self.spans.push(span);
        }
    }

    /// A probe has ended.
    pub fn note(&mut self, flight: &Flight) {
        let (start, end) = (
            (flight.start_ns / NS_PER_MS) as i64,
            flight.end_ns.div_ceil(NS_PER_MS) as i64,
        );
        match (flight.fails, &mut self.run) {
            _ if flight.seq < self.void_before => {}
            (false, _) => self.end_run(),
            (true, Some((span, count, has_lost))) => {
                (span.to, *count, *has_lost) = (end, *count + 1, *has_lost || flight.is_lost)
            }
            (true, run) => *run = Some((Span::new(start, end), 1, flight.is_lost)),
        }
    }

    pub fn spans(&self) -> Spans {
        let mut whole = self.clone();
        whole.end_run();
        Spans::new(whole.spans)
    }
}
