//! What a peer can take out of a secret and give back alone: the values of a JSON, form or XML
//! body, the argument of a line, and what base64 or percent-encoding hides. Pure.
//!
//! Nothing here is a parser: what looks like a value is one. A text that is masked although it is
//! no secret costs less than a secret that is shown.

use base64::Engine;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::spelling::unescaped;
use super::{Secret, is_secret_name};

/// Characters of the shortest secret that is masked, whatever its case: shorter ones would mask
/// what is none. The same number of characters betrays a secret that was cut.
pub const LEAST: usize = 4;
/// The same of a part of a secret that may be any word.
pub const LEAST_PART: usize = 8;
/// Encodings within each other that are undone: a form in JSON in base64.
const DEPTH: usize = 3;
/// Bytes of a secret that are looked at.
const LOOKED_AT: usize = 64 << 10;
/// Pieces of each sort that are kept.
const KEPT: usize = 512;

/// Words that are in many texts and are nobody's secret, in small letters.
const KNOWN: &str = "basic bearer digest negotiate token apikey api-key x-api-key pass passwd \
    password passcode passphrase user username userid login logon signin email auth authenticate \
    authorization credentials secret session sessionid session_id cookie client_id client_secret \
    grant_type client_credentials refresh_token access_token authorization_code id_token scope \
    openid code plain cram-md5 xoauth2 oauthbearer scram-sha-1 scram-sha-256 http https true false \
    null none content-type content-disposition content-length application application/json json \
    text text/plain text/html text/xml html utf-8 charset form-data multipart multipart/form-data \
    urlencoded x-www-form-urlencoded application/x-www-form-urlencoded application/xml encoding \
    version name data type value mutation variables operationname jsonrpc method params envelope \
    services webhooks webhook notifications monitoring";
/// Words before a secret, in small letters. Words in capitals are taken for such ones, too.
const VERBS: &str = "pass password auth authenticate login logon basic bearer digest token key \
    apikey api-key negotiate secret user oper";

/// A secret in its pieces.
#[derive(Default)]
pub struct TakenApart {
    /// Values, decoded: a peer that reads the secret may give back each of them.
    pub values: Vec<Secret>,
    /// What stands between signs.
    pub parts: Vec<Secret>,
    /// There are more than are kept.
    pub has_more: bool,
}

impl TakenApart {
    pub fn of(secret: &str) -> Self {
        let (mut found, mut end) = (Self::default(), secret.len().min(LOOKED_AT));
        while !secret.is_char_boundary(end) {
            end -= 1;
        }
        found.has_more = end < secret.len();
        found.look(&secret[..end], DEPTH);
        found
    }

    fn look(&mut self, text: &str, depth: usize) {
        let mut layer = Layer::default();
        layer.quoted(text);
        layer.in_apostrophes(text);
        layer.markup(text);
        let has_pairs = layer.pairs(text);
        if !has_pairs && text.contains('%') {
            layer.values.push(unescaped(text, '%'));
        }
        layer.lines(text);
        layer.form_data(text);
        layer.base64(text);
        for part in text.split(is_sign).filter(|p| p.len() >= LEAST_PART) {
            if !is_of(KNOWN, part) && !layer.names.contains(&part) {
                self.has_more |= !add(&mut self.parts, part);
            }
        }
        for value in layer.values.iter().filter(|value| value.as_str() != text) {
            if value.len() < LEAST || is_of(KNOWN, value) {
                continue;
            }
            if self
                .values
                .iter()
                .any(|known| known.reveal() == value.as_str())
            {
                continue;
            }
            if !add(&mut self.values, value) {
                self.has_more = true;
            } else if depth > 1 {
                self.look(value, depth - 1);
            }
        }
    }
}

/// False where there are too many.
fn add(list: &mut Vec<Secret>, text: &str) -> bool {
    let is_new = !list.iter().any(|known| known.reveal() == text);
    if is_new && list.len() < KEPT {
        list.push(Secret::new(text));
        return true;
    }
    !is_new
}

fn is_of(words: &str, text: &str) -> bool {
    words
        .split(' ')
        .any(|word| word.eq_ignore_ascii_case(text.trim()))
}

/// What a part ends at: a peer may give back the token of "Bearer token" or "session=token" alone,
/// and a URL may be cut at what has a meaning in it.
fn is_sign(c: char) -> bool {
    " ;=,@/?#&:%\r\n\t\0\u{1}\"'<>{}[]()|".contains(c)
}

/// What one look at a text finds: values with their escapes undone once, and names of values.
#[derive(Default)]
struct Layer<'t> {
    values: Vec<Zeroizing<String>>,
    names: Vec<&'t str>,
}

impl<'t> Layer<'t> {
    fn value(&mut self, text: &str) {
        self.values.push(Zeroizing::new(text.to_owned()));
    }

    fn name(&mut self, name: &'t str) {
        self.names.extend(name.split(is_sign));
    }

    /// What stands in quotes. What a colon follows is a name, as JSON has it.
    fn quoted(&mut self, text: &'t str) {
        let mut at = 0;
        while let Some(from) = text[at..].find('"').map(|length| at + length + 1) {
            let Some(end) = closing(&text[from..]).map(|length| from + length) else {
                let line = text[from..].find('\n');
                at = line.map_or(text.len(), |length| from + length);
                continue;
            };
            let (inside, after) = (&text[from..end], text[end + 1..].trim_start());
            match after.strip_prefix(':') {
                Some(value) => {
                    self.name(inside);
                    self.number(inside, value.trim_start());
                }
                None => self.values.push(unescaped(inside, '\\')),
            }
            at = end + 1;
        }
    }

    /// A number is a secret if it is called so, or is long.
    fn number(&mut self, name: &str, value: &str) {
        let end = value.find(|c: char| !c.is_ascii_digit());
        let digits = &value[..end.unwrap_or(value.len())];
        let least = if is_secret_name(name) {
            LEAST
        } else {
            LEAST_PART
        };
        if digits.len() >= least {
            self.value(digits);
        }
    }

    fn in_apostrophes(&mut self, text: &str) {
        for before in ["='", ":'", ": '", ",'", ", '", "['", "('"] {
            for rest in text.split(before).skip(1) {
                if let Some((inside, _)) = rest.split_once('\'') {
                    self.values.push(unescaped(inside, '&'));
                }
            }
        }
    }

    /// What stands between tags.
    fn markup(&mut self, text: &'t str) {
        if !text.trim_start().starts_with('<') {
            return;
        }
        for rest in text.split("<![CDATA[").skip(1) {
            if let Some((inside, _)) = rest.split_once("]]>") {
                self.value(inside);
            }
        }
        for piece in text.split('>') {
            let (content, tag) = piece.split_once('<').unwrap_or((piece, ""));
            self.values.push(unescaped(content.trim(), '&'));
            if !tag.starts_with('!') {
                // What is in quotes is the value of an attribute.
                tag.split('"').step_by(2).for_each(|name| self.name(name));
            }
        }
    }

    /// The values of a form, a cookie or the query of a URL; whether it is one.
    fn pairs(&mut self, text: &'t str) -> bool {
        let query = text.rsplit_once('?').map(|(_, query)| query);
        let Some(pairs) = as_pairs(text).or_else(|| query.and_then(as_pairs)) else {
            return false;
        };
        for (name, value) in &pairs {
            if pairs.len() > 1 || is_secret_name(name) {
                self.name(name);
            }
            let value = value.trim_matches('"');
            self.value(value);
            self.values.push(unescaped(value, '%'));
            if value.contains('+') {
                let blanks = Zeroizing::new(value.replace('+', " "));
                self.values.push(unescaped(&blanks, '%'));
            }
        }
        true
    }

    /// What follows the verb of a line, its last word, and the value of `name: value`.
    fn lines(&mut self, text: &str) {
        for line in text.split(['\r', '\n']).map(str::trim) {
            if let Some(arguments) = arguments(line).or_else(|| {
                // IMAP has a tag before the verb.
                line.split_once(' ').and_then(|(_, rest)| arguments(rest))
            }) {
                let last = arguments.rsplit(' ').next().unwrap_or_default();
                for argument in [arguments, last] {
                    self.value(argument.trim_matches(['"', '\'']));
                }
            }
            let named = line.split_once([':', '=']);
            let is_named = |name: &str| is_name(name.trim()) && is_secret_name(name.trim());
            if let Some((_, value)) = named.filter(|(name, _)| is_named(name)) {
                self.value(value.trim().trim_matches(['"', '\'']));
            }
        }
    }

    /// The contents of multipart/form-data.
    fn form_data(&mut self, text: &str) {
        if text.contains("form-data") {
            for content in text.split("\r\n\r\n").skip(1) {
                self.value(content.split("\r\n--").next().unwrap_or_default());
            }
        }
    }

    /// Words of base64 that hide a text, and the password in `user:password` or of SASL PLAIN.
    fn base64(&mut self, text: &str) {
        let is_of_base64 = |c: char| c.is_ascii_alphanumeric() || "+/-_=".contains(c);
        for word in text.split(|c| !is_of_base64(c)) {
            let behind = word.split_once('=').map(|(_, value)| value);
            for word in std::iter::once(word).chain(behind) {
                let Some(hidden) = from_base64(word) else {
                    continue;
                };
                if let Some((_, password)) =
                    hidden.split_once(':').filter(|_| !hidden.contains('"'))
                {
                    self.value(password);
                }
                if let Some((_, password)) = hidden.rsplit_once('\0') {
                    self.value(password);
                }
                self.values.push(hidden);
            }
        }
    }
}

/// How long what is in quotes is. A quote is closed on its own line.
fn closing(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '\n' => return None,
            '"' if !is_escaped => return Some(at),
            _ => is_escaped = c == '\\' && !is_escaped,
        }
    }
    None
}

/// Of a field or a header.
fn is_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.[]$%".contains(&b))
}

fn as_pairs(text: &str) -> Option<Vec<(&str, &str)>> {
    // Base64 may end in `==`.
    let is_pair = |text: &str| {
        let pair = text.split_once('=');
        pair.is_some_and(|(name, value)| is_name(name) && !value.starts_with('='))
    };
    let pairs = || {
        text.split(['&', ';'])
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let is_form = pairs().next().is_some() && pairs().all(is_pair);
    is_form.then(|| pairs().filter_map(|text| text.split_once('=')).collect())
}

fn arguments(line: &str) -> Option<&str> {
    let (verb, arguments) = line.split_once(' ')?;
    let is_in_capitals = verb.len() > 1 && verb.bytes().all(|b| b.is_ascii_uppercase());
    (is_in_capitals || is_of(VERBS, verb)).then_some(arguments.trim())
}

fn from_base64(word: &str) -> Option<Zeroizing<String>> {
    let text = word.trim_end_matches('=');
    if text.len() * 3 / 4 < LEAST || text.contains('=') {
        return None;
    }
    let engine = |alphabet: &Alphabet| {
        let config = GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true);
        GeneralPurpose::new(alphabet, config)
    };
    let engine = engine(if text.contains(['-', '_']) {
        &URL_SAFE
    } else {
        &STANDARD
    });
    let bytes = Zeroizing::new(engine.decode(text).ok()?);
    let hidden = std::str::from_utf8(&bytes).ok()?;
    let is_text = hidden
        .chars()
        .all(|c| !c.is_control() || "\0\u{1}\t\r\n".contains(c));
    is_text.then(|| Zeroizing::new(hidden.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(secret: &str) -> Vec<String> {
        let values = TakenApart::of(secret).values;
        values.iter().map(|v| v.reveal().to_owned()).collect()
    }

    #[test]
    fn values_are_taken_out_and_names_are_not() {
        let basic = "Basic cHJvYmU6aHVudGVyMi1odW50ZXI5";
        let plain = "AUTH PLAIN AHByb2JlAGh1bnRlcjItaHVudGVyOQ==";
        let part =
            "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhunter7\r\n--b--";
        let graph = r#"{"query":"mutation { login(password: \"hunter7\") }"}"#;
        for (secret, value) in [
            (r#"{"user":"probe","password":"hunter7"}"#, "hunter7"),
            (r#"{"a": ["p\"a\\ss-w\u00f6rd"]}"#, "p\"a\\ss-wörd"),
            (r#"{"pin": 4711, "port": 8080}"#, "4711"),
            (r#"{"number": 4711471147}"#, "4711471147"),
            (graph, "hunter7"),
            ("user=probe&password=p%40ssw%2Brd", "p@ssw+rd"),
            ("user=probe&password=a+word", "a word"),
            ("a%7Cb%3D", "a|b="),
            ("id=3; session=\"zebra7\"", "zebra7"),
            ("/hook?channel=7&token=zebra7", "zebra7"),
            ("<l><p>hunter&amp;7</p></l>", "hunter&7"),
            ("<l p='hunter7' q=\"zebra7\"/>", "hunter7"),
            ("<l p='hunter7' q=\"zebra7\"/>", "zebra7"),
            ("<l><p><![CDATA[hun<ter]]></p></l>", "hun<ter"),
            ("PASS hunter7", "hunter7"),
            ("PASS two words", "two words"),
            ("a1 LOGIN probe \"hunter7\"", "hunter7"),
            ("passcode:hunter7", "hunter7"),
            (part, "hunter7"),
            (basic, "hunter2-hunter9"),
            (plain, "hunter2-hunter9"),
            ("token=cHJvYmU6aHVudGVyNw==", "hunter7"),
            ("eyJwYXNzd29yZCI6Imh1bnRlcjcifQ", "hunter7"),
        ] {
            let found = values(secret);
            assert!(found.iter().any(|v| v == value), "{secret}: {found:?}");
        }
        let secrets = [
            r#"{"password_of_probe":"password","port":8080,"content-type":"application/json"}"#,
            "grant_type=client_credentials&password_of_probe=7",
            "<password_of_probe>7</password_of_probe>",
        ];
        for secret in secrets {
            let found = TakenApart::of(secret);
            let parts: Vec<&str> = found.parts.iter().map(Secret::reveal).collect();
            assert!(values(secret).is_empty(), "{secret}: {:?}", values(secret));
            assert!(parts.is_empty(), "{secret}: {parts:?}");
        }
    }

    #[test]
    fn a_password_without_structure_has_no_values() {
        for secret in [
            "correct horse battery",
            "hunter2-hunter9",
            "Tr0ub4dor-and-3",
            "p+q/r=s&t\"u\\v%w ä<z>",
            "it's-Zebra",
            "0123456789abcdef0123456789abcdef",
            "NqVwYS81VP7Hb1dx8pPd5kHXe3PyIGkpAuNaRl63xYkw",
        ] {
            let found = values(secret);
            let is_undone = |v: &String| v.len() < secret.len() && secret.contains('%');
            assert!(found.iter().all(is_undone), "{secret}: {found:?}");
        }
    }

    #[test]
    fn what_is_looked_at_and_kept_is_bounded() {
        let fields: Vec<String> = (0..9000)
            .map(|n| format!("\"k{n}\":\"value-{n}\""))
            .collect();
        let found = TakenApart::of(&format!("{{{}}}", fields.join(",")));
        assert!(found.has_more);
        assert_eq!((found.values.len(), found.parts.len()), (KEPT, KEPT));
        assert!(!TakenApart::of("{\"password\":\"hunter7\"}").has_more);
    }
}
