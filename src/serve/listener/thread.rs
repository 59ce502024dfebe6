//! The thread of the listener: accepts, finds or refuses a place, and warns.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use axum::Router;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::connection::Connection;
use super::open_connections::OpenConnections;
use super::peer::Peer;
use super::refusal::{Refusal, Refusals};
use crate::engine::board::Board;
use crate::net::sys;

/// Connections that the kernel holds for us until they are accepted.
const BACKLOG: i32 = 4096;
/// Of the kernel, for each connection: bounds what 512 slow readers make it hold (it doubles both).
const SEND_BUFFER: usize = 64 << 10;
const RECEIVE_BUFFER: usize = 16 << 10;
/// Threads that make answers, beside the one that sends them.
const MAKERS: usize = 16;
/// How long one waits for the next answer: what it has freed goes back to the kernel when it ends.
const MAKER_IDLE: Duration = Duration::from_millis(250);
/// Accepted in one turn.
const ACCEPTS: u64 = 8;
const WITHOUT_DESCRIPTORS: Duration = Duration::from_millis(50);
const LOOK_FOR_WARNINGS: Duration = Duration::from_millis(500);

/// What the listener needs.
pub struct ListenerSetup {
    pub listener: std::net::TcpListener,
    pub router: Router,
    pub board: Arc<Board>,
    pub refusals: Arc<Refusals>,
    /// How many connections the descriptors allow; a reload may change it.
    pub places: Arc<AtomicUsize>,
}

/// Binds the address; what is accepted inherits the small buffers.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// The listener's thread.
pub struct ListenerThread {
    thread: std::thread::JoinHandle<io::Result<()>>,
    end: oneshot::Sender<()>,
}

impl ListenerThread {
    /// Whether it has ended by itself, which it never should.
    pub fn has_died(&self) -> bool {
        self.thread.is_finished()
    }

    pub fn end(self) {
        let _ = self.end.send(());
        let _ = self.thread.join();
    }
}

pub fn run(setup: ListenerSetup) -> io::Result<ListenerThread> {
    let (end, is_ended) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("listener".into())
        .spawn(move || {
            sys::yield_to_other_threads();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(MAKERS)
                .thread_keep_alive(MAKER_IDLE)
                .on_thread_start(sys::yield_to_other_threads)
                .build()?;
            let served = LocalSet::new().block_on(&runtime, async {
                tokio::select! {
                    served = serve(setup) => served,
                    _ = is_ended => Ok(()),
                }
            });
            runtime.shutdown_timeout(Duration::from_millis(50));
            served
        })?;
    Ok(ListenerThread { thread, end })
}

async fn serve(setup: ListenerSetup) -> io::Result<()> {
    let listener = TcpListener::from_std(setup.listener)?;
    let connections = Rc::new(OpenConnections::new(
        setup.board,
        setup.refusals,
        setup.places,
    ));
    let warned = connections.clone();
    tokio::task::spawn_local(async move {
        loop {
            tokio::time::sleep(LOOK_FOR_WARNINGS).await;
            warned.warn();
            warned.tidy_up();
        }
    });
    for n in 1_u64.. {
        if n % ACCEPTS == 0 {
            // A flood of new connections takes turns with those that have a place.
            tokio::task::yield_now().await;
        }
        match listener.accept().await {
            Ok((stream, address)) => serve_or_refuse(&connections, stream, address, &setup.router),
            // The client has gone before its turn (accept(2) passes on such errors).
            Err(error) if is_of_the_client(&error) => {}
            // No descriptor, no memory, or whatever else this host lacks: it would fail at once
            // again.
            Err(_) => {
                connections.note(
                    Refusal::Descriptors,
                    Peer::of(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                );
                tokio::time::sleep(WITHOUT_DESCRIPTORS).await;
            }
        }
    }
    Ok(())
}

/// Errors that Linux passes on from the network of one connection (accept(2), "Error handling").
fn is_of_the_client(error: &io::Error) -> bool {
    let of_one = [
        libc::ECONNABORTED,
        libc::ECONNRESET,
        libc::EINTR,
        libc::EPERM,
        libc::EPROTO,
        libc::ENETDOWN,
        libc::ENOPROTOOPT,
        libc::EHOSTDOWN,
        libc::ENONET,
        libc::EHOSTUNREACH,
        libc::EOPNOTSUPP,
        libc::ENETUNREACH,
    ];
    error.raw_os_error().is_some_and(|n| of_one.contains(&n))
}

/// Serves a connection that has a place, and refuses another.
fn serve_or_refuse(
    connections: &Rc<OpenConnections>,
    stream: TcpStream,
    address: SocketAddr,
    router: &Router,
) {
    let peer = Peer::of(address.ip());
    let admitted = match connections.admit(address.ip()) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            // It has not asked yet: what fits into the buffers of a fresh connection is all
            // that it gets.
            let answer = refusal.response().unwrap_or_default();
            let _ = SockRef::from(&stream).send(answer.as_bytes());
            return connections.note(refusal, peer);
        }
    };
    if let Some(displaced) = admitted.displaced {
        displaced.handle.abort();
        connections.note(displaced.why, displaced.peer);
    }
    let _ = stream.set_nodelay(true);
    let connection = Connection {
        connections: connections.clone(),
        seat: admitted.seat,
        address,
        asker: admitted.asker,
        router: router.clone(),
    };
    let task = tokio::task::spawn_local(connection.serve(stream));
    connections.holds(admitted.seat, task.abort_handle());
}
