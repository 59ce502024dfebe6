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

/// Endpoints that are down, unknown, or whose certificate ends soon, the longest first: `most` of
/// them, and how many more there are. Only what is shown is put into words, as all of a large fleet
/// may be unknown after a start.
pub fn of_endpoints(
    seen: &[ListedEndpoint<'_>],
    now: UtcMs,
    most: usize,
) -> (Vec<ListedProblem>, usize) {
    let ranked = seen.iter().enumerate();
    let mut ranked: Vec<(ProblemRank, usize)> =
        ranked.filter_map(|(at, s)| Some((rank(s)?, at))).collect();
    let more = ranked.len().saturating_sub(most);
    if more > 0 {
        ranked.select_nth_unstable(most);
        ranked.truncate(most);
    }
    ranked.sort_unstable();
    let list = ranked
        .into_iter()
        .map(|(rank, at)| in_words(&seen[at], rank, now));
    (list.collect(), more)
}

/// The worst first, and of those the one that has lasted longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ProblemRank {
    Down { since: UtcMs },
    Unknown { since: UtcMs },
    Expiring { ends: UtcMs },
}

fn rank(seen: &ListedEndpoint<'_>) -> Option<ProblemRank> {
    match seen.state {
        StateName::Down => Some(ProblemRank::Down { since: seen.since }),
        StateName::Unknown => Some(ProblemRank::Unknown { since: seen.since }),
        StateName::Up => seen
            .certificate_ends
            .filter(|_| seen.ends_soon)
            .map(|ends| ProblemRank::Expiring { ends }),
    }
}

fn in_words(seen: &ListedEndpoint<'_>, rank: ProblemRank, now: UtcMs) -> ListedProblem {
    let name = seen.entry.endpoint.load().name.to_string();
    let view = seen.entry.view();
    let detail = view.last.as_ref().map_or("", |last| last.detail.as_str());
    let lasting = |since: UtcMs| {
        let length = people::duration((now - since).max(0) as u64);
        format!("{length}, since {}", clock(since))
    };
    let (class, what, detail) = match rank {
        ProblemRank::Down { since } => {
            let cause = view.shown.outage.map_or("", |(_, cause)| cause.as_str());
            (
                "down",
                format!("down for {}: {cause}", lasting(since)),
                detail,
            )
        }
        ProblemRank::Unknown { since } => {
            let reason = view.shown.settled.open_unknown;
            let reason = reason.map_or("not settled yet", |(_, reason)| reason.as_str());
            let what = format!("unknown for {}: {reason}", lasting(since));
            ("unknown", what, detail)
        }
        ProblemRank::Expiring { ends } if ends <= now => {
            let what = format!("certificate expired at {}", clock(ends));
            ("warn", what, "")
        }
        ProblemRank::Expiring { ends } => {
            let left = people::duration((ends - now) as u64);
            let what = format!("certificate expires in {left}, at {}", clock(ends));
            ("warn", what, "")
        }
    };
    ListedProblem {
        class,
        address: endpoint_address(&name),
        who: name,
        what,
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::config::{OneText, load};
    use crate::engine::board::Entry;

    #[test]
    fn the_worst_and_longest_come_first_and_the_rest_is_counted() {
        let text = "[[endpoint]]\nname = \"e\"\nprobe.tcp = \"h:1\"\n";
        let plan = load(Path::new("one"), &OneText(text)).expect("valid");
        let entry = Arc::new(Entry::new(0, plan.endpoints[0].clone(), 0));
        let of = |state, since, certificate_ends: Option<UtcMs>| ListedEndpoint {
            entry: &entry,
            state,
            since,
            certificate_ends,
            ends_soon: certificate_ends.is_some(),
            last_us: None,
            recorded: None,
        };
        let seen = [
            of(StateName::Up, 0, Some(90_000)),
            of(StateName::Up, 0, None),
            of(StateName::Unknown, 20_000, None),
            of(StateName::Down, 70_000, None),
            of(StateName::Up, 0, Some(40_000)),
            of(StateName::Down, 30_000, Some(50_000)),
        ];
        let words = |most: usize| {
            let (list, more) = of_endpoints(&seen, 60_000, most);
            let what = list.into_iter().map(|p| p.what).collect::<Vec<_>>();
            (what, more)
        };
        let (all, more) = words(10);
        assert_eq!(
            all,
            [
                "down for 30 s, since 1970-01-01 00:00:30: ",
                "down for 0 s, since 1970-01-01 00:01:10: ",
                "unknown for 40 s, since 1970-01-01 00:00:20: not settled yet",
                "certificate expired at 1970-01-01 00:00:40",
                "certificate expires in 30 s, at 1970-01-01 00:01:30",
            ]
        );
        assert_eq!(more, 0);
        assert_eq!(words(2), (all[..2].to_vec(), 3));
    }
}
