//! The 92 worked sequences of the meaning of time, outage and bound: after every step all counters must agree.

use probity::judgement::rules::{Cadence, PPM, Rules};
use probity::judgement::state::{Change, Judge, ProbeResult, Verdict};
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
        Some("success") => Verdict::Success,
        Some("failure") => Verdict::Failure(Cause::ConnectRefused),
        Some("unmeasured") => Verdict::Unmeasured(item["reason"].as_str().and_then(Reason::parse).unwrap_or(Reason::Late)),
        other => panic!("unknown result {other:?}"),
    };
    let result = ProbeResult { start: ms(&item["start"]), end: ms(&item["end"]), verdict, slot: item["kind"] == "slot" };
    judge.observe(rules, result, changes);
}

fn counters(judge: &Judge, at: &Value) -> Value {
    let (ledger, slots, transitions) = (judge.ledger(), judge.slots(), judge.transitions());
    json!({
        "at": at,
        "up_ms": ledger.up, "down_ms": ledger.down, "unknown_ms": ledger.unknown,
        "down_lower_ms": judge.down_lower(), "down_upper_ms": ledger.down_upper, "watermark": ledger.watermark,
        "transitions": {"up": transitions.up, "down": transitions.down, "unknown": transitions.unknown},
        "slots": {"success": slots.success, "failure": slots.failure, "unconfirmed": slots.unconfirmed,
                  "unmeasured": slots.unmeasured, "missed": slots.missed},
    })
}

fn outages(judge: &Judge, changes: &[Change]) -> Value {
    let mut list: Vec<Value> = Vec::new();
    for change in changes {
        match *change {
            Change::Down { from, from_earliest, from_latest, .. } => list.push(json!({
                "from": from, "to": null, "from_earliest": from_earliest, "from_latest": from_latest,
                "to_earliest": null, "to_latest": null})),
            Change::Up { to, to_earliest, to_latest, lower, down, .. } => {
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
            Change::UnknownUntil { from, to, reason, .. } if to > from => Some(json!({"from": from, "to": to, "reason": reason.as_str()})),
            _ => None,
        })
        .collect();
    if let Some((from, reason)) = judge.open_unknown().filter(|(from, _)| judge.ledger().watermark > *from) {
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
        for (what, got) in [("outages", outages(&judge, &changes)), ("unknown", unknown(&judge, &changes))] {
            if differs.is_none() && got != expected[what] {
                differs = Some(format!("{what}\n  want {}\n  got  {got}", expected[what]));
            }
        }
        assert_eq!(judge.first_start(), expected["first_start"].as_u64());
        wrong.extend(differs.map(|d| format!("{}: {d}", vector["name"])));
    }
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), vectors.len(), wrong.join("\n"));
}
