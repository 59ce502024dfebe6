//! What is true of a simulated world: when endpoints are down, and what happens to the daemon.

use crate::judgement::timeline::{Span, Spans};
use crate::words::Ms;

/// Something that happens to the daemon itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incident {
    /// Killed, and started again later.
    Killed { from: Ms, to: Ms },
    /// Ended in order, and started again later.
    Stopped { from: Ms, to: Ms },
    /// The host sleeps: nothing has a turn.
    Suspended { from: Ms, to: Ms },
    /// The wall clock is set by so many milliseconds.
    ClockStep { at: Ms, by: i64 },
    /// The config is read again: some endpoints leave, some come back, some have another
    /// definition.
    Reload { at: Ms },
}

impl Incident {
    pub(super) fn at(&self) -> Ms {
        match *self {
            Incident::Killed { from, .. }
            | Incident::Stopped { from, .. }
            | Incident::Suspended { from, .. } => from,
            Incident::ClockStep { at, .. } | Incident::Reload { at } => at,
        }
    }

    pub(super) fn over(&self) -> Ms {
        match *self {
            Incident::Killed { to, .. }
            | Incident::Stopped { to, .. }
            | Incident::Suspended { to, .. } => to,
            Incident::ClockStep { at, .. } | Incident::Reload { at } => at,
        }
    }
}

/// What is true of the world, on the daemon's timeline.
pub struct World {
    pub begin: Ms,
    pub end: Ms,
    /// When each endpoint of the plan is truly down.
    pub down: Vec<Spans>,
    /// Parts per million of probes that fail by themselves.
    pub loss_ppm: u64,
    pub incidents: Vec<Incident>,
    pub seed: u64,
}

impl World {
    pub(super) fn is_down(&self, endpoint: usize, at: Ms) -> bool {
        let (down, at) = (self.down[endpoint].as_slice(), at as i64);
        let next = down.partition_point(|s| s.to <= at);
        down.get(next).is_some_and(|s| s.from <= at)
    }
}

/// A number from a seed and what it is for.
pub(super) fn mixed(seed: u64, a: u64, b: u64) -> u64 {
    let mut x =
        seed ^ a.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ b.wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Random outages for every endpoint: a few in a month, from seconds to an hour.
pub fn random_outages(count: usize, begin: Ms, end: Ms, seed: u64) -> Vec<Spans> {
    (0..count as u64)
        .map(|k| {
            let mut rng = fastrand::Rng::with_seed(mixed(seed, k, 7));
            let month = (end - begin).max(1);
            let number = rng.u64(0..=(6 * month / (30 * 86_400_000)).max(1));
            let spans = (0..number).map(|_| {
                let from = begin + rng.u64(0..month);
                let length = [2000, 20_000, 90_000, 600_000, 3_600_000][rng.usize(0..5)]
                    + rng.u64(0..30_000);
                Span::new(from as i64, (from + length).min(end) as i64)
            });
            Spans::new(spans.collect())
        })
        .collect()
}
