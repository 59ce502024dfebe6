//! The chain of events: `hash = SHA-256(previous hash || canonical JSON of the event without its
//! hash)`, the first on 32 zero bytes. Canonical means RFC 8785; our events hold only text,
//! integers, true, false and null, for which sorted keys and the shortest escapes are all there is
//! to it.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The hash before the first event.
pub const GENESIS: [u8; 32] = [0; 32];

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The hash of an event whose canonical text is `body`.
pub fn link(previous: &[u8; 32], body: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(previous);
    hash.update(body.as_bytes());
    hash.finalize().into()
}

/// Canonical text of an event. `Map` keeps its keys sorted by bytes, which for ASCII keys, as all
/// of ours are, is RFC 8785's order; others come only from texts that somebody else made, and are
/// refused by their hash or signature.
pub fn canonical(event: &Map<String, Value>) -> String {
    serde_json::to_string(event).unwrap_or_default()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn canonical_text_sorts_keys_and_escapes_as_little_as_rfc_8785() {
        let Value::Object(map) = json!({
            "seq": 3, "at": -5, "kind": "down", "b": {"z": null, "a": true},
            "text": "€\u{1}\n\"<",
        }) else {
            panic!()
        };
        assert_eq!(
            canonical(&map),
            "{\"at\":-5,\"b\":{\"a\":true,\"z\":null},\"kind\":\"down\",\"seq\":3,\
                \"text\":\"€\\u0001\\n\\\"<\"}"
        );
    }

    #[test]
    fn each_hash_covers_all_before_it() {
        let first = link(&GENESIS, "{}");
        assert_eq!(hex(&first), hex(&sha256(&[&[0; 32][..], b"{}"].concat())));
        assert_ne!(link(&first, "{}"), first);
    }
}
