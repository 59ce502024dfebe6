//! The running daemon: threads, signals, service manager, and the order of its end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::backups;
use super::config_on_disk;
use super::control::{self, ControlState};
use super::descriptors::{ListenerPlaces, shares};
use super::exit::Exit;
use super::host_trust::{self, HostTrust};
use super::reload::{self, ReloadWanted, Reloader};
use super::service::{send_state, service_manager};
use super::sighup;
use super::start::{self, Begun, StartError};
use super::status_page::{self, StatusPageSetup};
use super::streams::say_error;
use crate::account::figures::NotSeen;
use crate::config::Plan;
use crate::config::document::source::show_faults_only;
use crate::engine::board::Board;
use crate::engine::drive::{self, EngineCommand, Gauges, Setup};
use crate::history::checkpoint::TermsKey;
use crate::history::schema;
use crate::history::writer::Progress;
use crate::kind::Kind;
use crate::net::apart;
use crate::net::authorities::Authorities;
use crate::net::clock::Clock;
use crate::net::clock_trust::ClockTrust;
use crate::net::echo;
use crate::net::log_lines;
use crate::net::{confine, guarded};
use crate::notify;
use crate::notify::Deliveries;
use crate::notify::deadman;
use crate::serve::answers::{Gates, ServerState, makes_progress};
use crate::serve::by_component::{self, ComponentStates};
use crate::serve::contracts::{ContractStatuses, contract_statuses};
use crate::serve::listener::{self, ListenerSetup};
use crate::serve::metrics::daemon::SelfMetrics;
use crate::serve::reloading::ReloadRequest;
use crate::serve::server::router;
use crate::serve::status_page::KeptStatus;

/// How old the contracts' figures on metrics and page may be.
const JUDGE_EVERY: Duration = Duration::from_secs(5);
/// A daemon has this long to end.
const END_WITHIN: Duration = Duration::from_millis(1800);

/// How often the threads are looked after.
const LOOK_AFTER_THREADS: Duration = Duration::from_secs(1);

/// What ends a daemon beside signals.
pub type Ending = std::pin::Pin<Box<dyn Future<Output = ()>>>;

/// Runs the daemon of a config file until a signal ends it.
pub fn run(config: &Path) -> Exit {
    // Before the first secret is read.
    crate::net::sys::close_memory();
    let plan = match start::read_config(config) {
        Ok(plan) => plan,
        Err(faults) => {
            say_error(show_faults_only(&faults));
            return Exit::Config;
        }
    };
    match run_plan(plan, config.to_owned(), Box::pin(std::future::pending())) {
        Ok(()) => Exit::Fine,
        Err(error) => {
            say_error(format_args!("probity: {error}"));
            error.exit()
        }
    }
}

/// Runs the daemon of a plan until a signal or `ending`.
pub fn run_plan(plan: Plan, config: PathBuf, ending: Ending) -> Result<(), StartError> {
    let plan = Arc::new(plan);
    let system = |e: std::io::Error| StartError::System(e.to_string());
    let _lines = log_lines::Apart::begin().map_err(system)?;
    warn_about(&plan);
    filter_system_calls();
    let listener = start::listen(&plan)?;
    let directory = start::state_directory(&plan, &config);
    let board = Arc::new(Board::new(plan.clone()));
    let begun = start::begin(&plan, &directory, &board)?;
    let gauges = Arc::new(Gauges::default());
    let clock = known_times(&begun);
    let (tell, progress) = mpsc::unbounded_channel();
    let (writer, writer_thread) = begun
        .history
        .start(move |p: Progress| drop(tell.send(p)))
        .map_err(system)?;
    // What can fail fails before the engine begins: nothing would ask it to end.
    let socket = control::bind(&directory).map_err(StartError::System)?;
    let (engine, commands) = mpsc::unbounded_channel();
    let continued = watch_process_signals().map_err(system)?;
    note_reading(&board);
    let host_trust = host_trust(clock, &plan, &board);
    let shares = shares(&plan);
    let setup = Setup {
        clock: Clock::Real,
        timeline: begun.timeline,
        boot_id: begun.boot_id,
        board: board.clone(),
        gauges: gauges.clone(),
        recorder: begun.recorder,
        limits: shares.limits,
        vantage: plan.daemon.vantage.clone(),
        writer: writer.clone(),
        authorities: host_trust.authorities.clone(),
        clock_trust: host_trust.clock.clone(),
        masks: host_trust.masks.clone(),
        progress,
        commands,
        continued,
        arrivals: begun.arrivals,
        definitions: begun.definitions,
        parked: begun.parked,
        tallies: begun.tallies,
    };
    let engine_thread = start_engine(setup).map_err(system)?;
    let reloader = Reloader {
        terms: begun.terms,
        path: config,
        directory: directory.clone(),
        board: board.clone(),
        writer: writer.clone(),
        engine: engine.clone(),
        host_trust: host_trust.clone(),
        places: ListenerPlaces::of(&shares),
    };
    // The board has it, and after a reload another: this one's secrets must not stay.
    drop(plan);
    let outer = Outer {
        directory,
        board,
        gauges,
        reloader,
        engine,
    };
    let has_died = || engine_thread.is_finished() || writer_thread.is_finished();
    let served = serve_until_end(outer, (listener, socket), ending, has_died);
    drop(writer);
    ended(served, engine_thread, writer_thread)
}

/// The config was read just now.
fn note_reading(board: &Board) {
    let read_at = Clock::Real.read().utc_ms as u64;
    board.health.reload_utc_ms.store(read_at, Ordering::Relaxed);
}

fn filter_system_calls() {
    if let Err(why) = confine::to_probing() {
        tracing::info!(%why, "this kernel supports no system call filter: an attacker who controls \
            the daemon could start programs");
    }
}

/// What the history says of the time.
fn known_times(begun: &Begun) -> ClockTrust {
    let clock = ClockTrust::default();
    clock.recorded(begun.newest_utc_ms);
    if begun.has_date_outage {
        clock.has_date_outage();
    }
    clock
}

/// The sockets of the web server and of the control socket.
type Sockets = (std::net::TcpListener, std::os::unix::net::UnixListener);

/// Answers on this thread until the daemon is to end, and has the engine end as well.
fn serve_until_end(
    outer: Outer,
    sockets: Sockets,
    ending: Ending,
    has_died: impl Fn() -> bool,
) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(16)
        .thread_keep_alive(Duration::from_secs(2))
        .build()
        .map_err(|e| StartError::System(e.to_string()))?;
    let engine = outer.engine.clone();
    let serving = outer.serve(sockets, ending, has_died);
    let served = runtime.block_on(tokio::task::LocalSet::new().run_until(serving));
    runtime.shutdown_timeout(Duration::from_millis(50));
    if served.is_err() {
        let (reply, _) = oneshot::channel();
        let _ = engine.send(EngineCommand::End { reply });
    }
    served
}

/// Set by the signal that continues a stopped process.
fn watch_process_signals() -> io::Result<Arc<AtomicBool>> {
    let continued = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGCONT, continued.clone())?;
    // A limit on file sizes is a write error like others, not the end.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default())?;
    Ok(continued)
}

/// Authorities and clock of this host, as they are at the start.
fn host_trust(clock: ClockTrust, plan: &Plan, board: &Board) -> HostTrust {
    let trust = HostTrust {
        authorities: Authorities::of_the_system(),
        clock: Arc::new(clock),
        masks: Arc::default(),
    };
    trust.take_over_masks(plan);
    trust.look(board);
    trust.say_at_start(plan);
    trust
}

type EngineThread = JoinHandle<io::Result<()>>;

fn start_engine(setup: Setup) -> io::Result<EngineThread> {
    std::thread::Builder::new()
        .name("engine".into())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(4)
                .thread_keep_alive(Duration::from_secs(2))
                .build()?;
            let ended = tokio::task::LocalSet::new().block_on(&runtime, drive::run(setup));
            // What still looks at a large body is not waited for.
            runtime.shutdown_timeout(Duration::from_millis(50));
            ended
        })
}

/// Waits for the threads. At an end that was asked for, everything is written, however long the
/// disk takes.
fn ended(
    served: Result<(), StartError>,
    engine: EngineThread,
    writer: JoinHandle<()>,
) -> Result<(), StartError> {
    let engine_ended = match &served {
        Ok(()) => Some(engine.join()),
        Err(_) => joined(engine),
    };
    let _ = match &served {
        Ok(()) => Some(writer.join()),
        Err(_) => joined(writer),
    };
    match engine_ended {
        Some(Ok(Ok(()))) => served,
        // It is still at work after an error that is to be told.
        None if served.is_err() => served,
        _ => Err(StartError::System(
            "the probing thread ended by itself; please report this".into(),
        )),
    }
}

/// What a thread came to, where it ends in time.
fn joined<T>(thread: JoinHandle<T>) -> Option<std::thread::Result<T>> {
    let until = tokio::time::Instant::now() + END_WITHIN;
    while !thread.is_finished() {
        if tokio::time::Instant::now() > until {
            return None;
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    Some(thread.join())
}

/// What a person should know before it costs anything.
fn warn_about(plan: &Plan) {
    let mut kinds = plan.endpoints.iter().map(|e| e.probe.kind());
    if kinds.any(Kind::needs_echo_socket)
        && let Err(why) = echo::permitted()
    {
        tracing::warn!(%why, "no ICMP socket can be opened: icmp endpoints will be unknown; give \
            CAP_NET_RAW or set net.ipv4.ping_group_range");
    }
    for note in guarded::open_secrets() {
        tracing::warn!("{note}");
    }
    if let Some(exposure) = plan.listen.exposure() {
        tracing::info!("{exposure}");
    }
    let page = plan.status_page.as_ref();
    if let Some(page) = page.filter(|page| !page.listen.ip().is_loopback()) {
        tracing::info!("{}", page.exposure());
    }
    if plan.endpoints.is_empty() {
        tracing::warn!("no endpoint configured");
    }
}

/// The thread that answers, notifies and hears signals.
struct Outer {
    directory: PathBuf,
    board: Arc<Board>,
    gauges: Arc<Gauges>,
    reloader: Reloader,
    engine: mpsc::UnboundedSender<EngineCommand>,
}

impl Outer {
    async fn serve(
        self,
        (listener, socket): Sockets,
        ending: Ending,
        has_died: impl Fn() -> bool,
    ) -> Result<(), StartError> {
        let system = |e: io::Error| StartError::System(e.to_string());
        let address = listener.local_addr().map_err(system)?;
        // Heard before anybody is answered: who is told that it is ready may end it at once.
        let end = [SignalKind::terminate(), SignalKind::interrupt()];
        let end = [
            signal(end[0]).map_err(system)?,
            signal(end[1]).map_err(system)?,
        ];
        let (reload, reloads) = mpsc::channel::<ReloadRequest>(4);
        let state = self.server_state(reload.clone())?;
        let control = self.control_state(reload);
        let (deliveries, contract_statuses) =
            (state.deliveries.clone(), state.contract_statuses.clone());
        let server = listener::run(ListenerSetup {
            listener,
            refusals: state.metrics.refusals.clone(),
            router: router(state),
            board: self.board.clone(),
            places: self.reloader.places.listener.clone(),
        })
        .map_err(system)?;
        let socket = tokio::net::UnixListener::from_std(socket).map_err(system)?;
        let mut tasks = self.tasks(deliveries, contract_statuses.clone());
        tasks.extend(self.status_page(contract_statuses));
        tasks.push(spawned(control::run(socket, control)));
        {
            let plan = self.board.plan.load();
            tracing::info!(
                address = %address,
                endpoints = plan.endpoints.len(),
                vantage = plan.daemon.vantage,
                "listening"
            );
        }
        let hangup = signal(SignalKind::hangup()).map_err(system)?;
        // What came before the stream above was there; later ones come by the stream.
        let is_asked = if sighup::reload_was_asked() {
            ReloadWanted::Already
        } else {
            ReloadWanted::NotYet
        };
        let reloading = reload::whenever_asked(self.reloader, reloads, hangup, is_asked);
        tasks.push(spawned(reloading));
        until_end(end, ending, || has_died() || server.has_died()).await?;
        tracing::info!("shutting down");
        send_state(&[NotifyState::Stopping]);
        let _ = std::fs::remove_file(self.directory.join(control::SOCKET));
        tasks.iter().for_each(AbortHandle::abort);
        let (reply, ended) = oneshot::channel();
        let _ = self.engine.send(EngineCommand::End { reply });
        let _ = tokio::time::timeout(END_WITHIN, ended).await;
        server.end();
        Ok(())
    }

    /// What the routes share.
    fn server_state(&self, reload: mpsc::Sender<ReloadRequest>) -> Result<ServerState, StartError> {
        let metrics = SelfMetrics::new(&self.board.plan.load().daemon.vantage);
        Ok(ServerState {
            board: self.board.clone(),
            gauges: self.gauges.clone(),
            metrics: Arc::new(metrics),
            deliveries: Arc::new(Deliveries::default()),
            state_dir: self.directory.clone(),
            reload,
            gates: Gates::default(),
            terms: self.reloader.terms.clone(),
            contract_statuses: Arc::new(ArcSwap::from_pointee(ContractStatuses::default())),
        })
    }

    /// The public page, where the config asks for one.
    fn status_page(
        &self,
        contract_statuses: Arc<ArcSwap<ContractStatuses>>,
    ) -> Option<AbortHandle> {
        let address = self.board.plan.load().status_page.as_ref()?.listen;
        Some(spawned(status_page::serve(StatusPageSetup {
            address,
            kept: KeptStatus::new(self.board.clone(), contract_statuses),
            board: self.board.clone(),
            // The metrics count those of the other listener.
            refusals: Arc::default(),
            places: self.reloader.places.status_page.clone(),
        })))
    }

    /// What the control socket needs.
    fn control_state(&self, reload: mpsc::Sender<ReloadRequest>) -> ControlState {
        ControlState {
            board: self.board.clone(),
            state_dir: self.directory.clone(),
            engine: self.engine.clone(),
            writer: self.reloader.writer.clone(),
            terms: self.reloader.terms.clone(),
            reload,
        }
    }

    /// What is done beside answering, until it is aborted.
    fn tasks(
        &self,
        deliveries: Arc<Deliveries>,
        contract_statuses: Arc<ArcSwap<ContractStatuses>>,
    ) -> Vec<AbortHandle> {
        let (board, directory, reloader) = (&self.board, &self.directory, &self.reloader);
        let authorities = &reloader.host_trust.authorities;
        let alive = {
            let board = board.clone();
            move || makes_progress(&board)
        };
        vec![
            spawned(judge_contracts(
                board.clone(),
                directory.clone(),
                reloader.terms.clone(),
                contract_statuses,
            )),
            spawned(host_trust::look_often(
                reloader.host_trust.clone(),
                board.clone(),
            )),
            spawned(config_on_disk::look_often(board.clone())),
            spawned(backups::make(board.clone(), directory.clone())),
            spawned(notify::run(
                (directory.clone(), start::boot_id()),
                board.plan.clone(),
                reloader.writer.clone(),
                deliveries,
                authorities.clone(),
            )),
            spawned(deadman::run(board.plan.clone(), authorities.clone(), alive)),
            spawned(service_manager(board.clone())),
        ]
    }
}

fn spawned(task: impl Future<Output = ()> + 'static) -> AbortHandle {
    tokio::task::spawn_local(task).abort_handle()
}

/// Ends well when a signal or `ending` asks for it, and with an error when a thread has died.
async fn until_end(
    [mut terminate, mut interrupt]: [Signal; 2],
    mut ending: Ending,
    has_died: impl Fn() -> bool,
) -> Result<(), StartError> {
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            () = &mut ending => return Ok(()),
            () = tokio::time::sleep(LOOK_AFTER_THREADS) => {
                if has_died() {
                    let why = "a thread of the daemon has ended by itself; please report this";
                    return Err(StartError::System(why.to_owned()));
                }
            }
        }
    }
}

/// Judges the contracts every few seconds, for metrics and page.
async fn judge_contracts(
    board: Arc<Board>,
    state_dir: PathBuf,
    terms: TermsKey,
    kept: Arc<ArcSwap<ContractStatuses>>,
) {
    let mut took = Duration::ZERO;
    loop {
        // Large contracts are judged less often: this may cost a tenth of a core at most.
        tokio::time::sleep(JUDGE_EVERY.max(took * 10)).await;
        let is_asked = {
            by_component::named(&board.plan.load()).len() + board.plan.load().contracts.list.len()
                > 0
        };
        if !is_asked {
            // A reload may have taken the last of them away.
            kept.store(Arc::default());
            continue;
        }
        let began = tokio::time::Instant::now();
        let (board, directory, terms, now, before) = (
            board.clone(),
            state_dir.clone(),
            terms.clone(),
            Clock::Real.read().utc_ms,
            kept.load().states.clone(),
        );
        let judged = apart::run(move || {
            let reader = schema::open_to_read(&directory)?;
            let states = Arc::new(ComponentStates::read(&reader, &board, now, &before)?);
            contract_statuses(&reader, &board, &terms, (now, NotSeen::LeftOut), states)
        })
        .await;
        match judged {
            Ok(Ok(fresh)) => kept.store(Arc::new(fresh)),
            Ok(Err(error)) => tracing::warn!(%error, "the contracts could not be judged"),
            Err(error) => tracing::error!(%error, "the contracts could not be judged"),
        }
        took = began.elapsed();
    }
}
