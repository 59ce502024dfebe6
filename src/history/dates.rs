//! When a line of the config counts from, where the clock of the host was set meanwhile.
//!
//! Terms, windows and the members of components count from when they are recorded. A clock that is
//! set back while they are recorded, and set right again, would give them an earlier date. So the
//! timeline, which never goes back, has the last word: the stretches of it whose calendar time
//! follows on one another, and which are longest in sum, had the right clock. What was recorded in
//! another stretch counts no earlier than the end of the right one before it, and no later than the
//! begin of the right one after it.

use rusqlite::{Connection, OptionalExtension};

use super::HistoryError;
use crate::words::{Ms, UtcMs};

/// Steps of less than this are corrections of a clock that was right.
pub const STEP_MS: i64 = 60_000;

/// The clock showed `at + offset` from this instant of the timeline on.
struct ClockRun {
    at: i64,
    offset: i64,
    /// Calendar time at its end.
    until: UtcMs,
    is_right: bool,
}

impl ClockRun {
    fn from(&self) -> UtcMs {
        self.at + self.offset
    }
}

/// Stretches of the timeline between steps of the clock, in order.
#[derive(Default)]
pub struct Dates(Vec<ClockRun>);

impl Dates {
    pub fn read(connection: &Connection) -> Result<Self, HistoryError> {
        let mut statement =
            connection.prepare_cached("SELECT at, offset_ms FROM clock ORDER BY at")?;
        let steps: Vec<(i64, i64)> = statement
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<Result<_, _>>()?;
        if steps.len() < 2 {
            return Ok(Self::default());
        }
        let mut last =
            connection.prepare_cached("SELECT at FROM event ORDER BY seq DESC LIMIT 1")?;
        Ok(Self::new(
            &steps,
            last.query_row([], |r| r.get(0)).optional()?.unwrap_or(0),
        ))
    }

    /// `steps`: (timeline from here on, UTC minus timeline), ascending. `last`: how far the
    /// timeline is known.
    fn new(steps: &[(i64, i64)], last: i64) -> Self {
        let mut list: Vec<ClockRun> = Vec::new();
        for (at, offset) in steps {
            if list
                .last()
                .is_none_or(|s| (s.offset - offset).abs() > STEP_MS)
            {
                list.push(ClockRun {
                    at: *at,
                    offset: *offset,
                    until: 0,
                    is_right: false,
                });
            }
        }
        // A history begins with its first event, wherever its timeline has its zero.
        for k in 0..list.len() {
            let until = list.get(k + 1).map_or(last, |next| next.at);
            list[k].until = until.max(list[k].at) + list[k].offset;
        }
        right(&mut list);
        Self(list)
    }

    /// When what was recorded at `at` of the timeline counts from, while the clock showed `shown`.
    pub fn counts_from(&self, at: Ms, shown: UtcMs) -> UtcMs {
        let Some(k) = self
            .0
            .partition_point(|s| s.at <= at as i64)
            .checked_sub(1)
            .filter(|k| !self.0[*k].is_right)
        else {
            return shown;
        };
        let latest = self.0[k..]
            .iter()
            .find(|s| s.is_right)
            .map_or(i64::MAX, ClockRun::from);
        // What came before in this gap has its date by the same rule, and none is later than what
        // follows it.
        let before = self.0[..k].iter().rposition(|s| s.is_right).unwrap_or(0);
        let earliest = self.0[before..k]
            .iter()
            .map(|s| s.until.min(latest))
            .max()
            .unwrap_or(i64::MIN);
        shown.min(latest).max(earliest)
    }
}

/// Finds the stretches that follow on one another and are longest in sum; of equal sums, the ones
/// that came first.
fn right(list: &mut [ClockRun]) {
    let mut best: Vec<(i64, Option<usize>)> = Vec::with_capacity(list.len());
    for (k, stretch) in list.iter().enumerate() {
        let before = (0..k)
            .filter(|b| list[*b].until <= stretch.from() + STEP_MS)
            .map(|b| (best[b].0, Some(b)));
        let (sum, before) = before.fold(
            (0, None),
            |most, one| if one.0 > most.0 { one } else { most },
        );
        // One that took no time at all is no better than nothing.
        best.push((sum + (stretch.until - stretch.from()).max(0), before));
    }
    let mut at = (0..list.len()).fold(None, |most: Option<usize>, k| {
        if most.is_none_or(|m| best[k].0 > best[m].0) {
            Some(k)
        } else {
            most
        }
    });
    while let Some(k) = at {
        list[k].is_right = true;
        at = best[k].1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    /// The date, in hours, of what is recorded so many hours after the timeline's zero.
    fn dated(steps: &[(i64, i64)], last: i64, at: i64) -> i64 {
        let steps: Vec<(i64, i64)> = steps
            .iter()
            .map(|(at, offset)| (at * HOUR, offset * HOUR))
            .collect();
        let offset = steps
            .iter()
            .rfind(|(from, _)| *from <= at * HOUR)
            .map_or(0, |(_, offset)| *offset);
        Dates::new(&steps, last * HOUR).counts_from((at * HOUR) as Ms, at * HOUR + offset) / HOUR
    }

    #[test]
    fn what_is_recorded_while_the_clock_is_set_back_counts_from_when_it_was() {
        let back = [(0, 0), (300, -200), (302, 0)];
        assert_eq!(
            [299, 301, 302, 400].map(|at| dated(&back, 400, at)),
            [299, 300, 302, 400]
        );
        assert_eq!(
            dated(&[(0, 0), (300, -200)], 310, 305),
            300,
            "also while it is set back"
        );
        assert_eq!(
            dated(&[(100, 0), (300, -5000), (302, 0)], 400, 301),
            300,
            "to before the history began"
        );
        assert_eq!(
            dated(
                &[(0, 0), (300, -200), (301, -100), (302, -50), (303, 0)],
                400,
                302
            ),
            300,
            "in several steps"
        );
    }

    #[test]
    fn a_clock_that_was_ahead_for_a_while_costs_nothing_of_later_time() {
        let ahead = [(0, 0), (300, 9600), (310, 0)];
        assert_eq!(
            [299, 305, 310, 311].map(|at| dated(&ahead, 400, at)),
            [299, 310, 310, 311]
        );
        let wrong_at_first = [(0, 9600), (10, 0)];
        assert_eq!([5, 11].map(|at| dated(&wrong_at_first, 400, at)), [10, 11]);
        let booted_at_1970 = [(0, 0), (300, -20_000), (301, 50)];
        assert_eq!(
            [300, 301].map(|at| dated(&booted_at_1970, 400, at)),
            [300, 351]
        );
    }

    #[test]
    fn a_date_never_comes_before_that_of_an_earlier_record() {
        let mut random = 7_u64;
        let mut next = |below: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        for _ in 0..2000 {
            let mut steps = vec![(0, 0)];
            for _ in 0..next(8) {
                let at = steps.last().map_or(0, |(at, _)| *at) + 1 + next(50 * HOUR as u64) as i64;
                steps.push((at, next(400 * HOUR as u64) as i64 - 200 * HOUR));
            }
            let last = steps.last().map_or(0, |(at, _)| *at) + 1 + next(50 * HOUR as u64) as i64;
            let dates = Dates::new(&steps, last);
            let mut latest = i64::MIN / 2;
            for at in (0..last).step_by((last / 200).max(1) as usize) {
                let shown = at
                    + steps
                        .iter()
                        .rfind(|(from, _)| *from <= at)
                        .map_or(0, |(_, offset)| *offset);
                let date = dates.counts_from(at as Ms, shown);
                assert!(date >= latest - STEP_MS, "{steps:?} {at}");
                latest = latest.max(date);
            }
        }
    }

    #[test]
    fn small_steps_and_a_clock_that_was_never_set_change_nothing() {
        assert_eq!(dated(&[(0, 0)], 10, 5), 5);
        assert_eq!(
            Dates::new(&[(0, 0), (1000, -300), (5000, -59_000)], 9000).counts_from(2000, 1700),
            1700
        );
        assert_eq!(Dates::default().counts_from(5, 7), 7);
        assert_eq!(
            dated(&[(0, 0), (300, 10 * 24)], 400, 301),
            301 + 240,
            "forward, and it stays so"
        );
    }
}
