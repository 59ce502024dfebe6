//! Facts of a certificate chain: names, dates, key. Parsed once for each distinct leaf and chain.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::prelude::*;
use x509_parser::public_key::PublicKey;

use crate::words::{CertificateFacts, SentCertificate, UtcMs};

/// Distinct chains remembered, and the bytes of their texts: a server that shows ever new ones
/// costs no more.
const REMEMBERED: usize = 20_000;
const REMEMBERED_BYTES: usize = 16 << 20;
/// The length of each name of a certificate, of its subject and of its issuer, in characters.
const NAME_LENGTH: usize = 256;
/// Names of one certificate that are kept.
const NAMES: usize = 100;
/// Certificates of one chain that are read.
const READ: usize = 32;
/// Certificates beside the leaf of which subject and issuer are kept.
const SHOWN: usize = 8;
/// RSA keys below this are weak (CA/Browser Forum Baseline Requirements, 6.1.5).
const RSA_LEAST_BITS: usize = 2048;

/// Remembers the facts of chains that were seen, as parsing one costs more than a whole plain
/// probe.
#[derive(Default)]
pub struct Certificates {
    seen: RefCell<Seen>,
}

#[derive(Default)]
struct Seen {
    by_chain: HashMap<[u8; 32], Arc<CertificateFacts>>,
    bytes: usize,
}

impl Seen {
    fn remember(&mut self, key: [u8; 32], facts: Arc<CertificateFacts>) {
        let bytes = size_of_facts(&facts);
        if self.by_chain.len() >= REMEMBERED || self.bytes + bytes > REMEMBERED_BYTES {
            *self = Self::default();
        }
        self.bytes += bytes;
        self.by_chain.insert(key, facts);
    }
}

/// What facts take in memory, about.
fn size_of_facts(facts: &CertificateFacts) -> usize {
    let texts = facts.texts().chain([&facts.key, &facts.sha256]);
    size_of::<CertificateFacts>()
        + facts.sent.len() * size_of::<UtcMs>()
        + texts
            .map(|text| size_of::<String>() + text.len())
            .sum::<usize>()
}

impl Certificates {
    /// `path`: when the verified path begins and ends, in seconds of UTC, if the chain was
    /// verified.
    pub fn facts(
        &self,
        chain: &[CertificateDer<'_>],
        path: Option<(i64, i64)>,
    ) -> Option<Arc<CertificateFacts>> {
        let mut hash = Sha256::new();
        let (from, to) = path.unwrap_or((0, i64::MAX));
        hash.update([from.to_be_bytes(), to.to_be_bytes()].concat());
        for certificate in chain {
            hash.update(certificate.as_ref());
        }
        let key: [u8; 32] = hash.finalize().into();
        if let Some(facts) = self.seen.borrow().by_chain.get(&key) {
            return Some(facts.clone());
        }
        let facts = Arc::new(parse(chain, path)?);
        self.seen.borrow_mut().remember(key, facts.clone());
        Some(facts)
    }
}

fn parse(chain: &[CertificateDer<'_>], path: Option<(i64, i64)>) -> Option<CertificateFacts> {
    let leaf_der = chain.first()?;
    let (_, leaf) = X509Certificate::from_der(leaf_der).ok()?;
    let (mut sent_not_before, mut sent_not_after) = (
        leaf.validity().not_before.timestamp(),
        leaf.validity().not_after.timestamp(),
    );
    let mut sent = Vec::new();
    for der in chain[1..].iter().take(READ) {
        if let Ok((_, certificate)) = X509Certificate::from_der(der) {
            if sent.len() < SHOWN {
                sent.push(SentCertificate {
                    subject: cut(certificate.subject().to_string()),
                    issuer: cut(certificate.issuer().to_string()),
                    not_after: certificate.validity().not_after.timestamp() * 1000,
                });
            }
            sent_not_before = sent_not_before.max(certificate.validity().not_before.timestamp());
            sent_not_after = sent_not_after.min(certificate.validity().not_after.timestamp());
        }
    }
    let digest = Sha256::digest(leaf_der.as_ref());
    Some(CertificateFacts {
        subject: cut(leaf.subject().to_string()),
        issuer: cut(leaf.issuer().to_string()),
        names: names_of(&leaf),
        not_before: leaf.validity().not_before.timestamp() * 1000,
        not_after: leaf.validity().not_after.timestamp() * 1000,
        chain_not_after: path.map(|(_, to)| to.saturating_mul(1000)),
        chain_not_before: path.map(|(from, _)| from.saturating_mul(1000)),
        sent_not_before: sent_not_before * 1000,
        sent_not_after: sent_not_after * 1000,
        chain_length: chain.len(),
        sent,
        key: key_of(&leaf),
        sha256: digest.iter().map(|b| format!("{b:02x}")).collect(),
    })
}

fn names_of(certificate: &X509Certificate) -> Vec<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    names
        .map(|e| {
            e.value
                .general_names
                .iter()
                .take(NAMES)
                .map(|name| cut(shown_name(name)))
                .collect()
        })
        .unwrap_or_default()
}

fn cut(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(NAME_LENGTH) {
        text.truncate(at);
        text.push('…');
    }
    text
}

/// The names that a leaf is valid for, ten at most.
pub fn names(der: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return Vec::new();
    };
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
    X509Certificate::from_der(der).map_or_else(
        |_| "an unreadable certificate".into(),
        |(_, c)| shown_subject(c.subject()),
    )
}

/// What a certificate says of its place in a path: names as the content of their DER, as trust
/// anchors hold them, and the identifiers of keys (RFC 5280, 4.2.1.1 and 4.2.1.2).
#[derive(Debug, Clone, Copy)]
pub struct PlaceInPath<'c> {
    pub subject: &'c [u8],
    pub issuer: &'c [u8],
    pub key: Option<&'c [u8]>,
    pub key_of_issuer: Option<&'c [u8]>,
    /// Seconds of UTC.
    validity: (i64, i64),
}

impl<'c> PlaceInPath<'c> {
    pub fn of(der: &'c CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let (mut key, mut key_of_issuer) = (None, None);
        for extension in certificate.tbs_certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => key = Some(id.0),
                ParsedExtension::AuthorityKeyIdentifier(of) => {
                    key_of_issuer = of.key_identifier.as_ref().map(|id| id.0);
                }
                _ => {}
            }
        }
        Some(Self {
            subject: content(certificate.tbs_certificate.subject.as_raw()),
            issuer: content(certificate.tbs_certificate.issuer.as_raw()),
            key,
            key_of_issuer,
            validity: validity(std::slice::from_ref(der))?,
        })
    }

    /// Of those with one name, the smaller, the likelier to be of use for a certificate that names
    /// this key: one with another key has not issued it, one that is out of date ends the path,
    /// one of a trusted issuer is the last of it, and one that issued itself is of use only where
    /// it is trusted already.
    pub fn distance(
        &self,
        wanted: Option<&[u8]>,
        now: i64,
        is_trusted: impl Fn(&[u8]) -> bool,
    ) -> [bool; 4] {
        let (from, to) = self.validity;
        [
            wanted.is_some() && self.key.is_some() && wanted != self.key,
            !(from..=to).contains(&now),
            self.subject == self.issuer,
            !is_trusted(self.issuer),
        ]
    }
}

fn shown_subject(name: &X509Name<'_>) -> String {
    let common = name
        .iter_common_name()
        .next()
        .and_then(|cn| cn.as_str().ok())
        .filter(|cn| !cn.is_empty());
    cut(common.map_or_else(|| name.to_string(), str::to_owned))
}

/// What a certificate says that it is for; nothing where it sets no bounds.
pub struct Purposes {
    pub server_auth: bool,
}

pub fn purposes(der: &CertificateDer<'_>) -> Option<Purposes> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let usage = certificate.extended_key_usage().ok().flatten()?;
    Some(Purposes {
        server_auth: usage.value.server_auth || usage.value.any,
    })
}

/// Says which authority is missing: the issuer that neither was sent nor is trusted. `is_trusted`
/// is asked with the DER of a name's content.
pub fn missing_issuer(chain: &[CertificateDer<'_>], is_trusted: impl Fn(&[u8]) -> bool) -> String {
    let parsed: Vec<X509Certificate> = chain
        .iter()
        .take(READ)
        .filter_map(|der| X509Certificate::from_der(der).ok().map(|(_, c)| c))
        .collect();
    let count = match chain.len() {
        1 => "1 certificate".to_owned(),
        n => format!("{n} certificates"),
    };
    let Some(mut last) = parsed.first() else {
        return format!("the server sent {count}, which cannot be parsed");
    };
    // At most one step for each certificate that was sent.
    for _ in 1..parsed.len() {
        let next = parsed.iter().find(|c| {
            c.subject().as_raw() == last.issuer().as_raw()
                && c.subject().as_raw() != last.subject().as_raw()
        });
        let Some(next) = next else { break };
        last = next;
    }
    let issuer = shown_subject(last.issuer());
    if last.issuer().as_raw() == last.subject().as_raw() {
        return format!(
            "the server sent {count}; the last one, {issuer}, is self-signed and not among the \
                trusted authorities"
        );
    }
    if is_trusted(content(last.issuer().as_raw())) {
        return format!(
            "the server sent {count}, issued by {issuer}; the trusted authority of that name has \
                another key and did not sign it"
        );
    }
    format!(
        "the server sent {count}, issued by {issuer}; no trusted authority of that name: an \
            intermediate may be missing"
    )
}

/// What is inside the outer SEQUENCE of a DER value, as webpki keeps names.
fn content(der: &[u8]) -> &[u8] {
    let length = match der.get(1) {
        Some(n) if *n >= 0x80 => 2 + usize::from(n & 0x7f),
        _ => 2,
    };
    der.get(length..).unwrap_or_default()
}

/// When all certificates of a chain are valid at once, in seconds of UTC, both ends included;
/// nothing when one cannot be read.
pub fn validity(chain: &[CertificateDer<'_>]) -> Option<(i64, i64)> {
    let mut span = (i64::MIN, i64::MAX);
    for der in chain {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let own = certificate.validity();
        span = (
            span.0.max(own.not_before.timestamp()),
            span.1.min(own.not_after.timestamp()),
        );
    }
    Some(span)
}

fn shown_name(name: &GeneralName) -> String {
    match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => {
            match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
                (Ok(v4), _) => std::net::Ipv4Addr::from(v4).to_string(),
                (_, Ok(v6)) => std::net::Ipv6Addr::from(v6).to_string(),
                _ => "invalid address".into(),
            }
        }
        other => other.to_string(),
    }
}

fn key_of(certificate: &X509Certificate) -> String {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {}", key.key_size()),
        Ok(PublicKey::EC(point)) => format!("EC {}", point.key_size()),
        Ok(_) | Err(_) => {
            let algorithm = certificate.public_key().algorithm.algorithm.to_id_string();
            let known = KEY_ALGORITHMS.iter().find(|(oid, _)| *oid == algorithm);
            known
                .map_or("of an unknown algorithm", |(_, name)| name)
                .to_owned()
        }
    }
}

/// Other algorithms of keys (RFC 8410, 3279, 4055, 9881). An object identifier that is none of
/// them is not shown: a server may write into it what it likes, a secret of ours too.
const KEY_ALGORITHMS: [(&str, &str); 7] = [
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("1.2.840.10040.4.1", "DSA"),
    ("1.2.840.113549.1.1.10", "RSASSA-PSS"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded_in_bytes_and_names_are_cut() {
        let mut seen = Seen::default();
        for n in 0..4000_u32 {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&n.to_be_bytes());
            let facts = CertificateFacts {
                names: vec!["n".repeat(NAME_LENGTH); NAMES],
                ..CertificateFacts::default()
            };
            seen.remember(key, Arc::new(facts));
            let kept: usize = seen
                .by_chain
                .values()
                .map(|facts| size_of_facts(facts))
                .sum();
            assert!(kept == seen.bytes && kept <= REMEMBERED_BYTES);
        }
        assert!(seen.by_chain.len() > 100);
        let name = "a".repeat(4000);
        let one = rcgen::generate_simple_self_signed(vec![format!("{name}.example"); 2 * NAMES])
            .expect("a certificate");
        let facts = Certificates::default()
            .facts(&[one.cert.der().clone()], None)
            .expect("facts");
        assert_eq!(
            (facts.names.len(), facts.names[0].chars().count()),
            (NAMES, NAME_LENGTH + 1)
        );
        assert!(facts.sent.is_empty());
    }

    #[test]
    fn what_is_sent_after_the_leaf_is_kept_in_its_order_and_not_all_of_it() {
        let of = |name: &str| {
            let one = rcgen::generate_simple_self_signed(vec![name.to_owned()]);
            one.expect("a certificate").cert.der().clone()
        };
        let mut chain = vec![of("leaf.example")];
        chain.extend((0..SHOWN + 2).map(|n| of(&format!("ca{n}.example"))));
        let facts = Certificates::default().facts(&chain, None).expect("facts");
        assert_eq!((facts.chain_length, facts.sent.len()), (SHOWN + 3, SHOWN));
        let first = &facts.sent[0];
        assert!(first.not_after > facts.not_before && first.issuer == first.subject);
        assert_eq!(facts.texts().count(), 1 + 2 + 2 * SHOWN);
    }
}
