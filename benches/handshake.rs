//! What a TLS handshake costs the prober with the groups of the key exchange that it offers by
//! default, and with X25519 alone. Over memory, with a chain of two P-256 certificates that is
//! verified. `cargo bench --bench handshake` prints the median CPU time of the client's side of
//! one handshake, one JSON object for what the client offers and what the server chooses.

use std::io::Write;
use std::sync::Arc;

use probity::net::sys::KernelClock;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

const HANDSHAKES: u64 = 2000;
const BOTH: [&dyn SupportedKxGroup; 2] = [kx_group::X25519MLKEM768, kx_group::X25519];
const X25519_ALONE: [&dyn SupportedKxGroup; 1] = [kx_group::X25519];

fn cpu_ns() -> u64 {
    KernelClock::ThreadCpu.now_ns()
}

fn provider(kx_groups: &[&'static dyn SupportedKxGroup]) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: kx_groups.to_vec(),
        ..default_provider()
    })
}

/// One server with both groups, one with X25519 alone, and whom to trust for both.
fn servers() -> ([Arc<ServerConfig>; 2], RootCertStore) {
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
    let server = |kx_groups: &[&'static dyn SupportedKxGroup]| {
        let key = PrivateKeyDer::Pkcs8(own.serialize_der().into());
        let config = ServerConfig::builder_with_provider(provider(kx_groups))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .expect("a certificate");
        Arc::new(config)
    };
    ([server(&BOTH), server(&X25519_ALONE)], roots)
}

/// One handshake; the CPU time of the client's side, and the group that was chosen.
fn handshake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> (u64, String) {
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
    spent += cpu_ns() - began;
    let group = client.negotiated_key_exchange_group().expect("a group");
    (spent, format!("{:?}", group.name()))
}

fn main() {
    let (servers, roots) = servers();
    let client = |kx_groups: &[&'static dyn SupportedKxGroup]| {
        let mut client = ClientConfig::builder_with_provider(provider(kx_groups))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        client.resumption = rustls::client::Resumption::disabled();
        Arc::new(client)
    };
    let (both, alone) = (client(&BOTH), client(&X25519_ALONE));
    let cases = [
        ("X25519MLKEM768, x25519", &both, &servers[0]),
        ("X25519MLKEM768, x25519", &both, &servers[1]),
        ("x25519", &alone, &servers[1]),
    ];
    // In turns, so that a change of the clock rate meets all.
    let mut spent = [const { Vec::new() }; 3];
    let mut chosen = [const { String::new() }; 3];
    for _ in 0..HANDSHAKES {
        for (k, (_, client, server)) in cases.iter().enumerate() {
            let (ns, group) = handshake(client, server);
            spent[k].push(ns);
            chosen[k] = group;
        }
    }
    for (k, (offered, ..)) in cases.iter().enumerate() {
        spent[k].sort_unstable();
        let _ = writeln!(
            std::io::stdout(),
            "{{\"bench\": \"handshake\", \"offered\": \"{offered}\", \"chosen\": \"{}\", \
                \"handshakes\": {HANDSHAKES}, \"client_cpu_us\": {}}}",
            chosen[k],
            spent[k][spent[k].len() / 2] / 1000
        );
    }
}
