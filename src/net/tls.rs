//! TLS client handshakes: full ones (no resumption), verified, with the chain's facts also when it
//! is refused.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::client::ResolvesClientCert;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, NamedGroup, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::authorities::Roots;
use super::clock_trust::Side;
use super::halt::{Halt, stream_error};
use super::shared::Net;
use super::stream::StampedTcp;
use super::sys::KernelClock;
use super::trace::{Stage, Trace};
use super::verifier::{Observing, Refused, Trust};
use crate::config::iana_name;
use crate::config::plan::probe::{Expiring, Tls, TlsExpect, TlsGroup, TlsGroups, TlsVersion};
use crate::words::{Cause, CertificateFacts, Finding, Reason, UtcMs, format_utc};

/// A spec turned into what rustls needs; made once, used by every probe of the spec.
pub struct Prepared {
    config: ClientConfig,
    trust: Arc<Trust>,
}

impl Prepared {
    /// The same with other protocols in ALPN.
    pub fn offering(&self, alpn: &[&[u8]]) -> Self {
        let mut config = self.config.clone();
        config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
        Self {
            config,
            trust: self.trust.clone(),
        }
    }
}

/// AES-128 with SHA-256 is asked for first, as browsers do: every server has it (RFC 8446, section
/// 9.1), and where a processor hashes by instruction a handshake costs a tenth less than with
/// SHA-384.
fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites.sort_by_key(|suite| {
            !suite
                .suite()
                .as_str()
                .is_some_and(|name| name.ends_with("AES_128_GCM_SHA256"))
        });
        Arc::new(provider)
    })
}

fn group_of(group: TlsGroup) -> &'static dyn SupportedKxGroup {
    use aws_lc_rs::kx_group as groups;
    match group {
        TlsGroup::X25519MlKem768 => groups::X25519MLKEM768,
        TlsGroup::Secp256r1MlKem768 => groups::SECP256R1MLKEM768,
        TlsGroup::X25519 => groups::X25519,
        TlsGroup::Secp256r1 => groups::SECP256R1,
        TlsGroup::Secp384r1 => groups::SECP384R1,
    }
}

/// The provider that offers these groups; specs with the usual ones share one.
fn provider_of(groups: &TlsGroups) -> Arc<CryptoProvider> {
    static USUAL: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let made = |groups: &TlsGroups| {
        let kx_groups = groups.0.iter().map(|group| group_of(*group)).collect();
        Arc::new(CryptoProvider {
            kx_groups,
            ..CryptoProvider::clone(provider())
        })
    };
    if *groups == TlsGroups::default() {
        USUAL.get_or_init(|| made(groups)).clone()
    } else {
        made(groups)
    }
}

/// Builds what a spec says, verified against these roots. The error is one for the config's reader.
pub fn prepare(spec: &Tls, roots: Arc<Roots>, alpn: &[&[u8]]) -> Result<Prepared, String> {
    let versions: &[&rustls::SupportedProtocolVersion] = match spec.min_version {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let builder = ClientConfig::builder_with_provider(provider_of(&spec.groups))
        .with_protocol_versions(versions)
        .map_err(|e| e.to_string())?
        .with_root_certificates(RootCertStore::empty());
    let mut config = match &spec.client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let chain: Result<Vec<_>, _> =
                CertificateDer::pem_slice_iter(client.chain_pem.as_bytes()).collect();
            let chain = chain.map_err(|e| format!("client_certificate: {e:?}"))?;
            let key = PrivateKeyDer::from_pem_slice(client.key_pem.reveal().as_bytes())
                .map_err(|_| "client_key: no private key in PEM form")?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|e| format!("client_certificate and client_key: {e}"))?
        }
    };
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    Ok(Prepared {
        config,
        trust: Arc::new(Trust::new(
            roots,
            provider().signature_verification_algorithms,
            spec.verify,
        )),
    })
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
    let name = spec
        .server_name
        .as_deref()
        .unwrap_or_else(|| host.trim_start_matches('[').trim_end_matches(']'));
    let name = ServerName::try_from(name.to_owned()).map_err(|e| {
        Halt::down(
            Cause::TlsCertName,
            format!("{name} cannot be a server name: {e}"),
        )
    })?;
    let witness = Arc::new(Observing {
        trust: prepared.trust.clone(),
        chain: OnceLock::new(),
        verdict: OnceLock::new(),
    });
    let mut config = prepared.config.clone();
    config.dangerous().set_certificate_verifier(witness.clone());
    let asked = Arc::new(Asked {
        inner: config.client_auth_cert_resolver.clone(),
        asked: AtomicBool::new(false),
    });
    config.client_auth_cert_resolver = asked.clone();
    trace.enter(Stage::Tls);
    let result = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    let path = witness
        .verdict
        .get()
        .and_then(|verdict| verdict.as_ref().ok().copied())
        .flatten();
    let certificate = witness.chain.get().and_then(|chain| {
        net.certificates
            .facts(chain, path.map(|path| (path.from, path.ends)))
    });
    trace.facts.borrow_mut().certificate = certificate.clone();
    if let Some(Err(refused)) = witness.verdict.get() {
        return Err(refusal(net, trace, refused, certificate.as_deref()));
    }
    if let (Some(path), Some(certificate)) = (path, &certificate) {
        net.clock.valid(
            (trace.whose.get(), &certificate.sha256),
            path.lifetime,
            path.found,
        );
    }
    let asked = asked.asked.load(Ordering::Relaxed);
    let stream = result.map_err(|error| {
        let halt = stream_error(&error, Cause::TlsHandshake);
        if asked {
            broken_off(&error, halt)
        } else {
            halt
        }
    })?;
    trace.enter(Stage::Idle);
    trace.client_certificate_asked.set(asked);
    let (_, connection) = stream.get_ref();
    let mut facts = trace.facts.borrow_mut();
    facts.tls_version = connection.protocol_version().and_then(|v| v.as_str());
    facts.tls_cipher = connection
        .negotiated_cipher_suite()
        .and_then(|s| s.suite().as_str())
        .map(iana_name);
    facts.tls_group = connection
        .negotiated_key_exchange_group()
        .and_then(|group| iana_group(group.name()));
    drop(facts);
    expected(trace, &spec.expect)?;
    Ok(stream)
}

/// The server wanted a client certificate and broke off: whatever alert it chose, or none, that is
/// why.
fn broken_off(error: &std::io::Error, halt: Halt) -> Halt {
    let is_of_tls = error.get_ref().is_some_and(|e| e.is::<rustls::Error>());
    match halt {
        Halt::Down(Cause::TlsHandshake, detail) if detail.contains("alert") => {
            let alert = detail.split(": the server ").next().unwrap_or_default();
            Halt::down(
                Cause::TlsClientAuth,
                format!(
                    "{alert}: the server asked for a client certificate and ended the handshake"
                ),
            )
        }
        Halt::Down(Cause::TlsHandshake | Cause::ConnectReset, _) if !is_of_tls => Halt::down(
            Cause::TlsClientAuth,
            "the server asked for a client certificate and closed the connection within the \
                handshake",
        ),
        halt => halt,
    }
}

fn iana_group(name: NamedGroup) -> Option<&'static str> {
    let name = name.as_str()?;
    Some(
        TlsGroup::WORDS
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(name))
            .map_or(name, |(word, _)| word),
    )
}

/// Whose fault it is that a chain was refused: the trust store's, the clock's, or the endpoint's.
fn refusal(
    net: &Net,
    trace: &Trace,
    refused: &Refused,
    certificate: Option<&CertificateFacts>,
) -> Halt {
    if let Some(why) = &refused.store {
        return Halt::unmeasured(Reason::TrustStore, format!("{why}; {}", refused.detail));
    }
    let doubt = refused.side.and_then(|side| {
        net.clock.doubt(
            (
                trace.whose.get(),
                certificate.map_or("", |c| c.sha256.as_str()),
            ),
            side,
        )
    });
    match doubt {
        Some(why) => Halt::unmeasured(Reason::Clock, format!("{why}; {}", refused.detail)),
        None => Halt::down(refused.cause, refused.detail.clone()),
    }
}

/// Holds what the handshake came to against what the config expects of it.
fn expected(trace: &Trace, expect: &TlsExpect) -> Result<(), Halt> {
    let mut facts = trace.facts.borrow_mut();
    let version = facts
        .tls_version
        .map(|v| v.trim_start_matches("TLSv").replace('_', "."));
    let (cipher, group) = (facts.tls_cipher, facts.tls_group);
    let mut unmet = None;
    for (what, wanted, found) in [
        ("TLS version", &expect.versions, version.as_deref()),
        ("TLS cipher", &expect.ciphers, cipher),
        ("TLS group", &expect.groups, group),
    ] {
        if wanted.is_empty() {
            continue;
        }
        let (expectation, found) = (
            format!("{what} in {wanted:?}"),
            found.unwrap_or("none").to_owned(),
        );
        let met = wanted.contains(&found);
        if !met && unmet.is_none() {
            unmet = Some(Halt::down(
                Cause::TlsMismatch,
                format!("expected {expectation}, found {found}"),
            ));
        }
        facts.findings.push(Finding {
            expectation,
            found,
            met,
        });
    }
    unmet.map_or(Ok(()), Err)
}

/// Down when the verified path's validity ends too soon; of a chain that is not verified, the
/// leaf's.
pub fn expiring(net: &Net, trace: &Trace, spec: &Tls) -> Result<(), Halt> {
    if spec.expiring_within == Expiring::Length(0) {
        return Ok(());
    }
    let Some(certificate) = trace.facts.borrow().certificate.clone() else {
        return Ok(());
    };
    let within = match spec.expiring_within {
        Expiring::Length(ms) => ms as i64,
        Expiring::Share(percent) => {
            (certificate.not_after - certificate.not_before).max(0) / 100 * i64::from(percent)
        }
    };
    let now = (KernelClock::Realtime.now_ns() / 1_000_000) as UtcMs;
    let ends = certificate.chain_not_after.unwrap_or(certificate.not_after);
    let left = ends - now;
    if left >= within {
        return Ok(());
    }
    let what = if ends < certificate.not_after {
        "an authority of the certificate's path"
    } else {
        "the certificate"
    };
    let mut detail = format!(
        "{what} is valid for {} more hours only, until {}",
        left.div_euclid(3_600_000),
        format_utc(ends)
    );
    let lifetime = certificate.not_after - certificate.not_before;
    if let Some(note) = spec.expiring_within.note(lifetime) {
        let _ = write!(detail, "; {note}");
    }
    match net.clock.doubt(
        (trace.whose.get(), &certificate.sha256),
        Side::Expired {
            not_after: (ends - within) / 1000,
        },
    ) {
        Some(why) => Err(Halt::unmeasured(Reason::Clock, format!("{why}; {detail}"))),
        None => Err(Halt::down(Cause::TlsCertExpiring, detail)),
    }
}

/// Notes whether the server has asked for a client certificate.
#[derive(Debug)]
struct Asked {
    inner: Arc<dyn ResolvesClientCert>,
    asked: AtomicBool,
}

impl ResolvesClientCert for Asked {
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.inner.resolve(root_hint_subjects, schemes)
    }

    fn has_certs(&self) -> bool {
        self.inner.has_certs()
    }
}
