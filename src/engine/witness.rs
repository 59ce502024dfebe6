//! Rounds of witnesses: whether the prober's own network works, and which failures that confirms
//! (docs/decisions/008-witnesses.md).
//!
//! The recorder holds each failure back until a round that began after it is decided; the driver
//! starts the rounds that are wanted and brings their results. Synchronous: time is an argument,
//! nothing here probes.

use std::collections::VecDeque;

use crate::words::{Ms, Outcome, Reason};

/// Rounds that are remembered; older failures have been decided long before.
/// At five a second, longer than the longest timeout of a probe.
const ROUNDS_KEPT: usize = 2048;
/// Rounds for failures begin at least this far apart, whatever the config's retry intervals.
const APART_LEAST_MS: Ms = 200;
/// A round goes out this often even when nothing fails, so that the metrics tell how the witnesses
/// stand.
const ROUTINE_MS: Ms = 30_000;
/// Between rounds while no quorum answers.
const WHILE_LOST_MS: Ms = 500;

/// How a witness stood in its last round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WitnessState {
    Answers,
    Silent,
    /// It cannot be measured here (no permission): left out of the count.
    LeftOut,
}

/// What a round of witnesses says of the prober's own network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkState {
    /// A quorum of witnesses answers, or none is configured: failures are the endpoints'.
    Works,
    /// Failures are the prober's own.
    Fails,
}

struct Round {
    number: u64,
    began: Ms,
    /// As it was configured when the round began.
    quorum: Option<usize>,
    states: Vec<Option<WitnessState>>,
    decided: Option<NetworkState>,
}

/// The witnesses of a config and their rounds.
#[derive(Default)]
pub struct Witnesses {
    count: usize,
    quorum: Option<usize>,
    rounds: VecDeque<Round>,
    next_number: u64,
    /// A round should begin at this time.
    wanted_at: Option<Ms>,
    /// The latest instant after which a round is wanted, and how far apart from the one before.
    last_wanted: Option<(Ms, Ms)>,
    last_began: Option<Ms>,
    latest: Vec<Option<WitnessState>>,
    pub quorum_met: Option<NetworkState>,
    /// What the last round of these witnesses meant for failures.
    last_decided: Option<NetworkState>,
    /// Rounds before this one asked witnesses that were replaced since.
    first_number: u64,
    /// These witnesses came by a reload while failures counted, and so many rounds of them had no
    /// quorum: they hold nothing back before their first quorum.
    trial: Option<u64>,
    /// The daemon ends: no round will be decided any more.
    has_ended: bool,
}

/// What follows from a witness's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoundProgress {
    /// The round is not decided yet, or was before.
    Nothing,
    Decided(NetworkState),
    /// New witnesses have never met their quorum, in so many rounds: failures count all the same.
    OnTrial {
        rounds: u64,
    },
}

impl Witnesses {
    /// `quorum` of the config; left out: a majority of those that can be measured.
    pub fn new(count: usize, quorum: Option<usize>) -> Self {
        Self {
            count,
            quorum,
            latest: vec![None; count],
            wanted_at: (count > 0).then_some(0),
            ..Self::default()
        }
    }

    /// Takes the witnesses of a reload. If failures counted until now, the new ones hold nothing
    /// back before they have met their quorum once: whoever reloads in an outage must not stop it
    /// with a witness that never answers. A round that runs is decided by those that it asked.
    pub fn replace(&mut self, count: usize, quorum: Option<usize>) {
        let failures_counted = self.count == 0
            || self.trial.is_some()
            || self.last_decided == Some(NetworkState::Works);
        let rounds = if count == 0 {
            VecDeque::new()
        } else {
            std::mem::take(&mut self.rounds)
        };
        *self = Self {
            rounds,
            next_number: self.next_number,
            first_number: self.next_number + 1,
            last_wanted: self.last_wanted.filter(|_| count > 0),
            trial: (failures_counted && count > 0).then_some(0),
            has_ended: self.has_ended,
            ..Self::new(count, quorum)
        };
    }

    /// What is still held is nobody's failure.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    pub fn are_off(&self) -> bool {
        self.count == 0
    }

    /// Why a failure that nobody vouches for is none.
    pub fn reason_against(&self) -> Reason {
        if self.has_ended {
            Reason::NotRunning
        } else {
            Reason::LocalNetwork
        }
    }

    pub fn latest(&self) -> &[Option<WitnessState>] {
        &self.latest
    }

    /// A failure ended at `at`: a round is wanted at once, but not sooner than `apart` after the
    /// one before.
    pub fn want(&mut self, at: Ms, apart: Ms) {
        let due = self
            .last_began
            .map_or(at, |last| at.max(last + apart.max(APART_LEAST_MS)));
        self.wanted_at = Some(self.wanted_at.map_or(due, |other| other.min(due)));
        self.last_wanted = Some(
            self.last_wanted
                .map_or((at, apart), |(other, its)| (other.max(at), its.min(apart))),
        );
    }

    /// The number of the round that is to begin now, if one is due.
    pub fn begin_due(&mut self, now: Ms) -> Option<u64> {
        let routine = self.last_began.map_or(0, |last| last + ROUTINE_MS);
        if self.count == 0 || self.wanted_at.unwrap_or(routine).min(routine) > now {
            return None;
        }
        self.wanted_at = None;
        self.last_began = Some(now);
        // A failure that ends after this moment is not served by this round: ends are rounded up to
        // a millisecond.
        if let Some((at, apart)) = self.last_wanted.take().filter(|(at, _)| *at > now) {
            self.want(at, apart);
        }
        self.next_number += 1;
        let number = self.next_number;
        self.rounds.push_back(Round {
            number,
            began: now,
            quorum: self.quorum,
            states: vec![None; self.count],
            decided: None,
        });
        if self.rounds.len() > ROUNDS_KEPT {
            self.rounds.pop_front();
        }
        Some(number)
    }

    /// When a round should begin, for the driver's alarm.
    pub fn wanted_at(&self) -> Option<Ms> {
        self.wanted_at
    }

    /// The result of one witness in a round.
    pub fn take_answer(
        &mut self,
        number: u64,
        witness: usize,
        outcome: &Outcome,
        now: Ms,
    ) -> RoundProgress {
        let state = match outcome {
            Outcome::Success(_) => WitnessState::Answers,
            Outcome::Unmeasured {
                reason: Reason::Permission,
                ..
            } => WitnessState::LeftOut,
            Outcome::Failure { .. } | Outcome::Unmeasured { .. } => WitnessState::Silent,
        };
        let Some(round) = self.rounds.iter_mut().find(|r| r.number == number) else {
            return RoundProgress::Nothing;
        };
        let Some(slot) = round.states.get_mut(witness) else {
            return RoundProgress::Nothing;
        };
        *slot = Some(state);
        let is_own = number >= self.first_number;
        if is_own {
            self.latest[witness] = Some(state);
        }
        if round.decided.is_some() {
            return RoundProgress::Nothing;
        }
        let Some(network) = decided(&round.states, round.quorum) else {
            return RoundProgress::Nothing;
        };
        round.decided = Some(network);
        // Where none can be measured the rule is off, and no quorum is met or missed.
        let is_off = round
            .states
            .iter()
            .all(|s| *s == Some(WitnessState::LeftOut));
        let met = (!is_off).then_some(network);
        if is_own {
            self.conclude(number, met, now)
        } else {
            self.conclude_earlier(network, now)
        }
    }

    /// A round of these witnesses is decided; `met`: none where the rule is off.
    fn conclude(&mut self, number: u64, met: Option<NetworkState>, now: Ms) -> RoundProgress {
        let network = met.unwrap_or(NetworkState::Works);
        if network == NetworkState::Fails {
            // Asked on until somebody answers, so that the loss does not outlive itself.
            self.want(now, WHILE_LOST_MS);
            if let Some(rounds) = &mut self.trial {
                *rounds += 1;
                let rounds = *rounds;
                self.last_decided = Some(NetworkState::Works);
                let round = self.rounds.iter_mut().find(|r| r.number == number);
                round
                    .into_iter()
                    .for_each(|r| r.decided = Some(NetworkState::Works));
                return RoundProgress::OnTrial { rounds };
            }
        } else if met.is_some() {
            self.trial = None;
        }
        self.quorum_met = met;
        self.last_decided = Some(network);
        RoundProgress::Decided(network)
    }

    /// A round of witnesses that were replaced since is decided. Without a quorum our own network
    /// was lost before the new ones could be asked: they hold back from here on.
    fn conclude_earlier(&mut self, network: NetworkState, now: Ms) -> RoundProgress {
        if network == NetworkState::Fails && self.trial.take().is_some() {
            self.quorum_met = Some(NetworkState::Fails);
            self.last_decided = Some(NetworkState::Fails);
            self.want(now, WHILE_LOST_MS);
        }
        RoundProgress::Decided(network)
    }

    /// What the rounds say of a failure that ran from `start` to `end`; nothing while one of them
    /// is open.
    ///
    /// It counts when a round that began after it has a quorum, and the network was not known to be
    /// lost while it ran: a link that comes back just before a probe ends must not turn that probe
    /// into downtime.
    pub fn network_state(&self, start: Ms, end: Ms) -> Option<NetworkState> {
        if self.count == 0 {
            return Some(NetworkState::Works);
        }
        if self.has_ended {
            return Some(NetworkState::Fails);
        }
        let first = self
            .rounds
            .iter()
            .rposition(|r| r.began <= start)
            .unwrap_or(0);
        for round in self.rounds.iter().skip(first).take_while(|r| r.began < end) {
            if round.decided? == NetworkState::Fails {
                return Some(NetworkState::Fails);
            }
        }
        self.rounds
            .iter()
            .filter(|r| r.began >= end)
            .find_map(|r| r.decided)
    }
}

/// Decides as soon as nothing that is still to come can change it.
fn decided(states: &[Option<WitnessState>], quorum: Option<usize>) -> Option<NetworkState> {
    let count = |which: Option<WitnessState>| states.iter().filter(|s| **s == which).count();
    let measurable = states.len() - count(Some(WitnessState::LeftOut));
    let is_open = count(None) > 0;
    let needed = quorum.unwrap_or(measurable / 2 + 1).min(measurable);
    if count(Some(WitnessState::Answers)) >= needed && (measurable > 0 || !is_open) {
        return Some(NetworkState::Works);
    }
    (!is_open).then_some(NetworkState::Fails)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Cause;

    fn up() -> Outcome {
        Outcome::Success(Box::default())
    }

    fn down() -> Outcome {
        Outcome::Failure {
            cause: Cause::ConnectTimeout,
            detail: String::new(),
            facts: Box::default(),
        }
    }

    fn forbidden() -> Outcome {
        Outcome::Unmeasured {
            reason: Reason::Permission,
            detail: String::new(),
        }
    }

    #[test]
    fn a_failure_waits_for_a_round_that_began_after_it() {
        let mut w = Witnesses::new(1, None);
        let early = w.begin_due(10).expect("the first round is due at once");
        assert_eq!(
            w.take_answer(early, 0, &up(), 0),
            RoundProgress::Decided(NetworkState::Works)
        );
        assert_eq!(w.network_state(11, 11), None, "that round began before");
        w.want(11, 1000);
        assert_eq!(
            w.begin_due(500),
            None,
            "at most one round in a retry interval"
        );
        let later = w.begin_due(1010).expect("due");
        assert_eq!(w.network_state(11, 11), None);
        assert_eq!(
            w.take_answer(later, 0, &down(), 1020),
            RoundProgress::Decided(NetworkState::Fails)
        );
        assert_eq!(w.network_state(11, 11), Some(NetworkState::Fails));
    }

    #[test]
    fn a_probe_that_ran_while_the_network_was_lost_is_no_failure_though_witnesses_answer_after_it()
    {
        let mut w = Witnesses::new(1, None);
        let lost = w.begin_due(100).expect("due");
        assert_eq!(
            w.network_state(150, 200),
            None,
            "the round before it is open"
        );
        let _ = w.take_answer(lost, 0, &down(), 110);
        w.want(200, 0);
        assert_eq!(w.begin_due(300), Some(2), "due at 300");
        assert_eq!(
            w.take_answer(2, 0, &up(), 310),
            RoundProgress::Decided(NetworkState::Works)
        );
        assert_eq!(
            w.network_state(150, 250),
            Some(NetworkState::Fails),
            "it began while the network was lost"
        );
        w.want(700, 0);
        assert_eq!(w.begin_due(700), Some(3));
        let _ = w.take_answer(3, 0, &up(), 710);
        assert_eq!(
            w.network_state(400, 600),
            Some(NetworkState::Works),
            "this one began after it had come back"
        );
    }

    /// One witness that answered, or did not, and the set that a reload puts in its place.
    fn replaced(before: &Outcome, count: usize) -> Witnesses {
        let mut w = Witnesses::new(1, None);
        let round = w.begin_due(0).expect("due");
        let _ = w.take_answer(round, 0, before, 1);
        w.replace(count, None);
        w
    }

    #[test]
    fn new_witnesses_hold_nothing_back_before_they_have_met_their_quorum() {
        let mut none = Witnesses::default();
        none.replace(1, None);
        for mut w in [none, replaced(&up(), 1), replaced(&forbidden(), 1)] {
            let first = w.begin_due(100).expect("a new set is asked at once");
            assert_eq!(
                w.network_state(50, 90),
                None,
                "it waits for the round all the same"
            );
            assert_eq!(
                w.take_answer(first, 0, &down(), 110),
                RoundProgress::OnTrial { rounds: 1 }
            );
            assert_eq!(
                (w.network_state(50, 90), w.quorum_met),
                (Some(NetworkState::Works), None)
            );
            // Another set after one that never answered is no better.
            w.replace(1, None);
            let second = w.begin_due(700).expect("due");
            assert_eq!(
                w.take_answer(second, 0, &down(), 710),
                RoundProgress::OnTrial { rounds: 1 }
            );
            let third = w.begin_due(1300).expect("asked on");
            assert_eq!(
                w.take_answer(third, 0, &up(), 1310),
                RoundProgress::Decided(NetworkState::Works)
            );
            // From now on it holds back; what counted before still does.
            w.want(1900, 0);
            let fourth = w.begin_due(1900).expect("due");
            assert_eq!(
                w.take_answer(fourth, 0, &down(), 1910),
                RoundProgress::Decided(NetworkState::Fails)
            );
            assert_eq!(w.network_state(1800, 1850), Some(NetworkState::Fails));
            assert_eq!(w.network_state(600, 690), Some(NetworkState::Works));
        }
    }

    #[test]
    fn new_witnesses_after_a_lost_quorum_hold_back_at_once() {
        let mut w = replaced(&down(), 2);
        let round = w.begin_due(100).expect("due");
        let _ = w.take_answer(round, 0, &down(), 110);
        assert_eq!(
            w.take_answer(round, 1, &down(), 110),
            RoundProgress::Decided(NetworkState::Fails)
        );
        assert_eq!(w.network_state(50, 90), Some(NetworkState::Fails));
        // So do those of a start.
        let mut w = Witnesses::new(1, None);
        let round = w.begin_due(100).expect("due");
        assert_eq!(
            w.take_answer(round, 0, &down(), 110),
            RoundProgress::Decided(NetworkState::Fails)
        );
    }

    #[test]
    fn a_round_that_runs_at_a_reload_is_decided_by_those_that_it_asked() {
        for (answer, held_back) in [(up(), NetworkState::Works), (down(), NetworkState::Fails)] {
            let mut w = Witnesses::new(2, None);
            let first = w.begin_due(0).expect("due");
            let _ = w.take_answer(first, 0, &up(), 1);
            let _ = w.take_answer(first, 1, &up(), 1);
            w.want(500, 0);
            let running = w.begin_due(500).expect("due");
            w.replace(1, None);
            assert_eq!(w.network_state(400, 450), None);
            let _ = w.take_answer(running, 0, &answer, 510);
            assert_eq!(
                w.take_answer(running, 1, &answer, 510),
                RoundProgress::Decided(held_back)
            );
            assert_eq!(w.network_state(400, 450), Some(held_back));
            assert_eq!(w.latest(), [None], "they are not of the new ones");
            // Were they silent, the network was lost before: the new ones hold back at once.
            let own = w.begin_due(600).expect("due");
            let _ = w.take_answer(own, 0, &down(), 610);
            assert_eq!(w.network_state(560, 590), Some(held_back));
        }
    }

    #[test]
    fn a_majority_of_the_measurable_decides_as_soon_as_it_can() {
        let mut w = Witnesses::new(3, None);
        let round = w.begin_due(0).expect("due");
        assert_eq!(w.take_answer(round, 0, &up(), 0), RoundProgress::Nothing);
        assert_eq!(
            w.take_answer(round, 1, &up(), 0),
            RoundProgress::Decided(NetworkState::Works),
            "the third is not waited for"
        );
        assert_eq!(w.take_answer(round, 2, &down(), 0), RoundProgress::Nothing);
        w.want(500, 0);
        let round = w.begin_due(500).expect("due");
        assert_eq!(
            w.take_answer(round, 0, &forbidden(), 0),
            RoundProgress::Nothing
        );
        assert_eq!(w.take_answer(round, 1, &down(), 0), RoundProgress::Nothing);
        assert_eq!(
            w.take_answer(round, 2, &up(), 0),
            RoundProgress::Decided(NetworkState::Fails),
            "one of two is no majority"
        );
    }

    #[test]
    fn without_a_measurable_witness_the_rule_is_off() {
        let mut w = Witnesses::new(2, Some(2));
        let round = w.begin_due(0).expect("due");
        assert_eq!(
            w.take_answer(round, 0, &forbidden(), 0),
            RoundProgress::Nothing
        );
        assert_eq!(
            w.take_answer(round, 1, &forbidden(), 0),
            RoundProgress::Decided(NetworkState::Works)
        );
        assert_eq!(
            Witnesses::new(0, None).network_state(5, 5),
            Some(NetworkState::Works)
        );
    }
}
