//! Secrets that a reload replaces, and those of other hosts that a redirect leads to: none is
//! shown, whenever a server gives it back.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use probity::kind::run::run;
use probity::net::authorities::Authorities;
use probity::net::resolve::Paths;
use probity::net::shared::Net;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use super::daemon::{Daemon, write_config};
use super::serve::*;

const OLD: &str = "zebra-token-of-before";
const NEW: &str = "zebra-token-that-is-new";

/// What a server was sent: tokens, and the path of a request that waits for another.
type Seen = Arc<watch::Sender<BTreeSet<String>>>;

/// Notes the tokens that it is sent. `/late` shows all of them, and `/slow` does so when it was
/// sent the new one.
async fn chatty() -> (u16, Seen) {
    let seen = Seen::default();
    let heard = seen.clone();
    let port = tcp(move |mut stream| {
        let seen = seen.clone();
        async move {
            let head = read_head(&mut stream).await;
            let bearer = |line: &str| line.rsplit_once("Bearer ").map(|(_, t)| t.to_owned());
            if let Some(token) = head.lines().find_map(bearer) {
                seen.send_if_modified(|seen| seen.insert(token));
            }
            if head.starts_with("GET /slow ") {
                seen.send_if_modified(|seen| seen.insert("/slow".to_owned()));
                until_seen(&seen, NEW).await;
            }
            let body = if head.starts_with("GET /quiet ") {
                "fine".to_owned()
            } else {
                let seen = seen.borrow();
                let all: Vec<&str> = seen
                    .iter()
                    .map(String::as_str)
                    .filter(|s| *s != "/slow")
                    .collect();
                format!("{} seen: {}", all.len(), all.join(" and "))
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    (port, heard)
}

async fn until_seen(seen: &Seen, what: &str) {
    let is_there = |seen: &BTreeSet<String>| seen.contains(what);
    seen.subscribe().wait_for(is_there).await.expect("a sender");
}

async fn surfaces(daemon: &Daemon) -> String {
    let mut told = daemon.log();
    for path in ["/", "/api/v1/endpoints", "/api/v1/outages?limit=100"] {
        told.push_str(&daemon.get(path).await.expect("answered"));
    }
    told
}

async fn detail(daemon: &Daemon, name: &str) -> String {
    let endpoint = daemon.endpoint(name).await;
    endpoint["last"]["detail"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn config(port: u16, token: &Path, more: &str) -> String {
    let at = |name: &str, path: &str, keys: &str| {
        format!(
            "[[endpoint]]\nname = \"{name}\"\nprobe.http.url = \"http://127.0.0.1:{port}{path}\"\n\
             {keys}\n"
        )
    };
    let bearer = format!("probe.http.auth.bearer = {{ file = {token:?} }}");
    let expect = "probe.http.expect.body.contains = \"nothing\"";
    let slow = format!("interval = \"1s\"\ntimeout = \"50s\"\ndown_after = 1\n{expect}");
    [
        "[defaults]\ninterval = \"500ms\"\ntimeout = \"400ms\"\nretry_interval = \"100ms\"\n",
        &at("sender", "/quiet", &bearer),
        &at("late", "/late", expect),
        &at("slow", "/slow", &slow),
        more,
    ]
    .concat()
}

/// A probe that began before the reload is told the new token, and later ones the old one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_masked_in_probes_that_began_before_and_after_it_was_replaced() {
    let directory = tempfile::tempdir().expect("a directory");
    let (token, (port, seen)) = (directory.path().join("token"), chatty().await);
    std::fs::write(&token, OLD).expect("written");
    let daemon = Daemon::start(directory.path(), &config(port, &token, "")).await;
    let says = |name: &'static str, count: &'static str| {
        daemon.until(move |d| async move { detail(d, name).await.contains(count) })
    };
    says("late", "1 seen: <secret>").await;
    until_seen(&seen, "/slow").await;
    std::fs::write(&token, NEW).expect("written");
    daemon.reload().await.expect("reloaded");
    says("slow", "2 seen: <secret> and <secret>").await;
    says("late", "2 seen: <secret> and <secret>").await;
    let told = surfaces(&daemon).await;
    assert!(!told.contains("zebra"), "{told}");
    assert_eq!(daemon.end().await.0, 0);
}

/// The same where an endpoint that comes with the reload sends a token of its own at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_of_an_endpoint_that_a_reload_brings_is_masked_in_a_probe_under_way() {
    let directory = tempfile::tempdir().expect("a directory");
    let (token, (port, seen)) = (directory.path().join("token"), chatty().await);
    std::fs::write(&token, OLD).expect("written");
    let daemon = Daemon::start(directory.path(), &config(port, &token, "")).await;
    daemon.until_state("late", "down").await;
    until_seen(&seen, "/slow").await;
    let other = directory.path().join("other");
    std::fs::write(&other, NEW).expect("written");
    let more = format!(
        "[[endpoint]]\nname = \"second\"\nprobe.http.url = \"http://127.0.0.1:{port}/quiet\"\n\
         probe.http.auth.bearer = {{ file = {other:?} }}\n"
    );
    write_config(directory.path(), daemon.port, &config(port, &token, &more));
    daemon.reload().await.expect("reloaded");
    daemon.until_state("slow", "down").await;
    daemon
        .until(|d| async move { detail(d, "slow").await.contains("2 seen: ") })
        .await;
    let told = surfaces(&daemon).await;
    assert!(!told.contains("zebra"), "{told}");
    assert_eq!(daemon.end().await.0, 0);
}

/// What probes of `sender`, `header`, `url` and `name` tell, with and without the masks of the
/// plan: the latter shows that the server's words are in the texts.
#[tokio::test]
async fn a_secret_of_a_host_that_a_redirect_leads_to_is_masked() {
    const TOKEN: &str = "hunter2-planted";
    let there = tcp(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let to = |location: &str| {
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
        };
        let answer = match head.split(' ').nth(1) {
            Some("/url") => to(&format!("/at/{TOKEN}")),
            Some("/name") => to(&format!("http://{TOKEN}.example/")),
            _ => format!("HTTP/1.1 200 OK\r\nX-A: {TOKEN}\r\nContent-Length: 0\r\n\r\n"),
        };
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let first = tcp(move |mut stream| async move {
        let head = read_head(&mut stream).await;
        let path = head.split(' ').nth(1).unwrap_or_default();
        let answer = format!(
            "HTTP/1.1 302 Found\r\nLocation: http://LocalHost.:{there}{path}\r\n\
             Content-Length: 0\r\n\r\n"
        );
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let led = |name: &str, keys: &str| {
        format!(
            "[[endpoint]]\nname = \"{name}\"\nprobe.http.url = \"http://127.0.0.1:{first}/{name}\"\
             \n{keys}\n"
        )
    };
    let text = [
        format!(
            "[[endpoint]]\nname = \"sender\"\nprobe.http.url = \"http://localhost:{there}/\"\n\
             probe.http.auth.bearer = {{ env = \"TEST_SECRET\" }}\n"
        ),
        led("header", "probe.http.expect.headers = { x-a = \"q\" }"),
        led("url", "probe.http.expect.final_url = \"^q$\""),
        led("name", ""),
    ]
    .concat();
    let directory = tempfile::tempdir().expect("a directory");
    let paths = Paths {
        resolv_conf: directory.path().join("resolv.conf"),
        hosts: directory.path().join("hosts"),
        port: closed_port(),
    };
    std::fs::write(
        &paths.hosts,
        format!("127.0.0.1 localhost\n0.0.0.0 {TOKEN}.example\n"),
    )
    .expect("written");
    std::fs::write(&paths.resolv_conf, "nameserver 127.0.0.1\n").expect("written");
    let plan = plan(&text);
    let told = async |net: &Net, name: &str| {
        let endpoint = plan.endpoints.iter().find(|e| e.name.as_str() == name);
        format!(
            "{:?}",
            run(net, endpoint.expect("configured")).await.outcome
        )
    };
    let all = async {
        let net = Net::new(paths, Authorities::of_the_system(), Arc::default());
        for name in ["header", "url", "name"] {
            let told = told(&net, name).await;
            assert!(told.contains(TOKEN), "{name}: {told}");
        }
        net.masks.take_over(&plan.masks, 0);
        for name in ["header", "url", "name"] {
            let told = told(&net, name).await;
            assert!(told.contains("<secret>"), "{name}: {told}");
            assert!(!told.contains("planted"), "{name}: {told}");
        }
    };
    tokio::task::LocalSet::new().run_until(all).await;
}
