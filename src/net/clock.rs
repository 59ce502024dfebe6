//! The only source of time: the daemon's timeline (CLOCK_BOOTTIME plus an offset that the history
//! carries over restarts), the calendar, and waiting for an absolute instant.
//!
//! A simulated clock stands still until somebody waits, and then jumps; everything that decides
//! gets its time from one of the two and cannot tell which.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::sys::{self, KernelClock, TimerFd};
use crate::words::{Ms, UtcMs};

pub const NS_PER_MS: u64 = 1_000_000;

/// One reading of all clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    pub boot_ns: u64,
    pub monotonic_ns: u64,
    pub utc_ms: UtcMs,
}

/// Real or simulated.
#[derive(Clone)]
pub enum Clock {
    Real,
    Simulated(Arc<SimulatedClock>),
}

/// A clock that tests set.
#[derive(Default)]
pub struct SimulatedClock {
    pub boot_ns: AtomicU64,
    pub utc_offset_ms: AtomicU64,
}

impl Clock {
    pub fn read(&self) -> Reading {
        match self {
            Clock::Real => Reading {
                boot_ns: KernelClock::Boottime.now_ns(),
                monotonic_ns: KernelClock::Monotonic.now_ns(),
                utc_ms: (KernelClock::Realtime.now_ns() / NS_PER_MS) as UtcMs,
            },
            Clock::Simulated(clock) => {
                let boot_ns = clock.boot_ns.load(Ordering::Relaxed);
                let utc = boot_ns / NS_PER_MS + clock.utc_offset_ms.load(Ordering::Relaxed);
                Reading {
                    boot_ns,
                    monotonic_ns: boot_ns,
                    utc_ms: utc as UtcMs,
                }
            }
        }
    }

    pub fn boot_ns(&self) -> u64 {
        match self {
            Clock::Real => KernelClock::Boottime.now_ns(),
            Clock::Simulated(clock) => clock.boot_ns.load(Ordering::Relaxed),
        }
    }
}

/// What the calling thread has used of a processor, in nanoseconds: for what may cost so much and
/// no more.
pub fn thread_cpu_ns() -> u64 {
    KernelClock::ThreadCpu.now_ns()
}

/// Waits for absolute instants of CLOCK_BOOTTIME, some microseconds fine.
pub enum Alarm {
    /// The timer, and for when it is armed.
    Real(AsyncFd<TimerFd>, Cell<u64>),
    Simulated(Arc<SimulatedClock>),
}

impl Alarm {
    /// Must be made inside the runtime that waits on it.
    pub fn new(clock: &Clock) -> io::Result<Self> {
        match clock {
            Clock::Real => Ok(Alarm::Real(
                sys::watch(TimerFd::new()?, Interest::READABLE)?,
                Cell::new(0),
            )),
            Clock::Simulated(clock) => Ok(Alarm::Simulated(clock.clone())),
        }
    }

    pub async fn until(&self, boot_ns: u64) {
        match self {
            Alarm::Real(timer, armed) => {
                if boot_ns <= KernelClock::Boottime.now_ns() {
                    return;
                }
                if armed.get() != boot_ns {
                    if timer.get_ref().arm(boot_ns).is_err() {
                        // Without the timer the runtime's own will do, to a millisecond; never a
                        // loop that lets nobody else run.
                        armed.set(0);
                        tokio::time::sleep(Duration::from_nanos(
                            boot_ns.saturating_sub(KernelClock::Boottime.now_ns()),
                        ))
                        .await;
                        return;
                    }
                    armed.set(boot_ns);
                }
                if let Ok(mut ready) = timer.readable().await {
                    timer.get_ref().drain();
                    armed.set(0);
                    ready.clear_ready();
                }
            }
            Alarm::Simulated(clock) => {
                clock.boot_ns.fetch_max(boot_ns, Ordering::Relaxed);
            }
        }
    }
}

/// The daemon's timeline: CLOCK_BOOTTIME moved by what earlier runs and boots have used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelineClock {
    /// Timeline minus CLOCK_BOOTTIME, in nanoseconds.
    pub offset_ns: i128,
}

impl TimelineClock {
    pub fn ns(&self, boot_ns: u64) -> u64 {
        (i128::from(boot_ns) + self.offset_ns).max(0) as u64
    }

    pub fn ms(&self, boot_ns: u64) -> Ms {
        self.ns(boot_ns) / NS_PER_MS
    }

    /// The instant of CLOCK_BOOTTIME at which the timeline shows this.
    pub fn boot_ns(&self, timeline_ns: u64) -> u64 {
        (i128::from(timeline_ns) - self.offset_ns).max(0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn an_alarm_rings_at_its_instant_and_not_before() {
        let alarm = Alarm::new(&Clock::Real).expect("a timerfd");
        let mut late = Vec::new();
        for wait_us in [200, 900, 2500].repeat(5) {
            let at = Clock::Real.boot_ns() + wait_us * 1000;
            alarm.until(at).await;
            late.push(Clock::Real.boot_ns().checked_sub(at).expect("not before"));
        }
        // A busy machine delays some, an alarm that is wrong all.
        late.sort_unstable();
        assert!(late[0] < 1_000_000, "{late:?}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_simulated_clock_jumps_to_what_is_waited_for() {
        let clock = Clock::Simulated(Arc::new(SimulatedClock::default()));
        let alarm = Alarm::new(&clock).expect("no descriptor needed");
        alarm.until(86_400_000_000_000).await;
        assert_eq!(clock.boot_ns(), 86_400_000_000_000);
        alarm.until(5).await;
        assert_eq!(clock.boot_ns(), 86_400_000_000_000);
    }

    #[test]
    fn the_timeline_maps_both_ways() {
        let timeline = TimelineClock {
            offset_ns: 1_700_000_000_000 * 1_000_000 - 5,
        };
        assert_eq!(timeline.boot_ns(timeline.ns(123_456_789)), 123_456_789);
    }
}
