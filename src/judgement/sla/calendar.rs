//! Periods and service hours as instants: calendar months of a zone, weekdays and hours with
//! daylight saving.

use jiff::civil::{Date, DateTime, Time, Weekday, date};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

use crate::judgement::timeline::{Span, Spans};
use crate::words::{Ms, UtcMs, parse_utc};

/// The length of the periods that are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeriodKind {
    CalendarMonth,
    CalendarQuarter,
    CalendarYear,
    /// This many milliseconds before an instant.
    Rolling(Ms),
}

/// When the service is owed.
#[derive(Debug, Clone)]
pub struct ServiceHours {
    pub days: Vec<Weekday>,
    pub from: Time,
    /// Midnight at the end of the day when it equals `from` or is 00:00.
    pub to: Time,
    pub zone: TimeZone,
    pub holidays: Vec<Date>,
}

/// A period that cannot be one of the contract's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid period of this contract; {advice}")]
pub struct NoPeriod {
    pub text: String,
    pub advice: &'static str,
}

/// Milliseconds since 1970 of a civil time in a zone: the first of two, and where the clock skips
/// it, when the clock goes on.
pub fn instant(at: DateTime, zone: &TimeZone) -> UtcMs {
    on_clock(at, zone).0
}

/// How often a civil time is on the clock of a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnClock {
    Once,
    /// The clock goes back over it: the first of both counts.
    Twice,
    /// The clock skips it: the first instant after it counts.
    Never,
}

/// The instant of a civil time, and whether the clock has it once.
pub fn on_clock(at: DateTime, zone: &TimeZone) -> (UtcMs, OnClock) {
    let ambiguous = zone.to_ambiguous_timestamp(at);
    let ms = |t: Result<Timestamp, jiff::Error>| t.map_or(i64::MIN / 4, Timestamp::as_millisecond);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => (ms(ambiguous.compatible()), OnClock::Once),
        AmbiguousOffset::Fold { .. } => (ms(ambiguous.earlier()), OnClock::Twice),
        // As the clock before and the clock after have it, it lies on both sides of the change.
        AmbiguousOffset::Gap { .. } => {
            let change = ambiguous.earlier().ok().and_then(|before| {
                zone.following(before)
                    .next()
                    .map(|change| change.timestamp())
            });
            (
                change.map_or_else(|| ms(ambiguous.later()), Timestamp::as_millisecond),
                OnClock::Never,
            )
        }
    }
}

fn midnight(day: Date, zone: &TimeZone) -> UtcMs {
    instant(day.to_datetime(Time::midnight()), zone)
}

/// The day of an instant in a zone.
pub fn day_of(at: UtcMs, zone: &TimeZone) -> Date {
    Timestamp::from_millisecond(at).map_or(date(1970, 1, 1), |t| zone.to_datetime(t).date())
}

/// The civil days of a zone that a span touches, cut to it, in order.
pub fn days(span: Span, zone: &TimeZone) -> impl Iterator<Item = (Date, Span)> + '_ {
    let first = day_of(span.from, zone);
    let each = std::iter::successors(Some(first), |day| day.tomorrow().ok());
    let cut = each.map(move |day| {
        (
            day,
            Span::new(
                midnight(day, zone),
                midnight(day.tomorrow().unwrap_or(day), zone),
            ),
        )
    });
    cut.take_while(move |(_, day)| day.from < span.to)
        .filter_map(move |(date, day)| day.cut(span).map(|day| (date, day)))
}

/// The period that a text names: `2026-11`, `2026-Q4`, `2026`, or for rolling windows the instant
/// it ends.
pub fn period(kind: PeriodKind, zone: &TimeZone, text: &str) -> Result<Span, NoPeriod> {
    let wrong = |advice| NoPeriod {
        text: text.to_owned(),
        advice,
    };
    let number = |t: &str| {
        if t.bytes().all(|b| b.is_ascii_digit()) {
            t.parse::<i16>().ok()
        } else {
            None
        }
    };
    let year = text.get(..4).and_then(number);
    let rest = text.get(4..).unwrap_or_default();
    let first = match kind {
        PeriodKind::Rolling(length) => {
            let advice = "write the instant it ends, such as 2026-12-01T00:00:00Z";
            let end = parse_utc(text)
                .or_else(|| {
                    text.parse::<Date>()
                        .ok()
                        .filter(|_| text.len() == 10)
                        .map(|d| midnight(d, zone))
                })
                .ok_or_else(|| wrong(advice))?;
            return Ok(Span::new(end - length as i64, end));
        }
        PeriodKind::CalendarMonth => {
            let month = rest
                .strip_prefix('-')
                .filter(|m| m.len() == 2)
                .and_then(number);
            year.zip(month)
                .and_then(|(y, m)| Date::new(y, i8::try_from(m).ok()?, 1).ok())
                .ok_or_else(|| wrong("write a month, such as 2026-11"))?
        }
        PeriodKind::CalendarQuarter => {
            let quarter = rest
                .strip_prefix("-Q")
                .filter(|q| q.len() == 1)
                .and_then(number)
                .filter(|q| (1..=4).contains(q));
            year.zip(quarter)
                .and_then(|(y, q)| Date::new(y, (q as i8 - 1) * 3 + 1, 1).ok())
                .ok_or_else(|| wrong("write a quarter, such as 2026-Q4"))?
        }
        PeriodKind::CalendarYear => year
            .filter(|_| rest.is_empty())
            .and_then(|y| Date::new(y, 1, 1).ok())
            .ok_or_else(|| wrong("write a year, such as 2026"))?,
    };
    let months = match kind {
        PeriodKind::CalendarMonth | PeriodKind::Rolling(_) => 1,
        PeriodKind::CalendarQuarter => 3,
        PeriodKind::CalendarYear => 12,
    };
    let next = first
        .checked_add(months.months())
        .map_err(|_| wrong("the year is out of range"))?;
    Ok(Span::new(midnight(first, zone), midnight(next, zone)))
}

/// The period in which an instant lies and the one before it, with the texts that name them.
pub fn current_and_previous(kind: PeriodKind, zone: &TimeZone, now: UtcMs) -> [(String, Span); 2] {
    if let PeriodKind::Rolling(length) = kind {
        let length = length as i64;
        let name = crate::words::format_utc;
        return [
            (name(now), Span::new(now - length, now)),
            (
                name(now - length),
                Span::new(now - 2 * length, now - length),
            ),
        ];
    }
    let today = day_of(now, zone);
    let name = |day: Date| match kind {
        PeriodKind::CalendarQuarter => format!("{:04}-Q{}", day.year(), (day.month() - 1) / 3 + 1),
        PeriodKind::CalendarYear => format!("{:04}", day.year()),
        PeriodKind::CalendarMonth | PeriodKind::Rolling(_) => {
            format!("{:04}-{:02}", day.year(), day.month())
        }
    };
    let current = name(today);
    let span = period(kind, zone, &current).unwrap_or(Span::new(now, now));
    let before = name(day_of(span.from - 1, zone));
    let earlier = period(kind, zone, &before).unwrap_or(Span::new(now, now));
    [(current, span), (before, earlier)]
}

/// The hours in which the service is owed, within a span.
pub fn service_spans(hours: &ServiceHours, within: Span) -> Spans {
    let mut spans = Vec::new();
    let mut day = day_of(within.from, &hours.zone)
        .checked_sub(1.day())
        .unwrap_or(Date::MIN);
    let last = day_of(within.to, &hours.zone);
    while day <= last {
        let Ok(next) = day.checked_add(1.day()) else {
            break;
        };
        if hours.days.contains(&day.weekday()) && !hours.holidays.contains(&day) {
            let end_day = if hours.to <= hours.from { next } else { day };
            let span = Span::new(
                instant(day.to_datetime(hours.from), &hours.zone),
                instant(end_day.to_datetime(hours.to), &hours.zone),
            );
            spans.extend(span.cut(within));
        }
        day = next;
    }
    Spans::new(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        crate::judgement::zones::zone(name).expect("a zone")
    }

    /// Three zones changed their rules in 2026; an hour decides a month of 99.999 %.
    #[test]
    fn months_have_the_hours_of_the_rules_in_force() {
        let hours = |name: &str, month: &str| {
            period(PeriodKind::CalendarMonth, &zone(name), month)
                .expect("a month")
                .length()
                / 3_600_000
        };
        // By IANA 2025c they had 721, 721 and 720.
        assert_eq!(
            [
                hours("America/Vancouver", "2026-11"),
                hours("America/Edmonton", "2026-11"),
                hours("Africa/Casablanca", "2026-09")
            ],
            [720, 720, 721]
        );
        assert_eq!(
            [
                hours("America/Havana", "2026-11"),
                hours("Europe/Berlin", "2026-10"),
                hours("Europe/Berlin", "2026-03")
            ],
            [720, 745, 743]
        );
    }

    #[test]
    fn months_of_daylight_saving_have_743_and_745_hours() {
        let helsinki = zone("Europe/Helsinki");
        let hours = |text| {
            period(PeriodKind::CalendarMonth, &helsinki, text)
                .expect("a month")
                .length()
                / 3_600_000
        };
        assert_eq!(
            (hours("2026-03"), hours("2026-10"), hours("2026-11")),
            (743, 745, 720)
        );
        let quarter = period(PeriodKind::CalendarQuarter, &helsinki, "2026-Q4").expect("a quarter");
        assert_eq!(quarter.length() / 3_600_000, 92 * 24 + 1);
    }

    #[test]
    fn what_is_no_period_is_refused() {
        let utc = TimeZone::UTC;
        for text in [
            "2026",
            "2026-13",
            "2026-1",
            "2026-11-01",
            "x",
            "2026-Q1",
            "+026-11",
        ] {
            assert!(
                period(PeriodKind::CalendarMonth, &utc, text).is_err(),
                "{text}"
            );
        }
        assert!(period(PeriodKind::CalendarQuarter, &utc, "2026-Q5").is_err());
        assert!(period(PeriodKind::CalendarYear, &utc, "2026-01").is_err());
        let rolling =
            period(PeriodKind::Rolling(1000), &utc, "1970-01-01T00:00:02Z").expect("a window");
        assert_eq!(rolling, Span::new(1000, 2000));
    }

    #[test]
    fn the_previous_period_of_january_is_december() {
        let [(now, span), (before, earlier)] =
            current_and_previous(PeriodKind::CalendarMonth, &TimeZone::UTC, 0);
        assert_eq!(
            (now.as_str(), before.as_str(), span.from, earlier.to),
            ("1970-01", "1969-12", 0, 0)
        );
    }
}
