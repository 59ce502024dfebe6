//! What people read of one figure in several places: it is one figure, in the same words.

use serde_json::Value;
use std::path::Path;

use super::cli::{checked, probity};
use super::daemon::{Daemon, Switch};
use super::serve::closed_port;

const QUICK: &str =
    "[defaults]\ninterval = \"500ms\"\ntimeout = \"300ms\"\nretry_interval = \"100ms\"\n";
const CONTRACT: &str = "[sla.s]\nobjective = \"99.9\"\ncomponents = [\"shop\"]\n";

/// Paths of a daemon's files as arguments.
fn place(directory: &Path) -> (String, String) {
    let text = |name: &str| directory.join(name).to_str().expect("UTF-8").to_owned();
    (text("probity.toml"), text("state"))
}

fn told(args: &[&str]) -> String {
    let output = probity(args);
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_seen_is_one_figure_on_every_surface() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "{QUICK}{CONTRACT}[[endpoint]]\nname = \"shop\"\nprobe.tcp = \"127.0.0.1:{}\"\n",
        closed_port()
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("shop", "down").await;
    let (config, state) = place(directory.path());
    // An interval and a half second that a probe may be late, its timeout, and 50 ms until its
    // outcome.
    let (ms, words) = (
        Value::from(1000 + 300 + 50),
        "utages shorter than 1.35 s can fall between two probes and go unseen",
    );
    let check = checked(&probity(&["check", "--json", "--config", &config]).stdout);
    assert_eq!(check["implied"]["detection"][0]["unseen_below_ms"], ms);
    assert!(told(&["check", "--config", &config]).contains(words));
    let endpoints = daemon.json("/api/v1/endpoints").await;
    assert_eq!(
        endpoints["endpoints"][0]["outages_shorter_than_ms_are_not_seen"],
        ms
    );
    for (path, place) in [
        ("outages", "/not_seen_below_ms"),
        ("timeline", "/components/0/not_seen_below_ms"),
        ("components", "/not_seen_below_ms"),
    ] {
        let value = daemon.json(&format!("/api/v1/{path}")).await;
        assert_eq!(value.pointer(place), Some(&ms), "{path}: {value}");
    }
    let page = daemon.get("/").await.expect("a page");
    assert!(page.contains(words), "{page}");
    let place = ["--config", &config];
    assert!(told(&[&["history", "list"], &place[..]].concat()).contains(words));
    assert!(told(&[&["sla", "evaluate"], &place[..]].concat()).contains(words));
    assert!(
        told(&["sla", "explain", "--objective", "99.9", "--interval", "30s"])
            .contains("utages shorter than 43.05 s can fall between two probes and go unseen")
    );
    let now = probity::words::format_utc(probity::net::clock::Clock::Real.read().utc_ms);
    let report = [
        &["sla", "report", "--provisional", "--period", &now[..7]],
        &place[..],
    ]
    .concat();
    let object: Value = serde_json::from_str(&told(&[&report[..], &["--format", "json"]].concat()))
        .expect("a report");
    assert_eq!(object["extents"][0]["not_seen_below_ms"], ms);
    assert!(told(&[&report[..], &["--format", "md"]].concat()).contains(words));
    // Without the config, by what the events tell.
    let exported: Value =
        serde_json::from_str(&told(&["export", "timeline", "--state-dir", &state])).expect("JSON");
    assert_eq!(exported["components"][0]["not_seen_below_ms"], ms);
}

/// A window that repeats has no last occurrence; what is asked for does not decide how many are
/// made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeline_tells_of_maintenance_at_most_400_days_ahead() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "{QUICK}[[endpoint]]\nname = \"shop\"\nprobe.tcp = \"127.0.0.1:{}\"\n[[maintenance]]\nid \
            = \"w\"\nstart = \"2020-01-05T02:00\"\ntime_zone = \"UTC\"\nduration = \"2h\"\nevery \
            = [\"Sun\"]\nreason = \"patches\"\n",
        closed_port()
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("shop", "down").await;
    let format = probity::words::format_utc;
    let day = 86_400_000;
    let now = probity::net::clock::Clock::Real.read().utc_ms;
    let (_, state) = place(directory.path());
    let from = format(now);
    let exported = |to: &str| -> Value {
        let period = ["--from", &from, "--to", to];
        let args = [&["export", "timeline", "--state-dir", &state], &period[..]].concat();
        serde_json::from_str(&told(&args)).expect("JSON")
    };
    for (days, least, most) in [(40, 5, 6), (3650, 57, 58)] {
        let to = format(now + days * day);
        let path = format!("/api/v1/timeline?from={from}&to={to}");
        let of_api = daemon.json(&path).await;
        for timeline in [of_api, exported(&to)] {
            let windows = timeline["maintenance"].as_array().expect("a list");
            assert!(
                (least..=most).contains(&windows.len()),
                "{days}: {} windows",
                windows.len()
            );
            let last = windows.last().and_then(|w| w["from"].as_str());
            assert!(last <= Some(&format(now + 401 * day)), "{last:?}");
            assert!(timeline["to"].as_str() < Some(&format(now + day)));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_excluded_outage_is_marked_wherever_it_is_listed() {
    let directory = tempfile::tempdir().expect("a directory");
    let switch = Switch::new().await;
    switch.set(500);
    let text = format!(
        "{QUICK}{CONTRACT}[[endpoint]]\nname = \"shop\"\nprobe.http = \"http://127.0.0.1:{}/\"\n",
        switch.port
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("shop", "down").await;
    switch.set(200);
    daemon.until_state("shop", "up").await;
    daemon
        .until(|d| async move { !d.json("/api/v1/outages").await["outages"][0]["to"].is_null() })
        .await;
    let (config, state) = place(directory.path());
    let outage = daemon.json("/api/v1/outages").await["outages"][0].clone();
    assert_eq!(
        (&outage["excluded"], &outage["excluded_by"]),
        (&Value::Null, &serde_json::json!([]))
    );
    let (from, to) = (
        outage["from"].as_str().expect("a begin"),
        outage["to"].as_str().expect("an end"),
    );
    let done = probity(&[
        "history",
        "exclude",
        "--state-dir",
        &state,
        "--component",
        "shop",
        "--from",
        from,
        "--to",
        to,
        "--reason",
        "agreed",
    ]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let marked = daemon.json("/api/v1/outages").await["outages"][0].clone();
    let seq = marked["excluded_by"][0].as_u64().expect("an event");
    assert_eq!(marked["excluded"], "whole");
    assert_eq!(
        (&marked["id"], &marked["from"], &marked["to"]),
        (&outage["id"], &outage["from"], &outage["to"]),
        "it is listed as it was"
    );
    let words = format!("excluded by #{seq}");
    let page = daemon.get("/").await.expect("a page");
    assert!(
        page.contains(&words) && !page.contains(&format!("partly {words}")),
        "{page}"
    );
    let place = ["--config", &config];
    assert!(told(&[&["history", "list"], &place[..]].concat()).contains(&words));
    let now = probity::words::format_utc(probity::net::clock::Clock::Real.read().utc_ms);
    let report = [
        &["sla", "report", "--provisional", "--period", &now[..7]],
        &place[..],
    ]
    .concat();
    let rendered = |format: &str| told(&[&report[..], &["--format", format]].concat());
    assert!(
        rendered("md").replace('\\', "").contains(&words),
        "{}",
        rendered("md")
    );
    assert!(rendered("html").contains(&words));
    assert!(
        rendered("csv")
            .lines()
            .nth(1)
            .is_some_and(|line| line.ends_with(&format!(",#{seq}"))),
        "{}",
        rendered("csv")
    );
    assert!(
        told(&[&report[..], &["--format", "md", "--lang", "fi"]].concat())
            .replace('\\', "")
            .contains(&format!("#{seq}"))
    );
    let timeline = daemon.json("/api/v1/timeline").await;
    assert_eq!(
        timeline["components"][0]["down"][0]["excluded_by"], seq,
        "{timeline}"
    );
    // A part of it is a part of it.
    let middle =
        probity::words::format_utc(probity::words::parse_utc(from).expect("an instant") + 1);
    let part = told(&[
        "history",
        "exclude",
        "--state-dir",
        &state,
        "--endpoint",
        "shop",
        "--from",
        from,
        "--to",
        &middle,
        "--reason",
        "x",
    ]);
    assert!(part.contains("excluded"), "{part}");
    assert_eq!(
        daemon.json("/api/v1/outages").await["outages"][0]["excluded_by"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_less_than_half_was_measured_that_is_said_before_any_figure() {
    let directory = tempfile::tempdir().expect("a directory");
    let switch = Switch::new().await;
    let utc_ms = probity::net::clock::Clock::Real.read().utc_ms;
    let (now, since) = (
        probity::words::format_utc(utc_ms),
        probity::words::format_utc(utc_ms - 20 * 86_400_000),
    );
    let text = format!(
        "{QUICK}{CONTRACT}[component.shop]\nin_service_from = \"{since}\"\n{}",
        super::daemon::http("shop", switch.port)
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("shop", "up").await;
    let little = "ess than half of the service time was measured";
    daemon
        .until(|d| async move {
            d.get("/contracts")
                .await
                .is_some_and(|page| page.contains(little))
        })
        .await;
    let (config, _) = place(directory.path());
    let place = ["--config", &config];
    let evaluated = told(&[&["sla", "evaluate"], &place[..]].concat());
    assert_eq!(
        evaluated.lines().next(),
        Some(format!("l{little} (shop): the figures below rest on what was").as_str()),
        "{evaluated}"
    );
    let report = ["sla", "report", "--provisional", "--period", &now[..7]];
    let report = told(&[&report[..], &place[..], &["--format", "md"]].concat());
    let page = daemon.get("/contracts").await.expect("a page");
    let contracts = page.split("<th>Contract</th>").nth(1).expect("contracts");
    for text in [evaluated.as_str(), report.as_str(), contracts] {
        let said = text.find(little).unwrap_or_else(|| panic!("{text}"));
        let figure = text.find('%').expect("a figure");
        assert!(said < figure, "{text}");
    }
    // The first line after the title and what the report is of.
    let first = report.lines().find(|line| line.contains(little));
    assert!(
        first.is_some_and(|line| line.starts_with(&format!("L{little} (shop)."))
            || line.starts_with(&format!("**L{little} (shop)."))),
        "{report}"
    );
}
