//! How much decoding and checking one answer may cost. Its length does not say it: a few kilobytes
//! can have hundreds of thousands of blocks, each with tables of its own, and a text can be made so
//! that each byte is a new state of a pattern's automaton.
//!
//! `http::judge` makes a [`Awaited`] for each answer, the other kinds where they have patterns;
//! [`super::coding`], [`super::search`] and [`super::json`] ask its [`Work`] between pieces. What
//! counts is the processor time of the thread that does it: a prober that is held up by others is
//! not the endpoint's fault.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::config::plan::probe::{DEFAULT_DECODED_LIMIT, Limits};
use crate::net::clock::thread_cpu_ns;

/// For an answer with the usual limit of its length.
const USUAL: Duration = Duration::from_millis(250);
/// For one that may be longer: less than the time that an answer may be judged after its timeout.
const MOST: Duration = Duration::from_millis(750);
/// The processor's clock is read after so many steps, or so many bytes.
const STEPS: u32 = 32;
const BYTES: usize = 16 << 10;

/// Held by the probe that waits. The work ends soon after it is dropped.
#[derive(Default)]
pub struct Awaited(Arc<AtomicBool>);

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Awaited {
    /// For an answer that has no limit of its own.
    pub fn usual(&self) -> Work {
        Work::of(USUAL, self.0.clone())
    }

    pub fn work(&self, limits: &Limits) -> Work {
        Work::of(longest(limits), self.0.clone())
    }
}

/// What the work for an answer with these limits may take.
pub fn longest(limits: &Limits) -> Duration {
    let longer = USUAL.as_nanos() as u64 * (limits.decoded / DEFAULT_DECODED_LIMIT).clamp(1, 3);
    Duration::from_nanos(longer).min(MOST)
}

/// Why the work ended before the end of the answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// The probe has gone.
    Left,
    Spent {
        limit_ms: u128,
    },
}

/// What the work for one answer has cost so far. It begins with the first step, on the thread that
/// does it, and may go on on another one ([`Work::rests`]).
pub struct Work {
    limit: Duration,
    is_left: Arc<AtomicBool>,
    /// What it cost on threads that it has left.
    before_ns: Cell<u64>,
    began_ns: Cell<Option<u64>>,
    steps: Cell<u32>,
    bytes: Cell<usize>,
    is_over: Cell<bool>,
}

impl Work {
    pub fn of(limit: Duration, is_left: Arc<AtomicBool>) -> Self {
        Self {
            limit,
            is_left,
            before_ns: Cell::new(0),
            began_ns: Cell::new(None),
            steps: Cell::new(0),
            bytes: Cell::new(0),
            is_over: Cell::new(false),
        }
    }

    /// Another step that had so many bytes; an error where no further one may follow.
    pub fn goes_on(&self, bytes: usize) -> std::io::Result<()> {
        let (steps, bytes) = (self.steps.get() + 1, self.bytes.get() + bytes);
        let is_due = steps >= STEPS || bytes >= BYTES;
        self.steps.set(if is_due { 0 } else { steps });
        self.bytes.set(if is_due { 0 } else { bytes });
        if self.began_ns.get().is_none() || is_due {
            self.goes_on_now();
        }
        if self.is_over.get() {
            Err(std::io::Error::other("more work than may be"))
        } else {
            Ok(())
        }
    }

    /// The same for a step that may be long: the clock is read at once.
    pub fn goes_on_now(&self) -> bool {
        if !self.is_over.get() {
            let is_spent = self.spent_ns() > self.limit.as_nanos() as u64;
            self.is_over
                .set(is_spent || self.is_left.load(Ordering::Relaxed));
        }
        !self.is_over.get()
    }

    pub fn limit_ms(&self) -> u128 {
        self.limit.as_millis()
    }

    /// What may be spent yet, in nanoseconds.
    pub fn left_ns(&self) -> u64 {
        (self.limit.as_nanos() as u64).saturating_sub(self.spent_ns())
    }

    /// What it has cost until now. The clock is that of this thread, and begins to count here.
    fn spent_ns(&self) -> u64 {
        let now_ns = thread_cpu_ns();
        let began_ns = self.began_ns.get().unwrap_or(now_ns);
        self.began_ns.set(Some(began_ns));
        self.before_ns.get() + now_ns.saturating_sub(began_ns)
    }

    /// The work ends on this thread, and goes on, if at all, on another one.
    pub fn rests(&self) {
        if self.began_ns.get().is_some() {
            self.before_ns.set(self.spent_ns());
            self.began_ns.set(None);
        }
    }

    /// Why decoding ended, where it ended here.
    pub fn ended(&self) -> Option<Ended> {
        if !self.is_over.get() {
            return None;
        }
        Some(if self.is_left.load(Ordering::Relaxed) {
            Ended::Left
        } else {
            Ended::Spent {
                limit_ms: self.limit.as_millis(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::kind::run::work::*;

    #[test]
    fn a_longer_answer_may_cost_more_and_each_less_than_the_time_to_judge_it() {
        for (decoded, limit_ms) in [
            (1, 250),
            (4 << 20, 250),
            (8 << 20, 500),
            (12 << 20, 750),
            (1 << 30, 750),
        ] {
            assert_eq!(
                Awaited::default()
                    .work(&Limits {
                        body: 1,
                        decoded,
                        header: 1
                    })
                    .limit
                    .as_millis(),
                limit_ms,
                "{decoded}"
            );
        }
    }

    #[test]
    fn work_that_nobody_waits_for_ends() {
        let awaited = Awaited::default();
        let work = awaited.work(&Limits {
            body: 1,
            decoded: 1,
            header: 1,
        });
        assert!((0..100).all(|_| work.goes_on(BYTES).is_ok()) && work.ended().is_none());
        drop(awaited);
        assert!((0..STEPS).any(|_| work.goes_on(1).is_err()));
        assert_eq!(work.ended(), Some(Ended::Left));
    }
}
