//! How an endpoint leaves service, and comes back: what is open then ends, and time out of service
//! counts nowhere.
//!
//! The recorder calls it when a reload takes an endpoint out of the config or disables it, and when
//! it is there again. It settles no more than what is known, and an outage that was not confirmed
//! does not vanish in it.

use super::ledger::Doubt;
use super::rules::Rules;
use super::state::{Change, Judge, Notes};
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
}
