//! What is left of an error budget, day by day, against an even use of it: an SVG that is 360 wide
//! and 60 high, and the same as a table.

use std::fmt::Write;

use num_traits::ToPrimitive;

use crate::judgement::sla::calendar::{PeriodKind, day_of, days};
use crate::judgement::sla::contract::{Contract, Measure, Together, Unknown};
use crate::judgement::sla::evaluation::Evaluation;
use crate::judgement::timeline::Span;
use crate::words::{UtcMs, people};

const WIDTH: i128 = 360;
const HEIGHT: i128 = 60;

/// Of one contract and component in the period that is not over.
#[derive(Debug, PartialEq, Eq)]
pub struct Burndown {
    /// What is left at the start, and at the end of each day until now.
    pub left: String,
    /// Where the line ends, which may be near its start.
    pub end: String,
    /// Where more than the budget is used up, the line leads below the one at this height.
    pub zero: i64,
    pub is_exceeded: bool,
    pub label: String,
    /// Days on which some of it was used.
    pub days: Vec<BurnDay>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct BurnDay {
    pub date: String,
    pub spent: String,
    pub left: String,
}

/// Nothing where the contract has no budget of time, or counts it otherwise than as the sum of its
/// days; and for a rolling period, whose days leave it again.
pub fn burndown(contract: &Contract, j: &Evaluation, now: UtcMs) -> Option<Burndown> {
    let is_sum = !matches!(contract.measure, Measure::MeanErrorRatio { .. })
        && !matches!(contract.together, Together::Weighted(_))
        && !matches!(contract.period, PeriodKind::Rolling(_));
    let budget = j.budget.to_integer().to_i64().filter(|ms| *ms > 0)?;
    let until = Span::new(j.span.from, j.span.to.min(now));
    if !is_sum || until.length() == 0 {
        return None;
    }
    let spent = match contract.unknown {
        Unknown::Down => j.sets.down.union(&j.sets.unknown),
        Unknown::Exclude | Unknown::Up => j.sets.down.clone(),
    };
    let mut points = vec![(j.span.from, budget)];
    let mut list = Vec::new();
    let mut left = budget;
    for (date, day) in days(until, &contract.zone) {
        let of_day = spent.cut(day).length();
        left -= of_day as i64;
        points.push((day.to, left));
        if of_day > 0 {
            list.push(BurnDay {
                date: date.to_string(),
                spent: people::duration(of_day),
                left: signed(left),
            });
        }
    }
    let lowest = left.min(0);
    let even = share_left(j.span, until.to, budget);
    Some(Burndown {
        left: path(&points, j.span, (budget, lowest)),
        end: format!(
            "M{} {}h0",
            across(until.to, j.span),
            height(left, (budget, lowest))
        ),
        zero: height(0, (budget, lowest)),
        is_exceeded: left < 0,
        label: format!(
            "{} of {} left; an even use would have left {}",
            signed(left),
            people::duration(budget as u64),
            signed(even)
        ),
        days: list,
    })
}

/// What an even use leaves of the budget at an instant.
fn share_left(span: Span, at: UtcMs, budget: i64) -> i64 {
    let rest = i128::from(span.to - at) * i128::from(budget);
    (rest / i128::from(span.length().max(1))) as i64
}

fn signed(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}", people::duration(ms.unsigned_abs()))
}

fn height(value: i64, (top, bottom): (i64, i64)) -> i64 {
    let below = i128::from(top) - i128::from(value);
    let all = (i128::from(top) - i128::from(bottom)).max(1);
    (below * HEIGHT / all) as i64
}

fn across(at: UtcMs, span: Span) -> i64 {
    let whole = i128::from(span.length().max(1));
    (i128::from(at - span.from) * WIDTH / whole) as i64
}

fn path(points: &[(UtcMs, i64)], span: Span, range: (i64, i64)) -> String {
    let mut path = String::new();
    for (k, (at, left)) in points.iter().enumerate() {
        let command = if k == 0 { 'M' } else { 'L' };
        let _ = write!(
            path,
            "{command}{} {}",
            across(*at, span),
            height(*left, range)
        );
    }
    path
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// ` until December`: the end of the period as people say it; empty for one that has none.
pub fn until_words(contract: &Contract, span: Span) -> String {
    let next = day_of(span.to, &contract.zone);
    match contract.period {
        PeriodKind::CalendarMonth | PeriodKind::CalendarQuarter => {
            let month = MONTHS.get(usize::from(next.month().unsigned_abs()) - 1);
            month.map_or(String::new(), |name| format!(" until {name}"))
        }
        PeriodKind::CalendarYear => format!(" until {}", next.year()),
        PeriodKind::Rolling(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgement::sla::contract::Contract;
    use crate::judgement::sla::evaluate::evaluate;
    use crate::judgement::sla::exact::decimal;
    use crate::judgement::sla::record::{Outage, Recorded, Timeline};
    use crate::words::{Name, parse_utc};

    fn at(text: &str) -> UtcMs {
        parse_utc(text).expect("a time")
    }

    fn outage(from: &str, to: &str) -> Outage {
        let (from, to) = (at(from), at(to));
        Outage {
            outage: None,
            is_open: false,
            excluded_by: None,
            from,
            to,
            from_earliest: from,
            from_latest: from,
            to_earliest: to,
            to_latest: to,
        }
    }

    /// November 2026, of which ten days are over.
    fn judged(objective: &str, down: Vec<Outage>) -> (Contract, Evaluation, UtcMs) {
        let name = Name::new("shop").expect("a name");
        let mut contract =
            Contract::of_each(vec![name], jiff::tz::TimeZone::UTC).expect("a contract");
        contract.objective = decimal(objective).expect("a decimal");
        let now = at("2026-11-11T00:00:00Z");
        let period = Span::new(at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z"));
        let timeline = Timeline {
            from: Some(period.from),
            to: Some(now),
            components: vec![Recorded {
                name: "shop".to_owned(),
                down,
                ..Recorded::default()
            }],
            ..Timeline::default()
        };
        let list = evaluate(&contract, &[], &timeline, period).expect("judged");
        (contract, list.into_iter().next().expect("one"), now)
    }

    #[test]
    fn the_line_ends_at_what_the_contract_has_left() {
        let down = vec![
            outage("2026-11-03T10:00:00Z", "2026-11-03T10:10:00Z"),
            outage("2026-11-07T23:55:00Z", "2026-11-08T00:05:00Z"),
        ];
        let (contract, j, now) = judged("99.9", down);
        let burn = burndown(&contract, &j, now).expect("a budget");
        // 43 m 12 s of 30 days, of which 20 m are used; a third of the time is over.
        assert_eq!(
            burn.label,
            "23 m 12 s of 43 m 12 s left; an even use would have left 28 m 48 s"
        );
        let days: Vec<_> = burn
            .days
            .iter()
            .map(|d| (&*d.date, &*d.spent, &*d.left))
            .collect();
        assert_eq!(
            days,
            [
                ("2026-11-03", "10 m", "33 m 12 s"),
                ("2026-11-07", "5 m", "28 m 12 s"),
                ("2026-11-08", "5 m", "23 m 12 s"),
            ]
        );
        assert!(
            burn.left.starts_with("M0 0L12 0L24 0L36 13L48 13"),
            "{}",
            burn.left
        );
        assert!(burn.left.ends_with("L120 27"), "{}", burn.left);
        assert_eq!(burn.end, "M120 27h0");
        assert_eq!((burn.zero, burn.is_exceeded), (60, false));
        let left = &j.budget - &j.spent;
        assert_eq!(left.to_integer().to_i64(), Some(23 * 60_000 + 12_000));
    }

    #[test]
    fn more_than_the_budget_leads_below_zero() {
        let (contract, j, now) = judged(
            "99.9",
            vec![outage("2026-11-03T10:00:00Z", "2026-11-03T11:26:24Z")],
        );
        let burn = burndown(&contract, &j, now).expect("a budget");
        assert_eq!((burn.zero, burn.is_exceeded), (30, true));
        assert!(
            burn.label.starts_with("-43 m 12 s of 43 m 12 s left"),
            "{}",
            burn.label
        );
        assert!(burn.left.ends_with("L120 60"), "{}", burn.left);
    }

    #[test]
    fn without_a_budget_there_is_no_line() {
        let (mut contract, j, now) = judged("100", Vec::new());
        assert_eq!(burndown(&contract, &j, now), None);
        let (_, j, _) = judged("99.9", Vec::new());
        contract.together = Together::Weighted(Vec::new());
        assert_eq!(burndown(&contract, &j, now), None);
    }

    #[test]
    fn the_end_of_a_period_has_a_name() {
        let (mut contract, j, _) = judged("99.9", Vec::new());
        assert_eq!(until_words(&contract, j.span), " until December");
        contract.period = PeriodKind::CalendarYear;
        let year = Span::new(0, at("2027-01-01T00:00:00Z"));
        assert_eq!(until_words(&contract, year), " until 2027");
        contract.period = PeriodKind::Rolling(1);
        assert_eq!(until_words(&contract, j.span), "");
    }
}
