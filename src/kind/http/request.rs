//! The requests of a probe: what of the config goes into each, and as which bytes.
//!
//! Names go out as the config writes them. Secrets go to the origin of the config only, and so does
//! the body, which may hold some; plain headers go wherever a redirect leads. Buffers that held a
//! secret are wiped, and none grows, which would leave a copy.

use base64::Engine;
use bytes::Bytes;
use url::Url;
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use super::spec::{Auth, Compression, Http, USER_AGENT, is_of_connection};
use crate::config::document::secret::{MaybeSecret, Secret};
use crate::net::http_response::Keep;
use crate::net::origin::HopOrigin;
use crate::net::probe_error::ProbeError;
use crate::words::Reason;

const CODINGS: &str = "gzip, deflate, br, zstd";

/// How one request of a chain is made.
#[derive(Clone, Copy)]
pub struct HopRequest<'m> {
    pub method: &'m str,
    /// Secrets go to the origin of the config only.
    pub origin: HopOrigin,
    pub is_first: bool,
    /// The method was not changed on the way, so that the body still belongs to it.
    pub has_body: bool,
    pub keep: Keep,
    /// Those that were set on the way, for this URL.
    pub cookies: Option<&'m str>,
}

impl HopRequest<'_> {
    fn is_own(&self) -> bool {
        self.origin == HopOrigin::Own
    }

    /// What is sent as the body. A method that wants one says so when there is none (RFC 9110
    /// section 8.6).
    pub fn content<'s>(&self, spec: &'s Http) -> Option<&'s str> {
        let body = spec
            .body
            .as_ref()
            .map(|body| body.0.reveal())
            .filter(|_| self.has_body && self.is_own());
        body.or_else(|| matches!(self.method, "POST" | "PUT" | "PATCH").then_some(""))
    }

    fn sends(&self, name: &str, value: &MaybeSecret, spec: &Http) -> bool {
        let is_secret = matches!(value, MaybeSecret::Secret(_));
        // A name for the origin of the config is none for another; a body that stays behind is not
        // described.
        let stays = is_secret || name.eq_ignore_ascii_case("host");
        let leaves_body = spec.body.is_some() && !(self.has_body && self.is_own());
        let describes_body =
            name.len() > 8 && name.as_bytes()[..8].eq_ignore_ascii_case(b"content-");
        (self.is_own() || !stays) && !(leaves_body && describes_body)
    }
}

/// The value of a header.
enum SentValue<'s> {
    Given(&'s str),
    Secret(&'s str),
    /// Made for this request, perhaps of a secret.
    Made(Zeroizing<String>),
}

impl SentValue<'_> {
    fn text(&self) -> &str {
        match self {
            SentValue::Given(text) | SentValue::Secret(text) => text,
            SentValue::Made(text) => text,
        }
    }

    fn is_secret(&self) -> bool {
        match self {
            SentValue::Given(_) => false,
            SentValue::Secret(_) | SentValue::Made(_) => true,
        }
    }
}

/// Texts one after the other, in a buffer that never grew.
fn joined(parts: &[&str]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(
        parts.iter().map(|part| part.len()).sum(),
    ));
    parts.iter().for_each(|part| text.push_str(part));
    text
}

/// The headers of a request but Host, in order.
fn headers<'s>(spec: &'s Http, hop: HopRequest<'s>) -> Vec<(&'s str, SentValue<'s>)> {
    let mut list: Vec<(&str, SentValue)> = Vec::with_capacity(spec.headers.len() + 4);
    let own = || {
        spec.headers.iter().filter(|(name, value)| {
            !name.eq_ignore_ascii_case("host") && hop.sends(name, value, spec)
        })
    };
    let given = |name: &str| own().any(|(n, _)| n.eq_ignore_ascii_case(name));
    if !given("user-agent") {
        list.push(("User-Agent", SentValue::Given(USER_AGENT)));
    }
    if !given("accept") {
        list.push(("Accept", SentValue::Given("*/*")));
    }
    if spec.compression == Compression::Ask && !given("accept-encoding") {
        list.push(("Accept-Encoding", SentValue::Given(CODINGS)));
    }
    match spec.auth.as_ref().filter(|_| hop.is_own()) {
        Some(Auth::Basic { username, password }) => {
            let pair =
                Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(&*joined(&[
                    username,
                    ":",
                    password.reveal(),
                ])));
            list.push(("Authorization", SentValue::Made(joined(&["Basic ", &pair]))));
        }
        Some(Auth::Bearer(token)) => list.push((
            "Authorization",
            SentValue::Made(joined(&["Bearer ", token.reveal()])),
        )),
        None => {}
    }
    for (name, value) in own() {
        let sent = match (
            hop.cookies.filter(|_| name.eq_ignore_ascii_case("cookie")),
            value,
        ) {
            (Some(set), value) => SentValue::Made(joined(&[value.reveal(), "; ", set])),
            (None, MaybeSecret::Secret(secret)) => SentValue::Secret(secret.reveal()),
            (None, MaybeSecret::Plain(text)) => SentValue::Given(text),
        };
        list.push((name, sent));
    }
    if let Some(set) = hop.cookies.filter(|_| !given("cookie")) {
        list.push(("Cookie", SentValue::Given(set)));
    }
    list
}

/// The Host that the config names for its own origin, and how it writes that header's name.
fn own_host<'s>(spec: &'s Http, hop: HopRequest<'_>) -> Option<(&'s str, &'s str)> {
    let found = spec
        .headers
        .iter()
        .filter(|_| hop.is_own())
        .find(|(name, _)| name.eq_ignore_ascii_case("host"));
    found.map(|(name, value)| (name.as_str(), value.reveal()))
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn target(url: &Url, spec: &Http, hop: HopRequest<'_>) -> Zeroizing<String> {
    // A redirect's own query is taken as it is.
    let secrets: &[(String, Secret)] = if hop.is_own() && hop.is_first {
        &spec.query
    } else {
        &[]
    };
    // Each byte of them is three characters at most.
    let most: usize = secrets
        .iter()
        .map(|(name, value)| 3 * (name.len() + value.reveal().len()) + 2)
        .sum();
    let mut target = Zeroizing::new(String::with_capacity(
        url.path().len() + url.query().map_or(0, str::len) + 1 + most,
    ));
    target.push_str(url.path());
    if url.query().is_some() || !secrets.is_empty() {
        target.push('?');
    }
    target.push_str(url.query().unwrap_or_default());
    for (name, value) in secrets {
        if !target.ends_with('?') {
            target.push('&');
        }
        target.extend(byte_serialize(name.as_bytes()));
        target.push('=');
        target.extend(byte_serialize(value.reveal().as_bytes()));
    }
    target
}

/// Over HTTP/1.1.
pub fn first(url: &Url, spec: &Http, hop: HopRequest<'_>) -> Zeroizing<Vec<u8>> {
    let (target, headers, authority) = (target(url, spec, hop), headers(spec, hop), authority(url));
    let content = hop.content(spec);
    let length = content.map(|body| body.len().to_string());
    let mut parts = vec![hop.method, " ", &target, " HTTP/1.1\r\n"];
    match own_host(spec, hop) {
        Some((name, host)) => parts.extend([name, ": ", host, "\r\n"]),
        None => parts.extend(["Host: ", &authority, "\r\n"]),
    }
    for (name, value) in &headers {
        parts.extend([name, ": ", value.text(), "\r\n"]);
    }
    if let Some(length) = &length {
        parts.extend(["Content-Length: ", length, "\r\n"]);
    }
    parts.extend(["Connection: close\r\n\r\n", content.unwrap_or_default()]);
    Zeroizing::new(std::mem::take(&mut *joined(&parts)).into_bytes())
}

/// Over HTTP/2, where names are in small letters. The library keeps no copy of a secret in its
/// table of headers; the others are its own.
pub fn second(
    url: &Url,
    spec: &Http,
    hop: HopRequest<'_>,
) -> Result<(http::Request<()>, Option<Bytes>), ProbeError> {
    let refused = |e: String| {
        ProbeError::unmeasured(
            Reason::Internal,
            format!("the request cannot be built: {e}"),
        )
    };
    let host = own_host(spec, hop).map_or_else(|| authority(url), |(_, host)| host.to_owned());
    let uri = joined(&[url.scheme(), "://", &host, &target(url, spec, hop)]);
    let mut request = http::Request::builder()
        .method(hop.method)
        .version(http::Version::HTTP_2)
        .uri(uri.as_str());
    for (name, value) in headers(spec, hop) {
        // Blanks around a value are none of it in HTTP/1.1, and forbidden here (RFC 9113 section
        // 8.2.1).
        let text = value.text().trim_matches([' ', '\t']);
        if is_of_connection(name, text) {
            continue;
        }
        let mut sent =
            http::HeaderValue::from_bytes(text.as_bytes()).map_err(|e| refused(e.to_string()))?;
        sent.set_sensitive(value.is_secret());
        request = request.header(name, sent);
    }
    let content = hop.content(spec);
    if let Some(body) = content {
        request = request.header("content-length", body.len());
    }
    let request = request.body(()).map_err(|e| refused(e.to_string()))?;
    Ok((
        request,
        content
            .filter(|c| !c.is_empty())
            .map(|c| Bytes::from_owner(Zeroizing::new(c.as_bytes().to_vec()))),
    ))
}
