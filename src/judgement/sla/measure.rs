//! Cuts a record to what a contract counts: sets of time for one component, or for several
//! together.

use super::calendar::service_spans;
use super::contract::{Announcement, BeforeInService, Contract, Treat};
use super::record::{Declared, OPEN, Outage, Recorded, Timeline};
use crate::judgement::timeline::{Span, Spans};
use crate::words::{Ms, UtcMs};

/// The time of one period in disjoint sets, with the worst and the best case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    /// The denominator before unknown time is looked at.
    pub service: Spans,
    /// Admitted maintenance inside the scope, however it is treated.
    pub maintenance: Spans,
    pub down: Spans,
    pub unknown: Spans,
    /// Service time after the end of the record.
    pub future: Spans,
    /// Surely down.
    pub lower: Spans,
    /// Down in the worst case, without unknown time.
    pub upper: Spans,
    /// Out of service from while it was down on: of this nothing was measured, and it was owed.
    pub left: Spans,
    /// What the worst case has beyond those spans, where a contract counts whole minutes and
    /// unknown time touches them.
    pub upper_beyond: Ms,
}

/// A window that a contract does not admit, or only in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnadmittedWindow {
    pub id: Option<String>,
    pub span: Span,
    pub refused_ms: Ms,
    pub why: &'static str,
}

/// What became of the windows of a component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Windows {
    pub admitted: Spans,
    /// What is admitted of each component by itself, where several are judged together.
    pub by_component: Vec<(String, Spans)>,
    pub refused: Vec<UnadmittedWindow>,
}

/// The period cut by service hours and by the time in service.
fn scope(contract: &Contract, part: &Recorded, span: Span) -> Spans {
    let hours = contract
        .service_hours
        .as_ref()
        .map_or_else(|| Spans::new(vec![span]), |h| service_spans(h, span));
    let as_up = contract.before_in_service == BeforeInService::AsUp;
    if part.in_service.is_empty() || as_up {
        return hours;
    }
    hours.both(&Spans::new(part.in_service.clone()))
}

/// Admits windows by their notice, unites them, and consumes the allowance in the order of time.
pub fn windows(
    contract: &Contract,
    part: &Recorded,
    timeline: &Timeline,
    scope: &Spans,
) -> Windows {
    let rules = &contract.maintenance;
    let concerns = |w: &&Declared| {
        w.components
            .as_ref()
            .is_none_or(|list| list.contains(&part.name))
    };
    let mut admitted = Vec::new();
    let mut refused = Vec::new();
    for window in timeline.maintenance.iter().filter(concerns) {
        let span = Span::new(window.from, window.to);
        let told = match rules.announcement {
            Announcement::Claimed => window.announced_at,
            Announcement::Recorded => window.recorded_at.or(window.announced_at),
        };
        match (rules.notice, told) {
            (Some(notice), Some(told)) if told > window.from - notice as i64 => {
                let refused_ms = Spans::new(vec![span]).both(scope).length();
                if refused_ms > 0 {
                    refused.push(UnadmittedWindow {
                        id: window.id.clone(),
                        span,
                        refused_ms,
                        why: "announced too late",
                    });
                }
            }
            _ => admitted.push(span),
        }
    }
    let united = Spans::new(admitted).both(scope);
    let Some(allowance) = rules.allowance else {
        return Windows {
            admitted: united,
            refused,
            ..Windows::default()
        };
    };
    let mut left = allowance as i64;
    let mut kept = Vec::new();
    for span in united.as_slice() {
        let to = span.to.min(span.from + left);
        kept.push(Span::new(span.from, to));
        left -= to - span.from;
        if to < span.to {
            let over = Span::new(to, span.to);
            refused.push(UnadmittedWindow {
                id: None,
                span: over,
                refused_ms: over.length(),
                why: "over the allowance",
            });
        }
    }
    Windows {
        admitted: Spans::new(kept),
        refused,
        ..Windows::default()
    }
}

/// One component in one period; `span` is the period, already cut to a tenant's dates.
pub fn component(
    contract: &Contract,
    part: &Recorded,
    timeline: &Timeline,
    span: Span,
) -> (Measured, Windows) {
    let scope = scope(contract, part, span);
    let windows = windows(contract, part, timeline, &scope);
    let spared = if contract.maintenance.treat == Treat::Count {
        Spans::default()
    } else {
        windows.admitted.clone()
    };
    let service = if contract.maintenance.treat == Treat::Exclude {
        scope.minus(&spared)
    } else {
        scope.clone()
    };
    let judged = service.minus(&spared);
    let until = timeline.to.unwrap_or(OPEN);
    let past = judged.cut(Span::new(i64::MIN / 4, until));
    let future = judged.minus(&past);
    let not_recorded = timeline.from.map_or_else(Spans::default, |from| {
        past.cut(Span::new(i64::MIN / 4, from))
    });
    let within = |spans: Vec<Span>| Spans::new(spans).both(&past);
    let absent = absent(contract, part, &past);
    let down = within(part.down.iter().map(|o| Span::new(o.from, o.to)).collect()).minus(&absent);
    let unknown = within(part.unknown.iter().map(|u| u.0).collect())
        .union(&not_recorded)
        .minus(&down)
        .minus(&absent);
    let lower = within(part.down.iter().map(Outage::surest).collect()).minus(&absent);
    let widest = within(
        part.down
            .iter()
            .map(Outage::widest)
            .chain(part.possible_down.iter().copied())
            .collect(),
    )
    .minus(&absent);
    let upper = widest.union(&down).minus(&unknown);
    let owed = contract
        .service_hours
        .as_ref()
        .map_or_else(|| Spans::new(vec![span]), |h| service_spans(h, span))
        .minus(&spared);
    let left = Spans::new(part.left_while_down.clone()).both(&owed);
    (
        Measured {
            service,
            maintenance: windows.admitted.clone(),
            down,
            unknown,
            future,
            lower,
            upper,
            left,
            upper_beyond: 0,
        },
        windows,
    )
}

/// Time before or between services that the contract deems up.
fn absent(contract: &Contract, part: &Recorded, past: &Spans) -> Spans {
    if contract.before_in_service == BeforeInService::AsUp && !part.in_service.is_empty() {
        past.minus(&Spans::new(part.in_service.clone()))
    } else {
        Spans::default()
    }
}

/// One component's record before a contract cuts it: where it is known to be up, outages of several
/// together end.
pub fn uncut(part: &Recorded) -> Measured {
    let always = Spans::new(vec![Span::new(-OPEN, OPEN)]);
    let service = if part.in_service.is_empty() {
        always
    } else {
        Spans::new(part.in_service.clone())
    };
    let down =
        Spans::new(part.down.iter().map(|o| Span::new(o.from, o.to)).collect()).both(&service);
    let unknown = Spans::new(part.unknown.iter().map(|u| u.0).collect())
        .minus(&down)
        .both(&service);
    Measured {
        service,
        down,
        unknown,
        ..Measured::default()
    }
}

/// Down when any is down. A component takes no part while it is not in its service time.
pub fn series(all: &[Measured]) -> Measured {
    let any = |pick: fn(&Measured) -> &Spans| {
        all.iter()
            .fold(Spans::default(), |sum, m| sum.union(pick(m)))
    };
    let down = any(|m| &m.down);
    let unknown = any(|m| &m.unknown).minus(&down);
    let (service, maintenance) = together(all);
    let (upper, lower, future) = (
        any(|m| &m.upper).minus(&unknown),
        any(|m| &m.lower),
        any(|m| &m.future),
    );
    Measured {
        service,
        maintenance,
        upper,
        lower,
        future,
        down,
        unknown,
        left: any(|m| &m.left),
        upper_beyond: 0,
    }
}

/// Down when all that take part are down.
pub fn parallel(all: &[Measured]) -> Measured {
    let (service, maintenance) = together(all);
    let future = all
        .iter()
        .fold(Spans::default(), |sum, m| sum.union(&m.future));
    let past = service.minus(&future);
    // Everything but what somebody who takes part keeps up.
    let unless = |kept_up: fn(&Measured) -> Spans| {
        past.minus(&all.iter().fold(Spans::default(), |sum, m| {
            sum.union(&kept_up(m).minus(&m.future))
        }))
    };
    let down = unless(|m| m.service.minus(&m.down));
    let unknown = unless(|m| m.service.minus(&m.down).minus(&m.unknown)).minus(&down);
    let lower = unless(|m| m.service.minus(&m.lower));
    let upper = unless(|m| m.service.minus(&m.upper).minus(&m.unknown)).minus(&unknown);
    // While others take part they decide.
    let left = all
        .iter()
        .fold(Spans::default(), |sum, m| sum.union(&m.left))
        .minus(&service);
    Measured {
        service,
        maintenance,
        down,
        unknown,
        future,
        lower,
        upper,
        left,
        upper_beyond: 0,
    }
}

/// Service while any is in service; maintenance where that leaves a hole, or where a window stays
/// inside.
fn together(all: &[Measured]) -> (Spans, Spans) {
    let service = all
        .iter()
        .fold(Spans::default(), |sum, m| sum.union(&m.service));
    let windows = all
        .iter()
        .fold(Spans::default(), |sum, m| sum.union(&m.maintenance));
    let excluded = all
        .iter()
        .any(|m| m.maintenance.both(&m.service).length() < m.maintenance.length());
    let maintenance = if excluded {
        windows.minus(&service)
    } else {
        windows
    };
    (service, maintenance)
}

/// When the last of several ends.
pub fn end_of(timeline: &Timeline) -> UtcMs {
    timeline.to.unwrap_or(OPEN)
}
