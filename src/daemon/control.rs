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

use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use super::pruning::may_prune;
use crate::account::figures::{self, called_now, sums_json};
use crate::config::build::maintenance::civil;
use crate::engine::board::Board;
use crate::engine::drive::{Control, Request};
use crate::history::checkpoint::TermsKey;
use crate::history::event::{AnnotationEvent, ExclusionEvent};
use crate::history::prune::prepare;
use crate::history::schema;
use crate::history::writer::Writer;
use crate::judgement::maintenance::{Origin, Stored, Window};
use crate::judgement::sla::calendar::{PeriodKind, current_and_previous};
use crate::judgement::sla::contract::{Announcement, Contract};
use crate::judgement::sla::measure::windows;
use crate::judgement::sla::record::{OPEN, Recorded, Timeline};
use crate::judgement::timeline::{Span, Spans, Sums};
use crate::judgement::zones;
use crate::net::apart;
use crate::net::clock::Clock;
use crate::net::sys;
use crate::serve::api;
use crate::serve::reloading::ReloadRequest;
use crate::words::{Name, UtcMs, format_utc, parse_utc};

/// The socket's name in the state directory.
pub const SOCKET: &str = "control.sock";
/// A request is one line of at most so many bytes.
const LINE_LIMIT: u64 = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(10);
const PRUNING_PATIENCE: Duration = Duration::from_secs(600);
/// No window is longer than this.
const LONGEST_MS: u64 = 31 * 86_400_000;

/// What answering needs.
#[derive(Clone)]
pub struct Desk {
    pub board: Arc<Board>,
    pub state_dir: PathBuf,
    pub control: mpsc::UnboundedSender<Control>,
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
pub async fn run(listener: UnixListener, desk: Desk) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let desk = desk.clone();
                tokio::task::spawn_local(async move {
                    let _ = serve(stream, desk).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket cannot be served");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, desk: Desk) -> std::io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let (reading, mut writing) = stream.into_split();
    let mut line = String::new();
    let mut reading = BufReader::new(reading.take(LINE_LIMIT));
    tokio::time::timeout(PATIENCE, reading.read_line(&mut line)).await??;
    let answer = match serde_json::from_str::<Value>(&line) {
        Ok(_) if !may_ask(uid, sys::effective_user()) => {
            Err("only root and the user of the daemon may ask".into())
        }
        Ok(request) => {
            // Who prunes waits until all that goes was looked at, and a large config takes its
            // time.
            let patience = if request["do"] == "prune" || request["do"] == "reload" {
                PRUNING_PATIENCE
            } else {
                PATIENCE
            };
            tokio::time::timeout(patience, desk.answer(&request, uid))
                .await
                .unwrap_or_else(|_| Err("the daemon did not answer in time".into()))
        }
        Err(error) => Err(format!("invalid JSON in the request: {error}")),
    };
    let value = answer.unwrap_or_else(|why| json!({"error": why}));
    writing.write_all(format!("{value}\n").as_bytes()).await
}

/// The mode of the socket says the same, but not between its making and its setting, and not
/// against an access list.
fn may_ask(uid: u32, own: u32) -> bool {
    uid == 0 || uid == own
}

fn now() -> UtcMs {
    Clock::Real.read().utc_ms
}

impl Desk {
    /// The answer to one request of the user `uid`.
    pub async fn answer(&self, request: &Value, uid: u32) -> Result<Value, String> {
        let by = request["by"]
            .as_str()
            .filter(|b| Name::new(b).is_ok())
            .map_or_else(|| format!("uid {uid}"), |b| format!("uid {uid} ({b})"));
        match request["do"].as_str().unwrap_or_default() {
            "maintenance add" => self.declare(request, by).await,
            "maintenance cancel" => {
                let id = Name::new(request["id"].as_str().unwrap_or_default())
                    .map_err(|e| format!("invalid id: {e}"))?;
                let recorded = self
                    .record(Request::EndWindow { id: id.clone(), by })
                    .await?;
                Ok(
                    json!({"schema": "probity-maintenance-cancelled/1", "id": id.as_str(), "recorded_at": format_utc(recorded)}),
                )
            }
            "annotate" => self.annotate(request, by).await,
            "exclude" => self.exclude(request, by).await,
            "prune" => self.prune(request, by).await,
            "reload" => self.reload().await,
            other => Err(format!("unknown request `{other}`")),
        }
    }

    async fn record(&self, request: Request) -> Result<UtcMs, String> {
        let (reply, answer) = oneshot::channel();
        self.control
            .send(Control::Record { request, reply })
            .map_err(|_| "the daemon is shutting down")?;
        answer
            .await
            .map_err(|_| "the daemon ended before it was recorded".to_owned())?
    }

    async fn declare(&self, request: &Value, by: String) -> Result<Value, String> {
        let mut window = window(request)?;
        let renamed = self.renamed(&window.components).await?;
        renamed
            .iter()
            .for_each(|(before, now)| replace(&mut window.components, before, now));
        let at = now();
        let next = window
            .occurrences(Span::new(at, OPEN.min(at + 400 * 86_400_000)))
            .into_iter()
            .next();
        let next = next
            .filter(|s| s.from >= at)
            .ok_or("the window starts in the past: declare maintenance before it starts")?;
        self.knows(&window)?;
        let contracts: Vec<Value> = {
            let plan = self.board.plan.load();
            let fresh = Stored {
                window: window.clone(),
                recorded: at,
                ended: None,
                by: by.clone(),
                origin: Origin::Person,
            };
            let all = self.board.windows.load_full();
            let mut of = Membership::new();
            if !plan.contracts.list.is_empty() {
                plan.endpoints
                    .iter()
                    .for_each(|e| of.entry(&e.component).or_default().push(&e.name));
            }
            plan.contracts
                .list
                .iter()
                .filter_map(|c| admission(c, &of, &all, &fresh, next))
                .collect()
        };
        let (id, note) = (window.id.clone(), window.clock_note());
        let recorded = self.record(Request::DeclareWindow { window, by }).await?;
        Ok(json!({
            "schema": "probity-maintenance-added/1", "id": id.as_str(), "recorded_at": format_utc(recorded),
            "next": {"from": format_utc(next.from), "to": format_utc(next.to)}, "contracts": contracts, "note": note, "renamed": renamed_json(&renamed),
        }))
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

    async fn annotate(&self, request: &Value, by: String) -> Result<Value, String> {
        let (seq, text) = (
            request["seq"].as_u64().ok_or("name the event with --seq")?,
            said(request, "text")?,
        );
        let newest = self.board.health.events_recorded.load(Ordering::Relaxed);
        if !(1..=newest).contains(&seq) {
            return Err(format!("unknown event {seq}; the newest is {newest}"));
        }
        let note = AnnotationEvent { of: seq, text, by };
        let recorded = self.record(Request::Correct(Box::new(note.into()))).await?;
        Ok(
            json!({"schema": "probity-correction/1", "kind": "annotation", "recorded_at": format_utc(recorded), "before": null, "after": null, "renamed": {}}),
        )
    }

    /// Reads the config again. The answer quotes faults of the config: who may ask can read it.
    async fn reload(&self) -> Result<Value, String> {
        let (reply, answer) = oneshot::channel();
        self.reload
            .send(reply)
            .await
            .map_err(|_| "the daemon is shutting down")?;
        let summary = answer
            .await
            .map_err(|_| "the daemon ended before the config was read")?
            .map_err(|error| error.to_string())?;
        Ok(json!({"schema": "probity-reloaded/1", "summary": summary.to_string()}))
    }

    /// Forgets events of before an instant; a signed stub stays for them.
    async fn prune(&self, request: &Value, by: String) -> Result<Value, String> {
        let before = request["before"]
            .as_str()
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
                reader.told().map_err(|e| e.to_string())?,
                &terms,
                now(),
            )?;
            let cut = prepare(&reader, before).map_err(|e| e.to_string())?;
            cut.map(|cut| writer.prune(cut, by, now())).transpose()
        });
        let Some(pruned) = pruned.await.map_err(|e| e.to_string())?? else {
            return Err("no event before this time".into());
        };
        Ok(
            json!({"schema": "probity-pruned/1", "last": pruned.last, "until": format_utc(pruned.until)}),
        )
    }

    /// Takes time out of the accounting, with what it was before and after. Raw counters stay.
    async fn exclude(&self, request: &Value, by: String) -> Result<Value, String> {
        let (mut components, endpoints) =
            (list(request, "components")?, list(request, "endpoints")?);
        if components.is_empty() && endpoints.is_empty() {
            return Err("name what is excluded: --component or --endpoint".into());
        }
        let instant = |key: &str| {
            request[key].as_str().and_then(parse_utc).ok_or(format!(
                "invalid time in --{key}; write it as 2026-11-01T00:00:00Z"
            ))
        };
        let (from, to) = (instant("from")?, instant("to")?);
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
        let renamed = self.renamed(&components).await?;
        renamed
            .iter()
            .for_each(|(before, now)| replace(&mut components, before, now));
        self.knows_all(&components, &endpoints)?;
        let reason = said(request, "reason")?;
        let (board, directory) = (self.board.clone(), self.state_dir.clone());
        let (c, e) = (components.clone(), endpoints.clone());
        let before = apart::run(move || {
            let reader = schema::open_to_read(&directory)?;
            api::sums_of(&reader, &board, &c, &e, Span::new(from, to))
        });
        let before = before
            .await
            .map_err(|e| e.to_string())?
            .map_err(|e| e.to_string())?;
        if before.is_empty() {
            return Err("none of them is in service".into());
        }
        let figures = |of: &dyn Fn(&Sums) -> Sums| -> BTreeMap<String, Value> {
            let figures = before.iter();
            figures
                .map(|(name, sums)| (name.clone(), sums_json(&of(sums))))
                .collect()
        };
        let names = |l: &[Name]| l.iter().map(ToString::to_string).collect::<Vec<_>>();
        let correction = ExclusionEvent {
            components: names(&components),
            endpoints: names(&endpoints),
            from: format_utc(from),
            to: format_utc(to),
            reason,
            by,
            before: figures(&|sums| *sums),
            after: figures(&|_| Sums::default()),
        };
        let (before, after) = (correction.before.clone(), correction.after.clone());
        let recorded = self
            .record(Request::Correct(Box::new(correction.into())))
            .await?;
        Ok(json!({
            "schema": "probity-correction/1", "kind": "exclusion", "recorded_at": format_utc(recorded), "before": before, "after": after,
            "renamed": renamed_json(&renamed),
        }))
    }
}

/// A component by the name that it has now, once.
fn replace(list: &mut Vec<Name>, before: &Name, now: &Name) {
    let has_it = list.contains(now);
    list.retain(|name| name != before);
    if !has_it {
        list.push(now.clone());
    }
}

fn renamed_json(renamed: &[(Name, Name)]) -> Value {
    renamed
        .iter()
        .map(|(before, now)| (before.to_string(), json!(now.as_str())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn said(request: &Value, key: &str) -> Result<String, String> {
    let text = request[key].as_str().unwrap_or_default().trim();
    if text.is_empty() || text.len() > 2000 || text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(format!(
            "missing or invalid --{key}: printable text of at most 2000 bytes"
        ));
    }
    Ok(text.to_owned())
}

fn list(request: &Value, key: &str) -> Result<Vec<Name>, String> {
    request[key]
        .as_array()
        .into_iter()
        .flatten()
        .map(|n| Name::new(n.as_str().unwrap_or_default()).map_err(|e| format!("{key}: {e}")))
        .collect()
}

fn window(request: &Value) -> Result<Window, String> {
    let text = |key: &str| request[key].as_str();
    let zone = match text("time_zone") {
        Some(name) => zones::zone(name).ok_or_else(|| format!("unknown time zone `{name}`"))?,
        None => TimeZone::UTC,
    };
    let start = text("start").and_then(|t| civil(t, &zone)).ok_or(
        "--start is not a valid time; write 2026-12-06T02:00, or with Z or an offset of at most \
            23:59",
    )?;
    let duration = request["duration_ms"]
        .as_u64()
        .filter(|ms| (1000..=LONGEST_MS).contains(ms))
        .ok_or("--duration goes from 1s to 31d")?;
    let id = match text("id") {
        Some(id) => Name::new(id).map_err(|e| format!("--id: {e}"))?,
        None => Name::new(&format!("window-{}", now())).map_err(|e| e.to_string())?,
    };
    let announced_at = match text("announced_at") {
        Some(t) => Some(
            parse_utc(t)
                .ok_or("invalid time in --announced-at; write it as 2026-11-01T00:00:00Z")?,
        ),
        None => None,
    };
    let mut definition = json!({
        "id": id.as_str(), "components": request["components"].as_array().cloned().unwrap_or_default(),
        "endpoints": request["endpoints"].as_array().cloned().unwrap_or_default(), "start": start.start.to_string(),
        "time_zone": zone.iana_name().unwrap_or("UTC"), "every": request["every"].as_array().cloned().unwrap_or_default(),
        "duration_ms": duration, "announced_at": announced_at.map(format_utc), "reason": said(request, "reason")?,
    });
    if let Some(at) = start.instant {
        definition["start_instant"] = json!(format_utc(at));
    }
    Window::from_json(&definition).ok_or_else(|| {
        "a name or a day is not what it should be (days: Mon, Tue, Wed, Thu, Fri, Sat, Sun)"
            .to_owned()
    })
}

/// Components with the names of their endpoints.
type Membership<'p> = BTreeMap<&'p Name, Vec<&'p Name>>;

/// The components that a window concerns whole; `None`: all.
fn whole_components(window: &Window, of: &Membership) -> Option<Vec<String>> {
    if window.components.is_empty() && window.endpoints.is_empty() {
        return None;
    }
    let is_whole = |(component, endpoints): &(&&Name, &Vec<&Name>)| {
        window.components.contains(component)
            || !window.endpoints.is_empty()
                && endpoints.iter().all(|e| window.endpoints.contains(e))
    };
    Some(
        of.iter()
            .filter(is_whole)
            .map(|(component, _)| component.to_string())
            .collect(),
    )
}

/// What a contract will say of a window's next occurrence, by its own rules and beside the windows
/// that are declared; nothing where it concerns none of its components.
fn admission(
    contract: &Contract,
    of: &Membership,
    all: &[Stored],
    fresh: &Stored,
    next: Span,
) -> Option<Value> {
    let told = |admitted: bool, why: Option<String>| {
        Some(json!({"sla": contract.name.as_str(), "admitted": admitted, "why": why}))
    };
    let concerned = whole_components(&fresh.window, of);
    let mine: Vec<&Name> = contract
        .components
        .iter()
        .filter(|c| {
            concerned
                .as_ref()
                .is_none_or(|list| list.iter().any(|n| n == c.as_str()))
        })
        .collect();
    if mine.is_empty() {
        let in_part = contract.components.iter().find(|c| {
            of.get(c)
                .is_some_and(|list| list.iter().any(|e| fresh.window.endpoints.contains(e)))
        })?;
        return told(
            false,
            Some(format!(
                "it concerns only some of the endpoints of {in_part}, and a contract counts \
                    components"
            )),
        );
    }
    let period = match contract.period {
        PeriodKind::Rolling(length) => Span::new(next.to - length as i64, next.to),
        kind => current_and_previous(kind, &contract.zone, next.from)[0].1,
    };
    let occurrence = next.cut(period).unwrap_or(next);
    let declared = |list: &[&Stored]| -> Timeline {
        let touching = list
            .iter()
            .filter(|s| !s.window.occurrences(period).is_empty());
        let maintenance = touching
            .flat_map(|s| s.declared(period, whole_components(&s.window, of)))
            .collect();
        Timeline {
            maintenance,
            ..Timeline::default()
        }
    };
    let before: Vec<&Stored> = all.iter().collect();
    let after: Vec<&Stored> = before.iter().copied().chain([fresh]).collect();
    let (before, after) = (declared(&before), declared(&after));
    let admitted = |component: &Name, timeline: &Timeline| {
        let part = Recorded {
            name: component.to_string(),
            ..Recorded::default()
        };
        windows(contract, &part, timeline, &Spans::new(vec![period])).admitted
    };
    let gain = |component: &&Name| {
        admitted(component, &after)
            .minus(&admitted(component, &before))
            .cut(occurrence)
            .length()
    };
    let gained = mine.iter().map(gain).min().unwrap_or(0);
    let announced = match contract.maintenance.announcement {
        Announcement::Claimed => fresh.window.announced_at.unwrap_or(fresh.recorded),
        Announcement::Recorded => fresh.recorded,
    };
    let is_late = contract
        .maintenance
        .notice
        .is_some_and(|notice| announced > next.from - notice as i64);
    match gained {
        all if all == occurrence.length() => told(true, None),
        0 if is_late => told(
            false,
            Some("it is announced later than the contract's notice before it starts".to_owned()),
        ),
        0 => told(
            false,
            Some(
                "the allowance of its period is used up by other windows, or they cover it"
                    .to_owned(),
            ),
        ),
        part => told(
            true,
            Some(format!(
                "only {} of it fit the allowance of a period",
                crate::config::document::value::show_duration(part)
            )),
        ),
    }
}

/// The windows of a history, for the command line.
pub fn listed(all: &[Stored], at: UtcMs) -> Vec<Value> {
    all.iter()
        .map(|s| {
            let mut value = s.window.to_json();
            let ahead = s
                .in_force(Span::new(at, at + 400 * 86_400_000))
                .into_iter()
                .next();
            value["recorded_at"] = json!(format_utc(s.recorded));
            value["ended_at"] = json!(s.ended.map(format_utc));
            value["by"] = json!(s.by);
            value["next"] = ahead.map_or(
                Value::Null,
                |n| json!({"from": format_utc(n.from), "to": format_utc(n.to)}),
            );
            value
        })
        .collect()
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
