//! The parameters of SVCB and HTTPS records (RFC 9460) as `dig` shows them.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::notation::{V6Text, quoted};
use super::reader::Reader;

/// The words of keys that dig 9.18 knows.
const KEYS: [&str; 7] = [
    "mandatory",
    "alpn",
    "no-default-alpn",
    "port",
    "ipv4hint",
    "ech",
    "ipv6hint",
];

pub fn parameters(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    let mut least = 0;
    while !reader.is_at_end() {
        let key = reader.u16().filter(|key| u32::from(*key) >= least)?;
        least = u32::from(key) + 1;
        let length = reader.u16()?;
        let value = reader.take(usize::from(length))?;
        let _ = write!(out, " {}", word(key));
        match key {
            0 => list(out, value, 2, |b| word(u16::from_be_bytes([b[0], b[1]])))?,
            1 => alpn(out, value)?,
            2 => value.is_empty().then_some(())?,
            3 => list(out, Some(value).filter(|v| v.len() == 2)?, 2, |b| {
                u16::from_be_bytes([b[0], b[1]]).to_string()
            })?,
            4 => list(out, value, 4, |b| {
                Ipv4Addr::new(b[0], b[1], b[2], b[3]).to_string()
            })?,
            5 => {
                let _ = write!(out, "={}", STANDARD.encode(value));
            }
            6 => list(out, value, 16, |b| {
                b.try_into()
                    .map(|b: [u8; 16]| V6Text(b.into()).to_string())
                    .unwrap_or_default()
            })?,
            _ if value.is_empty() => {}
            _ => {
                out.push('=');
                quoted(out, value);
            }
        }
    }
    Some(())
}

fn word(key: u16) -> String {
    KEYS.get(usize::from(key))
        .map_or_else(|| format!("key{key}"), |word| (*word).to_owned())
}

/// `=a,b`: pieces of one size, at least one.
fn list(out: &mut String, value: &[u8], size: usize, show: impl Fn(&[u8]) -> String) -> Option<()> {
    if value.is_empty() || !value.len().is_multiple_of(size) {
        return None;
    }
    let shown: Vec<String> = value.chunks(size).map(show).collect();
    let _ = write!(out, "={}", shown.join(","));
    Some(())
}

/// Names in one string: commas and backslashes within them are escaped for the list, and then for
/// the string.
fn alpn(out: &mut String, value: &[u8]) -> Option<()> {
    out.push_str("=\"");
    let mut rest = value;
    while let Some((length, after)) = rest.split_first() {
        let (name, next) = after
            .split_at_checked(usize::from(*length))
            .filter(|(name, _)| !name.is_empty())?;
        for byte in name {
            match byte {
                b',' => out.push_str("\\\\,"),
                b'\\' => out.push_str("\\\\\\\\"),
                b'"' => out.push_str("\\\""),
                0x21..=0x7e => out.push(char::from(*byte)),
                _ => {
                    let _ = write!(out, "\\{byte:03}");
                }
            }
        }
        if !next.is_empty() {
            out.push(',');
        }
        rest = next;
    }
    out.push('"');
    (!value.is_empty()).then_some(())
}
