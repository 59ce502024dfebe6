//! What the connections of the listener share: the places, the counts, and the memory that a crowd
//! left.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::Guard;
use tokio::task::AbortHandle;

use super::gate::PROMPT_MS;
use super::peer::{Asker, Peer, PeerStanding};
use super::refusal::{Refusal, Refusals};
use super::table::{Admitted, Bounds, ConnectionPhase, ConnectionTable};
use crate::config::Plan;
use crate::engine::board::Board;
use crate::net::clock::{Clock, NS_PER_MS};
use crate::net::sys;
use crate::words::Ms;

/// After a crowd of so many connections, when three in four of them left so long ago, freed memory
/// is given back.
const CROWD: usize = 64;
const AFTER_A_CROWD_MS: Ms = 300;

fn now_ms() -> Ms {
    Clock::Real.boot_ns() / NS_PER_MS
}

/// What all connections share. They are tasks of one thread, so that nothing is locked.
pub struct OpenConnections {
    table: RefCell<ConnectionTable<AbortHandle>>,
    board: Arc<Board>,
    refusals: Arc<Refusals>,
    places: Arc<AtomicUsize>,
    /// The most connections since memory was given back, and when most of them had left.
    crowd: Cell<usize>,
    left_at: Cell<Option<Ms>>,
}

impl OpenConnections {
    pub fn new(board: Arc<Board>, refusals: Arc<Refusals>, places: Arc<AtomicUsize>) -> Self {
        Self {
            table: RefCell::default(),
            board,
            refusals,
            places,
            crowd: Cell::default(),
            left_at: Cell::default(),
        }
    }

    /// A place for a new connection, or why there is none.
    pub fn admit(&self, address: IpAddr) -> Result<Admitted<AbortHandle>, Refusal> {
        let plan = self.plan();
        let trusted = plan.listen.trusts(address).then_some(PeerStanding::Trusted);
        let connections = plan
            .listen
            .max_connections
            .min(self.places.load(Ordering::Relaxed));
        let bounds = Bounds {
            connections,
            per_peer: plan.listen.per_peer(),
        };
        self.table
            .borrow_mut()
            .admit(Peer::of(address), trusted, bounds, now_ms())
    }

    /// The task that serves a connection, which ends when the connection makes room.
    pub fn holds(&self, seat: u64, task: AbortHandle) {
        self.table.borrow_mut().holds(seat, task);
        self.count_open();
    }

    pub fn plan(&self) -> Guard<Arc<Plan>> {
        self.board.plan.load()
    }

    pub fn enters(&self, seat: u64, phase: ConnectionPhase) {
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
    pub fn tidy_up(&self) {
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

    pub fn was_prompt(&self, peer: Peer) {
        self.table.borrow_mut().was_prompt(peer, now_ms());
    }

    pub fn behaved_well(&self, peer: Peer) {
        self.table.borrow_mut().behaved_well(peer, now_ms());
    }

    pub fn is_not_prompt(&self, peer: Peer) {
        self.table.borrow_mut().is_not_prompt(peer);
    }

    /// An answer of the connection has waited so long for its reader, and waits on.
    pub fn waits(&self, seat: u64, waited: Duration) {
        let mut table = self.table.borrow_mut();
        table.is_late(seat);
        if waited >= Duration::from_millis(PROMPT_MS)
            && let Some(peer) = table.peer(seat)
        {
            table.is_not_prompt(peer);
        }
    }

    /// With the standing that the peer has by now.
    pub fn asker(&self, before: Asker) -> Asker {
        if before.standing == PeerStanding::Trusted {
            before
        } else {
            self.table.borrow().asker(before.peer, now_ms())
        }
    }

    pub fn note(&self, refusal: Refusal, peer: Peer) {
        let now_ms = now_ms();
        self.refusals.note(refusal, peer, now_ms);
        if refusal.is_bad_manners() {
            self.table.borrow_mut().behaved_badly(peer, now_ms);
        }
    }

    pub fn warn(&self) {
        if let Some(w) = self.refusals.due(now_ms()) {
            let peer = w.busiest;
            tracing::warn!(
                %peer,
                of_this_peer = w.of_busiest,
                all = w.refused,
                reasons = w.reasons,
                "clients of the listener were refused; see docs/troubleshooting.md"
            );
        }
    }
}
