//! An endpoint that leaves service with failures that are not confirmed: neither up, nor out of
//! service from its last success on.

use probity::judgement::recording::Recording;
use probity::judgement::rules::{Cadence, Rules};
use probity::judgement::state::{Change, Judge, ProbeResult, ResultKind};
use probity::judgement::timeline::{EndpointRecord, Span};
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

/// What is recorded of an endpoint that answers until 60 s, fails at 70 s once, and then leaves
/// service at 75 s until 100 s.
fn left_after_one_failure(
    before_leaving: impl Fn(&mut Judge, &mut Vec<Change>),
) -> (Judge, EndpointRecord) {
    let (rules, mut judge, mut changes) = (rules(10_000), Judge::default(), Vec::new());
    judge.start(&rules, 0, &mut changes);
    let result = |at: Ms, verdict| ProbeResult {
        start: at,
        end: at + 10,
        kind: verdict,
        slot: true,
    };
    for at in [1000, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000] {
        judge.observe(&rules, result(at, ResultKind::Success), &mut changes);
    }
    judge.observe(
        &rules,
        result(70_000, ResultKind::Failure(Cause::ConnectRefused)),
        &mut changes,
    );
    before_leaving(&mut judge, &mut changes);
    judge.leave_service_at(&rules, 75_000, &mut changes);
    judge.resume_service(100_000, &mut changes);
    judge.start(&rules, 100_000, &mut changes);
    judge.observe(&rules, result(101_000, ResultKind::Success), &mut changes);
    let mut recording = Recording::default();
    changes.iter().for_each(|change| recording.apply(change));
    let record = recording.record(&judge);
    (judge, record)
}

#[test]
fn an_endpoint_that_leaves_service_before_its_failure_is_confirmed_is_unknown_since_its_success() {
    // As it is, and where a reload that changes its definition comes first.
    let ways: [fn(&mut Judge, &mut Vec<Change>); 2] =
        [|_, _| {}, |judge, changes| judge.reconfigure(changes)];
    for way in ways {
        let (judge, record) = left_after_one_failure(way);
        let expected = [
            (0, 1000, Reason::Starting),
            (60_000, 75_000, Reason::Reconfigured),
            (100_000, 101_000, Reason::Starting),
        ];
        assert_eq!(
            record.unknown,
            expected.map(|(from, to, why)| (Span::new(from, to), why))
        );
        assert_eq!(record.absent, [Span::new(75_000, 100_000)]);
        assert_eq!(
            record.left_while_down().as_slice(),
            [Span::new(75_000, 100_000)],
            "it counts as left while down"
        );
        let ledger = judge.ledger();
        assert_eq!(
            (
                ledger.up,
                ledger.down,
                ledger.unknown,
                ledger.out_of_service
            ),
            (59_000, 0, 17_000, 25_000)
        );
        assert_eq!(
            (judge.slots().unmeasured, judge.slots().unconfirmed),
            (1, 0)
        );
    }
}

#[test]
fn an_endpoint_that_leaves_service_while_it_answers_is_up_until_its_last_success_and_was_not_down()
{
    let (judge, record) = left_after_one_failure(|judge, changes| {
        judge.observe(
            &rules(10_000),
            ProbeResult {
                start: 72_000,
                end: 72_010,
                kind: ResultKind::Success,
                slot: false,
            },
            changes,
        );
    });
    assert_eq!(record.left_while_down().as_slice(), []);
    assert_eq!(
        (
            judge.ledger().up,
            judge.ledger().unknown,
            judge.ledger().out_of_service
        ),
        (71_000, 2000, 28_000)
    );
}

#[test]
fn an_endpoint_that_never_answered_and_leaves_service_failing_counts_as_left_while_down() {
    let (rules, mut judge, mut changes) = (rules(10_000), Judge::default(), Vec::new());
    judge.start(&rules, 0, &mut changes);
    judge.observe(
        &rules,
        ProbeResult {
            start: 5000,
            end: 5010,
            kind: ResultKind::Failure(Cause::ConnectRefused),
            slot: true,
        },
        &mut changes,
    );
    judge.leave_service_at(&rules, 8000, &mut changes);
    judge.resume_service(20_000, &mut changes);
    let mut recording = Recording::default();
    changes.iter().for_each(|change| recording.apply(change));
    let record = recording.record(&judge);
    assert_eq!(
        record.unknown[..2],
        [
            (Span::new(0, 5000), Reason::Starting),
            (Span::new(5000, 8000), Reason::Reconfigured)
        ]
    );
    assert_eq!(
        record.left_while_down().as_slice(),
        [Span::new(8000, 20_000)]
    );
}

#[test]
fn a_failure_that_a_pause_of_the_prober_left_open_counts_when_the_endpoint_leaves_service() {
    let (judge, record) = left_after_one_failure(|judge, changes| {
        // As a copy of the judge is stored and read back, between.
        *judge = Judge::decode(&judge.encode()).expect("own bytes");
        judge.reconfigure(changes);
        *judge = Judge::decode(&judge.encode()).expect("own bytes");
    });
    assert_eq!(
        record.left_while_down().as_slice(),
        [Span::new(75_000, 100_000)]
    );
    assert_eq!(judge.ledger().unknown, 17_000);
}

#[test]
fn an_endpoint_that_moves_before_it_leaves_service_failing_left_both_components_while_down() {
    let (_, mut record) = left_after_one_failure(|_, _| {});
    record.outside = vec![Span::new(72_000, i64::MAX / 4)];
    assert_eq!(
        record.left_while_down().as_slice(),
        [Span::new(72_000, i64::MAX / 4)]
    );
    record.outside = vec![Span::new(55_000, 58_000)];
    assert_eq!(
        record.left_while_down().as_slice(),
        [Span::new(75_000, 100_000)],
        "a move while it answered is none"
    );
}

/// What happens to an endpoint that answers until 60 s.
enum Then {
    Success(Ms),
    Failure(Ms),
    Unmeasured(Ms),
    /// A reload changes the definition.
    Changed,
    /// A reload changes the cadence.
    Cadence(Ms),
}

type Unknown = Vec<(Ms, Ms, Reason)>;

/// The unknown time after its start, the outages, and the judge.
fn after(steps: &[Then]) -> (Unknown, Vec<(Ms, Ms)>, Judge) {
    let (rules, mut judge, mut changes) = (rules(10_000), Judge::default(), Vec::new());
    judge.start(&rules, 0, &mut changes);
    let mut observe = |judge: &mut Judge, start: Ms, verdict| {
        let end = start + 10;
        let result = ProbeResult {
            start,
            end,
            kind: verdict,
            slot: true,
        };
        judge.observe(&rules, result, &mut changes);
        // As a copy of the judge is stored and read back, between.
        *judge = Judge::decode(&judge.encode()).expect("own bytes");
    };
    for at in [0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000] {
        observe(&mut judge, at, ResultKind::Success);
    }
    for step in steps {
        match *step {
            Then::Success(at) => observe(&mut judge, at, ResultKind::Success),
            Then::Failure(at) => {
                observe(&mut judge, at, ResultKind::Failure(Cause::ConnectRefused))
            }
            Then::Unmeasured(at) => {
                observe(&mut judge, at, ResultKind::Unmeasured(Reason::Reconfigured));
            }
            Then::Changed => judge.reconfigure(&mut Vec::new()),
            Then::Cadence(at) => judge.extend(&rules, at),
        }
    }
    let mut recording = Recording::default();
    changes.iter().for_each(|change| recording.apply(change));
    let record = recording.record(&judge);
    let ledger = judge.ledger();
    assert_eq!(
        ledger.up + ledger.down + ledger.unknown,
        ledger.watermark,
        "nothing is lost"
    );
    let ms = |span: &Span| (span.from as Ms, span.to as Ms);
    let unknown = record.unknown.iter().filter(|u| u.0.length() > 0);
    let unknown = unknown.map(|(span, why)| (ms(span).0, ms(span).1, *why));
    let down = record.down.as_slice().iter().map(ms);
    (unknown.collect(), down.collect(), judge)
}

#[test]
fn failures_that_a_new_definition_dropped_leave_the_time_between_two_successes_unknown() {
    use Then::{Changed, Failure, Success};
    let unknown = |to| vec![(60_000, to, Reason::Reconfigured)];
    let within = [Failure(61_000), Changed, Success(62_000)];
    let beyond = [Failure(61_000), Changed, Success(90_000)];
    let again = [
        Failure(61_000),
        Changed,
        Failure(62_000),
        Changed,
        Failure(63_000),
        Changed,
        Success(64_000),
    ];
    let unconfirmed = [
        Failure(61_000),
        Changed,
        Failure(62_000),
        Success(63_000),
        Success(70_000),
    ];
    for (steps, to) in [
        (&within[..], 62_000),
        (&beyond, 90_000),
        (&again, 64_000),
        (&unconfirmed, 62_000),
    ] {
        let (found, down, judge) = after(steps);
        assert_eq!((found, down), (unknown(to), vec![]));
        assert_eq!(judge.ledger().unknown, to - 60_000);
    }
}

#[test]
fn failures_of_the_new_definition_that_confirm_an_outage_count_as_if_none_had_been_dropped() {
    use Then::{Changed, Failure, Success};
    let steps = [
        Failure(61_000),
        Changed,
        Failure(62_000),
        Failure(63_000),
        Success(66_000),
    ];
    let (unknown, down, _) = after(&steps);
    assert_eq!((unknown, down), (vec![], vec![(61_000, 64_505)]));
}

#[test]
fn one_change_of_the_cadence_after_another_vouches_for_nothing_after_an_unmeasured_probe() {
    use Then::{Cadence, Success, Unmeasured};
    let steps = [
        Cadence(61_000),
        Unmeasured(62_000),
        Cadence(65_000),
        Cadence(70_000),
        Cadence(75_000),
        Cadence(80_000),
        Success(82_000),
    ];
    let (unknown, down, _) = after(&steps);
    let expected = [(71_000, 82_000, Reason::Reconfigured)];
    assert_eq!((&unknown[..], down), (&expected[..], vec![]));
}
