//! Log lines on their way to standard error: whoever logs does not wait for whoever reads.
//!
//! A pipe whose reader stands still, a terminal that was stopped, or a logger that stalls would
//! otherwise hold the thread that logs, and with it all probing.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// Lines that wait for standard error; more are lost, and counted.
const WAITING: usize = 16_384;
/// How long the end waits for what still waits.
const PATIENCE: Duration = Duration::from_secs(1);

static QUEUE: RwLock<Option<SyncSender<LogMessage>>> = RwLock::new(None);
static LOST: AtomicU64 = AtomicU64::new(0);

enum LogMessage {
    Line(Vec<u8>),
    /// Told when all before it is written.
    End(SyncSender<()>),
}

/// While it lives, lines are written by a thread of their own.
pub struct Apart(());

impl Apart {
    /// Without a thread, lines are written by whoever logs, as before.
    pub fn begin() -> io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        std::thread::Builder::new()
            .name("log".into())
            .spawn(move || write_all_of(receiver))?;
        *QUEUE.write().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        Ok(Self(()))
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let queue = QUEUE.write().unwrap_or_else(PoisonError::into_inner).take();
        let (told, is_written) = sync_channel(1);
        // Where the queue is full, nobody reads.
        if queue.is_some_and(|queue| queue.try_send(LogMessage::End(told)).is_ok()) {
            let _ = is_written.recv_timeout(PATIENCE);
        }
    }
}

/// Writes a line, or leaves it to the thread that does.
pub fn write(line: &[u8]) -> io::Result<()> {
    match &*QUEUE.read().unwrap_or_else(PoisonError::into_inner) {
        Some(queue) => {
            offer(queue, line);
            Ok(())
        }
        None => io::stderr().lock().write_all(line),
    }
}

fn offer(queue: &SyncSender<LogMessage>, line: &[u8]) {
    if queue.try_send(LogMessage::Line(line.to_vec())).is_err() {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
}

/// Lines that were lost since the start.
pub fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

fn write_all_of(lines: Receiver<LogMessage>) {
    let mut told = 0;
    for message in lines {
        match message {
            LogMessage::Line(line) => {
                // Nobody reads it any more: what comes later may be read again.
                let _ = io::stderr().lock().write_all(&line);
            }
            LogMessage::End(done) => {
                let _ = done.send(());
            }
        }
        if lost() > told {
            let lines = lost() - told;
            told = lost();
            tracing::warn!(lines, "log lines were lost: standard error was not read");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_a_place_is_lost_and_counted_and_nobody_waits() {
        let (queue, lines) = sync_channel(2);
        let before = lost();
        for line in ["a", "b", "c", "d"] {
            offer(&queue, line.as_bytes());
        }
        assert_eq!(lost() - before, 2);
        drop(queue);
        let written: Vec<Vec<u8>> = lines
            .into_iter()
            .filter_map(|message| match message {
                LogMessage::Line(line) => Some(line),
                LogMessage::End(_) => None,
            })
            .collect();
        assert_eq!(written, [b"a", b"b"]);
    }
}
