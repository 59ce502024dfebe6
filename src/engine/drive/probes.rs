//! Probes from their start to their report, and rounds of witnesses.

use std::sync::atomic::Ordering;

use super::probe_task::{Done, Finished, PanicGuarded, of_witness};
use super::{Driver, LATENESS_BOUNDS_US, Running};
use crate::engine::recorder::{Confirming, Probed, SlotOutcome};
use crate::engine::scheduler::DueAction;
use crate::judgement::fault;
use crate::kind;
use crate::net::clock::NS_PER_MS;
use crate::words::ProbeTrigger;

impl Driver {
    pub(super) fn act(&mut self, due: DueAction) {
        match due {
            DueAction::Launch {
                endpoint,
                seq,
                due_ns,
                trigger,
            } => self.launch(endpoint, seq, due_ns, trigger),
            DueAction::Busy {
                endpoint,
                seq,
                due_ns,
            } => {
                let at = due_ns / NS_PER_MS;
                self.recorder.step(
                    endpoint,
                    seq,
                    SlotOutcome::Busy { at },
                    self.now_ms(),
                    &mut self.wanted,
                );
            }
            DueAction::Missed {
                endpoint,
                seq,
                due_ns,
                reason,
                count,
            } => {
                let at = due_ns / NS_PER_MS;
                let late_after = self.recorder.cadence(endpoint).late_after;
                let stalled = self.stalled(
                    self.timeline.boot_ns(due_ns),
                    self.clock.boot_ns(),
                    late_after,
                );
                let reason = fault::of_missed(reason, stalled);
                self.recorder.step(
                    endpoint,
                    seq,
                    SlotOutcome::Missed { at, reason, count },
                    self.now_ms(),
                    &mut self.wanted,
                );
            }
        }
    }

    fn launch(&mut self, endpoint: usize, seq: u64, due_ns: u64, trigger: ProbeTrigger) {
        let (net, reports) = (self.net.clone(), self.reports.clone());
        let target = self.recorder.entry(endpoint).endpoint.load_full();
        let (clock, timeline) = (self.clock.clone(), self.timeline);
        let start = self.now_ms();
        let task = tokio::task::spawn_local(async move {
            let report = PanicGuarded(Box::pin(kind::run::run(&net, &target))).await;
            let ended_ns = timeline.ns(clock.boot_ns());
            let _ = reports.send(Finished::Probe(Done {
                endpoint,
                seq,
                due_ns,
                trigger,
                report,
                ended_ns,
            }));
        });
        self.running.insert(
            (endpoint, seq),
            Running {
                start,
                trigger,
                abort: task.abort_handle(),
            },
        );
        self.board
            .health
            .in_flight
            .store(self.scheduler.in_flight(), Ordering::Relaxed);
    }

    pub(super) fn finished(&mut self, finished: Finished) {
        match finished {
            Finished::Probe(done) => self.done(done),
            Finished::Witness {
                round,
                witness,
                outcome,
            } => self
                .recorder
                .witnessed(round, witness, &outcome, self.now_ms(), &mut self.wanted),
        }
    }

    /// Asks all witnesses at once when a round of them is due.
    pub(super) fn ask_witnesses(&mut self) {
        let Some(round) = self.recorder.begin_round(self.now_ms()) else {
            return;
        };
        for (witness, endpoint) in self
            .board
            .plan
            .load()
            .witness
            .endpoints
            .iter()
            .cloned()
            .enumerate()
        {
            let (net, reports) = (self.net.clone(), self.reports.clone());
            tokio::task::spawn_local(async move {
                let report = PanicGuarded(Box::pin(kind::run::run(&net, &endpoint))).await;
                let _ = reports.send(Finished::Witness {
                    round,
                    witness,
                    outcome: of_witness(endpoint.probe.kind(), report.outcome),
                });
            });
        }
    }

    fn done(&mut self, done: Done) {
        self.running.remove(&(done.endpoint, done.seq));
        self.scheduler.ended(done.endpoint);
        let started_ns = self.timeline.ns(done.report.started_ns);
        if done.trigger == ProbeTrigger::Slot {
            self.count_lateness(started_ns.saturating_sub(done.due_ns) / 1000);
        }
        let cadence = self.recorder.cadence(done.endpoint);
        let stalled = self.stalled(
            done.report.started_ns,
            done.report.stood_ns,
            cadence.late_after,
        );
        let took_ns = done.report.stood_ns.saturating_sub(done.report.started_ns);
        let held_up = fault::held_up(stalled, took_ns, cadence.timeout + done.report.given_ms);
        // Rounded apart: what lies between two results must never look shorter than it was.
        let end_ms = done.ended_ns.div_ceil(NS_PER_MS);
        let slot_outcome = SlotOutcome::Probe(Probed {
            trigger: done.trigger,
            due: Some(done.due_ns / NS_PER_MS),
            start: started_ns / NS_PER_MS,
            end: end_ms,
            report: Box::new(done.report),
            held_up,
            confirming: Confirming::NotYet,
        });
        self.recorder.step(
            done.endpoint,
            done.seq,
            slot_outcome,
            end_ms,
            &mut self.wanted,
        );
        self.recorder.show_next_slot(
            done.endpoint,
            self.scheduler.next_slot_ns(done.endpoint) / NS_PER_MS,
        );
    }

    pub(super) fn place_wishes(&mut self) {
        for wish in self.wanted.drain(..) {
            self.scheduler.reprobe(wish.endpoint, wish.at * NS_PER_MS);
        }
    }

    fn count_lateness(&self, us: u64) {
        let at = LATENESS_BOUNDS_US.partition_point(|bound| *bound < us);
        self.gauges.lateness[at].fetch_add(1, Ordering::Relaxed);
        self.gauges.lateness_sum_us.fetch_add(us, Ordering::Relaxed);
    }
}
