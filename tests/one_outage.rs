//! Outages are one thing in what contracts count: unknown time interrupts and does not end them,
//! and `min_outage` looks at what is left of the merged timeline.

use std::path::Path;

use probity::config::document::source::OneText;
use probity::config::{load_contracts, timeline_file};
use probity::judgement::sla::calendar::period;
use probity::judgement::sla::evaluate::evaluate_named;
use probity::report::sla::answer;
use probity::words::Name;
use serde_json::{Value, json};

/// The only result of a contract over November 2026; `more`: keys of the contract.
fn result(components: &[&str], combine: &str, more: &str, timeline: &Value) -> Value {
    let toml = format!(
        "[sla.s]\nobjective = \"99.9\"\ncomponents = {}\ncombine = \"{combine}\"\n{more}",
        json!(components)
    );
    let contracts = load_contracts(Path::new("c.toml"), &OneText(&toml))
        .unwrap_or_else(|faults| panic!("{faults:#?}\n{toml}"));
    let timeline = timeline_file::timeline(timeline).expect("a timeline");
    let span =
        period(contracts.list[0].period, &contracts.list[0].zone, "2026-11").expect("a period");
    let (contract, judged) = evaluate_named(
        &contracts,
        &Name::new("s").expect("a name"),
        &timeline,
        span,
    )
    .expect("judged");
    answer(contract, span, &judged, &[]).to_json()["results"][0].clone()
}

/// Ten o'clock of the tenth and so many seconds.
fn at(seconds: i64) -> String {
    probity::words::format_utc(
        probity::words::parse_utc("2026-11-10T10:00:00Z").expect("an instant") + seconds * 1000,
    )
}

fn spans(list: &[(i64, i64)]) -> Value {
    list.iter()
        .map(|(from, to)| json!({"from": at(*from), "to": at(*to)}))
        .collect()
}

/// Stretches with the numbers of their outages.
fn numbered(list: &[(u64, i64, i64)]) -> Value {
    list.iter()
        .map(|(outage, from, to)| json!({"outage": outage, "from": at(*from), "to": at(*to)}))
        .collect()
}

fn timeline(components: Value) -> Value {
    json!({"schema": "probity-timeline/2", "components": components})
}

const PER_OUTAGE: &str = "fee = \"100\"\ncurrency = \"EUR\"\n[sla.s.credit]\nmodel \
    = \"per_downtime\"\nunit = \"30m\"\nper_unit = \"5\"\nrounding = \"started\"\naggregate \
    = \"per_outage\"\n";

#[test]
fn a_restart_of_the_prober_makes_no_second_outage_and_pays_for_none() {
    let down = numbered(&[(17, 0, 600), (17, 900, 1200), (40, 5000, 5060)]);
    let a = json!({"name": "a", "down": down, "unknown": spans(&[(600, 900)])});
    let found = result(&["a"], "each", PER_OUTAGE, &timeline(json!([a.clone()])));
    assert_eq!(found["outage_summary"]["count"], 2);
    assert_eq!(found["outage_summary"]["longest_ms"], 900_000);
    assert_eq!(found["outage_summary"]["mean_time_to_recover_ms"], 480_000);
    assert_eq!(
        found["credit"]["percent"], "10/1",
        "one started half hour for each"
    );
    assert_eq!(found["credit"]["at"]["upper"]["percent"], "10/1");
    assert_eq!(
        found["outages"][0],
        json!({
            "outage": 17, "from": "2026-11-10T10:00:00Z", "to": "2026-11-10T10:20:00Z",
            "from_earliest": "2026-11-10T10:00:00Z", "from_latest": "2026-11-10T10:00:00Z",
            "to_earliest": "2026-11-10T10:20:00Z", "to_latest": "2026-11-10T10:20:00Z",
            "down_ms": 900_000,
        })
    );
    assert_eq!(found["outages"].as_array().map(Vec::len), Some(2));
    // Beside another component it is no other outage.
    let b = json!({"name": "b", "down": [], "unknown": spans(&[(600, 900)])});
    let together = result(&["a", "b"], "series", PER_OUTAGE, &timeline(json!([a, b])));
    assert_eq!(
        (&together["outage_summary"], &together["credit"]["percent"]),
        (&found["outage_summary"], &found["credit"]["percent"])
    );
}

#[test]
fn stretches_without_a_number_are_one_outage_where_they_touch() {
    let a = json!({"name": "a", "down": spans(&[(0, 600), (600, 1200), (1300, 1400)])});
    let found = result(&["a"], "each", PER_OUTAGE, &timeline(json!([a])));
    assert_eq!(
        (
            &found["outage_summary"]["count"],
            &found["outage_summary"]["longest_ms"]
        ),
        (&json!(2), &json!(1_200_000))
    );
    // Two that touch under numbers of their own are two.
    let a = json!({"name": "a", "down": numbered(&[(1, 0, 600), (2, 600, 1200)])});
    assert_eq!(
        result(&["a"], "each", PER_OUTAGE, &timeline(json!([a])))["outage_summary"]["count"],
        2
    );
}

#[test]
fn several_together_are_down_until_they_are_known_to_be_up() {
    let a = json!({"name": "a", "down": numbered(&[(1, 0, 100)]), "unknown": spans(&[(100, 200)])});
    let b =
        json!({"name": "b", "down": numbered(&[(7, 200, 300)]), "unknown": spans(&[(100, 200)])});
    let all = timeline(json!([a.clone(), b]));
    assert_eq!(
        result(&["a", "b"], "series", "", &all)["outage_summary"]["count"],
        1
    );
    let up_between =
        json!({"name": "b", "down": numbered(&[(7, 210, 300)]), "unknown": spans(&[(100, 200)])});
    let interrupted = timeline(json!([a, up_between]));
    assert_eq!(
        result(&["a", "b"], "series", "", &interrupted)["outage_summary"]["count"],
        2
    );
    // Of two that must both be down: down, then one unknown, then down again.
    let a = json!({"name": "a", "down": numbered(&[(1, 0, 300)])});
    let down = numbered(&[(7, 0, 100), (7, 200, 300)]);
    let b = json!({"name": "b", "down": down, "unknown": spans(&[(100, 200)])});
    assert_eq!(
        result(&["a", "b"], "parallel", "", &timeline(json!([a, b])))["outage_summary"]["count"],
        1
    );
}

#[test]
fn doubt_is_no_outage_in_either_schema() {
    let doubt = json!({"from": at(0), "to": at(0), "from_earliest": at(0), "from_latest": at(40),
        "to_earliest": at(0), "to_latest": at(40)});
    let first =
        json!({"schema": "probity-timeline/1", "components": [{"name": "a", "down": [doubt]}]});
    let second = timeline(json!([{"name": "a", "down": [], "possible_down": spans(&[(0, 40)])}]));
    for read in [first, second] {
        let found = result(&["a"], "each", "", &read);
        assert_eq!(
            (
                &found["outage_summary"]["count"],
                &found["down_ms"],
                &found["down_upper_ms"]
            ),
            (&json!(0), &json!(0), &json!(40_000)),
            "{read}"
        );
        assert_eq!(found["outages"], json!([]));
    }
}

#[test]
fn an_outage_that_has_just_begun_is_listed_with_an_open_end() {
    let mut told = timeline(
        json!([{"name": "a", "down": [{"outage": 3, "from": at(60), "to": null}],
            "unknown": spans(&[(0, 60)])}]),
    );
    (told["from"], told["to"]) = (json!(at(0)), json!(at(60)));
    let found = result(&["a"], "each", "", &told);
    assert_eq!(
        (&found["outage_summary"]["count"], &found["down_ms"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(
        (
            &found["outages"][0]["outage"],
            &found["outages"][0]["to"],
            &found["outages"][0]["down_ms"]
        ),
        (&json!(3), &Value::Null, &json!(0))
    );
    told["components"][0]["in_service"] = json!([{"from": at(-9000), "to": at(30)}]);
    assert_eq!(
        result(&["a"], "each", "", &told)["outage_summary"]["count"],
        0,
        "nor is one outside the service an outage of the contract"
    );
}

const MIN: &str = "min_outage = \"1m\"\n";
const WHOLE: &str = "min_outage = { length = \"1m\", count = \"whole_minutes\" }\n";

#[test]
fn the_least_outage_looks_at_what_components_are_together() {
    let part = |name: &str, list: &[(u64, i64, i64)]| json!({"name": name, "down": numbered(list)});
    // 40 s of one, then 40 s of the other: 80 s of the series.
    let series = timeline(json!([part("a", &[(1, 0, 40)]), part("b", &[(2, 40, 80)])]));
    assert_eq!(
        result(&["a", "b"], "series", MIN, &series)["down_ms"],
        80_000
    );
    assert_eq!(
        result(&["a", "b"], "series", WHOLE, &series)["down_ms"],
        60_000
    );
    assert_eq!(result(&["a"], "each", MIN, &series)["down_ms"], 0);
    // Two of 90 s that are down together for 30 s.
    let parallel = timeline(json!([
        part("a", &[(1, 0, 90)]),
        part("b", &[(2, 60, 150)])
    ]));
    let found = result(&["a", "b"], "parallel", MIN, &parallel);
    assert_eq!(
        (
            &found["down_ms"],
            &found["down_lower_ms"],
            &found["down_upper_ms"],
            &found["outage_summary"]["count"]
        ),
        (&json!(0), &json!(0), &json!(0), &json!(0))
    );
    assert_eq!(
        result(&["a", "b"], "series", WHOLE, &parallel)["down_ms"],
        120_000,
        "150 s of the series"
    );
}

#[test]
fn the_least_outage_looks_after_all_cuts_and_unknown_time_is_none() {
    // A window of 30 s leaves 40 s on either side of it: two outages that are too short.
    let window = json!([{"from": at(40), "to": at(70)}]);
    let mut told = timeline(json!([{"name": "a", "down": numbered(&[(1, 0, 110)])}]));
    told["maintenance"] = window;
    assert_eq!(result(&["a"], "each", MIN, &told)["down_ms"], 0);
    // A prober that restarts in the middle shortens no outage.
    let told = timeline(
        json!([{"name": "a", "down": numbered(&[(1, 0, 40), (1, 50, 90)]),
            "unknown": spans(&[(40, 50)])}]),
    );
    assert_eq!(result(&["a"], "each", MIN, &told)["down_ms"], 80_000);
    assert_eq!(result(&["a"], "each", WHOLE, &told)["down_ms"], 60_000);
}

#[test]
fn bounds_of_whole_minutes_are_whole_minutes() {
    let outage = json!({"outage": 1, "from": at(0), "to": at(125), "from_earliest": at(-20),
        "from_latest": at(10), "to_earliest": at(115), "to_latest": at(170)});
    let found = result(
        &["a"],
        "each",
        WHOLE,
        &timeline(json!([{"name": "a", "down": [outage.clone()]}])),
    );
    assert_eq!(
        (
            &found["down_lower_ms"],
            &found["down_ms"],
            &found["down_upper_ms"]
        ),
        (&json!(60_000), &json!(120_000), &json!(180_000))
    );
    for combine in ["series", "parallel"] {
        let same =
            timeline(json!([{"name": "a", "down": [outage]}, {"name": "b", "down": [outage]}]));
        let together = result(&["a", "b"], combine, WHOLE, &same);
        assert_eq!(
            (&together["down_lower_ms"], &together["down_upper_ms"]),
            (&json!(60_000), &json!(180_000)),
            "{combine}"
        );
    }
    // Where unknown time goes on from it, the worst case is whole minutes as well, and never less
    // than the outage could have been.
    let beside = timeline(
        json!([{"name": "a", "down": numbered(&[(1, 0, 40)]), "unknown": spans(&[(40, 70)])}]),
    );
    let found = result(&["a"], "each", WHOLE, &beside);
    assert_eq!(
        (
            &found["down_ms"],
            &found["down_upper_ms"],
            &found["unknown_ms"]
        ),
        (&json!(0), &json!(60_000), &json!(30_000))
    );
}

#[test]
fn an_outage_of_a_parallel_contract_that_has_just_begun_counts_with_length_0() {
    let down = |list: &[(u64, i64)]| -> Value {
        list.iter()
            .map(|(outage, from)| json!({"outage": outage, "from": at(*from), "to": null}))
            .collect()
    };
    let of = |components: Value| {
        let whole = json!({"schema": "probity-timeline/2", "from": "2026-11-01T00:00:00Z",
            "to": at(600), "components": components});
        result(&["a", "b"], "parallel", "", &whole)
    };
    let begun = json!({"name": "b", "down": down(&[(9, 600)])});
    for since in [0, 600] {
        let found = of(json!([{"name": "a", "down": down(&[(7, since)])}, begun]));
        let one = &found["outages"][0];
        assert_eq!(
            (
                &found["outage_summary"]["count"],
                &one["from"],
                &one["to"],
                &one["down_ms"]
            ),
            (
                &json!(1),
                &json!(at(600).replace(".000Z", "Z")),
                &Value::Null,
                &json!(0)
            ),
            "{found}"
        );
    }
    assert_eq!(
        of(json!([{"name": "a"}, begun]))["outage_summary"]["count"],
        0,
        "the other keeps it up"
    );
    let lost = json!({"name": "a", "unknown": spans(&[(300, 600)])});
    assert_eq!(
        of(json!([lost, begun]))["outage_summary"]["count"],
        0,
        "of the other nothing is known"
    );
    // Down before, and unknown since: the end of no length says that nothing has come up.
    let interrupted = json!({"name": "a", "down": [{"outage": 7, "from": at(0), "to": at(300)},
        {"outage": 7, "from": at(600), "to": null}], "unknown": spans(&[(300, 600)])});
    assert_eq!(
        of(json!([interrupted, begun]))["outage_summary"]["count"],
        0
    );
}
