//! Instants of a command line: `--since`, `--from`, `--to`, `--start`, `--before` and the like.
//!
//! RFC 3339; a date, which is its midnight in UTC; `now`, `today`, `yesterday`, `tomorrow`; and
//! lengths from now: `+2h`, `-2h`, `2h ago`. The time is passed in: nothing here reads a clock.

use crate::config::document::value::parse_duration;
use crate::daemon::exit::Exit;
use crate::daemon::streams::say_error;
use crate::words::{Ms, UtcMs, format_utc, parse_utc, time::is_writable};

const DAY_MS: UtcMs = 86_400_000;

/// What an option takes.
const FORMS: &str = "2026-11-01T00:00:00Z, 2026-11-01 (midnight in UTC), now, today, yesterday, \
    tomorrow, \"2h ago\" or +2h";

/// An instant, or nothing where the text is none.
pub fn instant(text: &str, now: UtcMs) -> Option<UtcMs> {
    let text = text.trim();
    let midnight = now - now.rem_euclid(DAY_MS);
    let at = match text.to_ascii_lowercase().as_str() {
        "now" => now,
        "today" => midnight,
        "yesterday" => midnight - DAY_MS,
        "tomorrow" => midnight + DAY_MS,
        _ => match of_date(text).or_else(|| parse_utc(text)) {
            Some(at) => at,
            None => now.checked_add(from_now(text)?)?,
        },
    };
    is_writable(at).then_some(at)
}

/// Midnight of `2026-11-28` in UTC.
fn of_date(text: &str) -> Option<UtcMs> {
    (text.len() == 10)
        .then(|| parse_utc(&format!("{text}T00:00:00Z")))
        .flatten()
}

/// `+2h`, `-2h`, `2h ago`, `2 h ago`.
fn from_now(text: &str) -> Option<i64> {
    let length = |text: &str| {
        let joined: String = text.split_whitespace().collect();
        parse_duration(&joined).and_then(|ms: Ms| i64::try_from(ms).ok())
    };
    if let Some(ahead) = text.strip_prefix('+') {
        return length(ahead);
    }
    let past = text.strip_prefix('-').or_else(|| text.strip_suffix("ago"));
    length(past?).map(|ms| -ms)
}

/// The instant that an option gives; the refusal names the option.
pub fn given(option: &str, text: &str, now: UtcMs) -> Result<UtcMs, Exit> {
    instant(text, now).ok_or_else(|| {
        say_error(format_args!(
            "probity: invalid time in --{option}: `{text}`. Write it as {FORMS}"
        ));
        Exit::Usage
    })
}

/// The same as text for the daemon, which knows RFC 3339 only. That is passed on as it is.
pub fn passed_on(option: &str, text: &str, now: UtcMs) -> Result<String, Exit> {
    match parse_utc(text) {
        Some(_) => Ok(text.to_owned()),
        None => given(option, text, now).map(format_utc),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-28T10:30:00.250Z
    fn now() -> UtcMs {
        parse_utc("2026-11-28T10:30:00.250Z").expect("an instant")
    }

    #[test]
    fn an_instant_has_several_forms() {
        for (text, utc) in [
            ("now", "2026-11-28T10:30:00.250Z"),
            ("NOW", "2026-11-28T10:30:00.250Z"),
            ("today", "2026-11-28T00:00:00.000Z"),
            ("yesterday", "2026-11-27T00:00:00.000Z"),
            ("tomorrow", "2026-11-29T00:00:00.000Z"),
            ("2026-11-28", "2026-11-28T00:00:00.000Z"),
            ("2024-02-29", "2024-02-29T00:00:00.000Z"),
            ("+2h", "2026-11-28T12:30:00.250Z"),
            ("-1h30m", "2026-11-28T09:00:00.250Z"),
            ("1h ago", "2026-11-28T09:30:00.250Z"),
            ("1 h ago", "2026-11-28T09:30:00.250Z"),
            (" 2d ago ", "2026-11-26T10:30:00.250Z"),
            ("2026-11-28T12:00:00+02:00", "2026-11-28T10:00:00.000Z"),
            ("2026-11-28 10:00:00Z", "2026-11-28T10:00:00.000Z"),
        ] {
            assert_eq!(
                instant(text, now()).map(format_utc).as_deref(),
                Some(utc),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "someday",
            "2026-02-29",
            "2026-13-01",
            "2026-11",
            "2026-11-28T10:00",
            "2026-11-28T10:00:00",
            "2h",
            "2 ago",
            "ago",
            "+",
            "-",
            "+2",
            "++2h",
            "1h before",
            "9999999999999d ago",
            "800000d ago",
            "+9999999d",
            "1700000000",
        ] {
            assert_eq!(instant(text, now()), None, "{text}");
        }
    }

    #[test]
    fn the_daemon_gets_rfc_3339() {
        let passed = |text| passed_on("from", text, now());
        assert_eq!(
            passed("2026-11-28T12:00:00+02:00"),
            Ok("2026-11-28T12:00:00+02:00".into())
        );
        assert_eq!(passed("1h ago"), Ok("2026-11-28T09:30:00.250Z".into()));
        assert_eq!(passed("someday"), Err(Exit::Usage));
    }
}
