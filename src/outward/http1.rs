//! One HTTP/1.1 exchange over a connected stream: a request out, a bounded response in (RFC 9112).
//!
//! The framing is our own because it is what is measured: every way in which a server breaks it has its own cause,
//! nothing is buffered beyond its limit, and the first byte is stamped where it is read. Heads are parsed by httparse.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::halt::{Halt, stream_error};
use super::trace::{Stage, Trace};
use crate::config::plan_probe::{HEADER_COUNT_LIMIT, INTERIM_LIMIT, Limits};
use crate::words::Cause;

const READ_START: usize = 2048;
const CHUNK_LINE_LIMIT: usize = 1024;

/// A response as it came: header values are bytes, as servers send what they like.
#[derive(Debug, Default)]
pub struct Response {
    pub status: u16,
    pub version: &'static str,
    /// Names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// As transferred; kept only when asked for.
    pub body: Vec<u8>,
    pub body_bytes: u64,
}

impl Response {
    /// All values of a header.
    pub fn values<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_slice())
    }
}

/// Whether the body is needed after it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Body,
    CountOnly,
}

/// How the body ends.
#[derive(Debug, PartialEq, Eq)]
enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

/// Sends `request` and reads the response to its end.
pub async fn exchange<S>(stream: &mut S, trace: &Trace, request: &[u8], method: &str, keep: Keep, limits: &Limits) -> Result<Response, Halt>
where
    S: AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    trace.enter(Stage::Request);
    stream.write_all(request).await.map_err(|e| stream_error(&e, Cause::ConnectReset))?;
    stream.flush().await.map_err(|e| stream_error(&e, Cause::ConnectReset))?;
    trace.enter(Stage::FirstByte);
    let mut input = Input { stream, trace, buffer: Vec::new(), at: 0, first: true };
    let mut response = read_head(&mut input, limits).await?;
    let framing = framing(&response, method)?;
    trace.facts.borrow_mut().http_status = Some(response.status);
    trace.facts.borrow_mut().http_version = Some(response.version);
    let mut body = Body { keep, limit: limits.body, kept: Vec::new(), count: 0 };
    let result = read_body(&mut input, framing, &mut body, limits).await;
    trace.facts.borrow_mut().body_bytes = Some(body.count);
    result?;
    trace.enter(Stage::Idle);
    response.body = body.kept;
    response.body_bytes = body.count;
    Ok(response)
}

/// What was read and not yet used.
struct Input<'s, S> {
    stream: &'s mut S,
    trace: &'s Trace,
    buffer: Vec<u8>,
    at: usize,
    first: bool,
}

impl<S: AsyncRead + Unpin> Input<'_, S> {
    fn unread(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Reads more; false at the end of the stream.
    async fn more(&mut self) -> Result<bool, Halt> {
        if self.at == self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
        } else if self.at > 16_384 {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        self.buffer.reserve(READ_START);
        let room = (self.buffer.capacity() - self.buffer.len()).min(16_384);
        let count = self.stream.take(room as u64).read_buf(&mut self.buffer).await.map_err(|e| stream_error(&e, Cause::HttpTruncated))?;
        if self.first && count > 0 {
            self.first = false;
            self.trace.enter(Stage::Transfer);
        }
        Ok(count > 0)
    }
}

async fn read_head<S: AsyncRead + Unpin>(input: &mut Input<'_, S>, limits: &Limits) -> Result<Response, Halt> {
    for _ in 0..=INTERIM_LIMIT {
        let response = read_one_head(input, limits).await?;
        if response.status == 101 || response.status >= 200 {
            return Ok(response);
        }
    }
    Err(Halt::down(Cause::ProtocolError, format!("more than {INTERIM_LIMIT} interim responses")))
}

async fn read_one_head<S: AsyncRead + Unpin>(input: &mut Input<'_, S>, limits: &Limits) -> Result<Response, Halt> {
    let malformed = |what: &str| Halt::down(Cause::HttpMalformed, format!("the response is no HTTP/1: {what}"));
    let mut searched = 0;
    loop {
        let unread = input.unread();
        let begin = unread.len().min(7);
        if unread[..begin] != b"HTTP/1."[..begin] {
            let shown: String = String::from_utf8_lossy(&unread[..unread.len().min(40)]).escape_debug().collect();
            return Err(malformed(&format!("it begins with \"{shown}\"")));
        }
        if let Some(end) = end_of_head(unread, searched) {
            if end as u64 > limits.header {
                return Err(Halt::down(Cause::HeaderLimit, format!("the response head is longer than {} bytes", limits.header)));
            }
            let response = parse_head(&unread[..end])?;
            input.at += end;
            return Ok(response);
        }
        searched = unread.len();
        if searched as u64 > limits.header {
            return Err(Halt::down(Cause::HeaderLimit, format!("the response head is longer than {} bytes", limits.header)));
        }
        if !input.more().await? {
            let cause = Cause::HttpTruncated;
            let what = if searched == 0 { "the connection ended without a response" } else { "the connection ended within the response head" };
            return Err(Halt::down(cause, what));
        }
    }
}

/// Just past the empty line that ends the head; only what is new is searched.
fn end_of_head(bytes: &[u8], searched: usize) -> Option<usize> {
    let mut from = searched.saturating_sub(3);
    while let Some(at) = bytes[from..].iter().position(|b| *b == b'\n').map(|p| p + from) {
        match &bytes[at + 1..] {
            [b'\n', ..] => return Some(at + 2),
            [b'\r', b'\n', ..] => return Some(at + 3),
            _ => from = at + 1,
        }
    }
    None
}

fn parse_head(bytes: &[u8]) -> Result<Response, Halt> {
    let mut few = [httparse::EMPTY_HEADER; 48];
    let mut many;
    let mut parsed = httparse::Response::new(&mut few);
    let mut status = parsed.parse(bytes);
    if status == Err(httparse::Error::TooManyHeaders) {
        many = vec![httparse::EMPTY_HEADER; HEADER_COUNT_LIMIT];
        parsed = httparse::Response::new(&mut many);
        status = parsed.parse(bytes);
    }
    match status {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Halt::down(Cause::HttpMalformed, "the response head has no end")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Halt::down(Cause::HeaderLimit, format!("the response has more than {HEADER_COUNT_LIMIT} headers")));
        }
        Err(error) => return Err(Halt::down(Cause::HttpMalformed, format!("the response head is malformed: {error}"))),
    }
    let code = parsed.code.unwrap_or(0);
    if !(100..=999).contains(&code) {
        return Err(Halt::down(Cause::HttpMalformed, format!("the status {code:03} is none")));
    }
    Ok(Response {
        status: code,
        version: if parsed.version == Some(0) { "1.0" } else { "1.1" },
        headers: parsed.headers.iter().map(|h| (h.name.to_ascii_lowercase(), h.value.to_vec())).collect(),
        body: Vec::new(),
        body_bytes: 0,
    })
}

/// RFC 9112 section 6.3; what could be read in two ways is malformed.
fn framing(response: &Response, method: &str) -> Result<Framing, Halt> {
    let malformed = |what: String| Err(Halt::down(Cause::HttpMalformed, what));
    let lengths: Vec<&[u8]> = response.values("content-length").collect();
    let codings: Vec<&[u8]> = response.values("transfer-encoding").collect();
    if lengths.len() > 1 {
        return malformed("the response has more than one Content-Length".into());
    }
    let length = match lengths.first() {
        None => None,
        Some(text) => {
            let digits = !text.is_empty() && text.len() <= 18 && text.iter().all(u8::is_ascii_digit);
            match std::str::from_utf8(text).ok().filter(|_| digits).and_then(|t| t.parse::<u64>().ok()) {
                Some(length) => Some(length),
                None => return malformed(format!("the Content-Length \"{}\" is none", String::from_utf8_lossy(text).escape_debug())),
            }
        }
    };
    if method == "HEAD" || response.status < 200 || matches!(response.status, 204 | 304) {
        return Ok(Framing::None);
    }
    match (codings.as_slice(), length) {
        ([], None) => Ok(Framing::UntilClose),
        ([], Some(length)) => Ok(Framing::Length(length)),
        ([_], Some(_)) => malformed("the response has both Content-Length and Transfer-Encoding".into()),
        ([coding], None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        ([coding, ..], _) => malformed(format!("the Transfer-Encoding \"{}\" is not understood", String::from_utf8_lossy(coding).escape_debug())),
    }
}

struct Body {
    keep: Keep,
    limit: u64,
    kept: Vec<u8>,
    count: u64,
}

impl Body {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Halt> {
        self.count += bytes.len() as u64;
        if self.count > self.limit {
            return Err(Halt::down(Cause::BodyLimit, format!("the body is longer than {} bytes", self.limit)));
        }
        if self.keep == Keep::Body {
            self.kept.extend_from_slice(bytes);
        }
        Ok(())
    }
}

async fn read_body<S: AsyncRead + Unpin>(input: &mut Input<'_, S>, framing: Framing, body: &mut Body, limits: &Limits) -> Result<(), Halt> {
    match framing {
        Framing::None => Ok(()),
        Framing::Length(length) if length > body.limit => {
            Err(Halt::down(Cause::BodyLimit, format!("the body is announced with {length} bytes, the limit is {}", body.limit)))
        }
        Framing::Length(length) => pass(input, length, body).await,
        Framing::Chunked => read_chunks(input, body, limits).await,
        Framing::UntilClose => loop {
            body.take(input.unread())?;
            input.at = input.buffer.len();
            if !input.more().await? {
                return Ok(());
            }
        },
    }
}

/// Passes exactly `length` bytes on to the body.
async fn pass<S: AsyncRead + Unpin>(input: &mut Input<'_, S>, mut length: u64, body: &mut Body) -> Result<(), Halt> {
    while length > 0 {
        let here = (input.unread().len() as u64).min(length) as usize;
        body.take(&input.unread()[..here])?;
        input.at += here;
        length -= here as u64;
        if length > 0 && !input.more().await? {
            return Err(Halt::down(Cause::HttpTruncated, format!("the connection ended {length} bytes before the end of the body")));
        }
    }
    Ok(())
}

/// RFC 9112 section 7.1.
async fn read_chunks<S: AsyncRead + Unpin>(input: &mut Input<'_, S>, body: &mut Body, limits: &Limits) -> Result<(), Halt> {
    let mut framing_bytes = 0;
    loop {
        let line = read_line(input, CHUNK_LINE_LIMIT).await?;
        // Small chunks with long extensions would carry far more than the body.
        framing_bytes += line.len() as u64;
        if framing_bytes > limits.body + limits.header {
            return Err(Halt::down(Cause::BodyLimit, "the framing of the chunks is longer than the body may be"));
        }
        let digits = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii_end();
        let size = std::str::from_utf8(digits)
            .ok()
            .filter(|d| !d.is_empty() && d.len() <= 15 && d.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|d| u64::from_str_radix(d, 16).ok())
            .ok_or_else(|| Halt::down(Cause::HttpMalformed, "a chunk's size is no number"))?;
        if size == 0 {
            break;
        }
        pass(input, size, body).await?;
        if !read_line(input, 2).await?.is_empty() {
            return Err(Halt::down(Cause::HttpMalformed, "a chunk is longer than its size"));
        }
    }
    let mut trailer_bytes = 0;
    loop {
        let line = read_line(input, limits.header as usize).await?;
        trailer_bytes += line.len() as u64;
        if line.is_empty() {
            return Ok(());
        }
        if trailer_bytes > limits.header {
            return Err(Halt::down(Cause::HeaderLimit, format!("the trailers are longer than {} bytes", limits.header)));
        }
    }
}

/// One line without its end.
async fn read_line<S: AsyncRead + Unpin>(input: &mut Input<'_, S>, limit: usize) -> Result<Vec<u8>, Halt> {
    let mut searched = 0;
    loop {
        if let Some(end) = input.unread()[searched..].iter().position(|b| *b == b'\n').map(|p| p + searched) {
            let line = &input.unread()[..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
            input.at += end + 1;
            return Ok(line);
        }
        searched = input.unread().len();
        if searched > limit {
            return Err(Halt::down(Cause::HttpMalformed, "a line between chunks is too long"));
        }
        if !input.more().await? {
            return Err(Halt::down(Cause::HttpTruncated, "the connection ended within a chunked body"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { body: 100_000, decoded: 100_000, header: 65_536 };

    async fn read(response: &[u8], method: &str) -> Result<Response, Halt> {
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        far.write_all(response).await.expect("room");
        drop(far.shutdown().await);
        let trace = Trace::begin();
        let far_reader = tokio::spawn(async move {
            let mut sink = Vec::new();
            let _ = far.read_to_end(&mut sink).await;
        });
        let result = exchange(&mut near, &trace, b"GET / HTTP/1.1\r\n\r\n", method, Keep::Body, &LIMITS).await;
        drop(near);
        let _ = far_reader.await;
        result
    }

    async fn cause(response: &[u8]) -> Cause {
        match read(response, "GET").await {
            Err(Halt::Down(cause, _)) => cause,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn bodies_of_all_framings_are_read_to_their_end() {
        for (text, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n", "hello"),
            ("HTTP/1.0 200 OK\n\nhello", "hello"),
            ("HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n", ""),
        ] {
            let response = read(text.as_bytes(), "GET").await.expect(text);
            assert_eq!(response.body, body.as_bytes(), "{text}");
        }
        let head = read(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD").await.expect("no body follows HEAD");
        assert_eq!(head.body_bytes, 0);
    }

    #[tokio::test]
    async fn each_way_to_break_the_framing_has_its_cause() {
        for (text, expected) in [
            ("", Cause::HttpTruncated),
            ("HTTP/1.1 200", Cause::HttpTruncated),
            ("<html>", Cause::HttpMalformed),
            ("\u{15}\u{3}\u{1}", Cause::HttpMalformed),
            ("HTTP/2 200\r\n\r\n", Cause::HttpMalformed),
            ("HTTP/1.1 000 X\r\n\r\n", Cause::HttpMalformed),
            ("HTTP/1.1 200 OK\r\nA: b\u{0}c\r\n\r\n", Cause::HttpMalformed),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Cause::HttpMalformed),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", Cause::HttpMalformed),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", Cause::HttpMalformed),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Cause::HttpMalformed),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", Cause::HttpTruncated),
            ("HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n", Cause::BodyLimit),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Cause::HttpMalformed),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n", Cause::HttpMalformed),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", Cause::HttpTruncated),
        ] {
            assert_eq!(cause(text.as_bytes()).await, expected, "{text:?}");
        }
    }

    #[tokio::test]
    async fn heads_are_bounded_in_length_and_count_but_150_headers_are_fine() {
        let with = |count: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{}\r\n", "X-A: b\r\n".repeat(count));
        assert_eq!(read(with(150).as_bytes(), "GET").await.expect("healthy").headers.len(), 151);
        assert_eq!(cause(with(1000).as_bytes()).await, Cause::HeaderLimit);
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(100_000));
        assert_eq!(cause(long.as_bytes()).await, Cause::HeaderLimit);
        let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(100);
        assert_eq!(cause(interim.as_bytes()).await, Cause::ProtocolError);
    }
}
