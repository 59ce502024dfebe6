//! Work on a thread of its own, whose caller waits for a bounded time whatever the thread does.
//!
//! The daemon's own calls use it. A server can keep the thread that parses its answer busy, so that
//! thread must be neither the daemon's main thread nor one of the pool that reloads and files use.
//! Work that goes on after its caller has left keeps its place until it ends: threads cannot pile
//! up beyond the number of places.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use super::apart::NotDone;
use super::sys::yield_to_other_threads;

/// Why nobody has an answer of the work.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    #[error(transparent)]
    NoThread(NotDone),
    #[error("its thread ended by itself; please report this")]
    Ended,
    #[error("no answer within {} s, and the call has not ended", .0.as_secs())]
    StillAtWork(Duration),
}

/// How many threads may be at work at once.
#[derive(Debug)]
pub struct CallPlaces(Arc<Semaphore>);

/// One of them. It is free again when it is dropped.
#[derive(Debug)]
pub struct CallPlace(#[expect(dead_code, reason = "it is held, not read")] OwnedSemaphorePermit);

impl CallPlaces {
    pub fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }

    pub fn free(&self) -> usize {
        self.0.available_permits()
    }

    pub fn take(&self) -> Option<CallPlace> {
        self.0.clone().try_acquire_owned().ok().map(CallPlace)
    }
}

/// Does the work on a new thread, and waits so long for what it comes to. The place is free when
/// the work has ended, also by a panic.
pub async fn run_within<T: Send + 'static>(
    limit: Duration,
    place: CallPlace,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NoAnswer> {
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new()
        .name("own-call".into())
        .spawn(move || {
            // A server that keeps it busy takes no time from the probes and the main thread.
            yield_to_other_threads();
            let came_to = work();
            // Before anybody hears of the end, who may want the place.
            drop(place);
            drop(tell.send(came_to));
        })
        .map_err(|_| NoAnswer::NoThread(NotDone::NoThread))?;
    match timeout(limit, told).await {
        Ok(Ok(came_to)) => Ok(came_to),
        Ok(Err(_)) => Err(NoAnswer::Ended),
        Err(_) => Err(NoAnswer::StillAtWork(limit)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::net::apart::without_threads;

    const LIMIT: Duration = Duration::from_millis(50);
    const PATIENCE: Duration = Duration::from_secs(60);

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(future)
    }

    #[test]
    fn the_caller_leaves_work_that_blocks_and_the_place_stays_taken_until_it_ends() {
        let places = CallPlaces::new(1);
        let (end, ended) = mpsc::channel::<()>();
        let place = places.take().expect("a place");
        let waited = block_on(run_within(LIMIT, place, move || ended.recv()));
        assert!(
            matches!(waited, Err(NoAnswer::StillAtWork(LIMIT))),
            "{waited:?}"
        );
        assert_eq!(places.free(), 0, "its work goes on");
        assert!(places.take().is_none());
        drop(end);
        let freed = places.0.clone();
        let free = block_on(async { timeout(PATIENCE, freed.acquire_owned()).await });
        assert!(free.is_ok(), "its work has ended");
    }

    #[test]
    fn a_panic_of_the_work_is_a_failure_and_gives_the_place_back() {
        let places = CallPlaces::new(1);
        let place = places.take().expect("a place");
        let failed: Result<(), _> = block_on(run_within(PATIENCE, place, || panic!("a bug")));
        assert!(matches!(failed, Err(NoAnswer::Ended)), "{failed:?}");
        assert_eq!(places.free(), 1);
    }

    #[test]
    fn without_a_thread_work_fails_and_gives_the_place_back() {
        let (failed, free) = without_threads(|| {
            let places = CallPlaces::new(1);
            let place = places.take().expect("a place");
            (block_on(run_within(PATIENCE, place, || ())), places.free())
        });
        assert!(
            failed.is_err_and(|why| why.to_string().contains("no thread")) && free == 1,
            "{free}"
        );
        let places = CallPlaces::new(1);
        let place = places.take().expect("a place");
        let done = block_on(run_within(PATIENCE, place, || 7));
        assert_eq!((done.ok(), places.free()), (Some(7), 1));
    }
}
