//! Real-time priority of the probing thread, where the config wants it and the kernel permits it:
//! docs/decisions/046-real-time.md.
//!
//! A thread that measures has to run when its slot comes; on a busy host it waits for others
//! otherwise. One that needs most of a core for seconds would keep others from running: it gives
//! the priority back until it needs less. What it needs is the time that it ran and the time that
//! it waited for a core.

use std::io;

use crate::config::plan::RealTimeChoice;
use crate::net::clock::thread_cpu_ns;
use crate::net::sys;

/// So often the share of a core is looked at.
const LOOK_NS: u64 = 5_000_000_000;
/// From this share of a core on, in percent, the priority is given back.
const MOST_PERCENT: u64 = 70;
/// Below this share it is taken again.
const AGAIN_PERCENT: u64 = 50;

/// What the probing thread runs as.
pub struct RealTime {
    standing: Permission,
    /// When it was looked at last, and the time that the thread had needed until then.
    looked_ns: u64,
    needed_ns: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Permission {
    /// As all threads, for good.
    Denied,
    InUse,
    /// Given back, as the thread is busy.
    GivenBack,
}

impl RealTime {
    /// Takes the priority for the calling thread, where it is wanted and permitted.
    pub fn begin(choice: RealTimeChoice, now_ns: u64) -> Self {
        let is_wanted = match choice {
            RealTimeChoice::Auto => sys::may_run_in_real_time(),
            RealTimeChoice::On => true,
            RealTimeChoice::Off => false,
        };
        let standing = match is_wanted.then(sys::run_in_real_time) {
            None => Permission::Denied,
            Some(Ok(())) => {
                tracing::info!("the probing thread has real-time priority");
                Permission::InUse
            }
            Some(Err(error)) => {
                tracing::warn!(
                    %error,
                    "the probing thread has no real-time priority: it needs LimitRTPRIO=1, and \
                    neither the system call filter nor the control group may forbid it; the \
                    drop-in realtime.conf sets what the unit can"
                );
                Permission::Denied
            }
        };
        Self {
            standing,
            looked_ns: now_ns,
            needed_ns: needed_ns(),
        }
    }

    /// To be called often.
    pub fn look(&mut self, now_ns: u64) {
        let passed = now_ns.saturating_sub(self.looked_ns);
        if self.standing == Permission::Denied || passed < LOOK_NS {
            return;
        }
        let needed_ns = needed_ns();
        let percent = needed_ns.saturating_sub(self.needed_ns) * 100 / passed;
        (self.looked_ns, self.needed_ns) = (now_ns, needed_ns);
        let next = next(self.standing, percent);
        if next != self.standing && change(next).is_ok() {
            self.standing = next;
        }
    }
}

fn next(standing: Permission, percent: u64) -> Permission {
    match standing {
        Permission::InUse if percent >= MOST_PERCENT => Permission::GivenBack,
        Permission::GivenBack if percent < AGAIN_PERCENT => Permission::InUse,
        same => same,
    }
}

fn change(to: Permission) -> io::Result<()> {
    if to == Permission::InUse {
        sys::run_in_real_time()?;
        tracing::info!("the probing thread has real-time priority again");
        return Ok(());
    }
    sys::run_as_others()?;
    tracing::info!(
        "the probing thread gives its real-time priority back: it needs most of a core, and others \
        must run"
    );
    Ok(())
}

/// How long this thread has run or waited for a core so far (proc(5), schedstat). Without the
/// kernel's account of waiting, how long it has run.
fn needed_ns() -> u64 {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let waited_ns = account.split(' ').nth(1).and_then(|ns| ns.parse().ok());
    thread_cpu_ns() + waited_ns.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_thread_gives_the_priority_back_until_it_needs_less() {
        use Permission::{Denied, GivenBack, InUse};
        for (standing, percent, expected) in [
            (InUse, 0, InUse),
            (InUse, 69, InUse),
            (InUse, 70, GivenBack),
            (InUse, 100, GivenBack),
            (GivenBack, 60, GivenBack),
            (GivenBack, 50, GivenBack),
            (GivenBack, 49, InUse),
            (Denied, 0, Denied),
            (Denied, 100, Denied),
        ] {
            assert_eq!(next(standing, percent), expected, "{standing:?} {percent}");
        }
    }
}
