//! The data of types that no list of fields describes: what a field means depends on one before it.

use std::net::Ipv4Addr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::field::Field::{Base64, Name, V4, V6};
use super::field::{TEXT_LIMIT, write_field};
use super::notation::{V6Text, grouped, hex_lower, hex_upper, push};
use super::reader::Reader;

pub fn services(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    push(out, format_args!("{} {}", reader.v4()?, reader.u8()?));
    for (at, byte) in reader.rest().iter().enumerate() {
        for bit in (0..8).filter(|bit| byte & (0x80 >> bit) != 0) {
            push(out, format_args!(" {}", at * 8 + bit));
        }
    }
    Some(())
}

pub fn nsap(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    push(out, format_args!("0x{}", hex_lower(reader.rest_or_none()?)));
    Some(())
}

pub fn atm(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
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

pub fn key(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
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
pub fn location(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
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

pub fn certificate(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
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
    write_field(Base64, reader, out)
}

pub fn a6(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
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
        write_field(Name, reader, out)
    } else {
        Some(())
    }
}

/// RFC 3123.
pub fn prefixes(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
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

pub fn ipsec_key(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    let (precedence, gateway, algorithm) = (reader.u8()?, reader.u8()?, reader.u8()?);
    push(out, format_args!("{precedence} {gateway} {algorithm}"));
    self::gateway(gateway, reader, out)?;
    if reader.is_at_end() {
        Some(())
    } else {
        write_field(Base64, reader, out)
    }
}

fn gateway(kind: u8, reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    match kind {
        0 => out.push_str(" ."),
        1 => write_field(V4, reader, out)?,
        2 => write_field(V6, reader, out)?,
        3 => write_field(Name, reader, out)?,
        _ => return None,
    }
    Some(())
}

pub fn relay(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    let (precedence, kind) = (reader.u8()?, reader.u8()?);
    push(
        out,
        format_args!("{precedence} {} {}", kind >> 7, kind & 0x7f),
    );
    gateway(kind & 0x7f, reader, out)
}

pub fn host_identity(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
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
        write_field(Name, reader, out)?;
    }
    Some(())
}

pub fn object(reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    out.push(' ');
    match reader.rest() {
        [] => out.push('-'),
        data => out.push_str(&STANDARD.encode(data)),
    }
    Some(())
}
