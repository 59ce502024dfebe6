//! The http kind: request, redirects, response, expectations; HTTP/1.1 and HTTP/2, plain and over TLS.

mod judge;
mod redirect;
mod request;

use std::sync::Arc;

use tokio::time::Instant;
use url::Url;

use self::judge::{beyond_limit, judge};
use self::redirect::{Cookies, next_method};
pub use self::redirect::{followed, redirect_of};
use self::request::Step;
use super::super::halt::Halt;
use super::super::http1::{self, Ask, Keep, Response};
use super::super::net::{Net, alpn};
use super::super::stream::Stream;
use super::super::trace::Trace;
use super::super::{dial, http2, peer, tls};
use super::expect;
use crate::config::plan::Dial;
use crate::config::plan_probe::{Compression, Http, HttpVersion};
use crate::words::{Cause, Finding, Reason};

pub async fn probe(net: &Net, trace: &Trace, dial: &Dial, url: &Url, spec: &Arc<Http>, deadline: Instant) -> Result<(), Halt> {
    let result = unscrubbed(net, trace, dial, url, spec, deadline).await;
    // An endpoint may give back what it was sent.
    let mut facts = trace.facts.borrow_mut();
    facts.final_url = facts.final_url.take().map(|text| spec.mask.apply(text));
    for finding in &mut facts.findings {
        finding.found = spec.mask.apply(std::mem::take(&mut finding.found));
    }
    result.map_err(|halt| match halt {
        Halt::Down(cause, detail) => Halt::Down(cause, spec.mask.apply(detail)),
        Halt::Unmeasured(reason, detail) => Halt::Unmeasured(reason, spec.mask.apply(detail)),
    })
}

async fn unscrubbed(net: &Net, trace: &Trace, dial: &Dial, url: &Url, spec: &Arc<Http>, deadline: Instant) -> Result<(), Halt> {
    let mut at = url.clone();
    let mut method = spec.method.as_str();
    let mut has_body = true;
    let mut cookies = Cookies::default();
    let mut redirects = 0;
    let mut odd = Vec::new();
    let keep = if expect::needs_body(&spec.expect) || spec.compression == Compression::Ask { Keep::Body } else { Keep::CountOnly };
    let response = loop {
        let for_here = cookies.of(&at);
        let step = Step { method, same_origin: at.origin() == url.origin(), is_first: redirects == 0, has_body, keep, cookies: for_here.as_deref() };
        let mut response = fetch(net, trace, dial, &at, spec, step, deadline).await?;
        odd.append(&mut response.odd);
        let Some(location) = redirect_of(&response).filter(|_| spec.redirects > 0) else { break response };
        if let Some(halt) = beyond_limit(spec, &response) {
            return Err(halt);
        }
        redirects += 1;
        trace.facts.borrow_mut().redirects = redirects;
        if redirects > spec.redirects {
            return Err(Halt::down(Cause::RedirectLimit, format!("more than {} redirects", spec.redirects)));
        }
        cookies.keep(&response, &at);
        at = followed(&at, &location, spec.cross_origin)?;
        let next = next_method(response.status, method);
        has_body &= next == method && response.status != 303;
        method = next;
    };
    trace.facts.borrow_mut().findings.extend(odd.into_iter().map(Finding::odd));
    super::within(trace, spec.expect.within)?;
    trace.facts.borrow_mut().final_url = (redirects > 0).then(|| at.to_string());
    judge(net, trace, spec, response, at.as_str()).await?;
    tls::expiring(net, trace, &spec.tls)
}

async fn fetch(net: &Net, trace: &Trace, dial: &Dial, url: &Url, spec: &Arc<Http>, step: Step<'_>, deadline: Instant) -> Result<Response, Halt> {
    let ask = Ask { method: step.method, keep: step.keep, limits: &spec.limits, reading: spec.reading };
    let (mut stream, second) = connected(net, trace, dial, url, spec, alpn(spec.version), deadline).await?;
    if second {
        let (request, content) = request::second(url, spec, step)?;
        match Box::pin(http2::exchange(stream, trace, request, content, ask)).await {
            Ok(response) => return Ok(response),
            Err(http2::Failure::Halt(halt)) => return Err(ended_early(trace, url, spec, halt)),
            Err(http2::Failure::Http11Required(halt)) if spec.version == HttpVersion::Http2 => return Err(halt),
            Err(http2::Failure::Http11Required(_)) => {
                trace.facts.borrow_mut().findings.push(Finding::odd("the peer offers HTTP/2 and then requires HTTP/1.1 (HTTP_1_1_REQUIRED)".into()));
                (stream, _) = Box::pin(connected(net, trace, dial, url, spec, alpn(HttpVersion::Http11), deadline)).await?;
            }
        }
    }
    let answered = http1::exchange(&mut stream, trace, &request::first(url, spec, step), ask).await;
    answered.map_err(|halt| ended_early(trace, url, spec, halt))
}

/// Where we had no certificate to show, a server that asked for one and left wanted it.
fn ended_early(trace: &Trace, url: &Url, spec: &Http, halt: Halt) -> Halt {
    if url.scheme() == "https" && spec.tls.client.is_none() { peer::without_certificate(trace, halt) } else { halt }
}

/// A connection for one request, and whether HTTP/2 is spoken over it.
async fn connected<'t>(
    net: &Net,
    trace: &'t Trace,
    dial: &Dial,
    url: &Url,
    spec: &Arc<Http>,
    offered: &[&[u8]],
    deadline: Instant,
) -> Result<(Stream<'t>, bool), Halt> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let stream = dial::connect(net, trace, dial, host, port, deadline).await?;
    let prior = spec.version == HttpVersion::Http2;
    if url.scheme() != "https" {
        return Ok((Stream::Plain(stream), prior));
    }
    let mut prepared = net.http_tls(spec).map_err(|why| Halt::unmeasured(Reason::Internal, why))?;
    if offered != alpn(spec.version) {
        prepared = Arc::new(prepared.offering(offered));
    }
    let stream = Box::pin(tls::handshake(net, trace, &spec.tls, &prepared, host, stream)).await;
    let stream = stream.map_err(|halt| peer::in_place_of_tls(trace, port, halt))?;
    let chosen = stream.get_ref().1.alpn_protocol();
    if chosen.is_some_and(|c| !offered.contains(&c)) {
        return Err(Halt::down(Cause::ProtocolError, "the server chose a protocol that was not offered"));
    }
    let second = chosen == Some(b"h2") || (prior && chosen.is_none());
    Ok((Stream::Tls(Box::new(stream)), second))
}
