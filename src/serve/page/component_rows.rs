//! The rows of the components that the config declares, above those of the endpoints.
//!
//! Their states are those of now. Their figures are judged beside the contracts every few seconds
//! (`daemon::run`), as a component may have more endpoints than can be read for a page.

use std::collections::HashMap;

use super::PageContext;
use super::bar::{Bar, BarSpan, bar};
use super::chosen::ChosenEndpoints;
use super::endpoints::objective;
use super::listed_endpoint::ListedEndpoint;
use super::shown::{Cell, cell, component_cell};
use crate::account::figures::{last_30_days, today};
use crate::judgement::timeline::StateSpans;
use crate::serve::component_members::Members;
use crate::words::{Name, StateName, people};

/// Components that are shown; the page of contracts has all of them.
const ROWS: usize = 100;

/// One component.
pub struct ComponentLine {
    pub title: String,
    /// Empty where it is the title.
    pub id: String,
    /// Of its endpoints.
    pub address: String,
    pub state: &'static str,
    pub bar: Bar,
    pub today: Cell,
    pub thirty_days: Cell,
    /// The calendar month, as API and metrics have it.
    pub month: Cell,
    pub objective: String,
    pub is_missed: bool,
    /// In the month.
    pub outages: String,
    pub longest: String,
    pub endpoints: String,
}

/// Those that the choice takes, down before unknown before up, and how many more there are.
pub fn component_rows(
    context: &PageContext,
    seen: &[ListedEndpoint],
    wanted: &ChosenEndpoints,
    span: BarSpan,
) -> (Vec<ComponentLine>, usize) {
    let plan = context.board.plan.load();
    if plan.components.is_empty() {
        return (Vec::new(), 0);
    }
    let keys = plan.components.keys();
    let mut members: HashMap<&str, Members> = keys
        .map(|name| (name.as_str(), Members::default()))
        .collect();
    for s in seen {
        if let Some(of) = members.get_mut(s.entry.endpoint.load().component.as_str()) {
            of.count(s.state);
        }
    }
    let with_state = plan.components.iter().filter_map(|(name, component)| {
        let of = members.get(name.as_str()).filter(|of| of.all > 0)?;
        let state = of.state(component.combine);
        let is_shown = wanted.takes_component(name.as_str(), &component.title, state);
        is_shown.then_some((name, component, of, state))
    });
    let mut list: Vec<_> = with_state.collect();
    list.sort_by_key(|(.., state)| match state {
        StateName::Down => 0,
        StateName::Unknown => 1,
        StateName::Up => 2,
    });
    let more = list.len().saturating_sub(ROWS);
    let rows = list
        .into_iter()
        .take(ROWS)
        .map(|(name, component, of, state)| {
            let mut line = line(context, name, span);
            line.title.clone_from(&component.title);
            if component.title != name.as_str() {
                line.id = name.to_string();
            }
            line.state = state.as_str();
            line.endpoints = of.in_words();
            line
        });
    (rows.collect(), more)
}

/// The figures of one component, as they were judged last.
fn line(context: &PageContext, name: &Name, span: BarSpan) -> ComponentLine {
    let (statuses, now) = (context.contract_statuses, context.now);
    let nothing = StateSpans::default();
    let states = statuses.states.by_name.get(name).unwrap_or(&nothing);
    let drawn = span.period(now);
    let mut components = statuses.components.iter();
    let month = components
        .find(|f| f.which == "current" && f.judged.component.as_ref() == Some(name))
        .map(|f| &f.judged);
    let summary = month.map(|j| j.outage_summary).unwrap_or_default();
    let (objective, is_missed) = objective(context, name.as_str());
    let mut form = url::form_urlencoded::Serializer::for_suffix(String::from("/?"), 2);
    form.append_pair("component", name.as_str());
    ComponentLine {
        title: String::new(),
        id: String::new(),
        address: form.finish(),
        state: "",
        bar: bar(&states.cut(drawn), drawn),
        today: cell(&states.cut(today(now)).sums()),
        thirty_days: cell(&states.cut(last_30_days(now)).sums()),
        month: component_cell(month),
        objective,
        is_missed,
        outages: month.map_or(String::new(), |_| summary.count.to_string()),
        longest: if summary.count > 0 {
            people::duration(summary.longest)
        } else {
            String::new()
        },
        endpoints: String::new(),
    }
}
