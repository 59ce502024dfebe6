//! The http kind: request, redirects, response, expectations; HTTP/1.1 and HTTP/2, plain and over
//! TLS.

use std::sync::Arc;

use tokio::time::Instant;
use url::Url;

use super::HttpTarget;
use super::hop::{self, VisitedAddresses};
use super::judge::{beyond_limit, judge};
use super::redirect::{Cookies, next_method};
pub use super::redirect::{followed, redirect_of};
use super::request::{self, HopRequest};
use super::spec::{Compression, Http, HttpVersion};
use crate::config::plan::Dial;
use crate::kind::run::expect;
use crate::net::http_response::{Ask, Keep, Response};
use crate::net::origin::HopOrigin;
use crate::net::probe_error::ProbeError;
use crate::net::resolve::Sought;
use crate::net::shared::{AfterFailure, Net};
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
) -> Result<(), ProbeError> {
    let HttpTarget { url, spec, .. } = target;
    let mut chain = Chain::begin(url, spec);
    let mut odd = Vec::new();
    let keep = if expect::needs_body(&spec.expect) || spec.compression == Compression::Ask {
        Keep::Body
    } else {
        Keep::CountOnly
    };
    let (response, origin) = loop {
        let origin = HopOrigin::of(url, &chain.at);
        trace.at_stranger.set(origin == HopOrigin::Foreign);
        let for_here = chain.cookies.of(&chain.at);
        let hop = HopRequest {
            method: chain.method,
            origin,
            is_first: chain.redirects == 0,
            has_body: chain.has_body,
            keep,
            cookies: for_here.as_deref(),
        };
        let way = Way {
            net,
            dial,
            url: &chain.at,
            led_from: url.host_str().filter(|_| chain.redirects > 0),
            spec,
            origin,
            visited: &chain.visited,
            deadline: trace.moved(deadline),
        };
        let answered = fetch(way, trace, hop).await;
        let answered = answered.map_err(|err| {
            if chain.redirects > 0 {
                hop::led_nowhere(err)
            } else {
                err
            }
        });
        let mut response = answered.map_err(|err| origin.without_words(err))?;
        let notes = response.odd.drain(..);
        odd.extend(notes.map(|note| origin.note_without_words(note)));
        let Some(location) = redirect_of(&response).filter(|_| spec.redirects.max > 0) else {
            break (response, origin);
        };
        chain.follow(trace, &response, origin, &location)?;
    };
    trace
        .facts
        .borrow_mut()
        .findings
        .extend(odd.into_iter().map(Finding::odd));
    let final_url = (chain.redirects > 0).then(|| chain.at.to_string());
    // Apart, so that a probe that waits for its answer is small.
    let answer = (response, origin);
    Box::pin(expected((net, trace), spec, answer, &chain.at, final_url)).await
}

/// Holds an answer against what is expected of it: time, content, certificate. The first that is
/// not met is the cause.
async fn expected(
    (net, trace): (&Net, &Trace),
    spec: &Arc<Http>,
    (response, origin): (Response, HopOrigin),
    at: &Url,
    final_url: Option<String>,
) -> Result<(), ProbeError> {
    let stops = |result: &Result<(), ProbeError>| {
        result.is_err() && net.after_failure == AfterFailure::Stop
    };
    let in_time = expect::within(trace, spec.expect.within);
    if stops(&in_time) {
        return in_time;
    }
    trace.facts.borrow_mut().final_url = final_url;
    let judged = judge(net, trace, spec, response, origin, at.as_str())
        .await
        .map_err(|err| origin.without_words(err));
    if stops(&judged) {
        return judged;
    }
    in_time
        .and(judged)
        .and(tls::expiring(net, trace, &spec.tls))
}

/// Where a chain of redirects has come to, and what goes on with it.
struct Chain<'c> {
    spec: &'c Http,
    at: Url,
    method: &'c str,
    /// The body still belongs to the method.
    has_body: bool,
    cookies: Cookies,
    redirects: u32,
    visited: VisitedAddresses,
}

impl<'c> Chain<'c> {
    fn begin(url: &Url, spec: &'c Http) -> Self {
        Self {
            spec,
            at: url.clone(),
            method: &spec.method,
            has_body: true,
            cookies: Cookies::default(),
            redirects: 0,
            visited: VisitedAddresses::default(),
        }
    }

    /// Goes on to where a response leads, as far as the config allows it.
    fn follow(
        &mut self,
        trace: &Trace,
        response: &Response,
        origin: HopOrigin,
        location: &[u8],
    ) -> Result<(), ProbeError> {
        let spec = self.spec;
        if let Some(err) = beyond_limit(spec, response) {
            return Err(err);
        }
        self.redirects += 1;
        trace.facts.borrow_mut().redirects = self.redirects;
        if self.redirects > spec.redirects.max {
            return Err(ProbeError::down(
                Cause::RedirectLimit,
                format!("more than {} redirects", spec.redirects.max),
            ));
        }
        if let Some(address) = trace.facts.borrow().address {
            self.visited.arrived(address);
        }
        self.cookies.keep(response, &self.at);
        let to = followed(&self.at, location, spec.cross_origin)
            .map_err(|err| origin.without_location(err))?;
        if to.host_str() != self.at.host_str() {
            trace.came_to(to.host_str().unwrap_or_default());
        }
        self.at = to;
        let next = next_method(response.status, self.method);
        self.has_body &= next == self.method && response.status != 303;
        self.method = next;
        Ok(())
    }
}

async fn fetch(way: Way<'_>, trace: &Trace, hop: HopRequest<'_>) -> Result<Response, ProbeError> {
    let Way { net, url, spec, .. } = way;
    let ask = Ask {
        method: hop.method,
        keep: hop.keep,
        limits: &spec.limits,
        reading: spec.reading,
        memory: &net.memory,
    };
    let (mut stream, second) = connected(way, trace, alpn(spec.version)).await?;
    if second {
        let (request, content) = request::second(url, spec, hop)?;
        match Box::pin(http2::exchange(stream, trace, request, content, ask)).await {
            Ok(response) => return Ok(response),
            Err(http2::Failure::ProbeError(err)) => return Err(way.ended_early(trace, err)),
            Err(http2::Failure::Http11Required(err)) if spec.version == HttpVersion::Http2 => {
                return Err(err);
            }
            Err(http2::Failure::Http11Required(_)) => {
                trace.facts.borrow_mut().findings.push(Finding::odd(
                    "the peer offers HTTP/2 and then requires HTTP/1.1 (HTTP_1_1_REQUIRED)".into(),
                ));
                (stream, _) = Box::pin(connected(way, trace, alpn(HttpVersion::Http11))).await?;
            }
        }
    }
    let answered = http1::exchange(&mut stream, trace, &request::first(url, spec, hop), ask).await;
    answered.map_err(|err| way.ended_early(trace, err))
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
    origin: HopOrigin,
    /// The hops before it.
    visited: &'w VisitedAddresses,
    deadline: Instant,
}

impl Way<'_> {
    /// Where we had no certificate to show, a server that asked for one and left wanted it.
    fn ended_early(&self, trace: &Trace, err: ProbeError) -> ProbeError {
        let shows_one = self.origin == HopOrigin::Own && self.spec.tls.client.is_some();
        if self.url.scheme() == "https" && !shows_one {
            peer::without_certificate(trace, err)
        } else {
            err
        }
    }
}

/// A connection for one request, and whether HTTP/2 is spoken over it.
async fn connected<'t>(
    way: Way<'_>,
    trace: &'t Trace,
    offered: &[&[u8]],
) -> Result<(Stream<'t>, bool), ProbeError> {
    let Way {
        net,
        dial,
        url,
        led_from,
        spec,
        origin,
        visited,
        deadline,
    } = way;
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let may = |address| visited.allows(spec.redirects.to, address);
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
    let of_hop = origin.tls(&spec.tls);
    let mut prepared = net
        .tls_of(spec, origin, &of_hop, alpn(spec.version))
        .map_err(|why| ProbeError::unmeasured(Reason::Internal, why))?;
    if offered != alpn(spec.version) {
        prepared = Arc::new(prepared.offering(offered));
    }
    let stream = Box::pin(tls::handshake(net, trace, &of_hop, &prepared, host, stream)).await;
    let stream = stream.map_err(|err| peer::in_place_of_tls(trace, port, err))?;
    let chosen = stream.get_ref().1.alpn_protocol();
    if chosen.is_some_and(|c| !offered.contains(&c)) {
        return Err(ProbeError::down(
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
