//! Whom and what a verdict about a certificate rests on: the trust store, the clock, the path that
//! was verified, the handshake itself.

use std::path::Path;
use std::sync::Arc;

use probity::kind::run::{ProbeReport, run};
use probity::net::authorities::{Authorities, Places};
use probity::net::clock_trust::ClockTrust;
use probity::net::resolve::Paths;
use probity::net::shared::Net;
use probity::net::sys::KernelSync;
use probity::words::{Cause, Outcome, Reason};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;

use super::authority::{Authority, Leaf, acceptor, https, server_config};
use super::cli::probity;
use super::daemon::{Daemon, run as daemon_command, write_config};
use super::program::program;
use super::serve::*;

/// Probes with this trust store and clock.
async fn probe_with(
    authorities: Arc<Authorities>,
    clock: Arc<ClockTrust>,
    lines: &str,
) -> ProbeReport {
    let endpoint = endpoint(lines);
    let net = Net::new(Paths::default(), authorities, clock);
    tokio::task::LocalSet::new()
        .run_until(async move { run(&net, &endpoint).await })
        .await
}

fn store(file: &Path) -> Arc<Authorities> {
    Arc::new(Authorities::at(Places {
        file: Some(file.to_owned()),
        directories: Vec::new(),
    }))
}

fn clock(state: fn() -> KernelSync) -> Arc<ClockTrust> {
    Arc::new(ClockTrust::by(state))
}

fn synchronised() -> Arc<ClockTrust> {
    clock(|| KernelSync::Synchronised)
}

fn detail(report: &ProbeReport) -> &str {
    match &report.outcome {
        Outcome::Failure { detail, .. } | Outcome::Unmeasured { detail, .. } => detail,
        Outcome::Success(_) => "",
    }
}

/// Midnight so many days from now, as rcgen wants it.
fn days_from_now(days: i64) -> (i32, u8, u8) {
    let text = probity::words::format_utc(
        probity::net::clock::Clock::Real.read().utc_ms + days * 86_400_000,
    );
    let part = |a: usize, b: usize| text[a..b].parse::<i32>().expect("digits");
    (part(0, 4), part(5, 7) as u8, part(8, 10) as u8)
}

pub fn valid(params: &mut CertificateParams, from: i64, to: i64) {
    let ((a, b, c), (d, e, f)) = (days_from_now(from), days_from_now(to));
    (params.not_before, params.not_after) =
        (rcgen::date_time_ymd(a, b, c), rcgen::date_time_ymd(d, e, f));
}

// ---- the trust store

#[tokio::test]
async fn a_trust_store_that_is_not_whole_is_our_fault_and_never_the_endpoints() {
    let authority = Authority::new();
    let port = https(acceptor(authority.leaf(|_| {}), &[])).await;
    let other = Authority::new();
    let whole = std::fs::read_to_string(other.ca_file()).expect("PEM");
    let missing = authority.file("gone.pem", "");
    std::fs::remove_file(&missing).expect("removed");
    let unreadable = authority.file("directory.pem", "");
    std::fs::remove_file(&unreadable).expect("removed");
    std::fs::create_dir(&unreadable).expect("made");
    let cases = [
        missing,
        unreadable,
        authority.file("empty.pem", ""),
        authority.file("text.pem", "these are no certificates\n"),
        authority.file(
            "damaged.pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ),
        // One authority is readable, the next was cut off: nobody knows whether it was the one that
        // is missing.
        authority.file("cut.pem", &format!("{whole}{}", &whole[..whole.len() / 2])),
        authority.file(
            "half.pem",
            &format!("{whole}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ),
    ];
    for file in cases {
        for lines in [
            format!("probe.http = \"https://localhost:{port}/\""),
            format!("probe.tls = \"localhost:{port}\""),
        ] {
            let report = probe_with(store(&file), synchronised(), &lines).await;
            assert_eq!(
                reason(&report),
                Reason::TrustStore,
                "{} {:?}",
                file.display(),
                report.outcome
            );
            assert!(
                detail(&report).contains(&file.display().to_string()),
                "{}",
                detail(&report)
            );
        }
    }
    let lines = format!("probe.tls = \"localhost:{port}\"");
    let report = probe_with(store(&other.ca_file()), synchronised(), &lines).await;
    assert_eq!(
        cause(&report),
        Cause::TlsCertUntrusted,
        "a whole store that does not know the authority"
    );
    assert_up(&probe_with(store(&authority.ca_file()), synchronised(), &lines).await);
    // A certificate that is wrong whatever the store holds is the endpoint's fault also beside a
    // damaged one.
    let both = format!(
        "{}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        std::fs::read_to_string(authority.ca_file()).expect("PEM")
    );
    let damaged = authority.file("both.pem", &both);
    assert_up(&probe_with(store(&damaged), synchronised(), &lines).await);
    let wrong = https(acceptor(
        authority.leaf(|p| p.subject_alt_names.clear()),
        &[],
    ))
    .await;
    assert_eq!(
        cause(
            &probe_with(
                store(&damaged),
                synchronised(),
                &format!("probe.tls = \"localhost:{wrong}\"")
            )
            .await
        ),
        Cause::TlsCertName
    );
}

#[tokio::test]
async fn an_authority_that_is_added_is_trusted_and_one_that_is_removed_is_not() {
    let (authority, other) = (Authority::new(), Authority::new());
    let port = https(acceptor(authority.leaf(|_| {}), &[])).await;
    let text = |a: &Authority| std::fs::read_to_string(a.ca_file()).expect("PEM");
    let system = authority.file("system.pem", &text(&other));
    let own = authority.file("own.pem", &text(&other));
    let authorities = store(&system);
    let by_store = endpoint(&format!("probe.http = \"https://localhost:{port}/\""));
    let by_file = endpoint(&format!(
        "probe.http.url = \"https://localhost:{port}/\"\nprobe.http.tls.ca_file = {own:?}"
    ));
    let net = Net::new(Paths::default(), authorities.clone(), synchronised());
    let local = tokio::task::LocalSet::new();
    let file = probity::config::plan::probe::CaFile {
        path: own.clone(),
        pem: text(&other).into(),
    };
    local
        .run_until(async {
            for (holds, expected) in [(&other, false), (&authority, true), (&other, false)] {
                std::fs::write(&system, format!("{}\n", text(holds))).expect("written");
                std::fs::write(&own, format!("{}\n", text(holds))).expect("written");
                authorities.look(std::slice::from_ref(&file));
                for endpoint in [&by_store, &by_file] {
                    let report = run(&net, endpoint).await;
                    if expected {
                        assert_up(&report);
                    } else {
                        assert_eq!(cause(&report), Cause::TlsCertUntrusted);
                    }
                }
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_without_a_trust_store_says_so_and_blames_nobody() {
    let authority = Authority::new();
    let port = https(acceptor(authority.leaf(|_| {}), &[])).await;
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "[daemon]\nclock = \"trusted\"\n[defaults]\ninterval = \"500ms\"\ntimeout \
            = \"300ms\"\nretry_interval = \"100ms\"\n[[endpoint]]\nname = \"shop\"\nprobe.http \
            = \"https://localhost:{port}/\"\n"
    );
    let text = text.trim_start_matches("[daemon]\n").to_owned();
    let without = |config: &Path| {
        let mut command = daemon_command(config);
        command
            .env("SSL_CERT_FILE", "/none/ca.pem")
            .env_remove("SSL_CERT_DIR");
        command
    };
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(directory.path().join("log"))
        .expect("a log");
    let daemon = Daemon::start_logging(directory.path(), &text, log.into(), without).await;
    daemon
        .until(|d| async move { d.endpoint("shop").await["last"]["cause"] == "trust_store" })
        .await;
    daemon
        .until(|d| async move {
            d.metric("probity_probe_unmeasured_total{reason=\"trust_store\"}")
                .await
                >= 3.0
        })
        .await;
    assert_eq!(daemon.state("shop").await, "unknown");
    assert_eq!(daemon.metric("probity_trust_store_authorities").await, 0.0);
    assert_eq!(
        daemon.json("/api/v1/outages").await["outages"],
        serde_json::json!([])
    );
    assert!(
        daemon.log().contains("/none/ca.pem") && daemon.log().contains("trust_store"),
        "{}",
        daemon.log()
    );
    let config = write_config(directory.path(), 9847, &text);
    let check = program()
        .args(["check", "--config"])
        .arg(&config)
        .env("SSL_CERT_FILE", "/none/ca.pem")
        .output();
    let shown = String::from_utf8(check.expect("run").stdout).expect("UTF-8");
    assert!(
        shown.contains("/none/ca.pem") && shown.contains("unknown (trust_store)"),
        "{shown}"
    );
}

// ---- the clock

#[tokio::test]
async fn a_date_counts_only_where_something_vouches_for_the_clock() {
    let authority = Authority::new();
    // Two seconds ago: after the build, before which everything is past for certain.
    let over = |p: &mut CertificateParams, days: i64| {
        valid(p, -60, days);
        let today = probity::net::clock::Clock::Real
            .read()
            .utc_ms
            .rem_euclid(86_400_000)
            / 1000;
        p.not_after += std::time::Duration::from_secs(today.max(2) as u64 - 2);
    };
    let expired = https(acceptor(authority.leaf(|p| over(p, 0)), &[])).await;
    let early = https(acceptor(authority.leaf(|p| valid(p, 2, 60)), &[])).await;
    let soon = https(acceptor(authority.leaf(|p| over(p, 14)), &[])).await;
    let lines = |port: u16| {
        format!(
            "probe.tls.address = \"localhost:{port}\"\nprobe.tls.tls = {{ ca_file = {:?}, \
                expiring_within = \"14d\" }}",
            authority.ca_file()
        )
    };
    for (port, wanted) in [
        (expired, Cause::TlsCertExpired),
        (early, Cause::TlsCertNotYetValid),
        (soon, Cause::TlsCertExpiring),
    ] {
        assert_eq!(
            cause(&probe_with(Authorities::of_the_system(), synchronised(), &lines(port)).await),
            wanted
        );
        for state in [|| KernelSync::Unsynchronised, || KernelSync::Unavailable] {
            let report = probe_with(Authorities::of_the_system(), clock(state), &lines(port)).await;
            assert_eq!(reason(&report), Reason::Clock, "{wanted:?}");
            assert!(
                detail(&report).contains("this host's clock says"),
                "{}",
                detail(&report)
            );
        }
        let trusted = clock(|| KernelSync::Unsynchronised);
        trusted.choose(probity::config::plan::ClockChoice::Trusted);
        assert_eq!(
            cause(&probe_with(Authorities::of_the_system(), trusted, &lines(port)).await),
            wanted,
            "the config vouches"
        );
    }
    // A fault that no date makes is the endpoint's, whatever the clock says.
    let nameless = https(acceptor(
        authority.leaf(|p| p.subject_alt_names.clear()),
        &[],
    ))
    .await;
    assert_eq!(
        cause(
            &probe_with(
                Authorities::of_the_system(),
                clock(|| KernelSync::Unsynchronised),
                &lines(nameless)
            )
            .await
        ),
        Cause::TlsCertName
    );
}

// ---- the path

/// An authority with its own name, key and dates.
pub fn issuer(
    name: &str,
    key: KeyPair,
    change: impl FnOnce(&mut CertificateParams),
) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    change(&mut params);
    CertifiedIssuer::self_signed(params, key).expect("signed")
}

pub fn leaf_of(
    authority: &CertifiedIssuer<'static, KeyPair>,
    more: &[CertificateDer<'static>],
    change: impl FnOnce(&mut CertificateParams),
) -> Leaf {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("names");
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, authority).expect("signed");
    let chain = std::iter::once(certificate.der().clone())
        .chain(more.iter().cloned())
        .collect();
    Leaf {
        chain,
        key: key.serialize_der(),
        pem: certificate.pem(),
        key_pem: key.serialize_pem(),
    }
}

#[tokio::test]
async fn a_leaf_that_is_in_the_ca_file_is_trusted_and_its_name_and_dates_count_as_ever() {
    // What `openssl req -x509` makes: self-signed, CA:TRUE, for a name.
    let own = |from: i64, to: i64, name: &str| {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        valid(&mut params, from, to);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed");
        Leaf {
            chain: vec![certificate.der().clone()],
            key: key.serialize_der(),
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        }
    };
    let directory = tempfile::tempdir().expect("a directory");
    let asked = async |leaf: Leaf, trusted: &str| {
        let file = directory.path().join("ca.pem");
        std::fs::write(&file, trusted).expect("written");
        let port = https(acceptor(leaf, &[])).await;
        probe(&format!(
            "probe.http.url = \"https://localhost:{port}/\"\nprobe.http.tls.ca_file = {file:?}"
        ))
        .await
    };
    let good = own(-1, 90, "localhost");
    let pem = good.pem.clone();
    assert_up(&asked(good, &pem).await);
    let late = own(-90, -1, "localhost");
    let pem = late.pem.clone();
    assert_eq!(cause(&asked(late, &pem).await), Cause::TlsCertExpired);
    let early = own(1, 90, "localhost");
    let pem = early.pem.clone();
    assert_eq!(cause(&asked(early, &pem).await), Cause::TlsCertNotYetValid);
    let named = own(-1, 90, "other.example");
    let pem = named.pem.clone();
    assert_eq!(cause(&asked(named, &pem).await), Cause::TlsCertName);
    let stranger = own(-1, 90, "localhost");
    let pem = own(-1, 90, "localhost").pem;
    let report = asked(stranger, &pem).await;
    assert_eq!(cause(&report), Cause::TlsCertUntrusted);
    assert!(
        detail(&report).contains("CA:TRUE") || detail(&report).contains("self-signed"),
        "{}",
        detail(&report)
    );
}

#[tokio::test]
async fn the_chain_is_the_verified_path_and_what_was_merely_sent_has_its_own_end() {
    // The server sends a leaf for 2 days with an older root for 1 day; a newer root of the same
    // key, for 3 days, is trusted as well.
    let key = KeyPair::generate().expect("a key");
    let again = || KeyPair::try_from(key.serialize_der()).expect("a key");
    let old = issuer("root", again(), |p| valid(p, -300, 1));
    let new = issuer("root", again(), |p| valid(p, -10, 3));
    let leaf = leaf_of(&old, &[old.der().clone()], |p| valid(p, -10, 2));
    let port = https(acceptor(leaf, &[])).await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, format!("{}{}", old.pem(), new.pem())).expect("written");
    let lines = |within: &str| {
        format!(
            "probe.tls.address = \"localhost:{port}\"\nprobe.tls.tls = {{ ca_file = {file:?}, \
                expiring_within = \"{within}\" }}"
        )
    };
    let report = probe(&lines("30h")).await;
    // Two days from midnight are more than 24 hours away and at most 48.
    let facts = report.outcome.facts().expect("measured");
    let c = facts.certificate.as_ref().expect("seen");
    let day = 86_400_000;
    assert_eq!(
        (c.chain_not_after, c.sent_not_after),
        (Some(c.not_after), c.not_after - day)
    );
    assert_up(&probe(&lines("24h")).await);
    assert_eq!(cause(&probe(&lines("72h")).await), Cause::TlsCertExpiring);
}

#[tokio::test]
async fn a_missing_intermediate_is_named() {
    let root = issuer("root", KeyPair::generate().expect("a key"), |_| {});
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "mid");
    let mid = CertifiedIssuer::signed_by(params, KeyPair::generate().expect("a key"), &root)
        .expect("signed");
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, root.pem()).expect("written");
    let asked = async |more: &[CertificateDer<'static>]| {
        let port = https(acceptor(leaf_of(&mid, more, |_| {}), &[])).await;
        probe(&format!(
            "probe.tls.address = \"localhost:{port}\"\nprobe.tls.tls.ca_file = {file:?}"
        ))
        .await
    };
    assert_up(&asked(&[mid.der().clone()]).await);
    let report = asked(&[]).await;
    assert_eq!(cause(&report), Cause::TlsCertUntrusted);
    assert_eq!(
        detail(&report),
        "the server sent 1 certificate, issued by mid; no trusted authority of that name: an \
            intermediate may be missing"
    );
}

#[tokio::test]
async fn expiring_takes_a_share_of_the_lifetime() {
    let authority = Authority::new();
    // 26 of 90 days are left, or a little more than 25.
    let port = https(acceptor(authority.leaf(|p| valid(p, -64, 26)), &[])).await;
    let lines = |within: &str| {
        format!(
            "probe.tls.address = \"localhost:{port}\"\nprobe.tls.tls = {{ ca_file = {:?}, \
                expiring_within = \"{within}\" }}",
            authority.ca_file()
        )
    };
    assert_up(&probe(&lines("25%")).await);
    assert_eq!(cause(&probe(&lines("33%")).await), Cause::TlsCertExpiring);
    // A certificate of six days under 14 days is told what to write.
    let port = https(acceptor(authority.leaf(|p| valid(p, -1, 5)), &[])).await;
    let lines = |within: &str| {
        format!(
            "probe.tls.address = \"localhost:{port}\"\nprobe.tls.tls = {{ ca_file = {:?}, \
                expiring_within = \"{within}\" }}",
            authority.ca_file()
        )
    };
    let report = probe(&lines("14d")).await;
    assert_eq!(cause(&report), Cause::TlsCertExpiring);
    assert!(
        detail(&report)
            .contains("its whole lifetime is 6 d and expiring_within asks for 14 d: write a share"),
        "{}",
        detail(&report)
    );
    assert_up(&probe(&lines("33%")).await);
}

#[tokio::test]
async fn a_client_certificate_that_has_expired_is_the_clients_fault_under_tls_1_3_too() {
    let authority = Authority::new();
    let port = https(authority.demanding(authority.leaf(|_| {}))).await;
    let client = authority.leaf(|p| {
        p.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        valid(p, -90, -1);
    });
    let (chain, key) = (
        authority.file("client.pem", &client.pem),
        authority.file("client.key", &client.key_pem),
    );
    for (kind, target) in [
        ("http", format!("url = \"https://localhost:{port}/\"")),
        ("tls", format!("address = \"localhost:{port}\"")),
    ] {
        let lines = format!(
            "probe.{kind}.{target}\nprobe.{kind}.tls = {{ ca_file = {:?}, client_certificate = \
                {chain:?}, client_key = {{ file = {key:?} }}, min_version = \"1.3\" }}",
            authority.ca_file()
        );
        assert_eq!(cause(&probe(&lines).await), Cause::TlsClientAuth, "{kind}");
    }
}

// ---- the handshake

/// A server that knows these groups only; what it shakes hands as is told.
async fn with_groups(
    authority: &Authority,
    groups: Vec<&'static dyn rustls::crypto::SupportedKxGroup>,
) -> (u16, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let provider = rustls::crypto::CryptoProvider {
        kx_groups: groups,
        ..rustls::crypto::aws_lc_rs::default_provider()
    };
    let config = Arc::new(server_config(authority.leaf(|_| {}), provider));
    let (told, kinds) = tokio::sync::mpsc::unbounded_channel();
    let port = tcp(move |stream| {
        let (config, told) = (config.clone(), told.clone());
        async move {
            let Ok(mut stream) = tokio_rustls::TlsAcceptor::from(config).accept(stream).await
            else {
                return;
            };
            let _ = told.send(format!("{:?}", stream.get_ref().1.handshake_kind()));
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
        }
    })
    .await;
    (port, kinds)
}

#[tokio::test]
async fn the_hello_has_shares_of_the_hybrid_group_and_of_x25519_as_browsers_send_them() {
    use rustls::crypto::aws_lc_rs::kx_group;
    let authority = Authority::new();
    for (group, name) in [
        (kx_group::X25519MLKEM768, "X25519MLKEM768"),
        (kx_group::X25519, "x25519"),
        (kx_group::SECP256R1, "secp256r1"),
    ] {
        let (port, mut kinds) = with_groups(&authority, vec![group]).await;
        let report = probe(&format!(
            "probe.tls.address = \"localhost:{port}\"\nprobe.tls.tls.ca_file = \
                {:?}\nprobe.tls.expect.tls.group = \"{name}\"",
            authority.ca_file()
        ))
        .await;
        assert_up(&report);
        assert_eq!(report.outcome.facts().and_then(|f| f.tls_group), Some(name));
        // Of the third no share is sent: browsers are asked again, too.
        let wanted = if name == "secp256r1" {
            "Some(FullWithHelloRetryRequest)"
        } else {
            "Some(Full)"
        };
        assert_eq!(kinds.recv().await.as_deref(), Some(wanted), "{name}");
    }
}

#[tokio::test]
async fn groups_can_be_chosen_and_what_the_handshake_came_to_can_be_expected() {
    use rustls::crypto::aws_lc_rs::kx_group;
    let authority = Authority::new();
    let (port, _) = with_groups(&authority, vec![kx_group::X25519MLKEM768, kx_group::X25519]).await;
    let asked = async |more: &str| {
        probe(&format!(
            "probe.tls.address = \"localhost:{port}\"\nprobe.tls.tls.ca_file = {:?}\n{more}",
            authority.ca_file()
        ))
        .await
    };
    assert_up(
        &asked(
            "probe.tls.tls.groups = [\"x25519\"]\nprobe.tls.expect.tls = { group = \"x25519\", \
            version = \"1.3\", cipher = \"TLS_AES_128_GCM_SHA256\" }",
        )
        .await,
    );
    for more in [
        "group = \"x25519\"",
        "version = \"1.2\"",
        "cipher = [\"TLS_CHACHA20_POLY1305_SHA256\"]",
    ] {
        let report = asked(&format!("probe.tls.expect.tls = {{ {more} }}")).await;
        assert_eq!(cause(&report), Cause::TlsMismatch, "{more}");
    }
    let report = asked("probe.tls.tls.groups = [\"secp384r1\"]").await;
    assert_eq!(cause(&report), Cause::TlsHandshake);
    assert!(
        detail(&report).contains("too old") || detail(&report).contains("HandshakeFailure"),
        "{}",
        detail(&report)
    );
}

#[test]
fn what_is_wrong_with_the_tls_table_is_told_with_what_may_stand_there() {
    let directory = tempfile::tempdir().expect("a directory");
    for (line, wanted) in [
        ("probe.tls.tls.groups = []", "empty"),
        ("probe.tls.tls.groups = [\"x25519\", \"x25519\"]", "twice"),
        ("probe.tls.tls.groups = [\"x448\"]", "x25519"),
        ("probe.tls.tls.expiring_within = \"0%\"", "1%"),
        ("probe.tls.tls.expiring_within = \"150%\"", "1%"),
        (
            "probe.tls.expect.tls.cipher = \"AES\"",
            "TLS_AES_128_GCM_SHA256",
        ),
        ("probe.tls.expect.tls.version = \"1.1\"", "1.2"),
    ] {
        let path = directory.path().join("c.toml");
        std::fs::write(
            &path,
            format!("[[endpoint]]\nname = \"e\"\nprobe.tls.address = \"127.0.0.1:443\"\n{line}\n"),
        )
        .expect("written");
        let output = probity(&["check", "--config", path.to_str().expect("UTF-8")]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{line}");
        assert!(
            text.contains(wanted) && text.contains(":4:"),
            "{line}: {text}"
        );
    }
}
