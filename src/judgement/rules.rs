//! The numbers by which an endpoint is judged, built once from its config and then fixed.

use crate::words::Ms;

/// What the outcome of a probe may lag behind its timeout.
pub const OUTCOME_SLACK_MS: Ms = 50;
/// What the judgement itself may add to a detection.
pub const JUDGEMENT_SLACK_MS: Ms = 100;
/// The most probes of one endpoint in flight at once.
pub const MAX_OVERLAP: Ms = 8;
/// Parts per million in a whole.
pub const PPM: u64 = 1_000_000;

/// The config keys that rules are made of. Lengths in milliseconds, jitter in parts per million of
/// the interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    pub interval: Ms,
    pub jitter_ppm: u64,
    pub late_after: Ms,
    pub timeout: Ms,
    pub retry_interval: Ms,
    pub down_after: u32,
    pub up_after: u32,
}

/// The longest times and the most repetitions of any cadence. In milliseconds.
pub const INTERVAL_LIMIT: Ms = 86_400_000;
pub const LATE_AFTER_LIMIT: Ms = 60_000;
pub const TIMEOUT_LIMIT: Ms = 300_000;
pub const RETRY_INTERVAL_LIMIT: Ms = 600_000;
pub const CONFIRMATIONS_LIMIT: u32 = 100;

impl Cadence {
    /// Whether rules can be made of it. The cadence of a config always passes; that of a record is
    /// checked, as a record can be forged.
    pub fn is_possible(&self) -> bool {
        (1..=INTERVAL_LIMIT).contains(&self.interval)
            && self.jitter_ppm <= PPM
            && self.late_after <= LATE_AFTER_LIMIT
            && self.timeout <= TIMEOUT_LIMIT
            && self.retry_interval <= RETRY_INTERVAL_LIMIT
            && self.down_after.max(self.up_after) <= CONFIRMATIONS_LIMIT
    }
}

/// Which instant of the first failure the start of an outage is estimated from: in the middle
/// between the last success and it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onset {
    /// The rule of today: a probe that fails slowly found the endpoint down when it started.
    FailureStart,
    /// The rule of the builds whose input logs have version 1; only their replay uses it.
    FailureEnd,
}

impl Onset {
    /// The instant by which the endpoint was down at the latest, for the point estimate, when its
    /// first failure ran from `start` to `end`.
    pub(super) fn of(self, start: Ms, end: Ms) -> Ms {
        match self {
            Onset::FailureStart => start,
            Onset::FailureEnd => end,
        }
    }
}

/// The middle of two instants, rounded down to a millisecond.
pub(super) fn midpoint(a: Ms, b: Ms) -> Ms {
    a + b.saturating_sub(a) / 2
}

/// A cadence and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    pub cadence: Cadence,
    /// `I * (1 + jitter)`: how far a result vouches once the gap is broken.
    pub reach: Ms,
    /// The longest time between two starts that leaves no unknown time between them.
    pub gap: Ms,
    /// How long after the latest end of pending results the next one may start.
    pub window: Ms,
    /// Probes of the endpoint that may be in flight at once.
    pub overlap: u32,
    /// How the start of an outage is estimated.
    pub onset: Onset,
}

impl Rules {
    pub fn new(cadence: Cadence) -> Self {
        let Cadence {
            interval,
            jitter_ppm,
            late_after,
            timeout,
            retry_interval,
            down_after,
            ..
        } = cadence;
        let reach = interval + interval * jitter_ppm / PPM;
        let gap = reach + (interval / 10).max(late_after);
        let window = gap.max(Ms::from(down_after) * (timeout + retry_interval));
        let overlap = (timeout + OUTCOME_SLACK_MS)
            .div_ceil(interval.max(1))
            .clamp(1, MAX_OVERLAP) as u32;
        Self {
            cadence,
            reach,
            gap,
            window,
            overlap,
            onset: Onset::FailureStart,
        }
    }

    /// Outages shorter than this can pass between two probes and are not seen: the longest time
    /// from the start of one to the end of the next that leaves no unknown time between them, in
    /// milliseconds.
    pub fn not_seen_below(&self) -> Ms {
        self.gap + self.cadence.timeout + OUTCOME_SLACK_MS
    }

    /// The longest time from the begin of a lasting fault to its confirmation, in milliseconds.
    pub fn detection_bound(&self) -> Ms {
        let Cadence {
            interval,
            timeout,
            retry_interval,
            down_after,
            ..
        } = self.cadence;
        let worst = timeout + OUTCOME_SLACK_MS;
        let busy = (MAX_OVERLAP - 1) * interval;
        let all_busy = if timeout > busy { worst - busy } else { 0 };
        self.gap
            + Ms::from(down_after) * worst
            + Ms::from(down_after.saturating_sub(1)) * retry_interval
            + JUDGEMENT_SLACK_MS
            + all_busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cadence() -> Cadence {
        Cadence {
            interval: 30_000,
            jitter_ppm: 0,
            late_after: 500,
            timeout: 10_000,
            retry_interval: 1000,
            down_after: 2,
            up_after: 1,
        }
    }

    #[test]
    fn the_defaults_give_a_gap_of_33_seconds_and_a_bound_of_54_2() {
        let rules = Rules::new(cadence());
        assert_eq!(
            (rules.reach, rules.gap, rules.window, rules.overlap),
            (30_000, 33_000, 33_000, 1)
        );
        assert_eq!(rules.detection_bound(), 33_000 + 2 * 10_050 + 1000 + 100);
    }

    #[test]
    fn a_timeout_longer_than_the_interval_overlaps_at_most_eight_times() {
        let rules = Rules::new(Cadence {
            interval: 1000,
            timeout: 1000,
            ..cadence()
        });
        assert_eq!(rules.overlap, 2);
        let rules = Rules::new(Cadence {
            interval: 1000,
            timeout: 30_000,
            ..cadence()
        });
        assert_eq!(rules.overlap, 8);
        assert_eq!(
            rules.detection_bound(),
            1500 + 2 * 30_050 + 1000 + 100 + (30_050 - 7000)
        );
        let bound = |timeout| {
            Rules::new(Cadence {
                interval: 1000,
                timeout,
                ..cadence()
            })
            .detection_bound()
                - 2 * timeout
        };
        assert_eq!(
            [bound(6999), bound(7000), bound(7001)],
            [2700, 2700, 2751],
            "all eight are busy only with a timeout over seven intervals"
        );
    }
}
