//! The 92 worked sequences of the meaning of time, outage and bound: after every step all counters
//! must agree, and so must the timeline that `probity export timeline` makes of each.

use probity::judgement::rules::{Cadence, PPM, Rules};
use probity::judgement::state::{Change, Judge, ProbeResult, ResultKind};
use probity::words::{Cause, Ms, Reason};
use serde_json::{Value, json};

fn ms(value: &Value) -> Ms {
    value.as_u64().expect("an integer of milliseconds")
}

fn rules(parameters: &Value) -> Rules {
    Rules::new(Cadence {
        interval: ms(&parameters["interval"]),
        jitter_ppm: (parameters["jitter"].as_f64().expect("a share") * PPM as f64).round() as u64,
        late_after: ms(&parameters["late_after"]),
        timeout: ms(&parameters["timeout"]),
        retry_interval: ms(&parameters["retry_interval"]),
        down_after: ms(&parameters["down_after"]) as u32,
        up_after: ms(&parameters["up_after"]) as u32,
    })
}

/// Events come before observations of the same instant.
fn merged(vector: &Value) -> Vec<&Value> {
    let list = |key: &str| vector[key].as_array().expect("a list").iter();
    let mut items: Vec<(Ms, u8, &Value)> = list("events").map(|e| (ms(&e["at"]), 0, e)).collect();
    items.extend(list("observations").map(|o| (ms(&o["start"]), 1, o)));
    items.sort_by_key(|(at, rank, _)| (*at, *rank));
    items.into_iter().map(|(_, _, item)| item).collect()
}

fn step(judge: &mut Judge, rules: &Rules, item: &Value, changes: &mut Vec<Change>) {
    if let Some(event) = item["event"].as_str() {
        let at = ms(&item["at"]);
        match event {
            "start" => judge.start(rules, at, changes),
            "stop" => judge.stop(rules, at, changes),
            "tick" => judge.tick(rules, at, changes),
            "busy" => judge.busy(rules, at, changes),
            other => panic!("unknown event {other}"),
        }
        return;
    }
    let verdict = match item["result"].as_str() {
        Some("success") => ResultKind::Success,
        Some("failure") => ResultKind::Failure(Cause::ConnectRefused),
        Some("unmeasured") => ResultKind::Unmeasured(
            item["reason"]
                .as_str()
                .and_then(Reason::parse)
                .unwrap_or(Reason::Late),
        ),
        other => panic!("unknown result {other:?}"),
    };
    let result = ProbeResult {
        start: ms(&item["start"]),
        end: ms(&item["end"]),
        kind: verdict,
        slot: item["kind"] == "slot",
    };
    judge.observe(rules, result, changes);
}

fn counters(judge: &Judge, at: &Value) -> Value {
    let (ledger, slots, transitions) = (judge.ledger(), judge.slots(), judge.transitions());
    json!({
        "at": at,
        "up_ms": ledger.up, "down_ms": ledger.down, "unknown_ms": ledger.unknown,
        "down_lower_ms": judge.down_lower(), "down_upper_ms": ledger.down_upper,
        "watermark": ledger.watermark,
        "transitions": {"up": transitions.up, "down": transitions.down,
            "unknown": transitions.unknown},
        "slots": {"success": slots.success, "failure": slots.failure,
            "unconfirmed": slots.unconfirmed,
                  "unmeasured": slots.unmeasured, "missed": slots.missed},
    })
}

fn outages(judge: &Judge, changes: &[Change]) -> Value {
    let mut list: Vec<Value> = Vec::new();
    for change in changes {
        match *change {
            Change::Down {
                from,
                from_earliest,
                from_latest,
                ..
            } => list.push(json!({
                "from": from, "to": null, "from_earliest": from_earliest,
                "from_latest": from_latest,
                "to_earliest": null, "to_latest": null})),
            Change::Up {
                to,
                to_earliest,
                to_latest,
                lower,
                down,
                ..
            } => {
                let open = list.last_mut().expect("an outage is open");
                open["to"] = json!(to);
                open["to_earliest"] = json!(to_earliest);
                open["to_latest"] = json!(to_latest);
                open["lower_ms"] = json!(lower);
                open["down_ms"] = json!(down);
                open["upper_ms"] = json!(to_latest - ms(&open["from_earliest"]));
            }
            _ => {}
        }
    }
    if judge.outage().is_some() {
        let (down, lower) = judge.open_outage_sums();
        let open = list.last_mut().expect("an outage is open");
        open["down_ms"] = json!(down);
        open["lower_ms"] = json!(lower);
        open["upper_ms"] = json!(judge.ledger().watermark - ms(&open["from_earliest"]));
    }
    Value::Array(list)
}

fn unknown(judge: &Judge, changes: &[Change]) -> Value {
    let mut list: Vec<Value> = changes
        .iter()
        .filter_map(|c| match c {
            Change::UnknownUntil {
                from, to, reason, ..
            } if to > from => Some(json!({"from": from, "to": to, "reason": reason.as_str()})),
            _ => None,
        })
        .collect();
    if let Some((from, reason)) = judge
        .open_unknown()
        .filter(|(from, _)| judge.ledger().watermark > *from)
    {
        list.push(json!({"from": from, "to": judge.ledger().watermark, "reason": reason.as_str()}));
    }
    Value::Array(list)
}

#[test]
fn every_worked_sequence_agrees_after_every_step() {
    let file: Value = serde_json::from_str(include_str!("judge-vectors.json")).expect("valid JSON");
    let vectors = file["vectors"].as_array().expect("a list");
    assert_eq!(vectors.len(), 92);
    let mut wrong = Vec::new();
    for vector in vectors {
        let rules = rules(&vector["parameters"]);
        let mut judge = Judge::default();
        let mut changes = Vec::new();
        let expected = &vector["expected"];
        let mut differs = None;
        for (k, item) in merged(vector).into_iter().enumerate() {
            step(&mut judge, &rules, item, &mut changes);
            let want = &expected["after"][k];
            let got = counters(&judge, &want["at"]);
            if differs.is_none() && got != *want {
                differs = Some(format!("after {item}\n  want {want}\n  got  {got}"));
            }
        }
        for (what, got) in [
            ("outages", outages(&judge, &changes)),
            ("unknown", unknown(&judge, &changes)),
        ] {
            if differs.is_none() && got != expected[what] {
                differs = Some(format!("{what}\n  want {}\n  got  {got}", expected[what]));
            }
        }
        assert_eq!(judge.first_start(), expected["first_start"].as_u64());
        wrong.extend(differs.map(|d| format!("{}: {d}", vector["name"])));
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ\n{}",
        wrong.len(),
        vectors.len(),
        wrong.join("\n")
    );
}

/// A set of spans without overlaps, in order.
fn united(mut spans: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    spans.retain(|(from, to)| from < to);
    spans.sort_unstable();
    let mut whole: Vec<(i64, i64)> = Vec::new();
    for (from, to) in spans {
        match whole.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => whole.push((from, to)),
        }
    }
    whole
}

fn length(spans: &[(i64, i64)]) -> i64 {
    spans.iter().map(|(from, to)| to - from).sum()
}

fn minus(spans: &[(i64, i64)], holes: &[(i64, i64)]) -> i64 {
    let both: Vec<(i64, i64)> = spans
        .iter()
        .flat_map(|a| holes.iter().map(move |b| (a.0.max(b.0), a.1.min(b.1))))
        .collect();
    length(spans) - length(&united(both))
}

/// The timeline that the command makes of a sequence.
fn exported(vector: &Value, directory: &std::path::Path) -> Value {
    let mut items: Vec<Value> = vector["events"].as_array().expect("a list").clone();
    items.extend(
        vector["observations"]
            .as_array()
            .expect("a list")
            .iter()
            .cloned(),
    );
    let path = directory.join("probes.json");
    std::fs::write(&path, Value::Array(items).to_string()).expect("written");
    let p = &vector["parameters"];
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_probity"));
    command.args(["export", "timeline", "--probes"]).arg(&path);
    for (flag, key) in [
        ("--interval", "interval"),
        ("--late-after", "late_after"),
        ("--timeout", "timeout"),
        ("--retry-interval", "retry_interval"),
    ] {
        command.args([flag, &format!("{}ms", p[key])]);
    }
    for (flag, key) in [
        ("--jitter", "jitter"),
        ("--down-after", "down_after"),
        ("--up-after", "up_after"),
    ] {
        command.args([flag, &p[key].to_string()]);
    }
    let out = command.output().expect("it runs");
    assert!(
        out.status.success(),
        "{}: {}",
        vector["name"],
        String::from_utf8_lossy(&out.stderr)
    );
    serde_json::from_slice(&out.stdout).expect("JSON")
}

fn at(value: &Value) -> Option<i64> {
    value
        .as_str()
        .map(|text| probity::words::parse_utc(text).expect("an instant"))
}

/// The outages of an exported component as the sequences write them: stretches of one number
/// together.
fn told_outages(component: &Value, watermark: i64) -> Vec<Value> {
    let mut list: Vec<(u64, Vec<&Value>)> = Vec::new();
    for stretch in component["down"].as_array().expect("a list") {
        let number = stretch["outage"].as_u64().expect("a number");
        match list.iter_mut().find(|(n, _)| *n == number) {
            Some((_, own)) => own.push(stretch),
            None => list.push((number, vec![stretch])),
        }
    }
    let one = |own: &Vec<&Value>| {
        let (first, last) = (own[0], own[own.len() - 1]);
        let ends = |s: &Value| {
            (
                at(&s["from"]).expect("a begin"),
                at(&s["to"]).unwrap_or(watermark),
            )
        };
        let sure = |s: &Value| {
            (
                at(&s["from_latest"]).expect("an instant").max(ends(s).0),
                at(&s["to_earliest"]).unwrap_or(watermark).min(ends(s).1),
            )
        };
        let earliest = at(&first["from_earliest"]).expect("an instant");
        json!({
            "from": at(&first["from"]), "to": at(&last["to"]), "from_earliest": earliest,
            "from_latest": at(&first["from_latest"]),
            "to_earliest": at(&last["to_earliest"]), "to_latest": at(&last["to_latest"]),
            "down_ms": own.iter().map(|s| ends(s).1 - ends(s).0).sum::<i64>(),
            "lower_ms": own.iter().map(|s| sure(s)).map(|(a, b)| (b - a).max(0)).sum::<i64>(),
            "upper_ms": at(&last["to_latest"]).unwrap_or(watermark) - earliest,
        })
    };
    list.iter().map(|(_, own)| one(own)).collect()
}

#[test]
fn every_worked_sequence_is_exact_in_the_timeline_that_is_exported() {
    let file: Value = serde_json::from_str(include_str!("judge-vectors.json")).expect("valid JSON");
    let directory = tempfile::tempdir().expect("a directory");
    let mut wrong = Vec::new();
    for vector in file["vectors"].as_array().expect("a list") {
        let (timeline, expected) = (exported(vector, directory.path()), &vector["expected"]);
        assert_eq!(timeline["schema"], "probity-timeline/2");
        let component = &timeline["components"][0];
        let watermark = at(&component["watermark"]).expect("a watermark");
        let first = at(&component["first_start"]).expect("a first start");
        let spans = |list: &Value, a: &str, b: &str| -> Vec<(i64, i64)> {
            list.as_array()
                .expect("a list")
                .iter()
                .map(|s| {
                    (
                        at(&s[a]).expect("an instant"),
                        at(&s[b]).unwrap_or(watermark),
                    )
                })
                .collect()
        };
        let unknown = spans(&component["unknown"], "from", "to");
        let unknown_told: Vec<Value> = component["unknown"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|u| json!({"from": at(&u["from"]), "to": at(&u["to"]), "reason": u["reason"]}))
            .collect();
        let mut upper = spans(&component["down"], "from_earliest", "to_latest");
        upper.extend(spans(&component["down"], "from", "to"));
        upper.extend(spans(&component["possible_down"], "from", "to"));
        let upper: Vec<(i64, i64)> = united(upper)
            .into_iter()
            .map(|(a, b)| (a.max(first), b.min(watermark)))
            .collect();
        let told = json!({
            "outages": told_outages(component, watermark), "unknown": unknown_told,
            "up_ms": component["up_ms"], "down_ms": component["down_ms"],
            "unknown_ms": component["unknown_ms"], "down_lower_ms": component["down_lower_ms"],
            "down_upper_ms": component["down_upper_ms"],
            "first_start": first, "watermark": watermark,
        });
        for (key, value) in told.as_object().expect("an object") {
            if *value != expected[key] {
                wrong.push(format!(
                    "{}: {key}\n  want {}\n  got  {value}",
                    vector["name"], expected[key]
                ));
            }
        }
        // Who computes from the spans comes to the sums.
        assert_eq!(
            json!(minus(&united(upper), &united(unknown))),
            expected["down_upper_ms"],
            "{}",
            vector["name"]
        );
        assert!(
            component["down"]
                .as_array()
                .expect("a list")
                .iter()
                .all(|s| s["outage"].is_u64()),
            "{}",
            vector["name"]
        );
    }
    assert!(
        wrong.is_empty(),
        "{} differ\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
