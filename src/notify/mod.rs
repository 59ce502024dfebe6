//! Notifications: messages go from the history's outbox to their webhooks, each until it is
//! delivered.
//!
//! Runs beside the probing, never on its thread. Reads the outbox on its own connection and tells
//! the writer what was delivered, so a message survives the end of the daemon and of the receiver.

pub mod deadman;
mod send;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use self::send::{Undelivered, send};
use crate::config::Plan;
use crate::history::outbox::{self, AttemptResult, QueuedMessage};
use crate::history::schema;
use crate::history::writer::Writer;
use crate::net::authorities::Authorities;
use crate::net::clock::{Clock, NS_PER_MS, Reading};
use crate::net::own_calls::OwnCalls;
use crate::net::own_thread::CallPlaces;

const LOOK_EVERY: Duration = Duration::from_millis(500);
const AT_ONCE: usize = 16;
/// How often the outbox is held against its bound, and how often an error says that it was.
const BOUND_EVERY_NS: u64 = 10_000 * NS_PER_MS;
const COMPLAIN_EVERY_NS: u64 = 3_600_000 * NS_PER_MS;
/// The longest time between two tries of a message that did not arrive.
const PATIENCE_MS: i64 = 300_000;
/// How long a message waits after each refusal for what it says; the one after the last of these
/// ends it. A receiver that refuses everything for an hour and a half, as while it is being
/// deployed, loses nothing.
const AFTER_REFUSAL_MS: [i64; 6] = [5_000, 30_000, 120_000, 600_000, 1_800_000, LONGEST_WAIT_MS];
/// No repetition waits longer; one that seems to was put off by another clock.
const LONGEST_WAIT_MS: i64 = 3_600_000;

/// Counts of one receiver since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered {
    pub delivered: u64,
    /// Tries that failed and are repeated.
    pub failed: u64,
    /// Messages that were given up.
    pub given_up: u64,
    /// Messages that were left out, as too many of their endpoint waited.
    pub left_out: u64,
}

/// By receiver.
#[derive(Default)]
pub struct Deliveries(Mutex<BTreeMap<String, Delivered>>);

impl Deliveries {
    pub fn snapshot(&self) -> Vec<(String, Delivered)> {
        self.lock()
            .iter()
            .map(|(name, counts)| (name.clone(), *counts))
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Delivered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, receiver: &str, add: impl FnOnce(&mut Delivered)) {
        add(self.lock().entry(receiver.to_owned()).or_default());
    }
}

/// Delivers what is due until it is dropped. Each receiver has its own messages under way: one that
/// hangs holds up nobody else's.
pub async fn run(
    (directory, boot_id): (PathBuf, String),
    plan: Arc<ArcSwap<Plan>>,
    writer: Writer,
    deliveries: Arc<Deliveries>,
    authorities: Arc<Authorities>,
) {
    let own_calls = OwnCalls::new(authorities);
    let (clock, under_way, calls) = (Clock::Real, UnderWay::default(), Calls::default());
    let mut delivery = Delivery {
        directory,
        boot_id,
        plan,
        writer,
        deliveries,
        own_calls,
        clock,
        under_way,
        calls,
    };
    let mut pause = LOOK_EVERY;
    loop {
        delivery.settle_until(Instant::now() + pause).await;
        let began = Instant::now();
        delivery.look();
        // A hundred thousand that wait take long to look through; the thread has other work.
        pause = LOOK_EVERY.max(began.elapsed() * 20);
    }
}

type CallResult = Result<(), Undelivered>;

/// Calls that have not ended, and the message of each: a call that ends by a panic gives none back.
#[derive(Default)]
struct Calls {
    tasks: JoinSet<CallResult>,
    messages: HashMap<tokio::task::Id, QueuedMessage>,
}

impl Calls {
    fn begin(
        &mut self,
        message: QueuedMessage,
        call: impl Future<Output = CallResult> + Send + 'static,
    ) {
        let id = self.tasks.spawn(call).id();
        self.messages.insert(id, message);
    }

    /// The next call to end, if there is one.
    async fn ended(&mut self) -> Option<(CallResult, QueuedMessage)> {
        let (id, result) = match self.tasks.join_next_with_id().await? {
            Ok(ended) => ended,
            Err(error) => {
                let why = format!("the call ended by itself: {error}; please report this");
                let is_refused = false;
                (error.id(), Err(Undelivered { why, is_refused }))
            }
        };
        Some((result, self.messages.remove(&id)?))
    }
}

struct Delivery {
    directory: PathBuf,
    boot_id: String,
    plan: Arc<ArcSwap<Plan>>,
    writer: Writer,
    deliveries: Arc<Deliveries>,
    own_calls: OwnCalls,
    clock: Clock,
    under_way: UnderWay,
    calls: Calls,
}

/// Messages that are being sent or were put off.
#[derive(Default)]
struct UnderWay {
    /// By number: not to be sent before this, by the clock that nobody sets. Until the writer has
    /// noted it, the outbox still shows a message as due.
    held: BTreeMap<i64, u64>,
    /// Delivered or given up, but the writer has not noted it.
    over: BTreeSet<i64>,
    /// For the calls of each receiver. A call whose thread goes on after its end keeps its place.
    places: BTreeMap<String, CallPlaces>,
    /// By number: how often it was refused for what it says, as the history may not know yet.
    refusals: BTreeMap<i64, u32>,
    /// When the outbox was last held against its bound, and by receiver when an error last said
    /// that it was too long.
    bounded_ns: u64,
    complained_ns: BTreeMap<String, u64>,
}

impl UnderWay {
    fn places(&mut self, receiver: &str) -> &CallPlaces {
        self.places
            .entry(receiver.to_owned())
            .or_insert_with(|| CallPlaces::new(AT_ONCE))
    }
}

impl Delivery {
    /// Settles the calls that end until then.
    async fn settle_until(&mut self, until: Instant) {
        // Every receiver has its series from the start.
        self.plan
            .load()
            .notify
            .iter()
            .for_each(|receiver| self.deliveries.count(receiver.name.as_str(), |_| {}));
        while let Ok((result, message)) =
            tokio::time::timeout_at(until, next(&mut self.calls)).await
        {
            self.settle(result, &message);
        }
    }

    /// Sends what is due.
    fn look(&mut self) {
        let (receivers, proxies) = (self.plan.load().notify.clone(), self.plan.load().proxies);
        if receivers.is_empty() {
            return;
        }
        let reading = self.clock.read();
        self.under_way
            .held
            .retain(|_, until| *until > reading.boot_ns);
        if reading.boot_ns >= self.under_way.bounded_ns + BOUND_EVERY_NS {
            self.under_way.bounded_ns = reading.boot_ns;
            for receiver in &receivers {
                self.bound(receiver.name.as_str(), &reading);
            }
        }
        let due = match self.due(&reading) {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "the outbox cannot be read");
                return;
            }
        };
        for message in due {
            let Some(receiver) = receivers
                .iter()
                .find(|n| n.name.as_str() == message.receiver)
                .cloned()
            else {
                tracing::warn!(
                    receiver = message.receiver,
                    "a notification is dropped: its receiver is no longer configured"
                );
                self.under_way.over.insert(message.id);
                self.writer
                    .sent(message.id, AttemptResult::GivenUp, reading.utc_ms);
                continue;
            };
            let Some(place) = self.under_way.places(&message.receiver).take() else {
                continue;
            };
            self.under_way.held.insert(message.id, u64::MAX);
            let (own_calls, body) = (self.own_calls.clone(), message.body.clone());
            let call = async move { send(&own_calls, place, proxies, &receiver, body).await };
            self.calls.begin(message, call);
        }
    }

    /// Leaves out what is too much for a receiver that has accepted nothing for long.
    fn bound(&mut self, receiver: &str, reading: &Reading) {
        let under_way = &mut self.under_way;
        let is_sent =
            |id| under_way.over.contains(&id) || under_way.held.get(&id) == Some(&u64::MAX);
        let excess = schema::open_to_read(&self.directory)
            .and_then(|reader| outbox::excess(&reader, receiver, is_sent))
            .unwrap_or_default();
        for id in &excess {
            under_way.over.insert(*id);
            self.writer
                .sent(*id, AttemptResult::GivenUp, reading.utc_ms);
        }
        self.deliveries
            .count(receiver, |counts| counts.left_out += excess.len() as u64);
        let last = under_way.complained_ns.get(receiver);
        if !excess.is_empty() && last.is_none_or(|at| reading.boot_ns >= at + COMPLAIN_EVERY_NS) {
            under_way
                .complained_ns
                .insert(receiver.to_owned(), reading.boot_ns);
            let most = outbox::MOST_OF_A_QUEUE;
            tracing::error!(
                receiver,
                left_out = excess.len(),
                most,
                "notifications left out: too many of one endpoint wait; the newest state is kept"
            );
        }
    }

    fn due(
        &mut self,
        reading: &Reading,
    ) -> Result<Vec<QueuedMessage>, crate::history::HistoryError> {
        let reader = schema::open_to_read(&self.directory)?;
        // Not the wall clock itself: when it is set, the messages that wait follow a moment later.
        let now =
            outbox::calendar(&reader, &self.boot_id, reading.boot_ns)?.unwrap_or(reading.utc_ms);
        let UnderWay {
            held, over, places, ..
        } = &mut self.under_way;
        places.retain(|_, places| places.free() < AT_ONCE);
        // What cannot be asked now is asked with the next look.
        over.retain(|id| outbox::is_waiting(&reader, *id).unwrap_or(true));
        let mut due = Vec::new();
        for receiver in outbox::receivers(&reader)? {
            let room = places.get(&receiver).map_or(AT_ONCE, CallPlaces::free);
            let is_held = |id| held.contains_key(&id) || over.contains(&id);
            due.extend(outbox::due(
                &reader,
                &receiver,
                (now, LONGEST_WAIT_MS),
                room,
                is_held,
            )?);
        }
        Ok(due)
    }

    fn settle(&mut self, result: Result<(), Undelivered>, message: &QueuedMessage) {
        let under_way = &mut self.under_way;
        under_way.held.remove(&message.id);
        let refusals = under_way
            .refusals
            .get(&message.id)
            .copied()
            .unwrap_or(0)
            .max(message.refusals);
        let (outcome, wait) = match &result {
            Ok(()) => (AttemptResult::Delivered, 0),
            Err(Undelivered {
                is_refused: true, ..
            }) => match AFTER_REFUSAL_MS.get(refusals as usize) {
                Some(wait) => (AttemptResult::Refused, *wait),
                None => (AttemptResult::GivenUp, 0),
            },
            Err(_) => (
                AttemptResult::Again,
                (1000_i64 << message.tries.min(9)).min(PATIENCE_MS),
            ),
        };
        let reading = self.clock.read();
        match outcome {
            AttemptResult::Delivered | AttemptResult::GivenUp => {
                under_way.refusals.remove(&message.id);
                under_way.over.insert(message.id);
            }
            AttemptResult::Refused => drop(under_way.refusals.insert(message.id, refusals + 1)),
            AttemptResult::Again => {}
        }
        if !outcome.is_over() {
            under_way
                .held
                .insert(message.id, reading.boot_ns + wait as u64 * NS_PER_MS);
        }
        self.log_attempt(result, message, (outcome, wait));
        self.writer.sent(message.id, outcome, reading.utc_ms + wait);
    }

    fn log_attempt(
        &self,
        result: Result<(), Undelivered>,
        message: &QueuedMessage,
        (outcome, wait): (AttemptResult, i64),
    ) {
        let (receiver, tries) = (message.receiver.as_str(), message.tries + 1);
        match result {
            Ok(()) => {
                self.deliveries
                    .count(receiver, |counts| counts.delivered += 1);
                tracing::info!(receiver, "notification delivered");
            }
            Err(Undelivered { why, .. }) if outcome.is_over() => {
                self.deliveries
                    .count(receiver, |counts| counts.given_up += 1);
                tracing::error!(
                    receiver,
                    why,
                    tries,
                    "notification given up: the receiver \
                    refuses this message whenever it is sent"
                );
            }
            Err(Undelivered { why, .. }) => {
                self.deliveries.count(receiver, |counts| counts.failed += 1);
                tracing::warn!(
                    receiver,
                    why,
                    again_in_ms = wait,
                    "notification not delivered"
                );
            }
        }
    }
}

/// The next call to end; waits where there is none.
async fn next(calls: &mut Calls) -> (CallResult, QueuedMessage) {
    loop {
        match calls.ended().await {
            Some(ended) => return ended,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU16, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::history::event::ClockStepEvent;
    use crate::history::opened::History;
    use crate::history::{Batch, EventDraft, OutboxChange, OutboxDraft, Stamp};
    use crate::net::clock::SimulatedClock;
    use crate::words::Name;

    const DAY_MS: u64 = 86_400_000;
    const BOOT: &str = "this boot";

    /// A receiver that refuses messages of the endpoint `poison` with a status, and keeps the keys
    /// of what it takes.
    struct Receiver {
        port: u16,
        status: Arc<AtomicU16>,
        taken: Arc<Mutex<Vec<String>>>,
    }

    impl Receiver {
        async fn new(status: u16) -> Self {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
                .await
                .expect("bound");
            let port = listener.local_addr().expect("an address").port();
            let receiver = Self {
                port,
                status: Arc::new(AtomicU16::new(status)),
                taken: Arc::default(),
            };
            let (status, taken) = (receiver.status.clone(), receiver.taken.clone());
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let mut text = String::new();
                    // Bodies of these tests end with a full stop.
                    while !text.ends_with('.') {
                        let mut some = [0; 1024];
                        let count = stream.read(&mut some).await.expect("read");
                        text.push_str(&String::from_utf8_lossy(&some[..count]));
                    }
                    let body = text
                        .split("\r\n\r\n")
                        .nth(1)
                        .unwrap_or_default()
                        .trim_end_matches('.')
                        .to_owned();
                    let code = if body.contains("poison") {
                        status.load(Ordering::Relaxed)
                    } else {
                        204
                    };
                    if code < 300 {
                        taken.lock().expect("a lock").push(body);
                    }
                    let _ = stream
                        .write_all(
                            format!(
                                "HTTP/1.1 {code} X\r\nContent-Length: \
                        0\r\nConnection: close\r\n\r\n"
                            )
                            .as_bytes(),
                        )
                        .await;
                }
            });
            receiver
        }

        fn taken(&self) -> Vec<String> {
            self.taken.lock().expect("a lock").clone()
        }
    }

    /// What was logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("a lock").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        fn lines(&self) -> Vec<String> {
            String::from_utf8_lossy(&self.0.lock().expect("a lock"))
                .lines()
                .map(str::to_owned)
                .collect()
        }
    }

    struct Bench {
        _directory: tempfile::TempDir,
        clock: Arc<SimulatedClock>,
        receiver: Receiver,
        delivery: Delivery,
    }

    impl Bench {
        /// A receiver that answers so to what it refuses, and an outbox; it is the first of January
        /// 1980.
        async fn new(status: u16) -> Self {
            let (directory, receiver) = (
                tempfile::tempdir().expect("a directory"),
                Receiver::new(status).await,
            );
            let (config, url) = (
                directory.path().join("c.toml"),
                directory.path().join("url"),
            );
            std::fs::write(&url, format!("http://127.0.0.1:{}/", receiver.port)).expect("written");
            std::fs::write(
                &config,
                format!("[[notify]]\nname = \"ops\"\nwebhook.url = {{ file = {url:?} }}\n"),
            )
            .expect("written");
            let plan = Arc::new(
                crate::config::load(&config, &crate::net::config_files::Files).expect("a plan"),
            );
            let state = directory.path().join("state");
            let (writer, _) = History::open(&state, None)
                .expect("a history")
                .start(drop)
                .expect("a thread");
            let clock = Arc::new(SimulatedClock::default());
            clock.utc_offset_ms.store(3652 * DAY_MS, Ordering::Relaxed);
            let delivery = delivery(state, plan, writer, Clock::Simulated(clock.clone()));
            Self {
                _directory: directory,
                clock,
                receiver,
                delivery,
            }
        }

        fn utc(&self) -> i64 {
            self.delivery.clock.read().utc_ms
        }

        /// The message of a key, due now.
        fn post(&mut self, key: &str) {
            let not_before = self.utc();
            let message = OutboxDraft {
                receiver: Name::new("ops").expect("a name"),
                key: key.to_owned(),
                body: format!("{key}."),
                not_before,
                cancels: None,
            };
            self.commit(OutboxChange::Message(message));
        }

        fn commit(&self, change: OutboxChange) {
            let stamp = Stamp {
                utc_ms: self.utc(),
                ..Stamp::default()
            };
            self.delivery.writer.commit(Batch {
                id: 1,
                stamp,
                outbox: vec![change],
                ..Batch::default()
            });
            self.is_noted();
        }

        fn is_noted(&self) {
            self.delivery
                .writer
                .register(Vec::new())
                .expect("an answer");
        }

        /// Sends what is due, and hears what becomes of it.
        async fn turn(&mut self) {
            self.delivery.look();
            while let Some((result, message)) = self.delivery.calls.ended().await {
                self.delivery.settle(result, &message);
            }
            self.is_noted();
        }

        fn pass(&self, ms: i64) {
            self.clock
                .boot_ns
                .fetch_add(ms as u64 * NS_PER_MS, Ordering::Relaxed);
        }

        fn counts(&self) -> Delivered {
            self.delivery
                .deliveries
                .snapshot()
                .first()
                .map(|(_, counts)| *counts)
                .unwrap_or_default()
        }

        /// Another process goes on with the same outbox.
        fn restart(&mut self) {
            let old = &self.delivery;
            self.delivery = delivery(
                old.directory.clone(),
                old.plan.load_full(),
                old.writer.clone(),
                old.clock.clone(),
            );
        }
    }

    fn delivery(directory: PathBuf, plan: Arc<Plan>, writer: Writer, clock: Clock) -> Delivery {
        let (plan, own_calls) = (
            Arc::new(ArcSwap::new(plan)),
            OwnCalls::new(Authorities::of_the_system()),
        );
        let (deliveries, under_way, calls) =
            (Arc::default(), UnderWay::default(), Calls::default());
        Delivery {
            directory,
            boot_id: BOOT.to_owned(),
            plan,
            writer,
            deliveries,
            own_calls,
            clock,
            under_way,
            calls,
        }
    }

    #[tokio::test]
    async fn a_message_refused_for_what_it_says_ends_after_seven_tries_over_an_hour_and_a_half() {
        for status in [400, 404, 410, 413, 422] {
            let log = Log::default();
            let to = log.clone();
            let _logs = tracing::subscriber::set_default(
                tracing_subscriber::fmt()
                    .with_writer(move || to.clone())
                    .finish(),
            );
            let mut bench = Bench::new(status).await;
            ["down 1 poison", "up 1 poison", "down 2 other"]
                .iter()
                .for_each(|key| bench.post(key));
            bench.turn().await;
            assert_eq!(
                bench.receiver.taken(),
                ["down 2 other"],
                "{status}: nobody else's waits"
            );
            let waits = [5, 30, 120, 600, 1800, 3600];
            assert!(waits.iter().sum::<i64>() >= 3600);
            for (tried, wait) in waits.into_iter().enumerate() {
                assert_eq!(
                    bench.counts(),
                    Delivered {
                        delivered: 1,
                        failed: tried as u64 + 1,
                        ..Delivered::default()
                    },
                    "{status}"
                );
                bench.pass(wait * 1000 - 1);
                bench.turn().await;
                assert_eq!(
                    bench.counts().failed,
                    tried as u64 + 1,
                    "{status}: not before {wait} s"
                );
                bench.pass(1);
                bench.turn().await;
            }
            assert_eq!(
                bench.counts(),
                Delivered {
                    delivered: 1,
                    failed: 6,
                    given_up: 1,
                    left_out: 0
                },
                "{status}"
            );
            let errors: Vec<String> = log
                .lines()
                .into_iter()
                .filter(|line| line.contains("ERROR"))
                .collect();
            assert!(
                errors.len() == 1
                    && errors[0].contains("given up")
                    && errors[0].contains(&status.to_string()),
                "{errors:?}"
            );
            bench.receiver.status.store(204, Ordering::Relaxed);
            bench.turn().await;
            assert_eq!(
                bench.receiver.taken(),
                ["down 2 other", "up 1 poison"],
                "{status}: what came after it had waited"
            );
        }
    }

    #[tokio::test]
    async fn a_receiver_that_refuses_everything_for_a_while_loses_nothing() {
        let mut bench = Bench::new(404).await;
        ["down 1 poison", "up 1 poison"]
            .iter()
            .for_each(|key| bench.post(key));
        for _ in 0..60 {
            bench.turn().await;
            bench.pass(1000);
        }
        bench.receiver.status.store(204, Ordering::Relaxed);
        bench.pass(120_000);
        bench.turn().await;
        bench.turn().await;
        assert_eq!(
            (bench.receiver.taken(), bench.counts().given_up),
            (
                vec!["down 1 poison".to_owned(), "up 1 poison".to_owned()],
                0
            )
        );
    }

    /// A call that ends by a panic gives its message back: it is tried again like any other.
    #[tokio::test]
    async fn a_call_that_panics_is_a_failed_try_and_keeps_neither_message_nor_place() {
        let mut bench = Bench::new(204).await;
        bench.post("down 1 a");
        let reading = bench.delivery.clock.read();
        let message = bench.delivery.due(&reading).expect("read").remove(0);
        let under_way = &mut bench.delivery.under_way;
        under_way.held.insert(message.id, u64::MAX);
        let place = under_way.places("ops").take().expect("a place");
        let call = async move {
            let _place = place;
            panic!("a bug")
        };
        bench.delivery.calls.begin(message, call);
        // It hears for so long even where nothing is under way.
        bench
            .delivery
            .settle_until(Instant::now() + Duration::from_millis(200))
            .await;
        bench.is_noted();
        assert_eq!(bench.counts().failed, 1);
        assert_eq!(bench.delivery.under_way.places("ops").free(), AT_ONCE);
        bench.pass(1000);
        bench.turn().await;
        assert_eq!(bench.receiver.taken(), ["down 1 a"]);
    }

    #[tokio::test]
    async fn the_number_of_tries_is_bounded_over_restarts() {
        let mut bench = Bench::new(410).await;
        bench.post("down 1 poison");
        for wait in [0, 5, 30, 120, 600, 1800, 3600] {
            assert_eq!(bench.counts().given_up, 0);
            bench.pass(wait * 1000);
            bench.restart();
            bench.turn().await;
        }
        assert_eq!(
            bench.counts(),
            Delivered {
                given_up: 1,
                ..Delivered::default()
            }
        );
    }

    #[tokio::test]
    async fn a_failure_that_can_mend_is_tried_for_ever_and_does_not_count_as_a_refusal() {
        let mut bench = Bench::new(503).await;
        bench.post("down 1 poison");
        for _ in 0..20 {
            bench.turn().await;
            bench.pass(PATIENCE_MS);
        }
        bench.receiver.status.store(422, Ordering::Relaxed);
        bench.turn().await;
        assert_eq!(
            bench.counts(),
            Delivered {
                failed: 21,
                ..Delivered::default()
            }
        );
    }

    /// The wall clock goes back by ten years. The recorder tells of it in every daemon but one that
    /// ends just then.
    #[tokio::test]
    async fn a_repetition_that_a_wrong_clock_put_off_goes_out_after_the_step() {
        for (is_told, is_restarted) in [(false, false), (false, true), (true, false), (true, true)]
        {
            let mut bench = Bench::new(503).await;
            bench.post("down 1 poison");
            bench.turn().await;
            assert_eq!(bench.counts().failed, 1);
            bench.clock.utc_offset_ms.store(0, Ordering::Relaxed);
            if is_told {
                bench.commit(OutboxChange::ClockStep(-3652 * DAY_MS as i64));
            }
            if is_restarted {
                bench.restart();
            }
            bench.receiver.status.store(204, Ordering::Relaxed);
            bench.pass(1000);
            bench.turn().await;
            assert_eq!(
                bench.receiver.taken(),
                ["down 1 poison"],
                "told: {is_told}, restarted: {is_restarted}"
            );
        }
    }

    /// The wall clock is set a day ahead, and the recorder has not told the history of it yet.
    #[tokio::test]
    async fn a_message_waits_for_its_time_while_the_history_does_not_know_of_a_step() {
        let mut bench = Bench::new(204).await;
        let (key, not_before) = ("down 1 a".to_owned(), bench.utc() + 60_000);
        let message = OutboxDraft {
            receiver: Name::new("ops").expect("a name"),
            body: format!("{key}."),
            key,
            not_before,
            cancels: None,
        };
        let stamp = Stamp {
            boot_id: BOOT.into(),
            utc_ms: bench.utc(),
            ..Stamp::default()
        };
        let offset_ms = bench.utc();
        let step = ClockStepEvent {
            step_ms: offset_ms,
            offset_before_ms: 0,
            offset_after_ms: offset_ms,
            boot_ns: 0,
        };
        let step = EventDraft::general(0, offset_ms, step);
        bench.delivery.writer.commit(Batch {
            id: 1,
            stamp,
            events: vec![step],
            outbox: vec![OutboxChange::Message(message)],
            ..Batch::default()
        });
        bench.is_noted();
        bench
            .clock
            .utc_offset_ms
            .fetch_add(DAY_MS, Ordering::Relaxed);
        bench.pass(59_999);
        bench.turn().await;
        assert_eq!(bench.receiver.taken(), Vec::<String>::new());
        bench.pass(1);
        bench.turn().await;
        assert_eq!(bench.receiver.taken(), ["down 1 a"]);
    }

    /// Places of calls whose threads go on stay taken; another receiver has its own.
    #[tokio::test]
    async fn a_receiver_whose_calls_do_not_end_gets_no_more_of_them() {
        let mut bench = Bench::new(204).await;
        bench.post("down 1 a");
        let places = bench.delivery.under_way.places("ops");
        let mut stuck: Vec<_> = std::iter::repeat_with(|| places.take())
            .map_while(|place| place)
            .collect();
        assert_eq!(stuck.len(), AT_ONCE);
        assert_eq!(bench.delivery.under_way.places("other").free(), AT_ONCE);
        bench.turn().await;
        assert_eq!(bench.receiver.taken(), Vec::<String>::new());
        stuck.pop();
        bench.turn().await;
        assert_eq!(bench.receiver.taken(), ["down 1 a"]);
    }

    #[tokio::test]
    async fn only_the_begin_of_an_outage_waits_for_its_time() {
        let mut bench = Bench::new(204).await;
        ["down 1 a", "up 2 b", "left 3 c", "unknown - d"]
            .iter()
            .for_each(|key| bench.post(key));
        bench.clock.utc_offset_ms.store(0, Ordering::Relaxed);
        bench.turn().await;
        let mut taken = bench.receiver.taken();
        taken.sort();
        assert_eq!(taken, ["left 3 c", "unknown - d", "up 2 b"]);
    }

    #[tokio::test]
    async fn a_try_that_ends_after_its_message_was_taken_back_touches_no_other() {
        let mut bench = Bench::new(204).await;
        bench.post("down 1 old");
        bench.delivery.look();
        let (result, message) = bench.delivery.calls.ended().await.expect("a call");
        let receiver = Name::new("ops").expect("a name");
        let up = OutboxDraft {
            receiver,
            key: "up 1 old".into(),
            body: String::new(),
            not_before: 0,
            cancels: Some("down 1 old".into()),
        };
        bench.commit(OutboxChange::Message(up));
        bench.post("down 1 new");
        bench.delivery.settle(result, &message);
        bench.is_noted();
        bench.turn().await;
        assert_eq!(bench.receiver.taken(), ["down 1 old", "down 1 new"]);
    }

    #[tokio::test]
    async fn what_waits_for_a_receiver_that_accepts_nothing_is_bounded_and_ends_with_the_newest() {
        let log = Log::default();
        let to = log.clone();
        let _logs = tracing::subscriber::set_default(
            tracing_subscriber::fmt()
                .with_writer(move || to.clone())
                .finish(),
        );
        let mut bench = Bench::new(410).await;
        for n in 0..100 {
            [format!("down 1 {n}-poison"), format!("up 1 {n}-poison")]
                .iter()
                .for_each(|key| bench.post(key));
            bench.pass(10_000);
            bench.turn().await;
        }
        bench.post("down 1 100-poison");
        let waiting = || {
            let reader = schema::open_to_read(&bench.delivery.directory).expect("opened");
            outbox::count_waiting(&reader).expect("counted")
        };
        assert!(
            waiting() <= outbox::MOST_OF_A_QUEUE as i64 + 2,
            "{}",
            waiting()
        );
        let left_out = bench.counts().left_out;
        assert!((170..=190).contains(&left_out), "{left_out}");
        let errors = log
            .lines()
            .into_iter()
            .filter(|line| line.contains("ERROR") && line.contains("left out"))
            .count();
        assert_eq!(errors, 1, "once an hour");
        bench.receiver.status.store(204, Ordering::Relaxed);
        bench.pass(LONGEST_WAIT_MS);
        for _ in 0..30 {
            bench.turn().await;
        }
        let taken = bench.receiver.taken();
        assert_eq!(
            (taken[0].as_str(), taken.last().map(String::as_str)),
            ("down 1 0-poison", Some("down 1 100-poison"))
        );
        // Whoever heard of a begin hears of its end.
        assert!(
            taken
                .chunks(2)
                .all(|pair| pair.len() == 1
                    || pair[0].rsplit(' ').next() == pair[1].rsplit(' ').next()),
            "{taken:?}"
        );
    }

    #[tokio::test]
    async fn nothing_is_kept_of_what_is_over() {
        let mut bench = Bench::new(422).await;
        ["down 1 poison", "down 2 other"]
            .iter()
            .for_each(|key| bench.post(key));
        for wait in [0, 5, 30, 120, 600, 1800, 3600, 1] {
            bench.pass(wait * 1000);
            bench.turn().await;
        }
        let UnderWay {
            held,
            over,
            refusals,
            ..
        } = &bench.delivery.under_way;
        assert!(
            held.is_empty() && over.is_empty() && refusals.is_empty(),
            "{held:?} {over:?} {refusals:?}"
        );
    }
}
