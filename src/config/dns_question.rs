//! The words of DNS that a config uses: record types, names in presentation form, and the question
//! that they make.
//!
//! Read once when a config is loaded, so that a probe sends bytes that are ready. Names follow RFC
//! 1035, section 5.1: `\DDD` is decimal. Never the answer's side: `net::dns_message` reads,
//! `net::dns_text` writes.

use std::net::IpAddr;

/// Record types by number (IANA, as dig names them).
const TYPES: &[(u16, &str)] = &[
    (1, "A"),
    (2, "NS"),
    (3, "MD"),
    (4, "MF"),
    (5, "CNAME"),
    (6, "SOA"),
    (7, "MB"),
    (8, "MG"),
    (9, "MR"),
    (10, "NULL"),
    (11, "WKS"),
    (12, "PTR"),
    (13, "HINFO"),
    (14, "MINFO"),
    (15, "MX"),
    (16, "TXT"),
    (17, "RP"),
    (18, "AFSDB"),
    (19, "X25"),
    (20, "ISDN"),
    (21, "RT"),
    (22, "NSAP"),
    (23, "NSAP-PTR"),
    (24, "SIG"),
    (25, "KEY"),
    (26, "PX"),
    (27, "GPOS"),
    (28, "AAAA"),
    (29, "LOC"),
    (30, "NXT"),
    (31, "EID"),
    (32, "NIMLOC"),
    (33, "SRV"),
    (34, "ATMA"),
    (35, "NAPTR"),
    (36, "KX"),
    (37, "CERT"),
    (38, "A6"),
    (39, "DNAME"),
    (40, "SINK"),
    (41, "OPT"),
    (42, "APL"),
    (43, "DS"),
    (44, "SSHFP"),
    (45, "IPSECKEY"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (49, "DHCID"),
    (50, "NSEC3"),
    (51, "NSEC3PARAM"),
    (52, "TLSA"),
    (53, "SMIMEA"),
    (55, "HIP"),
    (56, "NINFO"),
    (57, "RKEY"),
    (58, "TALINK"),
    (59, "CDS"),
    (60, "CDNSKEY"),
    (61, "OPENPGPKEY"),
    (62, "CSYNC"),
    (63, "ZONEMD"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (67, "HHIT"),
    (68, "BRID"),
    (99, "SPF"),
    (100, "UINFO"),
    (101, "UID"),
    (102, "GID"),
    (103, "UNSPEC"),
    (104, "NID"),
    (105, "L32"),
    (106, "L64"),
    (107, "LP"),
    (108, "EUI48"),
    (109, "EUI64"),
    (249, "TKEY"),
    (250, "TSIG"),
    (255, "ANY"),
    (256, "URI"),
    (257, "CAA"),
    (258, "AVC"),
    (259, "DOA"),
    (260, "AMTRELAY"),
    (261, "RESINFO"),
    (262, "WALLET"),
    (32768, "TA"),
    (32769, "DLV"),
];

pub const A: u16 = 1;
pub const CNAME: u16 = 5;
pub const PTR: u16 = 12;
pub const DNAME: u16 = 39;
pub const ANY: u16 = 255;
/// Types that ask for a transfer, or that stand in no answer section as data.
const NOT_ASKED: [u16; 5] = [41, 249, 250, 251, 252];

/// The number of a record type: its word, or `TYPEnnn` (RFC 3597).
pub fn type_number(text: &str) -> Option<u16> {
    let known = TYPES
        .iter()
        .find(|(_, word)| *word == text)
        .map(|(number, _)| *number);
    let number = known.or_else(|| {
        text.strip_prefix("TYPE")
            .filter(|n| n.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|n| n.parse().ok())
    });
    number.filter(|number| *number != 0 && !NOT_ASKED.contains(number))
}

/// The word of a record type, or `TYPEnnn`.
pub fn type_word(number: u16) -> std::borrow::Cow<'static, str> {
    match TYPES.binary_search_by_key(&number, |(n, _)| *n) {
        Ok(at) => TYPES[at].1.into(),
        Err(_) => format!("TYPE{number}").into(),
    }
}

/// A name in presentation form as it is sent. Relative names are taken as absolute.
pub fn name_to_wire(text: &str) -> Result<Vec<u8>, &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if text == "." {
        return Ok(vec![0]);
    }
    let mut wire = vec![0];
    let mut label_at = 0;
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'.' => {
                if wire.len() == label_at + 1 {
                    return Err("it has an empty label: two dots in a row, or one at its start");
                }
                wire[label_at] = (wire.len() - label_at - 1) as u8;
                label_at = wire.len();
                wire.push(0);
                continue;
            }
            b'\\' => escaped(&mut bytes)?,
            byte if byte.is_ascii() => byte,
            _ => {
                return Err(
                    "it has a character outside ASCII: write it in punycode, as in \
                        xn--bcher-kva.example",
                );
            }
        };
        if wire.len() - label_at > 63 {
            return Err("it has a label longer than 63 bytes");
        }
        wire.push(byte);
    }
    // Without a dot at its end, the last label is still open.
    if wire.len() > label_at + 1 {
        wire[label_at] = (wire.len() - label_at - 1) as u8;
        wire.push(0);
    }
    if wire.len() > 255 {
        Err("it is longer than 255 bytes")
    } else {
        Ok(wire)
    }
}

fn escaped(bytes: &mut std::iter::Peekable<std::str::Bytes<'_>>) -> Result<u8, &'static str> {
    const WRONG: &str = "it has a backslash without one character or three decimal digits from \
        000 to 255 behind it";
    let first = bytes.next().ok_or(WRONG)?;
    if !first.is_ascii_digit() {
        return if first.is_ascii() {
            Ok(first)
        } else {
            Err(WRONG)
        };
    }
    let mut value = u32::from(first - b'0');
    for _ in 0..2 {
        let digit = bytes.next().filter(u8::is_ascii_digit).ok_or(WRONG)?;
        value = value * 10 + u32::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| WRONG)
}

/// The name under which an address has its PTR record (RFC 1035, section 3.5; RFC 3596, section
/// 2.5).
pub fn reversed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let nibbles: String = v6
                .octets()
                .iter()
                .rev()
                .map(|b| format!("{:x}.{:x}.", b & 15, b >> 4))
                .collect();
            format!("{nibbles}ip6.arpa")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_by_word_and_by_number() {
        assert!(TYPES.is_sorted_by_key(|(n, _)| *n));
        for (number, word) in TYPES {
            assert_eq!(type_word(*number), *word);
            assert_eq!(
                type_number(word),
                Some(*number).filter(|n| !NOT_ASKED.contains(n)),
                "{word}"
            );
        }
        assert_eq!(
            (
                type_number("TYPE65280"),
                type_number("TYPE1"),
                &*type_word(65280)
            ),
            (Some(65280), Some(1), "TYPE65280")
        );
        for text in [
            "",
            "a",
            "AXFR",
            "TYPE",
            "TYPE0",
            "TYPE65536",
            "TYPE+1",
            "TYPE-1",
            "A ",
            "TSIG",
            "OPT",
            "TYPE250",
            "TYPE252",
        ] {
            assert_eq!(type_number(text), None, "{text}");
        }
    }

    #[test]
    fn escapes_in_names_are_decimal() {
        assert_eq!(
            name_to_wire("Web\\032Server._ipp.a\\.b").as_deref(),
            Ok(&b"\x0aWeb Server\x04_ipp\x03a.b\0"[..])
        );
        assert_eq!(
            name_to_wire("\\255\\000\\\\.").as_deref(),
            Ok(&b"\x03\xff\0\\\0"[..])
        );
        assert_eq!(name_to_wire(".").as_deref(), Ok(&b"\0"[..]));
        assert_eq!(name_to_wire("shop.example"), name_to_wire("shop.example."));
    }

    #[test]
    fn what_is_no_name_is_refused_with_its_reason() {
        let long = ["a".repeat(60).as_str(); 5].join(".");
        for text in [
            "",
            "..",
            ".a",
            "a..b",
            "a\\",
            "a\\1",
            "a\\25",
            "a\\256",
            "a\\2x5",
            "bücher",
            &"a".repeat(64),
            &long,
        ] {
            assert!(name_to_wire(text).is_err(), "{text}");
        }
        assert!(name_to_wire(&"a".repeat(63)).is_ok());
    }

    #[test]
    fn an_address_has_its_name_in_the_reverse_tree() {
        assert_eq!(reversed([192, 0, 2, 1].into()), "1.2.0.192.in-addr.arpa");
        let v6: IpAddr = "2001:db8::567:89ab".parse().expect("an address");
        assert_eq!(
            reversed(v6),
            "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
        );
    }
}
