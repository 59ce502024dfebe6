//! The trace of one running probe: what it has learnt, where its time went, and where it stands
//! now.
//!
//! It outlives the probe's future, so that a probe that is cut off by its timeout still tells its
//! phases and facts, and the stage in which it hung names the cause. What the prober itself took
//! while nothing was awaited, or between the kernel's receipt of something and our look at it, is
//! in no phase and not in the duration.

use std::cell::{Cell, RefCell};
use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::time::{Duration, Instant};

use super::first_bytes::FirstBytes;
use super::sys::KernelClock;
use crate::words::{Cause, Facts, Ms, Phase, PhaseTimes};

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
    /// What is yet to be done is the prober's own: to judge the answer, or to find memory for the
    /// rest of it.
    Judging,
    /// A reply of a dialogue, a DNS answer or an echo is awaited.
    Reply(Cause),
}

impl Stage {
    fn phase(self) -> Option<Phase> {
        match self {
            Stage::Idle | Stage::Judging => None,
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
            Stage::Idle | Stage::Judging | Stage::Connect => Cause::ConnectTimeout,
            Stage::Tls => Cause::TlsTimeout,
            Stage::Request | Stage::FirstByte => Cause::FirstByteTimeout,
            Stage::Transfer => Cause::BodyTimeout,
            Stage::Reply(cause) => cause,
        }
    }
}

/// A clock that is moved by more between two readings, a thousandth of their distance aside, was
/// set meanwhile.
const STEP_NS: u64 = 200_000;
/// By how much a deadline moves at most: a probe has an end also where there is never room.
pub const MOST_GIVEN_BACK: Duration = Duration::from_secs(1);

/// What was the prober's own doing.
#[derive(Clone, Copy, Default)]
struct Own {
    total_ns: u64,
    /// What it was before the last stretch, and that stretch.
    before_ns: u64,
    from_ns: u64,
    until_ns: u64,
}

/// One probe's trace. Times are CLOCK_BOOTTIME in nanoseconds.
pub struct Trace {
    pub started_ns: u64,
    /// CLOCK_REALTIME at the start: tells whether it was set since.
    started_realtime_ns: u64,
    own: Cell<Own>,
    /// How long the endpoint was kept waiting by us, in nanoseconds.
    kept_ns: Cell<u64>,
    /// A hash of the host that the endpoint of the config is at: whose certificates are related.
    pub whose: Cell<u64>,
    /// The answer is there as a whole: what is yet to be done is to judge it.
    pub is_answered: Cell<bool>,
    /// The addresses that are tried are those of a name.
    pub is_named: Cell<bool>,
    /// What a peer has said so far is being looked at, which has its own time when the timeout
    /// comes.
    pub is_looked_at: Cell<bool>,
    /// When checks apart from the probing thread ended, and what processor time each took.
    checks: RefCell<Vec<(Instant, Duration)>>,
    /// So much was read of the connection that others are to have their turn.
    pub is_turn_over: Cell<bool>,
    /// When the stage that stands was entered.
    entered_ns: Cell<u64>,
    pub facts: RefCell<Facts>,
    phases: RefCell<PhaseTimes>,
    stage: Cell<Stage>,
    /// The last one in which the endpoint was waited for.
    last_stage: Cell<Stage>,
    /// The same, less what was our own until then.
    since_ns: Cell<u64>,
    /// The last moment at which the endpoint was seen to do something, less the same.
    ended_ns: Cell<u64>,
    /// The TLS peer has asked for a client certificate; its verdict may come after the handshake.
    pub client_certificate_asked: Cell<bool>,
    /// A redirect led to another origin: what it says is not shown.
    pub at_stranger: Cell<bool>,
    /// Other hosts that redirects led to.
    pub led_to: RefCell<Vec<String>>,
    /// The port of the peer, once a connection stands.
    pub port: Cell<u16>,
    /// What the peer began with in the handshake that is under way.
    pub first_bytes: FirstBytes,
}

impl Trace {
    pub fn begin() -> Self {
        Self::begun(
            KernelClock::Boottime.now_ns(),
            KernelClock::Realtime.now_ns(),
        )
    }

    /// The trace of a probe of a host.
    pub fn of(self, host: &str) -> Self {
        let mut hash = DefaultHasher::new();
        host.hash(&mut hash);
        self.whose.set(hash.finish());
        self
    }

    fn begun(now: u64, realtime_ns: u64) -> Self {
        Self {
            started_ns: now,
            started_realtime_ns: realtime_ns,
            own: Cell::default(),
            kept_ns: Cell::new(0),
            whose: Cell::new(0),
            is_answered: Cell::new(false),
            is_named: Cell::new(false),
            is_looked_at: Cell::new(false),
            checks: RefCell::default(),
            is_turn_over: Cell::new(false),
            entered_ns: Cell::new(now),
            facts: RefCell::default(),
            phases: RefCell::default(),
            stage: Cell::new(Stage::Idle),
            last_stage: Cell::new(Stage::Idle),
            since_ns: Cell::new(now),
            ended_ns: Cell::new(now),
            client_certificate_asked: Cell::new(false),
            at_stranger: Cell::new(false),
            led_to: RefCell::default(),
            port: Cell::new(0),
            first_bytes: FirstBytes::default(),
        }
    }

    /// A redirect led to this host.
    pub fn came_to(&self, host: &str) {
        let mut led_to = self.led_to.borrow_mut();
        if !led_to.iter().any(|known| known == host) {
            led_to.push(host.to_owned());
        }
    }

    pub fn stage(&self) -> Stage {
        self.stage.get()
    }

    /// Where the endpoint was last waited for.
    pub fn last_stage(&self) -> Stage {
        self.last_stage.get()
    }

    /// Ends the stage that stood and begins another. Idle time is the prober's own.
    pub fn enter(&self, stage: Stage) {
        self.enter_now(stage, KernelClock::Boottime.now_ns());
    }

    fn enter_now(&self, stage: Stage, now_ns: u64) {
        if self.stage.get() == Stage::Judging {
            self.kept_ns
                .set(self.kept_ns.get() + now_ns.saturating_sub(self.entered_ns.get()));
        }
        if matches!(self.stage.get(), Stage::Idle | Stage::Judging) {
            self.note_own(self.entered_ns.get(), now_ns);
        }
        let at_ns = now_ns
            .saturating_sub(self.own.get().total_ns)
            .max(self.since_ns.get());
        if let Some(phase) = self.stage.get().phase() {
            self.phases
                .borrow_mut()
                .add(phase, (at_ns - self.since_ns.get()) / 1000);
        }
        self.stage.set(stage);
        if !matches!(stage, Stage::Idle | Stage::Judging) {
            self.last_stage.set(stage);
        }
        if stage == Stage::Tls {
            self.first_bytes.clear();
        }
        self.entered_ns.set(now_ns);
        self.since_ns.set(at_ns);
        self.ended_ns.set(at_ns);
    }

    /// Enters a stage after a wait in which nothing was read. The peer could send no more than the
    /// kernel takes by itself: what came late in the wait, as the peer's own kernel tried again,
    /// was not waited for.
    pub fn reads_again(&self, stage: Stage) {
        self.reads_again_now(stage, KernelClock::Boottime.now_ns());
    }

    fn reads_again_now(&self, stage: Stage, now_ns: u64) {
        self.enter_now(stage, now_ns);
        let own = self.own.get();
        self.own.set(Own {
            before_ns: own.total_ns,
            from_ns: own.until_ns,
            ..own
        });
    }

    /// The stage that stands has begun at this moment only: what was before was our own.
    pub fn began_at(&self, at_ns: u64) {
        self.note_own(self.entered_ns.get(), at_ns);
    }

    /// Enters a stage after what has ended at a moment that the kernel tells: the time since then
    /// was our own.
    pub fn enter_at(&self, stage: Stage, at_ns: u64) {
        let now_ns = KernelClock::Boottime.now_ns();
        self.note_own(at_ns, now_ns);
        self.enter_now(stage, now_ns);
    }

    /// The endpoint had done its part at this moment, as is known only now: since then it was kept
    /// waiting by us.
    pub fn judged_since(&self, at_ns: u64) {
        self.enter_now(Stage::Judging, at_ns.max(self.entered_ns.get()));
        self.enter(Stage::Idle);
    }

    /// What was the prober's own until now, in nanoseconds.
    pub fn own_ns(&self) -> u64 {
        self.own.get().total_ns
    }

    /// More has come of an endpoint that was listened to since something was our own, in a read
    /// that began at a moment: until the bytes came it was waited for, whatever we did meanwhile.
    pub fn went_on(&self, own_ns: u64, read_ns: u64) {
        let own = self.own.get();
        let before_ns = own_ns.min(own.before_ns);
        let is_of_read = own.until_ns >= read_ns;
        let since_ns = if is_of_read {
            own.until_ns.saturating_sub(own.from_ns)
        } else {
            0
        };
        self.own.set(Own {
            total_ns: if is_of_read { before_ns } else { own_ns } + since_ns,
            before_ns,
            ..own
        });
    }

    /// Something has come that the kernel stamped with CLOCK_REALTIME: the time since then was our
    /// own. Without a stamp, or with one that cannot be true, it came now.
    pub fn arrived(&self, stamp_ns: Option<u64>) {
        if let Some(stamp_ns) = stamp_ns {
            self.arrived_before(
                stamp_ns,
                KernelClock::Boottime.now_ns(),
                KernelClock::Realtime.now_ns(),
            );
        }
    }

    fn arrived_before(&self, stamp_ns: u64, now_ns: u64, realtime_ns: u64) {
        let (took, took_realtime) = (
            now_ns.saturating_sub(self.started_ns),
            realtime_ns.saturating_sub(self.started_realtime_ns),
        );
        let was_set = took.abs_diff(took_realtime) > STEP_NS + took / 1000;
        if !was_set && (self.started_realtime_ns..=realtime_ns).contains(&stamp_ns) {
            self.note_own(now_ns - (realtime_ns - stamp_ns), now_ns);
        }
    }

    fn note_own(&self, from_ns: u64, now_ns: u64) {
        let own = self.own.get();
        // What came during the last stretch was waited for until then, although we hear of it after
        // the stretch.
        let (before_ns, from_ns) = if from_ns < own.until_ns {
            (own.before_ns, from_ns.max(own.from_ns))
        } else {
            (own.total_ns, from_ns.max(self.entered_ns.get()))
        };
        self.own.set(Own {
            total_ns: before_ns + now_ns.saturating_sub(from_ns),
            before_ns,
            from_ns,
            until_ns: now_ns,
        });
    }

    /// What the peer has said was checked, and that has just ended.
    pub fn has_checked(&self, took: Duration) {
        self.checks.borrow_mut().push((Instant::now(), took));
    }

    /// How long after this instant what the peer had said was checked. A wait for a thread is none
    /// of it.
    pub fn checked_after(&self, instant: Instant) -> Duration {
        let checks = self.checks.borrow();
        let after = checks
            .iter()
            .map(|(end, took)| end.saturating_duration_since(instant).min(*took));
        after.sum()
    }

    /// Milliseconds in which the endpoint was kept waiting by us, until now.
    pub fn kept_ms(&self) -> Ms {
        self.kept().as_millis() as Ms
    }

    fn kept(&self) -> Duration {
        let still_ns = if self.stage.get() == Stage::Judging {
            KernelClock::Boottime
                .now_ns()
                .saturating_sub(self.entered_ns.get())
        } else {
            0
        };
        Duration::from_nanos(self.kept_ns.get() + still_ns)
    }

    /// A deadline of the endpoint, moved by the time in which it was kept waiting by us, and by
    /// [`MOST_GIVEN_BACK`] at most.
    pub fn moved(&self, deadline: Instant) -> Instant {
        deadline + self.kept().min(MOST_GIVEN_BACK)
    }

    pub fn phases(&self) -> PhaseTimes {
        *self.phases.borrow()
    }

    /// Since the start, whoever's time it was.
    pub fn age_ms(&self) -> Ms {
        KernelClock::Boottime
            .now_ns()
            .saturating_sub(self.started_ns)
            / 1_000_000
    }

    /// Microseconds from the start to the end of the last stage, without what was our own.
    pub fn duration_us(&self) -> u64 {
        (self.ended_ns.get() - self.started_ns) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const REALTIME: u64 = 1_000_000 * MS;

    /// Times below are milliseconds since the start of the probe.
    fn trace() -> Trace {
        Trace::begun(500 * MS, REALTIME)
    }

    #[tokio::test]
    async fn of_a_check_counts_what_it_took_after_an_instant() {
        let trace = Trace::begin();
        let until = Instant::now();
        assert_eq!(trace.checked_after(until), Duration::ZERO);
        trace.has_checked(Duration::from_secs(60));
        let checked = trace.checked_after(until);
        assert!(
            checked <= until.elapsed(),
            "a wait before that: {checked:?}"
        );
        trace.has_checked(Duration::ZERO);
        assert_eq!(trace.checked_after(until), checked);
        assert_eq!(trace.checked_after(Instant::now()), Duration::ZERO);
    }

    impl Trace {
        fn enters(&self, stage: Stage, at: u64) {
            self.enter_now(stage, (500 + at) * MS);
        }

        fn hears(&self, of: u64, at: u64) {
            self.arrived_before(REALTIME + of * MS, (500 + at) * MS, REALTIME + at * MS);
        }

        fn phase_ms(&self, phase: Phase) -> Option<u64> {
            self.phases().us(phase).map(|us| u64::from(us) / 1000)
        }
    }

    #[test]
    fn what_came_while_we_did_something_else_came_when_the_kernel_says() {
        let trace = trace();
        trace.enters(Stage::FirstByte, 0);
        trace.hears(10, 30);
        trace.enters(Stage::Transfer, 30);
        // The second piece came before we had looked at the first, the third after.
        trace.hears(25, 31);
        trace.hears(40, 45);
        trace.enters(Stage::Idle, 46);
        trace.enters(Stage::Idle, 60);
        assert_eq!(
            (
                trace.phase_ms(Phase::FirstByte),
                trace.phase_ms(Phase::Transfer)
            ),
            (Some(10), Some(25))
        );
        // Ours: from 10 to 30, in which the endpoint sent on until 25; to 31; from 40 to 45.
        assert_eq!(trace.duration_us(), 35_000);
    }

    #[test]
    fn time_between_stages_is_ours_and_what_came_in_it_was_waited_for() {
        let trace = trace();
        trace.enters(Stage::Connect, 20);
        trace.began_at(525 * MS);
        trace.enters(Stage::Idle, 30);
        trace.enters(Stage::Reply(Cause::ExpectTimeout), 80);
        trace.hears(40, 90);
        trace.enters(Stage::Idle, 90);
        assert_eq!(
            (
                trace.phase_ms(Phase::Connect),
                trace.phase_ms(Phase::FirstByte)
            ),
            (Some(5), Some(10))
        );
        assert_eq!(trace.duration_us(), 15_000);
    }

    #[test]
    fn what_comes_while_nothing_is_read_was_not_waited_for() {
        let trace = trace();
        trace.enters(Stage::Transfer, 0);
        trace.hears(10, 10);
        trace.enters(Stage::Judging, 10);
        trace.reads_again_now(Stage::Transfer, 510 * MS + 500 * MS);
        // The peer's kernel tried again while the window was closed, and went on when it opened.
        trace.hears(450, 511);
        trace.hears(515, 516);
        trace.enters(Stage::Idle, 516);
        assert_eq!(trace.kept_ms(), 500);
        // To 10 and from 511 to 515.
        assert_eq!(trace.duration_us(), 14_000);
    }

    #[test]
    fn a_peer_that_goes_on_was_waited_for_however_often_it_was_read() {
        let trace = trace();
        trace.enters(Stage::Connect, 0);
        trace.enters(Stage::Idle, 10);
        trace.enters(Stage::Reply(Cause::ExpectTimeout), 20);
        let own_ns = trace.own_ns();
        for at in (30..100).step_by(10) {
            trace.hears(at, at + 4);
            trace.went_on(own_ns, (500 + at) * MS);
        }
        trace.enters(Stage::Idle, 94);
        assert_eq!(trace.duration_us(), 80_000, "from 10 to 20, and from 90");
        trace.went_on(own_ns, 600 * MS);
        assert_eq!(trace.own_ns(), own_ns, "nothing was stamped");
    }

    #[test]
    fn only_what_comes_after_the_last_byte_is_ours_where_the_end_is_known_later() {
        let trace = trace();
        trace.enters(Stage::Reply(Cause::ExpectTimeout), 0);
        // Looked at from 100 to 300 and from 400 on; the deciding byte came at 450.
        trace.hears(450, 600);
        trace.enter_now(Stage::Judging, (500 + 600) * MS);
        trace.enters(Stage::Idle, 700);
        assert_eq!(trace.duration_us(), 450_000);
        assert_eq!(trace.kept_ms(), 100);
    }

    #[tokio::test]
    async fn a_deadline_moves_by_the_time_in_which_the_endpoint_was_kept_waiting() {
        let (trace, deadline) = (trace(), Instant::now());
        trace.enters(Stage::Judging, 0);
        trace.enters(Stage::Transfer, 400);
        assert_eq!(trace.moved(deadline), deadline + Duration::from_millis(400));
        trace.enters(Stage::Judging, 500);
        trace.enters(Stage::Transfer, 5000);
        assert_eq!(trace.moved(deadline), deadline + MOST_GIVEN_BACK);
    }

    #[test]
    fn a_stamp_that_cannot_be_true_is_not_believed() {
        let trace = trace();
        trace.enters(Stage::FirstByte, 0);
        trace.arrived(None);
        // From before the probe, from the future, and with a clock that was set meanwhile.
        trace.arrived_before(REALTIME - MS, 510 * MS, REALTIME + 10 * MS);
        trace.arrived_before(REALTIME + 11 * MS, 510 * MS, REALTIME + 10 * MS);
        trace.arrived_before(REALTIME + 5 * MS, 510 * MS, REALTIME + 1010 * MS);
        trace.arrived_before(REALTIME + 5 * MS, 510 * MS, REALTIME + 8 * MS);
        trace.enters(Stage::Idle, 10);
        assert_eq!(trace.duration_us(), 10_000);
    }
}
