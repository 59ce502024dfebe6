//! The requests of a probe: what of the config goes into each, and as which bytes.
//!
//! Names go out as the config writes them. Secrets go to the origin of the config only, and so does the body, which may hold
//! some; plain headers go wherever a redirect leads.

use base64::Engine;
use bytes::Bytes;
use url::Url;

use super::super::super::halt::Halt;
use super::super::super::http1::Keep;
use super::hop::Standing;
use crate::config::plan_probe::{Auth, Compression, Http};
use crate::config::secret::MaybeSecret;
use crate::words::Reason;

const USER_AGENT: &str = concat!("Probity/", env!("CARGO_PKG_VERSION"));
const CODINGS: &str = "gzip, deflate, br, zstd";

/// How one request of a chain is made.
#[derive(Clone, Copy)]
pub struct Step<'m> {
    pub method: &'m str,
    /// Secrets go to the origin of the config only.
    pub standing: Standing,
    pub is_first: bool,
    /// The method was not changed on the way, so that the body still belongs to it.
    pub has_body: bool,
    pub keep: Keep,
    /// Those that were set on the way, for this URL.
    pub cookies: Option<&'m str>,
}

impl Step<'_> {
    fn is_own(&self) -> bool {
        self.standing == Standing::Own
    }

    /// What is sent as the body. A method that wants one says so when there is none (RFC 9110 section 8.6).
    pub fn content<'s>(&self, spec: &'s Http) -> Option<&'s str> {
        let body = spec.body.as_ref().map(|body| body.0.reveal()).filter(|_| self.has_body && self.is_own());
        body.or_else(|| matches!(self.method, "POST" | "PUT" | "PATCH").then_some(""))
    }

    fn sends(&self, name: &str, value: &MaybeSecret, spec: &Http) -> bool {
        let is_secret = matches!(value, MaybeSecret::Secret(_));
        // A name for the origin of the config is none for another; a body that stays behind is not described.
        let stays = is_secret || name.eq_ignore_ascii_case("host");
        let leaves_body = spec.body.is_some() && !(self.has_body && self.is_own());
        let describes_body = name.len() > 8 && name.as_bytes()[..8].eq_ignore_ascii_case(b"content-");
        (self.is_own() || !stays) && !(leaves_body && describes_body)
    }
}

/// The headers of a request but Host, in order.
fn headers<'s>(spec: &'s Http, step: Step<'s>) -> Vec<(&'s str, std::borrow::Cow<'s, str>)> {
    let mut list: Vec<(&str, std::borrow::Cow<str>)> = Vec::with_capacity(spec.headers.len() + 4);
    let own = || spec.headers.iter().filter(|(name, value)| !name.eq_ignore_ascii_case("host") && step.sends(name, value, spec));
    let given = |name: &str| own().any(|(n, _)| n.eq_ignore_ascii_case(name));
    if !given("user-agent") {
        list.push(("User-Agent", USER_AGENT.into()));
    }
    if !given("accept") {
        list.push(("Accept", "*/*".into()));
    }
    if spec.compression == Compression::Ask && !given("accept-encoding") {
        list.push(("Accept-Encoding", CODINGS.into()));
    }
    match spec.auth.as_ref().filter(|_| step.is_own()) {
        Some(Auth::Basic { username, password }) => {
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{}", password.reveal()));
            list.push(("Authorization", format!("Basic {pair}").into()));
        }
        Some(Auth::Bearer(token)) => list.push(("Authorization", format!("Bearer {}", token.reveal()).into())),
        None => {}
    }
    for (name, value) in own() {
        match step.cookies.filter(|_| name.eq_ignore_ascii_case("cookie")) {
            Some(set) => list.push((name, format!("{}; {set}", value.reveal()).into())),
            None => list.push((name, value.reveal().into())),
        }
    }
    if let Some(set) = step.cookies.filter(|_| !given("cookie")) {
        list.push(("Cookie", set.into()));
    }
    list
}

/// The Host that the config names for its own origin, and how it writes that header's name.
fn own_host<'s>(spec: &'s Http, step: Step<'_>) -> Option<(&'s str, &'s str)> {
    let found = spec.headers.iter().filter(|_| step.is_own()).find(|(name, _)| name.eq_ignore_ascii_case("host"));
    found.map(|(name, value)| (name.as_str(), value.reveal()))
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn target(url: &Url, spec: &Http, step: Step<'_>) -> String {
    let mut url = std::borrow::Cow::Borrowed(url);
    // A redirect's own query is taken as it is.
    if step.is_own() && step.is_first && !spec.query.is_empty() {
        url.to_mut().query_pairs_mut().extend_pairs(spec.query.iter().map(|(name, value)| (name, value.reveal())));
    }
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

/// Over HTTP/1.1.
pub fn first(url: &Url, spec: &Http, step: Step<'_>) -> Vec<u8> {
    let mut request = Vec::with_capacity(256);
    let mut line = |parts: &[&str]| parts.iter().for_each(|part| request.extend_from_slice(part.as_bytes()));
    line(&[step.method, " ", &target(url, spec, step), " HTTP/1.1\r\n"]);
    match own_host(spec, step) {
        Some((name, host)) => line(&[name, ": ", host, "\r\n"]),
        None => line(&["Host: ", &authority(url), "\r\n"]),
    }
    for (name, value) in headers(spec, step) {
        line(&[name, ": ", &value, "\r\n"]);
    }
    let content = step.content(spec);
    if let Some(body) = content {
        line(&["Content-Length: ", &body.len().to_string(), "\r\n"]);
    }
    line(&["Connection: close\r\n\r\n", content.unwrap_or_default()]);
    request
}

/// Over HTTP/2, where names are in small letters.
pub fn second(url: &Url, spec: &Http, step: Step<'_>) -> Result<(http::Request<()>, Option<Bytes>), Halt> {
    let host = own_host(spec, step).map_or_else(|| authority(url), |(_, host)| host.to_owned());
    let mut request =
        http::Request::builder().method(step.method).version(http::Version::HTTP_2).uri(format!("{}://{host}{}", url.scheme(), target(url, spec, step)));
    for (name, value) in headers(spec, step) {
        request = request.header(name, value.as_bytes());
    }
    let content = step.content(spec);
    if let Some(body) = content {
        request = request.header("content-length", body.len());
    }
    let request = request.body(()).map_err(|e| Halt::unmeasured(Reason::Internal, format!("the request cannot be built: {e}")))?;
    Ok((request, content.filter(|c| !c.is_empty()).map(|c| Bytes::copy_from_slice(c.as_bytes()))))
}
