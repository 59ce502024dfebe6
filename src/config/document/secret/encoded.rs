//! What a server makes of a secret when it encodes its bytes: base64, base32, hexadecimal digits, a
//! list of numbers.
//!
//! [`super::mask`] looks for each of these forms beside the secret itself. Pure.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use zeroize::Zeroizing;

use super::Secret;

/// The two alphabets of RFC 4648, sections 6 and 7.
const BASE32: [&[u8; 32]; 2] = [
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
    b"0123456789ABCDEFGHIJKLMNOPQRSTUV",
];

/// How the characters of a form follow on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A text, or what encodes it without gaps.
    Text,
    /// Two digits for each byte; dumps have gaps between the pairs.
    Pairs,
    /// Numbers with a comma between them, which stands for any gap.
    Numbers,
}

/// The secret as a server encodes it that looks at its bytes, perhaps after it has changed the
/// case. Each form has at least `least` characters.
pub fn encoded(secret: &str, least: usize) -> Vec<(Secret, Shape)> {
    let mut cases = [
        secret.to_owned(),
        secret.to_lowercase(),
        secret.to_uppercase(),
    ]
    .map(Zeroizing::new)
    .to_vec();
    cases.dedup();
    let mut found: Vec<(Secret, Shape)> = Vec::new();
    let mut add = |form: String, shape| {
        let form = Secret::new(form);
        if form.reveal().len() >= least && !found.iter().any(|(known, _)| *known == form) {
            found.push((form, shape));
        }
    };
    for text in cases {
        let bytes = text.as_bytes();
        for engine in [&STANDARD, &URL_SAFE] {
            within(bytes, 6, |bytes| engine.encode(bytes)).for_each(|form| add(form, Shape::Text));
        }
        for alphabet in BASE32 {
            within(bytes, 5, |bytes| in_base32(bytes, alphabet))
                .for_each(|form| add(form, Shape::Text));
        }
        add(
            written(bytes, "", |out, byte| write!(out, "{byte:02x}")),
            Shape::Pairs,
        );
        add(
            written(bytes, ",", |out, byte| write!(out, "{byte}")),
            Shape::Numbers,
        );
    }
    found
}

/// The secret in base64, as `Authorization: Basic` has it.
pub fn in_base64(secret: &str, least: usize) -> impl Iterator<Item = Secret> {
    let forms = within(secret.as_bytes(), 6, |bytes| STANDARD.encode(bytes));
    forms
        .map(Secret::new)
        .filter(move |form| form.reveal().len() >= least)
}

/// What an encoding of so many bits for a character makes of bytes, whatever stands before and
/// behind them: the characters that only depend on these bytes, for each of the ways in which they
/// can lie.
fn within(
    bytes: &[u8],
    bits: usize,
    encode: impl Fn(&[u8]) -> String,
) -> impl Iterator<Item = String> {
    (0..bytes_until_aligned(bits)).map(move |lead| {
        let mut all = Zeroizing::new(vec![0; lead]);
        all.extend_from_slice(bytes);
        // The first characters that the lead has no part in, and the last that lie wholly within
        // the bytes.
        let (from, to) = ((lead * 8).div_ceil(bits), all.len() * 8 / bits);
        let text = Zeroizing::new(encode(&all));
        text.get(from..to).unwrap_or_default().to_owned()
    })
}

/// Bytes after which characters of so many bits begin with a byte again.
fn bytes_until_aligned(bits: usize) -> usize {
    (1..=bits)
        .find(|bytes| bytes * 8 % bits == 0)
        .unwrap_or(bits)
}

/// Without padding.
fn in_base32(bytes: &[u8], alphabet: &[u8; 32]) -> String {
    let bit = |n: usize| {
        bytes
            .get(n / 8)
            .map_or(0, |byte| usize::from(byte >> (7 - n % 8) & 1))
    };
    let character =
        |n: usize| char::from(alphabet[(0..5).fold(0, |five, b| five * 2 + bit(n * 5 + b))]);
    (0..(bytes.len() * 8).div_ceil(5)).map(character).collect()
}

fn written(
    bytes: &[u8],
    between: &str,
    write: impl Fn(&mut String, u8) -> std::fmt::Result,
) -> String {
    let mut out = String::with_capacity(4 * bytes.len());
    for (n, byte) in bytes.iter().enumerate() {
        out.push_str(if n == 0 { "" } else { between });
        let _ = write(&mut out, *byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (text, standard, extended) in [
            ("f", "MY", "CO"),
            ("fo", "MZXQ", "CPNG"),
            ("foob", "MZXW6YQ", "CPNMUOG"),
            ("foobar", "MZXW6YTBOI", "CPNMUOJ1E8"),
        ] {
            assert_eq!(
                (
                    in_base32(text.as_bytes(), BASE32[0]),
                    in_base32(text.as_bytes(), BASE32[1])
                ),
                (standard.into(), extended.into())
            );
        }
    }

    #[test]
    fn a_form_depends_on_the_secret_alone_wherever_it_lies() {
        let forms = encoded("Zebra7", 4);
        for lead in 0..15 {
            let around = format!("{}Zebra7xyz", "q".repeat(lead));
            let all = [
                in_base32(around.as_bytes(), BASE32[0]),
                in_base32(around.as_bytes(), BASE32[1]),
                STANDARD.encode(&around),
                URL_SAFE.encode(&around),
            ];
            for text in all {
                let held = forms.iter().any(|(form, _)| text.contains(form.reveal()));
                assert!(held, "{lead}: {text}");
            }
        }
        assert!(forms.contains(&(Secret::new("5a6562726137"), Shape::Pairs)));
        assert!(forms.contains(&(Secret::new("90,101,98,114,97,55"), Shape::Numbers)));
    }
}
