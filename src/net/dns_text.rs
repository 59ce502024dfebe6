//! Writes the data of DNS records as `dig` shows it, for every type that dig 9.18 knows; others as
//! RFC 3597 has it.
//!
//! Names end in a dot and escape as RFC 1035 says, in decimal; hexadecimal and base64 stand in
//! groups of 56 characters. The data may be hostile: what does not fit its type is written as that
//! of an unknown type. Called by the dns probe; the table of tests/fixtures/dns-presentation.txt is
//! dig's own output.

mod field;
pub mod notation;
mod reader;
mod special;
mod svcb;

use self::field::Field::{self, *};
use self::field::write_field;
use self::notation::{grouped, hex_upper};
use self::reader::Reader;
use self::special::*;
use crate::config::dns_question::ANY;

/// Characters of hexadecimal or base64 between two blanks.
const GROUP: usize = 56;

/// The fields of a type, where dig knows it.
fn fields(kind: u16) -> Option<&'static [Field]> {
    Some(match kind {
        1 => &[V4],
        28 => &[V6],
        2..=5 | 7..=9 | 12 | 23 | 39 => &[Name],
        6 => &[Name, Name, U32, U32, U32, U32, U32],
        11 => &[Special(services)],
        13 => &[Text, Text],
        14 | 17 | 58 => &[Name, Name],
        15 | 18 | 21 | 36 | 107 => &[U16, Name],
        16 | 20 | 56 | 99 | 258 | 261 | 262 => &[Texts],
        19 => &[Text],
        22 => &[Special(nsap)],
        24 | 46 => &[Type, U8, U8, U32, Time, Time, U16, Name, Base64],
        25 => &[Special(key)],
        26 => &[U16, Name, Name],
        27 => &[Text, Text, Text],
        29 => &[Special(location)],
        31 | 32 => &[Hex],
        33 => &[U16, U16, U16, Name],
        34 => &[Special(atm)],
        35 => &[U16, U16, Text, Text, Text, Name],
        37 => &[Special(certificate)],
        38 => &[Special(a6)],
        40 => &[U8, U8, U8, MaybeBase64],
        42 => &[Special(prefixes)],
        43 | 59 | 32768 | 32769 => &[U16, U8, U8, Hex],
        44 => &[U8, U8, MaybeHex],
        45 => &[Special(ipsec_key)],
        47 => &[Name, Types],
        48 | 57 | 60 => &[U16, U8, U8, Base64],
        49 | 61 | 67 | 68 => &[Base64],
        50 => &[U8, U8, U16, Salt, Hash, Types],
        51 => &[U8, U8, U16, Salt],
        52 | 53 => &[U8, U8, U8, Hex],
        55 => &[Special(host_identity)],
        62 => &[U32, U16, Types],
        63 => &[U32, U8, U8, Hex],
        64 | 65 => &[U16, Name, Special(svcb::parameters)],
        104 | 106 => &[U16, Groups],
        105 => &[U16, V4],
        108 | 109 => &[Hyphens],
        256 => &[U16, U16, Quoted],
        257 => &[U8, Tag, Quoted],
        259 => &[U32, U32, U8, Text, Special(object)],
        260 => &[Special(relay)],
        _ => return None,
    })
}

/// The data of a record that stands in `message` from `from` to `to`.
pub fn presented(message: &[u8], kind: u16, from: usize, to: usize) -> String {
    written(message, kind, from, to, GROUP)
}

/// The same without the blanks inside hexadecimal and base64, where `shown`, what [`presented`]
/// wrote, can have some.
pub fn ungrouped(message: &[u8], kind: u16, from: usize, to: usize, shown: &str) -> Option<String> {
    let is_grouped = shown.len() > GROUP && (has_groups(kind) || shown.starts_with("\\# "));
    is_grouped
        .then(|| written(message, kind, from, to, usize::MAX))
        .filter(|plain| plain != shown)
}

fn has_groups(kind: u16) -> bool {
    let is_one = |field: &Field| matches!(field, Hex | Base64 | MaybeHex | MaybeBase64);
    // Three of those with a form of their own end in base64.
    matches!(kind, 25 | 37 | 45) || fields(kind).is_some_and(|fields| fields.iter().any(is_one))
}

/// What a byte of a record's data takes at most to be written out, in nanoseconds. A bit of a
/// bitmap is a word; a name of any length may take two bytes.
pub fn ns_per_byte(kind: u16) -> u64 {
    match kind {
        55 | ANY => 4_000,
        11 | 47 | 50 | 62 => 700,
        _ => 100,
    }
}

fn written(message: &[u8], kind: u16, from: usize, to: usize, group: usize) -> String {
    let mut reader = Reader {
        message,
        at: from,
        end: to.min(message.len()),
        group,
    };
    let mut out = String::new();
    if fields(kind).is_some_and(|fields| all(fields, &mut reader, &mut out).is_some()) {
        return out;
    }
    let data = message.get(from..to).unwrap_or_default();
    let mut out = format!("\\# {}", data.len());
    grouped(&mut out, &hex_upper(data), group);
    out
}

fn all(fields: &[Field], reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    for field in fields {
        write_field(*field, reader, out)?;
    }
    (reader.at == reader.end).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::dns_question::type_word;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hexadecimal"))
            .collect()
    }

    #[test]
    fn every_type_is_written_as_dig_writes_it() {
        let table = include_str!("../../tests/fixtures/dns-presentation.txt");
        let mut kinds = std::collections::BTreeSet::new();
        let mut differing = Vec::new();
        for line in table.lines().filter(|l| !l.starts_with('#')) {
            let mut parts = line.splitn(4, '\t');
            let (number, data, word, text) =
                (parts.next(), parts.next(), parts.next(), parts.next());
            let (Some(number), Some(data), Some(word), Some(text)) = (number, data, word, text)
            else {
                panic!("not four columns: {line}")
            };
            let (kind, data) = (number.parse().expect("a type"), bytes(data));
            kinds.insert(kind);
            let found = presented(&data, kind, 0, data.len());
            let plain = written(&data, kind, 0, data.len(), usize::MAX);
            assert_eq!(
                ungrouped(&data, kind, 0, data.len(), &found).unwrap_or(found.clone()),
                plain,
                "{word}"
            );
            if found != text || type_word(kind) != word {
                differing.push(format!("{word} {line}\n  ours: {found}"));
            }
        }
        assert!(
            differing.is_empty(),
            "{} of {}:\n{}",
            differing.len(),
            table.lines().count(),
            differing.join("\n")
        );
        for kind in 1..=300_u16 {
            assert!(
                fields(kind).is_none() || kinds.contains(&kind),
                "{} has no line in the table",
                type_word(kind)
            );
        }
    }

    #[test]
    fn data_that_does_not_fit_its_type_is_written_as_unknown() {
        for (kind, data) in [
            (1, "c00002"),
            (15, "00"),
            (28, "00"),
            (29, "00ff1111"),
            (43, "000108"),
            (6, "c000"),
            (16, "05aa"),
            (64, "000100000100"),
        ] {
            let data = bytes(data);
            assert!(
                presented(&data, kind, 0, data.len()).starts_with(&format!("\\# {} ", data.len())),
                "{kind}"
            );
        }
        assert_eq!(presented(&[], 1, 0, 0), "\\# 0");
    }

    #[test]
    fn every_cut_and_every_byte_of_any_type_is_written_without_a_panic() {
        let data: Vec<u8> = (0..=255)
            .chain((0..64_u8).map(|n| n.wrapping_mul(37)))
            .collect();
        for kind in 1..=300 {
            for end in 0..data.len() {
                for from in [0, 1, 5, 200] {
                    assert!(!presented(&data, kind, from.min(end), end).is_empty() || kind == 42);
                }
            }
        }
    }

    #[test]
    fn groups_can_be_left_out() {
        let data = [&[0x4f, 0x66, 8, 2][..], &[0xab; 32]].concat();
        let shown = presented(&data, 43, 0, data.len());
        assert_eq!(
            ungrouped(&data, 43, 0, data.len(), &shown),
            Some(format!("20326 8 2 {}", "AB".repeat(32)))
        );
        // A type without them, and its data where it does not fit the type.
        let text = [&[60][..], &[b'a'; 60]].concat();
        assert_eq!(
            ungrouped(
                &text,
                16,
                0,
                text.len(),
                &presented(&text, 16, 0, text.len())
            ),
            None
        );
        let odd = ungrouped(
            &data,
            16,
            0,
            data.len(),
            &presented(&data, 16, 0, data.len()),
        );
        assert_eq!(odd, Some(format!("\\# 36 4F660802{}", "AB".repeat(32))));
        assert_eq!(
            presented(&data, 43, 0, data.len()),
            format!("20326 8 2 {} {}", "AB".repeat(28), "AB".repeat(4))
        );
    }
}
