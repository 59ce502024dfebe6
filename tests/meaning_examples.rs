//! Examples with numbers from the definition of time, outage and bound that the worked sequences do
//! not reach, in seconds.

use probity::judgement::rules::{Cadence, Onset, Rules};
use probity::judgement::state::{Change, Judge, ProbeResult, ResultKind};
use probity::words::{Cause, Ms, Reason};

fn rules(interval: Ms) -> Rules {
    Rules::new(Cadence {
        interval,
        jitter_ppm: 0,
        late_after: 500,
        timeout: 10_000,
        retry_interval: 1000,
        down_after: 2,
        up_after: 1,
    })
}

struct Told {
    judge: Judge,
    changes: Vec<Change>,
}

/// In service at 0; (start, end, verdict) in seconds.
fn told(rules: &Rules, results: &[(f64, f64, ResultKind)]) -> Told {
    let (mut judge, mut changes) = (Judge::default(), Vec::new());
    judge.start(rules, 0, &mut changes);
    for (start, end, verdict) in results {
        let ms = |seconds: &f64| (seconds * 1000.0).round() as Ms;
        judge.observe(
            rules,
            ProbeResult {
                start: ms(start),
                end: ms(end),
                kind: *verdict,
                slot: true,
            },
            &mut changes,
        );
    }
    Told { judge, changes }
}

const UP: ResultKind = ResultKind::Success;
const DOWN: ResultKind = ResultKind::Failure(Cause::ConnectRefused);

#[test]
fn a_slow_success_ends_an_outage_no_later_than_it_started() {
    // Success 0, failures 30 and 31, success 32 -> 41: the point ends at 32, not at 36.
    let told = told(
        &rules(30_000),
        &[
            (0.0, 0.0, UP),
            (30.0, 30.0, DOWN),
            (31.0, 31.0, DOWN),
            (32.0, 41.0, UP),
        ],
    );
    let Some(Change::Up {
        from,
        to,
        to_earliest,
        to_latest,
        ..
    }) = told.changes.iter().find(|c| matches!(c, Change::Up { .. }))
    else {
        panic!("no end")
    };
    assert_eq!(
        (*from, *to, *to_earliest, *to_latest),
        (15_000, 32_000, 31_000, 41_000)
    );
}

#[test]
fn a_probe_that_fails_slowly_found_the_endpoint_down_when_it_started() {
    // Success 0, failure 30 -> 40, failure 41 -> 51, success 52: point from 15, not 20. The bounds
    // span to the end of that failure.
    let told = told(
        &rules(30_000),
        &[
            (0.0, 0.0, UP),
            (30.0, 40.0, DOWN),
            (41.0, 51.0, DOWN),
            (52.0, 52.0, UP),
        ],
    );
    let Some(Change::Down {
        from,
        from_earliest,
        from_latest,
        ..
    }) = told
        .changes
        .iter()
        .find(|c| matches!(c, Change::Down { .. }))
    else {
        panic!("no outage")
    };
    assert_eq!((*from, *from_earliest, *from_latest), (15_000, 0, 40_000));
}

#[test]
fn what_an_earlier_build_judged_is_replayed_by_its_own_estimate() {
    let before = Rules {
        onset: Onset::FailureEnd,
        ..rules(30_000)
    };
    let told = told(
        &before,
        &[(0.0, 0.0, UP), (30.0, 40.0, DOWN), (41.0, 51.0, DOWN)],
    );
    assert!(
        told.changes
            .iter()
            .any(|c| matches!(c, Change::Down { from: 20_000, .. })),
        "{:?}",
        told.changes
    );
}

#[test]
fn a_scrape_between_two_probes_has_counted_nothing_yet() {
    // I = 30, success 0, scrape at 20: up = 0. Failures 30, 31 confirm: up 15, down to 31 = 16.
    let at_20 = told(&rules(30_000), &[(0.0, 0.0, UP)]);
    assert_eq!(at_20.judge.ledger().up, 0);
    let confirmed = told(
        &rules(30_000),
        &[(0.0, 0.0, UP), (30.0, 30.0, DOWN), (31.0, 31.0, DOWN)],
    );
    assert_eq!(
        (confirmed.judge.ledger().up, confirmed.judge.ledger().down),
        (15_000, 16_000)
    );
}

#[test]
fn an_unconfirmed_failure_widens_the_upper_bound_only() {
    // True outage 5 -> 30.5, success 0, failure 30, success 31: point 0, lower 0, upper 31.
    let told = told(
        &rules(30_000),
        &[
            (0.0, 0.0, UP),
            (30.0, 30.0, DOWN),
            (31.0, 31.0, UP),
            (60.0, 60.0, UP),
        ],
    );
    let ledger = told.judge.ledger();
    assert_eq!(
        (ledger.down, told.judge.down_lower(), ledger.down_upper),
        (0, 0, 31_000)
    );
}

#[test]
fn the_gap_is_the_longest_time_that_one_success_vouches_for() {
    // I = 30: next at 33 no unknown; next at 34: 4 s unknown. Success 0, unmeasured 30, success 60:
    // unknown 30 -> 60.
    let unknown =
        |results: &[(f64, f64, ResultKind)]| told(&rules(30_000), results).judge.ledger().unknown;
    assert_eq!(unknown(&[(0.0, 0.0, UP), (33.0, 33.0, UP)]), 0);
    assert_eq!(unknown(&[(0.0, 0.0, UP), (34.0, 34.0, UP)]), 4000);
    assert_eq!(
        unknown(&[
            (0.0, 0.0, UP),
            (30.0, 30.0, ResultKind::Unmeasured(Reason::Resolver)),
            (60.0, 60.0, UP)
        ]),
        30_000
    );
}

#[test]
fn an_outage_open_at_a_kill_is_one_outage_with_unknown_time_in_it() {
    // Success 0, failures 30 and 31, killed at 40, back at 640, success 655, I = 30: down 15 -> 61,
    // unknown 61 -> 655.
    let rules = rules(30_000);
    let mut told = told(
        &rules,
        &[(0.0, 0.0, UP), (30.0, 30.0, DOWN), (31.0, 31.0, DOWN)],
    );
    told.judge.start(&rules, 640_000, &mut told.changes);
    told.judge.observe(
        &rules,
        ProbeResult {
            start: 655_000,
            end: 655_000,
            kind: UP,
            slot: true,
        },
        &mut told.changes,
    );
    let ledger = told.judge.ledger();
    assert_eq!((ledger.down, ledger.unknown), (46_000, 594_000));
    let known: Vec<_> = told
        .changes
        .iter()
        .filter(|c| {
            matches!(
                c,
                Change::UnknownUntil {
                    reason: Reason::NotRunning,
                    ..
                }
            )
        })
        .collect();
    assert_eq!(known.len(), 1);
}

#[test]
fn outages_are_not_seen_below_the_longest_time_from_a_start_to_the_next_end() {
    // I = 30: 0 -> 0, 30 -> 32, 60 -> 61: an outage within 30 -> 61 can pass; so can one that
    // begins after 60, as long as nobody looks.
    let rules = rules(30_000);
    let mut told = told(
        &rules,
        &[(0.0, 0.0, UP), (30.0, 32.0, UP), (60.0, 61.0, UP)],
    );
    assert_eq!(
        (told.judge.longest_blind(), told.judge.blind_lately()),
        (32_000, 32_000),
        "from 0 to 32"
    );
    assert_eq!(
        told.judge.begin_blind(&rules, 65_000),
        32_000,
        "of a period that ends at 65"
    );
    assert_eq!(told.judge.blind_lately(), 0, "the next has none yet");
    told.judge.observe(
        &rules,
        ProbeResult {
            start: 80_000,
            end: 81_000,
            kind: UP,
            slot: true,
        },
        &mut told.changes,
    );
    assert_eq!(
        told.judge.blind_lately(),
        21_000,
        "from 60, before it began, to 81"
    );
    assert_eq!(
        told.judge.begin_blind(&rules, 105_000),
        25_000,
        "from 80 to its end, though nothing was seen after"
    );
    assert_eq!(
        (
            told.judge.begin_blind(&rules, 900_000),
            told.judge.longest_blind()
        ),
        (33_000, 32_000),
        "what is past the gap is unknown, not unseen"
    );
}

#[test]
fn what_lies_past_a_gap_is_unknown_and_not_unseen() {
    // Success 0, killed, back after ten hours: the first probes fail, or the endpoint was down
    // before and is up now.
    let rules = rules(30_000);
    let ten_hours = 36_000.0;
    let fails = [
        (0.0, 0.0, UP),
        (ten_hours, ten_hours, DOWN),
        (ten_hours + 1.0, ten_hours + 1.0, DOWN),
    ];
    assert_eq!(
        told(&rules, &fails).judge.longest_blind(),
        1000,
        "from one failure to the next"
    );
    let recovers = [
        (0.0, 0.0, UP),
        (30.0, 30.0, DOWN),
        (31.0, 31.0, DOWN),
        (ten_hours, ten_hours, UP),
    ];
    assert_eq!(
        told(&rules, &recovers).judge.longest_blind(),
        30_000,
        "from the success to the first failure"
    );
}

/// Runs the results of a line of docs/meaning.md.
fn as_documented(results: &str) -> Judge {
    let rules = rules(30_000);
    let (mut judge, mut changes) = (Judge::default(), Vec::new());
    judge.start(&rules, 0, &mut changes);
    let ms = |seconds: &str| {
        let seconds: f64 = seconds.parse().expect("seconds");
        (seconds * 1000.0).round() as Ms
    };
    for result in results.split(", ") {
        let (what, when) = result.split_once(' ').expect("what and when");
        let (start, end) = when.split_once('-').unwrap_or((when, when));
        let verdict = match what {
            "success" => UP,
            "failure" => DOWN,
            "unmeasured" => ResultKind::Unmeasured(Reason::Resolver),
            "restart" => {
                judge.start(&rules, ms(start), &mut changes);
                continue;
            }
            other => panic!("{other}"),
        };
        let result = ProbeResult {
            start: ms(start),
            end: ms(end),
            kind: verdict,
            slot: true,
        };
        judge.observe(&rules, result, &mut changes);
    }
    judge
}

#[test]
fn the_examples_of_the_documentation_are_what_the_judge_says() {
    let page = include_str!("../docs/meaning.md");
    let (_, table) = page
        .split_once("| results | up | down | unknown | down at least | down at most |\n")
        .expect("the table");
    let rows = table.lines().skip(1).take_while(|l| l.starts_with('|'));
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let judge = as_documented(cells[0]);
        let ledger = judge.ledger();
        let found = [
            ledger.up,
            ledger.down,
            ledger.unknown,
            judge.down_lower(),
            ledger.down_upper,
        ];
        let found = found.map(|ms| (ms as f64 / 1000.0).to_string());
        assert_eq!(found[..], cells[1..], "{}", cells[0]);
        count += 1;
    }
    assert_eq!(count, 11);
}
