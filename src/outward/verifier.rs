//! Verifies the chain that a peer sends as a spec asks for it, and keeps the chain whatever comes of it.
//!
//! `tls` puts one into each handshake. A chain that was found good for a name is remembered: of what RFC 5280, section 6.1 looks at, only
//! the time changes, so the answer stays the same while all its certificates are valid. The signature over the handshake, which proves that the
//! peer holds the key, is never remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest, Sha256};

use super::certificate::{validity, weakness};
use crate::config::plan_probe::Verify;

/// What an error's text begins with when the leaf's key or signature is too weak.
pub const WEAK: &str = "weak certificate: ";
/// Chains remembered for one spec; a server that shows ever new ones is verified anew each time.
const REMEMBERED: usize = 16;

/// The trust of one spec: roots, and what was found good under them.
#[derive(Debug)]
pub struct Trust {
    /// `None`: the spec verifies nothing, or this system trusts nobody.
    verifier: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
    verify: Verify,
    /// By name and chain: from when until when that is good, in seconds of UTC, both ends included. A lock, because the trait of
    /// verifiers asks for one that threads could share; there is one probing thread, so it is never waited for.
    good: Mutex<HashMap<[u8; 32], (i64, i64)>>,
}

impl Trust {
    pub fn new(verifier: Option<Arc<WebPkiServerVerifier>>, algorithms: WebPkiSupportedAlgorithms, verify: Verify) -> Self {
        Self { verifier, algorithms, verify, good: Mutex::default() }
    }

    fn verified(&self, chain: &[CertificateDer<'_>], name: &ServerName<'_>, ocsp: &[u8], now: UnixTime) -> Result<(), rustls::Error> {
        if self.verify == Verify::None {
            return Ok(());
        }
        let Some(verifier) = &self.verifier else { return Err(CertificateError::UnknownIssuer.into()) };
        let [leaf, intermediates @ ..] = chain else { return Err(rustls::Error::NoCertificatesPresented) };
        let (key, seconds) = (identity(chain, name), now.as_secs() as i64);
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if good.get(&key).is_some_and(|(from, to)| (*from..=*to).contains(&seconds)) {
            return Ok(());
        }
        if let Some(why) = weakness(leaf) {
            return Err(rustls::Error::General(format!("{WEAK}{why}")));
        }
        verifier.verify_server_cert(leaf, intermediates, name, ocsp, now)?;
        if let Some(span) = validity(chain) {
            if good.len() >= REMEMBERED {
                good.clear();
            }
            good.insert(key, span);
        }
        Ok(())
    }
}

/// One chain, shown for one name.
fn identity(chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let name = name.to_str();
    for part in std::iter::once(name.as_bytes()).chain(chain.iter().map(AsRef::as_ref)) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Keeps the chain that the peer sent in one handshake, then verifies it.
#[derive(Debug)]
pub struct Observing {
    pub trust: Arc<Trust>,
    pub chain: OnceLock<Vec<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Observing {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = self.chain.get_or_init(|| std::iter::once(end_entity).chain(intermediates).map(|c| c.clone().into_owned()).collect());
        self.trust.verified(chain, server_name, ocsp_response, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(&self, message: &[u8], cert: &CertificateDer<'_>, dss: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.trust.algorithms)
    }

    fn verify_tls13_signature(&self, message: &[u8], cert: &CertificateDer<'_>, dss: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.trust.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::RootCertStore;
    use std::time::Duration;

    /// The unix times of 2026-01-01 and 2026-06-01, the months in which the leaf is valid.
    const FROM: u64 = 1_767_225_600;
    const TO: u64 = 1_780_272_000;

    struct Shown {
        chain: Vec<CertificateDer<'static>>,
        roots: Arc<RootCertStore>,
    }

    fn shown() -> Shown {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
        let mut params = CertificateParams::new(vec!["shop.example".to_owned()]).expect("names");
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(2026, 1, 1), rcgen::date_time_ymd(2026, 6, 1));
        let leaf = params.signed_by(&KeyPair::generate().expect("a key"), &issuer).expect("signed");
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).expect("added");
        Shown { chain: vec![leaf.der().clone()], roots: Arc::new(roots) }
    }

    fn trust(roots: Arc<RootCertStore>) -> Trust {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build().expect("roots");
        Trust::new(Some(verifier), algorithms, Verify::Full)
    }

    fn ask(trust: &Trust, chain: &[CertificateDer<'_>], name: &str, at: u64) -> Result<(), String> {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        trust.verified(chain, &name, &[], UnixTime::since_unix_epoch(Duration::from_secs(at))).map_err(|e| e.to_string())
    }

    #[test]
    fn a_chain_that_was_good_is_refused_when_it_is_not_valid_at_the_time() {
        let shown = shown();
        let trust = trust(shown.roots.clone());
        for at in [FROM, TO - 1, TO, FROM + 5] {
            assert_eq!(ask(&trust, &shown.chain, "shop.example", at), Ok(()));
            assert_eq!(trust.good.lock().expect("a lock").len(), 1);
        }
        assert!(ask(&trust, &shown.chain, "shop.example", TO + 1).is_err_and(|e| e.contains("expired")));
        assert!(ask(&trust, &shown.chain, "shop.example", FROM - 1).is_err_and(|e| e.contains("not valid yet")));
    }

    #[test]
    fn a_chain_that_was_good_for_one_name_is_refused_for_another() {
        let shown = shown();
        let trust = trust(shown.roots.clone());
        assert_eq!(ask(&trust, &shown.chain, "shop.example", FROM), Ok(()));
        assert!(ask(&trust, &shown.chain, "other.example", FROM).is_err_and(|e| e.contains("not valid for name")));
    }

    #[test]
    fn another_chain_is_verified_although_one_was_good() {
        let (shown, forged) = (shown(), shown());
        let trust = trust(shown.roots.clone());
        assert_eq!(ask(&trust, &shown.chain, "shop.example", FROM), Ok(()));
        assert!(ask(&trust, &forged.chain, "shop.example", FROM).is_err());
        let mut flipped = shown.chain[0].to_vec();
        let last = flipped.len() - 1;
        flipped[last] ^= 1;
        assert!(ask(&trust, &[flipped.into()], "shop.example", FROM).is_err());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let shown = shown();
        let trust = trust(shown.roots.clone());
        // A second certificate that no path needs makes another chain of it.
        for n in 0..3 * REMEMBERED {
            let mut chain = shown.chain.clone();
            chain.extend(std::iter::repeat_n(shown.chain[0].clone(), n));
            assert_eq!(ask(&trust, &chain, "shop.example", FROM), Ok(()));
            assert!(trust.good.lock().expect("a lock").len() <= REMEMBERED);
        }
    }
}
