//! Reading the config again while the daemon runs: all or nothing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};

use super::definitions::definitions;
use super::descriptors::{ListenerPlaces, Shares, shares};
use super::host_trust::HostTrust;
use super::service::{send_reloading, send_state, status_line};
use super::start::{arrivals, read_config, registration};
use crate::config::Plan;
use crate::config::plan::Endpoint;
use crate::engine::board::{Board, Entry};
use crate::engine::drive::{EngineCommand, NewPlan, ReloadSummary};
use crate::history::checkpoint::TermsKey;
use crate::history::writer::Writer;
use crate::net::apart;
use crate::net::clock::Clock;
use crate::net::guarded;
use crate::serve::reloading::{ReloadError, ReloadRequest};
use crate::words::Name;

const LOOK_WHILE_STARTING: Duration = Duration::from_millis(10);

/// What a reload needs.
pub struct Reloader {
    pub path: PathBuf,
    /// The state directory.
    pub directory: PathBuf,
    pub board: Arc<Board>,
    pub writer: Writer,
    pub engine: mpsc::UnboundedSender<EngineCommand>,
    pub terms: TermsKey,
    pub host_trust: HostTrust,
    /// What the descriptors allow.
    pub places: ListenerPlaces,
}

/// Reads the config again whenever somebody asks for it: SIGHUP, `POST /-/reload` or the control
/// socket. It runs beside the loop that hears how the daemon is to end; a file that takes its time
/// keeps nobody from that. `is_asked`: SIGHUP came before there was a stream of it.
pub async fn whenever_asked(
    reloader: Reloader,
    mut requests: mpsc::Receiver<ReloadRequest>,
    mut hangup: Signal,
    mut is_asked: ReloadWanted,
) {
    // Until the first round is scheduled there is nothing to compare a new config with.
    while !reloader.board.health.scheduled.load(Ordering::Acquire) {
        tokio::time::sleep(LOOK_WHILE_STARTING).await;
    }
    loop {
        // Hangups that come during a reload are one; what they mean is read after them.
        let reply = match std::mem::take(&mut is_asked) {
            ReloadWanted::Already => None,
            ReloadWanted::NotYet => tokio::select! {
                request = requests.recv() => request,
                _ = hangup.recv() => None,
            },
        };
        send_reloading();
        let result = reloader.reload().await;
        let status = status_line(&reloader.board);
        send_state(&[NotifyState::Ready, NotifyState::Status(&status)]);
        if let Some(reply) = reply {
            let _ = reply.send(result);
        }
    }
}

/// Whether a reload is wanted before anything else is heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReloadWanted {
    Already,
    #[default]
    NotYet,
}

/// A plan that can take the place of the one in force.
struct PreparedPlan {
    plan: NewPlan,
    same: Vec<(Arc<Entry>, Arc<Endpoint>)>,
    /// Of the descriptors.
    shares: Shares,
}

impl Reloader {
    /// An invalid file changes nothing.
    async fn reload(&self) -> Result<ReloadSummary, ReloadError> {
        let result = self.attempt().await;
        let health = &self.board.health;
        health.reload_ok.store(result.is_ok(), Ordering::Relaxed);
        let refused = result.as_ref().err().map(|why| Arc::new(why.brief()));
        health.reload_refused.store(refused);
        match &result {
            Ok(summary) => {
                let now = Clock::Real.read().utc_ms as u64;
                health.reload_utc_ms.store(now, Ordering::Relaxed);
                health.config_differs.store(false, Ordering::Relaxed);
                tracing::info!("{summary}");
            }
            Err(why) => {
                tracing::error!(%why, "the config was not reloaded; the one before stays in force");
            }
        }
        result
    }

    async fn attempt(&self) -> Result<ReloadSummary, ReloadError> {
        let (path, directory) = (self.path.clone(), self.directory.clone());
        let (before, entries) = (self.board.plan.load_full(), self.board.entries());
        let (writer, terms) = (self.writer.clone(), self.terms.clone());
        let host_trust = self.host_trust.clone();
        let prepared = apart::run(move || {
            let plan = readable(&path, &directory)?;
            note_next_start(&plan, &before);
            prepare(plan, &entries, (&writer, &terms, &host_trust))
        });
        let PreparedPlan { plan, same, shares } = prepared.await??;
        let (reply, answer) = oneshot::channel();
        let _ = self.engine.send(EngineCommand::Reload {
            plan: Box::new(plan),
            reply,
        });
        let summary = answer.await.map_err(|_| ReloadError::Ending)?;
        self.places.set(&shares);
        // Endpoints that are the same get the new plan's copy, so that files that they name are
        // read again and the old plan can go.
        apart::sometime(move || {
            for (entry, after) in same {
                entry.endpoint.store(after);
            }
        });
        Ok(summary)
    }
}

/// The config of the file, if this host lets it be used.
fn readable(path: &Path, directory: &Path) -> Result<Plan, ReloadError> {
    let plan = read_config(path).map_err(ReloadError::Config)?;
    // The directory that is in use, and not one that the config names for the next start.
    if let Some(why) = guarded::state_directory_refused(directory) {
        return Err(ReloadError::StateDirectory {
            directory: directory.display().to_string(),
            why,
        });
    }
    for note in guarded::open_secrets() {
        tracing::warn!("{note}");
    }
    Ok(plan)
}

/// What of a new plan counts from the next start on only.
fn note_next_start(plan: &Plan, before: &Plan) {
    let (new, old) = (&plan.daemon, &before.daemon);
    let is_same_address = plan.listen.address == before.listen.address;
    let page_address = |plan: &Plan| plan.status_page.as_ref().map(|page| page.listen);
    let is_same_page = page_address(plan) == page_address(before);
    for (key, is_same) in [
        ("[listen] address", is_same_address),
        ("[status_page] listen", is_same_page),
        ("[daemon] state_dir", new.state_dir == old.state_dir),
        ("[daemon] zone_data", new.zone_data == old.zone_data),
        ("[daemon] vantage", new.vantage == old.vantage),
        ("[daemon] real_time", new.real_time == old.real_time),
        ("[history] key", plan.history.key == before.history.key),
    ] {
        if !is_same {
            tracing::warn!("{key} has changed; the change takes effect at the next start");
        }
    }
}

/// Compares a plan with what runs, and registers what is new in it. Until that is done, nothing
/// that runs is changed. Then what probes rest on is, before the engine has the plan: authorities,
/// the choice of the clock, masks.
fn prepare(
    plan: Plan,
    entries: &[Arc<Entry>],
    (writer, terms, host_trust): (&Writer, &TermsKey, &HostTrust),
) -> Result<PreparedPlan, ReloadError> {
    let found = compare(&plan, entries);
    let fresh = found.fresh.iter().map(|e| registration(e)).collect();
    let registered = writer.register(fresh).map_err(ReloadError::History)?;
    // From here on nothing can fail. What probes of new endpoints rest on is there before them.
    host_trust.look_for(&plan);
    host_trust.take_over_masks(&plan);
    let endpoints = arrivals(&found.fresh, registered, &mut HashMap::new());
    let shares = shares(&plan);
    let definitions = definitions(&plan, terms, Clock::Real.read().utc_ms);
    let plan = NewPlan {
        plan: Arc::new(plan),
        endpoints,
        leaving: found.leaving,
        shown: found.shown,
        unchanged: found.same.len(),
        limits: shares.limits,
        definitions,
    };
    Ok(PreparedPlan {
        plan,
        same: found.same,
        shares,
    })
}

/// How a new plan differs from what runs.
struct Compared {
    /// New or changed.
    fresh: Vec<Arc<Endpoint>>,
    leaving: Vec<Name>,
    /// What is on the board already, in the order of the plan.
    shown: Vec<Option<Arc<Entry>>>,
    /// Of those that are the same: what runs, and the new plan's copy.
    same: Vec<(Arc<Entry>, Arc<Endpoint>)>,
}

/// Compares where no probe waits for it; nothing that runs is changed by it.
fn compare(plan: &Plan, entries: &[Arc<Entry>]) -> Compared {
    let mut running: HashMap<Name, &Arc<Entry>> = entries
        .iter()
        .map(|entry| (entry.endpoint.load().name.clone(), entry))
        .collect();
    let mut found = Compared {
        fresh: Vec::new(),
        leaving: Vec::new(),
        shown: Vec::with_capacity(plan.endpoints.len()),
        same: Vec::new(),
    };
    for after in &plan.endpoints {
        let entry = running.remove(&after.name);
        found.shown.push(entry.cloned());
        match entry {
            Some(entry) if entry.endpoint.load().is_as(after) => {
                found.same.push((entry.clone(), after.clone()));
            }
            Some(_) | None => found.fresh.push(after.clone()),
        }
    }
    found.leaving = running.into_keys().collect();
    found.leaving.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use crate::history::opened::History;
    use crate::net::authorities::Authorities;
    use crate::net::clock_trust::ClockTrust;
    use crate::net::config_files::Files;

    #[test]
    fn a_plan_that_is_prepared_changes_nothing_that_runs() {
        let directory = tempfile::tempdir().expect("a directory");
        let config = directory.path().join("c.toml");
        let plan = |more: &str| {
            let of = |name: &str, port: u16| {
                format!("[[endpoint]]\nname = \"{name}\"\nprobe.tcp = \"127.0.0.1:{port}\"\n")
            };
            let text = of("same", 1) + &of("other", more.len() as u16 + 1) + more;
            std::fs::write(&config, text).expect("written");
            load(&config, &Files).expect("a plan")
        };
        let before = Arc::new(plan(""));
        let board = Board::new(before.clone());
        let numbered = before.endpoints.iter().cloned().enumerate();
        let entry = |(index, endpoint)| Arc::new(Entry::new(index, endpoint, 1));
        board.set_entries(numbered.map(entry).collect());
        let history = History::open(&directory.path().join("state"), None).expect("a history");
        let (writer, thread) = history.start(drop).expect("a thread");
        let host_trust = HostTrust {
            authorities: Authorities::of_the_system(),
            clock: Arc::new(ClockTrust::default()),
            masks: Arc::default(),
        };
        let entries = board.entries();
        let new = plan("[[endpoint]]\nname = \"new\"\nprobe.tcp = \"127.0.0.1:3\"\n");
        let terms = TermsKey::nobodys();
        let prepared = prepare(new, &entries, (&writer, &terms, &host_trust)).expect("prepared");
        for (entry, endpoint) in entries.iter().zip(&before.endpoints) {
            assert!(
                Arc::ptr_eq(&entry.endpoint.load(), endpoint),
                "what runs is as it was"
            );
        }
        assert!(Arc::ptr_eq(&board.plan.load(), &before));
        let names = |list: &[crate::engine::drive::Arrival]| {
            let names = list.iter().map(|a| a.endpoint.name.to_string());
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(&prepared.plan.endpoints), ["other", "new"]);
        assert_eq!((prepared.plan.unchanged, prepared.same.len()), (1, 1));
        writer.end(Duration::ZERO);
        thread.join().expect("an end");
    }
}
