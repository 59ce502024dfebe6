//! Manipulations of the prober itself while an endpoint is down: other witnesses, other limits.
//! They need one reload each, hide no outage that is already confirmed, and are named in the
//! report.

use serde_json::{Value, json};

use super::cli::probity;
use super::component_history::{figures, proven, reload, settled};
use super::daemon::{Daemon, Switch, http};
use super::serve::{answering, closed_port, ok};

const QUICK: &str =
    "[defaults]\ninterval = \"500ms\"\ntimeout = \"400ms\"\nretry_interval = \"100ms\"\n";
const CONTRACT: &str = "[sla.s]\nobjective = \"99.9\"\ncomponents = [\"web\"]\n";

fn usual(port: u16) -> String {
    format!("{QUICK}{}{CONTRACT}", http("web", port))
}

fn witness(port: u16) -> String {
    format!("[witness]\n[[witness.endpoint]]\nname = \"far\"\nprobe.tcp = \"127.0.0.1:{port}\"\n")
}

/// A daemon whose endpoint is down, with how long it was so far.
async fn down(directory: &std::path::Path, text: &str, switch: &Switch) -> (Daemon, u64) {
    let daemon = Daemon::start(directory, text).await;
    daemon.until_state("web", "up").await;
    switch.set(500);
    daemon.until_state("web", "down").await;
    settled(&daemon).await;
    let down = figures(&daemon, "web").await["down_ms"].as_u64();
    (daemon, down.expect("a figure"))
}

/// The rows of a kind under "Changed in this period": before and after.
fn rows(report: &Value, what: &str) -> Vec<(Value, Value)> {
    let all = report["changed"].as_array().into_iter().flatten();
    all.filter(|c| c["what"] == what)
        .map(|c| (c["before"].clone(), c["after"].clone()))
        .collect()
}

/// Whether the report verifies without the rows of a kind.
fn verifies_without(
    directory: &std::path::Path,
    report: &Value,
    what: &str,
) -> (Option<i32>, String) {
    let path = |name: &str| directory.join(name).to_str().expect("UTF-8").to_owned();
    let signer = probity::history::checkpoint::Signer::kept(&directory.join("state"))
        .expect("the daemon's key");
    let Value::Object(mut object) = report.clone() else {
        panic!("no object")
    };
    object.remove("key");
    object["changed"]
        .as_array_mut()
        .expect("a list")
        .retain(|c| c["what"] != what);
    std::fs::write(path("forged.json"), signer.signed(object).to_string()).expect("written");
    let args = [
        "sla",
        "verify",
        &path("forged.json"),
        "--events",
        &path("journal.jsonl"),
    ];
    let output = probity(&args);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_witness_that_never_answered_stops_no_outage() {
    let directory = tempfile::tempdir().expect("a directory");
    let switch = Switch::new().await;
    let (daemon, before) = down(directory.path(), &usual(switch.port), &switch).await;
    reload(&daemon, &(usual(switch.port) + &witness(closed_port()))).await;
    let warned = "no quorum of the new witnesses has answered yet";
    daemon
        .until(|d| async move { d.log().contains(warned) })
        .await;
    daemon
        .until(|d| async move { figures(d, "web").await["down_ms"].as_u64() > Some(before + 3000) })
        .await;
    assert_eq!(daemon.state("web").await, "down");
    reload(&daemon, &usual(switch.port)).await;
    switch.set(200);
    daemon.until_state("web", "up").await;
    settled(&daemon).await;
    assert_eq!(daemon.log().matches(warned).count(), 1);
    let (report, text) = proven(directory.path());
    let events = std::fs::read_to_string(directory.path().join("journal.jsonl")).expect("read");
    assert!(!events.contains("local_network"), "{events}");
    let (none, far) = (json!("none"), json!("far; quorum majority"));
    assert_eq!(
        rows(&report, "witnesses"),
        [(none.clone(), far.clone()), (far, none)]
    );
    assert!(text.contains("none → far; quorum majority"), "{text}");
    let (code, said) = verifies_without(directory.path(), &report, "witnesses");
    assert!(code == Some(1) && said.starts_with("changed"), "{said}");
    let page = daemon.get("/contracts").await.expect("a page");
    assert!(page.contains("none → far; quorum majority"), "{page}");
}

/// The same name at another place is another witness, also where the one before had answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_witness_under_the_same_name_stops_no_outage_either() {
    let directory = tempfile::tempdir().expect("a directory");
    let (switch, steady) = (Switch::new().await, answering(ok("", b"")).await);
    let start = usual(switch.port) + &witness(steady);
    let (daemon, before) = down(directory.path(), &start, &switch).await;
    reload(&daemon, &(usual(switch.port) + &witness(closed_port()))).await;
    daemon
        .until(|d| async move { figures(d, "web").await["down_ms"].as_u64() > Some(before + 2000) })
        .await;
    assert_eq!(daemon.state("web").await, "down");
    let (report, _) = proven(directory.path());
    let [(before, after)] = &rows(&report, "witnesses")[..] else {
        panic!("{report}")
    };
    let shown = |v: &Value| v.as_str().is_some_and(|t| t.starts_with("far ("));
    assert!(shown(before) && shown(after) && before != after, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_that_a_reload_lowers_are_named_in_the_report() {
    let directory = tempfile::tempdir().expect("a directory");
    let switch = Switch::new().await;
    let (daemon, _) = down(directory.path(), &usual(switch.port), &switch).await;
    reload(
        &daemon,
        &format!("max_in_flight = 1\n{}", usual(switch.port)),
    )
    .await;
    settled(&daemon).await;
    let (report, _) = proven(directory.path());
    let default = "max_in_flight default, max_in_flight_per_host default";
    let one = "max_in_flight 1, max_in_flight_per_host default";
    assert_eq!(rows(&report, "limits"), [(json!(default), json!(one))]);
    assert!(rows(&report, "witnesses").is_empty(), "{report}");
    let (code, said) = verifies_without(directory.path(), &report, "limits");
    assert!(code == Some(1) && said.starts_with("changed"), "{said}");
    // A start with what was told last tells nothing, one with other limits is a change.
    assert_eq!(daemon.end().await.0, 0);
    let daemon = Daemon::start(directory.path(), &usual(switch.port)).await;
    settled(&daemon).await;
    let (report, _) = proven(directory.path());
    assert_eq!(
        rows(&report, "limits")[1..],
        [(json!(one), json!(default))],
        "{report}"
    );
    assert!(rows(&report, "witnesses").is_empty(), "{report}");
}

/// Failed probes of the endpoint.
async fn failures_of(daemon: &Daemon) -> u64 {
    let metrics = daemon.get("/metrics").await.expect("metrics");
    let own = "probity_probe_failures_total{endpoint=\"web\"";
    let counts = metrics.lines().filter(|line| line.starts_with(own));
    let counts = counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    counts.sum()
}

/// A script that changes an expectation after each failure keeps an outage from being confirmed.
/// That time is unknown since the last success, and every change is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_that_changes_all_the_time_makes_no_outage_into_time_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let switch = Switch::new().await;
    let text = |within: u32| {
        format!(
            "{QUICK}[[endpoint]]\nname = \"web\"\nprobe.http = {{ url = \
                \"http://127.0.0.1:{}/\", expect = {{ within = \"{within}ms\" }} }}\n{CONTRACT}",
            switch.port
        )
    };
    let daemon = Daemon::start(directory.path(), &text(300)).await;
    daemon.until_state("web", "up").await;
    settled(&daemon).await;
    let before = figures(&daemon, "web").await;
    switch.set(500);
    let flips = 10;
    for flip in 1..=flips {
        let failures = failures_of(&daemon).await;
        daemon
            .until(|d| async move { failures_of(d).await > failures })
            .await;
        reload(&daemon, &text(300 + flip % 2)).await;
    }
    switch.set(200);
    settled(&daemon).await;
    let after = figures(&daemon, "web").await;
    let grown = |key: &str| {
        let of = |figures: &Value| figures[key].as_u64().expect("a figure");
        of(&after).saturating_sub(of(&before))
    };
    assert!(
        grown("unknown_ms") + grown("down_ms") >= 900,
        "{before} {after}"
    );
    let (report, _) = proven(directory.path());
    assert!(
        rows(&report, "definition").len() as u32 == flips,
        "{report}"
    );
}
