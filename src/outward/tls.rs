//! TLS client handshakes: full ones (no resumption), verified, with the chain's facts also when it is refused.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::halt::{Halt, stream_error};
use super::net::Net;
use super::stream::StampedTcp;
use super::sys::KernelClock;
use super::trace::{Stage, Trace};
use super::verifier::{Observing, Trust, WEAK};
use crate::config::plan_probe::{Tls, TlsVersion, Verify};
use crate::words::{Cause, UtcMs};

/// A spec turned into what rustls needs; made once, used by every probe of the spec.
pub struct Prepared {
    config: ClientConfig,
    trust: Arc<Trust>,
}

/// AES-128 with SHA-256 is asked for first, as browsers do: every server has it (RFC 8446, section 9.1), and where a processor hashes
/// by instruction a handshake costs a tenth less than with SHA-384.
fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites.sort_by_key(|suite| !suite.suite().as_str().is_some_and(|name| name.ends_with("AES_128_GCM_SHA256")));
        Arc::new(provider)
    })
}

/// The system's trust store, read once.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    ROOTS
        .get_or_init(|| {
            let mut roots = RootCertStore::empty();
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                tracing::warn!("no trusted certificate authorities were found on this system: https endpoints need tls.ca_file");
            }
            Arc::new(roots)
        })
        .clone()
}

/// Builds what a spec says. The error is one for the config's reader.
pub fn prepare(spec: &Tls, alpn: &[&[u8]]) -> Result<Prepared, String> {
    let versions: &[&rustls::SupportedProtocolVersion] = match spec.min_version {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let roots = match &spec.ca {
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|e| format!("ca_file: {e:?}"))?;
                roots.add(certificate).map_err(|e| format!("ca_file: {e}"))?;
            }
            Arc::new(roots)
        }
        None => system_roots(),
    };
    let verifier = match (spec.verify, roots.is_empty()) {
        (Verify::None, _) | (_, true) => None,
        (Verify::Full, false) => {
            let built = WebPkiServerVerifier::builder_with_provider(roots, provider().clone()).build();
            Some(built.map_err(|e| format!("ca_file: {e}"))?)
        }
    };
    let builder = ClientConfig::builder_with_provider(provider().clone())
        .with_protocol_versions(versions)
        .map_err(|e| e.to_string())?
        .with_root_certificates(RootCertStore::empty());
    let mut config = match &spec.client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(client.chain_pem.as_bytes()).collect();
            let chain = chain.map_err(|e| format!("client_certificate: {e:?}"))?;
            let key = PrivateKeyDer::from_pem_slice(client.key_pem.reveal().as_bytes()).map_err(|_| "client_key: no private key in PEM form")?;
            builder.with_client_auth_cert(chain, key).map_err(|e| format!("client_certificate and client_key: {e}"))?
        }
    };
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    Ok(Prepared { config, trust: Arc::new(Trust::new(verifier, provider().signature_verification_algorithms, spec.verify)) })
}

/// Shakes hands over a fresh connection, and records the chain's facts.
pub async fn handshake<'t>(
    net: &Net,
    trace: &Trace,
    spec: &Tls,
    prepared: &Prepared,
    host: &str,
    stream: StampedTcp<'t>,
) -> Result<TlsStream<StampedTcp<'t>>, Halt> {
    let name = spec.server_name.as_deref().unwrap_or_else(|| host.trim_start_matches('[').trim_end_matches(']'));
    let name = ServerName::try_from(name.to_owned()).map_err(|e| Halt::down(Cause::TlsCertName, format!("{name} cannot be a server name: {e}")))?;
    let witness = Arc::new(Observing { trust: prepared.trust.clone(), chain: OnceLock::new() });
    let mut config = prepared.config.clone();
    config.dangerous().set_certificate_verifier(witness.clone());
    let asked = Arc::new(Asked { inner: config.client_auth_cert_resolver.clone(), asked: AtomicBool::new(false) });
    config.client_auth_cert_resolver = asked.clone();
    trace.enter(Stage::Tls);
    let result = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    if let Some(chain) = witness.chain.get() {
        trace.facts.borrow_mut().certificate = net.certificates.facts(chain);
    }
    let asked = asked.asked.load(Ordering::Relaxed);
    let stream = result.map_err(|e| match stream_error(&e, Cause::TlsHandshake) {
        // The server wanted a certificate and broke off: whatever alert it chose, that is why.
        Halt::Down(Cause::TlsHandshake, detail) if asked && detail.contains("alert") => Halt::Down(Cause::TlsClientAuth, detail),
        halt => halt,
    })?;
    trace.enter(Stage::Idle);
    trace.client_certificate_asked.set(asked);
    let (_, connection) = stream.get_ref();
    let mut facts = trace.facts.borrow_mut();
    facts.tls_version = connection.protocol_version().and_then(|v| v.as_str());
    facts.tls_cipher = connection.negotiated_cipher_suite().and_then(|s| s.suite().as_str());
    Ok(stream)
}

/// Down when the chain's validity ends too soon.
pub fn expiring(trace: &Trace, spec: &Tls) -> Result<(), Halt> {
    if spec.expiring_within == 0 {
        return Ok(());
    }
    let Some(certificate) = trace.facts.borrow().certificate.clone() else { return Ok(()) };
    let now = (KernelClock::Realtime.now_ns() / 1_000_000) as UtcMs;
    let left = certificate.chain_not_after - now;
    if left < spec.expiring_within as UtcMs {
        return Err(Halt::down(Cause::TlsCertExpiring, format!("the certificate chain is valid for {} more hours only", left.div_euclid(3_600_000))));
    }
    Ok(())
}

/// Notes whether the server has asked for a client certificate.
#[derive(Debug)]
struct Asked {
    inner: Arc<dyn ResolvesClientCert>,
    asked: AtomicBool,
}

impl ResolvesClientCert for Asked {
    fn resolve(&self, root_hint_subjects: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.inner.resolve(root_hint_subjects, schemes)
    }

    fn has_certs(&self) -> bool {
        self.inner.has_certs()
    }
}

/// The cause behind an error of the TLS layer.
pub fn halt_of(error: &rustls::Error) -> Halt {
    use rustls::Error as E;
    let cause = match error {
        E::InvalidCertificate(why) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Cause::TlsCertExpired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Cause::TlsCertNotYetValid,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Cause::TlsCertName,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => Cause::TlsCertPurpose,
            CertificateError::UnknownIssuer | CertificateError::Revoked | CertificateError::BadSignature => Cause::TlsCertUntrusted,
            _ => Cause::TlsCertUntrusted,
        },
        E::General(text) if text.starts_with(WEAK) => Cause::TlsCertWeak,
        E::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::AccessDenied,
        ) => Cause::TlsClientAuth,
        _ => Cause::TlsHandshake,
    };
    Halt::down(cause, format!("tls: {error}"))
}
