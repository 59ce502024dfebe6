//! What contracts will say of a maintenance window that is being declared.

use std::collections::BTreeMap;

use super::messages::Admission;
use crate::config::Plan;
use crate::config::document::value::show_duration;
use crate::judgement::maintenance::{Stored, Window};
use crate::judgement::sla::calendar::PeriodKind;
use crate::judgement::sla::calendar::current_and_previous;
use crate::judgement::sla::contract::{Announcement, Contract};
use crate::judgement::sla::measure::windows;
use crate::judgement::sla::record::{Recorded, Timeline};
use crate::judgement::timeline::{Span, Spans};
use crate::words::Name;

/// What the contracts of a plan will say of the next occurrence of a window, beside the windows
/// that are declared.
pub fn admissions(plan: &Plan, declared: &[Stored], fresh: &Stored, next: Span) -> Vec<Admission> {
    let mut of = Membership::new();
    if !plan.contracts.list.is_empty() {
        plan.endpoints
            .iter()
            .for_each(|e| of.entry(&e.component).or_default().push(&e.name));
    }
    plan.contracts
        .list
        .iter()
        .filter_map(|c| admission(c, &of, declared, fresh, next))
        .collect()
}

/// Components with the names of their endpoints.
type Membership<'p> = BTreeMap<&'p Name, Vec<&'p Name>>;

/// The components that a window concerns whole; `None`: all.
fn whole_components(window: &Window, of: &Membership) -> Option<Vec<String>> {
    if window.components.is_empty() && window.endpoints.is_empty() {
        return None;
    }
    let is_whole = |(component, endpoints): &(&&Name, &Vec<&Name>)| {
        window.components.contains(component)
            || !window.endpoints.is_empty()
                && endpoints.iter().all(|e| window.endpoints.contains(e))
    };
    Some(
        of.iter()
            .filter(is_whole)
            .map(|(component, _)| component.to_string())
            .collect(),
    )
}

/// What a contract will say of a window's next occurrence, by its own rules and beside the windows
/// that are declared; nothing where it concerns none of its components.
fn admission(
    contract: &Contract,
    of: &Membership,
    declared: &[Stored],
    fresh: &Stored,
    next: Span,
) -> Option<Admission> {
    let admission = |admitted: bool, why: Option<String>| {
        Some(Admission {
            sla: contract.name.to_string(),
            admitted,
            why,
        })
    };
    let concerned = whole_components(&fresh.window, of);
    let mine: Vec<&Name> = contract
        .components
        .iter()
        .filter(|c| {
            concerned
                .as_ref()
                .is_none_or(|list| list.iter().any(|n| n == c.as_str()))
        })
        .collect();
    if mine.is_empty() {
        let in_part = contract.components.iter().find(|c| {
            of.get(c)
                .is_some_and(|list| list.iter().any(|e| fresh.window.endpoints.contains(e)))
        })?;
        let why = format!(
            "it concerns only some of the endpoints of {in_part}, and a contract counts components"
        );
        return admission(false, Some(why));
    }
    let period = match contract.period {
        PeriodKind::Rolling(length) => Span::new(next.to - length as i64, next.to),
        kind => current_and_previous(kind, &contract.zone, next.from)[0].1,
    };
    let occurrence = next.cut(period).unwrap_or(next);
    let before = declared_in(period, declared.iter(), of);
    let after = declared_in(period, declared.iter().chain([fresh]), of);
    let gain = |component: &&Name| {
        admitted(contract, component, &after, period)
            .minus(&admitted(contract, component, &before, period))
            .cut(occurrence)
            .length()
    };
    match mine.iter().map(gain).min().unwrap_or(0) {
        all if all == occurrence.length() => admission(true, None),
        0 => admission(false, Some(why_nothing(contract, fresh, next).to_owned())),
        part => {
            let why = format!(
                "only {} of it fit the allowance of a period",
                show_duration(part)
            );
            admission(true, Some(why))
        }
    }
}

/// The windows that touch a period, as contracts read them.
fn declared_in<'s>(
    period: Span,
    list: impl Iterator<Item = &'s Stored>,
    of: &Membership,
) -> Timeline {
    let touching = list.filter(|s| !s.window.occurrences(period).is_empty());
    Timeline {
        maintenance: touching
            .flat_map(|s| s.declared(period, whole_components(&s.window, of)))
            .collect(),
        ..Timeline::default()
    }
}

/// The maintenance of a component that a contract takes out of the service time of a period.
fn admitted(contract: &Contract, component: &Name, timeline: &Timeline, period: Span) -> Spans {
    let part = Recorded {
        name: component.to_string(),
        ..Recorded::default()
    };
    windows(contract, &part, timeline, &Spans::new(vec![period])).admitted
}

/// Why a contract takes nothing of a window out of its service time.
fn why_nothing(contract: &Contract, fresh: &Stored, next: Span) -> &'static str {
    let announced = match contract.maintenance.announcement {
        Announcement::Claimed => fresh.window.announced_at.unwrap_or(fresh.recorded),
        Announcement::Recorded => fresh.recorded,
    };
    let is_late = contract
        .maintenance
        .notice
        .is_some_and(|notice| announced > next.from - notice as i64);
    if is_late {
        "it is announced later than the contract's notice before it starts"
    } else {
        "the allowance of its period is used up by other windows, or they cover it"
    }
}
