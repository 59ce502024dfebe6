//! What a dns probe asks and expects, as checked types.

use crate::config::plan::probe::{Pattern, Recursion, Transport};
use crate::words::Ms;

#[derive(Debug, Clone)]
pub struct Dns {
    /// As it was written; an address where PTR is asked for.
    pub query: String,
    /// The name that is asked for, as it is sent.
    pub name: Vec<u8>,
    pub record: u16,
    pub transport: Transport,
    pub recursion: Recursion,
    pub expect: DnsExpect,
}

#[derive(Debug, Clone, Default)]
pub struct DnsExpect {
    /// Upper case, such as `NOERROR`; empty stands for `NOERROR`.
    pub rcodes: Vec<String>,
    /// Some record of the asked type must match each of these.
    pub any: Vec<Pattern>,
    /// Every record of the asked type must match each of these.
    pub all: Vec<Pattern>,
    /// No record of the asked type may match any of these.
    pub none: Vec<Pattern>,
    /// The names that the aliases lead to, in one text, must match each of these.
    pub chain: Vec<Pattern>,
    /// Records of the asked type. Not given: one, where the rcode is NOERROR; 0 accepts an answer
    /// without any.
    pub at_least: Option<u64>,
    pub authoritative: Option<bool>,
    pub within: Option<Ms>,
}
