//! What some servers put between the characters of what they give back: line ends, zero bytes,
//! characters that nobody sees, a quote that is written twice; and the gaps of a dump.
//!
//! [`super::mask`] passes over them between two characters of a secret. Pure.

use super::spelling::{ESCAPES, LAYERS, SpellingReader, Text};
use crate::words::is_invisible;

/// Places of HTML at which a line may be broken, and a zero byte as it is shown.
const NAMES: [&str; 4] = ["\\0", "<wbr>", "<br>", "<br/>"];
/// Characters of base64 or hexadecimal that dig writes without a blank.
const GROUP: usize = 56;
/// What separates the bytes of a dump.
const OF_DUMPS: &str = " \t:,;.-_|/\"'[](){}$#@";

/// Calls `found` with the length of each filler that the text has at this place, which is between
/// two characters of a secret.
pub fn fillers(
    text: &Text,
    at: usize,
    (before, after): (char, char),
    mut found: impl FnMut(usize),
) {
    let rest = &text.text[at..];
    if rest.starts_with(' ') {
        if is_after_group(&text.text, at) {
            found(1);
        }
        return;
    }
    if rest.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return;
    }
    NAMES
        .iter()
        .filter(|name| rest.starts_with(**name))
        .for_each(|name| found(name.len()));
    read(text, at, |c, reader| {
        if is_unseen(c)
            || is_again(before, c)
            || matches!(c, '^' | '`') && after.is_ascii_punctuation()
        {
            found(reader.length());
        }
        if c == '"' {
            // Strings of a TXT record, one after the other: `" "`.
            let mut beyond = reader;
            if beyond.next() == Some(' ') && beyond.next() == Some('"') {
                found(beyond.length());
            }
        }
        if c == '=' {
            // The line end may be escaped, and the sign not.
            for layer in reader.layer..=LAYERS {
                let mut beyond = SpellingReader {
                    at,
                    layer,
                    ..reader
                };
                if beyond.soft_break().is_some() {
                    found(beyond.length());
                }
            }
        }
        if matches!(c, '\r' | '\n') {
            // A line that goes on is indented.
            let (mut indented, mut next) = (reader, reader);
            while next.next().is_some_and(|c| matches!(c, ' ' | '\t')) {
                indented = next;
            }
            found(indented.length());
        }
    });
}

/// The same of the gaps between the bytes of a dump: `61 62`, `61:62`, `0x61, 0x62`, `097 098`.
pub fn gaps(text: &Text, at: usize, mut found: impl FnMut(usize)) {
    let rest = &text.text[at..];
    // One by one, as the text may be cut between them.
    if rest.starts_with(['0', 'x', 'X']) {
        found(1);
    }
    if !rest.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        read(text, at, |c, reader| {
            if OF_DUMPS.contains(c) {
                found(reader.length());
            }
        });
    }
}

/// What is read at a place with each number of layers undone, where that differs.
fn read(text: &Text, at: usize, mut each: impl FnMut(char, SpellingReader<'_>)) {
    let layers = if text.text[at..].starts_with(ESCAPES) {
        LAYERS
    } else {
        0
    };
    let mut last = 0;
    for layer in 0..=layers {
        let Some((c, length)) = text.read(at, layer) else {
            return;
        };
        if length != last {
            last = length;
            each(
                c,
                SpellingReader {
                    text,
                    from: at,
                    at: at + length,
                    layer,
                },
            );
        }
    }
}

/// Whether a blank comes after a group of base64 or hexadecimal as dig writes it, and this prober.
fn is_after_group(text: &str, at: usize) -> bool {
    let is_of_it = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    let group = at.checked_sub(GROUP).map(|from| &text.as_bytes()[from..at]);
    group.is_some_and(|group| group.iter().all(is_of_it))
}

/// Nobody sees it, or it ends a line, or it stands for such a character that a charset cannot write
/// or that was cut.
fn is_unseen(c: char) -> bool {
    is_invisible(c)
        || matches!(c, '?' | '\u{fffd}' | '\u{34f}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}')
}

/// SQL, CSV, shells and templates write these twice, and a shell leaves its quotes for one of them:
/// `'\''`, `'"'"'`.
fn is_again(before: char, c: char) -> bool {
    let is_quote = |c| matches!(c, '\'' | '"');
    c == before
        && matches!(
            c,
            '\'' | '"' | '`' | '%' | '$' | '{' | '}' | '[' | ']' | '\\' | '&' | '^'
        )
        || is_quote(c) && is_quote(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(text: &str, around: (char, char)) -> Vec<usize> {
        let mut found = Vec::new();
        fillers(&Text::of(text.to_owned()), 0, around, |length| {
            found.push(length)
        });
        found
    }

    #[test]
    fn what_nobody_sees_is_a_filler_in_every_spelling() {
        for filler in [
            "\u{200b}",
            "\u{200c}",
            "\u{200d}",
            "\u{2060}",
            "\u{feff}",
            "\u{ad}",
            "\\u200b",
            "\\u{200b}",
            "\\x{200b}",
            "&#8203;",
            "&shy;",
            "%E2%80%8B",
            "%25E2%2580%258B",
            "\0",
            "\\0",
            "\\u{0}",
            "\r",
            "\\n",
            "\n    ",
            "=\r\n",
            "=\n",
            "=\\r\\n",
            "<wbr>",
            "?",
            "\u{fffd}",
            "&#10;",
        ] {
            assert!(
                lengths(&format!("{filler}zz"), ('a', 'z')).contains(&filler.len()),
                "{filler}: {:?}",
                lengths(filler, ('a', 'z'))
            );
        }
        for text in ["z", " z", "=3D", "", "-", "'", "&amp;", "\\u", "é"] {
            assert_eq!(lengths(text, ('a', 'z')), Vec::<usize>::new(), "{text}");
        }
    }

    #[test]
    fn a_quote_is_written_twice_and_a_ruler_is_not() {
        for (text, before, length) in [
            ("'", '\'', 1),
            ("&quot;", '"', 6),
            ("\\\"", '"', 2),
            ("%", '%', 1),
            ("\"", '\'', 1),
            ("%27", '\'', 3),
        ] {
            assert!(
                lengths(text, (before, 'z')).contains(&length),
                "{text} after {before}"
            );
        }
        for (text, before) in [("'", 'a'), ("-", '-'), ("=", '='), ("%", '\'')] {
            assert_eq!(
                lengths(text, (before, 'z')),
                Vec::<usize>::new(),
                "{text} after {before}"
            );
        }
    }

    #[test]
    fn the_bytes_of_a_dump_have_gaps() {
        for (text, length) in [
            (" ", 1),
            (":", 1),
            ("0x61", 1),
            ("x61", 1),
            ("%20", 3),
            ("\\t", 2),
            ("-", 1),
        ] {
            let mut found = Vec::new();
            gaps(&Text::of(text.to_owned()), 0, |length| found.push(length));
            assert!(found.contains(&length), "{text}: {found:?}");
        }
        gaps(&Text::of("61".to_owned()), 0, |length| {
            panic!("no gap of {length}")
        });
    }
}
