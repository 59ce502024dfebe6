//! What a probe was started by, and its phases: where its time went.

/// Why a probe was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeTrigger {
    /// The schedule said so; counts as one slot.
    Slot,
    /// Outside the slots: confirmation, recovery, repetition of an unmeasured probe, first look
    /// after a start.
    Reprobe,
}

/// A part of a probe's time. A phase that did not happen has no sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    Resolve,
    Connect,
    Tls,
    Request,
    FirstByte,
    Transfer,
}

impl Phase {
    pub const ALL: [Phase; 6] = [
        Phase::Resolve,
        Phase::Connect,
        Phase::Tls,
        Phase::Request,
        Phase::FirstByte,
        Phase::Transfer,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
            Phase::Tls => "tls",
            Phase::Request => "request",
            Phase::FirstByte => "first_byte",
            Phase::Transfer => "transfer",
        }
    }
}

/// Microseconds spent in each phase; summed where a phase happened more than once (redirects).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PhaseTimes([Option<u32>; 6]);

impl PhaseTimes {
    pub fn add(&mut self, phase: Phase, us: u64) {
        let us = u32::try_from(us).unwrap_or(u32::MAX);
        let slot = &mut self.0[phase as usize];
        *slot = Some(slot.unwrap_or(0).saturating_add(us));
    }

    /// Microseconds, or `None` when the phase did not happen.
    pub fn us(&self, phase: Phase) -> Option<u32> {
        self.0[phase as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_that_did_not_happen_has_no_sample() {
        let mut times = PhaseTimes::default();
        assert_eq!(times.us(Phase::Tls), None);
        times.add(Phase::Connect, 0);
        times.add(Phase::Connect, 3);
        assert_eq!(times.us(Phase::Connect), Some(3));
        assert_eq!(times.us(Phase::Tls), None);
    }
}
