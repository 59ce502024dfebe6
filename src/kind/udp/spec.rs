//! What a udp probe sends and expects, as checked types.

use zeroize::Zeroizing;

use crate::config::document::secret::mask::Mask;
use crate::config::document::secret::{MASK, Secret};
use crate::config::plan::probe::Pattern;
use crate::words::Ms;

/// Bytes of a datagram that is sent at most. With the headers they fit into the 1280 bytes that
/// every link of IPv6 carries whole: no router has to cut them.
pub const SENT_LIMIT: usize = 1232;

#[derive(Clone, Default)]
pub struct Udp {
    /// Hides what is secret in the datagram in texts that come back.
    pub mask: Mask,
    /// What the datagram is made of, in this order. Nothing is an empty datagram.
    pub send: Vec<SentPart>,
    pub expect: UdpExpect,
}

impl std::fmt::Debug for Udp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Part of an endpoint's digest: the mask follows from what is sent.
        f.debug_struct("Udp")
            .field("send", &self.send)
            .field("expect", &self.expect)
            .finish()
    }
}

impl Udp {
    /// The datagram as it is sent.
    pub fn datagram(&self) -> Zeroizing<Vec<u8>> {
        let length = self.send.iter().map(|part| part.bytes().len()).sum();
        // Of its whole length at once: what is grown leaves a copy behind.
        let mut datagram = Zeroizing::new(Vec::with_capacity(length));
        for part in &self.send {
            datagram.extend_from_slice(part.bytes());
        }
        datagram
    }
}

#[derive(Clone)]
pub enum SentPart {
    Plain(Octets),
    Secret(Secret),
}

impl SentPart {
    pub fn bytes(&self) -> &[u8] {
        match self {
            SentPart::Plain(octets) => &octets.0,
            SentPart::Secret(secret) => secret.reveal().as_bytes(),
        }
    }
}

impl std::fmt::Debug for SentPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SentPart::Plain(octets) => octets.fmt(f),
            SentPart::Secret(_) => write!(f, "{MASK:?}"),
        }
    }
}

/// Bytes that were written as a text, in hexadecimal or in base64. How is of no importance.
#[derive(Clone, PartialEq, Eq)]
pub struct Octets(pub Vec<u8>);

impl std::fmt::Debug for Octets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Without any of these, every answer is a success.
#[derive(Debug, Clone, Default)]
pub struct UdpExpect {
    /// The answer has each of these texts.
    pub contains: Vec<String>,
    /// The answer matches each of these.
    pub matches: Vec<Pattern>,
    /// The answer is this, and nothing more.
    pub equals: Option<Octets>,
    pub within: Option<Ms>,
}

impl UdpExpect {
    pub fn takes_any(&self) -> bool {
        self.contains.is_empty() && self.matches.is_empty() && self.equals.is_none()
    }
}
