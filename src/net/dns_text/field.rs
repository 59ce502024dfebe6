//! The fields that the data of DNS records is made of, and how each is written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::notation::{base32, date, grouped, hex_upper, name_text, push, quoted};
use super::reader::Reader;
use crate::config::dns_question::type_word;

/// Where names and bitmaps of one record are longer, the record is written as that of an unknown
/// type. Text is never longer.
pub const TEXT_LIMIT: usize = 256 << 10;

/// What stands in the data of a type, one after the other.
#[derive(Clone, Copy)]
pub enum Field {
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

/// Writes the next field of a record. Nothing: the data is not of this form.
pub fn write_field(field: Field, reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
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
                write_field(Text, reader, out)?;
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
