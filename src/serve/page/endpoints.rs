//! The rows of endpoints.

use super::PageContext;
use super::bar::{Bar, BarSpan, bar};
use super::listed_endpoint::{ends_of, ends_soon};
use super::shown::{Cell, cell, clock, endpoint_address, millis};
use crate::account::figures::{last_30_days, of_entry, today};
use crate::config::Endpoint;
use crate::engine::board::{Board, Entry, View};
use crate::history::HistoryError;
use crate::judgement::latency::{Ending, Series, quantile};
use crate::judgement::maintenance::spans_for;
use crate::judgement::sla::calendar::{PeriodKind, current_and_previous};
use crate::judgement::sla::evaluation::{ContractVerdict, Evaluation};
use crate::judgement::sla::exact::{Exact, plain};
use crate::judgement::timeline::Span;
use crate::serve::contracts::ContractStatuses;
use crate::words::{StateName, UtcMs, people};

/// One endpoint.
pub struct EndpointRow {
    pub name: String,
    pub address: String,
    pub component: String,
    /// With the kind, where the target does not say it.
    pub target: String,
    pub state: &'static str,
    /// Why it is unknown, and whether maintenance is declared.
    pub why: String,
    pub since: String,
    pub lasting: String,
    pub bar: Bar,
    pub today: Cell,
    pub thirty_days: Cell,
    /// The calendar month.
    pub month: Cell,
    /// What contracts ask of the component in percent; empty without one.
    pub objective: String,
    /// A contract with the component is missed in its present period.
    pub is_missed: bool,
    pub p50: String,
    pub p99: String,
    pub last: String,
    pub detail: String,
    /// How long the certificate is valid; empty without one.
    pub certificate: String,
    pub expires_soon: bool,
}

pub fn row(
    context: &PageContext,
    entry: &Entry,
    span: BarSpan,
) -> Result<EndpointRow, HistoryError> {
    let (now, endpoint) = (context.now, entry.endpoint.load_full());
    let view: View = entry.view().clone();
    let drawn = span.period(now);
    let month = this_month(now);
    let from = [drawn.from, last_30_days(now).from, month.from];
    let longest = Span::new(from.into_iter().min().unwrap_or(now), now);
    let (record, _) = of_entry(context.reader, entry, longest)?;
    let sums = |period: Span| record.timeline(period).sums();
    let (objective, is_missed) = objective(context, endpoint.component.as_str());
    let hour = view
        .hour
        .since(now - 3_600_000, Series::Whole(Ending::Success));
    let at = |ppm| quantile(&hour, ppm).map_or(String::new(), millis);
    let certificate_ends = view.shown.certificate.as_deref().map(ends_of);
    let (last, detail) = last(&view);
    Ok(EndpointRow {
        address: endpoint_address(endpoint.name.as_str()),
        name: endpoint.name.to_string(),
        component: endpoint.component.to_string(),
        target: target(&endpoint),
        state: view.shown.state.as_str(),
        why: why(&view, context.board, &endpoint, now),
        since: clock(view.shown.since_utc),
        lasting: people::duration((now - view.shown.since_utc).max(0) as u64),
        bar: bar(&record.timeline(drawn), drawn),
        today: cell(&sums(today(now))),
        thirty_days: cell(&sums(last_30_days(now))),
        month: cell(&sums(month)),
        is_missed,
        objective,
        p50: at(500_000),
        p99: at(990_000),
        last,
        detail,
        certificate: certificate_ends.map_or(String::new(), |ends| validity(ends, now)),
        expires_soon: view
            .shown
            .certificate
            .as_deref()
            .is_some_and(|c| ends_soon(c, now)),
    })
}

/// URLs begin with their kind.
fn target(endpoint: &Endpoint) -> String {
    let target = endpoint.target();
    if target.contains("://") {
        return target;
    }
    format!("{} {target}", endpoint.probe.kind().as_str())
}

/// The calendar month so far, UTC, as contracts and components have it by default.
fn this_month(now: UtcMs) -> Span {
    let month = current_and_previous(PeriodKind::CalendarMonth, &jiff::tz::TimeZone::UTC, now)[0].1;
    Span::new(month.from, month.to.min(now))
}

/// What contracts ask of a component in percent, empty without one, and whether one is missed in
/// its present period.
pub fn objective(context: &PageContext, component: &str) -> (String, bool) {
    let statuses = context.contract_statuses;
    (
        strictest(statuses, component).map_or(String::new(), plain),
        is_missed(statuses, component),
    )
}

/// The highest objective of the contracts with this component, in percent.
fn strictest<'s>(contract_statuses: &'s ContractStatuses, component: &str) -> Option<&'s Exact> {
    let contracts = contract_statuses
        .list
        .iter()
        .filter(|s| s.which == "current");
    contracts
        .map(|s| &s.contract)
        .filter(|c| c.components.iter().any(|of| of.as_str() == component))
        .map(|c| &c.objective)
        .max()
}

fn is_missed(contract_statuses: &ContractStatuses, component: &str) -> bool {
    let of_it = |e: &&Evaluation| {
        e.tenant.is_none()
            && e.component
                .as_ref()
                .is_some_and(|c| c.as_str() == component)
    };
    let current = contract_statuses
        .list
        .iter()
        .filter(|s| s.which == "current");
    current
        .flat_map(|s| s.judged.iter().flatten().filter(of_it))
        .any(|e| e.verdict == ContractVerdict::Missed)
}

/// Days, and hours when there are few.
fn validity(ends: UtcMs, now: UtcMs) -> String {
    match ends - now {
        left if left <= 0 => "expired".to_owned(),
        left if left < 3 * 86_400_000 => format!("{} h", left / 3_600_000),
        left => format!("{} d", left / 86_400_000),
    }
}

/// What the last probe found, and more of it.
pub fn last(view: &View) -> (String, String) {
    match &view.last {
        None => ("not probed yet".to_owned(), String::new()),
        Some(l) => match l.why {
            None => (
                format!("{} in {}", l.result, millis(l.duration_us)),
                String::new(),
            ),
            Some(why) => (format!("{}: {why}", l.result), l.detail.clone()),
        },
    }
}

/// What stands beside the state.
pub fn why(view: &View, board: &Board, endpoint: &Endpoint, now: UtcMs) -> String {
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
