//! Work apart from the thread that asks for it, on the runtime's pool of threads.
//!
//! A host can have no thread for a moment (TasksMax, a pids cgroup, `ulimit -u`). tokio's own call
//! then panics and ends the task that made it, for ever. Here that is a failure, which the caller
//! reports and tries again.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Arc, Mutex, Once, PoisonError};

use tokio::task::{JoinError, JoinHandle, spawn_blocking};

/// Why work was not done.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    #[error("the operating system gives this process no thread (see TasksMax and ulimit -u)")]
    NoThread,
    #[error("its thread ended by itself: {0}")]
    Ended(#[from] JoinError),
}

/// Begins it, and waits for nothing.
pub fn begin(work: impl FnOnce() + Send + 'static) -> Result<(), NotDone> {
    begun(work).map(drop)
}

/// Begins it now, or with the next thread that there is.
pub fn sometime(work: impl FnOnce() + Send + 'static) {
    // tokio has put it into its queue before it looks for a thread.
    drop(in_pool(work));
}

/// Does it, and goes on with it where nobody waits any more.
pub async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NotDone> {
    begun(work)?.await?.ok_or(NotDone::NoThread)
}

/// Does it as long as somebody waits: what nobody waits for any more is not begun.
pub async fn run_if_wanted<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NotDone> {
    struct WantedWork<T>(JoinHandle<T>);
    impl<T> Drop for WantedWork<T> {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let mut wanted = WantedWork(begun(work)?);
    (&mut wanted.0).await?.ok_or(NotDone::NoThread)
}

/// The pool keeps what it found no thread for. Such work is taken back: with each try there would
/// be more of it.
fn begun<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<Option<T>>, NotDone> {
    let place = Arc::new(Mutex::new(Some(work)));
    let taken = {
        let place = place.clone();
        move || place.lock().unwrap_or_else(PoisonError::into_inner).take()
    };
    let take = taken.clone();
    in_pool(move || take().map(|work| work())).inspect_err(|_| drop(taken()))
}

thread_local! {
    static IS_HANDING_OVER: Cell<bool> = const { Cell::new(false) };
}

/// tokio's panic is a failure here, so it is no message on standard error either.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that catches its panic"
)]
fn in_pool<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, NotDone> {
    static HOOKED: Once = Once::new();
    if !std::thread::panicking() {
        HOOKED.call_once(|| {
            let others = take_hook();
            set_hook(Box::new(move |panic| {
                if !IS_HANDING_OVER.get() {
                    others(panic)
                }
            }));
        });
    }
    IS_HANDING_OVER.set(true);
    let begun = catch_unwind(AssertUnwindSafe(|| spawn_blocking(work)));
    IS_HANDING_OVER.set(false);
    begun.map_err(|_| NotDone::NoThread)
}

/// Runs it on a thread of its own that can start no other one.
#[cfg(test)]
pub fn without_threads<T: Send + 'static>(of: impl FnOnce() -> T + Send + 'static) -> T {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    let confined = move || {
        let calls = [libc::SYS_clone, libc::SYS_clone3]
            .into_iter()
            .map(|call| (call, Vec::new()))
            .collect();
        let arch = std::env::consts::ARCH.try_into().expect("known");
        let filter = SeccompFilter::new(
            calls,
            SeccompAction::Allow,
            SeccompAction::Errno(libc::EAGAIN as u32),
            arch,
        )
        .expect("a filter");
        seccompiler::apply_filter(&BpfProgram::try_from(filter).expect("a program"))
            .expect("applied");
        of()
    };
    std::thread::spawn(confined).join().expect("no panic")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn without_a_thread_work_fails_and_is_given_back_and_works_again_later() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let (handle, done, held) = (
            runtime.handle().clone(),
            Arc::new(AtomicUsize::new(0)),
            Arc::new(()),
        );
        let (count, kept) = (done.clone(), held.clone());
        let failed = without_threads(move || {
            handle.block_on(async {
                let (once, twice, later, mine) =
                    (count.clone(), count.clone(), count.clone(), kept.clone());
                let of_run = run(move || once.fetch_add(1, Ordering::SeqCst)).await;
                let of_begin = begin(move || {
                    twice.fetch_add(10, Ordering::SeqCst);
                    drop(mine);
                });
                let of_wanted = run_if_wanted(|| ()).await;
                sometime(move || {
                    later.fetch_add(100, Ordering::SeqCst);
                });
                drop(kept);
                [of_run.map(drop).err(), of_begin.err(), of_wanted.err()]
                    .map(|error| matches!(error, Some(NotDone::NoThread)))
            })
        });
        assert_eq!(failed, [true; 3]);
        assert_eq!(
            (done.load(Ordering::SeqCst), Arc::strong_count(&held)),
            (0, 1),
            "what failed is not kept"
        );
        assert_eq!(
            runtime
                .block_on(run(|| 7))
                .expect("there are threads again"),
            7
        );
        runtime.shutdown_timeout(Duration::from_secs(60));
        assert_eq!(
            done.load(Ordering::SeqCst),
            100,
            "what was taken back is never done"
        );
    }

    #[test]
    fn a_panic_of_the_work_is_a_failure() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let failed: Result<(), NotDone> = runtime.block_on(run(|| panic!("a bug")));
        assert!(matches!(failed, Err(NotDone::Ended(_))));
    }
}
