//! The control socket: what people record at run time. One line of JSON in, one line out, on
//! `$state_dir/control.sock`.
//!
//! Only its owner can open it; who asked is recorded as the peer's user id and what they call
//! themselves.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use self::admission::admissions;
use self::given::{names, printable, window};
use self::messages::{
    ConfigReloaded, ControlCommand, ControlRequest, Correction, HistoryPruned, NewExclusion,
    NewWindow, Renamed, RequestRefused, WindowAdded, WindowCancelled,
};
use super::pruning::may_prune;
use crate::account::figures;
use crate::account::shown::{ShownSpan, ShownSums};
use crate::account::timelines::called_now;
use crate::engine::board::Board;
use crate::engine::drive::{EngineCommand, RecordRequest};
use crate::history::checkpoint::TermsKey;
use crate::history::event::{AnnotationEvent, ExclusionEvent};
use crate::history::prune::prepare;
use crate::history::schema;
use crate::history::writer::Writer;
use crate::judgement::maintenance::{AHEAD_MS, Origin, Stored, Window};
use crate::judgement::timeline::{Span, Sums};
use crate::net::apart;
use crate::net::clock::Clock;
use crate::net::sys;
use crate::serve::api;
use crate::serve::reloading::ReloadRequest;
use crate::words::{Name, UtcMs, format_utc, parse_utc};

mod admission;
mod given;
pub mod messages;

/// The socket's name in the state directory.
pub const SOCKET: &str = "control.sock";
/// A request is one line of at most so many bytes.
const LINE_LIMIT: u64 = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(10);
const PRUNING_PATIENCE: Duration = Duration::from_secs(600);

/// What an answer of the control socket needs.
#[derive(Clone)]
pub struct ControlState {
    pub board: Arc<Board>,
    pub state_dir: PathBuf,
    pub engine: mpsc::UnboundedSender<EngineCommand>,
    pub writer: Writer,
    /// Opens the terms that were in force before.
    pub terms: TermsKey,
    pub reload: mpsc::Sender<ReloadRequest>,
}

/// Binds the socket for its owner only.
pub fn bind(state_dir: &Path) -> Result<std::os::unix::net::UnixListener, String> {
    let path = state_dir.join(SOCKET);
    // The directory is ours by its lock: what lies there is a leftover.
    let _ = std::fs::remove_file(&path);
    let bound = std::os::unix::net::UnixListener::bind(&path).and_then(|listener| {
        listener.set_nonblocking(true)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    });
    bound.map_err(|e| format!("the control socket {} cannot be made: {e}", path.display()))
}

/// Answers for as long as the daemon runs.
pub async fn run(listener: UnixListener, state: ControlState) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let state = state.clone();
                tokio::task::spawn_local(async move {
                    let _ = serve(stream, state).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket cannot be served");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, state: ControlState) -> std::io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let (reading, mut writing) = stream.into_split();
    let mut line = String::new();
    let mut reading = BufReader::new(reading.take(LINE_LIMIT));
    tokio::time::timeout(PATIENCE, reading.read_line(&mut line)).await??;
    let answer = match ControlRequest::parse(&line) {
        Ok(_) if !may_ask(uid, sys::effective_user()) => {
            Err("only root and the user of the daemon may ask".into())
        }
        Ok(request) => tokio::time::timeout(patience(&request.command), state.answer(request, uid))
            .await
            .unwrap_or_else(|_| Err("the daemon did not answer in time".into())),
        Err(why) => Err(why),
    };
    let value = answer.unwrap_or_else(|error| json!(RequestRefused { error }));
    writing.write_all(format!("{value}\n").as_bytes()).await
}

/// Who prunes waits until all that goes was looked at, and a large config takes its time.
fn patience(command: &ControlCommand) -> Duration {
    match command {
        ControlCommand::Prune { .. } | ControlCommand::Reload => PRUNING_PATIENCE,
        _ => PATIENCE,
    }
}

/// The mode of the socket says the same, but not between its making and its setting, and not
/// against an access list.
fn may_ask(uid: u32, own: u32) -> bool {
    uid == 0 || uid == own
}

fn now() -> UtcMs {
    Clock::Real.read().utc_ms
}

impl ControlState {
    /// The answer to one request of the user `uid`.
    pub async fn answer(&self, request: ControlRequest, uid: u32) -> Result<Value, String> {
        let by = request
            .by
            .filter(|b| Name::new(b).is_ok())
            .map_or_else(|| format!("uid {uid}"), |b| format!("uid {uid} ({b})"));
        match request.command {
            ControlCommand::AddWindow(window) => self.declare(&window, by).await.map(|a| json!(a)),
            ControlCommand::CancelWindow { id } => self.cancel(id, by).await.map(|a| json!(a)),
            ControlCommand::Annotate { seq, text } => {
                self.annotate(seq, text, by).await.map(|a| json!(a))
            }
            ControlCommand::Exclude(wanted) => self.exclude(&wanted, by).await.map(|a| json!(a)),
            ControlCommand::Prune { before } => self.prune(before, by).await.map(|a| json!(a)),
            ControlCommand::Reload => self.reload().await.map(|a| json!(a)),
        }
    }

    async fn cancel(&self, id: Option<String>, by: String) -> Result<WindowCancelled, String> {
        let id = Name::new(&id.unwrap_or_default()).map_err(|e| format!("invalid id: {e}"))?;
        let request = RecordRequest::EndWindow { id: id.clone(), by };
        let recorded = self.record(request).await?;
        Ok(WindowCancelled {
            schema: "probity-maintenance-cancelled/1".to_owned(),
            id: id.to_string(),
            recorded_at: format_utc(recorded),
        })
    }

    async fn record(&self, request: RecordRequest) -> Result<UtcMs, String> {
        let (reply, answer) = oneshot::channel();
        self.engine
            .send(EngineCommand::Record { request, reply })
            .map_err(|_| "the daemon is shutting down")?;
        answer
            .await
            .map_err(|_| "the daemon ended before it was recorded".to_owned())?
    }

    async fn declare(&self, wanted: &NewWindow, by: String) -> Result<WindowAdded, String> {
        let mut window = window(wanted, now())?;
        let renamed = self.renamed(&window.components).await?;
        renamed
            .iter()
            .for_each(|(before, now)| replace(&mut window.components, before, now));
        let at = now();
        let next = window
            .occurrences(Span::new(at, at + AHEAD_MS))
            .into_iter()
            .next();
        let next = next
            .filter(|s| s.from >= at)
            .ok_or("the window starts in the past: declare maintenance before it starts")?;
        self.knows(&window)?;
        let fresh = Stored {
            window: window.clone(),
            recorded: at,
            ended: None,
            by: by.clone(),
            origin: Origin::Person,
        };
        let declared = self.board.windows.load_full();
        let contracts = admissions(&self.board.plan.load(), &declared, &fresh, next);
        let (id, note) = (window.id.to_string(), window.clock_note());
        let recorded = self
            .record(RecordRequest::DeclareWindow { window, by })
            .await?;
        Ok(WindowAdded {
            schema: "probity-maintenance-added/1".to_owned(),
            id,
            recorded_at: format_utc(recorded),
            next: ShownSpan::of(&next),
            contracts,
            note,
            renamed: by_name(&renamed),
        })
    }

    fn has_component(&self, name: &Name) -> bool {
        self.board.plan.load().components.contains_key(name)
            || self
                .board
                .entries()
                .iter()
                .any(|e| e.endpoint.load().component == *name)
    }

    /// The components among these that have another name now, with that name.
    async fn renamed(&self, components: &[Name]) -> Result<Vec<(Name, Name)>, String> {
        let unknown: Vec<Name> = components
            .iter()
            .filter(|name| !self.has_component(name))
            .cloned()
            .collect();
        if unknown.is_empty() {
            return Ok(Vec::new());
        }
        let (board, directory) = (self.board.clone(), self.state_dir.clone());
        let found = apart::run(move || {
            let reader = schema::open_to_read(&directory)?;
            called_now(&reader, &figures::parts_of(&reader, &board)?, &unknown)
        });
        found
            .await
            .map_err(|e| e.to_string())?
            .map_err(|e| e.to_string())
    }

    /// A window names what the config has.
    fn knows(&self, window: &Window) -> Result<(), String> {
        self.knows_all(&window.components, &window.endpoints)
    }

    fn knows_all(&self, components: &[Name], endpoints: &[Name]) -> Result<(), String> {
        let entries = self.board.entries();
        if let Some(name) = components.iter().find(|name| !self.has_component(name)) {
            return Err(format!("unknown component `{name}`"));
        }
        for name in endpoints {
            if !entries.iter().any(|e| e.endpoint.load().name == *name) {
                return Err(format!(
                    "unknown endpoint `{name}`, or it is out of service"
                ));
            }
        }
        Ok(())
    }

    async fn annotate(
        &self,
        seq: Option<u64>,
        text: Option<String>,
        by: String,
    ) -> Result<Correction, String> {
        let seq = seq.ok_or("name the event with --seq")?;
        let text = printable(text.as_deref(), "text")?;
        let newest = self.board.health.events_recorded.load(Ordering::Relaxed);
        if !(1..=newest).contains(&seq) {
            return Err(format!("unknown event {seq}; the newest is {newest}"));
        }
        let note = AnnotationEvent { of: seq, text, by };
        let recorded = self
            .record(RecordRequest::Correct(Box::new(note.into())))
            .await?;
        Ok(Correction {
            schema: "probity-correction/1".to_owned(),
            kind: "annotation".to_owned(),
            recorded_at: format_utc(recorded),
            before: None,
            after: None,
            renamed: Renamed::new(),
        })
    }

    /// Reads the config again. The answer quotes faults of the config: who may ask can read it.
    async fn reload(&self) -> Result<ConfigReloaded, String> {
        let (reply, answer) = oneshot::channel();
        self.reload
            .send(reply)
            .await
            .map_err(|_| "the daemon is shutting down")?;
        let summary = answer
            .await
            .map_err(|_| "the daemon ended before the config was read")?
            .map_err(|error| error.to_string())?;
        Ok(ConfigReloaded {
            schema: "probity-reloaded/1".to_owned(),
            summary: summary.to_string(),
        })
    }

    /// Forgets events of before an instant; a signed prune record stays for them.
    async fn prune(&self, before: Option<String>, by: String) -> Result<HistoryPruned, String> {
        let before = before
            .as_deref()
            .and_then(parse_utc)
            .ok_or("invalid time in --before; write it as 2025-01-01T00:00:00Z")?;
        let (directory, writer, terms, plan) = (
            self.state_dir.clone(),
            self.writer.clone(),
            self.terms.clone(),
            self.board.plan.load_full(),
        );
        let pruned = apart::run(move || {
            let reader = schema::open_to_read(&directory).map_err(|e| e.to_string())?;
            may_prune(
                before,
                &plan.contracts,
                reader.definitions().map_err(|e| e.to_string())?,
                &terms,
                now(),
            )?;
            let cut = prepare(&reader, before).map_err(|e| e.to_string())?;
            cut.map(|cut| writer.prune(cut, by, now())).transpose()
        });
        let Some(pruned) = pruned.await.map_err(|e| e.to_string())?? else {
            return Err("no event before this time".into());
        };
        Ok(HistoryPruned {
            schema: "probity-pruned/1".to_owned(),
            last: pruned.last,
            until: format_utc(pruned.until),
        })
    }

    /// Takes time out of the accounting, with what it was before and after. Raw counters stay.
    async fn exclude(&self, wanted: &NewExclusion, by: String) -> Result<Correction, String> {
        let (mut components, endpoints) = (
            names(&wanted.components, "components")?,
            names(&wanted.endpoints, "endpoints")?,
        );
        if components.is_empty() && endpoints.is_empty() {
            return Err("name what is excluded: --component or --endpoint".into());
        }
        let span = time_past(wanted)?;
        let renamed = self.renamed(&components).await?;
        renamed
            .iter()
            .for_each(|(before, now)| replace(&mut components, before, now));
        self.knows_all(&components, &endpoints)?;
        let reason = printable(wanted.reason.as_deref(), "reason")?;
        let sums = self.sums_of(&components, &endpoints, span).await?;
        if sums.is_empty() {
            return Err("none of them is in service".into());
        }
        let figures = |of: &dyn Fn(&Sums) -> Sums| -> BTreeMap<String, ShownSums> {
            sums.iter()
                .map(|(name, sums)| (name.clone(), ShownSums::of(&of(sums))))
                .collect()
        };
        let (before, after) = (figures(&|sums| *sums), figures(&|_| Sums::default()));
        let values = |figures: &BTreeMap<String, ShownSums>| {
            let values = figures.iter();
            values
                .map(|(name, sums)| (name.clone(), json!(sums)))
                .collect()
        };
        let texts = |l: &[Name]| l.iter().map(ToString::to_string).collect::<Vec<_>>();
        let correction = ExclusionEvent {
            components: texts(&components),
            endpoints: texts(&endpoints),
            from: format_utc(span.from),
            to: format_utc(span.to),
            reason,
            by,
            before: values(&before),
            after: values(&after),
        };
        let recorded = self
            .record(RecordRequest::Correct(Box::new(correction.into())))
            .await?;
        Ok(Correction {
            schema: "probity-correction/1".to_owned(),
            kind: "exclusion".to_owned(),
            recorded_at: format_utc(recorded),
            before: Some(before),
            after: Some(after),
            renamed: by_name(&renamed),
        })
    }

    /// The sums of endpoints before a correction.
    async fn sums_of(
        &self,
        components: &[Name],
        endpoints: &[Name],
        span: Span,
    ) -> Result<Vec<(String, Sums)>, String> {
        let (board, directory) = (self.board.clone(), self.state_dir.clone());
        let (components, endpoints) = (components.to_vec(), endpoints.to_vec());
        let sums = apart::run(move || {
            let reader = schema::open_to_read(&directory)?;
            api::sums_of(&reader, &board, &components, &endpoints, span)
        });
        sums.await
            .map_err(|e| e.to_string())?
            .map_err(|e| e.to_string())
    }
}

/// The time that a correction excludes: none to come.
fn time_past(wanted: &NewExclusion) -> Result<Span, String> {
    let instant = |text: &Option<String>, option: &str| {
        text.as_deref().and_then(parse_utc).ok_or(format!(
            "invalid time in --{option}; write it as 2026-11-01T00:00:00Z"
        ))
    };
    let (from, to) = (instant(&wanted.from, "from")?, instant(&wanted.to, "to")?);
    if to <= from {
        return Err("--to is not after --from".into());
    }
    if to > now() {
        return Err(
            "--to lies in the future: a correction speaks of what is recorded; declare \
                maintenance for time to come"
                .into(),
        );
    }
    Ok(Span::new(from, to))
}

fn by_name(renamed: &[(Name, Name)]) -> Renamed {
    renamed
        .iter()
        .map(|(before, now)| (before.to_string(), now.to_string()))
        .collect()
}

/// A component by the name that it has now, once.
fn replace(list: &mut Vec<Name>, before: &Name, now: &Name) {
    let has_it = list.contains(now);
    list.retain(|name| name != before);
    if !has_it {
        list.push(now.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_user_of_the_daemon_may_ask() {
        assert!(may_ask(0, 7) && may_ask(7, 7) && may_ask(0, 0));
        assert!(!may_ask(8, 7) && !may_ask(7, 0));
    }
}
