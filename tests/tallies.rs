//! Tallies over years: sealed by the hour, rolled up by day and month, each figure kept, and
//! whoever takes one away is seen.

#[path = "support/waiting.rs"]
mod waiting;

use std::path::Path;
use std::time::Duration;

use probity::history::event::{DaemonStartedEvent, EndpointAddedEvent};
use probity::history::opened::History;
use probity::history::read::Extent;
use probity::history::read_tallies::WhichTallies;
use probity::history::registry::Registered;
use probity::history::schema::{FILE, open_to_read};
use probity::history::tally::{tally_hours, tally_latency, tally_slots};
use probity::history::verification::{Against, Verification};
use probity::history::writer::Writer;
use probity::history::{Batch, EventDraft, Registration, Stamp, TallyDraft};
use probity::judgement::counts::Slots;
use probity::judgement::latency::{Ending, Series};
use probity::judgement::timeline::Span;
use probity::words::{Name, parse_utc};
use rusqlite::{Connection, OpenFlags};

const HOUR_MS: i64 = 3_600_000;

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// A history with two endpoints, and its writer.
fn begun(directory: &Path) -> (Writer, std::thread::JoinHandle<()>, Vec<Registered>) {
    let mut history = History::open(directory, None).expect("opened");
    let registration = |text: &str| Registration {
        name: name(text),
        renamed_from: None,
        component: name(text),
        kind: "tcp",
        target: "127.0.0.1:1".into(),
        digest: probity::words::Digest::from_short(1),
    };
    let registered = history
        .register(&[registration("a"), registration("b")])
        .expect("registered");
    let (tell, told) = std::sync::mpsc::channel();
    let (writer, thread) = history
        .start(move |progress| drop(tell.send(progress)))
        .expect("started");
    let event = |id: i64, text: &str| {
        let added = EndpointAddedEvent {
            component: text.into(),
            ..EndpointAddedEvent::default()
        };
        EventDraft::of_endpoint((id, name(text)), 1, 1, added)
    };
    let start = DaemonStartedEvent {
        format: Some(3),
        last_mark_ms: Some(0),
        ..DaemonStartedEvent::default()
    };
    let start = EventDraft::general(1, 1, start);
    let events = vec![
        start,
        event(registered[0].id, "a"),
        event(registered[1].id, "b"),
    ];
    writer.commit(Batch {
        id: 1,
        stamp: Stamp {
            utc_ms: 1,
            ..Stamp::default()
        },
        events,
        prune_before: 0,
        ..Batch::default()
    });
    told.recv_timeout(Duration::from_secs(10))
        .expect("committed");
    (writer, thread, registered)
}

fn tally(registered: &[Registered], which: usize, hour: i64, success: u64) -> TallyDraft {
    TallyDraft {
        endpoint: registered[which].id,
        name: name(["a", "b"][which]),
        hour,
        slots: Slots {
            success,
            missed: 1,
            ..Slots::default()
        },
        slots_before: Slots::default(),
        reprobes: 0,
        longest_blind: 30_000 + hour as u64 % 24,
        latency: vec![(Series::Whole(Ending::Success), vec![(100, success)])],
    }
}

fn count(directory: &Path, sql: &str) -> i64 {
    Connection::open_with_flags(directory.join(FILE), OpenFlags::SQLITE_OPEN_READ_ONLY)
        .expect("opened")
        .query_row(sql, [], |r| r.get(0))
        .expect("counted")
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let holds = || std::future::ready(is_so());
    waiting::until(Duration::from_secs(120), || what.to_owned(), holds).await;
}

/// Slots, hours and latency counts of a period, from whatever tallies make it up.
fn sums(directory: &Path, endpoint: &str, period: Span) -> (u64, u64, u64) {
    let reader = open_to_read(directory).expect("opened");
    let all = reader
        .tallies(endpoint, period, WhichTallies::Sealed)
        .expect("read");
    let latency = all
        .iter()
        .flat_map(|t| tally_latency(&t.body))
        .flat_map(|(_, b)| b)
        .map(|(_, n)| n)
        .sum();
    (
        all.iter()
            .filter_map(|t| tally_slots(&t.body))
            .map(|s| s.success)
            .sum(),
        all.iter().map(|t| tally_hours(&t.body)).sum(),
        latency,
    )
}

/// The longest time between two probes of an endpoint in a period, where it was 99 s since the
/// first start.
fn blind(directory: &Path, endpoint: &str, period: Span) -> u64 {
    let reader = open_to_read(directory).expect("opened");
    let extent = Extent {
        longest_blind: 99_000,
        ..Extent::default()
    };
    reader
        .longest_blind(endpoint, &extent, period)
        .expect("read")
}

fn verdict(directory: &Path) -> Verification {
    open_to_read(directory)
        .expect("opened")
        .verify(&Against::default())
        .expect("verified")
}

#[tokio::test]
async fn years_of_tallies_add_up_and_whoever_takes_one_away_is_seen() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let (writer, thread, registered) = begun(path);
    let first = parse_utc("2025-01-01T00:00:00Z").expect("an instant") / HOUR_MS;
    // The first and the last hour of every day, so that a week's worth of hours is twelve weeks.
    let days = 560;
    let hours: Vec<i64> = (0..days)
        .flat_map(|day| [first + day * 24, first + day * 24 + 23])
        .collect();
    for (k, hour) in hours.iter().enumerate() {
        writer.tallies(
            (0..2)
                .map(|which| tally(&registered, which, *hour, 10 + k as u64 % 7))
                .collect(),
        );
    }
    writer.hours_are_over(first + days * 24, 2, 2);
    // 560 days: 476 are rolled up, as 84 are left; 396 of these stay, so January and February went
    // into months.
    until("days and months are sealed", || {
        count(path, "SELECT count(*) FROM sealed") == hours.len() as i64 + 476 + 2
    })
    .await;
    until("what was rolled up is gone", || {
        count(path, "SELECT count(*) FROM tally_day") == 2 * (476 - 59)
            && count(
                path,
                "SELECT count(DISTINCT hour) FROM tally WHERE hour < 24 * 20148",
            ) == 0
    })
    .await;
    assert_eq!(count(path, "SELECT count(*) FROM tally_month"), 4);
    let all = Span::new(first * HOUR_MS, (first + days * 24) * HOUR_MS);
    let success: u64 = (0..hours.len() as u64).map(|k| 10 + k % 7).sum();
    assert_eq!(
        sums(path, "a", all),
        (success, hours.len() as u64, success),
        "each hour once"
    );
    // A month of Helsinki begins in the last day of UTC's month before: its hours are still there.
    let april = Span::new(
        parse_utc("2025-03-31T22:00:00Z").expect("an instant"),
        parse_utc("2025-04-30T21:00:00Z").expect("an instant"),
    );
    assert_eq!(
        sums(path, "b", april).1,
        60,
        "the last hour of March, 29 days of two hours, the first hour of 30 April"
    );
    assert_eq!(
        blind(path, "b", april),
        30_023,
        "of that month, whatever was before and after"
    );
    assert_eq!(
        blind(
            path,
            "b",
            Span::new(april.from - 86_400_000 * 60, april.from + 1)
        ),
        30_023,
        "months and days keep the longest of their hours"
    );
    // Found by fuzzing: a request may be about all of time, and must not walk every hour of it.
    let ever = Span::new(
        parse_utc("0000-01-01T00:00:00Z").expect("an instant"),
        parse_utc("9999-12-31T23:00:00Z").expect("an instant"),
    );
    assert_eq!(
        (blind(path, "b", ever), sums(path, "b", ever)),
        (30_023, sums(path, "b", all))
    );
    assert_eq!(
        blind(path, "b", Span::new(april.to - HOUR_MS, april.to)),
        99_000,
        "nothing is recorded of that hour: since the first start"
    );
    assert!(
        matches!(verdict(path), Verification::Whole { .. }),
        "{:?}",
        verdict(path)
    );
    writer.end(Duration::ZERO);
    thread.join().expect("ended");
    let file = path.join("history.sqlite");
    let original = std::fs::read(&file).expect("read");
    let newest = hours[hours.len() - 1];
    for manipulation in [
        format!("DELETE FROM tally WHERE hour = {newest}"),
        format!("DELETE FROM tally WHERE hour = {newest} AND endpoint = 1"),
        "UPDATE tally_day SET body = replace(CAST(body AS TEXT), '\"success\":', '\"success\":1') \
            WHERE day = (SELECT max(day) FROM tally_day)"
            .to_owned(),
        "DELETE FROM tally_day WHERE day = (SELECT min(day) FROM tally_day)".to_owned(),
        "DELETE FROM tally_month WHERE endpoint = 2".to_owned(),
        format!("DELETE FROM sealed WHERE kind = 'hour' AND number = {newest}"),
        "INSERT INTO sealed VALUES ('day', 20999, 1, '00')".to_owned(),
        "UPDATE tally_month SET endpoint = -endpoint; UPDATE tally_month SET endpoint = 3 + \
            endpoint"
            .to_owned(),
    ] {
        rusqlite::Connection::open(&file)
            .expect("opened")
            .execute_batch(&manipulation)
            .expect("done");
        assert!(
            matches!(verdict(path), Verification::Altered { .. }),
            "{manipulation}"
        );
        std::fs::write(&file, &original).expect("put back");
    }
}

#[tokio::test]
async fn an_hour_that_the_clock_comes_back_to_goes_on_and_one_that_is_sealed_does_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let (writer, thread, registered) = begun(path);
    let hour = 490_000;
    let now = Span::new(hour * HOUR_MS, (hour + 1) * HOUR_MS);
    // The clock runs a month ahead for a while, then comes back into the same hour.
    writer.tallies(vec![tally(&registered, 0, hour, 7)]);
    writer.tallies(vec![tally(&registered, 0, hour + 720, 2)]);
    writer.reopen(hour);
    writer.tallies(vec![tally(&registered, 0, hour, 5)]);
    writer.tallies(vec![tally(&registered, 0, hour, 6)]);
    writer.hours_are_over(hour + 1, 3, 3);
    until("the hour is sealed", || {
        count(path, "SELECT count(*) FROM sealed") == 1
    })
    .await;
    assert_eq!(sums(path, "a", now), (13, 1, 13));
    writer.tallies(vec![tally(&registered, 0, hour, 99)]);
    writer.end(Duration::ZERO);
    thread.join().expect("ended");
    assert_eq!(sums(path, "a", now), (13, 1, 13), "sealed is sealed");
    assert!(
        matches!(verdict(path), Verification::Whole { .. }),
        "{:?}",
        verdict(path)
    );
}

#[tokio::test]
async fn what_a_kill_kept_from_the_last_tally_is_put_into_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let (writer, thread, registered) = begun(path);
    writer.tallies(vec![
        tally(&registered, 0, 490_000, 7),
        tally(&registered, 1, 489_999, 7),
        tally(&registered, 1, 490_000, 7),
    ]);
    writer.end(Duration::ZERO);
    thread.join().expect("ended");
    let mut history = History::open(path, None).expect("opened");
    history
        .amend_last_tallies(&[(registered[0].id, 31_000), (registered[1].id, 5)])
        .expect("amended");
    drop(history);
    let hour = |n: i64| Span::new(n * HOUR_MS, (n + 1) * HOUR_MS);
    assert_eq!(blind(path, "a", hour(490_000)), 31_000);
    assert_eq!(
        blind(path, "b", hour(490_000)),
        30_016,
        "it said more already"
    );
    assert_eq!(
        (
            blind(path, "b", hour(489_999)),
            sums(path, "b", hour(490_000)).0
        ),
        (30_015, 0),
        "the rest stays, and nothing is sealed"
    );
}
