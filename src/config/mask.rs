//! Finds secrets in texts that a peer had a hand in, in every spelling in which it can give them back.
//!
//! A peer that is sent a secret may answer with it: as it is, percent-encoded, escaped for JSON or HTML, in base64 of either alphabet, or any
//! mixture. Each character of a secret is therefore looked for in all its spellings. Built once for a spec, when the first text is looked at.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use regex::Regex;

use super::secret::{MASK, Secret};

/// Shorter secrets would mask what is none.
const LEAST: usize = 4;
/// The same of a part of a secret.
const LEAST_PART: usize = 8;
/// A text that is cut within a secret ends with this much of it at the most.
const CUT: usize = 120;
/// What is longer is looked for as it is and percent-encoded only: tokens of that length are letters and digits.
const SPELLED: usize = 512;
/// A pattern may take so much memory.
const SIZE_LIMIT: usize = 64 << 20;

/// The secrets of one spec.
#[derive(Clone, Default)]
pub struct Mask {
    secrets: Vec<Secret>,
    patterns: OnceLock<Vec<(Regex, &'static str)>>,
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    pub fn of(secrets: Vec<Secret>) -> Self {
        let mut all: Vec<Secret> = Vec::new();
        for secret in secrets {
            // Of "Bearer token" or "session=token" a peer may give back the token alone, and a URL may be cut at what has a meaning in it.
            let parts = secret.reveal().split([' ', ';', '=', ',', '@', '/', '?', '#', '&', ':', '%']).filter(|part| part.len() >= LEAST_PART).map(Secret::new);
            let parts: Vec<Secret> = parts.collect();
            for one in std::iter::once(secret).chain(parts) {
                if one.reveal().len() >= LEAST && !all.contains(&one) {
                    all.push(one);
                }
            }
        }
        Self { secrets: all, patterns: OnceLock::new() }
    }

    /// Whether [`Self::prepare`] would do anything.
    pub fn is_unprepared(&self) -> bool {
        !self.secrets.is_empty() && self.patterns.get().is_none()
    }

    /// Builds the patterns; takes some milliseconds for each secret, once.
    pub fn prepare(&self) {
        self.prepared();
    }

    fn prepared(&self) -> &[(Regex, &'static str)] {
        self.patterns.get_or_init(|| self.secrets.iter().flat_map(|secret| patterns(secret.reveal())).collect())
    }

    /// The text without the secrets.
    pub fn apply(&self, text: String) -> String {
        if self.secrets.is_empty() || text.len() < LEAST {
            return text;
        }
        self.prepared().iter().fold(text, |text, (pattern, with)| if pattern.is_match(&text) { pattern.replace_all(&text, *with).into_owned() } else { text })
    }
}

/// Whole occurrences first, then what a text that was cut ends with; each with what takes its place.
fn patterns(secret: &str) -> Vec<(Regex, &'static str)> {
    let built = |text: String| regex::RegexBuilder::new(&text).case_insensitive(true).size_limit(SIZE_LIMIT).nest_limit(2 * CUT as u32 + 50).build().ok();
    let whole: Vec<String> = std::iter::once(spelled(secret)).chain(in_base64(secret.as_bytes()).iter().map(|text| spelled(text))).collect();
    let cut = beginnings(secret);
    let whole = built(format!("(?:{})", whole.join("|"))).map(|pattern| (pattern, MASK));
    let cut = built(format!("{cut}(?P<end>…|\"?$)")).map(|pattern| (pattern, "<secret>${end}"));
    whole.into_iter().chain(cut).collect()
}

/// The secret with each character in all its spellings.
fn spelled(secret: &str) -> String {
    let is_long = secret.chars().count() > SPELLED;
    secret.chars().map(|c| if is_long { regex::escape(c.encode_utf8(&mut [0; 4])) } else { one(c) }).collect()
}

/// At least the first characters of a secret, and as many more as there are.
fn beginnings(secret: &str) -> String {
    let chars: Vec<String> = secret.chars().take(CUT).map(one).collect();
    let (least, more) = chars.split_at(LEAST.min(chars.len()));
    let nested = more.iter().rev().fold(String::new(), |inner, c| format!("(?:{c}{inner})?"));
    format!("{}{nested}", least.concat())
}

/// One character in every spelling.
fn one(c: char) -> String {
    let (code, plain) = (u32::from(c), regex::escape(&c.to_string()));
    let percent: String = c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%(?i:{byte:02x})")).collect();
    // JSON and program text: a backslash before it, itself escaped where a text was escaped twice; \u00e4, \u{e4}, \xe4; surrogates beyond the basic plane.
    let units: String = c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!(r"\\{{1,4}}u(?i:{unit:04x})")).collect();
    let mut all = vec![plain.clone(), percent, format!(r"\\{{1,4}}{plain}"), units, format!(r"\\{{1,4}}u\{{(?i:0*{code:x})\}}")];
    all.push(format!("&#0*{code};?|&#(?i:x0*{code:x});?"));
    if code < 256 {
        all.push(format!(r"\\{{1,4}}x(?i:{code:02x})|%(?i:{code:02x})"));
    }
    all.extend(entity(c).map(|name| format!("&{name};?")));
    match c {
        ' ' => all.push(r"\+|&nbsp;".into()),
        '\n' => all.push(r"\\{1,4}n".into()),
        '\t' => all.push(r"\\{1,4}t".into()),
        // A byte of another encoding that was read as UTF-8.
        _ if code > 127 => all.push("\u{fffd}".into()),
        _ => {}
    }
    format!("(?:{})", all.join("|"))
}

fn entity(c: char) -> Option<&'static str> {
    Some(match c {
        '&' => "amp",
        '<' => "lt",
        '>' => "gt",
        '"' => "quot",
        '\'' => "apos",
        '+' => "plus",
        '=' => "equals",
        '/' => "sol",
        'ä' => "auml",
        'ö' => "ouml",
        'ü' => "uuml",
        'Ä' => "Auml",
        'Ö' => "Ouml",
        'Ü' => "Uuml",
        'ß' => "szlig",
        'é' => "eacute",
        _ => return None,
    })
}

/// What base64 makes of it, whatever stands before and behind: the characters that only depend on the secret, for each of the three ways in
/// which its bytes can lie, in both alphabets.
fn in_base64(secret: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for lead in 0..3 {
        let mut bytes = vec![0; lead];
        bytes.extend_from_slice(secret);
        let bits = bytes.len() * 8;
        // The first characters that the lead has no part in, and the last that lie wholly within the secret.
        let (from, to) = ((lead * 8).div_ceil(6), bits / 6);
        for engine in [&STANDARD, &URL_SAFE] {
            let text = engine.encode(&bytes);
            let inner = text.get(from..to).unwrap_or_default().to_owned();
            if inner.len() > LEAST && !found.contains(&inner) {
                found.push(inner);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secret: &str, text: &str) -> String {
        Mask::of(vec![Secret::new(secret.to_owned())]).apply(text.to_owned())
    }

    #[test]
    fn every_spelling_of_a_secret_is_found() {
        let secret = "p+q/r=s&t\"u\\v%w ä<z>";
        for text in [
            secret.to_owned(),
            "p%2Bq%2Fr%3Ds%26t%22u%5Cv%25w%20%C3%A4%3Cz%3E".into(),
            "p%2bq%2fr%3ds%26t%22u%5cv%25w+%c3%a4%3cz%3e".into(),
            "p+q/r=s&t%22u%5Cv%25w%20%E4%3Cz%3E".into(),
            r#"p+q\/r=s&t\"u\\v%w ä<z>"#.into(),
            r#"p\u002bq/r\u003Ds\u0026t\"u\\v%w \u00e4\u003cz\u003e"#.into(),
            r#"p+q/r=s&t\"u\\v%w \u{e4}<z>"#.into(),
            "p+q/r=s&amp;t&quot;u\\v%w &auml;&lt;z&gt;".into(),
            "p&#43;q/r=s&#38;t&#34;u\\v%w&#32;&#228;&#60;z&#x3E;".into(),
            "p+q/r=s&t\"u\\v%w \u{fffd}<z>".into(),
            STANDARD.encode(secret),
            URL_SAFE.encode(secret),
            STANDARD.encode(format!("user:{secret}")),
            URL_SAFE.encode(format!("x{secret}more")),
            STANDARD.encode(format!("xy{secret}")).replace('+', "%2B").replace('/', "%2F"),
        ] {
            let shown = masked(secret, &format!("before {text} after"));
            assert!(shown.contains(MASK) && shown.starts_with("before ") && shown.ends_with(" after"), "{text}: {shown}");
        }
    }

    #[test]
    fn what_is_cut_within_a_secret_is_masked_and_other_texts_stay() {
        let secret = "correct horse battery";
        assert_eq!(masked(secret, "found \"correct hor…\""), format!("found \"{MASK}…\""));
        assert_eq!(masked(secret, "found correct%20ho"), format!("found {MASK}"));
        for text in ["found \"a horse\"", "corr", "the correct answer is 5", ""] {
            assert!(text == "corr" || masked(secret, text) == text, "{text}");
        }
        assert_eq!(masked("abc", "abc"), "abc", "too short to be told from words");
        assert_eq!(masked("Key8@Zebra-Crossing", "zebra-crossing. does not exist"), format!("{MASK}. does not exist"), "as a host name of a URL");
    }

    #[test]
    fn a_long_token_is_found_too() {
        let token: String = (0..4000).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
        assert_eq!(masked(&token, &format!("x {token} y")), format!("x {MASK} y"));
    }
}
