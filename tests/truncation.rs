//! The log and the database cut at every offset: what is left is an earlier commit, or it is
//! refused; never anything else.
//!
//! `TRUNCATE=every` takes every single offset (minutes, with --release); else those around the
//! edges of blocks, and some between.

use std::path::Path;
use std::time::Duration;

use probity::history::event::{DaemonStartedEvent, EndpointAddedEvent, Event, KnownEvent};
use probity::history::opened::History;
use probity::history::schema::{FILE, open_to_read};
use probity::history::verification::{Against, Verification};
use probity::history::{Batch, EventDraft, Registration, Stamp};
use probity::words::{Name, format_utc};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

/// Of SQLite's log: https://www.sqlite.org/fileformat2.html#walformat
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// Offsets on both sides of an edge that are tried without `TRUNCATE=every`, and the step between
/// the others.
const AROUND: usize = 3;
const STEP: usize = 331;

fn event(at: u64, event: impl Into<Event>) -> EventDraft {
    let name = Name::new("e").expect("a name");
    EventDraft::of_endpoint((1, name), at, at as i64, event)
}

/// Every row of every table, in order, or why it is refused.
type State = Result<Vec<Vec<Value>>, String>;

fn state_of(directory: &Path) -> State {
    let reader = open_to_read(directory).map_err(|e| e.to_string())?;
    match reader
        .verify(&Against::default())
        .map_err(|e| e.to_string())?
    {
        Verification::Whole { .. } => {}
        other => return Err(format!("{other:?}")),
    }
    let failed = |e: rusqlite::Error| e.to_string();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(directory.join(FILE), flags).map_err(failed)?;
    let mut statement = connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        .map_err(failed)?;
    let tables: Vec<String> = statement
        .query_map([], |r| r.get(0))
        .map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    let mut rows = Vec::new();
    for table in tables {
        let mut statement = connection
            .prepare(&format!("SELECT * FROM {table}"))
            .map_err(failed)?;
        let columns = statement.column_count();
        let mut found = statement.query([]).map_err(failed)?;
        while let Some(r) = found.next().map_err(failed)? {
            let cells = (0..columns)
                .map(|k| r.get::<_, Value>(k))
                .collect::<Result<Vec<_>, _>>()
                .map_err(failed)?;
            rows.push([vec![Value::Text(table.clone())], cells].concat());
        }
    }
    Ok(rows)
}

/// The lengths at which the log has whole commits, and the length of a block with its header.
fn commits(log: &[u8]) -> (Vec<usize>, usize) {
    let page = u32::from_be_bytes(log[8..12].try_into().expect("four bytes")) as usize;
    let frame = FRAME_HEADER + page;
    let ends = (0..)
        .map(|k| LOG_HEADER + k * frame)
        .take_while(|at| at + frame <= log.len() && log[at + 8..at + 16] == log[16..24])
        .filter(|at| log[at + 4..at + 8] != [0; 4])
        .map(|at| at + frame);
    (ends.collect(), frame)
}

/// All offsets up to `length`, or those near a multiple of `block` past `head`, and some more.
fn offsets(length: usize, head: usize, block: usize) -> Vec<usize> {
    let every = std::env::var("TRUNCATE").is_ok_and(|t| t == "every");
    let is_near = |at: usize| {
        at <= head + AROUND
            || (at - head) % block <= AROUND
            || (at - head) % block >= block - AROUND
            || at.is_multiple_of(STEP)
    };
    (0..length).filter(|at| every || is_near(*at)).collect()
}

#[test]
fn a_file_cut_at_any_offset_is_an_earlier_state_or_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let live = directory.path().join("live");
    let mut history = History::open(&live, Some(&"11".repeat(32))).expect("opened");
    let name = Name::new("e").expect("a name");
    let registration = Registration {
        name: name.clone(),
        renamed_from: None,
        component: name,
        kind: "tcp",
        target: "127.0.0.1:1".into(),
        digest: probity::words::Digest::from_short(1),
    };
    history.register(&[registration]).expect("registered");
    let (tell, told) = std::sync::mpsc::channel();
    let (writer, thread) = history
        .start(move |progress| drop(tell.send(progress)))
        .expect("started");
    let commit = |id: u64, events: Vec<EventDraft>| {
        writer.commit(Batch {
            id,
            stamp: Stamp {
                timeline_ms: id * 1000,
                utc_ms: id as i64 * 1000,
                ..Stamp::default()
            },
            events,
            prune_before: 0,
            ..Batch::default()
        });
        told.recv_timeout(Duration::from_secs(20))
            .expect("committed");
    };
    let start = DaemonStartedEvent {
        format: Some(3),
        last_mark_ms: Some(0),
        ..DaemonStartedEvent::default()
    };
    let added = EndpointAddedEvent {
        component: "e".into(),
        ..EndpointAddedEvent::default()
    };
    commit(1, vec![EventDraft::general(1, 1, start), event(1, added)]);
    for id in 2..=4_u64 {
        let (from_ms, to_ms) = (id * 1000 - 500, id * 1000);
        let known = KnownEvent {
            from: format_utc(from_ms as i64),
            from_ms,
            to: format_utc(to_ms as i64),
            to_ms,
            reason: "late".into(),
            doubt_until_ms: None,
        };
        commit(id, vec![event(to_ms, known)]);
    }
    let names = ["history.sqlite", "history.sqlite-wal"];
    let [database, log] = names.map(|file| std::fs::read(live.join(file)).expect("read"));
    writer.end(Duration::ZERO);
    thread.join().expect("ended");

    let copy = directory.path().join("copy");
    std::fs::create_dir(&copy).expect("made");
    let with = |database: &[u8], log: &[u8]| {
        let _ = std::fs::remove_file(copy.join("history.sqlite-shm"));
        std::fs::write(copy.join(names[0]), database).expect("written");
        std::fs::write(copy.join(names[1]), log).expect("written");
        state_of(&copy)
    };
    let (ends, frame) = commits(&log);
    assert!(ends.len() >= 4, "{ends:?}");
    let whole = with(&database, &log);
    assert!(whole.is_ok(), "{whole:?}");
    let at_commit: Vec<(usize, State)> = ends
        .iter()
        .map(|end| (*end, with(&database, &log[..*end])))
        .collect();
    assert_eq!(at_commit.last().map(|(_, state)| state), Some(&whole));
    let before = with(&database, &[]);

    let (mut cuts, mut earlier) = (0, 0);
    for at in offsets(log.len(), LOG_HEADER, frame) {
        let expected = at_commit
            .iter()
            .rfind(|(end, _)| *end <= at)
            .map_or(&before, |(_, state)| state);
        assert_eq!(
            &with(&database, &log[..at]),
            expected,
            "the log cut at {at} of {}",
            log.len()
        );
        cuts += 1;
        earlier += usize::from(expected != &whole);
    }
    // The database by itself, as it is after an orderly end: every commit is in it.
    let [database] = [names[0]].map(|file| std::fs::read(live.join(file)).expect("read"));
    let settled = with(&database, &[]);
    assert!(settled.is_ok(), "{settled:?}");
    let (mut cut, mut refused) = (0, 0);
    for at in offsets(database.len(), 0, frame - FRAME_HEADER) {
        cut += 1;
        match with(&database[..at], &[]) {
            Err(_) => refused += 1,
            state => assert_eq!(
                state,
                settled,
                "the database cut at {at} of {}",
                database.len()
            ),
        }
    }
    eprintln!(
        "{cuts} cuts of the log of {} bytes ({earlier} to an earlier commit), {cut} of the \
            database of {} bytes ({refused} refused)",
        log.len(),
        database.len()
    );
    assert!(earlier > 0 && refused > 0);
}
