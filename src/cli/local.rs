//! What commands read without a daemon: the history's database, and the figures that follow from
//! it.

use std::path::PathBuf;

use super::args::place::StateArgs;
use crate::config::Plan;
use crate::config::document::secret::Secret;
use crate::daemon::exit::Exit;
use crate::daemon::start::{read_without_secrets, state_directory};
use crate::daemon::streams::say_error;
use crate::engine::replay::judges;
use crate::history::checkpoint::Signer;
use crate::history::read::Extent;
use crate::history::reader::HistoryReader;
use crate::history::{HistoryError, schema};
use crate::judgement::rules::Rules;
use crate::net::config_files::Unread;
use crate::words::Name;

/// The directory that is meant; the config is read only when it is not named.
pub fn directory(place: &StateArgs) -> Result<PathBuf, Exit> {
    if let Some(directory) = &place.state_dir {
        return Ok(directory.clone());
    }
    Ok(state_directory(&plan(place)?, &place.config.path()))
}

/// The config, for commands that need none of its secrets.
pub fn plan(place: &StateArgs) -> Result<Plan, Exit> {
    read(place, Unread::All)
}

fn read(place: &StateArgs, unread: Unread) -> Result<Plan, Exit> {
    read_without_secrets(&place.config.path(), unread).map_err(|faults| {
        say_error(crate::config::document::source::show_faults(&faults));
        Exit::Config
    })
}

/// The config's key that signs, if it names one.
pub fn key(place: &StateArgs) -> Result<Option<Secret>, Exit> {
    Ok(read(place, Unread::AllButKey)?.history.key)
}

/// The config if one is at hand; reading a named state directory needs none.
pub fn plan_or_empty(place: &StateArgs) -> Plan {
    if place.state_dir.is_some() && place.config.config.is_none() {
        return Plan::empty();
    }
    plan(place).unwrap_or_else(|_| Plan::empty())
}

/// What signs this history, as far as it can be known here.
pub fn signer(place: &StateArgs) -> Option<Signer> {
    if place.config.config.is_some()
        && let Some(secret) = key(place).ok()?
    {
        return Signer::from_hex(secret.reveal()).ok();
    }
    directory(place)
        .ok()
        .and_then(|directory| Signer::kept(&directory))
}

pub fn open(place: &StateArgs) -> Result<HistoryReader, Exit> {
    schema::open_to_read(&directory(place)?).map_err(complain)
}

pub fn complain(error: HistoryError) -> Exit {
    say_error(format_args!("probity: {error}"));
    Exit::StateDirectory
}

/// (endpoint, component, extent of its settled time) for all that are or were in service.
pub fn extents(reader: &HistoryReader) -> Result<Vec<(Name, Name, Extent)>, HistoryError> {
    let restored = reader.restored()?;
    let judges = judges(&restored, &reader.windows()?)?;
    let mut list: Vec<(Name, Name, Extent)> = restored
        .endpoints
        .iter()
        .filter_map(|(name, e)| {
            let (cadence, judge) = judges.get(&e.id)?;
            let extent = Extent {
                first_start: judge.first_start(),
                watermark: judge.ledger().watermark,
                open_unknown: judge.open_unknown(),
                open_run: judge.open_run(),
                is_gone: !e.in_service,
                longest_blind: judge.longest_blind(),
                blind_lately: judge.blind_lately(),
                not_seen_below: Rules::new(*cadence).not_seen_below(),
            };
            if extent.is_gone && extent.first_start.is_none() {
                return None;
            }
            Some((name.clone(), e.component.clone(), extent))
        })
        .collect();
    list.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(list)
}
