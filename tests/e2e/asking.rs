//! Who may ask the daemon what: `Host`, tokens, foreign pages, and what every answer carries.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::cli::{checked, probity};
use super::daemon::{Daemon, http, write_config};
use super::serve::closed_port;
use super::waiting::comes_true;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Status line and headers in lower case, and the body.
async fn asked(daemon: &Daemon, line: &str, headers: &str) -> (String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", daemon.port))
        .await
        .expect("connected");
    let request = format!("{line} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_lowercase(), body.to_owned())
}

async fn status(daemon: &Daemon, line: &str, headers: &str) -> String {
    asked(daemon, line, headers).await.0[9..12].to_owned()
}

async fn rejected(daemon: &Daemon, reason: &str) -> f64 {
    daemon
        .metric(&format!(
            "probity_http_rejected_total{{reason=\"{reason}\"}}"
        ))
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_was_led_to_loopback_reads_nothing_and_the_refusal_names_the_key() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = Daemon::start(
        directory.path(),
        &format!(
            "[listen]\nallowed_hosts = [\"Probity.internal\"]\n{}",
            http("a", closed_port())
        ),
    )
    .await;
    for path in [
        "/metrics",
        "/",
        "/api/v1/endpoints",
        "/api/v1/outages",
        "/checkpoint",
        "/runbook",
        "/-/healthy",
        "/nothing",
    ] {
        let (head, body) = asked(
            &daemon,
            &format!("GET {path}"),
            "Host: rebound.example:9847\r\n",
        )
        .await;
        assert!(head.starts_with("http/1.1 421 "), "{path}: {head}");
        assert!(
            body.contains("`rebound.example:9847`") && body.contains("`[listen] allowed_hosts"),
            "{body}"
        );
    }
    assert_eq!(rejected(&daemon, "host").await, 8.0);
    for host in ["localhost", "127.0.0.1:1", "[::1]", "probity.internal:9847"] {
        assert_eq!(
            status(&daemon, "GET /metrics", &format!("Host: {host}\r\n")).await,
            "200",
            "{host}"
        );
    }
    assert_eq!(
        status(
            &daemon,
            "GET http://rebound.example/metrics",
            "Host: localhost\r\n"
        )
        .await,
        "421"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_token_nothing_is_reloaded_over_http_and_the_refusal_names_the_ways() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = Daemon::start(directory.path(), &http("a", closed_port())).await;
    let (head, body) = asked(&daemon, "POST /-/reload", "Host: localhost\r\n").await;
    assert!(head.starts_with("http/1.1 403 "), "{head}");
    for way in [
        "`probity reload`",
        "control socket",
        "SIGHUP",
        "`[listen] token`",
    ] {
        assert!(body.contains(way), "{body}");
    }
    assert_eq!(
        status(
            &daemon,
            "POST /-/reload",
            "Host: localhost\r\nX-Forwarded-For: 127.0.0.1\r\n"
        )
        .await,
        "403"
    );
    assert_eq!(rejected(&daemon, "forbidden").await, 2.0);
    assert!(!daemon.log().contains("reloaded"), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_reloads_for_programs_and_never_for_a_foreign_page_and_quotes_no_fault() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).expect("written");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .expect("set");
    let text = format!(
        "[listen]\ntoken = {{ file = {file:?} }}\n{}",
        http("a", closed_port())
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    let own = format!("localhost:{}", daemon.port);
    let asks = async |headers: &str| {
        asked(
            &daemon,
            "POST /-/reload",
            &format!("Host: {own}\r\n{headers}"),
        )
        .await
    };
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let (head, body) = asks("").await;
    assert!(
        head.starts_with("http/1.1 401 ") && head.contains("\r\nwww-authenticate: bearer"),
        "{head}"
    );
    assert!(!body.contains(TOKEN));
    assert!(
        asks(&format!(
            "Authorization: Bearer {}\r\n",
            TOKEN.replace('f', "e")
        ))
        .await
        .0
        .starts_with("http/1.1 401 ")
    );
    assert!(
        asks("X-Forwarded-For: 127.0.0.1\r\n")
            .await
            .0
            .starts_with("http/1.1 401 "),
        "a proxy's word is none"
    );
    for foreign in [
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Origin: http://rebound.example",
        "Origin: null",
    ] {
        assert!(
            asks(&format!("{bearer}{foreign}\r\n"))
                .await
                .0
                .starts_with("http/1.1 403 "),
            "{foreign}"
        );
    }
    assert!(!daemon.log().contains("reloaded"), "{}", daemon.log());
    for own in [
        "",
        "X-Forwarded-For: 192.0.2.1\r\n",
        "Sec-Fetch-Site: same-origin\r\n",
    ] {
        let (head, body) = asks(&format!("{bearer}{own}")).await;
        assert!(
            head.starts_with("http/1.1 200 ") && body.starts_with("reloaded: "),
            "{own}: {head}"
        );
    }
    // Lines are written apart from the answers.
    let logged =
        |text: &'static str| daemon.until(move |d| std::future::ready(d.log().contains(text)));
    logged("forwarded_for=\"192.0.2.1\"").await;
    write_config(
        directory.path(),
        daemon.port,
        &text.replace("[[endpoint]]", "[[endpoint]]\nplanted = 1"),
    );
    let (head, body) = asks(&bearer).await;
    assert!(head.starts_with("http/1.1 400 "), "{head}");
    assert_eq!(body, "the config was refused: see the daemon's log\n");
    logged("unknown key `planted`").await;
    // The user of the daemon can read the config, and is told.
    let state = directory.path().join("state");
    let place = ["--state-dir", state.to_str().expect("UTF-8")];
    let refused = probity(&[&["reload"][..], &place].concat());
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("unknown key `planted`"));
    write_config(directory.path(), daemon.port, &text);
    let answer = probity(&[&["reload", "--json"][..], &place].concat());
    assert_eq!(answer.status.code(), Some(0));
    checked(&answer.stdout);
    let value: Value = serde_json::from_slice(&answer.stdout).expect("JSON");
    assert_eq!(
        value["summary"],
        "reloaded: 0 endpoints added, 0 removed, 0 changed, 1 unchanged"
    );
    // That others can write to the state directory is no fault of the config.
    let mode = |bits| std::os::unix::fs::PermissionsExt::from_mode(bits);
    std::fs::set_permissions(&state, mode(0o777)).expect("set");
    let (head, body) = asks(&bearer).await;
    std::fs::set_permissions(&state, mode(0o700)).expect("set");
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    assert_eq!(
        body,
        "the config could not be reloaded: see the daemon's log\n"
    );
    assert!(!daemon.log().contains(TOKEN));
    assert!(
        daemon.log().contains(&format!(
            "every user can read the secret {0}; run: chmod o-r {0}",
            file.display()
        )),
        "{}",
        daemon.log()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_are_not_to_be_guessed_and_pages_take_their_own_script_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = Daemon::start(directory.path(), &http("a", closed_port())).await;
    for line in [
        "GET /",
        "GET /metrics",
        "GET /api/v1/endpoints",
        "GET /api/v1/outages?since=x",
        "GET /runbook",
        "GET /endpoints/a",
        "GET /contracts",
        "GET /prober",
        "GET /page.css",
        "GET /page.js",
        "GET /nothing",
        "POST /-/reload",
        "G@T /",
    ] {
        let (head, _) = asked(&daemon, line, "Host: localhost\r\n").await;
        assert!(
            head.contains("\r\nx-content-type-options: nosniff"),
            "{line}: {head}"
        );
        assert_eq!(
            head.contains("text/html"),
            head.contains("\r\ncontent-security-policy: default-src 'none'; "),
            "{line}: {head}"
        );
        let takes_scripts = ["GET /", "GET /endpoints/a", "GET /contracts", "GET /prober"];
        let policy = head
            .lines()
            .find(|l| l.starts_with("content-security-policy"));
        assert_eq!(
            policy.is_some_and(|policy| policy.contains("script-src 'self'; ")),
            takes_scripts.contains(&line),
            "{line}: {head}"
        );
    }
    assert_eq!(
        status(&daemon, "GET /metrics", "Host: rebound.example\r\n").await,
        "421"
    );
    let (head, _) = asked(&daemon, "GET /metrics", "Host: rebound.example\r\n").await;
    assert!(
        head.contains("\r\nx-content-type-options: nosniff"),
        "{head}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_for_others_says_who_can_read_what() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("probity.toml");
    let check = |listen: &str| {
        std::fs::write(&config, format!("{listen}\n{}", http("a", closed_port())))
            .expect("written");
        let output = probity(&["check", "--config", config.to_str().expect("UTF-8")]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = check("[listen]\naddress = \"0.0.0.0:9847\"");
    let line = said
        .lines()
        .find(|l| l.contains("every client that reaches 0.0.0.0:9847 can read"))
        .expect("a note");
    assert!(line.contains("nothing can be changed over HTTP"), "{line}");
    assert!(!check("[listen]\naddress = \"127.0.0.1:9847\"").contains("every client that reaches"));
    let log = std::fs::File::create(directory.path().join("log")).expect("a log");
    let port = closed_port();
    let text = format!(
        "[listen]\naddress = \"0.0.0.0:{port}\"\n{}",
        http("a", closed_port())
    );
    std::fs::write(
        &config,
        format!(
            "[daemon]\nstate_dir = {:?}\n{text}",
            directory.path().join("state")
        ),
    )
    .expect("written");
    let mut child = super::daemon::run(&config)
        .stderr(log)
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("spawned");
    let said = || std::fs::read_to_string(directory.path().join("log")).expect("a log");
    // The daemon is ended before the test fails.
    comes_true(std::time::Duration::from_secs(20), || {
        std::future::ready(said().contains("can read metrics"))
    })
    .await;
    let said = said();
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert!(
        said.contains(&format!(
            "every client that reaches 0.0.0.0:{port} can read metrics"
        )),
        "{said}"
    );
}
