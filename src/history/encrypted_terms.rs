//! The text of contracts inside an event, for whoever has the daemon's key and for no other reader
//! of the events.
//!
//! Events commit to the terms of each report and give nothing of them away. To judge a period by
//! the terms that were in force when it began, the daemon needs those terms again: the event
//! carries the text of all contracts, compressed and encrypted (AES-256-GCM). The same text is
//! always the same bytes, so that a text that did not change is not recorded again.

use std::io::{Read, Write};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::chain::{hex, sha256};
use super::checkpoint::{TermsKey, unhex};

/// Longer texts are not carried: a thousand tenants have a hundredth of it.
const LONGEST: usize = 8 << 20;
/// Hexadecimal digits of an identity.
const IDENTITY: usize = 32;

impl TermsKey {
    fn derived(&self, what: &str, text: &str) -> [u8; 32] {
        sha256(&[what.as_bytes(), &[0], &self.bytes()[..], text.as_bytes()].concat())
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &self.derived("probity terms sealed", ""))
            .ok()
            .map(LessSafeKey::new)
    }

    /// The text of contracts for an event; nothing where it is empty or too long.
    pub fn encrypt(&self, text: &str) -> Option<String> {
        if text.is_empty() || text.len() > LONGEST {
            return None;
        }
        // Of the text: no two texts have the same.
        let nonce: [u8; NONCE_LEN] = self.derived("probity terms nonce", text)[..NONCE_LEN]
            .try_into()
            .ok()?;
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes()).ok()?;
        let mut encrypted = encoder.finish().ok()?;
        self.cipher()?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                &mut encrypted,
            )
            .ok()?;
        Some(hex(&[&nonce[..], &encrypted].concat()))
    }

    /// What was encrypted with this key.
    pub fn decrypt(&self, encrypted: &str) -> Option<String> {
        let mut bytes = unhex(encrypted)?;
        if bytes.len() < NONCE_LEN {
            return None;
        }
        let nonce: [u8; NONCE_LEN] = bytes[..NONCE_LEN].try_into().ok()?;
        let packed = self
            .cipher()?
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                &mut bytes[NONCE_LEN..],
            )
            .ok()?;
        let mut text = String::new();
        DeflateDecoder::new(&*packed)
            .take(LONGEST as u64)
            .read_to_string(&mut text)
            .ok()?;
        Some(text)
    }

    /// What tells the terms of one report from those of others, whatever they say: of a contract,
    /// whole or for a tenant. It gives away neither name.
    pub fn identity(&self, sla: &str, tenant: Option<&str>) -> String {
        let text = tenant.map_or_else(|| sla.to_owned(), |tenant| format!("{sla}\n{tenant}"));
        hex(&self.derived("probity terms identity", &text))[..IDENTITY].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::checkpoint::Signer;

    #[test]
    fn the_text_of_contracts_opens_with_its_key_only() {
        let key = |byte: &str| {
            Signer::from_hex(&byte.repeat(32))
                .expect("a key")
                .terms_key()
                .clone()
        };
        let (own, other) = (key("07"), key("08"));
        let encrypted = own.encrypt("fee = 5").expect("encrypted");
        assert_eq!(own.decrypt(&encrypted).as_deref(), Some("fee = 5"));
        assert_eq!(
            own.encrypt("fee = 5").as_deref(),
            Some(&*encrypted),
            "the same text is told once"
        );
        assert_ne!(own.encrypt("fee = 6"), Some(encrypted.clone()));
        assert_eq!(other.decrypt(&encrypted), None);
        let mut altered = encrypted.clone();
        altered.replace_range(40..41, if &encrypted[40..41] == "0" { "1" } else { "0" });
        assert_eq!(
            (
                own.decrypt(&altered),
                own.decrypt("00"),
                own.decrypt("no digits")
            ),
            (None, None, None)
        );
        assert_eq!(
            (own.encrypt(""), own.encrypt(&"x".repeat(LONGEST + 1))),
            (None, None)
        );
    }

    #[test]
    fn an_identity_is_of_a_contract_and_a_tenant_and_of_a_key() {
        let key = Signer::from_hex(&"07".repeat(32))
            .expect("a key")
            .terms_key()
            .clone();
        let all = [
            key.identity("s", None),
            key.identity("t", None),
            key.identity("s", Some("t")),
            TermsKey::nobodys().identity("s", None),
        ];
        assert!(
            all.iter()
                .enumerate()
                .all(|(k, one)| one.len() == IDENTITY && !all[..k].contains(one)),
            "{all:?}"
        );
    }
}
