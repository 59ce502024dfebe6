//! What a judge counts beside time: slots, changes of state, and from where its exported counters
//! count.

use crate::words::Ms;

/// Slots by their final result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slots {
    pub success: u64,
    pub failure: u64,
    pub unconfirmed: u64,
    pub unmeasured: u64,
    pub missed: u64,
}

impl Slots {
    pub fn all(&self) -> u64 {
        self.success + self.failure + self.unconfirmed + self.unmeasured + self.missed
    }
}

/// Counted changes of state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Transitions {
    pub up: u64,
    pub down: u64,
    pub unknown: u64,
}

/// What exported counters are counted from: all zero but after a restore.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Base {
    /// The watermark when the counters were set back.
    pub at: Ms,
    pub up: Ms,
    pub down: Ms,
    pub unknown: Ms,
    pub down_lower: Ms,
    pub down_upper: Ms,
    pub maintenance: [Ms; 3],
    pub transitions: Transitions,
}

impl Base {
    pub(super) fn fields(&self) -> [Ms; 12] {
        let ([m_up, m_down, m_unknown], t) = (self.maintenance, self.transitions);
        [
            self.at,
            self.up,
            self.down,
            self.unknown,
            self.down_lower,
            self.down_upper,
            m_up,
            m_down,
            m_unknown,
            t.up,
            t.down,
            t.unknown,
        ]
    }

    pub(super) fn restored(fields: [Ms; 12]) -> Self {
        let [
            at,
            up,
            down,
            unknown,
            down_lower,
            down_upper,
            m_up,
            m_down,
            m_unknown,
            t_up,
            t_down,
            t_unknown,
        ] = fields;
        let transitions = Transitions {
            up: t_up,
            down: t_down,
            unknown: t_unknown,
        };
        Self {
            at,
            up,
            down,
            unknown,
            down_lower,
            down_upper,
            maintenance: [m_up, m_down, m_unknown],
            transitions,
        }
    }
}
