//! The daemon's timeline, which never goes back, in the time of the calendar, and back again.

use rusqlite::Connection;

use super::HistoryError;
use super::dates::STEP_MS;
use crate::judgement::timeline::{Span, Spans};
use crate::words::{Ms, UtcMs};

/// Maps the daemon's timeline to UTC through every step of the wall clock.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    /// (timeline from here on, UTC minus timeline), ascending.
    steps: Vec<(i64, i64)>,
}

impl Calendar {
    pub(super) fn read(connection: &Connection) -> Result<Self, HistoryError> {
        let mut statement =
            connection.prepare_cached("SELECT at, offset_ms FROM clock ORDER BY at")?;
        let steps = statement
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<Result<_, _>>()?;
        Ok(Self { steps })
    }

    pub fn utc(&self, at: Ms) -> UtcMs {
        let k = self.steps.partition_point(|(from, _)| *from <= at as i64);
        at as i64 + k.checked_sub(1).map_or(0, |k| self.steps[k].1)
    }

    /// The calendar's time of a stretch of the timeline. A step inside it belongs to it: what was
    /// repeated counts once, what was skipped is there.
    pub fn span(&self, from: i64, to: i64) -> Span {
        let (mut low, mut high) = (self.utc(from as Ms), self.utc(to as Ms));
        let first = self.steps.partition_point(|(at, _)| *at <= from);
        for (k, (at, offset)) in self
            .steps
            .iter()
            .enumerate()
            .skip(first)
            .take_while(|(_, (at, _))| *at < to)
        {
            let before = k.checked_sub(1).map_or(0, |k| self.steps[k].1);
            low = low.min(at + offset);
            high = high.max(at + before);
        }
        Span::new(low, high)
    }

    /// The time of the timeline that the calendar calls by these times; what was repeated is there
    /// twice.
    pub fn timeline(&self, span: Span) -> Spans {
        let each = self.steps.iter().enumerate().map(|(k, (at, offset))| {
            let until = self
                .steps
                .get(k + 1)
                .map_or(i64::MAX / 4, |(next, _)| *next);
            Span::new((span.from - offset).max(*at), (span.to - offset).min(until))
        });
        Spans::new(each.filter(|s| s.from < s.to).collect())
    }

    /// With steps that came later.
    pub fn and_steps(&self, later: impl IntoIterator<Item = (i64, i64)>) -> Self {
        let mut calendar = self.clone();
        calendar.steps.extend(later);
        calendar.steps.sort_unstable_by_key(|(at, _)| *at);
        calendar
    }

    /// The first instant of the timeline, not before `from`, at which the wall clock showed this;
    /// where it never did, at which it showed more.
    pub fn first_at(&self, utc: UtcMs, from: i64) -> i64 {
        let until = |k: usize| {
            self.steps
                .get(k + 1)
                .map_or(i64::MAX / 4, |(next, _)| *next)
        };
        let each = || {
            self.steps
                .iter()
                .enumerate()
                .map(|(k, (at, offset))| (utc - offset, Span::new((*at).max(from), until(k))))
        };
        let shown = each()
            .find(|(exact, span)| span.from <= *exact && *exact < span.to)
            .map(|(exact, _)| exact);
        let passed = || {
            each()
                .map(|(exact, span)| (exact.max(span.from), span))
                .find(|(at, span)| *at < span.to)
                .map(|(at, _)| at)
        };
        shown.or_else(passed).unwrap_or(utc.max(from))
    }

    /// An instant of the timeline that is surely not after this one of the calendar.
    pub fn surely_before(&self, utc: UtcMs) -> i64 {
        utc - self
            .steps
            .iter()
            .map(|(_, offset)| *offset)
            .max()
            .unwrap_or(0)
    }

    /// How the clock was set, by more than a correction: what it showed, and what it was set to.
    pub fn sets(&self) -> impl Iterator<Item = (UtcMs, UtcMs)> + '_ {
        let each = self
            .steps
            .windows(2)
            .map(|w| (w[1].0 + w[0].1, w[1].0 + w[1].1));
        each.filter(|(before, after)| (after - before).abs() > STEP_MS)
    }

    /// Calendar time that a forward step has skipped, and that the clock had not shown before.
    pub(super) fn skipped(&self) -> Spans {
        let mut skipped = Vec::new();
        for (k, w) in self.steps.windows(2).enumerate() {
            let ((_, before), (at, after)) = (w[0], w[1]);
            if after - before > 500 {
                let shown = self.steps[..=k]
                    .iter()
                    .zip(&self.steps[1..])
                    .map(|((from, offset), (to, _))| Span::new(from + offset, to + offset));
                skipped.extend_from_slice(
                    Spans::new(vec![Span::new(at + before, at + after)])
                        .minus(&Spans::new(shown.collect()))
                        .as_slice(),
                );
            }
        }
        Spans::new(skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_repeats_time_that_counts_once() {
        let calendar = Calendar {
            steps: vec![(0, 0), (1000, -300)],
        };
        assert_eq!(calendar.utc(999), 999);
        assert_eq!(calendar.utc(1000), 700);
        assert_eq!(
            calendar.span(900, 1100),
            Span::new(700, 1000),
            "up to the step, and again from 700 to 800"
        );
        assert_eq!(calendar.span(900, 1500), Span::new(700, 1200));
        assert_eq!(calendar.span(1000, 1500), Span::new(700, 1200));
        assert_eq!(calendar.skipped().as_slice(), []);
        assert_eq!(
            calendar.timeline(Span::new(600, 900)).as_slice(),
            [Span::new(600, 900), Span::new(1000, 1200)],
            "from 700 on it was called so twice"
        );
    }

    #[test]
    fn what_the_clock_had_shown_before_it_was_set_back_is_not_skipped_when_it_is_set_right() {
        let calendar = |steps: &[(i64, i64)]| Calendar {
            steps: steps.to_vec(),
        };
        let back = calendar(&[(0, 0), (5000, -4000), (6000, 0)]);
        assert_eq!(
            back.skipped().as_slice(),
            [Span::new(5000, 6000)],
            "from where it was set back to where it was set right"
        );
        let ahead = calendar(&[(0, 0), (5000, 4000), (6000, 0), (20_000, 1000)]);
        assert_eq!(
            ahead.skipped().as_slice(),
            [Span::new(5000, 9000), Span::new(20_000, 21_000)]
        );
    }

    #[test]
    fn a_forward_step_over_half_a_second_is_unknown_time() {
        let calendar = Calendar {
            steps: vec![(0, 0), (1000, 400), (2000, 5000)],
        };
        assert_eq!(calendar.skipped().as_slice(), [Span::new(2400, 7000)]);
        assert_eq!(
            calendar.span(900, 1100),
            Span::new(900, 1500),
            "a small step belongs to what it interrupts"
        );
    }
}
