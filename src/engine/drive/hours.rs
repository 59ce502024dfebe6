//! Tallies by the hour of the calendar: written a few at a time, complete when the hour is over,
//! then sealed.

use super::Driver;
use crate::net::clock::NS_PER_MS;

/// Turns in which the tallies of an hour that has ended are written: four minutes.
const CLOSING_TURNS: usize = 2400;
/// When the tallies of the last hour are taken to be complete.
const SEAL_AFTER_NS: u64 = 480_000 * NS_PER_MS;

/// Turns of a tenth of a second in which every endpoint's tally is written once: a minute for small
/// fleets, ten for large ones.
fn tally_turns(count: usize) -> usize {
    (count * 9 / 25).clamp(600, 6000)
}

impl Driver {
    /// Writes the tallies of a few endpoints in each turn, so that what a kill takes of them is a
    /// minute's, or ten of a large fleet.
    pub(super) fn tallies(&mut self, count: usize) {
        let now = self.now_ms();
        let hour = (now as i64 + self.recorder.offset_ms).div_euclid(3_600_000);
        // A clock that was set back a little finds its hour open already.
        if hour != self.hour && hour != self.hour - 1 {
            if hour < self.hour {
                self.writer.reopen(hour);
            }
            self.closing = Some((self.hour, 0));
            self.recorder.begin_hour(hour, now);
            self.hour = hour;
            self.hour_entered_ns = self.clock.boot_ns();
        }
        let mut drafts = Vec::new();
        if let Some((ended, from)) = self.closing {
            let to = count.min(from + count / CLOSING_TURNS + 1);
            drafts.extend((from..to).filter_map(|index| self.recorder.tally(index, ended)));
            self.closing = (to < count).then_some((ended, to));
        } else {
            let turns = tally_turns(count);
            let part = self.turns % turns;
            drafts.extend(
                (count * part / turns..count * (part + 1) / turns)
                    .filter_map(|index| self.recorder.tally(index, self.hour)),
            );
        }
        if !drafts.is_empty() {
            self.writer.tallies(drafts);
        }
        // Not by the clock on the wall: one that runs ahead for some minutes seals nothing.
        let into_hour_ns = self.clock.boot_ns().saturating_sub(self.hour_entered_ns);
        if into_hour_ns > SEAL_AFTER_NS && self.sealed != self.hour && self.closing.is_none() {
            self.sealed = self.hour;
            self.writer
                .hours_are_over(self.hour, now, now as i64 + self.recorder.offset_ms);
        }
    }
}
