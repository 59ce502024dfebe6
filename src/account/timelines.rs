//! Timelines of components with the maintenance that was declared in them, also under the names
//! that components had before.

use serde_json::{Value, json};

use super::figures::{Part, components, members, say_not_seen};
use super::recorded::RecordedComponent;
use super::shown::ShownTimeline;
use crate::history::HistoryError;
use crate::history::component_lineage::ComponentLineage;
use crate::history::read_tallies::WhichTallies;
use crate::history::reader::HistoryReader;
use crate::judgement::maintenance::AHEAD_MS;
use crate::judgement::sla::record::Declared;
use crate::judgement::timeline::Span;
use crate::words::{Name, UtcMs};

/// `probity-timeline/2` of components over a period.
pub fn timeline_json(
    reader: &HistoryReader,
    parts: &[Part],
    period: Span,
    now: UtcMs,
) -> Result<Value, HistoryError> {
    let (period, components, windows) = timeline_parts(reader, parts, period, now)?;
    Ok(json!(ShownTimeline::of(period, &components, &windows)))
}

/// What it is made of: the period that is settled, its components, and the windows that were
/// declared, up to [`AHEAD_MS`] after now.
pub fn timeline_parts(
    reader: &HistoryReader,
    parts: &[Part],
    period: Span,
    now: UtcMs,
) -> Result<(Span, Vec<RecordedComponent>, Vec<Declared>), HistoryError> {
    let foreseen = Span::new(period.from, period.to.min(now + AHEAD_MS));
    let windows = maintenance(reader, parts, foreseen)?;
    let (period, mut components) = components(reader, parts, period, WhichTallies::All)?;
    say_not_seen(reader, parts, &mut components, period, None)?;
    Ok((period, components, windows))
}

/// The windows that were declared in a period, as contracts read them: by component.
pub fn maintenance(
    reader: &HistoryReader,
    parts: &[Part],
    period: Span,
) -> Result<Vec<Declared>, HistoryError> {
    let mut list = Vec::new();
    let stored = reader.windows()?;
    let renamed = if stored.is_empty() {
        Vec::new()
    } else {
        renamed(reader, parts)?
    };
    for stored in stored {
        let w = &stored.window;
        // What was declared for a component under an earlier name of it, for the time in which it
        // had that.
        for (component, span, _) in renamed
            .iter()
            .filter(|(.., earlier)| w.components.contains(earlier))
        {
            let declared = stored.declared(period, Some(vec![component.to_string()]));
            list.extend(declared.into_iter().filter_map(|d| {
                Span::new(d.from, d.to).cut(*span).map(|s| Declared {
                    from: s.from,
                    to: s.to,
                    ..d
                })
            }));
        }
        let is_all = w.components.is_empty() && w.endpoints.is_empty();
        let present = |part: &Part| {
            part.endpoints
                .iter()
                .map(|(e, _)| e.clone())
                .filter(|e| !part.former.contains(e))
                .collect::<Vec<_>>()
        };
        let is_whole = |part: &&Part| {
            w.components.contains(&part.component)
                || !present(part).is_empty()
                    && present(part)
                        .iter()
                        .all(|e| w.endpoints.iter().any(|n| n.as_str() == *e))
        };
        let named: Vec<String> = parts
            .iter()
            .filter(is_whole)
            .map(|p| p.component.to_string())
            .collect();
        if is_all || !named.is_empty() {
            list.extend(stored.declared(period, if is_all { None } else { Some(named) }));
        }
    }
    Ok(list)
}

/// Components that had another name: when, and which.
fn renamed(
    reader: &HistoryReader,
    parts: &[Part],
) -> Result<Vec<(Name, Span, Name)>, HistoryError> {
    let calendar = reader.calendar()?;
    let mut list = Vec::new();
    for part in parts {
        let members = members(calendar, part);
        let lineage = ComponentLineage::of(reader, part.component.as_str(), &members)?;
        list.extend(lineage.earlier.iter().filter_map(|(span, name)| {
            Some((part.component.clone(), *span, Name::new(name).ok()?))
        }));
    }
    Ok(list)
}

/// Of components that are not there under these names, those that go on under another, with that
/// name.
pub fn called_now(
    reader: &HistoryReader,
    parts: &[Part],
    names: &[Name],
) -> Result<Vec<(Name, Name)>, HistoryError> {
    let renamed = renamed(reader, parts)?;
    let latest = |name: &Name| {
        renamed
            .iter()
            .filter(|(.., earlier)| earlier == name)
            .max_by_key(|(_, span, _)| span.to)
            .map(|(now, ..)| now.clone())
    };
    Ok(names
        .iter()
        .filter_map(|name| Some((name.clone(), latest(name)?)))
        .collect())
}
