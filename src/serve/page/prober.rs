//! The page of the prober itself: whether its figures can be trusted.

use std::io::Write;
use std::sync::atomic::Ordering::Relaxed;

use askama::Template;

use super::shown::{clock, millis};
use super::{PageContext, PageFrame, written};
use crate::engine::drive::Gauges;
use crate::engine::witness::WitnessState;
use crate::judgement::counts::Slots;
use crate::serve::listener::making::Unmade;
use crate::words::{Reason, UtcMs, people};

#[derive(Template)]
#[template(path = "page/prober.html")]
struct ProberPage {
    frame: PageFrame,
    headline: &'static str,
    worst: &'static str,
    groups: Vec<Group>,
}

/// Facts of one kind.
struct Group {
    title: &'static str,
    facts: Vec<Fact>,
}

struct Fact {
    name: String,
    value: String,
    /// `down` or `unknown` where it speaks against the figures; else empty.
    class: &'static str,
}

fn fact(name: &str, value: impl Into<String>) -> Fact {
    Fact {
        name: name.to_owned(),
        value: value.into(),
        class: "",
    }
}

/// A fact that speaks against the figures where it is not as it should be.
fn checked(name: &str, is_right: &bool, right: &str, wrong: &str, class: &'static str) -> Fact {
    let (value, class) = if *is_right {
        (right, "")
    } else {
        (wrong, class)
    };
    Fact {
        name: name.to_owned(),
        value: value.to_owned(),
        class,
    }
}

/// The page as HTML.
pub fn html(
    context: &PageContext,
) -> Result<impl FnOnce(&mut dyn Write) -> Result<(), Unmade> + use<>, Unmade> {
    let frame = PageFrame::of(context, "prober")?;
    let groups = vec![
        probing(context),
        network(context),
        record(context),
        unknown(context),
        receivers(context),
    ];
    let mut classes = groups.iter().flat_map(|g| &g.facts).map(|f| f.class);
    let (worst, headline) = if !frame.problems.is_empty() || classes.any(|class| class == "down") {
        ("down", "Something is wrong with this prober")
    } else if groups
        .iter()
        .flat_map(|g| &g.facts)
        .any(|f| f.class == "unknown")
    {
        ("unknown", "This prober works, with warnings")
    } else {
        ("up", "Nothing is wrong with this prober")
    };
    Ok(written(ProberPage {
        frame,
        headline,
        worst,
        groups,
    }))
}

fn probing(context: &PageContext) -> Group {
    let slots = slots(context);
    let health = &context.board.health;
    let late = |ppm| lateness(context.gauges, ppm).unwrap_or_else(|| "not measured yet".into());
    let share = |n: u64| format!("{n} of {}", slots.all());
    Group {
        title: "Probing",
        facts: vec![
            fact("Endpoints", context.board.entries().len().to_string()),
            fact(
                "Probes in flight",
                health.in_flight.load(Relaxed).to_string(),
            ),
            fact("Slots missed", share(slots.missed)),
            fact("Slots not measured", share(slots.unmeasured)),
            fact("Lateness p50, since the start", late(500_000)),
            fact("Lateness p99, since the start", late(990_000)),
            fact(
                "Stalls of the daemon",
                health.stalls.load(Relaxed).to_string(),
            ),
        ],
    }
}

fn slots(context: &PageContext) -> Slots {
    let mut sum = Slots::default();
    for entry in context.board.entries().iter() {
        let of = entry.view().shown.slots;
        sum.success += of.success;
        sum.failure += of.failure;
        sum.unconfirmed += of.unconfirmed;
        sum.unmeasured += of.unmeasured;
        sum.missed += of.missed;
    }
    sum
}

/// The bound of the bucket in which a quantile of the lateness lies.
fn lateness(gauges: &Gauges, ppm: u64) -> Option<String> {
    let counts: Vec<u64> = gauges.lateness.iter().map(|n| n.load(Relaxed)).collect();
    let all: u64 = counts.iter().sum();
    let rank = (all * ppm).div_ceil(1_000_000).max(1);
    let mut seen = 0;
    for (k, count) in counts.iter().enumerate() {
        seen += count;
        if seen >= rank {
            let bounds = Gauges::LATENESS_BOUNDS_US;
            return Some(match bounds.get(k) {
                Some(bound) => format!("at most {}", millis(*bound)),
                None => format!("more than {}", millis(bounds[bounds.len() - 1])),
            });
        }
    }
    None
}

fn network(context: &PageContext) -> Group {
    let board = context.board;
    let witnesses = board.witnesses.load();
    let mut facts: Vec<Fact> = witnesses
        .names
        .iter()
        .zip(&witnesses.states)
        .map(|(name, standing)| {
            let (value, class) = match standing {
                Some(WitnessState::Answers) => ("answers", ""),
                Some(WitnessState::Silent) => ("silent", "unknown"),
                Some(WitnessState::LeftOut) => ("cannot be measured on this host", "unknown"),
                None => ("not probed yet", ""),
            };
            Fact {
                name: format!("Witness {name}"),
                value: value.to_owned(),
                class,
            }
        })
        .collect();
    if facts.is_empty() {
        facts.push(Fact {
            name: "Witnesses".to_owned(),
            value: "none: an outage of this host's own network is recorded as downtime".to_owned(),
            class: "unknown",
        });
    }
    facts.push(checked(
        "Clock",
        &board.health.clock_synchronised.load(Relaxed),
        "synchronised, says the kernel",
        "the kernel does not report it as synchronised",
        "unknown",
    ));
    let authorities = board.health.authorities.load(Relaxed);
    facts.push(checked(
        "Trust store",
        &(authorities > 0),
        &people::count(authorities, "certificate authority").replace("authoritys", "authorities"),
        "no certificate authority",
        "unknown",
    ));
    Group {
        title: "Network, clock and trust store",
        facts,
    }
}

fn record(context: &PageContext) -> Group {
    let health = &context.board.health;
    let plan = context.board.plan.load();
    let mut facts = vec![
        checked(
            "History",
            &health.history_writable.load(Relaxed),
            "writable",
            "not writable",
            "down",
        ),
        fact(
            "Events recorded",
            health.events_recorded.load(Relaxed).to_string(),
        ),
        fact(
            "Events that wait for the disk",
            health.events_waiting.load(Relaxed).to_string(),
        ),
    ];
    let at = health.backup_utc_ms.load(Relaxed) as UtcMs;
    facts.push(match (&plan.history.backup, at) {
        (None, _) => fact("Backup", "not configured"),
        (Some(_), 0) => checked("Backup", &false, "", "none yet", "unknown"),
        (Some(_), at) => checked(
            "Backup",
            &health.backup_ok.load(Relaxed),
            &format!("made at {} UTC", clock(at)),
            &format!("the last try failed; the newest is of {} UTC", clock(at)),
            "down",
        ),
    });
    let read_at = format!(
        "read at {} UTC",
        clock(health.reload_utc_ms.load(Relaxed) as UtcMs)
    );
    facts.push(match health.config_changed_since() {
        Some(_) => {
            let differs = format!("{read_at}; the one on disk differs");
            checked("Config", &false, "", &differs, "unknown")
        }
        None => checked(
            "Config",
            &health.reload_refused.load().is_none(),
            &read_at,
            "the last reload was refused",
            "down",
        ),
    });
    Group {
        title: "Record",
        facts,
    }
}

/// Unknown time of all endpoints by its reason.
fn unknown(context: &PageContext) -> Group {
    let each = Reason::ALL.iter().zip(&context.gauges.unknown_ms);
    let mut facts: Vec<Fact> = each
        .map(|(reason, ms)| (reason, ms.load(Relaxed)))
        .filter(|(_, ms)| *ms > 0)
        .map(|(reason, ms)| fact(reason.as_str(), people::duration(ms)))
        .collect();
    if facts.is_empty() {
        facts.push(fact("None", ""));
    }
    Group {
        title: "Unknown time of all endpoints, by reason",
        facts,
    }
}

fn receivers(context: &PageContext) -> Group {
    let known = context.deliveries.snapshot();
    let plan = context.board.plan.load();
    let mut facts: Vec<Fact> = plan
        .notify
        .iter()
        .map(|receiver| {
            let name = receiver.name.as_str();
            let found = known.iter().find(|(of, _)| of == name);
            let counts = found.map(|(_, counts)| *counts).unwrap_or_default();
            Fact {
                name: name.to_owned(),
                value: format!(
                    "{} delivered, {} repeated, {} given up, {} left out",
                    counts.delivered, counts.failed, counts.given_up, counts.left_out
                ),
                class: if counts.given_up + counts.left_out > 0 {
                    "down"
                } else {
                    ""
                },
            }
        })
        .collect();
    if facts.is_empty() {
        facts.push(fact("None", "this daemon notifies no receiver"));
    }
    Group {
        title: "Receivers, since the start",
        facts,
    }
}
