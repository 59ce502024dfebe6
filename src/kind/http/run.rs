//! The http kind: request, redirects, response, expectations; HTTP/1.1 and HTTP/2, plain and over
//! TLS.

use std::sync::Arc;

use tokio::time::Instant;
use url::Url;

use super::HttpTarget;
use super::hop::{self, Journey};
use super::judge::{beyond_limit, judge};
use super::redirect::{Cookies, next_method};
pub use super::redirect::{followed, redirect_of};
use super::request::{self, Step};
use super::spec::{Compression, Http, HttpVersion};
use crate::config::plan::Dial;
use crate::kind::run::expect;
use crate::net::halt::Halt;
use crate::net::http_response::{Ask, Keep, Response};
use crate::net::origin::HopOrigin;
use crate::net::resolve::Sought;
use crate::net::shared::Net;
use crate::net::stream::Stream;
use crate::net::trace::Trace;
use crate::net::{dial, http1, http2, peer, tls};
use crate::words::{Cause, Finding, Reason};

pub async fn probe(
    net: &Net,
    trace: &Trace,
    dial: &Dial,
    target: &HttpTarget,
    deadline: Instant,
) -> Result<(), Halt> {
    let HttpTarget { url, spec, .. } = target;
    let mut at = Url::clone(url);
    let mut method = spec.method.as_str();
    let mut has_body = true;
    let mut cookies = Cookies::default();
    let mut redirects = 0;
    let mut odd = Vec::new();
    let mut journey = Journey::default();
    let keep = if expect::needs_body(&spec.expect) || spec.compression == Compression::Ask {
        Keep::Body
    } else {
        Keep::CountOnly
    };
    let (response, standing) = loop {
        let standing = HopOrigin::of(url, &at);
        trace.at_stranger.set(standing == HopOrigin::Foreign);
        let for_here = cookies.of(&at);
        let step = Step {
            method,
            standing,
            is_first: redirects == 0,
            has_body,
            keep,
            cookies: for_here.as_deref(),
        };
        let led_from = url.host_str().filter(|_| redirects > 0);
        let way = Way {
            net,
            dial,
            url: &at,
            led_from,
            spec,
            standing,
            journey: &journey,
            deadline: trace.moved(deadline),
        };
        let answered = fetch(way, trace, step).await;
        let answered = answered.map_err(|halt| {
            if redirects > 0 {
                hop::led_nowhere(halt)
            } else {
                halt
            }
        });
        let mut response = answered.map_err(|halt| standing.without_words(halt))?;
        odd.extend(
            response
                .odd
                .drain(..)
                .map(|note| standing.note_without_words(note)),
        );
        let Some(location) = redirect_of(&response).filter(|_| spec.redirects.max > 0) else {
            break (response, standing);
        };
        if let Some(halt) = beyond_limit(spec, &response) {
            return Err(halt);
        }
        redirects += 1;
        trace.facts.borrow_mut().redirects = redirects;
        if redirects > spec.redirects.max {
            return Err(Halt::down(
                Cause::RedirectLimit,
                format!("more than {} redirects", spec.redirects.max),
            ));
        }
        if let Some(address) = trace.facts.borrow().address {
            journey.arrived(address);
        }
        cookies.keep(&response, &at);
        at = followed(&at, &location, spec.cross_origin)
            .map_err(|halt| standing.without_location(halt))?;
        let next = next_method(response.status, method);
        has_body &= next == method && response.status != 303;
        method = next;
    };
    trace
        .facts
        .borrow_mut()
        .findings
        .extend(odd.into_iter().map(Finding::odd));
    crate::kind::run::expect::within(trace, spec.expect.within)?;
    trace.facts.borrow_mut().final_url = (redirects > 0).then(|| at.to_string());
    judge(net, trace, spec, response, standing, at.as_str())
        .await
        .map_err(|halt| standing.without_words(halt))?;
    tls::expiring(net, trace, &spec.tls)
}

async fn fetch(way: Way<'_>, trace: &Trace, step: Step<'_>) -> Result<Response, Halt> {
    let Way { net, url, spec, .. } = way;
    let ask = Ask {
        method: step.method,
        keep: step.keep,
        limits: &spec.limits,
        reading: spec.reading,
        budget: &net.budget,
    };
    let (mut stream, second) = connected(way, trace, alpn(spec.version)).await?;
    if second {
        let (request, content) = request::second(url, spec, step)?;
        match Box::pin(http2::exchange(stream, trace, request, content, ask)).await {
            Ok(response) => return Ok(response),
            Err(http2::Failure::Halt(halt)) => return Err(way.ended_early(trace, halt)),
            Err(http2::Failure::Http11Required(halt)) if spec.version == HttpVersion::Http2 => {
                return Err(halt);
            }
            Err(http2::Failure::Http11Required(_)) => {
                trace.facts.borrow_mut().findings.push(Finding::odd(
                    "the peer offers HTTP/2 and then requires HTTP/1.1 (HTTP_1_1_REQUIRED)".into(),
                ));
                (stream, _) = Box::pin(connected(way, trace, alpn(HttpVersion::Http11))).await?;
            }
        }
    }
    let answered = http1::exchange(&mut stream, trace, &request::first(url, spec, step), ask).await;
    answered.map_err(|halt| way.ended_early(trace, halt))
}

/// How one hop is reached.
#[derive(Clone, Copy)]
struct Way<'w> {
    net: &'w Net,
    dial: &'w Dial,
    url: &'w Url,
    /// The config's host, where a redirect led here.
    led_from: Option<&'w str>,
    spec: &'w Arc<Http>,
    standing: HopOrigin,
    /// The hops before it.
    journey: &'w Journey,
    deadline: Instant,
}

impl Way<'_> {
    /// Where we had no certificate to show, a server that asked for one and left wanted it.
    fn ended_early(&self, trace: &Trace, halt: Halt) -> Halt {
        let shows_one = self.standing == HopOrigin::Own && self.spec.tls.client.is_some();
        if self.url.scheme() == "https" && !shows_one {
            peer::without_certificate(trace, halt)
        } else {
            halt
        }
    }
}

/// A connection for one request, and whether HTTP/2 is spoken over it.
async fn connected<'t>(
    way: Way<'_>,
    trace: &'t Trace,
    offered: &[&[u8]],
) -> Result<(Stream<'t>, bool), Halt> {
    let Way {
        net,
        dial,
        url,
        led_from,
        spec,
        standing,
        journey,
        deadline,
    } = way;
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let may = |address| journey.allows(spec.redirects.to, address);
    let stream = dial::connect_where(
        net,
        trace,
        dial,
        (Sought { host, led_from }, port),
        &may,
        deadline,
    )
    .await?;
    let prior = spec.version == HttpVersion::Http2;
    if url.scheme() != "https" {
        return Ok((Stream::Plain(stream), prior));
    }
    let of_hop = standing.tls(&spec.tls);
    let mut prepared = net
        .tls_of(spec, standing, &of_hop, alpn(spec.version))
        .map_err(|why| Halt::unmeasured(Reason::Internal, why))?;
    if offered != alpn(spec.version) {
        prepared = Arc::new(prepared.offering(offered));
    }
    let stream = Box::pin(tls::handshake(net, trace, &of_hop, &prepared, host, stream)).await;
    let stream = stream.map_err(|halt| peer::in_place_of_tls(trace, port, halt))?;
    let chosen = stream.get_ref().1.alpn_protocol();
    if chosen.is_some_and(|c| !offered.contains(&c)) {
        return Err(Halt::down(
            Cause::ProtocolError,
            "the server chose a protocol that was not offered",
        ));
    }
    let second = chosen == Some(b"h2") || (prior && chosen.is_none());
    Ok((Stream::Tls(Box::new(stream)), second))
}

/// What to offer in ALPN (RFC 7301).
pub fn alpn(version: HttpVersion) -> &'static [&'static [u8]] {
    match version {
        HttpVersion::Auto => &[b"h2", b"http/1.1"],
        HttpVersion::Http11 => &[b"http/1.1"],
        HttpVersion::Http2 => &[b"h2"],
    }
}
