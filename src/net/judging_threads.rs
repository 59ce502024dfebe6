//! The threads on which answers are judged, and whose answer is next.
//!
//! There are few such threads, and an answer may take one for a while. A host whose answers take
//! long must not keep those of others waiting: who has fewest threads gets the next one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Threads for judging: one fewer than the engine's pool has, for what else it does.
pub const THREADS: usize = 3;

/// The threads for judging, of all probes.
#[derive(Default)]
pub struct JudgingThreads(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    /// How many threads each host has.
    taken: HashMap<u64, usize>,
    waiting: VecDeque<(u64, oneshot::Sender<JudgingThread>)>,
}

/// A thread of a host, until all copies are dropped: the probe has one, and so has the work on the
/// thread, which goes on for a while where the probe has gone.
#[derive(Clone)]
pub struct JudgingThread {
    _thread: Arc<TakenThread>,
}

struct TakenThread {
    queue: Arc<Mutex<Queue>>,
    host: u64,
}

fn locked(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl JudgingThreads {
    /// Waits for a thread, for a host by its hash.
    pub async fn one_for(&self, host: u64) -> JudgingThread {
        let (sender, receiver) = oneshot::channel();
        locked(&self.0).waiting.push_back((host, sender));
        hand_on(&self.0);
        match receiver.await {
            Ok(thread) => thread,
            // The queue lives as long as whoever waits in it; without it nobody else has a thread.
            Err(_) => {
                *locked(&self.0).taken.entry(host).or_default() += 1;
                JudgingThread::of(&self.0, host)
            }
        }
    }
}

impl JudgingThread {
    /// Of a thread that is counted as taken already.
    fn of(queue: &Arc<Mutex<Queue>>, host: u64) -> Self {
        Self {
            _thread: Arc::new(TakenThread {
                queue: queue.clone(),
                host,
            }),
        }
    }
}

impl Drop for TakenThread {
    fn drop(&mut self) {
        {
            let taken = &mut locked(&self.queue).taken;
            if let Some(count) = taken.get_mut(&self.host) {
                *count -= 1;
            }
            taken.retain(|_, count| *count > 0);
        }
        hand_on(&self.queue);
    }
}

/// Gives the threads that are free to those who wait.
fn hand_on(queue: &Arc<Mutex<Queue>>) {
    loop {
        let chosen = next(&mut locked(queue));
        let Some((host, sender)) = chosen else {
            return;
        };
        // Where the probe has gone meanwhile, the thread comes back here.
        let _ = sender.send(JudgingThread::of(queue, host));
    }
}

fn next(queue: &mut Queue) -> Option<(u64, oneshot::Sender<JudgingThread>)> {
    queue.waiting.retain(|(_, sender)| !sender.is_closed());
    if queue.taken.values().sum::<usize>() >= THREADS {
        return None;
    }
    let of = |host: &u64| queue.taken.get(host).copied().unwrap_or(0);
    let first = queue
        .waiting
        .iter()
        .enumerate()
        .min_by_key(|(_, (host, _))| of(host))
        .map(|(at, _)| at)?;
    let (host, sender) = queue.waiting.remove(first)?;
    // Counted before the lock is left: another thread may hand on at the same time.
    *queue.taken.entry(host).or_default() += 1;
    Some((host, sender))
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    type Wait<'t> = Pin<Box<dyn Future<Output = JudgingThread> + 't>>;

    fn polled(wait: &mut Wait<'_>) -> Option<JudgingThread> {
        match wait.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(thread) => Some(thread),
            Poll::Pending => None,
        }
    }

    #[test]
    fn the_next_thread_is_for_the_host_that_has_fewest() {
        let threads = JudgingThreads::default();
        let wait = |host| -> Wait<'_> { Box::pin(threads.one_for(host)) };
        let mut of_one: Vec<Wait<'_>> = (0..THREADS + 2).map(|_| wait(1)).collect();
        let mut held: Vec<JudgingThread> = of_one.iter_mut().filter_map(polled).collect();
        assert_eq!(held.len(), THREADS, "nobody else waits");
        let mut other = wait(2);
        assert!(polled(&mut other).is_none());
        held.pop();
        assert!(of_one[THREADS..].iter_mut().all(|w| polled(w).is_none()));
        let of_other = polled(&mut other).expect("before those who came first");
        drop(of_other);
        let more: Vec<JudgingThread> = of_one[THREADS..].iter_mut().filter_map(polled).collect();
        assert_eq!(more.len(), 1, "in the order in which they came");
    }

    #[test]
    fn a_turn_of_a_probe_that_has_gone_goes_to_the_next_one() {
        let threads = JudgingThreads::default();
        let wait = |host| -> Wait<'_> { Box::pin(threads.one_for(host)) };
        let mut all: Vec<Wait<'_>> = (0..THREADS as u64).map(wait).collect();
        let held: Vec<JudgingThread> = all.iter_mut().filter_map(polled).collect();
        let (mut gone, mut handed, mut last) = (wait(7), wait(8), wait(9));
        assert!(
            [&mut gone, &mut handed, &mut last]
                .into_iter()
                .all(|w| polled(w).is_none())
        );
        drop(gone);
        drop(held);
        drop(handed);
        assert!(polled(&mut last).is_some());
        drop(last);
        let queue = locked(&threads.0);
        assert!(queue.taken.is_empty() && queue.waiting.is_empty());
    }
}
