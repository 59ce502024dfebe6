//! The judge of one endpoint: turns its probe results, in order of their starts, into states,
//! outages, bounds and settled time.
//!
//! The recorder calls [`Judge::observe`], [`Judge::busy`], [`Judge::tick`], [`Judge::start`] and
//! [`Judge::stop`] with times of the daemon's timeline that never go back. What must be told to the
//! world comes back as [`Change`]s. Nothing here reads a clock, and the same calls give the same
//! answers.
//!
//! The idea: results whose meaning is open (failures not yet confirmed, successes that do not yet
//! end an outage) wait in `pending`; everything before them is settled into the ledger for good,
//! and nothing after is.

use super::counts::{Base, Slots, Transitions};
use super::ledger::{Doubt, Ledger};
use super::rules::{Rules, midpoint};
use super::unsettled::{Link, Notes, OpenOutage, Pending, Run, Vouch};
use crate::words::{Cause, Ms, Reason, StateName};

/// What a probe result means to the judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultKind {
    Success,
    Failure(Cause),
    Unmeasured(Reason),
}

/// One probe result: it ran from `start` to `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeResult {
    pub start: Ms,
    pub end: Ms,
    pub kind: ResultKind,
    /// True for a slot of the schedule, false for a re-probe.
    pub slot: bool,
}

/// Something that became final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// An outage is confirmed. `from` is the point estimate; it began between `from_earliest` and
    /// `from_latest`.
    Down {
        from: Ms,
        from_earliest: Ms,
        from_latest: Ms,
        confirmed_at: Ms,
        cause: Cause,
    },
    /// The outage that had begun at `from` has ended.
    Up {
        from: Ms,
        to: Ms,
        to_earliest: Ms,
        to_latest: Ms,
        lower: Ms,
        down: Ms,
    },
    /// The endpoint left service while an outage was open: it is known to have lasted until `to`,
    /// and nothing came up.
    OutageLeft {
        from: Ms,
        to: Ms,
        lower: Ms,
        down: Ms,
    },
    /// A run of failures has ended: surely down between these instants.
    Proven { from: Ms, to: Ms },
    /// The endpoint was out of service in this time, which counts nowhere.
    OutOfService { from: Ms, to: Ms },
    /// The first success of all.
    FirstUp { at: Ms },
    /// Time has become unknown from here; `doubt_from` is the start of the success that vouched
    /// last, if one did.
    UnknownFrom { from: Ms, doubt_from: Option<Ms> },
    /// The unknown stretch is over; known time after it is doubtful until `doubt_until` if a
    /// success ended it.
    UnknownUntil {
        from: Ms,
        to: Ms,
        reason: Reason,
        doubt_until: Option<Ms>,
    },
    /// Failures that were not confirmed: the time between may have been down.
    Unconfirmed { from: Ms, to: Ms },
}

/// The judge of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judge {
    pub(super) first_start: Option<Ms>,
    pub(super) base: Base,
    pub(super) ledger: Ledger,
    pub(super) lower_closed: Ms,
    pub(super) run: Option<Run>,
    /// The last known state: `Some(true)` is up.
    pub(super) known_up: Option<bool>,
    pub(super) last: Option<Vouch>,
    pub(super) pending: Vec<Pending>,
    pub(super) notes: Notes,
    /// Where the open stretch of unknown time began.
    pub(super) unknown_from: Option<Ms>,
    pub(super) outage: Option<OpenOutage>,
    pub(super) slots: Slots,
    pub(super) transitions: Transitions,
    /// The longest time from the start of a measured result to the end of the next, over whole
    /// gaps.
    pub(super) longest_blind: Ms,
    /// The same since [`Judge::begin_blind`]; a restart may reach further back.
    pub(super) blind_lately: Ms,
    /// Since when the state is what it is, and when it last changed, by the point estimate; unlike
    /// outages these say nothing that settles.
    pub(super) since: Option<Ms>,
    pub(super) changed_at: Option<Ms>,
}

impl Judge {
    // ---- what happens

    /// The daemon runs and has the endpoint in service from `at` on.
    pub fn start(&mut self, rules: &Rules, at: Ms, out: &mut Vec<Change>) {
        if self.first_start.is_none() {
            self.begin(at, out);
            return;
        }
        // It had left service, and its return was not recorded.
        if self.last.is_none() && self.pending.is_empty() && self.unknown_from.is_none() {
            self.resume_service(at, out);
            return;
        }
        self.notes.started_at = Some(at);
        self.tick(rules, at, out);
    }

    /// The daemon ended, or was last seen alive, at `at`.
    pub fn stop(&mut self, rules: &Rules, at: Ms, out: &mut Vec<Change>) {
        self.tick(rules, at, out);
    }

    /// Time has passed up to `now`, and every probe that started before is judged.
    pub fn tick(&mut self, rules: &Rules, now: Ms, out: &mut Vec<Change>) {
        if let Some(latest_end) = self.pending.iter().map(|p| p.vouch.end).max() {
            if now <= latest_end + rules.window {
                return;
            }
            if self.pending.iter().any(|p| p.cause.is_some()) {
                self.drop_pending();
            } else {
                self.release_up_within(rules, out);
            }
        }
        if self.unknown_from.is_some() {
            self.ledger.settle(now, StateName::Unknown, Doubt::Carried);
        } else if let Some(last) = self.last
            && now > last.until_from + rules.gap
        {
            self.open_unknown_after(rules, last, self.notes, out);
            self.ledger.settle(now, StateName::Unknown, Doubt::Carried);
        }
    }

    /// A slot was missed because as many probes as allowed were in flight: it counts like the start
    /// before it.
    pub fn busy(&mut self, rules: &Rules, at: Ms, out: &mut Vec<Change>) {
        self.tick(rules, at, out);
        self.slots.missed += 1;
        if self.notes.unmeasured || self.unknown_from.is_some() && self.pending.is_empty() {
            return;
        }
        let vouch = self
            .pending
            .last_mut()
            .map(|p| &mut p.vouch)
            .or(self.last.as_mut());
        if let Some(vouch) = vouch {
            vouch.until_from = vouch.until_from.max(at);
        }
    }

    /// Slots were missed for the daemon's own limits, the last of them at `at`; that time is
    /// unknown unless the next result is within the gap.
    pub fn missed(
        &mut self,
        rules: &Rules,
        at: Ms,
        reason: Reason,
        count: u64,
        out: &mut Vec<Change>,
    ) {
        self.tick(rules, at, out);
        self.slots.missed += count;
        self.note_unmeasured(reason);
    }

    /// The result of a probe; results come in order of their starts.
    pub fn observe(&mut self, rules: &Rules, result: ProbeResult, out: &mut Vec<Change>) {
        if self.first_start.is_none() {
            self.begin(result.start, out);
        }
        self.tick(rules, result.start, out);
        let vouch = Vouch {
            start: result.start,
            end: result.end.max(result.start),
            until_from: result.start,
        };
        match result.kind {
            ResultKind::Unmeasured(reason) => {
                self.slots.unmeasured += u64::from(result.slot);
                self.note_unmeasured(reason);
            }
            ResultKind::Success => {
                self.slots.success += u64::from(result.slot);
                self.success(rules, vouch, out);
            }
            ResultKind::Failure(cause) => self.failure(rules, vouch, cause, result.slot, out),
        }
    }

    // ---- how it is judged

    fn begin(&mut self, at: Ms, out: &mut Vec<Change>) {
        self.first_start = Some(at);
        self.ledger.begin(at);
        self.unknown_from = Some(at);
        self.notes = Notes {
            reason: Some(Reason::Starting),
            ..Notes::default()
        };
        out.push(Change::UnknownFrom {
            from: at,
            doubt_from: None,
        });
    }

    fn note_unmeasured(&mut self, reason: Reason) {
        self.notes.reason = self.notes.reason.or(Some(reason));
        self.notes.unmeasured = true;
    }

    fn success(&mut self, rules: &Rules, vouch: Vouch, out: &mut Vec<Change>) {
        if self.known_up == Some(false) {
            self.push_pending(vouch, false, None);
            if self.pending.len() as u32 >= rules.cadence.up_after {
                self.release_up_within(rules, out);
            }
            return;
        }
        if self.notes.dropped || self.pending.iter().any(|p| p.before.dropped) {
            self.open_unknown_at_last(out);
        }
        if self.pending.is_empty() {
            let before = std::mem::take(&mut self.notes);
            self.stay_up(rules, vouch, before, out);
        } else {
            self.unconfirm(rules, vouch, out);
        }
    }

    /// A success while up, or the first after unknown time.
    fn stay_up(&mut self, rules: &Rules, vouch: Vouch, before: Notes, out: &mut Vec<Change>) {
        if self.link(rules, vouch.start, before, Some(vouch.end), out) == Link::Whole {
            self.ledger
                .settle(vouch.start, StateName::Up, Doubt::Carried);
            self.saw_whole_gap(vouch.end);
        } else {
            self.ledger.doubt(vouch.end);
        }
        if self.known_up.is_none() {
            self.transitions.up += 1;
            out.push(Change::FirstUp { at: vouch.start });
        }
        self.known_up = Some(true);
        self.last = Some(vouch);
    }

    /// A success after failures that were too few: no outage, but doubt.
    fn unconfirm(&mut self, rules: &Rules, vouch: Vouch, out: &mut Vec<Change>) {
        let from = self
            .last
            .map(|v| v.start)
            .or(self.unknown_from)
            .or(self.first_start)
            .unwrap_or(vouch.start);
        let pending = std::mem::take(&mut self.pending);
        let before = std::mem::take(&mut self.notes);
        self.slots.unconfirmed += pending.iter().filter(|p| p.slot).count() as u64;
        out.push(Change::Unconfirmed {
            from,
            to: vouch.end,
        });
        if self.last.is_none() {
            let all = pending
                .iter()
                .fold(Notes::default(), |n, p| n.and(p.before))
                .and(before);
            self.stay_up(rules, vouch, all, out);
            return;
        }
        for p in &pending {
            self.pass_doubtful(rules, p.vouch, p.before, None, out);
        }
        self.pass_doubtful(rules, vouch, before, Some(vouch.end), out);
        self.ledger.doubt(vouch.end);
        self.known_up = Some(true);
    }

    /// Settles to a result inside an unconfirmed span: up, but doubtful.
    fn pass_doubtful(
        &mut self,
        rules: &Rules,
        vouch: Vouch,
        before: Notes,
        doubt: Option<Ms>,
        out: &mut Vec<Change>,
    ) {
        if self.link(rules, vouch.start, before, doubt, out) == Link::Whole {
            self.ledger.settle(vouch.start, StateName::Up, Doubt::Whole);
            self.saw_whole_gap(vouch.end);
        }
        self.last = Some(vouch);
    }

    fn failure(
        &mut self,
        rules: &Rules,
        vouch: Vouch,
        cause: Cause,
        slot: bool,
        out: &mut Vec<Change>,
    ) {
        if self.known_up == Some(false) {
            self.slots.failure += u64::from(slot);
            let successes = std::mem::take(&mut self.pending);
            let before = std::mem::take(&mut self.notes);
            for p in successes {
                self.pass_down(rules, p.vouch, p.before, out);
                self.close_run(out);
            }
            self.pass_down(rules, vouch, before, out);
            self.extend_run(vouch);
            return;
        }
        self.push_pending(vouch, slot, Some(cause));
        if self.pending.len() as u32 >= rules.cadence.down_after {
            self.confirm(rules, vouch.end, out);
        }
    }

    /// As many failures in a row as `down_after`: the outage began before the first of them. A
    /// probe that fails slowly found the endpoint down when it started, so the estimate lies in the
    /// middle between the last success and that start.
    fn confirm(&mut self, rules: &Rules, confirmed_at: Ms, out: &mut Vec<Change>) {
        let pending = std::mem::take(&mut self.pending);
        let Some(first) = pending.first().copied() else {
            return;
        };
        let earliest = self
            .last
            .map(|v| v.start)
            .or(self.unknown_from)
            .or(self.first_start)
            .unwrap_or(first.vouch.start);
        self.slots.failure += pending.iter().filter(|p| p.slot).count() as u64;
        let mut from = first.vouch.start;
        if self.link(rules, first.vouch.start, first.before, None, out) == Link::Whole {
            from = from.min(midpoint(
                earliest,
                rules.onset.of(first.vouch.start, first.vouch.end),
            ));
            self.ledger.settle(from, StateName::Up, Doubt::Whole);
            self.saw_whole_gap(first.vouch.end);
        }
        self.known_up = Some(false);
        self.transitions.down += 1;
        let cause = first.cause.unwrap_or(Cause::ProtocolError);
        self.outage = Some(OpenOutage {
            from,
            from_earliest: earliest,
            from_latest: first.vouch.end,
            confirmed_at,
            cause,
            down_before: self.ledger.down,
            lower_before: self.lower_closed,
        });
        out.push(Change::Down {
            from,
            from_earliest: earliest,
            from_latest: first.vouch.end,
            confirmed_at,
            cause,
        });
        self.ledger
            .settle(first.vouch.start, StateName::Down, Doubt::Whole);
        self.last = Some(first.vouch);
        self.extend_run(first.vouch);
        for p in &pending[1..] {
            self.pass_down(rules, p.vouch, p.before, out);
            self.extend_run(p.vouch);
        }
    }

    /// Settles to a result inside an outage.
    fn pass_down(&mut self, rules: &Rules, vouch: Vouch, before: Notes, out: &mut Vec<Change>) {
        if self.link(rules, vouch.start, before, None, out) == Link::Whole {
            self.ledger
                .settle(vouch.start, StateName::Down, Doubt::Whole);
            self.saw_whole_gap(vouch.end);
        }
        self.last = Some(vouch);
    }

    /// The pending successes end the outage, at the first of them.
    fn release_up_within(&mut self, rules: &Rules, out: &mut Vec<Change>) {
        let successes = std::mem::take(&mut self.pending);
        let Some((first, rest)) = successes.split_first() else {
            return;
        };
        let later = std::mem::take(&mut self.notes);
        let last_failure = self.last.map_or(first.vouch.start, |v| v.start);
        let unknown_since = self.unknown_from;
        let whole = self.link(
            rules,
            first.vouch.start,
            first.before,
            Some(first.vouch.end),
            out,
        ) == Link::Whole;
        let to = if whole {
            let to = midpoint(last_failure, first.vouch.end).min(first.vouch.start);
            self.ledger.settle(to, StateName::Down, Doubt::Whole);
            self.saw_whole_gap(first.vouch.end);
            to
        } else {
            unknown_since.unwrap_or(
                self.last
                    .map_or(first.vouch.start, |v| v.until_from + rules.reach),
            )
        };
        self.end_outage(to, last_failure, first.vouch.end, out);
        self.transitions.up += 1;
        self.known_up = Some(true);
        self.ledger
            .settle(first.vouch.start, StateName::Up, Doubt::Whole);
        self.ledger.doubt(first.vouch.end);
        self.last = Some(first.vouch);
        for p in rest {
            self.stay_up(rules, p.vouch, p.before, out);
        }
        self.notes = later;
    }

    /// As [`Self::release_up_within`], where no rules are at hand because the definition changes:
    /// gaps stay whole.
    pub(super) fn release_up(&mut self, out: &mut Vec<Change>) {
        let unlimited = Rules {
            gap: Ms::MAX / 4,
            ..Rules::new(super::rules::Cadence {
                interval: 1000,
                jitter_ppm: 0,
                late_after: 0,
                timeout: 1000,
                retry_interval: 1000,
                down_after: 1,
                up_after: 1,
            })
        };
        self.release_up_within(&unlimited, out);
    }

    fn end_outage(&mut self, to: Ms, to_earliest: Ms, to_latest: Ms, out: &mut Vec<Change>) {
        self.close_run(out);
        if let Some(outage) = self.outage.take() {
            out.push(Change::Up {
                from: outage.from,
                to,
                to_earliest,
                to_latest,
                lower: self.lower_closed - outage.lower_before,
                down: self.ledger.down - outage.down_before,
            });
        }
    }

    fn push_pending(&mut self, vouch: Vouch, slot: bool, cause: Option<Cause>) {
        let before = std::mem::take(&mut self.notes);
        self.pending.push(Pending {
            vouch,
            slot,
            cause,
            before,
        });
    }

    /// Pending failures become unmeasured: as if they had never been.
    pub(super) fn drop_pending(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return;
        }
        self.slots.unmeasured += pending
            .iter()
            .filter(|p| p.slot && p.cause.is_some())
            .count() as u64;
        let merged = pending
            .iter()
            .fold(Notes::default(), |n, p| n.and(p.before))
            .and(self.notes);
        let failed = merged.failed || pending.iter().any(|p| p.cause.is_some());
        self.notes = Notes {
            unmeasured: true,
            failed,
            ..merged
        };
    }

    fn extend_run(&mut self, failure: Vouch) {
        match &mut self.run {
            Some(run) => run.last_start = failure.start,
            None => {
                self.run = Some(Run {
                    first_end: failure.end,
                    last_start: failure.start,
                })
            }
        }
    }

    pub(super) fn close_run(&mut self, out: &mut Vec<Change>) {
        let Some(run) = self.run.take() else { return };
        self.lower_closed += run.lower();
        if run.lower() > 0 {
            out.push(Change::Proven {
                from: run.first_end,
                to: run.last_start,
            });
        }
    }

    fn saw_whole_gap(&mut self, end: Ms) {
        if let Some(last) = self.last {
            let blind = end.saturating_sub(last.start);
            self.longest_blind = self.longest_blind.max(blind);
            self.blind_lately = self.blind_lately.max(blind);
        }
    }
}
