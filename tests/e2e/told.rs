//! What people and machines are told: outages of some length only, windows by the contract's rules,
//! slots with their moment.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::cli::{checked, probity};
use super::daemon::{Daemon, Switch, http};
use super::serve::{answering, client, ok, read_head, tcp};

const QUICK: &str =
    "[defaults]\ninterval = \"500ms\"\ntimeout = \"300ms\"\nretry_interval = \"100ms\"\n";

/// A receiver of webhooks, and what it has heard.
async fn receiver() -> (u16, Arc<Mutex<Vec<Value>>>) {
    let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
    let to = heard.clone();
    let port = tcp(move |mut stream| {
        let to = to.clone();
        async move {
            let head = read_head(&mut stream).await.to_ascii_lowercase();
            let length = head
                .split("content-length: ")
                .nth(1)
                .and_then(|t| t.split("\r\n").next())
                .and_then(|n| n.parse().ok())
                .unwrap_or(0);
            let mut body = vec![0; length];
            let _ = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut body).await;
            to.lock()
                .expect("no panic")
                .push(serde_json::from_slice(&body).expect("JSON"));
            let _ = stream
                .write_all(b"HTTP/1.1 204 No\r\nConnection: close\r\n\r\n")
                .await;
        }
    })
    .await;
    (port, heard)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_shorter_than_after_is_told_to_nobody() {
    let directory = tempfile::tempdir().expect("a directory");
    let (short, long) = (Switch::new().await, Switch::new().await);
    let (port, heard) = receiver().await;
    let url = directory.path().join("hook.url");
    std::fs::write(&url, format!("http://127.0.0.1:{port}/")).expect("written");
    let notify =
        format!("[[notify]]\nname = \"ops\"\nwebhook.url = {{ file = {url:?} }}\nafter = \"4s\"\n");
    let daemon = Daemon::start(
        directory.path(),
        &format!(
            "{QUICK}{}{}{notify}",
            http("short", short.port),
            http("long", long.port)
        ),
    )
    .await;
    for name in ["short", "long"] {
        daemon.until_state(name, "up").await;
    }
    short.set(500);
    long.set(500);
    daemon.until_state("short", "down").await;
    daemon.until_state("long", "down").await;
    short.set(200);
    daemon.until_state("short", "up").await;
    daemon
        .until(|_| async { !heard.lock().expect("no panic").is_empty() })
        .await;
    long.set(200);
    daemon
        .until(|_| async { heard.lock().expect("no panic").len() >= 2 })
        .await;
    // What would be told late would be told by then.
    daemon.until_slots("short", 3).await;
    let told: Vec<(String, String)> = heard
        .lock()
        .expect("no panic")
        .iter()
        .map(|m| {
            (
                m["endpoint"].as_str().unwrap_or_default().to_owned(),
                m["state"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("long".to_owned(), "down".to_owned()),
            ("long".to_owned(), "up".to_owned())
        ]
    );
    let outages = daemon.json("/api/v1/outages").await;
    assert_eq!(
        outages["outages"].as_array().map(Vec::len),
        Some(2),
        "the record has both"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_is_held_against_the_notice_the_allowance_and_the_windows_before() {
    let directory = tempfile::tempdir().expect("a directory");
    let port = answering(ok("", b"")).await;
    let of = |name: &str| {
        format!(
            "[[endpoint]]\nname = \"{name}\"\ncomponent = \"shop\"\nprobe.http \
                = \"http://127.0.0.1:{port}/\"\n"
        )
    };
    let contract = "[sla.s]\nobjective = \"99.9\"\nperiod = \"calendar_year\"\ncomponents = \
        [\"shop\"]\n[sla.s.maintenance]\nnotice = \"10m\"\nallowance = \"90m\"\n";
    let daemon = Daemon::start(
        directory.path(),
        &format!("{QUICK}[component.shop]\n{}{}{contract}", of("a"), of("b")),
    )
    .await;
    let state = directory.path().join("state");
    let now = probity::net::clock::Clock::Real.read().utc_ms / 1000 * 1000;
    let add = |id: &str, ahead_min: i64, whom: &[&str]| {
        let start = probity::words::format_utc(now + ahead_min * 60_000);
        let args = [
            "maintenance",
            "add",
            "--id",
            id,
            "--start",
            &start,
            "--duration",
            "1h",
            "--reason",
            "x",
            "--json",
            "--state-dir",
        ];
        let all: Vec<&str> = args
            .into_iter()
            .chain([state.to_str().expect("UTF-8")])
            .chain(whom.iter().copied())
            .collect();
        let output = probity(&all);
        let answer = checked(&output.stdout);
        let said = &answer["contracts"][0];
        (
            said["admitted"].clone(),
            said["why"].as_str().unwrap_or_default().to_owned(),
        )
    };
    assert_eq!(
        add("late", 5, &["--component", "shop"]),
        (
            json!(false),
            "it is announced later than the contract's notice before it starts".to_owned()
        )
    );
    assert_eq!(
        add("first", 60, &["--component", "shop"]),
        (json!(true), String::new())
    );
    assert_eq!(
        add("both", 180, &["--endpoint", "a", "--endpoint", "b"]),
        (
            json!(true),
            "only 30m of it fit the allowance of a period".to_owned()
        )
    );
    assert_eq!(
        add("third", 300, &["--component", "shop"]).0,
        json!(false),
        "the allowance is used up"
    );
    let part = add("part", 420, &["--endpoint", "a"]);
    assert!(
        part.0 == json!(false) && part.1.contains("only some of the endpoints of shop"),
        "{part:?}"
    );
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_probe_of_a_slot_tells_its_moment() {
    let directory = tempfile::tempdir().expect("a directory");
    let port = answering(ok("", b"")).await;
    let daemon = Daemon::start(directory.path(), &format!("{QUICK}{}", http("web", port))).await;
    daemon
        .until(|d| async move { d.endpoint("web").await["last"]["slot"].is_string() })
        .await;
    let last = daemon.endpoint("web").await["last"].clone();
    let at = |key: &str| {
        last[key]
            .as_str()
            .and_then(probity::words::parse_utc)
            .expect("an instant")
    };
    assert!((0..500).contains(&(at("started") - at("slot"))), "{last}");
    let client = client();
    let asked = |name: &'static str, value: &'static str| {
        client
            .get(format!("http://127.0.0.1:{}/metrics", daemon.port))
            .header(name, value)
            .send()
    };
    let plain = asked("accept", "text/plain, application/openmetrics-text;q=0")
        .await
        .expect("answered");
    assert!(
        plain.headers()["content-type"]
            .to_str()
            .is_ok_and(|t| t.starts_with("text/plain")),
        "{plain:?}"
    );
    assert!(
        asked("accept-encoding", "gzip;q=0")
            .await
            .expect("answered")
            .headers()
            .get("content-encoding")
            .is_none()
    );
    assert!(
        asked("accept-encoding", "br, gzip;q=0.5")
            .await
            .expect("answered")
            .headers()
            .get("content-encoding")
            .is_some_and(|e| e == "gzip")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_under_another_name_keeps_its_windows_its_exclusions_and_its_changes() {
    let directory = tempfile::tempdir().expect("a directory");
    let closed = super::serve::closed_port();
    let config = |name: &str, renamed: &str, path: &str| {
        format!(
            "{QUICK}[[endpoint]]\nname = \"{name}\"\ncomponent = \"shop\"\n{renamed}probe.http \
                = \"http://127.0.0.1:{closed}/{path}\"\n[component.shop]\n[[maintenance]]\nid \
                = \"always\"\nendpoints = [\"{name}\"]\nstart = \"2020-01-01T00:00\"\nduration \
                = \"1d\"\nevery = \
                [\"Mon\", \"Tue\", \"Wed\", \"Thu\", \"Fri\", \"Sat\", \"Sun\"]\nreason = \"x\"\n"
        )
    };
    let daemon = Daemon::start(directory.path(), &config("old", "", "")).await;
    daemon.until_state("old", "down").await;
    daemon
        .until(|d| async move {
            d.endpoint("old").await["ledger"]["down_ms"]
                .as_u64()
                .is_some_and(|ms| ms > 2000)
        })
        .await;
    let now = probity::net::clock::Clock::Real.read().utc_ms;
    let (from, to) = (
        probity::words::format_utc(now - 60_000),
        probity::words::format_utc(now - 100),
    );
    let state = directory.path().join("state");
    let state = state.to_str().expect("UTF-8");
    let excluded = probity(&[
        "history",
        "exclude",
        "--endpoint",
        "old",
        "--from",
        &from,
        "--to",
        &to,
        "--reason",
        "agreed",
        "--by",
        "anna",
        "--state-dir",
        state,
    ]);
    assert_eq!(excluded.status.code(), Some(0), "{excluded:?}");
    let down = |d: Value| d["components"][0]["down_ms"].as_u64().unwrap_or(u64::MAX);
    let before = down(daemon.json("/api/v1/timeline").await);
    // By a reload to another name, by another to another definition.
    super::daemon::write_config(
        directory.path(),
        daemon.port,
        &config("new", "renamed_from = \"old\"\n", ""),
    );
    daemon.reload().await.expect("reloaded");
    daemon.until_state("new", "down").await;
    assert!(
        (daemon
            .metric("probity_endpoint_maintenance{endpoint=\"new\"}")
            .await
            - 1.0)
            .abs()
            < 0.01,
        "the window goes on"
    );
    let after = down(daemon.json("/api/v1/timeline").await);
    assert!(
        after < before + 15_000 && after >= before,
        "{before} ms before, {after} ms after: what was excluded stays so"
    );
    super::daemon::write_config(
        directory.path(),
        daemon.port,
        &config("new", "renamed_from = \"old\"\n", "health"),
    );
    daemon.reload().await.expect("reloaded");
    daemon
        .until(|d| async move {
            d.get("/contracts")
                .await
                .is_some_and(|page| page.contains("Changed in this period"))
        })
        .await;
    assert_eq!(daemon.end().await.0, 0);
    // The same over a restart, and for whoever reads the history alone.
    let daemon = Daemon::start(
        directory.path(),
        &config("new", "renamed_from = \"old\"\n", "health"),
    )
    .await;
    daemon.until_state("new", "down").await;
    assert!(
        (daemon
            .metric("probity_endpoint_maintenance{endpoint=\"new\"}")
            .await
            - 1.0)
            .abs()
            < 0.01
    );
    assert_eq!(daemon.end().await.0, 0);
    let journal = probity(&["export", "journal", "--state-dir", state]).stdout;
    let kinds: Vec<Value> = String::from_utf8_lossy(&journal)
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    let count = |kind: &str| kinds.iter().filter(|e| e["kind"] == kind).count();
    assert_eq!(
        (
            count("maintenance_declared"),
            count("maintenance_ended"),
            count("endpoint_renamed"),
            count("endpoint_changed")
        ),
        (1, 0, 1, 1)
    );
    let contract = directory.path().join("contract.toml");
    std::fs::write(
        &contract,
        "[sla.s]\nobjective = \"99\"\ncomponents = [\"shop\"]\n",
    )
    .expect("written");
    let month = to[..7].to_owned();
    let config = directory.path().join("probity.toml");
    let (contract, config) = (
        contract.to_str().expect("UTF-8"),
        config.to_str().expect("UTF-8"),
    );
    let output = probity(&[
        "sla",
        "report",
        "--config",
        config,
        "--contract",
        contract,
        "--period",
        &month,
        "--provisional",
    ]);
    let report = checked(&output.stdout);
    let excluded = &report["excluded"][0];
    assert!(
        excluded["by"]
            .as_str()
            .is_some_and(|by| by.contains("anna"))
            && excluded["endpoint"] == "new"
            && excluded["reason"] == "agreed",
        "{excluded}"
    );
    assert_eq!(
        (
            report["changed"][0]["endpoint"].as_str(),
            report["changed"].as_array().map(Vec::len)
        ),
        (Some("new"), Some(1)),
        "{report}"
    );
    let (path, events) = (
        directory.path().join("report.json"),
        directory.path().join("journal.jsonl"),
    );
    std::fs::write(&path, &output.stdout).expect("written");
    std::fs::write(&events, &journal).expect("written");
    let verified = probity(&[
        "sla",
        "verify",
        path.to_str().expect("UTF-8"),
        "--events",
        events.to_str().expect("UTF-8"),
    ]);
    assert_eq!(
        verified.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&verified.stdout)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_moments_are_starting_and_a_probe_of_an_old_definition_is_reconfigured() {
    let directory = tempfile::tempdir().expect("a directory");
    let hanging = tcp(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let config = |path: &str| {
        format!(
            "[defaults]\ninterval = \"2s\"\ntimeout = \"1500ms\"\n[[endpoint]]\nname \
                = \"e\"\nprobe.http = \"http://127.0.0.1:{hanging}/{path}\"\n"
        )
    };
    let daemon = Daemon::start(directory.path(), &config("")).await;
    daemon
        .until(|d| async move { d.metric("probity_probes_in_flight").await >= 1.0 })
        .await;
    super::daemon::write_config(directory.path(), daemon.port, &config("other"));
    daemon.reload().await.expect("reloaded");
    daemon
        .until(|d| async move {
            d.get("/metrics").await.is_some_and(|m| {
                m.lines().any(|l| {
                    l.starts_with("probity_probe_unmeasured_total{reason=\"reconfigured\"} ")
                        && !l.ends_with(" 0")
                })
            })
        })
        .await;
    daemon.until_state("e", "down").await;
    daemon
        .until(|d| async move {
            let unknown = d.json("/api/v1/timeline").await["components"][0]["unknown"].clone();
            unknown.as_array().is_some_and(|l| {
                l.iter()
                    .any(|u| u["reason"] == "starting" || u["reason"] == "reconfigured")
            })
        })
        .await;
    let counted = |reason: &str| format!("probity_unknown_seconds_total{{reason=\"{reason}\"}}");
    daemon
        .until(|d| {
            let of = [counted("starting"), counted("reconfigured")];
            async move { d.metric(&of[0]).await + d.metric(&of[1]).await > 0.0 }
        })
        .await;
}

/// In the night of 25 hours an instant is that instant, a civil time the first of two; what the
/// clock skips begins when it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_begins_at_the_instant_meant_and_says_what_the_clock_makes_of_a_civil_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let port = answering(ok("", b"")).await;
    let config = "[[maintenance]]\nid = \"given\"\nstart = \"2027-10-31T01:30:00Z\"\ntime_zone \
        = \"Europe/Berlin\"\nduration = \"1h\"\n[[maintenance]]\nid = \"skipped\"\nstart \
        = \"2027-03-28T02:30\"\ntime_zone = \"Europe/Berlin\"\nduration = \"1h\"\n";
    let daemon = Daemon::start(
        directory.path(),
        &format!("{QUICK}{}{config}", http("web", port)),
    )
    .await;
    let state = directory.path().join("state");
    let state = state.to_str().expect("UTF-8");
    let add = |id: &str, start: &str, zone: &str| {
        probity(&[
            "maintenance",
            "add",
            "--id",
            id,
            "--start",
            start,
            "--time-zone",
            zone,
            "--duration",
            "1h",
            "--reason",
            "x",
            "--json",
            "--state-dir",
            state,
        ])
    };
    for (id, start, zone, from, to, note) in [
        (
            "instant",
            "2027-10-31T01:30:00Z",
            "Europe/Berlin",
            "2027-10-31T01:30:00.000Z",
            "2027-10-31T02:30:00.000Z",
            "",
        ),
        (
            "first",
            "2027-10-31T00:30Z",
            "Europe/Berlin",
            "2027-10-31T00:30:00.000Z",
            "2027-10-31T01:30:00.000Z",
            "twice",
        ),
        (
            "offset",
            "2027-10-31T02:30:00+01:00",
            "America/Havana",
            "2027-10-31T01:30:00.000Z",
            "2027-10-31T02:30:00.000Z",
            "",
        ),
        (
            "civil",
            "2027-10-31T02:30",
            "Europe/Berlin",
            "2027-10-31T00:30:00.000Z",
            "2027-10-31T01:30:00.000Z",
            "twice",
        ),
        (
            "gap",
            "2027-03-28T02:30",
            "Europe/Berlin",
            "2027-03-28T01:00:00.000Z",
            "2027-03-28T02:00:00.000Z",
            "skips",
        ),
        (
            "plain",
            "2027-10-30T02:30",
            "Europe/Berlin",
            "2027-10-30T00:30:00.000Z",
            "2027-10-30T01:30:00.000Z",
            "",
        ),
    ] {
        let answer = checked(&add(id, start, zone).stdout);
        assert_eq!(
            (
                answer["next"]["from"].as_str(),
                answer["next"]["to"].as_str()
            ),
            (Some(from), Some(to)),
            "{start} beside {zone}"
        );
        let said = answer["note"].as_str().unwrap_or_default();
        assert!(
            if note.is_empty() {
                said.is_empty()
            } else {
                said.contains(note) && said.contains(from)
            },
            "{start}: {said}"
        );
    }
    for start in [
        "2027-10-31T01:30:00+24:00",
        "2027-10-31T01:30:00-25:00",
        "2027-10-31T01:30:60Z",
        "2027-10-31T01:30:60",
    ] {
        let refused = add("refused", start, "Europe/Berlin");
        assert!(
            refused.status.code() != Some(0)
                && String::from_utf8_lossy(&refused.stderr).contains("is not a valid time"),
            "{start}"
        );
    }
    // What the config declares is the same, in the history and in check.
    let listed = checked(&probity(&["maintenance", "list", "--json", "--state-dir", state]).stdout);
    let next = |id: &str| {
        listed["windows"]
            .as_array()
            .and_then(|l| l.iter().find(|w| w["id"] == id))
            .map(|w| w["next"]["from"].clone())
    };
    assert_eq!(
        [next("given"), next("skipped")],
        [
            Some(json!("2027-10-31T01:30:00.000Z")),
            Some(json!("2027-03-28T01:00:00.000Z"))
        ]
    );
    let file = directory.path().join("probity.toml");
    let check =
        checked(&probity(&["check", "--json", "--config", file.to_str().expect("UTF-8")]).stdout);
    let notes = check["implied"]["warnings"].to_string();
    assert!(
        notes.contains("the window skipped")
            && notes.contains("2027-03-28T01:00:00.000Z")
            && !notes.contains("the window given"),
        "{notes}"
    );
    // The effective config names the instant where the clock shows its civil time twice.
    let printed = probity(&[
        "check",
        "--print",
        "--config",
        file.to_str().expect("UTF-8"),
    ])
    .stdout;
    assert!(
        String::from_utf8_lossy(&printed).contains("start = \"2027-10-31T01:30:00.000Z\""),
        "{}",
        String::from_utf8_lossy(&printed)
    );
    drop(daemon);
}
