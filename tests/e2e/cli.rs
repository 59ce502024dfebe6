//! The command line: exit codes, and JSON that fits its schema in docs/schemas.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use super::daemon::{Daemon, write_config};
use super::program::program;
use super::schema::fits;
use super::serve::{answering, closed_port, ok};

pub fn probity(args: &[&str]) -> Output {
    // A newer copy of the zone data on this host would be a note in what `check` says.
    // So would a proxy that the environment names.
    let mut command = program();
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command.env_remove(name);
    }
    command
        .args(args)
        .env("TZDIR", "/not/there")
        .output()
        .expect("runs")
}

/// JSON that names its schema and fits it.
pub fn checked(text: &[u8]) -> Value {
    let value: Value = serde_json::from_slice(text)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(text)));
    let name = value["schema"]
        .as_str()
        .expect("it names its schema")
        .replace('/', "-");
    let schema = std::fs::read_to_string(Path::new("docs/schemas").join(format!("{name}.json")))
        .expect("the schema is documented");
    let schema: Value = serde_json::from_str(&schema).expect("valid JSON");
    fits(&value, &schema, "$").unwrap_or_else(|e| panic!("{e}\n{value}"));
    value
}

#[test]
fn usage_errors_exit_with_64_and_help_with_0() {
    assert_eq!(probity(&["nonsense"]).status.code(), Some(64));
    assert_eq!(probity(&["run", "--nonsense"]).status.code(), Some(64));
    assert_eq!(
        probity(&["history", "list", "--since", "someday"])
            .status
            .code(),
        Some(64)
    );
    for args in [
        &["--help"][..],
        &["run", "--help"],
        &["probe", "--help"],
        &["history", "verify", "--help"],
        &["export", "timeline", "--help"],
        &["--version"],
    ] {
        let output = probity(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            args == ["--version"] || text.contains("xample"),
            "{args:?} shows no example:\n{text}"
        );
    }
    // What the help wraps cannot be copied.
    let (mut examples, mut wrapped) = (0, Vec::new());
    let mut commands = vec![<probity::cli::args::Cli as clap::CommandFactory>::command()];
    while let Some(command) = commands.pop() {
        let after = command.get_after_help().map(ToString::to_string);
        let lines = after.iter().flat_map(|text| text.lines());
        for line in lines.filter(|line| line.starts_with("  probity")) {
            examples += 1;
            if line.chars().count() > 100 {
                wrapped.push(line.to_owned());
            }
        }
        commands.extend(command.get_subcommands().cloned());
    }
    assert!(
        examples > 30 && wrapped.is_empty(),
        "{examples} {wrapped:#?}"
    );
    assert!(String::from_utf8_lossy(&probity(&["completions", "bash"]).stdout).contains("probity"));
    assert!(String::from_utf8_lossy(&probity(&["man"]).stdout).contains(".TH"));
    let page = String::from_utf8_lossy(&probity(&["man", "sla", "report"]).stdout).into_owned();
    assert!(
        page.contains("probity\\-sla\\-report") && page.contains("provisional"),
        "{page}"
    );
    assert_eq!(probity(&["man", "nonsense"]).status.code(), Some(64));
    let folder = tempfile::tempdir().expect("a folder");
    let into = folder.path().join("man1");
    let written = probity(&["man", "--output", into.to_str().expect("a path")]);
    assert_eq!(written.status.code(), Some(0));
    for name in ["probity.1", "probity-run.1", "probity-sla-report.1"] {
        let page = std::fs::read_to_string(into.join(name)).expect("a page");
        assert!(page.contains(".SH OPTIONS"), "{name}");
    }
    let below_a_file = into.join("probity.1/more");
    let refused = probity(&["man", "--output", below_a_file.to_str().expect("a path")]);
    assert_eq!(refused.status.code(), Some(74));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("cannot be written to"));
    let directory = tempfile::tempdir().expect("a directory");
    let output = directory.path().to_str().expect("UTF-8");
    let rules = checked(
        &probity(&[
            "rules",
            "--config",
            "config/quickstart.toml",
            "--output",
            output,
            "--json",
        ])
        .stdout,
    );
    assert!(
        rules["files"].as_array().is_some_and(|l| l
            .iter()
            .all(|f| f.as_str().is_some_and(|f| Path::new(f).exists()))),
        "{rules}"
    );
}

#[test]
fn check_tells_faults_and_what_a_config_implies() {
    let directory = tempfile::tempdir().expect("a directory");
    let good = write_config(
        directory.path(),
        1,
        "[[endpoint]]\nname = \"a\"\nprobe.tcp = \"127.0.0.1:1\"\n",
    );
    let good = good.to_str().expect("UTF-8");
    let value = checked(&probity(&["check", "--config", good, "--json", "--print"]).stdout);
    assert_eq!(value["implied"]["detection"][0]["bound_ms"], 54_200);
    assert!(
        value["effective"]
            .as_str()
            .is_some_and(|t| t.contains("interval = \"30s\""))
    );
    let text = probity(&["check", "--config", good]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("54.2 s"));
    let bad = directory.path().join("bad.toml");
    std::fs::write(&bad, "[[endpoint]]\nname = 1\n").expect("written");
    let output = probity(&["check", "--config", bad.to_str().expect("UTF-8"), "--json"]);
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(checked(&output.stdout)["faults"][0]["line"], 2);
    assert_eq!(
        probity(&["check", "--config", "/not/there.toml"])
            .status
            .code(),
        Some(78)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probe_draws_a_waterfall_and_its_exit_code_is_the_verdict() {
    let url = format!("http://127.0.0.1:{}/", answering(ok("", b"hello")).await);
    let output = probity(&["probe", &url]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "up  http",
        "connect",
        "first_byte",
        "█",
        "200 HTTP/1.1",
        "ok   status in",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    checked(&probity(&["probe", &url, "--json"]).stdout);
    let dead = format!("tcp://127.0.0.1:{}", closed_port());
    let output = probity(&["probe", &dead, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(checked(&output.stdout)["cause"], "connect_refused");
    assert_eq!(probity(&["probe", "gopher://x"]).status.code(), Some(64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_commands_and_api_print_fits_the_schemas() {
    let directory = tempfile::tempdir().expect("a directory");
    let port = answering(ok("", b"")).await;
    let text = format!(
        "[defaults]\ninterval = \"500ms\"\ntimeout = \"300ms\"\nretry_interval \
            = \"100ms\"\n[[endpoint]]\nname = \"up\"\nprobe.http \
            = \"http://127.0.0.1:{port}/\"\n[[endpoint]]\nname = \"down\"\nprobe.tcp \
            = \"127.0.0.1:{}\"\n",
        closed_port()
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("down", "down").await;
    daemon.until_state("up", "up").await;
    daemon
        .until(|d| async move {
            d.json("/api/v1/outages").await["outages"]
                .as_array()
                .is_some_and(|l| !l.is_empty())
        })
        .await;
    for path in [
        "/api/v1/endpoints",
        "/api/v1/endpoints?endpoint=up",
        "/api/v1/outages",
        "/api/v1/timeline",
    ] {
        checked(daemon.get(path).await.expect("answered").as_bytes());
    }
    let url = format!("http://127.0.0.1:{}", daemon.port);
    let status = probity(&["status", "--url", &url, "--json"]);
    assert_eq!(status.status.code(), Some(1));
    checked(&status.stdout);
    let state = directory.path().join("state");
    let state = state.to_str().expect("UTF-8");
    for args in [
        &["history", "list"][..],
        &["history", "list", "--transitions"],
        &["history", "verify"],
        &["export", "timeline"],
    ] {
        let mut all = args.to_vec();
        all.extend(["--state-dir", state]);
        if args[0] == "history" {
            all.push("--json");
        }
        checked(&probity(&all).stdout);
    }
    let journal = probity(&["export", "journal", "--state-dir", state]);
    let lines: Vec<Value> = String::from_utf8_lossy(&journal.stdout)
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    assert!(
        lines
            .iter()
            .any(|l| l["kind"] == "down" && l["endpoint"] == "down")
    );
    assert_eq!(
        probity(&[
            "status",
            "--url",
            &format!("http://127.0.0.1:{}", closed_port())
        ])
        .status
        .code(),
        Some(69)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_event_or_outage_is_found_by_verify() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "[defaults]\ninterval = \"500ms\"\ntimeout = \"300ms\"\nretry_interval \
            = \"100ms\"\n[[endpoint]]\nname = \"down\"\nprobe.tcp = \"127.0.0.1:{}\"\n",
        closed_port()
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("down", "down").await;
    assert_eq!(daemon.end().await.0, 0);
    let state = directory.path().join("state");
    let verify = || {
        probity(&[
            "history",
            "verify",
            "--json",
            "--state-dir",
            state.to_str().expect("UTF-8"),
        ])
    };
    assert_eq!(verify().status.code(), Some(0));
    let database = rusqlite::Connection::open(state.join("history.sqlite")).expect("opened");
    for (edit, undo) in [
        (
            "UPDATE event SET body = replace(body, 'connect_refused', 'connect_timeout') WHERE \
                kind = 'down'",
            "UPDATE event SET body = replace(body, 'connect_timeout', 'connect_refused') WHERE \
                kind = 'down'",
        ),
        (
            "UPDATE outage SET from_at = from_at - 3600000",
            "UPDATE outage SET from_at = from_at + 3600000",
        ),
        ("DELETE FROM outage", ""),
    ] {
        assert!(database.execute(edit, []).expect("edited") > 0, "{edit}");
        let output = verify();
        assert_eq!(output.status.code(), Some(1), "{edit}");
        checked(&output.stdout);
        if !undo.is_empty() {
            database.execute(undo, []).expect("undone");
        }
    }
}
