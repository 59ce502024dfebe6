//! No downtime vanishes by a line of config: what a component is made of counts from the moment it
//! is recorded, for the time after it.

use std::path::Path;

use serde_json::Value;

use super::cli::probity;
use super::daemon::{Daemon, Switch, http, write_config};
use super::serve::{answering, closed_port, ok};

const QUICK: &str =
    "[defaults]\ninterval = \"500ms\"\ntimeout = \"300ms\"\nretry_interval = \"100ms\"\n";

/// The present month's figures of a component.
/// Waits until all that is in service is settled up to now.
pub async fn settled(daemon: &Daemon) {
    settled_for(daemon, 0).await;
}

/// The same up to so many milliseconds from now.
pub async fn settled_for(daemon: &Daemon, ms: i64) {
    let until = probity::net::clock::Clock::Real.read().utc_ms + ms;
    let reached = |timeline: Value| {
        timeline["to"]
            .as_str()
            .and_then(probity::words::parse_utc)
            .unwrap_or(0)
    };
    daemon
        .until(|d| async move { reached(d.json("/api/v1/timeline").await) > until })
        .await;
}

pub async fn figures(daemon: &Daemon, component: &str) -> Value {
    let all = daemon
        .json(&format!(
            "/api/v1/timeline?from=2020-01-01T00:00:00Z&component={component}"
        ))
        .await;
    let found = all["components"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|c| c["name"] == component)
        .cloned();
    found.unwrap_or_else(|| panic!("no {component} in {all}"))
}

pub async fn reload(daemon: &Daemon, text: &str) {
    write_config(&daemon.directory, daemon.port, text);
    daemon.reload().await.expect("reloaded");
}

pub fn month() -> String {
    probity::words::format_utc(probity::net::clock::Clock::Real.read().utc_ms)[..7].to_owned()
}

/// A report of the present month that its events prove; with its text.
pub fn proven(directory: &Path) -> (Value, String) {
    proven_of(directory, &[])
}

/// The same of a tenant, or of whatever else a report can be asked for.
pub fn proven_of(directory: &Path, more: &[&str]) -> (Value, String) {
    let path = |name: &str| directory.join(name).to_str().expect("UTF-8").to_owned();
    let (config, month) = (path("probity.toml"), month());
    let report = |format: &str| {
        let asked = [
            "sla",
            "report",
            "--provisional",
            "--period",
            &month,
            "--config",
            &config,
            "--format",
            format,
        ];
        let output = probity(&[&asked[..], more].concat());
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let object = report("json");
    std::fs::write(directory.join("report.json"), &object).expect("written");
    let journal = probity(&["export", "journal", "--tallies", "--config", &config]);
    std::fs::write(directory.join("journal.jsonl"), &journal.stdout).expect("written");
    let verified = probity(&[
        "sla",
        "verify",
        &path("report.json"),
        "--events",
        &path("journal.jsonl"),
    ]);
    assert_eq!(
        verified.status.code(),
        Some(0),
        "{}{}",
        String::from_utf8_lossy(&verified.stdout),
        String::from_utf8_lossy(&verified.stderr)
    );
    (
        serde_json::from_str(&object).expect("JSON"),
        report("md").replace('\\', ""),
    )
}

fn text_has(text: &str, what: &str) -> bool {
    text.contains(what)
}

/// A shop that was down and is up again, and how long it was down.
pub async fn after_an_outage(daemon: &Daemon, switch: &Switch, name: &str) -> u64 {
    daemon.until_state(name, "up").await;
    switch.set(500);
    daemon.until_state(name, "down").await;
    daemon.until_slots(name, 2).await;
    switch.set(200);
    daemon.until_state(name, "up").await;
    daemon
        .until(|d| async move { !d.json("/api/v1/outages").await["outages"][0]["to"].is_null() })
        .await;
    let outage = daemon.json("/api/v1/outages").await["outages"][0].clone();
    let at = |key: &str| {
        probity::words::parse_utc(outage[key].as_str().expect("an instant")).expect("an instant")
    };
    (at("to") - at("from")) as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_that_is_said_to_begin_later_moves_no_outage_out_of_it() {
    let (directory, switch) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let text = |from: &str| {
        let shop = http("web", switch.port)
            .replace("name = \"web\"", "name = \"web\"\ncomponent = \"shop\"");
        format!(
            "{QUICK}[component.shop]\ntitle = \"Shop\"\n{from}{shop}[sla.s]\nobjective \
                = \"99.9\"\ncomponents = [\"shop\"]\n"
        )
    };
    let daemon = Daemon::start(directory.path(), &text("")).await;
    let down = after_an_outage(&daemon, &switch, "web").await;
    assert!(down > 500, "{down}");
    let now = probity::words::format_utc(probity::net::clock::Clock::Real.read().utc_ms);
    let before = figures(&daemon, "shop").await;
    reload(&daemon, &text(&format!("in_service_from = \"{now}\"\n"))).await;
    daemon
        .until(|d| async move {
            !d.json("/api/v1/timeline").await.is_null()
                && d.json("/api/v1/endpoints").await["recorded"] == true
        })
        .await;
    settled(&daemon).await;
    let after = figures(&daemon, "shop").await;
    assert_eq!(
        (&after["down_ms"], &after["in_service"]),
        (&before["down_ms"], &before["in_service"]),
        "{after}"
    );
    let (report, _) = proven(directory.path());
    assert_eq!(
        report["evaluation"]["results"][0]["down_ms"], before["down_ms"],
        "{}",
        report["evaluation"]["results"][0]
    );
    assert_eq!(daemon.end().await.0, 0);
    let (report, shown) = proven(directory.path());
    let change = report["changed"]
        .as_array()
        .and_then(|l| l.iter().find(|c| c["what"] == "in_service_from"))
        .expect("the change is told");
    assert_eq!(
        (&change["component"], &change["before"]),
        (&Value::from("shop"), &Value::Null)
    );
    assert!(
        change["figure_before"]["down_ms"] == before["down_ms"]
            && change["figure_after"]["down_ms"] == 0,
        "{change}"
    );
    assert!(
        text_has(&shown, "Changed in this period") && text_has(&shown, "in service from"),
        "{shown}"
    );
    // Nor does a config that only the report reads.
    write_config(
        directory.path(),
        closed_port(),
        &text(&format!("in_service_from = \"{now}\"\n")),
    );
    assert_eq!(
        proven(directory.path()).0["evaluation"]["results"][0]["down_ms"],
        before["down_ms"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_combination_or_membership_counts_from_then_on() {
    let (directory, switch) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let steady = answering(ok("", b"")).await;
    let text = |combine: &str, of_web: &str| {
        let web = http("web", switch.port).replace(
            "name = \"web\"",
            &format!("name = \"web\"\ncomponent = \"{of_web}\""),
        );
        let spare = http("spare", steady)
            .replace("name = \"spare\"", "name = \"spare\"\ncomponent = \"shop\"");
        format!(
            "{QUICK}[component.shop]\ntitle = \"Shop\"\ncombine \
                = \"{combine}\"\n[component.attic]\ntitle \
                = \"Attic\"\n{web}{spare}[sla.s]\nobjective = \"99.9\"\ncomponents = [\"shop\"]\n"
        )
    };
    let daemon = Daemon::start(directory.path(), &text("series", "shop")).await;
    daemon.until_state("spare", "up").await;
    let down = after_an_outage(&daemon, &switch, "web").await;
    settled(&daemon).await;
    assert_eq!(figures(&daemon, "shop").await["down_ms"], down);
    reload(&daemon, &text("parallel", "shop")).await;
    settled(&daemon).await;
    assert_eq!(
        figures(&daemon, "shop").await["down_ms"],
        down,
        "it was a series then"
    );
    // Now one of two is not enough.
    let longer = after_an_outage(&daemon, &switch, "web").await;
    assert!(longer > 0);
    settled(&daemon).await;
    assert_eq!(figures(&daemon, "shop").await["down_ms"], down);
    reload(&daemon, &text("series", "attic")).await;
    settled(&daemon).await;
    let shop = figures(&daemon, "shop").await;
    assert_eq!(shop["down_ms"], down, "who moved leaves its past: {shop}");
    assert_eq!(
        figures(&daemon, "attic").await["down_ms"],
        0,
        "and brings none"
    );
    let (report, _) = proven(directory.path());
    assert_eq!(report["evaluation"]["results"][0]["down_ms"], down);
    let told: Vec<&str> = report["changed"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|c| c["what"].as_str())
        .collect();
    assert_eq!(
        told,
        ["combine", "combine", "left"],
        "{}",
        report["changed"]
    );
    let page = daemon.get("/contracts").await.expect("a page");
    for shown in [
        "Changed in this period",
        "combination of endpoints",
        "series → parallel",
        "left",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    // Another member than before the outage makes none of it unknown.
    assert_eq!(
        shop["unknown_ms"],
        figures(&daemon, "shop").await["unknown_ms"]
    );
}

/// That a report whose lists were emptied, and signed anew, does not follow from the events.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_without_its_endpoints_slots_or_changes_does_not_verify() {
    let (directory, switch) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let text = |interval: &str| {
        format!(
            "{}{}[sla.s]\nobjective = \"99.9\"\ncomponents = [\"web\"]\n",
            QUICK.replace("500ms", interval),
            http("web", switch.port)
        )
    };
    let daemon = Daemon::start(directory.path(), &text("500ms")).await;
    daemon.until_state("web", "up").await;
    reload(&daemon, &text("700ms")).await;
    settled(&daemon).await;
    let (report, shown) = proven(directory.path());
    let cadences = report["endpoints"][0]["cadences"]
        .as_array()
        .expect("a list");
    assert_eq!(
        cadences
            .iter()
            .map(|c| c["interval_ms"].as_u64())
            .collect::<Vec<_>>(),
        [Some(500), Some(700)]
    );
    assert!(
        text_has(
            &shown,
            "every 500ms, timeout 300ms, 2 to confirm → every 700ms"
        ),
        "{shown}"
    );
    let path = |name: &str| directory.path().join(name);
    let signer =
        probity::history::checkpoint::Signer::kept(&path("state")).expect("the daemon's key");
    let journal = path("journal.jsonl");
    let bare = path("bare.jsonl");
    let without: Vec<String> = std::fs::read_to_string(&journal)
        .expect("read")
        .lines()
        .filter(|l| !l.starts_with("{\"tally\""))
        .map(str::to_owned)
        .collect();
    std::fs::write(&bare, without.join("\n")).expect("written");
    let verified = |report: Value, events: &Path| {
        let Value::Object(mut object) = report else {
            panic!("no object")
        };
        object.remove("signature");
        object.remove("key");
        std::fs::write(path("forged.json"), signer.signed(object).to_string()).expect("written");
        let output = probity(&[
            "sla",
            "verify",
            path("forged.json").to_str().expect("UTF-8"),
            "--events",
            events.to_str().expect("UTF-8"),
        ]);
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    for events in [&journal, &bare] {
        assert_eq!(
            verified(report.clone(), events).0,
            Some(0),
            "{:?}",
            verified(report.clone(), events)
        );
        for key in ["endpoints", "slots", "changed", "extents"] {
            let mut forged = report.clone();
            forged[key] = serde_json::json!([]);
            let (code, said) = verified(forged, events);
            assert_eq!(code, Some(1), "{key}: {said}");
            assert!(said.starts_with(key) || key == "extents", "{key}: {said}");
        }
        let mut forged = report.clone();
        forged["endpoints"][0]["cadences"]
            .as_array_mut()
            .expect("a list")
            .remove(0);
        assert!(
            verified(forged, events)
                .1
                .starts_with("endpoints[0].cadences")
        );
    }
}

/// A journal whose numbers were changed, chained and signed anew, is refused without a panic.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_with_numbers_that_no_record_has_does_not_verify() {
    let (directory, switch) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let text = |interval: &str| {
        format!(
            "{}{}[sla.s]\nobjective = \"99.9\"\ncomponents = [\"web\"]\n",
            QUICK.replace("500ms", interval),
            http("web", switch.port)
        )
    };
    let daemon = Daemon::start(directory.path(), &text("500ms")).await;
    daemon.until_state("web", "up").await;
    reload(&daemon, &text("700ms")).await;
    settled(&daemon).await;
    let (report, _) = proven(directory.path());
    let path = |name: &str| directory.path().join(name);
    let signer =
        probity::history::checkpoint::Signer::kept(&path("state")).expect("the daemon's key");
    let text = std::fs::read_to_string(path("journal.jsonl")).expect("read");
    let events: Vec<Value> = text
        .lines()
        .filter(|l| !l.starts_with("{\"tally\""))
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    use probity::history::chain::{GENESIS, canonical, hex, link};
    let mut changed = 0;
    for (k, event) in events.iter().enumerate() {
        let numbers = event
            .as_object()
            .expect("an object")
            .iter()
            .filter(|(key, value)| value.is_u64() && *key != "seq");
        for (key, value) in numbers {
            for number in [i64::MAX as u64, u64::MAX, 1 << 48, 0] {
                if value.as_u64() == Some(number) {
                    continue;
                }
                let (mut lines, mut head) = (Vec::new(), GENESIS);
                for (n, event) in events.iter().enumerate() {
                    let mut map = event.as_object().expect("an object").clone();
                    map.remove("hash");
                    if n == k {
                        map[key] = number.into();
                    }
                    head = link(&head, &canonical(&map));
                    map.insert("hash".into(), hex(&head).into());
                    lines.push(Value::Object(map).to_string());
                }
                let mut forged = report.clone();
                forged["events"]["head"] = hex(&head).into();
                forged["events"]
                    .as_object_mut()
                    .expect("an object")
                    .remove("checkpoint");
                let Value::Object(mut object) = forged else {
                    panic!("no object")
                };
                object.remove("signature");
                object.remove("key");
                let forged: Value =
                    serde_json::from_str(&signer.signed(object).to_string()).expect("JSON");
                // Called here: a panic would end the test.
                let found = probity::report::check::check(&forged, &lines.join("\n"), None);
                assert!(
                    found.is_err() || !key.ends_with("_ms") || number <= 1 << 48,
                    "{key} = {number}: {event}"
                );
                changed += 1;
            }
        }
    }
    assert!(changed > 50, "{changed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_disabled_while_down_is_not_covered_from_then_on() {
    let (directory, switch) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let steady = answering(ok("", b"")).await;
    let text = |enabled: bool| {
        let web = http("web", switch.port).replace(
            "name = \"web\"",
            &format!("name = \"web\"\ncomponent = \"shop\"\nenabled = {enabled}"),
        );
        let spare = http("spare", steady)
            .replace("name = \"spare\"", "name = \"spare\"\ncomponent = \"shop\"");
        format!(
            "{QUICK}[component.shop]\ntitle = \"Shop\"\n{web}{spare}[sla.s]\nobjective \
                = \"99.9\"\nmin_coverage = \"99\"\ncomponents = [\"shop\"]\n"
        )
    };
    let daemon = Daemon::start(directory.path(), &text(true)).await;
    daemon.until_state("spare", "up").await;
    daemon.until_state("web", "up").await;
    switch.set(500);
    daemon.until_state("web", "down").await;
    reload(&daemon, &text(false)).await;
    settled_for(&daemon, 2000).await;
    let shop = figures(&daemon, "shop").await;
    let left = &shop["left_while_down"][0];
    assert!(left["from"].is_string() && left["to"].is_null(), "{shop}");
    assert!(shop["down_ms"].as_u64() > Some(0), "{shop}");
    let (report, _) = proven(directory.path());
    let result = &report["evaluation"]["results"][0];
    assert!(
        result["left_while_down_ms"].as_u64() > Some(1000),
        "{result}"
    );
    assert_eq!(result["verdict"], "undetermined");
    // Most of the month would be without it: no coverage to speak of.
    assert!(
        result["coverage_percent"]
            .as_str()
            .is_some_and(|c| c.starts_with("0.")),
        "{result}"
    );
    // Back in service, the hole ends.
    switch.set(200);
    reload(&daemon, &text(true)).await;
    daemon.until_state("web", "up").await;
    settled(&daemon).await;
    let shop = figures(&daemon, "shop").await;
    assert!(shop["left_while_down"][0]["to"].is_string(), "{shop}");
}

/// As above, between the first failure and the one that would confirm it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_disabled_before_its_outage_is_confirmed_is_not_covered_either() {
    let (directory, switch) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let text = |enabled: bool| {
        let web = http("web", switch.port).replace(
            "name = \"web\"",
            &format!("name = \"web\"\ncomponent = \"shop\"\nenabled = {enabled}"),
        );
        let slow = QUICK.replace(
            "retry_interval = \"100ms\"",
            "retry_interval = \"30s\"\ndown_after = 50",
        );
        format!(
            "{slow}[component.shop]\ntitle = \"Shop\"\n{web}[sla.s]\nobjective \
                = \"99.9\"\nmin_coverage = \"99\"\ncomponents = [\"shop\"]\n"
        )
    };
    let daemon = Daemon::start(directory.path(), &text(true)).await;
    daemon.until_state("web", "up").await;
    switch.set(500);
    daemon
        .until(|d| async move { d.endpoint("web").await["last"]["result"] == "failure" })
        .await;
    assert_eq!(
        daemon.endpoint("web").await["state"],
        "up",
        "nothing is confirmed"
    );
    reload(&daemon, &text(false)).await;
    daemon
        .until(
            |d| async move { figures(d, "shop").await["left_while_down"][0]["from"].is_string() },
        )
        .await;
    switch.set(200);
    reload(&daemon, &text(true)).await;
    daemon.until_state("web", "up").await;
    settled(&daemon).await;
    let (report, _) = proven(directory.path());
    let result = &report["evaluation"]["results"][0];
    assert!(result["left_while_down_ms"].as_u64() > Some(0), "{result}");
    let unknown = &figures(&daemon, "shop").await["unknown"];
    assert!(
        unknown
            .as_array()
            .into_iter()
            .flatten()
            .any(|u| u["reason"] == "reconfigured"),
        "{unknown}"
    );
}

/// The component is renamed after an outage, in its table, its endpoints and the contract at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_is_renamed_goes_on_with_its_outages() {
    let (directory, switch) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let text = |component: &str| {
        let web = http("web", switch.port).replace(
            "name = \"web\"",
            &format!("name = \"web\"\ncomponent = \"{component}\""),
        );
        format!(
            "{QUICK}[component.{component}]\ntitle = \"Shop\"\n{web}[sla.s]\nobjective \
                = \"99.9\"\ncomponents = [\"{component}\"]\n"
        )
    };
    let daemon = Daemon::start(directory.path(), &text("shop")).await;
    let down = after_an_outage(&daemon, &switch, "web").await;
    settled(&daemon).await;
    let before = figures(&daemon, "shop").await;
    assert_eq!(before["down_ms"], down);
    reload(&daemon, &text("store")).await;
    settled(&daemon).await;
    let after = figures(&daemon, "store").await;
    assert_eq!(
        (&after["down_ms"], &after["in_service"]),
        (&before["down_ms"], &before["in_service"]),
        "{after}"
    );
    let (report, _) = proven(directory.path());
    let result = &report["evaluation"]["results"][0];
    assert_eq!(
        (&result["component"], &result["down_ms"]),
        (&Value::from("store"), &before["down_ms"]),
        "{result}"
    );
    let joined = report["changed"]
        .as_array()
        .and_then(|l| l.iter().find(|c| c["what"] == "joined"))
        .expect("the change is told");
    assert_eq!(
        (&joined["before"], &joined["after"]),
        (&Value::from("shop"), &Value::from("store")),
        "{joined}"
    );
    assert_eq!(
        joined["figure_before"]["down_ms"], before["down_ms"],
        "{joined}"
    );
    // There and back again, and over a restart.
    assert_eq!(daemon.end().await.0, 0);
    let daemon = Daemon::start(directory.path(), &text("shop")).await;
    daemon.until_state("web", "up").await;
    settled(&daemon).await;
    assert_eq!(figures(&daemon, "shop").await["down_ms"], down);
    assert_eq!(
        proven(directory.path()).0["evaluation"]["results"][0]["down_ms"],
        down
    );
}

/// As before, and one stays behind: nobody knows what the rest would have been.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_is_made_of_a_part_of_another_has_no_clean_past() {
    let (directory, switch) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let steady = answering(ok("", b"")).await;
    let text = |component: &str| {
        let web = http("web", switch.port)
            .replace("name = \"web\"", "name = \"web\"\ncomponent = \"shop\"");
        let spare = http("spare", steady).replace(
            "name = \"spare\"",
            &format!("name = \"spare\"\ncomponent = \"{component}\""),
        );
        let since = if component == "shop" {
            ""
        } else {
            "in_service_from = \"2099-01-01T00:00:00Z\"\n"
        };
        let shop = if component == "shop" {
            ""
        } else {
            "[component.shop]\n"
        };
        format!(
            "{QUICK}{shop}[component.{component}]\ntitle \
                = \"Shop\"\n{since}{web}{spare}[sla.s]\nobjective = \"99.9\"\nmin_coverage \
                = \"50\"\ncomponents = [\"{component}\"]\n"
        )
    };
    let daemon = Daemon::start(directory.path(), &text("shop")).await;
    daemon.until_state("spare", "up").await;
    let down = after_an_outage(&daemon, &switch, "web").await;
    settled(&daemon).await;
    let before = figures(&daemon, "shop").await;
    assert_eq!(before["down_ms"], down);
    reload(&daemon, &text("store")).await;
    settled(&daemon).await;
    assert_eq!(
        figures(&daemon, "shop").await["down_ms"],
        down,
        "who stays keeps it"
    );
    let store = figures(&daemon, "store").await;
    assert!(store["unknown_ms"].as_u64() >= Some(down), "{store}");
    assert_eq!(store["unknown"][0]["reason"], "reconfigured", "{store}");
    let (report, _) = proven(directory.path());
    // The contract named the shop when it was recorded: its outage stays in the verdict.
    let own = &report["evaluation"]["results"][0];
    assert_eq!(
        (&own["component"], &own["down_ms"]),
        (&Value::from("shop"), &before["down_ms"]),
        "{own}"
    );
    let result = &report["later_terms"]["evaluation"]["results"][0];
    assert_eq!(
        (&result["component"], &result["verdict"]),
        (&Value::from("store"), &Value::from("undetermined")),
        "{result}"
    );
    assert!(
        result["unknown_ms"].as_u64() >= Some(down),
        "its begin of service moves nothing out: {result}"
    );
    let joined = report["changed"]
        .as_array()
        .and_then(|l| l.iter().find(|c| c["what"] == "joined"))
        .expect("the change is told");
    assert!(
        joined["before"] == "shop" && joined["figure_before"]["up_ms"].as_u64() > Some(0),
        "{joined}"
    );
}

fn said(output: &std::process::Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrections_and_windows_follow_a_component_that_is_renamed() {
    let (directory, switch) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let text = |component: &str| {
        let web = http("web", switch.port).replace(
            "name = \"web\"",
            &format!("name = \"web\"\ncomponent = \"{component}\""),
        );
        format!(
            "{QUICK}[component.{component}]\n{web}[sla.s]\nobjective = \"99.9\"\ncomponents = \
                [\"{component}\"]\n"
        )
    };
    let state = directory
        .path()
        .join("state")
        .to_str()
        .expect("UTF-8")
        .to_owned();
    let daemon = Daemon::start(directory.path(), &text("shop")).await;
    // An outage that is excluded under the component's first name before it is renamed, and one
    // after.
    for component in ["shop", "store"] {
        if component == "store" {
            reload(&daemon, &text(component)).await;
        }
        let down = after_an_outage(&daemon, &switch, "web").await;
        daemon
            .until(|d| async move { figures(d, component).await["down_ms"] == down })
            .await;
        let outage = daemon.json("/api/v1/outages").await["outages"][0].clone();
        let (from, to) = (
            outage["from"].as_str().expect("a start"),
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
        assert_eq!(done.status.code(), Some(0), "{}", said(&done));
        assert_eq!(
            said(&done).contains("the component shop is called store now"),
            component == "store",
            "{}",
            said(&done)
        );
        assert_eq!(figures(&daemon, component).await["down_ms"], 0);
    }
    assert_eq!(
        figures(&daemon, "store").await["down_ms"],
        0,
        "both are excluded"
    );
    let (report, _) = proven(directory.path());
    assert_eq!(report["evaluation"]["results"][0]["down_ms"], 0, "{report}");
    assert_eq!(
        report["excluded"].as_array().map(Vec::len),
        Some(2),
        "{}",
        report["excluded"]
    );
    let tomorrow =
        probity::words::format_utc(probity::net::clock::Clock::Real.read().utc_ms + 86_400_000);
    let start = [
        "--start",
        &tomorrow,
        "--duration",
        "1h",
        "--reason",
        "x",
        "--state-dir",
        &state,
    ];
    let added = probity(&[&["maintenance", "add", "--component", "shop"], &start[..]].concat());
    assert_eq!(added.status.code(), Some(0), "{}", said(&added));
    let list = super::cli::checked(
        &probity(&["maintenance", "list", "--json", "--state-dir", &state]).stdout,
    );
    assert_eq!(
        list["windows"][0]["components"],
        serde_json::json!(["store"]),
        "{list}"
    );
    let unknown = probity(&[&["maintenance", "add", "--component", "attic"], &start[..]].concat());
    assert_eq!(
        (
            unknown.status.code(),
            said(&unknown).contains("unknown component `attic`")
        ),
        (Some(1), true),
        "{}",
        said(&unknown)
    );
}

/// A correction of a component concerns those who belonged to it: it takes nothing out of another
/// to which an endpoint belonged then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_moves_into_an_excluded_component_keeps_its_outage_where_it_was() {
    let (directory, switch) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let steady = answering(ok("", b"")).await;
    let text = |of_web: &str| {
        let of = |name: &str, port: u16, component: &str| {
            http(name, port).replace(
                "probe.http",
                &format!("component = \"{component}\"\nprobe.http"),
            )
        };
        let (web, spare) = (of("web", switch.port, of_web), of("spare", steady, "attic"));
        format!(
            "{QUICK}[component.shop]\n[component.attic]\n{web}{spare}[sla.s]\nobjective \
                = \"99.9\"\ncomponents = [\"shop\"]\n"
        )
    };
    let daemon = Daemon::start(directory.path(), &text("shop")).await;
    daemon.until_state("spare", "up").await;
    let down = after_an_outage(&daemon, &switch, "web").await;
    daemon
        .until(|d| async move { figures(d, "shop").await["down_ms"] == down })
        .await;
    let outage = daemon.json("/api/v1/outages").await["outages"][0].clone();
    let (from, to) = (
        outage["from"].as_str().expect("a start"),
        outage["to"].as_str().expect("an end"),
    );
    let state = directory
        .path()
        .join("state")
        .to_str()
        .expect("UTF-8")
        .to_owned();
    let done = probity(&[
        "history",
        "exclude",
        "--state-dir",
        &state,
        "--component",
        "attic",
        "--from",
        from,
        "--to",
        to,
        "--reason",
        "agreed",
    ]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    reload(&daemon, &text("attic")).await;
    settled(&daemon).await;
    assert_eq!(figures(&daemon, "shop").await["down_ms"], down);
    assert_eq!(
        proven(directory.path()).0["evaluation"]["results"][0]["down_ms"],
        down
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenants_report_names_no_component_of_another() {
    let (directory, switch) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let steady = answering(ok("", b"")).await;
    let text = |of_web: &str| {
        let of = |name: &str, port: u16, component: &str| {
            http(name, port).replace(
                "probe.http",
                &format!("component = \"{component}\"\nprobe.http"),
            )
        };
        let endpoints = of("one", switch.port, of_web)
            + &of("two", steady, "attic")
            + &of("three", steady, "shop");
        let tenants = ["shop", "attic"].map(|c| {
            format!(
                "[[tenant]]\nname = \"of-{}\"\nsla \
            = \"s\"\ncomponents = [\"{c}\"]\nfee = \"1.00\"\n",
                &c[..1]
            )
        });
        format!(
            "{QUICK}[component.shop]\n[component.attic]\n[component.cellar]\n{endpoints}[sla.s]\n\
                objective = \"99.9\"\ncurrency = \"EUR\"\ncomponents = [\"shop\", \"attic\"]\n{}",
            tenants.concat()
        )
    };
    let daemon = Daemon::start(directory.path(), &text("shop")).await;
    for name in ["one", "two", "three"] {
        daemon.until_state(name, "up").await;
    }
    after_an_outage(&daemon, &switch, "one").await;
    reload(&daemon, &text("attic")).await;
    // The next outage is estimated to begin after the move.
    settled(&daemon).await;
    after_an_outage(&daemon, &switch, "one").await;
    // What is made of a part of another shows what is recorded there, to who may see it.
    reload(
        &daemon,
        &text("cellar").replace(
            "components = [\"attic\"]",
            "components = [\"attic\", \"cellar\"]",
        ),
    )
    .await;
    settled(&daemon).await;
    let path = |name: &str| {
        directory
            .path()
            .join(name)
            .to_str()
            .expect("UTF-8")
            .to_owned()
    };
    let (config, month) = (path("probity.toml"), month());
    let journal = probity(&["export", "journal", "--tallies", "--config", &config]);
    std::fs::write(path("journal.jsonl"), &journal.stdout).expect("written");
    for (tenant, own, foreign, outages) in [
        ("of-s", "shop", ["attic", "cellar"], 1),
        ("of-a", "attic", ["shop", "Shop"], 1),
    ] {
        let report = [
            "sla",
            "report",
            "--provisional",
            "--period",
            &month,
            "--config",
            &config,
            "--tenant",
            tenant,
        ];
        for format in ["json", "md", "html", "csv"] {
            let shown =
                String::from_utf8(probity(&[&report[..], &["--format", format]].concat()).stdout)
                    .expect("UTF-8");
            for name in foreign {
                assert!(
                    !shown.contains(name),
                    "{tenant} {format} has {name}: {shown}"
                );
            }
            if format == "json" {
                let object: Value = super::cli::checked(shown.as_bytes());
                assert!(shown.contains(own));
                assert_eq!(
                    object["outages"].as_array().map(Vec::len),
                    Some(outages),
                    "{}",
                    object["outages"]
                );
                let moves: Vec<_> = object["changed"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|c| c["what"] == "left" || c["what"] == "joined")
                    .collect();
                assert!(!moves.is_empty(), "{}", object["changed"]);
                std::fs::write(path("report.json"), &shown).expect("written");
                let verified = probity(&[
                    "sla",
                    "verify",
                    &path("report.json"),
                    "--events",
                    &path("journal.jsonl"),
                ]);
                assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
            }
        }
    }
}

/// Time of which nothing says what a component would have been is unknown for a contract that
/// counts slices as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_of_a_component_that_is_made_of_a_part_of_another_are_unknown_before() {
    let (directory, switch) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let steady = answering(ok("", b"")).await;
    let text = |of_web: &str| {
        let of = |name: &str, port: u16, component: &str| {
            http(name, port).replace(
                "probe.http",
                &format!("component = \"{component}\"\nprobe.http"),
            )
        };
        let endpoints = of("web", switch.port, of_web) + &of("spare", steady, "shop");
        let measure = "measure = { slices = \"1s\", down_if = \"any_fail\" }\n";
        // Results are recorded from the start, whatever is judged.
        let old = format!("[sla.old]\nobjective = \"99.9\"\ncomponents = [\"shop\"]\n{measure}");
        format!(
            "{QUICK}[component.shop]\n[component.store]\n{endpoints}{old}[sla.s]\nobjective \
                = \"99.9\"\ncomponents = [\"{of_web}\"]\n{measure}"
        )
    };
    let daemon = Daemon::start(directory.path(), &text("shop")).await;
    daemon.until_state("spare", "up").await;
    let down = after_an_outage(&daemon, &switch, "web").await;
    settled(&daemon).await;
    reload(&daemon, &text("store")).await;
    settled_for(&daemon, 3000).await;
    // By terms of today, whatever the contract named before.
    let [config, file] = ["probity.toml", "contract.toml"].map(|name| {
        directory
            .path()
            .join(name)
            .to_str()
            .expect("UTF-8")
            .to_owned()
    });
    std::fs::write(
        &file,
        "[sla.s]\nobjective = \"99.9\"\ncomponents = [\"store\"]\nmeasure = { \
        slices = \"1s\", down_if = \"any_fail\" }\n",
    )
    .expect("written");
    let judged = probity(&[
        "sla",
        "evaluate",
        "--config",
        &config,
        "--contract",
        &file,
        "--period",
        &month(),
        "--json",
    ]);
    assert!(!judged.stdout.is_empty(), "{}", said(&judged));
    let judged = super::cli::checked(&judged.stdout);
    let result = &judged["results"][0];
    assert_eq!(
        (&result["component"], &result["down_ms"], &result["verdict"]),
        (
            &Value::from("store"),
            &Value::from(0),
            &Value::from("undetermined")
        ),
        "{result}"
    );
    assert!(
        result["unknown_ms"].as_u64() >= Some(down) && result["up_ms"].as_u64() >= Some(1000),
        "{result}"
    );
    let mean = "measure = { slices = \"1s\", value = \"mean_error_ratio\", no_probe = \"0\" }\n";
    std::fs::write(
        &file,
        format!("[sla.s]\nobjective = \"99.9\"\ncomponents = [\"store\"]\n{mean}"),
    )
    .expect("written");
    let judged = probity(&[
        "sla",
        "evaluate",
        "--config",
        &config,
        "--contract",
        &file,
        "--period",
        &month(),
        "--json",
    ]);
    let of_mean = super::cli::checked(&judged.stdout)["results"][0].clone();
    assert_eq!(
        (&of_mean["availability"], &of_mean["verdict"]),
        (&Value::from("1/1"), &Value::from("undetermined")),
        "{of_mean}"
    );
    // As for a contract that counts time, but for the slices at the ends.
    let store = figures(&daemon, "store").await;
    let (by_time, by_slices) = (
        store["unknown_ms"].as_u64().expect("a number"),
        result["unknown_ms"].as_u64().expect("a number"),
    );
    assert!(by_time.abs_diff(by_slices) <= 2000, "{by_time} {by_slices}");
}

/// A component's outage is there from the moment it begins, with length 0 and an open end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_a_component_that_has_just_begun_is_listed_everywhere() {
    let directory = tempfile::tempdir().expect("a directory");
    let steady = answering(ok("", b"")).await;
    // Down at once, and not probed again for a while: nothing is settled after its first failure.
    let slow = "component = \"shop\"\ninterval = \"1h\"\nretry_interval = \"1m\"\ndown_after = \
        1\nprobe.http";
    let db = http("db", closed_port()).replace("probe.http", slow);
    let web = http("web", steady).replace("probe.http", "component = \"shop\"\nprobe.http");
    let text = format!(
        "{QUICK}[component.shop]\n{db}{web}[sla.s]\nobjective = \"99.9\"\ncomponents = [\"shop\"]\n"
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("db", "down").await;
    daemon.until_state("web", "up").await;
    let outage = daemon.json("/api/v1/outages").await["outages"][0].clone();
    // The other is settled further.
    let settled_at = |endpoint: Value| {
        endpoint["settled"]
            .as_str()
            .and_then(probity::words::parse_utc)
    };
    let begun_at = outage["from"].as_str().and_then(probity::words::parse_utc);
    daemon
        .until(
            |d| async move { settled_at(d.endpoint("web").await) > begun_at.map(|at| at + 1000) },
        )
        .await;
    let shop = figures(&daemon, "shop").await;
    assert_eq!(shop["down"].as_array().map(Vec::len), Some(1), "{shop}");
    let begun = &shop["down"][0];
    assert_eq!(
        (&begun["outage"], &begun["from"], &begun["to"]),
        (&outage["id"], &outage["from"], &Value::Null),
        "{shop}"
    );
    assert_eq!(shop["down_ms"], 0, "{shop}");
    let (report, _) = proven(directory.path());
    let result = &report["evaluation"]["results"][0];
    assert_eq!(
        (
            &result["outage_summary"]["count"],
            &result["outages"][0]["to"],
            &result["outages"][0]["down_ms"]
        ),
        (&Value::from(1), &Value::Null, &Value::from(0)),
        "{result}"
    );
    assert_eq!(
        report["timeline"]["components"][0]["down"][0]["to"],
        Value::Null,
        "{}",
        report["timeline"]
    );
    let month = daemon.json("/api/v1/components?component=shop").await;
    assert_eq!(
        month["components"][0]["outage_summary"]["count"], 1,
        "{month}"
    );
}
