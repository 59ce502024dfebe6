//! The driver measures the prober itself: turns that came too late are stalls.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Driver, Stall, TURN_NS};
use crate::net::clock::NS_PER_MS;
use crate::words::{Ms, Reason};

/// A turn that comes later than this is a stall that the log tells of; shorter ones count where an
/// endpoint's `late_after` is shorter.
const STALL_TOLD_NS: u64 = 500 * NS_PER_MS;
/// A turn that comes no later than this is none.
const STALL_LEAST_NS: u64 = 2 * TURN_NS;
/// How long a signal may take to be noted once the process goes on.
const SIGNAL_GRACE: Duration = Duration::from_millis(3);
/// Stalls that are remembered; probes live for minutes at most.
const STALLS_KEPT: usize = 1024;

impl Driver {
    /// Looks whether this turn came too late, and why.
    pub(super) fn note_stall(&mut self) {
        let reading = self.clock.read();
        self.board
            .health
            .progress_ns
            .store(reading.boot_ns, Ordering::Relaxed);
        let late_ns = reading.boot_ns - self.last_turn.boot_ns;
        if late_ns > STALL_LEAST_NS {
            let suspended_ns = reading.boot_ns.saturating_sub(reading.monotonic_ns);
            let was_suspended = suspended_ns.saturating_sub(self.suspended_ns) > TURN_NS;
            // The handler of SIGCONT runs on another thread and may come a moment after this one.
            await_signal();
            let was_stopped = self.continued.swap(false, Ordering::Relaxed);
            let reason = if was_suspended || was_stopped {
                Reason::Suspended
            } else {
                Reason::Late
            };
            if late_ns > STALL_TOLD_NS {
                tracing::warn!(
                    reason = reason.as_str(),
                    stalled_ms = late_ns / NS_PER_MS,
                    "engine stalled"
                );
                self.board.health.stalls.fetch_add(1, Ordering::Relaxed);
            }
            self.stalls.push_back(Stall {
                from_ns: self.last_turn.boot_ns,
                to_ns: reading.boot_ns,
                reason,
            });
            if self.stalls.len() > STALLS_KEPT {
                self.stalls.pop_front();
            }
            self.suspended_ns = suspended_ns;
        }
        // A signal that was noted belongs to a stall that is told of by now.
        self.continued.store(false, Ordering::Relaxed);
        self.last_turn = reading;
    }

    /// The reason of a stall longer than `late_after` that lies within the time, if there was one.
    /// It is measured from the turn before, a tenth of a second at most too long.
    pub(super) fn stalled(&self, from_ns: u64, to_ns: u64, late_after: Ms) -> Option<Reason> {
        let is_long = |s: &Stall| s.to_ns - s.from_ns > late_after * NS_PER_MS;
        self.stalls
            .iter()
            .rev()
            .find(|s| s.from_ns < to_ns && from_ns < s.to_ns && is_long(s))
            .map(|s| s.reason)
    }
}

/// Lets a signal's handler run that is already under way.
#[expect(
    clippy::disallowed_methods,
    reason = "after a standstill of a fifth of a second, three milliseconds delay no probe"
)]
fn await_signal() {
    std::thread::sleep(SIGNAL_GRACE);
}
