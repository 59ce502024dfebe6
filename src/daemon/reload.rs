//! Reading the config again while the daemon runs: all or nothing.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, mpsc, oneshot};

use super::definitions::definitions;
use super::descriptors::shares;
use super::start::{arrivals, read_config, registration, show_faults};
use super::surroundings::Surroundings;
use crate::config::Plan;
use crate::config::plan::Endpoint;
use crate::engine::board::{Board, Entry};
use crate::engine::drive::{Control, NewPlan, ReloadSummary};
use crate::history::checkpoint::TermsKey;
use crate::history::writer::Writer;
use crate::net::apart;
use crate::net::clock::Clock;
use crate::net::guarded;
use crate::words::Name;

/// What a reload needs.
#[derive(Clone)]
pub struct Reloader {
    pub path: PathBuf,
    /// The state directory.
    pub directory: PathBuf,
    pub board: Arc<Board>,
    pub writer: Writer,
    pub control: mpsc::UnboundedSender<Control>,
    pub one_at_a_time: Arc<Mutex<()>>,
    pub terms: TermsKey,
    pub surroundings: Surroundings,
    /// Connections of the listener that the descriptors allow.
    pub places: Arc<AtomicUsize>,
}

impl Reloader {
    /// The summary for a person, or every fault. An invalid file changes nothing.
    pub async fn reload(&self) -> Result<String, String> {
        let _turn = self.one_at_a_time.lock().await;
        let result = self.attempt().await;
        self.board
            .health
            .reload_ok
            .store(result.is_ok(), Ordering::Relaxed);
        match result {
            Ok(s) => {
                self.board
                    .health
                    .reload_utc_ms
                    .store(Clock::Real.read().utc_ms as u64, Ordering::Relaxed);
                let text = format!(
                    "reloaded: {} endpoints added, {} removed, {} changed, {} unchanged",
                    s.added, s.removed, s.changed, s.unchanged
                );
                tracing::info!("{text}");
                Ok(text)
            }
            Err(why) => {
                tracing::error!(%why, "the config was not reloaded; the one before stays in force");
                Err(why)
            }
        }
    }

    async fn attempt(&self) -> Result<ReloadSummary, String> {
        let (path, writer, terms, surroundings) = (
            self.path.clone(),
            self.writer.clone(),
            self.terms.clone(),
            self.surroundings.clone(),
        );
        let (places, directory) = (self.places.clone(), self.directory.clone());
        let (before, entries) = (self.board.plan.load_full(), self.board.entries());
        let prepared = apart::run(move || {
            let plan = read_config(&path).map_err(|faults| show_faults(&faults))?;
            // The directory that is in use, and not one that the config names for the next start.
            if let Some(why) = guarded::state_directory_refused(&directory) {
                return Err(format!(
                    "the state directory {} cannot be used: {why}",
                    directory.display()
                ));
            }
            for note in guarded::open_secrets() {
                tracing::warn!("{note}");
            }
            for (what, same) in [
                (
                    "[listen] address",
                    plan.listen.address == before.listen.address,
                ),
                (
                    "[daemon] state_dir",
                    plan.daemon.state_dir == before.daemon.state_dir,
                ),
                (
                    "[daemon] zone_data",
                    plan.daemon.zone_data == before.daemon.zone_data,
                ),
                (
                    "[daemon] vantage",
                    plan.daemon.vantage == before.daemon.vantage,
                ),
            ] {
                if !same {
                    tracing::warn!("{what} has changed; the change takes effect at the next start");
                }
            }
            let found = compare(&plan, &entries);
            let registered =
                writer.register(found.fresh.iter().map(|e| registration(e)).collect())?;
            // From here on nothing can fail. Endpoints that are the same get the new plan's copy,
            // so that files that they name are read again and the old plan can go.
            surroundings.look_for(&plan);
            let unchanged = found.same.len();
            found
                .same
                .into_iter()
                .for_each(|(entry, after)| entry.endpoint.store(after));
            let endpoints = arrivals(&found.fresh, registered, &mut HashMap::new());
            let (shares, definitions) = (
                shares(&plan),
                definitions(&plan, &terms, Clock::Real.read().utc_ms),
            );
            places.store(shares.connections, Ordering::Relaxed);
            let limits = shares.limits;
            let (leaving, shown) = (found.leaving, found.shown);
            Ok::<_, String>(NewPlan {
                plan: Arc::new(plan),
                endpoints,
                leaving,
                shown,
                unchanged,
                limits,
                definitions,
            })
        });
        let plan = prepared.await.map_err(|e| e.to_string())??;
        let (reply, answer) = oneshot::channel();
        let _ = self.control.send(Control::Reload {
            plan: Box::new(plan),
            reply,
        });
        answer
            .await
            .map_err(|_| "the daemon is shutting down".to_owned())
    }
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
