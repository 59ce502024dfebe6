//! The dead man's switch: tells an outside service that we live, only while the scheduler makes
//! progress.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::config::Plan;
use crate::config::document::secret::Secret;
use crate::config::plan::Proxies;
use crate::net::authorities::Authorities;
use crate::net::own_calls::{OwnCall, OwnCalls, WantedAnswer};
use crate::net::own_thread::CallPlaces;

/// Calls as often as the config says while `alive` holds. What fails is tried again with the next
/// ping.
pub async fn run(
    plan: Arc<ArcSwap<Plan>>,
    authorities: Arc<Authorities>,
    alive: impl Fn() -> bool,
) {
    let (own_calls, places) = (OwnCalls::new(authorities), CallPlaces::new(1));
    loop {
        let Some(deadman) = plan.load().deadman.clone() else {
            tokio::time::sleep(Duration::from_secs(5)).await;
            continue;
        };
        if alive() {
            let proxies = plan.load().proxies;
            ping(&own_calls, &places, &deadman.url, proxies).await;
        }
        tokio::time::sleep(Duration::from_millis(deadman.every)).await;
    }
}

async fn ping(own_calls: &OwnCalls, places: &CallPlaces, url: &Secret, proxies: Proxies) {
    let Some(place) = places.take() else {
        tracing::warn!(
            "dead man's switch not pinged: its server still holds the ping before; expect it to \
                alert"
        );
        return;
    };
    let call = OwnCall {
        url: url.reveal().to_owned(),
        headers: Vec::new(),
        body: None,
        proxies,
        wanted: WantedAnswer::Status,
        secrets: vec![url.clone()],
    };
    match own_calls.call(place, call).await {
        Ok(answer) if answer.status.is_success() => {}
        Ok(answer) => tracing::warn!(
            status = answer.status.as_u16(),
            "dead man's switch rejected the ping; expect it to alert"
        ),
        Err(error) => tracing::warn!(
            error,
            "dead man's switch did not answer; expect it to alert"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::config::load;
    use crate::net::config_files::Files;

    /// A switch on this port of loopback, called every second.
    fn planned(directory: &Path, port: u16) -> Arc<ArcSwap<Plan>> {
        let file = |name: &str, text: &str| {
            let path = directory.join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let url = file("url", &format!("http://127.0.0.1:{port}/"));
        let config = file(
            "c.toml",
            &format!("[deadman]\nurl = {{ file = {url:?} }}\nevery = \"1s\"\n"),
        );
        let plan = load(&config, &Files).unwrap_or_else(|faults| panic!("{faults:#?}"));
        Arc::new(ArcSwap::from_pointee(plan))
    }

    #[tokio::test]
    async fn nobody_is_called_while_no_progress_is_made() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let directory = tempfile::tempdir().expect("a directory");
        let port = listener.local_addr().expect("bound").port();
        let plan = planned(directory.path(), port);
        listener.set_nonblocking(true).expect("set");
        let (lives, asked) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let (alive, times) = (lives.clone(), asked.clone());
        let authorities = Authorities::of_the_system();
        let switch = tokio::spawn(run(plan, authorities, move || {
            times.fetch_add(1, Ordering::SeqCst);
            alive.load(Ordering::SeqCst)
        }));
        let until_asked = |n: usize| {
            let asked = asked.clone();
            async move {
                while asked.load(Ordering::SeqCst) < n {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        };
        until_asked(2).await;
        assert!(listener.accept().is_err(), "nobody was called");
        lives.store(true, Ordering::SeqCst);
        until_asked(3).await;
        let called = async {
            while listener.accept().is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(
            tokio::time::timeout(Duration::from_secs(10), called)
                .await
                .is_ok(),
            "it is called once there is progress"
        );
        switch.abort();
    }

    #[test]
    fn a_ping_that_fails_is_followed_by_the_next() {
        let asked = crate::net::apart::without_threads(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let (directory, asked) = (
                tempfile::tempdir().expect("a directory"),
                Arc::new(AtomicUsize::new(0)),
            );
            let (plan, times) = (planned(directory.path(), 1), asked.clone());
            let alive = move || {
                times.fetch_add(1, Ordering::SeqCst);
                true
            };
            let switch = run(plan, Authorities::of_the_system(), alive);
            let thrice = async {
                while asked.load(Ordering::SeqCst) < 3 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            runtime.block_on(async {
                tokio::select! {
                    () = switch => {}
                    () = thrice => {}
                }
            });
            asked.load(Ordering::SeqCst)
        });
        assert_eq!(asked, 3, "it goes on although no thread can be started");
    }

    /// While the ping before has not ended, no other one is sent.
    #[tokio::test]
    async fn a_server_that_holds_a_ping_gets_no_other_one() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("bound");
        let url = Secret::new(format!("http://{}/", listener.local_addr().expect("bound")));
        let asked = Arc::new(AtomicUsize::new(0));
        let times = asked.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                times.fetch_add(1, Ordering::SeqCst);
                drop(stream);
            }
        });
        let (own_calls, places) = (
            OwnCalls::new(Authorities::of_the_system()),
            CallPlaces::new(1),
        );
        let held = places.take();
        ping(&own_calls, &places, &url, Proxies::None).await;
        assert_eq!(asked.load(Ordering::SeqCst), 0, "nobody was called");
        drop(held);
        ping(&own_calls, &places, &url, Proxies::None).await;
        assert_eq!((asked.load(Ordering::SeqCst), places.free()), (1, 1));
        server.abort();
    }
}
