//! Maintenance windows in the recorder: declared, ended, and given to the judges, which count the
//! time inside them apart.

use std::sync::Arc;

use super::{Kept, Recorder, TrackedEndpoint};
use crate::history::event::{MaintenanceDeclaredEvent, MaintenanceEndedEvent};
use crate::judgement::maintenance::{Origin, Stored, Window, spans_for};
use crate::judgement::timeline::Span;
use crate::words::{Ms, Name, format_utc};

/// Why something that a person asks for is not recorded.
pub const NO_ROOM: &str = "the disk has taken nothing for so long that no more events find room \
    in memory; nothing was recorded";
/// How far around now the judges know the windows; they are given again every hour.
const AHEAD_MS: i64 = 2 * 86_400_000;

/// The declared windows of one endpoint on the timeline.
pub fn windows_of(
    all: &[Stored],
    endpoint: &str,
    component: &str,
    settled: Ms,
    now: Ms,
    offset_ms: i64,
) -> Arc<[Span]> {
    if all.is_empty() {
        return Arc::default();
    }
    let within = Span::new(
        settled.min(now) as i64 + offset_ms,
        now as i64 + offset_ms + AHEAD_MS,
    );
    let spans = spans_for(all, endpoint, component, within);
    spans
        .as_slice()
        .iter()
        .map(|s| Span::new(s.from - offset_ms, s.to - offset_ms))
        .collect()
}

impl Recorder {
    /// What the history holds, at the start.
    pub fn restore_windows(&mut self, stored: Vec<Stored>) {
        self.board.windows.store(Arc::new(stored));
    }

    /// Holds the config's windows against those in force: what is new is declared, what is gone is
    /// ended.
    pub fn reconcile_windows(&mut self, configured: &[Window], now: Ms) {
        let in_force: Vec<Stored> = self
            .board
            .windows
            .load()
            .iter()
            .filter(|s| s.ended.is_none() && s.origin == Origin::Config)
            .cloned()
            .collect();
        for old in in_force.iter().filter(|s| !configured.contains(&s.window)) {
            if self.end_window(&old.window.id, "the config", now) != Ok(()) {
                tracing::error!(window = %old.window.id, "its end could not be recorded: it stays \
                    in force until the next reload");
            }
        }
        for window in configured
            .iter()
            .filter(|w| !in_force.iter().any(|s| s.window == **w))
        {
            if self.declare(window.clone(), "the config", Origin::Config, now) == Kept::No {
                tracing::error!(window = %window.id, "it could not be recorded: it is declared at \
                    the next reload");
            }
        }
        let is_same = in_force.len() == configured.len()
            && in_force.iter().all(|s| configured.contains(&s.window));
        if !is_same {
            self.update_windows(now);
        }
    }

    /// Declares a window from now on; never for time past.
    pub fn declare(&mut self, window: Window, by: &str, origin: Origin, now: Ms) -> Kept {
        let recorded = self.utc(now);
        let declared = MaintenanceDeclaredEvent::new(&window, by, origin);
        if self.event(now, declared) == Kept::No {
            return Kept::No;
        }
        tracing::info!(window = %window.id, by, "maintenance declared");
        self.change_windows(|all| {
            all.push(Stored {
                window,
                recorded,
                ended: None,
                by: by.to_owned(),
                origin,
            })
        });
        Kept::Yes
    }

    /// Ends a window from now on; the error says why not.
    pub fn end_window(&mut self, id: &Name, by: &str, now: Ms) -> Result<(), String> {
        let at = self.utc(now);
        let is_there = self
            .board
            .windows
            .load()
            .iter()
            .any(|s| s.window.id == *id && s.ended.is_none());
        if !is_there {
            return Err(format!("no window `{id}` is in force"));
        }
        let ended = MaintenanceEndedEvent {
            id: id.to_string(),
            by: by.to_owned(),
            from: format_utc(at),
        };
        if self.event(now, ended) == Kept::No {
            return Err(NO_ROOM.to_owned());
        }
        tracing::info!(window = %id, by, "maintenance ended");
        self.change_windows(|all| {
            all.iter_mut()
                .filter(|s| s.window.id == *id && s.ended.is_none())
                .for_each(|s| s.ended = Some(at))
        });
        Ok(())
    }

    /// An endpoint goes on under another name: windows that named it concern it still.
    pub fn rename_in_windows(&mut self, before: &Name, after: &Name) {
        if self
            .board
            .windows
            .load()
            .iter()
            .any(|s| s.window.endpoints.contains(before))
        {
            self.change_windows(|all| {
                all.iter_mut()
                    .flat_map(|s| &mut s.window.endpoints)
                    .filter(|n| *n == before)
                    .for_each(|n| *n = after.clone())
            });
        }
    }

    fn change_windows(&mut self, change: impl FnOnce(&mut Vec<Stored>)) {
        let mut all = self.board.windows.load().as_ref().clone();
        change(&mut all);
        self.board.windows.store(Arc::new(all));
    }

    /// Gives every judge the windows around now; messages that wait follow them.
    pub fn update_windows(&mut self, now: Ms) {
        self.hold_messages(now);
        self.receivers.unknown.windows_changed();
        let (all, offset) = (self.board.windows.load_full(), self.offset_ms);
        if all.is_empty() {
            return;
        }
        for tracked in self.tracked.iter_mut().filter(|c| c.in_service) {
            set_windows_of(tracked, &all, now, offset);
        }
    }

    /// Gives one endpoint's judge the windows, as it is new or belongs to another component.
    pub fn update_windows_of(&mut self, index: usize, now: Ms) {
        let (all, offset) = (self.board.windows.load_full(), self.offset_ms);
        set_windows_of(&mut self.tracked[index], &all, now, offset);
        self.hold_messages_of(index, now);
        self.receivers.unknown.windows_changed();
    }
}

fn set_windows_of(tracked: &mut TrackedEndpoint, all: &[Stored], now: Ms, offset: i64) {
    let endpoint = tracked.entry.endpoint.load();
    let settled = tracked.judge.ledger().watermark;
    tracked.judge.set_windows(windows_of(
        all,
        endpoint.name.as_str(),
        endpoint.component.as_str(),
        settled,
        now,
        offset,
    ));
}

#[cfg(test)]
mod tests {
    use super::super::tests::recorder;
    use super::*;
    use crate::history::event::AnnotationEvent;

    #[test]
    fn a_record_that_finds_no_room_is_refused() {
        let mut recorder = recorder("1s");
        let note = || AnnotationEvent {
            of: 1,
            text: "x".into(),
            by: "anna".into(),
        };
        while recorder.event(1, note()) == Kept::Yes {}
        let window = Window::from_json(&serde_json::json!({
            "id": "w", "components": [], "endpoints": ["e"], "start": "2026-12-06T02:00:00",
            "time_zone": "UTC", "every": [], "duration_ms": 3_600_000,
            "announced_at": null, "reason": "x",
        }))
        .expect("a window");
        assert_eq!(
            recorder.declare(window, "anna", Origin::Person, 5),
            Kept::No
        );
        assert!(recorder.board.windows.load().is_empty());
        assert_eq!(recorder.event(5, note()), Kept::No);
    }
}
