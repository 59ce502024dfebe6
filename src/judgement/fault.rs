//! Whose fault is it? What a probe found counts for or against its endpoint only if nothing of the
//! prober itself can explain it ([decision 016](../../docs/decisions/016-ours-or-theirs.md)).
//!
//! Three parts see what of the prober bears on a probe: the engine's driver measures its own stalls
//! and what came too late, the recorder knows whether the definition is still in force, and rounds
//! of witnesses tell whether our network works. What a call of this host itself returned has become
//! an [`Outcome::Unmeasured`] where it was made (`net::halt`). Here all of it comes together.

use super::rules::OUTCOME_SLACK_MS;
use super::state::Verdict;
use crate::words::{Cause, Ms, Outcome, Reason};

/// What is known of the prober itself while a probe ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnFaults {
    /// The engine stood still, or was too busy: see [`held_up`].
    pub held_up: Option<Reason>,
    pub definition: InForce,
    pub network: OwnNetwork,
}

/// Whether the probe asked what the config asks now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InForce {
    Yes,
    /// A reload has replaced the definition since the probe started.
    Replaced,
}

/// What witnesses say of our own network during and after the probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnNetwork {
    /// It works, or no witness is configured.
    Works,
    /// It did not; or the daemon ended before anybody could tell.
    Fails(Reason),
    /// The rounds that decide have not ended.
    Open,
}

/// What the result of a probe means to the judge of its endpoint; nothing while a failure still
/// waits for its witnesses.
pub fn attribute(outcome: &Outcome, own: &OwnFaults) -> Option<Verdict> {
    if own.definition == InForce::Replaced {
        return Some(Verdict::Unmeasured(Reason::Reconfigured));
    }
    let cause = match outcome {
        Outcome::Up(_) => return Some(Verdict::Success),
        Outcome::Unmeasured { reason, .. } => return Some(Verdict::Unmeasured(*reason)),
        Outcome::Down { cause, .. } => *cause,
    };
    if let Some(reason) = own.held_up.filter(|_| is_of_patience(cause)) {
        return Some(Verdict::Unmeasured(reason));
    }
    match own.network {
        OwnNetwork::Works => Some(Verdict::Failure(cause)),
        OwnNetwork::Fails(reason) => Some(Verdict::Unmeasured(reason)),
        OwnNetwork::Open => None,
    }
}

/// Failures that a standstill of the prober can bring about: nobody read what had come in time, or
/// the server gave up on a client that stood still. A refused connection, a wrong status or an
/// invalid certificate stay what they are, however late they were read.
fn is_of_patience(cause: Cause) -> bool {
    cause.is_timeout() || matches!(cause, Cause::ConnectReset | Cause::HttpTruncated)
}

/// Why the prober itself held a probe up, if it did: a stall of the engine that was longer than the
/// endpoint's `late_after`, or an outcome that came later than the probe may take, which nobody but
/// a busy prober can cause.
pub fn held_up(stalled: Option<Reason>, took_ns: u64, timeout: Ms) -> Option<Reason> {
    let is_overrun = took_ns > (timeout + OUTCOME_SLACK_MS) * 1_000_000;
    stalled.or(is_overrun.then_some(Reason::Late))
}

/// Why a slot was missed. One that came late in a stall was late for the stall's reason.
pub fn of_missed(reason: Reason, stalled: Option<Reason>) -> Reason {
    stalled.filter(|_| reason == Reason::Late).unwrap_or(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: OwnFaults = OwnFaults {
        held_up: None,
        definition: InForce::Yes,
        network: OwnNetwork::Works,
    };

    fn up() -> Outcome {
        Outcome::Up(Box::default())
    }

    fn down(cause: Cause) -> Outcome {
        Outcome::Down {
            cause,
            detail: String::new(),
            facts: Box::default(),
        }
    }

    fn own(reason: Reason) -> Outcome {
        Outcome::Unmeasured {
            reason,
            detail: String::new(),
        }
    }

    const fn held(reason: Reason) -> OwnFaults {
        OwnFaults {
            held_up: Some(reason),
            ..IDLE
        }
    }

    const fn replaced(own: OwnFaults) -> OwnFaults {
        OwnFaults {
            definition: InForce::Replaced,
            ..own
        }
    }

    const fn with(network: OwnNetwork, own: OwnFaults) -> OwnFaults {
        OwnFaults { network, ..own }
    }

    /// Every case of decision 016 that is decided here, and the pairs of them.
    #[test]
    fn the_table_of_decision_016() {
        use OwnNetwork::{Fails, Open};
        use Reason::{LocalNetwork, LocalResource, NotRunning, Permission, Reconfigured};
        let lost = Fails(LocalNetwork);
        let (late, suspended) = (held(Reason::Late), held(Reason::Suspended));
        let success = Some(Verdict::Success);
        let failure = |cause| Some(Verdict::Failure(cause));
        let unmeasured = |reason| Some(Verdict::Unmeasured(reason));
        let late_is = unmeasured(Reason::Late);
        let (status, refused) = (Cause::Status, Cause::ConnectRefused);
        let (timeout, reset) = (Cause::ConnectTimeout, Cause::ConnectReset);
        let rows = [
            // What happened, while what of the prober, is what.
            (up(), IDLE, success),
            (up(), late, success),
            (up(), with(lost, IDLE), success),
            (up(), with(Open, IDLE), success),
            (up(), replaced(IDLE), unmeasured(Reconfigured)),
            (down(status), IDLE, failure(status)),
            // What a call of this host returned is ours; witnesses are not asked.
            (own(LocalResource), IDLE, unmeasured(LocalResource)),
            (own(Permission), with(lost, late), unmeasured(Permission)),
            (
                own(LocalResource),
                with(Open, IDLE),
                unmeasured(LocalResource),
            ),
            // The same errno that arrived is the endpoint's.
            (
                down(Cause::ConnectUnreachable),
                IDLE,
                failure(Cause::ConnectUnreachable),
            ),
            // A stall explains what asks for patience, and nothing else.
            (down(timeout), late, late_is),
            (
                down(Cause::FirstByteTimeout),
                suspended,
                unmeasured(Reason::Suspended),
            ),
            (down(reset), late, late_is),
            (down(Cause::HttpTruncated), late, late_is),
            (down(refused), late, failure(refused)),
            (down(status), late, failure(status)),
            (down(Cause::BodyTimeout), with(Open, late), late_is),
            // A failure waits for its witnesses.
            (down(status), with(Open, IDLE), None),
            (down(refused), with(Open, late), None),
            (down(timeout), with(lost, IDLE), unmeasured(LocalNetwork)),
            (
                down(status),
                with(Fails(NotRunning), IDLE),
                unmeasured(NotRunning),
            ),
            // What the config does not ask any more is nobody's.
            (
                down(status),
                replaced(with(Open, IDLE)),
                unmeasured(Reconfigured),
            ),
            (down(timeout), replaced(late), unmeasured(Reconfigured)),
        ];
        for (outcome, own, verdict) in rows {
            assert_eq!(attribute(&outcome, &own), verdict, "{outcome:?}, {own:?}");
        }
    }

    #[test]
    fn every_timeout_and_nothing_else_but_two_is_of_patience() {
        for cause in Cause::ALL {
            let is_timeout = cause.as_str().contains("timeout") || *cause == Cause::TooSlow;
            let ends_early = matches!(cause, Cause::ConnectReset | Cause::HttpTruncated);
            assert_eq!(
                is_of_patience(*cause),
                is_timeout || ends_early,
                "{cause:?}"
            );
        }
    }

    #[test]
    fn what_comes_later_than_a_probe_may_take_was_held_up() {
        let limit_ns = 1_050 * 1_000_000;
        assert_eq!(
            held_up(None, limit_ns, 1000),
            None,
            "the timeout and its slack"
        );
        assert_eq!(held_up(None, limit_ns + 1, 1000), Some(Reason::Late));
        let asleep = Some(Reason::Suspended);
        assert_eq!(
            held_up(asleep, limit_ns + 1, 1000),
            asleep,
            "the stall tells more"
        );
        assert_eq!(held_up(asleep, 0, 1000), asleep);
    }

    #[test]
    fn a_missed_slot_keeps_its_reason_but_where_a_stall_made_it_late() {
        let asleep = Some(Reason::Suspended);
        assert_eq!(of_missed(Reason::Late, asleep), Reason::Suspended);
        assert_eq!(of_missed(Reason::Late, None), Reason::Late);
        assert_eq!(
            of_missed(Reason::LocalResource, asleep),
            Reason::LocalResource
        );
    }
}
