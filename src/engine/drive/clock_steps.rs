//! Steps of the wall clock are events.

use super::Driver;
use crate::history::EventDraft;
use crate::history::event::ClockStepEvent;
use crate::net::clock::NS_PER_MS;

/// A wall clock that is off by more is corrected by an event.
const CLOCK_STEP_MS: i64 = 10;

impl Driver {
    /// A step of the wall clock becomes an event with both clocks.
    pub(super) fn look_at_clock(&mut self) {
        let reading = self.clock.read();
        // A reading that was interrupted tells nothing.
        if self.clock.boot_ns() - reading.boot_ns > NS_PER_MS {
            return;
        }
        let at = self.timeline.ms(reading.boot_ns);
        let offset = reading.utc_ms - at as i64;
        let step = offset - self.recorder.offset_ms;
        if step.abs() < CLOCK_STEP_MS {
            return;
        }
        tracing::warn!(step_ms = step, "the wall clock was set");
        let event = ClockStepEvent {
            step_ms: step,
            offset_before_ms: self.recorder.offset_ms,
            offset_after_ms: offset,
            boot_ns: reading.boot_ns,
        };
        self.recorder
            .clock_was_set(EventDraft::general(at, reading.utc_ms, event), offset, at);
    }
}
