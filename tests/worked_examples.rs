//! The worked examples of contracts (tests/worked-examples.json, each computed by two other
//! programs), exact to the last fraction: written as a contract in TOML and a timeline in JSON,
//! they go the way that `probity sla evaluate` goes.

use std::path::Path;

use probity::config::document::source::OneText;
use probity::config::{load_contracts, timeline_file};
use probity::judgement::sla::calendar::period;
use probity::judgement::sla::contract::{Contracts, DownIf};
use probity::judgement::sla::evaluate::evaluate_named;
use probity::judgement::sla::exact::Exact;
use probity::judgement::sla::slices::{down_and_unknown, slices};
use probity::judgement::sla::statistics::{
    clopper_pearson_95, most_failures, one_sided_95_lower, probes_needed, wilson_95,
};
use probity::judgement::timeline::Span;
use probity::report::sla::answer;
use probity::words::{Name, parse_utc};
use serde_json::{Value, json};

fn examples() -> Vec<Value> {
    let whole: Value = serde_json::from_str(include_str!("worked-examples.json")).expect("JSON");
    whole["examples"].as_array().expect("a list").clone()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// The contract of an example, as a person would write it.
fn contract(input: &Value, components: &[&str], combine: &str) -> String {
    let mut toml = format!(
        "[sla.s]\nobjective = \"{}\"\ntime_zone = \"{}\"\ncomponents = {}\ncombine \
            = \"{combine}\"\ncurrency = \"EUR\"\n",
        text(&input["target_percent"]),
        text(&input["period"]["time_zone"]),
        json!(components)
    );
    if let Some(fee) = input["monthly_fee"].as_str() {
        toml += &format!("fee = \"{fee}\"\n");
    }
    let policy = &input["policy"];
    for key in ["unknown", "before_in_service"] {
        if let Some(word) = policy[key].as_str() {
            toml += &format!("{key} = \"{word}\"\n");
        }
    }
    if let Some(hours) = input.get("service_hours") {
        toml += &format!(
            "[sla.s.service_hours]\ndays = {}\nfrom = {}\nto = {}\ntime_zone = {}\n",
            hours["days"], hours["from"], hours["to"], hours["time_zone"]
        );
    }
    toml += "[sla.s.maintenance]\n";
    if let Some(treat) = policy["maintenance"].as_str() {
        toml += &format!("treat = \"{treat}\"\n");
    }
    for (key, name) in [("notice_ms", "notice"), ("allowance_ms", "allowance")] {
        if let Some(ms) = policy["maintenance_rules"][key].as_u64() {
            toml += &format!("{name} = \"{ms}ms\"\n");
        }
    }
    if let Some(credit) = input.get("credit") {
        toml += &format!("[sla.s.credit]\nmodel = {}\n", credit["model"]);
        let names = [
            ("step_points", "step"),
            ("credit_percent_per_step", "per_step"),
            ("rounding", "rounding"),
            ("measured_from", "measured_from"),
        ];
        let more = [
            ("cap_percent", "cap"),
            ("credit_percent_per_unit", "per_unit"),
            ("aggregate", "aggregate"),
        ];
        for (key, name) in names.into_iter().chain(more) {
            if let Some(word) = credit[key].as_str() {
                toml += &format!("{name} = \"{word}\"\n");
            }
        }
        if let Some(ms) = credit["unit_ms"].as_u64() {
            toml += &format!("unit = \"{ms}ms\"\n");
        }
    }
    toml
}

fn spans(list: &Value) -> Value {
    list.as_array().map_or(json!([]), |all| {
        all.iter()
            .map(|pair| json!({"from": pair[0], "to": pair[1]}))
            .collect()
    })
}

fn component(name: &str, input: &Value) -> Value {
    json!({"name": name, "in_service": input["in_service"], "down": spans(&input["down"]),
        "unknown": spans(&input["unknown"])})
}

fn loaded(toml: &str) -> Contracts {
    load_contracts(Path::new("contract.toml"), &OneText(toml))
        .unwrap_or_else(|faults| panic!("{faults:#?}\n{toml}"))
}

fn results(contracts: &Contracts, timeline: &Value, month: &str) -> Vec<Value> {
    let timeline = timeline_file::timeline(timeline).expect("a timeline");
    let first = &contracts.list[0];
    let span = period(first.period, &first.zone, month).expect("a period");
    let (contract, judged) =
        evaluate_named(contracts, &Name::new("s").expect("a name"), &timeline, span)
            .expect("judged");
    let whole = answer(contract, span, &judged, &[]).to_json();
    let mut list = whole["results"].as_array().expect("a list").clone();
    for one in &mut list {
        one["period_start"] = whole["period"]["start"].clone();
        one["period_end"] = whole["period"]["end"].clone();
    }
    list
}

fn truncated_of_rounded(found: &str, expected: &str) -> bool {
    // Ours are truncated, theirs are rounded half to even at the same digit: at most one unit
    // apart.
    let digits = |t: &str| t.replace('.', "").parse::<i128>().expect("digits");
    (0..=1).contains(&(digits(expected) - digits(found)))
}

#[test]
fn every_worked_example_of_one_component_holds_in_every_case() {
    let mut cases = 0;
    for example in examples().iter().filter(|e| e["kind"] == "availability") {
        for case in example["cases"].as_array().expect("cases") {
            let mut input = example["input"].clone();
            for (key, value) in case["override"].as_object().expect("an object") {
                input[key] = value.clone();
            }
            let none = json!([]);
            let maintenance = input.get("maintenance").unwrap_or(&none);
            let timeline =
                json!({"components": [component("c", &input)], "maintenance": maintenance});
            let found = &results(
                &loaded(&contract(&input, &["c"], "each")),
                &timeline,
                text(&input["period"]["calendar_month"]),
            )[0];
            let place = format!("{} {}", example["id"], case["name"]);
            let expected = &case["expected"];
            for key in [
                "period_start",
                "period_end",
                "period_ms",
                "maintenance_ms",
                "service_ms",
                "down_ms",
                "unknown_ms",
                "up_ms",
                "availability",
                "lower_bound",
                "upper_bound",
                "budget_ms",
                "verdict",
                "point_meets_target",
            ] {
                assert_eq!(found[key], expected[key], "{place}: {key}\n{found:#}");
            }
            let ms = |key: &str| found[key].as_u64().unwrap_or_else(|| panic!("{key}"));
            let excluded =
                if input["policy"]["maintenance"].as_str().unwrap_or("exclude") == "exclude" {
                    ms("maintenance_ms")
                } else {
                    0
                };
            let all = ms("up_ms")
                + ms("down_ms")
                + ms("unknown_ms")
                + ms("future_ms")
                + ms("outside_ms")
                + excluded;
            assert_eq!(
                all,
                ms("period_ms"),
                "{place}: what is shown adds up to the period"
            );
            for key in [
                "availability_percent",
                "lower_bound_percent",
                "upper_bound_percent",
            ] {
                assert!(
                    truncated_of_rounded(text(&found[key]), text(&expected[key])),
                    "{place}: {key}"
                );
            }
            if let Some(percent) = expected.get("credit_percent") {
                assert_eq!(found["credit"]["percent"], *percent, "{place}");
                assert_eq!(
                    found["credit"]["amount"], expected["credit_amount"],
                    "{place}"
                );
                assert_eq!(found["credit"]["capped"], expected["capped"], "{place}");
            }
            cases += 1;
        }
    }
    assert!(cases >= 40, "{cases}");
}

#[test]
fn components_are_combined_on_the_merged_timeline() {
    for example in examples().iter().filter(|e| e["kind"] == "composite") {
        let input = &example["input"];
        let parts = input["components"].as_array().expect("a list");
        let names: Vec<&str> = parts.iter().map(|c| text(&c["name"])).collect();
        let components = parts.iter().map(|c| component(text(&c["name"]), c));
        let timeline = json!({"components": components.collect::<Vec<_>>()});
        for combine in ["series", "parallel"] {
            let found = &results(
                &loaded(&contract(input, &names, combine)),
                &timeline,
                text(&input["period"]["calendar_month"]),
            )[0];
            let expected = &example["expected"][combine];
            for key in ["down_ms", "unknown_ms", "availability", "verdict"] {
                assert_eq!(
                    found[key], expected[key],
                    "{} {combine} {key}",
                    example["id"]
                );
            }
            let down: Vec<Value> = found["outages"]
                .as_array()
                .expect("outages")
                .iter()
                .map(|o| json!([o["from"], o["to"]]))
                .collect();
            assert_eq!(json!(down), expected["down"]);
        }
    }
}

#[test]
fn each_tenant_is_credited_for_what_it_uses_on_its_own_fee() {
    let mut tenants = 0;
    for example in examples().iter().filter(|e| e["kind"] == "tenants") {
        let input = &example["input"];
        let parts = input["components"].as_array().expect("a list");
        let names: Vec<&str> = parts.iter().map(|c| text(&c["name"])).collect();
        let mut toml = contract(input, &names, text(&input["combine"]));
        for tenant in input["tenants"].as_array().expect("a list") {
            toml += &format!(
                "[[tenant]]\nname = {}\nsla = \"s\"\ncomponents = {}\nfee = {}\n",
                tenant["name"], tenant["uses"], tenant["monthly_fee"]
            );
        }
        let components = parts.iter().map(|c| component(text(&c["name"]), c));
        let timeline = json!({"components": components.collect::<Vec<_>>()});
        let found = results(
            &loaded(&toml),
            &timeline,
            text(&input["period"]["calendar_month"]),
        );
        for (name, expected) in example["expected"].as_object().expect("an object") {
            let one = found
                .iter()
                .find(|r| r["tenant"] == **name)
                .expect("the tenant");
            assert_eq!(one["credit"]["percent"], expected["credit_percent"]);
            assert_eq!(one["credit"]["amount"], expected["credit_amount"]);
            assert_eq!(one["down_ms"], expected["down_ms"]);
            tenants += 1;
        }
    }
    assert!(tenants >= 2);
}

#[test]
fn slices_count_minutes_by_the_wording() {
    let example = examples()
        .into_iter()
        .find(|e| e["kind"] == "slices")
        .expect("an example");
    let probes: Vec<(i64, bool)> = example["input"]["probes"]
        .as_array()
        .expect("probes")
        .iter()
        .map(|p| {
            (
                parse_utc(text(&p["at"])).expect("an instant"),
                p["ok"] == true,
            )
        })
        .collect();
    let from = parse_utc("2026-11-10T00:00:00Z").expect("an instant");
    let list = slices(
        &probes,
        Span::new(from, from + 86_400_000),
        example["input"]["slice_ms"].as_u64().expect("a length"),
    );
    let expected = &example["expected"];
    for (rule, key) in [
        (DownIf::AllFail, "minutes_down_if_all_probes_fail"),
        (DownIf::AnyFail, "minutes_down_if_any_probe_fails"),
        (
            DownIf::ErrorRatioAbove(Exact::new(5.into(), 100.into())),
            "minutes_down_if_error_ratio_over_5_percent",
        ),
    ] {
        assert_eq!(
            down_and_unknown(&list, &rule).0.length() / 60_000,
            expected[key].as_u64().expect("a number"),
            "{key}"
        );
    }
    // The same through a contract.
    let toml = "[sla.s]\nobjective = \"99.9\"\ncomponents = [\"c\"]\nmeasure = { slices = \"1m\", \
        down_if = \"any_fail\" }\n";
    let timeline = json!({"components": [{"name": "c", "probes": example["input"]["probes"]}]});
    let found = &results(&loaded(toml), &timeline, "2026-11")[0];
    assert_eq!(found["down_ms"], 180_000);
    assert_eq!(found["statistics"]["failures"], expected["failed_probes"]);
    assert_eq!(
        found["unknown_ms"],
        json!(2_592_000_000_u64 - 240_000),
        "minutes without a probe are unknown"
    );
}

#[test]
fn confidence_intervals_and_probe_counts_agree_with_the_worked_ones() {
    let example = examples()
        .into_iter()
        .find(|e| e["kind"] == "statistics")
        .expect("an example");
    let near = |found: f64, expected: &Value, what: &str| {
        let expected: f64 = text(expected).parse().expect("a number");
        assert!(
            (found - expected).abs() <= 1e-7,
            "{what}: {found} is not {expected}"
        );
    };
    for one in example["expected"]["intervals"].as_array().expect("a list") {
        let (failures, probes) = (
            one["failures"].as_u64().expect("a count"),
            one["probes"].as_u64().expect("a count"),
        );
        let (low, high) = wilson_95(failures, probes);
        near(low, &one["wilson_95_percent"][0], "wilson, lower");
        near(high, &one["wilson_95_percent"][1], "wilson, upper");
        let (low, high) = clopper_pearson_95(failures, probes);
        near(low, &one["clopper_pearson_95_percent"][0], "exact, lower");
        near(high, &one["clopper_pearson_95_percent"][1], "exact, upper");
        near(
            one_sided_95_lower(failures, probes),
            &one["one_sided_95_lower_percent"],
            "one-sided",
        );
    }
    let allowed = 1e-5;
    assert_eq!(
        json!(probes_needed(allowed)),
        example["expected"]["probes_needed_with_zero_failures_one_sided_95"]
    );
    for (interval, expected) in
        example["expected"]["max_failures_that_still_prove_target_one_sided_95_in_30_days"]
            .as_object()
            .expect("an object")
    {
        let seconds: u64 = interval[1..interval.len() - 1].parse().expect("seconds");
        let found = most_failures(allowed, 30 * 86_400 / seconds).map_or(-1, |n| n as i64);
        assert_eq!(json!(found), *expected, "{interval}");
    }
}
