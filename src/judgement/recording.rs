//! What became final of one endpoint, gathered into an [`EndpointRecord`] where no history database
//! does it: simulations, raw results.

use super::state::{Change, Judge};
use super::timeline::{EndpointRecord, OutageSpan, Span, known_down};
use crate::words::{Ms, Reason};

/// Hears changes in order.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    outages: Vec<OutageSpan>,
    unknown: Vec<(Span, Reason)>,
    doubtful: Vec<Span>,
    proven: Vec<Span>,
    absent: Vec<Span>,
}

fn span(from: Ms, to: Ms) -> Span {
    Span::new(from as i64, to as i64)
}

impl Recording {
    pub fn apply(&mut self, change: &Change) {
        match *change {
            Change::Down {
                from,
                from_earliest,
                from_latest,
                ..
            } => self.outages.push(OutageSpan {
                id: self.outages.len() as u64 + 1,
                from: from as i64,
                from_earliest: from_earliest as i64,
                from_latest: from_latest as i64,
                to: None,
                to_earliest: None,
                to_latest: None,
            }),
            Change::Up {
                to,
                to_earliest,
                to_latest,
                ..
            } => self.close(to, to_earliest, to_latest),
            Change::OutageLeft { to, .. } => self.close(to, to, to),
            Change::Proven { from, to } => self.proven.push(span(from, to)),
            Change::OutOfService { from, to } => self.absent.push(span(from, to)),
            Change::FirstUp { .. } => {}
            Change::UnknownFrom { from, doubt_from } => self
                .doubtful
                .extend(doubt_from.map(|success| span(success, from))),
            Change::UnknownUntil {
                from,
                to,
                reason,
                doubt_until,
            } => {
                if to > from {
                    self.unknown.push((span(from, to), reason));
                }
                self.doubtful.extend(
                    doubt_until
                        .filter(|until| *until > to)
                        .map(|until| span(to, until)),
                );
            }
            Change::Unconfirmed { from, to } => self.doubtful.push(span(from, to)),
        }
    }

    fn close(&mut self, to: Ms, to_earliest: Ms, to_latest: Ms) {
        if let Some(open) = self.outages.last_mut().filter(|o| o.to.is_none()) {
            (open.to, open.to_earliest, open.to_latest) = (
                Some(to as i64),
                Some(to_earliest as i64),
                Some(to_latest as i64),
            );
        }
    }

    /// The record as far as the judge has settled it.
    pub fn record(&self, judge: &Judge) -> EndpointRecord {
        let settled = judge.ledger().watermark;
        let mut unknown = self.unknown.clone();
        unknown.extend(
            judge
                .open_unknown()
                .map(|(from, reason)| (span(from, settled), reason)),
        );
        let mut proven = self.proven.clone();
        proven.extend(judge.open_run().map(|(from, to)| span(from, to)));
        let unknown_spans: Vec<Span> = unknown.iter().map(|u| u.0).collect();
        EndpointRecord {
            from: judge.first_start().map(|at| at as i64),
            settled: settled as i64,
            down: known_down(&self.outages, &unknown_spans, settled as i64),
            outages: self.outages.clone(),
            unknown,
            doubtful: self.doubtful.clone(),
            proven,
            absent: self.absent.clone(),
            outside: Vec::new(),
        }
    }
}
