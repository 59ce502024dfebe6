//! A state directory whose every figure is known: a night in simulated time, written through the
//! real history.
//!
//! Three endpoints of two components, five outages, one of which is too short to be seen, a kill of
//! ten minutes, and two windows, of which a contract refuses one. Beside it, what makes a text fit
//! for a snapshot.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use probity::config::load;
use probity::engine::simulation::{Incident, World, simulate_into};
use probity::history::event::MaintenanceDeclaredEvent;
use probity::history::opened::History;
use probity::history::{EventDraft, Registration};
use probity::judgement::timeline::{Span, Spans};
use probity::net::config_files::Files;
use probity::words::{Ms, parse_utc};
use regex::Regex;
use serde_json::Value;

use super::cli::probity;

/// The contract's six hours; the record begins before them and ends after them.
pub const FROM: &str = "2025-03-01T00:00:00Z";
pub const TO: &str = "2025-03-01T06:00:00Z";

const ENDPOINTS: &str = r#"
[history]
key = { file = "DIRECTORY/signing.key" }
[defaults]
interval = "60s"
timeout = "5s"
[component.checkout]
title = "Checkout"
[[endpoint]]
name = "backend"
probe.tcp = "127.0.0.1:1"
[[endpoint]]
name = "shop-db"
component = "checkout"
probe.tcp = "127.0.0.1:2"
[[endpoint]]
name = "shop-web"
component = "checkout"
labels = { team = "shop" }
probe.http = "http://127.0.0.1:3/health"
[sla.standard]
objective = "99.9"
period = "rolling 6h"
components = ["backend", "checkout"]
min_coverage = "97"
fee = "1000.00"
currency = "EUR"
[sla.standard.maintenance]
notice = "2h"
allowance = "1h"
[sla.standard.credit]
model = "linear"
step = "1"
per_step = "10"
rounding = "pro_rata"
[[tenant]]
name = "B"
sla = "standard"
components = ["checkout"]
fee = "12000.00"
"#;

/// When each endpoint is truly down, in the order of the config.
const DOWN: [&[(&str, &str)]; 3] = [
    &[
        ("2025-03-01T03:30:10Z", "2025-03-01T03:30:30Z"),
        ("2025-03-01T05:55:00Z", "2025-03-01T06:05:00Z"),
    ],
    &[
        ("2025-03-01T01:10:00Z", "2025-03-01T01:20:00Z"),
        ("2025-03-01T03:05:00Z", "2025-03-01T03:20:00Z"),
    ],
    &[("2025-03-01T03:00:00Z", "2025-03-01T03:10:00Z")],
];

/// (id, when it begins, when it was declared, why); each lasts an hour.
const WINDOWS: [(&str, &str, &str, &str); 2] = [
    (
        "db-upgrade",
        "2025-03-01T01:00:00",
        "2025-02-28T22:00:00Z",
        "PostgreSQL 18",
    ),
    (
        "hotfix",
        "2025-03-01T03:00:00",
        "2025-03-01T02:00:00Z",
        "a fix",
    ),
];

pub struct Recorded {
    directory: tempfile::TempDir,
}

fn at(text: &str) -> Ms {
    parse_utc(text).expect("an instant").unsigned_abs()
}

impl Recorded {
    /// The one that tests share while they only read.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Recorded>> = Mutex::new(Weak::new());
        let mut shared = SHARED
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let fresh = Arc::new(Self::new());
            *shared = Arc::downgrade(&fresh);
            fresh
        })
    }

    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let key = directory.path().join("signing.key");
        std::fs::write(&key, "5a".repeat(32)).expect("written");
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("set");
        let recorded = Self { directory };
        recorded.configure();
        recorded.fill();
        recorded
    }

    fn configure(&self) {
        let head = format!(
            "[daemon]\nvantage = \"hel1\"\nstate_dir = \"{}\"\n",
            self.state_dir()
        );
        std::fs::write(self.config(), head + &self.endpoints()).expect("written");
    }

    /// The config without its `[daemon]`.
    pub fn endpoints(&self) -> String {
        ENDPOINTS.replace("DIRECTORY", self.path().to_str().expect("UTF-8"))
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn config(&self) -> PathBuf {
        self.path().join("probity.toml")
    }

    pub fn state_dir(&self) -> String {
        self.path()
            .join("state")
            .to_str()
            .expect("UTF-8")
            .to_owned()
    }

    fn fill(&self) {
        let plan =
            Arc::new(load(&self.config(), &Files).unwrap_or_else(|faults| panic!("{faults:?}")));
        let span = |(from, to): &(&str, &str)| Span::new(at(from) as i64, at(to) as i64);
        let world = World {
            begin: at("2025-02-28T22:00:00Z"),
            end: at("2025-03-01T06:15:00Z"),
            down: DOWN
                .iter()
                .map(|list| Spans::new(list.iter().map(span).collect()))
                .collect(),
            loss_ppm: 2000,
            incidents: vec![Incident::Killed {
                from: at("2025-03-01T04:00:30Z"),
                to: at("2025-03-01T04:10:30Z"),
            }],
            seed: 11,
        };
        let mut history =
            History::open(Path::new(&self.state_dir()), Some(&"5a".repeat(32))).expect("opened");
        let registered = |e: &Arc<probity::config::Endpoint>| Registration {
            name: e.name.clone(),
            renamed_from: None,
            component: e.component.clone(),
            kind: e.probe.kind().as_str(),
            target: e.target(),
            digest: e.digest,
        };
        history
            .register(&plan.endpoints.iter().map(registered).collect::<Vec<_>>())
            .expect("registered");
        let (writer, thread) = history.start(|_| {}).expect("a thread");
        simulate_into(&plan, &world, &mut |mut batch| {
            let (now, since) = (batch.stamp.timeline_ms, batch.stamp.timeline_ms - 60_000);
            batch.events.extend(
                WINDOWS
                    .iter()
                    .filter(|w| (since..now).contains(&at(w.2)))
                    .map(declared),
            );
            writer.commit(batch);
        });
        writer.end(Duration::from_secs(60));
        drop(writer);
        thread.join().expect("it ended");
    }

    /// A command on this state directory, through its config.
    pub fn probity(&self, args: &[&str]) -> Output {
        let config = self.config();
        let mut all = args.to_vec();
        all.extend(["--config", config.to_str().expect("UTF-8")]);
        probity(&all)
    }

    /// The same, as a text without what differs from run to run: this directory, the random name of
    /// the chain with the hashes and signatures that it goes into, and when a report was issued.
    pub fn told(&self, args: &[&str]) -> String {
        self.named(&told(&self.probity(args)))
    }

    pub fn named(&self, text: &str) -> String {
        plain(
            &text.replace(self.path().to_str().expect("UTF-8"), "DIRECTORY"),
            &[],
        )
    }
}

fn declared((id, start, recorded, reason): &(&str, &str, &str, &str)) -> EventDraft {
    let recorded = at(recorded);
    let declared = MaintenanceDeclaredEvent {
        id: (*id).to_owned(),
        components: vec!["checkout".into()],
        endpoints: Vec::new(),
        start: (*start).to_owned(),
        start_instant: None,
        time_zone: "UTC".into(),
        every: Vec::new(),
        duration_ms: 3_600_000,
        announced_at: None,
        reason: (*reason).to_owned(),
        by: "uid 0: anna".into(),
        from_config: false,
    };
    EventDraft::general(recorded, recorded as i64, declared)
}

/// What a command printed on both streams, and its exit code.
pub fn told(output: &Output) -> String {
    let stream = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (stream(&output.stdout), stream(&output.stderr));
    let err = if err.is_empty() {
        String::new()
    } else {
        format!("--- standard error\n{err}")
    };
    format!(
        "{out}{err}--- exit code {}\n",
        output.status.code().unwrap_or(-1)
    )
}

/// JSON as people read it, so that a snapshot shows what changed.
pub fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("JSON")
}

/// Takes out what differs from run to run: signatures and hashes, and what `more` names.
pub fn plain(text: &str, more: &[(&str, &str)]) -> String {
    let always = [
        (r"\b[0-9a-f]{128}\b", "SIGNATURE"),
        (r"\b[0-9a-f]{64}\b", "HASH"),
        (r"\b[0-9a-f]{32}\b", "CHAIN"),
    ];
    always
        .iter()
        .chain(more)
        .fold(text.to_owned(), |text, (pattern, with)| {
            Regex::new(pattern)
                .expect("a pattern")
                .replace_all(&text, *with)
                .into_owned()
        })
}

/// Compares with tests/snapshots; `INSTA_UPDATE=always` writes them anew.
pub fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
