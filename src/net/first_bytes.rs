//! What a peer began with in a handshake: `stream` keeps it in the trace, and `peer` names the
//! protocol by it.

use std::cell::RefCell;

/// Bytes of a peer that are enough to know its protocol, and to show what it said.
pub const FIRST_BYTES: usize = 160;

/// What a peer began with while a TLS handshake was under way.
pub struct FirstBytes(RefCell<([u8; FIRST_BYTES], usize)>);

impl Default for FirstBytes {
    fn default() -> Self {
        Self(RefCell::new(([0; FIRST_BYTES], 0)))
    }
}

impl FirstBytes {
    pub fn add(&self, bytes: &[u8]) {
        let mut kept = self.0.borrow_mut();
        let (buffer, length) = &mut *kept;
        let room = &mut buffer[*length..];
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        *length += count;
    }

    pub fn clear(&self) {
        self.0.borrow_mut().1 = 0;
    }

    pub fn copied(&self) -> Vec<u8> {
        let kept = self.0.borrow();
        kept.0[..kept.1].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_are_kept_up_to_their_bound() {
        let first = FirstBytes::default();
        first.add(b"SSH-");
        first.add(&[b'2'; 4 * FIRST_BYTES]);
        let kept = first.copied();
        assert_eq!(
            (kept.len(), kept.starts_with(b"SSH-2")),
            (FIRST_BYTES, true)
        );
        first.clear();
        assert!(first.copied().is_empty());
    }
}
