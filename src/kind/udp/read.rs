//! Reads the table of a udp probe.

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine};
use toml::de::DeValue;

use super::spec::{Octets, SENT_LIMIT, SentPart, Udp, UdpExpect};
use crate::config::build::probe::{pattern, within};
use crate::config::document::problem::{Problem, problem};
use crate::config::document::secret::mask::Mask;
use crate::config::document::secret::secret;
use crate::config::document::source::ConfigInputs;
use crate::config::document::tree::{Item, Layers};
use crate::words::people;

pub fn spec(layers: &Layers, inputs: &dyn ConfigInputs) -> Udp {
    let send = layers
        .item("send")
        .map(|item| sent(&item, inputs))
        .unwrap_or_default();
    let expect = layers.layers("expect");
    let built = UdpExpect {
        contains: expect
            .item("contains")
            .iter()
            .flat_map(Item::list)
            .filter_map(|item| contained(&item))
            .collect(),
        matches: expect
            .item("matches")
            .iter()
            .flat_map(Item::list)
            .filter_map(|item| pattern(&item))
            .collect(),
        equals: expect.item("equals").and_then(|item| octets(&item)),
        within: within(&expect),
    };
    expect.end();
    let secrets = send.iter().filter_map(|part| match part {
        SentPart::Secret(secret) => Some(secret.clone()),
        SentPart::Plain(_) => None,
    });
    Udp {
        mask: Mask::of(secrets.collect()),
        send,
        expect: built,
    }
}

/// The parts of the datagram. Those that are no secrets and follow each other are one, so that a
/// datagram is the same however it is written.
fn sent(item: &Item, inputs: &dyn ConfigInputs) -> Vec<SentPart> {
    let mut parts: Vec<SentPart> = Vec::new();
    for one in item.list() {
        if is_secret(&one) {
            parts.extend(secret(&one, inputs).map(SentPart::Secret));
            continue;
        }
        let Some(Octets(more)) = octets(&one) else {
            continue;
        };
        match parts.last_mut() {
            Some(SentPart::Plain(Octets(bytes))) => bytes.extend(more),
            _ if more.is_empty() => {}
            _ => parts.push(SentPart::Plain(Octets(more))),
        }
    }
    if parts.iter().map(|part| part.bytes().len()).sum::<usize>() > SENT_LIMIT {
        item.fault(
            problem!(
                "`{}` is longer than {SENT_LIMIT} bytes, the largest datagram of a probe",
                item.path
            ),
            "Send less: a larger datagram may be cut on its way, and is lost with any piece of it.",
        );
    }
    parts
}

fn is_secret(item: &Item) -> bool {
    match item.value {
        DeValue::Table(table) => ["file", "env", "credential"]
            .iter()
            .any(|source| table.contains_key(*source)),
        _ => false,
    }
}

/// A text, `{ hex = "..." }` or `{ base64 = "..." }`.
fn octets(item: &Item) -> Option<Octets> {
    if !matches!(item.value, DeValue::Table(_)) {
        return item.text().map(|text| Octets(text.into_bytes()));
    }
    let section = item.section()?;
    let (hex, base64) = (section.item("hex"), section.item("base64"));
    section.end();
    let written = match (hex, base64) {
        (Some(hex), None) => read(
            &hex,
            of_hex,
            "Write each byte as two hexadecimal digits (0 to 9, a to f), as in \"00 ff 0a\".",
        ),
        (None, Some(base64)) => read(
            &base64,
            of_base64,
            "Write base64 (RFC 4648) with its padding, as in \"AP8K\" or \"AP8=\".",
        ),
        (Some(_), Some(_)) | (None, None) => {
            item.fault(
                problem!("`{}` does not say its bytes in one way", item.path),
                "Write a text, { hex = \"...\" } or { base64 = \"...\" }.",
            );
            None
        }
    };
    written.map(Octets)
}

fn read(
    item: &Item,
    bytes: impl Fn(&str) -> Result<Vec<u8>, String>,
    advice: &str,
) -> Option<Vec<u8>> {
    match bytes(&item.text()?) {
        Ok(bytes) => Some(bytes),
        Err(why) => {
            let text = format!("`{}` {why}", item.path);
            item.fault(Problem::of(text, "`{}` cannot be read as bytes"), advice);
            None
        }
    }
}

/// Pairs of digits, with blanks between them or without.
fn of_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Result<Vec<u8>, String> = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| match c.to_digit(16) {
            Some(digit) => Ok(digit as u8),
            None => Err(format!("has {c:?}, which is not a hexadecimal digit")),
        })
        .collect();
    let digits = digits?;
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        let count = people::count(digits.len() as u64, "hexadecimal digit");
        return Err(format!("has {count}, and each byte needs two"));
    }
    Ok(pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn of_base64(text: &str) -> Result<Vec<u8>, String> {
    let at = |offset: usize| {
        let found = text.get(offset..).and_then(|rest| rest.chars().next());
        format!(
            "{:?} at character {}",
            found.unwrap_or_default(),
            offset + 1
        )
    };
    STANDARD.decode(text).map_err(|error| match error {
        DecodeError::InvalidByte(offset, _) => {
            format!("is not valid base64: unexpected {}", at(offset))
        }
        DecodeError::InvalidLastSymbol { offset, .. } => {
            format!(
                "is not valid base64: {} has bits left over after the last byte",
                at(offset)
            )
        }
        DecodeError::InvalidLength(_) | DecodeError::InvalidPadding
            if text.len().is_multiple_of(4) =>
        {
            "is not valid base64: its padding is wrong".to_owned()
        }
        DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => {
            let count = people::count(text.len() as u64, "character");
            format!("has {count}, and base64 with its padding is written in groups of four")
        }
    })
}

/// A text to look for: an empty one is in every answer.
fn contained(item: &Item) -> Option<String> {
    let text = item.text()?;
    if text.is_empty() {
        item.fault(
            problem!(
                "`{}` is empty, and an empty text is in every answer",
                item.path
            ),
            "Write what the answer holds, or remove the key: any answer is a success then.",
        );
        return None;
    }
    Some(text)
}
