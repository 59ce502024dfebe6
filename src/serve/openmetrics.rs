//! History as OpenMetrics with time stamps, for `promtool tsdb create-blocks-from openmetrics`.

use std::io::{self, Write};

use crate::engine::board::escaped;
use crate::judgement::timeline::{EndpointRecord, Span, StateSpans};

/// One endpoint's record, cut to the period.
pub struct Past {
    pub name: String,
    pub record: EndpointRecord,
}

/// States and cumulative seconds of each endpoint at every step of a period, in milliseconds.
pub fn write(out: &mut dyn Write, all: &[Past], period: Span, step_ms: i64) -> io::Result<()> {
    let timelines: Vec<(String, StateSpans)> = all
        .iter()
        .map(|p| (escaped(&p.name), p.record.timeline(period)))
        .collect();
    writeln!(
        out,
        "# HELP probity_endpoint_state 1 for the state the endpoint was in, from its history.\n# \
            TYPE probity_endpoint_state gauge"
    )?;
    for (name, t) in &timelines {
        for state in ["up", "down", "unknown"] {
            each_step(t, period, step_ms, |at, now, _| {
                writeln!(
                    out,
                    "probity_endpoint_state{{endpoint=\"{name}\",state=\"{state}\"}} {} {}",
                    u8::from(now == state),
                    seconds(at)
                )
            })?;
        }
    }
    writeln!(
        out,
        "# HELP probity_endpoint_state_seconds Time in each state since the start of the export, \
            from the history.\n# TYPE probity_endpoint_state_seconds counter"
    )?;
    for (name, t) in &timelines {
        for (place, state) in ["up", "down", "unknown"].into_iter().enumerate() {
            each_step(t, period, step_ms, |at, _, sums| {
                writeln!(
                    out,
                    "probity_endpoint_state_seconds_total{{endpoint=\"{name}\",\
                        state=\"{state}\"}} {} {}",
                    seconds(sums[place]),
                    seconds(at)
                )
            })?;
        }
    }
    writeln!(out, "# EOF")
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

/// Calls with the instant, the state there, and the sums of up, down and unknown until it; only
/// where the endpoint was in service.
fn each_step(
    t: &StateSpans,
    period: Span,
    step_ms: i64,
    mut call: impl FnMut(i64, &str, [i64; 3]) -> io::Result<()>,
) -> io::Result<()> {
    let (mut sums, mut from) = ([0, 0, 0], period.from);
    let mut at = period.from;
    while at <= period.to {
        let passed = Span::new(from, at);
        let length = |set: &crate::judgement::timeline::Spans| set.cut(passed).length() as i64;
        let (covered, down, unknown) = (length(&t.covered), length(&t.down), length(&t.unknown));
        sums = [
            sums[0] + covered - down - unknown,
            sums[1] + down,
            sums[2] + unknown,
        ];
        from = at;
        let here = Span::new(at, at + 1);
        let is_in = |set: &crate::judgement::timeline::Spans| set.cut(here).length() > 0;
        if is_in(&t.covered) {
            let state = if is_in(&t.down) {
                "down"
            } else if is_in(&t.unknown) {
                "unknown"
            } else {
                "up"
            };
            call(at, state, sums)?;
        }
        at += step_ms;
    }
    Ok(())
}
