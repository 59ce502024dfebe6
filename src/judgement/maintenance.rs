//! Maintenance windows: when they lie, whom they concern, and since when they were known.
//!
//! A window never hides the raw state; contracts decide what they admit. Pure: zones come with the program.

use jiff::ToSpan;
use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::sla::calendar::{day_of, instant};
use super::sla::record::{Declared, OPEN};
use super::timeline::{Span, Spans};
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
    /// Left empty: once.
    pub every: Vec<Weekday>,
    pub duration: Ms,
    /// When it was announced, as claimed.
    pub announced_at: Option<UtcMs>,
    pub reason: String,
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

impl Window {
    pub fn concerns(&self, endpoint: &str, component: &str) -> bool {
        let names = |list: &[Name], name: &str| list.iter().any(|n| n.as_str() == name);
        (self.components.is_empty() && self.endpoints.is_empty()) || names(&self.components, component) || names(&self.endpoints, endpoint)
    }

    /// Every occurrence that touches a span.
    pub fn occurrences(&self, within: Span) -> Vec<Span> {
        let at = |start: DateTime| {
            let from = instant(start, &self.zone);
            Span::new(from, from + self.duration as i64)
        };
        if self.every.is_empty() {
            return vec![at(self.start)].into_iter().filter(|s| s.cut(within).is_some()).collect();
        }
        let reach = (self.duration / 86_400_000 + 2) as i64;
        let earliest = day_of(within.from, &self.zone).checked_sub(reach.days()).unwrap_or(self.start.date());
        let mut day = earliest.max(self.start.date());
        let last = day_of(within.to, &self.zone);
        let mut list = Vec::new();
        while day <= last {
            if self.every.contains(&day.weekday()) {
                list.extend(Some(at(day.to_datetime(self.start.time()))).filter(|s| s.cut(within).is_some()));
            }
            let Ok(next) = day.checked_add(1.day()) else { break };
            day = next;
        }
        list
    }

    /// The definition as JSON, as events and tables keep it.
    pub fn to_json(&self) -> Value {
        let days: Vec<&str> = self.every.iter().filter_map(|d| DAYS.iter().find(|(_, w)| w == d).map(|(word, _)| *word)).collect();
        let names = |list: &[Name]| list.iter().map(|n| n.as_str().to_owned()).collect::<Vec<_>>();
        json!({
            "id": self.id.as_str(), "components": names(&self.components), "endpoints": names(&self.endpoints), "start": self.start.to_string(),
            "time_zone": self.zone.iana_name().unwrap_or("UTC"), "every": days, "duration_ms": self.duration,
            "announced_at": self.announced_at.map(format_utc), "reason": self.reason,
        })
    }

    /// The inverse of [`Window::to_json`].
    pub fn from_json(value: &Value) -> Option<Self> {
        let names = |key: &str| -> Option<Vec<Name>> { value[key].as_array()?.iter().map(|n| Name::new(n.as_str()?).ok()).collect() };
        let every = value["every"].as_array()?.iter().map(|d| DAYS.iter().find(|(word, _)| Some(*word) == d.as_str()).map(|(_, w)| *w));
        Some(Self {
            id: Name::new(value["id"].as_str()?).ok()?,
            components: names("components")?,
            endpoints: names("endpoints")?,
            start: value["start"].as_str()?.parse().ok()?,
            zone: TimeZone::get(value["time_zone"].as_str()?).ok()?,
            every: every.collect::<Option<_>>()?,
            duration: value["duration_ms"].as_u64()?,
            announced_at: value["announced_at"].as_str().and_then(parse_utc),
            reason: value["reason"].as_str()?.to_owned(),
        })
    }
}

impl Stored {
    /// Its occurrences in a span, as far as it was declared before and not ended by then: never time past.
    pub fn in_force(&self, within: Span) -> Vec<Span> {
        let force = Span::new(self.recorded, self.ended.unwrap_or(OPEN));
        self.window.occurrences(within).into_iter().filter_map(|s| s.cut(force)?.cut(within)).collect()
    }

    /// Its occurrences as contracts read them. `components`: those whose every endpoint the window concerns.
    pub fn declared(&self, within: Span, components: Option<Vec<String>>) -> Vec<Declared> {
        let force = Span::new(self.recorded, self.ended.unwrap_or(OPEN));
        let whole = self.window.occurrences(within).into_iter().filter_map(|s| s.cut(force));
        whole
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
    Spans::new(all.iter().filter(|s| s.window.concerns(endpoint, component)).flat_map(|s| s.in_force(within)).collect())
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
            zone: TimeZone::get(zone).expect("a zone"),
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
        let sundays = window("2026-10-04T02:00", "Europe/Helsinki", &[Weekday::Sunday], 120);
        let found = sundays.occurrences(Span::new(utc("2026-10-01T00:00:00Z"), utc("2026-11-10T00:00:00Z")));
        let starts: Vec<String> = found.iter().map(|s| format_utc(s.from)).collect();
        let expected = ["2026-10-03T23", "2026-10-10T23", "2026-10-17T23", "2026-10-24T23", "2026-11-01T00", "2026-11-08T00"];
        assert_eq!(starts.len(), expected.len(), "{starts:?}");
        for (start, hour) in starts.iter().zip(expected) {
            assert!(start.starts_with(hour), "{starts:?}");
        }
        assert!(found.iter().all(|s| s.length() == 7_200_000), "two hours also in the night of 25 hours");
        // A start that the spring night skips begins when the clock goes on.
        let skipped = window("2026-03-29T03:30", "Europe/Helsinki", &[], 60);
        assert_eq!(format_utc(skipped.occurrences(Span::new(0, utc("2027-01-01T00:00:00Z")))[0].from), "2026-03-29T01:30:00.000Z");
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
        assert_eq!(stored("2026-12-06T03:00:00Z", None).in_force(all)[0].length(), 3_600_000, "from when it was recorded");
        assert!(stored("2026-12-06T05:00:00Z", None).in_force(all).is_empty());
        assert_eq!(stored("2026-12-01T00:00:00Z", Some("2026-12-06T02:30:00Z")).in_force(all)[0].length(), 1_800_000);
        assert!(stored("2026-12-01T00:00:00Z", Some("2026-12-02T00:00:00Z")).in_force(all).is_empty());
    }

    #[test]
    fn a_definition_survives_its_json() {
        let one = Window { announced_at: Some(5000), ..window("2026-10-04T02:00", "Europe/Helsinki", &[Weekday::Sunday, Weekday::Monday], 90) };
        assert_eq!(Window::from_json(&one.to_json()), Some(one));
    }
}
