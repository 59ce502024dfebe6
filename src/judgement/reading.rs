//! What readers may ask a judge.

use super::counts::{Base, Slots, Transitions};
use super::ledger::Ledger;
use super::rules::Rules;
use super::state::{Change, Judge};
use super::unsettled::{Notes, OpenOutage, Run};
use crate::words::{Ms, Reason, StateName};

impl Judge {
    /// The state now, as far as results that are judged tell.
    pub fn state(&self) -> StateName {
        match (self.unknown_from, self.known_up) {
            (Some(_), _) => StateName::Unknown,
            (_, Some(true)) => StateName::Up,
            (_, Some(false)) => StateName::Down,
            (_, None) => StateName::Unknown,
        }
    }

    /// Since when it is in the state that it is in, by the point estimate.
    pub fn since(&self) -> Option<Ms> {
        self.since
    }

    /// When its state last changed, by the point estimate.
    pub fn changed_at(&self) -> Option<Ms> {
        self.changed_at
    }

    /// Notes what became final; called with the changes of each input, in order.
    pub fn note(&mut self, changes: &[Change]) {
        for change in changes {
            match *change {
                Change::Down { from: at, .. }
                | Change::Up { to: at, .. }
                | Change::FirstUp { at }
                | Change::UnknownFrom { from: at, .. } => {
                    (self.since, self.changed_at) = (Some(at), Some(at));
                }
                Change::OutageLeft { to, .. } | Change::OutOfService { to, .. } => {
                    self.since = Some(to)
                }
                Change::UnknownUntil { to, .. } => {
                    self.since = Some(self.outage.map_or(to, |o| o.from))
                }
                Change::Proven { .. } | Change::Unconfirmed { .. } => {}
            }
        }
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub fn first_start(&self) -> Option<Ms> {
        self.first_start
    }

    /// Proven downtime: the sum over runs of failures, in milliseconds.
    pub fn down_lower(&self) -> Ms {
        self.lower_closed + self.run.map_or(0, Run::lower)
    }

    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    pub fn transitions(&self) -> &Transitions {
        &self.transitions
    }

    pub fn outage(&self) -> Option<&OpenOutage> {
        self.outage.as_ref()
    }

    /// Where the time that is unknown now began, with the reason as known so far.
    pub fn open_unknown(&self) -> Option<(Ms, Reason)> {
        let from = self.unknown_from?;
        let notes = self
            .pending
            .iter()
            .fold(Notes::default(), |n, p| n.and(p.before))
            .and(self.notes);
        Some((from, self.reason_of(from, notes)))
    }

    /// Known downtime inside the open outage, and its lower bound, in milliseconds.
    pub fn open_outage_sums(&self) -> (Ms, Ms) {
        self.outage.map_or((0, 0), |o| {
            (
                self.ledger.down - o.down_before,
                self.down_lower() - o.lower_before,
            )
        })
    }

    /// The longest time from the start of a success or failure to the end of the next, so far.
    pub fn longest_blind(&self) -> Ms {
        self.longest_blind
    }

    /// The same since [`Judge::begin_blind`].
    pub fn blind_lately(&self) -> Ms {
        self.blind_lately
    }

    /// The longest blind time of a stretch of the calendar that ends at `at`; what is open at its
    /// end is cut there.
    pub fn blind_until(&self, rules: &Rules, at: Ms) -> Ms {
        let open = self.last.map_or(0, |last| {
            at.min(self.unknown_from.unwrap_or(at))
                .saturating_sub(last.start)
                .min(rules.gap)
        });
        self.blind_lately.max(open)
    }

    /// The same; another stretch begins.
    pub fn begin_blind(&mut self, rules: &Rules, at: Ms) -> Ms {
        let longest = self.blind_until(rules, at);
        self.blind_lately = 0;
        longest
    }

    /// The run of failures that is open: surely down between these instants.
    pub fn open_run(&self) -> Option<(Ms, Ms)> {
        self.run
            .filter(|r| r.lower() > 0)
            .map(|r| (r.first_end, r.last_start))
    }

    /// True while a re-probe may still decide something: failures or successes are pending.
    pub fn undecided(&self) -> bool {
        !self.pending.is_empty()
    }

    /// True when nothing recorded can vouch for `now`: new, or the last result is too old.
    pub fn needs_first_probe(&self, rules: &Rules, now: Ms) -> bool {
        let vouched = self.pending.last().map(|p| p.vouch).or(self.last);
        vouched.is_none_or(|v| now > v.until_from + rules.gap)
    }

    pub fn base(&self) -> &Base {
        &self.base
    }

    /// Exported counters begin at 0 again from here: a backup was restored, and what followed it is
    /// gone.
    pub fn rebase(&mut self) {
        self.base = Base {
            at: self.ledger.watermark,
            up: self.ledger.up,
            down: self.ledger.down,
            unknown: self.ledger.unknown,
            down_lower: self.down_lower(),
            down_upper: self.ledger.down_upper,
            maintenance: self.ledger.maintenance,
            transitions: self.transitions,
        };
    }

    /// Declared windows on the timeline, near now.
    pub fn set_windows(&mut self, windows: std::sync::Arc<[super::timeline::Span]>) {
        self.ledger.set_windows(windows);
    }
}
