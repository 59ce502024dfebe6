//! The http kind: request, redirects, response, expectations; HTTP/1.1 and HTTP/2, plain and over TLS.

use std::sync::Arc;

use base64::Engine;
use bytes::Bytes;
use tokio::time::Instant;
use url::Url;

use super::super::halt::Halt;
use super::super::http1::{self, Keep, Response};
use super::super::net::{Net, alpn};
use super::super::stream::Stream;
use super::super::trace::Trace;
use super::super::{dial, http2, peer, tls};
use super::expect::{self, Verdicts};
use crate::config::plan::Dial;
use crate::config::plan_probe::{Auth, Compression, CrossOrigin, Http, HttpVersion};
use crate::config::secret::{MASK, MaybeSecret};
use crate::words::{Cause, Reason};

const USER_AGENT: &str = concat!("Probity/", env!("CARGO_PKG_VERSION"));
/// A redirect may not lead to a longer URL than this.
const URL_LIMIT: usize = 8192;
/// Larger bodies are held against their expectations off the probing thread.
const INLINE_BODY: u64 = 64 << 10;
/// The same for JSON, which costs more for each byte.
const INLINE_JSON: u64 = 4 << 10;

pub async fn probe(net: &Net, trace: &Trace, dial: &Dial, url: &Url, spec: &Arc<Http>, deadline: Instant) -> Result<(), Halt> {
    let result = unscrubbed(net, trace, dial, url, spec, deadline).await;
    let secrets = secrets(spec);
    if secrets.is_empty() {
        return result;
    }
    // An endpoint may give back what it was sent.
    let mut facts = trace.facts.borrow_mut();
    facts.final_url = facts.final_url.take().map(|text| scrubbed(text, &secrets));
    for finding in &mut facts.findings {
        finding.found = scrubbed(std::mem::take(&mut finding.found), &secrets);
    }
    result.map_err(|halt| match halt {
        Halt::Down(cause, detail) => Halt::Down(cause, scrubbed(detail, &secrets)),
        Halt::Unmeasured(reason, detail) => Halt::Unmeasured(reason, scrubbed(detail, &secrets)),
    })
}

/// Everything that a spec keeps secret, as it would show in a text.
fn secrets(spec: &Http) -> Vec<String> {
    let mut list: Vec<String> = spec.query.iter().map(|(_, value)| value.reveal().to_owned()).collect();
    match &spec.auth {
        Some(Auth::Basic { username, password }) => {
            list.push(base64::engine::general_purpose::STANDARD.encode(format!("{username}:{}", password.reveal())));
            list.push(password.reveal().to_owned());
        }
        Some(Auth::Bearer(token)) => list.push(token.reveal().to_owned()),
        None => {}
    }
    list.extend(spec.headers.iter().filter(|(_, v)| matches!(v, MaybeSecret::Secret(_))).map(|(_, v)| v.reveal().to_owned()));
    list.retain(|secret| secret.len() >= 4);
    list
}

fn scrubbed(text: String, secrets: &[String]) -> String {
    secrets.iter().fold(text, |text, secret| if text.contains(secret) { text.replace(secret, MASK) } else { text })
}

async fn unscrubbed(net: &Net, trace: &Trace, dial: &Dial, url: &Url, spec: &Arc<Http>, deadline: Instant) -> Result<(), Halt> {
    let mut at = url.clone();
    let mut method = spec.method.as_str();
    let mut redirects = 0;
    let keep = if expect::needs_body(&spec.expect) || spec.compression == Compression::Ask { Keep::Body } else { Keep::CountOnly };
    let response = loop {
        let same_origin = at.origin() == url.origin();
        let response = fetch(net, trace, dial, &at, spec, Fetch { method, same_origin, is_first: redirects == 0, keep }, deadline).await?;
        let Some(location) = redirect_of(&response).filter(|_| spec.redirects > 0) else { break response };
        redirects += 1;
        trace.facts.borrow_mut().redirects = redirects;
        if redirects > spec.redirects {
            return Err(Halt::down(Cause::RedirectLimit, format!("more than {} redirects", spec.redirects)));
        }
        at = followed(&at, &location, spec.cross_origin)?;
        if response.status == 303 || (matches!(response.status, 301 | 302) && method == "POST") {
            method = "GET";
        }
    };
    super::within(trace, spec.expect.within)?;
    trace.facts.borrow_mut().final_url = (redirects > 0).then(|| at.to_string());
    judge(trace, spec, response, at.as_str()).await?;
    tls::expiring(net, trace, &spec.tls)
}

/// How one request of the chain is made.
#[derive(Clone, Copy)]
struct Fetch<'m> {
    method: &'m str,
    /// Credentials go to the origin of the config only.
    same_origin: bool,
    is_first: bool,
    keep: Keep,
}

async fn fetch(net: &Net, trace: &Trace, dial: &Dial, url: &Url, spec: &Arc<Http>, how: Fetch<'_>, deadline: Instant) -> Result<Response, Halt> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let stream = dial::connect(net, trace, dial, host, port, deadline).await?;
    let mut second = spec.version == HttpVersion::Http2;
    let mut stream = if url.scheme() == "https" {
        let prepared = net.http_tls(spec).map_err(|why| Halt::unmeasured(Reason::Internal, why))?;
        let stream = Box::pin(tls::handshake(net, trace, &spec.tls, &prepared, host, stream)).await;
        let stream = stream.map_err(|halt| peer::in_place_of_tls(trace, port, halt))?;
        let chosen = stream.get_ref().1.alpn_protocol();
        if chosen.is_some_and(|c| !alpn(spec.version).contains(&c)) {
            return Err(Halt::down(Cause::ProtocolError, "the server chose a protocol that was not offered"));
        }
        second = chosen == Some(b"h2") || (second && chosen.is_none());
        Stream::Tls(Box::new(stream))
    } else {
        Stream::Plain(stream)
    };
    if second {
        let content = spec.body.clone().filter(|_| how.method == spec.method && how.same_origin).map(Bytes::from);
        let answered = Box::pin(http2::exchange(stream, trace, request2(url, spec, how)?, content, how.keep, &spec.limits)).await;
        return answered.map_err(|halt| ended_early(trace, url, spec, halt));
    }
    let answered = http1::exchange(&mut stream, trace, &request1(url, spec, how), how.method, how.keep, &spec.limits).await;
    answered.map_err(|halt| ended_early(trace, url, spec, halt))
}

/// Where we had no certificate to show, a server that asked for one and left wanted it.
fn ended_early(trace: &Trace, url: &Url, spec: &Http, halt: Halt) -> Halt {
    if url.scheme() == "https" && spec.tls.client.is_none() { peer::without_certificate(trace, halt) } else { halt }
}

/// The headers of a request, in order; secrets only for the origin of the config.
fn headers(spec: &Http, how: Fetch<'_>) -> Vec<(String, String)> {
    let mut list = Vec::new();
    let given = |name: &str| spec.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    if !given("user-agent") {
        list.push(("user-agent".into(), USER_AGENT.to_owned()));
    }
    if !given("accept") {
        list.push(("accept".into(), "*/*".to_owned()));
    }
    if spec.compression == Compression::Ask && !given("accept-encoding") {
        list.push(("accept-encoding".into(), "gzip, deflate, br".to_owned()));
    }
    if how.same_origin {
        match &spec.auth {
            Some(Auth::Basic { username, password }) => {
                let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{}", password.reveal()));
                list.push(("authorization".into(), format!("Basic {pair}")));
            }
            Some(Auth::Bearer(token)) => list.push(("authorization".into(), format!("Bearer {}", token.reveal()))),
            None => {}
        }
    }
    // What the config sends, it sends to the origin of the config: any of it may be a credential.
    if how.same_origin {
        list.extend(spec.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.reveal().to_owned())));
    }
    list
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn target(url: &Url, spec: &Http, how: Fetch<'_>) -> String {
    let mut url = url.clone();
    // A redirect's own query is taken as it is.
    if how.same_origin && how.is_first && !spec.query.is_empty() {
        url.query_pairs_mut().extend_pairs(spec.query.iter().map(|(name, value)| (name, value.reveal())));
    }
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

fn request1(url: &Url, spec: &Http, how: Fetch<'_>) -> Vec<u8> {
    let mut request = Vec::with_capacity(256);
    let list = headers(spec, how);
    request.extend_from_slice(format!("{} {} HTTP/1.1\r\n", how.method, target(url, spec, how)).as_bytes());
    if !list.iter().any(|(n, _)| n == "host") {
        request.extend_from_slice(format!("host: {}\r\n", authority(url)).as_bytes());
    }
    for (name, value) in &list {
        request.extend_from_slice(name.as_bytes());
        request.extend_from_slice(b": ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    let body = spec.body.as_deref().filter(|_| how.method == spec.method && how.same_origin);
    if let Some(body) = body {
        request.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    request.extend_from_slice(b"connection: close\r\n\r\n");
    request.extend_from_slice(body.unwrap_or_default().as_bytes());
    request
}

fn request2(url: &Url, spec: &Http, how: Fetch<'_>) -> Result<http::Request<()>, Halt> {
    let list = headers(spec, how);
    let host = list.iter().find(|(n, _)| n == "host").map_or_else(|| authority(url), |(_, v)| v.clone());
    let mut request =
        http::Request::builder().method(how.method).version(http::Version::HTTP_2).uri(format!("{}://{host}{}", url.scheme(), target(url, spec, how)));
    for (name, value) in list.iter().filter(|(n, _)| n != "host") {
        request = request.header(name.as_str(), value.as_bytes());
    }
    request.body(()).map_err(|e| Halt::unmeasured(Reason::Internal, format!("the request cannot be built: {e}")))
}

/// Where a response redirects to, if it does.
pub fn redirect_of(response: &Response) -> Option<Vec<u8>> {
    let moved = matches!(response.status, 301 | 302 | 303 | 307 | 308);
    response.values("location").next().filter(|_| moved).map(<[u8]>::to_vec)
}

/// The URL that a Location leads to from here, if it may be followed.
pub fn followed(from: &Url, location: &[u8], cross_origin: CrossOrigin) -> Result<Url, Halt> {
    let refused = |why: String| Halt::down(Cause::RedirectPolicy, why);
    let text = std::str::from_utf8(location).map_err(|_| refused("the Location is no text".into()))?;
    if text.len() > URL_LIMIT {
        return Err(refused(format!("the Location is longer than {URL_LIMIT} bytes")));
    }
    let to = from.join(text).map_err(|e| refused(format!("the Location \"{}\" is no URL: {e}", text.escape_debug())))?;
    if !matches!(to.scheme(), "http" | "https") || to.host_str().is_none() {
        return Err(refused(format!("the Location leads to {}:", to.scheme())));
    }
    if cross_origin == CrossOrigin::Refuse && to.origin() != from.origin() {
        return Err(refused(format!("the Location leads to another origin: {}", to.origin().ascii_serialization())));
    }
    Ok(to)
}

/// Holds the response against what is expected of it.
async fn judge(trace: &Trace, spec: &Arc<Http>, response: Response, final_url: &str) -> Result<(), Halt> {
    let mut verdicts = Verdicts::default();
    expect::head(&spec.expect, &response, final_url, &mut verdicts);
    let mut undecodable = None;
    if verdicts.first_unmet.is_none() && (expect::needs_body(&spec.expect) || spec.compression == Compression::Ask) {
        let spec = spec.clone();
        let inline = if spec.expect.json.is_some() { INLINE_JSON } else { INLINE_BODY };
        let is_encoded = response.values("content-encoding").next().is_some();
        let work = move || {
            let mut verdicts = verdicts;
            let read = if expect::needs_body(&spec.expect) {
                expect::decoded(&response, &spec.limits).map(|body| expect::body(&spec.expect, &body, &mut verdicts))
            } else {
                expect::decodable(&response, &spec.limits)
            };
            (verdicts, read.err())
        };
        // A compressed body may be far larger than what was transferred.
        let is_small = trace.facts.borrow().body_bytes.is_none_or(|bytes| bytes <= inline) && !is_encoded;
        (verdicts, undecodable) =
            if is_small { work() } else { tokio::task::spawn_blocking(work).await.map_err(|e| Halt::unmeasured(Reason::Internal, e.to_string()))? };
    }
    trace.facts.borrow_mut().findings.append(&mut verdicts.findings);
    match undecodable.or(verdicts.first_unmet) {
        Some(halt) => Err(halt),
        None => Ok(()),
    }
}
