//! Who may ask the listener what: a `Host` of its own for every request, a token and no foreign
//! page for a change of state.
//!
//! docs/decisions/037-who-may-ask.md has the reasons. The address of a peer decides nothing here: a
//! proxy, a tunnel or a browser on this host speaks for others.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::listener::Peer;
use super::listener::refusal::{Refusal, Refusals};
use crate::config::listen::{ANY_HOST, Listen};
use crate::engine::board::Board;
use crate::net::clock::{Clock, NS_PER_MS};
use crate::net::own_names::own_names;

/// For texts: scripts have no place in any of them.
pub const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri \
    'none'; form-action 'none'; frame-ancestors 'none'";

/// For the operator's pages: their own script asks for the page again, and their form for another
/// choice of endpoints.
pub const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
    connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

/// What the check of `Host` needs.
#[derive(Clone)]
pub struct Asked {
    board: Arc<Board>,
    refusals: Arc<Refusals>,
    /// Whether the listener was bound to loopback; a reload does not move it.
    is_loopback: bool,
    /// Of this host, in lower case.
    names: Arc<[String]>,
}

impl Asked {
    pub fn new(board: Arc<Board>, refusals: Arc<Refusals>) -> Self {
        let is_loopback = board.plan.load().listen.address.ip().is_loopback();
        Self {
            board,
            refusals,
            is_loopback,
            names: own_names().into(),
        }
    }

    fn note(&self, refusal: Refusal, request: &Request) {
        if let Some(ConnectInfo(address)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
            self.refusals.note(
                refusal,
                Peer::of(address.ip()),
                Clock::Real.boot_ns() / NS_PER_MS,
            );
        }
    }

    /// Both the `Host` and the host of a target in absolute form, where they are there. HTTP/1.0
    /// has neither, and no browser speaks it.
    fn is_for_us(&self, request: &Request) -> bool {
        let header = request
            .headers()
            .get(header::HOST)
            .map(|value| Authority::try_from(value.as_bytes()).ok());
        let target = request
            .uri()
            .authority()
            .map(|authority| Some(authority.clone()));
        let listen = &self.board.plan.load().listen;
        header
            .into_iter()
            .chain(target)
            .all(|host| host.is_some_and(|host| self.is_own(host.host(), listen)))
    }

    /// A page of another site that has led its own name to this address (DNS rebinding) still sends
    /// that name.
    fn is_own(&self, host: &str, listen: &Listen) -> bool {
        let name = host
            .trim_matches(['[', ']'])
            .trim_end_matches('.')
            .to_ascii_lowercase();
        if listen
            .allowed_hosts
            .iter()
            .any(|allowed| allowed == ANY_HOST || allowed.trim_matches(['[', ']']) == name)
        {
            return true;
        }
        match name.parse::<IpAddr>() {
            Ok(address) => !self.is_loopback || address.to_canonical().is_loopback(),
            Err(_) => name == "localhost" || !self.is_loopback && self.names.contains(&name),
        }
    }
}

/// Refuses what is addressed to another name.
pub async fn look_at_host(State(asked): State<Asked>, request: Request, next: Next) -> Response {
    if asked.is_for_us(&request) {
        return next.run(request).await;
    }
    asked.note(Refusal::Host, &request);
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .escape_debug()
        .to_string();
    tracing::debug!(host, "a request for another host was refused");
    let text = format!(
        "this listener is not `{host}`: set `[listen] allowed_hosts = [\"NAME\"]` to the name \
            that clients use for it\n"
    );
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

/// Why a request may not change state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// A browser asks on behalf of a page of another site.
    Foreign,
    /// The config has no token.
    Closed,
    /// None was shown, or another one.
    Token,
}

/// Whether a request with these headers may change state.
pub fn may_change(headers: &HeaderMap, listen: &Listen) -> Result<(), Denied> {
    if is_foreign(headers) {
        return Err(Denied::Foreign);
    }
    let Some(token) = &listen.token else {
        return Err(Denied::Closed);
    };
    let mut shown = headers.get_all(header::AUTHORIZATION).iter();
    let bearer = shown
        .next()
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split_once(' '));
    match bearer {
        Some((scheme, found))
            if scheme.eq_ignore_ascii_case("bearer")
                && shown.next().is_none()
                && verify_slices_are_equal(found.trim().as_bytes(), token.reveal().as_bytes())
                    .is_ok() =>
        {
            Ok(())
        }
        _ => Err(Denied::Token),
    }
}

/// Programs send neither header; browsers send one of them with every request that changes state.
fn is_foreign(headers: &HeaderMap) -> bool {
    let is_other_site = |value: &HeaderValue| !matches!(value.as_bytes(), b"none" | b"same-origin");
    let host = headers
        .get(header::HOST)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let is_other_origin = |value: &HeaderValue| {
        let origin = value.as_bytes();
        let own = origin
            .strip_prefix(b"http://")
            .or_else(|| origin.strip_prefix(b"https://"));
        !own.is_some_and(|own| own.eq_ignore_ascii_case(host))
    };
    headers.get_all("sec-fetch-site").iter().any(is_other_site)
        || headers.get_all(header::ORIGIN).iter().any(is_other_origin)
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        match self {
            Denied::Foreign => (
                StatusCode::FORBIDDEN,
                "a page of another site cannot change the state of this daemon\n",
            )
                .into_response(),
            Denied::Closed => {
                let text = "there is no `[listen] token`, so nothing can be changed over HTTP.\n\
                            To reload the config: `probity reload` (control socket), SIGHUP or \
                            `systemctl reload probity`; or set the token.\n";
                (StatusCode::FORBIDDEN, text).into_response()
            }
            Denied::Token => {
                let text = "send the token of `[listen] token`: `Authorization: Bearer TOKEN`\n";
                (
                    StatusCode::UNAUTHORIZED,
                    [(header::WWW_AUTHENTICATE, "Bearer")],
                    text,
                )
                    .into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Plan;
    use crate::config::document::secret::Secret;

    fn asked(address: &str, allowed: &[&str]) -> Asked {
        let mut plan = Plan::empty();
        plan.listen.address = address.parse().expect("an address");
        plan.listen.allowed_hosts = allowed.iter().map(ToString::to_string).collect();
        let names = ["prober".to_owned(), "prober.corp.example".to_owned()].into();
        Asked {
            names,
            ..Asked::new(Arc::new(Board::new(Arc::new(plan))), Arc::default())
        }
    }

    fn is_for(asked: &Asked, host: &str) -> bool {
        asked.is_for_us(
            &Request::builder()
                .uri("/metrics")
                .header("host", host)
                .body(axum::body::Body::empty())
                .expect("a request"),
        )
    }

    #[test]
    fn a_loopback_listener_has_the_names_of_loopback_and_those_of_the_config() {
        let asked = asked("127.0.0.1:9847", &["probity.internal"]);
        for host in [
            "localhost",
            "LocalHost:9847",
            "localhost.",
            "127.0.0.1:9847",
            "127.9.9.9",
            "[::1]:9847",
            "[::ffff:127.0.0.1]",
            "Probity.internal:80",
        ] {
            assert!(is_for(&asked, host), "{host}");
        }
        for host in [
            "rebound.example:9847",
            "prober",
            "0.0.0.0:9847",
            "192.0.2.7",
            "localhost.rebound.example",
            "127.0.0.1.rebound.example",
            "a@rebound.example",
            "2130706433",
            "",
        ] {
            assert!(!is_for(&asked, host), "{host}");
        }
    }

    #[test]
    fn a_listener_for_others_has_its_hosts_names_and_any_address() {
        let asked = asked("0.0.0.0:9847", &[]);
        for host in [
            "prober:9847",
            "PROBER.corp.example",
            "192.0.2.7:9847",
            "[2001:db8::1]:9847",
            "localhost",
        ] {
            assert!(is_for(&asked, host), "{host}");
        }
        for host in [
            "rebound.example",
            "prober.rebound.example:9847",
            "corp.example",
        ] {
            assert!(!is_for(&asked, host), "{host}");
        }
        assert!(is_for(
            &self::asked("0.0.0.0:9847", &["*"]),
            "rebound.example"
        ));
    }

    #[test]
    fn a_target_in_absolute_form_is_looked_at_as_well_and_http_1_0_needs_no_host() {
        let asked = asked("127.0.0.1:9847", &[]);
        let request = |uri: &str| Request::builder().uri(uri);
        let body = axum::body::Body::empty;
        assert!(asked.is_for_us(&request("/").body(body()).expect("a request")));
        assert!(
            asked.is_for_us(
                &request("http://localhost/")
                    .header("host", "localhost")
                    .body(body())
                    .expect("a request")
            )
        );
        assert!(
            !asked.is_for_us(
                &request("http://rebound.example/")
                    .header("host", "localhost")
                    .body(body())
                    .expect("a request")
            )
        );
        assert!(
            !asked.is_for_us(
                &request("http://localhost/")
                    .header("host", "rebound.example")
                    .body(body())
                    .expect("a request")
            )
        );
    }

    #[test]
    fn a_change_of_state_needs_the_token_and_no_foreign_page() {
        let token = "0123456789abcdef";
        let with = Listen {
            token: Some(Secret::new(token)),
            ..Listen::default()
        };
        let asked = |lines: &[(&'static str, &str)], listen: &Listen| {
            let mut headers = HeaderMap::new();
            headers.append("host", HeaderValue::from_static("localhost:9847"));
            for (name, value) in lines {
                headers.append(*name, value.parse().expect("a value"));
            }
            may_change(&headers, listen)
        };
        let (right, wrong) = (
            ("authorization", "Bearer 0123456789abcdef"),
            ("authorization", "Bearer 0123456789abcdeF"),
        );
        assert_eq!(asked(&[], &Listen::default()), Err(Denied::Closed));
        assert_eq!(asked(&[right], &Listen::default()), Err(Denied::Closed));
        for lines in [
            &[][..],
            &[wrong],
            &[("authorization", token)],
            &[("authorization", "Basic 0123456789abcdef")],
            &[right, wrong],
        ] {
            assert_eq!(asked(lines, &with), Err(Denied::Token), "{lines:?}");
        }
        assert_eq!(
            asked(&[("x-forwarded-for", "127.0.0.1")], &with),
            Err(Denied::Token)
        );
        for lines in [
            &[right][..],
            &[("authorization", "bearer 0123456789abcdef")],
            &[right, ("x-forwarded-for", "192.0.2.1")],
            &[right, ("sec-fetch-site", "none")],
            &[
                right,
                ("sec-fetch-site", "same-origin"),
                ("origin", "http://localhost:9847"),
            ],
        ] {
            assert_eq!(asked(lines, &with), Ok(()), "{lines:?}");
        }
        for foreign in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "null"),
            ("origin", "http://localhost:1"),
            ("origin", "http://rebound.example"),
        ] {
            assert_eq!(
                asked(&[right, foreign], &with),
                Err(Denied::Foreign),
                "{foreign:?}"
            );
        }
    }
}
