//! The trace of one running probe: what it has learnt, where its time went, and where it stands now.
//!
//! It outlives the probe's future, so that a probe that is cut off by its timeout still tells its phases and facts, and
//! the stage in which it hung names the cause.

use std::cell::{Cell, RefCell};

use super::sys::KernelClock;
use crate::words::{Cause, Facts, Phase, PhaseTimes};

/// Where a probe stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Idle,
    Resolve,
    Connect,
    Tls,
    Request,
    FirstByte,
    Transfer,
    /// A reply of a dialogue, a DNS answer or an echo is awaited.
    Reply(Cause),
}

impl Stage {
    fn phase(self) -> Option<Phase> {
        match self {
            Stage::Idle => None,
            Stage::Resolve => Some(Phase::Resolve),
            Stage::Connect => Some(Phase::Connect),
            Stage::Tls => Some(Phase::Tls),
            Stage::Request => Some(Phase::Request),
            Stage::FirstByte | Stage::Reply(_) => Some(Phase::FirstByte),
            Stage::Transfer => Some(Phase::Transfer),
        }
    }

    /// The cause of a probe whose time ran out here.
    pub fn timeout_cause(self) -> Cause {
        match self {
            Stage::Resolve => Cause::DnsTimeout,
            Stage::Idle | Stage::Connect => Cause::ConnectTimeout,
            Stage::Tls => Cause::TlsTimeout,
            Stage::Request | Stage::FirstByte => Cause::FirstByteTimeout,
            Stage::Transfer => Cause::BodyTimeout,
            Stage::Reply(cause) => cause,
        }
    }
}

/// One probe's trace. Times are CLOCK_BOOTTIME in nanoseconds.
pub struct Trace {
    pub started_ns: u64,
    pub facts: RefCell<Facts>,
    phases: RefCell<PhaseTimes>,
    stage: Cell<Stage>,
    since_ns: Cell<u64>,
    /// The last moment at which the endpoint was seen to do something.
    ended_ns: Cell<u64>,
    /// The TLS peer has asked for a client certificate; its verdict may come after the handshake.
    pub client_certificate_asked: Cell<bool>,
}

impl Trace {
    pub fn begin() -> Self {
        let now = KernelClock::Boottime.now_ns();
        Self {
            started_ns: now,
            facts: RefCell::default(),
            phases: RefCell::default(),
            stage: Cell::new(Stage::Idle),
            since_ns: Cell::new(now),
            ended_ns: Cell::new(now),
            client_certificate_asked: Cell::new(false),
        }
    }

    pub fn stage(&self) -> Stage {
        self.stage.get()
    }

    /// Ends the stage that stood and begins another.
    pub fn enter(&self, stage: Stage) {
        self.enter_at(stage, KernelClock::Boottime.now_ns());
    }

    /// The same, at a moment that the kernel has stamped.
    pub fn enter_at(&self, stage: Stage, at_ns: u64) {
        let at_ns = at_ns.max(self.since_ns.get());
        if let Some(phase) = self.stage.get().phase() {
            self.phases.borrow_mut().add(phase, (at_ns - self.since_ns.get()) / 1000);
        }
        self.stage.set(stage);
        self.since_ns.set(at_ns);
        self.ended_ns.set(at_ns);
    }

    pub fn phases(&self) -> PhaseTimes {
        *self.phases.borrow()
    }

    /// Microseconds from the start to the end of the last stage.
    pub fn duration_us(&self) -> u64 {
        (self.ended_ns.get() - self.started_ns) / 1000
    }
}

/// A moment of CLOCK_REALTIME (a kernel's stamp) on CLOCK_BOOTTIME, both in nanoseconds.
pub fn boot_of_realtime(realtime_ns: u64) -> u64 {
    let (boot, real) = (KernelClock::Boottime.now_ns(), KernelClock::Realtime.now_ns());
    boot - real.saturating_sub(realtime_ns).min(boot)
}
