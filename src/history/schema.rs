//! The tables, and opening the database as its one owner.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::reader::HistoryReader;
use super::{HistoryError, Stamp, mark_place, state_place, with_checksum};
use crate::config::plan::OWN_BACKUPS;
use crate::net::guarded;

/// Format of the database. A newer one is refused untouched.
pub const FORMAT: i64 = 6;
/// The database's name in the state directory.
pub const FILE: &str = "history.sqlite";
const LOCK: &str = "lock";
/// What the lock file says once there is a history beside it.
const USED: &str = "probity\n";

/// What the second format adds to the first.
const SECOND: &str = "
ALTER TABLE mark ADD COLUMN events INTEGER NOT NULL DEFAULT 0;
CREATE TABLE checkpoint (seq INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE window (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, body TEXT NOT NULL, recorded \
INTEGER NOT NULL, ended INTEGER);
CREATE INDEX window_of_id ON window (id) WHERE ended IS NULL;
CREATE TABLE correction (seq INTEGER PRIMARY KEY, body TEXT NOT NULL);
INSERT OR IGNORE INTO meta (key, value) VALUES ('chain', lower(hex(randomblob(16))));
";

/// What the third format adds to the second: seals of tallies, days and months, results by
/// themselves, prune records of pruned events.
const THIRD: &str = "
CREATE TABLE sealed (kind TEXT NOT NULL, number INTEGER NOT NULL, tallies INTEGER NOT NULL, \
sha256 TEXT NOT NULL, PRIMARY KEY (kind, number)) WITHOUT ROWID;
CREATE TABLE tally_day (endpoint INTEGER NOT NULL, day INTEGER NOT NULL, body BLOB NOT NULL, \
PRIMARY KEY (endpoint, day)) WITHOUT ROWID;
CREATE INDEX tally_day_day ON tally_day (day);
CREATE TABLE tally_month (endpoint INTEGER NOT NULL, month INTEGER NOT NULL, body BLOB NOT NULL, \
PRIMARY KEY (endpoint, month)) WITHOUT ROWID;
CREATE INDEX tally_month_month ON tally_month (month);
CREATE TABLE result (endpoint INTEGER NOT NULL, at INTEGER NOT NULL, ok INTEGER NOT NULL, PRIMARY \
KEY (endpoint, at)) WITHOUT ROWID;
CREATE TABLE recording (seq INTEGER PRIMARY KEY, endpoint INTEGER NOT NULL, from_at INTEGER NOT \
NULL, to_at INTEGER);
CREATE INDEX recording_of_endpoint ON recording (endpoint);
CREATE TABLE stub (last INTEGER PRIMARY KEY, body TEXT NOT NULL, carried TEXT NOT NULL);
INSERT OR REPLACE INTO sealed (kind, number, tallies, sha256)
    SELECT 'hour', unixepoch(json_extract(body, '$.hour')) / 3600, json_extract(body, \
    '$.tallies'), json_extract(body, '$.sha256')
    FROM event WHERE kind = 'tallies';
";

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE endpoint (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, component TEXT NOT NULL, kind TEXT NOT NULL,
    target TEXT NOT NULL, digest INTEGER NOT NULL, in_service INTEGER NOT NULL);
CREATE TABLE event (
    seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, body TEXT NOT NULL,
    endpoint INTEGER, kind TEXT NOT NULL, at INTEGER NOT NULL);
CREATE INDEX event_of_endpoint ON event (endpoint, seq) WHERE endpoint IS NOT NULL;
CREATE TABLE outage (
    opened INTEGER PRIMARY KEY, closed INTEGER, endpoint INTEGER NOT NULL, cause TEXT NOT NULL, \
    confirmed_at INTEGER NOT NULL,
    from_at INTEGER NOT NULL, from_earliest INTEGER NOT NULL, from_latest INTEGER NOT NULL,
    to_at INTEGER, to_earliest INTEGER, to_latest INTEGER);
CREATE INDEX outage_of_endpoint ON outage (endpoint, from_at);
CREATE INDEX outage_open ON outage (endpoint) WHERE closed IS NULL;
CREATE TABLE unknown (seq INTEGER PRIMARY KEY, endpoint INTEGER NOT NULL, from_at INTEGER NOT \
NULL, to_at INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE INDEX unknown_of_endpoint ON unknown (endpoint, to_at);
CREATE TABLE doubtful (id INTEGER PRIMARY KEY, endpoint INTEGER NOT NULL, from_at INTEGER NOT \
NULL, to_at INTEGER NOT NULL);
CREATE INDEX doubtful_of_endpoint ON doubtful (endpoint, to_at);
CREATE TABLE proven (id INTEGER PRIMARY KEY, endpoint INTEGER NOT NULL, from_at INTEGER NOT NULL, \
to_at INTEGER NOT NULL);
CREATE INDEX proven_of_endpoint ON proven (endpoint, to_at);
CREATE TABLE absent (id INTEGER PRIMARY KEY, endpoint INTEGER NOT NULL, from_at INTEGER NOT NULL, \
to_at INTEGER NOT NULL);
CREATE INDEX absent_of_endpoint ON absent (endpoint, to_at);
CREATE TABLE clock (at INTEGER PRIMARY KEY, offset_ms INTEGER NOT NULL);
CREATE TABLE mark (
    id INTEGER PRIMARY KEY, boot_id TEXT NOT NULL, boot_ns INTEGER NOT NULL, timeline_ms INTEGER \
    NOT NULL,
    utc_ms INTEGER NOT NULL, inputs BLOB NOT NULL);
CREATE TABLE state (endpoint INTEGER PRIMARY KEY, mark INTEGER NOT NULL, judge BLOB NOT NULL);
CREATE TABLE tally (endpoint INTEGER NOT NULL, hour INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY \
KEY (endpoint, hour)) WITHOUT ROWID;
CREATE INDEX tally_hour ON tally (hour);
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY, receiver TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, \
    not_before INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0, UNIQUE (receiver, key));
CREATE INDEX outbox_waiting ON outbox (not_before) WHERE done = 0;
";

/// Holds the state directory for this process; the lock goes with it.
#[derive(Debug)]
pub struct Owner {
    lock: File,
    pub path: PathBuf,
}

impl Owner {
    /// There is a history here from now on. Without it, a directory that lacks one is empty; with
    /// it, its history is gone.
    pub fn mark_used(&mut self) -> std::io::Result<()> {
        let mut mark = String::new();
        self.lock.rewind()?;
        self.lock.read_to_string(&mut mark)?;
        if mark.starts_with(USED) {
            Ok(())
        } else {
            self.lock.write_all(USED.as_bytes())
        }
    }
}

/// Takes the directory, making it if need be, without looking at the history in it.
pub fn lock_only(directory: &Path) -> Result<Owner, HistoryError> {
    let unusable = |why: std::io::Error| HistoryError::Directory {
        path: directory.display().to_string(),
        why: why.to_string(),
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(unusable)?;
    guarded::state_directory(directory, is_ours).map_err(|why| HistoryError::Directory {
        path: directory.display().to_string(),
        why,
    })?;
    if let Some(why) = file_refused(directory) {
        return Err(HistoryError::Directory {
            path: directory.display().to_string(),
            why,
        });
    }
    let mut options = OpenOptions::new();
    options
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW);
    let lock = options.open(directory.join(LOCK)).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            return Err(HistoryError::Owned {
                path: directory.display().to_string(),
            });
        }
        Err(std::fs::TryLockError::Error(why)) => return Err(unusable(why)),
    }
    Ok(Owner {
        lock,
        path: directory.join(FILE),
    })
}

/// Why a file of the daemon in this directory cannot be used, as after a copy by root.
pub fn file_refused(directory: &Path) -> Option<String> {
    let database = ["", "-wal", "-shm", "-journal"].map(|end| format!("{FILE}{end}"));
    [LOCK, super::checkpoint::KEY_FILE]
        .map(str::to_owned)
        .into_iter()
        .chain(database)
        .find_map(|name| guarded::file_refused(&directory.join(name)))
}

/// What the daemon and its commands put into a state directory.
fn is_ours(name: &str) -> bool {
    let name = name.trim_start_matches('.');
    [
        "history.",
        LOCK,
        super::checkpoint::KEY_FILE,
        "control.sock",
        OWN_BACKUPS,
    ]
    .iter()
    .any(|own| name.starts_with(own))
}

/// Takes the directory, making it if need be, and opens the database in it for writing.
pub fn own(directory: &Path) -> Result<(Owner, Connection), HistoryError> {
    let unusable = |why: std::io::Error| HistoryError::Directory {
        path: directory.display().to_string(),
        why: why.to_string(),
    };
    let mut owner = lock_only(directory)?;
    let path = owner.path.clone();
    let mut mark = String::new();
    owner.lock.read_to_string(&mut mark).map_err(unusable)?;
    let is_used = mark.starts_with(USED);
    let is_new = std::fs::metadata(&path).map_or(true, |m| m.len() == 0);
    if is_used && is_new {
        let why = "the state directory was in use, but its history is gone; restore it from a \
            backup, or use an empty directory"
            .to_owned();
        return Err(HistoryError::Damaged {
            path: path.display().to_string(),
            why,
        });
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .map_err(unusable)?;
    let connection = open(&path)?;
    look_through(&connection, &path)?;
    owner.mark_used().map_err(unusable)?;
    Ok((owner, connection))
}

/// How long a call of the database waits for others.
pub(super) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

fn open(path: &Path) -> Result<Connection, HistoryError> {
    if path.exists() {
        let look = |flags| format_of(&Connection::open_with_flags(path, flags)?, path);
        // What a loss of power left half done is rolled back first, which a reader cannot do.
        let found = look(OpenFlags::SQLITE_OPEN_READ_ONLY)
            .or_else(|_| look(OpenFlags::SQLITE_OPEN_READ_WRITE))?;
        if found > FORMAT {
            return Err(HistoryError::Newer {
                path: path.display().to_string(),
                found,
                known: FORMAT,
            });
        }
    }
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    // What a long reader made of the log is given back when it begins anew.
    connection.pragma_update(None, "journal_size_limit", 20 << 20)?;
    connection.pragma_update(None, "cache_size", -4096)?;
    connection.busy_timeout(PATIENCE)?;
    match format_of(&connection, path)? {
        0 => connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {TABLES} {SECOND} {THIRD} PRAGMA user_version = {FORMAT}; COMMIT;"
        ))?,
        found if found < FORMAT => {
            let kept = path.with_extension(format!("format-{found}.sqlite"));
            super::copy::copy(&connection, &kept)?;
            connection.execute_batch("BEGIN IMMEDIATE")?;
            if found < 2 {
                connection.execute_batch(SECOND)?;
                reseal(&connection, path)?;
            }
            // From the third on the tables are the same: judges, tallies and input logs say more.
            let third = if found < 3 { THIRD } else { "" };
            connection
                .execute_batch(&format!("{third} PRAGMA user_version = {FORMAT}; COMMIT;"))?;
            tracing::info!(from = found, to = FORMAT, kept = %kept.display(), "the history has a \
                new format; a backup of the old one is kept");
        }
        _ => {}
    }
    connection.execute_batch(super::definitions::INDEX)?;
    connection.execute_batch(super::outbox::TABLES)?;
    Ok(connection)
}

/// The first format sealed judges and marks without their place; they are sealed anew, after a look
/// at the old seal.
fn reseal(connection: &Connection, path: &Path) -> Result<(), HistoryError> {
    let damaged = |what: String| HistoryError::Damaged {
        path: path.display().to_string(),
        why: format!("{what} does not hold what was written"),
    };
    let content = |bytes: Vec<u8>, what: String| -> Result<Vec<u8>, HistoryError> {
        let at = bytes
            .len()
            .checked_sub(8)
            .ok_or_else(|| damaged(what.clone()))?;
        let (inner, seal) = bytes.split_at(at);
        if super::chain::sha256(inner)[..8] == *seal {
            Ok(inner.to_vec())
        } else {
            Err(damaged(what))
        }
    };
    let states: Vec<(i64, i64, Vec<u8>)> = connection
        .prepare("SELECT endpoint, mark, judge FROM state")?
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (endpoint, mark, judge) in states {
        let judge = with_checksum(
            content(judge, format!("the state of endpoint {endpoint}"))?,
            &state_place(endpoint, mark),
        );
        connection.execute(
            "UPDATE state SET judge = ?2 WHERE endpoint = ?1",
            rusqlite::params![endpoint, judge],
        )?;
    }
    let newest: i64 =
        connection.query_row("SELECT ifnull(max(seq), 0) FROM event", [], |r| r.get(0))?;
    let marks: Vec<(i64, Stamp, Vec<u8>)> = connection
        .prepare("SELECT id, boot_id, boot_ns, timeline_ms, utc_ms, inputs FROM mark")?
        .query_map([], |r| {
            let stamp = Stamp {
                boot_id: r.get(1)?,
                boot_ns: r.get::<_, i64>(2)? as u64,
                timeline_ms: r.get::<_, i64>(3)? as u64,
                utc_ms: r.get(4)?,
            };
            Ok((r.get(0)?, stamp, r.get(5)?))
        })?
        .collect::<Result<_, _>>()?;
    for (id, stamp, inputs) in marks {
        let inputs = with_checksum(
            content(inputs, format!("mark {id}"))?,
            &mark_place(id, &stamp, newest),
        );
        connection.execute(
            "UPDATE mark SET inputs = ?2, events = ?3 WHERE id = ?1",
            rusqlite::params![id, inputs, newest],
        )?;
    }
    Ok(())
}

/// Tables that a start relies on; each is looked through with its indexes.
const RELIED_ON: [&str; 15] = [
    "endpoint",
    "state",
    "mark",
    "meta",
    "clock",
    "outage",
    "unknown",
    "doubtful",
    "proven",
    "absent",
    "sealed",
    "recording",
    "stub",
    "window",
    "outbox",
];

/// Objects that earlier builds made and this one has no use for.
const OF_EARLIER_BUILDS: &str = "CREATE INDEX event_of_definition ON event (seq) WHERE kind IN \
    ('endpoint_renamed', 'endpoint_changed');
CREATE INDEX event_of_definitions ON event (seq) WHERE kind IN ('endpoint_renamed', \
'endpoint_changed', 'config', 'terms', 'component');";

/// The first thing in the database that no build of the daemon makes: a view or a trigger in place
/// of a table could tell readers something else than what was written.
pub fn foreign_object(connection: &Connection) -> Result<Option<String>, HistoryError> {
    let ours = in_memory()?;
    ours.execute_batch(&format!(
        "{} {} {OF_EARLIER_BUILDS}",
        super::definitions::INDEX,
        super::outbox::TABLES
    ))?;
    // SQLite makes these itself. It refuses others such names in SQL, but not where the schema
    // table was written to.
    let own = "type IN ('table', 'index') AND (name LIKE 'sqlite\\_autoindex\\_%' ESCAPE '\\' OR \
        name IN ('sqlite_sequence', 'sqlite_stat1', 'sqlite_stat4'))";
    let objects = |of: &Connection| -> Result<Vec<(String, String, String)>, HistoryError> {
        let mut statement = of.prepare(&format!(
            "SELECT type, name, ifnull(sql, '') FROM sqlite_master WHERE NOT ({own}) ORDER BY name"
        ))?;
        Ok(statement
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
            .collect::<Result<_, _>>()?)
    };
    let known = objects(&ours)?;
    let found = objects(connection)?;
    let foreign = found.iter().find(|one| !known.contains(one));
    Ok(foreign.map(
        |(kind, name, _)| match known.iter().any(|(_, known, _)| known == name) {
            true => format!("the {kind} `{name}` differs from the one that the daemon creates"),
            false => format!("it has a {kind} `{name}`, which the daemon does not create"),
        },
    ))
}

/// Whether tables and indexes that figures come from fit each other, and whether the disk takes a
/// write.
fn look_through(connection: &Connection, path: &Path) -> Result<(), HistoryError> {
    for table in RELIED_ON {
        let found: String =
            connection.query_row(&format!("PRAGMA integrity_check({table})"), [], |r| {
                r.get(0)
            })?;
        if found != "ok" {
            return Err(HistoryError::Damaged {
                path: path.display().to_string(),
                why: format!("the table {table}: {found}; restore a backup"),
            });
        }
    }
    if let Some(what) = foreign_object(connection)? {
        return Err(HistoryError::Damaged {
            path: path.display().to_string(),
            why: format!("{what}; restore a backup"),
        });
    }
    if let Some(index) = super::partial_indexes::that_misleads(connection, Some(&RELIED_ON))? {
        let why =
            format!("the index {index} finds other rows than its table holds; restore a backup");
        return Err(HistoryError::Damaged {
            path: path.display().to_string(),
            why,
        });
    }
    let unwritable = |e: rusqlite::Error| HistoryError::Directory {
        path: path.display().to_string(),
        why: format!(
            "cannot write to the database: {e}. Check file ownership, permissions and free space"
        ),
    };
    connection
        .execute(
            "INSERT OR REPLACE INTO meta (key, value) VALUES ('opened', datetime('now'))",
            [],
        )
        .map_err(unwritable)?;
    Ok(())
}

/// Opens the database of a running or stopped daemon to read.
pub fn open_to_read(directory: &Path) -> Result<HistoryReader, HistoryError> {
    let path = directory.join(FILE);
    if !path.exists() {
        return Err(HistoryError::Directory {
            path: directory.display().to_string(),
            why: "there is no history in it".into(),
        });
    }
    open_file(&path)
}

/// A history that lives in memory only.
pub(super) fn in_memory() -> Result<Connection, HistoryError> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(&format!("{TABLES} {SECOND} {THIRD}"))?;
    Ok(connection)
}

/// Opens one database file to read, with the log that lies beside it.
pub(super) fn open_file(path: &Path) -> Result<HistoryReader, HistoryError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    readable(Connection::open_with_flags(path, flags)?, path)
}

/// Opens one database file to read, and nothing that lies beside it (sqlite.org/uri.html,
/// `immutable`). Nobody may write to it meanwhile.
pub(super) fn open_alone(path: &Path) -> Result<HistoryReader, HistoryError> {
    let mut uri = String::from("file:");
    for byte in std::path::absolute(path)
        .unwrap_or(path.into())
        .as_os_str()
        .as_bytes()
    {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                uri.push(char::from(*byte));
            }
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    readable(Connection::open_with_flags(uri, flags)?, path)
}

fn readable(connection: Connection, path: &Path) -> Result<HistoryReader, HistoryError> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // One snapshot for all that is asked of it, whatever the daemon commits meanwhile.
    connection.execute_batch("BEGIN")?;
    let found = format_of(&connection, path)?;
    if found > FORMAT {
        return Err(HistoryError::Newer {
            path: path.display().to_string(),
            found,
            known: FORMAT,
        });
    }
    if found < FORMAT {
        let why = "it was written by an older version; start the daemon once, which brings it up \
            to date and keeps a backup"
            .into();
        return Err(HistoryError::Damaged {
            path: path.display().to_string(),
            why,
        });
    }
    Ok(HistoryReader::of(connection))
}

fn format_of(connection: &Connection, path: &Path) -> Result<i64, HistoryError> {
    connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|e| match e.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt)
            | None => HistoryError::Damaged {
                path: path.display().to_string(),
                why: format!("{e}; restore a backup"),
            },
            Some(_) => HistoryError::Directory {
                path: path.display().to_string(),
                why: e.to_string(),
            },
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::verification::{Against, Verification};
    use crate::history::verify::verify;

    /// The first start writes by a rollback journal, and the power may fail then.
    #[test]
    fn a_start_rolls_back_what_a_loss_of_power_left_half_done() {
        let (from, to) = (
            tempfile::tempdir().expect("a directory"),
            tempfile::tempdir().expect("a directory"),
        );
        let whole = from.path().join(FILE);
        let half_done = Connection::open(&whole).expect("a database");
        half_done
            .execute_batch(
                "PRAGMA journal_mode = DELETE; CREATE TABLE first (a); PRAGMA cache_size = 1;
                 BEGIN; CREATE TABLE second (a); PRAGMA cache_spill = 1;",
            )
            .expect("a transaction");
        let row = "INSERT INTO second VALUES (zeroblob(4000))";
        for _ in 0..100 {
            half_done.execute(row, []).expect("a row");
        }
        let journal = |directory: &Path| directory.join(format!("{FILE}-journal"));
        std::fs::copy(&whole, to.path().join(FILE)).expect("copied");
        std::fs::copy(journal(from.path()), journal(to.path())).expect("a hot journal");
        let opened = open(&to.path().join(FILE)).expect("rolled back");
        let tables: i64 = opened
            .query_row(
                "SELECT count(*) FROM sqlite_master WHERE name = 'second'",
                [],
                |r| r.get(0),
            )
            .expect("a count");
        assert_eq!(tables, 0);
    }

    #[test]
    fn a_history_holds_the_tables_that_the_daemon_makes_and_nothing_else() {
        for (sql, what) in [
            (
                "ALTER TABLE outage RENAME TO outage_; CREATE VIEW outage AS SELECT * FROM outage_",
                "outage",
            ),
            (
                "CREATE TRIGGER later AFTER INSERT ON tally BEGIN UPDATE tally SET body = x'00' \
                WHERE hour < 0; END",
                "a trigger `later`",
            ),
            (
                "DROP INDEX outage_open; CREATE INDEX outage_open ON outage (closed) WHERE closed \
                    IS NULL",
                "the index `outage_open` differs from the one that the daemon creates",
            ),
            ("CREATE TABLE more (id INTEGER)", "a table `more`"),
            (
                "PRAGMA writable_schema = ON;
                 INSERT INTO sqlite_master VALUES ('trigger', 'sqlite_own', 'tally', 0, 'CREATE \
                 TRIGGER sqlite_own AFTER INSERT ON tally BEGIN SELECT 1; END');
                 PRAGMA writable_schema = OFF",
                "a trigger `sqlite_own`",
            ),
        ] {
            let directory = tempfile::tempdir().expect("a directory");
            let (owner, connection) = own(directory.path()).expect("a new history");
            assert!(foreign_object(&connection).expect("readable").is_none());
            connection
                .execute_batch("ANALYZE")
                .expect("SQLite's own tables are no strangers");
            connection.execute_batch(sql).expect(sql);
            let Verification::Altered { why, .. } =
                verify(&connection, &Against::default()).expect("readable")
            else {
                panic!("{sql} goes unseen")
            };
            assert!(why.contains(what), "{sql}: {why}");
            drop((owner, connection));
            let refused = own(directory.path()).expect_err(sql).to_string();
            assert!(
                refused.contains("damaged") && refused.contains(what),
                "{sql}: {refused}"
            );
        }
    }

    #[test]
    fn what_an_earlier_build_left_is_no_stranger() {
        let connection = in_memory().expect("a database");
        connection
            .execute_batch(OF_EARLIER_BUILDS)
            .expect("an index");
        assert_eq!(foreign_object(&connection).expect("readable"), None);
    }
}
