//! The routes of the daemon's own listener: health, metrics, API and page. How they are served is
//! the business of [`super::listener`].
//!
//! Answers that grow with endpoints or outages are written in pieces, as many at once as a gate
//! lets through.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::{ConnectInfo, Query, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::oneshot;

use super::answers::{ServerState, ask, json, made, makes_progress, now, wrong};
use super::api::WantedOutages;
use super::asking::{Asked, look_at_host, may_change};
use super::contracts::contract_statuses;
use super::listener::Peer;
use super::listener::gate::ClientLink;
use super::listener::making::Unmade;
use super::listener::refusal::Refusal;
use super::metrics;
use super::metrics::metric::Collect;
use super::metrics::samples::{Format, takes};
use super::reloading::ReloadError;
use super::{api, pages};
use crate::account::figures::{NotSeen, extent};
use crate::engine::board::Entry;
use crate::judgement::maintenance::Window;
use crate::judgement::timeline::Span;
use crate::net::clock::{Clock, NS_PER_MS};
use crate::serve::by_component;
use crate::words::{Name, UtcMs, parse_utc};

pub fn router(state: ServerState) -> Router {
    let asked = Asked::new(state.board.clone(), state.metrics.refusals.clone());
    let of_endpoints = Router::new()
        .route("/metrics", get(metrics))
        .route("/api/v1/endpoints", get(endpoints))
        .route("/api/v1/timeline", get(timeline))
        .route("/api/v1/sla", get(sla))
        .route("/api/v1/components", get(of_components))
        .merge(pages::of_endpoints())
        .route_layer(middleware::from_fn_with_state(state.clone(), once_shown));
    of_endpoints
        .route("/-/healthy", get(|| async { "Healthy\n" }))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload))
        .route("/api/v1/outages", get(outages))
        .route("/checkpoint", get(checkpoint))
        .merge(pages::fixed())
        .with_state(state)
        .layer(middleware::from_fn_with_state(asked, look_at_host))
}

// ---- health

async fn ready(State(state): State<ServerState>) -> Response {
    let health = &state.board.health;
    let mut missing = Vec::new();
    if !health.history_writable.load(Ordering::Relaxed) {
        missing.push("the history is not writable");
    }
    if !health.scheduled.load(Ordering::Relaxed) {
        missing.push("the first round is not scheduled yet");
    }
    if !makes_progress(&state.board) {
        missing.push("the scheduler makes no progress");
    }
    if missing.is_empty() {
        "Ready\n".into_response()
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("Not ready: {}\n", missing.join("; ")),
        )
            .into_response()
    }
}

/// Reads the config again. Faults quote the config, which this client may not be able to read: they
/// are in the log.
async fn reload(
    State(state): State<ServerState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let allowed = may_change(&headers, &state.board.plan.load().listen);
    if let Err(denied) = allowed {
        state.metrics.refusals.note(
            Refusal::Forbidden,
            Peer::of(peer.ip()),
            Clock::Real.boot_ns() / NS_PER_MS,
        );
        return denied.into_response();
    }
    let forwarded = headers.get("x-forwarded-for").map(|value| {
        String::from_utf8_lossy(value.as_bytes())
            .escape_debug()
            .to_string()
    });
    let forwarded_for = forwarded.as_deref().unwrap_or("-");
    tracing::info!(peer = %peer.ip(), forwarded_for, "reload requested over HTTP");
    let (reply, answer) = oneshot::channel();
    if state.reload.send(reply).await.is_err() {
        return ReloadError::Ending.answer().into_response();
    }
    match answer.await {
        Ok(Ok(summary)) => format!("{summary}\n").into_response(),
        Ok(Err(error)) => error.answer().into_response(),
        Err(_) => ReloadError::Ending.answer().into_response(),
    }
}

// ---- metrics

/// Before the endpoints are taken into service an answer would say that there are none: then there
/// is no answer yet.
async fn once_shown(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    if !state.board.health.scheduled.load(Ordering::Acquire) {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the daemon is starting: its endpoints are being taken into service\n",
        )
            .into_response();
    }
    next.run(request).await
}

async fn metrics(
    State(state): State<ServerState>,
    line: ClientLink,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let parts = match parts(query.as_deref().unwrap_or_default()) {
        Ok(parts) => parts,
        Err(unknown) => {
            return (
                StatusCode::BAD_REQUEST,
                format!(
                    "unknown collect[] \"{unknown}\". Allowed: state, accounting, latency, daemon\n"
                ),
            )
                .into_response();
        }
    };
    let text = |name| {
        headers
            .get(name)
            .and_then(|v: &header::HeaderValue| v.to_str().ok())
            .unwrap_or_default()
    };
    let format = Format::accepted(text(header::ACCEPT));
    let gzip = takes(text(header::ACCEPT_ENCODING), "gzip");
    let (gate, refusals) = (state.gates.scrapes.clone(), state.metrics.refusals.clone());
    let made = made(&gate, &line, &refusals, move |out| {
        if !gzip {
            return Ok(write_metrics(out, &state, format, &parts)?);
        }
        let mut encoder = GzEncoder::new(out, Compression::fast());
        write_metrics(&mut encoder, &state, format, &parts)?;
        encoder.finish()?;
        Ok(())
    });
    let mut response = match made.await {
        Ok(body) => Response::new(body),
        Err(response) => return response,
    };
    let head = response.headers_mut();
    head.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(format.content_type()),
    );
    head.insert(
        header::VARY,
        header::HeaderValue::from_static("accept, accept-encoding"),
    );
    if gzip {
        head.insert(
            header::CONTENT_ENCODING,
            header::HeaderValue::from_static("gzip"),
        );
    }
    response
}

fn write_metrics(
    out: &mut dyn Write,
    state: &ServerState,
    format: Format,
    parts: &[Collect],
) -> std::io::Result<()> {
    let snapshot = state.board.snapshot();
    let plan = state.board.plan.load_full();
    let at = now();
    let windows: Vec<Window> = state
        .board
        .windows
        .load()
        .iter()
        .filter(|s| !s.in_force(Span::new(at, at + 1)).is_empty())
        .map(|s| s.window.clone())
        .collect();
    metrics::endpoint::write(out, format, parts, &snapshot, &plan, (&windows, at))?;
    drop(snapshot);
    if parts.contains(&Collect::Daemon) {
        state
            .metrics
            .write(out, format, &state.board, &state.gauges, &state.deliveries)?;
        let contract_statuses = state.contract_statuses.load();
        if !contract_statuses.components.is_empty() {
            metrics::component::write(&contract_statuses.components, out, format)?;
        }
        if !plan.contracts.list.is_empty() {
            contract_statuses.write(out, format)?;
        }
    }
    if format == Format::OpenMetrics {
        out.write_all(b"# EOF\n")?;
    }
    Ok(())
}

/// The parts that `collect[]` names; all without it.
pub fn parts(query: &str) -> Result<Vec<Collect>, String> {
    let mut parts = Vec::new();
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if key == "collect[]" {
            match Collect::WORDS.iter().find(|(word, _)| *word == value) {
                Some((_, part)) => parts.push(*part),
                None => return Err(value.escape_debug().to_string()),
            }
        }
    }
    Ok(if parts.is_empty() {
        Collect::WORDS.iter().map(|(_, part)| *part).collect()
    } else {
        parts
    })
}

// ---- API and page

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

async fn endpoints(
    State(state): State<ServerState>,
    line: ClientLink,
    Query(query): Query<EndpointsQuery>,
) -> Response {
    let Some(name) = query.endpoint else {
        let gate = state.gates.questions.clone();
        let refusals = state.metrics.refusals.clone();
        return json(
            made(&gate, &line, &refusals, move |out| {
                api::endpoints(&state.board, now(), out)
            })
            .await,
        );
    };
    let answer = ask(state, &line, move |state, reader| {
        let list = api::one_endpoint(reader, &state.board, &name, now())?.ok_or(Unmade::Unknown)?;
        let value = serde_json::json!(list);
        Ok(move |out: &mut dyn Write| Ok(writeln!(out, "{value}")?))
    });
    let answer = json(answer.await);
    if answer.status() != StatusCode::NOT_FOUND {
        return answer;
    }
    (
        StatusCode::NOT_FOUND,
        [(header::CONTENT_TYPE, "application/json")],
        "{\"error\":\"no endpoint of that name is in service\"}",
    )
        .into_response()
}

async fn outages(
    State(state): State<ServerState>,
    line: ClientLink,
    Query(query): Query<OutagesQuery>,
) -> Response {
    let since = match query.since.as_deref().map(parse_utc) {
        Some(None) => return wrong("invalid time in since; write it as 2026-11-01T00:00:00Z"),
        since => since.flatten().unwrap_or(0),
    };
    let limit = query.limit.unwrap_or(100).min(10_000);
    let answer = ask(state, &line, move |state, reader| {
        let endpoint = query.endpoint.as_deref();
        let is_asked =
            |e: &&Arc<Entry>| endpoint.is_none_or(|name| e.endpoint.load().name.as_str() == name);
        let named = |e: &Arc<Entry>| {
            (
                e.endpoint.load().name.to_string(),
                extent(&e.view().shown.settled, &e.endpoint.load().rules),
            )
        };
        let extents: Vec<_> = state
            .board
            .entries()
            .iter()
            .filter(is_asked)
            .map(named)
            .collect();
        let chosen = api::chosen_outages(
            reader,
            &extents,
            &WantedOutages {
                endpoint,
                since,
                limit,
                now: now(),
            },
        )?;
        Ok(move |out: &mut dyn Write| chosen.write(out))
    });
    json(answer.await)
}

async fn timeline(
    State(state): State<ServerState>,
    line: ClientLink,
    Query(query): Query<TimelineQuery>,
) -> Response {
    let instant =
        |text: &Option<String>, default: UtcMs| text.as_deref().map_or(Some(default), parse_utc);
    let (Some(from), Some(to)) = (
        instant(&query.from, now() - 30 * 86_400_000),
        instant(&query.to, now()),
    ) else {
        return wrong("from and to are instants; write them as 2026-11-01T00:00:00Z");
    };
    if to <= from {
        return wrong("to is not after from");
    }
    json(
        ask(state, &line, move |state, reader| {
            let period = Span::new(from, to);
            Ok(api::timeline(reader, &state.board, period, now())?)
        })
        .await,
    )
}

async fn sla(State(state): State<ServerState>, line: ClientLink) -> Response {
    let answer = ask(state, &line, |state, reader| {
        let fresh = Arc::new(contract_statuses(
            reader,
            &state.board,
            &state.terms,
            (now(), NotSeen::Included),
            state.contract_statuses.load().states.clone(),
        )?);
        state.contract_statuses.store(fresh.clone());
        Ok(move |out: &mut dyn Write| fresh.json(out))
    });
    json(answer.await)
}

#[derive(serde::Deserialize)]
struct ComponentQuery {
    component: Option<String>,
}

async fn of_components(
    State(state): State<ServerState>,
    line: ClientLink,
    Query(query): Query<ComponentQuery>,
) -> Response {
    let only = match query.component.as_deref().map(Name::new).transpose() {
        Ok(only) => only,
        Err(error) => {
            return (StatusCode::BAD_REQUEST, format!("component: {error}\n")).into_response();
        }
    };
    json(
        ask(state, &line, move |state, reader| {
            Ok(by_component::json(
                reader,
                &state.board,
                only.as_ref(),
                now(),
            )?)
        })
        .await,
    )
}

async fn checkpoint(State(state): State<ServerState>, line: ClientLink) -> Response {
    let answer = ask(state, &line, |_, reader| {
        let body = reader.newest_checkpoint()?.ok_or(Unmade::Unknown)?;
        Ok(move |out: &mut dyn Write| Ok(writeln!(out, "{body}")?))
    });
    let answer = json(answer.await);
    if answer.status() != StatusCode::NOT_FOUND {
        return answer;
    }
    (
        StatusCode::NOT_FOUND,
        "no checkpoint is signed yet; the first follows the first event\n",
    )
        .into_response()
}
