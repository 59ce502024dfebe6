//! Time as Probity counts it.
//!
//! [`Ms`] is a length, or an instant of the daemon's own timeline: milliseconds that run with
//! CLOCK_BOOTTIME and are carried over restarts and reboots by the history, so that they never go
//! back. [`UtcMs`] is a calendar label. Nothing here reads a clock; `net::clock` does.

/// Milliseconds of the daemon's timeline (an instant) or a length in milliseconds.
pub type Ms = u64;

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds ignored.
pub type UtcMs = i64;

/// RFC 3339 in UTC with milliseconds: `2026-11-01T00:00:00.000Z`.
pub fn format_utc(at: UtcMs) -> String {
    let days = at.div_euclid(86_400_000);
    let rest = at.rem_euclid(86_400_000);
    let (year, month, day) = civil_from_days(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        rest / 3_600_000,
        rest / 60_000 % 60,
        rest / 1000 % 60,
        rest % 1000
    )
}

/// The first and the last instant of the years that four digits can write.
const WRITABLE: std::ops::RangeInclusive<UtcMs> = -62_167_219_200_000..=253_402_300_799_999;

/// `Sun, 06 Nov 1994 08:49:37 GMT`, as RFC 9110, section 5.6.7 has it.
pub fn http_date(at: UtcMs) -> String {
    let Ok(instant) = jiff::Timestamp::from_millisecond(at) else {
        return String::new();
    };
    instant.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Whether [`format_utc`] writes an instant so that [`parse_utc`] reads it: in the years 0000 to
/// 9999.
pub fn is_writable(at: UtcMs) -> bool {
    WRITABLE.contains(&at)
}

/// Reads RFC 3339 with an offset (`Z`, `+02:00`, at most 23:59) and up to millisecond digits;
/// `None` when it is anything else, when its offset leads out of the years that can be written, and
/// for a second 60: no clock here counts leap seconds.
pub fn parse_utc(text: &str) -> Option<UtcMs> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        if digits.bytes().all(|b| b.is_ascii_digit()) {
            digits.parse().ok()
        } else {
            None
        }
    };
    if bytes.len() < 20
        || bytes[4] != b'-'
        || bytes[7] != b'-'
        || bytes[13] != b':'
        || bytes[16] != b':'
    {
        return None;
    }
    if !matches!(bytes[10], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let in_range = (1..=12).contains(&month) && hour < 24 && minute < 60 && second < 60;
    if !in_range || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    let mut rest = &text[19..];
    let mut millis = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        let padded = format!("{:0<3}", &fraction[..digits.min(3)]);
        millis = padded.parse().ok()?;
        rest = &fraction[digits..];
    }
    let offset_minutes = match rest.as_bytes() {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let digit = |b: &u8| b.is_ascii_digit().then(|| i64::from(b - b'0'));
            let (hours, minutes) = (digit(h1)? * 10 + digit(h2)?, digit(m1)? * 10 + digit(m2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let minutes = hours * 60 + minutes;
            if *sign == b'+' { minutes } else { -minutes }
        }
        _ => return None,
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some((seconds - offset_minutes * 60) * 1000 + millis).filter(|at| is_writable(*at))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a Gregorian date, by counting 400-year eras that begin on the 1st of
/// March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`]: (year, month, day).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_http_is_that_of_the_rfc() {
        assert_eq!(http_date(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn a_formatted_instant_reads_back_over_four_centuries() {
        let mut at: UtcMs = -12_219_292_800_000;
        while at < 8_000_000_000_000 {
            assert_eq!(parse_utc(&format_utc(at)), Some(at));
            at += 86_399_999 * 13 + 7;
        }
    }

    #[test]
    fn known_instants_have_their_known_text() {
        assert_eq!(format_utc(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(format_utc(1_709_164_800_000), "2024-02-29T00:00:00.000Z");
        assert_eq!(
            parse_utc("2026-11-01T02:00:00+02:00"),
            parse_utc("2026-11-01T00:00:00Z")
        );
        assert_eq!(
            parse_utc("2026-11-01T00:00:00.1239Z"),
            Some(1_793_491_200_123)
        );
    }

    #[test]
    fn what_is_read_can_be_written_and_read_again() {
        for text in [
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999Z",
            "0000-01-01T00:00:00-00:01",
            "9999-12-31T23:59:59.999+23:59",
        ] {
            let at = parse_utc(text).expect(text);
            assert_eq!(parse_utc(&format_utc(at)), Some(at), "{text}");
        }
        for text in [
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "9999-12-31T23:59:60Z",
        ] {
            assert_eq!(
                parse_utc(text),
                None,
                "{text} is in a year that four digits cannot write"
            );
        }
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "2026-11-01",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-01T00:00:00",
            "2026-11-01T24:00:00Z",
            "2026-11-01T00:00:00+24:00",
            "2026-11-01T00:00:00-25:59",
            "2026-11-01T00:00:00+02:60",
            "2026-11-01T00:00:00+99:99",
            "2026-12-31T23:59:60Z",
            "2026-11-01T00:00:60+01:00",
        ] {
            assert_eq!(parse_utc(text), None, "{text}");
        }
    }
}
