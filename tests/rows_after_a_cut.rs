//! Rows that are recorded after events were pruned stay, whatever numbers the pruned ones had.

use std::path::Path;
use std::time::Duration;

use probity::history::event::{
    DaemonStartedEvent, DoubtEvent, EndpointAddedEvent, Event, KnownEvent,
};
use probity::history::opened::History;
use probity::history::prune::prepare;
use probity::history::schema::{FILE, open_to_read};
use probity::history::verification::{Against, Verification};
use probity::history::writer::Writer;
use probity::history::{Batch, EventDraft, Registration, Stamp};
use probity::words::{Digest, Name, format_utc};
use rusqlite::Connection;

fn event(at: u64, event: impl Into<Event>) -> EventDraft {
    let name = Name::new("e").expect("a name");
    EventDraft::of_endpoint((1, name), at, at as i64, event)
}

fn doubt(from_ms: u64, to_ms: u64) -> EventDraft {
    let why = "late".into();
    let of = DoubtEvent {
        from_ms,
        to_ms,
        why,
    };
    event(to_ms, of)
}

fn known(from_ms: u64, to_ms: u64) -> EventDraft {
    let of = KnownEvent {
        from: format_utc(from_ms as i64),
        from_ms,
        to: format_utc(to_ms as i64),
        to_ms,
        reason: "late".into(),
        doubt_until_ms: None,
    };
    event(to_ms, of)
}

fn commit(writer: &Writer, id: u64, events: Vec<EventDraft>) {
    writer.commit(Batch {
        id,
        stamp: Stamp {
            timeline_ms: id * 1000,
            utc_ms: id as i64 * 1000,
            ..Stamp::default()
        },
        events,
        ..Batch::default()
    });
}

/// Opens the history, does something with its writer, and waits until all of it is committed.
fn opened(state: &Path, work: impl FnOnce(&Writer)) {
    let mut history = History::open(state, Some(&"11".repeat(32))).expect("opened");
    let name = Name::new("e").expect("a name");
    let registration = Registration {
        name: name.clone(),
        renamed_from: None,
        component: name,
        kind: "tcp",
        target: "127.0.0.1:1".into(),
        digest: Digest::from_short(1),
    };
    history.register(&[registration]).expect("registered");
    let (writer, thread) = history.start(|_| {}).expect("started");
    work(&writer);
    writer.end(Duration::from_secs(60));
    drop(writer);
    thread.join().expect("ended");
}

fn rows(state: &Path, sql: &str) -> i64 {
    let connection = Connection::open(state.join(FILE)).expect("opened");
    let count = connection.query_row(sql, [], |r| r.get(0));
    count.expect("counted")
}

/// Waits until the writer has taken away a row that stands for a pruned event.
fn until_pruned_rows_are_gone(state: &Path) {
    let gone = || rows(state, "SELECT count(*) FROM unknown WHERE seq = 1") == 0;
    assert!((0..2_000_000).any(|_| gone()), "the row stays");
}

fn plant_a_pruned_row(state: &Path) {
    let connection = Connection::open(state.join(FILE)).expect("opened");
    let sql = "INSERT INTO unknown (seq, endpoint, from_at, to_at, reason) VALUES (1, 1, 1, 2, \
        'late')";
    connection.execute(sql, []).expect("planted");
}

#[test]
fn rows_that_are_recorded_after_a_cut_stay_where_the_table_was_emptied() {
    let directory = tempfile::tempdir().expect("a directory");
    let state = directory.path();
    opened(state, |writer| {
        let start = DaemonStartedEvent {
            format: Some(3),
            last_mark_ms: Some(0),
            ..DaemonStartedEvent::default()
        };
        let added = EndpointAddedEvent {
            component: "e".into(),
            ..EndpointAddedEvent::default()
        };
        let begin = vec![EventDraft::general(1, 1, start), event(1, added)];
        commit(writer, 1, begin);
        commit(writer, 2, vec![doubt(1500, 2000), doubt(1600, 2000)]);
        commit(writer, 9, vec![known(8500, 9000)]);
    });
    let reader = open_to_read(state).expect("opened");
    let cut = prepare(&reader, 5000).expect("whole").expect("something");
    drop(reader);
    opened(state, |writer| {
        writer.prune(cut, "anna".into(), 9500).expect("pruned");
    });
    plant_a_pruned_row(state);
    opened(state, |writer| {
        until_pruned_rows_are_gone(state);
        assert_eq!(rows(state, "SELECT count(*) FROM doubtful"), 0);
        // Of the time before the cut, too: a probe's end can be told late.
        commit(writer, 10, vec![doubt(1700, 1900), doubt(9500, 10_000)]);
    });
    plant_a_pruned_row(state);
    opened(state, |_| until_pruned_rows_are_gone(state));
    assert_eq!(rows(state, "SELECT count(*) FROM doubtful"), 2);
    let reader = open_to_read(state).expect("opened");
    let verdict = reader.verify(&Against::default()).expect("read");
    assert!(matches!(verdict, Verification::Whole { .. }), "{verdict:?}");
}
