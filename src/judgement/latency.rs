//! Latency of one endpoint, small: HDR buckets of which only those in use are stored.
//!
//! The bucket layout is that of an HdrHistogram with two significant digits from 1 us (256
//! sub-buckets), so values keep to within 1 %, parts merge exactly, and the V2 encoding of the
//! history reads anywhere. The recorder records, pages and metrics read. Values are microseconds.

use crate::words::{Phase, UtcMs};

/// Values above this are recorded as this: 60 s, as no timeout that matters is longer.
pub const HIGHEST_US: u64 = 60_000_000;
/// Length of one part of the last hour.
pub const PART_MS: i64 = 600_000;
pub const HOUR_MS: i64 = 3_600_000;
/// One more than an hour has, so that an hour is whole until ten minutes after its end.
const PARTS: usize = 7;
const SUB_BUCKETS_HALF: u64 = 128;

/// How a probe ended, for latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Ending {
    Success,
    Failure,
    Timeout,
}

impl Ending {
    pub const ALL: [Ending; 3] = [Ending::Success, Ending::Failure, Ending::Timeout];

    pub fn as_str(self) -> &'static str {
        match self {
            Ending::Success => "success",
            Ending::Failure => "failure",
            Ending::Timeout => "timeout",
        }
    }
}

/// Which latency of an endpoint: of whole probes by their ending, or of one phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    Whole(Ending),
    Phase(Phase),
}

impl Series {
    pub fn all() -> impl Iterator<Item = Series> {
        Ending::ALL
            .into_iter()
            .map(Series::Whole)
            .chain(Phase::ALL.into_iter().map(Series::Phase))
    }

    fn number(self) -> u16 {
        match self {
            Series::Whole(ending) => ending as u16,
            Series::Phase(phase) => Ending::ALL.len() as u16 + phase as u16,
        }
    }
}

/// The HDR bucket of a value in microseconds.
pub fn bucket_of(us: u64) -> u16 {
    let us = us.clamp(1, HIGHEST_US);
    let level = u64::from(64 - (us | (2 * SUB_BUCKETS_HALF - 1)).leading_zeros()) - 8;
    ((level + 1) * SUB_BUCKETS_HALF + (us >> level) - SUB_BUCKETS_HALF) as u16
}

/// The highest value that falls into a bucket, in microseconds.
pub fn highest_of(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    if bucket < 2 * SUB_BUCKETS_HALF {
        return bucket;
    }
    let level = bucket / SUB_BUCKETS_HALF - 1;
    let sub = bucket % SUB_BUCKETS_HALF + SUB_BUCKETS_HALF;
    ((sub + 1) << level) - 1
}

/// Counts per bucket and series, sorted by both; four bytes for each that is in use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sparse(Vec<(u16, u16)>);

impl Sparse {
    /// Twelve bits hold every bucket up to [`HIGHEST_US`].
    fn key(series: Series, bucket: u16) -> u16 {
        series.number() << 12 | bucket
    }

    pub fn record(&mut self, series: Series, us: u64) {
        self.add(Self::key(series, bucket_of(us)), 1);
    }

    fn add(&mut self, key: u16, count: u16) {
        match self.0.binary_search_by_key(&key, |entry| entry.0) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(count),
            Err(at) => {
                if self.0.len() == self.0.capacity() {
                    self.0.reserve_exact(self.0.len().clamp(2, 64));
                }
                self.0.insert(at, (key, count));
            }
        }
    }

    /// (highest value of the bucket in us, count) of one series, ascending.
    pub fn of(&self, series: Series) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0
            .iter()
            .filter(move |(key, _)| key >> 12 == series.number())
            .map(|(key, count)| (highest_of(key & 0xFFF), u64::from(*count)))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The parts of the last hour, each ten minutes of the calendar.
#[derive(Debug, Clone, Default)]
pub struct LastHour {
    /// Number of the ten-minute part (UTC / 600 s) that `parts[number % 7]` holds.
    newest: i64,
    parts: [Sparse; PARTS],
}

impl LastHour {
    pub fn record(&mut self, utc: UtcMs, series: Series, us: u64) {
        self.advance(utc);
        let at = self.newest.rem_euclid(PARTS as i64) as usize;
        self.parts[at].record(series, us);
    }

    /// Forgets the parts that lie more than an hour before `utc`.
    pub fn advance(&mut self, utc: UtcMs) {
        let number = utc.div_euclid(PART_MS);
        if self.newest - number >= PARTS as i64 {
            // The clock was set back by more than is kept: what it called by later times goes, this
            // is the present.
            *self = Self {
                newest: number,
                ..Self::default()
            };
            return;
        }
        if number <= self.newest {
            return;
        }
        for gone in (self.newest + 1..=number).rev().take(PARTS) {
            self.parts[gone.rem_euclid(PARTS as i64) as usize] = Sparse::default();
        }
        self.newest = number;
    }

    /// Puts back a part of a stored hour.
    pub fn restore(&mut self, utc: UtcMs, series: Series, highest_us: u64, count: u64) {
        if utc.div_euclid(PART_MS) > self.newest {
            self.advance(utc);
        }
        let age = self.newest - utc.div_euclid(PART_MS);
        if (0..PARTS as i64).contains(&age) {
            let at = (self.newest - age).rem_euclid(PARTS as i64) as usize;
            self.parts[at].add(
                Sparse::key(series, bucket_of(highest_us)),
                u16::try_from(count).unwrap_or(u16::MAX),
            );
        }
    }

    /// The buckets of one series over the parts that begin at or after `from`, merged and
    /// ascending.
    pub fn since(&self, from: UtcMs, series: Series) -> Vec<(u64, u64)> {
        self.between(from, UtcMs::MAX, series)
    }

    /// The same for the parts that begin in `[from, to)`.
    pub fn between(&self, from: UtcMs, to: UtcMs, series: Series) -> Vec<(u64, u64)> {
        let mut all: Vec<(u64, u64)> = Vec::new();
        for age in 0..PARTS as i64 {
            let number = self.newest - age;
            if (from..to).contains(&(number * PART_MS)) {
                all.extend(self.parts[number.rem_euclid(PARTS as i64) as usize].of(series));
            }
        }
        merge(&mut all);
        all
    }
}

/// Sorts (value, count) pairs and adds up those of one value.
pub fn merge(pairs: &mut Vec<(u64, u64)>) {
    pairs.sort_unstable();
    pairs.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            earlier.1 += later.1;
        }
        same
    });
}

/// The value below or at which the share `quantile_ppm` of all counts lies, in microseconds; `None`
/// without counts.
pub fn quantile(pairs: &[(u64, u64)], quantile_ppm: u64) -> Option<u64> {
    let total: u64 = pairs.iter().map(|p| p.1).sum();
    let rank = (total * quantile_ppm).div_ceil(1_000_000).max(1);
    let mut seen = 0;
    for (value, count) in pairs {
        seen += count;
        if seen >= rank {
            return Some(*value);
        }
    }
    None
}

/// Classic Prometheus buckets of one ending: counts since the start of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Classic {
    /// Not cumulative; one more than there are bounds, the last is above all of them.
    pub counts: Vec<u32>,
    pub sum_us: u64,
}

impl Classic {
    /// `bounds` in microseconds, ascending.
    pub fn record(&mut self, bounds: &[u64], us: u64) {
        if self.counts.is_empty() {
            self.counts = vec![0; bounds.len() + 1];
        }
        let at = bounds.partition_point(|bound| *bound < us);
        self.counts[at] = self.counts[at].saturating_add(1);
        self.sum_us += us;
    }
}

/// The number of the hour (UTC) an instant lies in.
pub fn hour_of(utc: UtcMs) -> i64 {
    utc.div_euclid(3_600_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::Histogram;

    fn reference() -> Histogram<u64> {
        Histogram::new_with_bounds(1, HIGHEST_US, 2).expect("valid bounds")
    }

    #[test]
    fn buckets_are_those_of_hdrhistogram() {
        let reference = reference();
        let mut us = 1;
        while us < HIGHEST_US {
            let bucket = bucket_of(us);
            assert_eq!(highest_of(bucket), reference.highest_equivalent(us), "{us}");
            assert_eq!(bucket_of(highest_of(bucket)), bucket, "{us}");
            us += 1 + us / 97;
        }
        assert!(bucket_of(HIGHEST_US) < 1 << 12);
    }

    #[test]
    fn quantiles_agree_with_hdrhistogram() {
        let mut reference = reference();
        let mut hour = LastHour::default();
        let mut value = 7_u64;
        for k in 0..5000_u64 {
            value = value
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407)
                % 9_000_000;
            reference.record(value.max(1)).expect("in range");
            hour.record(
                1_000_000 + (k as i64) * 500,
                Series::Whole(Ending::Success),
                value,
            );
        }
        let pairs = hour.since(0, Series::Whole(Ending::Success));
        for ppm in [1000, 500_000, 900_000, 990_000, 999_000, 1_000_000] {
            assert_eq!(
                quantile(&pairs, ppm),
                Some(reference.value_at_quantile(ppm as f64 / 1e6)),
                "{ppm}"
            );
        }
    }

    /// As PromQL's histogram_quantile reads classic buckets: linear within the bucket that the rank
    /// falls into.
    fn histogram_quantile(bounds: &[u64], classic: &Classic, quantile: f64) -> f64 {
        let rank = quantile * f64::from(classic.counts.iter().sum::<u32>());
        let (mut below, mut lower) = (0.0, 0.0);
        for (bound, count) in bounds.iter().zip(&classic.counts) {
            let count = f64::from(*count);
            if below + count >= rank {
                return lower + (*bound as f64 - lower) * (rank - below) / count;
            }
            (below, lower) = (below + count, *bound as f64);
        }
        lower
    }

    #[test]
    fn the_p99_is_within_ten_percent_from_200_us_to_30_s_where_buckets_are_not() {
        const BOUNDS: [u64; 15] = [
            500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
            2_500_000, 5_000_000, 10_000_000, 30_000_000,
        ];
        let mut worst = (1.0_f64, 1.0_f64);
        let mut center = 200.0_f64;
        while center < 29_000_000.0 {
            let (mut hour, mut classic, mut exact) =
                (LastHour::default(), Classic::default(), Vec::new());
            for k in 0..1000_u64 {
                // A narrow distribution, as most endpoints have: five percent around its center.
                let us = (center * (0.95 + 0.1 * ((k * 617) % 1000) as f64 / 1000.0)) as u64;
                hour.record(1000 + k as i64, Series::Whole(Ending::Success), us);
                hour.record(1000 + k as i64, Series::Whole(Ending::Timeout), 30_000_000);
                classic.record(&BOUNDS, us);
                exact.push(us);
            }
            exact.sort_unstable();
            let own = quantile(&hour.since(0, Series::Whole(Ending::Success)), 990_000)
                .expect("counted") as f64;
            let off = |found: f64| (found / exact[989] as f64).max(exact[989] as f64 / found);
            worst = (
                worst.0.max(off(own)),
                worst
                    .1
                    .max(off(histogram_quantile(&BOUNDS, &classic, 0.99))),
            );
            center *= 1.07;
        }
        assert!(
            worst.0 <= 1.01,
            "the quantiles of record are off by a factor of {}",
            worst.0
        );
        assert!(
            worst.1 > 1.5,
            "buckets alone are good enough by now: {}",
            worst.1
        );
    }

    #[test]
    fn what_is_older_than_an_hour_is_forgotten() {
        let mut hour = LastHour::default();
        hour.record(0, Series::Whole(Ending::Success), 10);
        hour.record(3_500_000, Series::Whole(Ending::Success), 20);
        assert_eq!(hour.since(0, Series::Whole(Ending::Success)).len(), 2);
        hour.record(4_300_000, Series::Whole(Ending::Timeout), 30);
        assert_eq!(hour.since(0, Series::Whole(Ending::Success)), vec![(20, 1)]);
        hour.advance(90_000_000);
        assert!(hour.since(0, Series::Whole(Ending::Timeout)).is_empty());
    }

    #[test]
    fn classic_buckets_are_less_than_or_equal() {
        let mut classic = Classic::default();
        for us in [1, 1000, 1001, 99_999_999] {
            classic.record(&[1000, 2000], us);
        }
        assert_eq!(classic.counts, vec![2, 1, 1]);
    }
}
