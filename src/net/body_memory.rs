//! Memory for bodies that are being judged: all probes of a thread share it, and wait for it in
//! their own time.
//!
//! A decoded body holds its share of the first part until it is judged, and takes one of the second
//! only after that: whoever waits for the first holds nothing. A large body as it comes holds a
//! share of the third from its 64th KiB until it is judged; a peer that sends slowly gives it back,
//! so that it holds up nobody else's. Where there is a queue, one that sends nothing gives it back
//! at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, Instant};

use super::trace::{Stage, Trace};

/// For what codings hide.
const DECODED: usize = 8 << 20;
/// For values made of JSON.
const VALUES: usize = 40 << 20;
/// For large bodies as they come, until they are judged.
const BODIES: usize = 16 << 20;
/// A body up to this is no large one.
const SMALL_BODY: usize = 64 << 10;
/// A body that takes longer than this from its share to its end gives the share back.
const SLOW: Duration = Duration::from_millis(250);
/// So does one that had to wait for its share, and of which nothing comes for so long: what a peer
/// sent in the meantime is here already.
const SILENT: Duration = Duration::from_millis(50);
/// What a value of JSON takes, with its place in a list or a map.
const VALUE_BYTES: usize = 64;
/// The unit in which shares are counted.
const UNIT: usize = 1024;

#[derive(Debug)]
pub struct BodyMemory {
    bodies: Arc<Semaphore>,
    decoded: Arc<Semaphore>,
    values: Arc<Semaphore>,
}

impl Default for BodyMemory {
    fn default() -> Self {
        let of = |bytes: usize| Arc::new(Semaphore::new(bytes / UNIT));
        Self {
            bodies: of(BODIES),
            decoded: of(DECODED),
            values: of(VALUES),
        }
    }
}

/// A share of the memory, given back when it is dropped. Nothing where the semaphore is gone, which
/// ends with its thread.
pub type Share = Option<OwnedSemaphorePermit>;

impl BodyMemory {
    /// Room for a body of at most `limit` bytes to be undone in.
    pub async fn decoded(&self, limit: u64) -> Share {
        share(
            &self.decoded,
            usize::try_from(limit).unwrap_or(DECODED),
            DECODED,
        )
        .await
    }

    /// Room for what JSON text becomes.
    pub async fn values(&self, bytes: usize) -> Share {
        share(&self.values, bytes, VALUES).await
    }
}

/// The share of one body, while it comes.
#[derive(Debug, Default)]
pub struct Incoming {
    share: Share,
    state: IncomingState,
}

#[derive(Debug, Default, Clone, Copy)]
enum IncomingState {
    #[default]
    Small,
    /// Until when the share is held, and how long nothing may come.
    Held(Instant, Duration),
    Slow,
}

impl Incoming {
    /// Before more is read of a body that may become `most` bytes long, of which `kept` are here.
    /// Waiting is the prober's own time.
    pub async fn more(&mut self, memory: &BodyMemory, trace: &Trace, (kept, most): (usize, u64)) {
        match self.state {
            IncomingState::Small if kept > SMALL_BODY => {
                trace.enter(Stage::Judging);
                let began = Instant::now();
                self.share = share(
                    &memory.bodies,
                    usize::try_from(most).unwrap_or(BODIES),
                    BODIES,
                )
                .await;
                let has_waited = began.elapsed() >= SILENT;
                self.state = IncomingState::Held(
                    Instant::now() + SLOW,
                    if has_waited { SILENT } else { SLOW },
                );
                trace.reads_again(Stage::Transfer);
            }
            IncomingState::Small | IncomingState::Held(..) | IncomingState::Slow => {}
        }
    }

    /// Ends when the peer has taken too long for a body that holds a share, or for the next part of
    /// it, and gives that back; until then, and for every other body, it does not end.
    pub async fn turns_slow(&mut self) {
        let IncomingState::Held(until, silent) = self.state else {
            return std::future::pending().await;
        };
        tokio::time::sleep_until(until.min(Instant::now() + silent)).await;
        self.share = None;
        self.state = IncomingState::Slow;
    }

    /// What is to be kept for a body of this length until it is judged.
    pub fn held(mut self, bytes: usize) -> Share {
        shrink(&mut self.share, bytes);
        self.share
    }
}

/// What asks for more than there is gets all of it, and runs alone.
async fn share(of: &Arc<Semaphore>, bytes: usize, all: usize) -> Share {
    let units = bytes.min(all).div_ceil(UNIT);
    of.clone()
        .acquire_many_owned(u32::try_from(units).unwrap_or(u32::MAX))
        .await
        .ok()
}

/// Gives back what `bytes` do not need.
pub fn shrink(share: &mut Share, bytes: usize) {
    if let Some(permit) = share {
        drop(permit.split(permit.num_permits().saturating_sub(bytes.div_ceil(UNIT))));
    }
}

/// What JSON text becomes in memory, at most: its texts, and a value for each comma, colon and
/// bracket.
pub fn of_json(text: &[u8]) -> usize {
    text.len()
        + VALUE_BYTES
            * text
                .iter()
                .filter(|b| matches!(b, b',' | b':' | b'[' | b'{'))
                .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn what_does_not_fit_waits_and_what_is_larger_than_all_runs_alone() {
        let memory = BodyMemory::default();
        let first = memory.values(VALUES / 2).await;
        let second = memory.values(VALUES / 2).await;
        assert!(
            timeout(Duration::from_millis(20), memory.values(1))
                .await
                .is_err()
        );
        drop(first);
        assert!(memory.values(1).await.is_some());
        assert!(
            timeout(Duration::from_millis(20), memory.values(usize::MAX))
                .await
                .is_err()
        );
        drop(second);
        assert!(memory.values(usize::MAX).await.is_some());
    }

    #[tokio::test]
    async fn what_turns_out_small_leaves_room_for_others() {
        let memory = BodyMemory::default();
        let mut first = memory.decoded(u64::MAX).await;
        assert!(
            timeout(Duration::from_millis(20), memory.decoded(1))
                .await
                .is_err()
        );
        shrink(&mut first, 1000);
        assert!(memory.decoded(DECODED as u64 - 1024).await.is_some());
    }

    #[tokio::test]
    async fn a_large_body_waits_for_room_and_a_slow_one_gives_its_room_back() {
        let memory = BodyMemory::default();
        let trace = Trace::begin();
        let (mut first, mut second, mut small) = (
            Incoming::default(),
            Incoming::default(),
            Incoming::default(),
        );
        let all = BODIES as u64;
        first.more(&memory, &trace, (SMALL_BODY + 1, all)).await;
        small.more(&memory, &trace, (SMALL_BODY, all)).await;
        assert!(
            small.held(SMALL_BODY).is_none(),
            "a small one asks for nothing"
        );
        assert!(
            timeout(
                Duration::from_millis(20),
                second.more(&memory, &trace, (SMALL_BODY + 1, all))
            )
            .await
            .is_err()
        );
        assert_eq!(trace.stage(), Stage::Judging, "waiting is our own");
        assert!(timeout(SLOW / 2, first.turns_slow()).await.is_err());
        assert!(first.share.is_some(), "not slow yet");
        assert!(timeout(SLOW, first.turns_slow()).await.is_ok());
        assert!(timeout(SLOW, first.turns_slow()).await.is_err(), "once");
        first.more(&memory, &trace, (SMALL_BODY + 3, all)).await;
        assert!(first.held(SMALL_BODY).is_none());
        assert!(
            timeout(
                Duration::from_millis(20),
                second.more(&memory, &trace, (SMALL_BODY + 1, all))
            )
            .await
            .is_ok()
        );
        assert!(second.held(SMALL_BODY).is_some());
        assert_eq!(trace.stage(), Stage::Transfer);
    }

    #[tokio::test]
    async fn peers_that_send_nothing_hold_up_a_queue_for_a_moment_each() {
        let (memory, all) = (BodyMemory::default(), BODIES as u64);
        let began = Instant::now();
        let mut held = Vec::new();
        for _ in 0..5 {
            let (trace, mut incoming) = (Trace::begin(), Incoming::default());
            let waits = incoming.more(&memory, &trace, (SMALL_BODY + 1, all));
            match held.last_mut() {
                Some(last) => drop(tokio::join!(waits, Incoming::turns_slow(last))),
                None => waits.await,
            }
            held.push(incoming);
        }
        assert!(
            (SLOW + 3 * SILENT..3 * SLOW).contains(&began.elapsed()),
            "{:?}",
            began.elapsed()
        );
    }

    #[test]
    fn many_small_values_weigh_more_than_a_long_text() {
        assert!(of_json(b"[0,0,0,0,0,0,0,0]") > of_json(&b"x".repeat(500)));
    }
}
