//! Reads one character of a text in each spelling that a server, a proxy or a log can give it: as
//! it is, percent-encoded, escaped for JSON, HTML or a programming language, and up to three of
//! these on top of each other; or as the numbers of its bytes, each behind the same sign, as
//! quoted-printable and LDAP write them.
//!
//! [`super::mask`] holds each character of a secret against what is read here. Pure.

use std::cell::RefCell;

use zeroize::Zeroizing;

/// Escapes on top of each other that are undone: `%2522` is a quote that was encoded twice.
pub(in crate::config) const LAYERS: usize = 3;
/// What an escape can begin with.
pub(in crate::config) const ESCAPES: [char; 3] = ['%', '\\', '&'];
/// The same, with the sign of quoted-printable, which is read without layers.
const ESCAPES_AND_QUOTED_PRINTABLE: [char; 4] = ['%', '\\', '&', '='];
/// Bytes of one at most: a letter beyond ASCII, percent-encoded twice.
const MOST_OF_AN_ESCAPE: usize = 24;

/// What was read at each place of a text, with so many layers of escapes undone: each is read once,
/// however often it is asked for.
type Read = Option<(char, usize)>;

/// A text that is looked through for many secrets.
pub struct Text {
    pub text: String,
    known: RefCell<[Vec<Option<Read>>; LAYERS]>,
}

impl Text {
    pub fn of(text: String) -> Self {
        Self {
            text,
            known: RefCell::default(),
        }
    }

    /// The first character at a place and its length there, when so many layers of escapes are
    /// undone. What is no escape is itself.
    pub(in crate::config) fn read(&self, at: usize, layer: usize) -> Read {
        let Some(inner) = layer.checked_sub(1) else {
            return self.text[at..].chars().next().map(|c| (c, c.len_utf8()));
        };
        if let Some(known) = self.known.borrow()[inner].get(at).copied().flatten() {
            return known;
        }
        let read = self.undone(at, inner);
        let known = &mut self.known.borrow_mut()[inner];
        if known.is_empty() {
            known.resize(self.text.len() + 1, None);
        }
        known[at] = Some(read);
        read
    }

    fn undone(&self, at: usize, inner: usize) -> Read {
        let (first, length) = self.read(at, inner)?;
        let rest = SpellingReader {
            text: self,
            from: at,
            at: at + length,
            layer: inner,
        };
        let undone = match first {
            '%' => bytes(self, at, inner).or_else(|| rest.percent_u()),
            '\\' => bytes(self, at, inner).or_else(|| rest.backslash()),
            '&' => rest.entity(),
            _ => None,
        };
        Some(undone.unwrap_or((first, length)))
    }
}

/// A text in which the escapes that begin with this sign are undone once.
pub fn unescaped(text: &str, sign: char) -> Zeroizing<String> {
    let text = Text::of(text.to_owned());
    let mut out = Zeroizing::new(String::with_capacity(text.text.len()));
    let mut at = 0;
    while let Some((c, length)) = text.read(at, usize::from(text.text[at..].starts_with(sign))) {
        out.push(c);
        at += length;
    }
    drop(Zeroizing::new(text.text));
    out
}

/// Calls `found` with the length of each spelling of the character that the text has at this place.
pub fn spellings(text: &Text, at: usize, c: char, mut found: impl FnMut(usize)) {
    let layers = if text.text[at..].starts_with(ESCAPES) || !c.is_ascii() {
        LAYERS
    } else {
        0
    };
    let mut last = 0;
    for layer in 0..=layers {
        let Some((first, length)) = text.read(at, layer) else {
            return;
        };
        let is_like = match c {
            ' ' => matches!(first, '+' | '\u{a0}'),
            '\\' => first == '/',
            '/' => first == '\\',
            _ => !c.is_ascii() && is_lost(first),
        };
        let is_same = is_like || same(first, c);
        if is_same && length != last {
            last = length;
            found(length);
        }
        if !c.is_ascii() {
            several(text, at, layer, c)
                .into_iter()
                .flatten()
                .for_each(&mut found);
        }
        if first.is_ascii_punctuation() {
            numbered(
                SpellingReader {
                    text,
                    from: at,
                    at,
                    layer,
                },
                first,
                c,
                &mut found,
            );
        }
    }
}

/// What each spelling of a character begins with that begins with neither a sign nor a character
/// beyond ASCII: the capitals of `ß` do.
pub fn lead(c: char) -> Option<u8> {
    let c = if c.is_ascii() {
        Some(c)
    } else {
        folded(c).next()
    };
    c.and_then(|c| u8::try_from(c).ok()).filter(u8::is_ascii)
}

/// How much of an escape stands before the place where the text ends or was cut, if that is here:
/// mostly nothing.
pub fn cut(rest: &str) -> Option<usize> {
    // No further than an escape can reach.
    let near = rest
        .char_indices()
        .map(|(at, _)| at)
        .find(|at| *at > MOST_OF_AN_ESCAPE);
    let end = match (rest[..near.unwrap_or(rest.len())].find(['…', '`']), near) {
        (Some(end), _) => end,
        (None, Some(_)) => return None,
        (None, None) => rest.strip_suffix('"').unwrap_or(rest).len(),
    };
    let left = &rest[..end];
    let is_of_an_escape = || {
        left.len() <= MOST_OF_AN_ESCAPE
            && left
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"%\\&#;{=".contains(&b))
    };
    (left.is_empty() || left.starts_with(ESCAPES_AND_QUOTED_PRINTABLE) && is_of_an_escape())
        .then_some(end)
}

/// Letters that differ in their case only are the same.
fn same(a: char, b: char) -> bool {
    if a == b {
        return true;
    }
    if a.is_ascii() && b.is_ascii() {
        a.eq_ignore_ascii_case(&b)
    } else {
        folded(a).eq(folded(b))
    }
}

/// By way of capitals, as `ſ` and `ς` have the capitals of `s` and `σ`, and `ß` has two.
fn folded(c: char) -> impl Iterator<Item = char> {
    c.to_lowercase()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}

/// In place of what its charset cannot write.
fn is_lost(c: char) -> bool {
    matches!(c, '\u{fffd}' | '?')
}

/// What stands for one character beyond ASCII as several: the capitals of `ß`, and the bytes of its
/// UTF-8 taken for characters each.
fn several(text: &Text, at: usize, layer: usize, c: char) -> [Option<usize>; 2] {
    let mut buffer = [0; 4];
    let bytes = c.encode_utf8(&mut buffer).as_bytes();
    let is_byte = |found: char, byte: u8| {
        // windows-1252 has other characters in place of these controls.
        let is_control = (0x80..0xa0).contains(&byte) && !found.is_ascii();
        is_lost(found) || is_control || same(found, char::from(byte))
    };
    let in_capitals = if folded(c).count() > 1 {
        sequence(text, at, layer, folded(c), same)
    } else {
        None
    };
    [
        in_capitals,
        sequence(text, at, layer, bytes.iter().copied(), is_byte),
    ]
}

/// A character as the numbers of its bytes, in UTF-8 or ISO-8859-1, each behind the same sign:
/// `=C3=A4`, `\c3\a4`, `#e4`; behind a backslash in decimal digits, too: `\195\164`.
fn numbered(from: SpellingReader<'_>, sign: char, c: char, found: &mut impl FnMut(usize)) {
    let is_next = |reader: &mut SpellingReader<'_>, byte: u8, (count, radix)| {
        if sign == '=' && reader.at > from.at {
            reader.soft_break();
        }
        reader
            .follows(sign)
            .and_then(|()| reader.number_is(byte, count, radix))
            .is_some()
    };
    let mut has = |bytes: &[u8], digits| {
        let mut reader = from;
        if bytes.iter().all(|byte| is_next(&mut reader, *byte, digits)) {
            found(reader.length());
        }
    };
    let other_case = if c.is_uppercase() {
        c.to_lowercase().next()
    } else {
        c.to_uppercase().next().filter(|upper| *upper != c)
    };
    for c in std::iter::once(c).chain(other_case) {
        let (mut buffer, in_latin) = (
            [0; 4],
            u8::try_from(u32::from(c)).ok().filter(|_| !c.is_ascii()),
        );
        let in_utf8 = c.encode_utf8(&mut buffer).as_bytes();
        for digits in [(2, 16), (3, 10)]
            .into_iter()
            .take(if sign == '\\' { 2 } else { 1 })
        {
            has(in_utf8, digits);
            in_latin.into_iter().for_each(|byte| has(&[byte], digits));
        }
    }
}

fn sequence<T>(
    text: &Text,
    from: usize,
    layer: usize,
    wanted: impl Iterator<Item = T>,
    is: impl Fn(char, T) -> bool,
) -> Option<usize> {
    let mut at = from;
    for one in wanted {
        let (found, length) = text.read(at, layer)?;
        if !is(found, one) {
            return None;
        }
        at += length;
    }
    Some(at - from)
}

/// The characters of a text from a place on, with some layers undone.
#[derive(Clone, Copy)]
pub(in crate::config) struct SpellingReader<'t> {
    pub text: &'t Text,
    /// Where the character begins that is read.
    pub from: usize,
    pub at: usize,
    pub layer: usize,
}

impl Iterator for SpellingReader<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let (c, length) = self.text.read(self.at, self.layer)?;
        self.at += length;
        Some(c)
    }
}

impl SpellingReader<'_> {
    pub fn length(&self) -> usize {
        self.at - self.from
    }

    /// Passes the end of a line of quoted-printable, where there is one: `=` and a line feed, or
    /// the like.
    pub fn soft_break(&mut self) -> Option<()> {
        let mut reader = *self;
        reader.follows('=')?;
        let end = reader.next().filter(|c| matches!(c, '\r' | '\n'))?;
        *self = reader;
        if end == '\r' && reader.follows('\n').is_some() {
            *self = reader;
        }
        Some(())
    }

    /// Whether the next digits are those of this number; no further than to the first that is not.
    fn number_is(&mut self, number: u8, count: u32, radix: u32) -> Option<()> {
        let digit = |place| u32::from(number) / radix.pow(place) % radix;
        (0..count)
            .rev()
            .try_for_each(|place| (self.next()?.to_digit(radix)? == digit(place)).then_some(()))
    }

    /// `{e4}`, and `{U+E4}` as Perl writes it.
    fn braced(&mut self, radix: u32) -> Option<u32> {
        self.follows('{')?;
        let mut named = *self;
        if named.next() == Some('U') && named.next() == Some('+') {
            *self = named;
        }
        let mut code = None;
        for _ in 0..8 {
            match self.next()? {
                '}' => return code,
                digit => code = Some(code.unwrap_or(0) * radix + digit.to_digit(radix)?),
            }
        }
        None
    }

    /// So many digits.
    fn digits(&mut self, count: usize, radix: u32) -> Option<u32> {
        (0..count).try_fold(0, |number, _| {
            Some(number * radix + self.next()?.to_digit(radix)?)
        })
    }

    fn follows(&mut self, wanted: char) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    /// `%u00E4`, as old scripts write it.
    fn percent_u(mut self) -> Option<(char, usize)> {
        self.follows('u')?;
        let code = self.digits(4, 16)?;
        Some((char::from_u32(code)?, self.length()))
    }

    /// What follows a backslash: `u00e4` and pairs of them, `u{e4}`, `x{e4}`, `o{344}`, `N{U+E4}`,
    /// `U000000e4`, `n`, `t`, `r`, or the character itself.
    fn backslash(mut self) -> Option<(char, usize)> {
        let after = self;
        let c = self.next()?;
        let c = match c {
            // What has no number behind it may have one once another layer is undone.
            'u' | 'U' => return after.code_point(),
            'x' | 'X' | 'N' => return self.braced_character(16),
            'o' => return self.braced_character(8),
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            c => c,
        };
        Some((c, self.length()))
    }

    fn braced_character(mut self, radix: u32) -> Option<(char, usize)> {
        let code = self.braced(radix)?;
        Some((char::from_u32(code)?, self.length()))
    }

    fn code_point(mut self) -> Option<(char, usize)> {
        let is_long = self.next()? == 'U';
        let mut braced = self;
        if let Some(code) = braced.braced(16) {
            return Some((char::from_u32(code)?, braced.length()));
        }
        let mut long = self;
        if let Some(c) = long
            .digits(8, 16)
            .filter(|_| is_long)
            .and_then(char::from_u32)
        {
            return Some((c, long.length()));
        }
        let high = self.digits(4, 16)?;
        if !(0xd800..0xdc00).contains(&high) {
            return Some((char::from_u32(high)?, self.length()));
        }
        self.follows('\\')?;
        self.next().filter(|c| matches!(c, 'u' | 'U'))?;
        let low = self.digits(4, 16)?;
        Some((
            char::decode_utf16([high as u16, low as u16]).next()?.ok()?,
            self.length(),
        ))
    }

    /// `#228;`, `#xE4;`, `auml;`; the semicolon may be missing.
    fn entity(self) -> Option<(char, usize)> {
        let (c, end) = self.number().or_else(|| self.named())?;
        let mut after = end;
        Some((
            c,
            if after.next() == Some(';') {
                after.length()
            } else {
                end.length()
            },
        ))
    }

    fn number(mut self) -> Option<(char, Self)> {
        self.follows('#')?;
        let mut after = self;
        let radix = if matches!(after.next(), Some('x' | 'X')) {
            16
        } else {
            10
        };
        if radix == 16 {
            self = after;
        }
        let (mut code, mut count) = (0_u32, 0);
        loop {
            let mut next = self;
            let Some(digit) = next
                .next()
                .and_then(|c| c.to_digit(radix))
                .filter(|_| count < 10)
            else {
                break;
            };
            code = code.saturating_mul(radix).saturating_add(digit);
            (self, count) = (next, count + 1);
        }
        char::from_u32(code)
            .filter(|_| count > 0)
            .map(|c| (c, self))
    }

    fn named(self) -> Option<(char, Self)> {
        // Read once, held against each name.
        let (mut letters, mut ends) = (String::new(), Vec::new());
        let mut reader = self;
        while let Some(c) = reader
            .next()
            .filter(|c| ends.len() < LONGEST_NAME && c.is_ascii_alphanumeric())
        {
            letters.push(c.to_ascii_lowercase());
            ends.push(reader);
        }
        let in_latin = LATIN
            .split(' ')
            .zip(0xa0..=0xff)
            .map(|(name, code)| (char::from(code), name));
        let matched = PUNCTUATION
            .into_iter()
            .chain(in_latin)
            .filter(|(_, name)| letters.starts_with(name));
        matched
            .max_by_key(|(_, name)| name.len())
            .and_then(|(c, name)| Some((c, *ends.get(name.len() - 1)?)))
    }
}

/// A character that is written as the bytes of its UTF-8, `%C3%A4`, `\xc3\xa4`, `\x{c3}\x{a4}` or
/// `\303\244`, or as its one byte of ISO-8859-1.
fn bytes(text: &Text, from: usize, inner: usize) -> Option<(char, usize)> {
    let mut reader = SpellingReader {
        text,
        from,
        at: from,
        layer: inner,
    };
    let first = byte(&mut reader)?;
    let length = match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Some((char::from(first), reader.length())),
    };
    let (mut utf8, mut whole) = ([first, 0, 0, 0], reader);
    let is_whole = utf8[1..length]
        .iter_mut()
        .all(|place| byte(&mut whole).map(|byte| *place = byte).is_some());
    match std::str::from_utf8(&utf8[..length])
        .ok()
        .filter(|_| is_whole)
        .and_then(|c| c.chars().next())
    {
        Some(c) => Some((c, whole.length())),
        None => Some((char::from(first), reader.length())),
    }
}

fn byte(reader: &mut SpellingReader<'_>) -> Option<u8> {
    let is_percent = match reader.next()? {
        '%' => true,
        '\\' => false,
        _ => return None,
    };
    let mut octal = *reader;
    if !is_percent && let Some(byte) = octal.digits(3, 8) {
        *reader = octal;
        return u8::try_from(byte).ok();
    }
    if !is_percent {
        reader.next().filter(|c| matches!(c, 'x' | 'X'))?;
        let mut braced = *reader;
        if let Some(byte) = braced.braced(16) {
            *reader = braced;
            return u8::try_from(byte).ok();
        }
    }
    reader.digits(2, 16).map(|byte| byte as u8)
}

/// Letters of the longest of these names.
const LONGEST_NAME: usize = 7;

/// HTML's names of ASCII characters, and of a few others.
const PUNCTUATION: [(char, &str); 37] = [
    ('\t', "tab"),
    ('\n', "newline"),
    ('!', "excl"),
    ('"', "quot"),
    ('#', "num"),
    ('$', "dollar"),
    ('%', "percnt"),
    ('&', "amp"),
    ('\'', "apos"),
    ('(', "lpar"),
    (')', "rpar"),
    ('*', "ast"),
    ('+', "plus"),
    (',', "comma"),
    ('.', "period"),
    ('/', "sol"),
    (':', "colon"),
    (';', "semi"),
    ('<', "lt"),
    ('=', "equals"),
    ('>', "gt"),
    ('?', "quest"),
    ('@', "commat"),
    ('[', "lsqb"),
    ('[', "lbrack"),
    ('\\', "bsol"),
    (']', "rsqb"),
    (']', "rbrack"),
    ('^', "hat"),
    ('_', "lowbar"),
    ('`', "grave"),
    ('{', "lcub"),
    ('{', "lbrace"),
    ('|', "verbar"),
    ('}', "rcub"),
    ('}', "rbrace"),
    ('€', "euro"),
];

/// HTML's names of U+00A0 to U+00FF in order; a letter and its capital differ in their case only.
const LATIN: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg \
    macr deg plusmn sup2 sup3 acute micro para middot cedil \
                     sup1 ordm raquo frac14 frac12 frac34 iquest agrave aacute acirc atilde auml \
                     aring aelig ccedil egrave eacute ecirc euml igrave \
                     iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml times oslash \
                     ugrave uacute ucirc uuml yacute thorn szlig agrave \
                     aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave \
                     iacute icirc iuml eth ntilde ograve oacute ocirc \
                     otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(text: &str, c: char) -> Vec<usize> {
        let mut found = Vec::new();
        spellings(&Text::of(text.to_owned()), 0, c, |length| {
            found.push(length)
        });
        found
    }

    #[test]
    fn a_character_is_read_in_each_of_its_spellings() {
        for (c, texts) in [
            (
                '"',
                &[
                    "\"",
                    "%22",
                    "%2522",
                    "%252522",
                    "\\\"",
                    "\\\\\\\"",
                    "\\u0022",
                    "\\x22",
                    "\\042",
                    "&quot;",
                    "&QUOT;",
                    "&amp;quot;",
                    "&#34;",
                    "&#x22",
                    "\\u0026quot;",
                    "%5C%22",
                    "%26quot%3B",
                ][..],
            ),
            (
                'ä',
                &[
                    "ä",
                    "Ä",
                    "%C3%A4",
                    "%c3%84",
                    "%E4",
                    "%25C3%25A4",
                    "%u00E4",
                    "\\u00e4",
                    "\\u00C4",
                    "\\u{e4}",
                    "\\x{e4}",
                    "\\x{c3}\\x{A4}",
                    "\\o{344}",
                    "\\N{U+E4}",
                    "\\x%7Be4%7D",
                    "=C3=A4",
                    "=c3=84",
                    "=C3=\r\n=A4",
                    "=E4",
                    "%3DC3%3DA4",
                    "\\c3\\a4",
                    "\\195\\164",
                    "\\U000000e4",
                    "\\xc3\\xa4",
                    "\\303\\244",
                    "&auml;",
                    "&AUML;",
                    "&#228;",
                    "&#xC4;",
                    "?",
                    "\u{fffd}",
                    "\u{fffd}\u{fffd}",
                    "Ã¤",
                    "&Atilde;&curren;",
                    "%C3%83%C2%A4",
                ],
            ),
            (
                'ß',
                &[
                    "ß",
                    "SS",
                    "ss",
                    "ẞ",
                    "%C3%9F",
                    "Ã\u{9f}",
                    "Ã\\u{9f}",
                    "ÃŸ",
                    "&szlig;",
                ],
            ),
            ('\\', &["\\", "/", "\\\\", "%5C", "&bsol;", "\\x5c"]),
            ('&', &["&", "&amp;", "&amp;amp;", "%26", "\\u0026", "&amp"]),
            ('%', &["%", "%25", "&percnt;"]),
            (' ', &[" ", "+", "%20", "&nbsp;"]),
            ('€', &["€", "\\x{20ac}", "\\u{20AC}", "=E2=82=AC", "&euro;"]),
            ('=', &["=", "=3D", "%3D", "\\3d", "\\061"]),
            ('é', &["é", "É", "&eacute;", "%C3%89"]),
            (
                '😀',
                &[
                    "😀",
                    "\\ud83d\\ude00",
                    "%F0%9F%98%80",
                    "&#128512;",
                    "\u{fffd}",
                ],
            ),
            ('k', &["k", "K", "%6b", "\\x4B", "&#75;"]),
            ('\n', &["\n", "\\n", "%0A", "&newline;"]),
        ] {
            for text in texts {
                assert!(
                    lengths(&format!("{text}zz"), c).contains(&text.len()),
                    "{c} in {text}: {:?}",
                    lengths(text, c)
                );
            }
        }
        for (c, text) in [
            ('a', "b"),
            ('a', "%62"),
            ('"', "&lt;"),
            ('ä', "ö"),
            ('a', ""),
            ('a', "%"),
            ('a', "\\"),
            ('a', "&#;"),
            ('a', "\\u{"),
            ('x', "?"),
            ('+', "=3C"),
            ('ä', "=C3=A5"),
            ('a', "\\x{"),
        ] {
            assert_eq!(lengths(text, c), Vec::<usize>::new(), "{c} in {text}");
        }
    }

    #[test]
    fn a_cut_within_an_escape_is_a_cut() {
        for (rest, length) in [
            ("", 0),
            ("\"", 0),
            ("…\"", 0),
            ("%2…", 2),
            ("%25C3%25…", 8),
            ("\\u00…\"", 4),
            ("&amp;quo…", 8),
            ("\\\"", 1),
            ("` until", 0),
            ("&#x2", 4),
            ("=C3=…", 4),
            ("\\x{20…", 5),
        ] {
            assert_eq!(cut(rest), Some(length), "{rest}");
        }
        for rest in [
            "x",
            "x…",
            "%20 x…",
            "\\n, more",
            "a\"",
            " …",
            "\\ and more words",
            "= x",
            ")",
        ] {
            assert_eq!(cut(rest), None, "{rest}");
        }
    }
}
