//! Finds secrets in texts that a peer had a hand in, in every spelling in which it can give them
//! back.
//!
//! A peer that is sent a secret may answer with it: as it is, in capitals or small letters,
//! percent-encoded, escaped for JSON or HTML, in one of the forms of `encoded`, as a label of a
//! host name, or in a mixture. The text is walked once for each form of a secret. Each character
//! may stand there in any spelling of [`super::spelling`], with `fillers` between.

mod carried;

use std::sync::{Arc, Mutex, PoisonError};

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use idna::punycode::decode_to_string as punycode;
use zeroize::Zeroizing;

use super::encoded::{Shape, encoded, in_base64};
use super::fillers::{fillers, gaps};
use super::pieces::{LEAST, LEAST_PART, TakenApart};
use super::spelling::{Text, cut, lead, spellings};
use super::{MASK, Secret};
use crate::words::CertificateFacts;

/// Places of one text that are looked at at most for one form of a secret, so that no text can make
/// it slow.
const STEPS: usize = 20_000;
/// Places at which one character of a secret can begin at most: more fillers in a row are not
/// passed over.
const PLACES: usize = 256;
/// Places of one text at which it is known to have lost its beginning: there the end of a secret is
/// one, too.
const CUT_BEGINS: usize = 4;
/// Forms of the secrets of one spec at most, so that a text costs a bounded time: all those of
/// seven tokens. docs/security.md has this figure and the two that follow.
const MOST_FORMS: usize = 400;
/// Bytes of these forms at most.
const MOST_BYTES: usize = 128 << 10;
/// Bytes of the longest secret whose bytes are encoded in every way.
const MOST_ENCODED: usize = 4 << 10;
/// Forms of the secrets of all specs of one host at most, and how many of them secrets as they are.
const JOINED: usize = 60;
const JOINED_WHOLE: usize = 40;
/// The same of one spec among them, each time.
const JOINED_OF_ONE: usize = 12;

/// The secrets of one spec, or of several. A copy shares them.
#[derive(Clone, Default)]
pub struct Mask {
    /// Longest first: of a secret and its part, the whole is masked.
    forms: Arc<Vec<Form>>,
    /// Those of other specs at the same host, in the same order.
    of_host: Arc<Vec<Form>>,
    /// The last certificate in which none of them was found, by its SHA-256.
    clean: Arc<Mutex<Option<[u8; 32]>>>,
    /// There are more forms than are looked for.
    has_more: bool,
    /// What else is looked for at the end of one probe.
    others: Vec<Mask>,
}

/// A secret, a part of it, or what an encoding makes of it.
#[derive(Clone)]
struct Form {
    text: Secret,
    shape: Shape,
    rank: Rank,
}

/// Where there are too many forms, the last ones are left out. Those before `Encoded` are looked
/// for in the texts of other endpoints at the same host, too: a log or a page shows what was sent,
/// as it was sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Whole,
    Value,
    Base64,
    Part,
    Encoded,
}

impl Form {
    fn is_like(&self, other: &Self) -> bool {
        self.shape == other.shape && self.text == other.text
    }

    fn is_in(&self, list: &[Form]) -> bool {
        list.iter().any(|known| known.is_like(self))
    }
}

/// The forms of one secret, by their ranks.
struct Ranked {
    forms: Vec<Form>,
    has_more: bool,
}

impl Ranked {
    fn of(secret: &Secret) -> Self {
        let text = secret.reveal();
        let apart = TakenApart::of(text);
        let plain = |text: Secret, rank| Form {
            text,
            shape: Shape::Text,
            rank,
        };
        let as_it_is = |secret: &Secret, rank| {
            let all = std::iter::once(secret.clone()).chain(composed(secret));
            all.map(move |text| plain(text, rank)).collect::<Vec<_>>()
        };
        let mut forms = as_it_is(secret, Rank::Whole);
        forms.extend(apart.values.iter().flat_map(|v| as_it_is(v, Rank::Value)));
        forms.extend(in_base64(text, LEAST).map(|text| plain(text, Rank::Base64)));
        forms.extend(apart.parts.into_iter().map(|text| plain(text, Rank::Part)));
        let of_values = apart.values.iter().flat_map(|value| {
            let forms: Vec<Secret> = in_base64(value.reveal(), LEAST_PART).collect();
            forms
        });
        forms.extend(of_values.map(|text| plain(text, Rank::Encoded)));
        let is_long = text.len() > MOST_ENCODED;
        if !is_long {
            let encoded = encoded(text, LEAST).into_iter();
            forms.extend(encoded.map(|(text, shape)| Form {
                text,
                shape,
                rank: Rank::Encoded,
            }));
        }
        forms.retain(|form| form.text.reveal().len() >= LEAST);
        Self {
            forms,
            has_more: apart.has_more || is_long,
        }
    }
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    /// Each secret has an equal share of the bounds; what the small ones leave is for the large
    /// ones. The secrets themselves are looked for in any case.
    pub fn of(secrets: Vec<Secret>) -> Self {
        let mut lists: Vec<Ranked> = secrets.iter().map(Ranked::of).collect();
        lists.sort_by_key(|list| list.forms.len());
        let mut all: Vec<Form> = Vec::new();
        let (mut forms_left, mut bytes_left) = (MOST_FORMS, MOST_BYTES);
        let mut has_more = false;
        let count = lists.len();
        for (n, list) in lists.into_iter().enumerate() {
            let mut forms = forms_left.div_ceil(count - n);
            let mut bytes = bytes_left.div_ceil(count - n);
            (forms_left, bytes_left) = (forms_left - forms, bytes_left - bytes);
            has_more |= list.has_more;
            for form in list.forms {
                if form.is_in(&all) {
                    continue;
                }
                let length = form.text.reveal().len();
                if form.rank > Rank::Whole && (forms == 0 || length > bytes) {
                    has_more = true;
                    continue;
                }
                forms = forms.saturating_sub(1);
                bytes = bytes.saturating_sub(length);
                all.push(form);
            }
            (forms_left, bytes_left) = (forms_left + forms, bytes_left + bytes);
        }
        Self {
            has_more,
            ..Self::of_forms(all)
        }
    }

    /// Whether some spellings of the secrets are not looked for: there are too many of them.
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    /// The secrets of several specs for each of them: first those of all specs as they are, then
    /// what else there is of the first ones.
    pub fn joined<'m>(masks: impl IntoIterator<Item = &'m Mask>) -> Self {
        let masks: Vec<&Mask> = masks.into_iter().collect();
        let mut all: Vec<Form> = Vec::new();
        for (last, most) in [(Rank::Value, JOINED_WHOLE), (Rank::Part, JOINED)] {
            for mask in &masks {
                if all.len() >= most {
                    break;
                }
                let mut new: Vec<&Form> = mask.forms.iter().collect();
                new.retain(|form| form.rank <= last && !form.is_in(&all));
                new.sort_by_key(|form| form.rank);
                let room = (most - all.len()).min(JOINED_OF_ONE);
                all.extend(new.into_iter().take(room).cloned());
            }
        }
        Self::of_forms(all)
    }

    fn of_forms(mut forms: Vec<Form>) -> Self {
        forms.sort_by_key(|form| std::cmp::Reverse(form.text.reveal().len()));
        Self {
            forms: Arc::new(forms),
            ..Self::default()
        }
    }

    /// With the secrets of several specs at its host.
    pub fn beside(&self, joined: &Self) -> Self {
        Self {
            forms: self.forms.clone(),
            of_host: joined.forms.clone(),
            clean: Arc::default(),
            has_more: self.has_more,
            others: Vec::new(),
        }
    }

    /// With what others look for. All are shared.
    pub fn and(&self, others: Vec<Mask>) -> Self {
        Self {
            others,
            ..self.clone()
        }
    }

    /// Whether all forms of another are looked for, as they are shared with it.
    pub fn includes(&self, other: &Self) -> bool {
        let is_shared = |list: &Arc<Vec<Form>>| {
            list.is_empty() || Arc::ptr_eq(list, &self.forms) || Arc::ptr_eq(list, &self.of_host)
        };
        is_shared(&other.forms) && is_shared(&other.of_host)
    }

    /// The same for all copies of one.
    pub fn id(&self) -> usize {
        Arc::as_ptr(&self.forms) as usize
    }

    /// All that is looked for.
    fn lists(&self) -> impl Iterator<Item = &Vec<Form>> {
        let more = self.others.iter().flat_map(|o| [&*o.forms, &*o.of_host]);
        [&*self.forms, &*self.of_host].into_iter().chain(more)
    }

    fn all(&self) -> Vec<&Form> {
        let mut all: Vec<&Form> = self.lists().flatten().collect();
        if self.lists().skip(1).any(|list| !list.is_empty()) {
            all.sort_by_key(|form| std::cmp::Reverse(form.text.reveal().len()));
        }
        all
    }

    /// Whether both are copies of one.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.forms, &other.forms)
    }

    pub fn is_empty(&self) -> bool {
        self.lists().all(Vec::is_empty)
    }

    /// Whether the texts of the certificates that were shown are those in which there was none.
    pub fn has_seen(&self, certificate: &CertificateFacts) -> bool {
        self.has_seen_texts(&certificate.digest_of_texts())
    }

    fn has_seen_texts(&self, digest: &[u8; 32]) -> bool {
        *self.clean.lock().unwrap_or_else(PoisonError::into_inner) == Some(*digest)
            && self.others.iter().all(|other| other.has_seen_texts(digest))
    }

    /// There is none in the texts of these certificates.
    pub fn see(&self, certificate: &CertificateFacts) {
        self.see_texts(&certificate.digest_of_texts());
    }

    fn see_texts(&self, digest: &[u8; 32]) {
        *self.clean.lock().unwrap_or_else(PoisonError::into_inner) = Some(*digest);
        self.others.iter().for_each(|other| other.see_texts(digest));
    }

    /// What it may take at most to look through a text, in nanoseconds. Escapes are undone for each
    /// form anew.
    pub fn cost_ns(&self, text: &str) -> u64 {
        const PLACE_NS: usize = 25;
        const SIGN_NS: usize = 130;
        const ESCAPE_NS: usize = 500;
        let of_byte = |byte: u8| match byte {
            b'%' | b'\\' | b'&' | b'/' => ESCAPE_NS,
            byte if byte.is_ascii_punctuation() || !byte.is_ascii() => SIGN_NS,
            _ => PLACE_NS,
        };
        let cut_begins = text
            .match_indices('…')
            .filter(|(at, cut)| is_cut_begin(&text[..at + cut.len()]))
            .count()
            .min(CUT_BEGINS);
        let of_ends = if cut_begins > 0 {
            cut_begins
                * PLACE_NS
                * self
                    .all()
                    .iter()
                    .map(|form| form.text.reveal().len())
                    .sum::<usize>()
        } else {
            0
        };
        let forms: usize = self.lists().map(Vec::len).sum();
        (forms * text.bytes().map(of_byte).sum::<usize>() + of_ends) as u64
    }

    /// The text without the secrets.
    pub fn apply(&self, text: String) -> String {
        if text.len() < LEAST {
            return text;
        }
        let forms = self.all();
        let text = if text.contains(['-']) {
            without_in_labels(text, &forms)
        } else {
            text
        };
        let mut text = Searched::at(text);
        for form in forms {
            if let Some(masked) = text.without(form) {
                text = Searched::at(masked);
            }
        }
        text.text.text
    }
}

/// A text that is looked through.
struct Searched {
    text: Text,
    /// A URL that is parsed has slashes in place of backslashes, of those of an escape, too.
    turned: Option<Text>,
}

impl Searched {
    fn at(text: String) -> Self {
        let turned = text
            .contains("://")
            .then(|| Text::of(text.replace('/', "\\")));
        Self {
            text: Text::of(text),
            turned,
        }
    }

    /// The text without one form of a secret; nothing where it is not in it.
    fn without(&self, form: &Form) -> Option<String> {
        let mut characters = Zeroizing::new(Vec::with_capacity(form.text.reveal().len()));
        characters.extend(form.text.reveal().chars());
        let lead = characters.first().and_then(|first| lead(*first));
        let mut walk = SpellingWalk {
            characters: &characters,
            shape: form.shape,
            lead,
            here: Vec::new(),
            next: Vec::new(),
            steps: 0,
        };
        let text = self.text.text.as_str();
        let (mut out, mut copied) = (String::new(), 0);
        let (mut at, mut cut_begins) = (0, 0);
        while at < text.len() {
            let mut end = self.end(&mut walk, at);
            if end.is_none() && cut_begins < CUT_BEGINS && is_cut_begin(&text[..at]) {
                cut_begins += 1;
                end = self.end_of_part(&mut walk, at);
            }
            if let Some(end) = end {
                out.push_str(&text[copied..at]);
                out.push_str(MASK);
                (copied, at) = (end, end);
            } else {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
            }
        }
        (copied > 0).then(|| out + &text[copied..])
    }

    fn end(&self, walk: &mut SpellingWalk<'_>, at: usize) -> Option<usize> {
        let mut both = std::iter::once(&self.text).chain(&self.turned);
        both.find_map(|text| {
            if walk.may_begin(text.text.as_bytes()[at]) {
                walk.end(text, at)
            } else {
                None
            }
        })
    }

    /// Where the secret ends of which only the end, of some length, is here.
    fn end_of_part(&self, walk: &mut SpellingWalk<'_>, at: usize) -> Option<usize> {
        let (all, lead_of_all) = (walk.characters, walk.lead);
        let step = match walk.shape {
            Shape::Text => 1,
            Shape::Pairs => 2,
            Shape::Numbers => return None,
        };
        let ends = (step..(all.len() + 1).saturating_sub(LEAST_PART)).step_by(step);
        let end = ends.into_iter().find_map(|from| {
            (walk.characters, walk.lead) = (&all[from..], lead(all[from]));
            self.end(walk, at)
        });
        (walk.characters, walk.lead) = (all, lead_of_all);
        end
    }
}

/// Whether what stands behind this is the rest of a text that was cut: the sign of it is the first
/// of what is quoted.
fn is_cut_begin(before: &str) -> bool {
    before
        .strip_suffix('…')
        .is_some_and(|before| before.is_empty() || before.ends_with(['"', '`']))
}

/// Follows all ways at once in which one form of a secret can stand in a text.
struct SpellingWalk<'c> {
    characters: &'c [char],
    shape: Shape,
    /// What a text that has the first character in ASCII begins with.
    lead: Option<u8>,
    /// Places at which the next character can begin, and the one after it.
    here: Vec<usize>,
    next: Vec<usize>,
    steps: usize,
}

impl SpellingWalk<'_> {
    /// Whether a spelling of the first character can begin with this byte. Most places of a text
    /// are passed by this alone.
    fn may_begin(&self, byte: u8) -> bool {
        byte.is_ascii_punctuation()
            || !byte.is_ascii()
            || self
                .lead
                .is_some_and(|lead| byte.eq_ignore_ascii_case(&lead))
    }

    /// Where the secret ends that begins here: its own end, or where the text was cut within it.
    fn end(&mut self, text: &Text, from: usize) -> Option<usize> {
        let Self {
            characters,
            shape,
            here,
            next,
            steps,
            lead: _,
        } = self;
        here.clear();
        spellings(text, from, *characters.first()?, |length| {
            add(here, from + length)
        });
        let mut was_cut = None;
        for (before, done) in characters.iter().zip(1..characters.len()) {
            let after = characters[done];
            next.clear();
            let mut looked_at = 0;
            while let Some(at) = here.get(looked_at).copied() {
                looked_at += 1;
                // Of a character that was cut, a part of its escape may be there.
                let left =
                    cut(&text.text[at..]).filter(|length| done + usize::from(*length > 0) >= LEAST);
                was_cut = was_cut.max(left.map(|length| at + length));
                *steps += 1;
                if *steps > STEPS + 4 * characters.len() {
                    // Nobody writes such a text by accident: what is left of it is not shown.
                    return Some(text.text.len());
                }
                fillers(text, at, (*before, after), |length| add(here, at + length));
                let is_separator = *shape == Shape::Numbers && after == ',';
                match shape {
                    Shape::Pairs if done % 2 == 0 => {
                        gaps(text, at, |length| add(here, at + length))
                    }
                    Shape::Numbers if is_separator => {
                        gaps(text, at, |length| add(next, at + length))
                    }
                    Shape::Numbers if *before == ',' => {
                        gaps(text, at, |length| add(here, at + length))
                    }
                    Shape::Text | Shape::Pairs | Shape::Numbers => {}
                }
                if !is_separator {
                    spellings(text, at, after, |length| add(next, at + length));
                }
            }
            if next.is_empty() {
                return was_cut;
            }
            std::mem::swap(here, next);
        }
        here.iter().copied().max().or(was_cut)
    }
}

fn add(places: &mut Vec<usize>, place: usize) {
    if places.len() < PLACES && !places.contains(&place) {
        places.push(place);
    }
}

/// Host names in which a secret stands within a label that is not ASCII: `xn--zebra-7za` is `zebra`
/// with a letter in it.
fn without_in_labels(text: String, forms: &[&Form]) -> String {
    let is_of_label = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let holds_one = |label: &str| {
        let decoded = label
            .get(4..)
            .filter(|_| label[..4].eq_ignore_ascii_case("xn--"))
            .and_then(punycode);
        decoded
            .map(Searched::at)
            .is_some_and(|looked| forms.iter().any(|form| looked.without(form).is_some()))
    };
    let labels: Vec<&str> = text
        .split(|c| !is_of_label(c))
        .filter(|label| label.len() > 4 && label.is_char_boundary(4) && holds_one(label))
        .collect();
    labels
        .iter()
        .fold(text.clone(), |text, label| text.replace(label, MASK))
}

/// The secret as it is in the other Unicode normalization forms: with letters and their marks
/// apart, and as one.
fn composed(secret: &Secret) -> Vec<Secret> {
    let text = secret.reveal();
    if text.is_ascii() {
        return Vec::new();
    }
    let forms = [
        DecomposingNormalizerBorrowed::new_nfd().normalize(text),
        ComposingNormalizerBorrowed::new_nfc().normalize(text),
    ];
    forms
        .into_iter()
        .filter(|form| form != text)
        .map(|form| Secret::new(form.into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    fn masked(secret: &str, text: &str) -> String {
        Mask::of(vec![Secret::new(secret.to_owned())]).apply(text.to_owned())
    }

    fn dumped(secret: &str, gap: &str, byte: impl Fn(u8) -> String) -> String {
        secret.bytes().map(byte).collect::<Vec<_>>().join(gap)
    }

    fn base32(text: &str) -> String {
        let bits: String = text.bytes().map(|byte| format!("{byte:08b}")).collect();
        let character = |five: &[u8]| {
            let five = format!("{:0<5}", String::from_utf8_lossy(five));
            char::from(
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
                    [usize::from_str_radix(&five, 2).expect("five bits")],
            )
        };
        bits.as_bytes().chunks(5).map(character).collect()
    }

    #[test]
    fn a_secret_that_dns_splits_or_groups_is_masked() {
        let secret: String = (0..120).map(|n| char::from(b'A' + n % 26)).collect();
        let base64 = STANDARD.encode(format!("user:{secret}"));
        let groups: Vec<&str> = (0..base64.len())
            .step_by(56)
            .map(|at| &base64[at..base64.len().min(at + 56)])
            .collect();
        let (one, two) = secret.split_at(70);
        for text in [
            format!("257 3 13 {}", groups.join(" ")),
            format!("\"{one}\" \"{two}\""),
            format!("{{\"txt\": \"\\\"{one}\\\" \\\"{two}\\\"\"}}"),
        ] {
            let shown = masked(&secret, &text);
            assert!(shown.contains("<secret>"), "{shown}");
            for part in [
                &secret[10..30],
                &secret[90..110],
                &base64[60..100],
                &base64[120..150],
            ] {
                assert!(!shown.contains(part), "{shown}");
            }
        }
        // Words with a blank between them are no secret without it.
        assert_eq!(masked("passphrase", "pass phrase"), "pass phrase");
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
            secret
                .to_lowercase()
                .replace(' ', "%2520")
                .replace('"', "%2522"),
            STANDARD.encode(secret.to_uppercase()),
            STANDARD.encode(secret).to_lowercase(),
            STANDARD
                .encode(secret)
                .as_bytes()
                .chunks(7)
                .map(|line| String::from_utf8_lossy(line).into_owned() + "\\n")
                .collect::<String>(),
            secret.bytes().map(|b| format!("{b:02X}")).collect(),
            secret.replace('ä', "Ã¤"),
            secret.replace('ä', "?"),
            secret.chars().map(|c| format!("{c}\\0")).collect(),
            "http://a/p+q/r=s&t/%22u//v%w%20/xc3/xa4%3Cz%3E".into(),
            "p+q/r=s&amp;amp;t&amp;quot;u\\v%w &amp;auml;&amp;lt;z&amp;gt;".into(),
            "P+Q/R=S&AMP;T&QUOT;U\\V%W &AUML;&LT;Z&GT;".into(),
            r#"p+q/r=s\u0026amp;t\u0026quot;u\\v%w \xc3\xa4\u0026lt;z\u0026gt;"#.into(),
            STANDARD
                .encode(format!("xy{secret}"))
                .replace('+', "%2B")
                .replace('/', "%2F"),
            secret.replace('"', "\"\""),
            secret.replace('"', "&quot;&quot;"),
            "p+q/r=3Ds&t\"u\\v%w=20=C3=A4<z>".into(),
            "p=2Bq/r=\r\n=3Ds&t=22u\\v=\n%w =E4<z=3E".into(),
            "p=2Bq/r=3Ds&t=22u\\v%w=20=C3=\r\n=A4<z=\\r\\n>".into(),
            r"p\x{2b}q/r=s&t\x{22}u\x{5c}v%w \x{e4}<z>".into(),
            r"p+q/r=s&t\x{22}u\\v%w\x{20}\x{c3}\x{a4}<z>".into(),
            r"p\2bq\2fr=s&t\22u\5cv%w \c3\a4\3cz>".into(),
            r#"p+q/r=s&t\"u\\v%w \195\164<z>"#.into(),
            dumped(secret, " ", |byte| format!("{byte:02x}")),
            dumped(secret, ":", |byte| format!("{byte:02X}")),
            dumped(secret, ",\n  ", |byte| format!("0x{byte:02x}")),
            dumped(secret, "\\n", |byte| format!("{byte:02x}")),
            dumped(secret, "%20", |byte| format!("{byte:02x}")),
            dumped(secret, ", ", |byte| byte.to_string()),
            dumped(secret, " ", |byte| byte.to_string()),
            base32(&format!("ab{secret}cd")),
            base32(secret).to_lowercase(),
            format!("{}===", base32(&secret.to_uppercase())),
            r"http://a/p+q/r=s&t%22u/x%7B5c%7Dv%w%20/x%7Be4%7D%3Cz%3E".replace("%w", "%25w"),
            secret.chars().map(|c| format!("{c}\u{200b}")).collect(),
            secret.chars().map(|c| format!("{c}&shy;")).collect(),
            secret.chars().map(|c| format!("{c}\\u{{2060}}")).collect(),
            secret
                .chars()
                .map(|c| format!("{c}\u{200d}\u{feff}"))
                .collect(),
            STANDARD
                .encode(secret)
                .as_bytes()
                .chunks(8)
                .map(|line| String::from_utf8_lossy(line).into_owned() + "\r\n    ")
                .collect::<String>(),
        ] {
            let shown = masked(secret, &format!("before {text} after"));
            assert!(
                shown.contains(MASK) && shown.starts_with("before ") && shown.ends_with(" after"),
                "{text}: {shown}"
            );
        }
    }

    #[test]
    fn what_is_cut_within_a_secret_is_masked_and_other_texts_stay() {
        let secret = "correct horse battery";
        assert_eq!(
            masked(secret, "found \"correct hor…\""),
            format!("found \"{MASK}…\"")
        );
        assert_eq!(
            masked(secret, "found correct%20ho"),
            format!("found {MASK}")
        );
        for text in ["found \"a horse\"", "the correct answer is 5", "", "cor"] {
            assert_eq!(masked(secret, text), text);
        }
        assert_eq!(
            masked("abc", "abc"),
            "abc",
            "too short to be told from words"
        );
        assert_eq!(
            masked("Key8@Zebra-Crossing", "zebra-crossing. does not exist"),
            format!("{MASK}. does not exist"),
            "as a host name of a URL"
        );
    }

    #[test]
    fn the_end_of_a_secret_is_masked_where_a_text_has_lost_its_beginning() {
        let secret = "correct horse battery";
        for (text, shown) in [
            ("found \"…rse battery\"", format!("found \"…{MASK}\"")),
            (
                "received `…ORSE%20battery is` no",
                format!("received `…{MASK} is` no"),
            ),
            ("…ect horse bat", format!("…{MASK}")),
            ("size \"…ect horse b…\"", format!("size \"…{MASK}…\"")),
            ("\"…6f727365206261747465727920\"", format!("\"…{MASK}20\"")),
        ] {
            assert_eq!(masked(secret, text), shown);
        }
        for text in [
            "found \"…battery\"",
            "found \"rse battery\"",
            "found … rse battery",
            "\"…is correct now\"",
        ] {
            assert_eq!(
                masked(secret, text),
                text,
                "too short, or not known to be cut"
            );
        }
        assert_eq!(
            masked("LOGIN a\nzebra-crossing\nQUIT", "received `zebra-crossing`"),
            format!("received `{MASK}`"),
            "a line of it"
        );
        let (secret, text) = (
            "ab".repeat(2000) + "cd",
            "x\"…".to_owned() + &"ab".repeat(400) + " ",
        );
        assert!(
            masked(&secret, &text.repeat(3)).len() <= 3 * text.len(),
            "it ends"
        );
    }

    #[test]
    fn masks_are_joined_while_they_are_few() {
        let masks: Vec<Mask> = (0..100)
            .map(|n| Mask::of(vec![Secret::new(format!("secret-number-{n}!"))]))
            .collect();
        let joined = Mask::joined(&masks);
        assert!(
            joined.forms.len() <= JOINED
                && joined.apply("secret-number-0! secret-number-9!".into())
                    == format!("{MASK} {MASK}")
        );
        let basic = STANDARD.encode("user:secret-number-1!");
        assert!(
            joined.apply(basic.clone()).contains(MASK)
                && !joined
                    .apply(basic)
                    .contains(&STANDARD.encode("user:secret-number-1!")[8..24])
        );
        assert_eq!(
            Mask::joined(&masks[..2]).apply("secret-number-1! secret-number-0!".into()),
            format!("{MASK} {MASK}")
        );
        let longer = Mask::joined(&[
            Mask::of(vec![Secret::new("zebra-cross")]),
            Mask::of(vec![Secret::new("zebra-crossing")]),
        ]);
        assert_eq!(
            longer.apply("zebra-crossing".into()),
            MASK,
            "the longer one as a whole"
        );
        let beside = Mask::of(vec![Secret::new("zebra-crossing is own")]).beside(&longer);
        assert_eq!(
            beside.apply("zebra-crossing is own, zebra-crossing".into()),
            format!("{MASK}, {MASK}")
        );
        assert!(
            masks[0].is_same(&masks[0].clone())
                && !masks[0].is_same(&masks[1])
                && Mask::default().is_empty()
        );
    }

    #[test]
    fn letters_that_differ_in_case_only_are_the_same_from_four_characters_on() {
        for (secret, text) in [
            ("aBcD", "AbCd"),
            ("größe-1", "GRÖSSE-1"),
            ("GRÖẞE", "größe"),
            ("ıstanbul", "ISTANBUL"),
            ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        ] {
            assert_eq!(masked(secret, text), MASK, "{secret} as {text}");
        }
        assert_eq!(masked("aBc", "ABC"), "ABC");
    }

    #[test]
    fn letters_with_their_marks_apart_and_a_short_password_in_base64_are_masked() {
        assert_eq!(
            masked("geheim-schlüssel", "bad geheim-schlu\u{308}ssel!"),
            format!("bad {MASK}!")
        );
        assert_eq!(
            masked("geheim-schlüssel", r"bad geheim-schlu\u{308}ssel!"),
            format!("bad {MASK}!")
        );
        assert_eq!(
            masked("geheim-schlu\u{308}ssel", "bad geheim-schlüssel!"),
            format!("bad {MASK}!")
        );
        let shown = masked("a1b2", &STANDARD.encode("bob:a1b2"));
        assert!(shown.contains(MASK), "{shown}");
    }

    #[test]
    fn a_label_of_a_host_name_that_holds_a_secret_is_masked() {
        let url = url::Url::parse("http://x.preSÄcretZebra9post.example/").expect("a URL");
        assert!(url.as_str().contains("xn--"), "{url}");
        assert_eq!(
            masked("SäcretZebra9", url.as_str()),
            format!("http://x.{MASK}.example/")
        );
        assert_eq!(masked("SäcretZebra8", url.as_str()), url.as_str());
    }

    #[test]
    fn a_secret_that_is_cut_within_an_escape_is_masked() {
        for (text, shown) in [
            ("\"zebra%2…\"", "…\""),
            ("\"zebra&quo…\"", "…\""),
            ("received `zebra", ""),
            ("received `zebra` until", "` until"),
            ("`zebra\\u00…", "…"),
        ] {
            let before = text.split("zebra").next().unwrap_or_default();
            assert_eq!(
                masked("zebra\"crossing", text),
                format!("{before}{MASK}{shown}")
            );
        }
    }

    #[test]
    fn secrets_of_every_length_are_found_whole_cut_and_encoded() {
        for length in [4, 20, 80, 100, 128, 300, 600, 900, 4000] {
            let token: String = (0..length)
                .map(|n| {
                    if n % 37 == 36 {
                        '+'
                    } else {
                        char::from(b'a' + (n * 7 % 26) as u8)
                    }
                })
                .collect();
            assert_eq!(
                masked(&token, &format!("x {token} y")),
                format!("x {MASK} y"),
                "{length}"
            );
            let encoded = token.replace('+', "%2B");
            assert_eq!(
                masked(&token, &format!("x {encoded} y")),
                format!("x {MASK} y"),
                "{length}, percent-encoded"
            );
            let cut: String = token.chars().take(length.clamp(5, 109) - 1).collect();
            if cut.len() >= LEAST {
                assert_eq!(
                    masked(&token, &format!("\"denied key {cut}…\"")),
                    format!("\"denied key {MASK}…\""),
                    "{length}, cut"
                );
            }
        }
    }

    #[test]
    fn a_quote_that_is_doubled_is_masked_and_words_and_rulers_stay() {
        assert_eq!(
            masked("it's-Zebra", "VALUES ('it''s-Zebra')"),
            format!("VALUES ('{MASK}')")
        );
        assert_eq!(
            masked("it's-Zebra", r"run 'it'\''s-Zebra' now"),
            format!("run '{MASK}' now")
        );
        assert_eq!(
            masked("it's-Zebra", r#"run 'it'"'"'s-Zebra' now"#),
            format!("run '{MASK}' now")
        );
        assert_eq!(
            masked("50%-Zebra", "printf 50%%-Zebra"),
            format!("printf {MASK}")
        );
        for ruler in [
            "-".repeat(900),
            "=".repeat(900),
            "\n".repeat(900),
            "--\0\0".repeat(200),
            "it's ze bra".to_owned(),
            "61 62 63 64".to_owned(),
        ] {
            let text = ruler + " end";
            for secret in ["-----BEGIN KEY-----", "==zebra", "it's-Zebra", "abcde"] {
                assert_eq!(masked(secret, &text), text, "{secret}");
            }
        }
    }

    #[test]
    fn a_text_that_is_made_to_be_slow_ends() {
        let secret = "%".repeat(40);
        let text = "%25".repeat(2000);
        assert!(masked(&secret, &text).len() < text.len());
    }

    /// What a server answers that reads what it was sent, and gives back what it read.
    #[test]
    fn values_within_a_secret_are_masked_where_they_come_back_alone() {
        let json = r#"{"user":"probe","password":"hunter2-hunter9"}"#;
        for (secret, given_back) in [
            (json, "hunter2-hunter9"),
            (json, r#"{"detail":[{"input":"hunter2-hunter9"}]}"#),
            (r#"{"password":"hunter7"}"#, "hunter7"),
            (
                r#"{"user":"probe","password":"p\"a\\ss-w\u00f6rd-zebra"}"#,
                r#"p"a\ss-wörd-zebra"#,
            ),
            ("user=probe&password=p%40ssw0rd%21zebra", "p@ssw0rd!zebra"),
            (
                "<l><user>probe</user><password>hunter2-hunter9</password></l>",
                "hunter2-hunter9",
            ),
            (
                "Basic cHJvYmU6aHVudGVyMi1odW50ZXI5",
                "probe:hunter2-hunter9",
            ),
            ("Basic cHJvYmU6aHVudGVyMi1odW50ZXI5", "hunter2-hunter9"),
            ("session=a%7Cb%3D%2Fzebra-long", "a|b=/zebra-long"),
            ("session=\"zebra-token-4711\"", "zebra-token-4711"),
            ("PASS hunter7", "hunter7"),
            (
                "AUTH PLAIN AHByb2JlAGh1bnRlcjItaHVudGVyOQ==",
                "hunter2-hunter9",
            ),
            ("a(zebra-one)|zebra-two", "zebra-one"),
            ("zebra-one\tzebra-two", "zebra-two"),
        ] {
            let text = format!("login refused: wrong password {given_back} given.");
            let shown = masked(secret, &text);
            assert!(
                shown.starts_with("login refused: wrong password "),
                "{shown}"
            );
            assert!(shown.ends_with(" given."), "{shown}");
            for word in ["hunter", "zebra", "ssw0rd", "a|b"] {
                assert!(!shown.contains(word), "{secret}: {shown}");
            }
        }
    }

    fn fields(count: usize) -> String {
        let fields: Vec<String> = (0..count)
            .map(|n| format!("\"field{n}\":\"value-number-{n}\""))
            .collect();
        format!("{{{}}}", fields.join(","))
    }

    #[test]
    fn the_forms_of_one_spec_are_bounded_and_its_small_secrets_are_whole() {
        let token = "NqVwYS81VP7Hb1dx8pPd5kHXe3PyIGkp";
        let large = fields(1000);
        let mask = Mask::of(vec![Secret::new(&*large), Secret::new(token)]);
        let bytes: usize = mask.forms.iter().map(|f| f.text.reveal().len()).sum();
        assert!(mask.has_more() && mask.forms.len() <= MOST_FORMS && bytes <= MOST_BYTES);
        let hexadecimal = dumped(token, " ", |byte| format!("{byte:02x}"));
        for text in [token, &large, &hexadecimal, "value-number-7"] {
            assert_eq!(mask.apply(text.to_owned()), MASK);
        }
        // What is larger than the bound is looked for as it is.
        let huge = "zebra-".repeat(20_000);
        let mask = Mask::of(vec![Secret::new(&*huge)]);
        assert!(mask.has_more() && mask.forms.len() <= MOST_FORMS);
        assert_eq!(mask.apply(huge), MASK);
        let seven = (0..7).map(|n| Secret::new(format!("{n}{token}")));
        let small = Mask::of(seven.collect());
        assert!(!small.has_more(), "{}", small.forms.len());
        let text = "x".repeat(1000);
        assert!(small.cost_ns(&text) < 10_000_000 && Mask::default().cost_ns(&text) == 0);
    }

    #[test]
    fn secrets_as_they_are_come_first_where_masks_are_joined() {
        let masks: Vec<Mask> = [fields(30)]
            .into_iter()
            .chain((0..27).map(|n| format!("secret-number-{n}!")))
            .map(|secret| Mask::of(vec![Secret::new(secret)]))
            .collect();
        let joined = Mask::joined(&masks);
        assert!(joined.forms.len() <= JOINED);
        assert_eq!(joined.apply("secret-number-26!".into()), MASK);
    }
}
