//! What HTTP/1 and HTTP/2 share: how a response is read, and the response as it came.

use super::body_memory::{BodyMemory, Share};
use crate::config::plan::probe::{Limits, Strictness};

/// So much is kept of the body of an error.
const ERROR_TEXT: usize = 512;

/// A response as it came: header values are bytes, as servers send what they like.
#[derive(Debug, Default)]
pub struct Response {
    pub status: u16,
    pub version: &'static str,
    /// Names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// What the head has beyond the grammar, and was read all the same.
    pub odd: Vec<String>,
    /// Transfer codings that are yet to be undone, in lower case, in the order in which they were
    /// applied.
    pub transfer_codings: Vec<String>,
    /// As transferred; kept only when asked for, and its start where the status is that of an
    /// error.
    pub body: Vec<u8>,
    pub body_bytes: u64,
    /// The body goes on beyond `limits.body`, where reading stopped.
    pub is_cut: bool,
    /// Room that the body takes, of that for all.
    pub room: Share,
}

impl Response {
    /// All values of a header.
    pub fn values<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
        self.headers
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, v)| v.as_slice())
    }
}

/// Whether the body is needed after it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Body,
    CountOnly,
}

impl Keep {
    /// How much of a body is kept.
    pub fn most(self, status: u16) -> usize {
        match (self, status) {
            (Keep::Body, _) => usize::MAX,
            (Keep::CountOnly, 400..) => ERROR_TEXT,
            (Keep::CountOnly, _) => 0,
        }
    }
}

/// What is asked, and how the answer is read.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    pub method: &'a str,
    pub keep: Keep,
    pub limits: &'a Limits,
    pub reading: Strictness,
    pub memory: &'a BodyMemory,
}
