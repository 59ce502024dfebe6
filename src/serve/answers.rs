//! What the routes share: the daemon's state, and answers that are made off the listener's thread.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::contracts::ContractStatuses;
use super::listener::gate::{ClientLink, Gate, Place};
use super::listener::making::{self, Unmade};
use super::listener::refusal::Refusals;
use super::metrics::daemon::SelfMetrics;
use super::reloading::ReloadRequest;
use crate::engine::board::{Board, Health};
use crate::engine::drive::Gauges;
use crate::history::checkpoint::TermsKey;
use crate::history::reader::HistoryReader;
use crate::history::schema;
use crate::net::clock::{Clock, NS_PER_MS};
use crate::notify::Deliveries;
use crate::words::UtcMs;

/// The scheduler makes progress when its last turn is not older than this.
const PROGRESS_WITHIN_NS: u64 = 5_000_000_000;

/// How long a request waits for those who read before it, while they keep the log of the history
/// long, and how often it looks.
const LONG_LOG_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AT_LOG_AFTER: Duration = Duration::from_millis(20);
/// The writer takes the log in within much less, where no request reads.
const OF_A_COMMAND: Duration = Duration::from_millis(500);

/// What the routes share.
#[derive(Clone)]
pub struct ServerState {
    pub board: Arc<Board>,
    pub gauges: Arc<Gauges>,
    pub metrics: Arc<SelfMetrics>,
    pub deliveries: Arc<Deliveries>,
    pub state_dir: PathBuf,
    pub reload: mpsc::Sender<ReloadRequest>,
    pub gates: Gates,
    /// Opens the terms that were in force before.
    pub terms: TermsKey,
    /// Contracts as they were judged last.
    pub contract_statuses: Arc<ArcSwap<ContractStatuses>>,
}

/// Bounds on answers that are made at once. Who looks at the page keeps no scrape waiting.
#[derive(Clone, Default)]
pub struct Gates {
    pub scrapes: Arc<Gate>,
    /// API and page.
    pub questions: Arc<Gate>,
}

pub fn now() -> UtcMs {
    Clock::Real.read().utc_ms
}

/// The body that `make` writes once the gate lets it, or what is answered in its place.
pub async fn made(
    gate: &Arc<Gate>,
    line: &ClientLink,
    refusals: &Refusals,
    make: impl FnOnce(&mut dyn Write) -> Result<(), Unmade> + Send + 'static,
) -> Result<Body, Response> {
    made_in(place_in(gate, line, refusals).await?, make).await
}

async fn place_in(
    gate: &Arc<Gate>,
    line: &ClientLink,
    refusals: &Refusals,
) -> Result<Place, Response> {
    gate.enter(line).await.map_err(|refusal| {
        refusals.note(refusal, line.asker.peer, Clock::Real.boot_ns() / NS_PER_MS);
        let (status, text) = refusal.answer().unwrap_or((503, "try again later"));
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        (status, [(header::RETRY_AFTER, "1")], format!("{text}\n")).into_response()
    })
}

async fn made_in(
    place: Place,
    make: impl FnOnce(&mut dyn Write) -> Result<(), Unmade> + Send + 'static,
) -> Result<Body, Response> {
    making::body(place, make).await.map_err(|why| match why {
        Unmade::Unknown => StatusCode::NOT_FOUND.into_response(),
        Unmade::History(error) => {
            tracing::warn!(%error, "a request could not be answered");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the history cannot be read right now\n",
            )
                .into_response()
        }
        Unmade::Gone(_) | Unmade::Died => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Unmade::Unbegun(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    })
}

/// A question that cannot be answered, and why.
pub fn wrong(why: impl Into<String>) -> Response {
    (
        StatusCode::BAD_REQUEST,
        [(header::CONTENT_TYPE, "application/json")],
        serde_json::json!({"error": why.into()}).to_string(),
    )
        .into_response()
}

/// An answer from board and history, made off the listener's thread. `read` reads all of it and
/// returns what writes it: a slow reader holds no view of the database open, which would keep its
/// log from being taken in.
pub async fn ask<W: FnOnce(&mut dyn Write) -> Result<(), Unmade>>(
    state: ServerState,
    line: &ClientLink,
    read: impl FnOnce(&ServerState, &HistoryReader) -> Result<W, Unmade> + Send + 'static,
) -> Result<Body, Response> {
    let gate = state.gates.questions.clone();
    let refusals = state.metrics.refusals.clone();
    let place = loop {
        let is_long = wait_for_short_log(&state.board.health, LONG_LOG_WITHIN).await?;
        let place = place_in(&gate, line, &refusals).await?;
        // The log may have become long while others had the places.
        if is_long || !state.board.health.log_is_long.load(Ordering::Relaxed) {
            break place;
        }
    };
    made_in(place, move |out| {
        let reading = HistoryRead::begin(&state.board);
        let write = read(&state, &schema::open_to_read(&state.state_dir)?)?;
        drop(reading);
        write(out)
    })
    .await
}

/// A request that reads the history, until this is dropped.
struct HistoryRead(Arc<Board>);

impl HistoryRead {
    fn begin(board: &Arc<Board>) -> Self {
        board.health.history_readers.fetch_add(1, Ordering::Relaxed);
        Self(board.clone())
    }
}

impl Drop for HistoryRead {
    fn drop(&mut self) {
        let readers = &self.0.health.history_readers;
        readers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// While readers keep the log of the history long, new ones wait: they would keep it so for ever.
/// Where no request has read for a while, it is a command that keeps it, and waiting is no use: the
/// log is long then, as is returned.
async fn wait_for_short_log(health: &Health, patience: Duration) -> Result<bool, Response> {
    let began = Instant::now();
    let mut none_reads_since = began;
    while health.log_is_long.load(Ordering::Relaxed) {
        if health.history_readers.load(Ordering::Relaxed) > 0 {
            none_reads_since = Instant::now();
        }
        if none_reads_since.elapsed() >= OF_A_COMMAND {
            return Ok(true);
        }
        if began.elapsed() >= patience {
            return Err((
                StatusCode::SERVICE_UNAVAILABLE,
                [(header::RETRY_AFTER, "1")],
                "other requests are reading the history; try again in a moment\n",
            )
                .into_response());
        }
        tokio::time::sleep(LOOK_AT_LOG_AFTER).await;
    }
    Ok(false)
}

pub fn json(made: Result<Body, Response>) -> Response {
    match made {
        Ok(body) => (
            [
                (header::CONTENT_TYPE, "application/json"),
                (header::CACHE_CONTROL, "no-store"),
            ],
            body,
        )
            .into_response(),
        Err(response) => response,
    }
}

/// Whether the scheduler has had a turn lately.
pub fn makes_progress(board: &Board) -> bool {
    let age = Clock::Real
        .boot_ns()
        .saturating_sub(board.health.progress_ns.load(Ordering::Relaxed));
    age < PROGRESS_WITHIN_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_waits_while_the_log_is_long_and_no_longer_than_its_patience() {
        let health = Health::default();
        let wait = async |patience| {
            let refused = wait_for_short_log(&health, patience).await;
            refused.map_err(|response| response.status())
        };
        assert_eq!(wait(Duration::ZERO).await, Ok(false));
        health.log_is_long.store(true, Ordering::Relaxed);
        let refused = Err(StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(wait(Duration::from_millis(1)).await, refused);
        assert_eq!(
            wait(Duration::from_secs(60)).await,
            Ok(true),
            "a command keeps it"
        );
        health.history_readers.store(1, Ordering::Relaxed);
        assert_eq!(wait(2 * OF_A_COMMAND).await, refused, "a request reads");
        let becomes_short = async { health.log_is_long.store(false, Ordering::Relaxed) };
        let (waited, ()) = tokio::join!(wait(Duration::from_secs(60)), becomes_short);
        assert_eq!(waited, Ok(false));
    }
}
