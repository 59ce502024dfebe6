//! Copies of the database while it is in use, through SQLite's own online backup.

use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::HistoryError;
use super::schema::open_file;
use crate::outward::files::OwnFolder;
use crate::words::{UtcMs, format_utc};

/// Pages copied before the writer gets a turn.
const PAGES_AT_ONCE: i32 = 512;

/// Writes a consistent copy to a file that must not exist; it appears under its name only when it is whole.
pub fn backup(connection: &Connection, to: &Path) -> Result<(), HistoryError> {
    let unusable = |why: String| HistoryError::Directory { path: to.display().to_string(), why };
    if to.symlink_metadata().is_ok() {
        return Err(unusable("there is such a file already; it is not overwritten".into()));
    }
    // SQLite follows links and plays back a journal that lies beside a database: here nobody else can put any.
    let folder = OwnFolder::beside(to).map_err(|e| unusable(e.to_string()))?;
    let part = folder.path().join("copy.sqlite");
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).map_err(|e| unusable(e.to_string()))?;
    {
        let mut copy = Connection::open(&part)?;
        Backup::new(connection, &mut copy)?.run_to_completion(PAGES_AT_ONCE, Duration::from_millis(2), None)?;
        copy.pragma_update(None, "journal_mode", "DELETE")?;
    }
    std::fs::File::open(&part).and_then(|f| f.sync_all()).map_err(|e| unusable(e.to_string()))?;
    std::fs::rename(&part, to).map_err(|e| unusable(e.to_string()))
}

/// One scheduled backup: a copy named by its time, and no more than `keep` of them.
pub fn scheduled(state_dir: &Path, directory: &Path, keep: usize, now: UtcMs) -> Result<PathBuf, HistoryError> {
    let unusable = |why: std::io::Error| HistoryError::Directory { path: directory.display().to_string(), why: why.to_string() };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(unusable)?;
    let stamp: String = format_utc(now)[..19].chars().filter(|c| *c != '-' && *c != ':').collect();
    let to = directory.join(format!("history-{stamp}Z.sqlite"));
    backup(&super::schema::open_to_read(state_dir)?, &to)?;
    let is_ours = |p: &PathBuf| p.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with("history-2") && n.ends_with("Z.sqlite"));
    let mut all: Vec<PathBuf> = std::fs::read_dir(directory).map_err(unusable)?.filter_map(|e| e.ok().map(|e| e.path())).filter(is_ours).collect();
    all.sort();
    for old in all.iter().rev().skip(keep.max(1)) {
        std::fs::remove_file(old).map_err(unusable)?;
    }
    Ok(to)
}

/// Opens a backup to look at it.
pub fn open_backup(path: &Path) -> Result<Connection, HistoryError> {
    open_file(path)
}
