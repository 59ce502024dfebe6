//! What an operator meets in the first hour: files of the wrong owner, backups that cannot be made,
//! a config that is refused, and what `check` says of this host.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;

use super::cli::probity;
use super::daemon::{Daemon, QUICK, run, write_config};
use super::serve::closed_port;

/// The user that a service manager would choose, in tests that root runs.
const SERVICE: u32 = 64_123;

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Exit code and both outputs.
fn told(args: &[&str]) -> (Option<i32>, String) {
    let output = probity(args);
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

fn give(directory: &Path, user: u32) {
    for entry in std::fs::read_dir(directory).expect("readable") {
        chown(entry.expect("an entry").path(), Some(user), Some(user)).expect("given");
    }
    chown(directory, Some(user), Some(user)).expect("given");
}

fn owners(directory: &Path) -> Vec<(String, u32, u32)> {
    let entries = std::fs::read_dir(directory).expect("readable").flatten();
    let mut list: Vec<_> = entries
        .map(|entry| {
            let found = entry.metadata().expect("there");
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, found.uid(), found.mode() & 0o777)
        })
        .collect();
    list.sort();
    list
}

fn one_endpoint() -> String {
    format!(
        "{QUICK}[[endpoint]]\nname = \"a\"\nprobe.tcp = \"127.0.0.1:{}\"\n",
        closed_port()
    )
}

/// How a start ends that is refused, as the user of the service.
fn refused_start(config: &Path) -> (Option<i32>, String) {
    let output = run(config)
        .uid(SERVICE)
        .gid(SERVICE)
        .output()
        .expect("it ended");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Only root can give files away, so other users look at the refusal alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_by_root_leaves_files_that_the_daemon_can_open() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).expect("set");
    let text = one_endpoint();
    let daemon = Daemon::start(directory.path(), &text).await;
    assert_eq!(daemon.end().await.0, 0);
    let state = directory.path().join("state");
    let (state_name, backup) = (
        state.to_str().expect("UTF-8").to_owned(),
        directory.path().join("kept/copy.sqlite"),
    );
    // Only root can read it, as a backup of another host.
    let kept = directory.path().join("kept");
    std::fs::create_dir(&kept).expect("made");
    std::fs::set_permissions(&kept, PermissionsExt::from_mode(0o700)).expect("set");
    let backup = backup.to_str().expect("UTF-8").to_owned();
    let made = told(&[
        "history",
        "backup",
        "--to",
        &backup,
        "--state-dir",
        &state_name,
    ]);
    assert_eq!(made.0, Some(0), "{}", made.1);
    give(&state, SERVICE);
    let history = state.join("history.sqlite");
    std::fs::set_permissions(&history, PermissionsExt::from_mode(0o640)).expect("set");
    let restored = told(&["history", "restore", &backup, "--state-dir", &state_name]);
    assert_eq!(restored.0, Some(0), "{}", restored.1);
    let found = owners(&state);
    assert!(
        found.iter().all(|(_, owner, _)| *owner == SERVICE),
        "{found:?}"
    );
    let mode = |name: &str| found.iter().find(|(n, ..)| n == name).map(|f| f.2);
    assert_eq!(mode("history.sqlite"), Some(0o640), "{found:?}");
    let as_service = |config: &Path| {
        let mut command = run(config);
        command.uid(SERVICE).gid(SERVICE);
        command
    };
    let config = write_config(directory.path(), closed_port(), &text);
    std::fs::set_permissions(&config, PermissionsExt::from_mode(0o644)).expect("set");
    let daemon = Daemon::start_with(directory.path(), &text, as_service).await;
    assert_eq!(daemon.end().await.0, 0);

    // What a copy by root leaves is named, with the command that mends it.
    let (code, said) = {
        chown(&history, Some(0), Some(0)).expect("given");
        std::fs::set_permissions(&history, PermissionsExt::from_mode(0o600)).expect("set");
        refused_start(&config)
    };
    let path = history.display();
    let words = format!(
        "`{path}` belongs to user 0 (mode 0600), and this process runs as user {SERVICE}; run: \
            chown {SERVICE}: {path}"
    );
    assert!(code == Some(73) && said.contains(&words), "{code:?} {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_lie_in_the_state_directory_and_their_age_is_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!("{}[history.backup]\nevery = \"1h\"\n", one_endpoint());
    let daemon = Daemon::start(directory.path(), &text).await;
    let age = "probity_backup_last_success_timestamp_seconds 1";
    daemon
        .until(|d| async move { d.get("/metrics").await.is_some_and(|t| t.contains(age)) })
        .await;
    let page = daemon.get("/").await.expect("a page");
    assert!(page.contains("The newest backup is of "), "{page}");
    assert!(!page.contains("the last backup failed"), "{page}");
    let count = |of: &Path| std::fs::read_dir(of.join("state/backups")).map_or(0, Iterator::count);
    assert_eq!(count(directory.path()), 1);
    assert_eq!(daemon.end().await.0, 0);

    // A restart within the hour makes none, and knows of the one that is there.
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon
        .until(|d| async move { d.get("/metrics").await.is_some_and(|t| t.contains(age)) })
        .await;
    assert_eq!(daemon.end().await.0, 0);
    assert_eq!(count(directory.path()), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_cannot_be_made_is_known_from_the_start_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("a file");
    std::fs::write(&file, "").expect("written");
    let text = format!(
        "{}[history.backup]\ndir = \"{}/backups\"\n",
        one_endpoint(),
        file.display()
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    let failed = "the last backup failed: the daemon's log says why";
    daemon
        .until(|d| async move { d.get("/").await.is_some_and(|page| page.contains(failed)) })
        .await;
    let metrics = daemon.get("/metrics").await.expect("metrics");
    assert!(
        metrics.contains("\nprobity_backup_last_success_timestamp_seconds 0.000\n"),
        "{metrics}"
    );
    let log = std::fs::read_to_string(directory.path().join("log")).expect("a log");
    assert!(
        log.contains("cannot be made: Not a directory")
            && log.contains("or name another folder in [history.backup] dir"),
        "{log}"
    );
    assert_eq!(daemon.end().await.0, 0);
}
