//! Random lives of an endpoint, of which the truth is known: time adds up, counters never go back,
//! the bounds hold.

use probity::judgement::rules::{Cadence, Rules};
use probity::judgement::state::{Change, Judge, ProbeResult, ResultKind};
use probity::judgement::timeline::{Span, Spans};
use probity::words::{Cause, Ms, Reason};
use proptest::prelude::*;

/// The true state over time: up before the first instant, then alternating.
struct Truth(Vec<Ms>);

impl Truth {
    /// Every stretch is at least `shortest` long.
    fn random(rng: &mut fastrand::Rng, shortest: Ms, until: Ms) -> Self {
        let mut flips = Vec::new();
        let mut at = rng.u64(0..shortest * 4);
        while at < until {
            flips.push(at);
            at += shortest + rng.u64(0..shortest * 3);
        }
        Truth(flips)
    }

    fn is_up(&self, at: Ms) -> bool {
        self.0.partition_point(|flip| *flip <= at) % 2 == 0
    }

    fn down(&self, until: Ms) -> Spans {
        Spans::new(
            self.0
                .chunks(2)
                .map(|c| {
                    Span::new(
                        c[0] as i64,
                        c.get(1).copied().unwrap_or(until).min(until) as i64,
                    )
                })
                .collect(),
        )
    }
}

struct Life {
    rules: Rules,
    truth: Truth,
    judge: Judge,
    changes: Vec<Change>,
    previous: [u64; 14],
    longest_answer: Ms,
}

impl Life {
    fn new(rng: &mut fastrand::Rng) -> Self {
        let interval = [1000, 5000, 30_000][rng.usize(0..3)];
        let timeout = [500, 900, interval * 2 / 3][rng.usize(0..3)];
        let cadence = Cadence {
            interval,
            jitter_ppm: [0, 100_000, 500_000][rng.usize(0..3)],
            late_after: 500,
            timeout,
            retry_interval: [100, 1000][rng.usize(0..2)],
            down_after: rng.u32(1..4),
            up_after: rng.u32(1..3),
        };
        let rules = Rules::new(cadence);
        // Longer than any time between the start of one measured result and the end of the next.
        let shortest = 2 * (rules.window + timeout + rules.gap);
        let truth = Truth::random(rng, shortest, interval * 500);
        Self {
            rules,
            truth,
            judge: Judge::default(),
            changes: Vec::new(),
            previous: [0; 14],
            longest_answer: timeout,
        }
    }

    fn numbers(&self) -> [u64; 14] {
        let (j, l) = (&self.judge, self.judge.ledger());
        let (s, t) = (j.slots(), j.transitions());
        [
            l.up,
            l.down,
            l.unknown,
            l.down_upper,
            l.watermark,
            j.down_lower(),
            s.success,
            s.failure,
            s.unconfirmed,
            s.unmeasured,
            s.missed,
            t.up,
            t.down,
            t.unknown,
        ]
    }

    fn verify(&mut self) -> Result<(), TestCaseError> {
        let now = self.numbers();
        for (k, (new, old)) in now.iter().zip(self.previous).enumerate() {
            prop_assert!(*new >= old, "counter {k} went back from {old} to {new}");
        }
        self.previous = now;
        let ledger = self.judge.ledger();
        let first = self.judge.first_start().unwrap_or(ledger.watermark);
        prop_assert_eq!(
            ledger.up + ledger.down + ledger.unknown + ledger.out_of_service,
            ledger.watermark - first
        );
        prop_assert!(self.judge.down_lower() <= ledger.down_upper);
        prop_assert!(ledger.down <= ledger.down_upper);
        prop_assert!(ledger.down_upper + ledger.unknown <= ledger.watermark - first);
        let copy = Judge::decode(&self.judge.encode()).expect("own bytes");
        prop_assert!(copy == self.judge, "a stored judge reads back as it was");
        Ok(())
    }

    /// One probe of the truth: it sees one instant between its start and its end.
    fn probe(&mut self, rng: &mut fastrand::Rng, start: Ms, slot: bool, loss: f64) -> (Ms, bool) {
        let length = if rng.bool() {
            rng.u64(0..20)
        } else {
            rng.u64(0..self.longest_answer)
        };
        let seen = start + rng.u64(0..=length);
        let end = start + length;
        let lost = rng.f64() < loss;
        let up = self.truth.is_up(seen);
        let verdict = match (lost, up) {
            (true, _) => ResultKind::Unmeasured(Reason::LocalResource),
            (false, true) => ResultKind::Success,
            (false, false) => ResultKind::Failure(Cause::ConnectRefused),
        };
        self.judge.observe(
            &self.rules,
            ProbeResult {
                start,
                end,
                kind: verdict,
                slot,
            },
            &mut self.changes,
        );
        (end, lost || !up)
    }

    fn unknown(&self) -> Spans {
        let mut spans: Vec<Span> = self
            .changes
            .iter()
            .filter_map(|c| match c {
                Change::UnknownUntil { from, to, .. } | Change::OutOfService { from, to } => {
                    Some(Span::new(*from as i64, *to as i64))
                }
                _ => None,
            })
            .collect();
        if let Some((from, _)) = self.judge.open_unknown() {
            spans.push(Span::new(from as i64, self.judge.ledger().watermark as i64));
        }
        Spans::new(spans)
    }
}

/// Runs slots, re-probes, losses, restarts; returns the life after it.
fn run(seed: u64) -> Result<Life, TestCaseError> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut life = Life::new(&mut rng);
    let cadence = life.rules.cadence;
    let loss = [0.0, 0.0, 0.1, 0.5][rng.usize(0..4)];
    let mut now = rng.u64(0..cadence.interval);
    life.judge.start(&life.rules, now, &mut life.changes);
    life.verify()?;
    let mut slot = now + rng.u64(0..cadence.interval);
    for _ in 0..120 {
        now = now.max(slot);
        if rng.u32(0..40) == 0 {
            life.judge.stop(&life.rules, now, &mut life.changes);
            now += rng.u64(1..life.rules.gap * 3);
            life.judge.start(&life.rules, now, &mut life.changes);
            life.verify()?;
        }
        if rng.u32(0..60) == 0 {
            // As earlier builds logged it, and as it is today.
            match seed % 2 {
                0 => life.judge.leave_service(&mut life.changes),
                _ => life
                    .judge
                    .leave_service_at(&life.rules, now, &mut life.changes),
            }
            life.verify()?;
            now += rng.u64(1..life.rules.gap * 2);
            life.judge.resume_service(now, &mut life.changes);
            life.verify()?;
        }
        slot += cadence.interval * (1 + now.saturating_sub(slot) / cadence.interval);
        let (mut end, mut again) = life.probe(&mut rng, now, true, loss);
        life.verify()?;
        let mut tries = 0;
        while again && tries < 4 && end + cadence.retry_interval < slot {
            now = end + cadence.retry_interval;
            (end, again) = life.probe(&mut rng, now, false, loss);
            life.verify()?;
            tries += 1;
        }
        now = now.max(end);
        if rng.u32(0..4) == 0 {
            life.judge.tick(&life.rules, now, &mut life.changes);
            life.verify()?;
        }
    }
    Ok(life)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn time_adds_up_counters_never_go_back_and_the_bounds_enclose_the_truth(seed in any::<u64>()) {
        let life = run(seed)?;
        let ledger = life.judge.ledger();
        let first = life.judge.first_start().expect("started");
        let settled = Span::new(first as i64, ledger.watermark as i64);
        let known = Spans::new(vec![settled]).minus(&life.unknown());
        let outside = Spans::new(vec![settled]).minus(&known);
        prop_assert_eq!(
            outside.length(),
            ledger.unknown + ledger.out_of_service,
            "changes and ledger tell the same unknown time"
        );
        let truly_down = life.truth.down(ledger.watermark).minus(&outside).cut(settled).length();
        let lower = life.judge.down_lower();
        prop_assert!(lower <= truly_down, "lower {lower} > true {truly_down}");
        let length = |c: &Change| if let Change::Proven { from, to } = c { to - from } else { 0 };
        let proven: u64 = life.changes.iter().map(length).sum();
        let open = life.judge.open_run().map_or(0, |(from, to)| to - from);
        prop_assert_eq!(proven + open, lower, "changes and judge tell the same lower bound");
        let upper = ledger.down_upper;
        prop_assert!(truly_down <= upper, "true {truly_down} > upper {upper}");
    }

    #[test]
    fn the_same_seed_gives_the_same_judge(seed in any::<u64>()) {
        let (one, two) = (run(seed)?, run(seed)?);
        prop_assert!(one.judge == two.judge && one.changes == two.changes);
    }
}
