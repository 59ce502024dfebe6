//! The queue of all due times: slots, re-probes and first looks of every endpoint, and the limits
//! on what runs at once.
//!
//! Synchronous; the driver asks for what is due and tells what has ended. Every slot becomes
//! exactly one of a launch, a busy slot or a missed one. A hung probe holds its own place and
//! nobody else's turn.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use crate::judgement::rules::Rules;
use crate::judgement::schedule::SlotTimes;
use crate::words::{Name, ProbeTrigger, Reason};

/// A re-probe that is due this long before a slot is left to the slot, which would else find it
/// under way; what it adds to a detection is part of the bound's slack.
const GIVES_WAY_NS: u64 = 50_000_000;

const NS_PER_MS: u64 = 1_000_000;
/// Waiting launches that are looked at when a place has become free; the first may wait for a full
/// host.
const WAITING_LOOKED_AT: usize = 256;

/// Bounds on probes in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlightLimits {
    pub total: usize,
    pub per_host: usize,
}

/// What the scheduler wants done, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueAction {
    /// Start a probe now. `seq` numbers the starts of the endpoint.
    Launch {
        endpoint: usize,
        seq: u64,
        due_ns: u64,
        trigger: ProbeTrigger,
    },
    /// A slot while as many probes of the endpoint as allowed are in flight.
    Busy {
        endpoint: usize,
        seq: u64,
        due_ns: u64,
    },
    /// Slots that could not be done in time, the last of them due at `due_ns`.
    Missed {
        endpoint: usize,
        seq: u64,
        due_ns: u64,
        reason: Reason,
        count: u64,
    },
}

struct ScheduledEndpoint {
    slots: SlotTimes,
    rules: Rules,
    host: u32,
    next_slot: u64,
    seq: u64,
    in_flight: u32,
    /// When the next re-probe is due; older ones in the queue are void.
    reprobe_ns: Option<u64>,
    /// A re-probe of it waits for a place: no second one is put beside it.
    is_waiting_again: bool,
    /// The host that it belongs to once no probe of it is in flight.
    next_host: u32,
    /// False once the endpoint has left service.
    in_service: bool,
}

/// A host that holds less than this part of all places holds few.
const FEW: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Reprobe,
    Slot,
}

/// Times are nanoseconds of the daemon's timeline; endpoints are indices that are never used again.
pub struct Scheduler {
    entries: Vec<ScheduledEndpoint>,
    queue: BinaryHeap<Reverse<(u64, What, usize)>>,
    hosts: HashMap<String, u32>,
    host_in_flight: Vec<u32>,
    in_flight: usize,
    limits: InFlightLimits,
    /// Launches that wait for a place.
    waiting: VecDeque<Waiting>,
    /// Re-probes that wait for a place; they never expire, as nothing would ask for them again.
    waiting_again: VecDeque<Waiting>,
}

#[derive(Clone, Copy)]
struct Waiting {
    endpoint: usize,
    due_ns: u64,
    until_ns: u64,
    trigger: ProbeTrigger,
}

impl Scheduler {
    pub fn new(limits: InFlightLimits) -> Self {
        Self {
            entries: Vec::new(),
            queue: BinaryHeap::new(),
            hosts: HashMap::new(),
            host_in_flight: Vec::new(),
            in_flight: 0,
            limits,
            waiting: VecDeque::new(),
            waiting_again: VecDeque::new(),
        }
    }

    /// Takes an endpoint into service; returns its index.
    pub fn add(
        &mut self,
        name: &Name,
        vantage: &str,
        host: &str,
        rules: Rules,
        now_ns: u64,
    ) -> usize {
        let slots = SlotTimes::new(name, vantage, &rules.cadence);
        let host = self.host(host);
        let next_slot = slots.first_from(now_ns);
        let index = self.entries.len();
        self.queue
            .push(Reverse((slots.due_ns(next_slot), What::Slot, index)));
        self.entries.push(ScheduledEndpoint {
            slots,
            rules,
            host,
            next_slot,
            seq: 0,
            in_flight: 0,
            reprobe_ns: None,
            is_waiting_again: false,
            next_host: host,
            in_service: true,
        });
        index
    }

    /// Slots of before this instant are none of this endpoint's: it was being taken into service.
    pub fn begin_from(&mut self, endpoint: usize, now_ns: u64) {
        let entry = &mut self.entries[endpoint];
        if entry.slots.due_ns(entry.next_slot) < now_ns {
            entry.next_slot = entry.slots.first_from(now_ns);
            self.queue.push(Reverse((
                entry.slots.due_ns(entry.next_slot),
                What::Slot,
                endpoint,
            )));
        }
    }

    fn host(&mut self, host: &str) -> u32 {
        let next = self.host_in_flight.len() as u32;
        let id = *self.hosts.entry(host.to_owned()).or_insert(next);
        if id == next {
            self.host_in_flight.push(0);
        }
        id
    }

    /// Gives an endpoint another cadence or host; its sequence of starts goes on.
    pub fn change(
        &mut self,
        endpoint: usize,
        name: &Name,
        vantage: &str,
        host: &str,
        rules: Rules,
        now_ns: u64,
    ) {
        let host = self.host(host);
        let entry = &mut self.entries[endpoint];
        let slots = SlotTimes::new(name, vantage, &rules.cadence);
        if slots != entry.slots {
            entry.next_slot = slots.first_from(now_ns);
            self.queue.push(Reverse((
                slots.due_ns(entry.next_slot),
                What::Slot,
                endpoint,
            )));
        }
        // Probes in flight were counted on the old host; a probe that ends gives its place back
        // there.
        entry.next_host = host;
        if entry.in_flight == 0 {
            entry.host = host;
        }
        entry.slots = slots;
        entry.rules = rules;
    }

    /// Takes an endpoint out of service; probes in flight end on their own.
    pub fn remove(&mut self, endpoint: usize) {
        let entry = &mut self.entries[endpoint];
        entry.in_service = false;
        entry.reprobe_ns = None;
    }

    pub fn set_limits(&mut self, limits: InFlightLimits) {
        self.limits = limits;
    }

    pub fn next_slot_ns(&self, endpoint: usize) -> u64 {
        let entry = &self.entries[endpoint];
        entry.slots.due_ns(entry.next_slot)
    }

    /// The number of the endpoint's next start.
    pub fn next_seq(&self, endpoint: usize) -> u64 {
        self.entries[endpoint].seq + 1
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Asks for a probe outside the slots; replaces one asked for before. Nothing when a slot is
    /// due sooner, or so soon after that it would find the re-probe in its place.
    pub fn reprobe(&mut self, endpoint: usize, due_ns: u64) {
        let entry = &mut self.entries[endpoint];
        if !entry.in_service || entry.slots.due_ns(entry.next_slot) <= due_ns + GIVES_WAY_NS {
            return;
        }
        entry.reprobe_ns = Some(due_ns);
        self.queue.push(Reverse((due_ns, What::Reprobe, endpoint)));
    }

    /// A probe of the endpoint has ended.
    pub fn ended(&mut self, endpoint: usize) {
        let entry = &mut self.entries[endpoint];
        entry.in_flight -= 1;
        self.host_in_flight[entry.host as usize] -= 1;
        self.in_flight -= 1;
        if entry.in_flight == 0 {
            entry.host = entry.next_host;
        }
    }

    /// When to ask again, unless a probe ends before.
    pub fn next_due_ns(&self) -> Option<u64> {
        let queued = self.queue.peek().map(|Reverse((due, ..))| *due);
        let expiring = self.waiting.front().map(|w| w.until_ns);
        match (queued, expiring) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Everything that is due by `now_ns`, in order of its due times.
    pub fn take_due(&mut self, now_ns: u64, out: &mut Vec<DueAction>) {
        self.serve_waiting(now_ns, out);
        while let Some(Reverse((due_ns, what, endpoint))) = self.queue.peek().copied() {
            if due_ns > now_ns {
                break;
            }
            self.queue.pop();
            match what {
                What::Slot => self.slot(endpoint, due_ns, now_ns, out),
                What::Reprobe => {
                    let entry = &mut self.entries[endpoint];
                    let is_current = entry.in_service && entry.reprobe_ns == Some(due_ns);
                    if is_current {
                        entry.reprobe_ns = None;
                        if entry.in_flight < entry.rules.overlap {
                            self.admit(
                                Waiting {
                                    endpoint,
                                    due_ns,
                                    until_ns: now_ns,
                                    trigger: ProbeTrigger::Reprobe,
                                },
                                out,
                            );
                        }
                    }
                }
            }
        }
    }

    fn slot(&mut self, endpoint: usize, due_ns: u64, now_ns: u64, out: &mut Vec<DueAction>) {
        let entry = &mut self.entries[endpoint];
        if !entry.in_service || entry.slots.due_ns(entry.next_slot) != due_ns {
            return;
        }
        let late_after_ns = entry.rules.cadence.late_after * NS_PER_MS;
        entry.next_slot += 1;
        // Too late to be this slot's probe: no burst makes up for a stall.
        if now_ns - due_ns > late_after_ns {
            let seq = next(entry);
            let resumed = entry
                .slots
                .first_from(now_ns - late_after_ns)
                .max(entry.next_slot);
            let count = 1 + resumed - entry.next_slot;
            let due_ns = entry.slots.due_ns(resumed - 1);
            entry.next_slot = resumed;
            self.queue
                .push(Reverse((entry.slots.due_ns(resumed), What::Slot, endpoint)));
            out.push(DueAction::Missed {
                endpoint,
                seq,
                due_ns,
                reason: Reason::Late,
                count,
            });
            return;
        }
        self.queue.push(Reverse((
            entry.slots.due_ns(entry.next_slot),
            What::Slot,
            endpoint,
        )));
        if entry.in_flight >= entry.rules.overlap {
            let seq = next(entry);
            out.push(DueAction::Busy {
                endpoint,
                seq,
                due_ns,
            });
        } else {
            entry.reprobe_ns = None;
            self.admit(
                Waiting {
                    endpoint,
                    due_ns,
                    until_ns: due_ns + late_after_ns,
                    trigger: ProbeTrigger::Slot,
                },
                out,
            );
        }
    }

    /// Launches, or lets it wait for a place.
    fn admit(&mut self, wish: Waiting, out: &mut Vec<DueAction>) {
        let entry = &mut self.entries[wish.endpoint];
        let host = &mut self.host_in_flight[entry.host as usize];
        // The last quarter of all places is for hosts that hold few: several that hang leave the
        // others theirs.
        let is_crowded = self.in_flight >= self.limits.total - self.limits.total / 4
            && *host as usize >= (self.limits.total / FEW).max(1);
        if self.in_flight >= self.limits.total
            || *host as usize >= self.limits.per_host
            || is_crowded
        {
            match wish.trigger {
                ProbeTrigger::Slot => self.waiting.push_back(wish),
                ProbeTrigger::Reprobe if entry.is_waiting_again => {}
                ProbeTrigger::Reprobe => {
                    entry.is_waiting_again = true;
                    self.waiting_again.push_back(wish);
                }
            }
            return;
        }
        entry.in_flight += 1;
        *host += 1;
        self.in_flight += 1;
        let seq = next(entry);
        out.push(DueAction::Launch {
            endpoint: wish.endpoint,
            seq,
            due_ns: wish.due_ns,
            trigger: wish.trigger,
        });
    }

    fn serve_waiting(&mut self, now_ns: u64, out: &mut Vec<DueAction>) {
        while self.waiting.front().is_some_and(|w| w.until_ns <= now_ns) {
            if let Some(wish) = self.waiting.pop_front() {
                self.expire(wish, out);
            }
        }
        for _ in 0..self.waiting_again.len().min(WAITING_LOOKED_AT) {
            if self.in_flight >= self.limits.total {
                return;
            }
            let Some(wish) = self.waiting_again.pop_front() else {
                break;
            };
            let entry = &mut self.entries[wish.endpoint];
            entry.is_waiting_again = false;
            if entry.in_service && entry.in_flight < entry.rules.overlap {
                self.admit(wish, out);
            }
        }
        for _ in 0..self.waiting.len().min(WAITING_LOOKED_AT) {
            if self.in_flight >= self.limits.total {
                return;
            }
            let Some(wish) = self.waiting.pop_front() else {
                break;
            };
            let entry = &self.entries[wish.endpoint];
            if wish.until_ns <= now_ns || entry.in_flight >= entry.rules.overlap {
                self.expire(wish, out);
            } else if entry.in_service {
                self.admit(wish, out);
            }
        }
    }

    fn expire(&mut self, wish: Waiting, out: &mut Vec<DueAction>) {
        let entry = &mut self.entries[wish.endpoint];
        if entry.in_service {
            let seq = next(entry);
            out.push(DueAction::Missed {
                endpoint: wish.endpoint,
                seq,
                due_ns: wish.due_ns,
                reason: Reason::LocalResource,
                count: 1,
            });
        }
    }
}

fn next(entry: &mut ScheduledEndpoint) -> u64 {
    entry.seq += 1;
    entry.seq
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgement::rules::Cadence;

    const SECOND: u64 = 1_000_000_000;

    fn rules(interval: u64, timeout: u64) -> Rules {
        Rules::new(Cadence {
            interval,
            jitter_ppm: 0,
            late_after: 500,
            timeout,
            retry_interval: 1000,
            down_after: 2,
            up_after: 1,
        })
    }

    fn scheduler(count: usize, rules: Rules, limits: InFlightLimits) -> Scheduler {
        let mut scheduler = Scheduler::new(limits);
        for n in 0..count {
            scheduler.add(
                &Name::new(&format!("e{n}")).expect("a name"),
                "v",
                &format!("h{n}"),
                rules,
                0,
            );
        }
        scheduler
    }

    const MANY: InFlightLimits = InFlightLimits {
        total: 1_000_000,
        per_host: 1_000_000,
    };

    /// Runs until `end`, probes ending after `hold`; returns (launches, busy, missed).
    fn run(scheduler: &mut Scheduler, end: u64, hold: impl Fn(usize) -> u64) -> (u64, u64, u64) {
        let mut counts = (0, 0, 0);
        let mut running: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
        let mut out = Vec::new();
        let mut now = 0;
        while now < end {
            while let Some(Reverse((at, endpoint))) = running
                .peek()
                .copied()
                .filter(|Reverse((at, _))| *at <= now)
            {
                let _ = at;
                running.pop();
                scheduler.ended(endpoint);
            }
            scheduler.take_due(now, &mut out);
            for due in out.drain(..) {
                match due {
                    DueAction::Launch { endpoint, .. } => {
                        counts.0 += 1;
                        running.push(Reverse((now + hold(endpoint), endpoint)));
                    }
                    DueAction::Busy { .. } => counts.1 += 1,
                    DueAction::Missed { count, .. } => counts.2 += count,
                }
            }
            let ending = running.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
            now = scheduler
                .next_due_ns()
                .unwrap_or(end)
                .min(ending)
                .max(now + 1);
        }
        counts
    }

    #[test]
    fn a_day_of_slots_is_launched_to_the_last_one() {
        let mut scheduler = scheduler(3, rules(30_000, 10_000), MANY);
        assert_eq!(
            run(&mut scheduler, 86_400 * SECOND, |_| SECOND),
            (3 * 2880, 0, 0)
        );
    }

    #[test]
    fn every_slot_is_accounted_for_when_probes_hang_longer_than_the_interval() {
        let mut scheduler = scheduler(10, rules(1000, 3000), MANY);
        let (launched, busy, missed) = run(&mut scheduler, 1000 * SECOND, |n| {
            if n < 5 { 9 * SECOND } else { 1000 }
        });
        assert_eq!(launched + busy + missed, 10_000);
        assert_eq!(missed, 0);
        assert!(busy > 0, "the hanging ones are busy");
        assert!(launched >= 5000, "the others are not");
    }

    #[test]
    fn what_finds_no_place_waits_and_is_missed_when_none_comes_in_time() {
        let limits = InFlightLimits {
            total: 2,
            per_host: 2,
        };
        let (launched, busy, missed) = run(
            &mut scheduler(10, rules(1000, 900), limits),
            100 * SECOND,
            |_| SECOND / 1000,
        );
        assert_eq!(
            (launched, busy, missed),
            (1000, 0, 0),
            "two places are enough for ten quick probes"
        );
        let mut crowded = scheduler(10, rules(1000, 900), limits);
        let (launched, busy, missed) = run(&mut crowded, 100 * SECOND, |_| 900 * SECOND / 1000);
        assert_eq!(
            launched + busy + missed + crowded.waiting.len() as u64,
            1000
        );
        assert!(missed > 500, "{launched} {busy} {missed}");
    }

    #[test]
    fn a_stall_is_not_made_up_for_by_a_burst() {
        let mut scheduler = scheduler(1000, rules(1000, 900), MANY);
        let mut out = Vec::new();
        scheduler.take_due(10 * SECOND, &mut out);
        let launched = out
            .iter()
            .filter(|d| matches!(d, DueAction::Launch { .. }))
            .count();
        let missed: u64 = out
            .iter()
            .map(|d| {
                if let DueAction::Missed {
                    reason: Reason::Late,
                    count,
                    ..
                } = d
                {
                    *count
                } else {
                    0
                }
            })
            .sum();
        assert_eq!(launched as u64 + missed, 10_000);
        assert!(
            out.len() <= 2000,
            "one item for all that an endpoint has missed"
        );
        assert!(
            (400..600).contains(&launched),
            "only the slots of the last half second: {launched}"
        );
    }

    #[test]
    fn several_hosts_that_hang_leave_the_others_their_places() {
        let mut scheduler = Scheduler::new(InFlightLimits {
            total: 40,
            per_host: 30,
        });
        for n in 0..70 {
            let host = if n < 60 {
                format!("hanging{}", n % 3)
            } else {
                "healthy".to_owned()
            };
            scheduler.add(
                &Name::new(&format!("e{n}")).expect("a name"),
                "v",
                &host,
                rules(2000, 1900),
                0,
            );
        }
        let (mut out, mut now, mut running) =
            (Vec::new(), 0, BinaryHeap::<Reverse<(u64, usize)>>::new());
        let (mut hanging, mut healthy) = (0, 0);
        while now < 100 * SECOND {
            while let Some(Reverse((_, endpoint))) = running
                .peek()
                .copied()
                .filter(|Reverse((at, _))| *at <= now)
            {
                running.pop();
                scheduler.ended(endpoint);
            }
            scheduler.take_due(now, &mut out);
            for due in out.drain(..) {
                match due {
                    DueAction::Launch { endpoint, .. } => running.push(Reverse((
                        now + if endpoint < 60 {
                            1900 * SECOND / 1000
                        } else {
                            SECOND / 1000
                        },
                        endpoint,
                    ))),
                    DueAction::Missed {
                        endpoint, count, ..
                    } => {
                        *(if endpoint < 60 {
                            &mut hanging
                        } else {
                            &mut healthy
                        }) += count
                    }
                    DueAction::Busy { .. } => {}
                }
            }
            let ending = running.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
            now = scheduler
                .next_due_ns()
                .unwrap_or(u64::MAX)
                .min(ending)
                .max(now + 1);
        }
        assert_eq!(healthy, 0, "slots of healthy endpoints that found no place");
        assert!(hanging > 400, "the hanging ones are too many: {hanging}");
    }

    #[test]
    fn an_endpoint_that_moves_to_another_host_takes_its_places_there() {
        let limits = InFlightLimits {
            total: 10,
            per_host: 1,
        };
        let mut scheduler = scheduler(2, rules(60_000, 900), limits);
        let mut out = Vec::new();
        scheduler.reprobe(0, 1);
        scheduler.take_due(1, &mut out);
        assert_eq!(out.len(), 1, "one probe of the first is in flight");
        // It moves to the second's host while its probe runs.
        scheduler.change(
            0,
            &Name::new("e0").expect("a name"),
            "v",
            "h1",
            rules(60_000, 900),
            2,
        );
        scheduler.ended(0);
        scheduler.reprobe(1, 3);
        scheduler.reprobe(0, 4);
        out.clear();
        scheduler.take_due(4, &mut out);
        assert_eq!(out.len(), 1, "one place for the two of one host");
        scheduler.reprobe(0, 5);
        scheduler.take_due(5, &mut out);
        assert_eq!(
            (out.len(), scheduler.waiting_again.len()),
            (1, 1),
            "it waits once, however often it is asked for"
        );
    }

    #[test]
    fn a_reprobe_gives_way_to_a_slot_that_is_due_sooner() {
        let mut scheduler = scheduler(1, rules(10_000, 900), MANY);
        let slot = scheduler.next_slot_ns(0);
        scheduler.reprobe(0, slot + 1);
        let mut out = Vec::new();
        scheduler.take_due(slot + 2, &mut out);
        assert_eq!(out.len(), 1);
        scheduler.reprobe(0, slot + SECOND);
        out.clear();
        scheduler.take_due(slot + SECOND, &mut out);
        assert!(out.is_empty(), "the slot's probe is still in flight");
        scheduler.ended(0);
        scheduler.reprobe(0, slot + 2 * SECOND);
        scheduler.take_due(slot + 2 * SECOND, &mut out);
        assert!(
            matches!(
                out.as_slice(),
                [DueAction::Launch {
                    seq: 2,
                    trigger: ProbeTrigger::Reprobe,
                    ..
                }]
            ),
            "{out:?}"
        );
    }
}
