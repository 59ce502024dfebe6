//! A recorded history cut to a period: sums per state with their bounds, for one endpoint or a
//! combination.
//!
//! Page, API and exports ask this file, so that they show one and the same figure. Times are
//! milliseconds of one axis (the daemon's or UTC), intervals are half-open `[from, to)`.

use crate::words::{Ms, Reason};

/// `[from, to)` in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub from: i64,
    pub to: i64,
}

impl Span {
    pub fn new(from: i64, to: i64) -> Self {
        Self {
            from,
            to: to.max(from),
        }
    }

    pub fn length(self) -> Ms {
        (self.to - self.from) as Ms
    }

    pub fn cut(self, to: Span) -> Option<Span> {
        let (from, end) = (self.from.max(to.from), self.to.min(to.to));
        (from < end).then_some(Span { from, to: end })
    }
}

/// Sorted spans that neither touch nor overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

impl Spans {
    pub fn new(mut spans: Vec<Span>) -> Self {
        spans.retain(|s| s.from < s.to);
        spans.sort_unstable();
        let mut whole: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match whole.last_mut() {
                Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
                _ => whole.push(span),
            }
        }
        Self(whole)
    }

    pub fn length(&self) -> Ms {
        self.0.iter().map(|s| s.length()).sum()
    }

    pub fn as_slice(&self) -> &[Span] {
        &self.0
    }

    pub fn union(&self, other: &Spans) -> Spans {
        Spans::new(self.0.iter().chain(&other.0).copied().collect())
    }

    /// The time that lies in both.
    pub fn both(&self, other: &Spans) -> Spans {
        Spans::in_at_least(&[self, other], 2)
    }

    pub fn cut(&self, to: Span) -> Spans {
        let first = self.0.partition_point(|s| s.to <= to.from);
        Spans(
            self.0[first..]
                .iter()
                .take_while(|s| s.from < to.to)
                .filter_map(|s| s.cut(to))
                .collect(),
        )
    }

    pub fn minus(&self, other: &Spans) -> Spans {
        let mut left = Vec::new();
        let mut holes = other.0.iter().peekable();
        for span in &self.0 {
            let mut from = span.from;
            while let Some(hole) = holes.peek() {
                if hole.to <= from {
                    holes.next();
                    continue;
                }
                if hole.from >= span.to {
                    break;
                }
                if hole.from > from {
                    left.push(Span {
                        from,
                        to: hole.from,
                    });
                }
                from = hole.to;
                if hole.to >= span.to {
                    break;
                }
                holes.next();
            }
            if from < span.to {
                left.push(Span { from, to: span.to });
            }
        }
        Spans(left)
    }

    /// The time that lies in at least `count` of the sets.
    pub fn in_at_least(sets: &[&Spans], count: usize) -> Spans {
        let mut edges: Vec<(i64, i32)> = Vec::new();
        for span in sets.iter().flat_map(|s| &s.0) {
            edges.push((span.from, 1));
            edges.push((span.to, -1));
        }
        edges.sort_unstable();
        let (mut depth, mut since, mut spans) = (0, None, Vec::new());
        for (at, by) in edges {
            depth += by;
            let enough = depth >= count as i32;
            match (enough, since) {
                (true, None) => since = Some(at),
                (false, Some(from)) => {
                    spans.push(Span { from, to: at });
                    since = None;
                }
                (true, Some(_)) | (false, None) => {}
            }
        }
        Spans::new(spans)
    }
}

/// One outage; `to` fields are `None` while it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutageSpan {
    /// What tells it from the others of its endpoint: the event that opened it, where there are
    /// events.
    pub id: u64,
    pub from: i64,
    pub from_earliest: i64,
    pub from_latest: i64,
    pub to: Option<i64>,
    pub to_earliest: Option<i64>,
    pub to_latest: Option<i64>,
}

/// What is recorded of one endpoint.
#[derive(Debug, Clone, Default)]
pub struct EndpointRecord {
    /// In service from here; `None` when never.
    pub from: Option<i64>,
    /// Settled up to here.
    pub settled: i64,
    pub outages: Vec<OutageSpan>,
    /// Known down: the outages without the unknown time inside them.
    pub down: Spans,
    pub unknown: Vec<(Span, Reason)>,
    /// Spans that may hold an outage that was not confirmed, or lie between a success and unknown
    /// time.
    pub doubtful: Vec<Span>,
    /// Runs of failures: surely down.
    pub proven: Vec<Span>,
    /// Out of service: counts nowhere.
    pub absent: Vec<Span>,
    /// Not yet or no more of the component that is asked about: counts nowhere there.
    pub outside: Vec<Span>,
}

/// The time of one endpoint or component in three disjoint sets, with the bounds of the down time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateSpans {
    pub covered: Spans,
    pub down: Spans,
    pub unknown: Spans,
    /// Surely down.
    pub down_lower: Spans,
    /// Down in the worst case, without unknown time.
    pub down_upper: Spans,
    /// Taken out of service.
    pub absent: Spans,
}

/// How a component follows from its endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// Down when any is down.
    Series,
    /// Down when all are down.
    Parallel,
    /// Down when fewer than this many are up.
    AtLeast(usize),
}

impl Combine {
    /// How many of so many endpoints have to be down.
    pub fn down_when(self, all: usize) -> usize {
        match self {
            Combine::Series => 1,
            Combine::Parallel => all,
            Combine::AtLeast(up) => (all + 1).saturating_sub(up).max(1),
        }
    }
}

/// Sums of a period in milliseconds; `up + down + unknown = covered`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    pub covered: Ms,
    pub up: Ms,
    pub down: Ms,
    pub unknown: Ms,
    pub down_lower: Ms,
    pub down_upper: Ms,
}

/// What of the outages is known to be down, where one that is open lasts until `settled`.
pub fn known_down(outages: &[OutageSpan], unknown: &[Span], settled: i64) -> Spans {
    Spans::new(
        outages
            .iter()
            .map(|o| Span::new(o.from, end_of(o, o.to, settled)))
            .collect(),
    )
    .minus(&Spans::new(unknown.to_vec()))
}

fn end_of(outage: &OutageSpan, to: Option<i64>, settled: i64) -> i64 {
    to.unwrap_or(settled).max(outage.from)
}

impl EndpointRecord {
    /// Out of service, or of another component.
    pub fn away(&self) -> Spans {
        Spans::new(self.absent.iter().chain(&self.outside).copied().collect())
    }

    /// Time away that begins while it is down, or while it is unknown and was down before. Failures
    /// that were not confirmed when it left service leave unknown time of that reason right before.
    pub fn left_while_down(&self) -> Spans {
        let unknown = Spans::new(self.unknown.iter().map(|u| u.0).collect());
        let before = |at: i64| {
            unknown
                .as_slice()
                .iter()
                .find(|u| u.from < at && at <= u.to)
                .map_or(at, |u| u.from)
        };
        let absent = Spans::new(self.absent.clone());
        let ends_at = |at: i64| self.down.as_slice().iter().any(|d| d.to == at);
        let is_down_at = |at: i64| {
            self.down
                .as_slice()
                .iter()
                .any(|d| d.from < at && at <= d.to)
        };
        // What is unknown as failures were not confirmed when it left service, perhaps after it had
        // moved.
        let leaves_at = |at: i64| self.absent.iter().any(|a| a.from == at);
        let failing: Vec<Span> = self
            .unknown
            .iter()
            .filter(|(u, why)| *why == Reason::Reconfigured && leaves_at(u.to))
            .map(|u| u.0)
            .collect();
        let is_failing_at = |at: i64| failing.iter().any(|u| u.from < at && at <= u.to);
        let left = absent.as_slice().iter().filter(|h| {
            ends_at(h.from) || ends_at(before(h.from)) || failing.iter().any(|u| u.to == h.from)
        });
        let moved = self
            .outside
            .iter()
            .filter(|h| is_down_at(h.from) || is_down_at(before(h.from)) || is_failing_at(h.from));
        Spans::new(left.chain(moved).copied().collect())
    }

    /// Cut to a period. Where a clock that was set back repeats an interval, it counts once: down
    /// before unknown before up.
    pub fn timeline(&self, period: Span) -> StateSpans {
        let Some(from) = self.from else {
            return StateSpans::default();
        };
        let absent = self.away();
        let served = Spans::new(vec![Span::new(from, self.settled)]).minus(&absent);
        let covered = served.cut(period);
        let outside = Spans::new(vec![Span::new(i64::MIN / 4, i64::MAX / 4)]).minus(&covered);
        let within = |spans: Vec<Span>| Spans::new(spans).minus(&outside);
        let down = self.down.minus(&outside);
        let unknown = within(self.unknown.iter().map(|u| u.0).collect()).minus(&down);
        let down_lower = within(self.proven.clone()).minus(&unknown);
        let mut widest: Vec<Span> = self
            .outages
            .iter()
            .map(|o| Span::new(o.from_earliest, end_of(o, o.to_latest, self.settled)))
            .collect();
        widest.extend(&self.doubtful);
        let absent = absent.cut(period);
        StateSpans {
            down,
            down_lower,
            down_upper: within(widest).minus(&unknown),
            covered,
            unknown,
            absent,
        }
    }
}

impl StateSpans {
    /// Three-valued: what is certain of the endpoints makes the component certain, whatever the
    /// others are.
    pub fn combined(all: &[StateSpans], combine: Combine) -> StateSpans {
        if all.len() == 1 && combine != Combine::AtLeast(0) {
            return all[0].clone();
        }
        let needed = combine.down_when(all.len());
        let covered = Spans::in_at_least(&all.iter().map(|t| &t.covered).collect::<Vec<_>>(), 1);
        // In a series an endpoint takes no part while it is not in service. Elsewhere one that was
        // taken out keeps nothing up, and one that was not there yet could be either.
        let is_series = combine == Combine::Series;
        let outside: Vec<Spans> = all
            .iter()
            .map(|t| {
                if is_series {
                    t.unknown.clone()
                } else {
                    t.unknown.union(&covered.minus(&t.covered).minus(&t.absent))
                }
            })
            .collect();
        let gone: Vec<Spans> = all
            .iter()
            .map(|t| {
                if is_series {
                    Spans::default()
                } else {
                    t.absent.both(&covered)
                }
            })
            .collect();
        let count = |pick: fn(&StateSpans) -> &Spans| {
            let sets: Vec<Spans> = all
                .iter()
                .zip(&gone)
                .map(|(t, g)| pick(t).union(g))
                .collect();
            Spans::in_at_least(&sets.iter().collect::<Vec<_>>(), needed)
        };
        let possible = |pick: fn(&StateSpans) -> &Spans| {
            let sets: Vec<Spans> = all
                .iter()
                .zip(&outside)
                .zip(&gone)
                .map(|((t, o), g)| pick(t).union(o).union(g))
                .collect();
            Spans::in_at_least(&sets.iter().collect::<Vec<_>>(), needed)
        };
        let down = count(|t| &t.down);
        let unknown = possible(|t| &t.down).minus(&down);
        let absent = all
            .iter()
            .map(|t| t.absent.clone())
            .reduce(|a, b| a.both(&b))
            .unwrap_or_default();
        StateSpans {
            down_lower: count(|t| &t.down_lower),
            down_upper: possible(|t| &t.down_upper).minus(&unknown),
            covered,
            down,
            unknown,
            absent,
        }
    }

    /// Two that follow each other in time.
    pub fn and(&self, later: &StateSpans) -> StateSpans {
        StateSpans {
            covered: self.covered.union(&later.covered),
            down: self.down.union(&later.down),
            unknown: self.unknown.union(&later.unknown),
            down_lower: self.down_lower.union(&later.down_lower),
            down_upper: self.down_upper.union(&later.down_upper),
            absent: self.absent.union(&later.absent),
        }
    }

    /// What lies in a period.
    pub fn cut(&self, period: Span) -> StateSpans {
        StateSpans {
            covered: self.covered.cut(period),
            down: self.down.cut(period),
            unknown: self.unknown.cut(period),
            down_lower: self.down_lower.cut(period),
            down_upper: self.down_upper.cut(period),
            absent: self.absent.cut(period),
        }
    }

    /// What lies before an instant.
    pub fn until(&self, at: i64) -> StateSpans {
        self.cut(Span::new(i64::MIN, at))
    }

    /// Where what is covered ends.
    pub fn end(&self) -> i64 {
        self.covered.as_slice().last().map_or(0, |s| s.to)
    }

    pub fn sums(&self) -> Sums {
        let (covered, down, unknown) = (
            self.covered.length(),
            self.down.length(),
            self.unknown.length(),
        );
        Sums {
            covered,
            down,
            unknown,
            up: covered - down - unknown,
            down_lower: self.down_lower.length(),
            down_upper: self.down_upper.length(),
        }
    }
}

/// Availability as exact parts per ten million, rounded down, with the bounds; `None` without known
/// time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Availability {
    pub point: Option<u64>,
    pub lower: Option<u64>,
    pub upper: Option<u64>,
}

/// A whole in the unit of [`Availability`].
pub const WHOLE: u64 = 10_000_000;

impl Sums {
    /// Point: unknown time left out. Bounds: all unknown time down, all unknown time up, at the
    /// ends of each outage.
    pub fn availability(&self) -> Availability {
        let share = |part: Ms, whole: Ms| {
            (whole > 0).then(|| (u128::from(part) * u128::from(WHOLE) / u128::from(whole)) as u64)
        };
        Availability {
            point: share(self.up, self.up + self.down),
            lower: share(
                self.covered.saturating_sub(self.down_upper + self.unknown),
                self.covered,
            ),
            upper: share(self.covered.saturating_sub(self.down_lower), self.covered),
        }
    }
}

/// A share in percent with five decimals, truncated: `99.99768`.
pub fn percent(share: u64) -> String {
    format!("{}.{:05}", share / 100_000, share % 100_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(list: &[(i64, i64)]) -> Spans {
        Spans::new(list.iter().map(|(a, b)| Span::new(*a, *b)).collect())
    }

    fn record(outages: &[(i64, i64)], unknown: &[(i64, i64)]) -> EndpointRecord {
        let spans: Vec<OutageSpan> = outages
            .iter()
            .zip(1..)
            .map(|((a, b), id)| OutageSpan {
                id,
                from: *a,
                from_earliest: a - 10,
                from_latest: a + 10,
                to: Some(*b),
                to_earliest: Some(b - 10),
                to_latest: Some(b + 10),
            })
            .collect();
        let unknown: Vec<Span> = unknown.iter().map(|(a, b)| Span::new(*a, *b)).collect();
        EndpointRecord {
            from: Some(0),
            settled: 1000,
            down: known_down(&spans, &unknown, 1000),
            outages: spans,
            unknown: unknown
                .into_iter()
                .map(|span| (span, Reason::Late))
                .collect(),
            doubtful: vec![Span::new(900, 910)],
            proven: outages
                .iter()
                .map(|(a, b)| Span::new(a + 10, b - 10))
                .collect(),
            absent: Vec::new(),
            outside: Vec::new(),
        }
    }

    #[test]
    fn sets_of_spans_behave_like_sets_of_milliseconds() {
        let mut seed = 1_u64;
        let mut random = |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..500 {
            let mut set = || {
                (0..random(5))
                    .map(|_| {
                        let a = random(60) as i64;
                        Span::new(a, a + random(20) as i64)
                    })
                    .collect::<Vec<_>>()
            };
            let (a, b) = (Spans::new(set()), Spans::new(set()));
            let has = |s: &Spans, t: i64| s.as_slice().iter().any(|x| x.from <= t && t < x.to);
            let (minus, union) = (a.minus(&b), a.union(&b));
            let both = Spans::in_at_least(&[&a, &b], 2);
            for t in 0..100 {
                assert_eq!(has(&minus, t), has(&a, t) && !has(&b, t));
                assert_eq!(has(&union, t), has(&a, t) || has(&b, t));
                assert_eq!(has(&both, t), has(&a, t) && has(&b, t));
            }
        }
    }

    #[test]
    fn a_period_adds_up_and_its_bounds_enclose_the_point() {
        let sums = record(&[(100, 200)], &[(150, 160), (500, 600)])
            .timeline(Span::new(50, 950))
            .sums();
        assert_eq!(
            (sums.covered, sums.down, sums.unknown, sums.up),
            (900, 90, 110, 700)
        );
        assert_eq!((sums.down_lower, sums.down_upper), (70, 120));
        let a = sums.availability();
        assert!(a.lower <= a.point && a.point <= a.upper);
    }

    #[test]
    fn series_is_down_when_any_is_and_parallel_when_all_are() {
        let period = Span::new(0, 1000);
        let all = [
            record(&[(100, 200)], &[]).timeline(period),
            record(&[(150, 300)], &[(180, 190)]).timeline(period),
        ];
        let series = StateSpans::combined(&all, Combine::Series);
        assert_eq!(series.down, spans(&[(100, 300)]));
        assert_eq!(series.unknown, spans(&[]), "one certain outage decides");
        let parallel = StateSpans::combined(&all, Combine::Parallel);
        assert_eq!(parallel.down, spans(&[(150, 180), (190, 200)]));
        assert_eq!(parallel.unknown, spans(&[(180, 190)]));
        assert_eq!(StateSpans::combined(&all, Combine::AtLeast(1)), parallel);
        assert_eq!(StateSpans::combined(&all, Combine::AtLeast(2)), series);
    }

    #[test]
    fn an_endpoint_that_was_taken_out_neither_hides_nor_makes_downtime() {
        let period = Span::new(0, 1000);
        let stays = record(&[(100, 200), (700, 800)], &[]);
        let mut left = record(&[(150, 300)], &[]);
        left.absent = vec![Span::new(500, 2000)];
        let all = [stays.timeline(period), left.timeline(period)];
        assert_eq!(
            StateSpans::combined(&all, Combine::Series).down,
            spans(&[(100, 300), (700, 800)])
        );
        let parallel = StateSpans::combined(&all, Combine::Parallel);
        assert_eq!(
            parallel.down,
            spans(&[(150, 200), (700, 800)]),
            "from 500 on the one that stays is all there is"
        );
        assert_eq!(parallel.unknown, spans(&[]));
        assert_eq!(StateSpans::combined(&all, Combine::AtLeast(1)), parallel);
    }

    #[test]
    fn what_is_cut_is_what_the_shorter_period_has_by_itself() {
        let mut one = record(&[(100, 300), (600, 650)], &[(280, 400)]);
        one.absent = vec![Span::new(450, 500)];
        let other = record(&[(200, 250)], &[(640, 700)]);
        let of = |period: Span| {
            let all = [one.timeline(period), other.timeline(period)];
            StateSpans::combined(&all, Combine::Series)
        };
        let whole = of(Span::new(0, 1000));
        for (from, to) in [(0, 1000), (150, 290), (285, 645), (460, 480), (890, 905)] {
            let period = Span::new(from, to);
            assert_eq!(whole.cut(period), of(period), "{period:?}");
        }
    }

    #[test]
    fn printed_percentages_are_never_rounded_up() {
        let sums = Sums {
            covered: 2_592_000_000,
            up: 2_591_999_999,
            down: 1,
            ..Sums::default()
        };
        assert_eq!(
            sums.availability().point.map(percent).as_deref(),
            Some("99.99999")
        );
        assert_eq!(percent(WHOLE), "100.00000");
    }
}
