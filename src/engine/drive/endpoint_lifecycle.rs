//! Endpoints come and go: at the start, and with each reload of the config.
//!
//! What a reload does not change keeps its slots, state, counters and histograms.

use std::collections::HashMap;
use std::sync::Arc;

use super::Driver;
use super::commands::{Arrival, NewPlan, ReloadSummary};
use crate::config::plan::{Endpoint, Plan};
use crate::engine::board::{Entry, Settled};
use crate::engine::inputs::Input;
use crate::engine::registration::registration;
use crate::history::event::{
    EndpointAddedEvent, EndpointComponentEvent, EndpointRenamedEvent, ReloadedEvent,
};
use crate::history::tally::{tally_counts, tally_latency, tally_longest_blind};
use crate::judgement::counts::Slots;
use crate::judgement::latency::LastHour;
use crate::judgement::rules::Cadence;
use crate::judgement::schedule::first_probe_delay_ns;
use crate::judgement::state::Judge;
use crate::net::apart;
use crate::net::clock::NS_PER_MS;
use crate::words::Ms;

/// What there was of an endpoint before it arrived.
struct WhatWas {
    judge: Judge,
    /// Slots, re-probes and latency of an hour that began before the endpoint left this process.
    hour: Option<(Slots, u64, LastHour)>,
    /// The cadence that was stored with the judge.
    stored_cadence: Option<Cadence>,
    /// The cadence that the events tell.
    cadence: Option<Cadence>,
    shown: Option<Settled>,
}

impl Driver {
    /// Takes endpoints into service; those that nothing vouches for are looked at first, evenly
    /// spread.
    fn arrive(&mut self, arrivals: Vec<Arrival>) {
        let boot_ns = self.clock.boot_ns();
        let (now_ns, now) = (self.timeline.ns(boot_ns), self.timeline.ms(boot_ns));
        let indices: Vec<usize> = arrivals
            .into_iter()
            .map(|arrival| self.take_in(arrival, (now_ns, now)))
            .collect();
        // A hundred thousand take their time: what was due meanwhile is not late, it had not begun.
        let now_ns = self.timeline.ns(self.clock.boot_ns());
        for index in &indices {
            self.scheduler.begin_from(*index, now_ns);
        }
        self.look_at_first(&indices, now_ns);
    }

    /// Takes one endpoint into service: its place in the schedule, its judge, and the events that
    /// tell of it.
    fn take_in(&mut self, mut arrival: Arrival, (now_ns, now): (u64, Ms)) -> usize {
        if let Some(news) = arrival.news.take() {
            self.recorder.serve(arrival.id, news);
        }
        let e = arrival.endpoint.clone();
        let index = self
            .scheduler
            .add(&e.name, &self.vantage, e.host(), e.rules, now_ns);
        let before = self.before(&mut arrival);
        let is_known = before.judge.first_start().is_some();
        let utc = now as i64 + self.recorder.offset_ms;
        self.recorder.add(
            arrival.id,
            Arc::new(Entry::new(index, e.clone(), utc)),
            before.judge,
            arrival
                .digest_before
                .filter(|_| is_known)
                .unwrap_or(e.digest),
            before.stored_cadence,
            now,
        );
        if let Some((slots, reprobes, hour)) = before.hour {
            self.recorder.carry_hour(index, slots, reprobes);
            self.recorder.entry(index).view().hour = hour;
        }
        self.by_name.insert(e.name.clone(), index);
        if is_known {
            self.recorder.publish_restored(index, before.shown);
        }
        self.record_arrival(index, &arrival, before.cadence, now);
        self.recorder.apply_input(index, Input::Start(now), now);
        // One that was never in service is told as it is now.
        if is_known && arrival.digest_before.is_some_and(|d| d != e.digest) {
            self.recorder.change_definition(index, e, 1, now);
        }
        self.recorder
            .show_next_slot(index, self.scheduler.next_slot_ns(index) / NS_PER_MS);
        self.recorder.update_windows_of(index, now);
        index
    }

    /// What an endpoint goes on with: the judge of the history, of a time out of service, or of
    /// this process before the endpoint left it.
    fn before(&mut self, arrival: &mut Arrival) -> WhatWas {
        let parked = self.parked.remove(&arrival.id);
        let left = self.retired.remove(&arrival.id);
        // What readers saw of it last: its judge may be ahead of what is committed.
        let shown = left.map(|index| self.recorder.entry(index).view().shown.settled);
        let cadence_left =
            left.map(|index| self.recorder.entry(index).endpoint.load().rules.cadence);
        let earlier = left.map(|index| self.recorder.take_over(index));
        if earlier.is_some() {
            // It had left in a batch that may not be written yet: what follows it says that it is
            // back.
            self.recorder
                .serve(arrival.id, registration(&arrival.endpoint));
        }
        let (mut judge, mut stored_cadence) = (arrival.judge.take(), arrival.cadence);
        if let (None, Some((before, kept))) = (&judge, parked) {
            (judge, stored_cadence) = (Some(kept), Some(before));
        }
        let (judge, hour) = match (judge, earlier) {
            (Some(judge), _) => (judge, None),
            (None, Some((judge, slots, reprobes, hour))) => (judge, Some((slots, reprobes, hour))),
            (None, None) => (Judge::default(), None),
        };
        WhatWas {
            judge,
            hour,
            stored_cadence,
            cadence: stored_cadence.or(cadence_left),
            shown,
        }
    }

    /// The events of an arrival: new, renamed, moved, with another cadence, back in service.
    fn record_arrival(
        &mut self,
        index: usize,
        arrival: &Arrival,
        cadence: Option<Cadence>,
        now: Ms,
    ) {
        let e = &arrival.endpoint;
        let is_known = self.recorder.judge(index).first_start().is_some();
        if !is_known {
            let added = EndpointAddedEvent {
                component: e.component.to_string(),
                probe: Some(e.probe.kind().as_str().to_owned()),
                target: Some(e.target()),
                digest: Some(e.digest.to_string()),
                ..EndpointAddedEvent::default()
            };
            let added = added.every(&e.rules.cadence);
            let _ = self.recorder.event_of(index, now, added);
        }
        if let (true, Some(before)) = (arrival.renamed, &e.renamed_from) {
            self.recorder.rename_in_windows(before, &e.name);
            let from = before.to_string();
            let renamed = EndpointRenamedEvent { from };
            let _ = self.recorder.event_of(index, now, renamed);
        }
        if let (true, Some(before)) = (is_known, &arrival.component_before) {
            let moved = EndpointComponentEvent {
                component: e.component.to_string(),
                before: before.clone(),
            };
            let _ = self.recorder.event_of(index, now, moved);
        }
        if is_known && cadence.is_some_and(|before| before != e.rules.cadence) {
            self.recorder.record_cadence(index, &e.rules.cadence, now);
        }
        if is_known && !arrival.was_in_service {
            self.recorder
                .apply_input(index, Input::ResumeService(now), now);
        }
    }

    /// Probes before the first slot, for what a restart interrupted and what nothing vouches for.
    fn look_at_first(&mut self, indices: &[usize], now_ns: u64) {
        let next_slot = |index: usize| self.scheduler.next_slot_ns(index) / NS_PER_MS;
        let needs_one = |index: &usize| self.recorder.needs_first_probe(*index, next_slot(*index));
        let unvouched: Vec<usize> = indices.iter().copied().filter(needs_one).collect();
        for index in indices {
            if self.recorder.is_undecided(*index) {
                let retry_ms = self.recorder.cadence(*index).retry_interval;
                self.scheduler
                    .reprobe(*index, now_ns + retry_ms * NS_PER_MS);
            }
        }
        for (rank, index) in unvouched.iter().enumerate() {
            let interval = self.recorder.cadence(*index).interval;
            let delay_ns = first_probe_delay_ns(interval, rank, unvouched.len());
            self.scheduler.reprobe(*index, now_ns + delay_ns);
        }
    }

    /// Takes the endpoints of a start into service, and shows them.
    pub(super) fn begin(&mut self, arrivals: Vec<Arrival>) {
        self.arrive(arrivals);
        let plan = self.board.plan.load_full();
        self.show_entries(&plan, Vec::new());
    }

    /// Latency and slots of the hours that a restart interrupted.
    pub(super) fn put_back(&mut self, tallies: &[(i64, i64, Vec<u8>)]) {
        let now = self.now_ms();
        let by_id: HashMap<i64, usize> = (0..self.recorder.endpoints())
            .map(|index| (self.recorder.id(index), index))
            .collect();
        // What the present hour began with is what the one before ended with.
        let present = tallies.iter().filter(|(_, hour, _)| *hour == self.hour);
        let began: HashMap<i64, Slots> = present
            .filter_map(|(id, _, body)| Some((*id, tally_counts(body)?.0)))
            .collect();
        for (id, hour, body) in tallies {
            let Some(index) = by_id.get(id).copied() else {
                continue;
            };
            let at = hour * 3_600_000;
            let mut view = self.recorder.entry(index).view();
            for (series, buckets) in tally_latency(body) {
                for (value, count) in buckets {
                    view.hour.restore(at, series, value, count);
                }
            }
            drop(view);
            let Some((slots_before, reprobes)) = tally_counts(body) else {
                continue;
            };
            match self.hour - hour {
                0 => self.recorder.carry_hour(index, slots_before, reprobes),
                1 => {
                    let stored = tally_longest_blind(body).unwrap_or(0);
                    self.recorder.carry_last_hour(
                        index,
                        (slots_before, reprobes, stored),
                        began.get(id).copied(),
                        now,
                    );
                    self.closing = Some((*hour, 0));
                }
                _ => {}
            }
        }
    }

    /// Puts the endpoints on the board, in the order of the plan; `shown`: what is on it already.
    fn show_entries(&self, plan: &Plan, shown: Vec<Option<Arc<Entry>>>) {
        let mut shown = shown.into_iter();
        let entry = |e: &Arc<Endpoint>| {
            shown.next().flatten().or_else(|| {
                self.by_name
                    .get(&e.name)
                    .map(|index| self.recorder.entry(*index).clone())
            })
        };
        self.board
            .set_entries(plan.endpoints.iter().filter_map(entry).collect());
    }

    /// Touches only what has changed: the rest keeps slots, state, counters and histograms.
    pub(super) fn reload(&mut self, new: NewPlan) -> ReloadSummary {
        let NewPlan {
            plan,
            endpoints,
            leaving,
            shown,
            unchanged,
            limits,
            definitions,
        } = new;
        let boot_ns = self.clock.boot_ns();
        let (now_ns, now) = (self.timeline.ns(boot_ns), self.timeline.ms(boot_ns));
        let mut summary = ReloadSummary {
            unchanged,
            ..ReloadSummary::default()
        };
        self.scheduler.set_limits(limits);
        self.commit_within_ns = plan.commit_within() * NS_PER_MS;
        self.net.forget_specs();
        self.recorder.configure(plan.notify.clone(), &plan.metrics);
        let mut coming = Vec::new();
        for arrival in endpoints {
            let name = arrival.endpoint.name.clone();
            let Some(index) = self.by_name.get(&name).copied() else {
                let old = arrival
                    .endpoint
                    .renamed_from
                    .as_ref()
                    .filter(|_| arrival.renamed);
                if let Some(index) = old.and_then(|old| self.by_name.remove(old)) {
                    self.scheduler.remove(index);
                    self.recorder.retire(index);
                    self.retired.insert(arrival.id, index);
                }
                coming.push(arrival);
                continue;
            };
            self.change(index, arrival, (now_ns, now));
            summary.changed += 1;
        }
        for name in leaving {
            // One that goes on under another name has left already.
            let Some(index) = self.by_name.remove(&name) else {
                continue;
            };
            summary.removed += 1;
            self.scheduler.remove(index);
            self.recorder.remove(index, now);
            self.retired.insert(self.recorder.id(index), index);
        }
        summary.added = coming.len();
        self.arrive(coming);
        self.show_entries(&plan, shown);
        self.recorder
            .set_witnesses(&plan.witness, now, &mut self.wanted);
        self.recorder.record_results_of(&plan.contracts, now);
        self.recorder.reconcile_windows(&plan.maintenance, now);
        self.recorder.record_definitions(&definitions, now);
        // A hundred thousand old endpoints are given back where nobody waits for it.
        let old = self.board.plan.swap(plan);
        apart::sometime(move || drop(old));
        let reloaded = ReloadedEvent {
            added: summary.added as u64,
            removed: summary.removed as u64,
            changed: summary.changed as u64,
        };
        let _ = self.recorder.event(now, reloaded);
        summary
    }

    /// Another definition of an endpoint that runs.
    fn change(&mut self, index: usize, arrival: Arrival, (now_ns, now): (u64, Ms)) {
        let (before, after) = (
            self.recorder.entry(index).endpoint.load_full(),
            arrival.endpoint,
        );
        if let Some(news) = arrival.news {
            self.recorder.serve(arrival.id, news);
        }
        self.scheduler.change(
            index,
            &after.name,
            &self.vantage,
            after.host(),
            after.rules,
            now_ns,
        );
        let next_seq = self.scheduler.next_seq(index);
        let moved = (before.component != after.component).then(|| EndpointComponentEvent {
            component: after.component.to_string(),
            before: before.component.to_string(),
        });
        self.recorder.change_definition(index, after, next_seq, now);
        if let Some(moved) = moved {
            let _ = self.recorder.event_of(index, now, moved);
            self.recorder.update_windows_of(index, now);
        }
    }
}
