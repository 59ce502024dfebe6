//! Timelines of anybody to the judgement of contracts; raw results of any prober to a timeline.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use num_traits::{One, Zero};
use probity::account::recorded::of_sets;
use probity::cli::raw;
use probity::config::load_contracts;
use probity::config::timeline_file;
use probity::judgement::rules::{Cadence, Rules};
use probity::judgement::sla::calendar::period;
use probity::judgement::sla::contract::{Contract, Contracts, Measure, Together};
use probity::judgement::sla::evaluate::evaluate_named;
use probity::judgement::sla::exact::Exact;
use probity::judgement::sla::evaluation::{ContractVerdict, Evaluation};
use probity::judgement::sla::merge::merge;
use probity::judgement::sla::record::Timeline;
use probity::report::sla::answer;
use probity_fuzz::{choice, in_memory};
use serde_json::Value;

/// Every model of a credit, every way to count.
const CONTRACTS: &str = include_str!("../contracts.toml");

static AGREED: LazyLock<Contracts> =
    LazyLock::new(
        || match load_contracts(Path::new("main.toml"), &in_memory(CONTRACTS)) {
            Ok(contracts) => contracts,
            Err(faults) => panic!("{faults:#?}"),
        },
    );

fuzz_target!(|data: &[u8]| {
    let (which, rest) = choice(data);
    let Ok(value) = serde_json::from_slice::<Value>(rest) else {
        return;
    };
    match which % 4 {
        0 | 1 => {
            if let Ok(timeline) = timeline_file::timeline(&value) {
                judged(&timeline, which >> 2);
            }
        }
        2 => {
            let read: Result<Vec<Timeline>, _> = value
                .as_array()
                .into_iter()
                .flatten()
                .take(4)
                .map(timeline_file::timeline)
                .collect();
            let quorum = [None, Some(1), Some(2), Some(9)][which >> 2 & 3];
            if let Ok(all) = read {
                judged(
                    &merge(&all, quorum, |sets| {
                        of_sets(&sets.down, &sets.lower, &sets.upper, &sets.up, |_| None)
                    }),
                    which >> 4,
                );
            }
        }
        _ => results(&value, which >> 2),
    }
});

fn judged(timeline: &Timeline, which: usize) {
    let names = AGREED.names();
    let name = &names[which % names.len()];
    let Some(contract) = AGREED.list.iter().find(|c| c.name == *name) else {
        return;
    };
    let span = period(contract.period, &contract.zone, "2026-11")
        .or_else(|_| period(contract.period, &contract.zone, "2026-12-01T00:00:00Z"));
    let span = span.expect("a period");
    let Ok((contract, list)) = evaluate_named(&AGREED, name, timeline, span) else {
        return;
    };
    assert!(!list.is_empty());
    list.iter().for_each(|one| adds_up(contract, one));
    let told = answer(contract, span, &list, &[]);
    assert_eq!(told.results.len(), list.len());
}

fn adds_up(contract: &Contract, j: &Evaluation) {
    let t = &j.times;
    assert_eq!(t.up + t.down + t.unknown + t.future, t.service, "{j:?}");
    assert!(t.service <= t.period && t.maintenance <= t.period, "{t:?}");
    assert!(
        t.down_lower <= t.service && t.down_upper <= t.service && t.down <= t.down_upper,
        "{t:?}"
    );
    assert!(t.down_upper + t.unknown + t.future <= t.service, "{t:?}");
    let within = |a: &Exact| !(a < &Exact::zero() || a > &Exact::one());
    for share in [&j.availability, &j.lower, &j.upper, &j.coverage]
        .into_iter()
        .flatten()
    {
        assert!(within(share), "{share}: {t:?}");
    }
    if let (Some(low), Some(high)) = (&j.lower, &j.upper) {
        assert!(low <= high, "{low} {high}: {t:?}");
        assert!(
            j.availability
                .as_ref()
                .is_none_or(|a| low <= a && a <= high),
            "{low} {:?} {high}: {t:?}",
            j.availability
        );
    }
    let is_plain = contract.measure == Measure::Time && contract.together == Together::Each;
    if is_plain && !contract.min_outage.whole_minutes {
        assert!(t.down_lower <= t.down, "{t:?}");
    }
    let objective = &contract.objective / Exact::from_integer(100.into());
    match j.verdict {
        ContractVerdict::Met => assert!(j.lower.as_ref().is_some_and(|l| *l >= objective)),
        ContractVerdict::Missed => assert!(j.upper.as_ref().is_some_and(|u| *u < objective)),
        ContractVerdict::Undetermined => {}
    }
    for (_, due) in &j.due {
        let cap = &contract.credit.as_ref().expect("a credit").cap;
        assert!(
            due.percent >= Exact::zero() && due.percent <= *cap,
            "{due:?}"
        );
    }
    assert!(j.outage_summary.longest <= t.down);
    if let Some((probes, failures)) = j.probes {
        assert!(failures <= probes);
    }
}

fn results(value: &Value, which: usize) {
    let (interval, timeout) = [(30_000, 10_000), (1000, 5000)][which & 1];
    let (down_after, up_after) = [(1, 1), (2, 1), (3, 2), (1, 2)][which >> 1 & 3];
    let cadence = Cadence {
        interval,
        jitter_ppm: 100_000,
        late_after: 500,
        timeout,
        retry_interval: 1000,
        down_after,
        up_after,
    };
    let quorum = [None, Some(1), Some(2), Some(3)][which >> 3 & 3];
    let Ok(told) = raw::timeline(value, &Rules::new(cadence), quorum) else {
        return;
    };
    // What we write, we read.
    let timeline = timeline_file::timeline(&told).unwrap_or_else(|e| panic!("{e}: {told}"));
    for component in told["components"].as_array().expect("components") {
        let n = |key: &str| {
            component[key]
                .as_u64()
                .unwrap_or_else(|| panic!("{key}: {component}"))
        };
        let (Some(from), Some(to)) = (
            instant(&component["first_start"]),
            instant(&component["watermark"]),
        ) else {
            panic!("{component}")
        };
        assert_eq!(
            n("up_ms") + n("down_ms") + n("unknown_ms"),
            (to - from) as u64,
            "{component}"
        );
        assert!(
            n("down_ms") <= n("down_upper_ms") && n("down_lower_ms") <= n("down_upper_ms"),
            "{component}"
        );
    }
    judged(&timeline, which);
}

fn instant(value: &Value) -> Option<i64> {
    probity::words::parse_utc(value.as_str()?)
}
