//! A probe as a task of its own, and what the task reports to the driver.

use crate::kind::Kind;
use crate::kind::run::ProbeReport;
use crate::net::clock::Clock;
use crate::net::echo;
use crate::words::{Outcome, PhaseTimes, ProbeTrigger, Reason};

/// A probe of an endpoint that has ended.
pub(super) struct Done {
    pub endpoint: usize,
    pub seq: u64,
    pub due_ns: u64,
    pub trigger: ProbeTrigger,
    pub report: ProbeReport,
    /// Timeline.
    pub ended_ns: u64,
}

/// What a task of the driver found.
pub(super) enum Finished {
    Probe(Done),
    Witness {
        round: u64,
        witness: usize,
        outcome: Outcome,
    },
}

/// A probe whose code panics is an outcome like others: the prober's own fault.
pub(super) struct PanicGuarded<F>(pub std::pin::Pin<Box<F>>);

impl<F: Future<Output = ProbeReport>> Future for PanicGuarded<F> {
    type Output = ProbeReport;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<ProbeReport> {
        let inner = &mut self.0;
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| inner.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(_) => {
                let outcome = Outcome::Unmeasured {
                    reason: Reason::Internal,
                    detail: "the probe's code panicked; please report this".into(),
                };
                let started_ns = Clock::Real.boot_ns();
                std::task::Poll::Ready(ProbeReport {
                    outcome,
                    phases: PhaseTimes::default(),
                    duration_us: 0,
                    started_ns,
                    given_ms: 0,
                    stood_ns: started_ns,
                })
            }
        }
    }
}

/// A witness that this process may never ask says nothing; only echo requests need a permission.
/// One that a firewall of this host keeps us from asking is silent: so may be all endpoints.
pub(super) fn of_witness(kind: Kind, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Unmeasured {
            reason: Reason::Permission,
            detail,
        } if !kind.needs_echo_socket() || echo::permitted().is_ok() => Outcome::Unmeasured {
            reason: Reason::LocalNetwork,
            detail,
        },
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_is_left_out_only_where_this_process_may_never_ask_it() {
        let denied = || Outcome::Unmeasured {
            reason: Reason::Permission,
            detail: String::new(),
        };
        let reason = |kind| match of_witness(kind, denied()) {
            Outcome::Unmeasured { reason, .. } => reason,
            other => panic!("{other:?}"),
        };
        for kind in Kind::ALL.iter().filter(|kind| **kind != Kind::Icmp) {
            assert_eq!(reason(*kind), Reason::LocalNetwork, "a firewall: {kind:?}");
        }
        let expected = match echo::permitted() {
            Ok(()) => Reason::LocalNetwork,
            Err(_) => Reason::Permission,
        };
        assert_eq!(reason(Kind::Icmp), expected);
    }

    #[test]
    fn a_panic_in_a_probe_is_an_outcome_of_our_own_fault() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let report = runtime.block_on(PanicGuarded(Box::pin(async {
            panic!("a bug in a prober")
        })));
        assert!(matches!(
            report.outcome,
            Outcome::Unmeasured {
                reason: Reason::Internal,
                ..
            }
        ));
    }
}
