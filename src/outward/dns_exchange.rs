//! One DNS question and its answer over a fresh socket: UDP, and TCP where asked for or where the answer was truncated.
//!
//! Used by the resolver and by the dns probe. The caller bounds the time.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use hickory_proto::op::{Message, MessageType};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::UdpSocket;

use super::dial::open_stream;
use super::halt::{Halt, connect_error, own_call};
use super::stream::StampedTcp;
use super::sys;
use super::trace::{Stage, Trace};
use crate::config::plan_probe::Transport;
use crate::words::Cause;

const UDP_BUFFER: usize = 4096;

/// What an exchange brought.
pub enum Exchange {
    Answer(Box<Reply>),
    /// Something came that is no answer to the question.
    Invalid(String),
    /// Nobody listens there.
    Refused,
    /// This host could not ask, or the network said no.
    Local(Halt),
}

pub struct Reply {
    pub message: Message,
    pub transport: Transport,
}

/// Asks over UDP, and again over TCP when the answer says that it was cut short.
pub async fn exchange(server: SocketAddr, query: &Message, trace: Option<&Trace>) -> Exchange {
    let first = over_udp(server, query, trace).await;
    match first {
        Exchange::Answer(reply) if reply.message.metadata.truncation => over_tcp(server, query, trace).await,
        other => other,
    }
}

pub async fn over_udp(server: SocketAddr, query: &Message, trace: Option<&Trace>) -> Exchange {
    let bytes = match query.to_vec() {
        Ok(bytes) => bytes,
        Err(error) => return Exchange::Invalid(error.to_string()),
    };
    let any: SocketAddr = if server.is_ipv6() { (Ipv6Addr::UNSPECIFIED, 0).into() } else { (Ipv4Addr::UNSPECIFIED, 0).into() };
    let socket = match std::net::UdpSocket::bind(any).and_then(|s| {
        s.set_nonblocking(true)?;
        s.connect(server)?;
        UdpSocket::from_std(s)
    }) {
        Ok(socket) => socket,
        Err(error) => return failed(&error),
    };
    sys::stamp_arrivals(socket.as_fd());
    if let Some(trace) = trace {
        trace.enter(Stage::Reply(Cause::DnsTimeout));
    }
    if let Err(error) = socket.send(&bytes).await {
        return failed(&error);
    }
    // On the heap, so that a waiting question is small.
    let mut buffer = vec![0; UDP_BUFFER];
    let mut last_wrong = None;
    loop {
        let received = socket.async_io(Interest::READABLE | Interest::ERROR, || sys::receive(socket.as_raw_fd(), &mut buffer)).await;
        let received = match received {
            Ok(received) => received,
            Err(error) => return arrived(&error),
        };
        let reply = buffer.get(..received.length).unwrap_or_default();
        match answer_to(query, reply) {
            Ok(message) => {
                if let Some(trace) = trace {
                    trace.arrived(received.arrived_ns);
                    trace.enter(Stage::Idle);
                }
                return Exchange::Answer(Box::new(Reply { message, transport: Transport::Udp }));
            }
            // A datagram with another id may be forged or late: keep listening, but not for ever.
            Err(Wrong::Id) if last_wrong < Some(16) => last_wrong = Some(last_wrong.unwrap_or(0) + 1),
            Err(Wrong::Id) => return Exchange::Invalid("only answers to other questions came".into()),
            Err(Wrong::Message(why)) => return Exchange::Invalid(why),
        }
    }
}

pub async fn over_tcp(server: SocketAddr, query: &Message, trace: Option<&Trace>) -> Exchange {
    let bytes = match query.to_vec() {
        Ok(bytes) => bytes,
        Err(error) => return Exchange::Invalid(error.to_string()),
    };
    let mut stream = match open_stream(server).await {
        Ok(stream) => stream,
        Err(Halt::Down(Cause::ConnectRefused, _)) => return Exchange::Refused,
        Err(halt) => return Exchange::Local(halt),
    };
    let run = async {
        let Some(trace) = trace else { return framed(&mut stream, &bytes).await };
        trace.enter(Stage::Reply(Cause::DnsTimeout));
        framed(&mut StampedTcp::new(stream, trace), &bytes).await
    };
    match run.await {
        Ok(reply) => match answer_to(query, &reply) {
            Ok(message) => {
                if let Some(trace) = trace {
                    trace.enter(Stage::Idle);
                }
                Exchange::Answer(Box::new(Reply { message, transport: Transport::Tcp }))
            }
            Err(Wrong::Id) => Exchange::Invalid("the answer is to another question".into()),
            Err(Wrong::Message(why)) => Exchange::Invalid(why),
        },
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Exchange::Invalid("the connection ended within the answer".into()),
        Err(error) => arrived(&error),
    }
}

/// A question and its answer, each behind its length (RFC 1035 section 4.2.2).
async fn framed<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, question: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(&[&(question.len() as u16).to_be_bytes(), question].concat()).await?;
    let length = stream.read_u16().await?;
    let mut reply = vec![0; usize::from(length)];
    stream.read_exact(&mut reply).await?;
    Ok(reply)
}

/// Why bytes are no answer to a question.
#[derive(Debug)]
pub enum Wrong {
    /// They answer another, by their id.
    Id,
    Message(String),
}

/// The message in these bytes, if it answers `query`.
pub fn answer_to(query: &Message, bytes: &[u8]) -> Result<Message, Wrong> {
    let id = bytes.get(..2).map(|b| u16::from_be_bytes([b[0], b[1]]));
    if id.is_some_and(|id| id != query.metadata.id) {
        return Err(Wrong::Id);
    }
    let message = Message::from_vec(bytes).map_err(|e| Wrong::Message(e.to_string()))?;
    if message.metadata.message_type != MessageType::Response {
        return Err(Wrong::Message("it is a question, not an answer".into()));
    }
    let same = match (query.queries.first(), message.queries.first()) {
        (Some(asked), Some(told)) => asked.name().eq_ignore_root(told.name()) && asked.query_type() == told.query_type(),
        (_, None) => true,
        (None, Some(_)) => false,
    };
    if same { Ok(message) } else { Err(Wrong::Message("it answers another question".into())) }
}

/// A call of our own returned it.
fn failed(error: &io::Error) -> Exchange {
    own_call(error, "asking the name server").map_or_else(|| arrived(error), Exchange::Local)
}

/// The network brought it.
fn arrived(error: &io::Error) -> Exchange {
    if error.raw_os_error() == Some(libc::ECONNREFUSED) {
        return Exchange::Refused;
    }
    Exchange::Local(connect_error(error))
}
