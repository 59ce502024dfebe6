//! The start of a daemon: config, state directory, port, and what the history says of every
//! endpoint.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::definitions::definitions;
use super::exit::Exit;
use crate::config::document::source::show_faults_only;
use crate::config::plan::Endpoint;
use crate::config::{Fault, Plan, listen_in, load, state_dir_in};
use crate::engine::board::Board;
use crate::engine::drive::Arrival;
use crate::engine::recorder::Recorder;
use crate::engine::recorder::definitions::Definitions;
use crate::engine::replay::judges;
use crate::engine::stored_judges::contradicts;
use crate::history::checkpoint::TermsKey;
use crate::history::event::{CheckpointKeyChangedEvent, DaemonStartedEvent, ZoneRelease};
use crate::history::opened::History;
use crate::history::registry::Registered;
use crate::history::restore::Restored;
use crate::history::schema::FORMAT;
use crate::history::{EventDraft, HistoryError, Registration};
use crate::judgement::latency::hour_of;
use crate::judgement::maintenance::Stored;
use crate::judgement::rules::{Cadence, Rules};
use crate::judgement::state::Judge;
use crate::judgement::zones;
use crate::net::bounded;
use crate::net::clock::{Clock, NS_PER_MS, Reading, TimelineClock};
use crate::net::config_files::{FILE_LIMIT, Files, Unread, WithoutSecrets};
use crate::net::guarded;
use crate::serve::listener::bind;
use crate::words::UtcMs;

/// A config in this folder belongs to the service, and its state is where the unit keeps it.
const INSTALLED_CONFIGS: &str = "/etc/probity";
const INSTALLED_STATE: &str = "/var/lib/probity";

/// Why a daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{}", show_faults_only(.0))]
    Config(Vec<Fault>),
    #[error("{0}")]
    History(#[from] HistoryError),
    #[error(
        "cannot listen on {address}: {why}; free the port or set another `address` in [listen]"
    )]
    Listen { address: String, why: String },
    #[error("the operating system refuses something that the daemon needs: {0}")]
    System(String),
}

impl StartError {
    pub fn exit(&self) -> Exit {
        match self {
            StartError::Config(_) => Exit::Config,
            StartError::History(HistoryError::Owned { .. }) => Exit::Owned,
            StartError::History(_) => Exit::StateDirectory,
            StartError::Listen { .. } => Exit::Unavailable,
            StartError::System(_) => Exit::StateDirectory,
        }
    }
}

/// Reads and checks a config with all that it names on this host.
pub fn read_config(path: &Path) -> Result<Plan, Vec<Fault>> {
    load(path, &Files)
}

/// The same for a command that sends no secret and signs nothing: it reads none.
pub fn read_without_secrets(path: &Path, unread: Unread) -> Result<Plan, Vec<Fault>> {
    load(path, &WithoutSecrets::new(unread))
}

/// Where the state is.
pub fn state_directory(plan: &Plan, config: &Path) -> PathBuf {
    let given = std::env::var_os("STATE_DIRECTORY");
    directory_of(plan.daemon.state_dir.as_deref(), given.as_deref(), config)
}

/// The same of a config with faults, as far as its text says it: to ask the daemon that runs.
pub fn likely_state_directory(config: &Path) -> PathBuf {
    let text = text_of(config).unwrap_or_default();
    let named = state_dir_in(&text).map(PathBuf::from);
    let given = std::env::var_os("STATE_DIRECTORY");
    directory_of(named.as_deref(), given.as_deref(), config)
}

/// Of a file; a named pipe would make us wait for whoever writes to it.
fn text_of(config: &Path) -> Option<String> {
    let file = guarded::open(config).ok()?;
    String::from_utf8(bounded::bytes(&file, FILE_LIMIT).ok()?).ok()
}

/// And the address at which the daemon listens that runs; nothing where the text does not say it.
pub fn likely_listen_address(config: &Path) -> Option<SocketAddr> {
    let text = text_of(config)?;
    listen_in(&text)?.parse().ok()
}

/// The config's, else the service manager's, else that of an installed config, else beside us
/// (docs/decisions/044-where-the-state-is.md).
fn directory_of(named: Option<&Path>, given: Option<&OsStr>, config: &Path) -> PathBuf {
    let is_installed = std::path::absolute(config)
        .is_ok_and(|path| path.parent() == Some(Path::new(INSTALLED_CONFIGS)));
    match (named, given.filter(|list| !list.is_empty())) {
        (Some(named), _) => named.to_owned(),
        (None, Some(list)) => first_of(list),
        (None, None) if is_installed => INSTALLED_STATE.into(),
        (None, None) => "probity-state".into(),
    }
}

/// A unit with several state directories has them in one variable (systemd.exec(5)).
fn first_of(list: &OsStr) -> PathBuf {
    let first = list.as_bytes().split(|b| *b == b':').next();
    PathBuf::from(OsStr::from_bytes(first.unwrap_or_default()))
}

pub fn listen(plan: &Plan) -> Result<TcpListener, StartError> {
    let address = plan.listen.address;
    bind(address).map_err(|e| StartError::Listen {
        address: address.to_string(),
        why: e.to_string(),
    })
}

pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|s| s.trim().to_owned())
        .unwrap_or_default()
}

/// The timeline goes on: over a restart by CLOCK_BOOTTIME, over a reboot by the calendar, and never
/// back.
pub fn timeline(restored: &Restored, boot_id: &str, now: &Reading) -> TimelineClock {
    let at_ns: i128 = match &restored.last {
        None => i128::from(now.utc_ms) * i128::from(NS_PER_MS),
        Some(last) => {
            let base = i128::from(last.timeline_ms) * i128::from(NS_PER_MS);
            let dead = if last.boot_id == boot_id {
                i128::from(now.boot_ns.saturating_sub(last.boot_ns))
            } else {
                i128::from((now.utc_ms - last.utc_ms).max(0)) * i128::from(NS_PER_MS)
            };
            base + dead
        }
    };
    TimelineClock {
        offset_ns: at_ns - i128::from(now.boot_ns),
    }
}

pub use crate::engine::registration::registration;

pub fn arrivals(
    endpoints: &[Arc<Endpoint>],
    registered: Vec<Registered>,
    judges: &mut HashMap<i64, (Cadence, Judge)>,
) -> Vec<Arrival> {
    endpoints
        .iter()
        .zip(registered)
        .map(|(endpoint, r)| {
            let (cadence, judge) = judges
                .remove(&r.id)
                .map_or((None, None), |(c, j)| (Some(c), Some(j)));
            Arrival {
                endpoint: endpoint.clone(),
                id: r.id,
                judge,
                cadence,
                digest_before: r.digest_before,
                was_in_service: r.was_in_service,
                renamed: r.renamed,
                component_before: r.component_before,
                news: r.news,
            }
        })
        .collect()
}

/// Everything that the engine starts with.
pub struct Begun {
    pub history: History,
    pub timeline: TimelineClock,
    pub boot_id: String,
    pub recorder: Recorder,
    pub arrivals: Vec<Arrival>,
    /// Judges of endpoints that the config does not have.
    pub parked: HashMap<i64, (Cadence, Judge)>,
    /// Latency of the present hour, to be shown again: (endpoint number, hour, body).
    pub tallies: Vec<(i64, i64, Vec<u8>)>,
    pub definitions: Definitions,
    /// Commits to terms, at each reload again.
    pub terms: TermsKey,
    /// The newest time of the history before this start; 0 for a new one.
    pub newest_utc_ms: UtcMs,
    /// An outage is open whose cause is a certificate's date.
    pub has_date_outage: bool,
}

/// Opens the history and brings every endpoint back to where it was.
pub fn begin(plan: &Plan, directory: &Path, board: &Arc<Board>) -> Result<Begun, StartError> {
    let mut history = History::open(directory, plan.history.key.as_ref().map(|k| k.reveal()))?;
    let restored = history.restore()?;
    let windows = history.windows()?;
    let mut judges = judges(&restored, &windows)?;
    refuse_contradictions(&judges, &restored, directory)?;
    let reading = Clock::Real.read();
    let boot_id = boot_id();
    let timeline = timeline(&restored, &boot_id, &reading);
    let now = timeline.ms(reading.boot_ns);
    amend_old_tallies(&mut history, &mut judges, &restored, (&reading, now))?;
    let has_date_outage = judges.values().any(|(_, judge)| {
        judge
            .outage()
            .is_some_and(|outage| outage.cause.is_of_the_date())
    });
    let newest_utc_ms = restored.last.as_ref().map_or(0, |last| last.utc_ms);
    let mut recorder = restored_recorder(plan, board, &history, (&restored, windows), now)?;
    let registrations: Vec<Registration> = plan.endpoints.iter().map(|e| registration(e)).collect();
    let registered = history.register(&registrations)?;
    started(
        &mut recorder,
        (&restored, &plan.daemon.vantage),
        &boot_id,
        &reading,
        now,
    );
    record_new_key(&mut recorder, &history, &reading, now);
    let arrivals = arrivals(&plan.endpoints, registered, &mut judges);
    let parked = park(&mut recorder, &restored, &mut judges, now);
    let tallies = history.tallies_since(hour_of(reading.utc_ms) - 1)?;
    let terms = history.terms_key();
    let definitions = definitions(plan, &terms, reading.utc_ms);
    Ok(Begun {
        history,
        timeline,
        boot_id,
        recorder,
        arrivals,
        parked,
        tallies,
        definitions,
        terms,
        newest_utc_ms,
        has_date_outage,
    })
}

type Judges = HashMap<i64, (Cadence, Judge)>;

/// No start on a judge that no history of events can have led to.
fn refuse_contradictions(
    judges: &Judges,
    restored: &Restored,
    directory: &Path,
) -> Result<(), HistoryError> {
    let Some((id, why)) = judges
        .iter()
        .find_map(|(id, (_, judge))| contradicts(judge).map(|why| (id, why)))
    else {
        return Ok(());
    };
    let name = restored
        .endpoints
        .iter()
        .find(|(_, e)| e.id == *id)
        .map_or_else(String::new, |(name, _)| name.to_string());
    Err(HistoryError::Damaged {
        path: directory.display().to_string(),
        why: format!("stored state of {name} is corrupt: {why}"),
    })
}

/// The tallies of the last hour but one, and of those before, are not written any more: they get
/// the longest time between two probes now.
fn amend_old_tallies(
    history: &mut History,
    judges: &mut Judges,
    restored: &Restored,
    (reading, now): (&Reading, u64),
) -> Result<(), HistoryError> {
    if restored
        .last
        .as_ref()
        .is_some_and(|last| hour_of(last.utc_ms) < hour_of(reading.utc_ms) - 1)
    {
        let longest: Vec<_> = judges
            .iter_mut()
            .map(|(id, (cadence, judge))| (*id, judge.begin_blind(&Rules::new(*cadence), now)))
            .collect();
        history.amend_last_tallies(&longest)?;
    }
    Ok(())
}

/// A recorder that knows what the history holds.
fn restored_recorder(
    plan: &Plan,
    board: &Arc<Board>,
    history: &History,
    (restored, windows): (&Restored, Vec<Stored>),
    now: u64,
) -> Result<Recorder, HistoryError> {
    let mut recorder = Recorder::new(board.clone(), restored.offset_ms, restored.last_batch, now);
    recorder.configure(plan.notify.clone(), &plan.metrics);
    recorder.restore_windows(windows);
    recorder.restore_notified_unknown(history.notified_unknown()?);
    recorder.restore_recording(history.recording()?);
    recorder.restore_definitions(history.definitions()?.into());
    Ok(recorder)
}

/// Records that checkpoints are signed by another key, where they are.
fn record_new_key(recorder: &mut Recorder, history: &History, reading: &Reading, now: u64) {
    let Some(before) = &history.key_before else {
        return;
    };
    let changed = CheckpointKeyChangedEvent {
        key_before: before.clone(),
        key: history.key(),
        vouch: Some(history.vouch.clone().unwrap_or_default()),
    };
    let _ = recorder.push_event(EventDraft::general(now, reading.utc_ms, changed));
    tracing::warn!("a new key signs checkpoints from now on; the history records the change");
}

/// Judges of endpoints that the config does not have; those that were in service leave it.
fn park(recorder: &mut Recorder, restored: &Restored, judges: &mut Judges, now: u64) -> Judges {
    let mut parked = Judges::new();
    for (name, endpoint) in &restored.endpoints {
        let Some((cadence, judge)) = judges.remove(&endpoint.id) else {
            continue;
        };
        let judge = if endpoint.in_service {
            recorder.leave_foreign(endpoint.id, name.clone(), &cadence, judge, now)
        } else {
            recorder.store_foreign(endpoint.id, &cadence, &judge);
            judge
        };
        parked.insert(endpoint.id, (cadence, judge));
    }
    parked
}

fn started(
    recorder: &mut Recorder,
    (restored, vantage): (&Restored, &str),
    boot_id: &str,
    reading: &Reading,
    now: u64,
) {
    let zones = zones::in_use();
    let started = DaemonStartedEvent {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot_id: boot_id.to_owned(),
        boot_ns: reading.boot_ns,
        format: Some(FORMAT),
        vantage: Some(vantage.to_owned()),
        zone_data: Some(ZoneRelease {
            source: zones.source.as_str().into(),
            release: zones.release.clone(),
        }),
        last_mark_ms: restored.last.as_ref().map(|last| last.timeline_ms),
        ended_by_itself: restored.last.as_ref().map(|_| restored.was_stopped),
    };
    let _ = recorder.push_event(EventDraft::general(now, reading.utc_ms, started));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_of_the_service_has_the_state_of_the_service() {
        let of = |named: Option<&str>, given: Option<&str>, config: &str| {
            let (named, given) = (named.map(Path::new), given.map(OsStr::new));
            directory_of(named, given, Path::new(config))
        };
        let installed = "/etc/probity/probity.toml";
        for (named, given, config, expected) in [
            (None, None, installed, "/var/lib/probity"),
            (None, None, "/etc/probity/fra1.toml", "/var/lib/probity"),
            (None, None, "/etc/probity/conf.d/a.toml", "probity-state"),
            (None, None, "probity.toml", "probity-state"),
            (None, Some(""), installed, "/var/lib/probity"),
            (None, Some("/run/a:/run/b"), installed, "/run/a"),
            (Some("/srv/a"), Some("/run/a"), installed, "/srv/a"),
        ] {
            let found = of(named, given, config);
            assert_eq!(found, Path::new(expected), "{named:?} {given:?} {config}");
        }
    }

    #[test]
    fn the_first_of_several_state_directories_holds_the_history() {
        let first = |list: &str| first_of(OsStr::new(list));
        assert_eq!(first("/var/lib/probity"), Path::new("/var/lib/probity"));
        let two = "/var/lib/probity:/var/lib/probity/backups";
        assert_eq!(first(two), Path::new("/var/lib/probity"));
    }
}
