//! TLS client handshakes: full ones (no resumption), verified, with the chain's facts also when it
//! is refused.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{ClientConnection, NamedGroup, SignatureScheme};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::clock_trust::Side;
use super::probe_error::{ProbeError, stream_error};
use super::shared::Net;
use super::stream::StampedTcp;
use super::sys::KernelClock;
use super::tls_spec::Prepared;
use super::trace::{Stage, Trace};
use super::verifier::{Observing, Path, Refused};
use crate::config::iana_name;
use crate::config::plan::probe::{Expiring, Tls, TlsExpect, TlsGroup};
use crate::words::{Cause, CertificateFacts, Finding, Ms, Reason, UtcMs, format_utc, people};

/// Shakes hands over a fresh connection, and records the chain's facts.
pub async fn handshake<'t>(
    net: &Net,
    trace: &Trace,
    spec: &Tls,
    prepared: &Prepared,
    host: &str,
    stream: StampedTcp<'t>,
) -> Result<TlsStream<StampedTcp<'t>>, ProbeError> {
    let name = server_name(spec, host)?;
    let witness = Arc::new(Observing {
        trust: prepared.trust.clone(),
        chain: OnceLock::new(),
        verdict: OnceLock::new(),
    });
    let mut config = prepared.config.clone();
    config.dangerous().set_certificate_verifier(witness.clone());
    let requests = Arc::new(CertificateRequestWatch {
        inner: config.client_auth_cert_resolver.clone(),
        asked: AtomicBool::new(false),
    });
    config.client_auth_cert_resolver = requests.clone();
    trace.enter(Stage::Tls);
    let result = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    accept_chain(net, trace, &witness)?;
    let asked = requests.asked.load(Ordering::Relaxed);
    let stream = result.map_err(|error| {
        let err = stream_error(&error, Cause::TlsHandshake);
        if asked { broken_off(&error, err) } else { err }
    })?;
    trace.enter(Stage::Idle);
    trace.client_certificate_asked.set(asked);
    note_parameters(trace, stream.get_ref().1);
    expected(trace, &spec.expect)?;
    Ok(stream)
}

/// The name that the certificate must be valid for.
fn server_name(spec: &Tls, host: &str) -> Result<ServerName<'static>, ProbeError> {
    let name = spec
        .server_name
        .as_deref()
        .unwrap_or_else(|| host.trim_start_matches('[').trim_end_matches(']'));
    ServerName::try_from(name.to_owned()).map_err(|e| {
        ProbeError::down(
            Cause::TlsCertName,
            format!("{name} cannot be a server name: {e}"),
        )
    })
}

/// Records the facts of the chain that the peer sent, whatever came of it. A refused one ends the
/// probe; a valid one also says something about this host's clock.
fn accept_chain(net: &Net, trace: &Trace, witness: &Observing) -> Result<(), ProbeError> {
    let verdict = witness.verdict.get();
    let path: Option<Path> = verdict.and_then(|verdict| verdict.as_ref().ok().copied().flatten());
    let certificate = witness.chain.get().and_then(|chain| {
        net.certificates
            .facts(chain, path.map(|path| (path.from, path.ends)))
    });
    trace.facts.borrow_mut().certificate = certificate.clone();
    if let Some(Err(refused)) = verdict {
        return Err(refusal(net, trace, refused, certificate.as_deref()));
    }
    if let (Some(path), Some(certificate)) = (path, &certificate) {
        net.clock.valid(
            (trace.whose.get(), &certificate.sha256),
            path.lifetime,
            path.found,
        );
    }
    Ok(())
}

/// Records what both sides agreed on.
fn note_parameters(trace: &Trace, connection: &ClientConnection) {
    let mut facts = trace.facts.borrow_mut();
    facts.tls_version = connection.protocol_version().and_then(|v| v.as_str());
    facts.tls_cipher = connection
        .negotiated_cipher_suite()
        .and_then(|s| s.suite().as_str())
        .map(iana_name);
    facts.tls_group = connection
        .negotiated_key_exchange_group()
        .and_then(|group| iana_group(group.name()));
}

/// The server wanted a client certificate and broke off: whatever alert it chose, or none, that is
/// why.
fn broken_off(error: &std::io::Error, err: ProbeError) -> ProbeError {
    let is_of_tls = error.get_ref().is_some_and(|e| e.is::<rustls::Error>());
    match err {
        ProbeError::Down(Cause::TlsHandshake, detail) if detail.contains("alert") => {
            let alert = detail.split(": the server ").next().unwrap_or_default();
            ProbeError::down(
                Cause::TlsClientAuth,
                format!(
                    "{alert}: the server asked for a client certificate and ended the handshake"
                ),
            )
        }
        ProbeError::Down(Cause::TlsHandshake | Cause::ConnectReset, _) if !is_of_tls => {
            ProbeError::down(
                Cause::TlsClientAuth,
                "the server asked for a client certificate and closed the connection within the \
                handshake",
            )
        }
        err => err,
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
) -> ProbeError {
    if let Some(why) = &refused.store {
        return ProbeError::unmeasured(Reason::TrustStore, format!("{why}; {}", refused.detail));
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
        Some(why) => ProbeError::unmeasured(Reason::Clock, format!("{why}; {}", refused.detail)),
        None => ProbeError::down(refused.cause, refused.detail.clone()),
    }
}

/// Holds what the handshake came to against what the config expects of it.
fn expected(trace: &Trace, expect: &TlsExpect) -> Result<(), ProbeError> {
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
            unmet = Some(ProbeError::down(
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
pub fn expiring(net: &Net, trace: &Trace, spec: &Tls) -> Result<(), ProbeError> {
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
    trace.facts.borrow_mut().findings.push(Finding {
        expectation: format!(
            "certificate valid for {} more",
            people::duration(within as Ms)
        ),
        found: if left < 0 {
            format!("expired {} ago", people::duration(left.unsigned_abs()))
        } else {
            people::duration(left as Ms)
        },
        met: left >= within,
    });
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
        Some(why) => Err(ProbeError::unmeasured(
            Reason::Clock,
            format!("{why}; {detail}"),
        )),
        None => Err(ProbeError::down(Cause::TlsCertExpiring, detail)),
    }
}

/// Notes whether the server has asked for a client certificate.
#[derive(Debug)]
struct CertificateRequestWatch {
    inner: Arc<dyn ResolvesClientCert>,
    asked: AtomicBool,
}

impl ResolvesClientCert for CertificateRequestWatch {
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
