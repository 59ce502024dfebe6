//! The operator's page: server-rendered, no script, the same figures as API and metrics.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use askama::Template;

use self::changes::{ChangeRow, OutageRow, change_rows, outage_rows};
use self::contracts::{ComponentRow, ContractRow, component_rows, contract_rows};
use self::endpoints::{EndpointRow, row};
use self::shown::clock;
use super::contracts::ContractStatuses;
use super::listener::making::Unmade;
use crate::account::figures::{extent, last_30_days, not_seen_below, not_seen_text, sentence};
use crate::engine::board::{Board, Entry};
use crate::engine::witness::WitnessState;
use crate::history::HistoryError;
use crate::history::reader::HistoryReader;
use crate::words::{StateName, UtcMs};

mod changes;
mod contracts;
mod endpoints;
mod shown;

/// Endpoints on one page.
const ROWS: usize = 100;
#[derive(Template)]
#[template(path = "page.html")]
struct Page {
    vantage: String,
    version: &'static str,
    headline: String,
    worst: &'static str,
    now: String,
    recorded: bool,
    /// Why the last reload was refused; empty where it was not.
    refused: String,
    /// The last try at a backup failed.
    unsaved: bool,
    /// When the newest backup was made; empty where none is.
    backup: String,
    rows: Vec<EndpointRow>,
    more: usize,
    next_page: usize,
    blind: String,
    witnesses: String,
    witnesses_silent: bool,
    contracts: Vec<ContractRow>,
    components: Vec<ComponentRow>,
    outages: Vec<OutageRow>,
    changes: Vec<ChangeRow>,
    /// What of them is only in report and API; empty where all are here.
    more_changes: String,
}

/// The page as HTML. `page` counts from 0; endpoints that are down come first, then unknown ones.
pub fn html(
    reader: &HistoryReader,
    board: &Board,
    contract_statuses: &ContractStatuses,
    now: UtcMs,
    page: usize,
) -> Result<impl FnOnce(&mut dyn Write) -> Result<(), Unmade> + use<>, HistoryError> {
    let entries = board.entries();
    let ordered = worst_first(&entries);
    let (worst, headline) = headline(&ordered);
    let shown: Vec<&Entry> = ordered
        .iter()
        .skip(page * ROWS)
        .take(ROWS)
        .map(|(_, entry)| *entry)
        .collect();
    let rows = shown
        .iter()
        .map(|e| row(reader, board, e, now))
        .collect::<Result<Vec<_>, _>>()?;
    let blind = blind_sentence(reader, &entries, now)?;
    let plan = board.plan.load();
    let (changes, more_changes) = change_rows(reader, board, contract_statuses, now)?;
    let page = Page {
        vantage: plan.daemon.vantage.clone(),
        version: env!("CARGO_PKG_VERSION"),
        headline,
        worst,
        now: clock(now),
        recorded: board.health.history_writable.load(Ordering::Relaxed),
        refused: board
            .health
            .reload_refused
            .load()
            .as_deref()
            .cloned()
            .unwrap_or_default(),
        unsaved: !board.health.backup_ok.load(Ordering::Relaxed),
        backup: backup_line(board),
        rows,
        more: entries.len().saturating_sub((page + 1) * ROWS),
        next_page: page + 1,
        blind,
        contracts: contract_rows(contract_statuses),
        components: component_rows(contract_statuses),
        outages: outage_rows(reader)?,
        changes,
        more_changes,
        witnesses: witness_line(board),
        witnesses_silent: board.witnesses.load().quorum_met == Some(false),
    };
    Ok(move |out: &mut dyn Write| Ok(page.write_into(out).map_err(std::io::Error::other)?))
}

/// Endpoints with their states, in the order of the page.
fn worst_first(entries: &[Arc<Entry>]) -> Vec<(StateName, &Entry)> {
    let mut ordered: Vec<(StateName, &Entry)> = entries
        .iter()
        .map(|e| (e.view().shown.state, &**e))
        .collect();
    ordered.sort_by_key(|(state, _)| match state {
        StateName::Down => 0,
        StateName::Unknown => 1,
        StateName::Up => 2,
    });
    ordered
}

/// The worst state, and how many endpoints are in which.
fn headline(all: &[(StateName, &Entry)]) -> (&'static str, String) {
    let count = |state: StateName| all.iter().filter(|(s, _)| *s == state).count();
    match (count(StateName::Down), count(StateName::Unknown), all.len()) {
        (_, _, 0) => ("unknown", "No endpoint is configured".to_owned()),
        (0, 0, n) => ("up", format!("All {n} endpoints up")),
        (0, u, n) => ("unknown", format!("{u} of {n} endpoints unknown")),
        (d, 0, n) => ("down", format!("{d} of {n} endpoints down")),
        (d, u, n) => ("down", format!("{d} of {n} endpoints down, {u} unknown")),
    }
}

/// How short an outage has to be not to be seen: of all endpoints, as the outages, contracts and
/// components of all are on the page.
fn blind_sentence(
    reader: &HistoryReader,
    entries: &[Arc<Entry>],
    now: UtcMs,
) -> Result<String, HistoryError> {
    let all: Vec<_> = entries
        .iter()
        .map(|e| {
            let endpoint = e.endpoint.load();
            let extent = extent(&e.view().shown.settled, &endpoint.rules);
            (endpoint.name.to_string(), extent)
        })
        .collect();
    let blind = not_seen_below(reader, &all, last_30_days(now))?;
    Ok(sentence(&not_seen_text(Some(blind))))
}

/// When the history was copied last, where the config asks for copies.
fn backup_line(board: &Board) -> String {
    if board.plan.load().history.backup.is_none() {
        return String::new();
    }
    match board.health.backup_utc_ms.load(Ordering::Relaxed) {
        0 => "The history has not been backed up yet.".to_owned(),
        at => format!("The newest backup is of {} UTC.", clock(at as UtcMs)),
    }
}

/// How the witnesses stand, and what it means that there are none.
fn witness_line(board: &Board) -> String {
    let view = board.witnesses.load();
    let in_state = |state| view.states.iter().filter(|s| **s == Some(state)).count();
    let (answering, left_out, all) = (
        in_state(WitnessState::Answers),
        in_state(WitnessState::LeftOut),
        view.names.len(),
    );
    match all {
        0 => "No witnesses are configured: if this host loses its uplink, every unreachable \
            endpoint is recorded as down."
            .to_owned(),
        _ if left_out == all => "No witness can be measured on this host: if it loses its uplink, \
            every unreachable endpoint is recorded as down."
            .to_owned(),
        _ => {
            let mut line = format!("{answering} of {all} witnesses answer");
            if left_out > 0 {
                line.push_str(&format!(", {left_out} cannot be measured here"));
            }
            line + "; failures without a quorum of them are unknown time, not downtime."
        }
    }
}
