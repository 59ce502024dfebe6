//! Reading the config again while the daemon runs: all or nothing.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{Mutex, mpsc, oneshot};

use super::start::{arrivals, limits, read_config, registration, show_faults};
use crate::engine::board::Board;
use crate::engine::drive::{Control, ReloadSummary};
use crate::outward::clock::Clock;
use crate::outward::history::writer::Writer;

/// What a reload needs.
#[derive(Clone)]
pub struct Reloader {
    pub path: PathBuf,
    pub board: Arc<Board>,
    pub writer: Writer,
    pub control: mpsc::UnboundedSender<Control>,
    pub one_at_a_time: Arc<Mutex<()>>,
}

impl Reloader {
    /// The summary for a person, or every fault. An invalid file changes nothing.
    pub async fn reload(&self) -> Result<String, String> {
        let _turn = self.one_at_a_time.lock().await;
        let result = self.attempt().await;
        self.board.health.reload_ok.store(result.is_ok(), Ordering::Relaxed);
        match result {
            Ok(s) => {
                self.board.health.reload_utc_ms.store(Clock::Real.read().utc_ms as u64, Ordering::Relaxed);
                let text = format!("reloaded: {} endpoints added, {} removed, {} changed, {} unchanged", s.added, s.removed, s.changed, s.unchanged);
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
        let (path, writer) = (self.path.clone(), self.writer.clone());
        let before = self.board.plan.load_full();
        let prepared = tokio::task::spawn_blocking(move || {
            let plan = read_config(&path).map_err(|faults| show_faults(&faults))?;
            for (what, same) in [
                ("listen", plan.daemon.listen == before.daemon.listen),
                ("state_dir", plan.daemon.state_dir == before.daemon.state_dir),
                ("vantage", plan.daemon.vantage == before.daemon.vantage),
            ] {
                if !same {
                    tracing::warn!("[daemon] {what} has changed; it takes effect with the next start");
                }
            }
            let registered = writer.register(plan.endpoints.iter().map(|e| registration(e)).collect())?;
            let arrivals = arrivals(&plan, registered, &mut HashMap::new());
            let limits = limits(&plan);
            Ok::<_, String>((Arc::new(plan), arrivals, limits))
        });
        let (plan, endpoints, limits) = prepared.await.map_err(|e| e.to_string())??;
        let (reply, answer) = oneshot::channel();
        let _ = self.control.send(Control::Reload { plan, endpoints, limits, reply });
        answer.await.map_err(|_| "the daemon is ending".to_owned())
    }
}
