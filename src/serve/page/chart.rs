//! The latency of successes by the hour, as lines of an SVG.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::shown::{clock, millis};
use crate::engine::board::Entry;
use crate::history::HistoryError;
use crate::history::reader::HistoryReader;
use crate::history::tally::tally_latency;
use crate::judgement::latency::{Ending, Series, hour_of, quantile};
use crate::words::UtcMs;

const WIDTH: usize = 720;
const HEIGHT: u64 = 140;
const HOUR_MS: i64 = 3_600_000;
/// Tallies of single hours are kept so long.
pub const HOURS_KEPT: usize = 7 * 24;
const SUCCESSES: Series = Series::Whole(Ending::Success);
const QUANTILES: [(&str, u64); 3] = [("p50", 500_000), ("p90", 900_000), ("p99", 990_000)];

/// Lines of p50, p90 and p99 over some hours, and the same as a table.
#[derive(Default)]
pub struct LatencyChart {
    /// Name and points; empty where nothing was measured.
    pub lines: Vec<(&'static str, String)>,
    /// The value at the top.
    pub top: String,
    pub from: String,
    pub hours: Vec<HourRow>,
}

pub struct HourRow {
    pub at: String,
    pub count: u64,
    pub values: Vec<String>,
}

/// (microseconds, count) pairs of one hour's successes.
type Hour = (UtcMs, Vec<(u64, u64)>);

pub fn chart(
    reader: &HistoryReader,
    entry: &Entry,
    count: usize,
    now: UtcMs,
) -> Result<LatencyChart, HistoryError> {
    Ok(drawn(&hours(reader, entry, count, now)?, count))
}

/// The last hours, oldest first.
fn hours(
    reader: &HistoryReader,
    entry: &Entry,
    count: usize,
    now: UtcMs,
) -> Result<Vec<Hour>, HistoryError> {
    let this = hour_of(now);
    let first = this + 1 - count as i64;
    let name = entry.endpoint.load().name.clone();
    let stored: BTreeMap<i64, Vec<u8>> = reader
        .latency_since(name.as_str(), first)?
        .into_iter()
        .collect();
    let of = |hour: i64| {
        if hour == this {
            return entry.view().hour.since(hour * HOUR_MS, SUCCESSES);
        }
        let list = stored.get(&hour).map(|body| tally_latency(body));
        let mut list = list.into_iter().flatten();
        list.find(|(series, _)| *series == SUCCESSES)
            .map_or(Vec::new(), |(_, pairs)| pairs)
    };
    Ok((first..=this)
        .map(|hour| (hour * HOUR_MS, of(hour)))
        .collect())
}

fn drawn(hours: &[Hour], count: usize) -> LatencyChart {
    let values = |ppm: u64| -> Vec<Option<u64>> {
        hours
            .iter()
            .map(|(_, pairs)| quantile(pairs, ppm))
            .collect()
    };
    let highest = values(QUANTILES[2].1).into_iter().flatten().max();
    let Some(highest) = highest else {
        return LatencyChart::default();
    };
    let lines = QUANTILES.map(|(name, ppm)| (name, points(&values(ppm), highest, count)));
    let row = |(at, pairs): &Hour| HourRow {
        at: clock(*at)[..16].to_owned(),
        count: pairs.iter().map(|p| p.1).sum(),
        values: QUANTILES
            .map(|(_, ppm)| quantile(pairs, ppm).map_or(String::new(), millis))
            .into(),
    };
    LatencyChart {
        lines: lines.into(),
        top: millis(highest),
        from: hours
            .first()
            .map_or(String::new(), |(at, _)| clock(*at)[..16].to_owned()),
        hours: hours
            .iter()
            .rev()
            .filter(|(_, pairs)| !pairs.is_empty())
            .map(row)
            .collect(),
    }
}

/// A path with a step for each hour; hours without a value are gaps.
fn points(values: &[Option<u64>], highest: u64, count: usize) -> String {
    let mut path = String::new();
    let x = |k: usize| k * WIDTH / count.max(1);
    let mut is_open = false;
    for (k, value) in values.iter().enumerate() {
        let Some(value) = value else {
            is_open = false;
            continue;
        };
        let y = HEIGHT - value * HEIGHT / highest.max(1);
        let _ = if is_open {
            write!(path, "V{y}H{}", x(k + 1))
        } else {
            write!(path, "M{} {y}H{}", x(k), x(k + 1))
        };
        is_open = true;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_without_a_value_are_gaps() {
        let values = [None, Some(100), Some(50), None, Some(25)];
        assert_eq!(points(&values, 100, 5), "M144 0H288V70H432M576 105H720");
    }

    #[test]
    fn the_highest_p99_is_the_top_and_nothing_is_no_chart() {
        let hours: Vec<Hour> = vec![(0, Vec::new()), (HOUR_MS, vec![(1_000, 99), (4_000, 1)])];
        let chart = drawn(&hours, 2);
        assert_eq!(chart.top, "1.00 ms");
        assert_eq!(chart.hours.len(), 1);
        assert_eq!(chart.hours[0].count, 100);
        assert!(drawn(&[(0, Vec::new())], 1).lines.is_empty());
    }
}
