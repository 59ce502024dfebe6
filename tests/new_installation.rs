//! What contracts say of a prober that is new: a component is in service from its first start, an
//! open verdict names what is missing, and where little was measured that comes before any figure.

use std::path::Path;

use probity::account::recorded::{ServiceStart, Version, component, timeline};
use probity::config::document::source::OneText;
use probity::config::{load_contracts, timeline_file};
use probity::judgement::sla::calendar::period;
use probity::judgement::sla::contract::Contracts;
use probity::judgement::sla::evaluate::evaluate_named;
use probity::judgement::sla::evaluation::{ContractVerdict, Evaluation, NotEvaluated};
use probity::judgement::sla::record::Timeline;
use probity::judgement::timeline::{Combine, EndpointRecord, Span, Spans};
use probity::report::sla::answer;
use probity::words::{Name, Reason, parse_utc};
use serde_json::{Value, json};

fn contracts(more: &str) -> Contracts {
    let toml = format!("[sla.s]\nobjective = \"99.9\"\ncomponents = [\"c\"]\n{more}");
    load_contracts(Path::new("c.toml"), &OneText(&toml))
        .unwrap_or_else(|faults| panic!("{faults:#?}\n{toml}"))
}

fn at(text: &str) -> i64 {
    parse_utc(text).expect("an instant")
}

/// An endpoint whose first start is on 20 November, up since, settled until a day later.
fn record() -> EndpointRecord {
    let first = at("2026-11-20T00:00:00Z");
    EndpointRecord {
        from: Some(first),
        settled: at("2026-11-21T00:00:00Z"),
        unknown: vec![(Span::new(first, first + 2000), Reason::Starting)],
        ..EndpointRecord::default()
    }
}

fn recorded(service: ServiceStart, month: Span) -> Timeline {
    let reached = Span::new(month.from, month.to.min(at("2026-11-21T00:00:00Z")));
    timeline(
        reached,
        vec![component(
            "c",
            &Version::ever(Combine::Series, service),
            (&[record()], &Spans::default()),
            reached,
        )],
        Vec::new(),
    )
}

fn judged(
    contracts: &Contracts,
    timeline: &Timeline,
    month: &str,
) -> Result<(Value, Evaluation), NotEvaluated> {
    let span = period(contracts.list[0].period, &contracts.list[0].zone, month).expect("a period");
    let (contract, list) =
        evaluate_named(contracts, &Name::new("s").expect("a name"), timeline, span)?;
    Ok((
        answer(contract, span, &list, &[]).to_json()["results"][0].clone(),
        list[0].clone(),
    ))
}

fn month(name: &str) -> Span {
    period(contracts("").list[0].period, &jiff::tz::TimeZone::UTC, name).expect("a month")
}

#[test]
fn a_component_is_in_service_from_its_first_start() {
    let (found, j) = judged(
        &contracts(""),
        &recorded(ServiceStart::default(), month("2026-11")),
        "2026-11",
    )
    .expect("judged");
    assert_eq!(
        found["service_ms"],
        11 * 86_400_000_u64,
        "from the 20th to the end of the month"
    );
    assert_eq!(
        (&found["unknown_ms"], &found["outside_ms"]),
        (&json!(2000), &json!(19 * 86_400_000_u64))
    );
    let [lower, upper] = j
        .so_far(&contracts("").list[0])
        .expect("the month is not over");
    assert_eq!(
        (lower, upper),
        (
            "43199/43200".parse().expect("a fraction"),
            "1".parse().expect("a fraction")
        )
    );
    assert!(!j.is_little_measured());
}

#[test]
fn configured_service_before_the_first_start_was_not_measured() {
    let since = ServiceStart {
        from: Some(at("2026-11-10T00:00:00Z")),
    };
    let (found, j) = judged(
        &contracts(""),
        &recorded(since, month("2026-11")),
        "2026-11",
    )
    .expect("judged");
    assert_eq!(
        (&found["service_ms"], &found["unknown_ms"]),
        (
            &json!(21 * 86_400_000_u64),
            &json!(10 * 86_400_000_u64 + 2000)
        )
    );
    assert!(j.is_little_measured(), "one day of eleven");
    assert_eq!(found["measured_less_than_half"], true);
}

#[test]
fn a_month_before_the_installation_has_no_verdict() {
    let error = judged(
        &contracts(""),
        &recorded(ServiceStart::default(), month("2026-10")),
        "2026-10",
    )
    .expect_err("no verdict");
    assert_eq!(
        error.to_string(),
        "no verdict: nothing of the contract `s` was in service in this period; `c` is in service \
            from 2026-11-20T00:00:00.000Z on"
    );
}

#[test]
fn an_open_verdict_says_what_would_be_paid_and_what_is_missing_and_nothing_is_due() {
    let money = "fee = \"1000.00\"\ncurrency = \"EUR\"\n[sla.s.credit]\nmodel = \"linear\"\nstep \
        = \"1\"\nper_step = \"10\"\nrounding = \"pro_rata\"\n";
    let (found, j) = judged(
        &contracts(money),
        &recorded(ServiceStart::default(), month("2026-11")),
        "2026-11",
    )
    .expect("judged");
    assert_eq!(j.verdict, ContractVerdict::Undetermined);
    let sentence = found["credit"]["sentence"].as_str().expect("a sentence");
    let expected = "No credit is decided yet: it would be 0.00 EUR at the upper bound, 1000.00 \
        EUR at the lower bound, 0.00 EUR by the point estimate. Open: 10d of the service time are \
        still to come or not settled; 2s are unknown.";
    assert_eq!(sentence, expected);
    assert_eq!(
        found["open_because"],
        json!([
            "10d of the service time are still to come or not settled",
            "2s are unknown"
        ])
    );
    // Where nothing is unknown the bounds of an outage are what is missing.
    let outage = json!({"outage": 1, "from": at("2026-11-10T10:00:00Z"),
        "to": at("2026-11-10T10:43:12Z"), "from_earliest": at("2026-11-10T09:59:59Z"),
        "from_latest": at("2026-11-10T10:00:01Z"), "to_earliest": at("2026-11-10T10:43:11Z"),
        "to_latest": at("2026-11-10T10:43:13Z")});
    let file =
        json!({"schema": "probity-timeline/2", "components": [{"name": "c", "down": [outage]}]});
    let (found, j) = judged(
        &contracts(money),
        &timeline_file::timeline(&file).expect("a timeline"),
        "2026-11",
    )
    .expect("judged");
    assert_eq!(j.verdict, ContractVerdict::Undetermined, "{found:#}");
    assert_eq!(
        found["open_because"],
        json!(["downtime is between 43m10s and 43m14s"])
    );
    // A decided one says what is due.
    let outage = json!({"from": at("2026-11-10T10:00:00Z"), "to": at("2026-11-11T10:00:00Z")});
    let file =
        json!({"schema": "probity-timeline/2", "components": [{"name": "c", "down": [outage]}]});
    let (found, _) = judged(
        &contracts(money),
        &timeline_file::timeline(&file).expect("a timeline"),
        "2026-11",
    )
    .expect("judged");
    assert!(
        found["credit"]["sentence"]
            .as_str()
            .is_some_and(|s| s.starts_with("Credit due: ")),
        "{found}"
    );
    assert_eq!(found["open_because"], json!([]));
}

#[test]
fn the_error_budget_is_that_of_the_whole_period_whatever_of_it_is_over() {
    let (found, _) = judged(
        &contracts(""),
        &recorded(ServiceStart::default(), month("2026-11")),
        "2026-11",
    )
    .expect("judged");
    // A thousandth of eleven days, but for two seconds that are unknown.
    assert_eq!(found["budget_ms"], "950398/1");
    assert_eq!(found["budget_remaining_ms"], "950398/1");
}
