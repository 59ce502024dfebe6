//! How many answers are made at once, and who is next: one gate for scrapes, one for API and page.
//!
//! The gate is for making, not for taking. An answer that fits into its buffers leaves it before
//! the client has taken any of it; the maker of a larger one waits for its client, and while others
//! wait for the place, the client that has kept its maker waiting longest is cut off. A place is
//! kept for peers that take their answers promptly. Whoever was prompt once can be slow the next
//! time, with as many addresses as it has: among prompt peers a slow one is cut off as soon as it
//! would be for a better one, and who has been prompt for longest is next.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};

use super::peer::{Asker, Peer, PeerStanding};
use super::refusal::Refusal;
use crate::net::clock::{Clock, NS_PER_MS};
use crate::words::Ms;

/// Answers that are made at once.
const PLACES: usize = 4;
/// Of them for peers that are prompt, and for trusted ones.
const KEPT: usize = 1;
const QUEUE: Duration = Duration::from_secs(10);
/// How often one that waits looks for a client to cut off.
const LOOK: Duration = Duration::from_millis(100);
/// The same for one that is prompt or trusted: a scrape is to be answered within 100 ms.
const LOOK_OF_BETTER: Duration = Duration::from_millis(20);
/// A client that kept its maker waiting for so long, in sum, makes room.
const PATIENCE_MS: Ms = 2000;
/// The same among peers of good manners, among trusted ones, and among requests of one peer.
const PATIENCE_AMONG_GOOD_MS: Ms = 500;
/// The same where a peer of better standing waits, and among prompt peers: a prompt one takes its
/// answer in less, unless its line is long.
const PATIENCE_FOR_BETTER_MS: Ms = 50;

/// A client that kept its maker waiting for less, in sum, was prompt.
pub const PROMPT_MS: Ms = 500;

/// A request's way back to its client.
#[derive(Debug, Clone)]
pub struct ClientLink {
    pub asker: Asker,
    /// Cuts the client off.
    pub cut: Arc<Notify>,
    pub wait: Arc<Wait>,
}

/// How long a client keeps its maker waiting.
#[derive(Debug, Default)]
pub struct Wait {
    /// The answer went through a gate.
    is_made: AtomicBool,
    /// When the maker began to wait for its client; 0 while it does not.
    since_ms: AtomicU64,
    /// How long it has waited before.
    waited_ms: AtomicU64,
}

impl Wait {
    /// Whether the client, which has taken all of its answer, took one that was made for it, and
    /// was prompt.
    pub fn was_prompt(&self) -> bool {
        self.is_made.load(Ordering::Relaxed) && self.in_sum_ms() < PROMPT_MS
    }

    /// Whether the maker has waited for the client at all.
    pub fn kept_its_maker(&self) -> bool {
        self.in_sum_ms() > 0
    }

    fn in_sum_ms(&self) -> Ms {
        let since = self.since_ms.load(Ordering::Relaxed);
        let now = if since > 0 {
            now_ms().saturating_sub(since)
        } else {
            0
        };
        self.waited_ms.load(Ordering::Relaxed) + now
    }
}

/// Of a request that came without a connection, as tests send one.
impl Default for ClientLink {
    fn default() -> Self {
        let nobody = Peer::of(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        Self {
            asker: Asker {
                peer: nobody,
                standing: PeerStanding::Unknown,
                since_ms: 0,
            },
            cut: Arc::default(),
            wait: Arc::default(),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientLink {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts
            .extensions
            .get::<ClientLink>()
            .cloned()
            .unwrap_or_default())
    }
}

/// An answer that is being made.
pub struct Taking {
    line: ClientLink,
}

impl Taking {
    /// The client takes nothing for the moment.
    pub fn waits(&self) {
        self.line
            .wait
            .since_ms
            .store(now_ms().max(1), Ordering::Relaxed);
    }

    pub fn goes_on(&self) {
        let wait = &self.line.wait;
        let since = wait.since_ms.swap(0, Ordering::Relaxed);
        wait.waited_ms
            .fetch_add(now_ms().saturating_sub(since), Ordering::Relaxed);
    }

    fn waited_ms(&self) -> Ms {
        self.line.wait.in_sum_ms()
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
    line: ClientLink,
    place: oneshot::Sender<Place>,
}

/// The right to make an answer, until it is dropped.
pub struct Place {
    gate: Arc<Gate>,
    pub taking: Arc<Taking>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate
            .inside()
            .running
            .retain(|taking| !Arc::ptr_eq(taking, &self.taking));
        self.gate.call_in();
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            queue: QUEUE,
            inside: Mutex::default(),
        }
    }
}

impl Gate {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place.
    pub async fn enter(self: &Arc<Self>, line: &ClientLink) -> Result<Place, Refusal> {
        let (place, mut called) = oneshot::channel();
        self.inside().waiting.push(Waiter {
            line: line.clone(),
            place,
        });
        self.call_in();
        let (began, asker) = (Instant::now(), line.asker);
        let is_better = asker.standing >= PeerStanding::Prompt;
        if is_better && called.is_empty() {
            self.cut_off(asker);
        }
        while began.elapsed() < self.queue {
            match timeout(if is_better { LOOK_OF_BETTER } else { LOOK }, &mut called).await {
                Ok(place) => return place.map_err(|_| Refusal::Busy),
                Err(_) => self.cut_off(asker),
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
            waiter.line.wait.is_made.store(true, Ordering::Relaxed);
            let taking = Arc::new(Taking { line: waiter.line });
            inside.running.push(taking.clone());
            drop(inside);
            // Who has gone in this moment gives the place back, by its drop.
            let _ = waiter.place.send(Place {
                gate: self.clone(),
                taking,
            });
        }
    }

    /// Cuts off the client that keeps its maker waiting longest, if it does so for too long.
    fn cut_off(&self, waiting: Asker) {
        let inside = self.inside();
        let too_long = |taking: &Taking| {
            let asker = taking.line.asker;
            let patience = match waiting.standing {
                better if asker.standing < better => PATIENCE_FOR_BETTER_MS,
                PeerStanding::Unknown => PATIENCE_MS,
                PeerStanding::Prompt if asker.peer != waiting.peer => PATIENCE_FOR_BETTER_MS,
                PeerStanding::Good | PeerStanding::Prompt | PeerStanding::Trusted => {
                    PATIENCE_AMONG_GOOD_MS
                }
            };
            // A peer that is slow has lost the standing that it had when it asked.
            let is_own = asker.peer == waiting.peer && asker.standing < PeerStanding::Trusted;
            let may = asker.standing <= waiting.standing || is_own;
            may && taking.waited_ms() >= patience
        };
        if let Some(slowest) = inside
            .running
            .iter()
            .filter(|taking| too_long(taking))
            .max_by_key(|taking| taking.waited_ms())
        {
            slowest.line.cut.notify_one();
        }
    }
}

impl Inside {
    /// Who enters next, if anybody may: the best standing, then the peer that waits with the fewest
    /// requests, then the one that has been prompt for longest.
    fn next(&self) -> Option<usize> {
        let mut requests: HashMap<Peer, usize> = HashMap::new();
        for waiter in &self.waiting {
            *requests.entry(waiter.line.asker.peer).or_default() += 1;
        }
        let may = |standing| {
            self.running.len()
                < if standing < PeerStanding::Prompt {
                    PLACES - KEPT
                } else {
                    PLACES
                }
        };
        let waiting = self
            .waiting
            .iter()
            .enumerate()
            .filter(|(_, waiter)| may(waiter.line.asker.standing));
        waiting
            .min_by_key(|(n, w)| {
                (
                    std::cmp::Reverse(w.line.asker.standing),
                    requests[&w.line.asker.peer],
                    w.line.asker.since_ms,
                    *n,
                )
            })
            .map(|(n, _)| n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: u8, standing: PeerStanding) -> ClientLink {
        ClientLink {
            asker: Asker {
                peer: Peer::of([192, 0, 2, n].into()),
                standing,
                since_ms: 0,
            },
            ..ClientLink::default()
        }
    }

    #[tokio::test]
    async fn one_place_is_kept_and_others_wait_until_one_is_free() {
        let gate = Arc::new(Gate {
            queue: LOOK * 2,
            ..Gate::default()
        });
        let mut places = Vec::new();
        for n in 0..3 {
            places.push(
                gate.enter(&line(n, PeerStanding::Unknown))
                    .await
                    .unwrap_or_else(|refusal| panic!("{refusal:?}")),
            );
        }
        assert_eq!(
            gate.enter(&line(4, PeerStanding::Unknown)).await.err(),
            Some(Refusal::Busy)
        );
        assert_eq!(
            gate.enter(&line(5, PeerStanding::Good)).await.err(),
            Some(Refusal::Busy),
            "it may be slow all the same"
        );
        let prompt = gate.enter(&line(5, PeerStanding::Prompt)).await;
        assert!(prompt.is_ok(), "the kept place");
        assert_eq!(
            gate.enter(&line(6, PeerStanding::Trusted)).await.err(),
            Some(Refusal::Busy),
            "nobody takes its answer slowly"
        );
        drop(prompt);
        places.pop();
        assert!(gate.enter(&line(4, PeerStanding::Unknown)).await.is_ok());
        assert!(
            gate.inside().waiting.len() <= 2,
            "those that gave up are forgotten"
        );
    }

    #[tokio::test]
    async fn the_best_standing_is_next_and_then_the_peer_with_the_fewest_requests() {
        let gate = Arc::new(Gate::default());
        let mut places = Vec::new();
        for _ in 0..4 {
            places.push(
                gate.enter(&line(0, PeerStanding::Trusted))
                    .await
                    .unwrap_or_else(|refusal| panic!("{refusal:?}")),
            );
        }
        let (sender, mut entered) = tokio::sync::mpsc::unbounded_channel();
        for (n, standing) in [
            (1, PeerStanding::Prompt),
            (1, PeerStanding::Prompt),
            (2, PeerStanding::Prompt),
            (3, PeerStanding::Trusted),
        ] {
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
    async fn of_prompt_peers_the_one_that_has_been_prompt_for_longest_is_next() {
        let gate = Arc::new(Gate::default());
        let mut places = Vec::new();
        while places.len() < PLACES {
            let place = gate.enter(&line(0, PeerStanding::Trusted)).await;
            places.push(place.unwrap_or_else(|refusal| panic!("{refusal:?}")));
        }
        let (sender, mut entered) = tokio::sync::mpsc::unbounded_channel();
        for (n, since_ms) in [(1, 30), (2, 10), (3, 20)] {
            let (gate, sender) = (gate.clone(), sender.clone());
            let mut line = line(n, PeerStanding::Prompt);
            line.asker.since_ms = since_ms;
            tokio::spawn(async move {
                let place = gate.enter(&line).await;
                let _ = sender.send((n, place));
            });
            tokio::task::yield_now().await;
        }
        places.pop();
        for expected in [2, 3, 1] {
            let (n, _place) = entered.recv().await.expect("one enters after the other");
            assert_eq!(n, expected);
        }
    }

    #[tokio::test]
    async fn slow_ones_of_the_same_standing_are_cut_off_after_a_moment_for_another_prompt_peer() {
        for (waiting, is_soon) in [(9, true), (0, false)] {
            let gate = Arc::new(Gate::default());
            let mut slow = Vec::new();
            while slow.len() < PLACES {
                let place = gate.enter(&line(0, PeerStanding::Prompt)).await;
                let place = place.unwrap_or_else(|refusal| panic!("{refusal:?}"));
                place.taking.waits();
                slow.push(place);
            }
            for place in slow {
                let cut = place.taking.line.cut.clone();
                tokio::spawn(async move {
                    cut.notified().await;
                    drop(place);
                });
            }
            let began = Instant::now();
            let place = gate.enter(&line(waiting, PeerStanding::Prompt)).await;
            assert!(place.is_ok());
            let took = began.elapsed();
            assert_eq!(
                took < Duration::from_millis(400),
                is_soon,
                "a peer is patient with itself: {took:?}"
            );
        }
    }

    /// Slow readers were prompt when they asked; their peer is not any more.
    #[tokio::test]
    async fn a_peer_that_lost_its_standing_to_its_own_slow_readers_has_them_cut_off() {
        let gate = Arc::new(Gate::default());
        for n in 0..PLACES as u8 {
            let peer = if n < 3 { 0 } else { n };
            let place = gate.enter(&line(peer, PeerStanding::Prompt)).await;
            let place = place.unwrap_or_else(|refusal| panic!("{refusal:?}"));
            if peer == 0 {
                place.taking.waits();
            }
            let cut = place.taking.line.cut.clone();
            tokio::spawn(async move {
                cut.notified().await;
                drop(place);
            });
        }
        let _entered = gate
            .enter(&line(0, PeerStanding::Good))
            .await
            .unwrap_or_else(|refusal| panic!("{refusal:?}"));
        let other = line(77, PeerStanding::Good);
        assert!(
            timeout(Duration::from_secs(1), gate.enter(&other))
                .await
                .is_err(),
            "another peer takes no place from those of a better standing"
        );
    }

    #[tokio::test]
    async fn a_prompt_client_waits_for_no_slow_one_of_good_manners() {
        let gate = Arc::new(Gate::default());
        let mut slow = Vec::new();
        while slow.len() < PLACES - KEPT {
            let place = gate
                .enter(&line(slow.len() as u8, PeerStanding::Good))
                .await
                .unwrap_or_else(|refusal| panic!("{refusal:?}"));
            place.taking.waits();
            slow.push(place);
        }
        let others: Vec<_> = (10..20)
            .map(|n| (gate.clone(), line(n, PeerStanding::Good)))
            .collect();
        others.into_iter().for_each(|(gate, line)| {
            drop(tokio::spawn(async move { drop(gate.enter(&line).await) }))
        });
        tokio::task::yield_now().await;
        let began = Instant::now();
        let first = gate.enter(&line(30, PeerStanding::Prompt)).await;
        assert!(
            first.is_ok() && began.elapsed() < LOOK_OF_BETTER,
            "the kept place"
        );
        // A second one at the same time: a slow one makes room for it.
        let cut: Vec<Arc<Notify>> = slow
            .iter()
            .map(|place| place.taking.line.cut.clone())
            .collect();
        for (cut, place) in cut.into_iter().zip(slow) {
            tokio::spawn(async move {
                cut.notified().await;
                drop(place);
            });
        }
        assert!(gate.enter(&line(31, PeerStanding::Prompt)).await.is_ok());
        assert!(
            began.elapsed() < Duration::from_millis(100),
            "{:?}",
            began.elapsed()
        );
    }

    #[tokio::test]
    async fn only_who_took_a_made_answer_without_delay_was_prompt() {
        let gate = Arc::new(Gate::default());
        let line = line(1, PeerStanding::Unknown);
        assert!(!line.wait.was_prompt(), "nothing was made for it");
        let place = gate
            .enter(&line)
            .await
            .unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert!(line.wait.was_prompt() && !line.wait.kept_its_maker());
        place
            .taking
            .line
            .wait
            .waited_ms
            .store(PROMPT_MS, Ordering::Relaxed);
        assert!(!line.wait.was_prompt() && line.wait.kept_its_maker());
    }

    #[tokio::test]
    async fn who_waits_has_the_slowest_reader_cut_off_and_a_better_standing_sooner() {
        for (standing, least_ms, most_ms) in [
            (PeerStanding::Prompt, 50, 1000),
            (PeerStanding::Good, 50, 1000),
            (PeerStanding::Unknown, 2000, 3500),
        ] {
            let gate = Arc::new(Gate::default());
            let mut places = Vec::new();
            while places.len() < PLACES {
                let place = gate
                    .enter(&line(
                        1,
                        if places.len() < 3 {
                            PeerStanding::Unknown
                        } else {
                            PeerStanding::Trusted
                        },
                    ))
                    .await;
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
            if standing < PeerStanding::Prompt {
                places.pop();
            }
            assert!(gate.enter(&line(2, standing)).await.is_ok());
            let took = began.elapsed().as_millis();
            assert!(
                (least_ms..most_ms).contains(&took),
                "{standing:?}: {took} ms"
            );
            cut_off.await.expect("the slow one was cut off");
            assert!(
                timeout(Duration::from_millis(1), cut.notified())
                    .await
                    .is_err(),
                "one that takes its answer is not cut off"
            );
        }
    }
}
