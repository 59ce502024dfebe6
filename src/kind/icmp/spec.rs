//! What an icmp probe sends and expects, as checked types.

use crate::words::Ms;

#[derive(Debug, Clone)]
pub struct Icmp {
    /// Bytes of payload behind the ICMP header.
    pub size: u16,
    pub within: Option<Ms>,
}
