//! Text that others wrote, for terminals, logs and files: no character of it moves a cursor, hides
//! itself or turns what stands beside it.
//!
//! Escaped is what [`is_invisible`] names: control characters (C0, DEL, C1), directions and
//! characters without a width.

use std::fmt::Write;

use super::endpoint::is_invisible;

/// For one line: a line feed is escaped, too.
pub fn escaped(text: &str) -> String {
    but(text, |_| false)
}

/// For a text of several lines: line feeds and tabs stay.
pub fn escaped_lines(text: &str) -> String {
    but(text, |c| matches!(c, '\n' | '\t'))
}

/// For lines that have been coloured: their escape sequences stay, so what others wrote must have
/// been escaped before.
pub fn escaped_but_colors(text: &str) -> String {
    but(text, |c| matches!(c, '\n' | '\t' | '\u{1b}'))
}

fn but(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_invisible(c) && !stays(c) {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
    }
    out
}

/// For lines of JSON: the same value, in which nothing invisible is left.
pub fn escaped_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_invisible(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOREIGN: &str = "a\u{1b}[31mb\rc\nd\u{9b}2Je\u{7f}f\u{202e}g\u{200b}h\u{e0041}ä漢";

    #[test]
    fn what_a_terminal_would_obey_is_shown_and_not_done() {
        assert_eq!(
            escaped(FOREIGN),
            "a\\u{1b}[31mb\\rc\\nd\\u{9b}2Je\\u{7f}f\\u{202e}g\\u{200b}h\\u{e0041}ä漢"
        );
        assert_eq!(escaped_lines("a\tb\n\u{1b}c\r\n"), "a\tb\n\\u{1b}c\\r\n");
        assert_eq!(
            escaped_but_colors("\u{1b}[32mup\u{1b}[0m\u{9b}2J\n"),
            "\u{1b}[32mup\u{1b}[0m\\u{9b}2J\n"
        );
    }

    #[test]
    fn json_keeps_its_value_and_shows_nothing_invisible() {
        let line = format!("{}\n", serde_json::Value::from(FOREIGN));
        let safe = escaped_json(&line);
        assert_eq!(
            serde_json::from_str::<String>(&safe).expect("JSON"),
            FOREIGN
        );
        assert!(
            !safe.trim_end_matches('\n').contains(is_invisible),
            "{safe}"
        );
    }
}
