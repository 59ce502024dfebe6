//! One connection: heads one after the other, each answered before the next is looked at.
//!
//! HTTP/1.1 with the routes of axum behind it: at most 16 KiB are read ahead, an idle connection
//! holds no buffer, and a piece of an answer is asked for when the one before it has been taken.

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header};
use axum::response::Response;
use futures_core::Stream;
use tokio::time::{Instant, timeout, timeout_at};
use tower_service::Service;

use super::gate::{ClientLink, PROMPT_MS};
use super::head::{After, Head, MOST_HEAD, head};
use super::open_connections::OpenConnections;
use super::peer::Asker;
use super::refusal::Refusal;
use super::table::{ConnectionPhase, LATE_MS};
use super::wire::{Interrupted, Wire};
use crate::net::clock::Clock;
use crate::words::{Ms, http_date};

/// Read at once: most heads are smaller.
const READ: usize = 2 << 10;
/// How long what a refused client still sends is read and thrown away, so that the answer reaches
/// it.
const LINGER: Duration = Duration::from_secs(1);
const MOST_LINGERING: usize = 256 << 10;

/// How long a client is waited for until [`OpenConnections`] notes it: as late, as not prompt.
const WAITS: &[Duration] = &[
    Duration::from_millis(LATE_MS),
    Duration::from_millis(PROMPT_MS),
];

pub struct Connection {
    pub connections: Rc<OpenConnections>,
    pub seat: u64,
    pub address: SocketAddr,
    pub asker: Asker,
    pub router: Router,
}

/// The place is free when the connection is over, however it ends.
impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.leaves(self.seat);
    }
}

impl Connection {
    pub async fn serve(mut self, stream: tokio::net::TcpStream) {
        let (connections, seat) = (self.connections.clone(), self.seat);
        let mut wire = Wire::new(
            stream,
            WAITS,
            Box::new(move |waited| connections.waits(seat, waited)),
        );
        let mut ahead = Vec::new();
        let mut phase = ConnectionPhase::Unfinished;
        loop {
            let head = match self.next_head(&mut wire, &mut ahead, phase).await {
                Ok(Some(head)) => head,
                Ok(None) => return,
                Err(refusal) => return self.refuse(&mut wire, refusal).await,
            };
            ahead.drain(..head.length);
            if let Err(refusal) = self.skip_body(&wire, &mut ahead, head.body).await {
                return self.refuse(&mut wire, refusal).await;
            }
            self.connections
                .enters(self.seat, ConnectionPhase::Answering);
            match self.answer(&mut wire, head).await {
                Ok(After::Keep) => {}
                Ok(After::Close) => return self.linger(&wire).await,
                Err(Interrupted::MadeRoom) => {
                    return self.connections.note(Refusal::SlowReader, self.asker.peer);
                }
                Err(Interrupted::Slow) => {
                    return self
                        .connections
                        .note(Refusal::AnswerTimeout, self.asker.peer);
                }
                Err(Interrupted::Gone) => return,
            }
            if ahead.is_empty() {
                ahead = Vec::new();
            }
            phase = ConnectionPhase::Idle;
            // Pipelined requests take turns with other connections, and keep no place.
            self.connections.enters(self.seat, ConnectionPhase::Ahead);
            tokio::task::yield_now().await;
        }
    }

    /// The next head; nothing when the client has nothing more to ask or was idle for long.
    async fn next_head(
        &self,
        wire: &mut Wire,
        ahead: &mut Vec<u8>,
        phase: ConnectionPhase,
    ) -> Result<Option<Head>, Refusal> {
        // Not the plan itself: one that has left must go while clients are idle.
        let (idle, head_timeout) = {
            let listen = &self.connections.plan().listen;
            (millis(listen.idle_timeout), millis(listen.head_timeout))
        };
        if phase == ConnectionPhase::Idle && ahead.is_empty() {
            wire.is_even();
            self.connections.enters(self.seat, ConnectionPhase::Idle);
            match timeout(idle, wire.read(ahead, READ)).await {
                Ok(Ok(count)) if count > 0 => {}
                Ok(_) | Err(_) => return Ok(None),
            }
        }
        self.connections
            .enters(self.seat, ConnectionPhase::Unfinished);
        let deadline = Instant::now() + head_timeout;
        loop {
            if let Some(head) = head(ahead)? {
                return Ok(Some(head));
            }
            let most = READ.min(MOST_HEAD + 1 - ahead.len());
            match timeout_at(deadline, wire.read(ahead, most)).await {
                Ok(Ok(0)) | Ok(Err(_)) => return Ok(None),
                Ok(Ok(_)) => {}
                Err(_) => return Err(Refusal::HeadTimeout),
            }
        }
    }

    /// Throws the body away, of which a part may have come with the head.
    async fn skip_body(
        &self,
        wire: &Wire,
        ahead: &mut Vec<u8>,
        length: usize,
    ) -> Result<(), Refusal> {
        let deadline = Instant::now() + millis(self.connections.plan().listen.head_timeout);
        let mut left = length;
        loop {
            let there = left.min(ahead.len());
            ahead.drain(..there);
            left -= there;
            if left == 0 {
                return Ok(());
            }
            match timeout_at(deadline, wire.read(ahead, READ)).await {
                Ok(Ok(0)) | Ok(Err(_)) | Err(_) => return Err(Refusal::HeadTimeout),
                Ok(Ok(_)) => {}
            }
        }
    }

    async fn answer(&mut self, wire: &mut Wire, head: Head) -> Result<After, Interrupted> {
        let (mut parts, ()) = head.request.into_parts();
        let (method, version) = (parts.method.clone(), parts.version);
        parts.extensions.insert(ConnectInfo(self.address));
        let line = ClientLink {
            asker: self.connections.asker(self.asker),
            ..ClientLink::default()
        };
        let (cut, wait) = (line.cut.clone(), line.wait.clone());
        parts.extensions.insert(line);
        let answered = self.router.call(Request::from_parts(parts, Body::empty()));
        let response = tokio::select! {
            response = answered => response.unwrap_or_else(|never| match never {}),
            () = wire.reset() => return Err(Interrupted::Gone),
        };
        let is_success = response.status().is_success();
        wire.has_patience(millis(self.connections.plan().listen.answer_timeout));
        let sent = tokio::select! {
            sent = send(wire, response, &method, version, head.after) => sent,
            () = cut.notified() => Err(Interrupted::MadeRoom),
        };
        match sent {
            // Who was only told to come again has taken nothing.
            Ok(_) if is_success && wire.waited() < millis(PROMPT_MS) && wait.was_prompt() => {
                self.connections.was_prompt(self.asker.peer)
            }
            Ok(_) if is_success => self.connections.behaved_well(self.asker.peer),
            Ok(_) => {}
            // It may come again as often as it likes, and would never be slow.
            Err(_) if wait.kept_its_maker() => self.connections.is_not_prompt(self.asker.peer),
            Err(_) => {}
        }
        sent
    }

    /// It makes room for others meanwhile.
    async fn linger(&self, wire: &Wire) {
        self.connections.enters(self.seat, ConnectionPhase::Idle);
        linger(wire).await;
    }

    async fn refuse(&self, wire: &mut Wire, refusal: Refusal) {
        self.connections.note(refusal, self.asker.peer);
        if let Some(text) = refusal.response() {
            wire.has_patience(LINGER);
            if wire.put(&[text.as_bytes()]).await.is_ok() {
                self.linger(wire).await;
            }
        }
    }
}

fn millis(ms: Ms) -> Duration {
    Duration::from_millis(ms)
}

/// Ends our side and reads what the client still sends for a while: a reset must not overtake the
/// answer.
async fn linger(wire: &Wire) {
    if socket2::SockRef::from(&wire.stream)
        .shutdown(std::net::Shutdown::Write)
        .is_err()
    {
        return;
    }
    let mut rest = Vec::new();
    let drained = async {
        let mut read = 0;
        while read < MOST_LINGERING {
            match wire.read(&mut rest, READ).await {
                Ok(0) | Err(_) => return,
                Ok(count) => read += count,
            }
            rest.clear();
        }
    };
    let _ = timeout(LINGER, drained).await;
}

/// How the end of an answer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AnswerFraming {
    /// By its length, or there is none.
    Length,
    Chunks,
    /// HTTP/1.0: by the end of the connection.
    Close,
}

async fn send(
    wire: &mut Wire,
    response: Response,
    method: &Method,
    version: Version,
    after: After,
) -> Result<After, Interrupted> {
    let (mut parts, body) = response.into_parts();
    let length = body.size_hint().exact();
    let has_body = method != Method::HEAD
        && parts.status != StatusCode::NO_CONTENT
        && parts.status != StatusCode::NOT_MODIFIED;
    let framing = match length {
        _ if !has_body => AnswerFraming::Length,
        Some(length) => {
            parts
                .headers
                .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            AnswerFraming::Length
        }
        None if version == Version::HTTP_11 => {
            parts.headers.insert(
                header::TRANSFER_ENCODING,
                HeaderValue::from_static("chunked"),
            );
            AnswerFraming::Chunks
        }
        None => AnswerFraming::Close,
    };
    let after = if framing == AnswerFraming::Close {
        After::Close
    } else {
        after
    };
    if after == After::Close {
        parts
            .headers
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let mut head = status_and_headers(parts.status, &parts.headers);
    if !has_body {
        wire.put(&[&head]).await?;
        return Ok(after);
    }
    let mut body = body.into_data_stream();
    while let Some(piece) = next(&mut body, wire).await? {
        let size = format!("{:x}\r\n", piece.len());
        match framing {
            _ if piece.is_empty() => continue,
            AnswerFraming::Chunks => wire.put(&[&head, size.as_bytes(), &piece, b"\r\n"]).await?,
            AnswerFraming::Length | AnswerFraming::Close => wire.put(&[&head, &piece]).await?,
        }
        head.clear();
    }
    let end: &[u8] = if framing == AnswerFraming::Chunks {
        b"0\r\n\r\n"
    } else {
        b""
    };
    wire.put(&[&head, end]).await?;
    Ok(after)
}

/// The next piece of the body. An answer that breaks off breaks the connection off: a reader must
/// not take it for whole.
async fn next(body: &mut BodyDataStream, wire: &Wire) -> Result<Option<Bytes>, Interrupted> {
    let piece = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_next(cx));
    tokio::select! {
        piece = piece => piece.transpose().map_err(|_| Interrupted::Gone),
        () = wire.reset() => Err(Interrupted::Gone),
    }
}

fn status_and_headers(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 {} {}\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default()
    )
    .into_bytes();
    for (name, value) in headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(
        format!(
            "x-content-type-options: nosniff\r\ndate: {}\r\n\r\n",
            http_date(Clock::Real.read().utc_ms)
        )
        .as_bytes(),
    );
    head
}
