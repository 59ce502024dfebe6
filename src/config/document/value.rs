//! Leaf values: durations, sizes, shares, status sets, ids. Each says what is wrong and how to
//! write it.

use toml::de::{DeInteger, DeValue};

use super::tree::Item;
use crate::config::document::problem::problem;
use crate::judgement::rules::PPM;
use crate::words::{Ms, Name, NameError};

impl Item<'_> {
    pub fn text(&self) -> Option<String> {
        #[cfg(test)]
        self.note("text");
        match self.value {
            DeValue::String(text) => Some(text.clone().into_owned()),
            _ => {
                self.wrong_type("a text in quotes");
                None
            }
        }
    }

    pub fn flag(&self) -> Option<bool> {
        #[cfg(test)]
        self.note("true or false");
        match self.value {
            DeValue::Boolean(flag) => Some(*flag),
            _ => {
                self.wrong_type("true or false");
                None
            }
        }
    }

    pub fn integer(&self, least: u64, most: u64) -> Option<u64> {
        #[cfg(test)]
        self.note(format!("whole number: {least} to {most}"));
        let number = match self.value {
            DeValue::Integer(n) => whole(n),
            _ => {
                self.wrong_type("a whole number");
                return None;
            }
        };
        match number
            .and_then(|n| u64::try_from(n).ok())
            .filter(|n| (least..=most).contains(n))
        {
            Some(n) => Some(n),
            None => {
                self.fault(
                    problem!("`{}` is out of range", self.path),
                    format!("Allowed range: {least} to {most}, whole numbers only."),
                );
                None
            }
        }
    }

    /// A length such as "500ms", "30s", "1h30m"; in milliseconds, within bounds.
    pub fn duration(&self, least: Ms, most: Ms) -> Option<Ms> {
        #[cfg(test)]
        self.note(format!(
            "duration: {} to {}",
            show_duration(least),
            show_duration(most)
        ));
        let DeValue::String(text) = self.value else {
            if let DeValue::Integer(n) = self.value {
                self.fault(
                    problem!("`{}` is a number without a unit", self.path),
                    format!(
                        "Write it with its unit, in quotes: \"{}s\" for seconds, \"{}ms\" for \
                        milliseconds.",
                        n.as_str(),
                        n.as_str()
                    ),
                );
            } else {
                self.wrong_type("a duration such as \"30s\"");
            }
            return None;
        };
        match parse_duration(text) {
            Some(ms) if (least..=most).contains(&ms) => Some(ms),
            Some(_) => {
                self.fault(
                    problem!("`{}` = \"{text}\" is out of range", self.path),
                    format!(
                        "Allowed range: {} to {}.",
                        show_duration(least),
                        show_duration(most)
                    ),
                );
                None
            }
            None => {
                self.fault(
                    problem!("`{}` = \"{text}\" is not a valid duration", self.path),
                    "Write numbers with units ms, s, m, h, d: \"500ms\", \"30s\", \"1h30m\".",
                );
                None
            }
        }
    }

    /// A size such as "64KiB"; in bytes.
    pub fn size(&self, least: u64, most: u64) -> Option<u64> {
        #[cfg(test)]
        self.note(format!("size: {} to {}", show_size(least), show_size(most)));
        let bytes = match self.value {
            DeValue::String(text) => parse_size(text),
            DeValue::Integer(n) => whole(n).and_then(|n| u64::try_from(n).ok()),
            _ => None,
        };
        match bytes.filter(|b| (least..=most).contains(b)) {
            Some(b) => Some(b),
            None => {
                self.fault(
                    problem!("`{}` is not a size in the allowed range", self.path),
                    format!(
                        "Write bytes, or \"64KiB\", \"1MiB\"; from {} to {}.",
                        show_size(least),
                        show_size(most)
                    ),
                );
                None
            }
        }
    }

    /// A share from 0 to below 1, in parts per million.
    pub fn share_ppm(&self) -> Option<u64> {
        #[cfg(test)]
        self.note("number: 0 to below 1");
        let text = match self.value {
            DeValue::Float(f) => f.as_str().to_owned(),
            DeValue::Integer(n) => n.as_str().to_owned(),
            _ => {
                self.wrong_type("a share such as 0.1");
                return None;
            }
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let digits = format!("{fraction:0<6}");
        match (whole, digits.get(..6).and_then(|d| d.parse::<u64>().ok())) {
            ("0", Some(ppm)) if ppm < PPM => Some(ppm),
            _ => {
                self.fault(
                    problem!("`{}` = {text} is not a valid share", self.path),
                    "Allowed range: 0 to below 1, such as 0.1.",
                );
                None
            }
        }
    }

    pub fn name(&self) -> Option<Name> {
        let text = self.text()?;
        match Name::new(&text) {
            Ok(name) => Some(name),
            Err(error) => {
                let advice = match error {
                    NameError::TooLong(_) => "Shorten it.",
                    NameError::Empty | NameError::Forbidden(_) => "Use printable characters.",
                };
                self.fault(
                    problem!("`{}` cannot be a name: {error}", self.path),
                    advice,
                );
                None
            }
        }
    }

    /// One of a closed set of words.
    pub fn word<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        #[cfg(test)]
        self.note(format!(
            "word: {}",
            words.iter().map(|(w, _)| *w).collect::<Vec<_>>().join(", ")
        ));
        let text = self.text()?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let known: Vec<String> = words
            .iter()
            .map(|(word, _)| format!("\"{word}\""))
            .collect();
        self.fault(
            problem!("`{}` = \"{}\" is not known", self.path, text.escape_debug()),
            format!("Allowed values: {}.", known.join(", ")),
        );
        None
    }
}

/// A number as TOML writes it: decimal, or in hexadecimal, octal or binary digits.
pub fn whole(number: &DeInteger) -> Option<i128> {
    i128::from_str_radix(number.as_str(), number.radix()).ok()
}

/// Milliseconds of "1h30m", "500ms"; `None` when it is no duration.
pub fn parse_duration(text: &str) -> Option<Ms> {
    let mut rest = text;
    let mut total: Ms = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: Ms = rest.get(..digits)?.parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = match &rest[..letters] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[letters..];
    }
    Some(total)
}

/// The shortest exact text of a length: `30s`, `1h30m`, `500ms`.
pub fn show_duration(ms: Ms) -> String {
    if ms == 0 {
        return "0s".into();
    }
    let mut text = String::new();
    let mut rest = ms;
    for (unit, name) in [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1000, "s"),
        (1, "ms"),
    ] {
        if rest >= unit {
            text.push_str(&format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    text
}

fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text.get(..digits)?.parse().ok()?;
    let unit = match &text[digits..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" => 1000,
        "MB" => 1_000_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// `64KiB`, `1MiB`, or bytes.
pub fn show_size(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back_from_their_text() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Some(ms), "{text}");
            assert_eq!(show_duration(ms), text);
        }
        for text in ["", "30", "s", "-1s", "1.5s", "3 s", "99999999999999999999s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        assert_eq!(parse_size("64KiB"), Some(65_536));
        assert_eq!(parse_size("1MB"), Some(1_000_000));
        assert_eq!(parse_size("64kib"), None);
        assert_eq!(show_size(65_536), "64KiB");
    }
}
