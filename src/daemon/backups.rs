//! Copies the history as often as the config says, and shows when the newest copy was made.
//!
//! The first is made at the start if the folder has none that is young enough, so that a folder
//! that cannot be written to is known at once.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::config::plan::BackupPlan;
use crate::engine::board::Board;
use crate::history::backup;
use crate::net::apart;
use crate::net::clock::{Clock, NS_PER_MS};
use crate::words::Ms;

/// When a backup is tried again for which there was no thread.
const AGAIN_WITHOUT_THREAD: Ms = 10_000;
/// When one is tried again that failed, unless the next is due before.
const AGAIN_AFTER_FAILURE: Ms = 600_000;

/// Makes backups until it is aborted.
pub async fn make(board: Arc<Board>, state_dir: PathBuf) {
    let mut schedule: Option<(PathBuf, u64)> = None;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let Some(plan) = board.plan.load().history.backup.clone() else {
            schedule = None;
            board.health.backup_ok.store(true, Ordering::Relaxed);
            continue;
        };
        let directory = plan.directory(&state_dir);
        let due_ns = match &schedule {
            Some((of, due_ns)) if *of == directory => *due_ns,
            _ => first_due(&board, &plan, directory.clone()).await,
        };
        // A reload may have made the time between two of them shorter.
        let now_ns = Clock::Real.boot_ns();
        let due_ns = due_ns.min(now_ns + plan.every * NS_PER_MS);
        if now_ns < due_ns {
            schedule = Some((directory, due_ns));
            continue;
        }
        let wait = one(&board, &plan, (state_dir.clone(), directory.clone())).await;
        schedule = Some((directory, now_ns + wait * NS_PER_MS));
    }
}

/// When the first backup in a folder is due, by the newest that is there.
async fn first_due(board: &Board, plan: &BackupPlan, directory: PathBuf) -> u64 {
    let now = Clock::Real.read().utc_ms;
    let newest = apart::run(move || backup::newest(&directory, now)).await;
    let newest = newest.ok().flatten();
    let shown = newest.unwrap_or_default().max(0) as u64;
    board.health.backup_utc_ms.store(shown, Ordering::Relaxed);
    let age = newest.map_or(plan.every, |at| (now - at).max(0) as u64);
    Clock::Real.boot_ns() + plan.every.saturating_sub(age) * NS_PER_MS
}

/// Makes one backup; returns how long until the next.
async fn one(board: &Board, plan: &BackupPlan, (state_dir, to): (PathBuf, PathBuf)) -> Ms {
    let (now, keep) = (Clock::Real.read().utc_ms, plan.keep);
    let made = apart::run(move || backup::scheduled(&state_dir, &to, keep, now)).await;
    let health = &board.health;
    health
        .backup_ok
        .store(matches!(made, Ok(Ok(_))), Ordering::Relaxed);
    match made {
        Ok(Ok(path)) => {
            health.backup_utc_ms.store(now as u64, Ordering::Relaxed);
            tracing::info!(path = %path.display(), "the history was backed up");
            plan.every
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "the history could not be backed up");
            plan.every.min(AGAIN_AFTER_FAILURE)
        }
        Err(error) => {
            tracing::error!(%error, "the history could not be backed up; it is tried again soon");
            plan.every.min(AGAIN_WITHOUT_THREAD)
        }
    }
}
