//! What the fuzz targets (fuzz/) found, each as it was found, and small.

use std::path::Path;

use probity::cli::raw;
use probity::config::document::source::OneText;
use probity::config::{load_contracts, timeline_file};
use probity::judgement::rules::{Cadence, Rules};
use probity::judgement::sla::evaluate::evaluate_named;
use probity::judgement::timeline::Span;
use probity::words::Name;
use serde_json::{Value, json};

fn rules() -> Rules {
    Rules::new(Cadence {
        interval: 30_000,
        jitter_ppm: 0,
        late_after: 500,
        timeout: 10_000,
        retry_interval: 1000,
        down_after: 1,
        up_after: 1,
    })
}

#[test]
fn raw_results_of_no_calendar_are_refused() {
    for at in [
        json!(u64::MAX),
        json!(i64::MAX),
        json!(253_402_300_800_000_u64),
        json!("9999-12-31T23:59:59-01:00"),
    ] {
        let list = json!([{"at": 1_793_491_200_000_u64, "ok": true}, {"at": at, "ok": false}]);
        let why = raw::timeline(&list, &rules(), None).expect_err("no instant");
        assert!(why.starts_with("item 1: a time"), "{why}");
    }
    let last = json!([{"at": 253_402_300_799_999_u64, "ok": true}]);
    let told = raw::timeline(&last, &rules(), None).expect("the last instant");
    assert!(timeline_file::timeline(&told).is_ok(), "{told}");
}

/// The figures of component `a` in the first 1,000 seconds: down at least, down, down at most.
fn down(contract: &'static str, timeline: &Value) -> [u64; 3] {
    let contracts = load_contracts(Path::new("c.toml"), &OneText(contract)).expect("a contract");
    let timeline = timeline_file::timeline(timeline).expect("a timeline");
    let (_, list) = evaluate_named(
        &contracts,
        &Name::new("s").expect("a name"),
        &timeline,
        Span::new(0, 1_000_000),
    )
    .expect("judged");
    let judged = &list[0];
    assert!(
        judged.lower <= judged.availability && judged.availability <= judged.upper,
        "{judged:?}"
    );
    [
        judged.times.down_lower,
        judged.times.down,
        judged.times.down_upper,
    ]
}

#[test]
fn an_outage_whose_sure_part_is_longer_than_itself_does_not_turn_the_bounds_around() {
    let outage = json!({"from": 100_000, "to": 200_000, "from_earliest": 0, "from_latest": 50_000,
        "to_earliest": 300_000, "to_latest": 300_000});
    let timeline =
        json!({"from": 0, "to": 1_000_000, "components": [{"name": "a", "down": [outage]}]});
    assert_eq!(
        down(
            "[sla.s]\nobjective = \"99\"\ncomponents = [\"a\"]\n",
            &timeline
        ),
        [100_000, 100_000, 300_000]
    );
}
