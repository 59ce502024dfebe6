//! Time that nothing vouches for: where it begins, where it ends, and the reason that it is given.

use super::ledger::Doubt;
use super::rules::Rules;
use super::state::{Change, Judge};
use super::unsettled::{Link, Notes, Vouch};
use crate::words::{Ms, Reason, StateName};

impl Judge {
    /// Looks at the time between the last settled result and the next at `start`. Where it is
    /// broken, settles all of it (known part, unknown part) and closes the unknown stretch; where
    /// it is whole, settles nothing.
    pub(super) fn link(
        &mut self,
        rules: &Rules,
        start: Ms,
        before: Notes,
        doubt_until: Option<Ms>,
        out: &mut Vec<Change>,
    ) -> Link {
        if self.unknown_from.is_none() {
            match self.last {
                Some(last) if start > last.until_from + rules.gap => {
                    self.open_unknown_after(rules, last, before, out)
                }
                Some(_) => return Link::Whole,
                None => self.unknown_from = Some(self.ledger.watermark),
            }
        }
        self.ledger
            .settle(start, StateName::Unknown, Doubt::Carried);
        self.notes_close_unknown(start, before, doubt_until, out);
        Link::Broken
    }

    /// The result before has vouched as far as it can; unknown time begins there. `since`: what is
    /// known of the time after it.
    pub(super) fn open_unknown_after(
        &mut self,
        rules: &Rules,
        last: Vouch,
        since: Notes,
        out: &mut Vec<Change>,
    ) {
        if since.dropped {
            return self.open_unknown_at_last(out);
        }
        let from = last.until_from + rules.reach;
        let state = if self.known_up == Some(false) {
            StateName::Down
        } else {
            StateName::Up
        };
        self.ledger.settle(from, state, Doubt::Whole);
        self.unknown_from = Some(from);
        self.transitions.unknown += 1;
        self.close_run(out);
        let doubt_from = (state == StateName::Up).then_some(last.start);
        out.push(Change::UnknownFrom { from, doubt_from });
    }

    fn notes_close_unknown(
        &mut self,
        to: Ms,
        before: Notes,
        doubt_until: Option<Ms>,
        out: &mut Vec<Change>,
    ) {
        if let Some(from) = self.unknown_from.take() {
            self.close_run(out);
            let reason = self.reason_of(from, before);
            out.push(Change::UnknownUntil {
                from,
                to,
                reason,
                doubt_until,
            });
        }
    }

    pub(super) fn close_unknown(&mut self, to: Ms, doubt_until: Option<Ms>, out: &mut Vec<Change>) {
        let notes = self.notes;
        self.notes_close_unknown(to, notes, doubt_until, out);
    }

    /// One reason per stretch: a start of the daemon inside it, else the first unmeasured probe's,
    /// else late.
    pub(super) fn reason_of(&self, from: Ms, notes: Notes) -> Reason {
        match notes.started_at {
            Some(at) if at > from => Reason::NotRunning,
            _ => notes.reason.unwrap_or(Reason::Late),
        }
    }

    /// The last success vouches for nothing after its start.
    pub(super) fn open_unknown_at_last(&mut self, out: &mut Vec<Change>) {
        if self.unknown_from.is_none() {
            let from = self.ledger.watermark;
            self.unknown_from = Some(from);
            self.transitions.unknown += 1;
            out.push(Change::UnknownFrom {
                from,
                doubt_from: None,
            });
        }
    }
}
