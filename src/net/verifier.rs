//! Verifies the chain that a peer sends as a spec asks for it, and keeps the chain whatever comes
//! of it.
//!
//! `tls` puts one into each handshake. A chain that was found good for a name is remembered: of
//! what RFC 5280, section 6.1 looks at, only the time changes, so the answer stays the same while
//! all certificates of its path are valid. The signature over the handshake, which proves that the
//! peer holds the key, is never remembered. A leaf that is byte for byte one of the trusted
//! certificates is trusted as it is; its dates, name and purpose count as ever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest, Sha256};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use super::authorities::Roots;
use super::certificate::{self, PlaceInPath, purposes, validity, weakness};
use super::clock_trust::{Found, Side};
use crate::config::plan::probe::Verify;
use crate::words::Cause;

/// Chains remembered for one spec; a server that shows ever new ones is verified anew each time.
const REMEMBERED: usize = 16;

/// Certificates that a peer may send. The TLS layer copies all of them for each ticket that it is
/// sent, whatever they are.
pub const MOST_CERTIFICATES: usize = 64;

/// Intermediate certificates that a path is looked for in: webpki takes no longer path.
const INTERMEDIATES: usize = 6;
/// Those of one name among them, for one of the names. Each name with two of them doubles the
/// paths that are tried, each of which ends with signatures to verify.
const SAME_NAME: usize = 2;
/// Certificates of a message whose names are read.
const LOOKED_AT: usize = 64;
/// Other instants at which a chain is looked at that is out of date now.
const INSTANTS: usize = 2;

/// The trust of one spec: roots, and what was found good under them.
#[derive(Debug)]
pub struct Trust {
    roots: Arc<Roots>,
    algorithms: WebPkiSupportedAlgorithms,
    verify: Verify,
    /// By name and chain. A lock, because the trait of verifiers asks for one that threads could
    /// share; there is one probing thread, so it is never waited for.
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
        Self {
            cause,
            detail: detail.into(),
            side: None,
            store: None,
        }
    }
}

impl Trust {
    pub fn new(roots: Arc<Roots>, algorithms: WebPkiSupportedAlgorithms, verify: Verify) -> Self {
        Self {
            roots,
            algorithms,
            verify,
            good: Mutex::default(),
        }
    }

    /// `None`: nothing was to be verified.
    fn verified(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<Option<Path>, Refused> {
        if self.verify == Verify::None {
            return Ok(None);
        }
        let Some(leaf) = chain.first() else {
            return Err(Refused::new(
                Cause::TlsHandshake,
                "the server sent no certificate",
            ));
        };
        let (key, seconds) = (identity(chain, name), now.as_secs() as i64);
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = good
            .get(&key)
            .filter(|path| (path.from..=path.to).contains(&seconds))
        {
            return Ok(Some(Path {
                found: Found::Remembered,
                ..*path
            }));
        }
        if let Some(why) = weakness(leaf) {
            return Err(Refused::new(
                Cause::TlsCertWeak,
                format!("weak certificate: {why}"),
            ));
        }
        let path = self.path(chain, name, now)?;
        if good.len() >= REMEMBERED {
            good.clear();
        }
        good.insert(key, path);
        Ok(Some(path))
    }

    fn path(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<Path, Refused> {
        let [leaf, intermediates @ ..] = chain else {
            return Err(Refused::new(
                Cause::TlsHandshake,
                "the server sent no certificate",
            ));
        };
        let refused = |why: webpki::Error| self.refused(&why, chain, name);
        let end_entity = EndEntityCert::try_from(leaf).map_err(refused)?;
        let has_name = || {
            end_entity
                .verify_is_valid_for_subject_name(name)
                .map_err(refused)
        };
        if self.roots.is_one_of_them(leaf) {
            return trusted_as_it_is(leaf, now, refused, has_name);
        }
        let intermediates = if intermediates.len() > 1 {
            let is_trusted = |issuer: &[u8]| self.roots.have_name(issuer);
            on_the_way(leaf, intermediates, now, is_trusted)
        } else {
            intermediates.to_vec()
        };
        let verified = |at: UnixTime| {
            end_entity.verify_for_usage(
                self.algorithms.all,
                &self.roots.anchors,
                &intermediates,
                at,
                KeyUsage::server_auth(),
                None,
                None,
            )
        };
        let found = match verified(now) {
            Ok(found) => found,
            Err(why) if is_of_the_date(&why) => {
                let other = on_other_dates(leaf, &intermediates, now, |at| verified(at).map(drop));
                return Err(match other {
                    OnOtherDates::Good => has_name().err().unwrap_or_else(|| refused(why)),
                    OnOtherDates::Refused(other) => refused(other),
                    OnOtherDates::NeverInDate => Refused {
                        side: None,
                        ..refused(why)
                    },
                });
            }
            Err(why) => return Err(refused(why)),
        };
        let path = self
            .dates_of(leaf, &found)
            .ok_or_else(|| refused(webpki::Error::BadDer))?;
        has_name()?;
        Ok(path)
    }

    fn dates_of(&self, leaf: &CertificateDer<'_>, path: &VerifiedPath<'_>) -> Option<Path> {
        let own = validity(std::slice::from_ref(leaf))?;
        let mut span = own;
        for intermediate in path.intermediate_certificates() {
            let next = validity(&[intermediate.der()])?;
            span = (span.0.max(next.0), span.1.min(next.1));
        }
        let ends = self
            .roots
            .end_of(path.anchor())
            .map_or(span.1, |end| end.min(span.1));
        Some(Path {
            from: span.0,
            to: span.1,
            ends,
            lifetime: own.1 - own.0,
            found: Found::Anew,
        })
    }

    fn refused(
        &self,
        why: &webpki::Error,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) -> Refused {
        use webpki::Error as E;
        match why {
            E::CertExpired { time, .. } | E::CertNotValidYet { time, .. } => {
                let seconds = time.as_secs() as i64;
                let culprit = chain.iter().find(|der| {
                    validity(std::slice::from_ref(der))
                        .is_some_and(|(from, to)| seconds < from || seconds > to)
                });
                culprit.map_or_else(
                    || Refused::new(Cause::TlsCertExpired, why.to_string()),
                    |der| out_of_date(der, seconds),
                )
            }
            E::CertNotValidForName(_) => {
                let names = certificate::names(&chain[0]);
                let valid_for = if names.is_empty() {
                    "no name".to_owned()
                } else {
                    names.join(", ")
                };
                Refused::new(
                    Cause::TlsCertName,
                    format!(
                        "the certificate is not valid for {}; it is valid for {valid_for}",
                        name.to_str()
                    ),
                )
            }
            E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => Refused::new(
                Cause::TlsCertPurpose,
                "a certificate of the chain is not for servers (its extended key usage lacks \
                    serverAuth)",
            ),
            E::CaUsedAsEndEntity => Refused {
                store: self.roots.problem.clone(),
                ..Refused::new(
                    Cause::TlsCertUntrusted,
                    "the server's certificate is that of an authority (CA:TRUE) and none of the \
                        trusted ones; put it into ca_file to trust it as it is",
                )
            },
            E::UnknownIssuer => {
                let detail =
                    certificate::missing_issuer(chain, |subject| self.roots.have_name(subject));
                Refused {
                    store: self.roots.problem.clone(),
                    ..Refused::new(Cause::TlsCertUntrusted, detail)
                }
            }
            other => Refused {
                store: self.roots.problem.clone(),
                ..Refused::new(
                    Cause::TlsCertUntrusted,
                    format!("the certificate chain is invalid: {other}"),
                )
            },
        }
    }
}

/// A leaf that is one of the trusted certificates needs no issuer; its dates, name and purpose
/// count.
fn trusted_as_it_is(
    leaf: &CertificateDer<'_>,
    now: UnixTime,
    refused: impl Fn(webpki::Error) -> Refused,
    has_name: impl Fn() -> Result<(), Refused>,
) -> Result<Path, Refused> {
    let (from, to) =
        validity(std::slice::from_ref(leaf)).ok_or_else(|| refused(webpki::Error::BadDer))?;
    if purposes(leaf).is_some_and(|listed| !listed.server_auth) {
        return Err(Refused::new(
            Cause::TlsCertPurpose,
            "the certificate is not for servers (its extended key usage lacks serverAuth)",
        ));
    }
    has_name()?;
    let seconds = now.as_secs() as i64;
    if seconds < from || seconds > to {
        return Err(out_of_date(leaf, seconds));
    }
    Ok(Path {
        from,
        to,
        ends: to,
        lifetime: to - from,
        found: Found::Anew,
    })
}

/// The certificates that may belong to the leaf's path, by the names of their issuers. Who sends a
/// whole bundle is read, and who sends many of the same name cannot make the search for a path
/// long: it would try every order of them.
fn on_the_way<'c>(
    leaf: &CertificateDer<'_>,
    sent: &'c [CertificateDer<'_>],
    now: UnixTime,
    is_trusted: impl Fn(&[u8]) -> bool,
) -> Vec<CertificateDer<'c>> {
    let now = now.as_secs() as i64;
    let named: Vec<_> = sent
        .iter()
        .take(LOOKED_AT)
        .filter_map(|der| PlaceInPath::of(der).map(|place| (der.as_ref(), place)))
        .collect();
    let Some(of_leaf) = PlaceInPath::of(leaf) else {
        return Vec::new();
    };
    let mut wanted = vec![(of_leaf.issuer, of_leaf.key_of_issuer)];
    let mut found: Vec<&'c [u8]> = Vec::new();
    let (mut at, mut most) = (0, SAME_NAME);
    while let Some((name, key)) = wanted.get(at).copied() {
        at += 1;
        let mut issuers: Vec<_> = named.iter().filter(|(_, p)| p.subject == name).collect();
        issuers.sort_by_cached_key(|(_, place)| place.distance(key, now, &is_trusted));
        let mut of_name = 0;
        for (der, place) in issuers {
            if found.len() < INTERMEDIATES && of_name < most && !found.contains(der) {
                found.push(der);
                of_name += 1;
                if wanted.iter().all(|(name, _)| *name != place.issuer) {
                    wanted.push((place.issuer, place.key_of_issuer));
                }
            }
        }
        if of_name > 1 {
            most = 1;
        }
    }
    found.into_iter().map(CertificateDer::from).collect()
}

fn is_of_the_date(why: &webpki::Error) -> bool {
    matches!(
        why,
        webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. }
    )
}

/// What a chain that is out of date now is when all of it is in date.
enum OnOtherDates {
    Good,
    Refused(webpki::Error),
    /// There is no instant at which it is.
    NeverInDate,
}

/// A verdict rests on the date only where another date would change it: what nobody trusts is
/// refused by every clock.
fn on_other_dates(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
    verified: impl Fn(UnixTime) -> Result<(), webpki::Error>,
) -> OnOtherDates {
    let spans = || {
        std::iter::once(leaf)
            .chain(intermediates)
            .filter_map(|der| validity(std::slice::from_ref(der)))
    };
    let Some((from, to)) = spans().next() else {
        return OnOtherDates::NeverInDate;
    };
    let mut instants: Vec<i64> = spans()
        .flat_map(|(from, to)| [from, to])
        .filter(|at| (from..=to).contains(at) && *at >= 0)
        .collect();
    instants.sort_by_key(|at| at.abs_diff(now.as_secs() as i64));
    instants.dedup();
    // When all of them are in date, if they ever are: the nearest instant of those.
    let all = spans().fold((from, to), |all, of| (all.0.max(of.0), all.1.min(of.1)));
    let nearest = (all.0 <= all.1).then(|| (now.as_secs() as i64).clamp(all.0, all.1));
    instants.retain(|at| Some(*at) != nearest);
    let mut other = OnOtherDates::NeverInDate;
    for at in nearest.into_iter().chain(instants).take(INSTANTS) {
        match verified(UnixTime::since_unix_epoch(Duration::from_secs(at as u64))) {
            Ok(()) => return OnOtherDates::Good,
            Err(why) if is_of_the_date(&why) => {}
            Err(why) => other = OnOtherDates::Refused(why),
        }
    }
    other
}

/// A certificate outside of its dates.
fn out_of_date(der: &CertificateDer<'_>, seconds: i64) -> Refused {
    let (from, to) = validity(std::slice::from_ref(der)).unwrap_or((i64::MIN, i64::MAX));
    let whose = certificate::subject(der);
    let shown = |at: i64| crate::words::format_utc(at.saturating_mul(1000));
    let now = shown(seconds);
    if seconds > to {
        let detail = format!(
            "the certificate of {whose} expired at {} (this host's clock says {now})",
            shown(to)
        );
        Refused {
            side: Some(Side::Expired { not_after: to }),
            ..Refused::new(Cause::TlsCertExpired, detail)
        }
    } else {
        let detail = format!(
            "the certificate of {whose} is not valid before {} (this host's clock says {now})",
            shown(from)
        );
        Refused {
            side: Some(Side::NotYetValid { not_before: from }),
            ..Refused::new(Cause::TlsCertNotYetValid, detail)
        }
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

fn too_many(sent: usize) -> Refused {
    Refused::new(
        Cause::TlsHandshake,
        format!("the server sent {sent} certificates; at most {MOST_CERTIFICATES} are taken"),
    )
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
        let chain = self.chain.get_or_init(|| {
            std::iter::once(end_entity)
                .chain(intermediates)
                .take(MOST_CERTIFICATES)
                .map(|c| c.clone().into_owned())
                .collect()
        });
        let sent = 1 + intermediates.len();
        let judged = || match sent > MOST_CERTIFICATES {
            true => Err(too_many(sent)),
            false => self.trust.verified(chain, server_name, now),
        };
        match self.verdict.get_or_init(judged) {
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

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.trust.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
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
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"))
            .expect("signed");
        let mut params = CertificateParams::new(vec!["shop.example".to_owned()]).expect("names");
        (params.not_before, params.not_after) = (
            rcgen::date_time_ymd(2026, 1, 1),
            rcgen::date_time_ymd(2026, 6, 1),
        );
        let leaf = params
            .signed_by(&KeyPair::generate().expect("a key"), &issuer)
            .expect("signed");
        Shown {
            chain: vec![leaf.der().clone()],
            roots: Arc::new(Roots::from_pem(issuer.pem().as_bytes())),
        }
    }

    fn trust(roots: Arc<Roots>) -> Trust {
        Trust::new(
            roots,
            rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms,
            Verify::Full,
        )
    }

    fn ask(
        trust: &Trust,
        chain: &[CertificateDer<'_>],
        name: &str,
        at: u64,
    ) -> Result<Option<Path>, Refused> {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        trust.verified(
            chain,
            &name,
            UnixTime::since_unix_epoch(Duration::from_secs(at)),
        )
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
        assert_eq!(
            (late.cause, late.side),
            (
                Cause::TlsCertExpired,
                Some(Side::Expired {
                    not_after: TO as i64
                })
            )
        );
        let early = ask(&trust, &shown.chain, "shop.example", FROM - 1).expect_err("not valid yet");
        assert_eq!(
            (early.cause, early.side),
            (
                Cause::TlsCertNotYetValid,
                Some(Side::NotYetValid {
                    not_before: FROM as i64
                })
            )
        );
    }

    #[test]
    fn a_chain_that_was_good_for_one_name_is_refused_for_another() {
        let shown = shown();
        let trust = trust(shown.roots.clone());
        assert_eq!(cause(ask(&trust, &shown.chain, "shop.example", FROM)), None);
        let other = ask(&trust, &shown.chain, "other.example", FROM).expect_err("another name");
        assert_eq!(
            (other.cause, other.detail.as_str()),
            (
                Cause::TlsCertName,
                "the certificate is not valid for other.example; it is valid for shop.example"
            )
        );
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

    fn named(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(vec!["shop.example".to_owned()]).expect("names");
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params
    }

    fn authority(name: &str, years: (i32, i32)) -> CertificateParams {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) = (
            rcgen::date_time_ymd(years.0, 1, 1),
            rcgen::date_time_ymd(years.1, 1, 1),
        );
        params
    }

    fn key() -> KeyPair {
        KeyPair::generate().expect("a key")
    }

    #[test]
    fn what_no_clock_would_trust_does_not_rest_on_the_date() {
        let shown = shown();
        let trust = trust(shown.roots.clone());
        for at in [FROM - 1, TO + 1] {
            let other = ask(&trust, &shown.chain, "other.example", at).expect_err("another name");
            assert_eq!((other.cause, other.side), (Cause::TlsCertName, None));
            let stranger = self::shown();
            let untrusted =
                ask(&trust, &stranger.chain, "shop.example", at).expect_err("unknown issuer");
            assert_eq!(
                (untrusted.cause, untrusted.side),
                (Cause::TlsCertUntrusted, None)
            );
        }
        // An intermediate that ended before the leaf began: this chain was never good.
        let root =
            CertifiedIssuer::self_signed(authority("root", (2000, 2040)), key()).expect("signed");
        let old = CertifiedIssuer::signed_by(authority("old", (2010, 2015)), key(), &root)
            .expect("signed");
        let mut leaf = named("leaf");
        (leaf.not_before, leaf.not_after) = (
            rcgen::date_time_ymd(2026, 1, 1),
            rcgen::date_time_ymd(2026, 6, 1),
        );
        let leaf = leaf.signed_by(&key(), &old).expect("signed");
        let trust = self::trust(Arc::new(Roots::from_pem(root.pem().as_bytes())));
        let chain = [leaf.der().clone(), old.der().clone()];
        let never = ask(&trust, &chain, "shop.example", FROM).expect_err("never good");
        assert_eq!((never.cause, never.side), (Cause::TlsCertExpired, None));
    }

    #[test]
    fn an_expired_intermediate_rests_on_the_date() {
        let root =
            CertifiedIssuer::self_signed(authority("root", (2000, 2040)), key()).expect("signed");
        let middle = CertifiedIssuer::signed_by(authority("middle", (2020, 2026)), key(), &root)
            .expect("signed");
        let mut leaf = named("leaf");
        (leaf.not_before, leaf.not_after) = (
            rcgen::date_time_ymd(2025, 1, 1),
            rcgen::date_time_ymd(2027, 1, 1),
        );
        let leaf = leaf.signed_by(&key(), &middle).expect("signed");
        let trust = trust(Arc::new(Roots::from_pem(root.pem().as_bytes())));
        let refused = ask(
            &trust,
            &[leaf.der().clone(), middle.der().clone()],
            "shop.example",
            FROM + 5,
        )
        .expect_err("expired");
        assert_eq!(
            (refused.cause, refused.side),
            (
                Cause::TlsCertExpired,
                Some(Side::Expired {
                    not_after: FROM as i64
                })
            )
        );
    }

    #[test]
    fn a_path_is_found_among_many_certificates_and_many_of_one_name_make_no_long_search() {
        let root =
            CertifiedIssuer::self_signed(authority("root", (2000, 2040)), key()).expect("signed");
        let middle = CertifiedIssuer::signed_by(authority("middle", (2020, 2030)), key(), &root)
            .expect("signed");
        let leaf = named("leaf").signed_by(&key(), &middle).expect("signed");
        let mut params = named("leaf");
        params.use_authority_key_identifier_extension = true;
        let keyed = params.signed_by(&key(), &middle).expect("signed");
        let trust = trust(Arc::new(Roots::from_pem(root.pem().as_bytes())));
        let mut bundle = vec![leaf.der().clone()];
        bundle.extend((0..20).map(|n| {
            CertifiedIssuer::self_signed(authority(&format!("other {n}"), (2020, 2030)), key())
                .expect("signed")
                .der()
                .clone()
        }));
        bundle.push(middle.der().clone());
        assert_eq!(cause(ask(&trust, &bundle, "shop.example", FROM)), None);
        // One of many with its name: the leaf names its key.
        let of_its_name = |count: usize| -> Vec<CertificateDer<'static>> {
            let one = || CertifiedIssuer::self_signed(authority("middle", (2020, 2030)), key());
            let list = (0..count).map(|_| one().expect("signed").der().clone());
            list.collect()
        };
        let mut hidden = vec![keyed.der().clone()];
        hidden.extend(of_its_name(6));
        hidden.push(middle.der().clone());
        assert_eq!(cause(ask(&trust, &hidden, "shop.example", FROM)), None);
        // All of them say that any other issued them, and no path ends.
        let mut circle = of_its_name(20);
        circle.insert(0, leaf.der().clone());
        assert_eq!(
            on_the_way(
                &circle[0],
                &circle[1..],
                UnixTime::since_unix_epoch(Duration::from_secs(FROM)),
                |_| false
            )
            .len(),
            SAME_NAME
        );
        let refused = ask(&trust, &circle, "shop.example", FROM).expect_err("no path");
        assert!(
            refused.cause == Cause::TlsCertUntrusted && !refused.detail.contains("Calls"),
            "{refused:?}"
        );
    }

    #[test]
    fn of_an_authority_that_several_others_have_signed_the_trusted_way_is_found() {
        let key_of_all = key();
        let same_key = || KeyPair::from_pem(&key_of_all.serialize_pem()).expect("the key");
        let middle = |above: &CertifiedIssuer<'_, KeyPair>, years| {
            let mut params = authority("middle", years);
            params.use_authority_key_identifier_extension = true;
            CertifiedIssuer::signed_by(params, same_key(), above).expect("signed")
        };
        let root = |name: &str| {
            CertifiedIssuer::self_signed(authority(name, (2000, 2040)), key()).expect("signed")
        };
        let trusted_root = root("root");
        let trust = trust(Arc::new(Roots::from_pem(trusted_root.pem().as_bytes())));
        let trusted = middle(&trusted_root, (2020, 2030));
        let mut params = named("leaf");
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key(), &trusted).expect("signed");
        let strangers: Vec<_> = (0..4)
            .map(|n| middle(&root(&format!("stranger {n}")), (2020, 2030)))
            .collect();
        let expired = middle(&trusted_root, (2010, 2015));
        let mut sent = vec![leaf.der().clone()];
        sent.extend(strangers.iter().map(|middle| middle.der().clone()));
        sent.push(expired.der().clone());
        let refused = ask(&trust, &sent, "shop.example", FROM).expect_err("no way is left");
        assert_eq!(refused.cause, Cause::TlsCertUntrusted, "{refused:?}");
        sent.push(trusted.der().clone());
        assert_eq!(cause(ask(&trust, &sent, "shop.example", FROM)), None);
        // The way leads over a bridge: a root of its own that another, trusted one has signed.
        let bridged = root("bridged");
        let bridge_key = KeyPair::from_pem(&bridged.key().serialize_pem()).expect("the key");
        let bridge = CertifiedIssuer::signed_by(
            authority("bridged", (2020, 2030)),
            bridge_key,
            &trusted_root,
        )
        .expect("signed");
        let over_it = middle(&bridged, (2020, 2030));
        let mut sent = vec![leaf.der().clone()];
        sent.extend(strangers.iter().take(1).map(|middle| middle.der().clone()));
        sent.extend([&over_it, &bridged, &bridge].map(|issuer| issuer.der().clone()));
        assert_eq!(cause(ask(&trust, &sent, "shop.example", FROM)), None);
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
