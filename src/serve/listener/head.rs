//! The head of a request, from bytes: whole, unfinished, or why it is refused. Pure; fuzzed by
//! `requests`.
//!
//! Strict where a proxy before us could read another request than we do: one Host, no
//! Transfer-Encoding, one Content-Length, no line folding.

use axum::http::uri::{Authority, Uri};
use axum::http::{HeaderName, HeaderValue, Method, Request, Version, header};

use super::refusal::Refusal;

/// The largest head, with its line of request.
pub const MOST_HEAD: usize = 16 << 10;
/// The longest target.
pub const MOST_TARGET: usize = 8 << 10;
const MOST_HEADERS: usize = 100;
/// No route reads a body; a small one is thrown away.
const MOST_BODY: usize = 64 << 10;
/// The longest method that is known, with its blank.
const MOST_METHOD: usize = 24;

/// A whole head.
#[derive(Debug)]
pub struct Head {
    pub request: Request<()>,
    /// Of the head in bytes.
    pub length: usize,
    /// Of the body that follows it in bytes.
    pub body: usize,
    pub after: After,
}

/// What becomes of the connection after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    Keep,
    Close,
}

/// The first head in `bytes`; nothing while it is unfinished.
pub fn head(bytes: &[u8]) -> Result<Option<Head>, Refusal> {
    first_bytes(bytes)?;
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(&bytes[..bytes.len().min(MOST_HEAD)]) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return unfinished(bytes).map(|()| None),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadSize),
        Err(_) => return Err(Refusal::Malformed),
    };
    let target = parsed.path.unwrap_or_default();
    if target.len() > MOST_TARGET {
        return Err(Refusal::TargetSize);
    }
    let mut request = Request::new(());
    *request.method_mut() = parsed
        .method
        .unwrap_or_default()
        .parse()
        .map_err(|_| Refusal::Malformed)?;
    *request.uri_mut() = uri(request.method(), target)?;
    *request.version_mut() = if parsed.version == Some(0) {
        Version::HTTP_10
    } else {
        Version::HTTP_11
    };
    for h in parsed.headers.iter() {
        let name = HeaderName::from_bytes(h.name.as_bytes()).map_err(|_| Refusal::Malformed)?;
        let value = HeaderValue::from_bytes(h.value).map_err(|_| Refusal::Malformed)?;
        request.headers_mut().append(name, value);
    }
    let (body, after) = (body(&request)?, after(&request)?);
    Ok(Some(Head {
        request,
        length,
        body,
        after,
    }))
}

/// What other protocols begin with, told apart before a whole line is there.
fn first_bytes(bytes: &[u8]) -> Result<(), Refusal> {
    const PREFACE: &[u8] = b"PRI * HTTP/2";
    let is_blank = |byte: &u8| matches!(byte, b'\r' | b'\n');
    match bytes.iter().find(|byte| !is_blank(byte)) {
        // A handshake record; SSL 2.0 began with its length, whose first bit is set.
        Some(0x16 | 0x80..=0xff) => Err(Refusal::Tls),
        _ if bytes.starts_with(PREFACE) => Err(Refusal::Http2),
        Some(first) if !first.is_ascii_alphabetic() => Err(Refusal::Malformed),
        _ => Ok(()),
    }
}

/// Whether an unfinished head may still become one that is small enough.
fn unfinished(bytes: &[u8]) -> Result<(), Refusal> {
    let has_line = bytes
        .iter()
        .skip_while(|b| matches!(b, b'\r' | b'\n'))
        .any(|b| *b == b'\n');
    match bytes.len() {
        length if length > MOST_TARGET + MOST_METHOD && !has_line => Err(Refusal::TargetSize),
        length if length >= MOST_HEAD => Err(Refusal::HeadSize),
        _ => Ok(()),
    }
}

fn uri(method: &Method, target: &str) -> Result<Uri, Refusal> {
    let is_known_form = target.starts_with('/')
        || target.starts_with("http://")
        || target == "*" && method == Method::OPTIONS;
    if !is_known_form || method == Method::CONNECT {
        return Err(Refusal::Malformed);
    }
    target.parse().map_err(|_| Refusal::Malformed)
}

/// The length of the body, which is known from the head or refused.
fn body(request: &Request<()>) -> Result<usize, Refusal> {
    let headers = request.headers();
    if headers.contains_key(header::TRANSFER_ENCODING) || headers.contains_key(header::EXPECT) {
        return Err(Refusal::Body);
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else {
        return Ok(0);
    };
    let digits = length.as_bytes();
    if lengths.next().is_some() || digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::Malformed);
    }
    let length = length
        .to_str()
        .ok()
        .and_then(|text| text.parse::<usize>().ok());
    length
        .filter(|length| *length <= MOST_BODY)
        .ok_or(Refusal::Body)
}

/// A request of HTTP/1.1 names one host; connections of HTTP/1.0 end with the answer.
fn after(request: &Request<()>) -> Result<After, Refusal> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    let is_host =
        |value: &HeaderValue| value.is_empty() || Authority::try_from(value.as_bytes()).is_ok();
    let is_1_1 = request.version() == Version::HTTP_11;
    if more.is_some() || host.is_none() && is_1_1 || host.is_some_and(|host| !is_host(host)) {
        return Err(Refusal::Malformed);
    }
    let mut options = request
        .headers()
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','));
    let closes = options.any(|option| option.trim().eq_ignore_ascii_case("close"));
    Ok(if is_1_1 && !closes {
        After::Keep
    } else {
        After::Close
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: impl AsRef<[u8]>) -> Refusal {
        head(bytes.as_ref()).expect_err("refused")
    }

    fn whole(text: &str) -> Head {
        head(text.as_bytes())
            .unwrap_or_else(|refusal| panic!("{refusal:?}: {text}"))
            .unwrap_or_else(|| panic!("unfinished: {text}"))
    }

    #[test]
    fn a_head_is_read_with_what_follows_it_left_where_it_is() {
        let text = "GET /metrics?collect[]=state HTTP/1.1\r\nHost: a:1\r\nAccept: x\r\n\r\n";
        let head = whole(&format!("{text}GET / HTTP/1.1\r\n"));
        assert_eq!(
            (head.length, head.body, head.after),
            (text.len(), 0, After::Keep)
        );
        assert_eq!(head.request.uri(), "/metrics?collect[]=state");
        assert_eq!(head.request.headers()["accept"], "x");
        assert_eq!(
            whole("GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n")
                .request
                .uri()
                .path(),
            "/x"
        );
        assert_eq!(
            whole("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").after,
            After::Keep
        );
        assert_eq!(
            whole("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n").after,
            After::Close
        );
        assert_eq!(whole("GET / HTTP/1.0\r\n\r\n").after, After::Close);
        assert_eq!(
            whole("POST /-/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n").body,
            7
        );
    }

    #[test]
    fn every_beginning_of_a_head_is_unfinished() {
        let text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for end in 0..text.len() {
            assert!(matches!(head(&text.as_bytes()[..end]), Ok(None)), "{end}");
        }
    }

    #[test]
    fn other_protocols_are_told_by_their_first_bytes() {
        assert_eq!(refused([0x16, 3, 1, 2, 0]), Refusal::Tls);
        assert_eq!(refused([0x80, 46, 1, 3, 1]), Refusal::Tls);
        assert_eq!(refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Refusal::Http2);
        assert_eq!(refused("SSH-2.0-OpenSSH_9.2\r\n"), Refusal::Malformed);
        assert_eq!(refused([0, 0, 0]), Refusal::Malformed);
    }

    #[test]
    fn a_head_and_its_target_have_a_size() {
        let long = |n: usize| "a".repeat(n);
        assert!(
            head(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(MOST_TARGET - 1)).as_bytes())
                .is_ok_and(|h| h.is_some())
        );
        assert_eq!(
            refused(format!(
                "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n",
                long(MOST_TARGET)
            )),
            Refusal::TargetSize
        );
        assert_eq!(
            refused(format!("GET /{}", long(MOST_TARGET + MOST_METHOD))),
            Refusal::TargetSize
        );
        let head_of = |n: usize| {
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
                long(n - "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len())
            )
        };
        assert!(head(head_of(MOST_HEAD).as_bytes()).is_ok_and(|h| h.is_some()));
        assert_eq!(refused(head_of(MOST_HEAD + 1)), Refusal::HeadSize);
        assert_eq!(
            refused(format!(
                "GET / HTTP/1.1\r\n{}",
                "A: b\r\n".repeat(101) + "\r\n"
            )),
            Refusal::HeadSize
        );
    }

    #[test]
    fn what_two_servers_could_read_in_two_ways_is_refused() {
        for (lines, expected) in [
            ("", Refusal::Malformed),
            ("Host: a\r\nHost: b\r\n", Refusal::Malformed),
            ("Host: a b\r\n", Refusal::Malformed),
            ("Host: a\r\nX : y\r\n", Refusal::Malformed),
            ("Host: a\r\nX: y\r\n z\r\n", Refusal::Malformed),
            (
                "Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
                Refusal::Malformed,
            ),
            ("Host: a\r\nContent-Length: +1\r\n", Refusal::Malformed),
            ("Host: a\r\nContent-Length: 1, 1\r\n", Refusal::Malformed),
            ("Host: a\r\nContent-Length: 65537\r\n", Refusal::Body),
            (
                "Host: a\r\nContent-Length: 99999999999999999999999\r\n",
                Refusal::Body,
            ),
            ("Host: a\r\nTransfer-Encoding: chunked\r\n", Refusal::Body),
            (
                "Host: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n",
                Refusal::Body,
            ),
        ] {
            assert_eq!(
                refused(format!("GET / HTTP/1.1\r\n{lines}\r\n")),
                expected,
                "{lines}"
            );
        }
        for line in [
            "GET a HTTP/1.1",
            "CONNECT a:1 HTTP/1.1",
            "GET * HTTP/1.1",
            "GET /",
            "GET / HTTP/1.2",
            "GET  / HTTP/1.1",
            "G@T / HTTP/1.1",
        ] {
            assert_eq!(
                refused(format!("{line}\r\nHost: a\r\n\r\n")),
                Refusal::Malformed,
                "{line}"
            );
        }
    }
}
