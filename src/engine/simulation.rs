//! A daemon in simulated time: the real scheduler, recorder and judges against endpoints whose
//! truth is known.
//!
//! Nothing here waits, probes or writes: outcomes follow from the truth and from a seed, the
//! journal is kept in memory, and the same seed gives the same bytes. `probity simulate` shows it
//! to people; tests hold every figure against the truth.

mod flight;
mod incidents;
mod losses;
mod reload;
mod tables;
mod world;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use self::flight::Flight;
use self::losses::Losses;
use self::tables::Tables;
use self::world::mixed;
pub use self::world::{Incident, World, random_outages};
use super::board::{Board, Entry};
use super::inputs::Input;
use super::recorder::{Confirming, Probed, Recorder, Reprobe, SlotOutcome};
use super::scheduler::{DueAction, InFlightLimits, Scheduler};
use crate::config::{Endpoint, Plan};
use crate::history::chain::canonical;
use crate::history::{Batch, Stamp};
use crate::judgement::rules::Cadence;
use crate::judgement::schedule::first_probe_delay_ns;
use crate::judgement::state::Judge;
use crate::judgement::state_codec::decode_with;
use crate::judgement::timeline::{EndpointRecord, Span, Spans};
use crate::kind::run::ProbeReport;
use crate::net::clock::NS_PER_MS;
use crate::words::{Cause, Ms, Outcome, PhaseTimes, ProbeTrigger};

/// Simulated time between two closings of a batch, and between two looks at judges that hear
/// nothing.
const BATCH_MS: Ms = 60_000;

/// What the simulated daemon recorded of one endpoint.
#[derive(Debug, Clone)]
pub struct SimulatedEndpoint {
    pub record: EndpointRecord,
    pub judge: Judge,
    /// Out of service at the end.
    pub is_gone: bool,
    /// Runs of failures that lost probes were among: to any observer the endpoint was down there.
    pub lost: Spans,
}

/// All of it, and the digest of every event in order.
pub struct Outcomes {
    pub seen: Vec<SimulatedEndpoint>,
    pub events: u64,
    pub probes: u64,
    pub digest: [u8; 32],
}

struct Simulation<'w> {
    plan: &'w Plan,
    /// The definitions in force, in the order of the plan.
    present: Vec<Arc<Endpoint>>,
    serves: Vec<bool>,
    /// Where recorder and scheduler keep an endpoint of the plan, and whose each of their places
    /// is.
    places: Vec<usize>,
    whose: Vec<usize>,
    /// Judges of those that were out of service when the daemon started.
    parked: Vec<Option<(Cadence, Judge)>>,
    losses: Vec<Losses>,
    world: &'w World,
    board: Arc<Board>,
    scheduler: Scheduler,
    recorder: Recorder,
    flying: BinaryHeap<Reverse<Flight>>,
    wanted: Vec<Reprobe>,
    due: Vec<DueAction>,
    tables: Vec<Tables>,
    offset_ms: i64,
    hash: Sha256,
    events: u64,
    probes: u64,
    /// Minutes of the world that are over.
    batch: u64,
    /// The number of the recorder's last batch.
    last_batch: u64,
    sink: &'w mut dyn FnMut(Batch),
}

fn trigger_of(slot: bool) -> ProbeTrigger {
    if slot {
        ProbeTrigger::Slot
    } else {
        ProbeTrigger::Reprobe
    }
}

/// Runs the daemon of a plan through a world.
pub fn simulate(plan: &Arc<Plan>, world: &World) -> Outcomes {
    simulate_into(plan, world, &mut drop)
}

/// The same; every batch is handed over once it is kept, as to a history. Endpoints are numbered
/// from 1 in the order of the plan.
pub fn simulate_into(plan: &Arc<Plan>, world: &World, sink: &mut dyn FnMut(Batch)) -> Outcomes {
    let board = Arc::new(Board::new(plan.clone()));
    let recorder = Recorder::new(board.clone(), 0, 0, world.begin);
    let count = plan.endpoints.len();
    let mut s = Simulation {
        plan,
        present: plan.endpoints.clone(),
        serves: vec![true; count],
        places: vec![0; count],
        whose: Vec::new(),
        parked: vec![None; count],
        losses: vec![Losses::default(); count],
        world,
        board,
        scheduler: Scheduler::new(InFlightLimits {
            total: usize::MAX,
            per_host: usize::MAX,
        }),
        recorder,
        flying: BinaryHeap::new(),
        wanted: Vec::new(),
        due: Vec::new(),
        tables: plan.endpoints.iter().map(|_| Tables::default()).collect(),
        offset_ms: 0,
        hash: Sha256::new(),
        events: 0,
        probes: 0,
        batch: 0,
        last_batch: 0,
        sink,
    };
    s.start(vec![None; count], world.begin);
    let mut incidents = world.incidents.clone();
    incidents.sort_by_key(Incident::at);
    for incident in incidents {
        s.run_until(incident.at());
        s.suffer(incident);
    }
    s.run_until(world.end);
    s.close(world.end);
    let seen = (0..count).map(|k| s.seen(k)).collect();
    Outcomes {
        seen,
        events: s.events,
        probes: s.probes,
        digest: s.hash.finalize().into(),
    }
}

impl Simulation<'_> {
    /// Every endpoint comes into service, with what was stored of it.
    fn start(&mut self, stored: Vec<Option<Vec<u8>>>, now: Ms) {
        self.recorder.configure(Vec::new(), &self.plan.metrics);
        self.whose.clear();
        for (k, bytes) in stored.into_iter().enumerate() {
            let restored = bytes.and_then(|b| decode_with(&b).ok());
            if !self.serves[k] {
                self.parked[k] = restored;
                continue;
            }
            let (cadence, judge) = restored.map_or((None, Judge::default()), |(c, j)| (Some(c), j));
            let index = self.place(k, judge, cadence, now);
            self.recorder.apply_input(index, Input::Start(now), now);
        }
        self.look_first(0..self.recorder.endpoints(), now);
    }

    /// Gives an endpoint its place in scheduler and recorder.
    fn place(&mut self, k: usize, judge: Judge, cadence: Option<Cadence>, now: Ms) -> usize {
        let endpoint = self.present[k].clone();
        let index = self.scheduler.add(
            &endpoint.name,
            &self.plan.daemon.vantage,
            endpoint.host(),
            endpoint.rules,
            now * NS_PER_MS,
        );
        let entry = Arc::new(Entry::new(
            index,
            endpoint.clone(),
            now as i64 + self.offset_ms,
        ));
        self.recorder
            .add(k as i64 + 1, entry, judge, endpoint.digest, cadence, now);
        // Starts are counted anew.
        self.losses[k].void_before = 0;
        self.places[k] = index;
        self.whose.push(k);
        index
    }

    /// First probes of those that nothing vouches for, and repetitions of what is undecided.
    fn look_first(&mut self, places: std::ops::Range<usize>, now: Ms) {
        let next = |s: &Self, index: usize| s.scheduler.next_slot_ns(index) / NS_PER_MS;
        let unvouched: Vec<usize> = places
            .clone()
            .filter(|index| self.recorder.needs_first_probe(*index, next(self, *index)))
            .collect();
        for (rank, index) in unvouched.iter().enumerate() {
            let delay = first_probe_delay_ns(
                self.at(*index).rules.cadence.interval,
                rank,
                unvouched.len(),
            );
            self.scheduler.reprobe(*index, now * NS_PER_MS + delay);
        }
        for index in places {
            if self.recorder.is_undecided(index) {
                let retry = self.at(index).rules.cadence.retry_interval;
                self.scheduler.reprobe(index, (now + retry) * NS_PER_MS);
            }
        }
    }

    /// The definition in force of whoever has a place.
    fn at(&self, index: usize) -> &Endpoint {
        &self.present[self.whose[index]]
    }

    fn run_until(&mut self, end: Ms) {
        let end_ns = end * NS_PER_MS;
        let mut next_batch = self.next_batch_at();
        loop {
            let due = self.scheduler.next_due_ns().unwrap_or(u64::MAX);
            let landing = self.flying.peek().map_or(u64::MAX, |Reverse(f)| f.end_ns);
            let at = due.min(landing).min(next_batch * NS_PER_MS);
            if at >= end_ns {
                break;
            }
            if landing <= at {
                self.land();
            } else if due <= at {
                self.depart(at);
            } else {
                self.look_after(next_batch);
                next_batch += BATCH_MS;
            }
        }
    }

    /// The next closing of a batch, on the fixed grid of the world.
    fn next_batch_at(&self) -> Ms {
        self.world.begin + (self.batch + 1) * BATCH_MS
    }

    fn depart(&mut self, at_ns: u64) {
        let mut due = std::mem::take(&mut self.due);
        self.scheduler.take_due(at_ns, &mut due);
        for item in due.drain(..) {
            match item {
                DueAction::Launch {
                    endpoint,
                    seq,
                    due_ns,
                    trigger,
                } => self.launch(endpoint, seq, due_ns.max(at_ns), trigger),
                DueAction::Busy {
                    endpoint,
                    seq,
                    due_ns,
                } => {
                    self.recorder.step(
                        endpoint,
                        seq,
                        SlotOutcome::Busy {
                            at: due_ns / NS_PER_MS,
                        },
                        at_ns / NS_PER_MS,
                        &mut self.wanted,
                    );
                }
                DueAction::Missed {
                    endpoint,
                    seq,
                    due_ns,
                    reason,
                    count,
                } => {
                    let slot_outcome = SlotOutcome::Missed {
                        at: due_ns / NS_PER_MS,
                        reason,
                        count,
                    };
                    self.recorder.step(
                        endpoint,
                        seq,
                        slot_outcome,
                        at_ns / NS_PER_MS,
                        &mut self.wanted,
                    );
                }
            }
        }
        self.due = due;
        self.place_wishes();
    }

    fn launch(&mut self, endpoint: usize, seq: u64, start_ns: u64, trigger: ProbeTrigger) {
        self.probes += 1;
        let k = self.whose[endpoint];
        let draw = mixed(self.world.seed, (k as u64) << 32 | seq, start_ns);
        let timeout_ns = self.at(endpoint).rules.cadence.timeout * NS_PER_MS;
        let answer_ns = (1 + draw % 40) * NS_PER_MS + draw % 999_983;
        // An endpoint answers by what it is when the answer leaves.
        let answered_ns = start_ns + answer_ns.min(timeout_ns) / 2;
        let down = self.world.is_down(k, answered_ns / NS_PER_MS);
        let is_lost = !down && (draw >> 20) % 1_000_000 < self.world.loss_ppm;
        let fails = down || is_lost;
        let hangs = fails && (draw >> 40).is_multiple_of(4);
        let took = if hangs {
            timeout_ns
        } else {
            answer_ns.min(timeout_ns)
        };
        self.flying.push(Reverse(Flight {
            end_ns: start_ns + took,
            endpoint,
            seq,
            start_ns,
            fails,
            is_lost,
            slot: trigger == ProbeTrigger::Slot,
        }));
    }

    fn land(&mut self) {
        let Some(Reverse(flight)) = self.flying.pop() else {
            return;
        };
        let Flight {
            end_ns,
            endpoint,
            seq,
            start_ns,
            fails,
            slot,
            ..
        } = flight;
        let k = self.whose[endpoint];
        if self.serves[k] && self.places[k] == endpoint {
            self.losses[k].note(&flight);
        }
        self.scheduler.ended(endpoint);
        let timeout_ns = self.at(endpoint).rules.cadence.timeout * NS_PER_MS;
        let outcome = match (fails, end_ns - start_ns >= timeout_ns) {
            (false, _) => Outcome::Success(Box::default()),
            (true, true) => Outcome::Failure {
                cause: Cause::ConnectTimeout,
                detail: String::new(),
                facts: Box::default(),
            },
            (true, false) => Outcome::Failure {
                cause: Cause::ConnectRefused,
                detail: String::new(),
                facts: Box::default(),
            },
        };
        self.probe_ended(endpoint, seq, start_ns, end_ns, outcome, trigger_of(slot));
        self.place_wishes();
    }

    fn probe_ended(
        &mut self,
        endpoint: usize,
        seq: u64,
        start_ns: u64,
        end_ns: u64,
        outcome: Outcome,
        trigger: ProbeTrigger,
    ) {
        let report = ProbeReport {
            outcome,
            phases: PhaseTimes::default(),
            duration_us: (end_ns - start_ns) / 1000,
            started_ns: start_ns,
            given_ms: 0,
            stood_ns: end_ns,
        };
        let (start, end) = (start_ns / NS_PER_MS, end_ns.div_ceil(NS_PER_MS));
        let slot_outcome = SlotOutcome::Probe(Probed {
            trigger,
            due: None,
            start,
            end,
            report: Box::new(report),
            held_up: None,
            confirming: Confirming::NotYet,
        });
        self.recorder
            .step(endpoint, seq, slot_outcome, end, &mut self.wanted);
    }

    fn place_wishes(&mut self) {
        for wish in self.wanted.drain(..) {
            self.scheduler.reprobe(wish.endpoint, wish.at * NS_PER_MS);
        }
    }

    /// What a daemon does beside probing: judges hear the time, and a batch is committed at once.
    fn look_after(&mut self, now: Ms) {
        let mut oldest: BTreeMap<usize, Ms> = BTreeMap::new();
        for Reverse(f) in &self.flying {
            let start = f.start_ns / NS_PER_MS;
            oldest
                .entry(f.endpoint)
                .and_modify(|s| *s = start.min(*s))
                .or_insert(start);
        }
        self.recorder.tick(
            now,
            |k| oldest.get(&k).copied(),
            0..self.recorder.endpoints(),
        );
        self.close(now);
        self.batch += 1;
    }

    fn close(&mut self, now: Ms) {
        let stamp = Stamp {
            boot_id: String::new(),
            boot_ns: now * NS_PER_MS,
            timeline_ms: now,
            utc_ms: now as i64 + self.offset_ms,
        };
        let batch = self.recorder.close_batch(stamp);
        self.keep(&batch);
        self.last_batch = batch.id;
        self.recorder.committed(batch.id);
        self.recorder.show_some(usize::MAX);
        (self.sink)(batch);
    }

    fn keep(&mut self, batch: &Batch) {
        for event in &batch.events {
            self.events += 1;
            self.hash.update(event.event.kind().as_bytes());
            self.hash.update(event.at.to_le_bytes());
            self.hash.update(canonical(&event.event.fields()));
            let Some((id, _)) = &event.endpoint else {
                continue;
            };
            if let Some(projection) = event.event.projection(event.at, event.utc) {
                self.tables[*id as usize - 1].keep(projection, self.events);
            }
        }
    }

    /// The judge of an endpoint, in service or not.
    fn judge(&self, k: usize) -> &Judge {
        self.parked[k]
            .as_ref()
            .map_or_else(|| self.recorder.judge(self.places[k]), |(_, judge)| judge)
    }

    fn seen(&self, k: usize) -> SimulatedEndpoint {
        let judge = self.judge(k).clone();
        let mut record = self.tables[k].record(&judge);
        if !self.serves[k] {
            record.absent.push(Span::new(record.settled, i64::MAX / 4));
        }
        SimulatedEndpoint {
            record,
            judge,
            is_gone: !self.serves[k],
            lost: self.losses[k].spans(),
        }
    }
}
