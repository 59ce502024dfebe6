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
    pub fn facts(&self, chain: &[CertificateDer<'_>]) -> Option<Arc<CertificateFacts>> {
        let mut hash = Sha256::new();
        for certificate in chain {
            hash.update(certificate.as_ref());
        }
        let key: [u8; 32] = hash.finalize().into();
        if let Some(facts) = self.seen.borrow().get(&key) {
            return Some(facts.clone());
        }
        let facts = Arc::new(parse(chain)?);
        let mut seen = self.seen.borrow_mut();
        if seen.len() >= REMEMBERED {
            seen.clear();
        }
        seen.insert(key, facts.clone());
        Some(facts)
    }
}

fn parse(chain: &[CertificateDer<'_>]) -> Option<CertificateFacts> {
    let leaf_der = chain.first()?;
    let (_, leaf) = X509Certificate::from_der(leaf_der).ok()?;
    let mut chain_not_after = leaf.validity().not_after.timestamp();
    for der in &chain[1..] {
        if let Ok((_, certificate)) = X509Certificate::from_der(der) {
            chain_not_after = chain_not_after.min(certificate.validity().not_after.timestamp());
        }
    }
    let names = leaf.subject_alternative_name().ok().flatten().map(|e| e.value.general_names.iter().take(100).map(shown_name).collect());
    let digest = Sha256::digest(leaf_der.as_ref());
    Some(CertificateFacts {
        subject: leaf.subject().to_string(),
        issuer: leaf.issuer().to_string(),
        names: names.unwrap_or_default(),
        not_before: leaf.validity().not_before.timestamp() * 1000,
        not_after: leaf.validity().not_after.timestamp() * 1000,
        chain_not_after: chain_not_after * 1000,
        chain_length: chain.len(),
        key: key_of(&leaf),
        sha256: digest.iter().map(|b| format!("{b:02x}")).collect(),
    })
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
