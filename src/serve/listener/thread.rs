//! The thread of the listener: accepts, finds or refuses a place, and warns.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::Guard;
use axum::Router;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, LocalSet};

use super::connection::{Connection, refused};
use super::gate::Wait;
use super::refusal::{Refusal, Refusals};
use super::table::{Asker, Bounds, Peer, Phase, Standing, Table};
use crate::config::Plan;
use crate::engine::board::Board;
use crate::net::clock::{Clock, NS_PER_MS};
use crate::net::sys;
use crate::words::Ms;

/// Connections that the kernel holds for us until they are accepted.
const BACKLOG: i32 = 4096;
/// Of the kernel, for each connection: bounds what 512 slow readers make it hold (it doubles both).
const SEND_BUFFER: usize = 64 << 10;
const RECEIVE_BUFFER: usize = 16 << 10;
/// Threads that make answers, beside the one that sends them.
const MAKERS: usize = 16;
/// How long one waits for the next answer: what it has freed goes back to the kernel when it ends.
const MAKER_IDLE: Duration = Duration::from_millis(250);
/// After a crowd of so many connections, when three in four of them left so long ago, freed memory
/// is given back.
const CROWD: usize = 64;
const AFTER_A_CROWD_MS: Ms = 300;
/// Accepted in one turn.
const ACCEPTS: u64 = 8;
const WITHOUT_DESCRIPTORS: Duration = Duration::from_millis(50);
const LOOK_FOR_WARNINGS: Duration = Duration::from_millis(500);

/// What the listener needs.
pub struct Door {
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
pub struct Running {
    thread: std::thread::JoinHandle<io::Result<()>>,
    end: oneshot::Sender<()>,
}

impl Running {
    /// Whether it has ended by itself, which it never should.
    pub fn has_died(&self) -> bool {
        self.thread.is_finished()
    }

    pub fn end(self) {
        let _ = self.end.send(());
        let _ = self.thread.join();
    }
}

pub fn run(door: Door) -> io::Result<Running> {
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
                    served = serve(door) => served,
                    _ = is_ended => Ok(()),
                }
            });
            runtime.shutdown_timeout(Duration::from_millis(50));
            served
        })?;
    Ok(Running { thread, end })
}

async fn serve(door: Door) -> io::Result<()> {
    let listener = TcpListener::from_std(door.listener)?;
    let hall = Rc::new(Hall {
        table: RefCell::default(),
        board: door.board,
        refusals: door.refusals,
        places: door.places,
        crowd: Cell::default(),
        left_at: Cell::default(),
    });
    let warned = hall.clone();
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
            Ok((stream, address)) => hall.welcome(stream, address, &door.router),
            // The client has gone before its turn (accept(2) passes on such errors).
            Err(error) if is_of_the_client(&error) => {}
            // No descriptor, no memory, or whatever else this host lacks: it would fail at once
            // again.
            Err(_) => {
                hall.note(
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

fn now_ms() -> Ms {
    Clock::Real.boot_ns() / NS_PER_MS
}

/// What all connections share. They are tasks of one thread, so that nothing is locked.
pub struct Hall {
    table: RefCell<Table<AbortHandle>>,
    board: Arc<Board>,
    refusals: Arc<Refusals>,
    places: Arc<AtomicUsize>,
    /// The most connections since memory was given back, and when most of them had left.
    crowd: Cell<usize>,
    left_at: Cell<Option<Ms>>,
}

impl Hall {
    fn welcome(self: &Rc<Self>, stream: TcpStream, address: SocketAddr, router: &Router) {
        let (peer, plan) = (Peer::of(address.ip()), self.plan());
        let trusted = plan
            .listen
            .trusts(address.ip())
            .then_some(Standing::Trusted);
        let connections = plan
            .listen
            .max_connections
            .min(self.places.load(Ordering::Relaxed));
        let bounds = Bounds {
            connections,
            per_peer: plan.listen.per_peer(),
        };
        let admitted = self
            .table
            .borrow_mut()
            .admit(peer, trusted, bounds, now_ms());
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => {
                // It has not asked yet: what fits into the buffers of a fresh connection is all
                // that it gets.
                let _ =
                    SockRef::from(&stream).send(refused(refusal).unwrap_or_default().as_bytes());
                return self.note(refusal, peer);
            }
        };
        if let Some((displaced, task)) = admitted.displaced {
            task.abort();
            self.note(Refusal::Displaced, displaced);
        }
        let _ = stream.set_nodelay(true);
        let asker = Asker {
            peer,
            standing: admitted.standing,
        };
        let connection = Connection {
            hall: self.clone(),
            seat: admitted.seat,
            address,
            asker,
            router: router.clone(),
        };
        let task = tokio::task::spawn_local(connection.serve(stream));
        self.table
            .borrow_mut()
            .holds(admitted.seat, task.abort_handle());
        self.count_open();
    }

    pub fn plan(&self) -> Guard<Arc<Plan>> {
        self.board.plan.load()
    }

    pub fn enters(&self, seat: u64, phase: Phase) {
        self.table.borrow_mut().enters(seat, phase, now_ms());
    }

    pub fn leaves(&self, seat: u64) {
        self.table.borrow_mut().leave(seat);
        self.count_open();
        let open = self.table.borrow().open();
        if self.crowd.get() >= CROWD && 4 * open <= self.crowd.get() && self.left_at.get().is_none()
        {
            self.left_at.set(Some(now_ms()));
        }
    }

    /// Gives back what a crowd has used that has left.
    fn tidy_up(&self) {
        if self
            .left_at
            .get()
            .is_some_and(|at| now_ms() >= at + AFTER_A_CROWD_MS)
        {
            self.left_at.set(None);
            self.crowd.set(self.table.borrow().open());
            sys::collect_freed_memory();
        }
    }

    fn count_open(&self) {
        let open = self.table.borrow().open();
        self.refusals.open.store(open as u64, Ordering::Relaxed);
        self.crowd.set(self.crowd.get().max(open));
    }

    pub fn took_an_answer(&self, peer: Peer, wait: &Wait) {
        let mut table = self.table.borrow_mut();
        if wait.was_prompt() {
            table.was_prompt(peer, now_ms())
        } else {
            table.behaved_well(peer, now_ms())
        }
    }

    /// With the standing that the peer has by now.
    pub fn asker(&self, before: Asker) -> Asker {
        let standing = if before.standing == Standing::Trusted {
            before.standing
        } else {
            self.table.borrow().standing(before.peer, now_ms())
        };
        Asker { standing, ..before }
    }

    pub fn note(&self, refusal: Refusal, peer: Peer) {
        let now_ms = now_ms();
        self.refusals.note(refusal, peer, now_ms);
        if refusal.is_bad_manners() {
            self.table.borrow_mut().behaved_badly(peer, now_ms);
        }
    }

    fn warn(&self) {
        if let Some(w) = self.refusals.due(now_ms()) {
            let peer = w.busiest;
            tracing::warn!(%peer, of_this_peer = w.of_busiest, all = w.refused, reasons = w.reasons, "clients of the listener were refused; see docs/troubleshooting.md");
        }
    }
}
