//! A simulated daemon against endpoints whose truth is known: time adds up, bounds hold, every long
//! outage is there once, and the same seed gives the same bytes. `SIMULATE=month` runs the month of
//! a thousand endpoints (use a release build).

use std::path::Path;
use std::sync::Arc;

use probity::config::document::source::OneText;
use probity::config::{Plan, load};
use probity::engine::replay::judges;
use probity::engine::simulation::{Incident, Outcomes, World, simulate, simulate_into};
use probity::history::opened::History;
use probity::history::read::Extent;
use probity::history::verification::{Against, Verification};
use probity::history::{Registration, schema};
use probity::judgement::timeline::{Span, Spans};
use probity::words::Ms;

fn plan(count: usize, interval: &str) -> Arc<Plan> {
    let mut text =
        format!("[defaults]\ninterval = \"{interval}\"\ntimeout = \"5s\"\n[group.all.targets]\n");
    for k in 0..count {
        text += &format!("e{k} = \"127.0.0.1:{}\"\n", 1 + k % 60_000);
    }
    let text = text.replace(
        "[group.all.targets]",
        "[group.all]\nprobe.tcp.expect.within = \"5s\"\n[group.all.targets]",
    );
    Arc::new(
        load(Path::new("simulated.toml"), &OneText(&text))
            .unwrap_or_else(|faults| panic!("{faults:?}")),
    )
}

const BEGIN: Ms = 1_793_491_200_000;

/// Outages and the time between them are longer than what two probes can miss.
fn truth(count: usize, days: u64, shortest: Ms, seed: u64) -> Vec<Spans> {
    (0..count as u64)
        .map(|k| {
            let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(1_000_003) ^ k);
            let end = BEGIN + days * 86_400_000;
            let mut at = BEGIN + rng.u64(shortest..40 * shortest);
            let mut spans = Vec::new();
            while at < end {
                let to = at + shortest + rng.u64(0..6 * shortest);
                spans.push(Span::new(at as i64, to.min(end) as i64));
                at = to + shortest + rng.u64(0..200 * shortest);
            }
            Spans::new(spans)
        })
        .collect()
}

fn incidents(days: u64, seed: u64) -> Vec<Incident> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut at = BEGIN + rng.u64(3_600_000..40_000_000);
    let end = BEGIN + days * 86_400_000;
    let mut list = Vec::new();
    while at < end - 7_200_000 {
        let to = at + [2000, 30_000, 600_000, 3_600_000][rng.usize(0..4)];
        list.push(match rng.u32(0..6) {
            0 => Incident::Killed { from: at, to },
            1 => Incident::Stopped { from: at, to },
            2 => Incident::Suspended { from: at, to },
            3 | 4 => Incident::Reload { at },
            _ => Incident::ClockStep {
                at,
                by: rng.i64(-3_600_000..3_600_000),
            },
        });
        at = to + rng.u64(3_600_000..60_000_000);
    }
    list
}

/// Holds what was recorded against what was true; the number of outages.
fn compared(world: &World, outcomes: &Outcomes, dead: &Spans) -> usize {
    let mut outages = 0;
    for (k, seen) in outcomes.seen.iter().enumerate() {
        let (ledger, judge) = (seen.judge.ledger(), &seen.judge);
        let first = judge.first_start().expect("it was started");
        assert_eq!(
            ledger.up + ledger.down + ledger.unknown + ledger.out_of_service,
            ledger.watermark - first,
            "e{k}: time adds up"
        );
        // A run of lost probes is an outage to any observer.
        let down = world.down[k].union(&seen.lost);
        let absent = Spans::new(seen.record.absent.clone());
        let dead = &dead.union(&absent);
        let period = Span::new(first as i64, ledger.watermark as i64);
        let sums = seen.record.timeline(period).sums();
        assert_eq!(
            (sums.up, sums.down, sums.unknown),
            (ledger.up, ledger.down, ledger.unknown),
            "e{k}: the record is the ledger"
        );
        assert_eq!(
            sums.down_upper, ledger.down_upper,
            "e{k}: the worst case of the record is the ledger's"
        );
        let unknown = Spans::new(seen.record.unknown.iter().map(|u| u.0).collect());
        let known_down = down.minus(&unknown).minus(&absent).cut(period).length();
        assert!(
            judge.down_lower() <= known_down && known_down <= ledger.down_upper,
            "e{k}: {} <= {known_down} <= {}",
            judge.down_lower(),
            ledger.down_upper
        );
        for o in &seen.record.outages {
            let widest = Span::new(o.from_earliest, o.to_latest.unwrap_or(period.to));
            assert!(
                down.cut(widest).length() > 0,
                "e{k}: an outage was invented: {o:?}"
            );
        }
        // Every true outage that was neither under way nor near when the daemon was away is there
        // exactly once.
        for s in down.as_slice() {
            let near = Span::new(s.from - 200_000, s.to + 200_000);
            if dead.cut(near).length() > 0
                || s.to + 200_000 > period.to
                || s.from < period.from + 200_000
            {
                continue;
            }
            let hits = seen
                .record
                .outages
                .iter()
                .filter(|o| o.from < s.to && s.from < o.to.unwrap_or(period.to))
                .count();
            assert_eq!(hits, 1, "e{k}: a true outage of {} ms", s.length());
            let own = seen
                .record
                .outages
                .iter()
                .find(|o| o.from < s.to && s.from < o.to.unwrap_or(period.to))
                .expect("it");
            assert!(
                own.from_earliest <= s.from && s.from <= own.from_latest,
                "e{k}: {own:?} begins not around {s:?}"
            );
            assert!(
                own.to_earliest.is_some_and(|t| t <= s.to)
                    && own.to_latest.is_some_and(|t| s.to <= t),
                "e{k}: {own:?} ends not around {s:?}"
            );
        }
        outages += seen.record.outages.len();
    }
    outages
}

fn world(count: usize, days: u64, seed: u64) -> (World, Spans) {
    // Two windows of a 60 s interval: nothing in it is missed.
    let down = truth(count, days, 160_000, seed);
    let incidents = incidents(days, seed);
    let away = incidents.iter().filter_map(|i| match *i {
        Incident::Killed { from, to }
        | Incident::Stopped { from, to }
        | Incident::Suspended { from, to } => Some(Span::new(from as i64, to as i64)),
        Incident::ClockStep { .. } | Incident::Reload { .. } => None,
    });
    let dead = Spans::new(away.collect());
    (
        World {
            begin: BEGIN,
            end: BEGIN + days * 86_400_000,
            down,
            loss_ppm: [0, 10_000][(seed % 2) as usize],
            incidents,
            seed,
        },
        dead,
    )
}

#[test]
fn what_is_recorded_agrees_with_what_is_true() {
    let wanted = std::env::var("SIMULATE").unwrap_or_default();
    let (count, days, seeds) = match wanted.parse() {
        Ok(seeds) => (40, 3, seeds),
        Err(_) if wanted == "month" => (1000, 30, 1),
        Err(_) => (40, 3, 6),
    };
    let plan = plan(count, "60s");
    let mut all = [0; 3];
    for seed in 1..=seeds {
        let (world, dead) = world(count, days, seed);
        let begun = tokio::time::Instant::now();
        let outcomes = simulate(&plan, &world);
        let took = begun.elapsed();
        let outages = compared(&world, &outcomes, &dead);
        let absent: usize = outcomes.seen.iter().map(|s| s.record.absent.len()).sum();
        let lost: usize = outcomes.seen.iter().map(|s| s.lost.as_slice().len()).sum();
        let reloads = world
            .incidents
            .iter()
            .filter(|i| matches!(i, Incident::Reload { .. }))
            .count();
        let (probes, events, incidents) = (outcomes.probes, outcomes.events, world.incidents.len());
        eprintln!(
            "seed {seed}: {took:.1?}, {probes} probes, {events} events, {outages} outages; \
                {incidents} incidents, {reloads} reloads, out of service {absent} times, {lost} \
                runs of lost probes"
        );
        all = [all[0] + reloads, all[1] + absent, all[2] + lost];
        assert!(outcomes.probes as usize > count * days as usize * 1200 && outages > count);
    }
    assert!(
        all.iter().all(|n| *n > 5),
        "reloads, times out of service, runs of lost probes: {all:?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let plan = plan(10, "60s");
    let digest = |seed| simulate(&plan, &world(10, 1, seed).0).digest;
    assert_eq!(digest(3), digest(3));
    assert_ne!(digest(3), digest(4));
}

#[test]
fn single_losses_are_unconfirmed_and_open_no_outage() {
    let plan = plan(20, "60s");
    let down = vec![Spans::default(); 20];
    let world = World {
        begin: BEGIN,
        end: BEGIN + 86_400_000,
        down,
        loss_ppm: 2000,
        incidents: Vec::new(),
        seed: 5,
    };
    let outcomes = simulate(&plan, &world);
    let (mut unconfirmed, mut outages) = (0, 0);
    for seen in &outcomes.seen {
        unconfirmed += seen.judge.slots().unconfirmed;
        outages += seen.record.outages.len();
        assert_eq!(
            seen.judge.ledger().unknown,
            seen.record.unknown.iter().map(|u| u.0.length()).sum::<Ms>()
        );
    }
    assert!(unconfirmed > 20, "{unconfirmed}");
    assert!(outages <= 2, "two losses in a row are rare: {outages}");
}

/// The same day, written into a real database batch by batch, restored and read again.
#[test]
fn a_simulated_day_in_sqlite_is_what_it_was_in_memory() {
    let plan = plan(30, "60s");
    let (world, _) = world(30, 1, 9);
    let directory = tempfile::tempdir().expect("a directory");
    let mut history = History::open(directory.path(), None).expect("opened");
    let registrations: Vec<Registration> = plan
        .endpoints
        .iter()
        .map(|e| Registration {
            name: e.name.clone(),
            renamed_from: None,
            component: e.component.clone(),
            kind: "tcp",
            target: e.target(),
            digest: e.digest,
        })
        .collect();
    let registered = history.register(&registrations).expect("registered");
    assert!(
        registered
            .iter()
            .enumerate()
            .all(|(k, r)| r.id == k as i64 + 1)
    );
    let (writer, thread) = history.start(|_| {}).expect("a thread");
    let outcomes = simulate_into(&plan, &world, &mut |batch| writer.commit(batch));
    writer.end(std::time::Duration::from_secs(60));
    drop(writer);
    thread.join().expect("it ended");
    let reader = schema::open_to_read(directory.path()).expect("opened");
    let verdict = reader.verify(&Against::default()).expect("verified");
    assert!(
        matches!(verdict, Verification::Whole { events, .. } if events == outcomes.events),
        "{verdict:?}"
    );
    let restored = reader.restored().expect("restored");
    let judges = judges(&restored, &[]).expect("judges");
    for (k, seen) in outcomes.seen.iter().enumerate() {
        let judge = &judges[&(k as i64 + 1)].1;
        assert_eq!(*judge, seen.judge, "e{k}");
        let extent = Extent {
            first_start: judge.first_start(),
            watermark: judge.ledger().watermark,
            open_unknown: judge.open_unknown(),
            open_run: judge.open_run(),
            is_gone: seen.is_gone,
            longest_blind: judge.longest_blind(),
            blind_lately: judge.blind_lately(),
            not_seen_below: 0,
        };
        let period = Span::new(0, i64::MAX / 8);
        let stored = reader
            .record(plan.endpoints[k].name.as_str(), extent, period)
            .expect("a record");
        assert_eq!(stored.outages, seen.record.outages, "e{k}");
        assert_eq!(
            stored.timeline(period).sums(),
            seen.record.timeline(period).sums(),
            "e{k}"
        );
    }
}
