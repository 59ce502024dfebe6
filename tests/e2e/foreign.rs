//! Text of foreign programs on a terminal and in the log: shown, and never done.

use super::cli::probity;
use super::daemon::Daemon;
use super::serve::{answering, ok};

/// Moves the cursor, colours, retitles, deletes, turns the direction.
const FOREIGN: &str = "x\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{7f}\u{202e}y";

fn is_obeyed(c: char) -> bool {
    probity::words::is_invisible(c) && !matches!(c, '\n' | '\t')
}

fn clean(what: &str, bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    assert!(!text.contains(is_obeyed), "{what}: {text:?}");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_daemon_moves_no_cursor_by_its_status() {
    let value = serde_json::json!({"schema": "probity-endpoints/1", "recorded": true, "endpoints": [
        {"name": FOREIGN, "state": FOREIGN, "since": FOREIGN,
            "last": {"result": FOREIGN, "cause": FOREIGN, "duration_ms": 1.0}}
    ]});
    // Serialized without escapes of C1 and directions, as JSON may be.
    let port = answering(ok(
        "Content-Type: application/json\r\n",
        value.to_string().as_bytes(),
    ))
    .await;
    let url = format!("http://127.0.0.1:{port}");
    let shown = probity(&["status", "--url", &url]);
    let table = clean("status", &shown.stdout);
    assert!(
        table.contains("x\\u{1b}[2J") && table.contains("\\u{202e}y"),
        "{table}"
    );
    let shown = probity(&["status", "--url", &url, "--json"]);
    let json = clean("status --json", &shown.stdout);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&json).expect("JSON"),
        value
    );
    let odd =
        answering(format!("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{FOREIGN}").into_bytes())
            .await;
    let shown = probity(&[
        "status",
        "--url",
        &format!("http://127.0.0.1:{odd}/{FOREIGN}"),
    ]);
    assert_eq!(shown.status.code(), Some(69));
    clean("an error", &shown.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probed_server_moves_no_cursor_in_a_probe_or_in_the_log() {
    let port = answering(ok(
        &format!(
            "X-Title: {}\r\n",
            FOREIGN.replace(['\u{7}', '\u{7f}', '\u{1b}'], "")
        ),
        FOREIGN.as_bytes(),
    ))
    .await;
    let url = format!("http://127.0.0.1:{port}/");
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "[defaults]\ninterval = \"300ms\"\ntimeout = \"200ms\"\nretry_interval \
            = \"100ms\"\n[[endpoint]]\nname = \"a\"\nprobe.http.url \
            = \"{url}\"\nprobe.http.expect.body.contains = \"nothing\"\n"
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("a", "down").await;
    let log = clean("log", daemon.log().as_bytes());
    assert!(log.contains("down"), "{log}");
    let config = directory.path().join("probity.toml");
    for more in [&[][..], &["--json"]] {
        let shown = probity(
            &[
                &["probe", "a", "--config", config.to_str().expect("UTF-8")][..],
                more,
            ]
            .concat(),
        );
        assert_eq!(shown.status.code(), Some(1));
        clean("probe", &shown.stdout);
        clean("probe", &shown.stderr);
    }
}
