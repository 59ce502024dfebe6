//! Figures as people read them: on the page, in text output and in errors. JSON, reports and the
//! config have the exact figures.

use super::Ms;

/// The units of a length, longest first, each with its length in ms.
const UNITS: [(u64, &str); 4] = [
    (86_400_000, "d"),
    (3_600_000, "h"),
    (60_000, "m"),
    (1000, "s"),
];
/// Longer lengths have no fractions of a second.
const FRACTIONS_BELOW_MS: u64 = 120_000;

/// `450 ms`, `6.6 s`, `25.92 s`, `77.2 s`, `12 m 30 s`, `29 d 23 h 55 m`: to about three digits, or
/// the three longest units.
pub fn duration(ms: Ms) -> String {
    if ms == 0 {
        return "0 s".to_owned();
    }
    if ms < 1000 {
        return format!("{ms} ms");
    }
    if ms < FRACTIONS_BELOW_MS {
        let hundredths = if ms < 60_000 {
            (ms + 5) / 10
        } else {
            (ms + 50) / 100 * 10
        };
        let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        return format!("{} s", text.trim_end_matches('0').trim_end_matches('.'));
    }
    // Rounded to the smallest unit that is shown.
    let longest = UNITS.iter().position(|(unit, _)| ms >= *unit).unwrap_or(0);
    let least = UNITS[(longest + 2).min(UNITS.len() - 1)].0;
    let mut rest = (ms + least / 2) / least * least;
    let mut parts = Vec::new();
    for (unit, name) in UNITS {
        if rest >= unit {
            parts.push(format!("{} {name}", rest / unit));
            rest %= unit;
        }
    }
    parts.join(" ")
}

/// `17 KiB`, `1 MiB`, `1500 B`: exactly.
pub fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let (unit, name) = units
        .into_iter()
        .find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit))
        .unwrap_or((1, "B"));
    format!("{} {name}", bytes / unit)
}

/// `1 endpoint`, `2 endpoints`.
pub fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// `a`, `a or b`, `a, b or c`.
pub fn listed(words: &[&str], last: &str) -> String {
    match words.split_last() {
        Some((end, rest)) if !rest.is_empty() => format!("{} {last} {end}", rest.join(", ")),
        _ => words.join(", "),
    }
}

/// How many decimals of a percentage a measured time supports, one second being the least that is
/// told apart: none in a minute, one in an hour, two in a day, four in a month.
pub fn decimals(measured: Ms) -> usize {
    let mut hundredths = measured / 100_000;
    let mut decimals = 0;
    while hundredths >= 10 && decimals < 5 {
        hundredths /= 10;
        decimals += 1;
    }
    decimals
}

/// A percentage of ten decimals, cut to those that the measured time supports: never rounded up.
pub fn percent(text: &str, measured: Ms) -> String {
    let decimals = decimals(measured);
    let until = text.find('.').map_or(text.len(), |dot| {
        if decimals == 0 {
            dot
        } else {
            text.len().min(dot + 1 + decimals)
        }
    });
    format!("{} %", &text[..until])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_exact_with_a_blank_before_its_unit() {
        for (bytes, text) in [
            (0, "0 B"),
            (1500, "1500 B"),
            (17 << 10, "17 KiB"),
            (1 << 20, "1 MiB"),
            (1536 << 10, "1536 KiB"),
            (3 << 30, "3 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn words_are_listed_with_the_last_one_set_apart() {
        for (words, text) in [
            (&[][..], ""),
            (&["a"], "a"),
            (&["a", "b"], "a or b"),
            (&["a", "b", "c"], "a, b or c"),
        ] {
            assert_eq!(listed(words, "or"), text);
        }
    }

    #[test]
    fn lengths_have_as_many_digits_as_a_reader_needs() {
        let second = 1000;
        let (minute, hour, day) = (60 * second, 3600 * second, 86_400 * second);
        for (ms, text) in [
            (0, "0 s"),
            (999, "999 ms"),
            (1000, "1 s"),
            (2900, "2.9 s"),
            (6595, "6.6 s"),
            (25_920, "25.92 s"),
            (59_996, "60 s"),
            (77_200, "77.2 s"),
            (77_260, "77.3 s"),
            (119_999, "120 s"),
            (2 * minute, "2 m"),
            (12 * minute + 30 * second, "12 m 30 s"),
            (12 * minute + 30 * second + 499, "12 m 30 s"),
            (hour - 1, "1 h"),
            (hour + 2 * second, "1 h 2 s"),
            (day + 12 * hour + 8 * minute + 54 * second, "1 d 12 h 9 m"),
            (30 * day - 1, "30 d"),
            (30 * day - 5 * minute, "29 d 23 h 55 m"),
        ] {
            assert_eq!(duration(ms), text, "{ms}");
        }
    }

    #[test]
    fn a_percentage_has_no_more_digits_than_were_measured() {
        let second = 1000;
        let shown = [35, 999, 3600, 86_400, 30 * 86_400, 365 * 86_400]
            .map(|seconds| decimals(seconds * second));
        assert_eq!(shown, [0, 0, 1, 2, 4, 5]);
        assert_eq!(decimals(u64::MAX), 5);
        let cut = |text: &str, seconds: u64| percent(text, seconds * second);
        assert_eq!(
            [
                cut("99.9999999999", 35),
                cut("99.9999999999", 3600),
                cut("100.00000", 30 * 86_400)
            ],
            ["99 %", "99.9 %", "100.0000 %"]
        );
    }
}
