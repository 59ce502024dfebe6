//! What happens to a simulated daemon itself, and what it does then.

use std::cmp::Reverse;
use std::sync::Arc;

use super::flight::Flight;
use super::world::Incident;
use super::{Simulation, trigger_of};
use crate::engine::board::Board;
use crate::engine::inputs::Input;
use crate::engine::recorder::Recorder;
use crate::engine::scheduler::{InFlightLimits, Scheduler};
use crate::judgement::state_codec::encode_with;
use crate::net::clock::NS_PER_MS;
use crate::words::{Ms, Outcome, Reason};

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProcessEnd {
    InOrder,
    Killed,
}

impl Simulation<'_> {
    pub(super) fn suffer(&mut self, incident: Incident) {
        match incident {
            Incident::ClockStep { by, .. } => {
                self.offset_ms += by;
                self.recorder.offset_ms = self.offset_ms;
            }
            Incident::Suspended { to, .. } => {
                // What was in flight ends late, by its own timeout; the scheduler finds its slots
                // missed.
                let flying = std::mem::take(&mut self.flying).into_sorted_vec();
                for Reverse(Flight {
                    endpoint,
                    seq,
                    start_ns,
                    slot,
                    ..
                }) in flying.into_iter().rev()
                {
                    self.scheduler.ended(endpoint);
                    let outcome = Outcome::Unmeasured {
                        reason: Reason::Suspended,
                        detail: String::new(),
                    };
                    self.probe_ended(
                        endpoint,
                        seq,
                        start_ns,
                        (to * NS_PER_MS).max(start_ns),
                        outcome,
                        trigger_of(slot),
                    );
                }
                self.place_wishes();
                self.depart(to * NS_PER_MS);
            }
            Incident::Reload { at } => self.reload(at),
            Incident::Killed { from, to } => self.restart(from, to, ProcessEnd::Killed),
            Incident::Stopped { from, to } => self.restart(from, to, ProcessEnd::InOrder),
        }
        while self.next_batch_at() <= incident.over() {
            self.batch += 1;
        }
    }

    /// The process goes and another comes, with the judges as they were at the last mark.
    fn restart(&mut self, from: Ms, to: Ms, ending: ProcessEnd) {
        if ending == ProcessEnd::InOrder {
            let flying = std::mem::take(&mut self.flying).into_sorted_vec();
            for Reverse(Flight {
                endpoint,
                seq,
                start_ns,
                slot,
                ..
            }) in flying.into_iter().rev()
            {
                let outcome = Outcome::Unmeasured {
                    reason: Reason::NotRunning,
                    detail: String::new(),
                };
                self.probe_ended(
                    endpoint,
                    seq,
                    start_ns,
                    (from * NS_PER_MS).max(start_ns),
                    outcome,
                    trigger_of(slot),
                );
            }
            for k in (0..self.present.len()).filter(|k| self.serves[*k]) {
                self.recorder
                    .apply_input(self.places[k], Input::Stop(from), from);
            }
        }
        self.close(from);
        self.flying.clear();
        self.wanted.clear();
        let stored = (0..self.present.len())
            .map(|k| Some(encode_with(&self.present[k].rules.cadence, self.judge(k))))
            .collect();
        self.board = Arc::new(Board::new(self.board.plan.load_full()));
        self.recorder = Recorder::new(self.board.clone(), self.offset_ms, self.last_batch, to);
        self.scheduler = Scheduler::new(InFlightLimits {
            total: usize::MAX,
            per_host: usize::MAX,
        });
        self.start(stored, to);
    }
}
