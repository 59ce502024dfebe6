//! A history of a newer build: every command refuses it, and no byte of it changes.

use std::collections::BTreeMap;
use std::path::Path;

use super::cli::probity;
use super::daemon::{Daemon, http};
use super::serve::closed_port;

/// The files of a database and what is in them. SQLite's index of the log is made by each reader,
/// and so is an empty log.
fn bytes(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(directory)
        .expect("readable")
        .map(|entry| entry.expect("an entry").path());
    let name = |path: &Path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_owned()
    };
    let files =
        entries.filter(|path| name(path).starts_with("history.") && !name(path).ends_with("-shm"));
    files
        .map(|path| (name(&path), std::fs::read(&path).expect("read")))
        .filter(|(_, bytes)| !bytes.is_empty())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_of_a_newer_build_is_refused_by_every_command_and_not_touched() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "{}[sla.s]\nobjective = \"99\"\ncomponents = [\"a\"]\n",
        http("a", closed_port())
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("a", "down").await;
    assert_eq!(daemon.end().await.0, 0);
    let (state, config) = (
        directory.path().join("state"),
        directory.path().join("probity.toml"),
    );
    // As a newer build leaves it that was killed: the new format is in SQLite's log only.
    let database = rusqlite::Connection::open(state.join("history.sqlite")).expect("opened");
    let format: i64 = database
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .expect("a format");
    database
        .execute_batch(&format!(
            "PRAGMA wal_autocheckpoint = 0; PRAGMA user_version = {}; CREATE TABLE newer (a)",
            format + 1
        ))
        .expect("a newer one");
    let killed = directory.path().join("killed");
    std::fs::create_dir(&killed).expect("made");
    for entry in std::fs::read_dir(&state).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.is_file() && path.extension().is_none_or(|end| end != "sqlite-shm") {
            std::fs::copy(&path, killed.join(path.file_name().expect("a name"))).expect("copied");
        }
    }
    // And as one leaves it that was ended.
    database
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .expect("ended");
    drop(database);
    assert!(
        bytes(&killed)["history.sqlite-wal"].len() > 32,
        "the log holds the format"
    );
    for place in [&state, &killed] {
        let before = bytes(place);
        let text = std::fs::read_to_string(&config)
            .expect("there")
            .replace(&format!("{state:?}"), &format!("{place:?}"));
        std::fs::write(&config, text).expect("written");
        let (place_text, config_text, copy) = (
            place.to_str().expect("UTF-8"),
            config.to_str().expect("UTF-8"),
            directory.path().join("copy.sqlite"),
        );
        let (copy, newer) = (copy.to_str().expect("UTF-8"), place.join("history.sqlite"));
        let (from, into) = (
            newer.to_str().expect("UTF-8"),
            directory.path().join("other"),
        );
        for args in [
            &["run", "--config", config_text][..],
            &["history", "list", "--state-dir", place_text],
            &["history", "verify", "--state-dir", place_text],
            &["history", "backup", "--to", copy, "--state-dir", place_text],
            &[
                "history",
                "restore",
                from,
                "--state-dir",
                into.to_str().expect("UTF-8"),
            ],
            &["maintenance", "list", "--state-dir", place_text],
            &["sla", "report", "--provisional", "--config", config_text],
            &["sla", "evaluate", "--config", config_text],
            &["export", "journal", "--state-dir", place_text],
            &["export", "timeline", "--state-dir", place_text],
            &["export", "openmetrics", "--state-dir", place_text],
        ] {
            let output = probity(args);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                !output.status.success() && said.contains("newer version of Probity"),
                "{args:?}: {:?} {said}",
                output.status
            );
            assert!(bytes(place) == before, "{args:?} touched {place:?}");
        }
        assert!(!Path::new(copy).exists() && !into.join("history.sqlite").exists());
        std::fs::write(
            &config,
            std::fs::read_to_string(&config)
                .expect("there")
                .replace(&format!("{place:?}"), &format!("{state:?}")),
        )
        .expect("written");
    }
}
