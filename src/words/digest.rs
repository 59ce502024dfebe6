//! What a definition is known by: the SHA-256 of everything that decides what is probed and
//! expected.

use std::fmt;

/// Histories of earlier builds have the first eight bytes alone; they are compared with those of a
/// whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    pub const fn new(sha256: [u8; 32]) -> Self {
        Self(sha256)
    }

    /// One of which the first eight bytes are known.
    pub fn from_short(first: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&first.to_be_bytes());
        Self(bytes)
    }

    /// The first eight bytes.
    pub fn short(self) -> u64 {
        self.0
            .iter()
            .take(8)
            .fold(0, |first, byte| first << 8 | u64::from(*byte))
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The beginning of a digest, as people compare it; any other text as it is.
pub fn shortened(text: &str) -> &str {
    let is_digest = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_digest { &text[..16] } else { text }
}

/// Whether what an event says of a definition can be what is stored: a part that an earlier build
/// wrote is the beginning of the whole.
pub fn is_same_digest(told: &str, stored: &str) -> bool {
    told.len().min(stored.len()) >= 16 && (told.starts_with(stored) || stored.starts_with(told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_digest_begins_with_its_short_form() {
        let whole = Digest::new(std::array::from_fn(|n| n as u8 + 1));
        assert_eq!(whole.short(), 0x0102_0304_0506_0708);
        assert!(
            whole
                .to_string()
                .starts_with(&format!("{:016x}", whole.short()))
        );
        assert_eq!(Digest::from_short(whole.short()).short(), whole.short());
        assert_ne!(Digest::from_short(whole.short()), whole);
    }

    #[test]
    fn only_a_digest_is_shortened() {
        assert_eq!(
            shortened(&Digest::new([0xab; 32]).to_string()),
            "abababababababab"
        );
        for text in ["30s", "", &"x".repeat(64), &"a".repeat(63)] {
            assert_eq!(shortened(text), text);
        }
    }

    #[test]
    fn a_part_is_the_same_as_a_whole_that_begins_with_it_and_two_wholes_are_compared_whole() {
        let (whole, other) = (Digest::new([7; 32]).to_string(), {
            let mut bytes = [7; 32];
            bytes[31] = 8;
            Digest::new(bytes).to_string()
        });
        assert!(
            is_same_digest(&whole, &whole)
                && is_same_digest(&whole[..16], &whole)
                && is_same_digest(&whole, &whole[..16])
        );
        assert!(
            !is_same_digest(&whole, &other)
                && !is_same_digest("", &whole)
                && !is_same_digest(&whole[..8], &whole)
        );
    }
}
