//! Writes the data of DNS records as `dig` shows it, for every type that dig 9.18 knows; others as
//! RFC 3597 has it.
//!
//! Names end in a dot and escape as RFC 1035 says, in decimal; hexadecimal and base64 stand in
//! groups of 56 characters. The data may be hostile: what does not fit its type is written as that
//! of an unknown type. Called by the dns probe; the table of tests/fixtures/dns-presentation.txt is
//! dig's own output.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::dns_message::name_at;
use crate::config::dns_question::{ANY, type_word};

/// Characters of hexadecimal or base64 between two blanks.
const GROUP: usize = 56;
/// Where names and bitmaps of one record are longer, the record is written as that of an unknown
/// type. Text is never longer.
const TEXT_LIMIT: usize = 256 << 10;

/// What stands in the data of a type, one after the other.
#[derive(Clone, Copy)]
enum Field {
    Name,
    U8,
    U16,
    U32,
    /// A date as an RRSIG has it.
    Time,
    /// A record type.
    Type,
    /// A bitmap of record types, to the end.
    Types,
    V4,
    V6,
    /// One string, or strings to the end.
    Text,
    Texts,
    /// What is left, in groups; the last two may be empty.
    Hex,
    Base64,
    MaybeHex,
    MaybeBase64,
    /// Of a stated length: hexadecimal or `-`; base32 without padding.
    Salt,
    Hash,
    /// Two bytes each, as in an IPv6 address.
    Groups,
    /// Bytes with hyphens.
    Hyphens,
    /// What is left, as one string.
    Quoted,
    /// A tag of CAA.
    Tag,
    Special(fn(&mut Reader<'_>, &mut String) -> Option<()>),
}
use Field::*;

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
        64 | 65 => &[U16, Name, Special(super::dns_svcb::parameters)],
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
        one(*field, reader, out)?;
    }
    (reader.at == reader.end).then_some(())
}

fn one(field: Field, reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    let begun = !out.is_empty();
    match field {
        Hex => grouped(out, &hex_upper(reader.rest_or_none()?), reader.group),
        Base64 => grouped(out, &STANDARD.encode(reader.rest_or_none()?), reader.group),
        MaybeHex => grouped(out, &hex_upper(reader.rest()), reader.group),
        MaybeBase64 => grouped(out, &STANDARD.encode(reader.rest()), reader.group),
        Types => types(reader, out)?,
        Special(write) => write(reader, out)?,
        Texts => {
            reader.at.lt(&reader.end).then_some(())?;
            while reader.at < reader.end {
                one(Text, reader, out)?;
            }
        }
        field => {
            if begun {
                out.push(' ');
            }
            match field {
                Name => name_text(out, &reader.name()?),
                U8 => push(out, reader.u8()?),
                U16 => push(out, reader.u16()?),
                U32 => push(out, reader.u32()?),
                Time => out.push_str(&date(reader.u32()?)),
                Type => out.push_str(&type_word(reader.u16()?)),
                V4 => push(out, reader.v4()?),
                V6 => push(out, reader.v6()?),
                Text => quoted(out, reader.string()?),
                Quoted => quoted(out, reader.rest()),
                Tag => {
                    out.push_str(std::str::from_utf8(reader.string()?).ok().filter(|t| {
                        !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric())
                    })?)
                }
                Salt => match reader.string()? {
                    [] => out.push('-'),
                    salt => out.push_str(&hex_upper(salt)),
                },
                Hash => base32(out, reader.string().filter(|h| !h.is_empty())?),
                Groups => {
                    let groups: Vec<String> = reader
                        .take(8)?
                        .chunks(2)
                        .map(|b| format!("{:x}", u16::from(b[0]) << 8 | u16::from(b[1])))
                        .collect();
                    out.push_str(&groups.join(":"));
                }
                Hyphens => out.push_str(
                    &reader
                        .rest_or_none()?
                        .iter()
                        .map(|b| format!("{b:02x}"))
                        .collect::<Vec<_>>()
                        .join("-"),
                ),
                Hex | Base64 | MaybeHex | MaybeBase64 | Types | Texts | Special(_) => {}
            }
        }
    }
    Some(())
}

/// Walks the data of one record; names may point elsewhere in the message.
pub(super) struct Reader<'m> {
    message: &'m [u8],
    at: usize,
    end: usize,
    group: usize,
}

impl<'m> Reader<'m> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'m [u8]> {
        let to = self.at.checked_add(length).filter(|to| *to <= self.end)?;
        let taken = self.message.get(self.at..to)?;
        self.at = to;
        Some(taken)
    }

    pub(super) fn rest(&mut self) -> &'m [u8] {
        self.take(self.end.saturating_sub(self.at))
            .unwrap_or_default()
    }

    fn rest_or_none(&mut self) -> Option<&'m [u8]> {
        Some(self.rest()).filter(|rest| !rest.is_empty())
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.end
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)
            .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    fn string(&mut self) -> Option<&'m [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    fn v4(&mut self) -> Option<Ipv4Addr> {
        self.take(4).map(|b| Ipv4Addr::new(b[0], b[1], b[2], b[3]))
    }

    fn v6(&mut self) -> Option<V6Text> {
        self.take(16)
            .and_then(|b| b.try_into().ok())
            .map(|b: [u8; 16]| V6Text(b.into()))
    }

    fn name(&mut self) -> Option<Vec<u8>> {
        let (name, after) = name_at(self.message, self.at)?;
        self.at = after;
        (after <= self.end).then_some(name)
    }
}

/// An IPv6 address as inet_ntop writes it: `::a.b.c.d` where Rust would write two groups.
pub(super) struct V6Text(pub Ipv6Addr);

impl std::fmt::Display for V6Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.segments() {
            [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
                write!(
                    f,
                    "::{}.{}.{}.{}",
                    high >> 8,
                    high & 255,
                    low >> 8,
                    low & 255
                )
            }
            _ => write!(f, "{}", self.0),
        }
    }
}

fn push(out: &mut String, value: impl std::fmt::Display) {
    let _ = write!(out, "{value}");
}

/// A name in presentation form, with its last dot.
pub fn name_text(out: &mut String, wire: &[u8]) {
    if wire.len() <= 1 {
        out.push('.');
        return;
    }
    let mut rest = wire;
    while let Some((length, after)) = rest.split_first().filter(|(length, _)| **length > 0) {
        let (label, next) = after
            .split_at_checked(usize::from(*length))
            .unwrap_or((after, &[]));
        for byte in label {
            match *byte {
                b'"' | b'(' | b')' | b'.' | b';' | b'\\' | b'@' | b'$' => {
                    out.push('\\');
                    out.push(char::from(*byte));
                }
                0x21..=0x7e => out.push(char::from(*byte)),
                byte => decimal(out, byte),
            }
        }
        out.push('.');
        rest = next;
    }
}

/// A character string in quotes.
pub(super) fn quoted(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for byte in bytes {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(*byte));
            }
            0x20..=0x7e => out.push(char::from(*byte)),
            _ => decimal(out, *byte),
        }
    }
    out.push('"');
}

/// A byte as an escape: a backslash and three digits.
fn decimal(out: &mut String, byte: u8) {
    out.push('\\');
    out.extend([byte / 100, byte / 10 % 10, byte % 10].map(|digit| char::from(b'0' + digit)));
}

fn hex_upper(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
            push(&mut out, format_args!("{b:02X}"));
            out
        })
}

fn hex_lower(bytes: &[u8]) -> String {
    hex_upper(bytes).to_ascii_lowercase()
}

/// Groups of so many characters, each behind a blank where something stands before it. `text` is
/// ASCII.
fn grouped(out: &mut String, text: &str, group: usize) {
    let mut rest = text;
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(group.min(rest.len()));
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(head);
        rest = tail;
    }
}

/// With the alphabet of "extended hex" (RFC 4648, section 7), without padding.
fn base32(out: &mut String, bytes: &[u8]) {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";
    for chunk in bytes.chunks(5) {
        let mut block = [0; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let value = u64::from_be_bytes(block);
        for digit in 0..(chunk.len() * 8).div_ceil(5) {
            out.push(char::from(
                ALPHABET[(value >> (35 - 5 * digit)) as usize & 31],
            ));
        }
    }
}

/// `YYYYMMDDHHMMSS` of UTC.
fn date(seconds: u32) -> String {
    let at = crate::words::format_utc(i64::from(seconds) * 1000);
    at.chars().filter(char::is_ascii_digit).take(14).collect()
}

fn types(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    let mut least = 0;
    while !reader.is_at_end() {
        (out.len() <= TEXT_LIMIT).then_some(())?;
        let window = reader.u8()?;
        let bitmap = reader
            .string()
            .filter(|b| (1..=32).contains(&b.len()) && least <= u16::from(window))?;
        least = u16::from(window) + 1;
        for (at, byte) in bitmap.iter().enumerate() {
            for bit in (0..8).filter(|bit| byte & (0x80 >> bit) != 0) {
                out.push(' ');
                out.push_str(&type_word(u16::from(window) << 8 | (at * 8 + bit) as u16));
            }
        }
    }
    Some(())
}

fn services(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    push(out, format_args!("{} {}", reader.v4()?, reader.u8()?));
    for (at, byte) in reader.rest().iter().enumerate() {
        for bit in (0..8).filter(|bit| byte & (0x80 >> bit) != 0) {
            push(out, format_args!(" {}", at * 8 + bit));
        }
    }
    Some(())
}

fn nsap(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    push(out, format_args!("0x{}", hex_lower(reader.rest_or_none()?)));
    Some(())
}

fn atm(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    match reader.u8()? {
        0 => out.push_str(&hex_lower(reader.rest_or_none()?)),
        1 => push(
            out,
            format_args!(
                "+{}",
                std::str::from_utf8(reader.rest_or_none()?)
                    .ok()
                    .filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?
            ),
        ),
        _ => return None,
    }
    Some(())
}

fn key(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    let flags = reader.u16()?;
    push(
        out,
        format_args!("{flags} {} {}", reader.u8()?, reader.u8()?),
    );
    let key = reader.rest();
    let has_none = flags & 0xc000 == 0xc000;
    if has_none == key.is_empty() {
        grouped(out, &STANDARD.encode(key), reader.group);
        return Some(());
    }
    None
}

/// RFC 1876. Version 0 only.
fn location(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    let sizes = reader.take(4).filter(|b| b[0] == 0)?;
    let (latitude, longitude, altitude) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let angle = |value: u32, degrees: u32, sides: [char; 2]| {
        let (off, side) = if value >= 1 << 31 {
            (value - (1 << 31), sides[0])
        } else {
            ((1 << 31) - value, sides[1])
        };
        (off <= degrees * 3_600_000).then(|| {
            format!(
                "{} {} {}.{:03} {side}",
                off / 3_600_000,
                off / 60_000 % 60,
                off / 1000 % 60,
                off % 1000
            )
        })
    };
    let size = |byte: u8| {
        let (base, power) = (u64::from(byte >> 4), u32::from(byte & 15));
        (base < 10 && power < 10).then(|| match power {
            0 | 1 => format!("0.{:02}m", base * 10_u64.pow(power)),
            _ => format!("{}m", base * 10_u64.pow(power - 2)),
        })
    };
    let (sign, height) = if altitude < 10_000_000 {
        ("-", 10_000_000 - altitude)
    } else {
        ("", altitude - 10_000_000)
    };
    push(
        out,
        format_args!(
            "{} {} {sign}{}.{:02}m",
            angle(latitude, 90, ['N', 'S'])?,
            angle(longitude, 180, ['E', 'W'])?,
            height / 100,
            height % 100
        ),
    );
    for byte in &sizes[1..] {
        push(out, format_args!(" {}", size(*byte)?));
    }
    Some(())
}

fn certificate(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    const KINDS: [(u16, &str); 10] = [
        (1, "PKIX"),
        (2, "SPKI"),
        (3, "PGP"),
        (4, "IPKIX"),
        (5, "ISPKI"),
        (6, "IPGP"),
        (7, "ACPKIX"),
        (8, "IACPKIX"),
        (253, "URI"),
        (254, "OID"),
    ];
    const ALGORITHMS: [(u8, &str); 16] = [
        (1, "RSAMD5"),
        (2, "DH"),
        (3, "DSA"),
        (5, "RSASHA1"),
        (6, "NSEC3DSA"),
        (7, "NSEC3RSASHA1"),
        (8, "RSASHA256"),
        (10, "RSASHA512"),
        (12, "ECCGOST"),
        (13, "ECDSAP256SHA256"),
        (14, "ECDSAP384SHA384"),
        (15, "ED25519"),
        (16, "ED448"),
        (252, "INDIRECT"),
        (253, "PRIVATEDNS"),
        (254, "PRIVATEOID"),
    ];
    let (kind, tag, algorithm) = (reader.u16()?, reader.u16()?, reader.u8()?);
    match KINDS.iter().find(|(n, _)| *n == kind) {
        Some((_, word)) => out.push_str(word),
        None => push(out, kind),
    }
    push(out, format_args!(" {tag} "));
    match ALGORITHMS.iter().find(|(n, _)| *n == algorithm) {
        Some((_, word)) => out.push_str(word),
        None => push(out, algorithm),
    }
    one(Base64, reader, out)
}

fn a6(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    let prefix = reader.u8().filter(|p| *p <= 128)?;
    push(out, prefix);
    if prefix < 128 {
        let suffix = reader.take(16 - usize::from(prefix / 8))?;
        let mut address = [0; 16];
        address[16 - suffix.len()..].copy_from_slice(suffix);
        push(out, format_args!(" {}", V6Text(address.into())));
    } else {
        // Dig leaves the blank before the suffix that is not there.
        out.push(' ');
    }
    if prefix > 0 {
        one(Name, reader, out)
    } else {
        Some(())
    }
}

/// RFC 3123.
fn prefixes(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    while !reader.is_at_end() {
        let (family, prefix, length) = (reader.u16()?, reader.u8()?, reader.u8()?);
        let given = reader
            .take(usize::from(length & 0x7f))
            .filter(|g| g.last() != Some(&0))?;
        let mut address = [0; 16];
        address.get_mut(..given.len())?.copy_from_slice(given);
        if !out.is_empty() {
            out.push(' ');
        }
        let not = if length & 0x80 != 0 { "!" } else { "" };
        match family {
            1 if given.len() <= 4 && prefix <= 32 => {
                push(
                    out,
                    format_args!(
                        "{not}1:{}/{prefix}",
                        Ipv4Addr::new(address[0], address[1], address[2], address[3])
                    ),
                );
            }
            2 if prefix <= 128 => push(
                out,
                format_args!("{not}2:{}/{prefix}", V6Text(address.into())),
            ),
            _ => return None,
        }
    }
    Some(())
}

fn ipsec_key(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    let (precedence, gateway, algorithm) = (reader.u8()?, reader.u8()?, reader.u8()?);
    push(out, format_args!("{precedence} {gateway} {algorithm}"));
    self::gateway(gateway, reader, out)?;
    if reader.is_at_end() {
        Some(())
    } else {
        one(Base64, reader, out)
    }
}

fn gateway(kind: u8, reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    match kind {
        0 => out.push_str(" ."),
        1 => one(V4, reader, out)?,
        2 => one(V6, reader, out)?,
        3 => one(Name, reader, out)?,
        _ => return None,
    }
    Some(())
}

fn relay(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    let (precedence, kind) = (reader.u8()?, reader.u8()?);
    push(
        out,
        format_args!("{precedence} {} {}", kind >> 7, kind & 0x7f),
    );
    gateway(kind & 0x7f, reader, out)
}

fn host_identity(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    let (tag, algorithm, key) = (reader.u8()?, reader.u8()?, reader.u16()?);
    push(
        out,
        format_args!(
            "{algorithm} {} {}",
            hex_upper(reader.take(usize::from(tag))?),
            STANDARD.encode(reader.take(usize::from(key))?)
        ),
    );
    while !reader.is_at_end() {
        (out.len() <= TEXT_LIMIT).then_some(())?;
        one(Name, reader, out)?;
    }
    Some(())
}

fn object(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    out.push(' ');
    match reader.rest() {
        [] => out.push('-'),
        data => out.push_str(&STANDARD.encode(data)),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
