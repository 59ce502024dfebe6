//! Witnesses at work: each failure waits for a round that began after it.
//!
//! While it waits, the probe that may confirm it already runs, so that detection does not take
//! longer; only the judging waits.

use std::sync::Arc;

use super::definitions::witnesses_of;
use super::{Confirming, Recorder, Reprobe, SlotOutcome};
use crate::config::plan::Witness;
use crate::engine::board::WitnessView;
use crate::engine::witness::{NetworkState, RoundProgress, WitnessState, Witnesses};
use crate::history::event::{WitnessesAnswerEvent, WitnessesSilentEvent};
use crate::judgement::fault::{OwnFaults, OwnNetwork, attribute};
use crate::words::{Ms, Outcome, StateName};

impl Recorder {
    /// The witnesses of the config that the daemon starts with: failures wait for them from the
    /// first on, as the network may not be there yet.
    pub fn begin_witnesses(&mut self, witness: &Witness) {
        self.witness_check.set = witnesses_of(witness);
        self.witness_check.witnesses = Witnesses::new(witness.endpoints.len(), witness.quorum);
        self.show_witnesses(witness);
    }

    /// The witnesses of a reload; where they are as they were, nothing is forgotten.
    pub fn set_witnesses(&mut self, witness: &Witness, now: Ms, wanted: &mut Vec<Reprobe>) {
        let set = witnesses_of(witness);
        if self.witness_check.set != set {
            self.witness_check.set = set;
            self.witness_check
                .witnesses
                .replace(witness.endpoints.len(), witness.quorum);
            self.show_witnesses(witness);
        }
        self.release(now, wanted);
    }

    /// Who the witnesses are; none of them has answered.
    fn show_witnesses(&self, witness: &Witness) {
        self.board.witnesses.store(Arc::new(WitnessView {
            names: witness.endpoints.iter().map(|e| e.name.clone()).collect(),
            states: vec![None; witness.endpoints.len()],
            quorum_met: None,
        }));
    }

    /// The round of witnesses that is to begin now, if one is due.
    pub fn begin_round(&mut self, now: Ms) -> Option<u64> {
        self.witness_check.witnesses.begin_due(now)
    }

    pub fn round_wanted_at(&self) -> Option<Ms> {
        self.witness_check.witnesses.wanted_at()
    }

    /// The result of one witness; failures that waited for it are judged.
    pub fn witnessed(
        &mut self,
        round: u64,
        witness: usize,
        outcome: &Outcome,
        now: Ms,
        wanted: &mut Vec<Reprobe>,
    ) {
        let before = self.witness_check.witnesses.quorum_met;
        let progress = self
            .witness_check
            .witnesses
            .take_answer(round, witness, outcome, now);
        let view = self.board.witnesses.load();
        let met = self
            .witness_check
            .witnesses
            .quorum_met
            .map(|v| v == NetworkState::Works);
        self.board.witnesses.store(Arc::new(WitnessView {
            names: view.names.clone(),
            states: self.witness_check.witnesses.latest().to_vec(),
            quorum_met: met,
        }));
        let network = match progress {
            RoundProgress::Nothing => return,
            RoundProgress::Decided(network) => network,
            RoundProgress::OnTrial { rounds } => {
                if rounds == 1 {
                    tracing::warn!(
                        "no quorum of the new witnesses has answered yet; until one does, failures \
                        count as they did before the reload"
                    );
                }
                NetworkState::Works
            }
        };
        let after = self.witness_check.witnesses.quorum_met;
        if after == Some(NetworkState::Fails) && before != Some(NetworkState::Fails) {
            tracing::warn!(
                "witness quorum lost; failures are now recorded as unknown \
                (local_network)"
            );
            let (answering, witnesses) = self.quorum();
            let silent = WitnessesSilentEvent {
                answering,
                witnesses,
            };
            let _ = self.event(now, silent);
        }
        if network == NetworkState::Works
            && after != Some(NetworkState::Fails)
            && before == Some(NetworkState::Fails)
        {
            tracing::info!("witness quorum restored");
            let (answering, witnesses) = self.quorum();
            let answer = WitnessesAnswerEvent {
                answering,
                witnesses,
            };
            let _ = self.event(now, answer);
        }
        self.release(now, wanted);
    }

    /// The witnesses that answer, and how many there are.
    fn quorum(&self) -> (Vec<String>, u64) {
        let view = self.board.witnesses.load();
        let answering = view
            .names
            .iter()
            .zip(&view.states)
            .filter(|(_, s)| **s == Some(WitnessState::Answers))
            .map(|(name, _)| name.to_string());
        (answering.collect(), view.names.len() as u64)
    }

    fn release(&mut self, now: Ms, wanted: &mut Vec<Reprobe>) {
        for index in std::mem::take(&mut self.witness_check.held) {
            self.advance(index, now, wanted);
        }
    }

    /// The daemon ends: failures that still wait are nobody's.
    pub fn give_up_waiting(&mut self, now: Ms, wanted: &mut Vec<Reprobe>) {
        self.witness_check.witnesses.end();
        self.release(now, wanted);
    }

    /// A failure has come in: a round is wanted, and the probe that may confirm it.
    pub(super) fn ask_witnesses(
        &mut self,
        index: usize,
        seq: u64,
        slot_outcome: &mut SlotOutcome,
        now: Ms,
        wanted: &mut Vec<Reprobe>,
    ) {
        if self.witness_check.witnesses.are_off() {
            return;
        }
        let tracked = &self.tracked[index];
        let SlotOutcome::Probe(probed) = slot_outcome else {
            return;
        };
        let own = OwnFaults {
            network: OwnNetwork::Open,
            ..self.witness_check.own_faults(tracked, seq, probed)
        };
        if attribute(&probed.report.outcome, &own).is_some() {
            return;
        }
        let retry = tracked.rules.cadence.retry_interval;
        self.witness_check.witnesses.want(now, retry);
        // While our own network is lost, what is repeated is bounded like everything that is
        // unmeasured.
        if tracked.judge.state() != StateName::Down
            && self.witness_check.witnesses.quorum_met != Some(NetworkState::Fails)
        {
            probed.confirming = Confirming::Asked;
            wanted.push(Reprobe {
                endpoint: index,
                at: probed.end + retry,
            });
        }
    }
}
