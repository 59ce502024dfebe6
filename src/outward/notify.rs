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

/// A message that the receiver refuses for what it is ends after so many tries.
const TRIES_OF_REFUSED: u32 = 5;

/// Counts of one receiver since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered {
    pub delivered: u64,
    /// Tries that failed and are repeated.
    pub failed: u64,
    /// Messages that were given up.
    pub given_up: u64,
}

/// By receiver.
#[derive(Default)]
pub struct Deliveries(Mutex<BTreeMap<String, Delivered>>);

impl Deliveries {
    pub fn snapshot(&self) -> Vec<(String, Delivered)> {
        self.lock().iter().map(|(name, counts)| (name.clone(), *counts)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Delivered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, receiver: &str, add: impl FnOnce(&mut Delivered)) {
        add(self.lock().entry(receiver.to_owned()).or_default());
    }
}

/// Why a message was not delivered. The text is for a person and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    pub why: String,
    /// The same message will be refused again: the receiver refuses what it says, not who says it or when.
    pub is_refused: bool,
}

/// A client for the daemon's own calls.
pub fn client() -> Result<reqwest::Client, String> {
    let builder = || {
        reqwest::Client::builder().timeout(CALL_TIMEOUT).redirect(reqwest::redirect::Policy::none()).user_agent(concat!("Probity/", env!("CARGO_PKG_VERSION")))
    };
    // A host without any trusted authority can still call plain http; https then fails where it is tried.
    builder().build().or_else(|_| builder().tls_certs_only(std::iter::empty()).build()).map_err(|e| e.to_string())
}

/// Sends one message.
pub async fn send(client: &reqwest::Client, receiver: &Notify, body: String) -> Result<(), Undelivered> {
    let mut request = client.post(receiver.url.reveal()).header("content-type", "application/json").body(body);
    for (name, value) in &receiver.headers {
        request = request.header(name, value.reveal());
    }
    let response = request.send().await.map_err(|e| Undelivered { why: in_full(&e.without_url()), is_refused: false })?;
    let status = response.status();
    let is_refused = matches!(status.as_u16(), 400 | 404 | 410 | 413 | 422);
    if status.is_success() { Ok(()) } else { Err(Undelivered { why: format!("the receiver answered {status}"), is_refused }) }
}

/// An error with all that lies under it.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

/// Delivers what is due until it is dropped. Each receiver has its own messages under way: one that hangs holds up nobody else's.
pub async fn run(directory: PathBuf, plan: Arc<ArcSwap<Plan>>, writer: Writer, deliveries: Arc<Deliveries>) {
    let client = match client() {
        Ok(client) => client,
        Err(why) => {
            tracing::error!(%why, "notifications cannot be sent");
            return;
        }
    };
    let mut under_way = UnderWay::default();
    let mut calls = tokio::task::JoinSet::new();
    loop {
        // Every receiver has its series from the start.
        plan.load().notify.iter().for_each(|receiver| deliveries.count(receiver.name.as_str(), |_| {}));
        let next_look = tokio::time::Instant::now() + LOOK_EVERY;
        while let Ok(Some(called)) = tokio::time::timeout_at(next_look, next(&mut calls)).await {
            let Ok((result, message)) = called else { continue };
            settle(result, &message, &mut under_way, &writer, &deliveries);
        }
        if plan.load().notify.is_empty() {
            continue;
        }
        let now = Clock::Real.read().utc_ms;
        under_way.held.retain(|_, until| *until > now);
        let due = schema::open_to_read(&directory).and_then(|connection| {
            let mut due = Vec::new();
            for receiver in read::outbox_receivers(&connection)? {
                let room = AT_ONCE.saturating_sub(under_way.calls.get(&receiver).copied().unwrap_or(0));
                due.extend(read::outbox_due(&connection, &receiver, (now, PATIENCE_MS), room, |id| under_way.held.contains_key(&id))?);
            }
            Ok(due)
        });
        let due = match due {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "the outbox cannot be read");
                continue;
            }
        };
        let receivers = plan.load().notify.clone();
        for message in due {
            under_way.held.insert(message.id, i64::MAX);
            let Some(receiver) = receivers.iter().find(|n| n.name.as_str() == message.receiver).cloned() else {
                tracing::warn!(receiver = message.receiver, "a notification is dropped: its receiver is no longer configured");
                writer.sent(message.id, true, now);
                continue;
            };
            *under_way.calls.entry(message.receiver.clone()).or_default() += 1;
            let client = client.clone();
            calls.spawn(async move { (send(&client, &receiver, message.body.clone()).await, message) });
        }
    }
}

/// Messages that are being sent or were put off.
#[derive(Default)]
struct UnderWay {
    /// By number: not to be sent before this. Until the writer has noted it, the outbox still shows a message as due.
    held: BTreeMap<i64, i64>,
    /// Calls of each receiver.
    calls: BTreeMap<String, usize>,
    /// By number: how often it was refused for what it says.
    refusals: BTreeMap<i64, u32>,
}

/// The next call to end; waits where there is none.
async fn next<T: 'static>(calls: &mut tokio::task::JoinSet<T>) -> Option<Result<T, tokio::task::JoinError>> {
    if calls.is_empty() { std::future::pending().await } else { calls.join_next().await }
}

fn settle(result: Result<(), Undelivered>, message: &read::Waiting, under_way: &mut UnderWay, writer: &Writer, deliveries: &Deliveries) {
    let now = Clock::Real.read().utc_ms;
    let wait = (1000_i64 << message.tries.min(9)).min(PATIENCE_MS);
    let receiver = message.receiver.as_str();
    if let Some(count) = under_way.calls.get_mut(receiver) {
        *count = count.saturating_sub(1);
    }
    let refusals = match &result {
        Err(Undelivered { is_refused: true, .. }) => {
            let count = under_way.refusals.entry(message.id).or_default();
            *count += 1;
            *count
        }
        Ok(()) | Err(_) => 0,
    };
    let is_over = match result {
        Ok(()) => {
            deliveries.count(receiver, |counts| counts.delivered += 1);
            tracing::info!(receiver, "notification delivered");
            true
        }
        Err(Undelivered { why, .. }) if refusals >= TRIES_OF_REFUSED => {
            deliveries.count(receiver, |counts| counts.given_up += 1);
            tracing::error!(receiver, %why, tries = message.tries + 1, "notification given up: the receiver refuses this message whenever it is sent");
            true
        }
        Err(Undelivered { why, .. }) => {
            deliveries.count(receiver, |counts| counts.failed += 1);
            tracing::warn!(receiver, %why, again_in_ms = wait, "notification not delivered");
            false
        }
    };
    if is_over {
        under_way.refusals.remove(&message.id);
    }
    under_way.held.insert(message.id, if is_over { i64::MAX } else { now + wait });
    writer.sent(message.id, is_over, now + wait);
}
