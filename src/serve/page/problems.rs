//! What is wrong now: of the daemon first, then of endpoints.

use std::sync::atomic::Ordering;

use super::context::PageContext;
use super::listed_endpoint::ListedEndpoint;
use super::shown::{clock, endpoint_address};
use crate::serve::answers::makes_progress;
use crate::words::{StateName, UtcMs, people};

/// One line of them.
pub struct ListedProblem {
    /// `down`, `unknown` or `warn`.
    pub class: &'static str,
    pub who: String,
    /// Where more is said of it; empty without such a place.
    pub address: String,
    pub what: String,
    pub detail: String,
}

impl ListedProblem {
    fn of_prober(class: &'static str, what: &str, detail: String) -> Self {
        Self {
            class,
            who: "This prober".to_owned(),
            address: "/prober".to_owned(),
            what: what.to_owned(),
            detail,
        }
    }
}

/// What is wrong with the daemon or its host.
pub fn of_daemon(context: &PageContext) -> Vec<ListedProblem> {
    let board = context.board;
    let health = &board.health;
    let mut list = Vec::new();
    let mut push =
        |class, what: &str, detail| list.push(ListedProblem::of_prober(class, what, detail));
    if !health.history_writable.load(Ordering::Relaxed) {
        push(
            "down",
            "history not writable: figures are frozen until it recovers",
            String::new(),
        );
    }
    if !makes_progress(board) {
        push("down", "the scheduler makes no progress", String::new());
    }
    if let Some(why) = health.reload_refused.load().as_deref() {
        let what = "the last reload was refused, the config before is in force";
        push("down", &format!("{what}: {why}"), String::new());
    }
    if let Some(since) = health.config_changed_since() {
        let what = "the config on disk differs from the one in force, which was read at";
        let what = format!("{what} {} UTC: run probity reload", clock(since));
        push("unknown", &what, String::new());
    }
    if !health.backup_ok.load(Ordering::Relaxed) {
        push(
            "down",
            "the last backup failed: the log of the daemon says why",
            String::new(),
        );
    }
    if board.witnesses.load().quorum_met == Some(false) {
        push(
            "unknown",
            "witness quorum lost: failures are recorded as unknown",
            String::new(),
        );
    }
    list
}

/// Endpoints that are down, unknown, or whose certificate ends soon, the longest first.
pub fn of_endpoints(seen: &[ListedEndpoint<'_>], now: UtcMs) -> Vec<ListedProblem> {
    let mut list: Vec<(u8, UtcMs, ListedProblem)> =
        seen.iter().filter_map(|s| of_endpoint(s, now)).collect();
    list.sort_by_key(|(rank, since, _)| (*rank, *since));
    list.into_iter().map(|(.., problem)| problem).collect()
}

fn of_endpoint(seen: &ListedEndpoint<'_>, now: UtcMs) -> Option<(u8, UtcMs, ListedProblem)> {
    let ends_soon = seen.certificate_ends.filter(|_| seen.ends_soon);
    if seen.state == StateName::Up && ends_soon.is_none() {
        return None;
    }
    let name = seen.entry.endpoint.load().name.to_string();
    let problem = |class, what, detail| ListedProblem {
        class,
        address: endpoint_address(&name),
        who: name.clone(),
        what,
        detail,
    };
    let lasting = people::duration((now - seen.since).max(0) as u64);
    let since = clock(seen.since);
    let view = seen.entry.view();
    let detail = view.last.as_ref().map_or("", |last| last.detail.as_str());
    Some(match (seen.state, ends_soon) {
        (StateName::Down, _) => {
            let cause = view.shown.outage.map_or("", |(_, cause)| cause.as_str());
            let what = format!("down for {lasting}, since {since}: {cause}");
            (0, seen.since, problem("down", what, detail.to_owned()))
        }
        (StateName::Unknown, _) => {
            let reason = view.shown.settled.open_unknown;
            let reason = reason.map_or("not settled yet", |(_, reason)| reason.as_str());
            let what = format!("unknown for {lasting}, since {since}: {reason}");
            (1, seen.since, problem("unknown", what, detail.to_owned()))
        }
        (StateName::Up, ends) => {
            let ends = ends?;
            let what = if ends <= now {
                format!("certificate expired at {}", clock(ends))
            } else {
                let left = people::duration((ends - now) as u64);
                format!("certificate expires in {left}, at {}", clock(ends))
            };
            (2, ends, problem("warn", what, String::new()))
        }
    })
}
