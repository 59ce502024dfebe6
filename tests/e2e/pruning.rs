//! Pruning: what a running daemon refuses to cut away, and a cut made in this process, which no
//! period holds up.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use probity::history::opened::History;
use probity::history::prune::{Pruned, prepare};
use probity::history::schema::open_to_read;
use probity::net::clock::Clock;
use probity::words::{UtcMs, format_utc};

use super::cli::{checked, probity};
use super::daemon::Daemon;
use super::recorded::Recorded;
use super::serve::{answering, ok};

/// Cuts the history of a daemon that does not run. The daemon itself refuses to cut a period that
/// has not ended.
pub fn cut(directory: &Path, before: UtcMs) -> Pruned {
    let state = directory.join("state");
    let cut = prepare(&open_to_read(&state).expect("opened"), before)
        .expect("whole")
        .expect("there are events before that");
    let (writer, thread) = History::open(&state, None)
        .expect("opened")
        .start(|_| {})
        .expect("a thread");
    let pruned = writer.prune(cut, "anna".into(), now()).expect("pruned");
    writer.end(Duration::from_secs(60));
    drop(writer);
    thread.join().expect("it ended");
    pruned
}

fn now() -> UtcMs {
    Clock::Real.read().utc_ms
}

fn prune(state: &str, before: &str) -> Output {
    probity(&[
        "history",
        "prune",
        "--state-dir",
        state,
        "--before",
        before,
        "--json",
    ])
}

fn refusal(state: &str, before: &str) -> String {
    let output = prune(state, before);
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{why}");
    why
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_never_takes_events_of_a_period_that_has_not_ended() {
    // A history of 2025 that goes on today, under a contract of the last six hours.
    let recorded = Recorded::new();
    let state = recorded.state_dir();
    let text = recorded.endpoints();
    let daemon = Daemon::start(recorded.path(), &text).await;
    let refused = refusal(&state, &format_utc(now()));
    assert!(
        refused.contains("`standard`") && refused.contains("latest instant that is allowed is"),
        "{refused}"
    );
    let pruned = checked(&prune(&state, "2025-03-01T03:00:00Z").stdout);
    let last = pruned["last"].as_u64().expect("a number");
    assert!(
        last > 0
            && pruned["until"]
                .as_str()
                .is_some_and(|until| until <= "2025-03-01T03:00:00Z"),
        "{pruned}"
    );
    assert_eq!(daemon.end().await.0, 0);
    // The contract gives way to one of a year: its year, and the latest instant, are named.
    let yearly = text.replace("period = \"rolling 6h\"", "period = \"calendar_year\"");
    let daemon = Daemon::start(recorded.path(), &yearly).await;
    let year = format_utc(now())[..4].to_owned();
    let start = format!("{year}-01-01T00:00:00.000Z");
    let refused = refusal(&state, &format!("{year}-01-01T00:00:00.001Z"));
    assert!(
        refused.contains("`standard`") && refused.contains(&format!("started at {start}")),
        "{refused}"
    );
    assert_eq!(daemon.end().await.0, 0);
    // Without a contract from now on: it was in force in its year, which goes on.
    let none = yearly
        .split("[sla.standard]")
        .next()
        .expect("a text")
        .to_owned();
    let daemon = Daemon::start(recorded.path(), &none).await;
    let refused = refusal(&state, &format!("{year}-01-01T00:00:00.001Z"));
    assert!(refused.contains("`standard`"), "{refused}");
    let pruned = checked(&prune(&state, &start).stdout);
    assert!(
        pruned["last"].as_u64().is_some_and(|l| l > last),
        "all of before the year goes: {pruned}"
    );
    let found = probity(&["history", "verify", "--state-dir", &state]);
    assert_eq!(
        found.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&found.stdout)
    );
    assert_eq!(daemon.end().await.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_contract_the_running_month_is_never_cut() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "[[endpoint]]\nname = \"web\"\nprobe.http = \"http://127.0.0.1:{}/\"\n",
        answering(ok("", b"")).await
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    let state = directory
        .path()
        .join("state")
        .to_str()
        .expect("UTF-8")
        .to_owned();
    let month = format!("{}-01T00:00:00", &format_utc(now())[..7]);
    let refused = refusal(&state, &format!("{month}.001Z"));
    assert!(
        refused.contains("running calendar month")
            && refused.contains(&format!("allowed is {month}.000Z")),
        "{refused}"
    );
    let refused = refusal(&state, &format!("{month}Z"));
    assert!(refused.contains("no event before this time"), "{refused}");
    assert_eq!(daemon.end().await.0, 0);
}
