//! The operator's listener: routes, limits, and the streaming of large answers.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Query, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::api::WantedOutages;
use super::by_component;
use super::contracts::{Standings, standings};
use super::exposition::{self, Format, Part, takes};
use super::figures::{NotSeen, extent};
use super::self_metrics::SelfMetrics;
use super::{api, page, runbook};
use crate::engine::board::{Board, Entry};
use crate::engine::drive::Gauges;
use crate::judgement::maintenance::Window;
use crate::judgement::timeline::Span;
use crate::outward::clock::Clock;
use crate::outward::history::read::newest_checkpoint;
use crate::outward::history::{HistoryError, schema};
use crate::outward::notify::Deliveries;
use crate::words::{Name, UtcMs, parse_utc};

/// Pieces that a scrape is sent in.
const PIECE: usize = 64 << 10;
/// Pieces that may wait for a slow reader.
const PIECES_WAITING: usize = 4;
/// A reader that takes nothing for so long is cut off.
const READER_PATIENCE: Duration = Duration::from_secs(10);
const SCRAPES_AT_ONCE: usize = 4;
/// The scheduler makes progress when its last turn is not older than this.
pub const PROGRESS_WITHIN_NS: u64 = 5_000_000_000;

/// What the routes need.
#[derive(Clone)]
pub struct Site {
    pub board: Arc<Board>,
    pub gauges: Arc<Gauges>,
    pub metrics: Arc<SelfMetrics>,
    pub deliveries: Arc<Deliveries>,
    pub state_dir: PathBuf,
    pub reload: mpsc::Sender<oneshot::Sender<Result<String, String>>>,
    pub scrapes: Arc<Semaphore>,
    /// Contracts as they were judged last.
    pub standings: Arc<ArcSwap<Standings>>,
}

pub fn router(site: Site) -> Router {
    let of_endpoints = Router::new()
        .route("/metrics", get(metrics))
        .route("/api/v1/endpoints", get(endpoints))
        .route("/api/v1/timeline", get(timeline))
        .route("/api/v1/sla", get(sla))
        .route("/api/v1/components", get(of_components))
        .route("/", get(front))
        .route_layer(middleware::from_fn_with_state(site.clone(), once_shown));
    of_endpoints
        .route("/-/healthy", get(|| async { "Healthy\n" }))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload))
        .route("/api/v1/outages", get(outages))
        .route("/checkpoint", get(checkpoint))
        .route("/runbook", get(|| async { Html(runbook::page()) }))
        .route("/page.css", get(|| async { ([(header::CONTENT_TYPE, "text/css"), (header::CACHE_CONTROL, "max-age=3600")], include_str!("page.css")) }))
        .with_state(site)
}

/// A gate for scrapes.
pub fn scrape_gate() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(SCRAPES_AT_ONCE))
}

fn now() -> UtcMs {
    Clock::Real.read().utc_ms
}

// ---- health -----------------------------------------------------------------------------------------------------

/// Whether the scheduler has had a turn lately.
pub fn makes_progress(board: &Board) -> bool {
    let age = Clock::Real.boot_ns().saturating_sub(board.health.progress_ns.load(Ordering::Relaxed));
    age < PROGRESS_WITHIN_NS
}

async fn ready(State(site): State<Site>) -> Response {
    let health = &site.board.health;
    let mut missing = Vec::new();
    if !health.history_writable.load(Ordering::Relaxed) {
        missing.push("the history is not writable");
    }
    if !health.scheduled.load(Ordering::Relaxed) {
        missing.push("the first round is not scheduled yet");
    }
    if !makes_progress(&site.board) {
        missing.push("the scheduler makes no progress");
    }
    if missing.is_empty() {
        "Ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("Not ready: {}\n", missing.join("; "))).into_response()
    }
}

/// Reads the config again. Only from this host, and not on behalf of a web page.
async fn reload(State(site): State<Site>, ConnectInfo(peer): ConnectInfo<SocketAddr>, headers: HeaderMap) -> Response {
    if !peer.ip().to_canonical().is_loopback() || headers.contains_key(header::ORIGIN) {
        return (StatusCode::FORBIDDEN, "a reload is taken from this host only, and not from a web page\n").into_response();
    }
    let (reply, answer) = oneshot::channel();
    if site.reload.send(reply).await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the daemon is ending\n").into_response();
    }
    match answer.await {
        Ok(Ok(summary)) => format!("{summary}\n").into_response(),
        Ok(Err(faults)) => (StatusCode::BAD_REQUEST, format!("{faults}\n")).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the daemon is ending\n").into_response(),
    }
}

// ---- metrics ----------------------------------------------------------------------------------------------------

/// Before the endpoints are taken into service an answer would say that there are none: then there is no answer yet.
async fn once_shown(State(site): State<Site>, request: Request, next: Next) -> Response {
    if !site.board.health.scheduled.load(Ordering::Acquire) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the daemon is starting: its endpoints are being taken into service\n").into_response();
    }
    next.run(request).await
}

async fn metrics(State(site): State<Site>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let parts = match parts(query.as_deref().unwrap_or_default()) {
        Ok(parts) => parts,
        Err(unknown) => {
            return (StatusCode::BAD_REQUEST, format!("collect[] does not know \"{unknown}\"; it takes state, accounting, latency, daemon\n")).into_response();
        }
    };
    let text = |name| headers.get(name).and_then(|v: &header::HeaderValue| v.to_str().ok()).unwrap_or_default();
    let format = Format::accepted(text(header::ACCEPT));
    let gzip = takes(text(header::ACCEPT_ENCODING), "gzip");
    let Ok(permit) = site.scrapes.clone().acquire_owned().await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let (sender, receiver) = mpsc::channel(PIECES_WAITING);
    let pieces = Pieces::new(sender, tokio::runtime::Handle::current());
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let result = if gzip {
            let mut encoder = GzEncoder::new(pieces, Compression::fast());
            write_metrics(&mut encoder, &site, format, &parts).and_then(|()| encoder.finish()?.flush())
        } else {
            let mut pieces = pieces;
            write_metrics(&mut pieces, &site, format, &parts).and_then(|()| pieces.flush())
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a scrape was not read to its end");
        }
    });
    let mut response = Response::new(Body::from_stream(Received(receiver)));
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(format.content_type()));
    head.insert(header::VARY, header::HeaderValue::from_static("accept, accept-encoding"));
    if gzip {
        head.insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"));
    }
    response
}

fn write_metrics(out: &mut dyn Write, site: &Site, format: Format, parts: &[Part]) -> std::io::Result<()> {
    let picture = site.board.picture();
    let plan = site.board.plan.load_full();
    let at = now();
    let windows: Vec<Window> = site.board.windows.load().iter().filter(|s| !s.in_force(Span::new(at, at + 1)).is_empty()).map(|s| s.window.clone()).collect();
    exposition::endpoints(out, format, parts, &picture, &plan, (&windows, at))?;
    drop(picture);
    if parts.contains(&Part::Daemon) {
        site.metrics.write(out, format, &site.board, &site.gauges, &site.deliveries)?;
        let standings = site.standings.load();
        if !standings.components.is_empty() {
            by_component::write(&standings.components, out, format)?;
        }
        if !plan.contracts.list.is_empty() {
            standings.write(out, format)?;
        }
    }
    if format == Format::OpenMetrics {
        out.write_all(b"# EOF\n")?;
    }
    Ok(())
}

/// The parts that `collect[]` names; all without it.
pub fn parts(query: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if key == "collect[]" {
            match Part::WORDS.iter().find(|(word, _)| *word == value) {
                Some((_, part)) => parts.push(*part),
                None => return Err(value.escape_debug().to_string()),
            }
        }
    }
    Ok(if parts.is_empty() { Part::WORDS.iter().map(|(_, part)| *part).collect() } else { parts })
}

/// Sends what is written in pieces; waits for a slow reader, but not for ever.
struct Pieces {
    sender: mpsc::Sender<Bytes>,
    buffer: Vec<u8>,
    /// What was sent comes back here, to be filled again: thousands of pieces take the memory of a few.
    spent: (std::sync::mpsc::Sender<Vec<u8>>, std::sync::mpsc::Receiver<Vec<u8>>),
    runtime: tokio::runtime::Handle,
}

/// A piece on its way to a reader.
struct Piece {
    bytes: Vec<u8>,
    spent: std::sync::mpsc::Sender<Vec<u8>>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // The scrape may have ended meanwhile.
        let _ = self.spent.send(std::mem::take(&mut self.bytes));
    }
}

impl Pieces {
    fn new(sender: mpsc::Sender<Bytes>, runtime: tokio::runtime::Handle) -> Self {
        Self { sender, buffer: Vec::with_capacity(PIECE), spent: std::sync::mpsc::channel(), runtime }
    }

    fn send(&mut self) -> std::io::Result<()> {
        let mut next = self.spent.1.try_recv().unwrap_or_else(|_| Vec::with_capacity(PIECE));
        next.clear();
        let piece = Bytes::from_owner(Piece { bytes: std::mem::replace(&mut self.buffer, next), spent: self.spent.0.clone() });
        let sent = match self.sender.try_send(piece) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(piece)) => {
                self.runtime.block_on(async { matches!(tokio::time::timeout(READER_PATIENCE, self.sender.send(piece)).await, Ok(Ok(()))) })
            }
        };
        if sent { Ok(()) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        if self.buffer.len() == PIECE {
            self.send()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.buffer.is_empty() { Ok(()) } else { self.send() }
    }
}

struct Received(mpsc::Receiver<Bytes>);

impl futures_core::Stream for Received {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|piece| piece.map(Ok))
    }
}

// ---- API and page -----------------------------------------------------------------------------------------------

#[derive(serde::Deserialize)]
struct EndpointsQuery {
    endpoint: Option<String>,
}

#[derive(serde::Deserialize)]
struct OutagesQuery {
    endpoint: Option<String>,
    since: Option<String>,
    limit: Option<usize>,
}

#[derive(serde::Deserialize)]
struct TimelineQuery {
    from: Option<String>,
    to: Option<String>,
}

#[derive(serde::Deserialize)]
struct PageQuery {
    page: Option<usize>,
}

fn json(value: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], format!("{value}\n")).into_response()
}

fn wrong(why: impl Into<String>) -> Response {
    (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/json")], serde_json::json!({"error": why.into()}).to_string()).into_response()
}

/// Asks board and history off the runtime's thread.
async fn ask<T: Send + 'static>(site: Site, work: impl FnOnce(&Site, rusqlite::Connection) -> Result<T, HistoryError> + Send + 'static) -> Result<T, Response> {
    let asked = tokio::task::spawn_blocking(move || schema::open_to_read(&site.state_dir).and_then(|connection| work(&site, connection))).await;
    match asked {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a request could not be answered");
            Err((StatusCode::SERVICE_UNAVAILABLE, "the history cannot be read right now\n").into_response())
        }
        Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
    }
}

async fn endpoints(State(site): State<Site>, Query(query): Query<EndpointsQuery>) -> Response {
    let answer = ask(site, move |site, connection| match &query.endpoint {
        Some(name) => api::one_endpoint(&connection, &site.board, name, now()),
        None => Ok(Some(api::endpoints(&site.board))),
    });
    match answer.await {
        Ok(Some(value)) => json(&value),
        Ok(None) => {
            (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/json")], "{\"error\":\"no endpoint of that name is in service\"}").into_response()
        }
        Err(response) => response,
    }
}

async fn outages(State(site): State<Site>, Query(query): Query<OutagesQuery>) -> Response {
    let since = match query.since.as_deref().map(parse_utc) {
        Some(None) => return wrong("since is no instant; write it as 2026-11-01T00:00:00Z"),
        since => since.flatten().unwrap_or(0),
    };
    let limit = query.limit.unwrap_or(100).min(10_000);
    let of = query.endpoint.clone();
    let is_asked = |e: &&Arc<Entry>| of.as_ref().is_none_or(|name| e.endpoint.load().name.as_str() == name);
    let named = |e: &Arc<Entry>| (e.endpoint.load().name.to_string(), extent(&e.view().shown.settled, &e.endpoint.load().rules));
    let extents: Vec<_> = site.board.entries().iter().filter(is_asked).map(named).collect();
    let answer = ask(site, move |_, connection| {
        api::outage_list(&connection, &extents, &WantedOutages { endpoint: query.endpoint.as_deref(), since, limit, now: now() })
    });
    match answer.await {
        Ok(value) => json(&value),
        Err(response) => response,
    }
}

async fn timeline(State(site): State<Site>, Query(query): Query<TimelineQuery>) -> Response {
    let instant = |text: &Option<String>, default: UtcMs| text.as_deref().map_or(Some(default), parse_utc);
    let (Some(from), Some(to)) = (instant(&query.from, now() - 30 * 86_400_000), instant(&query.to, now())) else {
        return wrong("from and to are instants; write them as 2026-11-01T00:00:00Z");
    };
    if to <= from {
        return wrong("to is not after from");
    }
    match ask(site, move |site, connection| api::timeline(&connection, &site.board, Span::new(from, to))).await {
        Ok(value) => json(&value),
        Err(response) => response,
    }
}

async fn sla(State(site): State<Site>) -> Response {
    let kept = site.standings.clone();
    match ask(site, |site, connection| standings(&connection, &site.board, now(), NotSeen::Told)).await {
        Ok(fresh) => {
            kept.store(Arc::new(fresh));
            json(&kept.load().json())
        }
        Err(response) => response,
    }
}

#[derive(serde::Deserialize)]
struct ComponentQuery {
    component: Option<String>,
}

async fn of_components(State(site): State<Site>, Query(query): Query<ComponentQuery>) -> Response {
    let only = match query.component.as_deref().map(Name::new).transpose() {
        Ok(only) => only,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("component: {error}\n")).into_response(),
    };
    match ask(site, move |site, connection| by_component::json(&connection, &site.board, only.as_ref(), now())).await {
        Ok(value) => json(&value),
        Err(response) => response,
    }
}

async fn checkpoint(State(site): State<Site>) -> Response {
    match ask(site, |_, connection| newest_checkpoint(&connection)).await {
        Ok(Some(body)) => ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], format!("{body}\n")).into_response(),
        Ok(None) => (StatusCode::NOT_FOUND, "no checkpoint is signed yet; the first follows the first event\n").into_response(),
        Err(response) => response,
    }
}

async fn front(State(site): State<Site>, Query(query): Query<PageQuery>) -> Response {
    let page = query.page.unwrap_or(0).min(1_000_000);
    match ask(site, move |site, connection| page::html(&connection, &site.board, &site.standings.load(), now(), page)).await {
        Ok(html) => {
            let policy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
            let head = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, policy), (header::CACHE_CONTROL, "no-store")];
            (head, html).into_response()
        }
        Err(response) => response,
    }
}
