//! Secrets that an endpoint gives back, in every spelling and every part of an answer: none is on
//! any surface.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use probity::judgement::fault;
use probity::kind::run::run;
use probity::net::shared::Net;
use probity::words::Cause;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::authority::Authority;
use super::cli::probity;
use super::daemon::Daemon;
use super::planted::{Betrayal, Part, certified, echo, in_a_line, parrot, secrets, spelled};
use super::program::{program, program_after};
use super::serve::*;

fn secret_file(directory: &Path, n: usize, secret: &str) -> std::path::PathBuf {
    let file = directory.join(format!("secret{n}"));
    std::fs::write(&file, secret).expect("written");
    file
}

/// The line that sends a secret with a request: one place after the other.
fn sent(place: usize, file: &Path) -> String {
    match place % 5 {
        0 => format!("probe.http.auth.bearer = {{ file = {file:?} }}\n"),
        1 => format!(
            "probe.http.auth.basic = {{ username = \"user\", password = {{ file = {file:?} }} }}\n"
        ),
        2 => format!("probe.http.headers = {{ \"X-Api-Key\" = {{ file = {file:?} }} }}\n"),
        3 => format!("probe.http.query = {{ token = {{ file = {file:?} }} }}\n"),
        _ => format!("probe.http.body = {{ file = {file:?} }}\n"),
    }
}

fn dialogue(port: u16, (n, way): (usize, usize), file: &Path) -> String {
    format!(
        "probe.tcp.address = \"127.0.0.1:{port}\"\nprobe.tcp.dialogue = [{{ send = \"{n}/{way} \" \
            }}, {{ send = {{ file = {file:?} }} }}, {{ send = \"\\n\" }}, {{ expect = \"^never\" \
            }}]\n"
    )
}

/// What every probe of a plan tells holds no spelling of the secret, and shows that it was given
/// back.
async fn tells_nothing(secret: &str, text: &str) -> usize {
    let (plan, net, betrayal) = (
        plan(text),
        Net::default(),
        Betrayal::of(&[secret.to_owned()]),
    );
    let all = async {
        for endpoint in &plan.endpoints {
            let told = format!("{:?}", run(&net, endpoint).await.outcome);
            // A host ends before the first character that a host cannot have, and the name of a
            // header before a colon.
            let name = endpoint.name.as_str();
            let way = name
                .rsplit('w')
                .next()
                .and_then(|way| way.parse::<usize>().ok())
                .unwrap_or(0);
            let is_short = name.starts_with("Host")
                || name.starts_with("HeaderName") && spelled(secret)[way].contains(':');
            assert!(
                told.contains("<secret>") || is_short,
                "{secret} at {}: it was not even given back: {told}",
                endpoint.name
            );
            assert_eq!(
                betrayal.in_text(&told),
                None,
                "{secret} at {}: {told}",
                endpoint.name
            );
        }
    };
    tokio::task::LocalSet::new().run_until(all).await;
    plan.endpoints.len()
}

#[tokio::test]
async fn no_spelling_of_a_secret_is_in_what_a_probe_tells() {
    let secrets = Arc::new(secrets());
    let (web, words) = (echo(secrets.clone()).await, parrot(secrets.clone()).await);
    let directory = tempfile::tempdir().expect("a directory");
    let ways = spelled("x").len();
    let mut looked = 0;
    for (n, secret) in secrets.iter().enumerate() {
        let file = secret_file(directory.path(), n, secret);
        let mut text = String::new();
        for (p, part) in Part::ALL.into_iter().enumerate() {
            // One spec for all ways, as the targets of a group share one.
            let _ = write!(
                text,
                "[group.g{p}]\n{}{}[group.g{p}.targets]\n",
                sent(n + p, &file),
                part.expectation()
            );
            for way in 0..ways {
                let _ = writeln!(
                    text,
                    "{part:?}-w{way} = \"http://127.0.0.1:{web}/{n}/{way}/{p}\""
                );
            }
        }
        for way in 0..ways {
            let _ = write!(
                text,
                "[[endpoint]]\nname = \"dialogue-w{way}\"\n{}",
                dialogue(words, (n, way), &file)
            );
        }
        looked += tells_nothing(secret, &text).await;
    }
    assert_eq!(looked, 40 * ways * 8);
}

#[tokio::test]
async fn no_spelling_of_a_secret_is_in_what_a_probe_tells_of_a_certificate() {
    let (secrets, authority) = (secrets(), Authority::new());
    let ways = spelled("x").len();
    for (n, secret) in secrets.iter().enumerate() {
        let file = secret_file(&authority.ca_file().with_file_name(""), n, secret);
        let mut text = String::new();
        for way in [n % ways, (n + ways / 2) % ways] {
            let port = certified(&authority, &in_a_line(&spelled(secret)[way])).await;
            let _ = write!(
                text,
                "[[endpoint]]\nname = \"w{way}\"\nprobe.http.url \
                    = \"https://127.0.0.1:{port}/\"\n{}",
                sent(n, &file)
            );
            let _ = writeln!(text, "probe.http.tls.ca_file = {:?}", authority.ca_file());
        }
        tells_nothing(secret, &text).await;
    }
}

/// A receiver: it refuses the first message, with the secret that it was sent, and keeps what it
/// accepts.
async fn receiver(received: Arc<Mutex<String>>) -> u16 {
    tcp(move |mut stream| {
        let received = received.clone();
        async move {
            let head = read_head(&mut stream).await;
            let length = head
                .lines()
                .find_map(|l| {
                    l.to_ascii_lowercase()
                        .strip_prefix("content-length: ")
                        .and_then(|n| n.parse().ok())
                })
                .unwrap_or(0);
            let mut body = vec![0; length];
            let _ = stream.read_exact(&mut body).await;
            let is_first = {
                let mut all = received.lock().expect("a lock");
                let is_first = all.is_empty();
                all.push_str(if is_first { "first " } else { "" });
                if !is_first {
                    all.push_str(&String::from_utf8_lossy(&body));
                }
                is_first
            };
            let target = head.split(' ').nth(1).unwrap_or_default();
            let status = if is_first {
                format!("503 {target}")
            } else {
                "200 OK".to_owned()
            };
            let _ = stream
                .write_all(
                    format!(
                        "HTTP/1.1 {status}\r\nX-Echo: \
                {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    )
                    .as_bytes(),
                )
                .await;
        }
    })
    .await
}

/// A secret URL with the secret in its user-info, path and query.
fn secret_url(scheme: &str, port: u16, secret: &str) -> String {
    let mut url = url::Url::parse(&format!("{scheme}://127.0.0.1:{port}/")).expect("a URL");
    url.set_password(Some(secret)).expect("a password");
    url.path_segments_mut().expect("a path").push(secret);
    url.query_pairs_mut().append_pair("token", secret);
    url.to_string()
}

/// A daemon is given one spelling in so many.
const QUARTERS: usize = 4;

/// Each spelling in each part of an answer once, from one secret after the other.
/// Of the spellings, every fourth from `first` on is given back.
async fn config(secrets: &Arc<Vec<String>>, hook: u16, directory: &Path, first: usize) -> String {
    let (web, words, authority) = (
        echo(secrets.clone()).await,
        parrot(secrets.clone()).await,
        Authority::new(),
    );
    let (ways, ca) = (spelled("x").len(), directory.join("ca.pem"));
    std::fs::copy(authority.ca_file(), &ca).expect("copied");
    let files: Vec<_> = secrets
        .iter()
        .enumerate()
        .map(|(n, secret)| secret_file(directory, n, secret))
        .collect();
    let mut text = String::from(
        "[defaults]\ninterval = \"8s\"\ntimeout = \"7900ms\"\nretry_interval = \"100ms\"\n\
            late_after = \"5s\"\n",
    );
    let parts = Part::ALL.len() + 2;
    for (nth, way) in (first..ways).step_by(QUARTERS).enumerate() {
        for part in 0..parts {
            let n = way * parts + part + 1;
            let (secret, name) = (n % secrets.len(), format!("e{}", nth * parts + part + 1));
            let file = &files[secret];
            let _ = write!(text, "[[endpoint]]\nname = \"{name}\"\n");
            match Part::ALL.get(part) {
                Some(part_of) => {
                    let _ = write!(
                        text,
                        "probe.http.url = \"http://127.0.0.1:{web}/{secret}/{way}/{part}\"\n{}{}",
                        sent(n, file),
                        part_of.expectation()
                    );
                }
                None if part == Part::ALL.len() => {
                    text.push_str(&dialogue(words, (secret, way), file))
                }
                None => {
                    let port =
                        certified(&authority, &in_a_line(&spelled(&secrets[secret])[way])).await;
                    let _ = write!(
                        text,
                        "probe.http.url = \"https://127.0.0.1:{port}/\"\n{}",
                        sent(n, file)
                    );
                    let _ = writeln!(text, "probe.http.tls.ca_file = {ca:?}");
                }
            }
        }
    }
    let url = |name: &str, text: String| {
        let path = directory.join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let unmatched = certified(&authority, &secrets[2]).await;
    let (good, bad) = (
        url("good.url", secret_url("http", hook, &secrets[0])),
        url("bad.url", secret_url("https", unmatched, &secrets[2])),
    );
    let deadman = url("deadman.url", secret_url("https", unmatched, &secrets[2]));
    let _ = write!(
        text,
        "[[notify]]\nname = \"ops\"\nwebhook.url = {{ file = {good:?} }}\nwebhook.headers.x-key = \
            {{ file = {:?} }}\n",
        files[1]
    );
    let _ = write!(
        text,
        "[[notify]]\nname = \"bad\"\nwebhook.url = {{ file = {bad:?} }}\n[deadman]\nurl = {{ file \
            = {deadman:?} }}\nevery = \"1s\"\n"
    );
    let _ = write!(
        text,
        "[sla.s]\nobjective = \"99.9\"\ncomponents = [\"e1\", \"e2\"]\n[history.backup]\ndir = \
            {:?}\nevery = \"1s\"\n",
        directory.join("backups")
    );
    text
}

/// Everything that the commands print.
fn printed(directory: &Path, base: &str, surfaces: &mut BTreeMap<String, String>) {
    let (config, state) = (directory.join("probity.toml"), directory.join("state"));
    let (config, state) = (
        config.to_str().expect("UTF-8"),
        state.to_str().expect("UTF-8"),
    );
    let (copy, reports) = (directory.join("out/copy.sqlite"), directory.join("out"));
    let (copy, reports) = (
        copy.to_str().expect("UTF-8"),
        reports.to_str().expect("UTF-8"),
    );
    let period = &probity::words::format_utc(probity::net::clock::Clock::Real.read().utc_ms)[..7];
    let mut run = |args: &[&str]| {
        let output = probity(args);
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        surfaces
            .entry(args[..args.len().min(3)].join(" "))
            .or_default()
            .push_str(&text);
    };
    for url in [&["--url", base][..], &["--url", base, "--json"]] {
        run(&[&["status"][..], url].concat());
    }
    for args in [
        &["check"][..],
        &["check", "--json"],
        &["check", "--print"],
        &["history", "backup", "--to", copy],
        &["notify", "test", "bad"],
        &["notify", "test", "bad", "--json"],
        &["sla", "evaluate", "--period", period],
        &[
            "sla",
            "report",
            "--provisional",
            "--period",
            period,
            "--output",
            reports,
        ],
    ] {
        run(&[args, &["--config", config]].concat());
    }
    for format in ["json", "md", "html", "csv"] {
        run(&[
            "sla",
            "report",
            "--provisional",
            "--sla",
            "s",
            "--period",
            period,
            "--format",
            format,
            "--config",
            config,
        ]);
    }
    for args in [
        &["history", "list"][..],
        &["history", "list", "--json"],
        &["history", "verify"],
        &["export", "journal"],
        &["export", "journal", "--tallies"],
        &["export", "timeline"],
        &["export", "openmetrics", "--step", "1d"],
    ] {
        run(&[args, &["--state-dir", state]].concat());
    }
    for n in 1..=Part::ALL.len() + 2 {
        let name = format!("e{n}");
        run(&["probe", &name, "--config", config]);
        run(&["probe", &name, "--json", "--config", config]);
    }
}

/// Every file below a directory, as it lies on disk.
fn files(directory: &Path, surfaces: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(directory).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, surfaces);
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap_or_default();
            surfaces
                .entry(format!("file {}", path.display()))
                .or_default()
                .push_str(&String::from_utf8_lossy(&bytes));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_on_any_surface_of_the_daemon() {
    let secrets = Arc::new(secrets());
    let betrayal = Betrayal::of(&secrets);
    // A quarter of the spellings at a time: this build masks without optimisation, and a daemon
    // that is too busy records "late". The last time it is the log's format that is new.
    let of_text = (0..QUARTERS).map(|first| ("text", "trace", first));
    for (format, level, first) in of_text.chain([("json", "debug", 0)]) {
        let hook: Arc<Mutex<String>> = Arc::default();
        let directory = tempfile::tempdir().expect("a directory");
        let text = config(
            &secrets,
            receiver(hook.clone()).await,
            directory.path(),
            first,
        )
        .await;
        let count = text.matches("[[endpoint]]").count();
        let log = std::fs::File::create(directory.path().join("log")).expect("a log");
        let command = |config: &Path| {
            let mut command = super::daemon::run(config);
            command.args(["--log-format", format, "--log", level]);
            command
        };
        std::fs::create_dir(directory.path().join("out")).expect("made");
        let daemon = Daemon::start_logging(directory.path(), &text, log.into(), command).await;
        let has_all = |d| async move {
            Daemon::json(d, "/api/v1/outages?limit=1000").await["outages"]
                .as_array()
                .is_some_and(|list| list.len() == count)
        };
        daemon.until_within(180, has_all).await;
        daemon
            .until_within(60, |_| async {
                hook.lock().expect("a lock").matches("\"down\"").count() >= count
            })
            .await;
        daemon
            .until(|d| async move {
                d.directory
                    .join("backups")
                    .read_dir()
                    .is_ok_and(|mut list| list.next().is_some())
            })
            .await;
        let mut surfaces: BTreeMap<String, String> = BTreeMap::new();
        for path in [
            "/",
            "/metrics",
            "/runbook",
            "/checkpoint",
            "/api/v1/endpoints",
            "/api/v1/outages?limit=1000",
            "/api/v1/timeline",
            "/api/v1/components",
            "/api/v1/sla",
            "/-/healthy",
            "/-/ready",
        ] {
            surfaces.insert(path.to_owned(), daemon.get(path).await.expect("answered"));
        }
        files(&directory.path().join("state"), &mut surfaces);
        if (format, first) == ("text", 0) {
            printed(
                directory.path(),
                &format!("http://127.0.0.1:{}", daemon.port),
                &mut surfaces,
            );
        }
        surfaces.insert(
            "notifications".to_owned(),
            hook.lock().expect("a lock").clone(),
        );
        let log = daemon.log();
        let (status, _) = daemon.end().await;
        assert_eq!(status, 0);
        for below in ["state", "backups", "out"] {
            files(&directory.path().join(below), &mut surfaces);
        }
        surfaces.insert("log".to_owned(), log);
        for (surface, text) in &surfaces {
            assert!(!text.is_empty() || surface.starts_with("file"), "{surface}");
            assert_eq!(betrayal.in_text(text), None, "{surface}");
        }
        for surface in ["notifications", "/api/v1/endpoints", "log", "backups"] {
            let mut of_this = surfaces.iter().filter(|(name, _)| name.contains(surface));
            assert!(
                of_this.any(|(_, text)| text.contains("<secret>")),
                "{surface}: they were given back"
            );
        }
    }
}

/// What a TLS library says of a certificate that it refuses has the names in it, which the receiver
/// chose, and the host of the URL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_cannot_put_its_secret_url_into_an_error_by_its_certificate() {
    let authority = Authority::new();
    let leaf = authority.leaf(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName(
            "zebra-crossing-7f3a.example".try_into().expect("a name"),
        )]
    });
    let port = super::authority::https(super::authority::acceptor(leaf, &[])).await;
    let url = authority.file(
        "url",
        &format!("https://127.0.0.1:{port}/Zebra-Crossing-7F3A"),
    );
    let config = authority.file(
        "probity.toml",
        &format!("[[notify]]\nname = \"ops\"\nwebhook.url = {{ file = {url:?} }}\n"),
    );
    let mut command = program();
    command
        .args(["notify", "test", "ops", "--config"])
        .arg(config)
        .env("SSL_CERT_FILE", authority.ca_file());
    let output = probity::net::apart::run(move || command.output().expect("runs"))
        .await
        .expect("joined");
    let told = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        told.contains("<secret>") && !told.to_lowercase().contains("zebra"),
        "{told}"
    );
}

#[tokio::test]
async fn a_body_and_the_words_of_a_dialogue_can_be_secret_and_come_back_masked() {
    let directory = tempfile::tempdir().expect("a directory");
    let secret = "Zebra<k3y>&more";
    let file = directory.path().join("secret");
    std::fs::write(&file, format!("{secret}\n")).expect("written");
    // An http server that gives its request's body back, and one that gives back what it hears.
    let web = tcp(move |mut stream| async move {
        read_head(&mut stream).await;
        let mut body = vec![0; secret.len()];
        stream.read_exact(&mut body).await.expect("the body");
        let body = String::from_utf8_lossy(&body).into_owned();
        let answer = format!(
            "HTTP/1.1 500 X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let words = tcp(move |mut stream| async move {
        let mut heard = vec![0; secret.len() + 2];
        stream.read_exact(&mut heard).await.expect("the words");
        let _ = stream.write_all(&heard).await;
    })
    .await;
    let dialogue = |last: &str| {
        let sends = format!("{{ send = {{ file = {file:?} }} }}, {{ send = \"\\r\\n\" }}");
        format!("probe.tcp.address = \"127.0.0.1:{words}\"\nprobe.tcp.dialogue = [{sends}, {last}]")
    };
    let post = format!(
        "probe.http.url = \"http://127.0.0.1:{web}/\"\nprobe.http.method \
            = \"POST\"\nprobe.http.body = {{ file = {file:?} }}"
    );
    for lines in [
        post,
        dialogue("{ expect = \"^never\" }"),
        dialogue("{ expect = \"^Zebra\" }, { expect = \"x\" }"),
    ] {
        let endpoint = endpoint(&format!("timeout = \"1s\"\n{lines}"));
        let told = tokio::task::LocalSet::new()
            .run_until(async { format!("{:?}", run(&Net::default(), &endpoint).await.outcome) })
            .await;
        assert!(told.contains("<secret>") && !told.contains("k3y"), "{told}");
        let printed = probity::config::print::effective(&plan(&format!(
            "[[endpoint]]\nname = \"e\"\n{lines}\n"
        )));
        assert!(
            printed.contains("\"<secret>\"") && !printed.contains("k3y"),
            "{printed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_leaves_no_core() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(directory.path().join("log"))
        .expect("a log");
    let pid = directory.path().join("pid");
    let command = |config: &std::path::Path| {
        // As large as it may be, before.
        let mut command = program_after(&format!(
            "ulimit -S -c $(ulimit -H -c); echo $$ > '{}'",
            pid.display()
        ));
        command.args(["run", "--config"]).arg(config);
        command
    };
    let _daemon = Daemon::start_logging(directory.path(), "", log.into(), command).await;
    let pid = std::fs::read_to_string(&pid).expect("written");
    let limits =
        std::fs::read_to_string(format!("/proc/{}/limits", pid.trim())).expect("a process");
    let core: Vec<&str> = limits
        .lines()
        .find(|l| l.starts_with("Max core file size"))
        .expect("a line")
        .split_whitespace()
        .skip(4)
        .collect();
    assert_eq!(core[..2], ["0", "0"], "{limits}");
}

/// What a probe of each endpoint of a config tells.
async fn all_told(text: &str) -> Vec<String> {
    let (plan, net) = (plan(text), Net::default());
    let mut told = Vec::new();
    let all = async {
        for endpoint in &plan.endpoints {
            told.push(format!("{:?}", run(&net, endpoint).await.outcome));
        }
    };
    tokio::task::LocalSet::new().run_until(all).await;
    told
}

const LONG_TOKEN: &str = concat!(
    "NqVwYS81VP7Hb1dx8pPd5kHXe3PyIGkpAuNaRl63xYkwZeInNCii",
    "A3ANxN9kqhTb0o2sVgLmE4uZrXcJ7fWdKtBiQyMLaMRTveX0",
);

#[tokio::test]
async fn a_secret_in_which_a_segment_of_a_dialogue_ends_is_not_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = secret_file(directory.path(), 0, LONG_TOKEN);
    // The rest comes once what came first has matched.
    for (first, at) in [("220 hello ", 3), ("220 hello ", 60), ("220 hello\n", 7)] {
        for (last, end) in [("^221 ", "\n221 no"), ("[a-z]{3}", "\n")] {
            let port = tcp(move |mut stream| async move {
                let mut line = [0; 256];
                let _ = stream
                    .write_all([first, &LONG_TOKEN[..at]].concat().as_bytes())
                    .await;
                while let Ok(1..) = stream.read(&mut line).await {
                    if line.contains(&b'!') {
                        let _ = stream
                            .write_all([&LONG_TOKEN[at..], end].concat().as_bytes())
                            .await;
                        return;
                    }
                }
            })
            .await;
            let dialogue = format!(
                "{{ send = {{ file = {file:?} }} }}, {{ expect = \"^220 \" }}, {{ send = \"!\" \
                    }}, {{ expect = \"{last}\" }}"
            );
            let told = all_told(&format!(
                "[[endpoint]]\nname = \"e\"\nprobe.tcp.address \
                = \"127.0.0.1:{port}\"\nprobe.tcp.dialogue = [{dialogue}]\n"
            ))
            .await;
            let rest = LONG_TOKEN
                .as_bytes()
                .windows(8)
                .find(|part| told[0].contains(&*String::from_utf8_lossy(part)));
            assert_eq!(
                rest.map(String::from_utf8_lossy),
                None,
                "{first:?} {at} {last}: {}",
                told[0]
            );
        }
    }
}

#[tokio::test]
async fn a_secret_that_is_cut_within_a_text_is_not_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = secret_file(directory.path(), 0, LONG_TOKEN);
    for head in [
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: {LONG_TOKEN}\r\nContent-Length: 1\r\n\r\nx"),
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\r\n{}\r\n",
            &LONG_TOKEN[..3],
            &LONG_TOKEN[3..]
        ),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{LONG_TOKEN}\r\n"),
    ] {
        for strict in ["", "probe.http.strict = true\n"] {
            let port = answering(head.clone()).await;
            let told = all_told(&format!(
                "[[endpoint]]\nname = \"e\"\nprobe.http.url \
                    = \"http://127.0.0.1:{port}/\"\nprobe.http.auth.bearer = {{ file = {file:?} \
                    }}\nprobe.http.expect.body.contains = \"ok\"\n{strict}"
            ))
            .await;
            let lower = told[0].to_lowercase();
            let rest = LONG_TOKEN
                .as_bytes()
                .windows(8)
                .find(|part| lower.contains(&String::from_utf8_lossy(part).to_lowercase()));
            assert_eq!(
                rest.map(String::from_utf8_lossy),
                None,
                "{head}: {}",
                told[0]
            );
        }
    }
}

#[tokio::test]
async fn a_secret_of_another_endpoint_at_the_same_host_is_not_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = secret_file(directory.path(), 0, LONG_TOKEN);
    let page = answering(format!(
        "HTTP/1.1 503 No\r\nContent-Length: 130\r\n\r\nlast seen: Bearer {LONG_TOKEN} {:>11}",
        ""
    ))
    .await;
    let words = tcp(|mut stream| async move {
        let _ = stream
            .write_all(format!("421 {LONG_TOKEN}\r\n").as_bytes())
            .await;
    })
    .await;
    let told = all_told(&format!(
        "[[endpoint]]\nname = \"a\"\nprobe.http.url \
            = \"http://127.0.0.1:{page}/\"\nprobe.http.auth.bearer = {{ file = {file:?} }}\n\
         [[endpoint]]\nname = \"b\"\nprobe.http.url = \"http://127.0.0.1:{page}/\"\n\
         [[endpoint]]\nname = \"c\"\nprobe.http.url \
         = \"http://127.0.0.1:{page}/\"\nprobe.http.headers = {{ X-Key = {{ env = \"TEST_SECRET\" \
         }} }}\n\
         [[endpoint]]\nname = \"d\"\nprobe.tcp.address \
         = \"127.0.0.1:{words}\"\nprobe.tcp.dialogue = [{{ expect = \"^220\" }}]\n"
    ))
    .await;
    assert_eq!(told.len(), 4);
    for told in told {
        assert!(
            told.contains("<secret>") && !told.contains(&LONG_TOKEN[..8]),
            "{told}"
        );
    }
}

/// Refuses a login with the password that it read, shows at /status what it was sent last, and
/// takes everything else. Returns its port and the bodies of messages.
async fn indiscreet(seen: Arc<Mutex<String>>) -> u16 {
    tcp(move |mut stream| {
        let seen = seen.clone();
        async move {
            let head = read_head(&mut stream).await;
            let length = head.to_lowercase().lines().find_map(|line| {
                let length = line.strip_prefix("content-length: ")?;
                length.parse().ok()
            });
            let mut body = vec![0; length.unwrap_or(0)];
            let _ = stream.read_exact(&mut body).await;
            let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let answer = match &*target {
                "/login" => {
                    let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
                    format!(
                        "wrong password {} given",
                        body["password"].as_str().expect("text")
                    )
                }
                "/status" => seen.lock().expect("a lock").clone(),
                _ => {
                    let secret = |line: &&str| line.to_lowercase().starts_with("x-");
                    let headers: Vec<&str> = head.lines().filter(secret).collect();
                    let mut seen = seen.lock().expect("a lock");
                    if !seen.contains(&target) {
                        seen.push_str(&format!("{target} {}; ", headers.join(", ")));
                    }
                    "fine".to_owned()
                }
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
                answer.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_in_a_body_and_what_is_sent_to_the_same_host_by_others_are_not_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let seen: Arc<Mutex<String>> = Arc::default();
    let port = indiscreet(seen.clone()).await;
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let body = file("body", r#"{"user":"prober-1","password":"zebra7\"q"}"#);
    let (witness, header) = (file("w", "zebra-witness-1"), file("h", "zebra-header-2"));
    let hook = file(
        "hook",
        &format!("http://127.0.0.1:{port}/hook/zebra-path-3"),
    );
    let text = format!(
        "[defaults]\ninterval = \"500ms\"\ntimeout = \"400ms\"\nretry_interval = \"100ms\"\n\
         [[endpoint]]\nname = \"login\"\nprobe.http.url = \"http://127.0.0.1:{port}/login\"\n\
         probe.http.method = \"POST\"\nprobe.http.body = {{ file = {body:?} }}\n\
         probe.http.expect.body.contains = \"welcome\"\n\
         [[endpoint]]\nname = \"status\"\nprobe.http.url = \"http://127.0.0.1:{port}/status\"\n\
         probe.http.expect.body.not_contains = \"hook\"\n\
         [[witness.endpoint]]\nname = \"w\"\nprobe.http.url = \"http://127.0.0.1:{port}/w\"\n\
         probe.http.headers.x-api-key = {{ file = {witness:?} }}\n\
         [[notify]]\nname = \"ops\"\nwebhook.url = {{ file = {hook:?} }}\n\
         webhook.headers.x-hook = {{ file = {header:?} }}\n"
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("login", "down").await;
    // It is down once the message of the other has come in.
    daemon.until_state("status", "down").await;
    let mut told = daemon.log();
    for path in [
        "/",
        "/api/v1/endpoints",
        "/api/v1/outages?limit=100",
        "/metrics",
    ] {
        told.push_str(&daemon.get(path).await.expect("answered"));
    }
    assert!(told.contains("wrong password <secret> given"), "{told}");
    assert!(told.contains("x-hook: <secret>"), "{told}");
    assert!(!told.contains("zebra"), "{told}");
    let sent = seen.lock().expect("a lock").clone();
    for secret in ["zebra-witness-1", "zebra-header-2", "zebra-path-3"] {
        assert!(sent.contains(secret), "{sent}");
    }
    // A file that is being written: the config that the daemon has stays.
    std::fs::write(&body, "").expect("written");
    let refused = daemon.reload().await.expect_err("refused");
    assert!(refused.contains("is empty"), "{refused}");
    assert_eq!(daemon.state("login").await, "down");
    assert_eq!(daemon.end().await.0, 0);
}

/// Names in which a secret takes long to look for, in a certificate that has a hundred of them.
async fn many_named(authority: &Authority, name: &str) -> u16 {
    let leaf = authority.leaf(|params| {
        let names = (0..100).map(|n| format!("{n}{}", name.repeat(240 / name.len())));
        params
            .subject_alt_names
            .extend(names.filter_map(|name| name.try_into().ok().map(rcgen::SanType::DnsName)));
    });
    let acceptor = super::authority::acceptor(leaf, &[]);
    tcp(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let _held = acceptor.accept(stream).await;
            std::future::pending::<()>().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_certificate_whose_names_take_long_to_look_through_does_not_explain_a_timeout() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().expect("a directory"));
    let file = secret_file(
        directory.path(),
        0,
        "&&&&Zebra-crossing-4711-/%&with-a-long-tail",
    );
    for name in ["&", "%26"] {
        let port = many_named(&authority, name).await;
        let report = probe(&format!(
            "timeout = \"500ms\"\nprobe.http.url = \"https://127.0.0.1:{port}/\"\n\
                probe.http.tls.ca_file = {:?}\n{}",
            authority.ca_file(),
            sent(0, &file)
        ))
        .await;
        assert_eq!(cause(&report), Cause::FirstByteTimeout);
        let took_ns = report.stood_ns - report.started_ns;
        assert_eq!(fault::held_up(None, took_ns, 500), None, "{took_ns}");
        let names = &report
            .outcome
            .facts()
            .and_then(|facts| facts.certificate.as_ref());
        let is_shown = |name: &String| !name.starts_with("(not shown");
        let count = names.map(|c| c.names.iter().filter(|n| is_shown(n)).count());
        assert!(count < Some(100), "{count:?}: the work has no end");
    }
}
