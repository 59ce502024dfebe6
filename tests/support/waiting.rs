//! Waiting for what a test needs: looked for again and again, and named where it never comes.

use std::time::Duration;

use tokio::time::{Instant, interval};

/// What a test leaves between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Whether it comes true within so long.
pub async fn comes_true<F: Future<Output = bool>>(
    patience: Duration,
    mut holds: impl FnMut() -> F,
) -> bool {
    let deadline = Instant::now() + patience;
    let mut pauses = interval(PAUSE);
    loop {
        pauses.tick().await;
        if holds().await {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        pauses.reset();
    }
}

/// Waits until it comes true; `missing` says what never came.
pub async fn until<F: Future<Output = bool>>(
    patience: Duration,
    missing: impl Fn() -> String,
    holds: impl FnMut() -> F,
) {
    assert!(comes_true(patience, holds).await, "{}", missing());
}
