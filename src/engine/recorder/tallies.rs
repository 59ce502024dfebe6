//! The recorder's counts by the hour of the calendar, for the history's tallies.

use super::Recorder;
use super::tracked::{Complete, HourCount, difference};
use crate::history::TallyDraft;
use crate::judgement::counts::Slots;
use crate::judgement::latency::Series;
use crate::words::Ms;

impl Recorder {
    /// The calendar has entered another hour: the counts of the last one are complete.
    pub fn begin_hour(&mut self, number: i64, now: Ms) {
        self.update_windows(now);
        for tracked in self.tracked.iter_mut().filter(|c| !c.is_taken_over) {
            let hour = &mut tracked.hour;
            let slots = difference(tracked.judge.slots(), &hour.slots_before);
            let reprobes = tracked.reprobes - hour.reprobes_before + hour.reprobes_carried;
            let longest_blind = tracked.judge.begin_blind(&tracked.rules, now);
            let last = Complete {
                number: hour.number,
                slots,
                slots_before: hour.slots_before,
                reprobes,
                longest_blind,
            };
            *hour = HourCount {
                number,
                slots_before: *tracked.judge.slots(),
                reprobes_before: tracked.reprobes,
                last,
                ..HourCount::default()
            };
        }
    }

    /// What a tally of the present hour held before a restart: the slots when the hour began, and
    /// its re-probes.
    pub fn carry_hour(&mut self, index: usize, slots_before: Slots, reprobes: u64) {
        let hour = &mut self.tracked[index].hour;
        (hour.slots_before, hour.reprobes_carried) = (slots_before, reprobes);
    }

    /// The same of the hour before. Its tally may not be complete: it ended while nobody was there,
    /// or just before.
    ///
    /// `next`: the slots when the present hour began, where that is known; else what was counted
    /// since belongs to the hour before.
    pub fn carry_last_hour(
        &mut self,
        index: usize,
        (slots_before, reprobes, stored): (Slots, u64, Ms),
        next: Option<Slots>,
        now: Ms,
    ) {
        let tracked = &mut self.tracked[index];
        let slots = difference(&next.unwrap_or(tracked.slots_before), &slots_before);
        // Of both hours, as nobody can tell any more which of them it was: it is never too short.
        let longest_blind = stored.max(tracked.judge.blind_until(&tracked.rules, now));
        tracked.hour.last = Complete {
            number: tracked.hour.number - 1,
            slots,
            slots_before,
            reprobes,
            longest_blind,
        };
    }

    /// The tally of an endpoint in the present hour as far as it has come, or in the hour before.
    pub fn tally(&self, index: usize, hour: i64) -> Option<TallyDraft> {
        let tracked = &self.tracked[index];
        if tracked.is_taken_over {
            return None;
        }
        let count = &tracked.hour;
        let (slots, slots_before, reprobes, longest_blind) = match hour {
            present if present == count.number => {
                let reprobes = tracked.reprobes - count.reprobes_before + count.reprobes_carried;
                (
                    difference(tracked.judge.slots(), &count.slots_before),
                    count.slots_before,
                    reprobes,
                    tracked.judge.blind_lately(),
                )
            }
            left if left == count.last.number => (
                count.last.slots,
                count.last.slots_before,
                count.last.reprobes,
                count.last.longest_blind,
            ),
            _ => return None,
        };
        let (from, to) = (hour * 3_600_000, (hour + 1) * 3_600_000);
        let view = tracked.entry.view();
        let latency: Vec<_> = Series::all()
            .map(|s| (s, view.hour.between(from, to, s)))
            .collect();
        drop(view);
        let is_empty = latency.iter().all(|(_, b)| b.is_empty())
            && slots == Slots::default()
            && longest_blind == 0;
        let name = tracked.entry.endpoint.load().name.clone();
        (!is_empty).then_some(TallyDraft {
            endpoint: tracked.id,
            name,
            hour,
            slots,
            slots_before,
            reprobes,
            longest_blind,
            latency,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::recorder;
    use super::*;
    use crate::engine::inputs::Input;
    use crate::judgement::state::{ProbeResult, ResultKind};

    #[test]
    fn a_restart_within_an_hour_takes_nothing_from_it() {
        let mut recorder = recorder("1s");
        let success = |at: Ms| {
            Input::Observe(ProbeResult {
                start: at,
                end: at + 1,
                kind: ResultKind::Success,
                slot: true,
            })
        };
        for at in [1000, 2000, 3400] {
            recorder.apply_input(0, success(at), at + 1);
        }
        // As a start puts them back: one slot in the last hour. The clock of the test is in hour 0.
        let slots = |success: u64| Slots {
            success,
            ..Slots::default()
        };
        recorder.tracked[0].slots_before = slots(9);
        recorder.carry_hour(0, slots(1), 0);
        recorder.carry_last_hour(0, (slots(0), 2, 900), Some(slots(1)), 3500);
        let last = recorder.tally(0, -1).expect("a tally");
        assert_eq!(
            (last.slots.success, last.reprobes, last.longest_blind),
            (1, 2, 1401),
            "what came after it began is not its own"
        );
        let present = recorder.tally(0, 0).expect("a tally");
        assert_eq!((present.slots.success, present.longest_blind), (2, 1401));
        // Nothing is known of the present hour's begin: what was counted belongs to the last.
        recorder.carry_last_hour(0, (slots(5), 0, 5000), None, 3500);
        let last = recorder.tally(0, -1).expect("a tally");
        assert_eq!((last.slots.success, last.longest_blind), (4, 5000));
    }
}
