//! The paths of the status page. All of them are for reading, and what they say is for everybody:
//! any `Host` is answered, as a reverse proxy gives it.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;

use super::badge::Badge;
use super::kept::KeptStatus;
use super::published::{PublicComponent, PublicStatus};
use super::{atlassian, pages};
use crate::serve::metrics::samples::takes;

/// Their own style, script and badge, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
    connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";
/// How long caches may keep an answer, in seconds. Style and script have a hash in their address.
const FRESH: &str = "public, max-age=5";
const FILE: &str = "public, max-age=86400";

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const SVG: &str = "image/svg+xml";

/// What is answered of what is published; nothing where it has nothing of that name.
type Made = fn(&PublicStatus) -> Option<String>;

pub fn router(kept: KeptStatus) -> Router {
    let always = |kind: &'static str, make: Made| {
        get(
            move |State(kept): State<KeptStatus>, request: Request<Body>| async move {
                let path = request.uri().path();
                answer(&kept, request.headers(), (path, kind), make).await
            },
        )
    };
    let json = |make: Made| always(JSON, make);
    Router::new()
        .route("/", always(HTML, |s| Some(pages::front(s))))
        .route("/components/{id}", get(component))
        .route("/badges/{name}", get(badge))
        .route("/badge.svg", always(SVG, |s| Some(Badge::of_all(s).svg())))
        .route("/badge.json", json(|s| text(Badge::of_all(s).json())))
        .route("/status.css", get(|| file("text/css", pages::STYLE)))
        .route("/status.js", get(|| file("text/javascript", pages::SCRIPT)))
        .route(
            "/api/v2/summary.json",
            json(|s| text(atlassian::summary(s))),
        )
        .route("/api/v2/status.json", json(|s| text(atlassian::state(s))))
        .route(
            "/api/v2/components.json",
            json(|s| text(atlassian::components(s))),
        )
        .route(
            "/api/v2/incidents.json",
            json(|s| text(atlassian::incidents(s, |_| true))),
        )
        .route(
            "/api/v2/incidents/unresolved.json",
            json(|s| text(atlassian::incidents(s, |o| !o.is_resolved()))),
        )
        .route(
            "/api/v2/scheduled-maintenances.json",
            json(|s| text(atlassian::maintenance(s, |_| true))),
        )
        .route(
            "/api/v2/scheduled-maintenances/upcoming.json",
            json(|s| text(atlassian::maintenance(s, |m| m.from > s.now))),
        )
        .route(
            "/api/v2/scheduled-maintenances/active.json",
            json(|s| text(atlassian::maintenance(s, |m| m.from <= s.now))),
        )
        .with_state(kept)
}

fn text(value: Value) -> Option<String> {
    Some(value.to_string())
}

async fn file(kind: &'static str, text: &'static str) -> Response {
    let head = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, FILE)];
    (head, text).into_response()
}

async fn component(
    State(kept): State<KeptStatus>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let path = format!("/components/{id}");
    let make = |status: &PublicStatus| Some(pages::component(status, shown(status, &id)?));
    answer(&kept, &headers, (&path, HTML), make).await
}

/// `ID.svg` or `ID.json`.
async fn badge(
    State(kept): State<KeptStatus>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Response {
    let path = format!("/badges/{name}");
    let of = |status: &PublicStatus, end| Some(Badge::of(shown(status, name.strip_suffix(end)?)?));
    if name.ends_with(".json") {
        let make = |status: &PublicStatus| text(of(status, ".json")?.json());
        answer(&kept, &headers, (&path, JSON), make).await
    } else {
        let make = |status: &PublicStatus| Some(of(status, ".svg")?.svg());
        answer(&kept, &headers, (&path, SVG), make).await
    }
}

fn shown<'s>(status: &'s PublicStatus, id: &str) -> Option<&'s PublicComponent> {
    status.components.iter().find(|c| c.id.as_str() == id)
}

/// With an entity tag, and as gzip where that is taken.
async fn answer(
    kept: &KeptStatus,
    headers: &HeaderMap,
    (path, kind): (&str, &'static str),
    make: impl FnOnce(&PublicStatus) -> Option<String>,
) -> Response {
    let Some(status) = kept.status().await else {
        let why = "there is nothing to show right now\n";
        let later = [(header::RETRY_AFTER, "5")];
        return (StatusCode::SERVICE_UNAVAILABLE, later, why).into_response();
    };
    let Some(answer) = status.answer(path, make) else {
        return (StatusCode::NOT_FOUND, "no such component is shown here\n").into_response();
    };
    let head = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, FRESH),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::VARY, "accept-encoding"),
        (header::ETAG, answer.tag.as_str()),
        // Any page may read the API and show a badge.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    let given = |name| {
        headers
            .get(name)
            .and_then(|v: &HeaderValue| v.to_str().ok())
    };
    let known = given(header::IF_NONE_MATCH).unwrap_or_default();
    if known.split(',').any(|one| one.trim() == answer.tag) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    if takes(given(header::ACCEPT_ENCODING).unwrap_or_default(), "gzip") {
        let coding = [(header::CONTENT_ENCODING, "gzip")];
        return (head, coding, answer.gzip).into_response();
    }
    (head, answer.plain).into_response()
}
