//! Failures wait here until the witnesses have answered.

use std::collections::BTreeSet;

use super::tracked::{Probed, TrackedEndpoint};
use crate::engine::witness::{NetworkState, Witnesses};
use crate::history::event::WitnessesEvent;
use crate::judgement::fault::{InForce, OwnFaults, OwnNetwork};

/// The witnesses, and who waits for them.
#[derive(Default)]
pub(super) struct WitnessCheck {
    pub witnesses: Witnesses,
    /// Who they are.
    pub set: WitnessesEvent,
    /// Endpoints whose next result waits for them.
    pub held: BTreeSet<usize>,
}

impl WitnessCheck {
    /// What is known of the prober itself about this probe.
    pub fn own_faults(&self, tracked: &TrackedEndpoint, seq: u64, probed: &Probed) -> OwnFaults {
        let network = match self.witnesses.network_state(probed.start, probed.end) {
            Some(NetworkState::Works) => OwnNetwork::Works,
            Some(NetworkState::Fails) => OwnNetwork::Fails(self.witnesses.reason_against()),
            None => OwnNetwork::Open,
        };
        OwnFaults {
            held_up: probed.held_up,
            definition: if seq < tracked.void_before {
                InForce::Replaced
            } else {
                InForce::Yes
            },
            network,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::recorder;
    use super::*;
    use crate::engine::recorder::Confirming;
    use crate::judgement::fault::HeldUp;
    use crate::kind::run::ProbeReport;
    use crate::words::{Ms, Outcome, PhaseTimes, ProbeTrigger, Reason};

    fn probed(start: Ms, end: Ms) -> Probed {
        Probed {
            trigger: ProbeTrigger::Slot,
            due: Some(start),
            start,
            end,
            report: Box::new(ProbeReport {
                outcome: Outcome::Success(Box::default()),
                phases: PhaseTimes::default(),
                duration_us: 0,
                started_ns: 0,
                given_ms: 0,
                stood_ns: 0,
            }),
            held_up: Some(HeldUp::Overrun),
            confirming: Confirming::NotYet,
        }
    }

    #[test]
    fn the_check_knows_definition_and_network_of_each_probe() {
        let mut recorder = recorder("1h");
        recorder.tracked[0].void_before = 3;
        let tracked = &recorder.tracked[0];
        let mut check = WitnessCheck::default();
        let own = check.own_faults(tracked, 2, &probed(100, 200));
        assert_eq!(own.definition, InForce::Replaced);
        assert_eq!(
            (own.network, own.held_up),
            (OwnNetwork::Works, Some(HeldUp::Overrun))
        );
        check.witnesses = Witnesses::new(1, None);
        let own = check.own_faults(tracked, 3, &probed(100, 200));
        assert_eq!(
            (own.definition, own.network),
            (InForce::Yes, OwnNetwork::Open)
        );
        let round = check.witnesses.begin_due(300).expect("due");
        let silent = Outcome::Unmeasured {
            reason: Reason::LocalNetwork,
            detail: String::new(),
        };
        let _ = check.witnesses.take_answer(round, 0, &silent, 310);
        let lost = OwnNetwork::Fails(Reason::LocalNetwork);
        assert_eq!(
            check.own_faults(tracked, 3, &probed(100, 200)).network,
            lost
        );
        assert_eq!(
            check.own_faults(tracked, 3, &probed(400, 500)).network,
            lost,
            "it ran meanwhile"
        );
        check.witnesses.end();
        let ended = OwnNetwork::Fails(Reason::NotRunning);
        assert_eq!(
            check.own_faults(tracked, 3, &probed(400, 500)).network,
            ended
        );
    }
}
