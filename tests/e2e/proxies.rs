//! Proxies that the environment names: unused unless the config asks for them, and never for this
//! host.

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncWriteExt;

use super::daemon::{Daemon, run as daemon_command};
use super::program::program;
use super::serve::*;

const VARIABLES: [&str; 6] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
];
/// Nobody is ever asked for it: the system refuses a connection to the address of all before it
/// sends anything.
const AWAY: &str = "http://255.255.255.255:9/";

/// A proxy that answers 200 to everything; how many came.
async fn proxy() -> (u16, Arc<AtomicUsize>) {
    let count: Arc<AtomicUsize> = Arc::default();
    let counted = count.clone();
    let port = tcp(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            read_head(&mut stream).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await;
        }
    })
    .await;
    (port, count)
}

fn with_proxy(command: &mut Command, port: u16) {
    command
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .env_remove("REQUEST_METHOD");
    for name in VARIABLES {
        command.env(
            name,
            format!("http://user:planted-password@127.0.0.1:{port}"),
        );
    }
}

async fn probity(port: u16, args: Vec<String>) -> Output {
    let mut command = program();
    command.args(args);
    with_proxy(&mut command, port);
    probity::net::apart::run(move || command.output().expect("runs"))
        .await
        .expect("ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_goes_through_a_proxy_only_where_the_config_says_so_and_never_to_this_host() {
    let receiver = answering(ok("", b"")).await;
    let here = format!("http://127.0.0.1:{receiver}/");
    for (table, url, wanted, goes_through) in [
        ("", AWAY, 1, 0),
        ("[proxy]\nfrom_environment = false\n", AWAY, 1, 0),
        ("[proxy]\nfrom_environment = true\n", AWAY, 0, 1),
        ("", here.as_str(), 0, 0),
        ("[proxy]\nfrom_environment = true\n", here.as_str(), 0, 0),
    ] {
        let (port, count) = proxy().await;
        let directory = tempfile::tempdir().expect("a directory");
        let (config, hook) = (
            directory.path().join("probity.toml"),
            directory.path().join("hook"),
        );
        std::fs::write(&hook, url).expect("written");
        std::fs::write(
            &config,
            format!("{table}[[notify]]\nname = \"ops\"\nwebhook.url = {{ file = {hook:?} }}\n"),
        )
        .expect("written");
        let output = probity(
            port,
            ["notify", "test", "ops", "--config"]
                .map(str::to_owned)
                .into_iter()
                .chain([config.display().to_string()])
                .collect(),
        )
        .await;
        assert_eq!(
            (output.status.code(), count.load(Ordering::SeqCst)),
            (Some(wanted), goes_through),
            "{table}{url}: {output:?}"
        );
        // What is used, and what is not, is said without the proxy's own address.
        let output = probity(
            port,
            vec![
                "check".into(),
                "--config".into(),
                config.display().to_string(),
            ],
        )
        .await;
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = if table.contains("true") {
            "use the proxy of HTTP_PROXY"
        } else {
            "do not use it"
        };
        assert!(
            shown.contains(said) && !shown.contains("planted-password"),
            "{shown}"
        );
        let output = probity(
            port,
            vec![
                "check".into(),
                "--print".into(),
                "--config".into(),
                config.display().to_string(),
            ],
        )
        .await;
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            shown.contains(&format!(
                "[proxy]\nfrom_environment = {}",
                table.contains("true")
            )),
            "{shown}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_status_and_calls_of_a_daemon_to_this_host_use_no_proxy() {
    let (port, count) = proxy().await;
    let called: Arc<AtomicUsize> = Arc::default();
    let counted = called.clone();
    let switch = tcp(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(&ok("", b"")).await;
        }
    })
    .await;
    let directory = tempfile::tempdir().expect("a directory");
    let url = directory.path().join("url");
    std::fs::write(&url, format!("http://127.0.0.1:{switch}/")).expect("written");
    let shop = answering(ok("", b"")).await;
    let text = format!(
        "[proxy]\nfrom_environment = true\n[deadman]\nurl = {{ file = {url:?} }}\nevery \
            = \"1s\"\n[[endpoint]]\nname = \"shop\"\ninterval = \"500ms\"\ntimeout \
            = \"400ms\"\nprobe.http = \"http://127.0.0.1:{shop}/\"\n"
    );
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(directory.path().join("log"))
        .expect("a log");
    let command = |config: &std::path::Path| {
        let mut command = daemon_command(config);
        with_proxy(&mut command, port);
        command
    };
    let daemon = Daemon::start_logging(directory.path(), &text, log.into(), command).await;
    daemon.until_state("shop", "up").await;
    daemon
        .until(|_| async { called.load(Ordering::SeqCst) > 0 })
        .await;
    assert!(
        daemon.log().contains("use the proxy of HTTP_PROXY")
            && !daemon.log().contains("planted-password"),
        "{}",
        daemon.log()
    );
    let output = probity(
        port,
        vec![
            "status".into(),
            "--url".into(),
            format!("http://127.0.0.1:{}", daemon.port),
        ],
    )
    .await;
    assert_eq!(
        (output.status.code(), count.load(Ordering::SeqCst)),
        (Some(0), 0),
        "{output:?}"
    );
    // The name of this host is this host.
    let output = probity(
        port,
        vec![
            "status".into(),
            "--url".into(),
            format!("http://localhost:{}", daemon.port),
        ],
    )
    .await;
    assert_eq!(
        (output.status.code(), count.load(Ordering::SeqCst)),
        (Some(0), 0),
        "{output:?}"
    );
    // The switch alone goes out, where it is elsewhere.
    let dir = tempfile::tempdir().expect("a directory");
    let url = dir.path().join("url");
    std::fs::write(&url, AWAY).expect("written");
    let text = format!(
        "[proxy]\nfrom_environment = true\n[deadman]\nurl = {{ file = {url:?} }}\nevery \
            = \"1s\"\n[[endpoint]]\nname = \"shop\"\ninterval = \"500ms\"\ntimeout \
            = \"400ms\"\nprobe.http = \"http://127.0.0.1:{shop}/\"\n"
    );
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(dir.path().join("log"))
        .expect("a log");
    let away = Daemon::start_logging(dir.path(), &text, log.into(), command).await;
    away.until(|_| async { count.load(Ordering::SeqCst) > 0 })
        .await;
}
