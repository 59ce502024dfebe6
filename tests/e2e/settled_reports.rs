//! A report cannot say of time that nobody measured, nor of an outage that goes on, what the events
//! of the same daemon do not tell, those that came later among them.

use std::path::Path;

use probity::history::checkpoint::Signer;
use serde_json::{Value, json};

use super::cli::probity;
use super::component_history::{proven, settled_for};
use super::daemon::{Daemon, Switch, http};

const QUICK: &str =
    "[defaults]\ninterval = \"500ms\"\ntimeout = \"300ms\"\nretry_interval = \"100ms\"\n";
const CONTRACT: &str = "[sla.s]\nobjective = \"99.9\"\ncomponents = [\"web\"]\n";

/// Whether a report with another extent, signed with the daemon's key, follows from the events that
/// there are by now.
fn verified(
    directory: &Path,
    report: &Value,
    change: &dyn Fn(&mut Value),
) -> (Option<i32>, String) {
    let path = |name: &str| directory.join(name).to_str().expect("UTF-8").to_owned();
    let journal = probity(&["export", "journal", "--config", &path("probity.toml")]);
    std::fs::write(path("now.jsonl"), &journal.stdout).expect("written");
    let signer = Signer::kept(&directory.join("state")).expect("the daemon's key");
    let mut forged = report.as_object().expect("an object").clone();
    forged.remove("key");
    change(&mut forged["extents"][0]);
    std::fs::write(path("forged.json"), signer.signed(forged).to_string()).expect("written");
    let (report, journal) = (path("forged.json"), path("now.jsonl"));
    let output = probity(&["sla", "verify", &report, "--events", &journal]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), said)
}

fn refused(found: (Option<i32>, String), words: [&str; 2]) {
    let (code, said) = found;
    assert!(
        code == Some(1) && said.starts_with(words[0]) && said.contains(words[1]),
        "{said}\ninstead of {words:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_report_settles_time_in_which_the_daemon_was_dead() {
    let directory = tempfile::tempdir().expect("a directory");
    let switch = Switch::new().await;
    let text = format!("{QUICK}{}{CONTRACT}", http("web", switch.port));
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("web", "up").await;
    settled_for(&daemon, 500).await;
    daemon.kill();
    let (report, _) = proven(directory.path());
    let issued = probity::words::parse_utc(report["issued_at"].as_str().expect("a time"));
    let to_issue = |e: &mut Value| e["watermark_ms"] = issued.into();
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("web", "up").await;
    settled_for(&daemon, 0).await;
    let honest = verified(directory.path(), &report, &|_| {});
    assert_eq!(honest.0, Some(0), "{}", honest.1);
    refused(
        verified(directory.path(), &report, &to_issue),
        [
            "extents[0].watermark_ms: event ",
            "says that nothing was recorded after",
        ],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_report_makes_an_outage_that_goes_on_less_certain() {
    let directory = tempfile::tempdir().expect("a directory");
    let switch = Switch::new().await;
    let text = |up_after: u32| {
        let cadence = QUICK.replace("[defaults]", &format!("[defaults]\nup_after = {up_after}"));
        format!("{cadence}{}{CONTRACT}", http("web", switch.port))
    };
    for (up_after, is_told) in [(1, true), (2, false)] {
        switch.set(200);
        let daemon = Daemon::start(directory.path(), &text(up_after)).await;
        daemon.until_state("web", "up").await;
        switch.set(500);
        daemon.until_state("web", "down").await;
        settled_for(&daemon, 500).await;
        let (report, _) = proven(directory.path());
        let run = report["extents"][0]["open_run"].clone();
        let at = |k: usize| run[k].as_u64().expect("an open run");
        let none = |e: &mut Value| e["open_run"] = Value::Null;
        let later = |e: &mut Value| e["open_run"] = json!([at(0) + 1, at(1)]);
        let shorter = |e: &mut Value| e["open_run"] = json!([at(0), at(1) - 1]);
        let by_events = "by the events the failures of web in a row go from";
        let place = "extents[0].open_run: ";
        refused(
            verified(directory.path(), &report, &shorter),
            [place, by_events],
        );
        for change in [&none as &dyn Fn(&mut Value), &later] {
            let (code, said) = verified(directory.path(), &report, change);
            let is_refused = code == Some(1) && said.starts_with(place);
            assert_eq!(is_refused, is_told, "{said}");
        }
        // When the outage has ended, an event proves the run.
        switch.set(200);
        daemon.until_state("web", "up").await;
        settled_for(&daemon, 500).await;
        let honest = verified(directory.path(), &report, &|_| {});
        assert_eq!(honest.0, Some(0), "{}", honest.1);
        for change in [&none as &dyn Fn(&mut Value), &later] {
            refused(
                verified(directory.path(), &report, change),
                [
                    place,
                    if is_told {
                        by_events
                    } else {
                        "web is down for certain from"
                    },
                ],
            );
        }
        assert_eq!(daemon.end().await.0, 0);
    }
}
