//! The tls table of a probe: files are read and understood now, so that what is wrong with them is
//! a fault of the config.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::config::document::problem::problem;
use crate::config::document::secret::{Secret, secret};
use crate::config::document::source::ConfigInputs;
use crate::config::document::tree::{Item, Layers};
use crate::config::plan::probe::*;

/// `expect`: what the kind's own table of expectations asks of the handshake.
pub fn tls(layers: &Layers, expect: TlsExpect, inputs: &dyn ConfigInputs) -> Tls {
    let tls = Tls {
        ca: layers.item("ca_file").and_then(|i| authorities(&i, inputs)),
        server_name: layers.item("server_name").and_then(|i| server_name(&i)),
        client: client(layers, inputs),
        verify: match layers.item("verify").and_then(|i| i.flag()) {
            Some(false) => Verify::None,
            Some(true) | None => Verify::Full,
        },
        min_version: layers
            .item("min_version")
            .and_then(|i| i.word(&TlsVersion::WORDS))
            .unwrap_or_default(),
        groups: layers
            .item("groups")
            .and_then(|i| groups(&i))
            .unwrap_or_default(),
        expiring_within: layers
            .item("expiring_within")
            .and_then(|i| expiring(&i))
            .unwrap_or_default(),
        expect,
    };
    layers.end();
    tls
}

/// The `tls` table of a kind's expectations.
pub fn tls_expect(layers: &Layers) -> TlsExpect {
    let suites: Vec<&'static str> = aws_lc_rs::ALL_CIPHER_SUITES
        .iter()
        .filter_map(|suite| suite.suite().as_str())
        .map(iana_name)
        .collect();
    let suites: Vec<(&'static str, &'static str)> =
        suites.into_iter().map(|name| (name, name)).collect();
    let groups: Vec<(&'static str, &'static str)> = TlsGroup::WORDS
        .iter()
        .map(|(word, _)| (*word, *word))
        .collect();
    let words = |key, known: &[(&'static str, &'static str)]| -> Vec<String> {
        layers
            .item(key)
            .iter()
            .flat_map(Item::list)
            .filter_map(|i| i.word(known))
            .map(str::to_owned)
            .collect()
    };
    let expect = TlsExpect {
        versions: words("version", &[("1.2", "1.2"), ("1.3", "1.3")]),
        ciphers: words("cipher", &suites),
        groups: words("group", &groups),
    };
    layers.end();
    expect
}

/// rustls calls the suites of TLS 1.3 TLS13_...; the registry, TLS_....
pub fn iana_name(name: &'static str) -> &'static str {
    match name {
        "TLS13_AES_256_GCM_SHA384" => "TLS_AES_256_GCM_SHA384",
        "TLS13_AES_128_GCM_SHA256" => "TLS_AES_128_GCM_SHA256",
        "TLS13_CHACHA20_POLY1305_SHA256" => "TLS_CHACHA20_POLY1305_SHA256",
        other => other,
    }
}

fn groups(item: &Item) -> Option<TlsGroups> {
    let list: Vec<TlsGroup> = item
        .list()
        .iter()
        .filter_map(|i| i.word(&TlsGroup::WORDS))
        .collect();
    if list.is_empty() {
        item.fault(
            "`groups` is empty",
            "Name at least one group, or leave the key out.",
        );
        return None;
    }
    if (1..list.len()).any(|n| list[..n].contains(&list[n])) {
        item.fault(
            "a group appears twice",
            "Name each group once, in the order of preference.",
        );
        return None;
    }
    Some(TlsGroups(list))
}

/// A length, or a share of the certificate's lifetime.
fn expiring(item: &Item) -> Option<Expiring> {
    let percent = match item.value {
        toml::de::DeValue::String(text) => text.strip_suffix('%').map(str::to_owned),
        _ => None,
    };
    let Some(percent) = percent else {
        return item.duration(0, 400 * 86_400_000).map(Expiring::Length);
    };
    match percent
        .trim()
        .parse::<u8>()
        .ok()
        .filter(|n| (1..=99).contains(n))
    {
        Some(percent) => Some(Expiring::Share(percent)),
        None => {
            item.fault(
                problem!("invalid share `{percent}%` in `{}`", item.path),
                "Write a whole percentage of the certificate's lifetime, from \"1%\" to \"99%\", \
                    or a duration such as \"14d\".",
            );
            None
        }
    }
}

fn client(layers: &Layers, inputs: &dyn ConfigInputs) -> Option<ClientCertificate> {
    let (chain, key) = (layers.item("client_certificate"), layers.item("client_key"));
    match (chain, key) {
        (Some(chain), Some(key)) => {
            let key_pem = secret(&key, inputs);
            let (chain_pem, certificates) = certificates(&chain, inputs)?;
            let key_pem = key_pem?;
            fit(&chain, certificates, &key, &key_pem)?;
            Some(ClientCertificate { chain_pem, key_pem })
        }
        (Some(chain), None) => {
            chain.fault(
                "a client certificate needs its key",
                "Add client_key = { file = \"...\" }.",
            );
            None
        }
        (None, Some(key)) => {
            secret(&key, inputs);
            key.fault(
                "a client key needs its certificate",
                "Add client_certificate = \"...\".",
            );
            None
        }
        (None, None) => None,
    }
}

/// Whether the key is the certificate's.
fn fit(
    chain: &Item,
    certificates: Vec<CertificateDer<'static>>,
    key: &Item,
    key_pem: &Secret,
) -> Option<()> {
    if key_pem.is_unread() {
        return Some(());
    }
    let Ok(der) = PrivateKeyDer::from_pem_slice(key_pem.reveal().as_bytes()) else {
        key.fault(
            problem!("the secret `{}` holds no private key in PEM form", key.path),
            "Its source must hold -----BEGIN PRIVATE KEY----- lines.",
        );
        return None;
    };
    if let Err(why) = CertifiedKey::from_der(certificates, der, &aws_lc_rs::default_provider()) {
        chain.fault(
            problem!("`{}` and `{}` do not fit: {why}", chain.path, key.path),
            "Give the key that the first certificate of the file was made for.",
        );
        return None;
    }
    Some(())
}

fn authorities(item: &Item, inputs: &dyn ConfigInputs) -> Option<CaFile> {
    let path = item.source.beside(&item.text()?);
    let (pem, certificates) = certificates(item, inputs)?;
    let mut roots = RootCertStore::empty();
    for (n, certificate) in certificates.into_iter().enumerate() {
        if let Err(why) = roots.add(certificate) {
            item.fault(
                problem!(
                    "certificate {} of `{}` cannot be trusted: {why}",
                    n + 1,
                    item.path
                ),
                "Give a file of certificates of authorities, in PEM form.",
            );
            return None;
        }
    }
    Some(CaFile { path, pem })
}

/// Bytes of a file of certificates: the daemon reads no larger one again while it runs.
const LARGEST: usize = 16 << 20;

/// The certificates of a file that a key names, one at least.
fn certificates(
    item: &Item,
    inputs: &dyn ConfigInputs,
) -> Option<(Arc<str>, Vec<CertificateDer<'static>>)> {
    const ADVICE: &str = "Give a file with -----BEGIN CERTIFICATE----- lines.";
    let path = item.source.beside(&item.text()?);
    let (found, path) = (inputs.read(&path), path.display());
    let text = match found {
        Ok(text) => text,
        Err(why) => {
            item.fault(
                problem!("`{path}` cannot be read: {why}"),
                "Make it readable for the daemon's user.",
            );
            return None;
        }
    };
    if text.len() > LARGEST {
        item.fault(
            problem!("`{path}` has more than 16 MiB, which is the limit"),
            ADVICE,
        );
        return None;
    }
    let mut list = Vec::new();
    for one in CertificateDer::pem_slice_iter(text.as_bytes()) {
        match one {
            Ok(certificate) => list.push(certificate),
            Err(_) => {
                item.fault(
                    problem!(
                        "certificate {} of `{path}` is damaged: it is not valid PEM",
                        list.len() + 1
                    ),
                    ADVICE,
                );
                return None;
            }
        }
    }
    if list.is_empty() {
        item.fault(
            problem!("`{path}` holds no certificate in PEM form"),
            ADVICE,
        );
        return None;
    }
    Some((Arc::from(text), list))
}

fn server_name(item: &Item) -> Option<String> {
    let text = item.text()?;
    if rustls::pki_types::ServerName::try_from(text.as_str()).is_err() {
        item.fault(
            problem!("`{}` is not a valid server name", item.path),
            "Write a host name or an IP address.",
        );
        return None;
    }
    Some(text)
}
