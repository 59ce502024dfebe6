//! The tables of a history, of one simulated endpoint and in memory.

use crate::history::event::Projection;
use crate::judgement::state::Judge;
use crate::judgement::timeline::{EndpointRecord, OutageSpan, Span, known_down};
use crate::words::{Ms, Reason};

/// Tables of one endpoint as the events tell them.
#[derive(Default)]
pub(super) struct Tables {
    outages: Vec<OutageSpan>,
    unknown: Vec<(Span, Reason)>,
    doubtful: Vec<Span>,
    proven: Vec<Span>,
    absent: Vec<Span>,
}

impl Tables {
    /// What follows from an event with this number.
    pub fn keep(&mut self, projection: Projection, number: u64) {
        let span = |from: Ms, to: Ms| Span::new(from as i64, to as i64);
        match projection {
            Projection::OutageOpened {
                from,
                from_earliest,
                from_latest,
                ..
            } => self.outages.push(OutageSpan {
                id: number,
                from: from as i64,
                from_earliest: from_earliest as i64,
                from_latest: from_latest as i64,
                to: None,
                to_earliest: None,
                to_latest: None,
            }),
            Projection::OutageClosed {
                to,
                to_earliest,
                to_latest,
            } => {
                if let Some(open) = self.outages.last_mut().filter(|o| o.to.is_none()) {
                    (open.to, open.to_earliest, open.to_latest) = (
                        Some(to as i64),
                        Some(to_earliest as i64),
                        Some(to_latest as i64),
                    );
                }
            }
            Projection::Unknown { from, to, reason } => {
                let reason = Reason::parse(&reason).unwrap_or(Reason::Internal);
                self.unknown.push((span(from, to), reason));
            }
            Projection::Doubtful { from, to } => self.doubtful.push(span(from, to)),
            Projection::Proven { from, to } => self.proven.push(span(from, to)),
            Projection::Absent { from, to } => self.absent.push(span(from, to)),
            _ => {}
        }
    }

    /// The record as a history would read it, with what the judge has open.
    pub fn record(&self, judge: &Judge) -> EndpointRecord {
        let settled = judge.ledger().watermark as i64;
        let mut unknown = self.unknown.clone();
        unknown.extend(
            judge
                .open_unknown()
                .map(|(from, why)| (Span::new(from as i64, settled), why)),
        );
        let mut proven = self.proven.clone();
        proven.extend(judge.open_run().map(|(a, b)| Span::new(a as i64, b as i64)));
        let spans: Vec<Span> = unknown.iter().map(|u| u.0).collect();
        EndpointRecord {
            from: judge.first_start().map(|at| at as i64),
            settled,
            down: known_down(&self.outages, &spans, settled),
            outages: self.outages.clone(),
            unknown,
            doubtful: self.doubtful.clone(),
            proven,
            absent: self.absent.clone(),
            outside: Vec::new(),
        }
    }
}
