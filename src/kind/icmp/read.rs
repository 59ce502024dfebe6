//! Reads the table of an icmp probe.

use super::spec::Icmp;
use crate::config::build::probe::expect_within;
use crate::config::document::tree::Layers;

pub fn spec(layers: &Layers) -> Icmp {
    Icmp {
        size: layers
            .item("size")
            .and_then(|i| i.integer(8, 1400))
            .unwrap_or(56) as u16,
        within: expect_within(layers),
    }
}
