//! The board: what readers see of every endpoint, without ever making the engine wait.
//!
//! The engine writes one endpoint's view at a time and comes back later where a reader holds it. A
//! reader that needs one state of all endpoints over many passes (a scrape) takes a
//! [`BoardSnapshot`]: while it is held, the engine puts the old view of what it changes aside, so
//! memory grows only with what changes meanwhile.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};

use super::witness::WitnessState;
use crate::config::plan::{Endpoint, Plan};
use crate::judgement::counts::{Slots, Transitions};
use crate::judgement::latency::{Classic, LastHour};
use crate::judgement::maintenance::Stored;
use crate::words::{
    Cause, CertificateFacts, Handshake, Ms, Name, PhaseTimes, Reason, StateName, UtcMs,
};

/// What is settled and committed of an endpoint. Milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Where the record begins.
    pub first_start: Option<Ms>,
    /// From where the sums below count: the first start, or where a backup was restored.
    pub counted_from: Option<Ms>,
    pub watermark: Ms,
    pub watermark_utc: UtcMs,
    pub up: Ms,
    pub down: Ms,
    pub unknown: Ms,
    pub down_lower: Ms,
    pub down_upper: Ms,
    /// Of the time up, down and unknown, what lies in declared maintenance.
    pub maintenance: [Ms; 3],
    pub transitions: Transitions,
    pub last_transition_utc: UtcMs,
    pub open_unknown: Option<(Ms, Reason)>,
    pub open_run: Option<(Ms, Ms)>,
    pub out_of_service: Ms,
    pub longest_blind: Ms,
    /// The same in the present hour.
    pub blind_lately: Ms,
}

/// What /metrics shows of an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    pub state: StateName,
    pub since_utc: UtcMs,
    /// Begin and cause of the outage that is open.
    pub outage: Option<(UtcMs, Cause)>,
    pub settled: Settled,
    pub slots: Slots,
    pub failures: Vec<(Cause, u64)>,
    pub last_duration_us: Option<u64>,
    pub http_status: Option<u16>,
    pub certificate: Option<Arc<CertificateFacts>>,
    pub handshake: Option<Handshake>,
    /// By ending.
    pub latency: [Classic; 3],
    /// By phase, where the config asks for it.
    pub phases: Option<Box<[Classic; 6]>>,
}

/// The last probe of an endpoint.
#[derive(Debug, Clone)]
pub struct LastProbe {
    /// When its slot was; none of a re-probe.
    pub slot_utc: Option<UtcMs>,
    pub started_utc: UtcMs,
    pub duration_us: u64,
    pub result: &'static str,
    /// The cause or reason in a word, when it was no success.
    pub why: Option<&'static str>,
    pub detail: String,
    pub phases: PhaseTimes,
}

/// What a scrape sees of an endpoint: what /metrics shows, and the last hour as it is now.
pub struct ScrapeView<'s> {
    shown: &'s Shown,
    pub hour: &'s LastHour,
}

impl std::ops::Deref for ScrapeView<'_> {
    type Target = Shown;

    fn deref(&self) -> &Shown {
        self.shown
    }
}

/// All that readers may see of an endpoint.
#[derive(Debug, Clone)]
pub struct View {
    pub shown: Shown,
    pub last: Option<LastProbe>,
    pub next_slot_utc: UtcMs,
    pub hour: LastHour,
}

/// One endpoint on the board.
pub struct Entry {
    /// Never used again for another endpoint.
    pub index: usize,
    pub endpoint: ArcSwap<Endpoint>,
    /// `endpoint="..."`, escaped for an exposition.
    pub label: Box<str>,
    view: Mutex<View>,
}

impl Entry {
    pub fn new(index: usize, endpoint: Arc<Endpoint>, now_utc: UtcMs) -> Self {
        let shown = Shown {
            state: StateName::Unknown,
            since_utc: now_utc,
            outage: None,
            settled: Settled::default(),
            slots: Slots::default(),
            failures: Vec::new(),
            last_duration_us: None,
            http_status: None,
            certificate: None,
            handshake: None,
            latency: Default::default(),
            phases: None,
        };
        let view = View {
            shown,
            last: None,
            next_slot_utc: now_utc,
            hour: LastHour::default(),
        };
        let label = format!("endpoint=\"{}\"", escaped(endpoint.name.as_str())).into_boxed_str();
        Self {
            index,
            label,
            endpoint: ArcSwap::new(endpoint),
            view: Mutex::new(view),
        }
    }

    /// For readers: waits for the engine, which never holds it long.
    pub fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the engine: nothing when a reader is looking right now.
    pub fn try_view(&self) -> Option<MutexGuard<'_, View>> {
        match self.view.try_lock() {
            Ok(guard) => Some(guard),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }
}

/// A label value in the text formats of Prometheus and OpenMetrics.
pub fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}

/// So long after a scrape has begun settled figures wait for its end.
const SNAPSHOT_NS: u64 = 1_000_000_000;

/// Old views that a scrape has yet to see.
type Aside = Arc<Mutex<HashMap<usize, Box<Shown>>>>;

/// Daemon-wide facts.
#[derive(Default)]
pub struct Health {
    /// CLOCK_BOOTTIME of the last turn of the scheduler, in nanoseconds.
    pub progress_ns: AtomicU64,
    /// The first round of probes is scheduled.
    pub scheduled: AtomicBool,
    pub history_writable: AtomicBool,
    /// Readers keep the write-ahead log of the history from being taken in: new ones wait.
    pub log_is_long: AtomicBool,
    /// Requests that read the history at this moment.
    pub history_readers: AtomicUsize,
    /// Events that wait to be committed.
    pub events_waiting: AtomicU64,
    pub events_recorded: AtomicU64,
    pub in_flight: AtomicUsize,
    pub reload_ok: AtomicBool,
    pub reload_utc_ms: AtomicU64,
    /// Why the last reload was refused, in one line that anybody may read.
    pub reload_refused: ArcSwapOption<String>,
    /// The files of the config say something else than what is in force.
    pub config_differs: AtomicBool,
    /// When the newest backup was made; 0: none is known.
    pub backup_utc_ms: AtomicU64,
    /// The last try at a backup succeeded.
    pub backup_ok: AtomicBool,
    pub stalls: AtomicU64,
    /// Certificate authorities that the system's trust store holds.
    pub authorities: AtomicU64,
    /// The kernel reports its calendar as synchronised.
    pub clock_synchronised: AtomicBool,
}

impl Health {
    /// When the config in force was read, if its files say something else now. While a reload is
    /// refused, that says more.
    pub fn config_changed_since(&self) -> Option<UtcMs> {
        let is_waiting =
            self.config_differs.load(Ordering::Relaxed) && self.reload_refused.load().is_none();
        is_waiting.then(|| self.reload_utc_ms.load(Ordering::Relaxed) as UtcMs)
    }
}

/// How the witnesses stood last.
#[derive(Default)]
pub struct WitnessView {
    pub names: Vec<Name>,
    /// `None`: not heard yet.
    pub states: Vec<Option<WitnessState>>,
    /// Whether a quorum answered in the last round that was decided.
    pub quorum_met: Option<bool>,
}

pub struct Board {
    pub witnesses: ArcSwap<WitnessView>,
    /// Every maintenance window that was ever declared.
    pub windows: ArcSwap<Vec<Stored>>,
    entries: ArcSwap<Vec<Arc<Entry>>>,
    pub plan: Arc<ArcSwap<Plan>>,
    pub health: Health,
    snapshots: Mutex<Vec<Aside>>,
    /// How many of the above there are; the engine looks at this first.
    snapshot_count: AtomicUsize,
    /// CLOCK_BOOTTIME in nanoseconds.
    wait_until_ns: AtomicU64,
}

impl Board {
    pub fn new(plan: Arc<Plan>) -> Self {
        let health = Health {
            history_writable: AtomicBool::new(true),
            reload_ok: AtomicBool::new(true),
            backup_ok: AtomicBool::new(true),
            ..Health::default()
        };
        Self {
            witnesses: ArcSwap::default(),
            windows: ArcSwap::default(),
            entries: ArcSwap::default(),
            plan: Arc::new(ArcSwap::new(plan)),
            health,
            snapshots: Mutex::default(),
            snapshot_count: AtomicUsize::new(0),
            wait_until_ns: AtomicU64::new(0),
        }
    }

    /// All endpoints in service, in the order of the config.
    pub fn entries(&self) -> Arc<Vec<Arc<Entry>>> {
        self.entries.load_full()
    }

    pub fn set_entries(&self, entries: Vec<Arc<Entry>>) {
        self.entries.store(Arc::new(entries));
    }

    /// Changes a view for good; false when a reader holds it and the engine should come back.
    pub fn change(&self, entry: &Entry, change: impl FnOnce(&mut View)) -> bool {
        let Some(mut view) = entry.try_view() else {
            return false;
        };
        if self.snapshot_count.load(Ordering::Acquire) == 0 {
            change(&mut view);
            return true;
        }
        let old = view.shown.clone();
        change(&mut view);
        // Much of what is told to a view changes nothing that a scrape shows.
        if old != view.shown {
            for aside in self
                .snapshots
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
            {
                let mut aside = aside.lock().unwrap_or_else(PoisonError::into_inner);
                aside
                    .entry(entry.index)
                    .or_insert_with(|| Box::new(old.clone()));
            }
        }
        true
    }

    /// Whether figures that can wait should: a scrape has just begun, and they would be put aside
    /// for it.
    pub fn should_defer_figures(&self) -> bool {
        self.snapshot_count.load(Ordering::Acquire) > 0
            && self.health.progress_ns.load(Ordering::Relaxed)
                < self.wait_until_ns.load(Ordering::Relaxed)
    }

    /// Begins one consistent snapshot of each endpoint.
    pub fn snapshot(self: &Arc<Self>) -> BoardSnapshot {
        let (now_ns, waited_ns) = (
            self.health.progress_ns.load(Ordering::Relaxed),
            self.wait_until_ns.load(Ordering::Relaxed),
        );
        // However many scrapes follow each other, what waits is shown half of the time.
        if now_ns >= waited_ns + SNAPSHOT_NS {
            self.wait_until_ns
                .store(now_ns + SNAPSHOT_NS, Ordering::Relaxed);
        }
        let aside = Aside::default();
        self.snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(aside.clone());
        self.snapshot_count.fetch_add(1, Ordering::AcqRel);
        BoardSnapshot {
            board: self.clone(),
            entries: self.entries(),
            aside,
        }
    }
}

/// The endpoints as they were when it was taken.
pub struct BoardSnapshot {
    board: Arc<Board>,
    pub entries: Arc<Vec<Arc<Entry>>>,
    aside: Aside,
}

impl BoardSnapshot {
    /// Looks at one endpoint; the engine is not kept waiting.
    pub fn look<R>(&self, entry: &Entry, look: impl FnOnce(&ScrapeView) -> R) -> R {
        let view = entry.view();
        let hour = &view.hour;
        let aside = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        match aside.get(&entry.index) {
            Some(old) => look(&ScrapeView { shown: old, hour }),
            None => {
                drop(aside);
                look(&ScrapeView {
                    shown: &view.shown,
                    hour,
                })
            }
        }
    }
}

impl Drop for BoardSnapshot {
    fn drop(&mut self) {
        let mut snapshots = self
            .board
            .snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        snapshots.retain(|aside| !Arc::ptr_eq(aside, &self.aside));
        self.board.snapshot_count.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{OneText, load};
    use std::path::Path;

    fn board() -> (Arc<Board>, Arc<Entry>) {
        let plan = Arc::new(
            load(
                Path::new("one"),
                &OneText("[[endpoint]]\nname = \"e\"\nprobe.tcp = \"127.0.0.1:1\"\n"),
            )
            .expect("valid"),
        );
        let entry = Arc::new(Entry::new(0, plan.endpoints[0].clone(), 0));
        let board = Arc::new(Board::new(plan));
        board.set_entries(vec![entry.clone()]);
        (board, entry)
    }

    #[test]
    fn a_snapshot_stays_as_it_was_taken_and_holds_only_what_it_shows() {
        let (board, entry) = board();
        let snapshot = board.snapshot();
        assert!(board.change(&entry, |view| view.next_slot_utc = 7));
        assert!(snapshot.aside.lock().expect("whole").is_empty());
        assert!(board.change(&entry, |view| view.shown.state = StateName::Up));
        assert!(board.change(&entry, |view| view.shown.state = StateName::Down));
        assert_eq!(
            snapshot.look(&entry, |shown| shown.state),
            StateName::Unknown
        );
        assert_eq!(
            board.snapshot().look(&entry, |shown| shown.state),
            StateName::Down
        );
    }

    #[test]
    fn figures_that_can_wait_do_so_for_young_snapshots_and_not_for_ever() {
        let (board, _) = board();
        let at = |ns: u64| {
            board
                .health
                .progress_ns
                .store(10 * SNAPSHOT_NS + ns, Ordering::Relaxed)
        };
        at(0);
        assert!(!board.should_defer_figures());
        let slow = board.snapshot();
        assert!(board.should_defer_figures());
        at(SNAPSHOT_NS);
        let next = board.snapshot();
        assert!(!board.should_defer_figures());
        at(2 * SNAPSHOT_NS);
        drop((slow, next));
        let _third = board.snapshot();
        assert!(board.should_defer_figures());
    }
}
