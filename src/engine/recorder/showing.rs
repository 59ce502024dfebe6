//! What shows on the board at once: raw counters, latency, the live state. A view that a reader holds is not waited for.

use super::{Answered, Raw, Recorder, difference};
use crate::engine::board::LastProbe;
use crate::judgement::latency::{Ending, Series};
use crate::outward::probe::Report;
use crate::words::{Ms, Occasion, Outcome, Phase, StateName};

impl Recorder {
    /// Raw counters and latency count at once and are never revised.
    pub(super) fn count_raw(&mut self, index: usize, (occasion, due): (Occasion, Option<Ms>), report: &Report, is_stalled: bool, (start, now): (Ms, Ms)) {
        let (ending, why, detail) = match &report.outcome {
            Outcome::Up(_) => (Some(Ending::Success), None, ""),
            Outcome::Down { cause, detail, .. } if cause.is_timeout() => (Some(Ending::Timeout), Some(cause.as_str()), detail.as_str()),
            Outcome::Down { cause, detail, .. } => (Some(Ending::Failure), Some(cause.as_str()), detail.as_str()),
            Outcome::Unmeasured { reason, detail } => (None, Some(reason.as_str()), detail.as_str()),
        };
        if let Outcome::Unmeasured { reason, .. } = &report.outcome {
            self.counts.unmeasured[*reason as usize] += 1;
        }
        if occasion == Occasion::Reprobe {
            self.courses[index].reprobes += 1;
            self.counts.reprobes[ending.map_or(2, |e| usize::from(e != Ending::Success))] += 1;
        }
        let utc = self.utc(now);
        let started_utc = self.utc(start);
        let last = LastProbe {
            slot_utc: due.filter(|_| occasion == Occasion::Slot).map(|at| self.utc(at)),
            started_utc,
            duration_us: report.duration_us,
            result: report.outcome.result(),
            why,
            detail: detail.to_owned(),
            phases: report.phases,
        };
        // The prober's own standstill is not the endpoint's latency.
        let sample = ending.filter(|_| !is_stalled).map(|ending| (ending, report.duration_us));
        let raw = Box::new(Raw {
            utc,
            sample,
            cause: if let Outcome::Down { cause, .. } = &report.outcome { Some(*cause) } else { None },
            answer: report.outcome.facts().map(|f| Answered { http_status: f.http_status, certificate: f.certificate.clone(), handshake: f.handshake() }),
            last,
        });
        if let Err(raw) = self.show_raw(index, raw) {
            self.unseen.push((index, raw));
        }
    }

    /// Gives it back when a reader holds the view.
    pub(super) fn show_raw(&self, index: usize, raw: Box<Raw>) -> Result<(), Box<Raw>> {
        let mut raw = Some(raw);
        let (buckets, with_phases) = (&self.buckets_us, self.phases);
        self.board.change(&self.courses[index].entry, |view| {
            let Some(raw) = raw.take() else { return };
            if let Some(cause) = raw.cause {
                match view.shown.failures.iter_mut().find(|(c, _)| *c == cause) {
                    Some((_, count)) => *count += 1,
                    None => view.shown.failures.push((cause, 1)),
                }
            }
            if let Some((ending, us)) = raw.sample {
                view.shown.latency[ending as usize].record(buckets, us);
                view.hour.record(raw.utc, Series::Whole(ending), us);
                view.shown.last_duration_us = Some(us);
                for phase in Phase::ALL.into_iter().filter(|_| with_phases) {
                    let Some(us) = raw.last.phases.us(phase).map(u64::from) else { continue };
                    view.shown.phases.get_or_insert_default()[phase as usize].record(buckets, us);
                    view.hour.record(raw.utc, Series::Phase(phase), us);
                }
            }
            if let Some(answer) = raw.answer {
                view.shown.http_status = answer.http_status;
                view.shown.certificate = answer.certificate.or(view.shown.certificate.take());
                view.shown.handshake = answer.handshake.or(view.shown.handshake);
            }
            view.last = Some(raw.last);
        });
        raw.map_or(Ok(()), Err)
    }

    pub(super) fn publish_live(&mut self, index: usize) {
        let course = &self.courses[index];
        let state = course.judge.state();
        let outage = course.judge.outage().filter(|_| state == StateName::Down).map(|o| (self.utc(o.from), o.cause));
        let (slots, since_utc) = (difference(course.judge.slots(), &course.slots_before), course.since_utc);
        let published = self.board.change(&course.entry, |view| {
            view.shown.state = state;
            view.shown.since_utc = since_utc;
            view.shown.outage = outage;
            view.shown.slots = slots;
        });
        if !published {
            self.unpublished.push(index);
        }
    }

    pub fn show_next_slot(&self, index: usize, at: Ms) {
        let utc = self.utc(at);
        self.board.change(&self.courses[index].entry, |view| view.next_slot_utc = utc);
    }
}
