//! What every component has, whether a contract names it or not: availability with its bounds,
//! outages, the longest, and the means of and between them, over the present calendar month (UTC)
//! and the one before.
//!
//! Judged now and then for metrics and page beside the contracts, and on demand for
//! `/api/v1/components`.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::sync::{Arc, Weak};

use serde_json::{Value, json};

use crate::account::figures::{NotSeen, Part, components, say_not_seen};
use crate::account::figures::{parts_of, states_of_components};
use crate::account::recorded::timeline;
use crate::config::Plan;
use crate::engine::board::Board;
use crate::history::HistoryError;
use crate::history::read_tallies::WhichTallies;
use crate::history::reader::HistoryReader;
use crate::judgement::sla::calendar::{PeriodKind, current_and_previous};
use crate::judgement::sla::contract::Contract;
use crate::judgement::sla::evaluate::evaluate;
use crate::judgement::sla::evaluation::Evaluation;
use crate::judgement::timeline::{Span, StateSpans};
use crate::report::sla::answer;
use crate::serve::listener::making::{Unmade, write_list};
use crate::words::{Ms, Name, UtcMs};

/// Components of one answer; an endpoint without one is a component of its own, and there may be a
/// hundred thousand.
const AT_ONCE: usize = 1000;

/// One component over one month.
#[derive(Clone)]
pub struct ComponentFigures {
    pub title: String,
    /// `current` or `previous`.
    pub which: &'static str,
    /// `2026-11`.
    pub month: String,
    pub judged: Evaluation,
    /// Outages shorter than this, between two probes, are not seen.
    pub not_seen_below: Option<Ms>,
}

/// Those that the config declares or a contract names; metrics and page show these.
pub fn named(plan: &Plan) -> Vec<Name> {
    let mut names: Vec<Name> = plan.components.keys().cloned().collect();
    names.extend(
        plan.contracts
            .list
            .iter()
            .flat_map(|c| c.components.clone()),
    );
    names.extend(
        plan.contracts
            .tenants
            .iter()
            .flat_map(|t| t.components.clone()),
    );
    names.sort();
    names.dedup();
    names.truncate(AT_ONCE);
    names
}

/// The figures of the given components, as far as anything is recorded of them.
pub fn figures(
    reader: &HistoryReader,
    board: &Board,
    names: &[Name],
    now: UtcMs,
    not_seen: NotSeen,
) -> Result<Vec<ComponentFigures>, HistoryError> {
    let plan = board.plan.load_full();
    let names: HashSet<&Name> = names.iter().collect();
    let parts: Vec<Part> = parts_of(reader, board)?
        .into_iter()
        .filter(|p| names.contains(&p.component))
        .collect();
    let present: Vec<Name> = parts.iter().map(|p| p.component.clone()).collect();
    let Some(each) = Contract::of_each(present, jiff::tz::TimeZone::UTC) else {
        return Ok(Vec::new());
    };
    let mut list = Vec::new();
    for ((month, period), which) in current_and_previous(PeriodKind::CalendarMonth, &each.zone, now)
        .into_iter()
        .zip(["current", "previous"])
    {
        let until = Span::new(period.from, period.to.min(now).max(period.from));
        let (reached, mut recorded) = components(reader, &parts, until, WhichTallies::Sealed)?;
        if not_seen == NotSeen::Included {
            say_not_seen(reader, &parts, &mut recorded, reached, None)?;
        }
        let record = timeline(reached, recorded, Vec::new());
        // Every component is in the timeline, and time is measured: nothing is left that could not
        // be judged. A month before its first start is none of a component's.
        for judged in evaluate(&each, &[], &record, period)
            .unwrap_or_default()
            .into_iter()
            .filter(Evaluation::was_in_service)
        {
            let title = judged.component.as_ref().map_or(String::new(), |c| {
                plan.components
                    .get(c)
                    .map_or(c.to_string(), |known| known.title.clone())
            });
            let not_seen_below = record.not_seen_below(judged.component.as_slice());
            list.push(ComponentFigures {
                title,
                which,
                month: month.clone(),
                judged,
                not_seen_below,
            });
        }
    }
    Ok(list)
}

/// How far back the page shows the states of a component.
const SHOWN_DAYS: i64 = 361;

/// The whole year is read anew after so long, and with each config: what was excluded or corrected
/// of earlier days shows by then. In between, the last two days are.
const WHOLE_YEAR_EVERY_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// The states of the components that the config declares, over the last year.
#[derive(Default)]
pub struct ComponentStates {
    pub by_name: BTreeMap<Name, StateSpans>,
    /// When the whole year was read, and by which config.
    whole: (UtcMs, Weak<Plan>),
}

impl ComponentStates {
    /// `before`: as they were read last.
    pub fn read(
        reader: &HistoryReader,
        board: &Board,
        now: UtcMs,
        before: &ComponentStates,
    ) -> Result<Self, HistoryError> {
        let plan = board.plan.load_full();
        if plan.components.is_empty() {
            return Ok(Self::default());
        }
        let mut parts = parts_of(reader, board)?;
        parts.retain(|p| plan.components.contains_key(&p.component));
        parts.truncate(AT_ONCE);
        let of_plan = Arc::downgrade(&plan);
        let is_new = |part: &Part| !before.by_name.contains_key(&part.component);
        let is_whole = before.is_old(now, &of_plan) || parts.iter().any(is_new);
        let from = now - if is_whole { SHOWN_DAYS } else { 2 } * DAY_MS;
        let states = states_of_components(reader, &parts, Span::new(from, now))?;
        let names = parts.into_iter().map(|p| p.component);
        let mut by_name: BTreeMap<Name, StateSpans> = names.zip(states).collect();
        if is_whole {
            return Ok(Self {
                by_name,
                whole: (now, of_plan),
            });
        }
        for (name, states) in &mut by_name {
            if let Some(known) = before.by_name.get(name) {
                // What was settled later than a day ago is taken from what was read now.
                let seam = known.end().clamp(now - 2 * DAY_MS, now - DAY_MS);
                *states = known.until(seam).and(&states.cut(Span::new(seam, now)));
            }
        }
        Ok(Self {
            by_name,
            whole: before.whole.clone(),
        })
    }

    /// Whether the year has to be read: it was long ago, or by another config.
    fn is_old(&self, now: UtcMs, plan: &Weak<Plan>) -> bool {
        let (at, of) = &self.whole;
        !(0..WHOLE_YEAR_EVERY_MS).contains(&(now - at)) || !Weak::ptr_eq(of, plan)
    }
}

/// `/api/v1/components`; `only` names one, else all where they are few, else those that the config
/// names.
pub fn json(
    reader: &HistoryReader,
    board: &Board,
    only: Option<&Name>,
    now: UtcMs,
) -> Result<impl FnOnce(&mut dyn Write) -> Result<(), Unmade> + use<>, HistoryError> {
    let all: Vec<Name> = parts_of(reader, board)?
        .into_iter()
        .map(|p| p.component)
        .collect();
    let names = match only {
        Some(name) => vec![name.clone()],
        None if all.len() <= AT_ONCE => all,
        None => named(&board.plan.load()),
    };
    let figures = figures(reader, board, &names, now, NotSeen::Included)?;
    let blind = figures
        .iter()
        .filter_map(|f| f.not_seen_below)
        .max()
        .unwrap_or(0);
    let frame = json!({
        "schema": "probity-components/2",
        "zone_data": crate::judgement::zones::in_use().to_json(),
        "components": [], "not_seen_below_ms": blind,
    });
    Ok(move |out: &mut dyn Write| write_list(out, &frame, "components", figures.iter().map(one)))
}

fn one(f: &ComponentFigures) -> Value {
    let j = &f.judged;
    let Some(plain) = Contract::of_each(
        j.component.iter().cloned().collect(),
        jiff::tz::TimeZone::UTC,
    ) else {
        return Value::Null;
    };
    let answer = answer(&plain, j.span, std::slice::from_ref(j), &[]);
    let Some(r) = answer.results.first() else {
        return Value::Null;
    };
    json!({
        "component": j.component.as_ref().map(Name::as_str), "title": f.title, "which": f.which,
        "name": f.month, "period": answer.period,
        "up_ms": r.up_ms, "down_ms": r.down_ms, "unknown_ms": r.unknown_ms,
        "future_ms": r.future_ms,
        "down_lower_ms": r.down_lower_ms, "down_upper_ms": r.down_upper_ms,
        "availability_percent": r.availability_percent,
        "lower_bound_percent": r.lower_bound_percent,
        "upper_bound_percent": r.upper_bound_percent,
        "complete": r.complete, "not_seen_below_ms": f.not_seen_below,
        "outage_summary": r.outage_summary,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgement::timeline::Spans;

    fn of(covered: Span, down: Span) -> StateSpans {
        StateSpans {
            covered: Spans::new(vec![covered]),
            down: Spans::new(vec![down]),
            down_lower: Spans::new(vec![down]),
            ..StateSpans::default()
        }
    }

    #[test]
    fn the_last_days_take_the_place_of_what_was_known_of_them() {
        let known = of(Span::new(0, 90), Span::new(40, 90));
        let fresh = of(Span::new(50, 100), Span::new(50, 70));
        let both = known.until(60).and(&fresh.cut(Span::new(60, 100)));
        assert_eq!(both, of(Span::new(0, 100), Span::new(40, 70)));
    }

    #[test]
    fn the_year_is_read_each_hour_and_with_each_config() {
        let (plan, other) = (Arc::new(Plan::empty()), Arc::new(Plan::empty()));
        let of_plan = Arc::downgrade(&plan);
        let at = 400 * DAY_MS;
        let known = ComponentStates {
            by_name: BTreeMap::new(),
            whole: (at, of_plan.clone()),
        };
        let is_old = |known: &ComponentStates, now: i64, plan: &Arc<Plan>| {
            known.is_old(now, &Arc::downgrade(plan))
        };
        assert!(!is_old(&known, at + 3_599_999, &plan));
        assert!(is_old(&known, at + 3_600_000, &plan));
        assert!(is_old(&known, at - 1, &plan), "the clock was set back");
        assert!(is_old(&known, at, &other));
        assert!(is_old(&ComponentStates::default(), at, &plan));
    }
}
