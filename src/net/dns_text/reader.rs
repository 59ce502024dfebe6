//! The data of one DNS record, read from its start to its end.

use std::net::Ipv4Addr;

use super::notation::V6Text;
use crate::net::dns_message::name_at;

/// Walks the data of one record; names may point elsewhere in the message.
pub struct Reader<'m> {
    pub message: &'m [u8],
    pub at: usize,
    pub end: usize,
    pub group: usize,
}

impl<'m> Reader<'m> {
    pub fn take(&mut self, length: usize) -> Option<&'m [u8]> {
        let to = self.at.checked_add(length).filter(|to| *to <= self.end)?;
        let taken = self.message.get(self.at..to)?;
        self.at = to;
        Some(taken)
    }

    pub fn rest(&mut self) -> &'m [u8] {
        self.take(self.end.saturating_sub(self.at))
            .unwrap_or_default()
    }

    pub fn rest_or_none(&mut self) -> Option<&'m [u8]> {
        Some(self.rest()).filter(|rest| !rest.is_empty())
    }

    pub fn is_at_end(&self) -> bool {
        self.at >= self.end
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.take(4)
            .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    pub fn string(&mut self) -> Option<&'m [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    pub fn v4(&mut self) -> Option<Ipv4Addr> {
        self.take(4).map(|b| Ipv4Addr::new(b[0], b[1], b[2], b[3]))
    }

    pub fn v6(&mut self) -> Option<V6Text> {
        self.take(16)
            .and_then(|b| b.try_into().ok())
            .map(|b: [u8; 16]| V6Text(b.into()))
    }

    pub fn name(&mut self) -> Option<Vec<u8>> {
        let (name, after) = name_at(self.message, self.at)?;
        self.at = after;
        (after <= self.end).then_some(name)
    }
}
