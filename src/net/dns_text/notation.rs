//! How values are written in the data of DNS records: names, strings, addresses, dates, bytes.

use std::fmt::Write as _;
use std::net::Ipv6Addr;

/// An IPv6 address as inet_ntop writes it: `::a.b.c.d` where Rust would write two groups.
pub struct V6Text(pub Ipv6Addr);

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

pub fn push(out: &mut String, value: impl std::fmt::Display) {
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
pub fn quoted(out: &mut String, bytes: &[u8]) {
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
pub fn decimal(out: &mut String, byte: u8) {
    out.push('\\');
    out.extend([byte / 100, byte / 10 % 10, byte % 10].map(|digit| char::from(b'0' + digit)));
}

pub fn hex_upper(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
            push(&mut out, format_args!("{b:02X}"));
            out
        })
}

pub fn hex_lower(bytes: &[u8]) -> String {
    hex_upper(bytes).to_ascii_lowercase()
}

/// Groups of so many characters, each behind a blank where something stands before it. `text` is
/// ASCII.
pub fn grouped(out: &mut String, text: &str, group: usize) {
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
pub fn base32(out: &mut String, bytes: &[u8]) {
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
pub fn date(seconds: u32) -> String {
    let at = crate::words::format_utc(i64::from(seconds) * 1000);
    at.chars().filter(char::is_ascii_digit).take(14).collect()
}
