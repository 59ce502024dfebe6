//! Facts of a certificate chain: names, dates, key. Parsed once for each distinct leaf and chain.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::prelude::*;
use x509_parser::public_key::PublicKey;

use crate::words::CertificateFacts;

/// Distinct chains remembered.
const REMEMBERED: usize = 20_000;
/// RSA keys below this are weak (CA/Browser Forum Baseline Requirements, 6.1.5).
const RSA_LEAST_BITS: usize = 2048;

/// Remembers the facts of chains that were seen, as parsing one costs more than a whole plain probe.
#[derive(Default)]
pub struct Certificates {
    seen: RefCell<HashMap<[u8; 32], Arc<CertificateFacts>>>,
}

impl Certificates {
    /// `path`: when the verified path begins and ends, in seconds of UTC, if the chain was verified.
    pub fn facts(&self, chain: &[CertificateDer<'_>], path: Option<(i64, i64)>) -> Option<Arc<CertificateFacts>> {
        let mut hash = Sha256::new();
        let (from, to) = path.unwrap_or((0, i64::MAX));
        hash.update([from.to_be_bytes(), to.to_be_bytes()].concat());
        for certificate in chain {
            hash.update(certificate.as_ref());
        }
        let key: [u8; 32] = hash.finalize().into();
        if let Some(facts) = self.seen.borrow().get(&key) {
            return Some(facts.clone());
        }
        let facts = Arc::new(parse(chain, path)?);
        let mut seen = self.seen.borrow_mut();
        if seen.len() >= REMEMBERED {
            seen.clear();
        }
        seen.insert(key, facts.clone());
        Some(facts)
    }
}

fn parse(chain: &[CertificateDer<'_>], path: Option<(i64, i64)>) -> Option<CertificateFacts> {
    let leaf_der = chain.first()?;
    let (_, leaf) = X509Certificate::from_der(leaf_der).ok()?;
    let (mut sent_not_before, mut sent_not_after) = (leaf.validity().not_before.timestamp(), leaf.validity().not_after.timestamp());
    for der in &chain[1..] {
        if let Ok((_, certificate)) = X509Certificate::from_der(der) {
            sent_not_before = sent_not_before.max(certificate.validity().not_before.timestamp());
            sent_not_after = sent_not_after.min(certificate.validity().not_after.timestamp());
        }
    }
    let digest = Sha256::digest(leaf_der.as_ref());
    Some(CertificateFacts {
        subject: leaf.subject().to_string(),
        issuer: leaf.issuer().to_string(),
        names: names_of(&leaf),
        not_before: leaf.validity().not_before.timestamp() * 1000,
        not_after: leaf.validity().not_after.timestamp() * 1000,
        chain_not_after: path.map(|(_, to)| to.saturating_mul(1000)),
        chain_not_before: path.map(|(from, _)| from.saturating_mul(1000)),
        sent_not_before: sent_not_before * 1000,
        sent_not_after: sent_not_after * 1000,
        chain_length: chain.len(),
        key: key_of(&leaf),
        sha256: digest.iter().map(|b| format!("{b:02x}")).collect(),
    })
}

fn names_of(certificate: &X509Certificate) -> Vec<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    names.map(|e| e.value.general_names.iter().take(100).map(shown_name).collect()).unwrap_or_default()
}

/// The names that a leaf is valid for, ten at most.
pub fn names(der: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Vec::new() };
    let mut names = names_of(&certificate);
    if names.len() > 10 {
        let more = names.len() - 10;
        names.truncate(10);
        names.push(format!("{more} more"));
    }
    names
}

/// Whom a certificate is for.
pub fn subject(der: &CertificateDer<'_>) -> String {
    X509Certificate::from_der(der).map_or_else(|_| "an unreadable certificate".into(), |(_, c)| shown_subject(c.subject()))
}

fn shown_subject(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().next().and_then(|cn| cn.as_str().ok()).filter(|cn| !cn.is_empty());
    common.map_or_else(|| name.to_string(), str::to_owned)
}

/// What a certificate says that it is for; nothing where it sets no bounds.
pub struct Purposes {
    pub server_auth: bool,
}

pub fn purposes(der: &CertificateDer<'_>) -> Option<Purposes> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let usage = certificate.extended_key_usage().ok().flatten()?;
    Some(Purposes { server_auth: usage.value.server_auth || usage.value.any })
}

/// Says which authority is missing: the issuer that neither was sent nor is trusted. `is_trusted` is asked with the DER of a name's content.
pub fn missing_issuer(chain: &[CertificateDer<'_>], is_trusted: impl Fn(&[u8]) -> bool) -> String {
    let parsed: Vec<X509Certificate> = chain.iter().filter_map(|der| X509Certificate::from_der(der).ok().map(|(_, c)| c)).collect();
    let count = match chain.len() {
        1 => "1 certificate".to_owned(),
        n => format!("{n} certificates"),
    };
    let Some(mut last) = parsed.first() else { return format!("the server sent {count}, which cannot be parsed") };
    // At most one step for each certificate that was sent.
    for _ in 1..parsed.len() {
        let next = parsed.iter().find(|c| c.subject().as_raw() == last.issuer().as_raw() && c.subject().as_raw() != last.subject().as_raw());
        let Some(next) = next else { break };
        last = next;
    }
    let issuer = shown_subject(last.issuer());
    if last.issuer().as_raw() == last.subject().as_raw() {
        return format!("the server sent {count}; the last one, {issuer}, is self-signed and not among the trusted authorities");
    }
    if is_trusted(content(last.issuer().as_raw())) {
        return format!("the server sent {count}, issued by {issuer}; the trusted authority of that name has another key and did not sign it");
    }
    format!("the server sent {count}, issued by {issuer}; no trusted authority of that name: an intermediate may be missing")
}

/// What is inside the outer SEQUENCE of a DER value, as webpki keeps names.
fn content(der: &[u8]) -> &[u8] {
    let length = match der.get(1) {
        Some(n) if *n >= 0x80 => 2 + usize::from(n & 0x7f),
        _ => 2,
    };
    der.get(length..).unwrap_or_default()
}

/// When all certificates of a chain are valid at once, in seconds of UTC, both ends included; nothing when one cannot be read.
pub fn validity(chain: &[CertificateDer<'_>]) -> Option<(i64, i64)> {
    let mut span = (i64::MIN, i64::MAX);
    for der in chain {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let own = certificate.validity();
        span = (span.0.max(own.not_before.timestamp()), span.1.min(own.not_after.timestamp()));
    }
    Some(span)
}

fn shown_name(name: &GeneralName) -> String {
    match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(v4), _) => std::net::Ipv4Addr::from(v4).to_string(),
            (_, Ok(v6)) => std::net::Ipv6Addr::from(v6).to_string(),
            _ => "invalid address".into(),
        },
        other => other.to_string(),
    }
}

fn key_of(certificate: &X509Certificate) -> String {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {}", key.key_size()),
        Ok(PublicKey::EC(point)) => format!("EC {}", point.key_size()),
        Ok(_) | Err(_) => certificate.public_key().algorithm.algorithm.to_string(),
    }
}

/// Why a leaf's key or signature is too weak to trust, if it is.
pub fn weakness(leaf: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    if let Ok(PublicKey::RSA(key)) = certificate.public_key().parsed()
        && key.key_size() < RSA_LEAST_BITS
    {
        return Some(format!("an RSA key of {} bits", key.key_size()));
    }
    let signature = certificate.signature_algorithm.algorithm.to_id_string();
    match signature.as_str() {
        "1.2.840.113549.1.1.4" => Some("a signature with MD5".into()),
        "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" => Some("a signature with SHA-1".into()),
        _ => None,
    }
}
