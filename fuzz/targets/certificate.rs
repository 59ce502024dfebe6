//! A chain of certificates, or what a server sent in its place.

#![no_main]

use libfuzzer_sys::fuzz_target;
use probity::config::plan::probe::{Expiring, Tls};
use probity::net::certificate::{Certificates, missing_issuer, names, subject, weakness};
use probity::net::shared::Net;
use probity::net::tls::expiring;
use probity::net::trace::Trace;
use rustls::pki_types::CertificateDer;

/// The rest of the input, or what its DER head says; so that a chain is the concatenation of its
/// certificates.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let length = match bytes {
        [0x30, 0x82, a, b, ..] => 4 + usize::from(u16::from_be_bytes([*a, *b])),
        [0x30, 0x81, a, ..] => 3 + usize::from(*a),
        _ => bytes.len(),
    };
    bytes.split_at(length.min(bytes.len()))
}

fuzz_target!(|data: &[u8]| {
    let mut chain = Vec::new();
    let mut rest = data;
    while !rest.is_empty() && chain.len() < 5 {
        let (one, next) = split(rest);
        chain.push(CertificateDer::from(one));
        rest = next;
    }
    for certificate in &chain {
        let _ = weakness(certificate);
    }
    let certificates = Certificates::default();
    let Some(facts) = certificates.facts(&chain, None) else {
        return;
    };
    assert_eq!(certificates.facts(&chain, None), Some(facts.clone()));
    assert!(facts.names.len() <= 100 && facts.sha256.len() == 64);
    assert!(
        facts.chain_not_after.is_none()
            && facts.sent_not_after <= facts.not_after
            && facts.sent_not_before >= facts.not_before
    );
    let _ = missing_issuer(&chain, |_| false);
    chain
        .iter()
        .for_each(|der| drop((names(der), subject(der))));
    assert_eq!(facts.chain_length, chain.len());
    let trace = Trace::begin();
    trace.facts.borrow_mut().certificate = Some(facts);
    let _ = expiring(
        &Net::default(),
        &trace,
        &Tls {
            expiring_within: Expiring::Length(86_400_000),
            ..Tls::default()
        },
    );
});
