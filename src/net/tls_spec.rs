//! The TLS of a spec as rustls takes it: versions, groups, ciphers, client certificate, trust.

use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::authorities::Roots;
use super::verifier::Trust;
use crate::config::plan::probe::{Tls, TlsGroup, TlsGroups, TlsVersion};

/// A spec turned into what rustls needs; made once, used by every probe of the spec.
pub struct Prepared {
    pub config: ClientConfig,
    pub trust: Arc<Trust>,
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
