//! What the commands about contracts have in common: which contracts are meant, and how they end.

use std::path::Path;

use super::args::place::StateArgs;
use super::local;
use crate::config::document::source::show_faults;
use crate::config::load_contracts;
use crate::daemon::exit::Exit;
use crate::daemon::streams::say_error;
use crate::judgement::sla::contract::Contracts;
use crate::net::config_files::Files;
use crate::words::Name;

pub fn refuse(exit: Exit, why: impl std::fmt::Display) -> Exit {
    say_error(format_args!("probity: {why}"));
    exit
}

/// The contracts that are meant: of a file, else of the config.
pub fn contracts(file: Option<&Path>, place: &StateArgs) -> Result<Contracts, Exit> {
    if file.is_some() && place.config.config.is_some() {
        // Its zone data counts for the contract beside it, too.
        local::plan_or_empty(place);
    }
    let found = match file {
        Some(path) => load_contracts(path, &Files).map_err(|faults| {
            say_error(show_faults(&faults));
            Exit::Config
        })?,
        None => local::plan(place)?.contracts,
    };
    if found.list.is_empty() {
        return Err(refuse(
            Exit::Usage,
            "no contract found: name a file with --contract, or add [sla.NAME] to the config",
        ));
    }
    Ok(found)
}

/// Each contract once, or the one that is named.
pub fn wanted(contracts: &Contracts, only: Option<&str>) -> Result<Vec<Name>, Exit> {
    let names: Vec<Name> = contracts
        .names()
        .into_iter()
        .filter(|n| only.is_none_or(|o| o == n.as_str()))
        .collect();
    match only {
        Some(name) if names.is_empty() => {
            Err(refuse(Exit::Usage, format!("unknown contract `{name}`")))
        }
        _ => Ok(names),
    }
}

/// What several commands come to together: any failure, else the worst verdict.
pub fn worse(a: Exit, b: Exit) -> Exit {
    let rank = |e: Exit| match e {
        Exit::Fine => 0,
        Exit::Unknown => 1,
        Exit::Bad => 2,
        _ => 3,
    };
    if rank(b) > rank(a) { b } else { a }
}
