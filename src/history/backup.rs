//! Backups: copies of the database of a running daemon, and looking into one.

use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::HistoryError;
use super::copy::copy;
use super::reader::HistoryReader;
use super::schema::{open_alone, open_file, open_to_read};
use crate::net::files::OwnFolder;
use crate::net::guarded;
use crate::net::sys::effective_user;
use crate::words::{UtcMs, format_utc, parse_utc};

impl HistoryReader {
    /// A backup of what it reads, in a file that must not exist.
    pub fn backup(&self, to: &Path) -> Result<(), HistoryError> {
        copy(self.connection(), to)
    }
}

/// One scheduled backup: a copy named by its time, and no more than `keep` of them.
pub fn scheduled(
    state_dir: &Path,
    directory: &Path,
    keep: usize,
    now: UtcMs,
) -> Result<PathBuf, HistoryError> {
    let unusable = |why: std::io::Error| HistoryError::Backup {
        path: directory.display().to_string(),
        why: format!(
            "{why}; let user {} write there, or name another folder in [history.backup] dir",
            effective_user()
        ),
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(unusable)?;
    let stamp: String = format_utc(now)[..19]
        .chars()
        .filter(|c| *c != '-' && *c != ':')
        .collect();
    let to = directory.join(format!("history-{stamp}Z.sqlite"));
    open_to_read(state_dir)?.backup(&to)?;
    let mut all = scheduled_in(directory).map_err(unusable)?;
    // Names later than this one are of a clock that ran ahead, or of somebody else: they take no
    // place of the others.
    all.retain(|path| *path <= to);
    for old in all.iter().rev().skip(keep.max(1)) {
        std::fs::remove_file(old).map_err(unusable)?;
    }
    Ok(to)
}

/// The scheduled backups in a folder, oldest first.
fn scheduled_in(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let is_ours = |p: &PathBuf| {
        p.file_name()
            .and_then(|n| n.to_str())
            .is_some_and(|n| n.starts_with("history-2") && n.ends_with("Z.sqlite"))
    };
    let mut all: Vec<PathBuf> = std::fs::read_dir(directory)?
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(is_ours)
        .filter(|path| path.symlink_metadata().is_ok_and(|found| found.is_file()))
        .collect();
    all.sort();
    Ok(all)
}

/// When the newest scheduled backup in a folder was made. Its name says so; one of a clock that ran
/// ahead does not count.
pub fn newest(directory: &Path, now: UtcMs) -> Option<UtcMs> {
    let made = |path: &PathBuf| {
        let name = path.file_stem()?.to_str()?;
        let digits: String = name.chars().filter(char::is_ascii_digit).collect();
        let part = |range: std::ops::Range<usize>| digits.get(range);
        parse_utc(&format!(
            "{}-{}-{}T{}:{}:{}Z",
            part(0..4)?,
            part(4..6)?,
            part(6..8)?,
            part(8..10)?,
            part(10..12)?,
            part(12..14)?
        ))
    };
    let all = scheduled_in(directory).unwrap_or_default();
    all.iter().rev().filter_map(made).find(|at| *at <= now)
}

/// Why this user could make no backup here, tried by making a folder as a backup does. A folder
/// that is not there is not made.
pub fn tried(directory: &Path) -> Result<(), String> {
    if !directory.exists() {
        return guarded::makable(directory);
    }
    guarded::folder_to_make_in(directory)?;
    let tried = OwnFolder::new(directory, ".tried".as_ref());
    tried.map(drop).map_err(|why| {
        let user = effective_user();
        format!("{why} for user {user}")
    })
}

/// Opens a backup to look at it. SQLite would play back a log that lies beside a database,
/// whoever put it there: it counts where it is of the backup's owner, and is left alone where it
/// could not be there.
pub fn open_backup(path: &Path) -> Result<HistoryReader, HistoryError> {
    let owner = path.metadata().map(|found| found.uid()).unwrap_or_default();
    let mut has_log = false;
    for end in ["-wal", "-journal"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(end);
        let Ok(found) = Path::new(&beside).symlink_metadata() else {
            continue;
        };
        if !found.is_file() || ![owner, 0, effective_user()].contains(&found.uid()) {
            return Err(HistoryError::Damaged {
                path: path.display().to_string(),
                why: format!(
                    "{} beside it belongs to another user, and would be read as a part of it; \
                        move the backup into a folder that only you can write to, without that \
                        file",
                    Path::new(&beside).display()
                ),
            });
        }
        has_log = true;
    }
    if has_log {
        open_file(path)
    } else {
        open_alone(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::schema;

    #[test]
    fn a_log_beside_a_backup_counts_where_it_is_of_its_owner_only() {
        let place = tempfile::tempdir().expect("a directory");
        drop(schema::own(place.path()).expect("a history"));
        let kept = place.path().join("a copy?.sqlite");
        let reader = open_to_read(place.path()).expect("a history");
        reader.backup(&kept).expect("made");
        let log = place.path().join("a copy?.sqlite-wal");
        open_backup(&kept).expect("without a log");
        assert!(!log.exists(), "nothing is left beside it");
        std::fs::write(&log, "").expect("written");
        open_backup(&kept).expect("with a log of its owner");
        let said = |copy: &Path| match open_backup(copy) {
            Ok(_) => "it was opened".to_owned(),
            Err(error) => error.to_string(),
        };
        // As root runs the tests in CI, another user can be made its owner.
        if std::os::unix::fs::chown(&log, Some(12345), None).is_ok() {
            assert!(
                said(&kept).contains("belongs to another user"),
                "{}",
                said(&kept)
            );
        }
        std::fs::remove_file(&log).expect("removed");
        std::os::unix::fs::symlink("/elsewhere", &log).expect("linked");
        assert!(
            said(&kept).contains("belongs to another user"),
            "{}",
            said(&kept)
        );
    }

    #[test]
    fn a_backup_that_was_just_made_stays_whatever_else_lies_there() {
        let (state, kept) = (
            tempfile::tempdir().expect("a directory"),
            tempfile::tempdir().expect("a directory"),
        );
        drop(schema::own(state.path()).expect("a history"));
        let names = || {
            let mut names: Vec<_> = std::fs::read_dir(kept.path())
                .expect("readable")
                .map(|e| {
                    e.expect("an entry")
                        .file_name()
                        .into_string()
                        .expect("a name")
                })
                .collect();
            names.sort();
            names
        };
        // A clock that ran ahead, or somebody else, left these.
        let ahead = [
            "history-29990101T000000Z.sqlite",
            "history-29990102T000000Z.sqlite",
        ];
        ahead
            .iter()
            .for_each(|name| std::fs::write(kept.path().join(name), "").expect("written"));
        for day in 1..=4 {
            let now = parse_utc(&format!("2026-11-0{day}T00:00:00Z")).expect("an instant");
            let made = scheduled(state.path(), kept.path(), 2, now).expect("made");
            assert!(made.exists(), "{}", made.display());
            assert_eq!(newest(kept.path(), now + 5000), Some(now));
            assert_eq!(newest(kept.path(), now - 5000).is_some(), day > 1);
        }
        assert_eq!(
            names(),
            [
                "history-20261103T000000Z.sqlite",
                "history-20261104T000000Z.sqlite",
                ahead[0],
                ahead[1]
            ]
        );
    }
}
