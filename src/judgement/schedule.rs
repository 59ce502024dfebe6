//! The slots of one endpoint: absolute due times that come from its name and the vantage, never
//! from "now".
//!
//! Times are nanoseconds of the daemon's timeline. The engine's scheduler keeps the queue over all
//! endpoints; this file only knows the arithmetic of one.

use sha2::{Digest, Sha256};

use super::rules::{Cadence, PPM};
use crate::words::{Ms, Name};

/// An endpoint that nothing vouches for is probed within this time after a start, if its interval
/// is not shorter.
pub const FIRST_PROBE_WITHIN_MS: Ms = 60_000;
const NS_PER_MS: u64 = 1_000_000;

/// `phase + k * interval`, moved by a jitter that is fixed for each k.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotTimes {
    phase_ns: u64,
    interval_ns: u64,
    jitter_ns: u64,
    seed: u64,
}

impl SlotTimes {
    pub fn new(name: &Name, vantage: &str, cadence: &Cadence) -> Self {
        let seed = seed(name, vantage);
        let interval_ns = cadence.interval * NS_PER_MS;
        let jitter_ns =
            (u128::from(interval_ns) * u128::from(cadence.jitter_ppm) / u128::from(PPM)) as u64;
        Self {
            phase_ns: scaled(seed, interval_ns),
            interval_ns,
            jitter_ns,
            seed,
        }
    }

    /// When slot `k` is due.
    pub fn due_ns(&self, k: u64) -> u64 {
        let moved = if self.jitter_ns == 0 {
            0
        } else {
            scaled(mixed(self.seed ^ k), self.jitter_ns)
        };
        self.phase_ns + k * self.interval_ns + moved
    }

    /// The first slot that is due at or after `at_ns`.
    pub fn first_from(&self, at_ns: u64) -> u64 {
        let mut k = at_ns.saturating_sub(self.phase_ns + self.jitter_ns) / self.interval_ns;
        while self.due_ns(k) < at_ns {
            k += 1;
        }
        k
    }
}

/// When the first look at the endpoint of rank `rank` among `count` unvouched ones is due, after
/// the start.
pub fn first_probe_delay_ns(interval: Ms, rank: usize, count: usize) -> u64 {
    let within_ns = interval.min(FIRST_PROBE_WITHIN_MS) * NS_PER_MS;
    (u128::from(within_ns) * rank as u128 / count.max(1) as u128) as u64
}

/// The first eight bytes of SHA-256 over name, a zero byte and vantage: the same on every machine,
/// for ever.
fn seed(name: &Name, vantage: &str) -> u64 {
    let mut hash = Sha256::new();
    hash.update(name.as_str().as_bytes());
    hash.update([0]);
    hash.update(vantage.as_bytes());
    let digest = hash.finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

/// A share of `range` that is proportional to where `seed` lies among all 64-bit numbers.
fn scaled(seed: u64, range: u64) -> u64 {
    ((u128::from(seed) * u128::from(range)) >> 64) as u64
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): spreads neighbouring numbers evenly.
fn mixed(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(name: &str, vantage: &str, jitter_ppm: u64) -> SlotTimes {
        let cadence = Cadence {
            interval: 10_000,
            jitter_ppm,
            late_after: 500,
            timeout: 1000,
            retry_interval: 1000,
            down_after: 2,
            up_after: 1,
        };
        SlotTimes::new(&Name::new(name).expect("a name"), vantage, &cadence)
    }

    #[test]
    fn slots_are_exactly_one_interval_apart_and_the_same_after_a_restart() {
        let before = slots("shop", "hel1", 0);
        let k = before.first_from(1_700_000_000_000 * NS_PER_MS);
        assert_eq!(before.due_ns(k + 1) - before.due_ns(k), 10_000 * NS_PER_MS);
        assert_eq!(slots("shop", "hel1", 0), before);
    }

    #[test]
    fn vantages_and_names_are_staggered_evenly() {
        assert_ne!(
            slots("shop", "hel1", 0).phase_ns,
            slots("shop", "ams1", 0).phase_ns
        );
        let mut tenths = [0; 10];
        for n in 0..10_000 {
            tenths[(slots(&format!("e{n}"), "v", 0).phase_ns / (1000 * NS_PER_MS)) as usize] += 1;
        }
        assert!(tenths.iter().all(|n| (850..1150).contains(n)), "{tenths:?}");
    }

    #[test]
    fn jitter_moves_a_slot_inside_its_own_period_only() {
        let (plain, jittered) = (slots("shop", "v", 0), slots("shop", "v", 500_000));
        let mut moved = 0;
        for k in 0..1000 {
            let by = jittered.due_ns(k) - plain.due_ns(k);
            assert!(by < 5000 * NS_PER_MS);
            moved += u32::from(by > 2500 * NS_PER_MS);
        }
        assert!((400..600).contains(&moved), "{moved}");
    }

    #[test]
    fn the_first_slot_from_an_instant_is_never_before_it() {
        let slots = slots("shop", "v", 300_000);
        for at in (0..100_000 * NS_PER_MS).step_by(777_777_777) {
            let k = slots.first_from(at);
            assert!(slots.due_ns(k) >= at);
            assert!(k == 0 || slots.due_ns(k - 1) < at);
        }
    }

    #[test]
    fn first_probes_are_spread_over_the_shorter_of_interval_and_a_minute() {
        assert_eq!(first_probe_delay_ns(30_000, 0, 1), 0);
        assert_eq!(first_probe_delay_ns(30_000, 5, 10), 15_000 * NS_PER_MS);
        assert_eq!(first_probe_delay_ns(3_600_000, 9, 10), 54_000 * NS_PER_MS);
    }
}
