//! What shows on the board at once: raw counters, latency, the live state. A view that a reader
//! holds is not waited for.

use super::publisher::{AnswerFacts, Raw};
use super::tracked::difference;
use super::{Probed, Recorder};
use crate::engine::board::LastProbe;
use crate::judgement::latency::{Ending, Series};
use crate::words::{CertificateFacts, Facts, Ms, Outcome, Phase, ProbeTrigger, Reason, StateName};

impl Recorder {
    /// Raw counters and latency count at once and are never revised.
    pub(super) fn count_raw(&mut self, index: usize, probed: &Probed, now: Ms) {
        let report = &probed.report;
        let (ending, why) = match &report.outcome {
            Outcome::Success(_) => (Some(Ending::Success), None),
            Outcome::Failure { cause, .. } if cause.is_timeout() => {
                (Some(Ending::Timeout), Some(cause.as_str()))
            }
            Outcome::Failure { cause, .. } => (Some(Ending::Failure), Some(cause.as_str())),
            Outcome::Unmeasured { reason, .. } => (None, Some(reason.as_str())),
        };
        if let Outcome::Unmeasured { reason, .. } = &report.outcome {
            self.publisher.counts.unmeasured[*reason as usize] += 1;
        }
        if probed.trigger == ProbeTrigger::Reprobe {
            self.tracked[index].reprobes += 1;
            self.publisher.counts.reprobes
                [ending.map_or(2, |e| usize::from(e != Ending::Success))] += 1;
        }
        let certificate = |f: &Facts| f.certificate.clone();
        if let Some(certificate) = report.outcome.facts().and_then(certificate) {
            self.note_a_short_life(index, &certificate);
        }
        let utc = self.utc(now);
        let last = self.last_probe(probed, (report.outcome.result(), why));
        // The prober's own standstill is not the endpoint's latency.
        let sample = ending
            .filter(|_| probed.held_up.is_none())
            .map(|ending| (ending, report.duration_us));
        let raw = Box::new(Raw {
            utc,
            sample,
            cause: if let Outcome::Failure { cause, .. } = &report.outcome {
                Some(*cause)
            } else {
                None
            },
            answer: report.outcome.facts().map(|f| AnswerFacts {
                http_status: f.http_status,
                certificate: f.certificate.clone(),
                handshake: f.handshake(),
            }),
            last,
        });
        if let Err(raw) = self.show_raw(index, raw) {
            self.publisher.unseen.push((index, raw));
        }
    }

    /// A certificate that lives too short for `expiring_within` is logged once, as it is seen:
    /// before the endpoint is down for it, where that is not from the first day on.
    fn note_a_short_life(&mut self, index: usize, certificate: &CertificateFacts) {
        let tracked = &self.tracked[index];
        let endpoint = tracked.entry.endpoint.load();
        let lifetime = certificate.not_after - certificate.not_before;
        let note = endpoint
            .probe
            .tls()
            .and_then(|tls| tls.expiring_within.note(lifetime));
        match note {
            Some(note) if self.publisher.short_lives.get(&tracked.id) != Some(&note) => {
                tracing::warn!(
                    endpoint = endpoint.name.as_str(),
                    "the certificate is short-lived: {note}"
                );
                self.publisher.short_lives.insert(tracked.id, note);
            }
            Some(_) => {}
            None => drop(self.publisher.short_lives.remove(&tracked.id)),
        }
    }

    fn last_probe(
        &self,
        probed: &Probed,
        (result, why): (&'static str, Option<&'static str>),
    ) -> LastProbe {
        let report = &probed.report;
        let detail = match &report.outcome {
            Outcome::Success(_) => "",
            Outcome::Failure { detail, .. } | Outcome::Unmeasured { detail, .. } => detail,
        };
        LastProbe {
            slot_utc: probed
                .due
                .filter(|_| probed.trigger == ProbeTrigger::Slot)
                .map(|at| self.utc(at)),
            started_utc: self.utc(probed.start),
            duration_us: report.duration_us,
            result,
            why,
            detail: detail.to_owned(),
            phases: report.phases,
        }
    }

    /// What a probe found counts for nothing: it shows as what it became.
    pub(super) fn show_what_became(
        &mut self,
        index: usize,
        probed: &Probed,
        reason: Reason,
        now: Ms,
    ) {
        let last = self.last_probe(probed, ("unmeasured", Some(reason.as_str())));
        let raw = Box::new(Raw {
            utc: self.utc(now),
            sample: None,
            cause: None,
            answer: None,
            last,
        });
        // What waits to be shown is older, and would be shown after it.
        let waits = self
            .publisher
            .unseen
            .iter()
            .any(|(other, _)| *other == index);
        if let Err(raw) = if waits {
            Err(raw)
        } else {
            self.show_raw(index, raw)
        } {
            self.publisher.unseen.push((index, raw));
        }
    }

    /// Gives it back when a reader holds the view.
    pub(super) fn show_raw(&self, index: usize, raw: Box<Raw>) -> Result<(), Box<Raw>> {
        let mut raw = Some(raw);
        let (buckets, with_phases) = (&self.publisher.buckets_us, self.publisher.phases);
        self.board.change(&self.tracked[index].entry, |view| {
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
                    let Some(us) = raw.last.phases.us(phase).map(u64::from) else {
                        continue;
                    };
                    view.shown.phases.get_or_insert_default()[phase as usize].record(buckets, us);
                    view.hour.record(raw.utc, Series::Phase(phase), us);
                }
            }
            if let Some(answer) = raw.answer {
                view.shown.http_status = answer.http_status;
                view.shown.certificate = answer.certificate.or(view.shown.certificate.take());
                view.shown.handshake = answer.handshake.or(view.shown.handshake);
            }
            // What became of a probe may be known after a later one has ended.
            if view
                .last
                .as_ref()
                .is_none_or(|shown| shown.started_utc <= raw.last.started_utc)
            {
                view.last = Some(raw.last);
            }
        });
        raw.map_or(Ok(()), Err)
    }

    pub(super) fn publish_live(&mut self, index: usize) {
        let tracked = &self.tracked[index];
        let state = tracked.judge.state();
        let outage = tracked
            .judge
            .outage()
            .filter(|_| state == StateName::Down)
            .map(|o| (self.utc(o.from), o.cause));
        let (slots, since_utc) = (
            difference(tracked.judge.slots(), &tracked.slots_before),
            tracked.since_utc,
        );
        let published = self.board.change(&tracked.entry, |view| {
            view.shown.state = state;
            view.shown.since_utc = since_utc;
            view.shown.outage = outage;
            view.shown.slots = slots;
        });
        if !published {
            self.publisher.unpublished.push(index);
        }
    }

    pub fn show_next_slot(&self, index: usize, at: Ms) {
        let utc = self.utc(at);
        self.board
            .change(&self.tracked[index].entry, |view| view.next_slot_utc = utc);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{recorder, recorder_of};
    use super::super::{Confirming, Probed, SlotOutcome};
    use super::*;
    use crate::judgement::fault::HeldUp;
    use crate::kind::run::ProbeReport;
    use crate::words::Cause;
    use crate::words::PhaseTimes;
    use std::sync::Arc;

    fn probe(start: Ms, outcome: Outcome, stalled: Option<Reason>) -> SlotOutcome {
        let report = Box::new(ProbeReport {
            outcome,
            phases: PhaseTimes::default(),
            duration_us: 1000,
            started_ns: 0,
            given_ms: 0,
            stood_ns: 0,
        });
        SlotOutcome::Probe(Probed {
            trigger: ProbeTrigger::Slot,
            due: Some(start),
            start,
            end: start + 1,
            report,
            held_up: stalled.map(HeldUp::Stalled),
            confirming: Confirming::NotYet,
        })
    }

    #[test]
    fn the_last_probe_shows_what_became_of_it() {
        let mut recorder = recorder("1h");
        let timeout = || Outcome::Failure {
            cause: Cause::ConnectTimeout,
            detail: "no end".into(),
            facts: Box::<Facts>::default(),
        };
        let mut wanted = Vec::new();
        let mut shown = |seq, slot_outcome, now| {
            recorder.step(0, seq, slot_outcome, now, &mut wanted);
            let last = recorder.entry(0).view().last.clone().expect("a probe");
            (last.result, last.why, last.slot_utc)
        };
        assert_eq!(
            shown(1, probe(1000, timeout(), None), 1002),
            ("failure", Some("connect_timeout"), Some(1000))
        );
        assert_eq!(
            shown(2, probe(2000, timeout(), Some(Reason::Late)), 2002),
            ("unmeasured", Some("late"), Some(2000))
        );
        // The fourth ends before the third, which is judged first and shows no more.
        assert_eq!(
            shown(4, probe(4000, Outcome::Success(Box::default()), None), 4002),
            ("success", None, Some(4000))
        );
        assert_eq!(
            shown(3, probe(3000, timeout(), Some(Reason::Late)), 4003),
            ("success", None, Some(4000))
        );
    }

    #[test]
    fn a_certificate_that_lives_too_short_for_its_expiring_within_is_noted_once() {
        let day = 86_400_000;
        let seen = |lifetime_days: i64| {
            let certificate = CertificateFacts {
                not_after: lifetime_days * day,
                ..CertificateFacts::default()
            };
            Outcome::Success(Box::new(Facts {
                certificate: Some(Arc::new(certificate)),
                ..Facts::default()
            }))
        };
        let tls = "probe.tls = { address = \"127.0.0.1:1\", tls.expiring_within = \"14d\" }";
        let mut recorder = recorder_of(&["e", "f"], "1h", tls);
        let mut wanted = Vec::new();
        let mut noted = |seq, lifetime_days| {
            let slot_outcome = probe(seq * 1000, seen(lifetime_days), None);
            recorder.step(0, seq, slot_outcome, seq * 1000 + 2, &mut wanted);
            let noted: Vec<(i64, String)> =
                recorder.publisher.short_lives.clone().into_iter().collect();
            noted
        };
        assert_eq!(noted(1, 90), []);
        assert_eq!(noted(2, 42), [], "a third of it is 14 days");
        assert_eq!(
            noted(3, 41),
            [(
                7,
                "its whole lifetime is 41 d and expiring_within asks for 14 d, more than the \
                    third that most clients leave when they renew: write a share, such as \"25%\""
                    .to_owned()
            )],
            "before it is down for it"
        );
        assert_eq!(
            noted(4, 6),
            [(
                7,
                "its whole lifetime is 6 d and expiring_within asks for 14 d: write a share, such \
                    as \"33%\""
                    .to_owned()
            )]
        );
        assert_eq!(noted(5, 90), []);
    }
}
