//! Waiting for what a test needs: looked for again and again, and named where it never comes.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often a test looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Whether it comes true within so long.
pub async fn comes_true<F: Future<Output = bool>>(
    patience: Duration,
    mut holds: impl FnMut() -> F,
) -> bool {
    let deadline = Instant::now() + patience;
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if holds().await {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
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
