//! What became final of an endpoint: a line in the log, an event, a message to whoever is notified.

use super::message_text::OutageMessage;
use super::{EVENTS_WAITING_LIMIT, Recorder};
use crate::engine::events;
use crate::judgement::state::Change;
use crate::words::{Ms, Name, Reason, format_utc};

impl Recorder {
    pub(super) fn became_final(
        &mut self,
        index: usize,
        change: &Change,
        detail: Option<&str>,
        now: Ms,
    ) {
        let tracked = &self.tracked[index];
        let name = tracked.entry.endpoint.load().name.clone();
        // Time before an endpoint was measured for the first time is no news.
        let is_news = !matches!(change, Change::UnknownFrom { .. })
            || tracked.judge.transitions().unknown > 0;
        if is_news {
            log(&name, change, detail, self.offset_ms);
        }
        self.follow(index, change);
        let who = (self.tracked[index].id, name);
        let drafts = events::draft(who, change, now, self.offset_ms, self.utc(now));
        self.keep_events(index, change, drafts);
        let has_room = self.next_batch.outbox.len() < EVENTS_WAITING_LIMIT;
        if let Some(state) = message_of_change(change, detail, now).filter(|_| has_room) {
            let messages = self.notifications(index, state, now);
            self.next_batch.outbox.extend(messages);
        }
    }

    /// Since when the endpoint is what it is, and whether it is unknown.
    fn follow(&mut self, index: usize, change: &Change) {
        let offset = self.offset_ms;
        let utc = |at: Ms| at as i64 + offset;
        let tracked = &mut self.tracked[index];
        match *change {
            Change::Down { from: at, .. } | Change::Up { to: at, .. } | Change::FirstUp { at } => {
                (tracked.last_transition_utc, tracked.since_utc) = (utc(at), utc(at));
            }
            Change::OutageLeft { to, .. } | Change::OutOfService { to, .. } => {
                tracked.since_utc = utc(to);
            }
            Change::UnknownFrom { from, .. } => {
                (tracked.last_transition_utc, tracked.since_utc) = (utc(from), utc(from));
                if tracked.judge.transitions().unknown > 0 {
                    self.receivers.unknown.begins(tracked.id, index, from);
                }
            }
            Change::UnknownUntil { to, .. } => {
                self.receivers.unknown.ends(tracked.id);
                tracked.since_utc = tracked.judge.outage().map_or(utc(to), |o| utc(o.from));
            }
            Change::Proven { .. } | Change::Unconfirmed { .. } => {}
        }
    }
}

/// What receivers are sent about a change, if anything.
fn message_of_change<'d>(
    change: &Change,
    detail: Option<&'d str>,
    now: Ms,
) -> Option<OutageMessage<'d>> {
    match *change {
        Change::Down {
            from,
            confirmed_at,
            cause,
            ..
        } => Some(OutageMessage::Down {
            from,
            confirmed_at,
            cause,
            detail,
        }),
        Change::Up { from, to, down, .. } => Some(OutageMessage::Up { from, to, down }),
        Change::OutageLeft { from, .. } => Some(OutageMessage::Closed { from, at: now }),
        Change::Proven { .. }
        | Change::OutOfService { .. }
        | Change::FirstUp { .. }
        | Change::UnknownFrom { .. }
        | Change::UnknownUntil { .. }
        | Change::Unconfirmed { .. } => None,
    }
}

fn log(endpoint: &Name, change: &Change, detail: Option<&str>, offset_ms: i64) {
    let utc = |at: Ms| format_utc(at as i64 + offset_ms);
    let detail = detail.unwrap_or_default();
    match *change {
        Change::Down { from, cause, .. } => {
            let (since, cause) = (utc(from), cause.as_str());
            tracing::warn!(%endpoint, state = "down", cause, %since, detail, "down");
        }
        Change::Up { to, down, .. } => {
            let since = utc(to);
            tracing::info!(%endpoint, state = "up", %since, down_ms = down, "up");
        }
        Change::FirstUp { at } => {
            let since = utc(at);
            tracing::info!(%endpoint, state = "up", %since, "up for the first time");
        }
        Change::UnknownFrom { from, .. } => {
            let since = utc(from);
            tracing::warn!(%endpoint, state = "unknown", %since, "unknown");
        }
        Change::UnknownUntil {
            from, to, reason, ..
        } if to > from && reason != Reason::Starting => {
            let (reason, unknown_ms) = (reason.as_str(), to - from);
            tracing::info!(%endpoint, reason, unknown_ms, "measured again");
        }
        Change::Unconfirmed { .. } => {
            tracing::info!(%endpoint, "one failed probe; the re-probe succeeded");
        }
        Change::UnknownUntil { .. }
        | Change::OutageLeft { .. }
        | Change::OutOfService { .. }
        | Change::Proven { .. } => {}
    }
}
