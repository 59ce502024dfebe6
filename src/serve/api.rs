//! The JSON API: endpoints, outages, timeline.

use std::collections::BTreeMap;
use std::io::Write;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::listener::making::{Unmade, write_list, write_lists};
use crate::account::figures::{latency_json, not_seen_below, of_entry, parts_of};
use crate::account::shown::{ShownComponent, ShownTimeline, ShownWindow};
use crate::account::timelines::timeline_parts;
use crate::engine::board::{Board, Entry, LastProbe};
use crate::history::HistoryError;
use crate::history::calendar::Calendar;
use crate::history::read::{Extent, StoredOutage};
use crate::history::reader::HistoryReader;
use crate::judgement::maintenance::{Stored, spans_for};
use crate::judgement::timeline::{Span, Sums};
use crate::judgement::zones;
use crate::report::object::ListedOutage;
use crate::report::outages::{OutageCorrections, outage_shown};
use crate::words::{Ms, Name, Phase, StateName, UtcMs, format_utc};

/// `probity-endpoints/1`.
#[derive(Debug, Serialize, Deserialize)]
pub struct EndpointList {
    pub schema: String,
    /// The history is writable.
    pub recorded: bool,
    /// Why the last reload was refused, while the config before is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload_refused: Option<String>,
    /// When the config in force was read, if the one on disk is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_changed_since: Option<String>,
    #[serde(default)]
    pub zone_data: Value,
    pub endpoints: Vec<ShownEndpoint>,
}

/// One endpoint as it is now.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ShownEndpoint {
    pub name: String,
    pub component: String,
    pub kind: String,
    pub target: String,
    pub labels: BTreeMap<String, String>,
    pub state: String,
    pub since: String,
    /// Why it is unknown, as far as that is settled.
    pub reason: Option<String>,
    /// A declared window is in force.
    pub maintenance: bool,
    pub settled: String,
    pub next_slot: String,
    pub last: Option<ShownLastProbe>,
    pub ledger: ShownLedger,
    pub detection_bound_ms: Ms,
    pub outages_shorter_than_ms_are_not_seen: Ms,
    /// Of an endpoint that was asked for by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Value>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ShownLastProbe {
    pub slot: Option<String>,
    pub started: String,
    pub duration_ms: f64,
    pub result: String,
    pub cause: Option<String>,
    pub detail: String,
    pub phases_ms: BTreeMap<String, f64>,
}

/// The settled time of an endpoint.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ShownLedger {
    pub first_start_ms: Option<Ms>,
    pub watermark_ms: Ms,
    pub up_ms: Ms,
    pub down_ms: Ms,
    pub unknown_ms: Ms,
    pub out_of_service_ms: Ms,
    pub down_lower_ms: Ms,
    pub down_upper_ms: Ms,
}

/// `/api/v1/endpoints`.
pub fn endpoints(board: &Board, now: UtcMs, out: &mut dyn Write) -> Result<(), Unmade> {
    let windows = board.windows.load();
    write_list(
        out,
        &json!(listed(board, Vec::new())),
        "endpoints",
        board
            .entries()
            .iter()
            .map(|e| json!(ShownEndpoint::of(e, (&windows, now), None))),
    )
}

fn listed(board: &Board, endpoints: Vec<ShownEndpoint>) -> EndpointList {
    EndpointList {
        schema: "probity-endpoints/1".to_owned(),
        recorded: board
            .health
            .history_writable
            .load(std::sync::atomic::Ordering::Relaxed),
        reload_refused: board.health.reload_refused.load().as_deref().cloned(),
        config_changed_since: board.health.config_changed_since().map(format_utc),
        zone_data: zones::in_use().to_json(),
        endpoints,
    }
}

impl ShownEndpoint {
    fn of(entry: &Entry, (windows, now): (&[Stored], UtcMs), latency: Option<Value>) -> Self {
        let endpoint = entry.endpoint.load();
        let view = entry.view().clone();
        let s = &view.shown.settled;
        let is_unknown = view.shown.state == StateName::Unknown;
        let reason = s.open_unknown.filter(|_| is_unknown);
        let at = Span::new(now, now + 1);
        let (name, component) = (endpoint.name.as_str(), endpoint.component.as_str());
        Self {
            name: endpoint.name.to_string(),
            component: endpoint.component.to_string(),
            kind: endpoint.probe.kind().as_str().to_owned(),
            target: endpoint.target(),
            labels: (*endpoint.labels).clone(),
            state: view.shown.state.as_str().to_owned(),
            since: format_utc(view.shown.since_utc),
            reason: reason.map(|(_, reason)| reason.as_str().to_owned()),
            maintenance: !spans_for(windows, name, component, at)
                .as_slice()
                .is_empty(),
            settled: format_utc(s.watermark_utc),
            next_slot: format_utc(view.next_slot_utc),
            last: view.last.as_ref().map(ShownLastProbe::of),
            ledger: ShownLedger {
                first_start_ms: s.counted_from,
                watermark_ms: s.watermark,
                up_ms: s.up,
                down_ms: s.down,
                unknown_ms: s.unknown,
                out_of_service_ms: s.out_of_service,
                down_lower_ms: s.down_lower,
                down_upper_ms: s.down_upper,
            },
            detection_bound_ms: endpoint.rules.detection_bound(),
            outages_shorter_than_ms_are_not_seen: endpoint.rules.not_seen_below(),
            latency,
        }
    }
}

impl ShownLastProbe {
    fn of(last: &LastProbe) -> Self {
        let ms = |p: &Phase| {
            let us = last.phases.us(*p)?;
            Some((p.as_str().to_owned(), f64::from(us) / 1000.0))
        };
        Self {
            slot: last.slot_utc.map(format_utc),
            started: format_utc(last.started_utc),
            duration_ms: last.duration_us as f64 / 1000.0,
            result: last.result.to_owned(),
            cause: last.why.map(str::to_owned),
            detail: last.detail.clone(),
            phases_ms: Phase::ALL.iter().filter_map(ms).collect(),
        }
    }
}

/// One endpoint with its latency, or nothing under that name.
pub fn one_endpoint(
    reader: &HistoryReader,
    board: &Board,
    name: &str,
    now: UtcMs,
) -> Result<Option<EndpointList>, HistoryError> {
    let entries = board.entries();
    let Some(entry) = entries
        .iter()
        .find(|e| e.endpoint.load().name.as_str() == name)
    else {
        return Ok(None);
    };
    let latency = latency_json(reader, entry, now)?;
    Ok(Some(listed(
        board,
        vec![ShownEndpoint::of(
            entry,
            (&board.windows.load(), now),
            Some(latency),
        )],
    )))
}

/// `/api/v1/outages`, newest first, with the length below which outages since then were not seen
/// between two probes.
///
/// `extents`: all endpoints that are meant. What is returned reads nothing more: it may be written
/// slowly.
pub fn chosen_outages(
    reader: &HistoryReader,
    extents: &[(String, Extent)],
    wanted: &WantedOutages,
) -> Result<ChosenOutages, HistoryError> {
    let WantedOutages {
        endpoint,
        since,
        limit,
        now,
    } = *wanted;
    let blind = not_seen_below(reader, extents, Span::new(since.max(0), now))?;
    let mut corrections = OutageCorrections::default();
    let mut list = Vec::new();
    for o in reader.outages(endpoint, since, limit)? {
        let excluded = corrections.of(reader, &o)?;
        list.push((o, excluded));
    }
    Ok(ChosenOutages {
        calendar: reader.calendar()?.clone(),
        not_seen_below: blind,
        list,
    })
}

/// Outages that are meant, each with the events that exclude it and whether they leave anything of
/// it.
pub struct ChosenOutages {
    calendar: Calendar,
    /// Shorter ones between two probes are not seen.
    pub not_seen_below: Ms,
    list: Vec<(StoredOutage, (Vec<u64>, bool))>,
}

impl ChosenOutages {
    pub fn write(&self, out: &mut dyn Write) -> Result<(), Unmade> {
        let values = self.shown().map(|o| json!(o));
        write_list(out, &self.frame(&[]), "outages", values)
    }

    /// The same, whole.
    pub fn json(&self) -> Value {
        self.frame(&self.shown().collect::<Vec<_>>())
    }

    fn frame(&self, outages: &[ListedOutage]) -> Value {
        json!({
            "schema": "probity-outages/1", "outages": outages,
            "not_seen_below_ms": self.not_seen_below,
        })
    }

    pub fn shown(&self) -> impl Iterator<Item = ListedOutage> {
        self.list
            .iter()
            .map(|(o, excluded)| outage_shown(o, &self.calendar, excluded.clone()))
    }
}

/// Which outages are meant.
#[derive(Debug, Clone, Copy)]
pub struct WantedOutages<'w> {
    pub endpoint: Option<&'w str>,
    pub since: UtcMs,
    pub limit: usize,
    pub now: UtcMs,
}

/// `/api/v1/timeline`.
pub fn timeline(
    reader: &HistoryReader,
    board: &Board,
    period: Span,
    now: UtcMs,
) -> Result<impl FnOnce(&mut dyn Write) -> Result<(), Unmade> + use<>, HistoryError> {
    let parts = parts_of(reader, board)?;
    let (period, components, windows) = timeline_parts(reader, &parts, period, now)?;
    let frame = json!(ShownTimeline::of(period, &[], &[]));
    Ok(move |out: &mut dyn Write| {
        let mut components = components.iter().map(|c| json!(ShownComponent::of(c)));
        let mut windows = windows.iter().map(|w| json!(ShownWindow::of(w)));
        write_lists(
            out,
            &frame,
            &mut [
                ("components", &mut components),
                ("maintenance", &mut windows),
            ],
        )
    })
}

/// The sums of the named components' and endpoints' own records in a period, by endpoint.
pub fn sums_of(
    reader: &HistoryReader,
    board: &Board,
    components: &[Name],
    endpoints: &[Name],
    period: Span,
) -> Result<Vec<(String, Sums)>, HistoryError> {
    let mut list = Vec::new();
    for entry in board.entries().iter() {
        let endpoint = entry.endpoint.load_full();
        if components.contains(&endpoint.component) || endpoints.contains(&endpoint.name) {
            let (record, _) = of_entry(reader, entry, period)?;
            list.push((endpoint.name.to_string(), record.timeline(period).sums()));
        }
    }
    Ok(list)
}
