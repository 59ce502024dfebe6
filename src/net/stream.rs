//! A connection as the kinds above TCP see it: plain or inside TLS.
//!
//! Both read through [`StampedTcp`], which tells the probe's trace when the kernel received what is
//! read: what this thread had to do meanwhile is not the endpoint's latency.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::sys;
use super::trace::{Stage, Trace};

/// A TCP connection whose arrivals the kernel stamps.
pub struct StampedTcp<'t> {
    tcp: TcpStream,
    trace: &'t Trace,
    /// Bytes that were read since others had their turn.
    since_turn: usize,
}

/// Bytes that are read before others have their turn: inside TLS, a reader goes on until it has
/// something for the one above it, and a peer may send tickets and records that hold nothing.
const TURN: usize = 8 << 10;

/// Tickets that a peer may send on one connection, which is not resumed; usual are one to four.
/// Each of them costs a copy of the certificates, as the TLS layer keeps both.
const MOST_TICKETS: u32 = 64;

fn too_many_tickets() -> io::Error {
    let why = format!("the server sent more than {MOST_TICKETS} session tickets");
    io::Error::new(ErrorKind::InvalidData, rustls::Error::General(why))
}

impl<'t> StampedTcp<'t> {
    pub fn new(tcp: TcpStream, trace: &'t Trace) -> Self {
        sys::stamp_arrivals(tcp.as_fd());
        Self {
            tcp,
            trace,
            since_turn: 0,
        }
    }
}

impl AsyncRead for StampedTcp<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.since_turn >= TURN {
            self.since_turn = 0;
            // TLS passes on what it has, and no wait: its reader must know.
            self.trace.is_turn_over.set(true);
            // After others, and after what the kernel has for them: a task that wakes itself would
            // go on at once.
            return pin!(tokio::task::yield_now()).poll(cx).map(|()| Ok(()));
        }
        loop {
            ready!(self.tcp.poll_read_ready(cx))?;
            match self.tcp.try_io(Interest::READABLE, || {
                sys::read_stamped(self.tcp.as_fd(), buf)
            }) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => {
                    self.since_turn += buf.filled().len() - before;
                    if self.trace.stage() == Stage::Tls {
                        self.trace.first_bytes.add(&buf.filled()[before..]);
                    }
                    return Poll::Ready(read.map(|stamp| self.trace.arrived(stamp)));
                }
            }
        }
    }
}

impl AsyncWrite for StampedTcp<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

pub enum Stream<'t> {
    Plain(StampedTcp<'t>),
    Tls(Box<TlsStream<StampedTcp<'t>>>),
}

impl AsyncRead for Stream<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => {
                let read = Pin::new(&mut **stream).poll_read(cx, buf);
                let tickets = stream.get_ref().1.tls13_tickets_received();
                if tickets > MOST_TICKETS {
                    return Poll::Ready(Err(too_many_tickets()));
                }
                read
            }
        }
    }
}

impl AsyncWrite for Stream<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
