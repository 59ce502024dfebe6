//! The routes of the operator's pages, and the files that they load.

use std::io::Write;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use super::answers::{ServerState, ask, now};
use super::asking::{CONTENT_POLICY, PAGE_POLICY};
use super::listener::gate::ClientLink;
use super::listener::making::Unmade;
use super::page::overview::{ChosenEndpoints, OverviewQuery};
use super::page::{self, PageContext};
use super::runbook;
use crate::history::reader::HistoryReader;

/// Pages that show endpoints, which wait until these are in service.
pub fn of_endpoints() -> Router<ServerState> {
    Router::new()
        .route("/", get(front))
        .route("/endpoints/{name}", get(endpoint))
        .route("/contracts", get(contracts))
        .route("/prober", get(prober))
}

/// What is always the same.
pub fn fixed() -> Router<ServerState> {
    let css = || async { file("text/css", page::STYLE) };
    let script = || async { file("text/javascript", page::SCRIPT) };
    Router::new()
        .route("/page.css", get(css))
        .route("/page.js", get(script))
        .route(
            "/runbook",
            get(|| async {
                (
                    [(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY)],
                    Html(runbook::page()),
                )
            }),
        )
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let head = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "max-age=3600"),
    ];
    (head, text)
}

async fn front(
    State(state): State<ServerState>,
    line: ClientLink,
    Query(query): Query<OverviewQuery>,
) -> Response {
    match ChosenEndpoints::of(&query) {
        Ok(wanted) => {
            let asked = (query, wanted);
            shown(state, line, move |context| {
                page::overview::html(context, &asked)
            })
            .await
        }
        Err(why) => (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
    }
}

async fn endpoint(
    State(state): State<ServerState>,
    line: ClientLink,
    Path(name): Path<String>,
    Query(query): Query<OverviewQuery>,
) -> Response {
    let wanted = match ChosenEndpoints::of(&query) {
        Ok(wanted) => wanted,
        Err(why) => return (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
    };
    let answer = shown(state, line, move |context| {
        page::endpoint::html(context, &name, wanted.span)
    })
    .await;
    if answer.status() != StatusCode::NOT_FOUND {
        return answer;
    }
    let why = "no endpoint of that name is in service; / lists those that are\n";
    (StatusCode::NOT_FOUND, why).into_response()
}

async fn contracts(State(state): State<ServerState>, line: ClientLink) -> Response {
    shown(state, line, page::contracts::html).await
}

async fn prober(State(state): State<ServerState>, line: ClientLink) -> Response {
    shown(state, line, page::prober::html).await
}

/// A page, made off the listener's thread.
async fn shown<W: FnOnce(&mut dyn Write) -> Result<(), Unmade>>(
    state: ServerState,
    line: ClientLink,
    make: impl FnOnce(&PageContext) -> Result<W, Unmade> + Send + 'static,
) -> Response {
    let answer = ask(state, &line, move |state, reader: &HistoryReader| {
        make(&PageContext {
            reader,
            board: &state.board,
            contract_statuses: &state.contract_statuses.load(),
            gauges: &state.gauges,
            deliveries: &state.deliveries,
            now: now(),
        })
    });
    match answer.await {
        Ok(body) => {
            let head = [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (head, body).into_response()
        }
        Err(response) => response,
    }
}
