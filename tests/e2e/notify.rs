//! What receivers are told: in order, once, closed when an endpoint goes, held during maintenance,
//! given up when refused.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::cli::checked;
use super::daemon::{Daemon, Switch, http, write_config};
use super::serve::*;

const QUICK: &str =
    "[defaults]\ninterval = \"500ms\"\ntimeout = \"300ms\"\nretry_interval = \"100ms\"\n";

type Received = Arc<Mutex<Vec<Value>>>;

/// A receiver that answers with what `status` says of each message, and keeps what it accepts.
async fn receiver(port: u16, status: impl Fn(&Value) -> u16 + Send + Sync + 'static) -> Received {
    let received: Received = Arc::default();
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("bound");
    let (kept, status) = (received.clone(), Arc::new(status));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (kept, status) = (kept.clone(), status.clone());
            tokio::spawn(async move {
                let head = read_head(&mut stream).await.to_ascii_lowercase();
                let length = head
                    .split("content-length: ")
                    .nth(1)
                    .and_then(|t| t.split("\r\n").next())
                    .and_then(|n| n.parse().ok())
                    .unwrap_or(0);
                let mut body = vec![0; length];
                let _ = stream.read_exact(&mut body).await;
                let message: Value = serde_json::from_slice(&body).expect("JSON");
                checked(&body);
                let code = status(&message);
                if code < 300 {
                    kept.lock().expect("a lock").push(message);
                }
                let _ = stream
                    .write_all(
                        format!(
                            "HTTP/1.1 {code} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                        )
                        .as_bytes(),
                    )
                    .await;
            });
        }
    });
    received
}

fn hook(directory: &Path, port: u16, more: &str) -> String {
    let url = directory.join("hook.url");
    std::fs::write(&url, format!("http://127.0.0.1:{port}/")).expect("written");
    format!("[[notify]]\nname = \"ops\"\nwebhook.url = {{ file = {url:?} }}\n{more}\n")
}

/// State and outage of each message, in order.
fn told(received: &Received) -> Vec<(String, String)> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    received
        .lock()
        .expect("a lock")
        .iter()
        .map(|m| (text(&m["state"]), text(&m["outage"])))
        .collect()
}

async fn outage(daemon: &Daemon, server: &Switch, count: usize) {
    server.set(500);
    daemon.until_state("shop", "down").await;
    server.set(200);
    daemon.until_state("shop", "up").await;
    daemon
        .until(|d| async move {
            d.json("/api/v1/outages").await["outages"]
                .as_array()
                .map(Vec::len)
                == Some(count)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_was_away_for_one_outage_hears_of_both_in_order_and_the_present_state_last()
{
    let (directory, server, port) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
        closed_port(),
    );
    let text = format!(
        "{QUICK}{}{}",
        http("shop", server.port),
        hook(directory.path(), port, "")
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("shop", "up").await;
    outage(&daemon, &server, 1).await;
    daemon
        .until(|d| async move {
            d.metric("probity_notifications_total{receiver=\"ops\",result=\"failed\"}")
                .await
                >= 1.0
        })
        .await;
    server.set(500);
    daemon.until_state("shop", "down").await;
    let received = receiver(port, |_| 204).await;
    daemon.until(|_| async { told(&received).len() == 3 }).await;
    let all = told(&received);
    let states: Vec<&str> = all.iter().map(|(state, _)| state.as_str()).collect();
    assert_eq!(states, ["down", "up", "down"]);
    assert!(
        all[0].1 == all[1].1 && all[1].1 != all[2].1,
        "the id of an outage is that of its messages: {all:?}"
    );
    server.set(200);
    daemon.until(|_| async { told(&received).len() == 4 }).await;
    assert_eq!(told(&received)[3], ("up".to_owned(), all[2].1.clone()));
    // The page of the endpoint shows of each outage what became of its messages.
    daemon
        .until(|d| async move {
            let page = d.get("/endpoints/shop").await.unwrap_or_default();
            ["ops: start sent at ", "ops: end sent at "]
                .iter()
                .all(|text| page.matches(text).count() == 2)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_refused_for_a_while_arrives_and_holds_up_nobody_elses() {
    let (directory, port, closed) = (
        tempfile::tempdir().expect("a directory"),
        closed_port(),
        closed_port(),
    );
    let deployed = Arc::new(AtomicBool::new(false));
    let is_deployed = deployed.clone();
    let received = receiver(port, move |message| {
        if message["endpoint"] == "poison" && !is_deployed.load(Ordering::SeqCst) {
            404
        } else {
            204
        }
    })
    .await;
    let endpoint = |name: &str| {
        format!("[[endpoint]]\nname = \"{name}\"\nprobe.tcp = \"127.0.0.1:{closed}\"\n")
    };
    let text = format!(
        "{QUICK}{}{}{}",
        endpoint("poison"),
        endpoint("other"),
        hook(directory.path(), port, "")
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until(|_| async { told(&received).len() == 1 }).await;
    assert_eq!(received.lock().expect("a lock")[0]["endpoint"], "other");
    daemon
        .until(|d| async move {
            d.metric("probity_notifications_total{receiver=\"ops\",result=\"failed\"}")
                .await
                == 1.0
        })
        .await;
    deployed.store(true, Ordering::SeqCst);
    daemon.until(|_| async { told(&received).len() == 2 }).await;
    assert_eq!(received.lock().expect("a lock")[1]["endpoint"], "poison");
    assert_eq!(
        daemon
            .metric("probity_notifications_total{receiver=\"ops\",result=\"given_up\"}")
            .await,
        0.0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_removed_or_disabled_while_down_closes_what_it_opened_a_renamed_one_goes_on() {
    let (directory, server, port) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
        closed_port(),
    );
    let received = receiver(port, |_| 204).await;
    let hook = hook(directory.path(), port, "");
    let with = |endpoints: &[String]| format!("{QUICK}{}{hook}", endpoints.concat());
    let (gone, off, old) = (
        http("gone", server.port),
        http("off", server.port),
        http("old", server.port),
    );
    let daemon = Daemon::start(directory.path(), &with(&[gone, off.clone(), old])).await;
    for name in ["gone", "off", "old"] {
        daemon.until_state(name, "up").await;
    }
    server.set(500);
    daemon.until(|_| async { told(&received).len() == 3 }).await;
    let renamed = http("new", server.port)
        .replace("name = \"new\"", "name = \"new\"\nrenamed_from = \"old\"");
    let disabled = off.replace("name = \"off\"", "name = \"off\"\nenabled = false");
    write_config(directory.path(), daemon.port, &with(&[disabled, renamed]));
    daemon.reload().await.expect("reloaded");
    daemon.until(|_| async { told(&received).len() == 5 }).await;
    server.set(200);
    daemon.until(|_| async { told(&received).len() == 6 }).await;
    let of = |name: &str| -> Vec<(String, String)> {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        received
            .lock()
            .expect("a lock")
            .iter()
            .filter(|m| m["endpoint"] == name)
            .map(|m| (text(&m["state"]), text(&m["outage"])))
            .collect()
    };
    for name in ["gone", "off"] {
        let messages = of(name);
        assert_eq!(
            messages
                .iter()
                .map(|(state, _)| state.as_str())
                .collect::<Vec<_>>(),
            ["down", "closed"],
            "{name}"
        );
        assert_eq!(messages[0].1, messages[1].1, "{name}");
    }
    assert_eq!(
        (of("old")[0].0.as_str(), of("new")[0].0.as_str()),
        ("down", "up")
    );
    assert_eq!(
        of("old")[0].1,
        of("new")[0].1,
        "the outage is the same under the new name"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintenance_holds_messages_back_and_releases_what_still_holds_at_its_end() {
    let (directory, server, port) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
        closed_port(),
    );
    let received = receiver(port, |_| 204).await;
    let text = format!(
        "{QUICK}{}{}",
        http("shop", server.port),
        hook(directory.path(), port, "")
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("shop", "up").await;
    let state = directory.path().join("state");
    let start = probity::words::format_utc(probity::net::clock::Clock::Real.read().utc_ms + 1500);
    let added = super::cli::probity(&[
        "maintenance",
        "add",
        "--endpoint",
        "shop",
        "--start",
        &start,
        "--duration",
        "8s",
        "--reason",
        "works",
        "--state-dir",
        state.to_str().expect("UTF-8"),
    ]);
    assert_eq!(added.status.code(), Some(0), "{added:?}");
    daemon
        .until(|d| async move {
            d.metric("probity_endpoint_maintenance{endpoint=\"shop\"}")
                .await
                == 1.0
        })
        .await;
    // One outage begins and ends inside: nobody is told of it.
    outage(&daemon, &server, 1).await;
    server.set(500);
    daemon.until_state("shop", "down").await;
    let during = daemon
        .metric("probity_endpoint_maintenance{endpoint=\"shop\"}")
        .await;
    assert_eq!(
        (told(&received).len(), during),
        (0, 1.0),
        "held back while the window lasts"
    );
    daemon.until(|_| async { told(&received).len() == 1 }).await;
    let message = received.lock().expect("a lock")[0].clone();
    assert_eq!(message["state"], "down");
    assert!(
        message["held_by_maintenance_until"].is_string(),
        "{message}"
    );
    assert_eq!(
        daemon
            .metric("probity_endpoint_maintenance{endpoint=\"shop\"}")
            .await,
        0.0
    );
    assert_eq!(daemon.end().await.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_is_told_of_what_it_asked_for() {
    let (directory, server, port) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
        closed_port(),
    );
    let received = receiver(port, |_| 204).await;
    let text = format!(
        "{QUICK}{}{}",
        http("shop", server.port),
        hook(directory.path(), port, "on = [\"up\"]")
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("shop", "up").await;
    outage(&daemon, &server, 1).await;
    daemon.until(|_| async { told(&received).len() == 1 }).await;
    assert_eq!(told(&received)[0].0, "up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_holds_up_nobody_elses_messages() {
    let (directory, port, closed) = (
        tempfile::tempdir().expect("a directory"),
        closed_port(),
        closed_port(),
    );
    let silent = tcp(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let received = receiver(port, |_| 204).await;
    let (dead, alive) = (
        directory.path().join("dead.url"),
        directory.path().join("alive.url"),
    );
    std::fs::write(&dead, format!("http://127.0.0.1:{silent}/")).expect("written");
    std::fs::write(&alive, format!("http://127.0.0.1:{port}/")).expect("written");
    let endpoints: String = (0..40)
        .map(|n| format!("[[endpoint]]\nname = \"e{n}\"\nprobe.tcp = \"127.0.0.1:{closed}\"\n"))
        .collect();
    let hooks = format!(
        "[[notify]]\nname = \"dead\"\nwebhook.url = {{ file = {dead:?} }}\n[[notify]]\nname \
            = \"ops\"\nwebhook.url = {{ file = {alive:?} }}\n"
    );
    let daemon = Daemon::start(directory.path(), &format!("{QUICK}{endpoints}{hooks}")).await;
    daemon
        .until(|d| async move {
            d.json("/api/v1/outages").await["outages"]
                .as_array()
                .is_some_and(|list| list.len() == 40)
        })
        .await;
    let began = tokio::time::Instant::now();
    daemon
        .until(|_| async { told(&received).len() == 40 })
        .await;
    // A call to the other one ends after ten seconds: nobody waited for it.
    assert!(
        began.elapsed() < std::time::Duration::from_secs(9),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_is_cancelled_releases_what_it_held_back() {
    let (directory, server, port) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
        closed_port(),
    );
    let received = receiver(port, |_| 204).await;
    let daemon = Daemon::start(
        directory.path(),
        &format!(
            "{QUICK}{}{}",
            http("shop", server.port),
            hook(directory.path(), port, "")
        ),
    )
    .await;
    daemon.until_state("shop", "up").await;
    let state = directory.path().join("state");
    let state = state.to_str().expect("UTF-8");
    let start = probity::words::format_utc(probity::net::clock::Clock::Real.read().utc_ms + 1200);
    let args = [
        "maintenance",
        "add",
        "--id",
        "works",
        "--endpoint",
        "shop",
        "--start",
        &start,
        "--duration",
        "1h",
        "--reason",
        "works",
        "--state-dir",
        state,
    ];
    assert_eq!(super::cli::probity(&args).status.code(), Some(0));
    daemon
        .until(|d| async move {
            d.metric("probity_endpoint_maintenance{endpoint=\"shop\"}")
                .await
                == 1.0
        })
        .await;
    server.set(500);
    daemon.until_state("shop", "down").await;
    daemon
        .until(|d| async move {
            d.json("/api/v1/outages").await["outages"]
                .as_array()
                .is_some_and(|list| !list.is_empty())
        })
        .await;
    assert!(told(&received).is_empty(), "held back");
    assert_eq!(
        super::cli::probity(&["maintenance", "cancel", "works", "--state-dir", state])
            .status
            .code(),
        Some(0)
    );
    daemon.until(|_| async { told(&received).len() == 1 }).await;
    assert_eq!(told(&received)[0].0, "down");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_asks_for_down_only_never_hears_of_an_outage_that_is_over() {
    let (directory, shop, other, port) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
        Switch::new().await,
        closed_port(),
    );
    let hook = hook(directory.path(), port, "on = [\"down\"]");
    let daemon = Daemon::start(
        directory.path(),
        &format!(
            "{QUICK}{}{}{hook}",
            http("shop", shop.port),
            http("other", other.port)
        ),
    )
    .await;
    daemon.until_state("shop", "up").await;
    daemon.until_state("other", "up").await;
    shop.set(500);
    daemon
        .until(|d| async move {
            d.metric("probity_notifications_total{receiver=\"ops\",result=\"failed\"}")
                .await
                >= 1.0
        })
        .await;
    shop.set(200);
    daemon.until_state("shop", "up").await;
    daemon
        .until(|d| async move { d.json("/api/v1/outages").await["outages"][0]["to"].is_string() })
        .await;
    let received = receiver(port, |_| 204).await;
    other.set(500);
    daemon
        .until(|_| async { !told(&received).is_empty() })
        .await;
    shop.set(500);
    daemon.until(|_| async { told(&received).len() == 2 }).await;
    let endpoints: Vec<Value> = received
        .lock()
        .expect("a lock")
        .iter()
        .map(|m| m["endpoint"].clone())
        .collect();
    assert_eq!(endpoints, ["other", "shop"]);
    let outages = daemon.json("/api/v1/outages").await["outages"]
        .as_array()
        .map(Vec::len);
    assert_eq!(outages, Some(3), "nobody was told of one of them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_time_that_was_told_before_a_kill_is_taken_back_after_it() {
    let (directory, server, witness, port) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
        Switch::new().await,
        closed_port(),
    );
    let received = receiver(port, |_| 204).await;
    let far = format!(
        "[[witness.endpoint]]\nname = \"far\"\nprobe.http = \"http://127.0.0.1:{}/\"\n",
        witness.port
    );
    let text = format!(
        "{QUICK}{}{far}{}",
        http("shop", server.port),
        hook(directory.path(), port, "")
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("shop", "up").await;
    witness.set(500);
    server.set(500);
    daemon.until(|_| async { told(&received).len() == 1 }).await;
    daemon.kill();
    let daemon = Daemon::start(directory.path(), &text).await;
    server.set(200);
    witness.set(200);
    daemon
        .until(|_| async { told(&received).iter().any(|(state, _)| state != "unknown") })
        .await;
    let mut all = told(&received);
    // What the history had not noted as delivered when the daemon was killed is sent again.
    all.dedup();
    assert_eq!(
        all.iter()
            .map(|(state, _)| state.as_str())
            .collect::<Vec<_>>(),
        ["unknown", "known"]
    );
    assert_eq!(all[0].1, all[1].1);
    assert_eq!(
        daemon.json("/api/v1/outages").await["outages"],
        serde_json::json!([])
    );
}

/// Formats 4 and 5 of the history, as builds wrote them that knew no more tables than these. The
/// outage began while the witnesses answered, and both unknown time and another name came before
/// its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_renamed_while_the_network_is_lost_closes_its_messages() {
    let (directory, server, witness, port) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
        Switch::new().await,
        closed_port(),
    );
    let received = receiver(port, |_| 204).await;
    let far = format!(
        "[[witness.endpoint]]\nname = \"far\"\nprobe.http = \"http://127.0.0.1:{}/\"\n",
        witness.port
    );
    let hook = hook(directory.path(), port, "");
    let with = |endpoint: &str| format!("{QUICK}{endpoint}{far}{hook}");
    let daemon = Daemon::start(directory.path(), &with(&http("old", server.port))).await;
    daemon.until_state("old", "up").await;
    server.set(500);
    daemon.until(|_| async { told(&received).len() == 1 }).await;
    witness.set(500);
    daemon.until_state("old", "unknown").await;
    // Before and after the receiver was sent that it is unknown.
    let renamed = |name: &str, before: &str| {
        http(name, server.port).replace(
            "probe.http",
            &format!("renamed_from = \"{before}\"\nprobe.http"),
        )
    };
    write_config(directory.path(), daemon.port, &with(&renamed("new", "old")));
    daemon.reload().await.expect("reloaded");
    daemon.until(|_| async { told(&received).len() == 2 }).await;
    write_config(
        directory.path(),
        daemon.port,
        &with(&renamed("newer", "new")),
    );
    daemon.reload().await.expect("reloaded");
    daemon.until_slots("newer", 3).await;
    assert_eq!(
        (daemon.state("newer").await.as_str(), told(&received).len()),
        ("unknown", 2),
        "the network is still lost"
    );
    witness.set(200);
    server.set(200);
    daemon.until(|_| async { told(&received).len() == 4 }).await;
    let all = received.lock().expect("a lock").clone();
    let of = |state: &str| {
        all.iter()
            .find(|m| m["state"] == state)
            .unwrap_or_else(|| panic!("{state} in {all:?}"))
    };
    assert_eq!(
        (
            &of("down")["endpoint"],
            &of("unknown")["endpoints"][0],
            &of("up")["endpoint"]
        ),
        (&"old".into(), &"new".into(), &"newer".into())
    );
    assert_eq!(of("up")["outage"], of("down")["outage"]);
    assert_eq!(of("known")["outage"], of("unknown")["outage"]);
    daemon.until_slots("newer", 3).await;
    assert_eq!(told(&received).len(), 4, "nothing is doubled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_of_an_older_build_opens_with_its_outbox() {
    for format in [4, 5, 6] {
        let (directory, server, port) = (
            tempfile::tempdir().expect("a directory"),
            Switch::new().await,
            closed_port(),
        );
        let text = format!(
            "{QUICK}{}{}",
            http("shop", server.port),
            hook(directory.path(), port, "")
        );
        let daemon = Daemon::start(directory.path(), &text).await;
        daemon.until_state("shop", "up").await;
        server.set(500);
        daemon
            .until(|d| async move {
                d.metric("probity_notifications_total{receiver=\"ops\",result=\"failed\"}")
                    .await
                    >= 1.0
            })
            .await;
        assert_eq!(daemon.end().await.0, 0);
        let database = rusqlite::Connection::open(directory.path().join("state/history.sqlite"))
            .expect("opened");
        database
            .execute_batch(&format!(
                "DROP TABLE refused; DROP TABLE told_unknown; PRAGMA user_version = {format}"
            ))
            .expect("an older one");
        drop(database);
        let received = receiver(port, |_| 204).await;
        let daemon = Daemon::start(directory.path(), &text).await;
        daemon.until(|_| async { told(&received).len() == 1 }).await;
        server.set(200);
        daemon.until(|_| async { told(&received).len() == 2 }).await;
        let all = told(&received);
        assert_eq!(
            all.iter()
                .map(|(state, _)| state.as_str())
                .collect::<Vec<_>>(),
            ["down", "up"],
            "format {format}"
        );
        assert_eq!(all[0].1, all[1].1, "format {format}");
    }
}
