//! The dead man's switch: tells an outside service that we live, only while the scheduler makes progress.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::notify::client;
use crate::config::Plan;

/// Calls as often as the config says while `alive` holds.
pub async fn run(plan: Arc<ArcSwap<Plan>>, alive: impl Fn() -> bool) {
    let Ok(client) = client() else { return };
    loop {
        let Some(deadman) = plan.load().deadman.clone() else {
            tokio::time::sleep(Duration::from_secs(5)).await;
            continue;
        };
        if alive()
            && let Err(error) = client.get(deadman.url.reveal()).send().await
        {
            tracing::warn!(error = %error.without_url(), "the dead man's switch did not answer");
        }
        tokio::time::sleep(Duration::from_millis(deadman.every)).await;
    }
}
