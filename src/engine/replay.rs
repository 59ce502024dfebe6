//! Brings stored judges up to date: replays the inputs of the marks that came after they were
//! stored.

use std::collections::HashMap;

use super::inputs;
use super::recorder::windows::windows_of;
use crate::history::HistoryError;
use crate::history::restore::Restored;
use crate::judgement::rules::{Cadence, Rules};
use crate::judgement::state::Judge;
use crate::judgement::state_codec::decode_with;

/// Cadence and judge of each endpoint by its number in the history, exactly as they were at the
/// last mark.
///
/// `windows`: the maintenance that was declared, which the judges count apart.
pub fn judges(
    restored: &Restored,
    windows: &[crate::judgement::maintenance::Stored],
) -> Result<HashMap<i64, (Cadence, Judge)>, HistoryError> {
    let damaged = |why: String| HistoryError::Damaged {
        path: "history".into(),
        why,
    };
    struct Stored {
        rules: Rules,
        judge: Judge,
        through: u64,
    }
    let mut stored: HashMap<i64, Stored> = HashMap::new();
    for (name, endpoint) in &restored.endpoints {
        if let Some(bytes) = &endpoint.judge {
            let (cadence, mut judge) =
                decode_with(bytes).map_err(|e| damaged(format!("{name}: {e}")))?;
            let now = restored.last.as_ref().map_or(0, |s| s.timeline_ms);
            judge.set_windows(windows_of(
                windows,
                name.as_str(),
                endpoint.component.as_str(),
                judge.ledger().watermark,
                now,
                restored.offset_ms,
            ));
            stored.insert(
                endpoint.id,
                Stored {
                    rules: Rules::new(cadence),
                    judge,
                    through: endpoint.judged_through,
                },
            );
        }
    }
    let mut changes = Vec::new();
    for (mark, bytes) in &restored.marks {
        let logged = inputs::read(bytes).map_err(|e| damaged(format!("mark {mark}: {e}")))?;
        for (id, input) in logged.inputs {
            // Inputs of an endpoint without a stored judge cannot be: its first judge is stored
            // with its first input.
            if let Some(s) = stored.get_mut(&(id as i64)).filter(|s| *mark > s.through) {
                input.apply(
                    &mut s.judge,
                    &Rules {
                        onset: logged.onset,
                        ..s.rules
                    },
                    &mut changes,
                );
                changes.clear();
            }
        }
    }
    Ok(stored
        .into_iter()
        .map(|(id, s)| (id, (s.rules.cadence, s.judge)))
        .collect())
}
