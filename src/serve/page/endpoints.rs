//! The rows of endpoints.

use super::shown::{Cell, clock};
use crate::account::figures::{QUANTILES, day_of, hourly_medians, last_30_days, of_entry, today};
use crate::config::Endpoint;
use crate::engine::board::{Board, Entry, View};
use crate::history::HistoryError;
use crate::history::reader::HistoryReader;
use crate::judgement::latency::{Ending, Series, quantile};
use crate::judgement::maintenance::spans_for;
use crate::judgement::timeline::{Span, Sums, percent};
use crate::words::{StateName, UtcMs, people};

/// A certificate that ends within this stands out.
const SOON_MS: i64 = 14 * 86_400_000;

/// One endpoint.
pub struct EndpointRow {
    pub name: String,
    pub component: String,
    pub kind: &'static str,
    pub target: String,
    pub state: &'static str,
    /// Why it is unknown, and whether maintenance is declared.
    pub why: String,
    pub since: String,
    pub today: Cell,
    pub month: Cell,
    /// Points of the polyline; empty when there is nothing to draw.
    pub spark: String,
    pub latency: String,
    pub latency_day: String,
    pub last: String,
    pub detail: String,
    pub next: String,
    /// A lasting fault is confirmed within this.
    pub detected: String,
    /// How often it is probed.
    pub interval: String,
    /// When the certificate ends; empty without one.
    pub certificate: String,
    pub expires_soon: bool,
}

pub fn row(
    reader: &HistoryReader,
    board: &Board,
    entry: &Entry,
    now: UtcMs,
) -> Result<EndpointRow, HistoryError> {
    let endpoint = entry.endpoint.load_full();
    let view: View = entry.view().clone();
    let (month, _) = of_entry(reader, entry, last_30_days(now))?;
    let hour = view
        .hour
        .since(now - 3_600_000, Series::Whole(Ending::Success));
    let quantiles = |all: &[(u64, u64)]| {
        let shown = QUANTILES.iter().take(3).filter_map(|(name, ppm)| {
            quantile(all, *ppm).map(|us| format!("{name} {}", millis(us)))
        });
        shown.collect::<Vec<_>>().join(" · ")
    };
    let certificate = view
        .shown
        .certificate
        .as_ref()
        .map(|c| c.not_after.min(c.chain_not_after.unwrap_or(c.not_after)));
    let (last, detail) = match &view.last {
        None => ("not probed yet".to_owned(), String::new()),
        Some(l) => match l.why {
            None => (
                format!("{} in {}", l.result, millis(l.duration_us)),
                String::new(),
            ),
            Some(why) => (format!("{}: {why}", l.result), l.detail.clone()),
        },
    };
    Ok(EndpointRow {
        name: endpoint.name.to_string(),
        component: endpoint.component.to_string(),
        kind: endpoint.probe.kind().as_str(),
        target: endpoint.target(),
        state: view.shown.state.as_str(),
        why: why(&view, board, &endpoint, now),
        since: clock(view.shown.since_utc),
        today: cell(&month.timeline(today(now)).sums()),
        month: cell(&month.timeline(last_30_days(now)).sums()),
        spark: spark(&hourly_medians(reader, entry, now)?),
        latency: quantiles(&hour),
        latency_day: quantiles(&day_of(reader, entry, now)?),
        detected: people::duration(endpoint.rules.detection_bound()),
        interval: people::duration(endpoint.rules.cadence.interval),
        certificate: certificate.map_or(String::new(), |at| clock(at)[..10].to_owned()),
        expires_soon: certificate.is_some_and(|at| at - now < SOON_MS),
        last,
        detail,
        next: clock(view.next_slot_utc)[11..].to_owned(),
    })
}

/// What stands beside the state.
fn why(view: &View, board: &Board, endpoint: &Endpoint, now: UtcMs) -> String {
    let mut list = Vec::new();
    if view.shown.state == StateName::Unknown
        && let Some((_, reason)) = view.shown.settled.open_unknown
    {
        list.push(reason.as_str());
    }
    let windows = board.windows.load();
    if !spans_for(
        &windows,
        endpoint.name.as_str(),
        endpoint.component.as_str(),
        Span::new(now, now + 1),
    )
    .as_slice()
    .is_empty()
    {
        list.push("maintenance");
    }
    list.join(", ")
}

fn cell(sums: &Sums) -> Cell {
    let a = sums.availability();
    let percent = |share: u64| people::percent(&percent(share), sums.up + sums.down);
    match (a.point, a.lower, a.upper) {
        (Some(point), Some(lower), Some(upper)) => Cell {
            point: percent(point),
            bounds: format!(
                "{} … {}",
                percent(lower).trim_end_matches(" %"),
                percent(upper)
            ),
        },
        (None, Some(lower), Some(upper)) => Cell {
            point: "unknown".into(),
            bounds: format!(
                "{} … {}",
                percent(lower).trim_end_matches(" %"),
                percent(upper)
            ),
        },
        _ => Cell {
            point: "–".into(),
            bounds: "nothing settled yet".into(),
        },
    }
}

fn millis(us: u64) -> String {
    if us < 10_000 {
        format!("{}.{:02} ms", us / 1000, us % 1000 / 10)
    } else {
        format!("{} ms", us / 1000)
    }
}

/// A line through the hours that have a median, the highest at the top.
fn spark(medians: &[Option<u64>]) -> String {
    let highest = medians.iter().flatten().copied().max().unwrap_or(0).max(1);
    let points: Vec<String> = medians
        .iter()
        .enumerate()
        .filter_map(|(k, m)| {
            m.map(|us| {
                format!(
                    "{},{}",
                    k * 120 / medians.len().max(1),
                    23 - us * 22 / highest
                )
            })
        })
        .collect();
    match (points.as_slice(), medians.iter().position(Option::is_some)) {
        // One hour is a line of its own width.
        ([only], Some(k)) => format!(
            "{only} {},{}",
            (k + 1) * 120 / medians.len().max(1),
            only.rsplit(',').next().unwrap_or_default()
        ),
        _ => points.join(" "),
    }
}
