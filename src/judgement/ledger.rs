//! The ledger of one endpoint: how much of its time was up, down and unknown, to the millisecond.
//!
//! Time enters it only forwards, segment by segment, so `up + down + unknown = watermark - first
//! start - out of service` holds after every call. The worst-case downtime (`down_upper`) is
//! counted in the same stride, so it can never exceed what has elapsed.

use std::sync::Arc;

use super::timeline::{Span, Spans};
use crate::words::{Ms, StateName};

/// Sums of settled time in milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    pub up: Ms,
    pub down: Ms,
    pub unknown: Ms,
    /// Worst-case downtime: the length of the union of all spans that may have been down, without
    /// unknown time.
    pub down_upper: Ms,
    /// Time during which the endpoint was out of service; in none of the other sums.
    pub out_of_service: Ms,
    /// Settled up to here.
    pub watermark: Ms,
    /// Of the time that is up, down and unknown, what lies in declared maintenance.
    pub maintenance: [Ms; 3],
    /// Known time before this instant belongs to the worst case, whatever its state.
    doubt_until: Ms,
    /// Declared windows on the timeline, near now; told from outside, not part of what is stored.
    windows: Arc<[Span]>,
}

impl PartialEq for Ledger {
    fn eq(&self, other: &Self) -> bool {
        self.fields() == other.fields()
    }
}

impl Eq for Ledger {}

/// Whether a segment of known time may have been down in the worst case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// All of it counts into the upper bound.
    Whole,
    /// Only what lies before an earlier end of doubt.
    Carried,
}

impl Ledger {
    /// Nothing is settled yet; time counts from here.
    pub fn begin(&mut self, at: Ms) {
        self.watermark = at;
    }

    /// Settles the time from the watermark to `to`; nothing when that is not ahead. Returns the
    /// length settled.
    pub fn settle(&mut self, to: Ms, state: StateName, doubt: Doubt) -> Ms {
        let length = to.saturating_sub(self.watermark);
        if length == 0 {
            return 0;
        }
        let place = match state {
            StateName::Up => {
                self.up += length;
                0
            }
            StateName::Down => {
                self.down += length;
                1
            }
            StateName::Unknown => {
                self.unknown += length;
                2
            }
        };
        let settled = Span::new(self.watermark as i64, to as i64);
        self.maintenance[place] += self
            .windows
            .iter()
            .filter_map(|w| w.cut(settled))
            .map(Span::length)
            .sum::<Ms>();
        if state != StateName::Unknown {
            self.down_upper += match doubt {
                Doubt::Whole => length,
                Doubt::Carried => self.doubt_until.min(to).saturating_sub(self.watermark),
            };
        }
        self.watermark = to;
        length
    }

    /// Passes time in which the endpoint was not in service.
    pub fn skip(&mut self, to: Ms) {
        self.out_of_service += to.saturating_sub(self.watermark);
        self.watermark = self.watermark.max(to);
    }

    /// Known time before `until` counts into the upper bound when it is settled.
    pub fn doubt(&mut self, until: Ms) {
        self.doubt_until = self.doubt_until.max(until);
    }

    /// Windows that are declared near now, ascending and apart, on the timeline.
    pub fn set_windows(&mut self, windows: Arc<[Span]>) {
        self.windows = windows;
    }

    /// Knows the windows that another one knows as well.
    pub(super) fn share_windows(&mut self, other: &Ledger) {
        self.windows = Spans::new([&self.windows[..], &other.windows[..]].concat())
            .as_slice()
            .into();
    }

    /// Everything that is stored.
    pub(super) fn fields(&self) -> [Ms; 10] {
        let [up, down, unknown] = self.maintenance;
        [
            self.up,
            self.down,
            self.unknown,
            self.down_upper,
            self.out_of_service,
            self.watermark,
            self.doubt_until,
            up,
            down,
            unknown,
        ]
    }

    pub(super) fn restored(fields: [Ms; 10]) -> Self {
        let [
            up,
            down,
            unknown,
            down_upper,
            out_of_service,
            watermark,
            doubt_until,
            m_up,
            m_down,
            m_unknown,
        ] = fields;
        let maintenance = [m_up, m_down, m_unknown];
        Self {
            up,
            down,
            unknown,
            down_upper,
            out_of_service,
            watermark,
            maintenance,
            doubt_until,
            windows: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_add_up_to_the_watermark_and_the_upper_bound_leaves_out_unknown_time() {
        let mut ledger = Ledger::default();
        ledger.begin(5);
        ledger.doubt(20);
        ledger.settle(15, StateName::Up, Doubt::Carried);
        ledger.settle(25, StateName::Unknown, Doubt::Carried);
        ledger.settle(40, StateName::Down, Doubt::Whole);
        ledger.settle(30, StateName::Down, Doubt::Whole);
        assert_eq!(
            (ledger.up, ledger.unknown, ledger.down, ledger.watermark),
            (10, 10, 15, 40)
        );
        assert_eq!(ledger.down_upper, 25);
        ledger.skip(50);
        ledger.settle(51, StateName::Up, Doubt::Carried);
        assert_eq!(
            ledger.up + ledger.down + ledger.unknown + ledger.out_of_service,
            ledger.watermark - 5
        );
    }
}
