//! Secrets that an endpoint gives back, in every spelling: none is on any surface.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use probity::outward::net::Net;
use probity::outward::probe::run;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::cli::probity;
use super::daemon::Daemon;
use super::serve::*;

/// 40 of them, with everything that some encoding treats in its own way.
fn secrets() -> Vec<String> {
    let odd = ["+", "/", "=", "&", "\"", "\\", "%", " ", "ä", "ö", "ß", "'", "<", ">", "?", "#", ";", ":", "@", "+/=&"];
    (0..40)
        .map(|n| {
            let (a, b) = (odd[n % odd.len()], odd[(n * 7 + 3) % odd.len()]);
            format!("S{n}x{a}zebra{b}Q{}k", n * n + 1000)
        })
        .collect()
}

fn percent(text: &str, keep: &str, form: bool, upper: bool) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b' ' if form => out.push('+'),
            _ if byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte) => out.push(char::from(byte)),
            _ if upper => drop(write!(out, "%{byte:02X}")),
            _ => drop(write!(out, "%{byte:02x}")),
        }
        out
    })
}

/// The spellings in which a server gives it back.
fn spelled(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).expect("a string");
    let json = json.trim_matches('"').to_owned();
    let ascii: String = json.chars().map(|c| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) }).collect();
    let go: String = ascii.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e").replace('/', "\\/");
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;");
    let numbers: String = secret.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("&#x{:X};", u32::from(c)) }).collect();
    vec![
        secret.to_owned(),
        percent(secret, "-._~", false, true),
        percent(secret, "-._~", false, false),
        percent(secret, "*-._", true, true),
        percent(secret, "!$&'()*+,;=:@/-._~", false, false),
        STANDARD.encode(secret),
        URL_SAFE.encode(format!("u:{secret}")),
        STANDARD.encode(format!("ab{secret}cd")),
        json,
        ascii,
        go,
        html,
        numbers,
    ]
}

/// A server that gives back the secret of the path `/N/W` in spelling W, where a header or the body would have it.
async fn echo(secrets: Arc<Vec<String>>) -> u16 {
    tcp(move |mut stream| {
        let secrets = secrets.clone();
        async move {
            let head = read_head(&mut stream).await;
            let mut path = head.split([' ', '?']).nth(1).unwrap_or_default().split('/').skip(1).map(|n| n.parse::<usize>().unwrap_or(0));
            let (n, way) = (path.next().unwrap_or(0), path.next().unwrap_or(0));
            let text = spelled(&secrets[n])[way].clone();
            let answer = match way % 3 {
                0 => format!("HTTP/1.1 500 Error\r\nX-Echo: {text}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len()),
                // Cut in the middle of it.
                1 => {
                    let body = format!("{}{text}{text}", "x".repeat(108));
                    format!("HTTP/1.1 200 OK\r\nX-Echo: {text}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
                }
                _ => format!(
                    "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:99999/{}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    text.replace(' ', "%20")
                ),
            };
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
            let mut rest = [0; 64];
            while matches!(stream.read(&mut rest).await, Ok(n) if n > 0) {}
        }
    })
    .await
}

/// What would give a secret away: each spelling, and what is left of it when it is cut.
fn betrays(text: &str, secret: &str) -> Option<String> {
    let marked = |spelling: &str| spelling.chars().take(9).collect::<String>();
    let first = |spelling: &str| (spelling.len() > 8).then(|| marked(spelling));
    spelled(secret).iter().filter_map(|s| first(s)).find(|s| text.contains(s.as_str()))
}

fn config(secrets: &[String], port: u16, directory: &std::path::Path) -> String {
    let mut text = String::from("[defaults]\ninterval = \"1s\"\ntimeout = \"900ms\"\nretry_interval = \"100ms\"\n");
    let ways = spelled("x").len();
    for (n, secret) in secrets.iter().enumerate() {
        let file = directory.join(format!("secret{n}"));
        std::fs::write(&file, secret).expect("written");
        let what = match n % 4 {
            0 => format!("probe.http.auth.bearer = {{ file = {file:?} }}"),
            1 => format!("probe.http.auth.basic = {{ username = \"user\", password = {{ file = {file:?} }} }}"),
            2 => format!("probe.http.headers = {{ \"X-Api-Key\" = {{ file = {file:?} }} }}"),
            _ => format!("probe.http.query = {{ token = {{ file = {file:?} }} }}"),
        };
        let way = n % ways;
        let _ = write!(
            text,
            "[[endpoint]]\nname = \"e{n}\"\nprobe.http.url = \"http://127.0.0.1:{port}/{n}/{way}\"\n{what}\nprobe.http.expect.status = [200, 500]\nprobe.http.expect.headers.x-echo = {{ equals = \"nothing\" }}\nprobe.http.expect.body.contains = \"nothing\"\n"
        );
    }
    text
}

#[tokio::test]
async fn no_spelling_of_a_secret_is_in_what_a_probe_tells() {
    let secrets = Arc::new(secrets());
    let port = echo(secrets.clone()).await;
    let directory = tempfile::tempdir().expect("a directory");
    let mut looked = 0;
    for (n, secret) in secrets.iter().enumerate() {
        let file = directory.path().join(format!("secret{n}"));
        std::fs::write(&file, secret).expect("written");
        // One spec for all ways, as the targets of a group share one.
        let ways: String = (0..spelled(secret).len()).map(|way| format!("w{way} = \"http://127.0.0.1:{port}/{n}/{way}\"\n")).collect();
        let group = plan(&format!(
            "[group.g]\nprobe.http.headers = {{ \"X-Api-Key\" = {{ file = {file:?} }} }}\nprobe.http.expect.status = [200, 500]\nprobe.http.expect.headers.x-echo = {{ equals = \"nothing\" }}\nprobe.http.expect.body.contains = \"nothing\"\n[group.g.targets]\n{ways}"
        ));
        let net = Net::default();
        let all = async {
            for endpoint in &group.endpoints {
                let told = format!("{:?}", run(&net, endpoint).await.outcome);
                assert!(told.contains("<secret>"), "{secret} at {}: it was not even given back: {told}", endpoint.name);
                assert_eq!(betrays(&told, secret), None, "{secret} at {}: {told}", endpoint.name);
                looked += 1;
            }
        };
        tokio::task::LocalSet::new().run_until(all).await;
    }
    assert_eq!(looked, 40 * 13);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_on_any_surface_of_the_daemon() {
    let secrets = Arc::new(secrets());
    let port = echo(secrets.clone()).await;
    let hook: Arc<Mutex<String>> = Arc::default();
    let received = hook.clone();
    let receiver = tcp(move |mut stream| {
        let received = received.clone();
        async move {
            let head = read_head(&mut stream).await;
            let length = head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ").and_then(|n| n.parse().ok())).unwrap_or(0);
            let mut body = vec![0; length];
            let _ = stream.read_exact(&mut body).await;
            received.lock().expect("a lock").push_str(&String::from_utf8_lossy(&body));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        }
    })
    .await;
    let directory = tempfile::tempdir().expect("a directory");
    let url = directory.path().join("hook.url");
    std::fs::write(&url, format!("http://127.0.0.1:{receiver}/")).expect("written");
    let text = format!("{}[[notify]]\nname = \"ops\"\nwebhook.url = {{ file = {url:?} }}\n", config(&secrets, port, directory.path()));
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until(|d| async move { d.json("/api/v1/outages").await["outages"].as_array().is_some_and(|list| list.len() == 40) }).await;
    daemon.until(|_| async { hook.lock().expect("a lock").matches("\"down\"").count() >= 40 }).await;
    let mut surfaces: BTreeMap<&str, String> = BTreeMap::new();
    for path in ["/", "/metrics", "/api/v1/endpoints", "/api/v1/outages", "/api/v1/components"] {
        surfaces.insert(path, daemon.get(path).await.expect("answered"));
    }
    let config = directory.path().join("probity.toml");
    let (config, state) = (config.to_str().expect("UTF-8"), directory.path().join("state"));
    let state = state.to_str().expect("UTF-8");
    let base = format!("http://127.0.0.1:{}", daemon.port);
    let told = |args: &[&str]| {
        let output = probity(args);
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    surfaces.insert("status", told(&["status", "--url", &base]));
    surfaces.insert("history list", told(&["history", "list", "--state-dir", state]));
    surfaces.insert("history list --json", told(&["history", "list", "--json", "--state-dir", state]));
    surfaces.insert("journal", told(&["export", "journal", "--state-dir", state]));
    surfaces.insert("check --print", told(&["check", "--print", "--config", config]));
    for n in 0..8 {
        let name = format!("e{n}");
        surfaces.entry("probe").or_default().push_str(&told(&["probe", &name, "--config", config]));
        surfaces.entry("probe --json").or_default().push_str(&told(&["probe", &name, "--json", "--config", config]));
    }
    surfaces.insert("log", daemon.log());
    surfaces.insert("notifications", hook.lock().expect("a lock").clone());
    let (status, _) = daemon.end().await;
    assert_eq!(status, 0);
    for file in ["history.sqlite", "history.sqlite-wal"] {
        let bytes = std::fs::read(directory.path().join("state").join(file)).unwrap_or_default();
        surfaces.entry("database").or_default().push_str(&String::from_utf8_lossy(&bytes));
    }
    for (surface, text) in &surfaces {
        assert!(!text.is_empty(), "{surface}");
        for secret in secrets.iter() {
            assert_eq!(betrays(text, secret), None, "{surface} shows {secret}");
        }
    }
    assert!(surfaces["notifications"].contains("<secret>") && surfaces["/api/v1/endpoints"].contains("<secret>"), "they were given back");
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
        let answer = format!("HTTP/1.1 500 X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
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
    let post = format!("probe.http.url = \"http://127.0.0.1:{web}/\"\nprobe.http.method = \"POST\"\nprobe.http.body = {{ file = {file:?} }}");
    for lines in [post, dialogue("{ expect = \"^never\" }"), dialogue("{ expect = \"^Zebra\" }, { expect = \"x\" }")] {
        let endpoint = endpoint(&format!("timeout = \"1s\"\n{lines}"));
        let told = tokio::task::LocalSet::new().run_until(async { format!("{:?}", run(&Net::default(), &endpoint).await.outcome) }).await;
        assert!(told.contains("<secret>") && !told.contains("k3y"), "{told}");
        let printed = probity::config::print::effective(&plan(&format!("[[endpoint]]\nname = \"e\"\n{lines}\n")));
        assert!(printed.contains("\"<secret>\"") && !printed.contains("k3y"), "{printed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_leaves_no_core() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = std::fs::File::options().create(true).append(true).open(directory.path().join("log")).expect("a log");
    let pid = directory.path().join("pid");
    let command = |config: &std::path::Path| {
        let mut command = std::process::Command::new("sh");
        // As large as it may be, before.
        let script = "ulimit -S -c $(ulimit -H -c); echo $$ > \"$2\"; exec \"$0\" run --config \"$1\"";
        command.args(["-c", script, env!("CARGO_BIN_EXE_probity")]).arg(config).arg(&pid);
        command
    };
    let _daemon = Daemon::start_logging(directory.path(), "", log.into(), command).await;
    let pid = std::fs::read_to_string(&pid).expect("written");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", pid.trim())).expect("a process");
    let core: Vec<&str> = limits.lines().find(|l| l.starts_with("Max core file size")).expect("a line").split_whitespace().skip(4).collect();
    assert_eq!(core[..2], ["0", "0"], "{limits}");
}
