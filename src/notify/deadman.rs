//! The dead man's switch: tells an outside service that we live, only while the scheduler makes
//! progress.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::config::Plan;
use crate::net::authorities::Authorities;
use crate::net::own_calls::{OwnCalls, failure};

/// Calls as often as the config says while `alive` holds.
pub async fn run(
    plan: Arc<ArcSwap<Plan>>,
    authorities: Arc<Authorities>,
    alive: impl Fn() -> bool,
) {
    let Ok(mut own_calls) = OwnCalls::new(authorities) else {
        return;
    };
    loop {
        let Some(deadman) = plan.load().deadman.clone() else {
            tokio::time::sleep(Duration::from_secs(5)).await;
            continue;
        };
        if alive() {
            own_calls.follow_authorities();
            let Ok(client) = own_calls.client_for(deadman.url.reveal(), plan.load().proxies) else {
                return;
            };
            match client.get(deadman.url.reveal()).send().await {
                Ok(answer) if answer.status().is_success() => {}
                Ok(answer) => tracing::warn!(
                    status = answer.status().as_u16(),
                    "dead man's switch rejected the ping; expect it to alert"
                ),
                Err(error) => tracing::warn!(
                    error = failure(error, vec![deadman.url.clone()]),
                    "dead man's switch did not answer; expect it to alert"
                ),
            }
        }
        tokio::time::sleep(Duration::from_millis(deadman.every)).await;
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

    #[tokio::test]
    async fn nobody_is_called_while_no_progress_is_made() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let directory = tempfile::tempdir().expect("a directory");
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let url = file(
            "url",
            &format!("http://{}/", listener.local_addr().expect("bound")),
        );
        let config = file(
            "c.toml",
            &format!("[deadman]\nurl = {{ file = {url:?} }}\nevery = \"1s\"\n"),
        );
        let plan = load(Path::new(&config), &Files).unwrap_or_else(|faults| panic!("{faults:#?}"));
        listener.set_nonblocking(true).expect("set");
        let (lives, asked) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let (alive, times) = (lives.clone(), asked.clone());
        let authorities = Authorities::of_the_system();
        let plan = Arc::new(ArcSwap::from_pointee(plan));
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
}
