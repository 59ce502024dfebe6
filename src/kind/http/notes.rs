//! What `probity check` notes of an http probe: requests that a server may refuse, or that HTTP/2
//! changes.

use url::Url;

use super::spec::{Http, HttpVersion, is_of_connection};
use crate::kind::target::Note;

pub fn notes(url: &Url, spec: &Http) -> Vec<Note> {
    with_body(spec)
        .into_iter()
        .chain(with_header(url, spec))
        .collect()
}

fn with_body(spec: &Http) -> Option<Note> {
    if spec.body.is_none() || !matches!(spec.method.as_str(), "GET" | "HEAD") {
        return None;
    }
    Some(Note::new("GET with a body", ["sends", "send"], |verb| {
        format!(
            "{verb} a GET or HEAD request with a body: some servers refuse it (lighttpd answers \
                400); set probe.http.method = \"POST\", or remove probe.http.body"
        )
    }))
}

/// A header that HTTP/2 forbids, where it may be spoken.
fn with_header(url: &Url, spec: &Http) -> Option<Note> {
    let may_speak_it = match spec.version {
        HttpVersion::Auto => url.scheme() == "https",
        HttpVersion::Http11 => false,
        HttpVersion::Http2 => true,
    };
    let (name, _) = spec
        .headers
        .iter()
        .filter(|_| may_speak_it)
        .find(|(name, value)| is_of_connection(name, value.reveal().trim()))?;
    Some(Note::new("header of HTTP/1.1", ["has", "have"], |verb| {
        format!(
            "{verb} a header that HTTP/2 forbids (RFC 9113, 8.2.2): `{name}` is left out of \
                requests over HTTP/2"
        )
    }))
}
