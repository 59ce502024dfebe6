//! `probity history restore`: a backup takes the place of the history of a stopped daemon.
//!
//! The chain goes on under a new id that names the old one, exported counters begin at 0 again, and
//! what came after the backup is unknown time, as the next start finds nothing that vouches for it.

use std::path::Path;

use serde_json::json;

use super::args::history::HistoryRestore;
use super::verify::verified;
use super::{local, print};
use crate::daemon::exit::Exit;
use crate::daemon::streams::say_error;
use crate::engine::replay::judges;
use crate::history::checkpoint::Signer;
use crate::history::replacement::Replacement;
use crate::history::verification::{Against, Verification};
use crate::history::{HistoryError, backup};
use crate::judgement::state_codec::encode_with;
use crate::net::clock::Clock;

/// Whether a backup is looked through before it is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BackupTrust {
    Verified,
    Unverified,
}

pub fn run(args: &HistoryRestore) -> Exit {
    let directory = match local::directory(&args.place) {
        Ok(directory) => directory,
        Err(exit) => return exit,
    };
    let trust = if args.unverified {
        BackupTrust::Unverified
    } else {
        BackupTrust::Verified
    };
    let signer = local::signer(&args.place);
    match put_in_place(&args.from, &directory, args.by.as_deref(), trust, signer) {
        Ok((events, aside)) => {
            let value = json!({
                "schema": "probity-restored/1", "events": events, "kept": aside,
            });
            print(args.json, &value, || {
                format!("restored {events} events; the previous history is kept as {aside}\n")
            });
            Exit::Fine
        }
        Err(error @ HistoryError::Owned { .. }) => {
            say_error(format_args!("probity: {error}; stop it first"));
            Exit::Owned
        }
        Err(error) => local::complain(error),
    }
}

fn put_in_place(
    from: &Path,
    directory: &Path,
    by: Option<&str>,
    trust: BackupTrust,
    signer: Option<Signer>,
) -> Result<(u64, String), HistoryError> {
    // Everything that can fail on the backup fails before anything is touched.
    let copy = backup::open_backup(from)?;
    if trust == BackupTrust::Verified {
        let damaged = |why: String| HistoryError::Damaged {
            path: from.display().to_string(),
            why: format!("{why}; --unverified accepts it anyway"),
        };
        match verified(&copy, &Against::default())? {
            Verification::Whole { .. } => {}
            Verification::Altered { seq, why } => {
                return Err(damaged(format!("event {seq}: {why}")));
            }
            Verification::Forked { why, .. } | Verification::NotProvable { why } => {
                return Err(damaged(why));
            }
        }
    }
    let restored = copy.restored()?;
    let windows = copy.windows()?;
    let mut states = Vec::new();
    for (id, (cadence, mut judge)) in judges(&restored, &windows)? {
        judge.rebase();
        states.push((id, encode_with(&cadence, &judge)));
    }
    states.sort_by_key(|s| s.0);
    let now = Clock::Real.read();
    let by = by.unwrap_or("the command line").to_owned();
    Replacement {
        from: copy,
        states,
        last_batch: restored.last_batch,
        last: restored.last,
        by,
        signer,
    }
    .put(directory, now.utc_ms)
}
