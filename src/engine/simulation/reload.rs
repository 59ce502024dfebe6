//! The config read again in simulated time, and what lost probes make of an endpoint that is up.

use std::sync::Arc;

use super::{Flight, NS_PER_MS, Simulation, mixed};
use crate::engine::drive::registration;
use crate::engine::inputs::Input;
use crate::judgement::rules::{Cadence, Rules};
use crate::judgement::timeline::{Span, Spans};
use crate::words::{Digest, Ms};

/// Runs of failures of one endpoint in which probes were lost.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    /// The run that is open: from the start of its first failure to the end of its last, how many,
    /// and whether one was lost.
    run: Option<(Span, u32, bool)>,
    spans: Vec<Span>,
    /// Starts before this one belong to a definition that is gone.
    pub(super) void_before: u64,
}

impl Losses {
    /// A single failure that nothing confirms is no outage; two are, to any observer.
    fn end_run(&mut self) {
        if let Some((span, 2.., true)) = self.run.take() {
            self.spans.push(span);
        }
    }

    pub fn spans(&self) -> Spans {
        let mut whole = self.clone();
        whole.end_run();
        Spans::new(whole.spans)
    }
}

impl Simulation<'_> {
    pub(super) fn note_loss(&mut self, flight: &Flight) {
        let k = self.whose[flight.endpoint];
        if !self.serves[k] || self.places[k] != flight.endpoint {
            return;
        }
        let losses = &mut self.losses[k];
        let (start, end) = (
            (flight.start_ns / NS_PER_MS) as i64,
            flight.end_ns.div_ceil(NS_PER_MS) as i64,
        );
        match (flight.fails, &mut losses.run) {
            _ if flight.seq < losses.void_before => {}
            (false, _) => losses.end_run(),
            (true, Some((span, count, has_lost))) => {
                (span.to, *count, *has_lost) = (end, *count + 1, *has_lost || flight.is_lost)
            }
            (true, run) => *run = Some((Span::new(start, end), 1, flight.is_lost)),
        }
    }

    /// Of sixteen endpoints one leaves and one has another definition; of those that had left one
    /// in two is back.
    pub(super) fn reload(&mut self, now: Ms) {
        let before = self.recorder.endpoints();
        for k in 0..self.present.len() {
            let draw = mixed(self.world.seed, k as u64, now);
            match (self.serves[k], draw % 16) {
                (false, n) if n.is_multiple_of(2) => self.come_back(k, now),
                (true, 0) => {
                    self.scheduler.remove(self.places[k]);
                    self.recorder.remove(self.places[k], now);
                    self.serves[k] = false;
                    self.losses[k].end_run();
                }
                (true, 1) => self.define_anew(k, draw, now),
                _ => {}
            }
        }
        self.look_first(before..self.recorder.endpoints(), now);
    }

    fn come_back(&mut self, k: usize, now: Ms) {
        let parked = self.parked[k].take();
        let (judge, cadence) = match parked {
            Some((cadence, judge)) => (judge, Some(cadence)),
            None => (
                self.recorder.take_over(self.places[k]).0,
                Some(self.present[k].rules.cadence),
            ),
        };
        self.serves[k] = true;
        self.recorder
            .serve(k as i64 + 1, registration(&self.present[k]));
        let index = self.place(k, judge, cadence, now);
        self.recorder.tell(index, Input::ResumeService(now), now);
        self.recorder.tell(index, Input::Start(now), now);
    }

    /// Another expectation, and another pace of repetitions.
    fn define_anew(&mut self, k: usize, draw: u64, now: Ms) {
        let mut after = (*self.present[k]).clone();
        let Cadence {
            timeout,
            retry_interval,
            ..
        } = self.plan.endpoints[k].rules.cadence;
        let other = after.rules.cadence.retry_interval == retry_interval;
        let pace = if other {
            (timeout / 2, 2 * retry_interval)
        } else {
            (timeout, retry_interval)
        };
        after.rules = Rules::new(Cadence {
            timeout: pace.0,
            retry_interval: pace.1,
            ..after.rules.cadence
        });
        after.digest = Digest::from_short(draw);
        self.present[k] = Arc::new(after);
        let (index, after) = (self.places[k], self.present[k].clone());
        self.scheduler.change(
            index,
            &after.name,
            &self.plan.daemon.vantage,
            after.host(),
            after.rules,
            now * NS_PER_MS,
        );
        let next_seq = self.scheduler.next_seq(index);
        self.recorder.change_definition(index, after, next_seq, now);
        self.losses[k].end_run();
        self.losses[k].void_before = next_seq;
    }
}
