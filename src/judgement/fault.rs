//! Whose fault is it? What a probe found counts for or against its endpoint only if nothing of the
//! prober itself can explain it ([decision 016](../../docs/decisions/016-ours-or-theirs.md)).
//!
//! Three parts see what of the prober bears on a probe: the engine's driver measures its own stalls
//! and what came too late, the recorder knows whether the definition is still in force, and rounds
//! of witnesses tell whether our network works. What a call of this host itself returned has become
//! an [`Outcome::Unmeasured`] where it was made (`net::probe_error`), and so has what can be known
//! while the probe runs (`net::resolve`, `kind::run`). Here all of it comes together.

use super::rules::OUTCOME_SLACK_MS;
use super::state::ResultKind;
use crate::words::{Cause, Ms, Outcome, Reason};

/// What is known of the prober itself while a probe ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnFaults {
    pub held_up: Option<HeldUp>,
    pub definition: InForce,
    pub network: OwnNetwork,
}

/// How the prober itself held a probe up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldUp {
    /// The whole engine stood still within the probe, for longer than the endpoint's `late_after`.
    Stalled(Reason),
    /// The outcome came later than the probe may take: nobody but a busy prober can cause that.
    Overrun,
}

impl HeldUp {
    fn reason(self) -> Reason {
        match self {
            HeldUp::Stalled(reason) => reason,
            HeldUp::Overrun => Reason::Late,
        }
    }

    /// Whether this failure can come of it.
    fn explains(self, cause: Cause) -> bool {
        match self {
            HeldUp::Stalled(_) => !is_reported_to_every_client(cause),
            HeldUp::Overrun => can_come_of_own_delay(cause),
        }
    }
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
pub fn attribute(outcome: &Outcome, own: &OwnFaults) -> Option<ResultKind> {
    if own.definition == InForce::Replaced {
        return Some(ResultKind::Unmeasured(Reason::Reconfigured));
    }
    let cause = match outcome {
        Outcome::Success(_) => return Some(ResultKind::Success),
        Outcome::Unmeasured { reason, .. } => return Some(ResultKind::Unmeasured(*reason)),
        Outcome::Failure { cause, .. } => *cause,
    };
    if let Some(held_up) = own.held_up.filter(|held_up| held_up.explains(cause)) {
        return Some(ResultKind::Unmeasured(held_up.reason()));
    }
    match own.network {
        OwnNetwork::Works => Some(ResultKind::Failure(cause)),
        OwnNetwork::Fails(reason) => Some(ResultKind::Unmeasured(reason)),
        OwnNetwork::Open => None,
    }
}

/// Failures that the prober's own slowness can cause: what came in time was read too late, or the
/// server gave up on a client that did nothing.
fn can_come_of_own_delay(cause: Cause) -> bool {
    cause.is_timeout() || matches!(cause, Cause::ConnectReset | Cause::HttpTruncated)
}

/// Failures that every client gets, however long it pauses between two steps: a refused connection,
/// an unreachable host, a name that does not exist, a bad certificate. All others a server may send
/// because the client kept it waiting: it closes the connection, answers 408, or reports a timeout
/// in its protocol.
fn is_reported_to_every_client(cause: Cause) -> bool {
    use Cause::*;
    match cause {
        ConnectRefused | ConnectUnreachable | IcmpUnreachable | DnsNxdomain | DnsNoAddress
        | TlsCertExpired | TlsCertNotYetValid | TlsCertName | TlsCertUntrusted | TlsCertPurpose
        | TlsCertWeak | TlsCertExpiring => true,
        DnsServfail | DnsRefused | DnsTimeout | DnsInvalid | ConnectTimeout | ConnectReset
        | TlsTimeout | TlsHandshake | TlsClientAuth | FirstByteTimeout | BodyTimeout
        | HttpMalformed | HttpTruncated | HeaderLimit | BodyLimit | DecodeError | DecodeLimit
        | RedirectLimit | RedirectPolicy | ProtocolError | Status | VersionMismatch
        | HeaderMismatch | BodyMismatch | JsonMismatch | UrlMismatch | TooSlow | DnsRcode
        | DnsMismatch | IcmpTimeout | ExpectMismatch | ExpectTimeout | TlsMismatch | JudgeLimit => {
            false
        }
    }
}

/// Whether the prober itself held a probe up: the reason of a stall of the engine within it that
/// was longer than the endpoint's `late_after`, if there was one, and how long it took.
pub fn held_up(stalled: Option<Reason>, took_ns: u64, timeout: Ms) -> Option<HeldUp> {
    let is_overrun = took_ns > (timeout + OUTCOME_SLACK_MS) * 1_000_000;
    stalled
        .map(HeldUp::Stalled)
        .or(is_overrun.then_some(HeldUp::Overrun))
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
        Outcome::Success(Box::default())
    }

    fn down(cause: Cause) -> Outcome {
        Outcome::Failure {
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

    const fn held(held_up: HeldUp) -> OwnFaults {
        OwnFaults {
            held_up: Some(held_up),
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
        let late = held(HeldUp::Stalled(Reason::Late));
        let suspended = held(HeldUp::Stalled(Reason::Suspended));
        let busy = held(HeldUp::Overrun);
        let success = Some(ResultKind::Success);
        let failure = |cause| Some(ResultKind::Failure(cause));
        let unmeasured = |reason| Some(ResultKind::Unmeasured(reason));
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
            // A stall explains what a server does with a client that stands still.
            (down(timeout), late, late_is),
            (
                down(Cause::FirstByteTimeout),
                suspended,
                unmeasured(Reason::Suspended),
            ),
            (down(reset), late, late_is),
            (down(Cause::HttpTruncated), late, late_is),
            (down(refused), late, failure(refused)),
            (down(Cause::TlsCertName), late, failure(Cause::TlsCertName)),
            // A server that was kept waiting may say anything: 408, 421, BYE, GOAWAY.
            (down(status), late, late_is),
            (
                down(Cause::ExpectMismatch),
                suspended,
                unmeasured(Reason::Suspended),
            ),
            (down(Cause::TlsHandshake), late, late_is),
            (down(Cause::ProtocolError), late, late_is),
            // A thread that is busy with one probe keeps no server waiting for long.
            (down(timeout), busy, late_is),
            (down(reset), busy, late_is),
            (down(status), busy, failure(status)),
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
    fn what_a_busy_prober_can_cause_a_stall_can_too_and_each_timeout_is_of_both() {
        let (busy, stalled) = (HeldUp::Overrun, HeldUp::Stalled(Reason::Late));
        for cause in Cause::ALL {
            assert!(
                !busy.explains(*cause) || stalled.explains(*cause),
                "{cause:?}"
            );
            let is_timeout = cause.as_str().contains("timeout") || *cause == Cause::TooSlow;
            let ends_early = matches!(cause, Cause::ConnectReset | Cause::HttpTruncated);
            assert_eq!(busy.explains(*cause), is_timeout || ends_early, "{cause:?}");
            let is_certificate = cause.as_str().starts_with("tls_cert_");
            assert!(!is_certificate || !stalled.explains(*cause), "{cause:?}");
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
        assert_eq!(held_up(None, limit_ns + 1, 1000), Some(HeldUp::Overrun));
        let asleep = Some(HeldUp::Stalled(Reason::Suspended));
        let was_asleep = Some(Reason::Suspended);
        assert_eq!(
            held_up(was_asleep, limit_ns + 1, 1000),
            asleep,
            "it tells more"
        );
        assert_eq!(held_up(was_asleep, 0, 1000), asleep);
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
