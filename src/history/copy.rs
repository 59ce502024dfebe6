//! A copy of a database that is in use, through SQLite's own online backup.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::HistoryError;
use crate::net::files::{OwnFolder, folder_of};
use crate::net::guarded;

/// Pages copied before the writer gets a turn.
const PAGES_AT_ONCE: i32 = 512;

/// Writes a consistent copy to a file that must not exist; it appears under its name only when it
/// is whole.
pub(super) fn copy(connection: &Connection, to: &Path) -> Result<(), HistoryError> {
    let unusable = |why: String| HistoryError::Backup {
        path: to.display().to_string(),
        why,
    };
    if to.symlink_metadata().is_ok() {
        return Err(unusable(
            "there is such a file already; it is not overwritten".into(),
        ));
    }
    guarded::folder_to_make_in(folder_of(to)).map_err(unusable)?;
    // SQLite follows links and plays back a journal that lies beside a database: here nobody else
    // can put any.
    let folder = OwnFolder::beside(to).map_err(|e| unusable(e.to_string()))?;
    let part = folder.path().join("copy.sqlite");
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&part)
        .map_err(|e| unusable(e.to_string()))?;
    {
        let mut whole = Connection::open(&part)?;
        Backup::new(connection, &mut whole)?.run_to_completion(
            PAGES_AT_ONCE,
            Duration::from_millis(2),
            None,
        )?;
        whole.pragma_update(None, "journal_mode", "DELETE")?;
    }
    std::fs::File::open(&part)
        .and_then(|f| f.sync_all())
        .map_err(|e| unusable(e.to_string()))?;
    std::fs::rename(&part, to).map_err(|e| unusable(e.to_string()))
}
