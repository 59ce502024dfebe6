//! A running daemon whose authorities come and go: what it probes, and what it calls itself.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::authority::{Authority, acceptor, https};
use super::cli::probity;
use super::daemon::{Daemon, Switch, http, run, write_config};
use super::program::program_after;
use super::serve::*;
use super::trust::{issuer, leaf_of, valid};

const QUICK: &str =
    "[defaults]\ninterval = \"500ms\"\ntimeout = \"300ms\"\nretry_interval = \"100ms\"\n";

/// Handshakes of a build without optimisation take their time on a busy machine.
const PATIENT: &str =
    "[defaults]\ninterval = \"2s\"\ntimeout = \"1900ms\"\nretry_interval = \"100ms\"\n";

fn text(authority: &Authority) -> String {
    std::fs::read_to_string(authority.ca_file()).expect("PEM")
}

/// The daemon with its system's store in these places and nowhere else.
fn with_store(
    file: Option<&Path>,
    directory: Option<&Path>,
) -> impl Fn(&Path) -> Command + 'static {
    let places = [("SSL_CERT_FILE", file), ("SSL_CERT_DIR", directory)];
    let places = places.map(|(name, place)| (name, place.map(Path::to_owned)));
    move |config| {
        let mut command = run(config);
        for (name, place) in &places {
            match place {
                Some(place) => command.env(name, place),
                None => command.env_remove(name),
            };
        }
        command
    }
}

/// An https server that keeps its connections open, as receivers do, and counts what it answers.
async fn receiving(acceptor: TlsAcceptor) -> (u16, Arc<AtomicU64>) {
    let answered = Arc::new(AtomicU64::new(0));
    let count = answered.clone();
    let port = tcp(move |stream| {
        let (acceptor, count) = (acceptor.clone(), count.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            loop {
                let head = read_head(&mut stream).await.to_ascii_lowercase();
                if head.is_empty() {
                    return;
                }
                let length = head
                    .split("content-length: ")
                    .nth(1)
                    .and_then(|t| t.split("\r\n").next())
                    .and_then(|n| n.parse().ok())
                    .unwrap_or(0);
                let mut body = vec![0; length];
                let _ = stream.read_exact(&mut body).await;
                count.fetch_add(1, Ordering::SeqCst);
                let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (port, answered)
}

fn refusals_of_the_switch(daemon: &Daemon) -> usize {
    let log = daemon.log();
    log.matches("dead man's switch did not answer").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_calls_begin_with_an_authority_that_is_added_and_stop_when_it_is_removed() {
    let (authority, other) = (Authority::new(), Authority::new());
    let receiver = acceptor(authority.leaf(|_| {}), &[]);
    let ((hook, delivered), (switch, called)) =
        (receiving(receiver.clone()).await, receiving(receiver).await);
    let (directory, server) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let system = authority.file("system.pem", &text(&other));
    let url = |name: &str, port: u16| {
        let path = directory.path().join(name);
        std::fs::write(&path, format!("https://localhost:{port}/")).expect("written");
        path
    };
    let config = format!(
        "{QUICK}[deadman]\nurl = {{ file = {:?} }}\nevery = \"1s\"\n[[notify]]\nname = \
            \"ops\"\nwebhook.url = {{ file = {:?} }}\n{}",
        url("deadman.url", switch),
        url("hook.url", hook),
        http("shop", server.port)
    );
    let started = with_store(Some(&system), None);
    let daemon = Daemon::start_with(directory.path(), &config, started).await;
    server.set(500);
    let failed = "probity_notifications_total{receiver=\"ops\",result=\"failed\"}";
    daemon
        .until(|d| async move { d.metric(failed).await >= 1.0 && refusals_of_the_switch(d) >= 1 })
        .await;
    let (hooks, calls) = (
        || delivered.load(Ordering::SeqCst),
        || called.load(Ordering::SeqCst),
    );
    assert_eq!(
        (hooks(), calls()),
        (0, 0),
        "nothing vouches for the receivers"
    );

    // By a change of the file.
    std::fs::write(&system, format!("{}{}", text(&other), text(&authority))).expect("written");
    daemon
        .until(|_| async move { hooks() == 1 && calls() >= 2 })
        .await;

    // At a reload, although the connections to both receivers are still open.
    std::fs::write(&system, text(&other)).expect("written");
    daemon.reload().await.expect("reloaded");
    let (refused, failures) = (refusals_of_the_switch(&daemon), daemon.metric(failed).await);
    server.set(200);
    daemon
        .until(|d| async move {
            d.metric(failed).await > failures && refusals_of_the_switch(d) > refused
        })
        .await;
    let stopped = calls();
    daemon
        .until(|d| async move { refusals_of_the_switch(d) > refused + 2 })
        .await;
    assert_eq!(
        (hooks(), calls()),
        (1, stopped),
        "the authority is gone:\n{}",
        daemon.log()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_daemon_reads_store_and_ca_file_again_at_a_reload_and_when_they_change() {
    let (authority, other) = (Authority::new(), Authority::new());
    let port = https(acceptor(authority.leaf(|_| {}), &[])).await;
    let directory = tempfile::tempdir().expect("a directory");
    // As openssl rehash names them.
    let system = directory.path().join("certs");
    std::fs::create_dir(&system).expect("made");
    let inside = system.join("5ed36f99.0");
    let own = directory.path().join("own.pem");
    let hold = |authority: &Authority| {
        for path in [&inside, &own] {
            std::fs::write(path, text(authority)).expect("written");
        }
    };
    hold(&other);
    let config = format!(
        "{PATIENT}[[endpoint]]\nname = \"by-store\"\nprobe.http = \
            \"https://localhost:{port}/\"\n[[endpoint]]\nname = \"by-file\"\nprobe.tls.address = \
            \"localhost:{port}\"\nprobe.tls.tls.ca_file = {own:?}\n"
    );
    let started = with_store(None, Some(&system));
    let daemon = Daemon::start_with(directory.path(), &config, started).await;
    let both = async |state: &str| {
        daemon.until_state("by-store", state).await;
        daemon.until_state("by-file", state).await;
    };
    both("down").await;
    let shows = async |cause: &str| {
        for name in ["by-store", "by-file"] {
            daemon
                .until(|d| async move {
                    let last = d.endpoint(name).await;
                    last.pointer("/last/cause").is_some_and(|c| *c == cause)
                })
                .await;
        }
    };
    shows("tls_cert_untrusted").await;
    hold(&authority);
    both("up").await;
    hold(&other);
    daemon.reload().await.expect("reloaded");
    both("down").await;
    hold(&authority);
    daemon.reload().await.expect("reloaded");
    both("up").await;
    hold(&other);
    both("down").await;
    // In place of the files something that cannot be read.
    for path in [&inside, &own] {
        std::fs::remove_file(path).expect("removed");
    }
    std::fs::remove_dir(&system).expect("removed");
    std::fs::create_dir(&own).expect("made");
    both("unknown").await;
    shows("trust_store").await;
    for path in [&system, &own] {
        let shown = path.display().to_string();
        assert!(daemon.log().contains(&shown), "{shown}: {}", daemon.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaf_path_and_what_was_sent_have_their_own_dates_and_a_short_life_is_noted_once() {
    let fresh = || KeyPair::generate().expect("a key");
    let root = issuer("root", fresh(), |p| valid(p, -300, 300));
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "mid");
    valid(&mut params, -3, 10);
    let mid = CertifiedIssuer::signed_by(params, fresh(), &root).expect("signed");
    let needless = issuer("needless", fresh(), |p| valid(p, -2, 1));
    let more = [mid.der().clone(), needless.der().clone()];
    let leaf = leaf_of(&mid, &more, |p| valid(p, -5, 20));
    let port = https(acceptor(leaf, &[])).await;
    let directory = tempfile::tempdir().expect("a directory");
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, root.pem()).expect("written");
    let probed = format!(
        "[[endpoint]]\nname = \"shop\"\nprobe.tls.address = \"localhost:{port}\"\nprobe.tls.tls \
            = {{ ca_file = {ca:?}, expiring_within = \"9d\" }}\n"
    );
    let text =
        format!("{PATIENT}{probed}").replace("[defaults]", "clock = \"trusted\"\n[defaults]");
    let daemon = Daemon::start(directory.path(), &text).await;
    let probes = "probity_probe_duration_seconds_count{endpoint=\"shop\",outcome=\"success\"}";
    daemon
        .until(|d| async move {
            let text = d.get("/metrics").await.unwrap_or_default();
            text.contains(probes) && d.metric(probes).await >= 2.0
        })
        .await;
    assert_eq!(daemon.state("shop").await, "up");
    let midnight = now_s().div_euclid(86_400) * 86_400;
    let day = 86_400;
    for (certificate, from, to) in [("leaf", -5, 20), ("chain", -3, 10), ("sent", -2, 1)] {
        for (which, days) in [("not_before", from), ("not_after", to)] {
            let series = format!(
                "probity_tls_certificate_{which}_timestamp_seconds{{endpoint=\"shop\",\
                    certificate=\"{certificate}\"}}"
            );
            let shown = daemon.metric(&series).await as i64;
            assert_eq!((shown - midnight) / day, days, "{series} {shown}");
        }
    }
    let series = "probity_tls_certificate_lifetime_remaining_ratio{endpoint=\"shop\"}";
    let before = now_s();
    let shown = daemon.metric(series).await;
    let left = |at: i64| (midnight + 20 * day - at) as f64 / (25 * day) as f64;
    assert!(
        shown <= left(before) + 1e-5 && shown >= left(now_s()) - 1e-5,
        "{shown}"
    );
    let note = "the certificate is short-lived: its whole lifetime is 25 d and expiring_within \
        asks for 9 d, more than the third";
    assert_eq!(daemon.log().matches(note).count(), 1, "{}", daemon.log());
    let config = directory.path().join("probity.toml");
    let config = config.to_str().expect("UTF-8");
    let drawn = probity(&["probe", "shop", "--timeout", "10s", "--config", config]).stdout;
    let drawn = String::from_utf8(drawn).expect("UTF-8");
    assert!(drawn.contains(&format!("  note {note}")), "{drawn}");
}

fn now_s() -> i64 {
    probity::net::clock::Clock::Real.read().utc_ms / 1000
}

/// Root may read every file; without these two capabilities it is a user like others.
const WITHOUT_ROOTS_RIGHTS: &str = "if [ \"$(id -u)\" = 0 ]; then exec setpriv \
    --bounding-set=-dac_override,-dac_read_search \"$@\"; fi";

#[test]
fn a_store_that_the_daemons_user_may_not_read_is_named_by_check() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let store = authority.file("store.pem", &text(&authority));
    let config = "[[endpoint]]\nname = \"shop\"\nprobe.http = \"https://shop.example/\"\n";
    let config = write_config(directory.path(), 9847, config);
    let check = |mode: u32| {
        std::fs::set_permissions(&store, std::fs::Permissions::from_mode(mode)).expect("set");
        let output = program_after(WITHOUT_ROOTS_RIGHTS)
            .args(["check", "--config"])
            .arg(&config)
            .env("SSL_CERT_FILE", &store)
            .env_remove("SSL_CERT_DIR")
            .output()
            .expect("run");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let shown = check(0o000);
    assert!(
        shown.contains("store.pem") && shown.contains("Permission denied"),
        "{shown}"
    );
    assert!(shown.contains("unknown (trust_store)"), "{shown}");
    let shown = check(0o644);
    assert!(
        shown.contains("1 endpoint") && !shown.contains("trust_store"),
        "{shown}"
    );
}
