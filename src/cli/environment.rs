//! What `probity check` notes of this host: what a start on it would meet.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use crate::config::Plan;
use crate::config::document::zone;
use crate::config::plan::{Dial, Endpoint};
use crate::daemon::control::SOCKET;
use crate::daemon::host_trust;
use crate::history::{backup, schema};
use crate::net::authorities::Authorities;
use crate::net::clock_trust::ClockTrust;
use crate::net::probe_error::ProbeError;
use crate::net::resolve::{Paths, Resolver};
use crate::net::sys::effective_user;
use crate::net::{echo, guarded};
use crate::serve::listener::bind;
use crate::words::people;

/// Names that are resolved, at most.
const MOST_NAMES: usize = 64;
/// For all of them together.
const NAMES_WITHIN: Duration = Duration::from_secs(5);
/// For a daemon that has the port to answer, all of it.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Everything that a start with this state directory would lack here.
pub fn notes(plan: &Plan, directory: &Path) -> Vec<String> {
    let mut notes = host_trust::notes(plan, &Authorities::of_the_system(), &ClockTrust::default());
    notes.extend(icmp(plan));
    // The daemon of this state directory has its port, and that is as it should be.
    if UnixStream::connect(directory.join(SOCKET)).is_err() {
        notes.extend(listener(plan.listen.address));
    }
    notes.extend(state(directory).map(|why| format!("the state directory cannot be used: {why}")));
    notes.extend(backups(plan, directory));
    notes.extend(names(plan));
    notes
}

fn all(plan: &Plan) -> impl Iterator<Item = &Endpoint> {
    let endpoints = plan.endpoints.iter().chain(&plan.witness.endpoints);
    endpoints.map(|endpoint| &**endpoint)
}

fn icmp(plan: &Plan) -> Option<String> {
    let asks = all(plan).any(|e| e.probe.kind().needs_echo_socket());
    let why = asks.then(echo::permitted)?.err()?;
    Some(format!(
        "this user may not send ICMP ({why}): icmp endpoints would be unknown (permission); allow \
            it with CAP_NET_RAW or net.ipv4.ping_group_range"
    ))
}

fn listener(address: SocketAddr) -> Option<String> {
    let error = bind(address).err()?;
    Some(match error.kind() {
        ErrorKind::AddrInUse if is_probity(address) => format!(
            "a running Probity daemon listens on {address}: a second one needs another `address` \
                in [listen]"
        ),
        ErrorKind::AddrInUse => format!(
            "another program listens on {address}: the daemon would not start (exit code 69); \
                free the port or set another `address` in [listen]"
        ),
        _ => format!(
            "the daemon could not listen on {address}: {error}; set another `address` in [listen]"
        ),
    })
}

/// Whether what listens there answers as a daemon does.
fn is_probity(address: SocketAddr) -> bool {
    let asked = || -> std::io::Result<String> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN)?;
        stream.set_write_timeout(Some(ANSWER_WITHIN))?;
        stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n")?;
        let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
        // A neighbour may send a byte now and then, without an end.
        while answer.len() < piece.len() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut piece)? {
                0 => break,
                count => answer.extend_from_slice(&piece[..count]),
            }
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = asked().unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    ["Ready", "Not ready"]
        .iter()
        .any(|word| body.starts_with(word))
}

fn state(directory: &Path) -> Option<String> {
    // Root looks at the directory of the service, whose user it is not.
    let owner = std::fs::metadata(directory).map(|found| found.uid());
    if effective_user() == 0 && owner.is_ok_and(|owner| owner != 0) {
        return None;
    }
    guarded::state_directory_refused(directory)
        .or_else(|| schema::file_refused(directory))
        .or_else(|| guarded::makable(directory).err())
}

fn backups(plan: &Plan, directory: &Path) -> Option<String> {
    let folder = plan.history.backup.as_ref()?.directory(directory);
    let why = backup::tried(&folder).err()?;
    Some(format!(
        "backups cannot be made in {}: {why}; let the daemon's user write there, or name another \
            folder in [history.backup] dir",
        folder.display()
    ))
}

/// Names that do not resolve. All are asked at once, as the probes ask.
fn names(plan: &Plan) -> Vec<String> {
    let mut wanted: BTreeMap<&str, (&Endpoint, usize)> = BTreeMap::new();
    for endpoint in all(plan) {
        let host = endpoint.probe.host();
        if zone::address(host).is_none() {
            wanted.entry(host).or_insert((endpoint, 0)).1 += 1;
        }
    }
    let asked = wanted.iter().take(MOST_NAMES);
    let asked: Vec<(String, Dial)> = asked
        .map(|(host, (endpoint, _))| ((*host).to_owned(), (*endpoint.dial).clone()))
        .collect();
    let mut notes: Vec<String> = failed(asked)
        .into_iter()
        .map(|(host, why)| match wanted.get(host.as_str()) {
            Some((endpoint, 1)) => format!("{}: {host} does not resolve: {why}", endpoint.name),
            Some((endpoint, n)) => format!(
                "{} (and {} more): {host} does not resolve: {why}",
                endpoint.name,
                n - 1
            ),
            None => format!("{host} does not resolve: {why}"),
        })
        .collect();
    if let Some(more) = wanted.len().checked_sub(MOST_NAMES).filter(|n| *n > 0) {
        notes.push(format!(
            "{} of the targets were not resolved: check asks for {MOST_NAMES} at most",
            people::count(more as u64, "name")
        ));
    }
    notes
}

/// Which of them do not resolve, and why.
fn failed(asked: Vec<(String, Dial)>) -> Vec<(String, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let (Ok(runtime), false) = (runtime, asked.is_empty()) else {
        return Vec::new();
    };
    let resolving = async {
        let deadline = Instant::now() + NAMES_WITHIN;
        let resolver = Rc::new(Resolver::new(Paths::default()));
        let mut tasks = JoinSet::new();
        for (host, dial) in asked {
            let resolver = resolver.clone();
            tasks.spawn_local(async move {
                let why = resolved(&resolver, &host, &dial, deadline).await.err();
                why.map(|why| (host, why))
            });
        }
        let mut failed = Vec::new();
        while let Some(one) = tasks.join_next().await {
            failed.extend(one.ok().flatten());
        }
        failed.sort();
        failed
    };
    let failed = runtime.block_on(LocalSet::new().run_until(resolving));
    runtime.shutdown_background();
    failed
}

async fn resolved(
    resolver: &Resolver,
    host: &str,
    dial: &Dial,
    deadline: Instant,
) -> Result<(), String> {
    let said = |err| match err {
        ProbeError::Down(_, why) | ProbeError::Unmeasured(_, why) => why,
    };
    let asking = async {
        resolver.refresh(&dial.resolver, deadline).await?;
        let wanted = dial.addresses;
        let found = resolver.addresses(host.into(), &dial.resolver, wanted, deadline);
        found.await
    };
    match tokio::time::timeout_at(deadline, asking).await {
        Ok(found) => found.map(drop).map_err(said),
        Err(_) => Err("no answer in 5 s".to_owned()),
    }
}
