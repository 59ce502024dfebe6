//! The routes of the operator's pages, and the files that they load.

use std::convert::Infallible;
use std::io::Write;

use axum::Router;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::answers::{ServerState, ask, now};
use super::asking::{CONTENT_POLICY, PAGE_POLICY};
use super::listener::gate::ClientLink;
use super::listener::making::Unmade;
use super::metrics::samples::takes;
use super::page::chosen::{ChosenEndpoints, OverviewQuery};
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
    coding: PageCoding,
    Query(query): Query<OverviewQuery>,
) -> Response {
    match ChosenEndpoints::of(&query) {
        Ok(wanted) => {
            let asked = (query, wanted);
            shown(state, (line, coding), move |context| {
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
    coding: PageCoding,
    Path(name): Path<String>,
    Query(query): Query<OverviewQuery>,
) -> Response {
    let wanted = match ChosenEndpoints::of(&query) {
        Ok(wanted) => wanted,
        Err(why) => return (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
    };
    let answer = shown(state, (line, coding), move |context| {
        page::endpoint::html(context, &name, wanted.span)
    })
    .await;
    if answer.status() != StatusCode::NOT_FOUND {
        return answer;
    }
    let why = "no endpoint of that name is in service; / lists those that are\n";
    (StatusCode::NOT_FOUND, why).into_response()
}

async fn contracts(
    State(state): State<ServerState>,
    line: ClientLink,
    coding: PageCoding,
) -> Response {
    shown(state, (line, coding), page::contracts::html).await
}

async fn prober(
    State(state): State<ServerState>,
    line: ClientLink,
    coding: PageCoding,
) -> Response {
    shown(state, (line, coding), page::prober::html).await
}

/// How a page is sent: the script asks for it every ten seconds, and as gzip it has a tenth of the
/// bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PageCoding {
    Plain,
    Gzip,
}

impl<S: Send + Sync> FromRequestParts<S> for PageCoding {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let accepted = parts.headers.get(header::ACCEPT_ENCODING);
        let accepted = accepted.and_then(|value| value.to_str().ok()).unwrap_or("");
        Ok(if takes(accepted, "gzip") {
            PageCoding::Gzip
        } else {
            PageCoding::Plain
        })
    }
}

/// A page, made off the listener's thread.
async fn shown<W: FnOnce(&mut dyn Write) -> Result<(), Unmade>>(
    state: ServerState,
    (line, coding): (ClientLink, PageCoding),
    make: impl FnOnce(&PageContext) -> Result<W, Unmade> + Send + 'static,
) -> Response {
    let answer = ask(state, &line, move |state, reader: &HistoryReader| {
        let write = make(&PageContext {
            reader,
            board: &state.board,
            contract_statuses: &state.contract_statuses.load(),
            gauges: &state.gauges,
            deliveries: &state.deliveries,
            now: now(),
        })?;
        Ok(move |out: &mut dyn Write| match coding {
            PageCoding::Plain => write(out),
            PageCoding::Gzip => {
                let mut encoder = GzEncoder::new(out, Compression::fast());
                write(&mut encoder)?;
                encoder.finish()?;
                Ok(())
            }
        })
    });
    let body = match answer.await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let head = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept-encoding"),
    ];
    let mut response = (head, body).into_response();
    if coding == PageCoding::Gzip {
        let gzip = HeaderValue::from_static("gzip");
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, gzip);
    }
    response
}
