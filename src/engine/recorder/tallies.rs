//! The recorder's counts by the hour of the calendar, for the history's tallies.

use super::Recorder;
use crate::judgement::latency::Ending;
use crate::judgement::state::Slots;
use crate::outward::history::TallyDraft;

/// Slots and re-probes by the hour of the calendar.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HourCount {
    pub(super) number: i64,
    /// The judge's slots and the re-probes when the hour began.
    pub(super) slots_before: Slots,
    pub(super) reprobes_before: u64,
    /// What the hour had before a restart.
    pub(super) carried: (Slots, u64),
    /// The hour before, complete.
    pub(super) last: (Slots, u64),
}

impl Recorder {
    /// The calendar has entered another hour: the counts of the last one are complete.
    pub fn begin_hour(&mut self, number: i64) {
        for course in self.courses.iter_mut().filter(|c| !c.is_taken_over) {
            let hour = &mut course.hour;
            let slots = sum(&difference(course.judge.slots(), &hour.slots_before), &hour.carried.0);
            let last = (slots, course.reprobes - hour.reprobes_before + hour.carried.1);
            *hour = HourCount { number, slots_before: *course.judge.slots(), reprobes_before: course.reprobes, last, ..HourCount::default() };
        }
    }

    /// What a tally of the present hour held before a restart.
    pub fn carry_hour(&mut self, index: usize, slots: Slots, reprobes: u64) {
        self.courses[index].hour.carried = (slots, reprobes);
    }

    /// The tally of an endpoint in the present hour as far as it has come, or in the hour before.
    pub fn tally(&self, index: usize, hour: i64) -> Option<TallyDraft> {
        let course = &self.courses[index];
        if course.is_taken_over {
            return None;
        }
        let count = &course.hour;
        let (slots, reprobes) = match count.number - hour {
            0 => (sum(&difference(course.judge.slots(), &count.slots_before), &count.carried.0), course.reprobes - count.reprobes_before + count.carried.1),
            1 => count.last,
            _ => return None,
        };
        let (from, to) = (hour * 3_600_000, (hour + 1) * 3_600_000);
        let view = course.entry.view();
        let latency: Vec<_> = Ending::ALL.into_iter().map(|e| (e, view.hour.between(from, to, e))).collect();
        drop(view);
        let is_empty = latency.iter().all(|(_, b)| b.is_empty()) && slots == Slots::default();
        let name = course.entry.endpoint.load().name.clone();
        (!is_empty).then_some(TallyDraft { endpoint: course.id, name, hour, slots, reprobes, latency })
    }
}

pub(super) fn sum(a: &Slots, b: &Slots) -> Slots {
    Slots {
        success: a.success + b.success,
        failure: a.failure + b.failure,
        unconfirmed: a.unconfirmed + b.unconfirmed,
        unmeasured: a.unmeasured + b.unmeasured,
        missed: a.missed + b.missed,
    }
}

pub(super) fn difference(now: &Slots, base: &Slots) -> Slots {
    Slots {
        success: now.success - base.success,
        failure: now.failure - base.failure,
        unconfirmed: now.unconfirmed - base.unconfirmed,
        unmeasured: now.unmeasured - base.unmeasured,
        missed: now.missed - base.missed,
    }
}
