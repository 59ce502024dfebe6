//! A certificate authority for one test, and TLS servers with the certificates it signs.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use super::serve::{read_head, tcp};

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

/// A certificate with its key, DER.
pub struct Leaf {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: Vec<u8>,
    pub pem: String,
    pub key_pem: String,
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "test authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"))
            .expect("signed");
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).expect("written");
        Self { issuer, directory }
    }

    pub fn certificate(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    pub fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    /// For localhost and 127.0.0.1, valid from 2020 to 2099, changed by `change`.
    pub fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])
                .expect("names");
        params.distinguished_name.push(DnType::CommonName, "leaf");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2099, 1, 1);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        Leaf {
            chain: vec![certificate.der().clone()],
            key: key.serialize_der(),
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        }
    }

    pub fn client_leaf(&self) -> Leaf {
        self.leaf(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth])
    }

    /// A server that asks for client certificates of this authority.
    pub fn demanding(&self, leaf: Leaf) -> TlsAcceptor {
        TlsAcceptor::from(self.demanding_over(rustls::ALL_VERSIONS, leaf))
    }

    /// The same over these versions of TLS.
    pub fn demanding_over(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        leaf: Leaf,
    ) -> Arc<rustls::ServerConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a root");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .expect("a verifier");
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("versions");
        let config = config
            .with_client_cert_verifier(verifier)
            .with_single_cert(leaf.chain, key(leaf.key))
            .expect("a certificate");
        Arc::new(config)
    }

    /// A server that asks for client certificates, and is content without one.
    pub fn asking(&self, leaf: Leaf) -> TlsAcceptor {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a root");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .allow_unauthenticated()
            .build()
            .expect("a verifier");
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions");
        let config = config
            .with_client_cert_verifier(verifier)
            .with_single_cert(leaf.chain, key(leaf.key))
            .expect("a certificate");
        TlsAcceptor::from(Arc::new(config))
    }
}

fn key(der: Vec<u8>) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der))
}

/// The certificate with a SHA-1 signature that stands in tests/fixtures.
pub fn weak_leaf() -> Leaf {
    let (pem, key_pem) = (
        include_str!("../fixtures/weak.pem"),
        include_str!("../fixtures/weak.key"),
    );
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
        .expect("PEM")
        .secret_der()
        .to_vec();
    Leaf {
        chain,
        key,
        pem: pem.into(),
        key_pem: key_pem.into(),
    }
}

/// A server's config with a provider of the test's own.
pub fn server_config(leaf: Leaf, provider: rustls::crypto::CryptoProvider) -> rustls::ServerConfig {
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    config
        .with_no_client_auth()
        .with_single_cert(leaf.chain, key(leaf.key))
        .expect("a certificate")
}

pub fn acceptor(leaf: Leaf, alpn: &[&[u8]]) -> TlsAcceptor {
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions");
    let mut config = config
        .with_no_client_auth()
        .with_single_cert(leaf.chain, key(leaf.key))
        .expect("a certificate");
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// An https server that answers 200 to everything.
pub async fn https(acceptor: TlsAcceptor) -> u16 {
    tcp(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            read_head(&mut stream).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                .await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}
