//! How an endpoint leaves service, comes back, or gets another definition: what is open then ends,
//! and time out of service counts nowhere.
//!
//! The recorder calls it when a reload takes an endpoint out of the config or disables it, and when
//! it is there again. It settles no more than what is known, and an outage that was not confirmed
//! does not vanish in it.

use super::ledger::Doubt;
use super::rules::Rules;
use super::state::{Change, Judge};
use super::unsettled::Notes;
use crate::words::{Ms, Reason, StateName};

impl Judge {
    /// The endpoint comes back after having been out of service since it was last judged.
    pub fn resume_service(&mut self, at: Ms, out: &mut Vec<Change>) {
        self.leave_service(out);
        let from = self.ledger.watermark;
        if at > from {
            out.push(Change::OutOfService { from, to: at });
        }
        self.ledger.skip(at);
        self.unknown_from = Some(self.ledger.watermark);
        self.notes = Notes {
            reason: Some(Reason::Starting),
            ..Notes::default()
        };
    }

    /// The endpoint has left service: what is open is dropped, nothing more is settled. An open
    /// outage ends where it is known to have lasted.
    pub fn leave_service(&mut self, out: &mut Vec<Change>) {
        self.drop_pending();
        self.close_unknown(self.ledger.watermark, None, out);
        self.close_run(out);
        if let Some(o) = self.outage.take() {
            let (lower, down) = (
                self.lower_closed - o.lower_before,
                self.ledger.down - o.down_before,
            );
            out.push(Change::OutageLeft {
                from: o.from,
                to: self.ledger.watermark,
                lower,
                down,
            });
        }
        self.last = None;
        self.known_up = None;
        self.notes = Notes::default();
    }

    /// The endpoint leaves service at `at`. Failures that are not confirmed yet, or were dropped
    /// since the last success, make the time up to `at` unknown: whether an outage had begun stays
    /// open.
    pub fn leave_service_at(&mut self, rules: &Rules, at: Ms, out: &mut Vec<Change>) {
        if let Some(first) = self.pending.first().copied().filter(|p| p.cause.is_some()) {
            self.link(rules, first.vouch.start, first.before, None, out);
        }
        self.drop_pending();
        if self.notes.failed {
            let from = self.unknown_from.take().unwrap_or(self.ledger.watermark);
            self.ledger.settle(at, StateName::Unknown, Doubt::Carried);
            let to = self.ledger.watermark;
            out.push(Change::UnknownUntil {
                from,
                to,
                reason: Reason::Reconfigured,
                doubt_until: None,
            });
        }
        self.leave_service(out);
    }

    /// The rules are about to change: what vouches now goes on to vouch from `at` by the new ones,
    /// unless an unmeasured probe lies between. Else one change after another would vouch for ever.
    pub fn extend(&mut self, rules: &Rules, at: Ms) {
        if !self.notes.unmeasured {
            self.extend_always(rules, at);
        }
    }

    /// As builds up to version 2 of the input log did it; only their replay uses it.
    pub fn extend_always(&mut self, rules: &Rules, at: Ms) {
        let vouch = self
            .pending
            .last_mut()
            .map(|p| &mut p.vouch)
            .or(self.last.as_mut());
        if let Some(vouch) = vouch.filter(|v| at <= v.until_from + rules.gap) {
            vouch.until_from = vouch.until_from.max(at);
        }
    }

    /// Pending failures belong to a definition that is gone: they become unmeasured. Unless others
    /// are confirmed before the next success, the time between the last success and it is unknown:
    /// whether an outage had begun stays open.
    pub fn reconfigure(&mut self, out: &mut Vec<Change>) {
        let is_failing = self.pending.iter().any(|p| p.cause.is_some());
        self.reconfigure_forgetting(out);
        self.notes.dropped |= is_failing;
    }

    /// As builds up to version 2 of the input log did it; only their replay uses it.
    pub fn reconfigure_forgetting(&mut self, out: &mut Vec<Change>) {
        if self.pending.iter().any(|p| p.cause.is_some()) {
            self.drop_pending();
            self.notes.reason = self.notes.reason.or(Some(Reason::Reconfigured));
        } else if !self.pending.is_empty() {
            self.release_up(out);
        }
    }
}
