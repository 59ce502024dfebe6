//! The operator's pages: rendered here, complete without a script, with the same figures as API and
//! metrics.

use std::hash::{Hash, Hasher};
use std::io::Write;
use std::sync::atomic::Ordering;

use askama::Template;

pub use self::context::PageContext;
use self::problems::{ListedProblem, of_daemon};
use self::shown::clock;
use super::listener::making::Unmade;
use crate::account::figures::{last_30_days, not_seen_on_board, not_seen_text, sentence};
use crate::engine::board::Board;
use crate::engine::witness::WitnessState;
use crate::history::HistoryError;
use crate::words::{StateName, UtcMs};

pub mod bar;
mod burndown;
mod changes;
mod chart;
pub mod chosen;
mod component_rows;
mod context;
pub mod contracts;
pub mod endpoint;
mod endpoints;
mod listed_endpoint;
pub mod overview;
pub mod prober;
mod problems;
pub mod shown;

/// What every page begins and ends with.
struct PageFrame {
    vantage: String,
    version: &'static str,
    /// Changes with style and script, which browsers keep for an hour.
    files: String,
    now: String,
    /// The page that this is, of the navigation.
    here: &'static str,
    /// What is wrong with the prober itself, above whatever the page shows.
    problems: Vec<ListedProblem>,
    /// What the figures mean, and what stands behind them.
    notes: String,
}

impl PageFrame {
    fn of(context: &PageContext, here: &'static str) -> Result<Self, HistoryError> {
        let board = context.board;
        let mut notes = format!("{} {}", not_seen(context)?, witness_line(board));
        let backup = backup_line(board);
        if !backup.is_empty() {
            notes.push(' ');
            notes.push_str(&backup);
        }
        Ok(Self {
            vantage: board.plan.load().daemon.vantage.clone(),
            version: env!("CARGO_PKG_VERSION"),
            files: files(),
            now: clock(context.now),
            here,
            problems: of_daemon(context),
            notes,
        })
    }
}

/// The style of all pages.
pub const STYLE: &str = include_str!("page.css");
/// What the pages do in a browser that runs scripts.
pub const SCRIPT: &str = include_str!("page.js");

fn files() -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    (STYLE, SCRIPT).hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

/// What writes a page.
fn written<T: Template>(page: T) -> impl FnOnce(&mut dyn Write) -> Result<(), Unmade> {
    move |out: &mut dyn Write| Ok(Template::write_into(&page, out).map_err(std::io::Error::other)?)
}

/// How many endpoints are in which state, as a sentence, and the worst of the states.
fn headline(states: impl Iterator<Item = StateName>) -> (&'static str, String) {
    let (mut all, mut down, mut unknown) = (0, 0, 0);
    for state in states {
        all += 1;
        match state {
            StateName::Down => down += 1,
            StateName::Unknown => unknown += 1,
            StateName::Up => {}
        }
    }
    match (down, unknown, all) {
        (_, _, 0) => ("unknown", "No endpoint is configured".to_owned()),
        (0, 0, 1) => ("up", "The endpoint is up".to_owned()),
        (0, 0, n) => ("up", format!("All {n} endpoints are up")),
        (0, u, n) => ("unknown", format!("{u} of {n} endpoints unknown")),
        (d, 0, n) => ("down", format!("{d} of {n} endpoints down")),
        (d, u, n) => ("down", format!("{d} of {n} endpoints down, {u} unknown")),
    }
}

/// How short an outage has to be not to be seen: of all endpoints, as the outages, contracts and
/// components of all are on the pages.
fn not_seen(context: &PageContext) -> Result<String, HistoryError> {
    let entries = context.board.entries();
    let shortest = not_seen_on_board(context.reader, &entries, last_30_days(context.now))?;
    Ok(sentence(&not_seen_text(Some(shortest))))
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
