//! A timeline and sums as they are written: `probity-timeline/2` as structs.
//!
//! Exports, the API and reports write them; a report that is verified is read into them. Keys that
//! are not known are refused, those that are left out where nothing is to be said are optional.

use serde::{Deserialize, Serialize};

use super::recorded::RecordedComponent;
use crate::judgement::sla::record::{Declared, OPEN, Outage, Recorded};
use crate::judgement::timeline::{Span, Sums, percent};
use crate::words::{Ms, UtcMs, format_utc};

/// `probity-timeline/2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownTimeline {
    pub schema: String,
    pub from: String,
    pub to: String,
    pub components: Vec<ShownComponent>,
    pub maintenance: Vec<ShownWindow>,
}

/// One component over the period, with its sums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownComponent {
    pub name: String,
    pub down: Vec<ShownStretch>,
    pub possible_down: Vec<ShownSpan>,
    pub unknown: Vec<ShownUnknown>,
    pub up_ms: Ms,
    pub down_ms: Ms,
    pub unknown_ms: Ms,
    pub down_lower_ms: Ms,
    pub down_upper_ms: Ms,
    /// Left out where it always is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_service: Vec<ShownSpan>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_while_down: Vec<ShownSpan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_seen_below_ms: Option<Ms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probes: Option<Vec<ShownProbe>>,
}

/// A stretch of an outage. An open one has no end; what never began or ends has no instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownStretch {
    pub outage: Option<u64>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub from_earliest: Option<String>,
    pub from_latest: Option<String>,
    pub to_earliest: Option<String>,
    pub to_latest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excluded_by: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownSpan {
    pub from: Option<String>,
    pub to: Option<String>,
}

/// Unknown time; without a reason where several endpoints have different ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownUnknown {
    pub from: Option<String>,
    pub to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A single result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownProbe {
    pub at: Option<String>,
    pub ok: bool,
}

/// A declared window; without components it concerns all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownWindow {
    pub id: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub announced_at: Option<String>,
    pub recorded_at: Option<String>,
    pub components: Option<Vec<String>>,
    pub reason: Option<String>,
}

/// Sums and availability: integers of milliseconds, and percentages that are never rounded up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownSums {
    pub covered_ms: Ms,
    pub up_ms: Ms,
    pub down_ms: Ms,
    pub unknown_ms: Ms,
    pub down_lower_ms: Ms,
    pub down_upper_ms: Ms,
    pub availability_percent: Option<String>,
    pub lower_percent: Option<String>,
    pub upper_percent: Option<String>,
}

impl ShownSums {
    pub fn of(sums: &Sums) -> Self {
        let a = sums.availability();
        Self {
            covered_ms: sums.covered,
            up_ms: sums.up,
            down_ms: sums.down,
            unknown_ms: sums.unknown,
            down_lower_ms: sums.down_lower,
            down_upper_ms: sums.down_upper,
            availability_percent: a.point.map(percent),
            lower_percent: a.lower.map(percent),
            upper_percent: a.upper.map(percent),
        }
    }
}

impl ShownTimeline {
    pub fn of(period: Span, components: &[RecordedComponent], maintenance: &[Declared]) -> Self {
        Self {
            schema: "probity-timeline/2".to_owned(),
            from: format_utc(period.from),
            to: format_utc(period.to),
            components: components.iter().map(ShownComponent::of).collect(),
            maintenance: maintenance.iter().map(ShownWindow::of).collect(),
        }
    }
}

impl ShownComponent {
    pub fn of(component: &RecordedComponent) -> Self {
        let (r, sums): (&Recorded, &Sums) = (&component.recorded, &component.sums);
        let spans = |list: &[Span]| list.iter().map(ShownSpan::of).collect();
        let unknown = |(s, why): &(Span, Option<String>)| ShownUnknown {
            from: instant(s.from),
            to: instant(s.to),
            reason: why.clone(),
        };
        let probe = |(at, ok): &(UtcMs, bool)| ShownProbe {
            at: instant(*at),
            ok: *ok,
        };
        Self {
            name: r.name.clone(),
            down: r.down.iter().map(ShownStretch::of).collect(),
            possible_down: spans(&r.possible_down),
            unknown: r.unknown.iter().map(unknown).collect(),
            up_ms: sums.up,
            down_ms: sums.down,
            unknown_ms: sums.unknown,
            down_lower_ms: sums.down_lower,
            down_upper_ms: sums.down_upper,
            in_service: spans(&r.in_service),
            left_while_down: spans(&r.left_while_down),
            not_seen_below_ms: r.not_seen_below,
            probes: r
                .probes
                .as_ref()
                .map(|probes| probes.iter().map(probe).collect()),
        }
    }
}

impl ShownStretch {
    fn of(o: &Outage) -> Self {
        let end = |at: UtcMs| instant(at).filter(|_| !o.is_open);
        Self {
            outage: o.outage,
            from: instant(o.from),
            to: end(o.to),
            from_earliest: instant(o.from_earliest),
            from_latest: instant(o.from_latest),
            to_earliest: end(o.to_earliest),
            to_latest: end(o.to_latest),
            excluded_by: o.excluded_by,
        }
    }
}

impl ShownSpan {
    pub fn of(span: &Span) -> Self {
        Self {
            from: instant(span.from),
            to: instant(span.to),
        }
    }
}

impl ShownWindow {
    pub fn of(window: &Declared) -> Self {
        Self {
            id: window.id.clone(),
            from: instant(window.from),
            to: instant(window.to),
            announced_at: window.announced_at.and_then(instant),
            recorded_at: window.recorded_at.and_then(instant),
            components: window.components.clone(),
            reason: window.reason.clone(),
        }
    }
}

fn instant(at: UtcMs) -> Option<String> {
    (at.abs() < OPEN).then(|| format_utc(at))
}
