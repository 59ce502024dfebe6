//! Notifications: messages go from the history's outbox to their webhooks, each until it is delivered.
//!
//! Runs beside the probing, never on its thread. Reads the outbox on its own connection and tells the writer what was
//! delivered, so a message survives the end of the daemon and of the receiver.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::clock::Clock;
use super::history::writer::Writer;
use super::history::{read, schema};
use crate::config::Plan;
use crate::config::plan::Notify;

const LOOK_EVERY: Duration = Duration::from_millis(500);
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const AT_ONCE: usize = 16;
/// The longest time between two tries.
const PATIENCE_MS: i64 = 300_000;

/// (receiver, delivered, failed) since the start.
#[derive(Default)]
pub struct Deliveries(Mutex<BTreeMap<String, (u64, u64)>>);

impl Deliveries {
    pub fn snapshot(&self) -> Vec<(String, u64, u64)> {
        self.lock().iter().map(|(k, (d, f))| (k.clone(), *d, *f)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (u64, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, receiver: &str, delivered: bool) {
        let mut counts = self.lock();
        let entry = counts.entry(receiver.to_owned()).or_default();
        if delivered { entry.0 += 1 } else { entry.1 += 1 }
    }
}

/// A client for the daemon's own calls.
pub fn client() -> Result<reqwest::Client, String> {
    let builder = || {
        reqwest::Client::builder().timeout(CALL_TIMEOUT).redirect(reqwest::redirect::Policy::none()).user_agent(concat!("Probity/", env!("CARGO_PKG_VERSION")))
    };
    // A host without any trusted authority can still call plain http; https then fails where it is tried.
    builder().build().or_else(|_| builder().tls_certs_only(std::iter::empty()).build()).map_err(|e| e.to_string())
}

/// Sends one message; the error is for a person and holds no secret.
pub async fn send(client: &reqwest::Client, receiver: &Notify, body: String) -> Result<(), String> {
    let mut request = client.post(receiver.url.reveal()).header("content-type", "application/json").body(body);
    for (name, value) in &receiver.headers {
        request = request.header(name, value.reveal());
    }
    let response = request.send().await.map_err(|e| e.without_url().to_string())?;
    if response.status().is_success() { Ok(()) } else { Err(format!("the receiver answered {}", response.status())) }
}

/// Delivers what is due until it is dropped.
pub async fn run(directory: PathBuf, plan: Arc<ArcSwap<Plan>>, writer: Writer, deliveries: Arc<Deliveries>) {
    let client = match client() {
        Ok(client) => client,
        Err(why) => {
            tracing::error!(%why, "notifications cannot be sent");
            return;
        }
    };
    let mut held: BTreeMap<i64, i64> = BTreeMap::new();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if plan.load().notify.is_empty() {
            continue;
        }
        let now = Clock::Real.read().utc_ms;
        held.retain(|_, until| *until > now);
        let due = schema::open_to_read(&directory).and_then(|c| read::outbox_due(&c, now, AT_ONCE + held.len()));
        let due = match due {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "the outbox cannot be read");
                continue;
            }
        };
        let receivers = plan.load().notify.clone();
        let mut calls = tokio::task::JoinSet::new();
        let due: Vec<_> = due.into_iter().filter(|m| !held.contains_key(&m.id)).take(AT_ONCE).collect();
        for message in due {
            let Some(receiver) = receivers.iter().find(|n| n.name.as_str() == message.receiver).cloned() else {
                tracing::warn!(receiver = message.receiver, "a notification is dropped: its receiver is no longer configured");
                held.insert(message.id, i64::MAX);
                writer.sent(message.id, true, now);
                continue;
            };
            let client = client.clone();
            calls.spawn(async move { (send(&client, &receiver, message.body.clone()).await, message) });
        }
        while let Some(Ok((result, message))) = calls.join_next().await {
            let wait = (1000_i64 << message.tries.min(9)).min(PATIENCE_MS);
            let delivered = result.is_ok();
            deliveries.count(&message.receiver, delivered);
            match result {
                Ok(()) => tracing::info!(receiver = message.receiver, "notification delivered"),
                Err(why) => tracing::warn!(receiver = message.receiver, %why, again_in_ms = wait, "notification not delivered"),
            }
            // Until the writer has noted it, the outbox still shows it as due.
            held.insert(message.id, if delivered { i64::MAX } else { now + wait });
            writer.sent(message.id, delivered, now + wait);
        }
    }
}
