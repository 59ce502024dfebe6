//! Finds secrets in texts that a peer had a hand in, in every spelling in which it can give them back.
//!
//! A peer that is sent a secret may answer with it: as it is, percent-encoded, escaped for JSON or HTML, in base64 of either alphabet, or any
//! mixture. The text is walked once for each secret, and each character of the secret may stand there in any of its spellings. Nothing is
//! built beforehand: a mask holds the secrets and no more.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::secret::{MASK, Secret};

/// Shorter secrets would mask what is none.
const LEAST: usize = 4;
/// The same of a part of a secret.
const LEAST_PART: usize = 8;
/// Ways through one text that are followed at most for one secret, so that no text can make it slow.
const STEPS: usize = 100_000;

/// The secrets of one spec.
#[derive(Clone, Default)]
pub struct Mask {
    /// Longest first: of a secret and its part, the whole is masked.
    secrets: Vec<Secret>,
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
            let parts = secret.reveal().split([' ', ';', '=', ',', '@', '/', '?', '#', '&', ':', '%']).filter(|part| part.len() >= LEAST_PART);
            let parts: Vec<Secret> = parts.map(Secret::new).chain(in_base64(secret.reveal().as_bytes()).into_iter().map(Secret::new)).collect();
            for one in std::iter::once(secret).chain(parts) {
                if one.reveal().len() >= LEAST && !all.contains(&one) {
                    all.push(one);
                }
            }
        }
        all.sort_by_key(|secret| std::cmp::Reverse(secret.reveal().len()));
        Self { secrets: all }
    }

    /// The text without the secrets.
    pub fn apply(&self, text: String) -> String {
        if text.len() < LEAST {
            return text;
        }
        self.secrets.iter().fold(text, |text, secret| without(&text, secret.reveal()).unwrap_or(text))
    }
}

/// The text without one secret; nothing where it is not in it.
fn without(text: &str, secret: &str) -> Option<String> {
    let secret: Vec<char> = secret.chars().collect();
    let (mut out, mut copied, mut steps) = (String::new(), 0, 0);
    let mut at = 0;
    while at < text.len() {
        if let Some(end) = matched(text, at, &secret, &mut steps) {
            out.push_str(&text[copied..at]);
            out.push_str(MASK);
            (copied, at) = (end, end);
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    (copied > 0).then(|| out + &text[copied..])
}

/// Where the secret ends that begins here: its own end, or where the text was cut within it.
fn matched(text: &str, from: usize, secret: &[char], steps: &mut usize) -> Option<usize> {
    // Ways that are still to be followed: place in the text, characters of the secret before it.
    let mut open = vec![(from, 0)];
    while let Some((at, done)) = open.pop() {
        if done == secret.len() || done >= LEAST && is_cut(&text[at..]) {
            return Some(at);
        }
        *steps += 1;
        if *steps > STEPS * secret.len().max(1) {
            // Nobody writes such a text by accident: what is left of it is not shown.
            return Some(text.len());
        }
        spellings(&text[at..], secret[done], |length| open.push((at + length, done + 1)));
    }
    None
}

/// The text ends here, or was cut here.
fn is_cut(rest: &str) -> bool {
    rest.is_empty() || rest == "\"" || rest.starts_with('…')
}

/// Calls `found` with the length of each spelling of the character that the text begins with.
fn spellings(text: &str, c: char, mut found: impl FnMut(usize)) {
    let Some(first) = text.chars().next() else { return };
    let same = |a: char| a == c || a.to_lowercase().eq(c.to_lowercase());
    if same(first) || c == ' ' && first == '+' || u32::from(c) > 127 && first == '\u{fffd}' {
        found(first.len_utf8());
    }
    match first {
        '%' => percent(text, c).into_iter().flatten().for_each(found),
        // A text that was escaped twice has more than one backslash.
        '\\' => {
            let slashes = text.bytes().take_while(|b| *b == b'\\').count();
            for count in 1..=slashes.min(4) {
                if let Some(length) = escaped(&text[count..], c) {
                    found(count + length);
                }
            }
        }
        '&' => {
            if let Some(length) = entity(text, c) {
                found(length);
            }
        }
        _ => {}
    }
}

/// `%C3%A4`, and `%E4` where the other side thinks in ISO-8859-1.
fn percent(text: &str, c: char) -> [Option<usize>; 2] {
    let byte = |at: usize| -> Option<u8> {
        let digits = text.get(at..at + 3)?.strip_prefix('%')?;
        u8::from_str_radix(digits, 16).ok()
    };
    let mut buffer = [0; 4];
    let utf8 = c.encode_utf8(&mut buffer).as_bytes();
    let is_same = |wanted: u8, found: Option<u8>| found.is_some_and(|b| b == wanted || wanted.is_ascii() && b.eq_ignore_ascii_case(&wanted));
    let in_utf8 = utf8.iter().enumerate().all(|(n, wanted)| is_same(*wanted, byte(3 * n))).then_some(3 * utf8.len());
    let in_latin = (u32::from(c) > 127 && byte(0).is_some_and(|b| u32::from(b) == u32::from(c))).then_some(3);
    [in_utf8, in_latin]
}

/// What follows the backslashes: the character itself, `u00e4`, `u{e4}`, `xe4`, `n`, `t`.
fn escaped(rest: &str, c: char) -> Option<usize> {
    let code = u32::from(c);
    let hex = |digits: &str| u32::from_str_radix(digits, 16).ok();
    let same_code = |found: u32| found == code || char::from_u32(found).is_some_and(|f| f.to_lowercase().eq(c.to_lowercase()));
    if let Some(inner) = rest.strip_prefix("u{") {
        let end = inner.find('}').filter(|end| *end <= 8)?;
        return hex(&inner[..end]).filter(|found| same_code(*found)).map(|_| end + 3);
    }
    if rest.starts_with(['u', 'U']) {
        let mut units = [0; 2];
        let units = c.encode_utf16(&mut units);
        if units.len() == 1 && hex(rest.get(1..5)?).is_some_and(same_code) {
            return Some(5);
        }
        let low = rest.get(5..).map(|rest| rest.trim_start_matches('\\')).filter(|rest| rest.starts_with('u'));
        if let (2, Some(high), Some(low)) = (units.len(), hex(rest.get(1..5)?), low.and_then(|rest| hex(rest.get(1..5)?)))
            && (high, low) == (u32::from(units[0]), u32::from(units[1]))
        {
            return Some(rest.len() - rest.get(5..)?.trim_start_matches('\\').len() + 5);
        }
    }
    if rest.starts_with(['x', 'X']) && rest.get(1..3).and_then(hex).is_some_and(same_code) {
        return Some(3);
    }
    match (c, rest.chars().next()?) {
        ('\n', 'n') | ('\t', 't') | ('\r', 'r') => Some(1),
        (_, first) if first == c => Some(first.len_utf8()),
        _ => None,
    }
}

/// `&#228;`, `&#xE4;`, `&auml;`; the semicolon may be missing.
fn entity(text: &str, c: char) -> Option<usize> {
    const NAMES: [(char, &str); 17] = [
        ('&', "amp"),
        ('<', "lt"),
        ('>', "gt"),
        ('"', "quot"),
        ('\'', "apos"),
        ('+', "plus"),
        ('=', "equals"),
        ('/', "sol"),
        (' ', "nbsp"),
        ('ä', "auml"),
        ('ö', "ouml"),
        ('ü', "uuml"),
        ('Ä', "Auml"),
        ('Ö', "Ouml"),
        ('Ü', "Uuml"),
        ('ß', "szlig"),
        ('é', "eacute"),
    ];
    let rest = &text[1..];
    let length = |inner: usize| 1 + inner + usize::from(rest.get(inner..).is_some_and(|rest| rest.starts_with(';')));
    if let Some(number) = rest.strip_prefix('#') {
        let (digits, radix, lead) = match number.strip_prefix(['x', 'X']) {
            Some(hex) => (hex, 16, 2),
            None => (number, 10, 1),
        };
        let end = digits.bytes().take(10).take_while(|b| b.is_ascii_hexdigit() && (radix == 16 || b.is_ascii_digit())).count();
        let found = u32::from_str_radix(&digits[..end], radix).ok()?;
        return (found == u32::from(c)).then(|| length(lead + end));
    }
    NAMES.iter().find(|(of, name)| *of == c && rest.starts_with(name)).map(|(_, name)| length(name.len()))
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
            r#"p\\u002bq/r=s&t\\\"u\\\\v%w \\u00e4<z>"#.into(),
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
        for text in ["found \"a horse\"", "the correct answer is 5", "", "cor"] {
            assert_eq!(masked(secret, text), text);
        }
        assert_eq!(masked("abc", "abc"), "abc", "too short to be told from words");
        assert_eq!(masked("Key8@Zebra-Crossing", "zebra-crossing. does not exist"), format!("{MASK}. does not exist"), "as a host name of a URL");
    }

    #[test]
    fn secrets_of_every_length_are_found_whole_cut_and_encoded() {
        for length in [4, 20, 80, 100, 128, 300, 600, 900, 4000] {
            let token: String = (0..length).map(|n| if n % 37 == 36 { '+' } else { char::from(b'a' + (n * 7 % 26) as u8) }).collect();
            assert_eq!(masked(&token, &format!("x {token} y")), format!("x {MASK} y"), "{length}");
            let encoded = token.replace('+', "%2B");
            assert_eq!(masked(&token, &format!("x {encoded} y")), format!("x {MASK} y"), "{length}, percent-encoded");
            let cut: String = token.chars().take(length.clamp(5, 109) - 1).collect();
            if cut.len() >= LEAST {
                assert_eq!(masked(&token, &format!("\"denied key {cut}…\"")), format!("\"denied key {MASK}…\""), "{length}, cut");
            }
        }
    }

    #[test]
    fn a_text_that_is_made_to_be_slow_ends() {
        let secret = "%".repeat(40);
        let text = "%25".repeat(2000);
        assert!(masked(&secret, &text).len() < text.len());
    }
}
