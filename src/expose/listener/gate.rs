//! How many answers are made at once, and who is next: one gate for scrapes, one for API and page.
//!
//! The gate is for making, not for taking. An answer that fits into its buffers leaves it before the client has taken
//! any of it; the maker of a larger one waits for its client, and while others wait for the place, the client that has
//! kept its maker waiting longest is cut off.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};

use super::refusal::Refusal;
use super::table::{Asker, Peer, Standing};
use crate::outward::clock::{Clock, NS_PER_MS};
use crate::words::Ms;

/// Answers that are made at once.
const PLACES: usize = 4;
/// Of them for peers of good manners.
const KEPT: usize = 1;
const QUEUE: Duration = Duration::from_secs(10);
/// How often one that waits looks for a client to cut off.
const LOOK: Duration = Duration::from_millis(100);
/// A client that kept its maker waiting for so long, in sum, makes room.
const PATIENCE_MS: Ms = 2000;
/// The same among peers of good manners.
const PATIENCE_AMONG_GOOD_MS: Ms = 500;
/// The same where a peer of better standing waits.
const PATIENCE_FOR_BETTER_MS: Ms = 50;

/// A request's way back to its client.
#[derive(Debug, Clone)]
pub struct Line {
    pub asker: Asker,
    /// Cuts the client off.
    pub cut: Arc<Notify>,
}

/// Of a request that came without a connection, as tests send one.
impl Default for Line {
    fn default() -> Self {
        let nobody = Peer::of(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        Self { asker: Asker { peer: nobody, standing: Standing::Unknown }, cut: Arc::default() }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Line {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Line>().cloned().unwrap_or_default())
    }
}

/// An answer that is being made.
pub struct Taking {
    line: Line,
    /// When the maker began to wait for its client; 0 while it does not.
    since_ms: AtomicU64,
    /// How long it has waited before.
    waited_ms: AtomicU64,
}

impl Taking {
    /// The client takes nothing for the moment.
    pub fn waits(&self) {
        self.since_ms.store(now_ms().max(1), Ordering::Relaxed);
    }

    pub fn goes_on(&self) {
        let since = self.since_ms.swap(0, Ordering::Relaxed);
        self.waited_ms.fetch_add(now_ms().saturating_sub(since), Ordering::Relaxed);
    }

    fn waited_ms(&self) -> Ms {
        let since = self.since_ms.load(Ordering::Relaxed);
        let now = if since > 0 { now_ms().saturating_sub(since) } else { 0 };
        self.waited_ms.load(Ordering::Relaxed) + now
    }
}

fn now_ms() -> Ms {
    Clock::Real.boot_ns() / NS_PER_MS
}

pub struct Gate {
    /// A request that finds no place for so long is refused.
    queue: Duration,
    /// Locked for moments, by the listener's thread and its makers.
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    running: Vec<Arc<Taking>>,
    /// In the order of their coming.
    waiting: Vec<Waiter>,
}

struct Waiter {
    line: Line,
    place: oneshot::Sender<Place>,
}

/// The right to make an answer, until it is dropped.
pub struct Place {
    gate: Arc<Gate>,
    pub taking: Arc<Taking>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.inside().running.retain(|taking| !Arc::ptr_eq(taking, &self.taking));
        self.gate.call_in();
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self { queue: QUEUE, inside: Mutex::default() }
    }
}

impl Gate {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place.
    pub async fn enter(self: &Arc<Self>, line: &Line) -> Result<Place, Refusal> {
        let (place, mut called) = oneshot::channel();
        self.inside().waiting.push(Waiter { line: line.clone(), place });
        self.call_in();
        let began = Instant::now();
        while began.elapsed() < self.queue {
            match timeout(LOOK, &mut called).await {
                Ok(place) => return place.map_err(|_| Refusal::Busy),
                Err(_) => self.cut_off(line.asker.standing),
            }
        }
        Err(Refusal::Busy)
    }

    /// Gives every free place to who is next.
    fn call_in(self: &Arc<Self>) {
        loop {
            let mut inside = self.inside();
            inside.waiting.retain(|waiter| !waiter.place.is_closed());
            let Some(next) = inside.next() else { return };
            let waiter = inside.waiting.remove(next);
            let taking = Arc::new(Taking { line: waiter.line, since_ms: AtomicU64::new(0), waited_ms: AtomicU64::new(0) });
            inside.running.push(taking.clone());
            drop(inside);
            // Who has gone in this moment gives the place back, by its drop.
            let _ = waiter.place.send(Place { gate: self.clone(), taking });
        }
    }

    /// Cuts off the client that keeps its maker waiting longest, if it does so for too long.
    fn cut_off(&self, standing: Standing) {
        let inside = self.inside();
        let too_long = |taking: &Taking| {
            let patience = match standing {
                _ if taking.line.asker.standing < standing => PATIENCE_FOR_BETTER_MS,
                Standing::Unknown => PATIENCE_MS,
                Standing::Good | Standing::Trusted => PATIENCE_AMONG_GOOD_MS,
            };
            taking.line.asker.standing <= standing && taking.waited_ms() >= patience
        };
        if let Some(slowest) = inside.running.iter().filter(|taking| too_long(taking)).max_by_key(|taking| taking.waited_ms()) {
            slowest.line.cut.notify_one();
        }
    }
}

impl Inside {
    /// Who enters next, if anybody may: the best standing, then the peer that waits with the fewest requests.
    fn next(&self) -> Option<usize> {
        let mut requests: HashMap<Peer, usize> = HashMap::new();
        for waiter in &self.waiting {
            *requests.entry(waiter.line.asker.peer).or_default() += 1;
        }
        let may = |standing| self.running.len() < if standing == Standing::Unknown { PLACES - KEPT } else { PLACES };
        let waiting = self.waiting.iter().enumerate().filter(|(_, waiter)| may(waiter.line.asker.standing));
        waiting.min_by_key(|(n, w)| (std::cmp::Reverse(w.line.asker.standing), requests[&w.line.asker.peer], *n)).map(|(n, _)| n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: u8, standing: Standing) -> Line {
        Line { asker: Asker { peer: Peer::of([192, 0, 2, n].into()), standing }, cut: Arc::default() }
    }

    #[tokio::test]
    async fn one_place_is_kept_and_others_wait_until_one_is_free() {
        let gate = Arc::new(Gate { queue: LOOK * 2, ..Gate::default() });
        let mut places = Vec::new();
        for n in 0..3 {
            places.push(gate.enter(&line(n, Standing::Unknown)).await.unwrap_or_else(|refusal| panic!("{refusal:?}")));
        }
        assert_eq!(gate.enter(&line(4, Standing::Unknown)).await.err(), Some(Refusal::Busy));
        let good = gate.enter(&line(5, Standing::Good)).await;
        assert!(good.is_ok(), "the kept place");
        assert_eq!(gate.enter(&line(6, Standing::Trusted)).await.err(), Some(Refusal::Busy), "nobody takes its answer slowly");
        drop(good);
        places.pop();
        assert!(gate.enter(&line(4, Standing::Unknown)).await.is_ok());
        assert!(gate.inside().waiting.len() <= 2, "those that gave up are forgotten");
    }

    #[tokio::test]
    async fn the_best_standing_is_next_and_then_the_peer_with_the_fewest_requests() {
        let gate = Arc::new(Gate::default());
        let mut places = Vec::new();
        for _ in 0..4 {
            places.push(gate.enter(&line(0, Standing::Trusted)).await.unwrap_or_else(|refusal| panic!("{refusal:?}")));
        }
        let (sender, mut entered) = tokio::sync::mpsc::unbounded_channel();
        for (n, standing) in [(1, Standing::Good), (1, Standing::Good), (2, Standing::Good), (3, Standing::Trusted)] {
            let (gate, sender) = (gate.clone(), sender.clone());
            tokio::spawn(async move {
                let place = gate.enter(&line(n, standing)).await;
                let _ = sender.send((n, place));
            });
            tokio::task::yield_now().await;
        }
        places.pop();
        let mut order = Vec::new();
        for _ in 0..4 {
            let (n, _place) = entered.recv().await.expect("one enters after the other");
            order.push(n);
        }
        assert_eq!(order, [3, 2, 1, 1]);
    }

    #[tokio::test]
    async fn who_waits_has_the_slowest_reader_cut_off_and_a_better_standing_sooner() {
        for (standing, least_ms, most_ms) in [(Standing::Good, 50, 1000), (Standing::Unknown, 2000, 3500)] {
            let gate = Arc::new(Gate::default());
            let mut places = Vec::new();
            while places.len() < PLACES {
                let place = gate.enter(&line(1, if places.len() < 3 { Standing::Unknown } else { Standing::Trusted })).await;
                places.push(place.unwrap_or_else(|refusal| panic!("{refusal:?}")));
            }
            let (slow, cut) = (places.remove(1), places[0].taking.line.cut.clone());
            slow.taking.waits();
            let began = Instant::now();
            let is_cut = slow.taking.line.cut.clone();
            // The connection of the slow reader ends, and with it the maker and its place.
            let cut_off = tokio::spawn(async move {
                is_cut.notified().await;
                drop(slow);
            });
            if standing == Standing::Unknown {
                places.pop();
            }
            assert!(gate.enter(&line(2, standing)).await.is_ok());
            let took = began.elapsed().as_millis();
            assert!((least_ms..most_ms).contains(&took), "{standing:?}: {took} ms");
            cut_off.await.expect("the slow one was cut off");
            assert!(timeout(Duration::from_millis(1), cut.notified()).await.is_err(), "one that takes its answer is not cut off");
        }
    }
}
