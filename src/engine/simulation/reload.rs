//! The config read again in simulated time.

use std::sync::Arc;

use super::Simulation;
use super::world::mixed;
use crate::engine::inputs::Input;
use crate::engine::registration::registration;
use crate::judgement::rules::{Cadence, Rules};
use crate::net::clock::NS_PER_MS;
use crate::words::{Digest, Ms};

impl Simulation<'_> {
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
        self.recorder
            .apply_input(index, Input::ResumeService(now), now);
        self.recorder.apply_input(index, Input::Start(now), now);
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
