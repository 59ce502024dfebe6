//! One message to one receiver, and why it was not delivered.
//!
//! The notifier calls it for each try, and `probity notify test` once.

use crate::config::plan::{Notify, Proxies};
use crate::net::own_calls::{OwnCall, OwnCalls, WantedAnswer};
use crate::net::own_thread::CallPlace;

/// Why a message was not delivered. The text is for a person and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    pub why: String,
    /// The same message will be refused again: the receiver refuses what it says, not who says it
    /// or when.
    pub is_refused: bool,
}

/// Sends one message, from a place of its receiver's.
pub async fn send(
    calls: &OwnCalls,
    place: CallPlace,
    proxies: Proxies,
    receiver: &Notify,
    body: String,
) -> Result<(), Undelivered> {
    let call = OwnCall {
        url: receiver.url.reveal().to_owned(),
        headers: receiver.headers.clone(),
        body: Some(body),
        proxies,
        wanted: WantedAnswer::Status,
        secrets: std::iter::once(&receiver.url)
            .chain(receiver.headers.iter().map(|(_, value)| value))
            .cloned()
            .collect(),
    };
    let answer = calls.call(place, call).await.map_err(|why| Undelivered {
        why,
        is_refused: false,
    })?;
    let is_refused = matches!(answer.status.as_u16(), 400 | 404 | 410 | 413 | 422);
    if answer.status.is_success() {
        Ok(())
    } else {
        Err(Undelivered {
            why: format!("the receiver answered {}", answer.status),
            is_refused,
        })
    }
}
