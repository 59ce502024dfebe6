//! The driver: the one task that turns the scheduler's wishes into running probes and their reports
//! into the recorder's steps. It only performs; what to do is decided by the synchronous parts.
//!
//! It also measures the prober itself: turns that came too late are stalls, and what failed during
//! one is not held against an endpoint.

mod clock_steps;
mod commands;
mod commits;
mod endpoint_lifecycle;
mod hours;
mod probe_task;
mod probes;
mod real_time;
mod stalls;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

pub use self::commands::{
    Arrival, EngineCommand, NewPlan, RecordReply, RecordRequest, ReloadSummary,
};
use self::probe_task::Finished;
use self::real_time::RealTime;
use super::board::Board;
use super::inputs::Input;
use super::recorder::definitions::Definitions;
use super::recorder::{Confirming, Probed, Recorder, Reprobe, SlotOutcome};
use super::scheduler::{DueAction, InFlightLimits, Scheduler};
use crate::history::event::DaemonStoppedEvent;
use crate::history::writer::{Progress, Writer};
use crate::history::{EventDraft, Stamp};
use crate::judgement::rules::Cadence;
use crate::judgement::state::Judge;
use crate::kind::run::ProbeReport;
use crate::net::authorities::Authorities;
use crate::net::clock::{Alarm, Clock, NS_PER_MS, Reading, TimelineClock};
use crate::net::clock_trust::ClockTrust;
use crate::net::masks_in_force::MasksInForce;
use crate::net::resolve::Paths;
use crate::net::shared::Net;
use crate::words::{Ms, Name, Outcome, PhaseTimes, ProbeTrigger, Reason, UtcMs};

/// The longest time between two turns of the driver.
const TURN_NS: u64 = 100 * NS_PER_MS;
/// Figures that are taken down or shown in one turn.
const FIGURES_AT_ONCE: usize = 200;
/// Events are committed at once, but not more often than this.
const COMMIT_APART_NS: u64 = 20 * NS_PER_MS;
const SECOND_NS: u64 = 1_000_000_000;
const LATENESS_BOUNDS_US: [u64; 10] = [
    50, 100, 250, 500, 1000, 2500, 10_000, 50_000, 250_000, 1_000_000,
];

/// Counts of the driver for /metrics; written by it alone.
#[derive(Default)]
pub struct Gauges {
    /// Not cumulative; the last is above all bounds.
    pub lateness: [AtomicU64; LATENESS_BOUNDS_US.len() + 1],
    pub lateness_sum_us: AtomicU64,
    pub unmeasured: [AtomicU64; Reason::ALL.len()],
    pub unknown_ms: [AtomicU64; Reason::ALL.len()],
    pub reprobes: [AtomicU64; 3],
}

impl Gauges {
    pub const LATENESS_BOUNDS_US: [u64; 10] = LATENESS_BOUNDS_US;
}

/// What an engine is made of.
pub struct Setup {
    pub clock: Clock,
    pub timeline: TimelineClock,
    pub boot_id: String,
    pub board: Arc<Board>,
    pub gauges: Arc<Gauges>,
    pub recorder: Recorder,
    pub limits: InFlightLimits,
    pub vantage: String,
    pub writer: Writer,
    /// Shared with the thread that looks after their files and the clock.
    pub authorities: Arc<Authorities>,
    pub clock_trust: Arc<ClockTrust>,
    pub masks: Arc<MasksInForce>,
    pub progress: mpsc::UnboundedReceiver<Progress>,
    pub commands: mpsc::UnboundedReceiver<EngineCommand>,
    /// Set by the signal handler of SIGCONT.
    pub continued: Arc<AtomicBool>,
    pub arrivals: Vec<Arrival>,
    pub definitions: Definitions,
    /// Judges of endpoints out of service.
    pub parked: HashMap<i64, (Cadence, Judge)>,
    /// Stored tallies of this hour and the last: (endpoint number, hour, body).
    pub tallies: Vec<(i64, i64, Vec<u8>)>,
}

struct Running {
    start: Ms,
    trigger: ProbeTrigger,
    abort: AbortHandle,
}

/// A stretch in which the driver had no turn. CLOCK_BOOTTIME in nanoseconds.
struct Stall {
    from_ns: u64,
    to_ns: u64,
    reason: Reason,
}

struct Driver {
    clock: Clock,
    timeline: TimelineClock,
    boot_id: String,
    board: Arc<Board>,
    gauges: Arc<Gauges>,
    recorder: Recorder,
    scheduler: Scheduler,
    vantage: String,
    writer: Writer,
    net: Rc<Net>,
    continued: Arc<AtomicBool>,
    running: BTreeMap<(usize, u64), Running>,
    stalls: VecDeque<Stall>,
    last_turn: Reading,
    turns: usize,
    next_tenth_ns: u64,
    last_commit_ns: u64,
    /// The longest time between two commits.
    commit_within_ns: u64,
    /// When the turn before this one was.
    before_turn_ns: u64,
    /// When the first event since the last batch may have happened; 0 while there is none.
    events_from_ns: u64,
    /// When the first event of the batch that is outstanding may have happened; 0 before there was
    /// one.
    gathered_from_ns: u64,
    outstanding: Option<u64>,
    /// CLOCK_BOOTTIME minus CLOCK_MONOTONIC when last looked at.
    suspended_ns: u64,
    hour: i64,
    hour_entered_ns: u64,
    sealed: i64,
    wanted: Vec<Reprobe>,
    reports: mpsc::UnboundedSender<Finished>,
    by_name: HashMap<Name, usize>,
    /// Endpoints that were in service earlier, by their number in the history.
    retired: HashMap<i64, usize>,
    /// Judges of endpoints that the config did not have when the daemon started.
    parked: HashMap<i64, (Cadence, Judge)>,
    /// The hour that has ended and whose tallies are being written, and which endpoint is next.
    closing: Option<(i64, usize)>,
    /// Answers that wait for the commit of their batch.
    promised: Vec<(u64, UtcMs, RecordReply)>,
    /// The priority of this thread, taken when the engine begins.
    real_time: RealTime,
}

/// Runs until it is asked to end. Must be called inside a `LocalSet` of a current-thread runtime.
pub async fn run(setup: Setup) -> std::io::Result<()> {
    let alarm = Alarm::new(&setup.clock)?;
    let (sender, mut reports) = mpsc::unbounded_channel();
    let (mut driver, begin) = Driver::new(setup, sender);
    let Beginning {
        arrivals,
        definitions,
        tallies,
        mut progress,
        mut commands,
    } = begin;
    driver.take_up(arrivals, &definitions, &tallies);
    let mut due = Vec::new();
    loop {
        driver.turn(&mut due);
        let wake_ns = driver.next_wake_ns();
        let ended = tokio::select! {
            biased;
            Some(done) = reports.recv() => {
                driver.note_stall();
                driver.finished(done);
                while let Ok(done) = reports.try_recv() {
                    driver.finished(done);
                }
                None
            }
            Some(news) = progress.recv() => {
                driver.take_news(news);
                None
            }
            Some(command) = commands.recv() => driver.carry_out(command),
            () = alarm.until(wake_ns) => None,
        };
        if let Some(reply) = ended {
            driver.end(&mut progress).await;
            let _ = reply.send(());
            return Ok(());
        }
    }
}

/// What of a [`Setup`] is used up by the first turn, and what the driver hears.
struct Beginning {
    arrivals: Vec<Arrival>,
    definitions: Definitions,
    tallies: Vec<(i64, i64, Vec<u8>)>,
    progress: mpsc::UnboundedReceiver<Progress>,
    commands: mpsc::UnboundedReceiver<EngineCommand>,
}

impl Driver {
    fn new(setup: Setup, reports: mpsc::UnboundedSender<Finished>) -> (Self, Beginning) {
        // It takes its time, which is before the first turn.
        let mut net = Net::new(Paths::default(), setup.authorities, setup.clock_trust);
        net.masks = setup.masks;
        let reading = setup.clock.read();
        let now_utc = setup.timeline.ms(reading.boot_ns) as i64 + setup.recorder.offset_ms;
        let plan = setup.board.plan.load_full();
        let commit_within_ns = plan.commit_within() * NS_PER_MS;
        let driver = Self {
            scheduler: Scheduler::new(setup.limits),
            clock: setup.clock,
            timeline: setup.timeline,
            boot_id: setup.boot_id,
            board: setup.board,
            gauges: setup.gauges,
            hour: now_utc.div_euclid(3_600_000),
            hour_entered_ns: reading.boot_ns,
            sealed: 0,
            recorder: setup.recorder,
            vantage: setup.vantage,
            writer: setup.writer,
            net: Rc::new(net),
            continued: setup.continued,
            running: BTreeMap::new(),
            stalls: VecDeque::new(),
            last_turn: reading,
            turns: 0,
            next_tenth_ns: reading.boot_ns,
            last_commit_ns: 0,
            commit_within_ns,
            before_turn_ns: reading.boot_ns,
            events_from_ns: 0,
            gathered_from_ns: 0,
            outstanding: None,
            suspended_ns: reading.boot_ns.saturating_sub(reading.monotonic_ns),
            wanted: Vec::new(),
            reports,
            by_name: HashMap::new(),
            retired: HashMap::new(),
            parked: setup.parked,
            closing: None,
            promised: Vec::new(),
            real_time: RealTime::begin(plan.daemon.real_time, reading.boot_ns),
        };
        let beginning = Beginning {
            arrivals: setup.arrivals,
            definitions: setup.definitions,
            tallies: setup.tallies,
            progress: setup.progress,
            commands: setup.commands,
        };
        (driver, beginning)
    }

    /// Goes on where the history ends: endpoints, windows, definitions and interrupted hours.
    fn take_up(
        &mut self,
        arrivals: Vec<Arrival>,
        definitions: &Definitions,
        tallies: &[(i64, i64, Vec<u8>)],
    ) {
        let plan = self.board.plan.load_full();
        self.recorder.begin_witnesses(&plan.witness);
        self.begin(arrivals);
        let now = self.now_ms();
        self.recorder.record_results_of(&plan.contracts, now);
        self.recorder.reconcile_windows(&plan.maintenance, now);
        self.recorder.update_windows(now);
        self.recorder.record_definitions(definitions, now);
        self.put_back(tallies);
        self.last_turn = self.clock.read();
        self.board.health.scheduled.store(true, Ordering::Release);
    }

    fn now_ms(&self) -> Ms {
        self.timeline.ms(self.clock.boot_ns())
    }

    fn stamp(&self, reading: &Reading) -> Stamp {
        Stamp {
            boot_id: self.boot_id.clone(),
            boot_ns: reading.boot_ns,
            timeline_ms: self.timeline.ms(reading.boot_ns),
            utc_ms: reading.utc_ms,
        }
    }

    fn next_wake_ns(&self) -> u64 {
        let mut wake = self.next_tenth_ns;
        if let Some(due) = self.scheduler.next_due_ns() {
            wake = wake.min(self.timeline.boot_ns(due));
        }
        if let Some(at) = self.recorder.round_wanted_at() {
            wake = wake.min(self.timeline.boot_ns(at * NS_PER_MS));
        }
        if self.outstanding.is_none() && self.recorder.has_events() {
            wake = wake.min(self.last_commit_ns + COMMIT_APART_NS);
        }
        wake
    }

    /// One turn: what is due is done, and what the passing of time asks for.
    fn turn(&mut self, due: &mut Vec<DueAction>) {
        self.before_turn_ns = self.last_turn.boot_ns;
        self.note_stall();
        let boot_ns = self.clock.boot_ns();
        let now_ns = self.timeline.ns(boot_ns);
        self.scheduler.take_due(now_ns, due);
        for item in due.drain(..) {
            self.act(item);
        }
        self.recorder.settle_some(FIGURES_AT_ONCE);
        self.recorder.show_some(FIGURES_AT_ONCE);
        self.ask_witnesses();
        self.place_wishes();
        if boot_ns >= self.next_tenth_ns {
            self.next_tenth_ns = boot_ns + TURN_NS;
            self.tenth();
        }
        self.commit_if_due();
    }

    /// Ten times a second.
    fn tenth(&mut self) {
        self.turns += 1;
        self.recorder.show_some(FIGURES_AT_ONCE * 100);
        self.recorder.settle_some(FIGURES_AT_ONCE * 100);
        let count = self.recorder.endpoints();
        let now = self.now_ms();
        // A tenth of all judges hears the time.
        let part = self.turns % 10;
        let range = count * part / 10..count * (part + 1) / 10;
        let running = &self.running;
        let in_flight_since = |endpoint: usize| {
            running
                .range((endpoint, 0)..(endpoint + 1, 0))
                .next()
                .map(|(_, r)| r.start)
        };
        self.recorder.tick(now, in_flight_since, range);
        self.real_time.look(self.clock.boot_ns());
        self.update_gauges();
        if part == 0 {
            self.look_at_clock();
        }
        self.tallies(count);
    }

    fn update_gauges(&self) {
        let (g, c) = (&self.gauges, self.recorder.counts());
        for (to, from) in g
            .unmeasured
            .iter()
            .zip(c.unmeasured)
            .chain(g.unknown_ms.iter().zip(c.unknown_ms))
            .chain(g.reprobes.iter().zip(c.reprobes))
        {
            to.store(from, Ordering::Relaxed);
        }
        self.board
            .health
            .events_waiting
            .store(self.recorder.events_waiting() as u64, Ordering::Relaxed);
        self.board
            .health
            .in_flight
            .store(self.scheduler.in_flight(), Ordering::Relaxed);
    }

    fn carry_out(&mut self, command: EngineCommand) -> Option<oneshot::Sender<()>> {
        match command {
            EngineCommand::Reload { plan, reply } => {
                let summary = self.reload(*plan);
                let _ = reply.send(summary);
                None
            }
            EngineCommand::Record { request, reply } => {
                self.record(request, reply);
                None
            }
            EngineCommand::End { reply } => Some(reply),
        }
    }

    /// Drains: what is in flight becomes unmeasured, everything is committed.
    async fn end(&mut self, progress: &mut mpsc::UnboundedReceiver<Progress>) {
        let now = self.now_ms();
        let running = std::mem::take(&mut self.running);
        for ((endpoint, seq), r) in running {
            r.abort.abort();
            let outcome = Outcome::Unmeasured {
                reason: Reason::NotRunning,
                detail: "the daemon ended".into(),
            };
            let report = ProbeReport {
                outcome,
                phases: PhaseTimes::default(),
                duration_us: 0,
                started_ns: 0,
                given_ms: 0,
                stood_ns: 0,
            };
            let slot_outcome = SlotOutcome::Probe(Probed {
                trigger: r.trigger,
                due: None,
                start: r.start,
                end: now.max(r.start),
                report: Box::new(report),
                held_up: None,
                confirming: Confirming::NotYet,
            });
            self.recorder
                .step(endpoint, seq, slot_outcome, now, &mut self.wanted);
        }
        self.recorder.give_up_waiting(now, &mut self.wanted);
        for index in 0..self.recorder.endpoints() {
            self.recorder.apply_input(index, Input::Stop(now), now);
        }
        let reading = self.clock.read();
        let boot_ns = reading.boot_ns;
        let _ = self.recorder.push_event(EventDraft::general(
            now,
            reading.utc_ms,
            DaemonStoppedEvent { boot_ns },
        ));
        self.recorder.store_all();
        let batch = self.recorder.close_batch(self.stamp(&reading));
        let last = batch.id;
        self.writer.commit(batch);
        let wait = async {
            while let Some(news) = progress.recv().await {
                let is_last = matches!(news, Progress::Committed { batch, .. } if batch >= last);
                self.take_news(news);
                if is_last {
                    break;
                }
            }
        };
        if tokio::time::timeout(Duration::from_millis(1200), wait)
            .await
            .is_err()
        {
            tracing::warn!("the disk is slow: the end waits until the last events are written");
        }
        let count = self.recorder.endpoints();
        let left = self
            .closing
            .map_or(0..0, |(_, from)| from..count)
            .filter_map(|index| self.recorder.tally(index, self.closing?.0));
        let present = (0..count).filter_map(|index| self.recorder.tally(index, self.hour));
        self.writer.tallies(left.chain(present).collect());
        self.writer.end(Duration::from_millis(200));
    }
}
