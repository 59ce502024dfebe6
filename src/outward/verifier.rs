//! Verifies the chain that a peer sends as a spec asks for it, and keeps the chain whatever comes of it.
//!
//! `tls` puts one into each handshake. A chain that was found good for a name is remembered: of what RFC 5280, section 6.1 looks at, only
//! the time changes, so the answer stays the same while all certificates of its path are valid. The signature over the handshake, which
//! proves that the peer holds the key, is never remembered. A leaf that is byte for byte one of the trusted certificates is trusted as it
//! is; its dates, name and purpose count as ever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest, Sha256};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use super::authorities::Roots;
use super::certificate::{self, purposes, validity, weakness};
use super::clock_trust::{Found, Side};
use crate::config::plan_probe::Verify;
use crate::words::Cause;

/// Chains remembered for one spec; a server that shows ever new ones is verified anew each time.
const REMEMBERED: usize = 16;

/// The trust of one spec: roots, and what was found good under them.
#[derive(Debug)]
pub struct Trust {
    roots: Arc<Roots>,
    algorithms: WebPkiSupportedAlgorithms,
    verify: Verify,
    /// By name and chain. A lock, because the trait of verifiers asks for one that threads could share; there is one probing thread, so
    /// it is never waited for.
    good: Mutex<HashMap<[u8; 32], Path>>,
}

/// A verified path. Instants are seconds of UTC, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// When leaf and intermediates are all valid.
    pub from: i64,
    pub to: i64,
    /// When the first of them ends, the authority's own certificate among them.
    pub ends: i64,
    /// How long the leaf is valid, in seconds.
    pub lifetime: i64,
    pub found: Found,
}

/// Why a chain was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub cause: Cause,
    pub detail: String,
    /// The verdict rests on the date: which side of it the certificate is on.
    pub side: Option<Side>,
    /// The trust store is at fault: what is wrong with it.
    pub store: Option<String>,
}

impl Refused {
    fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into(), side: None, store: None }
    }
}

impl Trust {
    pub fn new(roots: Arc<Roots>, algorithms: WebPkiSupportedAlgorithms, verify: Verify) -> Self {
        Self { roots, algorithms, verify, good: Mutex::default() }
    }

    /// `None`: nothing was to be verified.
    fn verified(&self, chain: &[CertificateDer<'_>], name: &ServerName<'_>, now: UnixTime) -> Result<Option<Path>, Refused> {
        if self.verify == Verify::None {
            return Ok(None);
        }
        let Some(leaf) = chain.first() else { return Err(Refused::new(Cause::TlsHandshake, "the server sent no certificate")) };
        let (key, seconds) = (identity(chain, name), now.as_secs() as i64);
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = good.get(&key).filter(|path| (path.from..=path.to).contains(&seconds)) {
            return Ok(Some(Path { found: Found::Remembered, ..*path }));
        }
        if let Some(why) = weakness(leaf) {
            return Err(Refused::new(Cause::TlsCertWeak, format!("weak certificate: {why}")));
        }
        let path = self.path(chain, name, now)?;
        if good.len() >= REMEMBERED {
            good.clear();
        }
        good.insert(key, path);
        Ok(Some(path))
    }

    fn path(&self, chain: &[CertificateDer<'_>], name: &ServerName<'_>, now: UnixTime) -> Result<Path, Refused> {
        let [leaf, intermediates @ ..] = chain else { return Err(Refused::new(Cause::TlsHandshake, "the server sent no certificate")) };
        let refused = |why: webpki::Error| self.refused(&why, chain, name);
        let end_entity = EndEntityCert::try_from(leaf).map_err(refused)?;
        let path = if self.roots.is_one_of_them(leaf) {
            let (from, to) = validity(std::slice::from_ref(leaf)).ok_or_else(|| refused(webpki::Error::BadDer))?;
            let seconds = now.as_secs() as i64;
            if seconds < from || seconds > to {
                return Err(out_of_date(leaf, seconds));
            }
            if purposes(leaf).is_some_and(|listed| !listed.server_auth) {
                return Err(Refused::new(Cause::TlsCertPurpose, "the certificate is not for servers (its extended key usage lacks serverAuth)"));
            }
            Path { from, to, ends: to, lifetime: to - from, found: Found::Anew }
        } else {
            let found = end_entity
                .verify_for_usage(self.algorithms.all, &self.roots.anchors, intermediates, now, KeyUsage::server_auth(), None, None)
                .map_err(refused)?;
            self.dates_of(leaf, &found).ok_or_else(|| refused(webpki::Error::BadDer))?
        };
        end_entity.verify_is_valid_for_subject_name(name).map_err(refused)?;
        Ok(path)
    }

    fn dates_of(&self, leaf: &CertificateDer<'_>, path: &VerifiedPath<'_>) -> Option<Path> {
        let own = validity(std::slice::from_ref(leaf))?;
        let mut span = own;
        for intermediate in path.intermediate_certificates() {
            let next = validity(&[intermediate.der()])?;
            span = (span.0.max(next.0), span.1.min(next.1));
        }
        let ends = self.roots.end_of(path.anchor()).map_or(span.1, |end| end.min(span.1));
        Some(Path { from: span.0, to: span.1, ends, lifetime: own.1 - own.0, found: Found::Anew })
    }

    fn refused(&self, why: &webpki::Error, chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> Refused {
        use webpki::Error as E;
        match why {
            E::CertExpired { time, .. } | E::CertNotValidYet { time, .. } => {
                let seconds = time.as_secs() as i64;
                let culprit = chain.iter().find(|der| validity(std::slice::from_ref(der)).is_some_and(|(from, to)| seconds < from || seconds > to));
                culprit.map_or_else(|| Refused::new(Cause::TlsCertExpired, why.to_string()), |der| out_of_date(der, seconds))
            }
            E::CertNotValidForName(_) => {
                let names = certificate::names(&chain[0]);
                let valid_for = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
                Refused::new(Cause::TlsCertName, format!("the certificate is not valid for {}; it is valid for {valid_for}", name.to_str()))
            }
            E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => {
                Refused::new(Cause::TlsCertPurpose, "a certificate of the chain is not for servers (its extended key usage lacks serverAuth)")
            }
            E::CaUsedAsEndEntity => Refused {
                store: self.roots.problem.clone(),
                ..Refused::new(
                    Cause::TlsCertUntrusted,
                    "the server's certificate is that of an authority (CA:TRUE) and none of the trusted ones; put it into ca_file to trust it as it is",
                )
            },
            E::UnknownIssuer => {
                let detail = certificate::missing_issuer(chain, |subject| self.roots.have_name(subject));
                Refused { store: self.roots.problem.clone(), ..Refused::new(Cause::TlsCertUntrusted, detail) }
            }
            other => {
                Refused { store: self.roots.problem.clone(), ..Refused::new(Cause::TlsCertUntrusted, format!("the certificate chain is invalid: {other}")) }
            }
        }
    }
}

/// A certificate outside of its dates.
fn out_of_date(der: &CertificateDer<'_>, seconds: i64) -> Refused {
    let (from, to) = validity(std::slice::from_ref(der)).unwrap_or((i64::MIN, i64::MAX));
    let whose = certificate::subject(der);
    let shown = |at: i64| crate::words::format_utc(at.saturating_mul(1000));
    let now = shown(seconds);
    if seconds > to {
        let detail = format!("the certificate of {whose} expired at {} (this host's clock says {now})", shown(to));
        Refused { side: Some(Side::Expired { not_after: to }), ..Refused::new(Cause::TlsCertExpired, detail) }
    } else {
        let detail = format!("the certificate of {whose} is not valid before {} (this host's clock says {now})", shown(from));
        Refused { side: Some(Side::NotYetValid { not_before: from }), ..Refused::new(Cause::TlsCertNotYetValid, detail) }
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
    /// What came of it; `None` inside where nothing was to be verified.
    pub verdict: OnceLock<Result<Option<Path>, Refused>>,
}

impl ServerCertVerifier for Observing {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = self.chain.get_or_init(|| std::iter::once(end_entity).chain(intermediates).map(|c| c.clone().into_owned()).collect());
        match self.verdict.get_or_init(|| self.trust.verified(chain, server_name, now)) {
            Ok(_) => Ok(ServerCertVerified::assertion()),
            // The alert that the peer gets; what a person reads is in the verdict.
            Err(refused) => Err(match refused.cause {
                Cause::TlsCertExpired => CertificateError::Expired.into(),
                Cause::TlsCertNotYetValid => CertificateError::NotValidYet.into(),
                Cause::TlsCertName => CertificateError::NotValidForName.into(),
                Cause::TlsCertPurpose => CertificateError::InvalidPurpose.into(),
                _ => CertificateError::UnknownIssuer.into(),
            }),
        }
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
    use std::time::Duration;

    /// The unix times of 2026-01-01 and 2026-06-01, the months in which the leaf is valid.
    const FROM: u64 = 1_767_225_600;
    const TO: u64 = 1_780_272_000;

    struct Shown {
        chain: Vec<CertificateDer<'static>>,
        roots: Arc<Roots>,
    }

    fn shown() -> Shown {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
        let mut params = CertificateParams::new(vec!["shop.example".to_owned()]).expect("names");
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(2026, 1, 1), rcgen::date_time_ymd(2026, 6, 1));
        let leaf = params.signed_by(&KeyPair::generate().expect("a key"), &issuer).expect("signed");
        Shown { chain: vec![leaf.der().clone()], roots: Arc::new(Roots::from_pem(issuer.pem().as_bytes())) }
    }

    fn trust(roots: Arc<Roots>) -> Trust {
        Trust::new(roots, rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms, Verify::Full)
    }

    fn ask(trust: &Trust, chain: &[CertificateDer<'_>], name: &str, at: u64) -> Result<Option<Path>, Refused> {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        trust.verified(chain, &name, UnixTime::since_unix_epoch(Duration::from_secs(at)))
    }

    fn cause(result: Result<Option<Path>, Refused>) -> Option<Cause> {
        result.err().map(|refused| refused.cause)
    }

    #[test]
    fn a_chain_that_was_good_is_refused_when_it_is_not_valid_at_the_time() {
        let shown = shown();
        let trust = trust(shown.roots.clone());
        for at in [FROM, TO - 1, TO, FROM + 5] {
            assert_eq!(cause(ask(&trust, &shown.chain, "shop.example", at)), None);
            assert_eq!(trust.good.lock().expect("a lock").len(), 1);
        }
        let late = ask(&trust, &shown.chain, "shop.example", TO + 1).expect_err("expired");
        assert_eq!((late.cause, late.side), (Cause::TlsCertExpired, Some(Side::Expired { not_after: TO as i64 })));
        let early = ask(&trust, &shown.chain, "shop.example", FROM - 1).expect_err("not valid yet");
        assert_eq!((early.cause, early.side), (Cause::TlsCertNotYetValid, Some(Side::NotYetValid { not_before: FROM as i64 })));
    }

    #[test]
    fn a_chain_that_was_good_for_one_name_is_refused_for_another() {
        let shown = shown();
        let trust = trust(shown.roots.clone());
        assert_eq!(cause(ask(&trust, &shown.chain, "shop.example", FROM)), None);
        let other = ask(&trust, &shown.chain, "other.example", FROM).expect_err("another name");
        assert_eq!((other.cause, other.detail.as_str()), (Cause::TlsCertName, "the certificate is not valid for other.example; it is valid for shop.example"));
    }

    #[test]
    fn another_chain_is_verified_although_one_was_good() {
        let (shown, forged) = (shown(), shown());
        let trust = trust(shown.roots.clone());
        assert_eq!(cause(ask(&trust, &shown.chain, "shop.example", FROM)), None);
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
            assert_eq!(cause(ask(&trust, &chain, "shop.example", FROM)), None);
            assert!(trust.good.lock().expect("a lock").len() <= REMEMBERED);
        }
    }
}
