//! Maintenance windows: when they lie, whom they concern, and since when they were known.
//!
//! A window never hides the raw state; contracts decide what they admit. Pure: zones are those of
//! [`super::zones`].

use jiff::ToSpan;
use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::sla::calendar::{OnClock, day_of, instant, on_clock};
use super::sla::record::{Declared, OPEN};
use super::timeline::{Span, Spans};
use super::zones;
use crate::words::{Ms, Name, UtcMs, format_utc, parse_utc};

/// What was declared.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    pub id: Name,
    /// Components and endpoints that it concerns; both empty: everything.
    pub components: Vec<Name>,
    pub endpoints: Vec<Name>,
    /// The first begin, on the clock of `zone`.
    pub start: DateTime,
    pub zone: TimeZone,
    /// The first begin where it was given as an instant that `start` cannot name: the second time
    /// that the clock shows it.
    pub start_instant: Option<UtcMs>,
    /// Left empty: once.
    pub every: Vec<Weekday>,
    pub duration: Ms,
    /// When it was announced, as claimed.
    pub announced_at: Option<UtcMs>,
    pub reason: String,
}

/// A window as events and tables keep it.
#[derive(Serialize, Deserialize)]
struct WrittenWindow {
    id: String,
    components: Vec<String>,
    endpoints: Vec<String>,
    start: String,
    time_zone: String,
    every: Vec<String>,
    duration_ms: Ms,
    announced_at: Option<String>,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_instant: Option<String>,
}

/// A window with its place in the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub window: Window,
    /// When the declaration was recorded: it is in force from then on.
    pub recorded: UtcMs,
    /// When it was cancelled, or taken out of the config.
    pub ended: Option<UtcMs>,
    pub by: String,
    pub origin: Origin,
}

/// Who declared a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Config,
    /// Somebody, at run time.
    Person,
}

const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

/// How far ahead occurrences are looked for: a window that repeats has no last one.
pub const AHEAD_MS: i64 = 400 * 86_400_000;

impl Window {
    pub fn concerns(&self, endpoint: &str, component: &str) -> bool {
        let names = |list: &[Name], name: &str| list.iter().any(|n| n.as_str() == name);
        (self.components.is_empty() && self.endpoints.is_empty())
            || names(&self.components, component)
            || names(&self.endpoints, endpoint)
    }

    /// Every occurrence that touches a span.
    pub fn occurrences(&self, within: Span) -> Vec<Span> {
        self.touching([within, within])
    }

    /// Every occurrence that touches both spans. It is looked for only where both are near.
    fn touching(&self, both: [Span; 2]) -> Vec<Span> {
        let at = |start: DateTime| {
            let from = self
                .start_instant
                .filter(|_| start == self.start)
                .unwrap_or_else(|| instant(start, &self.zone));
            Span::new(from, from + self.duration as i64)
        };
        let touches = |s: &Span| both.iter().all(|span| s.cut(*span).is_some());
        if self.every.is_empty() {
            return Some(at(self.start)).filter(touches).into_iter().collect();
        }
        let [one, other] = both;
        let reach = (self.duration / 86_400_000 + 2) as i64;
        let earliest = day_of(one.from.max(other.from), &self.zone)
            .checked_sub(reach.days())
            .unwrap_or(self.start.date());
        let mut day = earliest.max(self.start.date());
        let last = day_of(one.to.min(other.to), &self.zone);
        let mut list = Vec::new();
        while day <= last {
            if self.every.contains(&day.weekday()) {
                list.extend(Some(at(day.to_datetime(self.start.time()))).filter(touches));
            }
            let Ok(next) = day.checked_add(1.day()) else {
                break;
            };
            day = next;
        }
        list
    }

    /// The days that it repeats on, as events name them.
    pub fn days(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.every
            .iter()
            .filter_map(|d| DAYS.iter().find(|(_, w)| w == d).map(|(word, _)| *word))
    }

    /// The definition as JSON, as events and tables keep it.
    pub fn to_json(&self) -> Value {
        let names = |list: &[Name]| list.iter().map(Name::to_string).collect();
        json!(WrittenWindow {
            id: self.id.to_string(),
            components: names(&self.components),
            endpoints: names(&self.endpoints),
            start: self.start.to_string(),
            time_zone: self.zone.iana_name().unwrap_or("UTC").to_owned(),
            every: self.days().map(str::to_owned).collect(),
            duration_ms: self.duration,
            announced_at: self.announced_at.map(format_utc),
            reason: self.reason.clone(),
            start_instant: self.start_instant.map(format_utc),
        })
    }

    /// What a clock that changes makes of the first begin, for the one who declares it.
    pub fn clock_note(&self) -> Option<String> {
        let (at, found) = on_clock(self.start, &self.zone);
        let zone = self.zone.iana_name().unwrap_or("UTC");
        match (found, self.start_instant) {
            (OnClock::Once, _) | (OnClock::Twice, Some(_)) => None,
            (OnClock::Twice, None) => Some(format!(
                "{} is twice on the clock of {zone}: the window starts at the first, {}",
                self.start,
                format_utc(at)
            )),
            (OnClock::Never, _) => Some(format!(
                "the clock of {zone} skips {}: the window starts after the skipped time, {}",
                self.start,
                format_utc(at)
            )),
        }
    }

    /// The inverse of [`Window::to_json`].
    pub fn from_json(value: &Value) -> Option<Self> {
        let written = WrittenWindow::deserialize(value).ok()?;
        let names = |list: Vec<String>| -> Option<Vec<Name>> {
            list.iter().map(|name| Name::new(name).ok()).collect()
        };
        let weekday = |day: &String| DAYS.iter().find(|(word, _)| word == day).map(|(_, w)| *w);
        let utc = |text: Option<String>| text.as_deref().and_then(parse_utc);
        Some(Self {
            id: Name::new(&written.id).ok()?,
            components: names(written.components)?,
            endpoints: names(written.endpoints)?,
            start: written.start.parse().ok()?,
            zone: zones::zone(&written.time_zone)?,
            start_instant: utc(written.start_instant),
            every: written.every.iter().map(weekday).collect::<Option<_>>()?,
            duration: written.duration_ms,
            announced_at: utc(written.announced_at),
            reason: written.reason,
        })
    }
}

impl Stored {
    /// Its occurrences in a span, as far as it was declared before and not ended by then: never
    /// time past.
    pub fn in_force(&self, within: Span) -> Vec<Span> {
        let force = self.force();
        let touching = self.window.touching([within, force]).into_iter();
        touching.filter_map(|s| s.cut(force)?.cut(within)).collect()
    }

    fn force(&self) -> Span {
        Span::new(self.recorded, self.ended.unwrap_or(OPEN))
    }

    /// Its occurrences as contracts read them. `components`: those whose every endpoint the window
    /// concerns.
    pub fn declared(&self, within: Span, components: Option<Vec<String>>) -> Vec<Declared> {
        let force = self.force();
        let touching = self.window.touching([within, force]).into_iter();
        touching
            .filter_map(|s| s.cut(force))
            .map(|s| Declared {
                id: Some(self.window.id.to_string()),
                from: s.from,
                to: s.to,
                announced_at: Some(self.window.announced_at.unwrap_or(self.recorded)),
                recorded_at: Some(self.recorded),
                components: components.clone(),
                reason: Some(self.window.reason.clone()),
            })
            .collect()
    }
}

/// The windows in force for one endpoint in a span, united.
pub fn spans_for(all: &[Stored], endpoint: &str, component: &str, within: Span) -> Spans {
    Spans::new(
        all.iter()
            .filter(|s| s.window.concerns(endpoint, component))
            .flat_map(|s| s.in_force(within))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: &str, zone: &str, every: &[Weekday], minutes: u64) -> Window {
        Window {
            id: Name::new("w").expect("a name"),
            components: vec![Name::new("checkout").expect("a name")],
            endpoints: Vec::new(),
            start: start.parse().expect("a time"),
            zone: zones::zone(zone).expect("a zone"),
            start_instant: None,
            every: every.to_vec(),
            duration: minutes * 60_000,
            announced_at: None,
            reason: "why".into(),
        }
    }

    fn utc(text: &str) -> i64 {
        parse_utc(text).expect("an instant")
    }

    #[test]
    fn a_weekly_window_keeps_its_local_time_over_daylight_saving() {
        let sundays = window(
            "2026-10-04T02:00",
            "Europe/Helsinki",
            &[Weekday::Sunday],
            120,
        );
        let found = sundays.occurrences(Span::new(
            utc("2026-10-01T00:00:00Z"),
            utc("2026-11-10T00:00:00Z"),
        ));
        let starts: Vec<String> = found.iter().map(|s| format_utc(s.from)).collect();
        let expected = [
            "2026-10-03T23",
            "2026-10-10T23",
            "2026-10-17T23",
            "2026-10-24T23",
            "2026-11-01T00",
            "2026-11-08T00",
        ];
        assert_eq!(starts.len(), expected.len(), "{starts:?}");
        for (start, hour) in starts.iter().zip(expected) {
            assert!(start.starts_with(hour), "{starts:?}");
        }
        assert!(
            found.iter().all(|s| s.length() == 7_200_000),
            "two hours also in the night of 25 hours"
        );
        // A start that the spring night skips begins when the clock goes on.
        let skipped = window("2026-03-29T03:30", "Europe/Helsinki", &[], 60);
        assert_eq!(
            format_utc(skipped.occurrences(Span::new(0, utc("2027-01-01T00:00:00Z")))[0].from),
            "2026-03-29T01:00:00.000Z"
        );
    }

    /// (zone, start on its clock, first day of three, their starts in UTC), by IANA 2026f.
    type Night = (&'static str, &'static str, &'static str, [&'static str; 3]);

    const NIGHTS: &[Night] = &[
        // Half an hour is skipped, and half an hour is there twice.
        (
            "Australia/Lord_Howe",
            "02:15",
            "2026-10-03",
            ["2026-10-02T15:45", "2026-10-03T15:30", "2026-10-04T15:15"],
        ),
        (
            "Australia/Lord_Howe",
            "01:45",
            "2026-04-04",
            ["2026-04-03T14:45", "2026-04-04T14:45", "2026-04-05T15:15"],
        ),
        (
            "Europe/Dublin",
            "01:30",
            "2026-03-28",
            ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"],
        ),
        (
            "Europe/Dublin",
            "01:30",
            "2026-10-24",
            ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"],
        ),
        // Into Ramadan, out of it, and to UTC for good.
        (
            "Africa/Casablanca",
            "02:30",
            "2026-02-14",
            ["2026-02-14T01:30", "2026-02-15T01:30", "2026-02-16T02:30"],
        ),
        (
            "Africa/Casablanca",
            "02:30",
            "2026-03-21",
            ["2026-03-21T02:30", "2026-03-22T02:00", "2026-03-23T01:30"],
        ),
        (
            "Africa/Casablanca",
            "01:30",
            "2026-09-19",
            ["2026-09-19T00:30", "2026-09-20T00:30", "2026-09-21T01:30"],
        ),
        // Midnight itself is skipped; the clock stays on summer time in November 2026.
        (
            "America/Havana",
            "00:30",
            "2026-03-07",
            ["2026-03-07T05:30", "2026-03-08T05:00", "2026-03-09T04:30"],
        ),
        (
            "America/Havana",
            "00:30",
            "2026-10-31",
            ["2026-10-31T04:30", "2026-11-01T04:30", "2026-11-02T04:30"],
        ),
        (
            "Europe/Berlin",
            "02:30",
            "2026-03-28",
            ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"],
        ),
        (
            "Europe/Berlin",
            "02:30",
            "2026-10-24",
            ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"],
        ),
        // The hour before midnight is there twice, the one after it is skipped.
        (
            "America/Santiago",
            "23:30",
            "2026-04-03",
            ["2026-04-04T02:30", "2026-04-05T02:30", "2026-04-06T03:30"],
        ),
        (
            "America/Santiago",
            "00:30",
            "2026-09-05",
            ["2026-09-05T04:30", "2026-09-06T04:00", "2026-09-07T03:30"],
        ),
    ];

    #[test]
    fn a_recurring_window_begins_once_in_each_change_night() {
        for (zone, time, day, expected) in NIGHTS {
            let every = DAYS.map(|(_, weekday)| weekday);
            let daily = window(&format!("2026-01-01T{time}"), zone, &every, 60);
            let first = utc(&format!("{}:00Z", expected[0]));
            let found = daily.occurrences(Span::new(first - 3_600_000, first + 58 * 3_600_000));
            let starts: Vec<String> = found
                .iter()
                .map(|s| format_utc(s.from)[..16].to_owned())
                .collect();
            assert_eq!(starts, *expected, "{zone}, {time} from {day}");
            assert!(
                found.iter().all(|s| s.length() == 3_600_000),
                "an hour is an hour"
            );
            // The same night alone says what it makes of the clock.
            let date: jiff::civil::Date = day.parse().expect("a day");
            let night = window(
                &format!("{}T{time}", date.tomorrow().expect("a day")),
                zone,
                &[],
                60,
            );
            let note = night.clock_note();
            let (at, found) = on_clock(night.start, &night.zone);
            assert_eq!(note.is_some(), found != OnClock::Once, "{zone}, {time}");
            assert!(
                note.is_none_or(|n| n.contains(&format_utc(at)) && n.contains(zone)),
                "{zone}, {time}"
            );
        }
    }

    #[test]
    fn the_second_of_two_times_is_meant_only_by_an_instant() {
        let second = utc("2027-10-31T01:30:00Z");
        let named = Window {
            start_instant: Some(second),
            every: vec![Weekday::Sunday],
            ..window("2027-10-31T02:30", "Europe/Berlin", &[], 60)
        };
        let found = named.occurrences(Span::new(
            utc("2027-10-30T00:00:00Z"),
            utc("2027-11-08T00:00:00Z"),
        ));
        assert_eq!(
            found.iter().map(|s| format_utc(s.from)).collect::<Vec<_>>(),
            ["2027-10-31T01:30:00.000Z", "2027-11-07T01:30:00.000Z"]
        );
        assert_eq!(Window::from_json(&named.to_json()), Some(named.clone()));
        assert_eq!(named.clock_note(), None);
        let first = window("2027-10-31T02:30", "Europe/Berlin", &[], 60);
        assert!(
            first
                .clock_note()
                .is_some_and(|n| n.contains("twice") && n.contains("2027-10-31T00:30:00.000Z"))
        );
        assert!(
            !first.to_json().to_string().contains("start_instant"),
            "windows that need none are written as before"
        );
    }

    #[test]
    fn a_window_is_never_in_force_for_time_past() {
        let stored = |recorded: &str, ended: Option<&str>| Stored {
            window: window("2026-12-06T02:00", "UTC", &[], 120),
            recorded: utc(recorded),
            ended: ended.map(utc),
            by: "x".into(),
            origin: Origin::Config,
        };
        let all = Span::new(0, utc("2027-01-01T00:00:00Z"));
        assert_eq!(stored("2026-12-01T00:00:00Z", None).in_force(all).len(), 1);
        assert_eq!(
            stored("2026-12-06T03:00:00Z", None).in_force(all)[0].length(),
            3_600_000,
            "from when it was recorded"
        );
        assert!(
            stored("2026-12-06T05:00:00Z", None)
                .in_force(all)
                .is_empty()
        );
        assert_eq!(
            stored("2026-12-01T00:00:00Z", Some("2026-12-06T02:30:00Z")).in_force(all)[0].length(),
            1_800_000
        );
        assert!(
            stored("2026-12-01T00:00:00Z", Some("2026-12-02T00:00:00Z"))
                .in_force(all)
                .is_empty()
        );
    }

    #[test]
    fn occurrences_are_looked_for_only_while_a_window_is_in_force() {
        let stored = |ended: Option<&str>| Stored {
            window: window("2026-12-01T23:00", "UTC", &DAYS.map(|(_, d)| d), 120),
            recorded: utc("2026-12-10T00:30:00Z"),
            ended: ended.map(utc),
            by: "x".into(),
            origin: Origin::Config,
        };
        let all = Span::new(0, utc("2036-01-01T00:00:00Z"));
        let cancelled = stored(Some("2026-12-12T23:30:00Z"));
        let found = cancelled.window.touching([all, cancelled.force()]);
        assert_eq!(found.len(), 4, "of the nights of four days: {found:?}");
        let told: Vec<[String; 2]> = cancelled
            .declared(all, None)
            .iter()
            .map(|d| [d.from, d.to].map(|at| format_utc(at)[5..16].to_owned()))
            .collect();
        let cut = [
            ["12-10T00:30", "12-10T01:00"],
            ["12-10T23:00", "12-11T01:00"],
            ["12-11T23:00", "12-12T01:00"],
            ["12-12T23:00", "12-12T23:30"],
        ];
        assert_eq!(told, cut);
        // One that touches a period only before it was recorded is told as before.
        let night = Span::new(0, utc("2026-12-10T00:00:00Z"));
        assert_eq!(stored(None).declared(night, None).len(), 1);
        assert!(stored(None).in_force(night).is_empty());
    }

    #[test]
    fn a_definition_survives_its_json() {
        let one = Window {
            announced_at: Some(5000),
            ..window(
                "2026-10-04T02:00",
                "Europe/Helsinki",
                &[Weekday::Sunday, Weekday::Monday],
                90,
            )
        };
        assert_eq!(Window::from_json(&one.to_json()), Some(one));
    }
}
