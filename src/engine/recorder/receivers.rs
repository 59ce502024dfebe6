//! The receivers of the config, and what they were notified of unknown time.

use std::collections::BTreeMap;

use crate::config::plan::Notify;
use crate::words::{Ms, Name};

/// Who is notified, and of what.
pub(super) struct Receivers {
    /// Of the config.
    pub list: Vec<Notify>,
    pub unknown: UnknownEndpoints,
}

impl Receivers {
    pub fn begun(now: Ms) -> Self {
        Self {
            list: Vec::new(),
            unknown: UnknownEndpoints::begun(now),
        }
    }
}

/// Endpoints that become unknown within this time are one message, whatever `after` says.
pub const TOGETHER_MS: Ms = 10_000;
/// After a start all endpoints are probed within this long: whether those that nobody measured
/// while the daemon was away are still unknown is not known before.
const FIRST_PROBES_MS: Ms = 60_000;
/// Names in one message.
pub const LISTED: usize = 100;

/// Endpoints whose time is unknown now, and what receivers were notified of. The history keeps the
/// latter.
pub(super) struct UnknownEndpoints {
    /// When this process began.
    pub started: Ms,
    /// By the endpoint's number.
    pub since: BTreeMap<i64, UnknownStretch>,
    pub notified: BTreeMap<Name, NotifiedReceiver>,
    /// Messages so far: no two of a batch have the same key.
    pub messages: u64,
}

/// An open stretch of unknown time.
#[derive(Clone, Copy)]
pub(super) struct UnknownStretch {
    pub index: usize,
    pub from: Ms,
    /// Receivers wait from here on.
    pub waits_from: Ms,
    /// Declared maintenance holds it back until then, as far as was looked at.
    pub held_until: Ms,
}

/// What a receiver was notified of.
pub(super) struct NotifiedReceiver {
    /// The begin that its messages have as their id.
    pub begun: Ms,
    /// Unknown endpoints, and since when, as it knows.
    pub endpoints: BTreeMap<i64, Ms>,
}

impl UnknownEndpoints {
    pub fn begun(started: Ms) -> Self {
        Self {
            started,
            since: BTreeMap::new(),
            notified: BTreeMap::new(),
            messages: 0,
        }
    }

    pub fn begins(&mut self, id: i64, index: usize, from: Ms) {
        let waits_from = if from < self.started {
            self.started + FIRST_PROBES_MS
        } else {
            from
        };
        self.since.insert(
            id,
            UnknownStretch {
                index,
                from,
                waits_from,
                held_until: 0,
            },
        );
    }

    pub fn ends(&mut self, id: i64) {
        self.since.remove(&id);
    }

    /// What held messages back may do so no more, or longer.
    pub fn windows_changed(&mut self) {
        self.since
            .values_mut()
            .for_each(|stretch| stretch.held_until = 0);
    }

    /// Endpoints that the receiver was not notified of and that no maintenance holds back, if the
    /// first of them is due.
    pub fn not_notified(
        &self,
        receiver: &Name,
        wait: Ms,
        now: Ms,
    ) -> Option<Vec<(i64, UnknownStretch)>> {
        let notified = self.notified.get(receiver);
        let is_new = |id: &i64, stretch: &UnknownStretch| {
            notified.is_none_or(|notified| notified.endpoints.get(id) != Some(&stretch.from))
        };
        let not_notified = || {
            self.since
                .iter()
                .filter(|(id, stretch)| stretch.held_until <= now && is_new(id, stretch))
        };
        let is_due = not_notified().any(|(_, stretch)| stretch.waits_from + wait <= now);
        is_due.then(|| {
            not_notified()
                .map(|(id, stretch)| (*id, *stretch))
                .collect()
        })
    }
}
