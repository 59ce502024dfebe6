//! What is sent to the service manager (sd_notify(3)).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::engine::board::Board;
use crate::serve::answers::makes_progress;
use crate::words::StateName;

pub fn send_state(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager was not notified");
    }
}

pub fn send_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send_state(&[NotifyState::Reloading, now]),
        Err(_) => send_state(&[NotifyState::Reloading]),
    }
}

/// READY once the first round is scheduled; then STATUS, and WATCHDOG only while the scheduler
/// makes progress.
pub async fn service_manager(board: Arc<Board>) {
    while !board.health.scheduled.load(Ordering::Acquire) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    send_state(&[NotifyState::Ready]);
    let every = sd_notify::watchdog_enabled().map_or(Duration::from_secs(5), |limit| {
        (limit / 3).min(Duration::from_secs(5))
    });
    loop {
        let status = status_line(&board);
        if makes_progress(&board) {
            send_state(&[NotifyState::Watchdog, NotifyState::Status(&status)]);
        } else {
            send_state(&[NotifyState::Status("the scheduler makes no progress")]);
        }
        tokio::time::sleep(every).await;
    }
}

/// How the daemon is, in one line.
pub fn status_line(board: &Board) -> String {
    let entries = board.entries();
    let count = |state| {
        entries
            .iter()
            .filter(|e| e.view().shown.state == state)
            .count()
    };
    let recorded = if board.health.history_writable.load(Ordering::Relaxed) {
        ""
    } else {
        "; not recorded: the history is not writable"
    };
    let refused = board.health.reload_refused.load();
    let refused = refused.as_ref().map_or_else(String::new, |why| {
        format!("; the last reload was refused, the config before is in force: {why}")
    });
    format!(
        "{} endpoints: {} up, {} down, {} unknown{recorded}{refused}",
        entries.len(),
        count(StateName::Up),
        count(StateName::Down),
        count(StateName::Unknown)
    )
}
