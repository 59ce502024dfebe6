//! What became final of an endpoint: a line in the log, an event, a message to whoever is notified.

use super::messages::State;
use super::{EVENTS_WAITING_LIMIT, Recorder};
use crate::engine::events;
use crate::judgement::state::Change;
use crate::words::{Ms, Reason, format_utc};

impl Recorder {
    pub(super) fn became_final(
        &mut self,
        index: usize,
        change: &Change,
        detail: Option<&str>,
        now: Ms,
    ) {
        let endpoint = self.courses[index].entry.endpoint.load_full();
        let name = &endpoint.name;
        let offset = self.offset_ms;
        let utc = |at: Ms| at as i64 + offset;
        let now_utc = utc(now);
        let mut told = None;
        let course = &mut self.courses[index];
        match *change {
            Change::Down {
                from,
                confirmed_at,
                cause,
                ..
            } => {
                (course.last_transition_utc, course.since_utc) = (utc(from), utc(from));
                self.counts.transitions += 1;
                tracing::warn!(endpoint = %name, state = "down", cause = cause.as_str(), since = %format_utc(utc(from)), detail = detail.unwrap_or_default(), "down");
                told = Some(State::Down {
                    from,
                    confirmed_at,
                    cause,
                    detail,
                });
            }
            Change::Up { from, to, down, .. } => {
                (course.last_transition_utc, course.since_utc) = (utc(to), utc(to));
                self.counts.transitions += 1;
                tracing::info!(endpoint = %name, state = "up", since = %format_utc(utc(to)), down_ms = down, "up");
                told = Some(State::Up { from, to, down });
            }
            Change::OutageLeft { from, to, .. } => {
                course.since_utc = utc(to);
                told = Some(State::Closed { from, at: now });
            }
            Change::Proven { .. } => {}
            Change::OutOfService { to, .. } => course.since_utc = utc(to),
            Change::FirstUp { at } => {
                (course.last_transition_utc, course.since_utc) = (utc(at), utc(at));
                tracing::info!(endpoint = %name, state = "up", since = %format_utc(utc(at)), "up for the first time");
            }
            Change::UnknownFrom { from, .. } => {
                (course.last_transition_utc, course.since_utc) = (utc(from), utc(from));
                if course.judge.transitions().unknown > 0 {
                    self.blind.begins(course.id, index, from);
                    tracing::warn!(endpoint = %name, state = "unknown", since = %format_utc(utc(from)), "unknown");
                }
            }
            Change::UnknownUntil {
                from, to, reason, ..
            } => {
                self.blind.ends(course.id);
                course.since_utc = course.judge.outage().map_or(utc(to), |o| utc(o.from));
                if to > from && reason != Reason::Starting {
                    let unknown_ms = to - from;
                    let reason = reason.as_str();
                    tracing::info!(endpoint = %name, reason, unknown_ms, "measured again");
                }
            }
            Change::Unconfirmed { .. } => {
                tracing::info!(endpoint = %name, "one failed probe; the re-probe succeeded")
            }
        }
        let who = (course.id, name.clone());
        self.keep_events(
            index,
            change,
            events::draft(who, change, now, self.offset_ms, now_utc),
        );
        if let Some(state) = told.filter(|_| self.outbox.len() < EVENTS_WAITING_LIMIT) {
            let messages = self.notifications(index, state, now);
            self.outbox.extend(messages);
        }
    }
}
