//! Reads the table of a tls probe.

use super::spec::TlsProbe;
use crate::config::build::probe::within;
use crate::config::build::tls::{tls, tls_expect};
use crate::config::document::source::ConfigInputs;
use crate::config::document::tree::Layers;

pub fn spec(layers: &Layers, inputs: &dyn ConfigInputs) -> TlsProbe {
    let expect = layers.layers("expect");
    let tls_expect = tls_expect(&expect.layers("tls"));
    let within = within(&expect);
    expect.end();
    TlsProbe {
        tls: tls(&layers.layers("tls"), tls_expect, inputs),
        within,
    }
}
