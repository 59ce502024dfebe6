//! Finds secrets in texts that a peer had a hand in, in every spelling in which it can give them back.
//!
//! A peer that is sent a secret may answer with it: as it is, in capitals or small letters, percent-encoded, escaped for JSON or HTML,
//! in base64 of either alphabet, in hexadecimal digits, as a label of a host name, or in a mixture. The text is walked once for each
//! secret, and each character of the secret may stand there in any spelling of [`super::spelling`].

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use idna::punycode::decode_to_string as punycode;
use zeroize::Zeroizing;

use super::secret::{MASK, Secret};
use super::spelling::{Text, between, cut, spellings};
use crate::words::CertificateFacts;

/// Characters of the shortest secret that is masked, whatever its case: shorter ones would mask what is none. The same number of
/// characters betrays a secret that was cut.
const LEAST: usize = 4;
/// The same of a part of a secret.
const LEAST_PART: usize = 8;
/// Ways through one text that are followed at most for one secret, so that no text can make it slow.
const STEPS: usize = 20_000;

/// The secrets of one spec.
#[derive(Clone, Default)]
pub struct Mask {
    /// Longest first: of a secret and its part, the whole is masked.
    secrets: Vec<Secret>,
    /// The last certificate in which none of them was found, by its SHA-256.
    clean: Arc<Mutex<String>>,
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
            let parts: Vec<Secret> = parts.map(Secret::new).chain(encoded(secret.reveal()).into_iter().map(Secret::new)).collect();
            for one in composed(&secret).into_iter().chain(std::iter::once(secret)).chain(parts) {
                if one.reveal().len() >= LEAST && !all.contains(&one) {
                    all.push(one);
                }
            }
        }
        all.sort_by_key(|secret| std::cmp::Reverse(secret.reveal().len()));
        Self { secrets: all, clean: Arc::default() }
    }

    /// Whether the certificate that was shown is the one in which there was none.
    pub fn has_seen(&self, certificate: &CertificateFacts) -> bool {
        *self.clean.lock().unwrap_or_else(PoisonError::into_inner) == certificate.sha256
    }

    /// There is none in this certificate.
    pub fn see(&self, certificate: &CertificateFacts) {
        self.clean.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&certificate.sha256);
    }

    /// What it may take at most to look through a text, in nanoseconds. Escapes are undone for each secret anew.
    pub fn cost_ns(&self, text: &str) -> u64 {
        const PLACE_NS: usize = 60;
        const ESCAPE_NS: usize = 300;
        let escapes = text.bytes().filter(|b| matches!(b, b'%' | b'\\' | b'&' | b'/')).count();
        (self.secrets.len() * (PLACE_NS * text.len() + ESCAPE_NS * escapes)) as u64
    }

    /// The text without the secrets.
    pub fn apply(&self, text: String) -> String {
        if text.len() < LEAST {
            return text;
        }
        let text = if text.contains(['-']) { without_in_labels(text, &self.secrets) } else { text };
        let mut text = Looked::at(text);
        for secret in &self.secrets {
            if let Some(masked) = text.without(secret.reveal()) {
                text = Looked::at(masked);
            }
        }
        text.text.text
    }
}

/// A text that is looked through.
struct Looked {
    text: Text,
    /// A URL that is parsed has slashes in place of backslashes, of those of an escape, too.
    turned: Option<Text>,
}

impl Looked {
    fn at(text: String) -> Self {
        let turned = text.contains("://").then(|| Text::of(text.replace('/', "\\")));
        Self { text: Text::of(text), turned }
    }

    /// The text without one secret; nothing where it is not in it.
    fn without(&self, secret: &str) -> Option<String> {
        let mut characters = Zeroizing::new(Vec::with_capacity(secret.len()));
        characters.extend(secret.chars());
        let text = self.text.text.as_str();
        let (mut out, mut copied, mut steps) = (String::new(), 0, 0);
        let mut at = 0;
        while at < text.len() {
            let mut ends = std::iter::once(&self.text).chain(&self.turned).filter_map(|text| matched(text, at, &characters, &mut steps));
            if let Some(end) = ends.next() {
                out.push_str(&text[copied..at]);
                out.push_str(MASK);
                (copied, at) = (end, end);
            } else {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
            }
        }
        (copied > 0).then(|| out + &text[copied..])
    }
}

/// Where the secret ends that begins here: its own end, or where the text was cut within it.
fn matched(text: &Text, from: usize, secret: &[char], steps: &mut usize) -> Option<usize> {
    // Ways that are still to be followed: place in the text, characters of the secret before it.
    let mut open = Vec::new();
    spellings(text, from, *secret.first()?, |length| open.push((from + length, 1)));
    while let Some((at, done)) = open.pop() {
        if done == secret.len() {
            return Some(at);
        }
        // Of a character that was cut, a part of its escape may be there.
        if let Some(length) = cut(&text.text[at..]).filter(|length| done + usize::from(*length > 0) >= LEAST) {
            return Some(at + length);
        }
        *steps += 1;
        if *steps > STEPS + 4 * secret.len() {
            // Nobody writes such a text by accident: what is left of it is not shown.
            return Some(text.text.len());
        }
        let filler = between(&text.text[at..]);
        if filler > 0 {
            open.push((at + filler, done));
        }
        spellings(text, at, secret[done], |length| open.push((at + length, done + 1)));
    }
    None
}

/// Host names in which a secret stands within a label that is not ASCII: `xn--zebra-7za` is `zebra` with a letter in it.
fn without_in_labels(text: String, secrets: &[Secret]) -> String {
    let is_of_label = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let holds_one = |label: &str| {
        let decoded = label.get(4..).filter(|_| label[..4].eq_ignore_ascii_case("xn--")).and_then(punycode);
        decoded.map(Looked::at).is_some_and(|looked| secrets.iter().any(|secret| looked.without(secret.reveal()).is_some()))
    };
    let labels: Vec<&str> = text.split(|c| !is_of_label(c)).filter(|label| label.len() > 4 && label.is_char_boundary(4) && holds_one(label)).collect();
    labels.iter().fold(text.clone(), |text, label| text.replace(label, MASK))
}

/// The secret as it is in the other Unicode normalization forms: with letters and their marks apart, and as one.
fn composed(secret: &Secret) -> Vec<Secret> {
    let text = secret.reveal();
    if text.is_ascii() {
        return Vec::new();
    }
    let forms = [DecomposingNormalizerBorrowed::new_nfd().normalize(text), ComposingNormalizerBorrowed::new_nfc().normalize(text)];
    forms.into_iter().filter(|form| form != text).map(|form| Secret::new(form.into_owned())).collect()
}

/// The secret as a server encodes it that looks at its bytes, perhaps after it has changed the case.
fn encoded(secret: &str) -> Vec<String> {
    let mut cases = [secret.to_owned(), secret.to_lowercase(), secret.to_uppercase()].map(Zeroizing::new).to_vec();
    cases.dedup();
    let mut found = Vec::new();
    for text in cases {
        found.extend(in_base64(text.as_bytes()));
        let mut digits = String::with_capacity(2 * text.len());
        for byte in text.bytes() {
            let _ = write!(digits, "{byte:02x}");
        }
        found.push(digits);
    }
    found
}

/// What base64 makes of it, whatever stands before and behind: the characters that only depend on the secret, for each of the three ways in
/// which its bytes can lie, in both alphabets.
fn in_base64(secret: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for lead in 0..3 {
        let mut bytes = Zeroizing::new(vec![0; lead]);
        bytes.extend_from_slice(secret);
        let bits = bytes.len() * 8;
        // The first characters that the lead has no part in, and the last that lie wholly within the secret.
        let (from, to) = ((lead * 8).div_ceil(6), bits / 6);
        for engine in [&STANDARD, &URL_SAFE] {
            let text = Zeroizing::new(engine.encode(&*bytes));
            let inner = text.get(from..to).unwrap_or_default().to_owned();
            if inner.len() >= LEAST && !found.contains(&inner) {
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
            secret.to_uppercase(),
            secret.to_lowercase().replace(' ', "%2520").replace('"', "%2522"),
            STANDARD.encode(secret.to_uppercase()),
            STANDARD.encode(secret).to_lowercase(),
            STANDARD.encode(secret).as_bytes().chunks(7).map(|line| String::from_utf8_lossy(line).into_owned() + "\\n").collect::<String>(),
            secret.bytes().map(|b| format!("{b:02X}")).collect(),
            secret.replace('ä', "Ã¤"),
            secret.replace('ä', "?"),
            secret.chars().map(|c| format!("{c}\\0")).collect(),
            "http://a/p+q/r=s&t/%22u//v%w%20/xc3/xa4%3Cz%3E".into(),
            "p+q/r=s&amp;amp;t&amp;quot;u\\v%w &amp;auml;&amp;lt;z&amp;gt;".into(),
            "P+Q/R=S&AMP;T&QUOT;U\\V%W &AUML;&LT;Z&GT;".into(),
            r#"p+q/r=s\u0026amp;t\u0026quot;u\\v%w \xc3\xa4\u0026lt;z\u0026gt;"#.into(),
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
    fn letters_that_differ_in_case_only_are_the_same_from_four_characters_on() {
        for (secret, text) in [("aBcD", "AbCd"), ("größe-1", "GRÖSSE-1"), ("GRÖẞE", "größe"), ("ıstanbul", "ISTANBUL"), ("Σίσυφος", "ΣΊΣΥΦΟΣ")]
        {
            assert_eq!(masked(secret, text), MASK, "{secret} as {text}");
        }
        assert_eq!(masked("aBc", "ABC"), "ABC");
    }

    #[test]
    fn letters_with_their_marks_apart_and_a_short_password_in_base64_are_masked() {
        assert_eq!(masked("geheim-schlüssel", "bad geheim-schlu\u{308}ssel!"), format!("bad {MASK}!"));
        assert_eq!(masked("geheim-schlüssel", r"bad geheim-schlu\u{308}ssel!"), format!("bad {MASK}!"));
        assert_eq!(masked("geheim-schlu\u{308}ssel", "bad geheim-schlüssel!"), format!("bad {MASK}!"));
        let shown = masked("a1b2", &STANDARD.encode("bob:a1b2"));
        assert!(shown.contains(MASK), "{shown}");
    }

    #[test]
    fn a_label_of_a_host_name_that_holds_a_secret_is_masked() {
        let url = url::Url::parse("http://x.preSÄcretZebra9post.example/").expect("a URL");
        assert!(url.as_str().contains("xn--"), "{url}");
        assert_eq!(masked("SäcretZebra9", url.as_str()), format!("http://x.{MASK}.example/"));
        assert_eq!(masked("SäcretZebra8", url.as_str()), url.as_str());
    }

    #[test]
    fn a_secret_that_is_cut_within_an_escape_is_masked() {
        for (text, shown) in
            [("\"zebra%2…\"", "…\""), ("\"zebra&quo…\"", "…\""), ("heard `zebra", ""), ("heard `zebra` until", "` until"), ("`zebra\\u00…", "…")]
        {
            let before = text.split("zebra").next().unwrap_or_default();
            assert_eq!(masked("zebra\"crossing", text), format!("{before}{MASK}{shown}"));
        }
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
