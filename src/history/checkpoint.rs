//! Signed checkpoints of the chain (Ed25519, RFC 8032): whoever keeps one can prove later that
//! nothing before it was rewritten.
//!
//! `{chain, seq, head, time, key, signature}`: the signature is over the canonical JSON of the
//! object without it. The key is made at the first start (32 random bytes as hexadecimal text, for
//! its owner only), or given by the config as a secret.

use std::path::Path;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde_json::{Map, Value, json};

use super::HistoryError;
use super::chain::{canonical, hex, sha256};
use crate::net::bounded;
use crate::net::files::{Readers, put};

/// The key's file in the state directory.
pub const KEY_FILE: &str = "checkpoint.key";

/// Signs checkpoints and reports.
pub struct Signer {
    pair: Ed25519KeyPair,
    terms: TermsKey,
}

/// Commits to the terms of contracts: events that customers may read give away neither names nor
/// fees, and whoever is shown terms with their salt can tell that they were on record.
#[derive(Clone)]
pub struct TermsKey([u8; 32]);

impl TermsKey {
    /// Commits to nothing; for asking what there is to commit to.
    pub fn nobodys() -> Self {
        Self([0; 32])
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What goes before the terms: nobody without the key can try fees one after the other.
    pub fn salt(&self, terms: &str) -> String {
        hex(&sha256(&[&self.0[..], terms.as_bytes()].concat()))
    }

    pub fn commitment(&self, terms: &str) -> String {
        commitment(&self.salt(terms), terms)
    }
}

/// SHA-256 of a salt and terms, in hexadecimal.
pub fn commitment(salt: &str, terms: &str) -> String {
    hex(&sha256(&[salt.as_bytes(), terms.as_bytes()].concat()))
}

impl Signer {
    /// Of 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, String> {
        let seed = unhex(text.trim())
            .filter(|s| s.len() == 32)
            .ok_or("a checkpoint key is 64 hexadecimal digits")?;
        let pair =
            Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| "not a valid Ed25519 seed")?;
        let terms = TermsKey(sha256(&[b"probity terms", &seed[..]].concat()));
        Ok(Self { pair, terms })
    }

    /// The key of a state directory; made when there is none.
    pub fn of_directory(directory: &Path) -> Result<Self, HistoryError> {
        let path = directory.join(KEY_FILE);
        let unusable = |why: String| HistoryError::Directory {
            path: path.display().to_string(),
            why,
        };
        match key_text(&path) {
            Ok(text) => Self::from_hex(&text).map_err(unusable),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut seed = [0; 32];
                aws_lc_rs::rand::fill(&mut seed)
                    .map_err(|_| unusable("the system gives no random numbers".into()))?;
                let text = format!("{}\n", hex(&seed));
                put(&path, text.as_bytes(), Readers::Owner).map_err(|e| unusable(e.to_string()))?;
                Self::from_hex(&text).map_err(unusable)
            }
            Err(error) => Err(unusable(error.to_string())),
        }
    }

    /// The key that a state directory keeps, if it has one.
    pub fn kept(directory: &Path) -> Option<Self> {
        key_text(&directory.join(KEY_FILE))
            .ok()
            .and_then(|text| Self::from_hex(&text).ok())
    }

    pub fn terms_key(&self) -> &TermsKey {
        &self.terms
    }

    /// The public key in hexadecimal.
    pub fn key(&self) -> String {
        hex(self.pair.public_key().as_ref())
    }

    /// Adds `key` and `signature` to an object.
    pub fn signed(&self, mut object: Map<String, Value>) -> Value {
        object.remove("signature");
        object.insert("key".into(), json!(self.key()));
        let signature = self.pair.sign(canonical(&object).as_bytes());
        object.insert("signature".into(), json!(hex(signature.as_ref())));
        Value::Object(object)
    }
}

/// What a checkpoint says, as far as it can be read. Its signature is checked by
/// [`verify_signature`].
#[derive(Debug, Clone, Default)]
pub(super) struct Checkpoint {
    pub seq: Option<u64>,
    pub head: Option<String>,
    pub chain: Option<String>,
    pub time: Option<String>,
    pub key: Option<String>,
}

impl Checkpoint {
    pub fn read(value: &Value) -> Self {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        Self {
            seq: value.get("seq").and_then(Value::as_u64),
            head: text("head"),
            chain: text("chain"),
            time: text("time"),
            key: text("key"),
        }
    }
}

/// Why a signed object is not what its key's owner signed.
pub fn verify_signature(value: &Value) -> Result<(), &'static str> {
    let mut object = value.as_object().ok_or("not a JSON object")?.clone();
    let signature = object
        .remove("signature")
        .and_then(|s| s.as_str().and_then(unhex))
        .ok_or("it carries no signature")?;
    let key = object
        .get("key")
        .and_then(Value::as_str)
        .and_then(unhex)
        .ok_or("it carries no key")?;
    UnparsedPublicKey::new(&ED25519, key)
        .verify(canonical(&object).as_bytes(), &signature)
        .map_err(|_| "its signature is not of its content and key")
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

fn key_text(path: &Path) -> std::io::Result<String> {
    let text = bounded::of_this_host(path)?;
    String::from_utf8(text).map_err(|_| std::io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_the_whole_content_and_of_its_key() {
        let signer = Signer::from_hex(&"07".repeat(32)).expect("a key");
        let Value::Object(object) = json!({"chain": "c", "seq": 5, "head": "00"}) else {
            panic!()
        };
        let signed = signer.signed(object);
        assert_eq!(verify_signature(&signed), Ok(()));
        for (field, value) in [
            ("seq", json!(6)),
            ("head", json!("01")),
            ("key", json!("07".repeat(32))),
        ] {
            let mut forged = signed.clone();
            forged[field] = value;
            assert!(verify_signature(&forged).is_err(), "{field}");
        }
        let other = Signer::from_hex(&"08".repeat(32)).expect("a key");
        let committed = signer.terms_key().commitment("fee = 5");
        assert_eq!(
            committed,
            commitment(&signer.terms_key().salt("fee = 5"), "fee = 5")
        );
        assert!(
            committed != signer.terms_key().commitment("fee = 6")
                && committed != other.terms_key().commitment("fee = 5")
        );
        assert!(verify_signature(&json!({"seq": 5})).is_err());
        assert!(
            verify_signature(&json!({"ä": 5, "key": "07".repeat(32), "signature": "00"})).is_err(),
            "foreign keys are no panic"
        );
        assert!(Signer::from_hex("07").is_err());
    }

    #[test]
    fn a_directory_keeps_its_key() {
        let directory = tempfile::tempdir().expect("a directory");
        let first = Signer::of_directory(directory.path()).expect("made").key();
        assert_eq!(
            Signer::of_directory(directory.path()).expect("read").key(),
            first
        );
        std::fs::write(directory.path().join(KEY_FILE), "short").expect("written");
        assert!(Signer::of_directory(directory.path()).is_err());
    }
}
