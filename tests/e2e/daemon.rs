//! The real daemon as a process of its own: outages with their bounds, kills, stops, reloads,
//! notifications.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::cli::checked;
use super::component_history::settled_for;
use super::program::{program, program_after};
use super::serve::{answering, answering_after, client, closed_port, ok, read_head, tcp};
use super::waiting::until;

pub struct Daemon {
    child: Child,
    pub port: u16,
    pub directory: PathBuf,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn write_config(directory: &Path, port: u16, text: &str) -> PathBuf {
    let path = directory.join("probity.toml");
    let head = format!(
        "[daemon]\nvantage = \"test\"\nlisten = \"127.0.0.1:{port}\"\nstate_dir = {:?}\n",
        directory.join("state")
    );
    std::fs::write(&path, format!("{head}{text}")).expect("written");
    path
}

pub fn run(config: &Path) -> Command {
    let mut command = program();
    command.args(["run", "--config"]).arg(config);
    command
}

impl Daemon {
    pub async fn start(directory: &Path, text: &str) -> Self {
        Self::start_with(directory, text, run).await
    }

    pub async fn start_with(
        directory: &Path,
        text: &str,
        command: impl Fn(&Path) -> Command,
    ) -> Self {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(directory.join("log"))
            .expect("a log");
        Self::start_logging(directory, text, log.into(), command).await
    }

    /// With a log of the test's own.
    pub async fn start_logging(
        directory: &Path,
        text: &str,
        log: Stdio,
        command: impl Fn(&Path) -> Command,
    ) -> Self {
        let port = closed_port();
        let config = write_config(directory, port, text);
        let child = command(&config)
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()
            .expect("spawned");
        let daemon = Self {
            child,
            port,
            directory: directory.to_owned(),
        };
        daemon
            .until(|d| async move {
                d.get("/-/ready")
                    .await
                    .is_some_and(|t| t.starts_with("Ready"))
            })
            .await;
        daemon
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub async fn get(&self, path: &str) -> Option<String> {
        let response = client()
            .get(format!("http://127.0.0.1:{}{path}", self.port))
            .send()
            .await
            .ok()?;
        response.text().await.ok()
    }

    /// Over the control socket, as `probity reload` asks for it.
    pub async fn reload(&self) -> Result<String, String> {
        let mut stream = tokio::net::UnixStream::connect(self.directory.join("state/control.sock"))
            .await
            .expect("a control socket");
        stream
            .write_all(
                b"{\"do\": \"reload\"}
",
            )
            .await
            .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        answer["summary"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| answer["error"].as_str().unwrap_or_default().to_owned())
    }

    pub async fn json(&self, path: &str) -> Value {
        let text = self.get(path).await.expect("answered");
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    pub async fn endpoint(&self, name: &str) -> Value {
        endpoint_of(&self.json("/api/v1/endpoints").await, name)
    }

    pub async fn state(&self, name: &str) -> String {
        self.endpoint(name).await["state"]
            .as_str()
            .unwrap_or("absent")
            .to_owned()
    }

    pub async fn until_state(&self, name: &str, state: &str) {
        // A busy machine may leave a call without an answer.
        self.until(|d| async move {
            let text = d.get("/api/v1/endpoints").await.unwrap_or_default();
            let all = serde_json::from_str(&text).unwrap_or_default();
            endpoint_of(&all, name)["state"].as_str() == Some(state)
        })
        .await;
    }

    /// Waits for something to become true, for half a minute at most.
    pub async fn until<'d, F: Future<Output = bool>>(&'d self, holds: impl FnMut(&'d Self) -> F) {
        self.until_within(30, holds).await;
    }

    /// The same, for so many seconds at most.
    pub async fn until_within<'d, F: Future<Output = bool>>(
        &'d self,
        seconds: u64,
        mut holds: impl FnMut(&'d Self) -> F,
    ) {
        let missing = || format!("it never became true\n{}", self.log());
        until(Duration::from_secs(seconds), missing, || holds(self)).await;
    }

    /// Slots of an endpoint that have their result, whatever it is.
    pub async fn slots(&self, name: &str) -> u64 {
        let text = self.get("/metrics").await.expect("answered");
        let series = format!("probity_probes_total{{endpoint=\"{name}\",");
        let counts: Vec<u64> = text
            .lines()
            .filter(|line| line.starts_with(&series))
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect();
        assert!(!counts.is_empty(), "no {series} in\n{text}");
        counts.iter().sum()
    }

    /// Waits until so many more of its slots have their result.
    pub async fn until_slots(&self, name: &str, more: u64) {
        let all = self.slots(name).await + more;
        self.until(|d| async move { d.slots(name).await >= all })
            .await;
    }

    /// Waits until so many of its slots have this result.
    pub async fn until_results(&self, name: &str, result: &str, count: u32) {
        let series = format!("probity_probes_total{{endpoint=\"{name}\",result=\"{result}\"}}");
        let series = &series;
        self.until(|d| async move { d.metric(series).await >= f64::from(count) })
            .await;
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .expect("a process");
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix("VmRSS:"))
            .expect("a line");
        line.trim()
            .trim_end_matches(" kB")
            .parse()
            .expect("a number")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// The value of one series, by its exact name and labels.
    pub async fn metric(&self, series: &str) -> f64 {
        let text = self.get("/metrics").await.expect("answered");
        let line = text
            .lines()
            .find(|l| l.strip_prefix(series).is_some_and(|r| r.starts_with(' ')));
        line.and_then(|l| l.rsplit(' ').next())
            .and_then(|v| v.parse().ok())
            .unwrap_or_else(|| panic!("no {series} in\n{text}"))
    }

    pub fn signal(&self, signal: &str) {
        // The shell's own kill: a small system has no program of that name.
        let command = format!("kill {signal} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &command])
                .status()
                .expect("a shell runs")
                .success()
        );
    }

    /// Whether all threads are stopped: on a busy machine one runs on after another has been.
    fn stands_still(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        threads.expect("a process").flatten().all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit(')')
                .next()
                .is_some_and(|rest| rest.starts_with(" T"))
        })
    }

    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// SIGTERM; returns the exit code and how long it took.
    pub async fn end(mut self) -> (i32, Duration) {
        self.signal("-TERM");
        let (began, mut ended) = (Instant::now(), None);
        let missing = || "it does not end".to_owned();
        until(Duration::from_secs(10), missing, || {
            ended = self.child.try_wait().expect("waitable");
            std::future::ready(ended.is_some())
        })
        .await;
        let code = ended.and_then(|status| status.code());
        (code.unwrap_or(-1), began.elapsed())
    }

    /// As a machine that is paused while something else happens.
    pub async fn stopped_during(&self, meanwhile: impl Future<Output = ()>) {
        self.signal("-STOP");
        self.until(|d| std::future::ready(d.stands_still())).await;
        meanwhile.await;
        self.signal("-CONT");
    }
}

/// A daemon of its own beside the one that is tested: what it settles tells how much time passes
/// while that one is stopped, has ended or is dead.
pub struct Bystander {
    daemon: Daemon,
    _directory: tempfile::TempDir,
}

impl Bystander {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let text = format!("{QUICK}{}", http("bystander", answering(ok("", b"")).await));
        let daemon = Daemon::start(directory.path(), &text).await;
        daemon.until_state("bystander", "up").await;
        Self {
            daemon,
            _directory: directory,
        }
    }

    /// Waits until it has settled so many milliseconds from now on.
    pub async fn settles(&self, ms: i64) {
        settled_for(&self.daemon, ms).await;
    }
}

fn endpoint_of(all: &Value, name: &str) -> Value {
    all["endpoints"]
        .as_array()
        .and_then(|list| list.iter().find(|e| e["name"] == name).cloned())
        .unwrap_or(Value::Null)
}

/// An http server whose answer can be changed.
pub struct Switch {
    status: Arc<AtomicU16>,
    pub port: u16,
}

impl Switch {
    pub async fn new() -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let told = status.clone();
        let port = tcp(move |mut stream| {
            let status = told.load(Ordering::SeqCst);
            async move {
                read_head(&mut stream).await;
                let _ = stream
                    .write_all(
                        format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").as_bytes(),
                    )
                    .await;
            }
        })
        .await;
        Self { status, port }
    }

    pub fn set(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

pub const QUICK: &str = "[defaults]\ninterval = \"500ms\"\ntimeout = \"400ms\"\nretry_interval \
    = \"100ms\"\nlate_after = \"500ms\"\n";

pub fn http(name: &str, port: u16) -> String {
    format!("[[endpoint]]\nname = \"{name}\"\nprobe.http = \"http://127.0.0.1:{port}/\"\n")
}

fn utc(value: &Value) -> i64 {
    probity::words::parse_utc(
        value
            .as_str()
            .unwrap_or_else(|| panic!("no instant: {value}")),
    )
    .expect("RFC 3339")
}

fn now() -> i64 {
    probity::net::clock::Clock::Real.read().utc_ms
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_fails_for_a_known_time_yields_one_outage_whose_bounds_contain_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Switch::new().await;
    let daemon = Daemon::start(
        directory.path(),
        &format!("{QUICK}{}", http("shop", server.port)),
    )
    .await;
    daemon.until_results("shop", "success", 3).await;
    server.set(503);
    let from = now();
    daemon.until_results("shop", "failure", 3).await;
    server.set(200);
    let to = now();
    daemon.until_state("shop", "up").await;
    daemon
        .until(|d| async move { !d.json("/api/v1/outages").await["outages"][0]["to"].is_null() })
        .await;
    let outages = daemon.json("/api/v1/outages").await;
    let list = outages["outages"].as_array().expect("a list");
    assert_eq!(list.len(), 1, "{list:?}");
    let o = &list[0];
    let slack = 30;
    assert!(
        utc(&o["from_earliest"]) - slack <= from && from <= utc(&o["from_latest"]) + slack,
        "{from} {o}"
    );
    assert!(
        utc(&o["to_earliest"]) - slack <= to && to <= utc(&o["to_latest"]) + slack,
        "{to} {o}"
    );
    assert_eq!(o["cause"], "status");
    // The sum of the states is the settled time.
    let ledger = daemon.endpoint("shop").await["ledger"].clone();
    let n = |key: &str| {
        ledger[key]
            .as_u64()
            .unwrap_or_else(|| panic!("{key} in {ledger}"))
    };
    assert_eq!(
        n("up_ms") + n("down_ms") + n("unknown_ms"),
        n("watermark_ms") - n("first_start_ms")
    );
    assert!(
        n("down_lower_ms") <= (to - from + slack) as u64
            && (to - from - slack) as u64 <= n("down_upper_ms")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_open_at_kill_9_is_open_after_and_the_dead_time_is_unknown() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Switch::new().await;
    let config = format!("{QUICK}{}", http("shop", server.port));
    let daemon = Daemon::start(directory.path(), &config).await;
    let bystander = Bystander::start().await;
    daemon.until_state("shop", "up").await;
    server.set(500);
    daemon.until_state("shop", "down").await;
    let series = |state: &str| {
        format!("probity_endpoint_state_seconds_total{{endpoint=\"shop\",state=\"{state}\"}}")
    };
    daemon
        .until(|d| {
            let s = series("down");
            async move { d.metric(&s).await > 0.5 }
        })
        .await;
    let (up, down, unknown_before) = (
        daemon.metric(&series("up")).await,
        daemon.metric(&series("down")).await,
        daemon.metric(&series("unknown")).await,
    );
    let transitions = daemon
        .metric("probity_endpoint_transitions_total{endpoint=\"shop\",to=\"down\"}")
        .await;
    let killed = Instant::now();
    daemon.kill();
    bystander.settles(3000).await;
    let daemon = Daemon::start(directory.path(), &config).await;
    assert!(
        daemon.metric(&series("down")).await >= down,
        "no settled second is lost"
    );
    assert!(daemon.metric(&series("up")).await >= up);
    assert_eq!(
        daemon
            .metric("probity_endpoint_transitions_total{endpoint=\"shop\",to=\"down\"}")
            .await,
        transitions
    );
    let list = daemon.json("/api/v1/outages").await["outages"].clone();
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    assert!(list[0]["to"].is_null(), "{list}");
    daemon.until_state("shop", "down").await;
    server.set(200);
    daemon.until_state("shop", "up").await;
    let unknown = daemon.metric(&series("unknown")).await - unknown_before;
    let away = killed.elapsed().as_secs_f64();
    assert!(
        (1.0..away).contains(&unknown),
        "{away} s dead and starting, less what the last failure vouched for: {unknown}"
    );
    let timeline = daemon.json("/api/v1/timeline").await;
    assert!(
        timeline["components"][0]["unknown"]
            .as_array()
            .is_some_and(|l| l.iter().any(|u| u["reason"] == "not_running")),
        "{timeline}"
    );
    let verified = program()
        .args(["history", "verify", "--state-dir"])
        .arg(directory.path().join("state"))
        .output()
        .expect("runs");
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn measurements_are_committed_when_they_are_due_and_events_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Switch::new().await;
    let config = format!(
        "[history]\ncommit_within = \"30s\"\n{QUICK}{}",
        http("shop", server.port)
    );
    let daemon = Daemon::start(directory.path(), &config).await;
    let bystander = Bystander::start().await;
    daemon.until_state("shop", "up").await;
    let up = "probity_endpoint_state_seconds_total{endpoint=\"shop\",state=\"up\"}";
    bystander.settles(4000).await;
    let settled = daemon.metric(up).await;
    assert!(settled < 2.0, "nothing was due since it was up: {settled}");
    server.set(500);
    daemon
        .until(|d| async move {
            let list = d.json("/api/v1/outages").await["outages"].clone();
            list.as_array().is_some_and(|list| list.len() == 1)
        })
        .await;
    let begun = daemon.json("/api/v1/outages").await["outages"][0]["from"].clone();
    // What was measured before it came with it.
    let settled = daemon.metric(up).await;
    assert!(settled > 2.0, "{settled}");
    daemon.kill();
    let daemon = Daemon::start(directory.path(), &config).await;
    let list = daemon.json("/api/v1/outages").await["outages"].clone();
    assert_eq!(list[0]["from"], begun, "{list}");
    assert!(list[0]["to"].is_null(), "{list}");
    assert!(daemon.metric(up).await >= settled, "nothing is taken back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_restart_changes_neither_since_when_nor_when_it_last_changed() {
    let directory = tempfile::tempdir().expect("a directory");
    let (web, closed) = (Switch::new().await, closed_port());
    let down = format!("[[endpoint]]\nname = \"closed\"\nprobe.tcp = \"127.0.0.1:{closed}\"\n");
    let config = format!(
        "[defaults]\ninterval = \"10s\"\ntimeout = \"300ms\"\nretry_interval = \"100ms\"\n{}{down}",
        http("web", web.port)
    );
    let daemon = Daemon::start(directory.path(), &config).await;
    daemon.until_state("web", "up").await;
    daemon.until_state("closed", "down").await;
    let changed = |name: &str| {
        format!("probity_endpoint_last_transition_timestamp_seconds{{endpoint=\"{name}\"}}")
    };
    daemon
        .until(|d| {
            let names = [changed("web"), changed("closed")];
            async move { d.metric(&names[0]).await > 1e9 && d.metric(&names[1]).await > 1e9 }
        })
        .await;
    let mut before = Vec::new();
    for name in ["web", "closed"] {
        before.push((
            daemon.endpoint(name).await["since"].clone(),
            daemon.metric(&changed(name)).await,
        ));
    }
    daemon.kill();
    let daemon = Daemon::start(directory.path(), &config).await;
    for (name, (since, at)) in ["web", "closed"].into_iter().zip(before) {
        assert_eq!(daemon.endpoint(name).await["since"], since, "{name}");
        assert!(
            (daemon.metric(&changed(name)).await - at).abs() < 0.002,
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_was_stopped_shows_that_time_as_unknown_and_ends_within_two_seconds() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Switch::new().await;
    let hanging = tcp(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let slow =
        "[[endpoint]]\nname = \"hanging\"\ntimeout = \"20s\"\nprobe.http = \"http://127.0.0.1:"
            .to_owned()
            + &format!("{hanging}/\"\n");
    let config = format!("{QUICK}{}{slow}", http("shop", server.port));
    let daemon = Daemon::start(directory.path(), &config).await;
    let bystander = Bystander::start().await;
    daemon.until_results("shop", "success", 3).await;
    let (code, took) = daemon.end().await;
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(2), "{took:?}");
    bystander.settles(2000).await;
    let daemon = Daemon::start(directory.path(), &config).await;
    daemon.until_state("shop", "up").await;
    assert_eq!(
        daemon
            .metric("probity_endpoint_state_seconds_total{endpoint=\"shop\",state=\"down\"}")
            .await,
        0.0
    );
    daemon
        .until(|d| async move {
            d.metric("probity_endpoint_state_seconds_total{endpoint=\"shop\",state=\"unknown\"}")
                .await
                > 1.0
        })
        .await;
    assert_eq!(
        daemon.json("/api/v1/outages?endpoint=shop").await["outages"]
            .as_array()
            .map(Vec::len),
        Some(0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_process_is_suspended_and_no_endpoint_is_down_for_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let slow = answering_after(Duration::from_millis(150), ok("", b"")).await;
    let endpoints: String = (0..20).map(|n| http(&format!("e{n}"), slow)).collect();
    // Patient with a server that is slow on a busy machine, too.
    let patient = QUICK.replace(
        "interval = \"500ms\"\ntimeout = \"400ms\"",
        "interval = \"1s\"\ntimeout = \"900ms\"",
    );
    let daemon = Daemon::start(directory.path(), &format!("{patient}{endpoints}")).await;
    for n in 0..20 {
        daemon.until_state(&format!("e{n}"), "up").await;
    }
    let bystander = Bystander::start().await;
    daemon.stopped_during(bystander.settles(3000)).await;
    let unknown = "probity_unknown_seconds_total{reason=\"suspended\"}";
    // Twenty endpoints, some seconds each.
    daemon
        .until(|d| async move { d.metric(unknown).await > 20.0 })
        .await;
    for n in 0..20 {
        daemon.until_state(&format!("e{n}"), "up").await;
    }
    assert_eq!(
        daemon.json("/api/v1/outages").await["outages"]
            .as_array()
            .map(Vec::len),
        Some(0)
    );
}

/// A paused machine: healthy servers give up on clients that say nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_servers_say_to_a_client_that_stood_still_is_no_failure_of_theirs() {
    let directory = tempfile::tempdir().expect("a directory");
    // Whether the server has lost its patience; and who waits for its greeting.
    let (patience, impatient) = tokio::sync::watch::channel("220 ready\r\n");
    let waiting = Arc::new(AtomicU64::new(0));
    let counted = waiting.clone();
    let mail = tcp(move |mut stream| {
        let (mut word, waiting) = (impatient.clone(), counted.clone());
        async move {
            waiting.fetch_add(1, Ordering::SeqCst);
            let word = word.wait_for(|word| !word.is_empty()).await.map(|w| *w);
            waiting.fetch_sub(1, Ordering::SeqCst);
            let _ = stream.write_all(word.unwrap_or_default().as_bytes()).await;
        }
    })
    .await;
    let endpoint = |n: u32| {
        format!(
            "[[endpoint]]\nname = \"e{n}\"\ninterval = \"1s\"\ntimeout = \"5s\"\ndown_after = 1\n\
            probe.tcp.address = \"127.0.0.1:{mail}\"\n\
            probe.tcp.dialogue = [{{ expect = \"^220\" }}]\n"
        )
    };
    let endpoints: String = (0..10).map(endpoint).collect();
    let daemon = Daemon::start(directory.path(), &endpoints).await;
    for n in 0..10 {
        daemon.until_state(&format!("e{n}"), "up").await;
    }
    let bystander = Bystander::start().await;
    patience.send_replace("");
    daemon
        .until(|_| {
            let held = waiting.load(Ordering::SeqCst);
            async move { held >= 3 }
        })
        .await;
    let loses_patience = async {
        patience.send_replace("421 timeout\r\n");
        bystander.settles(1000).await;
        assert_eq!(waiting.load(Ordering::SeqCst), 0, "all have been told");
        patience.send_replace("220 ready\r\n");
    };
    daemon.stopped_during(loses_patience).await;
    let suspended = "probity_probe_unmeasured_total{reason=\"suspended\"}";
    daemon
        .until(|d| async move { d.metric(suspended).await >= 3.0 })
        .await;
    for n in 0..10 {
        daemon.until_state(&format!("e{n}"), "up").await;
    }
    let outages = daemon.json("/api/v1/outages").await;
    assert_eq!(outages["outages"], serde_json::json!([]), "{outages}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_descriptors_for_five_hundred_endpoints_make_no_false_down() {
    let directory = tempfile::tempdir().expect("a directory");
    let slow = answering_after(Duration::from_millis(300), ok("", b"")).await;
    let endpoints: String = (0..500).map(|n| http(&format!("e{n}"), slow)).collect();
    let text = format!("[defaults]\ninterval = \"2s\"\ntimeout = \"1500ms\"\n{endpoints}");
    let daemon = Daemon::start_with(directory.path(), &text, |config| {
        let mut command = program_after("ulimit -n 64");
        command.args(["run", "--config"]).arg(config);
        command
    })
    .await;
    // Three slots of each.
    daemon
        .until(|d| async move {
            let page = d.get("/metrics?collect[]=accounting").await;
            let results = page.iter().flat_map(|text| text.lines());
            let counts = results
                .filter(|line| line.starts_with("probity_probes_total{"))
                .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
            counts.sum::<u64>() >= 1500
        })
        .await;
    let all = daemon.json("/api/v1/endpoints").await;
    let states: Vec<&str> = all["endpoints"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|e| e["state"].as_str())
        .collect();
    assert_eq!(states.len(), 500);
    assert!(!states.contains(&"down"));
    assert!(states.contains(&"up"), "some are measured");
    assert!(
        daemon
            .metric("probity_probe_unmeasured_total{reason=\"local_resource\"}")
            .await
            > 0.0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_touches_only_what_it_changes_and_a_bad_file_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Switch::new().await;
    let text = |names: &[&str]| {
        names
            .iter()
            .map(|n| http(n, server.port))
            .collect::<String>()
    };
    let daemon = Daemon::start(directory.path(), &format!("{QUICK}{}", text(&["a", "b"]))).await;
    daemon.until_state("a", "up").await;
    daemon.until_state("b", "up").await;
    let count = "probity_probe_duration_seconds_count{endpoint=\"a\",outcome=\"success\"}";
    let before = daemon.metric(count).await;
    write_config(
        directory.path(),
        daemon.port,
        &format!("{QUICK}{}", text(&["a", "c"])),
    );
    assert_eq!(
        daemon.reload().await,
        Ok("reloaded: 1 endpoints added, 1 removed, 0 changed, 1 unchanged".into())
    );
    daemon.until_state("c", "up").await;
    assert_eq!(daemon.state("b").await, "absent");
    assert!(daemon.metric(count).await >= before);
    write_config(directory.path(), daemon.port, "[[endpoint]]\nname = 5\n");
    let body = daemon.reload().await.expect_err("refused");
    assert!(
        body.contains("probity.toml:6:8: `endpoint.name` is an integer"),
        "{body}"
    );
    assert_eq!(
        daemon.metric("probity_config_last_reload_successful").await,
        0.0
    );
    assert_eq!(daemon.state("a").await, "up");
    write_config(
        directory.path(),
        daemon.port,
        &format!("{QUICK}{}", text(&["a", "b"])),
    );
    daemon.signal("-HUP");
    daemon
        .until(|d| async move { d.metric("probity_config_last_reload_successful").await == 1.0 })
        .await;
    daemon.until_state("b", "up").await;
    assert_eq!(
        daemon
            .metric("probity_endpoint_state_seconds_total{endpoint=\"a\",state=\"unknown\"}")
            .await
            .floor(),
        0.0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_probe_makes_its_pending_failures_unmeasured() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Switch::new().await;
    let defaults =
        "[defaults]\ninterval = \"2s\"\ntimeout = \"400ms\"\nretry_interval = \"1500ms\"\n";
    let daemon = Daemon::start(
        directory.path(),
        &format!("{defaults}{}", http("shop", server.port)),
    )
    .await;
    daemon.until_state("shop", "up").await;
    server.set(500);
    daemon
        .until(|d| async move { d.endpoint("shop").await["last"]["result"] == "failure" })
        .await;
    // Another target: the failure seen there says nothing about this one.
    server.set(200);
    write_config(
        directory.path(),
        daemon.port,
        &format!(
            "{defaults}{}",
            http("shop", server.port).replace("/\"", "/other\"")
        ),
    );
    daemon.reload().await.expect("reloaded");
    daemon
        .until(|d| async move { d.endpoint("shop").await["last"]["result"] == "success" })
        .await;
    assert_eq!(daemon.state("shop").await, "up");
    assert_eq!(
        daemon
            .metric("probity_endpoint_transitions_total{endpoint=\"shop\",to=\"down\"}")
            .await,
        0.0
    );
    daemon
        .until(|d| async move {
            d.metric("probity_probes_total{endpoint=\"shop\",result=\"unmeasured\"}")
                .await
                >= 1.0
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_on_the_same_state_and_a_taken_port_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = Daemon::start(directory.path(), &http("a", 1)).await;
    let other = tempfile::tempdir().expect("a directory");
    let run = |config: &Path| {
        program()
            .args(["run", "--config"])
            .arg(config)
            .output()
            .expect("runs")
    };
    let taken = write_config(other.path(), daemon.port, &http("a", 1));
    let output = run(&taken);
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    let config = other.path().join("same.toml");
    std::fs::write(
        &config,
        format!(
            "[daemon]\nlisten = \"127.0.0.1:{}\"\nstate_dir = {:?}\n",
            closed_port(),
            directory.path().join("state")
        ),
    )
    .expect("written");
    assert_eq!(run(&config).status.code(), Some(75));
    std::fs::write(
        &config,
        format!(
            "[daemon]\nlisten = \"127.0.0.1:{}\"\nstate_dir = \"/proc/none\"\n",
            closed_port()
        ),
    )
    .expect("written");
    assert_eq!(run(&config).status.code(), Some(73));
    std::fs::write(&config, "[daemon]\nlisten = 5\n").expect("written");
    let refused = run(&config);
    assert_eq!(refused.status.code(), Some(78));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("same.toml:2:10"),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_transition_is_notified_once_even_when_the_receiver_was_dead_and_the_daemon_killed() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Switch::new().await;
    let received: Arc<Mutex<Vec<Value>>> = Arc::default();
    let hook_port = closed_port();
    let url = directory.path().join("hook.url");
    std::fs::write(&url, format!("http://127.0.0.1:{hook_port}/hook\n")).expect("written");
    let config = format!(
        "{QUICK}{}[[notify]]\nname = \"ops\"\nwebhook.url = {{ file = {url:?} }}\n",
        http("shop", server.port)
    );
    let daemon = Daemon::start(directory.path(), &config).await;
    daemon.until_state("shop", "up").await;
    server.set(500);
    daemon
        .until(|d| async move {
            d.metric("probity_endpoint_transitions_total{endpoint=\"shop\",to=\"down\"}")
                .await
                == 1.0
        })
        .await;
    daemon
        .until(|d| async move {
            d.metric("probity_notifications_total{receiver=\"ops\",result=\"failed\"}")
                .await
                >= 1.0
        })
        .await;
    daemon.kill();
    let to = received.clone();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", hook_port))
        .await
        .expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = read_head(&mut stream).await;
            let length = head
                .to_ascii_lowercase()
                .split("content-length: ")
                .nth(1)
                .and_then(|t| t.split("\r\n").next())
                .and_then(|n| n.parse().ok())
                .unwrap_or(0);
            let mut body = vec![0; length];
            let _ = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut body).await;
            to.lock()
                .expect("no panic")
                .push(serde_json::from_slice(&body).expect("JSON"));
            let _ = stream
                .write_all(b"HTTP/1.1 204 No\r\nConnection: close\r\n\r\n")
                .await;
        }
    });
    let daemon = Daemon::start(directory.path(), &config).await;
    let heard = |n: usize| {
        let received = received.clone();
        async move { received.lock().expect("no panic").len() >= n }
    };
    daemon.until(|_| heard(1)).await;
    server.set(200);
    daemon.until(|_| heard(2)).await;
    // What would be told twice would be told by then.
    daemon.until_slots("shop", 3).await;
    let list = received.lock().expect("no panic").clone();
    let states: Vec<&str> = list.iter().filter_map(|v| v["state"].as_str()).collect();
    assert_eq!(states, vec!["down", "up"], "{list:?}");
    assert_eq!(
        (list[0]["endpoint"].as_str(), list[0]["cause"].as_str()),
        (Some("shop"), Some("status"))
    );
    let test = program()
        .args(["notify", "test", "ops", "--json", "--config"])
        .arg(directory.path().join("probity.toml"))
        .output()
        .expect("runs");
    assert_eq!(test.status.code(), Some(0), "{test:?}");
    assert_eq!(checked(&test.stdout)["delivered"], true);
    let all = received.lock().expect("no panic").clone();
    assert_eq!(all.len(), 3);
    for message in all {
        checked(message.to_string().as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_and_markup_reach_no_surface() {
    let directory = tempfile::tempdir().expect("a directory");
    let secret = directory.path().join("secret");
    std::fs::File::create(&secret)
        .and_then(|mut f| f.write_all(b"planted-7f3a"))
        .expect("written");
    let markup = answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Evil: <script>alert(1)</script>\r\n\r\n",
    )
    .await;
    let text = format!(
        "{QUICK}[[endpoint]]\nname = \"<b>\\\"quoted\\\\</b>\"\nprobe.http.url \
            = \"http://127.0.0.1:{markup}/\"\nprobe.http.auth.bearer = {{ file = {secret:?} \
            }}\nprobe.http.headers = {{ x-key = {{ file = {secret:?} }} \
            }}\nprobe.http.expect.headers = {{ x-evil = \"fine\" }}\n"
    );
    let daemon = Daemon::start_with(directory.path(), &text, |config| {
        let mut command = program();
        command
            .args(["run", "--log", "trace", "--config"])
            .arg(config);
        command
    })
    .await;
    daemon
        .until(|d| async move {
            d.get("/api/v1/endpoints")
                .await
                .is_some_and(|t| t.contains("\"down\""))
        })
        .await;
    let (page, metrics) = (
        daemon.get("/").await.expect("a page"),
        daemon.get("/metrics").await.expect("metrics"),
    );
    assert!(
        !page.contains("<script>") && !page.contains("<b>") && page.contains("&#60;b&#62;"),
        "{page}"
    );
    assert!(
        metrics.contains("endpoint=\"<b>\\\"quoted\\\\</b>\""),
        "{metrics}"
    );
    let printed = program()
        .args(["check", "--print", "--config"])
        .arg(directory.path().join("probity.toml"))
        .output()
        .expect("runs");
    let surfaces = [
        page,
        metrics,
        daemon.get("/api/v1/endpoints").await.expect("answered"),
        daemon.log(),
        String::from_utf8_lossy(&printed.stdout).into_owned(),
    ];
    for surface in surfaces {
        assert!(!surface.contains("planted-7f3a"), "{surface}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exposition_has_at_most_56_series_for_an_endpoint_and_collect_chooses_parts() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Switch::new().await;
    let daemon = Daemon::start(
        directory.path(),
        &format!("{QUICK}{}", http("shop", server.port)),
    )
    .await;
    daemon.until_state("shop", "up").await;
    let count = |text: &str| {
        text.lines()
            .filter(|l| l.contains("{endpoint=\"shop\""))
            .count()
    };
    let all = count(&daemon.get("/metrics").await.expect("metrics"));
    let parts = [
        count(
            &daemon
                .get("/metrics?collect[]=state")
                .await
                .expect("metrics"),
        ),
        count(
            &daemon
                .get("/metrics?collect[]=accounting")
                .await
                .expect("metrics"),
        ),
        count(
            &daemon
                .get("/metrics?collect[]=latency")
                .await
                .expect("metrics"),
        ),
    ];
    assert!(
        all <= 56 && parts.iter().sum::<usize>() == all && parts[0] <= 8 && parts[2] == 18 + 3,
        "{all} {parts:?}"
    );
    assert!(
        daemon
            .get("/metrics?collect[]=nonsense")
            .await
            .is_some_and(|t| t.contains("unknown collect[]"))
    );
}

/// Half of the probes hang until the timeout: the p99 of successes is that of successes, on
/// /metrics as in the API.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_p99_on_metrics_is_the_daemons_own_and_timeouts_do_not_mix_in() {
    let directory = tempfile::tempdir().expect("a directory");
    let turns = Arc::new(AtomicU64::new(0));
    let port = tcp(move |mut stream| {
        let hangs = turns.fetch_add(1, Ordering::SeqCst) % 2 == 1;
        async move {
            read_head(&mut stream).await;
            if hangs {
                std::future::pending::<()>().await;
                return;
            }
            let _ = stream.write_all(&ok("", b"")).await;
        }
    })
    .await;
    let daemon = Daemon::start(
        directory.path(),
        &format!(
            "{QUICK}{}{}",
            http("half", port),
            http("never", closed_port())
        ),
    )
    .await;
    let enough = |t: &str, outcome: &str| {
        let series = format!(
            "probity_probe_duration_seconds_count{{endpoint=\"half\",outcome=\"{outcome}\"}} "
        );
        t.lines()
            .filter_map(|l| l.strip_prefix(&series))
            .any(|n| n.parse::<u64>().is_ok_and(|n| n >= 5))
    };
    daemon
        .until(|d| async move {
            d.get("/metrics")
                .await
                .is_some_and(|t| enough(&t, "success") && enough(&t, "timeout"))
        })
        .await;
    let gauge =
        |q: &str| format!("probity_probe_latency_seconds{{endpoint=\"half\",quantile=\"{q}\"}}");
    // Probes go on between two looks: until both see the same.
    daemon
        .until(|d| async move {
            let own = d.json("/api/v1/endpoints?endpoint=half").await;
            let own = own["endpoints"]
                .as_array()
                .and_then(|l| l.iter().find(|e| e["name"] == "half"))
                .map(|e| e["latency"]["hour"]["p99_us"].as_f64());
            let shown = d.metric(&gauge("0.99")).await * 1e6;
            own.flatten()
                .is_some_and(|own| (shown - own).abs() <= own / 10.0)
        })
        .await;
    let (half, ninety, most) = (
        daemon.metric(&gauge("0.5")).await,
        daemon.metric(&gauge("0.9")).await,
        daemon.metric(&gauge("0.99")).await,
    );
    assert!(
        half <= ninety && ninety <= most && most < 0.38,
        "the timeout of 0.4 s is not in {half}, {ninety}, {most}"
    );
    let text = daemon.get("/metrics").await.expect("a page");
    assert!(
        !text.contains("probity_probe_latency_seconds{endpoint=\"never\""),
        "nothing succeeded, so there is no latency"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dead_mans_switch_is_told_while_the_scheduler_lives() {
    let directory = tempfile::tempdir().expect("a directory");
    let calls = Arc::new(AtomicU64::new(0));
    let counted = calls.clone();
    let port = tcp(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(&ok("", b"")).await;
        }
    })
    .await;
    // Another server than the endpoint's: probes are no calls of the switch.
    let probed = answering(ok("", b"")).await;
    let url = directory.path().join("deadman");
    std::fs::write(&url, format!("http://127.0.0.1:{port}/")).expect("written");
    let daemon = Daemon::start(
        directory.path(),
        &format!(
            "[deadman]\nurl = {{ file = {url:?} }}\nevery = \"1s\"\n{}",
            http("a", probed)
        ),
    )
    .await;
    daemon
        .until(|_| {
            let calls = calls.clone();
            async move { calls.load(Ordering::SeqCst) >= 3 }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_answers_during_a_start_never_shows_a_page_without_endpoints() {
    let directory = tempfile::tempdir().expect("a directory");
    let targets: String = (0..20_000)
        .map(|n| format!("e{n} = \"127.0.0.1:1\"\n"))
        .collect();
    let port = closed_port();
    let text = format!(
        "[defaults]\ninterval = \"60s\"\n[group.all]\nprobe.tcp.expect.within \
            = \"2s\"\n[group.all.targets]\n{targets}"
    );
    let config = write_config(directory.path(), port, &text);
    let mut child = program()
        .args(["run", "--config"])
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("spawned");
    let client = client();
    let began = Instant::now();
    let first = loop {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "it never answered"
        );
        let Ok(answer) = client
            .get(format!("http://127.0.0.1:{port}/metrics?collect[]=state"))
            .send()
            .await
        else {
            continue;
        };
        let status = answer.status().as_u16();
        if status == 200 {
            break answer.text().await.expect("a page");
        }
        assert_eq!(status, 503);
    };
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert_eq!(
        first.matches("state=\"unknown\"} ").count(),
        20_000,
        "the first page that is given has every endpoint"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_heard_while_a_large_config_is_read_again() {
    let (directory, server) = (
        tempfile::tempdir().expect("a directory"),
        answering(ok("", b"ok")).await,
    );
    let daemon = Daemon::start(directory.path(), &format!("{QUICK}{}", http("a", server))).await;
    daemon.until_state("a", "up").await;
    // So many take longer to read than an end may take.
    let many: String = (0..40_000)
        .map(|n| format!("e{n} = \"127.0.0.1:1\"\n"))
        .collect();
    let path = directory.path().join("probity.toml");
    let group = "[group.many]\ninterval = \"1h\"\nprobe.tcp.expect = {}\n[group.many.targets]\n";
    let before = std::fs::read_to_string(&path).expect("a config");
    std::fs::write(&path, format!("{before}{group}{many}")).expect("written");
    daemon.signal("-HUP");
    let (code, took) = daemon.end().await;
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(2), "{took:?}");
    let log = std::fs::read_to_string(directory.path().join("log")).expect("a log");
    assert!(!log.contains("reloaded:"), "it was still being read: {log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sighup_while_the_daemon_is_still_starting_is_a_reload_once_it_is_ready() {
    let (directory, server) = (
        tempfile::tempdir().expect("a directory"),
        answering(ok("", b"ok")).await,
    );
    let port = closed_port();
    // So many that a start takes its time.
    let many: String = (0..4000)
        .map(|n| format!("e{n} = \"127.0.0.1:1\"\n"))
        .collect();
    let text = |name: &str| {
        format!(
            "{QUICK}{}[group.many]\ninterval = \"1h\"\nprobe.tcp.expect = \
                {{}}\n[group.many.targets]\n{many}",
            http(name, server)
        )
    };
    let config = write_config(directory.path(), port, &text("a"));
    let whole = std::fs::read_to_string(&config).expect("a config");
    let log = std::fs::File::create(directory.path().join("log")).expect("a log");
    let child = run(&config)
        .stderr(log)
        .stdout(Stdio::null())
        .spawn()
        .expect("spawned");
    let daemon = Daemon {
        child,
        port,
        directory: directory.path().to_owned(),
    };
    let status = format!("/proc/{}/status", daemon.child.id());
    // Bit 0 is that of SIGHUP.
    let catches_hup = |_: &Daemon| {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let mask = text
            .lines()
            .find_map(|l| l.strip_prefix("SigCgt:"))
            .and_then(|m| u64::from_str_radix(m.trim(), 16).ok());
        async move { mask.is_some_and(|m| m & 1 == 1) }
    };
    daemon.until(catches_hup).await;
    for _ in 0..5 {
        daemon.signal("-HUP");
    }
    // The config was read when the state directory is taken. The reload that was asked for reads it
    // again, when the daemon is ready.
    daemon
        .until(|d| {
            let lock = d.directory.join("state/lock");
            async move { lock.exists() }
        })
        .await;
    daemon
        .stopped_during(async {
            std::fs::write(&config, whole.replace("\"a\"", "\"b\"")).expect("written");
        })
        .await;
    // A busy machine takes its time for so many; a page of them all would be asked for in vain.
    daemon
        .until_within(120, |d| {
            std::future::ready(d.log().contains("reloaded: 1 endpoints added, 1 removed"))
        })
        .await;
    assert!(
        daemon
            .get("/-/ready")
            .await
            .is_some_and(|text| text.starts_with("Ready"))
    );
    daemon.until_state("b", "up").await;
    assert_eq!(daemon.state("a").await, "absent");
}

/// Nothing of ours runs yet while the dynamic loader works: only what started the daemon can say
/// then that SIGHUP ends nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_started_with_sighup_ignored_outlives_it_from_the_start_and_reloads_by_it() {
    let (directory, server) = (
        tempfile::tempdir().expect("a directory"),
        answering(ok("", b"ok")).await,
    );
    let port = closed_port();
    let text = |name: &str| format!("{QUICK}{}", http(name, server));
    let config = write_config(directory.path(), port, &text("a"));
    let log = std::fs::File::create(directory.path().join("log")).expect("a log");
    let child = program_after("trap '' HUP")
        .args(["run", "--config"])
        .arg(&config)
        .stderr(log)
        .stdout(Stdio::null())
        .spawn()
        .expect("spawned");
    let daemon = Daemon {
        child,
        port,
        directory: directory.path().to_owned(),
    };
    let status = format!("/proc/{}/status", daemon.child.id());
    let holds_hup = |set: &str| {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let mask = text
            .lines()
            .find_map(|l| l.strip_prefix(set))
            .and_then(|m| u64::from_str_radix(m.trim_start_matches(':').trim(), 16).ok());
        mask.is_some_and(|m| m & 1 == 1)
    };
    daemon
        .until(|_| std::future::ready(holds_hup("SigIgn") || holds_hup("SigCgt")))
        .await;
    // Through the exec, the loader and the first instructions.
    let began = Instant::now();
    while !holds_hup("SigCgt") {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "it never came to its first instructions, or ended"
        );
        daemon.signal("-HUP");
    }
    daemon
        .until(|d| async move {
            d.get("/-/ready")
                .await
                .is_some_and(|text| text.starts_with("Ready"))
        })
        .await;
    write_config(directory.path(), port, &text("b"));
    daemon.signal("-HUP");
    daemon.until_state("b", "up").await;
}
