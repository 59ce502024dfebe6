//! Looks after what probes rest on and the config does not hold: authorities, `ca_file`s, and what
//! vouches for the clock.
//!
//! Beside the probing thread: files are read here, and the board gets what metrics show of them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::config::Plan;
use crate::config::plan::ClockChoice;
use crate::config::plan::probe::{CaFile, Tls, Verify};
use crate::engine::board::Board;
use crate::net::apart;
use crate::net::authorities::Authorities;
use crate::net::clock::{Clock, NS_PER_MS};
use crate::net::clock_trust::ClockTrust;
use crate::net::masks_in_force::MasksInForce;
use crate::net::own_calls;
use crate::net::sys::KernelSync;
use crate::words::Ms;

/// How often files and clock are looked at.
const EVERY: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct HostTrust {
    pub authorities: Arc<Authorities>,
    pub clock: Arc<ClockTrust>,
    pub masks: Arc<MasksInForce>,
}

impl HostTrust {
    /// Reads what has changed, and shows how things stand. Blocks.
    pub fn look(&self, board: &Board) {
        self.masks.forget(now_ms());
        self.look_for(&board.plan.load());
        let state = self.clock.look();
        board.health.authorities.store(
            self.authorities.system().anchors.len() as u64,
            Ordering::Relaxed,
        );
        board
            .health
            .clock_synchronised
            .store(state == KernelSync::Synchronised, Ordering::Relaxed);
    }

    /// The same for a plan that is about to come into force.
    pub fn look_for(&self, plan: &Plan) {
        self.clock.choose(plan.daemon.clock);
        self.authorities.look(&ca_files(plan));
    }

    /// Its secrets are masked from here on, and those of the plan before for some time.
    pub fn take_over_masks(&self, plan: &Plan) {
        self.masks.take_over(&plan.masks, now_ms());
    }

    /// What a person should know before it costs anything.
    pub fn say_at_start(&self, plan: &Plan) {
        for note in notes(plan, &self.authorities, &self.clock) {
            tracing::warn!("{note}");
        }
    }
}

fn now_ms() -> Ms {
    Clock::Real.boot_ns() / NS_PER_MS
}

/// What this host lacks that the plan's endpoints rest on.
pub fn notes(plan: &Plan, authorities: &Authorities, clock: &ClockTrust) -> Vec<String> {
    let mut notes = Vec::new();
    let verified: Vec<&Tls> = specs(plan)
        .filter(|tls| tls.verify == Verify::Full)
        .collect();
    if let Some(why) = authorities
        .system()
        .problem
        .clone()
        .filter(|_| verified.iter().any(|tls| tls.ca.is_none()))
    {
        notes.push(format!(
            "{why}: endpoints that it cannot verify will be unknown (trust_store); install \
                ca-certificates or set tls.ca_file"
        ));
    }
    if !verified.is_empty()
        && plan.daemon.clock == ClockChoice::Verified
        && clock.look() != KernelSync::Synchronised
    {
        notes.push(
            "the kernel does not report its clock as synchronised (adjtimex): certificate dates \
                count only if another certificate confirms the clock, otherwise the endpoint is \
                unknown (clock). Run an NTP client, or set [daemon] clock = \"trusted\" if \
                something else keeps the clock right"
                .to_owned(),
        );
    }
    notes.extend(own_calls::note(plan));
    notes
}

fn specs(plan: &Plan) -> impl Iterator<Item = &Tls> {
    plan.endpoints
        .iter()
        .chain(&plan.witness.endpoints)
        .filter(|e| e.probe.is_secured())
        .filter_map(|e| e.probe.tls())
}

/// Each file once. Redirects may lead from http to https, so files of plain endpoints count, too.
fn ca_files(plan: &Plan) -> Vec<CaFile> {
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for endpoint in plan.endpoints.iter().chain(&plan.witness.endpoints) {
        let file = endpoint.probe.tls().and_then(|tls| tls.ca.as_ref());
        files.extend(file.filter(|file| seen.insert(&file.path)).cloned());
    }
    files
}

/// Looks again every few seconds, until it is aborted.
pub async fn look_often(host_trust: HostTrust, board: Arc<Board>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let (host_trust, board) = (host_trust.clone(), board.clone());
        if let Err(error) = apart::run(move || host_trust.look(&board)).await {
            tracing::error!(%error, "the trust store could not be read");
        }
    }
}
