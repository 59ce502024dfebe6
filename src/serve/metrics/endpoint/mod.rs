//! Metrics of each endpoint, written straight from the board.

pub mod accounting;
pub mod latency;
pub mod live;

use std::io::{self, Write};

use super::metric::{Collect, Context, Metric, MetricWriter};
use super::samples::{Format, Line};
use crate::config::plan::Plan;
use crate::engine::board::BoardSnapshot;
use crate::judgement::maintenance::Window;
use crate::words::UtcMs;

/// Samples that are written at once, in bytes.
const BUFFER: usize = 16 << 10;

/// In the order of /metrics.
pub const METRICS: [&[Metric]; 3] = [live::METRICS, accounting::METRICS, latency::METRICS];

/// Writes the chosen families of all endpoints, with the windows that are in force now.
pub fn write(
    out: &mut dyn Write,
    format: Format,
    parts: &[Collect],
    snapshot: &BoardSnapshot,
    plan: &Plan,
    (windows, now): (&[Window], UtcMs),
) -> io::Result<()> {
    let bound = |us: &u64| format!(",le=\"{}\"}} ", format.bound(*us));
    let mut bounds: Vec<String> = plan.metrics.buckets_us.iter().map(bound).collect();
    bounds.push(",le=\"+Inf\"} ".to_owned());
    let context = Context {
        plan,
        windows,
        now,
        bounds,
    };
    for metric in METRICS
        .into_iter()
        .flatten()
        .filter(|m| parts.contains(&m.part))
    {
        let MetricWriter::Endpoint(of) = &metric.writer else {
            continue;
        };
        if !(of.is_on)(plan) {
            continue;
        }
        metric.header(out, format)?;
        // Samples go into a buffer while the view is held, and out of it between two views. What
        // is compressed is in large pieces so.
        let mut buffer = Vec::with_capacity(BUFFER + 4096);
        for entry in snapshot.entries.iter() {
            snapshot.look(entry, |shown| {
                let mut line = Line {
                    out: &mut buffer,
                    name: metric.name,
                    label: &entry.label,
                    numbers: itoa::Buffer::new(),
                };
                (of.write)(&mut line, &context, entry, shown)
            })?;
            if buffer.len() >= BUFFER {
                out.write_all(&buffer)?;
                buffer.clear();
            }
        }
        out.write_all(&buffer)?;
    }
    Ok(())
}
