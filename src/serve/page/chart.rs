//! The latency of successes by the hour, as lines of an SVG, and the phases of probes as bands of
//! another.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::bar::Mark;
use super::shown::{clock, millis};
use crate::engine::board::Entry;
use crate::history::HistoryError;
use crate::history::reader::HistoryReader;
use crate::history::tally::tally_latency;
use crate::judgement::latency::{Ending, Series, hour_of, quantile};
use crate::judgement::timeline::{Span, Spans};
use crate::words::{Ms, Phase, UtcMs, people};

const WIDTH: usize = 720;
const HEIGHT: u64 = 140;
/// Of the mark of an outage.
const LEAST_WIDTH: i64 = 2;
const HOUR_MS: i64 = 3_600_000;
/// Tallies of single hours are kept so long.
pub const HOURS_KEPT: i64 = 7 * 24;
const QUANTILES: [(&str, u64); 3] = [("p50", 500_000), ("p90", 900_000), ("p99", 990_000)];

/// Lines of p50, p90 and p99 over some hours, the mean of each phase, and both as a table.
#[derive(Default)]
pub struct LatencyChart {
    /// Name and points; empty where nothing succeeded.
    pub lines: Vec<(&'static str, String)>,
    /// The value at the top.
    pub top: String,
    pub from: String,
    pub hours: Vec<HourRow>,
    /// Time down.
    pub outages: Vec<Mark>,
    /// Name and bands of the phases that were recorded, the first at the bottom.
    pub phases: Vec<(&'static str, String)>,
    pub phases_top: String,
}

impl LatencyChart {
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.outages.is_empty() && self.hours.is_empty()
    }
}

pub struct HourRow {
    pub at: String,
    pub count: u64,
    pub values: Vec<String>,
    /// The mean of each phase of the chart.
    pub phases: Vec<String>,
}

/// What is kept of the probes of one hour.
#[derive(Default)]
struct Hour {
    at: UtcMs,
    /// (microseconds, count) pairs of successes.
    successes: Vec<(u64, u64)>,
    /// What a probe spent in each phase on average, whatever it found: these add up.
    phases_us: [u64; Phase::ALL.len()],
}

impl Hour {
    fn of(at: UtcMs, latency: Vec<(Series, Vec<(u64, u64)>)>) -> Self {
        let (mut successes, mut phases_us, mut probes) = (Vec::new(), [0; Phase::ALL.len()], 0);
        for (series, pairs) in latency {
            match series {
                Series::Whole(ending) => {
                    probes += pairs.iter().map(|p| p.1).sum::<u64>();
                    if ending == Ending::Success {
                        successes = pairs;
                    }
                }
                Series::Phase(phase) => {
                    phases_us[phase as usize] = pairs.iter().map(|(us, n)| us * n).sum();
                }
            }
        }
        Self {
            at,
            successes,
            phases_us: phases_us.map(|sum: u64| sum.checked_div(probes).unwrap_or(0)),
        }
    }
}

pub fn chart(
    reader: &HistoryReader,
    entry: &Entry,
    down: &Spans,
    span: Span,
) -> Result<LatencyChart, HistoryError> {
    let hours = hours(reader, entry, span)?;
    let mut chart = drawn(&hours);
    chart.outages = marks(&down.cut(span), span);
    Ok(chart)
}

/// The last hours, the present one among them.
pub fn last_hours(count: i64, now: UtcMs) -> Span {
    let end = (hour_of(now) + 1) * HOUR_MS;
    Span::new(end - count * HOUR_MS, end)
}

/// The hours of a span, oldest first.
fn hours(reader: &HistoryReader, entry: &Entry, span: Span) -> Result<Vec<Hour>, HistoryError> {
    let (first, this) = (hour_of(span.from), hour_of(span.to) - 1);
    let name = entry.endpoint.load().name.clone();
    let stored: BTreeMap<i64, Vec<u8>> = reader
        .latency_since(name.as_str(), first)?
        .into_iter()
        .collect();
    let of = |hour: i64| {
        let at = hour * HOUR_MS;
        let latency = if hour == this {
            let view = entry.view();
            Series::all()
                .map(|series| (series, view.hour.since(at, series)))
                .collect()
        } else {
            stored
                .get(&hour)
                .map_or(Vec::new(), |body| tally_latency(body))
        };
        Hour::of(at, latency)
    };
    Ok((first..=this).map(of).collect())
}

fn drawn(hours: &[Hour]) -> LatencyChart {
    let values = |ppm: u64| -> Vec<Option<u64>> {
        hours.iter().map(|h| quantile(&h.successes, ppm)).collect()
    };
    let highest = values(QUANTILES[2].1).into_iter().flatten().max();
    let lines = highest
        .map(|top| QUANTILES.map(|(name, ppm)| (name, points(&values(ppm), top, hours.len()))));
    let used: Vec<Phase> = Phase::ALL
        .iter()
        .copied()
        .filter(|phase| hours.iter().any(|h| h.phases_us[*phase as usize] > 0))
        .collect();
    let row = |h: &Hour| HourRow {
        at: clock(h.at)[..16].to_owned(),
        count: h.successes.iter().map(|p| p.1).sum(),
        values: QUANTILES
            .map(|(_, ppm)| quantile(&h.successes, ppm).map_or(String::new(), millis))
            .into(),
        phases: used
            .iter()
            .map(|p| millis(h.phases_us[*p as usize]))
            .collect(),
    };
    let slowest = hours
        .iter()
        .map(|h| h.phases_us.iter().sum())
        .max()
        .unwrap_or(0);
    LatencyChart {
        lines: lines.into_iter().flatten().collect(),
        top: highest.map_or(String::new(), millis),
        from: hours
            .first()
            .map_or(String::new(), |h| clock(h.at)[..16].to_owned()),
        hours: hours
            .iter()
            .rev()
            .filter(|h| !h.successes.is_empty() || h.phases_us.iter().any(|us| *us > 0))
            .map(row)
            .collect(),
        outages: Vec::new(),
        phases: used
            .iter()
            .map(|phase| (phase.as_str(), band(hours, *phase, slowest)))
            .collect(),
        phases_top: millis(slowest),
    }
}

/// The part of each hour's mean that is of one phase, above those of the phases before it.
fn band(hours: &[Hour], phase: Phase, slowest: u64) -> String {
    let mut path = String::new();
    let x = |k: usize| k * WIDTH / hours.len().max(1);
    let y = |us: u64| HEIGHT - us * HEIGHT / slowest.max(1);
    for (k, hour) in hours.iter().enumerate() {
        let below: u64 = hour.phases_us[..phase as usize].iter().sum();
        let (bottom, top) = (y(below), y(below + hour.phases_us[phase as usize]));
        if top < bottom {
            let (width, height) = (x(k + 1) - x(k), bottom - top);
            let _ = write!(path, "M{} {top}h{width}v{height}h-{width}z", x(k));
        }
    }
    path
}

/// Time down as stretches over the whole height; a short one is as wide as can be seen. Those that
/// would be drawn over each other are one.
fn marks(down: &Spans, span: Span) -> Vec<Mark> {
    let length = (span.to - span.from).max(1);
    let x = |at: i64| (at - span.from) * WIDTH as i64 / length;
    let width = |of: Span| (x(of.to) - x(of.from)).max(LEAST_WIDTH);
    // From the first to the last of a stretch, how long and how often it was down.
    let mut stretches: Vec<(Span, Ms, u64)> = Vec::new();
    for one in down.as_slice() {
        match stretches.last_mut() {
            Some((whole, sum, count)) if x(one.from) < x(whole.from) + width(*whole) => {
                whole.to = one.to;
                *sum += one.length();
                *count += 1;
            }
            _ => stretches.push((*one, one.length(), 1)),
        }
    }
    let drawn = stretches.into_iter().map(|(of, sum, count)| {
        let (from, to, width) = (clock(of.from), clock(of.to), width(of));
        let times = match count {
            1 => String::new(),
            _ => format!(" in {count} outages"),
        };
        Mark {
            class: "outage",
            path: format!("M{} 0h{width}v{HEIGHT}h-{width}z", x(of.from)),
            text: format!("{from} to {to} UTC: down {}{times}", people::duration(sum)),
        }
    });
    drawn.collect()
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
        let successes = vec![(1_000, 99), (4_000, 1)];
        let hours = [
            Hour::default(),
            Hour::of(HOUR_MS, vec![(Series::Whole(Ending::Success), successes)]),
        ];
        let chart = drawn(&hours);
        assert_eq!(chart.top, "1.00 ms");
        assert_eq!(chart.hours.len(), 1);
        assert_eq!(chart.hours[0].count, 100);
        assert!(drawn(&[Hour::default()]).is_empty());
        assert!(chart.phases.is_empty());
    }

    #[test]
    fn phases_are_stacked_by_what_a_probe_spends_in_each() {
        let whole = |ending, us| (Series::Whole(ending), vec![(us, 1)]);
        let phase = |phase, us| (Series::Phase(phase), vec![(us, 1)]);
        let hour = Hour::of(
            0,
            vec![
                whole(Ending::Success, 4_000),
                // One that failed before it was connected.
                whole(Ending::Failure, 1_000),
                phase(Phase::Resolve, 2_000),
                phase(Phase::Connect, 6_000),
            ],
        );
        let chart = drawn(&[Hour::default(), hour]);
        assert_eq!(chart.phases_top, "4.00 ms");
        let (resolve, connect) = (&chart.phases[0], &chart.phases[1]);
        assert_eq!(*resolve, ("resolve", "M360 105h360v35h-360z".to_owned()));
        assert_eq!(*connect, ("connect", "M360 0h360v105h-360z".to_owned()));
        assert_eq!(chart.hours[0].phases, ["1.00 ms", "3.00 ms"]);
    }

    #[test]
    fn an_hour_of_failures_alone_has_phases_and_no_lines() {
        let failed = vec![
            (Series::Whole(Ending::Failure), vec![(1_000, 2)]),
            (Series::Phase(Phase::Connect), vec![(1_000, 2)]),
        ];
        let chart = drawn(&[Hour::of(0, failed)]);
        assert!(chart.lines.is_empty() && !chart.is_empty());
        assert_eq!(chart.top, "");
        let row = &chart.hours[0];
        assert_eq!((row.count, &row.values), (0, &vec![String::new(); 3]));
        assert_eq!(row.phases, ["1.00 ms"]);
    }

    #[test]
    fn an_outage_is_marked_where_it_was_however_short_it_is() {
        let span = Span::new(0, 24 * HOUR_MS);
        let mark = |list: &[Span]| {
            let drawn = marks(&Spans::new(list.to_vec()), span);
            let [one] = <[Mark; 1]>::try_from(drawn).unwrap_or_else(|_| panic!("one mark"));
            one
        };
        let short = mark(&[Span::new(12 * HOUR_MS, 12 * HOUR_MS + 1000)]);
        assert_eq!(short.path, "M360 0h2v140h-2z");
        assert_eq!(
            short.text,
            "1970-01-01 12:00:00 to 1970-01-01 12:00:01 UTC: down 1 s"
        );
        let long = mark(&[Span::new(0, 6 * HOUR_MS)]);
        assert_eq!(long.path, "M0 0h180v140h-180z");
        let second = |at: i64| Span::new(at * 1000, at * 1000 + 500);
        let two = mark(&[second(0), second(60)]);
        assert_eq!(two.path, "M0 0h2v140h-2z");
        assert_eq!(
            two.text,
            "1970-01-01 00:00:00 to 1970-01-01 00:01:00 UTC: down 1 s in 2 outages"
        );
        let many: Vec<Span> = (0..80_000).map(second).collect();
        let drawn = marks(&Spans::new(many), span);
        assert!(drawn.len() <= WIDTH, "{}", drawn.len());
    }
}
