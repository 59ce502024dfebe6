//! What a TLS handshake costs the prober with the groups of the key exchange that it offers by
//! default, and with X25519 alone. Over memory, with a chain of two P-256 certificates that is
//! verified. `cargo bench --bench handshake` prints the CPU time of the client's side of one
//! handshake, one JSON object for each choice of groups.

use std::io::Write;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

const HANDSHAKES: u64 = 2000;

/// CPU time of this thread, in nanoseconds.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let first = text.split(' ').next().expect("three numbers");
    first.parse().expect("a number")
}

fn configs() -> (ServerConfig, RootCertStore) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = || KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key()).expect("signed");
    let own = key();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()])
        .expect("a name")
        .signed_by(&own, &authority)
        .expect("signed");
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).expect("a root");
    let server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::Pkcs8(own.serialize_der().into()),
        )
        .expect("a certificate");
    (server, roots)
}

/// One handshake; the CPU time of the client's side.
fn handshake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> u64 {
    let name = ServerName::try_from("localhost").expect("a name");
    let mut server = ServerConnection::new(server.clone()).expect("a server");
    let mut spent = 0;
    let mut began = cpu_ns();
    let mut client = ClientConnection::new(client.clone(), name).expect("a client");
    while client.is_handshaking() || server.is_handshaking() {
        let mut sent = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut sent).expect("memory");
        }
        spent += cpu_ns() - began;
        let mut rest = sent.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).expect("memory");
            server.process_new_packets().expect("a hello");
        }
        let mut answer = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut answer).expect("memory");
        }
        let mut rest = answer.as_slice();
        began = cpu_ns();
        while !rest.is_empty() {
            client.read_tls(&mut rest).expect("memory");
            client.process_new_packets().expect("an answer");
        }
    }
    spent + (cpu_ns() - began)
}

fn main() {
    let (server, roots) = configs();
    let server = Arc::new(server);
    let choices: [(&str, Vec<&'static dyn SupportedKxGroup>); 2] = [
        (
            "X25519MLKEM768, x25519",
            vec![kx_group::X25519MLKEM768, kx_group::X25519],
        ),
        ("x25519", vec![kx_group::X25519]),
    ];
    let clients = choices.map(|(groups, kx_groups)| {
        let provider = CryptoProvider {
            kx_groups,
            ..default_provider()
        };
        let mut client = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        client.resumption = rustls::client::Resumption::disabled();
        (groups, Arc::new(client))
    });
    // In turns, so that a change of the clock rate meets both.
    let mut spent = [0; 2];
    for _ in 0..HANDSHAKES {
        for ((_, client), spent) in clients.iter().zip(&mut spent) {
            *spent += handshake(client, &server);
        }
    }
    for ((groups, _), spent) in clients.iter().zip(spent) {
        let us = spent / HANDSHAKES / 1000;
        let _ = writeln!(
            std::io::stdout(),
            "{{\"bench\": \"handshake\", \"groups\": \"{groups}\", \"handshakes\": {HANDSHAKES}, \
                \"client_cpu_us\": {us}}}"
        );
    }
}
