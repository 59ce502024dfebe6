//! When a report was issued, on the daemon's timeline, and that it leaves out nothing that was
//! recorded before.
//!
//! The wall clock may have been set meanwhile, in either direction: what is compared are instants
//! of the timeline, by the steps of the clock that the events tell. What waited for the disk was
//! recorded later than it happened, and an event says so.

use serde_json::{Map, Value};

use crate::history::calendar::Calendar;
use crate::history::event::{Event, EventRecord, recorded};
use crate::report::difference::{Difference, differs};
use crate::words::UtcMs;

/// An event of this age was committed before a report was made.
pub const COMMITTED_WITHIN_MS: i64 = 5000;

/// `last`: the report's last event; `later`: those that follow it in the export.
pub(crate) fn nothing_left_out(
    issued: UtcMs,
    calendar: &Calendar,
    last: Option<&Map<String, Value>>,
    later: &[Map<String, Value>],
) -> Result<(), Difference> {
    if later.is_empty() {
        return Ok(());
    }
    let last = last.and_then(|e| EventRecord::read(e).ok().flatten());
    let later: Vec<EventRecord> = recorded(later).collect();
    let calendar = calendar.and_steps(later.iter().filter_map(|e| match &e.event {
        Event::ClockStep(step) => Some((e.at as i64, step.offset_after_ms)),
        _ => None,
    }));
    // A clock that was set back shows an instant twice: the first that the report's own events
    // allow.
    let from = last.map_or(i64::MIN / 4, |e| e.at as i64 - COMMITTED_WITHIN_MS);
    let issued = calendar.first_at(issued, from);
    let waits: Vec<(i64, i64)> = later
        .iter()
        .filter_map(|e| match &e.event {
            Event::RecordedLate(late) => Some((late.from_ms as i64, e.at as i64)),
            _ => None,
        })
        .collect();
    for event in &later {
        let recorded = recorded_at(event, &calendar);
        let has_waited = |(from, to): &(i64, i64)| {
            recorded >= from - COMMITTED_WITHIN_MS
                && recorded <= *to
                && issued <= to + COMMITTED_WITHIN_MS
        };
        if recorded < issued - COMMITTED_WITHIN_MS && !waits.iter().any(has_waited) {
            let place = format!("event {}", event.seq);
            return Err(differs(
                &place,
                "it was recorded before the report was issued, and the report leaves it out",
            ));
        }
    }
    Ok(())
}

/// When an event was recorded. Those that a command writes have the instant of an earlier event,
/// and their date is what tells.
fn recorded_at(e: &EventRecord, calendar: &Calendar) -> i64 {
    let at = e.at as i64;
    match (&e.event, e.recorded) {
        (Event::Pruned(_) | Event::Restored(_), Some(date)) => calendar.first_at(date, at),
        _ => at,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::words::format_utc;

    const NINE: i64 = 1_798_707_600_000;
    const MINUTE: i64 = 60_000;

    /// What is not told apart here is the first success of an endpoint.
    fn event(seq: u64, kind: &str, at: i64, more: Value) -> Map<String, Value> {
        let mut event = match kind {
            "clock_step" => json!({"step_ms": 0, "offset_before_ms": 0, "boot_ns": 0,
                "offset_after_ms": 0}),
            "recorded_late" => json!({"from_ms": 0}),
            "pruned" => json!({"last": 1, "head": "", "until": "", "stub_sha256": "", "by": ""}),
            _ => json!({"at": ""}),
        };
        let is_told = ["clock_step", "recorded_late", "pruned"].contains(&kind);
        let kind = if is_told { kind } else { "first_up" };
        let event = event.as_object_mut().expect("an object");
        event.extend(more.as_object().expect("an object").clone());
        let numbered = json!({"seq": seq, "kind": kind, "at_ms": at});
        event.extend(numbered.as_object().expect("an object").clone());
        assert!(EventRecord::read(event).is_ok_and(|e| e.is_some()));
        event.clone()
    }

    /// Whether a report that was issued when the clock showed so many minutes past nine leaves
    /// anything out; `later`: minutes past nine of the timeline.
    fn refused(issued: i64, last: i64, later: &[(i64, &str, Value)]) -> Option<String> {
        let last = event(7, "up", NINE + last * MINUTE, json!({}));
        let later: Vec<_> = later
            .iter()
            .zip(8..)
            .map(|((at, kind, more), seq)| event(seq, kind, NINE + at * MINUTE, more.clone()))
            .collect();
        let calendar = Calendar::default().and_steps([(NINE - 90 * MINUTE, 0)]);
        nothing_left_out(NINE + issued * MINUTE, &calendar, Some(&last), &later)
            .err()
            .map(|d| d.place)
    }

    fn step(minutes: i64) -> Value {
        json!({"offset_after_ms": minutes * MINUTE})
    }

    #[test]
    fn what_was_recorded_before_a_report_is_in_it() {
        let none = || json!({});
        assert_eq!(refused(10, 5, &[(12, "down", none())]), None);
        assert_eq!(
            refused(10, 5, &[(9, "down", none())]).as_deref(),
            Some("event 8")
        );
        assert_eq!(
            refused(10, 5, &[(11, "down", none()), (12, "up", none())]),
            None
        );
        assert_eq!(refused(10, 5, &[]), None);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_true_report_false() {
        let none = || json!({});
        // Issued at 9:10; the clock goes back by an hour at 9:20, and what follows is dated before.
        assert_eq!(
            refused(
                10,
                5,
                &[
                    (20, "clock_step", step(-60)),
                    (25, "down", none()),
                    (100, "up", none())
                ]
            ),
            None
        );
        // Left out at 9:09, although the clock was set back later.
        assert_eq!(
            refused(10, 5, &[(9, "down", none()), (20, "clock_step", step(-60))]).as_deref(),
            Some("event 8")
        );
        // Issued in the hour that was repeated, after its last event at 9:30 of the timeline.
        let again = [(40, "down", none()), (50, "up", none())];
        let of = |last: i64, issued: i64, later: &[(i64, &str, Value)]| {
            let last = event(7, "clock_step", NINE + last * MINUTE, json!({}));
            let later: Vec<_> = later
                .iter()
                .zip(8..)
                .map(|((at, kind, more), seq)| event(seq, kind, NINE + at * MINUTE, more.clone()))
                .collect();
            let calendar = Calendar::default()
                .and_steps([(NINE - 90 * MINUTE, 0), (NINE + 30 * MINUTE, -60 * MINUTE)]);
            nothing_left_out(NINE + issued * MINUTE, &calendar, Some(&last), &later)
                .err()
                .map(|d| d.place)
        };
        assert_eq!(of(30, -25, &again), None, "at 8:35 again, before both");
        assert_eq!(
            of(30, -15, &again).as_deref(),
            Some("event 8"),
            "at 8:45 again, after the first"
        );
    }

    #[test]
    fn a_clock_that_was_set_forward_hides_nothing() {
        let none = || json!({});
        let forward = |issued: i64| {
            refused(
                issued,
                5,
                &[(20, "clock_step", step(60)), (25, "down", none())],
            )
        };
        assert_eq!(forward(15), None);
        assert_eq!(
            forward(84).as_deref(),
            Some("event 8"),
            "issued at 9:24 of the timeline, without the step"
        );
        assert_eq!(
            refused(84, 5, &[(21, "down", none()), (30, "clock_step", step(60))]).as_deref(),
            Some("event 8"),
            "the clock showed 10:24 never before"
        );
    }

    #[test]
    fn what_waited_for_the_disk_was_recorded_when_it_was_written() {
        let late = |from: i64| json!({"from_ms": NINE + from * MINUTE});
        let none = || json!({});
        let waited = |issued: i64| {
            refused(
                issued,
                5,
                &[
                    (6, "down", none()),
                    (8, "up", none()),
                    (30, "recorded_late", late(6)),
                ],
            )
        };
        assert_eq!(waited(20), None, "nothing of it was on disk then");
        assert_eq!(waited(40).as_deref(), Some("event 8"), "all of it was");
        let before = refused(
            20,
            3,
            &[
                (4, "down", none()),
                (8, "up", none()),
                (30, "recorded_late", late(6)),
            ],
        );
        assert_eq!(
            before.as_deref(),
            Some("event 8"),
            "it was written before the disk was full"
        );
        assert_eq!(
            refused(
                20,
                5,
                &[(6, "down", none()), (19, "recorded_late", late(6))]
            )
            .as_deref(),
            Some("event 8"),
            "it was written at 9:19"
        );
    }

    #[test]
    fn what_a_command_writes_is_told_by_its_date() {
        let pruned = |minute: i64| {
            [(
                4,
                "pruned",
                json!({"recorded": format_utc(NINE + minute * MINUTE)}),
            )]
        };
        assert_eq!(refused(10, 5, &pruned(20)), None);
        assert_eq!(refused(10, 5, &pruned(6)).as_deref(), Some("event 8"));
    }
}
