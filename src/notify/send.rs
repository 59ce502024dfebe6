//! One message to one receiver, and why it was not delivered.
//!
//! The notifier calls it for each try, and `probity notify test` once.

use crate::config::plan::{Notify, Proxies};
use crate::net::own_calls::{OwnCalls, failure};

/// Why a message was not delivered. The text is for a person and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    pub why: String,
    /// The same message will be refused again: the receiver refuses what it says, not who says it
    /// or when.
    pub is_refused: bool,
}

/// Sends one message.
pub async fn send(
    calls: &OwnCalls,
    proxies: Proxies,
    receiver: &Notify,
    body: String,
) -> Result<(), Undelivered> {
    let client = calls
        .client_for(receiver.url.reveal(), proxies)
        .map_err(|why| Undelivered {
            why,
            is_refused: false,
        })?;
    let mut request = client
        .post(receiver.url.reveal())
        .header("content-type", "application/json")
        .body(body);
    for (name, value) in &receiver.headers {
        request = request.header(name, value.reveal());
    }
    let secrets = || {
        std::iter::once(&receiver.url)
            .chain(receiver.headers.iter().map(|(_, value)| value))
            .cloned()
            .collect()
    };
    let response = request.send().await.map_err(|error| Undelivered {
        why: failure(error, secrets()),
        is_refused: false,
    })?;
    let status = response.status();
    let is_refused = matches!(status.as_u16(), 400 | 404 | 410 | 413 | 422);
    if status.is_success() {
        Ok(())
    } else {
        Err(Undelivered {
            why: format!("the receiver answered {status}"),
            is_refused,
        })
    }
}
