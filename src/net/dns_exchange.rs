//! One DNS question and its answer over a fresh socket: UDP, and TCP where asked for or where the
//! answer was truncated.
//!
//! Used by the resolver and by the dns probe. The caller bounds the time, enters the stages and
//! reads the answer.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::datagram::{Datagram, DatagramSocket};
use super::dns_message::{Wrong, answers};
use super::probe_error::{ProbeError, connect_error, error_of_this_host};
use super::stream::StampedTcp;
use super::tcp::open_stream;
use super::trace::Trace;
use crate::config::plan::probe::Transport;
use crate::words::Cause;

/// What fails where this host cannot ask.
const ASKING: &str = "asking the name server";
const UDP_BUFFER: usize = 4096;
/// How often a question over UDP is sent at most.
const SENT_LIMIT: u32 = 8;
/// Datagrams that answer no question which is open.
const STRAY_LIMIT: usize = 64;
/// The bit of a message's third byte that says that it was cut short.
const TRUNCATED: u8 = 0x02;

/// What an exchange brought.
pub enum Exchange {
    Answer(Vec<u8>),
    /// Something came that is no answer to the question.
    Invalid(String),
    /// Nobody listens there.
    Refused,
    /// This host could not ask, or the network said no.
    Local(ProbeError),
}

/// Asks a question that is ready to be sent, and again over TCP when the answer says that it was
/// cut short. The answer's bytes are to this question, and not looked at further. `again_after`:
/// how often it is sent again over UDP, from the same socket.
pub async fn ask(
    server: SocketAddr,
    query: &[u8],
    transport: Transport,
    again_after: Option<Duration>,
    trace: Option<&Trace>,
) -> Exchange {
    if transport == Transport::Udp {
        match over_udp(server, query, again_after, trace).await {
            Exchange::Answer(reply) if reply.get(2).is_some_and(|flags| flags & TRUNCATED != 0) => {
            }
            other => return other,
        }
    }
    over_tcp(server, query, trace).await
}

/// Whether the server answers one of these questions as `is_answer` wants it. All are sent from one
/// socket, over UDP, until each has failed.
pub async fn any_answer(
    server: SocketAddr,
    queries: &[Vec<u8>],
    again_after: Duration,
    is_answer: impl Fn(&[u8]) -> bool,
) -> bool {
    let Ok(socket) = DatagramSocket::connected(server, None, ASKING) else {
        return false;
    };
    let mut open: Vec<&Vec<u8>> = queries.iter().collect();
    let (mut sent, mut strays) = (0, 0);
    let mut send_at = Instant::now();
    while !open.is_empty() && strays < STRAY_LIMIT {
        if sent < SENT_LIMIT && Instant::now() >= send_at {
            for query in &open {
                if socket.send(query).await.is_err() {
                    return false;
                }
            }
            sent += 1;
            send_at = Instant::now() + again_after;
        }
        let received = tokio::select! {
            received = socket.receive(UDP_BUFFER) => received,
            () = tokio::time::sleep_until(send_at), if sent < SENT_LIMIT => continue,
        };
        let Ok(Datagram { bytes: reply, .. }) = received else {
            return false;
        };
        match open.iter().position(|query| answers(query, &reply).is_ok()) {
            Some(_) if is_answer(&reply) => return true,
            Some(at) => drop(open.swap_remove(at)),
            None => strays += 1,
        }
    }
    false
}

async fn over_udp(
    server: SocketAddr,
    query: &[u8],
    again_after: Option<Duration>,
    trace: Option<&Trace>,
) -> Exchange {
    let socket = match DatagramSocket::connected(server, None, ASKING) {
        Ok(socket) => socket,
        Err(ProbeError::Down(Cause::ConnectRefused, _)) => return Exchange::Refused,
        Err(halt) => return Exchange::Local(halt),
    };
    if let Err(error) = socket.send(query).await {
        return failed(&error, server);
    }
    let (mut last_wrong, mut sent) = (None, 1);
    loop {
        let received = socket.receive(UDP_BUFFER);
        let received = match again_after.filter(|_| sent < SENT_LIMIT) {
            None => received.await,
            Some(after) => match timeout(after, received).await {
                Ok(received) => received,
                Err(_) => {
                    sent += 1;
                    match socket.send(query).await {
                        Ok(_) => continue,
                        Err(error) => return failed(&error, server),
                    }
                }
            },
        };
        let received = match received {
            Ok(received) => received,
            Err(error) => return arrived(&error),
        };
        match answers(query, &received.bytes) {
            Ok(()) => {
                if let Some(trace) = trace {
                    trace.arrived(received.arrived_ns);
                }
                return Exchange::Answer(received.bytes);
            }
            // A datagram with another id may be forged or late: keep listening, but not for ever.
            Err(Wrong::Id) if last_wrong < Some(16) => {
                last_wrong = Some(last_wrong.unwrap_or(0) + 1)
            }
            Err(Wrong::Id) => {
                return Exchange::Invalid("only answers to other questions came".into());
            }
            Err(Wrong::Message(why)) => return Exchange::Invalid(why.into()),
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &[u8], trace: Option<&Trace>) -> Exchange {
    let mut stream = match open_stream(server).await {
        Ok(stream) => stream,
        Err(ProbeError::Down(Cause::ConnectRefused, _)) => return Exchange::Refused,
        Err(err) => return Exchange::Local(err),
    };
    let run = async {
        match trace {
            None => framed(&mut stream, query).await,
            Some(trace) => framed(&mut StampedTcp::new(stream, trace), query).await,
        }
    };
    match run.await {
        Ok(reply) => match answers(query, &reply) {
            Ok(()) => Exchange::Answer(reply),
            Err(Wrong::Id) if reply.len() < 2 => {
                Exchange::Invalid("it is shorter than a header".into())
            }
            Err(Wrong::Id) => Exchange::Invalid("the answer is to another question".into()),
            Err(Wrong::Message(why)) => Exchange::Invalid(why.into()),
        },
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Exchange::Invalid("the connection ended within the answer".into())
        }
        Err(error) => arrived(&error),
    }
}

/// A question and its answer, each behind its length (RFC 1035 section 4.2.2).
async fn framed<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    question: &[u8],
) -> io::Result<Vec<u8>> {
    stream
        .write_all(&[&(question.len() as u16).to_be_bytes(), question].concat())
        .await?;
    let length = stream.read_u16().await?;
    let mut reply = vec![0; usize::from(length)];
    stream.read_exact(&mut reply).await?;
    Ok(reply)
}

/// A call of our own returned it.
fn failed(error: &io::Error, server: SocketAddr) -> Exchange {
    error_of_this_host(error, ASKING, server).map_or_else(|| arrived(error), Exchange::Local)
}

/// The network brought it.
fn arrived(error: &io::Error) -> Exchange {
    if error.raw_os_error() == Some(libc::ECONNREFUSED) {
        return Exchange::Refused;
    }
    Exchange::Local(connect_error(error))
}
