//! Contracts that count slices of the clock by the probes inside them, instead of time.

use num_bigint::BigInt;
use num_traits::{One, Zero};

use super::contract::DownIf;
use super::exact::{Exact, share, whole};
use crate::judgement::timeline::{Span, Spans};
use crate::words::{Ms, UtcMs};

/// A slice with its probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    pub span: Span,
    pub probes: u64,
    pub failures: u64,
}

/// The slices of a period on the grid that begins with it; probes belong to the slice they started
/// in.
pub fn slices(probes: &[(UtcMs, bool)], period: Span, length: Ms) -> Vec<Slice> {
    let length = length.max(1) as i64;
    let count = (period.to - period.from + length - 1) / length;
    let mut list: Vec<Slice> = (0..count)
        .map(|k| {
            let from = period.from + k * length;
            Slice {
                span: Span::new(from, (from + length).min(period.to)),
                probes: 0,
                failures: 0,
            }
        })
        .collect();
    for (at, ok) in probes
        .iter()
        .filter(|(at, _)| (period.from..period.to).contains(at))
    {
        let slice = &mut list[((at - period.from) / length) as usize];
        slice.probes += 1;
        slice.failures += u64::from(!ok);
    }
    list
}

/// In each slice the component with the largest share of failures.
pub fn worst_of(lists: &[Vec<Slice>]) -> Vec<Slice> {
    let Some((first, rest)) = lists.split_first() else {
        return Vec::new();
    };
    let mut worst = first.clone();
    for list in rest {
        for (kept, other) in worst.iter_mut().zip(list) {
            // failures / probes, compared without division
            if u128::from(other.failures) * u128::from(kept.probes.max(1))
                > u128::from(kept.failures) * u128::from(other.probes.max(1))
                || kept.probes == 0
            {
                *kept = *other;
            }
        }
    }
    worst
}

/// (down, unknown): slices that count as down, and those without a probe.
pub fn down_and_unknown(list: &[Slice], down_if: &DownIf) -> (Spans, Spans) {
    let is_down = |s: &&Slice| {
        s.probes > 0
            && match down_if {
                DownIf::AllFail => s.failures == s.probes,
                DownIf::AnyFail => s.failures > 0,
                DownIf::ErrorRatioAbove(limit) => {
                    share(s.failures, s.probes).is_some_and(|ratio| ratio > *limit)
                }
            }
    };
    let spans = |wanted: &dyn Fn(&&Slice) -> bool| {
        Spans::new(list.iter().filter(wanted).map(|s| s.span).collect())
    };
    (spans(&is_down), spans(&|s| s.probes == 0))
}

/// One minus the mean over slices of the share of failed probes. Slices outside `service` do not
/// count.
pub fn mean_availability(list: &[Slice], service: &Spans, no_probe: &Exact) -> Option<Exact> {
    let inside = |s: &&Slice| service.cut(s.span).length() == s.span.length();
    let ratios: Vec<Exact> = list
        .iter()
        .filter(inside)
        .map(|s| share(s.failures, s.probes).unwrap_or_else(|| no_probe.clone()))
        .collect();
    let count = BigInt::from(ratios.len());
    if count.is_zero() {
        return None;
    }
    let sum = ratios.into_iter().fold(Exact::zero(), |sum, r| sum + r);
    Some(Exact::one() - sum / whole(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_outage_is_two_or_three_minutes_by_the_wording() {
        // tests/worked-examples.json, E35.
        let ok = [true, false, false, false, false, false, true, true];
        let probes: Vec<(UtcMs, bool)> = ok
            .iter()
            .enumerate()
            .map(|(k, ok)| (k as i64 * 30_000, *ok))
            .collect();
        let list = slices(&probes, Span::new(0, 240_000), 60_000);
        let minutes = |down_if| down_and_unknown(&list, &down_if).0.length() / 60_000;
        assert_eq!(minutes(DownIf::AllFail), 2);
        assert_eq!(minutes(DownIf::AnyFail), 3);
        assert_eq!(
            minutes(DownIf::ErrorRatioAbove(Exact::new(5.into(), 100.into()))),
            3
        );
        let service = Spans::new(vec![Span::new(0, 240_000)]);
        let mean = mean_availability(&list, &service, &Exact::zero()).expect("slices");
        assert_eq!(mean, Exact::new(3.into(), 8.into()));
    }
}
