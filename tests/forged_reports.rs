//! Reports whose figures somebody with the daemon's key has changed, so that all of them agree with
//! each other. Each is refused, and what is said names what contradicts what.
//!
//! `killed`: the daemon was killed and ran again 82 s later; the period of the report ended in
//! between. `open`: an outage goes on at the end of the report.

use std::path::Path;

use probity::history::chain::{GENESIS, canonical, hex, link, sha256};
use probity::history::checkpoint::{Signer, commitment};
use probity::report::check::check;
use serde_json::{Map, Value, json};

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/forged")
        .join(name);
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn report(name: &str) -> Value {
    serde_json::from_str(&text(name)).expect("JSON")
}

fn said(report: &Value, journal: &str) -> Result<(), String> {
    let found = check(report, journal, None);
    found
        .map(|_| ())
        .map_err(|d| format!("{}: {}", d.place, d.why))
}

/// The events of an export; `more` follow them, and `change` is made to each.
fn events(name: &str, more: &[Value], change: &dyn Fn(&mut Value)) -> Vec<Value> {
    let text = text(name);
    let told = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let mut all: Vec<Value> = told.chain(more.iter().cloned()).collect();
    all.iter_mut().for_each(change);
    all
}

/// A chain of events as it is exported, and its head after `last` of them.
fn chained(events: &[Value], last: u64) -> (String, String) {
    let (mut lines, mut head, mut at_last) = (String::new(), GENESIS, String::new());
    for (event, seq) in events.iter().zip(1_u64..) {
        let mut event: Map<String, Value> = event.as_object().expect("an object").clone();
        event.remove("hash");
        event.insert("seq".into(), seq.into());
        event.insert("v".into(), 1.into());
        head = link(&head, &canonical(&event));
        if seq == last {
            at_last = hex(&head);
        }
        event.insert("hash".into(), hex(&head).into());
        lines += &format!("{}\n", Value::Object(event));
    }
    (lines, at_last)
}

/// A report with a change, signed again, held against a journal in which more events follow.
fn with(
    (name, more): (&str, &[Value]),
    of_events: &dyn Fn(&mut Value),
    change: &dyn Fn(&mut Value),
) -> Result<(), String> {
    let mut changed = report(&format!("{name}.json"));
    let last = changed["events"]["last"].as_u64().expect("a number");
    let all = events(&format!("{name}.jsonl"), more, of_events);
    let (journal, head) = chained(&all, last);
    changed["events"]["checkpoint"] = Value::Null;
    changed["events"]["head"] = head.into();
    change(&mut changed);
    let signer = Signer::from_hex(&"5a".repeat(32)).expect("a key");
    let signed = signer.signed(changed.as_object().expect("an object").clone());
    said(&signed, &journal)
}

/// An event of the endpoint that is later than the report.
fn later(kind: &str, at: u64, fields: Value) -> Value {
    let mut event = json!({"kind": kind, "at_ms": at, "endpoint": "b",
        "recorded": "2026-11-30T22:00:00.000Z"});
    let fields = fields.as_object().expect("an object").clone();
    event.as_object_mut().expect("an object").extend(fields);
    event
}

fn unknown(from: u64) -> Value {
    later(
        "unknown",
        from + 90_000,
        json!({"from_ms": from, "from": ""}),
    )
}

fn proven(from: u64, to: u64) -> Value {
    later("proven", to + 1000, json!({"from_ms": from, "to_ms": to}))
}

fn up(to: u64) -> Value {
    let fields = json!({"from_ms": OUTAGE, "to": "", "to_ms": to, "to_earliest_ms": to,
        "to_latest_ms": to, "lower_ms": 0, "down_ms": 0});
    later("up", to + 1000, fields)
}

fn nothing(_: &mut Value) {}

fn refused(found: Result<(), String>, begin: &str) {
    let why = found.expect_err(begin);
    assert!(why.starts_with(begin), "{why}\ninstead of {begin}");
}

/// Where the record of `killed` ends, and the last mark of the daemon before it was killed.
const KILLED: u64 = 1_796_073_171_709;
const LAST_MARK: u64 = 1_796_073_172_105;
/// Of `open`: the start of the outage, the end of its first failure, the start of its last.
const OUTAGE: u64 = 1_796_073_703_902;
const FIRST: u64 = 1_796_073_703_904;
const LAST: u64 = 1_796_073_743_111;

#[test]
fn true_reports_follow() {
    for name in ["killed", "open"] {
        let journal = text(&format!("{name}.jsonl"));
        let found = said(&report(&format!("{name}.json")), &journal);
        assert_eq!(found, Ok(()), "{name}");
        assert_eq!(with((name, &[]), &nothing, &nothing), Ok(()), "{name}");
    }
}

#[test]
fn time_in_which_the_daemon_did_not_run_is_not_settled_by_a_report() {
    refused(
        said(&report("killed-forged.json"), &text("killed.jsonl")),
        "extents[0].watermark_ms: event 11 says that nothing was recorded after 1796073172105 \
            until the daemon started again, and the report has the record of b settled up to \
            1796073240709",
    );
    let since = report("killed-checkpoint.json");
    let found = check(
        &report("killed-forged.json"),
        &text("killed.jsonl"),
        Some(&since),
    );
    assert!(found.is_err_and(|d| d.place == "extents[0].watermark_ms"));
    // By a moment more than what was recorded last.
    let raised = |to: u64| move |r: &mut Value| r["extents"][0]["watermark_ms"] = to.into();
    refused(
        with(("killed", &[]), &nothing, &raised(LAST_MARK + 1)),
        "extents[0].watermark_ms: event 11 says",
    );
    // A history that does not tell of the mark tells what is unknown.
    let unmarked = |e: &mut Value| drop(e.as_object_mut().map(|e| e.remove("last_mark_ms")));
    refused(
        with(("killed", &[]), &unmarked, &raised(KILLED + 1001)),
        "extents[0].watermark_ms: event 12 (unknown) has a change of b at 1796073172709, and the \
            report has its record settled up to 1796073172710",
    );
}

#[test]
fn the_run_of_failures_that_is_open_is_the_one_that_events_began() {
    let by_events = "extents[0].open_run: by the events the failures of b in a row go from \
        1796073703904 to the end of its record at 1796073743111, the report says ";
    refused(
        said(&report("open-forged.json"), &text("open.jsonl")),
        &format!("{by_events}[1796073703904,1796073703904]"),
    );
    for run in [
        json!(null),
        json!([FIRST - 1, LAST]),
        json!([FIRST + 1, LAST]),
        json!([FIRST, LAST - 1]),
        json!([FIRST, LAST + 1]),
    ] {
        let change = |r: &mut Value| r["extents"][0]["open_run"] = run.clone();
        refused(
            with(("open", &[]), &nothing, &change),
            &format!("{by_events}{run}"),
        );
    }
    let never_down = |e: &mut Value| {
        if e["kind"] == "down" {
            e["kind"] = "first_up".into();
            e["at"] = "".into();
        }
    };
    refused(
        with(("open", &[]), &never_down, &nothing),
        "extents[0].open_run: by the events b is not down at the end of its record",
    );
}

/// Successes that were too few to end the outage may have ended a run, and nothing told of it.
#[test]
fn a_run_that_the_report_alone_tells_of_is_held_against_what_is_proven_later() {
    let two = |e: &mut Value| {
        if e["kind"] == "endpoint_added" {
            e["up_after"] = 2.into();
        }
    };
    // Those of the report follow from the events.
    let cadence = |r: &mut Value| {
        r["endpoints"][0]["up_after"] = 2.into();
        r["endpoints"][0]["cadences"][0]["up_after"] = 2.into();
    };
    let ends = [proven(FIRST, LAST + 2000), up(LAST + 2500)];
    assert_eq!(with(("open", &ends), &two, &cadence), Ok(()));
    let shorter = |r: &mut Value| {
        cadence(r);
        r["extents"][0]["open_run"] = json!([LAST - 5, LAST]);
    };
    refused(
        with(("open", &ends), &two, &shorter),
        "extents[0].open_run: by event 10 b is down for certain from 1796073703904 to \
            1796073745111, the report says [1796073743106,1796073743111]",
    );
    let gone = |r: &mut Value| {
        cadence(r);
        r["extents"][0]["open_run"] = Value::Null;
    };
    refused(
        with(("open", &ends), &two, &gone),
        "extents[0].open_run: by event 10 b is down for certain from 1796073703904",
    );
    let ends = [proven(FIRST, LAST - 100), up(LAST + 2500)];
    refused(
        with(("open", &ends), &two, &cadence),
        "extents[0].open_run: by event 10 b is down for certain from 1796073703904 to \
            1796073743011, the report says [1796073703904,1796073743111]",
    );
    refused(
        with(("open", &[up(LAST + 2500)]), &two, &cadence),
        "extents[0].open_run: event 10 (up) ends the failures of b in a row, and no event has them \
            proven from 1796073703904 on, as the report says",
    );
}

/// Whether the extents of a report are refused, whatever its figures are.
fn of_extents(found: Result<(), String>) -> Result<(), String> {
    found.or_else(|why| match why.starts_with("extents") {
        true => Err(why),
        false => Ok(()),
    })
}

/// A report on some events; those of `open` before them are pruned.
fn pruned(
    carries: &dyn Fn(&mut Value),
    kept: &[Value],
    change: &dyn Fn(&mut Value),
) -> Result<(), String> {
    let (before, last) = (events("open.jsonl", &[], &nothing), 9);
    let all: Vec<Value> = before.iter().chain(kept).cloned().collect();
    let total = all.len() as u64;
    let (journal, head) = chained(&all, total);
    let (_, cut) = chained(&before, last);
    let mut carried = json!({"ids": {"b": 1}, "names": {"1": ["b"]}, "in_service": {"1": true},
        "added": {"1": FIRST - 4}, "components": {"1": "b"}, "definitions": {}, "told": [],
        "cadences": {}, "outages": [[9, 1, "timeout", [OUTAGE, OUTAGE, OUTAGE, OUTAGE]]],
        "seals": [], "clock": [], "window": [], "correction": [], "recording": [],
        "restores": {}, "keys": []});
    carries(&mut carried);
    let signer = Signer::from_hex(&"5a".repeat(32)).expect("a key");
    let signed = |value: &Value| signer.signed(value.as_object().expect("an object").clone());
    let hash = hex(&sha256(
        canonical(carried.as_object().expect("an object")).as_bytes(),
    ));
    let stub = json!({"schema": "probity-stub/1", "chain": "", "first": 1, "last": last,
        "head": cut, "until": "2026-11-30T21:21:44.105Z", "until_ms": FIRST + 201,
        "checkpoints": [], "carried_sha256": hash, "time": "2026-11-30T21:22:00.000Z"});
    let first = json!({"carried": carried, "stub": signed(&stub)});
    let lines: Vec<&str> = journal.lines().skip(last as usize).collect();
    let mut own = report("open.json");
    own["events"] = json!({"checkpoint": null, "first": last + 1, "head": head, "last": total});
    change(&mut own);
    said(&signed(&own), &format!("{first}\n{}\n", lines.join("\n")))
}

fn run_from(from: u64, to: u64) -> impl Fn(&mut Value) {
    move |r: &mut Value| r["extents"][0]["open_run"] = json!([from, to])
}

#[test]
fn an_outage_that_was_open_when_events_were_pruned_goes_on_after_a_restart() {
    let known = later(
        "known",
        LAST - 100,
        json!({"from_ms": FIRST + 1000, "from": "", "to_ms": LAST - 200, "to": "",
            "reason": "not_running"}),
    );
    let kept = [unknown(FIRST + 1000), known];
    let after = |run: Value| {
        let change = |r: &mut Value| r["extents"][0]["open_run"] = run.clone();
        of_extents(pruned(&nothing, &kept, &change))
    };
    assert_eq!(after(json!([LAST - 199, LAST])), Ok(()));
    for run in [[LAST - 201, LAST], [LAST - 199, LAST - 1]] {
        refused(
            after(json!(run)),
            "extents[0].open_run: by the events the failures of b in a row go from an instant \
                after 1796073742911 to the end of its record at 1796073743111",
        );
    }
    // Nothing tells where a run began that is older than the cut.
    let stopped = json!({"kind": "config", "at_ms": LAST - 500, "sha256": "",
        "recorded": "2026-11-30T21:22:22.611Z"});
    let before = |carries: &dyn Fn(&mut Value), to: u64| {
        of_extents(pruned(
            carries,
            std::slice::from_ref(&stopped),
            &run_from(FIRST, to),
        ))
    };
    assert_eq!(before(&nothing, LAST), Ok(()));
    refused(
        before(&nothing, LAST - 1),
        "extents[0].open_run: failures in a row of b that are open reach to the end of its \
            record at 1796073743111",
    );
    refused(
        before(&|carried| carried["outages"] = json!([]), LAST),
        "extents[0].open_run: by the events b is not down at the end of its record",
    );
}

#[test]
fn an_outage_that_may_have_begun_in_lost_events_goes_on_after_unknown_time() {
    let mut gap = later(
        "history_gap",
        LAST - 20_000,
        json!({"dropped": 7, "why": ""}),
    );
    gap.as_object_mut().expect("an object").remove("endpoint");
    let known = later(
        "known",
        LAST - 100,
        json!({"from_ms": LAST - 10_000, "from": "", "to_ms": LAST - 200, "to": "",
            "reason": "not_running"}),
    );
    let all = [up(FIRST + 1000), gap, unknown(LAST - 10_000), known];
    let told = |run: Value| {
        let change = |r: &mut Value| r["extents"][0]["open_run"] = run.clone();
        of_extents(in_all(&all, &change))
    };
    for run in [json!([LAST - 199, LAST]), Value::Null] {
        assert_eq!(told(run), Ok(()));
    }
}

#[test]
fn a_run_in_which_more_successes_were_asked_for_may_begin_later() {
    let cadence = |up_after: u32| {
        later(
            "endpoint_cadence",
            LAST - 500,
            json!({"interval_ms": 1000, "jitter_ppm": 0, "late_after_ms": 500, "timeout_ms": 500,
                "retry_interval_ms": 200, "down_after": 2, "up_after": up_after}),
        )
    };
    let later = run_from(LAST - 5, LAST);
    assert_eq!(of_extents(in_all(&[cadence(2)], &later)), Ok(()));
    refused(
        of_extents(in_all(&[cadence(1)], &later)),
        "extents[0].open_run: by the events the failures of b in a row go from 1796073703904",
    );
}

/// A report that rests on more events than it did.
fn in_all(more: &[Value], change: &dyn Fn(&mut Value)) -> Result<(), String> {
    let all = events("open.jsonl", more, &nothing);
    let total = all.len() as u64;
    let (journal, head) = chained(&all, total);
    let mut own = report("open.json");
    own["events"] = json!({"checkpoint": null, "first": 1, "head": head, "last": total});
    change(&mut own);
    let signer = Signer::from_hex(&"5a".repeat(32)).expect("a key");
    said(
        &signer.signed(own.as_object().expect("an object").clone()),
        &journal,
    )
}

#[test]
fn what_is_recorded_later_tells_of_no_time_that_was_settled() {
    let at = |at: u64| {
        json!({"from_ms": at, "from": "", "to_ms": at, "to": "", "lower_ms": 0,
        "down_ms": 0, "why": "", "reason": "late", "cause": "timeout", "from_earliest_ms": at,
        "from_latest_ms": at, "confirmed_at_ms": at, "to_earliest_ms": at, "to_latest_ms": at})
    };
    for kind in [
        "unknown",
        "known",
        "down",
        "up",
        "outage_left",
        "outage_lost",
        "proven",
        "out_of_service",
    ] {
        // Without what the history has after the kill.
        let told = |instant: u64| later(kind, KILLED + 5000, at(instant));
        let cut = |more: Value| {
            let kept: Vec<Value> = events("killed.jsonl", &[], &nothing)[..10].to_vec();
            let all: Vec<Value> = kept.into_iter().chain([more]).collect();
            let (journal, head) = chained(&all, 10);
            let mut own = report("killed.json");
            own["events"]["checkpoint"] = Value::Null;
            own["events"]["head"] = head.into();
            own["issued_at"] = "2026-11-30T21:12:54.000Z".into();
            own["provisional"] = true.into();
            let signer = Signer::from_hex(&"5a".repeat(32)).expect("a key");
            said(
                &signer.signed(own.as_object().expect("an object").clone()),
                &journal,
            )
        };
        let place = if kind == "proven" {
            "extents[0].open_run: by event 11 b is down for certain from 1796073171708".to_owned()
        } else {
            format!("extents[0].watermark_ms: event 11 ({kind}) has a change of b at 1796073171708")
        };
        refused(cut(told(KILLED - 1)), &place);
        let found = cut(told(KILLED));
        let is_held = found.as_ref().is_err_and(|why| why.starts_with("extents"));
        assert!(!is_held, "{kind}: {found:?}");
    }
}

#[test]
fn later_events_may_tell_of_earlier_time_where_the_history_was_replaced_or_had_a_hole() {
    let restored = json!({"kind": "restored", "at_ms": LAST, "by": "", "old_chain": "",
        "new_chain": "", "old_seq": 9, "old_head": "", "backup_until": null,
        "recorded": "2026-11-30T22:00:00.000Z"});
    assert_eq!(
        with(
            ("open", &[restored, unknown(FIRST + 9)]),
            &nothing,
            &nothing
        ),
        Ok(())
    );
    let gap = |counted: Value| {
        let mut gap = later(
            "history_gap",
            LAST + 90_000,
            json!({"dropped": 7, "why": ""}),
        );
        gap["unknown_in_counters"] = counted;
        gap.as_object_mut().expect("an object").remove("endpoint");
        gap
    };
    let back = [gap(Value::Null), unknown(FIRST + 9)];
    assert_eq!(with(("open", &back), &nothing, &nothing), Ok(()));
    let back = [gap(true.into()), unknown(FIRST + 9)];
    refused(
        with(("open", &back), &nothing, &nothing),
        "extents[0].watermark_ms: event 11 (unknown) has a change of b",
    );
}

#[test]
fn an_endpoint_that_is_renamed_later_is_still_the_same() {
    let mut renamed = later("endpoint_renamed", LAST + 1000, json!({"from": "b"}));
    renamed["endpoint"] = "c".into();
    let of_c = |mut e: Value| {
        e["endpoint"] = "c".into();
        e
    };
    let ends = [
        renamed.clone(),
        of_c(proven(FIRST, LAST + 2000)),
        of_c(up(LAST + 2500)),
    ];
    assert_eq!(with(("open", &ends), &nothing, &nothing), Ok(()));
    let back = [renamed.clone(), of_c(up(LAST - 1))];
    refused(
        with(("open", &back), &nothing, &nothing),
        "extents[0].watermark_ms: event 11 (up) has a change of b at 1796073743110",
    );
    // Another endpoint that has the name now is another.
    let other = [renamed, up(LAST - 1)];
    assert_eq!(with(("open", &other), &nothing, &nothing), Ok(()));
}

#[test]
fn the_end_of_a_run_that_the_report_alone_tells_of_is_found_under_a_later_name() {
    let two = |e: &mut Value| {
        if e["kind"] == "endpoint_added" {
            e["up_after"] = 2.into();
        }
    };
    let mut renamed = later("endpoint_renamed", LAST + 1000, json!({"from": "b"}));
    let mut ends = [proven(FIRST, LAST + 2000), up(LAST + 2500)];
    for event in ends.iter_mut().chain([&mut renamed]) {
        event["endpoint"] = "c".into();
    }
    let [proven_of_c, up_of_c] = ends;
    // Another endpoint that has the name now tells nothing of this one.
    let other = up(LAST + 2500);
    for (more, is_told) in [
        (vec![renamed.clone(), proven_of_c, up_of_c], true),
        (vec![renamed, other], false),
    ] {
        let all = events("open.jsonl", &more, &two);
        let (journal, head) = chained(&all, 9);
        let mut own = report("open.json");
        own["endpoints"][0]["up_after"] = 2.into();
        own["endpoints"][0]["cadences"][0]["up_after"] = 2.into();
        own["events"]["checkpoint"] = Value::Null;
        own["events"]["head"] = head.into();
        let signer = Signer::from_hex(&"5a".repeat(32)).expect("a key");
        let signed = signer.signed(own.as_object().expect("an object").clone());
        let found = check(&signed, &journal, None).expect("it follows");
        assert_eq!(found.open_runs, is_told);
    }
}

#[test]
fn a_record_does_not_grow_while_a_daemon_is_silent_or_was_stopped() {
    let hours = |n: u64| {
        move |r: &mut Value| {
            let until = LAST + n * 3_600_000;
            r["extents"][0]["watermark_ms"] = until.into();
            r["extents"][0]["open_run"] = json!([FIRST, until]);
            r["issued_at"] = "2026-12-01T21:22:23.000Z".into();
        }
    };
    refused(
        with(("open", &[]), &nothing, &hours(4)),
        "extents[0].watermark_ms: a daemon that runs records something every hour, the events of \
            the report end at 1796073704105, and the report has the record of b settled up to",
    );
    let stop = |e: &mut Value| {
        if e["seq"] == 9 {
            *e = json!({"kind": "daemon_stopped", "at_ms": LAST - 500, "boot_ns": 1,
                "recorded": "2026-11-30T21:22:22.611Z"});
        }
    };
    let up = |r: &mut Value| r["extents"][0]["open_run"] = Value::Null;
    refused(
        with(("open", &[]), &stop, &up),
        "extents[0].watermark_ms: event 9 says that the daemon stopped at 1796073742611, and the \
            report has the record of b settled up to 1796073743111",
    );
}

/// By what a report is refused whose last event is followed by some hours that nobody recorded.
fn silent(hours: u64) -> impl Fn(&mut Value) {
    move |r: &mut Value| {
        let until = LAST + hours * 3_600_000;
        r["extents"][0]["watermark_ms"] = until.into();
        r["extents"][0]["open_run"] = json!([FIRST, until]);
        r["issued_at"] = "2026-12-04T21:22:23.000Z".into();
    }
}

const SILENT: &str = "extents[0].watermark_ms: a daemon that runs records something every hour";

#[test]
fn a_clock_that_was_set_right_again_makes_no_daemon_silent() {
    let step = |before: i64, by: i64| {
        let mut step = later(
            "clock_step",
            FIRST + 500,
            json!({"step_ms": by, "offset_before_ms": before, "offset_after_ms": before + by,
                "boot_ns": 1}),
        );
        step.as_object_mut().expect("an object").remove("endpoint");
        step
    };
    const DAY: i64 = 24 * 3_600_000;
    let there_and_back = [step(0, -DAY), step(-DAY, DAY)];
    refused(in_all(&there_and_back, &silent(4)), SILENT);
    // Hours that the clock shows again are sealed when they are over.
    let set_back = [step(0, -DAY)];
    assert_eq!(of_extents(in_all(&set_back, &silent(23))), Ok(()));
    refused(in_all(&set_back, &silent(28)), SILENT);
    // Of one that was set back two days before, they are over.
    let mut days_before = step(0, -DAY);
    days_before["at_ms"] = (FIRST as i64 + 500 - 2 * DAY).into();
    refused(in_all(&[days_before], &silent(4)), SILENT);
}

#[test]
fn what_is_not_seen_allows_no_more_than_a_day_of_silence() {
    let unseen = |hours: u64| {
        move |r: &mut Value| {
            silent(hours)(r);
            r["extents"][0]["not_seen_below_ms"] = (1_u64 << 40).into();
        }
    };
    refused(in_all(&[], &unseen(28)), SILENT);
}

#[test]
fn a_daemon_whose_start_is_pruned_is_not_silent_either() {
    let config = json!({"kind": "config", "at_ms": LAST - 500, "sha256": "",
        "recorded": "2026-11-30T21:22:22.611Z"});
    let sealed = |carried: &mut Value| {
        carried["seals"] = json!([[5, "hour", "2026-11-30T20:00:00Z", 0, "e3b0c442"]]);
    };
    let kept = std::slice::from_ref(&config);
    refused(pruned(&sealed, kept, &silent(4)), SILENT);
    assert_eq!(of_extents(pruned(&sealed, kept, &silent(2))), Ok(()));
    let seal = json!({"kind": "tallies", "at_ms": LAST - 400, "tallies": 0, "sha256": "",
        "hour": "2026-11-30T20:00:00Z", "recorded": "2026-11-30T21:22:22.711Z"});
    refused(pruned(&nothing, &[config, seal], &silent(4)), SILENT);
}

#[test]
fn what_follows_from_the_terms_is_held_without_tallies_too() {
    for (change, place) in [
        (
            json!({"first": 2}),
            "events.first: the events begin with number 1, the report says 2",
        ),
        (json!({"first": 0}), "events.first: "),
    ] {
        let change = |r: &mut Value| {
            let events = r["events"].as_object_mut().expect("an object");
            events.extend(change.as_object().expect("an object").clone());
        };
        refused(with(("open", &[]), &nothing, &change), place);
    }
    let salt = |r: &mut Value| r["terms_salt_earlier"] = "x".into();
    refused(
        with(("open", &[]), &nothing, &salt),
        "terms_salt_earlier: no later version was added to these terms",
    );
}

/// What an objective of latency is follows from the terms; the counts are in the tallies.
#[test]
fn an_objective_of_latency_is_that_of_the_terms() {
    let own = report("open.json");
    let text = |key: &str| own[key].as_str().expect("a text").to_owned();
    let (salt, before) = (text("terms_salt"), text("terms"));
    let terms = before.clone() + "latency = { share = \"99\", within = \"300ms\" }\n";
    let [old, new] = [&before, &terms].map(|terms| commitment(&salt, terms));
    let committed = |e: &mut Value| {
        if e["kind"] == "terms" {
            *e = serde_json::from_str(&e.to_string().replace(&old, &new)).expect("JSON");
        }
    };
    let row = json!({"component": "b", "within_ms": 300, "objective_percent": "99", "probes": 50,
        "within": 50, "share_percent": "100.00000", "met": true, "hours": 1,
        "resolution_percent": 1});
    let with_row = |rows: Value| {
        let change = |r: &mut Value| {
            r["terms"] = terms.clone().into();
            r["latency"] = rows.clone();
        };
        with(("open", &[]), &committed, &change)
    };
    assert_eq!(with_row(json!([row])), Ok(()));
    for (key, value) in [
        ("component", json!("c")),
        ("within_ms", json!(9000)),
        ("objective_percent", json!("1")),
    ] {
        let mut false_one = row.clone();
        false_one[key] = value;
        refused(with_row(json!([false_one])), &format!("latency[0].{key}: "));
    }
    refused(with_row(json!([])), "latency: ");
    refused(with_row(json!([row, row])), "latency: ");
    refused(with_row(Value::Null), "latency: ");
}
