//! One HTTP/1.1 exchange over a connected stream: a request out, a bounded response in (RFC 9112).
//!
//! The framing is our own because it is what is measured: every way in which a server breaks it has
//! its own cause, nothing is buffered beyond its limit, and the first byte is stamped where it is
//! read. Heads are parsed by httparse.

mod head;

use std::ops::ControlFlow;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use self::head::Framing;
use super::body_memory::{BodyMemory, Incoming};
use super::http_response::{Ask, Response};
use super::probe_error::{ProbeError, stream_error};
use super::trace::{Stage, Trace};
use crate::config::plan::probe::{INTERIM_LIMIT, Limits, too_many_pieces};
use crate::words::Cause;

const READ_START: usize = 2048;
const CHUNK_LINE_LIMIT: usize = 1024;
/// Bytes that are read before others have their turn.
const TURN: usize = 32 << 10;
/// What a chunk costs beside its bytes, in bytes.
const CHUNK_COST: usize = 256;
/// So much is set aside for a body that is announced.
const RESERVED: usize = 1 << 20;

/// Sends `request` and reads the response to its end.
pub async fn exchange<S>(
    stream: &mut S,
    trace: &Trace,
    request: &[u8],
    ask: Ask<'_>,
) -> Result<Response, ProbeError>
where
    S: AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    trace.enter(Stage::Request);
    stream
        .write_all(request)
        .await
        .map_err(|e| stream_error(&e, Cause::ConnectReset))?;
    stream
        .flush()
        .await
        .map_err(|e| stream_error(&e, Cause::ConnectReset))?;
    trace.enter(Stage::FirstByte);
    let mut input = BufferedStream {
        stream,
        trace,
        buffer: Vec::new(),
        at: 0,
        first: true,
        since_turn: 0,
        memory: ask.memory,
    };
    let mut response = read_head(&mut input, &ask).await?;
    let framing = head::framing(&mut response, ask.method, ask.reading)?;
    trace.facts.borrow_mut().http_status = Some(response.status);
    trace.facts.borrow_mut().http_version = Some(response.version);
    let mut body = Body {
        most: ask.keep.most(response.status),
        limit: ask.limits.body,
        kept: Vec::new(),
        count: 0,
        is_cut: false,
        expected: ask.limits.body,
        incoming: Incoming::default(),
    };
    let result = read_body(&mut input, framing, &mut body, ask.limits).await;
    trace.facts.borrow_mut().body_bytes = Some(body.count);
    result?;
    trace.enter(Stage::Idle);
    response.room = body.incoming.held(body.kept.len());
    response.body = body.kept;
    response.body_bytes = body.count;
    response.is_cut = body.is_cut;
    Ok(response)
}

/// What was read and not yet used.
struct BufferedStream<'s, S> {
    stream: &'s mut S,
    trace: &'s Trace,
    buffer: Vec<u8>,
    at: usize,
    first: bool,
    /// Bytes read since others had their turn.
    since_turn: usize,
    memory: &'s BodyMemory,
}

impl<S: AsyncRead + Unpin> BufferedStream<'_, S> {
    /// Reads more of a body, once there is room for it.
    async fn more_of(&mut self, body: &mut Body) -> Result<bool, ProbeError> {
        body.incoming
            .more(self.memory, self.trace, (body.kept.len(), body.expected))
            .await;
        loop {
            tokio::select! {
                biased;
                read = self.more() => return read,
                () = body.incoming.turns_slow() => {}
            }
        }
    }

    fn unread(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// The thread is everybody's: others have their turn where this one was long.
    async fn turn(&mut self) {
        if self.trace.is_turn_over.take() || self.since_turn >= TURN {
            self.since_turn = 0;
            tokio::task::yield_now().await;
        }
    }

    /// Reads more; false at the end of the stream.
    async fn more(&mut self) -> Result<bool, ProbeError> {
        if self.at == self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
        } else if self.at > 16_384 {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        self.turn().await;
        self.buffer.reserve(READ_START);
        let room = (self.buffer.capacity() - self.buffer.len()).min(16_384);
        let count = self
            .stream
            .take(room as u64)
            .read_buf(&mut self.buffer)
            .await
            .map_err(|e| stream_error(&e, Cause::HttpTruncated))?;
        self.since_turn += count;
        if self.first && count > 0 {
            self.first = false;
            self.trace.enter(Stage::Transfer);
        }
        Ok(count > 0)
    }
}

async fn read_head<S: AsyncRead + Unpin>(
    input: &mut BufferedStream<'_, S>,
    ask: &Ask<'_>,
) -> Result<Response, ProbeError> {
    for _ in 0..=INTERIM_LIMIT {
        let response = read_one_head(input, ask).await?;
        if response.status == 101 || response.status >= 200 {
            return Ok(response);
        }
    }
    Err(ProbeError::down(
        Cause::ProtocolError,
        format!("more than {INTERIM_LIMIT} interim responses"),
    ))
}

async fn read_one_head<S: AsyncRead + Unpin>(
    input: &mut BufferedStream<'_, S>,
    ask: &Ask<'_>,
) -> Result<Response, ProbeError> {
    let limit = ask.limits.header;
    let too_long = || {
        ProbeError::down(
            Cause::HeaderLimit,
            format!("the response head is longer than {limit} bytes, the limit of limits.header"),
        )
    };
    let mut searched = 0;
    loop {
        let unread = input.unread();
        head::begins_well(unread, ask.reading)?;
        if let Some(end) = head::end(unread, searched) {
            if end as u64 > limit {
                return Err(too_long());
            }
            let response = head::parse(&unread[..end], ask.reading)?;
            input.at += end;
            return Ok(response);
        }
        searched = unread.len();
        if searched as u64 > limit {
            return Err(too_long());
        }
        if !input.more().await? {
            let cause = Cause::HttpTruncated;
            let what = if searched == 0 {
                "the connection ended without a response"
            } else {
                "the connection ended within the response head"
            };
            return Err(ProbeError::down(cause, what));
        }
    }
}

struct Body {
    most: usize,
    limit: u64,
    kept: Vec<u8>,
    count: u64,
    is_cut: bool,
    /// Its length, or the most that it may have.
    expected: u64,
    incoming: Incoming,
}

impl Body {
    /// Breaks off where the limit is passed: what follows is not read.
    fn take(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        let room = usize::try_from(self.limit - self.count).unwrap_or(usize::MAX);
        let taken = &bytes[..bytes.len().min(room)];
        self.count += taken.len() as u64;
        self.kept.extend_from_slice(
            &taken[..taken.len().min(self.most - self.kept.len().min(self.most))],
        );
        self.is_cut = taken.len() < bytes.len();
        if self.is_cut {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

async fn read_body<S: AsyncRead + Unpin>(
    input: &mut BufferedStream<'_, S>,
    framing: Framing,
    body: &mut Body,
    limits: &Limits,
) -> Result<(), ProbeError> {
    match framing {
        Framing::None => Ok(()),
        Framing::Length(length) => {
            body.expected = length.min(body.limit);
            // Growing by doubling would hold up to twice as much.
            if body.most == usize::MAX && length > READ_START as u64 {
                body.kept.reserve_exact(
                    usize::try_from(length.min(body.limit))
                        .unwrap_or(0)
                        .min(RESERVED),
                );
            }
            pass(input, length, body).await.map(|_| ())
        }
        Framing::Chunked => read_chunks(input, body, limits).await,
        Framing::UntilClose => loop {
            if body.take(input.unread()).is_break() {
                return Ok(());
            }
            input.at = input.buffer.len();
            if !input.more_of(body).await? {
                return Ok(());
            }
        },
    }
}

/// Passes exactly `length` bytes on to the body, or as many as it takes.
async fn pass<S: AsyncRead + Unpin>(
    input: &mut BufferedStream<'_, S>,
    mut length: u64,
    body: &mut Body,
) -> Result<ControlFlow<()>, ProbeError> {
    while length > 0 {
        let here = (input.unread().len() as u64).min(length) as usize;
        if body.take(&input.unread()[..here]).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        input.at += here;
        length -= here as u64;
        if length > 0 && !input.more_of(body).await? {
            return Err(ProbeError::down(
                Cause::HttpTruncated,
                format!("the connection ended {length} bytes before the end of the body"),
            ));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// RFC 9112 section 7.1.
async fn read_chunks<S: AsyncRead + Unpin>(
    input: &mut BufferedStream<'_, S>,
    body: &mut Body,
    limits: &Limits,
) -> Result<(), ProbeError> {
    let (mut framing_bytes, mut chunks) = (0, 0);
    loop {
        let line = read_line(input, CHUNK_LINE_LIMIT).await?;
        chunks += 1;
        input.since_turn += CHUNK_COST;
        input.turn().await;
        if let Some(why) = too_many_pieces(chunks, body.count, "chunks") {
            return Err(ProbeError::down(Cause::BodyLimit, why));
        }
        // Small chunks with long extensions would carry far more than the body.
        let is_first = framing_bytes == 0;
        framing_bytes += line.len() as u64;
        if framing_bytes > limits.body + limits.header {
            return Err(ProbeError::down(
                Cause::BodyLimit,
                "the framing of the chunks is longer than limits.body and limits.header together",
            ));
        }
        let size = chunk_size(&line).ok_or_else(|| {
            let shown = head::begin_of(&line, 40);
            // What came before it, as a chunk, may have begun what this is the end of.
            let sign = if is_first { "" } else { "…" };
            ProbeError::down(
                Cause::HttpMalformed,
                format!("invalid size of a chunk \"{sign}{shown}\""),
            )
        })?;
        if size == 0 {
            break;
        }
        if pass(input, size, body).await?.is_break() {
            return Ok(());
        }
        if !read_line(input, 2).await?.is_empty() {
            return Err(ProbeError::down(
                Cause::HttpMalformed,
                "a chunk is longer than its size",
            ));
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
            return Err(ProbeError::down(
                Cause::HeaderLimit,
                format!("the trailers are longer than {} bytes", limits.header),
            ));
        }
    }
}

/// Hexadecimal digits before any extension. Zeros before them say nothing; what needs more than 15
/// is no size.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line
        .split(|b| *b == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii_end();
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_hexdigit()))?;
    match digits.trim_start_matches('0') {
        "" => Some(0),
        digits if digits.len() <= 15 => u64::from_str_radix(digits, 16).ok(),
        _ => None,
    }
}

/// One line without its end.
async fn read_line<S: AsyncRead + Unpin>(
    input: &mut BufferedStream<'_, S>,
    limit: usize,
) -> Result<Vec<u8>, ProbeError> {
    let mut searched = 0;
    loop {
        if let Some(end) = input.unread()[searched..]
            .iter()
            .position(|b| *b == b'\n')
            .map(|p| p + searched)
        {
            let line = &input.unread()[..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
            input.at += end + 1;
            return Ok(line);
        }
        searched = input.unread().len();
        if searched > limit {
            return Err(ProbeError::down(
                Cause::HttpMalformed,
                "a line between chunks is too long",
            ));
        }
        if !input.more().await? {
            return Err(ProbeError::down(
                Cause::HttpTruncated,
                "the connection ended within a chunked body",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::probe::Strictness;
    use crate::net::http_response::Keep;

    const LIMITS: Limits = Limits {
        body: 100_000,
        decoded: 100_000,
        header: 65_536,
    };

    async fn read(response: &[u8], method: &str) -> Result<Response, ProbeError> {
        read_as(response, method, Strictness::Lenient).await
    }

    async fn read_as(
        response: &[u8],
        method: &str,
        reading: Strictness,
    ) -> Result<Response, ProbeError> {
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        far.write_all(response).await.expect("room");
        drop(far.shutdown().await);
        let trace = Trace::begin();
        let far_reader = tokio::spawn(async move {
            let mut sink = Vec::new();
            let _ = far.read_to_end(&mut sink).await;
        });
        let result = exchange(
            &mut near,
            &trace,
            b"GET / HTTP/1.1\r\n\r\n",
            Ask {
                method,
                keep: Keep::Body,
                limits: &LIMITS,
                reading,
                memory: &BodyMemory::default(),
            },
        )
        .await;
        drop(near);
        let _ = far_reader.await;
        result
    }

    async fn cause(response: &[u8]) -> Cause {
        cause_as(response, Strictness::Lenient).await
    }

    async fn cause_as(response: &[u8], reading: Strictness) -> Cause {
        match read_as(response, "GET", reading).await {
            Err(ProbeError::Down(cause, _)) => cause,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_body_has_so_many_chunks_for_its_bytes_and_no_more() {
        let answer = |chunks| {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            [head, &"1\r\nx\r\n".repeat(chunks), "0\r\n\r\n"].concat()
        };
        // The last one, without a byte, counts as well: 16,384 + 17,475 / 16.
        let whole = read(answer(17_475).as_bytes(), "GET").await.expect("few");
        assert_eq!(whole.body.len(), 17_475);
        match read(answer(17_476).as_bytes(), "GET").await {
            Err(ProbeError::Down(Cause::BodyLimit, why)) => {
                assert_eq!(why, "the first 17476 bytes of the body are in 17477 chunks")
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn bodies_of_all_framings_are_read_to_their_end() {
        for (text, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: \
                    chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n",
                "hello",
            ),
            ("HTTP/1.0 200 OK\n\nhello", "hello"),
            (
                "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
                "",
            ),
        ] {
            let response = read(text.as_bytes(), "GET").await.expect(text);
            assert_eq!(response.body, body.as_bytes(), "{text}");
        }
        let head = read(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD")
            .await
            .expect("no body follows HEAD");
        assert_eq!(head.body_bytes, 0);
    }

    /// What browsers or curl read, and how often it is noted as odd. Compared with curl in
    /// tests/system/odd_http.py.
    const ODD: &[(&str, &str, usize)] = &[
        (
            "HTTP/1.1 200 OK\r\nX-A: one\r\n two\r\n\tthree\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length:\r\n 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nX-A: one\r\n \r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\n X-A: one\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 05\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: \
                chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\nContent-Length: 9\r\nTransfer-Encoding: \
                chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length\t: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nX(A): b\r\n\u{e4}: b\r\n: b\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            3,
        ),
        (
            "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nX-A: a\rb\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\r\n\r\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nX-A: a\u{1}\u{7f}b\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "http/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "Http/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.1  200  OK\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.1\t200\tOK\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200OK\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 O\u{1}K\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "\r\n HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: \
                Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\ncoded\r\n0\r\n\r\n",
            "coded",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: \
                chunked\r\n\r\n5\r\ncoded\r\n0\r\n\r\n",
            "coded",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\ncoded",
            "coded",
            1,
        ),
    ];

    /// Not odd at all, or not worth a word.
    const PLAIN: &[(&str, &str)] = &[
        ("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "hello"),
        (
            "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello and more",
            "hello",
        ),
        (
            "HTTP/1.1 200 \u{e4}\r\nContent-Length:5\r\n\r\nhello",
            "hello",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 000000000000000000000005\r\n\r\nhello",
            "hello",
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "hello",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: \
                chunked\r\n\r\n00000000000000000000000005  \r\nhello\r\n000\r\n\r\n",
            "hello",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
            "hello",
        ),
    ];

    #[tokio::test]
    async fn what_browsers_or_curl_read_is_read_and_noted_unless_the_config_is_strict() {
        for (text, body, odd) in ODD {
            let response = read(text.as_bytes(), "GET")
                .await
                .unwrap_or_else(|why| panic!("{text:?}: {why:?}"));
            assert_eq!(
                (
                    response.status,
                    response.body.as_slice(),
                    response.odd.len()
                ),
                (200, body.as_bytes(), *odd),
                "{text:?}: {:?}",
                response.odd
            );
            assert!(
                matches!(
                    cause_as(text.as_bytes(), Strictness::Strict).await,
                    Cause::HttpMalformed | Cause::HttpTruncated
                ),
                "{text:?}"
            );
        }
        for (text, body) in PLAIN {
            for reading in [Strictness::Lenient, Strictness::Strict] {
                let response = read_as(text.as_bytes(), "GET", reading)
                    .await
                    .unwrap_or_else(|why| panic!("{text:?}: {why:?}"));
                assert_eq!(
                    (response.body.as_slice(), response.odd.len()),
                    (body.as_bytes(), 0),
                    "{text:?}: {:?}",
                    response.odd
                );
            }
        }
    }

    #[tokio::test]
    async fn a_folded_value_is_one_value_and_a_name_has_no_blanks() {
        let text = "HTTP/1.1 200 OK\r\nX-A: one\r\n  two \r\n\tthree\r\nX-B : b\rc\r\nX-C:\r\n \
            d\r\nContent-Length: 0\r\n\r\n";
        let response = read(text.as_bytes(), "GET")
            .await
            .expect("read as others read it");
        for (name, value) in [("x-a", "one two three"), ("x-b", "b c"), ("x-c", "d")] {
            assert_eq!(
                response.values(name).collect::<Vec<_>>(),
                [value.as_bytes()],
                "{name}"
            );
        }
    }

    #[tokio::test]
    async fn a_head_that_comes_byte_by_byte_is_the_same_head() {
        for (text, body, _) in ODD {
            let (mut near, mut far) = tokio::io::duplex(1);
            let bytes = text.as_bytes().to_vec();
            let sending = tokio::spawn(async move {
                let mut request = [0; 18];
                let _ = far.read_exact(&mut request).await;
                let _ = far.write_all(&bytes).await;
            });
            let ask = Ask {
                method: "GET",
                keep: Keep::Body,
                limits: &LIMITS,
                reading: Strictness::Lenient,
                memory: &BodyMemory::default(),
            };
            let response = exchange(&mut near, &Trace::begin(), b"GET / HTTP/1.1\r\n\r\n", ask)
                .await
                .unwrap_or_else(|why| panic!("{text:?}: {why:?}"));
            assert_eq!(response.body, body.as_bytes(), "{text:?}");
            sending.await.expect("no panic");
        }
    }

    #[tokio::test]
    async fn each_way_to_break_the_framing_has_its_cause() {
        for (text, expected) in [
            ("", Cause::HttpTruncated),
            ("HTTP/1.1 200", Cause::HttpTruncated),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
                Cause::HttpTruncated,
            ),
            (
                "HTTP/1.1 200 OK\rContent-Length: 5\r\rhello",
                Cause::HttpTruncated,
            ),
            ("<html>", Cause::HttpMalformed),
            ("hello", Cause::HttpMalformed),
            ("ICY 200 OK\r\n\r\n", Cause::HttpMalformed),
            ("HTTP 200 OK\r\n\r\n", Cause::HttpMalformed),
            ("\r\n\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Cause::HttpMalformed),
            ("\u{15}\u{3}\u{1}", Cause::HttpMalformed),
            ("HTTP/2 200\r\n\r\n", Cause::HttpMalformed),
            ("HTTP/1.x 200\r\n\r\n", Cause::HttpMalformed),
            ("HTTP/1.10 200\r\n\r\n", Cause::HttpMalformed),
            ("HTTP/1.1\r\n\r\n", Cause::HttpMalformed),
            ("HTTP/1.1 20 OK\r\n\r\n", Cause::HttpMalformed),
            ("HTTP/1.1 2000 OK\r\n\r\n", Cause::HttpMalformed),
            ("HTTP/1.1 OK\r\n\r\n", Cause::HttpMalformed),
            ("HTTP/1.1 000 X\r\n\r\n", Cause::HttpMalformed),
            (
                "HTTP/1.1 200 OK\r\nA: b\u{0}c\r\n\r\n",
                Cause::HttpMalformed,
            ),
            ("HTTP/1.1 200 O\u{0}K\r\n\r\n", Cause::HttpMalformed),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                Cause::HttpMalformed,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
                Cause::HttpMalformed,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello",
                Cause::HttpMalformed,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5 bytes\r\n\r\nhello",
                Cause::HttpMalformed,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
                Cause::HttpMalformed,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
                Cause::HttpMalformed,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 6, 5\r\n\r\nhello",
                Cause::HttpMalformed,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5,\r\n\r\nhello",
                Cause::HttpMalformed,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: foo, chunked\r\n\r\n0\r\n\r\n",
                Cause::HttpMalformed,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
                Cause::HttpMalformed,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
                Cause::HttpMalformed,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
                Cause::HttpTruncated,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                Cause::HttpMalformed,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\n",
                Cause::HttpMalformed,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
                Cause::HttpMalformed,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: \
                    chunked\r\n\r\n1000000000000000\r\nhello\r\n0\r\n\r\n",
                Cause::HttpMalformed,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n",
                Cause::HttpMalformed,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n",
                Cause::HttpMalformed,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                Cause::HttpTruncated,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
                Cause::HttpTruncated,
            ),
        ] {
            for reading in [Strictness::Lenient, Strictness::Strict] {
                assert_eq!(
                    cause_as(text.as_bytes(), reading).await,
                    expected,
                    "{text:?}"
                );
            }
        }
    }

    #[tokio::test]
    async fn reading_stops_at_the_limit_of_the_body() {
        let long = "x".repeat(150_000);
        for text in [
            format!("HTTP/1.1 200 OK\r\nContent-Length: 150000\r\n\r\n{long}"),
            format!("HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n{long}"),
            format!("HTTP/1.1 200 OK\r\n\r\n{long}"),
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n249f0\r\n{long}\r\n0\r\n\r\n"
            ),
        ] {
            let response = read(text.as_bytes(), "GET")
                .await
                .expect("read to the limit");
            assert_eq!(
                (response.body.len(), response.body_bytes, response.is_cut),
                (100_000, 100_000, true),
                "{}",
                &text[..40]
            );
        }
        let exact = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(100_000));
        assert!(!read(exact.as_bytes(), "GET").await.expect("within").is_cut);
    }

    #[tokio::test]
    async fn heads_are_bounded_in_length_and_count_but_150_headers_are_fine() {
        let with = |count: usize| {
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{}\r\n",
                "X-A: b\r\n".repeat(count)
            )
        };
        assert_eq!(
            read(with(150).as_bytes(), "GET")
                .await
                .expect("healthy")
                .headers
                .len(),
            151
        );
        assert_eq!(cause(with(1000).as_bytes()).await, Cause::HeaderLimit);
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(100_000));
        assert_eq!(cause(long.as_bytes()).await, Cause::HeaderLimit);
        let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(100);
        assert_eq!(cause(interim.as_bytes()).await, Cause::ProtocolError);
    }
}
